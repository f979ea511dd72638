"""A kernel as a Bytewax step: records of a partition in, blocks of rows out, its dump as recovered state."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bytewax.operators import StatefulBatchLogic

from connectors.record import Record
from flows.kernels.block import Block
from flows.runtime.source import Poll


class Kernel(Protocol):
    """What every kernel offers the runtime."""

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns the rows that are finished."""

    def flush(self) -> list[Block]:
        """The rows still held back, at the end of a log."""

    def dump(self) -> bytes:
        """All state."""

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError for that of another version."""

    def summary(self) -> dict[str, Any]:
        """Counters (ints) and where things stand, for people."""


GATHERED_ROWS_MAX = 5_000


class KernelLogic(StatefulBatchLogic[Poll, list[Block], bytes | None]):
    """Holds the kernel of one partition. Bytewax tells the key only with the items, so it is made at the first."""

    def __init__(self, make: Callable[[str, int, bytes | None], Kernel], state: bytes | None) -> None:
        """`make(topic, partition, state)` gives the partition's kernel, from a dump or, for None, a fresh one."""
        self._make = make
        self._state = state
        self._kernel: Kernel | None = None

    def on_batch(self, values: list[Poll]) -> tuple[list[list[Block]], bool]:
        """Blocks for the polls, at most one item."""
        blocks: list[Block] = []
        for topic, partition, records in values:
            if self._kernel is None:
                self._kernel = self._make(topic, partition, self._state)
                self._state = None
            blocks += self._kernel.on_records(records)
        return ([blocks] if blocks else []), StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[list[Block]], bool]:
        """What was held back for company."""
        blocks = self._kernel.flush() if self._kernel is not None else []
        return ([blocks] if blocks else []), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes | None:
        """The kernel's dump."""
        return self._state if self._kernel is None else self._kernel.dump()


class GatherLogic(StatefulBatchLogic[list[Block], list[Block], list[Block]]):
    """Holds the rows of all partitions for a moment, so that those of a table are one insert; state: what it holds."""

    def __init__(self, gather_s: float, held: list[Block] | None) -> None:
        """`held`: what was held when the flow ended."""
        self._span = timedelta(seconds=gather_s)
        self._held = held or []
        self._until = datetime.now(UTC) if held else None

    def on_batch(self, values: list[list[Block]]) -> tuple[list[list[Block]], bool]:
        """Nothing yet, unless there is much."""
        self._held = [*self._held, *(block for blocks in values for block in blocks)]
        if sum(map(len, self._held)) >= GATHERED_ROWS_MAX:
            return self._emitted()
        self._until = self._until or datetime.now(UTC) + self._span
        return [], StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[list[list[Block]], bool]:
        """All that is held."""
        return self._emitted()

    def on_eof(self) -> tuple[list[list[Block]], bool]:
        """All that is held."""
        return self._emitted()

    def notify_at(self) -> datetime | None:
        """When the first of what is held has waited long enough."""
        return self._until

    def snapshot(self) -> list[Block]:
        """What is held."""
        return self._held

    def _emitted(self) -> tuple[list[list[Block]], bool]:
        held, self._held, self._until = self._held, [], None
        return ([held] if held else []), StatefulBatchLogic.RETAIN
