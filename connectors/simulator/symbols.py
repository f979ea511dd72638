"""The instruments of the simulated markets: prices, ticks and lots like the real ones, all else invented.

Rates and depths of BTC and ETH on Binance follow recordings of 2024-08-08; the others are scaled down. Forex is traded
around the clock here, at weekends too.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

Kind = Literal["spot", "futures"]


@dataclass(frozen=True, slots=True)
class Asset:
    """What has one price, in US dollars, on every venue. Volatility and correlation are those of its log."""

    name: str
    price: float  # where the walk begins
    volatility_bps: float = 0.0  # standard deviation of the log return of one second
    correlation: float = 0.0  # with the factor common to its class; of two of a class: the product of theirs
    forex: bool = False  # the class: forex or crypto


ASSETS = MappingProxyType({
    x.name: x
    for x in (
        Asset("USD", 1.0),
        Asset("USDT", 1.0),
        Asset("USDC", 1.0),
        Asset("BTC", 81_234.5, 0.9, 0.90),
        Asset("ETH", 3_152.4, 1.1, 0.86),
        Asset("SOL", 164.37, 1.5, 0.80),
        Asset("BNB", 781.6, 0.9, 0.74),
        Asset("XRP", 2.2145, 1.3, 0.75),
        Asset("DOGE", 0.19382, 1.6, 0.76),
        Asset("ADA", 0.6814, 1.4, 0.72),
        Asset("AVAX", 24.13, 1.5, 0.72),
        Asset("LINK", 17.22, 1.4, 0.74),
        Asset("LTC", 94.81, 1.2, 0.70),
        Asset("DOT", 4.127, 1.4, 0.71),
        Asset("TRX", 0.2917, 0.8, 0.50),
        Asset("EUR", 1.0518, 0.16, 0.90, forex=True),
        Asset("GBP", 1.2634, 0.18, 0.82, forex=True),
        Asset("JPY", 1 / 154.62, 0.20, 0.55, forex=True),
        Asset("CHF", 1.1312, 0.17, 0.80, forex=True),
        Asset("AUD", 0.6521, 0.22, 0.70, forex=True),
        Asset("CAD", 1 / 1.3987, 0.13, 0.65, forex=True),
        Asset("NZD", 0.5874, 0.22, 0.68, forex=True),
    )
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps of price and size of one book."""

    tick: Decimal
    lot: Decimal


@dataclass(frozen=True, slots=True)
class Symbol:
    """One instrument of a venue."""

    symbol: str  # as the venue writes it
    base: str  # BTC
    quote: str  # USDT
    spot: Grid
    futures: Grid
    level_usd: float  # median size of a level at 10 bps from the touch
    levels_per_bps: float  # prices with a level near the touch, where the tick allows it
    changes_per_step: float  # level changes in 100 ms
    orders_per_s: float  # market orders

    def grid(self, kind: Kind) -> Grid:
        """Tick and lot on that market."""
        return self.spot if kind == "spot" else self.futures

    @property
    def price(self) -> float:
        """Where the walk begins, quote currency."""
        return ASSETS[self.base].price / ASSETS[self.quote].price

    @property
    def level(self) -> float:
        """`level_usd` in quote currency."""
        return self.level_usd / ASSETS[self.quote].price


def listed(symbol: str, base: str, quote: str, tick: str, lot: str, share: float = 1.0) -> Symbol:
    """An instrument that a venue lists by a name of its own.

    `share` is that of its level sizes, level changes and orders in those of Binance spot, or, of forex, in those of
    `_FOREX`. Raises KeyError for an asset that has no price.
    """
    grid = Grid(Decimal(tick), Decimal(lot))
    like = SYMBOLS.get(f"{base}USDT", _FOREX)
    return replace(
        like, symbol=symbol, base=ASSETS[base].name, quote=ASSETS[quote].name, spot=grid, futures=grid,
        level_usd=like.level_usd * share, changes_per_step=like.changes_per_step * share,
        orders_per_s=like.orders_per_s * share,
    )  # fmt: skip


def _binance(base: str, spot: str, futures: str, *numbers: float) -> Symbol:
    return Symbol(f"{base}USDT", base, "USDT", _grid(spot), _grid(futures), *numbers)


def _grid(text: str) -> Grid:
    tick, lot = text.split()
    return Grid(Decimal(tick), Decimal(lot))


# Binance's.
SYMBOLS = MappingProxyType({
    x.symbol: x
    for x in (
        _binance("BTC", "0.01 0.00001", "0.1 0.001", 18_000, 16, 24, 14.0),
        _binance("ETH", "0.01 0.0001", "0.01 0.001", 9_000, 12, 18, 8.0),
        _binance("SOL", "0.01 0.001", "0.01 0.01", 6_000, 6, 9, 4.0),
        _binance("BNB", "0.01 0.001", "0.01 0.01", 5_000, 6, 7, 2.0),
        _binance("XRP", "0.0001 0.1", "0.0001 0.1", 9_000, 6, 8, 3.0),
        _binance("DOGE", "0.00001 1", "0.00001 1", 7_000, 6, 7, 3.0),
        _binance("ADA", "0.0001 0.1", "0.0001 1", 9_000, 6, 5, 1.5),
        _binance("AVAX", "0.01 0.01", "0.001 1", 7_000, 5, 5, 1.2),
        _binance("LINK", "0.01 0.01", "0.001 0.01", 6_000, 5, 5, 1.2),
        _binance("LTC", "0.01 0.001", "0.01 0.001", 5_000, 5, 5, 1.0),
        _binance("DOT", "0.001 0.01", "0.001 0.1", 6_000, 5, 5, 1.0),
        _binance("TRX", "0.0001 0.1", "0.00001 1", 9_000, 5, 5, 1.0),
    )
})  # fmt: skip
_FOREX = Symbol("", "", "", _grid("0.00001 1"), _grid("0.00001 1"), 20_000, 4, 4, 0.5)
