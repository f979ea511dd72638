"""What is drawn over the heatmap: VWAP, large trades, liquidations, levels, standing walls, liquidity events."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, GlyphRenderer, HoverTool, Range1d
from bokeh.plotting import figure

from dashboards.board import look
from dashboards.board.health import size_text
from dashboards.board.level_queries import Event, Level, Wall
from dashboards.board.number_text import price_text
from dashboards.board.sources import bring, source
from dashboards.board.tape_queries import Trade

DOTS_NAMED = 5
LETTER_PX = 6.1  # of the 10 px mono face
LEVELS_NAMED = 10
EVIDENCE_NAMED = 4
EVENTS_SHOWN = 60
ZONE_PX = 7
MARKERS = {"pull": "x", "refill": "plus", "absorption": "inverted_triangle"}
BOX = f"""<div style="margin:-5px;font:12px {look.SANS.replace('"', "'")};color:{look.TEXT};
background:{look.RAISED};padding:6px 9px;white-space:pre-line">@tip</div>"""


class Overlays:
    """Glyphs on the figure of the heatmap; times are ms, prices quote currency, sizes base currency."""

    def __init__(self, heat: figure, flow: ColumnDataSource, x_range: Range1d, y_range: Range1d) -> None:
        self.dots = source("x", "y", "size", "colour", "label", "amount")
        self.forced = source("x", "y", "size", "colour", "tip")
        self.events = source("x", "y", "marker", "colour", "tip")
        self.levels = source("low", "high", "price", "label", "colour", "alpha", "tip")
        self.walls = source("y", "x0", "x1")
        self._y_range = y_range
        level_parts = self._levels(heat, x_range)
        heat.line("right", "vwap", source=flow, line_color=look.VWAP, line_width=1.4, line_dash=[5, 4])
        trade_parts = self._marks(heat)
        self.shown_by_layer: list[list[GlyphRenderer]] = [trade_parts, level_parts]

    def show_trades(self, trades: Sequence[Trade], apart: tuple[float, float]) -> None:
        """Area tells the size; the largest carry it in words that fit, those at least `apart` (ms, quote)."""
        size = np.array([trade.size for trade in trades])
        largest = _apart(trades, apart)
        # 30 px for the size that 1 % of the dots exceed, but no more than 6 px for the smallest.
        scale = min(30 / np.sqrt(np.percentile(size, 99)), 6 / np.sqrt(size.min())) if size.size else 1.0
        across = np.clip(scale * np.sqrt(size), 4, 30)
        words = [size_text(t.size) if at in largest else "" for at, t in enumerate(trades)]
        bring(
            self.dots,
            {
                "x": np.array([trade.time_ms for trade in trades]),
                "y": np.array([trade.price for trade in trades]),
                "size": across,
                "colour": [_colour(trade.buy) for trade in trades],
                "label": [x if len(x) * LETTER_PX <= px else "" for x, px in zip(words, across, strict=True)],
                "amount": size,
            },
        )

    def show_forced(self, forced: Sequence[Trade], base: str, decimals: int) -> None:
        """Liquidations: diamonds in the aggressor's colour with a rim."""
        size = np.array([trade.size for trade in forced])
        scale = 12 / np.sqrt(np.median(size)) if size.size else 1.0
        tips = [
            f"{'Short' if trade.buy else 'Long'} liquidated: {size_text(trade.size)} {base}\n"
            f"{price_text(trade.price, decimals)}, {_clock(trade.time_ms)} UTC"
            for trade in forced
        ]
        bring(
            self.forced,
            {
                "x": np.array([trade.time_ms for trade in forced]),
                "y": np.array([trade.price for trade in forced]),
                "size": np.clip(scale * np.sqrt(size), 8, 26),
                "colour": [_colour(trade.buy) for trade in forced],
                "tip": tips,
            },
        )

    def show_events(self, events: Sequence[Event], bin_step: float, base: str, decimals: int) -> None:
        """The largest liquidity events of those given."""
        chosen = sorted(events, key=lambda event: (-event.size, event.time_ms))[:EVENTS_SHOWN]
        bring(
            self.events,
            {
                "x": np.array([event.time_ms - 500 for event in chosen]),
                "y": np.array([event.price + bin_step / 2 for event in chosen]),
                "marker": [MARKERS.get(event.kind, "circle") for event in chosen],
                "colour": [_colour(event.side == "bid") for event in chosen],
                "tip": [_event_words(event, base, decimals) for event in chosen],
            },
        )

    def show_levels(self, levels: Sequence[Level], height_px: float, decimals: int) -> None:
        """The strongest levels in view that can be told apart, with the zone of their evidence."""
        chosen = self.legible(levels, height_px)
        # A zone can be met with the mouse.
        least = ZONE_PX / 2 / height_px * (self._y_range.end - self._y_range.start)
        bring(
            self.levels,
            {
                "low": np.array([min(level.low, level.price - least) for level in chosen]),
                "high": np.array([max(level.high, level.price + least) for level in chosen]),
                "price": np.array([level.price for level in chosen]),
                "label": [
                    f"{'S' if level.side == 'support' else 'R'} {price_text(level.price, decimals)}"
                    f" · {level.strength:.0f}"
                    for level in chosen
                ],
                "colour": [_colour(level.side == "support") for level in chosen],
                "alpha": np.array([0.35 + 0.5 * min(level.strength, 100) / 100 for level in chosen]),
                "tip": [_level_words(level, decimals) for level in chosen],
            },
        )

    def legible(self, levels: Sequence[Level], height_px: float) -> list[Level]:
        """Strongest first, none closer than a line of text to a stronger one, none out of view."""
        low, high = self._y_range.start, self._y_range.end
        apart = 14 / height_px * (high - low)
        chosen: list[Level] = []
        for level in sorted(levels, key=lambda level: -level.strength):
            clear = all(abs(level.price - other.price) >= apart for other in chosen)
            if clear and low < level.price < high - 2 * apart and len(chosen) < LEVELS_NAMED:
                chosen.append(level)
        return chosen

    def show_walls(self, walls: Sequence[Wall], end_ms: float) -> None:
        """How long each has stood: a thin line along its bin from its first second on."""
        bring(
            self.walls,
            {
                "y": np.array([wall.price + wall.bin_step / 2 for wall in walls]),
                "x0": np.array([wall.from_s * 1000 for wall in walls]),
                "x1": np.full(len(walls), end_ms),
            },
        )

    def _levels(self, heat: figure, x_range: Range1d) -> list[GlyphRenderer]:
        zones = heat.quad(
            left=0, right=4e12, bottom="low", top="high", source=self.levels, fill_color="colour",
            fill_alpha=0.10, line_color=None,
        )  # fmt: skip
        lines = heat.hspan(
            y="price", source=self.levels, line_color="colour", line_alpha="alpha", line_width=1.2
        )
        labels = heat.text(
            x=0, y="price", text="label", source=self.levels, x_offset=8, y_offset=-1, text_baseline="bottom",
            text_font=look.GLYPH_MONO, text_font_size="11px", text_color="colour",
            background_fill_color=look.PAGE, background_fill_alpha=0.88,
        )  # fmt: skip
        # Text has no screen coordinates: labels follow the left edge.
        self.place = CustomJS(args={"glyph": labels.glyph, "x": x_range}, code="glyph.x = {value: x.start}")
        x_range.js_on_change("start", self.place)
        walls = heat.segment(
            x0="x0", x1="x1", y0="y", y1="y", source=self.walls, line_color=look.TEXT, line_alpha=0.6,
            line_width=1, line_dash="dotted",
        )  # fmt: skip
        heat.add_tools(_hover(zones))
        return [zones, lines, labels, walls]

    def _marks(self, heat: figure) -> list[GlyphRenderer]:
        dots = heat.scatter(
            x="x", y="y", size="size", fill_color="colour", fill_alpha=0.72, line_color=look.HALO,
            source=self.dots,
        )  # fmt: skip
        labels = heat.text(
            x="x", y="y", text="label", source=self.dots, text_align="center", text_baseline="middle",
            text_font=look.GLYPH_MONO, text_font_size="10px", text_font_style="bold", text_color=look.HALO,
        )  # fmt: skip
        events = heat.scatter(
            x="x", y="y", size=7, marker="marker", line_color="colour", fill_color=None, line_width=1.5,
            source=self.events,
        )  # fmt: skip
        forced = heat.scatter(
            x="x", y="y", size="size", marker="diamond", fill_color="colour", line_color=look.CURRENT,
            line_width=1.6, source=self.forced,
        )  # fmt: skip
        heat.add_tools(_hover(forced), _hover(events))
        return [dots, labels, events, forced]


