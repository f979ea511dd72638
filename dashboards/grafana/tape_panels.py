"""The panels of the tape board: traded volume by price and time, order flow, and what is made of them.

As on the depth board, nothing is invented: a step without a trade comes out as NULL, which is drawn as a hole.
"""
# ruff: noqa: S608 (the parts are constants of this module; a viewer can send any SQL, as a user who only reads)

from dashboards.grafana import panels
from dashboards.grafana.panels import TABLE, TIME_SERIES, Json

BUY, SELL, CURRENT, VWAP, NEUTRAL = "#2FD6A3", "#FF6A5E", "#FFC857", "#C9A2FF", "#9CC3F0"

INSTRUMENT = "instrument = ${instrument:singlequote}"
VENUE = "(${venue:singlequote} = 'all' OR venue = ${venue:singlequote})"
RANGE = "instrument = ${instrument:singlequote}, from_time = $__fromTime, to_time = $__toTime + 1"
# Footprints are of 10 s, 1 min and 1 h, order flow of 1 s, 1 min and 1 h; a step is a whole multiple of either.
BAR_S = "multiIf('${interval}' = '10s', 10, '${interval}' = '1m', 60, 3600)"
FLOW_S = "multiIf('${interval}' = '10s', 1, '${interval}' = '1m', 60, 3600)"
STEP_S = f"toUInt32(intDiv($__interval_s + {BAR_S} - 1, {BAR_S}) * {BAR_S})"
STEP = f"toIntervalSecond({STEP_S})"
FIRST = f"toStartOfInterval(toDateTime($__fromTime, 'UTC'), {STEP})"
FILL = f"ORDER BY time WITH FILL FROM {FIRST} TO toDateTime($__toTime, 'UTC') STEP {STEP}"
STEPS = f"arrayJoin(range(toUInt32(intDiv(toUInt32($__toTime) - toUInt32({FIRST}), {STEP_S}) + 1)))"
EDGE = 1e-9  # of a row: a price on an edge is in the row above, whatever its last binary digit

FOOTPRINT = f"""SELECT c.time AS bar, c.price AS price, c.row_step AS row_step, c.buy AS buy, c.sell AS sell,
        c.delta AS delta, c.total AS total
    FROM market.footprint_cells_${{interval}} AS c
    WHERE {INSTRUMENT} AND venue = ${{venue:singlequote}} AND $__timeFilter(c.time)
    UNION ALL
    SELECT c.time AS bar, c.price AS price, c.row_step AS row_step, c.buy AS buy, c.sell AS sell,
        c.delta AS delta, c.total AS total
    FROM market.footprint_all_venues_${{interval}} AS c
    WHERE {INSTRUMENT} AND ${{venue:singlequote}} = 'all' AND $__timeFilter(c.time)"""


def cells(value: str) -> str:
    """Rows of the footprints as a heatmap; `value` is an aggregate of the bars of a step.

    As the heatmap panel wants it: the end of each step, a gap-free grid of rows, and each step at least once.
    """
    return f"""WITH
    bars AS (
    {FOOTPRINT}
    ),
    (SELECT (min(price), max(price), max(row_step)) FROM bars) AS view,
    if(view.3 > 0, view.3 * greatest(1, ceil((view.2 - view.1 + view.3) / view.3 / ${{rows}})), 1) AS row_height,
    toInt64(floor(view.1 / row_height + {EDGE})) AS first_row,
    toInt64(floor(view.2 / row_height + {EDGE})) AS last_row
SELECT time, toString(round(row * row_height, 9)) AS price, max(size) AS Value
FROM
(
    SELECT
        toStartOfInterval(bar, {STEP}) + {STEP} AS time, toInt64(floor(bars.price / row_height + {EDGE})) AS row,
        toNullable({value}) AS size
    FROM bars
    GROUP BY time, row
    UNION ALL
    SELECT {FIRST} + {STEP} AS time, first_row + arrayJoin(range(toUInt32(last_row - first_row + 1))) AS row,
        NULL AS size
    WHERE view.3 > 0
    UNION ALL
    SELECT {FIRST} + toIntervalSecond(({STEPS} + 1) * {STEP_S}) AS time, first_row AS row, NULL AS size
    WHERE view.3 > 0
)
GROUP BY time, row
ORDER BY time, row"""


