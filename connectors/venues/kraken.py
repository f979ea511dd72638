"""Kraken spot: public market streams of WebSocket v2, parsed.

Sources: docs.kraken.com, "Spot WebSocket v2" (book, book checksum, trade, ohlc, ticker, instrument, ping), 2026.
Symbols are `BTC/USD`, not XBT, and the currency pairs of spot (`EUR/USD`) are followed like any other: no key.

Prices and sizes are JSON *numbers* whose digits count, trailing zeros included: the checksum is over their text.
They are read as text and made Decimal; through float every checksum would be wrong.

The venue numbers no book message. After each, a CRC-32 of the best ten levels of both sides is sent with it. A book
holds `depth` levels a side; the client forgets what lies beyond without being told.

Not documented, and therefore tolerated: a book snapshot or ticker without `timestamp`; increments with exponents
(`1e-08`); trades of several symbols in one message (its key is the first one's); the wording of refusals (see
`_PASSING`). Snapshots of `trade` repeat, after each subscription, trades told before: told apart by trade id.
"""

import re
import time
from calendar import timegm
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    Bar,
    BestQuote,
    BookWire,
    Depth,
    Event,
    Head,
    Instrument,
    Levels,
    Live,
    Market,
    ParseError,
    Reply,
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

# ---- where a book message keeps what the kernel needs

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "channel": Role.ROUTE,
        "method": Role.ROUTE,
        "type": Role.KIND,
        "timestamp": Role.EVENT_TIME,
        "bids": Role.BIDS,
        "asks": Role.ASKS,
        "checksum": Role.CHECKSUM,
    }
)
ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "book": Route.DEPTH,
        "trade": Route.TRADE,
        "ohlc": Route.BAR,
        "subscribe": Route.SUBSCRIPTION,
        "unsubscribe": Route.SUBSCRIPTION,
        **dict.fromkeys(["heartbeat", "status", "instrument", "ticker", "pong", "ping"], Route.OTHER),
    }
)
# A request that could not be read is answered without its method.
UNTAGGED: Mapping[str, Route] = MappingProxyType({"error": Route.OTHER})


TRADES = TradeWire(
    head={
        "channel": TradeKey(TradeRole.ONLY, {'"trade"': 0}),
        "type": TradeKey(TradeRole.ONLY, {'"snapshot"': 0, '"update"': 0}),
        "data": TradeKey(TradeRole.DATA),
        "method": TradeKey(TradeRole.UNUSUAL),
        "timestamp": TradeKey(TradeRole.UNUSUAL),
        "error": TradeKey(TradeRole.UNUSUAL),
    },
    body={
        "symbol": TradeKey(TradeRole.SYMBOL),
        "side": TradeKey(TradeRole.SIDE, {'"buy"': 1, '"sell"': -1}),
        "price": TradeKey(TradeRole.PRICE),
        "qty": TradeKey(TradeRole.SIZE),
        "trade_id": TradeKey(TradeRole.ID),
        "timestamp": TradeKey(TradeRole.TIME),
    },
    time=TradeTime.RFC3339,
    many=True,
    numbers=True,
    contiguous=True,  # "a sequence number, unique per book"
)


# ---- messages as they stand on the wire

Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Checksum = Annotated[int, Meta(ge=0, le=2**32 - 1)]
DEPTHS = (10, 25, 100, 500, 1000)  # "Possible values: [10, 25, 100, 500, 1000]. Default value: 10"

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
NS_MAX = 2**63 - 1


def _number(raw: Raw, *, least: Decimal | None = Decimal(0)) -> Decimal:
    """The JSON number, digit by digit. Raises ParseError if it is none, written with an exponent, or too small."""
    text = str(raw, "utf-8", "replace")
    if len(text) <= 28 and _NUMBER.fullmatch(text):
        number = Decimal(text)
        if least is None or number >= least:
            return number
    raise ParseError(f"expected a number{'' if least is None else f' from {least}'}, found {text[:40]!r}")


def _positive(raw: Raw) -> Decimal:
    number = _number(raw)
    if not number:
        raise ParseError("expected a number above 0, found 0")
    return number


