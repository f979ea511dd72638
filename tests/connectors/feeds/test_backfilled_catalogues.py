"""Backfill of CoinGecko and GeckoTerminal from their simulated halves: every bar of the span, and no more requests."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.api import Received
from connectors.backfill import Backfill, Result
from connectors.feed import Answer, Outcome, feed
from connectors.feeds.gecko_terminal import POOLS
from connectors.fetched import Fetched, Span
from connectors.simulator.api import apis
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.clock import VenueClock
from connectors.simulator.half import DEMO_KEY
from connectors.simulator.world import SimulatedWorld
from connectors.venue import Request
from tests.connectors.simulator.apis.asked import NOW_MS

DAY_NS = 86_400 * 10**9
NOW_NS = NOW_MS * 10**6


class Asking:
    """The client and the publication of a backfill, without sockets and log."""

    def __init__(self, name: str) -> None:
        self.feed = feed(name)
        self.desk = ApiDesk(apis()[name](), SimulatedWorld(7, VenueClock(900, True, NOW_MS)))
        self.published: list[str] = []

    async def get(self, request: Request, share: float = 1.0) -> Received:
        headers = self.feed.auth(self.feed.plans[0], DEMO_KEY).headers
        reply = self.desk.answer(request.path.partition("#")[0], headers)
        answer = Answer(reply.status, {}, reply.body)
        assert self.feed.judge(request, answer).outcome is Outcome.GOOD
        return Received(NOW_NS, answer)

    async def publish(self, key: str, request: Request, received: Received) -> None:
        self.published.append(request.path)


@pytest.fixture
def fetched(tmp_path: Path) -> Iterator[Fetched]:
    found = Fetched(tmp_path / "fetched.sqlite3")
    yield found
    found.close()


def bars(asking: Asking, fetched: Fetched, symbol: str, interval_s: int, span: Span) -> Result:
    backfill = Backfill(asking.feed, asking, asking, fetched, lambda: NOW_NS)  # type: ignore[arg-type]
    return asyncio.run(backfill.bars(symbol, interval_s, span))


@pytest.mark.parametrize(
    ("name", "symbol", "interval_s", "span_ns", "requests"),
    [
        ("gecko_terminal", POOLS[0], 60, DAY_NS, 2),
        ("gecko_terminal", POOLS[0], 3600, 120 * DAY_NS, 3),
        ("coingecko_onchain", POOLS[0], 300, 3 * DAY_NS, 1),
        # The chart, then the bars.
        ("coingecko", "bitcoin", 1800, DAY_NS - 3600 * 10**9, 2),
        ("coingecko", "ethereum", 14_400, 29 * DAY_NS, 2),
    ],
)
def test_every_bar_of_a_span_is_fetched(
    name: str, symbol: str, interval_s: int, span_ns: int, requests: int, fetched: Fetched
) -> None:
    asking = Asking(name)
    found = bars(asking, fetched, symbol, interval_s, Span(NOW_NS - span_ns, NOW_NS))
    assert (found.error, found.missing) == ("", 0)
    step_ns = interval_s * 10**9
    assert found.rows == NOW_NS // step_ns - -(-(NOW_NS - span_ns) // step_ns)
    assert found.requests == len(asking.published) == requests


def test_pages_that_repeat_are_an_error_and_not_remembered(fetched: Fetched) -> None:
    asking, span = Asking("gecko_terminal"), Span(NOW_NS - 3 * DAY_NS, NOW_NS)
    asking.desk.fault("repeated_page", 100)
    found = bars(asking, fetched, POOLS[0], 60, span)
    assert found.requests == 1
    assert "the page is another" in found.error
    asking.desk.heal()
    assert bars(asking, fetched, POOLS[0], 60, span).rows == 3 * 1440 - 1
