"""The health kernel: rows of topic `health`, as connectors tell them each second, as rows of `feed_health`.

Nothing is computed here. A record that is not an array of such rows is set aside as a whole.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from connectors.log import HEALTH
from connectors.record import Record
from flows.kernels.block import Block

DUMP_VERSION = 1
PAYLOAD_HEAD_BYTES = 4096

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Row(msgspec.Struct):
    """A feed at one time. None: nothing to measure yet; queues are those of its market."""

    venue: str
    symbol: str
    time_ns: Count
    state: str
    reason: str
    age_ms: float | None
    messages_per_s: float
    bytes_per_s: float
    messages: Count
    gaps: Count
    resyncs: Count
    reconnects: Count
    unreadable: Count
    delay_ms_p50: float | None
    delay_ms_p99: float | None
    queue_outbox_bytes: Count = 0
    queue_rest_waiting: Count = 0
    queue_rest_weight_used: Count = 0


TABLE_COLUMNS = {
    "feed_health": (*Row.__struct_fields__, "version"),
    "dead_letters": (
        "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
    ),
}  # fmt: skip

_decode = msgspec.msgpack.Decoder(list[Row]).decode


class HealthKernel:
    """The feeds of one partition of `health`. Pure: its rows depend on the records alone."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._newest_ns = 0
        self.counts: Counter[str] = Counter()

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns their rows."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLE_COLUMNS}
        for record in records:
            try:
                found = _decode(record.body)
            except msgspec.MsgspecError as error:
                self.counts["dead_letters"] += 1
                rows["dead_letters"].append(self._dead_letter(record, str(error)))
                continue
            self.counts["health_rows"] += len(found)
            rows["feed_health"] += map(_values, found)
            self._newest_ns = max([self._newest_ns, *(row.time_ns for row in found)])
        return [Block.of(table, TABLE_COLUMNS[table], found) for table, found in rows.items() if found]

    def flush(self) -> list[Block]:
        """Nothing is held back."""
        return []

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began."""
        return {name: self.counts[name] for name in ("health_rows", "dead_letters")}

    def _dead_letter(self, record: Record, detail: str) -> tuple[Any, ...]:
        # The record tells no time of its own: that of the newest row before it stands for it.
        head = record.body[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            HEALTH, self._partition, record.offset, 0, "malformed health", detail[:500], self._newest_ns, head,
            self._newest_ns,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All state."""
        return msgspec.msgpack.encode((DUMP_VERSION, self._newest_ns, dict(self.counts)))

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError if another version of this kernel wrote it."""
        version, *rest = msgspec.msgpack.decode(state)
        if version != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the topic"
            )
        self._newest_ns, counts = rest
        self.counts = Counter(counts)


def _values(row: Row) -> tuple[Any, ...]:
    """Values in the order of the table's columns; what is not known is NaN there."""
    return (*(math.nan if x is None else x for x in msgspec.structs.astuple(row)), row.time_ns)
