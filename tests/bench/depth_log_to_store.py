"""Catching up: lines a second of wall clock from the file log into the embedded store."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sql.client import connect
from sql.data_dir import password, running
from sql.engine import MEMORY_BYTES
from sql.migrate import migrate
from tests.bench._flow import stored_s
from tests.bench._recording import QUICK_S, write_log
from tests.bench._runner import Result, in_process, median, peak_mib, rates, spread, turns

TARGET = 150_000


def bench(quick: bool) -> Iterator[Result]:
    """Lines `depth_log_to_store` (ten instruments), `..._1`, and the peak memory of flow and store."""
    seconds, runs, many = (QUICK_S, 1, 2) if quick else (None, 3, 10)
    peaks: dict[str, list[float]] = {"flow": [], "store": []}
    with TemporaryDirectory() as temporary:
        logs = {count: Path(temporary) / str(count) for count in (many, 1)}
        lines = {count: write_log(folder, count, seconds) for count, folder in logs.items()}
        taken = turns(
            runs,
            {
                "many": lambda: catch_up(logs[many], many, peaks),
                "one": lambda: catch_up(logs[1], 1, peaks),
            },
        )
    for name, samples, count in (
        ("depth_log_to_store", taken["many"], many),
        ("depth_log_to_store_1", taken["one"], 1),
    ):
        rate = rates(samples, lines[count])
        more = spread(rate) | {"instruments": count, "clock": "wall, two processes"}
        yield Result(name, median(rate), "lines/s", f"target {TARGET}", median(rate) / TARGET, more)
    limit = MEMORY_BYTES / (1 << 20)
    flow, store = max(peaks["flow"]), max(peaks["store"])
    yield Result("depth_log_to_store_flow_memory", flow, "MiB", None, None, {"instruments": many})
    yield Result(
        "depth_log_to_store_store_memory", store, "MiB", "its limit", store / limit, {"instruments": many}
    )


def catch_up(folder: Path, instruments: int, peaks: dict[str, list[float]]) -> float:
    """Seconds that a flow in a process of its own takes to bring the log in `folder` into a new store."""
    with TemporaryDirectory() as temporary, running(Path(temporary)) as url:
        data_dir = Path(temporary)
        admin = connect(url, "admin", password(data_dir, "admin"))
        migrate(admin)
        took, peak = in_process(stored_s, folder, data_dir, url)
        peaks["flow"].append(peak)
        peaks["store"].append(peak_mib(json.loads((data_dir / "store.json").read_text())["pid"]))
        count = "SELECT count(), uniqExact(instrument), uniqExact(time) FROM market.depth_1s FINAL"
        rows, found, times = admin.query(count)[0]
        admin.close()
    if found != instruments or not rows == found * times > 0:
        raise ValueError(f"expected every second of {instruments} instruments, found {rows} rows of {found}")
    return took
