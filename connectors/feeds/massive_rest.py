"""Massive's REST interface (until 2025 Polygon.io): bars of crypto and forex, with a key.

Sources: github.com/massive-com/client-python, .massive/rest.json, 2026-07-09, and massive.com/docs. One feed a market,
as one answers for one venue; both are of one key. A bar of an interval without trades is not there; `results` is not
there where there is no bar at all. Bars of forex are made of quotes: their `v` counts those and is no volume.

The free plan tells whole days only, 5 requests a minute: before midnight in New York it answers 403 NOT_AUTHORIZED,
"Attempted to request today's data before end of day". Its polls ask for the last whole day.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

import msgspec

from connectors.answers import Count, decoded
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
from connectors.feeds.series import asked_of, bar, old_s, pace_s, request
from connectors.venue import MALFORMED, Bar, ParseError, Request
from connectors.venues.massive import MARKETS, canonical
from connectors.venues.twelve_data import is_amount

URL = "https://api.massive.com"
CHECK = "/v1/marketstatus/now"
LIMIT = 50_000  # base aggregates a page, the most there are
SPANS: Mapping[str, int] = MappingProxyType(
    {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
)
PREFIXES: Mapping[str, str] = MappingProxyType({"crypto": "X:", "forex": "C:"})
DAY_NS = 86_400 * 10**9
RECENT_S = 600
NIGHT_NS = 6 * 3600 * 10**9  # after midnight UTC it is midnight in New York too
FREE_EVERY_S = 6 * 3600.0

_PATH = re.compile(r"/v2/aggs/ticker/([XC]:[A-Z0-9.]{4,32})/range/(\d{1,5})/([a-z]+)/[^/?]+/[^/?]+(?:\?.*)?")


class _Result(msgspec.Struct):
    o: Decimal
    h: Decimal
    low: Decimal = msgspec.field(name="l")
    c: Decimal
    t: int
    v: Decimal | None = None
    vw: Decimal | None = None
    n: Count | None = None


class _Page(msgspec.Struct):
    status: str = ""
    ticker: str = ""
    results: list[_Result] | None = None
    next_url: str | None = None


class _Said(msgspec.Struct):
    status: str = ""
    error: str = ""
    message: str = ""


_PAGE = msgspec.json.Decoder(_Page)
_SAID = msgspec.json.Decoder(_Said)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """Bars of a page; [] where there are none."""
    if path.partition("?")[0] == CHECK:
        return []
    ticker, interval_s = _series(path)
    return [_bar(said, ticker, interval_s, recv_ns) for said in decoded(_PAGE, payload).results or ()]


def _series(path: str) -> tuple[str, int]:
    found = _PATH.fullmatch(unquote(path))
    if found is None or found[3] not in SPANS or not int(found[2]):
        raise ParseError(f"expected a range of bars of {', '.join(SPANS)}s, found {path[:120]!r}")
    return found[1], int(found[2]) * SPANS[found[3]]


def _bar(said: _Result, ticker: str, interval_s: int, recv_ns: int) -> Bar:
    is_forex = ticker.startswith(PREFIXES["forex"])
    if not all(x is None or is_amount(x) for x in (said.v, said.vw)):
        raise ParseError(f"expected a volume and its mean price, found {said.v} and {said.vw}")
    volume = None if is_forex else said.v
    return bar(
        symbol_of(ticker),
        interval_s,
        said.t * 10**6,
        (said.o, said.h, said.low, said.c),
        recv_ns,
        volume,
        None if volume is None or said.vw is None else volume * said.vw,
        said.n,  # of forex: quotes
    )


def symbol_of(ticker: str) -> str:
    """BTC-USD for X:BTCUSD; the quote currency has three letters."""
    pair = ticker.partition(":")[2]
    return f"{pair[:-3]}-{pair[-3:]}"


def ticker_of(symbol: str, cluster: str) -> str:
    """X:BTCUSD for BTC-USD of crypto, and for itself."""
    pair = symbol.upper().removeprefix(PREFIXES[cluster]).replace("-", "").replace("/", "")
    return PREFIXES[cluster] + pair


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the HTTP status, and the status in the body."""
    found = by_status(answer)
    if found.outcome is not Outcome.GOOD:
        return found
    try:
        said = _SAID.decode(answer.body)
    except MALFORMED:
        return Verdict(Outcome.AGAIN, "expected JSON, found none")
    if said.status == "NOT_AUTHORIZED":
        return Verdict(Outcome.REFUSED, f"not in the plan: {said.message[:200]}")
    if said.status == "ERROR":
        return Verdict(Outcome.REFUSED, f"expected status OK, found ERROR: {said.error[:200]}")
    return found


