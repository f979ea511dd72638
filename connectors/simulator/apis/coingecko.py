"""The simulated half of CoinGecko. Sources and their dates as in `connectors.feeds.coingecko`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.coins import COINS, DAY_MS, SECTORS, Coin, Figures, figures, renamed, without
from connectors.simulator.half import DEMO_KEY, RequestError

PRO_KEY = f"{DEMO_KEY}-pro"
PER_PAGE_MAX = 250
DEMO_HEADER, PRO_HEADER = "x-cg-demo-api-key", "x-cg-pro-api-key"
JSON: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json; charset=utf-8"})

_json = msgspec.json.encode


def stamp(time_ms: int) -> str:
    """2026-11-22T14:00:00.000Z."""
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def answered(found: object) -> Reply:
    """JSON of CoinGecko."""
    return Reply(200, _json(found), JSON)


def refused(status: int, code: int, message: str) -> Reply:
    """An error of CoinGecko."""
    said = {"status": {"timestamp": None, "error_code": code, "error_message": message}}
    return Reply(status, _json(said), JSON)


class KeyedByGecko(ApiHalf):
    """What APIs have in common that take a key of CoinGecko."""

    keys = MappingProxyType({"": "keyless", DEMO_KEY: "demo", PRO_KEY: "pro"})
    windows = MappingProxyType({
        "keyless": (Window(5, "minute"),),
        "demo": (Window(30, "minute"), Window(10_000, "month")),
        "pro": (Window(250, "minute"), Window(100_000, "month")),
    })  # fmt: skip

    def key(self, ask: Ask) -> str:
        """By either header or query."""
        for name in (DEMO_HEADER, PRO_HEADER):
            if found := ask.headers.get(name) or ask.query.get(name.replace("-", "_")):
                return found
        return ""

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """Codes of the error page; a limit comes without Retry-After."""
        del retry_after_s
        match fault:
            case "bad_key":
                return refused(401, 10002, "API Key Missing")
            case "plan_expired":
                return refused(401, 10005, "This request is limited to PRO API subscribers")
            case "limited":
                return refused(429, 429, "You've exceeded the Rate Limit.")
            case _:
                return Reply(410, b"Gone", {"Content-Type": "text/plain"})


def checked(answer: Callable[[Ask], Reply]) -> Callable[[Ask], Reply]:
    """The answer, unless a key came in the header of the other kind."""

    def checking(ask: Ask) -> Reply:
        if ask.headers.get(DEMO_HEADER) == PRO_KEY:
            found = refused(400, 10010, "If you are using Pro API key, please change your root URL")
            raise RequestError(found.status, found.body)
        if ask.headers.get(PRO_HEADER) == DEMO_KEY:
            found = refused(400, 10011, "If you are using Demo API key, please change your root URL")
            raise RequestError(found.status, found.body)
        return answer(ask)

    return checking


class CoinGecko(KeyedByGecko):
    """Coins, totals, sectors, trending lists, charts."""

    name = "coingecko"

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Paths under /api/v3."""
        found = {
            "/ping": lambda ask: answered({"gecko_says": "(V3) To the Moon!"}),
            "/coins/markets": _markets,
            "/global": _global,
            "/coins/categories": _categories,
            "/search/trending": _trending,
            "/coins/{id}/market_chart": _market_chart,
            "/coins/{id}/ohlc": _ohlc,
        }
        return {f"/api/v3{path}": checked(answer) for path, answer in found.items()}


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit():
        raise RequestError(400, b'{"error":"Invalid parameter"}')
    return min(max(int(text), least), most)


def _markets(ask: Ask) -> Reply:
    category, ids = ask.query.get("category"), ask.query.get("ids")
    found = list(SECTORS.get(category, ())) if category else list(COINS)
    found = [x for x in found if not ids or x.gecko_id in ids.split(",")]
    told = sorted(((figures(x, ask.world, ask.values_ms), x) for x in found), key=lambda pair: -pair[0].cap)
    per_page = _number(ask.query.get("per_page", "100"), 1, PER_PAGE_MAX)
    page = 1 if "repeated_page" in ask.faults else _number(ask.query.get("page", "1"), 1, 10_000)
    first = (page - 1) * per_page
    items = [
        _market(coin, told_of, rank, ask.world.now_ms)
        for rank, (told_of, coin) in enumerate(told[first : first + per_page], first + 1)
    ]
    if "nulls" in ask.faults:
        items = without(items, ("id", "symbol", "name"))
    if "renamed_column" in ask.faults:
        items = [renamed(x, "current_price") for x in items]
    return answered(items)


def _market(coin: Coin, told: Figures, rank: int, now_ms: int) -> dict[str, Any]:
    changes = {f"price_change_percentage_{span}_in_currency": x for span, x in told.changes.items()}
    return {
        "id": coin.gecko_id,
        "symbol": coin.asset.lower(),
        "name": coin.name,
        "image": f"https://coin-images.coingecko.com/coins/images/{coin.cap_id}/large/{coin.gecko_id}.png",
        "current_price": told.price,
        "market_cap": round(told.cap),
        "market_cap_rank": rank,
        "fully_diluted_valuation": round(told.price * (coin.supply_max or coin.supply)),
        "total_volume": round(told.volume),
        "high_24h": told.high,
        "low_24h": told.low,
        "price_change_24h": told.price - told.price / (1 + told.changes["24h"] / 100),
        "price_change_percentage_24h": told.changes["24h"],
        "market_cap_change_percentage_24h": told.changes["24h"],
        "circulating_supply": coin.supply,
        "total_supply": coin.supply,
        "max_supply": coin.supply_max,
        "roi": None,
        "last_updated": stamp(now_ms),
        **changes,
    }


