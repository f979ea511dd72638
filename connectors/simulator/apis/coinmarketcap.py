"""The simulated half of CoinMarketCap. Sources and their dates as in `connectors.feeds.coinmarketcap`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.coingecko import stamp
from connectors.simulator.coins import (
    COINS,
    DAY_MS,
    SECTORS,
    Coin,
    Figures,
    chance,
    figures,
    renamed,
    without,
)
from connectors.simulator.half import DEMO_KEY, RequestError

HEADER = "x-cmc_pro_api_key"
EXCHANGES = ("Binance", "Bybit", "Kraken", "Gemini")
POINTS = 200  # of one credit
LABELS = ((20, "Extreme Fear"), (40, "Fear"), (60, "Neutral"), (80, "Greed"), (101, "Extreme Greed"))

_json = msgspec.json.encode


def _status(time_ms: int, code: int = 0, message: str | None = None) -> dict[str, Any]:
    return {
        "timestamp": stamp(time_ms),
        "error_code": code,
        "error_message": message,
        "elapsed": 9,
        "credit_count": 1,
    }


def _refused(status: int, code: int, message: str) -> Reply:
    # Refusals know of no world: they bear no time.
    said = {"status": {"error_code": code, "error_message": message, "elapsed": 0, "credit_count": 0}}
    return Reply(status, _json(said))


def _answered(ask: Ask, data: object) -> Reply:
    return Reply(200, _json({"status": _status(ask.world.now_ms), "data": data}))


class CoinMarketCap(ApiHalf):
    """Listings, rankings, totals, sectors, market pairs, fear and greed."""

    name = "coinmarketcap"
    keys = MappingProxyType({DEMO_KEY: "basic", f"{DEMO_KEY}-hobbyist": "hobbyist"})
    windows = MappingProxyType({
        "basic": (Window(30, "minute"), Window(10_000, "month")),
        "hobbyist": (Window(30, "minute"), Window(110_000, "month")),
    })  # fmt: skip

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Paths of versions 1 to 3."""
        return {
            "/v1/key/info": _key_info,
            "/v1/cryptocurrency/listings/latest": _listings,
            "/v1/cryptocurrency/trending/latest": lambda ask: _ranking(ask, "1h"),
            "/v1/cryptocurrency/trending/most-visited": lambda ask: _ranking(ask, ""),
            "/v1/cryptocurrency/trending/gainers-losers": lambda ask: _ranking(ask, "24h"),
            "/v1/global-metrics/quotes/latest": _totals,
            "/v1/cryptocurrency/categories": _categories,
            "/v2/cryptocurrency/market-pairs/latest": _pairs,
            "/v3/fear-and-greed/latest": _mood,
        }

    def key(self, ask: Ask) -> str:
        """By header, or query."""
        return ask.headers.get(HEADER) or ask.query.get("CMC_PRO_API_KEY", "")

    def units(self, ask: Ask) -> int:
        """Credits: one of 200 data points, rounded up; none of the account's own affairs."""
        limit = ask.query.get("limit", "1")
        points = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 6 else 1
        return 0 if ask.path == "/v1/key/info" else max(1, -(-points // POINTS))

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """Codes of the error page."""
        del retry_after_s
        match fault:
            case "bad_key":
                return _refused(401, 1001, "This API Key is invalid.")
            case "plan_expired":
                return _refused(402, 1004, "Your API Key's subscription plan has expired.")
            case "limited":
                return _refused(429, 1008, "You've exceeded your API Key's HTTP request rate limit.")
            case _:
                return Reply(410, b"Gone", {"Content-Type": "text/plain"})

    def limited(self, window: Window, retry_after_s: int) -> Reply:
        """1008, 1009 or 1010, by the window."""
        code = {"second": 1008, "minute": 1008, "day": 1009, "month": 1010}[window.span]
        return _refused(429, code, f"You've exceeded your API Key's {window.span} rate limit.")


def _key_info(ask: Ask) -> Reply:
    return _answered(ask, {"plan": {"credit_limit_monthly": 10_000, "rate_limit_minute": 30}, "usage": {}})


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 5000:
        raise RequestError(400, _json({"status": {"error_code": 400, "error_message": "Invalid value"}}))
    return int(text)


def _ranked(ask: Ask) -> list[tuple[int, Coin, Figures]]:
    """Place by market cap, coin, figures."""
    told = sorted(((figures(x, ask.world, ask.values_ms), x) for x in COINS), key=lambda pair: -pair[0].cap)
    return [(place, coin, x) for place, (x, coin) in enumerate(told, 1)]


def _item(ask: Ask, place: int, coin: Coin, told: Figures, all_cap: float) -> dict[str, Any]:
    quote: dict[str, Any] = {
        "price": told.price,
        "volume_24h": told.volume,
        "volume_change_24h": 0.0,
        **{f"percent_change_{span}": x for span, x in told.changes.items()},
        "market_cap": told.cap,
        "market_cap_dominance": 100 * told.cap / all_cap,
        "fully_diluted_market_cap": told.price * (coin.supply_max or coin.supply),
        "last_updated": stamp(ask.world.now_ms),
    }
    if "nulls" in ask.faults:
        quote = dict.fromkeys(quote)
    if "renamed_column" in ask.faults:
        quote = renamed(quote, "price")
    item = {
        "id": coin.cap_id,
        "name": coin.name,
        "symbol": coin.asset,
        "slug": coin.gecko_id,
        "cmc_rank": place,
        "circulating_supply": coin.supply,
        "total_supply": coin.supply,
        "max_supply": coin.supply_max,
        "last_updated": stamp(ask.world.now_ms),
    }
    kept = ("id", "name", "symbol")
    return {**(without([item], kept)[0] if "nulls" in ask.faults else item), "quote": {"USD": quote}}


def _items(ask: Ask, ranked: list[tuple[int, Coin, Figures]]) -> list[dict[str, Any]]:
    all_cap = sum(x.cap for _, _, x in ranked)
    return [_item(ask, place, coin, x, all_cap) for place, coin, x in ranked]


def _listings(ask: Ask) -> Reply:
    start, limit = _number(ask.query.get("start", "1")), _number(ask.query.get("limit", "100"))
    first = 0 if "repeated_page" in ask.faults else start - 1
    return _answered(ask, _items(ask, _ranked(ask))[first : first + limit])


def _ranking(ask: Ask, span: str) -> Reply:
    """By the change over a span, or, without one, by volume."""
    ranked = _ranked(ask)
    falling = ask.query.get("sort_dir") == "asc"
    ranked.sort(key=lambda found: found[2].changes.get(span, found[2].volume), reverse=not falling)
    return _answered(ask, _items(ask, ranked)[: _number(ask.query.get("limit", "100"))])


def _totals(ask: Ask) -> Reply:
    ranked = _ranked(ask)
    cap, volume = sum(x.cap for _, _, x in ranked), sum(x.volume for _, _, x in ranked)
    before = sum(x.cap / (1 + x.changes["24h"] / 100) for _, _, x in ranked)
    share = {coin.asset: 100 * x.cap / cap for _, coin, x in ranked}
    data: dict[str, Any] = {
        "active_cryptocurrencies": len(COINS),
        "active_exchanges": len(EXCHANGES),
        "btc_dominance": share["BTC"],
        "eth_dominance": share["ETH"],
        "last_updated": stamp(ask.world.now_ms),
    }
    quote: dict[str, Any] = {
        "total_market_cap": cap,
        "total_volume_24h": volume,
        "total_market_cap_yesterday_percentage_change": 100 * (cap / before - 1),
        "total_volume_24h_yesterday_percentage_change": 0.0,
    }
    if "nulls" in ask.faults:
        data, quote = dict.fromkeys(data), dict.fromkeys(quote)
    if "renamed_column" in ask.faults:
        quote = renamed(quote, "total_market_cap")
    return _answered(ask, {**data, "quote": {"USD": quote}})


def _categories(ask: Ask) -> Reply:
    told = {coin.asset: x for _, coin, x in _ranked(ask)}
    items = []
    for sector, members in SECTORS.items():
        of_sector = [told[x.asset] for x in members]
        items.append(
            {
                "id": f"{abs(hash_of(sector)):024x}",
                "name": sector.replace("-", " ").title(),
                "title": sector,
                "num_tokens": len(members),
                "avg_price_change": sum(x.changes["24h"] for x in of_sector) / len(of_sector),
                "market_cap": sum(x.cap for x in of_sector),
                "market_cap_change": of_sector[0].changes["24h"],
                "volume": sum(x.volume for x in of_sector),
                "volume_change": 0.0,
                "last_updated": stamp(ask.world.now_ms),
            }
        )
    if "nulls" in ask.faults:
        items = without(items, ("id", "name"))
    if "renamed_column" in ask.faults:
        items = [renamed(x, "market_cap") for x in items]
    return _answered(ask, items)


def hash_of(text: str) -> int:
    """A number that stays the same from run to run."""
    return int(chance(text) * 2**32)


def _pairs(ask: Ask) -> Reply:
    coin = next((x for x in COINS if str(x.cap_id) == ask.query.get("id")), None)
    if coin is None:
        raise RequestError(
            400, _json({"status": {"error_code": 400, "error_message": "Invalid value for id"}})
        )
    told = figures(coin, ask.world, ask.values_ms)
    pairs = []
    for place, exchange in enumerate(EXCHANGES, 1):
        quote: dict[str, Any] = {
            "price": told.price,
            "volume_24h": told.volume / 2**place,
            "last_updated": stamp(ask.world.now_ms),
        }
        if "nulls" in ask.faults:
            quote = dict.fromkeys(quote)
        if "renamed_column" in ask.faults:
            quote = renamed(quote, "volume_24h")
        pairs.append(
            {
                "exchange": {"id": place, "name": exchange, "slug": exchange.lower()},
                "market_pair": f"{coin.asset}/USD",
                "category": "spot",
                "quote": {"exchange_reported": {"price": told.price}, "USD": quote},
            }
        )
    data = {"id": coin.cap_id, "name": coin.name, "symbol": coin.asset, "market_pairs": pairs}
    return _answered(ask, data)


def _mood(ask: Ask) -> Reply:
    value = round(100 * chance("mood", ask.values_ms // DAY_MS))
    label = next(label for bound, label in LABELS if value < bound)
    data: dict[str, Any] = {
        "value": value,
        "value_classification": None if "nulls" in ask.faults else label,
        "update_time": None if "nulls" in ask.faults else stamp(ask.world.now_ms // DAY_MS * DAY_MS),
    }
    return _answered(ask, renamed(data, "value") if "renamed_column" in ask.faults else data)


APIS = (CoinMarketCap,)
