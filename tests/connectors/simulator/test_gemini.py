"""Both simulated APIs of Gemini: their frames parse, their books are the true ones, requests are met as documented."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from typing import Any

import aiohttp
import pytest

from connectors import venue
from connectors.book_sync import GAP, NEXT, verdict
from connectors.lane import lanes
from connectors.publisher import Publisher
from connectors.record import Record
from connectors.simulator.gemini import LISTED, Archived, Current
from connectors.simulator.half import Client, Half, State
from connectors.simulator.market import Event, SimulatedMarket, Trade
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.telemetry import Telemetry
from flows.kernels.book import SIZE_DECIMALS
from flows.kernels.depth import DepthKernel

START_MS = 1_795_000_000_000
GEMINI, V2 = venue.market("gemini"), venue.market("gemini_v2")
BOTH = pytest.mark.parametrize("half", [Current, Archived], ids=lambda half: half.name)
Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
Judge = Callable[[int, venue.Head], int]


def played(half: Half, wanted: set[str], seconds: int = 20) -> list[tuple[Event, str, bytes]]:
    market = SimulatedMarket(half.kind, LISTED, 7, START_MS, half.name)
    events = list(market.advance(START_MS + seconds * 1000))
    return [(event, *said) for event in events for said in half.frames(event, wanted)]


# ---- frames


@BOTH
def test_frames_parse_to_what_happened(half: type[Half]) -> None:
    served, simulated = venue.market(half.name), half()
    wanted = {stream.name for each in LISTED for stream in served.live.streams(each.symbol)}
    wanted |= {f"{each.symbol.lower()}@bookTicker" for each in LISTED}
    seen: Counter[type] = Counter()
    for event, name, payload in played(simulated, wanted):
        (parsed,) = served.parse(payload)
        seen[type(parsed)] += 1
        assert parsed.symbol == event.symbol
        assert served.key_of(payload) == event.symbol.encode()
        assert parsed.event_ns is None or parsed.event_ns // 10**6 == event.event_ms
        head = served.live.head(payload)
        assert not head.snapshot
        assert head.stream in ("" if isinstance(parsed, venue.BestQuote) else name,)
        if isinstance(event, Trade):
            assert isinstance(parsed, venue.Trade)
            grid = simulated.symbols[event.symbol].spot
            assert (parsed.price, parsed.size) == (event.tick * grid.tick, event.lots * grid.lot)
            assert (parsed.side, parsed.trade_id) == ("sell" if event.sold else "buy", event.trade_id)
    kinds = {venue.Depth, venue.Trade, venue.BestQuote} if half is Current else {venue.Depth, venue.Trade}
    assert seen.keys() == kinds


@BOTH
def test_what_nobody_wants_is_not_said(half: type[Half]) -> None:
    assert played(half(), set(), seconds=1) == []


def test_each_change_begins_where_the_one_before_ended() -> None:
    last: dict[str, int] = {}
    wanted = {f"{each.symbol.lower()}@depth@100ms" for each in LISTED}
    for _, name, payload in played(Current(), wanted):
        told = json.loads(payload)
        assert told["U"] == last.get(name, told["U"]) < told["u"]
        last[name] = told["u"]
    assert last.keys() == wanted


# ---- through connector and flow


class Floor:
    """The desk of a market whose time moves with its events; there are no sockets."""

    def __init__(self, half: Half) -> None:
        self.market = SimulatedMarket(half.kind, LISTED, 7, START_MS, half.name)

    @property
    def now_ms(self) -> int:
        return self.market.now_ms

    def state(self, symbol: str) -> State:
        return State(*self.market.book(symbol).state(0), self.market.now_ms)


def asked(half: Half, client: Client, desk: Any, streams: list[venue.Stream], method: str) -> list[bytes]:
    """What a client hears when it (un)subscribes."""
    live, followed = venue.market(half.name).live, set(client.streams)
    ask = live.subscribe if method == "subscribe" else live.unsubscribe
    assert ask is not None
    said = [answer for frame in ask(streams) for answer in half.answer(frame, client, desk)]
    fresh = [name for name in client.streams if name not in followed]
    return said + [payload for name in fresh for payload in half.first(half.stream(name), desk)]


@BOTH
def test_connector_and_flow_hold_the_true_books(half: type[Half]) -> None:
    """Through a subscription anew in the midst of it."""
    served, simulated = venue.market(half.name), half()
    floor, client = Floor(simulated), Client(simulated.paths[0], {"snapshot": "-1"})
    desk: Any = floor
    streams = [stream for each in LISTED for stream in served.live.streams(each.symbol)]
    held = lanes(served, [each.symbol for each in LISTED])
    publisher, kernel = Publisher(served, held, Telemetry(), 1, 0.0), DepthKernel(served, 0)
    offsets = count(1)

    def hear(said: list[bytes]) -> None:
        for payload in said:
            publisher.on_frame(held[0], b"ws-1", floor.now_ms * 10**6, payload)
        kernel.on_records(Record(x.key, next(offsets), x.body) for x in publisher.take(cut=True))

    publisher.opened(held[0], b"ws-1", 0.0)
    hear(asked(simulated, client, desk, streams, "subscribe"))
    for step in range(1, 31):
        for event in floor.market.advance(START_MS + step * 100):
            hear([payload for _, payload in simulated.frames(event, client.streams)])
        if step == 20:
            again = served.live.streams("BTCUSD")
            hear(asked(simulated, client, desk, again, "unsubscribe"))
            hear(asked(simulated, client, desk, again, "subscribe"))
    for each in LISTED:
        _, bids, asks, _ = floor.state(each.symbol)
        true = [
            {tick * each.spot.tick: lots * each.spot.lot for tick, lots in side.items()}
            for side in (bids, asks)
        ]
        fields = publisher._followed[each.symbol].book.fields()
        assert [{Decimal(p): Decimal(n) for p, n in fields[name]} for name in ("bids", "asks")] == true
        found = kernel._books[each.symbol.encode()]
        flows: list[dict[Decimal, Decimal]] = [{}, {}]
        lot = Decimal(1).scaleb(-int(found.meta[SIZE_DECIMALS]))
        for tick, lots, side in zip(*found.levels(), strict=True):
            flows[side][found.price(int(tick))] = int(lots) * lot
        assert flows == true
    assert not {"gaps", "dead_letters", "crossed"} & kernel.counts.keys()


# ---- over sockets


def book(said: list[bytes], served: venue.Market, symbol: str) -> tuple[Sides, Counter[int]]:
    """The book by what heads say and the venue's rule."""
    sides: Sides = ({}, {})
    book_id, judged = -1, Counter[int]()
    for payload in said:
        head = served.live.head(payload)
        if head.stream != served.live.streams(symbol)[0].name:
            continue
        if head.snapshot:
            sides, book_id = ({}, {}), head.last_id
        else:
            rule = int(served.wire.rule)
            judged[verdict(rule, False, book_id, head.first_id, head.last_id, head.previous_id)] += 1
            book_id = max(book_id, head.last_id)
        for side, levels in zip(sides, (head.bids, head.asks), strict=True):
            for price, size in levels:
                side[Decimal(price)] = Decimal(size)
    return tuple({p: n for p, n in side.items() if n} for side in sides), judged  # type: ignore[return-value]


