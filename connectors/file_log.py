"""The topic log in a directory: what the embedded default has in place of Kafka.

    <root>/<topic>/topic.json                        partition count and retention
    <root>/<topic>/<partition>/<first offset>.log    segments, see `connectors.segment`
    <root>/<topic>/<partition>/<group>.group         offset a group has committed
    <root>/<topic>/<partition>/lock                  held (flock) by whoever appends

Several processes may write and read a partition at once; the directory must be on a local file system. A
writer gathers records and appends them in one write under the lock. What a killed writer left half written is
cut off by the next one to append; until then readers wait before it. A process crash loses nothing that was
flushed; to outlive a power failure too, open the log with `fsync=True` (some milliseconds a flush).
"""

import fcntl
import os
from pathlib import Path

import msgspec

from connectors import segment
from connectors.file_writer import FileWriter, Tail, locked
from connectors.log import POLL_BYTES, LogError, OffsetGoneError, Retention, check_name
from connectors.record import Record

SEGMENT_BYTES = 64 << 20


class _Topic(msgspec.Struct, frozen=True):
    """The content of topic.json."""

    partitions: int
    size_bytes_max: int | None = None
    age_s_max: int | None = None


class FileLog:
    """The topics under `root`, which `create` makes. A segment is closed once it holds `segment_bytes`."""

    def __init__(self, root: Path, segment_bytes: int = SEGMENT_BYTES, fsync: bool = False) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._fsync = fsync

    def create(self, topic: str, partitions: int, retention: Retention = Retention()) -> None:
        """Make the topic if it is missing; an existing one stays as it is."""
        check_name(topic, "a topic")
        if partitions < 1:
            raise LogError(f"a topic has at least one partition, found {partitions} for {topic!r}")
        folder = self._root / topic
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder / "lock"):
                if (folder / "topic.json").exists():
                    return
                for partition in range(partitions):
                    (folder / str(partition)).mkdir(exist_ok=True)
                    segment.path(folder / str(partition), 0).touch()
                    (folder / str(partition) / "lock").touch()
                # Last: a topic that has its topic.json is complete.
                content = _Topic(partitions, retention.size_bytes_max, retention.age_s_max)
                _replace(folder / "topic.json", msgspec.json.encode(content))
        except OSError as error:
            raise LogError(f"cannot create topic {topic!r} in {self._root}: {error}") from error

    def topics(self) -> dict[str, int]:
        """Name and partition count of every topic."""
        names = sorted(path.parent.name for path in self._root.glob("*/topic.json"))
        return {name: self._topic(name).partitions for name in names}

    def writer(self) -> FileWriter:
        """A new writer."""
        return FileWriter(self._tails)

    def reader(
        self, topic: str, partition: int, offset: int | None = None, group: str = "isotherm"
    ) -> "FileReader":
        """A reader from `offset` on (None: the oldest kept). Raises LogError if there is no such topic."""
        check_name(group, "a group")
        return FileReader(self._partition(topic, partition), offset, group)

    def close(self) -> None:
        """Nothing to release: writers and readers are closed on their own."""

    def _tails(self, topic: str) -> list[Tail]:
        found = self._topic(topic)
        retention = Retention(found.size_bytes_max, found.age_s_max)
        folders = (self._root / topic / str(partition) for partition in range(found.partitions))
        return [Tail(folder, retention, self._segment_bytes, self._fsync) for folder in folders]

    def _topic(self, topic: str) -> _Topic:
        check_name(topic, "a topic")
        path = self._root / topic / "topic.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Topic)
        except FileNotFoundError:
            raise LogError(f"there is no topic {topic!r} in {self._root}: create it first") from None
        except (OSError, msgspec.DecodeError) as error:
            raise LogError(f"cannot read {path}: {error}") from error

    def _partition(self, topic: str, partition: int) -> Path:
        count = self._topic(topic).partitions
        if not 0 <= partition < count:
            raise LogError(f"topic {topic!r} has partitions 0 to {count - 1}, found {partition}")
        return self._root / topic / str(partition)


class FileReader:
    """Reads one partition; see `connectors.log.Reader`."""

    def __init__(self, partition: Path, offset: int | None, group: str) -> None:
        self._partition = partition
        self._group = partition / f"{group}.group"
        self._fd = -1
        self._base = self._whole_end = 0
        self.offset = segment.bases(partition)[0] if offset is None else offset
        if offset is None:
            self._open()  # holds the oldest segment, whatever retention does before the first poll

    def poll(self, bytes_max: int = POLL_BYTES) -> list[Record]:
        """The next records; see `connectors.log.Reader.poll`. Waits silently before a half written record."""
        if self._fd < 0:
            self._open()
        # Asked before reading: a removed segment grows no more, so an empty read then means its very end.
        removed = os.fstat(self._fd).st_nlink == 0
        records = self._read(bytes_max)
        if not records and self._advance(removed):
            records = self._read(bytes_max)
        return records

    def end(self) -> int:
        """The offset that the next record appended will have."""
        base = segment.bases(self._partition)[-1]
        known = max(base, self._whole_end, self.offset if self._fd >= 0 else 0)
        with segment.path(self._partition, base).open("rb") as file:
            self._whole_end, _ = segment.skim(file.fileno(), base, known)
        return self._whole_end

    def commit(self, offset: int) -> None:
        """Keep the group's offset in a file beside the segments."""
        _replace(self._group, b"%d\n" % offset)

    def committed(self) -> int | None:
        """The offset this reader's group has last committed; None if it never has."""
        try:
            return int(self._group.read_bytes())
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Release."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, bytes_max: int) -> list[Record]:
        parsed = segment.read(self._fd, self._base, self.offset, bytes_max)
        if not parsed.used and parsed.rest == segment.CORRUPT:
            # A writer may be replacing a torn record at this moment; with the lock held none is.
            with locked(self._partition / "lock", fcntl.LOCK_SH):
                parsed = segment.read(self._fd, self._base, self.offset, bytes_max)
            if not parsed.used and parsed.rest == segment.CORRUPT:
                path = segment.path(self._partition, self._base)
                raise LogError(f"expected a record at offset {self.offset} of {path}, found corrupt bytes")
        self.offset += parsed.used
        return parsed.records

    def _advance(self, removed: bool) -> bool:
        """Go on to the next segment, if there is one."""
        if self.offset == self._base:
            return False
        try:
            fd = os.open(segment.path(self._partition, self.offset), os.O_RDONLY)
        except FileNotFoundError:
            if removed:
                raise self._gone() from None
            return False
        os.close(self._fd)
        self._fd, self._base = fd, self.offset
        return True

    def _open(self) -> None:
        base = max((base for base in segment.bases(self._partition) if base <= self.offset), default=None)
        if base is None:
            raise self._gone()
        path = segment.path(self._partition, base)
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # removed since it was listed
            raise self._gone() from None
        except OSError as error:
            raise LogError(f"cannot read {path}: {error}") from error
        if self.offset - base > os.fstat(fd).st_size:
            os.close(fd)
            raise self._gone()
        self._fd, self._base = fd, base

    def _gone(self) -> OffsetGoneError:
        oldest, end = segment.bases(self._partition)[0], self.end()
        return OffsetGoneError(f"{self._partition} holds offsets {oldest} to {end}, asked for {self.offset}")


def _replace(path: Path, content: bytes) -> None:
    """Write a small file in one step: whoever reads it sees the old content or the new."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_bytes(content)
    new.replace(path)
