"""A venue unlike Binance over real sockets: snapshots in the stream, the best levels only, a key, heartbeats."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import pytest

from connectors.simulator import server
from connectors.simulator.best import Best
from connectors.simulator.faults import Command
from connectors.simulator.half import DEMO_KEY, Client, Desk, Half, Limits, RequestError, Stream, halves
from connectors.simulator.market import Depth, Event
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.simulator.symbols import listed

_json = msgspec.json.encode


class Toy(Half):
    """`book:SYMBOL` carries the best five levels, sizes 0 included; all is followed by {"follow": [names]}."""

    name = "toy"
    listed = (
        listed("BTC-USD", "BTC", "USD", "0.01", "0.00001"),
        listed("USD-JPY", "USD", "JPY", "0.001", "1"),
    )
    paths = ("/v1",)
    depth = 5
    limits = Limits(heartbeat_s=0.05)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._best: dict[str, Best] = {}
        self._counts: dict[str, int] = {}

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        if client.query.get("key") != DEMO_KEY:
            raise RequestError(401, b'"no key"')
        return [b'"hello"']

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        said = msgspec.json.decode(text)
        client.closing = "bye" in said
        for name in said.get("leave", ()):
            client.streams.pop(name, None)
        client.streams |= dict.fromkeys(said.get("follow", ()))
        return [b'"done"']

    def stream(self, name: str) -> Stream:
        channel, _, symbol = name.partition(":")
        return Stream(name, symbol, channel == "book", "/v1" if channel == "book" else "/other")

    def first(self, stream: Stream, desk: Desk) -> list[bytes]:
        best = self._best[stream.name] = Best(5)
        best.begin(desk.state(stream.symbol))
        return [self._said(stream.symbol, "all", best.bids, best.asks)]

    def frames(self, event: Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        name = f"book:{event.symbol}"
        if isinstance(event, Depth) and name in wanted and (moved := self._best[name].move(event)):
            self._counts[event.symbol] = self._counts.get(event.symbol, 0) + 1
            changes = moved.bids + moved.fallen_bids, moved.asks + moved.fallen_asks
            yield name, self._said(event.symbol, "changes", *changes)

    def heartbeat(self, client: Client, time_ms: int) -> bytes | None:
        return b'"beat"' if client.streams else None

    def _said(self, symbol: str, kind: str, bids: list, asks: list) -> bytes:
        text = self.texts[symbol]
        sides = [[(text.price(tick), text.size(lots)) for tick, lots in side] for side in (bids, asks)]
        return _json({"n": self._counts.get(symbol, 0), "symbol": symbol, "kind": kind, "sides": sides})


class Listener:
    """A client that keeps the books it is told of, and the rest of what it hears."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws, self.books, self.numbers, self.heard = ws, {}, {}, []
        self.closed = False
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.ws:
            said = msgspec.json.decode(message.data)
            if isinstance(said, str):
                self.heard.append(said)
                continue
            symbol = said["symbol"]
            if said["kind"] == "all":
                self.books[symbol] = [{}, {}]
            else:
                assert said["n"] == self.numbers[symbol] + 1, "a gap or a repeat"
            self.numbers[symbol] = said["n"]
            for side, changes in zip(self.books[symbol], said["sides"], strict=True):
                side.update(changes)
                for price in [price for price, size in side.items() if float(size) == 0]:
                    del side[price]
        self.closed = True

    async def say(self, **words: Any) -> None:
        """Returns when the answer is there."""
        count = self.heard.count("done")
        await self.ws.send_bytes(b"ignored")
        await self.ws.send_str(_json(words).decode())
        await until(lambda: self.heard.count("done") > count)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def run(test: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    monkeypatch.setattr(server, "halves", lambda: {**halves(), "toy": Toy})

    async def go() -> None:
        asked = Options(**{"markets": ("toy", "binance_spot"), "past_s": 0, "manual": True} | options)
        async with Simulator(asked) as simulator, aiohttp.ClientSession() as http, AsyncExitStack() as opened:

            async def listener(key: str = DEMO_KEY) -> Listener:
                ws = await http.ws_connect(f"{simulator.urls('toy')[0]}/v1?key={key}")
                opened.push_async_callback(ws.close)
                return Listener(ws)

            await test(simulator, listener)

    asyncio.run(go())


def truth(simulator: Simulator, symbol: str) -> list[dict[str, str]]:
    found = simulator.venues["toy"].truth(symbol)
    return [dict(found[side]) for side in ("bids", "asks")]


def test_books_begun_at_any_time_are_the_true_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(simulator: Simulator, listener: Any) -> None:
        early, late = await listener(), await listener()
        await early.say(follow=["book:BTC-USD"])
        await until(lambda: early.books["BTC-USD"] == truth(simulator, "BTC-USD"))
        await simulator.advance(500)
        await late.say(follow=["book:BTC-USD", "book:USD-JPY", "quotes:BTC-USD"])
        await simulator.advance(700)
        await early.say(leave=["book:BTC-USD"])
        await late.say()
        assert late.books["BTC-USD"] == truth(simulator, "BTC-USD")
        await simulator.advance(700)
        await early.say(follow=["book:BTC-USD", "book:USD-JPY"])
        await late.say(leave=["book:USD-JPY"])
        await simulator.advance(700)
        await early.say()
        await late.say()
        for each in (early, late):
            assert each.books["BTC-USD"] == truth(simulator, "BTC-USD")
            assert each.reader.done() is False
        assert early.books["USD-JPY"] == truth(simulator, "USD-JPY")
        assert len(truth(simulator, "USD-JPY")[0]) == 5
        assert len(simulator.venues["toy"].truth("USD-JPY", 20)["bids"]) == 20

    run(test, monkeypatch)


def test_keys_greetings_heartbeats_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(simulator: Simulator, listener: Any) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await listener("wrong")
        assert refused.value.status == 401
        found = await listener()
        await until(lambda: found.heard == ["hello"])
        await asyncio.sleep(0.15)
        assert "beat" not in found.heard
        await found.say(follow=["quotes:BTC-USD"])
        await until(lambda: found.heard.count("beat") > 2)
        await found.say(bye=True)
        await until(lambda: found.closed)

    run(test, monkeypatch)


def test_faults_find_their_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(simulator: Simulator, listener: Any) -> None:
        found = await listener()
        await found.say(follow=["book:BTC-USD", "book:USD-JPY"])
        await simulator.advance(0)
        await found.say()
        heard = dict(found.numbers)
        simulator.fault(Command(kind="silence", market="toy", symbol="USD-JPY", for_s=60))
        await simulator.advance(2000)
        await found.say()
        assert found.numbers["USD-JPY"] == heard["USD-JPY"] and found.numbers["BTC-USD"] > heard["BTC-USD"]
        simulator.fault(Command(kind="gap", market="toy", symbol="BTC-USD"))
        await simulator.advance(2000)
        with pytest.raises(AssertionError, match="gap"):
            await found.reader
        simulator.fault(Command(kind="crossed"))
        simulator.fault(Command(kind="outage", market="toy", for_s=60))
        with pytest.raises(aiohttp.ClientError):
            await listener()

    run(test, monkeypatch)


def test_a_past_needs_times(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(simulator: Simulator, listener: Any) -> None:
        found = await listener()
        await found.say(follow=["book:BTC-USD"])
        toy, spot = simulator.venues["toy"].market, simulator.venues["binance_spot"].market
        assert toy.now_ms >= simulator.clock.now_ms() - 1000 > spot.now_ms + 100_000
        # Both have one price, however late one begins.
        for _ in spot.advance(toy.now_ms, 1000):
            pass
        mids = (toy.book("BTC-USD").bid * 0.01, spot.book("BTCUSDT").bid * 0.01)
        assert mids[0] == pytest.approx(mids[1], rel=5e-4)

    monkeypatch.setattr(Toy, "past_s_max", 0)
    run(test, monkeypatch, past_s=300)


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected markets among binance_futures.*found nowhere"):
        Simulator(Options(markets=("nowhere",)))
