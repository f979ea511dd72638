"""What 200 instruments in one partition cost, against ten over the same 20 s."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import _peers
from tests.bench._flow import flow_cpu_s, flow_peak_mib
from tests.bench._recording import QUICK_S, depth_lines, depth_messages, write_log
from tests.bench._runner import Result, in_process, median, spread, turns

SECONDS = 20.0


def bench(quick: bool) -> Iterator[Result]:
    """Lines `depth_flow_200` and `depth_flow_memory`.

    Every book is seeded once, whatever their number, so 20 s of each are compared with 20 s of each. What a flow
    over an empty log costs is taken off both: it is not a cost of messages.
    """
    seconds, runs, many, few = (QUICK_S, 1, 4, 2) if quick else (SECONDS, 5, 200, 10)
    expected = _peers.msgspec_dicts(x.payload for x in depth_lines(seconds))
    with TemporaryDirectory() as temporary:
        logs = {count: Path(temporary) / str(count) for count in (many, few, 0)}
        for count, folder in logs.items():
            write_log(folder, count, seconds)
        taken = turns(
            runs,
            {
                "flow of many": lambda: flow_cpu_s(logs[many], expected),
                "flow of few": lambda: flow_cpu_s(logs[few], expected),
                "empty flow": lambda: flow_cpu_s(logs[0], None),
            },
        )
        memory = {count: in_process(flow_peak_mib, logs[count], expected) for count in (many, few)}
    empty, messages = median(taken["empty flow"]), depth_messages(seconds)
    us = {count: 1e6 / messages / count for count in (many, few)}
    ours = [seconds - empty for seconds in taken["flow of many"]]
    value, other = median(ours, us[many]), (median(taken["flow of few"]) - empty) * us[few]
    against = f"{few} instruments"
    more = spread(ours, us[many]) | {"instruments": many, "few_value": round(other, 2)}
    yield Result("depth_flow_200", value, "us/depth message", against, value / other, more)
    more = {"instruments": many, "few_value": round(memory[few])}
    yield Result("depth_flow_memory", memory[many], "MiB", against, memory[many] / memory[few], more)
