"""The coins of the simulated catalogues: supplies and names like the real ones, turnovers and sectors invented."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from connectors.simulator.api import World

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Coin:
    """One coin; `asset` is its name among the simulated prices."""

    asset: str
    gecko_id: str
    cap_id: int
    name: str
    supply: float
    supply_max: float | None
    turnover: float  # of its market cap in a day


COINS = (
    Coin("BTC", "bitcoin", 1, "Bitcoin", 20_030_493, 21_000_000, 0.021),
    Coin("ETH", "ethereum", 1027, "Ethereum", 120_690_000, None, 0.05),
    Coin("USDT", "tether", 825, "Tether", 189_600_000_000, None, 0.4),
    Coin("BNB", "binancecoin", 1839, "BNB", 136_360_000, 200_000_000, 0.01),
    Coin("XRP", "ripple", 52, "XRP", 61_000_000_000, 100_000_000_000, 0.02),
    Coin("USDC", "usd-coin", 3408, "USD Coin", 76_600_000_000, None, 0.2),
    Coin("SOL", "solana", 5426, "Solana", 570_000_000, None, 0.04),
    Coin("TRX", "tron", 1958, "TRON", 94_700_000_000, None, 0.02),
    Coin("DOGE", "dogecoin", 74, "Dogecoin", 153_000_000_000, None, 0.05),
    Coin("ADA", "cardano", 2010, "Cardano", 36_000_000_000, 45_000_000_000, 0.03),
    Coin("LINK", "chainlink", 1975, "Chainlink", 708_000_000, 1_000_000_000, 0.04),
    Coin("AVAX", "avalanche-2", 5805, "Avalanche", 431_000_000, 715_000_000, 0.04),
    Coin("LTC", "litecoin", 2, "Litecoin", 76_900_000, 84_000_000, 0.06),
    Coin("DOT", "polkadot", 6636, "Polkadot", 1_670_000_000, 2_100_000_000, 0.03),
)
_MEMBERS = {
    "smart-contract-platform": "BTC ETH SOL BNB TRX ADA AVAX",
    "layer-1": "BTC ETH SOL BNB XRP TRX DOGE ADA AVAX LTC DOT",
    "layer-2": "DOT AVAX",
    "decentralized-finance-defi": "LINK AVAX ETH",
    "decentralized-exchange": "BNB SOL",
    "stablecoins": "USDT USDC",
    "meme-token": "DOGE",
    "artificial-intelligence": "ADA DOT",
    "real-world-assets-rwa": "LINK AVAX",
    "exchange-based-tokens": "BNB",
    "gaming": "AVAX",
    "oracle": "LINK",
}
SECTORS = {sector: [x for x in COINS if x.asset in assets.split()] for sector, assets in _MEMBERS.items()}


@dataclass(frozen=True, slots=True)
class Figures:
    """A coin at one time, in US dollars and per cent."""

    price: float
    cap: float
    volume: float
    high: float
    low: float
    changes: dict[str, float]  # 1h, 24h, 7d, 30d


SPANS_MS = {"1h": HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS}


def figures(coin: Coin, world: World, time_ms: int) -> Figures:
    """What catalogues tell of a coin."""
    price = world.price(coin.asset, "USD", time_ms)
    bars = world.bars(coin.asset, "USD", 3600, time_ms - DAY_MS, time_ms)
    changes = {
        name: 100 * (price / world.price(coin.asset, "USD", time_ms - span_ms) - 1)
        for name, span_ms in SPANS_MS.items()
    }
    cap = price * coin.supply
    # The volume of the last day moves a little from hour to hour.
    busy = 0.8 + 0.4 * chance(coin.asset, time_ms // HOUR_MS)
    return Figures(
        price=price,
        cap=cap,
        volume=cap * coin.turnover * busy,
        high=max([price, *(x.high for x in bars)]),
        low=min([price, *(x.low for x in bars)]),
        changes=changes,
    )


def chance(*of: object) -> float:
    """A number in [0, 1), the same for the same arguments."""
    digest = hashlib.blake2b(repr(of).encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def without(items: Iterable[dict[str, Any]], kept: Iterable[str]) -> list[dict[str, Any]]:
    """The items with null for every field but those kept."""
    names = set(kept)
    return [{name: value if name in names else None for name, value in item.items()} for item in items]


def renamed(item: dict[str, Any], name: str) -> dict[str, Any]:
    """The item with another name for a field."""
    return {f"{key}_v2" if key == name else key: value for key, value in item.items()}
