"""From bytes to an order book, compiled: one pass over the lines of a record, no Python object per level.

Only `@njit` functions live here, because numba's cache is void when this file changes. `run` goes over lines
until Python has to decide something and says what by a code. A message is parsed whole into scratch, its ids
are checked, then it is applied: a bad message never half-applies.

The state of a book is arrays (see `flows.kernels.order_book`): `window`, int64[2 * width], lots resting at
each tick from `meta[BASE]` on, bids in the first half, asks in the second; `far_key`, `far_lots`, an open
hash of the levels outside the window (key = tick * 2 + side); `meta`, int64[META], the slots named below.

Cost: 3-4 us for a futures message of 1.6 KB and 68 levels, 0.1 us for a line of no interest (`make bench`).
"""

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from connectors.book_sync import verdict as _python_verdict

# What `run` stopped for. After CLOSE, GROW and FINER the line at `start` has not been touched: deal with the
# cause and call again from `start`. After the others go on from `next`.
END = 0  # all lines are done
CLOSE = 1  # the line's event second is past the book's open one
CONTROL = 2  # a control line
SNAPSHOT = 3  # a snapshot, not parsed
WAIT = 4  # a book message while the book is not live
GAP = 5  # the message does not follow; not applied
BAD = 6  # the line is not what the venue documents; meta[REASON]
RECENTRE = 7  # applied, but the best prices leave the window's middle
GROW = 8  # the far hash needs room
FINER = 9  # a price or size has more decimals than the book's ticks and lots
CROSSED = 10  # applied, and the book is crossed since
UNKNOWN = 11  # a well-formed line of no known kind
TORN = 12  # not a line: the rest of the record is lost

# Why a line is BAD.
BAD_FRAME = 1  # not an object, or cut short
BAD_LEVELS = 2  # a level is not a pair of decimals
BAD_FIELDS = 3  # ids or a side are missing
BAD_TIME = 4  # event time more than a minute ahead of receipt
BAD_SIZE = 5  # more than 18 digits, or too many levels

# Slots of `meta`.
BASE = 0  # tick of window[0]
WIDTH = 1  # ticks a side
BEST_BID = 2  # tick; -1: no bid
BEST_ASK = 3  # tick; NO_ASK: no ask
LAST_ID = 4  # update id the book stands at
LIVE = 5
SEEDED = 6  # live, and no message applied since the snapshot
RULE = 7
PRICE_DECIMALS = 8
SIZE_DECIMALS = 9
SECOND = 10  # the open second, s UTC; -1: none yet
CROSSED_NOW = 11
FAR_COUNT = 12
OFI = 13  # order-flow imbalance of the open second, lots
UPDATES = 14  # messages applied in the open second
RECEIVED = 15  # receive time of the newest message applied, ns
N_DEPTH = 16  # counters of lines since the book exists
N_APPLIED = 17
N_STALE = 18
N_TRADES = 19
N_OTHER = 20
N_LEVELS = 21
N_LATE = 22
# The line at hand.
RECV = 23  # ns
EVENT_MS = 24
FIRST_ID = 25
MESSAGE_ID = 26
PREVIOUS_ID = 27
BIDS_AT = 28  # the message's levels in scratch, by side
BIDS_END = 29
ASKS_AT = 30
ASKS_END = 31
PAYLOAD = 32
PAYLOAD_END = 33
REASON = 34
NEED_PRICE_DECIMALS = 35
NEED_SIZE_DECIMALS = 36
WAS_BID = 37  # best quotes before a message that left the window; -1: its order flow is counted
WAS_BID_LOTS = 38
WAS_ASK = 39
WAS_ASK_LOTS = 40
# The book again.
HEARD = 41  # the open second when the book last spoke
SETTLED_PRICE_DECIMALS = 42  # what a book or an instrument has had, not only a message that waits
SETTLED_SIZE_DECIMALS = 43
META = 44

NO_ASK = 1 << 62
FUTURE_MS_MAX = 60_000
DIGITS_MAX = 18
LOTS_MAX = 1 << 52  # a size; thousands of them add up within int64
FAR_EMPTY = -1

# Kinds and roles, as `connectors.venue` numbers them (a test holds them equal).
_UNKNOWN, _DEPTH, _SNAPSHOT, _TRADE = 0, 1, 2, 3
_ROUTE, _EVENT, _FIRST, _LAST, _PREVIOUS, _BID_SIDE, _ASK_SIDE = 0, 1, 2, 3, 4, 5, 6

