"""Toys of the venues that are followed by frames, a market for each rule; their exchange; and a naive reader.

A book's snapshot comes in its stream, after the acknowledgement of its subscription. `t` is missing where the rule
is NONE, which stands for a venue without any mark of time or order.
"""

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from connectors.book_sync import Rule
from connectors.record import Line
from connectors.venue import (
    BookWire,
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
    market,
)
from tests.connectors.toy_venue import ToyBook

MS = 1_000_000
DEPTHS = {Rule.CONSECUTIVE: 20, Rule.CHECKSUM: 10}  # the others tell of the whole book
NUMBERED = (Rule.NEXT_ID, Rule.CONSECUTIVE, Rule.OVERLAP)
KEY_ENV = "ISOTHERM_TOY_KEY"
Level = tuple[int, Decimal, Decimal]  # side, price, size


class _Object(msgspec.Struct):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Frame(msgspec.Struct):
    ch: str = ""
    ack: str = ""
    sym: str = ""
    kind: str = ""
    t: int = 0
    U: int = -1
    u: int = -1
    b: list[tuple[str, str] | _Object] = []
    a: list[tuple[str, str] | _Object] = []
    crc: int = -1
    id: int = -1
    depth: int | None = None
    error: str = ""
    fatal: bool = False
    listed: list[Instrument] = []


def decode(payload: bytes) -> _Frame:
    try:
        return msgspec.json.decode(payload, type=_Frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(error)) from None


def texts(levels: list[tuple[str, str] | _Object]) -> Levels:
    """Price and size as they are written."""
    return [
        (bytes(level.price).decode(), bytes(level.qty).decode()) if isinstance(level, _Object) else level
        for level in levels
    ]


def head(payload: bytes) -> Head:
    frame = decode(payload)
    if frame.ack:
        refused = (frame.sym,) if frame.error and frame.sym else ()
        return Head(reply=Reply(frame.ack == "login" and not frame.error, refused, frame.error, frame.fatal))
    stream = f"{frame.ch}:{frame.sym}" if frame.sym else ""
    return Head(
        stream, frame.t * MS, frame.U if frame.ch == "book" else frame.id, max(frame.u, frame.id), -1,
        texts(frame.b), texts(frame.a),
        closing=frame.ch == "bye", snapshot=frame.kind == "snapshot", checksum=frame.crc,
        instruments=frame.ch == "instruments",
    )  # fmt: skip


def control(op: str, streams: Sequence[Stream]) -> list[bytes]:
    """A frame for every two streams."""
    names = [stream.name for stream in streams]
    return [json.dumps({"op": op, "streams": names[at : at + 2]}).encode() for at in range(0, len(names), 2)]


def toy(rule: Rule, *, keyed: bool = False, symbols_a_socket: int = 100, books: bool = True) -> Market:
    """A market followed by frames, whose book goes by that rule; one without books sends trades alone."""
    roles = {"ch": Role.ROUTE, "ack": Role.ROUTE, "kind": Role.KIND, "b": Role.BIDS, "a": Role.ASKS}
    roles |= {} if rule == Rule.NONE else {"t": Role.EVENT_TIME}
    roles |= {"crc": Role.CHECKSUM} if rule == Rule.CHECKSUM else {}
    roles |= {"u": Role.LAST_ID} if rule in NUMBERED else {}
    roles |= {"U": Role.FIRST_ID} if rule in NUMBERED and rule != Rule.CONSECUTIVE else {}
    routes = {"book": Route.DEPTH, "trade": Route.TRADE}
    routes |= dict.fromkeys(("instruments", "bye", "login", "pong", "error"), Route.OTHER)
    routes |= dict.fromkeys(("subscribe", "unsubscribe"), Route.SUBSCRIPTION)
    depth = DEPTHS.get(rule)

    def streams(symbol: str) -> list[Stream]:
        found = [Stream(f"trade:{symbol}", symbol, "/v9", book=False, silence_s=None)]
        return [Stream(f"book:{symbol}", symbol, "/v9", book=True, silence_s=5.0), *found] if books else found

    return Market(
        name=f"toy_{rule.name.lower()}",
        wire=BookWire(
            Shape.OBJECTS if rule == Rule.CHECKSUM else Shape.PAIRS, rule, roles, routes, {},
            depth=(lambda payload: decode(payload).depth) if depth else None,
        ),
        key_of=_key_of,
        canonical=market("binance_spot").canonical,
        parse=lambda _: [],
        instruments=lambda payload: decode(payload).listed,
        live=Live(
            ws_url="wss://toy.example", rest_url="", symbols=("BTCUSDT",), streams=streams,
            socket_url=lambda path, _, key: f"{path}?key={key}" if key else path,
            streams_max=symbols_a_socket * len(streams("X")), connection_s=float("inf"), silence_s=10.0, head=head,
            connects_max=300, connects_span_s=300.0, key_env=KEY_ENV if keyed else None,
            login=(lambda key: json.dumps({"op": "login", "key": key}).encode()) if keyed else None,
            subscribe=lambda found: control("subscribe", found),
            unsubscribe=lambda found: control("unsubscribe", found),
            send_every_s=0.1, ping=b'{"op":"ping"}', ping_s=3.0,
        ),
    )  # fmt: skip


