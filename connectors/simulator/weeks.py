"""The past of the simulated assets: log prices at every minute, or every few, as far back as the weeks are counted.

A hierarchy, so that any week can be drawn by itself: from week to week an asset's log price wanders around where it
began (half-life a year); within a week it is a bridge of steps, of so many minutes, from one end to the other. Both
have the factors of `prices` (one of crypto, one of forex, shares as the assets name them) and its volatility a second.
What is drawn depends on the seed, the asset, the week and the step alone. Forex moves around the clock here, at
weekends too.
"""

import math
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from connectors.simulator.prices import FOREX_WITH_CRYPTO, Floats
from connectors.simulator.symbols import ASSETS

MINUTE_MS = 60_000
WEEK_MINUTES = 7 * 1440
WEEK_MS = WEEK_MINUTES * MINUTE_MS
MONDAY_MS = 4 * 86_400_000  # the first one; weeks are counted from there
WEEKS = 4000
HALF_LIFE_WEEKS = 52.0
# Volatility wanders from week to week, from day to day, and every two hours: spreads of its logarithm.
WEEK_SPREAD, WEEK_HALF_LIFE_WEEKS = 0.30, 4.0
DAY_SPREAD, SLOW_SPREAD, SLOW_MINUTES = 0.25, 0.35, 120
# By hour of the day (UTC), relative: crypto is busiest as New York opens, forex from London's opening to its close.
CRYPTO_HOURS = (
    0.95, 0.92, 0.88, 0.83, 0.80, 0.80, 0.84, 0.92, 0.98, 0.98, 0.96, 0.98,
    1.08, 1.25, 1.38, 1.36, 1.26, 1.14, 1.06, 1.02, 1.02, 1.00, 0.94, 0.93,
)  # fmt: skip
FOREX_HOURS = (
    0.72, 0.74, 0.70, 0.66, 0.62, 0.66, 0.88, 1.22, 1.32, 1.20, 1.06, 1.04,
    1.28, 1.46, 1.52, 1.42, 1.16, 0.92, 0.76, 0.66, 0.58, 0.50, 0.50, 0.60,
)  # fmt: skip


class Week(NamedTuple):
    """What all assets have in common in the steps of a week: normal factors, and volatility relative to a year's."""

    crypto: Floats
    forex: Floats
    crypto_heat: Floats
    forex_heat: Floats


class Past:
    """Log prices of assets (`symbols.ASSETS`) in US dollars, up to a constant each: `path`. Seeded."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        common = np.random.default_rng([seed, 5]).standard_normal((WEEKS, 3)).T
        keep = 0.5 ** (1 / WEEK_HALF_LIFE_WEEKS)
        calm = _wander(math.sqrt(1 - keep**2) * common[0], keep)[1:]
        self._heat: Floats = np.exp(WEEK_SPREAD * calm - WEEK_SPREAD**2)  # mean square 1
        self._crypto, self._forex = common[1], _forex(common[1], common[2])
        self.week = lru_cache(maxsize=512)(self._week)
        self._levels = lru_cache(maxsize=None)(self._draw_levels)  # one an asset

    def path(self, name: str, week: int, step: int = 1) -> Floats:
        """At the beginning of each step (minutes) of the week, and at its end. Raises KeyError, ValueError."""
        if not 0 <= week < WEEKS:
            raise ValueError(f"expected a week of 0..{WEEKS - 1} since {MONDAY_MS} ms, found {week}")
        asset, common, levels = ASSETS[name], self.week(week, step), self._levels(name)
        steps = WEEK_MINUTES // step
        if not asset.volatility_bps:
            return np.zeros(steps + 1)
        factor, heat = common[asset.forex], common[2 + asset.forex]
        own = np.random.default_rng([self._seed, 6, zlib.crc32(name.encode()), week]).standard_normal(steps)
        rho = asset.correlation
        sigma = asset.volatility_bps / 1e4 * math.sqrt(60 * step)
        walk = np.cumsum(sigma * heat * (rho * factor + math.sqrt(1 - rho**2) * own))
        share = np.cumsum(heat**2)
        walk += (levels[week + 1] - levels[week] - walk[-1]) / share[-1] * share
        path: Floats = np.concatenate(([0.0], walk)) + levels[week]
        return path

    def _draw_levels(self, name: str) -> Floats:
        """At the beginning of each week."""
        asset = ASSETS[name]
        own = np.random.default_rng([self._seed, 5, zlib.crc32(name.encode())]).standard_normal(WEEKS)
        factor, rho = (self._forex if asset.forex else self._crypto), asset.correlation
        sigma = asset.volatility_bps / 1e4 * math.sqrt(WEEK_MINUTES * 60)
        moves = sigma * self._heat * (rho * factor + math.sqrt(1 - rho**2) * own)
        return _wander(moves, 0.5 ** (1 / HALF_LIFE_WEEKS))

    def _week(self, week: int, step: int = 1) -> Week:
        """The factors and the volatility of the steps of a week; the latter's mean square is the week's."""
        random = np.random.default_rng([self._seed, 6, week])
        days = np.repeat(DAY_SPREAD * random.standard_normal(7), 1440 // step)
        slow = random.standard_normal(WEEK_MINUTES // SLOW_MINUTES + 1)
        minutes = np.arange(0, WEEK_MINUTES, step)
        calm = days + SLOW_SPREAD * np.interp(minutes / SLOW_MINUTES, np.arange(len(slow)), slow)
        crypto, other = random.standard_normal((2, WEEK_MINUTES // step))
        heats = []
        for hours in (CRYPTO_HOURS, FOREX_HOURS):
            pattern = np.interp(minutes % 1440 / 60, np.arange(25), [*hours, hours[0]])
            heat = np.exp(calm) * pattern
            heats.append(heat * self._heat[week] / math.sqrt(float(np.mean(heat**2))))
        return Week(crypto, _forex(crypto, other), *heats)


def _forex(crypto: Floats, other: Floats) -> Floats:
    factor: Floats = FOREX_WITH_CRYPTO * crypto + math.sqrt(1 - FOREX_WITH_CRYPTO**2) * other
    return factor


def _wander(moves: Floats, keep: float) -> Floats:
    """From 0, each time `keep` of what was before and a move."""
    at, found = 0.0, [0.0]
    for move in moves.tolist():
        at = keep * at + move
        found.append(at)
    return np.array(found)
