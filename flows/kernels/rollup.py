"""Columns of an order book and their means over an interval: the rows of `depth_1s`, `depth_10s`, `depth_1m`."""

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flows.kernels import book as b
from flows.kernels.order_book import BAND_BPS, COLUMN_BINS, OrderBook
from flows.kernels.snapshot import ALL_ASKS, NO_BIDS

TABLES = {1: "depth_1s", 10: "depth_10s", 60: "depth_1m"}  # by seconds
BANDS = [int(bps) for bps in BAND_BPS]
MEASURES = (
    "best_bid", "best_ask", "best_bid_size", "best_ask_size", "spread", "mid", "weighted_mid",
    *(f"bid_{bps}bps" for bps in BANDS), *(f"ask_{bps}bps" for bps in BANDS), *(f"imbalance_{bps}bps" for bps in BANDS),
    "ofi", "updates", "received_ns",
)  # fmt: skip
COLUMNS = (
    "instrument",
    "venue",
    "time",
    "live_s",
    "bin_step",
    "base_bin",
    "bid",
    "ask",
    "covered_low",
    "covered_high",
    *MEASURES,
    "version",
)
BLOCK_BINS = 64


class Column:
    """A complete book at one moment, in ticks and lots.

    `bins` int64[2, COLUMN_BINS] (bids, asks) from bin `first` on, `bands` int64[2, len(BANDS)]; -1: not known.
    """

    __slots__ = (
        "ask",
        "ask_lots",
        "bands",
        "bid",
        "bid_lots",
        "bins",
        "covered",
        "first",
        "price_decimals",
        "received_ns",
        "size_decimals",
    )

    def __init__(self, book: OrderBook) -> None:
        m, covered = book.meta, book.reach()
        self.bins = np.empty((2, COLUMN_BINS), np.int64)
        self.bands = np.empty((2, len(BANDS)), np.int64)
        self.first = int(
            b.column(
                book.window,
                book.far_key,
                book.far_lots,
                m,
                book.bin_ticks(),
                covered,
                self.bins,
                self.bands,
                BAND_BPS,
            )
        )
        self.bid, self.ask = int(m[b.BEST_BID]), int(m[b.BEST_ASK])
        base, width = int(m[b.BASE]), int(m[b.WIDTH])
        self.bid_lots = int(book.window[self.bid - base])
        self.ask_lots = int(book.window[width + self.ask - base])
        self.price_decimals, self.size_decimals = int(m[b.PRICE_DECIMALS]), int(m[b.SIZE_DECIMALS])
        self.received_ns = int(m[b.RECEIVED])
        low, high = (int(tick) for tick in covered)
        self.covered = (
            math.inf if low == NO_BIDS else low / 10**self.price_decimals,
            math.inf if high == ALL_ASKS else high / 10**self.price_decimals,
        )

    def quotes(self) -> tuple[float, ...]:
        """Best bid, ask, their sizes, spread, mid and weighted mid; each the float nearest to the exact value."""
        bid, ask, price, size = self.bid, self.ask, 10**self.price_decimals, 10**self.size_decimals
        at_best = self.bid_lots + self.ask_lots
        weighted = bid * self.ask_lots + ask * self.bid_lots
        return (
            bid / price, ask / price, self.bid_lots / size, self.ask_lots / size,
            (ask - bid) / price, (bid + ask) / (2 * price), weighted / (at_best * price),
        )  # fmt: skip


