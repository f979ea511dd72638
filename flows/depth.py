"""The depth flow: raw topics -> order books -> depth columns, measures, walls and events.

Rows of `depth_1s`, `depth_10s`, `depth_1m`, `walls`, `liquidity_events`, `book_events`, `instruments` and
`dead_letters` to the store; measures, walls and liquidity events to topic `features`, what was set aside to topic
`dead_letter`.
"""

from flows.derived import messages
from flows.kernels.depth import DepthKernel
from flows.runtime.dataflow import Flow, of_markets

FLOW = Flow("depth", of_markets(DepthKernel, lambda market: market.has_book), messages)
