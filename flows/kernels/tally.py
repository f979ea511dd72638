"""From prints to bars, to what traded in ten seconds, and to large trades, compiled: no Python object per print.

Only `@njit` functions live here, because numba's cache is void when this file changes. `run` goes over prints until
Python has to do something, and says what by a code. The state is arrays: `meta`, int64[META], the slots named below;
`bars`, int64[SLOTS, FIELDS], for each interval a ring of those bars that a print may still belong to; `cell`,
int64[n, 3], price, size and side of the prints of the open ten seconds; `sizes`, int64[SIZES], a ring of those of the
last trades taken together.

A product of a price and a size is kept exactly, in two limbs: high * 2**52 + low.
"""

import numba as nb
import numpy as np

# What `run` stopped for. After the first four the print at hand has not been touched: call again from it.
CROSSED = 0  # it is past the ten seconds that hold meta[UNTIL]
RESUMED = 1  # the first after a gap
FULL = 2  # `cell` has no room
DRAIN = 3  # `bar_rows` or `large_rows` have no room
REFUSED = 4  # it cannot be summed; left out
LATE = 5  # it belongs to ten seconds that are over; in bars and large trades it is
END = 6  # all prints are done

SECOND_NS = 10**9
CELL_NS = 10 * SECOND_NS
LATE_NS = 60 * SECOND_NS  # a print that is older than this against the newest is left out
INTERVALS_S = (1, 60, 300, 900, 3600, 14_400, 86_400)
INTERVALS = len(INTERVALS_S)
SECONDS_KEPT = 64  # a power of two above LATE_NS
SLOTS = SECONDS_KEPT + 2 * (INTERVALS - 1)
CLASSES = 4
VALUE_MAX = 1 << 52  # of a price and a size
DAY_LOTS_MAX = 1 << 60  # of a bar of a day: any 24 hours then stay below 2**62

# Slots of `meta`.
NEWEST = 0  # time of the newest print, ns
UNTIL = 1  # what ends by then is closed: the newest print, or what `!clock` has passed
GAP = 2  # trades may have been lost before the next print
TOO_LATE = 3  # prints left out
N_REFUSED = 4
DIRTY_BARS = 5  # bars that are closed and not yet told as they are
BAR_ROWS = 6
LARGE_ROWS = 7
CELL_COUNT = 8
CELL_RECEIVED = 9
LAST_PRICE = 10
PRICE_REACH = 11  # ticks: further from the print before, no price is believed
PRICE_MAX = 12
GROUP_PRINTS = 13  # the prints that are being taken together
GROUP_TIME = 14
GROUP_SIDE = 15
GROUP_ID = 16
GROUP_LOTS = 17
GROUP_HIGH_LIMB = 18
GROUP_LOW_LIMB = 19
GROUP_HIGH = 20
GROUP_LOW = 21
GROUP_RECEIVED = 22
SIZES_SEEN = 23  # since the tape began
THRESHOLD = 24  # that size of the ring which 99 % do not exceed
ABOVE = 25  # how many sizes of the ring exceed it
REACHING = 26  # how many do not fall below it
META = 27

# Fields of a bar.
OPEN_NS = 0  # -1: none
INTERVAL = 1  # index in INTERVALS_S
OPEN_AT = 2  # time of its first print
OPEN = 3
HIGH = 4
LOW = 5
CLOSE_AT = 6
CLOSE = 7
TRADES = 8
BUY = 9
SELL = 10
UNKNOWN = 11
INFERRED = 12
DELTA_MIN = 13
DELTA_MAX = 14
QUOTE_HIGH_LIMB = 15
QUOTE_LOW_LIMB = 16
CLASS_BUY = 17
CLASS_SELL = CLASS_BUY + CLASSES
RECEIVED = CLASS_SELL + CLASSES
VERSION = RECEIVED + 1
DIRTY = VERSION + 1
FIELDS = DIRTY + 1

# Fields of a large trade: those of the group from GROUP_PRINTS on, then these.
LARGE_THRESHOLD = GROUP_RECEIVED - GROUP_PRINTS + 1
LARGE_VERSION = LARGE_THRESHOLD + 1
LARGE_FIELDS = LARGE_VERSION + 1
SIZES = 1000
SIZES_MIN = 200
PERCENT = 99

LIMB = 52
_MASK, _HALF_MASK = (1 << 52) - 1, (1 << 26) - 1
_NS = np.array(INTERVALS_S, np.int64) * SECOND_NS
_DAY = INTERVALS - 1

_compile = nb.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
_allocate = nb.njit(cache=True, nogil=True)


