"""What all flows share: a kernel a partition between the log and where rows go.

    log -> kernels -> store: rows of every table
                   -> derived topics

Recovery is Bytewax's own: at each epoch the source's offset and the kernel's dump go to the recovery store.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.log import BARS, DEAD_LETTER, FEATURES, Log, Retention
from connectors.venue import Market, market, markets
from flows.kernels.block import Block
from flows.runtime.logic import GatherLogic, Kernel, KernelLogic
from flows.runtime.progress import Progress
from flows.runtime.run import EPOCH_S
from flows.runtime.sink import Message, StoreSink, TopicSink
from flows.runtime.source import IDLE_S, LogSource
from sql.client import Store

Parts = list[tuple[str, int]]  # topic and partition

# Derived topics are made again from raw ones: they are for flows that follow, not for keeping.
DERIVED_RETENTION = Retention(age_s_max=7 * 86_400)


RAW = "raw."


@dataclass(frozen=True, slots=True)
class Running:
    """A kernel at work, and what its summary was when the flow began."""

    kernel: Kernel
    began: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow: its name, the kernel of a partition of each of its topics, and its rows as derived messages.

    It reads the topics that are there when it begins; those that `makes` names it makes itself, of one partition, and
    a derived one that it reads like all flows make them.
    """

    name: str
    kernels: Mapping[str, Callable[[int], Kernel]]
    messages: Callable[[Iterable[Block]], list[Message]]
    makes: tuple[str, ...] = ()
    idle_s: float = IDLE_S  # between two polls of a partition that had nothing new
    gather_s: float = (
        0.0  # rows wait so long for those of other partitions: an insert costs as much as a thousand
    )
    epoch_s: float = EPOCH_S  # between two saves of the state

    def parts(self, log: Log) -> Parts:
        """The partitions of those of its topics that the log has, in a fixed order."""
        for topic in self.makes:
            log.create(topic, 1)
        if FEATURES in self.kernels:
            _make_derived(log)
        return [
            (topic, p) for topic, n in sorted(log.topics().items()) if topic in self.kernels for p in range(n)
        ]

    def dataflow(
        self,
        log: Log,
        store: Store,
        parts: Parts,
        *,
        follow: bool = True,
        running: dict[tuple[str, int], Running] | None = None,
        progress: Progress | None = None,
    ) -> Dataflow:
        """The dataflow over `parts` of `log` into `store`; derived topics that are missing are made.

        Without `follow` it ends at the log's end. `running`, if given, receives the kernel of each partition;
        `progress` is kept up to date.
        """
        progress = progress or Progress()
        _make_derived(log, self.kernels)

        def make(topic: str, partition: int, state: bytes | None) -> Kernel:
            kernel = self.kernels[topic](partition)
            if state is not None:
                kernel.load(state)
            if running is not None:
                running[topic, partition] = Running(kernel, kernel.summary())
            return kernel

        flow = Dataflow(self.name)
        source = LogSource(
            log,
            parts,
            group_of(self.name),
            progress,
            follow=follow,
            idle_s=self.idle_s,
            stored_s=2 * self.gather_s,
        )
        polls = op.input("log", flow, source)
        keyed = op.stateful_batch("kernel", polls, lambda state: KernelLogic(make, state))
        if self.gather_s:
            together = op.map("together", keyed, _with_one_key)
            keyed = op.stateful_batch("gather", together, lambda held: GatherLogic(self.gather_s, held))
        blocks = op.map("rows", keyed, _without_key)
        op.output("store", blocks, StoreSink(store, progress))
        op.output("topics", op.flat_map("derived", blocks, self.messages), TopicSink(log))
        return flow


def _make_derived(log: Log, read: Collection[str] = ()) -> None:
    """Derived topics, of as many partitions as raw topics or those `read` have, whichever flow comes first."""
    partitions = [n for topic, n in log.topics().items() if topic.startswith(RAW) or topic in read]
    for topic in (BARS, DEAD_LETTER, FEATURES):
        if partitions:
            log.create(topic, max(partitions), DERIVED_RETENTION)


def group_of(flow: str) -> str:
    """The group under which a flow tells the log how far it has got."""
    return f"isotherm.{flow}"


def of_markets(
    kernel: Callable[[Market, int], Kernel], wanted: Callable[[Market], bool] = lambda _: True
) -> dict[str, Callable[[int], Kernel]]:
    """That kernel for the raw topic of every known market, or those wanted."""
    return {found.topic: partial(kernel, found) for found in map(market, markets()) if wanted(found)}


def _with_one_key(item: tuple[str, list[Block]]) -> tuple[str, list[Block]]:
    return "all", item[1]


def _without_key(item: tuple[str, list[Block]]) -> list[Block]:
    return item[1]