def volume_heatmap() -> Json:
    """Volume by price and time: all of it, bought or sold."""
    text = (
        "Volume traded in each step of time and row of prices, in base currency: all of it, or what aggressors"
        " bought or sold. Empty: no trade, or none known. Choose a venue, or all of them added up."
    )
    color = {
        "mode": "scheme",
        "scheme": "YlGnBu",
        "reverse": True,
        "steps": 64,
        "scale": "exponential",
        "exponent": 0.5,
    }
    return _heatmap("Volume by price", text, cells("sum(bars.${shown})"), "short", color, {"le": 1e-9})


def delta_heatmap() -> Json:
    """Delta by price and time."""
    largest = f"""(SELECT max(abs(cell)) FROM (
            SELECT sum(delta) AS cell FROM bars
            GROUP BY toStartOfInterval(bar, {STEP}), floor(bars.price / row_height + {EDGE})
        ))"""
    text = (
        "Bought less sold in each step of time and row of prices, as a share of the largest such cell in view:"
        " green where buyers were the aggressors, red where sellers were. Empty: no trade, or none known."
    )
    color = {"mode": "scheme", "scheme": "RdYlGn", "steps": 64, "min": -1, "max": 1}
    value = f"if({largest} = 0, 0, sum(bars.delta) / {largest})"
    return _heatmap("Delta by price", text, cells(value), "percentunit", color, {"le": -2})


def profile() -> Json:
    """The profile of the time range, rows of prices across."""
    sql = f"""WITH
    profile AS (SELECT * FROM market.volume_profile({RANGE}, venue = ${{venue:singlequote}})),
    (SELECT (min(price), max(price), max(row_step)) FROM profile) AS view,
    if(view.3 > 0, view.3 * greatest(1, ceil((view.2 - view.1 + view.3) / view.3 / ${{rows}})), 1) AS row_height,
    toInt64(floor(view.1 / row_height + {EDGE})) AS first_row
SELECT
    toString(round(row * row_height, 9)) AS price, sumIf(buy, in_value_area) AS buy_in_value,
    sumIf(sell + unknown, in_value_area) AS sell_in_value, sumIf(buy, NOT in_value_area) AS buy_outside,
    sumIf(sell + unknown, NOT in_value_area) AS sell_outside
FROM
(
    SELECT toInt64(floor(profile.price / row_height + {EDGE})) AS row, buy, sell, unknown, in_value_area FROM profile
    UNION ALL
    SELECT first_row + arrayJoin(range(toUInt32(floor(view.2 / row_height + {EDGE}) - first_row + 1))), 0, 0, 0, false
    WHERE view.3 > 0
)
GROUP BY row
ORDER BY row DESC"""
    text = (
        "Volume of the whole time range by price, in base currency: bought and sold (with what nobody knows the"
        " aggressor"
        " of), bright in the value area (70 %, two-row rule), pale outside of it. The range is cut to whole 10 s."
    )
    options = {
        "orientation": "horizontal", "xField": "price", "stacking": "normal", "showValue": "never", "barWidth": 1,
        "groupWidth": 1, "barRadius": 0, "fullHighlight": False, "xTickLabelSpacing": 100,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "none"},
    }  # fmt: skip
    colours = {
        "buy_in_value": BUY,
        "sell_in_value": SELL,
        "buy_outside": "#1C5246",
        "sell_outside": "#752C32",
    }
    drawn = panels.panel(
        "barchart", "Profile of the range", text, sql, TABLE, "short", options, _colours(colours)
    )
    drawn["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 90, "lineWidth": 0}
    return drawn


def profile_levels() -> Json:
    """What the profile of the time range says in numbers."""
    sql = f"""SELECT poc, vah, val, vwap, total, delta, delta / total AS delta_share
FROM market.volume_profile_levels({RANGE}, venue = ${{venue:singlequote}})
ORDER BY total DESC
LIMIT 1"""
    text = (
        "Of the whole time range: point of control (lower edge of its row), value area high and low (70 %, two-row"
        " rule), volume-weighted average price; volume, and bought less sold, in base currency."
    )
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""}, "orientation": "horizontal",
        "colorMode": "none", "graphMode": "none", "textMode": "value_and_name",
    }  # fmt: skip
    units = [panels.unit("delta_share", "percentunit")]
    return panels.panel("stat", "Profile in numbers", text, sql, TABLE, "short", options, units)


