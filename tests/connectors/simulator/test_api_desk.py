"""The desk of an API: windows of the calendar, refusals in the vendor's words, faults, conditional requests."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window, apis
from connectors.simulator.api_desk import REFUSALS, ApiDesk
from connectors.simulator.clock import VenueClock
from connectors.simulator.half import DEMO_KEY, RequestError
from connectors.simulator.world import SimulatedWorld

LATE_ON_NEW_YEARS_EVE = int(datetime(2026, 12, 31, 23, 58, 30, tzinfo=UTC).timestamp()) * 1000
KEYED = {"X-Key": DEMO_KEY}


class Invented(ApiHalf):
    """An API that is nobody's."""

    name = "invented"
    keys = MappingProxyType({DEMO_KEY: "demo", "": "keyless", "pro": "pro"})
    windows = MappingProxyType({
        "demo": (Window(3, "minute"), Window(10, "month")),
        "keyless": (Window(2, "day"),),
    })  # fmt: skip

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        return {"/coins/{id}/chart": self._told, "/coins": self._told, "/bad": self._bad}

    def key(self, ask: Ask) -> str:
        return ask.headers.get("x-key", "")

    def units(self, ask: Ask) -> int:
        return int(ask.query.get("units", "1"))

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        return Reply(429 if fault == "limited" else 401, fault.encode(), {"Retry-After": str(retry_after_s)})

    def limited(self, window: Window, retry_after_s: int) -> Reply:
        return Reply(429, window.span.encode(), {"Retry-After": str(retry_after_s)})

    def _told(self, ask: Ask) -> Reply:
        faults = sorted(ask.faults)
        return Reply(
            200,
            msgspec.json.encode([ask.path, dict(ask.query), faults, ask.values_ms - LATE_ON_NEW_YEARS_EVE]),
        )

    def _bad(self, ask: Ask) -> Reply:
        raise RequestError(422, b"unprocessable")


def made(at_ms: int = LATE_ON_NEW_YEARS_EVE) -> tuple[ApiDesk, VenueClock]:
    clock = VenueClock(0, manual=True, start_ms=at_ms)
    return ApiDesk(Invented(), SimulatedWorld(7, clock)), clock


def told(reply: Reply) -> list[object]:
    assert reply.status == 200, reply
    found: list[object] = msgspec.json.decode(reply.body)
    return found


def test_paths_and_queries_reach_the_half_decoded() -> None:
    desk, _ = made()
    said = told(desk.answer("/coins/bit%20coin/chart?days=30&vs=usd%2Ceur&empty=", KEYED))
    assert said == [
        "/coins/bit coin/chart",
        {"days": "30", "vs": "usd,eur", "empty": "", "id": "bit coin"},
        [],
        0,
    ]
    assert desk.answer("/coins/a/b/chart", KEYED).status == desk.answer("/coinsX", KEYED).status == 404
    assert desk.counters()["unknown_paths"] == 2
    assert desk.answer("/bad", {"x-key": "pro"})[:2] == (422, b"unprocessable")


def test_windows_are_of_the_calendar_and_the_refusal_says_how_long() -> None:
    desk, clock = made()
    assert [desk.answer("/coins", KEYED).status for _ in range(4)] == [200, 200, 200, 429]
    refused = desk.answer("/coins", KEYED)
    assert (refused.body, refused.headers["Retry-After"]) == (b"minute", "30")
    clock.advance(30_000)
    assert desk.answer("/coins?units=3", KEYED).status == 200
    clock.advance(59_000)
    # Eight of ten units of the month are used, refused ones counted: both windows are too small, the month is told.
    longest = desk.answer("/coins?units=4", KEYED)
    assert (longest.body, longest.headers["Retry-After"]) == (b"month", "1")
    clock.advance(1000)  # a new year
    assert desk.answer("/coins?units=3", KEYED).status == 200
    windows = {x["span"]: (x["limit"], x["used_max"]) for x in desk.counters()["windows"]}
    assert windows == {"minute": (3, 7), "month": (10, 12)}


def test_each_key_has_its_own_windows_and_a_plan_without_has_none() -> None:
    desk, _ = made()
    assert [desk.answer("/coins").status for _ in range(3)] == [200, 200, 429]
    assert desk.answer("/coins", KEYED).status == 200
    assert {desk.answer("/coins", {"X-KEY": "pro"}).status for _ in range(50)} == {200}
    assert {desk.answer("/coins", {"x-key": f"none {i}"})[:2] for i in range(50)} == {(401, b"bad_key")}
    counters = desk.counters()
    assert (counters["requests"], counters["refused"]) == (104, 51)
    assert {x["plan"] for x in counters["windows"]} == {"demo", "keyless"}


