"""From bytes to trades, compiled: the lines of a record into arrays, no Python object per trade.

`scan` reads the lines that are written exactly as one of a market's `TradeWire`s says, all of a line or nothing; any
other line for the tape it leaves to `Market.parse`, which it agrees with wherever it reads. `commit` then leaves out
trades told twice, sees where some may be missing, and classifies those whose aggressor nobody told.

Only `@njit` functions live here, because numba's cache is void when this file changes (`flows.kernels.warm` drops it
when `flows.kernels.book`, whose primitives are compiled in, changes). The state of an instrument is `meta`,
int64[META], and `seen`, uint64[2, 2**n]: two hashes of trade ids, of the last minute and of the one before.

Cost: 0.3 us for a line with one trade, 0.05 us to commit one; an interval of depth in between 0.1 us (`make bench`).
"""

import numpy as np

from connectors.venue import TradeRole, TradeTime
from flows.kernels import book as b

# What `scan` stopped for. After FULL the line at `start` has not been touched: commit and go on from `start`.
END = 0  # all lines are done
CONTROL = 1
PARSE = 2  # a line for `Market.parse`
UNKNOWN = 3  # a well-formed line of no known kind
TORN = 4  # not a line: the rest of the record is lost
FULL = 5  # what is in scratch has to be committed before this line

# Slots of `meta`.
PRICE_DECIMALS = 0
SIZE_DECIMALS = 1
KIND = 2  # whether aggregated trades count; -1: none was heard
PENDING = 3  # rows of scratch
LEFT_OUT = 4  # trades of the other kind
CONTIGUOUS = 5  # ids rise by one
FRESH = 6  # nothing proves yet that no trade was missed before the next
ORIGINS = 7  # hashes of the connections known to go on, ORIGINS_MAX of them
ORIGINS_MAX = 4
NEXT_ORIGIN = 11
LAST_ID = 12  # of contiguous ids the highest; -1: none
NEWEST_NS = 13  # latest trade time
LAST_TICK = 14  # price of the trade before; -1: none
LAST_SIGN = 15  # of the last change of price
TOO_LATE = 16
DUPLICATES = 17
CURRENT = 18  # which row of `seen` is of the last minute
SEEN = 19  # how many ids are in each row of `seen`
SINCE_NS = 21  # from when on the last minute is
WIRE = 22  # the form in which the last line was written
TICKS_MAX_SEEN = 23  # the highest price, and the largest size
LOTS_MAX_SEEN = 24
MISSED = 25  # breaks found
META = 26

# A row of scratch.
TIME, RECV, TICKS, LOTS, SIDE, BY, ID = 0, 1, 2, 3, 4, 5, 6
ROW = 7
TOLD, QUOTE, TICK, NONE = 0, 1, 2, 3  # who says what the side is

AHEAD_NS = 60_000_000_000  # a trade that is told to be of later than this after its receipt is not believed
LATE_NS = 60_000_000_000  # a trade that is older than this beside the newest is told apart by nothing
TICKS_MAX = 1 << 53  # exact as float
SEEN_MAX = 1 << 20  # slots of a row of `seen`
IDS_BACK_MAX = 1_000_000  # one further behind begins the ids anew: the venue has, or the highest was garbage
TIME_NS_MIN = -(1 << 62)

_SYMBOL, _PRICE, _SIZE, _SIDE = (
    int(x) for x in (TradeRole.SYMBOL, TradeRole.PRICE, TradeRole.SIZE, TradeRole.SIDE)
)
_TIME, _ID, _ONLY, _BEGINS = (
    int(x) for x in (TradeRole.TIME, TradeRole.ID, TradeRole.ONLY, TradeRole.BEGINS)
)
_CHANNEL, _DATA, _COUNT, _SENT = (
    int(x) for x in (TradeRole.CHANNEL, TradeRole.DATA, TradeRole.COUNT, TradeRole.SENT)
)
_MS, _MS_OR_US, _NS = int(TradeTime.MS), int(TradeTime.MS_OR_US), int(TradeTime.NS)

