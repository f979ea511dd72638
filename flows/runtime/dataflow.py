"""What all flows over raw topics share: a kernel a partition between the log and where rows go.

    log -> kernels -> store: rows of every table
                   -> derived topics

Recovery is Bytewax's own: at each epoch the source's offset and the kernel's dump go to the recovery store.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.log import DEAD_LETTER, FEATURES, Log, Retention
from connectors.venue import Market, market, markets
from flows.kernels.block import Block
from flows.runtime.logic import Kernel, KernelLogic
from flows.runtime.sink import Message, StoreSink, TopicSink
from flows.runtime.source import LogSource
from sql.client import Store

Parts = list[tuple[str, int]]  # topic and partition

# Derived topics are made again from raw ones: they are for flows that follow, not for keeping.
DERIVED_RETENTION = Retention(age_s_max=7 * 86_400)


def raw_parts(log: Log) -> Parts:
    """The partitions of every raw topic of a known market, in a fixed order."""
    known = _market_by_topic()
    return [(topic, p) for topic, n in sorted(log.topics().items()) if topic in known for p in range(n)]


@dataclass(frozen=True, slots=True)
class Running:
    """A kernel at work, and what its summary was when the flow began."""

    kernel: Kernel
    began: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawFlow:
    """A flow over raw topics: its name, its kernel, and what its rows become on derived topics."""

    name: str
    kernel: Callable[[Market, int], Kernel]
    messages: Callable[[Iterable[Block]], list[Message]]

    def dataflow(
        self,
        log: Log,
        store: Store,
        parts: Parts,
        *,
        follow: bool = True,
        running: dict[tuple[str, int], Running] | None = None,
    ) -> Dataflow:
        """The dataflow over `parts` of `log` into `store`; derived topics that are missing are made.

        Without `follow` it ends at the log's end. `running`, if given, receives the kernel of each partition.
        """
        markets_by_topic = _market_by_topic()
        for topic in (FEATURES, DEAD_LETTER):
            log.create(topic, max(log.topics()[raw] for raw, _ in parts), DERIVED_RETENTION)

        def make(topic: str, partition: int, state: bytes | None) -> Kernel:
            kernel = self.kernel(markets_by_topic[topic], partition)
            if state is not None:
                kernel.load(state)
            if running is not None:
                running[topic, partition] = Running(kernel, kernel.summary())
            return kernel

        flow = Dataflow(self.name)
        polls = op.input("log", flow, LogSource(log, parts, f"isotherm.{self.name}", follow=follow))
        keyed = op.stateful_batch("kernel", polls, lambda state: KernelLogic(make, state))
        blocks = op.map("rows", keyed, _without_key)
        op.output("store", blocks, StoreSink(store))
        op.output("topics", op.flat_map("derived", blocks, self.messages), TopicSink(log))
        return flow


def _market_by_topic() -> dict[str, Market]:
    return {market(name).topic: market(name) for name in markets()}


def _without_key(item: tuple[str, list[Block]]) -> list[Block]:
    return item[1]
