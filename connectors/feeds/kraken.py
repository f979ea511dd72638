"""Kraken spot by REST: the last bars and all past trades.

Sources: docs.kraken.com, api-reference/market-data get-ohlc-data and get-recent-trades, guides historical-data and
spot-rest-ratelimits, 2026. Symbols are those of the WebSocket, `BTC/USD`; here bitcoin is XBT and dogecoin XDG, and the
answer names the pair in a third way (`XXBTZUSD`), which is not looked at: the request tells the symbol.

* "Returns up to 720 of the most recent entries (older data cannot be retrieved, regardless of the value of `since`)",
  the last one still open: 12 hours of minutes, two years of days. What is older is in the trades.
* Trades are told from a time on, in ns, 1000 an answer; its `last` is where the next page begins.
* A refusal comes with status 200 and the list `error`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Raw

from connectors.feed import MINUTE_S, Answer, Feed, History, Limit, Outcome, Plan, Row, Verdict, by_status
from connectors.paths import asking, query_of, with_query
from connectors.venue import MALFORMED, Bar, ParseError, Request, Trade
from connectors.venues import kraken

INTERVALS = {60: 1, 300: 5, 900: 15, 1800: 30, 3600: 60, 14_400: 240, 86_400: 1440}
BARS, TRADES = "/0/public/OHLC", "/0/public/Trades"
TRADES_PER_PAGE = 1000
NS_A_S = 1_000_000_000
# "Calling the public endpoints at a frequency of 1 per second (or less) would remain within the rate limits"; bars and
# trades are counted by address and pair. Bars of a pair are told by one request, trades page after page: those weigh
# so much that each second brings one.
LIMIT, TRADES_WEIGHT, SPACING_S = Limit(240, MINUTE_S), 4, 0.1
LOCKED_S = 900.0

NAMES: Mapping[str, str] = {"BTC": "XBT", "DOGE": "XDG"}
_BACK = {there: here for here, there in NAMES.items()}
_QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "JPY", "CHF", "AUD", "XBT", "ETH", "DAI")

Number = Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Positive = Annotated[str, Meta(pattern=r"\A(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=(2**63 - 1) // NS_A_S)]


# ---- symbols


def pair_of(symbol: str) -> str:
    """XBTUSD of BTC/USD."""
    return "".join(NAMES.get(asset, asset) for asset in symbol.split("/"))


def symbol_of(pair: str) -> str:
    """BTC/USD of XBTUSD; the pair itself if it ends in no known quote asset."""
    for quote in _QUOTES:
        base = pair.removesuffix(quote)
        if base not in ("", pair):
            return f"{_BACK.get(base, base)}/{_BACK.get(quote, quote)}"
    return pair


# ---- answers as they stand on the wire


class _Row(msgspec.Struct, array_like=True):
    time_s: Seconds
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    vwap: Number
    volume: Number
    count: Id


class _Trade(msgspec.Struct, array_like=True):
    price: Positive
    volume: Positive
    time_s: Decimal  # seconds with up to nine decimals
    side: Literal["b", "s"]
    kind: str
    misc: str
    trade_id: Id


class _Answer(msgspec.Struct):
    error: list[str] = []
    result: dict[str, Raw] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_ROWS = msgspec.json.Decoder(list[_Row])
_TRADES = msgspec.json.Decoder(list[_Trade])


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The bars or trades that an answer tells, oldest first."""
    asked, query = urlsplit(path).path, query_of(path)
    symbol = symbol_of(query.get("pair", ""))
    if asked == BARS:
        interval_s = 60 * _number(query.get("interval", "1"))
        return [_bar(symbol, interval_s, x, recv_ns) for x in _decoded(_ROWS, _told(payload)[0])]
    if asked == TRADES:
        return [_trade(symbol, x) for x in _decoded(_TRADES, _told(payload)[0])]
    raise ParseError(f"expected {BARS} or {TRADES}, found {path[:80]!r}")


def _told(payload: bytes) -> tuple[Raw, str]:
    """The rows of the one pair, and where the next page begins."""
    answer: _Answer = _decoded(_ANSWER, payload)
    found = dict(answer.result or {})
    last = str(found.pop("last", Raw(b"")), "utf-8").strip('"')
    if answer.error or len(found) != 1:
        raise ParseError(f"expected the rows of one pair, found {payload[:120]!r}")
    return next(iter(found.values())), last


