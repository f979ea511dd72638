"""Volume profiles: point of control, value area, nodes, half hours, volume-weighted mean. Exact in integers.

A profile is an int64 array: the volume (lots) or the count of each price row, from the lowest row that traded to the
highest, rows without trades between them included. Rows are told by their index in it. The loops are compiled; a
profile of 3,000 rows takes 0.4 ms for all that is here.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Volumes = NDArray[np.int64]

TWO_ROW, SINGLE_ROW = 2, 1  # rows that a value area takes at a time
PERCENT = 70
NODE_PERCENT = 15  # of the maximum: least prominence of a node
NODE_ROWS_MIN = 2
NOTHING = -1
BRACKET_NS = 1800 * 10**9  # of market profiles: half an hour from the session's open
BINOMIAL = np.array([1, 4, 6, 4, 1], np.int64)
WEIGHT, MEAN, SQUARES = range(3)


@njit(cache=True)
def point_of_control(volumes: Volumes) -> int:
    """The row with most volume, NOTHING if there is none.

    Of several the one closest to the middle of the profile; of two equally close the one on the side of the middle
    that has more volume; else the lower one.
    """
    n = len(volumes)
    best = NOTHING
    for i in range(n):
        if volumes[i] <= 0 or (best >= 0 and volumes[i] < volumes[best]):
            continue
        if (
            best < 0
            or volumes[i] > volumes[best]
            or abs(2 * i - n + 1) < abs(2 * best - n + 1)
            or (
                abs(2 * i - n + 1) == abs(2 * best - n + 1)
                and volumes[(n + 1) // 2 :].sum() > volumes[: n // 2].sum()
            )
        ):
            best = i
    return best


@njit(cache=True)
def developing_point_of_control(volumes: Volumes, previous: int) -> int:
    """The row with most volume while the profile grows: a tie does not move it from the row `previous`."""
    if 0 <= previous < len(volumes) and volumes[previous] > 0 and volumes[previous] == volumes.max():
        return previous
    return int(point_of_control(volumes))


@njit(cache=True)
def value_area(volumes: Volumes, percent: int = PERCENT, rule: int = TWO_ROW) -> tuple[int, int]:
    """The lowest and the highest row around the point of control that hold `percent` of all; NOTHING twice of none.

    TWO_ROW compares the next two rows above with the next two below and takes the larger pair, SINGLE_ROW does so with
    one row; of equal ones that above. A pair at an edge may be one row; where a side has ended, the other is taken.
    """
    low = high = point_of_control(volumes)
    if low < 0:
        return NOTHING, NOTHING
    n, total, held = len(volumes), volumes.sum(), volumes[low]
    while 100 * held < percent * total:
        above = volumes[high + 1 : high + 1 + rule].sum()
        below = volumes[max(low - rule, 0) : low].sum()
        if high < n - 1 and (above >= below or low == 0):
            high = min(high + rule, n - 1)
            held += above
        else:
            low = max(low - rule, 0)
            held += below
    return low, high


def nodes(
    volumes: Volumes, *, smooth: bool = True, percent: int = NODE_PERCENT, rows_min: int = NODE_ROWS_MIN
) -> tuple[Volumes, Volumes]:
    """Rows of the high volume nodes and of the low volume nodes, both ascending.

    A high node is a local maximum of the profile smoothed 1-4-6-4-1 (there is no volume beyond its ends) that stands
    out by `percent` of the maximum, in at least `rows_min` rows above the level that it stands out from. A low node is
    a local minimum between two high ones that is as prominent. Of a plateau the middle, the lower of two.

    Without `smooth` the profile is taken as it is; its first and last row are then no nodes.
    """
    if len(volumes) == 0 or int(volumes.max()) <= 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, margin = (np.convolve(volumes, BINOMIAL), 2) if smooth else (volumes, 0)
    need = -(-int(values.max()) * percent // 100)
    high: Volumes = _peaks(values, need, rows_min)
    low: Volumes = _peaks(-values, need, 1)
    low = low[(low > high[0]) & (low < high[-1])] if len(high) else low[:0]
    return high - margin, low - margin


@njit(cache=True)
def _peaks(values: Volumes, need: int, rows_min: int) -> Volumes:
    """Local maxima of at least that prominence and width; neither end of the array is one."""
    found = np.empty(len(values) // 2 + 1, np.int64)
    count, i, last = 0, 1, len(values) - 1
    while i < last:
        end = i
        while end < last and values[end + 1] == values[i]:
            end += 1
        if end < last and values[i - 1] < values[i] > values[end + 1]:
            base = max(_foot(values, i, -1), _foot(values, end, 1))
            if values[i] - base >= need and _rows_above(values, i, base) >= rows_min:
                found[count] = (i + end) // 2
                count += 1
        i = end + 1
    return found[:count]


@njit(cache=True)
def _foot(values: Volumes, at: int, step: int) -> Any:
    """The lowest value between a peak and the next higher one, or the end, in that direction."""
    height, lowest, i = values[at], values[at], at
    while 0 <= i < len(values) and values[i] <= height:
        lowest = min(lowest, values[i])
        i += step
    return lowest


@njit(cache=True)
def _rows_above(values: Volumes, at: int, base: int) -> int:
    first = last = at
    while first > 0 and values[first - 1] > base:
        first -= 1
    while last < len(values) - 1 and values[last + 1] > base:
        last += 1
    return last - first + 1


def tpo_counts(lows: Volumes, highs: Volumes, first: int, rows: int) -> Volumes:
    """How many brackets cover each of `rows` rows from row `first` on, int64[rows].

    `lows`, `highs` int64[brackets]: the lowest and the highest row that each bracket traded at, all within the rows.
    Their order does not matter.
    """
    steps = np.zeros(rows + 1, np.int64)
    np.add.at(steps, lows - first, 1)
    np.subtract.at(steps, highs - first + 1, 1)
    return np.cumsum(steps[:-1])


def single_prints(counts: Volumes) -> Volumes:
    """Rows with exactly one bracket, first and last row left out."""
    return np.flatnonzero(counts[1:-1] == 1) + 1


def naked(points: Volumes, low: int, high: int) -> NDArray[np.bool_]:
    """Which of the points of control (rows) of past sessions are outside of the rows traded since, `low` to `high`."""
    return (points < low) | (points > high)


def moments() -> NDArray[np.float64]:
    """Of no trades: weight, mean and sum of squared deviations, float64[3]."""
    return np.zeros(3)


@njit(cache=True)
def add_weighted(state: Any, prices: Volumes, lots: Volumes) -> None:
    """Add prices, weighted by lots, to `state`, one after the other: how they are grouped into calls changes nothing.

    West's method: the mean of squares less the square of the mean would lose all digits.
    """
    for i in range(len(prices)):
        if lots[i] > 0:
            state[WEIGHT] += lots[i]
            away = prices[i] - state[MEAN]
            step = away * lots[i] / state[WEIGHT]
            state[MEAN] += step
            state[SQUARES] += lots[i] * away * (away - step)


@njit(cache=True)
def merged(states: Any) -> Any:
    """The moments of several parts, float64[parts, 3], taken together in their order (Chan's formula)."""
    found = np.zeros(3)
    for i in range(len(states)):
        weight = found[WEIGHT] + states[i, WEIGHT]
        if states[i, WEIGHT] > 0:
            away = states[i, MEAN] - found[MEAN]
            share = states[i, WEIGHT] / weight
            found[SQUARES] += states[i, SQUARES] + away * away * found[WEIGHT] * share
            found[MEAN] += away * share
            found[WEIGHT] = weight
    return found


def vwap(state: NDArray[np.float64]) -> tuple[float, float]:
    """The volume-weighted mean and standard deviation of prices (ticks); NaN twice of no trades.

    Bands are the mean plus and minus multiples of the deviation.
    """
    if state[WEIGHT] <= 0:
        return math.nan, math.nan
    return float(state[MEAN]), math.sqrt(max(float(state[SQUARES]) / float(state[WEIGHT]), 0.0))
