"""Runs the depth kernel and holds what it gives against the oracle, bit for bit."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from connectors.record import Record
from connectors.venue import market
from flows.kernels.depth import DepthKernel
from flows.kernels.rollup import TABLES
from tests.oracle import Book, Oracle

COUNTS = (
    "depth_messages", "applied", "stale", "late", "trades", "other", "levels",
    "gaps", "crossed", "resets", "stale_snapshots", "unused_snapshots", "dead_letters",
)  # fmt: skip
EVENT_COLUMNS = ("instrument", "venue", "time_ns", "kind", "update_id", "version")
EVENT_KINDS = ("gap", "checksum", "stale snapshot", "seeded", "crossed", "reset")

Row = dict[str, Any]


class Run:
    """A kernel and the rows it has given so far, by table."""

    def __init__(self, market_name: str) -> None:
        self.kernel = DepthKernel(market(market_name), 0)
        self.rows: dict[str, list[Row]] = {}

    def on_records(self, records: Iterable[Record]) -> None:
        self._take(self.kernel.on_records(records))

    def flush(self) -> "Run":
        self._take(self.kernel.flush())
        return self

    def _take(self, blocks: Iterable[Any]) -> None:
        for block in blocks:
            names = list(block.columns)
            values = zip(*block.columns.values(), strict=True)
            self.rows.setdefault(block.table, []).extend(dict(zip(names, row, strict=True)) for row in values)

    def table(self, name: str) -> list[Row]:
        return self.rows.get(name, [])

    def seconds(self) -> list[int]:
        return [row["time"] for row in self.table("depth_1s")]

    def kinds(self) -> list[str]:
        return [row["kind"] for row in self.table("book_events")]

    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.table("dead_letters")]


def run(market_name: str, records: Iterable[Record]) -> Run:
    """A kernel that has taken the records in one call, all its rows out."""
    result = Run(market_name)
    result.on_records(records)
    return result.flush()


def judge(market_name: str, records: Iterable[Record]) -> Oracle:
    oracle = Oracle(market_name)
    oracle.on_records(records)
    return oracle


def bits(value: Any) -> Any:
    """What of a value must be equal: every bit; one NaN is as good as another."""
    if isinstance(value, np.ndarray):
        assert value.dtype == np.float32
        return np.where(np.isnan(value), np.float32(np.nan), value).tobytes()
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value.hex()
    return value


def different(found: Row, expected: Row) -> list[str]:
    """Which columns of two rows differ."""
    assert found.keys() == expected.keys()
    return [name for name in expected if bits(found[name]) != bits(expected[name])]


def assert_same_rows(found: list[Row], expected: list[Row]) -> None:
    """The same rows in the same order but for that of instruments within a second."""

    def key(row: Row) -> tuple[int, str]:
        return row["time"], row["instrument"]

    found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert [key(row) for row in found] == [key(row) for row in expected]
    for row, truth in zip(found, expected, strict=True):
        wrong = different(row, truth)
        assert not wrong, (key(row), {name: (row[name], truth[name]) for name in wrong[:3]}, wrong)


def assert_same_book(kernel: DepthKernel, key: bytes, book: Book) -> None:
    """Level by level; a book that is not live has none."""
    found = kernel._books[key]
    assert found.live == book.live
    ticks, lots, sides = found.levels()
    size_decimals = int(found.meta[9])
    levels = {
        (int(side), found.price(int(tick))): int(lot)
        for tick, lot, side in zip(ticks, lots, sides, strict=True)
    }
    assert levels == {
        (side, price): int(size.scaleb(size_decimals))
        for side, whole in enumerate((book.bids, book.asks))
        for price, size in whole.items()
    }


def assert_equal(found: Run, oracle: Oracle) -> None:
    """All rows, events, dead letters, counters and final books."""
    for table in TABLES.values():
        assert_same_rows(found.table(table), oracle.rows[table])
    events = [row for row in found.table("book_events") if row["kind"] in EVENT_KINDS]
    assert [{name: row[name] for name in EVENT_COLUMNS} for row in events] == oracle.events
    assert [(row["offset"], row["position"]) for row in found.table("dead_letters")] == oracle.dead_letters
    summary = found.kernel.summary()
    assert {name: summary[name] for name in COUNTS} == {name: oracle.counts[name] for name in COUNTS}
    for key, book in oracle.books.items():
        assert_same_book(found.kernel, key, book)
