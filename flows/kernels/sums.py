"""Sums over a moving window of rows of returns, some missing, kept by rank-one updates; compiled.

Only `@njit` functions live here, because numba's cache is void when this file changes. Of each pair of series the
sums are over the rows that both have. They are not kept pair by pair: `both` holds the sum of x_i * x_j with 0 for
what is missing, `alone` what x_i and x_i ** 2 sum to over the rows that lack j; the difference to the sums of x_i over
all its rows is what the pair has. So a row costs one pass over the pairs, and little more for each value it lacks.

Every sum is two floats, high and low (Knuth's TwoSum): what goes in and out again leaves nothing behind, even if it is
a thousand times as large as the rest. `x` are returns less their series' centre.
"""

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

_compile = nb.njit(cache=True, nogil=True, error_model="numpy")
_inline = nb.njit(inline="always")
_TILE = 32


class Sums(NamedTuple):
    """The sums of n series; the first axis of those of floats holds their high and their low part."""

    both: NDArray[np.float64]  # [2, n, n]: of x_i * x_j, lower half
    own: NDArray[np.float64]  # [2, n]: of x_i
    alone: NDArray[np.float64]  # [2, n, n]: of x_i over the rows that i has and j lacks
    squares: NDArray[np.float64]  # [2, n, n]: of x_i ** 2 over those
    lacks: NDArray[np.int64]  # [n, n]: how many those are
    counts: NDArray[np.int64]  # [n]: rows that i has


@_inline
def _add(high, low, at, x):
    """Add x to the sum at index `at` of two rows of a matrix, or two vectors."""
    a = high[at]
    s = a + x
    b = s - a
    low[at] += (a - (s - b)) + (x - b)
    high[at] = s


@_compile
def step(sums, entering, leaving, centre, peak, enters, leaves):
    """One row enters the window, one leaves it: float64[n], not centred, with the weights of their products."""
    x, y = np.empty(len(centre)), np.empty(len(centre))
    whole = True
    for i in range(len(centre)):
        x[i], y[i] = entering[i] - centre[i], leaving[i] - centre[i]
        whole &= not (np.isnan(x[i]) or np.isnan(y[i]))
        if abs(entering[i]) > peak[i]:  # noqa: PLR1730 - NaN is never the larger
            peak[i] = abs(entering[i])
    if whole:
        shift(sums, x, y, enters, leaves)
    else:
        change(sums, y, leaves, -1)
        change(sums, x, enters, 1)


@_compile
def off_centre(sums, floors, factor, after):
    """The first series after `after` whose squared mean is over `factor` variances; -1: none."""
    both, own, counts = sums.both, sums.own, sums.counts
    for i in range(after + 1, len(counts)):
        if counts[i] > 0:
            square = (own[0, i] / counts[i]) ** 2
            if square > factor * max(both[0, i, i] / counts[i] - square, floors[i]):
                return i
    return -1


@_compile
def change(sums, row, weight, by):
    """Take a row into the sums (by = 1) or out of them (by = -1).

    row: float64[n], centred, NaN where missing; weight: of its products.
    """
    n = len(row)
    x = np.empty(n)
    for i in range(n):
        x[i] = 0.0 if np.isnan(row[i]) else row[i]
    both, own, _, _, _, counts = sums
    for i in range(n):
        if np.isnan(row[i]):
            _change_alone(sums, row, i, weight * by, by)
            continue
        xi = weight * by * x[i]
        high, low = both[0, i], both[1, i]
        for j in range(i + 1):
            product = xi * x[j]
            a = high[j]
            s = a + product
            b = s - a
            low[j] += (a - (s - b)) + (product - b)
            high[j] = s
        _add(own[0], own[1], i, xi)
        counts[i] += by


@_compile
def _change_alone(sums, row, lacking, weight, by):
    """What the others have at a row that series `lacking` lacks."""
    _, _, alone, squares, lacks, _ = sums
    for i in range(len(row)):
        if np.isnan(row[i]):
            continue
        lacks[i, lacking] += by
        if lacks[i, lacking] == 0:
            for part in range(2):
                alone[part, i, lacking] = squares[part, i, lacking] = 0.0
        else:
            _add(alone[0, i], alone[1, i], lacking, weight * row[i])
            _add(squares[0, i], squares[1, i], lacking, weight * row[i] * row[i])


@_compile
def shift(sums, entering, leaving, enters, leaves):
    """`change` for two complete rows at once: one enters the window, one leaves it."""
    both, own = sums.both, sums.own
    for i in range(len(entering)):
        a_i, b_i = enters * entering[i], leaves * leaving[i]
        high, low = both[0, i], both[1, i]
        for j in range(i + 1):
            p, q = a_i * entering[j], -b_i * leaving[j]
            a = high[j]
            s = a + p
            c = s - a
            error = (a - (s - c)) + (p - c)
            t = s + q
            c = t - s
            low[j] += error + ((s - (t - c)) + (q - c))
            high[j] = t
        _add(own[0], own[1], i, a_i)
        _add(own[0], own[1], i, -b_i)


