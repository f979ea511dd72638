"""Bybit v5: public streams of the spot and of the linear (USDT and USDC margined) market.

Sources: bybit-exchange.github.io/docs/v5 (github.com/bybit-exchange/docs at 072c197, 2026-07-24): ws/connect and
websocket/public/{orderbook,trade,kline,ticker,all-liquidation}; market/instrument. Times are ms.

Both markets name their symbols and topics alike; the path of the socket tells them apart, so each is a market of
its own. Trades and liquidations bear the time of the fact (`T`), all else `ts`, when the venue's system sent it.

* A book comes as a snapshot, then as changes; a snapshot at any later time replaces it, and one with `u` 1 says
  that the service was begun anew. That `u` rises by one is promised in the Chinese text only, and holds in every
  recording seen: a gap costs no more than a new subscription. `seq` skips, and is not looked at.
* Changes keep a book at its depth: what leaves it is sent with size 0.
* A request to subscribe is refused as a whole if one of its topics is, so each symbol has one of its own.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib import parse as url

import msgspec
from msgspec import Meta, Raw

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    Bar,
    BookWire,
    Depth,
    Event,
    Head,
    Instrument,
    Levels,
    Liquidation,
    Live,
    Market,
    ParseError,
    Reply,
    Request,
    Role,
    Route,
    Shape,
    Stream,
    Ticker,
    Trade,
    TradeKey,
    TradeRole,
    TradeTime,
    TradeWire,
)

Category = Literal["spot", "linear"]

# websocket/public/orderbook: pushed each 10, 20, 100, 200 ms. Of depth 1 every message is a snapshot, repeated with
# the same `u` after 3 s without a change.
DEPTHS = (1, 50, 200, 1000)
DEPTH = 200

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "topic": Role.ROUTE,
        "type": Role.KIND,
        "ts": Role.EVENT_TIME,
        "u": Role.LAST_ID,
        "b": Role.BIDS,
        "a": Role.ASKS,
    }
)
ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "orderbook": Route.DEPTH,
        "publicTrade": Route.TRADE,
        "kline": Route.BAR,
        "tickers": Route.OTHER,
        "allLiquidation": Route.OTHER,
    }
)
LINEAR_ROUTES: Mapping[str, Route] = MappingProxyType(
    {**ROUTES, "tickers": Route.DERIVATIVE, "allLiquidation": Route.DERIVATIVE}
)
# Answers to requests, whose keys come in any order.
UNTAGGED: Mapping[str, Route] = MappingProxyType(
    dict.fromkeys(("success", "op", "req_id", "ret_msg", "conn_id", "args"), Route.OTHER)
)

_DEPTH_OF = re.compile(rb'"topic"\s*:\s*"orderbook\.([0-9]{1,5})\.')


def depth_of(payload: bytes) -> int | None:
    """Levels a side of the book a message is about, from its topic `orderbook.200.BTCUSDT`; None without one."""
    found = _DEPTH_OF.search(payload)
    return int(found[1]) or None if found else None


TRADES = TradeWire(
    head={
        "topic": TradeKey(TradeRole.BEGINS, {"publicTrade.": 0}),
        "type": TradeKey(TradeRole.ONLY, {'"snapshot"': 0, '"delta"': 0}),
        "ts": TradeKey(TradeRole.SENT),
        "data": TradeKey(TradeRole.DATA),
        "op": TradeKey(TradeRole.UNUSUAL),
        "success": TradeKey(TradeRole.UNUSUAL),
    },
    body={
        "T": TradeKey(TradeRole.TIME),
        "s": TradeKey(TradeRole.SYMBOL),
        "S": TradeKey(TradeRole.SIDE, {'"Buy"': 1, '"Sell"': -1}),
        "v": TradeKey(TradeRole.SIZE),
        "p": TradeKey(TradeRole.PRICE),
        "i": TradeKey(TradeRole.ID),
        "BT": TradeKey(TradeRole.ONLY, {"false": 0}, optional=True),
    },
    time=TradeTime.MS,
    many=True,
    text_ids=True,
)


# ---- messages as they stand on the wire

# 28 digits are what Decimal keeps exactly in every operation of the default context; later ms do not fit ns.
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Ms = Annotated[int, Meta(ge=0, le=(2**63 - 1) // 10**6)]
Amount = Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Positive = Annotated[str, Meta(pattern=r"\A(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z", max_length=28)]
# "" says that there is none.
AmountOrNone = Annotated[str, Meta(pattern=r"\A([0-9]+(\.[0-9]+)?)?\Z", max_length=28)]
SignedOrNone = Annotated[str, Meta(pattern=r"\A(-?[0-9]+(\.[0-9]+)?)?\Z", max_length=28)]
MsOrNone = Annotated[str, Meta(pattern=r"\A([0-9]{1,12}|[1-8][0-9]{12})?\Z")]
# A UUID on linear, up to 64 bits in decimal on spot.
TradeId = Annotated[str, Meta(pattern=r"\A([0-9]{1,20}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f-]{17})\Z")]
Taker = Literal["Buy", "Sell"]


class Frame(msgspec.Struct, kw_only=True):
    """A message of a topic; answers to requests have `op` or `success` instead."""

    topic: Annotated[str, Meta(max_length=128)] = ""
    type: Literal["snapshot", "delta", ""] = ""
    ts: Ms = 0
    data: Raw = Raw(b"null")
    op: str = ""
    success: bool | None = None


class BookData(msgspec.Struct):
    """Levels with their new sizes; size 0 removes one."""

    s: Symbol
    b: list[tuple[Positive, Amount]]
    a: list[tuple[Positive, Amount]]
    u: Id

    def event(self, frame: Frame) -> Depth:
        """The whole book, or its changes."""
        return Depth(
            symbol=self.s,
            event_ns=_ns(frame.ts),
            first_id=self.u,
            last_id=self.u,
            previous_id=None,
            bids=[(Decimal(price), Decimal(size)) for price, size in self.b],
            asks=[(Decimal(price), Decimal(size)) for price, size in self.a],
            snapshot=frame.type == "snapshot",
        )


class TradeData(msgspec.Struct):
    """One fill; `S` is the taker's side. `BT`: agreed upon aside the book."""

    T: Ms
    s: Symbol
    S: Taker
    v: Positive
    p: Positive
    i: TradeId
    BT: bool = False

    def event(self, _: Frame) -> Trade | None:
        """The trade; None of a block trade, which no order of the book met."""
        if self.BT:
            return None
        return Trade(
            symbol=self.s,
            event_ns=_ns(self.T),
            trade_id=trade_id_of(self.i),
            price=Decimal(self.p),
            size=Decimal(self.v),
            side="buy" if self.S == "Buy" else "sell",
        )


