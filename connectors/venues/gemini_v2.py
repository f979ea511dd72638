"""Gemini's archived market data API, version 2: followed only by those who name it.

Source: docs.gemini.com, websocket, archived, market data version 2, 2026; recordings of 2021 and of 2026-08. The API of
2025 (`gemini`) replaces it; it answers still, and no date of its end is told. Instruments are those of `gemini`.

* The first `l2_updates` of a subscription is the whole book, told by `trades` and `auction_events`, which stand in no
  other. Its trades are the last 50 or 100, minutes to days old: the same that were told when they happened.
* There are no ids and book messages bear no time: nothing tells a lost message but a crossed book.
* Keys come in any order: `type` was first in 2021 and is last in 2026.
* Candles, mark prices and funding are subscriptions of their own: known, not followed, not read.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    BookWire,
    Depth,
    Event,
    Head,
    Levels,
    Live,
    Market,
    ParseError,
    Reply,
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
from connectors.venues import gemini
from connectors.venues.gemini import Amount, Id, Positive, Symbol

WIRE = BookWire(
    shape=Shape.SIDED,
    rule=Rule.NONE,
    roles=MappingProxyType(
        {
            "type": Role.ROUTE,
            "changes": Role.SIDES,
            "trades": Role.WHOLE,
            "auction_events": Role.WHOLE,
        }
    ),
    # Types are cut at the first underscore: l2_updates, candles_1m_updates, mark_price_updates, auction_result ...
    routes=MappingProxyType(
        {
            "l2": Route.DEPTH,
            "trade": Route.TRADE,
            **dict.fromkeys(("heartbeat", "candles", "mark", "funding", "auction"), Route.OTHER),
        }
    ),
    untagged=MappingProxyType({"result": Route.OTHER, "reason": Route.OTHER}),
)


TRADES = TradeWire(
    head={},
    body={
        "type": TradeKey(TradeRole.ONLY, {'"trade"': 0}),
        "symbol": TradeKey(TradeRole.SYMBOL),
        "timestamp": TradeKey(TradeRole.TIME),
        "price": TradeKey(TradeRole.PRICE),
        "quantity": TradeKey(TradeRole.SIZE),
        "side": TradeKey(TradeRole.SIDE, {'"buy"': 1, '"sell"': -1}),
        "tid": TradeKey(TradeRole.ID),
        "event_id": TradeKey(TradeRole.COUNT, optional=True),
        "eventid": TradeKey(TradeRole.UNUSUAL),
        "result": TradeKey(TradeRole.UNUSUAL),
    },
    time=TradeTime.MS,
    upper=True,
)


# ---- messages as they stand on the wire

Ms = Annotated[int, Meta(ge=0, le=(2**63 - 1) // 10**6)]
Side = Literal["buy", "sell"]


class TradeMessage(msgspec.Struct):
    """One fill; `side` is the taker's. `tid` is missing in 2021; one sample of the documents spells `eventid`."""

    symbol: Symbol
    timestamp: Ms
    price: Positive
    quantity: Positive
    side: Side
    tid: Id | None = None
    event_id: Id | None = None
    eventid: Id | None = None

    def event(self) -> Trade:
        """The trade."""
        ids = (each for each in (self.tid, self.event_id, self.eventid) if each is not None)
        trade_id = next(ids, None)
        if trade_id is None:
            raise ParseError("expected tid or event_id in a trade, found neither")
        return Trade(
            symbol=self.symbol.upper(),
            event_ns=self.timestamp * 1_000_000,
            trade_id=trade_id,
            price=Decimal(self.price),
            size=Decimal(self.quantity),
            side=self.side,
        )

    def events(self) -> list[Event]:
        """The trade."""
        return [self.event()]


class BookMessage(msgspec.Struct):
    """Changed levels with their new sizes, zero removes one; or all levels and the trades before."""

    symbol: Symbol
    changes: list[tuple[Side, Positive, Amount]]
    trades: list[TradeMessage] | UnsetType = UNSET
    auction_events: Raw | UnsetType = UNSET

    def events(self) -> list[Event]:
        """The changes or the book, then the trades."""
        book = Depth(
            symbol=self.symbol.upper(),
            event_ns=None,
            first_id=-1,
            last_id=-1,
            previous_id=None,
            bids=self._side("buy"),
            asks=self._side("sell"),
            snapshot=self.trades is not UNSET or self.auction_events is not UNSET,
        )
        return [book, *(trade.event() for trade in self.trades or ())]

    def _side(self, wanted: Side) -> list[tuple[Decimal, Decimal]]:
        return [(Decimal(price), Decimal(size)) for side, price, size in self.changes if side == wanted]


# ---- payload -> events


