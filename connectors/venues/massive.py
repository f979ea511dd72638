"""Massive (until 2025 Polygon.io): crypto trades and bars, forex quotes and bars, with a key of a paid plan.

Sources: github.com/massive-com/client-python, .massive/websocket.json, 2026-07-09, and massive.com/docs. Every frame is
a JSON array of events. A pair comes as `BTC-USD` or `BTC/USD`, by cluster and age of the service: both are read, and
`BTC-USD` is the symbol.

Crypto trades come from several exchanges: an id is unique within one, so 64 bits of the hash of both are the id here.
Their aggressor stands among the conditions, 1 for sell and 2 for buy; without either it is unknown. Forex has no
trades: a quote is a `Price`, its price the middle of bid and ask; its bars count quotes, not volume.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from connectors.book_sync import Rule
from connectors.venue import (
    MALFORMED,
    Bar,
    BestQuote,
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
from connectors.venues.twelve_data import is_amount

ROUTES: Mapping[str, Route] = MappingProxyType(
    {"XT": Route.TRADE, "C": Route.TRADE}
    | dict.fromkeys(("XQ", "XA", "XAS", "XL2", "CA", "CAS", "FMV", "status"), Route.OTHER)
)
WIRE = BookWire(
    shape=Shape.PAIRS,
    rule=Rule.NONE,
    roles=MappingProxyType({"ev": Role.ROUTE}),
    routes=ROUTES,
    untagged=MappingProxyType({}),
)
MS_MAX = 2**63 // 10**6 - 1
SELL, BUY = 1, 2  # conditions of crypto trades

Pair = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]{1,16}[-/][A-Za-z0-9]{1,16}\Z")]
Ms = Annotated[int, Meta(ge=0, le=MS_MAX)]


class _TradeMessage(msgspec.Struct, tag_field="ev", tag="XT"):
    pair: Pair
    p: Decimal
    s: Decimal
    t: Ms
    i: int | str
    x: int
    c: list[int] | None = None

    def event(self) -> Trade:
        _check(self.p, self.s)
        sides: list[Literal["buy", "sell"]] = [
            side for code, side in _SIDES.items() if code in (self.c or ())
        ]
        return Trade(
            symbol=symbol_of(self.pair),
            event_ns=self.t * 10**6,
            trade_id=int.from_bytes(blake2b(f"{self.x} {self.i}".encode(), digest_size=8).digest()),
            price=self.p,
            size=self.s,
            side=sides[0] if len(sides) == 1 else "unknown",
        )


_SIDES: dict[int, Literal["buy", "sell"]] = {SELL: "sell", BUY: "buy"}


class _QuoteMessage(msgspec.Struct, tag_field="ev", tag="XQ"):
    pair: Pair
    bp: Decimal
    bs: Decimal
    ap: Decimal
    ask_size: Decimal = msgspec.field(name="as")
    t: Ms

    def event(self) -> BestQuote:
        _check(self.bp, self.bs, self.ap, self.ask_size)
        return BestQuote(
            symbol=symbol_of(self.pair),
            event_ns=self.t * 10**6,
            bid=self.bp,
            bid_size=self.bs,
            ask=self.ap,
            ask_size=self.ask_size,
        )


class _ForexQuoteMessage(msgspec.Struct, tag_field="ev", tag="C"):
    p: Pair
    b: Decimal
    a: Decimal
    t: Ms

    def event(self) -> Price:
        _check(self.b, self.a)
        return Price(
            symbol=symbol_of(self.p),
            event_ns=self.t * 10**6,
            price=(self.b + self.a) / 2,
            bid=self.b,
            ask=self.a,
        )


class _BarMessage(msgspec.Struct, tag_field="ev", tag="XA"):
    pair: Pair
    o: Decimal
    h: Decimal
    low: Decimal = msgspec.field(name="l")
    c: Decimal
    v: Decimal
    s: Ms
    e: Ms | None = None  # the vendor's examples of forex bars lack it
    vw: Decimal | None = None

    def event(self) -> Bar:
        _check(self.o, self.h, self.low, self.c)
        end_ms = self.end_ms
        if end_ms <= self.s or not is_amount(self.v) or not (self.vw is None or is_amount(self.vw)):
            raise ParseError(
                f"expected a bar with a volume that ends after {self.s}, found {end_ms}, {self.v}"
            )
        return Bar(
            symbol=symbol_of(self.pair),
            interval_s=(end_ms - self.s) // 1000,
            open_ns=self.s * 10**6,
            open=self.o,
            high=self.h,
            low=self.low,
            close=self.c,
            volume=self.volume(),
            quote_volume=None if self.vw is None else self.v * self.vw,
            buy_volume=None,
            trades=None,
            # It is sent when it is over.
            closed=True,
        )

    @property
    def end_ms(self) -> int:
        second = str(self.__struct_config__.tag).endswith("S")
        return self.s + (1000 if second else 60_000) if self.e is None else self.e

    def volume(self) -> Decimal | None:
        return self.v


class _SecondMessage(_BarMessage, tag_field="ev", tag="XAS"):
    """As the bar of a minute."""


class _ForexBarMessage(_BarMessage, tag_field="ev", tag="CA"):
    """Its `v` counts quotes."""

    def volume(self) -> Decimal | None:
        return None


class _ForexSecondMessage(_ForexBarMessage, tag_field="ev", tag="CAS"):
    """As the bar of a minute."""


class _Status(msgspec.Struct, tag_field="ev", tag="status"):
    status: str = ""
    message: str = ""

    def event(self) -> None:
        return None


class _Other(msgspec.Struct):
    ev: str


_Message = (
    _TradeMessage | _QuoteMessage | _ForexQuoteMessage | _BarMessage | _SecondMessage | _ForexBarMessage
    | _ForexSecondMessage | _Status
)  # fmt: skip
_MESSAGE = msgspec.json.Decoder(_Message)
_OTHER = msgspec.json.Decoder(_Other)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_UNREAD = ("XL2", "FMV")


def _check(*amounts: Decimal) -> None:
    if not all(is_amount(x) and x for x in amounts):
        raise ParseError(f"expected prices and sizes above zero, found {amounts}")


def _messages(payload: bytes) -> list[_Message]:
    try:
        raws = _RAWS.decode(payload)
        return [_MESSAGE.decode(raw) for raw in raws if not _is_unread(raw)]
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None


def _is_unread(raw: msgspec.Raw) -> bool:
    return _OTHER.decode(raw).ev in _UNREAD


def parse(payload: bytes) -> list[Event]:
    """All events of a frame; [] for a status."""
    found = (message.event() for message in _messages(payload))
    return [event for event in found if event is not None]


def symbol_of(pair: str) -> str:
    """BTC-USD for BTC/USD and for itself."""
    return pair.replace("/", "-").upper()


_PAIR = re.compile(rb'"pair"\s*:\s*"([^"]{1,40})"|"ev"\s*:\s*"C"[^}]*?"p"\s*:\s*"([^"]{1,40})"')


def key_of(payload: bytes) -> bytes | None:
    """The symbol; None for a frame of none or of several."""
    pairs = {(one or other).replace(b"/", b"-").upper() for one, other in _PAIR.findall(payload)}
    return pairs.pop() if len(pairs) == 1 else None


def canonical(symbol: str) -> str:
    """The symbol itself: EUR-USD."""
    return symbol.upper()


# ---- live


def head(payload: bytes) -> Head:
    """What the connector needs of a frame. One about several pairs is of the first one's stream."""
    messages = _messages(payload)
    first = messages[0] if messages else None
    if isinstance(first, _Status):
        return Head(reply=_reply([x for x in messages if isinstance(x, _Status)]))
    if isinstance(first, _TradeMessage | _QuoteMessage):
        channel = "XT" if isinstance(first, _TradeMessage) else "XQ"
        return Head(f"{channel}.{symbol_of(first.pair)}", first.t * 10**6)
    if isinstance(first, _ForexQuoteMessage):
        return Head(f"C.{symbol_of(first.p)}", first.t * 10**6)
    if isinstance(first, _BarMessage):
        channel = str(first.__struct_config__.tag)
        return Head(f"{channel}.{symbol_of(first.pair)}", first.end_ms * 10**6)
    return Head()


