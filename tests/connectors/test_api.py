"""The client of polled feeds against a toy vendor on the loopback, its waits in simulated time."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from connectors import api as module
from connectors.access import Access
from connectors.api import Api, ApiError, Clock
from connectors.budget import Budget
from connectors.feed import DAY_S, RETRY_AFTER_S_MAX, Feed, Outcome, Verdict, retry_after_s
from connectors.venue import ParseError, Request
from tests.connectors.toy_feed import FREE, MOOD, PLANTED, Vendor, in_turn, mood, serving, toy

NOW_S = 1_795_000_000.0
BAD = web.Response


class Time:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.now_s, self.slept = NOW_S, [0.0]

    async def sleep(self, span_s: float) -> None:
        self.slept.append(span_s)
        self.now_s += span_s
        await asyncio.sleep(0)

    def api(self, access: Access, http: aiohttp.ClientSession, budget: Budget | None = None) -> Api:
        clock = Clock(lambda: self.now_s, self.sleep)
        budget = budget or Budget(":memory:", access.account, access.plan)
        return Api(access, http, budget, lambda: 1.0, clock=clock)


def run(
    work: Callable[[Vendor, Api, Time], Awaitable[None]],
    answer: Callable[[web.Request], web.Response] | None = None,
    feed: Feed | None = None,
    budget: Budget | None = None,
) -> tuple[Vendor, list[Any]]:
    """Do `work` beside a vendor that answers so; what it was asked and the log."""

    async def main() -> tuple[Vendor, list[Any]]:
        vendor, time = Vendor(), Time()
        vendor.answer = answer or vendor.answer
        with structlog.testing.capture_logs() as log:
            async with serving(vendor, feed) as access, aiohttp.ClientSession() as http:
                await work(vendor, time.api(access, http, budget), time)
        return vendor, log

    return asyncio.run(main())


def failing(outcome: Outcome, said: str, times: int = 1) -> Callable[[Vendor, Api, Time], Awaitable[None]]:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        with pytest.raises(ApiError, match=said) as refused:
            await api.get(MOOD)
        assert refused.value.verdict.outcome == outcome and len(vendor.asked) == times
        assert PLANTED not in str(refused.value)

    return work


def test_a_good_answer_and_what_it_costs() -> None:
    budget = Budget(":memory:", "toy", FREE)

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        received = await api.get(MOOD)
        assert json.loads(received.answer.body) == {"value": 50} and received.recv_ns > 0
        assert received.answer.headers["content-type"].startswith("application/json")
        assert vendor.asked[0].path_qs == MOOD.path and vendor.keys() == {PLANTED}
        assert [x.limit.units - x.units for x in budget.left(time.now_s)] == [1, 1, 1]

    run(work, budget=budget)


def test_the_unit_is_charged_before_the_request_leaves(tmp_path: Path) -> None:
    """By whoever looks into the file while the vendor has not yet answered."""
    path, seen = tmp_path / "budgets.sqlite3", []

    def answer(_: web.Request) -> web.Response:
        seen.append(Budget(path, "toy", FREE).left(NOW_S)[2].units)
        return mood(1)

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await api.get(MOOD)

    run(work, answer, budget=Budget(path, "toy", FREE))
    assert seen == [9_999]


def test_a_wait_holds_every_request_of_the_account(tmp_path: Path) -> None:
    path, times = tmp_path / "budgets.sqlite3", []

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        def answer(_: web.Request) -> web.Response:
            times.append(time.now_s)
            return BAD(status=429, headers={"Retry-After": "120"}) if len(times) == 1 else mood(1)

        vendor.answer = answer
        await asyncio.gather(*(api.get(MOOD) for _ in range(4)))

    run(work, budget=Budget(path, "toy", FREE))
    assert len(times) == 5 and min(times[1:]) >= times[0] + 120


def test_retry_after_may_be_a_date() -> None:
    """RFC 9110, 10.2.3; counted from the date of the answer, whatever this machine's clock says."""
    told = {"date": "Sun, 22 Nov 2026 14:00:00 GMT", "retry-after": "Sun, 22 Nov 2026 14:02:30 GMT"}
    assert retry_after_s(told) == 150
    assert retry_after_s(told | {"retry-after": "Sun, 22 Nov 2026 13:00:00 GMT"}) == 0
    assert retry_after_s(told | {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) == RETRY_AFTER_S_MAX
    for odd in (
        {"retry-after": told["retry-after"]},
        told | {"retry-after": "nan"},
        told | {"retry-after": "soon"},
    ):
        assert retry_after_s(odd) is None


def test_silence_without_a_time_is_longer_each_time() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await api.get(MOOD)
        assert len(vendor.asked) == 4
        assert time.now_s - NOW_S == pytest.approx(60 + 120 + 240)

    run(work, in_turn(BAD(status=429), BAD(status=429), BAD(status=418), mood(1)))


def test_a_retry_after_of_nothing_is_not_obeyed_each_second() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await api.get(MOOD)
        assert len(vendor.asked) == 7 and time.now_s - NOW_S == pytest.approx(1 + 2 + 4 + 8 + 16 + 32)

    run(work, in_turn(*[BAD(status=429, headers={"Retry-After": "0"}) for _ in range(6)], mood(1)))


def test_an_error_in_the_body_of_a_200_is_obeyed() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await api.get(MOOD)
        assert time.now_s == NOW_S + 30.0 and len(vendor.asked) == 2

    run(work, in_turn(web.json_response({"error": "wait"}), mood(1)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: BAD(status=503, text="sorry"), "status 503: sorry, 4 times"),
        (lambda _: BAD(body=b""), "found an empty body, 4 times"),
        (
            lambda _: BAD(text="<!DOCTYPE html><html>", content_type="text/html"),
            "found HTML: <!DOCTYPE.*, 4 times",
        ),
        (lambda _: web.json_response({"error": "again"}), "try again, 4 times"),
    ],
)
def test_what_may_pass_is_tried_again_and_not_for_ever(answer: Any, said: str) -> None:
    run(failing(Outcome.AGAIN, said, 4), answer)

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        assert (await api.get(MOOD)).answer.status == 200
        assert time.slept == [0.0, 2.0, 4.0]  # of a jitter that is always the whole

    run(work, in_turn(answer, answer, mood(1)))