class CandleData(msgspec.Struct):
    """A bar as it stands now; final when `confirm` is true. It names no symbol: the topic does."""

    start: Ms
    end: Ms
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: Amount
    turnover: Amount
    confirm: bool

    def event(self, frame: Frame) -> Bar:
        """The bar, as long as its start and end say: a month has no other length."""
        interval_s = (self.end - self.start + 1) // 1000
        if interval_s <= 0:
            raise ParseError(f"expected a bar that ends after {self.start}, found {self.end}")
        return Bar(
            symbol=symbol_of(frame.topic),
            interval_s=interval_s,
            open_ns=_ns(self.start),
            open=Decimal(self.open),
            high=Decimal(self.high),
            low=Decimal(self.low),
            close=Decimal(self.close),
            volume=Decimal(self.volume),
            quote_volume=Decimal(self.turnover),
            buy_volume=None,
            trades=None,
            closed=self.confirm,
        )


class TickerData(msgspec.Struct, rename="camel"):
    """Statistics. On linear a snapshot, then changes in which what is absent is unchanged; on spot all each time."""

    symbol: Symbol
    last_price: AmountOrNone = ""
    bid1_price: AmountOrNone = msgspec.field(name="bid1Price", default="")
    ask1_price: AmountOrNone = msgspec.field(name="ask1Price", default="")
    mark_price: AmountOrNone = ""
    index_price: AmountOrNone = ""
    funding_rate: SignedOrNone = ""
    next_funding_time: MsOrNone = ""
    open_interest: AmountOrNone = ""
    single_open_interest: AmountOrNone = ""
    prev_price24h: AmountOrNone = msgspec.field(name="prevPrice24h", default="")
    high_price24h: AmountOrNone = msgspec.field(name="highPrice24h", default="")
    low_price24h: AmountOrNone = msgspec.field(name="lowPrice24h", default="")
    volume24h: AmountOrNone = ""
    turnover24h: AmountOrNone = ""

    def event(self, frame: Frame) -> Ticker:
        """The statistics told. Spot's `usdIndexPrice` is left out: it is not in the quote currency."""
        return Ticker(
            symbol=self.symbol,
            event_ns=_ns(frame.ts),
            delta=frame.type == "delta",
            last=_told(self.last_price),
            bid=_told(self.bid1_price),
            ask=_told(self.ask1_price),
            mark=_told(self.mark_price),
            index=_told(self.index_price),
            funding_rate=_told(self.funding_rate),
            next_funding_ns=_ns(int(self.next_funding_time or "0")) or None,
            open_interest=self._open_interest(),
            open=_told(self.prev_price24h),
            high=_told(self.high_price24h),
            low=_told(self.low_price24h),
            volume=_told(self.volume24h),
            quote_volume=_told(self.turnover24h),
        )

    def _open_interest(self) -> Decimal | None:
        # websocket/public/ticker: `openInterest` adds up both sides; other venues, and since 2026-06-11
        # `singleOpenInterest`, count a contract once.
        both = _told(self.open_interest)
        return _told(self.single_open_interest) or (both / 2 if both is not None else None)


