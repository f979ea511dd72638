"""One simulated market: a dozen books on correlated prices, and what a venue would say of them.

Pure and seeded: the same seed, symbols, start and steps give the same events. Events are in no venue's words; times
are int ms UTC, prices int ticks, sizes int lots of the symbol's `Grid`.
"""

import math
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from connectors.simulator.book import SimulatedBook
from connectors.simulator.prices import Floats, PricePath
from connectors.simulator.step import ASK, BID, Fill, Shape, Step
from connectors.simulator.symbols import ASSETS, Kind, Symbol

STEP_MS = 100
MINUTE_MS = 60_000
FUNDING_MS = 8 * 3600 * 1000
BAR_EVERY_MS = 2000
BARS_KEPT = 1500
# Futures stand over spot by a little, more or less.
BASIS_BPS, BASIS_SPREAD_BPS, BASIS_HALF_LIFE_S = 4.0, 1.5, 60.0
FUTURES_DEPTH, FUTURES_RATE = 2.0, 1.5  # of spot's
FUTURES_ID_STRIDE = 90
# Of a symbol: in a second in which it moves little, or further than `MOVE_SIGMAS`, or all of them run.
LIQUIDATIONS_PER_S, LIQUIDATIONS_PER_S_MOVING = 0.03, 0.3
MOVE_SIGMAS = 2.0


class Depth(NamedTuple):
    """Levels that changed, with their new sizes; ids as `connectors.book_sync` means them."""

    symbol: str
    event_ms: int
    first_id: int
    last_id: int
    previous_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Trade(NamedTuple):
    """A fill; `sold`: the aggressor sold."""

    symbol: str
    event_ms: int
    trade_id: int
    tick: int
    lots: int
    sold: bool


class BestQuote(NamedTuple):
    """The touch has changed."""

    symbol: str
    event_ms: int
    update_id: int
    bid: int
    bid_lots: int
    ask: int
    ask_lots: int


class Mark(NamedTuple):
    """Mark and index price in quote currency, funding rate of the period."""

    symbol: str
    event_ms: int
    price: float
    index_price: float
    funding_rate: float
    next_funding_ms: int


class Liquidation(NamedTuple):
    """A forced order; `sold`: it closed a long. `tick` is its limit, `mean_tick` what it got."""

    symbol: str
    event_ms: int
    sold: bool
    tick: int
    mean_tick: float
    lots: int


class Bar(NamedTuple):
    """A minute as it stands at `event_ms`; `value`s are ticks x lots."""

    symbol: str
    event_ms: int
    open_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    value: int
    buy_lots: int
    buy_value: int
    first_id: int
    last_id: int
    trades: int
    closed: bool


Event = Depth | Trade | BestQuote | Mark | Liquidation | Bar


@dataclass(slots=True)
class _Listing:
    """One symbol on the market."""

    symbol: Symbol
    at: int  # in the price path
    book: SimulatedBook
    phase_ms: int  # venues do not send all symbols in the same millisecond
    bar: Bar
    bars: deque[Bar]
    trade_id: int
    open_interest: int  # lots


