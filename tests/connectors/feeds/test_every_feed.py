"""What holds of every polled API: budgets, secrets, a simulated half, and bytes of any kind."""

import contextlib
import importlib
import pkgutil
import random
import re
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from connectors.feed import DAY_S, MONTH_S, Answer, Chosen, Feed, Outcome, Poll, feeds
from connectors.simulator.api import apis
from connectors.simulator.half import halves
from connectors.venue import ParseError, Request
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld, asked
from tests.connectors.venues.test_fuzz import assert_sound, mutated

KEY = "b1e1d6f0-secret-key"
SPARE = 0.2  # of what a plan allows: for history, and for what the user asks by hand
EACH = pytest.mark.parametrize("feed", feeds().values(), ids=lambda feed: feed.name)
STATUSES = (200, 200, 200, 400, 401, 402, 403, 404, 418, 429, 500, 503)
NOW_NS = NOW_MS * 10**6


def polls_of(feed: Feed) -> list[Poll]:
    return [poll for plan in feed.plans for poll in feed.polls(Chosen(plan, path="/export?v=152"))]


def requests_of(feed: Feed) -> list[Request]:
    found = [poll.asked(NOW_NS) for poll in polls_of(feed)]
    if feed.key_check is not None:
        found.append(feed.key_check)
    if feed.history is not None:
        symbol = (feed.symbols or ("bitcoin",))[0]
        begin, end = NOW_NS - 3600 * 10**9, NOW_NS
        found += [
            feed.history.bars(symbol, x, min(begin, end - 2 * x * 10**9), end)
            for x in feed.history.intervals_s
        ]
        found += [feed.history.trades(symbol, begin, end)] if feed.history.trades else []
    return found


def told(feed: Feed) -> list[tuple[str, bytes]]:
    """Path and body of what its simulated half answers."""
    if feed.name not in apis():
        return [(request.path, b'[{"data":[[1,"2",3.5]]}]') for request in requests_of(feed)]
    half = apis()[feed.name]()
    found = []
    for request in requests_of(feed):
        headers: dict[str, str] = {}
        reply = asked(half, request.path, headers, (), ToyWorld())
        found.append((request.path, reply.body))
    return found


@EACH
def test_polls_leave_a_fifth_of_every_plan(feed: Feed) -> None:
    for plan in feed.plans:
        polls = feed.polls(Chosen(plan))
        a_second = sum(x.request.weight * x.pages_max / x.every_s for x in polls)
        for limit in plan.limits:
            spare = SPARE if limit.span_s >= DAY_S else 0
            assert a_second * limit.span_s <= limit.units * (1 - spare), (plan.name, limit)
            assert limit.units > 0 and 0 < limit.span_s <= MONTH_S


@EACH
def test_polls_are_told_apart_and_cost_something(feed: Feed) -> None:
    for plan in feed.plans:
        polls = feed.polls(Chosen(plan))
        assert len({x.name for x in polls}) == len(polls)
        assert all(x.request.weight > 0 and x.every_s > 0 and x.pages_max > 0 for x in polls)
        slower = feed.polls(Chosen(plan, every_s=100 * DAY_S))
        assert sum(1 / x.every_s for x in slower) <= sum(1 / x.every_s for x in polls)


@EACH
def test_the_key_goes_where_the_plan_says_and_nowhere_else(feed: Feed) -> None:
    for plan in feed.plans:
        auth = feed.auth(plan, KEY)
        carried = [*auth.headers.values(), *auth.query.values()]
        assert any(KEY in x for x in carried) is not plan.keyless
        assert plan.keyless or feed.key_env is not None
        assert re.fullmatch(r"https://[a-z0-9.-]+", plan.url)
        for request in requests_of(feed):
            assert not {name for name, _ in parse_qsl(urlsplit(request.path).query)} & set(auth.query)
            assert request.path.startswith("/") and KEY not in request.path


@EACH
def test_a_simulated_half_answers_what_is_asked(feed: Feed) -> None:
    if feed.venue and feed.venue in halves() and feed.name not in apis():
        return  # served with the venue
    for path, body in told(feed):
        rows = feed.parse(path, body, NOW_NS)
        request = Request(path, 1)
        assert feed.judge(request, Answer(200, {}, body)).outcome is Outcome.GOOD, path
        assert rows or (feed.key_check is not None and path == feed.key_check.path), path
        for row in rows:
            assert_sound(row)
            assert getattr(row, "source", feed.name) == feed.name


@EACH
def test_sources_are_named_with_their_date(feed: Feed) -> None:
    package = importlib.import_module("connectors.feeds")
    modules = [
        importlib.import_module(f"connectors.feeds.{x.name}") for x in pkgutil.iter_modules(package.__path__)
    ]
    module = next(x for x in modules if feed in getattr(x, "FEEDS", ()))
    assert re.search(r"\b20\d\d\b", module.__doc__ or "")


@EACH
def test_mutated_and_random_bytes_raise_nothing_but_parse_errors(feed: Feed) -> None:
    random_ = random.Random(feed.name)
    samples = told(feed)
    bodies = [body[:4096] for _, body in samples]
    parsed = refused = 0
    for _ in range(1500):
        path, body = random_.choice(samples)
        noise = random_.random() < 0.05
        payload = random_.randbytes(random_.randrange(200)) if noise else mutated(random_, body, bodies)
        try:
            for row in feed.parse(path, payload, NOW_NS):
                assert_sound(row)
                assert_finite(row)
            parsed += 1
        except ParseError:
            refused += 1
        request = Request(path, 1)
        with contextlib.suppress(ParseError):
            follower = feed.after(request, payload)
            assert follower is None or follower.path != path
        verdict = feed.judge(request, Answer(random_.choice(STATUSES), {"retry-after": "7"}, payload))
        assert verdict.outcome is Outcome.GOOD or verdict.reason
        assert KEY not in verdict.reason
    assert refused > 100
    assert parsed or feed.name not in apis()


@EACH
def test_error_statuses_are_never_good(feed: Feed) -> None:
    request = requests_of(feed)[0]
    for status in (400, 401, 402, 403, 404, 408, 410, 418, 429, 500, 502, 503):
        for body in (b"", b"{}", b"<html>Forbidden</html>", b'{"error":"no"}'):
            assert feed.judge(request, Answer(status, {}, body)).outcome is not Outcome.GOOD
    for body in (b"", b"  \n", b"<!DOCTYPE html><html><body>Just a moment...</body></html>"):
        assert feed.judge(request, Answer(200, {}, body)).outcome is Outcome.AGAIN


def assert_finite(row: msgspec.Struct) -> None:
    for value in msgspec.structs.asdict(row).values():
        assert not isinstance(value, float) or value - value == 0.0
        assert not isinstance(value, int) or -(2**63) <= value < 2**64
