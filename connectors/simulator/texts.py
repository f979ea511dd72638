"""Prices and sizes as a venue writes them."""

from decimal import Decimal

from connectors.simulator.symbols import Grid


class Texts:
    """Prices and sizes on one grid, with so many decimals; None: as many as the step has."""

    def __init__(
        self, grid: Grid, price_decimals: int | None = None, size_decimals: int | None = None
    ) -> None:
        self._tick, self._price_decimals = units(grid.tick, price_decimals)
        self._lot, self._size_decimals = units(grid.lot, size_decimals)
        self._tick_size, self._value_size = grid.tick, grid.tick * grid.lot

    def price(self, tick: int) -> str:
        """A price."""
        return decimal(tick * self._tick, self._price_decimals)

    def size(self, lots: int) -> str:
        """A size."""
        return decimal(lots * self._lot, self._size_decimals)

    def between(self, price: float) -> str:
        """A price that need not be on the grid: a mark or a mean."""
        return f"{price:.8f}"

    def value(self, ticks_lots: int) -> str:
        """Quote currency of a sum of ticks x lots."""
        return f"{ticks_lots * self._value_size:.8f}"

    def mean(self, tick: float) -> str:
        """A mean price in ticks."""
        return f"{tick * float(self._tick_size):.8f}"


def units(step: Decimal, decimals: int | None) -> tuple[int, int]:
    """A step as a whole number of units of 10**-decimals."""
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int)
    places = max(0, -exponent) if decimals is None else decimals
    return int(step.scaleb(places)), places


def decimal(count: int, decimals: int) -> str:
    """So many units of 10**-decimals."""
    if not decimals:
        return str(count)
    text = str(count)
    if len(text) <= decimals:
        text = text.zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"
