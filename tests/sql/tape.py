"""Rows of the tape's tables made in plain Python from a list of trades, for tests of what reads them."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import numpy as np

from sql.client import Store

SECOND_NS = 10**9
EDGES = (1e3, 1e4, 1e5)
NOW_NS = time.time_ns() // SECOND_NS * SECOND_NS
# Rows without instrument and times.
PROFILE = {
    "span": "day", "closed": np.bool_(True), "whole": np.bool_(True), "row_step": 10.0, "size_decimals": 2,
    "buy_lots": 300, "sell_lots": 100, "unknown_lots": 50, "high": 130.0, "low": 90.0, "poc": 100.0, "poc_lots": 200,
    "developing_poc": 100.0, "vah": 120.0, "val": 90.0, "vah_single": 120.0, "val_single": 100.0, "vwap": 105.0,
    "vwap_sd": 3.0, "hvn": np.array([100.0]), "lvn": np.array([110.0, 120.0]), "tpo_poc": math.nan, "tpo_vah": math.nan,
    "tpo_val": math.nan, "initial_high": math.nan, "initial_low": math.nan,
}  # fmt: skip
WALL = {
    "side": "bid", "price_row": 7, "bin_step": 0.5, "size": 5.0, "weighted_size": 4.0, "peak_size": 6.0,
    "threshold": 3.0, "tau_s": 60.0, "traded": 1.0, "added": 2.0, "pulled": 3.0, "refills": 1, "ended": "",
}  # fmt: skip
LARGE = {
    "side": "buy",
    "price": 100.0,
    "low": 99.0,
    "high": 101.0,
    "size": 7.0,
    "prints": 3,
    "threshold": 5.0,
}
LEVEL = {
    "removed": 0, "side": "support", "low": 99.0, "high": 101.0, "strength": 40.0, "last_price": 125.0,
    "evidence_kind": ["poc", "wall"], "evidence_venue": ["a", "b"], "evidence_price": np.array([99.0, 101.0]),
    "evidence_weight": np.array([15.04, 25.0]), "evidence_ns": np.array([NOW_NS, NOW_NS - SECOND_NS]),
    "venues": ["a", "b"], "stale_venues": ["c"],
}  # fmt: skip


class Trade(NamedTuple):
    """One print: `price` in quote currency, `lots` of 10 to the power of minus `decimals`, side buy, sell, unknown."""

    venue: str
    time_ns: int
    price: float
    lots: int
    side: str
    decimals: int = 3

    @property
    def size(self) -> float:
        return self.lots / 10**self.decimals

    @property
    def value(self) -> float:
        return self.price * self.size


def lots(trades: Iterable[Trade], side: str) -> int:
    return sum(trade.lots for trade in trades if trade.side == side)


def bars(trades: Iterable[Trade], interval_s: int) -> dict[tuple[str, int], list[Trade]]:
    """Trades by venue and open time."""
    step_ns = interval_s * SECOND_NS

    def key(trade: Trade) -> tuple[str, int]:
        return trade.venue, trade.time_ns // step_ns * step_ns

    ordered = sorted(trades, key=lambda trade: (trade.venue, trade.time_ns))
    return {name: list(found) for name, found in groupby(ordered, key)}


def order_flow(
    instrument: str, trades: Sequence[Trade], interval_s: int, version: int = 1, whole: bool = True
) -> dict[str, Any]:
    """Columns of `order_flow`."""
    return columns(
        instrument, trades, interval_s, version, lambda bar: _flow(bar) | {"whole": np.bool_(whole)}
    )


def footprints(
    instrument: str, trades: Sequence[Trade], interval_s: int, row_step: float, version: int = 1
) -> dict[str, Any]:
    """Columns of `footprints`."""
    return columns(instrument, trades, interval_s, version, lambda bar: _rows(bar, row_step))


def columns(
    instrument: str,
    trades: Sequence[Trade],
    interval_s: int,
    version: int,
    of_bar: Callable[[list[Trade]], dict[str, Any]],
) -> dict[str, Any]:
    rows = []
    for (venue, open_ns), bar in bars(trades, interval_s).items():
        name = {"instrument": instrument, "venue": venue, "interval_s": interval_s, "open_ns": open_ns}
        times = {"received_ns": bar[-1].time_ns, "version": version, "size_decimals": bar[0].decimals}
        rows.append(name | times | of_bar(bar))
    return {name: as_column([row[name] for row in rows]) for name in rows[0]}


def as_column(values: list[Any]) -> Any:
    return values if isinstance(values[0], (str, np.ndarray)) else np.array(values)


def _flow(bar: list[Trade]) -> dict[str, Any]:
    prices = [trade.price for trade in bar]
    signed = [trade.lots * {"buy": 1, "sell": -1, "unknown": 0}[trade.side] for trade in bar]
    running = [0, *accumulate(signed)]
    classes: list[list[Trade]] = [[] for _ in range(len(EDGES) + 1)]
    for trade in bar:
        classes[sum(trade.value >= edge for edge in EDGES)].append(trade)
    return {
        "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1],
        "quote_volume": math.fsum(trade.value for trade in bar), "trades": len(bar),
        "buy_lots": lots(bar, "buy"), "sell_lots": lots(bar, "sell"), "unknown_lots": lots(bar, "unknown"),
        "inferred_lots": 0, "delta_min_lots": min(running), "delta_max_lots": max(running),
        "size_edges": np.array(EDGES),
        "class_buy_lots": np.array([lots(found, "buy") for found in classes]),
        "class_sell_lots": np.array([lots(found, "sell") for found in classes]),
    }  # fmt: skip


def _rows(bar: list[Trade], row_step: float) -> dict[str, Any]:
    by_row: dict[int, list[Trade]] = {}
    for trade in bar:
        by_row.setdefault(math.floor(trade.price / row_step), []).append(trade)
    rows = sorted(by_row)
    sides = {
        f"{side}_lots": np.array([lots(by_row[row], side) for row in rows])
        for side in ("buy", "sell", "unknown")
    }
    return {"row_step": row_step, "price_row": np.array(rows), "whole": np.bool_(True)} | sides


def put(store: Store, table: str, base: dict[str, Any], rows: list[dict[str, Any]], version: int = 1) -> None:
    """Insert rows that differ from `base` in what is given."""
    made = [{"venue": "v", "received_ns": NOW_NS, "version": version} | base | row for row in rows]
    columns = {}
    for name in made[0]:
        values = [row[name] for row in made]
        columns[name] = values if isinstance(values[0], list) else as_column(values)
    store.insert(table, columns)
