"""Bars and trades that were read from files, as they travel on the topic `raw.files`.

A line's origin is `file:<name of the file>`, its payload one batch as JSON: columns of equal length, oldest first. The
record's key is the instrument. What is in a column as None is what the file does not tell.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from connectors.venue import ParseError

TOPIC = "raw.files"
ROWS_MAX = 5_000  # of a batch
ORIGIN = b"file:"


class Bars(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="bars"):
    """Closed bars [open_ns, open_ns + interval_s); volumes in base and quote currency."""

    source: Literal["archive", "import"]
    venue: str
    instrument: str
    interval_s: int
    open_ns: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    volume: Sequence[float | None]
    quote_volume: Sequence[float | None]
    buy_volume: Sequence[float | None]
    trades: Sequence[int | None]


class Trades(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="trades"):
    """Trades; `side` is the aggressor's."""

    source: Literal["archive", "import"]
    venue: str
    instrument: str
    aggregated: bool
    time_ns: Sequence[int]
    trade_id: Sequence[int]
    price: Sequence[float]
    size: Sequence[float]
    side: Sequence[Literal["buy", "sell", "unknown"]]


Batch = Bars | Trades
_DECODER = msgspec.json.Decoder(Batch)


def decode(payload: bytes) -> Batch:
    """The batch of a line.

    Raises:
        ParseError: it is none, or its columns differ in length.
    """
    try:
        found: Batch = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"expected a batch of bars or trades: {error}") from None
    columns = {
        name: len(x) for name in found.__struct_fields__ if isinstance(x := getattr(found, name), list)
    }
    if len(set(columns.values())) != 1:
        raise ParseError(f"expected columns of equal length, found {columns}")
    return found
