"""Binance spot: public market streams and REST book snapshots, parsed.

Sources: github.com/binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md, 2026-07-21. What the
USDT-M futures share is defined here and imported by `binance_futures`.

Frames come bare (`/ws`) or in the envelope `{"stream":...,"data":...}` (`/stream`). Use the envelope: best
quotes have no event type, and a bare partial book (`depth20`) looks like a REST snapshot, is taken for one.
Times are ms, or us from 1e14 on (`timeUnit=MICROSECOND`); only `parse` understands the latter.

Trades and liquidations bear the time of the fact (`T`), all else the event time (`E`).
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated
from urllib import parse as url

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

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
    Live,
    Market,
    ParseError,
    Request,
    Role,
    Route,
    Shape,
    Snapshot,
    Stream,
    Ticker,
    Trade,
    TradeKey,
    TradeRole,
    TradeTime,
    TradeWire,
)
from connectors.venue import Levels as LevelTexts

MICROSECONDS_FROM = 10**14
NS_MAX = 2**63 - 1

# Since 2026-06-30 the futures stack carries COIN-M too, whose quantities are contracts: `st` 1 = USD-M, 2 =
# COIN-M. developers.binance.com, CM-UM integration notice, 2026-06-10. Spot sends no `st`.
COIN_M = 2


# ---- where a book message keeps what the kernel needs

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "stream": Role.ROUTE,
        "e": Role.ROUTE,
        "E": Role.EVENT_TIME,
        "U": Role.FIRST_ID,
        "u": Role.LAST_ID,
        "lastUpdateId": Role.LAST_ID,
        "pu": Role.PREVIOUS_ID,
        "b": Role.BIDS,
        "bids": Role.BIDS,
        "a": Role.ASKS,
        "asks": Role.ASKS,
    }
)


def other(names: str) -> dict[str, Route]:
    """Routes of messages that are known and of no interest to the book; names separated by blanks."""
    return dict.fromkeys(names.split(), Route.OTHER)


# Channels of stream names, and event types, both as `channel_of` cuts them. The one that stands first in a
# frame judges it: a partial book of the futures has channel depth20 and event type depthUpdate.
ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "depth": Route.DEPTH,
        "depthUpdate": Route.DEPTH,
        "trade": Route.TRADE,
        "aggTrade": Route.TRADE,
        "kline": Route.BAR,
        **other("bookTicker depth5 depth10 depth20 blockTrade avgPrice referencePrice"),
        **other("miniTicker !miniTicker 24hrMiniTicker ticker !ticker 24hrTicker 1hTicker 4hTicker 1dTicker"),
        **other("serverShutdown !serverShutdown"),
    }
)

# `u` opens a bare best quote, `timezone` exchangeInfo; the others but lastUpdateId open answers to requests.
UNTAGGED: Mapping[str, Route] = MappingProxyType(
    {"lastUpdateId": Route.SNAPSHOT, **other("u timezone result id error code")}
)


def _trade_wire(kind: str, trade_id: str, *, aggregated: bool = False) -> TradeWire:
    """A trade in the envelope."""
    body = {
        "e": TradeKey(TradeRole.ONLY, {f'"{kind}"': 0}),
        "s": TradeKey(TradeRole.SYMBOL),
        trade_id: TradeKey(TradeRole.ID),
        "p": TradeKey(TradeRole.PRICE),
        "q": TradeKey(TradeRole.SIZE),
        "T": TradeKey(TradeRole.TIME),
        # Buyer is maker: the taker sold.
        "m": TradeKey(TradeRole.SIDE, {"true": -1, "false": 1}),
        # Of the futures: fills of the book, of USD-M contracts.
        "X": TradeKey(TradeRole.ONLY, {'"MARKET"': 0}, optional=True),
        "st": TradeKey(TradeRole.ONLY, {"1": 0}, optional=True),
    }
    head = {
        "stream": TradeKey(TradeRole.CHANNEL, {f"@{kind}": 0}),
        "data": TradeKey(TradeRole.DATA),
        "e": TradeKey(TradeRole.UNUSUAL),
    }
    # Ids of trades and of aggregates count up by one in all recordings and archives of both markets.
    return TradeWire(head=head, body=body, time=TradeTime.MS_OR_US, aggregated=aggregated, contiguous=True)


TRADES = (_trade_wire("aggTrade", "a", aggregated=True), _trade_wire("trade", "t"))


# ---- messages as they stand on the wire

# 28 digits are what Decimal keeps exactly in every operation of the default context.
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Positive = Annotated[str, Meta(pattern=r"\A(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Levels = list[tuple[Amount, Amount]]


class Message(msgspec.Struct, kw_only=True):
    """A message of the venue; `event` says it in the project's terms."""

    st: int = 1

    def event(self) -> Event | None:
        """The event; None, as here, for a message of no interest. Raises ParseError."""
        return None