def _decoded(decoder: "msgspec.json.Decoder[Any]", payload: bytes | Raw) -> Any:
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {bytes(payload)[:120]!r}") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ParseError(f"expected a number, found {text[:40]!r}")
    return int(text)


def _bar(symbol: str, interval_s: int, x: _Row, recv_ns: int) -> Bar:
    volume, open_ns = Decimal(x.volume), x.time_s * NS_A_S
    return Bar(
        symbol=symbol, interval_s=interval_s, open_ns=open_ns, open=Decimal(x.open), high=Decimal(x.high),
        low=Decimal(x.low), close=Decimal(x.close), volume=volume, quote_volume=Decimal(x.vwap) * volume,
        buy_volume=None, trades=x.count, closed=open_ns + interval_s * NS_A_S <= recv_ns,
    )  # fmt: skip


def _trade(symbol: str, x: _Trade) -> Trade:
    if not (x.time_s.is_finite() and 0 <= x.time_s < 2**63 // NS_A_S):
        raise ParseError(f"expected a time in seconds, found {x.time_s}")
    # Cut to the us in which the stream tells it: a trade that both have told is one row.
    return Trade(
        symbol=symbol, event_ns=int(x.time_s * 1_000_000) * 1000, trade_id=x.trade_id, price=Decimal(x.price),
        size=Decimal(x.volume), side="buy" if x.side == "b" else "sell",
    )  # fmt: skip


# ---- pages


def after(request: Request, payload: bytes) -> Request | None:
    """The page after a full one of trades."""
    if urlsplit(request.path).path != TRADES:
        return None
    rows, last = _told(payload)
    if len(_decoded(_TRADES, rows)) < TRADES_PER_PAGE:
        return None
    return Request(with_query(request.path, since=_number(last)), request.weight)


def _bars(symbol: str, interval_s: int, from_ns: int, to_ns: int) -> Request:
    del to_ns
    # It is not said whether the bar that opens at `since` is told: a second before, it is.
    query = {"pair": pair_of(symbol), "interval": INTERVALS[interval_s], "since": from_ns // NS_A_S - 1}
    return Request(asking(BARS, query), 1)


def _trades(symbol: str, from_ns: int, to_ns: int) -> Request:
    del to_ns
    query = {"pair": pair_of(symbol), "since": from_ns - 1, "count": TRADES_PER_PAGE}
    return Request(asking(TRADES, query), TRADES_WEIGHT)


# ---- errors

LIMITED = ("EGeneral:Too many requests", "EAPI:Rate limit exceeded")
LOCKED = "EGeneral:Temporary lockout"
AGAIN = ("EService:", "EGeneral:Internal error")


def judge(request: Request, answer: Answer) -> Verdict:
    """By the first of the errors; EQuery:Unknown asset pair and other errors of a request are final."""
    del request
    verdict = by_status(answer)
    if verdict.outcome in (Outcome.WAIT, Outcome.AGAIN):
        return verdict
    try:
        errors = _ANSWER.decode(answer.body).error
    except MALFORMED:
        bad = Verdict(Outcome.AGAIN, f"expected JSON with error, found {answer.body[:120]!r}")
        return bad if answer.status < 300 else verdict
    if not errors:
        return verdict
    said = errors[0][:160]
    if said.startswith(LOCKED):
        return Verdict(Outcome.WAIT, said, LOCKED_S)
    if said.startswith(LIMITED):
        return Verdict(Outcome.WAIT, said, MINUTE_S)
    return Verdict(Outcome.AGAIN if said.startswith(AGAIN) else Outcome.REFUSED, said)


FEEDS = (
    Feed(
        name="kraken_rest",
        venue="kraken",
        plans=(
            Plan(name="keyless", url=kraken.REST_URL, limits=(LIMIT,), spacing_s=SPACING_S, keyless=True),
        ),
        parse=parse,
        judge=judge,
        canonical=kraken.canonical,
        after=after,
        history=History(
            intervals_s=tuple(INTERVALS), bars=_bars, trades=_trades, last_bars_only=True, bars_kept=720
        ),
        symbols=kraken.SYMBOLS,
    ),
)
