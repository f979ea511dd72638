"""What the board asks the store about trades: order flow, footprints, profiles. Times in and out are UTC."""

# ruff: noqa: S608 (the parts are constants and integers of this module; a viewer's words are parameters)

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.board.footprint import Bar, bar_of
from dashboards.board.profile import Profile, profile_of, segments
from dashboards.board.queries import Book
from dashboards.board.tape import CLASSES, Flow, Sums, no_flow
from sql.client import Store

LARGE_MAX, LIQUIDATIONS_MAX, BARS_MAX = 300, 300, 20_000
NAKED_MAX = 5
ORDER_FLOW_S = (3600, 60, 1)
FOOTPRINTS_MAX = 40
S = 1_000_000_000
OF = " WHERE instrument = {instrument:String} AND venue = {venue:String}"
SPAN = OF + " AND time_ns >= {from_ns:Int64} AND time_ns < {until_ns:Int64}"
_LOTS = "{0}_lots / exp10(size_decimals)"
_CLASSES = (
    "arrayMap((bought, sold) -> (bought - sold) / exp10(size_decimals), class_buy_lots, class_sell_lots)"
)


@dataclass(frozen=True, slots=True)
class Trade:
    """A large trade, or a liquidation: `buy` says whether the aggressor bought. Quote and base currency."""

    time_ms: float
    price: float
    size: float
    buy: bool


