"""What the JSON answers of polled APIs have in common: how they are decoded, their times and amounts."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from connectors.venue import MALFORMED, ParseError

Found = TypeVar("Found")
Time = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=2**63 // 10**9 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**63 // 10**6 - 1)]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DECIMALS_MAX, DIGITS_MAX, EXPONENT_MAX = 28, 20, 15
_ROUNDED = Context(prec=DIGITS_MAX)
_LEAST = Decimal(1).scaleb(-DECIMALS_MAX)


def decoded(decoder: "msgspec.json.Decoder[Found]", payload: bytes) -> Found:
    """What the payload holds. Raises ParseError that names the field which is missing or of another type."""
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"{error}; found {payload[:120]!r}") from None


def loose(body: bytes) -> object:
    """Any JSON, as Python's own types. Raises ParseError."""
    try:
        return msgspec.json.decode(body)
    except MALFORMED as error:
        raise ParseError(f"expected JSON: {error}; found {body[:120]!r}") from None


def entry(found: object, *names: str) -> object:
    """What stands at a path of names in loose JSON; None where there is nothing."""
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def code_of(found: object) -> int:
    """An error code, number or digits; 0 of anything else."""
    text = str(found) if isinstance(found, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def time_ns(said: datetime | None, received_ns: int) -> int:
    """Int ns UTC of a time; that of receipt where none is told. Raises ParseError outside of 1970 to 2262."""
    if said is None:
        return received_ns
    found = (said - EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 <= found < 2**63:
        raise ParseError(f"expected a time from 1970 to 2262, found {said.isoformat()}")
    return found


def number(said: Decimal | None) -> float | None:
    """An amount that came as text. Raises ParseError if it is no finite number."""
    if said is None:
        return None
    found = float(said) if said.is_finite() else math.nan
    if not math.isfinite(found):
        raise ParseError(f"expected a finite number, found {said}")
    return found


def exact(said: Decimal) -> Decimal:
    """A price or size above or equal to zero, rounded to 20 digits. Raises ParseError."""
    if not said.is_finite() or said.is_signed() or (said and said.adjusted() > EXPONENT_MAX):
        raise ParseError(f"expected a price or a size, found {str(said)[:60]}")
    rounded = _ROUNDED.plus(said)
    _, _, exponent = rounded.as_tuple()
    fine = isinstance(exponent, int) and exponent < -DECIMALS_MAX
    return rounded.quantize(_LEAST) if fine else rounded


def price(said: Decimal) -> Decimal:
    """An `exact` amount above zero. Raises ParseError."""
    found = exact(said)
    if not found:
        raise ParseError(f"expected a price above zero, found {str(said)[:60]}")
    return found
