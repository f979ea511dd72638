"""Rows of `profiles`: volume profiles of sessions and rolling spans, minute by minute.

A span takes in whole minutes, as they close. Its row for a minute is of all its trades up to the minute's end. A print
that comes after its minute has closed is in the span from then on, and corrects its newest row; rows of minutes before
that one stay as they were known. The last row of a session is told again, closed, when the session is over.

Volumes are exact integers, so that what a rolling span has left behind is subtracted without a trace. The deviation
around the volume-weighted mean comes from sums that are exact too, but for a float's digits within ten seconds.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from flows.kernels import profile, sessions
from flows.kernels.gaps import BEGINNING_NS, Gaps
from flows.kernels.minutes import MINUTE_NS, Minute, Minutes, Volumes
from flows.kernels.traded import Scale, Traded

ROLLING_MINUTES = {"rolling_4h": 240, "rolling_24h": 1440}
BITS_MAX = 56  # of a volume that is multiplied by percentages in 64 bits
INITIAL_BRACKETS = 2

Row = tuple[Any, ...]
_NAN3 = (math.nan, math.nan, math.nan)
_NAN2 = (math.nan, math.nan)


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

    def _tell(self, span: "Session | Rolling", is_closed: bool) -> None:
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


@lru_cache(maxsize=4096)
def spans_at(asset_class: str, minute: int) -> tuple[tuple[str, sessions.Span], ...]:
    """The sessions that a minute (since 1970) is in, by name; they begin and end with minutes."""
    found = (
        (x, sessions.span_at(asset_class, x, minute * MINUTE_NS)) for x in sessions.spans_of(asset_class)
    )
    return tuple((name, span) for name, span in found if span is not None)
