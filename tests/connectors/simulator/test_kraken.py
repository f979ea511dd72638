"""What simulated Kraken says is what its venue file documents; its books, rebuilt from frames, are the true ones."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from connectors import venue
from connectors.lane import lanes
from connectors.publisher import Publisher
from connectors.record import Record
from connectors.simulator.faults import Command
from connectors.simulator.half import Client, State
from connectors.simulator.kraken import DEPTHS, Kraken
from connectors.simulator.market import SimulatedMarket
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.telemetry import Telemetry
from connectors.venues.kraken import kraken
from flows.kernels.depth import DepthKernel
from tests.connectors.venues.test_kraken import Book

KRAKEN = venue.market("kraken")
START_MS = 1_795_000_000_000
PARSED = {
    "book": {venue.Depth}, "trade": {venue.Trade}, "ohlc": {venue.Bar}, "ticker": {venue.BestQuote, venue.Ticker},
}  # fmt: skip


class Desk:
    """A market without sockets."""

    def __init__(self, half: Kraken) -> None:
        self.half = half
        self.market = SimulatedMarket("spot", list(half.symbols.values()), 7, START_MS, "kraken")
        self.client = Client("/v2", {})

    @property
    def now_ms(self) -> int:
        return self.market.now_ms

    def state(self, symbol: str) -> State:
        return State(*self.market.book(symbol).state(), self.now_ms)

    def bars(self, symbol: str) -> list[Any]:
        return self.market.bars(symbol)

    def ask(self, method: str, **params: Any) -> list[dict[str, Any]]:
        text = json.dumps({"method": method, "params": params, "req_id": 7}).encode()
        return [json.loads(x) for x in self.half.answer(text, self.client, self)]

    def follow(self, *symbols: str, served: venue.Market = KRAKEN) -> list[bytes]:
        """As a connector does; what it hears at once."""
        assert served.live.subscribe is not None
        streams = [stream for symbol in symbols for stream in served.live.streams(symbol)]
        said = [
            x for frame in served.live.subscribe(streams) for x in self.half.answer(frame, self.client, self)
        ]
        return said + [
            x for name in self.client.streams for x in self.half.first(self.half.stream(name), self)
        ]

    def pass_s(self, seconds: int, step_ms: int = 100) -> list[bytes]:
        wanted = frozenset(self.client.streams)
        events = self.market.advance(self.now_ms + seconds * 1000, step_ms)
        return [payload for event in events for _, payload in self.half.frames(event, wanted)]


def levels(
    half: Kraken, symbol: str, side: dict[int, int], depth: int, best_first: bool
) -> dict[Decimal, Any]:
    texts, ticks = half.texts[symbol], sorted(side, reverse=best_first)[:depth]
    pairs = ((texts.price(tick), texts.size(side[tick])) for tick in ticks)
    return {Decimal(price): (price, size) for price, size in pairs}


def told(book: Book, payload: bytes) -> venue.Head:
    """Take a book message; its checksum must follow."""
    head = KRAKEN.live.head(payload)
    book.apply(head.bids, head.asks, snapshot=head.snapshot)
    assert book.checksum() == head.checksum
    return head


def test_every_frame_parses_on_the_grid_and_names_its_symbol() -> None:
    desk = Desk(Kraken())
    grids = {symbol: listed.spot for symbol, listed in desk.half.symbols.items()}
    frames = desk.follow(*grids) + desk.pass_s(120, 1000) + desk.pass_s(2)
    seen: Counter[str] = Counter()
    for payload in frames:
        channel = json.loads(payload).get("channel", "")
        events = KRAKEN.parse(payload)
        seen[channel] += bool(events)
        if events:
            assert {type(event) for event in events} == PARSED[channel]
            assert {event.symbol for event in events} == {(KRAKEN.key_of(payload) or b"").decode()}
            assert KRAKEN.live.head(payload).stream == f"{channel}:{events[0].symbol}"
        for event in events:
            if isinstance(event, venue.Depth | venue.Trade):
                pairs = (
                    [(event.price, event.size)] if isinstance(event, venue.Trade) else event.bids + event.asks
                )
                grid = grids[event.symbol or ""]
                assert all(price % grid.tick == 0 == size % grid.lot for price, size in pairs)
            if isinstance(event, venue.Ticker):
                assert event.low and event.high and event.last and event.open
                assert event.low <= min(event.last, event.open) and max(event.last, event.open) <= event.high
    assert all(seen[channel] > len(grids) for channel in PARSED)


def test_the_symbols_are_those_followed_by_default_and_its_instruments_say_so() -> None:
    desk = Desk(Kraken())
    (frame,) = (x for x in desk.follow(*desk.half.symbols) if KRAKEN.live.head(x).instruments)
    found = KRAKEN.instruments(frame)
    assert tuple(each.symbol for each in found) == KRAKEN.live.symbols
    for each in found:
        grid = desk.half.symbols[each.symbol].spot
        assert (each.tick, each.lot) == (grid.tick, grid.lot)


def test_bars_add_up_to_the_trades_and_close_in_the_snapshot() -> None:
    desk = Desk(Kraken())
    desk.follow("BTC/USD")
    trades: defaultdict[int, Decimal] = defaultdict(Decimal)
    for payload in desk.pass_s(130, 1000):
        for event in KRAKEN.parse(payload):
            if isinstance(event, venue.Trade):
                trades[event.event_ns // 60_000_000_000] += event.size
    (bars,) = map(KRAKEN.parse, desk.half.first(desk.half.stream("ohlc.1:BTC/USD"), desk))
    assert len(bars) == 3
    for bar in bars:
        assert isinstance(bar, venue.Bar)
        assert bar.volume == trades[bar.open_ns // 60_000_000_000]
    assert [bar.closed for bar in bars if isinstance(bar, venue.Bar)] == [True, True, False]


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_book_rebuilt_from_frames_is_the_true_one(depth: Any) -> None:
    desk, served = Desk(Kraken()), kraken(depth)
    frames = desk.follow("BTC/USD", "DOGE/USD", served=served)
    books = {f"book:{symbol}": Book(depth) for symbol in ("BTC/USD", "DOGE/USD")}
    snapshots = 0
    for payload in frames + desk.pass_s(20, 1000) + desk.pass_s(5):
        if (stream := KRAKEN.live.head(payload).stream) in books:
            snapshots += told(books[stream], payload).snapshot
    assert snapshots == 2
    for stream, book in books.items():
        symbol = stream.removeprefix("book:")
        state = desk.state(symbol)
        assert book.bids == levels(desk.half, symbol, state.bids, depth, best_first=True)
        assert book.asks == levels(desk.half, symbol, state.asks, depth, best_first=False)


def test_trades_are_told_again_to_who_follows_anew() -> None:
    desk = Desk(Kraken())
    desk.follow("BTC/USD")
    heard = [x for payload in desk.pass_s(5) for x in KRAKEN.parse(payload) if isinstance(x, venue.Trade)]
    (again,) = map(KRAKEN.parse, desk.half.first(desk.half.stream("trade:BTC/USD"), desk))
    assert again == heard[-50:]
    assert len(again) > 5


# ---- connector and flow


class Pipe:
    """A connector of one symbol and the flow behind it."""

    def __init__(self, desk: Desk, served: venue.Market) -> None:
        self.desk, self.served = desk, served
        (self.lane,) = lanes(served, ["BTC/USD"])
        self.publisher = Publisher(served, [self.lane], Telemetry(), 1, 0.0)
        self.kernel = DepthKernel(served, 0)
        self.offset = 0
        self.publisher.begin(desk.now_ms * 10**6)
        self.publisher.opened(self.lane, b"ws-1", 0.0)

    def hear(self, frames: list[bytes]) -> None:
        for payload in frames:
            self.publisher.on_frame(self.lane, b"ws-1", self.desk.now_ms * 10**6, payload)
        records = []
        for each in self.publisher.take(cut=True):
            self.offset += 1
            records.append(Record(each.key, self.offset, each.body))
        self.kernel.on_records(records)

    def held(self) -> list[dict[Decimal, Decimal]] | None:
        """Bids and asks as connector and flow hold them; None: neither has a live book."""
        live, book = self.publisher._followed["BTC/USD"].book, self.kernel._books[b"BTC/USD"]
        assert live.live == book.live
        if not live.live:
            return None
        fields, size = live.fields(), Decimal(1).scaleb(-int(book.meta[9]))
        mine = [{Decimal(p): Decimal(s) for p, s in fields[side]} for side in ("bids", "asks")]
        theirs: list[dict[Decimal, Decimal]] = [{}, {}]
        for tick, lots, side in zip(*book.levels(), strict=True):
            theirs[side][book.price(int(tick))] = int(lots) * size
        assert mine == theirs
        return mine

    def truth(self, depth: int) -> list[dict[Decimal, Decimal]]:
        state = self.desk.state("BTC/USD")
        sides = ((state.bids, True), (state.asks, False))
        texts = (levels(self.desk.half, "BTC/USD", side, depth, best_first=first) for side, first in sides)
        return [{price: Decimal(size) for price, (_, size) in side.items()} for side in texts]


@pytest.mark.parametrize("depth", DEPTHS)
def test_connector_and_flow_hold_the_true_book_and_lose_it_with_a_frame(depth: Any) -> None:
    desk, served = Desk(Kraken()), kraken(depth)
    pipe = Pipe(desk, served)
    pipe.hear(desk.follow("BTC/USD", served=served))
    pipe.hear(desk.pass_s(20, 1000) + desk.pass_s(5))
    assert pipe.held() == pipe.truth(depth)
    frames = desk.pass_s(5)
    sums = [
        (at, head.checksum) for at, head in enumerate(map(KRAKEN.live.head, frames)) if head.checksum >= 0
    ]
    # It changes what checksums are of, and so much of it that the next frame does not tell all of that anew.
    changed = [at for (_, before), (at, after) in pairwise(sums) if before != after]
    lost = max(changed, key=lambda at: len(frames[at]))
    pipe.hear(frames[:lost] + frames[lost + 1 :])
    assert pipe.held() is None
    assert pipe.kernel.counts["gaps"] == pipe.publisher._followed["BTC/USD"].feed.gaps == 1
    assert served.live.subscribe is not None and served.live.unsubscribe is not None
    book = [x for x in served.live.streams("BTC/USD") if x.book]
    (leave,), (again,) = served.live.unsubscribe(book), served.live.subscribe(book)
    answers = [*desk.half.answer(leave, desk.client, desk), *desk.half.answer(again, desk.client, desk)]
    pipe.hear(answers + desk.half.first(desk.half.stream(f"book.{depth}:BTC/USD"), desk) + desk.pass_s(5))
    assert pipe.held() == pipe.truth(depth)
    assert pipe.kernel.counts["gaps"] == pipe.publisher._followed["BTC/USD"].feed.gaps == 1


# ---- answers


def test_each_symbol_is_answered_by_itself() -> None:
    desk = Desk(Kraken())
    said = desk.ask("subscribe", channel="book", symbol=["BTC/USD", "XYZ/ABC", "EUR/USD"], depth=25)
    assert [x["success"] for x in said] == [True, False, True]
    assert all(x["req_id"] == 7 and x["method"] == "subscribe" for x in said)
    assert list(desk.client.streams) == ["book.25:BTC/USD", "book.25:EUR/USD"]
    reply = KRAKEN.live.head(json.dumps(said[1]).encode()).reply
    assert reply is not None and reply.refused == ("XYZ/ABC",)
    assert KRAKEN.wire.depth is not None
    assert KRAKEN.wire.depth(json.dumps(said[0]).encode()) == 25


def test_following_twice_and_leaving_twice_are_refused_and_give_up_nothing() -> None:
    desk = Desk(Kraken())
    asks: list[tuple[str, int, bool]] = [
        ("subscribe", 10, True), ("subscribe", 10, False), ("subscribe", 25, False), ("unsubscribe", 25, False),
        ("unsubscribe", 10, True), ("unsubscribe", 10, False), ("subscribe", 25, True),
    ]  # fmt: skip
    for method, depth, success in asks:
        (said,) = desk.ask(method, channel="book", symbol=["BTC/USD"], depth=depth)
        assert said["success"] is success
        reply = KRAKEN.live.head(json.dumps(said).encode()).reply
        assert (reply is None) == success
        assert reply is None or (reply.error and not reply.refused)
    assert list(desk.client.streams) == ["book.25:BTC/USD"]


@pytest.mark.parametrize(
    "params",
    [{"channel": "book", "symbol": ["BTC/USD"], "depth": 11}, {"channel": "level3", "symbol": ["BTC/USD"]},
     {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 7}],
)  # fmt: skip
def test_what_is_not_served_is_refused(params: dict[str, Any]) -> None:
    desk = Desk(Kraken())
    (said,) = desk.ask("subscribe", **params)
    assert said["success"] is False and said["error"]
    assert not desk.client.streams


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff", b'{"method":7}', b"[" * 5000, b'{"method":"buy"}', b"{}"]
)
def test_what_cannot_be_read_is_answered_with_an_error(text: bytes) -> None:
    desk = Desk(Kraken())
    (said,) = desk.half.answer(text, desk.client, desk)
    assert KRAKEN.parse(said) == []
    reply = KRAKEN.live.head(said).reply
    assert reply is not None and reply.error and not reply.refused


def test_a_ping_is_answered_and_hearts_beat_once_something_is_followed() -> None:
    desk = Desk(Kraken())
    assert KRAKEN.live.ping is not None
    (pong,) = desk.half.answer(KRAKEN.live.ping, desk.client, desk)
    assert json.loads(pong)["method"] == "pong" and KRAKEN.parse(pong) == []
    assert desk.half.heartbeat(desk.client, 0) is None
    desk.follow("BTC/USD")
    beat = desk.half.heartbeat(desk.client, 0)
    assert beat is not None and KRAKEN.parse(beat) == []


# ---- over sockets


class Listener:
    """A client that keeps what it hears, and its book as long as checksums match."""

    def __init__(
        self, simulator: Simulator, ws: aiohttp.ClientWebSocketResponse, http: aiohttp.ClientSession
    ) -> None:
        self.simulator, self.ws, self.http = simulator, ws, http
        self.book = Book(1000)
        self.events: list[venue.Event] = []
        self.replies: list[venue.Reply] = []
        self.broken = 0

    async def follow(self, *symbols: str) -> None:
        assert KRAKEN.live.subscribe is not None
        for frame in KRAKEN.live.subscribe([x for symbol in symbols for x in KRAKEN.live.streams(symbol)]):
            await self.ws.send_str(frame.decode())

    async def again(self) -> None:
        assert KRAKEN.live.subscribe is not None and KRAKEN.live.unsubscribe is not None
        book = [x for x in KRAKEN.live.streams("BTC/USD") if x.book]
        for frame in KRAKEN.live.unsubscribe(book) + KRAKEN.live.subscribe(book):
            await self.ws.send_str(frame.decode())

    async def hear(self, until: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not until():
                payload = (await self.ws.receive()).data.encode()
                self.events += KRAKEN.parse(payload)
                head = KRAKEN.live.head(payload)
                if head.reply is not None:
                    self.replies.append(head.reply)
                if head.stream == "book:BTC/USD":
                    self.book.apply(head.bids, head.asks, snapshot=head.snapshot)
                    self.broken += self.book.checksum() != head.checksum

    async def is_true(self) -> None:
        """Time passes, and the book told is the true one."""
        await self.simulator.advance(1000)
        url = f"{self.simulator.rest_url}/_simulator/truth?market=kraken&symbol=BTC/USD"
        async with self.http.get(url) as answer:
            truth = {
                side: {Decimal(p): (p, s) for p, s in (await answer.json())[side]}
                for side in ("bids", "asks")
            }
        await self.hear(lambda: (self.book.bids, self.book.asks) == (truth["bids"], truth["asks"]))


def run(test: Callable[[Listener], Awaitable[None]]) -> None:
    async def go() -> None:
        options = Options(markets=("kraken",), symbols=("BTC/USD", "EUR/USD"), past_s=0, manual=True)
        async with Simulator(options) as simulator, aiohttp.ClientSession() as http:
            url, _ = simulator.urls("kraken")
            async with http.ws_connect(f"{url}/v2", max_msg_size=1 << 24) as ws:
                await test(Listener(simulator, ws, http))

    asyncio.run(go())


def test_a_socket_tells_the_true_book() -> None:
    async def test(listener: Listener) -> None:
        await listener.follow("BTC/USD", "EUR/USD", "XYZ/ABC")
        await listener.hear(lambda: len(listener.replies) == 4)
        assert {reply.refused for reply in listener.replies} == {("XYZ/ABC",)}
        await listener.is_true()
        await listener.again()
        await listener.is_true()
        await listener.again()
        await listener.hear(
            lambda: sum(isinstance(x, venue.Depth) and x.snapshot for x in listener.events) == 4
        )
        await listener.is_true()
        assert listener.broken == 0

    run(test)


@pytest.mark.parametrize("kind", ["gap", "duplicate"])
def test_a_lost_frame_breaks_the_checksum_until_the_book_is_followed_anew(kind: str) -> None:
    async def test(listener: Listener) -> None:
        await listener.follow("BTC/USD")
        await listener.is_true()
        listener.simulator.fault(Command(kind=kind, market="kraken", symbol="BTC/USD"))
        await listener.simulator.advance(1000)
        count = len(listener.events)
        if kind == "gap":
            await listener.hear(lambda: listener.broken > 0)
            await listener.again()
            await listener.hear(
                lambda: any(isinstance(x, venue.Depth) and x.snapshot for x in listener.events[count:])
            )
            broken = listener.broken
            await listener.is_true()
            assert listener.broken == broken
        else:
            # Without ids a repetition is applied once more, which changes nothing.
            await listener.is_true()
            assert listener.broken == 0

    run(test)