# A spec (`flows.kernels.trade_spec`): the number of forms, whether every line is for the tape, where each form begins.
SPEC_FORMS = 0
SPEC_ALL_LINES = 1
SPEC_HEAD = 2
# A form.
F_AGGREGATED, F_MANY, F_NUMBERS, F_TEXT_IDS, F_UPPER, F_TIME, F_HEAD, F_BODY = 0, 1, 2, 3, 4, 5, 6, 7
FORM = 8
# A table of keys: how many, which are needed (a bit each), then name, role, where its words are, and how many.
T_COUNT, T_NEED, T_KEYS = 0, 1, 2
K_LOW, K_HIGH, K_ROLE, K_WORDS, K_WORD_COUNT = 0, 1, 2, 3, 4
KEY = 5
W_LOW, W_HIGH, W_LENGTH, W_MEANING = 0, 1, 2, 3
WORD = 4

MS_MAX = (2**63 - 1) // 10**6
_NS_MAX = 2**63 - 1
_AMOUNT_MAX = 28  # characters
_TEXT_MAX = 128
_SYMBOL_MAX = 64
_TAKEN_ID = np.uint64(0x8E37_79B9_7F4A_7C15)  # stands for id 0 in `seen`, where 0 is empty
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_BLANKS = np.uint64(0x2020202020202020)

_inline, _compile = b._inline, b._compile
_load8, _matches, _quotes, _byte_of, _integer, _find = (
    b._load8, b._matches, b._quotes, b._byte_of, b._integer, b._find,
)  # fmt: skip
_header, _frame, _kind, _number, _days, _month_days = (
    b._header, b._frame, b._kind, b._number, b._days, b._month_days,
)  # fmt: skip
_decimal, _POW10, _HIGH_BITS = b.decimal, b._POW10, b._HIGH_BITS
_QUOTE, _COMMA, _DOT, _COLON, _OPEN, _CLOSE = b._QUOTE, b._COMMA, b._DOT, b._COLON, b._OPEN, b._CLOSE
_BRACE, _END_BRACE, _BANG, _AT, _MINUS, _SPACE = b._BRACE, b._END_BRACE, b._BANG, b._AT, b._MINUS, b._SPACE
_TRADE, _BAR, _DERIVATIVE, _UNKNOWN = b._TRADE, b._BAR, b._DERIVATIVE, b._UNKNOWN
_LOTS_MAX, _FACTOR = b.LOTS_MAX, b.NAME_FACTOR


@_inline
def _text_end(buf, p, end):
    """Where the closing quote of the text that goes on at p stands; -1 if it is not plain printable ASCII."""
    while p + 8 <= buf.shape[0]:
        word = _load8(buf, p)
        control = (word - _BLANKS) & ~word & _HIGH_BITS
        found = _quotes(word) | _matches(word, _BACKSLASHES) | control | (word & _HIGH_BITS)
        if found != np.uint64(0):
            p += _byte_of(found)
            return p if p < end and buf[p] == _QUOTE else np.int64(-1)
        p += 8
    while p < end and buf[p] != _QUOTE:
        c = buf[p]
        if c < 32 or c > 127 or c == 92:
            return np.int64(-1)
        p += 1
    return p if p < end else np.int64(-1)


@_inline
def _packed(buf, p, n):
    """The n bytes at p, at most 16, as two little-endian int64."""
    if p + 16 <= buf.shape[0]:
        low, high = _load8(buf, p), _load8(buf, p + 8)
        if n < 8:
            low &= ~(~np.uint64(0) << np.uint64(8 * n))
            high = np.uint64(0)
        elif n < 16:
            high &= ~(~np.uint64(0) << np.uint64(8 * (n - 8)))
        return np.int64(low), np.int64(high)
    low = high = np.uint64(0)
    for i in range(n):
        if i < 8:
            low |= np.uint64(buf[p + i]) << np.uint64(8 * i)
        else:
            high |= np.uint64(buf[p + i]) << np.uint64(8 * (i - 8))
    return np.int64(low), np.int64(high)


@_inline
def _bare_end(buf, p, end):
    """Where the number or literal at p ends."""
    while p < end and buf[p] != _COMMA and buf[p] != _END_BRACE and buf[p] != _CLOSE:
        p += 1
    return p


@_inline
def _token_end(buf, p, end):
    """Where the scalar at p ends, quotes included; -1 if it is unusual."""
    if buf[p] == _QUOTE:
        q = _text_end(buf, p + 1, end)
        return q + 1 if q >= 0 else np.int64(-1)
    return _bare_end(buf, p, end)


