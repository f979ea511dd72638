"""The files kernel: batches of bars and trades that were read from files, as rows of `bars` and `trades`."""

import math
from collections.abc import Sequence
from typing import Any

from connectors import batch
from connectors.batch import ORIGIN, TOPIC
from connectors.record import Line
from connectors.venue import ParseError, side_by
from flows.kernels.bars import COLUMNS, INTERVAL_S_MAX
from flows.kernels.block import Block
from flows.kernels.lines import LineKernel, check_name, check_time

TRADE_ID_MAX = 2**64 - 1
COUNT_MAX = 2**63 - 1


class FilesKernel(LineKernel):
    """The batches of one partition of `raw.files`."""

    reason = "malformed batch"

    def __init__(self, partition: int) -> None:
        super().__init__(TOPIC, partition)

    def blocks_of(self, line: Line) -> list[Block]:
        """The rows of a batch. Raises ParseError if it is none, or holds numbers that the store cannot."""
        if not line.origin.startswith(ORIGIN):
            raise ParseError(f"expected an origin {ORIGIN.decode()}NAME, found {line.origin[:80]!r}")
        found = batch.decode(line.payload)
        check_name(found.instrument, "an instrument")
        check_name(found.venue, "a venue")
        if isinstance(found, batch.Bars):
            return [_bars(found, line.recv_ns)] if found.open_ns else []
        return [_trades(found, line.recv_ns)] if found.time_ns else []


def _bars(found: batch.Bars, recv_ns: int) -> Block:
    if not 0 < found.interval_s <= INTERVAL_S_MAX:
        raise ParseError(f"expected an interval from 1 to {INTERVAL_S_MAX} s, found {found.interval_s}")
    _check_times(found.open_ns)
    _check_range([x for x in found.trades if x is not None], COUNT_MAX, "numbers of trades")
    count = len(found.open_ns)
    columns: dict[str, list[Any]] = {
        "instrument": [found.instrument] * count, "venue": [found.venue] * count,
        "interval_s": [found.interval_s] * count, "source": [found.source] * count,
        "open_ns": list(found.open_ns), "open": list(found.open), "high": list(found.high), "low": list(found.low),
        "close": list(found.close), "volume": _floats(found.volume), "quote_volume": _floats(found.quote_volume),
        "buy_volume": _floats(found.buy_volume), "trades": list(found.trades), "received_ns": [recv_ns] * count,
        "version": [recv_ns] * count,
    }  # fmt: skip
    return Block("bars", {name: columns[name] for name in COLUMNS})


def _trades(found: batch.Trades, recv_ns: int) -> Block:
    _check_times(found.time_ns)
    _check_range(found.trade_id, TRADE_ID_MAX, "trade ids")
    count = len(found.time_ns)
    return Block(
        "trades",
        {
            "instrument": [found.instrument] * count, "venue": [found.venue] * count, "time_ns": list(found.time_ns),
            "trade_id": list(found.trade_id), "price": list(found.price), "size": list(found.size),
            "side": list(found.side), "side_by": list(map(side_by, found.side)),
            "aggregated": [found.aggregated] * count, "received_ns": [recv_ns] * count,
            "version": [recv_ns] * count,
        },
    )  # fmt: skip


def _check_times(times_ns: Sequence[int]) -> None:
    check_time(min(times_ns), "times")
    check_time(max(times_ns), "times")


def _check_range(numbers: Sequence[int], most: int, what: str) -> None:
    if numbers and not (min(numbers) >= 0 and max(numbers) <= most):
        raise ParseError(f"expected {what} from 0 to {most}, found {min(numbers)} to {max(numbers)}")


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if x is None else x for x in values]