@_compile
def run(
    time_ns,
    recv_ns,
    price,
    size,
    side,
    inferred,
    trade_id,
    at,
    meta,
    bars,
    bar_rows,
    cell,
    edges,
    sizes,
    large,
):
    """Take prints from `at` on; returns why it stopped and at which print."""
    for i in range(at, time_ns.shape[0]):
        t, p, q = time_ns[i], price[i], size[i]
        if t < meta[NEWEST] - LATE_NS:
            meta[TOO_LATE] += 1
            continue
        if meta[GAP]:
            return RESUMED, i
        if t > meta[UNTIL] and t // CELL_NS > meta[UNTIL] // CELL_NS:
            return CROSSED, i
        if meta[CELL_COUNT] == cell.shape[0]:
            return FULL, i
        if meta[BAR_ROWS] + INTERVALS > bar_rows.shape[0] or meta[LARGE_ROWS] == large.shape[0]:
            return DRAIN, i
        away, meta[LAST_PRICE] = p - meta[LAST_PRICE], p
        if abs(away) > meta[PRICE_REACH] or not _fits(meta, bars, t, p, q):
            meta[N_REFUSED] += 1
            return REFUSED, i
        if t > meta[UNTIL]:
            _close_bar(meta, bars, 0, t, recv_ns[i])
            meta[UNTIL] = t
        meta[NEWEST] = max(meta[NEWEST], t)
        high, low = _product(p, q)
        _add_to_group(meta, sizes, large, t, side[i], trade_id[i], p, q, high, low, recv_ns[i])
        size_class = _size_class(high, low, edges)
        for k in range(INTERVALS):
            slot = _slot(meta, bars, bar_rows, k, t)
            _add(meta, bars[slot], t, p, q, side[i], inferred[i], high, low, size_class, recv_ns[i])
        if t - t % CELL_NS + CELL_NS <= meta[UNTIL]:
            return LATE, i
        n = meta[CELL_COUNT]
        cell[n, 0], cell[n, 1], cell[n, 2] = p, q, side[i]
        meta[CELL_COUNT] = n + 1
        meta[CELL_RECEIVED] = max(meta[CELL_RECEIVED], recv_ns[i])
    return END, time_ns.shape[0]


@_compile
def close(meta, bars, until, recv):
    """Close the bars that end by `until`, which is later than meta[UNTIL]."""
    for k in range(INTERVALS):
        _close_bar(meta, bars, k, until, recv)
    meta[UNTIL] = until


@_compile
def close_group(meta, sizes, large, recv):
    """No print joins the group any more: a row if it is large; the next is judged by it too."""
    if meta[GROUP_PRINTS] == 0:
        return
    if meta[SIZES_SEEN] >= SIZES_MIN and meta[GROUP_LOTS] > meta[THRESHOLD]:
        row = large[meta[LARGE_ROWS]]
        for field in range(LARGE_THRESHOLD):
            row[field] = meta[GROUP_PRINTS + field]
        row[LARGE_THRESHOLD], row[LARGE_VERSION] = meta[THRESHOLD], max(recv, meta[GROUP_RECEIVED])
        meta[LARGE_ROWS] += 1
    _remember(meta, sizes, meta[GROUP_LOTS])
    meta[GROUP_PRINTS] = 0


@_compile
def flush(meta, bars, bar_rows):
    """Rows of all closed bars that have changed; `bar_rows` has room for SLOTS more."""
    if meta[DIRTY_BARS]:
        for slot in range(SLOTS):
            if bars[slot, DIRTY]:
                _tell(meta, bars[slot], bar_rows)


@_allocate
def tally(cell, rise, step):
    """What traded, by price row: prints int64[n, 3] -> rows, lots int64[3, rows], sums int64[4], squares.

    A price of p ticks is in row floor(p * rise / step). Rows ascend; lots are bought, sold, unknown. The sums are of
    price * size (two limbs), the highest and the lowest price; `squares` is of size * (price - first price) ** 2.
    """
    n = cell.shape[0]
    row_of = np.empty(n, np.int64)
    sums = np.zeros(4, np.int64)
    sums[2] = sums[3] = first = cell[0, 0]
    squares = 0.0
    for i in range(n):
        p, q = cell[i, 0], cell[i, 1]
        row_of[i] = p * rise // step
        high, low = _product(p, q)
        low += sums[1]
        sums[0] += high + (low >> LIMB)
        sums[1] = low & _MASK
        sums[2], sums[3] = max(sums[2], p), min(sums[3], p)
        squares += float(q) * float(p - first) * float(p - first)
    rows, lots = _by_row(cell, row_of)
    return rows, lots, sums, squares


