"""Over which past correlation and market performance are looked at, and with which bars.

The view `window_coverage` says the same in SQL.
"""

from typing import NamedTuple

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


class Lookback(NamedTuple):
    """A span of the past, s, cut into bars of `interval_s`."""

    name: str
    interval_s: int
    span_s: int

    @property
    def bars(self) -> int:
        """How many bars fill the span."""
        return self.span_s // self.interval_s


# Months have 30 days and years 365, so that each look-back holds a whole and fixed number of bars.
LOOKBACKS = (
    Lookback("1h", MINUTE_S, HOUR_S),
    Lookback("4h", MINUTE_S, 4 * HOUR_S),
    Lookback("1d", MINUTE_S, DAY_S),
    Lookback("1w", 5 * MINUTE_S, 7 * DAY_S),
    Lookback("1mo", HOUR_S, 30 * DAY_S),
    Lookback("3mo", 4 * HOUR_S, 90 * DAY_S),
    Lookback("1y", DAY_S, 365 * DAY_S),
    Lookback("5y", DAY_S, 5 * 365 * DAY_S),
)
