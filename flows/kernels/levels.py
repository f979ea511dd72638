"""The levels kernel: topic `features` as rows of `levels`, support and resistance at the close of each minute.

All venues of an instrument are in one partition of the topic. A minute is closed when something known GRACE_NS after
its end has been told of the instrument, and only if something had become known in it. Levels are made of each venue's
evidence (`flows.kernels.evidence`), and of that of all venues together, with the median of their prices and the widest
of their gaps. A venue that had told nothing for STALE_NS before the newest of the instrument is left out and named.

Flows and partitions run ahead of each other, so something belated may belong to closed minutes. They are told again
when the next minute closes, or at the end of the log, out of what they then knew; a level that is no more is told as
removed. So the rows of a minute depend on what was known at its close alone, whenever that came, as far back as
minutes are kept: a day, less where instruments are so many that more than ROWS_MAX rows would be held.

Depth of a second, walls, profiles and order flow count; other kinds, and this flow's own rows, are passed over.

Cost: 5 us a row, 1 ms a minute and venue.
"""

import math
from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Any

import msgspec

from connectors.log import FEATURES
from connectors.record import Record
from flows.kernels.block import Block
from flows.kernels.clusters import Evidence, Level, levels
from flows.kernels.evidence import DAY_NS, MINUTE_NS, STALE_NS, VenueEvidence
from flows.kernels.history import SECOND_NS
from flows.kernels.lines import DEAD_LETTER_COLUMNS, DETAIL_CHARACTERS_MAX, PAYLOAD_HEAD_BYTES

DUMP_VERSION = 1
ALL = "all"
GRACE_NS = 2 * SECOND_NS
KEPT_MINUTES, KEPT_MINUTES_MIN = 1440, 15
ROWS_MAX = 100_000  # of evidence, in one partition: some 10 MB of state
AHEAD_NS = 2 * MINUTE_NS  # flows believe a venue that is a minute ahead of its receipt
TIMES = ("time_ns", "open_ns", "known_ns", "from_ns", "received_ns")
KINDS = frozenset(("depth", "wall", "profile", "order_flow"))
MALFORMED = (ArithmeticError, KeyError, TypeError, ValueError)

TABLE_COLUMNS = {
    "levels": (
        "instrument", "venue", "time_ns", "price", "side", "low", "high", "strength", "last_price", "evidence_kind",
        "evidence_venue", "evidence_price", "evidence_weight", "evidence_ns", "venues", "stale_venues", "removed",
        "received_ns", "version",
    ),
    "dead_letters": DEAD_LETTER_COLUMNS,
}  # fmt: skip

Row = tuple[Any, ...]

_decode = msgspec.msgpack.Decoder(list[dict[str, Any]]).decode


