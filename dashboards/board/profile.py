"""Volume by price: point of control, value area, and the bars of the profile column. Volumes are exact integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.board.columns import Grid

Lots = NDArray[np.int64]
SHARE_PERCENT = 70
FOOTPRINTS_S = (3600, 60, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Volume by bin: bin `first + i` of width `row_step` (quote currency) traded buy[i], sell[i], unknown[i] lots.

    `lot` is a lot in base currency.
    """

    row_step: float
    first: int
    lot: float
    buy: Lots
    sell: Lots
    unknown: Lots

    @property
    def volume(self) -> Lots:
        """All volume by bin, lots int64[n]."""
        return self.buy + self.sell + self.unknown

    @property
    def poc(self) -> float:
        """Lower edge of the bin with most volume (quote currency)."""
        return (self.first + point_of_control(self.volume)) * self.row_step

    @property
    def value_area(self) -> tuple[float, float]:
        """VAL and VAH: lower edge of its lowest bin, upper edge of its highest (quote currency)."""
        low, high = value_area(self.volume)
        return (self.first + low) * self.row_step, (self.first + high + 1) * self.row_step


def profile_of(row_step: float, decimals: int, rows: Lots, lots: Lots) -> Profile | None:
    """Profile of `lots` int64[n, 3] (buy, sell, unknown) in `rows` int64[n]; rows may repeat. None without volume."""
    if not len(rows) or not lots.any():
        return None
    first = int(rows.min())
    dense = np.zeros((int(rows.max()) - first + 1, 3), np.int64)
    np.add.at(dense, rows - first, lots)
    return Profile(row_step, first, 10.0**-decimals, *dense.T)


def point_of_control(volume: Lots) -> int:
    """Index of the largest; of equal ones the closest to the middle, then that of the side with more volume.

    If that does not tell either, the lower price.
    """
    tied = np.flatnonzero(volume == volume.max())
    off = np.abs(2 * tied - (len(volume) - 1))
    tied = tied[off == off.min()]
    if len(tied) == 1:
        return int(tied[0])
    half = len(volume) // 2
    return int(tied[1] if volume[-half:].sum() > volume[:half].sum() else tied[0])


def value_area(volume: Lots) -> tuple[int, int]:
    """First and last index of the value area: 70 % around the point of control, by the two-row rule.

    The larger of the next two rows above and the next two below is added, the upper on a tie, until it holds
    enough; rows without volume count as rows.
    """
    total = int(volume.sum())
    low = high = point_of_control(volume)
    held = int(volume[low])
    while 100 * held < SHARE_PERCENT * total:
        above, below = volume[high + 1 : high + 3], volume[max(low - 2, 0) : low]
        if len(above) and (not len(below) or above.sum() >= below.sum()):
            high += len(above)
            held += int(above.sum())
        else:
            low -= len(below)
            held += int(below.sum())
    return low, high


def segments(
    from_s: int, until_s: int, intervals: tuple[int, ...] = FOOTPRINTS_S
) -> list[tuple[int, int, int]]:
    """(interval, from, until) in seconds, which together cover [from, until) with the longest bars that fit.

    `intervals` descend. Both ends are moved inwards to a multiple of the shortest.
    """
    interval, finer = intervals[0], intervals[1:]
    start, end = -(-from_s // interval) * interval, until_s // interval * interval
    if start >= end:
        return segments(from_s, until_s, finer) if finer else []
    edges = [*segments(from_s, start, finer), *segments(end, until_s, finer)] if finer else []
    return [(interval, start, end), *edges]


def bars(profile: Profile, grid: Grid) -> dict[str, NDArray[np.floating]]:
    """The profile's rows on the grid: y (middle), sell and end of buy (0 to 1 of the longest), alpha.

    Volume whose aggressor nobody knows follows behind both. Rows outside the value area are dim.
    """
    share = profile.row_step / grid.row_height
    bins = profile.first + np.arange(len(profile.buy))
    row = np.floor((bins + 0.5) * share).astype(np.int64) - grid.first_row
    inside = (row >= 0) & (row < grid.rows)
    sums = np.zeros((grid.rows, 3))
    for at, lots in enumerate((profile.sell, profile.buy, profile.unknown)):
        np.add.at(sums[:, at], row[inside], lots[inside])
    used = np.flatnonzero(sums.sum(axis=1))
    ends = np.cumsum(sums[used], axis=1) / max(sums.sum(axis=1).max(), 1)
    centres = grid.centres()[used]
    low, high = profile.value_area
    return {
        "y": centres,
        "sell": ends[:, 0],
        "buy": ends[:, 1],
        "unknown": ends[:, 2],
        "alpha": np.where((centres > low) & (centres < high), 0.9, 0.4),
    }
