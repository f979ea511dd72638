"""Profiles: the vectors of the definitions, properties, and plain loops."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.kernels import profile as p

VOLUMES = st.lists(st.integers(0, 9), min_size=1, max_size=24).map(lambda x: np.array(x, np.int64))
RULES = st.sampled_from([p.TWO_ROW, p.SINGLE_ROW])


def _volumes(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    "first, volumes, poc, two_row, single_row",
    [
        (100, (10, 20, 30, 50, 40, 25, 15, 10), 103, (101, 105, 165), (102, 105, 145)),
        (10, (5, 9, 4, 9, 3), 11, (11, 13, 22), (10, 13, 27)),
        (1, (10, 20, 30, 20, 10), 3, (1, 5, 90), (2, 4, 70)),
        (1, (5, 0, 0, 20, 5), 4, (4, 5, 25), (4, 5, 25)),
        (1, (10, 0, 0, 12, 0, 0, 10), 4, (1, 7, 32), (1, 7, 32)),
    ],
    ids=["VP1", "VP2", "VP3", "VP4", "VP5"],
)
def test_points_of_control_and_value_areas_are_those_of_the_vectors(first, volumes, poc, two_row, single_row):
    values = _volumes(*volumes)
    assert p.point_of_control(values) + first == poc
    for rule, (low, high, held) in ((p.TWO_ROW, two_row), (p.SINGLE_ROW, single_row)):
        found = p.value_area(values, 70, rule)
        assert (found[0] + first, found[1] + first) == (low, high)
        assert values[found[0] : found[1] + 1].sum() == held


def test_a_profile_of_one_row_and_one_without_volume():
    assert p.value_area(_volumes(7)) == (0, 0)
    assert p.value_area(_volumes(7), 70, p.SINGLE_ROW) == (0, 0)
    for nothing in (_volumes(), _volumes(0, 0)):
        assert p.point_of_control(nothing) == p.NOTHING
        assert p.value_area(nothing) == (p.NOTHING, p.NOTHING)
        assert [len(x) for x in p.nodes(nothing)] == [0, 0]


def test_ties_of_the_point_of_control():
    assert p.point_of_control(_volumes(5, 1, 5, 1, 1)) == 2  # closest to the middle
    assert p.point_of_control(_volumes(1, 5, 1, 5, 2)) == 3  # more volume above
    assert p.point_of_control(_volumes(1, 5, 5, 1)) == 1  # all alike: the lower


def _poc_plainly(volumes: list[int]) -> int:
    n, most = len(volumes), max(volumes)
    if most == 0:
        return p.NOTHING
    middle = Fraction(n - 1, 2)
    below = sum(v for i, v in enumerate(volumes) if i < middle)
    above = sum(v for i, v in enumerate(volumes) if i > middle)

    def order(i: int) -> tuple[Fraction, int, int]:
        side = below if i < middle else above
        return abs(i - middle), -side, i

    return min((i for i, v in enumerate(volumes) if v == most), key=order)


def _area_plainly(volumes: list[int], percent: int, rows: int) -> tuple[set[int], list[int]]:
    """The rows of the value area, and the volume held after each step."""
    poc, n = _poc_plainly(volumes), len(volumes)
    if poc < 0:
        return set(), []
    area, steps = {poc}, [volumes[poc]]
    while steps[-1] < Fraction(percent * sum(volumes), 100):
        above = [i for i in range(max(area) + 1, max(area) + 1 + rows) if i < n]
        below = [i for i in range(min(area) - rows, min(area)) if i >= 0]
        up = sum(volumes[i] for i in above) >= sum(volumes[i] for i in below)
        taken = above if (above and (up or not below)) else below
        area |= set(taken)
        steps.append(steps[-1] + sum(volumes[i] for i in taken))
    return area, steps


@given(VOLUMES, st.integers(1, 100), RULES)
def test_the_value_area_equals_the_plain_one(volumes, percent, rule):
    area, steps = _area_plainly(volumes.tolist(), percent, rule)
    low, high = p.value_area(volumes, percent, rule)
    assert p.point_of_control(volumes) == _poc_plainly(volumes.tolist())
    if not area:
        assert (low, high) == (p.NOTHING, p.NOTHING)
        return
    assert set(range(low, high + 1)) == area
    assert low <= p.point_of_control(volumes) <= high
    held, target = int(volumes[low : high + 1].sum()), percent * int(volumes.sum())
    assert 100 * held >= target
    assert len(steps) == 1 or 100 * steps[-2] < target  # without the last step it would not be enough


@given(VOLUMES, st.integers(1, 100), st.integers(1, 100), RULES)
def test_a_smaller_share_is_within_a_larger(volumes, one, other, rule):
    inner, outer = (p.value_area(volumes, percent, rule) for percent in sorted((one, other)))
    assert outer[0] <= inner[0] and inner[1] <= outer[1]


@given(VOLUMES, RULES, st.integers(2, 10**9))
def test_a_unit_of_volume_changes_nothing(volumes, rule, factor):
    assert p.value_area(volumes * factor, 70, rule) == p.value_area(volumes, 70, rule)
    for one, other in zip(p.nodes(volumes * factor), p.nodes(volumes), strict=True):
        assert one.tolist() == other.tolist()


def test_a_developing_point_of_control_stays_on_a_tie():
    assert p.developing_point_of_control(_volumes(5, 1, 5, 1, 1), 0) == 0
    assert p.developing_point_of_control(_volumes(5, 1, 6, 1, 1), 0) == 2
    assert p.developing_point_of_control(_volumes(5, 1, 5, 1, 1), p.NOTHING) == 2
    assert p.developing_point_of_control(_volumes(0, 0), 1) == p.NOTHING


def test_nodes_are_those_of_the_vector():
    values = _volumes(1, 3, 8, 4, 2, 5, 9, 5, 1)
    high, low = p.nodes(values, smooth=False)
    assert (high.tolist(), low.tolist()) == ([2, 6], [4])
    # Their prominences are 6, 8 and 6 of a maximum of 9.
    for percent, expected in ((66, ([2, 6], [4])), (67, ([6], [])), (88, ([6], [])), (89, ([], []))):
        found = p.nodes(values, smooth=False, percent=percent)
        assert tuple(x.tolist() for x in found) == expected


def test_nodes_of_a_plateau_are_its_middle_the_lower_of_two():
    high, low = p.nodes(_volumes(0, 5, 5, 5, 0, 0, 7, 7, 0), smooth=False)
    assert (high.tolist(), low.tolist()) == ([2, 6], [4])


def test_a_row_that_stands_alone_is_no_node_unless_smoothed():
    values = _volumes(3, 3, 3, 9, 3, 3, 3)
    assert p.nodes(values, smooth=False)[0].tolist() == []
    assert p.nodes(values, smooth=False, rows_min=1)[0].tolist() == [3]
    assert p.nodes(values)[0].tolist() == [3]


def _prominence(values: list[int], first: int, last: int) -> tuple[int, int]:
    """Of a plateau, and how many rows around it lie above what it stands out from."""
    height = values[first]
    feet = []
    for side in (values[:first][::-1], values[last + 1 :]):
        lower = list(side)
        for i, v in enumerate(side):
            if v > height:
                lower = list(side)[:i]
                break
        feet.append(min([height, *lower]))
    base = max(feet)
    rows = 0
    for side in (values[:first][::-1], values[last + 1 :]):
        for v in side:
            if v <= base:
                break
            rows += 1
    return height - base, rows + last - first + 1


def _maxima(values: list[int]) -> list[tuple[int, int]]:
    """First and last row of each plateau that is higher than its two neighbours."""
    found = []
    for i in range(1, len(values) - 1):
        j = i
        while j + 1 < len(values) and values[j + 1] == values[i]:
            j += 1
        if values[i - 1] < values[i] and j + 1 < len(values) and values[j + 1] < values[i]:
            found.append((i, j))
    return found


def _nodes_plainly(volumes: list[int], smooth: bool) -> tuple[list[int], list[int]]:
    values, margin = list(volumes), 0
    if smooth:
        padded, margin = [0] * 4 + volumes + [0] * 4, 2
        values = [
            sum(w * padded[i + k] for k, w in enumerate((1, 4, 6, 4, 1))) for i in range(len(volumes) + 4)
        ]
    need = Fraction(15 * max(values), 100)
    high = [
        (i + j) // 2
        for i, j in _maxima(values)
        if _prominence(values, i, j)[0] >= need and _prominence(values, i, j)[1] >= 2
    ]
    turned = [-v for v in values]
    low = [(i + j) // 2 for i, j in _maxima(turned) if _prominence(turned, i, j)[0] >= need]
    between = [i for i in low if high and high[0] < i < high[-1]]
    return [i - margin for i in high], [i - margin for i in between]


@given(VOLUMES.filter(lambda x: x.max() > 0), st.booleans())
def test_nodes_equal_the_plain_ones(volumes, smooth):
    high, low = p.nodes(volumes, smooth=smooth)
    assert (high.tolist(), low.tolist()) == _nodes_plainly(volumes.tolist(), smooth)


@given(VOLUMES)
def test_every_row_of_a_node_is_within_the_profile_and_low_ones_lie_between(volumes):
    high, low = p.nodes(volumes)
    assert all(0 <= i < len(volumes) for i in (*high, *low))
    assert all(high[0] < i < high[-1] for i in low)


def test_half_hours_are_those_of_the_vector():
    lows, highs = _volumes(10, 11, 11), _volumes(12, 13, 11)
    counts = p.tpo_counts(lows, highs, 10, 4)
    assert counts.tolist() == [1, 3, 2, 1]
    assert p.point_of_control(counts) + 10 == 11
    assert tuple(x + 10 for x in p.value_area(counts)) == (11, 13)
    assert p.single_prints(counts).tolist() == []  # 10 and 13 are the edges


BRACKETS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).map(sorted), min_size=1, max_size=12)


@given(BRACKETS, st.randoms())
def test_half_hours_are_counted_in_any_order(brackets, random):
    counts = p.tpo_counts(*np.array(brackets, np.int64).T, 0, 12)
    assert counts.tolist() == [sum(low <= row <= high for low, high in brackets) for row in range(12)]
    random.shuffle(brackets)
    assert p.tpo_counts(*np.array(brackets, np.int64).T, 0, 12).tolist() == counts.tolist()
    assert p.single_prints(counts).tolist() == [i for i in range(1, 11) if counts[i] == 1]


def test_a_point_of_control_is_naked_until_its_row_has_traded():
    points = _volumes(9, 10, 15, 20, 21)
    assert p.naked(points, 10, 20).tolist() == [True, False, False, False, True]


PRINTS = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 1000)), max_size=40)


def _moments(prints: list[tuple[int, int]]) -> np.ndarray:
    state = p.moments()
    p.add_weighted(state, *np.array(prints, np.int64).reshape(-1, 2).T)
    return state


@given(PRINTS, st.integers(0, 10**9))
def test_the_mean_and_deviation_equal_the_exact_ones(prints, offset):
    """At a billion ticks the naive formula has no digit left."""
    prints = [(price + offset, lots) for price, lots in prints]
    weight = sum(lots for _, lots in prints)
    mean, deviation = p.vwap(_moments(prints))
    if not weight:
        assert math.isnan(mean) and math.isnan(deviation)
        return
    exact = Fraction(sum(price * lots for price, lots in prints), weight)
    variance = sum((price - exact) ** 2 * lots for price, lots in prints) / weight
    assert mean == pytest.approx(float(exact), rel=1e-12, abs=1e-9)
    assert deviation == pytest.approx(math.sqrt(variance), rel=1e-6, abs=1e-6)


@given(PRINTS, st.lists(st.integers(0, 40), max_size=4))
def test_moments_do_not_depend_on_how_prints_are_grouped(prints, cuts):
    state = p.moments()
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(prints)], strict=True):
        p.add_weighted(state, *np.array(prints[low:high], np.int64).reshape(-1, 2).T)
    assert state.tolist() == _moments(prints).tolist()


@given(st.lists(PRINTS, max_size=5))
def test_parts_taken_together_have_the_moments_of_all(parts):
    states = np.array([_moments(part) for part in parts]).reshape(-1, 3)
    everything = _moments([x for part in parts for x in part])
    assert p.merged(states).tolist() == pytest.approx(everything.tolist(), rel=1e-9, abs=1e-6)
