"""What the halves of venues tell of the past: the world's bars on a symbol's grid, and trades that would make them."""

from collections.abc import Iterable
from typing import NamedTuple

from connectors.simulator import market as m
from connectors.simulator.api import WorldBar
from connectors.simulator.half import Desk
from connectors.simulator.symbols import Grid

TRADES_A_MINUTE = 4
_AT_MS = (0, 15_000, 30_000, 45_000)


class GridBar(NamedTuple):
    """Prices in ticks, sizes in lots; `value` is ticks x lots."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    buy_lots: int
    value: int
    trades: int


def on_grid(bar: WorldBar, grid: Grid) -> GridBar:
    """The bar, its prices on the nearest ticks; its value is that of the mean of its four prices."""
    tick, lot = float(grid.tick), float(grid.lot)
    open_, high, low, close = (round(price / tick) for price in (bar.open, bar.high, bar.low, bar.close))
    lots = round(bar.volume / lot)
    buy_lots = min(lots, round(bar.buy_volume / lot))
    value = lots * (open_ + high + low + close) // 4
    return GridBar(bar.open_ms, open_, high, low, close, lots, buy_lots, value, bar.trades)


def bars(
    desk: Desk, symbol: str, grid: Grid, interval_s: int, from_ms: int, to_ms: int, most: int | None = None
) -> list[GridBar]:
    """Those that open within [from_ms, to_ms), oldest first; of more than `most` the first."""
    span_ms = interval_s * 1000
    found: list[GridBar] = []
    from_ms, until_ms = -(-from_ms // span_ms) * span_ms, min(to_ms, desk.now_ms + 1)
    # Minutes may be missing.
    while from_ms < until_ms and (most is None or len(found) < most):
        next_ms = until_ms if most is None else min(until_ms, from_ms + (most - len(found)) * span_ms)
        found += [on_grid(x, grid) for x in desk.history(symbol, interval_s, from_ms, next_ms)]
        from_ms = -(-next_ms // span_ms) * span_ms
    return found


def trades(desk: Desk, symbol: str, grid: Grid, from_ms: int, to_ms: int) -> list[m.Trade]:
    """Those of [from_ms, to_ms) up to now, oldest first: four a minute, that open, turn and close it."""
    begin_ms = from_ms - from_ms % m.MINUTE_MS
    until_ms = min(to_ms, desk.now_ms + 1)
    found = _trades(symbol, bars(desk, symbol, grid, 60, begin_ms, until_ms))
    return [x for x in found if from_ms <= x.event_ms < until_ms]


def last_trades(desk: Desk, symbol: str, grid: Grid, most: int) -> list[m.Trade]:
    """The last ones, oldest first."""
    until_ms = desk.now_ms + 1
    minutes = most // TRADES_A_MINUTE + 2
    return trades(desk, symbol, grid, until_ms - minutes * m.MINUTE_MS, until_ms)[-most:]


def _trades(symbol: str, minutes: Iterable[GridBar]) -> list[m.Trade]:
    found = []
    for bar in minutes:
        bought, sold = bar.buy_lots, bar.lots - bar.buy_lots
        turns = [(bar.low, sold - sold // 2, True), (bar.high, bought // 2, False)]
        steps = [
            (bar.open, bought - bought // 2, False),
            *(turns if bar.close >= bar.open else turns[::-1]),
            (bar.close, sold // 2, True),
        ]
        number = bar.open_ms // m.MINUTE_MS * TRADES_A_MINUTE
        found += [
            m.Trade(symbol, bar.open_ms + at_ms, number + i, tick, lots, is_sold)
            for i, (at_ms, (tick, lots, is_sold)) in enumerate(zip(_AT_MS, steps, strict=True))
            if lots
        ]
    return found