@_inline
def _is_literal(buf, p, n):
    """Whether the n bytes at p are true, false or null."""
    if n == 4:
        word = (buf[p], buf[p + 1], buf[p + 2], buf[p + 3])
        return word == (116, 114, 117, 101) or word == (110, 117, 108, 108)
    return (
        n == 5 and (buf[p], buf[p + 1], buf[p + 2], buf[p + 3]) == (102, 97, 108, 115) and buf[p + 4] == 101
    )


@_compile
def _skip(buf, p, end):
    """Where the plain scalar at p ends; -1 if it is none, or a number with an exponent."""
    if buf[p] == _QUOTE:
        return _token_end(buf, p, end)
    q = _bare_end(buf, p, end)
    if _is_literal(buf, p, q - p):
        return q
    if p < q and buf[p] == _MINUS:
        p += 1
    if p + 1 < q and buf[p] == 48 and buf[p + 1] != _DOT:
        return np.int64(-1)
    digits = fraction = np.int64(0)
    dots = np.int64(0)
    while p < q:
        c = buf[p]
        if c == _DOT and dots == 0 and digits > 0:
            dots = 1
        elif 48 <= c <= 57:
            digits += 1
            fraction += dots
        else:
            return np.int64(-1)
        p += 1
    return q if digits > 0 and fraction >= dots else np.int64(-1)


@_inline
def _whole(buf, p, end):
    """The JSON integer from 0 on at p: (value, where it ends); -1 if there is none or it is above 2**63 - 1."""
    v, q = _integer(buf, p, end)
    if q - p > 1 and buf[p] == 48:
        v = np.int64(-1)
    return v, q


@_inline
def _is_symbol(buf, p, n, key, upper):
    """Whether the n bytes at p are the record's key."""
    if n != key.shape[0] or n == 0 or n > _SYMBOL_MAX:
        return False
    for i in range(n):
        c = buf[p + i]
        if upper and 97 <= c <= 122:
            c -= 32
        if c != key[i]:
            return False
    return True


