"""CoinGecko: coins with their changes, totals, sectors and their members, trending lists, charts and bars of the past.

Sources: github.com/coingecko/coingecko-api-oas, 2026-06-22, and docs.coingecko.com, read 2026-11-22. Where numbers
conflict the least is taken: 25 calls a minute of "30" and "100" of a Demo key, and every call counts, though a newer
page says that only answers with status 200 do. Without a key no number is published: 5 a minute, and no more a month
than a Demo key.

Changes are per cent, times RFC 3339 (`last_updated`), seconds (`updated_at`) or milliseconds (charts). A bar's time is
its end: "The timestamp in the response indicates the close time of each OHLC candle." It has no volume.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from connectors.answers import (
    Count,
    Milliseconds,
    Seconds,
    Time,
    code_of,
    decoded,
    entry,
    loose,
    price,
    time_ns,
)
from connectors.facts import CoinMarket, CoinPoint, MarketTotal, Ranking, Sector, SectorMember
from connectors.feed import (
    GOOD,
    MINUTE_S,
    MONTH_S,
    Answer,
    Auth,
    Chosen,
    Feed,
    History,
    Limit,
    Outcome,
    Plan,
    Poll,
    Row,
    Verdict,
    by_status,
)
from connectors.venue import Bar, ParseError, Request

NAME = "coingecko"
KEY_ENV = "ISOTHERM_COINGECKO_KEY"
KEYLESS = Plan(
    name="keyless",
    url="https://api.coingecko.com",
    limits=(Limit(5, MINUTE_S), Limit(10_000, MONTH_S)),
    spacing_s=2.0,
    keyless=True,
)
DEMO = Plan(
    name="demo",
    url="https://api.coingecko.com",
    limits=(Limit(25, MINUTE_S), Limit(10_000, MONTH_S)),
    spacing_s=1.0,
)
# The least of the paid plans: 250 calls a minute, 100,000 a month (pricing page, May 2026).
PRO = Plan(
    name="pro",
    url="https://pro-api.coingecko.com",
    limits=(Limit(250, MINUTE_S), Limit(100_000, MONTH_S)),
)
EVERY_S = MappingProxyType({"keyless": 1800.0, "demo": 1800.0, "pro": 300.0})

PER_PAGE = 250
CHANGES = "1h,24h,7d,30d"
# The largest of /coins/categories that are a kind of business, not a portfolio or an index.
SECTORS = (
    "smart-contract-platform", "layer-1", "layer-2", "decentralized-finance-defi", "decentralized-exchange",
    "stablecoins", "meme-token", "artificial-intelligence", "real-world-assets-rwa", "exchange-based-tokens", "gaming",
    "oracle",
)  # fmt: skip
TICKERS: Mapping[str, str] = MappingProxyType({
    "bitcoin": "BTC", "ethereum": "ETH", "tether": "USDT", "usd-coin": "USDC", "solana": "SOL", "binancecoin": "BNB",
    "ripple": "XRP", "dogecoin": "DOGE", "cardano": "ADA", "avalanche-2": "AVAX", "chainlink": "LINK",
    "litecoin": "LTC", "polkadot": "DOT", "tron": "TRX", "bitcoin-cash": "BCH", "stellar": "XLM", "uniswap": "UNI",
    "the-open-network": "TON", "sui": "SUI", "near": "NEAR", "aptos": "APT", "monero": "XMR", "zcash": "ZEC",
    "ethereum-classic": "ETC", "cosmos": "ATOM", "aave": "AAVE", "pax-gold": "PAXG", "tether-gold": "XAUT",
})  # fmt: skip
# Bars by the days asked for: "1-2 days: 30 minutes, 3-30 days: 4 hours, 31 days and beyond: 4 days."
DAYS: Mapping[int, int] = MappingProxyType({1800: 1, 14_400: 30, 345_600: 365})


# ---- what is asked


def request(endpoint: str, **query: object) -> Request:
    """A GET of /api/v3; every call is one credit."""
    asked = f"?{urlencode(query, safe=',')}" if query else ""
    return Request(f"/api/v3{endpoint}{asked}", 1)


def _markets(per_page: int, **query: object) -> Request:
    return request(
        "/coins/markets", vs_currency="usd", order="market_cap_desc", per_page=per_page, page=1,
        price_change_percentage=CHANGES, **query,
    )  # fmt: skip


def polls(chosen: Chosen) -> list[Poll]:
    """Coins and totals each `every`, sectors each other, trending each fourth; one sector's members a day each.

    By default of a Demo key 5,952 calls in 31 days of its 10,000.
    """
    every_s = chosen.every_s or EVERY_S[chosen.plan.name]
    coins = {"ids": ",".join(chosen.symbols)} if chosen.symbols else {}
    day_s = max(86_400.0, 48 * every_s)
    members = [Poll(f"members/{x}", _markets(100, category=x), day_s) for x in SECTORS]
    return [
        Poll("markets", _markets(PER_PAGE, **coins), every_s, 1 if coins else 2, old_s=3 * every_s),
        Poll("global", request("/global"), every_s, old_s=3 * every_s),
        Poll("categories", request("/coins/categories"), 2 * every_s, old_s=6 * every_s),
        Poll("trending", request("/search/trending"), 4 * every_s),
        *members,
    ]


def after(asked: Request, payload: bytes) -> Request | None:
    """The next page of a full page of coins; the bars of a coin whose chart was asked for."""
    parts = urlsplit(asked.path)
    query = dict(parse_qsl(parts.query))
    if parts.path == "/api/v3/coins/markets":
        if len(decoded(_RAWS, payload)) < code_of(query.get("per_page")):
            return None
        query["page"] = str(code_of(query.get("page")) + 1)
        return Request(f"{parts.path}?{urlencode(query, safe=',')}", asked.weight)
    if parts.path.endswith("/market_chart"):
        return Request(asked.path.replace("/market_chart?", "/ohlc?"), asked.weight)
    return None


def bars(coin: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    """The chart of the days that have bars of that length; the bars follow.

    Days are counted back from now: the last ones there are, whatever span is asked for.
    """
    del from_ns, to_ns
    return request(f"/coins/{quote(coin, safe='')}/market_chart", vs_currency="usd", days=DAYS[interval_s])


def auth(plan: Plan, key: str) -> Auth:
    """A header; keys of one kind on the host of the other are refused with 10010 or 10011."""
    return Auth() if plan.keyless else Auth(MappingProxyType({f"x-cg-{plan.name}-api-key": key}))


# ---- how answers are judged

STOPPING: Mapping[int, str] = MappingProxyType({
    10002: "the key is missing: set it, or plan = keyless",
    10010: "a Pro key was sent to the host of Demo keys: set plan = pro",
    10011: "a Demo key was sent to the host of Pro keys: set plan = demo",
    1020: "the firewall refuses this address",
})  # fmt: skip
PLAN_TOO_LOW = 10005
WAIT_S = 60.0  # Retry-After is not documented


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the code in the body, whatever the status; then by the status."""
    del asked
    verdict = by_status(answer)
    try:
        found = loose(answer.body)
    except ParseError as error:
        return Verdict(Outcome.AGAIN, str(error)) if verdict == GOOD else _patient(verdict, answer.status)
    status = entry(found, "status")
    code = code_of(entry(status, "error_code") or entry(found, "error_code"))
    said = entry(status, "error_message") or entry(found, "error")
    told = f"code {code}, status {answer.status}: {str(said or '')[:200]}"
    if code in STOPPING:
        return Verdict(Outcome.STOPPED, f"{STOPPING[code]} ({told})")
    if code == PLAN_TOO_LOW:
        return Verdict(Outcome.REFUSED, f"the plan does not include this ({told})")
    if code == 429:
        return Verdict(Outcome.WAIT, f"a limit is reached ({told})", max(WAIT_S, verdict.wait_s or 0.0))
    if verdict == GOOD and (code or said):
        outcome = Outcome.AGAIN if 500 <= code < 600 else Outcome.REFUSED
        return Verdict(outcome, f"expected data ({told})")
    return _patient(verdict, answer.status)