def _all(ask: Ask) -> list[tuple[Coin, Figures]]:
    return [(x, figures(x, ask.world, ask.values_ms)) for x in COINS]


def _change(told: list[Figures]) -> float:
    """Of the caps of some coins together in 24 hours, per cent."""
    before = sum(x.cap / (1 + x.changes["24h"] / 100) for x in told)
    return 100 * (sum(x.cap for x in told) / before - 1)


def _global(ask: Ask) -> Reply:
    told = _all(ask)
    cap, bitcoin = sum(x.cap for _, x in told), told[0][1].price
    volume = sum(x.volume for _, x in told)
    data = {
        "active_cryptocurrencies": len(COINS),
        "markets": 1476,
        "total_market_cap": {"btc": cap / bitcoin, "usd": cap},
        "total_volume": {"btc": volume / bitcoin, "usd": volume},
        "market_cap_percentage": {coin.asset.lower(): 100 * x.cap / cap for coin, x in told},
        "market_cap_change_percentage_24h_usd": _change([x for _, x in told]),
        "volume_change_percentage_24h_usd": 0.0,
        "updated_at": ask.world.now_ms // 1000,
    }
    if "nulls" in ask.faults:
        empty = {"usd": None, "btc": None, "eth": None}
        data = dict.fromkeys(data) | dict.fromkeys(
            ("total_market_cap", "total_volume", "market_cap_percentage"), empty
        )
    return answered({"data": renamed(data, "total_market_cap") if "renamed_column" in ask.faults else data})


def _categories(ask: Ask) -> Reply:
    told = dict(_all(ask))
    items: list[dict[str, Any]] = []
    for sector, members in SECTORS.items():
        of_sector = [told[x] for x in members]
        items.append(
            {
                "id": sector,
                "name": sector.replace("-", " ").title(),
                "market_cap": sum(x.cap for x in of_sector),
                "market_cap_change_24h": _change(of_sector),
                "content": "",
                "top_3_coins_id": [x.gecko_id for x in members[:3]],
                "top_3_coins": [],
                "volume_24h": sum(x.volume for x in of_sector),
                "updated_at": stamp(ask.world.now_ms),
            }
        )
    items.sort(key=lambda x: -x["market_cap"])
    if "nulls" in ask.faults:
        items = without(items, ("id", "name"))
    if "renamed_column" in ask.faults:
        items = [renamed(x, "market_cap_change_24h") for x in items]
    return answered(items)


def _trending(ask: Ask) -> Reply:
    told = sorted(_all(ask), key=lambda pair: -abs(pair[1].changes["1h"]))[:7]
    nulls = "nulls" in ask.faults
    coins = []
    for score, (coin, x) in enumerate(told):
        data = {
            "price": x.price,
            "price_change_percentage_24h": {"usd": None if nulls else x.changes["24h"]},
            "market_cap": f"${x.cap:,.0f}",
            "total_volume": f"${x.volume:,.0f}",
        }
        item = {
            "id": coin.gecko_id,
            "coin_id": coin.cap_id,
            "name": coin.name,
            "symbol": coin.asset,
            "market_cap_rank": None,
            "score": score,
            "data": {**data, "price": None, "total_volume": None} if nulls else data,
        }
        coins.append({"item": renamed(item, "data") if "renamed_column" in ask.faults else item})
    sectors = [
        {
            "id": place,
            "name": sector.title(),
            "slug": sector,
            "data": None
            if nulls
            else {
                "market_cap": 0,
                "total_volume": sum(figures(x, ask.world, ask.values_ms).volume for x in members),
                "market_cap_change_percentage_24h": {"usd": 0.0},
            },
        }
        for place, (sector, members) in enumerate(SECTORS.items(), 1)
    ]
    return answered({"coins": coins, "nfts": [], "categories": sectors[:6]})


def _coin(ask: Ask) -> Coin:
    for coin in COINS:
        if coin.gecko_id == ask.query["id"]:
            return coin
    raise RequestError(404, b'{"error":"coin not found"}')


def _market_chart(ask: Ask) -> Reply:
    coin, days = _coin(ask), _number(ask.query.get("days", "1"), 1, 365)
    step_ms = 300_000 if days == 1 else 3_600_000 if days <= 90 else DAY_MS
    begin_ms = (ask.values_ms - days * DAY_MS) // step_ms * step_ms + step_ms
    times = [*range(begin_ms, ask.values_ms, step_ms), ask.values_ms]
    prices = [ask.world.price(coin.asset, "USD", x) for x in times]
    found = {
        "prices": list(zip(times, prices, strict=True)),
        "market_caps": [(at, x * coin.supply) for at, x in zip(times, prices, strict=True)],
        "total_volumes": [(at, x * coin.supply * coin.turnover) for at, x in zip(times, prices, strict=True)],
    }
    if "nulls" in ask.faults:
        found = {name: [(at, None) for at, _ in points] for name, points in found.items()}  # type: ignore[misc]
    return answered(renamed(found, "total_volumes") if "renamed_column" in ask.faults else found)


def _ohlc(ask: Ask) -> Reply:
    coin, days = _coin(ask), _number(ask.query.get("days", "1"), 1, 365)
    step_s = 1800 if days <= 2 else 14_400 if days <= 30 else 345_600
    step_ms, now_ms = step_s * 1000, ask.values_ms
    begin_ms = (now_ms - days * DAY_MS) // step_ms * step_ms + step_ms
    bars = ask.world.bars(coin.asset, "USD", step_s, begin_ms, now_ms)
    nulls = "nulls" in ask.faults
    told = [
        (min(x.open_ms + step_ms, now_ms), *(None if nulls else y for y in (x.open, x.high, x.low, x.close)))
        for x in bars
    ]
    return answered({"ohlc": told} if "renamed_column" in ask.faults else told)


APIS = (CoinGecko,)
