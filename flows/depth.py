"""The depth flow: raw topics -> order books -> depth columns, measures and events.

    log -> books (flows.kernels.depth, one kernel a partition) -> store: rows of every table
                                                               -> topics: `features`, `dead_letter`

Recovery is Bytewax's own: at each epoch the source's offset and the kernel's dump go to the recovery store.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.log import DEAD_LETTER, FEATURES, Log
from connectors.venue import market, markets
from flows.kernels.block import Block
from flows.kernels.depth import DepthKernel
from flows.kernels.rollup import TABLES
from flows.runtime.logic import Kernel, KernelLogic
from flows.runtime.sink import Message, StoreSink, TopicSink
from flows.runtime.source import LogSource
from sql.client import Store

NAME = "depth"
RAW = "raw."
ARRAYS = ("bid", "ask")


def raw_parts(log: Log) -> list[tuple[str, int]]:
    """The partitions of every raw topic of a known market, in a fixed order."""
    known = {x.topic for x in markets().values()}
    return [(topic, p) for topic, n in sorted(log.topics().items()) if topic in known for p in range(n)]


@dataclass(frozen=True, slots=True)
class Running:
    """A kernel at work, and what its summary was when the flow began."""

    kernel: Kernel
    began: dict[str, Any]


def get_flow(
    log: Log,
    store: Store,
    parts: list[tuple[str, int]],
    *,
    follow: bool = True,
    running: dict[tuple[str, int], Running] | None = None,
) -> Dataflow:
    """The dataflow over `parts` (topic, partition) of `log` into `store`.

    Without `follow` it ends at the log's end. `running`, if given, receives the kernel of each partition.
    """

    def make(topic: str, partition: int, state: bytes | None) -> DepthKernel:
        kernel = DepthKernel(market(topic.removeprefix(RAW)), partition)
        if state is not None:
            kernel.load(state)
        if running is not None:
            running[topic, partition] = Running(kernel, kernel.summary())
        return kernel

    flow = Dataflow(NAME)
    polls = op.input("log", flow, LogSource(log, parts, f"isotherm.{NAME}", follow=follow))
    keyed = op.stateful_batch("books", polls, lambda state: KernelLogic(make, state))
    blocks = op.map("rows", keyed, _without_key)
    op.output("store", blocks, StoreSink(store))
    op.output("topics", op.flat_map("derived", blocks, messages), TopicSink(log))
    return flow


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


def _without_key(item: tuple[str, list[Block]]) -> list[Block]:
    return item[1]
