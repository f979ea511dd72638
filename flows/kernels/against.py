"""A book and the trades against it, compiled: `book.run`, going on over the lines of trades that `trades` can read.

`tape` is int64[trades.META], of which the forms of trades and the kind that counts are used; `spec`, `key` and
`scratch` are as of `trades.scan`.
"""

from flows.kernels import book as b
from flows.kernels import ledger as _ledger
from flows.kernels import trades as t

AGE_MS_MAX = 2000  # older trades, as some venues tell at a subscription, say nothing of the book

_compile = b._compile
_header, _integer, _read, _lots_at, _trade = b._header, b._integer, t._read, b.lots_at, _ledger.trade


@_compile
def run(
    buf, pos, window, far_key, far_lots, meta, clock, ticks, lots, wire, ledger, tape, spec, key, scratch
):
    """As `book.run`; stops for TRADES only where `Market.parse` has to read them, and for ROOM."""
    while True:
        code, start, end = b.run(buf, pos, window, far_key, far_lots, meta, clock, ticks, lots, wire, ledger)
        if code != b.TRADES:
            return code, start, end
        n = _taken(buf, start, meta, tape, spec, key, scratch)
        if n < 0:
            return code, start, end
        if _ledger.HEAD + (ledger[_ledger.COUNT] + n) * _ledger.ENTRY > ledger.shape[0]:
            meta[b.N_TRADES] -= 1
            return b.ROOM, start, start
        for i in range(n):
            row = scratch[i]
            time_ns = row[t.TIME] if wire[b.WIRE_TIMED] == 1 else row[t.RECV]
            put(
                window,
                far_key,
                far_lots,
                meta,
                clock,
                ledger,
                row[t.TICKS],
                row[t.LOTS],
                row[t.SIDE],
                time_ns,
            )
        pos = end


@_compile
def _taken(buf, start, meta, tape, spec, key, scratch):
    """Read the line of trades at `start` into scratch, in the book's units; how many they are, -1: it is unusual."""
    _, payload, line_end = _header(buf, start, buf.shape[0])
    tape[t.PRICE_DECIMALS], tape[t.SIZE_DECIMALS] = meta[b.PRICE_DECIMALS], meta[b.SIZE_DECIMALS]
    tape[t.PENDING] = 0
    return _read(buf, payload, line_end, spec, key, tape, scratch, _integer(buf, start, buf.shape[0])[0])


@_compile
def put(window, far_key, far_lots, meta, clock, ledger, tick, lots, sign, time_ns):
    """Put a trade into the ledger of a live book; its aggressor bought (1), sold (-1), or is not known (0)."""
    ms = time_ns // 1_000_000
    if ms < clock[0] - AGE_MS_MAX:
        return
    side = 1 if sign > 0 or (sign == 0 and tick >= meta[b.BEST_ASK]) else 0
    shown = _lots_at(window, far_key, far_lots, meta, tick, side)
    _trade(ledger, tick * 2 + side, lots, shown, tick == meta[b.BEST_BID + side], ms)
