"""A world of waves, and a half asked without a socket."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, WorldBar
from connectors.simulator.symbols import ASSETS

NOW_MS = 1_795_000_000_123
POINTS = 4  # prices that a bar is made of


@dataclass(frozen=True, slots=True)
class ToyWorld:
    """Each asset's price swings by one per cent in an hour."""

    now_ms: int = NOW_MS

    def price(self, base: str, quote: str, time_ms: int) -> float:
        """Price of a wave."""
        return self._usd(base, time_ms) / self._usd(quote, time_ms)

    @staticmethod
    def _usd(asset: str, time_ms: int) -> float:
        found = ASSETS[asset]
        wave = math.sin(time_ms / 3_600_000 * 2 * math.pi + len(asset))
        return found.price * (1 + 0.01 * wave * bool(found.volatility_bps))

    def bars(self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        """Bars of prices at points of each interval."""
        step_ms = interval_s * 1000
        found = []
        for open_ms in range(-(-from_ms // step_ms) * step_ms, min(to_ms, self.now_ms + 1), step_ms):
            times = [open_ms + step_ms * i // POINTS for i in range(POINTS)]
            told = [self.price(base, quote, x) for x in times if x <= self.now_ms]
            found.append(WorldBar(open_ms, told[0], max(told), min(told), told[-1], 12.5, 5.25, 40))
        return found


def asked(
    half: ApiHalf,
    path: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    faults: Collection[ApiFault] = (),
    world: ToyWorld | None = None,
    values_ms: int | None = None,
) -> Reply:
    """The half's answer to a path with query; LookupError if it knows none."""
    world = world or ToyWorld()
    parts = urlsplit(path)
    for template, answer in half.rest.items():
        shape = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
        if found := re.fullmatch(shape, parts.path):
            query = dict(parse_qsl(parts.query))
            query |= {name: unquote(value) for name, value in found.groupdict().items()}
            past = world.now_ms if values_ms is None else values_ms
            return answer(Ask(parts.path, query, headers, world, frozenset(faults), past))
    raise LookupError(f"expected one of {', '.join(half.rest)}, found {path}")
