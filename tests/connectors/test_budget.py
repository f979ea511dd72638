"""Budgets: no restart, second process or clock makes more of a plan than it is."""

import random
import sqlite3
import subprocess
import sys
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.budget import LATE_S, Budget, BudgetError, said
from connectors.feed import DAY_S, MINUTE_S, MONTH_S, Limit, Plan
from tests.conftest import ROOT

NOW_S = 1_795_000_000.0
PLANS = [
    (Limit(30, MINUTE_S), Limit(10_000, MONTH_S)),
    (Limit(5, MINUTE_S), Limit(25, DAY_S)),
    (Limit(8, MINUTE_S), Limit(800, DAY_S)),
    (Limit(10, 1.0), Limit(30, MINUTE_S), Limit(333, DAY_S), Limit(3000, MONTH_S)),
]


def plan(*limits: Limit, spacing_s: float = 0.0) -> Plan:
    return Plan(name="toy", url="https://toy.example", limits=limits, spacing_s=spacing_s)


def most_in_rolling(arrivals: list[tuple[float, int]], span_s: float) -> int:
    """The most units in any window of that length, by brute force over where it may begin."""
    times = sorted(arrivals)
    sums = [0]
    for _, units in times:
        sums.append(sums[-1] + units)
    starts = [at_s for at_s, _ in times]
    return max(
        (sums[bisect_left(starts, at_s + span_s)] - sums[at] for at, at_s in enumerate(starts)), default=0
    )


def most_in_calendar(arrivals: list[tuple[float, int]], span_s: float) -> int:
    """The most units in any second, minute, day or month of the calendar, as a vendor counts."""
    used: dict[str, int] = {}
    form = {1.0: "%Y%m%d%H%M%S", MINUTE_S: "%Y%m%d%H%M", DAY_S: "%Y%m%d", MONTH_S: "%Y%m"}[span_s]
    for at_s, units in arrivals:
        name = datetime.fromtimestamp(at_s, UTC).strftime(form)
        used[name] = used.get(name, 0) + units
    return max(used.values(), default=0)


@pytest.mark.parametrize("limits", PLANS, ids=str)
def test_a_month_of_greed_with_restarts_stays_within_the_plan(
    limits: tuple[Limit, ...], tmp_path: Path
) -> None:
    """Several processes that ask as often as they are let, die at any moment, and read clocks that differ."""
    rng = random.Random(str(limits))
    path, wanted = tmp_path / "budgets.sqlite3", plan(*limits)
    open_ = {at: Budget(path, "toy", wanted) for at in range(3)}
    next_s = {at: NOW_S + rng.uniform(0, 100) for at in open_}
    arrivals: list[tuple[float, int]] = []
    now_s = NOW_S
    while now_s < NOW_S + 40 * DAY_S and len(arrivals) < 12_000:
        at = min(next_s, key=lambda x: next_s[x])
        now_s = max(now_s, next_s[at])
        if rng.random() < 0.02:  # killed, and begun again
            open_.pop(at).disconnect()
            open_[at] = Budget(path, "toy", wanted)
        units = rng.choice([1, 1, 1, 2, 5])
        wait_s = open_[at].take(now_s + rng.uniform(-2, 2), units, rng.choice([1.0, 1.0, 0.5]))
        if not wait_s:
            arrivals.append((now_s + rng.uniform(0, 15), units))
        # Sometimes idle; else as soon as it may, and impatient at that.
        idle_s = rng.expovariate(1 / 3600) if rng.random() < 0.05 else rng.uniform(0, 2)
        next_s[at] = now_s + min(wait_s, rng.choice([5.0, 600.0, 20_000.0])) + idle_s
    assert len(arrivals) > 200
    for limit in limits:
        assert most_in_rolling(arrivals, limit.span_s) <= limit.units
        assert most_in_calendar(arrivals, limit.span_s) <= limit.units
    # And the plan is worth its money: most of the tightest limit can be used.
    tightest = max(limits, key=lambda x: x.span_s / x.units)
    assert most_in_rolling(arrivals, tightest.span_s + LATE_S + 10_800) >= 0.7 * tightest.units


@given(st.lists(st.tuples(st.floats(-50_000, 5_000), st.integers(1, 3)), max_size=60))
def test_a_clock_that_is_set_back_frees_nothing(steps: list[tuple[float, int]]) -> None:
    """True time never goes on here, so no more than one span's units may ever be given."""
    budget, now_s, given_units = Budget(":memory:", "toy", plan(Limit(10, DAY_S))), NOW_S, 0
    for step_s, units in steps:
        now_s = min(now_s + step_s, NOW_S)
        if not budget.take(now_s, units):
            given_units += units
    assert given_units <= 10
    assert budget.take(now_s, 10 - given_units or 1) == 0.0 or given_units == 10
    # It heals: a span after the clock was set back everything is free again.
    assert budget.take(now_s + DAY_S + LATE_S + 600, 10) == 0.0


def test_a_wait_is_as_long_as_it_must_be() -> None:
    budget = Budget(":memory:", "toy", plan(Limit(3, MINUTE_S)))
    assert [budget.take(NOW_S + at) for at in (0.0, 10.0, 20.0)] == [0.0, 0.0, 0.0]
    wait_s = budget.take(NOW_S + 30.0)
    assert wait_s == pytest.approx(MINUTE_S + LATE_S - 30.0, abs=0.11)
    assert budget.holds == "the plan's 3 in 60 s are used"
    assert budget.take(NOW_S + 30.0 + wait_s - 0.2) > 0.0
    assert budget.take(NOW_S + 30.0 + wait_s) == 0.0 and budget.holds == ""


