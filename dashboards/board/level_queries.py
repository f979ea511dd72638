"""What the board asks the store about resting size and the levels made of it. Times in and out are UTC."""

# ruff: noqa: S608 (the parts are constants; a viewer's words are parameters)

from dataclasses import dataclass

from dashboards.board.queries import Book
from dashboards.board.tape_queries import SPAN, S, span_of
from sql.client import Store

EVENTS_MAX, WALLS_MAX = 200, 200
WALL_FRESH_S = 60


@dataclass(frozen=True, slots=True)
class Wall:
    """Resting size that stands out since `from_s`, in the bin from `price` on (quote and base currency)."""

    side: str
    price: float
    bin_step: float
    from_s: float
    size: float
    weighted: float
    tau_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to resting size in the second before `time_ms`: a pull, a refill or an absorption."""

    time_ms: float
    kind: str
    side: str
    price: float
    size: float
    traded: float


@dataclass(frozen=True, slots=True)
class Level:
    """Support or resistance with its evidence: (kind, venue, price, weight, known from in s) of each."""

    price: float
    side: str
    low: float
    high: float
    strength: float
    evidence: tuple[tuple[str, str, float, float, int], ...]


def events(store: Store, book: Book, from_s: int, until_s: int) -> list[Event]:
    """Liquidity events in [from_s, until_s), the EVENTS_MAX largest. Raises StoreError."""
    rows = store.query(
        f"SELECT time_ns / 1e6, kind, side, price, size, traded FROM market.liquidity_events{SPAN}"
        " ORDER BY size DESC LIMIT {limit:UInt32}",
        span_of(book, from_s, until_s) | {"limit": EVENTS_MAX},
    )
    return [Event(*row) for row in rows]


def walls(store: Store, book: Book, now_s: int) -> list[Wall]:
    """Walls that stand at `now_s`, the WALLS_MAX largest; one not told of for a minute is not known to stand.

    Raises:
        StoreError: the store refused or is away.
    """
    rows = store.query(
        "SELECT side, price_row * bin_step, bin_step, from_ns / 1e9, size, weighted_size, tau_s"
        f" FROM market.walls{SPAN} AND ended = '' ORDER BY weighted_size DESC LIMIT {{limit:UInt32}}",
        span_of(book, now_s - WALL_FRESH_S, now_s + WALL_FRESH_S) | {"limit": WALLS_MAX},
    )
    return [Wall(*row) for row in rows]


def levels(store: Store, book: Book, now_s: int) -> list[Level]:
    """The newest levels of the instrument, over its venue or over all; of the last 5 minutes. Raises StoreError."""
    rows = store.query(
        "SELECT price, side, low, high, strength, evidence_kind, evidence_venue, evidence_price, evidence_weight,"
        f" arrayMap(ns -> intDiv(ns, {S}), evidence_ns) FROM market.levels"
        " WHERE instrument = {instrument:String} AND (venue, time_ns) IN (SELECT venue, time_ns FROM market.levels"
        " WHERE instrument = {instrument:String} AND venue IN ({venue:String}, 'all')"
        " AND time_ns > {from_ns:Int64} AND time_ns <= {until_ns:Int64} ORDER BY time_ns DESC, venue = 'all' LIMIT 1)"
        " ORDER BY strength DESC",
        span_of(book, now_s - 300, now_s + 60),
    )
    return [Level(*row[:5], tuple(zip(*row[5:], strict=True))) for row in rows]