class LiquidationData(msgspec.Struct):
    """A position taken over; `S` is the position's side ("Buy": a long), `p` its bankruptcy price, not the fill's."""

    T: Ms
    s: Symbol
    S: Taker
    v: Positive
    p: Positive

    def event(self, _: Frame) -> Liquidation:
        """The liquidation. All are told, every 500 ms."""
        return Liquidation(
            symbol=self.s,
            event_ns=_ns(self.T),
            liquidated_side="long" if self.S == "Buy" else "short",
            price=Decimal(self.p),
            size=Decimal(self.v),
            complete=True,
        )


def _ns(ms: int) -> int:
    return ms * 1_000_000


def _told(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def trade_id_of(text: str) -> int:
    """The id of a trade: a UUID's first 64 bits, a number itself. Raises ParseError of a longer number."""
    number = int(text) if text.isdigit() else int(text.replace("-", "")[:16], 16)
    if number >= 2**64:
        raise ParseError(f"expected a trade id of 64 bits, found {text}")
    return number


# ---- payload -> events


_FRAME = msgspec.json.Decoder(Frame)
_DATA: Mapping[str, msgspec.json.Decoder[Any]] = {
    "orderbook": msgspec.json.Decoder(BookData),
    "publicTrade": msgspec.json.Decoder(list[TradeData]),
    "kline": msgspec.json.Decoder(list[CandleData]),
    "tickers": msgspec.json.Decoder(TickerData),
    "allLiquidation": msgspec.json.Decoder(list[LiquidationData]),
}


def parse(payload: bytes) -> list[Event]:
    """The events of a frame; [] of an answer to a request. Raises ParseError also for a topic not documented."""
    try:
        frame = _FRAME.decode(payload)
        if decoder := _DATA.get(frame.topic.partition(".")[0]):
            if not (frame.type and frame.ts):
                raise ParseError(f"expected type and ts, found {payload[:120]!r}")
            said = decoder.decode(frame.data)
            events = [each.event(frame) for each in (said if isinstance(said, list) else [said])]
            return [event for event in events if event is not None]
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if frame.topic or (frame.success is None and not frame.op):
        raise ParseError(f"unknown event {frame.topic[:64]!r}; found {payload[:120]!r}")
    return []


# ---- payload -> key

_TOPIC = re.compile(rb'"topic"\s*:\s*"([^"\\]{1,128})"')


def key_of(payload: bytes) -> bytes | None:
    """The symbol, from the topic's end; None if the payload names no topic."""
    found = _TOPIC.search(payload)
    return _key_of_topic(found[1]) if found else None


@lru_cache(maxsize=8192)
def _key_of_topic(topic: bytes) -> bytes | None:
    return topic.rpartition(b".")[2] or None


def symbol_of(topic: str) -> str:
    """BTCUSDT of `kline.1.BTCUSDT`. Raises ParseError if it names none."""
    symbol = topic.rpartition(".")[2]
    if not symbol:
        raise ParseError(f"expected a topic that ends in a symbol, found {topic[:64]!r}")
    return symbol


# ---- instruments

# What spot pairs are quoted in; api.bybit.com/v5/market/instruments-info, category spot, to 2026.
_QUOTES = "USDT USDC USDE USD1 BTC ETH SOL MNT EUR DAI BRL BRZ PLN TRY USDQ USDR"
QUOTES = tuple(sorted(_QUOTES.split(), key=len, reverse=True))
_DATED = re.compile(r"(.+)-([0-9]{1,2}[A-Z]{3}[0-9]{2})")


def canonical_spot(symbol: str) -> str:
    """BTC-USDT for BTCUSDT, by the longest quote currency it ends in; the symbol itself if that is none."""
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}-{quote}"
    return symbol


