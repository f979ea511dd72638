"""Levels from the book: walls, pulls, suspected icebergs, absorption, as rows of `walls` and `liquidity_events`.

All is of one book and of the past only, judged at the close of each second that has a column (`flows.kernels.depth`);
seconds without one (a hole, a crossed book) leave everything as it was. Bins are those of the column. Inferred from
price levels and trades, not observed order by order: nothing here says what somebody meant.

* *Weighted size* of a bin: W <- W * exp(-1 s / TAU_S) + q * (1 - exp(-1 s / TAU_S)), as if the size q at the second's
  end had stood for the second, and the first one known for ever. The *threshold* of a distance band
  (`wall_bins.EDGES`, bins from the mid, each side by itself) is FACTOR times the median W of its bins that hold
  something now: empty bins do not count, or in a sparse book any order would stand out. Fewer than HELD_MIN such bins
  give no threshold.
* A bin *stands out* from the second in which its size is over the threshold until it is at half of it or less (without
  a threshold: at 0). It is a *wall* once it has stood out for AGE_S and its weighted size is over the threshold; at
  most WALLS_MAX a side, the first ones. Rows: when it is known to be one, each ROW_S, at its end.
* Of a bin that stands out, in each second: traded as the ledger has it (`flows.kernels.ledger`), added = max(0, dq +
  traded), pulled = max(0, -(dq + traded)): what came and went within the second cancels out, so they are the least.
  Its end is `pulled` or `traded` if two thirds of what it lost since it was largest went so, else `mixed`; `left`: the
  column no longer holds or knows the bin; `gap`: the book is void.
* `pull`: a bin that has stood out for PULL_AGE_S (what is quoted anew each second is no loss), within PULL_BPS of the
  mid, loses three quarters or more in one second, two thirds of that or more by cancelling: size / (size + traded).
* `refill`, a suspected iceberg: at the best price of a side size has come within 500 ms of a fill REFILLS_MIN times or
  more, and more traded there than was shown when that began; at the end of the second it is the best price still.
* `absorption`: see `flows.kernels.absorption`.

Cost: 75 us a second and book that has 60 walls, a third of it the medians, a third the rows.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flows.kernels import ledger
from flows.kernels import wall_bins as w
from flows.kernels.absorption import Absorption
from flows.kernels.order_book import COLUMN_BINS
from flows.kernels.rollup import Column
from flows.kernels.snapshot import Int64s

TAU_S = 30.0
FACTOR = 5.0
HELD_MIN = 8
AGE_S = 30
WALLS_MAX = 50
ROW_S = 10
PULL_BPS = 25
PULL_AGE_S = 10
REFILLS_MIN = 3

COLUMNS = {
    "walls": (
        "instrument", "venue", "side", "price_row", "from_ns", "bin_step", "known_ns", "time_ns", "size",
        "weighted_size", "peak_size", "threshold", "tau_s", "traded", "added", "pulled", "refills", "ended",
        "received_ns", "version",
    ),
    "liquidity_events": (
        "instrument", "venue", "time_ns", "kind", "side", "price", "size", "before", "after", "traded", "count",
        "age_s", "received_ns", "version",
    ),
}  # fmt: skip

_NS = 1_000_000_000
_DECAY = math.exp(-1 / TAU_S)
_SIDES = ("bid", "ask")
_ENDED = {
    w.BEGAN: "", w.ENDED_PULLED: "pulled", w.ENDED_TRADED: "traded", w.ENDED_MIXED: "mixed", w.ENDED_LEFT: "left",
}  # fmt: skip
_REFILL = ledger.REFILLED, ledger.BEFORE, ledger.SHOWN, ledger.EXECUTED
_LOTS = [w.SIZE, w.PEAK, w.TRADED, w.ADDED, w.PULLED, w.LOST_TRADED, w.LOST_PULLED]

Row = tuple[str, tuple[Any, ...]]  # table, and values in the order of its COLUMNS
Rows = list[Row]


class Of(NamedTuple):
    """What rows of a book share."""

    instrument: str
    venue: str
    bin_step: float
    received_ns: int  # of the book's newest message
    version: int


class Walls:
    """The walls of one book, and what else its levels tell. Finer ticks and lots are followed."""

    def __init__(self) -> None:
        self._first = 0  # bin of the arrays' first
        self._middle = 0  # that of the mid, from there
        self._bin_ticks = 1
        self._decimals = 0, 0  # of prices and sizes
        self._weighted: NDArray[np.float64] = np.full((2, COLUMN_BINS), np.nan)  # lots
        self._levels: NDArray[np.float64] = np.full((2, w.BANDS), np.inf)  # thresholds, lots
        self._state = _nothing()
        self._absorption = Absorption()

    def second(self, column: Column, bin_ticks: int, second: int, told: Int64s, of: Of) -> Rows:
        """The rows of a second whose column and ledger (`OrderBook.close_ledger`) these are."""
        self._rescale(column.price_decimals, column.size_decimals)
        self._bin_ticks = bin_ticks
        rows = self._move(column.first, second, of)
        self._middle = (column.bid + column.ask) // (2 * bin_ticks) - self._first
        met = np.zeros((2, 2, COLUMN_BINS), np.int64)
        hits = w.meet(told, self._first, bin_ticks, second, self._state, met)
        w.weigh(self._weighted, column.bins, _DECAY)
        self._levels = w.thresholds(self._weighted, column.bins, self._middle, FACTOR, HELD_MIN)
        pull_bins = (column.bid + column.ask) * PULL_BPS // (20_000 * bin_ticks)
        found = w.judge(
            self._state, self._weighted, column.bins, met, self._levels, self._middle, second, AGE_S, WALLS_MAX,
            pull_bins, PULL_AGE_S,
        )  # fmt: skip
        rows += self._told(found.tolist(), second, of)
        if len(told):
            rows += self._refills(told, second, of)
        return rows + self._absorbed(column, second, hits, of)

    def clear(self, end_s: int, of: Of) -> Rows:
        """The book is void; its seconds up to `end_s` are told."""
        rows = self._standing("gap", end_s, of)
        self._weighted.fill(np.nan)
        self._state = _nothing()
        self._absorption.clear()
        return rows

    # Walls.

    def _move(self, first: int, second: int, of: Of) -> Rows:
        """Follow the column's range; what it leaves behind ends."""
        shift = first - self._first
        if not shift:
            return []
        kept, held = (slice(max(x, 0), max(COLUMN_BINS + min(x, 0), 0)) for x in (shift, -shift))
        state, weighted = _nothing(), np.full((2, COLUMN_BINS), np.nan)
        state[..., held], weighted[..., held] = self._state[..., kept], self._weighted[..., kept]
        self._state[w.KNOWN, :, kept] = -1
        rows = self._standing("left", second, of)
        self._state, self._weighted, self._first = state, weighted, first
        return rows

    def _told(self, found: list[list[int]], second: int, of: Of) -> Rows:
        """Rows of what happened, and each ROW_S of the other walls."""
        rows: Rows = []
        began = set()
        for what, side, i, *rest in found:
            state = rest[w.STATE - w.BEFORE :]
            if what == w.PULL:
                lots = rest[1], rest[0], state[w.SIZE], rest[2]
                age_s = float(second - state[w.SINCE])
                rows.append(
                    self._event("pull", side, self._price(self._first + i), lots, 0, age_s, second, of)
                )
                continue
            if what == w.BEGAN:
                began.add((side, i))
            rows.append(self._wall(side, i, state, _ENDED[what], second + 1, of))
        if (second + 1) % ROW_S == 0:
            rows += self._standing("", second + 1, of, began)
        return rows

    def _standing(self, ended: str, end_s: int, of: Of, told: Collection[tuple[int, int]] = ()) -> Rows:
        """A row of each wall but those told."""
        return [
            self._wall(side, i, self._state[:, side, i].tolist(), ended, end_s, of)
            for side, i in np.argwhere(self._state[w.KNOWN] >= 0).tolist()
            if (side, i) not in told
        ]

    def _wall(self, side: int, i: int, state: list[int], ended: str, end_s: int, of: Of) -> Row:
        unit = 10 ** self._decimals[1]
        level = self._levels.item(side, w.band(abs(i - self._middle)))
        return "walls", (
            of.instrument, of.venue, _SIDES[side], self._first + i, state[w.SINCE] * _NS, of.bin_step,
            (state[w.KNOWN] + 1) * _NS, end_s * _NS, state[w.SIZE] / unit, self._weighted.item(side, i) / unit,
            state[w.PEAK] / unit, level / unit if level < math.inf else math.nan, TAU_S, state[w.TRADED] / unit,
            state[w.ADDED] / unit, state[w.PULLED] / unit, state[w.REFILLS], ended, of.received_ns, of.version,
        )  # fmt: skip

    # What trades tell.

    def _refills(self, told: Int64s, second: int, of: Of) -> Rows:
        rows: Rows = []
        if told[:, ledger.REFILLS].max() < REFILLS_MIN:
            return rows
        for entry in told[told[:, ledger.REFILLS] >= REFILLS_MIN].tolist():
            most_shown = max(entry[ledger.BEFORE], entry[ledger.SHOWN])
            if entry[ledger.NEW_REFILLS] and entry[ledger.EXECUTED] > most_shown:
                tick, side = entry[ledger.KEY] >> 1, entry[ledger.KEY] & 1
                price, count = tick / 10 ** self._decimals[0], entry[ledger.REFILLS]
                lots = tuple(entry[x] for x in _REFILL)
                rows.append(self._event("refill", side, price, lots, count, math.nan, second, of))
        return rows

    def _absorbed(self, column: Column, second: int, hits: Int64s, of: Of) -> Rows:
        rows: Rows = []
        for side, price_row, lots, before, after in self._absorption.judge(
            column, self._bin_ticks, second, hits
        ):
            told = lots, before, after, lots
            rows.append(
                self._event("absorption", side, self._price(price_row), told, 0, math.nan, second, of)
            )
        return rows

    def _event(
        self, kind: str, side: int, price: float, lots: tuple[int, ...], count: int, age_s: float, second: int, of: Of
    ) -> Row:  # fmt: skip
        """`lots`: size, before, after, traded."""
        unit = 10 ** self._decimals[1]
        return "liquidity_events", (
            of.instrument, of.venue, (second + 1) * _NS, kind, _SIDES[side], price, *(x / unit for x in lots), count,
            age_s, of.received_ns, of.version,
        )  # fmt: skip

    def _price(self, price_row: int) -> float:
        """Lower edge of a bin."""
        return price_row * self._bin_ticks / float(10 ** self._decimals[0])

    # State.

    def _rescale(self, price_decimals: int, size_decimals: int) -> None:
        if (price_decimals, size_decimals) == self._decimals:
            return
        price_factor = 10 ** (price_decimals - self._decimals[0])
        size_factor = 10 ** (size_decimals - self._decimals[1])
        lots = self._state[_LOTS]
        self._state[_LOTS] = np.where(lots > 0, lots * size_factor, lots)
        self._weighted *= size_factor
        self._absorption.rescale(price_factor, size_factor)
        self._decimals = price_decimals, size_decimals

    def dump(self) -> bytes:
        """All state as bytes."""
        out = self._state[w.SINCE] >= 0
        return msgspec.msgpack.encode(
            (
                self._first, self._middle, self._bin_ticks, self._decimals, self._weighted.tobytes(),
                self._levels.tobytes(), self._state[w.SIZE].tobytes(), np.flatnonzero(out).tolist(),
                self._state[:, out].tobytes(), self._absorption.dump(),
            )
        )  # fmt: skip

    @classmethod
    def load(cls, state: bytes) -> "Walls":
        """What `dump` described."""
        self = cls()
        (
            self._first,
            self._middle,
            self._bin_ticks,
            decimals,
            weighted,
            levels,
            sizes,
            out,
            outstanding,
            absorption,
        ) = msgspec.msgpack.decode(state)
        self._decimals = decimals[0], decimals[1]
        self._weighted = np.frombuffer(weighted).reshape(2, COLUMN_BINS).copy()
        self._levels = np.frombuffer(levels).reshape(2, w.BANDS).copy()
        self._state[w.SIZE] = np.frombuffer(sizes, np.int64).reshape(2, COLUMN_BINS)
        flat = self._state.reshape(w.FIELDS, -1)
        flat[:, out] = np.frombuffer(outstanding, np.int64).reshape(w.FIELDS, -1)
        self._absorption = Absorption.load(absorption)
        return self


def _nothing() -> NDArray[np.int64]:
    """The state of bins of which nothing is known."""
    state = np.zeros((w.FIELDS, 2, COLUMN_BINS), np.int64)
    state[[w.SIZE, w.SINCE, w.KNOWN]] = -1
    return state
