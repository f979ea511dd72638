"""Rows of `footprints`: what traded by price row and side within closed bars."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flows.kernels.gaps import Gaps
from flows.kernels.tally import SECOND_NS
from flows.kernels.traded import Scale, Traded

INTERVALS_S = (10, 60, 3600)
MINUTE_S = 60

Row = tuple[Any, ...]


@dataclass(slots=True)
class _Bar:
    traded: Traded
    version: int
    is_closed: bool = False
    is_due: bool = False  # closed, and not yet told as it is


class Footprints:
    """The bars of 10 s, 60 s and 3600 s that a print may still belong to.

    What comes in is what traded in ten seconds that are over, or a print that was late for them. A bar is told when it
    closes and again when late prints have corrected it.
    """

    def __init__(self, scale: Scale, gaps: Gaps) -> None:
        self._scale, self._gaps = scale, gaps
        self._bars: dict[tuple[int, int], _Bar] = {}  # by interval and open time
        self._rows: list[Row] = []
        self._any_due = False

    def add(self, time_ns: int, traded: Traded, version: int, until_ns: int) -> None:
        """What traded around `time_ns`; all that ends by `until_ns` is closed."""
        for interval_s in INTERVALS_S:
            open_ns = time_ns - time_ns % (interval_s * SECOND_NS)
            bar = self._bars.get((interval_s, open_ns))
            if bar is None:
                bar = self._bars[interval_s, open_ns] = _Bar(traded.copy(), version)
                bar.is_closed = open_ns + interval_s * SECOND_NS <= until_ns
            else:
                bar.traded.add(traded)
                bar.version = max(bar.version, version)
            bar.is_due = bar.is_closed
            self._any_due |= bar.is_due

    def close(self, until_ns: int, recv_ns: int) -> Iterator[tuple[int, Traded, int]]:
        """Close what ends by `until_ns`; gives the minutes among it: open time, what traded, version."""
        for (interval_s, open_ns), bar in self._bars.items():
            if not bar.is_closed and open_ns + interval_s * SECOND_NS <= until_ns:
                bar.is_closed = bar.is_due = self._any_due = True
                bar.version = max(bar.version, recv_ns)
                if interval_s == MINUTE_S:
                    yield open_ns, bar.traded, bar.version

    def forget(self, before_ns: int) -> None:
        """No print that is older comes any more."""
        for key in [x for x in self._bars if x[1] + x[0] * SECOND_NS <= before_ns]:
            self._tell(key, self._bars.pop(key))

    def tell(self) -> None:
        """Make rows of all bars that have changed, in the scale that they have now."""
        if self._any_due:
            for key, bar in self._bars.items():
                self._tell(key, bar)
            self._any_due = False

    def take_rows(self) -> list[Row]:
        """The rows of `footprints` since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def clear(self) -> None:
        """Begin anew, with rows of another height; `tell` comes before."""
        self._bars.clear()

    def _tell(self, key: tuple[int, int], bar: _Bar) -> None:
        if not bar.is_due:
            return
        bar.is_due = False
        (interval_s, open_ns), scale, traded = key, self._scale, bar.traded
        whole = self._gaps.whole(open_ns, open_ns + interval_s * SECOND_NS)
        self._rows.append(
            (
                scale.instrument, scale.venue, interval_s, open_ns, whole, float(scale.row_step),
                scale.size_decimals, traded.rows, *traded.lots, traded.received_ns, bar.version,
            )
        )  # fmt: skip

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors."""
        for bar in self._bars.values():
            bar.traded.rescale(by_price, by_size)

    def dump(self) -> Any:
        """All state but rows."""
        return [(*key, x.traded.dump(), x.version, x.is_closed) for key, x in self._bars.items()]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        self._bars = {
            (interval_s, open_ns): _Bar(Traded.load(traded), version, is_closed)
            for interval_s, open_ns, traded, version, is_closed in state
        }
