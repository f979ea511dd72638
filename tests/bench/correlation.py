"""One more bar: all correlations of a window again, `corr_n<series>_w<steps>`, complete and with 2 % missing."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from flows.kernels.correlation import Returns, Window
from tests.bench._runner import Result, cpu_s, median, spread, turns

BARS = 20
MISSING = 0.02


def bench(quick: bool) -> Iterator[Result]:
    """CPU ms per bar, and how many times as long pandas and numpy take that make the matrix anew."""
    series, steps, runs = ((50,), (60,), 1) if quick else ((50, 200, 1000), (60, 240, 1440), 3)
    for n in series:
        for w in steps:
            for name, missing in ((f"corr_n{n}_w{w}", 0.0), (f"corr_n{n}_w{w}_missing", MISSING)):
                rows = made(n, w + BARS, missing)
                peers = {"pandas": lambda held: pd.DataFrame(held).corr()}
                if not missing:
                    peers["numpy"] = lambda held: np.corrcoef(held, rowvar=False)
                yield measured(name, rows, w, peers, runs)


def measured(
    name: str, rows: np.ndarray, steps: int, peers: dict[str, Callable[[np.ndarray], object]], runs: int
) -> Result:
    """One line: ours, and each peer's time over it."""
    ours = after(rows, steps)
    contestants = {"ours": lambda: ours() / BARS}
    for peer, work in peers.items():
        contestants[peer] = lambda work=work: cpu_s(work, rows[-steps:])[0]
    taken = turns(runs, contestants)
    ms = median(taken["ours"], 1e3)
    against = {f"times_{peer}": float(f"{median(taken[peer], 1e3) / ms:.3g}") for peer in peers}
    peer = "numpy" if "numpy" in peers else "pandas"
    return Result(name, ms, "ms/bar", peer, against[f"times_{peer}"], spread(taken["ours"], 1e3) | against)


def after(rows: np.ndarray, steps: int) -> Callable[[], float]:
    """CPU seconds for `BARS` more rows, once the window is full."""
    returns = Returns(rows.shape[1], steps + 1)
    window = Window(returns, steps)
    for row in rows:
        returns.push(row)
        window.push()

    def more() -> None:
        for row in rows[-BARS:]:
            returns.push(row)
            window.push()
            window.correlations()

    return lambda: cpu_s(more)[0]


def made(series: int, steps: int, missing: float) -> np.ndarray:
    """Returns with a common factor."""
    rng = np.random.default_rng(1)
    rows = 1e-4 * (rng.standard_normal((steps, series)) + rng.standard_normal((steps, 1)))
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows
