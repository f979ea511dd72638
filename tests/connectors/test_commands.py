"""`isotherm record`, on the file log."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connectors.commands import record
from connectors.file_log import FileLog
from connectors.record import Chunker, encode_line
from connectors.recording_file import Fault, StoredRecord, stored_records
from connectors.recordings import read
from connectors.venue import market

MARKET = market("binance_futures")
TOPIC = MARKET.topic


def append(data: Path, keys: tuple[bytes, ...] = (b"BTCUSDT", b"ETHUSDT"), count: int = 50) -> None:
    log = FileLog(data / "log")
    log.create(TOPIC, 3)
    writer, chunker = log.writer(), Chunker()
    for n in range(count):
        for key in keys:
            line = encode_line(n * 10**7, b"ws", b'{"n":%d}' % n)
            for chunk in chunker.add(key, n * 10**7, line):
                writer.append(TOPIC, *chunk)
    for chunk in chunker.cut():
        writer.append(TOPIC, *chunk)
    writer.close()


def stored(data: Path) -> list[tuple[int, bytes, bytes]]:
    log = FileLog(data / "log")
    found = []
    for partition in range(3):
        reader = log.reader(TOPIC, partition)
        while records := reader.poll():
            found += [(partition, key, body) for key, _, body in records]
        reader.close()
    return sorted(found)


def run(*args: object) -> Result:
    return CliRunner().invoke(record, [str(arg) for arg in args])


def recorded(path: Path) -> list[StoredRecord]:
    header, found = stored_records(path)
    assert (header.topic, header.partitions) == (TOPIC, 3)
    records = []
    for item in found:
        assert not isinstance(item, Fault), item
        records.append(item)
    return records


@pytest.mark.parametrize("by", ["--data-dir", "--log"])
def test_a_recording_holds_the_records_of_the_topic(tmp_path: Path, by: str) -> None:
    append(tmp_path)
    where = tmp_path if by == "--data-dir" else f"file:{tmp_path}/log"
    result = run(by, where, "--topic", TOPIC, "-o", tmp_path / "r.zst")
    assert result.exit_code == 0, result.output
    records = recorded(tmp_path / "r.zst")
    assert sorted((partition, key, body) for key, partition, _, body in records) == stored(tmp_path)
    assert json.loads(result.output) == {
        "file": str(tmp_path / "r.zst"),
        "topic": TOPIC,
        "records": len(records),
        "bytes": sum(len(one.body) for one in records),
    }
    assert max(one.recv_ns for one in records) == 49 * 10**7
    lines = [item for item in read(tmp_path / "r.zst", MARKET) if not isinstance(item, Fault)]
    assert len(lines) == 100


def test_only_some_keys(tmp_path: Path) -> None:
    append(tmp_path, (b"A", b"B", b"C", b"!clock"))
    run("--data-dir", tmp_path, "--topic", TOPIC, "-o", tmp_path / "r.zst", "--key", "A", "--key", "C")
    assert {one.key for one in recorded(tmp_path / "r.zst")} == {b"A", b"C", b"!clock"}, "and the time"


def test_a_body_that_holds_no_lines_is_recorded_all_the_same(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "log")
    log.create(TOPIC, 3)
    writer = log.writer()
    writer.append(TOPIC, b"k", b"\x93\x01\x02\x03", 5)
    writer.close()
    run("--data-dir", tmp_path, "--topic", TOPIC, "-o", tmp_path / "r.zst")
    assert [(one.recv_ns, one.body) for one in recorded(tmp_path / "r.zst")] == [(0, b"\x93\x01\x02\x03")]


def test_for_a_while(tmp_path: Path) -> None:
    append(tmp_path)
    result = run("--data-dir", tmp_path, "--topic", TOPIC, "-o", tmp_path / "r.zst", "--for", "1s")
    assert result.exit_code == 0, result.output
    assert len(recorded(tmp_path / "r.zst")) == len(stored(tmp_path))


def test_following_until_told_to_stop(tmp_path: Path) -> None:
    append(tmp_path)
    path = tmp_path / "r.zst"
    command = [sys.executable, "-c", "from connectors.commands import record; record()"]
    options = ["--follow", "--data-dir", str(tmp_path), "--topic", TOPIC, "-o", str(path)]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        wait_for(lambda: path.exists() and path.stat().st_size > 0)
        append(tmp_path, (b"LATER",))
        wait_for(lambda: any(one.key == b"LATER" for one in so_far(path)))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(output)["records"] == len(recorded(path)) == len(stored(tmp_path))


def so_far(path: Path) -> list[StoredRecord]:
    return [item for item in stored_records(path)[1] if not isinstance(item, Fault)]


def wait_for(what) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.1)


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    append(tmp_path)
    out = tmp_path / "r.zst"
    (tmp_path / "there.zst").touch()
    for args, reason in [
        (["--topic", TOPIC, "-o", out], "either --log or --data-dir"),
        (
            ["--topic", TOPIC, "-o", out, "--log", "file:x", "--data-dir", tmp_path],
            "either --log or --data-dir",
        ),
        (["--topic", TOPIC, "-o", out, "--log", "nonsense"], "file:DIR or kafka:HOST:PORT"),
        (["--topic", "raw.none", "-o", out, "--data-dir", tmp_path], "raw.none"),
        (["--topic", TOPIC, "-o", out, "--data-dir", tmp_path / "none"], TOPIC),
        (["--topic", TOPIC, "-o", tmp_path / "there.zst", "--data-dir", tmp_path], "exists"),
    ]:
        result = run(*args)
        assert result.exit_code == 2
        assert reason in result.output
        assert result.output.count("\n") == 1
    assert not out.exists()
    result = run("--topic", TOPIC, "-o", out, "--data-dir", tmp_path, "--for", "soon")
    assert result.exit_code == 2
    assert "'soon'" in result.output


def test_help_shows_examples() -> None:
    assert "isotherm record --data-dir D --topic raw.binance_futures -o btc.zst" in run("--help").output
