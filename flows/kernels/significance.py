"""How sure a correlation is: interval, p-value, and which of many hold after Benjamini and Hochberg.

Definitions, section 4: z = atanh(r) is taken as normal with standard error 1 / sqrt(n - 3) (Fisher), for Spearman's
1.06 / sqrt(n - 3) (Fieller, Hartley, Pearson 1957). Of exponential weights n is the effective number, below. Two-sided.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ATANH_MAX = 1 - 1e-12  # a correlation of 1 has no finite z
SPEARMAN_ERROR = 1.06
SURE = 1.959963984540054  # standard errors to each side: 95 %


def interval(r: Floats, n: Floats, error: float = 1.0) -> tuple[Floats, Floats]:
    """Lower and upper end of the 95 % interval of each correlation over n observations; NaN for n <= 3."""
    z, se = _z(r), _standard_error(n, error)
    return np.tanh(z - SURE * se), np.tanh(z + SURE * se)


def p_value(r: Floats, n: Floats, error: float = 1.0) -> Floats:
    """Chance of a correlation so far from 0 if there were none; NaN for n <= 3."""
    found: Floats = _erfc(np.abs(_z(r)) / _standard_error(n, error) / math.sqrt(2.0))
    return found


def significant(p: Floats, rate: float = 0.05) -> NDArray[np.bool_]:
    """Which hold if of those that hold `rate` may be false (Benjamini and Hochberg 1995); NaN never holds.

    p: float64[n, n], symmetric; each pair is one test.
    """
    below = np.tril_indices(len(p), -1)
    tested = p[below]
    tested = np.sort(tested[~np.isnan(tested)])
    passes = np.flatnonzero(tested <= rate * np.arange(1, len(tested) + 1) / max(len(tested), 1))
    limit = tested[passes[-1]] if len(passes) else -1.0
    with np.errstate(invalid="ignore"):
        return p <= limit


def effective_n(weights: Floats) -> float:
    """Observations that equal weights would need to be as sure: sum(w) ** 2 / sum(w ** 2) (Kish)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _z(r: Floats) -> Floats:
    found: Floats = np.arctanh(np.clip(r, -ATANH_MAX, ATANH_MAX))
    return found


def _standard_error(n: Floats, error: float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(n > 3, error / np.sqrt(n - 3.0), np.nan)
    return found


_erfc = np.vectorize(math.erfc, otypes=[float])