class TradeMessage(Message, kw_only=True, tag_field="e", tag="trade"):
    """One fill; `m`, buyer is maker, means that the taker sold."""

    s: Symbol
    t: Id
    p: Positive
    q: Positive
    T: Id
    m: bool

    def event(self) -> Trade | None:
        """The trade."""
        return Trade(
            symbol=self.s,
            event_ns=ns_of(self.T),
            trade_id=self.t,
            price=Decimal(self.p),
            size=Decimal(self.q),
            side="sell" if self.m else "buy",
        )


class AggregateTradeMessage(Message, kw_only=True, tag_field="e", tag="aggTrade"):
    """The fills of one taker order at one price. On futures `q` counts RPI fills too, `nq` does not."""

    s: Symbol
    a: Id
    p: Positive
    q: Positive
    T: Id
    m: bool

    def event(self) -> Trade:
        """The trade, its id that of the aggregate."""
        return Trade(
            symbol=self.s,
            event_ns=ns_of(self.T),
            trade_id=self.a,
            price=Decimal(self.p),
            size=Decimal(self.q),
            side="sell" if self.m else "buy",
            aggregated=True,
        )


class BestQuoteMessage(Message, kw_only=True, tag_field="e", tag="bookTicker"):
    """Best bid and ask; spot sends neither `e` nor `E`."""

    s: Symbol
    b: Amount
    B: Amount
    a: Amount
    A: Amount
    E: Id | None = None

    def event(self) -> BestQuote:
        """The quote."""
        return BestQuote(
            symbol=self.s,
            event_ns=None if self.E is None else ns_of(self.E),
            bid=Decimal(self.b),
            bid_size=Decimal(self.B),
            ask=Decimal(self.a),
            ask_size=Decimal(self.A),
        )


class MiniTickerMessage(Message, kw_only=True, tag_field="e", tag="24hrMiniTicker"):
    """What the last 24 hours were like: close, open, high, low, volume in base and in quote currency."""

    s: Symbol
    E: Id
    c: Amount
    o: Amount
    h: Amount
    low: Amount = msgspec.field(name="l")
    v: Amount
    q: Amount

    def event(self) -> Ticker:
        """The statistics, in full; a price of 0 is that of a symbol that has not traded."""
        last, open_, high, low = (Decimal(x) or None for x in (self.c, self.o, self.h, self.low))
        return Ticker(
            symbol=self.s,
            event_ns=ns_of(self.E),
            delta=False,
            last=last,
            open=open_,
            high=high,
            low=low,
            volume=Decimal(self.v),
            quote_volume=Decimal(self.q),
        )


class Candle(msgspec.Struct, kw_only=True):
    """The `k` of a kline."""

    t: Id
    T: Id
    o: Positive
    h: Positive
    low: Positive = msgspec.field(name="l")
    c: Positive
    v: Amount
    q: Amount
    V: Amount
    n: Id
    x: bool


