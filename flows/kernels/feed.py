"""The feed kernel: answers of a polled API as rows of `bars`, `trades`, `prices`, `derivatives` and a table a fact.

A fact's table has its fields as columns, with `received_ns` and `version`; None is NaN in a float, NULL in an integer.
A bar that was still open when it was received is left out, as is what no table takes: order books, best quotes.

Cost: 3 us a bar beside what the feed's `parse` takes; its message and its place in an insert take 9 us more.
"""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from types import UnionType
from typing import Any, get_args

import msgspec

from connectors import facts
from connectors.facts import FACTS
from connectors.feed import Feed, Row
from connectors.record import Line
from connectors.venue import Bar, MarkPrice, ParseError, Price, Ticker, Trade
from flows.kernels import bars
from flows.kernels.block import Block
from flows.kernels.lines import LineKernel, check_name, check_time

ORIGIN = b"GET:"
FACT_TABLES: dict[type, str] = {
    facts.CoinMarket: "coin_markets", facts.CoinPoint: "coin_history", facts.MarketTotal: "market_totals",
    facts.Sector: "sectors", facts.SectorMember: "sector_members", facts.Ranking: "rankings",
    facts.MarketPair: "market_pairs", facts.Sentiment: "sentiment", facts.Pool: "pools", facts.Equity: "equities",
    facts.News: "news", facts.DataRow: "data_rows",
}  # fmt: skip
TABLE_COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": bars.COLUMNS,
    "trades": (
        "instrument", "venue", "time_ns", "trade_id", "price", "size", "side", "side_by",
        "aggregated", "received_ns", "version",
    ),
    "prices": ("instrument", "venue", "time_ns", "price", "bid", "ask", "received_ns", "version"),
    "derivatives": (
        "instrument", "venue", "time_ns", "mark", "index", "funding_rate", "next_funding_ns", "open_interest",
        "received_ns", "version",
    ),
    **{FACT_TABLES[fact]: (*fact.__struct_fields__, "received_ns", "version") for fact in FACTS},
}  # fmt: skip
# A feed raises ParseError alone; an answer that proves one wrong is set aside too, or no other would ever be read.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
TRADE_ID_MAX = 2**64 - 1
AHEAD_NS = 86_400 * 10**9  # clocks, and dates of other time zones
NAMES_MAX = 10_000  # symbols are what answers say
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class FeedKernel(LineKernel):
    """The answers of one partition of a feed's topic."""

    reason = "malformed answer"

    def __init__(self, feed: Feed, partition: int) -> None:
        super().__init__(feed.topic, partition)
        self._feed = feed
        self._venue = feed.venue or feed.name
        self._names: dict[str, str] = {}
        self._rows: dict[type, Callable[[Any, int], tuple[str, tuple[Any, ...]] | None]] = {
            Bar: self._bar, Trade: self._trade, Price: self._price, MarkPrice: self._derivative,
            Ticker: self._derivative, **dict.fromkeys(FACTS, _fact),
        }  # fmt: skip

    def blocks_of(self, line: Line) -> list[Block]:
        """The rows of an answer. Raises ParseError if the feed refuses it, or a number is one no column can hold."""
        if not line.origin.startswith(ORIGIN):
            raise ParseError(f"expected an origin {ORIGIN.decode()}PATH, found {line.origin[:80]!r}")
        try:
            path = line.origin[len(ORIGIN) :].decode()
        except UnicodeDecodeError as error:
            raise ParseError(f"expected a path in UTF-8: {error}") from None
        found: dict[str, list[tuple[Any, ...]]] = {}
        try:
            for row in self._feed.parse(path, line.payload, line.recv_ns):
                self._add(row, line.recv_ns, found)
        except UNFORESEEN as error:
            raise ParseError(f"{type(error).__name__}: {error}") from error
        return [Block.of(table, TABLE_COLUMNS[table], rows) for table, rows in found.items()]

    def _add(self, row: Row, recv_ns: int, found: dict[str, list[tuple[Any, ...]]]) -> None:
        make = self._rows.get(type(row))
        made = make(row, recv_ns) if make is not None else None
        if made is None:
            self.counts["left_out"] += 1
        else:
            found.setdefault(made[0], []).append(made[1])

    def _name(self, symbol: str) -> str:
        name = self._names.get(symbol)
        if name is None:
            name = check_name(self._feed.canonical(symbol), "an instrument")
            if len(self._names) == NAMES_MAX:
                self._names.clear()
            self._names[symbol] = name
        return name

    def _bar(self, bar: Bar, recv_ns: int) -> tuple[str, tuple[Any, ...]] | None:
        if not bar.closed:
            return None
        return "bars", bars.bar_row(bar, self._name(bar.symbol), self._venue, "rest", recv_ns)

    def _trade(self, trade: Trade, recv_ns: int) -> tuple[str, tuple[Any, ...]]:
        _check_told(trade.event_ns, recv_ns, "a trade's time")
        if not 0 <= trade.trade_id <= TRADE_ID_MAX:
            raise ParseError(f"expected a trade id of 64 bits, found {trade.trade_id}")
        return "trades", (
            self._name(trade.symbol), self._venue, trade.event_ns, trade.trade_id, _finite(trade.price),
            _finite(trade.size), trade.side, trade.side_by, trade.aggregated, recv_ns, recv_ns,
        )  # fmt: skip

    def _price(self, price: Price, recv_ns: int) -> tuple[str, tuple[Any, ...]]:
        _check_told(price.event_ns, recv_ns, "a price's time")
        bid, ask = _float(price.bid), _float(price.ask)
        name = self._name(price.symbol)
        return "prices", (
            name, self._venue, price.event_ns, _finite(price.price), bid, ask, recv_ns, recv_ns,
        )  # fmt: skip

    def _derivative(self, told: MarkPrice | Ticker, recv_ns: int) -> tuple[str, tuple[Any, ...]] | None:
        interest = told.open_interest if isinstance(told, Ticker) else None
        numbers = told.mark, told.index, told.funding_rate, interest
        if numbers == (None,) * 4:
            return None  # of a spot market
        _check_told(told.event_ns, recv_ns, "a time")
        if told.next_funding_ns is not None:
            check_time(told.next_funding_ns, "a time of funding")
        mark, index, rate, interest_base = map(_float, numbers)
        return "derivatives", (
            self._name(told.symbol), self._venue, told.event_ns, mark, index, rate, told.next_funding_ns,
            interest_base, recv_ns, recv_ns,
        )  # fmt: skip


