"""Replays recordings: file -> topic log -> depth, tape and levels flow -> store, and says what came of it.

Everything between is what a live run uses; only the connector is replaced by the recording's reader.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.log import Log
from connectors.record import CLOCK, Chunker, Line, encode_line, partition_of
from connectors.recording_file import Fault
from connectors.recordings import read
from connectors.venue import Market
from flows import depth, derived, levels, tape
from flows.kernels import depth as depth_rows
from flows.kernels import levels as level_rows
from flows.kernels import tape as tape_rows
from flows.kernels.block import Block
from flows.runtime.dataflow import Running
from flows.runtime.progress import Progress
from flows.runtime.run import recovery_of, run
from flows.runtime.sink import TopicSink, insert
from sql.client import Store

TABLES = tuple(
    dict.fromkeys((*depth_rows.TABLE_COLUMNS, *tape_rows.TABLE_COLUMNS, *level_rows.TABLE_COLUMNS))
)
PROGRESS_S = 2.0
FAULT_ROWS = 1000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay, and through which parts."""

    market: Market
    paths: tuple[Path, ...]
    symbol: str | None
    partitions: int
    log: Log
    store: Store
    state: Path


def replay(job: Replay, say: Say) -> dict[str, Any]:
    """Append the recordings to the log, run the flows to its end, sum up; `say` hears of progress.

    The counts are of this replay alone; `rows` counts the tables as they are now.

    Raises:
        RecordingError: a file is no recording of the market, or names no symbol and none was given.
        LogError, StoreError, BusyError: a part does not do its work.
    """
    began = time.monotonic()
    lines, faults = _write(job, say)
    say(f"{lines} lines in the log, the flows begin")
    counts = Counter({"dead_letters": faults})
    books: dict[str, Any] = {}
    for flow in (depth.FLOW, tape.FLOW, levels.FLOW):
        running: dict[tuple[str, int], Running] = {}
        parts = flow.parts(job.log)
        dataflow = flow.dataflow(job.log, job.store, parts, follow=False, running=running)
        run(dataflow, recovery_of(job.state, flow.name, "1/1"))
        of_market = [x for (topic, _), x in running.items() if topic == job.market.topic]
        counts.update(_counted(of_market))
        books |= {key: book for x in of_market for key, book in x.kernel.summary().get("books", {}).items()}
    book = books.get(job.symbol or "") or (next(iter(books.values())) if len(books) == 1 else None)
    best = {name: book[name] for name in ("best_bid", "best_ask")} if book else {}
    rows = {table: _count(job.store, table) for table in TABLES}
    return {
        "venue": job.market.name, "lines": lines, **counts, **best, "books": books, "rows": rows,
        "elapsed_s": round(time.monotonic() - began, 3),
    }  # fmt: skip


def _count(store: Store, table: str) -> int:
    return int(store.query(f"SELECT count() FROM market.{table} FINAL")[0][0])  # noqa: S608 - one of our tables


def _write(job: Replay, say: Say) -> tuple[int, int]:
    """Recordings into the raw topic, faults aside; the numbers of both."""
    for topic in (job.market.topic, *derived.TOPICS):
        job.log.create(topic, job.partitions)
    lines = faults = 0
    letters: list[tuple[Any, ...]] = []
    raw, next_word = _Raw(job), time.monotonic() + PROGRESS_S
    try:
        for item in _items(job):
            if isinstance(item, Fault):
                faults += 1
                letters.append(_letter(item))
            else:
                key, line = item
                lines += line.origin != CLOCK
                raw.add(key, line)
            if len(letters) >= FAULT_ROWS:
                _set_aside(job, letters)
            if time.monotonic() > next_word:
                next_word += PROGRESS_S
                say(f"{lines} lines read")
        raw.flush()
    finally:
        raw.close()
        _set_aside(job, letters)
    return lines, faults


def _items(job: Replay) -> Iterable[Any]:
    for path in job.paths:
        yield from read(path, job.market, job.symbol, clocks=True)


class _Raw:
    """The raw topic: lines are gathered into records, but for the clock, which goes to every partition in use."""

    def __init__(self, job: Replay) -> None:
        self._topic, self._partitions = job.market.topic, job.partitions
        self._writer = job.log.writer()
        self._chunker = Chunker()
        self._used: set[int] = set()

    def add(self, key: bytes, line: Line) -> None:
        if line.origin == CLOCK:
            self.flush()
            for partition in self._used:
                self._writer.append(self._topic, key, encode_line(*line), line.recv_ns, partition)
        else:
            self._used.add(partition_of(key, self._partitions))
            self._append(self._chunker.add(key, line.recv_ns, encode_line(*line)))

    def flush(self) -> None:
        self._append(self._chunker.cut())

    def close(self) -> None:
        self._writer.close()

    def _append(self, records: Iterable[tuple[bytes, bytes, int]]) -> None:
        for key, body, recv_ns in records:
            self._writer.append(self._topic, key, body, recv_ns)


def _letter(fault: Fault) -> tuple[Any, ...]:
    """A fault as a row of `dead_letters`: the recording stands for the topic, its position for the offset."""
    topic = f"recording/{fault.path.name}"
    head = fault.head.decode("utf-8", "replace")
    return topic, 0, fault.position, 0, fault.reason, f"{fault.unit} {fault.position}", 0, head, 0


def _set_aside(job: Replay, letters: list[tuple[Any, ...]]) -> None:
    if letters:
        block = Block.of("dead_letters", depth_rows.TABLE_COLUMNS["dead_letters"], letters)
        insert(job.store, [block], Progress())
        TopicSink(job.log).build("", 0, 1).write_batch(derived.messages([block]))
        letters.clear()


def _counted(running: Iterable[Running]) -> Counter[str]:
    """What the kernels have counted since the flow began."""
    counts: Counter[str] = Counter()
    for x in running:
        for name, value in x.kernel.summary().items():
            if name != "books":
                counts[name] += value - x.began[name]
    return counts
