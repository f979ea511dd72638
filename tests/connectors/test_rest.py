"""The REST queue: budget, stop signs, retries."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from connectors.rest import Gate, Rest, RestError
from connectors.venue import Request
from tests.connectors.exchange import Exchange, serving

WEIGHT = "X-MBX-USED-WEIGHT-1M"


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([5, 25, 50, 250])), max_size=200))
def test_the_budget_of_a_minute_is_never_exceeded(asked: list[tuple[float, int]]) -> None:
    gate, now_s, sent = Gate(1000, 0.8), 0.0, []
    for gap_s, weight in asked:
        now_s += gap_s
        while wait_s := gate.enter(now_s, weight):
            now_s += wait_s
        sent.append((now_s, weight))
        gate.leave(now_s, weight)
    minutes: dict[int, int] = {}
    for at_s, weight in sent:
        minutes[int(at_s // 60)] = minutes.get(int(at_s // 60), 0) + weight
    assert max(minutes.values(), default=0) <= 800


def test_a_stop_sign_closes_the_gate_for_as_long_as_it_says() -> None:
    gate = Gate(1000)
    assert gate.stop(10.0, 429, 7.0) == 7.0
    assert gate.enter(10.0, 1) == 7.0 and gate.closed_s(16.0) == 1.0
    assert not gate.banned
    gate.stop(11.0, 418, 120.0)
    gate.stop(12.0, 429, 1.0)
    assert gate.banned and gate.enter(100.0, 1) == 31.0
    assert gate.enter(131.0, 1) == 0.0 and not gate.banned


def test_a_stop_sign_without_a_time_means_long() -> None:
    assert Gate(10).stop(0.0, 429, None) == 60.0
    assert Gate(10).stop(0.0, 418, None) == 300.0


def run(work: Callable[[Exchange, Rest], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(["BTCUSDT"], play=False) as exchange, aiohttp.ClientSession() as http:
            rest = Rest(
                http, exchange.endpoint.rest_url, Gate(6000), WEIGHT, lambda: 1.0, backoff_s=(0.001, 0.002)
            )
            await work(exchange, rest)

    asyncio.run(main())


DEPTH = Request("/api/v3/depth?symbol=BTCUSDT&limit=1000", 50)


def test_an_answer_and_the_weight_it_tells_of() -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        exchange.requests["others"] = 500
        answer = await rest.get(DEPTH)
        assert answer.body == exchange.books["BTCUSDT"].snapshot() and answer.recv_ns > 0
        assert rest.gate.used(asyncio.get_running_loop().time()) >= 501

    run(work)


@pytest.mark.parametrize(("status", "after"), [(429, "0.05"), (418, "0.05")])
def test_a_stop_sign_is_honoured_by_every_request(status: int, after: str) -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        seen: list[float] = []

        def answer(_: web.Request) -> web.Response | None:
            seen.append(asyncio.get_running_loop().time())
            return web.Response(status=status, headers={"Retry-After": after}) if len(seen) == 1 else None

        exchange.answers["depth"] = answer
        answers = await asyncio.gather(*(rest.get(DEPTH) for _ in range(5)))
        assert len(answers) == 5 and len(seen) == 6
        # Nothing between the stop sign and its end, whoever asks.
        assert min(seen[1:]) - seen[0] >= 0.05

    run(work)


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_server_errors_are_tried_again_and_not_for_ever(status: int) -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        exchange.answers["depth"] = lambda _: (
            web.Response(status=status) if exchange.requests["depth"] < 4 else None
        )
        assert (await rest.get(DEPTH)).body
        exchange.answers["depth"] = lambda _: web.Response(status=status, text="sorry")
        exchange.requests.clear()
        with pytest.raises(RestError, match=f"status {status}: sorry, 5 times"):
            await rest.get(DEPTH)
        assert exchange.requests["depth"] == 5

    run(work)


@pytest.mark.parametrize("status", [400, 403, 404, 451])
def test_a_refusal_is_final(status: int) -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        exchange.answers["depth"] = lambda _: web.json_response({"code": -1121}, status=status)
        with pytest.raises(RestError, match="-1121") as refused:
            await rest.get(DEPTH)
        assert refused.value.status == status and exchange.requests["depth"] == 1

    run(work)


def test_a_host_that_is_not_there() -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        rest._base_url = "http://127.0.0.1:1"
        with pytest.raises(RestError, match="5 times"):
            await rest.get(DEPTH)

    run(work)


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "soon"}, {"Retry-After": "nan"}, {WEIGHT: "x"}, {WEIGHT: "1e99"}]
)
def test_headers_may_hold_anything(headers: dict[str, str]) -> None:
    async def work(exchange: Exchange, rest: Rest) -> None:
        exchange.answers["depth"] = lambda _: web.Response(status=400, headers=headers)
        with pytest.raises(RestError):
            await rest.get(DEPTH)

    run(work)
