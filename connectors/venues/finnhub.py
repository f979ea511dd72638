"""Finnhub: trades of crypto exchanges and last prices of forex over one WebSocket, with a key.

Sources: finnhub.io/docs/api, WebSocket trades, and github.com/Finnhub-Stock-API/finnhub-python, 2025-09-26. Not
documented there, so taken with care: how many symbols a free key may follow (50 are said), and the text of errors.

A print bears symbol, price, size and time in ms, no side and no id. One of size 0 is a price update of a source
without volume (forex, some crypto): a `Price`. One with a size is a trade whose aggressor is unknown. Its id is 64 bits
of a hash of all that it says and of how many equal prints stand before it in the frame: told again it is the same
trade, at the price that equal prints of one millisecond in two frames are one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
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
    Trade,
    no_instruments,
)
from connectors.venues.binance_spot import canonical as pair_of
from connectors.venues.twelve_data import is_amount

ROUTES: Mapping[str, Route] = MappingProxyType(
    {"trade": Route.TRADE, "ping": Route.OTHER, "error": Route.OTHER}
)
WIRE = BookWire(
    shape=Shape.PAIRS,
    rule=Rule.NONE,
    roles=MappingProxyType({"type": Role.ROUTE}),
    routes=ROUTES,
    untagged=MappingProxyType({}),
)
MS_MAX = 2**63 // 10**6 - 1

Symbol = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9./:_-]{1,64}\Z")]


class _Print(msgspec.Struct):
    s: Symbol
    p: Decimal
    t: Annotated[int, Meta(ge=0, le=MS_MAX)]
    v: Decimal = Decimal(0)


class _Frame(msgspec.Struct):
    type: str
    data: list[_Print] | None = None
    msg: str = ""


_FRAME = msgspec.json.Decoder(_Frame)


def _decode(payload: bytes) -> _Frame:
    try:
        frame = _FRAME.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None
    if frame.type not in ROUTES:
        raise ParseError(f"unknown event {frame.type[:64]!r}")
    if frame.type == "trade" and frame.data is None:
        raise ParseError(f"expected data, found {payload[:120]!r}")
    return frame


def parse(payload: bytes) -> list[Event]:
    """Trades and prices of a frame; [] for pings and errors."""
    frame = _decode(payload)
    if frame.type != "trade" or frame.data is None:
        return []
    equals: Counter[tuple[str, int, Decimal, Decimal]] = Counter()
    events = []
    for said in frame.data:
        what = (said.s, said.t, said.p, said.v)
        events.append(_event(said, equals[what]))
        equals[what] += 1
    return events


def _event(said: _Print, equals: int) -> Event:
    if not (is_amount(said.p) and said.p and is_amount(said.v)):
        raise ParseError(f"expected a price above zero and a size, found {said.p} and {said.v}")
    if not said.v:
        return Price(symbol=said.s, event_ns=said.t * 10**6, price=said.p)
    told = f"{said.s} {said.t} {said.p} {said.v} {equals}"
    return Trade(
        symbol=said.s,
        event_ns=said.t * 10**6,
        trade_id=int.from_bytes(blake2b(told.encode(), digest_size=8).digest()),
        price=said.p,
        size=said.v,
        side="unknown",
    )


def key_of(payload: bytes) -> bytes | None:
    """The symbol; None for a frame of none or of several."""
    try:
        symbols = {said.s for said in _decode(payload).data or ()}
    except ParseError:
        return None
    return symbols.pop().encode() if len(symbols) == 1 else None


def canonical(symbol: str) -> str:
    """BTC-USDT for BINANCE:BTCUSDT, EUR-USD for OANDA:EUR_USD; another symbol stays as it is."""
    source, _, name = symbol.upper().rpartition(":")
    return name.replace("_", "-").replace("/", "-") if source != "BINANCE" else pair_of(name)


def head(payload: bytes) -> Head:
    """What the connector needs of a frame. One about several symbols is of the first one's stream."""
    frame = _decode(payload)
    if frame.type == "error":
        said = frame.msg.lower()
        fatal = "api key" in said or "token" in said or "access" in said
        return Head(
            reply=Reply(error="the key was refused" if fatal else "refused by the venue", fatal=fatal)
        )
    if not frame.data:
        return Head()
    return Head(frame.data[0].s, max(said.t for said in frame.data) * 10**6)


# ---- live


def _control(kind: str, streams: Sequence[Stream]) -> list[bytes]:
    return [msgspec.json.encode({"type": kind, "symbol": stream.symbol}) for stream in streams]


LIVE = Live(
    ws_url="wss://ws.finnhub.io",
    rest_url="https://finnhub.io",
    symbols=(
        *(
            "OANDA:EUR_USD",
            "OANDA:GBP_USD",
            "OANDA:USD_JPY",
            "OANDA:USD_CHF",
            "OANDA:AUD_USD",
            "OANDA:USD_CAD",
        ),
        *("BINANCE:BTCUSDT", "BINANCE:ETHUSDT"),
    ),
    streams=lambda symbol: [Stream(symbol, symbol, "/", book=False, silence_s=None)],
    socket_url=lambda path, _, key: f"{path}?token={quote(key, safe='')}",
    streams_max=50,
    connection_s=float("inf"),
    silence_s=150.0,  # {"type":"ping"} comes about once a minute
    head=head,
    # One open connection a key: the older one is closed. "30 API calls/second".
    connects_max=30,
    connects_span_s=60.0,
    key_env="ISOTHERM_FINNHUB_KEY",
    subscribe=lambda streams: _control("subscribe", streams),
    unsubscribe=lambda streams: _control("unsubscribe", streams),
)

MARKETS = [
    Market(
        name="finnhub",
        wire=WIRE,
        key_of=key_of,
        canonical=canonical,
        parse=parse,
        instruments=no_instruments,
        live=LIVE,
    )
]
