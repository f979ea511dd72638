"""One of the sockets a market needs, over all the connections that serve it: whose frames are published.

A connection is replaced before it ends: its successor opens, and both deliver for a while. Each stream passes to
the successor at the first moment at which nothing is lost and nothing told twice: when the successor's oldest
frame follows the last one published, or repeats it. Until then its frames are held. A stream without ids
passes at the successor's first frame, a book whose snapshots come in its stream at the successor's snapshot:
before it the successor's messages are of no use, and are not held.

Held frames keep the time at which they were received, so for that moment a key's lines may stand a few
milliseconds out of receive order.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from connectors.book_sync import GAP, Rule, verdict
from connectors.venue import Head, Market, Stream

HELD_MAX = 10_000  # frames of one stream; the successor takes over rather than hold more

URL_BYTES_MAX = 6000  # servers refuse long request lines, some from 8 KiB on
FUTURE_NS_MAX = 60_000_000_000  # an event time further ahead of its receipt is no time


class Frame(NamedTuple):
    """A frame as it came."""

    recv_ns: int
    origin: bytes
    payload: bytes
    head: Head


class Channel:
    """One stream of a lane: what was published of it, and what is held."""

    __slots__ = ("at_snapshot", "count", "held", "last_id", "repeats_until", "rule", "stream", "switched")

    def __init__(self, stream: Stream, rule: int, at_snapshot: bool) -> None:
        self.stream = stream
        self.rule = rule
        self.at_snapshot = at_snapshot  # it passes at a snapshot
        self.count = 0  # frames published
        self.last_id = -1  # of the last one published; -1: none to follow
        self.switched = False
        self.repeats_until = -1  # up to this id the successor repeats what was published
        self.held: deque[Frame] = deque()

    def follows(self, head: Head) -> bool:
        """Whether a frame of the successor continues, or repeats, what was published."""
        if self.last_id < 0 or head.last_id < 0:
            return True
        return verdict(self.rule, False, self.last_id, head.first_id, head.last_id, head.previous_id) != GAP

    def repeats(self, head: Head) -> bool:
        """Whether the successor says what was published before it took over."""
        if self.repeats_until < 0 or head.last_id < 0:
            return False
        if head.last_id > self.repeats_until:
            self.repeats_until = -1
        return head.last_id <= self.repeats_until


class Lane:
    """The streams of one socket. Connections are known by their origin (`ws-3`)."""

    def __init__(
        self, path: str, streams: Iterable[Stream], rule: Rule, *, in_stream: bool = False, timed: bool = True
    ) -> None:
        self.path = path
        self._timed = timed
        self.channels = {
            stream.name: Channel(
                stream, int(rule if stream.book else Rule.NEXT_ID), at_snapshot=in_stream and stream.book
            )
            for stream in streams
        }
        self.symbols = frozenset(channel.stream.symbol for channel in self.channels.values())
        self.books = [channel.stream.symbol for channel in self.channels.values() if channel.stream.book]
        self.has_books = bool(self.books)
        self.publisher: bytes | None = None
        self.successor: bytes | None = None
        self.event_ns = 0  # newest time of a published frame
        self._told_ns: dict[bytes, int] = {}  # newest time by open connection
        self.count = 0  # frames published

    @property
    def handed_over(self) -> bool:
        """Whether every stream has passed to the successor."""
        return all(channel.switched for channel in self.channels.values())

    def time_ns(self, frame: Frame) -> int:
        """Event time of a frame, 0 if it bears none that can be; the receive time where books bear none."""
        if not self._timed:
            return frame.recv_ns
        return frame.head.event_ns if frame.head.event_ns <= frame.recv_ns + FUTURE_NS_MAX else 0

    @property
    def told_ns(self) -> int:
        """The event time up to which all is published of the lane's books: 0 while that is not known.

        A stream is told by the connection that speaks for it, and what the successor holds of it follows on what
        the first one has still to say.
        """
        books = [channel for channel in self.channels.values() if channel.stream.book]
        speakers = {self.successor if channel.switched else self.publisher for channel in books}
        return min((self._told_ns.get(origin or b"", 0) for origin in speakers), default=0)

    def speaker(self, stream: str) -> bytes | None:
        """The connection over which to ask for the stream anew; None while a successor is to tell it."""
        if self.successor is None:
            return self.publisher
        return self.successor if self.channels[stream].switched else None

    def opened(self, origin: bytes) -> None:
        """A connection is open: it publishes, or succeeds the one that does."""
        if self.publisher is None:
            self.publisher = origin
        else:
            self.successor = origin

    def admit(self, frame: Frame) -> Iterable[Frame]:
        """The frames to publish now, in order."""
        channel = self.channels.get(frame.head.stream)
        if channel is None:
            return self._published((frame,)) if frame.origin == self.publisher else ()
        if frame.origin in (self.publisher, self.successor):
            self._told_ns[frame.origin] = max(self._told_ns.get(frame.origin, 0), self.time_ns(frame))
        if frame.origin == self.successor:
            return self._of_successor(channel, frame)
        return () if channel.switched or frame.origin != self.publisher else self._once(channel, frame)

    def _of_successor(self, channel: Channel, frame: Frame) -> Iterable[Frame]:
        if channel.at_snapshot and frame.head.snapshot:
            channel.switched = True
        if channel.switched:
            return self._once(channel, frame)
        if channel.at_snapshot:
            return ()
        channel.held.append(frame)
        return self._release(channel)

    def _once(self, channel: Channel, frame: Frame) -> Iterable[Frame]:
        if channel.repeats_until >= 0 and channel.repeats(frame.head):
            return ()
        self._published((frame,), channel)
        return (frame, *self._release(channel)) if channel.held else (frame,)

    def hand_over(self) -> list[Frame]:
        """Let the successor, if there is one, publish every stream from here on; what was held of it."""
        frames: list[Frame] = []
        if self.successor is None:
            return frames  # one of the two has ended, its socket is not closed yet
        for channel in self.channels.values():
            if not channel.switched:
                frames += self._rest(channel)
            channel.switched = False
        self.publisher, self.successor = self.successor, None
        return frames

    def interrupted(self, origin: bytes) -> list[str]:
        """Symbols whose books do not go on should this one of two connections end.

        The other one speaks for them from then on, and has told no snapshot that its next message follows: `forget`
        them then.
        """
        if self.successor is None or origin not in (self.publisher, self.successor):
            return []
        is_newer = origin == self.successor
        found = self.channels.values()
        return [each.stream.symbol for each in found if each.at_snapshot and each.switched == is_newer]

    def lost(self, origin: bytes) -> list[Frame]:
        """A connection has ended; returns what its successor held. Without one the lane is dark: no publisher."""
        self._told_ns.pop(origin, None)
        if origin == self.publisher and self.successor is not None:
            return self.hand_over()
        if origin == self.publisher:
            self.publisher = None
            for channel in self.channels.values():
                channel.last_id = channel.repeats_until = -1
        elif origin == self.successor:
            self.successor = None
            for channel in self.channels.values():
                channel.repeats_until = channel.last_id if channel.switched else -1
                channel.held.clear()
                channel.switched = False
        return []

    def forget(self, symbol: str) -> None:
        """The symbol's book begins anew: whichever connection speaks next may speak for it."""
        for channel in self.channels.values():
            if channel.stream.book and channel.stream.symbol == symbol:
                channel.last_id = channel.repeats_until = -1

    def _release(self, channel: Channel) -> list[Frame]:
        if channel.follows(channel.held[0].head) or len(channel.held) > HELD_MAX:
            channel.switched = True
            return self._rest(channel)
        return []

    def _rest(self, channel: Channel) -> list[Frame]:
        """The successor speaks from here on: what was held of it, less what has been published."""
        channel.repeats_until = channel.last_id
        frames = [frame for frame in channel.held if not channel.repeats(frame.head)]
        channel.held.clear()
        self._published(frames, channel)
        return frames

    def _published(self, frames: Iterable[Frame], channel: Channel | None = None) -> Iterable[Frame]:
        for frame in frames:
            self.count += 1
            self.event_ns = max(self.event_ns, self.time_ns(frame))
            if channel is not None:
                channel.count += 1
                channel.last_id = max(channel.last_id, frame.head.last_id)
        return frames


def lanes(market: Market, symbols: Sequence[str]) -> list[Lane]:
    """The sockets to hold for these symbols, by path, within what a connection and a URL may carry."""
    live, wire = market.live, market.wire

    def lane(path: str, part: list[Stream]) -> Lane:
        return Lane(path, part, wire.rule, in_stream=live.snapshot is None, timed=wire.timed)

    streams = [stream for symbol in symbols for stream in live.streams(symbol)]
    found = []
    for path in dict.fromkeys(stream.path for stream in streams):
        part: list[Stream] = []
        size = 0
        for stream in (stream for stream in streams if stream.path == path):
            if len(part) == live.streams_max or size + len(stream.name) + 1 > URL_BYTES_MAX:
                found.append(lane(path, part))
                part, size = [], 0
            part.append(stream)
            size += len(stream.name) + 1
        found.append(lane(path, part))
    return found
