"""Colours, fonts and the plain figure that all pages share."""

from typing import Any

from bokeh.core.properties import value
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.models import LinearColorMapper
from bokeh.plotting import figure

PAGE, PANEL, RAISED, LINE = "#0A0D12", "#10151D", "#18202B", "#263040"
TEXT, MUTED = "#E8ECF2", "#9BA7B8"
BUY, SELL, CURRENT = "#2FD6A3", "#FF6A5E", "#FFC857"
VWAP, NEUTRAL = "#C9A2FF", "#9CC3F0"
MID, HALO, HATCH = "#F2F5F9", "#05070A", "#4A5769"
FRAME_PX = (1004, 620)
UNKNOWN_CELL = "#151B25"
SANS = 'Inter,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
MONO = '"JetBrains Mono","Cascadia Mono","SF Mono",Consolas,"DejaVu Sans Mono",monospace'
# A glyph takes a plain stack of fonts for the name of a column.
GLYPH_MONO, GLYPH_SANS = value(MONO), value(SANS)

CONTROLS_CSS = f"""
:host {{ font: 500 12px {SANS}; }}
.bk-btn-group {{ border: 1px solid {LINE}; border-radius: 5px; overflow: hidden; flex-wrap: nowrap; }}
.bk-btn-group > button.bk-btn {{ background: {PAGE}; color: {MUTED}; border: 0; border-right: 1px solid {LINE};
  border-radius: 0; padding: 3px 9px; font: 500 11.5px {SANS}; min-width: 0; line-height: 1.4; box-shadow: none; }}
.bk-btn-group > button.bk-btn:last-child {{ border-right: 0; }}
.bk-btn-group > button.bk-btn.bk-active {{ background: {LINE}; color: {TEXT}; box-shadow: none; }}
.bk-btn-group > button.bk-btn:hover {{ color: {TEXT}; }}
:focus-visible {{ outline: 2px solid {CURRENT}; outline-offset: -2px; }}
select.bk-input {{ background: {PANEL}; color: {TEXT}; border: 1px solid {LINE}; border-radius: 5px; height: 28px;
  padding: 2px 26px 2px 8px; font: 600 13px {SANS}; }}
"""


def frame_px(fig: figure) -> tuple[int, int]:
    """Width and height of its plot as the browser last told; before that, those in a window of 1600x900."""
    try:
        return fig.inner_width or FRAME_PX[0], fig.inner_height or FRAME_PX[1]
    except UnsetValueError:
        return FRAME_PX


def by_sign() -> LinearColorMapper:
    """Buying above zero, selling below."""
    return LinearColorMapper(palette=[SELL, BUY], low=-1e-12, high=1e-12)


def plain_figure(**options: Any) -> figure:
    """A figure without toolbar, frame or margins on the dark page; `options` as of bokeh's figure."""
    plain = {
        "toolbar_location": None,
        "tools": "",
        "sizing_mode": "stretch_both",
        "background_fill_color": PAGE,
        "border_fill_color": PAGE,
        "outline_line_color": None,
        "min_border": 0,
    }
    fig = figure(**plain | options)
    for axis in fig.axis:
        axis.update(
            axis_line_color=LINE, major_tick_line_color=None, minor_tick_line_color=None,
            major_label_text_color=MUTED, major_label_text_font=MONO, major_label_text_font_size="11px",
        )  # fmt: skip
    for grid in fig.grid:
        grid.update(grid_line_color="#FFFFFF", grid_line_alpha=0.05)
    return fig
