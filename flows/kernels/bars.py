"""Rows of `bars`."""

import math
from typing import Any

from connectors.venue import Bar, ParseError
from flows.kernels.lines import check_time

COLUMNS = (
    "instrument", "venue", "interval_s", "source", "open_ns", "open", "high", "low", "close", "volume", "quote_volume",
    "buy_volume", "trades", "received_ns", "version",
)  # fmt: skip
INTERVAL_S_MAX = 2**32 - 1


def bar_row(bar: Bar, instrument: str, venue: str, source: str, recv_ns: int) -> tuple[Any, ...]:
    """A bar in the order of `COLUMNS`; what is not told is NaN, of trades None. Raises ParseError."""
    check_time(bar.open_ns, "an open time")
    if not 0 < bar.interval_s <= INTERVAL_S_MAX:
        raise ParseError(f"expected an interval from 1 to {INTERVAL_S_MAX} s, found {bar.interval_s}")
    return (
        instrument, venue, bar.interval_s, source, bar.open_ns, float(bar.open), float(bar.high), float(bar.low),
        float(bar.close), _float(bar.volume), _float(bar.quote_volume), _float(bar.buy_volume), bar.trades, recv_ns,
        recv_ns,
    )  # fmt: skip


def _float(x: Any) -> float:
    return math.nan if x is None else float(x)