@dataclass(frozen=True, slots=True)
class Node:
    """What a profile's history adds to its bars: nodes of the span in `hvn`, earlier POCs nobody traded at since.

    naked: (price, session's open in s) of each.
    """

    hvn: tuple[float, ...]
    naked: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the instrument bar tells of a derivative; None: not told within a day.

    funding is (rate, next in s or 0); liquidated is (longs, shorts) of the last hour in base currency.
    """

    funding: tuple[float, int] | None
    open_interest: float | None
    liquidated: tuple[float, float] | None


def flow(store: Store, book: Book, step_s: int, from_s: int, until_s: int) -> Flow:
    """Bars of `step_s` that open in [from_s, until_s), the newest BARS_MAX. Raises StoreError."""
    interval_s = max(interval for interval in ORDER_FLOW_S if step_s % interval == 0)
    lots = ", ".join(f"sum({_LOTS.format(side)})" for side in ("buy", "sell", "unknown"))
    rows = store.query(
        f"SELECT intDiv(open_ns, {step_s * S}) AS bucket, max(high), min(low), argMax(close, open_ns), {lots},"
        f" sum(quote_volume), min(whole), sumForEach(arrayResize({_CLASSES}, {CLASSES}))"
        f" FROM market.order_flow{OF} AND interval_s = {interval_s} AND open_ns >= {{from_ns:Int64}}"
        " AND open_ns < {until_ns:Int64} GROUP BY bucket ORDER BY bucket DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s) | {"limit": BARS_MAX},
    )
    if not rows:
        return no_flow()
    columns = list(zip(*reversed(rows), strict=True))
    return Flow(
        np.array(columns[0], np.int64) * step_s, *(np.array(column, np.float64) for column in columns[1:8]),
        np.array(columns[8], np.bool_), np.array(columns[9], np.float64).reshape(-1, CLASSES),
    )  # fmt: skip


def sums(store: Store, book: Book, from_s: int, until_s: int) -> Sums:
    """All that traded in [from_s, until_s). Raises StoreError."""
    parts = segments(from_s, until_s, ORDER_FLOW_S)
    if not parts:
        return Sums()
    lots = ", ".join(f"sum({_LOTS.format(side)})" for side in ("buy", "sell", "unknown"))
    rows = store.query(
        f"SELECT count(), {lots}, sum(quote_volume), sumForEach(arrayResize({_CLASSES}, {CLASSES})),"
        f" argMin(open, open_ns), intDiv(min(open_ns), {S}), min(whole)"
        f" FROM market.order_flow{OF} AND {_inside(parts)}",
        span_of(book, from_s, until_s),
    )
    count, *found = rows[0]
    if not count:
        return Sums()
    return Sums(*found[:4], tuple(found[4]), float(found[5]), int(found[6]), bool(found[7]))


def first_trade(store: Store, book: Book, from_s: int) -> int:
    """Second of the first trade from `from_s` on, 0 if there is none. Raises StoreError."""
    rows = store.query(
        f"SELECT intDiv(open_ns, {S}) FROM market.order_flow{OF} AND interval_s = 1"
        " AND open_ns >= {from_ns:Int64} ORDER BY open_ns LIMIT 1",
        span_of(book, from_s, from_s),
    )
    return int(rows[0][0]) if rows else 0


def session_opens(store: Store, book: Book, from_s: int, until_s: int) -> list[int]:
    """Opens (s) of the sessions of which some part lies in [from_s, until_s), ascending. Raises StoreError."""
    rows = store.query(
        f"SELECT DISTINCT intDiv(open_ns, {S}) FROM market.profiles{OF} AND span = 'day'"
        " AND time_ns > {from_ns:Int64} AND open_ns < {until_ns:Int64} ORDER BY 1",
        span_of(book, from_s, until_s),
    )
    return [int(row[0]) for row in rows]


def traded_until(store: Store, book: Book) -> int | None:
    """Close (s) of the newest footprint of 10 s, None if there is none. Raises StoreError."""
    rows = store.query(
        f"SELECT intDiv(open_ns, {S}) + 10 FROM market.footprints{OF} AND interval_s = 10"
        " ORDER BY open_ns DESC LIMIT 1",
        {"instrument": book.instrument, "venue": book.venue},
    )
    return int(rows[0][0]) if rows else None


def profile(store: Store, book: Book, from_s: int, until_s: int) -> Profile | None:
    """Volume by bin of [from_s, until_s), to the 10 s that lie inside; None without a trade. Raises StoreError.

    Of several bin widths the newest counts.
    """
    parts = segments(from_s, until_s)
    if not parts:
        return None
    rows = store.query(
        "SELECT row_step, size_decimals, row, sum(bought), sum(sold), sum(other), max(open_ns)"
        f" FROM market.footprints ARRAY JOIN price_row AS row, buy_lots AS bought, sell_lots AS sold,"
        f" unknown_lots AS other{OF} AND {_inside(parts)} GROUP BY row_step, size_decimals, row",
        span_of(book, from_s, until_s),
    )
    if not rows:
        return None
    row_step = max(rows, key=lambda row: row[6])[0]
    rows = [row for row in rows if row[0] == row_step]
    decimals = max(row[1] for row in rows)
    lots = np.array([row[3:6] for row in rows], np.int64)
    lots *= np.array([10 ** (decimals - row[1]) for row in rows], np.int64)[:, np.newaxis]
    return profile_of(float(row_step), int(decimals), np.array([row[2] for row in rows], np.int64), lots)


def nodes(store: Store, book: Book, span: str, until_s: int) -> Node:
    """Nodes of the newest profile of `span`; POCs of days before the newest that no later price met.

    Raises:
        StoreError: the store refused or is away.
    """
    asked = span_of(book, 0, until_s) | {"span": span, "limit": NAKED_MAX}
    newest = store.query(
        f"SELECT hvn FROM market.profiles{OF} AND span = {{span:String}} AND time_ns <= {{until_ns:Int64}}"
        " ORDER BY time_ns DESC LIMIT 1",
        asked,
    )
    naked = store.query(
        "WITH days AS (SELECT open_ns, max(closed) AS over, argMax(poc + row_step / 2, time_ns) AS point,"
        " argMax(high, time_ns) AS top, argMax(low, time_ns) AS bottom"
        f" FROM market.profiles{OF} AND span = 'day' AND time_ns <= {{until_ns:Int64}}"
        " AND time_ns > {until_ns:Int64} - 30 * 86400 * 1000000000 GROUP BY open_ns)"
        f" SELECT point, intDiv(open_ns, {S}) FROM days AS day WHERE over"
        " AND open_ns < (SELECT max(open_ns) FROM days) AND NOT arrayExists((at, t, b) ->"
        " at > day.open_ns AND b <= day.point AND day.point <= t, (SELECT groupArray(open_ns) FROM days),"
        " (SELECT groupArray(top) FROM days), (SELECT groupArray(bottom) FROM days))"
        " ORDER BY open_ns DESC LIMIT {limit:UInt32}",
        asked,
    )
    return Node(
        tuple(newest[0][0]) if newest else (), tuple((float(row[0]), int(row[1])) for row in naked)
    )  # fmt: skip


def footprints(
    store: Store, book: Book, interval_s: int, bins_a_row: int, row_step: float, from_s: int, until_s: int
) -> list[Bar]:
    """Bars of `interval_s` that open in [from_s, until_s), the newest FOOTPRINTS_MAX, in order. Raises StoreError."""
    rows = store.query(
        f"SELECT intDiv(open_ns, {S}), size_decimals, price_row, buy_lots, sell_lots FROM market.footprints{OF}"
        " AND interval_s = {interval_s:UInt32} AND row_step = {row_step:Float64}"
        " AND open_ns >= {from_ns:Int64} AND open_ns < {until_ns:Int64} ORDER BY open_ns DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s)
        | {"interval_s": interval_s, "row_step": row_step, "limit": FOOTPRINTS_MAX},
    )
    return [
        bar_of(
            int(open_s), interval_s, 10.0**-decimals, np.array(price_row, np.int64),
            np.stack([np.array(bought, np.int64), np.array(sold, np.int64)], axis=1), bins_a_row,
        )
        for open_s, decimals, price_row, bought, sold in reversed(rows) if price_row
    ]  # fmt: skip


def large_trades(store: Store, book: Book, from_s: int, until_s: int) -> list[Trade]:
    """Large trades in [from_s, until_s) of known side, the LARGE_MAX largest, by time. Raises StoreError."""
    rows = store.query(
        f"SELECT time_ns / 1e6, price, size, side = 'buy' FROM market.large_trades{SPAN} AND side != 'unknown'"
        " ORDER BY size DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s) | {"limit": LARGE_MAX},
    )
    return sorted((Trade(*row[:3], bool(row[3])) for row in rows), key=lambda trade: trade.time_ms)


def liquidations(store: Store, book: Book, from_s: int, until_s: int) -> list[Trade]:
    """Liquidations in [from_s, until_s), the newest LIQUIDATIONS_MAX, by time. A long's is a forced sale.

    Raises:
        StoreError: the store refused or is away.
    """
    rows = store.query(
        f"SELECT time_ns / 1e6, price, size, liquidated_side = 'short' FROM market.liquidations{SPAN}"
        " ORDER BY time_ns DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s) | {"limit": LIQUIDATIONS_MAX},
    )
    return [Trade(*row[:3], bool(row[3])) for row in reversed(rows)]


def open_interest(
    store: Store, book: Book, from_s: int, until_s: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(ms, base currency) of every open interest told in [from_s, until_s), by time. Raises StoreError."""
    rows = store.query(
        f"SELECT time_ns / 1e6, open_interest FROM market.derivatives{SPAN} AND NOT isNaN(open_interest)"
        " ORDER BY time_ns DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s) | {"limit": BARS_MAX},
    )
    table = np.array(rows[::-1], np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def facts(store: Store, book: Book, now_s: int) -> Facts:
    """What was told of the derivative within a day before `now_s`. Raises StoreError."""
    asked = span_of(book, now_s - 86400, now_s + 60) | {"hour_ns": (now_s - 3600) * S}
    told = store.query(
        "SELECT argMaxIf(funding_rate, time_ns, NOT isNaN(funding_rate)), countIf(NOT isNaN(funding_rate)),"
        f" intDiv(argMaxIf(ifNull(next_funding_ns, 0), time_ns, NOT isNaN(funding_rate)), {S}),"
        " argMaxIf(open_interest, time_ns, NOT isNaN(open_interest)), countIf(NOT isNaN(open_interest))"
        f" FROM market.derivatives{SPAN}",
        asked,
    )[0]
    forced = store.query(
        "SELECT count(), sumIf(size, liquidated_side = 'long' AND time_ns >= {hour_ns:Int64}),"
        f" sumIf(size, liquidated_side = 'short' AND time_ns >= {{hour_ns:Int64}}) FROM market.liquidations{SPAN}",
        asked,
    )[0]
    return Facts(
        (float(told[0]), int(told[2])) if told[1] else None,
        float(told[3]) if told[4] else None,
        (float(forced[1]), float(forced[2])) if forced[0] else None,
    )


def span_of(book: Book, from_s: int, until_s: int) -> dict[str, Any]:
    """Parameters of SPAN: what trades or happens in [from_s, until_s)."""
    return {
        "instrument": book.instrument, "venue": book.venue,
        "from_ns": max(from_s, 0) * S, "until_ns": min(until_s, 2**32 - 1) * S,
    }  # fmt: skip


def _inside(parts: list[tuple[int, int, int]]) -> str:
    spans = (
        f"(interval_s = {interval} AND open_ns >= {start * S} AND open_ns < {end * S})"
        for interval, start, end in parts
    )
    return f"({' OR '.join(spans)})"
