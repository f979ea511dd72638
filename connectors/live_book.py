"""The connector's own copy of one book, kept in step with what it publishes.

It passes the same lines by the same rule as the depth kernel, so both are live, or not, after the same line. It
is there to know when a snapshot is needed, and to publish the whole book now and then (`!book`), which a replay
that begins in the middle of the log starts from.

Snapshots come by REST, and updates wait for them (`on_snapshot`); or in the stream, and then they begin or replace
the book where they stand, and updates before the first are of no use.

Cost: 13 us for a futures message of 68 levels.
"""

import heapq
import zlib
from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from math import inf
from typing import Any, NamedTuple

from connectors.book_sync import GAP, NEXT, STALE, Rule, verdict
from connectors.venue import Head, Levels, Snapshot

WAITING_MAX = 20_000  # updates; at 10 a second, half an hour
SUMMED = 10  # levels a side that a checksum is of
LEVELS_MAX = 50_000  # a side; the farthest go, and with them what the book claims to cover

Side = dict[float, tuple[str, str]]  # by price, both as the wire writes them


class Outcome(IntEnum):
    """What an update or a snapshot did."""

    APPLIED = 0
    IGNORED = 1  # the book has it already
    WAITING = 2  # kept for a snapshot
    GAP = 3  # it does not follow: the book is void, a snapshot is needed
    REFUSED = 4  # the snapshot is older than the first update kept, or crossed: another one is needed
    UNREADABLE = 5
    MISMATCH = 6  # the checksum says that something is missing: the book is void, a snapshot is needed
    CROSSED = 7  # something must be missing, of a venue that tells in no other way: as above


