"""The loopback venues over real sockets: streams, requests, limits, faults, and the past."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest

from connectors.simulator.server import Simulator
from connectors.simulator.service import Options

SYMBOLS = ("BTCUSDT", "DOGEUSDT")
DEPTHS = [f"{x.lower()}@depth@100ms" for x in SYMBOLS]
REST = {"binance_spot": "/api/v3", "binance_futures": "/fapi/v1"}
PATH = {"binance_spot": "/stream", "binance_futures": "/public/stream"}
MARKETS = pytest.mark.parametrize("market", list(REST))


@dataclass
class Client:
    """A client that keeps all it hears, and can rebuild a book from it."""

    simulator: Simulator
    http: aiohttp.ClientSession
    heard: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    broken: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    ws: aiohttp.ClientWebSocketResponse | None = None

    async def listen(self, path: str, *streams: str) -> None:
        url = f"{self.simulator.ws_url}{path}" + (f"?streams={'/'.join(streams)}" if streams else "")
        self.ws = await self.http.ws_connect(url)
        self.closed.clear()
        self.reader = asyncio.create_task(self._read(self.ws))

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            try:
                said = msgspec.json.decode(message.data)
            except msgspec.DecodeError:
                self.broken.append(message.data)
                continue
            self.heard[said.get("stream", "")].append(said.get("data", said))
        self.closed.set()

    async def get(self, path: str) -> tuple[int, Any, Any]:
        async with self.http.get(self.simulator.rest_url + path) as answer:
            return answer.status, await answer.json(), answer.headers

    async def snapshot(self, market: str, symbol: str, limit: int = 1000) -> Any:
        status, body, _ = await self.get(f"{REST[market]}/depth?symbol={symbol}&limit={limit}")
        assert status == 200
        return body

    async def act(self, act: str, **body: Any) -> int:
        query = f"?ms={body.pop('ms')}" if "ms" in body else ""
        async with self.http.post(f"{self.simulator.rest_url}/_simulator/{act}{query}", json=body) as answer:
            return answer.status

    async def counters(self, market: str) -> dict[str, Any]:
        _, body, _ = await self.get("/_simulator/counters")
        return body[market] | {"faults": body["faults"]}

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Client]:
    """A simulator whose time stands still but for `advance`, without a past."""
    defaults = {"symbols": SYMBOLS, "past_s": 0, "manual": True}
    async with Simulator(Options(**(defaults | options))) as simulator, aiohttp.ClientSession() as http:
        yield Client(simulator, http)


def run(test: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def go() -> None:
        async with serving(**options) as client:
            await test(client)

    asyncio.run(go())


def rebuilt(snapshot: Any, diffs: list[Any]) -> tuple[int, dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    """The book by the venue's rules; fails where a diff does not follow."""
    book_id = snapshot["lastUpdateId"]
    sides = [{Decimal(p): Decimal(n) for p, n in snapshot[name]} for name in ("bids", "asks")]
    first = True
    for diff in diffs:
        if diff["u"] <= book_id:
            continue
        if first or "pu" not in diff:
            assert diff["U"] <= book_id + 1 or diff.get("pu") == book_id, "gap"
        else:
            assert diff["pu"] == book_id, "gap"
        for side, name in zip(sides, "ba", strict=True):
            for price, size in diff[name]:
                side[Decimal(price)] = Decimal(size)
        book_id, first = diff["u"], False
    return book_id, *({p: n for p, n in side.items() if n} for side in sides)


async def assert_true(client: Client, market: str, symbol: str, snapshot: Any, since: int = 0) -> None:
    _, truth, _ = await client.get(f"/_simulator/truth?market={market}&symbol={symbol}")
    diffs = client.heard[f"{symbol.lower()}@depth@100ms"]
    await client.until(lambda: bool(diffs) and diffs[-1]["u"] >= truth["lastUpdateId"])
    sides = [{Decimal(p): Decimal(n) for p, n in truth[name]} for name in ("bids", "asks")]
    assert rebuilt(snapshot, diffs[since:]) == (truth["lastUpdateId"], *sides)