class KlineMessage(Message, kw_only=True, tag_field="e", tag="kline"):
    """A bar as it stands now; final when `x` is true."""

    s: Symbol
    k: Candle

    def event(self) -> Bar:
        """The bar, as long as its open and close times say: a month has no other length."""
        k = self.k
        open_ns = ns_of(k.t)
        interval_s = (ns_of(k.T) - open_ns + 1_000_000) // 1_000_000_000
        if interval_s <= 0:
            raise ParseError(f"expected a bar that closes after {k.t}, found {k.T}")
        return Bar(
            symbol=self.s,
            interval_s=interval_s,
            open_ns=open_ns,
            open=Decimal(k.o),
            high=Decimal(k.h),
            low=Decimal(k.low),
            close=Decimal(k.c),
            volume=Decimal(k.v),
            quote_volume=Decimal(k.q),
            buy_volume=Decimal(k.V),
            trades=k.n,
            closed=k.x,
        )


class DepthMessage(Message, kw_only=True, tag_field="e", tag="depthUpdate"):
    """Changed levels with their new sizes; `pu` on futures only."""

    s: Symbol
    E: Id
    U: Id
    u: Id
    b: Levels
    a: Levels
    pu: Id | None = None

    def event(self) -> Depth:
        """The changes."""
        return Depth(
            symbol=self.s,
            event_ns=ns_of(self.E),
            first_id=self.U,
            last_id=self.u,
            previous_id=self.pu,
            bids=_levels(self.b),
            asks=_levels(self.a),
            snapshot=False,
        )


class SnapshotMessage(Message, kw_only=True):
    """The answer to REST `depth`; `E` on futures only."""

    last_update_id: Id = msgspec.field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    E: Id | None = None

    def event(self) -> Depth:
        """The book's best levels, at most as many as were asked for."""
        return Depth(
            symbol=None,
            event_ns=None if self.E is None else ns_of(self.E),
            first_id=self.last_update_id,
            last_id=self.last_update_id,
            previous_id=None,
            bids=_levels(self.bids),
            asks=_levels(self.asks),
            snapshot=True,
        )


def ns_of(time: int) -> int:
    """A time of the venue, ms or (from 1e14 on) us UTC, in ns. Raises ParseError if ns do not fit 64 bits."""
    ns = time * (1_000 if time >= MICROSECONDS_FROM else 1_000_000)
    if ns > NS_MAX:
        raise ParseError(f"expected a time in ms or us, found {time}")
    return ns


def _levels(pairs: Levels) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in pairs]


# ---- payload -> events

Messages = Mapping[str, type[Message]]

# Channels and event types; then first keys of untagged messages.
MESSAGES: Messages = MappingProxyType(
    {
        "depth": DepthMessage,
        "depthUpdate": DepthMessage,
        "trade": TradeMessage,
        "aggTrade": AggregateTradeMessage,
        "bookTicker": BestQuoteMessage,
        "kline": KlineMessage,
        "miniTicker": MiniTickerMessage,
        "!miniTicker": MiniTickerMessage,
        "24hrMiniTicker": MiniTickerMessage,
    }
)
MESSAGES_UNTAGGED: Messages = MappingProxyType({"lastUpdateId": SnapshotMessage, "u": BestQuoteMessage})


class _Frame(msgspec.Struct):
    stream: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    e: str | UnsetType = UNSET


_FRAME = msgspec.json.Decoder(_Frame)
_RAWS = msgspec.json.Decoder(list[Raw])
_FIRST_KEY = re.compile(rb'\s*\{\s*"([^"\\\x00-\x1f\x80-\xff]{1,64})"\s*:')


def parser(routes: Mapping[str, Route], messages: Messages) -> Callable[[bytes], list[Event]]:
    """The `parse` of a market that knows these routes and these messages.

    It raises ParseError for what is malformed and also for what is not documented, so that a new event type
    of the venue is counted; a known message without a type in `messages` gives []. COIN-M messages are left
    out wherever they come: bare frames do not tell whether an all-market stream sent them.
    """
    tagged = {name: msgspec.json.Decoder(message) for name, message in messages.items()}
    untagged = {name: msgspec.json.Decoder(message) for name, message in MESSAGES_UNTAGGED.items()}

    def parse(payload: bytes) -> list[Event]:
        try:
            name, bodies = _open(payload)
            decoder = tagged.get(name) if name else untagged.get(first := _first_key(payload))
            if decoder is None:
                return _unread(name, routes) if name else _unread(first, UNTAGGED)
            said = [decoder.decode(body) for body in bodies]
        except MALFORMED as error:
            raise ParseError(f"{error}; found {payload[:120]!r}") from None
        events = [message.event() for message in said if message.st != COIN_M]
        return [event for event in events if event is not None]

    return parse


