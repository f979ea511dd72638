"""The one loop that polls: repeats the requests of a feed, publishes the answers as they came, tells how they are.

An answer that is the one before is not published again, only counted. Intervals are stretched, before the first
request, to what the plan bears. State and counters of a poll are those of a `telemetry.Feed` of its name.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol

import msgspec
import structlog

from connectors import telemetry
from connectors.api import NONE, Api, ApiError, Received
from connectors.budget import BudgetError, said
from connectors.feed import DAY_S, Limit, Outcome, Plan, Poll, Row
from connectors.outbox import Outgoing
from connectors.reconnect import Random
from connectors.record import encode_line
from connectors.telemetry import State, Telemetry
from connectors.venue import Bar, ParseError, Request

POLLED_SHARE = 0.9  # of a plan: the rest is for restarts, second attempts and the doctor
FIRST_GAP_S = 2.0  # between the first requests of two polls
JITTER = 0.1  # of an interval
REFUSED_S = 6 * 3600.0  # before a refused request is tried again: plans change
TOLD_S = 1.0
NEVER_NS = 2**63

_log = structlog.get_logger(__name__)


class Out(Protocol):
    """Where records go: `connectors.outbox.Outbox`."""

    def put(self, records: Iterable[Outgoing]) -> None:
        """Queue records."""

    async def room(self) -> None:
        """Return when there is room for more."""


def stretched(polls: Sequence[Poll], plan: Plan, beside: Sequence[Poll] = ()) -> list[Poll]:
    """The polls, all as much slower as it takes to use no more than POLLED_SHARE of each limit of the plan.

    `beside` are polls of other feeds that use the same key.
    """
    every = [*polls, *beside]
    in_turn = sum(plan.spacing_s / x.every_s * x.pages_max for x in every) / POLLED_SHARE
    factor = max([1.0, in_turn, *(_needed(every, x) / (x.units * POLLED_SHARE) for x in plan.limits)])
    return [replace(poll, every_s=poll.every_s * factor) for poll in polls]


def _needed(polls: Iterable[Poll], limit: Limit) -> float:
    """Units that the polls use in the span of a limit, with every page there may be."""
    return sum(limit.span_s / x.every_s * x.pages_max * x.request.weight for x in polls)


def content_of(rows: Iterable[Row]) -> bytes:
    """What rows tell but for their times: the same for two answers that differ in those alone."""
    return msgspec.msgpack.encode([
        {name: getattr(row, name) for name in row.__struct_fields__ if not name.endswith("_ns")} for row in rows
    ])  # fmt: skip


@dataclass(slots=True)
class _Polled:
    """One poll and what it has last brought."""

    poll: Poll
    told: telemetry.Feed
    bodies: dict[int, int] = field(default_factory=dict)  # page -> hash of its body
    over_ns: dict[int, int] = field(
        default_factory=dict
    )  # page -> when the first bar ends that was open in its line
    content: int | None = None  # hash of what the last round told
    changed_ns: int = 0  # when it became that
    path: str = ""  # of the request that `conditions` are of
    conditions: Mapping[str, str] = field(default_factory=dict)
    is_asking: bool = False


class Poller:
    """Follows the polls of one feed until it is cancelled, or the vendor has refused the key or the feed."""

    def __init__(
        self,
        api: Api,
        polls: Sequence[Poll],
        outbox: Out,
        telemetry: Telemetry,
        random: Random,
        beside: Sequence[Poll] = (),
    ) -> None:
        """`beside`: what other feeds poll with the same key."""
        self._api, self._feed = api, api.feed
        self._outbox, self._random = outbox, random
        slowed = stretched(polls, api.plan, beside)
        self.polled = [_Polled(x, telemetry.feed(api.feed.name, x.name)) for x in slowed]
        for before, after in zip(polls, slowed, strict=True):
            if after.every_s > before.every_s:
                _log.warning(
                    "polls are slower: the plan bears no more", feed=self._feed.name, poll=after.name,
                    plan=api.plan.name, limits=[said(x) for x in api.plan.limits],
                    every_s=round(after.every_s), wanted_s=round(before.every_s),
                )  # fmt: skip

    async def run(self) -> None:
        """Poll.

        Raises:
            LogError: the log was given up.
        """
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(self._follow(at, x)) for at, x in enumerate(self.polled)]
            while (stopped := self._api.stopped) is None:
                await asyncio.sleep(TOLD_S)
                self._tell_waits()
            for task in following:
                task.cancel()
        for polled in self.polled:
            polled.told.become(State.DOWN, stopped.reason)

    def _tell_waits(self) -> None:
        """Say of polls that wait why they do."""
        for polled in self.polled:
            if polled.is_asking and self._api.holds:
                polled.told.become(
                    State.STALE if polled.told.received_ns else State.CONNECTING, self._api.holds
                )

    async def _follow(self, at: int, polled: _Polled) -> NoReturn:
        poll = polled.poll
        gap_s = min(FIRST_GAP_S, poll.every_s / len(self.polled))
        await asyncio.sleep((at + self._random()) * gap_s)
        while True:
            began_s = self._api.now_s()
            every_s = await self._round(polled)
            spread_s = every_s * (1 + JITTER * (self._random() - 0.5))
            await asyncio.sleep(max(0.0, began_s + spread_s - self._api.now_s()))

    async def _round(self, polled: _Polled) -> float:
        """Ask once, for all pages; how long to the next round."""
        polled.is_asking = True
        try:
            await self._ask(polled)
        except ApiError as error:
            polled.told.become(State.DOWN, str(error))
            polled.told.complaints += error.verdict.outcome in (Outcome.REFUSED, Outcome.STOPPED)
            if error.verdict.outcome == Outcome.REFUSED:
                _log.warning("poll refused", feed=self._feed.name, poll=polled.poll.name, error=str(error))
                return max(REFUSED_S, polled.poll.every_s)
        except BudgetError as error:
            _log.error("budget not kept", feed=self._feed.name, poll=polled.poll.name, error=str(error))
            polled.told.become(State.DOWN, str(error))
        finally:
            polled.is_asking = False
        return polled.poll.every_s

    async def _ask(self, polled: _Polled) -> None:
        contents, problem, recv_ns = [], "", 0
        try:
            async for page, request, received in self._pages(polled):
                recv_ns = received.recv_ns
                if received.unchanged:
                    break
                try:
                    rows = self._feed.parse(request.path, received.answer.body, recv_ns)
                except ParseError as error:
                    problem = self._unreadable(polled, error)
                    continue
                contents.append(content_of(rows))
                polled.over_ns[page] = _first_end_ns(rows, recv_ns)
        except ParseError as error:  # no page that follows
            problem = self._unreadable(polled, error)
        if problem:
            polled.told.become(State.STALE, problem)
        else:
            self._judge(polled, hash(tuple(contents)) if contents else polled.content, recv_ns)

    def _unreadable(self, polled: _Polled, error: ParseError) -> str:
        polled.told.unreadable += 1
        polled.conditions = NONE  # a 304 would hide that it was never read
        return f"unreadable: {error}"

    async def _pages(self, polled: _Polled) -> AsyncIterator[tuple[int, Request, Received]]:
        """Pages, requests and their answers, as far as there are new ones; published on the way."""
        request: Request | None = polled.poll.asked(time.time_ns())
        asked: set[str] = set()
        seen: set[int] = set()
        for page in range(polled.poll.pages_max):
            if request is None:
                return
            if request.path in asked:
                self._repeats(polled, request)
                return
            asked.add(request.path)
            received = await self._api.get(request, conditions=self._conditions(polled, request))
            body = received.answer.body
            if not received.unchanged and hash(body) in seen:
                self._repeats(polled, request)
                return
            seen.add(hash(body))
            await self._publish(polled, page, request, received)
            yield page, request, received
            is_last = received.unchanged or page + 1 == polled.poll.pages_max
            request = None if is_last else self._feed.after(request, body)

    def _conditions(self, polled: _Polled, request: Request) -> Mapping[str, str]:
        """Only where an answer is all there is: the next page is told by the one before.

        Not where a bar of it has ended since: the same answer tells of a closed one now.
        """
        if time.time_ns() >= polled.over_ns.get(0, NEVER_NS):
            return NONE
        return polled.conditions if polled.poll.pages_max == 1 and polled.path == request.path else NONE

    def _repeats(self, polled: _Polled, request: Request) -> None:
        polled.told.unchanged += 1
        _log.warning("a page repeats", feed=self._feed.name, poll=polled.poll.name, path=request.path)

    async def _publish(self, polled: _Polled, page: int, request: Request, received: Received) -> None:
        recv_ns, body = received.recv_ns, received.answer.body
        is_same = polled.bodies.get(page) == hash(body) and recv_ns < polled.over_ns.get(page, NEVER_NS)
        if received.unchanged or is_same:
            polled.told.unchanged += 1
            polled.told.received_ns = recv_ns
            return
        polled.bodies[page] = hash(body)
        polled.path, polled.conditions = request.path, received.conditions
        polled.told.received(recv_ns, len(body), 0)
        line = encode_line(recv_ns, request.origin, body)
        self._outbox.put([Outgoing(self._feed.topic, polled.poll.name.encode(), line, recv_ns)])
        await self._outbox.room()

    def _judge(self, polled: _Polled, content: int | None, recv_ns: int) -> None:
        """Live, or stale if an API goes on with what it has told before."""
        if content != polled.content or not polled.changed_ns:
            polled.content, polled.changed_ns = content, recv_ns
        old_s, same_s = polled.poll.old_s, (recv_ns - polled.changed_ns) / 1e9
        if old_s is not None and same_s > old_s:
            polled.told.become(State.STALE, f"the same values for {_span(same_s)}, whatever their times say")
        else:
            polled.told.become(State.LIVE)


def _first_end_ns(rows: Iterable[Row], recv_ns: int) -> int:
    """When the first of the bars that are open ends: nobody tells it again where nothing is traded after it."""
    ends = (x.open_ns + x.interval_s * 10**9 for x in rows if isinstance(x, Bar) and not x.closed)
    return min((x for x in ends if x > recv_ns), default=NEVER_NS)


def _span(span_s: float) -> str:
    return f"{span_s / 3600:.1f} h" if span_s < DAY_S else f"{span_s / DAY_S:.1f} days"
