"""Rows of `profiles`: volume profiles of sessions and rolling spans, minute by minute.

A span takes in whole minutes, as they close. Its row for a minute is of all its trades up to the minute's end. A print
that comes after its minute has closed is in the span from then on, and corrects its newest row; rows of minutes before
that one stay as they were known. The last row of a session is told again, closed, when the session is over.

Volumes are exact integers, so that what a rolling span has left behind is subtracted without a trace. The deviation
around the volume-weighted mean comes from sums that are exact too, but for a float's digits within ten seconds.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from flows.kernels import profile, sessions, tally
from flows.kernels.gaps import BEGINNING_NS, Gaps
from flows.kernels.traded import Int64s, Scale, Traded

MINUTE_NS = 60 * 10**9
ROLLING_MINUTES = {"rolling_4h": 240, "rolling_24h": 1440}
MINUTES_KEPT = 1442  # late prints come to minutes that are closed
BITS_MAX = 56  # of a volume that is multiplied by percentages in 64 bits
INITIAL_BRACKETS = 2

Row = tuple[Any, ...]
_NAN3 = (math.nan, math.nan, math.nan)
_NAN2 = (math.nan, math.nan)


class Minute(NamedTuple):
    """What traded in a minute, as `dump` takes it.

    `packed` is int64[2, rows], rows and their lots; `sums` are of size * price and size * price ** 2, as texts: they
    may have more than 64 bits.
    """

    open_ns: int
    packed: bytes
    sides: tuple[int, int, int]
    sums: tuple[str, str]
    high: int
    low: int

    @classmethod
    def of(cls, open_ns: int, traded: Traded) -> "Minute":
        """A closed minute, or late prints of one."""
        packed = np.stack((traded.rows, traded.lots.sum(axis=0))).tobytes()
        buy, sell, unknown = traded.lots.sum(axis=1).tolist()
        sums = str(traded.product), str(traded.squares)
        return cls(open_ns, packed, (buy, sell, unknown), sums, traded.high, traded.low)

    def rows(self) -> Int64s:
        """Rows and their lots, int64[2, rows]."""
        return np.frombuffer(self.packed, np.int64).reshape(2, -1)

    def rescaled(self, by_price: int, by_size: int) -> "Minute":
        """The same in ticks and lots that are finer by these factors."""
        rows, lots = self.rows()
        packed = np.stack((rows, lots * by_size)).tobytes()
        buy, sell, unknown = (x * by_size for x in self.sides)
        product, squares = (int(x) * by_price**power * by_size for power, x in enumerate(self.sums, 1))
        sums = str(product), str(squares)
        return Minute(
            self.open_ns, packed, (buy, sell, unknown), sums, self.high * by_price, self.low * by_price
        )


class Volumes:
    """The sum of minutes: a dense profile, lots by row, and what else adds up."""

    def __init__(self) -> None:
        self.base = 0
        self.dense: Int64s = np.zeros(0, np.int64)
        self.sides = [0, 0, 0]
        self.product = self.squares = 0

    def add(self, minute: Minute, first: int, last: int) -> None:
        """Add a minute; with it all volume is in the rows `first` to `last`."""
        rows, lots = minute.rows()
        self._reach(first, last)
        tally.add_rows(self.dense, self.base, rows, lots, 1)
        self._count(minute, 1)

    def subtract(self, minute: Minute) -> None:
        """Take away a minute that was added."""
        rows, lots = minute.rows()
        tally.add_rows(self.dense, self.base, rows, lots, -1)
        self._count(minute, -1)

    def within(self, first: int, last: int) -> Int64s:
        """Lots of the rows `first` to `last`, which hold all."""
        return self.dense[first - self.base : last + 1 - self.base]

    def vwap(self, unit: int) -> tuple[float, float]:
        """Mean and standard deviation of prices (`unit` ticks are 1), weighted by size."""
        lots = sum(self.sides)
        spread = max(self.squares * lots - self.product**2, 0)
        return self.product / (lots * unit), math.sqrt(spread / (lots * unit) ** 2)

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        self.dense *= by_size
        self.sides = [x * by_size for x in self.sides]
        self.product *= by_price * by_size
        self.squares *= by_price**2 * by_size

    def _count(self, minute: Minute, sign: int) -> None:
        self.sides = [x + sign * y for x, y in zip(self.sides, minute.sides, strict=True)]
        product, squares = minute.sums
        self.product += sign * int(product)
        self.squares += sign * int(squares)

    def _reach(self, first: int, last: int) -> None:
        """Make room for the rows, and some more on both sides."""
        if first >= self.base and last < self.base + len(self.dense):
            return
        room = (last - first + 1) // 2 + 16
        dense = np.zeros(last - first + 1 + 2 * room, np.int64)
        kept = np.flatnonzero(self.dense)
        dense[kept + self.base - first + room] = self.dense[kept]
        self.base, self.dense = first - room, dense

    def dump(self) -> Any:
        """All state."""
        kept = np.flatnonzero(self.dense)
        sums = str(self.product), str(self.squares)
        return self.base, len(self.dense), kept.tobytes(), self.dense[kept].tobytes(), self.sides, sums

    @classmethod
    def load(cls, state: Any) -> "Volumes":
        """What `dump` gave."""
        self = cls()
        self.base, length, kept, lots, self.sides, (product, squares) = state
        self.dense = np.zeros(length, np.int64)
        self.dense[np.frombuffer(kept, np.int64)] = np.frombuffer(lots, np.int64)
        self.product, self.squares = int(product), int(squares)
        return self


class Session:
    """A day or a session."""

    def __init__(self, name: str, open_ns: int, close_ns: int) -> None:
        self.name, self.open_ns, self.close_ns = name, open_ns, close_ns
        self.volumes = Volumes()
        self.brackets: dict[int, list[int]] = {}  # half hour from the open on -> lowest, highest price
        self.high = self.low = 0
        self.until_ns = BEGINNING_NS  # close of its newest minute
        self.points: list[int | None] = [
            None,
            None,
        ]  # developing point of control, before that minute and with it
        self.version = self.received_ns = 0
        self.is_closed = self.is_due = False

    def row_told_again(self, version: int) -> bool:
        """Whether the newest row is to be told before a later minute comes, because it was the last till now."""
        if self.is_closed and self.until_ns > BEGINNING_NS:
            self.version = max(self.version, version)
            return True
        return self.is_due

    def add(self, minute: Minute, received_ns: int, version: int, scale: Scale) -> None:
        """A minute that is closed, or late prints of one."""
        if self.until_ns == BEGINNING_NS:
            self.high, self.low = minute.high, minute.low
        self.high, self.low = max(self.high, minute.high), min(self.low, minute.low)
        self.volumes.add(minute, scale.row(self.low), scale.row(self.high))
        found = self.brackets.setdefault(
            (minute.open_ns - self.open_ns) // profile.BRACKET_NS, [minute.low, minute.high]
        )
        found[:] = min(found[0], minute.low), max(found[1], minute.high)
        _advance(self, minute, received_ns, version)

    def edges(self, scale: Scale) -> tuple[float, ...]:
        """TPO point of control, value area high and low, initial high and low, in quote currency."""
        first = scale.row(self.low)
        reach = np.array([[scale.row(x) for x in pair] for pair in self.brackets.values()], np.int64).T
        counts = profile.tpo_counts(reach[0], reach[1], first, scale.row(self.high) - first + 1)
        low, high = profile.value_area(counts, profile.PERCENT, profile.TWO_ROW)
        initial = [self.brackets[k] for k in range(INITIAL_BRACKETS) if k in self.brackets]
        return (
            scale.edge(first + int(profile.point_of_control(counts))),
            scale.edge(first + high + 1),
            scale.edge(first + low),
            scale.price(max(x[1] for x in initial)) if initial else math.nan,
            scale.price(min(x[0] for x in initial)) if initial else math.nan,
        )

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        self.volumes.rescale(by_price, by_size)
        self.high, self.low = self.high * by_price, self.low * by_price
        self.brackets = {k: [x * by_price for x in pair] for k, pair in self.brackets.items()}

    def dump(self) -> Any:
        """All state."""
        return (
            self.name, self.open_ns, self.close_ns, self.volumes.dump(), list(self.brackets.items()), self.high,
            self.low, self.until_ns, self.points, self.version, self.received_ns, self.is_closed,
        )  # fmt: skip

    @classmethod
    def load(cls, state: Any) -> "Session":
        """What `dump` gave."""
        self = cls(*state[:3])
        volumes, brackets, self.high, self.low, self.until_ns, self.points, *rest = state[3:]
        self.volumes, self.brackets = Volumes.load(volumes), {k: list(pair) for k, pair in brackets}
        self.version, self.received_ns, self.is_closed = rest
        return self


class Rolling:
    """The last hours before the close of the newest minute with a trade."""

    def __init__(self, name: str) -> None:
        self.name, self.minutes = name, ROLLING_MINUTES[name]
        self.volumes = Volumes()
        self.until_ns = BEGINNING_NS
        self.points: list[int | None] = [None, None]
        self.version = self.received_ns = 0
        self.is_due = False
        self.high = self.low = 0

    @property
    def open_ns(self) -> int:
        """Where the span begins."""
        return self.until_ns - self.minutes * MINUTE_NS

    def add(self, minute: Minute, received_ns: int, version: int, scale: Scale, kept: "Minutes") -> None:
        """A minute that is closed, or late prints of one; `kept` does not hold it yet."""
        until_ns = minute.open_ns + MINUTE_NS
        if until_ns > self.until_ns > BEGINNING_NS:
            for old in kept.between(self.open_ns, min(until_ns - self.minutes * MINUTE_NS, self.until_ns)):
                self.volumes.subtract(old)
        self.high, self.low = kept.reach(max(until_ns, self.until_ns) - self.minutes * MINUTE_NS, minute)
        self.volumes.add(minute, scale.row(self.low), scale.row(self.high))
        _advance(self, minute, received_ns, version)

    def dump(self) -> Any:
        """All state."""
        return (
            self.name, self.volumes.dump(), self.until_ns, self.points, self.version, self.received_ns, self.high,
            self.low,
        )  # fmt: skip

    @classmethod
    def load(cls, state: Any) -> "Rolling":
        """What `dump` gave."""
        self = cls(state[0])
        self.volumes = Volumes.load(state[1])
        self.until_ns, self.points, self.version, self.received_ns, self.high, self.low = state[2:]
        return self


def _advance(span: Session | Rolling, minute: Minute, received_ns: int, version: int) -> None:
    if minute.open_ns + MINUTE_NS > span.until_ns:
        span.until_ns, span.points = minute.open_ns + MINUTE_NS, [span.points[1], None]
    span.received_ns, span.version = max(span.received_ns, received_ns), max(span.version, version)
    span.is_due = True


class Minutes:
    """The minutes of the last 24 hours, of which late prints may still correct some."""

    def __init__(self) -> None:
        self._ring: list[list[Minute]] = [[] for _ in range(MINUTES_KEPT)]  # a minute, and late prints of it
        self._opens = np.full(MINUTES_KEPT, BEGINNING_NS, np.int64)
        self._high = np.zeros(MINUTES_KEPT, np.int64)
        self._low = np.zeros(MINUTES_KEPT, np.int64)

    def add(self, minute: Minute) -> None:
        """Keep a minute, or late prints of one."""
        at = minute.open_ns // MINUTE_NS % MINUTES_KEPT
        if self._opens[at] != minute.open_ns:
            self._opens[at], self._high[at], self._low[at] = minute.open_ns, minute.high, minute.low
            self._ring[at] = []
        self._ring[at].append(minute)
        self._high[at] = max(self._high[at], minute.high)
        self._low[at] = min(self._low[at], minute.low)

    def between(self, from_ns: int, to_ns: int) -> list[Minute]:
        """What is kept of the minutes that open from `from_ns` to before `to_ns`."""
        if to_ns - from_ns <= 2 * MINUTE_NS:
            slots = range(from_ns // MINUTE_NS, to_ns // MINUTE_NS)
            found = [x % MINUTES_KEPT for x in slots if self._opens[x % MINUTES_KEPT] == x * MINUTE_NS]
        else:
            found = np.flatnonzero((self._opens >= from_ns) & (self._opens < to_ns)).tolist()
        return [minute for at in found for minute in self._ring[at]]

    def reach(self, from_ns: int, minute: Minute) -> tuple[int, int]:
        """The highest and the lowest price from `from_ns` on, with one minute more."""
        found = self._opens >= from_ns
        high = np.max(self._high, where=found, initial=minute.high)
        return int(high), int(np.min(self._low, where=found, initial=minute.low))

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        self._ring = [[x.rescaled(by_price, by_size) for x in found] for found in self._ring]
        self._high *= by_price
        self._low *= by_price

    def dump(self) -> Any:
        """All state."""
        return [minute for found in self._ring for minute in found]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        for open_ns, packed, sides, sums, high, low in state:
            self.add(Minute(open_ns, packed, tuple(sides), tuple(sums), high, low))


class Profiles:
    """The spans of one instrument on one venue."""

    def __init__(self, scale: Scale, gaps: Gaps, asset_class: str) -> None:
        self._scale, self._gaps, self._asset_class = scale, gaps, asset_class
        self._rows: list[Row] = []
        self.clear()

    def clear(self) -> None:
        """Begin anew, with rows of another height; `tell` comes before."""
        self._sessions: dict[tuple[str, int], Session] = {}
        self._rolling = [Rolling(name) for name in ROLLING_MINUTES]
        self._minutes = Minutes()

    def add(self, open_ns: int, traded: Traded, version: int) -> None:
        """A minute that is closed, or late prints of one."""
        minute = Minute.of(open_ns, traded)
        for name, (span_open_ns, span_close_ns) in spans_at(self._asset_class, open_ns // MINUTE_NS):
            key = name, span_open_ns
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = Session(name, span_open_ns, span_close_ns)
            if open_ns + MINUTE_NS > session.until_ns and session.row_told_again(version):
                self._tell(session, False)
            session.add(minute, traded.received_ns, version, self._scale)
        for rolling in self._rolling:
            if open_ns + MINUTE_NS > rolling.until_ns and rolling.is_due:
                self._tell(rolling, False)
            rolling.add(minute, traded.received_ns, version, self._scale, self._minutes)
        self._minutes.add(minute)

    def close(self, until_ns: int, recv_ns: int) -> None:
        """Close the sessions that end by then."""
        for session in self._sessions.values():
            if not session.is_closed and session.close_ns <= until_ns:
                session.is_closed = session.is_due = True
                session.version = max(session.version, recv_ns)

    def forget(self, before_ns: int) -> None:
        """No print that is older comes any more."""
        for key in [x for x, found in self._sessions.items() if found.close_ns <= before_ns]:
            session = self._sessions.pop(key)
            if session.is_due:
                self._tell(session, True)

    def tell(self) -> None:
        """Make rows of all spans that have changed, in the scale that they have now."""
        for session in self._sessions.values():
            if session.is_due:
                self._tell(session, session.is_closed)
        for rolling in self._rolling:
            if rolling.is_due:
                self._tell(rolling, False)

    def take_rows(self) -> list[Row]:
        """The rows of `profiles` since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def _tell(self, span: Session | Rolling, is_closed: bool) -> None:
        span.is_due = False
        scale, volumes = self._scale, span.volumes
        until_ns = span.close_ns if isinstance(span, Session) and is_closed else span.until_ns
        first = scale.row(span.low)
        exact = volumes.within(first, scale.row(span.high))
        lots = exact >> max(sum(volumes.sides).bit_length() - BITS_MAX, 0)
        before = span.points[0]
        point = int(profile.point_of_control(lots))
        developing = int(profile.developing_point_of_control(lots, -1 if before is None else before - first))
        span.points[1] = developing + first
        low, high = profile.value_area(lots, profile.PERCENT, profile.TWO_ROW)
        low_single, high_single = profile.value_area(lots, profile.PERCENT, profile.SINGLE_ROW)
        peaks, valleys = (tuple(scale.edge(first + x) for x in rows.tolist()) for rows in profile.nodes(lots))
        self._rows.append(
            (
                scale.instrument, scale.venue, span.name, span.open_ns, span.until_ns, is_closed,
                self._gaps.whole(span.open_ns, until_ns),
                float(scale.row_step), scale.size_decimals, *volumes.sides,
                scale.price(span.high), scale.price(span.low),
                scale.edge(first + point), int(exact[point]), scale.edge(first + developing),
                scale.edge(first + high + 1), scale.edge(first + low),
                scale.edge(first + high_single + 1), scale.edge(first + low_single),
                *volumes.vwap(10**scale.price_decimals), peaks, valleys,
                *(span.edges(scale) if isinstance(span, Session) else _NAN3 + _NAN2),
                span.received_ns, span.version,
            )
        )  # fmt: skip

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        for session in self._sessions.values():
            session.rescale(by_price, by_size)
        for rolling in self._rolling:
            rolling.volumes.rescale(by_price, by_size)
            rolling.high, rolling.low = rolling.high * by_price, rolling.low * by_price
        self._minutes.rescale(by_price, by_size)

    def dump(self) -> Any:
        """All state but rows."""
        spans = [x.dump() for x in self._sessions.values()], [x.dump() for x in self._rolling]
        return *spans, self._minutes.dump()

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        self.clear()
        found, rolling, minutes = state
        self._sessions = {(x.name, x.open_ns): x for x in map(Session.load, found)}
        self._rolling = [Rolling.load(x) for x in rolling]
        self._minutes.load(minutes)


@lru_cache(maxsize=4096)
def spans_at(asset_class: str, minute: int) -> tuple[tuple[str, sessions.Span], ...]:
    """The sessions that a minute (since 1970) is in, by name; they begin and end with minutes."""
    found = (
        (x, sessions.span_at(asset_class, x, minute * MINUTE_NS)) for x in sessions.spans_of(asset_class)
    )
    return tuple((name, span) for name, span in found if span is not None)
