"""Finnhub's REST interface: candles of forex and crypto, with a key.

Sources: finnhub.io/docs/api, Forex candles, Crypto candles, Limits, and github.com/Finnhub-Stock-API/finnhub-python,
2025-09-26. Candles are reported to be refused to free keys (403, "You don't have access to this resource."): such a
poll ends and the others go on. "60 API calls/minute" of a free key, and "30 API calls/second" of any.

How many candles an answer holds at most is not documented: where it begins late, those before it are asked for.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from connectors.answers import decoded
from connectors.feed import (
    MINUTE_S,
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
from connectors.feeds.series import NS_MAX, asked_of, bar, old_s, pace_s, request
from connectors.venue import MALFORMED, ParseError, Request
from connectors.venues.finnhub import LIVE, canonical

URL = "https://finnhub.io"
BASE = "/api/v1"
FOREX, CRYPTO, CHECK = f"{BASE}/forex/candle", f"{BASE}/crypto/candle", f"{BASE}/forex/exchange"
# "Supported resolutions include 1, 5, 15, 30, 60, D, W, M." A month has no fixed length.
RESOLUTIONS: Mapping[str, int] = MappingProxyType(
    {"1": 60, "5": 300, "15": 900, "30": 1800, "60": 3600, "D": 86_400, "W": 604_800}
)
NAMES: Mapping[int, str] = MappingProxyType({seconds: name for name, seconds in RESOLUTIONS.items()})
BROKERS = frozenset(
    {"OANDA", "FXCM", "FOREX.COM", "FXPRO", "FXPIG", "ICM", "ICMTRADER", "IC MARKETS", "PEPPERSTONE"}
)
RECENT_S = 600
SECONDS_MAX = NS_MAX // 10**9


class _Candles(msgspec.Struct):
    s: str
    t: list[int] = []
    o: list[Decimal] = []
    h: list[Decimal] = []
    low: list[Decimal] = msgspec.field(name="l", default_factory=list)
    c: list[Decimal] = []
    v: list[Decimal | None] | None = None


class _Said(msgspec.Struct):
    error: str = ""


_CANDLES = msgspec.json.Decoder(_Candles)
_SAID = msgspec.json.Decoder(_Said)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """Bars of an answer; [] of `no_data`."""
    bare, query = asked_of(path)
    if bare == CHECK:
        return []
    symbol, interval_s = query.get("symbol", ""), RESOLUTIONS.get(query.get("resolution", ""))
    if bare not in (FOREX, CRYPTO) or not symbol or interval_s is None:
        raise ParseError(f"expected candles of a symbol and a resolution, found {path[:120]!r}")
    said = _candles(payload)
    volumes = said.v if said.v and bare == CRYPTO else [None] * len(said.t)
    columns = (said.t, said.o, said.h, said.low, said.c, volumes)
    if len({len(column) for column in columns}) != 1:
        raise ParseError(f"expected columns of one length, found {[len(column) for column in columns]}")
    return [
        bar(symbol, interval_s, t * 10**9, (o, h, low, c), recv_ns, v)
        for t, o, h, low, c, v in zip(*columns, strict=True)
    ]


def _candles(payload: bytes) -> _Candles:
    said = decoded(_CANDLES, payload)
    if said.s not in ("ok", "no_data"):
        raise ParseError(f"expected s ok or no_data, found {said.s[:64]!r}")
    return said if said.s == "ok" else _Candles(s=said.s)


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the HTTP status, and `error` in the body."""
    found = by_status(answer)
    if found.outcome is not Outcome.GOOD or asked.path.startswith(CHECK):
        return found
    try:
        said = _SAID.decode(answer.body)
    except MALFORMED:
        return Verdict(Outcome.AGAIN, "expected JSON, found none")
    return Verdict(Outcome.REFUSED, f"expected candles, found {said.error[:200]}") if said.error else found


def after(asked: Request, payload: bytes) -> Request | None:
    """What lies before the first candle, if it begins later than asked."""
    bare, query = asked_of(asked.path)
    if bare not in (FOREX, CRYPTO):
        return None
    times = _candles(payload).t
    try:
        from_s, to_s, interval_s = int(query["from"]), int(query["to"]), RESOLUTIONS[query["resolution"]]
    except (LookupError, ValueError):
        raise ParseError(f"expected a span of candles, found {asked.path[:120]!r}") from None
    if not times or not from_s + interval_s <= min(times) <= to_s:
        return None
    return request(bare, {**query, "to": min(times) - 1})


def auth(plan: Plan, key: str) -> Auth:
    """The key in a header."""
    del plan
    return Auth(headers=MappingProxyType({"X-Finnhub-Token": key}))


def bars(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    """Candles that open within a span, in seconds, both ends included."""
    if interval_s not in NAMES:
        raise ParseError(f"expected an interval of {', '.join(map(str, NAMES))} s, found {interval_s}")
    path = FOREX if _is_forex(symbol) else CRYPTO
    span = {"from": -(-from_ns // 10**9), "to": max((to_ns - 1) // 10**9, 0)}
    return request(path, {"symbol": symbol, "resolution": NAMES[interval_s], **span})


def _is_forex(symbol: str) -> bool:
    return symbol.upper().partition(":")[0] in BROKERS


def _recent(symbol: str, every_s: float) -> Callable[[int], Request]:
    span_ns = int(max(RECENT_S, 2 * every_s)) * 10**9
    return lambda now_ns: bars(symbol, 60, max(now_ns - span_ns, 0), now_ns)


def polls(chosen: Chosen) -> list[Poll]:
    """The last minutes of each symbol."""
    symbols = chosen.symbols or FEED.symbols
    every_s = pace_s(chosen.plan, len(symbols), chosen.every_s)
    found = ((symbol, _recent(symbol, every_s)) for symbol in symbols)
    return [Poll(x, at(0), every_s, old_s=old_s(_is_forex(x), every_s), at=at) for x, at in found]


SPACING_S = 0.05  # "a limit of 30 API calls/ second" on top of the plan's
FREE = Plan(name="free", url=URL, limits=(Limit(60, MINUTE_S),), spacing_s=SPACING_S)
PAID = Plan(name="paid", url=URL, limits=(Limit(300, MINUTE_S),), spacing_s=SPACING_S)

FEED = Feed(
    name="finnhub_rest",
    venue="finnhub",
    plans=(FREE, PAID),
    parse=parse,
    judge=judge,
    canonical=canonical,
    key_env="ISOTHERM_FINNHUB_KEY",
    key_check=request(CHECK),
    auth=auth,
    polls=polls,
    after=after,
    history=History(intervals_s=tuple(NAMES), bars=bars),
    symbols=LIVE.symbols,
)
FEEDS = (FEED,)