def _patient(verdict: Verdict, status: int) -> Verdict:
    """The verdict of a status as CoinGecko means it: 403 is its CDN's, and 429 without a time asks for a minute."""
    if status == 403:
        return verdict._replace(
            outcome=Outcome.STOPPED, reason=f"the host refuses this address: {verdict.reason}"
        )
    if verdict.outcome is Outcome.WAIT:
        return verdict._replace(wait_s=max(WAIT_S, verdict.wait_s or 0.0))
    return verdict


# ---- how answers are read


class _Coin(msgspec.Struct):
    """One of /coins/markets. What it always has, if only as null, is required, so that a new name is noticed."""

    id: str
    symbol: str | None
    name: str | None
    current_price: float | None
    market_cap: float | None
    market_cap_rank: Count | None
    fully_diluted_valuation: float | None
    total_volume: float | None
    high_24h: float | None
    low_24h: float | None
    price_change_percentage_24h: float | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    last_updated: Time | None
    price_change_percentage_1h_in_currency: float | None = None
    price_change_percentage_7d_in_currency: float | None = None
    price_change_percentage_30d_in_currency: float | None = None


class _Usd(msgspec.Struct):
    usd: float | None = None


class _Shares(msgspec.Struct):
    btc: float | None = None
    eth: float | None = None