def price_and_value() -> Json:
    """Price, and the profile of the day as it developed."""
    sql = f"""SELECT time, max(last) AS price, max(poc_row) AS poc, max(high) AS vah, max(low) AS val, max(mean) AS vwap
FROM
(
    SELECT
        toStartOfInterval(b.time, {STEP}) AS time, argMaxOrNull(b.close, b.time) AS last, NULL AS poc_row, NULL AS high,
        NULL AS low, NULL AS mean
    FROM market.order_flow_bars AS b
    WHERE {INSTRUMENT} AND {VENUE} AND interval_s = {FLOW_S} AND $__timeFilter(b.time)
    GROUP BY time
    UNION ALL
    SELECT
        toStartOfInterval(p.time - 1, {STEP}) AS time, NULL, argMaxOrNull(p.developing_poc, p.time),
        argMaxOrNull(p.vah, p.time), argMaxOrNull(p.val, p.time), argMaxOrNull(p.vwap, p.time)
    FROM market.profile_history AS p
    WHERE {INSTRUMENT} AND venue = ${{venue:singlequote}} AND span = 'day' AND $__timeFilter(p.time)
        AND p.time > $__fromTime
    GROUP BY time
)
GROUP BY time
{FILL}"""
    text = (
        "Last price of each step, in quote currency, and of the day's profile as it was then: point of control,"
        " value area"
        " and volume-weighted average price, told each minute. Those are of one venue: with all there is the price"
        " alone."
    )
    colours = {"price": "#F2F5F9", "poc": CURRENT, "vah": NEUTRAL, "val": NEUTRAL, "vwap": VWAP}
    custom = {"lineInterpolation": "stepAfter", "spanNulls": False}
    drawn = panels.series("Price and value", text, sql, "short", panels.LINE | custom, _colours(colours))
    return _dotted(drawn, "poc", "vah", "val", "vwap")


def delta_bars() -> Json:
    """Bought above, sold below zero, and their difference."""
    sql = f"""SELECT
    toStartOfInterval(b.time, {STEP}) AS time, sumOrNull(b.buy) AS buy, -sumOrNull(b.sell) AS sell,
    sumOrNull(b.delta) AS delta
FROM market.order_flow_bars AS b
WHERE {INSTRUMENT} AND {VENUE} AND interval_s = {FLOW_S} AND $__timeFilter(b.time)
GROUP BY time
{FILL}"""
    text = "Volume of each step by aggressor, in base currency: bought above zero, sold below, and the difference."
    colours = _colours({"buy": BUY, "sell": SELL, "delta": "#F2F5F9"})
    drawn = panels.series("Delta", text, sql, "short", panels.BARS, colours)
    drawn["fieldConfig"]["overrides"].append(panels.override("delta", "custom.drawStyle", "line"))
    return drawn


