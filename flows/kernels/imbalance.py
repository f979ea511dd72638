"""Imbalances of a footprint: aggressive volume of one side against that of the other one row across the diagonal."""

import numpy as np
from numpy.typing import NDArray

RATIO_PERCENT = 300
STACKED_ROWS_MIN = 3


def diagonal(
    buy: NDArray[np.int64],
    sell: NDArray[np.int64],
    ratio_percent: int = RATIO_PERCENT,
    *,
    min_lots: int = 0,
    zero_as_one: bool = False,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows with a buy imbalance and with a sell imbalance, bool[rows] each.

    `buy`, `sell` int64[rows] (lots), by ascending price without a row left out. A row's buying is compared with the
    selling one row below, its selling with the buying one row above; beyond the first and the last row there is none.
    Of the side that stands out at least `min_lots`. Where the opposite side is zero there is no imbalance, or, with
    `zero_as_one`, it counts as one lot. Below 2**63 / max(100, ratio_percent) lots the comparison is exact.
    """
    below, above = np.zeros_like(sell), np.zeros_like(buy)
    below[1:], above[:-1] = sell[:-1], buy[1:]
    return (
        _outweighs(buy, below, ratio_percent, min_lots, zero_as_one),
        _outweighs(sell, above, ratio_percent, min_lots, zero_as_one),
    )


def _outweighs(
    lots: NDArray[np.int64],
    opposite: NDArray[np.int64],
    ratio_percent: int,
    min_lots: int,
    zero_as_one: bool,
) -> NDArray[np.bool_]:
    against = np.maximum(opposite, 1) if zero_as_one else opposite
    found: NDArray[np.bool_] = (
        (lots > 0) & (lots >= min_lots) & (against > 0) & (lots * 100 >= against * ratio_percent)
    )
    return found


def stacked(imbalanced: NDArray[np.bool_], rows_min: int = STACKED_ROWS_MIN) -> NDArray[np.int64]:
    """First and last row of each run of at least `rows_min` imbalanced rows, int64[runs, 2]."""
    edges = np.flatnonzero(np.diff(imbalanced, prepend=False, append=False))
    first, last = edges[::2], edges[1::2] - 1
    long = last - first >= rows_min - 1
    return np.stack((first[long], last[long]), axis=1)
