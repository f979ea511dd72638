r"""A recording as a file: its bytes through gzip or zstd, what cannot be read of it, and our own format.

Our own format is a zstd stream. It begins with one line of JSON, `{"isotherm_recording":1,"topic":...,
"partitions":...,"created_ns":...}`, then holds the records of that topic, each as a little-endian header, key
and body::

    u32 length of body | u16 length of key | u16 partition | u64 recv_ns | u32 crc32 of all else | key | body
"""

import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, NamedTuple, Protocol, Self

import msgspec
import zstandard

from connectors.record import LINE_BYTES_MAX

VERSION = 1
BODY_BYTES_MAX = 2 * LINE_BYTES_MAX
HEADER_BYTES_MAX = 4096

_FRAME = struct.Struct("<IHHQ")
_CRC = struct.Struct("<I")
_BLOCK_BYTES = 1 << 18
# Decompressed piece by piece, so that damage costs little of what stands before it and a few bytes that
# unfold into very many stay bounded.
_PIECE_BYTES = 1024


class RecordingError(Exception):
    """The file cannot be read or written as a recording at all; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of a recording that could not be read; what stands before it was, as is what follows a bad line.

    `position` counts lines or records from 1, or bytes from 0: of the compressed file where that is damaged,
    else of the content. `head` is the beginning of what was found there.
    """

    path: Path
    position: int
    unit: Literal["line", "byte", "record"]
    reason: str
    head: bytes = b""

    def __str__(self) -> str:
        return f"{self.path}, {self.unit} {self.position}: {self.reason}"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of our own format."""

    isotherm_recording: int
    topic: str
    partitions: int
    created_ns: int


class StoredRecord(NamedTuple):
    """A record with all that a log's writer asks for; `recv_ns` is that of its last line."""

    key: bytes
    partition: int
    recv_ns: int
    body: bytes


class RecordingWriter:
    """Writes a new file in our own format; a context manager.

    Raises:
        RecordingError: the file exists or cannot be made, or a record is too large.
    """

    def __init__(self, path: Path, topic: str, partitions: int, created_ns: int) -> None:
        try:
            self._file = path.open("xb")
        except FileExistsError:
            raise RecordingError(f"{path} exists: remove it or choose another name") from None
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}") from None
        self._zstd = zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(self._file)
        header = Header(isotherm_recording=VERSION, topic=topic, partitions=partitions, created_ns=created_ns)
        self._zstd.write(msgspec.json.encode(header) + b"\n")

    def append(self, record: StoredRecord) -> None:
        """Take a record; in the file after `flush` or `close`."""
        key, partition, recv_ns, body = record
        if len(body) > BODY_BYTES_MAX:
            raise RecordingError(f"a recorded body may hold {BODY_BYTES_MAX} bytes, found {len(body)}")
        try:
            head = _FRAME.pack(len(body), len(key), partition, recv_ns)
        except struct.error as error:
            raise RecordingError(f"key, partition or recv_ns out of range: {error}") from None
        self._zstd.write(b"".join((head, _CRC.pack(_crc(head, key, body)), key, body)))

    def flush(self) -> None:
        """Hand every record taken to the operating system, so that a crash cannot cut it off."""
        self._zstd.flush(zstandard.FLUSH_BLOCK)
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._zstd.close()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _crc(head: bytes, key: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(key, zlib.crc32(head)))


# ---- reading


def stored_records(path: Path) -> tuple[Header, Iterator[StoredRecord | Fault]]:
    """Header and records of a recording in our own format; after a Fault nothing follows.

    Raises:
        RecordingError: it is not one.
    """
    content = blocks(path)
    try:
        return frames(path, content)
    except RecordingError:
        content.close()
        raise


def frames(path: Path, content: Iterator[bytes | Fault]) -> tuple[Header, Iterator[StoredRecord | Fault]]:
    """As `stored_records`, of content already opened by `blocks`."""
    source = _Bytes(content)
    line = source.line(HEADER_BYTES_MAX)
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RecordingError(f"{path} is not a recording of ours: it begins with {line[:60]!r}") from None
    if header.isotherm_recording != VERSION:
        raise RecordingError(f"{path} has version {header.isotherm_recording}, expected {VERSION}")
    return header, _frames(path, source)