# What a client may ask at any time, and the answer.
FENCES = {
    "gemini": ('{"id":"fence","method":"ping"}', b'{"id":"fence","status":200}'),
    "gemini_v2": ('{"type":"fence"}', b'{"reason":"NoValidTradingPairs","result":"error"}'),
}


class Talk:
    """A client of one simulated market whose time stands still but for `advance`."""

    def __init__(self, simulator: Simulator, http: aiohttp.ClientSession, market: str) -> None:
        self.simulator, self.http, self.served = simulator, http, venue.market(market)
        self.ws_url, self.rest_url = simulator.urls(market)

    async def connect(self, end: str) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(self.ws_url + end)

    async def hear(self, ws: aiohttp.ClientWebSocketResponse) -> list[bytes]:
        """All that was said until now: until the answer to a question that is asked now."""
        question, answer = FENCES[self.served.name]
        await ws.send_str(question)
        said: list[bytes] = []
        async with asyncio.timeout(20):
            while (frame := (await ws.receive_str()).encode()) != answer:
                said.append(frame)
        return said

    async def truth(self, symbol: str) -> Sides:
        url = f"{self.simulator.rest_url}/_simulator/truth?market={self.served.name}&symbol={symbol}"
        async with self.http.get(url) as answer:
            told = await answer.json()
        return {Decimal(p): Decimal(n) for p, n in told["bids"]}, {
            Decimal(p): Decimal(n) for p, n in told["asks"]
        }

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.http.get(self.rest_url + path) as answer:
            return answer.status, await answer.read()


