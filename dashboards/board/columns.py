"""Order book columns laid out as an image: rows of a fixed price grid, columns of a fixed time grid.

A cell that no book column tells of is NaN, whatever its neighbours hold: nothing is interpolated or carried over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

STEPS_S = (1, 10, 60)
ROWS_OFFERED = (1, 2, 4, 10)
COLUMNS_IN_VIEW = 600
TILE_COLUMNS = 64
GRID_ROWS = 1024
SPARE_ROWS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The book at one moment.

    `bid` and `ask` float32[bins] are sizes (base currency) from bin `base_bin` on, NaN where not known.
    """

    time_s: int
    bin_step: float
    base_bin: int
    bid: NDArray[np.float32]
    ask: NDArray[np.float32]
    best_bid: float
    best_ask: float
    imbalance: float
    received_ns: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of the image: row i holds the bins from (first_row + i) * bins_a_row on."""

    bin_step: float
    bins_a_row: int
    first_row: int
    rows: int

    @property
    def row_height(self) -> float:
        """Price range of a row (quote currency)."""
        return self.bin_step * self.bins_a_row

    @property
    def low(self) -> float:
        """Lower edge of the lowest row (quote currency)."""
        return self.first_row * self.row_height

    @property
    def high(self) -> float:
        """Upper edge of the highest row (quote currency)."""
        return self.low + self.rows * self.row_height

    def centres(self) -> NDArray[np.float64]:
        """Middle price of each row, float64[rows]."""
        return self.low + (np.arange(self.rows) + 0.5) * self.row_height

    def holds(self, column: Column, spare_rows: int = 8) -> bool:
        """Whether the column's best prices lie well inside."""
        spare = spare_rows * self.row_height
        return (
            column.bin_step == self.bin_step
            and self.low + spare <= column.best_bid
            and column.best_ask <= self.high - spare
        )


def grid_for(columns: Sequence[Column], bins_a_row: int) -> Grid:
    """A grid over all bins of `columns` of the newest bin width, at most GRID_ROWS rows around the newest price.

    Raises:
        ValueError: there are no columns.
    """
    if not columns:
        raise ValueError("a grid needs a column")
    newest = columns[-1]
    alike = [column for column in columns if column.bin_step == newest.bin_step]
    first = min(column.base_bin for column in alike) // bins_a_row - SPARE_ROWS
    end = max(column.base_bin + len(column.bid) for column in alike) // bins_a_row + SPARE_ROWS
    centre = int(newest.best_bid / newest.bin_step) // bins_a_row
    first = max(first, centre - GRID_ROWS // 2)
    end = min(end, centre + GRID_ROWS // 2)
    return Grid(newest.bin_step, bins_a_row, first, end - first)


def on_rows(column: Column, sizes: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """`sizes` (per bin of the column) summed by row, float32[grid.rows].

    A row is NaN as soon as one of its bins is not known, since then its sum is not either.
    """
    if column.bin_step != grid.bin_step:
        return np.full(grid.rows, np.nan, np.float32)
    bins = np.full(grid.rows * grid.bins_a_row, np.nan, np.float32)
    offset = column.base_bin - grid.first_row * grid.bins_a_row
    start, end = max(offset, 0), min(offset + len(sizes), len(bins))
    if start < end:
        bins[start:end] = sizes[start - offset : end - offset]
    return bins.reshape(grid.rows, grid.bins_a_row).sum(axis=1)


def resting(column: Column, grid: Grid) -> NDArray[np.float32]:
    """Bids and asks of the column by row, float32[grid.rows]."""
    return on_rows(column, column.bid + column.ask, grid)


def matrix(
    columns: Sequence[Column], grid: Grid, first_s: int, count: int, step_s: int
) -> NDArray[np.float32]:
    """Image float32[grid.rows, count] of the columns from `first_s` on, one each `step_s`; NaN without a column."""
    image = np.full((grid.rows, count), np.nan, np.float32)
    for column in columns:
        at = (column.time_s - first_s) // step_s
        if 0 <= at < count:
            image[:, at] = resting(column, grid)
    return image


def tile_start(time_s: int, step_s: int) -> int:
    """Start of the tile of TILE_COLUMNS columns that `time_s` falls into; tiles of a step never overlap."""
    return time_s - time_s % (step_s * TILE_COLUMNS)


def holes(times_s: Sequence[int], step_s: int) -> list[tuple[int, int]]:
    """[start, end) in seconds of every stretch between two columns that has none; `times_s` ascend."""
    return [(before + step_s, after) for before, after in pairwise(times_s) if after - before > step_s]


def finest_step(span_s: float) -> int:
    """The finest step with at most COLUMNS_IN_VIEW columns in `span_s`, else the coarsest there is."""
    return next((step for step in STEPS_S if span_s <= step * COLUMNS_IN_VIEW), STEPS_S[-1])


def row_for(price_range: float, bin_step: float, rows: int = 200) -> int:
    """The smallest offered grouping that shows `price_range` with at most `rows` rows, else the largest."""
    fits = (row for row in ROWS_OFFERED if price_range <= rows * row * bin_step)
    return next(fits, ROWS_OFFERED[-1])


def within(column: Column, bps: float) -> tuple[float, float]:
    """Size resting within `bps` of the mid (bid, ask; base currency); a side is NaN where a bin of it is not known.

    Of the bin at the far edge the part that lies inside counts.
    """
    middle = (column.best_bid + column.best_ask) / 2
    low, high = middle * (1 - bps / 1e4), middle * (1 + bps / 1e4)
    lower = column.bin_step * (column.base_bin + np.arange(len(column.bid)))
    upper = lower + column.bin_step
    if not len(lower):
        return float("nan"), float("nan")
    below = np.where(lower <= column.best_bid, np.clip((upper - low) / column.bin_step, 0, 1), 0)
    above = np.where(upper > column.best_ask, np.clip((high - lower) / column.bin_step, 0, 1), 0)
    bid = float(np.sum(column.bid[below > 0] * below[below > 0])) if low >= lower[0] else float("nan")
    ask = float(np.sum(column.ask[above > 0] * above[above > 0])) if high <= upper[-1] else float("nan")
    return bid, ask
