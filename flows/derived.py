"""What flows give to derived topics, the same whichever flow made the rows.

Measures without arrays to `features`, bars to `bars`, what was set aside to `dead_letter`. A message is an array of
maps in msgpack; what is not known is null.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from connectors.log import BARS, DEAD_LETTER, FEATURES
from flows.kernels.block import Block
from flows.kernels.rollup import TABLES
from flows.runtime.sink import Message

TOPICS = (BARS, DEAD_LETTER, FEATURES)
ARRAYS = ("bid", "ask")
BARS_MAX = 1000  # of a message: some 300 KB
_INTERVALS = {table: interval_s for interval_s, table in TABLES.items()}


def messages(blocks: Iterable[Block]) -> list[Message]:
    """The messages of blocks; those of bars hold one instrument each."""
    out = []
    bars: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for block in blocks:
        if block.table in _INTERVALS:
            out += [_feature(_INTERVALS[block.table], row) for row in _maps(block)]
        elif block.table == "bars":
            for row in _maps(block):
                bars[row["instrument"]].append(_known(row))
        elif block.table == "dead_letters":
            out += [
                Message(DEAD_LETTER, row["topic"].encode(), [row], row["received_ns"]) for row in _maps(block)
            ]
    for instrument, rows in bars.items():
        for at in range(0, len(rows), BARS_MAX):
            part = rows[at : at + BARS_MAX]
            out.append(Message(BARS, instrument.encode(), part, max(row["version"] for row in part)))
    return out


def _maps(block: Block) -> Iterator[dict[str, Any]]:
    names = [name for name in block.columns if name not in ARRAYS]
    for row in zip(*(block.columns[name] for name in names), strict=True):
        yield dict(zip(names, row, strict=True))


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in row.items()}


def _feature(interval_s: int, measures: dict[str, Any]) -> Message:
    known = _known(measures)
    time_ns = known.pop("time") * 1_000_000_000
    row = {"kind": "depth", "interval_s": interval_s, "time_ns": time_ns, **known}
    return Message(FEATURES, known["instrument"].encode(), [row], known["version"])
