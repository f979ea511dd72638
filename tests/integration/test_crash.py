"""kill -9 of the flows and of the store at random points: the tables are those of an undisturbed run."""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.log import DEAD_LETTER, FEATURES, open_log
from connectors.record import CLOCK, Chunker, encode_line
from connectors.recordings import read
from connectors.venue import market
from flows.runtime.run import recovery_of
from sql.data_dir import live_url
from tests.integration.pipeline import FLOWS, isotherm, spawn, tables

KILLS = 10
FEED_S = 30.0
READY_S = 150
RECORDED_S = 150


def records(path: Path) -> list[tuple[bytes, bytes, int]]:
    """The first RECORDED_S seconds of a recording as records, those of the clock among them."""
    chunker, out, first_ns = Chunker(), [], None
    for key, line in read(path, market("binance_futures"), "BTCUSDT", clocks=True):
        first_ns = first_ns or line.recv_ns
        if line.recv_ns > first_ns + RECORDED_S * 1_000_000_000:
            break
        if line.origin == CLOCK:
            out += [*chunker.cut(), (key, encode_line(*line), line.recv_ns)]
        else:
            out += chunker.add(key, line.recv_ns, encode_line(*line))
    return out + list(chunker.cut())


def feed(data_dir: Path, content: list[tuple[bytes, bytes, int]], span_s: float) -> None:
    """Append records to the raw topic, evenly over `span_s`."""
    log = open_log(f"file:{data_dir / 'log'}")
    for topic in ("raw.binance_futures", FEATURES, DEAD_LETTER):
        log.create(topic, 1)
    writer, begin = log.writer(), time.monotonic()
    for i, (key, body, recv_ns) in enumerate(content):
        writer.append("raw.binance_futures", key, body, recv_ns)
        if i % 10 == 0:
            writer.flush()
            time.sleep(max(0.0, begin + span_s * i / len(content) - time.monotonic()))
    writer.close()
    log.close()


def to_the_end(data_dir: Path) -> None:
    """Every flow until nothing is left for it, those first that others read from."""
    for flow in FLOWS:
        done = isotherm("flow", flow, "--until-end", "--data-dir", data_dir)
        assert done.returncode == 0, (flow, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["flow", "store"])
def test_killed_ten_times_the_tables_are_the_same(recordings, tmp_path, victim):
    content = records(recordings / "binance/usdm_btcusdt_20240808.gz")
    calm, struck = tmp_path / "calm", tmp_path / "struck"
    feed(calm, content, 0)
    to_the_end(calm)

    feed(struck, content[:1], 0)
    feeder = threading.Thread(target=feed, args=(struck, content[1:], FEED_S))
    dice = random.Random(victim)
    run = {"store": lambda: spawn("store", "--data-dir", struck, "--port", 0)} | {
        flow: lambda flow=flow: spawn("flow", flow, "--data-dir", struck, "--epoch", "0.5") for flow in FLOWS
    }
    parts = {"store": run["store"]()}
    until(lambda: live_url(struck) is not None)
    parts |= {flow: run[flow]() for flow in FLOWS}
    until(lambda: all(any(recovery_of(struck / "flow", flow, "1/1").glob("*.sqlite3")) for flow in FLOWS))
    feeder.start()
    try:
        for _ in range(KILLS):
            time.sleep(dice.uniform(1.5, 3.5))
            for name in ("store",) if victim == "store" else dice.sample(FLOWS, 2):
                parts[name].send_signal(signal.SIGKILL)
                parts[name].communicate()
                parts[name] = run[name]()
        feeder.join()
        if victim == "store":
            dead = [flow for flow in FLOWS if parts[flow].poll() is not None]
            assert not dead, (dead, parts[dead[0]].communicate())  # a flow that runs waits for its store
    finally:
        for part in parts.values():
            part.kill()
            part.communicate()
    to_the_end(struck)
    expected, found = tables(calm), tables(struck)
    for table, rows in expected.items():
        assert found[table] == rows, table
    filled = {"depth_1s", "trades", "order_flow", "footprints", "profiles", "large_trades", "walls", "levels"}
    assert filled <= {table for table, rows in expected.items() if rows}
    assert len(expected["depth_1s"]) > RECORDED_S - 5


def until(is_so: Callable[[], bool]) -> None:
    """Wait for that: a flow that begins while there is no store says so and ends."""
    give_up_s = time.monotonic() + READY_S
    while not is_so():
        assert time.monotonic() < give_up_s, f"not within {READY_S} s"
        time.sleep(0.1)
