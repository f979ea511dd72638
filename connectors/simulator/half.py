"""What the simulated half of a venue says of itself; `halves` finds every one.

A venue's half is one file of this package; its `HALVES` lists the markets it plays. It is pure: it answers what a
client says, puts the events of the market into the venue's words, and has neither socket nor clock. `service` asks it.

Order. What happens in a step is sent when the step is over: `frames`, once for each event, to all who follow. A client
that follows a stream anew gets the answer to what it asked, then what `first` gives, then the frames of the step under
way: `Desk.state` is the book that they start from, without a gap and without a repeat.
"""

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from connectors.simulator import market as m
from connectors.simulator.symbols import Kind, Symbol
from connectors.simulator.texts import Texts

if TYPE_CHECKING:
    from connectors.simulator.api import WorldBar

DEMO_KEY = "simulated-key"  # the one that simulated venues with keys take


class Stream(NamedTuple):
    """What a client can follow."""

    name: str
    symbol: str  # the venue's; "": of all
    book: bool  # it carries a book's changes
    path: str  # of the socket that carries it; at any other it is silent


class State(NamedTuple):
    """A whole book: update id, tick -> lots of both sides, and its time."""

    update_id: int
    bids: dict[int, int]
    asks: dict[int, int]
    time_ms: int


class Desk(Protocol):
    """What a half may ask of its market."""

    @property
    def now_ms(self) -> int:
        """The venue's clock, wrong by its skew, if that is the fault of the day."""

    def state(self, symbol: str) -> State:
        """The book as the frames sent so far have told of it: what a stream begins with."""

    def snapshot(self, symbol: str) -> State:
        """The book for the answer to a request: taken in the midst of a step, or stale if that is the fault."""

    def bars(self, symbol: str) -> list[m.Bar]:
        """Minutes since the start, oldest first, the last one open."""

    def open_interest(self, symbol: str) -> int:
        """Lots held open (futures)."""

    def history(self, symbol: str, interval_s: int, from_ms: int, to_ms: int) -> "list[WorldBar]":
        """Bars that open within [from_ms, to_ms) and not after now, oldest first; the last may be open still.

        Up to five years back. Minutes that the market has played are its own bars, so that they agree with what
        streams have told; a minute without a trade is missing. The others are the world's, whose prices are on no
        grid. Forex is traded around the clock here.
        """


class RequestError(Exception):
    """A request, or a connection, that the venue refuses: HTTP status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body.decode(errors="replace"))
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Limits:
    """How a venue treats its clients; None: it does not."""

    ping_s: float | None = 20.0  # a protocol ping each
    heartbeat_s: float | None = None  # `Half.heartbeat` each
    messages_per_s: int | None = None  # over it, the connection is closed
    weight_per_minute: int = 60
    bans: bool = False  # requests that go on in spite of 429 lead to 418
    connection_s: float | None = None  # age at which a connection is closed


@dataclass(eq=False, slots=True)
class Client:
    """One connection, as the half sees it."""

    path: str  # without the market's base
    query: Mapping[str, str]
    streams: dict[str, None] = field(default_factory=dict)  # names it follows; `answer` changes them
    ready: bool = False  # logged in, where that is needed
    closing: bool = False  # to be closed once what was said to it is sent


Answer = Callable[[Mapping[str, str], Desk], bytes]


class Half:
    """The simulated half of one market. What is not defined here is silent, refused, or free."""

    name: str  # of the market: kraken
    kind: Kind = "spot"  # futures have marks, liquidations and open interest
    listed: tuple[Symbol, ...]  # by the venue's names
    paths: tuple[str, ...]  # of its WebSockets
    limits: Limits = Limits()
    # So much of the past is played, whatever is asked for; None: all; 0 where frames bear no time.
    past_s_max: int | None = 300
    depth: int | None = None  # levels a side that its clients hold by default; None: all
    used_header: str = ""  # tells the weight used
    # Decimals of prices and of sizes; None: as many as tick and lot have.
    price_decimals: int | None = None
    size_decimals: int | None = None

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        self.symbols = {x.symbol: x for x in symbols or self.listed}
        self.texts = {
            x.symbol: Texts(x.grid(self.kind), self.price_decimals, self.size_decimals)
            for x in self.symbols.values()
        }

    @classmethod
    def base(cls) -> str:
        """What stands before all its paths on the simulator: venues have paths in common."""
        return f"/{cls.name}"

    # ---- sockets

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """What is said to a new client; it may follow streams by its URL. Raises RequestError."""
        del client, desk
        return []

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Carry out what a client says; the answers."""
        raise NotImplementedError

    def stream(self, name: str) -> Stream:
        """What the name says. A stream that does not exist is one of no symbol, and silent."""
        raise NotImplementedError

    def first(self, stream: Stream, desk: Desk) -> list[bytes]:
        """What a stream begins with, each time a client begins to follow it: a snapshot, the last trades."""
        del stream, desk
        return []

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """(name of the stream, payload) of an event, for those of its streams that are `wanted`."""
        raise NotImplementedError

    def heartbeat(self, client: Client, time_ms: int) -> bytes | None:
        """What is said each `limits.heartbeat_s`."""
        del client, time_ms
        return None

    def notice(self, time_ms: int) -> bytes | None:
        """The warning that a connection is about to end; None: it ends without."""
        del time_ms
        return None

    # ---- requests

    @property
    def rest(self) -> Mapping[str, Answer]:
        """Answers by path. A part in braces, as in /v1/book/{symbol}, joins the query. They raise RequestError."""
        return {}

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs of `limits.weight_per_minute`; the least where it will be refused."""
        del path, query
        return 1

    def refusal(self, status: int) -> tuple[int, bytes]:
        """Status and body in which the venue says 429 or 418."""
        return status, b"{}"

    # ---- comparing

    def levels(self, symbol: str, side: dict[int, int]) -> list[tuple[str, str]]:
        """A side as texts, lowest price first."""
        texts = self.texts[symbol]
        return [(texts.price(tick), texts.size(lots)) for tick, lots in sorted(side.items())]


def chosen(half: type[Half], names: Collection[str]) -> list[Symbol]:
    """Of what a market lists, that of these names, or else that of the base assets they have at other venues.

    All, if there are no names.
    """
    exact = [x for x in half.listed if x.symbol in names or not names]
    if exact:
        return exact
    bases = {x.base for other in halves().values() for x in other.listed if x.symbol in names}
    return [x for x in half.listed if x.base in bases]


@cache
def halves() -> Mapping[str, type[Half]]:
    """Every market that can be simulated, by name: what the `HALVES` of the modules of this package list."""
    package = importlib.import_module("connectors.simulator")
    found: dict[str, type[Half]] = {}
    for module in pkgutil.iter_modules(package.__path__, "connectors.simulator."):
        for entry in getattr(importlib.import_module(module.name), "HALVES", ()):
            if entry.name in found:
                raise RuntimeError(f"two halves play a market named {entry.name!r}")
            found[entry.name] = entry
    return MappingProxyType(found)