@MARKETS
def test_snapshot_and_diffs_make_the_true_book(market: str) -> None:
    async def test(client: Client) -> None:
        await client.listen(PATH[market], *DEPTHS)
        await client.act("advance", ms=300)
        snapshots = {
            x: await client.snapshot(market, x, 5000 if market == "binance_spot" else 1000) for x in SYMBOLS
        }
        await client.act("advance", ms=2000)
        symbol = "DOGEUSDT"  # its whole book fits into a snapshot
        await assert_true(client, market, symbol, snapshots[symbol])
        if market == "binance_spot":
            await assert_true(client, market, "BTCUSDT", snapshots["BTCUSDT"])

    run(test)


def test_a_wrongly_routed_or_unknown_stream_is_silent() -> None:
    async def test(client: Client) -> None:
        wrong = Client(client.simulator, client.http)
        await client.listen("/public/stream", DEPTHS[0])
        await wrong.listen("/market/stream", DEPTHS[0], "btcusdt@noSuchThing", "btcusdt@aggTrade")
        for _ in range(2):
            await client.act("advance", ms=900)
        await client.until(lambda: len(client.heard[DEPTHS[0]]) >= 15)
        await wrong.until(lambda: len(wrong.heard["btcusdt@aggTrade"]) >= 5)
        assert set(wrong.heard) == {"btcusdt@aggTrade"}
        assert (await client.get("/_simulator/nothing"))[0] == 404

    run(test)


def test_control_messages_change_what_is_sent() -> None:
    async def test(client: Client) -> None:
        await client.listen("/stream")
        await client.ws.send_str('{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","x@y"],"id":1}')
        await client.until(lambda: client.heard[""] == [{"result": None, "id": 1}])
        await client.act("advance", ms=500)
        await client.until(lambda: len(client.heard[DEPTHS[0]]) >= 4)
        await client.ws.send_str('{"method":"UNSUBSCRIBE","params":["btcusdt@depth@100ms"],"id":2}')
        await client.until(lambda: len(client.heard[""]) == 2)
        heard = len(client.heard[DEPTHS[0]])
        await client.ws.send_str('{"method":"LIST_SUBSCRIPTIONS","id":3}')
        await client.until(lambda: len(client.heard[""]) == 3)
        assert client.heard[""][2] == {"result": ["x@y"], "id": 3}
        assert len(client.heard[DEPTHS[0]]) <= heard + 1

    run(test)


def test_too_many_messages_end_the_connection() -> None:
    async def test(client: Client) -> None:
        await client.listen("/stream", *DEPTHS)
        for i in range(6):
            await client.ws.send_str(f'{{"method":"LIST_SUBSCRIPTIONS","id":{i}}}')
        await client.until(client.closed.is_set)
        assert client.ws.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert (await client.counters("binance_spot"))["message_limit"] == 1

    run(test)


def test_pings_are_sent_and_answered() -> None:
    async def test(client: Client) -> None:
        ws = await client.http.ws_connect(f"{client.simulator.ws_url}/stream", autoping=False)
        message = await ws.receive(timeout=5)
        assert message.type == aiohttp.WSMsgType.PING
        await ws.ping(b"me")
        async with asyncio.timeout(5):
            while (message := await ws.receive()).type != aiohttp.WSMsgType.PONG:
                pass
        assert message.data == b"me"
        await ws.close()

    run(test, ping_s=0.05)


@MARKETS
def test_a_connection_ends_by_age(market: str) -> None:
    async def test(client: Client) -> None:
        await client.listen(PATH[market], *DEPTHS)
        await client.until(client.closed.is_set)
        assert bool(client.heard["!serverShutdown"]) == (market == "binance_spot")

    run(test, connection_s=0.3, shutdown_notice_s=0.1)


@MARKETS
def test_requests(market: str) -> None:
    async def test(client: Client) -> None:
        base = REST[market]
        for path, status in {
            "/ping": 200, "/time": 200, "/exchangeInfo": 200, "/klines?symbol=BTCUSDT&interval=1m": 200,
            "/depth?symbol=BTCUSDT&limit=100": 200, "/depth?symbol=NONE&limit=100": 400, "/depth": 400,
        }.items():  # fmt: skip
            found, body, headers = await client.get(base + path)
            assert found == status, body
            assert int(headers["X-MBX-USED-WEIGHT-1M"]) > 0
        _, body, _ = await client.get(f"{base}/depth?symbol=BTCUSDT&limit=100")
        assert len(body["bids"]) == len(body["asks"]) == 100
        if market == "binance_futures":
            assert (await client.get(f"{base}/openInterest?symbol=BTCUSDT"))[0] == 200

    run(test)


