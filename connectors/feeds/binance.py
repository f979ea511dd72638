"""Binance by REST: past bars and trades of both markets, and of the futures what no stream tells.

Sources: github.com/binance/binance-spot-api-docs, rest-api.md, 2026-07-21; of the futures developers.binance.com and
github.com/binance/binance-connector-python, clients/derivatives_trading_usds_futures, 2026-08-21.

* Bars are asked for by the time they open, both ends inclusive, oldest first.
* Trades are those that the streams call aggTrade. A span of an hour or more is refused (-1127), so the next page begins
  at the time of the last trade of this one: trades of that millisecond come twice, with the same id. The futures tell
  of the last days only.
* Open interest is asked for each minute, funding rates each hour: a row tells the rate settled at its time.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from connectors.feed import (
    MINUTE_S,
    Answer,
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
    no_polls,
    retry_after_s,
)
from connectors.paths import asking, query_of, with_query
from connectors.venue import MALFORMED, Bar, ParseError, Request, Ticker, Trade
from connectors.venues import binance_futures, binance_spot
from connectors.venues.binance_spot import Amount, Id, Positive, Symbol, ns_of

INTERVALS = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14_400: "4h", 21_600: "6h",
    28_800: "8h", 43_200: "12h", 86_400: "1d",
}  # fmt: skip
NS_A_MS, NS_A_S = 1_000_000, 1_000_000_000
TRADES_PER_PAGE = 1000
# -1127, MORE_THAN_XX_HOURS: "%s hours between startTime and endTime is allowed" - 1 on both markets.
TRADES_SPAN_S = 3600
# Largest limit of klines, its weight: spot's is the same for every limit.
SPOT_WEIGHTS = ((1000, 2),)
# Of the futures up to 1000 cost 5, up to 1500 cost 10: pages of 499 are the cheapest.
FUTURES_WEIGHTS = ((99, 1), (499, 2))
SPOT_TRADES_WEIGHT, FUTURES_TRADES_WEIGHT = 4, 20
# "fundingRate and fundingInfo share 500/5min/IP rate limit".
OPEN_INTEREST_EVERY_S, FUNDING_EVERY_S, FUNDING_ROWS = MINUTE_S, 3600.0, 100
# The live connector of this address takes what is left of what the venue allows (`rest.SHARE`).
LEFT = 0.3
WAF_S, BAN_S = 300.0, 300.0

Signed = Annotated[str, Meta(pattern=r"\A-?[0-9]+(\.[0-9]+)?\Z", max_length=28)]


# ---- answers as they stand on the wire


class _Kline(msgspec.Struct, array_like=True):
    open_ms: Id
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: Amount
    close_ms: Id
    quote_volume: Amount
    trades: Id
    buy_volume: Amount


class _AggregateTrade(msgspec.Struct):
    a: Id
    p: Positive
    q: Positive
    T: Id
    m: bool


class _OpenInterest(msgspec.Struct):
    symbol: Symbol
    open_interest: Amount = msgspec.field(name="openInterest")
    time: Id


class _Funding(msgspec.Struct, rename="camel"):
    symbol: Symbol
    funding_rate: Signed
    funding_time: Id
    mark_price: str = ""


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


_KLINES = msgspec.json.Decoder(list[_Kline])
_TRADES = msgspec.json.Decoder(list[_AggregateTrade])
_OPEN_INTEREST = msgspec.json.Decoder(_OpenInterest)
_FUNDING = msgspec.json.Decoder(list[_Funding])
_REFUSAL = msgspec.json.Decoder(_Refusal)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The bars, trades, open interest or funding rates that an answer tells."""
    symbol, name = query_of(path).get("symbol", ""), _name(path)
    if name == "klines":
        return [_bar(symbol, x, recv_ns) for x in _decoded(_KLINES, payload)]
    if name == "aggTrades":
        return [_trade(symbol, x) for x in _decoded(_TRADES, payload)]
    if name == "openInterest":
        told = _decoded(_OPEN_INTEREST, payload)
        held = Decimal(told.open_interest)
        return [Ticker(symbol=told.symbol, event_ns=ns_of(told.time), delta=True, open_interest=held)]
    if name == "fundingRate":
        return [_funding(x) for x in _decoded(_FUNDING, payload)]
    raise ParseError(f"expected klines, aggTrades, openInterest or fundingRate, found {path[:80]!r}")


