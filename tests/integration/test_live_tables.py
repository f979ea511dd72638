"""What a live run left is what its log gives when it is replayed: of markets simulated."""

import shutil

import pytest

from connectors.log import BARS, DEAD_LETTER, FEATURES
from flows.kernels import warm
from tests.integration.pipeline import FLOWS, isotherm, spawn, tables

MINUTE_NS = 60 * 10**9
LIVE_S = 75  # over at least one minute's close
MADE = (BARS, DEAD_LETTER, FEATURES)  # by flows
SYMBOLS = "BTCUSDT,BTC/USD"


def test_flows_are_those_that_there_are():
    told = isotherm("flow", "--help").stdout
    assert all(flow in told for flow in FLOWS)


@pytest.mark.slow
def test_a_live_run_and_the_replay_of_its_log_leave_the_same_tables(tmp_path):
    warm.warm()
    live, replayed = tmp_path / "live", tmp_path / "replayed"
    demo = spawn(
        "demo",
        "--board-port",
        "0",
        "--for",
        f"{LIVE_S}s",
        "--past",
        "2m",
        "--symbols",
        SYMBOLS,
        "--data-dir",
        live,
    )
    _, said = demo.communicate(timeout=LIVE_S + 150)
    assert demo.returncode == 0, said
    for topic in (live / "log").iterdir():
        if topic.name not in MADE:
            shutil.copytree(topic, replayed / "log" / topic.name)
    for data_dir in (live, replayed):
        for flow in (*FLOWS, "feeds"):
            done = isotherm("flow", flow, "--until-end", "--data-dir", data_dir)
            assert done.returncode == 0, (flow, done.stderr)
    expected, found = tables(live), tables(replayed)
    for table in expected:
        assert found[table] == expected[table], table
    for table in ("depth_1s", "trades", "order_flow", "footprints", "bars"):
        assert expected[table], table
    # A machine that was long in starting may not have seen trades before and after a minute's close.
    minutes = {int(row.split("\t")[2]) // MINUTE_NS for row in expected["trades"]}
    assert bool(expected["profiles"]) or len(minutes) < 2
