"""How a flow process gets on: how far behind the log, what it stored, how old frames were when they were stored.

The wall clock is read here, never for what goes into rows. `Progress` is written by the thread of the flow and read
by the one that serves metrics; its values are replaced, never changed in place.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SAMPLE_ROWS = 10_000
LIVE_NS = 5_000_000_000  # what was received longer after its second is a past being played
WRITE_EVERY_S = 1.0
TIMED_TABLE = "depth_1s"
FILE = "latency.json"


class Progress:
    """Counters of a flow since its process began, and the latency of its newest rows of one second."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`, if given, is kept up to date with the latency."""
        self.lag: dict[str, int] = {}  # partition -> offsets between the reader and the log's end
        self.rows: Counter[str] = Counter()
        self.latency_s: float | None = None
        self._sample: deque[int] = deque(maxlen=SAMPLE_ROWS)
        self._file = file
        self._write_at_s = 0.0

    def stored(self, table: str, columns: Mapping[str, Sequence[Any]], now_ns: int) -> None:
        """Rows the store acknowledged at `now_ns`."""
        self.rows[table] += len(next(iter(columns.values())))
        if table != TIMED_TABLE:
            return
        pairs = zip(columns["time"], columns["received_ns"], strict=True)
        received = [int(ns) for second, ns in pairs if int(ns) - int(second) * 1_000_000_000 <= LIVE_NS]
        if received:
            self._sample.extend(now_ns - ns for ns in received)
            self.latency_s = (now_ns - max(received)) / 1e9
            if time.monotonic() >= self._write_at_s:
                self.write()

    def latency(self) -> dict[str, float] | None:
        """Median and 99th percentile (nearest rank) of insert acknowledged less newest frame received, in ms."""
        if not self._sample:
            return None
        ranked = sorted(self._sample)
        p50, p99 = (ranked[min(len(ranked) - 1, len(ranked) * p // 100)] / 1e6 for p in (50, 99))
        return {"p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "n": len(ranked)}

    def write(self) -> None:
        """Bring the file up to date; a reader sees the old or the new one, whole."""
        if self._file is not None and (known := self.latency()) is not None:
            self._write_at_s = time.monotonic() + WRITE_EVERY_S
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(known), encoding="utf-8")
            fresh.replace(self._file)


def latency_of(recovery: Path) -> dict[str, float] | None:
    """What the flow whose state is in `recovery` wrote last; None if it has stored nothing yet."""
    with suppress(OSError, ValueError):
        found: dict[str, float] = json.loads((recovery / FILE).read_text(encoding="utf-8"))
        return found
    return None


class Metrics(Collector):
    """The same for Prometheus, gathered when it asks."""

    def __init__(self, flow: str, progress: Progress) -> None:
        self._flow, self._progress = flow, progress

    def collect(self) -> Iterator[Metric]:
        """Lag by partition, rows by table, latency of the newest insert."""
        lag = GaugeMetricFamily(
            "isotherm_flow_lag", "offsets behind the log's end: records in Kafka, bytes in a file log",
            labels=("flow", "partition"),
        )  # fmt: skip
        rows = CounterMetricFamily("isotherm_flow_rows", "rows stored", labels=("flow", "table"))
        latency = GaugeMetricFamily(
            "isotherm_flow_insert_latency_seconds",
            "acknowledgement of the last insert of one-second rows less receipt of their newest frame",
            labels=("flow",),
        )
        for partition, behind in list(self._progress.lag.items()):
            lag.add_metric((self._flow, partition), behind)
        for table, count in list(self._progress.rows.items()):
            rows.add_metric((self._flow, table), count)
        if self._progress.latency_s is not None:
            latency.add_metric((self._flow,), self._progress.latency_s)
        yield from (lag, rows, latency)


@contextmanager
def serving(port: int | None, flow: str, progress: Progress) -> Iterator[None]:
    """Serve the metrics on 127.0.0.1 while the block runs; without a port nothing.

    Raises:
        OSError: the port is taken.
    """
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(Metrics(flow, progress))
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
