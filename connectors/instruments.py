"""Ticks, lots and bins of instruments: what a venue does not say is taken from the digits it writes."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import msgspec

from connectors.venue import Instrument, ParseError

DECIMALS_MAX = 12  # of a unit
UNIT_MAX = 10**15  # one of these divided by the smallest has not more than the 28 digits that Decimal keeps
BIN_WIDTH_MAX = Fraction(2, 100_000)

# Books of one instrument on several venues can be added bin by bin only where their bins are the same, whatever each
# venue's tick is and whichever price came first. Widths in quote currency, dollars of any kind alike.
AGREED_BIN_STEPS: Mapping[str, Decimal] = MappingProxyType(
    {
        pair: Decimal(step)
        for step, pairs in {
            "1": "BTC-USD",
            "0.1": "PAXG-USD XAUT-USD",
            "0.05": "ETH-USD",
            "0.01": "BNB-USD SOL-USD LTC-USD BCH-USD AAVE-USD ZEC-USD XMR-USD AVAX-USD LINK-USD",
            "0.001": "DOT-USD ATOM-USD UNI-USD NEAR-USD APT-USD SUI-USD TON-USD ETC-USD USD-JPY EUR-JPY GBP-JPY",
            "0.0001": "XRP-USD ADA-USD TRX-USD XLM-USD ARB-USD OP-USD MATIC-USD POL-USD",
            "0.00002": "EUR-USD GBP-USD AUD-USD USD-CAD USD-CHF EUR-GBP EUR-CHF NZD-USD EUR-CAD EUR-AUD",
            "0.00001": "DOGE-USD USDT-USD USDC-USD ETH-BTC",
        }.items()
        for pair in pairs.split()
    }
)
DOLLARS = ("USDT", "USDC", "FDUSD", "TUSD", "USDP", "DAI", "PYUSD", "RLUSD", "USD1", "BUSD")


def decode(payload: bytes) -> Instrument:
    """The instrument an `!instrument` line holds.

    Raises:
        ParseError: it is none, or one that no book can have.
    """
    try:
        found = msgspec.json.decode(payload, type=Instrument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"expected an instrument: {error}") from error
    units = [
        found.tick,
        found.lot,
        found.contract_size,
        *([found.bin_step] if found.bin_step is not None else []),
    ]
    if not all(
        unit.is_finite() and 0 < unit <= UNIT_MAX and decimals(unit) <= DECIMALS_MAX for unit in units
    ):
        raise ParseError(f"expected tick, lot, size and bin above zero, up to {UNIT_MAX:.0e}, found {found}")
    if found.bin_step is not None and found.bin_step % found.tick:
        raise ParseError(f"expected a bin of whole ticks, found {found}")
    return found


def inferred(symbol: str, canonical: str, price_decimals: int, size_decimals: int) -> Instrument:
    """The instrument whose book is written with so many significant decimals: they are its tick and lot.

    The venue's true tick may be coarser, and a later message may show a finer digit.
    """
    tick, lot = Decimal(1).scaleb(-price_decimals), Decimal(1).scaleb(-size_decimals)
    return Instrument(symbol=symbol, instrument=canonical, tick=tick, lot=lot, inferred=True)


def decimals(unit: Decimal) -> int:
    """How many decimals multiples of a unit need: 1 of 0.1 or 2.5, 0 of 10."""
    exponent = unit.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)


def agreed_bin_step(instrument: str, tick: Decimal) -> Decimal | None:
    """The bin width that all venues of a canonical instrument share; None if there is none, or no multiple of `tick`.

    BTC-USDT, BTC-USD and BTC-USDC-PERP have 1.
    """
    base, _, rest = instrument.partition("-")
    quote = rest.partition("-")[0]
    step = AGREED_BIN_STEPS.get(f"{base}-{'USD' if quote in DOLLARS else quote}")
    return step if step is not None and step % tick == 0 else None


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
