"""After something was published: brings its rows into the store before a command says that it is done."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from connectors.log import Log
from flows.runtime.dataflow import Flow, Parts, group_of
from flows.runtime.run import BusyError, recovery_of, run
from sql.client import Store

STALL_S = 60.0
LOOK_EVERY_S = 0.2
SAY_EVERY_S = 2.0

Say = Callable[[str], None]


class CatchUpError(RuntimeError):
    """A flow that runs elsewhere does not get on."""


def catch_up(
    log: Log, store: Store, state: Path | None, flows: Iterable[Flow], say: Say, stall_s: float = STALL_S
) -> None:
    """Return when the flows have brought all that the log holds now into the store.

    A flow that no process runs with its directory under `state` is run here, to the log's end; else the process that
    does is waited for, as it is where `state` is None: flows run elsewhere. `say` hears of progress.

    Raises:
        CatchUpError: a flow that runs elsewhere has not moved for `stall_s`.
        LogError, StoreError: a part does not do its work.
    """
    for flow in flows:
        parts = flow.parts(log)
        if not parts:
            continue
        if state is not None:
            try:
                run(flow.dataflow(log, store, parts, follow=False), recovery_of(state, flow.name, "1/1"))
            except BusyError:
                say(f"flow {flow.name} runs already: waiting until it has read the log")
            else:
                continue
        _await(log, flow, parts, say, stall_s)


def _await(log: Log, flow: Flow, parts: Parts, say: Say, stall_s: float) -> None:
    ends = {part: _end(log, part) for part in parts}
    behind, moved_s, said_s = _behind(log, flow, ends), time.monotonic(), time.monotonic()
    while behind:
        time.sleep(LOOK_EVERY_S)
        left, now_s = _behind(log, flow, ends), time.monotonic()
        if left < behind:
            behind, moved_s = left, now_s
        if now_s - moved_s > stall_s:
            raise CatchUpError(
                f"flow {flow.name} has not moved for {stall_s:g} s and is {behind} offsets behind the log: see its own "
                "log; what was published is kept, and stored once the flow goes on"
            )
        if now_s - said_s > SAY_EVERY_S:
            said_s = now_s
            say(f"flow {flow.name}: {behind} offsets to go")


def _end(log: Log, part: tuple[str, int]) -> int:
    with closing(log.reader(*part)) as reader:
        return reader.end()


def _behind(log: Log, flow: Flow, ends: dict[tuple[str, int], int]) -> int:
    """Offsets that the flow has not stored yet, over all partitions."""
    behind = 0
    for part, end in ends.items():
        with closing(log.reader(*part, group=group_of(flow.name))) as reader:
            committed = reader.committed()
            behind += max(0, end - (reader.offset if committed is None else committed))
    return behind
