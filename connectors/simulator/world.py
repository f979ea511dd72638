"""The simulated prices, past and present, for any pair of assets: what `api.World` promises, and bars for venues.

One grid of minutes, drawn straight over a quarter of an hour in weeks older than the last `FINE_WEEKS`. Before the
beginning of the simulator's play (`VenueClock.begin_ms`) its points are `weeks`'s, moved so that they meet the walk of
the venues (`prices`) where that begins; after it they are that walk itself. So the price at a whole minute is the one
that simulated venues trade around; between two it is drawn straight.

What holds exactly. A minute opens and closes at the grid's prices, its high and low are those of a Brownian motion
between them, in the older weeks those prices. Every longer bar is the aggregate of its minutes: open, high, low, close,
and trades; volumes too, as counts of lots, that is up to the rounding of a float. A bar that is open still has grown
with the time since, and never shrinks. The same seed and beginning give the same bars, in whatever order they are asked
for.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.simulator.api import WorldBar
from connectors.simulator.clock import VenueClock
from connectors.simulator.market import BASIS_BPS, FUTURES_DEPTH, FUTURES_RATE
from connectors.simulator.prices import BLOCK_S, FOREX_WITH_CRYPTO, AssetPaths, Floats
from connectors.simulator.symbols import ASSETS, Kind, Symbol, listed
from connectors.simulator.weeks import MINUTE_MS, MONDAY_MS, WEEK_MINUTES, WEEK_MS, Past

PAST_MS = 5 * 366 * 86_400_000  # so far back before the beginning there are prices
HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
BARS_MAX = 100_000  # in an answer
AHEAD_MINUTES = 60  # the walk is drawn so far ahead at once
FINE_WEEKS, COARSE_STEP = (
    14,
    15,
)  # weeks before the beginning whose steps are minutes; minutes of a step before them
MINUTE_WEEKS_KEPT, HOUR_WEEKS_KEPT, ASSET_WEEKS_KEPT = 64, 8192, 64
ACTIVITY_SPREAD = 0.5
# Measured on the simulated markets: what is traded for each market order, in typical levels and in fills.
ORDER_LEVELS, FILLS = 0.17, 1.5
NAMES = tuple(sorted(ASSETS))


class Scale(NamedTuple):
    """What a market makes of the bars of a pair: its busyness, its lots, and what its price is to the pair's."""

    volume: float  # a minute, in base currency, on average
    trades: float  # a minute, on average
    lot: float
    price: float = 1.0


