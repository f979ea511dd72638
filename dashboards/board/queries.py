"""What the board asks the store, all of it: of books and feeds; SQL in, columns out. Times in, times out are UTC."""

from dataclasses import dataclass

import numpy as np

from dashboards.board.columns import Column
from dashboards.board.health import Feed, Venue
from sql.client import Store

TABLES = {1: "depth_1s", 10: "depth_10s", 60: "depth_1m"}
COLUMNS_MAX = 4000
_COLUMNS = (
    "SELECT toUnixTimestamp(time), bin_step, base_bin, bid, ask, best_bid, best_ask, imbalance_10bps, received_ns"
    " FROM market.{table} WHERE instrument = {{instrument:String}} AND venue = {{venue:String}}"
    " AND time >= toDateTime({{from_s:UInt32}}) AND time < toDateTime({{until_s:UInt32}})"
    " ORDER BY time DESC LIMIT {{limit:UInt32}}"
)


@dataclass(frozen=True, slots=True)
class Book:
    """A book the store has: `instrument` on `venue`, with the second of its newest column.

    Without `has_book` only prices are told of it.
    """

    instrument: str
    venue: str
    newest_s: int
    tick: float
    has_book: bool = True


def books(store: Store) -> list[Book]:
    """Every book with columns, by instrument and venue. Raises StoreError."""
    rows = store.query(
        "SELECT instrument, venue, toUnixTimestamp(max(time)) AS newest, any(i.tick) AS tick"
        " FROM market.depth_1s LEFT JOIN market.instruments AS i USING (instrument, venue)"
        " GROUP BY instrument, venue ORDER BY instrument, venue"
    )
    return [Book(str(row[0]), str(row[1]), int(row[2]), float(row[3])) for row in rows]


def newest(store: Store, book: Book) -> tuple[int, int] | None:
    """Second and receive time (ns) of the newest 1 s column, None if there is none. Raises StoreError."""
    rows = store.query(
        "SELECT toUnixTimestamp(time), received_ns FROM market.depth_1s"
        " WHERE instrument = {instrument:String} AND venue = {venue:String} ORDER BY time DESC LIMIT 1",
        {"instrument": book.instrument, "venue": book.venue},
    )
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


def columns(store: Store, book: Book, step_s: int, from_s: int, until_s: int) -> list[Column]:
    """Columns of `step_s` (1, 10 or 60) seconds that open in [from_s, until_s), the newest COLUMNS_MAX, in order.

    Raises:
        StoreError: the store refused or is away.
    """
    rows = store.query(
        _COLUMNS.format(table=TABLES[step_s]),
        _within(book, from_s, until_s) | {"limit": COLUMNS_MAX},
    )
    return [
        Column(
            int(row[0]), row[1], row[2], np.asarray(row[3], np.float32), np.asarray(row[4], np.float32), *row[5:]
        )
        for row in reversed(rows)
    ]  # fmt: skip


def gaps(store: Store, book: Book, from_s: int, until_s: int) -> int:
    """How often the book was lost in [from_s, until_s). Raises StoreError."""
    rows = store.query(
        "SELECT count() FROM market.gaps WHERE instrument = {instrument:String} AND venue = {venue:String}"
        " AND lost >= toDateTime({from_s:UInt32}) AND lost < toDateTime({until_s:UInt32})",
        _within(book, from_s, until_s),
    )
    return int(rows[0][0])


def feed(store: Store, book: Book) -> Feed | None:
    """What the connector told last of the book's feed; None if nothing within the last hour. Raises StoreError."""
    rows = store.query(
        "SELECT state, reason, told_s, reconnects FROM market.feed_health_now WHERE venue = {venue:String}"
        " AND symbol IN (SELECT symbol FROM market.instruments FINAL"
        " WHERE venue = {venue:String} AND instrument = {instrument:String})",
        {"venue": book.venue, "instrument": book.instrument},
    )
    return Feed(*rows[0]) if rows else None


def venues(store: Store) -> list[Venue]:
    """Every market that a connector told of within the last hour, by name. Raises StoreError."""
    rows = store.query("SELECT venue, feeds, live, reason FROM market.venue_health_now ORDER BY venue")
    return [Venue(str(row[0]), int(row[1]), int(row[2]), str(row[3])) for row in rows]


def last_trade(store: Store, book: Book) -> float | None:
    """Price of the newest trade, None if there is none. Raises StoreError."""
    rows = store.query(
        "SELECT price FROM market.trades WHERE instrument = {instrument:String} AND venue = {venue:String}"
        " ORDER BY time_ns DESC, trade_id DESC LIMIT 1",
        {"instrument": book.instrument, "venue": book.venue},
    )
    return float(rows[0][0]) if rows else None


def _within(book: Book, from_s: int, until_s: int) -> dict[str, str | int]:
    return {
        "instrument": book.instrument,
        "venue": book.venue,
        "from_s": max(from_s, 0),
        "until_s": min(until_s, 2**32 - 1),
    }
