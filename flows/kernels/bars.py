"""Rows of `bars`: of bars that venues tell as they grow, and of bars made from prices without trades.

Only bars that are over and whole become rows; a bar that nobody saw whole is a hole. Times are int ns UTC, versions
the receive time of the line that made the row final or corrected it. Cost: 4 us a bar told, 2 us a price.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from connectors.venue import Bar, ParseError, Price
from flows.kernels.lines import check_time

COLUMNS = (
    "instrument", "venue", "interval_s", "source", "open_ns", "open", "high", "low", "close", "volume", "quote_volume",
    "buy_volume", "trades", "received_ns", "version",
)  # fmt: skip
INTERVAL_S_MAX = 2**32 - 1
COUNT_MAX = 2**63 - 1
SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
KEPT_NS = 10 * MINUTE_NS  # a price that is later than this does not correct its bar
AHEAD_NS = MINUTE_NS  # a price that is told to be of later than this after its receipt is not believed
CONNECTIONS_MAX = 64

Row = tuple[Any, ...]


def bar_row(bar: Bar, instrument: str, venue: str, source: str, recv_ns: int) -> Row:
    """A bar in the order of `COLUMNS`; what is not told is NaN, of trades None. Raises ParseError."""
    check_time(bar.open_ns, "an open time")
    if not 0 < bar.interval_s <= INTERVAL_S_MAX:
        raise ParseError(f"expected an interval from 1 to {INTERVAL_S_MAX} s, found {bar.interval_s}")
    if bar.trades is not None and not 0 <= bar.trades <= COUNT_MAX:
        raise ParseError(f"expected a number of trades, found {bar.trades}")
    prices = float(bar.open), float(bar.high), float(bar.low), float(bar.close)
    if not math.isfinite(sum(prices)):
        raise ParseError(f"expected finite prices, found {prices}")
    return (
        instrument, venue, bar.interval_s, source, bar.open_ns, *prices, _float(bar.volume), _float(bar.quote_volume),
        _float(bar.buy_volume), bar.trades, recv_ns, recv_ns,
    )  # fmt: skip


def _float(x: Decimal | None) -> float:
    return math.nan if x is None else float(x)


class StreamBars:
    """Bars that a venue tells again and again while they grow.

    A bar is over when the venue says so, or tells of a later one on the same connection (Kraken may never say so). The
    newest of each symbol and interval that is not over waits. On another connection a later bar proves nothing: what
    came between was missed, unless it is told again.
    """

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._newest: dict[
            tuple[str, int], tuple[bytes, bool, Row]
        ] = {}  # connection, whether it was over, row

    def on_bar(self, bar: Bar, instrument: str, origin: bytes, recv_ns: int) -> Iterator[Row]:
        """The rows that this bar makes final. Raises ParseError."""
        row, key = bar_row(bar, instrument, self._venue, "stream", recv_ns), (bar.symbol, bar.interval_s)
        connection, is_over, newest = self._newest.get(key, (origin, True, row))
        open_ns = newest[_OPEN_NS]
        if bar.open_ns > open_ns and not is_over and connection == origin:
            yield (*newest[:-1], recv_ns)
        if bar.closed or (bar.open_ns < open_ns and connection == origin):
            yield row
        if bar.open_ns > open_ns or (bar.open_ns == open_ns and (bar.closed or not is_over or newest is row)):
            self._newest[key] = (origin, bar.closed, row)

    def forget(self, symbol: str) -> None:
        """The connector began anew, and its count of connections with it: what waits may lack its end."""
        for key in [x for x in self._newest if x[0] == symbol]:
            del self._newest[key]

    def dump(self) -> Any:
        """All state."""
        return [(*key, *value) for key, value in self._newest.items()]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        self._newest = {
            (symbol, interval_s): (origin, is_over, tuple(row))
            for symbol, interval_s, origin, is_over, row in state
        }


_OPEN_NS = COLUMNS.index("open_ns")


class PriceBars:
    """Bars of a minute made of prices without trades, by event time; without volumes.

    A bar is over when its connection tells a price of a later minute, of whatever symbol. Prices that come later still
    correct it, up to `KEPT_NS`. It is whole, and becomes a row, if one connection told all of it: one that had said
    something before the minute began, and is not followed by another within it. A connector that is started anew
    counts its connections from one again: the minute in which that happens is not told from a whole one.
    """

    def __init__(self, venue: str) -> None:
        self._venue = venue
        # Of a connection: receipt of its first and its newest line, newest event time of its prices.
        self._connections: dict[bytes, list[int]] = {}
        self._bars: dict[str, dict[int, list[Any]]] = {}  # symbol -> open time -> bar, see _fresh
        self.left_out = 0

    def heard(self, origin: bytes, recv_ns: int) -> None:
        """A line of that connection, whatever is in it."""
        known = self._connections.get(origin)
        if known is not None:
            known[_HEARD] = recv_ns
            return
        self._connections[origin] = [recv_ns, recv_ns, 0]
        if len(self._connections) > CONNECTIONS_MAX:
            del self._connections[next(iter(self._connections))]

    def on_price(self, price: Price, instrument: str, origin: bytes, recv_ns: int) -> Iterator[Row]:
        """The rows that this price makes final or corrects; `heard` came before."""
        connection = self._connections[origin]
        before_ns, time_ns = connection[_TIME], max(connection[_TIME], price.event_ns)
        open_ns = price.event_ns - price.event_ns % MINUTE_NS
        if price.event_ns > recv_ns + AHEAD_NS or open_ns < time_ns - KEPT_NS:
            self.left_out += 1
            return
        connection[_TIME] = time_ns
        minutes = self._bars.setdefault(price.symbol, {})
        bar = minutes.get(open_ns) or minutes.setdefault(open_ns, _fresh(instrument, origin))
        _add(bar, price, origin, recv_ns)
        if open_ns + MINUTE_NS <= time_ns:  # late
            bar[_IS_OVER] = True
            yield from self._rows(open_ns, bar, recv_ns)
        if time_ns // MINUTE_NS > before_ns // MINUTE_NS:
            yield from self._close(origin, time_ns, recv_ns)

    def _close(self, origin: bytes, time_ns: int, recv_ns: int) -> Iterator[Row]:
        for minutes in self._bars.values():
            for open_ns, bar in list(minutes.items()):
                if bar[_ORIGIN] == origin and not bar[_IS_OVER] and open_ns + MINUTE_NS <= time_ns:
                    bar[_IS_OVER] = True
                    yield from self._rows(open_ns, bar, recv_ns)
                if self._is_past(open_ns, bar, recv_ns):
                    del minutes[open_ns]

    def _is_past(self, open_ns: int, bar: list[Any], recv_ns: int) -> bool:
        """Whether no price will correct the bar any more, by the time of its own connection."""
        connection = self._connections.get(bar[_ORIGIN])
        return (
            connection is None
            or open_ns < connection[_TIME] - KEPT_NS
            or connection[_HEARD] < recv_ns - KEPT_NS
        )

    def _rows(self, open_ns: int, bar: list[Any], recv_ns: int) -> Iterator[Row]:
        """The bar's row, if it is whole."""
        connection = self._connections.get(bar[_ORIGIN])
        if not bar[_IS_BROKEN] and connection is not None and connection[_BEGAN] <= open_ns:
            yield (
                bar[_INSTRUMENT], self._venue, 60, "prices", open_ns, bar[_OPEN], bar[_HIGH], bar[_LOW], bar[_CLOSE],
                math.nan, math.nan, math.nan, None, bar[_RECV], recv_ns,
            )  # fmt: skip

    def dump(self) -> Any:
        """All state."""
        bars = [
            (symbol, open_ns, bar)
            for symbol, minutes in self._bars.items()
            for open_ns, bar in minutes.items()
        ]
        return list(self._connections.items()), bars, self.left_out

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        connections, bars, self.left_out = state
        self._connections, self._bars = dict(connections), {}
        for symbol, open_ns, bar in bars:
            self._bars.setdefault(symbol, {})[open_ns] = bar


_BEGAN, _HEARD, _TIME = range(3)
_INSTRUMENT, _ORIGIN, _IS_BROKEN, _IS_OVER, _OPEN_AT, _OPEN, _HIGH, _LOW, _CLOSE_AT, _CLOSE, _RECV = range(11)


def _fresh(instrument: str, origin: bytes) -> list[Any]:
    """A bar without prices yet: as the names above, times of its first and last price in ns."""
    return [instrument, origin, False, False, math.inf, 0.0, -math.inf, math.inf, -math.inf, 0.0, 0]


def _add(bar: list[Any], price: Price, origin: bytes, recv_ns: int) -> None:
    value = float(price.price)
    bar[_IS_BROKEN] |= bar[_ORIGIN] != origin
    if price.event_ns < bar[_OPEN_AT]:
        bar[_OPEN_AT], bar[_OPEN] = price.event_ns, value
    if price.event_ns >= bar[_CLOSE_AT]:
        bar[_CLOSE_AT], bar[_CLOSE] = price.event_ns, value
    bar[_HIGH], bar[_LOW], bar[_RECV] = max(bar[_HIGH], value), min(bar[_LOW], value), recv_ns