class Grid(NamedTuple):
    """Consecutive bars of one length as columns; running sums of activity, one more than bars."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    activity: Floats  # since the week began; on average 1 a minute
    bought: Floats  # the part of it in which the buyer was the aggressor


class Rows(NamedTuple):
    """Bars as columns; volumes in lots."""

    open_ms: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    lots: NDArray[np.int64]
    bought: NDArray[np.int64]
    trades: NDArray[np.int64]


class SimulatedWorld:
    """Prices of pairs of `symbols.ASSETS` up to the clock's time, from `PAST_MS` before its beginning on."""

    def __init__(self, seed: int, clock: VenueClock) -> None:
        self._seed, self._clock = seed, clock
        self._past = Past(seed)
        self._walk = _Walk(seed)
        self._weeks = lru_cache(maxsize=ASSET_WEEKS_KEPT)(self._asset_week)
        self._minutes = lru_cache(maxsize=MINUTE_WEEKS_KEPT)(self._pair_week)
        self._hours = lru_cache(maxsize=HOUR_WEEKS_KEPT)(self._pair_hours)
        self._shift = lru_cache(maxsize=None)(self._draw_shift)  # one an asset

    @property
    def now_ms(self) -> int:
        """The present."""
        return self._clock.now_ms()

    def price(self, base: str, quote: str, time_ms: int) -> float:
        """Of one base in quote; of a time to come, that of the present. Raises KeyError, ValueError."""
        time_ms = min(time_ms, self.now_ms)
        week, within_ms = divmod(time_ms - MONDAY_MS, WEEK_MS)
        step = self._step(week)
        at, ms = divmod(within_ms, step * MINUTE_MS)
        known = self._known(week, time_ms)
        found = []
        for name in (base, quote):
            before, after = self._weeks(name, week, known)[at : at + 2].tolist()
            found.append(before + (after - before) * (ms / (step * MINUTE_MS)))
        return math.exp(found[0] - found[1])

    def bars(
        self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int, scale: Scale | None = None
    ) -> list[WorldBar]:
        """Those that open within [from_ms, to_ms) and not after now, oldest first; the last may be open still.

        Of more than `BARS_MAX` the last. Where they open: `opening_ms`.

        Raises:
            KeyError: an asset that there is not.
            ValueError: an interval that is no whole number of minutes dividing the day, nor one of days.
        """
        if interval_s <= 0 or interval_s % 60 or (DAY_S % interval_s and interval_s % DAY_S):
            raise ValueError(
                f"expected an interval of minutes that divide a day, or of days, found {interval_s} s"
            )
        scale = scale or _usual(base, quote)
        now_ms, first_ms = self.now_ms, self._clock.begin_ms() - PAST_MS
        first_ms = max(from_ms, first_ms, min(to_ms, now_ms) - BARS_MAX * interval_s * 1000)
        from_ms = opening_ms(first_ms - 1, interval_s) + interval_s * 1000
        open_ms = opening_ms(now_ms, interval_s)  # of the bar that is open
        found = self._closed(base, quote, interval_s, from_ms, min(to_ms, open_ms), scale)
        if from_ms <= open_ms < to_ms:
            found += self._open(base, quote, interval_s, open_ms, now_ms, scale)
        return found

    # ---- bars

    def _closed(
        self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int, scale: Scale
    ) -> list[WorldBar]:
        """Those that open in [from_ms, to_ms), which begins with one."""
        if from_ms >= to_ms:
            return []
        span_ms = interval_s * 1000
        end_ms = from_ms + -(-(to_ms - from_ms) // span_ms) * span_ms
        every = HOUR_S if interval_s % HOUR_S == 0 else 60
        rows = self._rows(base, quote, every, from_ms, end_ms, scale)
        return _told(_aggregated(rows, from_ms, span_ms) if interval_s != every else rows, scale)

    def _open(
        self, base: str, quote: str, interval_s: int, open_ms: int, now_ms: int, scale: Scale
    ) -> list[WorldBar]:
        """The one of which a part is past."""
        minute_ms = now_ms // MINUTE_MS * MINUTE_MS
        rows = self._rows(base, quote, 60, open_ms, minute_ms + MINUTE_MS, scale)
        passed = (now_ms - minute_ms) / MINUTE_MS
        rows = _cut(rows, passed, self.price(base, quote, now_ms) * scale.price)
        return _told(_aggregated(rows, open_ms, interval_s * 1000), scale)

    def _rows(self, base: str, quote: str, every_s: int, from_ms: int, to_ms: int, scale: Scale) -> Rows:
        """Hours or minutes of [from_ms, to_ms)."""
        every_ms = every_s * 1000
        grids: Callable[[str, str, int, int], Grid] = self._minutes if every_s == 60 else self._hours
        parts = []
        for week in range((from_ms - MONDAY_MS) // WEEK_MS, (to_ms - 1 - MONDAY_MS) // WEEK_MS + 1):
            week_ms = MONDAY_MS + week * WEEK_MS
            grid = grids(_like(base), _like(quote), week, self._known(week, min(to_ms, week_ms + WEEK_MS)))
            low, high = max(0, from_ms - week_ms) // every_ms, min(WEEK_MS, to_ms - week_ms) // every_ms
            counted = [
                np.diff(np.floor(sums[low : high + 1] * per)).astype(np.int64)
                for sums, per in (
                    (grid.activity, scale.volume / scale.lot),
                    (grid.bought, scale.volume / scale.lot),
                    (grid.activity, scale.trades),
                )
            ]
            prices = [x[low:high] * scale.price for x in grid[:4]]
            times = week_ms + every_ms * np.arange(low, high, dtype=np.int64)
            counted[1] = np.minimum(counted[0], counted[1])
            parts.append(Rows._make((times, *prices, *counted)))
        return parts[0] if len(parts) == 1 else Rows(*map(np.concatenate, zip(*parts, strict=True)))

    # ---- the grid

    def _known(self, week: int, to_ms: int) -> int:
        """How much of the walk a week has to do with, in minutes, so that the grid reaches beyond `to_ms`.

        It is a part of the caches' keys: a week is drawn again when the walk has gone on.
        """
        begin_ms = self._clock.begin_ms()
        week_end_ms = MONDAY_MS + (week + 1) * WEEK_MS
        if week_end_ms <= begin_ms:
            return 0
        wanted = self._walk.reach(begin_ms, to_ms + MINUTE_MS)
        return min(wanted, (week_end_ms - begin_ms) // MINUTE_MS + 1)

    def _step(self, week: int) -> int:
        """Minutes between the points of the grid in a week."""
        begin_week = (self._clock.begin_ms() - MONDAY_MS) // WEEK_MS
        return 1 if week > begin_week - FINE_WEEKS else COARSE_STEP

    def _asset_week(self, name: str, week: int, known: int) -> Floats:
        """Log prices at the steps of a week; nan beyond the walk's `known` minutes."""
        begin_ms, week_ms, step = self._clock.begin_ms(), MONDAY_MS + week * WEEK_MS, self._step(week)
        if week_ms <= begin_ms:
            logs = self._past.path(name, week, step) + self._shift(name)
        else:
            logs = np.full(WEEK_MINUTES + 1, np.nan)
        if step > 1:
            return logs
        # The walk's first point is that of the first whole minute after the beginning.
        first = begin_ms // MINUTE_MS + 1 - week_ms // MINUTE_MS
        logs[max(0, first) :] = np.nan
        walk = self._walk.minutes[:known, NAMES.index(name)]
        low, high = max(0, first), min(WEEK_MINUTES + 1, first + known)
        if low < high:
            logs[low:high] = walk[low - first : high - first]
        return logs

    def _draw_shift(self, name: str) -> float:
        """What is added to the logs of an asset's past, so that it ends where its walk begins."""
        week, within_ms = divmod(self._clock.begin_ms() - MONDAY_MS, WEEK_MS)
        path = self._past.path(name, week)
        at = float(np.interp(within_ms / MINUTE_MS, np.arange(len(path)), path))
        return math.log(ASSETS[name].price) - at

    def _pair_week(self, base: str, quote: str, week: int, known: int) -> Grid:
        """The minutes of a week."""
        step, grid = self._step(week), self._pair_steps(base, quote, week, known)
        if step == 1:
            return grid
        logs = self._weeks(base, week, known) - self._weeks(quote, week, known)
        minutes, points = np.arange(WEEK_MINUTES + 1), np.arange(0, WEEK_MINUTES + 1, step)
        price = np.exp(np.interp(minutes, points, logs))
        begin, end = price[:-1], price[1:]
        sums = (np.interp(minutes, points, x) for x in grid[4:])
        return Grid._make((begin, np.maximum(begin, end), np.minimum(begin, end), end, *sums))

    def _pair_steps(self, base: str, quote: str, week: int, known: int) -> Grid:
        """The steps of a week, of a minute or more."""
        step = self._step(week)
        steps = WEEK_MINUTES // step
        logs = self._weeks(base, week, known) - self._weeks(quote, week, known)
        of, common = (ASSETS[base], ASSETS[quote]), self._past.week(week, step)
        heat = common.forex_heat if all(x.forex or not x.volatility_bps for x in of) else common.crypto_heat
        # Four bytes are enough for what is noise, and cost half.
        seed, few = [self._seed, 7, zlib.crc32(f"{base}/{quote}".encode()), week], np.float32
        random = np.random.default_rng(seed)
        sigma = (_volatility(base, quote) * math.sqrt(60 * step) * heat).astype(few)
        price, moved = np.exp(logs), np.diff(logs).astype(few)
        begin, end = price[:-1], price[1:]
        high, low = np.maximum(begin, end), np.minimum(begin, end)
        if step == 1:
            # The maximum of a Brownian bridge, by inversion of its distribution; the minimum likewise.
            above, below = np.log1p(-random.random((2, steps), few))
            square, twice = moved * moved, 2 * sigma * sigma
            high = np.maximum(high, begin * np.exp((moved + np.sqrt(square - twice * above)) / 2))
            low = np.minimum(low, begin * np.exp((moved - np.sqrt(square - twice * below)) / 2))
        busy, leaning = random.standard_normal((2, steps), few)
        turned = np.nan_to_num(moved) / np.maximum(sigma, few(1e-12))
        activity = step * heat * np.exp(ACTIVITY_SPREAD * busy - ACTIVITY_SPREAD**2 / 2)
        activity *= 0.6 + 0.5 * np.minimum(np.abs(turned), 4)
        bought = activity * np.clip(0.5 + 0.1 * turned + 0.08 * leaning, 0.05, 0.95)
        return Grid._make((begin, high, low, end, _sums(activity), _sums(bought)))

    def _pair_hours(self, base: str, quote: str, week: int, known: int) -> Grid:
        """The hours of a week."""
        x, per = self._pair_steps(base, quote, week, known), 60 // self._step(week)
        high, low = x.high.reshape(-1, per).max(axis=1), x.low.reshape(-1, per).min(axis=1)
        begin, end = x.open[::per].copy(), x.close[per - 1 :: per].copy()
        return Grid(begin, high, low, end, x.activity[::per].copy(), x.bought[::per].copy())


class _Walk:
    """The walk of the venues at whole minutes after its beginning: `minutes`, (minute, asset of `NAMES`)."""

    def __init__(self, seed: int) -> None:
        self._paths = AssetPaths(NAMES, seed)
        self.minutes: Floats = np.empty((0, len(NAMES)))
        self._drawn_s = 0

    def reach(self, begin_ms: int, to_ms: int) -> int:
        """Draw it until then, or a little further; the count of its minutes."""
        first_s = MINUTE_MS // 1000 - begin_ms // 1000 % 60  # of the first minute, since the beginning
        wanted = max(0, (to_ms - begin_ms) // MINUTE_MS + 1)
        parts = []
        if wanted > len(self.minutes):
            until_s = first_s + (wanted + AHEAD_MINUTES) * 60
            while self._drawn_s < until_s:
                logs, _ = self._paths.block()
                # Row i is the end of second drawn_s + i + 1.
                parts.append(logs[(first_s - self._drawn_s - 1) % 60 :: 60])
                self._drawn_s += BLOCK_S
            self.minutes = np.concatenate([self.minutes, *parts])
        return len(self.minutes)


def _like(name: str) -> str:
    """The asset whose bars are the same: all that are one dollar for ever are the dollar."""
    return "USD" if replace(ASSETS[name], name="USD") == ASSETS["USD"] else name


def _volatility(base: str, quote: str) -> float:
    """Standard deviation of the log return of a pair in a second."""
    a, b = ASSETS[base], ASSETS[quote]
    together = a.correlation * b.correlation * (1.0 if a.forex == b.forex else FOREX_WITH_CRYPTO)
    variance = a.volatility_bps**2 + b.volatility_bps**2 - 2 * together * a.volatility_bps * b.volatility_bps
    return math.sqrt(max(0.0, variance if base != quote else 0.0)) / 1e4


@lru_cache(maxsize=1024)
def _usual(base: str, quote: str) -> Scale:
    """As busy as an instrument of the like that a venue lists."""
    return scale_of(listed("", base, quote, "0.00000001", "0.00000001"))


def scale_of(symbol: Symbol, kind: Kind = "spot") -> Scale:
    """As busy as the simulated market of that instrument is."""
    futures = kind == "futures"
    orders = 60 * symbol.orders_per_s * (FUTURES_RATE if futures else 1)
    value = ORDER_LEVELS * symbol.level * (FUTURES_DEPTH if futures else 1)
    lot = float(symbol.grid(kind).lot)
    basis = 1 + BASIS_BPS / 1e4 if futures else 1.0
    return Scale(orders * value / symbol.price, orders * FILLS, lot, basis)


def joined(minutes: Sequence[WorldBar], interval_s: int) -> list[WorldBar]:
    """Bars of an interval made of those of minutes, oldest first; where there is no minute there is no bar."""
    found: list[WorldBar] = []
    for x in minutes:
        open_ms = opening_ms(x.open_ms, interval_s)
        if not found or found[-1].open_ms != open_ms:
            found.append(x._replace(open_ms=open_ms))
            continue
        last = found[-1]
        sums = last.volume + x.volume, last.buy_volume + x.buy_volume, last.trades + x.trades
        found[-1] = WorldBar(open_ms, last.open, max(last.high, x.high), min(last.low, x.low), x.close, *sums)
    return found


def opening_ms(time_ms: int, interval_s: int) -> int:
    """When the bar that holds a time opens. Bars of a week open on Mondays, others at multiples since 1970 (UTC)."""
    offset_ms = MONDAY_MS if interval_s == WEEK_S else 0
    return time_ms - (time_ms - offset_ms) % (interval_s * 1000)


def _sums(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _aggregated(rows: Rows, first_ms: int, span_ms: int) -> Rows:
    """Bars of `span_ms` of shorter ones, which begin at `first_ms`."""
    groups = (rows.open_ms - first_ms) // span_ms
    at = np.flatnonzero(np.diff(groups, prepend=-1))
    last = np.append(at[1:], len(groups)) - 1
    sums = (np.add.reduceat(x, at) for x in rows[5:])
    high, low = np.maximum.reduceat(rows.high, at), np.minimum.reduceat(rows.low, at)
    return Rows(rows.open_ms[at], rows.open[at], high, low, rows.close[last], *sums)


def _cut(rows: Rows, passed: float, price: float) -> Rows:
    """The last one as it stood when that part of it had passed."""
    opened = rows.open[-1]
    high = max(opened, price, opened + (rows.high[-1] - opened) * passed)
    low = min(opened, price, opened + (rows.low[-1] - opened) * passed)
    lots, bought, trades = (int(x[-1] * passed) for x in rows[5:])
    told = (rows.open_ms[-1], opened, high, low, price, lots, bought, trades)
    return Rows(*(np.append(x[:-1], value) for x, value in zip(rows, told, strict=True)))


def _told(rows: Rows, scale: Scale) -> list[WorldBar]:
    columns = (*rows[:5], rows.lots * scale.lot, rows.bought * scale.lot, rows.trades)
    return list(map(WorldBar._make, zip(*(x.tolist() for x in columns), strict=True)))
