"""What a snapshot tells: levels, and the prices up to which a book made from them is known whole."""

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, NamedTuple

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


class _Book(msgspec.Struct):
    """Of a `!book` line: the prices its bids and asks reach to; None: every one is there."""

    covered: tuple[Decimal | None, Decimal | None]
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    depth: Annotated[int, msgspec.Meta(ge=0)] = 0


def covered(levels: Levels, line: Line, price_decimals: int) -> tuple[int, int]:
    """The lowest bid and highest ask tick that the snapshot in `line` tells about.

    A `!book` line says so itself; a REST snapshot reaches as far as its levels, or everywhere on a side that has
    fewer of them than the request's `limit`. Raises msgspec.DecodeError.
    """
    if line.origin == record.BOOK:
        lowest, highest = msgspec.json.decode(line.payload, type=_Book).covered
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


class Limits(NamedTuple):
    """What a `!book` line tells of a book of which the venue tells the best levels only."""

    depth: int  # levels a side; 0: all
    price_decimals: int  # the most that the venue has written, trailing zeros too
    size_decimals: int


def limits(payload: bytes) -> Limits:
    """The limits in a `!book` line. Raises msgspec.DecodeError."""
    told = msgspec.json.decode(payload, type=_Book)
    levels = told.bids + told.asks
    return Limits(told.depth, _decimals(price for price, _ in levels), _decimals(size for _, size in levels))


def _decimals(texts: Iterable[str]) -> int:
    return max((len(text.partition(".")[2]) for text in texts), default=0)
