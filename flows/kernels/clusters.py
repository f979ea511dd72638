"""Support and resistance: evidence that lies close together in price, taken together, and how much it weighs.

*Clusters*: single linkage of sorted prices. What is no more than `gap` apart belongs together; a cluster wider than
WIDTH_GAPS gaps falls apart at its widest inner gaps (all of equal ones), until none is, or a chain of many small steps
would make one level of a whole day. *Strength*: the weights of a cluster, those of each group of kinds capped at CAPS,
which add up to 100; the weights of a group above its cap shrink alike, so that the weights of a level add up to its
strength. Nothing depends on the order of the evidence; turned upside down, support becomes resistance.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

WIDTH_GAPS = 4
LEVELS_MAX = 20  # a side: the strongest
EVIDENCE_MAX = 50  # of a level: the heaviest
SUPPORT, RESISTANCE = "support", "resistance"
GROUPS = {
    "wall": "wall", "swing_high": "swing", "swing_low": "swing", "poc": "poc", "naked_poc": "poc", "vah": "area",
    "val": "area", "hvn": "hvn",
}  # fmt: skip
CAPS = {"wall": 30.0, "swing": 30.0, "poc": 20.0, "area": 10.0, "hvn": 10.0}


class Evidence(NamedTuple):
    """Why a price may matter. Ordered by price first, so that sums do not depend on who told what when."""

    price: float
    kind: str
    venue: str
    weight: float
    known_ns: int


class Level(NamedTuple):
    """Evidence taken together; its weights add up to `strength`, 0 to 100."""

    price: float  # its mean, by weight
    side: str
    strength: float
    evidence: tuple[Evidence, ...]

    @property
    def low(self) -> float:
        """Its lowest price."""
        return self.evidence[0].price

    @property
    def high(self) -> float:
        """Its highest price."""
        return self.evidence[-1].price


def levels(evidence: Iterable[Evidence], gap: float, last_price: float) -> list[Level]:
    """The strongest levels of each side of `last_price`, at most LEVELS_MAX a side, by ascending price.

    A level at the last price is a resistance.
    """
    found = [_level(part, last_price) for part in clusters(sorted(evidence), gap)]
    chosen = []
    for side in (SUPPORT, RESISTANCE):
        mine = [level for level in found if level.side == side]
        mine.sort(key=lambda level: (-level.strength, abs(level.price - last_price)))
        chosen += mine[:LEVELS_MAX]
    return sorted(chosen)


def clusters(evidence: Sequence[Evidence], gap: float) -> list[Sequence[Evidence]]:
    """`evidence`, sorted by price, in clusters."""
    parts = _cut(evidence, gap)
    found: list[Sequence[Evidence]] = []
    while parts:
        part = parts.pop()
        if part[-1].price - part[0].price > WIDTH_GAPS * gap:
            widest = max(after.price - before.price for before, after in pairwise(part))
            parts += _cut(part, widest, closed=False)
        else:
            found.append(part)
    return found[::-1]


def _cut(evidence: Sequence[Evidence], gap: float, *, closed: bool = True) -> list[Sequence[Evidence]]:
    """In parts between which the distance is above `gap`, or, if not `closed`, `gap` too."""
    cuts = [0]
    for i in range(1, len(evidence)):
        away = evidence[i].price - evidence[i - 1].price
        if away > gap or (away == gap and not closed):
            cuts.append(i)
    return [evidence[a:b] for a, b in zip(cuts, [*cuts[1:], len(evidence)], strict=True) if a < b]


def _level(part: Sequence[Evidence], last_price: float) -> Level:
    if len(part) > EVIDENCE_MAX:
        part = sorted(sorted(part, key=lambda x: (-x.weight, x))[:EVIDENCE_MAX])
    sums: dict[str, float] = defaultdict(float)
    for x in part:
        sums[GROUPS[x.kind]] += x.weight
    shares = {group: min(1.0, CAPS[group] / total) for group, total in sums.items()}
    weighed = tuple(x._replace(weight=x.weight * shares[GROUPS[x.kind]]) for x in part)
    strength = sum(x.weight for x in weighed)
    mean = sum(x.weight * x.price for x in weighed) / strength
    price = min(max(mean, part[0].price), part[-1].price)  # rounding may carry it out
    return Level(price, SUPPORT if price < last_price else RESISTANCE, min(strength, 100.0), weighed)
