"""`isotherm demo` as a newcomer runs it: undisturbed, its depth flow killed, its venues failing in turn."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.simulator.faults import Command
from connectors.venue import market
from flows.kernels import warm
from flows.up import simulated_markets
from sql.client import Store, StoreError, connect
from sql.data_dir import live_url, password
from tests.conftest import ROOT

DEPTH = ("depth_1s", "depth_10s", "depth_1m")
OUTAGE_S, BACK_WITHIN_S = 20, 10
NOTICED_WITHIN_S = 3  # a row of feed_health a second
ROWS_WITHIN_S = 150  # of a slow machine that does other work beside


def demo(tmp_path: Path, span: str) -> subprocess.Popen[str]:
    warm.warm()  # compiled kernels, as `make setup` leaves them
    command = [sys.executable, "-m", "isotherm", "demo", "--board-port", "0", "--for", span, "--past", "1m"]
    with said_file(tmp_path).open("w") as said:
        return subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / "data")], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=said, text=True,
        )  # fmt: skip


def said_file(tmp_path: Path) -> Path:
    return tmp_path / "said.txt"


def ended(process: subprocess.Popen[str], tmp_path: Path) -> tuple[dict[str, Any], str]:
    """The summary and what was said before."""
    out, _ = process.communicate(timeout=150)
    said = said_file(tmp_path).read_text()
    assert process.returncode == 0, said
    summary: dict[str, Any] = json.loads(out.splitlines()[-1])
    return summary, said


def check(summary: dict[str, Any], said: str) -> None:
    for table in (*DEPTH, "trades", "feed_health", "instruments"):
        assert summary["rows"][table] > 0, table
    assert (summary["gaps"], summary["dead_letters"]) == (0, 0)
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert f"first heatmap after {summary['first_heatmap_s']} s" in said


@pytest.mark.slow
def test_its_last_line_sums_up(tmp_path: Path) -> None:
    process = demo(tmp_path, "10m")
    until(latency_file(tmp_path).exists, ROWS_WITHIN_S)
    summary, said = interrupted(process, tmp_path)
    check(summary, said)
    assert "again" not in said


@pytest.mark.slow
def test_a_killed_flow_comes_back_and_catches_up(tmp_path: Path) -> None:
    process = demo(tmp_path, "10m")
    latency = latency_file(tmp_path)
    until(latency.exists, ROWS_WITHIN_S)
    os.kill(flow_pid(process.pid, "depth"), signal.SIGKILL)
    latency.unlink()
    until(latency.exists, ROWS_WITHIN_S)
    summary, said = interrupted(process, tmp_path)
    check(summary, said)
    assert re.search(r"depth ended with code -9.*depth started again", said, re.DOTALL)


@pytest.mark.slow
def test_it_ends_by_itself(tmp_path: Path) -> None:
    """However little the store has by then."""
    summary, _ = ended(demo(tmp_path, "1s"), tmp_path)
    assert summary["first_heatmap_s"] is None


def latency_file(tmp_path: Path) -> Path:
    """What the depth flow writes once live columns are stored."""
    return tmp_path / "data" / "flow" / "depth-1-of-1" / "latency.json"


def interrupted(process: subprocess.Popen[str], tmp_path: Path) -> tuple[dict[str, Any], str]:
    """As `ended`, by Ctrl-C once a heatmap was seen."""
    until(lambda: "first heatmap" in said_file(tmp_path).read_text(), ROWS_WITHIN_S)
    process.send_signal(signal.SIGINT)
    return ended(process, tmp_path)


def flow_pid(parent: int, name: str) -> int:
    """The process of that flow among the children of `parent`."""
    for child in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if command[3:5] == [b"flow", name.encode()]:
            return child
    raise AssertionError(f"no flow {name} runs")


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_an_outage_of_any_venue_is_its_own(tmp_path: Path) -> None:
    process = demo(tmp_path, "15m")
    try:
        with store_of(tmp_path / "data") as store:
            until(lambda: all_live(store), 120)
            told = (tmp_path / "data" / "logs" / "simulator.log").read_text()
            url = re.findall(r"http://[0-9.:]+", told)[0]
            outages = [(name, *outage(url, name, store)) for name in simulated_markets(())]
            newest = outages[-1][2] + BACK_WITHIN_S
            until(lambda: books(store, newest) == all_books(), 60)
            for name, from_s, to_s in outages:
                check_health(store, name, from_s, to_s)
                check_depth(store, name, from_s, to_s)
    finally:
        summary, said = interrupted(process, tmp_path)
    assert "again" not in said and summary["dead_letters"] == 0


@contextlib.contextmanager
def store_of(data_dir: Path) -> Iterator[Store]:
    """The demo's store, once it runs."""
    until(lambda: live_url(data_dir) is not None, 60)
    store = connect(str(live_url(data_dir)), "analyst", password(data_dir, "analyst"), retry_s=10)
    with contextlib.closing(store):
        yield store