class _Totals(msgspec.Struct):
    active_cryptocurrencies: Count | None
    markets: Count | None
    total_market_cap: _Usd
    total_volume: _Usd
    market_cap_percentage: _Shares
    market_cap_change_percentage_24h_usd: float | None
    updated_at: Seconds | None
    volume_change_percentage_24h_usd: float | None = None


class _Global(msgspec.Struct):
    data: _Totals


class _Category(msgspec.Struct):
    id: str
    name: str | None
    market_cap: float | None
    market_cap_change_24h: float | None
    volume_24h: float | None
    updated_at: Time | None
    top_3_coins_id: list[str | None] | None = None


class _CoinData(msgspec.Struct):
    price: float | str | None
    price_change_percentage_24h: _Usd | None
    total_volume: float | str | None


class _TrendingCoin(msgspec.Struct):
    id: str
    name: str | None
    symbol: str | None
    data: _CoinData | None


class _TrendingItem(msgspec.Struct):
    item: _TrendingCoin


class _CategoryData(msgspec.Struct):
    total_volume: float | str | None
    market_cap_change_percentage_24h: _Usd | None


class _TrendingCategory(msgspec.Struct):
    slug: str
    name: str | None
    data: _CategoryData | None


class _Trending(msgspec.Struct):
    coins: list[_TrendingItem]
    categories: list[_TrendingCategory] = []


Points = list[tuple[Milliseconds, float | None]]


class _Chart(msgspec.Struct):
    prices: Points
    market_caps: Points
    total_volumes: Points


_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_COINS = msgspec.json.Decoder(list[_Coin])
_GLOBAL = msgspec.json.Decoder(_Global)
_CATEGORIES = msgspec.json.Decoder(list[_Category])
_TRENDING = msgspec.json.Decoder(_Trending)
_CHART = msgspec.json.Decoder(_Chart)
_OHLC = msgspec.json.Decoder(
    list[tuple[Milliseconds, Decimal | None, Decimal | None, Decimal | None, Decimal | None]]
)

Query = Mapping[str, str]