@_compile
def _rfc3339(buf, p, end):
    """The time at p, text that a quote ends, in ns: (time, where the quote is); -1 if it is unusual."""
    if p + 21 > end or buf[p + 4] != _MINUS or buf[p + 7] != _MINUS or buf[p + 10] != 84:
        return np.int64(-1), p
    if buf[p + 13] != _COLON or buf[p + 16] != _COLON:
        return np.int64(-1), p
    year, month, day = _number(buf, p, 4), _number(buf, p + 5, 2), _number(buf, p + 8, 2)
    hour, minute, second = _number(buf, p + 11, 2), _number(buf, p + 14, 2), _number(buf, p + 17, 2)
    if year < 1970 or year > 2261 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return np.int64(-1), p
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return np.int64(-1), p
    ns = (((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000
    p += 19
    if buf[p] == _DOT:
        p += 1
        begin = p
        while p < end and 48 <= buf[p] <= 57 and p - begin < 9:
            ns += (np.int64(buf[p]) - 48) * _POW10[8 - (p - begin)]
            p += 1
        if p == begin:
            return np.int64(-1), p
    if p + 1 >= end or buf[p] != 90 or buf[p + 1] != _QUOTE:
        return np.int64(-1), p
    return ns, p + 1


@_inline
def _time(buf, p, end, unit):
    """The time of a trade at p in ns: (time, where its value ends); -1 if it is unusual."""
    if unit == _MS or unit == _MS_OR_US or unit == _NS:
        v, q = _whole(buf, p, end)
        if unit == _NS:
            return (v if v >= 1_000_000_000_000_000_000 else np.int64(-1)), q
        factor = np.int64(1_000_000)
        if unit == _MS_OR_US and v >= 100_000_000_000_000:
            factor = np.int64(1000)
        return (v * factor if 0 <= v <= _NS_MAX // factor else np.int64(-1)), q
    if buf[p] != _QUOTE:
        return np.int64(-1), p
    ns, q = _rfc3339(buf, p + 1, end)
    return ns, q + 1


@_inline
def _text_id(buf, p, end):
    """The id in the text at p: (id, where its value ends, whether it is one)."""
    if buf[p] != _QUOTE:
        return np.int64(0), p, False
    p += 1
    q = _text_end(buf, p, end)
    n = q - p
    if n == 36:
        v = np.uint64(0)
        for i in range(36):
            c = np.int64(buf[p + i])
            is_dash = c == _MINUS
            if not (48 <= c <= 57 or 97 <= c <= 102 or (is_dash and i >= 8)):
                return np.int64(0), p, False
            if is_dash != (i == 8 or i == 13 or i == 18) and i <= 18:
                return np.int64(0), p, False
            if i < 18 and not is_dash:
                v = (v << np.uint64(4)) | np.uint64(c - 48 if c <= 57 else c - 87)
        return np.int64(v), q + 1, True
    v, at = _integer(buf, p, end)
    return v, q + 1, n > 0 and at == q and v >= 0


@_inline
def _amount(buf, p, end, decimals, bare):
    """The decimal above 0 at p in units of 10**-decimals: (value, where its value ends); -1 if it is unusual."""
    if bare:
        if buf[p] == 48 and p + 1 < end and 48 <= buf[p + 1] <= 57:
            return np.int64(-1), p
    elif buf[p] != _QUOTE:
        return np.int64(-1), p
    begin = p if bare else p + 1
    v, q, _ = _decimal(buf, begin, end, decimals, bare)
    if v <= 0 or q - begin > _AMOUNT_MAX:
        return np.int64(-1), p
    return v, q if bare else q + 1


@_inline
def _word(spec, key, low, high, n):
    """Which of a key's words the n packed bytes are; -1: none."""
    for i in range(spec[key + K_WORD_COUNT]):
        at = spec[key + K_WORDS] + i * WORD
        if spec[at + W_LOW] == low and spec[at + W_HIGH] == high and spec[at + W_LENGTH] == n:
            return at
    return np.int64(-1)


@_inline
def _part(buf, p, end, spec, key, role):
    """Where the text at p ends, if it begins with a word of the key, or ends with one that is a channel; else -1."""
    q = _text_end(buf, p + 1, end) if buf[p] == _QUOTE else np.int64(-1)
    if q < 0 or q - p > _TEXT_MAX:
        return np.int64(-1)
    at = spec[key + K_WORDS]
    n = spec[at + W_LENGTH]
    begin = p + 1
    if q - begin < n:
        return np.int64(-1)
    if role == _CHANNEL:
        if buf[begin] == _BANG:
            return np.int64(-1)
        for i in range(begin, q - n):
            if buf[i] == _AT:
                return np.int64(-1)
        begin = q - n
    low, high = _packed(buf, begin, n)
    return q + 1 if spec[at + W_LOW] == low and spec[at + W_HIGH] == high else np.int64(-1)


@_compile
def _value(buf, p, end, spec, form, key, names, meta, row):
    """Read the value at p that a key of the spec has, into the row of scratch; where it ends, -1 if it is unusual."""
    role = spec[key + K_ROLE]
    if role == _PRICE or role == _SIZE:
        decimals = meta[PRICE_DECIMALS] if role == _PRICE else meta[SIZE_DECIMALS]
        v, q = _amount(buf, p, end, decimals, spec[form + F_NUMBERS] == 1)
        if v < 0 or v > (TICKS_MAX if role == _PRICE else _LOTS_MAX):
            return np.int64(-1)
        row[TICKS if role == _PRICE else LOTS] = v
        return q
    if role == _TIME:
        row[TIME], q = _time(buf, p, end, spec[form + F_TIME])
        return q if row[TIME] >= 0 else np.int64(-1)
    if role == _ID and spec[form + F_TEXT_IDS] == 1:
        row[ID], q, is_one = _text_id(buf, p, end)
        return q if is_one else np.int64(-1)
    if role == _ID or role == _COUNT or role == _SENT:
        v, q = _whole(buf, p, end)
        if role == _ID:
            row[ID] = v
        return q if v >= 0 and (role != _SENT or 0 < v <= MS_MAX) else np.int64(-1)
    if role == _SYMBOL:
        q = _text_end(buf, p + 1, end) if buf[p] == _QUOTE else np.int64(-1)
        return q + 1 if q >= 0 and _is_symbol(buf, p + 1, q - p - 1, names, spec[form + F_UPPER]) else -1
    if role == _SIDE or role == _ONLY:
        q = _token_end(buf, p, end)
        if q < 0 or q - p > 16:
            return np.int64(-1)
        low, high = _packed(buf, p, q - p)
        at = _word(spec, key, low, high, q - p)
        if at < 0:
            return np.int64(-1)
        if role == _SIDE:
            row[SIDE] = spec[at + W_MEANING]
        return q
    if role == _BEGINS or role == _CHANNEL:
        return _part(buf, p, end, spec, key, role)
    return np.int64(-1)


@_compile
def _fields(buf, p, end, spec, form, table, told, names, meta, row):
    """Read keys and values of an object from the key at p on: (where it stopped, keys told, how).

    How: 0 behind the object, 1 at the value of DATA, -1 where something is unusual, also a key told twice.
    """
    count = spec[table + T_COUNT]
    at = count - 1
    while p < end and buf[p] == _QUOTE:
        q = _text_end(buf, p + 1, end)
        if q < 0 or buf[q + 1] != _COLON:
            return p, told, -1
        n = q - p - 1
        found = np.int64(-1)
        if n <= 16:
            low, high = _packed(buf, p + 1, n)
            for _ in range(count):  # keys come in one order as a rule
                at = at + 1 if at + 1 < count else np.int64(0)
                key = table + T_KEYS + at * KEY
                if spec[key + K_LOW] == low and spec[key + K_HIGH] == high:
                    found = at
                    break
        p = q + 2
        if found >= 0:
            bit = np.int64(1) << found
            if told & bit != 0:
                return p, told, -1
            told |= bit
            key = table + T_KEYS + found * KEY
            if spec[key + K_ROLE] == _DATA:
                return p, told, 1
            p = _value(buf, p, end, spec, form, key, names, meta, row)
        else:
            p = _skip(buf, p, end)
        if p < 0 or p >= end:
            return p, told, -1
        if buf[p] == _END_BRACE:
            return p + 1, told, 0
        if buf[p] != _COMMA:
            return p, told, -1
        p += 1
    return p, told, -1


@_compile
def _trade(buf, p, end, spec, form, names, meta, row):
    """Read the trade at p into a row of scratch; where it ends, -1 if it is unusual."""
    if buf[p] != _BRACE:
        return np.int64(-1)
    row[SIDE] = 0
    row[BY] = TOLD
    table = spec[form + F_BODY]
    p, told, how = _fields(buf, p + 1, end, spec, form, table, np.int64(0), names, meta, row)
    need = spec[table + T_NEED]
    return p if how == 0 and told & need == need else np.int64(-1)


@_compile
def _data(buf, p, end, spec, form, names, meta, scratch, n):
    """Read the trades at p into scratch from row n on: (where they end, rows then); -1 and so on if unusual."""
    if spec[form + F_MANY] == 0:
        if n >= scratch.shape[0]:
            return np.int64(-1), n
        return _trade(buf, p, end, spec, form, names, meta, scratch[n]), n + 1
    if buf[p] != _OPEN:
        return np.int64(-1), n
    while True:
        if n >= scratch.shape[0]:
            return np.int64(-1), n
        p = _trade(buf, p + 1, end, spec, form, names, meta, scratch[n])
        n += 1
        if p < 0 or (buf[p] != _COMMA and buf[p] != _CLOSE):
            return np.int64(-1), n
        if buf[p] == _CLOSE:
            return p + 1, n


@_compile
def _message(buf, p, end, spec, form, names, meta, scratch):
    """Read the message [p, end) into scratch behind the rows that wait; how many there are then, -1 if unusual."""
    n = meta[PENDING]
    table = spec[form + F_HEAD]
    if table == 0:
        p, n = _data(buf, p, end, spec, form, names, meta, scratch, n)
        return n if p == end else np.int64(-1)
    p += 1
    told, had_data = np.int64(0), False
    while True:
        p, told, how = _fields(buf, p, end, spec, form, table, told, names, meta, scratch[0, :0])
        if how == 0:
            need = spec[table + T_NEED]
            return n if p == end and had_data and told & need == need else np.int64(-1)
        if how < 0:
            return np.int64(-1)
        p, n = _data(buf, p, end, spec, form, names, meta, scratch, n)
        had_data = True
        if p < 0:
            return np.int64(-1)
        if buf[p] == _COMMA:
            p += 1
        elif buf[p] == _END_BRACE:
            need = spec[table + T_NEED]
            return n if p + 1 == end and told & need == need else np.int64(-1)
        else:
            return np.int64(-1)


@_compile
def origin_hash(buf, p):
    """A connection's name from p on up to a blank, or the end, as a number (FNV-1a)."""
    v = np.uint64(0xCBF29CE484222325)
    while p < buf.shape[0] and buf[p] != _SPACE:
        v = (v ^ np.uint64(buf[p])) * np.uint64(0x100000001B3)
        p += 1
    return np.int64(v)


@_compile
def is_known(meta, origin):
    """Whether the instrument has heard of the connection."""
    for i in range(ORIGINS, ORIGINS + ORIGINS_MAX):
        if meta[i] == origin:
            return True
    return False


@_compile
def hear(meta, origin):
    """The next trade is the first of that connection."""
    meta[ORIGINS + meta[NEXT_ORIGIN]] = origin
    meta[NEXT_ORIGIN] = (meta[NEXT_ORIGIN] + 1) % ORIGINS_MAX
    meta[FRESH] = 1


@_inline
def _read(buf, payload, end, spec, names, meta, scratch, recv):
    """Read a line of trades in whichever form it is written; rows of scratch then, -1 if `parse` has to."""
    for i in range(spec[SPEC_FORMS]):
        at = meta[WIRE] + i
        if at >= spec[SPEC_FORMS]:
            at -= spec[SPEC_FORMS]
        form = spec[SPEC_HEAD + at]
        n = _message(buf, payload, end, spec, form, names, meta, scratch)
        if n < 0:
            continue
        meta[WIRE] = at
        for j in range(meta[PENDING], n):
            if scratch[j, TIME] > recv + AHEAD_NS:
                return np.int64(-1)
            scratch[j, RECV] = recv
        aggregated = spec[form + F_AGGREGATED]
        if meta[KIND] < 0:
            meta[KIND] = aggregated
        if meta[KIND] != aggregated:
            meta[LEFT_OUT] += n - meta[PENDING]
            n = meta[PENDING]
        return n
    return np.int64(-1)


@_compile
def scan(buf, pos, wire, spec, names, meta, scratch):
    """Go over the lines of a record from pos on: (why it stopped, start of the line concerned, position after it).

    Trades go into rows of scratch, int64[n, ROW], behind the meta[PENDING] that wait there. `wire` is the market's for
    `book`, `spec` its forms of trades, `names` the record's key, whose instrument `meta` is of.
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
        if kind == _TRADE and frame == payload and spec[SPEC_FORMS] > 0:
            if meta[CONTIGUOUS] == 0:
                speaker = origin_hash(buf, origin)
                if not is_known(meta, speaker):
                    if meta[PENDING] > 0:
                        return FULL, start, start
                    hear(meta, speaker)
            recv = _integer(buf, start, end)[0]
            n = np.int64(-1)
            if recv >= 0:
                n = _read(buf, payload, line_end, spec, names, meta, scratch, recv)
            if n >= 0:
                meta[PENDING] = n
                continue
            if meta[PENDING] > 0 and meta[PENDING] * 2 > scratch.shape[0]:
                return FULL, start, start
            return PARSE, start, pos
        if (
            kind == _TRADE
            or kind == _BAR
            or kind == _DERIVATIVE
            or frame > payload
            or spec[SPEC_ALL_LINES] == 1
        ):
            return PARSE, start, pos
        if kind == _UNKNOWN:
            return UNKNOWN, start, pos
    return END, pos, pos


@_inline
def _slot(ids, name):
    """The slot of a hash that holds the id, or the empty one where it would go."""
    mask = ids.shape[0] - 1
    i = np.int64((name * _FACTOR) >> np.uint64(32)) & mask
    while ids[i] != np.uint64(0) and ids[i] != name:
        i = (i + 1) & mask
    return i


@_inline
def _is_new(seen, meta, trade_id):
    """Whether the id was not heard before; it is from now on."""
    name = np.uint64(trade_id) if trade_id != 0 else _TAKEN_ID
    current = meta[CURRENT]
    before = seen[1 - current]
    if before[_slot(before, name)] == name:
        return False
    ids = seen[current]
    i = _slot(ids, name)
    if ids[i] == name:
        return False
    ids[i] = name
    meta[SEEN + current] += 1
    return True


@_inline
def _turn(seen, meta):
    """Forget the ids of the minute before the last."""
    current = 1 - meta[CURRENT]
    seen[current, :] = np.uint64(0)
    meta[CURRENT] = current
    meta[SEEN + current] = 0
    meta[SINCE_NS] = meta[NEWEST_NS]


@_compile
def grow(seen, wider):
    """Put all ids into hashes with more slots."""
    for row in range(2):
        ids = wider[row]
        for name in seen[row]:
            if name != np.uint64(0):
                ids[_slot(ids, name)] = name


@_inline
def _is_break(meta, trade_id, is_new):
    """Whether trades may be missing before this one; the next is then judged from here on."""
    broken = False
    if meta[CONTIGUOUS] == 1:
        # Not LAST_ID + 1, which may not be in 64 bits. A trade told again is behind no gap, whatever its id.
        broken = is_new and (meta[LAST_ID] < 0 or trade_id - 1 > meta[LAST_ID])
        if is_new and trade_id < meta[LAST_ID] - IDS_BACK_MAX:
            broken, meta[LAST_ID] = True, trade_id
        meta[LAST_ID] = max(meta[LAST_ID], trade_id)
    elif meta[FRESH] == 1:
        # A trade that the connection before told too: it began before that ended.
        broken = is_new
        meta[FRESH] = 0
    if broken:
        meta[MISSED] += 1
    return broken


@_inline
def _classify(meta, row):
    """The side by the tick rule where nobody told it, a zero tick repeating the last; and the price is remembered."""
    tick = row[TICKS]
    if meta[LAST_TICK] >= 0 and tick != meta[LAST_TICK]:
        meta[LAST_SIGN] = 1 if tick > meta[LAST_TICK] else -1
    meta[LAST_TICK] = tick
    if row[SIDE] == 0:
        row[SIDE] = meta[LAST_SIGN]
        row[BY] = TICK if meta[LAST_SIGN] != 0 else NONE


@_compile
def commit(meta, scratch, seen, ints, ids, sides, inferred, breaks):
    """Take the rows that wait in scratch: (prints, rows for the store, breaks).

    Prints go to `ints` (int64[4, n]: time, receipt, ticks, lots), `ids`, `sides` and `inferred`; `breaks` are those
    before which trades may be missing. Of scratch the rows for the store are moved to its beginning: prints, and those
    too late to be one. Each has its side and who says so.
    """
    prints = rows = broken = np.int64(0)
    for i in range(meta[PENDING]):
        row = scratch[i]
        time_ns, trade_id = row[TIME], row[ID]
        meta[NEWEST_NS] = max(meta[NEWEST_NS], time_ns)
        is_late = time_ns < meta[NEWEST_NS] - LATE_NS
        if is_late:
            meta[TOO_LATE] += 1
            if row[SIDE] == 0:
                row[BY] = NONE
        else:
            is_full = meta[SEEN + meta[CURRENT]] >= SEEN_MAX // 2
            if meta[NEWEST_NS] >= meta[SINCE_NS] + LATE_NS or is_full:
                _turn(seen, meta)
            is_new = _is_new(seen, meta, trade_id)
            if _is_break(meta, trade_id, is_new):
                breaks[broken] = prints
                broken += 1
            if not is_new:
                meta[DUPLICATES] += 1
                continue
            _classify(meta, row)
            meta[TICKS_MAX_SEEN] = max(meta[TICKS_MAX_SEEN], row[TICKS])
            meta[LOTS_MAX_SEEN] = max(meta[LOTS_MAX_SEEN], row[LOTS])
            ints[0, prints], ints[1, prints] = time_ns, row[RECV]
            ints[2, prints], ints[3, prints] = row[TICKS], row[LOTS]
            ids[prints] = np.uint64(trade_id)
            sides[prints] = row[SIDE]
            inferred[prints] = row[BY] != TOLD
            prints += 1
        for j in range(ROW):
            scratch[rows, j] = row[j]
        rows += 1
    meta[PENDING] = 0
    return prints, rows, broken


@_compile
def store(scratch, rows, meta, name, at, times, ids, amounts, codes):
    """Rows of `trades` from those of scratch, from row `at` of the table's arrays on.

    `times` int64[2, n]: trade and receipt; `ids` uint64[n]; `amounts` float64[2, n]: price and size; `codes`
    int32[4, n]: name, side + 1, who says so, aggregated.
    """
    price, size = np.float64(_POW10[meta[PRICE_DECIMALS]]), np.float64(_POW10[meta[SIZE_DECIMALS]])
    for i in range(rows):
        times[0, at], times[1, at] = scratch[i, TIME], scratch[i, RECV]
        ids[at] = np.uint64(scratch[i, ID])
        amounts[0, at], amounts[1, at] = scratch[i, TICKS] / price, scratch[i, LOTS] / size
        codes[0, at], codes[1, at] = name, scratch[i, SIDE] + 1
        codes[2, at], codes[3, at] = scratch[i, BY], meta[KIND]
        at += 1
