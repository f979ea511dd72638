"""The tape flow: raw topics -> trades with their aggressor, in table `trades`."""

from flows.depth import messages
from flows.kernels.tape import TapeKernel
from flows.runtime.dataflow import Flow, of_markets

FLOW = Flow("tape", of_markets(TapeKernel), messages)
