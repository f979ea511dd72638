r"""What travels on a topic: lines, gathered into records.

A line is one message of a venue with its time of receipt::

    <recv_ns> <origin> <length> <payload>\n

`recv_ns` is int ns UTC; `origin` names the connection (`ws-3`) or the REST request it answered, without
blanks and without secrets; `length` counts the payload's bytes, so the payload may hold any bytes, newlines
included. A record is one or more lines of one key in receive order; the key is the venue's symbol, or the
stream's name for a frame about many symbols.

Lines whose origin begins with `!` are control lines, written by the connector into the same stream; their
payload is a JSON object:

* `!instrument` tick, lot, canonical name ... of the key's instrument, before its data and on change.
* `!reset`      the book can no longer be trusted; `reason` says why.
* `!book`       the connector's own synced book in full, at an exact update id where the venue has ids: `lastUpdateId`,
  `bids` and `asks` as the venue writes them, `covered` prices (null: all are there) and `depth`, levels a side, where
  the venue tells of the best ones only.
* `!clock`      the venue time the partition has reached: silence is judged by it (see `connectors.venue_clock`).
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

RECORD_BYTES_MAX = 64 * 1024
RECORD_SPAN_NS_MAX = 50_000_000
LINE_BYTES_MAX = 8 * 1024 * 1024

INSTRUMENT = b"!instrument"
RESET = b"!reset"
BOOK = b"!book"
CLOCK = b"!clock"


class Line(NamedTuple):
    """One message: receive time in ns UTC, origin, payload exactly as received."""

    recv_ns: int
    origin: bytes
    payload: bytes

    def encoded_bytes(self) -> int:
        """How many bytes the line takes in a record."""
        length = len(self.payload)
        return len(str(self.recv_ns)) + len(self.origin) + len(str(length)) + length + 4


class Record(NamedTuple):
    """One record as a reader returns it; `offset` is opaque and rises within its partition."""

    key: bytes
    offset: int
    body: bytes


class LineError(ValueError):
    """A record's body is not a sequence of whole lines."""


def encode_line(recv_ns: int, origin: bytes, payload: bytes) -> bytes:
    """The line as it stands in a record.

    Raises:
        LineError: the payload is over `LINE_BYTES_MAX`, or the origin is empty or holds a blank or newline.
    """
    if len(payload) > LINE_BYTES_MAX:
        raise LineError(f"a line may hold {LINE_BYTES_MAX} bytes, found {len(payload)}")
    if not origin or b" " in origin or b"\n" in origin:
        raise LineError(f"an origin is one word, found {origin[:80]!r}")
    return b"%d %s %d %s\n" % (recv_ns, origin, len(payload), payload)


def encode_control(recv_ns: int, kind: bytes, **fields: object) -> bytes:
    """A control line of `kind` (INSTRUMENT, RESET, BOOK or CLOCK) with a JSON object as payload."""
    return encode_line(recv_ns, kind, msgspec.json.encode(fields))


def decode_lines(body: bytes, at: int = 0) -> Iterator[Line]:
    """The lines of a record's body from byte `at` on, in order.

    Raises:
        LineError: at the first byte that does not continue a whole line; lines before it were yielded.
    """
    while at < len(body):
        line, at = _decode_line(body, at)
        yield line


def _decode_line(body: bytes, at: int) -> tuple[Line, int]:
    origin_at = body.find(b" ", at, at + 24) + 1
    length_at = body.find(b" ", origin_at) + 1
    payload_at = body.find(b" ", length_at, length_at + 12) + 1
    try:
        if not (origin_at and length_at and payload_at):
            raise ValueError
        recv_ns, length = int(body[at : origin_at - 1]), int(body[length_at : payload_at - 1])
    except ValueError:
        raise LineError(
            f"expected '<recv_ns> <origin> <length> ' at byte {at}, found {body[at : at + 60]!r}"
        ) from None
    end = payload_at + length
    if length < 0 or body[end : end + 1] != b"\n":
        raise LineError(f"expected a payload of {length} bytes and a newline at byte {payload_at}")
    return Line(recv_ns, body[origin_at : length_at - 1], body[payload_at:end]), end + 1


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, the same on every log: crc32(key) mod n (librdkafka's `consistent`)."""
    return zlib.crc32(key) % partitions


class Chunker:
    """Gathers lines into records: per key, cut at 64 KiB or 50 ms of receive time.

    A one-line record costs more to carry than its line to parse, so lines wait for company. Time is that of
    the lines, not of a clock: the same lines give the same records. A live driver also calls `cut` by timer.
    """

    def __init__(self, span_ns: int = RECORD_SPAN_NS_MAX, size_max: int = RECORD_BYTES_MAX) -> None:
        self._span_ns = span_ns
        self._size_max = size_max
        self._open: dict[bytes, _OpenRecord] = {}

    def add(self, key: bytes, recv_ns: int, line: bytes) -> Iterator[tuple[bytes, bytes, int]]:
        """Take an encoded line; yields the finished records as (key, body, recv_ns of the last line)."""
        # The records that are due leave first, oldest first: the log stays near receive order across keys.
        while self._open:
            oldest = next(iter(self._open.values()))
            if recv_ns - oldest.first_ns < self._span_ns:
                break
            yield self._close(oldest.key)
        record = self._open.get(key)
        if record is not None and record.size + len(line) > self._size_max:
            yield self._close(key)
            record = None
        if record is None:
            record = self._open[key] = _OpenRecord(key, recv_ns)
        record.lines.append(line)
        record.size += len(line)
        record.last_ns = recv_ns

    def cut(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Finish every open record, oldest first."""
        while self._open:
            yield self._close(next(iter(self._open)))

    def _close(self, key: bytes) -> tuple[bytes, bytes, int]:
        record = self._open.pop(key)
        return key, b"".join(record.lines), record.last_ns


class _OpenRecord:
    __slots__ = ("first_ns", "key", "last_ns", "lines", "size")

    def __init__(self, key: bytes, first_ns: int) -> None:
        self.key, self.first_ns, self.last_ns = key, first_ns, first_ns
        self.lines: list[bytes] = []
        self.size = 0
