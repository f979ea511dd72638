"""The simulated halves of GeckoTerminal and of CoinGecko's /onchain. Sources as in `connectors.feeds.gecko_terminal`.

A pool has a trade in each span of `TRADE_EVERY_MS`, at the price that its time has; amounts are drawn from the time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.coingecko import KeyedByGecko, answered, checked, refused, stamp
from connectors.simulator.coins import DAY_MS, HOUR_MS, chance, renamed
from connectors.simulator.half import RequestError

TRADE_EVERY_MS = 20_000
TRADES_MAX, BARS_MAX, PER_PAGE = 300, 1000, 20
SPANS_MS = MappingProxyType({"m5": 300_000, "h1": HOUR_MS, "h6": 6 * HOUR_MS, "h24": DAY_MS})
FRAMES_S = MappingProxyType({"minute": 60, "hour": 3600, "day": 86_400})
AGGREGATES = MappingProxyType({"minute": (1, 5, 15), "hour": (1, 4, 12), "day": (1,)})
_OWN = "simulated"


@dataclass(frozen=True, slots=True)
class _Pool:
    """Prices are of the base asset in dollars. Addresses but the first are invented."""

    network: str
    address: str
    base: str
    quote: str
    base_token: str  # address
    quote_token: str
    dex: str
    size_usd: float  # of its reserve


_WETH, _USDC = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
POOLS = (
    _Pool(
        "eth", "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", "ETH", "USDC", _WETH, _USDC, "uniswap_v3", 99e6
    ),
    _Pool("eth", f"0x{'b7c':0>40}", "BTC", "USDC", f"0x{'b7c0':0>40}", _USDC, "uniswap_v3", 41e6),
    _Pool("eth", f"0x{'117':0>40}", "LINK", "USDC", f"0x{'1170':0>40}", _USDC, "uniswap_v2", 7e6),
    _Pool("solana", f"{'Sim':1>43}", "SOL", "USDC", f"{'So1':1>43}", f"{'USD':1>43}", "raydium", 32e6),
    _Pool(
        "base",
        f"0x{'ba5e':0>40}",
        "ETH",
        "USDC",
        f"0x{'4200':0>40}",
        f"0x{'5dc':0>40}",
        "aerodrome-base",
        28e6,
    ),
    _Pool(
        "bsc",
        f"0x{'b5c':0>40}",
        "BNB",
        "USDT",
        f"0x{'b5c0':0>40}",
        f"0x{'d7':0>40}",
        "pancakeswap-v3-bsc",
        18e6,
    ),
    _Pool(
        "arbitrum",
        f"0x{'a4b':0>40}",
        "ETH",
        "USDC",
        f"0x{'a4b0':0>40}",
        f"0x{'a4b5':0>40}",
        "camelot-v3",
        12e6,
    ),
)


class _Terminal(ApiHalf):
    """What both addresses have in common."""

    base: str

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Lists of pools, bars and trades of one."""
        found = {
            "/networks/trending_pools": _trending,
            "/networks/{network}/trending_pools": _trending,
            "/networks/{network}/pools": _top,
            "/networks/{network}/pools/{address}/trades": _trades,
            "/networks/{network}/pools/{address}/ohlcv/{frame}": _bars,
        }
        paths = {f"{self.base}{path}": checked(answer) for path, answer in found.items()}
        return {**paths, "/api/v3/ping": checked(lambda ask: answered({"gecko_says": "(V3) To the Moon!"}))}


class GeckoTerminal(_Terminal):
    """Without a key."""

    name = "gecko_terminal"
    base = "/api/v2"
    keys = MappingProxyType({"": "keyless"})
    windows = MappingProxyType({"keyless": (Window(30, "minute"),)})

    def key(self, ask: Ask) -> str:
        """It takes none."""
        del ask
        return ""

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """The same words as CoinGecko's, which the same people write."""
        return KeyedByGecko().refusal(fault, retry_after_s)


class CoinGeckoOnchain(KeyedByGecko, _Terminal):
    """With a key of CoinGecko."""

    name = "coingecko_onchain"
    base = "/api/v3/onchain"


def _number(ask: Ask, name: str, default: int, most: int) -> int:
    text = ask.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        found = refused(400, 400, f"Invalid {name}")
        raise RequestError(found.status, found.body)
    return min(int(text), most)


def _listed(ask: Ask, order: Callable[[_Pool], float]) -> Reply:
    network = ask.query.get("network")
    pools = sorted((x for x in POOLS if network in (None, x.network)), key=order)
    if not pools:
        raise RequestError(404, b'{"errors":[{"status":"404","title":"Not Found"}]}')
    page = 1 if "repeated_page" in ask.faults else _number(ask, "page", 1, 10)
    return answered({"data": [_told(ask, x) for x in pools[(page - 1) * PER_PAGE : page * PER_PAGE]]})


