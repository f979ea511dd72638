"""A seeded random market that knows its true books, and what a connector hears of it when things go wrong.

The frames are Binance's. Every fault has a probability; what was done is told, so that a test can hold a
consumer to it.
"""

import heapq
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors import record
from connectors.record import Chunker, Record, encode_control, encode_line
from connectors.venue_clock import CLOCK_KEY

START_MS = 1_700_000_040_000
LEVELS = 40  # a side, at the start
SIDES = ("b", "a")
Level = tuple[int, int]  # side (0 bid, 1 ask), price in tenths
Levels = dict[Level, int]  # size in thousandths


@dataclass(frozen=True)
class Options:
    """What may happen, and how likely it is at each message of a symbol."""

    market: str = "binance_spot"
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    seconds: int = 25
    gap: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    stale_snapshot: float = 0.0
    malformed: float = 0.0
    truncated: float = 0.0
    crossed: float = 0.0
    reset: float = 0.0
    silence: float = 0.0
    stall: float = 0.0  # of the clock, at each of its lines


@dataclass(frozen=True)
class Lost:
    """A message that never arrived whole, and the first one after it that did."""

    symbol: str
    event_ms: int
    next_ms: int
    next_recv_ns: int


@dataclass
class Feed:
    """What a connector wrote, and the truth about it."""

    records: list[Record] = field(default_factory=list)
    lines: Counter[str] = field(default_factory=Counter)  # by kind
    faults: Counter[str] = field(default_factory=Counter)
    lost: list[Lost] = field(default_factory=list)
    books: dict[tuple[str, int], Levels] = field(default_factory=dict)  # by symbol and update id
    changed: dict[tuple[str, int], dict[Level, int]] = field(
        default_factory=dict
    )  # id of a level's last change


def simulate(seed: int, options: Options) -> Feed:
    """A run of the market."""
    feed = Feed()
    streams = [
        _Symbol(random.Random(f"{seed} {name}"), name, options, feed).lines() for name in options.symbols
    ]
    chunker, offset = Chunker(), 0
    for recv_ns, key, line in heapq.merge(*streams, _clocks(seed, options, feed), key=lambda item: item[0]):
        # A clock comes after everything before it.
        finished = (
            [*chunker.cut(), (key, line, recv_ns)] if key == CLOCK_KEY else chunker.add(key, recv_ns, line)
        )
        for closed, body, _ in finished:
            feed.records.append(Record(closed, offset, body))
            offset += 1
    for closed, body, _ in chunker.cut():
        feed.records.append(Record(closed, offset, body))
        offset += 1
    return feed


Lines = Iterator[tuple[int, bytes, bytes]]


def _clocks(seed: int, options: Options, feed: Feed) -> Lines:
    rng, stalled = random.Random(f"{seed} clock"), 0
    for quarter in range(4 * (options.seconds + 3)):
        if rng.random() < options.stall:
            stalled = rng.randrange(4, 20)
            feed.faults["stall"] += 1
        stalled -= 1
        if stalled < 0:
            recv_ns = (START_MS + quarter * 250 + 30) * 1_000_000
            feed.lines["control"] += 1
            yield recv_ns, CLOCK_KEY, encode_control(recv_ns, record.CLOCK, time_ns=recv_ns - 30_000_000)


