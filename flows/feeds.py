"""The feeds flow: what polled APIs answered, what was read from files, and how the feeds are -> rows.

Topics `raw.<feed>`, `raw.files`, `alerts_in` and `health`; rows of `bars`, `trades`, `prices`, `derivatives`, a table a
fact, `alerts_in`, `feed_health` and `dead_letters`; bars to topic `bars` too. The flow makes the topics that are
missing, so that what is published later is read by the flow that already runs.
"""

from collections.abc import Callable
from functools import partial

from connectors import batch
from connectors.feed import feeds
from connectors.log import ALERTS_IN, HEALTH
from flows.derived import messages
from flows.kernels.alerts import AlertsKernel
from flows.kernels.feed import FeedKernel
from flows.kernels.files import FilesKernel
from flows.kernels.health import HealthKernel
from flows.runtime.dataflow import Flow
from flows.runtime.logic import Kernel

_RAW: dict[str, Callable[[int], Kernel]] = {
    **{feed.topic: partial(FeedKernel, feed) for feed in feeds().values()},
    batch.TOPIC: FilesKernel,
    ALERTS_IN: AlertsKernel,
}

# Nothing here is awaited within milliseconds, and most topics are silent for minutes.
FLOW = Flow(
    "feeds",
    {HEALTH: HealthKernel, **_RAW},
    messages,
    makes=tuple(_RAW),
    idle_s=0.1,
    gather_s=0.5,
    epoch_s=2.0,
)
