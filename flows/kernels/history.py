"""What was known at the close of a minute: values of a key, and bars with their swings, kept back to a horizon."""

import math
from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import Any

from flows.kernels.pivots import CONFIRMED, Pivots

SECOND_NS = 10**9
TRUE_RANGES = 14
BARS_MIN = 256  # kept before the horizon: swings of older ones weigh nothing

_minute, _open_ns, _confirmed_ns = itemgetter(0), itemgetter(0), itemgetter(0)


class History:
    """The values of one key, each from the close of a minute on; of one minute the newest."""

    __slots__ = ("rows",)

    def __init__(self, rows: list[Any] | None = None) -> None:
        self.rows: list[Any] = rows or []  # (minute, known_ns, version, value), ascending

    def put(self, minute: int, known_ns: int, version: int, value: Any) -> bool:
        """Take a value; whether that changed anything."""
        row, i = (minute, known_ns, version, value), bisect_right(self.rows, minute, key=_minute)
        if not i or self.rows[i - 1][0] != minute:
            self.rows.insert(i, row)
            return True
        old = self.rows[i - 1]
        if (known_ns, version) < (old[1], old[2]) or row == old:
            return False
        self.rows[i - 1] = row
        return True

    def at(self, minute: int) -> Any:
        """The newest row known at the close of that minute, or None."""
        i = bisect_right(self.rows, minute, key=_minute)
        return self.rows[i - 1] if i else None

    def prune(self, oldest: int) -> None:
        """Forget what had been replaced before the close of minute `oldest`."""
        del self.rows[: max(bisect_right(self.rows, oldest, key=_minute) - 1, 0)]


class Bars:
    """Bars of one length, and their swings."""

    def __init__(self, interval_s: int, rows: list[Any] | None = None) -> None:
        self.interval_ns = interval_s * SECOND_NS
        self.rows: list[Any] = []  # (open_ns, version, high, low, close), ascending
        self.swings: list[Any] = []  # (confirmed_ns, open_ns of the pivot, kind, price), ascending
        self._pivots = Pivots()
        for row in rows or []:
            self._append(tuple(row))

    def put(self, row: tuple[int, int, float, float, float]) -> bool:
        """Take a bar; whether that changed anything. A belated or corrected one counts the swings anew."""
        if not self.rows or row[0] > self.rows[-1][0]:
            self._append(row)
            return True
        i = bisect_left(self.rows, row[0], key=_open_ns)
        if self.rows[i][0] == row[0]:
            if row[1] < self.rows[i][1] or row == self.rows[i]:
                return False
            self.rows[i] = row
        else:
            self.rows.insert(i, row)
        rows, self.rows, self.swings, self._pivots = self.rows, [], [], Pivots()
        for known in rows:
            self._append(known)
        return True

    def _append(self, row: Any) -> None:
        open_ns, _, high, low, _ = row
        self.rows.append(row)
        for swing in self._pivots.on_bar(high, low, open_ns, open_ns + self.interval_ns):
            if swing.state == CONFIRMED:
                self.swings.append((swing.confirmed_ns, swing.event_ns, f"swing_{swing.side}", swing.price))

    def true_range(self, close_ns: int) -> float:
        """Mean of the true ranges of the last bars that had closed by then; NaN without any."""
        end = bisect_right(self.rows, close_ns - self.interval_ns, key=_open_ns)
        bars, total = self.rows[max(end - TRUE_RANGES, 0) : end], 0.0
        for i, (_, _, high, low, _) in enumerate(bars, end - len(bars)):
            before = self.rows[i - 1][4] if i else low
            total += max(high, before) - min(low, before)
        return total / len(bars) if bars else math.nan

    def prune(self, oldest_ns: int) -> None:
        """Forget bars that no swing of weight needs at `oldest_ns` or later."""
        keep_ns = oldest_ns - BARS_MIN * self.interval_ns
        del self.rows[: bisect_left(self.rows, keep_ns, key=_open_ns)]
        del self.swings[: bisect_left(self.swings, keep_ns, key=_confirmed_ns)]
