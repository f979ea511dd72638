"""The file log: what is appended is read back, whatever crashes, fills up or is removed in between."""

import multiprocessing
import os
import resource
import signal
import time
from itertools import count
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import segment
from connectors.file_log import FileLog, FileReader
from connectors.log import APPEND_BYTES_MAX, LogError, OffsetGoneError, Retention
from connectors.record import LINE_BYTES_MAX, Record, partition_of

SPAWN = multiprocessing.get_context("spawn")


def write(log: FileLog, *bodies: bytes, topic: str = "raw.t", recv_ns: int = 1) -> None:
    """Append each body by a flush of its own, so that small segments roll between them."""
    writer = log.writer()
    for body in bodies:
        writer.append(topic, b"K", body, recv_ns)
        writer.flush()
    writer.close()


def drain(reader: FileReader) -> list[bytes]:
    """Bodies up to the end of the log."""
    bodies = []
    while records := reader.poll():
        bodies += [record.body for record in records]
    return bodies


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    log = FileLog(tmp_path)
    log.create("raw.t", 1)
    return log


def segments(log: FileLog, topic: str = "raw.t") -> list[Path]:
    return sorted((log._root / topic / "0").glob("*.log"))


class TestAppendAndPoll:
    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["a", "b.c"]), st.binary(max_size=6), st.binary(max_size=90)),
                st.sampled_from(["flush", "poll", "reopen"]),
            ),
            max_size=60,
        ),
        partitions=st.integers(1, 4),
        segment_bytes=st.integers(1, 400),
        bytes_max=st.integers(1, 500),
    )
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_any_sequence_reads_back(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        steps: list[tuple[str, bytes, bytes] | str],
        partitions: int,
        segment_bytes: int,
        bytes_max: int,
    ) -> None:
        log = FileLog(tmp_path_factory.mktemp("log"), segment_bytes=segment_bytes)
        places = [(topic, partition) for topic in ("a", "b.c") for partition in range(partitions)]
        for topic in ("a", "b.c"):
            log.create(topic, partitions)
        writer = log.writer()
        readers = {place: log.reader(*place) for place in places}
        taken: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {place: [] for place in places}
        found: dict[tuple[str, int], list[Record]] = {place: [] for place in places}
        for step in [*steps, "flush"]:
            if step == "flush":
                writer.flush()
            elif step == "poll":
                for place, reader in readers.items():
                    found[place] += reader.poll(bytes_max)
            elif step == "reopen":
                writer.close()
                writer = log.writer()
                for place, reader in readers.items():
                    reader.close()
                    readers[place] = log.reader(*place, reader.offset)
            else:
                topic, key, body = step
                writer.append(topic, key, body, 1)
                taken[topic, partition_of(key, partitions)].append((key, body))
        for place, reader in readers.items():
            while records := reader.poll(bytes_max):
                found[place] += records
            assert [(record.key, record.body) for record in found[place]] == taken[place]
            offsets = [record.offset for record in found[place]] + [reader.offset]
            assert offsets == sorted(set(offsets))
            assert reader.end() == reader.offset
            again = log.reader(*place, 0)
            assert drain(again) == [body for _, body in taken[place]]
            for one in (reader, again):
                one.close()
        writer.close()

    def test_each_offset_resumes_at_its_record(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=100)
        log.create("raw.t", 1)
        bodies = [b"%d" % n * 9 for n in range(30)]
        write(log, *bodies)
        for n, record in enumerate(all_records(log)):
            reader = log.reader("raw.t", 0, record.offset)
            assert drain(reader) == bodies[n:]
            reader.close()

    def test_poll_keeps_to_bytes_max_but_returns_one_larger_record(self, log: FileLog) -> None:
        write(log, b"a" * 100, b"b" * 100, b"c" * 100_000, b"d")
        reader = log.reader("raw.t", 0)
        assert [len(record.body) for record in reader.poll(300)] == [100, 100]
        assert [len(record.body) for record in reader.poll(1)] == [100_000]
        assert [record.body for record in reader.poll(1)] == [b"d"]
        assert reader.poll(1) == []
        reader.close()

    def test_largest_line(self, log: FileLog) -> None:
        body = os.urandom(LINE_BYTES_MAX) + b" with its head\n"
        write(log, b"before", body, b"after")
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"before", body, b"after"]
        reader.close()

    def test_too_large_record_is_refused_and_the_rest_goes_on(self, log: FileLog) -> None:
        writer = log.writer()
        writer.append("raw.t", b"K", b"one", 1)
        with pytest.raises(LogError, match=f"{APPEND_BYTES_MAX} in all, found 1 and {APPEND_BYTES_MAX + 1}"):
            writer.append("raw.t", b"K", bytes(APPEND_BYTES_MAX), 1)
        with pytest.raises(LogError, match="found 65536"):
            writer.append("raw.t", bytes(65536), b"", 1)
        writer.append("raw.t", b"K", b"two", 1)
        writer.close()
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"one", b"two"]
        reader.close()

    def test_a_full_buffer_is_written_without_a_flush(self, log: FileLog) -> None:
        writer, reader = log.writer(), log.reader("raw.t", 0)
        for _ in range(3):
            writer.append("raw.t", b"K", bytes(600_000), 1)
        assert len(drain(reader)) == 2
        writer.close()
        assert len(drain(reader)) == 1
        reader.close()

    def test_explicit_partition(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path)
        log.create("raw.t", 3)
        writer = log.writer()
        for partition in range(3):
            writer.append("raw.t", b"K", b"%d" % partition, 1, partition)
        with pytest.raises(LogError, match="0 to 2, found 3"):
            writer.append("raw.t", b"K", b"", 1, 3)
        writer.close()
        for partition in range(3):
            reader = log.reader("raw.t", partition)
            assert drain(reader) == [b"%d" % partition]
            reader.close()

    def test_fsync_changes_nothing_but_durability(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50, fsync=True)
        log.create("raw.t", 1)
        write(log, b"a" * 60, b"b" * 60)
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"a" * 60, b"b" * 60]
        reader.close()