def test_over_the_budget_comes_429_then_418() -> None:
    async def test(client: Client) -> None:
        seen = []
        for _ in range(14):
            status, _, headers = await client.get("/api/v3/depth?symbol=BTCUSDT&limit=100")
            seen.append(status)
            assert (status == 200) == ("Retry-After" not in headers)
        # A minute of the wall clock may begin in between: then it only takes longer.
        assert seen == sorted(seen, key=[200, 429, 418].index) or seen.count(200) > 4
        counters = await client.counters("binance_spot")
        assert counters["refused"] == 14 - seen.count(200) and counters["bans"] == (418 in seen)
        assert counters["weight_max"] > counters["weight_limit"] == 20

    run(test, weight_per_minute=20)


def test_429_and_418_on_command() -> None:
    async def test(client: Client) -> None:
        path = "/fapi/v1/depth?symbol=BTCUSDT&limit=100"
        await client.act("fault", kind="429", market="binance_futures")
        assert [(await client.get(path))[0] for _ in range(2)] == [429, 200]
        await client.act("fault", kind="418", market="binance_futures")
        assert [(await client.get(path))[0] for _ in range(2)] == [418, 418]
        counters = await client.counters("binance_futures")
        assert counters["bans"] == counters["requests_while_banned"] == 1
        assert counters["weight_max"] <= counters["weight_limit"]

    run(test)


@MARKETS
@pytest.mark.parametrize(
    ("kind", "gaps", "broken"),
    [
        ("gap", True, 0),
        ("duplicate", False, 0),
        ("reorder", True, 0),
        ("malformed", True, 1),
        ("truncated", True, 1),
    ],
)
def test_frame_faults_show_and_heal(market: str, kind: str, gaps: bool, broken: int) -> None:
    async def test(client: Client) -> None:
        symbol, diffs = "DOGEUSDT", client.heard["dogeusdt@depth@100ms"]
        await client.listen(PATH[market], *DEPTHS)
        await client.act("advance", ms=300)
        snapshot = await client.snapshot(market, symbol)
        await client.act("fault", kind=kind, market=market, symbol=symbol)
        await client.act("advance", ms=1000)
        if gaps:
            with pytest.raises(AssertionError, match="gap"):
                await assert_true(client, market, symbol, snapshot)
            since, snapshot = len(diffs), await client.snapshot(market, symbol)
            await client.act("advance", ms=1000)
            await assert_true(client, market, symbol, snapshot, since)
        else:
            await assert_true(client, market, symbol, snapshot)
        assert len(client.broken) == broken
        assert (await client.counters(market))["faults"] == {kind: 1}

    run(test)


@MARKETS
def test_an_outage_refuses_all_until_it_is_over(market: str) -> None:
    async def test(client: Client) -> None:
        await client.listen(PATH[market], *DEPTHS)
        await client.act("fault", kind="outage", market=market, for_s=0.5)
        await client.until(client.closed.is_set)
        with pytest.raises(aiohttp.ClientError):
            await client.listen(PATH[market], *DEPTHS)
        with pytest.raises(aiohttp.ClientError):
            await client.get(f"{REST[market]}/ping")
        await asyncio.sleep(0.5)
        await client.listen(PATH[market], *DEPTHS)
        assert (await client.get(f"{REST[market]}/ping"))[0] == 200
        assert (await client.counters(market))["connections_refused"] >= 2

    run(test)


