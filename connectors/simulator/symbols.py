"""The instruments of the simulated market: prices, ticks and lots like the real ones, all else invented.

Rates and depths of BTC and ETH follow recordings of Binance of 2024-08-08; the others are scaled down.
"""

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

Kind = Literal["spot", "futures"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps of price and size of one book."""

    tick: Decimal
    lot: Decimal


@dataclass(frozen=True, slots=True)
class Symbol:
    """One instrument. Volatility and correlation are those of the log price, the same on both markets."""

    symbol: str  # BTCUSDT
    base: str  # BTC
    price: float  # where the walk begins, USDT
    spot: Grid
    futures: Grid
    volatility_bps: float  # standard deviation of the log return of one second
    correlation: float  # with the factor common to all; of two symbols: the product of theirs
    level_usd: float  # median size of a level at 10 bps from the touch
    levels_per_bps: float  # prices with a level near the touch, where the tick allows it
    changes_per_step: float  # level changes in 100 ms
    orders_per_s: float  # market orders

    def grid(self, kind: Kind) -> Grid:
        """Tick and lot on that market."""
        return self.spot if kind == "spot" else self.futures


def _symbol(base: str, price: float, spot: str, futures: str, *numbers: float) -> Symbol:
    return Symbol(f"{base}USDT", base, price, _grid(spot), _grid(futures), *numbers)


def _grid(text: str) -> Grid:
    tick, lot = text.split()
    return Grid(Decimal(tick), Decimal(lot))


SYMBOLS = MappingProxyType({
    x.symbol: x
    for x in (
        _symbol("BTC", 81_234.5, "0.01 0.00001", "0.1 0.001", 0.9, 0.90, 18_000, 16, 24, 14.0),
        _symbol("ETH", 3_152.4, "0.01 0.0001", "0.01 0.001", 1.1, 0.86, 9_000, 12, 18, 8.0),
        _symbol("SOL", 164.37, "0.01 0.001", "0.01 0.01", 1.5, 0.80, 6_000, 6, 9, 4.0),
        _symbol("BNB", 781.6, "0.01 0.001", "0.01 0.01", 0.9, 0.74, 5_000, 6, 7, 2.0),
        _symbol("XRP", 2.2145, "0.0001 0.1", "0.0001 0.1", 1.3, 0.75, 9_000, 6, 8, 3.0),
        _symbol("DOGE", 0.19382, "0.00001 1", "0.00001 1", 1.6, 0.76, 7_000, 6, 7, 3.0),
        _symbol("ADA", 0.6814, "0.0001 0.1", "0.0001 1", 1.4, 0.72, 9_000, 6, 5, 1.5),
        _symbol("AVAX", 24.13, "0.01 0.01", "0.001 1", 1.5, 0.72, 7_000, 5, 5, 1.2),
        _symbol("LINK", 17.22, "0.01 0.01", "0.001 0.01", 1.4, 0.74, 6_000, 5, 5, 1.2),
        _symbol("LTC", 94.81, "0.01 0.001", "0.01 0.001", 1.2, 0.70, 5_000, 5, 5, 1.0),
        _symbol("DOT", 4.127, "0.001 0.01", "0.001 0.1", 1.4, 0.71, 6_000, 5, 5, 1.0),
        _symbol("TRX", 0.2917, "0.0001 0.1", "0.00001 1", 0.8, 0.50, 9_000, 5, 5, 1.0),
    )
})  # fmt: skip