def _frames(path: Path, source: "_Bytes") -> Iterator[StoredRecord | Fault]:
    while True:
        at = source.position
        head = source.take(_FRAME.size + _CRC.size)
        if not head:
            break
        record = _frame(head, source)
        if isinstance(record, str):
            yield source.fault or Fault(path, at, "byte", record, head)
            return
        yield record
    if source.fault:
        yield source.fault


def _frame(head: bytes, source: "_Bytes") -> StoredRecord | str:
    """The record that `head` opens, or what is wrong with it."""
    if len(head) < _FRAME.size + _CRC.size:
        return "truncated: the file ends within a record"
    body_bytes, key_bytes, partition, recv_ns = _FRAME.unpack_from(head)
    if body_bytes > BODY_BYTES_MAX:
        return f"corrupt record: a body may hold {BODY_BYTES_MAX} bytes, found {body_bytes}"
    rest = source.take(key_bytes + body_bytes)
    if len(rest) < key_bytes + body_bytes:
        return "truncated: the file ends within a record"
    key, body = rest[:key_bytes], rest[key_bytes:]
    if _CRC.unpack_from(head, _FRAME.size)[0] != _crc(head[: _FRAME.size], key, body):
        return "corrupt record: its checksum does not match"
    return StoredRecord(key, partition, recv_ns, body)


class _Bytes:
    """Takes exact numbers of bytes from blocks; keeps the fault that ends them."""

    def __init__(self, content: Iterator[bytes | Fault]) -> None:
        self._content = content
        self._held = b""
        self._at = 0
        self.position = 0
        self.fault: Fault | None = None

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        while len(self._held) - self._at < count and self._more():
            pass
        taken = self._held[self._at : self._at + count]
        self._at += len(taken)
        self.position += len(taken)
        return taken

    def line(self, bytes_max: int) -> bytes:
        """The bytes up to and with the next newline, at most `bytes_max`."""
        while (end := self._held.find(b"\n", self._at)) < 0 and len(self._held) < bytes_max and self._more():
            pass
        return self.take(min(end + 1, bytes_max) if end >= 0 else bytes_max)

    def _more(self) -> bool:
        block = next(self._content, b"")
        if isinstance(block, Fault):
            self.fault = block
            return False
        self._held, self._at = self._held[self._at :] + block, 0
        return bool(block)


def blocks(path: Path) -> Generator[bytes | Fault, None, None]:
    """The content of a gzip, zstd or plain file; last a Fault if there is more that cannot be read.

    Raises:
        RecordingError: it cannot be opened, at once.
    """
    try:
        file = path.open("rb")
    except IsADirectoryError:
        raise RecordingError(f"{path} is a directory, expected a recording") from None
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from None
    return _blocks(path, file)


class _Decompressor(Protocol):
    """What zlib's and zstandard's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_DECOMPRESSORS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"\x28\xb5": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


def _blocks(path: Path, file: BinaryIO) -> Generator[bytes | Fault, None, None]:
    with file:
        new = _DECOMPRESSORS.get(file.read(2))
        file.seek(0)
        if new is None:
            while block := file.read(_BLOCK_BYTES):
                yield block
            return
        yield from _gathered(_decompressed(path, file, new))


def _gathered(pieces: Iterator[bytes | Fault]) -> Iterator[bytes | Fault]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        whole = isinstance(piece, Fault) or size >= _BLOCK_BYTES
        if whole and size:
            yield b"".join(held)
            held, size = [], 0
        if isinstance(piece, Fault):
            yield piece
        else:
            held.append(piece)
            size += len(piece)
    if size:
        yield b"".join(held)


def _decompressed(path: Path, file: BinaryIO, new: Callable[[], _Decompressor]) -> Iterator[bytes | Fault]:
    stream, within = new(), False
    while piece := file.read(_PIECE_BYTES):
        # Several members may follow one another, with zeros as padding.
        while piece := piece if within else piece.lstrip(b"\0"):
            within = True
            try:
                yield stream.decompress(piece)
            except (zlib.error, zstandard.ZstdError) as error:
                at = file.tell() - len(piece)
                yield Fault(path, at, "byte", f"corrupt compressed data: {error}", piece[:80])
                return
            piece = stream.unused_data
            if stream.eof:
                stream, within = new(), False
    if within:
        yield Fault(path, file.tell(), "byte", "truncated: the compressed data ends early")
