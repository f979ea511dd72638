"""The tape kernel: the trades of one partition of a raw topic as rows, what is made of them, prices, bars, derivatives.

A trade is keyed by instrument, venue, time and trade id, so that one heard twice is one row. Venues offer single
fills (`trade`) and fills of one taker order at one price taken together (`aggTrade`); where an instrument's topic
holds both, the kind heard first counts and the other is left out, or volume would double. Each `!instrument` line, as a
connector that begins tells one, lets that be decided anew.

Trades go from lines to arrays compiled (`flows.kernels.trades`), what is written in an unusual way by `Market.parse`.
A trade counts once; one that comes more than a minute late is a row of `trades` and nothing else. Whose aggressor no
venue tells is classified by the best quote before it, else by the last change of price. What is made of them is the
affair of `flows.kernels.order_flow`.

A source that tells prices without sizes fills `prices`; they never count as volume. Bars that the venue tells, and
bars made of prices, fill `bars` once they are over (`flows.kernels.bars`). Liquidations, and what else futures tell,
are the affair of `flows.kernels.derivatives`.

Cost: 0.6 us a trade up to all its rows, 14 us one that is written unusually; other lines are passed over by the
compiled router of the depth kernel, in 0.1 us where the first key names the kind, else in the time its bytes take (1
to 2 GB/s).
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from connectors import instruments, record
from connectors.record import Line, LineError, Record
from connectors.venue import MALFORMED, Bar, BestQuote, Event, Market, ParseError, Price, Trade
from flows.kernels import bars, order_flow, reading
from flows.kernels import book as b
from flows.kernels import trades as t
from flows.kernels.block import Block
from flows.kernels.depth import compact, wire_array
from flows.kernels.derivatives import TABLE_COLUMNS as DERIVATIVE_COLUMNS
from flows.kernels.derivatives import Derivatives
from flows.kernels.reading import Reading, TradeRows
from flows.kernels.trade_spec import trade_spec

DUMP_VERSION = 3
PAYLOAD_HEAD_BYTES = 4096
GRACE_NS = 250_000_000  # what trades may come behind the clock
SECOND_NS = 10**9  # all intervals are of whole seconds
TORN = b"torn"  # stands for the origin of what is no line

TABLE_COLUMNS = {
    "trades": reading.COLUMNS,
    "prices": ("instrument", "venue", "time_ns", "price", "bid", "ask", "received_ns", "version"),
    **order_flow.TABLE_COLUMNS,
    **DERIVATIVE_COLUMNS,
    "dead_letters": (
        "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
    ),
}  # fmt: skip

Rows = dict[str, list[tuple[Any, ...]]]


class _Clock(msgspec.Struct):
    time_ns: int


class _Where(NamedTuple):
    """A line's place in its partition."""

    offset: int
    position: int


