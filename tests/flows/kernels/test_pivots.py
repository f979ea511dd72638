"""Swings: the vectors of the definitions, the invariants of every detector, and a zigzag made in one go."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.kernels.divergence import Divergences
from flows.kernels.pivots import CONFIRMED, FINAL, UPGRADED, Pivots, Swing

MINUTE_NS = 60 * 10**9
# Few prices, so that plateaus, equal highs and outside bars are common.
BARS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 4)).map(lambda x: (x[0] + x[1], x[0])), max_size=40
)
WINDOWS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def _swings(bars, left, right, pivots=None, first=0) -> list[Swing]:
    pivots = pivots or Pivots(left, right, name="x")
    out = []
    for i, (high, low) in enumerate(bars, first):
        out += pivots.on_bar(high, low, i * MINUTE_NS, (i + 1) * MINUTE_NS)
    return out


def _raw(swings) -> list[tuple[str, int, float, int]]:
    return [(x.side, x.seq, x.price, x.confirmed_seq) for x in swings if x.state == CONFIRMED]


def test_swings_are_those_of_the_first_vector():
    highs = 10, 12, 11, 10.5, 11, 13, 12, 10, 9, 9.5, 8
    lows = 8, 9, 9.5, 7, 8, 10, 9.8, 6, 5, 7.5, 4
    found = _raw(_swings(zip(highs, lows, strict=True), 1, 1))
    assert [x[1:] for x in found if x[0] == "high"] == [(1, 12, 2), (5, 13, 6), (9, 9.5, 10)]
    assert [x[1:] for x in found if x[0] == "low"] == [(3, 7, 4), (8, 5, 9)]


def test_of_a_plateau_the_earliest_bar_counts():
    highs = 1, 2, 5, 5, 2, 1
    assert _raw(_swings([(high, 0) for high in highs], 2, 2)) == [("high", 2, 5, 4)]


def test_an_outside_bar_is_a_high_and_a_low_the_high_first():
    found = _raw(_swings([(2, 2), (5, 1), (3, 2)], 1, 1))
    assert found == [("high", 1, 5, 2), ("low", 1, 1, 2)]


def test_times_are_the_open_of_the_pivot_and_the_close_that_confirmed_it():
    (swing,) = _swings([(1, 0), (3, 0), (2, 0)], 1, 1)
    assert (swing.event_ns, swing.confirmed_ns) == (MINUTE_NS, 3 * MINUTE_NS)


def test_a_leg_is_upgraded_then_final_and_labelled():
    #        0       1       2       3       4        5       6       7        8       9
    bars = [(5, 4), (7, 5), (6, 5), (9, 6), (7, 5), (6, 3), (8, 5), (11, 7), (9, 6), (8, 5)]
    found = _swings(bars, 1, 1)
    told = [(x.state, x.side, x.seq, x.confirmed_seq, x.label) for x in found]
    assert told == [
        (CONFIRMED, "high", 1, 2, ""),
        (CONFIRMED, "high", 3, 4, ""),
        (UPGRADED, "high", 1, 4, ""),
        (CONFIRMED, "low", 5, 6, ""),
        (FINAL, "high", 3, 6, ""),
        (CONFIRMED, "high", 7, 8, ""),
        (FINAL, "low", 5, 8, ""),
    ]
    assert found[2].id == found[0].id
    assert found[2].replaced_by == found[1].id == found[4].id


def test_labels_compare_with_the_final_swing_of_the_side_before():
    turns = [10, 5, 12, 4, 12, 6, 9, 2]  # highs and lows in turn
    bars = [(turn, turn) for turn in [7, *turns, 5]]
    labels = [x.label for x in _swings(bars, 1, 1) if x.state == FINAL]
    assert labels == ["", "", "HH", "LL", "EQH", "HL", "LH"]
    near = [x.label for x in _swings(bars, 1, 1, Pivots(1, 1, equal_within=2)) if x.state == FINAL]
    assert near == ["", "", "EQH", "EQL", "EQH", "EQL", "LH"]


def _raw_plainly(bars, left, right) -> list[tuple[str, int, float, int]]:
    found = []
    series = (("high", 1, [high for high, _ in bars]), ("low", -1, [-low for _, low in bars]))
    for i in range(left, len(bars) - right):
        for side, sign, prices in series:
            before, after = prices[i - left : i], prices[i + 1 : i + right + 1]
            if max([-math.inf, *before]) < prices[i] >= max([-math.inf, *after]):
                found.append((side, i, sign * prices[i], i + right))
    return found


def _zigzag_plainly(raw) -> list[tuple[str, int, float, int]]:
    """Runs of one side, of each the most extreme pivot, the earliest of equal ones."""
    legs: list[list[tuple[str, int, float, int]]] = []
    for pivot in raw:
        if legs and legs[-1][0][0] == pivot[0]:
            legs[-1].append(pivot)
        else:
            legs.append([pivot])
    sign = {"high": 1, "low": -1}
    return [max(leg, key=lambda x: (sign[x[0]] * x[2], -x[1])) for leg in legs]


@given(BARS, WINDOWS)
def test_final_legs_and_the_open_one_are_the_zigzag_of_every_prefix(bars, window):
    """I2 and P: what a batch over the bars so far would find, at each bar."""
    pivots = Pivots(*window)
    raw, final = [], []
    for i, (high, low) in enumerate(bars):
        for x in pivots.on_bar(high, low, i * MINUTE_NS, (i + 1) * MINUTE_NS):
            if x.state == CONFIRMED:
                raw.append((x.side, x.seq, x.price, x.confirmed_seq))
            elif x.state == FINAL:
                final.append((x.side, x.seq, x.price))
        expected = _raw_plainly(bars[: i + 1], *window)
        assert raw == expected
        legs = [x[:3] for x in _zigzag_plainly(expected)]
        leg = pivots.open_leg
        assert final + ([(leg.side, leg.seq, leg.price)] if leg else []) == legs


@given(BARS, BARS, BARS, WINDOWS)
def test_what_comes_later_changes_nothing_told_before(past, future, other, window):
    """I1 and I3."""
    told = _swings(past, *window)
    assert _swings(past + future, *window)[: len(told)] == told
    assert all(x.confirmed_seq >= len(past) for x in _swings(past + other, *window)[len(told) :])
    assert all(x.confirmed_ns >= x.event_ns + MINUTE_NS for x in told)


@given(BARS, WINDOWS, st.integers(0, 40))
def test_a_restart_changes_nothing(bars, window, at):
    """I4."""
    first = Pivots(*window, name="x")
    told = _swings(bars[:at], *window, first)
    second = Pivots(*window, name="x")
    second.load(first.dump())
    assert told + _swings(bars[at:], *window, second, min(at, len(bars))) == _swings(bars, *window)


@given(BARS, WINDOWS)
def test_the_mirror_image_of_prices_has_the_mirror_image_of_swings(bars, window):
    """I6. A bar that is both tells its high first, so of outside bars the zigzag is not symmetric, raw pivots are."""
    mirror = {"high": "low", "low": "high"}
    turned = _raw(_swings([(-low, -high) for high, low in bars], *window))
    expected = [(mirror[side], seq, -price, confirmed) for side, seq, price, confirmed in turned]
    assert sorted(expected) == sorted(_raw(_swings(bars, *window)))


@given(BARS, WINDOWS, st.integers(1, 100), st.integers(-100, 100))
def test_ticks_and_offsets_move_prices_only(bars, window, scale, shift):
    """I5."""
    moved = _swings([(high * scale + shift, low * scale + shift) for high, low in bars], *window)
    assert moved == [x._replace(price=x.price * scale + shift) for x in _swings(bars, *window)]


@given(BARS, WINDOWS)
def test_each_id_is_confirmed_once_and_its_states_follow_each_other(bars, window):
    states: dict[str, list[str]] = {}
    for x in _swings(bars, *window):
        states.setdefault(x.id, []).append(x.state)
    assert all(x in ([CONFIRMED], [CONFIRMED, UPGRADED], [CONFIRMED, FINAL]) for x in states.values())


def test_ids_are_the_same_wherever_counting_began():
    bars = [(5, 4), (7, 5), (6, 5), (9, 6), (7, 5), (6, 3), (8, 5)]
    ids = {x.id for x in _swings(bars[2:], 1, 1, first=2)}
    assert ids and ids <= {x.id for x in _swings(bars, 1, 1)}


def test_a_long_walk_has_the_pivots_of_the_plain_way():
    steps = np.random.default_rng(6).integers(-5, 6, (4000, 3))
    closes = np.cumsum(steps[:, 0])
    bars = [(int(c + abs(a)), int(c - abs(b))) for c, (_, a, b) in zip(closes, steps, strict=True)]
    assert _raw(_swings(bars, 5, 5)) == _raw_plainly(bars, 5, 5)


def _divergences(bars, cvds, sessions=None):
    pivots, divergences, out = Pivots(1, 1), Divergences(1), []
    for i, ((high, low), cvd) in enumerate(zip(bars, cvds, strict=True)):
        swings = pivots.on_bar(high, low, i, i + 1)
        out += divergences.on_bar(cvd, swings, sessions[i] if sessions else 0)
    return out


TURNS = [(7, 7), (10, 10), (5, 5), (12, 12), (6, 6), (8, 8)]


def test_a_higher_high_with_less_cvd_is_a_bearish_divergence_once_it_is_final():
    (found,) = _divergences(TURNS, [0, 50, 20, 40, 0, 0])
    assert (found.kind, found.first.price, found.second.price) == ("bearish", 10, 12)
    assert (found.first_cvd_lots, found.second_cvd_lots) == (50, 40)
    assert found.confirmed_ns == 6  # the low at bar 4, which ends the leg, is confirmed by bar 5
    assert _divergences(TURNS, [0, 50, 20, 50, 0, 0]) == []
    assert _divergences(TURNS, [0, 50, 20, 40, 0, 0], [0, 0, 0, 1, 1, 1]) == []  # the CVD began anew


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-9, 9)), max_size=40), st.integers(0, 40))
def test_divergences_mirror_survive_a_restart_and_compare_final_swings(series, at):
    bars, cvds = [(price, price) for price, _ in series], [cvd for _, cvd in series]
    found = _divergences(bars, cvds)
    turned = _divergences([(-high, -high) for high, _ in bars], [-cvd for cvd in cvds])
    mirror = {"bearish": "bullish", "bullish": "bearish"}
    assert [(x.kind, x.first.seq, x.second.seq) for x in found] == [
        (mirror[x.kind], x.first.seq, x.second.seq) for x in turned
    ]
    expected = []
    final = [x for x in _swings(bars, 1, 1) if x.state == FINAL]
    for i, swing in enumerate(final):
        before = [x for x in final[:i] if x.side == swing.side][-1:]
        sign = 1 if swing.side == "high" else -1
        if before and (
            sign * (swing.price - before[0].price) > 0 > sign * (cvds[swing.seq] - cvds[before[0].seq])
        ):
            expected.append((before[0].seq, swing.seq))
    assert [(x.first.seq, x.second.seq) for x in found] == expected
    pivots, first, second, told = Pivots(1, 1), Divergences(1), Divergences(1), []
    for i, ((high, low), cvd) in enumerate(zip(bars, cvds, strict=True)):
        if i == at:
            second.load(first.dump())
            first = second
        told += first.on_bar(cvd, pivots.on_bar(high, low, i, i + 1))
    assert told == found