class TestTornTail:
    def test_cut_at_every_byte(self, tmp_path: Path) -> None:
        for cut in range(1, len(segment.encode(b"K", b"last record", 1))):
            log = FileLog(tmp_path / str(cut))
            log.create("raw.t", 1)
            write(log, b"first", b"last record")
            path = segments(log)[0]
            os.truncate(path, path.stat().st_size - cut)
            torn_size = path.stat().st_size
            reader, late = log.reader("raw.t", 0), log.reader("raw.t", 0)
            assert drain(reader) == [b"first"]
            assert reader.poll() == [] == reader.poll(1)
            assert reader.end() == late.end() == reader.offset
            assert path.stat().st_size == torn_size
            write(log, b"follows")
            assert drain(reader) == [b"follows"]
            assert drain(late) == [b"first", b"follows"]
            assert reader.end() == reader.offset == path.stat().st_size
            reader.close()
            late.close()

    def test_a_writer_that_is_still_writing_is_waited_for(self, log: FileLog) -> None:
        data = segment.encode(b"K", b"slow", 1)
        reader = log.reader("raw.t", 0)
        with segments(log)[0].open("ab", buffering=0) as file:
            for at in range(len(data)):
                assert reader.poll() == []
                file.write(data[at : at + 1])
        assert drain(reader) == [b"slow"]
        reader.close()

    def test_a_tail_torn_by_another_writer_is_cut_by_one_already_open(self, log: FileLog) -> None:
        writer, reader = log.writer(), log.reader("raw.t", 0)
        writer.append("raw.t", b"K", b"one", 1)
        writer.flush()
        with segments(log)[0].open("ab") as file:
            file.write(segment.encode(b"K", b"other's", 1) + segment.encode(b"K", b"torn", 1)[:-1])
        assert drain(reader) == [b"one", b"other's"]
        writer.append("raw.t", b"K", b"two", 1)
        writer.close()
        assert drain(reader) == [b"two"]
        reader.close()

    def test_in_a_full_segment_it_is_cut_before_the_next_begins(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1)
        write(log, b"a" * 60)
        with segments(log)[0].open("ab") as file:
            file.write(segment.encode(b"K", b"torn", 1)[:-1])
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"a" * 60]
        write(log, b"b")
        assert drain(reader) == [b"b"]
        assert len(segments(log)) == 2
        reader.close()