_QUOTE, _COMMA, _DOT, _COLON, _OPEN, _CLOSE, _SPACE, _NEWLINE = 34, 44, 46, 58, 91, 93, 32, 10
_BRACE, _END_BRACE, _BANG, _AT, _UNDERSCORE = 123, 125, 33, 64, 95

_HIGH_BITS = np.uint64(0x8080808080808080)
_ZEROS = np.uint64(0x3030303030303030)
_BETWEEN = np.uint64(0x222C22)  # "," between price and size
_POW10 = np.array([10**i for i in range(19)], np.int64)

_inline = nb.njit(inline="always")
# Nothing here allocates and the caller holds the arrays: without numba's reference counts, an atomic operation at
# every use of an array in an inlined function, the whole is a third faster.
_compile = nb.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]

_verdict = nb.njit(inline="always")(_python_verdict)
_NEXT, _STALE = 0, 1


@intrinsic
def _load8(typingctx, buf, at):
    """The 8 bytes of `buf` from `at` on as one little-endian uint64; the caller has checked the bound."""

    def codegen(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.gep(array.data, [args[1]])
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(buf, types.int64), codegen


@_inline
def _value8(digits):
    """The number that 8 bytes of 0..9 make, the first byte the highest (three multiplications)."""
    v = digits * np.uint64(10) + (digits >> np.uint64(8))
    v = (
        (v & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
        + ((v >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    ) >> np.uint64(32)
    return np.int64(v)


@_inline
def _non_digits(digits):
    """The high bit of each byte that is not 0..9: a mask over 8 bytes less their '0'."""
    return ((digits + np.uint64(0x7676767676767676)) | digits) & _HIGH_BITS


@_inline
def _quotes(word):
    """A mask whose lowest set bit is the high bit of the first quote among 8 bytes; 0 if there is none."""
    x = word ^ np.uint64(0x2222222222222222)
    return (x - np.uint64(0x0101010101010101)) & ~x & _HIGH_BITS


@_inline
def _byte_of(mask):
    """Which of the 8 bytes the lowest set bit of a mask is of."""
    return np.int64(_trailing_zeros(mask) >> np.uint64(3))


@intrinsic
def _trailing_zeros(typingctx, value):
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@_inline
def _integer(buf, p, end):
    """The digits at p as an int, and where they end; -1 if there are none or they do not fit int64."""
    start = p
    v = np.int64(0)
    while p + 8 <= end:
        digits = _load8(buf, p) ^ _ZEROS
        other = _non_digits(digits)
        if other != np.uint64(0):
            n = _byte_of(other)
            if n > 0:
                v = v * _POW10[n] + _value8(digits << np.uint64(64 - 8 * n))
                p += n
            break
        v = v * 100_000_000 + _value8(digits)
        p += 8
    while p < end:
        c = np.int64(buf[p]) - 48
        if c < 0 or c > 9:
            break
        v = v * 10 + c
        p += 1
    if p == start or p - start > 19 or v < 0:
        v = np.int64(-1)
    return v, p


@_compile
def decimal(buf, p, end, decimals):
    """The quoted decimal at p, exactly, in units of 10**-decimals, byte by byte.

    Returns (value, position of the closing quote, decimals needed). The value is -1 where there is no
    decimal, -2 where it is too long for int64, -3 where it has more significant decimals than `decimals`
    (then the third says how many). Trailing zeros do not count.
    """
    v = np.int64(0)
    start = p
    while p < end and 48 <= buf[p] <= 57:
        v = v * 10 + (np.int64(buf[p]) - 48)
        p += 1
        if p - start > DIGITS_MAX:
            return np.int64(-2), p, 0
    if p == start:
        return np.int64(-1), p, 0
    digits = p - start if v > 0 else 0
    kept = 0
    if p < end and buf[p] == _DOT:
        p += 1
        fraction = p
        need = 0
        while p < end and 48 <= buf[p] <= 57:
            d = np.int64(buf[p]) - 48
            n = p - fraction
            if n < decimals:
                v = v * 10 + d
                kept += 1
            elif d != 0:
                need = n + 1
            p += 1
            if p - fraction > DIGITS_MAX or p - start > 2 * DIGITS_MAX:
                return np.int64(-2), p, 0
        if p == fraction:
            return np.int64(-1), p, 0
        if need:
            return np.int64(-3), p, need
    if p >= end or buf[p] != _QUOTE:
        return np.int64(-1), p, 0
    rest = decimals - kept
    if digits + kept > DIGITS_MAX:
        return np.int64(-2), p, 0
    if rest and v > (np.int64(1) << 62) // _POW10[rest]:
        return np.int64(-2), p, 0
    return v * _POW10[rest], p, 0


@_inline
def _unit(decimals):
    """What `_plain` needs to count in units of 10**-decimals, made once for many numbers.

    The factor of the whole part, the shift that aligns the fraction's 8 digits, and a mask of those too fine.
    """
    kept = min(decimals, 8)
    shift = np.uint64(8 * (8 - kept) & 63)  # of no decimals nothing but zeros is left to shift
    finer = ~np.uint64(0) << np.uint64(8 * kept) if kept < 8 else np.uint64(0)
    return _POW10[kept], shift, finer


@_inline
def _length(buf, p):
    """How long the text at p is up to its closing quote, which is looked for in 16 bytes; 0 if it is not there."""
    mask = _quotes(_load8(buf, p))
    if mask != np.uint64(0):
        return _byte_of(mask)
    mask = _quotes(_load8(buf, p + 8))
    if mask != np.uint64(0):
        return 8 + _byte_of(mask)
    return np.int64(0)


@_inline
def _plain(buf, p, length, unit):
    """As `decimal` for the text [p, p + length) if it has 1 to 7 digits and at most 8 decimals, else -1.

    The closing quote is found first and apart, so that the next number need not wait for this one's value.
    """
    factor, shift, finer = unit
    word = _load8(buf, p)
    digits = word ^ _ZEROS
    other = _non_digits(digits)
    if other == np.uint64(0):
        return np.int64(-1)
    whole = _byte_of(other)
    if whole == 0 or whole > length:
        return np.int64(-1)
    v = _value8(digits << np.uint64(64 - 8 * whole)) * factor
    if whole == length:
        return v
    n = length - whole - 1
    if n < 1 or n > 8 or (word >> np.uint64(8 * whole)) & np.uint64(0xFF) != np.uint64(_DOT):
        return np.int64(-1)
    fraction = (_load8(buf, p + whole + 1) ^ _ZEROS) & (~np.uint64(0) >> np.uint64(64 - 8 * n))
    if _non_digits(fraction) != np.uint64(0) or fraction & finer != np.uint64(0):
        return np.int64(-1)
    return v + _value8(fraction << shift)


@_inline
def _pairs(buf, p, end, meta, ticks, lots, n):
    """Levels [["price","size"],...] from the '[' at p into scratch from n on.

    Returns (position after the closing ']', count); the count is -1 where a level is not of this shape
    (meta[REASON]) and -2 where it has finer decimals (meta[NEED_...]).
    """
    price_decimals, size_decimals = meta[PRICE_DECIMALS], meta[SIZE_DECIMALS]
    plain = price_decimals <= 8 and size_decimals <= 8
    price_unit, size_unit = _unit(price_decimals), _unit(size_decimals)
    meta[REASON] = BAD_LEVELS
    p += 1
    if p < end and buf[p] == _CLOSE:
        return p + 1, n
    while p + 6 < end:
        if buf[p] != _OPEN or buf[p + 1] != _QUOTE:
            return p, -1
        tick = size = np.int64(-1)
        q = p
        if plain and p + 64 <= end:
            length = _length(buf, p + 2)
            tick = _plain(buf, p + 2, length, price_unit)
            q = p + 2 + length
            if _load8(buf, q) & np.uint64(0xFFFFFF) == _BETWEEN:
                length = _length(buf, q + 3)
                size = _plain(buf, q + 3, length, size_unit)
                q += 3 + length
        if tick < 0 or size < 0:
            tick, q, need = decimal(buf, p + 2, end, price_decimals)
            if tick < 0:
                if tick == -3:
                    meta[NEED_PRICE_DECIMALS] = need
                    return q, -2
                if tick == -2:
                    meta[REASON] = BAD_SIZE
                return q, -1
            if q + 5 >= end or buf[q + 1] != _COMMA or buf[q + 2] != _QUOTE:
                return q, -1
            size, q, need = decimal(buf, q + 3, end, size_decimals)
            if size == -3:
                meta[NEED_SIZE_DECIMALS] = need
                return q, -2
        if size < 0 or size > LOTS_MAX or n >= ticks.shape[0]:
            if size != -1:
                meta[REASON] = BAD_SIZE
            return q, -1
        if q + 2 >= end or buf[q + 1] != _CLOSE:
            return q, -1
        ticks[n] = tick
        lots[n] = size
        n += 1
        c = buf[q + 2]
        p = q + 3
        if c == _CLOSE:
            return p, n
        if c != _COMMA:
            return p, -1
    return p, -1


@_inline
def _name(buf, p, end):
    """The first 8 bytes of the string whose text starts at p, packed; and where its closing quote is."""
    if p + 8 <= end:
        word = _load8(buf, p)
        mask = _quotes(word)
        if mask != np.uint64(0):
            n = _byte_of(mask)
            return np.int64(word & ~(~np.uint64(0) << np.uint64(8 * n))), p + n
    v = np.int64(0)
    n = 0
    while p < end and buf[p] != _QUOTE:
        if n < 8:
            v |= np.int64(buf[p]) << np.int64(8 * n)
        n += 1
        p += 1
    return v, p


@_inline
def _channel(buf, p, end):
    """The channel in a stream's name or the event's name itself, packed as `_name` does.

    Of `btcusdt@depth@100ms` it is `depth`, of `!forceOrder@arr` the part before the '@', of `depthUpdate` all.
    """
    q = p
    if p < end and buf[p] != _BANG:
        while q < end and buf[q] != _QUOTE and buf[q] != _AT:
            q += 1
        if q < end and buf[q] == _AT:
            p = q + 1
    v = np.int64(0)
    n = 0
    q = p
    while q < end:
        c = buf[q]
        if c == _QUOTE or c == _AT or c == _UNDERSCORE or c == _DOT:
            break
        if n < 8:
            v |= np.int64(c) << np.int64(8 * n)
        n += 1
        q += 1
    while q < end and buf[q] != _QUOTE:
        q += 1
    return v, q


@_inline
def _table(wire, i):
    """Names and values of the i-th table in a market's wire array: roles, channels, kinds of untagged frames.

    The array begins with the three tables' lengths; an argument less costs each call of `run` less.
    """
    begin = 3
    for j in range(i):
        begin += 2 * wire[j]
    middle = begin + wire[i]
    return wire[begin:middle], wire[middle : middle + wire[i]]


@_inline
def _look_up(names, values, name):
    for i in range(names.shape[0]):
        if names[i] == name:
            return values[i]
    return np.int64(-1)


@_inline
def _kind(buf, p, end, wire):
    """What kind of message the object at p is: by its first ROUTE key, else by its first key."""
    names, roles = _table(wire, 0)
    channels, kinds = _table(wire, 1)
    untagged, untagged_kinds = _table(wire, 2)
    if p + 1 >= end or buf[p + 1] != _QUOTE:
        return np.int64(_UNKNOWN)
    name, q = _name(buf, p + 2, end)
    role = _look_up(names, roles, name)
    if role != _ROUTE:
        first = name
        while q < end and role != _ROUTE:
            q += 1
            while q < end and buf[q] != _QUOTE:
                q += 1
            name, q = _name(buf, q + 1, end)
            role = _look_up(names, roles, name) if q + 1 < end and buf[q + 1] == _COLON else np.int64(-1)
        if role != _ROUTE:
            kind = _look_up(untagged, untagged_kinds, first)
            return kind if kind >= 0 else np.int64(_UNKNOWN)
    if q + 2 < end and buf[q + 1] == _COLON and buf[q + 2] == _QUOTE:
        channel, q = _channel(buf, q + 3, end)
        kind = _look_up(channels, kinds, channel)
        if kind >= 0:
            return kind
    return np.int64(_UNKNOWN)


@_compile
def scan(buf, p, end, meta, ticks, lots, wire):
    """Parse the book message in buf[p:end] into scratch and the line's slots of meta: 0, BAD or FINER.

    Fields are found by name wherever they stand. Missing ids are -1, a missing event time 0.
    """
    names, roles = _table(wire, 0)
    meta[EVENT_MS] = 0
    meta[FIRST_ID] = -1
    meta[MESSAGE_ID] = -1
    meta[PREVIOUS_ID] = -1
    meta[BIDS_AT] = meta[BIDS_END] = meta[ASKS_AT] = meta[ASKS_END] = 0
    meta[NEED_PRICE_DECIMALS] = 0
    meta[NEED_SIZE_DECIMALS] = 0
    n = 0
    sides = 0
    while p < end:
        if buf[p] != _QUOTE:
            p += 1
            continue
        name, p = _name(buf, p + 1, end)
        p += 1
        while p < end and buf[p] <= _SPACE:
            p += 1
        if p + 1 >= end or buf[p] != _COLON:
            continue
        p += 1
        while p + 1 < end and buf[p] <= _SPACE:
            p += 1
        role = _look_up(names, roles, name)
        c = buf[p]
        if c == _OPEN:
            if role != _BID_SIDE and role != _ASK_SIDE:
                p += 1
                continue
            p, after = _pairs(buf, p, end, meta, ticks, lots, n)
            if after < 0:
                return BAD if after == -1 else FINER
            if role == _BID_SIDE:
                meta[BIDS_AT] = n
                meta[BIDS_END] = after
                sides |= 1
            else:
                meta[ASKS_AT] = n
                meta[ASKS_END] = after
                sides |= 2
            n = after
        elif c == _QUOTE:
            p += 1
            while p < end and buf[p] != _QUOTE:
                p += 1
            p += 1
        elif 48 <= c <= 57:
            v, p = _integer(buf, p, end)
            if role == _EVENT:
                meta[EVENT_MS] = v if v < 100_000_000_000_000 else v // 1000
            elif role == _FIRST:
                meta[FIRST_ID] = v
            elif role == _LAST:
                meta[MESSAGE_ID] = v
            elif role == _PREVIOUS:
                meta[PREVIOUS_ID] = v
    if sides != 3 or meta[MESSAGE_ID] < 0:
        meta[REASON] = BAD_FIELDS
        return BAD
    return 0


@_inline
def _far_slot(far_key, key):
    """The slot that holds `key`, or the empty one where it would go (linear probing, Fibonacci hash)."""
    mask = far_key.shape[0] - 1
    i = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while far_key[i] != FAR_EMPTY and far_key[i] != key:
        i = (i + 1) & mask
    return i


@_compile
def far_set(far_key, far_lots, meta, tick, side, lots):
    """Set (or, with 0 lots, remove) a level outside the window. The caller has made room (GROW)."""
    key = tick * 2 + side
    i = _far_slot(far_key, key)
    if lots != 0:
        if far_key[i] == FAR_EMPTY:
            far_key[i] = key
            meta[FAR_COUNT] += 1
        far_lots[i] = lots
        return
    if far_key[i] == FAR_EMPTY:
        return
    # Removing moves later entries of the run back, so that no tombstones pile up.
    meta[FAR_COUNT] -= 1
    mask = far_key.shape[0] - 1
    far_key[i] = FAR_EMPTY
    j = (i + 1) & mask
    while far_key[j] != FAR_EMPTY:
        key, held = far_key[j], far_lots[j]
        far_key[j] = FAR_EMPTY
        home = _far_slot(far_key, key)
        far_key[home] = key
        far_lots[home] = held
        j = (j + 1) & mask


@_compile
def apply(window, far_key, far_lots, meta, ticks, lots):
    """Set the levels in scratch and follow the best prices; a side that has none in the window gets its border."""
    base, width = meta[BASE], meta[WIDTH]
    best = meta[BEST_BID]
    bids = window[:width]
    beyond = best >= base + width
    best = min(best, base + width - 1)
    for i in range(meta[BIDS_AT], meta[BIDS_END]):
        tick, size = ticks[i], lots[i]
        x = tick - base
        if 0 <= x < width:
            bids[x] = size
            if tick > best and size > 0:
                best = tick
        else:
            far_set(far_key, far_lots, meta, tick, 0, size)
            beyond |= x >= width and size > 0
    while best >= base and bids[best - base] == 0:
        best -= 1
    # A bid above the window is the best one, whatever the window holds: `order_book.recentre` looks for it.
    meta[BEST_BID] = base - 1 if beyond else best

    best = meta[BEST_ASK]
    asks = window[width:]
    top = base + width
    beyond = best < base
    best = max(best, base)
    for i in range(meta[ASKS_AT], meta[ASKS_END]):
        tick, size = ticks[i], lots[i]
        x = tick - base
        if 0 <= x < width:
            asks[x] = size
            if tick < best and size > 0:
                best = tick
        else:
            far_set(far_key, far_lots, meta, tick, 1, size)
            beyond |= x < 0 and size > 0
    while best < top and asks[best - base] == 0:
        best += 1
    meta[BEST_ASK] = top if beyond else best
    meta[N_LEVELS] += meta[BIDS_END] - meta[BIDS_AT] + meta[ASKS_END] - meta[ASKS_AT]


@_inline
def _best_lots(window, meta):
    return window[meta[BEST_BID] - meta[BASE]], window[meta[WIDTH] + meta[BEST_ASK] - meta[BASE]]


@_compile
def inside(meta):
    """Whether both best prices stand in the window."""
    base, top = meta[BASE], meta[BASE] + meta[WIDTH]
    return base <= meta[BEST_BID] < top and base <= meta[BEST_ASK] < top


@_inline
def _order_flow(bid, bid_lots, ask, ask_lots, new_bid, new_bid_lots, new_ask, new_ask_lots):
    """Order-flow imbalance of one change of the best quotes (Cont, Kukanov, Stoikov 2014, eq. 3)."""
    e = np.int64(0)
    if new_bid >= bid:
        e += new_bid_lots
    if new_bid <= bid:
        e -= bid_lots
    if new_ask <= ask:
        e -= new_ask_lots
    if new_ask >= ask:
        e += ask_lots
    return e


@_inline
def _update(window, far_key, far_lots, meta, ticks, lots):
    """Apply the parsed message, which is known to follow: book, ids, order flow. END, RECENTRE or CROSSED."""
    was_inside = inside(meta)
    bid, ask = meta[BEST_BID], meta[BEST_ASK]
    bid_lots, ask_lots = np.int64(0), np.int64(0)
    if was_inside:
        bid_lots, ask_lots = _best_lots(window, meta)
    apply(window, far_key, far_lots, meta, ticks, lots)
    meta[LAST_ID] = meta[MESSAGE_ID]
    meta[SEEDED] = 0
    meta[N_APPLIED] += 1
    meta[UPDATES] += 1
    meta[RECEIVED] = meta[RECV]
    meta[HEARD] = meta[SECOND]
    meta[WAS_BID] = -1
    if not inside(meta):
        if was_inside:
            meta[WAS_BID], meta[WAS_BID_LOTS], meta[WAS_ASK], meta[WAS_ASK_LOTS] = (
                bid,
                bid_lots,
                ask,
                ask_lots,
            )
        return RECENTRE
    if was_inside:
        new_bid_lots, new_ask_lots = _best_lots(window, meta)
        meta[OFI] += _order_flow(
            bid, bid_lots, ask, ask_lots, meta[BEST_BID], new_bid_lots, meta[BEST_ASK], new_ask_lots
        )
    if meta[BEST_BID] >= meta[BEST_ASK]:
        if meta[CROSSED_NOW] == 0:
            meta[CROSSED_NOW] = 1
            return CROSSED
        return END
    meta[CROSSED_NOW] = 0
    middle = (meta[BEST_BID] + meta[BEST_ASK]) // 2 - meta[BASE]
    quarter = meta[WIDTH] // 4
    if (middle < quarter and meta[BASE] > 0) or middle > 3 * quarter:
        return RECENTRE
    return END


@_compile
def count_jump(window, meta):
    """The order flow of a message whose best prices left the window, now that the window has followed."""
    if meta[WAS_BID] >= 0 and inside(meta):
        bid_lots, ask_lots = _best_lots(window, meta)
        meta[OFI] += _order_flow(
            meta[WAS_BID], meta[WAS_BID_LOTS], meta[WAS_ASK], meta[WAS_ASK_LOTS],
            meta[BEST_BID], bid_lots, meta[BEST_ASK], ask_lots,
        )  # fmt: skip
    meta[WAS_BID] = -1


@_inline
def _are_digits19(buf, p):
    first, second, third = _load8(buf, p), _load8(buf, p + 8), _load8(buf, p + 11)
    other = _non_digits(first ^ _ZEROS) | _non_digits(second ^ _ZEROS) | _non_digits(third ^ _ZEROS)
    return other == np.uint64(0)


@_inline
def _header(buf, p, end):
    """Of the line at p: where its origin, payload and end stand; the end is -1 if it is not a line."""
    limit = min(end, p + 24)
    origin = p + 20
    # 19 digits of ns from 2001 to 2286; other times are looked through.
    if origin > end or buf[origin - 1] != _SPACE or not _are_digits19(buf, p):
        origin = p
        while origin < limit and buf[origin] != _SPACE:
            origin += 1
        origin += 1
    q = origin
    while q < end and buf[q] != _SPACE and buf[q] != _NEWLINE:
        q += 1
    length, q = _integer(buf, q + 1, end)
    payload = q + 1
    line_end = payload + length
    if length < 0 or line_end >= end or buf[q] != _SPACE or buf[line_end] != _NEWLINE:
        line_end = -1
    return origin, payload, line_end


@_compile
def run(buf, pos, window, far_key, far_lots, meta, clock, ticks, lots, wire):
    """Go over the lines of buf from pos on.

    Returns (code, start of the line concerned, position after it). `clock` is int64[2], shared by the books of
    a partition: the latest event time (ms) and the receive time (ns) of the line that brought it.
    """
    end = buf.shape[0]
    while pos < end:
        start = pos
        origin, payload, line_end = _header(buf, start, end)
        if line_end < 0:
            return TORN, start, end
        pos = line_end + 1
        meta[PAYLOAD] = payload
        meta[PAYLOAD_END] = line_end
        if buf[origin] == _BANG:
            meta[RECV] = _integer(buf, start, end)[0]
            return CONTROL, start, pos
        if payload == line_end or buf[payload] != _BRACE or buf[line_end - 1] != _END_BRACE:
            meta[REASON] = BAD_FRAME
            return BAD, start, pos
        kind = _kind(buf, payload, line_end, wire)
        if kind != _DEPTH:
            if kind == _TRADE:
                meta[N_TRADES] += 1
            elif kind == _SNAPSHOT:
                meta[RECV] = _integer(buf, start, end)[0]
                return SNAPSHOT, start, pos
            elif kind == _UNKNOWN:
                return UNKNOWN, start, pos
            else:
                meta[N_OTHER] += 1
            continue
        code = scan(buf, payload, line_end, meta, ticks, lots, wire)
        if code != 0:
            return code, start, pos
        if meta[FIRST_ID] < 0:
            meta[REASON] = BAD_FIELDS
            return BAD, start, pos
        recv = _integer(buf, start, end)[0]
        meta[RECV] = recv
        if meta[EVENT_MS] == 0:
            meta[EVENT_MS] = clock[0] if clock[0] > 0 else recv // 1_000_000
        event_ms = meta[EVENT_MS]
        if event_ms > recv // 1_000_000 + FUTURE_MS_MAX:
            meta[REASON] = BAD_TIME
            return BAD, start, pos
        if event_ms > clock[0]:
            clock[0] = event_ms
            clock[1] = recv
        second = event_ms // 1000
        if meta[SECOND] < 0:
            meta[SECOND] = meta[HEARD] = second
        if meta[LIVE] == 1:
            # Continuity is judged before time moves on: what a gap hides may lie in the open second already.
            answer = _verdict(
                meta[RULE],
                meta[SEEDED] == 1,
                meta[LAST_ID],
                meta[FIRST_ID],
                meta[MESSAGE_ID],
                meta[PREVIOUS_ID],
            )
            if answer == _STALE:
                meta[N_DEPTH] += 1
                meta[N_STALE] += 1
                continue
            if answer != _NEXT:
                meta[N_DEPTH] += 1
                return GAP, start, pos
        if second > meta[SECOND]:
            return CLOSE, start, pos
        if meta[LIVE] == 0:
            meta[N_DEPTH] += 1
            return WAIT, start, pos
        # A message may miss all its levels in the hash, so room for all is wanted beforehand.
        levels = meta[BIDS_END] - meta[BIDS_AT] + meta[ASKS_END] - meta[ASKS_AT]
        if (meta[FAR_COUNT] + levels) * 2 > far_key.shape[0]:
            return GROW, start, pos
        meta[N_DEPTH] += 1
        if second < meta[SECOND]:
            meta[N_LATE] += 1
        code = _update(window, far_key, far_lots, meta, ticks, lots)
        if code != END:
            return code, start, pos
    return END, pos, pos


@_inline
def _sum(row, lo, hi):
    total = np.int64(0)
    for v in row[max(lo, 0) : max(min(hi, row.shape[0]), 0)]:
        total += v
    return total


@_inline
def _band(mid2, bps):
    """Ticks [lo, hi) within `bps` of the mid, which is given twice over."""
    return -(-(mid2 * (10_000 - bps)) // 20_000), mid2 * (10_000 + bps) // 20_000 + 1


@_inline
def _add_far(far_key, far_lots, mid2, start, bin_ticks, bins, bands, band_bps):
    """Add the levels outside a window that is too narrow for the column."""
    for i in range(far_key.shape[0]):
        if far_key[i] == FAR_EMPTY:
            continue
        tick, side = far_key[i] >> 1, far_key[i] & 1
        at = (tick - start) // bin_ticks
        if 0 <= at < bins.shape[1]:
            bins[side, at] += far_lots[i]
        for j in range(band_bps.shape[0]):
            lo, hi = _band(mid2, band_bps[j])
            if (side == 0 and tick >= lo) or (side == 1 and tick < hi):
                bands[side, j] += far_lots[i]


@_compile
def column(window, far_key, far_lots, meta, bin_ticks, covered, bins, bands, band_bps):
    """The book as a column: lots per bin and within bps bands of the mid; -1 where nothing is known.

    `bins` int64[2, n] and `bands` int64[2, len(band_bps)] are filled (bids, asks); `covered` is (lowest bid tick,
    highest ask tick) up to which the book is known whole. Beyond, a bin holds what has been heard of since, if
    anything. Returns the index of the first bin, a multiple of 64 that
    puts the mid near the middle; bin b holds the ticks [b * bin_ticks, (b + 1) * bin_ticks).
    """
    base, width = meta[BASE], meta[WIDTH]
    n = bins.shape[1]
    mid2 = meta[BEST_BID] + meta[BEST_ASK]
    first = max((mid2 // (2 * bin_ticks) - n // 2 + 32) // 64 * 64, 0)
    start = first * bin_ticks
    for side in range(2):
        row = window[:width] if side == 0 else window[width:]
        out = bins[side]
        lo = start - base
        for i in range(n):
            out[i] = _sum(row, lo, lo + bin_ticks)
            lo += bin_ticks
    bids, asks = window[:width], window[width:]
    bid_edge, ask_edge = meta[BEST_BID] + 1, meta[BEST_ASK]
    bid_sum, ask_sum = np.int64(0), np.int64(0)
    reach_low, reach_high = start, start + n * bin_ticks
    for i in range(band_bps.shape[0]):
        lo, hi = _band(mid2, band_bps[i])
        if lo < bid_edge:
            bid_sum += _sum(bids, lo - base, bid_edge - base)
            bid_edge = lo
        if hi > ask_edge:
            ask_sum += _sum(asks, ask_edge - base, hi - base)
            ask_edge = hi
        bands[0, i], bands[1, i] = bid_sum, ask_sum
        reach_low, reach_high = min(reach_low, lo), max(reach_high, hi)
    if reach_low < base or reach_high > base + width:
        _add_far(far_key, far_lots, mid2, start, bin_ticks, bins, bands, band_bps)
    for i in range(n):
        lo = start + i * bin_ticks
        if bins[0, i] == 0 and lo < covered[0]:
            bins[0, i] = -1
        if bins[1, i] == 0 and lo + bin_ticks - 1 > covered[1]:
            bins[1, i] = -1
    for i in range(band_bps.shape[0]):
        lo, hi = _band(mid2, band_bps[i])
        if lo < covered[0]:
            bands[0, i] = -1
        if hi - 1 > covered[1]:
            bands[1, i] = -1
    return first


@_compile
def levels(window, far_key, far_lots, meta, ticks, lots, sides):
    """Every level of the book into the three arrays, in window order, then far ones by hash; returns their number."""
    base, width = meta[BASE], meta[WIDTH]
    n = 0
    for x in range(2 * width):
        if window[x] != 0:
            side = 1 if x >= width else 0
            ticks[n], lots[n], sides[n] = base + x - side * width, window[x], side
            n += 1
    for i in range(far_key.shape[0]):
        if far_key[i] != FAR_EMPTY:
            ticks[n], lots[n], sides[n] = far_key[i] >> 1, far_lots[i], far_key[i] & 1
            n += 1
    return n


@_compile
def count_levels(window, meta):
    """How many levels the book holds, window and far."""
    n = meta[FAR_COUNT]
    for v in window:
        if v != 0:
            n += 1
    return n


@_compile
def fill(window, far_key, far_lots, meta, ticks, lots, sides):
    """Set levels in an empty window and hash, which has room; the best prices are the caller's to set."""
    base, width = meta[BASE], meta[WIDTH]
    for i in range(ticks.shape[0]):
        x = ticks[i] - base
        if 0 <= x < width:
            window[sides[i] * width + x] = lots[i]
        else:
            far_set(far_key, far_lots, meta, ticks[i], sides[i], lots[i])


@_compile
def accumulate(bins, shift, total, seconds):
    """Add a column's bins to a roll-up that begins `shift` bins before it; unknown bins add nothing."""
    for side in range(2):
        row, sums, counts = bins[side], total[side], seconds[side]
        for i in range(row.shape[0]):
            if row[i] >= 0:
                sums[i + shift] += row[i]
                counts[i + shift] += 1


@_compile
def sizes(total, seconds, scale, out):
    """Mean size of each bin, float32: total / (seconds * scale); NaN where no second knows it."""
    for side in range(2):
        sums, counts, row = total[side], seconds[side], out[side]
        for i in range(sums.shape[0]):
            row[i] = np.float32(sums[i] / (counts[i] * scale)) if counts[i] > 0 else np.float32(np.nan)
