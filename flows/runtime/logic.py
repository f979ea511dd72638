"""A kernel as a Bytewax step: records of a partition in, blocks of rows out, its dump as recovered state."""

from collections.abc import Callable, Iterable
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