def _key_of(payload: bytes) -> bytes | None:
    try:
        return decode(payload).sym.encode() or None
    except ParseError:
        return None


RULES = [Rule.NEXT_ID, Rule.CONSECUTIVE, Rule.CHECKSUM, Rule.NONE, Rule.OVERLAP]


class ToyStream(ToyBook):
    """The true book of one symbol; what a client hears of it, cut to the depth."""

    def __init__(self, seed: int, rule: Rule, symbol: str = "BTCUSDT") -> None:
        super().__init__(seed, rule, symbol)
        self.depth = DEPTHS.get(rule)

    def top(self) -> tuple[dict[int, int], dict[int, int]]:
        bids, asks = sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
        return dict(bids[: self.depth]), dict(asks[: self.depth])

    def levels(self) -> set[Level]:
        return {(side, Decimal(p), Decimal(q)) for side, top in enumerate(self.top()) for p, q in top.items()}

    def update(self, *, named: bool = True) -> bytes:
        """Change the book; the message that tells it."""
        self.time_ms += 100
        before = self.top()
        self._change(self.bids, range(self.mid - 60, self.mid))
        self._change(self.asks, range(self.mid + 1, self.mid + 61))
        sides = zip(before, self.top(), (self.bids, self.asks), strict=True)
        return self._message("update", [self._changes(*side) for side in sides], named=named)

    def whole(self, *, named: bool = True, crossed: bool = False) -> bytes:
        """The book as it is; or with a bid above the asks."""
        bids, asks = self.top()
        levels = [list(side.items()) for side in ({5000: 1} | bids if crossed else bids, asks)]
        return self._message("snapshot", levels, named=named)

    def _changes(
        self, before: dict[int, int], after: dict[int, int], true: dict[int, int]
    ) -> list[tuple[int, int]]:
        told = [(p, q) for p, q in after.items() if before.get(p) != q]
        gone = [price for price in before if price not in after]
        # A venue with checksums does not say which levels fell out of its depth.
        if self.rule == Rule.CHECKSUM:
            gone = [price for price in gone if price not in true]
        return told + [(price, 0) for price in gone]

    def _message(self, kind: str, levels: list[list[tuple[int, int]]], *, named: bool) -> bytes:
        frame: dict[str, Any] = {"ch": "book", "kind": kind} | ({"sym": self.symbol} if named else {})
        for name, side in zip("ba", levels, strict=True):
            frame[name] = [
                {"price": float(p), "qty": float(q)} if self.rule == Rule.CHECKSUM else [f"{p}.0", f"{q}.0"]
                for p, q in side
            ]
        last = self.update_id
        if kind == "update":
            self.update_id += 1 if self.rule == Rule.CONSECUTIVE else self.random.randint(1, 4)
        if self.rule == Rule.CONSECUTIVE:
            frame |= {"u": self.update_id, "depth": self.depth}
        elif self.rule in (Rule.NEXT_ID, Rule.OVERLAP):
            frame |= {"U": last + (self.rule == Rule.NEXT_ID and kind == "update"), "u": self.update_id}
        if self.rule == Rule.CHECKSUM:
            bids, asks = self.top()
            text = "".join(f"{p}0{q}0" for side in (asks, bids) for p, q in list(side.items())[:10])
            frame |= {"crc": zlib.crc32(text.encode())}
        if self.rule != Rule.NONE:
            frame |= {"t": self.time_ms}
        return json.dumps(frame, separators=(",", ":")).encode()