def _reply(said: Sequence[_Status]) -> Reply | None:
    words = {x.status for x in said}
    if "auth_success" in words:
        return Reply(ready=True)
    if words & {"auth_failed", "auth_timeout"}:
        return Reply(error="the key was refused", fatal=True)
    if words & {"error", "max_connections", "not_authorized"}:
        return Reply(error=f"the venue says {sorted(words)[0]}", fatal="not_authorized" in words)
    return None


def _streams(cluster: str) -> Callable[[str], list[Stream]]:
    path, channels = f"/{cluster}", ("XT", "XA") if cluster == "crypto" else ("C", "CA")

    def streams(symbol: str) -> list[Stream]:
        return [Stream(f"{x}.{symbol}", symbol, path, book=False, silence_s=None) for x in channels]

    return streams


def _control(action: str, streams: Sequence[Stream]) -> list[bytes]:
    names = ",".join(stream.name for stream in streams)
    return [msgspec.json.encode({"action": action, "params": names})]


def _live(cluster: str, symbols: tuple[str, ...]) -> Live:
    return Live(
        ws_url="wss://socket.massive.com",
        rest_url="https://api.massive.com",
        symbols=symbols,
        streams=_streams(cluster),
        socket_url=lambda path, _, __: path,
        streams_max=1000,
        connection_s=float("inf"),
        silence_s=180.0,  # bars of a minute keep an open market from silence; a closed one is met again and again
        head=head,
        # "One connection per cluster per account"; it names no limit of attempts.
        connects_max=30,
        connects_span_s=60.0,
        key_env="ISOTHERM_MASSIVE_KEY",
        login=lambda key: msgspec.json.encode({"action": "auth", "params": key}),
        subscribe=lambda streams: _control("subscribe", streams),
        unsubscribe=lambda streams: _control("unsubscribe", streams),
    )


def _market(cluster: str, symbols: tuple[str, ...]) -> Market:
    return Market(
        name=f"massive_{cluster}",
        wire=WIRE,
        key_of=key_of,
        canonical=canonical,
        parse=parse,
        instruments=no_instruments,
        live=_live(cluster, symbols),
    )


CRYPTO = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "ADA-USD", "LTC-USD", "LINK-USD")
FOREX = (
    "EUR-USD", "GBP-USD", "USD-JPY", "USD-CHF", "AUD-USD", "USD-CAD", "NZD-USD", "EUR-GBP", "EUR-JPY",
)  # fmt: skip
MARKETS = [_market("crypto", CRYPTO), _market("forex", FOREX)]
