"""The trades of one instrument as the tape kernel reads them: what waits, what was heard, and in which units."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors import instruments
from connectors.venue import Instrument, ParseError, Trade
from flows.kernels import book as b
from flows.kernels import sessions
from flows.kernels import trades as t
from flows.kernels.block import Block, Words
from flows.kernels.lines import check_time
from flows.kernels.order_flow import Columns, InstrumentTape
from flows.kernels.prints import Prints
from flows.kernels.trade_spec import Int64s

ROWS = 512  # that wait at most
IDS = 1024  # slots for ids at first
SIDES = ("sell", "unknown", "buy")
SIDE_BY = ("told", "quote", "tick", "none")
SIGNS = {"sell": -1, "unknown": 0, "buy": 1}
COLUMNS = (
    "instrument", "venue", "time_ns", "trade_id", "price", "size", "side", "side_by", "aggregated", "received_ns",
    "version",
)  # fmt: skip


class Reading:
    """One instrument of a market. Rows wait in scratch until `Committed.of` takes them."""

    def __init__(self, symbol: str, name: str, *, contiguous: bool) -> None:
        """`name` is canonical; `contiguous`: ids of trades rise by one."""
        self.symbol, self.name = symbol, name
        self.key = np.frombuffer(symbol.encode(), np.uint8)
        self.meta: Int64s = np.zeros(t.META, np.int64)
        self.meta[[t.KIND, t.LAST_ID, t.LAST_TICK]] = -1
        self.meta[[t.NEWEST_NS, t.SINCE_NS]] = t.TIME_NS_MIN
        self.meta[t.CONTIGUOUS] = contiguous
        self.scratch: Int64s = np.empty((ROWS, t.ROW), np.int64)
        self.seen: NDArray[np.uint64] = np.zeros((2, IDS), np.uint64)
        self.tape: InstrumentTape | None = None
        self.told: Instrument | None = None
        self.row_step: Decimal | None = None
        self.quote: tuple[Decimal, Decimal] | None = None

    @property
    def pending(self) -> int:
        """How many trades wait."""
        return self.meta.item(t.PENDING)

    @property
    def is_full(self) -> bool:
        """Whether no other trade has room."""
        return self.pending >= ROWS

    def describe(self, told: Instrument) -> None:
        """Take what an `!instrument` line says. No trade may wait.

        The connector may have been started anew, and another one may hear trades of the other kind alone.
        """
        if told.instrument != self.name:
            self.tape = None
        self.told, self.name = told, told.instrument
        self.meta[t.KIND] = -1
        self.meta[t.ORIGINS : t.ORIGINS + t.ORIGINS_MAX] = 0
        if told.bin_step is not None and told.bin_step != self.row_step:
            self.row_step = told.bin_step
            if self.tape is not None:
                self.tape.set_row_step(told.bin_step)
        for slot, unit in ((t.PRICE_DECIMALS, told.tick), (t.SIZE_DECIMALS, told.lot)):
            if self._fits(slot, decimals := instruments.decimals(unit)):
                self._rescale(slot, decimals)

    def is_news(self, origin: bytes) -> bool:
        """Whether nothing was heard of that connection yet, where connections matter."""
        return not self.meta[t.CONTIGUOUS] and not t.is_known(self.meta, _hash(origin))

    def hear(self, origin: bytes) -> None:
        """Remember the connection. No trade may wait."""
        t.hear(self.meta, _hash(origin))

    def counts(self, trade: Trade) -> bool:
        """Whether trades of this kind count: those of the kind heard first do."""
        if self.meta[t.KIND] < 0:
            self.meta[t.KIND] = trade.aggregated
        wanted = bool(self.meta[t.KIND] == trade.aggregated)
        self.meta[t.LEFT_OUT] += not wanted
        return wanted

    def passed(self, trade_id: int) -> None:
        """A fill that is no trade has had that id. No trade may wait."""
        if self.meta[t.LAST_ID] == trade_id - 1 and self.meta[t.KIND] == 0:
            self.meta[t.LAST_ID] = trade_id

    def is_finer(self, trade: Trade) -> bool:
        """Whether its price or size has more decimals than the instrument's units."""
        return any(have > self.meta[slot] for slot, have in _written(trade))

    def refine(self, trade: Trade) -> None:
        """Make units as fine as the trade's. No trade may wait. Raises ParseError if those heard before do not fit."""
        for slot, have in _written(trade):
            if not self._fits(slot, have):
                raise ParseError(
                    f"expected a price and a size of the instrument's order, found {trade.price} and {trade.size}"
                )
            self._rescale(slot, have)

    def append(self, trade: Trade, recv_ns: int) -> None:
        """Let a trade wait, whose units fit. Raises ParseError if it cannot be one."""
        if check_time(trade.event_ns, "a trade time") > recv_ns + t.AHEAD_NS:
            raise ParseError(
                f"expected a trade time of before {recv_ns + t.AHEAD_NS}, found {trade.event_ns}"
            )
        ticks = int(trade.price.scaleb(self.meta.item(t.PRICE_DECIMALS)))
        lots = int(trade.size.scaleb(self.meta.item(t.SIZE_DECIMALS)))
        if not (0 < ticks <= t.TICKS_MAX and 0 < lots <= b.LOTS_MAX):
            raise ParseError(
                f"expected a price and a size that units of the instrument can tell, found {trade.price}, {trade.size}"
            )
        side, by = self._side(trade)
        trade_id = trade.trade_id if trade.trade_id < 1 << 63 else trade.trade_id - (1 << 64)
        self.scratch[self.pending] = trade.event_ns, recv_ns, ticks, lots, side, by, trade_id
        self.meta[t.PENDING] += 1

    def _side(self, trade: Trade) -> tuple[int, int]:
        """The side told, or by the quote before; 0 is for the tick rule."""
        if trade.side == "unknown" and self.quote is not None:
            bid, ask = self.quote
            if trade.price >= ask > bid:
                return 1, t.QUOTE
            if trade.price <= bid < ask:
                return -1, t.QUOTE
        return SIGNS[trade.side], t.TOLD

    def _fits(self, slot: int, decimals: int) -> bool:
        most, limit = (
            (t.TICKS_MAX_SEEN, t.TICKS_MAX) if slot == t.PRICE_DECIMALS else (t.LOTS_MAX_SEEN, b.LOTS_MAX)
        )
        finer = max(decimals - self.meta.item(slot), 0)
        return decimals <= instruments.DECIMALS_MAX and self.meta.item(most) * 10**finer <= limit

    def _rescale(self, slot: int, decimals: int) -> None:
        factor = 10 ** max(decimals - self.meta.item(slot), 0)
        self.meta[slot] = max(self.meta[slot], decimals)
        if slot == t.SIZE_DECIMALS:
            self.meta[t.LOTS_MAX_SEEN] *= factor
            return
        self.meta[t.TICKS_MAX_SEEN] *= factor
        if self.meta[t.LAST_TICK] >= 0:
            self.meta[t.LAST_TICK] *= factor

    def make_room(self) -> None:
        """See that the ids of what waits have room."""
        held = int(self.meta[t.SEEN : t.SEEN + 2].max()) + self.pending
        size = self.seen.shape[1]
        while held * 2 > size and size < t.SEEN_MAX:
            size *= 2
        if size > self.seen.shape[1]:
            wider = np.zeros((2, size), np.uint64)
            t.grow(self.seen, wider)
            self.seen = wider

    def open_tape(self, venue: str, ticks: int) -> InstrumentTape:
        """What is made of the prints, begun with the first price."""
        if self.tape is None:
            self.tape = InstrumentTape(self.name, venue, sessions.asset_class(self.name))
            self.row_step = self.row_step or self._agreed(ticks)
            self.tape.set_row_step(self.row_step)
        return self.tape

    def take_rows(self) -> dict[str, Columns]:
        """What was made of the prints since the last call, by table."""
        return {} if self.tape is None else self.tape.rows()

    def _agreed(self, ticks: int) -> Decimal:
        """The height of a row that venues agree on, or one by price."""
        price_decimals = self.meta.item(t.PRICE_DECIMALS)
        price = Decimal(ticks).scaleb(-price_decimals)
        if self.told is None:
            # The digits of one price do not tell the tick: 2684.5 is of 0.01 too.
            agreed = instruments.agreed_bin_step(self.name, Decimal(1).scaleb(-instruments.DECIMALS_MAX))
            return agreed or instruments.bin_step(price, Decimal(1).scaleb(-price_decimals))
        tick = self.told.tick
        return instruments.agreed_bin_step(self.name, tick) or instruments.bin_step(price, tick)

    def dump(self) -> Any:
        """All state. No trade may wait."""
        ids = [row[row != 0].tobytes() for row in self.seen]
        told = None if self.told is None else msgspec.json.encode(self.told)
        quote = None if self.quote is None else [str(x) for x in self.quote]
        step = None if self.row_step is None else str(self.row_step)
        tape = None if self.tape is None else self.tape.dump()
        return self.symbol, self.name, self.meta.tobytes(), ids, told, quote, step, tape

    @classmethod
    def load(cls, state: Any, venue: str) -> "Reading":
        """The instrument that `dump` gave."""
        symbol, name, meta, ids, told, quote, step, tape = state
        made = cls(symbol, name, contiguous=False)
        made.meta[:] = np.frombuffer(meta, np.int64)
        held = [np.frombuffer(row, np.uint64) for row in ids]
        given = np.zeros((2, max(map(len, held))), np.uint64)
        for row, found in zip(given, held, strict=True):
            row[: len(found)] = found
        made.make_room()
        t.grow(given, made.seen)
        made.told = None if told is None else instruments.decode(told)
        made.quote = None if quote is None else (Decimal(quote[0]), Decimal(quote[1]))
        made.row_step = None if step is None else Decimal(step)
        if tape is not None:
            made.tape = InstrumentTape(name, venue, sessions.asset_class(name))
            made.tape.load(tape)
        return made


