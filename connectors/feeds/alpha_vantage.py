"""Alpha Vantage: exchange rates, bars of forex, ranked US equities and news, with a key. 25 requests a day are free.

Sources: alphavantage.co/documentation, read 2026-11. Every request is `/query?function=...`; the key goes in the
query, as it is taken nowhere else. All numbers are strings. A failure comes with status 200 and an object of one key,
`Error Message`, `Information` or `Note`, with words for readers: which of them mean what is gathered in SAID, from
answers that users of the API published until 2026-09. Those words may hold the key ("We have detected your API key
as ...").

Times of series are of the zone that `Meta Data` names; the time of news names none and is taken as UTC.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from connectors.answers import decoded
from connectors.facts import News, Ranking
from connectors.feed import (
    DAY_S,
    GOOD,
    MINUTE_S,
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
from connectors.feeds.series import asked_of, bar, local_ns, old_s, pace_s, request, zone
from connectors.venue import MALFORMED, Bar, ParseError, Price, Request
from connectors.venues.twelve_data import canonical, is_amount

NAME = "alpha_vantage"
URL = "https://www.alphavantage.co"
PATH = "/query"
RATE, DAILY, INTRADAY = "CURRENCY_EXCHANGE_RATE", "FX_DAILY", "FX_INTRADAY"
MOVERS, NEWS = "TOP_GAINERS_LOSERS", "NEWS_SENTIMENT"
DAILY_WAIT_S = 6 * 3600.0  # when its day ends is not documented

# The first that is in the words, in lower case, tells what they mean.
SAID: tuple[tuple[str, Verdict], ...] = (
    ("no articles found", GOOD),
    ("apikey is invalid or missing", Verdict(Outcome.STOPPED, "the key is refused: check it")),
    ("demo** api key", Verdict(Outcome.STOPPED, "the key is the demo key: claim one of your own")),
    ("spreading out", Verdict(Outcome.WAIT, "more than a request a second", MINUTE_S)),
    ("burst", Verdict(Outcome.WAIT, "more than a request a second", MINUTE_S)),
    ("this is a premium endpoint", Verdict(Outcome.REFUSED, "the function is of premium plans only")),
    # "Our standard API call frequency is 5 calls per minute and 500 calls per day."
    ("call frequency", Verdict(Outcome.WAIT, "the requests of the minute are used up", MINUTE_S)),
    ("per day", Verdict(Outcome.WAIT, "the requests of the day are used up", DAILY_WAIT_S)),
    ("rate limit", Verdict(Outcome.WAIT, "the requests of the day are used up", DAILY_WAIT_S)),
    ("premium", Verdict(Outcome.REFUSED, "not in the plan")),
    ("invalid api call", Verdict(Outcome.REFUSED, "expected a known pair, found one that it does not know")),
)
_KEY = re.compile(r"(?i)(api ?key as )\S+")


class _Failure(msgspec.Struct):
    error: str | None = msgspec.field(name="Error Message", default=None)
    information: str | None = msgspec.field(name="Information", default=None)
    note: str | None = msgspec.field(name="Note", default=None)


class _Rate(msgspec.Struct):
    base: str = msgspec.field(name="1. From_Currency Code")
    quote: str = msgspec.field(name="3. To_Currency Code")
    price: Decimal = msgspec.field(name="5. Exchange Rate")
    time: str = msgspec.field(name="6. Last Refreshed")
    zone: str = msgspec.field(name="7. Time Zone")
    bid: str | None = msgspec.field(name="8. Bid Price", default=None)
    ask: str | None = msgspec.field(name="9. Ask Price", default=None)


class _RateAnswer(msgspec.Struct):
    rate: _Rate = msgspec.field(name="Realtime Currency Exchange Rate")


class _Value(msgspec.Struct):
    open: Decimal = msgspec.field(name="1. open")
    high: Decimal = msgspec.field(name="2. high")
    low: Decimal = msgspec.field(name="3. low")
    close: Decimal = msgspec.field(name="4. close")


class _Mover(msgspec.Struct):
    ticker: str
    price: str | None = None
    change_percentage: str | None = None
    volume: str | None = None


class _Movers(msgspec.Struct):
    last_updated: str
    top_gainers: list[_Mover]
    top_losers: list[_Mover]
    most_actively_traded: list[_Mover]


class _Topic(msgspec.Struct):
    topic: str


class _Mood(msgspec.Struct):
    ticker: str
    relevance_score: float
    ticker_sentiment_score: float


class _Article(msgspec.Struct):
    title: str
    url: str
    time_published: str
    summary: str | None = None
    source: str | None = None
    topics: list[_Topic] | None = None
    overall_sentiment_score: float | None = None
    overall_sentiment_label: str | None = None
    ticker_sentiment: list[_Mood] | None = None


class _NewsAnswer(msgspec.Struct):
    feed: list[_Article] = []


_FAILURE = msgspec.json.Decoder(_Failure)
_RATE = msgspec.json.Decoder(_RateAnswer)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_META = msgspec.json.Decoder(dict[str, str | int])
_VALUES = msgspec.json.Decoder(dict[str, _Value])
_MOVERS = msgspec.json.Decoder(_Movers)
# Scores are written as strings in one place and as numbers in another.
_NEWS = msgspec.json.Decoder(_NewsAnswer, strict=False)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """A rate's Price, a series' Bars, the movers' Rankings, or News; [] where there are no news."""
    function = asked_of(path)[1].get("function", "")
    failure = decoded(_FAILURE, payload)
    if any(x is not None for x in (failure.error, failure.information, failure.note)):
        if _meaning(failure) is GOOD:
            return []
        raise ParseError(f"expected an answer of {function[:64]}, found a refusal")
    if function == RATE:
        return [_price(decoded(_RATE, payload).rate)]
    if function in (DAILY, INTRADAY):
        return [*_bars(payload, recv_ns)]
    if function == MOVERS:
        return [*_rankings(decoded(_MOVERS, payload))]
    if function == NEWS:
        return [_news(article) for article in decoded(_NEWS, payload).feed]
    raise ParseError(f"expected a function that is asked for, found {function[:64]!r}")