class _Type(msgspec.Struct):
    type: str | UnsetType = UNSET
    result: str | UnsetType = UNSET


_TYPE = msgspec.json.Decoder(_Type)
_BOOK = msgspec.json.Decoder(BookMessage)
_TRADE = msgspec.json.Decoder(TradeMessage)


def parse(payload: bytes) -> list[Event]:
    """The events of a frame; [] of a heartbeat and the like. Raises ParseError also for an unknown type."""
    try:
        told = _TYPE.decode(payload)
        if told.type is UNSET:
            return _answered(told, payload)
        channel = told.type.partition("_")[0]
        if channel == "l2":
            return _BOOK.decode(payload).events()
        if channel == "trade":
            return _TRADE.decode(payload).events()
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if channel not in WIRE.routes:
        raise ParseError(f"unknown type {told.type[:64]!r}")
    return []


def _answered(told: _Type, payload: bytes) -> list[Event]:
    if told.result is UNSET:
        raise ParseError(f"expected type or result, found {payload[:120]!r}")
    return []


_SYMBOL = re.compile(rb'"symbol"\s*:\s*"([^"\\]{1,64})"')


def key_of(payload: bytes) -> bytes | None:
    """Symbol in upper case; None if the payload names none."""
    found = _SYMBOL.search(payload)
    return found[1].upper() if found else None


# ---- live

# A heartbeat comes each 5 s.
SOCKET_SILENCE_S = 20.0
# Not documented.
CONNECTS_MAX, CONNECTS_SPAN_S = 20, 60.0


class _Head(msgspec.Struct, gc=False):
    type: str = ""
    symbol: str = ""
    timestamp: Ms = 0
    changes: Raw | UnsetType = UNSET
    trades: Raw | UnsetType = UNSET
    auction_events: Raw | UnsetType = UNSET
    result: str = ""
    reason: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_CHANGES = msgspec.json.Decoder(list[tuple[Side, str, str]])


def head(payload: bytes) -> Head:
    """What the connector needs of a frame: 1 us, and 0.2 us a level."""
    try:
        told = _HEAD.decode(payload)
        if told.type == "l2_updates":
            return _book_head(told)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if told.result == "error":
        # It does not say of which request.
        return Head(reply=Reply(error=told.reason[:200] or "error"))
    return Head(f"{told.symbol}@trade" if told.type == "trade" else "", told.timestamp * 1_000_000)


def _book_head(told: _Head) -> Head:
    changes = _CHANGES.decode(told.changes if told.changes is not UNSET else b"")
    return Head(
        f"{told.symbol}@l2",
        bids=_of_side("buy", changes),
        asks=_of_side("sell", changes),
        snapshot=told.trades is not UNSET or told.auction_events is not UNSET,
    )


def _of_side(wanted: Side, changes: list[tuple[Side, str, str]]) -> Levels:
    return [(price, size) for side, price, size in changes if side == wanted]


def _streams(symbol: str) -> list[Stream]:
    """One subscription brings both."""
    silence_s = gemini.BOOK_SILENCE_S if symbol in gemini.SYMBOLS else None
    return [
        Stream(f"{symbol}@l2", symbol, "/v2/marketdata", book=True, silence_s=silence_s),
        Stream(f"{symbol}@trade", symbol, "/v2/marketdata", book=False, silence_s=None),
    ]


def _requests(kind: str, streams: Sequence[Stream]) -> list[bytes]:
    """A symbol a frame: it is not documented what becomes of the others when one is unknown."""
    return [
        msgspec.json.encode({"type": kind, "subscriptions": [{"name": "l2", "symbols": [stream.symbol]}]})
        for stream in streams
        if stream.book
    ]


MARKETS = [
    Market(
        name="gemini_v2",
        wire=WIRE,
        key_of=key_of,
        canonical=gemini.canonical,
        parse=parse,
        instruments=gemini.instruments,
        trades=(TRADES,),
        live=Live(
            ws_url="wss://api.gemini.com",
            rest_url=gemini.REST_URL,
            symbols=gemini.SYMBOLS,
            streams=_streams,
            socket_url=lambda path, names, key: path,
            streams_max=gemini.STREAMS_MAX,
            connection_s=float("inf"),
            silence_s=SOCKET_SILENCE_S,
            head=head,
            connects_max=CONNECTS_MAX,
            connects_span_s=CONNECTS_SPAN_S,
            instruments=gemini.instrument_requests,
            weight_per_minute=gemini.WEIGHT_PER_MINUTE,
            subscribe=lambda streams: _requests("subscribe", streams),
            unsubscribe=lambda streams: _requests("unsubscribe", streams),
        ),
        by_default=False,
    )
]
