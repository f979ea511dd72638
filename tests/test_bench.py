"""The benchmarks run, on inputs so small that their figures mean nothing; no time is asserted."""

import json
import subprocess
import sys

import pytest

from tests.bench import _peers
from tests.bench import depth_kernel as kernel_bench
from tests.bench.__main__ import names
from tests.bench._recording import depth_lines, records
from tests.conftest import ROOT

LINES = {
    "correlation": {"corr_n50_w60", "corr_n50_w60_missing"},
    "depth_kernel": {"depth_kernel", "depth_kernel_columns", "depth_kernel_records"},
    "depth_flow": {"depth_flow", "depth_flow_1"},
    "depth_flow_200": {"depth_flow_200", "depth_flow_memory"},
    "depth_log_to_store": {
        "depth_log_to_store", "depth_log_to_store_1",
        "depth_log_to_store_flow_memory", "depth_log_to_store_store_memory",
    },
    "socket_to_log": {"socket_to_log"},
    "trades_log_to_store": {"trades_log_to_store", "trades_log_to_store_quiet", "trades_decode"},
    "venue_shapes": {"venue_shapes_pairs", "venue_shapes_objects", "venue_shapes_sided"},
    "demo": {"demo", "demo_memory"},
    "webhook": {"webhook"},
}  # fmt: skip


def run(*arguments):
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_benchmark_is_found():
    assert set(names()) == set(LINES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LINES))
def test_benchmark_prints_json_lines(name, recordings):
    done = run("--quick", name)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert {x["bench"] for x in results} == LINES[name]
    for x in results:
        assert {"bench", "value", "unit", "ratio", "against"} <= x.keys()
        assert x["value"] > 0
        assert x["unit"]
        assert x["ratio"] is None or x["ratio"] > 0
    if name == "depth_kernel":
        assert {x["against"] for x in results if x["bench"] == name} == {"msgspec", "ccxt"}


def test_engines_agree_at_every_message(recordings):
    """The best prices after each of the first messages that follow the snapshot, not only at the end."""
    lines = depth_lines(2.0)
    seeded = next(i for i, x in enumerate(lines) if x.payload.startswith(b'{"lastUpdateId'))
    for end in range(seeded + 1, len(lines) + 1):
        payloads = [x.payload for x in lines[:end]]
        expected = _peers.msgspec_dicts(payloads)
        assert _peers.ccxt_book(payloads) == expected
        for columns in (False, True):
            assert kernel_bench.kernel(records(lines[:end]), columns) == expected


def test_disagreement_fails(recordings, monkeypatch):
    monkeypatch.setattr(_peers, "ccxt_book", lambda payloads: (1.0, 2.0))
    with pytest.raises(ValueError, match="best bid and ask"):
        list(kernel_bench.bench(quick=True))


def test_unknown_name_is_refused():
    done = run("--quick", "no_such")
    assert done.returncode == 2
    assert not done.stdout