def cvd(by_size: bool) -> Json:
    """Running delta from the open of the session, or that of each class of trade size."""
    names = ["cvd_small", "cvd_medium", "cvd_large", "cvd_whale"] if by_size else ["cvd"]
    newest = ", ".join(f"argMaxOrNull({name}, bar) AS {name[4:] if by_size else name}" for name in names)
    columns = ", ".join(names)
    sql = f"""SELECT toStartOfInterval(bar, {STEP}) AS time, {newest}
FROM
(
    SELECT c.time AS bar, {columns}
    FROM market.cvd({RANGE}, venue = ${{venue:singlequote}}, interval_s = {FLOW_S}) AS c
    WHERE venue = ${{venue:singlequote}}
    UNION ALL
    SELECT c.time AS bar, {columns}
    FROM market.cvd_all_venues({RANGE}, interval_s = {FLOW_S}) AS c
    WHERE ${{venue:singlequote}} = 'all'
)
GROUP BY time
{FILL}"""
    start = "Bought less sold from the open of the session (00:00 UTC; of forex 17:00 in New York), in base currency"
    if not by_size:
        text = f"{start}. Over all venues those that have gone silent are left out: see the table of venues."
        return panels.series("CVD", text, sql, "short", panels.LINE, _colours({"cvd": NEUTRAL}))
    text = f"{start}, of trades below 1,000, 10,000 and 100,000 in quote currency, and of larger ones."
    colours = {"small": "#5B8FF9", "medium": "#5AD8A6", "large": "#F6BD16", "whale": "#E8684A"}
    return panels.series("CVD by size", text, sql, "short", panels.LINE, _colours(colours))


def liquidations() -> Json:
    """Positions closed by force."""
    sql = f"""SELECT
    toStartOfInterval(toDateTime(l.time, 'UTC'), {STEP}) AS time, sumIf(value, liquidated_side = 'short') AS shorts,
    -sumIf(value, liquidated_side = 'long') AS longs
FROM market.liquidation_orders AS l
WHERE {INSTRUMENT} AND {VENUE} AND $__timeFilter_ms(l.time)
GROUP BY time
ORDER BY time"""
    text = (
        "Positions closed by force in each step, in quote currency: shorts (forced purchases) above zero, longs (forced"
        " sales) below. Binance tells a sample of them, so its sums are lower bounds."
    )
    colours = _colours({"shorts": BUY, "longs": SELL})
    return panels.series("Liquidations", text, sql, "short", panels.BARS, colours)


def funding() -> Json:
    """Funding rate and open interest."""
    sql = f"""SELECT
    toStartOfInterval(toDateTime(d.time, 'UTC'), {STEP}) AS time,
    avgOrNullIf(d.funding_rate, NOT isNaN(d.funding_rate)) AS funding_rate,
    argMaxOrNullIf(d.open_interest, d.time, NOT isNaN(d.open_interest)) AS open_interest
FROM market.derivative_prices AS d
WHERE {INSTRUMENT} AND venue = ${{venue:singlequote}} AND $__timeFilter_ms(d.time)
GROUP BY time
ORDER BY time"""
    text = (
        "Funding rate of the current period (longs pay shorts where it is above zero), and open interest in base"
        " currency, of one venue: they do not add up over venues. As often as the venue tells them."
    )
    overrides = [panels.unit("funding_rate", "percentunit"), panels.override("funding_rate", "decimals", 4)]
    overrides.append(panels.override("funding_rate", "custom.axisPlacement", "left"))
    colours = _colours({"funding_rate": CURRENT, "open_interest": NEUTRAL})
    # Told every minute or so: a line between two tellings says no more than both do.
    custom = panels.LINE | {"showPoints": "always", "pointSize": 3}
    return panels.series("Funding and open interest", text, sql, "short", custom, [*colours, *overrides])


def large_trades() -> Json:
    """The largest trades of the range."""
    sql = f"""SELECT time, venue, side, price, size, value, prints
FROM market.large_trades_history
WHERE {INSTRUMENT} AND {VENUE} AND $__timeFilter_ms(time)
ORDER BY value DESC
LIMIT 200"""
    text = (
        "The largest of those trades in the time range that stood out when they traded: prints of one side at one time"
        " taken together. Size in base, value in quote currency."
    )
    return _table("Large trades", text, sql, [panels.unit("time", "dateTimeAsIso")])


