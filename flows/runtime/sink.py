"""Where rows go: column inserts into ClickHouse, and derived topics.

Both write before they return, so that an epoch closes only over what is stored. After a crash at most one epoch
is written again: rows are upserts, and readers of derived topics take the newest of a key.
"""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.log import Log, Writer
from flows.kernels.block import Block, Column, joined
from flows.runtime.progress import Progress
from sql.client import Store

INSERT_ROWS_MAX = 20_000  # of depth columns: about 120 MB


class Message(NamedTuple):
    """Rows for a derived topic: one record, an array of maps in msgpack. `recv_ns` is the rows' version."""

    topic: str
    key: bytes
    rows: list[dict[str, Any]]
    recv_ns: int


class StoreSink(DynamicSink[list[Block]]):
    """Inserts blocks into their tables. The store retries for a bounded time, then raises, which ends the flow."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_StorePartition":
        """The one partition of this worker."""
        return _StorePartition(self._store, self._progress)


class _StorePartition(StatelessSinkPartition[list[Block]]):
    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress

    def write_batch(self, items: list[list[Block]]) -> None:
        """All rows of a table in one insert."""
        insert(self._store, (block for blocks in items for block in blocks), self._progress)

    def close(self) -> None:
        """Release the connection."""
        self._progress.write()
        self._store.close()


def insert(store: Store, blocks: Iterable[Block], progress: Progress) -> None:
    """Insert blocks, those of one table together unless they are very many; `progress` is told. Raises StoreError."""
    for table, columns in _merged(blocks).items():
        rows = len(next(iter(columns.values())))
        for at in range(0, rows, INSERT_ROWS_MAX):
            part = {name: _column(values[at : at + INSERT_ROWS_MAX]) for name, values in columns.items()}
            store.insert(table, part)
            progress.stored(table, part, time.time_ns())


def _merged(blocks: Iterable[Block]) -> dict[str, dict[str, Column]]:
    """The blocks of each table as one: table -> column -> values."""
    tables: dict[str, dict[str, list[Column]]] = {}
    for block in blocks:
        columns = tables.setdefault(block.table, {name: [] for name in block.columns})
        for name, values in block.columns.items():
            columns[name].append(values)
    return {
        table: {name: joined(parts) for name, parts in columns.items()} for table, columns in tables.items()
    }


def _column(values: Column) -> Any:
    """Numbers as an array, the rest as it is: texts, arrays, tuples, and numbers with None among them."""
    if not isinstance(values, list) or isinstance(values[0], str | tuple | np.ndarray) or None in values:
        return values
    # numpy would make floats of integers on both sides of 2**63.
    return np.array(values, np.uint64 if isinstance(values[0], int) and max(values) >= 2**63 else None)


class TopicSink(DynamicSink[Message]):
    """Appends messages to derived topics, flushed before it returns."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_TopicPartition":
        """The one partition of this worker."""
        return _TopicPartition(self._log.writer())


class _TopicPartition(StatelessSinkPartition[Message]):
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write_batch(self, items: list[Message]) -> None:
        for topic, key, rows, recv_ns in items:
            self._writer.append(topic, key, msgspec.msgpack.encode(rows), recv_ns)
        self._writer.flush()

    def close(self) -> None:
        """Flush and release."""
        self._writer.close()
