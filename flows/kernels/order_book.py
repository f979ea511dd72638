"""The state of one order book: the arrays that `flows.kernels.book` works on, and what moves or rebuilds them.

Prices are int ticks of 10**-price_decimals, sizes int lots of 10**-size_decimals. Both follow the finest digits
seen in the venue's text: finer digits rescale the whole book exactly, nothing is ever rounded.
"""

from collections import deque
from decimal import Decimal
from typing import Any

import numpy as np

from connectors.book_sync import Rule
from flows.kernels import book as b
from flows.kernels import ledger, trades
from flows.kernels.snapshot import ALL_ASKS, ALL_BIDS, NO_BIDS, Int64s, Levels

COLUMN_BINS = 704  # at least 640 around the mid, after alignment to 64
BAND_BPS = np.array([10, 25, 50, 100], np.int64)
WIDTH_MIN = 1 << 12
WIDTH_MAX = 1 << 22  # 64 MiB a book
FAR_MIN = 1 << 10
WAITING_BYTES_MAX = 16 << 20
TICK_MAX = 1 << 48  # keeps mid * bps within int64


class OverflowedError(ValueError):
    """A price or size does not fit int64 at the decimals the venue has come to use."""


class OrderBook:
    """One instrument's book. Not live until `seed`; `waiting` then holds the messages for the next snapshot."""

    __slots__ = (
        "bin_step",
        "covered",
        "far_key",
        "far_lots",
        "key",
        "ledger",
        "meta",
        "name",
        "tape",
        "waiting",
        "waiting_bytes",
        "window",
    )

    def __init__(self, key: bytes, rule: int) -> None:
        self.key = key
        self.meta: Int64s = np.zeros(b.META, np.int64)
        self.meta[b.RULE] = rule
        self.meta[b.SECOND] = -1
        self.bin_step: Decimal | None = None
        self.covered: Int64s = np.zeros(2, np.int64)
        self.ledger: Int64s = np.zeros(ledger.HEAD + ledger.ENTRIES_MIN * ledger.ENTRY, np.int64)
        self.tape: Int64s = np.zeros(trades.META, np.int64)
        self.tape[trades.KIND] = -1
        self.name = np.frombuffer(key or b"\0", np.uint8)
        self.waiting: deque[bytes] = deque()
        self.waiting_bytes = 0
        self._allocate(0, 0, FAR_MIN)
        self.meta[b.BEST_BID], self.meta[b.BEST_ASK] = -1, b.NO_ASK

    @property
    def live(self) -> bool:
        """Seeded and unbroken since."""
        return bool(self.meta[b.LIVE])

    @property
    def complete(self) -> bool:
        """Whether a column can be taken: live, both sides there, not crossed."""
        return bool(self.meta[b.LIVE] and not self.meta[b.CROSSED_NOW] and b.inside(self.meta))

    def best(self) -> tuple[Decimal | None, Decimal | None]:
        """Best bid and ask; None for a side without a level or a book that is not live."""
        if not self.live:
            return None, None
        m = self.meta
        bid = self.price(int(m[b.BEST_BID])) if m[b.BEST_BID] >= m[b.BASE] else None
        ask = self.price(int(m[b.BEST_ASK])) if m[b.BEST_ASK] < m[b.BASE] + m[b.WIDTH] else None
        return bid, ask

    def price(self, tick: int) -> Decimal:
        """A tick as a price with the book's decimals."""
        return Decimal(tick).scaleb(-int(self.meta[b.PRICE_DECIMALS]))

    def bin_ticks(self) -> int:
        """Width of a bin in ticks."""
        assert self.bin_step is not None
        return int(self.bin_step.scaleb(int(self.meta[b.PRICE_DECIMALS])))

    def wait(self, line: bytes) -> None:
        """Keep a message for the next snapshot; beyond 16 MiB the oldest go, which only costs that snapshot."""
        self.waiting.append(line)
        self.waiting_bytes += len(line)
        while self.waiting_bytes > WAITING_BYTES_MAX:
            self.waiting_bytes -= len(self.waiting.popleft())

    def stop_waiting(self) -> bytes:
        """The waiting messages in order; none are left."""
        lines = b"".join(self.waiting)
        self.waiting.clear()
        self.waiting_bytes = 0
        return lines

    def clear(self) -> None:
        """Forget the book: it is not live until the next `seed`."""
        m = self.meta
        m[[b.LIVE, b.SEEDED, b.CROSSED_NOW, b.OFI, b.UPDATES]] = 0
        self._allocate(0, 0, FAR_MIN)
        m[b.BEST_BID], m[b.BEST_ASK] = -1, b.NO_ASK
        m[[b.N_BIDS, b.N_ASKS]] = 0
        self.ledger[ledger.COUNT] = 0

    def replace(self, levels: Levels, update_id: int) -> None:
        """Become the book of these levels, live as before: by the message at hand, which counts as any other."""
        m = self.meta
        m[b.WAS_BID] = -1
        if b.inside(m):
            bid, ask = int(m[b.BEST_BID]), int(m[b.BEST_ASK])
            bid_lots = self.window[bid - m[b.BASE]]
            ask_lots = self.window[ask - m[b.BASE] + m[b.WIDTH]]
            m[[b.WAS_BID, b.WAS_BID_LOTS, b.WAS_ASK, b.WAS_ASK_LOTS]] = bid, bid_lots, ask, ask_lots
        self._rebuild(levels, keep=True)
        b.count_jump(self.window, m)
        m[b.CROSSED_NOW] = 0
        m[b.LAST_ID] = update_id
        m[b.N_LEVELS] += len(levels.ticks)
        m[[b.N_APPLIED, b.UPDATES]] += 1
        m[b.RECEIVED], m[b.HEARD] = m[b.RECV], m[b.SECOND]
        b.follow(self.ledger, self.window, self.far_key, self.far_lots, m, m[b.EVENT_MS])

    def make_ledger_room(self, count: int) -> None:
        """See that `count` more prices can have traded."""
        wanted = ledger.HEAD + (self.ledger.item(ledger.COUNT) + count) * ledger.ENTRY
        while len(self.ledger) < wanted:
            self.ledger = np.concatenate([self.ledger, np.zeros_like(self.ledger[ledger.HEAD :])])

    def close_ledger(self, end_ms: int) -> Int64s:
        """The ledger of the second that ends at `end_ms`: int64[n, ledger.ENTRY], a row a price that traded."""
        count, m = self.ledger.item(ledger.COUNT), self.meta
        rows = np.empty((count, ledger.ENTRY), np.int64)
        if not count:
            return rows
        told = ledger.close(self.ledger, m[b.BEST_BID], m[b.BEST_ASK], end_ms, rows)
        found: Int64s = rows[:told]
        return found

    def limit(self, depth: int) -> None:
        """From the message at hand on, a snapshot, the venue tells of so many levels a side; 0: of all."""
        m = self.meta
        m[b.DEPTH] = depth
        m[[b.WIRE_PRICE_DECIMALS, b.WIRE_SIZE_DECIMALS]] = m[[b.WROTE_PRICE_DECIMALS, b.WROTE_SIZE_DECIMALS]]

    def agrees(self) -> bool:
        """Whether the book is the one that the checksum of the message at hand is of; true where it has none."""
        return bool(b.agrees(self.window, self.far_key, self.far_lots, self.meta))

    def would_agree(self, ticks: Int64s, lots: Int64s) -> bool:
        """The same of the book as the parsed message, in scratch `ticks` and `lots`, would leave it."""
        m = self.meta
        if m[b.RULE] != Rule.CHECKSUM or not self.live or m[b.WHOLE]:
            return True
        self.make_room()
        window, far_key, far_lots, meta = (
            x.copy() for x in (self.window, self.far_key, self.far_lots, self.meta)
        )
        b.apply(window, far_key, far_lots, meta, ticks, lots)
        return bool(b.agrees(window, far_key, far_lots, meta))

    def would_agree_as(self, levels: Levels) -> bool:
        """The same of a book of these levels, those of the message at hand."""
        other = OrderBook(self.key, 0)
        other.meta = self.meta.copy()
        other._rebuild(levels)
        return other.agrees()

    def reach(self) -> Int64s:
        """int64[2]: lowest bid and highest ask tick up to which the book is known whole."""
        if self.meta[b.DEPTH]:
            b.reach(self.window, self.far_key, self.meta, self.covered)
        return self.covered

    def seed(self, levels: Levels, update_id: int) -> None:
        """Become the book of these levels (sides: 0 bid, 1 ask) at `update_id`, live."""
        m = self.meta
        self._rebuild(levels)
        m[[b.LIVE, b.SEEDED]] = 1
        m[[b.CROSSED_NOW, b.OFI, b.UPDATES]] = 0
        m[b.LAST_ID] = update_id
        self.settle()

    def settle(self) -> None:
        """Keep the decimals: a book, its roll-ups or its instrument have had them."""
        m = self.meta
        m[b.SETTLED_PRICE_DECIMALS], m[b.SETTLED_SIZE_DECIMALS] = m[b.PRICE_DECIMALS], m[b.SIZE_DECIMALS]

    def unsettle(self) -> None:
        """Forget the decimals that only messages waiting for a snapshot have needed: they may be garbage."""
        m = self.meta
        m[b.PRICE_DECIMALS], m[b.SIZE_DECIMALS] = m[b.SETTLED_PRICE_DECIMALS], m[b.SETTLED_SIZE_DECIMALS]

    def add(self, levels: Levels) -> None:
        """Set further levels of a live book: those that a fuller snapshot at the same update id knows."""
        held = self.levels()
        kept = ~np.isin(held.ticks * 2 + held.sides, levels.ticks * 2 + levels.sides)
        self._rebuild(
            Levels(*(np.concatenate([old[kept], new]) for old, new in zip(held, levels, strict=True)))
        )

    def levels(self) -> Levels:
        """Every level, sorted by side and tick."""
        n = int(b.count_levels(self.window, self.meta))
        ticks, lots, sides = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
        b.levels(self.window, self.far_key, self.far_lots, self.meta, ticks, lots, sides)
        order = np.lexsort((ticks, sides))
        return Levels(ticks[order], lots[order], sides[order])

    def recentre(self) -> None:
        """Move the window to where the best prices are."""
        self._rebuild(self.levels())

    def make_room(self) -> None:
        """See that all levels of the message at hand could lie outside the window."""
        m = self.meta
        room = int(m[b.BIDS_END] - m[b.BIDS_AT] + m[b.ASKS_END] - m[b.ASKS_AT])
        if (m[b.FAR_COUNT] + room) * 2 > len(self.far_key):
            self.grow_far(room)

    def grow_far(self, room: int) -> None:
        """Make room for `room` more levels outside the window."""
        m, levels = self.meta, self.levels()
        self._fill(int(m[b.BASE]), int(m[b.WIDTH]), int(m[b.FAR_COUNT]) + room, levels)

    def rescale(self, price_decimals: int, size_decimals: int) -> None:
        """Take finer decimals (never coarser ones). Raises OverflowedError if a level then does not fit."""
        m = self.meta
        price_factor = 10 ** max(price_decimals - int(m[b.PRICE_DECIMALS]), 0)
        size_factor = 10 ** max(size_decimals - int(m[b.SIZE_DECIMALS]), 0)
        ticks, lots, sides = self.levels()
        if len(ticks) and (
            int(ticks.max()) * price_factor > TICK_MAX
            or int(lots.max()) * size_factor > np.iinfo(np.int64).max // 4096
        ):
            raise OverflowedError(
                f"{price_decimals} price and {size_decimals} size decimals do not fit this book"
            )
        m[b.PRICE_DECIMALS] = max(price_decimals, int(m[b.PRICE_DECIMALS]))
        m[b.SIZE_DECIMALS] = max(size_decimals, int(m[b.SIZE_DECIMALS]))
        m[b.OFI] *= size_factor
        if self.covered[0] not in (ALL_BIDS, NO_BIDS):
            self.covered[0] *= price_factor
        if self.covered[1] != ALL_ASKS:
            self.covered[1] *= price_factor
        if self.live:
            self.settle()
            ledger.rescale(self.ledger, price_factor, size_factor)
            self._rebuild(Levels(ticks * price_factor, lots * size_factor, sides))

    def _rebuild(self, levels: Levels, keep: bool = False) -> None:
        """Become these levels; `keep`: in the same window, if it has the best prices."""
        m, ticks, bids, asks = self.meta, levels.ticks, levels.bids, levels.asks
        best_bid = int(bids.max()) if len(bids) else -1
        best_ask = int(asks.min()) if len(asks) else b.NO_ASK
        base, width = int(m[b.BASE]), int(m[b.WIDTH])
        if not (keep and base <= best_bid and best_ask < base + width):
            base, width = self._place(best_bid, best_ask)
        far = int(np.count_nonzero((ticks < base) | (ticks >= base + width)))
        self._fill(base, width, far, levels)
        m[b.BEST_BID], m[b.BEST_ASK] = best_bid, best_ask
        m[b.N_BIDS], m[b.N_ASKS] = len(bids), len(asks)
        m[b.WORST_BID] = int(bids.min()) if len(bids) else b.NO_ASK
        m[b.WORST_ASK] = int(asks.max()) if len(asks) else -1

    def _fill(self, base: int, width: int, far: int, levels: Levels) -> None:
        """Lay the levels out anew, with room for at least `far` of them outside the window."""
        size, m = FAR_MIN, self.meta
        while size < 4 * far:
            size *= 2
        if (m[b.BASE], len(self.window), len(self.far_key)) == (base, 2 * width, size):
            self.window.fill(0)
            self.far_key.fill(b.FAR_EMPTY)
            m[b.FAR_COUNT] = 0
        else:
            self._allocate(base, width, size)
        b.fill(self.window, self.far_key, self.far_lots, self.meta, *levels)

    def _place(self, best_bid: int, best_ask: int) -> tuple[int, int]:
        """Base and width of a window around the best prices.

        A quarter of it holds half a column and the widest band, so that they stay inside until the mid leaves
        the middle half, which is when `book.run` asks to recentre.
        """
        known = [tick for tick in (best_bid, best_ask) if tick not in (-1, b.NO_ASK)]
        if not known:
            return 0, WIDTH_MIN
        mid = sum(known) // len(known)
        reach = max(
            mid * int(BAND_BPS[-1]) // 10_000 + 2,
            self.bin_ticks() * (COLUMN_BINS // 2 + 64) if self.bin_step else 0,
        )
        spread = known[-1] - known[0]
        width = WIDTH_MIN
        while width < min(4 * (reach + abs(spread)), WIDTH_MAX):
            width *= 2
        return max(0, mid - width // 2), width

    def _allocate(self, base: int, width: int, far_size: int) -> None:
        m = self.meta
        m[b.BASE], m[b.WIDTH], m[b.FAR_COUNT] = base, width, 0
        self.window: Int64s = np.zeros(2 * width, np.int64)
        self.far_key: Int64s = np.full(far_size, b.FAR_EMPTY, np.int64)
        self.far_lots: Int64s = np.zeros(far_size, np.int64)

    def dump(self) -> dict[str, Any]:
        """The book as msgpack-able values."""
        ticks, lots, sides = self.levels()
        return {
            "meta": self.meta.tobytes(),
            "levels": [ticks.tobytes(), lots.tobytes(), sides.astype(np.int8).tobytes()],
            "covered": self.covered.tobytes(),
            "bin_step": None if self.bin_step is None else str(self.bin_step),
            "waiting": list(self.waiting),
            "tape": self.tape.tobytes(),
            "ledger": self.ledger[: ledger.HEAD + self.ledger.item(ledger.COUNT) * ledger.ENTRY].tobytes(),
        }

    @classmethod
    def load(cls, key: bytes, state: dict[str, Any]) -> "OrderBook":
        """The book that `dump` described, to the last slot."""
        self = cls(key, 0)
        self.meta = np.frombuffer(state["meta"], np.int64).copy()
        self.covered = np.frombuffer(state["covered"], np.int64).copy()
        self.bin_step = None if state["bin_step"] is None else Decimal(state["bin_step"])
        for line in state["waiting"]:
            self.wait(line)
        self.tape = np.frombuffer(state["tape"], np.int64).copy()
        entries = np.frombuffer(state["ledger"], np.int64)
        self.make_ledger_room(len(entries) // ledger.ENTRY)
        self.ledger[: len(entries)] = entries
        ticks, lots, sides = (
            np.frombuffer(x, t) for x, t in zip(state["levels"], (np.int64, np.int64, np.int8), strict=True)
        )
        m = self.meta
        levels = Levels(ticks, lots, sides.astype(np.int64))
        self._fill(int(m[b.BASE]), int(m[b.WIDTH]), int(m[b.FAR_COUNT]), levels)
        return self
