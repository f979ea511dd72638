"""What a WebSocket venue says about itself: its markets, how its book travels, how its frames parse.

A venue is one file in `connectors.venues`; its `MARKETS` lists what it serves. A market (`binance_spot`,
`binance_futures`) is one raw topic, one continuity rule and one way of writing levels. Everything here is
pure: no socket, no clock.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from functools import cache
from types import MappingProxyType
from typing import Literal

import msgspec

from connectors.book_sync import Rule


class Shape(IntEnum):
    """How a venue writes the levels of one side."""

    PAIRS = 0  # [["61737.6","0.012"], ...]
    OBJECTS = 1  # [{"price":61737.6,"qty":0.01200000}, ...]: numbers whose trailing zeros count
    SIDED = 2  # one array for both sides: [["buy","61737.6","0.012"], ["sell", ...], ...]


class Role(IntEnum):
    """What a key of a book message means to the kernel. Keys are looked at wherever they stand."""

    ROUTE = 0  # names the channel or event: `stream`, `e`, `topic`
    EVENT_TIME = 1  # venue event time: UTC in ms, us or ns, told by its magnitude, or RFC 3339 text
    FIRST_ID = 2  # U
    LAST_ID = 3  # u, lastUpdateId
    PREVIOUS_ID = 4  # pu
    BIDS = 5
    ASKS = 6
    SIDES = 7  # one array for both sides (Shape.SIDED)
    CHECKSUM = 8  # of the book after the message
    KIND = 9  # its value is "snapshot" where the message replaces the book
    # Where the key stands, whatever its value, the message replaces the book; an integer there is its LAST_ID too.
    WHOLE = 10


class Route(IntEnum):
    """Which kind of message a line carries."""

    UNKNOWN = 0  # dead-lettered and counted
    DEPTH = 1
    SNAPSHOT = 2
    TRADE = 3  # of the tape: trades, and prices of a source that has no trades
    OTHER = 4  # known, of no interest to books and tape: best quotes, acknowledgements ...
    SUBSCRIPTION = 5  # an answer to a request to follow, or to follow no longer, one symbol's book
    BAR = 6  # of the tape: bars as they grow
    DERIVATIVE = 7  # of the tape: liquidations, mark and index prices, funding, open interest


@dataclass(frozen=True, slots=True)
class BookWire:
    """Where the fields of a book message lie.

    `routes` maps the channel (`depth` of `btcusdt@depth@100ms`, or an event type) to its kind; a message
    without a ROUTE key is judged by its first key in `untagged`. Names are matched by their first 8 bytes.

    A venue's snapshots come by REST (Route.SNAPSHOT) or in the stream itself: a DEPTH message that roles KIND
    or WHOLE mark, or whose ids tell it under Rule.OVERLAP, replaces the book. Where no key has role EVENT_TIME,
    the receive time stands for the event's.
    """

    shape: Shape
    rule: Rule
    roles: Mapping[str, Role]
    routes: Mapping[str, Route]
    untagged: Mapping[str, Route]
    # None: the venue tells of the whole book. Else it tells of the best levels a side only, and forgets the others
    # without a word; how many, from a payload that says so (a snapshot, a SUBSCRIPTION), None from one that does not.
    depth: Callable[[bytes], int | None] | None = None

    @property
    def timed(self) -> bool:
        """Whether book messages bear the venue's time."""
        return Role.EVENT_TIME in self.roles.values()

    @property
    def in_stream(self) -> bool:
        """Whether snapshots come in the stream of updates."""
        marks = {Role.KIND, Role.WHOLE}
        return self.rule is Rule.OVERLAP or not marks.isdisjoint(self.roles.values())


