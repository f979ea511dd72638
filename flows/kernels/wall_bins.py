"""Walls, a second at a time, compiled: the loop over the bins of a column that `flows.kernels.walls` describes."""

import numba as nb
import numpy as np

from flows.kernels import ledger

# Of each bin of both sides, `state` int64[FIELDS, 2, bins]; sizes in lots, times in s UTC.
SIZE = 0  # at the end of the last second; -1: not known
SINCE = 1  # the second in which it came to hold more than the threshold; -1: it does not
KNOWN = 2  # the second at whose end it is a wall since; -1: it is none
PEAK = 3  # since then
TRADED = 4
ADDED = 5
PULLED = 6
REFILLS = 7
LOST_TRADED = 8  # of what it had at its peak
LOST_PULLED = 9
FIELDS = 10

# What happened in a bin: rows of int64[OUT].
WHAT, SIDE, BIN = 0, 1, 2
BEFORE, GONE, MET = 3, 4, 5  # of a PULL: size before, taken away and traded in the second
STATE = 6  # the bin's state begins here
OUT = STATE + FIELDS
BEGAN, ENDED_PULLED, ENDED_TRADED, ENDED_MIXED, ENDED_LEFT, PULL = 0, 1, 2, 3, 4, 5

# Aggression into a bin in one second: rows of int64[HIT].
WHEN, HIT_SIDE, ROW, LOTS, FARTHEST = 0, 1, 2, 3, 4  # second, side hit, bin since 0, lots, the farthest tick
RESTED = 5  # lots in the bin at the close before; -1: not known
HIT = 6

EDGES = np.array(
    [16, 32, 64, 128, 256], np.int64
)  # bins from the mid at which a band ends and the next begins
BANDS = len(EDGES) + 1

_compile = nb.njit(cache=True)
_inline = nb.njit(inline="always")


@_compile
def band(distance):
    """The distance band of a bin so many bins from the mid."""
    n = 0
    while n < EDGES.shape[0] and distance >= EDGES[n]:
        n += 1
    return n


@_compile
def meet(told, first, bin_ticks, second, state, met):
    """Write what traded and how often size came again, by bin, into `met` int64[2, 2, bins]; returns the hits.

    `told` is the ledger of the second; `state` is as of the close before.
    """
    hits = np.empty((told.shape[0], HIT), np.int64)
    n = 0
    for x in range(told.shape[0]):
        tick, side, lots = told[x, ledger.KEY] >> 1, told[x, ledger.KEY] & 1, told[x, ledger.HEARD]
        row = tick // bin_ticks
        i = row - first
        if not 0 <= i < met.shape[2]:
            continue
        met[0, side, i] += told[x, ledger.TRADED]
        met[1, side, i] += told[x, ledger.NEW_REFILLS]
        if lots == 0:
            continue
        at = 0
        while at < n and (hits[at, ROW] != row or hits[at, HIT_SIDE] != side):
            at += 1
        if at == n:
            hits[n, WHEN], hits[n, HIT_SIDE], hits[n, ROW], hits[n, LOTS] = second, side, row, 0
            hits[n, FARTHEST], hits[n, RESTED] = tick, state[SIZE, side, i]
            n += 1
        hits[at, LOTS] += lots
        farthest = hits[at, FARTHEST]
        hits[at, FARTHEST] = max(farthest, tick) if side == 1 else min(farthest, tick)
    return hits[:n].copy()


@_compile
def foremost(hits, side):
    """The bin of a side that most went into: (bin, lots, size before its first hit, the side's farthest tick).

    Of two alike the one nearer to the mid; lots are 0 where there was no hit.
    """
    best, most, rested = np.int64(0), np.int64(0), np.int64(-1)
    farthest = np.int64(-1)
    for x in range(hits.shape[0]):
        if hits[x, HIT_SIDE] != side:
            continue
        tick = hits[x, FARTHEST]
        if farthest < 0:
            farthest = tick
        farthest = max(farthest, tick) if side == 1 else min(farthest, tick)
        row, lots, is_first = hits[x, ROW], np.int64(0), True
        for y in range(hits.shape[0]):
            if hits[y, HIT_SIDE] == side and hits[y, ROW] == row:
                lots += hits[y, LOTS]
                is_first &= y >= x
        if is_first and (lots > most or (lots == most and (row < best) == (side == 1))):
            best, most, rested = row, lots, hits[x, RESTED]
    return best, most, rested, farthest


@_compile
def weigh(weighted, bins, decay):
    """Let a second pass: each bin's weighted size, NaN while its size is not known, at first that size."""
    for side in range(2):
        row, found = weighted[side], bins[side]
        for i in range(found.shape[0]):
            if found[i] < 0:
                row[i] = np.nan
            elif np.isnan(row[i]):
                row[i] = found[i]
            else:
                row[i] = row[i] * decay + found[i] * (1.0 - decay)