def _trending(ask: Ask) -> Reply:
    return _listed(ask, lambda pool: chance("trending", pool.address, ask.values_ms // HOUR_MS))


def _top(ask: Ask) -> Reply:
    return _listed(ask, lambda pool: -pool.size_usd)


def _told(ask: Ask, pool: _Pool) -> dict[str, Any]:
    at_ms, nulls = ask.values_ms, "nulls" in ask.faults
    price = ask.world.price(pool.base, "USD", at_ms)
    changes = {
        name: f"{100 * (price / ask.world.price(pool.base, 'USD', at_ms - span_ms) - 1):.3f}"
        for name, span_ms in SPANS_MS.items()
    }
    day_usd = pool.size_usd * (0.5 + chance(pool.address, at_ms // HOUR_MS))
    volumes = {name: f"{day_usd * span_ms / DAY_MS:.6f}" for name, span_ms in SPANS_MS.items()}
    counts = {"buys": 2443, "sells": 2402, "buyers": 876, "sellers": 998}
    attributes: dict[str, Any] = {
        "base_token_price_usd": f"{price:.12g}",
        "address": pool.address,
        "name": f"{pool.base} / {pool.quote} 0.05%",
        "pool_created_at": stamp(at_ms - 900 * DAY_MS),
        "fdv_usd": f"{price * 1e8:.4f}",
        "market_cap_usd": None,
        "reserve_in_usd": f"{pool.size_usd:.4f}",
    }
    if nulls:
        attributes = dict.fromkeys(attributes) | {"address": pool.address}
        changes, volumes, counts = (dict.fromkeys(x) for x in (changes, volumes, counts))  # type: ignore[assignment]
    attributes |= {
        "price_change_percentage": changes,
        "transactions": {"h24": counts},
        "volume_usd": volumes,
    }
    if "renamed_column" in ask.faults:
        attributes = renamed(attributes, "reserve_in_usd")
    related = {
        "base_token": f"{pool.network}_{pool.base_token}",
        "quote_token": f"{pool.network}_{pool.quote_token}",
        "dex": pool.dex,
    }
    return {
        "id": f"{pool.network}_{pool.address}",
        "type": "pool",
        "attributes": attributes,
        "relationships": {name: {"data": None if nulls else {"id": x}} for name, x in related.items()},
    }


def _pool(ask: Ask) -> _Pool:
    for pool in POOLS:
        if (pool.network, pool.address) == (ask.query["network"], ask.query["address"]):
            return pool
    raise RequestError(404, b'{"errors":[{"status":"404","title":"Not Found"}]}')


def _bars(ask: Ask) -> Reply:
    pool, frame = _pool(ask), ask.query["frame"]
    aggregate = _number(ask, "aggregate", 1, 60)
    if aggregate not in AGGREGATES.get(frame, ()):
        raise RequestError(400, b'{"errors":[{"status":"400","title":"Invalid timeframe"}]}')
    step_s = FRAMES_S[frame] * aggregate
    before_s = ask.values_ms // 1000 + 1
    if "repeated_page" not in ask.faults:
        before_s = _number(ask, "before_timestamp", before_s, before_s)
    limit = _number(ask, "limit", 100, BARS_MAX)
    last_s = (before_s - 1) // step_s * step_s
    bars = ask.world.bars(pool.base, "USD", step_s, (last_s - (limit - 1) * step_s) * 1000, last_s * 1000 + 1)
    nulls = "nulls" in ask.faults
    told = [
        (
            x.open_ms // 1000,
            *(None if nulls else y for y in (x.open, x.high, x.low, x.close, x.volume * x.close)),
        )
        for x in reversed(bars)
    ]
    data = {"ohlcv_list": told}
    data = renamed(data, "ohlcv_list") if "renamed_column" in ask.faults else data
    return answered({"data": {"id": _OWN, "type": "ohlcv_request_response", "attributes": data}})


def _trades(ask: Ask) -> Reply:
    pool = _pool(ask)
    last = ask.values_ms // TRADE_EVERY_MS
    return answered({"data": [_trade(ask, pool, last - i) for i in range(TRADES_MAX)]})


def _trade(ask: Ask, pool: _Pool, number: int) -> dict[str, Any]:
    # Blocks have times of whole seconds.
    time_ms = number * TRADE_EVERY_MS
    price = ask.world.price(pool.base, "USD", time_ms)
    usd = 50 + 5000 * chance("size", pool.address, number) ** 4
    base, quote = f"{usd / price:.12f}", f"{usd:.6f}"
    bought = chance("side", pool.address, number) < 0.5
    transaction = f"0x{int(chance('transaction', pool.address, number) * 2**32):064x}"
    found: dict[str, Any] = {
        "block_number": number,
        "tx_hash": transaction,
        "tx_from_address": f"0x{'f':0>40}",
        "from_token_amount": quote if bought else base,
        "to_token_amount": base if bought else quote,
        "price_from_in_usd": "1.0" if bought else f"{price:.12g}",
        "price_to_in_usd": f"{price:.12g}" if bought else "1.0",
        "block_timestamp": stamp(time_ms),
        "kind": "buy" if bought else "sell",
        "volume_in_usd": f"{usd:.6f}",
    }
    if "nulls" in ask.faults:
        kept = ("tx_hash", "block_timestamp", "kind")
        found = {name: value if name in kept else None for name, value in found.items()}
    if "renamed_column" in ask.faults:
        found = renamed(found, "price_to_in_usd")
    return {"id": f"{pool.network}_{number}_{transaction}_7", "type": "trade", "attributes": found}


APIS = (GeckoTerminal, CoinGeckoOnchain)
