"""The tape flow: raw topics -> trades with their aggressor, prices, and the bars that venues tell or prices make.

Rows of `trades`, `prices`, `bars` and `dead_letters` to the store; bars to topic `bars` too.
"""

from flows.derived import messages
from flows.kernels.tape import TapeKernel
from flows.runtime.dataflow import Flow, of_markets

FLOW = Flow("tape", of_markets(TapeKernel), messages, gather_s=0.25)
