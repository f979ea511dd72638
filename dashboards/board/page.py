"""The depth page: its figures, sources and controls, without knowledge of where the data comes from."""

from typing import Any

from bokeh.models import (
    AdaptiveTicker,
    Button,
    CheckboxButtonGroup,
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    CustomJSHover,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    NumeralTickFormatter,
    RadioButtonGroup,
    Range1d,
    RangeTool,
    Select,
    Span,
)
from bokeh.plotting import figure

from dashboards.board import look
from dashboards.board.columns import ROWS_OFFERED
from dashboards.board.flow_panels import FlowPanels
from dashboards.board.footprint_layer import HEAT_ALPHA, FootprintLayer
from dashboards.board.health import size_text
from dashboards.board.intensity import RAMPS, Scale, ramp
from dashboards.board.overlays import Overlays
from dashboards.board.profile_panel import ProfilePanel

IMAGE = ("image", "x", "y", "dw", "dh")
ROW_LABELS = [*map(str, ROWS_OFFERED), "Auto"]
STEP_LABELS = ["1 s", "10 s", "1 min", "Auto"]
RAMP_LABELS = [name.capitalize() for name in RAMPS]
ZONE_LABELS = ["Local", "UTC"]
AXIS_PX = 76
LAYER_LABELS = ["Heat", "Trades", "Levels"]
WORDS = (
    "last", "tick", "spread", "imbalance", "state", "words", "venues", "venues_state", "lost", "trades", "ladder",
    "change", "change_since", "funding", "funding_next", "interest", "liquidated", "flow_words", "sums_words",
    "profile_words", "poc", "vah", "val", "vwap", "volume", "delta", "walls_words", "no_book",
)  # fmt: skip
NO_STATUS = {name: [""] for name in WORDS} | {"last_price": [float("nan")], "near": [[]], "walls": [[]]}

# isotherm.* is page script of templates/depth.html.
_TIME = "return isotherm.time(tick, ticks, {zone})"
_PALETTE = """
const base = ramps[ramp.active], low = handles.start, high = Math.max(handles.end, low + 1);
const palette = ['#0a0d1200'];
for (let i = 1; i < 255; i++) {
  const at = Math.min(Math.max((i - low) / (high - low), 0), 1);
  palette.push(i < low ? '#0a0d1200' : base[10 + Math.round(at * 245)]);
}
palette.push(unknown);
mapper.palette = palette;
isotherm.handles(low, high, scale.data.smallest[0], scale.data.step[0]);
"""
_HOVER_SIZE = """
if (value === 255) return 'not known';
if (value === 0) return 'nothing';
return '≈ ' + isotherm.size(scale.data.smallest[0] * Math.exp((value - 1) * scale.data.step[0]));
"""
_TOOLTIP = f"""<div style="margin:-5px;font:12px {look.SANS.replace('"', "'")};color:{look.TEXT};
background:{look.RAISED};padding:6px 9px"><div style="color:{look.MUTED}">$x{{custom}}</div>
<b>$y{{0,0.00}}</b> &nbsp;resting <b>@image{{custom}}</b></div>"""


