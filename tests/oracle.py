"""What the rows of the depth kernel must be: its docstring once more, naively, with dicts of Decimal.

Written from the docstrings of `flows.kernels.depth`, `connectors.book_sync` and `connectors.record`, not from the
kernel, and slow on purpose: json, Decimal, dicts, lists. The one thing it shares with the kernel is the default
width of a bin (`connectors.instruments`) and the venue's canonical names. `tests.wires` reads the venues' frames.
"""

import json
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from connectors.instruments import agreed_bin_step, bin_step
from connectors.venue import market
from tests.wires import GAP, NEXT, STALE, WIRES, At, Malformed, Message, Side, checksum, levels_of, load

BINS = 704
BANDS = (10, 25, 50, 100)
INTERVALS = {1: "depth_1s", 10: "depth_10s", 60: "depth_1m"}
GRACE_MS = 250
SILENCE_S_MAX = 3600
FUTURE_MS_MAX = 60_000
WAITING_BYTES_MAX = 16 << 20


@dataclass
class Column:
    """A whole book at one moment; None: not known."""

    base_bin: int
    bids: list[Decimal | None]
    asks: list[Decimal | None]
    bid_bands: list[Decimal | None]
    ask_bands: list[Decimal | None]
    last: dict[str, Any]


@dataclass
class Book:
    key: bytes
    instrument: str
    tick: Decimal | None = None
    bin_step: Decimal | None = None
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    covered_low: Decimal | float = math.inf
    covered_high: Decimal | float = 0.0
    live: bool = False
    seeded: bool = False
    crossed: bool = False
    update_id: int = 0
    second: int | None = None  # the open one
    heard: int = 0  # the open second when the book last spoke
    ofi: Decimal = Decimal(0)
    updates: int = 0
    received_ns: int = 0
    decimals: int = 0  # the finest price seen
    depth: int = 0  # levels a side that the venue tells of; 0: all
    told_depth: int = 0  # what it has said of the next snapshot's
    waiting: deque[tuple[int, bytes, int]] = field(default_factory=deque)
    open: dict[int, list[tuple[Column, Decimal, int]]] = field(
        default_factory=lambda: {n: [] for n in INTERVALS}
    )

    def best_bid(self) -> Decimal | None:
        return max(self.bids, default=None)

    def best_ask(self) -> Decimal | None:
        return min(self.asks, default=None)

    def quotes(self) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
        """Best bid, its size, best ask, its size; None if a side is missing."""
        bid, ask = self.best_bid(), self.best_ask()
        return None if bid is None or ask is None else (bid, self.bids[bid], ask, self.asks[ask])

    def set(self, message: Message) -> None:
        for side, levels in ((self.bids, message.bids), (self.asks, message.asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.depth:
            self.bids = {price: self.bids[price] for price in sorted(self.bids, reverse=True)[: self.depth]}
            self.asks = {price: self.asks[price] for price in sorted(self.asks)[: self.depth]}

    def covered(self) -> tuple[Decimal | float, Decimal | float]:
        """Lowest bid and highest ask up to which the book is known whole."""
        if not self.depth:
            return self.covered_low, self.covered_high
        return (
            min(self.bids) if len(self.bids) >= self.depth else Decimal(0),
            max(self.asks) if len(self.asks) >= self.depth else math.inf,
        )

    def clear(self) -> None:
        self.bids, self.asks = {}, {}
        self.live = self.seeded = self.crossed = False
        self.ofi, self.updates = Decimal(0), 0


class Oracle:
    """All books of one partition. `on_records` takes what the kernel takes; the results stand in `rows`, `events`,
    `dead_letters` (offset, position) and `counts`."""

    def __init__(self, market_name: str) -> None:
        self.venue = market_name
        self.wire = WIRES[market_name]
        self.canonical = market(market_name).canonical
        self.books: dict[bytes, Book] = {}
        self.clock_ms = 0
        self.told_ms = self.told_recv_ns = 0  # by !clock
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in INTERVALS.values()}
        self.events: list[dict[str, Any]] = []
        self.dead_letters: list[tuple[int, int]] = []
        self.counts: Counter[str] = Counter()
        self.at = (0, 0)

    # Lines.

    def on_records(self, records: Iterable[tuple[bytes, int, bytes]]) -> None:
        for key, offset, body in records:
            if key not in self.books:
                self.books[key] = Book(key, self.canonical(key.decode("utf-8", "replace")))
            for position, line in split(body):
                self.at = offset, position
                self.counts["lines"] += 1
                if line is None:
                    self.dead_letter()
                else:
                    self.on_line(self.books[key], *line)
            self.close_the_silent()

    def on_line(self, book: Book, recv_ns: int, origin: str, payload: bytes) -> None:
        try:
            if origin.startswith("!"):
                self.on_control(book, recv_ns, origin, json.loads(payload, parse_float=Decimal))
                return
            frame = load(payload)
            if not isinstance(frame, dict) or not frame:
                raise Malformed
            kind = self.wire.kind(frame)
            if kind == "depth":
                self.on_depth(book, recv_ns, origin, payload, self.wire.message(frame))
            elif kind == "snapshot":
                self.counts["snapshots"] += 1
                self.on_snapshot(book, recv_ns, origin, self.wire.message(frame), None)
            elif kind == "subscription":
                self.counts["other"] += 1
                self.on_subscription(book, recv_ns, self.wire.followed(frame))
            else:
                self.counts[kind] += 1
        except (Malformed, ValueError, KeyError, TypeError):
            self.dead_letter()

    def on_control(self, book: Book, recv_ns: int, origin: str, fields: dict[str, Any]) -> None:
        self.counts["controls"] += 1
        if origin == "!instrument":
            book.instrument = fields["instrument"]
            book.tick = Decimal(fields["tick"])
            book.decimals = max(book.decimals, decimals_of(book.tick)) if not book.live else book.decimals
            if book.bin_step is None and fields.get("bin_step") is not None:
                book.bin_step = Decimal(fields["bin_step"])
        elif origin == "!book":
            update_id = fields["lastUpdateId"] if self.wire.ids else 0
            levels = levels_of(fields["bids"]), levels_of(fields["asks"])
            message = Message(0, update_id, update_id, -1, *levels, depth=fields.get("depth", 0))
            self.on_snapshot(book, recv_ns, origin, message, fields["covered"])
        elif origin == "!reset":
            self.on_reset(book, self.clock_ms, recv_ns)
        elif origin == "!clock":
            time_ms = fields["time_ns"] // 1_000_000
            if time_ms > recv_ns // 1_000_000 + FUTURE_MS_MAX:
                raise Malformed
            self.clock_ms = max(self.clock_ms, time_ms)
            if time_ms > self.told_ms:
                self.told_ms, self.told_recv_ns = time_ms, recv_ns
        else:
            raise Malformed

    # Book messages and snapshots.

    def on_depth(self, book: Book, recv_ns: int, origin: str, payload: bytes, message: Message) -> None:
        event_ms = message.event_ms or (self.clock_ms if self.wire.timed else 0)
        if not (self.wire.timed and message.whole):
            event_ms = event_ms or recv_ns // 1_000_000
        if event_ms > recv_ns // 1_000_000 + FUTURE_MS_MAX:
            raise Malformed
        self.counts["depth_messages"] += 1
        self.see_digits(book, message)
        self.clock_ms = max(self.clock_ms, event_ms)
        second = event_ms // 1000
        if message.whole:
            self.on_whole(book, event_ms, recv_ns, message)
            return
        if book.second is None:
            book.second = book.heard = second
        verdict = self.verdict(book, message)
        if verdict == STALE:
            self.counts["stale"] += 1
            return
        if verdict == GAP:
            self.on_gap(book, event_ms, recv_ns)
        elif verdict == NEXT and not self.agrees(book, message):
            self.on_mismatch(book, event_ms, recv_ns)
            self.close(book, second, recv_ns)
            return
        self.close(book, second, recv_ns)
        if verdict == NEXT:
            if second < book.second:
                self.counts["late"] += 1
            self.apply(book, event_ms, recv_ns, message)
        elif not self.wire.in_stream:
            book.waiting.append(
                (recv_ns, payload, len(f"{recv_ns} {origin} {len(payload)} \n") + len(payload))
            )
            while sum(size for _, _, size in book.waiting) > WAITING_BYTES_MAX:
                book.waiting.popleft()

    def verdict(self, book: Book, message: Message) -> str | None:
        return self.wire.follows(At(book.update_id, book.seeded), message) if book.live else None

    def agrees(self, book: Book, message: Message) -> bool:
        """Whether the book after the message is the one that its checksum is of."""
        if message.checksum is None:
            return True
        after = Book(b"", "", bids=dict(book.bids), asks=dict(book.asks), depth=book.depth)
        after.set(message)
        return checksum(after.bids, after.asks) == message.checksum

    def on_mismatch(self, book: Book, event_ms: int, recv_ns: int) -> None:
        """Messages are missing: what was held is void."""
        self.counts["gaps"] += 1
        self.event(book, event_ms, "checksum", recv_ns)
        book.clear()

    def on_reset(self, book: Book, time_ms: int, recv_ns: int) -> None:
        if book.live:
            self.counts["resets"] += 1
            self.event(book, time_ms, "reset", recv_ns)
        book.clear()
        book.waiting.clear()

    def on_subscription(self, book: Book, recv_ns: int, depth: int | None) -> None:
        if depth:
            book.told_depth = depth
        elif depth == 0:
            self.on_reset(book, self.clock_ms, recv_ns)

    def on_whole(self, book: Book, event_ms: int, recv_ns: int, message: Message) -> None:
        """A snapshot in the stream."""
        if book.live and self.wire.restarts(message):
            self.on_reset(book, event_ms, recv_ns)
        self.close(book, event_ms // 1000, recv_ns)
        bids, asks = ({p: s for p, s in x if s} for x in (message.bids, message.asks))
        if bids and asks and max(bids) >= min(asks):
            self.dead_letter()
            self.on_reset(book, event_ms, recv_ns)
            return
        most = max(len(bids), len(asks))
        book.depth = book.told_depth if book.told_depth and book.told_depth >= most else message.depth
        empty = Book(b"", "", depth=book.depth)
        if not self.agrees(empty, message):
            self.on_mismatch(book, event_ms, recv_ns)
        elif book.live:
            before = book.quotes()
            book.bids, book.asks = {}, {}
            book.set(message)
            after = book.quotes()
            if before and after:
                book.ofi += order_flow(before, after)
            book.updates += 1
            book.received_ns, book.update_id, book.crossed = recv_ns, message.last_id, False
            book.heard = book.second or 0
            book.covered_low, book.covered_high = Decimal(0), math.inf
            self.counts["applied"] += 1
            self.counts["levels"] += len(bids) + len(asks)
        else:
            self.seed(book, recv_ns, message, Decimal(0), math.inf)
            if book.live:
                self.event(book, event_ms, "seeded", recv_ns)

    def on_gap(self, book: Book, event_ms: int, recv_ns: int) -> None:
        if book.seeded and not self.wire.in_stream:
            self.counts["stale_snapshots"] += 1
            self.event(book, event_ms, "stale snapshot", recv_ns)
        else:
            self.counts["gaps"] += 1
            self.event(book, event_ms, "gap", recv_ns)
        book.clear()

    def apply(self, book: Book, event_ms: int, recv_ns: int, message: Message) -> None:
        before = book.quotes()
        book.set(message)
        after = book.quotes()
        if before and after:
            book.ofi += order_flow(before, after)
        book.updates += 1
        book.received_ns = recv_ns
        book.update_id = message.last_id
        book.seeded = False
        book.heard = book.second if book.second is not None else 0
        self.counts["applied"] += 1
        self.counts["levels"] += len(message.bids) + len(message.asks)
        crossed = after is not None and after[0] >= after[2]
        if crossed and not book.crossed:
            self.counts["crossed"] += 1
            self.event(book, event_ms, "crossed", recv_ns)
            self.dead_letter()
        book.crossed = crossed

    def on_snapshot(
        self, book: Book, recv_ns: int, origin: str, snapshot: Message, covered: list[Any] | None
    ) -> None:
        bids, asks = ({p: s for p, s in x if s} for x in (snapshot.bids, snapshot.asks))
        if bids and asks and max(bids) >= min(asks):
            raise Malformed
        self.see_digits(book, snapshot)
        low: Decimal | float
        high: Decimal | float
        if covered is not None:
            low = Decimal(0) if covered[0] is None else Decimal(covered[0])
            high = math.inf if covered[1] is None else Decimal(covered[1])
        else:
            limit = re.search(r"[?&]limit=(\d+)", origin)
            asked = int(limit[1]) if limit else 0
            low = Decimal(0) if len(bids) < asked else min(bids, default=math.inf)
            high = math.inf if len(asks) < asked else max(asks, default=0.0)
        if not book.live:
            book.depth = snapshot.depth if covered is not None else book.depth
            self.seed(book, recv_ns, snapshot, low, high)
            if book.live:
                time_ms = snapshot.event_ms or self.clock_ms or Fraction(recv_ns, 1_000_000)
                self.event(book, time_ms, "seeded", recv_ns)
        elif snapshot.last_id == book.update_id and self.wire.ids:
            book.bids.update(bids)
            book.asks.update(asks)
            book.covered_low, book.covered_high = min(book.covered_low, low), max(book.covered_high, high)
        else:
            self.counts["unused_snapshots"] += 1

    def seed(
        self, book: Book, recv_ns: int, snapshot: Message, low: Decimal | float, high: Decimal | float
    ) -> None:
        self.close(book, self.clock_ms // 1000, recv_ns)
        book.set(snapshot)
        book.live = book.seeded = True
        book.update_id = snapshot.last_id
        book.covered_low, book.covered_high = low, high
        book.received_ns = recv_ns
        self.describe(book)
        if book.second is None and self.clock_ms:
            book.second = self.clock_ms // 1000
        book.heard = book.second or 0
        # The messages that waited are taken in order; if one does not follow, it and those after it wait on.
        waiting, book.waiting = book.waiting, deque()
        for waiting_ns, payload, size in waiting:
            message = self.wire.message(load(payload))
            event_ms = message.event_ms or self.clock_ms
            verdict = self.verdict(book, message)
            if verdict == STALE:
                self.counts["stale"] += 1
            elif verdict == NEXT:
                self.apply(book, event_ms, waiting_ns, message)
            else:
                if verdict == GAP:
                    self.on_gap(book, event_ms, waiting_ns)
                book.waiting.append((waiting_ns, payload, size))
        book.ofi, book.updates = Decimal(0), 0

    def see_digits(self, book: Book, message: Message) -> None:
        book.decimals = max(
            [book.decimals, *(decimals_of(price) for price, _ in message.bids + message.asks)]
        )

    def describe(self, book: Book) -> None:
        """Choose the bin of an instrument that was not told one: from the mid, rounded down to a tick."""
        best = [price for price in (book.best_bid(), book.best_ask()) if price is not None]
        if book.bin_step is None and best:
            finest = Decimal(1).scaleb(-book.decimals)
            mid = sum(best) / len(best) // finest * finest
            tick = book.tick or finest
            book.bin_step = agreed_bin_step(book.instrument, tick) or bin_step(max(mid, finest), tick)

    # Seconds.

    def close_the_silent(self) -> None:
        """After each record: the seconds that a !clock line has passed by the grace are over for every book."""
        if self.told_ms:
            for book in self.books.values():
                if book.live and book.second is None:
                    book.second = book.heard = self.clock_ms // 1000
                self.close(book, (self.told_ms - GRACE_MS) // 1000, self.told_recv_ns)

    def close(self, book: Book, until: int, version: int) -> None:
        """End the book's seconds before `until`."""
        if book.second is None or book.second >= until:
            return
        quotes = book.quotes() if book.live else None
        whole = quotes is not None and quotes[0] < quotes[2]
        if whole and book.bin_step is None:
            self.describe(book)
        column = column_of(book) if whole else None
        while book.second < until:
            if column is not None and book.second - book.heard < SILENCE_S_MAX:
                for live_seconds in book.open.values():
                    live_seconds.append((column, book.ofi, book.updates))
            book.ofi, book.updates = Decimal(0), 0
            book.second += 1
            for length, live_seconds in book.open.items():
                if live_seconds and book.second % length == 0:
                    start = book.second - length
                    self.rows[INTERVALS[length]].append(self.row(book, start, live_seconds, version))
                    live_seconds.clear()

    def row(
        self, book: Book, start: int, live_seconds: list[tuple[Column, Decimal, int]], version: int
    ) -> dict[str, Any]:
        columns = [column for column, _, _ in live_seconds]
        first = min(column.base_bin for column in columns)
        end = max(column.base_bin + BINS for column in columns)
        spans = [(column.base_bin - first, column) for column in columns]
        bid_bands = [mean(values) for values in zip(*(column.bid_bands for column in columns), strict=True)]
        ask_bands = [mean(values) for values in zip(*(column.ask_bands for column in columns), strict=True)]
        assert book.bin_step is not None
        return {
            "instrument": book.instrument,
            "venue": self.venue,
            "time": start,
            "live_s": len(columns),
            "bin_step": float(book.bin_step),
            "base_bin": first,
            "bid": mean_bins([(at, column.bids) for at, column in spans], end - first),
            "ask": mean_bins([(at, column.asks) for at, column in spans], end - first),
            **columns[-1].last,
            **{f"bid_{bps}bps": x for bps, x in zip(BANDS, bid_bands, strict=True)},
            **{f"ask_{bps}bps": x for bps, x in zip(BANDS, ask_bands, strict=True)},
            **{
                f"imbalance_{bps}bps": (bid - ask) / (bid + ask) if bid + ask else math.nan
                for bps, bid, ask in zip(BANDS, bid_bands, ask_bands, strict=True)
            },
            "ofi": float(sum((ofi for _, ofi, _ in live_seconds), Decimal(0))),
            "updates": sum(updates for _, _, updates in live_seconds),
            "version": version,
        }

    # What goes wrong.

    def event(self, book: Book, time_ms: int | Fraction, kind: str, version: int) -> None:
        time_ns = int(time_ms * 1_000_000) or version
        self.events.append(
            {
                "instrument": book.instrument,
                "venue": self.venue,
                "time_ns": time_ns,
                "kind": kind,
                "update_id": book.update_id,
                "version": version,
            }
        )

    def dead_letter(self) -> None:
        self.counts["dead_letters"] += 1
        self.dead_letters.append(self.at)


# From bytes to messages.


def split(body: bytes) -> Iterator[tuple[int, tuple[int, str, bytes] | None]]:
    """Position and (receive time, origin, payload) of each line; None for the rest of a torn record."""
    at = 0
    while at < len(body):
        head = re.compile(rb"([0-9]+) (\S+) ([0-9]+) ").match(body, at)
        end = head.end() + int(head[3]) if head else 0
        if not head or body[end : end + 1] != b"\n":
            yield at, None
            return
        yield at, (int(head[1]), head[2].decode(), body[head.end() : end])
        at = end + 1


def decimals_of(value: Decimal) -> int:
    """Decimals without trailing zeros."""
    return len(f"{value:f}".partition(".")[2].rstrip("0"))


# From books to columns.


def order_flow(
    before: tuple[Decimal, Decimal, Decimal, Decimal], after: tuple[Decimal, Decimal, Decimal, Decimal]
) -> Decimal:
    """e_n of Cont, Kukanov and Stoikov."""
    bid0, bid_size0, ask0, ask_size0 = before
    bid, bid_size, ask, ask_size = after
    return (
        (bid_size if bid >= bid0 else 0)
        - (bid_size0 if bid <= bid0 else 0)
        - (ask_size if ask <= ask0 else 0)
        + (ask_size0 if ask >= ask0 else 0)
    ) + Decimal(0)


def column_of(book: Book) -> Column:
    quotes, step, (covered_low, covered_high) = book.quotes(), book.bin_step, book.covered()
    assert quotes is not None and step is not None
    bid, bid_size, ask, ask_size = quotes
    mid = (bid + ask) / 2
    base = max(((int(mid // step) - BINS // 2 + 32) // 64) * 64, 0)
    tick = Decimal(1).scaleb(-book.decimals)
    bid_bins, ask_bins = in_bins(book.bids, step, base), in_bins(book.asks, step, base)
    bid_bands, ask_bands = in_bands(book, mid, tick)
    last = {
        "covered_low": float(covered_low),
        "covered_high": float(covered_high),
        "best_bid": float(bid),
        "best_ask": float(ask),
        "best_bid_size": float(bid_size),
        "best_ask_size": float(ask_size),
        "spread": float(ask - bid),
        "mid": float(Fraction(bid + ask) / 2),
        "weighted_mid": float(Fraction(bid * ask_size + ask * bid_size) / Fraction(bid_size + ask_size)),
        "received_ns": book.received_ns,
    }
    prices = range(base, base + BINS)
    return Column(
        base,
        [bid_bins.get(i, Decimal(0) if i * step >= covered_low else None) for i in prices],
        [ask_bins.get(i, Decimal(0) if (i + 1) * step - tick <= covered_high else None) for i in prices],
        bid_bands,
        ask_bands,
        last,
    )


def in_bins(side: Side, step: Decimal, base: int) -> dict[int, Decimal]:
    found: dict[int, Decimal] = {}
    low, high = base * step, (base + BINS) * step
    for price, size in side.items():
        if low <= price < high:
            at = int(price // step)
            found[at] = found.get(at, Decimal(0)) + size
    return found


def in_bands(book: Book, mid: Decimal, tick: Decimal) -> tuple[list[Decimal | None], list[Decimal | None]]:
    """Size within the bands; None where one holds a tick beyond the covered prices."""
    bids: list[Decimal | None] = []
    asks: list[Decimal | None] = []
    covered_low, covered_high = book.covered()
    for bps in BANDS:
        low = math.ceil(mid * (10_000 - bps) / 10_000 / tick) * tick
        high = mid * (10_000 + bps) / 10_000 // tick * tick
        bids.append(
            total(size for price, size in book.bids.items() if price >= low) if low >= covered_low else None
        )
        asks.append(
            total(size for price, size in book.asks.items() if price <= high)
            if high <= covered_high
            else None
        )
    return bids, asks


def total(sizes: Iterable[Decimal]) -> Decimal:
    return sum(sizes, Decimal(0))


def mean(values: Iterable[Decimal | None]) -> float:
    """Over those that are known; the float nearest to it."""
    known = [value for value in values if value is not None]
    if len(known) == 1:
        return float(known[0])
    return float(Fraction(total(known)) / len(known)) if known else math.nan


def mean_bins(spans: list[tuple[int, list[Decimal | None]]], width: int) -> np.ndarray:
    if all(bins is spans[0][1] for _, bins in spans):
        spans = spans[:1]  # a silent book: the mean of equals
    values: list[list[Decimal]] = [[] for _ in range(width)]
    for at, bins in spans:
        for i, size in enumerate(bins, at):
            if size is not None:
                values[i].append(size)
    means = [mean(known) if any(known) else 0.0 if known else math.nan for known in values]
    return np.array([np.float32(x) for x in means], np.float32)
