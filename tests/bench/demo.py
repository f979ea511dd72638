"""The whole demo, all its markets and symbols: CPU and memory of all its processes, the simulator among them.

Measured in the present, after the past was played: from /proc, over half a minute. Memory is the most that the
processes had together when they were looked at, each second; pages that several share (libraries) count once.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.kernels.warm import warm
from flows.runtime.progress import latency_of
from flows.up import simulated_markets
from tests.bench._runner import Result

CORES_MAX = 1.0
MIB_MAX = 2048
PARTS = 8  # store, simulator, connector, four flows, board
START_S_MAX = 90
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def bench(quick: bool) -> Iterator[Result]:
    """Lines `demo` and `demo_memory`."""
    past, settle_s, span_s = ("10s", 0, 2) if quick else ("1m", 10, 30)
    warm()
    with TemporaryDirectory() as temporary:
        command = [
            sys.executable,
            "-m",
            "isotherm",
            "demo",
            "--board-port",
            "0",
            "--past",
            past,
            "--data-dir",
            temporary,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _until_live(process, Path(temporary))
            time.sleep(settle_s)
            pids = family(process.pid)
            if len(pids) != PARTS + 1:
                raise ValueError(f"expected the demo and its {PARTS} parts, found {len(pids)} processes")
            began_s, before = time.monotonic(), sum(map(cpu_s, pids))
            peak = 0.0
            while time.monotonic() < began_s + span_s:
                peak = max(peak, sum(map(proportional_mib, pids)))
                time.sleep(1)
            cores = (sum(map(cpu_s, pids)) - before) / (time.monotonic() - began_s)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    followed = simulated_markets(())
    more = {"feeds": sum(map(len, followed.values())), "markets": len(followed), "span_s": span_s}
    yield Result("demo", cores, "cores", f"target {CORES_MAX}", CORES_MAX / cores, more)
    yield Result("demo_memory", peak, "MiB", f"target {MIB_MAX}", MIB_MAX / peak, more)


def _until_live(process: subprocess.Popen[bytes], data_dir: Path) -> None:
    """Wait until rows of the present are stored."""
    until_s = time.monotonic() + START_S_MAX
    while latency_of(data_dir / "flow" / "depth-1-of-1") is None:
        if process.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"expected rows of the present within {START_S_MAX} s")
        time.sleep(0.2)


def family(pid: int) -> list[int]:
    """The process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def proportional_mib(pid: int) -> float:
    """Memory of a process in MiB, of pages that it shares with others its part (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def cpu_s(pid: int) -> float:
    """CPU seconds of a process since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S