@_compile
def thresholds(weighted, bins, middle, factor, least):
    """float64[2, BANDS]: `factor` times the median weighted size of the bins of a band that hold something.

    inf where fewer than `least` do.
    """
    out = np.full((2, BANDS), np.inf)
    held = np.empty(bins.shape[1])
    for side in range(2):
        row, found = weighted[side], bins[side]
        for at in range(BANDS):
            near = EDGES[at - 1] if at > 0 else 0
            far = EDGES[at] if at < BANDS - 1 else bins.shape[1]
            # Distances count from the mid away: down for bids, up for asks.
            begin, end = (middle - far + 1, middle - near + 1) if side == 0 else (middle + near, middle + far)
            n = 0
            for i in range(max(begin, 0), min(end, bins.shape[1])):
                if found[i] > 0:
                    held[n] = row[i]
                    n += 1
            if n >= least:
                out[side, at] = factor * np.median(held[:n])
    return out


@_inline
def _ending(lost_traded, lost_pulled):
    """How a size went since it was largest: by trades, by cancelling, each if to two thirds, or both."""
    if 3 * lost_traded >= 2 * (lost_traded + lost_pulled):
        return ENDED_TRADED
    return ENDED_PULLED if 3 * lost_pulled >= 2 * (lost_traded + lost_pulled) else ENDED_MIXED


@_inline
def _tell(out, n, what, side, i, state):
    out[n, WHAT], out[n, SIDE], out[n, BIN] = what, side, i
    for field in range(FIELDS):
        out[n, STATE + field] = state[field, side, i]


@_inline
def _account(state, side, i, size, traded, refills):
    """What came, went and traded in a second at a bin that stands out; returns what was taken away."""
    change = size - state[SIZE, side, i] + traded
    gone = max(-change, 0)
    state[ADDED, side, i] += max(change, 0)
    state[PULLED, side, i] += gone
    state[TRADED, side, i] += traded
    state[REFILLS, side, i] += refills
    if size >= state[PEAK, side, i]:
        state[PEAK, side, i] = size
        state[LOST_TRADED, side, i] = state[LOST_PULLED, side, i] = 0
    else:
        state[LOST_TRADED, side, i] += traded
        state[LOST_PULLED, side, i] += gone
    return gone


@_compile
def judge(state, weighted, bins, met, levels, middle, second, age_s, walls_max, pull_bins, pull_age_s):
    """A second of all bins: begins and ends of walls, pulls, as rows int64[n, OUT], from the mid outwards.

    `met` int64[2, 2, bins]: traded and refills of the second; `levels` float64[2, BANDS]: the thresholds; `middle`:
    the mid's bin.
    """
    n = bins.shape[1]
    out = np.empty((4 * n, OUT), np.int64)
    told = 0
    for side in range(2):
        standing = np.sum(state[KNOWN, side] >= 0)
        for step in range(n):
            i = n - 1 - step if side == 0 else step
            size, before = bins[side, i], state[SIZE, side, i]
            if state[SINCE, side, i] < 0:
                if size > levels[side, band(abs(i - middle))]:
                    state[KNOWN:, side, i] = 0
                    state[SINCE, side, i], state[KNOWN, side, i], state[PEAK, side, i] = second, -1, size
                state[SIZE, side, i] = size
                continue
            is_wall = state[KNOWN, side, i] >= 0
            if size < 0:
                if is_wall:
                    _tell(out, told, ENDED_LEFT, side, i, state)
                    told += 1
                    standing -= 1
                state[SINCE, side, i] = state[KNOWN, side, i] = state[SIZE, side, i] = -1
                continue
            traded, distance = met[0, side, i], abs(i - middle)
            gone = _account(state, side, i, size, traded, met[1, side, i])
            state[SIZE, side, i] = size
            level = levels[side, band(distance)]
            is_lost = before > level and 4 * size <= before and gone >= 2 * traded
            stood_s = second + 1 - state[SINCE, side, i]
            if is_lost and distance <= pull_bins and stood_s > pull_age_s:
                _tell(out, told, PULL, side, i, state)
                out[told, BEFORE], out[told, GONE], out[told, MET] = before, gone, traded
                told += 1
            if size == 0 or (level < np.inf and 2 * size <= level):
                what = _ending(state[LOST_TRADED, side, i], state[LOST_PULLED, side, i])
            elif not is_wall and standing < walls_max and weighted[side, i] > level and stood_s >= age_s:
                what = BEGAN
                state[KNOWN, side, i] = second
            else:
                continue
            if is_wall or what == BEGAN:
                _tell(out, told, what, side, i, state)
                told += 1
                standing += 1 if what == BEGAN else -1
            if what != BEGAN:
                state[SINCE, side, i] = state[KNOWN, side, i] = -1
    return out[:told].copy()