def until(is_so: Callable[[], bool], within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until_s, f"not within {within_s} s"
        time.sleep(0.5)


def all_live(store: Store) -> bool:
    """Whether every feed of a market is, and every book has a column of the last seconds."""
    with contextlib.suppress(StoreError):
        live = store.query("SELECT venue FROM market.venue_health_now WHERE live = feeds")
        known = {name for (name,) in live} >= set(simulated_markets(()))
        return known and books(store, int(time.time()) - 3) == all_books()
    return False


def all_books() -> set[tuple[str, str]]:
    """Venue and instrument of every book of the demo."""
    return {
        (name, market(name).canonical(symbol))
        for name, symbols in simulated_markets(()).items()
        for symbol in symbols
        if market(name).has_book
    }


def books(store: Store, second: int) -> set[tuple[str, str]]:
    """The books with a column at that second."""
    query = (
        "SELECT DISTINCT venue, instrument FROM market.depth_1s WHERE toUnixTimestamp(time) = {second:UInt32}"
    )
    return {(str(venue), str(instrument)) for venue, instrument in store.query(query, {"second": second})}


def outage(url: str, name: str, store: Store) -> tuple[int, int]:
    """Let a market be out and wait until it is back; the whole seconds in which it was out, from and to."""
    command = json.dumps({"kind": "outage", "market": name, "for_s": OUTAGE_S}).encode()
    assert set(json.loads(command)) <= set(Command.__struct_fields__)
    from_s = time.time()
    urllib.request.urlopen(urllib.request.Request(f"{url}/_simulator/fault", command)).close()
    to_s = time.time() + OUTAGE_S
    time.sleep(OUTAGE_S)
    until(lambda: time.time() > to_s + BACK_WITHIN_S + 3 and all_live(store), 60)
    return int(from_s) + 1, int(to_s)


def check_health(store: Store, name: str, from_s: int, to_s: int) -> None:
    """While it was out, its feeds were told to be down and no other's; soon after, all were live."""
    query = (
        "SELECT venue, intDiv(time_ns, 1000000000), state, reason FROM market.feed_health FINAL"
        " WHERE time_ns >= {low:Int64} * 1000000000 AND time_ns < {high:Int64} * 1000000000"
    )
    told_of = store.query(query, {"low": from_s, "high": to_s + BACK_WITHIN_S + 2})
    rows = [row for row in told_of if row[0] in simulated_markets(())]  # polled feeds have their own budgets
    assert {venue for venue, *_ in rows} == set(simulated_markets(()))
    for venue, second, state, reason in rows:
        told = (name, venue, second - from_s, state, reason)
        if venue != name or second > to_s + BACK_WITHIN_S:
            assert state == "live", told
        elif from_s + NOTICED_WITHIN_S <= second < to_s:
            assert state in ("connecting", "down") and reason, told


def check_depth(store: Store, name: str, from_s: int, to_s: int) -> None:
    """The others' books have a column of every second; its own have a hole, and none beyond the time to come back."""
    query = (
        "SELECT venue, instrument, groupUniqArray(toUnixTimestamp(time)) FROM market.depth_1s"
        " WHERE toUnixTimestamp(time) BETWEEN {low:UInt32} AND {high:UInt32} GROUP BY venue, instrument"
    )
    seconds = set(range(from_s, to_s + BACK_WITHIN_S + 1))
    rows = store.query(query, {"low": min(seconds), "high": max(seconds)})
    assert {(venue, instrument) for venue, instrument, _ in rows} == all_books()
    for venue, instrument, found in rows:
        missing = seconds - {int(second) for second in found}
        if venue == name:
            assert set(range(from_s + 1, to_s)) <= missing, (name, instrument, missing)
            assert max(seconds) not in missing, (name, instrument, missing)
        else:
            assert not missing, (name, venue, instrument, missing)
