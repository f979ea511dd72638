"""Runs a dataflow in this process, one worker, with its state in a recovery directory.

Bytewax's clusters and threads do not help Python-bound flows; what scales is one process a share of the
partitions, each with a recovery directory of its own.
"""

from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

EPOCH_S = 10.0


def run(flow: Dataflow, recovery: Path | None, epoch_s: float = EPOCH_S) -> None:
    """Run to the end of the flow's input, which a following flow never reaches.

    `recovery` is made if it is missing; None keeps no state. Every `epoch_s` state goes there: a crash repeats at
    most that much input.
    """
    config = None
    if recovery is not None:
        recovery.mkdir(parents=True, exist_ok=True)
        if not any(recovery.glob("part-*.sqlite3")):
            init_db_dir(recovery, 1)
        config = RecoveryConfig(str(recovery))
    cli_main(flow, epoch_interval=timedelta(seconds=epoch_s), recovery_config=config)