class DepthPage:
    """The models of one session's page. All times on it are ms since 1970 UTC, as bokeh wants them."""

    def __init__(self, scale: Scale, price_format: str) -> None:
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.tiles = ColumnDataSource({name: [] for name in IMAGE})
        self.live = ColumnDataSource({name: [] for name in IMAGE})
        self.extension = ColumnDataSource({name: [] for name in IMAGE})
        self.path = ColumnDataSource({name: [] for name in ("x", "mid", "bid", "ask")})
        self.gaps = ColumnDataSource({name: [] for name in ("left", "right", "middle", "label")})
        self.ladder = ColumnDataSource({name: [] for name in ("y", "right", "side")})
        self.named = ColumnDataSource({name: [] for name in ("y", "label")})
        self.histogram = ColumnDataSource({name: [] for name in ("left", "right", "top", "index")})
        self.scale = ColumnDataSource({"smallest": [scale.smallest], "step": [scale.step]})
        self.status = ColumnDataSource(NO_STATUS)
        self.mapper = LinearColorMapper(palette=ramp("ice"), low=-0.5, high=255.5)
        self.handles = Range1d(60, 160)
        self._controls()
        self._spans()
        self.flow = FlowPanels(self.x_range, AXIS_PX)
        self.heat = self._heat(price_format)
        self.ladder_figure = self._ladder()
        self.profile = ProfilePanel(self.y_range, (self.last_line, self.cross_price))
        self.heat.hspan(
            y="y", source=self.profile.lines, line_color="colour", line_dash="dotted", line_alpha=0.35
        )
        self.histogram_figure = self._histogram()
        self._wire()

    def roots(self) -> dict[str, Any]:
        """The models that the template places, by the name it knows them by."""
        return {
            "heat": self.heat, "ladder": self.ladder_figure, "histogram": self.histogram_figure,
            "books": self.books, "rows": self.rows, "steps": self.steps, "ramps": self.ramps,
            "zone": self.zone, "go_live": self.go_live, "fit": self.fit, "layers": self.layers,
            "footprints": self.footprints, "profile": self.profile.figure, "kind": self.profile.kind,
            "volume": self.flow.volume, "sums": self.flow.sums, "series": self.flow.series,
        }  # fmt: skip

    @property
    def heat_px(self) -> int:
        """Height of the heatmap, px."""
        return look.frame_px(self.heat)[1]

    @property
    def heat_width_px(self) -> int:
        """Width of the heatmap, px."""
        return look.frame_px(self.heat)[0]

    def px_apart(self, px: tuple[int, int]) -> tuple[float, float]:
        """What so many pixels are on the heatmap: (ms, quote currency)."""
        x, y = self.x_range, self.y_range
        return (x.end - x.start) * px[0] / self.heat_width_px, (y.end - y.start) * px[1] / self.heat_px

    def show_layers(self, heat: bool, trades: bool, levels: bool, footprints: bool) -> None:
        """What of the heatmap's layers is seen; behind footprints the heat is dimmed."""
        for image in self.images:
            image.visible = heat
            image.glyph.global_alpha = HEAT_ALPHA if footprints else 1.0
        for parts, wanted in zip(
            self.overlays.shown_by_layer, (trades and not footprints, levels), strict=True
        ):
            for part in parts:
                part.visible = wanted

    def show_bid_and_ask(self, apart: bool) -> None:
        """Two lines where the spread is wide enough to see, else one of the mid."""
        self.bid_line.visible = self.ask_line.visible = apart
        self.mid_line.visible = self.halo.visible = not apart

    def use_scale(self, scale: Scale) -> None:
        """The sizes that indices stand for from now on."""
        self.scale.data = {"smallest": [scale.smallest], "step": [scale.step]}
        ticks = [scale.smallest * 10.0**power for power in range(6)]
        axis = self.histogram_figure.xaxis[0]
        axis.ticker = FixedTicker(ticks=[scale.position(size) for size in ticks])
        axis.major_label_overrides = {
            scale.position(size): f"{size:g}" if size < 1000 else size_text(size).replace(".0", "")
            for size in ticks
        }

    def _controls(self) -> None:
        plain = {"stylesheets": [look.CONTROLS_CSS], "margin": 0}
        self.books = Select(width=264, **plain)
        self.rows = RadioButtonGroup(labels=ROW_LABELS, active=1, **plain)
        self.steps = RadioButtonGroup(labels=STEP_LABELS, active=0, **plain)
        self.ramps = RadioButtonGroup(labels=RAMP_LABELS, active=0, **plain)
        self.zone = RadioButtonGroup(labels=ZONE_LABELS, active=0, **plain)
        self.layers = CheckboxButtonGroup(labels=LAYER_LABELS, active=[0, 1, 2], **plain)
        self.footprints = Button(label="Footprint (F)", **plain)
        self.go_live = Button(label="Newest (L)", **plain)
        self.fit = Button(label="Fit (A)", **plain)

    def _spans(self) -> None:
        dashed = {"line_dash": [3, 3], "line_color": look.MUTED, "line_width": 1}
        self.cross_price, self.cross_time = (
            Span(dimension="width", **dashed),
            Span(dimension="height", **dashed),
        )
        self.last_line = Span(
            dimension="width", location=0, line_color=look.CURRENT, line_dash=[2, 3], line_alpha=0.9
        )
        self.now_line = Span(dimension="height", location=0, line_color=look.MUTED, line_alpha=0.5)

    def _heat(self, price_format: str) -> figure:
        fig = look.plain_figure(
            x_range=self.x_range, y_range=self.y_range, x_axis_type="datetime", y_axis_location="right",
            min_border_right=AXIS_PX, tools="pan,xwheel_zoom", active_scroll="xwheel_zoom",
        )  # fmt: skip
        fig.xaxis.visible = False
        fig.grid.level = "underlay"
        fig.yaxis.formatter = NumeralTickFormatter(format=price_format)
        fig.yaxis.ticker = AdaptiveTicker(desired_num_ticks=12, mantissas=[1, 2, 2.5, 5])
        fig.xaxis.ticker.desired_num_ticks = 9
        image = dict(zip(IMAGE, IMAGE, strict=True)) | {"color_mapper": self.mapper}
        tiles = [fig.image(**image, source=source) for source in (self.tiles, self.live)]
        fig.image(**image, source=self.extension, global_alpha=0.45)
        fig.quad(
            left="left", right="right", bottom=-1e12, top=1e12, source=self.gaps, line_color=None,
            fill_color=look.PANEL, hatch_pattern="right_diagonal_line", hatch_color=look.HATCH, hatch_scale=8,
        )  # fmt: skip
        self.images = tiles
        self._price_lines(fig)
        self.overlays = Overlays(fig, self.flow.flow, self.x_range, self.y_range)
        self.footprint = FootprintLayer(fig, self.y_range)
        self._gap_labels(fig)
        fig.add_layout(self.last_line)
        fig.add_layout(self.now_line)
        fig.add_tools(
            CrosshairTool(overlay=[self.cross_price, self.cross_time]),
            HoverTool(
                renderers=tiles, tooltips=_TOOLTIP, point_policy="follow_mouse", show_arrow=False,
                attachment="right",
                formatters={"@image": CustomJSHover(args={"scale": self.scale}, code=_HOVER_SIZE),
                            "$x": CustomJSHover(args={"zone": self.zone},
                                                code="return isotherm.moment(special_vars.x, zone.active)")},
            ),
        )  # fmt: skip
        return fig

    def _price_lines(self, fig: figure) -> None:
        line = {"x": "x", "source": self.path, "mode": "after"}
        self.halo = fig.step(y="mid", line_color=look.HALO, line_width=4.5, line_alpha=0.75, **line)
        self.mid_line = fig.step(y="mid", line_color=look.MID, line_width=1.4, **line)
        self.bid_line = fig.step(y="bid", line_color=look.BUY, line_width=1.4, **line)
        self.ask_line = fig.step(y="ask", line_color=look.SELL, line_width=1.4, **line)

    def _gap_labels(self, fig: figure) -> None:
        self.gap_labels = fig.text(
            x="middle", y=0, text="label", source=self.gaps, y_offset=-12, text_align="center",
            text_baseline="bottom", text_font=look.GLYPH_SANS, text_font_size="11px", text_color=look.TEXT,
            background_fill_color=look.PANEL, background_fill_alpha=0.9, padding=3,
        )  # fmt: skip

    def _ladder(self) -> figure:
        fig = look.plain_figure(x_range=Range1d(0, 1), y_range=self.y_range)
        fig.axis.visible = fig.grid.visible = False
        self.ladder_rows = fig.hbar(
            y="y", left=0, right="right", height=1.0, source=self.ladder, fill_alpha=0.6, line_color=None,
            fill_color={"field": "side", "transform": look.by_sign()},
        )  # fmt: skip
        fig.text(
            x=0.03, y="y", text="label", source=self.named, text_font=look.GLYPH_MONO, text_font_size="11px",
            text_font_style="bold", text_color="#FFFFFF", text_baseline="middle",
            background_fill_color=look.PAGE, background_fill_alpha=0.6,
        )  # fmt: skip
        fig.add_layout(self.last_line)
        fig.add_layout(self.cross_price)
        return fig

    def _histogram(self) -> figure:
        fig = look.plain_figure(
            x_range=Range1d(1, 254), y_range=Range1d(0, 1), background_fill_color=look.PANEL,
            border_fill_color=look.PANEL, min_border_left=6, min_border_right=6,
        )  # fmt: skip
        fig.yaxis.visible = fig.grid.visible = False
        bars = {"left": "left", "right": "right", "bottom": 0, "top": "top", "line_color": None}
        fig.quad(**bars, fill_color=look.LINE, source=self.histogram)
        fig.quad(**bars, fill_color={"field": "index", "transform": self.mapper}, source=self.histogram)
        tool = RangeTool(x_range=self.handles)
        tool.overlay.update(
            fill_color="#FFFFFF", fill_alpha=0.05, line_color=look.TEXT, line_width=1.5, line_dash="solid"
        )
        fig.add_tools(tool)
        return fig

    def _wire(self) -> None:
        recolour = CustomJS(
            args={"handles": self.handles, "mapper": self.mapper, "ramp": self.ramps, "scale": self.scale,
                  "ramps": [ramp(name) for name in RAMPS], "unknown": look.UNKNOWN_CELL},
            code=_PALETTE,
        )  # fmt: skip
        for prop in ("start", "end"):
            self.handles.js_on_change(prop, recolour)
        self.ramps.js_on_change("active", recolour)
        self.scale.js_on_change("data", recolour)
        self.recolour = recolour
        kept = (
            ("row", self.rows), ("col", self.steps), ("ramp", self.ramps), ("tz", self.zone),
            ("profile", self.profile.kind), ("sums", self.flow.series),
        )  # fmt: skip
        for name, group in kept:
            group.js_on_change("active", CustomJS(code=f"isotherm.keep('{name}', this.labels[this.active])"))
        shown = "isotherm.keep('layers', this.active.map(at => this.labels[at]).join(' '))"
        self.layers.js_on_change("active", CustomJS(code=shown))
        self.books.js_on_change("value", CustomJS(code="isotherm.keep('i', this.value)"))
        self._wire_zone()
        self.tell = CustomJS(
            args={"status": self.status, "y": self.y_range, "zone": self.zone},
            code="isotherm.tell(status.data, y.start, y.end, zone.active)",
        )
        self.status.js_on_change("data", self.tell)
        self.lists = CustomJS(
            args={"dots": self.overlays.dots, "zone": self.zone, "axis": self.heat.yaxis[0]},
            code="isotherm.tape(dots.data, zone.active, axis.formatter.format)",
        )
        self.overlays.dots.js_on_change("data", self.lists)
        for change in ("streaming", "patching"):
            self.overlays.dots.js_on_change(change, self.lists)
        self.zone.js_on_change("active", self.lists)
        for prop in ("start", "end"):
            self.y_range.js_on_change(prop, self.tell)
        # Text has no screen coordinates: the labels of gaps follow the lower edge.
        self.place_labels = CustomJS(
            args={"glyph": self.gap_labels.glyph, "y": self.y_range}, code="glyph.y = {value: y.start}"
        )
        self.y_range.js_on_change("start", self.place_labels)

    def _wire_zone(self) -> None:
        formatters = [CustomJSTickFormatter(code=_TIME.format(zone=zone)) for zone in (0, 1)]
        axis = self.flow.sums.xaxis[0]
        axis.formatter = formatters[0]
        swap = CustomJS(
            args={"axis": axis, "formatters": formatters},
            code="axis.formatter = formatters[this.active]; isotherm.zone(this.active)",
        )
        self.zone.js_on_change("active", swap)
