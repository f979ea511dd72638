"""What a simulated book is like, and what one step of it does. Prices are int ticks, sizes int lots."""

from dataclasses import dataclass
from typing import NamedTuple

BID, ASK = 0, 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What one book is like; prices in quote currency, `*_per_step` for 100 ms."""

    tick: float
    lot: float
    level_value: float  # median size of a level at 10 bps from the touch, quote currency
    levels_per_bps: float
    changes_per_step: float
    orders_per_s: float
    id_stride: int = 1  # at most so many update ids a change; over 1 the ids also jump between steps


class Change(NamedTuple):
    """One level set to `lots`; `before` is what stood there."""

    side: int
    tick: int
    before: int
    lots: int


class Fill(NamedTuple):
    """A part of a market order, at one price. `side` is the one that was hit: ASK means that the taker bought."""

    side: int
    tick: int
    lots: int


class Quote(NamedTuple):
    """The touch with the update id at which it stood."""

    update_id: int
    bid: int
    bid_lots: int
    ask: int
    ask_lots: int


class Step(NamedTuple):
    """What one step did, in order. Change i of n has id `first_id - 1 + (i + 1) * stride`."""

    previous_id: int
    first_id: int
    last_id: int
    stride: int
    changes: list[Change]
    fills: list[Fill]
    quotes: list[Quote]
    forced: int  # so many of the fills, the first ones, are the liquidation's


@dataclass(slots=True)
class Wall:
    """A large resting order and the time (s since the start) at which it is pulled."""

    side: int
    tick: int
    lots: int
    until_s: float
