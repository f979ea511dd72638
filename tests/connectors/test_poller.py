"""The polling loop: in virtual time against a scripted client, and once against a vendor on the loopback."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from connectors.api import NONE, Api, ApiError, Received
from connectors.budget import Budget, BudgetError
from connectors.feed import (
    DAY_S,
    MINUTE_S,
    MONTH_S,
    Answer,
    Feed,
    Limit,
    Outcome,
    Plan,
    Poll,
    Row,
    Verdict,
    one_page,
)
from connectors.outbox import Outgoing
from connectors.poller import POLLED_SHARE, Poller, content_of, stretched
from connectors.record import Line, decode_lines
from connectors.telemetry import State, Telemetry, registry
from connectors.venue import Bar, ParseError, Request
from tests.connectors.toy_feed import FREE, MOOD, PLANTED, Vendor, in_turn, mood, serving, toy
from tests.connectors.virtual import VirtualLoop

MINUTE_NS = 60 * 10**9
T0_NS = 1_795_000_000_000_000_000
WIDE = Plan(name="wide", url="https://toy.example", limits=(Limit(10**6, MINUTE_S),))
POLL = Poll("mood", MOOD, 60.0)
Said = bytes | Exception | Received


class Out:
    """An outbox that keeps."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    def put(self, records: Iterable[Outgoing]) -> None:
        self.records += records

    async def room(self) -> None:
        return

    def lines(self) -> list[Line]:
        return [line for record in self.records for line in decode_lines(record.body)]


class Script:
    """In place of an Api: answers what `answer` says of each request, in virtual time."""

    def __init__(self, answer: Callable[[Request], Said]) -> None:
        self.feed, self.plan = toy(), WIDE
        self.answer = answer
        self.asked: list[tuple[float, str]] = []
        self.conditions: list[Mapping[str, str]] = []
        self.stopped: Verdict | None = None
        self.holds = ""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def get(
        self, request: Request, share: float = 1.0, conditions: Mapping[str, str] = NONE
    ) -> Received:
        self.asked.append((self.now_s(), request.path))
        self.conditions.append(conditions)
        await asyncio.sleep(0.1)
        said = self.answer(request)
        if isinstance(said, Exception):
            raise said
        recv_ns = T0_NS + int(self.now_s() * 1e9)
        return Received(recv_ns, said.answer) if isinstance(said, Received) else received(said, recv_ns)


def received(body: bytes, recv_ns: int = 0, status: int = 200, **headers: str) -> Received:
    return Received(recv_ns, Answer(status, headers, body))


def refused(outcome: Outcome, reason: str) -> ApiError:
    return ApiError(reason, Verdict(outcome, reason))


class Played:
    """A poller in virtual time."""

    def __init__(self, answer: Callable[[Request], Said], polls: list[Poll]) -> None:
        self.api, self.out, self.telemetry = Script(answer), Out(), Telemetry()
        self._polls = polls

    def told(self, name: str = "mood") -> Any:
        return self.telemetry.feed("toy", name)

    def run(self, span_s: float, work: Callable[["Played"], Awaitable[None]] | None = None) -> "Played":
        async def main() -> None:
            found: Any = self.api
            poller = Poller(found, self._polls, self.out, self.telemetry, random.Random(1).random)
            task = asyncio.ensure_future(poller.run())
            if work:
                await work(self)
            await asyncio.sleep(span_s)
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                task.result()

        with structlog.testing.capture_logs() as self.log, asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(main())
        return self


def moods(*values: float) -> Callable[[Request], Said]:
    """These values in turn, then the last."""
    left = list(values)
    return lambda _: b'{"value":%r}' % (left.pop(0) if len(left) > 1 else left[0])


def counting() -> Callable[[Request], Said]:
    """Another value each time."""
    count = iter(range(10**9))
    return lambda _: b'{"value":%d}' % next(count)


# ---- intervals