def _open(payload: bytes) -> tuple[str, list[Raw] | list[bytes]]:
    """Channel or event type, "" if untagged, and the messages it names."""
    if payload.startswith(b"["):
        bodies = _RAWS.decode(payload)
        return channel_of(_FRAME.decode(bodies[0]).e or "") if bodies else "", bodies
    frame = _FRAME.decode(payload)
    if frame.stream is UNSET:
        return channel_of(frame.e or ""), [payload]
    if frame.data is UNSET:
        raise ParseError(f"expected data beside stream, found {payload[:120]!r}")
    many = bytes(frame.data).startswith(b"[")
    return channel_of(frame.stream), _RAWS.decode(frame.data) if many else [frame.data]


def _first_key(payload: bytes) -> str:
    found = _FIRST_KEY.match(payload)
    return found[1].decode() if found else ""


def _unread(name: str, routes: Mapping[str, Route]) -> list[Event]:
    if name not in routes:
        raise ParseError(f"unknown event {name[:64]!r}")
    return []


def channel_of(name: str) -> str:
    """The channel in a stream's name, or an event type, cut as the kernel cuts them.

    `depth` of `btcusdt@depth@100ms`, `kline` of `btcusdt@kline_1m`, `!ticker` of `!ticker_1h@arr`,
    `continuous` of `continuous_kline`.
    """
    channel = name if name.startswith("!") else name.partition("@")[2] or name
    return channel.partition("@")[0].partition("_")[0]


# ---- payload -> key

_STREAM = re.compile(rb'"stream"\s*:\s*"([^"]{1,120})"')
_SYMBOL = re.compile(rb'"s"\s*:\s*"([^"]{1,64})"')


def key_of(payload: bytes) -> bytes | None:
    """Symbol in upper case, the name of a stream about many symbols, None if the payload names neither."""
    if payload.startswith(b'{"stream":"'):
        end = payload.find(b'"', 11, 140)
        return _key_of_stream(payload[11:end]) if end > 0 else None
    # Bare arrays are about many symbols and name no stream.
    if payload.startswith((b"[", b'{"lastUpdateId"')):
        return None
    if found := _STREAM.search(payload, 0, 256):
        return _key_of_stream(found[1])
    found = _SYMBOL.search(payload)
    return found[1].upper() if found else None


@lru_cache(maxsize=8192)
def _key_of_stream(stream: bytes) -> bytes | None:
    symbol, at, _ = stream.partition(b"@")
    if symbol.startswith(b"!") or not at:
        return stream or None
    return symbol.upper() or None


# ---- instruments

# Quote assets of api.binance.com/api/v3/exchangeInfo, 2021-10-12, and those listed since, to 2026.
_QUOTES = """
    BTC USDT BUSD BNB ETH USDC PAX EUR TUSD TRY BRL BIDR AUD GBP RUB BKRW NGN UAH ZAR DAI IDRT USDS USDP XRP
    TRX BVND VAI GYEN
    FDUSD EURI USD1 U UST DOGE SOL ARS COP CZK IDR JPY MXN PLN RON
"""
# Longest first: BTCFDUSD is quoted in FDUSD, not in a shorter name it also ends in.
QUOTES = tuple(sorted(_QUOTES.split(), key=len, reverse=True))


def canonical(symbol: str) -> str:
    """BTC-USDT for BTCUSDT, by the longest quote asset it ends in; the symbol itself if that is none."""
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}-{quote}"
    return symbol


