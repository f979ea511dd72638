"""The topic log: what a log can do, whichever implements it.

Two implementations: `connectors.kafka_log` (Apache Kafka) and `connectors.file_log` (append-only segments in
a directory: the embedded default). Both hold the same records in the same partitions, so a flow cannot tell
them apart. Offsets are opaque ints that rise within a partition; the one after a record is `Reader.offset`
after reading it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.record import LINE_BYTES_MAX, Record

ALERTS_IN = "alerts_in"
BARS = "bars"
DEAD_LETTER = "dead_letter"
FEATURES = "features"
HEALTH = "health"
POLL_BYTES = 1 << 20
APPEND_BYTES_MAX = LINE_BYTES_MAX + (1 << 18)  # key and body of one record: the largest line and its head

_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a topic is kept; None means without bound. Bounds how far a rebuild can reach."""

    size_bytes_max: int | None = None  # per partition
    age_s_max: int | None = None  # since the record's receive time


class OffsetGoneError(LookupError):
    """The offset asked for is no longer (or not yet) in the log: never skipped over silently."""


class LogError(RuntimeError):
    """The log refused or lost something; the message says what and what to do."""


class Writer(Protocol):
    """Appends records. Not shared between threads; several writers, in several processes, may be open."""

    def append(self, topic: str, key: bytes, body: bytes, recv_ns: int, partition: int | None = None) -> None:
        """Take a record for `partition` (by default `record.partition_of(key)`); durable after `flush`.

        Blocks while the writer's bounded buffer is full. `recv_ns` is the receive time of its last line.

        Raises:
            LogError: the topic is missing, the record too large, or an earlier record was lost.
        """

    def flush(self) -> None:
        """Return when every record taken is durable. Raises LogError if one is not."""

    def close(self) -> None:
        """Flush and release."""


class Reader(Protocol):
    """Reads one partition from an offset on, following its end."""

    @property
    def offset(self) -> int:
        """Offset of the next record `poll` returns."""

    def poll(self, bytes_max: int = POLL_BYTES) -> list[Record]:
        """The next records, about `bytes_max` in all, at least one if there is one; [] at the end of the log.

        Returns at once or after a few milliseconds, never waits for data longer.

        Raises:
            OffsetGoneError: retention has removed the offset.
            LogError: a stored record is corrupt; the message names file or partition and offset.
        """

    def end(self) -> int:
        """The offset that the next record appended will have: where the partition ends now."""

    def commit(self, offset: int) -> None:
        """Let lag tools see how far this reader's group has got. Recovery never reads it."""

    def committed(self) -> int | None:
        """The offset this reader's group has last committed; None if it never has."""

    def close(self) -> None:
        """Release."""


class Log(Protocol):
    """A set of topics."""

    def create(self, topic: str, partitions: int, retention: Retention = Retention()) -> None:
        """Make the topic if it is missing; partition count and retention of an existing one stay as they are.

        Raises:
            LogError: the name is not of a-z, 0-9, '.', '_' and '-', or the log refused.
        """

    def topics(self) -> dict[str, int]:
        """Name and partition count of every topic."""

    def writer(self) -> Writer:
        """A new writer."""

    def reader(
        self, topic: str, partition: int, offset: int | None = None, group: str = "isotherm"
    ) -> Reader:
        """A reader from `offset` on (None: the oldest record kept). Raises LogError if there is no such topic."""

    def close(self) -> None:
        """Release."""


def check_name(name: str, what: str) -> None:
    """Raise LogError unless `name` suits a topic or group on every log."""
    if not _NAME.fullmatch(name):
        raise LogError(
            f"{what} is named by up to 200 of a-z, 0-9, '.', '_' and '-', not '.' first, found {name!r}"
        )


def open_log(url: str) -> Log:
    """The log at `file:DIR` or `kafka:HOST:PORT[,HOST:PORT...]`.

    Raises:
        LogError: the address is of neither form.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "file" and rest:
        from connectors.file_log import FileLog  # noqa: PLC0415 - only the log in use is loaded

        return FileLog(Path(rest))
    if scheme == "kafka" and rest:
        from connectors.kafka_log import KafkaLog  # noqa: PLC0415

        return KafkaLog(rest)
    raise LogError(f"expected a log as file:DIR or kafka:HOST:PORT, found {url!r}")
