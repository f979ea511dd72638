"""Imbalances: the vector of the definitions, and plain loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.kernels.imbalance import diagonal, stacked

BUY, SELL = np.array([5, 66, 15, 10], np.int64), np.array([20, 4, 1, 30], np.int64)  # rows 10 to 13
FOOTPRINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=20)


def _rows(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


def test_imbalances_are_those_of_the_vector():
    buy, sell = diagonal(BUY, SELL)
    assert (_rows(buy), _rows(sell)) == ([1, 2, 3], [])
    assert stacked(buy).tolist() == [[1, 3]]
    assert int((BUY - SELL).sum()) == 41


def test_a_missing_opposite_side_may_count_as_one_lot():
    buy, sell = diagonal(BUY, SELL, zero_as_one=True)
    # The 5 bought at the lowest row stand against nothing too: the rule has no side.
    assert (_rows(buy), _rows(sell)) == ([0, 1, 2, 3], [3])


def test_a_little_volume_is_no_imbalance():
    assert _rows(diagonal(BUY, SELL, min_lots=15)[0]) == [1, 2]
    assert _rows(diagonal(BUY, SELL, min_lots=16)[0]) == [1]


def test_the_ratio_is_exact():
    for lots, expected in ((3 * 10**15, [1]), (3 * 10**15 - 1, [])):
        buy, _ = diagonal(np.array([0, lots]), np.array([10**15, 0]))
        assert _rows(buy) == expected


@given(FOOTPRINTS, st.integers(100, 500), st.integers(0, 5), st.booleans())
def test_imbalances_equal_the_plain_ones(rows, ratio, least, zero_as_one):
    bought, sold = np.array(rows, np.int64).T
    buy, sell = diagonal(bought, sold, ratio, min_lots=least, zero_as_one=zero_as_one)
    for found, one, other, step in ((buy, bought, sold, -1), (sell, sold, bought, 1)):
        for i, lots in enumerate(one.tolist()):
            against = int(other[i + step]) if 0 <= i + step < len(rows) else 0
            if against == 0 and zero_as_one:
                against = 1
            expected = against > 0 and lots > 0 and lots >= least and lots * 100 >= ratio * against
            assert found[i] == expected


@given(FOOTPRINTS)
def test_upside_down_and_with_sides_changed_it_is_the_same(rows):
    bought, sold = np.array(rows, np.int64).T
    buy, sell = diagonal(bought, sold)
    turned = diagonal(sold[::-1], bought[::-1])
    assert (turned[0][::-1].tolist(), turned[1][::-1].tolist()) == (sell.tolist(), buy.tolist())


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4))
def test_runs_are_those_of_the_plain_way(mask, least):
    expected, start = [], None
    for i, on in enumerate([*mask, False]):
        if on and start is None:
            start = i
        elif not on and start is not None:
            if i - start >= least:
                expected.append([start, i - 1])
            start = None
    assert stacked(np.array(mask, bool), least).tolist() == expected