class Filter(msgspec.Struct, rename="camel"):
    """One trading rule of a symbol; only PRICE_FILTER and LOT_SIZE are looked at."""

    filter_type: str
    tick_size: Amount | None = None
    step_size: Amount | None = None


class SymbolInfo(msgspec.Struct, rename="camel"):
    """One entry of exchangeInfo. Futures have a contract type, "" while there is no contract to trade."""

    symbol: Symbol
    base_asset: Symbol
    quote_asset: Symbol
    filters: list[Filter]
    contract_type: str | None = None


class _ExchangeInfo(msgspec.Struct):
    symbols: list[Raw]


_EXCHANGE_INFO = msgspec.json.Decoder(_ExchangeInfo)
_SYMBOL_INFO = msgspec.json.Decoder(SymbolInfo)


def instruments_by(name: Callable[[SymbolInfo], str]) -> Callable[[bytes], list[Instrument]]:
    """The `instruments` of a market, `name` giving canonical names; unusable symbols are left out."""

    def instruments(payload: bytes) -> list[Instrument]:
        try:
            raws = _EXCHANGE_INFO.decode(payload).symbols
        except MALFORMED as error:
            raise ParseError(f"expected exchangeInfo: {error}; found {payload[:120]!r}") from None
        found = (_instrument(raw, name) for raw in raws)
        return [instrument for instrument in found if instrument is not None]

    return instruments


def _instrument(raw: Raw, name: Callable[[SymbolInfo], str]) -> Instrument | None:
    try:
        info = _SYMBOL_INFO.decode(raw)
    except MALFORMED:
        return None
    filters = {filter_.filter_type: filter_ for filter_ in info.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    if price is None or lot is None or info.contract_type == "":
        return None
    # "0.00000000" switches a rule off.
    tick, step = _trimmed(price.tick_size or "0"), _trimmed(lot.step_size or "0")
    if not (tick and step):
        return None
    return Instrument(symbol=info.symbol, instrument=name(info), tick=tick, lot=step)


def _trimmed(text: str) -> Decimal:
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


# ---- live

# github.com/binance/binance-spot-api-docs, 2026-07-21. The hosts of market data alone need no key and answer
# where api.binance.com says 451.
WS_URL = "wss://data-stream.binance.vision"
REST_URL = "https://data-api.binance.vision"
# "A single connection can listen to a maximum of 1024 streams." "There is a limit of 300 connections per
# attempt every 5 minutes per IP." "A single connection ... is only valid for 24 hours."
STREAMS_MAX = 1024
CONNECTS_MAX, CONNECTS_SPAN_S = 300, 300.0
CONNECTION_S = 86_400.0
WEIGHT_PER_MINUTE = 6000
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT")

# Depth comes each 100 ms while the book changes; beyond half a minute without a change a book is suspect.
BOOK_SILENCE_S = 30.0
TRADE_SILENCE_S = 300.0
SOCKET_SILENCE_S = 10.0


class _Head(msgspec.Struct, gc=False):
    e: str = ""
    E: Id = 0
    U: Id = -1
    u: Id = -1
    pu: Id = -1
    t: Id | str | None = None
    a: LevelTexts | Id | str | None = None
    b: LevelTexts | Id | str | None = None


class _HeadFrame(msgspec.Struct, gc=False):
    stream: str = ""
    e: str = ""
    data: _Head | list[Raw] | str | None = None


_HEAD = msgspec.json.Decoder(_HeadFrame)
_HEADS = msgspec.json.Decoder(_Head)
_CLOSING = ("serverShutdown", "!serverShutdown")


def head(payload: bytes) -> Head:
    """What the connector needs of a frame in the envelope; a frame without one gives an empty head."""
    try:
        frame = _HEAD.decode(payload)
        data = frame.data
        if isinstance(data, list) and data:
            data = _HEADS.decode(data[0])
        if not isinstance(data, _Head):
            # "serverShutdown" warns that the connection is about to end; no lead time is promised.
            return Head(frame.stream, closing=frame.e in _CLOSING or frame.stream in _CLOSING)
        event_ns = ns_of(data.E)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if data.e == "depthUpdate" and isinstance(data.b, list) and isinstance(data.a, list):
        return Head(frame.stream, event_ns, data.U, data.u, data.pu, data.b, data.a)
    trade_id = data.a if data.e == "aggTrade" else data.t if data.e == "trade" else None
    if isinstance(trade_id, int):
        return Head(frame.stream, event_ns, trade_id, trade_id)
    return Head(frame.stream, event_ns, closing=data.e in _CLOSING or frame.stream in _CLOSING)


class _SnapshotHead(msgspec.Struct):
    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: LevelTexts
    asks: LevelTexts


_SNAPSHOT = msgspec.json.Decoder(_SnapshotHead)


def read_snapshot(payload: bytes) -> Snapshot:
    """The answer to `depth`."""
    try:
        found = _SNAPSHOT.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"expected a book snapshot: {error}; found {payload[:120]!r}") from None
    return Snapshot(found.last_update_id, found.bids, found.asks)


