"""The panels of the depth board: what each asks the store and how it is drawn.

The SQL holds macros of the ClickHouse plugin (`$__timeFilter`, `$__interval_s`) and variables of the board
(`${instrument:singlequote}`). A query never invents data: intervals without a live book come out as NULL, which
Grafana draws as a hole.
"""
# ruff: noqa: S608 (the parts are constants of this module; a viewer can send any SQL, as a user who only reads)

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SOURCE: Json = {"type": "grafana-clickhouse-datasource", "uid": "clickhouse"}
PLUGIN = "4.20.0"
# How the plugin's backend shapes an answer: one field per label and time, or the rows as they are.
TIME_SERIES, TABLE = 0, 1
COLUMNS_MAX = 600
LINE: Json = {"drawStyle": "line", "lineWidth": 1, "showPoints": "never"}
BARS: Json = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0}
ROWS = 120

# The rows of the table chosen, averaged to what the panel can draw: whole multiples of the table's interval.
TABLE_S = "multiIf('${interval}' = '1s', 1, '${interval}' = '10s', 10, 60)"
STEP_S = f"toUInt32(intDiv($__interval_s + {TABLE_S} - 1, {TABLE_S}) * {TABLE_S})"
STEP = f"toIntervalSecond({STEP_S})"
BOOK = "instrument = ${instrument:singlequote} AND venue = ${venue:singlequote}"
FIRST = f"toStartOfInterval(toDateTime($__fromTime, 'UTC'), {STEP})"
FILL = f"ORDER BY time WITH FILL FROM {FIRST} TO toDateTime($__toTime, 'UTC') STEP {STEP}"
STEPS = f"arrayJoin(range(toUInt32(intDiv(toUInt32($__toTime) - toUInt32({FIRST}), {STEP_S}) + 1)))"

# Rows begin at multiples of row_step from low to high, with none left out: Grafana stretches the row below a
# missing one. It draws a cell to the left of its time, so that is the end of the interval; and it takes the
# width of all cells from the first two times, so none of those is left out either.
CELLS = f"""WITH
    (
        SELECT (min(best_bid) * (1 - ${{band}} / 100), max(best_ask) * (1 + ${{band}} / 100), max(bin_step))
        FROM market.depth_measures_${{interval}} AS m
        WHERE {BOOK} AND $__timeFilter(m.time)
    ) AS view,
    if(view.3 > 0, view.3 * greatest(1, ceil((view.2 - view.1) / view.3 / {ROWS})), 1) AS row_step,
    toInt64(floor(view.1 / row_step)) AS first_row,
    toInt64(floor(view.2 / row_step)) AS last_row
SELECT time, toString(round(row * row_step, 9)) AS price, max(size) AS Value
FROM
(
    SELECT
        toStartOfInterval(c.time, {STEP}) + {STEP} AS time,
        toInt64(floor(c.price / row_step + 1e-9)) AS row,
        toNullable(sum(toFloat64(c.size)) / uniqExact(c.time)) AS size
    FROM market.depth_cells_${{interval}} AS c
    WHERE {BOOK} AND $__timeFilter(c.time) AND c.price >= first_row * row_step - row_step / 2 AND c.price < view.2
    GROUP BY time, row
    UNION ALL
    SELECT {FIRST} + {STEP} AS time, first_row + arrayJoin(range({ROWS} + 2)) AS row, NULL AS size
    WHERE view.3 > 0
    UNION ALL
    SELECT {FIRST} + toIntervalSecond(({STEPS} + 1) * {STEP_S}) AS time, first_row AS row, NULL AS size
    WHERE view.3 > 0
)
WHERE row BETWEEN first_row AND last_row
GROUP BY time, row
ORDER BY time, row"""


def measures(**columns: str) -> str:
    """Columns over time from the depth measures: aggregates of the rows of a step, NULL where there are none."""
    return f"""SELECT toStartOfInterval(m.time, {STEP}) AS time, {_named(columns)}
FROM market.depth_measures_${{interval}} AS m
WHERE {BOOK} AND $__timeFilter(m.time)
GROUP BY time
{FILL}"""