def ns_of(text: str) -> int:
    """RFC 3339 time in UTC with up to nine digits of a second, in ns. Raises ParseError."""
    try:
        second_ns, fraction = _second_ns(text[:19]), text[19:]
        if not text.isascii():
            raise ValueError
        if fraction != "Z":
            digits = fraction[1:-1]
            if not (fraction[0] == "." and fraction[-1] == "Z" and digits.isdigit() and len(digits) <= 9):
                raise ValueError
            second_ns += int(digits.ljust(9, "0"))
    except (ValueError, IndexError):
        raise ParseError(f"expected a time like 2026-08-02T03:35:51.660084Z, found {text[:40]!r}") from None
    return second_ns


@lru_cache(maxsize=64)
def _second_ns(text: str) -> int:
    ns = timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000
    if not 0 <= ns < NS_MAX - 10**9:
        raise ValueError
    return ns


class Level(msgspec.Struct, gc=False):
    """One level."""

    price: Raw
    qty: Raw


class BookMessage(msgspec.Struct, kw_only=True):
    """The book of one symbol, or its changed levels. "A qty of 0 removes the level"."""

    symbol: Symbol
    bids: list[Level]
    asks: list[Level]
    checksum: Checksum
    timestamp: str | None = None

    def events(self, snapshot: bool, _: int | None) -> list[Event]:
        """The levels, in the order of the message, which may name a price twice."""
        return [
            Depth(
                symbol=self.symbol,
                event_ns=None if self.timestamp is None else ns_of(self.timestamp),
                first_id=-1,
                last_id=-1,
                previous_id=None,
                bids=[(_number(level.price), _number(level.qty)) for level in self.bids],
                asks=[(_number(level.price), _number(level.qty)) for level in self.asks],
                snapshot=snapshot,
                checksum=self.checksum,
            )
        ]


class TradeMessage(msgspec.Struct, kw_only=True):
    """One fill. `side` is "the side of the taker order"; `trade_id` is "a sequence number, unique per book"."""

    symbol: Symbol
    side: Literal["buy", "sell"]
    price: Raw
    qty: Raw
    trade_id: Id
    timestamp: str

    def events(self, _: bool, __: int | None) -> list[Event]:
        """The trade."""
        return [
            Trade(
                symbol=self.symbol,
                event_ns=ns_of(self.timestamp),
                trade_id=self.trade_id,
                price=_positive(self.price),
                size=_positive(self.qty),
                side=self.side,
            )
        ]


class BarMessage(msgspec.Struct, kw_only=True):
    """A bar as it stands after a trade. Nothing marks it as final, and a minute without trades has none."""

    symbol: Symbol
    open: Raw
    high: Raw
    low: Raw
    close: Raw
    vwap: Raw
    volume: Raw
    trades: Id
    interval_begin: str
    interval: Annotated[int, Meta(gt=0, le=21600)]  # minutes

    def events(self, _: bool, time_ns: int | None) -> list[Event]:
        """The bar, closed if the message was sent after its end. Its quote volume is as exact as `vwap`."""
        open_ns = ns_of(self.interval_begin)
        volume = _number(self.volume)
        return [
            Bar(
                symbol=self.symbol,
                interval_s=self.interval * 60,
                open_ns=open_ns,
                open=_positive(self.open),
                high=_positive(self.high),
                low=_positive(self.low),
                close=_positive(self.close),
                volume=volume,
                quote_volume=_number(self.vwap) * volume,
                buy_volume=None,
                trades=self.trades,
                closed=time_ns is not None and time_ns >= open_ns + self.interval * 60_000_000_000,
            )
        ]


class TickerMessage(msgspec.Struct, kw_only=True):
    """Best levels, and statistics of the last 24 hours. Complete in every message."""

    symbol: Symbol
    bid: Raw
    bid_qty: Raw
    ask: Raw
    ask_qty: Raw
    last: Raw
    volume: Raw
    vwap: Raw
    low: Raw
    high: Raw
    change: Raw  # "24-hour price change (in quote currency)"
    timestamp: str | None = None

    def events(self, _: bool, __: int | None) -> list[Event]:
        """The best quote, and the ticker where the message bears a time."""
        event_ns = None if self.timestamp is None else ns_of(self.timestamp)
        bid, ask, last, volume = map(_number, (self.bid, self.ask, self.last, self.volume))
        quote = BestQuote(
            symbol=self.symbol,
            event_ns=event_ns,
            bid=bid,
            bid_size=_number(self.bid_qty),
            ask=ask,
            ask_size=_number(self.ask_qty),
        )
        if event_ns is None:
            return [quote]
        ticker = Ticker(
            symbol=self.symbol,
            event_ns=event_ns,
            delta=False,
            last=last,
            bid=bid,
            ask=ask,
            open=last - _number(self.change, least=None),
            high=_number(self.high),
            low=_number(self.low),
            volume=volume,
            quote_volume=_number(self.vwap) * volume,
        )
        return [quote, ticker]