def _apart(trades: Sequence[Trade], apart: tuple[float, float]) -> list[int]:
    chosen: list[int] = []
    for at in sorted(range(len(trades)), key=lambda at: -trades[at].size):
        clear = all(
            abs(trades[at].time_ms - trades[other].time_ms) >= apart[0]
            or abs(trades[at].price - trades[other].price) >= apart[1]
            for other in chosen
        )
        if clear:
            chosen.append(at)
        if len(chosen) == DOTS_NAMED:
            break
    return chosen


def _hover(renderer: GlyphRenderer) -> HoverTool:
    # Left of the mouse: right of it the heatmap tells what rests there.
    return HoverTool(
        renderers=[renderer], tooltips=BOX, point_policy="follow_mouse", show_arrow=False, attachment="left"
    )


def _colour(buy: bool) -> str:
    return look.BUY if buy else look.SELL


def _clock(time_ms: float) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S}"


def _event_words(event: Event, base: str, decimals: int) -> str:
    what = {
        "pull": f"{size_text(event.size)} {base} pulled from the {event.side}",
        "refill": f"{size_text(event.size)} {base} came again at the {event.side}, suspected iceberg",
        "absorption": f"{size_text(event.size)} {base} absorbed by the {event.side}",
    }.get(event.kind, event.kind)
    return f"{what}\n{price_text(event.price, decimals)}, traded {size_text(event.traded)}, {_clock(event.time_ms)} UTC"


def _level_words(level: Level, decimals: int) -> str:
    head = (
        f"{level.side.capitalize()} {price_text(level.price, decimals)}, strength {level.strength:.0f} of 100"
    )
    strongest = sorted(level.evidence, key=lambda item: -item[3])
    lines = [
        f"{kind.replace('_', ' ')} {price_text(price, decimals)} {venue} +{weight:.0f}, known {_clock(known_s * 1000)}"
        for kind, venue, price, weight, known_s in strongest[:EVIDENCE_NAMED]
    ]
    more = [f"{len(strongest) - EVIDENCE_NAMED} more"] if len(strongest) > EVIDENCE_NAMED else []
    return "\n".join([head, *lines, *more])
