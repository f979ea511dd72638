"""The dataflow from the log to rows: depth messages a second of CPU."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import _peers
from tests.bench._flow import flow_cpu_s
from tests.bench._recording import QUICK_S, depth_lines, depth_messages, write_log
from tests.bench._runner import Result, cpu_s, median, rates, spread, turns

TARGET = 25_000


def bench(quick: bool) -> Iterator[Result]:
    """Lines `depth_flow` (ten instruments) and `depth_flow_1`."""
    seconds, runs, many = (QUICK_S, 1, 2) if quick else (None, 5, 10)
    payloads = [x.payload for x in depth_lines(seconds)]
    expected = _peers.msgspec_dicts(payloads)
    with TemporaryDirectory() as temporary:
        logs = {count: Path(temporary) / str(count) for count in (many, 1)}
        for count, folder in logs.items():
            write_log(folder, count, seconds)
        taken = turns(
            runs,
            {
                "flow of many": lambda: flow_cpu_s(logs[many], expected),
                "flow of one": lambda: flow_cpu_s(logs[1], expected),
                "msgspec": lambda: cpu_s(_peers.msgspec_dicts, payloads)[0],
            },
        )
    count = depth_messages(seconds)
    peer = median(rates(taken["msgspec"], count))
    for name, samples, instruments in (
        ("depth_flow", taken["flow of many"], many),
        ("depth_flow_1", taken["flow of one"], 1),
    ):
        rate = rates(samples, count * instruments)
        more = spread(rate) | {"instruments": instruments, "msgspec_books_alone": round(peer)}
        yield Result(name, median(rate), "depth messages/s", f"target {TARGET}", median(rate) / TARGET, more)
