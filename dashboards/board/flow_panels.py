"""The panels under the heatmap: volume by side behind delta, and what it sums up to from the session's open."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import CustomJS, DataRange1d, NumeralTickFormatter, RadioButtonGroup, Range1d
from bokeh.plotting import figure

from dashboards.board import look
from dashboards.board.sources import bring, source
from dashboards.board.tape import CLASSES, Flow, Sums, panel, volume_axis
from dashboards.board.tape_queries import Trade

SERIES_LABELS = ["CVD", "By size", "OI"]
# Dark to bright, small to large: edges of 1e3, 1e4 and 1e5 quote currency.
CLASS_COLOURS = ("#46618C", "#6F95CC", "#9CC3F0", "#FFFFFF")
TIME_AXIS_PX = 26
_SERIES = """
groups.forEach((lines, at) => lines.forEach(line => { line.visible = at === series.active }));
document.getElementById('classes').hidden = series.active !== 1;
"""
FLOW = (
    "left", "right", "buy", "sell", "delta", "alpha", "cvd", *(f"class{at}" for at in range(CLASSES)), "vwap",
)  # fmt: skip


class FlowPanels:
    """Two figures over one source, on the time axis of the heatmap; times are ms, volumes base currency."""

    def __init__(self, x_range: Range1d, axis_px: int) -> None:
        self.flow = source(*FLOW)
        self.forced = source("x", "end")
        self.interest = source("x", "y")
        self.series = RadioButtonGroup(
            labels=SERIES_LABELS, active=0, stylesheets=[look.CONTROLS_CSS], margin=0
        )
        self.volume = self._volume(x_range, axis_px)
        self.sums = self._sums(x_range, axis_px)
        self.tell = CustomJS(args={"series": self.series, "groups": self._lines}, code=_SERIES)
        self.series.js_on_change("active", self.tell)

    def show(
        self,
        flow: Flow,
        group_s: int,
        holes: Sequence[tuple[int, int]],
        opens_s: Sequence[int],
        before: Sums,
    ) -> None:
        """Bars of `group_s` seconds, lines broken at `holes` and at the opens of sessions."""
        data = panel(flow, group_s, holes, opens_s, before)
        bring(self.flow, data)
        height = volume_axis(data)
        held = self.volume.y_range.end
        if (
            not held * 0.6 <= height <= held
        ):  # frozen unless it no longer fits, so that bars keep their meaning
            self.volume.y_range.update(start=-height * 1.05, end=height * 1.05)

    def show_forced(self, forced: Sequence[Trade]) -> None:
        """Liquidations as bars, purchases up and sales down."""
        bring(
            self.forced,
            {
                "x": np.array([trade.time_ms for trade in forced]),
                "end": np.array([trade.size if trade.buy else -trade.size for trade in forced]),
            },
        )

    def show_interest(self, time_ms: np.ndarray, interest: np.ndarray) -> None:
        """Open interest as it was told."""
        bring(self.interest, {"x": time_ms, "y": interest})

    def _volume(self, x_range: Range1d, axis_px: int) -> figure:
        fig = self._plain(x_range, Range1d(-1, 1), axis_px, 0)
        fig.xaxis.visible = False
        for side, colour in (("buy", look.BUY), ("sell", look.SELL)):
            fig.quad(
                left="left", right="right", bottom=0, top=side, fill_alpha="alpha", fill_color=colour,
                line_color=look.PAGE, source=self.flow,
            )  # fmt: skip
        fig.quad(
            left="left", right="right", bottom=0, top="delta", source=self.flow, line_color=look.PAGE,
            fill_color={"field": "delta", "transform": look.by_sign()},
        )  # fmt: skip
        fig.segment(x0="x", x1="x", y0=0, y1="end", source=self.forced, line_color=look.CURRENT, line_width=2)
        return fig

    def _sums(self, x_range: Range1d, axis_px: int) -> figure:
        heights = DataRange1d(only_visible=True, range_padding=0.15)
        fig = self._plain(x_range, heights, axis_px, TIME_AXIS_PX)
        fig.xaxis.ticker.desired_num_ticks = 9
        fig.window_axis = "x"
        one = [fig.line("right", "cvd", source=self.flow, line_color=look.NEUTRAL, line_width=1.4)]
        classes = [
            fig.line(
                "right", f"class{at}", source=self.flow, line_color=colour, line_width=1.4, visible=False
            )
            for at, colour in enumerate(CLASS_COLOURS)
        ]
        interest = [
            fig.step("x", "y", source=self.interest, mode="after", line_color=look.NEUTRAL, visible=False),
            fig.scatter("x", "y", source=self.interest, size=3, color=look.NEUTRAL, visible=False),
        ]
        self._lines = [one, classes, interest]
        return fig

    def _plain(self, x_range: Range1d, y_range: Range1d, axis_px: int, time_px: int) -> figure:
        fig = look.plain_figure(
            x_range=x_range, y_range=y_range, x_axis_type="datetime", y_axis_location="right",
            min_border_right=axis_px, min_border_bottom=time_px, tools="xpan,xwheel_zoom",
            active_scroll="xwheel_zoom",
        )  # fmt: skip
        fig.yaxis.formatter = NumeralTickFormatter(format="0.[00]a")
        fig.yaxis.ticker.desired_num_ticks = 3
        return fig
