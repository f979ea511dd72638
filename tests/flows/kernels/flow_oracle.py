"""What order flow should be, told slowly: one event after the other, lists and dicts, everything summed anew."""

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from flows.kernels import profile, sessions
from flows.kernels.order_flow import TABLE_COLUMNS

S = 10**9
MINUTE = 60 * S
GRACE = 250 * 10**6
KEYS = {
    "order_flow": ("interval_s", "open_ns"),
    "bars": ("interval_s", "source", "open_ns"),
    "footprints": ("interval_s", "open_ns"),
    "large_trades": ("time_ns", "trade_id"),
    "profiles": ("span", "time_ns"),
}
ROLLING = {"rolling_4h": 4 * 3600 * S, "rolling_24h": 24 * 3600 * S}


@dataclass(frozen=True)
class Trade:
    time_ns: int
    recv_ns: int
    price: Fraction
    size: Fraction
    side: int
    inferred: bool
    trade_id: int


@dataclass(frozen=True)
class Clock:
    time_ns: int
    recv_ns: int


@dataclass(frozen=True)
class Missed:
    recv_ns: int


def plain(value: Any) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def final(tables: dict[str, list[list[Any]]], into: dict[str, dict[Any, dict[str, Any]]]) -> None:
    """Keep the rows of the highest version of each key, as the store does."""
    for table, columns in tables.items():
        for row in zip(*columns, strict=True):
            found = dict(zip(TABLE_COLUMNS[table], map(plain, row), strict=True))
            key = tuple(found[name] for name in KEYS[table])
            old = into.setdefault(table, {}).get(key)
            if old is None or old["version"] <= found["version"]:
                into[table][key] = found


