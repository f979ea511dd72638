"""Bars of order flow and their running sums, against loops over single bars."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board.tape import CLASSES, Flow, Sums, group_of, grouped, joined, no_flow, panel, running

LOTS = st.integers(0, 1000)
BAR = st.tuples(LOTS, LOTS, LOTS, st.integers(90, 110), st.booleans())


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    seconds = sorted(draw(st.sets(st.integers(1000, 1200), min_size=1, max_size=40)))
    return flow(seconds, [draw(BAR) for _ in seconds])


def flow(seconds: list[int], found: list[tuple[int, int, int, int, bool]]) -> Flow:
    buy, sell, unknown, price, whole = (np.array(column) for column in zip(*found, strict=True))
    volume = (buy + sell + unknown).astype(float)
    classes = np.stack([(buy - sell) * (at == buy % CLASSES) for at in range(CLASSES)], axis=1).astype(float)
    prices = price.astype(float)
    return Flow(
        np.array(seconds), prices + 1, prices - 1, prices, buy.astype(float), sell.astype(float),
        unknown.astype(float), volume * prices, whole.astype(bool), classes,
    )  # fmt: skip


@given(flows(), st.sampled_from([1, 2, 5, 60]))
def test_a_group_is_the_sum_of_its_bars(one, group_s):
    found = grouped(one, group_s)
    starts = sorted({second // group_s * group_s for second in one.time_s.tolist()})
    assert found.time_s.tolist() == starts
    for at, start in enumerate(starts):
        inside = [i for i, second in enumerate(one.time_s) if start <= second < start + group_s]
        for name in ("buy", "sell", "unknown", "quote"):
            assert getattr(found, name)[at] == sum(getattr(one, name)[i] for i in inside)
        assert found.classes[at].tolist() == [sum(one.classes[i, c] for i in inside) for c in range(CLASSES)]
        assert (found.high[at], found.low[at]) == (max(one.high[inside]), min(one.low[inside]))
        assert found.close[at] == one.close[inside[-1]]
        assert found.whole[at] == all(one.whole[i] for i in inside)


@given(flows(), st.sets(st.integers(990, 1210), max_size=3), st.integers(-50, 50))
def test_running_sums_begin_anew_at_each_open(one, opens, before):
    found = running(one.delta, one.time_s, sorted(opens), before)
    total, session = before, max((o for o in opens if o <= one.time_s[0]), default=None)
    for at, second in enumerate(one.time_s.tolist()):
        current = max((o for o in opens if o <= second), default=None)
        if current != session:
            total, session = 0, current
        total += one.delta[at]
        assert found[at] == total


@given(flows(), flows(), st.integers(990, 1210))
def test_newer_bars_replace_older_ones(old, new, from_s):
    late = new.time_s >= from_s
    new = Flow(*(getattr(new, name)[late] for name in Flow.__slots__))
    both = joined(old, new, from_s)
    assert both.time_s.tolist() == [t for t in old.time_s if t < from_s] + new.time_s.tolist()
    assert both.volume.sum() == old.volume[old.time_s < from_s].sum() + new.volume.sum()


def test_lines_break_at_holes_and_opens_but_volume_does_not_vanish():
    seconds = [*range(1000, 1010), *range(1020, 1030)]
    one = flow(seconds, [(5, 2, 1, 100, True)] * 20)
    data = panel(one, 1, [(1010, 1020)], [1025], Sums(buy=7, sell=1, quote=800.0))
    x, cvd = data["right"] / 1000, data["cvd"]
    broken = np.flatnonzero(np.isnan(cvd))
    assert [x[at] for at in broken] == [1010, 1025]
    assert np.nansum(data["buy"]) == 100
    assert cvd[0] == 7 - 1 + 3
    assert cvd[-1] == 5 * 3  # five bars since the open at 1025
    assert data["vwap"][-1] == 100
    assert len({len(values) for values in data.values()}) == 1


@given(flows())
def test_vwap_lies_between_the_prices(one):
    vwap = panel(one, 5, [], [], Sums())["vwap"]
    known = vwap[~np.isnan(vwap)]
    assert ((known >= one.close.min() - 1e-9) & (known <= one.close.max() + 1e-9)).all()


def test_nothing_traded_draws_nothing():
    data = panel(no_flow(), 5, [(1, 2)], [3], Sums())
    assert all(len(values) == 0 for values in data.values())
    assert math.isnan(Sums().vwap)


@pytest.mark.parametrize(
    ("span_s", "step_s", "seconds"), [(60, 1, 1), (642, 1, 5), (6420, 10, 50), (3e5, 60, 1800)]
)
def test_bars_are_wide_enough(span_s, step_s, seconds):
    assert group_of(span_s, 1004, step_s) == seconds
    assert seconds * 1004 / span_s >= 6
