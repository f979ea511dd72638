"""Moving correlations against numpy and pandas on the same masked returns, whatever the returns are."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.kernels import ranks, significance
from flows.kernels.correlation import Returns, Window

X = np.array([0.01, -0.02, 0.03, 0.0, 0.02])
Y = np.array([0.02, -0.01, 0.01, -0.005, 0.015])


def pushed(rows: np.ndarray, steps: int, half_life: float | None = None) -> Iterator[tuple[int, Window]]:
    """The window after each row."""
    returns = Returns(rows.shape[1], steps + 1)
    window = Window(returns, steps, half_life)
    for at, row in enumerate(rows):
        returns.push(row)
        window.push()
        yield at, window


def two_pass(rows: np.ndarray, half_life: float | None = None) -> np.ndarray:
    """The correlation of each pair, by definition."""
    n = rows.shape[1]
    out = np.full((n, n), np.nan)
    weights = np.ones(len(rows)) if half_life is None else 0.5 ** (np.arange(len(rows))[::-1] / half_life)
    for i in range(n):
        for j in range(n):
            both = ~np.isnan(rows[:, i]) & ~np.isnan(rows[:, j])
            x, y, w = rows[both, i], rows[both, j], weights[both]
            if half_life is None and len(x):
                x, y = x - x.mean(), y - y.mean()
            if len(x) and np.ptp(rows[both, i]) > 0 and np.ptp(rows[both, j]) > 0:
                out[i, j] = (w * x * y).sum() / np.sqrt((w * x * x).sum() * (w * y * y).sum())
    return out


def returns_of(kind: str, missing: float, steps: int = 1500, series: int = 7) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((steps, series)) + 0.7 * rng.standard_normal((steps, 1))
    if kind == "far mean":
        rows += 100
    elif kind == "jump":
        rows[steps // 2 :] += 100
    elif kind == "1000 sigma":
        rows[steps // 3] *= 1000
        rows[steps // 2, 0] = 1000
    elif kind == "constant":
        rows[:, 1] = 0.123456789
        rows[steps // 2 :, 2] = 7.1
    rows *= 1e-4
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("kind", ["plain", "far mean", "jump", "1000 sigma", "constant"])
@pytest.mark.parametrize("half_life", [None, 15.0])
def test_every_cell_is_that_of_two_passes(kind, missing, half_life):
    steps, rows = 60, returns_of(kind, missing)
    off = 1e-12 if half_life is None else 1e-9
    for at, window in pushed(rows, steps, half_life):
        if at % 37 == 0 or at in (0, 1, 2):
            found, shared = window.correlations()
            held = rows[max(0, at - steps + 1) : at + 1]
            known = ~np.isnan(held)
            assert np.array_equal(shared, known.T.astype(int) @ known.astype(int))
            expected = two_pass(held, half_life)
            if half_life is not None:  # about a mean of zero a constant series has a correlation
                expected = np.where(np.isnan(expected), found, expected)
            assert np.array_equal(np.isnan(found), np.isnan(expected)), at
            assert np.nanmax(np.abs(found - expected), initial=0.0) < off, at


def test_published_vector():
    rows = np.column_stack([X, Y])
    for half_life, expected in ((None, 0.763212), (1.0, 0.912452)):
        *_, (_, window) = pushed(rows, 5, half_life)
        assert window.correlations()[0][0, 1] == pytest.approx(expected, abs=5e-7)
    assert ranks.spearman(rows)[0, 1] == pytest.approx(0.6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_row_revised_is_as_if_it_had_been_so(data):
    steps, series = data.draw(st.integers(2, 12)), data.draw(st.integers(2, 5))
    value = st.one_of(st.just(np.nan), st.integers(-3, 3).map(float))
    count = data.draw(st.integers(1, 30))
    rows = np.array([[data.draw(value) for _ in range(series)] for _ in range(count)])
    returns = Returns(series, steps + 1)
    revised, fresh = Window(returns, steps), Returns(series, steps + 1)
    for at, row in enumerate(rows):
        returns.push(row)
        revised.push()
        age = data.draw(st.integers(0, min(at, steps - 1)))
        was = returns.at(age).copy()
        returns.at(age)[data.draw(st.integers(0, series - 1))] = data.draw(value)
        revised.revise(age, was)
        rows[at - age] = returns.at(age)
    again = Window(fresh, steps)
    for row in rows:
        fresh.push(row)
        again.push()
    np.testing.assert_allclose(revised.correlations()[0], again.correlations()[0], atol=1e-12)
    assert np.array_equal(revised.correlations()[1], again.correlations()[1])


def test_new_series_join_and_state_survives():
    rows = returns_of("plain", 0.1)
    returns = Returns(4, 61)
    window = Window(returns, 60)
    for row in rows[:500]:
        returns.push(row[:4])
        window.push()
    returns.grow(7)
    window.grow(7)
    for row in rows[500:530]:
        returns.push(row)
        window.push()
    copied = Window(returns, 60)
    copied.load(window.dump())
    held = rows[470:530].copy()
    held[:30, 4:] = np.nan
    for each in (window, copied):
        np.testing.assert_allclose(each.correlations()[0], two_pass(held), atol=1e-12)
    returns.push(rows[530])
    window.push()
    copied.push()
    assert np.array_equal(window.correlations()[0], copied.correlations()[0], equal_nan=True)


def test_a_window_needs_the_row_that_leaves_it():
    with pytest.raises(ValueError, match="more than 60 rows"):
        Window(Returns(2, 60), 60)


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.6])
def test_ranks_are_those_of_pandas(missing):
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 30, (200, 9)).astype(float)
    rows[:, 3] = 5
    rows[rng.random(rows.shape) < missing] = np.nan
    found = ranks.spearman(rows)
    expected = pd.DataFrame(rows).corr(method="spearman").to_numpy()
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected)) < 1e-9


def test_significance():
    low, high = significance.interval(np.array([0.5]), np.array([28.0]))
    assert (low[0], high[0]) == (pytest.approx(0.15603, abs=5e-6), pytest.approx(0.73582, abs=5e-6))
    assert significance.p_value(np.array([0.5]), np.array([28.0]))[0] == pytest.approx(0.00601, abs=2e-5)
    assert np.isnan(significance.p_value(np.array([0.9]), np.array([3.0]))[0])
    # Benjamini and Hochberg 1995, section 3.2: of these 15 the first four hold at 0.05.
    told = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0]  # fmt: skip
    p = np.full((6, 6), np.nan)
    p[np.tril_indices(6, -1)] = told
    assert sorted(p[significance.significant(p)]) == told[:4]
    assert significance.effective_n(np.ones(7)) == 7
    assert significance.effective_n(0.94 ** np.arange(5000)) == pytest.approx(1.94 / 0.06)
