"""Point of control and value area: the vectors of the definitions, and loops; bars on the grid."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board.columns import Grid
from dashboards.board.profile import Profile, bars, point_of_control, profile_of, segments, value_area

VOLUMES = st.lists(st.integers(0, 30), min_size=1, max_size=40).filter(any)
# Volumes by row, then the first and last row of the two-row value area, from 0.
VECTORS = {
    "VP1": ([10, 20, 30, 50, 40, 25, 15, 10], 3, (1, 5)),
    "VP2": ([5, 9, 4, 9, 3], 1, (1, 3)),
    "VP3": ([10, 20, 30, 20, 10], 2, (0, 4)),
    "VP4": ([5, 0, 0, 20, 5], 3, (3, 4)),
    "VP5": ([10, 0, 0, 12, 0, 0, 10], 3, (0, 6)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name):
    volume, poc, area = VECTORS[name]
    assert (point_of_control(np.array(volume)), value_area(np.array(volume))) == (poc, area)


@given(VOLUMES)
def test_point_of_control_by_its_rules(volume):
    count = len(volume)
    best = [at for at in range(count) if volume[at] == max(volume)]
    nearest = [at for at in best if abs(2 * at - (count - 1)) == min(abs(2 * b - (count - 1)) for b in best)]
    below, above = sum(volume[: count // 2]), sum(volume[count - count // 2 :])
    assert point_of_control(np.array(volume)) == (nearest[-1] if above > below else nearest[0])


@given(VOLUMES)
def test_value_area_by_its_rules(volume):
    low = high = point_of_control(np.array(volume))
    while 10 * sum(volume[low : high + 1]) < 7 * sum(volume):
        above, below = volume[high + 1 : high + 3], volume[max(low - 2, 0) : low]
        if above and (sum(above) >= sum(below) or not below):
            high += len(above)
        else:
            low -= len(below)
    assert value_area(np.array(volume)) == (low, high)


ROWS = st.lists(
    st.tuples(st.integers(100, 160), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1
).filter(lambda rows: any(sum(row[1:]) for row in rows))


@given(ROWS, st.sampled_from([1, 2, 4, 10]))
def test_bars_hold_what_traded_in_their_row(rows, bins_a_row):
    table = np.array(rows)
    profile = profile_of(0.5, 3, table[:, 0], table[:, 1:])
    grid = Grid(0.5, bins_a_row, 90 // bins_a_row, 200)
    data = bars(profile, grid)
    sums = {}
    for row, buy, sell, other in rows:
        held = sums.setdefault(row // bins_a_row, [0, 0, 0])
        for at, lots in enumerate((sell, buy, other)):
            held[at] += lots
    used = {row: held for row, held in sorted(sums.items()) if sum(held)}
    longest = max(sum(held) for held in used.values())
    assert data["y"].tolist() == [(row + 0.5) * grid.row_height for row in used]
    ends = np.cumsum(list(used.values()), axis=1) / longest
    np.testing.assert_allclose(np.stack([data["sell"], data["buy"], data["unknown"]], axis=1), ends)


def test_lines_are_prices():
    profile = Profile(0.5, 100, 0.001, *(np.array(lots) for lots in ([0, 50, 0], [10, 0, 10], [0, 0, 0])))
    assert profile.poc == 50.5
    assert profile.value_area == (50.5, 51.0)


def test_no_volume_no_profile():
    assert profile_of(0.5, 3, np.array([1, 2]), np.zeros((2, 3), np.int64)) is None
    assert profile_of(0.5, 3, np.empty(0, np.int64), np.zeros((0, 3), np.int64)) is None


@given(st.integers(0, 50_000), st.integers(0, 50_000))
def test_segments_cover_once_with_whole_bars(from_s, length):
    parts = segments(from_s, from_s + length)
    covered = sorted((start, end) for _, start, end in parts)
    for interval, start, end in parts:
        assert start % interval == end % interval == 0
        assert start < end
    assert all(before[1] == after[0] for before, after in pairwise(covered))
    first, last = -(-from_s // 10) * 10, (from_s + length) // 10 * 10
    assert sum(end - start for start, end in covered) == max(last - first, 0)
    if covered:
        assert (covered[0][0], covered[-1][1]) == (first, last)
    assert len(parts) <= 5
