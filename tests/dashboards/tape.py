"""The tape of the small market: what its trades make of order flow, footprints, profiles, levels, walls, by loops."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from sql.client import Store
from tests.dashboards.market import NAMES, START, STEP, TICK, TIMES, best_bid

S = 10**9
DAY = START - START % 86400
DECIMALS = 1
ORDER_FLOW, FOOTPRINTS = (1, 60, 3600), (10, 60, 3600)
LONG_AGO = DAY - 86400
NAKED, MET = 3000.0, 3231.5
EDGES = [1e3, 1e4, 1e5]


@dataclass(frozen=True)
class Print:
    time_ns: int
    price: float
    lots: int
    buy: bool


# An hour before, a buy and a sell; then each second what market.write_trades has: two buys of 1 and 3 above the
# best bid, and a sell of 2 at it.
EARLIER = [
    Print((START - 1800) * S, best_bid(0), 70, True),
    Print((START - 1800) * S, best_bid(0) - 4, 20, False),
]
PRINTS = EARLIER + [
    Print(second * S + after, best_bid(second) + TICK * (size if side else 0), 10 * size, side)
    for second in TIMES
    for after, size, side in ((10_000_000, 1, True), (60_000_000, 3, True), (260_000_000, 2, False))
]
WALL = {"side": "ask", "price_row": 6480, "from_s": TIMES[-1] - 89, "size": 12.5}
LEVEL_STRENGTHS = {3245.0: 72.0, 3220.5: 40.0}


def bars(interval_s: int) -> dict[int, list[Print]]:
    """Prints by open of their bar (s)."""
    found = defaultdict(list)
    for one in PRINTS:
        found[one.time_ns // S // interval_s * interval_s].append(one)
    return dict(found)


def size_class(one: Print) -> int:
    return sum(one.price * one.lots / 10**DECIMALS >= edge for edge in EDGES)


def flow_row(interval_s: int, open_s: int, prints: list[Print]) -> dict[str, object]:
    deltas = np.cumsum([one.lots if one.buy else -one.lots for one in prints])
    by_class = {buy: [sum(o.lots for o in prints if o.buy == buy and size_class(o) == c) for c in range(4)] for buy in (True, False)}  # fmt: skip # noqa: E501
    prices = [one.price for one in prints]
    return {
        "interval_s": interval_s, "open_ns": open_s * S, "whole": open_s % 60 != 30, "open": prices[0],
        "high": max(prices), "low": min(prices), "close": prices[-1],
        "quote_volume": sum(one.price * one.lots / 10**DECIMALS for one in prints), "trades": len(prints),
        "size_decimals": DECIMALS, "buy_lots": sum(by_class[True]), "sell_lots": sum(by_class[False]),
        "unknown_lots": 0, "inferred_lots": 0, "delta_min_lots": min(0, *deltas), "delta_max_lots": max(0, *deltas),
        "size_edges": EDGES, "class_buy_lots": by_class[True], "class_sell_lots": by_class[False],
    }  # fmt: skip


def footprint_row(interval_s: int, open_s: int, prints: list[Print]) -> dict[str, object]:
    rows = sorted({int(one.price // STEP) for one in prints})
    lots = {
        buy: [sum(o.lots for o in prints if o.buy == buy and o.price // STEP == row) for row in rows]
        for buy in (True, False)
    }
    return {
        "interval_s": interval_s, "open_ns": open_s * S, "whole": True, "row_step": STEP, "size_decimals": DECIMALS,
        "price_row": rows, "buy_lots": lots[True], "sell_lots": lots[False], "unknown_lots": [0] * len(rows),
    }  # fmt: skip


def profile_row(
    open_s: int, time_s: int, closed: bool, poc: float, low: float, high: float
) -> dict[str, object]:
    """A profile that tells its POC and range; what else it tells the board does not read."""
    unread = (
        "developing_poc", "vah", "val", "vah_single", "val_single", "vwap", "vwap_sd", "tpo_poc", "tpo_vah",
        "tpo_val", "initial_high", "initial_low",
    )  # fmt: skip
    prices = dict.fromkeys(unread, poc)
    return prices | {
        "span": "day", "open_ns": open_s * S, "time_ns": time_s * S, "closed": closed, "whole": not closed,
        "row_step": STEP, "size_decimals": DECIMALS, "buy_lots": 1, "sell_lots": 1, "unknown_lots": 0,
        "high": high, "low": low, "poc": poc, "poc_lots": 2, "hvn": [best_bid(0), best_bid(0) + 2], "lvn": [],
    }  # fmt: skip


def write(store: Store) -> None:
    for interval_s in sorted({*ORDER_FLOW, *FOOTPRINTS}):
        found = bars(interval_s)
        # The last bar of each is still open.
        closed = [(at, found[at]) for at in sorted(found) if at + interval_s <= TIMES[-1] + 1]
        if interval_s in ORDER_FLOW:
            _insert(store, "order_flow", [flow_row(interval_s, *bar) for bar in closed])
        if interval_s in FOOTPRINTS:
            _insert(store, "footprints", [footprint_row(interval_s, *bar) for bar in closed])
    _insert(store, "profiles", [
        profile_row(LONG_AGO - 86400, LONG_AGO, True, MET, 3200, 3300),
        profile_row(LONG_AGO, DAY, True, NAKED, 2900, 3100),
        profile_row(DAY, START + 180, False, best_bid(0), best_bid(0), best_bid(1) + 1),
    ])  # fmt: skip
    _insert(store, "large_trades", [
        {"time_ns": (second * S) + 60_000_000, "trade_id": second, "side": "buy" if second % 20 else "sell",
         "price": best_bid(second) + 0.3, "low": 1.0, "high": 1.0, "size": 3.0 + second % 7, "prints": 1,
         "threshold": 3.0}
        for second in TIMES if second % 10 == 0
    ])  # fmt: skip
    _insert(store, "liquidations", [
        {"time_ns": second * S, "liquidated_side": side, "price": best_bid(second), "size": size, "ordinal": 0,
         "complete": True}
        for second, side, size in ((TIMES[20], "long", 1.5), (TIMES[60], "short", 0.5))
    ])  # fmt: skip
    _insert(store, "walls", [
        {"side": WALL["side"], "price_row": WALL["price_row"], "from_ns": WALL["from_s"] * S, "bin_step": STEP,
         "known_ns": 0, "time_ns": TIMES[-1] * S, "size": WALL["size"], "weighted_size": 11.0, "peak_size": 13.0,
         "threshold": 5.0, "tau_s": 30.0, "traded": 0.0, "added": 0.0, "pulled": 0.0, "refills": 0, "ended": ""},
        {"side": "bid", "price_row": 6420, "from_ns": WALL["from_s"] * S, "bin_step": STEP,
         "known_ns": 0, "time_ns": TIMES[-1] * S, "size": 0.0, "weighted_size": 11.0, "peak_size": 13.0,
         "threshold": 5.0, "tau_s": 30.0, "traded": 0.0, "added": 0.0, "pulled": 13.0, "refills": 0, "ended": "pulled"},
    ])  # fmt: skip
    _insert(store, "liquidity_events", [
        {"time_ns": TIMES[at] * S, "kind": kind, "side": "bid", "price": best_bid(TIMES[at]) - at % 5, "size": 8.0,
         "before": 9.0, "after": 1.0, "traded": 0.0, "count": 3, "age_s": 12.0}
        for at, kind in ((40, "pull"), (120, "refill"), (160, "absorption"))
    ])  # fmt: skip
    _insert(store, "levels", [
        {"venue": "all", "time_ns": (START + minute * 60) * S, "price": price + (minute - 3), "side": side,
         "low": price - 0.5, "high": price + 0.5, "strength": LEVEL_STRENGTHS[price], "last_price": best_bid(0),
         "evidence_kind": ["wall", "naked_poc"], "evidence_venue": ["kraken", NAMES[1]],
         "evidence_price": [price, price + 0.5], "evidence_weight": [30.0, 10.0], "evidence_ns": [START * S, DAY * S],
         "venues": ["kraken", NAMES[1]], "stale_venues": [], "removed": 0}
        for minute in (2, 3) for price, side in ((3245.0, "resistance"), (3220.5, "support"))
    ])  # fmt: skip
    _insert(store, "derivatives", [
        {"time_ns": TIMES[at] * S, "mark": float("nan"), "index": float("nan"), "funding_rate": funding,
         "next_funding_ns": (START + 4 * 3600) * S, "open_interest": interest}
        for at, funding, interest in ((0, 0.0001, 900.0), (100, 0.0002, float("nan")), (150, float("nan"), 950.0))
    ])  # fmt: skip


def _insert(store: Store, table: str, rows: list[dict[str, object]]) -> None:
    common = {"instrument": NAMES[0], "venue": NAMES[1], "received_ns": START * S, "version": 1}
    columns = {name: [(common | row)[name] for row in rows] for name in common | rows[0]}
    store.insert(table, {name: _column(values) for name, values in columns.items()})


def _column(values: list[object]) -> object:
    if isinstance(values[0], str):
        return values
    if isinstance(values[0], list):
        return [value if value and isinstance(value[0], str) else np.array(value) for value in values]  # type: ignore[index]
    return np.array(values)
