"""Gemini by REST: the last bars, and the trades of the last days.

Sources: docs.gemini.com, rest, market data: candles, trades; rate limits; 2026. Symbols are in lower case here.

* Bars come newest first, as JSON numbers, whose digits are kept. No span can be asked for: an answer holds what there
  is of the interval, which is not documented (seen by others: of minutes a day, of days a year).
* Trades: "limited to retrieving seven calendar days of data", at most 500 an answer, newest first. With `timestamp`, or
  `since_tid` which goes before it ("You may set since_tid to zero to get the earliest available trade history data"),
  an answer begins there, and the next page after its highest id.
* A refusal is an object with `result` error, whatever the status.
"""

from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta

from connectors.feed import MINUTE_S, Answer, Feed, History, Limit, Outcome, Plan, Row, Verdict, by_status
from connectors.paths import asking, query_of
from connectors.venue import MALFORMED, Bar, ParseError, Request, Trade
from connectors.venues import gemini
from connectors.venues.gemini import Id, Positive

# Not those of the stream `candles`: 1hr, 6hr and 1day are 1h, 6h and 1d there.
INTERVALS = {60: "1m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1hr", 21_600: "6hr", 86_400: "1day"}
_SECONDS = {text: interval_s for interval_s, text in INTERVALS.items()}
BARS, TRADES = "/v2/candles/", "/v1/trades/"
TRADES_PER_PAGE = 500
NS_A_MS = 1_000_000
# "120 requests per minute", "we recommend that you do not exceed 1 request per second"; the live connector asks for
# details of symbols at the same address.
LIMIT, SPACING_S = Limit(60, MINUTE_S), 0.5

Ms = Annotated[int, Meta(ge=0, le=(2**63 - 1) // 10**6)]


class _Row(msgspec.Struct, array_like=True):
    open_ms: Ms
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class _Trade(msgspec.Struct):
    timestampms: Ms
    tid: Id
    price: Positive
    amount: Positive
    type: str
    broken: bool = False


class _Refusal(msgspec.Struct):
    result: str
    reason: str = ""
    message: str = ""


_ROWS = msgspec.json.Decoder(list[_Row])
_TRADES = msgspec.json.Decoder(list[_Trade])
_REFUSAL = msgspec.json.Decoder(_Refusal)
_SIZE_MAX = Decimal("1e18")


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The bars or trades that an answer tells, oldest first; trades that were broken are not."""
    asked = urlsplit(path).path
    if asked.startswith(BARS):
        symbol, _, interval = asked.removeprefix(BARS).rpartition("/")
        if interval not in _SECONDS:
            raise ParseError(f"expected an interval among {', '.join(_SECONDS)}, found {path[:120]!r}")
        rows: list[_Row] = _decoded(_ROWS, payload)
        return [_bar(_symbol(symbol), _SECONDS[interval], x, recv_ns) for x in reversed(rows)]
    if asked.startswith(TRADES):
        trades: list[_Trade] = _decoded(_TRADES, payload)
        symbol = _symbol(asked.removeprefix(TRADES))
        return [_trade(symbol, x) for x in reversed(trades) if not x.broken]
    raise ParseError(f"expected {BARS} or {TRADES}, found {path[:80]!r}")


def _decoded(decoder: "msgspec.json.Decoder[Any]", payload: bytes) -> Any:
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None


def _symbol(text: str) -> str:
    return unquote(text).upper()


def _bar(symbol: str, interval_s: int, x: _Row, recv_ns: int) -> Bar:
    prices, open_ns = (x.open, x.high, x.low, x.close), x.open_ms * NS_A_MS
    if not all(0 < price < _SIZE_MAX for price in prices) or not 0 <= x.volume < _SIZE_MAX:
        raise ParseError(f"expected prices above 0 and a volume, found {prices} and {x.volume}")
    return Bar(
        symbol=symbol, interval_s=interval_s, open_ns=open_ns, open=x.open, high=x.high, low=x.low, close=x.close,
        volume=x.volume, quote_volume=None, buy_volume=None, trades=None,
        closed=open_ns + interval_s * 10**9 <= recv_ns,
    )  # fmt: skip


def _trade(symbol: str, x: _Trade) -> Trade:
    return Trade(
        symbol=symbol, event_ns=x.timestampms * NS_A_MS, trade_id=x.tid, price=Decimal(x.price),
        size=Decimal(x.amount),
        # "auction" and "block" have no aggressor.
        side="buy" if x.type == "buy" else "sell" if x.type == "sell" else "unknown",
    )  # fmt: skip


# ---- pages


def after(request: Request, payload: bytes) -> Request | None:
    """The page after a full one of trades."""
    asked, query = urlsplit(request.path).path, query_of(request.path)
    if not asked.startswith(TRADES):
        return None
    trades: list[_Trade] = _decoded(_TRADES, payload)
    if len(trades) < int(query["limit_trades"]):
        return None
    since = {"since_tid": max(x.tid for x in trades), "limit_trades": TRADES_PER_PAGE}
    return Request(asking(asked, since), request.weight)


def _bars(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    del from_ns, to_ns
    return Request(f"{BARS}{quote(symbol.lower(), safe='')}/{INTERVALS[interval_s]}", 1)


def _trades(symbol: str, from_ns: int, to_ns: int) -> Request:
    del to_ns
    query = {"timestamp": from_ns // NS_A_MS, "limit_trades": TRADES_PER_PAGE}
    return Request(asking(f"{TRADES}{quote(symbol.lower(), safe='')}", query), 1)


# ---- errors

AGAIN = ("Maintenance", "System", "MarketNotOpen")


def judge(request: Request, answer: Answer) -> Verdict:
    """By status, and by the reason of an object with `result` error."""
    del request
    verdict = by_status(answer)
    if verdict.outcome in (Outcome.WAIT, Outcome.AGAIN):
        return verdict
    try:
        told = _REFUSAL.decode(answer.body)
    except MALFORMED:
        return verdict
    if told.result != "error":
        return verdict
    said = f"{told.reason[:60]}: {told.message[:120]}"
    if told.reason.startswith("RateLimit"):
        return Verdict(Outcome.WAIT, said, MINUTE_S)
    return Verdict(Outcome.AGAIN if told.reason in AGAIN else Outcome.REFUSED, said)


FEEDS = (
    Feed(
        name="gemini_rest",
        venue="gemini",
        plans=(
            Plan(name="keyless", url=gemini.REST_URL, limits=(LIMIT,), spacing_s=SPACING_S, keyless=True),
        ),
        parse=parse,
        judge=judge,
        canonical=gemini.canonical,
        after=after,
        history=History(intervals_s=tuple(INTERVALS), bars=_bars, trades=_trades, last_bars_only=True),
        symbols=gemini.SYMBOLS,
    ),
)