# ---- payload -> events


class _Frame(msgspec.Struct):
    channel: str = ""
    method: str = ""
    type: str = ""
    timestamp: str | None = None
    data: Raw = Raw()
    error: str | None = None


_FRAME = msgspec.json.Decoder(_Frame)
_MESSAGES: Mapping[str, msgspec.json.Decoder[Any]] = MappingProxyType(
    {
        "book": msgspec.json.Decoder(Annotated[list[BookMessage], Meta(min_length=1, max_length=1)]),
        "trade": msgspec.json.Decoder(list[TradeMessage]),
        "ohlc": msgspec.json.Decoder(list[BarMessage]),
        "ticker": msgspec.json.Decoder(list[TickerMessage]),
    }
)


def parse(payload: bytes) -> list[Event]:
    """The events of a frame; [] for what is known and tells none. Raises ParseError."""
    try:
        frame = _FRAME.decode(payload)
        decoder = _MESSAGES.get(frame.channel)
        if decoder is None:
            return _unread(frame)
        if frame.type not in ("snapshot", "update"):
            raise ParseError(f"expected type snapshot or update, found {frame.type[:40]!r}")
        messages = decoder.decode(frame.data)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    time_ns = None if frame.timestamp is None else ns_of(frame.timestamp)
    return [event for message in messages for event in message.events(frame.type == "snapshot", time_ns)]


def _unread(frame: _Frame) -> list[Event]:
    name = frame.channel or frame.method
    if name in ROUTES or (not name and frame.error is not None):
        return []
    raise ParseError(f"unknown channel or method {name[:64]!r}")


# ---- payload -> key

_CHANNEL = re.compile(rb'"channel"\s*:\s*"(\w{1,32})"')
_SYMBOL = re.compile(rb'"symbol"\s*:\s*"([^"\\\x00-\x1f\x80-\xff]{1,64})"')


def key_of(payload: bytes) -> bytes | None:
    """The symbol of market data, and of an acknowledgement about its book; None of all else.

    What is said of other subscriptions stays out of the symbol's record: its book is not meant.
    """
    channel = _CHANNEL.search(payload)
    if channel is None or channel[1] not in (b"book", b"trade", b"ohlc", b"ticker"):
        return None
    if channel[1] != b"book" and payload.find(b'"method"', 0, 256) >= 0:
        return None
    symbol = _SYMBOL.search(payload)
    return symbol[1] if symbol else None


def canonical(symbol: str) -> str:
    """BTC-USD for BTC/USD."""
    return symbol.replace("/", "-")


# ---- instruments


class _Pair(msgspec.Struct):
    symbol: Symbol
    price_increment: Raw
    qty_increment: Raw


class _Reference(msgspec.Struct):
    pairs: list[Raw] = []


class _InstrumentFrame(msgspec.Struct):
    channel: Literal["instrument"]
    data: _Reference


_INSTRUMENTS = msgspec.json.Decoder(_InstrumentFrame)
_PAIR = msgspec.json.Decoder(_Pair)
_INCREMENT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?")


def instruments(payload: bytes) -> list[Instrument]:
    """The pairs that a message of the `instrument` channel tells of; unusable ones are left out."""
    try:
        raws = _INSTRUMENTS.decode(payload).data.pairs
    except MALFORMED as error:
        raise ParseError(f"expected channel instrument: {error}; found {payload[:120]!r}") from None
    return [found for found in map(_instrument, raws) if found is not None]


def _instrument(raw: Raw) -> Instrument | None:
    try:
        pair = _PAIR.decode(raw)
    except MALFORMED:
        return None
    tick, lot = _increment(pair.price_increment), _increment(pair.qty_increment)
    if not (tick and lot):
        return None
    return Instrument(symbol=pair.symbol, instrument=canonical(pair.symbol), tick=tick, lot=lot)


def _increment(raw: Raw) -> Decimal:
    """0.00000001 of 1e-08 too; 0 of what is no increment."""
    text = str(raw, "utf-8", "replace")
    if not _INCREMENT.fullmatch(text):
        return Decimal(0)
    fixed = f"{Decimal(text):f}"
    return Decimal(fixed.rstrip("0").rstrip(".") if "." in fixed else fixed)


# ---- live