class Oracle:
    """FINAL rows of `order_flow`, `footprints`, `profiles`, `large_trades`; sizes in lots are exact fractions here."""

    def __init__(self, asset_class: str, row_step: Fraction) -> None:
        self.asset_class, self.row_step = asset_class, row_step
        self.trades: list[tuple[int, Trade]] = []
        self.newest = self.until = -(1 << 62)
        self.closings: list[tuple[int, int, int]] = []  # event, until, receive time
        self.gaps: list[list[Any]] = [[self.until, None]]
        self.open_minute: list[Trade] = []
        self.spans: dict[Any, dict[str, Any]] = {}
        self.profiles: dict[Any, dict[str, Any]] = {}
        self.group: list[Trade] = []
        self.groups: list[int] = []  # millionths: they are sorted again and again
        self.large: dict[Any, dict[str, Any]] = {}
        self.event = 0
        self.too_late = 0

    def on(self, event: Any) -> None:
        self.event += 1
        if isinstance(event, Missed):
            if self.gaps[-1][1] is not None:
                self.gaps.append([self.until, None])
        elif isinstance(event, Clock):
            if event.time_ns - GRACE > self.until:
                self._advance(event.time_ns - GRACE, event.recv_ns)
            if self.group and event.time_ns - GRACE >= self.group[0].time_ns:
                self._close_group(event.recv_ns)
        else:
            self._trade(event)

    def _trade(self, t: Trade) -> None:
        if t.time_ns < self.newest - 60 * S:
            self.too_late += 1
            return
        if self.gaps[-1][1] is None:
            self.gaps[-1][1] = max(t.time_ns, self.gaps[-1][0])
        if t.time_ns > self.until:
            self._advance(t.time_ns, t.recv_ns)
        self.newest = max(self.newest, t.time_ns)
        self.trades.append((self.event, t))
        if self.group and (self.group[0].time_ns, self.group[0].side) != (t.time_ns, t.side):
            self._close_group(t.recv_ns)
        self.group.append(t)
        minute = t.time_ns // MINUTE * MINUTE
        if minute + MINUTE <= self.until:
            self.into_profiles(minute, [t], t.recv_ns)
            self._close_sessions(t.recv_ns)
        else:
            self.open_minute.append(t)

    def _advance(self, until: int, recv_ns: int) -> None:
        self.until = until
        self.closings.append((self.event, until, recv_ns))
        if self.open_minute:
            minute = self.open_minute[0].time_ns // MINUTE * MINUTE
            if minute + MINUTE <= until:
                found, self.open_minute = self.open_minute, []
                self.into_profiles(minute, found, max(recv_ns, *(t.recv_ns for t in found)))
        self._close_sessions(recv_ns)

    def whole(self, open_ns: int, close_ns: int) -> bool:
        return not any(a < close_ns and (b is None or b >= open_ns) for a, b in self.gaps)

    def _close_group(self, recv_ns: int) -> None:
        size = sum(t.size for t in self.group)
        last = sorted(self.groups[-1000:])
        if len(last) >= 200:
            threshold = last[math.ceil(len(last) * 99 / 100) - 1]
            if size * 10**6 > threshold:
                first = self.group[0]
                self.large[first.time_ns, first.trade_id] = {
                    "side": {1: "buy", -1: "sell", 0: "unknown"}[first.side],
                    "price": float(sum(t.size * t.price for t in self.group) / size),
                    "low": float(min(t.price for t in self.group)),
                    "high": float(max(t.price for t in self.group)),
                    "size": float(size),
                    "prints": len(self.group),
                    "threshold": threshold / 10**6,
                    "received_ns": max(t.recv_ns for t in self.group),
                    "version": max(recv_ns, *(t.recv_ns for t in self.group)),
                }
        self.groups.append(int(size * 10**6))
        self.group = []

    # Bars and footprints.

    def bars(self, interval_s: int) -> dict[int, tuple[list[Trade], int]]:
        """Closed bars by open time: their trades in log order, their version."""
        found: dict[int, list[tuple[int, Trade]]] = defaultdict(list)
        for event, t in self.trades:
            found[t.time_ns // (interval_s * S) * (interval_s * S)].append((event, t))
        out = {}
        for open_ns, trades in found.items():
            closing = [(e, r) for e, until, r in self.closings if until >= open_ns + interval_s * S]
            if closing:
                event, recv_ns = closing[0]
                versions = [t.recv_ns for _, t in trades] + [recv_ns] * (trades[0][0] < event)
                out[open_ns] = [t for _, t in trades], max(versions)
        return out

    def order_flow(self) -> dict[Any, dict[str, Any]]:
        rows = {}
        for interval_s in (1, 60, 300, 900, 3600, 14400, 86400):
            for open_ns, (trades, version) in self.bars(interval_s).items():
                running, deltas = Fraction(0), [Fraction(0)]
                classes = [[Fraction(0)] * 4, [Fraction(0)] * 4]
                for t in trades:
                    running += t.side * t.size
                    deltas.append(running)
                    if t.side:
                        at = sum(t.price * t.size >= edge for edge in (1000, 10_000, 100_000))
                        classes[t.side < 0][at] += t.size
                rows[interval_s, open_ns] = {
                    "whole": self.whole(open_ns, open_ns + interval_s * S),
                    "open": float(min(trades, key=lambda t: t.time_ns).price),
                    "close": float(max(reversed(trades), key=lambda t: t.time_ns).price),
                    "high": float(max(t.price for t in trades)),
                    "low": float(min(t.price for t in trades)),
                    "quote_volume": float(sum(t.price * t.size for t in trades)),
                    "trades": len(trades),
                    "buy_lots": sum(t.size for t in trades if t.side > 0),
                    "sell_lots": sum(t.size for t in trades if t.side < 0),
                    "unknown_lots": sum(t.size for t in trades if t.side == 0),
                    "inferred_lots": sum(t.size for t in trades if t.side and t.inferred),
                    "delta_min_lots": min(deltas),
                    "delta_max_lots": max(deltas),
                    "class_buy_lots": tuple(classes[0]),
                    "class_sell_lots": tuple(classes[1]),
                    "received_ns": max(t.recv_ns for t in trades),
                    "version": version,
                }
        return rows

    def footprints(self) -> dict[Any, dict[str, Any]]:
        rows = {}
        for interval_s in (10, 60, 3600):
            for open_ns, (trades, version) in self.bars(interval_s).items():
                lots = self._by_row(trades)
                rows[interval_s, open_ns] = {
                    "whole": self.whole(open_ns, open_ns + interval_s * S),
                    "price_row": tuple(sorted(lots)),
                    "buy_lots": tuple(lots[row][1] for row in sorted(lots)),
                    "sell_lots": tuple(lots[row][-1] for row in sorted(lots)),
                    "unknown_lots": tuple(lots[row][0] for row in sorted(lots)),
                    "received_ns": max(t.recv_ns for t in trades),
                    "version": version,
                }
        return rows

    def _by_row(self, trades: list[Trade]) -> dict[int, dict[int, Fraction]]:
        lots: dict[int, dict[int, Fraction]] = {}
        for t in trades:
            row = math.floor(t.price / self.row_step)
            lots.setdefault(row, {1: Fraction(0), -1: Fraction(0), 0: Fraction(0)})[t.side] += t.size
        return lots

    # Profiles.

    def into_profiles(self, minute: int, trades: list[Trade], version: int) -> None:
        spans = {}
        for name in sessions.spans_of(self.asset_class):
            span = sessions.span_at(self.asset_class, name, minute)
            if span is not None:
                spans[name, span.open_ns] = span.close_ns
        spans |= {(name, None): None for name in ROLLING}
        for key, close_ns in spans.items():
            if key not in self.spans and not trades:
                continue
            state = self.spans.setdefault(key, self.begun(close_ns))
            if minute + MINUTE > state["until"]:
                if state["closed"]:
                    old = self.profiles[key[0], state["until"]]
                    old["closed"], old["version"] = False, max(old["version"], version)
                    old["whole"] = self.whole(old["open_ns"], old["time_ns"])
                state["until"], state["points"] = minute + MINUTE, [state["points"][1], None]
                state["version"] = max(state["version"], version)
            state["version"] = max(state["version"], version)
            state["trades"] += trades
            self._profile_row(key, state)

    def begun(self, close_ns: int | None) -> dict[str, Any]:
        """A span without trades."""
        state = {"trades": [], "until": 0, "points": [None, None], "close": close_ns, "version": 0}
        return state | {"closed": False}

    def _close_sessions(self, recv_ns: int) -> None:
        for key, state in self.spans.items():
            if state["close"] is not None and state["close"] <= self.until and not state["closed"]:
                state["closed"], state["version"] = True, max(state["version"], recv_ns)
                self._profile_row(key, state)

    def _profile_row(self, key: Any, state: dict[str, Any]) -> None:
        name, open_ns = key
        trades = state["trades"]
        received_ns = max(t.recv_ns for t in trades)
        if open_ns is None:
            open_ns = state["until"] - ROLLING[name]
            trades = [t for t in trades if t.time_ns >= open_ns]
        lots = self._by_row(trades)
        first, n = min(lots), max(lots) - min(lots) + 1
        unit = math.lcm(*(t.size.denominator for t in trades))
        dense = np.zeros(n, np.int64)
        for row, sides in lots.items():
            dense[row - first] = sum(sides.values()) * unit
        before = state["points"][0]
        developing = profile.developing_point_of_control(dense, -1 if before is None else before - first)
        state["points"][1] = int(developing) + first
        volume = sum(t.size for t in trades)
        vwap = sum(t.size * t.price for t in trades) / volume
        spread = sum(t.size * (t.price - vwap) ** 2 for t in trades) / volume
        low, high = profile.value_area(dense)
        low1, high1 = profile.value_area(dense, 70, 1)
        point = profile.point_of_control(dense)

        def edge(row: int) -> float:
            return float((int(row) + first) * self.row_step)

        found = {
            "open_ns": open_ns,
            "time_ns": state["until"],
            "closed": state["closed"],
            "whole": self.whole(open_ns, state["close"] if state["closed"] else state["until"]),
            "buy_lots": sum(t.size for t in trades if t.side > 0),
            "sell_lots": sum(t.size for t in trades if t.side < 0),
            "unknown_lots": sum(t.size for t in trades if t.side == 0),
            "high": float(max(t.price for t in trades)),
            "low": float(min(t.price for t in trades)),
            "poc": edge(point),
            "poc_lots": Fraction(int(dense[point]), unit),
            "developing_poc": edge(developing),
            "vah": edge(high + 1),
            "val": edge(low),
            "vah_single": edge(high1 + 1),
            "val_single": edge(low1),
            "vwap": float(vwap),
            "vwap_sd": math.sqrt(spread),
            "hvn": tuple(edge(x) for x in profile.nodes(dense)[0]),
            "lvn": tuple(edge(x) for x in profile.nodes(dense)[1]),
            "received_ns": received_ns,
            "version": state["version"],
        }
        if name not in ROLLING:
            found |= self._brackets(trades, open_ns, first, n)
        self.profiles[name, state["until"]] = found

    def _brackets(self, trades: list[Trade], open_ns: int, first: int, n: int) -> dict[str, float]:
        brackets: dict[int, list[Fraction]] = defaultdict(list)
        for t in trades:
            brackets[(t.time_ns - open_ns) // (30 * MINUTE)].append(t.price)
        counts = np.zeros(n, np.int64)
        for prices in brackets.values():
            low, high = (math.floor(x / self.row_step) - first for x in (min(prices), max(prices)))
            counts[low : high + 1] += 1
        low, high = profile.value_area(counts)
        initial = brackets.get(0, []) + brackets.get(1, [])

        def edge(row: int) -> float:
            return float((int(row) + first) * self.row_step)

        return {
            "tpo_poc": edge(profile.point_of_control(counts)),
            "tpo_vah": edge(high + 1),
            "tpo_val": edge(low),
            "initial_high": float(max(initial)) if initial else math.nan,
            "initial_low": float(min(initial)) if initial else math.nan,
        }
