"""The topic log as a Bytewax source: each poll of a partition is one item.

Bytewax's own Kafka connector makes an object a message; one item a poll keeps the cost of carrying records near
that of reading them. The offset after the last record handed on is the source's recovered state.
"""

import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.log import Log, Reader
from connectors.record import Record
from flows.runtime.progress import Progress

# Near the end of the log there is never so much; when catching up it makes few and large inserts.
POLL_BYTES = 8 << 20
LAG_EVERY_S = 1.0
IDLE_S = 0.01


class Poll(NamedTuple):
    """Records of one partition, in order."""

    topic: str
    partition: int
    records: list[Record]


class LogSource(FixedPartitionedSource[tuple[str, Poll], int]):
    """Partitions of topics, each from its recovered offset on, else from its oldest record."""

    def __init__(
        self,
        log: Log,
        parts: Sequence[tuple[str, int]],
        group: str,
        progress: Progress,
        *,
        follow: bool,
        idle_s: float = IDLE_S,
        stored_s: float = 0.0,
    ) -> None:
        """`parts` are (topic, partition); with `follow` the source waits at the end of the log, else it ends there.

        `idle_s` is the wait after a poll that found nothing; `stored_s`, how long after it was read a record's rows may
        still be on their way.
        """
        self._log = log
        self._parts = {f"{topic}/{partition}": (topic, partition) for topic, partition in parts}
        self._group, self._progress = group, progress
        self._follow, self._idle, self._stored_s = follow, timedelta(seconds=idle_s), stored_s

    def list_parts(self) -> list[str]:
        """Names of the partitions."""
        return list(self._parts)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_Partition":
        """The partition from the recovered offset on."""
        topic, partition = self._parts[for_part]
        reader = self._log.reader(topic, partition, resume_state, self._group)
        return _Partition(
            for_part, Poll(topic, partition, []), reader, self._progress, self._idle, self._stored_s,
            follow=self._follow,
        )  # fmt: skip


class _Partition(StatefulSourcePartition[tuple[str, Poll], int]):
    def __init__(
        self,
        name: str,
        empty: Poll,
        reader: Reader,
        progress: Progress,
        idle: timedelta,
        stored_s: float,
        *,
        follow: bool,
    ) -> None:
        self._name, self._empty, self._reader = name, empty, reader
        self._idle, self._stored_s, self._follow = idle, stored_s, follow
        self._awake: datetime | None = None
        self._progress, self._measure_at_s = progress, 0.0
        self._saved, self._told = deque([(time.monotonic(), reader.offset)]), reader.committed()

    def next_batch(self) -> list[tuple[str, Poll]]:
        """One poll as one item, keyed by the partition's name."""
        records = self._reader.poll(POLL_BYTES)
        if time.monotonic() >= self._measure_at_s:
            self._measure_at_s = time.monotonic() + LAG_EVERY_S
            self._progress.lag[self._name] = self._reader.end() - self._reader.offset
        if not records:
            if not self._follow and self._reader.offset >= self._reader.end():
                raise StopIteration
            self._awake = datetime.now(UTC) + self._idle
            return []
        self._awake = None
        return [(self._name, self._empty._replace(records=records))]

    def next_awake(self) -> datetime | None:
        """When to poll again."""
        return self._awake

    def snapshot(self) -> int:
        """The offset to go on from. Bytewax recovers from its own copy, never from that of lag tools.

        They are told one of before: Bytewax reads on in an epoch only when all of those before it went through the
        sinks, and what gathers for an insert is over after `stored_s`. So what is committed is stored.
        """
        now_s = time.monotonic()
        while self._saved and self._saved[0][0] <= now_s - self._stored_s:
            _, offset = self._saved.popleft()
            if offset != self._told:
                self._reader.commit(offset)
                self._told = offset
        self._saved.append((now_s, self._reader.offset))
        return self._reader.offset

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()


class ShareError(ValueError):
    """Not a share of the partitions."""


def share_of(parts: Sequence[tuple[str, int]], share: str) -> list[tuple[str, int]]:
    """The partitions of share `i/n` (i from 1): every n-th, so that each topic spreads over the shares.

    Raises:
        ShareError: the share is not of that form.
    """
    index, _, count = share.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise ShareError(f"expected a share as i/n with 1 <= i <= n, such as 1/4, found {share!r}")
    return list(parts)[int(index) - 1 :: int(count)]
