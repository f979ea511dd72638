"""What benchmarks share: turns, medians, the JSON line, processes of their own."""

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Samples = list[float]


@dataclass(frozen=True)
class Result:
    """One line of output; `ratio` None where there is nothing to compare with."""

    bench: str
    value: float
    unit: str
    against: str | None
    ratio: float | None
    more: dict[str, Any] = field(default_factory=dict)

    def json(self) -> str:
        """The line."""
        head = {"bench": self.bench, "value": _short(self.value), "unit": self.unit}
        ratio = None if self.ratio is None else _short(self.ratio)
        return json.dumps(head | {"ratio": ratio, "against": self.against} | self.more)


def turns(runs: int, contestants: dict[str, Callable[[], float]]) -> dict[str, Samples]:
    """What each contestant returned in each of `runs` rounds; where there are several, one more goes before."""
    taken: dict[str, Samples] = {name: [] for name in contestants}
    for at in range(-1 if runs > 1 else 0, runs):
        for name, contestant in contestants.items():
            value = contestant()
            print(f"  {name}: {value:.4g}" + (" (not counted)" if at < 0 else ""), file=sys.stderr)
            if at >= 0:
                taken[name].append(value)
    return taken


def median(samples: Samples, scale: float = 1.0) -> float:
    """The median times `scale`."""
    return statistics.median(samples) * scale


def spread(samples: Samples, scale: float = 1.0) -> dict[str, Any]:
    """Fields that say how sure a median is."""
    return {"runs": len(samples), "spread": [_short(scale * f(samples)) for f in (min, max)]}


def rates(samples: Samples, count: float) -> Samples:
    """Seconds for `count` things as things a second."""
    return [count / seconds for seconds in samples]


def cpu_s(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[float, T]:
    """CPU seconds that this process spends on `work`, all threads, and what it returns."""
    began = time.process_time()
    value = work(*args, **kwargs)
    return time.process_time() - began, value


def in_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`work` in a process of its own, begun anew."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def peak_mib(pid: int | str = "self") -> float:
    """Peak resident memory of a process in MiB.

    Not from getrusage, whose maximum a process takes over from the one that started it.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def _short(value: float) -> float:
    return float(f"{value:.4g}")
