"""A random market with faults: what the kernel holds is true, or it says that it holds nothing."""

import random
from collections import Counter

import pytest

from connectors.record import decode_lines
from flows.kernels import book as b
from flows.kernels.order_book import OrderBook
from flows.kernels.snapshot import ALL_ASKS
from tests.flows.kernels.compare import Run, assert_equal, judge
from tests.flows.kernels.feed import FUTURES, SPOT
from tests.flows.kernels.test_depth import table_bits
from tests.simulation import Feed, Options, simulate

QUICK = range(40)
SLOW = range(40, 340)
FAULTS = ("gap", "duplicate", "reorder", "malformed", "truncated", "crossed", "reset", "silence", "stall")


def options(seed: int) -> Options:
    """Some of the faults, each rare or frequent; every eighth run is quiet."""
    rng = random.Random(seed)
    likely = {fault: rng.choice([0, 0.005, 0.03]) if seed % 8 else 0 for fault in FAULTS}
    return Options(
        market=rng.choice([SPOT, FUTURES]),
        stale_snapshot=rng.choice([0, 0.3]),
        seconds=rng.choice([8, 15]),
        **likely,
    )


def assert_true(feed: Feed, symbol: str, book: OrderBook, seed_id: int) -> None:
    """All that the book holds is so; all that it was told or has a whole view of, it holds."""
    truth = feed.books[symbol, int(book.meta[b.LAST_ID])]
    ticks, lots, sides = (x.tolist() for x in book.levels())
    price_unit, size_unit = (
        10 ** int(1 - book.meta[b.PRICE_DECIMALS]),
        10 ** int(3 - book.meta[b.SIZE_DECIMALS]),
    )
    found = {
        (side, tick * price_unit): size * size_unit
        for tick, size, side in zip(ticks, lots, sides, strict=True)
    }
    low, high = int(book.covered[0]) * price_unit, int(book.covered[1])
    high = high if high == ALL_ASKS else high * price_unit
    changed = feed.changed[symbol, int(book.meta[b.LAST_ID])]
    for level, size in truth.items():
        covered = level[1] >= low if level[0] == 0 else level[1] <= high
        if covered or changed.get(level, 0) > seed_id or level in found:
            assert found.pop(level) == size, level
    assert not found


class Followed(Run):
    """A run that takes record by record and holds the books against the truth after each."""

    def __init__(self, feed: Feed, market: str) -> None:
        super().__init__(market)
        self.given: dict[tuple[str, int], int] = {}  # at which record a second's row was given out
        seeds: dict[str, int] = {}
        for number, each in enumerate(feed.records):
            events, rows = len(self.table("book_events")), len(self.table("depth_1s"))
            self.on_records([each])
            self.flush()
            self.given |= {(row["instrument"], row["time"]): number for row in self.table("depth_1s")[rows:]}
            for event in self.table("book_events")[events:]:
                if event["kind"] == "seeded":
                    seeds[event["instrument"]] = int(event["detail"].split()[2].rstrip(","))
            book = self.kernel._books[each.key]
            if book.live:
                assert_true(feed, each.key.decode(), book, seeds[self.kernel._name(book)])


def assert_no_row_over_a_loss(feed: Feed, found: Followed) -> None:
    """From the record on that shows a gap, no second since the lost message gets a row."""
    canonical = found.kernel._market.canonical
    shown_at = {
        (each.key.decode(), line.recv_ns): number
        for number, each in enumerate(feed.records)
        for line in decode_lines(each.body)
    }
    breaks = {
        (row["instrument"], row["time_ns"] // 1_000_000)
        for row in found.table("book_events")
        if row["kind"] in ("gap", "stale snapshot")
    }
    for lost in feed.lost:
        name = canonical(lost.symbol)
        if (name, lost.next_ms) in breaks:
            shown = shown_at[lost.symbol, lost.next_recv_ns]
            for second in range(lost.event_ms // 1000, lost.next_ms // 1000):
                assert found.given.get((name, second), -1) < shown, lost


def check(seed: int) -> Counter[str]:
    wanted = options(seed)
    feed = simulate(seed, wanted)
    found = Followed(feed, wanted.market)
    oracle = judge(wanted.market, feed.records)
    assert_equal(found, oracle)
    assert_no_row_over_a_loss(feed, found)
    summary, lines = found.kernel.summary(), feed.lines
    assert summary["depth_messages"] == lines["depth"]
    assert (summary["trades"], summary["other"]) == (lines["trade"], lines["other"])
    assert summary["dead_letters"] - summary["crossed"] == lines["bad"]
    assert oracle.counts["lines"] == sum(lines.values())
    assert len(found.table("depth_1s")) > 0
    return (
        Counter({name: summary[name] for name in ("gaps", "stale_snapshots", "crossed", "resets")})
        + feed.faults
    )


@pytest.mark.parametrize("seed", QUICK)
def test_the_book_is_true_or_not_live(seed: int) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
def test_the_book_is_true_or_not_live_at_length(seed: int) -> None:
    check(seed)


def test_the_faults_do_happen() -> None:
    """Nothing above holds because nothing went wrong."""
    happened: Counter[str] = Counter()
    for seed in QUICK:
        happened += simulate(seed, options(seed)).faults
    assert all(happened[fault] > 10 for fault in (*FAULTS, "stale_snapshot")), happened


@pytest.mark.parametrize("fault", ["gap", "malformed", "truncated"])
@pytest.mark.parametrize("market", [SPOT, FUTURES])
def test_every_loss_is_noticed(market: str, fault: str) -> None:
    """One symbol, one kind of loss: as many breaks as losses that a live book met."""
    feed = simulate(1, Options(market=market, symbols=("BTCUSDT",), seconds=60, **{fault: 0.03}))
    found = Followed(feed, market)
    breaks = {row["time_ns"] // 1_000_000 for row in found.table("book_events") if row["kind"] == "gap"}
    assert breaks
    assert breaks <= {lost.next_ms for lost in feed.lost}
    assert_no_row_over_a_loss(feed, found)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_looks_ahead(seed: int) -> None:
    """The rows of a prefix are a prefix of the rows."""
    wanted = options(seed)
    feed = simulate(seed, wanted)
    whole = Run(wanted.market)
    whole.on_records(feed.records)
    expected = table_bits(whole.flush())
    for part in (0.2, 0.5, 0.8):
        found = Run(wanted.market)
        found.on_records(feed.records[: int(part * len(feed.records))])
        for table, rows in table_bits(found.flush()).items():
            assert rows == expected[table][: len(rows)]