class LiveBook:
    """One book. `update_id` is that of the last update applied while `live`.

    `depth` limits it to the best levels of a side, where the venue tells of no others; None: there is no limit.
    """

    def __init__(self, rule: int, *, in_stream: bool = False) -> None:
        self._rule = int(rule)
        self._in_stream = in_stream
        self.depth: int | None = None
        self.live = False
        self.update_id = -1
        self._seeded = False
        self._waiting: deque[Head] = deque(maxlen=WAITING_MAX)
        self._sides: tuple[Side, Side] = ({}, {})
        self._covered: tuple[str | None, str | None] = (None, None)
        self._reach: tuple[float, float] = (
            0.0,
            0.0,
        )  # from the mid to what was covered, when it was last set
        self._fuller: LiveBook | None = None

    @property
    def waits(self) -> bool:
        """Whether updates are kept for a snapshot."""
        return bool(self._waiting)

    @property
    def levels(self) -> int:
        """Levels of both sides."""
        return len(self._sides[0]) + len(self._sides[1])

    def on_update(self, head: Head) -> Outcome:
        """Take a book message."""
        if head.snapshot:
            return self._replace(head)
        if self._fuller is not None:
            self._fuller.on_update(head)
        if not self.live:
            if not self._in_stream:
                self._waiting.append(head)
            return Outcome.WAITING
        judged = verdict(
            self._rule, self._seeded, self.update_id, head.first_id, head.last_id, head.previous_id
        )
        if judged == STALE:
            return Outcome.IGNORED
        if judged == GAP:
            self.clear()
            if not self._in_stream:
                self._waiting.append(head)
            return Outcome.GAP
        assert judged == NEXT
        try:
            changes = _read(head.bids), _read(head.asks)
        except ValueError:
            return Outcome.UNREADABLE
        for side, change in zip(self._sides, changes, strict=True):
            _apply(side, change)
        self.update_id, self._seeded = head.last_id, False
        return self._judged(head)

    def _replace(self, head: Head) -> Outcome:
        """Begin from a snapshot in the stream."""
        try:
            changes = _read(head.bids), _read(head.asks)
        except ValueError:
            return Outcome.UNREADABLE
        self.clear()
        for side, change in zip(self._sides, changes, strict=True):
            _apply(side, change)
        self.live, self._seeded, self.update_id = True, True, head.last_id
        return Outcome.CROSSED if self._void_if_crossed() else self._judged(head)

    def _judged(self, head: Head) -> Outcome:
        """Cut to the depth; where the venue has no ids, see whether the book is still the venue's."""
        if self.depth is not None:
            self._cut(self.depth)
        if self._rule == Rule.CHECKSUM and head.checksum not in (-1, self._checksum()):
            self.clear()
            return Outcome.MISMATCH
        if self._rule == Rule.NONE and self._void_if_crossed():
            return Outcome.CROSSED
        return Outcome.APPLIED

    def _checksum(self) -> int:
        bids, asks = self._sides
        best = heapq.nlargest(SUMMED, bids), heapq.nsmallest(SUMMED, asks)
        return checksum(map(bids.__getitem__, best[0]), map(asks.__getitem__, best[1]))

    def _cut(self, depth: int) -> None:
        for side, worst in zip(self._sides, (heapq.nsmallest, heapq.nlargest), strict=True):
            if len(side) > depth:
                for price in worst(len(side) - depth, side):
                    del side[price]

    def _void_if_crossed(self) -> bool:
        best = self.best()
        if best is None or best[0] < best[1]:
            return False
        self.clear()
        return True

    def on_snapshot(self, snapshot: Snapshot, limit: int) -> Outcome:
        """Begin from a snapshot of at most `limit` levels a side; the updates kept follow it.

        If it is older than the first of them, they are kept and the book waits on.
        """
        try:
            changes = _read(snapshot.bids), _read(snapshot.asks)
        except ValueError:
            return Outcome.UNREADABLE
        bids: Side = {}
        asks: Side = {}
        _apply(bids, changes[0])
        _apply(asks, changes[1])
        if bids and asks and max(bids) >= min(asks):
            return Outcome.REFUSED
        waiting, self._waiting = self._waiting, deque(maxlen=WAITING_MAX)
        self._sides = bids, asks
        self.live, self._seeded, self.update_id = True, True, snapshot.update_id
        self._cover(snapshot, limit)
        for at, head in enumerate(waiting):
            if self.on_update(head) != Outcome.GAP:
                continue
            # Whatever has been applied since the snapshot, the rest waits for another one.
            self._waiting.extend(list(waiting)[at + 1 :])
            return Outcome.REFUSED
        return Outcome.APPLIED

    def clear(self) -> None:
        """Forget the book and what waits: it is not live until the next snapshot."""
        self.live, self._seeded, self.update_id = False, False, -1
        self._waiting.clear()
        self._sides = {}, {}
        self._covered, self._reach = (None, None), (0.0, 0.0)
        self._fuller = None

    # A wider view.

    def best(self) -> tuple[float, float] | None:
        """Best bid and ask; None if a side has no level."""
        bids, asks = self._sides
        return (max(bids), min(asks)) if bids and asks else None

    def reaches(self, share_of_mid: float) -> bool:
        """Whether the covered prices reach so far from the mid, on both sides."""
        best = self.best()
        if not self.live or best is None:
            return True
        far = sum(best) / 2 * share_of_mid
        return all(distance >= far for distance in self._distances(best))

    def is_narrow(self, share_of_mid: float) -> bool:
        """Whether the mid has come within half of what the covered prices once reached beyond it.

        Beyond `share_of_mid` of the price nothing is narrow.
        """
        best = self.best()
        if not self.live or best is None:
            return False
        far = sum(best) / 2 * share_of_mid
        now = self._distances(best)
        return any(distance < min(reach / 2, far) for distance, reach in zip(now, self._reach, strict=True))

    def _distances(self, best: tuple[float, float]) -> tuple[float, float]:
        """From the mid to the ends of the covered prices."""
        lowest, highest = self._covered
        mid = sum(best) / 2
        return (
            inf if lowest is None else mid - float(lowest),
            inf if highest is None else float(highest) - mid,
        )

    def widen(self) -> None:
        """Keep updates beside the live book from now on, for a fuller snapshot that will come."""
        self._fuller = LiveBook(self._rule) if self.live else None

    def on_fuller(self, snapshot: Snapshot, limit: int) -> Outcome:
        """Take the snapshot that `widen` made ready for; `merge` then has its levels when the ids meet."""
        if self._fuller is None:
            return Outcome.IGNORED
        return self._fuller.on_snapshot(snapshot, limit)

    def merge(self) -> bool:
        """Take over what a fuller book at the same update id knows beyond this one. False: not yet."""
        fuller = self._fuller
        if fuller is None or not fuller.live or fuller.update_id != self.update_id:
            return False
        for mine, other in zip(self._sides, fuller._sides, strict=True):
            for price, level in other.items():
                mine.setdefault(price, level)
        (low, high), (other_low, other_high) = self._covered, fuller._covered
        self._covered = (
            None if low is None or other_low is None else min(low, other_low, key=float),
            None if high is None or other_high is None else max(high, other_high, key=float),
        )
        self._fuller = None
        self._measure()
        return True

    def stop_widening(self) -> None:
        """Forget the fuller book."""
        self._fuller = None

    # What goes to the log.

    def fields(self) -> dict[str, Any]:
        """The payload of a `!book` line: all levels, and the prices they reach to (null: every one is there).

        Where the book is limited, `depth` tells to how many levels a side.
        """
        self._prune()
        bids, asks = self._sides
        found = {
            "lastUpdateId": self.update_id,
            "bids": [bids[price] for price in sorted(bids, reverse=True)],
            "asks": [asks[price] for price in sorted(asks)],
            "covered": self._covered,
        }
        return found if self.depth is None else found | {"depth": self.depth}

    def _prune(self) -> None:
        bids, asks = self._sides
        if self.depth is not None:
            # Beyond a side that is full the venue has told nothing; one that is not is there in full.
            self._covered = (
                bids[min(bids)][0] if len(bids) >= self.depth else None,
                asks[max(asks)][0] if len(asks) >= self.depth else None,
            )
        lowest, highest = self._covered
        if len(bids) > LEVELS_MAX:
            kept = sorted(bids, reverse=True)[:LEVELS_MAX]
            self._sides = {price: bids[price] for price in kept}, asks
            lowest = bids[kept[-1]][0] if lowest is None else max(lowest, bids[kept[-1]][0], key=float)
        if len(asks) > LEVELS_MAX:
            kept = sorted(asks)[:LEVELS_MAX]
            self._sides = self._sides[0], {price: asks[price] for price in kept}
            highest = asks[kept[-1]][0] if highest is None else min(highest, asks[kept[-1]][0], key=float)
        self._covered = lowest, highest

    def _cover(self, snapshot: Snapshot, limit: int) -> None:
        # A side with fewer levels than were asked for is there in full.
        self._covered = (
            None if len(snapshot.bids) < limit else min((p for p, _ in snapshot.bids), key=float),
            None if len(snapshot.asks) < limit else max((p for p, _ in snapshot.asks), key=float),
        )
        self._measure()

    def _measure(self) -> None:
        best = self.best()
        self._reach = self._distances(best) if best else (0.0, 0.0)


def checksum(bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]]) -> int:
    """CRC-32 of the levels as the wire writes them, best first.

    Of each its price and its size, without the point and the zeros before it; the asks, then the bids.
    docs.kraken.com, "Book checksum (v2)", 2026
    """
    texts = (text.replace(".", "").lstrip("0") for side in (asks, bids) for level in side for text in level)
    return zlib.crc32("".join(texts).encode())


class _Change(NamedTuple):
    """Levels as numbers and as they came."""

    prices: list[float]
    sizes: list[float]
    levels: Levels


def _read(levels: Levels) -> _Change:
    """Every level is checked before any is applied. Raises ValueError."""
    prices = [float(level[0]) for level in levels]
    sizes = [float(level[1]) for level in levels]
    # A sum with a nan in it is nan.
    if levels and not (min(sizes) >= 0 and 0 <= sum(sizes) < inf and 0 <= sum(prices) < inf):
        raise ValueError("expected prices and sizes of 0 or more")
    return _Change(prices, sizes, levels)


def _apply(side: Side, change: _Change) -> None:
    for price, size, level in zip(*change, strict=True):
        if size:
            side[price] = level
        else:
            side.pop(price, None)