def run(market: str, test: Callable[[Talk], Awaitable[None]]) -> None:
    async def go() -> None:
        options = Options(markets=(market,), symbols=("BTCUSD", "SOLUSD"), past_s=0, manual=True)
        async with Simulator(options) as simulator, aiohttp.ClientSession() as http:
            await test(Talk(simulator, http, market))

    asyncio.run(go())


def frames_of(market: str, symbol: str, *, method: str = "subscribe") -> list[str]:
    live = venue.market(market).live
    ask = live.subscribe if method == "subscribe" else live.unsubscribe
    assert ask is not None
    return [frame.decode() for frame in ask(live.streams(symbol))]


@pytest.mark.parametrize("market", ["gemini", "gemini_v2"])
def test_the_book_told_is_the_true_one(market: str) -> None:
    """Also after a second subscription in the midst of it."""

    async def test(talk: Talk) -> None:
        live = talk.served.live
        path = live.streams("BTCUSD")[0].path
        ws = await talk.connect(live.socket_url(path, [], ""))
        for symbol in ("BTCUSD", "SOLUSD"):
            for frame in frames_of(market, symbol):
                await ws.send_str(frame)
        said = await talk.hear(ws)
        await talk.simulator.advance(3000)
        said += await talk.hear(ws)
        for frame in (*frames_of(market, "BTCUSD", method="unsubscribe"), *frames_of(market, "BTCUSD")):
            await ws.send_str(frame)
        said += await talk.hear(ws)
        await talk.simulator.advance(2000)
        said += await talk.hear(ws)
        heads = [live.head(payload) for payload in said]
        assert [head.stream for head in heads if head.snapshot] == [
            live.streams(symbol)[0].name for symbol in ("BTCUSD", "SOLUSD", "BTCUSD")
        ]
        for symbol in ("BTCUSD", "SOLUSD"):
            sides, judged = book(said, talk.served, symbol)
            assert sides == await talk.truth(symbol)
            assert set(judged) == {NEXT}
            assert judged[NEXT] > 30
        await ws.close()

    run(market, test)


def test_a_lost_change_is_a_gap() -> None:
    async def test(talk: Talk) -> None:
        ws = await talk.connect("/?snapshot=-1")
        await ws.send_str(frames_of("gemini", "BTCUSD")[0])
        said = await talk.hear(ws)
        await talk.simulator.advance(1000)
        said += await talk.hear(ws)
        changes = [x for x in said if talk.served.live.head(x).last_id >= 0]
        _, judged = book([*changes[:4], *changes[5:]], talk.served, "BTCUSD")
        assert judged[GAP] == 1
        await ws.close()

    run("gemini", test)


def test_snapshots_are_those_the_connection_asked_for() -> None:
    async def test(talk: Talk) -> None:
        for end, levels in (
            ("/?snapshot=3", [3, 3]),
            ("/?snapshot=0", None),
            ("/", None),
            ("/?snapshot=x", None),
        ):
            ws = await talk.connect(end)
            await ws.send_str('{"id":7,"method":"SUBSCRIBE","params":["BTCUSD@depth@100ms"]}')
            said = [json.loads(payload) for payload in await talk.hear(ws)]
            assert said.pop() == {"id": 7, "status": 200}
            assert [[len(x["b"]), len(x["a"])] for x in said] == ([levels] if levels else [])
            await ws.close()

    run("gemini", test)


def test_one_bad_stream_refuses_the_request() -> None:
    async def test(talk: Talk) -> None:
        ws = await talk.connect("/?snapshot=-1")
        good, bad = frames_of("gemini", "BTCUSD")[0], frames_of("gemini", "NOSUCH")[0]
        await ws.send_str(bad)
        reply = talk.served.live.head((await talk.hear(ws))[0]).reply
        assert reply is not None
        assert (reply.refused, reply.fatal) == (("NOSUCH",), False)
        await ws.send_str(good.replace("btcusd@trade", "btcusd@nothing"))
        (refusal,) = await talk.hear(ws)
        assert talk.served.live.head(refusal).reply is not None
        await ws.send_str(good)
        whole, answer = await talk.hear(ws)
        assert talk.served.live.head(whole).snapshot
        assert json.loads(answer) == {"id": "subscribeBTCUSD", "status": 200}
        await ws.close()

    run("gemini", test)