def test_retry_after_of_a_server_error_is_waited_for() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await api.get(MOOD)
        assert time.slept == [0.0, 90.0]

    run(work, in_turn(BAD(status=503, headers={"Retry-After": "90"}), mood(1)))


def test_a_connection_that_breaks() -> None:
    def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return mood(1)

    run(failing(Outcome.AGAIN, "4 times", 4), cut)


def test_a_refusal_is_of_that_request_alone() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await failing(Outcome.REFUSED, "not in this plan")(vendor, api, time)
        assert (await api.get(Request("/v1/other", 1))).answer.status == 200

    run(work, in_turn(web.json_response({"error": "plan"}), mood(1)))


def test_no_redirect_takes_the_key_elsewhere() -> None:
    run(
        failing(Outcome.REFUSED, "found 302"),
        lambda _: BAD(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    )


def test_a_stop_is_for_good() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        for _ in range(3):
            await failing(Outcome.STOPPED, "key refused: no such key")(vendor, api, time)
        assert api.stopped is not None

    run(work, in_turn(web.json_response({"error": "no such key"}), mood(1)))


def test_a_month_that_is_used_up_is_waited_for_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await failing(Outcome.STOPPED, "the month is used up")(vendor, api, time)
        again = time.api(api.access, api._http, Budget(path, "toy", FREE))
        await again.get(MOOD)
        assert time.now_s >= NOW_S + 5 * DAY_S and len(vendor.asked) == 2
        assert again.stopped is None

    run(work, in_turn(web.json_response({"error": "month"}), mood(1)), budget=Budget(path, "toy", FREE))


def test_a_wait_says_why() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        told = []

        async def sleep(span_s: float) -> None:
            told.append(api.holds)
            await time.sleep(span_s)

        api.sleep = sleep
        for _ in range(31):
            await api.get(MOOD)
        assert "the plan's 30 in 60 s are used" in told[0] and api.holds == ""

    run(work)


def test_one_request_of_an_account_at_a_time() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        await asyncio.gather(*(api.get(MOOD) for _ in range(20)))

    vendor, _ = run(work)
    assert vendor.busiest == 1 and len(vendor.asked) == 20


def test_a_304_is_unchanged_and_costs_a_unit() -> None:
    def answer(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"v1"':
            return BAD(status=304, headers={"ETag": '"v1"'})
        return web.json_response({"value": 1}, headers={"ETag": '"v1"', "Last-Modified": "Sun, 22 Nov 2026"})

    budget = Budget(":memory:", "toy", FREE)

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        first = await api.get(MOOD)
        assert not first.unchanged
        again = await api.get(MOOD, conditions=first.conditions)
        assert again.unchanged and again.answer.body == b""
        assert vendor.asked[1].headers["If-Modified-Since"] == "Sun, 22 Nov 2026"
        assert budget.left(time.now_s)[2].units == 9_998

    run(work, answer, budget=budget)
    # Nobody asked whether it had changed: no answer at all.
    run(failing(Outcome.REFUSED, "found 304"), lambda _: BAD(status=304))


def test_an_answer_larger_than_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 1000)
    run(failing(Outcome.REFUSED, "at most 1000 bytes"), lambda _: BAD(body=b"x" * 1001))


@pytest.mark.parametrize("in_query", [True, False])
def test_a_planted_key_is_in_no_error_log_or_answer(in_query: bool) -> None:
    """Vendors repeat keys in what they say, as they are and escaped; errors of libraries hold the URL."""
    forms = [PLANTED, "pl4nted%2Fkey%2Btoy", "pl4nted%2fkey+toy", r"pl4nted\/key+toy"]
    complaint = json.dumps({"error": "again", "said": forms})
    echo = json.dumps({"value": 1, "of": forms})

    def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return mood(1)

    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        assert PLANTED not in repr(api.access)
        received = await api.get(MOOD)
        assert b"nted" not in received.answer.body and b"***" in received.answer.body
        assert "nted" not in repr(received.answer.headers)
        with pytest.raises(ApiError) as refused:
            await api.get(MOOD)
        assert "nted" not in str(refused.value) + repr(refused.value.verdict) + repr(api.stopped)

    answers: list[Any] = [
        BAD(text=complaint),
        cut,
        BAD(text=f"<html>{PLANTED}"),
        BAD(text=echo, headers={"X-Key": PLANTED}),
        BAD(text=json.dumps({"error": PLANTED})),
    ]
    vendor, log = run(work, in_turn(*answers), toy(in_query))
    assert vendor.keys() == {PLANTED} and len(vendor.asked) == 5
    assert len(log) == 4 and "nted" not in repr(log)


def test_a_judge_that_cannot_read_an_answer_asks_again() -> None:
    def judge(request: Request, answer: Any) -> Verdict:
        raise ParseError("expected status, found nothing")

    from dataclasses import replace  # noqa: PLC0415

    run(failing(Outcome.AGAIN, "found nothing, 4 times", 4), feed=replace(toy(), judge=judge))


def test_a_host_that_is_not_there() -> None:
    async def main() -> None:
        async with serving(Vendor()) as access:
            pass
        async with aiohttp.ClientSession() as http:
            with pytest.raises(ApiError, match="4 times") as refused:
                await Time().api(access, http).get(MOOD)
        assert refused.value.verdict.outcome == Outcome.AGAIN and "nted" not in str(refused.value)

    asyncio.run(main())


def test_one_attempt_made_now() -> None:
    async def work(vendor: Vendor, api: Api, time: Time) -> None:
        with pytest.raises(ApiError, match="status 500") as refused:
            await api.once(MOOD)
        assert refused.value.verdict.outcome == Outcome.AGAIN and len(vendor.asked) == 1
        with contextlib.suppress(ApiError):
            await api.once(MOOD)
        with pytest.raises(ApiError, match="not asked for 30 s: the toy wants silence"):
            await api.once(MOOD)
        assert time.slept == [0.0] and len(vendor.asked) == 2
        time.now_s += 30
        assert (await api.once(MOOD)).answer.status == 200

    run(work, in_turn(BAD(status=500), web.json_response({"error": "wait"}), mood(1)))
