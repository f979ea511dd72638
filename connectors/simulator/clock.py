"""The simulated venues' time: the wall clock's, or moved by hand."""

import time


class VenueClock:
    """The time of all markets, ms UTC, and where their past begins; `start_ms` is that of a manual one, else now."""

    def __init__(self, past_s: int, manual: bool, start_ms: int | None = None) -> None:
        self.past_s = past_s
        self._manual_ms = (_wall_ms() if start_ms is None else start_ms) if manual else None
        self._begin_ms: int | None = None

    @property
    def stands(self) -> bool:
        """Whether it is moved by hand alone."""
        return self._manual_ms is not None

    def now_ms(self) -> int:
        """The present."""
        return _wall_ms() if self._manual_ms is None else self._manual_ms

    def begin_ms(self) -> int:
        """Where the past begins: set by the first who asks, the same for all markets."""
        if self._begin_ms is None:
            self._begin_ms = self.past_ms()
        return self._begin_ms

    def past_ms(self) -> int:
        """Where a past that ended now would begin, at a whole second."""
        return (self.now_ms() - self.past_s * 1000) // 1000 * 1000

    def advance(self, by_ms: int) -> None:
        """Move the time on. Raises ValueError if it runs by itself or would run backwards."""
        if self._manual_ms is None or by_ms < 0:
            raise ValueError(f"expected a paused clock and a span in ms, found {by_ms} ms")
        self._manual_ms += by_ms

    def pause(self) -> None:
        """Stop the time."""
        self._manual_ms = self.now_ms()

    def resume(self) -> None:
        """Let time run with the wall clock; what was missed is played as past."""
        self._manual_ms = None


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