def _price(said: _Rate) -> Price:
    event_ns = local_ns(said.time, zone(said.zone))
    prices = (said.price, _amount(said.bid), _amount(said.ask))
    if event_ns is None or not is_amount(said.price) or not said.price:
        raise ParseError(
            f"expected a rate above zero and its time, found {said.price} and {said.time[:64]!r}"
        )
    symbol = f"{said.base}/{said.quote}"
    return Price(symbol=symbol, event_ns=event_ns, price=said.price, bid=prices[1], ask=prices[2])


def _amount(text: str | None) -> Decimal | None:
    """An amount above zero; None of "-" and the like."""
    try:
        found = msgspec.convert(text, Decimal | None)
    except MALFORMED:
        return None
    return found if found is not None and is_amount(found) and found else None


def _bars(payload: bytes, recv_ns: int) -> Iterator[Bar]:
    found = decoded(_OBJECT, payload)
    series = next((name for name in found if name.startswith("Time Series")), None)
    if series is None or "Meta Data" not in found:
        raise ParseError(f"expected Meta Data and a Time Series, found {sorted(found)[:5]}")
    # "2. From Symbol"; the number before a name differs from series to series.
    told = decoded(_META, bytes(found["Meta Data"]))
    meta = {name.partition(". ")[2]: str(value) for name, value in told.items()}
    missing = {"From Symbol", "To Symbol", "Time Zone"} - meta.keys()
    if missing:
        raise ParseError(f"expected {', '.join(sorted(missing))} in Meta Data, found {sorted(meta)[:9]}")
    symbol, where = f"{meta['From Symbol']}/{meta['To Symbol']}", zone(meta["Time Zone"])
    interval_s = _interval_s(series)
    for text, said in decoded(_VALUES, bytes(found[series])).items():
        open_ns = local_ns(text, where)
        if open_ns is not None:  # else it was twice, when clocks were put back: which of both is not told
            yield bar(symbol, interval_s, open_ns, (said.open, said.high, said.low, said.close), recv_ns)


def _interval_s(series: str) -> int:
    found = re.fullmatch(r"Time Series FX \((?:(Daily)|(\d{1,2})min)\)", series)
    if found is None or found[2] == "0":
        raise ParseError(f"expected Time Series FX (Daily) or (5min), found {series[:64]!r}")
    return 86_400 if found[1] else int(found[2]) * 60


def _rankings(said: _Movers) -> Iterator[Ranking]:
    # "2026-09-21 16:15:59 US/Eastern"
    text, _, where = said.last_updated.rpartition(" ")
    time_ns = local_ns(text, zone(where))
    if time_ns is None:
        raise ParseError(f"expected one time, found {said.last_updated[:64]!r}, which was twice")
    lists = {"gainers": said.top_gainers, "losers": said.top_losers, "most_active": said.most_actively_traded}
    for ranking, movers in lists.items():
        for place, mover in enumerate(movers, 1):
            yield Ranking(
                source=NAME, ranking=ranking, place=place, item=mover.ticker, symbol=mover.ticker, name="",
                time_ns=time_ns, price_usd=_number(mover.price), change_pct=_number(mover.change_percentage),
                volume=_number(mover.volume),
            )  # fmt: skip


def _number(text: str | None) -> float | None:
    """12.3 of "12.3%"; None of "" and "-"."""
    try:
        found = float(text.removesuffix("%")) if text else None
    except ValueError:
        return None
    return found if found is not None and abs(found) < float("inf") else None


