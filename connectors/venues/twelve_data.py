"""Twelve Data: last prices of forex, crypto and shares over its WebSocket, with a key. Prices only, never volume.

Sources: twelvedata.com/docs, WebSocket, read 2026-11; support.twelvedata.com for limits. What happens on a bad key
over the socket is not documented: an `error` status of any shape with code 401 or 403 counts as fatal, as does a
refused handshake.

`price` events tell the last price of a symbol, of a trade or not, without size or side: they are `Price`s, the time
in whole seconds. Numbers are JSON numbers, taken as the decimals they are written in.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    BookWire,
    Event,
    Head,
    Live,
    Market,
    ParseError,
    Price,
    Reply,
    Role,
    Route,
    Shape,
    Stream,
    no_instruments,
)

ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "price": Route.TRADE,
        **dict.fromkeys(
            ("subscribe-status", "unsubscribe-status", "reset-status", "heartbeat", "message-processing"),
            Route.OTHER,
        ),
    }
)
UNTAGGED: Mapping[str, Route] = MappingProxyType(dict.fromkeys(("code", "status", "message"), Route.OTHER))
WIRE = BookWire(
    shape=Shape.PAIRS,
    rule=Rule.NONE,
    roles=MappingProxyType({"event": Role.ROUTE, "timestamp": Role.EVENT_TIME}),
    routes=ROUTES,
    untagged=UNTAGGED,
)

SECONDS_MAX = 2**63 // 10**9 - 1
REFUSED_KEY = (401, 403)

Symbol = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9./:_-]{1,64}\Z")]
Seconds = Annotated[int, Meta(ge=0, le=SECONDS_MAX)]


class _PriceMessage(msgspec.Struct):
    symbol: Symbol
    timestamp: Seconds
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None


class _Named(msgspec.Struct):
    symbol: str = ""


class _Frame(msgspec.Struct):
    event: str | None = None
    status: str | None = None
    symbol: str = ""
    timestamp: int = 0
    code: int | None = None
    fails: list[_Named] | None = None


_FRAME = msgspec.json.Decoder(_Frame)
_PRICE = msgspec.json.Decoder(_PriceMessage)


def parse(payload: bytes) -> list[Event]:
    """The price a frame tells; [] for acknowledgements and heartbeats."""
    try:
        frame = _FRAME.decode(payload)
        if frame.event == "price":
            return [_price(_PRICE.decode(payload))]
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if frame.event in ROUTES or (frame.event is None and frame.status is not None):
        return []
    raise ParseError(f"unknown event {(frame.event or '')[:64]!r}")


def _price(said: _PriceMessage) -> Price:
    prices = (said.price, said.bid, said.ask)
    if not all(x is None or is_amount(x) for x in prices) or not said.price:
        raise ParseError(f"expected prices above zero, found {prices}")
    return Price(
        symbol=said.symbol,
        event_ns=said.timestamp * 10**9,
        price=said.price,
        bid=said.bid or None,
        ask=said.ask or None,
    )


def is_amount(x: Decimal) -> bool:
    """Whether a JSON number is a price or size of 28 digits at most, which every operation keeps exactly."""
    if not x.is_finite() or x.is_signed():
        return False
    _, digits, exponent = x.as_tuple()
    return isinstance(exponent, int) and len(digits) <= 28 and -28 <= exponent <= 15


def key_of(payload: bytes) -> bytes | None:
    """The symbol; None if the frame names none."""
    try:
        return _FRAME.decode(payload).symbol.encode() or None
    except MALFORMED:
        return None


def canonical(symbol: str) -> str:
    """EUR-USD for EUR/USD; what is no pair stays as it is."""
    return symbol.replace("/", "-").upper()


def head(payload: bytes) -> Head:
    """What the connector needs of a frame."""
    try:
        frame = _FRAME.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if frame.event == "price":
        if not 0 <= frame.timestamp <= SECONDS_MAX:
            raise ParseError(f"expected a time in seconds, found {frame.timestamp}")
        return Head(frame.symbol, frame.timestamp * 10**9)
    return Head(reply=_reply(frame))


def _reply(frame: _Frame) -> Reply | None:
    if frame.code in REFUSED_KEY:
        return Reply(error="the key was refused", fatal=True)
    refused = tuple(failed.symbol for failed in frame.fails or ())
    if refused:
        return Reply(refused=refused, error="not in the plan, or unknown")
    if frame.status == "error":
        return Reply(error=f"{frame.event or 'request'} refused")
    return None


# ---- live


def _control(action: str, streams: Sequence[Stream]) -> list[bytes]:
    symbols = ",".join(stream.symbol for stream in streams)
    return [msgspec.json.encode({"action": action, "params": {"symbols": symbols}})]


LIVE = Live(
    ws_url="wss://ws.twelvedata.com",
    rest_url="https://api.twelvedata.com",
    # "Basic and Grow: 1 connection, 8 symbols from a trial list."
    symbols=("EUR/USD", "GBP/USD", "USD/JPY", "USD/CHF", "AUD/USD", "USD/CAD", "NZD/USD", "EUR/GBP"),
    # Forex is silent from Friday to Sunday: no silence is suspect.
    streams=lambda symbol: [Stream(symbol, symbol, "/v1/quotes/price", book=False, silence_s=None)],
    socket_url=lambda path, _, key: f"{path}?apikey={quote(key, safe='')}",
    streams_max=1000,
    connection_s=float("inf"),
    silence_s=60.0,  # it answers the heartbeats it is sent
    head=head,
    # It names no limit of attempts; "up to 3 connections", of which older ones are closed.
    connects_max=30,
    connects_span_s=60.0,
    key_env="ISOTHERM_TWELVE_DATA_KEY",
    subscribe=lambda streams: _control("subscribe", streams),
    unsubscribe=lambda streams: _control("unsubscribe", streams),
    # "It is recommended to send a heartbeat every 10 seconds or so." At most 100 client events a minute.
    send_every_s=1.0,
    ping=b'{"action":"heartbeat"}',
    ping_s=10.0,
)

MARKETS = [
    Market(
        name="twelve_data",
        wire=WIRE,
        key_of=key_of,
        canonical=canonical,
        parse=parse,
        instruments=no_instruments,
        live=LIVE,
    )
]
