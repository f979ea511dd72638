"""When to connect again, when to replace a connection, when silence is suspect. Pure: the time is an argument.

Times and spans are seconds of any clock that only goes forward.
"""

from collections import deque
from collections.abc import Callable

Random = Callable[[], float]  # uniform in [0, 1)

SILENCE_DOUBLINGS_MAX = 4


class Backoff:
    """Waits between attempts: uniform in [0, min(cap, base * 2**failures)), and base again after good health.

    Full jitter, after aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter, 2015.
    """

    def __init__(
        self, random: Random, base_s: float = 1.0, cap_s: float = 60.0, healthy_s: float = 60.0
    ) -> None:
        self._random = random
        self._base_s, self._cap_s, self._healthy_s = base_s, cap_s, healthy_s
        self._failures = 0

    def failed(self, healthy_s: float = 0.0) -> float:
        """The wait after a failure that followed `healthy_s` of good health."""
        if healthy_s >= self._healthy_s:
            self._failures = 0
        ceiling_s = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return self._random() * ceiling_s


class Allowance:
    """At most `most` units in any `span_s`, such as connection attempts or request weight.

    A unit taken counts until `span_s` after `settle`: the other side may have counted it at any moment from
    the sending to the answer.
    """

    def __init__(self, most: int, span_s: float) -> None:
        self._most, self._span_s = most, span_s
        self._taken: deque[tuple[float, int]] = deque()  # when it is free again, units
        self._settled = 0
        self._open = 0  # units in flight
        self._others, self._others_until_s = 0, 0.0

    def used(self, now_s: float) -> int:
        """Units that count now, those others have used included."""
        while self._taken and self._taken[0][0] <= now_s:
            self._settled -= self._taken.popleft()[1]
        others = self._others if now_s < self._others_until_s else 0
        return self._settled + self._open + others

    def take(self, now_s: float, units: int = 1) -> float:
        """0.0 if the units are taken, else how long to wait before asking again.

        Raises:
            ValueError: `units` are more than there ever are.
        """
        if units > self._most:
            raise ValueError(f"expected at most {self._most} units, found {units}")
        if self.used(now_s) + units <= self._most:
            self._open += units
            return 0.0
        ends = [self._taken[0][0]] if self._taken else []
        if self._others and now_s < self._others_until_s:
            ends.append(self._others_until_s)
        return min(ends, default=now_s + 1.0) - now_s

    def settle(self, now_s: float, units: int = 1) -> None:
        """The answer to what was taken has come, or will not."""
        self._open -= units
        self._settled += units
        self._taken.append((now_s + self._span_s, units))

    def observe(self, now_s: float, used: int) -> None:
        """The other side says how much was used in its current span: what is not ours, others of the IP used."""
        self._others = 0
        self._others = max(0, used - self.used(now_s))
        self._others_until_s = now_s + self._span_s


class Silence:
    """Tells from a count that no longer rises that something has gone silent.

    `limit_s` doubles with each alarm, at most 16-fold, so that what is quiet by nature is not disturbed for
    ever; it is the first one again once the count rises in time.
    """

    def __init__(self, limit_s: float, now_s: float) -> None:
        self._base_s = self.limit_s = limit_s
        self._count = 0
        self._since_s = now_s

    def heard(self, now_s: float, count: int) -> bool:
        """Whether the count has risen since it was last asked about."""
        if count == self._count:
            return False
        if now_s - self._since_s <= self._base_s:
            self.limit_s = self._base_s
        self._count, self._since_s = count, now_s
        return True

    def too_long(self, now_s: float) -> bool:
        """Whether the silence is past its limit; the next one is counted from here."""
        if now_s - self._since_s < self.limit_s:
            return False
        self.limit_s = min(self.limit_s * 2, self._base_s * 2**SILENCE_DOUBLINGS_MAX)
        self._since_s = now_s
        return True

    def pause(self, now_s: float) -> None:
        """Nothing could be heard until now."""
        self._since_s = now_s


def rollover_s(connection_s: float, random: Random) -> float:
    """The age at which to replace a connection that the venue closes at `connection_s`: 1/24 to 1/16 before.

    For 24 h, 22.5 to 23 h: connections opened together are not replaced together.
    """
    return connection_s * (1 - (1 + random() / 2) / 24)
