"""The tape kernel: the trades of one partition of a raw topic as rows, its prices without trades, bars, derivatives.

A trade is keyed by instrument, venue, time and trade id, so that one heard twice is one row. Venues offer single
fills (`trade`) and fills of one taker order at one price taken together (`aggTrade`); where an instrument's topic
holds both, the kind heard first counts and the other is left out, or volume would double.

A source that tells prices without sizes fills `prices`; they never count as volume. Bars that the venue tells, and
bars made of prices, fill `bars` once they are over (`flows.kernels.bars`). Liquidations, and what else futures tell,
are the affair of `flows.kernels.derivatives`.

Cost: about 8 us a trade (Python a line); other lines are passed over by the compiled router of the depth kernel, in
0.1 us where the first key names the kind, else in the time its bytes take (1 to 2 GB/s).
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from connectors import instruments, record
from connectors.record import Line, LineError, Record
from connectors.venue import Bar, Event, Instrument, Market, ParseError, Price, Trade
from flows.kernels import bars
from flows.kernels import book as b
from flows.kernels.block import Block
from flows.kernels.depth import compact, wire_array
from flows.kernels.derivatives import TABLE_COLUMNS as DERIVATIVE_COLUMNS
from flows.kernels.derivatives import Derivatives

DUMP_VERSION = 2
PAYLOAD_HEAD_BYTES = 4096
TORN = b"torn"  # stands for the origin of what is no line

TABLE_COLUMNS = {
    "trades": (
        "instrument", "venue", "time_ns", "trade_id", "price", "size", "side", "side_by",
        "aggregated", "received_ns", "version",
    ),
    "prices": ("instrument", "venue", "time_ns", "price", "bid", "ask", "received_ns", "version"),
    "bars": bars.COLUMNS,
    **DERIVATIVE_COLUMNS,
    "dead_letters": (
        "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
    ),
}  # fmt: skip


class TapeKernel:
    """All trades of one partition. Pure: its rows depend on the records alone."""

    def __init__(self, market: Market, partition: int) -> None:
        self._market = market
        self._partition = partition
        self._wire = wire_array(market)
        self._aggregated: dict[str, bool] = {}
        self._instruments: dict[str, str] = {}
        self._stream_bars, self._price_bars = bars.StreamBars(market.name), bars.PriceBars(market.name)
        self._derivatives = Derivatives(market.name, self._name)
        self.counts: Counter[str] = Counter()

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns their trades."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLE_COLUMNS}
        for key, offset, body in records:
            for at, line in self._lines(body):
                self._on_line(line, (key, offset, at), rows)
        return [Block.of(table, TABLE_COLUMNS[table], found) for table, found in rows.items() if found]

    def flush(self) -> list[Block]:
        """Nothing is held back."""
        return []

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began."""
        names = (
            "trades_stored", "trades_left_out", "prices_stored", "bars_stored", "liquidations_stored",
            "derivatives_stored", "dead_letters",
        )  # fmt: skip
        return {name: self.counts[name] for name in names} | {"prices_left_out": self._price_bars.left_out}

    def _lines(self, body: bytes) -> Iterator[tuple[int, Line]]:
        """The lines that may hold trades or prices, control lines, and where each stands in the record.

        The depth flow sets aside what is torn or of no known kind; a market without books has none, so all lines come.
        """
        at = 0
        try:
            for at in self._starts(body) if self._market.has_book else _starts(body):
                yield at, next(record.decode_lines(body, at))
        except LineError:
            self.counts["torn"] += 1
            if not self._market.has_book:
                yield at, Line(0, TORN, body[at:])

    def _starts(self, body: bytes) -> Iterator[int]:
        """Where the lines for the tape begin, as the compiled router finds them. Raises LineError."""
        buf, at = np.frombuffer(body, np.uint8), 0
        while at < len(body):
            code, start, at = b.next_for_tape(buf, at, self._wire)
            if code in (b.TRADES, b.CONTROL, b.TORN) or (
                code == b.UNKNOWN and self._is_spaced_trade(body, start)
            ):
                yield start

    def _is_spaced_trade(self, body: bytes, start: int) -> bool:
        """Whether the line is for the tape once its white space is gone. Raises LineError."""
        line = next(record.decode_lines(body, start))
        payload = compact(line.payload)
        if payload == line.payload:
            return False
        bare = record.encode_line(line.recv_ns, line.origin, payload)
        return bool(b.next_for_tape(np.frombuffer(bare, np.uint8), 0, self._wire)[0] == b.TRADES)

    def _on_line(
        self, line: Line, where: tuple[bytes, int, int], rows: dict[str, list[tuple[Any, ...]]]
    ) -> None:
        if line.origin.startswith(b"!"):
            if line.origin == record.INSTRUMENT:
                self._on_instrument(line.payload)
            return
        self._price_bars.heard(line.origin, line.recv_ns)
        try:
            self._take(line, rows)
        except ParseError as error:
            self.counts["dead_letters"] += 1
            rows["dead_letters"].append(self._dead_letter(line, where, str(error)))

    def _take(self, line: Line, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Raises ParseError, the first of several, once the line's other events are taken."""
        refused: list[ParseError] = []
        for event in self._market.parse(line.payload):
            try:
                self._on_event(event, line, rows)
            except ParseError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    def _on_event(self, event: Event, line: Line, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        found: Iterable[tuple[Any, ...]]
        if isinstance(event, Trade):
            if self._counts(event):
                rows["trades"].append(self._row(event, line.recv_ns))
            return
        if isinstance(event, Price):
            self.counts["prices_stored"] += 1
            rows["prices"].append(self._price_row(event, line.recv_ns))
            found = self._price_bars.on_price(event, self._name(event.symbol), line.origin, line.recv_ns)
        elif isinstance(event, Bar):
            found = self._stream_bars.on_bar(event, self._name(event.symbol), line.origin, line.recv_ns)
        else:
            for table, row in self._derivatives.on_event(event, line):
                rows[table].append(row)
                self.counts[f"{table}_stored"] += 1
            return
        before = len(rows["bars"])
        rows["bars"] += found
        self.counts["bars_stored"] += len(rows["bars"]) - before

    def _on_instrument(self, payload: bytes) -> None:
        try:
            found: Instrument = instruments.decode(payload)
        except ParseError:
            return  # set aside by the depth flow
        self._instruments[found.symbol] = found.instrument
        self._stream_bars.forget(found.symbol)

    def _counts(self, trade: Trade) -> bool:
        wanted = self._aggregated.setdefault(trade.symbol, trade.aggregated) == trade.aggregated
        self.counts["trades_stored" if wanted else "trades_left_out"] += 1
        return wanted

    def _name(self, symbol: str) -> str:
        return self._instruments.get(symbol) or self._market.canonical(symbol)

    def _price_row(self, price: Price, recv_ns: int) -> tuple[Any, ...]:
        bid, ask = (math.nan if x is None else float(x) for x in (price.bid, price.ask))
        name = self._name(price.symbol)
        return name, self._market.name, price.event_ns, float(price.price), bid, ask, recv_ns, recv_ns

    def _row(self, trade: Trade, recv_ns: int) -> tuple[Any, ...]:
        return (
            self._name(trade.symbol), self._market.name, trade.event_ns, trade.trade_id, float(trade.price),
            float(trade.size), trade.side, trade.side_by, trade.aggregated, recv_ns, recv_ns,
        )  # fmt: skip

    def _dead_letter(self, line: Line, where: tuple[bytes, int, int], detail: str) -> tuple[Any, ...]:
        _, offset, position = where
        head = line.payload[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            self._market.topic, self._partition, offset, position, "malformed message", detail[:500], line.recv_ns,
            head, line.recv_ns,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All state."""
        made = self._stream_bars.dump(), self._price_bars.dump(), self._derivatives.dump()
        state = DUMP_VERSION, self._aggregated, self._instruments, dict(self.counts), *made
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave, or that of version 1, which had no bars.

        Raises:
            ValueError: another version of this kernel wrote it.
        """
        version, *rest = msgspec.msgpack.decode(state)
        if version not in (1, DUMP_VERSION):
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the raw topic"
            )
        self._aggregated, self._instruments, counts, *made = rest
        if made:
            self._stream_bars.load(made[0])
            self._price_bars.load(made[1])
        if len(made) > 2:
            self._derivatives.load(made[2])
        self.counts = Counter(counts)


def _starts(body: bytes) -> Iterator[int]:
    """Where each line begins, and what is none after the last."""
    at = 0
    while at < len(body):
        yield at
        at += next(record.decode_lines(body, at)).encoded_bytes()
