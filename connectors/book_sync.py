"""Continuity of an order book: does this message follow the book's last update id?

Pure functions over ints, used by the connector before the log and, compiled, by the depth kernel after it.
"""

from enum import IntEnum


class Rule(IntEnum):
    """How a venue numbers its book messages: first id U, last id u, and the u of the message before, pu."""

    # Ignore an event with u <= the book's id; U > id + 1 means that events are missing; else apply it.
    # github.com/binance/binance-spot-api-docs, web-socket-streams.md, 2026-07-21
    NEXT_ID = 0
    # "pu" of each event is the previous event's u; the first event after a snapshot has
    # U <= lastUpdateId <= u. (U is not the previous u + 1 here.)
    # developers.binance.com, USDS-margined futures, "How to manage a local order book correctly", 2026-08
    PREVIOUS_ID = 1
    # One id a message, u, which rises by one: u <= the book's id is stale, u > id + 1 means that messages are missing.
    # The venue does not promise it in English; bybit-exchange.github.io, zh-TW, orderbook, 2026-07.
    CONSECUTIVE = 2
    # No ids: the checksum after each message tells. docs.kraken.com, "Book checksum (v2)", 2026
    CHECKSUM = 3
    # Nothing tells: every message follows. (Gemini market data v2.)
    NONE = 4
    # Each message begins at the id at which the one before ended: u <= the book's id is stale, U > id means that
    # messages are missing. Its U is below its u; where they are equal it is the whole book.
    # Gemini's AsyncAPI document 0.10.7, 2026-09, at second hand: see connectors.venues.gemini.
    OVERLAP = 5


class Verdict(IntEnum):
    """What to do with a book message."""

    NEXT = 0  # apply it
    STALE = 1  # the book has it already: ignore
    GAP = 2  # messages are missing: the book is void


NEXT, STALE, GAP = int(Verdict.NEXT), int(Verdict.STALE), int(Verdict.GAP)
_NEXT_ID, _CONSECUTIVE, _CHECKSUM = int(Rule.NEXT_ID), int(Rule.CONSECUTIVE), int(Rule.CHECKSUM)
_NONE, _OVERLAP = int(Rule.NONE), int(Rule.OVERLAP)


def verdict(rule: int, seeded: bool, book_id: int, first_id: int, last_id: int, previous_id: int) -> int:
    """NEXT, STALE or GAP for a message with ids U, u, pu against a book that stands at `book_id`.

    `seeded` says that `book_id` is a snapshot's and no message has been applied since: a snapshot falls inside
    a message's id range or on its border, so the first message need only reach over it. `previous_id` is -1
    where the venue sends none. A checksum is looked at after the message has been applied, not here.
    """
    if rule in (_CHECKSUM, _NONE):
        return NEXT
    if last_id <= book_id:
        return STALE
    if rule == _CONSECUTIVE:
        return NEXT if last_id == book_id + 1 else GAP
    if rule == _OVERLAP:
        return NEXT if first_id <= book_id else GAP
    if previous_id == book_id and rule != _NEXT_ID:
        return NEXT
    return NEXT if first_id <= book_id + 1 and (rule == _NEXT_ID or seeded) else GAP


def restarted(rule: int, snapshot_id: int) -> bool:
    """Whether a snapshot in the stream, with id u, says that the venue began anew: what it did not send is lost.

    Any other one goes on from the live book that it replaces.
    """
    # "u == 1": the snapshot is due to a restart of the service; overwrite the local book.
    # bybit-exchange.github.io/docs/v5/websocket/public/orderbook, 2026-07
    return rule == _CONSECUTIVE and snapshot_id == 1
