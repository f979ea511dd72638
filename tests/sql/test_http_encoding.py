import pytest
from hypothesis import given
from hypothesis import strategies as st

from sql.http_encoding import OFFERED, Compressor, EncodingError, choose, decompress


@given(st.lists(st.binary(max_size=300)), st.sampled_from(OFFERED))
def test_what_is_compressed_is_decompressed(chunks: list[bytes], encoding: str) -> None:
    packer = Compressor(encoding)
    packed = b"".join(packer.write(chunk) for chunk in chunks) + packer.flush()
    assert decompress(packed, encoding, 1 << 20) == b"".join(chunks)


@pytest.mark.parametrize("encoding", OFFERED)
def test_a_small_body_cannot_grow_beyond_the_bound(encoding: str) -> None:
    packer = Compressor(encoding)
    packed = packer.write(bytes(10 << 20)) + packer.flush()
    assert len(packed) < 100_000
    with pytest.raises(EncodingError, match="larger than 1048576 bytes"):
        decompress(packed, encoding, 1 << 20)


@pytest.mark.parametrize("encoding", OFFERED)
def test_rubbish_and_torn_bodies_are_refused(encoding: str) -> None:
    packer = Compressor(encoding)
    packed = packer.write(bytes(range(256)) * 20) + packer.flush()
    for body in (b"rubbish", packed[: len(packed) // 2]):
        with pytest.raises(EncodingError):
            decompress(body, encoding, 1 << 20)


def test_unknown_encodings_are_named() -> None:
    with pytest.raises(EncodingError, match="br"):
        decompress(b"", "br", 10)


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [("gzip, deflate", "gzip"), ("lz4", "lz4"), ("br;q=1, zstd;q=0.5", "zstd"), ("", None)],
)
def test_the_answer_is_in_an_encoding_the_client_takes(accepted: str, expected: str | None) -> None:
    assert choose(accepted) == expected


def test_without_encoding_nothing_changes() -> None:
    packer = Compressor(None)
    assert packer.write(b"ab") + packer.write(b"c") + packer.flush() == b"abc"
