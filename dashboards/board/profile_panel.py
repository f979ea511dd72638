"""The column of traded volume by price, on the price axis and the rows of the heatmap."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from bokeh.models import RadioButtonGroup, Range1d, Span
from bokeh.plotting import figure

from dashboards.board import look
from dashboards.board.columns import Grid
from dashboards.board.number_text import price_text
from dashboards.board.profile import Profile, bars
from dashboards.board.sources import bring, source
from dashboards.board.tape_queries import Node

KINDS = ["Session", "4 h", "Visible"]
SPANS = ("day", "rolling_4h", "")
FOUR_HOURS_S = 4 * 3600


class ProfilePanel:
    """Sells and buys stacked by row, the value area bright; lines of POC, VAH and VAL, naked POCs, nodes."""

    def __init__(self, y_range: Range1d, spans: Sequence[Span]) -> None:
        self.rows = source("y", "sell", "buy", "unknown", "alpha")
        self.lines = source("y", "label", "colour", "shift")
        self.nodes = source("y")
        self.kind = RadioButtonGroup(labels=KINDS, active=0, stylesheets=[look.CONTROLS_CSS], margin=0)
        self.figure = self._figure(y_range, spans)

    def show(self, profile: Profile | None, node: Node, grid: Grid, decimals: int) -> None:
        """Draw `profile` on the rows of `grid`; prices in words have `decimals`."""
        if profile is None:
            for held in (self.rows, self.lines, self.nodes):
                bring(held, {name: [] for name in held.data})
            return
        data = bars(profile, grid)
        bring(self.rows, data)
        for renderer in self._bars:
            renderer.glyph.height = grid.row_height * 0.86
        low, high = profile.value_area
        middle = profile.poc + profile.row_step / 2
        marks = [
            (high, f"VAH {price_text(high, decimals)}", look.MUTED, -1),
            (middle, f"POC {price_text(profile.poc, decimals)}", look.TEXT, -1),
            (low, f"VAL {price_text(low, decimals)}", look.MUTED, 14),
        ]
        for price, open_s in node.naked:
            opened = f"{datetime.fromtimestamp(open_s, UTC):%d %b}"
            marks.append((price, f"naked POC {opened}", look.NEUTRAL, -1))
        bring(
            self.lines,
            dict(zip(("y", "label", "colour", "shift"), map(list, zip(*marks, strict=True)), strict=True)),
        )
        bring(self.nodes, {"y": np.array(node.hvn) + profile.row_step / 2})

    def _figure(self, y_range: Range1d, spans: Sequence[Span]) -> figure:
        fig = look.plain_figure(x_range=Range1d(0, 1.06), y_range=y_range)
        fig.axis.visible = fig.grid.visible = False
        ends = ((0, "sell", look.SELL), ("sell", "buy", look.BUY), ("buy", "unknown", look.MUTED))
        self._bars = [
            fig.hbar(
                y="y", left=left, right=right, height=1.0, fill_alpha="alpha", fill_color=colour,
                line_color=None, source=self.rows,
            )
            for left, right, colour in ends
        ]  # fmt: skip
        fig.segment(
            x0=0,
            x1=0.05,
            y0="y",
            y1="y",
            source=self.nodes,
            line_color=look.TEXT,
            line_width=3,
            line_alpha=0.8,
        )
        fig.segment(
            x0=0,
            x1=1.06,
            y0="y",
            y1="y",
            source=self.lines,
            line_color="colour",
            line_dash="dotted",
            line_alpha=0.8,
        )
        fig.text(
            x=1.05, y="y", text="label", source=self.lines, text_font=look.GLYPH_SANS, text_font_size="10.5px",
            text_color="colour", text_align="right", text_baseline="bottom", y_offset="shift",
            background_fill_color=look.PAGE, background_fill_alpha=0.55,
        )  # fmt: skip
        for span in spans:
            fig.add_layout(span)
        return fig