def socket_url(path: str, streams: list[str], _: str) -> str:
    """Streams are subscribed in the URL: no control message is sent, so their limits cannot be met."""
    return f"{path}?streams={'/'.join(streams)}"


def _streams(symbol: str) -> list[Stream]:
    name = symbol.lower()
    return [
        Stream(f"{name}@depth@100ms", symbol, "/stream", book=True, silence_s=BOOK_SILENCE_S),
        Stream(f"{name}@aggTrade", symbol, "/stream", book=False, silence_s=TRADE_SILENCE_S),
        # Each two seconds of a minute, whether there were trades or not.
        Stream(f"{name}@kline_1m", symbol, "/stream", book=False, silence_s=None),
    ]


def _instruments_request(symbols: list[str]) -> list[Request]:
    # The whole of it is over 10 MB. Asking for a symbol that does not exist is an error, code -1121.
    wanted = url.quote(msgspec.json.encode(symbols).decode(), safe="")
    return [Request(f"/api/v3/exchangeInfo?symbols={wanted}", weight=20)]


# rest-api.md, order book: limit 1-100, 101-500, 501-1000, 1001-5000.
_SNAPSHOT_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def snapshot_request(path: str, weights: tuple[tuple[int, int], ...]) -> Callable[[str, int], Request]:
    """The `snapshot` of a market; `weights` are (largest limit, its weight), ascending."""

    def request(symbol: str, limit: int) -> Request:
        weight = next(cost for most, cost in weights if limit <= most)
        return Request(f"{path}?symbol={url.quote(symbol, safe='')}&limit={limit}", weight)

    return request


LIVE = Live(
    ws_url=WS_URL,
    rest_url=REST_URL,
    symbols=SYMBOLS,
    streams=_streams,
    socket_url=socket_url,
    streams_max=STREAMS_MAX,
    connection_s=CONNECTION_S,
    silence_s=SOCKET_SILENCE_S,
    head=head,
    instruments=_instruments_request,
    snapshot=snapshot_request("/api/v3/depth", _SNAPSHOT_WEIGHTS),
    read_snapshot=read_snapshot,
    snapshot_limit=1000,
    snapshot_limit_max=5000,
    weight_per_minute=WEIGHT_PER_MINUTE,
    weight_header=WEIGHT_HEADER,
    connects_max=CONNECTS_MAX,
    connects_span_s=CONNECTS_SPAN_S,
)

MARKETS = [
    Market(
        name="binance_spot",
        wire=BookWire(shape=Shape.PAIRS, rule=Rule.NEXT_ID, roles=ROLES, routes=ROUTES, untagged=UNTAGGED),
        key_of=key_of,
        canonical=canonical,
        parse=parser(ROUTES, MESSAGES),
        instruments=instruments_by(lambda info: f"{info.base_asset}-{info.quote_asset}"),
        live=LIVE,
        trades=TRADES,
    )
]