def walls() -> Json:
    """Walls that stand."""
    sql = f"""SELECT side, price, size, peak_size, lifetime_s, traded, pulled, refills, venue, age_s
FROM market.walls_now
WHERE {INSTRUMENT} AND {VENUE}
ORDER BY price DESC
LIMIT 200"""
    text = (
        "Resting size that stands out and stays, now, whatever the time range: size and what became of it since it"
        " began (traded against, pulled without a trade, filled up again), in base currency."
    )
    return _table("Walls", text, sql, [panels.unit(name, "s") for name in ("lifetime_s", "age_s")])


def levels() -> Json:
    """Support and resistance with their evidence."""
    sql = f"""SELECT time, side, price, strength, distance_bps, evidence, age_s
FROM market.levels_now
WHERE {INSTRUMENT} AND venue = ${{venue:singlequote}}
ORDER BY price DESC
LIMIT 200"""
    text = (
        "Support and resistance now, whatever the time range, clustered from walls, volume profiles and confirmed"
        " swings: strength from 0 to 100, distance from the last price in basis points, and what each is made of."
    )
    units = [
        panels.unit("time", "dateTimeAsIso"),
        panels.unit("age_s", "s"),
        panels.unit("distance_bps", "suffix: bp"),
    ]
    return _table("Levels", text, sql, units)


def naked_pocs() -> Json:
    """Points of control that no later session has traded through."""
    sql = f"""SELECT opened, venue, poc, days, total
FROM market.naked_pocs
WHERE {INSTRUMENT} AND {VENUE}
ORDER BY opened DESC
LIMIT 200"""
    text = (
        "Points of control of closed days that no later day has traded through, whatever the time range, with the days"
        " that have left them alone and the volume of theirs in base currency."
    )
    return _table("Naked points of control", text, sql, [panels.unit("opened", "dateTimeAsIso")])


def venues() -> Json:
    """How much of the instrument each venue has, and who is left out."""
    sql = f"""SELECT venue, volume, volume_share, depth, depth_share, stale, reason
FROM market.venue_shares({RANGE})
ORDER BY volume DESC"""
    text = (
        "Share of each venue in the volume of the time range and in the mean size within 50 basis points of the"
        " mid; a stale venue is left out of what is shown of all venues, for the reason given."
    )
    return _table(
        "Venues", text, sql, [panels.unit(name, "percentunit") for name in ("volume_share", "depth_share")]
    )


def _heatmap(title: str, text: str, sql: str, unit: str, color: Json, hidden: Json) -> Json:
    options = {
        "calculate": False,
        "rowsFrame": {"layout": "ge", "yBucketScale": {"type": "linear"}},
        "color": color,
        "cellGap": 0,
        "filterValues": hidden,
        "yAxis": {"axisPlacement": "right", "unit": "short"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
        "exemplars": {"color": "rgba(255,255,255,0.7)"},
    }
    drawn = panels.panel("heatmap", title, text, sql, TIME_SERIES, unit, options)
    return drawn | {"maxDataPoints": panels.COLUMNS_MAX}


def _table(title: str, text: str, sql: str, units: list[Json]) -> Json:
    return panels.panel("table", title, text, sql, TABLE, "short", {"showHeader": True}, units)


def _colours(colours: dict[str, str]) -> list[Json]:
    return [panels.colour(field, colour) for field, colour in colours.items()]


def _dotted(drawn: Json, *fields: str) -> Json:
    # Told once a minute: points, because on finer steps there is no line between two of them.
    for field in fields:
        drawn["fieldConfig"]["overrides"].append(panels.override(field, "custom.drawStyle", "points"))
        drawn["fieldConfig"]["overrides"].append(panels.override(field, "custom.pointSize", 3))
    return drawn
