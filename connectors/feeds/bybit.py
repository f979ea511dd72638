"""Bybit v5 by REST: past bars of the spot and of the linear market, and their last trades.

Sources: bybit-exchange.github.io/docs/v5 (github.com/bybit-exchange/docs at 072c197, 2026-07-24): market/kline,
market/recent-trade, error, rate-limit. Funding and open interest of linear come with the stream `tickers`.

* Bars come newest first, at most 1000. Where a span holds more, it is not said which end of it is told: what a full
  page leaves open decides the next one.
* Trades are the last 60 (spot) or 1000 (linear), whatever span is wanted: older ones are in the archive only.
* A refusal comes with status 200: `retCode` tells it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from connectors.feed import MINUTE_S, Answer, Feed, History, Limit, Outcome, Plan, Row, Verdict, by_status
from connectors.paths import asking, query_of, with_query
from connectors.venue import MALFORMED, Bar, ParseError, Request, Trade
from connectors.venues import bybit
from connectors.venues.bybit import Amount, Category, Positive, Symbol, Taker, TradeId, trade_id_of

INTERVALS = {
    60: "1", 180: "3", 300: "5", 900: "15", 1800: "30", 3600: "60", 7200: "120", 14_400: "240", 21_600: "360",
    43_200: "720", 86_400: "D",
}  # fmt: skip
_SECONDS = {text: interval_s for interval_s, text in INTERVALS.items()}
KLINES, TRADES = "/v5/market/kline", "/v5/market/recent-trade"
BARS_PER_PAGE = 1000
LAST_TRADES = {"spot": 60, "linear": 1000}
NS_A_MS = 1_000_000
# "600 requests within a 5-second window per IP", and what goes beyond is banned for ten minutes: as many in a minute,
# for both markets together, whose address is one.
LIMIT = Limit(600, MINUTE_S)
RESET_S, BANNED_S = 5.0, 600.0

Ms = Annotated[str, Meta(pattern=r"\A([0-9]{1,12}|[1-8][0-9]{12})\Z")]


# ---- answers as they stand on the wire


class _Row(msgspec.Struct, array_like=True):
    start_ms: Ms
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: Amount
    turnover: Amount


class _Execution(msgspec.Struct, rename="camel"):
    exec_id: TradeId
    symbol: Symbol
    price: Positive
    size: Positive
    side: Taker
    time: Ms
    is_block_trade: bool = False


class _Bars(msgspec.Struct):
    rows: list[_Row] = msgspec.field(name="list")


class _Executions(msgspec.Struct):
    rows: list[_Execution] = msgspec.field(name="list")


class _BarsAnswer(msgspec.Struct):
    result: _Bars


class _ExecutionsAnswer(msgspec.Struct):
    result: _Executions


class _Code(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""


class _Timed(msgspec.Struct):
    time: int


_TIMED = msgspec.json.Decoder(_Timed)
_BARS = msgspec.json.Decoder(_BarsAnswer)
_EXECUTIONS = msgspec.json.Decoder(_ExecutionsAnswer)
_CODE = msgspec.json.Decoder(_Code)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The bars or trades that an answer tells, oldest first; block trades, which no order of the book met, are not."""
    asked, query = urlsplit(path).path, query_of(path)
    if asked == KLINES:
        symbol, interval_s = query.get("symbol", ""), _SECONDS.get(query.get("interval", ""))
        if interval_s is None:
            raise ParseError(f"expected an interval among {', '.join(_SECONDS)}, found {path[:120]!r}")
        rows: list[_Row] = _decoded(_BARS, payload).result.rows
        return [_bar(symbol, interval_s, x, recv_ns) for x in reversed(rows)]
    if asked == TRADES:
        trades: list[_Execution] = _decoded(_EXECUTIONS, payload).result.rows
        return [_trade(x) for x in reversed(trades) if not x.is_block_trade]
    raise ParseError(f"expected {KLINES} or {TRADES}, found {path[:80]!r}")


def _decoded(decoder: "msgspec.json.Decoder[Any]", payload: bytes) -> Any:
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None


def _bar(symbol: str, interval_s: int, x: _Row, recv_ns: int) -> Bar:
    open_ns = int(x.start_ms) * NS_A_MS
    return Bar(
        symbol=symbol, interval_s=interval_s, open_ns=open_ns, open=Decimal(x.open), high=Decimal(x.high),
        low=Decimal(x.low), close=Decimal(x.close), volume=Decimal(x.volume), quote_volume=Decimal(x.turnover),
        buy_volume=None, trades=None, closed=open_ns + interval_s * 10**9 <= recv_ns,
    )  # fmt: skip


