"""Footprints over the heatmap, once its bars are wide and its rows high enough to be read."""

from collections.abc import Sequence

from bokeh.models import CustomJS, Range1d
from bokeh.plotting import figure

from dashboards.board import look
from dashboards.board.columns import Grid
from dashboards.board.footprint import CELL, Bar, brackets, cells, footers
from dashboards.board.sources import bring, source

HEAT_ALPHA = 0.8
FOOT_PX = 13


class FootprintLayer:
    """Cells of sells and buys by row, brackets at stacked imbalances, a box around the largest row, and footers."""

    def __init__(self, heat: figure, y_range: Range1d) -> None:
        self.cells = source(*CELL)
        self.brackets = source("x", "low", "high", "colour")
        self.footers = source(
            "left", "right", "middle", "low", "high", "delta", "volume", "percent", "colour"
        )
        self._rows = self._draw_cells(heat)
        self._draw_bars(heat, y_range)

    def show(self, bars: Sequence[Bar], grid: Grid) -> None:
        """Draw `bars`, made of rows of `grid`; none hides the layer."""
        for glyph in self._rows:
            glyph.height = grid.row_height * 0.94
        bring(self.cells, cells(bars, grid))
        bring(self.brackets, brackets(bars, grid))
        bring(self.footers, footers(bars, grid))

    def _draw_cells(self, heat: figure) -> list[object]:
        row = {"y": "y", "height": 1.0, "source": self.cells, "line_color": None}
        drawn = [
            heat.hbar(left="left", right="right", fill_color=look.PAGE, fill_alpha=0.86, **row),
            heat.hbar(left="sell_end", right="middle", fill_color=look.SELL, fill_alpha=0.42, **row),
            heat.hbar(left="middle", right="buy_end", fill_color=look.BUY, fill_alpha=0.42, **row),
        ]
        for side, offset, align in (("sell", -5, "right"), ("buy", 5, "left")):
            heat.text(
                x="middle", y="y", text=side, source=self.cells, text_color=f"{side}_colour",
                text_font_style=f"{side}_style", text_font=look.GLYPH_MONO, text_font_size="10.5px",
                text_baseline="middle", text_align=align, x_offset=offset,
            )  # fmt: skip
        heat.segment(
            x0="x", x1="x", y0="low", y1="high", source=self.brackets, line_color="colour", line_width=3.5
        )
        return [renderer.glyph for renderer in drawn]

    def _draw_bars(self, heat: figure, y_range: Range1d) -> None:
        heat.quad(
            left="left", right="right", bottom="low", top="high", source=self.footers, fill_color=None,
            line_color=look.TEXT, line_width=1.3,
        )  # fmt: skip
        texts = [
            heat.text(
                x="middle", y=0, text=name, source=self.footers, text_color=colour, text_font=look.GLYPH_MONO,
                text_font_size="11px", text_align="center", text_baseline="bottom", y_offset=-FOOT_PX * line - 4,
                background_fill_color=look.PAGE, background_fill_alpha=0.85,
            ).glyph
            for line, (name, colour) in enumerate(
                (("percent", look.TEXT), ("volume", look.TEXT), ("delta", "colour"))
            )
        ]  # fmt: skip
        # Text has no screen coordinates: footers follow the lower edge.
        self.place = CustomJS(
            args={"glyphs": texts, "y": y_range},
            code="glyphs.forEach(glyph => { glyph.y = {value: y.start} })",
        )
        y_range.js_on_change("start", self.place)