def test_disconnect_silence_skew_stale_crossed_shutdown() -> None:
    async def test(client: Client) -> None:
        market, btc, doge = "binance_spot", *DEPTHS
        await client.listen("/stream", *DEPTHS)
        await client.act("advance", ms=300)
        old = await client.snapshot(market, "BTCUSDT")
        await client.act("advance", ms=500)
        await client.act("fault", kind="stale_snapshot", symbol="BTCUSDT")
        assert await client.snapshot(market, "BTCUSDT") == old
        assert (await client.snapshot(market, "BTCUSDT"))["lastUpdateId"] > old["lastUpdateId"]

        await client.act("fault", kind="silence", symbol="BTCUSDT", for_s=60)
        heard, others = len(client.heard[btc]), len(client.heard[doge])
        await client.act("advance", ms=1000)
        await client.until(lambda: len(client.heard[doge]) > others + 5)
        assert len(client.heard[btc]) <= heard + 1
        await client.act("fault", kind="heal")

        await client.act("advance", ms=300)
        await client.act("fault", kind="skew", for_s=60, skew_ms=-90_000)
        await client.act("advance", ms=500)
        await client.until(lambda: client.heard[doge][-1]["E"] < client.simulator.clock.now_ms() - 80_000)
        await client.act("fault", kind="heal")

        await client.act("fault", kind="crossed", market=market, symbol="DOGEUSDT", count=1)
        await client.act("advance", ms=100)
        await client.act("advance", ms=100)
        _, truth, _ = await client.get(f"/_simulator/truth?market={market}&symbol=DOGEUSDT")
        assert Decimal(truth["bids"][-1][0]) >= Decimal(truth["asks"][0][0])
        await client.act("advance", ms=200)
        _, truth, _ = await client.get(f"/_simulator/truth?market={market}&symbol=DOGEUSDT")
        assert Decimal(truth["bids"][-1][0]) < Decimal(truth["asks"][0][0])

        await client.act("fault", kind="disconnect", market=market)
        await client.until(client.closed.is_set)
        await client.listen("/stream", *DEPTHS)
        await client.act("fault", kind="shutdown", market=market)
        await client.until(client.closed.is_set)
        assert client.heard["!serverShutdown"]

    run(test, shutdown_notice_s=0.05)


def test_wrong_commands_are_refused() -> None:
    async def test(client: Client) -> None:
        assert await client.act("fault", kind="fire") == 400
        assert await client.act("fault", kind="silence") == 400
        assert await client.act("nothing") == 404
        assert await client.act("resume") == 200
        assert await client.act("advance", ms=100) == 400
        assert await client.act("pause") == 200
        assert (await client.get("/_simulator/truth?market=binance_spot&symbol=NONE"))[0] == 404

    run(test)


@MARKETS
def test_the_past_is_played_from_its_beginning_once_the_books_were_asked_for(market: str) -> None:
    async def test(client: Client) -> None:
        await client.listen(PATH[market], *DEPTHS)
        diffs = client.heard["dogeusdt@depth@100ms"]
        now_ms = client.simulator.clock.now_ms()
        await client.until(lambda: len(diffs) >= 1)
        assert diffs[0]["E"] < now_ms - 59_000
        assert len(diffs) < 10, "it waits for the books to be asked for"
        snapshots = {symbol: await client.snapshot(market, symbol) for symbol in SYMBOLS}
        await client.until(lambda: diffs[-1]["E"] > now_ms - 1500)
        seconds = [diff["E"] // 1000 for diff in diffs]
        assert len(seconds) >= 55 and len(set(seconds[:55])) >= 50, "one diff a second"
        client.simulator.clock.pause()
        await client.act("advance", ms=100)
        await assert_true(client, market, "DOGEUSDT", snapshots["DOGEUSDT"])

    run(test, past_s=60, manual=False)


def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def test(client: Client) -> None:
        url = f"{client.simulator.ws_url}/stream?streams={'/'.join(DEPTHS)}"
        stuck = await client.http.ws_connect(url)
        venue = client.simulator.venues["binance_spot"]
        async with asyncio.timeout(60):
            while not venue.counters().get("slow_clients"):
                # In steps of 100 ms, without waiting for the client.
                client.simulator.clock.advance(1900)
                await client.until(
                    lambda: (
                        venue.market.now_ms > client.simulator.clock.now_ms()
                        or not venue.counters()["sockets"]
                    )
                )
        assert not stuck.closed

    run(test, symbols=("BTCUSDT", "ETHUSDT"))


def test_a_port_in_use_is_an_error() -> None:
    async def test(client: Client) -> None:
        with pytest.raises(OSError):
            async with Simulator(Options(port=client.simulator.port)):
                pass

    run(test)
