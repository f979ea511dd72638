"""The best levels of a book, as a venue tells of them that tells of no others. Pure."""

from bisect import bisect_left, insort
from typing import NamedTuple

from connectors.simulator import market as m
from connectors.simulator.half import State

Levels = list[tuple[int, int]]  # tick and lots


class Moved(NamedTuple):
    """What a step changed among the best levels: new sizes, 0 of a level that is gone, as (bids, asks).

    `fallen` still rest, but no longer among the best: some venues say 0 of them, some say nothing.
    """

    bids: Levels
    asks: Levels
    fallen_bids: Levels
    fallen_asks: Levels


class Best:
    """The best `depth` levels a side of one book. It `begin`s with a state, and is moved by every Depth after it."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._sides = (_Side(-1, depth), _Side(1, depth))

    def begin(self, state: State) -> None:
        """Start anew from a whole book."""
        for side, levels in zip(self._sides, (state.bids, state.asks), strict=True):
            side.begin(levels)

    @property
    def bids(self) -> Levels:
        """Best first, as are the asks."""
        return list(self._sides[0].told.items())

    @property
    def asks(self) -> Levels:
        """Best first."""
        return list(self._sides[1].told.items())

    def move(self, event: m.Depth) -> Moved | None:
        """What a client must be told; None if nothing among the best has changed."""
        bids, fallen_bids = self._sides[0].move(event.bids)
        asks, fallen_asks = self._sides[1].move(event.asks)
        moved = Moved(bids, asks, fallen_bids, fallen_asks)
        return moved if any(moved) else None


class _Side:
    """One side: all its levels, and the best as told, best first."""

    def __init__(self, sign: int, depth: int) -> None:
        self._sign, self._depth = sign, depth
        self._levels: dict[int, int] = {}
        self._order: list[int] = []  # ticks times the sign, best first
        self.told: dict[int, int] = {}

    def begin(self, levels: dict[int, int]) -> None:
        self._levels = dict(levels)
        self._order = sorted(tick * self._sign for tick in levels)
        self.told = self._best()

    def move(self, changes: Levels) -> tuple[Levels, Levels]:
        for tick, lots in changes:
            self._set(tick, lots)
        before, self.told = self.told, self._best()
        moved = [(tick, lots) for tick, lots in self.told.items() if before.get(tick) != lots]
        out = [tick for tick in before if tick not in self.told]
        moved += [(tick, 0) for tick in out if tick not in self._levels]
        return moved, [(tick, 0) for tick in out if tick in self._levels]

    def _set(self, tick: int, lots: int) -> None:
        there, key = tick in self._levels, tick * self._sign
        if lots:
            self._levels[tick] = lots
            if not there:
                insort(self._order, key)
        elif there:
            del self._levels[tick]
            del self._order[bisect_left(self._order, key)]

    def _best(self) -> dict[int, int]:
        ticks = [key * self._sign for key in self._order[: self._depth]]
        return {tick: self._levels[tick] for tick in ticks}