def test_a_bucket_counts_until_its_last_second_may_be_free() -> None:
    budget = Budget(":memory:", "toy", plan(Limit(1, DAY_S)))
    assert budget.take(NOW_S) == 0.0
    wait_s = budget.take(NOW_S + 1)
    assert DAY_S + LATE_S - 1 <= wait_s <= DAY_S + LATE_S + 300


def test_a_share_leaves_the_rest_to_others() -> None:
    budget = Budget(":memory:", "toy", plan(Limit(10, DAY_S)))
    assert [budget.take(NOW_S, 1, 0.5) > 0 for _ in range(6)] == [False] * 5 + [True]
    assert [budget.take(NOW_S) > 0 for _ in range(6)] == [False] * 5 + [True]
    # What costs more than the share is not shut out for ever: it has its turn when nothing is used.
    assert budget.take(NOW_S + 2 * DAY_S, 8, 0.5) == 0.0


def test_the_beginnings_of_requests_are_apart() -> None:
    budget = Budget(":memory:", "toy", plan(spacing_s=2.0))
    assert budget.take(NOW_S) == 0.0
    assert budget.take(NOW_S + 0.5) == pytest.approx(1.5)
    assert budget.take(NOW_S - 1000) == pytest.approx(2.0)  # never longer, whatever the clock does
    assert budget.take(NOW_S + 2.0) == 0.0


def test_what_one_feed_uses_counts_for_another_of_the_same_key(tmp_path: Path) -> None:
    """Even by limits that the first feed's plan does not name."""
    path = tmp_path / "budgets.sqlite3"
    one, other = Budget(path, "key", plan(Limit(30, MINUTE_S))), Budget(path, "key", plan(Limit(4, MONTH_S)))
    stranger = Budget(path, "another key", plan(Limit(4, MONTH_S)))
    assert [one.take(NOW_S + at) for at in range(4)] == [0.0] * 4
    assert other.take(NOW_S + 100) > 30 * DAY_S
    assert stranger.take(NOW_S) == 0.0
    assert other.left(NOW_S + 100) == [(Limit(4, MONTH_S), 0)] and stranger.left(NOW_S)[0].units == 3


def test_a_vendors_stop_sign_survives_a_restart_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"
    Budget(path, "key", plan()).close(NOW_S, 5 * DAY_S, "the month is used up")
    again = Budget(path, "key", plan())
    assert again.take(NOW_S + 100) == pytest.approx(5 * DAY_S - 100) and again.holds == "the month is used up"
    again.close(NOW_S + 100, 60.0, "a shorter one ends no longer one")
    wait_s, reason = again.closed(NOW_S + 200)
    assert wait_s == pytest.approx(5 * DAY_S - 200) and reason == "the month is used up"
    # A clock set back by years does not make five days years.
    assert again.take(NOW_S - 1000 * DAY_S) == pytest.approx(5 * DAY_S)
    assert again.take(NOW_S - 994 * DAY_S) == 0.0 and again.closed(NOW_S - 994 * DAY_S) == (0.0, "")


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"
    budget, now_s = Budget(path, "key", plan(Limit(10**9, MONTH_S))), NOW_S
    for _ in range(3000):
        now_s += 2000.0
        assert budget.take(now_s) == 0.0
    with sqlite3.connect(path) as found:
        ((rows,),) = found.execute("SELECT count(*) FROM taken")
    assert rows < 800  # a month in buckets of three hours, a day in such of five minutes
    found.close()


CHARGE = """
import sys
from pathlib import Path
from connectors.budget import BUSY_S, Budget
from connectors.feed import DAY_S, Limit, Plan
budget = Budget(Path(sys.argv[1]), "key", Plan(name="x", url="https://x", limits=(Limit(200, DAY_S),)))
while (wait_s := budget.take(1_795_000_000.0)) <= BUSY_S:
    if not wait_s:
        print("sent", flush=True)
"""


def test_processes_side_by_side_and_killed_give_no_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"
    command, sent = [sys.executable, "-c", CHARGE, str(path)], 0
    for kill_after in (20, 30, None):
        running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in running:
            assert process.stdout is not None
            sent += sum(process.stdout.readline() == "sent\n" for _ in range(kill_after or 0))
            if kill_after is not None:
                process.kill()
        for process in running:
            assert process.stdout is not None
            sent += process.stdout.read().count("sent")
            process.stdout.close()
            process.wait(60)
    # A kill may waste a unit between the charge and the request, never the other way round.
    assert 200 - 4 <= sent <= 200


def test_a_request_that_no_plan_ever_gives_is_told() -> None:
    with pytest.raises(BudgetError, match="expected a request of at most 8 in 60 s, found one of 9"):
        Budget(":memory:", "toy", plan(Limit(8, MINUTE_S))).take(NOW_S, 9)
    with pytest.raises(BudgetError, match="at most a month"):
        Budget(":memory:", "toy", plan(Limit(8, 2 * MONTH_S)))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no database" * 1000)
    for path in (tmp_path / "bad", tmp_path, tmp_path / "bad" / "x"):
        with pytest.raises(BudgetError, match="expected a file of budgets that can be written"):
            Budget(path, "toy", plan())


def test_limits_in_words() -> None:
    assert [said(x) for x in (Limit(30, MINUTE_S), Limit(10, MONTH_S))] == ["30 in 60 s", "10 in 31 days"]
