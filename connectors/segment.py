"""How records lie in a segment file of the file log.

A record is a head, the key and the body. The head, little endian: magic `I1`, key length (2 bytes), body
length (4), crc32 of all that follows it (4), recv_ns of the last line (8). Segments hold nothing else, and
are named by the position of their first byte in the partition: positions are offsets, so there is no index.
"""

import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from connectors.log import APPEND_BYTES_MAX
from connectors.record import Record

MAGIC = b"I1"
KEY_BYTES_MAX = 0xFFFF

_HEAD = struct.Struct("<2sHIIQ")
_HEAD_UNCHECKED = struct.Struct("<2sHII")
_RECV_NS = struct.Struct("<Q")
_READ_BYTES = 1 << 20

TORN = 0
CORRUPT = -1


class Parsed(NamedTuple):
    """Whole records from the head of some bytes, the bytes they take, and what follows them.

    `rest` is the size of the record that begins there but is not wholly present, TORN if not even its head
    is (also if nothing follows), CORRUPT if no record can begin there.
    """

    records: list[Record]
    used: int
    rest: int


def encode(key: bytes, body: bytes, recv_ns: int) -> bytes:
    """The record as it stands in a segment; key and body within KEY_BYTES_MAX and APPEND_BYTES_MAX."""
    checked = _RECV_NS.pack(recv_ns) + key + body
    return _HEAD_UNCHECKED.pack(MAGIC, len(key), len(body), zlib.crc32(checked)) + checked


def parse(data: bytes, offset: int) -> Parsed:
    """The records in `data`, whose first byte stands at `offset` of the partition."""
    records: list[Record] = []
    view, size, at = memoryview(data), len(data), 0
    head_size, checked_at = _HEAD.size, _HEAD_UNCHECKED.size
    while size - at >= head_size:
        magic, key_length, body_length, crc, _ = _HEAD.unpack_from(data, at)
        if magic != MAGIC or body_length > APPEND_BYTES_MAX:
            return Parsed(records, at, CORRUPT)
        body_at = at + head_size + key_length
        end = body_at + body_length
        if end > size:
            return Parsed(records, at, end - at)
        if zlib.crc32(view[at + checked_at : end]) != crc:
            return Parsed(records, at, CORRUPT)
        records.append(Record(data[at + head_size : body_at], offset + at, data[body_at:end]))
        at = end
    return Parsed(records, at, TORN)


def read(fd: int, base: int, offset: int, bytes_max: int = _READ_BYTES) -> Parsed:
    """The records from `offset` on in the segment beginning at `base`: up to `bytes_max`, or one larger."""
    asked = max(bytes_max, _HEAD.size)
    data = os.pread(fd, asked, offset - base)
    parsed = parse(data, offset)
    if not parsed.used and parsed.rest > len(data) == asked:
        data = os.pread(fd, parsed.rest, offset - base)
        parsed = parse(data, offset)
    return parsed


def sound_end(fd: int, base: int, offset: int) -> tuple[int, bool]:
    """Where the sound records from `offset` on end, and whether what follows is corrupt rather than torn."""
    while (parsed := read(fd, base, offset)).used:
        offset += parsed.used
    return offset, parsed.rest == CORRUPT


def skim(fd: int, base: int, offset: int) -> tuple[int, int]:
    """Where the whole records from `offset` on end, and their newest recv_ns (0 if none), by their heads."""
    size, newest_ns = os.fstat(fd).st_size, 0
    while len(head := os.pread(fd, _HEAD.size, offset - base)) == _HEAD.size:
        magic, key_length, body_length, _, recv_ns = _HEAD.unpack(head)
        end = offset + _HEAD.size + key_length + body_length
        if magic != MAGIC or end - base > size:
            break
        offset, newest_ns = end, max(newest_ns, recv_ns)
    return offset, newest_ns


def path(partition: Path, base: int) -> Path:
    """The segment of a partition that begins at `base`."""
    return partition / f"{base:020d}.log"


def bases(partition: Path) -> list[int]:
    """First offsets of a partition's segments, ascending. Raises FileNotFoundError if it has no folder."""
    return sorted(int(entry.stem) for entry in partition.iterdir() if entry.suffix == ".log")