@_allocate
def merged(rows, lots, more_rows, more_lots):
    """Two tallies as one."""
    n, m = rows.shape[0], more_rows.shape[0]
    out_rows = np.empty(n + m, np.int64)
    out_lots = np.zeros((3, n + m), np.int64)
    i = j = k = 0
    while i < n or j < m:
        row = rows[i] if j == m or (i < n and rows[i] <= more_rows[j]) else more_rows[j]
        out_rows[k] = row
        if i < n and rows[i] == row:
            for s in range(3):
                out_lots[s, k] += lots[s, i]
            i += 1
        if j < m and more_rows[j] == row:
            for s in range(3):
                out_lots[s, k] += more_lots[s, j]
            j += 1
        k += 1
    return out_rows[:k].copy(), out_lots[:, :k].copy()


@_compile
def add_rows(volumes, base, rows, lots, sign):
    """Add (1) or take away (-1) the lots of rows to a dense profile that begins with row `base`."""
    for i in range(rows.shape[0]):
        volumes[rows[i] - base] += sign * lots[i]


@_allocate
def _by_row(cell, row_of):
    n = row_of.shape[0]
    lowest = row_of.min()
    width = row_of.max() - lowest + 1
    if width > 16 * n + 256:  # far apart: sorted, not counted
        order = np.argsort(row_of)
        rows = np.empty(n, np.int64)
        lots = np.zeros((3, n), np.int64)
        count = 0
        for i in order:
            if count == 0 or rows[count - 1] != row_of[i]:
                rows[count] = row_of[i]
                count += 1
            lots[_column(cell[i, 2]), count - 1] += cell[i, 1]
        return rows[:count].copy(), lots[:, :count].copy()
    dense = np.zeros((3, width), np.int64)
    for i in range(n):
        dense[_column(cell[i, 2]), row_of[i] - lowest] += cell[i, 1]
    found = np.flatnonzero(dense.sum(axis=0))
    lots = np.empty((3, found.shape[0]), np.int64)
    for s in range(3):
        lots[s] = dense[s][found]
    return found + lowest, lots


@_compile
def _column(side):
    return 0 if side > 0 else 1 if side < 0 else 2


@_compile
def _fits(meta, bars, t, p, q):
    """Whether the sums stay exact with this print."""
    if not (0 < q < VALUE_MAX and abs(p) < meta[PRICE_MAX]):
        return False
    day = bars[_at(_DAY, t)]
    if day[OPEN_NS] != t - t % _NS[_DAY]:
        return True
    return day[BUY] + day[SELL] + day[UNKNOWN] + q < DAY_LOTS_MAX


@_compile
def _product(p, q):
    """The product as two limbs, the low one in [0, 2**52)."""
    p_high, p_low, q_high, q_low = p >> 26, p & _HALF_MASK, q >> 26, q & _HALF_MASK
    middle = p_high * q_low + p_low * q_high
    low = p_low * q_low + ((middle & _HALF_MASK) << 26)
    return p_high * q_high + (middle >> 26) + (low >> LIMB), low & _MASK


@_compile
def _size_class(high, low, edges):
    """How many of the edges (two limbs each) the product reaches."""
    found = 0
    for k in range(edges.shape[0]):
        if high > edges[k, 0] or (high == edges[k, 0] and low >= edges[k, 1]):
            found += 1
    return found


