"""What a connector says over its sockets: login, subscriptions, pings; and which books it asks for anew, when.

Pure: times named `*_s` are seconds of a clock that only goes forward.
"""

from collections import deque
from collections.abc import Collection, Sequence
from math import inf

from connectors.reconnect import Backoff, Random
from connectors.venue import Live, Stream

IN_FLIGHT_MAX = 8  # books asked for and not yet told
HEALTHY_S = 60.0


class Dialogue:
    """The control frames of one connection, paced as the venue wants it."""

    def __init__(self, live: Live, streams: Sequence[Stream], key: str, now_s: float) -> None:
        self._live, self._streams = live, list(streams)
        self._frames: deque[bytes] = deque()
        self._next_s = now_s
        self._ping_s = now_s + live.ping_s if live.ping is not None else inf
        self.opened_s = now_s
        self.ready = False
        if live.login is None:
            self.begin()
        else:
            self._frames.append(live.login(key))

    @property
    def settled(self) -> bool:
        """Whether everything there is to say has been said."""
        return self.ready and not self._frames

    def begin(self) -> None:
        """The venue listens: follow the streams."""
        if not self.ready:
            self.ready = True
            if self._live.subscribe is not None:
                self._frames.extend(self._live.subscribe(self._streams))

    def renew(self, stream: Stream) -> None:
        """Leave the stream and follow it anew."""
        assert self._live.subscribe is not None and self._live.unsubscribe is not None
        self._frames.extend(self._live.unsubscribe([stream]))
        self._frames.extend(self._live.subscribe([stream]))

    def take(self, now_s: float) -> bytes | None:
        """The frame to send now, if any."""
        if now_s < self._next_s:
            return None
        frame = self._frames.popleft() if self._frames else None
        if frame is None and now_s >= self._ping_s:
            frame, self._ping_s = self._live.ping, now_s + self._live.ping_s
        if frame is not None:
            self._next_s = now_s + self._live.send_every_s
        return frame

    def wait_s(self, now_s: float) -> float:
        """How long `take` has nothing, if nothing is added."""
        return max(0.0, (0.0 if self._frames else self._ping_s) - now_s, self._next_s - now_s)


class Renewals:
    """Books whose snapshots come in their streams: which to ask for now.

    One that breaks is asked for at once; one that is not told within `answer_s`, or breaks again within a minute,
    waits with full jitter. At most IN_FLIGHT_MAX are under way.
    """

    def __init__(self, random: Random, backoff_s: tuple[float, float], answer_s: float) -> None:
        self._random, self._backoff_s, self._answer_s = random, backoff_s, answer_s
        self._books: dict[str, _Asked] = {}

    def expect(self, symbols: Collection[str], now_s: float) -> None:
        """Their streams are being subscribed to by `now_s` (inf: some time): they need not be asked for."""
        for symbol in symbols:
            book = self._book(symbol)
            book.waits, book.next_s = True, now_s + self._answer_s

    def due(self, waiting: Collection[str], now_s: float) -> list[str]:
        """The symbols to ask for now, longest due first, of those that wait; they count as asked for."""
        for symbol, book in self._books.items():
            if book.waits and symbol not in waiting:
                book.waits, book.told_s, book.until_s = False, now_s, -inf
        for symbol in waiting:
            self._await(self._book(symbol), now_s)
        in_flight = sum(now_s < book.until_s for book in self._books.values())
        ready = sorted((self._book(symbol).next_s, symbol) for symbol in waiting)
        found = [symbol for next_s, symbol in ready if next_s <= now_s][: max(0, IN_FLIGHT_MAX - in_flight)]
        for book in map(self._book, found):
            book.until_s = now_s + self._answer_s
            book.next_s = book.until_s + book.backoff.failed()
        return found

    @staticmethod
    def _await(book: "_Asked", now_s: float) -> None:
        if book.waits:
            return
        book.waits = True
        healthy_s = now_s - book.told_s
        wait_s = book.backoff.failed(healthy_s)
        book.next_s = now_s + (0.0 if healthy_s >= HEALTHY_S else wait_s)

    def _book(self, symbol: str) -> "_Asked":
        if symbol not in self._books:
            self._books[symbol] = _Asked(Backoff(self._random, *self._backoff_s, HEALTHY_S))
        return self._books[symbol]


class _Asked:
    __slots__ = ("backoff", "next_s", "told_s", "until_s", "waits")

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.waits = False
        self.told_s = -inf  # when it ceased to wait
        self.next_s = -inf  # not to be asked for before
        self.until_s = -inf  # it is under way