# "wss://ws.kraken.com/v2"; the beta server is wss://beta-ws.kraken.com/v2. docs.kraken.com, 2026
WS_URL = "wss://ws.kraken.com"
REST_URL = "https://api.kraken.com"
PATH = "/v2"
# Limits are not published. Of the front end it is said that it bans an address for ten minutes after some 150
# connections in ten minutes (support.kraken.com, by others, 2025): stay below.
CONNECTS_MAX, CONNECTS_SPAN_S = 100, 600.0
STREAMS_MAX = 400  # our own: four each of a hundred symbols
# "Heartbeats are sent about once a second in the absence of any other channel updates", once something is followed.
SOCKET_SILENCE_S = 10.0
PING = b'{"method":"ping"}'

CRYPTO = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "DOGE/USD", "ADA/USD", "LTC/USD", "LINK/USD")
FOREX = ("EUR/USD", "GBP/USD", "AUD/USD", "USD/CAD", "USD/CHF", "USD/JPY", "EUR/GBP", "EUR/JPY")
SYMBOLS = CRYPTO + FOREX

# 25 levels of BTC/USD reach 0.03 % from the price (2026-08-02), a heatmap needs more than 1 %: the deepest book there
# is. It costs the connector 80 us a message where 100 levels cost 25 us, and a snapshot of 70 kB a symbol.
DEPTH = 1000

# The busiest books change many times a second; the others may rest for minutes, and trade after hours.
BUSIEST = CRYPTO[:5]
BOOK_SILENCE_S = dict.fromkeys(SYMBOLS, 600.0) | dict.fromkeys(BUSIEST, 30.0)
TRADE_SILENCE_S = dict.fromkeys(BUSIEST, 900.0)


class _HeadItem(msgspec.Struct, gc=False):
    symbol: str = ""
    timestamp: str = ""
    checksum: Annotated[int, Meta(ge=-1, le=2**32 - 1)] = -1
    bids: list[Level] = []
    asks: list[Level] = []
    trade_id: Annotated[int, Meta(ge=-1, le=2**63 - 1)] = -1
    system: str = ""


class _Followed(msgspec.Struct, gc=False):
    channel: str = ""
    depth: Annotated[int, Meta(ge=1, le=10**6)] | None = None


class _HeadFrame(msgspec.Struct, gc=False):
    channel: str = ""
    type: str = ""
    method: str = ""
    symbol: str = ""
    success: bool = True
    error: str | None = None
    result: _Followed | None = None
    data: list[_HeadItem] | _Reference | None = None


_HEAD = msgspec.json.Decoder(_HeadFrame)


def head(payload: bytes) -> Head:
    """What the connector needs of a frame. Raises ParseError. Cost: 2 us for a book message."""
    try:
        frame = _HEAD.decode(payload)
        if frame.channel == "book":
            return _book_head(frame)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if frame.channel in ("trade", "ohlc", "ticker"):
        return _data_head(frame)
    if frame.channel == "status":
        return Head(reply=_status(frame))
    refused = not frame.success or frame.error is not None
    return Head(instruments=frame.channel == "instrument", reply=_refusal(frame) if refused else None)


def _book_head(frame: _HeadFrame) -> Head:
    if not (isinstance(frame.data, list) and len(frame.data) == 1):
        raise ParseError(f"expected the book of one symbol, found {frame.type[:40]!r} of none or several")
    book = frame.data[0]
    return Head(
        f"book:{book.symbol}",
        ns_of(book.timestamp) if book.timestamp else 0,
        bids=_texts(book.bids),
        asks=_texts(book.asks),
        snapshot=frame.type == "snapshot",
        checksum=book.checksum,
    )


def _texts(levels: list[Level]) -> Levels:
    return [(str(level.price, "ascii"), str(level.qty, "ascii")) for level in levels]


def _data_head(frame: _HeadFrame) -> Head:
    """Past trades and bars bear no time of their own: that of a bar's message is not the matching engine's."""
    if not (isinstance(frame.data, list) and frame.data):
        return Head()
    symbol, last = frame.data[0].symbol, frame.data[-1]
    is_past = frame.channel == "ohlc" or (frame.channel == "trade" and frame.type == "snapshot")
    event_ns = ns_of(last.timestamp) if last.timestamp and not is_past else 0
    if frame.channel != "trade":
        return Head(f"{frame.channel}:{symbol}", event_ns)
    ids = [trade.trade_id for trade in frame.data if trade.symbol == symbol]
    return Head(f"trade:{symbol}", event_ns, min(ids), max(ids))


