"""Ticks, lots and bins of instruments: what a venue does not say is taken from the digits it writes."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from connectors.venue import Instrument

BIN_WIDTH_MAX = Fraction(2, 100_000)


def infer(symbol: str, canonical: str, prices: Iterable[str], sizes: Iterable[str]) -> Instrument:
    """The instrument whose book is written so: tick and lot are the finest decimal in `prices` and `sizes`.

    Both are numbers as the wire writes them (no exponent); trailing zeros do not count. The venue's true tick
    may be coarser, and a later message may show a finer digit.

    Raises:
        ValueError: there are no prices or no sizes.
    """
    return Instrument(
        symbol=symbol, instrument=canonical, tick=_finest(prices), lot=_finest(sizes), inferred=True
    )


def _finest(texts: Iterable[str]) -> Decimal:
    decimals = max((len(text.partition(".")[2].rstrip("0")) for text in texts), default=None)
    if decimals is None:
        raise ValueError("expected a book with levels to take tick and lot from, found none")
    return Decimal((0, (1,), -decimals))


def bin_step(price: Decimal, tick: Decimal) -> Decimal:
    """Default price width of a heatmap bin: 1, 2, 5, 10, 20, 50 ... ticks, above one at most 2e-5 of price.

    BTC at 61800 with tick 0.1 gives 1.0; ETH at 2680 with tick 0.01 gives 0.05.

    Raises:
        ValueError: price or tick is not a number above zero.
    """
    if not (price.is_finite() and tick.is_finite() and price > 0 and tick > 0):
        raise ValueError(f"expected a price and a tick above zero, found {price} and {tick}")
    ticks = int(Fraction(price) * BIN_WIDTH_MAX / Fraction(tick))
    decade = 10 ** (len(str(ticks)) - 1)
    nice = next((decade * n for n in (5, 2, 1) if decade * n <= ticks), 1)
    return tick * nice
