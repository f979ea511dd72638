"""How much a client may ask: request weight a minute with 429 and 418, and messages a second. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

WINDOW_S = 60.0
# Requests that go on while the answer is 429 lead to a ban: "two minutes to three days", growing.
# rest-api.md, IP limits.
REFUSALS_BEFORE_BAN = 5
BAN_S = 120.0


class Answer(NamedTuple):
    """Status of a request (200, 429, 418), seconds to wait, and weight used in this minute."""

    status: int
    retry_after_s: int
    used: int


@dataclass(slots=True)
class Budget:
    """Weight of one market, for all its clients: on a loopback they share one address."""

    limit: int
    ban_s: float = BAN_S
    bans_on: bool = True  # whether refusals lead to a ban
    used: int = 0
    used_max: int = 0  # of any minute; beyond `limit` a client has not kept to it
    requests: int = 0
    refused: int = 0  # 429 and 418
    bans: int = 0
    requests_while_banned: int = 0
    _window: int = -1
    _refused_now: int = 0
    _banned_until_s: float = 0.0

    def charge(self, weight: int, now_s: float) -> Answer:
        """Count a request and judge it."""
        self.requests += 1
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window, self.used, self._refused_now = window, 0, 0
        if now_s < self._banned_until_s:
            self.refused += 1
            self.requests_while_banned += 1
            return Answer(418, _whole(self._banned_until_s - now_s), self.used)
        self.used += weight
        self.used_max = max(self.used_max, self.used)
        if self.used <= self.limit:
            return Answer(200, 0, self.used)
        self.refused += 1
        self._refused_now += 1
        if self.bans_on and self._refused_now > REFUSALS_BEFORE_BAN:
            return self.ban(now_s)
        return Answer(429, _whole((window + 1) * WINDOW_S - now_s), self.used)

    def ban(self, now_s: float, for_s: float | None = None) -> Answer:
        """Refuse everything for a while."""
        self.bans += 1
        self._banned_until_s = now_s + (self.ban_s if for_s is None else for_s)
        return Answer(418, _whole(self._banned_until_s - now_s), self.used)


class MessageRate:
    """Messages a client may send on one connection within a second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[float] = deque(maxlen=limit + 1)

    def exceeded(self, now_s: float) -> bool:
        """Count a message."""
        self._times.append(now_s)
        return len(self._times) > self._limit and now_s - self._times[0] < 1.0


def _whole(seconds: float) -> int:
    return max(1, int(seconds + 0.999))
