"""GeckoTerminal: pools of decentralised exchanges, their bars and trades; the same by CoinGecko with its key.

Sources: www.geckoterminal.com/dex-api and its FAQ; the /onchain paths of github.com/coingecko/coingecko-api-oas,
2026-06-22; docs.coingecko.com, read 2026-11-22. The FAQ grants 30 calls a minute without a key, but 429 was seen
after 11 in 90 seconds: 10 here. With a key calls count with those of `coingecko`: one budget. The version of the
answers is pinned by the Accept header.

An instrument is `NETWORK:POOL ADDRESS`. Money is text, in US dollars; changes are per cent; answers bear no time but
that of bars (seconds) and trades. Prices are of the pool's base token in dollars. Bars' volumes are in dollars too:
quote volume, while the volume in base tokens is not told. A trade's size is in base tokens: `buy` is of the base
token, so the base token is what a buy receives and what a sell gives. Several trades share a transaction: a trade's
id is 64 bits of the hash of network, block, transaction and place in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from connectors.answers import Count, Seconds, Time, decoded, exact, number, price, time_ns
from connectors.facts import Pool
from connectors.feed import MINUTE_S, Auth, Chosen, Feed, History, Limit, Plan, Poll, Row
from connectors.feeds.coingecko import DEMO, KEY_ENV, PRO, auth, judge
from connectors.venue import Bar, ParseError, Request, Trade

VERSION = "20230302"  # of the answers
KEYLESS = Plan(
    name="keyless",
    url="https://api.geckoterminal.com",
    limits=(Limit(10, MINUTE_S),),
    spacing_s=2.0,
    keyless=True,
)
NETWORKS = ("eth", "solana", "base", "bsc", "arbitrum")
POOLS = ("eth:0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640",)  # WETH / USDC 0.05% of Uniswap V3
PING = "/api/v3/ping"
PER_PAGE = 20  # pools
BARS_MAX = 1000
# Length of bars -> timeframe, aggregate.
FRAMES = MappingProxyType({
    60: ("minute", 1), 300: ("minute", 5), 900: ("minute", 15), 3600: ("hour", 1), 14_400: ("hour", 4),
    43_200: ("hour", 12), 86_400: ("day", 1),
})  # fmt: skip


# ---- what is asked


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the same paths stand on one host."""

    base: str
    every_s: MappingProxyType[str, float]  # of trending pools, by plan
    slower: int  # how many times, trades and bars of chosen pools; an answer holds 300 trades, 1,000 bars of a minute

    def request(self, path: str, **query: object) -> Request:
        """A GET of one call."""
        asked = f"?{urlencode(query, safe=',')}" if query else ""
        return Request(f"{self.base}{path}{asked}", 1)

    def polls(self, chosen: Chosen) -> list[Poll]:
        """Trending pools each `every`, the top pools of each network each eighth."""
        every_s = chosen.every_s or self.every_s[chosen.plan.name]
        lists = {"trending": "/networks/trending_pools"}
        if chosen.plan.keyless:
            lists |= {f"trending/{x}": f"/networks/{x}/trending_pools" for x in NETWORKS}
        found = [
            Poll(name, self.request(path, page=1), every_s, old_s=12 * every_s)
            for name, path in lists.items()
        ]
        found += [
            Poll(f"top/{x}", self.request(f"/networks/{x}/pools", page=1), 8 * every_s) for x in NETWORKS
        ]
        for symbol in chosen.symbols or POOLS:
            bars = self.request(f"{_path(symbol)}/ohlcv/minute", aggregate=1, limit=BARS_MAX, currency="usd")
            found += [
                Poll(f"trades/{symbol}", self.trades(symbol, 0, 0), self.slower * every_s),
                Poll(f"bars/{symbol}", bars, self.slower * every_s),
            ]
        return found

    def bars(self, symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
        """The last bars before the end of a span: a second before it, as a bar of that very time may be told or not.

        The span's begin stands in the fragment, which is never sent: it tells `after` where to end.
        """
        frame, aggregate = FRAMES[interval_s]
        asked = self.request(
            f"{_path(symbol)}/ohlcv/{frame}", aggregate=aggregate, before_timestamp=-(-to_ns // 10**9) - 1,
            limit=BARS_MAX, currency="usd",
        )  # fmt: skip
        return Request(f"{asked.path}#from={from_ns // 10**9}", asked.weight)

    def trades(self, symbol: str, from_ns: int, to_ns: int) -> Request:
        """The last 300 trades of the last 24 hours, whatever span is asked for."""
        del from_ns, to_ns
        return self.request(f"{_path(symbol)}/trades")


def _path(symbol: str) -> str:
    network, _, pool = symbol.partition(":")
    return f"/networks/{quote(network, safe='')}/pools/{quote(pool, safe='')}"


def after(asked: Request, payload: bytes) -> Request | None:
    """The bars before those of a full page, as far as the span's begin. Raises ParseError for a page of other bars."""
    parts = urlsplit(asked.path)
    query, begin = dict(parse_qsl(parts.query)), dict(parse_qsl(parts.fragment)).get("from")
    if "/ohlcv/" not in parts.path or begin is None:
        return None
    times = [x[0] for x in decoded(_BARS, payload).data.attributes.ohlcv_list]
    oldest_s, newest_s = min(times, default=0), max(times, default=0)
    if newest_s > int(query["before_timestamp"]):
        raise ParseError(
            f"expected bars up to {query['before_timestamp']}, found one of {newest_s}: the page is another"
        )
    if len(times) < int(query["limit"]) or oldest_s <= int(begin):
        return None
    query["before_timestamp"] = str(oldest_s - 1)
    return Request(f"{parts.path}?{urlencode(query)}#{parts.fragment}", asked.weight)


def accepting(plan: Plan, key: str) -> Auth:
    """The version of the answers, which needs no key."""
    del plan, key
    return Auth(MappingProxyType({"accept": f"application/json;version={VERSION}"}))


# ---- how answers are read


class _Windows(msgspec.Struct):
    """An amount over several spans up to now."""

    h24: Decimal | None
    m5: Decimal | None = None
    h1: Decimal | None = None
    h6: Decimal | None = None


class _Counts(msgspec.Struct):
    buys: Count | None
    sells: Count | None
    buyers: Count | None = None
    sellers: Count | None = None


class _Transactions(msgspec.Struct):
    h24: _Counts


class _PoolAttributes(msgspec.Struct):
    """What it always has, if only as null, is required, so that a new name is noticed."""

    address: str
    name: str | None
    base_token_price_usd: Decimal | None
    pool_created_at: Time | None
    fdv_usd: Decimal | None
    market_cap_usd: Decimal | None
    reserve_in_usd: Decimal | None
    price_change_percentage: _Windows
    volume_usd: _Windows
    transactions: _Transactions


class _Id(msgspec.Struct):
    id: str


class _Related(msgspec.Struct):
    data: _Id | None


class _Relationships(msgspec.Struct):
    base_token: _Related
    quote_token: _Related
    dex: _Related


class _PoolData(msgspec.Struct):
    id: str
    attributes: _PoolAttributes
    relationships: _Relationships


class _Pools(msgspec.Struct):
    data: list[_PoolData]


class _OnePool(msgspec.Struct):
    data: _PoolData


class _BarAttributes(msgspec.Struct):
    ohlcv_list: list[
        tuple[Seconds, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]
    ]


class _BarData(msgspec.Struct):
    attributes: _BarAttributes


class _Bars(msgspec.Struct):
    data: _BarData


class _TradeAttributes(msgspec.Struct):
    kind: Literal["buy", "sell"]
    block_timestamp: Time
    tx_hash: str
    from_token_amount: Decimal | None
    to_token_amount: Decimal | None
    price_from_in_usd: Decimal | None
    price_to_in_usd: Decimal | None


class _TradeData(msgspec.Struct):
    id: str
    attributes: _TradeAttributes


class _Trades(msgspec.Struct):
    data: list[_TradeData]


_POOLS = msgspec.json.Decoder(_Pools)
_PING = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ONE_POOL = msgspec.json.Decoder(_OnePool)
_BARS = msgspec.json.Decoder(_Bars)
_TRADES = msgspec.json.Decoder(_Trades)


def _pool(source: str, said: _PoolData, place: int | None, recv_ns: int) -> Pool:
    x, related = said.attributes, said.relationships
    network = said.id.removesuffix(f"_{x.address}")
    if not network or network == said.id:
        raise ParseError(
            f"expected an id NETWORK_ADDRESS of the pool {x.address[:80]}, found {said.id[:120]!r}"
        )
    counts = x.transactions.h24
    return Pool(
        source=source,
        network=network,
        pool=x.address,
        name=x.name or "",
        dex=_id(related.dex),
        base_token=_id(related.base_token).removeprefix(f"{network}_"),
        quote_token=_id(related.quote_token).removeprefix(f"{network}_"),
        time_ns=recv_ns,
        created_ns=None if x.pool_created_at is None else time_ns(x.pool_created_at, recv_ns),
        trending_place=place,
        price_usd=number(x.base_token_price_usd),
        market_cap_usd=number(x.market_cap_usd),
        fully_diluted_usd=number(x.fdv_usd),
        reserve_usd=number(x.reserve_in_usd),
        volume_5m_usd=number(x.volume_usd.m5),
        volume_1h_usd=number(x.volume_usd.h1),
        volume_6h_usd=number(x.volume_usd.h6),
        volume_24h_usd=number(x.volume_usd.h24),
        change_5m_pct=number(x.price_change_percentage.m5),
        change_1h_pct=number(x.price_change_percentage.h1),
        change_6h_pct=number(x.price_change_percentage.h6),
        change_24h_pct=number(x.price_change_percentage.h24),
        buys_24h=counts.buys,
        sells_24h=counts.sells,
        buyers_24h=counts.buyers,
        sellers_24h=counts.sellers,
    )


def _id(related: _Related) -> str:
    return related.data.id if related.data else ""


def _read_pools(source: str, is_trending: bool, page: int, payload: bytes, recv_ns: int) -> list[Row]:
    first = (page - 1) * PER_PAGE + 1
    return [
        _pool(source, x, first + i if is_trending else None, recv_ns)
        for i, x in enumerate(decoded(_POOLS, payload).data)
    ]


def _read_bars(symbol: str, interval_s: int, payload: bytes, recv_ns: int) -> list[Row]:
    """Oldest first, which the answer is not. A bar without all four prices is none."""
    found: list[Row] = []
    for open_s, *told, volume in reversed(decoded(_BARS, payload).data.attributes.ohlcv_list):
        prices = [price(x) for x in told if x is not None]
        if len(prices) < len(told):
            continue
        found.append(
            Bar(
                symbol=symbol,
                interval_s=interval_s,
                open_ns=open_s * 10**9,
                open=prices[0],
                high=prices[1],
                low=prices[2],
                close=prices[3],
                volume=None,
                quote_volume=None if volume is None else exact(volume),
                buy_volume=None,
                trades=None,
                closed=(open_s + interval_s) * 10**9 <= recv_ns,
            )
        )
    return found


def _read_trades(symbol: str, payload: bytes, recv_ns: int) -> list[Row]:
    """Oldest first, which the answer is not. A trade without price or amount is none."""
    found: list[Row] = []
    for said in reversed(decoded(_TRADES, payload).data):
        x = said.attributes
        bought = x.kind == "buy"
        paid, amount = (
            (x.price_to_in_usd, x.to_token_amount) if bought else (x.price_from_in_usd, x.from_token_amount)
        )
        if paid is None or amount is None:
            continue
        found.append(
            Trade(
                symbol=symbol,
                event_ns=time_ns(x.block_timestamp, recv_ns),
                trade_id=int.from_bytes(blake2b(said.id.encode(), digest_size=8).digest()),
                price=price(paid),
                size=price(amount),
                side=x.kind,
            )
        )
    return found


_LISTS = re.compile(r"/networks/(?:[^/]+/)?(?:(trending_pools)|new_pools|pools(?:/multi/.+)?)|/search/pools")
_OF_LIST = re.compile(r"/networks/[^/]+/(?:dexes/[^/]+|tokens/[^/]+)/pools")
_OF_POOL = re.compile(r"/networks/([^/]+)/pools/([^/]+)(?:/(trades)|/ohlcv/(day|hour|minute))?")


def _parser(source: str, base: str) -> Callable[[str, bytes, int], list[Row]]:
    def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
        parts = urlsplit(path)
        asked, query = parts.path.removeprefix(base), dict(parse_qsl(parts.query))
        listed = _LISTS.fullmatch(asked)
        if listed or _OF_LIST.fullmatch(asked):
            is_trending = listed is not None and listed[1] is not None
            return _read_pools(source, is_trending, int(query.get("page", "1")), payload, recv_ns)
        found = _OF_POOL.fullmatch(asked)
        if asked == PING:
            decoded(_PING, payload)
            return []
        if found is None:
            raise ParseError(f"expected an answer of a request of {source}, found one of {path[:120]}")
        symbol = f"{unquote(found[1])}:{unquote(found[2])}"
        if found[3]:
            return _read_trades(symbol, payload, recv_ns)
        if found[4]:
            interval_s = _interval_s(found[4], int(query.get("aggregate", "1")))
            return _read_bars(symbol, interval_s, payload, recv_ns)
        return [_pool(source, decoded(_ONE_POOL, payload).data, None, recv_ns)]

    return parse


def _interval_s(frame: str, aggregate: int) -> int:
    for interval_s, told in FRAMES.items():
        if told == (frame, aggregate):
            return interval_s
    raise ParseError(f"expected bars of one of {list(FRAMES.values())}, found {(frame, aggregate)}")


def canonical(symbol: str) -> str:
    """The symbol itself: an address means nothing on another network, and may be told apart by case alone."""
    return symbol


_TERMINAL = _Address("/api/v2", MappingProxyType({"keyless": 300.0}), slower=1)
# With a Demo key 1,302 calls in 31 days, beside the 5,952 of `coingecko`.
_ONCHAIN = _Address("/api/v3/onchain", MappingProxyType({"demo": 3600.0, "pro": 900.0}), slower=16)


def _history(address: _Address) -> History:
    return History(
        intervals_s=tuple(FRAMES), bars=address.bars, trades=address.trades, last_trades_only=True
    )  # fmt: skip


FEEDS = (
    Feed(
        name="gecko_terminal",
        plans=(KEYLESS,),
        parse=_parser("gecko_terminal", _TERMINAL.base),
        judge=judge,
        canonical=canonical,
        auth=accepting,
        polls=_TERMINAL.polls,
        after=after,
        history=_history(_TERMINAL),
        symbols=POOLS,
    ),
    Feed(
        name="coingecko_onchain",
        plans=(DEMO, PRO),
        parse=_parser("coingecko_onchain", _ONCHAIN.base),
        judge=judge,
        canonical=canonical,
        venue="gecko_terminal",
        key_env=KEY_ENV,
        key_check=Request(PING, 1),
        auth=auth,
        polls=_ONCHAIN.polls,
        after=after,
        history=_history(_ONCHAIN),
        symbols=POOLS,
        by_default=False,
    ),
)
