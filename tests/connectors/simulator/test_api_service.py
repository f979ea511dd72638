"""Simulated APIs over real sockets, beside the venues; and what venues tell of their past."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from connectors.simulator import market as m
from connectors.simulator.api import WorldBar
from connectors.simulator.api_service import ApiService
from connectors.simulator.half import DEMO_KEY
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options, VenueService
from connectors.simulator.world import joined
from tests.connectors.simulator.test_api_desk import Invented

KEYED = {"X-Key": DEMO_KEY}
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class Simulated(Simulator):
    """One that serves an invented API beside its own."""

    def __init__(self) -> None:
        super().__init__(Options(symbols=("BTCUSDT",), past_s=0, manual=True))
        self.apis = {**self.apis, "invented": ApiService(Invented(), self.world, self.faults)}


def run(test: Callable[[Simulator, aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def go() -> None:
        async with Simulated() as simulator, aiohttp.ClientSession() as http:
            await test(simulator, http)

    asyncio.run(go())


def test_an_api_is_served_at_its_name_and_counted() -> None:
    async def test(simulator: Simulator, http: aiohttp.ClientSession) -> None:
        url = simulator.api_url("invented")
        async with http.get(f"{url}/coins/bit%20coin/chart?days=3", headers=KEYED) as answer:
            assert answer.status == 200 and answer.content_type == "application/json"
            assert (await answer.json())[:2] == ["/coins/bit coin/chart", {"days": "3", "id": "bit coin"}]
        for status in (200, 200, 429):
            async with http.get(f"{url}/coins", headers=KEYED) as answer:
                assert answer.status == status
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        await simulator.advance(MINUTE)
        async with http.get(f"{url}/coins", headers=KEYED) as answer:
            assert answer.status == 200
            tag = answer.headers["ETag"]
        async with http.get(f"{url}/coins", headers={**KEYED, "If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with http.get(f"{simulator.rest_url}/_simulator/counters") as answer:
            counters = (await answer.json())["invented"]
        assert counters["requests"] == 6 and counters["refused"] == 1 and counters["not_modified"] == 1
        assert {"plan": "demo", "span": "minute", "limit": 3, "used_max": 4} in counters["windows"]
        assert DEMO_KEY not in str(counters)

    run(test)


def test_faults_of_apis_on_command() -> None:
    async def test(simulator: Simulator, http: aiohttp.ClientSession) -> None:
        async def get() -> tuple[int, bytes]:
            async with http.get(f"{simulator.api_url('invented')}/coins", headers={"X-Key": "pro"}) as answer:
                return answer.status, await answer.read()

        async def fault(**command: Any) -> int:
            async with http.post(f"{simulator.rest_url}/_simulator/fault", json=command) as answer:
                return answer.status

        good = await get()
        assert await fault(kind="plan_expired", market="invented", count=2) == 200
        assert [await get() for _ in range(3)] == [(401, b"plan_expired"), (401, b"plan_expired"), good]
        assert await fault(kind="empty", for_s=3600) == 200
        assert await get() == (200, b"")
        assert await fault(kind="heal", market="invented") == 200
        assert await get() == good
        assert await fault(kind="bad_key", market="binance_spot") == 400
        assert await fault(kind="gap", market="nobody") == 400
        assert await fault(kind="outage", market="invented", for_s=60) == 200
        with pytest.raises(aiohttp.ClientError):
            await get()
        assert await fault(kind="heal") == 200
        assert await get() == good
        assert simulator.counters()["invented"]["connections_refused"] >= 1

    run(test)


def test_unknown_apis_are_refused() -> None:
    with pytest.raises(ValueError, match="expected APIs among"):
        Simulator(Options(apis=("nobody",)))


def test_a_venue_tells_of_years_before_it_begins_to_trade() -> None:
    async def test(simulator: Simulator, http: aiohttp.ClientSession) -> None:
        now_ms = simulator.clock.now_ms()
        spot, futures = (simulator.venues[name] for name in ("binance_spot", "binance_futures"))
        bars = spot.history("BTCUSDT", 60, now_ms - DAY, now_ms)
        assert len(bars) == 1440
        assert len(spot.history("BTCUSDT", 86_400, 0, now_ms)) > 1800
        above = futures.history("BTCUSDT", 60, now_ms - DAY, now_ms)
        assert {round((a.close / b.close - 1) * 1e4, 6) for a, b in zip(above, bars, strict=True)} == {
            m.BASIS_BPS
        }
        assert sum(x.volume for x in above) > 1.5 * sum(x.volume for x in bars)

    run(test)


def test_minutes_that_a_market_plays_are_its_own_and_join_the_past() -> None:
    async def test(simulator: Simulator, http: aiohttp.ClientSession) -> None:
        url = f"{simulator.ws_url}/stream?streams=btcusdt@kline_1m"
        async with http.ws_connect(url) as ws:
            venue = simulator.venues["binance_spot"]
            told: list[dict[str, Any]] = []
            reading = asyncio.create_task(_read(ws, told))
            begin_ms = venue.market.now_ms
            for _ in range(13):
                await simulator.advance(20_000)
            assert_joined(venue, begin_ms)
            reading.cancel()
            # What streams have told of a closed minute, requests tell too.
            async with http.get(
                f"{simulator.rest_url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10"
            ) as answer:
                rows = {row[0]: row for row in await answer.json()}
            closed = [x for x in told if x["x"]]
            assert len(closed) >= 3
            for x in closed:
                assert [x[name] for name in "tohlcv"] == rows[x["t"]][:6]
                assert (x["n"], x["V"]) == (rows[x["t"]][8], rows[x["t"]][9])

    run(test)


async def _read(ws: aiohttp.ClientWebSocketResponse, told: list[dict[str, Any]]) -> None:
    async for message in ws:
        told += [message.json()["data"]["k"]]


def assert_joined(venue: VenueService, begin_ms: int) -> None:
    now_ms = venue.market.now_ms
    minutes = venue.history("BTCUSDT", 60, begin_ms - 2 * HOUR, now_ms + 1)
    opens = [x.open_ms for x in minutes]
    assert opens == list(range(opens[0], opens[0] + len(opens) * MINUTE, MINUTE))
    own = [venue._world_bar(x) for x in venue.market.bars("BTCUSDT") if x.trades]
    assert len(own) >= 4 and minutes[-len(own) :] == own
    before, first = minutes[-len(own) - 1], own[0]
    assert first.open == pytest.approx(before.close, rel=0.003)
    for interval_s in (300, 3600):
        whole = venue.history("BTCUSDT", interval_s, begin_ms - HOUR - begin_ms % HOUR, now_ms + 1)
        expected = joined([x for x in minutes if x.open_ms >= whole[0].open_ms], interval_s)
        assert [rounded(x) for x in whole] == [rounded(x) for x in expected]
    assert venue.history("BTCUSDT", 60, now_ms + HOUR, now_ms + DAY) == []


def rounded(bar: WorldBar) -> tuple[float, ...]:
    return tuple(round(float(x), 8) for x in bar)
