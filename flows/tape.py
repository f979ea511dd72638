"""The tape flow: raw topics -> trades with their aggressor, and what is made of them.

Rows of order flow, footprints, profiles, large trades, liquidations and what futures tell, prices, the bars that venues
tell and those made of trades or prices, and what was set aside: to the store and, as `flows.derived` says, to topics.
"""

from flows.derived import messages
from flows.kernels.tape import TapeKernel
from flows.runtime.dataflow import Flow, of_markets

FLOW = Flow("tape", of_markets(TapeKernel), messages, gather_s=0.25)
