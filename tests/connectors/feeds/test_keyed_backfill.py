"""History of the sources with a key, fetched from their simulated halves: every closed bar once."""

import asyncio

import pytest

from connectors.api import Received
from connectors.backfill import Backfill, Span
from connectors.feed import Outcome, feed, history_of
from connectors.fetched import Fetched
from connectors.venue import Bar, Request
from tests.connectors.feeds.asking import Asking
from tests.connectors.feeds.halves import Kept

MINUTE_NS = 60 * 10**9
MARKETS = ("twelve_data", "massive_crypto", "massive_forex", "finnhub")


class Client(Asking):
    """An `Api` whose time goes on while it waits for the vendor."""

    async def get(self, request: Request, share: float = 1.0) -> Received:
        """A good answer."""
        self.world.now_ms += 15_000  # 4 requests a minute
        answer = self.answer(request)
        assert self.feed.judge(request, answer).outcome is Outcome.GOOD, answer
        return Received(self.now_ns, answer)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("jitter_ns", [0, 1, MINUTE_NS - 1])
@pytest.mark.parametrize("count", [1, 5000, 5001])
def test_every_closed_bar_comes_once(market: str, jitter_ns: int, count: int) -> None:
    client = Client(history_of(market))
    kept, end_ns = Kept(), client.now_ns // MINUTE_NS * MINUTE_NS - jitter_ns
    span = Span(end_ns - count * MINUTE_NS, end_ns)
    backfill = Backfill(client.feed, client, kept, Fetched(":memory:"), lambda: client.now_ns)
    symbol = client.feed.symbols[0]
    result = asyncio.run(backfill.bars(symbol, 60, span))
    assert (result.rows, result.missing, result.error) == (count, 0, "")
    assert result.requests <= -(-count // 5000) + 1
    told = [
        bar
        for _, request, x in kept.answers
        for bar in client.feed.parse(request.path, x.answer.body, x.recv_ns)
    ]
    opens = {bar.open_ns for bar in told if isinstance(bar, Bar) and bar.closed and bar.symbol == symbol}
    first_ns = -(-span.from_ns // MINUTE_NS) * MINUTE_NS
    assert opens >= set(range(first_ns, span.to_ns, MINUTE_NS))


def test_candles_that_the_plan_lacks_are_refused_once() -> None:
    asking = Asking(feed("finnhub_rest"))
    assert asking.feed.history is not None
    asking.desk.fault("plan_expired")
    request = asking.feed.history.bars("OANDA:EUR_USD", 60, asking.now_ns - MINUTE_NS, asking.now_ns)
    assert asking.verdict(request).outcome is Outcome.REFUSED
