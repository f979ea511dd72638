"""Runs a dataflow in this process, one worker, with its state in a recovery directory.

Bytewax's clusters and threads do not help Python-bound flows; what scales is one process a share of the
partitions, each with a recovery directory of its own.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

EPOCH_S = 10.0


def recovery_of(state: Path, flow: str, share: str) -> Path:
    """Where a share of a flow keeps its recovered state, under the folder `state`."""
    return state / f"{flow}-{share.replace('/', '-of-')}"


class BusyError(RuntimeError):
    """Another process runs with the same recovery directory."""


def run(flow: Dataflow, recovery: Path, epoch_s: float = EPOCH_S) -> None:
    """Run to the end of the flow's input, which a following flow never reaches.

    State goes to the directory `recovery`, made if it is missing, every `epoch_s`: a crash repeats at most that
    much input.

    Raises:
        BusyError: a flow runs there already.
        Exception: what a kernel, the log or the store raised; Bytewax's wrapping of it is taken off.
    """
    recovery.mkdir(parents=True, exist_ok=True)
    with _owned(recovery):
        if not any(recovery.glob("part-*.sqlite3")):
            init_db_dir(recovery, 1)
        # An error in a step reaches us as an exception; Rust's own view of the stack beneath it helps nobody.
        os.environ.setdefault("RUST_BACKTRACE", "0")
        config = RecoveryConfig(str(recovery))
        try:
            cli_main(flow, epoch_interval=timedelta(seconds=epoch_s), recovery_config=config)
        except BytewaxRuntimeError as error:
            raise _cause(error) from error


def _cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _cause(error.__cause__)


@contextlib.contextmanager
def _owned(recovery: Path) -> Iterator[None]:
    with (recovery / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"a flow already runs with {recovery}: stop it first") from None
        yield
