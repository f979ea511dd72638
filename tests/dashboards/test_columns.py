"""Columns on the image's grid, against sums over single bins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board.columns import (
    COLUMNS_IN_VIEW,
    GRID_ROWS,
    ROWS_OFFERED,
    STEPS_S,
    TILE_COLUMNS,
    Column,
    Grid,
    finest_step,
    grid_for,
    holes,
    matrix,
    on_rows,
    resting,
    row_for,
    tile_start,
)

SIZES = st.lists(st.one_of(st.just(math.nan), st.integers(0, 50).map(float)), min_size=64, max_size=128)
ROW = st.sampled_from(ROWS_OFFERED)


def column(time_s: int, base_bin: int, bid: list[float], step: float = 0.5) -> Column:
    sizes = np.array(bid, np.float32)
    price = (base_bin + len(bid) // 2) * step
    return Column(time_s, step, base_bin, sizes, np.zeros_like(sizes), price, price + step, 0.0, 0)


COLUMNS = st.builds(
    lambda seconds, base, sizes: [column(s, base + 64 * (s % 3), sizes) for s in sorted(seconds)],
    st.sets(st.integers(1000, 1100), min_size=1, max_size=12),
    st.integers(-5, 50).map(lambda block: 64 * block),
    SIZES,
)


@given(COLUMNS, ROW)
def test_a_row_is_the_sum_of_its_bins_or_a_hole(columns, bins_a_row):
    grid = grid_for(columns, bins_a_row)
    for one in columns:
        known = {one.base_bin + at: float(size) for at, size in enumerate(one.bid + one.ask)}
        for row, found in enumerate(resting(one, grid)):
            first = (grid.first_row + row) * bins_a_row
            expected = sum(known.get(first + at, math.nan) for at in range(bins_a_row))
            assert math.isnan(found) if math.isnan(expected) else found == expected


@given(st.lists(st.integers(0, 50).map(float), min_size=640, max_size=640), ROW)
def test_grouping_conserves_the_whole(sizes, bins_a_row):
    # 64 * 10 bins from a multiple of 20 on: every row is whole.
    one = column(0, 6400, sizes)
    grid = grid_for([one], bins_a_row)
    assert np.nansum(resting(one, grid)) == sum(sizes)


@given(COLUMNS, ROW)
def test_a_missing_second_stays_missing(columns, bins_a_row):
    grid = grid_for(columns, bins_a_row)
    image = matrix(columns, grid, 1000, 101, 1)
    there = {one.time_s - 1000 for one in columns}
    for at in set(range(101)) - there:
        assert np.isnan(image[:, at]).all()
    for one in columns:
        np.testing.assert_array_equal(image[:, one.time_s - 1000], resting(one, grid))


@given(COLUMNS)
def test_holes_are_the_seconds_without_a_column(columns):
    times = [one.time_s for one in columns]
    missing = [second for start, end in holes(times, 1) for second in range(start, end)]
    assert missing == sorted(set(range(times[0], times[-1])) - set(times))


def test_another_bin_width_is_a_hole():
    grid = Grid(0.5, 1, 100, 64)
    other = column(0, 128, [1.0] * 64, step=1.0)
    assert np.isnan(on_rows(other, other.bid, grid)).all()


def test_a_wide_book_is_cut_around_its_price():
    one = column(0, 0, [1.0] * 64 * 100)
    grid = grid_for([one], 1)
    assert grid.rows == GRID_ROWS
    assert grid.holds(one)
    assert not grid.holds(column(0, 64 * 90, [1.0] * 64))


def test_no_columns_no_grid():
    with pytest.raises(ValueError, match="needs a column"):
        grid_for([], 1)


@given(st.integers(0, 2**31), st.sampled_from(STEPS_S))
def test_tiles_do_not_overlap(time_s, step_s):
    start, width = tile_start(time_s, step_s), TILE_COLUMNS * step_s
    assert start <= time_s < start + width
    assert tile_start(start, step_s) == start
    assert tile_start(start + width, step_s) == start + width


@given(st.floats(1, 36_000))
def test_finest_step_that_fits(span_s):
    step = finest_step(span_s)
    assert span_s / step <= COLUMNS_IN_VIEW
    assert all(span_s / finer > COLUMNS_IN_VIEW for finer in STEPS_S if finer < step)


def test_more_than_the_coarsest_holds():
    assert finest_step(1e6) == 60


@pytest.mark.parametrize(
    ("price_range", "row"), [(50, 1), (200, 1), (201, 2), (800, 4), (2000, 10), (9999, 10)]
)
def test_auto_row(price_range, row):
    assert row_for(price_range, 1.0) == row