@given(
    st.lists(
        st.tuples(st.floats(1, DAY_S), st.integers(1, 20), st.integers(1, 5)), min_size=1, max_size=6
    ),
    st.lists(
        st.tuples(st.integers(5, 10_000), st.sampled_from([MINUTE_S, DAY_S, MONTH_S])), min_size=1, max_size=3
    ),
    st.sampled_from([0.0, 2.0]),
)  # fmt: skip
def test_polls_are_as_slow_as_the_plan_makes_them_and_no_slower(
    asked: list[tuple[float, int, int]], limits: list[tuple[int, float]], spacing_s: float
) -> None:
    polls = [
        Poll(str(at), Request(f"/{at}", weight), every_s, pages)
        for at, (every_s, weight, pages) in enumerate(asked)
    ]
    plan = Plan(name="x", url="https://x", limits=tuple(Limit(*x) for x in limits), spacing_s=spacing_s)
    found = stretched(polls, plan)
    loads = [
        sum(x.request.weight * x.pages_max * limit.span_s / x.every_s for x in found) / limit.units
        for limit in plan.limits
    ] + [sum(x.pages_max * spacing_s / x.every_s for x in found)]
    assert max(loads) <= POLLED_SHARE * (1 + 1e-9)
    factors = {round(b.every_s / a.every_s, 6) for a, b in zip(polls, found, strict=True)}
    assert len(factors) == 1 and min(factors) >= 1.0
    if max(factors) > 1.001:
        assert max(loads) == pytest.approx(POLLED_SHARE)


def test_a_month_of_polls_fits_into_the_plan_and_it_is_said() -> None:
    """Ten thousand a month are one in 4.5 minutes, of all polls together."""
    polls = [Poll("mood", MOOD, 60.0), Poll("other", Request("/v1/other", 1), 120.0)]
    played = Played(counting(), polls)
    played.api.plan = FREE
    played.run(2 * DAY_S)
    assert 0.8 * 645 <= len(played.api.asked) <= 645  # two days' part of 10,000 in 31 days
    (said, _) = played.log
    assert (said["poll"], said["plan"], said["wanted_s"]) == ("mood", "free", 60)
    assert "10000 in 31 days" in said["limits"] and said["every_s"] > 60


def test_the_first_requests_are_spread_and_the_next_are_jittered() -> None:
    polls = [Poll(f"p{at}", Request(f"/{at}", 1), 60.0) for at in range(5)]
    played = Played(counting(), polls).run(3600)
    first = sorted({path: at_s for at_s, path in reversed(played.api.asked)}.values())
    assert len({round(x, 3) for x in first}) == 5 and 4 < first[-1] - first[0] < 12
    times = [at_s for at_s, path in played.api.asked if path == "/0"]
    gaps = [b - a for a, b in pairwise(times)]
    assert len({round(x, 2) for x in gaps}) > 10 and min(gaps) > 56 and max(gaps) < 64


# ---- what is published


def test_an_answer_is_a_line_as_it_came() -> None:
    played = Played(moods(50, 51), [POLL]).run(90)
    assert [(x.topic, x.key, x.partition) for x in played.out.records] == [("raw.toy", b"mood", None)] * 2
    lines = played.out.lines()
    assert [x.payload for x in lines] == [b'{"value":50}', b'{"value":51}']
    assert {x.origin for x in lines} == {b"GET:/v1/mood?of=all"} and lines[0].recv_ns > T0_NS
    told = played.told()
    assert (told.state, told.messages, told.unchanged) == (State.LIVE, 2, 0)


def test_an_unchanged_answer_is_counted_and_not_published_again() -> None:
    played = Played(moods(50, 50, 50, 51, 50), [POLL]).run(290)
    assert [x.payload[-3:] for x in played.out.lines()] == [b"50}", b"51}", b"50}"]
    told = played.told()
    assert (told.messages, told.unchanged, told.state) == (3, 2, State.LIVE)
    assert told.received_ns == T0_NS + int(played.api.asked[-1][0] * 1e9) + 100_000_000


def test_a_304_is_asked_for_and_counted() -> None:
    first = received(b'{"value":1}', 0, 200, etag='"v1"')
    answers: list[Said] = [first, received(b"", 0, 304), received(b"", 0, 304), b'{"value":2}']
    played = Played(lambda _: answers.pop(0), [POLL]).run(230)
    assert played.api.conditions == [NONE, *[{"If-None-Match": '"v1"'}] * 3]
    assert (played.told().messages, played.told().unchanged, played.told().state) == (2, 2, State.LIVE)


def test_what_cannot_be_read_is_published_all_the_same() -> None:
    played = Played(lambda _: b'{"worth": 3}', [POLL]).run(50)
    assert [x.payload for x in played.out.lines()] == [b'{"worth": 3}']
    told = played.told()
    assert (told.state, told.unreadable) == (State.STALE, 1) and "unreadable: expected a mood" in told.reason


def test_a_page_that_leads_nowhere_ends_its_round_alone() -> None:
    """The next page is read from an answer too."""

    def lost(request: Request, payload: bytes) -> Request | None:
        raise ParseError("expected a page")

    played = Played(counting(), [replace(POLL, pages_max=2)])
    played.api.feed = replace(toy(), after=lost)
    played.run(150)
    assert len(played.out.lines()) == 3 and played.told().state == State.STALE
    assert "expected a page" in played.told().reason and played.told().unreadable == 3


