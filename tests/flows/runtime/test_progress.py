"""What a flow tells of itself: lag, rows, and the latency of live rows alone."""

import json
import socket
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from bytewax.testing import run_main
from hypothesis import given
from hypothesis import strategies as st

from connectors.file_log import FileLog
from flows import feeds
from flows.runtime.progress import FILE, SAMPLE_ROWS, Progress, latency_of, serving
from tests.flows.kernels.test_health import told

S = 10**9
MS = 10**6


def rows(received: list[int], seconds: list[int]) -> dict[str, np.ndarray]:
    return {"time": np.array(seconds), "received_ns": np.array(received)}


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_quantiles_are_those_of_nearest_rank(delays_ms: list[int]) -> None:
    progress = Progress()
    for delay in delays_ms:
        progress.stored("depth_1s", rows([1000 * S], [999]), 1000 * S + delay * MS)
    ranked = np.sort(delays_ms)
    p50, p99 = (np.quantile(ranked, q, method="higher") for q in (0.5, 0.99))
    known = progress.latency()
    assert known is not None and known["n"] == len(delays_ms)
    # Where the rank is whole, one step to either side is as near.
    assert known["p50_ms"] in (p50, ranked[min(len(ranked) - 1, len(ranked) // 2)])
    assert known["p99_ms"] >= p99


def test_a_past_that_is_played_is_left_out() -> None:
    progress = Progress()
    progress.stored("depth_1s", rows([1000 * S, 1000 * S], [994, 100]), 1001 * S)
    assert progress.latency() is None and progress.latency_s is None
    progress.stored("depth_1s", rows([1000 * S, 1000 * S], [995, 100]), 1001 * S)
    assert progress.latency() == {"p50_ms": 1000.0, "p99_ms": 1000.0, "n": 1}
    progress.stored("depth_10s", rows([1000 * S], [999]), 1005 * S)
    assert progress.latency() == {"p50_ms": 1000.0, "p99_ms": 1000.0, "n": 1}
    assert progress.rows == {"depth_1s": 4, "depth_10s": 1}


def test_the_sample_is_bounded_and_of_the_newest() -> None:
    progress = Progress()
    for delay_ms in (500, 7):
        progress.stored("depth_1s", rows([S] * SAMPLE_ROWS, [1] * SAMPLE_ROWS), S + delay_ms * MS)
    assert progress.latency() == {"p50_ms": 7.0, "p99_ms": 7.0, "n": SAMPLE_ROWS}


def test_the_file_holds_what_was_written_last(tmp_path: Path) -> None:
    assert latency_of(tmp_path) is None
    progress = Progress(tmp_path / FILE)
    progress.write()
    assert latency_of(tmp_path) is None
    progress.stored("depth_1s", rows([S], [1]), S + 40 * MS)
    assert latency_of(tmp_path) == {"p50_ms": 40.0, "p99_ms": 40.0, "n": 1}
    progress.stored("depth_1s", rows([S], [1]), S + 60 * MS)
    progress.write()
    assert json.loads((tmp_path / FILE).read_text())["n"] == 2
    assert [x.name for x in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).write_text("{")
    assert latency_of(tmp_path) is None


def test_a_flow_tells_rows_and_lag_to_prometheus(tmp_path: Path) -> None:
    class Nowhere:
        def insert(self, table, columns):
            pass

        def close(self):
            pass

    log = FileLog(tmp_path)
    log.create("health", 1)
    writer = log.writer()
    for record in told(4):
        writer.append("health", record.key, record.body, 0)
    writer.flush()
    progress = Progress()
    run_main(feeds.FLOW.dataflow(log, Nowhere(), [("health", 0)], follow=False, progress=progress))
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with (
        serving(port, "feeds", progress),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        text = answer.read().decode()
    assert 'isotherm_flow_rows_total{flow="feeds",table="feed_health"} 8.0' in text
    assert 'isotherm_flow_lag{flow="feeds",partition="health/0"} 0.0' in text
    writer.close()


def test_a_taken_port_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        serving(taken.getsockname()[1], "depth", Progress()),
    ):
        pass
