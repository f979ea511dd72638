"""Correlated random walks: where each symbol's price is drawn to, second by second."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectors.simulator.symbols import Symbol

Floats = NDArray[np.float64]

# Volatility itself wanders: log-normal, half-life two minutes, so that quiet and busy spells alternate.
CALM_HALF_LIFE_S = 120.0
CALM_SPREAD = 0.35
# Now and then the whole market runs one way for some seconds.
RUN_EVERY_S = 180.0
RUN_BPS_PER_S = 1.6
RUN_S = (3, 9)


class PricePath:
    """The log prices at the end of each second since the start, the same for every market of a seed.

    The draws depend on the count of seconds alone, so that two markets that move in different steps, or start to
    move at different moments, still follow one path.
    """

    def __init__(self, symbols: Sequence[Symbol], seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self.logs: Floats = np.log([x.price for x in symbols])
        self._sigma = np.array([x.volatility_bps for x in symbols]) / 1e4
        common = np.array([x.correlation for x in symbols])
        self._common, self._own = self._sigma * common, self._sigma * np.sqrt(1 - common**2)
        self._calm = 0.0
        self._run_left_s, self._run = 0, 0.0

    @property
    def running(self) -> bool:
        """Whether the whole market is running one way."""
        return self._run_left_s > 0

    def step(self) -> Floats:
        """Move on by one second; returns the new log prices, one a symbol."""
        keep = 0.5 ** (1 / CALM_HALF_LIFE_S)
        draws = self._random.standard_normal(len(self.logs) + 2)
        self._calm = keep * self._calm + math.sqrt(1 - keep**2) * draws[0]
        heat = math.exp(CALM_SPREAD * self._calm - CALM_SPREAD**2)
        drift = self._drift()
        moves = self._common * (draws[1] * heat + drift) + self._own * draws[2:] * heat
        self.logs = self.logs + moves
        return self.logs

    def _drift(self) -> float:
        """Of the common factor, in its standard deviations a second. Draws the same count each time."""
        start, side, length = self._random.random(3)
        if self._run_left_s:
            self._run_left_s -= 1
        elif start < 1 / RUN_EVERY_S:
            self._run_left_s = int(RUN_S[0] + length * (RUN_S[1] - RUN_S[0]))
            self._run = RUN_BPS_PER_S if side < 0.5 else -RUN_BPS_PER_S
        return self._run if self._run_left_s else 0.0