class SimulatedMarket:
    """Books of `symbols` from `start_ms` (a whole second) on; `advance` makes time pass.

    Markets of one seed and different names have the same prices and different orders. Prices begin at `path_ms`, a
    whole number of seconds before the start; None: at the start.
    """

    def __init__(
        self,
        kind: Kind,
        symbols: Sequence[Symbol],
        seed: int,
        start_ms: int,
        name: str = "",
        path_ms: int | None = None,
    ) -> None:
        if start_ms % 1000:
            raise ValueError(f"expected a start at a whole second, in ms, found {start_ms}")
        self.kind = kind
        self.name = name or kind
        self.now_ms = start_ms
        self._path = PricePath(symbols, seed)
        for _ in range(0 if path_ms is None else (start_ms - path_ms) // 1000):
            self._path.step()
        self._before: Floats = self._path.logs
        self._after: Floats = self._path.step()
        self._random = np.random.default_rng([seed, 3, zlib.crc32(self.name.encode())])
        self._basis: Floats = np.full(len(symbols), BASIS_BPS)
        self._premium = self._basis  # that the funding rate tells of: as of the last whole minute
        self._listings = {x.symbol: self._listing(x, at, seed) for at, x in enumerate(symbols)}

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols that are traded."""
        return [listing.symbol for listing in self._listings.values()]

    def book(self, symbol: str) -> SimulatedBook:
        """The true book. Raises KeyError for a symbol that is not traded."""
        return self._listings[symbol].book

    def bars(self, symbol: str) -> list[Bar]:
        """Minutes since the start, oldest first, the last one open."""
        listing = self._listings[symbol]
        return [*listing.bars, listing.bar]

    def open_interest(self, symbol: str) -> int:
        """Lots held open (futures)."""
        return self._listings[symbol].open_interest

    def advance(self, to_ms: int, step_ms: int = STEP_MS) -> Iterator[Event]:
        """Let time pass until `to_ms`, in whole steps; yields what happened, by time within each step.

        `step_ms` divides 1000. Coarse steps make a past quickly: one diff a step and symbol.
        """
        if 1000 % step_ms or self.now_ms % step_ms:
            raise ValueError(f"expected steps that divide 1000 and {self.now_ms}, found {step_ms} ms")
        while self.now_ms + step_ms <= to_ms:
            yield from sorted(self._step(step_ms), key=_event_ms)

    def _step(self, step_ms: int) -> list[Event]:
        self.now_ms += step_ms
        within = (self.now_ms - 1) % 1000 + 1
        logs = self._before + (self._after - self._before) * (within / 1000)
        prices = np.exp(logs + self._basis / 1e4 if self.kind == "futures" else logs).tolist()
        events: list[Event] = []
        for listing in self._listings.values():
            forced = self._forced(listing, step_ms) if self.kind == "futures" else None
            step = listing.book.step(prices[listing.at], step_ms / 1000, forced)
            self._tell(listing, step, step_ms, events)
            if self.kind == "futures" and within == 1000:
                events.append(self._mark(listing, prices[listing.at], math.exp(logs[listing.at])))
        if within == 1000:
            self._next_second()
        return events

    def _next_second(self) -> None:
        self._before, self._after = self._after, self._path.step()
        keep = 0.5 ** (1 / BASIS_HALF_LIFE_S)
        noise = self._random.standard_normal(len(self._basis)) * BASIS_SPREAD_BPS * math.sqrt(1 - keep**2)
        self._basis = BASIS_BPS + keep * (self._basis - BASIS_BPS) + noise
        if self.now_ms % MINUTE_MS == 0:
            self._premium = self._basis

    def _forced(self, listing: _Listing, step_ms: int) -> tuple[int, int] | None:
        """A liquidation of this step: the side of the book it hits, and lots. At most one a second."""
        # "the latest liquidation order within 1000 ms": developers.binance.com, liquidation order streams.
        if (self.now_ms - 1) % 1000 + 1 != max(500, step_ms):
            return None
        symbol = listing.symbol
        move = self._after[listing.at] - self._before[listing.at]
        is_moving = abs(move) > MOVE_SIGMAS * ASSETS[symbol.base].volatility_bps / 1e4 or self._path.running
        chance, size = self._random.random(), self._random.standard_normal()
        if chance > (LIQUIDATIONS_PER_S_MOVING if is_moving else LIQUIDATIONS_PER_S):
            return None
        value = symbol.level * 0.6 * math.exp(1.2 * size)
        price = math.exp(self._before[listing.at])
        return ASK if move > 0 else BID, max(1, int(value / price / float(symbol.grid(self.kind).lot)))

    def _tell(self, listing: _Listing, step: Step, step_ms: int, events: list[Event]) -> None:
        """The events of one book's step."""
        name, event_ms = listing.symbol.symbol, self.now_ms - listing.phase_ms
        fills = step.fills if step_ms <= STEP_MS else _merged(step.fills)
        begin_ms, count = event_ms - step_ms, len(fills) + 1
        for i, fill in enumerate(fills, 1):
            listing.trade_id += 1
            trade = Trade(
                name,
                begin_ms + i * step_ms // count,
                listing.trade_id,
                fill.tick,
                fill.lots,
                fill.side == BID,
            )
            events.append(trade)
            events.extend(self._to_bar(listing, trade))
            listing.open_interest += fill.lots * (listing.trade_id % 3 - 1)
        if step.forced:
            events.append(_liquidation(name, begin_ms + 1, step))
        for i, quote in enumerate(step.quotes, 1):
            events.append(BestQuote(name, begin_ms + i * step_ms // len(step.quotes), *quote))
        if step.changes:
            sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
            for side, tick, _, lots in step.changes:
                sides[side][tick] = lots
            ids = step.first_id, step.last_id, step.previous_id
            events.append(Depth(name, event_ms, *ids, list(sides[BID].items()), list(sides[ASK].items())))
        if self.now_ms % BAR_EVERY_MS == 0 and event_ms < listing.bar.open_ms + MINUTE_MS:
            events.append(listing.bar._replace(event_ms=event_ms))

    def _to_bar(self, listing: _Listing, trade: Trade) -> Iterator[Bar]:
        """Count a trade in; yields the bar that it ends."""
        bar = listing.bar
        if trade.event_ms >= bar.open_ms + MINUTE_MS:
            closed = bar._replace(event_ms=trade.event_ms, closed=True)
            listing.bars.append(closed)
            yield closed
            bar = _new_bar(bar.symbol, trade.event_ms, bar.close)
        listing.bar = _with_trade(bar, trade)

    def _mark(self, listing: _Listing, price: float, index: float) -> Mark:
        event_ms = self.now_ms - listing.phase_ms
        rate = 1e-4 + float(self._premium[listing.at] - BASIS_BPS) / 1e5
        next_ms = event_ms - event_ms % FUNDING_MS + FUNDING_MS
        return Mark(listing.symbol.symbol, event_ms, price, index, rate, next_ms)

    def _listing(self, symbol: Symbol, at: int, seed: int) -> _Listing:
        futures = self.kind == "futures"
        number = zlib.crc32(f"{self.name} {symbol.symbol}".encode())
        grid = symbol.grid(self.kind)
        price = math.exp(self._before[at]) * (1 + BASIS_BPS / 1e4 if futures else 1)
        shape = Shape(
            tick=float(grid.tick),
            lot=float(grid.lot),
            level_value=symbol.level * (FUTURES_DEPTH if futures else 1),
            levels_per_bps=symbol.levels_per_bps,
            changes_per_step=symbol.changes_per_step * (FUTURES_RATE if futures else 1),
            orders_per_s=symbol.orders_per_s * (FUTURES_RATE if futures else 1),
            id_stride=FUTURES_ID_STRIDE if futures else 1,
        )
        book = SimulatedBook(shape, price, 10_000_000 + number, [seed, 2, number])
        bar = _new_bar(symbol.symbol, self.now_ms, book.bid)
        lots = int(2000 * symbol.level / symbol.price / float(grid.lot))
        return _Listing(symbol, at, book, number % 97, bar, deque(maxlen=BARS_KEPT), number % 10**6, lots)


def _merged(fills: list[Fill]) -> list[Fill]:
    """In a long step, one fill for all of a price and side."""
    lots: dict[tuple[int, int], int] = {}
    for side, tick, size in fills:
        lots[side, tick] = lots.get((side, tick), 0) + size
    return [Fill(side, tick, size) for (side, tick), size in lots.items()]


def _event_ms(event: Event) -> int:
    return event.event_ms


def _new_bar(symbol: str, time_ms: int, tick: int) -> Bar:
    return Bar(
        symbol, time_ms, time_ms - time_ms % MINUTE_MS, tick, tick, tick, tick, 0, 0, 0, 0, -1, -1, 0, False
    )


def _with_trade(bar: Bar, trade: Trade) -> Bar:
    tick, lots = trade.tick, trade.lots
    bought = 0 if trade.sold else lots
    return Bar(
        symbol=bar.symbol,
        event_ms=trade.event_ms,
        open_ms=bar.open_ms,
        open=bar.open if bar.trades else tick,
        high=max(bar.high, tick) if bar.trades else tick,
        low=min(bar.low, tick) if bar.trades else tick,
        close=tick,
        lots=bar.lots + lots,
        value=bar.value + tick * lots,
        buy_lots=bar.buy_lots + bought,
        buy_value=bar.buy_value + tick * bought,
        first_id=bar.first_id if bar.trades else trade.trade_id,
        last_id=trade.trade_id,
        trades=bar.trades + 1,
        closed=False,
    )


def _liquidation(symbol: str, event_ms: int, step: Step) -> Liquidation:
    fills = step.fills[: step.forced]
    lots = sum(fill.lots for fill in fills)
    mean = sum(fill.tick * fill.lots for fill in fills) / lots
    sold = fills[0].side == BID
    # Its limit lies behind what it got.
    limit = int(mean * (0.996 if sold else 1.004))
    return Liquidation(symbol, event_ms, sold, limit, mean, lots)
