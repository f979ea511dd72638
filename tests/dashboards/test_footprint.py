"""Cells of a footprint: the vector of the definitions, and loops over single rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board import look
from dashboards.board.columns import Grid
from dashboards.board.footprint import (
    Bar,
    bar_of,
    brackets,
    cell_decimals,
    cell_text,
    cells,
    footers,
    imbalances,
    interval_for,
    stacks,
)

GRID = Grid(0.5, 2, 0, 200)
LOTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30)


def vector() -> Bar:
    """Price 10: sells 20, buys 5; 11: 4 and 66; 12: 1 and 15; 13: 30 and 10."""
    return Bar(1000, 10, 10, 0.1, np.array([5, 66, 15, 10]), np.array([20, 4, 1, 30]))


def test_the_vector_of_the_definitions():
    bar = vector()
    bought, sold = imbalances(bar.buy, bar.sell)
    assert bought.tolist() == [False, True, True, True]
    assert not sold.any()
    assert stacks(bought) == [(1, 4)]
    found = brackets([bar], GRID)
    assert (found["low"], found["high"], found["colour"]) == ([11.0], [14.0], [look.BUY])
    foot = footers([bar], GRID)
    assert (foot["delta"], foot["volume"], foot["percent"]) == (["Δ +4.10"], ["V 15.1"], ["+27 %"])
    assert (foot["low"], foot["high"]) == ([11.0], [12.0])


@given(LOTS)
def test_imbalances_by_their_rules(lots):
    buy, sell = (np.array(side) for side in zip(*lots, strict=True))
    bought, sold = imbalances(buy, sell)
    for at in range(len(lots)):
        below = int(sell[at - 1]) if at else 0
        above = int(buy[at + 1]) if at + 1 < len(lots) else 0
        assert bought[at] == (below > 0 and buy[at] >= 3 * below)
        assert sold[at] == (above > 0 and sell[at] >= 3 * above)


@given(st.lists(st.booleans()))
def test_stacks_are_runs_of_three(flags):
    inside = {at for first, end in stacks(np.array(flags, bool)) for at in range(first, end)}
    for at, flag in enumerate(flags):
        first, end = at, at
        while first > 0 and flags[first - 1]:
            first -= 1
        while end < len(flags) and flags[end]:
            end += 1
        assert (at in inside) == (flag and end - first >= 3)


@given(st.dictionaries(st.integers(50, 90), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_rows_are_sums_of_their_bins(by_bin):
    rows, lots = np.array(sorted(by_bin)), np.array([by_bin[row] for row in sorted(by_bin)])
    bar = bar_of(1000, 10, 1.0, rows, lots, 2)
    for at in range(len(bar.buy)):
        inside = [by_bin[row] for row in by_bin if row // 2 == bar.first + at]
        assert (bar.buy[at], bar.sell[at]) == (sum(b for b, _ in inside), sum(s for _, s in inside))
    assert bar.buy.sum() + bar.sell.sum() == lots.sum()


def test_cells_lie_in_their_bar_and_row():
    data = cells([vector()], GRID)
    assert data["y"] == [10.5, 11.5, 12.5, 13.5]
    assert all(
        1_000_000 < left < right < 1_010_000 for left, right in zip(data["left"], data["right"], strict=True)
    )
    assert (data["sell"], data["buy"]) == (["2.00", "0.40", "0.10", "3.00"], ["0.50", "6.60", "1.50", "1.00"])
    assert data["buy_style"] == ["normal", "bold", "bold", "bold"]
    assert data["buy_colour"][1:] == [look.BUY] * 3
    # The largest fills its half.
    assert max(data["buy_end"]) == max(data["right"])
    assert cells([], GRID)["y"] == []


@pytest.mark.parametrize(
    ("span_s", "interval"),
    [(5, None), (91, 10), (92, 60), (547, 60), (548, None), (3600, 3600), (32_000, 3600), (33_000, None)],
)
def test_bars_are_wide_enough_to_be_read(span_s, interval):
    assert interval_for(span_s, 1004) == interval


@pytest.mark.parametrize(
    ("size", "decimals", "text"),
    [(0, 1, "·"), (0.04, 1, "0.0"), (9.44, 1, "9.4"), (118.4, 1, "118"), (0.0123, 4, "0.0123"), (1234, 1, "1.2k"),
     (45_600, 1, "46k"), (3.2e6, 1, "3.2M")],
)  # fmt: skip
def test_numbers_are_short(size, decimals, text):
    assert cell_text(size, decimals) == text


@pytest.mark.parametrize(("largest", "decimals"), [(0, 1), (118, 1), (12, 1), (6.6, 2), (0.5, 3), (0.001, 4)])
def test_decimals_by_the_largest(largest, decimals):
    assert cell_decimals(largest) == decimals
