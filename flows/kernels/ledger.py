"""What became of the size at prices that trade, message by message: added, cancelled, traded, filled up again.

The ledger of a book is an int64 array: HEAD slots, then `ENTRY` slots for each price that traded of late. Only those
are looked at after a message of the book, so that a book without trades pays nothing. Within a second

    SHOWN = START + ADDED - CANCELLED - TRADED, and each of the three is 0 or more.

A trade and the message of the book that has it come by two streams, mostly the trade first: it waits for a decrease
that explains it. One that no decrease has explained within WAIT_MS to 2 * WAIT_MS met size that was filled up again
before the book told: it counts as traded and as added. A decrease that no trade explains is cancelled, until a trade at
that price claims it within the same second.

A *refill* is size added at the best price of its side within REFILL_MS of a fill there, as far as it makes up for what
has traded. They are counted while the price stays the best one of its side.

Sizes are lots, times ms UTC. A key is tick * 2 + side, side 0 for bids, 1 for asks: the passive side of the trade.
"""

import numba as nb
import numpy as np

COUNT = 0  # of entries
HEAD = 1

KEY = 0
SHOWN = 1  # when the book last spoke
WAITING = 2  # traded and not explained, of the last WAIT_MS
OVERDUE = 3  # the same of the time before
TURNED_MS = 4  # when WAITING began to gather
FILL_MS = 5  # the last trade
# Of the open second.
START = 6  # shown at its beginning, or when the entry began
ADDED = 7
CANCELLED = 8
TRADED = 9
HEARD = 10  # trades told in it, explained or not
NEW_REFILLS = 11
# While it has been the best price of its side.
REFILLS = 12
REFILLED = 13
EXECUTED = 14
BEFORE = 15  # shown at its first trade
EATEN = 16  # traded and not filled up again
ENTRY = 17

WAIT_MS = 250
REFILL_MS = 500
IDLE_MS = 1000
ENTRIES_MIN = 32

_compile = nb.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
_inline = nb.njit(inline="always")


@_inline
def _add(ledger, at, lots, is_best, ms):
    """Size that came: a refill if the price is the best one and was met a moment ago."""
    ledger[at + ADDED] += lots
    again = min(lots, ledger[at + EATEN])
    if is_best and again > 0 and ms <= ledger[at + FILL_MS] + REFILL_MS:
        ledger[at + NEW_REFILLS] += 1
        ledger[at + REFILLS] += 1
        ledger[at + REFILLED] += again
        ledger[at + EATEN] -= again


@_inline
def _traded(ledger, at, lots):
    ledger[at + TRADED] += lots
    ledger[at + EATEN] += lots


@_inline
def _turn(ledger, at, is_best, ms):
    """What has waited for too long was filled up again; what waits grows older."""
    while ms >= ledger[at + TURNED_MS] + WAIT_MS and ledger[at + OVERDUE] + ledger[at + WAITING] > 0:
        lots = ledger[at + OVERDUE]
        if lots > 0:
            _traded(ledger, at, lots)
            _add(ledger, at, lots, is_best, ledger[at + FILL_MS])
        ledger[at + OVERDUE] = ledger[at + WAITING]
        ledger[at + WAITING] = 0
        ledger[at + TURNED_MS] += WAIT_MS


@_inline
def _forget(ledger, at):
    """The price is not the best one: what comes to it now is no refill."""
    ledger[at + REFILLS] = ledger[at + REFILLED] = ledger[at + EXECUTED] = ledger[at + EATEN] = 0


@_compile
def trade(ledger, key, lots, shown, is_best, ms):
    """A trade against the size at a price, of which the book shows `shown`. There must be room for one more entry."""
    n = ledger[COUNT]
    at = np.int64(HEAD)
    end = HEAD + n * ENTRY
    while at < end and ledger[at + KEY] != key:
        at += ENTRY
    if at == end:
        ledger[at : at + ENTRY] = 0
        ledger[at + KEY], ledger[at + SHOWN], ledger[at + START] = key, shown, shown
        ledger[COUNT] = n + 1
    _turn(ledger, at, is_best, ms)
    if ledger[at + OVERDUE] + ledger[at + WAITING] == 0:
        ledger[at + TURNED_MS] = ms
    if not is_best:
        _forget(ledger, at)
    if ledger[at + EXECUTED] == 0:
        ledger[at + BEFORE] = shown
    claimed = min(lots, ledger[at + CANCELLED])
    ledger[at + CANCELLED] -= claimed
    _traded(ledger, at, claimed)
    ledger[at + WAITING] += lots - claimed
    ledger[at + EXECUTED] += lots
    ledger[at + HEARD] += lots
    ledger[at + FILL_MS] = max(ms, ledger[at + FILL_MS])


@_compile
def observe(ledger, at, shown, is_best, ms):
    """The book shows so much at the price of the entry at `at`."""
    less = ledger[at + SHOWN] - shown
    ledger[at + SHOWN] = shown
    if less > 0:
        explained = min(less, ledger[at + OVERDUE])
        ledger[at + OVERDUE] -= explained
        newer = min(less - explained, ledger[at + WAITING])
        ledger[at + WAITING] -= newer
        _traded(ledger, at, explained + newer)
        ledger[at + CANCELLED] += less - explained - newer
    elif less < 0:
        _add(ledger, at, -less, is_best, ms)
    _turn(ledger, at, is_best, ms)
    if not is_best:
        _forget(ledger, at)


@_compile
def close(ledger, best_bid, best_ask, end_ms, out):
    """End a second at `end_ms`: its entries with anything in them into `out` int64[n, ENTRY]; returns how many.

    `out` has room for all. Prices that have not traded for IDLE_MS leave.
    """
    told, kept = 0, np.int64(HEAD)
    for i in range(ledger[COUNT]):
        at = HEAD + i * ENTRY
        is_best = ledger[at + KEY] == (best_ask * 2 + 1 if ledger[at + KEY] & 1 else best_bid * 2)
        _turn(ledger, at, is_best, end_ms)
        if ledger[at + ADDED] + ledger[at + CANCELLED] + ledger[at + TRADED] + ledger[at + HEARD] > 0:
            for j in range(ENTRY):
                out[told, j] = ledger[at + j]
            told += 1
        ledger[at + START] = ledger[at + SHOWN]
        ledger[at + ADDED] = ledger[at + CANCELLED] = ledger[at + TRADED] = 0
        ledger[at + HEARD] = ledger[at + NEW_REFILLS] = 0
        waits = ledger[at + OVERDUE] + ledger[at + WAITING] > 0
        if waits or end_ms < ledger[at + FILL_MS] + IDLE_MS:
            for j in range(ENTRY):
                ledger[kept + j] = ledger[at + j]
            kept += ENTRY
    ledger[COUNT] = (kept - HEAD) // ENTRY
    return told


@_compile
def rescale(ledger, price_factor, size_factor):
    """Take finer ticks and lots."""
    for i in range(ledger[COUNT]):
        at = HEAD + i * ENTRY
        side = ledger[at + KEY] & 1
        ledger[at + KEY] = (ledger[at + KEY] >> 1) * price_factor * 2 + side
        for j in range(SHOWN, ENTRY):
            if j not in (TURNED_MS, FILL_MS, NEW_REFILLS, REFILLS):
                ledger[at + j] *= size_factor
