"""Absorption: aggression that met size and did not move the price.

Of the aggression of the last WINDOW_S into one side of a book more went into one bin than into any other. That is
absorbed where

* it is more than went into the foremost bin in QUANTILE of the windows before: of those of the side that had trades,
  the last HISTORY_MAX, at least HISTORY_MIN;
* neither a trade of the window nor the best price is more than one tick beyond the bin;
* the bin holds half of what it held before its first trade of the window, or more.

A bin is told of once in WINDOW_S. All is of the past only: one window for each second with a column.
"""

import math
from bisect import bisect_left, insort
from typing import Any, NamedTuple

import numpy as np

from flows.kernels import wall_bins as w
from flows.kernels.rollup import Column
from flows.kernels.snapshot import Int64s

WINDOW_S = 5
HISTORY_MIN, HISTORY_MAX = 120, 900
QUANTILE = 0.975


class Absorbed(NamedTuple):
    """What a bin of a side took; in lots."""

    side: int
    price_row: int
    lots: int
    before: int
    after: int


class Absorption:
    """The aggression into both sides (0: bids are hit, 1: asks are lifted) of a book."""

    def __init__(self) -> None:
        self._hits: Int64s = np.empty((0, w.HIT), np.int64)  # of the window
        self._history: list[list[int]] = [[], []]  # by side, oldest first
        self._ordered: list[list[int]] = [[], []]
        self._told: list[list[int]] = [[0, -1], [0, -1]]  # by side: bin, until which second

    def judge(self, column: Column, bin_ticks: int, second: int, hits: Int64s) -> list[Absorbed]:
        """Take the hits of a second (`wall_bins.meet`) and its column; what was absorbed."""
        if len(hits):
            self._hits = np.concatenate([self._hits, hits])
        if not len(self._hits):
            return []
        if self._hits.item(0, w.WHEN) <= second - WINDOW_S:
            self._hits = self._hits[self._hits[:, w.WHEN] > second - WINDOW_S]
        found = []
        for side in (0, 1):
            row, lots, before, farthest = w.foremost(self._hits, side)
            if not lots or not self._is_unusual(side, lots):
                continue
            at = row - column.first
            after = column.bins.item(side, at) if 0 <= at < column.bins.shape[1] else -1
            held = before > 0 and 2 * after >= before and _beyond(column, bin_ticks, side, row, farthest) <= 1
            if held and (self._told[side][0] != row or second >= self._told[side][1]):
                self._told[side] = [row, second + WINDOW_S]
                found.append(Absorbed(side, row, lots, before, after))
        return found

    def clear(self) -> None:
        """The book is void; what is usual stays known."""
        self._hits = self._hits[:0]

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Take finer ticks and lots."""
        self._hits[:, w.FARTHEST] *= price_factor
        self._hits[:, w.LOTS] *= size_factor
        self._hits[:, w.RESTED] *= np.where(self._hits[:, w.RESTED] > 0, size_factor, 1)
        self._history, self._ordered = (
            [[x * size_factor for x in side] for side in both] for both in (self._history, self._ordered)
        )

    def _is_unusual(self, side: int, lots: int) -> bool:
        """Whether QUANTILE of the windows before had less; this one is of the past from now on."""
        history, ordered = self._history[side], self._ordered[side]
        n = len(history)
        unusual = n >= HISTORY_MIN and bisect_left(ordered, lots) >= math.ceil(QUANTILE * n)
        history.append(lots)
        insort(ordered, lots)
        if n == HISTORY_MAX:
            ordered.pop(bisect_left(ordered, history.pop(0)))
        return unusual

    def dump(self) -> list[Any]:
        """All state as msgpack-able values."""
        return [self._hits.tobytes(), self._history, self._told]

    @classmethod
    def load(cls, state: list[Any]) -> "Absorption":
        """What `dump` described."""
        self = cls()
        hits, self._history, self._told = state
        self._hits = np.frombuffer(hits, np.int64).reshape(-1, w.HIT).copy()
        self._ordered = [sorted(side) for side in self._history]
        return self


def _beyond(column: Column, bin_ticks: int, side: int, row: int, farthest: int) -> int:
    """How many ticks beyond the bin the farthest trade or the best price is."""
    if side:
        return max(column.ask, farthest) - ((row + 1) * bin_ticks - 1)
    return row * bin_ticks - min(column.bid, farthest)