class TapeKernel:
    """All trades of one partition. Pure: its rows depend on the records alone, not on how they are grouped."""

    def __init__(self, market: Market, partition: int) -> None:
        self._market = market
        self._partition = partition
        self._wire, self._spec = wire_array(market), trade_spec(market)
        self._contiguous = any(wire.contiguous for wire in market.trades)
        self._readings: dict[str, Reading] = {}
        self._heard: dict[str, Reading] = {}  # those that this call has told something
        self._of_old_names: list[dict[str, order_flow.Columns]] = []
        self._trades = TradeRows(market.name)
        self._rows: Rows = {}
        self._told_ns = 0  # by `!clock`, whole seconds
        self._stream_bars, self._price_bars = bars.StreamBars(market.name), bars.PriceBars(market.name)
        self._derivatives = Derivatives(market.name, self._name)
        self.counts: Counter[str] = Counter()

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns the rows that are finished."""
        self._rows, self._heard, self._of_old_names = {table: [] for table in TABLE_COLUMNS}, {}, []
        for key, offset, body in records:
            heard = self._reading(key.decode("utf-8", "replace"))
            self._on_record(heard, offset, body)
            if heard.pending:
                self._heard[heard.symbol] = heard
        for heard in self._heard.values():
            self._commit(heard)
        blocks = [self._trades.block()] if len(self._trades) else []
        self.counts["trades_stored"] += sum(map(len, blocks))
        blocks += [
            Block.of(table, TABLE_COLUMNS[table], found) for table, found in self._rows.items() if found
        ]
        return blocks + self._made()

    def flush(self) -> list[Block]:
        """Nothing is held back."""
        return []

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began."""
        names = [f"{table}_stored" for table in TABLE_COLUMNS if table != "dead_letters"] + ["dead_letters"]
        slots = {
            "trades_left_out": t.LEFT_OUT,
            "trades_too_late": t.TOO_LATE,
            "trades_repeated": t.DUPLICATES,
            "trades_missed": t.MISSED,
        }
        told = {name: sum(x.meta.item(slot) for x in self._readings.values()) for name, slot in slots.items()}
        return (
            {name: self.counts[name] for name in names}
            | told
            | {"prices_left_out": self._price_bars.left_out}
        )

    # Lines.

    def _on_record(self, heard: Reading, offset: int, body: bytes) -> None:
        buf, at = np.frombuffer(body, np.uint8), 0
        while True:
            code, start, at = t.scan(buf, at, self._wire, self._spec, heard.key, heard.meta, heard.scratch)
            if code == t.END:
                return
            if code == t.FULL:
                self._commit(heard)
            elif code == t.TORN:
                self._on_torn(body, _Where(offset, start))
                return
            else:
                try:
                    if code != t.UNKNOWN or self._is_spaced(body, start):
                        self._on_line(next(record.decode_lines(body, start)), _Where(offset, start))
                except LineError:
                    self._on_torn(body, _Where(offset, start))
                    return

    def _on_torn(self, body: bytes, where: _Where) -> None:
        """The depth flow sets aside what is torn or of no known kind; a market without books has none."""
        self.counts["torn"] += 1
        if not self._market.has_book:
            self._on_line(Line(0, TORN, body[where.position :]), where)

    def _is_spaced(self, body: bytes, start: int) -> bool:
        """Whether the line is for the tape once its white space is gone."""
        line = next(record.decode_lines(body, start))
        payload = compact(line.payload)
        if payload == line.payload:
            return False
        bare = record.encode_line(line.recv_ns, line.origin, payload)
        return bool(b.next_for_tape(np.frombuffer(bare, np.uint8), 0, self._wire)[0] == b.TRADES)

    def _on_line(self, line: Line, where: _Where) -> None:
        if line.origin.startswith(b"!"):
            if line.origin == record.INSTRUMENT:
                self._on_instrument(line.payload)
            elif line.origin == record.CLOCK:
                self._on_clock(line)
            return
        self._price_bars.heard(line.origin, line.recv_ns)
        try:
            self._take(line)
        except ParseError as error:
            self.counts["dead_letters"] += 1
            self._rows["dead_letters"].append(self._dead_letter(line, where, str(error)))

    def _take(self, line: Line) -> None:
        """Raises ParseError, the first of several, once the line's other events are taken."""
        refused: list[ParseError] = []
        events = self._market.parse(line.payload)
        for event in events:
            try:
                self._on_event(event, line)
            except ParseError as error:
                refused.append(error)
        if not events and self._contiguous:
            self._on_none(line)
        if refused:
            raise refused[0]

    def _on_event(self, event: Event, line: Line) -> None:
        found: Iterable[tuple[Any, ...]]
        if isinstance(event, Trade):
            self._on_trade(event, line)
            return
        if isinstance(event, Price):
            self.counts["prices_stored"] += 1
            self._rows["prices"].append(self._price_row(event, line.recv_ns))
            found = self._price_bars.on_price(event, self._name(event.symbol), line.origin, line.recv_ns)
        elif isinstance(event, Bar):
            found = self._stream_bars.on_bar(event, self._name(event.symbol), line.origin, line.recv_ns)
        elif isinstance(event, BestQuote):
            self._reading(event.symbol).quote = event.bid, event.ask
            return
        else:
            for table, row in self._derivatives.on_event(event, line):
                self._rows[table].append(row)
                self.counts[f"{table}_stored"] += 1
            return
        before = len(self._rows["bars"])
        self._rows["bars"] += found
        self.counts["bars_stored"] += len(self._rows["bars"]) - before

    # Trades.

    def _on_trade(self, trade: Trade, line: Line) -> None:
        """Take a trade that `parse` gave. Raises ParseError for one that cannot be."""
        heard = self._reading(trade.symbol)
        is_news, is_finer = heard.is_news(line.origin), heard.is_finer(trade)
        if heard.is_full or is_news or is_finer:
            self._commit(heard)
        if is_news:
            heard.hear(line.origin)
        if heard.counts(trade):
            if is_finer:
                heard.refine(trade)
            heard.append(trade, line.recv_ns)
            self._heard[heard.symbol] = heard

    def _on_none(self, line: Line) -> None:
        """A fill that is no trade, such as one of the insurance fund, has an id of the venue's trades all the same."""
        head = self._market.live.head(line.payload)
        symbol = (self._market.key_of(line.payload) or b"").decode("utf-8", "replace")
        if head.first_id >= 0 and head.first_id == head.last_id and symbol in self._readings:
            heard = self._reading(symbol)
            self._commit(heard)
            heard.passed(head.first_id)

    def _commit(self, heard: Reading) -> None:
        """Take what waits of an instrument to the rows and to what is made of it."""
        if not heard.pending:
            return
        prints, breaks = self._trades.commit(heard)
        if not len(prints):
            return
        self._heard[heard.symbol] = heard
        tape = heard.open_tape(self._market.name, prints.price_ticks.item(0))
        begin = 0
        for at in breaks:
            if at > begin:
                tape.take(prints.part(begin, at))
            tape.missed(prints.recv_ns.item(at))
            begin = at
        tape.take(prints.part(begin, len(prints)))

    def _on_instrument(self, payload: bytes) -> None:
        try:
            found = instruments.decode(payload)
        except ParseError:
            return  # set aside by the depth flow
        heard = self._reading(found.symbol)
        self._commit(heard)
        if found.instrument != heard.name:
            self._of_old_names.append(heard.take_rows())
        heard.describe(found)
        self._stream_bars.forget(found.symbol)

    def _on_clock(self, line: Line) -> None:
        try:
            time_ns = msgspec.json.decode(line.payload, type=_Clock).time_ns
        except MALFORMED:
            return  # set aside by the depth flow
        until_ns = (time_ns - GRACE_NS) // SECOND_NS * SECOND_NS
        if until_ns <= self._told_ns or time_ns > line.recv_ns + t.AHEAD_NS:
            return
        self._told_ns = until_ns
        for heard in self._readings.values():
            self._commit(heard)
            if heard.tape is not None:
                heard.tape.on_clock(time_ns, line.recv_ns)
                self._heard[heard.symbol] = heard

    def _made(self) -> list[Block]:
        """What is made of trades since the last call."""
        tables: dict[str, list[list[Any]]] = {}
        for made in (*self._of_old_names, *(heard.take_rows() for heard in self._heard.values())):
            for table, columns in made.items():
                held = tables.setdefault(table, [[] for _ in columns])
                for at, values in enumerate(columns):
                    held[at] += values
        for table, columns in tables.items():
            self.counts[f"{table}_stored"] += len(columns[0])
        return [
            Block(table, dict(zip(TABLE_COLUMNS[table], columns, strict=True)))
            for table, columns in tables.items()
        ]

    def _reading(self, symbol: str) -> Reading:
        found = self._readings.get(symbol)
        if found is None:
            name = self._market.canonical(symbol)
            found = self._readings[symbol] = Reading(symbol, name, contiguous=self._contiguous)
        return found

    def _name(self, symbol: str) -> str:
        found = self._readings.get(symbol)
        return self._market.canonical(symbol) if found is None else found.name

    def _price_row(self, price: Price, recv_ns: int) -> tuple[Any, ...]:
        bid, ask = (math.nan if x is None else float(x) for x in (price.bid, price.ask))
        name = self._name(price.symbol)
        return name, self._market.name, price.event_ns, float(price.price), bid, ask, recv_ns, recv_ns

    def _dead_letter(self, line: Line, where: _Where, detail: str) -> tuple[Any, ...]:
        head = line.payload[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            self._market.topic, self._partition, where.offset, where.position, "malformed message", detail[:500],
            line.recv_ns, head, line.recv_ns,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All state."""
        made = self._stream_bars.dump(), self._price_bars.dump(), self._derivatives.dump()
        readings = [heard.dump() for heard in self._readings.values()]
        return msgspec.msgpack.encode((DUMP_VERSION, self._told_ns, dict(self.counts), *made, readings))

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave.

        Raises:
            ValueError: another version of this kernel wrote it.
        """
        version, *rest = msgspec.msgpack.decode(state)
        if version != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the raw topic"
            )
        self._told_ns, counts, stream_bars, price_bars, derivatives, readings = rest
        self.counts = Counter(counts)
        self._stream_bars.load(stream_bars)
        self._price_bars.load(price_bars)
        self._derivatives.load(derivatives)
        found = [Reading.load(state, self._market.name) for state in readings]
        self._readings = {heard.symbol: heard for heard in found}
