"""One simulated order book and the order flow around a price it is drawn to.

Levels live on a lattice of prices. A change picks a lattice price at a random distance from the touch and draws
anew whether an order rests there and how much, so the book keeps its profile wherever the price goes. The touch
follows the price: what stands in the way is traded or pulled, prices left behind are filled. Walls, large orders
at round prices, hold the price until they are eaten or pulled.

Prices are int ticks, sizes int lots.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from connectors.simulator.step import ASK, BID, Change, Fill, Quote, Shape, Step, Wall

REACH_BPS = 200.0  # levels are placed so far from the touch
REACH_TICKS = 120  # or so far, where a tick is wide
OCCUPIED = 0.9  # share of lattice prices with a level at the touch; falls by 1/e in FADE of the reach
FADE = 0.4
HOLD_BPS = 0.25  # the touch stays while the price is so near
CHANGES_MAX = 80  # of the lattice, a step
FILLS_PER_ORDER_MAX = 5
STRAYS_MAX = 8
TRIM_EVERY_S = 20.0
WALL_EVERY_S = 40.0
WALL_LIFE_S = 150.0
WALL_BPS = (6.0, 70.0)
WALL_LEVELS = (15.0, 60.0)  # size in typical levels
WALL_EATEN_PER_S = 0.12  # share of a wall that is traded while it holds the price
SPREAD_WIDE = 0.06  # share of moves that leave more than one tick


class SimulatedBook:
    """A book that moves by `step`. Never empty on a side, never crossed unless told by `cross`.

    `levels` are tick -> lots of bids and asks, `bid` and `ask` the ticks of the touch.
    """

    def __init__(self, shape: Shape, price: float, first_id: int, seed: list[int]) -> None:
        random = np.random.default_rng(seed)
        self._uniform: Callable[[], float] = _endless(random.random).__next__
        self._normal: Callable[[], float] = _endless(random.standard_normal).__next__
        self._shape = shape
        self._ticks_per_bps = price / shape.tick / 1e4
        self._reach_bps = max(REACH_BPS, REACH_TICKS / self._ticks_per_bps)
        self._cell = max(1, round(self._ticks_per_bps / shape.levels_per_bps))
        self._round = _nice(8 * self._ticks_per_bps)
        self._lots_per_value = 1 / (price * shape.lot)
        self.levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.bid = int(price / shape.tick)
        self.ask = self.bid + 1
        self.update_id = first_id
        self.walls: dict[tuple[int, int], Wall] = {}  # by side and tick
        self.heat = 1.0  # of trading: 1 while the price is calm
        self._time_s, self._trimmed_s = 0.0, 0.0
        self._strays: deque[tuple[int, int]] = deque()
        self._crossed_steps, self._crossing = 0, -1
        self._last_quote: tuple[int, ...] = ()
        self._begin()
        self._populate()
        self._end()
        self._begin()
        self.last = self._end()  # nothing to undo

    # ---- reading

    def state(self, undo: int = 0) -> tuple[int, dict[int, int], dict[int, int]]:
        """Update id, bids and asks (tick -> lots), as before the last `undo` changes of the last step."""
        sides = (dict(self.levels[BID]), dict(self.levels[ASK]))
        last = self.last
        keep = max(0, len(last.changes) - undo)
        for change in reversed(last.changes[keep:]):
            if change.before:
                sides[change.side][change.tick] = change.before
            else:
                sides[change.side].pop(change.tick, None)
        update_id = last.first_id - 1 + keep * last.stride if keep else last.previous_id
        return update_id if undo else self.update_id, *sides

    def touch(self, side: int) -> tuple[int, int]:
        """Tick and lots of the best level."""
        tick = self.ask if side else self.bid
        return tick, self.levels[side].get(tick, 0)

    # ---- moving

    def step(self, price: float, seconds: float, forced: tuple[int, int] | None = None) -> Step:
        """Let `seconds` pass while the price is drawn to `price`.

        `forced` is a liquidation: the side it hits and its lots, traded first.
        """
        self._begin()
        self._heal_crossing()
        target = price / self._shape.tick
        moved_bps = (target - (self.bid + self.ask) / 2) / self._ticks_per_bps
        self._time_s += seconds
        self.heat = 1 + (self.heat - 1) * math.exp(-seconds / 3) + 0.15 * min(abs(moved_bps), 6.0) * seconds
        if forced is not None:
            self._take(*forced)
            self._forced = len(self._fills)
        self._trade(seconds, max(-0.4, min(0.4, 0.2 * moved_bps)))
        self._move(target, seconds)
        self._churn(seconds)
        self._tend_walls(seconds)
        self._tidy()
        self._cross()
        self._quote()
        self.last = self._end()
        return self.last

    def cross(self, steps: int) -> None:
        """During the next `steps` steps a bid stands above the best ask."""
        self._crossed_steps = steps

    # ---- orders

    def _trade(self, seconds: float, lean: float) -> None:
        """Market orders; `lean` in [-0.5, 0.5] tips them to buying."""
        quoting = seconds < 0.5
        for _ in range(self._poisson(self._shape.orders_per_s * seconds * min(self.heat, 8.0))):
            value = self._shape.level_value / 50 * math.exp(1.6 * self._normal())
            self._take(ASK if self._uniform() < 0.5 + lean else BID, self._lots(value))
            if quoting:
                self._quote()

    def _take(self, side: int, lots: int) -> None:
        levels = self.levels[side]
        for _ in range(FILLS_PER_ORDER_MAX):
            if lots <= 0 or len(levels) < 3:
                return
            tick = self.ask if side else self.bid
            taken = min(lots, levels[tick])
            self._fills.append(Fill(side, tick, taken))
            self._set(side, tick, levels[tick] - taken)
            lots -= taken
            if tick not in levels:
                self._forget_wall(side, tick)
                self._set_touch(side, min(levels) if side else max(levels))

    def _move(self, target: float, seconds: float) -> None:
        """Bring the touch to the price, as far as walls let it."""
        hold = HOLD_BPS * self._ticks_per_bps + 0.3
        if self.bid - hold < target < self.ask + hold and (self.ask - self.bid <= 2 or self._uniform() < 0.4):
            self._refresh_touch()
            return
        spread = 1 if self._uniform() > SPREAD_WIDE else 2 + int(2 * hold * self._uniform())
        bid = max(1, math.floor(target - (spread - 1) / 2))
        ask = bid + spread
        if (wall := self._wall_before(ASK, bid)) is not None:
            self._eat(wall, seconds)
            ask = wall.tick if self._is_wall(ASK, wall.tick) else ask
            bid = min(bid, ask - 1)
        elif (wall := self._wall_before(BID, ask)) is not None:
            self._eat(wall, seconds)
            bid = wall.tick if self._is_wall(BID, wall.tick) else bid
            ask = max(ask, bid + 1)
        old_bid, old_ask = self.bid, self.ask
        self._clear(ASK, _between(self.levels[ASK], 0, ask))
        self._clear(BID, _between(self.levels[BID], bid + 1, 1 << 60)[::-1])
        self._strays.extend([(BID, old_bid), (ASK, old_ask)])
        self.bid, self.ask = bid, ask
        self._fill_in(BID, old_bid, bid)
        self._fill_in(ASK, ask, old_ask)
        self._refresh_touch(always=True)

    def _wall_before(self, side: int, tick: int) -> Wall | None:
        """The first wall that stands between the touch and the other side's new best `tick`."""
        if side:
            ticks = [wall.tick for wall in self.walls.values() if wall.side and wall.tick <= tick]
            return self.walls[side, min(ticks)] if ticks else None
        ticks = [wall.tick for wall in self.walls.values() if not wall.side and wall.tick >= tick]
        return self.walls[side, max(ticks)] if ticks else None

    def _eat(self, wall: Wall, seconds: float) -> None:
        """What stands before the wall goes, then orders hit it."""
        levels = self.levels[wall.side]
        before = (
            _between(levels, 0, wall.tick) if wall.side else _between(levels, wall.tick + 1, 1 << 60)[::-1]
        )
        self._clear(wall.side, before)
        self._set_touch(wall.side, wall.tick)
        eaten = int(wall.lots * WALL_EATEN_PER_S * seconds * (0.5 + self._uniform())) + 1
        taken = min(eaten, levels[wall.tick])
        self._fills.append(Fill(wall.side, wall.tick, taken))
        self._set(wall.side, wall.tick, levels[wall.tick] - taken)
        if levels.get(wall.tick, 0) < 0.1 * wall.lots:
            self._forget_wall(wall.side, wall.tick)

    def _clear(self, side: int, ticks: list[int]) -> None:
        """Levels in the way, best first: a part is traded, the rest pulled."""
        for tick in ticks:
            lots = self.levels[side][tick]
            if self._uniform() < 0.3:
                self._fills.append(Fill(side, tick, max(1, int(lots * self._uniform()))))
            self._set(side, tick, 0)
            self._forget_wall(side, tick)

    def _set_touch(self, side: int, tick: int) -> None:
        if side:
            self.ask = tick
        else:
            self.bid = tick

    def _refresh_touch(self, always: bool = False) -> None:
        for side in (BID, ASK):
            tick, lots = self.touch(side)
            if (always or not lots or self._uniform() < 0.5) and not self._is_wall(side, tick):
                self._set(side, tick, self._size(tick, 1.0))

    # ---- resting orders

    def _populate(self) -> None:
        self._refresh_touch(always=True)
        cells = int(self._reach_bps * self._ticks_per_bps / self._cell)
        for side, touch in ((BID, self.bid), (ASK, self.ask)):
            for cell in range(1, cells):
                self._resample(side, touch + (cell if side else -cell) * self._cell)
        for _ in range(4):
            self._build_wall()

    def _churn(self, seconds: float) -> None:
        # Of a level that changes again and again within a long step only the last size shows.
        steps = math.sqrt(seconds / 0.1)
        mean = self._shape.changes_per_step * steps * math.exp(0.7 * self._normal() - 0.25)
        for _ in range(min(CHANGES_MAX, int(mean + self._uniform()))):
            side = ASK if self._uniform() < 0.5 else BID
            ticks = int(self._distance_bps() * self._ticks_per_bps)
            self._resample(side, self.ask + ticks if side else self.bid - ticks)

    def _distance_bps(self) -> float:
        """Of a change: most are near the touch, a few anywhere."""
        kind, draw = self._uniform(), self._uniform()
        if kind > 0.93:
            return self._reach_bps * draw
        return -math.log(1 - draw) * (8.0 if kind < 0.55 else 35.0)

    def _fill_in(self, side: int, low: int, high: int) -> None:
        for tick in range(low, high, max(self._cell, (high - low) // CHANGES_MAX + 1)):
            self._resample(side, tick)

    def _resample(self, side: int, near: int) -> None:
        """Draw anew what rests at the lattice price at `near`."""
        start = near - near % self._cell
        to_round = -start % self._round
        tick = start + (to_round if to_round < self._cell else start * 40_503 // 7 % self._cell)
        ticks = tick - self.ask if side else self.bid - tick
        bps = ticks / self._ticks_per_bps
        if ticks <= 0 or tick <= 0 or bps > self._reach_bps or self._is_wall(side, tick):
            return
        rests = self._uniform() < OCCUPIED * math.exp(-bps / (FADE * self._reach_bps))
        self._set(side, tick, self._size(tick, bps) if rests else 0)

    def _size(self, tick: int, bps: float) -> int:
        """Lots of an order at a distance from the touch: less near it, more far away and at round prices."""
        value = self._shape.level_value * (0.35 + 0.065 * min(bps, 10.0) + bps / 60)
        if tick % self._round == 0:
            value *= 4
        return self._lots(value * math.exp(1.1 * self._normal()))

    def _lots(self, value: float) -> int:
        return max(1, int(value * self._lots_per_value))

    def _set(self, side: int, tick: int, lots: int) -> None:
        levels = self.levels[side]
        before = levels.get(tick, 0)
        if before == lots:
            return
        if lots:
            levels[tick] = lots
        else:
            del levels[tick]
        self._changes.append(Change(side, tick, before, lots))

    # ---- walls

    def _is_wall(self, side: int, tick: int) -> bool:
        return (side, tick) in self.walls

    def _forget_wall(self, side: int, tick: int) -> None:
        self.walls.pop((side, tick), None)

    def _build_wall(self) -> None:
        side = ASK if self._uniform() < 0.5 else BID
        low, high = WALL_BPS
        ticks = max(3, int((low + (high - low) * self._uniform() ** 2) * self._ticks_per_bps))
        tick = self.ask + ticks if side else self.bid - ticks
        tick -= tick % self._round if self._round < ticks else 0
        size = WALL_LEVELS[0] + (WALL_LEVELS[1] - WALL_LEVELS[0]) * self._uniform()
        life_s = 20 - WALL_LIFE_S * math.log(1 - self._uniform())
        if self._is_wall(side, tick) or not (tick > self.ask if side else 0 < tick < self.bid):
            return
        wall = Wall(side, tick, self._lots(size * self._shape.level_value), self._time_s + life_s)
        self.walls[side, tick] = wall
        self._set(side, tick, wall.lots)

    def _tend_walls(self, seconds: float) -> None:
        for wall in [x for x in self.walls.values() if x.until_s <= self._time_s]:
            self._forget_wall(wall.side, wall.tick)
            if wall.tick != (self.ask if wall.side else self.bid):
                self._set(wall.side, wall.tick, 0)
        if self._uniform() < seconds / WALL_EVERY_S:
            self._build_wall()

    # ---- housekeeping

    def _tidy(self) -> None:
        """Take away former touches, which stand off the lattice, and now and then what is far away."""
        while len(self._strays) > STRAYS_MAX:
            side, tick = self._strays.popleft()
            if tick != (self.ask if side else self.bid) and not self._is_wall(side, tick):
                self._set(side, tick, 0)
        if self._time_s - self._trimmed_s >= TRIM_EVERY_S:
            self._trimmed_s = self._time_s
            reach = int(1.2 * self._reach_bps * self._ticks_per_bps)
            for tick in _between(self.levels[BID], 0, self.bid - reach):
                self._set(BID, tick, 0)
            for tick in _between(self.levels[ASK], self.ask + reach, 1 << 60):
                self._set(ASK, tick, 0)

    def _cross(self) -> None:
        if self._crossed_steps:
            self._crossed_steps -= 1
            self._crossing = self.ask + 1
            self._set(BID, self._crossing, self._size(self._crossing, 1.0))

    def _heal_crossing(self) -> None:
        if self._crossing >= 0:
            self._set(BID, self._crossing, 0)
            self._crossing = -1

    def _quote(self) -> None:
        bid, ask = self.touch(BID), self.touch(ASK)
        if (*bid, *ask) != self._last_quote and bid[1] and ask[1]:
            self._last_quote = (*bid, *ask)
            update_id = self._first_id - 1 + self._stride * len(self._changes)
            self._quotes.append(Quote(update_id, *bid, *ask))

    def _begin(self) -> None:
        self._changes: list[Change] = []
        self._fills: list[Fill] = []
        self._quotes: list[Quote] = []
        self._forced = 0
        jumps = self._shape.id_stride > 1
        self._stride = 1 + int(self._uniform() * self._shape.id_stride) if jumps else 1
        self._first_id = self.update_id + 1 + (int(self._uniform() * 50) if jumps else 0)

    def _end(self) -> Step:
        """What has been done since `_begin`."""
        before = self.update_id
        if self._changes:
            self.update_id = self._first_id - 1 + self._stride * len(self._changes)
        return Step(
            before,
            self._first_id,
            self.update_id,
            self._stride,
            self._changes,
            self._fills,
            self._quotes,
            self._forced,
        )

    def _poisson(self, mean: float) -> int:
        limit, product, count = math.exp(-min(mean, 200.0)), self._uniform(), 0
        while product > limit:
            product *= self._uniform()
            count += 1
        return count


def _endless(draw: Callable[[int], np.ndarray]) -> Iterator[float]:
    """Draws one by one; made in blocks, because a single draw costs as much as a hundred."""
    while True:
        yield from draw(4096).tolist()


def _nice(ticks: float) -> int:
    """The largest of 5, 10, 20, 50, 100 ... up to `ticks`, at least 5."""
    nice = 5
    while True:
        following = nice * 5 // 2 if str(nice)[0] == "2" else nice * 2
        if following > ticks:
            return nice
        nice = following


def _between(levels: dict[int, int], low: int, high: int) -> list[int]:
    """Ticks with a level in [low, high), rising."""
    return sorted(tick for tick in levels if low <= tick < high)