def heatmap() -> Json:
    """Resting size by price and time."""
    options = {
        "calculate": False,
        "rowsFrame": {"layout": "ge", "yBucketScale": {"type": "linear"}},
        "color": {"mode": "scheme", "scheme": "Turbo", "steps": 64, "scale": "exponential", "exponent": 0.5},
        "cellGap": 0,
        "filterValues": {"le": 1e-9},
        "yAxis": {"axisPlacement": "right", "unit": "short"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
        "exemplars": {"color": "rgba(255,255,255,0.7)"},
    }
    text = (
        "Resting size of both sides by price (quote currency) and time, in base currency: a cell is the mean over"
        " the intervals that knew it, summed over the bins of its row. Empty: known to be empty, or not known;"
        " a hole over all prices is a time without a live book."
    )
    return panel("heatmap", "Order book depth", text, CELLS, TIME_SERIES, "short", options) | {
        "maxDataPoints": COLUMNS_MAX
    }


def prices() -> Json:
    """Best bid, best ask and mid."""
    sql = measures(
        best_bid="argMaxOrNull(m.best_bid, m.time)",
        best_ask="argMaxOrNull(m.best_ask, m.time)",
        mid="argMaxOrNull(m.mid, m.time)",
    )
    text = "Best bid, best ask and their mean at the end of each interval, in quote currency."
    return _lines("Best prices", text, sql, "short", {"lineInterpolation": "stepAfter"}, decimals=None)


def spread() -> Json:
    """Spread in basis points of the mid."""
    sql = measures(spread="avgOrNull(m.spread / m.mid * 10000)")
    text = "Best ask less best bid, in basis points of the mid; mean over the intervals drawn as one."
    return _lines("Spread", text, sql, "suffix: bp", {"fillOpacity": 10}, decimals=2)


def imbalance() -> Json:
    """Imbalance of the book within bands around the mid."""
    bands = {f"within_{bps}_bp": _known(f"imbalance_{bps}bps") for bps in (10, 25, 50)}
    text = (
        "(bid - ask) / (bid + ask) of the size within so many basis points of the mid: 100 % is bids only."
        " Not drawn where the book does not reach that far."
    )
    return _lines(
        "Imbalance", text, measures(**bands), "percentunit", {"axisSoftMin": -1, "axisSoftMax": 1}, 0
    )


def order_flow() -> Json:
    """Order flow imbalance as bars."""
    text = (
        "Order flow imbalance at the best prices (Cont, Kukanov, Stoikov 2014), summed over each interval, in base"
        " currency: above zero, bids grew or asks shrank."
    )
    return _bars("Order flow imbalance", text, measures(ofi="sumOrNull(m.ofi)"), "short")


def volume() -> Json:
    """Volume traded, buys above and sells below zero."""
    sql = f"""SELECT toStartOfInterval(toDateTime(t.time, 'UTC'), {STEP}) AS time,
    sumIf(size, side = 'buy') AS buys, -sumIf(size, side = 'sell') AS sells
FROM market.time_and_sales AS t
WHERE {BOOK} AND $__timeFilter_ms(t.time)
GROUP BY time
ORDER BY time"""
    text = "Size traded in each interval by aggressor, in base currency: buys above zero, sells below."
    colours = [colour("buys", "green"), colour("sells", "red")]
    return _bars("Traded volume", text, sql, "short", colours)


def book_now() -> Json:
    """The newest row of the range, and how old it is."""
    sql = f"""SELECT argMaxOrNull(m.mid, m.time) AS mid, argMaxOrNull(m.spread / m.mid * 10000, m.time) AS spread,
    argMaxOrNull(if(isNaN(imbalance_10bps), NULL, imbalance_10bps), m.time) AS imbalance_10_bp,
    toUnixTimestamp64Nano(now64(9)) / 1e9 - maxOrNull(received_ns) / 1e9 AS book_age
FROM market.depth_measures_${{interval}} AS m
WHERE {BOOK} AND $__timeFilter(m.time)"""
    text = (
        "The newest interval of the time range: mid (quote currency), spread (basis points of it), imbalance"
        " within 10 basis points, and how long ago the newest message in it was received."
    )
    units = [unit("spread", "suffix: bp"), unit("imbalance_10_bp", "percentunit"), unit("book_age", "s")]
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "horizontal",
        "colorMode": "none",
        "graphMode": "none",
        "textMode": "value_and_name",
    }
    return panel("stat", "Book now", text, sql, TABLE, "short", options, units)


