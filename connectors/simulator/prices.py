"""Correlated random walks: where each asset's price is drawn to, second by second."""

import math
import zlib
from collections.abc import Sequence
from itertools import accumulate

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
BLOCK_S = 512  # drawn at once


class AssetPaths:
    """The log prices of assets at the end of each second since the start, in US dollars.

    The walk of an asset depends on the seed and the count of seconds alone, whatever assets there are beside it.
    """

    def __init__(self, names: Sequence[str], seed: int) -> None:
        assets = [ASSETS[name] for name in names]
        self._common_random, self._run_random = (np.random.default_rng([seed, 1, n]) for n in (0, 1))
        self._randoms = [np.random.default_rng([seed, 1, zlib.crc32(name.encode())]) for name in names]
        self.logs: Floats = np.log([x.price for x in assets])
        sigma = np.array([x.volatility_bps for x in assets]) / 1e4
        common = np.array([x.correlation for x in assets])
        self._forex = np.array([x.forex for x in assets])
        self._common, self._own = sigma * common, sigma * np.sqrt(1 - common**2)
        self._calm = 0.0
        self._run_left_s, self._run = 0, 0.0

    def block(self) -> tuple[Floats, list[bool]]:
        """The next `BLOCK_S` seconds: log prices (second, asset), and whether the crypto market was running."""
        calm, crypto, forex = self._common_random.standard_normal((BLOCK_S, 3)).T
        heat = np.exp(CALM_SPREAD * self._calms(calm) - CALM_SPREAD**2)
        own = np.stack([random.standard_normal(BLOCK_S) for random in self._randoms], axis=1)
        forex = FOREX_WITH_CRYPTO * crypto + math.sqrt(1 - FOREX_WITH_CRYPTO**2) * forex
        drift = self._drifts(*self._run_random.random((BLOCK_S, 3)).T)
        factors = np.where(self._forex, (forex * heat)[:, None], (crypto * heat + drift)[:, None])
        moves = self._common * factors + self._own * own * heat[:, None]
        logs: Floats = self.logs + np.cumsum(moves, axis=0)
        self.logs = logs[-1]
        return logs, (drift != 0).tolist()

    def _calms(self, draws: Floats) -> Floats:
        keep = 0.5 ** (1 / CALM_HALF_LIFE_S)
        moves = (math.sqrt(1 - keep**2) * draws).tolist()
        calms = list(accumulate(moves, lambda calm, move: keep * calm + move, initial=self._calm))
        self._calm = calms[-1]
        return np.array(calms[1:])

    def _drifts(self, start: Floats, side: Floats, length: Floats) -> Floats:
        """Of the common factor of crypto, in its standard deviations a second."""
        drifts = np.zeros(BLOCK_S)
        over = self._run_left_s  # the second of this block in which the run under way is over
        drifts[:over] = self._run
        for at in np.flatnonzero(start < 1 / RUN_EVERY_S).tolist():
            if at > over or not over:
                over = at + int(RUN_S[0] + length[at] * (RUN_S[1] - RUN_S[0]))
                self._run = RUN_BPS_PER_S if side[at] < 0.5 else -RUN_BPS_PER_S
                drifts[at:over] = self._run
        self._run_left_s = max(0, over - BLOCK_S)
        return drifts


class PricePath:
    """The log prices of symbols at the end of each second since the start.

    Markets of any venues, symbols and steps, whenever they start to move, follow one price of an asset; and a rate of
    two assets is the ratio of their prices.
    """

    def __init__(self, symbols: Sequence[Symbol], seed: int) -> None:
        names = sorted({name for x in symbols for name in (x.base, x.quote)})
        self._paths = AssetPaths(names, seed)
        self._base = [names.index(x.base) for x in symbols]
        self._quote = [names.index(x.quote) for x in symbols]
        self.logs = self._of(self._paths.logs)  # one a symbol
        self.running = False  # whether the whole crypto market is running one way
        self._logs: Floats = np.empty((0, len(symbols)))
        self._running: list[bool] = []
        self._at = 0

    def step(self) -> Floats:
        """Move on by one second; returns the new log prices, one a symbol."""
        if self._at == len(self._logs):
            logs, self._running = self._paths.block()
            self._logs, self._at = self._of(logs), 0
        self.logs, self.running = self._logs[self._at], self._running[self._at]
        self._at += 1
        return self.logs

    def _of(self, assets: Floats) -> Floats:
        rates: Floats = assets[..., self._base] - assets[..., self._quote]
        return rates
