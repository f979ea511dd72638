"""The command `isotherm connect`, as a process."""

import asyncio
import dataclasses
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
import structlog
from aiohttp import web
from click.testing import CliRunner

from connectors.commands import connect
from connectors.connect import Connector, run
from connectors.feed import MINUTE_S, Limit, Poll
from connectors.file_log import FileLog
from connectors.record import decode_lines
from connectors.telemetry import State, Telemetry
from connectors.venue import Request
from tests.connectors.toy_feed import MOOD, PLANTED, Vendor, mood, serving, toy

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


def test_polled_feeds_need_a_place_for_their_budgets_and_a_key(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("ISOTHERM_COINMARKETCAP_KEY", raising=False)
    for arguments, said in [
        (["coingecko", "--log", "file:x"], "expected --budgets or --data-dir"),
        (["coinmarketcap", "--data-dir", str(tmp_path)], "set ISOTHERM_COINMARKETCAP_KEY"),
    ]:
        result = CliRunner().invoke(connect, arguments)
        assert result.exit_code == 2 and said in result.output
    for name, value, said in [
        ("ISOTHERM_COINGECKO_URL", "http://me:pw@example.org", "ISOTHERM_COINGECKO_URL: expected https://"),
        ("ISOTHERM_COINGECKO_KEY", "two words", "ISOTHERM_COINGECKO_KEY: expected a key"),
    ]:
        result = CliRunner().invoke(connect, ["coingecko", "--data-dir", str(tmp_path)], env={name: value})
        assert result.exit_code == 2 and said in result.output
        assert "pw" not in result.output and "two words" not in result.output


def test_feeds_are_polled_into_topics_of_one_partition(tmp_path: Path) -> None:
    """Two feeds with one key, that one of them is refused with; and no market at all."""
    vendor, log = Vendor(), FileLog(tmp_path / "log")

    def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": PLANTED}) if "bad" in request.path else mood(len(vendor.asked))

    vendor.answer = answer
    good = toy(polls=lambda _: [Poll("mood", MOOD, 0.05)])
    bad = dataclasses.replace(good, name="bad", polls=lambda _: [Poll("no", Request("/bad", 1), 0.05)])
    idle = dataclasses.replace(good, name="idle", polls=lambda _: [])

    async def main() -> Telemetry:
        async with serving(vendor) as access:
            plan = dataclasses.replace(access.plan, limits=(Limit(10**6, MINUTE_S),))
            ways = [
                dataclasses.replace(access, feed=x, chosen=access.chosen._replace(plan=plan))
                for x in (good, bad, idle)
            ]
            connector = Connector([], log, lambda: 0.0, 4, feeds=ways, budgets=tmp_path / "budgets.sqlite3")
            stop = asyncio.Event()
            running = asyncio.ensure_future(run(connector, stop))
            while len(vendor.asked) < 8 or not log.reader("health", 0).poll():  # noqa: ASYNC110 - of a server
                await asyncio.sleep(0.05)
            stop.set()
            return await running

    with structlog.testing.capture_logs() as said:
        telemetry = asyncio.run(main())
    assert log.topics() == {"health": 1, "raw.bad": 1, "raw.idle": 1, "raw.toy": 1}
    lines = [x for record in log.reader("raw.toy", 0).poll(1 << 30) for x in decode_lines(record.body)]
    assert len(lines) > 3 and {x.origin for x in lines} == {MOOD.origin}
    assert telemetry.feed("toy", "mood").state == State.LIVE
    stopped = telemetry.feed("bad", "no")
    assert stopped.state == State.DOWN and stopped.reason == "key refused: ***"
    assert vendor.busiest == 1 and sum("bad" in x.path for x in vendor.asked) == 1
    assert PLANTED not in repr(said) and any("nothing to poll" in x["event"] for x in said)


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
