"""Correlation of many series over a moving window: Pearson, exponentially weighted, and Spearman's.

A series is the log returns of an instrument's closes on a grid of one step; a return is missing (NaN) where either
close is. A pair is looked at over the steps at which both have a return; nothing is carried forward.

* Pearson: over the shared steps, each series less its mean over them.
* EWMA: weights 2 ** (-age / half_life), age in steps, the mean taken as zero: sum(w x y) / sqrt(sum(w x x) sum(w y y)).
* Spearman: Pearson's of the average ranks within the shared steps.

Definitions: section 4 (log returns; pairwise deletion; null for a series without variance). Pearson and EWMA follow
each step by rank-one updates (`flows.kernels.sums`), whose error does not grow; Spearman is made from the window.
Cost a step, n series: about n * n / 2 * 2 ns, window of any length; see `make bench` (correlation).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.kernels import sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = (
    1e-26  # of a mean square, against the largest square in the window: below it there is rounding alone
)
OFF_CENTRE = 16.0  # a square of the mean of so many variances costs digits: the series is centred anew
REBUILD_SPARING = 4  # a rebuild costs as much as so many steps' passes over all pairs, times steps / series
HEAVY = 2.0**200  # weights grow until here, then all is divided


class Returns:
    """The newest `steps` rows of returns, float64[series], NaN where missing."""

    def __init__(self, series: int, steps: int) -> None:
        self.rows: Floats = np.full((steps, series), np.nan)
        self.newest = -1  # number of the newest row

    def push(self, row: Floats) -> None:
        """The next row; the oldest leaves."""
        self.newest += 1
        self.rows[self.newest % len(self.rows)] = row

    def at(self, age: int) -> Floats:
        """The row of that many steps before the newest."""
        row: Floats = self.rows[(self.newest - age) % len(self.rows)]
        return row

    def window(self, steps: int) -> tuple[Floats, Floats]:
        """The rows of the newest `steps` steps and the age of each."""
        ages = np.arange(steps)
        return self.rows[(self.newest - ages) % len(self.rows)], ages.astype(np.float64)

    def grow(self, series: int) -> None:
        """Take more series, which have no returns yet."""
        more = series - self.rows.shape[1]
        self.rows = np.pad(self.rows, ((0, 0), (0, more)), constant_values=np.nan)


class Window:
    """The sums of one weighting over the newest `steps` rows of `returns`, which is kept by the caller.

    Call `push` after `Returns.push`; `returns` must hold one row more than `steps`.
    """

    def __init__(self, returns: Returns, steps: int, half_life_steps: float | None = None) -> None:
        """`half_life_steps`: of exponential weights about a mean of zero; None: equal weights about the mean."""
        if len(returns.rows) <= steps:
            raise ValueError(f"expected more than {steps} rows of returns, found {len(returns.rows)}")
        n = returns.rows.shape[1]
        self._returns, self._steps = returns, steps
        self._decay = 1.0 if half_life_steps is None else 0.5 ** (1.0 / half_life_steps)
        self._centred = half_life_steps is None
        self._weight = 1.0  # of the newest row
        self._centre: Floats = np.zeros(n)
        self._peak: Floats = np.zeros(n)  # largest absolute return since the series was last rebuilt
        self._sums = sums.Sums(
            both=np.zeros((2, n, n)), own=np.zeros((2, n)), alone=np.zeros((2, n, n)), squares=np.zeros((2, n, n)),
            lacks=np.zeros((n, n), np.int64), counts=np.zeros(n, np.int64),
        )  # fmt: skip
        self._turn = 0  # the series to be rebuilt next

    def push(self) -> None:
        """The newest row of `returns` enters, that of `steps` before it leaves; one series is rebuilt in turn."""
        self._weight /= self._decay
        if self._weight > HEAVY:
            self._lighten()
        entering, leaving = self._returns.at(0), self._returns.at(self._steps)
        leaves = self._weight * self._decay**self._steps
        sums.step(self._sums, entering, leaving, self._centre, self._peak, self._weight, leaves)
        self._rebuild_some()

    def revise(self, age: int, was: Floats) -> None:
        """The row of that many steps before the newest, which was `was`, has been changed in `returns`."""
        if age >= self._steps:
            return
        weight, now = self._weight * self._decay**age, self._returns.at(age)
        np.fmax(self._peak, np.abs(now), out=self._peak)
        sums.change(self._sums, was - self._centre, weight, -1)
        sums.change(self._sums, now - self._centre, weight, 1)

    def correlations(self) -> tuple[Floats, Ints]:
        """Of every pair: correlation, NaN where it has none, and the number of shared rows; [n, n], symmetric."""
        n = len(self._centre)
        out, shared = np.empty((n, n)), np.empty((n, n), np.int64)
        rows = min(self._returns.newest + 1, self._steps)
        floors = (
            ROUNDING * self._peak**2 * (1.0 if self._centred else self._weight * self._decay**self._steps)
        )
        sums.correlations(self._sums, rows, floors, self._centred, out, shared)
        return out, shared

    def grow(self, series: int) -> None:
        """Take more series, after `Returns.grow`."""
        old = len(self._centre)
        more = series - old
        square, line = ((0, 0), (0, more), (0, more)), ((0, 0), (0, more))
        was = self._sums
        now = sums.Sums(
            both=np.pad(was.both, square), own=np.pad(was.own, line), alone=np.pad(was.alone, square),
            squares=np.pad(was.squares, square), lacks=np.pad(was.lacks, (0, more)),
            counts=np.pad(was.counts, (0, more)),
        )  # fmt: skip
        now.alone[:, :old, old:] = was.own[:, :, None]
        now.squares[:, :old, old:] = np.diagonal(was.both, axis1=1, axis2=2)[:, :, None]
        now.lacks[:old, old:] = was.counts[:, None]
        self._sums = now
        self._centre, self._peak = np.pad(self._centre, (0, more)), np.pad(self._peak, (0, more))

    def _rebuild_some(self) -> None:
        """One series in turn, seldom enough to cost little, and those whose mean is far from their centre."""
        n = len(self._centre)
        if self._returns.newest % max(1, REBUILD_SPARING * self._steps // n) == 0:
            self._rebuild(self._turn)  # about the same centre, so that the same returns give the same sums
            self._turn = (self._turn + 1) % n
        if self._centred:
            floors, i = ROUNDING * self._peak**2, -1
            while (i := sums.off_centre(self._sums, floors, OFF_CENTRE, i)) >= 0:
                self._recentre(i)

    def _recentre(self, i: int) -> None:
        mine = self._returns.window(self._steps)[0][:, i]
        known = mine[~np.isnan(mine)]
        self._centre[i] = math.fsum(known) / len(known)
        self._rebuild(i)

    def _rebuild(self, i: int) -> None:
        rows, ages = self._returns.window(self._steps)
        self._peak[i] = np.nanmax(np.abs(rows[:, i]), initial=0.0)
        weights = self._weight * self._decay**ages
        sums.rebuild(self._sums, rows, self._centre, weights, i)

    def _lighten(self) -> None:
        for each in (self._sums.both, self._sums.own, self._sums.alone, self._sums.squares):
            np.divide(each, self._weight, out=each)
        self._weight = 1.0

    def dump(self) -> tuple[Any, ...]:
        """All state but the returns."""
        arrays = (self._centre, self._peak, *self._sums)
        return self._weight, self._turn, [(x.dtype.str, x.shape, x.tobytes()) for x in arrays]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        self._weight, self._turn, arrays = state
        self._centre, self._peak, *held = (
            np.frombuffer(data, dtype).reshape(shape).copy() for dtype, shape, data in arrays
        )
        self._sums = sums.Sums(*held)
