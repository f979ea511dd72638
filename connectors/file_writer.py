"""The writing half of the file log (`connectors.file_log`): buffers, lock, repair, segments, retention."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, pairwise
from pathlib import Path

import structlog

from connectors import segment
from connectors.log import APPEND_BYTES_MAX, LogError, Retention
from connectors.record import partition_of

BUFFER_BYTES_MAX = 1 << 20  # per partition of a writer

_log = structlog.get_logger(__name__)


class FileWriter:
    """Appends records; see `connectors.log.Writer`. Readers see them after `flush`, or once 1 MiB waits."""

    def __init__(self, tails: Callable[[str], list["Tail"]]) -> None:
        self._tails = tails
        self._topics: dict[str, list[_Buffer]] = {}

    def append(self, topic: str, key: bytes, body: bytes, recv_ns: int, partition: int | None = None) -> None:
        """Take a record; on LogError it was not taken, and earlier ones are kept for the next attempt."""
        if len(key) > segment.KEY_BYTES_MAX or len(key) + len(body) > APPEND_BYTES_MAX:
            raise LogError(
                f"a record of {topic!r} may hold {segment.KEY_BYTES_MAX} bytes of key and {APPEND_BYTES_MAX} "
                f"in all, found {len(key)} and {len(key) + len(body)}"
            )
        buffer = self._buffer(topic, key, partition)
        data = segment.encode(key, body, recv_ns)
        if buffer.size and buffer.size + len(data) > BUFFER_BYTES_MAX:
            buffer.flush()
        buffer.records.append(data)
        buffer.size += len(data)

    def flush(self) -> None:
        """Return when every record taken is in its file. Raises LogError if one is not; it is kept."""
        errors = []
        for buffer in self._buffers():
            try:
                buffer.flush()
            except LogError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Flush and release; released also when the flush raises LogError."""
        try:
            self.flush()
        finally:
            for buffer in self._buffers():
                buffer.tail.close()
            self._topics.clear()

    def _buffer(self, topic: str, key: bytes, partition: int | None) -> "_Buffer":
        buffers = self._topics.get(topic)
        if buffers is None:
            buffers = self._topics[topic] = [_Buffer(tail) for tail in self._tails(topic)]
        if partition is None:
            partition = partition_of(key, len(buffers))
        if not 0 <= partition < len(buffers):
            raise LogError(f"topic {topic!r} has partitions 0 to {len(buffers) - 1}, found {partition}")
        return buffers[partition]

    def _buffers(self) -> Iterator["_Buffer"]:
        return chain.from_iterable(self._topics.values())


class _Buffer:
    """Encoded records that wait for their write, and where they go."""

    __slots__ = ("records", "size", "tail")

    def __init__(self, tail: "Tail") -> None:
        self.tail = tail
        self.records: list[bytes] = []
        self.size = 0

    def flush(self) -> None:
        if self.records:
            self.tail.append(b"".join(self.records))
            self.records.clear()
            self.size = 0


class Tail:
    """The end of a partition as one writer knows it: up to `_end` all records are known to be sound."""

    def __init__(self, partition: Path, retention: Retention, segment_bytes: int, fsync: bool) -> None:
        self._partition = partition
        self._retention = retention
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._fd = -1
        self._base = self._end = 0

    def append(self, data: bytes) -> None:
        """Write whole records in one go after the last sound one. Raises LogError; then none was written."""
        try:
            with locked(self._partition / "lock"):
                self._catch_up()
                if self._end - self._base >= self._segment_bytes:
                    self._roll()
                self._write(data)
        except OSError as error:
            path = segment.path(self._partition, self._base)
            raise LogError(
                f"cannot append {len(data)} bytes to {path}: {error}; they wait for the next flush"
            ) from error

    def close(self) -> None:
        """Release."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _catch_up(self) -> None:
        """Find the end, which other writers may have moved, and cut off what a killed one left unfinished."""
        if self._fd < 0 or self._has_rolled():
            self._open(segment.bases(self._partition)[-1])
        size = os.fstat(self._fd).st_size
        if self._base + size < self._end:
            self.close()  # the next attempt takes the file as it is
            raise OSError(f"expected at least {self._end - self._base} bytes, found {size}")
        if self._base + size > self._end:
            self._repair(size)

    def _repair(self, size: int) -> None:
        path = str(segment.path(self._partition, self._base))
        self._end, corrupt = segment.sound_end(self._fd, self._base, self._end)
        torn = self._base + size - self._end
        if corrupt:
            # Cutting here would take sound records with it; the reader that gets here reports it.
            _log.error("corrupt record, segment closed", path=path, offset=self._end)
            self._end = self._base + size
            self._roll()
        elif torn:
            _log.warning("torn record cut off", path=path, offset=self._end, bytes=torn)
            os.ftruncate(self._fd, self._end - self._base)

    def _has_rolled(self) -> bool:
        status = os.fstat(self._fd)
        if status.st_nlink == 0:
            return True
        return status.st_size > 0 and segment.path(self._partition, self._base + status.st_size).exists()

    def _open(self, base: int) -> None:
        self.close()
        self._fd = os.open(segment.path(self._partition, base), os.O_RDWR | os.O_CREAT, 0o644)
        self._base = self._end = base

    def _write(self, data: bytes) -> None:
        at, view = self._end - self._base, memoryview(data)
        try:
            while view:
                written = os.pwrite(self._fd, view, at)
                at, view = at + written, view[written:]
            if self._fsync:
                os.fsync(self._fd)
        except OSError:
            # All or nothing, so that the next attempt repeats no record.
            with suppress(OSError):
                os.ftruncate(self._fd, self._end - self._base)
            raise
        self._end = self._base + at

    def _roll(self) -> None:
        self._open(self._end)
        if self._fsync:
            folder = os.open(self._partition, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self._retain()

    def _retain(self) -> None:
        """Remove the oldest segments that retention does not keep, never the active one."""
        for base, after in pairwise(segment.bases(self._partition)):
            if not (self._too_large(base) or self._too_old(base)):
                break
            segment.path(self._partition, base).unlink()
            _log.info("segment removed", topic=self._partition.parent.name, first=base, end=after)

    def _too_large(self, base: int) -> bool:
        limit = self._retention.size_bytes_max
        return limit is not None and self._end - base > limit

    def _too_old(self, base: int) -> bool:
        if self._retention.age_s_max is None:
            return False
        with segment.path(self._partition, base).open("rb") as file:
            _, newest_ns = segment.skim(file.fileno(), base, base)
        return newest_ns < time.time_ns() - self._retention.age_s_max * 1_000_000_000


@contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock file; it falls free when its holder dies."""
    fd = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)
