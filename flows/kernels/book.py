"""From bytes to an order book, compiled: one pass over the lines of a record, no Python object per level.

Only `@njit` functions live here, because numba's cache is void when this file changes. `run` goes over lines
until Python has to decide something and says what by a code. A message is parsed whole into scratch, its ids
are checked, then it is applied: a bad message never half-applies.

The state of a book is arrays (see `flows.kernels.order_book`): `window`, int64[2 * width], lots resting at
each tick from `meta[BASE]` on, bids in the first half, asks in the second; `far_key`, `far_lots`, an open
hash of the levels outside the window (key = tick * 2 + side); `meta`, int64[META], the slots named below.

`ledger` is that of `flows.kernels.ledger`, which follows the prices that trade.

Cost: 1.2 us for a futures message of 1.6 KB and 68 levels, 0.2 us for one of 13, 1 us for one of 1.5 levels with its
checksum, 0.1 us for a line of no interest (`make bench`).
"""

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from connectors.book_sync import restarted as _python_restarted
from connectors.book_sync import verdict as _python_verdict
from flows.kernels import ledger as _ledger

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
WHOLE_BOOK = 13  # a book message that replaces the book, parsed
RESTARTED = 14  # the same for a live book, and what the venue did not tell before it is lost
SUBSCRIPTION = 15  # an answer to a request to follow a book
MISMATCH = 16  # applied, and the book is not the one that the message's checksum is of: it is void
TRADES = 17  # a line for the tape; `run` stops for it while the book is live
ROOM = 18  # the ledger of the trades against the book needs room; the line has not been touched

# Why a line is BAD.
BAD_FRAME = 1  # not an object, or cut short
BAD_LEVELS = 2  # a level is not a pair of decimals
BAD_FIELDS = 3  # ids or a side are missing
BAD_TIME = 4  # event time more than a minute ahead of receipt
BAD_SIZE = 5  # more than 18 digits, or too many levels
BAD_STAMP = 6  # an event time that is none

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
# The line at hand.
WHOLE = 44  # it replaces the book
CHECKSUM = 45  # of the book after it; -1: none
WROTE_PRICE_DECIMALS = 46  # the most it writes, trailing zeros too (Shape.OBJECTS)
WROTE_SIZE_DECIMALS = 47
# The book.
WIRE_PRICE_DECIMALS = 48  # what the venue writes, trailing zeros too: the checksum is of its text
WIRE_SIZE_DECIMALS = 49
DEPTH = 50  # levels a side that the venue tells of; 0: all
TOLD_DEPTH = 51  # what it has said of the next snapshot's
N_BIDS = 52  # levels a side, window and far
N_ASKS = 53
WORST_BID = 54  # no bid of the window is below, no ask above
WORST_ASK = 55
META = 56

# The first fields of a wire array, before its three tables (see `flows.kernels.depth.wire_array`).
WIRE_SHAPE = 3
WIRE_ONE_ID = 4  # a message has one id, which stands for its first too
WIRE_TIMED = 5
WIRE_ROLES = 6  # of its keys but ROUTE: the sum of 2 << role
# What the kernel has learned of how the market writes; nothing but time depends on it.
WIRE_PRICE_LENGTH = (
    7  # of the last level learned: its price, if the next may be read as that (see `_form`), else 0
)
WIRE_PRICE_WRITTEN = 8  # digits behind its dot, and behind that of its size
WIRE_SIZE_WRITTEN = 9
WIRE_KNOWN = 10  # where in the array known stretches of text begin (see `_known`)
WIRE_HEAD = 11

KNOWN_MAX = 12  # stretches of text known of a message, besides its head
KNOWN_SLOTS = 10  # of each: its length, what its last key means, 64 bytes of text
SURPRISES_MAX = 4  # so often in one array of levels it is learned anew how they are written

# A name of a wire's table of 2**n slots stands in the slot (name * NAME_FACTOR mod 2**64 >> 32) mod 2**n.
NAME_FACTOR = np.uint64(0x9E3779B97F4A7C15)

NO_ASK = 1 << 62
FUTURE_MS_MAX = 60_000
DIGITS_MAX = 18
LOTS_MAX = 1 << 52  # a size; thousands of them add up within int64
FAR_EMPTY = -1

# Kinds, roles, shapes and rules, as `connectors` numbers them (a test holds them equal).
_UNKNOWN, _DEPTH, _SNAPSHOT, _TRADE, _OTHER, _SUBSCRIPTION, _BAR, _DERIVATIVE = 0, 1, 2, 3, 4, 5, 6, 7
_ROUTE, _EVENT, _FIRST, _LAST, _PREVIOUS, _BID_SIDE, _ASK_SIDE = 0, 1, 2, 3, 4, 5, 6
_BOTH_SIDES, _CHECKSUM, _KIND_OF, _WHOLE = 7, 8, 9, 10
_PAIRS, _OBJECTS, _SIDED = 0, 1, 2
_BY_CHECKSUM, _BY_NOTHING, _OVERLAP = 3, 4, 5

_QUOTE, _COMMA, _DOT, _COLON, _OPEN, _CLOSE, _SPACE, _NEWLINE = 34, 44, 46, 58, 91, 93, 32, 10
_BRACE, _END_BRACE, _BANG, _AT, _UNDERSCORE, _PLUS, _MINUS = 123, 125, 33, 64, 95, 43, 45

_HIGH_BITS = np.uint64(0x8080808080808080)
_ZEROS = np.uint64(0x3030303030303030)
_QUOTES, _ATS = np.uint64(0x2222222222222222), np.uint64(0x4040404040404040)
_SPACES, _NEWLINES = np.uint64(0x2020202020202020), np.uint64(0x0A0A0A0A0A0A0A0A)
_BETWEEN = np.uint64(0x222C22)  # "," between price and size
_NEXT_PAIR, _LAST_PAIR = np.uint64(0x225B2C5D22), np.uint64(0x5D5D22)  # what follows a pair: "],[" or "]]


def _text8(text: bytes) -> np.uint64:
    """Up to 8 bytes as `_load8` and `_name` see them."""
    return np.uint64(int.from_bytes(text, "little"))


_IS_PRICE, _IS_QTY, _IS_SNAPSHOT = (np.int64(_text8(x)) for x in (b"price", b"qty", b"snapshot"))
_PRICE_KEY, _QTY_KEY = _text8(b'"price":'), _text8(b',"qty":')
_BUY, _SELL = _text8(b'["buy","'), _text8(b'"sell","')
_POW10 = np.array([10**i for i in range(19)], np.int64)
_TOP = 10  # levels a side that a checksum is of