def _trade(x: _Execution) -> Trade:
    return Trade(
        symbol=x.symbol, event_ns=int(x.time) * NS_A_MS, trade_id=trade_id_of(x.exec_id), price=Decimal(x.price),
        size=Decimal(x.size), side="buy" if x.side == "Buy" else "sell",
    )  # fmt: skip


# ---- pages


def after(request: Request, payload: bytes) -> Request | None:
    """What a page leaves open of its span: what is older, else, if it is full, what is newer."""
    query = query_of(request.path)
    if urlsplit(request.path).path != KLINES:
        return None
    rows: list[_Row] = _decoded(_BARS, payload).result.rows
    if not rows:
        return None
    start_ms, end_ms = int(query["start"]), int(query["end"])
    span_ms = _SECONDS[query["interval"]] * 1000
    oldest_ms, newest_ms = int(rows[-1].start_ms), int(rows[0].start_ms)
    if oldest_ms >= start_ms + span_ms:
        return Request(with_query(request.path, end=oldest_ms - 1), request.weight)
    if len(rows) == BARS_PER_PAGE and newest_ms + span_ms <= end_ms:
        return Request(with_query(request.path, start=newest_ms + span_ms), request.weight)
    return None


def _bars(category: Category) -> Callable[[str, int, int, int], Request]:
    def request(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
        query: dict[str, str | int] = {
            "category": category, "symbol": symbol, "interval": INTERVALS[interval_s],
            "start": -(-from_ns // NS_A_MS), "end": (to_ns - 1) // NS_A_MS, "limit": BARS_PER_PAGE,
        }  # fmt: skip
        return Request(asking(KLINES, query), 1)

    return request


def _trades(category: Category) -> Callable[[str, int, int], Request]:
    def request(symbol: str, from_ns: int, to_ns: int) -> Request:
        del from_ns, to_ns
        query = {"category": category, "symbol": symbol, "limit": LAST_TRADES[category]}
        return Request(asking(TRADES, query), 1)

    return request


# ---- errors

# docs v5/error: 10000 server timeout, 10016 internal, 10006 too many visits, 10018 too many of this address.
AGAIN, LIMITED = (10000, 10016), (10006, 10018)


def judge(request: Request, answer: Answer) -> Verdict:
    """By the status, then by `retCode`."""
    del request
    if answer.status == 403:
        return _forbidden(answer.body[:120].decode("utf-8", "replace"))
    verdict = by_status(answer)
    if verdict.outcome is not Outcome.GOOD:
        return verdict
    try:
        told = _CODE.decode(answer.body)
    except MALFORMED:
        return Verdict(Outcome.AGAIN, f"expected retCode, found {answer.body[:120]!r}")
    if not told.ret_code:
        return verdict
    outcome = Outcome.WAIT if told.ret_code in LIMITED else Outcome.REFUSED
    outcome = Outcome.AGAIN if told.ret_code in AGAIN else outcome
    wait_s = _reset_s(answer) if outcome is Outcome.WAIT else None
    return Verdict(outcome, f"{told.ret_code} {told.ret_msg[:120]}", wait_s)


def _forbidden(said: str) -> Verdict:
    """It is of the address: too many requests, or a region that is not served."""
    if "frequent" in said.lower():
        return Verdict(Outcome.WAIT, f"the address is banned: {said}", BANNED_S)
    return Verdict(Outcome.STOPPED, f"status 403, as the venue says to regions it does not serve: {said}")


def _reset_s(answer: Answer) -> float:
    """Seconds between the time of the answer and that at which the limit is reset; a window of 5 s without them."""
    try:
        now_ms = _TIMED.decode(answer.body).time
        wait_ms = int(answer.headers["x-bapi-limit-reset-timestamp"]) - now_ms
        return min(max(wait_ms / 1000, 1.0), BANNED_S)
    except (KeyError, ValueError, *MALFORMED):
        return RESET_S


def _feed(category: Category, canonical: Callable[[str], str]) -> Feed:
    history = History(
        intervals_s=tuple(INTERVALS), bars=_bars(category), trades=_trades(category), last_trades_only=True
    )
    plan = Plan(name="keyless", url=bybit.REST_URL, limits=(LIMIT,), keyless=True)
    return Feed(
        name=f"bybit_{category}_rest", venue=f"bybit_{category}", plans=(plan,), parse=parse, judge=judge,
        canonical=canonical, after=after, history=history, symbols=bybit.SYMBOLS,
    )  # fmt: skip


FEEDS = (_feed("spot", bybit.canonical_spot), _feed("linear", bybit.canonical_linear))
