"""Rows of `liquidations` and `derivatives`: what venues of futures tell besides books and trades.

A liquidation is a row as it comes. Its price is what the venue tells: of Binance futures the mean price of what was
filled (the limit, where nothing was yet), and a sample, at most one a second and symbol; of Bybit linear the price at
which the position is bankrupt, and all of them. Venues give no ids, so those that are alike in one message are
numbered; the same message heard twice is the same rows.

Mark and index price, funding and open interest come up to ten times a second and symbol. Of these a row is made

* of the first message of each 10 s of event time (from 1970 on) that tells any of them, and
* at once when the funding rate or the time of the next funding is told to be another than in the row before.

A row holds the newest told of each, changes merged over what the same connection told before. A connection that
begins with a change, not with the whole, has told no more than that: the rest is missing, not what another one told.
What is of an earlier time than the newest told is left out. Cost: 6 us a message beside its parsing.
"""

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from connectors.record import Line
from connectors.venue import Event, Liquidation, MarkPrice, ParseError, Ticker

TABLE_COLUMNS: dict[str, tuple[str, ...]] = {
    "liquidations": (
        "instrument", "venue", "time_ns", "liquidated_side", "price", "size", "ordinal", "complete", "received_ns",
        "version",
    ),
    "derivatives": (
        "instrument", "venue", "time_ns", "mark", "index", "funding_rate", "next_funding_ns", "open_interest",
        "received_ns", "version",
    ),
}  # fmt: skip
SPAN_NS = 10 * 10**9
AHEAD_NS = 60 * 10**9  # as of books: what is told to be of later than this after its receipt is not believed
BEHIND_NS = 86_400 * 10**9  # nor what is this old: streams tell the present
FUNDING_NS_MAX = 31 * 86_400 * 10**9  # from a message to the next funding, which venues pay each 1 to 8 hours
FUNDING_RATE_MAX = 1  # of one period, either sign; venues cap it at some per cent
AMOUNT_MAX = 10**18  # of a price or a size
ORDINAL_MAX = 2**16 - 1
SYMBOLS_MAX = 10_000

Row = tuple[Any, ...]


class _Told(msgspec.Struct, array_like=True):
    """What is known of a symbol, and of its last row: which 10 s, rate and time of funding."""

    origin: bytes
    newest: Ticker
    span: int
    funding_rate: Decimal | None
    next_funding_ns: int | None


class Derivatives:
    """The futures of one partition. Pure. `name` gives the canonical instrument of a symbol."""

    def __init__(self, venue: str, name: Callable[[str], str]) -> None:
        self._venue, self._name = venue, name
        self._told: dict[str, _Told] = {}
        self._line: Line | None = None
        self._alike: Counter[tuple[Any, ...]] = Counter()  # liquidations of that line
        self.left_out = 0

    def on_event(self, event: Event, line: Line) -> list[tuple[str, Row]]:
        """Table and row of what the event of that line makes known; [] of other events.

        Raises:
            ParseError: a time, a price or a size that cannot be. The events beside it in the line are good.
        """
        if isinstance(event, Liquidation):
            return [("liquidations", self._liquidation(event, line))]
        if isinstance(event, MarkPrice | Ticker):
            row = self._on_told(_ticker(event), line)
            return [] if row is None else [("derivatives", row)]
        return []

    def _liquidation(self, event: Liquidation, line: Line) -> Row:
        _check_time(event.event_ns, line.recv_ns)
        price, size = _checked(event.price, "a price"), _checked(event.size, "a size")
        if line is not self._line:
            self._line, self._alike = line, Counter()
        alike = event.symbol, event.event_ns, event.liquidated_side, price, size
        ordinal = self._alike[alike]
        if ordinal > ORDINAL_MAX:
            raise ParseError(f"expected up to {ORDINAL_MAX + 1} liquidations alike, found more")
        self._alike[alike] += 1
        return (
            self._name(event.symbol), self._venue, event.event_ns, event.liquidated_side, price, size, ordinal,
            event.complete, line.recv_ns, line.recv_ns,
        )  # fmt: skip

    def _on_told(self, told: Ticker, line: Line) -> Row | None:
        if _tells_nothing(told):
            return None
        _check(told, line.recv_ns)
        state = self._told.get(told.symbol)
        if state is None:
            state = self._added(told, line.origin)
        elif told.event_ns < state.newest.event_ns:
            self.left_out += 1
            return None
        state.newest = told.over(state.newest if state.origin == line.origin else None)
        state.origin = line.origin
        span = told.event_ns // SPAN_NS
        if span == state.span and not _funds_anew(told, state):
            return None
        state.span = span
        state.funding_rate, state.next_funding_ns = state.newest.funding_rate, state.newest.next_funding_ns
        return self._row(state.newest, line.recv_ns)

    def _added(self, told: Ticker, origin: bytes) -> _Told:
        if len(self._told) == SYMBOLS_MAX:
            del self._told[next(iter(self._told))]
        state = self._told[told.symbol] = _Told(origin, told, -1, None, None)
        return state

    def _row(self, known: Ticker, recv_ns: int) -> Row:
        return (
            self._name(known.symbol), self._venue, known.event_ns, _float(known.mark), _float(known.index),
            _float(known.funding_rate), known.next_funding_ns, _float(known.open_interest), recv_ns, recv_ns,
        )  # fmt: skip

    def dump(self) -> Any:
        """All state."""
        return self.left_out, self._told

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        self.left_out, told = state
        self._told = msgspec.convert(told, dict[str, _Told])


