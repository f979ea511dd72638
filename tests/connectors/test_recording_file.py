"""Our own recording format and the bytes of any recording."""

import gzip
import random
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.recording_file import (
    BODY_BYTES_MAX,
    Fault,
    Header,
    RecordingError,
    RecordingWriter,
    StoredRecord,
    blocks,
    stored_records,
)

TOPIC = "raw.binance_spot"
records = st.builds(
    StoredRecord,
    key=st.binary(max_size=40),
    partition=st.integers(0, 2**16 - 1),
    recv_ns=st.integers(0, 2**63 - 1),
    body=st.binary(max_size=3000),
)


def write(path: Path, content: list[StoredRecord]) -> Path:
    path.unlink(missing_ok=True)
    with RecordingWriter(path, TOPIC, 4, created_ns=17) as writer:
        for record in content:
            writer.append(record)
    return path


def sample(count: int, seed: int = 1) -> list[StoredRecord]:
    random_ = random.Random(seed)
    return [
        StoredRecord(b"BTCUSDT", n % 4, 10**18 + n, random_.randbytes(random_.randrange(2000)))
        for n in range(count)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(records, max_size=20))
def test_what_is_written_is_read(tmp_path: Path, content: list[StoredRecord]) -> None:
    header, found = stored_records(write(tmp_path / "r.zst", content))
    assert header == Header(isotherm_recording=1, topic=TOPIC, partitions=4, created_ns=17)
    assert list(found) == content


def test_a_large_record(tmp_path: Path) -> None:
    content = [StoredRecord(b"k", 0, 1, bytes(8 << 20)), StoredRecord(b"k", 0, 2, b"small")]
    _, found = stored_records(write(tmp_path / "r.zst", content))
    assert list(found) == content


def test_flushed_records_survive_without_a_close(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r.zst", TOPIC, 4, created_ns=17)
    content = sample(5)
    for record in content:
        writer.append(record)
    writer.flush()
    _, found = stored_records(tmp_path / "r.zst")
    *whole, fault = found
    assert whole == content
    assert isinstance(fault, Fault)
    assert "truncated" in fault.reason
    writer.close()


def test_no_file_is_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "r.zst", [])
    with pytest.raises(RecordingError, match="exists"):
        RecordingWriter(path, TOPIC, 4, created_ns=17)
    with pytest.raises(RecordingError, match="cannot write"):
        RecordingWriter(tmp_path / "no" / "r.zst", TOPIC, 4, created_ns=17)


@pytest.mark.parametrize(
    "record",
    [
        StoredRecord(b"k" * 65536, 0, 1, b""),
        StoredRecord(b"k", 65536, 1, b""),
        StoredRecord(b"k", 0, -1, b""),
        StoredRecord(b"k", 0, 1, bytes(BODY_BYTES_MAX + 1)),
    ],
    ids=["key", "partition", "recv_ns", "body"],
)
def test_a_record_out_of_range_is_refused(tmp_path: Path, record: StoredRecord) -> None:
    with (
        RecordingWriter(tmp_path / "r.zst", TOPIC, 4, created_ns=17) as writer,
        pytest.raises(RecordingError),
    ):
        writer.append(record)
    assert list(stored_records(tmp_path / "r.zst")[1]) == []


@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_anywhere_what_stands_before_is_read(tmp_path: Path, compressed: bool) -> None:
    content = sample(40)
    data = write(tmp_path / "r.zst", content).read_bytes()
    if not compressed:
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    cut = tmp_path / "cut"
    random_ = random.Random(2)
    lengths = []
    for size in sorted(random_.sample(range(300, len(data)), 150)):
        cut.write_bytes(data[:size])
        try:
            _, found = stored_records(cut)
        except RecordingError:
            lengths.append(0)  # not even the header came out of the decompressor
            continue
        whole = list(found)
        faults = [item for item in whole if isinstance(item, Fault)]
        assert len(faults) == 1 or (not compressed and not faults)
        assert whole[: len(whole) - len(faults)] == content[: len(whole) - len(faults)]
        lengths.append(len(whole) - len(faults))
        if faults:
            assert whole[-1] is faults[0]
    assert all(a <= b for a, b in pairwise(lengths))
    assert lengths[-1] > 0


def test_a_changed_byte_never_changes_a_record_unnoticed(tmp_path: Path) -> None:
    content = sample(40)
    stored = write(tmp_path / "r.zst", content).read_bytes()
    plain = zstandard.ZstdDecompressor().stream_reader(stored).read()
    begin = plain.index(b"\n") + 1
    random_ = random.Random(3)
    path = tmp_path / "changed"
    for data, first in ((stored, 100), (plain, begin)):
        for _ in range(100):
            at = random_.randrange(first, len(data))
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :])
            try:
                whole = list(stored_records(path)[1])
            except RecordingError:
                continue
            kept = [item for item in whole if not isinstance(item, Fault)]
            assert kept == content[: len(kept)]
            assert kept == content or isinstance(whole[-1], Fault)


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b'{"isotherm_recording":2,"topic":"t","partitions":1,"created_ns":1}\n']
)
def test_not_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(RecordingError):
        stored_records(path)


# ---- blocks

CONTENT = b"".join(b"line %d\n" % n for n in range(200_000))


def content_of(path: Path) -> tuple[bytes, list[Fault]]:
    found = list(blocks(path))
    faults = [item for item in found if isinstance(item, Fault)]
    return b"".join(item for item in found if isinstance(item, bytes)), faults


@pytest.mark.parametrize(
    "data",
    [
        CONTENT,
        gzip.compress(CONTENT),
        zstandard.compress(CONTENT),
        gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
        zstandard.compress(CONTENT[:1000]) + zstandard.compress(CONTENT[1000:]),
        gzip.compress(CONTENT) + bytes(5000),
    ],
    ids=["plain", "gzip", "zstd", "gzip members", "zstd frames", "gzip padded"],
)
def test_plain_gzip_and_zstd(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert content_of(path) == (CONTENT, [])


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_what_follows_the_compressed_data_is_a_fault(tmp_path: Path, compress) -> None:
    path = tmp_path / "file"
    data = compress(CONTENT)
    path.write_bytes(data + b"garbage")
    content, (fault,) = content_of(path)
    assert content == CONTENT
    assert (fault.position, fault.unit, fault.head) == (len(data), "byte", b"garbage")


def test_blocks_stay_small_whatever_the_ratio(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zstandard.compress(bytes(100 << 20)))
    sizes = [len(block) for block in blocks(path) if isinstance(block, bytes)]
    assert sum(sizes) == 100 << 20
    assert max(sizes) <= 33 << 20


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a directory"):
        blocks(tmp_path)
    with pytest.raises(RecordingError, match="No such file"):
        blocks(tmp_path / "none")