def _crc_table() -> list[int]:
    """CRC-32 of each byte (ISO 3309, as zlib has it)."""
    table = list(range(256))
    for _ in range(8):
        table = [(v >> 1) ^ (0xEDB88320 if v & 1 else 0) for v in table]
    return table


_CRC = np.array(_crc_table(), np.uint32)

_inline = nb.njit(inline="always")
# Nothing here allocates and the caller holds the arrays: without numba's reference counts, an atomic operation at
# every use of an array in an inlined function, the whole is a third faster.
_compile = nb.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]

_verdict = nb.njit(inline="always")(_python_verdict)
_restarted = nb.njit(inline="always")(_python_restarted)
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
def _matches(word, eight):
    """A mask whose lowest set bit is the high bit of the first byte that equals that of `eight`; 0 if none does."""
    x = word ^ eight
    return (x - np.uint64(0x0101010101010101)) & ~x & _HIGH_BITS


@_inline
def _quotes(word):
    return _matches(word, _QUOTES)


@_inline
def _byte_of(mask):
    """Which of the 8 bytes the lowest set bit of a mask is of."""
    return np.int64(_trailing_zeros(mask) >> np.uint64(3))


@intrinsic
def _trailing_zeros(typingctx, value):
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@intrinsic
def _leading_zeros(typingctx, value):
    def codegen(context, builder, signature, args):
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@intrinsic
def _put(typingctx, array, at, value):
    """`array[at] = value` of an int64 array for `at` from 0 on: no thought is given to indices from the end."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@intrinsic
def _differing(typingctx, buf, at, words, begin):
    """Of 64 bytes of `buf` from `at` on those that differ from 8 int64 from `begin` on, a bit each."""

    def codegen(context, builder, signature, args):
        vector, found = ir.VectorType(ir.IntType(8), 64), []
        for i in (0, 2):
            array = context.make_array(signature.args[i])(context, builder, args[i])
            address = builder.bitcast(builder.gep(array.data, [args[i + 1]]), vector.as_pointer())
            found.append(builder.load(address, align=1))
        return builder.bitcast(builder.icmp_unsigned("!=", *found), ir.IntType(64))

    return types.uint64(buf, types.int64, words, types.int64), codegen


@_inline
def _known(buf, p, end, wire, i):
    """The length of the i-th known stretch of text if it stands at p, and no space behind it; else 0.

    The messages of a market differ in their numbers, hardly in the text between them: what `_kind` or `_next_key` has
    once made of a stretch of it is kept with that text, and holds wherever the same text stands.
    """
    at = wire[WIRE_KNOWN] + i * KNOWN_SLOTS
    n = wire[at]
    if n == 0 or p + 64 > buf.shape[0] or p + n >= end or buf[p + n] <= _SPACE:
        return np.int64(0)
    return n if _differing(buf, p, wire, at + 2) << np.uint64(64 - n) == np.uint64(0) else np.int64(0)


@_inline
def _keep(buf, p, n, wire, i, role):
    """Make the n bytes at p the i-th known stretch, if they are few enough."""
    at = wire[WIRE_KNOWN] + i * KNOWN_SLOTS
    wire[at] = 0
    if 0 < n <= 64 and p + 64 <= buf.shape[0]:
        wire[at] = n
        wire[at + 1] = role
        for j in range(8):
            wire[at + 2 + j] = np.int64(_load8(buf, p + 8 * j))


@_inline
def _find(buf, p, end, one, other):
    """Where the first of two characters stands from p on; `end` if there is none. Both are given eight times over."""
    while p + 8 <= end:
        word = _load8(buf, p)
        mask = _matches(word, one) | _matches(word, other)
        if mask != np.uint64(0):
            return p + _byte_of(mask)
        p += 8
    one, other = one & np.uint64(0xFF), other & np.uint64(0xFF)
    while p < end and np.uint64(buf[p]) != one and np.uint64(buf[p]) != other:
        p += 1
    return p


@_inline
def _string_end(buf, p, end):
    """Where the closing quote of the string whose text goes on at p stands; `end` if there is none."""
    return _find(buf, p, end, _QUOTES, _QUOTES)


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
def decimal(buf, p, end, decimals, bare):
    """The decimal at p, exactly, in units of 10**-decimals, byte by byte; a quote ends it, or, bare, a comma or brace.

    Returns (value, position of what ends it, decimals needed). The value is -1 where there is no
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
    if p >= end or (bare and buf[p] != _COMMA and buf[p] != _END_BRACE) or (not bare and buf[p] != _QUOTE):
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

    The closing quote is found first and apart, so that the next number need not wait for this one's value. Nothing
    branches on the text: sizes differ in length from level to level, a guess at it would fail as often.
    """
    factor, shift, finer = unit
    word = _load8(buf, p)
    digits = word ^ _ZEROS
    # Of 8 digits the last is taken for the end, and is no dot.
    whole = _byte_of(_non_digits(digits) | np.uint64(1 << 63))
    v = _value8((digits << np.uint64(8)) << np.uint64(56 - 8 * whole)) * factor
    n = length - whole - 1
    kept = ~np.uint64(0) >> np.uint64((64 - 8 * n) & 63) if n > 0 else np.uint64(0)
    fraction = (_load8(buf, p + whole + 1) ^ _ZEROS) & kept
    dot = (word >> np.uint64(8 * whole)) & np.uint64(0xFF) == np.uint64(_DOT)
    ends_well = (n == -1) | (dot & (n >= 1) & (n <= 8))
    good = (whole > 0) & ends_well & (((_non_digits(fraction)) | (fraction & finer)) == np.uint64(0))
    return v + _value8(fraction << shift) if good else np.int64(-1)


@_inline
def _quoted(buf, p, end, meta, plain, price_unit, size_unit):
    """Price and size from the text `price","size"` at p: (tick, lots, where the last quote is, the price's length).

    Below zero they are as of `decimal`; then meta[NEED_...] is set.
    """
    tick = size = np.int64(-1)
    q = p
    length = np.int64(0)
    if plain and p + 62 <= end:
        length = _length(buf, p)
        tick = _plain(buf, p, length, price_unit)
        q = p + length
        if _load8(buf, q) & np.uint64(0xFFFFFF) == _BETWEEN:
            size_length = _length(buf, q + 3)
            size = _plain(buf, q + 3, size_length, size_unit)
            q += 3 + size_length
    if tick < 0 or size < 0:
        size = np.int64(-1)
        tick, q, need = decimal(buf, p, end, meta[PRICE_DECIMALS], False)
        length = q - p
        if tick == -3:
            meta[NEED_PRICE_DECIMALS] = need
        elif tick >= 0 and q + 5 < end and buf[q + 1] == _COMMA and buf[q + 2] == _QUOTE:
            size, q, need = decimal(buf, q + 3, end, meta[SIZE_DECIMALS], False)
            if size == -3:
                meta[NEED_SIZE_DECIMALS] = need
    return tick, size, q, length


@_inline
def _refusal(meta, tick, size):
    """What a level that cannot be taken makes of its message: -2 finer decimals, else -1 (and meta[REASON])."""
    if tick == -3 or size == -3:
        return -2
    if tick == -2 or size == -2 or (tick >= 0 and size >= 0):
        meta[REASON] = BAD_SIZE
    return -1


@_inline
def _form(written, decimals):
    """What `_formed` needs of numbers with so many digits behind the dot, to read them in units of 10**-decimals.

    For 8 bytes less their '0', of which the last is the number's last digit: the dot, what added to a byte makes its
    high bit tell of what must not be there, the digits before and behind the dot, by how much those too fine are
    shifted out, and a factor.
    """
    finer = max(written - decimals, 0)  # these must be zeros
    limits = np.uint64(0x7676767676767676)
    if finer > 0:
        limits |= ~np.uint64(0) << np.uint64(64 - 8 * finer) & np.uint64(0x7F7F7F7F7F7F7F7F)
    factor = _POW10[max(decimals - written, 0)]
    if written == 0:
        return np.uint64(0), limits, np.uint64(0), ~np.uint64(0), np.uint64(8 * finer), factor
    at = np.uint64(8 * (7 - written)) & np.uint64(63)
    byte = np.uint64(0xFF) << at
    limits = (limits & ~byte) | np.uint64(0x7F) << at
    whole = (np.uint64(1) << at) - np.uint64(1)
    return np.uint64(_DOT ^ 48) << at, limits, whole, ~(whole | byte), np.uint64(8 * finer), factor


@_inline
def _formed(digits, form):
    """The number that 8 bytes make, as `_form` wants them; and a mask that is 0 if they are of that form."""
    dot, limits, whole, fraction, finer, factor = form
    digits ^= dot
    wrong = ((digits + limits) | digits) & _HIGH_BITS
    digits = ((digits & whole) << np.uint64(8)) | (digits & fraction)
    return _value8(digits << finer) * factor, wrong


@_inline
def _learn(buf, p, length, q, size, wire):
    """Keep how the level at p is written, whose last quote is at q."""
    begin = p + length + 3
    wire[WIRE_PRICE_LENGTH] = length if length <= 8 and q - begin <= 8 else 0
    wire[WIRE_PRICE_WRITTEN] = _decimals_written(buf, p, p + length)
    written = _decimals_written(buf, begin, q)
    if size > 0 or written > 0:  # "0" tells nothing
        wire[WIRE_SIZE_WRITTEN] = written


@_inline
def _formed_pairs(buf, p, end, meta, ticks, lots, n, wire):
    """The levels from the text of a price at p on as far as they are written like the one learned last.

    Returns (where the first text of another form begins, count, False), or at the array's end as `_pairs` and True.
    Nothing branches on the numbers, which differ in form from level to level: a guess would fail as often.
    """
    length, written = wire[WIRE_PRICE_LENGTH], wire[WIRE_SIZE_WRITTEN]
    price_decimals, size_decimals = meta[PRICE_DECIMALS], meta[SIZE_DECIMALS]
    # With 8 digits and a factor of 10**7 a size is below LOTS_MAX.
    if length == 0 or price_decimals - wire[WIRE_PRICE_WRITTEN] > 7 or size_decimals - written > 7:
        return p, n, False
    price_form, size_form = _form(wire[WIRE_PRICE_WRITTEN], price_decimals), _form(written, size_decimals)
    shift = np.uint64(64 - 8 * length) & np.uint64(63)
    shortest = written + 2 if written > 0 else 1
    last = min(buf.shape[0] - 27, end)  # no load reaches farther than 27 bytes
    while p <= last and n < ticks.shape[0]:
        q = p + length
        text = _load8(buf, q + 3)
        size_length = _byte_of(_quotes(text))
        tick, wrong = _formed((_load8(buf, p) ^ _ZEROS) << shift, price_form)
        digits = (text ^ _ZEROS) << (np.uint64(-8 * size_length) & np.uint64(63))
        size, not_formed = _formed(digits, size_form)
        if size_length < shortest:
            not_formed = ~np.uint64(0)
        if digits == np.uint64(0):  # "0", without a dot
            not_formed = np.uint64(0)
        wrong |= not_formed | (_load8(buf, q) ^ _BETWEEN) & np.uint64(0xFFFFFF)
        q += 3 + size_length
        if wrong != np.uint64(0) or q + 3 > end:
            break
        _put(ticks, n, tick)
        _put(lots, n, size)
        word = _load8(buf, q)
        if word & np.uint64(0xFFFFFFFFFF) != _NEXT_PAIR:
            if word & np.uint64(0xFFFFFF) == _LAST_PAIR:
                return q + 3, n + 1, True
            break
        n += 1
        p = q + 5
    return p, n, False


@_inline
def _pairs(buf, p, end, meta, ticks, lots, n, wire):
    """Levels [["price","size"],...] from the '[' at p into scratch from n on.

    Returns (position after the closing ']', count); the count is -1 where a level is not of this shape
    (meta[REASON]) and -2 where it has finer decimals (meta[NEED_...]).
    """
    meta[REASON] = BAD_LEVELS
    p += 1
    if p < end and buf[p] == _CLOSE:
        return p + 1, n
    if p + 1 >= end or buf[p] != _OPEN or buf[p + 1] != _QUOTE:
        return p, -1
    p, n, done = _formed_pairs(buf, p + 2, end, meta, ticks, lots, n, wire)
    return (p, n) if done else _other_pairs(buf, p, end, meta, ticks, lots, n, wire)


@_compile
def _other_pairs(buf, p, end, meta, ticks, lots, n, wire):
    """As `_pairs` from the text of a price on, in a level that is written unlike those before."""
    plain = meta[PRICE_DECIMALS] <= 8 and meta[SIZE_DECIMALS] <= 8
    price_unit, size_unit = _unit(meta[PRICE_DECIMALS]), _unit(meta[SIZE_DECIMALS])
    surprises = 0
    while p + 4 < end:
        tick, size, q, length = _quoted(buf, p, end, meta, plain, price_unit, size_unit)
        if tick < 0 or size < 0 or size > LOTS_MAX or n >= ticks.shape[0]:
            return q, _refusal(meta, tick, size)
        _put(ticks, n, tick)
        _put(lots, n, size)
        n += 1
        if surprises < SURPRISES_MAX:
            _learn(buf, p, length, q, size, wire)
        if q + 8 > end:
            break
        word = _load8(buf, q)
        if word & np.uint64(0xFFFFFFFFFF) != _NEXT_PAIR:
            if word & np.uint64(0xFFFFFF) != _LAST_PAIR:
                return q, -1
            return q + 3, n
        p = q + 5
        if surprises < SURPRISES_MAX:
            surprises += 1
            p, n, done = _formed_pairs(buf, p, end, meta, ticks, lots, n, wire)
            if done:
                return p, n
    if q + 2 < end and buf[q + 1] == _CLOSE and buf[q + 2] == _CLOSE:
        return q + 3, n
    return p, -1


@_compile
def _sided(buf, p, end, meta, ticks, lots):
    """Levels [["buy","price","size"],["sell",...],...] from the '[' at p, bids into half of scratch, asks the other.

    Returns as `_pairs`; the count is 0 where all is well.
    """
    plain = meta[PRICE_DECIMALS] <= 8 and meta[SIZE_DECIMALS] <= 8
    price_unit, size_unit = _unit(meta[PRICE_DECIMALS]), _unit(meta[SIZE_DECIMALS])
    half = ticks.shape[0] // 2
    meta[BIDS_AT] = meta[BIDS_END] = 0
    meta[ASKS_AT] = meta[ASKS_END] = half
    meta[REASON] = BAD_LEVELS
    p += 1
    if p < end and buf[p] == _CLOSE:
        return p + 1, 0
    while p + 15 < end:
        if _load8(buf, p) == _BUY:
            q = p + 8
            at, most = BIDS_END, half
        elif buf[p] == _OPEN and _load8(buf, p + 1) == _SELL:
            q = p + 9
            at, most = ASKS_END, ticks.shape[0]
        else:
            return p, -1
        tick, size, q, _ = _quoted(buf, q, end, meta, plain, price_unit, size_unit)
        if tick < 0 or size < 0 or size > LOTS_MAX or meta[at] >= most:
            return q, _refusal(meta, tick, size)
        if q + 2 >= end or buf[q + 1] != _CLOSE:
            return q, -1
        ticks[meta[at]] = tick
        lots[meta[at]] = size
        meta[at] += 1
        p = q + 3
        if buf[q + 2] == _CLOSE:
            return p, 0
        if buf[q + 2] != _COMMA:
            return p, -1
    return p, -1


@_inline
def _ends(word):
    """As `_matches` for the first comma or closing brace."""
    return _matches(word, np.uint64(0x2C2C2C2C2C2C2C2C)) | _matches(word, np.uint64(0x7D7D7D7D7D7D7D7D))


@_inline
def _bare_length(buf, p):
    """How long the number at p is, its end looked for in 16 bytes; 0 if it is not there."""
    mask = _ends(_load8(buf, p))
    if mask != np.uint64(0):
        return _byte_of(mask)
    mask = _ends(_load8(buf, p + 8))
    if mask != np.uint64(0):
        return 8 + _byte_of(mask)
    return np.int64(0)


@_inline
def _decimals_written(buf, p, end):
    """Digits behind the dot of the number [p, end)."""
    q = p
    while q < end and buf[q] != _DOT:
        q += 1
    return max(end - q - 1, 0)


@_inline
def _skip_scalar(buf, p, end):
    """Where the string, number or literal at p ends."""
    if p < end and buf[p] == _QUOTE:
        p += 1
        while p < end and buf[p] != _QUOTE:
            p += 1
        return p + 1
    while p < end and buf[p] != _COMMA and buf[p] != _END_BRACE and buf[p] != _OPEN and buf[p] != _BRACE:
        p += 1
    return p


@_compile
def _object(buf, p, end, meta):
    """The level {"price":1.50,"qty":0.20} at p, keys in any order and others looked through: (tick, lots, its end).

    Below zero they are as of `decimal`; then meta[NEED_...] is set.
    """
    tick = size = np.int64(-1)
    q = p
    while q + 2 < end and (q == p or buf[q] == _COMMA) and buf[q + 1] == _QUOTE:
        name, q = _name(buf, q + 2, end)
        if q + 2 >= end or buf[q + 1] != _COLON:
            break
        begin = q + 2
        if name == _IS_PRICE:
            tick, q, need = decimal(buf, begin, end, meta[PRICE_DECIMALS], True)
            if tick < 0:
                meta[NEED_PRICE_DECIMALS] = need
                return tick, size, q
            meta[WROTE_PRICE_DECIMALS] = max(meta[WROTE_PRICE_DECIMALS], _decimals_written(buf, begin, q))
        elif name == _IS_QTY:
            size, q, need = decimal(buf, begin, end, meta[SIZE_DECIMALS], True)
            if size < 0:
                meta[NEED_SIZE_DECIMALS] = need
                return tick, size, q
            meta[WROTE_SIZE_DECIMALS] = max(meta[WROTE_SIZE_DECIMALS], _decimals_written(buf, begin, q))
        else:
            q = _skip_scalar(buf, begin, end)
    if q >= end or buf[q] != _END_BRACE:
        tick = np.int64(-1)
    return tick, size, q


@_compile
def _objects(buf, p, end, meta, ticks, lots, n):
    """Levels [{"price":1.50,"qty":0.20},...] from the '[' at p into scratch from n on; returns as `_pairs`."""
    plain = meta[PRICE_DECIMALS] <= 8 and meta[SIZE_DECIMALS] <= 8
    price_unit, size_unit = _unit(meta[PRICE_DECIMALS]), _unit(meta[SIZE_DECIMALS])
    price_wrote, size_wrote = meta[WROTE_PRICE_DECIMALS], meta[WROTE_SIZE_DECIMALS]
    meta[REASON] = BAD_LEVELS
    p += 1
    if p < end and buf[p] == _CLOSE:
        return p + 1, n
    while p + 2 < end:
        if buf[p] != _BRACE:
            return p, -1
        tick = size = np.int64(-1)
        q = p
        if plain and p + 64 <= end and _load8(buf, p + 1) == _PRICE_KEY:
            length = _bare_length(buf, p + 9)
            tick = _plain(buf, p + 9, length, price_unit)
            q = p + 9 + length
            if tick >= 0 and _load8(buf, q) & np.uint64(0xFFFFFFFFFFFFFF) == _QTY_KEY:
                price_wrote = max(price_wrote, _decimals_written(buf, p + 9, q))
                length = _bare_length(buf, q + 7)
                size = _plain(buf, q + 7, length, size_unit)
                if size >= 0 and buf[q + 7 + length] == _END_BRACE:
                    size_wrote = max(size_wrote, _decimals_written(buf, q + 7, q + 7 + length))
                    q += 7 + length
                else:
                    size = np.int64(-1)
        if tick < 0 or size < 0:
            tick, size, q = _object(buf, p, end, meta)
        if tick < 0 or size < 0 or size > LOTS_MAX or n >= ticks.shape[0]:
            return q, _refusal(meta, tick, size)
        ticks[n] = tick
        lots[n] = size
        n += 1
        p = q + 2
        if q + 1 < end and buf[q + 1] == _CLOSE:
            meta[WROTE_PRICE_DECIMALS] = max(meta[WROTE_PRICE_DECIMALS], price_wrote)
            meta[WROTE_SIZE_DECIMALS] = max(meta[WROTE_SIZE_DECIMALS], size_wrote)
            return p, n
        if q + 1 >= end or buf[q + 1] != _COMMA:
            return p, -1
    return p, -1


@_inline
def _number(buf, p, digits):
    """So many digits at p as a number; -1 if one is none."""
    v = np.int64(0)
    for i in range(digits):
        c = np.int64(buf[p + i]) - 48
        if c < 0 or c > 9:
            return np.int64(-1)
        v = v * 10 + c
    return v


@_inline
def _days(year, month, day):
    """Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, days_from_civil)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@_inline
