"""The levels flow: topic `features` -> support and resistance of each minute, clustered from what the other flows told.

Rows of `levels` and `dead_letters` to the store; levels to `features` again, whose own rows it passes over.
"""

from connectors.log import FEATURES
from flows.derived import messages
from flows.kernels.levels import LevelsKernel
from flows.runtime.dataflow import Flow

# The state is of megabytes, and minutes are what it tells.
FLOW = Flow("levels", {FEATURES: LevelsKernel}, messages, idle_s=0.1, gather_s=0.5, epoch_s=30.0)