def _hash(origin: bytes) -> int:
    return int(t.origin_hash(np.frombuffer(origin, np.uint8), 0))


def _written(trade: Trade) -> tuple[tuple[int, int], tuple[int, int]]:
    """Significant decimals of price and size, by their slots of `meta`."""
    return (
        (t.PRICE_DECIMALS, instruments.decimals(trade.price)),
        (t.SIZE_DECIMALS, instruments.decimals(trade.size)),
    )


class TradeRows:
    """Rows of `trades` as arrays, and the prints of one commit at a time."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._ints: Int64s = np.empty((4, ROWS), np.int64)
        self._ids: NDArray[np.uint64] = np.empty(ROWS, np.uint64)
        self._sides: NDArray[np.int8] = np.empty(ROWS, np.int8)
        self._inferred: NDArray[np.bool_] = np.empty(ROWS, np.bool_)
        self._breaks: Int64s = np.empty(ROWS, np.int64)
        self._begin(ROWS)

    def _begin(self, room: int) -> None:
        self._count = 0
        self._names: dict[str, int] = {}
        self._times: Int64s = np.empty((2, room), np.int64)
        self._trade_ids: NDArray[np.uint64] = np.empty(room, np.uint64)
        self._amounts: NDArray[np.float64] = np.empty((2, room), np.float64)
        self._codes: NDArray[np.int32] = np.empty((4, room), np.int32)

    def __len__(self) -> int:
        return self._count

    def commit(self, reading: Reading) -> tuple[Prints, list[int]]:
        """Take what waits of an instrument; its prints, valid until the next call, and before which some may miss."""
        reading.make_room()
        scratch, meta = reading.scratch, reading.meta
        made = self._ints, self._ids, self._sides, self._inferred, self._breaks
        prints, rows, broken = t.commit(meta, scratch, reading.seen, *made)
        if self._count + rows > len(self._trade_ids):
            self._widen()
        name = self._names.setdefault(reading.name, len(self._names))
        arrays = self._times, self._trade_ids, self._amounts, self._codes
        t.store(scratch, rows, meta, name, self._count, *arrays)
        self._count += rows
        times, received, ticks, lots = self._ints[:, :prints]
        found = Prints(
            times, received, ticks, lots, self._sides[:prints], self._inferred[:prints], self._ids[:prints],
            meta.item(t.PRICE_DECIMALS), meta.item(t.SIZE_DECIMALS),
        )  # fmt: skip
        return found, self._breaks[:broken].tolist()

    def _widen(self) -> None:
        count, names = self._count, self._names
        times, ids, amounts, codes = self._times, self._trade_ids, self._amounts, self._codes
        self._begin(2 * len(ids))
        self._count, self._names = count, names
        self._times[:, :count], self._trade_ids[:count] = times[:, :count], ids[:count]
        self._amounts[:, :count], self._codes[:, :count] = amounts[:, :count], codes[:, :count]

    def block(self) -> Block:
        """The rows since the last call."""
        n = self._count
        names, sides, by, aggregated = self._codes[:, :n]
        times, received = self._times[:, :n]
        prices, sizes = self._amounts[:, :n]
        columns = (
            Words(tuple(self._names), names), Words((self._venue,), np.zeros(n, np.int32)), times, self._trade_ids[:n],
            prices, sizes, Words(SIDES, sides), Words(SIDE_BY, by), aggregated.astype(np.bool_), received, received,
        )  # fmt: skip
        self._begin(len(self._trade_ids))
        return Block("trades", dict(zip(COLUMNS, columns, strict=True)))