def _month_days(year, month):
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 + ((month + (month >> 3)) & 1)


@_compile
def stamp_ms(buf, p, end):
    """UTC in ms of the RFC 3339 text at p, which a quote ends, cut to the ms; -1 if it is none or before 1970."""
    if p + 21 > end or buf[p + 4] != _MINUS or buf[p + 7] != _MINUS:
        return np.int64(-1)
    if buf[p + 10] | 32 != 116 or buf[p + 13] != _COLON or buf[p + 16] != _COLON:
        return np.int64(-1)
    year, month, day = _number(buf, p, 4), _number(buf, p + 5, 2), _number(buf, p + 8, 2)
    hour, minute, second = _number(buf, p + 11, 2), _number(buf, p + 14, 2), _number(buf, p + 17, 2)
    if year < 1970 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return np.int64(-1)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 60:
        return np.int64(-1)
    ms = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    p += 19
    if buf[p] == _DOT:
        p += 1
        begin = p
        while p < end and 48 <= buf[p] <= 57:
            if p - begin < 3:
                ms += (np.int64(buf[p]) - 48) * _POW10[2 - (p - begin)]
            p += 1
        if p == begin or p - begin > 9:
            return np.int64(-1)
    if p + 1 < end and buf[p] | 32 == 122 and buf[p + 1] == _QUOTE:
        return ms
    if p + 6 >= end or (buf[p] != _PLUS and buf[p] != _MINUS) or buf[p + 3] != _COLON or buf[p + 6] != _QUOTE:
        return np.int64(-1)
    hour, minute = _number(buf, p + 1, 2), _number(buf, p + 4, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return np.int64(-1)
    offset = (hour * 60 + minute) * 60_000
    return max(ms - offset if buf[p] == _PLUS else ms + offset, np.int64(-1))


@_inline
def _integer_ms(v):
    """UTC in ms of a time in ms, us or ns."""
    if v < 100_000_000_000_000:
        return v
    return v // 1000 if v < 100_000_000_000_000_000 else v // 1_000_000


@_inline
def _name(buf, p, end):
    """The first 8 bytes of the string whose text starts at p, packed; and where its closing quote is."""
    if p + 8 <= end:
        word = _load8(buf, p)
        mask = _quotes(word)
        if mask != np.uint64(0):
            n = _byte_of(mask)
            return np.int64(word & ~(~np.uint64(0) << np.uint64(8 * n))), p + n
        return np.int64(word), _string_end(buf, p + 8, end)
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
    """The channel in a stream's name or the event's name itself, packed as `_name` does; and where the text ends.

    Of `btcusdt@depth@100ms` it is `depth`, of `!forceOrder@arr` the part before the '@', of `depthUpdate` all.
    """
    at = p
    if p < end and buf[p] != _BANG:
        at = _find(buf, p, end, _QUOTES, _ATS)
        if at < end and buf[at] == _AT:
            p = at + 1
    v = np.int64(0)
    for n in range(min(end - p, 8)):
        c = buf[p + n]
        if c == _QUOTE or c == _AT or c == _UNDERSCORE or c == _DOT:
            break
        v |= np.int64(c) << np.int64(8 * n)
    return v, _string_end(buf, at, end)


@_inline
def _table(wire, i):
    """Names and values of the i-th table in a market's wire array: roles, channels, kinds of untagged frames.

    The array's first fields are the three tables' lengths; an argument less costs each call of `run` less.
    """
    begin = WIRE_HEAD
    for j in range(i):
        begin += 2 * wire[j]
    middle = begin + wire[i]
    return wire[begin:middle], wire[middle : middle + wire[i]]


@_inline
def _look_up(names, values, name):
    """What a name means; -1: nothing. A name stands where `depth.wire_array` has put it, or nowhere."""
    at = np.int64((np.uint64(name) * NAME_FACTOR) >> np.uint64(32)) & (names.shape[0] - 1)
    return values[at] if names[at] == name else np.int64(-1)


@_inline
def _kind(buf, p, end, wire):
    """What kind of message the object at p is: by its first ROUTE key outside of arrays, else by its first key.

    Returns also from where on `scan` has to look: what stands before has no other meaning.
    """
    begin = p
    names, roles = _table(wire, 0)
    channels, kinds = _table(wire, 1)
    untagged, untagged_kinds = _table(wire, 2)
    if p + 1 >= end or buf[p + 1] != _QUOTE:
        return np.int64(_UNKNOWN), begin
    name, q = _name(buf, p + 2, end)
    role = _look_up(names, roles, name)
    is_first = role == _ROUTE
    if not is_first:
        first = name
        arrays = np.int64(0)
        while q < end and role != _ROUTE:
            q += 1
            while q < end and buf[q] != _QUOTE:
                c = buf[q]
                arrays += np.int64(c == _OPEN) - np.int64(c == _CLOSE)
                q += 1
            name, q = _name(buf, q + 1, end)
            is_key = arrays == 0 and q + 1 < end and buf[q + 1] == _COLON
            role = _look_up(names, roles, name) if is_key else np.int64(-1)
        if role != _ROUTE:
            kind = _look_up(untagged, untagged_kinds, first)
            return (kind if kind >= 0 else np.int64(_UNKNOWN)), begin
    if q + 2 < end and buf[q + 1] == _COLON and buf[q + 2] == _QUOTE:
        channel, q = _channel(buf, q + 3, end)
        if is_first:
            begin = q + 1
        kind = _look_up(channels, kinds, channel)
        if kind >= 0:
            return kind, begin
    return np.int64(_UNKNOWN), begin


@_inline
def _next_key(buf, p, end, names, roles):
    """The next key from p on with a role or an integer: (role, where its value begins); `end` if there is none."""
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
        if role > _ROUTE or 48 <= buf[p] <= 57:
            return role, p
        if buf[p] == _QUOTE:
            p = _string_end(buf, p + 1, end) + 1
    return np.int64(-1), end


@_compile
def scan(buf, p, end, meta, ticks, lots, wire):
    """Parse the book message in buf[p:end] into scratch and the line's slots of meta: 0, BAD or FINER.

    Fields are found by name wherever they stand; behind the last of those that there can be nothing is looked at.
    Missing ids are -1, of a venue without ids 0; a missing event time is 0.
    """
    names, roles = _table(wire, 0)
    meta[EVENT_MS] = 0
    meta[FIRST_ID] = -1
    meta[MESSAGE_ID] = -1
    meta[PREVIOUS_ID] = -1
    meta[BIDS_AT] = meta[BIDS_END] = meta[ASKS_AT] = meta[ASKS_END] = 0
    meta[NEED_PRICE_DECIMALS] = 0
    meta[NEED_SIZE_DECIMALS] = 0
    meta[WHOLE] = 0
    meta[CHECKSUM] = -1
    meta[WROTE_PRICE_DECIMALS] = meta[WROTE_SIZE_DECIMALS] = 0
    n = 0
    sides = 0
    stretch = 0
    missing = wire[WIRE_ROLES]
    while p < end and missing != 0:
        stretch = min(stretch + 1, KNOWN_MAX)
        length = _known(buf, p, end, wire, stretch)
        if length > 0:
            p += length
            role = wire[wire[WIRE_KNOWN] + stretch * KNOWN_SLOTS + 1]
        else:
            begin = p
            role, p = _next_key(buf, p, end, names, roles)
            if p >= end:
                break
            _keep(buf, begin, p - begin, wire, stretch, role)
        missing &= ~(np.int64(1) << (role + 1))
        c = buf[p]
        if role == _WHOLE:
            meta[WHOLE] = 1
        if 48 <= c <= 57:
            v, p = _integer(buf, p, end)
            if role < 0:
                continue
            if role == _EVENT:
                meta[EVENT_MS] = _integer_ms(v)
            elif role == _LAST or role == _WHOLE:
                meta[MESSAGE_ID] = v
            elif role == _FIRST:
                meta[FIRST_ID] = v
            elif role == _PREVIOUS:
                meta[PREVIOUS_ID] = v
            elif role == _CHECKSUM:
                meta[CHECKSUM] = v
        elif c == _QUOTE:
            begin = p + 1
            p = _string_end(buf, begin, end) + 1
            if role == _EVENT:
                meta[EVENT_MS] = stamp_ms(buf, begin, min(p, end))
                if meta[EVENT_MS] < 0:
                    meta[REASON] = BAD_STAMP
                    return BAD
            elif role == _KIND_OF and p - begin == 9 and _name(buf, begin, end)[0] == _IS_SNAPSHOT:
                meta[WHOLE] = 1
        elif c == _OPEN and (role == _BID_SIDE or role == _ASK_SIDE):
            if wire[WIRE_SHAPE] == _OBJECTS:
                p, after = _objects(buf, p, end, meta, ticks, lots, n)
            else:
                p, after = _pairs(buf, p, end, meta, ticks, lots, n, wire)
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
        elif c == _OPEN and role == _BOTH_SIDES:
            p, after = _sided(buf, p, end, meta, ticks, lots)
            if after < 0:
                return BAD if after == -1 else FINER
            sides = 3
    if meta[RULE] == _BY_CHECKSUM or meta[RULE] == _BY_NOTHING:
        meta[FIRST_ID] = meta[MESSAGE_ID] = 0
    elif meta[RULE] == _OVERLAP and meta[FIRST_ID] == meta[MESSAGE_ID]:
        meta[WHOLE] = 1
    elif wire[WIRE_ONE_ID] != 0 or meta[WHOLE] == 1:
        meta[FIRST_ID] = meta[MESSAGE_ID]
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
    """Set (or, with 0 lots, remove) a level outside the window; returns by how many the levels rise (-1, 0 or 1).

    The caller has made room (GROW).
    """
    key = tick * 2 + side
    i = _far_slot(far_key, key)
    if lots != 0:
        rise = np.int64(far_key[i] == FAR_EMPTY)
        far_key[i] = key
        meta[FAR_COUNT] += rise
        far_lots[i] = lots
        return rise
    if far_key[i] == FAR_EMPTY:
        return np.int64(0)
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
    return np.int64(-1)


@_compile
def apply(window, far_key, far_lots, meta, ticks, lots):
    """Set the levels in scratch and follow the best prices; a side that has none in the window gets its border.

    A book of limited depth forgets its worst levels.
    """
    base, width = meta[BASE], meta[WIDTH]
    best, worst, held = meta[BEST_BID], meta[WORST_BID], meta[N_BIDS]
    bids = window[:width]
    beyond = best >= base + width
    best = min(best, base + width - 1)
    for i in range(meta[BIDS_AT], meta[BIDS_END]):
        tick, size = ticks[i], lots[i]
        x = tick - base
        if 0 <= x < width:
            held += np.int64(size > 0) - np.int64(bids[x] > 0)
            bids[x] = size
            worst = min(worst, tick)
            if tick > best and size > 0:
                best = tick
        else:
            held += far_set(far_key, far_lots, meta, tick, 0, size)
            beyond |= x >= width and size > 0
    while best >= base and bids[best - base] == 0:
        best -= 1
    # A bid above the window is the best one, whatever the window holds: `order_book.recentre` looks for it.
    meta[BEST_BID] = base - 1 if beyond else best
    meta[WORST_BID] = worst
    meta[N_BIDS] = held

    best, worst, held = meta[BEST_ASK], meta[WORST_ASK], meta[N_ASKS]
    asks = window[width:]
    top = base + width
    beyond = best < base
    best = max(best, base)
    for i in range(meta[ASKS_AT], meta[ASKS_END]):
        tick, size = ticks[i], lots[i]
        x = tick - base
        if 0 <= x < width:
            held += np.int64(size > 0) - np.int64(asks[x] > 0)
            asks[x] = size
            worst = max(worst, tick)
            if tick < best and size > 0:
                best = tick
        else:
            held += far_set(far_key, far_lots, meta, tick, 1, size)
            beyond |= x < 0 and size > 0
    while best < top and asks[best - base] == 0:
        best += 1
    meta[BEST_ASK] = top if beyond else best
    meta[WORST_ASK] = worst
    meta[N_ASKS] = held
    if meta[DEPTH] > 0:
        _truncate(window, far_key, far_lots, meta)


@_compile
def _truncate(window, far_key, far_lots, meta):
    """Drop the levels of a side that are worse than its best DEPTH."""
    base, width = meta[BASE], meta[WIDTH]
    for side in range(2):
        while meta[N_BIDS + side] > meta[DEPTH]:
            tick = worst(window, far_key, meta, side)
            x = tick - base
            if 0 <= x < width:
                window[side * width + x] = 0
                meta[WORST_BID + side] = tick
            else:
                far_set(far_key, far_lots, meta, tick, side, np.int64(0))
            meta[N_BIDS + side] -= 1


@_compile
def worst(window, far_key, meta, side):
    """The tick of a side's level that is farthest from the other side; it must have a level."""
    base, width = meta[BASE], meta[WIDTH]
    far = np.int64(NO_ASK) if side == 0 else np.int64(-1)
    if meta[FAR_COUNT] > 0:
        for key in far_key:
            if key != FAR_EMPTY and key & 1 == side:
                far = min(far, key >> 1) if side == 0 else max(far, key >> 1)
    if side == 0:
        x = max(meta[WORST_BID] - base, 0)
        while x < width and window[x] == 0:
            x += 1
        return min(base + x, far) if x < width else far
    x = min(meta[WORST_ASK] - base, width - 1)
    while x >= 0 and window[width + x] == 0:
        x -= 1
    return max(base + x, far) if x >= 0 else far


@_inline
def _next_far(far_key, meta, side, bound):
    """The best of a side's levels outside the window that is worse than the tick `bound`; -1 if there is none."""
    found = np.int64(-1)
    if meta[FAR_COUNT] > 0:
        for key in far_key:
            tick = key >> 1
            if key == FAR_EMPTY or key & 1 != side:
                continue
            if side == 0 and found < tick < bound:
                found = tick
            elif side == 1 and tick > bound and (found < 0 or tick < found):
                found = tick
    return found


@_inline
def _crc_digits(crc, value, digits):
    """CRC-32 gone on over the value's decimal text, with zeros before it up to so many digits (at most 8)."""
    word = np.uint64(0)
    n = 0
    v = np.uint64(value)
    while v > np.uint64(0) or n < digits:
        rest = v // np.uint64(10)
        word = (word << np.uint64(8)) | (v - rest * np.uint64(10) + np.uint64(48))
        v = rest
        n += 1
    for _ in range(n):
        crc = _CRC[(np.uint64(crc) ^ word) & np.uint64(0xFF)] ^ (crc >> np.uint32(8))
        word >>= np.uint64(8)
    return crc


@_compile
def _crc_number(crc, value):
    """CRC-32 gone on over the value's decimal text."""
    high = value // 100_000_000
    if high == 0:
        return _crc_digits(crc, value, 0)
    top = high // 100_000_000
    if top > 0:
        crc = _crc_digits(crc, top, 0)
        crc = _crc_digits(crc, high % 100_000_000, 8)
    else:
        crc = _crc_digits(crc, high, 0)
    return _crc_digits(crc, value % 100_000_000, 8)


@_inline
def _written(value, decimals, wire_decimals):
    """The number that the wire's digits without their dot make."""
    if wire_decimals >= decimals:
        return value * _POW10[wire_decimals - decimals]
    return value // _POW10[decimals - wire_decimals]


@_compile
def _crc_side(crc, window, far_key, far_lots, meta, side):
    """CRC-32 gone on over the digits of a side's ten best levels, best first."""
    base, width = meta[BASE], meta[WIDTH]
    best = meta[BEST_BID + side]
    in_window = base <= best < base + width
    step = 1 if side == 1 else -1
    x = best - base if in_window else (0 if side == 1 else width - 1)
    far = _next_far(far_key, meta, side, np.int64(-1) if side == 1 else np.int64(NO_ASK))
    for _ in range(min(meta[N_BIDS + side], _TOP)):
        while 0 <= x < width and window[side * width + x] == 0:
            x += step
        tick = base + x
        if not 0 <= x < width or (far >= 0 and (far - tick) * step < 0):
            if far < 0:
                break
            tick = far
            size = far_lots[_far_slot(far_key, tick * 2 + side)]
            far = _next_far(far_key, meta, side, tick)
        else:
            size = window[side * width + x]
            x += step
        crc = _crc_number(crc, _written(tick, meta[PRICE_DECIMALS], meta[WIRE_PRICE_DECIMALS]))
        crc = _crc_number(crc, _written(size, meta[SIZE_DECIMALS], meta[WIRE_SIZE_DECIMALS]))
    return crc


@_compile
def checksum(window, far_key, far_lots, meta):
    """CRC-32 of the ten best asks and the ten best bids as the venue writes them, without dots and leading zeros.

    docs.kraken.com, "Book checksum (v2)", 2026
    """
    crc = np.uint32(0xFFFFFFFF)
    for side in (1, 0):
        crc = _crc_side(crc, window, far_key, far_lots, meta, side)
    return np.int64(crc ^ np.uint32(0xFFFFFFFF))


@_compile
def agrees(window, far_key, far_lots, meta):
    """Whether the book is the one that the checksum of the message at hand, if it bears one, is of."""
    # A venue that writes a pair with more decimals than before means all levels by them.
    meta[WIRE_PRICE_DECIMALS] = max(meta[WIRE_PRICE_DECIMALS], meta[WROTE_PRICE_DECIMALS])
    meta[WIRE_SIZE_DECIMALS] = max(meta[WIRE_SIZE_DECIMALS], meta[WROTE_SIZE_DECIMALS])
    return meta[CHECKSUM] < 0 or meta[CHECKSUM] == checksum(window, far_key, far_lots, meta)


@_compile
def reach(window, far_key, meta, covered):
    """Write into `covered` the prices up to which a book of limited depth is known whole.

    A side that holds all the levels the venue tells of is known as far as they go, one with fewer is there in full.
    """
    covered[0] = worst(window, far_key, meta, 0) if meta[N_BIDS] >= meta[DEPTH] else 0
    covered[1] = worst(window, far_key, meta, 1) if meta[N_ASKS] >= meta[DEPTH] else NO_ASK


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
    """Apply the parsed message, which is known to follow: book, ids, order flow.

    END, RECENTRE, CROSSED or MISMATCH; after the last it is not counted, and the book is void.
    """
    was_inside = inside(meta)
    bid, ask = meta[BEST_BID], meta[BEST_ASK]
    bid_lots, ask_lots = np.int64(0), np.int64(0)
    if was_inside:
        bid_lots, ask_lots = _best_lots(window, meta)
    apply(window, far_key, far_lots, meta, ticks, lots)
    if meta[RULE] == _BY_CHECKSUM and not agrees(window, far_key, far_lots, meta):
        return MISMATCH
    meta[LAST_ID] = meta[MESSAGE_ID]
    meta[SEEDED] = 0
    meta[N_LEVELS] += meta[BIDS_END] - meta[BIDS_AT] + meta[ASKS_END] - meta[ASKS_AT]
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


@_compile
def lots_at(window, far_key, far_lots, meta, tick, side):
    """What rests at a price."""
    x = tick - meta[BASE]
    if 0 <= x < meta[WIDTH]:
        return window[side * meta[WIDTH] + x]
    i = _far_slot(far_key, tick * 2 + side)
    return far_lots[i] if far_key[i] != FAR_EMPTY else np.int64(0)


@_compile
def follow(ledger, window, far_key, far_lots, meta, ms):
    """Let the ledger see the book after a message of time `ms`."""
    for i in range(ledger[_ledger.COUNT]):
        at = _ledger.HEAD + i * _ledger.ENTRY
        key = ledger[at + _ledger.KEY]
        tick, side = key >> 1, key & 1
        shown = lots_at(window, far_key, far_lots, meta, tick, side)
        _ledger.observe(ledger, at, shown, tick == meta[BEST_BID + side], ms)


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
    q = _find(buf, origin, end, _SPACES, _NEWLINES)
    length, q = _integer(buf, q + 1, end)
    payload = q + 1
    line_end = payload + length
    if length < 0 or line_end >= end or buf[q] != _SPACE or buf[line_end] != _NEWLINE:
        line_end = -1
    return origin, payload, line_end


@_inline
def _frame(buf, payload, end):
    """Where the object begins that tells of what kind the message is, the first of an array; -1: it is neither."""
    if payload < end and buf[payload] == _BRACE and buf[end - 1] == _END_BRACE:
        return payload
    if payload + 4 <= end and buf[payload] == _OPEN and buf[payload + 1] == _BRACE and buf[end - 1] == _CLOSE:
        return payload + 1
    return np.int64(-1)


@_compile
def next_for_tape(buf, pos, wire):
    """The next line from pos on that a tape reads: (code, start, position after).

    TRADES (bars and derivatives too; an array of messages may hold some among others), CONTROL, UNKNOWN, TORN or, if
    there is none, END.
    """
    end = buf.shape[0]
    while pos < end:
        start = pos
        origin, payload, line_end = _header(buf, start, end)
        if line_end < 0:
            return TORN, start, end
        pos = line_end + 1
        if buf[origin] == _BANG:
            return CONTROL, start, pos
        frame = _frame(buf, payload, line_end)
        kind = _kind(buf, frame, line_end, wire)[0] if frame >= 0 else np.int64(_UNKNOWN)
        if kind == _TRADE or kind == _BAR or kind == _DERIVATIVE or frame > payload:
            return TRADES, start, pos
        if kind == _UNKNOWN:
            return UNKNOWN, start, pos
    return END, pos, pos


@_compile
def run(buf, pos, window, far_key, far_lots, meta, clock, ticks, lots, wire, ledger):
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
        frame = _frame(buf, payload, line_end)
        if frame < 0:
            meta[REASON] = BAD_FRAME
            return BAD, start, pos
        head = _known(buf, frame, line_end, wire, 0)
        kind, begin = np.int64(_DEPTH), frame + head
        if head == 0:
            kind, begin = _kind(buf, frame, line_end, wire)
            if kind == _DEPTH:
                _keep(buf, frame, begin - frame, wire, 0, _ROUTE)
        if kind != _DEPTH or frame != payload:
            if kind == _TRADE:
                meta[N_TRADES] += 1
                if meta[LIVE] == 1:
                    return TRADES, start, pos
            elif kind == _OTHER or kind == _BAR or kind == _DERIVATIVE:
                meta[N_OTHER] += 1
            elif kind == _SNAPSHOT and frame == payload:
                meta[RECV] = _integer(buf, start, end)[0]
                return SNAPSHOT, start, pos
            elif kind == _SUBSCRIPTION:
                meta[N_OTHER] += 1
                return SUBSCRIPTION, start, pos
            else:
                return UNKNOWN, start, pos
            continue
        code = scan(buf, begin, line_end, meta, ticks, lots, wire)
        if code != 0:
            return code, start, pos
        if meta[FIRST_ID] < 0:
            meta[REASON] = BAD_FIELDS
            return BAD, start, pos
        recv = _integer(buf, start, end)[0]
        meta[RECV] = recv
        whole = meta[WHOLE] == 1
        if meta[EVENT_MS] == 0:
            if wire[WIRE_TIMED] == 0 or (clock[0] == 0 and not whole):
                meta[EVENT_MS] = recv // 1_000_000
            else:
                meta[EVENT_MS] = clock[0]
        event_ms = meta[EVENT_MS]
        if event_ms > recv // 1_000_000 + FUTURE_MS_MAX:
            meta[REASON] = BAD_TIME
            return BAD, start, pos
        if event_ms > clock[0]:
            clock[0] = event_ms
            clock[1] = recv
        second = event_ms // 1000
        if meta[SECOND] < 0 and not whole:
            meta[SECOND] = meta[HEARD] = second
        if whole:
            if meta[LIVE] == 1 and _restarted(meta[RULE], meta[MESSAGE_ID]):
                return RESTARTED, start, pos
        elif meta[LIVE] == 1:
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
        if second > meta[SECOND] >= 0:
            return CLOSE, start, pos
        if whole:
            meta[N_DEPTH] += 1
            return WHOLE_BOOK, start, pos
        if meta[LIVE] == 0:
            meta[N_DEPTH] += 1
            return WAIT, start, pos
        # A message may miss all its levels in the hash, so room for all is wanted beforehand.
        levels = meta[BIDS_END] - meta[BIDS_AT] + meta[ASKS_END] - meta[ASKS_AT]
        if (meta[FAR_COUNT] + levels) * 2 > far_key.shape[0]:
            return GROW, start, pos
        meta[N_DEPTH] += 1
        code = _update(window, far_key, far_lots, meta, ticks, lots)
        if ledger[_ledger.COUNT] > 0 and code != MISMATCH:
            follow(ledger, window, far_key, far_lots, meta, event_ms)
        if second < meta[SECOND] and code != MISMATCH:
            meta[N_LATE] += 1
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
