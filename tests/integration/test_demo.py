"""`isotherm demo` as a newcomer runs it, undisturbed and with the depth flow killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.kernels import warm
from tests.conftest import ROOT

DEPTH = ("depth_1s", "depth_10s", "depth_1m")


def demo(data_dir: Path, span: str) -> subprocess.Popen[str]:
    warm.warm()  # compiled kernels, as `make setup` leaves them
    command = [sys.executable, "-m", "isotherm", "demo", "--board-port", "0", "--for", span, "--past", "1m"]
    return subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """The summary and what was said before."""
    out, said = process.communicate(timeout=150)
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
    summary, said = ended(demo(tmp_path, "25s"))
    check(summary, said)
    assert "again" not in said


@pytest.mark.slow
def test_a_killed_flow_comes_back_and_catches_up(tmp_path: Path) -> None:
    process = demo(tmp_path, "35s")
    latency = tmp_path / "flow" / "depth-1-of-1" / "latency.json"
    until_s = time.monotonic() + 60
    while not latency.exists() and time.monotonic() < until_s:
        time.sleep(0.1)
    os.kill(flow_pid(process.pid, "depth"), signal.SIGKILL)
    latency.unlink()
    summary, said = ended(process)
    check(summary, said)
    assert re.search(r"depth ended with code -9.*depth started again", said, re.DOTALL)


def flow_pid(parent: int, name: str) -> int:
    """The process of that flow among the children of `parent`."""
    for child in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if command[3:5] == [b"flow", name.encode()]:
            return child
    raise AssertionError(f"no flow {name} runs")
