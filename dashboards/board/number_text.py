"""Numbers in words: signs, decimals of a tick."""

import math

from dashboards.board.health import size_text

MINUS = "\N{MINUS SIGN}"
NOT_KNOWN = "\N{EN DASH}"


def signed(value: float, decimals: int) -> str:
    """+0.12, -0.12 with a true minus; zero has no sign."""
    text = f"{value:+,.{decimals}f}"
    return text[1:] if not any(digit in text for digit in "123456789") else text.replace("-", MINUS)


def signed_size(size: float) -> str:
    """Three significant figures with a sign; zero has none."""
    if size == 0:
        return "0"
    return ("+" if size > 0 else MINUS) + size_text(abs(size))


def price_text(price: float, decimals: int) -> str:
    """61,659.8; a dash where it is not known."""
    return f"{price:,.{decimals}f}" if math.isfinite(price) else NOT_KNOWN


def decimals_of(tick: float) -> int:
    """Decimals of a price whose smallest step is `tick`; two where it is not known."""
    text = f"{tick:.10f}".rstrip("0") if tick > 0 else "0.01"
    return len(text.partition(".")[2])


def price_format(tick: float) -> str:
    """The same, as the pattern of bokeh's NumeralTickFormatter."""
    return "0,0" + ("." + "0" * decimals_of(tick) if decimals_of(tick) else "")
