"""Local times, with clocks put forward and back; paces."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import DAY_S, Limit, Plan
from connectors.feeds.series import asked_of, local_ns, pace_s, request, zone
from connectors.venue import ParseError

EASTERN = zone("US/Eastern")


def ns(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


def test_clocks_put_forward_leave_no_gap() -> None:
    # 2026-03-08: 01:59 is followed by 03:00.
    assert local_ns("2026-03-08 01:59:00", EASTERN) == ns(2026, 3, 8, 6, 59)
    assert local_ns("2026-03-08 03:00:00", EASTERN) == ns(2026, 3, 8, 7, 0)
    with pytest.raises(ParseError, match="leave out"):
        local_ns("2026-03-08 02:30:00", EASTERN)


def test_clocks_put_back_make_an_hour_that_is_not_told() -> None:
    assert local_ns("2026-11-01 00:59:00", EASTERN) == ns(2026, 11, 1, 4, 59)
    assert local_ns("2026-11-01 01:30:00", EASTERN) is None
    assert local_ns("2026-11-01 02:00:00", EASTERN) == ns(2026, 11, 1, 7, 0)


@given(st.integers(0, 2**33), st.sampled_from(["UTC", "US/Eastern", "Asia/Tokyo", "Australia/Lord_Howe"]))
def test_a_local_time_is_found_again_or_was_twice(seconds: int, name: str) -> None:
    where = ZoneInfo(name)
    local = datetime.fromtimestamp(seconds, UTC).astimezone(where).replace(tzinfo=None)
    found = local_ns(local.isoformat(" "), where)
    if found is None:
        both = [local.replace(tzinfo=where, fold=x).timestamp() for x in (0, 1)]
        assert seconds in both and both[0] != both[1]
    else:
        assert found == seconds * 10**9


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "0001-01-01", "9999-12-31", "2026-01-01T00:00:00Z"]
)
def test_other_text_is_no_time(text: str) -> None:
    with pytest.raises(ParseError):
        local_ns(text, EASTERN)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "\0", "US"])
def test_other_names_are_no_zones(name: str) -> None:
    with pytest.raises(ParseError):
        zone(name)


def test_requests_are_read_back() -> None:
    found = request("/query", {"symbol": "EUR/USD", "limit": 5, "word": "a&b c"})
    assert asked_of(found.path) == ("/query", {"symbol": "EUR/USD", "limit": "5", "word": "a&b c"})
    assert request("/ping").path == "/ping"


def test_a_pace_is_what_the_plan_bears() -> None:
    plan = Plan(name="x", url="https://x.example", limits=(Limit(8, 60.0), Limit(800, DAY_S)))
    # 8 units in 800 of a day, of which three quarters: 75 rounds, each 1152 s.
    assert pace_s(plan, 8, None) == 1200.0
    assert pace_s(plan, 8, 1.0) == 1200.0
    assert pace_s(plan, 8, 5000.0) == 5040.0
    assert pace_s(plan, 0, None) == 60.0
