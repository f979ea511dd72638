"""What a snapshot tells: levels, and the prices up to which a book made from them is known whole."""

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors import record
from connectors.record import Line
from flows.kernels import book as b

Int64s = NDArray[np.int64]

# Covered prices of a side that is known whole, and of one that nothing is known of.
ALL_BIDS, ALL_ASKS = 0, b.NO_ASK
NO_BIDS, NO_ASKS = b.NO_ASK, 0

_LIMIT = re.compile(rb"[?&]limit=(\d+)")


class Levels(NamedTuple):
    """Levels of a book as arrays int64[n]; `sides` has 0 for a bid, 1 for an ask."""

    ticks: Int64s
    lots: Int64s
    sides: Int64s

    @property
    def bids(self) -> Int64s:
        """Ticks of the bids."""
        ticks: Int64s = self.ticks[self.sides == 0]
        return ticks

    @property
    def asks(self) -> Int64s:
        """Ticks of the asks."""
        ticks: Int64s = self.ticks[self.sides == 1]
        return ticks

    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids, asks = self.bids, self.asks
        return bool(len(bids) and len(asks) and bids.max() >= asks.min())

    def mid_tick(self) -> int:
        """The tick between the best prices, or the one best price there is. There must be a level."""
        bids, asks = self.bids, self.asks
        best = [*([int(bids.max())] if len(bids) else []), *([int(asks.min())] if len(asks) else [])]
        return sum(best) // len(best)


class _Covered(msgspec.Struct):
    """Of a `!book` line: the prices its bids and asks reach to; None: every one is there."""

    covered: tuple[Decimal | None, Decimal | None]


def covered(levels: Levels, line: Line, price_decimals: int) -> tuple[int, int]:
    """The lowest bid and highest ask tick that the snapshot in `line` tells about.

    A `!book` line says so itself; a REST snapshot reaches as far as its levels, or everywhere on a side that has
    fewer of them than the request's `limit`. Raises msgspec.DecodeError.
    """
    if line.origin == record.BOOK:
        lowest, highest = msgspec.json.decode(line.payload, type=_Covered).covered
        return (
            ALL_BIDS
            if lowest is None
            else int(lowest.scaleb(price_decimals).to_integral_value(ROUND_CEILING)),
            ALL_ASKS
            if highest is None
            else int(highest.scaleb(price_decimals).to_integral_value(ROUND_FLOOR)),
        )
    limit = _LIMIT.search(line.origin)
    most = int(limit[1]) if limit else 0
    bids, asks = levels.bids, levels.asks
    # A side with no level, from a venue that did not say how many it would send, tells nothing.
    lowest_bid = ALL_BIDS if len(bids) < most else int(bids.min()) if len(bids) else NO_BIDS
    highest_ask = ALL_ASKS if len(asks) < most else int(asks.max()) if len(asks) else NO_ASKS
    return lowest_bid, highest_ask