@_compile
def _at(k, t):
    """The slot of the bar of interval `k` that `t` is in."""
    return (t // _NS[0]) % SECONDS_KEPT if k == 0 else SECONDS_KEPT + 2 * (k - 1) + (t // _NS[k]) % 2


@_compile
def _slot(meta, bars, bar_rows, k, t):
    """The same, with the bar in it: begun if it is a new one, once the older that stood there is told."""
    slot, open_ns = _at(k, t), t - t % _NS[k]
    bar = bars[slot]
    if bar[OPEN_NS] != open_ns:
        if bar[DIRTY]:
            _tell(meta, bar, bar_rows)
        bar[:] = 0
        bar[OPEN_NS], bar[INTERVAL] = open_ns, k
    return slot


@_compile
def _add(meta, bar, t, p, q, side, inferred, high, low, size_class, recv):
    """First and last are by time, and of one time by log order; the running delta is by log order."""
    if bar[TRADES] == 0:
        bar[HIGH] = bar[LOW] = p
        bar[OPEN_AT], bar[CLOSE_AT] = t + 1, t
    if t < bar[OPEN_AT]:
        bar[OPEN_AT], bar[OPEN] = t, p
    if t >= bar[CLOSE_AT]:
        bar[CLOSE_AT], bar[CLOSE] = t, p
    bar[HIGH], bar[LOW] = max(bar[HIGH], p), min(bar[LOW], p)
    bar[TRADES] += 1
    if side > 0:
        bar[BUY] += q
        bar[CLASS_BUY + size_class] += q
        bar[DELTA_MAX] = max(bar[DELTA_MAX], bar[BUY] - bar[SELL])
    elif side < 0:
        bar[SELL] += q
        bar[CLASS_SELL + size_class] += q
        bar[DELTA_MIN] = min(bar[DELTA_MIN], bar[BUY] - bar[SELL])
    else:
        bar[UNKNOWN] += q
    if inferred and side != 0:
        bar[INFERRED] += q
    low += bar[QUOTE_LOW_LIMB]
    bar[QUOTE_HIGH_LIMB] += high + (low >> LIMB)
    bar[QUOTE_LOW_LIMB] = low & _MASK
    bar[RECEIVED] = max(bar[RECEIVED], recv)
    bar[VERSION] = max(bar[VERSION], recv)
    if bar[OPEN_NS] + _NS[bar[INTERVAL]] <= meta[UNTIL]:
        _dirty(meta, bar)


@_compile
def _close_bar(meta, bars, k, until, recv):
    """The open bar is the one that meta[UNTIL] is in: no print is later, what ended before is closed."""
    was = meta[UNTIL]
    bar = bars[_at(k, was)]
    if bar[OPEN_NS] == was - was % _NS[k] and bar[OPEN_NS] + _NS[k] <= until:
        bar[VERSION] = max(bar[VERSION], recv)
        _dirty(meta, bar)


@_compile
def _dirty(meta, bar):
    if bar[DIRTY] == 0:
        bar[DIRTY] = 1
        meta[DIRTY_BARS] += 1


@_compile
def _tell(meta, bar, bar_rows):
    row = bar_rows[meta[BAR_ROWS]]
    for field in range(FIELDS):
        row[field] = bar[field]
    meta[BAR_ROWS] += 1
    meta[DIRTY_BARS] -= 1
    bar[DIRTY] = 0


@_compile
def _add_to_group(meta, sizes, large, t, side, trade_id, p, q, high, low, recv):
    if meta[GROUP_TIME] != t or meta[GROUP_SIDE] != side:
        close_group(meta, sizes, large, recv)
    if meta[GROUP_PRINTS] == 0:
        meta[GROUP_TIME], meta[GROUP_SIDE], meta[GROUP_ID] = t, side, np.int64(trade_id)
        meta[GROUP_LOTS] = meta[GROUP_HIGH_LIMB] = meta[GROUP_LOW_LIMB] = 0
        meta[GROUP_HIGH] = meta[GROUP_LOW] = p
        meta[GROUP_RECEIVED] = recv
    meta[GROUP_PRINTS] += 1
    meta[GROUP_LOTS] += q
    low += meta[GROUP_LOW_LIMB]
    meta[GROUP_HIGH_LIMB] += high + (low >> LIMB)
    meta[GROUP_LOW_LIMB] = low & _MASK
    meta[GROUP_HIGH], meta[GROUP_LOW] = max(meta[GROUP_HIGH], p), min(meta[GROUP_LOW], p)
    meta[GROUP_RECEIVED] = max(meta[GROUP_RECEIVED], recv)


@_compile
def _remember(meta, sizes, lots):
    """Put a size in the ring, in place of the oldest, and move the threshold to where it belongs."""
    at, n = meta[SIZES_SEEN] % SIZES, min(meta[SIZES_SEEN] + 1, SIZES)
    if meta[SIZES_SEEN] >= SIZES:
        meta[ABOVE] -= sizes[at] > meta[THRESHOLD]
        meta[REACHING] -= sizes[at] >= meta[THRESHOLD]
    sizes[at] = lots
    meta[ABOVE] += lots > meta[THRESHOLD]
    meta[REACHING] += lots >= meta[THRESHOLD]
    meta[SIZES_SEEN] += 1
    larger = n - (PERCENT * n + 99) // 100  # so many may exceed it
    while meta[ABOVE] > larger:
        meta[THRESHOLD] = _next_above(sizes, n, meta[THRESHOLD])
        meta[REACHING] = meta[ABOVE]
        meta[ABOVE] = _count_from(sizes, n, meta[THRESHOLD] + 1)
    while meta[REACHING] <= larger:
        meta[THRESHOLD] = _next_below(sizes, n, meta[THRESHOLD])
        meta[ABOVE] = meta[REACHING]
        meta[REACHING] = _count_from(sizes, n, meta[THRESHOLD])


@_compile
def _count_from(sizes, n, least):
    count = 0
    for i in range(n):
        count += sizes[i] >= least
    return count


@_compile
def _next_above(sizes, n, size):
    found = 1 << 62
    for i in range(n):
        found = min(found, sizes[i] if sizes[i] > size else 1 << 62)
    return found


@_compile
def _next_below(sizes, n, size):
    found = 0
    for i in range(n):
        found = max(found, sizes[i] if sizes[i] < size else 0)
    return found
