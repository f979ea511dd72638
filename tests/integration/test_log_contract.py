"""Both logs keep the same contract (`connectors.log`): what a flow sees does not tell them apart."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.file_log import FileLog
from connectors.log import APPEND_BYTES_MAX, Log, LogError, OffsetGoneError, Reader, Retention, open_log
from connectors.record import LINE_BYTES_MAX, Record, encode_line, partition_of

NOW_NS = time.time_ns()
WAIT_S_MAX = 60
KEYS = [b"", b"BTCUSDT", b"ETHUSDT", "ключ".encode(), b"\x00\xff", b"!markPrice@arr"]
COUNTER = itertools.count()


@dataclass
class Place:
    """A log, a topic name not used before, and a way to have all before an offset of partition 0 removed."""

    log: Log
    topic: str
    remove_before: Callable[[int], None]


@pytest.fixture(params=["file", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    topic = f"raw.contract-{next(COUNTER)}"
    if request.param == "file":
        log: Log = FileLog(tmp_path, segment_bytes=1000)

        def remove_before(offset: int) -> None:
            segments = sorted((tmp_path / topic / "0").glob("*.log"))
            for path, after in itertools.pairwise(segments):
                if int(after.stem) <= offset:
                    path.unlink()
    else:
        servers = request.getfixturevalue("kafka_broker").servers
        log = open_log(f"kafka:{servers}")

        def remove_before(offset: int) -> None:
            admin = AdminClient({"bootstrap.servers": servers})
            for done in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
                done.result()

    yield Place(log, topic, remove_before)
    log.close()


def read(reader: Reader, count: int) -> list[Record]:
    """The next `count` records, which are on their way."""
    records: list[Record] = []
    deadline = time.monotonic() + WAIT_S_MAX
    while len(records) < count:
        records += reader.poll()
        assert time.monotonic() < deadline, f"{len(records)} of {count} records after {WAIT_S_MAX} s"
    return records


def write(place: Place, *bodies: bytes, key: bytes = b"K", partition: int | None = None) -> None:
    writer = place.log.writer()
    for n, body in enumerate(bodies):
        writer.append(place.topic, key, body, NOW_NS + n, partition)
        writer.flush()
    writer.close()


def test_records_stand_in_the_partition_of_their_key_in_order(place: Place) -> None:
    place.log.create(place.topic, 3)
    assert place.log.topics()[place.topic] == 3
    writer = place.log.writer()
    expected: dict[int, list[tuple[bytes, bytes]]] = {0: [], 1: [], 2: []}
    for n in range(600):
        key, body = KEYS[n % len(KEYS)], encode_line(n, b"ws-1", os.urandom(n))
        writer.append(place.topic, key, body, NOW_NS + n)
        expected[partition_of(key, 3)].append((key, body))
    writer.flush()
    for partition, records in expected.items():
        reader = place.log.reader(place.topic, partition)
        assert [(key, body) for key, _, body in read(reader, len(records))] == records
        assert reader.poll() == []
        assert reader.offset == reader.end()
        reader.close()
    writer.close()


def test_an_explicit_partition_is_obeyed(place: Place) -> None:
    place.log.create(place.topic, 2)
    write(place, b"zero", partition=0)
    write(place, b"one", partition=1)
    for partition, body in enumerate([b"zero", b"one"]):
        reader = place.log.reader(place.topic, partition)
        assert [record.body for record in read(reader, 1)] == [body]
        reader.close()
    with pytest.raises(LogError, match="partitions 0 to 1, found 2"):
        write(place, b"two", partition=2)


def test_a_reader_follows_the_end(place: Place) -> None:
    place.log.create(place.topic, 1)
    reader, writer = place.log.reader(place.topic, 0), place.log.writer()
    assert reader.poll() == []
    assert reader.offset == reader.end() == 0
    for n in range(20):
        writer.append(place.topic, b"K", b"%d" % n, NOW_NS)
        writer.flush()
        [record] = read(reader, 1)
        assert (record.body, reader.offset) == (b"%d" % n, reader.end())
    reader.close()
    writer.close()


def test_offsets_rise_and_each_resumes_at_its_record(place: Place) -> None:
    place.log.create(place.topic, 1)
    bodies = [b"%d" % n * 50 for n in range(40)]
    write(place, *bodies)
    whole = place.log.reader(place.topic, 0, 0)
    records = read(whole, 40)
    offsets = [record.offset for record in records] + [whole.offset]
    assert offsets == sorted(set(offsets))
    for n in (0, 1, 17, 39):
        reader = place.log.reader(place.topic, 0, offsets[n])
        assert read(reader, 40 - n) == records[n:]
        reader.close()
    at_end = place.log.reader(place.topic, 0, offsets[40])
    assert at_end.poll() == []
    write(place, b"later")
    assert [record.body for record in read(at_end, 1)] == [b"later"]
    at_end.close()
    whole.close()


def test_poll_returns_about_the_bytes_asked_for(place: Place) -> None:
    place.log.create(place.topic, 1)
    writer = place.log.writer()
    for _ in range(300):
        writer.append(place.topic, b"K", os.urandom(10_000), NOW_NS)
    writer.close()
    reader, sizes = place.log.reader(place.topic, 0), []
    read(reader, 1)
    while reader.offset < reader.end():
        sizes.append(sum(len(record.body) for record in reader.poll(100_000)))
    assert max(sizes) <= 200_000
    reader.close()


def test_the_largest_line(place: Place) -> None:
    place.log.create(place.topic, 1)
    line = encode_line(NOW_NS, b"rest-/depth?limit=5000", os.urandom(LINE_BYTES_MAX))
    write(place, b"before", line, b"after")
    reader = place.log.reader(place.topic, 0)
    assert [record.body for record in read(reader, 3)] == [b"before", line, b"after"]
    reader.close()
    writer = place.log.writer()
    with pytest.raises(LogError, match=f"may hold .*{APPEND_BYTES_MAX}"):
        writer.append(place.topic, b"K", bytes(APPEND_BYTES_MAX), 1)
    writer.close()


def test_a_removed_or_future_offset_is_gone(place: Place) -> None:
    place.log.create(place.topic, 1)
    write(place, *[b"%02d" % n * 300 for n in range(20)])
    whole = place.log.reader(place.topic, 0)
    records, end = read(whole, 20), whole.offset
    whole.close()
    place.remove_before(records[10].offset)
    oldest = place.log.reader(place.topic, 0)
    assert read(oldest, 10) == records[10:]
    oldest.close()
    for offset in (0, records[9].offset, end + 1):
        reader = place.log.reader(place.topic, 0, offset)
        for _ in range(2):
            with pytest.raises(OffsetGoneError, match=f"{records[10].offset} to {end}, asked for {offset}"):
                poll_until_it_raises(reader)
        reader.close()


def poll_until_it_raises(reader: Reader) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline:
        assert reader.poll() == []


def test_commits_are_kept_by_group_and_partition(place: Place) -> None:
    place.log.create(place.topic, 2)
    group = f"{place.topic}-depth"
    reader = place.log.reader(place.topic, 1, group=group)
    assert reader.committed() is None
    deadline = time.monotonic() + WAIT_S_MAX
    while reader.committed() != 7:  # a new cluster may refuse the very first commit
        reader.commit(7)
        reader.poll()
        assert time.monotonic() < deadline
    reader.commit(9)
    reader.close()
    for partition, name, offset in ((1, group, 9), (0, group, None), (1, f"{group}-other", None)):
        other = place.log.reader(place.topic, partition, group=name)
        assert other.committed() == offset
        other.close()


def test_creating_again_changes_nothing(place: Place) -> None:
    place.log.create(place.topic, 2, Retention(size_bytes_max=10_000_000, age_s_max=3600))
    place.log.create(place.topic, 5)
    assert place.log.topics()[place.topic] == 2


def test_what_is_missing_or_misnamed_is_refused(place: Place) -> None:
    with pytest.raises(LogError, match="there is no topic"):
        place.log.reader(place.topic, 0)
    writer = place.log.writer()
    with pytest.raises(LogError, match="there is no topic"):
        writer.append(place.topic, b"K", b"", 1)
    writer.close()
    place.log.create(place.topic, 1)
    for partition in (-1, 1):
        with pytest.raises(LogError, match=f"partitions 0 to 0, found {partition}"):
            place.log.reader(place.topic, partition)
    for name in ("", "..", "a/b", "Raw", "a b"):
        with pytest.raises(LogError, match="is named by"):
            place.log.create(name, 1)
    with pytest.raises(LogError, match="at least one partition"):
        place.log.create("raw.none", 0)


def test_closing_twice_is_harmless(place: Place) -> None:
    place.log.create(place.topic, 1)
    writer, reader = place.log.writer(), place.log.reader(place.topic, 0)
    for one in (writer, reader, writer, reader):
        one.close()