class TestCorruption:
    @pytest.mark.parametrize("at", range(len(segment.encode(b"K", b"body", 1))))
    def test_a_changed_byte_is_an_error_that_names_file_and_offset(self, log: FileLog, at: int) -> None:
        write(log, b"good", b"body", b"more" * 100_000, bytes(APPEND_BYTES_MAX - 1))
        path = segments(log)[0]
        first = len(segment.encode(b"K", b"good", 1))
        content = bytearray(path.read_bytes())
        content[first + at] ^= 0x01
        path.write_bytes(content)
        reader = log.reader("raw.t", 0)
        assert [record.body for record in reader.poll()] == [b"good"]
        for _ in range(2):
            with pytest.raises(LogError, match=f"offset {first} of .*{path.name}, found corrupt"):
                reader.poll()
        reader.close()

    def test_a_writer_keeps_the_corrupt_segment_and_goes_on_in_a_new_one(self, log: FileLog) -> None:
        write(log, b"good", b"bad", b"good too")
        path = segments(log)[0]
        content = path.read_bytes().replace(b"bad", b"dab")
        path.write_bytes(content)
        write(log, b"after", b"and on")
        assert path.read_bytes() == content
        reader = log.reader("raw.t", 0)
        assert [record.body for record in reader.poll()] == [b"good"]
        with pytest.raises(LogError):
            reader.poll()
        reader.close()
        resumed = log.reader("raw.t", 0, len(content))
        assert drain(resumed) == [b"after", b"and on"]
        resumed.close()

    def test_a_file_cut_from_outside_is_reported_once_then_taken_as_it_is(self, log: FileLog) -> None:
        writer = log.writer()
        writer.append("raw.t", b"K", b"lost", 1)
        writer.flush()
        os.truncate(segments(log)[0], 0)
        writer.append("raw.t", b"K", b"kept", 1)
        with pytest.raises(LogError, match="expected at least 25 bytes, found 0"):
            writer.flush()
        writer.close()
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"kept"]
        reader.close()


class TestRefusals:
    def test_disk_full_is_reported_leaves_no_trace_and_is_made_good(self, log: FileLog) -> None:
        writer = log.writer()
        writer.append("raw.t", b"K", b"a" * 1000, 1)
        writer.flush()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        writer.append("raw.t", b"K", b"b" * 1000, 1)
        writer.append("raw.t", b"K", b"c" * 1000, 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, hard))  # room for one and a half records
        try:
            for attempt in (writer.flush, writer.flush):
                with pytest.raises(LogError, match=r"cannot append 2042 bytes.*too large"):
                    attempt()
            assert segments(log)[0].stat().st_size == 1021
            with pytest.raises(LogError, match="cannot append 2042 bytes"):
                writer.append("raw.t", b"K", bytes(2_000_000), 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.append("raw.t", b"K", b"d", 1)
        writer.close()
        reader = log.reader("raw.t", 0)
        assert [body[:1] for body in drain(reader)] == [b"a", b"b", b"c", b"d"]
        reader.close()

    def test_one_partition_that_fails_does_not_hold_up_the_others(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path)
        log.create("raw.t", 2)
        (tmp_path / "raw.t/0/00000000000000000000.log").unlink()
        (tmp_path / "raw.t/0/00000000000000000000.log").mkdir()
        writer = log.writer()
        writer.append("raw.t", b"K", b"stuck", 1, 0)
        writer.append("raw.t", b"K", b"passes", 1, 1)
        with pytest.raises(LogError, match="Is a directory"):
            writer.close()
        reader = log.reader("raw.t", 1)
        assert drain(reader) == [b"passes"]
        reader.close()

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "a b", ".hidden", "a\n", "x" * 201])
    def test_names(self, log: FileLog, name: str) -> None:
        for attempt in (
            lambda: log.create(name, 1),
            lambda: log.reader(name, 0),
            lambda: log.reader("raw.t", 0, group=name),
            lambda: log.writer().append(name, b"", b"", 1),
        ):
            with pytest.raises(LogError, match="is named by"):
                attempt()

    def test_missing_topics_and_partitions(self, log: FileLog) -> None:
        with pytest.raises(LogError, match=r"no topic 'raw\.x'"):
            log.reader("raw.x", 0)
        with pytest.raises(LogError, match=r"no topic 'raw\.x'"):
            log.writer().append("raw.x", b"K", b"", 1)
        with pytest.raises(LogError, match="partitions 0 to 0, found 1"):
            log.reader("raw.t", 1)
        with pytest.raises(LogError, match="at least one partition, found 0"):
            log.create("raw.y", 0)

    def test_a_broken_topic_file_is_named(self, log: FileLog) -> None:
        (log._root / "raw.t/topic.json").write_text("{")
        with pytest.raises(LogError, match=r"cannot read .*topic\.json"):
            log.topics()

    def test_a_root_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(LogError, match="cannot create topic"):
            FileLog(tmp_path / "file").create("raw.t", 1)


