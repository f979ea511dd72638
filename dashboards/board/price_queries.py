"""Instruments without a public order book, foreign exchange first of all: prices as sources tell them.

A price becomes a column of a book of which nothing but the best prices is known.
"""

import numpy as np

from dashboards.board.columns import Column
from dashboards.board.queries import COLUMNS_MAX, Book
from sql.client import Store

S = 1_000_000_000
# Whole decades of the price: 0.00001 of a euro in dollars, 0.1 of a bitcoin.
BINS_IN_PRICE = 1e5


def price_books(store: Store) -> list[Book]:
    """Every instrument and venue with prices and without a book, by name. Raises StoreError."""
    rows = store.query(
        f"SELECT instrument, venue, intDiv(max(time_ns), {S}), argMax(price, time_ns) FROM market.prices"  # noqa: S608
        " WHERE (instrument, venue) NOT IN (SELECT instrument, venue FROM market.depth_1s)"
        " GROUP BY instrument, venue ORDER BY instrument, venue"
    )
    return [
        Book(str(row[0]), str(row[1]), int(row[2]), bin_of(float(row[3])), has_book=False) for row in rows
    ]


def newest_price(store: Store, book: Book) -> tuple[int, int] | None:
    """Second and receive time (ns) of the newest price, None if there is none. Raises StoreError."""
    rows = store.query(
        f"SELECT intDiv(time_ns, {S}), received_ns FROM market.prices"  # noqa: S608
        " WHERE instrument = {instrument:String} AND venue = {venue:String} ORDER BY time_ns DESC LIMIT 1",
        {"instrument": book.instrument, "venue": book.venue},
    )
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


def price_columns(store: Store, book: Book, step_s: int, from_s: int, until_s: int) -> list[Column]:
    """The last price of each `step_s` seconds that open in [from_s, until_s), as columns without sizes.

    Raises:
        StoreError: the store refused or is away.
    """
    rows = store.query(
        "SELECT intDiv(time_ns, {step_ns:Int64}) AS bucket, argMax(price, time_ns), argMax(bid, time_ns),"
        " argMax(ask, time_ns), max(received_ns) FROM market.prices"
        " WHERE instrument = {instrument:String} AND venue = {venue:String}"
        " AND time_ns >= {from_ns:Int64} AND time_ns < {until_ns:Int64}"
        " GROUP BY bucket ORDER BY bucket DESC LIMIT {limit:UInt32}",
        {"instrument": book.instrument, "venue": book.venue, "step_ns": step_s * S, "limit": COLUMNS_MAX,
         "from_ns": max(from_s, 0) * S, "until_ns": min(until_s, 2**32 - 1) * S},
    )  # fmt: skip
    return [_column(int(row[0]) * step_s, book.tick, *row[1:]) for row in reversed(rows)]


def bin_of(price: float) -> float:
    """Height of a row for prices of about `price`."""
    return float(10.0 ** np.floor(np.log10(price)) / BINS_IN_PRICE) if price > 0 else 1.0


def _column(time_s: int, bin_step: float, price: float, bid: float, ask: float, received_ns: int) -> Column:
    nothing = np.empty(0, np.float32)
    best = (price if np.isnan(side) else side for side in (bid, ask))
    return Column(
        time_s, bin_step, int(price / bin_step), nothing, nothing, *best, float("nan"), received_ns
    )  # fmt: skip
