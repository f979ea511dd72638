"""A feed asked of its simulated half, through the desk that counts and refuses: no socket, time set by hand."""

from dataclasses import dataclass
from urllib.parse import urlencode

from connectors.feed import Answer, Feed, Outcome, Row, Verdict
from connectors.simulator.api import WorldBar, apis
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.half import DEMO_KEY
from connectors.venue import Bar, Request
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld


@dataclass
class MovingWorld:
    """A world of waves whose present is set by hand."""

    now_ms: int = NOW_MS

    def price(self, base: str, quote: str, time_ms: int) -> float:
        """Price of a wave."""
        return ToyWorld(self.now_ms).price(base, quote, time_ms)

    def bars(self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        """Bars of a wave."""
        return ToyWorld(self.now_ms).bars(base, quote, interval_s, from_ms, to_ms)


class Asking:
    """Requests of one feed and what became of them."""

    def __init__(self, feed: Feed, now_ms: int = NOW_MS) -> None:
        self.feed, self.world = feed, MovingWorld(now_ms)
        self.desk = ApiDesk(apis()[feed.name](), self.world)

    @property
    def now_ns(self) -> int:
        """The present."""
        return self.world.now_ms * 10**6

    def answer(self, request: Request, key: str = DEMO_KEY, plan: str = "") -> Answer:
        """What comes back."""
        auth = self.feed.auth(self.feed.plan(plan, has_key=bool(key)), key)
        target = request.path
        if auth.query:
            target += ("&" if "?" in target else "?") + urlencode(auth.query)
        reply = self.desk.answer(target, auth.headers)
        return Answer(reply.status, {x.lower(): y for x, y in reply.headers.items()}, reply.body)

    def verdict(self, request: Request, key: str = DEMO_KEY) -> Verdict:
        """How what comes back is judged."""
        return self.feed.judge(request, self.answer(request, key))

    def rows(self, request: Request) -> list[Row]:
        """What a good answer tells."""
        answer = self.answer(request)
        assert self.feed.judge(request, answer).outcome is Outcome.GOOD, answer
        return self.feed.parse(request.path, answer.body, self.now_ns)

    def pages(self, request: Request, most: int = 20) -> list[list[Row]]:
        """The rows of all pages; more than `most` fail."""
        found: list[list[Row]] = []
        following: Request | None = request
        while following is not None:
            assert len(found) < most, "pages without end"
            answer = self.answer(following)
            assert self.feed.judge(following, answer).outcome is Outcome.GOOD, answer
            found.append(self.feed.parse(following.path, answer.body, self.now_ns))
            following = self.feed.after(following, answer.body)
        return found


def bars_of(rows: list[Row]) -> list[Bar]:
    """The rows, all of which are bars."""
    assert all(isinstance(row, Bar) for row in rows)
    return [row for row in rows if isinstance(row, Bar)]