class TestTopics:
    def test_an_existing_topic_stays(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path / "made" / "here")
        assert log.topics() == {}
        log.create("raw.t", 3, Retention(size_bytes_max=5))
        log.create("raw.t", 7)
        log.create("features", 1)
        assert log.topics() == {"features": 1, "raw.t": 3}
        assert log._topic("raw.t").size_bytes_max == 5

    def test_many_processes_create_one_topic(self, tmp_path: Path) -> None:
        with SPAWN.Pool(4) as pool:
            seen = pool.starmap(create_and_count, [(tmp_path, n) for n in range(1, 13)], chunksize=1)
        assert len(set(seen)) == 1
        log = FileLog(tmp_path)
        for partition in range(log.topics()["raw.t"]):
            log.reader("raw.t", partition).close()


class TestRetention:
    def test_by_size(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=1000)
        log.create("raw.t", 1, Retention(size_bytes_max=3000))
        write(log, *(b"%03d" % n * 100 for n in range(100)))
        reader = log.reader("raw.t", 0)
        bodies = drain(reader)
        assert bodies == [b"%03d" % n * 100 for n in range(100 - len(bodies), 100)]
        held = sum(path.stat().st_size for path in segments(log))
        assert 3000 - 1500 <= held <= 3000 + 1500
        reader.close()

    def test_by_receive_time_not_by_file_time(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1, Retention(age_s_max=3600))
        now = time.time_ns()
        write(log, b"old" * 20, recv_ns=now - 7200 * 10**9)
        write(log, b"new" * 20, recv_ns=now - 1800 * 10**9)
        write(log, b"late" * 20, recv_ns=now - 7200 * 10**9)  # old, but behind one that is kept
        write(log, b"active", recv_ns=now - 7200 * 10**9)
        reader = log.reader("raw.t", 0)
        assert drain(reader) == [b"new" * 20, b"late" * 20, b"active"]
        reader.close()

    def test_unbounded_keeps_all_and_the_active_segment_always_stays(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1)
        log.create("tiny", 1, Retention(size_bytes_max=0, age_s_max=0))
        write(log, *[b"x" * 60] * 20, recv_ns=0)
        assert len(segments(log)) == 20
        write(log, *[b"x" * 60] * 20, topic="tiny")
        assert len(segments(log, "tiny")) == 1
        reader = log.reader("tiny", 0)
        assert drain(reader) == [b"x" * 60]
        reader.close()

    def test_a_removed_or_future_offset_is_gone(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1, Retention(size_bytes_max=100))
        write(log, *[b"x" * 60] * 5)
        reader = log.reader("raw.t", 0, 0)
        with pytest.raises(OffsetGoneError, match=r"holds offsets 243 to 405, asked for 0"):
            reader.poll()
        future = log.reader("raw.t", 0, 406)
        with pytest.raises(OffsetGoneError, match=r"holds offsets 243 to 405, asked for 406"):
            future.poll()
        at_end = log.reader("raw.t", 0, 405)
        assert at_end.poll() == []
        at_end.close()

    def test_a_reader_finishes_a_removed_segment_and_goes_on(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=150)
        log.create("raw.t", 1)
        write(log, b"a" * 80, b"b" * 80, b"c")
        reader = log.reader("raw.t", 0)
        assert [record.body for record in reader.poll(110)] == [b"a" * 80]
        segments(log)[0].unlink()
        assert drain(reader) == [b"b" * 80, b"c"]
        reader.close()

    def test_a_reader_left_behind_by_two_segments_is_told(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1, Retention(size_bytes_max=100))
        write(log, b"a" * 60)
        reader, waiting = log.reader("raw.t", 0), log.reader("raw.t", 0)
        assert drain(waiting) == [b"a" * 60]
        write(log, *[b"b" * 60] * 4)
        assert [record.body for record in reader.poll()] == [b"a" * 60]
        for one in (reader, waiting):
            with pytest.raises(OffsetGoneError, match="asked for 81"):
                one.poll()
            one.close()

    def test_a_writer_whose_segment_was_removed_finds_the_last_one(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=50)
        log.create("raw.t", 1, Retention(size_bytes_max=100))
        idle = log.writer()
        idle.append("raw.t", b"K", b"early", 1)
        idle.flush()
        write(log, *[b"b" * 60] * 4)
        idle.append("raw.t", b"K", b"late", 1)
        idle.close()
        reader = log.reader("raw.t", 0)
        assert drain(reader)[-1] == b"late"
        reader.close()