def _news(said: _Article) -> News:
    time_ns = local_ns(said.time_published, zone("UTC"))
    moods = said.ticker_sentiment or []
    assert time_ns is not None  # no hour of UTC is twice
    scores = [y for x in moods for y in (x.ticker_sentiment_score, x.relevance_score)]
    if not all(map(isfinite, [*scores, said.overall_sentiment_score or 0.0])):
        raise ParseError(f"expected scores, found {scores[:10]} and {said.overall_sentiment_score}")
    return News(
        source=NAME, url=said.url, time_ns=time_ns, title=said.title, publisher=said.source or "",
        summary=said.summary or "", topics=tuple(x.topic for x in said.topics or ()),
        sentiment=said.overall_sentiment_score, label=said.overall_sentiment_label or "",
        symbols=tuple(x.ticker for x in moods),
        symbol_sentiments=tuple(x.ticker_sentiment_score for x in moods),
        symbol_relevances=tuple(x.relevance_score for x in moods),
    )  # fmt: skip


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the words, where an answer has nothing but words."""
    found = by_status(answer)
    if found.outcome is not Outcome.GOOD:
        return found
    try:
        failure = _FAILURE.decode(answer.body)
    except MALFORMED:
        return Verdict(Outcome.AGAIN, "expected JSON, found none")
    return _meaning(failure)


def _meaning(failure: _Failure) -> Verdict:
    words = failure.error or failure.information or failure.note or ""
    if not words:
        return GOOD
    for part, verdict in SAID:
        if part in words.lower():
            return verdict
    without_key = _KEY.sub(r"\1...", words)
    return Verdict(Outcome.REFUSED, f"expected data, found: {without_key[:200]}")


FREE = Plan(name="free", url=URL, limits=(Limit(25, DAY_S), Limit(5, MINUTE_S)), spacing_s=1.5)
PREMIUM = Plan(name="premium", url=URL, limits=(Limit(75, MINUTE_S),))  # the lowest of them


def auth(plan: Plan, key: str) -> Auth:
    """The key in the query."""
    del plan
    return Auth(query=MappingProxyType({"apikey": key}))


def polls(chosen: Chosen) -> list[Poll]:
    """Free: rates, days, movers and news share the requests of a day. Premium: minutes in place of days."""
    symbols = chosen.symbols or FEED.symbols
    if chosen.plan.name == PREMIUM.name:
        rates_s = pace_s(chosen.plan, 2 * len(symbols) + 2, None)
        return _polls(
            symbols, INTRADAY, Pace(rates_s, max(rates_s, 600.0), 900.0, 900.0), chosen.every_s or 0.0
        )
    # 18 of 25 requests a day: rates 9, days 4, movers 2, news 3.
    rates_s, days_s = len(symbols) * DAY_S / 9, max(len(symbols) / 4, 1.0) * DAY_S
    return _polls(symbols, DAILY, Pace(rates_s, days_s, DAY_S / 2, DAY_S / 3), chosen.every_s or 0.0)


class Pace(NamedTuple):
    """Seconds between two requests for the same."""

    rates: float
    series: float
    movers: float
    news: float


def _polls(symbols: Sequence[str], series: str, pace: Pace, least_s: float) -> list[Poll]:
    asked = {}
    for symbol in symbols:
        base, quote = _pair(symbol)
        rate = {"function": RATE, "from_currency": base, "to_currency": quote}
        asked[symbol] = request(PATH, rate), pace.rates
        asked[f"{symbol} bars"] = _series(series, base, quote), pace.series
    asked["movers"] = request(PATH, {"function": MOVERS}), pace.movers
    asked["news"] = request(PATH, {"function": NEWS, "sort": "LATEST", "limit": 50}), pace.news
    paced = [(name, found, max(every_s, least_s)) for name, (found, every_s) in asked.items()]
    return [Poll(name, found, every_s, old_s=old_s(True, every_s)) for name, found, every_s in paced]


def _series(function: str, base: str, quote: str) -> Request:
    asked = {"function": function, "from_symbol": base, "to_symbol": quote, "outputsize": "compact"}
    return request(PATH, {**asked, "interval": "1min"} if function == INTRADAY else asked)


def _pair(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.upper().replace("-", "/").partition("/")
    if not base or not quote:
        raise ParseError(f"expected pairs like EUR/USD as symbols of {NAME}, found {symbol[:64]!r}")
    return base, quote


FEED = Feed(
    name=NAME,
    plans=(FREE, PREMIUM),
    parse=parse,
    judge=judge,
    canonical=canonical,
    key_env="ISOTHERM_ALPHA_VANTAGE_KEY",
    key_check=request(PATH, {"function": RATE, "from_currency": "EUR", "to_currency": "USD"}),
    auth=auth,
    polls=polls,
    symbols=("EUR/USD", "GBP/USD", "USD/JPY"),
)
FEEDS = (FEED,)
