"""The tape kernel: the trades of one partition of a raw topic, as rows of `trades`.

A trade is keyed by instrument, venue, time and trade id, so that one heard twice is one row. Venues offer single
fills (`trade`) and fills of one taker order at one price taken together (`aggTrade`); where an instrument's topic
holds both, the kind heard first counts and the other is left out, or volume would double.

Cost: about 8 us a trade, 1 us for another line (Python a line).
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from connectors import instruments, record
from connectors.record import Line, LineError, Record
from connectors.venue import Instrument, Market, ParseError, Route, Trade
from flows.kernels.block import Block

DUMP_VERSION = 1
ROUTE_BYTES = 96  # how far into a payload its stream or event is named
PAYLOAD_HEAD_BYTES = 4096

TABLE_COLUMNS = {
    "trades": (
        "instrument", "venue", "time_ns", "trade_id", "price", "size", "side", "aggregated", "received_ns", "version",
    ),
    "dead_letters": (
        "topic", "partition", "offset", "position", "reason", "detail", "received_ns", "payload", "version",
    ),
}  # fmt: skip


class TapeKernel:
    """All trades of one partition. Pure: its rows depend on the records alone."""

    def __init__(self, market: Market, partition: int) -> None:
        self._market = market
        self._partition = partition
        self._names = tuple(
            name.encode() for name, route in market.wire.routes.items() if route == Route.TRADE
        )
        self._aggregated: dict[str, bool] = {}
        self._instruments: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def on_records(self, records: Iterable[Record]) -> list[Block]:
        """Take records in log order; returns their trades."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLE_COLUMNS}
        for key, offset, body in records:
            at = 0
            try:
                for line in record.decode_lines(body):
                    self._on_line(line, (key, offset, at), rows)
                    at += line.encoded_bytes()
            except LineError:
                # The depth flow reads the same lines and sets aside what is torn.
                self.counts["torn"] += 1
        return [Block.of(table, TABLE_COLUMNS[table], found) for table, found in rows.items() if found]

    def flush(self) -> list[Block]:
        """Nothing is held back."""
        return []

    def summary(self) -> dict[str, Any]:
        """Counters since the kernel began."""
        return {name: self.counts[name] for name in ("trades_stored", "trades_left_out", "dead_letters")}

    def _on_line(
        self, line: Line, where: tuple[bytes, int, int], rows: dict[str, list[tuple[Any, ...]]]
    ) -> None:
        payload = line.payload
        if line.origin == record.INSTRUMENT:
            self._on_instrument(payload)
        elif payload.startswith(b"{") and payload.endswith(b"}") and self._is_trade(payload[:ROUTE_BYTES]):
            try:
                events = self._market.parse(payload)
            except ParseError as error:
                self.counts["dead_letters"] += 1
                rows["dead_letters"].append(self._dead_letter(line, where, str(error)))
                return
            rows["trades"] += [
                self._row(x, line.recv_ns) for x in events if isinstance(x, Trade) and self._counts(x)
            ]

    def _is_trade(self, head: bytes) -> bool:
        return any(name in head for name in self._names)

    def _on_instrument(self, payload: bytes) -> None:
        try:
            found: Instrument = instruments.decode(payload)
        except ParseError:
            return  # set aside by the depth flow
        self._instruments[found.symbol] = found.instrument

    def _counts(self, trade: Trade) -> bool:
        wanted = self._aggregated.setdefault(trade.symbol, trade.aggregated) == trade.aggregated
        self.counts["trades_stored" if wanted else "trades_left_out"] += 1
        return wanted

    def _row(self, trade: Trade, recv_ns: int) -> tuple[Any, ...]:
        instrument = self._instruments.get(trade.symbol) or self._market.canonical(trade.symbol)
        return (
            instrument, self._market.name, trade.event_ns, trade.trade_id, float(trade.price), float(trade.size),
            trade.side, trade.aggregated, recv_ns, recv_ns,
        )  # fmt: skip

    def _dead_letter(self, line: Line, where: tuple[bytes, int, int], detail: str) -> tuple[Any, ...]:
        _, offset, position = where
        head = line.payload[:PAYLOAD_HEAD_BYTES].decode("utf-8", "replace")
        return (
            self._market.topic, self._partition, offset, position, "malformed trade", detail[:500], line.recv_ns, head,
            line.recv_ns,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All state."""
        return msgspec.msgpack.encode((DUMP_VERSION, self._aggregated, self._instruments, dict(self.counts)))

    def load(self, state: bytes) -> None:
        """Take the state that `dump` gave. Raises ValueError if another version of this kernel wrote it."""
        version, *rest = msgspec.msgpack.decode(state)
        if version != DUMP_VERSION:
            raise ValueError(
                f"expected kernel state of version {DUMP_VERSION}, found {version}: "
                "remove the flow's recovery directory to rebuild from the raw topic"
            )
        self._aggregated, self._instruments, counts = rest
        self.counts = Counter(counts)