def test_an_unreadable_answer_is_not_called_good_by_a_304() -> None:
    bad = received(b'{"worth":1}', 0, 200, etag='"v1"')
    answers: list[Said] = [bad, bad]
    played = Played(lambda _: answers.pop(0), [POLL]).run(80)
    assert played.api.conditions == [NONE, NONE]
    assert (played.told().state, played.told().unreadable) == (State.STALE, 2)


def telling_a_bar() -> Feed:
    """Any answer tells of one bar, half a minute old at the first."""
    began_ns: list[int] = []

    def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
        began_ns.append(recv_ns - MINUTE_NS // 2)
        one, over = Decimal(1), began_ns[0] + MINUTE_NS <= recv_ns
        return [
            Bar(
                symbol="EUR/USD", interval_s=60, open_ns=began_ns[0], open=one, high=one, low=one, close=one,
                volume=None, quote_volume=None, buy_volume=None, trades=None, closed=over,
            )
        ]  # fmt: skip

    return replace(toy(), after=one_page, parse=parse)


def test_an_answer_that_stays_the_same_is_published_again_when_its_last_bar_is_over() -> None:
    """The last minute before a market rests: no later answer may tell it."""
    played = Played(lambda _: b"1", [POLL])
    played.api.feed = telling_a_bar()
    played.run(600)
    first, second = played.out.lines()
    assert second.recv_ns - first.recv_ns >= MINUTE_NS // 2
    assert played.told().unchanged > 5


def test_no_304_hides_that_a_bar_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "connectors.poller.time.time_ns", lambda: T0_NS + int(asyncio.get_running_loop().time() * 1e9)
    )
    played = Played(lambda _: received(b"1", 0, 200, etag='"v1"'), [POLL])
    played.api.feed = telling_a_bar()
    played.run(200)
    assert played.api.conditions[:2] == [NONE, NONE] and played.api.conditions[2]
    assert len(played.out.lines()) == 2


# ---- pages


def test_pages_are_followed_up_to_their_end_or_the_most() -> None:
    def answer(request: Request) -> bytes:
        page = int(request.path.partition("page=")[2] or 1)
        return json.dumps({"value": page, **({"next": page + 1} if page < 4 else {})}).encode()

    for pages_max, pages in ((10, 4), (3, 3), (1, 1)):
        played = Played(answer, [Poll("mood", MOOD, 60.0, pages_max)]).run(50)
        assert [json.loads(x.payload)["value"] for x in played.out.lines()] == list(range(1, pages + 1))
        assert played.told().unchanged == 0 and played.told().state == State.LIVE


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (lambda _: b'{"value":1,"next":2}', 2),  # each page is the first
        (lambda x: b'{"value":%d,"next":2}' % len(x.path), 2),  # the next page is this one
    ],
)
def test_a_page_that_repeats_ends_the_round(answer: Any, asked: int) -> None:
    played = Played(answer, [Poll("mood", MOOD, 60.0, 100)]).run(50)
    assert len(played.api.asked) == asked and played.told().unchanged == 1
    assert [x["event"] for x in played.log] == ["a page repeats"]
    assert len({x.payload for x in played.out.lines()}) == len(played.out.lines())


# ---- states


def test_old_values_with_new_times_are_stale_and_live_again_when_they_change() -> None:
    """The body differs each time, the values do not."""
    count = iter(range(10**9))
    value = [7]
    poll = Poll("mood", MOOD, 60.0, old_s=600.0)
    played = Played(lambda _: b'{"value":%d,"at":%d}' % (value[0], next(count)), [poll])

    async def work(played: Played) -> None:
        await asyncio.sleep(500)
        assert played.told().state == State.LIVE
        await asyncio.sleep(300)
        assert played.told().state == State.STALE
        assert "the same values for 0.2 h" in played.told().reason
        value[0] = 8
        await asyncio.sleep(120)
        assert played.told().state == State.LIVE and played.told().reason == ""

    played.run(1, work)
    assert played.told().messages == len(played.api.asked)
    # Where that is usual nobody complains.
    calm = Played(lambda _: b'{"value":7,"at":%d}' % next(count), [POLL]).run(3600)
    assert calm.told().state == State.LIVE


def test_content_is_all_but_times() -> None:
    rows = [toy().parse("", b'{"value":1}', recv_ns) for recv_ns in (1, 2)]
    assert rows[0] != rows[1] and content_of(rows[0]) == content_of(rows[1])
    assert content_of(rows[0]) != content_of(toy().parse("", b'{"value":2}', 1))