class _Symbol:
    """One symbol's book and the connection that hears of it."""

    def __init__(self, rng: random.Random, name: str, options: Options, feed: Feed) -> None:
        self.rng, self.name, self.options, self.feed = rng, name, options, feed
        self.mid = rng.randrange(500, 20_000)
        self.book: Levels = {}
        self.changed: dict[Level, int] = {}
        self.update_id = rng.randrange(10**6)
        for i in range(1, LEVELS + 1):
            self.book[0, max(self.mid - i, 1)] = self.book[1, self.mid + i] = rng.randrange(1, 10_000)
        self.history: list[int] = []
        self.recv_ns = 0
        self.lost_ms: list[int] = []
        self.snapshot_at = START_MS + rng.randrange(100, 900)
        self._remember()

    def lines(self) -> Lines:
        now, end = START_MS + self.rng.randrange(50), START_MS + self.options.seconds * 1000
        late: bytes | None = None
        while now < end:
            if self.happens("silence"):
                now += self.rng.randrange(1_000, 6_000)
            yield from self.aside(now)
            frame = self.next_frame(now)
            if late is not None:
                yield self.deliver(now, frame)
                yield self.deliver(now, late)
                late = None
            elif self.happens("reorder"):
                late = frame
                self.ask_soon(now)
            else:
                yield from self.transmit(now, frame)
            if now >= self.snapshot_at:
                yield self.snapshot(now)
            now += self.rng.randrange(20, 250)

    def aside(self, now: int) -> Lines:
        """What does not change the book."""
        if self.rng.random() < 0.3:
            kind, event = self.rng.choice([("trade", "trade"), ("trade", "aggTrade"), ("other", "kline")])
            yield self.emit(now, kind, self.envelope(event, {"e": event, "E": now, "s": self.name}))
        if self.happens("reset"):
            self.feed.lines["control"] += 1
            recv_ns = self.receive(now)
            yield recv_ns, self.name.encode(), encode_control(recv_ns, record.RESET, reason="simulated")
            self.ask_soon(now)

    def transmit(self, now: int, frame: bytes) -> Lines:
        """The frame, as the connection brings it."""
        if self.happens("gap"):
            self.lose(now)
        elif self.happens("malformed"):
            self.lose(now)
            yield self.emit(now, "bad", frame.replace(b'"a":[', b'"a":[["1.5",2],', 1))
        elif self.happens("truncated"):
            self.lose(now)
            yield self.emit(now, "bad", frame[: self.rng.randrange(len(frame) - 2)])
        else:
            yield self.deliver(now, frame)
            if self.happens("duplicate"):
                yield self.deliver(now, frame)

    def lose(self, now: int) -> None:
        self.lost_ms.append(now)
        self.ask_soon(now)

    def ask_soon(self, now: int) -> None:
        self.snapshot_at = min(self.snapshot_at, now + self.rng.randrange(150, 2_500))

    def deliver(self, now: int, frame: bytes) -> tuple[int, bytes, bytes]:
        found = self.emit(now, "depth", frame)
        self.feed.lost += [Lost(self.name, ms, now, found[0]) for ms in self.lost_ms]
        self.lost_ms.clear()
        return found

    def emit(self, now: int, kind: str, payload: bytes, origin: bytes = b"ws-1") -> tuple[int, bytes, bytes]:
        self.feed.lines[kind] += 1
        recv_ns = self.receive(now)
        return recv_ns, self.name.encode(), encode_line(recv_ns, origin, payload)

    def receive(self, now: int) -> int:
        self.recv_ns = max(self.recv_ns + 1, (now + self.rng.randrange(3, 40)) * 1_000_000)
        return self.recv_ns

    def happens(self, fault: str) -> bool:
        happened = bool(self.rng.random() < getattr(self.options, fault))
        self.feed.faults[fault] += happened
        return happened

    # The venue.

    def next_frame(self, now: int) -> bytes:
        """Move the market and say so."""
        changes = self.changes()
        previous = self.update_id
        futures = self.options.market == "binance_futures"
        first = previous + (self.rng.randrange(1, 4) if futures else 1)
        self.update_id = first + self.rng.randrange(5)
        for level, size in changes.items():
            self.changed[level] = self.update_id
            self.book[level] = size
            if not size:
                del self.book[level]
        self._remember()
        fields = {"e": "depthUpdate", "E": now, "s": self.name, "U": first, "u": self.update_id}
        if futures:
            fields["pu"] = previous
        sides = [[_pair(price, size) for (s, price), size in changes.items() if s == side] for side in (0, 1)]
        return self.envelope("depth@100ms", fields | dict(zip(SIDES, sides, strict=True)))

    def changes(self) -> Levels:
        rng = self.rng
        self.mid = max(
            self.mid + round(rng.gauss(0, 2)) + (rng.random() < 0.01) * rng.randrange(-400, 400), 50
        )
        changes: Levels = {}
        for _ in range(rng.randrange(7)):
            side = rng.randrange(2)
            away = rng.randrange(1, LEVELS) if rng.random() < 0.9 else rng.randrange(1, self.mid)
            price = self.mid + away * (1 if side else -1)
            changes[side, max(price, 1)] = 0 if rng.random() < 0.3 else rng.randrange(1, 10_000)
        for level in self.book:
            # What the mid has passed is gone; so is a crossing after one message.
            if (level[1] >= self.mid) if level[0] == 0 else (level[1] <= self.mid):
                changes[level] = 0
        if self.happens("crossed"):
            changes[0, self.mid + 2 * LEVELS] = 5
        return {
            level: size for level, size in changes.items() if size or level in self.book or rng.random() < 0.5
        }

    def snapshot(self, now: int) -> tuple[int, bytes, bytes]:
        """The answer to a request for the best levels: of now, of a little while ago, or far too old."""
        back = self.rng.randrange(3)
        if self.happens("stale_snapshot"):
            back += 20
            self.snapshot_at = now + self.rng.randrange(300, 1_500)
        else:
            self.snapshot_at = now + 4_000
        update_id = self.history[max(len(self.history) - 1 - back, 0)]
        book = self.feed.books[self.name, update_id]
        limit = self.rng.choice([10, 20, 1000])
        bids = sorted((level for level in book if level[0] == 0), reverse=True)[:limit]
        asks = sorted(level for level in book if level[0] == 1)[:limit]
        is_crossed = bool(bids and asks and bids[0][1] >= asks[0][1])
        sides = {
            name: [_pair(x[1], book[x]) for x in side] for name, side in (("bids", bids), ("asks", asks))
        }
        origin = f"GET:/api/v3/depth?symbol={self.name}&limit={limit}".encode()
        payload = json.dumps({"lastUpdateId": update_id} | sides, separators=(",", ":")).encode()
        return self.emit(now, "bad" if is_crossed else "snapshot", payload, origin)

    def envelope(self, channel: str, data: dict[str, object]) -> bytes:
        frame = {"stream": f"{self.name.lower()}@{channel}", "data": data}
        return json.dumps(frame, separators=(",", ":")).encode()

    def _remember(self) -> None:
        self.history.append(self.update_id)
        self.feed.books[self.name, self.update_id] = dict(self.book)
        self.feed.changed[self.name, self.update_id] = dict(self.changed)


def _pair(price: int, size: int) -> list[str]:
    return [f"{price // 10}.{price % 10}0", f"{size // 1000}.{size % 1000:03}"]