def test_who_asks_again_before_the_wait_is_over_is_counted() -> None:
    desk, clock = made()
    for _ in range(4):
        desk.answer("/coins", KEYED)
    assert desk.counters()["refused_again"] == 0
    clock.advance(29_999)
    desk.answer("/coins", KEYED)
    assert desk.counters()["refused_again"] == 1
    clock.advance(1)
    desk.answer("/coins", KEYED)
    assert desk.counters()["refused_again"] == 1
    # A refused key is refused for good.
    for _ in range(3):
        desk.answer("/coins", {"x-key": "wrong"})
        clock.advance(86_400_000)
    assert desk.counters()["refused_again"] == 3


@pytest.mark.parametrize("kind", get_args(ApiFault))
def test_a_fault_strikes_as_often_as_told_and_heals(kind: ApiFault) -> None:
    desk, _ = made()
    pro = {"x-key": "pro"}
    good = desk.answer("/coins", pro)
    desk.fault(kind, count=2)
    struck = [desk.answer("/coins", pro) for _ in range(2)]
    assert struck[0] == struck[1]
    if kind in ("bad_key", "plan_expired", "limited", "gone"):
        assert struck[0].body == kind.encode() and struck[0].status == (429 if kind == "limited" else 401)
    elif kind in ("server_error", "html", "empty"):
        expected = {"server_error": 500, "html": 200, "empty": 200}
        assert struck[0].status == expected[kind] and not struck[0].body.startswith(b"[")
    else:
        assert told(struck[0])[2] == [kind]
    assert desk.answer("/coins", pro) == good
    desk.fault(kind, for_s=3600.0)
    assert desk.answer("/coins", pro) == struck[0]
    desk.heal()
    assert desk.answer("/coins", pro) == good
    assert desk.counters()[f"fault_{kind}"] == 3


def test_old_data_is_that_of_when_the_fault_began() -> None:
    desk, clock = made()
    pro = {"x-key": "pro"}
    clock.advance(5000)
    desk.fault("old_data", for_s=60.0)
    clock.advance(20_000)
    assert told(desk.answer("/coins", pro))[2:] == [["old_data"], 5000]
    clock.advance(40_000)
    assert told(desk.answer("/coins", pro))[2:] == [[], 65_000]


def test_what_the_client_has_already_is_not_sent_again() -> None:
    desk, clock = made()
    pro = {"x-key": "pro"}
    tag = desk.answer("/coins", pro).headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}'):
        again = desk.answer("/coins", pro | {"If-None-Match": sent})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    clock.advance(1)
    anew = desk.answer("/coins", pro | {"If-None-Match": tag})
    assert anew.status == 200 and anew.headers["ETag"] != tag
    assert desk.counters()["not_modified"] == 3


@given(st.lists(st.tuples(st.integers(0, 40 * 86_400), st.integers(1, 4)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_windows_agree_with_counting_by_hand(asked: list[tuple[int, int]]) -> None:
    desk, clock = made()
    now_ms, by_minute, by_month = LATE_ON_NEW_YEARS_EVE, dict[int, int](), dict[str, int]()
    for wait_s, units in asked:
        clock.advance(wait_s * 1000)
        now_ms += wait_s * 1000
        minute, month = now_ms // 60_000, datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m")
        by_minute[minute] = by_minute.get(minute, 0) + units
        by_month[month] = by_month.get(month, 0) + units
        expected = 200 if by_minute[minute] <= 3 and by_month[month] <= 10 else 429
        assert desk.answer(f"/coins?units={units}", KEYED).status == expected
    if asked:
        found = {x["span"]: x["used_max"] for x in desk.counters()["windows"]}
        assert found == {"minute": max(by_minute.values()), "month": max(by_month.values())}


@pytest.mark.parametrize("name", sorted(apis()))
def test_every_api_refuses_in_its_own_words(name: str) -> None:
    clock = VenueClock(0, manual=True, start_ms=LATE_ON_NEW_YEARS_EVE)
    half = apis()[name]()
    desk, path = ApiDesk(half, SimulatedWorld(7, clock)), re.sub("[{}]", "", next(iter(half.rest)))
    assert half.windows.keys() <= set(half.keys.values())
    for kind in REFUSALS:
        desk.fault(kind)
        expected = kind if "" in half.keys else "bad_key"  # what comes without a key
        assert desk.answer(path) == half.refusal(expected, 30 if expected == "limited" else 0)