def canonical_linear(symbol: str) -> str:
    """BTC-USDT-PERP for BTCUSDT, BTC-USDC-PERP for BTCPERP, BTC-USDT-20261225 for BTCUSDT-25DEC26.

    USDC futures name no quote: BTC-25DEC26.
    """
    if dated := _DATED.fullmatch(symbol):
        pair = canonical_spot(dated[1])
        return f"{pair if '-' in pair else pair + '-USDC'}-{_date(dated[2])}"
    if symbol.endswith("PERP") and symbol != "PERP":
        return f"{symbol.removesuffix('PERP')}-USDC-PERP"
    return f"{canonical_spot(symbol)}-PERP"


def _date(text: str) -> str:
    """20261225 for 25DEC26; the text itself if that is no date."""
    try:
        return datetime.strptime(text, "%d%b%y").replace(tzinfo=UTC).strftime("%Y%m%d")
    except ValueError:
        return text


class Filter(msgspec.Struct, rename="camel"):
    """Rules for prices and sizes: sizes have a step on linear, a precision on spot."""

    tick_size: Positive | None = None
    qty_step: Positive | None = None
    base_precision: Positive | None = None


class InstrumentInfo(msgspec.Struct, rename="camel"):
    """One entry of instruments-info; linear has a contract type."""

    symbol: Symbol
    status: str
    base_coin: Symbol
    quote_coin: Symbol
    price_filter: Filter
    lot_size_filter: Filter
    contract_type: str | None = None


class _Result(msgspec.Struct):
    category: str | None = None
    entries: list[Raw] = msgspec.field(name="list", default_factory=list)


