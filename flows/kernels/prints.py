"""Trades of one instrument as arrays: what the tape kernel reads from lines and order flow is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BUY, SELL, UNKNOWN = 1, -1, 0


@dataclass(frozen=True, slots=True)
class Prints:
    """Trades of one instrument in log order: arrays of one length, no trade twice.

    A tick is 10 ** -price_decimals of quote, a lot 10 ** -size_decimals of base currency (contracts are converted);
    both are powers of ten of the finest digits that the instrument has had, and are rescaled when finer ones come.
    """

    time_ns: NDArray[np.int64]  # when it traded, by the venue
    recv_ns: NDArray[np.int64]
    price_ticks: NDArray[np.int64]
    size_lots: NDArray[np.int64]
    side: NDArray[np.int8]  # of the aggressor: BUY, SELL or UNKNOWN
    inferred: NDArray[np.bool_]  # the side comes from a rule, not from the venue
    trade_id: NDArray[np.uint64]
    price_decimals: int
    size_decimals: int

    def __len__(self) -> int:
        return len(self.time_ns)

    def part(self, begin: int, end: int) -> "Prints":
        """Those from `begin` up to, not with, `end`."""
        return Prints(
            self.time_ns[begin:end],
            self.recv_ns[begin:end],
            self.price_ticks[begin:end],
            self.size_lots[begin:end],
            self.side[begin:end],
            self.inferred[begin:end],
            self.trade_id[begin:end],
            self.price_decimals,
            self.size_decimals,
        )
