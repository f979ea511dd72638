"""Polling with restarts against the simulated vendors, in virtual time: their windows are never exceeded.

Real feeds, client, poller and budgets; only the wire is in memory. Two processes share a key and are killed at any
moment; a request takes up to the longest there is before the vendor counts it.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.access import Access
from connectors.api import Api, Clock
from connectors.budget import Budget
from connectors.feed import DAY_S, Chosen, feed, feeds
from connectors.poller import Poller
from connectors.simulator.api import WorldBar, apis
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.half import DEMO_KEY
from connectors.telemetry import Telemetry
from tests.connectors.simulator.apis.asked import ToyWorld
from tests.connectors.test_poller import Out
from tests.connectors.virtual import VirtualLoop

BEGIN_S = datetime(2026, 11, 22, 22, 0, tzinfo=UTC).timestamp()
LATE_S = 14.0  # within the client's timeout
URL = "https://simulated.example"
# What is polled in a demo, and what shares a key with it.
NAMES = sorted(
    name for name, one in feeds().items()
    if name in apis() and any(one.polls(Chosen(plan, one.symbols)) for plan in one.plans)
)  # fmt: skip


class World:
    """Prices of now, whenever that is."""

    def __init__(self, now_s: Any) -> None:
        self._now_s = now_s

    @property
    def now_ms(self) -> int:
        return int(self._now_s() * 1000)

    def price(self, base: str, quote: str, time_ms: int) -> float:
        return ToyWorld(self.now_ms).price(base, quote, time_ms)

    def bars(self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        return ToyWorld(self.now_ms).bars(base, quote, interval_s, from_ms, to_ms)


class Wire:
    """In place of aiohttp's session: the desk answers, some seconds after it was asked."""

    def __init__(self, desk: ApiDesk, rng: random.Random) -> None:
        self._desk, self._rng = desk, rng

    @asynccontextmanager
    async def get(self, url: str, headers: dict[str, str], **_: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(self._rng.choice([0.1, 0.1, 0.1, LATE_S]))
        reply = self._desk.answer(url.removeprefix(URL), headers)

        async def parts() -> AsyncIterator[bytes]:
            yield reply.body

        yield SimpleNamespace(
            status=reply.status, headers=reply.headers, content=SimpleNamespace(iter_any=parts)
        )


def polled(name: str, path: Path, span_s: float, seed: int) -> dict[str, Any]:
    """What the vendor has counted after that span."""
    loop, rng = VirtualLoop(), random.Random(f"{name} {seed}")
    began_s = loop.time()

    def now_s() -> float:
        return BEGIN_S + loop.time() - began_s

    desk = ApiDesk(apis()[name](), World(now_s))
    one = feed(name)
    has_key = one.key_env is not None
    chosen = Chosen(one.plan("", has_key), one.symbols)
    access = Access(one, chosen, URL, DEMO_KEY if has_key else "")

    async def process(off_s: float) -> None:
        """Polls, dies and begins again, for ever; its clock is off."""
        while True:
            budget = Budget(path, access.account, access.plan)
            wire: Any = Wire(desk, rng)
            api = Api(access, wire, budget, rng.random, clock=Clock(lambda: now_s() + off_s))
            task = asyncio.ensure_future(Poller(api, one.polls(chosen), Out(), Telemetry(), rng.random).run())
            await asyncio.sleep(rng.expovariate(1 / rng.choice([60.0, 4 * 3600.0, DAY_S])))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            budget.disconnect()

    async def main() -> dict[str, Any]:
        tasks = [asyncio.ensure_future(process(off_s)) for off_s in (-2.0, 2.0)]
        _, running = await asyncio.wait(tasks, timeout=span_s, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(running) == 2
        return desk.counters()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


def judge(counted: dict[str, Any]) -> None:
    assert counted["requests"] > 0 and counted["windows"]
    for window in counted["windows"]:
        assert window["used_max"] <= window["limit"], window
    assert counted["refused"] == 0


@pytest.fixture(autouse=True)
def _told_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of seconds pass."""
    monkeypatch.setattr("connectors.poller.TOLD_S", 600.0)


@pytest.mark.parametrize("name", NAMES)
def test_an_hour_of_restarts_exceeds_no_window_of_the_vendor(name: str, tmp_path: Path) -> None:
    judge(polled(name, tmp_path / "budgets.sqlite3", 3600.0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "name", [x for x in NAMES if max(y.span_s for y in feed(x).plans[0].limits) >= DAY_S]
)
def test_a_month_of_restarts_exceeds_no_window_of_the_vendor(name: str, seed: int, tmp_path: Path) -> None:
    judge(polled(name, tmp_path / "budgets.sqlite3", 40 * DAY_S, seed))