def _ticker(event: MarkPrice | Ticker) -> Ticker:
    """What the event tells of a derivative. A price of zero is none."""
    return Ticker(
        symbol=event.symbol,
        event_ns=event.event_ns,
        delta=event.delta if isinstance(event, Ticker) else True,
        mark=event.mark or None,
        index=event.index or None,
        funding_rate=event.funding_rate,
        next_funding_ns=event.next_funding_ns,
        open_interest=event.open_interest if isinstance(event, Ticker) else None,
    )


def _tells_nothing(told: Ticker) -> bool:
    return (
        told.mark is told.index is told.funding_rate is told.open_interest is None
        and told.next_funding_ns is None
    )


def _funds_anew(told: Ticker, state: _Told) -> bool:
    rate, next_ns = told.funding_rate, told.next_funding_ns
    return (rate is not None and rate != state.funding_rate) or (
        next_ns is not None and next_ns != state.next_funding_ns
    )


def _check(told: Ticker, recv_ns: int) -> None:
    _check_time(told.event_ns, recv_ns)
    for x, what in ((told.mark, "a mark price"), (told.index, "an index price")):
        if x is not None:
            _checked(x, what)
    if told.open_interest is not None and not 0 <= told.open_interest <= AMOUNT_MAX:
        raise ParseError(f"expected an open interest up to {AMOUNT_MAX:.0e}, found {told.open_interest}")
    if told.funding_rate is not None and not abs(told.funding_rate) <= FUNDING_RATE_MAX:
        raise ParseError(f"expected a funding rate up to {FUNDING_RATE_MAX}, found {told.funding_rate}")
    if told.next_funding_ns is not None and abs(told.next_funding_ns - told.event_ns) > FUNDING_NS_MAX:
        raise ParseError(f"expected the next funding within a month, found {told.next_funding_ns} ns")


def _check_time(time_ns: int, recv_ns: int) -> None:
    if not recv_ns - BEHIND_NS <= time_ns <= recv_ns + AHEAD_NS:
        raise ParseError(f"expected a time up to a day before its receipt, {recv_ns} ns, found {time_ns}")


def _checked(x: Decimal, what: str) -> float:
    if not 0 < x <= AMOUNT_MAX:
        raise ParseError(f"expected {what} above 0, up to {AMOUNT_MAX:.0e}, found {x}")
    return float(x)


def _float(x: Decimal | None) -> float:
    return math.nan if x is None else float(x)
