"""When `!clock` lines are written: as venue time passes each quarter of a second, and only when it is true.

The flow judges silence by these lines alone, so before one is written every connection that speaks for a book must
have told its time, and every line told before must have left. A connection tells its streams in the order of their
event times, but for the grace that the flow allows (`flows.kernels.depth`).

A connection with books that says nothing holds the time back, be it that it is not read or that its books are quiet:
nobody can tell these apart. Columns of silent books then wait, of its own and of others; books that speak do not
need the clock.
"""

from collections.abc import Hashable, Iterable, Iterator

import msgspec

from connectors.record import CLOCK, Line

CLOCK_KEY = b"!clock"
# The flow ends a silent second a quarter after it.
CLOCK_STEP_NS = 250_000_000


class VenueClock:
    """The time of the last `!clock` line, ns; 0 before the first."""

    def __init__(self) -> None:
        self.time_ns = 0

    def due(self, time_ns: int) -> bool:
        """Whether a line is to be written, now that all is told up to `time_ns`; then it is taken for written."""
        is_due = time_ns // CLOCK_STEP_NS > self.time_ns // CLOCK_STEP_NS
        if is_due:
            self.time_ns = time_ns
        return is_due


class RecordedClock:
    """Says of a recording what its connector would have said: the time that all its sources have told.

    Sources are the connections that speak of books, or partitions; more may come later.
    """

    def __init__(self, sources: Iterable[Hashable] = ()) -> None:
        self._told_ns = dict.fromkeys(sources, 0)
        self._clock = VenueClock()

    def __contains__(self, source: Hashable) -> bool:
        return source in self._told_ns

    def tell(self, source: Hashable, time_ns: int, recv_ns: int) -> Iterator[tuple[bytes, Line]]:
        """The source has told all up to `time_ns`; yields the `!clock` line that is due now, if one is, with its key.

        It goes to every partition with books of the recording, after all that came before.
        """
        self._told_ns[source] = max(self._told_ns.get(source, 0), time_ns)
        if self._clock.due(min(self._told_ns.values())):
            payload = msgspec.json.encode({"time_ns": self._clock.time_ns})
            yield CLOCK_KEY, Line(recv_ns, CLOCK, payload)
