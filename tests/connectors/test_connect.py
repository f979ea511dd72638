"""The command `isotherm connect`, as a process."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from connectors.commands import connect
from connectors.file_log import FileLog
from connectors.record import decode_lines

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import asyncio
from connectors.book_sync import Rule
from tests.connectors.exchange import serving

async def main():
    async with serving(["BTCUSDT"], Rule.NEXT_ID) as exchange:
        print(exchange.port, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@contextmanager
def exchange() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def environment(port: int) -> dict[str, str]:
    names = [("WS", "ws"), ("REST", "http")]
    return os.environ | {
        f"ISOTHERM_BINANCE_SPOT_{name}": f"{scheme}://127.0.0.1:{port}" for name, scheme in names
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_follows_a_venue_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    metrics_port = free_port()
    with exchange() as port:
        command = [sys.executable, "isotherm.py", "connect", "binance_spot", "--symbols", "BTCUSDT"]
        process = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path), "--partitions", "2", "--metrics-port", str(metrics_port)],
            cwd=ROOT, env=environment(port), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        log = FileLog(tmp_path / "log")
        until_s = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until_s:
            if "health" in log.topics() and log.reader("health", 0).poll():
                break
            time.sleep(0.05)
        address = f"http://127.0.0.1:{metrics_port}/metrics"
        with urllib.request.urlopen(address) as answer:
            assert b'isotherm_feed_messages_total{symbol="BTCUSDT",venue="binance_spot"}' in answer.read()
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said.decode()
    assert log.topics() == {"health": 1, "raw.binance_spot": 2}
    lines = [
        line for partition in (0, 1) for record in log.reader("raw.binance_spot", partition).poll(1 << 30)
        for line in decode_lines(record.body) if record.key == b"BTCUSDT"
    ]  # fmt: skip
    assert [line.origin for line in lines[:2]] == [b"!reset", b"!instrument"]
    assert b'"connector stopped"' in lines[-1].payload
    (row,) = msgspec.msgpack.decode(log.reader("health", 0).poll()[0].body)
    assert (row["venue"], row["symbol"]) == ("binance_spot", "BTCUSDT")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nyse", "--log", "file:x"], "binance_spot"),
        ([], "Missing argument"),
        (["binance_spot"], "expected either --log or --data-dir"),
        (
            ["binance_spot", "--log", "file:x", "--symbols", "BTC USDT"],
            "expected symbols such as BTCUSDT,ETHUSDT",
        ),
        (["binance_spot", "--log", "file:x", "--symbols", ","], "expected symbols such as"),
        (["binance_spot", "--log", "nothing"], "expected a log as file:DIR"),
        (["binance_spot", "--log", "file:/dev/null/x"], "cannot create topic"),
    ],
)
def test_wrong_input_is_told(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(connect, arguments)
    assert result.exit_code in (1, 2) and said in result.output


def test_an_address_without_encryption_is_refused() -> None:
    result = CliRunner().invoke(
        connect,
        ["binance_spot", "--log", "file:x"],
        env={"ISOTHERM_BINANCE_SPOT_WS": "ws://user:pw@example.org"},
    )
    assert result.exit_code == 2 and "expected wss://" in result.output and "pw" not in result.output


def test_a_taken_metrics_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(
            connect, ["binance_spot", "--data-dir", str(tmp_path), "--metrics-port", port]
        )
    assert result.exit_code == 1 and "Address already in use" in result.output