class InstrumentLevels:
    """The levels of one instrument. Minutes are counted since 1970 and named by their close."""

    def __init__(self, instrument: str) -> None:
        self._instrument = instrument
        self._venues: dict[str, VenueEvidence] = {}
        self._newest_ns = 0
        self._closed = 0
        self._pending: set[int] = set()
        # What was told of each closed minute: by venue, its version and the prices of its levels.
        self._told: dict[int, dict[str, tuple[int, list[float]]]] = {}
        self._belated = 0  # the first minute to be told again, or 0
        self.rows_kept = 0

    def take(self, row: dict[str, Any], kept_minutes: int) -> list[Row]:
        """The rows that a feature finishes. Raises one of MALFORMED for one that is none."""
        venue = row["venue"]
        if venue not in self._venues:
            self._venues[venue] = VenueEvidence(venue)
        taken = self._venues[venue].take(row)
        if taken is None:
            return []
        minute, known_ns = taken
        self._newest_ns = max(self._newest_ns, known_ns)
        if minute > self._closed:
            self._pending.add(minute)
        else:
            self._belated = min(self._belated or minute, minute)
            if minute > self._closed - kept_minutes:
                self._told.setdefault(minute, {})
        return self._close(kept_minutes)

    def _close(self, kept_minutes: int) -> list[Row]:
        rows: list[Row] = []
        while self._pending and (first := min(self._pending)) * MINUTE_NS + GRACE_NS <= self._newest_ns:
            rows += self.settle()
            self._pending.discard(first)
            self._closed = first
            self._told[first] = {}
            rows += self._tell(first)
            self._prune(first - kept_minutes)
        return rows

    def settle(self) -> list[Row]:
        """The rows of closed minutes of which something has become known since."""
        minutes = sorted(x for x in self._told if x >= self._belated) if self._belated else []
        self._belated = 0
        return [row for minute in minutes for row in self._tell(minute)]

    def _tell(self, minute: int) -> list[Row]:
        heard: dict[str, Any] = {
            name: x for name in sorted(self._venues) if (x := self._venues[name].heard_at(minute))
        }
        newest_ns = max(known_ns for known_ns, _, _ in heard.values())
        fresh = [name for name, x in heard.items() if newest_ns - x[0] <= STALE_NS]
        stale = [name for name, x in heard.items() if STALE_NS < newest_ns - x[0] <= DAY_NS]
        gone = set(self._told[minute])
        evidence, prices, gaps, rows = [], [], [], []
        for name in fresh:
            venue = self._venues[name]
            price = venue.last_price(minute)
            mine = venue.evidence(minute)
            if price is not None:
                evidence += mine
                prices.append(price)
                gaps.append(venue.gap(minute))
                shared = (price, (name,), (), *heard[name][1:])
                rows += self._rows(minute, name, levels(mine, gaps[-1], price), shared)
                gone.discard(name)
        heard[ALL] = tuple(map(max, zip(*heard.values(), strict=True)))
        if prices:
            together = (median(prices), tuple(fresh), tuple(stale), *heard[ALL][1:])
            rows += self._rows(minute, ALL, levels(evidence, max(gaps), together[0]), together)
            gone.discard(ALL)
        for name in sorted(gone):
            rows += self._rows(minute, name, [], (math.nan, (), (), *heard[name][1:]))
        return rows

    def _rows(self, minute: int, venue: str, found: list[Level], shared: Any) -> list[Row]:
        """Those of the levels of one venue, and of what was told of that minute and is no more."""
        last_price, venues, stale, version, received_ns = shared
        before, gone = self._told[minute].get(venue, (0, []))
        version = max(version, before)
        key, end = (self._instrument, venue, minute * MINUTE_NS), (received_ns, version)
        prices = [level.price for level in found]
        rows = [
            (*key, x.price, x.side, x.low, x.high, x.strength, last_price, *_arrays(x.evidence), venues, stale, 0, *end)
            for x in found
        ]  # fmt: skip
        rows += [
            (*key, price, "", price, price, 0.0, last_price, *_arrays(()), venues, stale, 1, *end)
            for price in sorted(set(gone).difference(prices))
        ]
        self._told[minute][venue] = (version, prices)
        return rows

    def _prune(self, oldest: int) -> None:
        for minute in [x for x in self._told if x < oldest]:
            del self._told[minute]
        told = sum(len(prices) for by_venue in self._told.values() for _, prices in by_venue.values())
        self.rows_kept = told // 8 + sum(venue.prune(oldest) for venue in self._venues.values())

    def dump(self) -> Any:
        """All state."""
        venues = {name: venue.dump() for name, venue in self._venues.items()}
        return [
            venues, self._newest_ns, self._closed, sorted(self._pending), self._told, self._belated, self.rows_kept,
        ]  # fmt: skip

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        venues, self._newest_ns, self._closed, pending, told, self._belated, self.rows_kept = state
        self._pending = set(pending)
        self._told = {minute: {name: tuple(x) for name, x in by.items()} for minute, by in told.items()}
        for name, dumped in venues.items():
            self._venues[name] = VenueEvidence(name)
            self._venues[name].load(dumped)


