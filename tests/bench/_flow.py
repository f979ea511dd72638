"""The depth flow as the benchmarks run it: over a log written beforehand, to its end."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connectors.log import open_log
from flows.depth import FLOW
from flows.kernels.warm import warm
from flows.runtime.dataflow import Running
from flows.runtime.run import run
from sql.client import connect
from sql.data_dir import password
from tests.bench._recording import parts
from tests.bench._runner import cpu_s, peak_mib


class CountingStore:
    """Takes inserts and keeps only the number of rows."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def insert(self, table: str, columns: dict[str, Any]) -> None:
        self.rows[table] = self.rows.get(table, 0) + len(next(iter(columns.values())))

    def close(self) -> None:
        pass


def flow_cpu_s(folder: Path, expected: tuple[float, float] | None) -> float:
    """CPU seconds of the flow over the log in `folder`; `expected`: best bid and ask of every book at the end."""
    log = open_log(f"file:{folder}")
    running: dict[tuple[str, int], Running] = {}
    flow = FLOW.dataflow(log, CountingStore(), list(parts(log)), follow=False, running=running)
    with TemporaryDirectory() as recovery:
        took, _ = cpu_s(run, flow, Path(recovery))
    log.close()
    books = [book for x in running.values() for book in x.kernel.summary()["books"].values()]
    for book in books:
        if (float(book["best_bid"]), float(book["best_ask"])) != expected:
            raise ValueError(f"expected every book to end at {expected}, found {book}")
    if expected is not None and not books:
        raise ValueError(f"no book came of the log in {folder}")
    return took


def flow_peak_mib(folder: Path, expected: tuple[float, float]) -> float:
    """Peak memory of this process after the flow ran over the log in `folder`."""
    flow_cpu_s(folder, expected)
    return peak_mib()


def stored_s(folder: Path, data_dir: Path, url: str) -> tuple[float, float]:
    """Wall-clock seconds of the flow from the log in `folder` into the store, and this process's peak memory in MiB.

    The compiled functions are loaded before.
    """
    warm()
    log, store = open_log(f"file:{folder}"), connect(url, "writer", password(data_dir, "writer"))
    began = time.monotonic()
    run(FLOW.dataflow(log, store, list(parts(log)), follow=False), data_dir / "flow")
    took = time.monotonic() - began
    log.close()
    return took, peak_mib()
