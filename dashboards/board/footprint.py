"""Traded volume by row and side within a bar: imbalances, stacks of them, and the cells as they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.board import look
from dashboards.board.columns import Grid
from dashboards.board.health import size_text
from dashboards.board.number_text import signed, signed_size

Lots = NDArray[np.int64]
INTERVALS_S = (10, 60, 3600)
RATIO_PERCENT = 300
STACKED = 3
BAR_PX, ROW_PX = 110, 11
CELL = (
    "left", "right", "middle", "sell_end", "buy_end", "y", "sell", "buy", "sell_colour", "buy_colour",
    "sell_style", "buy_style",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Bar:
    """Volume of a bar by row of the grid: row `first + i` traded buy[i] and sell[i] lots of `lot` base currency."""

    open_s: int
    interval_s: int
    first: int
    lot: float
    buy: Lots
    sell: Lots


def bar_of(open_s: int, interval_s: int, lot: float, rows: Lots, lots: Lots, bins_a_row: int) -> Bar:
    """A bar of `lots` int64[n, 2] (buy, sell) in the bins `rows` int64[n], summed by rows of `bins_a_row` bins."""
    row = rows // bins_a_row
    first = int(row.min())
    dense = np.zeros((int(row.max()) - first + 1, 2), np.int64)
    np.add.at(dense, row - first, lots)
    return Bar(open_s, interval_s, first, lot, *dense.T)


def imbalances(buy: Lots, sell: Lots) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where buying, and where selling, is at least three times what it met: a diagonal comparison.

    Buying in a row met the selling one row below, selling the buying one row above. Nothing met is no imbalance.
    """
    met_below, met_above = np.zeros_like(sell), np.zeros_like(buy)
    met_below[1:], met_above[:-1] = sell[:-1], buy[1:]
    bought = (met_below > 0) & (buy * 100 >= RATIO_PERCENT * met_below)
    sold = (met_above > 0) & (sell * 100 >= RATIO_PERCENT * met_above)
    return bought, sold


def stacks(imbalanced: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, end) of every run of at least STACKED rows."""
    edges = np.flatnonzero(np.diff(imbalanced.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [(int(first), int(end)) for first, end in edges if end - first >= STACKED]


def interval_for(span_s: float, width_px: float) -> int | None:
    """The shortest interval whose bars are wide enough to be read, None if none is, or a bar is all there is."""
    fits = (s for s in INTERVALS_S if s * width_px / span_s >= BAR_PX)
    found = next(fits, None)
    return found if found is not None and found <= span_s else None


def cell_text(size: float, decimals: int) -> str:
    """A point for nothing, k and M above 1,000; else `decimals`, none above 100."""
    if size <= 0:
        return "·"
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if size >= factor * 0.9995:
            return f"{size / factor:.0f}{unit}" if size >= 9.95 * factor else f"{size / factor:.1f}{unit}"
    return f"{size:.{0 if size >= 99.5 else decimals}f}"


def cell_decimals(largest: float) -> int:
    """Decimals with which all cells of a view are written whose largest is `largest`: 1 from 10 on, at most 4."""
    return int(np.clip(2 - np.floor(np.log10(largest)), 1, 4)) if largest > 0 else 1


def cells(bars: Sequence[Bar], grid: Grid) -> dict[str, list[object]]:
    """One row per cell: its place (ms, quote currency), bars of both halves, and their numbers and colours."""
    longest = max((int(max(bar.buy.max(), bar.sell.max())) for bar in bars), default=1) or 1
    decimals = cell_decimals(longest * max((bar.lot for bar in bars), default=1.0))
    data: dict[str, list[object]] = {name: [] for name in CELL}
    for bar in bars:
        bought, sold = imbalances(bar.buy, bar.sell)
        left, right, middle, half = _place(bar)
        for at in range(len(bar.buy)):
            buy, sell = int(bar.buy[at]), int(bar.sell[at])
            row = (
                left, right, middle, middle - half * sell / longest, middle + half * buy / longest,
                (bar.first + at + 0.5) * grid.row_height,
                cell_text(sell * bar.lot, decimals), cell_text(buy * bar.lot, decimals),
                look.SELL if sold[at] else look.TEXT, look.BUY if bought[at] else look.TEXT,
                "bold" if sold[at] else "normal", "bold" if bought[at] else "normal",
            )  # fmt: skip
            for name, value in zip(CELL, row, strict=True):
                data[name].append(value)
    return data


def brackets(bars: Sequence[Bar], grid: Grid) -> dict[str, list[object]]:
    """Stacked imbalances: a line along the outer edge of their cells, left of selling, right of buying."""
    data: dict[str, list[object]] = {name: [] for name in ("x", "low", "high", "colour")}
    for bar in bars:
        left, right, _, _ = _place(bar)
        bought, sold = imbalances(bar.buy, bar.sell)
        for flags, x, colour in ((sold, left, look.SELL), (bought, right, look.BUY)):
            for first, end in stacks(flags):
                data["x"].append(x)
                data["low"].append((bar.first + first) * grid.row_height)
                data["high"].append((bar.first + end) * grid.row_height)
                data["colour"].append(colour)
    return data


def footers(bars: Sequence[Bar], grid: Grid) -> dict[str, list[object]]:
    """One row per bar: the box around its largest row, and delta, volume and delta in per cent of it in words."""
    names = ("left", "right", "middle", "low", "high", "delta", "volume", "percent", "colour")
    data: dict[str, list[object]] = {name: [] for name in names}
    for bar in bars:
        left, right, middle, _ = _place(bar)
        volume = bar.buy + bar.sell
        # Of equal rows the lower one: a box marks a row, it does not measure.
        largest = bar.first + int(volume.argmax())
        total, delta = int(volume.sum()), int((bar.buy - bar.sell).sum())
        row = (
            left, right, middle, largest * grid.row_height, (largest + 1) * grid.row_height,
            f"Δ {signed_size(delta * bar.lot)}", f"V {size_text(total * bar.lot)}",
            f"{signed(100 * delta / total if total else 0.0, 0)} %",
            look.BUY if delta > 0 else look.SELL if delta < 0 else look.MUTED,
        )  # fmt: skip
        for name, value in zip(names, row, strict=True):
            data[name].append(value)
    return data


def _place(bar: Bar) -> tuple[float, float, float, float]:
    """Left, right and middle of its cells and the width of a half, ms."""
    width = bar.interval_s * 1000.0
    left, right = bar.open_s * 1000.0 + 0.04 * width, bar.open_s * 1000.0 + 0.96 * width
    return left, right, (left + right) / 2, (right - left) / 2