def _decoded(decoder: "msgspec.json.Decoder[Any]", payload: bytes) -> Any:
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None


def _bar(symbol: str, x: _Kline, recv_ns: int) -> Bar:
    open_ns, end_ns = ns_of(x.open_ms), ns_of(x.close_ms) + NS_A_MS
    if end_ns <= open_ns:
        raise ParseError(f"expected a bar that closes after {x.open_ms}, found {x.close_ms}")
    return Bar(
        symbol=symbol, interval_s=(end_ns - open_ns) // NS_A_S, open_ns=open_ns, open=Decimal(x.open),
        high=Decimal(x.high), low=Decimal(x.low), close=Decimal(x.close), volume=Decimal(x.volume),
        quote_volume=Decimal(x.quote_volume), buy_volume=Decimal(x.buy_volume), trades=x.trades,
        closed=end_ns <= recv_ns,
    )  # fmt: skip


def _trade(symbol: str, x: _AggregateTrade) -> Trade:
    return Trade(
        symbol=symbol, event_ns=ns_of(x.T), trade_id=x.a, price=Decimal(x.p), size=Decimal(x.q),
        side="sell" if x.m else "buy", aggregated=True,
    )  # fmt: skip


def _funding(x: _Funding) -> Ticker:
    # Empty for rates of before the mark price was kept.
    mark = Decimal(x.mark_price) if x.mark_price.replace(".", "", 1).isdecimal() else None
    return Ticker(
        symbol=x.symbol, event_ns=ns_of(x.funding_time), delta=True, funding_rate=Decimal(x.funding_rate),
        mark=mark or None,
    )  # fmt: skip


def _name(path: str) -> str:
    return urlsplit(path).path.rpartition("/")[2]


# ---- pages


def after(request: Request, payload: bytes) -> Request | None:
    """The page after a full one of bars or trades."""
    query, name = query_of(request.path), _name(request.path)
    limit, end_ms = int(query.get("limit", 0)), int(query.get("endTime", 0))
    if name == "klines":
        bars: list[_Kline] = _decoded(_KLINES, payload)
        start_ms = bars[-1].close_ms + 1 if bars else 0
        full = len(bars) >= limit
    elif name == "aggTrades":
        trades: list[_AggregateTrade] = _decoded(_TRADES, payload)
        start_ms = trades[-1].T if trades else 0
        full = len(trades) >= limit
    else:
        return None
    if not full or start_ms > end_ms:
        return None
    return Request(with_query(request.path, startTime=start_ms), request.weight)