def depth_of(payload: bytes) -> int | None:
    """How many levels a side the book holds from its next snapshot on, as an acknowledged subscription says.

    0: the book is followed no longer. None: the payload is about no book. A snapshot does not say: of it the
    smallest depth there is that holds its levels.
    """
    try:
        frame = _HEAD.decode(payload)
    except MALFORMED:
        return None
    if frame.result and frame.success and frame.result.channel == "book":
        return {"subscribe": frame.result.depth, "unsubscribe": 0}.get(frame.method)
    if frame.channel == "book" and frame.type == "snapshot" and isinstance(frame.data, list) and frame.data:
        levels = max(len(frame.data[0].bids), len(frame.data[0].asks))
        return next((depth for depth in DEPTHS if depth >= levels), None)
    return None


# Refused for now, or followed already: the symbol is not at fault. The wording is not documented.
_PASSING = re.compile(r"already|\brate\b|exceeded|unavailable|timeout|try again|internal", re.IGNORECASE)


def _refusal(frame: _HeadFrame) -> Reply:
    """One answer for each symbol of a request: the others of the same request are followed."""
    error = (frame.error or "no reason given")[:200]
    lasting = frame.method == "subscribe" and not _PASSING.search(error)
    return Reply(refused=(frame.symbol,) if lasting and frame.symbol else (), error=error)


def _status(frame: _HeadFrame) -> Reply | None:
    """Said on connection and on change: online, or maintenance, cancel_only, limit_only, post_only."""
    system = frame.data[0].system if isinstance(frame.data, list) and frame.data else ""
    return None if system in ("", "online") else Reply(error=f"the venue's system is {system[:40]}")


def _streams(symbol: str) -> list[Stream]:
    return [
        Stream(f"book:{symbol}", symbol, PATH, book=True, silence_s=BOOK_SILENCE_S.get(symbol)),
        Stream(f"trade:{symbol}", symbol, PATH, book=False, silence_s=TRADE_SILENCE_S.get(symbol)),
        Stream(f"ohlc:{symbol}", symbol, PATH, book=False, silence_s=None),
        Stream(f"ticker:{symbol}", symbol, PATH, book=False, silence_s=None),
    ]


Ask = Callable[[Sequence[Stream]], list[bytes]]


def _asking(method: str, depth: int) -> Ask:
    """Frames that follow streams, or follow them no longer: one for each channel, of all its symbols.

    The instruments come with the tickers: once on a connection, and not when a book alone is asked for anew.
    """
    # "bbo: on a change in the best-bid-offer price levels": for the spread.
    params: dict[str, dict[str, object]] = {
        "book": {"depth": depth},
        "trade": {},
        "ohlc": {"interval": 1},
        "ticker": {"event_trigger": "bbo"},
    }

    def ask(streams: Sequence[Stream]) -> list[bytes]:
        symbols: dict[str, list[str]] = {}
        for stream in streams:
            symbols.setdefault(stream.name.partition(":")[0], []).append(stream.symbol)
        asked = [
            {"channel": channel, "symbol": symbols[channel], **params[channel]}
            for channel in params
            if channel in symbols
        ]
        if "ticker" in symbols:
            asked.insert(0, {"channel": "instrument"})
        return [msgspec.json.encode({"method": method, "params": each}) for each in asked]

    return ask


def kraken(depth: int = DEPTH) -> Market:
    """The market, its books of that many of `DEPTHS` levels a side."""
    return Market(
        name="kraken",
        wire=BookWire(Shape.OBJECTS, Rule.CHECKSUM, ROLES, ROUTES, UNTAGGED, depth_of),
        key_of=key_of,
        canonical=canonical,
        parse=parse,
        instruments=instruments,
        depths=DEPTHS,
        with_depth=kraken,
        trades=(TRADES,),
        live=Live(
            ws_url=WS_URL,
            rest_url=REST_URL,
            symbols=SYMBOLS,
            streams=_streams,
            socket_url=lambda path, _, __: path,
            streams_max=STREAMS_MAX,
            connection_s=inf,
            silence_s=SOCKET_SILENCE_S,
            head=head,
            connects_max=CONNECTS_MAX,
            connects_span_s=CONNECTS_SPAN_S,
            subscribe=_asking("subscribe", depth),
            unsubscribe=_asking("unsubscribe", depth),
            ping=PING,
        ),
    )


MARKETS = [kraken()]
