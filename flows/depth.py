"""The depth flow: raw topics -> order books -> depth columns, measures and events.

Rows of `depth_1s`, `depth_10s`, `depth_1m`, `book_events`, `instruments` and `dead_letters` to the store; measures to
topic `features`, what was set aside to topic `dead_letter`.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from connectors.log import DEAD_LETTER, FEATURES
from flows.kernels.block import Block
from flows.kernels.depth import DepthKernel
from flows.kernels.rollup import TABLES
from flows.runtime.dataflow import Flow, of_markets
from flows.runtime.sink import Message

ARRAYS = ("bid", "ask")


def messages(blocks: Iterable[Block]) -> list[Message]:
    """What goes to derived topics: measures without arrays to `features`, dead letters to `dead_letter`."""
    out = []
    for block in blocks:
        if block.table in _INTERVALS:
            out += [_feature(_INTERVALS[block.table], row) for row in _maps(block)]
        elif block.table == "dead_letters":
            out += [
                Message(DEAD_LETTER, row["topic"].encode(), [row], row["received_ns"]) for row in _maps(block)
            ]
    return out


def _maps(block: Block) -> Iterator[dict[str, Any]]:
    names = [name for name in block.columns if name not in ARRAYS]
    for row in zip(*(block.columns[name] for name in names), strict=True):
        yield dict(zip(names, row, strict=True))


_INTERVALS = {table: interval_s for interval_s, table in TABLES.items()}


def _feature(interval_s: int, measures: dict[str, Any]) -> Message:
    known: dict[str, Any] = {
        name: None if isinstance(x, float) and math.isnan(x) else x for name, x in measures.items()
    }
    time_ns = known.pop("time") * 1_000_000_000
    row = {"kind": "depth", "interval_s": interval_s, "time_ns": time_ns, **known}
    return Message(FEATURES, known["instrument"].encode(), [row], known["version"])


FLOW = Flow("depth", of_markets(DepthKernel, lambda market: market.has_book), messages)
