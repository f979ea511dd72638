"""Waits, budgets and watchdogs, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.reconnect import Allowance, Backoff, Silence, rollover_s

ALMOST_ONE = 1 - 2**-53


@given(st.integers(0, 2000), st.floats(0.01, 10), st.floats(10, 1000))
def test_the_wait_doubles_up_to_the_cap(failures: int, base_s: float, cap_s: float) -> None:
    backoff = Backoff(lambda: ALMOST_ONE, base_s, cap_s)
    for _ in range(failures):
        backoff.failed()
    expected = cap_s if failures > 200 else min(cap_s, base_s * 2**failures)
    assert backoff.failed() == pytest.approx(expected)


@given(st.floats(0, ALMOST_ONE), st.integers(0, 20))
def test_the_wait_is_jittered_from_zero_on(drawn: float, failures: int) -> None:
    backoff, full = Backoff(lambda: drawn), Backoff(lambda: ALMOST_ONE)
    for _ in range(failures):
        backoff.failed(), full.failed()
    assert backoff.failed() == pytest.approx(drawn * full.failed())


def test_good_health_resets_the_wait_and_less_of_it_does_not() -> None:
    backoff = Backoff(lambda: ALMOST_ONE, 1.0, 60.0, 60.0)
    waits = [backoff.failed() for _ in range(8)]
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert round(backoff.failed(59.9)) == 60
    assert round(backoff.failed(60.0)) == 1
    assert round(backoff.failed(0.0)) == 2


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50), st.floats(0, 20)), max_size=60),
    st.integers(50, 120),
)
def test_no_span_ever_sees_more_than_is_allowed(asked: list[tuple[float, int, float]], most: int) -> None:
    allowance, now_s, counted = Allowance(most, 60.0), 0.0, []
    for gap_s, units, latency_s in asked:
        now_s += gap_s
        while wait_s := allowance.take(now_s, units):
            assert wait_s > 0
            now_s += wait_s
        # The other side counts it at any moment until the answer: here in the middle.
        counted.append((now_s + latency_s / 2, units))
        now_s += latency_s
        allowance.settle(now_s, units)
    for at_s, _ in counted:
        assert sum(units for when_s, units in counted if at_s <= when_s < at_s + 60.0 - 1e-6) <= most


def test_what_others_of_the_address_have_used_counts() -> None:
    allowance = Allowance(100, 60.0)
    assert allowance.take(0.0, 40) == 0.0
    allowance.settle(1.0, 40)
    allowance.observe(1.0, 90)
    assert allowance.used(1.0) == 90
    assert allowance.take(1.0, 11) == pytest.approx(60.0)
    assert allowance.take(1.0, 10) == 0.0
    assert allowance.used(62.0) == 10


def test_more_than_there_ever_is_cannot_be_waited_for() -> None:
    with pytest.raises(ValueError, match="at most 10 units, found 11"):
        Allowance(10, 60.0).take(0.0, 11)


def test_silence_is_told_once_its_limit_is_over_and_then_less_and_less_often() -> None:
    silence = Silence(10.0, 0.0)
    alarms = [now_s for now_s in range(1, 1000) if not silence.heard(now_s, 0) and silence.too_long(now_s)]
    assert alarms == [10, 30, 70, 150, 310, 470, 630, 790, 950]


def test_who_speaks_is_not_silent_and_speaking_in_time_restores_the_limit() -> None:
    silence = Silence(10.0, 0.0)
    assert silence.too_long(10.0)
    assert silence.heard(25.0, 1) and silence.limit_s == 20.0
    assert silence.heard(34.0, 2) and silence.limit_s == 10.0
    assert not silence.heard(43.0, 2) and not silence.too_long(43.0)
    assert silence.too_long(44.0)


def test_a_pause_is_no_silence() -> None:
    silence = Silence(10.0, 0.0)
    silence.pause(100.0)
    assert not silence.too_long(109.0) and silence.too_long(110.0)


@given(st.floats(0, ALMOST_ONE))
def test_a_day_old_connection_is_replaced_in_its_last_hour_and_a_half(drawn: float) -> None:
    assert 22.5 * 3600 <= rollover_s(86_400.0, lambda: drawn) <= 23 * 3600