def test_failures_are_told_and_the_next_round_is_tried() -> None:
    answers: list[Said] = [
        refused(Outcome.AGAIN, "status 503, 4 times"),
        BudgetError("disk full"),
        b'{"value":1}',
    ]
    played = Played(lambda _: answers.pop(0), [POLL])

    async def work(played: Played) -> None:
        for reason in ("status 503, 4 times", "disk full"):
            await asyncio.sleep(50)
            assert (played.told().state, played.told().reason) == (State.DOWN, reason)
        await asyncio.sleep(50)
        assert played.told().state == State.LIVE

    played.run(0, work)


def test_a_refused_poll_rests_and_the_others_go_on() -> None:
    polls = [POLL, Poll("other", Request("/v1/other", 1), 60.0)]
    good = counting()
    played = Played(lambda x: refused(Outcome.REFUSED, "not in this plan") if x == MOOD else good(x), polls)
    played.run(13 * 3600)
    assert sum(path == MOOD.path for _, path in played.api.asked) == 3  # now, and twice after six hours
    assert played.told().state == State.DOWN and played.told().complaints == 3
    assert played.told("other").state == State.LIVE and played.told("other").messages > 700


def test_a_stop_ends_every_poll_of_the_feed_at_once() -> None:
    polls = [POLL, Poll("slow", Request("/v1/slow", 1), DAY_S)]
    good = counting()
    played = Played(good, polls)

    def answer(request: Request) -> Said:
        if len(played.api.asked) < 10:
            return good(request)
        played.api.stopped = Verdict(Outcome.STOPPED, "key refused")
        return refused(Outcome.STOPPED, "key refused")

    played.api.answer = answer
    played.run(3600)
    assert len(played.api.asked) == 10
    assert {(played.told(x).state, played.told(x).reason) for x in ("mood", "slow")} == {
        (State.DOWN, "key refused")
    }


def test_a_poll_that_waits_says_why() -> None:
    played = Played(counting(), [POLL])

    async def work(played: Played) -> None:
        played.api.holds = "waits 86400 s: the plan's 500 in 1 days are used"
        gate = asyncio.Event()

        async def get(*_: Any, **__: Any) -> Received:
            await gate.wait()
            played.api.holds = ""
            return received(b'{"value":1}', T0_NS)

        played.api.get = get  # type: ignore[method-assign]
        await asyncio.sleep(30)
        assert played.told().state == State.CONNECTING and "500 in 1 days are used" in played.told().reason
        gate.set()
        await asyncio.sleep(2)
        assert played.told().state == State.LIVE
        gate.clear()
        await asyncio.sleep(60)
        played.api.holds = "waits"
        await asyncio.sleep(5)
        assert (played.told().state, played.told().reason) == (State.STALE, "waits")

    played.run(0, work)


# ---- all together, over the loopback


def test_from_the_vendor_to_the_line_without_the_key() -> None:
    out, telemetry = Out(), Telemetry()
    vendor = Vendor()
    vendor.answer = in_turn(*(mood(at, of=PLANTED) for at in range(5)))  # type: ignore[arg-type]

    async def main() -> None:
        async with serving(vendor, toy(in_query=True)) as access, aiohttp.ClientSession() as http:
            api = Api(access, http, Budget(":memory:", access.account, access.plan), lambda: 0.0)
            api.plan = WIDE
            poller = Poller(api, [Poll("mood", MOOD, 0.01)], out, telemetry, lambda: 0.0)
            task = asyncio.ensure_future(poller.run())
            while len(out.records) < 5:  # noqa: ASYNC110 - of a real server
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with structlog.testing.capture_logs() as log:
        asyncio.run(main())
    assert vendor.keys() == {PLANTED}
    assert [json.loads(x.payload) for x in out.lines()[:2]] == [
        {"value": 0, "of": "***"},
        {"value": 1, "of": "***"},
    ]
    metrics = generate_latest(registry(telemetry, lambda: 0)).decode()
    assert 'isotherm_feed_unchanged_total{symbol="mood",venue="toy"}' in metrics
    health = telemetry.records(T0_NS, 1.0)[0].body
    rows = msgspec.msgpack.decode(health)
    assert (rows[0]["venue"], rows[0]["symbol"]) == ("toy", "mood")
    shown = repr([x.body for x in out.records]) + repr(log) + metrics + repr(health)
    assert "pl4nted" not in shown and "toy" in shown
