"""The depth kernel: the order books of one partition of a raw topic, second by second.

What the rows mean. A *book message* is a diff of the venue; its time is the venue's event time, without one the
partition's clock, else its receive time; of a venue whose messages bear none, the receive time.

Second s of a book is [s, s + 1). Its *column* is the book after every message with an event time before s + 1.
It is taken when the book's next message shows a later second and follows without a gap, or, for a book that is
silent, when a `!clock` line has passed s + 1 by GRACE_MS. Messages of other books tell nothing of silence: they may
have come by another socket, or overtaken this book's. A silent second of a live book repeats it, for SILENCE_S_MAX
after its last message.

A connector writes `!clock` only when all up to its time is in the log (`connectors.venue_clock`). A message that
comes later all the same, because the venue sends it more than GRACE_MS out of order, is applied and counted as late:
the rows that missed it stay as they are. The log of a connector that writes no `!clock` has rows of silent seconds
only where a later message of the book shows them.

Snapshots come by REST, or in the stream itself. One in the stream begins a book that is not live, and replaces a live
one without a hole, as a message that says it all. Where the venue says that its service began anew (`u` 1 of Bybit),
or that the book is followed no longer, the book is reset. No message waits for a snapshot in the stream, which stands
behind all that it has already. A crossed one is set aside, and the book void.

A venue may tell of the best levels of a side only (`BookWire.depth`): after each message a side keeps so many, and
the prices covered are those of its levels while it holds them all; with fewer it is whole. Where messages bear a
checksum, it is of the book after them; one that does not match is a gap: event `checksum`, the seconds from the last
message on are holes.

A book begins with the second that the partition's clock has reached (the latest event time of its book messages and
`!clock` lines); seconds before are holes.

There is no row for a second at whose end the book is not live, is crossed (best bid >= best ask) or lacks a
side. A gap, a `!reset` or an unusable state clears the book; the seconds from the last message before a gap to
the message that shows it are holes, because what is missing may lie in any of them. Those that silence had ended
by then keep their rows: nothing is known of a gap before it shows, which is why a connector writes `!reset`.
For the same reason a book that a snapshot began may be ahead of its time until its first message.

* `bid`, `ask`: size resting in bins of `bin_step`, COLUMN_BINS of them from bin `base_bin` on: a multiple of 64,
  the mid's bin less COLUMN_BINS / 2 rounded to 64, at least 0. The book is known whole as far as its seeding
  snapshot reached: bids from the snapshot's lowest bid up (`covered_low`), asks to its highest ask
  (`covered_high`); a side on which a REST snapshot returned fewer levels than its `limit` is known whole (0,
  inf). A bin with a tick beyond that holds what the venue has told of it since, a lower bound, and is NaN, not
  zero, while that is nothing.
* best prices and sizes, `spread`, `mid`, `weighted_mid` = (bid * ask_size + ask * bid_size) / (bid_size +
  ask_size), at the end of the second (definitions: weighted mid, not Stoikov's micro-price).
* `bid_10bps` ...: size at prices >= mid * (1 - bps / 10000), asks likewise; NaN where that reaches beyond
  the covered prices. `imbalance_10bps` ... = (bid - ask) / (bid + ask), NaN if either is or both are 0.
* `ofi`: order-flow imbalance, the sum over messages of e_n of Cont, Kukanov and Stoikov (2014), at the best
  quotes, in base currency, since the second began or the book was last seeded. Messages that were waiting for the
  snapshot do not count, nor does the snapshot.
* `updates`: messages applied, counted as for `ofi`. `received_ns`: receive time of the newest message applied.
* `version`: receive time of the line that closed the second.

Rows of 10 s and 1 min: bins and bands are means over the seconds that knew them, best prices and what follows
from them and the covered prices are those of the last live second, `ofi` and `updates` are sums, imbalances
follow from the mean bands; `live_s` counts the live seconds, and an interval without one has no row. Bins are the
union of the columns' bins.

What the levels tell besides, `walls` and `liquidity_events`, is made of the columns and of the trades in the same
records: see `flows.kernels.walls`. Trades against a book that is not live do not count.

Sizes are exact integers until the one division that makes them a float, so that a replay gives the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import numpy as np

from connectors import instruments, record
from connectors.book_sync import Rule
from connectors.record import Line, Record
from connectors.venue import MALFORMED, BookWire, Instrument, Market, ParseError, Role, Shape, Trade
from flows.kernels import against, walls
from flows.kernels import book as b
from flows.kernels import trades as t
from flows.kernels.block import Block
from flows.kernels.order_book import TICK_MAX, OrderBook, OverflowedError
from flows.kernels.rollup import COLUMNS, TABLES, Column, Rollup
from flows.kernels.snapshot import ALL_ASKS, ALL_BIDS, Int64s, Levels, covered, limits
from flows.kernels.trade_spec import trade_spec
from flows.kernels.walls import Walls

GRACE_MS = 250
ROWS_WAIT_MS = 500  # rows wait so long for those of silent books: the `!clock` line is on its way, or stalls
SILENCE_S_MAX = 3600  # a book that has been silent for longer gives no columns until it speaks again
TRADES_MAX = 4096  # of one message that `Market.parse` need not read
LEVELS_MAX = 1 << 20  # of one message
PAYLOAD_HEAD_BYTES = 4096
DUMP_VERSION = 4

TABLE_COLUMNS = dict.fromkeys(TABLES.values(), COLUMNS) | walls.COLUMNS | {
    "book_events": ("instrument", "venue", "time_ns", "kind", "detail", "update_id", "version"),
    "instruments": ("venue", "symbol", "instrument", "tick", "lot", "bin_step", "contract_size", "inferred", "version"),
    "dead_letters": (
        "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
    ),
}  # fmt: skip

_BAD_REASONS = {
    b.BAD_FRAME: "malformed frame",
    b.BAD_LEVELS: "malformed level",
    b.BAD_FIELDS: "missing ids or side",
    b.BAD_TIME: "event time ahead of receipt",
    b.BAD_SIZE: "number or level count too large",
    b.BAD_STAMP: "malformed event time",
}
_PERHAPS_SPACED = (b.BAD_FRAME, b.BAD_LEVELS, b.BAD_FIELDS)
_LINE_COUNTS = {
    "depth_messages": b.N_DEPTH, "applied": b.N_APPLIED, "stale": b.N_STALE, "late": b.N_LATE,
    "trades": b.N_TRADES, "other": b.N_OTHER, "levels": b.N_LEVELS,
}  # fmt: skip
_EVENT_COUNTS = ("gaps", "crossed", "resets", "stale_snapshots", "unused_snapshots", "dead_letters")


# How a connector writes a `!book` line, whatever the venue.
_BOOK_LINE = BookWire(
    shape=Shape.PAIRS,
    rule=Rule.NEXT_ID,
    roles={"lastUpdateId": Role.LAST_ID, "bids": Role.BIDS, "asks": Role.ASKS},
    routes={},
    untagged={},
)


# Of a book, its record's body, where the line at hand begins in it and ends.
_Handler = Callable[[OrderBook, bytes, int, int], None]


class _Reset(msgspec.Struct):
    reason: str


class _Clock(msgspec.Struct):
    time_ns: int


class DepthKernel:
    """All order books of one partition. `on_records` takes log records in order and returns finished rows.

    Pure: the rows it returns depend on the records alone, not on how they are grouped into calls; only when they
    are returned does.
    """

    def __init__(self, market: Market, partition: int) -> None:
        self._market = market
        self._partition = partition
        self._wire = wire_array(market)
        self._book_wire = wire_array(replace(market, wire=_BOOK_LINE))
        self._has_ids = market.wire.rule not in (Rule.CHECKSUM, Rule.NONE)
        self._books: dict[bytes, OrderBook] = {}
        self._instruments: dict[bytes, Instrument] = {}
        self._rollups: dict[bytes, tuple[Rollup, ...]] = {}
        self._walls: dict[bytes, Walls] = {}
        self._clock = np.zeros(2, np.int64)
        self._told_ms, self._told_recv_ns = 0, 0  # by `!clock`
        self._silent_until = 0
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._row_second = 0
        self._offset = 0
        self._position: int | None = None
        self.counts: Counter[str] = Counter()
        self._ticks = np.empty(LEVELS_MAX, np.int64)
        self._lots = np.empty(LEVELS_MAX, np.int64)
        self._spec = trade_spec(market)
        self._trades = np.empty((TRADES_MAX, t.ROW), np.int64)

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns the rows that are finished."""
        books = self._books
        for key, offset, body in records:
            book = books.get(key)
            if book is None:
                book = books[key] = OrderBook(key, int(self._market.wire.rule))
            self._offset = offset
            self._on_lines(book, body)
            until = (self._told_ms - GRACE_MS) // 1000
            if until > self._silent_until:
                self._silent_until = until
                for each in books.values():
                    self._close_silent(each)
            elif book.meta.item(b.SECOND) < until:
                self._close_silent(book)
        return self._take() if self._complete() else []

    def flush(self) -> list[Block]:
        """The rows still held back for company (see `_complete`): for the end of a log."""
        return self._take()

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began, and where each book with book messages stands."""
        counts = {
            name: sum(int(x.meta[slot]) for x in self._books.values()) for name, slot in _LINE_COUNTS.items()
        }
        counts |= {name: self.counts[name] for name in _EVENT_COUNTS}
        return counts | {
            "books": {
                k.decode("utf-8", "replace"): _standing(x)
                for k, x in self._books.items()
                if x.meta[b.N_DEPTH]
            }
        }

    # Lines.

    def _on_lines(self, book: OrderBook, body: bytes) -> None:
        buf = np.frombuffer(body, np.uint8)
        run, clock, ticks, lots, wire = against.run, self._clock, self._ticks, self._lots, self._wire
        spec, scratch = self._spec, self._trades
        pos = 0
        while pos < len(body):
            code, start, pos = run(
                buf, pos, book.window, book.far_key, book.far_lots, book.meta, clock, ticks, lots, wire, book.ledger,
                book.tape, spec, book.name, scratch,
            )  # fmt: skip
            if code == b.END:
                return
            try:
                pos = self._on_stop(book, code, body, start, pos)
            except record.LineError:
                # The compiled scanner looks at a line's head only as far as it needs to.
                self._dead_letter(body, start, len(body), "torn record")
                return

    def _on_stop(self, book: OrderBook, code: int, body: bytes, start: int, end: int) -> int:
        """Do what `book.run` stopped for; returns where it goes on."""
        if code in (b.CLOSE, b.GROW, b.ROOM, b.RESTARTED, b.FINER):
            return start if self._made_way(book, code, body, start, end) else end
        handlers: dict[int, _Handler] = {
            b.TRADES: self._on_trades,
            b.WAIT: self._wait,
            b.GAP: self._gap,
            b.MISMATCH: self._mismatch,
            b.WHOLE_BOOK: self._on_whole_book,
            b.SUBSCRIPTION: self._on_subscription,
            b.RECENTRE: self._recentre,
            b.CROSSED: self._crossed,
            b.SNAPSHOT: self._on_snapshot,
            b.CONTROL: self._on_control,
        }
        handlers.get(code, partial(self._unreadable, code))(book, body, start, end)
        return end

    def _made_way(self, book: OrderBook, code: int, body: bytes, start: int, end: int) -> bool:
        """Deal with what keeps a line from being taken; False: it will not be."""
        m = book.meta
        if code == b.FINER:
            return self._finer(book, body, start, end)
        if code == b.GROW:
            book.make_room()
        elif code == b.ROOM:
            book.make_ledger_room(len(self._trades))
        elif code == b.RESTARTED:
            self._reset(book, int(m[b.EVENT_MS]) * 1_000_000, "the venue began anew", int(m[b.RECV]))
        elif book.would_agree(self._ticks, self._lots):
            self._close(book, int(m[b.EVENT_MS]) // 1000, int(m[b.RECV]))
        else:
            # Judged before time moves on: what is missing may lie in the open second already.
            m[b.N_DEPTH] += 1
            self._mismatch(book, body, start, end)
            return False
        return True

    def _on_lines_at(self, book: OrderBook, body: bytes, position: int) -> None:
        """Lines that do not stand in the record themselves: they waited, or were rewritten."""
        outer, self._position = self._position, position if self._position is None else self._position
        self._on_lines(book, body)
        self._position = outer

    def _unreadable(self, code: int, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """A line the compiled scanner cannot read: once more without white space, else set aside."""
        reason = "torn record" if code == b.TORN else "unknown message"
        if code == b.BAD:
            reason = _BAD_REASONS[int(book.meta[b.REASON])]
        if code == b.UNKNOWN or (code == b.BAD and int(book.meta[b.REASON]) in _PERHAPS_SPACED):
            line = _line(body, start)
            try:
                bare = msgspec.json.format(line.payload, indent=-1)
            except MALFORMED:
                bare, reason = line.payload, "malformed frame"
            if bare != line.payload:
                self._on_lines_at(book, record.encode_line(line.recv_ns, line.origin, bare), start)
                return
        self._dead_letter(body, start, end, reason)

    def _finer(self, book: OrderBook, body: bytes, start: int, end: int) -> bool:
        """Take the finer decimals the line at hand needs; False if the book cannot hold them."""
        m = book.meta
        try:
            book.rescale(int(m[b.NEED_PRICE_DECIMALS]), int(m[b.NEED_SIZE_DECIMALS]))
        except OverflowedError as error:
            self._dead_letter(body, start, end, "finer digits overflow")
            self._reset(book, int(self._clock[0]) * 1_000_000, str(error), _line(body, start).recv_ns)
            return False
        instrument = self._instruments.get(book.key)
        if book.live and instrument is not None:
            detail = f"{m[b.PRICE_DECIMALS]} price and {m[b.SIZE_DECIMALS]} size decimals"
            recv_ns = _line(body, start).recv_ns
            self._event(book, int(m[b.EVENT_MS] or self._clock[0]) * 1_000_000, "rescaled", detail, recv_ns)
            if instrument.inferred:
                self._set_instrument(book, self._infer(book), recv_ns)
        return True

    # Snapshots, control lines, breaks.

    def _on_snapshot(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        line = _line(body, start)
        wire = self._book_wire if line.origin == record.BOOK else self._wire
        if not book.live:
            book.unsettle()
        if not self._scan(book, line.payload, wire) and not self._scan(book, compact(line.payload), wire):
            self._dead_letter(body, start, end, "malformed snapshot")
            return
        levels, m = self._scratch(book), book.meta
        update_id, event_ms = int(m[b.MESSAGE_ID]), int(m[b.EVENT_MS])
        low, high = covered(levels, line, int(m[b.PRICE_DECIMALS]))
        if reason := _unusable(levels):
            self._dead_letter(body, start, end, reason)
        elif not book.live:
            if line.origin == record.BOOK:
                depth, *wrote = limits(line.payload)
                m[[b.WROTE_PRICE_DECIMALS, b.WROTE_SIZE_DECIMALS]] = wrote
                book.limit(depth)
            self._seed(book, levels, (low, high), start, line.recv_ns)
            time_ns = (event_ms or int(self._clock[0])) * 1_000_000 or line.recv_ns
            self._seeded(book, time_ns, update_id, len(levels.ticks), line.recv_ns)
        elif update_id == m[b.LAST_ID] and self._has_ids:
            # Only a snapshot at the very id of a live book can add to it: what lies beyond the first one's reach.
            book.add(levels)
            book.covered[:] = min(book.covered[0], low), max(book.covered[1], high)
        else:
            self.counts["unused_snapshots"] += 1

    def _on_whole_book(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """A snapshot in the stream: a book that waits for one begins with it, a live one goes on from it."""
        m, line = book.meta, _line(body, start)
        event_ms, recv_ns = int(m[b.EVENT_MS]), line.recv_ns
        if not book.live:
            book.unsettle()
            self._scan(book, line.payload, self._wire)
            m[b.EVENT_MS], m[b.RECV] = event_ms, recv_ns
        levels, update_id = self._scratch(book), int(m[b.MESSAGE_ID])
        time_ns = event_ms * 1_000_000 or recv_ns
        if reason := _unusable(levels):
            self._dead_letter(body, start, end, reason)
            self._reset(book, time_ns, reason, recv_ns)
            return
        book.limit(self._depth(book, line.payload, levels))
        if not book.would_agree_as(levels):
            self._mismatch(book, body, start, end)
        elif book.live:
            book.replace(levels, update_id)
            book.covered[:] = ALL_BIDS, ALL_ASKS
        else:
            self._seed(book, levels, (ALL_BIDS, ALL_ASKS), start, recv_ns)
            self._seeded(book, time_ns, update_id, len(levels.ticks), recv_ns)

    def _depth(self, book: OrderBook, payload: bytes, levels: Levels) -> int:
        """How many levels a side the venue tells of from this snapshot on; 0: of all."""
        if self._market.wire.depth is None:
            return 0
        told = int(book.meta[b.TOLD_DEPTH])
        most = max(len(levels.bids), len(levels.asks))
        return told if told and told >= most else self._market.wire.depth(payload) or 0

    def _on_subscription(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """The venue says how many levels it will tell of, or (0) that it tells no more; None: neither."""
        line = _line(body, start)
        try:
            depth = None if self._market.wire.depth is None else self._market.wire.depth(line.payload)
        except ParseError:
            self._dead_letter(body, start, end, "malformed answer")
            return
        if depth:
            book.meta[b.TOLD_DEPTH] = depth
        elif depth == 0:
            self._reset(book, int(self._clock[0]) * 1_000_000 or line.recv_ns, "left", line.recv_ns)

    def _scan(self, book: OrderBook, payload: bytes, wire: Int64s) -> bool:
        """Parse a snapshot's payload into scratch, with as many decimals as it needs."""
        buf, m = np.frombuffer(payload, np.uint8), book.meta
        m[b.RECV] = 0
        while True:
            code = b.scan(buf, 0, len(buf), m, self._ticks, self._lots, wire)
            if code != b.FINER:
                return bool(code == 0)
            try:
                book.rescale(int(m[b.NEED_PRICE_DECIMALS]), int(m[b.NEED_SIZE_DECIMALS]))
            except OverflowedError:
                return False

    def _seed(
        self, book: OrderBook, levels: Levels, reach: tuple[int, int], start: int, recv_ns: int
    ) -> None:
        m = book.meta
        update_id = int(m[b.MESSAGE_ID])
        self._describe(book, levels, recv_ns)
        if m[b.SECOND] >= 0:
            self._close(book, int(self._clock[0]) // 1000, recv_ns)
        elif self._clock[0] > 0:
            m[b.SECOND] = self._clock[0] // 1000
        book.seed(levels, update_id)
        book.covered[:] = reach
        m[b.RECEIVED] = recv_ns
        m[b.HEARD] = m[b.SECOND]
        counted = m[[b.N_DEPTH, b.N_LATE]]
        self._on_lines_at(book, book.stop_waiting(), start)
        m[[b.N_DEPTH, b.N_LATE]] = counted
        m[[b.OFI, b.UPDATES]] = 0

    def _seeded(self, book: OrderBook, time_ns: int, update_id: int, count: int, recv_ns: int) -> None:
        """The book has begun, unless a message that waited did not follow."""
        if book.live:
            self._event(book, time_ns, "seeded", f"at update {update_id}, {count} levels", recv_ns)

    def _on_control(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        line = _line(body, start)
        time_ns = int(self._clock[0]) * 1_000_000 or line.recv_ns
        try:
            if line.origin == record.INSTRUMENT:
                self._set_instrument(book, instruments.decode(line.payload), line.recv_ns)
                book.tape[t.KIND] = -1  # as the tape flow's
            elif line.origin == record.BOOK:
                self._on_snapshot(book, body, start, end)
            elif line.origin == record.RESET:
                self._reset(
                    book, time_ns, msgspec.json.decode(line.payload, type=_Reset).reason, line.recv_ns
                )
            elif line.origin == record.CLOCK:
                event_ms = msgspec.json.decode(line.payload, type=_Clock).time_ns // 1_000_000
                if event_ms > line.recv_ns // 1_000_000 + b.FUTURE_MS_MAX:
                    self._dead_letter(body, start, end, _BAD_REASONS[b.BAD_TIME])
                else:
                    self._on_clock(event_ms, line.recv_ns)
            else:
                self._dead_letter(body, start, end, "unknown control line")
        except (*MALFORMED, ParseError):
            self._dead_letter(body, start, end, "malformed control line")

    def _on_clock(self, event_ms: int, recv_ns: int) -> None:
        if event_ms > self._told_ms:
            self._told_ms, self._told_recv_ns = event_ms, recv_ns
        if event_ms > self._clock[0]:
            self._clock[:] = event_ms, recv_ns

    def _gap(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """The message does not follow. What was held is void; the message waits for the next snapshot."""
        m = book.meta
        event_ms, recv_ns = int(m[b.EVENT_MS]), int(m[b.RECV])
        if m[b.SEEDED] and not self._market.wire.in_stream:
            # Not a break in the stream: the snapshot is older than the first message after it.
            self.counts["stale_snapshots"] += 1
            kind, detail = (
                "stale snapshot",
                f"at update {m[b.LAST_ID]}, the first message begins at {m[b.FIRST_ID]}",
            )
        else:
            self.counts["gaps"] += 1
            found = m[b.PREVIOUS_ID] if m[b.PREVIOUS_ID] >= 0 else m[b.FIRST_ID]
            kind, detail = "gap", f"the book stands at update {m[b.LAST_ID]}, the message follows {found}"
        self._event(book, event_ms * 1_000_000, kind, detail, recv_ns)
        self._clear(book, recv_ns)
        self._close(book, event_ms // 1000, recv_ns)
        self._wait(book, body, start, end)

    def _wait(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """Keep a message for the next snapshot, unless that comes in the stream: behind all that it has already."""
        if not self._market.wire.in_stream:
            book.wait(body[start:end])

    def _mismatch(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """The book is not the one that the checksum of the message at hand is of: messages are missing."""
        m = book.meta
        event_ms, recv_ns = int(m[b.EVENT_MS]), int(m[b.RECV])
        self.counts["gaps"] += 1
        detail = f"the book after the message is not the one that checksum {m[b.CHECKSUM]} is of"
        self._event(book, event_ms * 1_000_000 or recv_ns, "checksum", detail, recv_ns)
        self._clear(book, recv_ns)
        if event_ms:
            self._close(book, event_ms // 1000, recv_ns)

    def _reset(self, book: OrderBook, time_ns: int, reason: str, recv_ns: int) -> None:
        if book.live:  # else nothing is lost by it
            self.counts["resets"] += 1
            self._event(book, time_ns, "reset", reason, recv_ns)
        self._clear(book, recv_ns)
        book.stop_waiting()

    def _crossed(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """Best bid at or over best ask. The ids follow, so the book is the venue's; it is a hole while it lasts."""
        m = book.meta
        self.counts["crossed"] += 1
        detail = f"bid {book.price(int(m[b.BEST_BID]))}, ask {book.price(int(m[b.BEST_ASK]))}"
        self._event(book, int(m[b.EVENT_MS]) * 1_000_000, "crossed", detail, int(m[b.RECV]))
        self._dead_letter(body, start, end, "crossed book")

    def _recentre(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        book.recentre()
        b.count_jump(book.window, book.meta)
        self._judge_crossing(book, body, start, end)

    def _judge_crossing(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """As `book.run` does while the best prices are in the window."""
        m = book.meta
        was, now = int(m[b.CROSSED_NOW]), int(m[b.BEST_BID] >= m[b.BEST_ASK])
        m[b.CROSSED_NOW] = now
        if now and not was:
            self._crossed(book, body, start, end)

    # Trades.

    def _on_trades(self, book: OrderBook, body: bytes, start: int, end: int) -> None:
        """Trades against the size of a live book; what is malformed is the tape flow's to set aside."""
        line = _line(body, start)
        try:
            events = self._market.parse(line.payload)
        except ParseError:
            return
        for event in events:
            if isinstance(event, Trade) and event.symbol.encode() == book.key:
                self._on_trade(book, event, line.recv_ns)

    def _on_trade(self, book: OrderBook, trade: Trade, recv_ns: int) -> None:
        m = book.meta
        if book.tape[t.KIND] < 0:
            book.tape[t.KIND] = trade.aggregated
        tick = trade.price.scaleb(int(m[b.PRICE_DECIMALS]))
        lots = trade.size.scaleb(int(m[b.SIZE_DECIMALS]))
        of_book = 0 < tick <= TICK_MAX and tick == int(tick) and 1 <= lots <= b.LOTS_MAX
        if not of_book or book.tape[t.KIND] != trade.aggregated:
            return
        book.make_ledger_room(1)
        time_ns = trade.event_ns if self._market.wire.timed else recv_ns
        sign = {"buy": 1, "sell": -1}.get(trade.side, 0)
        against.put(
            book.window, book.far_key, book.far_lots, m, self._clock, book.ledger, int(tick), int(lots), sign, time_ns
        )  # fmt: skip

    # Instruments.

    def _describe(self, book: OrderBook, levels: Levels, recv_ns: int) -> None:
        """See that the book has an instrument and a bin width before its first column."""
        if book.key not in self._instruments:
            self._set_instrument(book, self._infer(book), recv_ns)
        instrument = self._instruments[book.key]
        if book.bin_step is None and len(levels.ticks):
            mid = book.price(max(levels.mid_tick(), 1))
            agreed = instruments.agreed_bin_step(instrument.instrument, instrument.tick)
            book.bin_step = instrument.bin_step or agreed or instruments.bin_step(mid, instrument.tick)
            self._set_instrument(book, instrument, recv_ns)

    def _infer(self, book: OrderBook) -> Instrument:
        symbol, m = book.key.decode("utf-8", "replace"), book.meta
        canonical = self._market.canonical(symbol)
        return instruments.inferred(symbol, canonical, int(m[b.PRICE_DECIMALS]), int(m[b.SIZE_DECIMALS]))

    def _set_instrument(self, book: OrderBook, instrument: Instrument, recv_ns: int) -> None:
        self._instruments[book.key] = instrument
        if instrument.bin_step is not None and book.bin_step is None:
            book.bin_step = instrument.bin_step
        if not book.live:
            book.rescale(instruments.decimals(instrument.tick), instruments.decimals(instrument.lot))
            book.settle()
        width = float(book.bin_step) if book.bin_step is not None else float("nan")
        self._add(
            "instruments", self._market.name, instrument.symbol, instrument.instrument, float(instrument.tick),
            float(instrument.lot), width, float(instrument.contract_size), instrument.inferred, recv_ns,
        )  # fmt: skip

    def _name(self, book: OrderBook) -> str:
        instrument = self._instruments.get(book.key)
        return (
            self._market.canonical(book.key.decode("utf-8", "replace"))
            if instrument is None
            else instrument.instrument
        )

    # Seconds.

    def _close(self, book: OrderBook, until: int, version: int) -> None:
        """End the book's seconds before `until`: a row for each at whose end it is complete."""
        m = book.meta
        begin = int(m[b.SECOND])
        m[b.SECOND] = max(until, begin)
        rollups = self._rollups.get(book.key)
        if rollups is None:
            rollups = self._rollups[book.key] = tuple(Rollup(interval_s) for interval_s in TABLES)
        if book.complete and book.bin_step is None:
            self._describe(book, book.levels(), version)
            book.recentre()
        column = Column(book) if book.complete else None
        silent = min(until, max(begin, int(m[b.HEARD]) + SILENCE_S_MAX))
        for second in range(begin, silent):
            told = book.close_ledger((second + 1) * 1000)
            if column is not None:
                for rollup in rollups:
                    rollup.add(column, int(m[b.OFI]), int(m[b.UPDATES]))
                found = self._walls.setdefault(book.key, Walls())
                self._keep(found.second(column, book.bin_ticks(), second, told, self._of(book, version)))
            m[b.OFI] = m[b.UPDATES] = 0
            self._end(book, rollups, second, second + 1, version)
        if until > silent:
            self._end_walls(book, silent, version)
            self._end(book, rollups, silent - 1, until, version)

    def _end(
        self, book: OrderBook, rollups: tuple[Rollup, ...], second: int, until: int, version: int
    ) -> None:
        """Rows of the intervals that `second`, the last one added, lies in and that are over at `until`."""
        for rollup in rollups:
            start = second - second % rollup.interval_s
            if rollup.live_s and until >= start + rollup.interval_s:
                assert book.bin_step is not None
                row = rollup.row(self._name(book), self._market.name, start, float(book.bin_step), version)
                if not self._rows.get(TABLES[1]):
                    self._row_second = second
                self._rows.setdefault(TABLES[rollup.interval_s], []).append(row)

    def _clear(self, book: OrderBook, recv_ns: int) -> None:
        """The book is void."""
        self._end_walls(book, int(book.meta[b.SECOND]), recv_ns)
        book.clear()

    def _end_walls(self, book: OrderBook, end_s: int, version: int) -> None:
        if book.key in self._walls:
            self._keep(self._walls[book.key].clear(end_s, self._of(book, version)))

    def _of(self, book: OrderBook, version: int) -> walls.Of:
        assert book.bin_step is not None
        return walls.Of(
            self._name(book), self._market.name, float(book.bin_step), int(book.meta[b.RECEIVED]), version
        )

    def _close_silent(self, book: OrderBook) -> None:
        """End the seconds that `!clock` has passed by the grace."""
        if book.live and book.meta[b.SECOND] < 0 < self._clock[0]:
            book.meta[[b.SECOND, b.HEARD]] = self._clock[0] // 1000
        elif 0 <= book.meta[b.SECOND] < self._silent_until:
            self._close(book, self._silent_until, self._told_recv_ns)

    # Rows.

    def _complete(self) -> bool:
        """Whether rows may leave: a second goes when all live books have ended it, for few and large inserts.

        It does not wait for long for those whose silence nobody can tell.
        """
        if not self._rows.get(TABLES[1]) or (self._clock.item(0) - ROWS_WAIT_MS) // 1000 > self._row_second:
            return bool(self._rows)
        return all(x.meta[b.SECOND] > self._row_second for x in self._books.values() if x.live)

    def _take(self) -> list[Block]:
        blocks = [Block.of(table, TABLE_COLUMNS[table], rows) for table, rows in self._rows.items() if rows]
        self._rows = {}
        return blocks

    def _keep(self, rows: walls.Rows) -> None:
        for table, row in rows:
            self._rows.setdefault(table, []).append(row)

    def _add(self, table: str, *row: Any) -> None:
        self._rows.setdefault(table, []).append(row)

    def _event(self, book: OrderBook, time_ns: int, kind: str, detail: str, recv_ns: int) -> None:
        update_id = max(int(book.meta[b.LAST_ID]), 0)
        self._add(
            "book_events", self._name(book), self._market.name, time_ns, kind, detail, update_id, recv_ns
        )

    def _dead_letter(self, body: bytes, start: int, end: int, reason: str) -> None:
        self.counts["dead_letters"] += 1
        try:
            recv_ns, _, payload = _line(body, start)
        except record.LineError:
            recv_ns, payload = 0, body[start:end]
        position = start if self._position is None else self._position
        self._add(
            "dead_letters", self._market.topic, self._partition, self._offset, position, reason,
            f"{len(payload)} bytes", recv_ns, payload[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace"), recv_ns,
        )  # fmt: skip

    def _scratch(self, book: OrderBook) -> Levels:
        """The levels of the message parsed last, as copies; those of size 0 are left out."""
        m = book.meta
        bids, asks = slice(m[b.BIDS_AT], m[b.BIDS_END]), slice(m[b.ASKS_AT], m[b.ASKS_END])
        ticks = np.concatenate([self._ticks[bids], self._ticks[asks]])
        lots = np.concatenate([self._lots[bids], self._lots[asks]])
        sides = np.repeat(np.array([0, 1], np.int64), [bids.stop - bids.start, asks.stop - asks.start])
        held = lots > 0
        return Levels(ticks[held], lots[held], sides[held])

    # Recovery.

    def dump(self) -> bytes:
        """All state as bytes: what `load` makes continues exactly here."""
        return msgspec.msgpack.encode(
            {
                "version": DUMP_VERSION,
                "clock": self._clock.tobytes(),
                "told": [self._told_ms, self._told_recv_ns],
                "silent_until": self._silent_until,
                "row_second": self._row_second,
                "counts": dict(self.counts),
                "books": {key: book.dump() for key, book in self._books.items()},
                "instruments": {key: msgspec.json.encode(x) for key, x in self._instruments.items()},
                "rollups": {key: [x.dump() for x in rollups] for key, rollups in self._rollups.items()},
                "walls": {key: x.dump() for key, x in self._walls.items()},
                "rows": [(table, [_packed(row) for row in rows]) for table, rows in self._rows.items()],
            }
        )

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError if another version of this kernel wrote it."""
        found = msgspec.msgpack.decode(state, strict=False)
        if found.get("version") != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {found.get('version')}: "
                "remove the flow's recovery directory to rebuild from the raw topic"
            )
        self._clock[:] = np.frombuffer(found["clock"], np.int64)
        self._told_ms, self._told_recv_ns = found["told"]
        self._silent_until, self._row_second = found["silent_until"], found["row_second"]
        self.counts = Counter(found["counts"])
        self._books = {key: OrderBook.load(key, x) for key, x in found["books"].items()}
        self._instruments = {
            k: msgspec.json.decode(x, type=Instrument) for k, x in found["instruments"].items()
        }
        self._rollups = {k: tuple(Rollup.load(x) for x in rollups) for k, rollups in found["rollups"].items()}
        self._walls = {key: Walls.load(x) for key, x in found["walls"].items()}
        self._rows = {table: [_unpacked(row) for row in rows] for table, rows in found["rows"]}


def _line(body: bytes, start: int) -> Line:
    line = next(record.decode_lines(body, start))
    if not 0 <= line.recv_ns < 1 << 63:
        raise record.LineError(f"expected a receive time in ns, found {line.recv_ns}")
    return line


def _unusable(levels: Levels) -> str:
    """Why no book can be of a snapshot's levels; "": one can."""
    if levels.is_crossed():
        return "crossed snapshot"
    return "price too large" if len(levels.ticks) and int(levels.ticks.max()) > TICK_MAX else ""


def compact(payload: bytes) -> bytes:
    """The payload without white space; as it is if it is not JSON."""
    try:
        return msgspec.json.format(payload, indent=-1)
    except MALFORMED:
        return payload


def _standing(book: OrderBook) -> dict[str, Any]:
    bid, ask = book.best()
    return {
        "state": "live" if book.live else "waiting for a snapshot",
        "best_bid": None if bid is None else str(bid),
        "best_ask": None if ask is None else str(ask),
        "levels": int(b.count_levels(book.window, book.meta)),
        "waiting": len(book.waiting),
    }


def wire_array(market: Market) -> Int64s:
    """A market's wire as `book.run` reads it.

    The lengths of its three tables, its shape, whether its messages have one id and a time, its roles; then the tables:
    names by their first 8 bytes, hashed without a collision, and what they mean; then room for the text that the kernel
    comes to know. Raises ValueError for a checksum of anything but numbers.
    """
    wire = market.wire
    if wire.rule is Rule.CHECKSUM and wire.shape is not Shape.OBJECTS:
        raise ValueError(
            f"{market.name}: expected a checksum of numbers (Shape.OBJECTS), found {wire.shape!r}"
        )
    tables: tuple[Mapping[str, int], ...] = (wire.roles, wire.routes, wire.untagged)
    slots = [_slots(table) for table in tables]
    packed = [len(names) for names, _ in slots]
    packed += [int(wire.shape), Role.FIRST_ID not in wire.roles.values(), wire.timed]
    packed += [sum(2 << role for role in set(wire.roles.values()) - {Role.ROUTE})]
    packed += [0] * (b.WIRE_HEAD - len(packed))
    for names, meanings in slots:
        packed += names + meanings
    packed[b.WIRE_KNOWN] = len(packed)
    packed += [0] * (b.KNOWN_MAX + 1) * b.KNOWN_SLOTS
    return np.array(packed, np.int64)


def _slots(table: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Names and meanings, each name where the kernel looks for it (`book.NAME_FACTOR`); -1 where there is none."""
    by_name: dict[int, int] = {}
    for text, meaning in table.items():
        by_name.setdefault(int.from_bytes(text.encode()[:8], "little"), int(meaning))
    size = 1
    while len({_slot(name, size) for name in by_name}) < len(by_name):
        size *= 2
    names, meanings = [0] * size, [-1] * size
    for name, meaning in by_name.items():
        names[_slot(name, size)], meanings[_slot(name, size)] = name, meaning
    return names, meanings


def _slot(name: int, size: int) -> int:
    return (name * int(b.NAME_FACTOR) % 2**64 >> 32) % size


def _packed(row: tuple[Any, ...]) -> list[Any]:
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in row]


def _unpacked(row: list[Any]) -> tuple[Any, ...]:
    return tuple(np.frombuffer(x, np.float32) if isinstance(x, bytes) else x for x in row)
