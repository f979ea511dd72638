"""The views against sums and cells made in plain Python from the same columns."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.client import Store, connect
from sql.data_dir import embedded_store

MEASURES = (
    "covered_low covered_high spread mid weighted_mid best_bid best_ask best_bid_size best_ask_size ofi"
)
BANDS = [f"{side}_{bps}bps" for side in ("bid", "ask", "imbalance") for bps in (10, 25, 50, 100)]
STEP = 0.5


def depth(
    instrument: str, rows: list[tuple[str, int, int, list[float], list[float]]], version: int = 1
) -> dict[str, Any]:
    """Columns of a depth table from (venue, second, base bin, bid, ask)."""
    count = len(rows)
    numbers = {name: np.arange(count) + 0.25 for name in [*MEASURES.split(), *BANDS]}
    return numbers | {
        "instrument": [instrument] * count,
        "venue": [row[0] for row in rows],
        "time": np.array([row[1] for row in rows]),
        "live_s": np.ones(count, np.uint16),
        "bin_step": np.full(count, STEP),
        "base_bin": np.array([row[2] for row in rows]),
        "bid": [np.array(row[3], np.float32) for row in rows],
        "ask": [np.array(row[4], np.float32) for row in rows],
        "updates": np.ones(count, np.uint32),
        "received_ns": np.ones(count, np.int64),
        "version": np.full(count, version),
    }


SIZES = st.one_of(st.just(math.nan), st.integers(0, 9).map(float))
BOOK = st.tuples(st.integers(-2, 2), st.integers(1, 2), st.integers(0, 2))


@st.composite
def venues(draw: st.DrawFn) -> list[tuple[str, int, int, list[float], list[float]]]:
    rows = []
    for venue in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        block, bids, asks = draw(BOOK)
        bid, ask = (draw(st.lists(SIZES, min_size=64 * n, max_size=64 * n)) for n in (bids, asks))
        rows.append((venue, draw(st.integers(0, 1)), 64 * block, bid, ask))
    return rows


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(venues())
def test_all_venues_add_up_where_they_know(
    data_dir: Path, rows: list[tuple[str, int, int, list[float], list[float]]]
) -> None:
    instrument = f"SUM-{abs(hash(repr(rows)))}"
    store = connect(*embedded_store(data_dir), retry_s=0)
    store.insert("depth_10s", depth(instrument, rows))
    expected: dict[tuple[int, float, str], tuple[float, int]] = {}
    for _, second, base, *sides in rows:
        for side, sizes in zip(("bid", "ask"), sides, strict=True):
            for index, size in enumerate(sizes):
                if not math.isnan(size):
                    key = (second, (base + index) * STEP, side)
                    total, known = expected.get(key, (0.0, 0))
                    expected[key] = (total + size, known + 1)
    found = store.query(
        "SELECT toUInt32(time), price, side, size, venues FROM market.depth_all_venues_cells_10s"
        " WHERE instrument = {i:String}",
        {"i": instrument},
    )
    assert {tuple(row[:3]): tuple(row[3:]) for row in found} == expected
    assert len(found) == len(expected)
    unknown = store.query(
        "SELECT countEqual(arrayMap((s, n) -> isNaN(s) = (n = 0), bid, bid_venues), 0)"
        " FROM market.depth_all_venues_10s"
        " WHERE instrument = {i:String}",
        {"i": instrument},
    )
    assert all(row == (0,) for row in unknown)
    store.close()


@pytest.mark.parametrize("interval", ["1s", "10s", "1m"])
def test_cells_are_the_known_bins_of_the_newest_version(writer: Store, interval: str) -> None:
    writer.insert(f"depth_{interval}", depth("CELLS", [("v", 60, -64, [9.0] * 64, [9.0] * 64)], version=1))
    bid, ask = [math.nan] * 63 + [2.5], [0.0] + [math.nan] * 63
    writer.insert(f"depth_{interval}", depth("CELLS", [("v", 60, 64, bid, ask)], version=2))
    found = writer.query(
        f"SELECT * FROM market.depth_cells_{interval} WHERE instrument = 'CELLS' ORDER BY price"
    )
    minute = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert [(row[0], row[1], row[2].astimezone(UTC), *row[3:]) for row in found] == [
        ("CELLS", "v", minute, 32.0, 0.5, "ask", 0.0),
        ("CELLS", "v", minute, 63.5, 0.5, "bid", 2.5),
    ]


@pytest.mark.parametrize("interval", ["1s", "10s", "1m"])
def test_measures_are_the_table_without_arrays_and_old_versions(writer: Store, interval: str) -> None:
    writer.insert(
        f"depth_{interval}", depth("MEASURES", [("v", 60, 0, [1.0], [1.0]), ("v", 120, 0, [1.0], [1.0])])
    )
    view = f"SELECT * FROM market.depth_measures_{interval} WHERE instrument = 'MEASURES' ORDER BY time"
    frame = writer.query_df(view)
    columns = writer.query(
        f"SELECT name FROM system.columns WHERE table = 'depth_{interval}' AND database = 'market'"
        " AND name NOT IN ('bid', 'ask', 'base_bin', 'version') ORDER BY position"
    )
    assert list(frame.columns) == [name for (name,) in columns]
    for name in [*MEASURES.split(), *BANDS]:
        assert frame[name].tolist() == [0.25, 1.25], name


def test_gaps_end_where_the_book_is_seeded_again(writer: Store) -> None:
    events = [("a", 1, "gap"), ("a", 3, "seeded"), ("a", 7, "reset"), ("b", 2, "seeded"), ("b", 5, "crossed")]
    writer.insert(
        "book_events",
        {
            "instrument": ["GAPS"] * len(events),
            "venue": [venue for venue, _, _ in events],
            "time_ns": np.array([second * 10**9 for _, second, _ in events]),
            "kind": [kind for _, _, kind in events],
            "detail": ["why"] * len(events),
            "update_id": np.arange(len(events)),
            "version": np.ones(len(events), np.int64),
        },
    )
    found = writer.query(
        "SELECT venue, kind, hole_s, isNull(restored), update_id FROM market.gaps"
        " WHERE instrument = 'GAPS' ORDER BY lost"
    )
    assert found == [("a", "gap", 2.0, 0, 0), ("a", "reset", None, 1, 2)]


def test_dead_letters_are_counted_once_each(writer: Store) -> None:
    letters = {
        "topic": ["raw.counts"] * 4,
        "partition": np.array([0, 0, 0, 1]),
        "offset": np.array([7, 7, 8, 7]),
        "position": np.array([0, 1, 0, 0]),
        "reason": ["malformed"] * 4,
        "detail": ["a", "b", "c", "d"],
        "received_ns": np.full(4, 61 * 10**9),
        "payload": [b"x"] * 4,
        "version": np.ones(4, np.int64),
    }
    for _ in range(2):  # a replay
        writer.insert("dead_letters", letters)
    found = writer.query(
        "SELECT `partition`, reason, toUInt32(minute), lines, newest_offset, newest_detail"
        " FROM market.dead_letter_counts WHERE topic = 'raw.counts' ORDER BY `partition`"
    )
    assert found == [(0, "malformed", 60, 3, 8, "c"), (1, "malformed", 60, 1, 7, "d")]


def health(venue: str, told: list[tuple[str, int, float]]) -> dict[str, Any]:
    """Columns of feed_health from (symbol, time in ns, age in ms)."""
    count = len(told)
    names = ["messages_per_s", "bytes_per_s", "delay_ms_p50", "delay_ms_p99"]
    counts = [
        "messages",
        "gaps",
        "resyncs",
        "reconnects",
        "unreadable",
        "queue_outbox_bytes",
        "queue_rest_waiting",
    ]
    times = np.array([ns for _, ns, _ in told])
    return {name: np.zeros(count) for name in names} | {
        **{name: np.arange(count) for name in [*counts, "queue_rest_weight_used"]},
        "venue": [venue] * count,
        "symbol": [symbol for symbol, _, _ in told],
        "time_ns": times,
        "state": ["live"] * count,
        "reason": [""] * count,
        "age_ms": np.array([age for _, _, age in told]),
        "version": times,
    }


def test_health_now_is_the_newest_row_of_each_feed_and_its_age(writer: Store) -> None:
    now_ns = time.time_ns()
    ages = [("A", now_ns - 60 * 10**9, 1.0), ("A", now_ns - 20 * 10**9, 500.0), ("B", now_ns, math.nan)]
    gone = [("C", now_ns - 2 * 3600 * 10**9, 1.0)]
    for _ in range(2):  # a replay
        writer.insert("feed_health", health("now", ages + gone))
    found = writer.query(
        "SELECT symbol, toUnixTimestamp64Nano(time), gaps, age_s - told_s, told_s >= 20"
        " FROM market.feed_health_now WHERE venue = 'now' ORDER BY symbol"
    )
    assert [row[:3] for row in found] == [("A", ages[1][1], 1), ("B", now_ns, 2)]
    assert found[0][3] == pytest.approx(0.5)
    assert math.isnan(found[1][3])
    assert found[0][4] == 1
    rows = writer.query(
        "SELECT symbol, gaps FROM market.feed_health_history WHERE venue = 'now' ORDER BY gaps"
    )
    assert rows == [("A", 0), ("A", 1), ("B", 2), ("C", 3)]


def test_a_market_is_as_live_as_its_feeds(writer: Store) -> None:
    now_ns = time.time_ns()
    rows = health("half", [("A", now_ns, 1.0), ("B", now_ns, math.nan), ("C", now_ns, 5.0)])
    rows |= {"state": ["live", "down", "live"], "reason": ["", "connection closed", ""]}
    writer.insert("feed_health", rows)
    writer.insert("feed_health", health("whole", [("A", now_ns, math.nan)]))
    writer.insert("feed_health", health("mute", [("A", now_ns - 60 * 10**9, 1.0)]))
    found = writer.query(
        "SELECT venue, feeds, live, reason, isNaN(age_s) FROM market.venue_health_now"
        " WHERE venue IN ('half', 'whole', 'mute') ORDER BY venue"
    )
    assert found == [
        ("half", 3, 2, "connection closed", 0),
        ("mute", 1, 0, "the connector does not report", 0),
        ("whole", 1, 1, "", 1),
    ]


@pytest.mark.parametrize(
    "view", ["depth_measures_1s", "depth_cells_1s", "depth_all_venues_1s", "depth_all_venues_cells_1s"]
)
def test_a_view_reads_by_the_primary_key(analyst: Store, writer: Store, view: str) -> None:
    writer.insert("depth_1s", depth("KEY", [("v", 60, 0, [1.0] * 64, [1.0] * 64)]))
    plan = analyst.query_text(
        f"EXPLAIN indexes = 1 SELECT count() FROM market.{view}"
        " WHERE instrument = 'KEY' AND time < toDateTime(100, 'UTC')",
        "TSVRaw",
    )
    index = plan[plan.index("PrimaryKey") :]
    assert "instrument" in index.split("Condition")[0]
    assert "time" in index.split("Condition")[0]


def test_price_ticks_are_the_prices_once(writer: Store) -> None:
    times = np.array([1_795_000_000, 1_795_000_001]) * 10**9
    rows = {
        "instrument": ["EUR-SEK"] * 2, "venue": ["twelve_data"] * 2, "time_ns": times, "price": np.array([1.05, 1.06]),
        "bid": np.array([1.04, math.nan]), "ask": np.array([math.nan] * 2), "received_ns": times + 5,
        "version": times + 5,
    }  # fmt: skip
    for _ in range(2):  # a replay
        writer.insert("prices", rows)
    found = writer.query(
        "SELECT toUnixTimestamp64Nano(time), price, bid, isNaN(ask) FROM market.price_ticks"
        " WHERE instrument = 'EUR-SEK' ORDER BY time"
    )
    assert found[0] == (times[0], 1.05, 1.04, 1)
    assert found[1][:2] == (times[1], 1.06)
    (comment,) = writer.query(
        "SELECT comment FROM system.columns WHERE database = 'market' AND table = 'trades' AND name = 'side'"
    )
    assert "unknown" in comment[0]