class LevelsKernel:
    """The instruments of one partition of `features`. Pure: its rows depend on the records alone."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._instruments: dict[str, InstrumentLevels] = {}
        self._kept_minutes, self._shrunk_ns = KEPT_MINUTES, 0
        self._newest_ns = 0  # newest version seen
        self.counts: Counter[str] = Counter()

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns the rows that are finished."""
        rows: list[Row] = []
        letters: list[Row] = []
        for record in records:
            try:
                features = _decode(record.body)
            except msgspec.MsgspecError as error:
                letters.append(self._letter(record, 0, str(error)))
                continue
            for at, feature in enumerate(features):
                try:
                    if feature["kind"] in KINDS:
                        rows += self._on_feature(feature)
                except MALFORMED as error:
                    letters.append(self._letter(record, at, f"{type(error).__name__}: {error}"))
        return self._blocks(rows, letters)

    def flush(self) -> list[Block]:
        """What the end of the log leaves to be told again."""
        return self._blocks([row for x in self._instruments.values() for row in x.settle()], [])

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began."""
        return {name: self.counts[name] for name in ("level_rows", "dead_letters")}

    def _on_feature(self, row: dict[str, Any]) -> list[Row]:
        name, version = row["instrument"], int(row["version"])
        _check_times(row, version)
        if name not in self._instruments:
            self._instruments[name] = InstrumentLevels(name)
        self._newest_ns = max(self._newest_ns, version)
        found = self._instruments[name].take(row, self._kept_minutes)
        if found:
            self._shrink()
        return found

    def _shrink(self) -> None:
        """Keep fewer minutes if too much is held. Every instrument has pruned before the next time."""
        if self._newest_ns - self._shrunk_ns > 2 * MINUTE_NS and self._kept_minutes > KEPT_MINUTES_MIN:
            self._shrunk_ns = self._newest_ns
            if sum(x.rows_kept for x in self._instruments.values()) > ROWS_MAX:
                self._kept_minutes = max(self._kept_minutes * 3 // 4, KEPT_MINUTES_MIN)

    def _blocks(self, rows: list[Row], letters: list[Row]) -> list[Block]:
        self.counts["level_rows"] += len(rows)
        self.counts["dead_letters"] += len(letters)
        found = {"levels": rows, "dead_letters": letters}
        return [Block.of(table, TABLE_COLUMNS[table], x) for table, x in found.items() if x]

    def _letter(self, record: Record, at: int, detail: str) -> Row:
        """Row `at` of a record. It tells no time that can be relied on: the newest before it stands for it."""
        head = record.body[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            FEATURES, self._partition, record.offset, at, "malformed feature", detail[:DETAIL_CHARACTERS_MAX],
            self._newest_ns, head, self._newest_ns,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All state."""
        instruments = {name: x.dump() for name, x in self._instruments.items()}
        kept = self._kept_minutes, self._shrunk_ns, self._newest_ns
        return msgspec.msgpack.encode((DUMP_VERSION, instruments, kept, dict(self.counts)))

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError if another version of this kernel wrote it."""
        version, *rest = msgspec.msgpack.decode(state)
        if version != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the topic"
            )
        instruments, (self._kept_minutes, self._shrunk_ns, self._newest_ns), counts = rest
        self.counts = Counter(counts)
        for name, dumped in instruments.items():
            self._instruments[name] = InstrumentLevels(name)
            self._instruments[name].load(dumped)


def _check_times(row: dict[str, Any], version: int) -> None:
    """Raise ValueError for times that cannot be: one minute far ahead would make all that follow belated."""
    latest_ns = min(version + AHEAD_NS, 2**63 - 1)
    wrong = {name: row[name] for name in TIMES if name in row and not 0 <= row[name] <= latest_ns}
    if wrong or not 0 <= version < 2**63:
        raise ValueError(f"expected times from 1970 to {latest_ns} ns, found {wrong} of version {version}")


def _arrays(evidence: Iterable[Evidence]) -> tuple[tuple[Any, ...], ...]:
    """Kinds, venues, prices, weights and times of it."""
    found = tuple(evidence)
    return (
        tuple(x.kind for x in found), tuple(x.venue for x in found), tuple(x.price for x in found),
        tuple(x.weight for x in found), tuple(x.known_ns for x in found),
    )  # fmt: skip