@_compile
def rebuild(sums, ring, centre, weights, i):
    """The sums of series i with every other, anew from the rows of the window.

    ring: float64[w, n], not centred, NaN where missing; centre: float64[n]; weights: float64[w] of the rows.
    """
    both, own, alone, squares, lacks, counts = sums
    w, n = ring.shape
    product, product_low = np.zeros(n), np.zeros(n)
    for j in range(n):
        for part in range(2):
            alone[part, i, j] = squares[part, i, j] = 0.0
            alone[part, j, i] = squares[part, j, i] = 0.0
        lacks[i, j] = lacks[j, i] = 0
    own[0, i] = own[1, i] = 0.0
    counts[i] = 0
    for t in range(w):
        row = ring[t]
        if np.isnan(row[i]):
            for j in range(n):
                y = row[j] - centre[j]
                if not np.isnan(y):
                    lacks[j, i] += 1
                    _add(alone[0, j], alone[1, j], i, weights[t] * y)
                    _add(squares[0, j], squares[1, j], i, weights[t] * y * y)
            continue
        xi = row[i] - centre[i]
        x = weights[t] * xi
        counts[i] += 1
        _add(own[0], own[1], i, x)
        for j in range(n):
            y = row[j] - centre[j]
            if np.isnan(y):
                lacks[i, j] += 1
                _add(alone[0, i], alone[1, i], j, x)
                _add(squares[0, i], squares[1, i], j, x * xi)
            else:
                _add(product, product_low, j, x * y)
    for j in range(n):
        a, b = (i, j) if j <= i else (j, i)
        both[0, a, b], both[1, a, b] = product[j], product_low[j]


@_compile
def correlations(sums, rows, floors, centred, out, shared):
    """Correlation of every pair into `out`, number of shared rows into `shared`, both n * n and symmetric.

    rows: how many the window has. floors: float64[n], a mean square that is no more than rounding: at or below it a
    series counts as constant, and has no correlation (NaN). centred: subtract the means over the shared rows; else
    the mean is zero by definition (EWMA).
    """
    both, own, counts = sums.both, sums.own, sums.counts
    n = len(counts)
    scale, mean, first = np.empty(n), np.empty(n), np.empty(n)
    whole = True
    for i in range(n):
        count = counts[i]
        whole &= count == rows
        first[i] = own[0, i] + own[1, i]
        mean[i] = first[i] / count if centred else 0.0
        spread = (both[0, i, i] + both[1, i, i]) - first[i] * mean[i]
        scale[i] = 1.0 / np.sqrt(spread) if spread > floors[i] * count else np.nan
    if whole:
        _whole(both, first, mean, scale, out)
        shared[:] = rows
    else:
        for top in range(0, n, _TILE):
            for left in range(0, top + 1, _TILE):
                _tile(sums, floors, centred, out, shared, top, left)
    for i in range(n):
        out[i, i] = np.nan if np.isnan(scale[i]) else 1.0
        shared[i, i] = counts[i]
    _mirror(out)
    if not whole:
        _mirror(shared)


@_compile
def _whole(both, first, mean, scale, out):
    """The lower half, where nothing is missing."""
    for i in range(len(first)):
        for j in range(i):
            r = ((both[0, i, j] + both[1, i, j]) - first[i] * mean[j]) * (scale[i] * scale[j])
            out[i, j] = _clipped(r)


@_compile
def _tile(sums, floors, centred, out, shared, top, left):
    """The pairs of the lower half from row `top` and column `left` on."""
    both, own, alone, squares, lacks, counts = sums
    for i in range(top, min(top + _TILE, len(counts))):
        for j in range(left, min(left + _TILE, i)):
            count = counts[i] - lacks[i, j]
            product = both[0, i, j] + both[1, i, j]
            x = (own[0, i] - alone[0, i, j]) + (own[1, i] - alone[1, i, j])
            y = (own[0, j] - alone[0, j, i]) + (own[1, j] - alone[1, j, i])
            xx = (both[0, i, i] - squares[0, i, j]) + (both[1, i, i] - squares[1, i, j])
            yy = (both[0, j, j] - squares[0, j, i]) + (both[1, j, j] - squares[1, j, i])
            part = 1.0 / count if centred else 0.0
            product -= x * y * part
            xx -= x * x * part
            yy -= y * y * part
            varies = (xx > floors[i] * count) & (yy > floors[j] * count)
            out[i, j] = _clipped(product / np.sqrt(xx * yy)) if varies else np.nan
            shared[i, j] = count


@_inline
def _clipped(r):
    """Within -1 and 1; NaN stays."""
    return 1.0 if r > 1.0 else (-1.0 if r < -1.0 else r)


@_compile
def _mirror(square):
    """The upper half from the lower, tile by tile, as columns are far apart in memory."""
    n = len(square)
    for top in range(0, n, _TILE):
        for left in range(0, top + 1, _TILE):
            for i in range(top, min(top + _TILE, n)):
                for j in range(left, min(left + _TILE, i)):
                    square[j, i] = square[i, j]