class TradeRole(IntEnum):
    """What a key of a message of trades means to the kernel, and how its value is written."""

    SYMBOL = 0  # text
    PRICE = 1  # a decimal above 0: text, or a number where the wire has `numbers`
    SIZE = 2  # the same, in base currency
    SIDE = 3  # of the taker: one of the key's words
    TIME = 4  # as the wire's `time` says
    ID = 5  # an integer; with `text_ids` text: a number, or a UUID, of which the first 64 bits count
    ONLY = 6  # one of the key's words, nothing else
    BEGINS = 7  # text that begins with one of them
    CHANNEL = 8  # text that ends with one of them, which begins with its only '@'
    DATA = 9  # the trade, or the array of trades
    COUNT = 10  # an integer from 0 on
    UNUSUAL = 11  # where it stands the message is for `parse`
    SENT = 12  # a time in ms above 0 that is not the trade's


class TradeTime(IntEnum):
    """How the time of a trade is written."""

    MS = 0
    MS_OR_US = 1  # us from 1e14 on
    NS = 2  # from 1e18 on
    RFC3339 = 3  # text: seconds in UTC with up to nine decimals and a Z


@dataclass(frozen=True, slots=True)
class TradeKey:
    """One key. `words` are JSON as it stands on the wire, quotes included, up to 16 bytes: what each means to SIDE."""

    role: TradeRole
    words: Mapping[str, int] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeWire:
    """One form of a message of trades, for the kernel to read without `Market.parse`, which stays the truth.

    What is not written in this form exactly, without white space and escapes, is left to `parse`. Keys that are not
    named here (names of up to 16 bytes) may hold any scalar: `parse` must not look at them.
    """

    head: Mapping[str, TradeKey]  # keys beside DATA; empty: the payload is the trade
    body: Mapping[str, TradeKey]  # keys of a trade
    time: TradeTime
    aggregated: bool = False  # see Trade
    contiguous: bool = False  # ids of a symbol rise by one: a jump is a loss
    many: bool = False  # DATA is an array
    numbers: bool = False  # price and size are numbers, not text
    text_ids: bool = False
    upper: bool = False  # symbols are meant in upper case


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What the payload of an `!instrument` line holds. Prices in quote, sizes in base currency."""

    symbol: str  # the venue's
    instrument: str  # canonical: BTC-USDT, BTC-USDT-PERP, EUR-USD
    tick: Decimal
    lot: Decimal
    bin_step: Decimal | None = (
        None  # price width of a heatmap bin, a multiple of tick; None: chosen from the first price
    )
    contract_size: Decimal = Decimal(1)
    inferred: bool = False  # tick and lot come from a snapshot's digits, not from the venue


def side_by(side: str) -> str:
    """Who says that the aggressor's side is `side`, where nobody infers it: the venue, or nobody."""
    return "none" if side == "unknown" else "told"


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade; `side` is the aggressor's (taker's), unknown where the source does not tell."""

    symbol: str
    event_ns: int
    trade_id: int  # the venue's; of a UUID its first 64 bits
    price: Decimal
    size: Decimal
    side: Literal["buy", "sell", "unknown"]
    aggregated: bool = False  # several fills of one taker order at one price in one message

    @property
    def side_by(self) -> str:
        """Who says what `side` is, as the column of that name has it."""
        return side_by(self.side)


class BestQuote(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask; `event_ns` is None where the venue sends no time."""

    symbol: str
    event_ns: int | None
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar [open_ns, open_ns + interval_s), labelled by its open time; volumes in base and quote currency.

    None is what the source does not tell: bars of prices have no volume at all.
    """

    symbol: str
    interval_s: int
    open_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    quote_volume: Decimal | None
    buy_volume: Decimal | None
    trades: int | None
    closed: bool


class MarkPrice(msgspec.Struct, frozen=True, kw_only=True):
    """Mark and index price and the funding rate of the current period."""

    symbol: str
    event_ns: int
    mark: Decimal
    index: Decimal | None
    funding_rate: Decimal | None
    next_funding_ns: int | None


class Liquidation(msgspec.Struct, frozen=True, kw_only=True):
    """A forced order. `liquidated_side` is the position's: venues mean opposite things by their side field."""

    symbol: str
    event_ns: int
    liquidated_side: Literal["long", "short"]
    price: Decimal
    size: Decimal
    complete: bool  # False: the venue publishes a sample


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A last price without a trade: no size, no side. It feeds prices and bars, never volume."""

    symbol: str
    event_ns: int
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None


class Ticker(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of an instrument as a venue pushes them; None is not told, which in a delta means unchanged."""

    symbol: str
    event_ns: int
    delta: bool  # to be merged over what was told before
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    mark: Decimal | None = None
    index: Decimal | None = None
    funding_rate: Decimal | None = None  # of the current period
    next_funding_ns: int | None = None
    open_interest: Decimal | None = None  # base currency
    open: Decimal | None = None  # 24 hours ago; as the four below over the last 24 hours
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None  # base currency
    quote_volume: Decimal | None = None

    def over(self, told: "Ticker | None") -> "Ticker":
        """This ticker merged over what was told before it, whole if that was; itself if it is no delta."""
        if not self.delta or told is None:
            return self
        found = {name: getattr(self, name) for name in self.__struct_fields__ if name != "delta"}
        return msgspec.structs.replace(
            told, **{name: value for name, value in found.items() if value is not None}
        )


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """A book message as Python objects: for tests and tools. The flow's kernel reads the bytes itself."""

    symbol: str | None  # a REST snapshot names none
    event_ns: int | None
    first_id: int
    last_id: int
    previous_id: int | None
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    snapshot: bool
    checksum: int | None = None


