"""Spearman's rank correlation of every pair of series over the rows that both have; compiled.

Ranks are average ranks, kept doubled: whole numbers, whose sums of products are exact. Cost: n * n * w / 2 multiplied
and added for series without holes, some 5 ns a row and pair for the others.
"""

import numba as nb
import numpy as np
from numpy.typing import NDArray

_compile = nb.njit(cache=True, nogil=True, error_model="numpy")


def spearman(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank correlations, float64[n, n], of rows float64[w, n] (NaN: missing); NaN for what does not vary."""
    series = np.ascontiguousarray(rows.T)
    order = np.argsort(series, axis=1, kind="stable")  # NaN last
    counts = np.count_nonzero(~np.isnan(series), axis=1)
    whole = np.flatnonzero(counts == series.shape[1])
    out = np.full((len(series), len(series)), np.nan)
    if len(whole):
        out[np.ix_(whole, whole)] = _whole(series[whole], order[whole])
    _others(series, order, counts, out)
    return out


def _whole(series: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    ranks = np.empty(series.shape)
    _all_ranks(series, order, ranks)
    ranks -= series.shape[1] + 1  # the mean of doubled ranks
    products = ranks @ ranks.T
    spread = np.sqrt(np.diagonal(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.clip(products / spread / spread[:, None], -1.0, 1.0)
    return found


@_compile
def _all_ranks(series, order, ranks):
    shared = np.ones(series.shape[1], np.bool_)
    for i in range(len(series)):
        _rank(series[i], order[i], series.shape[1], shared, ranks[i])


@_compile
def _rank(values, order, count, shared, ranks):
    """Doubled average ranks of the shared values into `ranks`; `order` sorts the values, `count` of them known."""
    below, k = 0, 0
    while k < count:
        if not shared[order[k]]:
            k += 1
            continue
        first, value, alike = k, values[order[k]], 0
        while k < count and values[order[k]] == value:
            alike += shared[order[k]]
            k += 1
        for at in range(first, k):
            ranks[order[at]] = 2 * below + alike + 1
        below += alike


@_compile
def _others(series, order, counts, out):
    """The pairs of which one lacks rows, into both halves of `out`."""
    n, w = series.shape
    shared = np.empty(w, np.bool_)
    x, y = np.empty(w), np.empty(w)
    for i in range(n):
        for j in range(i + 1):
            if counts[i] == w and counts[j] == w:
                continue
            count = 0
            for t in range(w):
                shared[t] = not (np.isnan(series[i, t]) or np.isnan(series[j, t]))
                count += shared[t]
            _rank(series[i], order[i], counts[i], shared, x)
            _rank(series[j], order[j], counts[j], shared, y)
            xy = xx = yy = 0.0
            for t in range(w):
                if shared[t]:
                    a, b = x[t] - (count + 1), y[t] - (count + 1)
                    xy, xx, yy = xy + a * b, xx + a * a, yy + b * b
            r = xy / np.sqrt(xx * yy) if xx > 0 and yy > 0 else np.nan
            out[i, j] = out[j, i] = r