class _Answer(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: _Result = msgspec.field(default_factory=_Result)


_ANSWER = msgspec.json.Decoder(_Answer)
_INFO = msgspec.json.Decoder(InstrumentInfo)
# Of an unknown symbol linear says this code, spot tells an empty list. docs v5/error, 2026
PARAMETER_ERROR, SYMBOL_INVALID = 10001, "symbol invalid"
# PreLaunch is traded too; Settling, Delivering and Closed are not.
TRADED = ("Trading", "PreLaunch")


def instruments_of(category: Category) -> Callable[[bytes], list[Instrument]]:
    """The `instruments` of a market.

    Those that are not traded, or not to be read, are left out, as is an answer about another category: a recording
    may hold both. An unknown symbol gives []; any other refusal raises ParseError.
    """

    def instruments(payload: bytes) -> list[Instrument]:
        try:
            answer = _ANSWER.decode(payload)
        except MALFORMED as error:
            raise ParseError(f"expected instruments-info: {error}; found {payload[:120]!r}") from None
        if answer.ret_code == PARAMETER_ERROR and SYMBOL_INVALID in answer.ret_msg.lower():
            return []
        if answer.ret_code:
            raise ParseError(f"instruments-info refused: {answer.ret_code} {answer.ret_msg[:120]!r}")
        if answer.result.category not in (None, "", category):
            return []
        found = (_instrument(raw) for raw in answer.result.entries)
        return [instrument for instrument in found if instrument is not None]

    return instruments


def _instrument(raw: Raw) -> Instrument | None:
    try:
        info = _INFO.decode(raw)
    except MALFORMED:
        return None
    tick = info.price_filter.tick_size
    lot = info.lot_size_filter.qty_step or info.lot_size_filter.base_precision
    if tick is None or lot is None or info.status not in TRADED:
        return None
    return Instrument(
        symbol=info.symbol,
        instrument=_name(info),
        tick=_trimmed(tick),
        lot=_trimmed(lot),
    )


def _name(info: InstrumentInfo) -> str:
    pair = f"{info.base_coin}-{info.quote_coin}"
    if info.contract_type is None:
        return pair
    dated = _DATED.fullmatch(info.symbol)
    return f"{pair}-{_date(dated[2]) if dated else 'PERP'}"


def _trimmed(text: str) -> Decimal:
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


# ---- live

# docs v5/ws/connect, 2026-07-24. The United States and mainland China are refused with 403; other regions have
# hosts of their own.
WS_URL = "wss://stream.bybit.com"
REST_URL = "https://api.bybit.com"
# "up to 10 args for each subscription request" (spot); "21,000 characters" of args a connection: 52 a stream here.
ARGS_MAX = 10
STREAMS_MAX = 400
# "Do not build over 500 connections in 5 minutes", per domain: half for each market.
CONNECTS_MAX, CONNECTS_SPAN_S = 250, 300.0
# "it is recommended to send the ping heartbeat packet every 20 seconds": so often an answer comes, too.
PING, PING_S = b'{"op":"ping"}', 20.0
SOCKET_SILENCE_S = 30.0
# docs v5/rate-limit: 600 requests in 5 s per IP; all that a market asks for is instruments.
WEIGHT_PER_MINUTE = 600
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT")

# A book of 200 levels is pushed each 100 ms while it changes; quiet ones rest for seconds.
BOOK_SILENCE_S = 60.0
TRADE_SILENCE_S = 300.0


class _HeadBook(msgspec.Struct, gc=False):
    b: Levels | None = None
    a: Levels | None = None
    u: Annotated[int, Meta(ge=0, le=2**63 - 1)] = -1


class _HeadFrame(msgspec.Struct, gc=False):
    topic: str = ""
    type: str = ""
    ts: Ms = 0
    data: _HeadBook | list[Raw] | None = None
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


_HEAD = msgspec.json.Decoder(_HeadFrame)


def head(payload: bytes) -> Head:
    """What the connector needs of a frame."""
    try:
        frame = _HEAD.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    book = frame.data
    if isinstance(book, _HeadBook) and book.b is not None and book.a is not None:
        event_ns, u, snapshot = frame.ts * 1_000_000, book.u, frame.type == "snapshot"
        return Head(frame.topic, event_ns, u, u, -1, book.b, book.a, snapshot=snapshot)
    if frame.success is False:
        return Head(reply=_refusal(frame))
    return Head(frame.topic, frame.ts * 1_000_000)


_REFUSED_TOPIC = re.compile(r"topic:\s*([A-Za-z0-9.\-]{3,128})")


def _refusal(frame: _HeadFrame) -> Reply:
    """Of a subscription the request's id is the symbol; should it be left out, the message names a topic.

    "error:handler not found,topic:orderbook.50.NOPEUSDT" is the symbol's refusal; "error:already subscribed,topic:..."
    and what else is complained of is not.
    """
    error = frame.ret_msg[:200] or f"{frame.op[:32] or 'request'} refused"
    if frame.op != "subscribe" or "already subscribed" in frame.ret_msg:
        return Reply(error=error)
    named = _REFUSED_TOPIC.search(frame.ret_msg)
    symbol = frame.req_id or (named[1].rpartition(".")[2] if named else "")
    return Reply(refused=(symbol,) if symbol else (), error=error)


def _requests(op: str, streams: Sequence[Stream]) -> list[bytes]:
    """One request a symbol, of at most `ARGS_MAX` topics, with the symbol for its id."""
    topics: dict[str, list[str]] = {}
    for stream in streams:
        topics.setdefault(stream.symbol, []).append(stream.name)
    return [
        msgspec.json.encode({"op": op, "req_id": symbol, "args": args[at : at + ARGS_MAX]})
        for symbol, args in topics.items()
        for at in range(0, len(args), ARGS_MAX)
    ]


def streams_of(category: Category, depth: int = DEPTH) -> Callable[[str], list[Stream]]:
    """The `streams` of a market whose book has one of `DEPTHS`."""
    path = f"/v5/public/{category}"

    def streams(symbol: str) -> list[Stream]:
        found = [
            Stream(f"orderbook.{depth}.{symbol}", symbol, path, book=True, silence_s=BOOK_SILENCE_S),
            Stream(f"publicTrade.{symbol}", symbol, path, book=False, silence_s=TRADE_SILENCE_S),
            Stream(f"kline.1.{symbol}", symbol, path, book=False, silence_s=None),
            Stream(f"tickers.{symbol}", symbol, path, book=False, silence_s=None),
        ]
        if category == "linear":
            found.append(Stream(f"allLiquidation.{symbol}", symbol, path, book=False, silence_s=None))
        return found

    return streams


def _instruments_requests(category: Category) -> Callable[[list[str]], list[Request]]:
    # One a symbol: the list of all comes in pages whose cursors are in the answers, and one unknown symbol spoils
    # no request but its own.
    path = f"/v5/market/instruments-info?category={category}&symbol="
    return lambda symbols: [Request(path + url.quote(symbol, safe=""), weight=1) for symbol in symbols]


def market_of(category: Category, depth: int = DEPTH) -> Market:
    """`bybit_spot` or `bybit_linear`, with books of that many of `DEPTHS` levels a side."""
    return Market(
        name=f"bybit_{category}",
        wire=BookWire(
            shape=Shape.PAIRS,
            rule=Rule.CONSECUTIVE,
            roles=ROLES,
            routes=ROUTES if category == "spot" else LINEAR_ROUTES,
            untagged=UNTAGGED,
            depth=depth_of,
        ),
        key_of=key_of,
        canonical=canonical_spot if category == "spot" else canonical_linear,
        parse=parse,
        instruments=instruments_of(category),
        depths=DEPTHS,
        with_depth=lambda levels: market_of(category, levels),
        trades=(TRADES,),
        live=Live(
            ws_url=WS_URL,
            rest_url=REST_URL,
            symbols=SYMBOLS,
            streams=streams_of(category, depth),
            socket_url=lambda path, _names, _key: path,
            streams_max=STREAMS_MAX,
            connection_s=float("inf"),
            silence_s=SOCKET_SILENCE_S,
            head=head,
            instruments=_instruments_requests(category),
            weight_per_minute=WEIGHT_PER_MINUTE,
            connects_max=CONNECTS_MAX,
            connects_span_s=CONNECTS_SPAN_S,
            subscribe=lambda streams: _requests("subscribe", streams),
            unsubscribe=lambda streams: _requests("unsubscribe", streams),
            ping=PING,
            ping_s=PING_S,
        ),
    )


MARKETS = [market_of("spot"), market_of("linear")]