class TestCommit:
    def test_each_group_and_partition_has_its_own(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path)
        log.create("raw.t", 2)
        reader = log.reader("raw.t", 1, group="depth")
        assert reader.committed() is None
        reader.commit(5)
        reader.commit(81)
        reader.close()
        assert [log.reader("raw.t", 1, 0, group).committed() for group in ("depth", "tape")] == [81, None]
        assert log.reader("raw.t", 0, 0, "depth").committed() is None


class TestProcesses:
    def test_nothing_is_lost_and_each_writer_keeps_its_order(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=20_000)
        log.create("raw.t", 1)
        writers = [start(write_numbered, tmp_path, n, 2000) for n in range(3)]
        reader = log.reader("raw.t", 0)
        follow = [b""]
        while any(process.is_alive() for process in writers) or follow:
            follow = [record.body for record in reader.poll()]
            assert_in_order(follow)
            time.sleep(0.001)
        reader.close()
        assert [process.exitcode for process in writers] == [0, 0, 0]
        everything = [record.body for record in all_records(log)]
        assert_in_order(everything)
        assert len(everything) == 6000
        assert len(segments(log)) > 5

    def test_killed_writers_lose_nothing_that_was_flushed(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path, segment_bytes=1 << 20)
        log.create("raw.t", 1)
        reader = log.reader("raw.t", 0)
        bodies: list[bytes] = []
        for n in range(8):
            receive, send = SPAWN.Pipe(duplex=False)
            process = start(write_and_tell, tmp_path, n, send)
            send.close()
            for _ in range(1 + n):
                flushed = receive.recv()
            time.sleep(0.0007 * n)  # anywhere within the next write
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            bodies += drain(reader)
            mine = [int(body.split()[1]) for body in bodies if body.startswith(b"%d " % n)]
            assert mine[: flushed + 1] == list(range(flushed + 1))
            assert mine == list(range(len(mine)))
        write(log, b"99 0 after all of them")
        assert drain(reader) == [b"99 0 after all of them"]
        assert [record.body for record in all_records(log)][:-1] == bodies
        reader.close()


def all_records(log: FileLog) -> list[Record]:
    reader, records = log.reader("raw.t", 0), []
    while found := reader.poll():
        records += found
    reader.close()
    return records


def assert_in_order(bodies: list[bytes]) -> None:
    for writer in range(3):
        numbers = [int(body.split()[1]) for body in bodies if body.startswith(b"%d " % writer)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


def start(target: object, *args: object) -> SpawnProcess:
    process = SPAWN.Process(target=target, args=args)  # type: ignore[arg-type]
    process.start()
    return process


def create_and_count(root: Path, partitions: int) -> int:
    log = FileLog(root)
    log.create("raw.t", partitions)
    return log.topics()["raw.t"]


def write_numbered(root: Path, name: int, records: int) -> None:
    writer = FileLog(root, segment_bytes=20_000).writer()
    for n in range(records):
        writer.append("raw.t", b"K", b"%d %d %s" % (name, n, b"x" * (n % 60)), n)
        if n % 7 == name:
            writer.flush()
    writer.close()


def write_and_tell(root: Path, name: int, flushed: object) -> None:
    writer = FileLog(root, segment_bytes=1 << 20).writer()
    for n in count():
        writer.append("raw.t", b"K", b"%d %d %s" % (name, n, b"x" * 20_000), n)
        if n % 40 == 39:
            writer.flush()
            flushed.send(n)  # type: ignore[attr-defined]