def _fact(fact: Any, recv_ns: int) -> tuple[str, tuple[Any, ...]]:
    """Of any kind. Raises ParseError for a time or count that no column can hold."""
    if isinstance(fact, facts.DataRow):  # a table may be of what is to come
        check_time(fact.time_ns, "a time")
    else:
        _check_told(fact.time_ns, recv_ns, "a time")
    values = [
        missing if x is None else x
        for x, missing in zip(msgspec.structs.astuple(fact), _MISSING[type(fact)], strict=True)
    ]
    for x in values:
        if isinstance(x, int) and not INT64_MIN <= x <= INT64_MAX:
            raise ParseError(f"expected integers of 64 bits, found {x}")
        if isinstance(x, float) and math.isinf(x):
            raise ParseError("expected finite numbers, found infinity")
    return FACT_TABLES[type(fact)], (*values, recv_ns, recv_ns)


def _check_told(time_ns: int, recv_ns: int, what: str) -> None:
    """Raises ParseError for the future: such a row would be the newest, and what is shown, until then."""
    if check_time(time_ns, what) > recv_ns + AHEAD_NS:
        raise ParseError(f"expected {what} of before its receipt, {recv_ns} ns, found {time_ns}")


def _missing(fact: type) -> list[float | None]:
    """What stands for None in each field."""
    types: Iterable[Any] = (field.type for field in msgspec.structs.fields(fact))
    return [math.nan if isinstance(kind, UnionType) and float in get_args(kind) else None for kind in types]


_MISSING = {fact: _missing(fact) for fact in FACTS}


def _finite(x: Decimal) -> float:
    found = float(x)
    if not math.isfinite(found):
        raise ParseError(f"expected a finite number, found {found}")
    return found


def _float(x: Decimal | None) -> float:
    return math.nan if x is None else float(x)
