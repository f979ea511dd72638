"""Where trades of an instrument may be missing."""

from typing import Any

BEGINNING_NS = -(1 << 62)
KEPT_NS = 2 * 86_400 * 10**9
GAPS_MAX = 256  # beyond, the two oldest are one


class Gaps:
    """Stretches of venue time that may lack trades; the first reaches to the first trade that was seen.

    A gap begins where all was known last (the newest print, or what `!clock` had passed) and ends with the next print.
    One that ended two days ago is forgotten.
    """

    def __init__(self) -> None:
        self._ended: list[tuple[int, int]] = []
        self._open_from: int | None = BEGINNING_NS
        self._clear_from = BEGINNING_NS  # after this there is none but the open one

    def begin(self, from_ns: int) -> None:
        """Trades later than `from_ns` may be missing."""
        self._open_from = from_ns if self._open_from is None else min(self._open_from, from_ns)

    def end(self, time_ns: int) -> None:
        """There is a trade again, at `time_ns`."""
        assert self._open_from is not None
        end_ns = max(time_ns, self._open_from)
        self._ended = [x for x in self._ended if x[1] >= end_ns - KEPT_NS] + [(self._open_from, end_ns)]
        if len(self._ended) > GAPS_MAX:
            self._ended[:2] = [(self._ended[0][0], self._ended[1][1])]
        self._open_from = None
        self._clear_from = max(self._clear_from, end_ns)

    def whole(self, open_ns: int, close_ns: int) -> bool:
        """Whether all trades from `open_ns` to before `close_ns` are known."""
        if self._open_from is not None and self._open_from < close_ns:
            return False
        return open_ns > self._clear_from or not any(
            begin < close_ns and end >= open_ns for begin, end in self._ended
        )

    def dump(self) -> Any:
        """All state."""
        return self._ended, self._open_from, self._clear_from

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        ended, self._open_from, self._clear_from = state
        self._ended = [(begin, end) for begin, end in ended]