def after(asked: Request, payload: bytes) -> Request | None:
    """The page that `next_url` names: its path and query, at the plan's own host, without a key.

    Raises:
        ParseError: it names another series.
    """
    if not asked.path.startswith("/v2/aggs/"):
        return None
    url = decoded(_PAGE, payload).next_url
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ParseError(f"expected an address as next_url, found {url[:120]!r}") from None
    query = {x: y for x, y in asked_of("?" + parts.query)[1].items() if x.lower() != "apikey"}
    following = request(unquote(parts.path), query)
    if _series(following.path) != _series(asked.path):
        raise ParseError(f"expected a next page of {asked.path[:120]!r}, found {following.path[:120]!r}")
    return None if following.path == asked.path else following


def auth(plan: Plan, key: str) -> Auth:
    """The key in a header."""
    del plan
    return Auth(headers=MappingProxyType({"Authorization": f"Bearer {key}"}))


FREE = Plan(name="free", url=URL, limits=(Limit(5, MINUTE_S),))
# "We recommend staying under 100 requests a second"; both feeds share them.
PAID = Plan(name="paid", url=URL, limits=(Limit(2400, MINUTE_S),), spacing_s=0.025)


def _range(ticker: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    """Both ends are included, in ms."""
    span = next(x for x in reversed([*SPANS]) if interval_s % SPANS[x] == 0)
    times = f"{-(-from_ns // 10**6)}/{max((to_ns - 1) // 10**6, 0)}"
    path = f"/v2/aggs/ticker/{ticker}/range/{interval_s // SPANS[span]}/{span}/{times}"
    return request(path, {"adjusted": "true", "sort": "asc", "limit": LIMIT})


def _whole_day(ticker: str) -> Callable[[int], Request]:
    """The minutes of the last day that is over everywhere."""

    def at(now_ns: int) -> Request:
        end_ns = max((now_ns - NIGHT_NS) // DAY_NS, 1) * DAY_NS
        return _range(ticker, 60, end_ns - DAY_NS, end_ns)

    return at


def _recent(ticker: str, every_s: float) -> Callable[[int], Request]:
    span_ns = int(max(RECENT_S, 2 * every_s)) * 10**9
    return lambda now_ns: _range(ticker, 60, max(now_ns - span_ns, 0), now_ns)


def _polls(cluster: str, symbols: tuple[str, ...]) -> Callable[[Chosen], list[Poll]]:
    def polls(chosen: Chosen) -> list[Poll]:
        wanted, free = chosen.symbols or symbols, chosen.plan.name == FREE.name
        every_s = pace_s(chosen.plan, len(wanted), chosen.every_s, FREE_EVERY_S if free else MINUTE_S)
        tickers = {symbol: ticker_of(symbol, cluster) for symbol in wanted}
        found = {x: _whole_day(y) if free else _recent(y, every_s) for x, y in tickers.items()}
        # Of a whole day the same is told all day long.
        longest_s = old_s(cluster == "forex", every_s) + (DAY_NS / 1e9 if free else 0.0)
        return [Poll(symbol, at(0), every_s, old_s=longest_s, at=at) for symbol, at in found.items()]

    return polls


def _feed(cluster: str, symbols: tuple[str, ...]) -> Feed:
    return Feed(
        name=f"massive_{cluster}_rest",
        venue=f"massive_{cluster}",
        plans=(FREE, PAID),
        parse=parse,
        judge=judge,
        canonical=canonical,
        key_env="ISOTHERM_MASSIVE_KEY",
        key_check=request(CHECK),
        auth=auth,
        polls=_polls(cluster, symbols),
        after=after,
        history=History(
            intervals_s=(60, 300, 900, 3600, 14_400, 86_400),
            bars=lambda symbol, interval_s, from_ns, to_ns: _range(
                ticker_of(symbol, cluster), interval_s, from_ns, to_ns
            ),
        ),
        symbols=symbols,
    )


FEEDS = tuple(_feed(x.name.removeprefix("massive_"), x.live.symbols) for x in MARKETS)
