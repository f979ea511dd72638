"""A venue's simulated half asked without sockets: the client of its feed, and the desk that the half asks."""

import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.api import ApiError, Received
from connectors.backfill import Backfill
from connectors.feed import Answer, Feed, Outcome, feed
from connectors.fetched import Fetched
from connectors.simulator.api import WorldBar
from connectors.simulator.clock import VenueClock
from connectors.simulator.half import Half, RequestError, State, halves
from connectors.simulator.history import GridBar, on_grid
from connectors.simulator.market import Bar
from connectors.simulator.world import SimulatedWorld, scale_of
from connectors.venue import Request

NOW_MS = 1_795_365_930_000  # 2026-11-22 16:45:30 UTC
MARKETS = ("binance_futures", "binance_spot", "bybit_linear", "bybit_spot", "gemini", "kraken")


class HandClock(VenueClock):
    """A clock that stands at `NOW_MS` until it is moved."""

    def __init__(self) -> None:
        super().__init__(900, manual=True)
        self._manual_ms = NOW_MS


CLOCK = HandClock()
WORLD = SimulatedWorld(7, CLOCK)


class PastDesk:
    """Tells of the past alone."""

    def __init__(self, half: Half) -> None:
        self._half = half

    @property
    def now_ms(self) -> int:
        """Where the clock stands."""
        return CLOCK.now_ms()

    def history(self, symbol: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        """Those of the world."""
        x = self._half.symbols[symbol]
        return WORLD.bars(x.base, x.quote, interval_s, from_ms, to_ms, scale_of(x, self._half.kind))

    def open_interest(self, symbol: str) -> int:
        """The same for all."""
        del symbol
        return 12_345

    def state(self, symbol: str) -> State:
        """No book."""
        raise NotImplementedError

    snapshot = state

    def bars(self, symbol: str) -> list[Bar]:
        """No play."""
        raise NotImplementedError


class HalfClient:
    """What `api.Api` is, without sockets, budgets and second attempts."""

    def __init__(self, market: str) -> None:
        self.feed: Feed = feed(f"{market}_rest")
        self.half = halves()[market]()
        self.desk = PastDesk(self.half)
        self.paths: list[str] = []
        self.asked: Counter[str] = Counter()
        self.spoiled: Callable[[int, bytes], bytes] = lambda number, body: body

    def answer(self, path: str) -> Answer:
        """What the half says to GET `path`."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        for pattern, answer in self.half.rest.items():
            named = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
            if found := re.fullmatch(named, parts.path):
                try:
                    groups = {name: unquote(text) for name, text in found.groupdict().items()}
                    return Answer(200, {}, answer(query | groups, self.desk))
                except RequestError as error:
                    return Answer(error.status, {}, error.body)
        return Answer(404, {}, b'{"error":"no such path"}')

    async def get(self, request: Request, share: float = 1.0) -> Received:
        """A good answer. Raises ApiError."""
        assert 0 < share <= 1
        self.paths.append(request.path)
        self.asked[request.path] += 1
        answer = self.answer(request.path)
        answer = answer._replace(body=self.spoiled(len(self.paths), answer.body))
        verdict = self.feed.judge(request, answer)
        if verdict.outcome != Outcome.GOOD:
            raise ApiError(f"GET {request.path}: {verdict.reason}", verdict)
        return Received(CLOCK.now_ms() * 1_000_000, answer)

    def bars(self, symbol: str, interval_s: int, from_ns: int, to_ns: int) -> list[GridBar]:
        """The closed bars that open within the span, as the desk has them: the truth."""
        grid = self.half.symbols[symbol].grid(self.half.kind)
        open_ms = CLOCK.now_ms() // (interval_s * 1000) * interval_s * 1000
        to_ms = min(-(-to_ns // 1_000_000), open_ms)
        told = self.desk.history(symbol, interval_s, -(-from_ns // 1_000_000), to_ms)
        return [on_grid(x, grid) for x in told]


class Kept:
    """A publication that keeps what it is given."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Request, Received]] = []

    async def publish(self, key: str, request: Request, received: Received) -> None:
        """Keep one answer."""
        self.answers.append((key, request, received))


def backfill_of(client: HalfClient, fetched: Fetched | None = None) -> tuple[Backfill, Kept]:
    """A backfill of that client, and what it publishes."""
    kept = Kept()
    made = Backfill(
        client.feed, client, kept, fetched or Fetched(":memory:"), lambda: CLOCK.now_ms() * 1_000_000
    )
    return made, kept
