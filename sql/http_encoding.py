"""Content-Encoding of the store's HTTP front: bounded decompression, streaming compression."""

import zlib
from collections.abc import Callable

import lz4.frame
import zstandard

OFFERED = ("zstd", "lz4", "gzip", "deflate")


class EncodingError(ValueError):
    """A body that cannot be decompressed, or would grow too large."""


def choose(accepted: str) -> str | None:
    """The encoding to answer in, of those in an Accept-Encoding header; None for none."""
    names = {part.partition(";")[0].strip() for part in accepted.split(",")}
    return next((name for name in OFFERED if name in names), None)


def decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The whole body, at most `bytes_max` of it. Raises EncodingError."""
    try:
        out, complete = _decompress(body, encoding, bytes_max)
    except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
        raise EncodingError(f"body is no valid {encoding}: {error}") from error
    if not complete:
        raise EncodingError(f"body is cut short, or larger than {bytes_max} bytes when decompressed")
    return out


def _decompress(body: bytes, encoding: str, bytes_max: int) -> tuple[bytes, bool]:
    if encoding in ("gzip", "x-gzip", "deflate"):
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS if encoding == "deflate" else zlib.MAX_WBITS + 16)
        return inflater.decompress(body, bytes_max), inflater.eof
    if encoding == "lz4":
        frame = lz4.frame.LZ4FrameDecompressor()
        return frame.decompress(body, max_length=bytes_max), frame.eof
    if encoding == "zstd":
        return _decompress_zstd(body, bytes_max)
    raise EncodingError(f"Content-Encoding {encoding}: expected one of {', '.join(OFFERED)}")


def _decompress_zstd(body: bytes, bytes_max: int) -> tuple[bytes, bool]:
    # The library has no bound on what one call returns, hence small steps: 512 bytes hold at most 16 MiB.
    frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    out = bytearray()
    for at in range(0, len(body), 512):
        out += frame.decompress(body[at : at + 512])
        if frame.eof or len(out) > bytes_max:
            break
    return bytes(out), frame.eof and len(out) <= bytes_max


class Compressor:
    """Compresses an answer chunk by chunk."""

    def __init__(self, encoding: str | None):
        self._begin = b""
        self._write: Callable[[bytes], bytes] = bytes
        self._flush: Callable[[], bytes] = bytes
        if encoding in ("gzip", "deflate"):
            deflater = zlib.compressobj(
                3, wbits=zlib.MAX_WBITS + 16 if encoding == "gzip" else zlib.MAX_WBITS
            )
            self._write, self._flush = deflater.compress, deflater.flush
        elif encoding == "zstd":
            packer = zstandard.ZstdCompressor(level=1).compressobj()
            self._write, self._flush = packer.compress, packer.flush
        elif encoding == "lz4":
            frame = lz4.frame.LZ4FrameCompressor()
            self._begin = frame.begin()
            self._write, self._flush = frame.compress, frame.flush

    def write(self, chunk: bytes) -> bytes:
        """The next bytes of the answer, possibly none."""
        begin, self._begin = self._begin, b""
        return begin + self._write(chunk)

    def flush(self) -> bytes:
        """The last bytes of the answer."""
        return self.write(b"") + self._flush()
