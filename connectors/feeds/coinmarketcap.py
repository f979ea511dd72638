"""CoinMarketCap: coins, totals, sectors, trending lists, where a coin trades, fear and greed.

Sources: coinmarketcap.com/api/documentation, read September 2026; fear and greed by public clients of
/v3/fear-and-greed/latest, read 2026-11-22. A free key's month is told as 10,000 and as 15,000 credits: the less is
taken. One credit is 200 data points, or 100 market pairs. Limits a minute are of requests; credits are counted there
too, which is never too few.

Changes are per cent, amounts are numbers in US dollars, times RFC 3339. A listing of 2019 lacks what came later
(dominance, changes over 30 days): None. Which plans have the trending lists and market pairs has changed more than
once: a refusal of one (1006) ends that request alone.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from msgspec import Meta

from connectors.answers import EPOCH, Count, Time, code_of, decoded, entry, loose, time_ns
from connectors.facts import CoinMarket, MarketPair, MarketTotal, Ranking, Sector, Sentiment
from connectors.feed import (
    GOOD,
    MINUTE_S,
    MONTH_S,
    Answer,
    Auth,
    Chosen,
    Feed,
    Limit,
    Outcome,
    Plan,
    Poll,
    Row,
    Verdict,
    by_status,
)
from connectors.venue import ParseError, Request

NAME = "coinmarketcap"
KEY_ENV = "ISOTHERM_COINMARKETCAP_KEY"
URL = "https://pro-api.coinmarketcap.com"


def _plan(name: str, a_minute: int, a_month: int) -> Plan:
    return Plan(
        name=name, url=URL, limits=(Limit(a_minute, MINUTE_S), Limit(a_month, MONTH_S)), spacing_s=1.0
    )


# /v1/key/info tells what a key is entitled to; of the paid plans these are the least numbers found.
BASIC = _plan("basic", 30, 10_000)
HOBBYIST = _plan("hobbyist", 30, 110_000)
STARTUP = _plan("startup", 30, 300_000)
EVERY_S = MappingProxyType({"basic": 1800.0, "hobbyist": 300.0, "startup": 120.0})

PER_PAGE = 200  # data points of one credit
COINS = ("1", "1027", "5426")  # Bitcoin, Ethereum, Solana: whose market pairs are asked for


# ---- what is asked


def request(path: str, **query: object) -> Request:
    """A GET of one credit."""
    return Request(f"{path}?{urlencode(query, safe=',')}" if query else path, 1)


def polls(chosen: Chosen) -> list[Poll]:
    """Coins and totals each `every`, sectors each other, the lists each eighth.

    By default of a free key 6,355 credits in 31 days of its 10,000.
    """
    every_s = chosen.every_s or EVERY_S[chosen.plan.name]
    found = [
        Poll("listings", request("/v1/cryptocurrency/listings/latest", start=1, limit=PER_PAGE, convert="USD"),
             every_s, 2, old_s=3 * every_s),
        Poll("global", request("/v1/global-metrics/quotes/latest", convert="USD"), every_s, old_s=3 * every_s),
        Poll("categories", request("/v1/cryptocurrency/categories", start=1, limit=PER_PAGE), 2 * every_s,
             old_s=12 * every_s),
        Poll("fear_and_greed", request("/v3/fear-and-greed/latest"), 12 * every_s),
    ]  # fmt: skip
    lists = {
        "trending": request("/v1/cryptocurrency/trending/latest", limit=20, convert="USD"),
        "gainers": _movers("desc"),
        "losers": _movers("asc"),
        "most_visited": request("/v1/cryptocurrency/trending/most-visited", limit=20, convert="USD"),
    }
    found += [Poll(name, asked, 8 * every_s) for name, asked in lists.items()]
    pairs = "/v2/cryptocurrency/market-pairs/latest"
    return found + [
        Poll(f"market_pairs/{x}", request(pairs, id=x, limit=100, convert="USD"), 16 * every_s)
        for x in chosen.symbols or COINS
    ]


def _movers(direction: str) -> Request:
    return request(
        "/v1/cryptocurrency/trending/gainers-losers", limit=20, convert="USD", sort="percent_change_24h",
        sort_dir=direction, time_period="24h",
    )  # fmt: skip


def after(asked: Request, payload: bytes) -> Request | None:
    """The next page of a full page of coins."""
    parts = urlsplit(asked.path)
    query = dict(parse_qsl(parts.query))
    if parts.path != "/v1/cryptocurrency/listings/latest":
        return None
    limit = code_of(query.get("limit"))
    if len(decoded(_PAGE, payload).data) < limit:
        return None
    query["start"] = str(code_of(query.get("start")) + limit)
    return Request(f"{parts.path}?{urlencode(query, safe=',')}", asked.weight)


def auth(plan: Plan, key: str) -> Auth:
    """A header."""
    del plan
    return Auth(MappingProxyType({"x-cmc_pro_api_key": key}))


# ---- how answers are judged

STOPPING: Mapping[int, str] = MappingProxyType({
    1001: "the key is not valid",
    1002: "the key is missing",
    1003: "the plan of the key is not paid for",
    1004: "the plan of the key has expired",
    1005: "the key is missing",
    1007: "the key was disabled",
})  # fmt: skip
NOT_IN_PLAN = 1006
A_MINUTE, A_DAY, A_MONTH, AN_ADDRESS = 1008, 1009, 1010, 1011
DAY_S = 86_400.0


def judge(asked: Request, answer: Answer) -> Verdict:
    """By `status.error_code`, which counts with HTTP status 200 too; then by the HTTP status."""
    del asked
    verdict = by_status(answer)
    try:
        found = loose(answer.body)
    except ParseError as error:
        return Verdict(Outcome.AGAIN, str(error)) if verdict == GOOD else verdict
    status = entry(found, "status")
    code = code_of(entry(status, "error_code"))
    if not code:
        return verdict
    told = f"code {code}, status {answer.status}: {str(entry(status, 'error_message') or '')[:200]}"
    if code in STOPPING:
        return Verdict(Outcome.STOPPED, f"{STOPPING[code]} ({told})")
    if code == NOT_IN_PLAN:
        return Verdict(Outcome.REFUSED, f"the plan does not include this ({told})")
    if code in (A_MINUTE, A_DAY, A_MONTH, AN_ADDRESS):
        least_s = _limit_s(code, entry(status, "timestamp"))
        return Verdict(Outcome.WAIT, f"a limit is reached ({told})", max(least_s, verdict.wait_s or 0.0))
    outcome = Outcome.AGAIN if 500 <= code < 600 else verdict.outcome
    return Verdict(
        Outcome.REFUSED if outcome is Outcome.GOOD else outcome, f"expected data ({told})", verdict.wait_s
    )


def _limit_s(code: int, timestamp: object) -> float:
    """Seconds until a limit may be over: "wait 60 seconds", the next day (UTC), or a day at a time of a month.

    A month ends on the day on which the plan was taken, which no answer but that of /v1/key/info tells.
    """
    if code in (A_MINUTE, AN_ADDRESS):
        return 60.0
    try:
        now = datetime.fromisoformat(str(timestamp)).astimezone(UTC)
        midnight = (now - EPOCH) // timedelta(days=1) * timedelta(days=1) + timedelta(days=1) + EPOCH
    except (ValueError, OverflowError):
        return DAY_S
    return (midnight - now).total_seconds() if code == A_DAY else DAY_S


# ---- how answers are read

Score = Annotated[float, Meta(ge=0, le=100)]


class _Quote(msgspec.Struct):
    price: float | None
    volume_24h: float | None = None
    percent_change_1h: float | None = None
    percent_change_24h: float | None = None
    percent_change_7d: float | None = None
    percent_change_30d: float | None = None
    market_cap: float | None = None
    market_cap_dominance: float | None = None
    fully_diluted_market_cap: float | None = None
    last_updated: Time | None = None


class _Listed(_Quote, kw_only=True):
    """As a quote, of a listing: those that all listings have had since 2019 are required."""

    volume_24h: float | None
    percent_change_1h: float | None
    percent_change_24h: float | None
    percent_change_7d: float | None
    market_cap: float | None


class _InDollars(msgspec.Struct):
    USD: _Quote


class _ListedInDollars(msgspec.Struct):
    USD: _Listed


class _Named(msgspec.Struct, kw_only=True):
    id: Count
    name: str | None
    symbol: str | None


class _Coin(_Named, kw_only=True):
    cmc_rank: Count | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    last_updated: Time | None
    quote: _ListedInDollars


class _Ranked(_Named, kw_only=True):
    quote: _InDollars | None = None


class _TotalQuote(msgspec.Struct):
    total_market_cap: float | None
    total_volume_24h: float | None
    total_market_cap_yesterday_percentage_change: float | None = None
    total_volume_24h_yesterday_percentage_change: float | None = None


class _TotalInDollars(msgspec.Struct):
    USD: _TotalQuote


class _Total(msgspec.Struct):
    btc_dominance: float | None
    eth_dominance: float | None
    active_cryptocurrencies: Count | None
    active_exchanges: Count | None
    last_updated: Time | None
    quote: _TotalInDollars


class _Category(msgspec.Struct):
    id: str
    name: str | None
    num_tokens: Count | None
    avg_price_change: float | None
    market_cap: float | None
    market_cap_change: float | None
    volume: float | None
    last_updated: Time | None = None


class _Exchange(msgspec.Struct):
    name: str | None


class _PairQuote(msgspec.Struct):
    price: float | None
    volume_24h: float | None
    last_updated: Time | None = None


class _PairInDollars(msgspec.Struct):
    USD: _PairQuote


class _Pair(msgspec.Struct):
    exchange: _Exchange
    market_pair: str
    quote: _PairInDollars
    category: str | None = None


class _Pairs(msgspec.Struct):
    id: Count
    symbol: str | None
    market_pairs: list[_Pair]


class _Mood(msgspec.Struct):
    value: Score
    value_classification: str | None
    update_time: Time | None = None


class _Status(msgspec.Struct):
    timestamp: Time | None = None


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]


class _Listings(msgspec.Struct):
    data: list[_Coin]


class _Rankings(msgspec.Struct):
    data: list[_Ranked]
    status: _Status


class _Totals(msgspec.Struct):
    data: _Total


class _Categories(msgspec.Struct):
    data: list[_Category]
    status: _Status


class _CoinPairs(msgspec.Struct):
    data: _Pairs


class _Moods(msgspec.Struct):
    data: _Mood
    status: _Status


_PAGE = msgspec.json.Decoder(_Page)
_LISTINGS = msgspec.json.Decoder(_Listings)
_RANKINGS = msgspec.json.Decoder(_Rankings)
_TOTALS = msgspec.json.Decoder(_Totals)
_CATEGORIES = msgspec.json.Decoder(_Categories)
_PAIRS = msgspec.json.Decoder(_CoinPairs)
_MOODS = msgspec.json.Decoder(_Moods)


def _read_listings(payload: bytes, recv_ns: int) -> list[Row]:
    return [_market(x, x.quote.USD, recv_ns) for x in decoded(_LISTINGS, payload).data]


def _market(coin: _Coin, quote: _Listed, recv_ns: int) -> CoinMarket:
    return CoinMarket(
        source=NAME,
        coin=str(coin.id),
        symbol=(coin.symbol or "").upper(),
        name=coin.name or "",
        time_ns=time_ns(quote.last_updated or coin.last_updated, recv_ns),
        price_usd=quote.price,
        market_cap_usd=quote.market_cap,
        rank=coin.cmc_rank,
        fully_diluted_usd=quote.fully_diluted_market_cap,
        volume_24h_usd=quote.volume_24h,
        change_1h_pct=quote.percent_change_1h,
        change_24h_pct=quote.percent_change_24h,
        change_7d_pct=quote.percent_change_7d,
        change_30d_pct=quote.percent_change_30d,
        circulating_supply=coin.circulating_supply,
        total_supply=coin.total_supply,
        max_supply=coin.max_supply,
        dominance_pct=quote.market_cap_dominance,
    )


def _reads_ranking(ranking: str) -> Callable[[bytes, int], list[Row]]:
    def read(payload: bytes, recv_ns: int) -> list[Row]:
        said = decoded(_RANKINGS, payload)
        listed_ns = time_ns(said.status.timestamp, recv_ns)
        return [_ranked(ranking, place, x, listed_ns) for place, x in enumerate(said.data, 1)]

    return read


def _ranked(ranking: str, place: int, coin: _Ranked, listed_ns: int) -> Ranking:
    # The list is of the time of the answer; each quote may be older.
    quote = coin.quote and coin.quote.USD
    return Ranking(
        source=NAME,
        ranking=ranking,
        place=place,
        item=str(coin.id),
        symbol=(coin.symbol or "").upper(),
        name=coin.name or "",
        time_ns=listed_ns,
        price_usd=quote.price if quote else None,
        change_pct=quote.percent_change_24h if quote else None,
        volume_usd=quote.volume_24h if quote else None,
    )


def _read_totals(payload: bytes, recv_ns: int) -> list[Row]:
    x = decoded(_TOTALS, payload).data
    return [
        MarketTotal(
            source=NAME,
            time_ns=time_ns(x.last_updated, recv_ns),
            market_cap_usd=x.quote.USD.total_market_cap,
            volume_24h_usd=x.quote.USD.total_volume_24h,
            market_cap_change_24h_pct=x.quote.USD.total_market_cap_yesterday_percentage_change,
            volume_change_24h_pct=x.quote.USD.total_volume_24h_yesterday_percentage_change,
            btc_dominance_pct=x.btc_dominance,
            eth_dominance_pct=x.eth_dominance,
            coins=x.active_cryptocurrencies,
            exchanges=x.active_exchanges,
        )
    ]


def _read_categories(payload: bytes, recv_ns: int) -> list[Row]:
    said = decoded(_CATEGORIES, payload)
    listed_ns = time_ns(said.status.timestamp, recv_ns)
    return [
        Sector(
            source=NAME,
            sector=x.id,
            name=x.name or "",
            time_ns=time_ns(x.last_updated, listed_ns),
            market_cap_usd=x.market_cap,
            volume_24h_usd=x.volume,
            market_cap_change_24h_pct=x.market_cap_change,
            price_change_24h_pct=x.avg_price_change,
            coins=x.num_tokens,
        )
        for x in said.data
    ]


def _read_pairs(payload: bytes, recv_ns: int) -> list[Row]:
    coin = decoded(_PAIRS, payload).data
    return [
        MarketPair(
            source=NAME,
            coin=str(coin.id),
            symbol=(coin.symbol or "").upper(),
            exchange=x.exchange.name or "",
            pair=x.market_pair,
            category=x.category or "",
            time_ns=time_ns(x.quote.USD.last_updated, recv_ns),
            price_usd=x.quote.USD.price,
            volume_24h_usd=x.quote.USD.volume_24h,
        )
        for x in coin.market_pairs
    ]


def _read_mood(payload: bytes, recv_ns: int) -> list[Row]:
    said = decoded(_MOODS, payload)
    return [
        Sentiment(
            source=NAME,
            index="fear_and_greed",
            time_ns=time_ns(said.data.update_time or said.status.timestamp, recv_ns),
            value=said.data.value,
            label=said.data.value_classification or "",
        )
    ]


def _read_nothing(payload: bytes, recv_ns: int) -> list[Row]:
    del recv_ns
    loose(payload)
    return []


_READ: Mapping[str, Callable[[bytes, int], list[Row]]] = MappingProxyType({
    "/v1/cryptocurrency/listings/latest": _read_listings,
    "/v1/cryptocurrency/trending/latest": _reads_ranking("trending"),
    "/v1/cryptocurrency/trending/most-visited": _reads_ranking("most_visited"),
    "/v1/global-metrics/quotes/latest": _read_totals,
    "/v1/cryptocurrency/categories": _read_categories,
    "/v2/cryptocurrency/market-pairs/latest": _read_pairs,
    "/v3/fear-and-greed/latest": _read_mood,
    "/v1/key/info": _read_nothing,
})  # fmt: skip
MOVERS = "/v1/cryptocurrency/trending/gainers-losers"


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The rows of an answer; [] of /v1/key/info."""
    parts = urlsplit(path)
    if parts.path == MOVERS:
        rising = dict(parse_qsl(parts.query)).get("sort_dir") != "asc"
        return _reads_ranking("gainers" if rising else "losers")(payload, recv_ns)
    if reader := _READ.get(parts.path):
        return reader(payload, recv_ns)
    raise ParseError(f"expected an answer of a request of {NAME}, found one of {parts.path[:120]}")


def canonical(symbol: str) -> str:
    """The symbol in dollars; no row of this feed needs it."""
    return f"{symbol.upper()}-USD"


FEEDS = (
    Feed(
        name=NAME,
        plans=(BASIC, HOBBYIST, STARTUP),
        parse=parse,
        judge=judge,
        canonical=canonical,
        key_env=KEY_ENV,
        key_check=request("/v1/key/info"),
        auth=auth,
        polls=polls,
        after=after,
    ),
)
