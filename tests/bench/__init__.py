"""Benchmarks: `make bench`, or `python -m tests.bench [--quick] [NAME ...]`.

Each prints JSON lines on standard output: `bench`, `value` and `unit`, `against` what, and `ratio`. With a peer or
a target of throughput a ratio above 1 is for us; with another run of ours (`depth_flow_200`, the memory lines) it
is ours over that run's. `runs` and `spread` (lowest and highest, in the unit) say how far to trust the median.

What is measured, always on a real recording (BTCUSDT USD-M futures, 345 s, 6,551 depth messages of 68 levels
among 93,954 lines; `tests.bench._recording`):

* depth_kernel: bytes -> sequence check -> full book with its best bid and ask after each depth message, in us of
  CPU a message. Ours gets records of 50 ms, one message in most, as a depth-only topic would carry them. Against
  `msgspec`, the best we know to write with floats in dicts, and `ccxt`, the order book of ccxt.pro.
  `depth_kernel_columns` is the same with the columns and roll-ups of each second, which no peer makes.
* depth_flow: the dataflow from the file log with recovery, into a store that only counts, all lines of the
  recording: depth messages a second of CPU, with ten instruments and, `depth_flow_1`, with one.
* depth_flow_200: CPU a depth message with 200 instruments over that with ten, and peak memory.
* depth_log_to_store: lines a second of wall clock from the file log to the embedded store's acknowledgement, two
  processes; and their peak memory.
* trades_log_to_store: trades a second of CPU of the flow's process from the file log to the rows of all tables of the
  tape flow in the embedded store, ten instruments; `trades_decode`: msgspec alone, that decodes the same lines by type.
* webhook: ms until an alert of TradingView is answered, 99th percentile of wall clock, when the log has it.

Times are CPU time of the process unless said; ours and the peers take turns and the median of each counts, so that
a busy machine slows both. A ratio under 1.5 is no difference. The best prices at the end are compared with the
recording's and between all engines: a benchmark whose engines disagree fails.
"""