class Rollup:
    """The running interval of one length. A rescaled book brings finer lots: the sums follow."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self.live_s = 0
        self._first = 0
        self._total: NDArray[np.int64] = np.zeros((2, 0), np.int64)
        self._seconds: NDArray[np.int64] = np.zeros((2, 0), np.int64)
        self._bands: NDArray[np.int64] = np.zeros((2, len(BANDS)), np.int64)
        self._band_seconds: NDArray[np.int64] = np.zeros((2, len(BANDS)), np.int64)
        self._size_decimals = 0
        self._ofi_lots = 0
        self._updates = 0
        self._received_ns = 0
        self._quotes: tuple[float, ...] = ()  # covered prices, best prices and what follows from them

    def add(self, column: Column, ofi_lots: int, updates: int) -> None:
        """One more live second, with the order flow and messages of that second."""
        if self.live_s == 0:
            self._open(column)
        self._rescale(column.size_decimals)
        self._reach(column.first)
        b.accumulate(column.bins, column.first - self._first, self._total, self._seconds)
        b.accumulate(column.bands, 0, self._bands, self._band_seconds)
        self.live_s += 1
        self._ofi_lots += ofi_lots
        self._updates += updates
        self._received_ns = column.received_ns
        self._quotes = (*column.covered, *column.quotes())

    def row(
        self, instrument: str, venue: str, start_s: int, bin_step: float, version: int
    ) -> tuple[Any, ...]:
        """The interval that began at `start_s` as a row in the order of COLUMNS; the next `add` begins anew."""
        scale = 10**self._size_decimals
        sizes = np.empty(self._total.shape, np.float32)
        b.sizes(self._total, self._seconds, scale, sizes)
        bands = [
            [int(total) / (int(n) * scale) if n else math.nan for total, n in zip(*side, strict=True)]
            for side in zip(self._bands, self._band_seconds, strict=True)
        ]
        imbalances = [_imbalance(bid, ask) for bid, ask in zip(*bands, strict=True)]
        live_s, self.live_s = self.live_s, 0
        return (
            instrument, venue, start_s, live_s, bin_step, self._first, sizes[0], sizes[1], *self._quotes,
            *bands[0], *bands[1], *imbalances, self._ofi_lots / scale, self._updates, self._received_ns, version,
        )  # fmt: skip

    def _open(self, column: Column) -> None:
        self._first = column.first
        self._total = np.zeros((2, COLUMN_BINS), np.int64)
        self._seconds = np.zeros((2, COLUMN_BINS), np.int64)
        self._bands[:] = 0
        self._band_seconds[:] = 0
        self._size_decimals = column.size_decimals
        self._ofi_lots = self._updates = 0

    def _rescale(self, size_decimals: int) -> None:
        factor = 10 ** (size_decimals - self._size_decimals)
        if factor != 1:
            self._total *= factor
            self._bands *= factor
            self._ofi_lots *= factor
            self._size_decimals = size_decimals

    def _reach(self, first: int) -> None:
        """Widen to hold a column from bin `first` on; all are multiples of 64, so blocks stay aligned."""
        below = max(self._first - first, 0)
        above = max(first + COLUMN_BINS - self._first - self._total.shape[1], 0)
        if below or above:
            self._total = np.pad(self._total, ((0, 0), (below, above)))
            self._seconds = np.pad(self._seconds, ((0, 0), (below, above)))
            self._first -= below

    def dump(self) -> bytes:
        """The running interval as bytes."""
        return msgspec.msgpack.encode(
            (
                self.interval_s, self.live_s, self._first, self._total.shape[1], self._total.tobytes(),
                self._seconds.tobytes(), self._bands.tobytes(), self._band_seconds.tobytes(), self._size_decimals,
                self._ofi_lots, self._updates, self._received_ns, self._quotes,
            )
        )  # fmt: skip

    @classmethod
    def load(cls, state: bytes) -> "Rollup":
        """The interval that `dump` described."""
        interval_s, live_s, first, bins, total, seconds, bands, band_seconds, decimals, *rest = (
            msgspec.msgpack.decode(state)
        )
        self = cls(interval_s)
        self.live_s, self._first, self._size_decimals = live_s, first, decimals
        self._total, self._seconds = (
            np.frombuffer(x, np.int64).reshape(2, bins).copy() for x in (total, seconds)
        )
        self._bands, self._band_seconds = (
            np.frombuffer(x, np.int64).reshape(2, len(BANDS)).copy() for x in (bands, band_seconds)
        )
        self._ofi_lots, self._updates, self._received_ns = rest[:3]
        self._quotes = tuple(rest[3])
        return self


def _imbalance(bid: float, ask: float) -> float:
    """(bid - ask) / (bid + ask), in [-1, 1]; NaN where either is not known or both are 0."""
    return (bid - ask) / (bid + ask) if bid + ask else math.nan
