"""What simulated halves of price series share: bars that may be old, pairs, digits."""

from collections.abc import Mapping

from connectors.simulator.api import Ask, WorldBar
from connectors.simulator.symbols import ASSETS


def bars(ask: Ask, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
    """Those of a span, oldest first, the last may be open; old ones told of these times where that is the fault."""
    step_ms = interval_s * 1000
    late_ms = (values_late_ms(ask) // step_ms) * step_ms
    found = ask.world.bars(base, quote, interval_s, from_ms - late_ms, to_ms - late_ms)
    return [x._replace(open_ms=x.open_ms + late_ms) for x in found]


def values_late_ms(ask: Ask) -> int:
    """By how much values are older than their times say."""
    return max(ask.world.now_ms - ask.values_ms, 0) if "old_data" in ask.faults else 0


def price(ask: Ask, base: str, quote: str) -> float:
    """The price of now, or the old one."""
    return ask.world.price(base, quote, ask.world.now_ms - values_late_ms(ask))


def pair(text: str) -> tuple[str, str] | None:
    """Base and quote of EUR/USD, EUR_USD, EUR-USD or EURUSD; None if there is no price of them."""
    clean = text.upper().replace("/", "").replace("_", "").replace("-", "")
    found = ((clean[:at], clean[at:]) for at in range(3, len(clean)))
    return next(((x, y) for x, y in found if x in ASSETS and y in ASSETS), None)


def digits(base: str, quote: str) -> int:
    """Decimals of a price."""
    value = ASSETS[base].price / ASSETS[quote].price
    return 2 if value > 1000 else 3 if value > 10 else 5


def renamed(ask: Ask, fields: Mapping[str, object], name: str, other: str) -> dict[str, object]:
    """The fields, one of another name where that is the fault."""
    if "renamed_column" not in ask.faults:
        return dict(fields)
    return {other if x == name else x: y for x, y in fields.items()}
