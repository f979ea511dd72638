"""What flows give to derived topics, the same whichever flow made the rows.

Rows of `FEATURES_OF` to `features`, each with its `kind`, depth without its arrays; bars to `bars`, what was set aside
to `dead_letter`. A message is an array of maps in msgpack, of one instrument; what is not known is null.
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
ARRAYS = ("bid", "ask")  # of depth
ROWS_MAX = 1000  # of a message: some 300 KB
FEATURES_OF = {  # table -> kind
    "order_flow": "order_flow",
    "profiles": "profile",
    "walls": "wall",
    "liquidity_events": "liquidity_event",
    "liquidations": "liquidation",
    "derivatives": "derivative",
    "levels": "level",
}
FLOW_S_MIN = 60  # order flow of shorter bars is for boards
_INTERVALS = {table: interval_s for interval_s, table in TABLES.items()}


def messages(blocks: Iterable[Block]) -> list[Message]:
    """The messages of blocks; those of bars and features hold one instrument each."""
    out: list[Message] = []
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for block in blocks:
        if block.table == "dead_letters":
            out += [
                Message(DEAD_LETTER, row["topic"].encode(), [row], row["received_ns"]) for row in _maps(block)
            ]
        elif block.table == "bars":
            for row in _maps(block):
                rows[BARS, row["instrument"]].append(_known(row))
        else:
            for row in _features(block):
                rows[FEATURES, row["instrument"]].append(row)
    for (topic, instrument), found in rows.items():
        for at in range(0, len(found), ROWS_MAX):
            part = found[at : at + ROWS_MAX]
            out.append(Message(topic, instrument.encode(), part, max(row["version"] for row in part)))
    return out


def _features(block: Block) -> Iterator[dict[str, Any]]:
    if block.table in _INTERVALS:
        yield from (_depth(_INTERVALS[block.table], row) for row in _maps(block))
    elif kind := FEATURES_OF.get(block.table):
        for row in _maps(block):
            if kind != "order_flow" or row["interval_s"] >= FLOW_S_MIN:
                yield {"kind": kind, **_known(row)}


def _maps(block: Block) -> Iterator[dict[str, Any]]:
    names = [name for name in block.columns if name not in ARRAYS]
    for row in zip(*(block.columns[name] for name in names), strict=True):
        yield dict(zip(names, row, strict=True))


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in row.items()}


def _depth(interval_s: int, measures: dict[str, Any]) -> dict[str, Any]:
    known = _known(measures)
    time_ns = known.pop("time") * 1_000_000_000
    return {"kind": "depth", "interval_s": interval_s, "time_ns": time_ns, **known}
