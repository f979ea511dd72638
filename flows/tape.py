"""The tape flow: raw topics -> trades with their aggressor, in table `trades`."""

from flows.depth import messages
from flows.kernels.tape import TapeKernel
from flows.runtime.dataflow import RawFlow

FLOW = RawFlow("tape", TapeKernel, messages)