class ToyExchange:
    """What the venue answers and sends. `refused` symbols, `keys` it takes, `deaf` symbols it gives no snapshot of."""

    def __init__(self, served: Market, symbols: Sequence[str], seed: int = 0) -> None:
        self.served = served
        self.books = {
            symbol: ToyStream(seed + at, served.wire.rule, symbol) for at, symbol in enumerate(symbols)
        }
        self.refused: dict[str, str] = {}
        self.keys = {""}
        self.deaf: set[str] = set()
        self.mute: set[str] = set()  # streams
        self.named = True
        self.heard: Counter[str] = Counter()
        self.said: list[tuple[str, str]] = []  # operations and streams
        self.trade_id = 0

    def answer(self, wanted: set[str], text: bytes) -> list[bytes]:
        """The replies to a client's frame; `wanted` are the streams of its connection."""
        frame = json.loads(text)
        op = frame["op"]
        self.heard[op] += 1
        if op == "login":
            said = (
                {} if frame["key"] in self.keys else {"error": f"no such key: {frame['key']}", "fatal": True}
            )
            return [_ack("login", **said)]
        if op == "ping":
            return [_ack("pong")]
        self.said += [(op, name) for name in frame["streams"]]
        return [reply for name in frame["streams"] for reply in self._follow(op, name, wanted)]

    def _follow(self, op: str, name: str, wanted: set[str]) -> list[bytes]:
        channel, _, symbol = name.partition(":")
        if symbol in self.refused or symbol not in self.books:
            return [_ack(op, sym=symbol, error=self.refused.get(symbol, "no such symbol"))]
        (wanted.add if op == "subscribe" else wanted.discard)(name)
        book = self.books[symbol]
        limit = {"depth": book.depth * (op == "subscribe")} if channel == "book" and book.depth else {}
        told = [book.whole(named=self.named)] if channel == "book" and op == "subscribe" else []
        return [_ack(op, sym=symbol, **limit), *([] if symbol in self.deaf else told)]

    def pass_ms(self, span_ms: int) -> None:
        """Time without a change."""
        for book in self.books.values():
            book.time_ms += span_ms

    def step(self) -> list[tuple[str, bytes]]:
        """One change of every book and a trade of each, by stream."""
        found = []
        for symbol, book in self.books.items():
            self.trade_id += 1
            trade = {"ch": "trade", "sym": symbol, "t": book.time_ms, "id": self.trade_id}
            found += [
                (f"book:{symbol}", book.update(named=self.named)),
                (f"trade:{symbol}", json.dumps(trade).encode()),
            ]
        return [(name, payload) for name, payload in found if name not in self.mute]


def _ack(kind: str, **fields: object) -> bytes:
    return json.dumps({"ack": kind} | fields, separators=(",", ":")).encode()


class NaiveBook:
    """What a reader of the lines of one key makes of them, without any cleverness: the levels, None while void."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.depth = rule, DEPTHS.get(rule)
        self.sides: list[dict[Decimal, Decimal]] | None = None
        self.last_id = -1

    def read(self, line: Line) -> None:
        if line.origin == b"!reset":
            self.sides = None
        if line.origin.startswith(b"!"):
            return
        try:
            frame = decode(line.payload)
            sides = [[(Decimal(p), Decimal(q)) for p, q in texts(side)] for side in (frame.b, frame.a)]
        except (ParseError, InvalidOperation):
            return
        if frame.depth == 0:
            self.sides = None
        if frame.ch != "book":
            return
        if frame.kind == "snapshot":
            self.sides = [{}, {}]
        elif self.sides is None or (
            self.rule in (Rule.NEXT_ID, Rule.OVERLAP, Rule.CONSECUTIVE) and frame.u <= self.last_id
        ):
            return
        elif not self._follows(frame):
            self.sides = None
            return
        self.last_id = frame.u
        for side, changes, worst in zip(self.sides, sides, (min, max), strict=True):
            side |= dict(changes)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
            while self.depth and len(side) > self.depth:
                del side[worst(side)]
        if self.rule == Rule.CHECKSUM and self._sum() != frame.crc:
            self.sides = None

    def _follows(self, frame: _Frame) -> bool:
        first = {Rule.NEXT_ID: frame.U - 1, Rule.OVERLAP: frame.U, Rule.CONSECUTIVE: frame.u - 1}
        return first.get(self.rule, self.last_id) <= self.last_id

    def _sum(self) -> int:
        assert self.sides is not None
        best = [sorted(self.sides[1].items())[:10], sorted(self.sides[0].items(), reverse=True)[:10]]
        return zlib.crc32("".join(f"{p}{q}".replace(".", "") for side in best for p, q in side).encode())

    def levels(self) -> set[Level] | None:
        if self.sides is None:
            return None
        return {(side, p, q) for side, levels in enumerate(self.sides) for p, q in levels.items()}


def with_live(served: Market, **fields: object) -> Market:
    return replace(served, live=replace(served.live, **fields))
