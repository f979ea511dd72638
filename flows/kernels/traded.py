"""What traded by price row, and what its integers mean."""

from dataclasses import dataclass
from decimal import Decimal
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.kernels import tally

Int64s = NDArray[np.int64]
STEP_MAX = 1 << 62  # p * rise is below that (`tally.PRICE_MAX`): a higher row leaves it where it is


class Scale:
    """Of an instrument on a venue: what ticks, lots and price rows are."""

    def __init__(self, instrument: str, venue: str) -> None:
        self.instrument, self.venue = instrument, venue
        self.price_decimals = self.size_decimals = 0
        self.row_step = Decimal(0)
        self._step, self._step_unit = 1, 1  # row_step is their ratio
        self.rise, self.step = 1, 1  # a price of p ticks is in row floor(p * rise / step)

    def set(self, row_step: Decimal, price_decimals: int, size_decimals: int) -> None:
        """Take the height of a row, in quote currency, and what ticks and lots are."""
        self.row_step, self.price_decimals, self.size_decimals = row_step, price_decimals, size_decimals
        self._step, self._step_unit = row_step.as_integer_ratio()
        rise, step = self._step_unit, self._step * 10**price_decimals
        self.rise, self.step = rise // gcd(rise, step), step // gcd(rise, step)

    def row(self, price_ticks: int) -> int:
        """The row that a price is in."""
        return price_ticks * self.rise // self.step

    def edge(self, row: int) -> float:
        """The lower edge of a row, in quote currency."""
        return row * self._step / self._step_unit

    def price(self, ticks: int) -> float:
        """A price in quote currency."""
        return float(ticks / 10**self.price_decimals)

    def size(self, lots: int) -> float:
        """A size in base currency."""
        return float(lots / 10**self.size_decimals)

    def quote(self, product: int) -> float:
        """Ticks times lots in quote currency."""
        return float(product / 10 ** (self.price_decimals + self.size_decimals))


@dataclass(slots=True)
class Traded:
    """What prints add up to.

    `rows` int64[n] ascending, `lots` int64[3, n]: bought, sold, unknown. `product` and `squares` are sums of size *
    price and of size * price ** 2, in lots and ticks; `high` and `low` prices in ticks. Arrays are never written to.
    """

    rows: Int64s
    lots: Int64s
    product: int
    squares: int
    high: int
    low: int
    received_ns: int

    @classmethod
    def of(cls, prints: Int64s, scale: Scale, received_ns: int) -> "Traded":
        """Of prints int64[n, 3]: price, size, side. Exact but for `squares`, of which a float's digits are."""
        rows, lots, sums, spread = tally.tally(prints, scale.rise, min(scale.step, STEP_MAX))
        product = (int(sums[0]) << tally.LIMB) + int(sums[1])
        first, total = int(prints[0, 0]), int(lots.sum())
        squares = int(spread) + 2 * first * product - first * first * total
        return cls(rows, lots, product, squares, int(sums[2]), int(sums[3]), received_ns)

    def add(self, other: "Traded") -> None:
        """More prints."""
        self.rows, self.lots = tally.merged(self.rows, self.lots, other.rows, other.lots)
        self.product += other.product
        self.squares += other.squares
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.received_ns = max(self.received_ns, other.received_ns)

    def copy(self) -> "Traded":
        """Another of the same, to be added to."""
        return Traded(self.rows, self.lots, self.product, self.squares, self.high, self.low, self.received_ns)

    def rescale(self, by_price: int, by_size: int) -> None:
        """Ticks and lots are finer by these factors. Rows stay."""
        self.lots = self.lots * by_size
        self.product *= by_price * by_size
        self.squares *= by_price**2 * by_size
        self.high, self.low = self.high * by_price, self.low * by_price

    def dump(self) -> Any:
        """All state."""
        sums = str(self.product), str(self.squares)
        return self.rows.tobytes(), self.lots.tobytes(), sums, self.high, self.low, self.received_ns

    @classmethod
    def load(cls, state: Any) -> "Traded":
        """What `dump` gave."""
        rows, lots, (product, squares), high, low, received_ns = state
        found = np.frombuffer(rows, np.int64).copy()  # compiled code takes no second type
        by_side = np.frombuffer(lots, np.int64).reshape(3, len(found)).copy()
        return cls(found, by_side, int(product), int(squares), high, low, received_ns)
