"""What traded minute by minute, and the sums of many minutes, from which one can be taken away again."""

import math
from typing import Any, NamedTuple

import numpy as np

from flows.kernels import tally
from flows.kernels.gaps import BEGINNING_NS
from flows.kernels.traded import Int64s, Traded

MINUTE_NS = 60 * 10**9
MINUTES_KEPT = 1442  # of 24 hours, and those that late prints may still come to


class Minute(NamedTuple):
    """What traded in a minute, as `dump` takes it.

    `packed` is int64[2, rows], rows and their lots; `sums` are of size * price and size * price ** 2, as texts: they
    may have more than 64 bits.
    """

    open_ns: int
    packed: bytes
    sides: tuple[int, int, int]
    sums: tuple[str, str]
    high: int
    low: int

    @classmethod
    def of(cls, open_ns: int, traded: Traded) -> "Minute":
        """A closed minute, or late prints of one."""
        packed = np.stack((traded.rows, traded.lots.sum(axis=0))).tobytes()
        buy, sell, unknown = traded.lots.sum(axis=1).tolist()
        sums = str(traded.product), str(traded.squares)
        return cls(open_ns, packed, (buy, sell, unknown), sums, traded.high, traded.low)

    def rows(self) -> Int64s:
        """Rows and their lots, int64[2, rows]."""
        return np.frombuffer(self.packed, np.int64).reshape(2, -1)

    def rescaled(self, by_price: int, by_size: int) -> "Minute":
        """The same in ticks and lots that are finer by these factors."""
        rows, lots = self.rows()
        packed = np.stack((rows, lots * by_size)).tobytes()
        buy, sell, unknown = (x * by_size for x in self.sides)
        product, squares = (int(x) * by_price**power * by_size for power, x in enumerate(self.sums, 1))
        sums = str(product), str(squares)
        return Minute(
            self.open_ns, packed, (buy, sell, unknown), sums, self.high * by_price, self.low * by_price
        )


class Minutes:
    """The minutes of the last 24 hours, of which late prints may still correct some."""

    def __init__(self) -> None:
        self._ring: list[list[Minute]] = [[] for _ in range(MINUTES_KEPT)]  # a minute, and late prints of it
        self._opens = np.full(MINUTES_KEPT, BEGINNING_NS, np.int64)
        self._high = np.zeros(MINUTES_KEPT, np.int64)
        self._low = np.zeros(MINUTES_KEPT, np.int64)

    def add(self, minute: Minute) -> None:
        """Keep a minute, or late prints of one."""
        at = minute.open_ns // MINUTE_NS % MINUTES_KEPT
        if self._opens[at] != minute.open_ns:
            self._opens[at], self._high[at], self._low[at] = minute.open_ns, minute.high, minute.low
            self._ring[at] = []
        self._ring[at].append(minute)
        self._high[at] = max(self._high[at], minute.high)
        self._low[at] = min(self._low[at], minute.low)

    def between(self, from_ns: int, to_ns: int) -> list[Minute]:
        """What is kept of the minutes that open from `from_ns` to before `to_ns`."""
        if to_ns - from_ns <= 2 * MINUTE_NS:
            slots = range(from_ns // MINUTE_NS, to_ns // MINUTE_NS)
            found = [x % MINUTES_KEPT for x in slots if self._opens[x % MINUTES_KEPT] == x * MINUTE_NS]
        else:
            found = np.flatnonzero((self._opens >= from_ns) & (self._opens < to_ns)).tolist()
        return [minute for at in found for minute in self._ring[at]]

    def reach(self, from_ns: int, minute: Minute) -> tuple[int, int]:
        """The highest and the lowest price from `from_ns` on, with one minute more."""
        found = self._opens >= from_ns
        high = np.max(self._high, where=found, initial=minute.high)
        return int(high), int(np.min(self._low, where=found, initial=minute.low))

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        self._ring = [[x.rescaled(by_price, by_size) for x in found] for found in self._ring]
        self._high *= by_price
        self._low *= by_price

    def dump(self) -> Any:
        """All state."""
        return [minute for found in self._ring for minute in found]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        for open_ns, packed, sides, sums, high, low in state:
            self.add(Minute(open_ns, packed, tuple(sides), tuple(sums), high, low))


class Volumes:
    """The sum of minutes: a dense profile, lots by row, and what else adds up."""

    def __init__(self) -> None:
        self.base = 0
        self.dense: Int64s = np.zeros(0, np.int64)
        self.sides = [0, 0, 0]
        self.product = self.squares = 0

    def add(self, minute: Minute, first: int, last: int) -> None:
        """Add a minute; with it all volume is in the rows `first` to `last`."""
        rows, lots = minute.rows()
        self._reach(first, last)
        tally.add_rows(self.dense, self.base, rows, lots, 1)
        self._count(minute, 1)

    def subtract(self, minute: Minute) -> None:
        """Take away a minute that was added."""
        rows, lots = minute.rows()
        tally.add_rows(self.dense, self.base, rows, lots, -1)
        self._count(minute, -1)

    def within(self, first: int, last: int) -> Int64s:
        """Lots of the rows `first` to `last`, which hold all."""
        return self.dense[first - self.base : last + 1 - self.base]

    def vwap(self, unit: int) -> tuple[float, float]:
        """Mean and standard deviation of prices (`unit` ticks are 1), weighted by size."""
        lots = sum(self.sides)
        spread = max(self.squares * lots - self.product**2, 0)
        return self.product / (lots * unit), math.sqrt(spread / (lots * unit) ** 2)

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        self.dense *= by_size
        self.sides = [x * by_size for x in self.sides]
        self.product *= by_price * by_size
        self.squares *= by_price**2 * by_size

    def _count(self, minute: Minute, sign: int) -> None:
        self.sides = [x + sign * y for x, y in zip(self.sides, minute.sides, strict=True)]
        product, squares = minute.sums
        self.product += sign * int(product)
        self.squares += sign * int(squares)

    def _reach(self, first: int, last: int) -> None:
        """Make room for the rows, and some more on both sides."""
        if first >= self.base and last < self.base + len(self.dense):
            return
        room = (last - first + 1) // 2 + 16
        dense = np.zeros(last - first + 1 + 2 * room, np.int64)
        kept = np.flatnonzero(self.dense)
        dense[kept + self.base - first + room] = self.dense[kept]
        self.base, self.dense = first - room, dense

    def dump(self) -> Any:
        """All state."""
        kept = np.flatnonzero(self.dense)
        sums = str(self.product), str(self.squares)
        return self.base, len(self.dense), kept.tobytes(), self.dense[kept].tobytes(), self.sides, sums

    @classmethod
    def load(cls, state: Any) -> "Volumes":
        """What `dump` gave."""
        self = cls()
        self.base, length, kept, lots, self.sides, (product, squares) = state
        self.dense = np.zeros(length, np.int64)
        self.dense[np.frombuffer(kept, np.int64)] = np.frombuffer(lots, np.int64)
        self.product, self.squares = int(product), int(squares)
        return self
