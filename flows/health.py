"""The health flow: topic `health`, as connectors fill it each second -> how the feeds are, in table `feed_health`."""

from connectors.log import HEALTH
from flows.depth import messages
from flows.kernels.health import HealthKernel
from flows.runtime.dataflow import Flow

FLOW = Flow("health", {HEALTH: HealthKernel}, messages)
