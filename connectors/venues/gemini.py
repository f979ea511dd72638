"""Gemini: spot books and trades over its WebSocket API of 2025, and its instruments.

Sources: docs.gemini.com/websocket {introduction, streams, message-format}, version 0.10.7, 2026. How a book begins and
goes on stands in its AsyncAPI document and SDK, read here in the notes of others of 2026-09-15 only, who also watched
the live service for minutes. The archived market data API is `gemini_v2`. Times are ns.

* A request is refused as a whole if one of its streams is, so each symbol has one of its own, which names it.
* No message is for snapshots alone: with `?snapshot=-1` the first `depthUpdate` after subscribing holds the whole
  book. It bears no mark but its ids, `U == u`; in every change seen (5,489) `U` was the `u` before, and below `u`.
* Ids are those of one count over all symbols; a `U` above the last `u` is a gap.
* `lastUpdateId` is the form of the partial books (`@depth20`), with `symbol` or, as documented, without. Neither is
  followed; should a snapshot come so, it is taken for one.
* Trades and best quotes have no `e`: the first key tells them.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated
from urllib import parse as url

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    BestQuote,
    BookWire,
    Depth,
    Event,
    Head,
    Instrument,
    Live,
    Market,
    ParseError,
    Reply,
    Request,
    Role,
    Route,
    Shape,
    Stream,
    Trade,
    TradeKey,
    TradeRole,
    TradeTime,
    TradeWire,
)
from connectors.venue import Levels as LevelTexts

WIRE = BookWire(
    shape=Shape.PAIRS,
    rule=Rule.OVERLAP,
    roles=MappingProxyType(
        {
            "e": Role.ROUTE,
            "E": Role.EVENT_TIME,
            "U": Role.FIRST_ID,
            "u": Role.LAST_ID,
            "lastUpdateId": Role.WHOLE,
            "b": Role.BIDS,
            "bids": Role.BIDS,
            "a": Role.ASKS,
            "asks": Role.ASKS,
        }
    ),
    # The two streams of the perpetuals are not documented.
    routes=MappingProxyType(
        {"depthUpdate": Route.DEPTH, "markPrice": Route.OTHER, "fundingAmount": Route.OTHER}
    ),
    untagged=MappingProxyType(
        {
            "lastUpdateId": Route.DEPTH,
            "E": Route.TRADE,
            "u": Route.OTHER,
            "id": Route.OTHER,
            "status": Route.OTHER,
        }
    ),
)


TRADES = TradeWire(
    head={},
    body={
        "E": TradeKey(TradeRole.TIME),
        "s": TradeKey(TradeRole.SYMBOL),
        "t": TradeKey(TradeRole.ID),
        "p": TradeKey(TradeRole.PRICE),
        "q": TradeKey(TradeRole.SIZE),
        "m": TradeKey(TradeRole.SIDE, {"true": -1, "false": 1}),
        **dict.fromkeys(("e", "id", "status", "lastUpdateId", "B"), TradeKey(TradeRole.UNUSUAL)),
    },
    time=TradeTime.NS,
    upper=True,
)


# ---- messages as they stand on the wire

# 28 digits are what Decimal keeps exactly in every operation of the default context; ns of 2001 and later.
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Ns = Annotated[int, Meta(ge=10**18, le=2**63 - 1)]
Amount = Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Positive = Annotated[str, Meta(pattern=r"\A(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z", max_length=28)]
Levels = list[tuple[Positive, Amount]]


class DepthMessage(msgspec.Struct):
    """Changed levels with their new sizes, zero removes one; or all levels, when `U == u`."""

    E: Ns
    s: Symbol
    U: Id
    u: Id
    b: Levels
    a: Levels

    def event(self) -> Depth:
        """The changes, or the book."""
        if self.u < self.U:
            raise ParseError(f"expected U up to u, found {self.U} and {self.u}")
        return Depth(
            symbol=self.s.upper(),
            event_ns=self.E,
            first_id=self.U,
            last_id=self.u,
            previous_id=None,
            bids=_levels(self.b),
            asks=_levels(self.a),
            snapshot=self.u == self.U,
        )


class SnapshotMessage(msgspec.Struct):
    """The form of partial books; it bears no time."""

    last_update_id: Id = msgspec.field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    s: Symbol | None = None
    symbol: Symbol | None = None

    def event(self) -> Depth:
        """The book."""
        symbol = self.s or self.symbol
        return Depth(
            symbol=symbol.upper() if symbol else None,
            event_ns=None,
            first_id=self.last_update_id,
            last_id=self.last_update_id,
            previous_id=None,
            bids=_levels(self.bids),
            asks=_levels(self.asks),
            snapshot=True,
        )


class TradeMessage(msgspec.Struct):
    """One fill; `m`, buyer is maker, means that the taker sold."""

    E: Ns
    s: Symbol
    t: Id
    p: Positive
    q: Positive
    m: bool

    def event(self) -> Trade:
        """The trade."""
        return Trade(
            symbol=self.s.upper(),
            event_ns=self.E,
            trade_id=self.t,
            price=Decimal(self.p),
            size=Decimal(self.q),
            side="sell" if self.m else "buy",
        )


class BestQuoteMessage(msgspec.Struct):
    """Best bid and ask."""

    E: Ns
    s: Symbol
    b: Amount
    B: Amount
    a: Amount
    A: Amount

    def event(self) -> BestQuote:
        """The quote."""
        return BestQuote(
            symbol=self.s.upper(),
            event_ns=self.E,
            bid=Decimal(self.b),
            bid_size=Decimal(self.B),
            ask=Decimal(self.a),
            ask_size=Decimal(self.A),
        )


def _levels(pairs: Levels) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in pairs]


# ---- payload -> events


class _Keys(msgspec.Struct):
    """The keys that tell kinds of messages apart."""

    e: str | UnsetType = UNSET
    id: str | int | UnsetType | None = UNSET
    status: int | UnsetType = UNSET
    last_update_id: Raw | UnsetType = msgspec.field(name="lastUpdateId", default=UNSET)
    B: Raw | UnsetType = UNSET
    t: Raw | UnsetType = UNSET


Message = DepthMessage | SnapshotMessage | TradeMessage | BestQuoteMessage

_KEYS = msgspec.json.Decoder(_Keys)
_DECODERS: Mapping[type[Message], msgspec.json.Decoder[Message]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (DepthMessage, SnapshotMessage, TradeMessage, BestQuoteMessage)
}


def parse(payload: bytes) -> list[Event]:
    """The event of a frame; [] of an answer to a request. Raises ParseError also for what is not documented."""
    try:
        kind = _kind(_KEYS.decode(payload))
        message = _DECODERS[kind].decode(payload) if kind else None
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    return [message.event()] if message else []


def _kind(keys: _Keys) -> type[Message] | None:
    if keys.e is not UNSET:
        if keys.e not in WIRE.routes:
            raise ParseError(f"unknown event {keys.e[:64]!r}")
        return DepthMessage if keys.e == "depthUpdate" else None
    if keys.id is not UNSET or keys.status is not UNSET:
        return None
    if keys.last_update_id is not UNSET:
        return SnapshotMessage
    if keys.B is not UNSET:
        return BestQuoteMessage
    if keys.t is not UNSET:
        return TradeMessage
    raise ParseError("expected e, id, lastUpdateId, B or t to tell the kind of a message, found none of them")


_SYMBOL = re.compile(rb'"(?:s|symbol)"\s*:\s*"([^"\\]{1,64})"')


def key_of(payload: bytes) -> bytes | None:
    """Symbol in upper case; None if the payload names none."""
    found = _SYMBOL.search(payload)
    return found[1].upper() if found else None


# ---- instruments

_QUOTES = "USD USDC USDT GUSD RLUSD DAI EUR GBP SGD HKD BTC ETH SOL FIL BCH LTC"
QUOTES = tuple(sorted(_QUOTES.split(), key=len, reverse=True))
# Bases that end as a quote asset begins: PAXGUSD is quoted in USD, not in GUSD.
_BASES_IN_G = ("PAXG", "USDG")


def canonical(symbol: str) -> str:
    """BTC-USD for BTCUSD, BTC-USDC-PERP for BTCUSDCPERP; the symbol itself if it ends in no known quote asset."""
    pair = symbol.removesuffix("PERP")
    suffix = "-PERP" if pair != symbol else ""
    for base in _BASES_IN_G:
        if pair == f"{base}USD":
            return f"{base}-USD{suffix}"
    for quote in QUOTES:
        if pair.endswith(quote) and pair != quote:
            return f"{pair.removesuffix(quote)}-{quote}{suffix}"
    return symbol


class _Details(msgspec.Struct):
    """`/v1/symbols/details`: `tick_size` is the step of sizes, `quote_increment` that of prices."""

    symbol: Symbol
    base_currency: Symbol
    quote_currency: Symbol
    tick_size: Decimal
    quote_increment: Decimal
    product_type: str = "spot"


_DETAILS = msgspec.json.Decoder(_Details)
_STEP_MIN, _STEP_MAX = Decimal("1e-12"), Decimal("1e12")


def instruments(payload: bytes) -> list[Instrument]:
    """The instrument that an answer to `/v1/symbols/details/{symbol}` tells, whatever its status.

    One contract of a perpetual is one of its base currency. [] if a step is of no use.
    """
    try:
        told = _DETAILS.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"expected details of a symbol: {error}; found {payload[:120]!r}") from None
    tick, lot = told.quote_increment, told.tick_size
    if not all(step.is_finite() and _STEP_MIN <= step <= _STEP_MAX for step in (tick, lot)):
        return []
    name = f"{told.base_currency}-{told.quote_currency}{'-PERP' if told.product_type == 'swap' else ''}"
    return [Instrument(symbol=told.symbol.upper(), instrument=name.upper(), tick=tick, lot=lot)]


def instrument_requests(symbols: list[str]) -> list[Request]:
    """One request a symbol: nothing tells of all."""
    return [Request(f"/v1/symbols/details/{url.quote(symbol.lower(), safe='')}", 1) for symbol in symbols]


# ---- live

REST_URL = "https://api.gemini.com"
# docs.gemini.com, rate limits: public requests 120 a minute.
WEIGHT_PER_MINUTE = 120
SYMBOLS = ("BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD", "DOGEUSD")
# No limit is documented; 20 streams on a connection have been seen.
STREAMS_MAX = 20
# What the request `conninfo` answers.
CONNECTS_MAX, CONNECTS_SPAN_S = 300, 300.0
PING_S = 20.0
# Nothing is sent while a book stands still, which of a pair of little trade may be hours.
BOOK_SILENCE_S = 120.0


class _Error(msgspec.Struct):
    code: int | str = 0
    msg: str = ""


class _Head(msgspec.Struct, gc=False):
    e: str = ""
    E: Id = 0
    s: str = ""
    U: Id = -1
    u: Id = -1
    b: LevelTexts | str | None = None
    a: LevelTexts | str | None = None
    t: int | str | None = None
    id: str | int | None = None
    status: int = 0
    error: _Error | None = None
    last_update_id: Id = msgspec.field(name="lastUpdateId", default=-1)
    symbol: str = ""
    bids: LevelTexts = []
    asks: LevelTexts = []


_HEAD = msgspec.json.Decoder(_Head)


def head(payload: bytes) -> Head:
    """What the connector needs of a frame: 0.6 us, and 0.1 us a level."""
    try:
        told = _HEAD.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if told.e == "depthUpdate":
        if told.u < 0 or told.U < 0 or not isinstance(told.b, list) or not isinstance(told.a, list):
            raise ParseError(f"expected ids and both sides of a book, found {payload[:120]!r}")
        whole = told.u == told.U
        return Head(f"{told.s}@depth@100ms", told.E, told.U, told.u, bids=told.b, asks=told.a, snapshot=whole)
    if told.status:
        return Head(reply=_reply(told))
    if told.last_update_id >= 0:
        return _snapshot_head(told)
    return Head(f"{told.s}@trade" if told.t is not None else "", told.E)


def _snapshot_head(told: _Head) -> Head:
    symbol, last_id = (told.s or told.symbol).lower(), told.last_update_id
    stream = f"{symbol}@depth@100ms" if symbol else ""
    return Head(stream, told.E, last_id, last_id, bids=told.bids, asks=told.asks, snapshot=True)


_SUBSCRIBE, _UNSUBSCRIBE = "subscribe", "unsubscribe"
# message-format: -1013 parameters, -1020 not supported; others (-1000 internal, -1003 too many requests) may pass.
_BAD_REQUEST = 400
_FORBIDDEN = (401, 403)


def _reply(told: _Head) -> Reply | None:
    if told.status < _BAD_REQUEST:
        return None
    request = told.id if isinstance(told.id, str) else ""
    refused = told.status == _BAD_REQUEST and request.startswith(_SUBSCRIBE)
    reason = f"{told.error.code} {told.error.msg}"[:200] if told.error else ""
    return Reply(
        refused=(request.removeprefix(_SUBSCRIBE),) if refused else (),
        error=reason or f"status {told.status}",
        fatal=told.status in _FORBIDDEN,
    )


def _streams(symbol: str) -> list[Stream]:
    name, silence_s = symbol.lower(), BOOK_SILENCE_S if symbol in SYMBOLS else None
    return [
        Stream(f"{name}@depth@100ms", symbol, "/", book=True, silence_s=silence_s),
        Stream(f"{name}@trade", symbol, "/", book=False, silence_s=None),
    ]


def _requests(method: str, streams: Sequence[Stream]) -> list[bytes]:
    names: dict[str, list[str]] = {}
    for stream in streams:
        names.setdefault(stream.symbol, []).append(stream.name)
    return [
        msgspec.json.encode({"id": f"{method}{symbol}", "method": method, "params": params})
        for symbol, params in names.items()
    ]


MARKETS = [
    Market(
        name="gemini",
        wire=WIRE,
        key_of=key_of,
        canonical=canonical,
        parse=parse,
        instruments=instruments,
        trades=(TRADES,),
        live=Live(
            ws_url="wss://ws.gemini.com",
            rest_url=REST_URL,
            symbols=SYMBOLS,
            streams=_streams,
            socket_url=lambda path, names, key: f"{path}?snapshot=-1",
            streams_max=STREAMS_MAX,
            connection_s=float("inf"),
            # Answers to pings, when nothing else is said.
            silence_s=3 * PING_S,
            head=head,
            connects_max=CONNECTS_MAX,
            connects_span_s=CONNECTS_SPAN_S,
            instruments=instrument_requests,
            weight_per_minute=WEIGHT_PER_MINUTE,
            subscribe=lambda streams: _requests(_SUBSCRIBE, streams),
            unsubscribe=lambda streams: _requests(_UNSUBSCRIBE, streams),
            ping=b'{"id":"ping","method":"ping"}',
            ping_s=PING_S,
        ),
    )
]