def _read_coins(query: Query, payload: bytes, recv_ns: int) -> list[Row]:
    found: list[Row] = []
    for x in decoded(_COINS, payload):
        symbol, told_ns = (x.symbol or "").upper(), time_ns(x.last_updated, recv_ns)
        found.append(
            CoinMarket(
                source=NAME,
                coin=x.id,
                symbol=symbol,
                name=x.name or "",
                time_ns=told_ns,
                price_usd=x.current_price,
                market_cap_usd=x.market_cap,
                rank=x.market_cap_rank,
                fully_diluted_usd=x.fully_diluted_valuation,
                volume_24h_usd=x.total_volume,
                high_24h_usd=x.high_24h,
                low_24h_usd=x.low_24h,
                change_1h_pct=x.price_change_percentage_1h_in_currency,
                change_24h_pct=x.price_change_percentage_24h,
                change_7d_pct=x.price_change_percentage_7d_in_currency,
                change_30d_pct=x.price_change_percentage_30d_in_currency,
                circulating_supply=x.circulating_supply,
                total_supply=x.total_supply,
                max_supply=x.max_supply,
            )
        )
        if sector := query.get("category"):
            found.append(SectorMember(source=NAME, sector=sector, coin=x.id, symbol=symbol, time_ns=told_ns))
    return found


def _read_global(query: Query, payload: bytes, recv_ns: int) -> list[Row]:
    x = decoded(_GLOBAL, payload).data
    return [
        MarketTotal(
            source=NAME,
            time_ns=recv_ns if x.updated_at is None else x.updated_at * 10**9,
            market_cap_usd=x.total_market_cap.usd,
            volume_24h_usd=x.total_volume.usd,
            market_cap_change_24h_pct=x.market_cap_change_percentage_24h_usd,
            volume_change_24h_pct=x.volume_change_percentage_24h_usd,
            btc_dominance_pct=x.market_cap_percentage.btc,
            eth_dominance_pct=x.market_cap_percentage.eth,
            coins=x.active_cryptocurrencies,
            # `markets` counts exchanges.
            exchanges=x.markets,
        )
    ]


def _read_categories(query: Query, payload: bytes, recv_ns: int) -> list[Row]:
    return [
        Sector(
            source=NAME,
            sector=x.id,
            name=x.name or "",
            time_ns=time_ns(x.updated_at, recv_ns),
            market_cap_usd=x.market_cap,
            volume_24h_usd=x.volume_24h,
            market_cap_change_24h_pct=x.market_cap_change_24h,
            top_coins=tuple(coin for coin in x.top_3_coins_id or () if coin),
        )
        for x in decoded(_CATEGORIES, payload)
    ]


def _read_trending(query: Query, payload: bytes, recv_ns: int) -> list[Row]:
    said = decoded(_TRENDING, payload)
    empty = _CoinData(None, None, None), _CategoryData(None, None)
    found: list[Row] = []
    for place, coin in enumerate((x.item for x in said.coins), 1):
        told = coin.data or empty[0]
        found.append(
            Ranking(
                source=NAME,
                ranking="trending",
                place=place,
                item=coin.id,
                symbol=(coin.symbol or "").upper(),
                name=coin.name or "",
                time_ns=recv_ns,
                price_usd=_dollars(told.price),
                change_pct=_usd(told.price_change_percentage_24h),
                volume_usd=_dollars(told.total_volume),
            )
        )
    for place, sector in enumerate(said.categories, 1):
        of_sector = sector.data or empty[1]
        found.append(
            Ranking(
                source=NAME,
                ranking="trending_sectors",
                place=place,
                item=sector.slug,
                symbol="",
                name=sector.name or "",
                time_ns=recv_ns,
                change_pct=_usd(of_sector.market_cap_change_percentage_24h),
                volume_usd=_dollars(of_sector.total_volume),
            )
        )
    return found


def _usd(said: _Usd | None) -> float | None:
    return None if said is None else said.usd


_DOLLARS = re.compile(r"\$?(\d{1,15}(?:,\d{3}){0,5}(?:\.\d{1,40})?)", re.ASCII)


