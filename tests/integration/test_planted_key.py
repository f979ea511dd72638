"""A planted key, accepted or refused, comes out nowhere: logs, lines, metrics, dead letters, arguments of processes."""

import asyncio
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from connectors.feed import feed
from connectors.file_log import FileLog
from connectors.log import HEALTH
from connectors.record import decode_lines
from connectors.simulator import finnhub, massive, twelve_data
from connectors.simulator.api import apis
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.venue import market
from flows.kernels.tape import TapeKernel
from flows.up import free_port
from tests.conftest import ROOT

POLLED = ("alpha_vantage", "coinmarketcap", "twelve_data_rest")
KEYED = ("finnhub", "massive_crypto", "massive_forex", "twelve_data")
PLANTED, OTHER = "pl4nted+k3y/=", "another"
HIDDEN = (b"pl4nted", b"k3y/=", b"k3y%2F")


async def connected(simulator: Simulator, data_dir: Path, is_enough) -> tuple[str, bytes, bytes]:
    """What the connector process says, its metrics and its arguments, once the log is enough."""
    environ = {}
    for name in KEYED:
        served = market(name)
        assert served.live.key_env is not None
        ws_url, rest_url = simulator.urls(name)
        environ |= {f"ISOTHERM_{name.upper()}_WS": ws_url, f"ISOTHERM_{name.upper()}_REST": rest_url}
        environ[served.live.key_env] = PLANTED
    return await connect(KEYED, environ, data_dir, is_enough)


async def connect(
    names: Sequence[str], addresses: Mapping[str, str], data_dir: Path, is_enough
) -> tuple[str, bytes, bytes]:
    """The same of these markets or feeds at those addresses."""
    port = free_port()
    environ = {**os.environ, "ISOTHERM_CONNECT_RETRY_CAP": "1s", **addresses}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "isotherm", "connect", *names, "--data-dir", str(data_dir), "--metrics-port", str(port),
        cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(90):
            while not is_enough(data_dir):
                assert process.returncode is None
                await asyncio.sleep(0.2)
        arguments = await asyncio.to_thread(Path(f"/proc/{process.pid}/cmdline").read_bytes)
        metrics = await asyncio.to_thread(fetched, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        said, _ = await process.communicate()
    return said.decode(), metrics, arguments


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def bodies(data_dir: Path, topic: str) -> list[bytes]:
    with closing(FileLog(data_dir / "log")) as log:
        return [
            record.body
            for partition in range(log.topics().get(topic, 0))
            for record in log.reader(topic, partition).poll(1 << 30)
        ]


def told(data_dir: Path, name: str) -> bytes:
    return b"".join(bodies(data_dir, f"raw.{name}"))


def has_heard_all(data_dir: Path) -> bool:
    marks = {
        "finnhub": b'"p":',
        "massive_crypto": b'"XT"',
        "massive_forex": b'"ev":"C"',
        "twelve_data": b'"price"',
    }
    return all(mark in told(data_dir, name) for name, mark in marks.items())


def all_are_down(data_dir: Path) -> bool:
    last = bodies(data_dir, HEALTH)[-len(KEYED) :]
    return len(last) == len(KEYED) and all(b"down" in body and b"live" not in body for body in last)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_planted_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool) -> None:
    for half in (finnhub, massive, twelve_data):
        monkeypatch.setattr(half, "DEMO_KEY", PLANTED if accepted else OTHER)

    async def main() -> tuple[str, bytes, bytes]:
        async with Simulator(Options(markets=KEYED, past_s=0)) as simulator:
            return await connected(simulator, tmp_path, has_heard_all if accepted else all_are_down)

    said, metrics, arguments = asyncio.run(main())
    assert "finnhub" in said and b"isotherm_feed_state" in metrics and b"connect" in arguments
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    dead = [repr(block) for name in KEYED for block in dead_letters(tmp_path, name)]
    for hidden in HIDDEN:
        assert hidden.decode() not in said
        assert hidden not in metrics and hidden not in arguments
        assert all(hidden not in path.read_bytes() for path in files)
        for name in KEYED:
            assert hidden not in told(tmp_path, name)
        assert all(hidden.decode() not in text for text in dead)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_planted_key_of_a_polled_feed_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool
) -> None:
    """In a header and in a query, of vendors that say it in their complaints."""
    for name in POLLED:
        plan = next(iter(apis()[name].keys.values()))
        monkeypatch.setattr(apis()[name], "keys", {PLANTED if accepted else OTHER: plan})

    def is_enough(data_dir: Path) -> bool:
        rows = {
            row["venue"]: row
            for body in bodies(data_dir, HEALTH)
            for row in msgspec.msgpack.decode(body)
            if row["state"] == ("live" if accepted else "down")
        }
        return set(rows) == set(POLLED)

    async def main() -> tuple[str, bytes, bytes]:
        async with Simulator(Options(markets=("finnhub",), apis=POLLED, past_s=0)) as simulator:
            environ = {f"ISOTHERM_{name.upper()}_URL": simulator.api_url(name) for name in POLLED}
            environ |= {str(feed(name).key_env): PLANTED for name in POLLED}
            return await connect(POLLED, environ, tmp_path, is_enough)

    said, metrics, arguments = asyncio.run(main())
    assert b"isotherm_feed_state" in metrics and (accepted or "vendor refuses" in said)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "budgets.sqlite3" for path in files)
    lines = [
        line for name in POLLED for body in bodies(tmp_path, f"raw.{name}") for line in decode_lines(body)
    ]
    assert bool(lines) == accepted
    for hidden in HIDDEN:
        assert hidden.decode() not in said
        assert hidden not in metrics and hidden not in arguments
        assert all(hidden not in path.read_bytes() for path in files)
        assert all(hidden not in line.origin + line.payload for line in lines)


def dead_letters(data_dir: Path, name: str) -> list[dict]:
    """The tape's rows of the market, and what it set aside when every frame is damaged."""
    kernel = TapeKernel(market(name), 0)
    with closing(FileLog(data_dir / "log")) as log:
        records = [
            x for p in range(log.topics()[f"raw.{name}"]) for x in log.reader(f"raw.{name}", p).poll(1 << 30)
        ]
    damaged = [record._replace(body=record.body.replace(b'":', b'"=')) for record in records]
    return [block.columns for block in [*kernel.on_records(records), *kernel.on_records(damaged)]]
