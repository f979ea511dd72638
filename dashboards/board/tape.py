"""Order flow by bar as the panels under the heatmap show it: grouped, summed up from the session's open, broken."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GROUPS = (1, 2, 5, 10, 15, 30, 60)
CLASSES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What traded by bar, ascending in time; a bar without a trade is not there.

    time_s int64[n] (open), high, low, close (quote currency), buy, sell, unknown (base currency, by aggressor),
    quote (quote currency) float64[n]; classes float64[n, CLASSES], buying less selling by size of trade (base
    currency); whole bool[n], every trade is known to be in it.
    """

    time_s: NDArray[np.int64]
    high: Floats
    low: Floats
    close: Floats
    buy: Floats
    sell: Floats
    unknown: Floats
    quote: Floats
    whole: NDArray[np.bool_]
    classes: Floats

    @property
    def volume(self) -> Floats:
        """All volume (base currency)."""
        return self.buy + self.sell + self.unknown

    @property
    def delta(self) -> Floats:
        """Buying less selling (base currency)."""
        return self.buy - self.sell


@dataclass(frozen=True, slots=True)
class Sums:
    """Order flow over a span: base currency, `quote` quote currency; `open` its first price, NaN without a trade.

    `whole`: every trade of its bars is known to be in it.
    """

    buy: float = 0.0
    sell: float = 0.0
    unknown: float = 0.0
    quote: float = 0.0
    classes: tuple[float, ...] = (0.0,) * CLASSES
    open: float = float("nan")
    first_s: int = 0  # open of its first bar
    whole: bool = True

    @property
    def volume(self) -> float:
        """All volume (base currency)."""
        return self.buy + self.sell + self.unknown

    @property
    def vwap(self) -> float:
        """Average price by volume (quote currency), NaN without volume."""
        return self.quote / self.volume if self.volume > 0 else float("nan")


def no_flow() -> Flow:
    """A flow without bars."""
    nothing = np.empty(0)
    return Flow(
        np.empty(0, np.int64), *([nothing] * 7), np.empty(0, np.bool_), np.empty((0, CLASSES))
    )  # fmt: skip


def joined(old: Flow, new: Flow, from_s: int) -> Flow:
    """Bars of `old` that open before `from_s`, then those of `new`."""
    kept = old.time_s < from_s
    return Flow(*(np.concatenate([getattr(old, f.name)[kept], getattr(new, f.name)]) for f in fields(Flow)))


def group_of(span_s: float, width_px: float, step_s: int, least_px: float = 6.0) -> int:
    """Seconds a bar should hold: the smallest multiple of `step_s` that is at least `least_px` wide."""
    wanted = least_px * span_s / max(width_px, 1.0)
    return next((g * step_s for g in GROUPS if g * step_s >= wanted), GROUPS[-1] * step_s)


def grouped(flow: Flow, group_s: int) -> Flow:
    """Bars of `group_s` seconds, each the sum of those that open in it."""
    if not flow.time_s.size:
        return flow
    start = flow.time_s - flow.time_s % group_s
    first = np.flatnonzero(np.diff(start, prepend=start[0] - 1))
    last = np.append(first[1:], len(start)) - 1
    total = {
        name: np.add.reduceat(getattr(flow, name), first)
        for name in ("buy", "sell", "unknown", "quote", "classes")
    }
    return replace(
        flow,
        time_s=start[first],
        high=np.maximum.reduceat(flow.high, first),
        low=np.minimum.reduceat(flow.low, first),
        close=flow.close[last],
        whole=np.logical_and.reduceat(flow.whole, first),
        **total,
    )


def running(values: Floats, time_s: NDArray[np.int64], opens_s: Sequence[int], before: float) -> Floats:
    """Running sum of `values`, from `before` on, which begins anew at 0 at each open."""
    total = np.cumsum(values)
    result = total + before
    for open_s in sorted(opens_s):
        at = int(np.searchsorted(time_s, open_s))
        if at < len(values) and time_s[0] < open_s:
            result[at:] = total[at:] - (total[at - 1] if at else 0.0)
    return result


def panel(
    flow: Flow, group_s: int, holes: Sequence[tuple[int, int]], opens_s: Sequence[int], before: Sums
) -> dict[str, NDArray[np.floating]]:
    """Columns of the source behind volume, CVD and VWAP; a row of NaN breaks the lines at a hole or an open.

    `left`, `right` ms; volumes base currency, those of selling negative; `vwap` quote currency. `before` are the
    sums from the session's open up to the first bar.
    """
    bars = grouped(flow, group_s)
    start = bars.time_s.astype(np.float64)
    sums = {"cvd": running(bars.delta, bars.time_s, opens_s, before.buy - before.sell)}
    for at in range(CLASSES):
        sums[f"class{at}"] = running(bars.classes[:, at], bars.time_s, opens_s, before.classes[at])
    quote = running(bars.quote, bars.time_s, opens_s, before.quote)
    volume = running(bars.volume, bars.time_s, opens_s, before.volume)
    sums["vwap"] = np.divide(quote, volume, out=np.full_like(quote, np.nan), where=volume > 0)
    data = {
        "left": start * 1000,
        "right": (start + group_s) * 1000,
        "buy": bars.buy,
        "sell": -bars.sell,
        "delta": bars.delta,
        "alpha": np.where(bars.whole, 0.42, 0.2),
    } | sums
    breaks = [*(begin for begin, _ in holes), *(open_s - 1 for open_s in opens_s)]
    inside = [at for at in np.searchsorted(start, breaks, "right") if 0 < at < len(start)]
    after = np.unique(np.array(inside, np.int64))
    return {name: _broken(name, values, after) for name, values in data.items()}


def _broken(name: str, values: Floats, after: NDArray[np.int64]) -> Floats:
    if name in ("left", "right"):  # places, which a row of nothing has too
        return np.insert(values, after, values[after - 1])
    return np.insert(values, after, np.nan)


def volume_axis(data: dict[str, NDArray[np.floating]]) -> float:
    """Half height of the volume panel: the size that 1 bar in 100 exceeds, at least 2/5 of the largest."""
    largest = np.maximum(data["buy"], -data["sell"])
    largest = largest[~np.isnan(largest)]
    if not largest.size or largest.max() <= 0:
        return 1.0
    return float(max(np.percentile(largest, 99), largest.max() * 0.4)) * 1.12