def _bars(base: str, weights: tuple[tuple[int, int], ...]) -> Callable[[str, int, int, int], Request]:
    def request(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
        count = -(-(to_ns - from_ns) // (interval_s * NS_A_S))
        limit = min(max(count, 1), weights[-1][0])
        query = {"symbol": symbol, "interval": INTERVALS[interval_s]} | _span(from_ns, to_ns)
        weight = next(cost for most, cost in weights if limit <= most)
        return Request(asking(f"{base}/klines", {**query, "limit": limit}), weight)

    return request


def _trades(base: str, weight: int) -> Callable[[str, int, int], Request]:
    def request(symbol: str, from_ns: int, to_ns: int) -> Request:
        query = {"symbol": symbol, **_span(from_ns, to_ns), "limit": TRADES_PER_PAGE}
        return Request(asking(f"{base}/aggTrades", query), weight)

    return request


def _span(from_ns: int, to_ns: int) -> dict[str, int]:
    return {"startTime": -(-from_ns // NS_A_MS), "endTime": (to_ns - 1) // NS_A_MS}


def _polls(chosen: Chosen) -> list[Poll]:
    polls = []
    for symbol in chosen.symbols or binance_futures.LIVE.symbols:
        held = Request(asking("/fapi/v1/openInterest", {"symbol": symbol}), 1)
        rates = Request(asking("/fapi/v1/fundingRate", {"symbol": symbol, "limit": FUNDING_ROWS}), 1)
        polls.append(Poll(f"open interest {symbol}", held, chosen.every_s or OPEN_INTEREST_EVERY_S))
        polls.append(Poll(f"funding {symbol}", rates, FUNDING_EVERY_S))
    return polls


# ---- errors

TOO_MUCH, UNKNOWN_SYMBOL = -1003, -1121


def judge(request: Request, answer: Answer) -> Verdict:
    """429 and 418 want silence, 403 is the firewall's, 451 is said to whole countries; -1121 is of one symbol."""
    del request
    verdict = by_status(answer)
    refusal = _refusal(answer.body)
    said = f"{refusal.code} {refusal.msg[:120]}" if refusal else verdict.reason
    if answer.status == 418:
        # "scaling in duration for repeat offenders, from 2 minutes to 3 days": rest-api.md, IP limits.
        wait_s = retry_after_s(answer.headers)
        return Verdict(Outcome.WAIT, f"the address is banned: {said}", BAN_S if wait_s is None else wait_s)
    if answer.status == 403:
        return Verdict(Outcome.WAIT, f"the venue's firewall refuses: {said}", WAF_S)
    if answer.status == 451:
        return Verdict(Outcome.STOPPED, f"the venue does not serve this country: {said}")
    if verdict.outcome in (Outcome.WAIT, Outcome.AGAIN) or refusal is None:
        return verdict
    if refusal.code == TOO_MUCH:
        return Verdict(Outcome.WAIT, said, retry_after_s(answer.headers))
    hint = ": check how the venue writes the symbol" if refusal.code == UNKNOWN_SYMBOL else ""
    return Verdict(Outcome.REFUSED, said + hint)


def _refusal(body: bytes) -> _Refusal | None:
    try:
        return _REFUSAL.decode(body)
    except MALFORMED:
        return None


def _plan(url: str, weight_per_minute: int) -> Plan:
    return Plan(
        name="keyless", url=url, limits=(Limit(int(weight_per_minute * LEFT), MINUTE_S),), keyless=True
    )


def _feed(
    market: str,
    plan: Plan,
    history: History,
    canonical: Callable[[str], str],
    polls: Callable[[Chosen], list[Poll]] = no_polls,
) -> Feed:
    return Feed(
        name=f"{market}_rest", venue=market, plans=(plan,), parse=parse, judge=judge, canonical=canonical,
        polls=polls, after=after, history=history, symbols=binance_spot.SYMBOLS,
    )  # fmt: skip


FEEDS = (
    _feed(
        "binance_spot",
        _plan(binance_spot.REST_URL, binance_spot.WEIGHT_PER_MINUTE),
        History(
            intervals_s=tuple(INTERVALS),
            bars=_bars("/api/v3", SPOT_WEIGHTS),
            trades=_trades("/api/v3", SPOT_TRADES_WEIGHT),
            trades_span_s=TRADES_SPAN_S,
        ),
        binance_spot.canonical,
    ),
    _feed(
        "binance_futures",
        _plan(binance_futures.LIVE.rest_url, binance_futures.LIVE.weight_per_minute),
        History(
            intervals_s=tuple(INTERVALS),
            bars=_bars("/fapi/v1", FUTURES_WEIGHTS),
            trades=_trades("/fapi/v1", FUTURES_TRADES_WEIGHT),
            trades_span_s=TRADES_SPAN_S,
        ),
        binance_futures.canonical,
        _polls,
    ),
)