def gaps() -> Json:
    """When the book was lost and restored."""
    sql = f"""SELECT lost, restored, hole_s, kind, detail, update_id
FROM market.gaps
WHERE {BOOK} AND $__timeFilter_ms(lost)
ORDER BY lost DESC
LIMIT 200"""
    text = "Each loss of the book: when, until the next snapshot, and why. Its time is a hole in the panels above."
    units = [unit(name, "dateTimeAsIso") for name in ("lost", "restored")]
    units += [unit("hole_s", "s"), unit("update_id", "none")]
    return panel("table", "Gaps", text, sql, TABLE, "none", {"showHeader": True}, units)


def dead_letters() -> Json:
    """Input set aside, by topic and reason."""
    sql = """SELECT topic, reason, sum(lines) AS lines, max(minute) AS newest, argMax(newest_detail, minute) AS detail
FROM market.dead_letter_counts
WHERE $__timeFilter(minute)
GROUP BY topic, reason
ORDER BY lines DESC
LIMIT 200"""
    text = "Lines of all venues that could not be used and were set aside, counted by topic and reason."
    units = [unit("newest", "dateTimeAsIso"), unit("lines", "none")]
    return panel("table", "Dead letters", text, sql, TABLE, "none", {"showHeader": True}, units)


def target(sql: str, shape: int) -> Json:
    """A query as the plugin wants it: `shape` TIME_SERIES or TABLE."""
    return {
        "refId": "A",
        "datasource": SOURCE,
        "editorType": "sql",
        "queryType": "table" if shape == TABLE else "timeseries",
        "format": shape,
        "rawSql": sql,
        "pluginVersion": PLUGIN,
        "meta": {},
    }


def _lines(title: str, text: str, sql: str, unit: str, custom: Json, decimals: int | None) -> Json:
    drawn = series(title, text, sql, unit, LINE | custom)
    if decimals is not None:
        drawn["fieldConfig"]["defaults"]["decimals"] = decimals
    return drawn


def _bars(title: str, text: str, sql: str, unit: str, overrides: Sequence[Json] = ()) -> Json:
    return series(title, text, sql, unit, BARS, overrides)


def series(title: str, text: str, sql: str, unit: str, custom: Json, overrides: Sequence[Json] = ()) -> Json:
    """A panel of lines or bars over time; `custom` how they are drawn, e.g. LINE or BARS."""
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    drawn = panel("timeseries", title, text, sql, TIME_SERIES, unit, options, overrides)
    drawn["fieldConfig"]["defaults"]["custom"] = {"spanNulls": False, "axisPlacement": "right"} | custom
    return drawn | {"maxDataPoints": COLUMNS_MAX}


def panel(
    kind: str,
    title: str,
    text: str,
    sql: str,
    shape: int,
    unit: str,
    options: Json,
    overrides: Sequence[Json] = (),
) -> Json:
    """A panel of one query: its `text` says what it shows, `unit` is of all fields without an override."""
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": SOURCE,
        "targets": [target(sql, shape)],
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": list(overrides)},
        "options": options,
    }


def _named(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def _known(column: str) -> str:
    return f"avgOrNullIf({column}, NOT isNaN({column}))"


def unit(field: str, unit: str) -> Json:
    """The unit of one field."""
    return override(field, "unit", unit)


def colour(field: str, colour: str) -> Json:
    """The colour of one field."""
    return override(field, "color", {"mode": "fixed", "fixedColor": colour})


def override(field: str, name: str, value: object) -> Json:
    """One property of one field."""
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [{"id": name, "value": value}],
    }
