"""Correlated random walks: where each asset's price is drawn to, second by second."""

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectors.simulator.symbols import ASSETS, Symbol

Floats = NDArray[np.float64]

# Volatility itself wanders: log-normal, half-life two minutes, so that quiet and busy spells alternate.
CALM_HALF_LIFE_S = 120.0
CALM_SPREAD = 0.35
# Now and then the whole crypto market runs one way for some seconds.
RUN_EVERY_S = 180.0
RUN_BPS_PER_S = 1.6
RUN_S = (3, 9)
FOREX_WITH_CRYPTO = 0.25  # correlation of the two common factors


class PricePath:
    """The log prices of symbols at the end of each second since the start.

    The walk of an asset depends on the seed and the count of seconds alone, so that markets of any venues, symbols
    and steps, whenever they start to move, follow one price; and a rate of two assets is the ratio of their prices.
    """

    def __init__(self, symbols: Sequence[Symbol], seed: int) -> None:
        names = sorted({name for x in symbols for name in (x.base, x.quote)})
        assets = [ASSETS[name] for name in names]
        self._common_random = np.random.default_rng([seed, 1])
        self._randoms = [np.random.default_rng([seed, 1, zlib.crc32(name.encode())]) for name in names]
        self._assets: Floats = np.log([x.price for x in assets])
        self._base = [names.index(x.base) for x in symbols]
        self._quote = [names.index(x.quote) for x in symbols]
        sigma = np.array([x.volatility_bps for x in assets]) / 1e4
        common = np.array([x.correlation for x in assets])
        self._forex = np.array([x.forex for x in assets])
        self._common, self._own = sigma * common, sigma * np.sqrt(1 - common**2)
        self._calm = 0.0
        self._run_left_s, self._run = 0, 0.0

    @property
    def logs(self) -> Floats:
        """The log prices, one a symbol."""
        logs: Floats = self._assets[self._base] - self._assets[self._quote]
        return logs

    @property
    def running(self) -> bool:
        """Whether the whole crypto market is running one way."""
        return self._run_left_s > 0

    def step(self) -> Floats:
        """Move on by one second; returns the new log prices, one a symbol."""
        keep = 0.5 ** (1 / CALM_HALF_LIFE_S)
        calm, crypto, forex = self._common_random.standard_normal(3)
        self._calm = keep * self._calm + math.sqrt(1 - keep**2) * calm
        heat = math.exp(CALM_SPREAD * self._calm - CALM_SPREAD**2)
        own = np.array([random.standard_normal() for random in self._randoms])
        forex = FOREX_WITH_CRYPTO * crypto + math.sqrt(1 - FOREX_WITH_CRYPTO**2) * forex
        factors = np.where(self._forex, forex * heat, crypto * heat + self._drift())
        self._assets = self._assets + self._common * factors + self._own * own * heat
        return self.logs

    def _drift(self) -> float:
        """Of the common factor of crypto, in its standard deviations a second. Draws the same count each time."""
        start, side, length = self._common_random.random(3)
        if self._run_left_s:
            self._run_left_s -= 1
        elif start < 1 / RUN_EVERY_S:
            self._run_left_s = int(RUN_S[0] + length * (RUN_S[1] - RUN_S[0]))
            self._run = RUN_BPS_PER_S if side < 0.5 else -RUN_BPS_PER_S
        return self._run if self._run_left_s else 0.0