class NoDesk:
    """A market that is asked nothing."""

    now_ms = START_MS


def refused(request: int | None, code: int, reason: str) -> dict[str, Any]:
    return {"id": request, "status": 400, "error": {"code": code, "msg": reason}}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (GEMINI.live.ping, {"id": "ping", "status": 200}),
        (b'{"id":1,"method":"time"}', {"id": 1, "status": 200, "result": {"serverTime": START_MS}}),
        (b'{"id":1,"method":"list_subscriptions"}', {"id": 1, "status": 200, "result": []}),
        (b'{"id":1,"method":"order.place"}', refused(1, -1020, "Unsupported operation")),
        (b'{"id":1,"method":"subscribe","params":{"streams":[]}}', refused(1, -1013, "Invalid params")),
        (b"\xff", refused(None, -1013, "Invalid request")),
        (b"[" * 5000, refused(None, -1013, "Invalid request")),
    ],
)
def test_requests(asked: bytes, said: dict[str, Any]) -> None:
    desk: Any = NoDesk()
    assert [json.loads(x) for x in Current().answer(asked, Client("/", {}), desk)] == [said]


@pytest.mark.parametrize(
    "asked",
    [
        b"", b"{}", b"\xff", b'{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["btcusd"]}]}',
        b'{"type":"subscribe","subscriptions":[{"name":"candles_1m","symbols":["BTCUSD"]}]}',
        b'{"type":"dance","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}',
    ],
)  # fmt: skip
def test_requests_that_the_archived_api_refuses(asked: bytes) -> None:
    desk: Any = NoDesk()
    client = Client("/v2/marketdata", {})
    (said,) = Archived().answer(asked, client, desk)
    reply = V2.live.head(said).reply
    assert reply is not None and reply.error
    assert V2.parse(said) == []
    assert not client.streams


def test_the_archived_api_tells_the_last_trades_with_the_book() -> None:
    half = Archived()
    trades = [event for event, _, _ in played(half, {"BTCUSD@trade"}, 60) if event.symbol == "BTCUSD"]

    class Desk:
        def state(self, symbol: str) -> tuple[int, dict[int, int], dict[int, int], int]:
            return 7, {8123450: 5}, {8123460: 0, 8123470: 6}, START_MS

    desk: Any = Desk()
    assert half.first(half.stream("BTCUSD@trade"), desk) == []
    (payload,) = half.first(half.stream("BTCUSD@l2"), desk)
    depth, *last = V2.parse(payload)
    assert isinstance(depth, venue.Depth) and depth.snapshot
    assert [x.trade_id for x in last if isinstance(x, venue.Trade)] == [
        x.trade_id for x in trades[-50:] if isinstance(x, Trade)
    ]
    assert len(last) == 50
    beat = half.heartbeat(Client("/v2/marketdata", {}), START_MS)
    assert V2.parse(beat) == []
    assert V2.live.head(beat).event_ns == START_MS * 10**6


@pytest.mark.parametrize("market", ["gemini", "gemini_v2"])
def test_instruments_by_request(market: str) -> None:
    async def test(talk: Talk) -> None:
        ask = talk.served.live.instruments
        assert ask is not None
        for request, listed in zip(ask(["BTCUSD", "SOLUSD"]), (LISTED[0], LISTED[2]), strict=True):
            status, body = await talk.get(request.path)
            (found,) = talk.served.instruments(body)
            assert status == 200
            assert (found.symbol, found.tick, found.lot) == (listed.symbol, listed.spot.tick, listed.spot.lot)
            assert found.instrument == f"{listed.base}-USD"
        status, body = await talk.get(ask(["NOSUCH"])[0].path)
        assert status == 400
        with pytest.raises(venue.ParseError):
            talk.served.instruments(body)
        assert await talk.get("/v1/symbols") == (200, b'["btcusd","solusd"]')

    run(market, test)
