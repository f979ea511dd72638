"""What the connector of one market publishes: frames as they came, control lines, and when a snapshot is due.

Pure: connections, answers and the time are told to it; records, wishes and alarms are taken from it. Times named
`*_s` are seconds of a clock that only goes forward, `recv_ns` is ns UTC.

A book is void, and a `!reset` says so, when the connector begins, when the last connection of its lane is lost,
when its stream falls silent, and when a frame of it was too large to pass on; where the venue has no ids, also when
a frame of it was malformed or leaves it crossed. A break in the venue's own ids, or a checksum that does not match,
is in the log for everybody to see and needs no `!reset`.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from connectors.followed import Followed
from connectors.lane import Frame, Lane
from connectors.live_book import LiveBook, Outcome
from connectors.outbox import Outgoing
from connectors.record import (
    BOOK,
    CLOCK,
    INSTRUMENT,
    LINE_BYTES_MAX,
    RECORD_BYTES_MAX,
    RESET,
    Chunker,
    encode_control,
    encode_line,
)
from connectors.telemetry import Telemetry
from connectors.venue import Head, Instrument, Market, ParseError, Request, Stream
from connectors.venue_clock import CLOCK_KEY, VenueClock
from connectors.watch import Watch

BOOK_EVERY_S = 600.0
WIDEN_EVERY_S = 60.0  # of one book, at most
WIDE_SHARE = 0.015  # of the mid: half a heatmap column and the widest band lie within
# Records of several keys in a partition must not run ahead of each other in venue time, whatever the speed at
# which frames come: a book begins with the second that the partition has reached.
CUT_EVENT_NS = 100_000_000

_NO_HEAD = Head()


class Alarm(NamedTuple):
    """A lane whose connection is to be replaced; `dead`: at once, it says nothing at all."""

    lane: Lane
    reason: str
    dead: bool


class Publisher:
    """Everything about one market but its sockets. `partitions` are those of its topic."""

    def __init__(
        self,
        market: Market,
        lanes: Sequence[Lane],
        telemetry: Telemetry,
        partitions: int,
        now_s: float,
        book_every_s: float = BOOK_EVERY_S,
        silence_factor: float = 1.0,
    ) -> None:
        self._market = market
        self._live, self._wire = market.live, market.wire
        self._in_stream = market.live.snapshot is None
        self._topic = market.topic
        self._lanes = lanes
        self._partitions = partitions
        self._book_every_s = book_every_s
        self._chunker = Chunker()
        self._out: list[Outgoing] = []
        self._clock = VenueClock()
        self._cut_until_ns = 0  # event time of a book message at which open records are finished
        self._followed: dict[str, Followed] = {}
        self._watch = Watch(lanes, market.live.silence_s, now_s, silence_factor)
        self._follow(telemetry, now_s)

    def _follow(self, telemetry: Telemetry, now_s: float) -> None:
        for lane in self._lanes:
            for channel in lane.channels.values():
                symbol = channel.stream.symbol
                if symbol not in self._followed:
                    feed = telemetry.feed(self._market.name, symbol)
                    book = LiveBook(self._wire.rule, in_stream=self._in_stream)
                    self._followed[symbol] = Followed(symbol, lane, book, feed, now_s)
                if channel.stream.book:
                    self._followed[symbol].lane, self._followed[symbol].has_book = lane, True
        for lane in self._lanes:
            for followed in self._on(lane):
                followed.lanes.append(lane)
            for channel in lane.channels.values():
                self._followed[channel.stream.symbol].channels.append(channel)
        # The books in turn, not all at once.
        for at, followed in enumerate(self._followed.values(), start=1):
            followed.next_book_s = now_s + self._book_every_s * at / len(self._followed)

    # Taken from it.

    def take(self, *, cut: bool = False) -> list[Outgoing]:
        """The records that are finished; with `cut`, all that has been published."""
        if cut:
            self._gather(self._chunker.cut())
        out, self._out = self._out, []
        return out

    def needs_snapshot(self, symbol: str, now_s: float) -> bool:
        """Whether the symbol's book waits for one by REST."""
        return not self._in_stream and self._followed[symbol].awaits_rest(now_s)

    def snapshots_due(self, now_s: float) -> list[str]:
        """Symbols whose books wait for a snapshot by REST."""
        return [symbol for symbol in self._followed if self.needs_snapshot(symbol, now_s)]

    def streams_due(self) -> dict[str, tuple[bytes, Stream]]:
        """By symbol, books that wait for a snapshot in their stream: the connection to ask over, and the stream."""
        if not self._in_stream:
            return {}
        waiting = {symbol: followed.awaits_stream() for symbol, followed in self._followed.items()}
        return {symbol: found for symbol, found in waiting.items() if found is not None}

    def widening_due(self, now_s: float) -> str | None:
        """A symbol whose book shows too little of the prices around it; its updates are kept for `on_fuller`."""
        for symbol, followed in self._followed.items():
            if now_s < followed.next_widen_s or not followed.book.live:
                continue
            followed.next_widen_s = now_s + WIDEN_EVERY_S
            is_shallow = followed.to_widen and not followed.book.reaches(WIDE_SHARE)
            followed.to_widen = False
            if is_shallow or followed.book.is_narrow(WIDE_SHARE):
                followed.book.widen()
                return symbol
        return None

    # Told to it.

    def begin(self, recv_ns: int) -> None:
        """The connector begins: what an earlier one left is void."""
        for followed in self._followed.values():
            if followed.has_book:
                self._reset(followed, recv_ns, "connector started")

    def on_instruments(self, recv_ns: int, instruments: Iterable[Instrument]) -> None:
        """What the venue says of its instruments; those followed are published when new or changed."""
        for instrument in instruments:
            followed = self._followed.get(instrument.symbol)
            if followed is not None and instrument != followed.instrument:
                followed.instrument = instrument
                line = encode_line(recv_ns, INSTRUMENT, msgspec.json.encode(instrument))
                self._add(followed.key, recv_ns, line)

    def opened(self, lane: Lane, origin: bytes, now_s: float) -> None:
        """A connection of the lane is open."""
        lane.opened(origin)
        for followed in self._on(lane):
            followed.problem = ""
            if lane.publisher == origin:
                followed.since_s = now_s

    def on_frame(self, lane: Lane, origin: bytes, recv_ns: int, payload: bytes) -> Head:
        """A frame; returns what it says of the connection and of what was asked over it."""
        try:
            head = self._live.head(payload)
        except ParseError:
            head = _NO_HEAD
        if head.reply is not None or head.snapshot:
            head = self._addressed(lane, origin, head)
        for frame in lane.admit(Frame(recv_ns, origin, payload, head)):
            self._publish(lane, frame)
        if head.instruments:
            self._told_instruments(lane, recv_ns, payload)
        return head

    def hand_over(self, lane: Lane, recv_ns: int) -> None:
        """The lane's newer connection publishes alone from here on."""
        interrupted = lane.interrupted(lane.publisher) if lane.publisher is not None else []
        for frame in lane.hand_over():
            self._publish(lane, frame)
        for symbol in interrupted:
            self._reset(self._followed[symbol], recv_ns, "connection replaced")

    def lost(self, lane: Lane, origin: bytes, recv_ns: int, reason: str) -> None:
        """A connection has ended. If none is left the lane's books are void."""
        had = lane.publisher is not None
        interrupted = lane.interrupted(origin)
        for frame in lane.lost(origin):
            self._publish(lane, frame)
        for symbol in interrupted:
            self._reset(self._followed[symbol], recv_ns, reason)
        if lane.publisher is None and had:
            for followed in self._on(lane):
                followed.feed.reconnects += 1
                followed.problem = reason
                if followed.lane is lane and followed.has_book:
                    self._reset(followed, recv_ns, reason)

    def unreachable(self, lane: Lane, reason: str) -> None:
        """No connection could be opened."""
        for followed in self._on(lane):
            followed.problem = reason

    def on_snapshot(self, symbol: str, request: Request, recv_ns: int, body: bytes, now_s: float) -> str:
        """The answer to a request for the book: published, and the book begun from it. "" or what was wrong."""
        if not self.needs_snapshot(symbol, now_s):
            return ""
        followed = self._followed[symbol]
        if len(body) > LINE_BYTES_MAX:
            return f"expected a snapshot of at most {LINE_BYTES_MAX} bytes, found {len(body)}"
        self._add(followed.key, recv_ns, encode_line(recv_ns, request.origin, body))
        assert self._live.read_snapshot is not None
        try:
            snapshot = self._live.read_snapshot(body)
        except ParseError as error:
            return str(error)
        outcome = followed.book.on_snapshot(snapshot, self._live.snapshot_limit)
        if outcome != Outcome.APPLIED:
            return (
                "the snapshot is older than the updates kept"
                if outcome == Outcome.REFUSED
                else str(outcome.name)
            )
        followed.begun()
        followed.to_widen = self._live.snapshot_limit < self._live.snapshot_limit_max
        followed.next_widen_s = min(followed.next_widen_s, now_s)
        return ""

    def on_fuller(self, symbol: str, recv_ns: int, body: bytes) -> str:
        """The answer to a request for more of a live book. "" or what was wrong; then no more is awaited."""
        followed = self._followed[symbol]
        assert self._live.read_snapshot is not None
        try:
            outcome = followed.book.on_fuller(self._live.read_snapshot(body), self._live.snapshot_limit_max)
        except ParseError as error:
            followed.book.stop_widening()
            return str(error)
        if outcome == Outcome.APPLIED:
            self._merge(followed, recv_ns)
            return ""
        followed.book.stop_widening()
        return f"fuller snapshot {outcome.name.lower()}"

    def stop_widening(self, symbol: str) -> None:
        """No fuller snapshot will come."""
        self._followed[symbol].book.stop_widening()

    def problem(self, symbol: str, reason: str) -> None:
        """Why the symbol's book is not live."""
        self._followed[symbol].problem = reason

    def tell_time(self, recv_ns: int) -> None:
        """Often: if venue time has passed a quarter of a second everywhere, say so to every partition."""
        time_ns = min((lane.told_ns for lane in self._lanes if lane.has_books), default=0)
        if not self._clock.due(time_ns):
            return
        self._gather(self._chunker.cut())
        line = encode_control(recv_ns, CLOCK, time_ns=time_ns)
        self._out += [
            Outgoing(self._topic, CLOCK_KEY, line, recv_ns, partition)
            for partition in range(self._partitions)
        ]

    def on_second(self, now_s: float, recv_ns: int) -> list[Alarm]:
        """Once a second: whole books in their turn, states; returns what has gone silent."""
        alarms = self._listen(now_s, recv_ns)
        for followed in self._followed.values():
            if now_s >= followed.next_book_s:
                followed.next_book_s = now_s + self._book_every_s
                if followed.book.live:
                    self._whole_book(followed, recv_ns)
            followed.feed.become(*followed.state(self._watch.is_silent, self._watch.reason))
        return alarms

    # Frames.

    def _addressed(self, lane: Lane, origin: bytes, head: Head) -> Head:
        """Take note of an answer; a snapshot that names no symbol is of the only book of its socket."""
        if head.reply is not None:
            for followed in self._on(lane):
                followed.answered(lane, origin, head.reply)
            return msgspec.structs.replace(head, stream="")
        books = [name for name, channel in lane.channels.items() if channel.stream.book]
        if not head.stream and len(books) == 1:
            return msgspec.structs.replace(head, stream=books[0])
        return head

    def _told_instruments(self, lane: Lane, recv_ns: int, payload: bytes) -> None:
        try:
            self.on_instruments(recv_ns, self._market.instruments(payload))
        except ParseError:
            for followed in self._on(lane):
                followed.feed.unreadable += 1

    def _publish(self, lane: Lane, frame: Frame) -> None:
        recv_ns, origin, payload, head = frame
        channel = lane.channels.get(head.stream)
        if channel is None:
            self._publish_stray(lane, frame)
            return
        followed = self._followed[channel.stream.symbol]
        followed.feed.received(recv_ns, len(payload), head.event_ns)
        if len(payload) > LINE_BYTES_MAX:
            self._too_large(lane, followed.key, frame)
            return
        if channel.stream.book and self._cut_until_ns < (time_ns := lane.time_ns(frame)) <= lane.event_ns:
            self._gather(self._chunker.cut())
            self._cut_until_ns = time_ns + CUT_EVENT_NS
        self._add(followed.key, recv_ns, encode_line(recv_ns, origin, payload))
        if channel.stream.book:
            self._on_update(followed, frame)

    def _publish_stray(self, lane: Lane, frame: Frame) -> None:
        """A frame of no stream that was asked for: an acknowledgement, a notice, or malformed."""
        key = self._market.key_of(frame.payload) or self._market.name.encode()
        if len(frame.payload) > LINE_BYTES_MAX:
            self._too_large(lane, key, frame)
        else:
            self._add(key, frame.recv_ns, encode_line(*frame[:3]))
        for followed in self._on(lane):
            if frame.head is _NO_HEAD:
                followed.feed.unreadable += 1
                if followed.loses(key, self._market.name.encode(), self._wire.rule):
                    self._reset(followed, frame.recv_ns, "malformed frame")
            elif key == followed.key:
                followed.limited(self._depth(frame.payload), by_answer=True)

    def _depth(self, payload: bytes) -> int | None:
        """To how many levels a side the venue limits the book, if the payload says so."""
        with suppress(ParseError):
            return self._wire.depth(payload) if self._wire.depth is not None else None
        return None

    def _too_large(self, lane: Lane, key: bytes, frame: Frame) -> None:
        """No line can hold it: its beginning goes to the dead letters, and what it told is missing."""
        line = encode_line(frame.recv_ns, frame.origin, frame.payload[:RECORD_BYTES_MAX])
        self._add(key, frame.recv_ns, line)
        for followed in self._on(lane):
            if followed.lane is lane and key in (followed.key, self._market.name.encode()):
                self._reset(followed, frame.recv_ns, f"frame of {len(frame.payload)} bytes")

    def _on_update(self, followed: Followed, frame: Frame) -> None:
        if frame.head.snapshot:
            followed.limited(self._depth(frame.payload), by_answer=False)
        if reason := followed.update(frame.head, self._wire.rule):
            self._reset(followed, frame.recv_ns, reason)
        self._merge(followed, frame.recv_ns)

    def _merge(self, followed: Followed, recv_ns: int) -> None:
        if followed.book.merge():
            self._whole_book(followed, recv_ns)

    # Control lines.

    def _whole_book(self, followed: Followed, recv_ns: int) -> None:
        self._add(followed.key, recv_ns, encode_control(recv_ns, BOOK, **followed.book.fields()))

    def _reset(self, followed: Followed, recv_ns: int, reason: str) -> None:
        self._add(followed.key, recv_ns, encode_control(recv_ns, RESET, reason=reason))
        followed.book.clear()
        followed.lane.forget(followed.symbol)

    def _listen(self, now_s: float, recv_ns: int) -> list[Alarm]:
        """Lanes whose connection is to be replaced; books that fell silent are void.

        One whose snapshots come in its stream is asked for anew, over the same connection (`streams_due`).
        """
        alarms = []
        for lane, channel in self._watch.silent(self._lanes, now_s):
            if channel is None:
                alarms.append(Alarm(lane, "no frame for too long", dead=True))
            elif channel.stream.book:
                reason, followed = self._watch.reason(channel), self._followed[channel.stream.symbol]
                if followed.book.live or not self._in_stream:
                    self._reset(followed, recv_ns, reason)
                if not self._in_stream:
                    alarms.append(Alarm(lane, reason, dead=False))
        return alarms

    def _on(self, lane: Lane) -> list[Followed]:
        return [self._followed[symbol] for symbol in sorted(lane.symbols)]

    def _add(self, key: bytes, recv_ns: int, line: bytes) -> None:
        self._gather(self._chunker.add(key, recv_ns, line))

    def _gather(self, finished: Iterable[tuple[bytes, bytes, int]]) -> None:
        for key, body, recv_ns in finished:
            self._out.append(Outgoing(self._topic, key, body, recv_ns))