def _dollars(said: float | str | None) -> float | None:
    """31701707.0 of "$31,701,707", as some amounts of this answer are written."""
    if not isinstance(said, str):
        return said
    if found := _DOLLARS.fullmatch(said):
        return float(found[1].replace(",", ""))
    if said:
        raise ParseError(f"expected dollars as in $31,701,707, found {said[:60]!r}")
    return None


def _read_chart(coin: str, payload: bytes) -> list[Row]:
    said = decoded(_CHART, payload)
    caps, volumes = dict(said.market_caps), dict(said.total_volumes)
    return [
        CoinPoint(
            source=NAME,
            coin=coin,
            time_ns=ms * 10**6,
            price_usd=told,
            market_cap_usd=caps.get(ms),
            volume_24h_usd=volumes.get(ms),
        )
        for ms, told in said.prices
    ]


def _read_ohlc(coin: str, query: Query, payload: bytes, recv_ns: int) -> list[Row]:
    """A bar without all four prices is none."""
    interval_s = {days: x for x, days in DAYS.items()}.get(code_of(query.get("days")))
    if interval_s is None:
        raise ParseError(f"expected days one of {list(DAYS.values())}, found {query.get('days')!r}")
    found: list[Row] = []
    for ms, *told in decoded(_OHLC, payload):
        prices = [price(x) for x in told if x is not None]
        if len(prices) == 4 and ms >= interval_s * 1000:
            found.append(_bar(coin, interval_s, ms, prices, recv_ns))
    return found


def _bar(coin: str, interval_s: int, end_ms: int, prices: list[Decimal], recv_ns: int) -> Bar:
    # The bar under way ends at no whole half hour: it bears the time of its last price.
    ended = end_ms % (min(interval_s, 86_400) * 1000) == 0
    open_ms = end_ms - (interval_s * 1000 if ended else end_ms % (interval_s * 1000))
    return Bar(
        symbol=coin,
        interval_s=interval_s,
        open_ns=open_ms * 10**6,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=None,
        quote_volume=None,
        buy_volume=None,
        trades=None,
        closed=ended and end_ms * 10**6 <= recv_ns,
    )


_READ: Mapping[str, Callable[[Query, bytes, int], list[Row]]] = MappingProxyType({
    "/api/v3/coins/markets": _read_coins,
    "/api/v3/global": _read_global,
    "/api/v3/coins/categories": _read_categories,
    "/api/v3/search/trending": _read_trending,
})  # fmt: skip
_OF_COIN = re.compile(r"/api/v3/coins/([^/]+)/(ohlc|market_chart(?:/range)?)")
_PING: "msgspec.json.Decoder[dict[str, Any]]" = msgspec.json.Decoder(dict[str, Any])


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The rows of an answer; [] of /ping."""
    parts = urlsplit(path)
    query = dict(parse_qsl(parts.query))
    if reader := _READ.get(parts.path):
        return reader(query, payload, recv_ns)
    if found := _OF_COIN.fullmatch(parts.path):
        if found[2] == "ohlc":
            return _read_ohlc(unquote(found[1]), query, payload, recv_ns)
        return _read_chart(unquote(found[1]), payload)
    if parts.path == "/api/v3/ping":
        decoded(_PING, payload)
        return []
    raise ParseError(f"expected an answer of a request of {NAME}, found one of {parts.path[:120]}")


def canonical(coin: str) -> str:
    """BTC-USD for bitcoin; the id itself, in capitals, of a coin that is not among the best known."""
    return f"{TICKERS.get(coin, coin.upper())}-USD"


FEEDS = (
    Feed(
        name=NAME,
        plans=(DEMO, PRO, KEYLESS),
        parse=parse,
        judge=judge,
        canonical=canonical,
        key_env=KEY_ENV,
        key_check=request("/ping"),
        auth=auth,
        polls=polls,
        after=after,
        history=History(intervals_s=tuple(DAYS), bars=bars, last_bars_only=True),
    ),
)
