"""What the kernels of topics without order books share: a line at a time into rows, and what is no line set aside.

A kernel is a `LineKernel` with a `blocks_of`; what that refuses becomes a row of `dead_letters`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.record import Line, LineError, Record, decode_lines
from connectors.venue import ParseError
from flows.kernels.block import Block

DUMP_VERSION = 1
PAYLOAD_HEAD_BYTES = 4096
DETAIL_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 200
DEAD_LETTER_COLUMNS = (
    "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
)  # fmt: skip
# What an Int64 of nanoseconds can hold, less the years that ClickHouse's dates cannot (1900 to 2262).
TIME_NS_MIN, TIME_NS_MAX = -(2_208_988_800 * 10**9), 2**63 - 1


class LineKernel(ABC):
    """The lines of one partition. Pure: its rows depend on the records alone. Control lines are passed over."""

    reason = "malformed line"  # of what `blocks_of` refuses

    def __init__(self, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, partition
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def blocks_of(self, line: Line) -> list[Block]:
        """The rows of a line. Raises ParseError if it is not what the topic holds."""

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns their rows."""
        blocks: list[Block] = []
        letters: list[tuple[Any, ...]] = []
        for record in records:
            self._on_record(record, blocks, letters)
        if letters:
            blocks.append(Block.of("dead_letters", DEAD_LETTER_COLUMNS, letters))
        for block in blocks:
            self.counts[block.table] += len(block)
        return blocks

    def _on_record(self, record: Record, blocks: list[Block], letters: list[tuple[Any, ...]]) -> None:
        at = 0
        try:
            for line in decode_lines(record.body):
                if not line.origin.startswith(b"!"):
                    try:
                        blocks += self.blocks_of(line)
                    except ParseError as error:
                        letters.append(self._letter(record, at, line, self.reason, str(error)))
                at += line.encoded_bytes()
        except LineError as error:
            torn = Line(0, b"", record.body[at:])
            letters.append(self._letter(record, at, torn, "torn record", str(error)))

    def _letter(self, record: Record, at: int, line: Line, reason: str, detail: str) -> tuple[Any, ...]:
        head = line.payload[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            self._topic, self._partition, record.offset, at, reason, detail[:DETAIL_CHARACTERS_MAX], line.recv_ns, head,
            line.recv_ns,
        )  # fmt: skip

    def flush(self) -> list[Block]:
        """Nothing is held back."""
        return []

    def summary(self) -> dict[str, Any]:
        """Rows by table since the kernel began."""
        return dict(self.counts)

    def dump(self) -> bytes:
        """All state: the counters."""
        return msgspec.msgpack.encode((DUMP_VERSION, dict(self.counts)))

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError if another version of this kernel wrote it."""
        version, *rest = msgspec.msgpack.decode(state)
        if version != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the topic"
            )
        (counts,) = rest
        self.counts = Counter(counts)


def check_name(name: str, what: str) -> str:
    """`name`, if it may be one: it is in each row of its table, and in messages of many rows. Raises ParseError."""
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise ParseError(f"expected {what} of up to {NAME_CHARACTERS_MAX} characters, found {name[:60]!r}")
    return name


def check_time(time_ns: int, what: str) -> int:
    """`time_ns`, if the store can hold it. Raises ParseError."""
    if not TIME_NS_MIN <= time_ns <= TIME_NS_MAX:
        raise ParseError(f"expected {what} within the years 1900 to 2262 in ns UTC, found {time_ns}")
    return time_ns
