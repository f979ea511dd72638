"""The simulated Bybit says what its parser documents, and its clients' books are the true ones."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from connectors import venue
from connectors.simulator import bybit as b
from connectors.simulator.faults import Command
from connectors.simulator.half import Client, Half, State, halves
from connectors.simulator.market import Bar, Depth, SimulatedMarket
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.venues.bybit import DEPTHS, market_of

START_MS = 1_795_000_000_000
EACH = pytest.mark.parametrize("half", b.HALVES, ids=lambda half: half.name)
PARSED = {
    "orderbook": venue.Depth, "publicTrade": venue.Trade, "kline": venue.Bar, "tickers": venue.Ticker,
    "allLiquidation": venue.Liquidation,
}  # fmt: skip


class Desk:
    """A market without sockets: what it says goes to who follows at once."""

    def __init__(self, half: Half) -> None:
        self.half = half
        self.market = SimulatedMarket(half.kind, list(half.symbols.values()), 7, START_MS, half.name)
        self.client = Client(half.paths[0], {})
        self.heard: list[tuple[str, bytes]] = []
        self.say(*half.opened(self.client, self))

    @property
    def now_ms(self) -> int:
        return self.market.now_ms

    def state(self, symbol: str) -> State:
        return State(*self.market.book(symbol).state(), self.market.now_ms)

    snapshot = state

    def bars(self, symbol: str) -> list[Bar]:
        return self.market.bars(symbol)

    def open_interest(self, symbol: str) -> int:
        return self.market.open_interest(symbol)

    def say(self, *frames: bytes) -> None:
        self.heard += [("", frame) for frame in frames]

    def ask(self, **request: object) -> dict[str, Any]:
        before = set(self.client.streams)
        (said,) = self.half.answer(json.dumps(request).encode(), self.client, self)
        for name in self.client.streams:
            if name not in before:
                self.heard += [(name, frame) for frame in self.half.first(self.half.stream(name), self)]
        return json.loads(said)

    def follow(self, *names: str) -> None:
        for name in names:
            assert self.ask(op="subscribe", args=[name])["success"]

    def advance(self, by_ms: int, step_ms: int = 100) -> None:
        for event in self.market.advance(self.market.now_ms + by_ms, step_ms):
            self.heard += self.half.frames(event, self.client.streams)


def topics(half: type[b.Bybit], *depths: int) -> list[str]:
    channels = [*(f"orderbook.{depth}" for depth in depths), *half.channels, "kline.1"]
    return [f"{channel}.{x.symbol}" for x in half.listed for channel in channels]


@EACH
def test_every_frame_parses_to_its_event_on_the_grid(half: type[b.Bybit]) -> None:
    desk, served = Desk(half()), venue.market(half.name)
    desk.follow(*topics(half, *DEPTHS))
    desk.advance(120_000, 1000)
    desk.advance(3_000)
    seen: Counter[str] = Counter()
    ids: set[tuple[str, int]] = set()
    for name, payload in desk.heard:
        channel, symbol = name.partition(".")[0], name.rpartition(".")[2]
        seen[channel] += 1
        (parsed,) = served.parse(payload)
        head = served.live.head(payload)
        assert type(parsed) is PARSED[channel]
        assert (head.stream, parsed.symbol, served.key_of(payload)) == (name, symbol, symbol.encode())
        grid = desk.half.symbols[symbol].grid(half.kind)
        if isinstance(parsed, venue.Depth):
            assert all(p % grid.tick == 0 == n % grid.lot for p, n in (*parsed.bids, *parsed.asks))
        elif isinstance(parsed, venue.Trade):
            assert parsed.price % grid.tick == 0 == parsed.size % grid.lot
            ids.add((symbol, parsed.trade_id))
    assert len(ids) == seen["publicTrade"] > 1000
    assert seen.keys() == {"orderbook", "kline", *half.channels}
    assert all(half_.name in halves() for half_ in b.HALVES)


def rebuilt(payloads: list[bytes]) -> tuple[dict[str, str], dict[str, str]]:
    """The book as a client holds it, by plain JSON; fails where a message does not follow."""
    last, bids, asks = 0, {}, {}
    for payload in payloads:
        message = json.loads(payload)
        data = message["data"]
        if message["type"] == "snapshot":
            bids, asks = dict(data["b"]), dict(data["a"])
        else:
            assert data["u"] == last + 1
            for side, changes in ((bids, data["b"]), (asks, data["a"])):
                for price, size in changes:
                    if size == "0":
                        del side[price]
                    else:
                        side[price] = size
        last = data["u"]
    return bids, asks


@EACH
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_book_of_a_client_is_the_best_of_the_true_one(half: type[b.Bybit], depth: int) -> None:
    desk = Desk(half())
    served = market_of(half.category, depth)
    names = [served.live.streams(x)[0].name for x in desk.half.symbols]
    desk.follow(*names)
    for _ in range(4):
        desk.advance(2_000)
        for name, symbol in zip(names, desk.half.symbols, strict=True):
            heard = [payload for stream, payload in desk.heard if stream == name]
            assert all(served.wire.depth(payload) == depth for payload in heard)
            grid = desk.half.symbols[symbol].grid(half.kind)
            state = desk.state(symbol)
            best = sorted(state.bids.items(), reverse=True)[:depth], sorted(state.asks.items())[:depth]
            for held, true in zip(rebuilt(heard), best, strict=True):
                assert {Decimal(p): Decimal(n) for p, n in held.items()} == {
                    tick * grid.tick: lots * grid.lot for tick, lots in true
                }


def test_a_book_of_one_level_is_told_again_when_it_rests() -> None:
    desk = Desk(b.Spot())
    desk.follow("orderbook.1.BTCUSDT")
    state = desk.state("BTCUSDT")
    for after_ms in (0, 2900, 3000, 3100):
        x = Depth("BTCUSDT", state.time_ms + after_ms, 0, 0, 0, [], [])
        desk.heard += desk.half.frames(x, desk.client.streams)
    first, again = (json.loads(payload) for _, payload in desk.heard)
    assert (first["type"], first["data"]["u"]) == (again["type"], again["data"]["u"])
    assert again["ts"] == state.time_ms + 2900  # 3 s after the snapshot, which is of the step before


def test_who_follows_later_gets_the_book_of_that_moment() -> None:
    desk = Desk(b.Linear())
    name = "orderbook.50.ETHUSDT"
    desk.follow(name)
    desk.advance(2_000)
    snapshot = desk.half.first(desk.half.stream(name), desk)
    heard = [payload for _, payload in desk.heard]
    begun = len(heard)
    desk.advance(2_000)
    later = [payload for _, payload in desk.heard[begun:]]
    assert rebuilt(snapshot + later) == rebuilt(heard + later)
    # Left and followed anew: the first snapshot holds what was missed.
    assert desk.ask(op="unsubscribe", args=[name])["success"]
    desk.advance(2_000)
    begun = len(desk.heard)
    desk.follow(name)
    desk.advance(2_000)
    bids, _ = rebuilt([payload for _, payload in desk.heard[begun:]])
    assert len(bids) == 50


def test_tickers_of_linear_merge_to_the_state_of_the_market() -> None:
    desk, served = Desk(b.Linear()), venue.market("bybit_linear")
    desk.follow("tickers.BTCUSDT")
    desk.advance(5_000)
    tickers = [event for _, payload in desk.heard for event in served.parse(payload)]
    assert [ticker.delta for ticker in tickers] == [False] + [True] * (len(tickers) - 1)
    merged = None
    for ticker in tickers:
        assert isinstance(ticker, venue.Ticker)
        merged = ticker.over(merged)
        assert merged.bid and merged.ask and merged.bid < merged.ask
    lot = desk.half.symbols["BTCUSDT"].futures.lot
    assert merged is not None
    assert merged.open_interest == desk.open_interest("BTCUSDT") * lot
    assert merged.next_funding_ns is not None and merged.next_funding_ns > merged.event_ns
    assert merged.mark and merged.index and abs(merged.mark / merged.index - 1) < Decimal("0.01")
    assert merged.high and merged.low and merged.last and merged.low <= merged.last <= merged.high


# ---- requests


def test_requests_and_refusals() -> None:
    spot, linear = Desk(b.Spot()), Desk(b.Linear())
    ok = {"success": True, "ret_msg": "", "conn_id": "simulated-linear", "req_id": "7", "op": "subscribe"}
    assert linear.ask(op="subscribe", req_id="7", args=["tickers.BTCUSDT"]) == ok
    assert spot.ask(op="subscribe", args=["tickers.BTCUSDT"])["ret_msg"] == "subscribe"
    assert linear.ask(op="ping")["ret_msg"] == "pong"
    many = [f"orderbook.{depth}.{x}" for depth in DEPTHS for x in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    assert spot.ask(op="subscribe", args=many)["ret_msg"] == "args size >10"
    assert linear.ask(op="subscribe", args=many)["success"]
    for desk, topic in (
        (linear, "orderbook.500.BTCUSDT"),
        (linear, "tickers.NOPE"),
        (spot, "allLiquidation.BTCUSDT"),
    ):
        followed = dict(desk.client.streams)
        said = desk.ask(op="subscribe", req_id="BTCUSDT", args=["kline.1.BTCUSDT", topic])
        assert (said["success"], said["ret_msg"]) == (False, f"error:handler not found,topic:{topic}")
        assert desk.client.streams == followed
        reply = venue.market(desk.half.name).live.head(json.dumps(said).encode()).reply
        assert reply is not None and reply.refused == ("BTCUSDT",)
    said = spot.ask(op="subscribe", args=["tickers.BTCUSDT"])
    assert said["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"
    assert not spot.ask(op="shout")["success"]
    for text in (b"hello", b"[]", b"\xff", b'{"op":7}', b'{"op":"subscribe","args":[1]}', b"[" * 5000):
        (refused,) = spot.half.answer(text, spot.client, spot)
        assert not json.loads(refused)["success"]


@EACH
def test_what_the_venue_file_asks_for_is_granted(half: type[b.Bybit]) -> None:
    desk, live = Desk(half()), venue.market(half.name).live
    streams = [stream for x in live.symbols for stream in live.streams(x)]
    assert live.subscribe is not None and live.ping is not None
    for frame in (*live.subscribe(streams), live.ping):
        (said,) = desk.half.answer(frame, desk.client, desk)
        assert json.loads(said)["success"], said
        assert live.head(said).reply is None
    assert list(desk.client.streams) == [stream.name for stream in streams]
    assert {desk.half.stream(name).path for name in desk.client.streams} == {
        stream.path for stream in streams
    }
    assert {stream.name for stream in streams if stream.book} == {
        name for name in desk.client.streams if desk.half.stream(name).book
    }


@EACH
def test_instruments(half: type[b.Bybit]) -> None:
    desk, served = Desk(half()), venue.market(half.name)
    answer = desk.half.rest["/v5/market/instruments-info"]
    found = served.instruments(answer({"category": half.category}, desk))
    assert [x.symbol for x in found] == list(served.live.symbols)
    for each in found:
        grid = desk.half.symbols[each.symbol].grid(half.kind)
        assert (each.tick, each.lot, each.instrument) == (grid.tick, grid.lot, served.canonical(each.symbol))
    (one,) = served.instruments(answer({"category": half.category, "symbol": "ETHUSDT"}, desk))
    assert one in found
    assert served.instruments(answer({"category": half.category, "symbol": "NOPE"}, desk)) == []
    with pytest.raises(venue.ParseError):
        served.instruments(answer({"category": "option"}, desk))
    with pytest.raises(venue.ParseError):
        served.instruments(desk.half.refusal(429)[1])
    assert desk.half.refusal(418)[0] == 403


# ---- over sockets


def run(test: Callable[[Simulator, aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def go() -> None:
        options = Options(
            markets=tuple(x.name for x in b.HALVES), symbols=("BTCUSDT",), past_s=0, manual=True
        )
        async with Simulator(options) as simulator, aiohttp.ClientSession() as http:
            await test(simulator, http)

    asyncio.run(go())


@EACH
def test_over_a_socket_until_a_gap_and_followed_anew(half: type[b.Bybit]) -> None:
    live = venue.market(half.name).live

    async def test(simulator: Simulator, http: aiohttp.ClientSession) -> None:
        ws_url, rest_url = simulator.urls(half.name)
        (request,) = live.instruments(["BTCUSDT"]) if live.instruments else []
        async with http.get(rest_url + request.path) as answer:
            assert len(venue.market(half.name).instruments(await answer.read())) == 1
        streams = live.streams("BTCUSDT")
        ws = await http.ws_connect(ws_url + live.socket_url(streams[0].path, [], ""))
        heard: dict[str, list[bytes]] = defaultdict(list)

        async def read() -> None:
            async for message in ws:
                payload = message.data.encode()
                heard[live.head(payload).stream].append(payload)

        reader = asyncio.create_task(read())

        async def until(count: Callable[[], bool]) -> None:
            async with asyncio.timeout(20):
                while not count():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

        async def true_book() -> None:
            async with http.get(
                f"{simulator.rest_url}/_simulator/truth?market={half.name}&symbol=BTCUSDT"
            ) as answer:
                truth = await answer.json()
            await until(lambda: is_true(heard[streams[0].name], truth))

        assert live.subscribe is not None and live.unsubscribe is not None
        for frame in live.subscribe(streams):
            await ws.send_str(frame.decode())
        await until(lambda: bool(heard[streams[0].name]))
        await simulator.advance(3_000)
        await true_book()
        assert {x.name for x in streams if "Liq" not in x.name} | {""} <= heard.keys()
        # One message is lost: nothing but a new subscription helps.
        simulator.fault(Command(kind="gap", market=half.name, symbol="BTCUSDT"))
        await simulator.advance(1_000)
        await until(lambda: not is_continuous(heard[streams[0].name]))
        for frame in (*live.unsubscribe(streams[:1]), *live.subscribe(streams[:1])):
            await ws.send_str(frame.decode())
        await until(lambda: len(heard[""]) == 3)
        await until(lambda: b'"snapshot"' in heard[streams[0].name][-1])
        del heard[streams[0].name][:-1]
        await simulator.advance(1_000)
        await true_book()
        reader.cancel()
        await ws.close()

    run(test)


def is_true(payloads: list[bytes], truth: dict[str, Any]) -> bool:
    return numbers(rebuilt(payloads)) == numbers((dict(truth["bids"]), dict(truth["asks"])))


def numbers(sides: tuple[dict[str, str], dict[str, str]]) -> list[dict[Decimal, Decimal]]:
    return [{Decimal(price): Decimal(size) for price, size in side.items()} for side in sides]


def is_continuous(payloads: list[bytes]) -> bool:
    ids = [json.loads(payload)["data"]["u"] for payload in payloads]
    return ids == list(range(ids[0], ids[0] + len(ids)))
