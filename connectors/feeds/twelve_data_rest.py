"""Twelve Data's REST interface: bars of forex and crypto, with a key.

Sources: twelvedata.com/docs, Time series and Errors, read 2026-11. Values are strings, newest first, their times those
of the exchange unless `timezone` is given; forex has no volume. A failure bears its code in the body, whatever the
HTTP status. A request costs one credit a symbol; "Basic: 8 credits a minute, 800 a day".
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import msgspec

from connectors.answers import decoded
from connectors.feed import (
    DAY_S,
    GOOD,
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
from connectors.feeds.series import (
    CURRENCIES,
    asked_of,
    bar,
    local_ns,
    old_s,
    pace_s,
    request,
    utc_text,
    zone,
)
from connectors.venue import MALFORMED, Bar, ParseError, Request
from connectors.venues.twelve_data import LIVE, canonical

URL = "https://api.twelvedata.com"
SERIES, USAGE = "/time_series", "/api_usage"
POINTS_MAX = 5000  # "outputsize: 1 to 5000"
INTERVALS: Mapping[str, int] = MappingProxyType(
    {
        **{f"{n}min": n * 60 for n in (1, 5, 15, 30, 45)},
        **{f"{n}h": n * 3600 for n in (1, 2, 4, 8)},
        "1day": 86_400,
    }
)
NAMES: Mapping[int, str] = MappingProxyType({seconds: name for name, seconds in INTERVALS.items()})
DAY_LIMIT_WAIT_S = 3600.0  # it does not say when; its day ends at midnight UTC
NO_DATA = "No data is available"


class _Meta(msgspec.Struct):
    symbol: str
    interval: str
    exchange_timezone: str = ""
    type: str = ""


class _Value(msgspec.Struct):
    datetime: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


class _Series(msgspec.Struct):
    meta: _Meta
    values: list[_Value]


class _Said(msgspec.Struct):
    status: str = ""
    code: int | None = None
    message: str = ""


_SERIES = msgspec.json.Decoder(_Series)
_SAID = msgspec.json.Decoder(_Said)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """Bars of a series, newest first; [] where the market was closed all the time."""
    bare, query = asked_of(path)
    if bare == USAGE or _is_no_data(decoded(_SAID, payload)):
        return []
    if bare != SERIES:
        raise ParseError(f"expected an answer of {SERIES}, found one of {bare[:64]!r}")
    series = decoded(_SERIES, payload)
    return [*_bars(series, query, recv_ns)]


def _bars(series: _Series, query: Mapping[str, str], recv_ns: int) -> list[Bar]:
    meta, where = series.meta, zone(query.get("timezone") or series.meta.exchange_timezone)
    interval_s = INTERVALS.get(meta.interval)
    if interval_s is None:
        raise ParseError(f"expected an interval of {', '.join(INTERVALS)}, found {meta.interval[:64]!r}")
    bars = []
    for said in series.values:
        open_ns = local_ns(said.datetime, where)
        if open_ns is not None:
            prices = (said.open, said.high, said.low, said.close)
            # Forex has none, should any be told.
            volume = None if meta.type == "Physical Currency" or is_forex(meta.symbol) else said.volume
            bars.append(bar(meta.symbol, interval_s, open_ns, prices, recv_ns, volume))
    return bars


def is_forex(symbol: str) -> bool:
    """Whether a pair is one of currencies and metals."""
    return CURRENCIES.issuperset(symbol.split("/"))


def _is_no_data(said: _Said) -> bool:
    # {"code":400,"message":"No data is available on the specified dates. Try setting different start/end dates."}
    return said.status == "error" and said.message.startswith(NO_DATA)


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the code in the body, where there is one."""
    try:
        said = _SAID.decode(answer.body)
    except MALFORMED:
        found = by_status(answer)
        return Verdict(Outcome.AGAIN, "expected JSON, found none") if found.outcome is Outcome.GOOD else found
    if said.status != "error":
        return by_status(answer)
    if _is_no_data(said):
        return GOOD
    verdict = by_status(answer._replace(status=said.code or 400))
    if verdict.outcome is Outcome.WAIT and "for the day" in said.message:
        return verdict._replace(wait_s=DAY_LIMIT_WAIT_S)
    return verdict


def _plan(name: str, *limits: Limit) -> Plan:
    return Plan(name=name, url=URL, limits=limits)


def auth(plan: Plan, key: str) -> Auth:
    """The key in a header: "Authorization: apikey KEY"."""
    del plan
    return Auth(headers=MappingProxyType({"Authorization": f"apikey {key}"}))


def polls(chosen: Chosen) -> list[Poll]:
    """The last minutes of each symbol, as many as are new at the pace that the plan bears."""
    symbols = chosen.symbols or FEED.symbols
    every_s = pace_s(chosen.plan, len(symbols), chosen.every_s)
    points = min(int(every_s // MINUTE_S) + 2, POINTS_MAX)
    found = []
    for symbol in symbols:
        rests = "/" not in symbol or is_forex(symbol)
        asked = _series(symbol, 60, outputsize=points)
        found.append(Poll(symbol, asked, every_s, old_s=old_s(rests, every_s)))
    return found


def _series(symbol: str, interval_s: int, **more: str | int) -> Request:
    asked = {"symbol": symbol, "interval": NAMES[interval_s], "timezone": "UTC", **more}
    return request(SERIES, asked)


def bars(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    """The newest POINTS_MAX bars of a span; both its dates are included."""
    if interval_s not in NAMES:
        raise ParseError(f"expected an interval of {', '.join(map(str, NAMES))} s, found {interval_s}")
    span = {"start_date": utc_text(from_ns), "end_date": utc_text(to_ns - 1)}
    return _series(symbol, interval_s, outputsize=POINTS_MAX, **span)


def after(asked: Request, payload: bytes) -> Request | None:
    """The bars before those of a full page; None at the end, and where a page brings nothing new."""
    bare, query = asked_of(asked.path)
    if bare != SERIES or "start_date" not in query or _is_no_data(decoded(_SAID, payload)):
        return None
    values = decoded(_SERIES, payload).values
    if len(values) < int(query.get("outputsize", POINTS_MAX)):
        return None
    times = [local_ns(value.datetime, zone("UTC")) or 0 for value in values]
    end = utc_text(min(times) - 10**9)
    if not query["start_date"] <= end < query.get("end_date", ""):
        return None
    return replace(asked, path=request(bare, {**query, "end_date": end}).path)


FEED = Feed(
    name="twelve_data_rest",
    venue="twelve_data",
    # The lowest of the paid plans; those above allow more.
    plans=(_plan("basic", Limit(8, MINUTE_S), Limit(800, DAY_S)), _plan("grow", Limit(55, MINUTE_S))),
    parse=parse,
    judge=judge,
    canonical=canonical,
    key_env="ISOTHERM_TWELVE_DATA_KEY",
    key_check=request(USAGE),
    auth=auth,
    polls=polls,
    after=after,
    history=History(intervals_s=tuple(NAMES), bars=bars),
    symbols=LIVE.symbols,
)
FEEDS = (FEED,)
