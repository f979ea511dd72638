"""The store as a process: started twice, killed, restarted, stopped."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sql import data_dir as layout
from sql.client import Store, StoreError, connect
from sql.migrate import migrate
from tests.sql.test_security import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent


@contextlib.contextmanager
def store_process(path: Path, *options: str, port: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """`isotherm store`, ready; killed at the end if it still runs."""
    process = start(path, *options, port=port)
    try:
        wait_for(lambda: process.poll() is not None or announced(path).get("pid") == process.pid)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


def start(path: Path, *options: str, port: int = 0) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "isotherm",
        "store",
        "--data-dir",
        str(path),
        "--port",
        str(port),
        *options,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def announced(path: Path) -> dict[str, object]:
    """What store.json says; a killed store leaves its own behind."""
    try:
        found: dict[str, object] = json.loads((path / "store.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def connected(path: Path, user: str = "writer", retry_s: float = 30) -> Store:
    return connect(*layout.embedded_store(path, user), retry_s=retry_s)


def letters(offsets: range) -> dict[str, object]:
    rows = len(offsets)
    texts = {name: ["x"] * rows for name in ("topic", "reason", "detail", "payload")}
    numbers = {name: np.ones(rows, np.int64) for name in ("partition", "position", "received_ns", "version")}
    return texts | numbers | {"offset": np.array(offsets)}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("process")


def test_a_killed_store_loses_no_acknowledged_row_and_its_clients_go_on(path: Path) -> None:
    acknowledged: list[int] = []
    failures: list[BaseException] = []
    enough = threading.Event()

    def write(store: Store) -> None:
        try:
            while not enough.is_set():
                begin = 10 * len(acknowledged)
                store.insert("dead_letters", letters(range(begin, begin + 10)))  # type: ignore[arg-type]
                acknowledged.append(begin)
        except BaseException as error:
            failures.append(error)

    with store_process(path) as process:
        migrate(connected(path, "admin"))
        url = announced(path)["url"]
        writer = threading.Thread(target=write, args=(connected(path, retry_s=60),))
        writer.start()
        for kill in range(2):
            wait_for(lambda goal=8 * (kill + 1): len(acknowledged) >= goal)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert (path / "store.json").exists()  # it had no time to tidy up
            process = start(path)  # noqa: PLW2901
        wait_for(lambda: len(acknowledged) >= 24)
        enough.set()
        writer.join(60)
        assert failures == []
        # The restarted store took the port of the killed one: the writer was told nothing.
        assert announced(path)["url"] == url
        found = connected(path, "analyst").query("SELECT `offset` FROM market.dead_letters ORDER BY `offset`")
        assert [offset for (offset,) in found] == list(range(10 * len(acknowledged)))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly_even_with_a_statement_running(path: Path, number: signal.Signals) -> None:
    with store_process(path) as process:
        assert layout.is_owned(path)
        endless = threading.Thread(target=_ask_endlessly, args=(connected(path, "analyst", retry_s=0),))
        endless.start()
        admin = connected(path, "admin")
        wait_for(
            lambda: (
                admin.query("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'") != [(1,)]
            )
        )
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        endless.join(30)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        assert not (path / "store.json").exists()
        assert not layout.is_owned(path)


def _ask_endlessly(store: Store) -> None:
    with contextlib.suppress(StoreError):
        store.query("SELECT sum(sipHash64(number)) FROM system.numbers")


def test_a_second_store_and_a_taken_port_say_so_in_one_line(path: Path, tmp_path: Path) -> None:
    with store_process(path):
        url = layout.live_url(path)
        assert url is not None
        second = start(path)
        _, errors = second.communicate(timeout=30)
        assert second.returncode == 2
        assert errors.strip().splitlines() == [f"Error: {path}: a store already runs there ({url})"]
        elsewhere = start(tmp_path, port=int(url.rpartition(":")[2]))
        _, errors = elsewhere.communicate(timeout=30)
        assert elsewhere.returncode == 2
        (line,) = errors.strip().splitlines()
        assert (
            line.startswith(f"Error: cannot listen on {url.removeprefix('http://')}: ") and "--port" in line
        )


def test_it_listens_on_loopback_only(path: Path) -> None:
    with store_process(path):
        url = layout.live_url(path)
        assert url is not None and url.startswith("http://127.0.0.1:")
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", int(url.rpartition(":")[2])), 5):
            pass


@pytest.mark.parametrize(
    ("layout_file", "words"), [("99", "layout 1 expected, found 99"), (None, "no LAYOUT file")]
)
def test_a_directory_of_another_layout_is_left_alone(
    tmp_path: Path, layout_file: str | None, words: str
) -> None:
    (tmp_path / "store" / "data").mkdir(parents=True)
    if layout_file is not None:
        (tmp_path / "store" / "LAYOUT").write_text(layout_file)
    process = start(tmp_path)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    (line,) = errors.strip().splitlines()
    assert words in line
    assert list((tmp_path / "store" / "data").iterdir()) == []


def test_it_ends_with_the_process_that_started_it(path: Path) -> None:
    program = (
        "import os, pathlib, sys\nfrom sql.data_dir import running\n"
        "with running(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=environment, check=False, timeout=60
    )
    assert parent.returncode == -signal.SIGKILL
    wait_for(lambda: not layout.is_owned(path))


def test_running_uses_the_store_that_runs_and_leaves_it_running(path: Path) -> None:
    with store_process(path) as process:
        with layout.running(path) as url:
            assert url == layout.live_url(path)
        assert process.poll() is None
        assert layout.live_url(path) == url


def test_running_says_why_there_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "LAYOUT").write_text("99")
    with (
        pytest.raises(layout.DataDirError, match=r"did not start: Error:.*layout 1 expected"),
        layout.running(tmp_path),
    ):
        pass
    with pytest.raises(layout.DataDirError, match="no store runs there: start one"):
        layout.embedded_store(tmp_path)
    with pytest.raises(layout.DataDirError, match="user nobody: expected one of admin"):
        layout.password(tmp_path, "nobody")