Event = Trade | BestQuote | Bar | MarkPrice | Liquidation | Price | Ticker | Depth


class ParseError(ValueError):
    """A frame is not what the venue documents: the one error a market's functions raise on input."""


# What decoding JSON raises on bytes from outside. RecursionError: arrays nested thousands deep.
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


Levels = list[tuple[str, str]]  # price and size as the wire writes them


class Reply(msgspec.Struct, frozen=True):
    """What an answer of the venue says of what was asked of it over a socket."""

    ready: bool = False  # the login, where there is one, was accepted: subscriptions may follow
    refused: tuple[str, ...] = ()  # symbols that it will not send
    error: str = ""  # why; or what else it complains of. Never a key.
    fatal: bool = False  # the key, the plan or the address is refused: trying again soon is of no use


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a connector must know of a frame while it passes it on. Ids are those of a book message or a trade."""

    stream: str = ""  # "": the frame names none
    event_ns: int = 0  # 0: it bears no time
    first_id: int = -1  # -1: no id that counts up without gaps
    last_id: int = -1
    previous_id: int = -1
    bids: Levels = []
    asks: Levels = []
    closing: bool = False  # the venue will close the connection soon
    snapshot: bool = False  # a book message that replaces the book
    checksum: int = -1  # of the book after the message; -1: none
    instruments: bool = False  # `Market.instruments` reads the frame
    reply: Reply | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A book as REST gives it, best levels first."""

    update_id: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Stream:
    """One subscription of a symbol."""

    name: str  # btcusdt@depth@100ms
    symbol: str
    path: str  # of the socket that carries it
    book: bool  # it carries the diffs of the symbol's book
    silence_s: float | None  # silence beyond this is suspect; None: hours of it are usual


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request: path with query, without secrets, and what it costs of the venue's budget."""

    path: str
    weight: int

    @property
    def origin(self) -> bytes:
        """How its answer's line names it."""
        return b"GET:" + self.path.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """How a market is reached while it runs, and what it bears. Functions raise nothing but ParseError.

    Streams are followed by the socket's URL, or by the frames that `subscribe` gives. A book that needs a snapshot
    asks for one by REST where `snapshot` is given; else its stream is left and followed anew.
    """

    ws_url: str
    rest_url: str
    symbols: tuple[str, ...]  # those followed by default
    streams: Callable[[str], list[Stream]]  # of a symbol
    socket_url: Callable[
        [str, list[str], str], str
    ]  # path, stream names, key ("" without) -> path with query
    streams_max: int  # on one connection
    connection_s: float  # the venue closes a connection of this age; inf: it names none
    silence_s: float  # a socket without any frame for so long is taken for dead
    head: Callable[[bytes], Head]
    connects_max: int  # attempts per IP address in `connects_span_s`
    connects_span_s: float
    # Of symbols; `Market.instruments` reads the answers. None: no request tells them.
    instruments: Callable[[list[str]], list[Request]] | None = None
    weight_per_minute: int = 60  # of requests, per IP address
    weight_header: str = ""  # what the venue says was used of it; "": it does not
    # REST snapshots: symbol and limit; `read_snapshot` reads the answer. None: snapshots come in the stream.
    snapshot: Callable[[str, int], Request] | None = None
    read_snapshot: Callable[[bytes], Snapshot] | None = None
    snapshot_limit: int = 0  # of the first snapshot of a book
    snapshot_limit_max: int = 0  # of one that is to show more of it
    # Control frames. Frames of `subscribe` name their symbol or streams, so that `head` can tell who was refused.
    key_env: str | None = None  # environment variable of the key without which the venue tells nothing
    login: Callable[[str], bytes] | None = None  # key -> first frame; subscriptions wait for Reply.ready
    subscribe: Callable[[Sequence[Stream]], list[bytes]] | None = None
    unsubscribe: Callable[[Sequence[Stream]], list[bytes]] | None = None
    send_every_s: float = 0.2  # between two control frames
    ping: bytes | None = None  # sent every `ping_s`; protocol pings are answered in any case
    ping_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Market:
    """One market of a venue; its functions raise nothing but ParseError."""

    name: str  # binance_futures: topic `raw.binance_futures`, column `venue`
    wire: BookWire
    key_of: Callable[[bytes], bytes | None]  # payload -> record key; None: it names no symbol
    canonical: Callable[[str], str]  # the venue's symbol -> canonical instrument
    parse: Callable[[bytes], list[Event]]  # payload -> events; [] for acknowledgements and the like
    instruments: Callable[[bytes], list[Instrument]]  # exchangeInfo or its like -> instruments
    live: Live
    trades: tuple[TradeWire, ...] = ()  # forms of its trades that the kernel reads itself
    # A market that lets choose how many levels a side its books have: the choices, and this market with another one.
    depths: tuple[int, ...] = ()
    with_depth: "Callable[[int], Market] | None" = None
    by_default: bool = True  # followed where the user names no market; a second API of one venue is not

    @property
    def topic(self) -> str:
        """Name of the market's raw topic."""
        return f"raw.{self.name}"

    def at_depth(self, levels: int) -> "Market":
        """This market, its books of that many levels a side.

        Raises:
            DepthError: it does not offer them.
        """
        if self.with_depth is None or levels not in self.depths:
            offered = (
                f"one of {', '.join(map(str, self.depths))}" if self.depths else "none: it has no choice"
            )
            raise DepthError(f"expected as depth of {self.name} {offered}, found {levels}")
        return self.with_depth(levels)

    @property
    def has_book(self) -> bool:
        """Whether it sends order books; else trades or prices only."""
        return Route.DEPTH in self.wire.routes.values()


def no_instruments(payload: bytes) -> list[Instrument]:
    """The `instruments` of a market that nothing tells instruments of."""
    raise ParseError(f"no answer of this venue tells instruments, found {payload[:120]!r}")


class DepthError(ValueError):
    """A market has no books of that many levels."""


class UnknownMarketError(LookupError):
    """No venue serves a market of this name; the message lists those there are."""


@cache
def markets() -> Mapping[str, Market]:
    """Every market by name: what the `MARKETS` of the modules of `connectors.venues` list."""
    package = importlib.import_module("connectors.venues")
    found: dict[str, Market] = {}
    for module in pkgutil.iter_modules(package.__path__, "connectors.venues."):
        for entry in importlib.import_module(module.name).MARKETS:
            if entry.name in found:
                raise RuntimeError(f"two venues serve a market named {entry.name!r}")
            found[entry.name] = entry
    return MappingProxyType(found)


def market(name: str) -> Market:
    """The market of that name.

    Raises:
        UnknownMarketError: there is none.
    """
    known = markets()
    if name not in known:
        raise UnknownMarketError(f"expected one of the markets {', '.join(sorted(known))}, found {name!r}")
    return known[name]
