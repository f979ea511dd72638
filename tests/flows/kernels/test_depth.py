"""Each rule of the docstring of `flows.kernels.depth`, by hand."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from connectors import record
from connectors.record import Record, encode_line
from connectors.venue import market
from flows.kernels.depth import SILENCE_S_MAX, DepthKernel
from tests.flows.kernels.compare import Run, assert_equal, judge, run
from tests.flows.kernels.feed import (
    FUTURES,
    KEY,
    SPOT,
    START_MS,
    START_S,
    clock,
    control,
    depth,
    frame,
    instrument,
    line,
    ns,
    records,
    snapshot,
)

BIDS = [("100.0", "10"), ("99.9", "5"), ("90.0", "7")]
ASKS = [("101.0", "30"), ("101.1", "2"), ("110.0", "4")]


def check(*bodies: bytes, market: str = SPOT) -> Run:
    """What the kernel makes of the records; the oracle agrees."""
    found = run(market, records(*bodies))
    assert_equal(found, judge(market, records(*bodies)))
    return found


def whole(*lines: bytes, market: str = SPOT) -> Run:
    """As `check`, the lines in one record."""
    return check(b"".join(lines), market=market)


def at(row: dict[str, Any], side: str, price: float) -> float:
    """Size in the bin of a price."""
    return float(row[side][int(price / row["bin_step"] + 1e-9) - row["base_bin"]])


# Measures.


def test_quotes_and_weighted_mid() -> None:
    row = check(snapshot(0, 1, [("100.0", "10")], [("101.0", "30")]), clock(100), clock(1300)).table(
        "depth_1s"
    )[0]
    assert (row["best_bid"], row["best_bid_size"], row["best_ask"], row["best_ask_size"]) == (
        100,
        10,
        101,
        30,
    )
    assert (row["spread"], row["mid"], row["weighted_mid"]) == (1, 100.5, 100.25)
    assert row["imbalance_100bps"] == -0.5
    assert (row["time"], row["live_s"], row["updates"], row["ofi"]) == (START_S, 1, 0, 0)
    assert row["received_ns"] == ns(5)
    assert row["version"] == ns(1305)


OFI_QUOTES = [
    ([("100", "14")], []),
    ([], [("101", "0"), ("102", "5")]),
    ([("101", "6")], []),
    ([("101", "0"), ("100", "9")], [("101", "3"), ("102", "0")]),
]


def test_order_flow_is_the_vector_of_the_definition() -> None:
    messages = [depth(100 * i, i + 1, i + 1, *levels) for i, levels in enumerate(OFI_QUOTES, 1)]
    seed = snapshot(0, 1, [("100", "10")], [("101", "8")])
    sums = []
    for n in range(1, 5):
        [row] = check(seed, *messages[:n], clock(1300)).table("depth_1s")
        assert row["updates"] == n
        sums.append(row["ofi"])
    assert np.diff([0, *sums]).tolist() == [4, 8, 6, -9]


def test_order_flow_is_additive_over_seconds() -> None:
    messages = [depth(900 * i, i + 1, i + 1, *levels) for i, levels in enumerate(OFI_QUOTES, 1)]
    found = check(snapshot(0, 1, [("100", "10")], [("101", "8")]), *messages, clock(10_300))
    assert sum(row["ofi"] for row in found.table("depth_1s")) == 9
    assert [row["ofi"] for row in found.table("depth_10s")] == [9]


def test_order_flow_of_a_jump_that_leaves_the_window() -> None:
    jump = depth(200, 2, 2, [("100", "0"), ("9000", "3")], [("101", "0"), ("9001", "4")])
    [row] = check(
        snapshot(0, 1, [("100", "10")], [("101", "8")]), depth(100, 1, 1, [], []), jump, clock(1300)
    ).table("depth_1s")
    assert (row["ofi"], row["updates"]) == (3 + 8, 1)


def test_order_flow_while_a_side_is_missing() -> None:
    gone = depth(100, 2, 2, [("100", "0")], [])
    back = depth(200, 3, 3, [("99", "3")], [])
    then = depth(300, 4, 4, [("99", "5")], [])
    [row] = check(snapshot(0, 1, [("100", "10")], [("101", "8")]), gone, back, then, clock(1300)).table(
        "depth_1s"
    )
    assert (row["ofi"], row["updates"]) == (2, 3)


def test_bands_end_where_the_book_is_known() -> None:
    seed = snapshot(0, 1, [("100.0", "1"), ("99.9", "2")], [("100.2", "3"), ("100.3", "4")], limit=2)
    [row] = check(seed, clock(100), clock(1300)).table("depth_1s")
    assert (row["covered_low"], row["covered_high"]) == (99.9, 100.3)
    assert (row["bid_10bps"], row["ask_10bps"], row["imbalance_10bps"]) == (1, 3, -0.5)
    assert (row["bid_25bps"], row["ask_25bps"]) == (3, 7)
    assert (
        math.isnan(row["bid_50bps"]) and math.isnan(row["ask_50bps"]) and math.isnan(row["imbalance_50bps"])
    )


def test_imbalance_of_nothing_is_not_a_number() -> None:
    [row] = check(snapshot(0, 1, [("90", "1")], [("110", "3")]), clock(100), clock(1300)).table("depth_1s")
    assert (row["bid_10bps"], row["ask_10bps"]) == (0, 0)
    assert math.isnan(row["imbalance_10bps"])


# Bins and what is known.


def test_bins_are_aligned_and_hold_their_ticks() -> None:
    seed = snapshot(0, 1, [("100.00", "1"), ("99.99", "2")], [("100.01", "3"), ("100.02", "4")])
    [row] = check(instrument(tick="0.01", bin_step="0.02"), seed, clock(100), clock(1300)).table("depth_1s")
    assert row["bin_step"] == 0.02
    assert row["base_bin"] % 64 == 0
    assert len(row["bid"]) == len(row["ask"]) == 704
    middle = 5000 - row["base_bin"]
    assert row["bid"][middle - 1 : middle + 1].tolist() == [2, 1]
    assert row["ask"][middle : middle + 2].tolist() == [3, 4]


def test_base_bin_is_never_negative() -> None:
    [row] = check(snapshot(0, 1, [("1", "1")], [("2", "3")]), clock(100), clock(1300)).table("depth_1s")
    assert row["base_bin"] == 0


@pytest.mark.parametrize("limit", [None, 3, 4])
def test_coverage_follows_the_limit(limit: int | None) -> None:
    [row] = check(snapshot(0, 1, BIDS, ASKS, limit), clock(100), clock(1300)).table("depth_1s")
    known = limit == 4
    assert (row["covered_low"], row["covered_high"]) == ((0, math.inf) if known else (90, 110))
    assert at(row, "bid", 95) == 0
    assert bool(row["bid"][0] == 0) == known


def test_a_bin_beyond_the_covered_prices_is_a_lower_bound() -> None:
    seed = snapshot(0, 1, BIDS, ASKS, limit=3)
    tick = instrument(bin_step="0.1")
    found = check(
        tick, seed, depth(100, 2, 2, [("80.0", "6")], []), depth(1100, 3, 3, [("80.0", "0")], []), clock(2300)
    )
    first, second = found.table("depth_1s")
    assert at(first, "bid", 80) == 6
    assert math.isnan(at(first, "bid", 81))
    assert math.isnan(at(second, "bid", 80))


def test_a_bin_partly_beyond_the_covered_asks_is_not_known() -> None:
    seed = snapshot(0, 1, [("100.0", "1")], [("100.1", "3"), ("100.5", "2")], limit=1)
    [row] = check(instrument(bin_step="0.2"), seed, clock(100), clock(1300)).table("depth_1s")
    assert at(row, "ask", 100.5) == 2
    seed = snapshot(0, 1, [("100.0", "1")], [("100.1", "3"), ("100.4", "2")], limit=1)
    gone = depth(200, 2, 2, [], [("100.4", "0")])
    [row] = check(instrument(bin_step="0.2"), seed, gone, clock(1300)).table("depth_1s")
    assert math.isnan(at(row, "ask", 100.4))
    assert at(row, "ask", 100.2) == 0


def test_a_side_without_levels_and_without_a_limit_tells_nothing() -> None:
    seed = snapshot(0, 1, [], ASKS, limit=None)
    rise = depth(100, 2, 2, [("100.0", "1")], [])
    [row] = check(seed, rise, clock(1300)).table("depth_1s")
    assert (row["covered_low"], row["covered_high"]) == (math.inf, 110)
    assert at(row, "bid", 100) == 1
    assert math.isnan(at(row, "bid", 99.9))
    assert math.isnan(row["bid_10bps"])
    finer = depth(200, 3, 3, [("99.12", "1")], [])
    [row] = check(seed, rise, finer, clock(1300)).table("depth_1s")
    assert row["covered_low"] == math.inf
    assert math.isnan(at(row, "bid", 98))


def test_an_empty_snapshot_is_a_book_that_fills() -> None:
    found = check(snapshot(0, 1, [], []), depth(100, 2, 2, BIDS, ASKS), depth(1100, 3, 3, [], []))
    assert found.seconds() == [START_S]
    assert found.table("depth_1s")[0]["covered_low"] == 0


@pytest.mark.parametrize("far", ["0.1", "1000000.0", "9999999.9"])
def test_a_price_far_from_the_mid_is_kept(far: str) -> None:
    side = (([(far, "3")], []), ([], [(far, "3")]))[float(far) > 100]
    found = check(snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, *side), clock(1300))
    assert found.kernel.summary()["books"]["BTCUSDT"]["levels"] == 7
    assert found.seconds() == [START_S]


def test_a_snapshot_at_the_same_id_adds_what_it_knows_more() -> None:
    fuller = snapshot(20, 1, [*BIDS, ("80.0", "9")], [*ASKS, ("120.0", "9")], limit=4)
    found = check(snapshot(0, 1, BIDS, ASKS, limit=3), fuller, clock(100), clock(1300))
    [row] = found.table("depth_1s")
    assert (row["covered_low"], row["covered_high"]) == (80, 120)
    assert found.kernel.summary()["unused_snapshots"] == 0
    found = check(snapshot(0, 1, BIDS, ASKS), depth(50, 2, 2, [], []), fuller, clock(1300))
    assert found.kernel.summary()["unused_snapshots"] == 1


def test_a_very_wide_column_lies_partly_outside_the_window() -> None:
    """1 % of this price is more ticks than a window may have."""
    bids = [("1500000000", "1"), ("1499000000", "2"), ("1486000000", "4"), ("1200000000", "8")]
    asks = [("1500000001", "1"), ("1501000000", "2"), ("1514000000", "4"), ("1800000000", "8")]
    [row] = check(
        instrument(tick="1", bin_step="10000"), snapshot(0, 1, bids, asks), clock(100), clock(1300)
    ).table("depth_1s")
    assert (row["bid_100bps"], row["ask_100bps"]) == (7, 7)
    assert at(row, "bid", 1_499_000_000) == 2


@pytest.mark.xfail(strict=True, reason="a window of at most 2**22 ticks must hold both best prices")
def test_a_spread_wider_than_any_window() -> None:
    seed = snapshot(0, 1, [("0.01", "1")], [("99999999.99", "2")])
    [row] = check(seed, depth(100, 2, 2, [("0.02", "1")], []), clock(1300)).table("depth_1s")
    assert (row["best_bid"], row["best_ask"]) == (0.02, 99999999.99)


# Seconds.


def test_a_second_ends_with_the_next_message_and_silence_repeats() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [("100.0", "11")], []), depth(3_000, 3, 3, [], [])
    )
    assert found.seconds() == [START_S, START_S + 1, START_S + 2]
    assert [row["updates"] for row in found.table("depth_1s")] == [1, 0, 0]
    assert [row["best_bid_size"] for row in found.table("depth_1s")] == [11, 11, 11]
    assert {row["version"] for row in found.table("depth_1s")} == {ns(3_005)}


def test_the_clock_ends_a_second_after_the_grace() -> None:
    seed, first = snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [], [])
    assert check(seed, first, clock(1_249)).seconds() == []
    assert check(seed, first, clock(1_250)).seconds() == [START_S]


def test_a_late_message_is_applied_and_counted() -> None:
    late = depth(999, 3, 3, [("100.0", "12")], [])
    found = check(snapshot(0, 1, BIDS, ASKS) + depth(500, 2, 2, [], []), clock(1_250), late, clock(2_250))
    assert found.kernel.summary()["late"] == 1
    assert [row["best_bid_size"] for row in found.table("depth_1s")] == [10, 12]
    assert [row["updates"] for row in found.table("depth_1s")] == [1, 1]


def test_a_message_without_a_gap_is_not_late_whatever_other_books_have_said() -> None:
    """Another socket, or a connection that is being replaced, may be seconds behind."""
    other = b"ETHUSDT"
    feed = [
        Record(KEY, 0, snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], [])),
        Record(other, 1, snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], []) + depth(3_600, 3, 3, [], [])),
        Record(KEY, 2, depth(900, 3, 3, [("100.0", "12")], []) + depth(1_100, 4, 4, [("100.0", "13")], [])),
        Record(b"!clock", 3, clock(3_600)),
    ]
    found = run(SPOT, feed)
    assert_equal(found, judge(SPOT, feed))
    assert found.kernel.summary()["late"] == 0
    rows = [x for x in found.table("depth_1s") if x["instrument"] == "BTC-USDT"]
    assert [(x["time"] - START_S, x["best_bid_size"]) for x in rows] == [(0, 12), (1, 13), (2, 13)]


def test_rows_of_books_that_speak_do_not_wait_for_those_whose_silence_nobody_can_tell() -> None:
    other = b"ETHUSDT"
    feed = [
        Record(KEY, 0, snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], [])),
        Record(other, 1, snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], [])),
        Record(KEY, 2, depth(1_100, 3, 3, [], [])),
        Record(KEY, 3, depth(1_500, 4, 4, [], [])),
        Record(b"!clock", 4, clock(1_500)),
    ]
    found, given = Run(SPOT), []
    for each in feed:
        found.on_records([each])
        given.append([row["instrument"] for row in found.table("depth_1s")])
    assert given == [[], [], [], ["BTC-USDT"], ["BTC-USDT", "ETH-USDT"]]


def test_a_book_begun_again_leaves_the_seconds_before_as_holes() -> None:
    """Though no clock has told their end: what a snapshot says is of now."""
    other = b"ETHUSDT"
    feed = [
        Record(KEY, 0, snapshot(0, 1, BIDS, ASKS) + depth(1_100, 2, 2, [], [])),
        Record(KEY, 1, control(1_200, record.RESET, reason="test")),
        Record(other, 2, depth(4_100, 1, 1, [], [])),
        Record(KEY, 3, snapshot(4_150, 9, BIDS, ASKS)),
        Record(b"!clock", 4, clock(5_250)),
    ]
    found = run(SPOT, feed)
    assert_equal(found, judge(SPOT, feed))
    assert [second - START_S for second in found.seconds()] == [4]


def test_a_book_that_begins_behind_the_clock_has_no_row_for_what_is_over() -> None:
    other = b"ETHUSDT"
    feed = [
        Record(KEY, 0, snapshot(0, 1, BIDS, ASKS) + depth(5_600, 2, 2, [], [])),
        Record(other, 1, depth(2_000, 2, 2, [], [])),
        Record(other, 2, snapshot(5_650, 1, BIDS, ASKS)),
        Record(KEY, 3, depth(6_700, 3, 3, [], [])),
        Record(b"!clock", 4, clock(6_700)),
    ]
    found = run(SPOT, feed)
    assert_equal(found, judge(SPOT, feed))
    assert [row["time"] - START_S for row in found.table("depth_1s") if row["instrument"] == "ETH-USDT"] == [
        5
    ]


def test_a_seeded_book_begins_with_the_first_clock() -> None:
    assert check(snapshot(0, 1, BIDS, ASKS), clock(10_100), clock(12_300)).seconds() == [
        START_S + 10,
        START_S + 11,
    ]
    assert check(clock(10_100), snapshot(0, 1, BIDS, ASKS), clock(12_300)).seconds() == [
        START_S + 10,
        START_S + 11,
    ]


@pytest.mark.parametrize("step", [60_000, 7_300_000])
def test_a_long_silence_ends_the_columns(step: int) -> None:
    """However the clock gets there."""
    last = 2 * 3600 * 1000
    clocks = [clock(ms) for ms in range(step, last + 100_001, step)]
    found = check(
        snapshot(0, 1, BIDS, ASKS) + depth(500, 2, 2, [], []), *clocks, depth(last + 200_000, 3, 3, [], []),
        clock(last + 201_300),
    )  # fmt: skip
    seconds = [second - START_S for second in found.seconds()]
    assert seconds == [*range(SILENCE_S_MAX), last // 1000 + 200]
    assert sum(row["live_s"] for row in found.table("depth_1m")) == SILENCE_S_MAX


def test_a_time_over_a_minute_ahead_is_set_aside_and_moves_nothing() -> None:
    ahead = encode_line(ns(600), b"ws-1", frame(60_701, 3, 3, [], []))
    found = check(snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [], []), ahead, depth(700, 3, 3, [], []))
    assert found.reasons() == ["event time ahead of receipt"]
    assert found.seconds() == []
    assert found.kernel.summary()["gaps"] == 0
    just = encode_line(ns(600), b"ws-1", frame(60_600, 3, 3, [], []))
    assert len(check(snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [], []), just).seconds()) == 60


def test_a_clock_over_a_minute_ahead_is_set_aside() -> None:
    ahead = record.encode_control(ns(600), record.CLOCK, time_ns=ns(61_000))
    found = check(snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [], []), ahead)
    assert found.seconds() == []
    assert len(found.reasons()) == 1


def test_times_in_microseconds() -> None:
    payload = frame(1_500, 3, 3, [], []).replace(
        b"%d" % (START_MS + 1_500), b"%d" % ((START_MS + 1_500) * 1000)
    )
    assert check(snapshot(0, 1, BIDS, ASKS), depth(500, 2, 2, [], []), line(1_500, payload)).seconds() == [
        START_S
    ]


# Continuity.


def test_a_gap_makes_the_seconds_since_the_last_message_holes() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [], []), depth(2_100, 3, 3, [], []), depth(4_100, 5, 5, [], []),
        depth(4_200, 6, 6, [], []), snapshot(4_300, 5, BIDS, ASKS), depth(5_400, 7, 7, [], []),
    )  # fmt: skip
    assert [second - START_S for second in found.seconds()] == [0, 1, 4]
    assert found.kinds() == ["seeded", "gap", "seeded"]
    assert found.kernel.summary()["gaps"] == 1
    assert found.table("depth_1s")[-1]["updates"] == 0


def test_futures_follow_by_the_previous_id() -> None:
    found = check(
        snapshot(0, 10, BIDS, ASKS), depth(50, 3, 9, [], [], 2), depth(100, 8, 12, [], [], 9),
        depth(200, 20, 25, [], [], 12), depth(300, 26, 30, [], [], 24), market=FUTURES,
    )  # fmt: skip
    assert found.kernel.summary()["stale"] == 1
    assert found.kernel.summary()["applied"] == 2
    assert found.kinds() == ["seeded", "gap"]


def test_a_snapshot_older_than_the_first_message_is_stale() -> None:
    found = check(
        depth(100, 5, 6, [], []), snapshot(150, 3, BIDS, ASKS), snapshot(300, 5, BIDS, ASKS), clock(1_300)
    )
    assert found.kinds() == ["stale snapshot", "seeded"]
    assert found.kernel.summary()["gaps"] == 0
    assert found.seconds() == [START_S]


def test_messages_that_waited_are_applied_and_not_counted_as_flow() -> None:
    found = check(
        depth(100, 2, 2, [("100.0", "20")], []), depth(200, 3, 3, [("100.0", "21")], []), snapshot(250, 1, BIDS, ASKS),
        depth(300, 4, 4, [("100.0", "22")], []), clock(1_300),
    )  # fmt: skip
    [row] = found.table("depth_1s")
    assert (row["updates"], row["ofi"], row["best_bid_size"]) == (1, 1, 22)
    assert found.kernel.summary()["depth_messages"] == found.kernel.summary()["applied"] == 3


def test_a_gap_among_the_waiting() -> None:
    found = check(
        depth(100, 2, 2, [], []), depth(200, 4, 4, [], []), depth(2_300, 5, 5, [], []), snapshot(2_350, 1, BIDS, ASKS),
        depth(2_400, 6, 6, [], []), snapshot(2_500, 3, BIDS, ASKS), clock(3_300),
    )  # fmt: skip
    assert found.kinds() == ["gap", "seeded"]
    assert found.seconds() == [START_S + 2]


def test_a_reset_clears_book_and_waiting() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [], []), depth(1_100, 3, 3, [], []),
        control(1_200, record.RESET, reason="closed by peer"), depth(1_300, 4, 4, [], []),
        control(1_400, record.RESET, reason="again"), snapshot(3_000, 3, BIDS, ASKS), depth(3_100, 5, 5, [], []),
        snapshot(3_200, 4, BIDS, ASKS), clock(4_300),
    )  # fmt: skip
    assert [second - START_S for second in found.seconds()] == [0, 3]
    # The second one finds no live book: it only throws away what waited.
    assert found.kinds() == ["seeded", "reset", "seeded", "stale snapshot", "seeded"]
    details = [row["detail"] for row in found.table("book_events") if row["kind"] == "reset"]
    assert details == ["closed by peer"]


def test_a_book_line_seeds_with_what_it_covers() -> None:
    fields = {"lastUpdateId": 7, "bids": BIDS, "asks": ASKS}
    whole = control(0, record.BOOK, **fields, covered=("85.1", None))
    [row] = check(whole, depth(100, 8, 8, [], []), clock(1_300)).table("depth_1s")
    assert (row["covered_low"], row["covered_high"], row["updates"]) == (85.1, math.inf, 1)


def test_a_book_line_without_its_coverage_is_set_aside() -> None:
    found = run(SPOT, records(control(0, record.BOOK, lastUpdateId=7, bids=BIDS, asks=ASKS)))
    assert found.reasons() == ["malformed control line"]
    assert not found.kernel.summary()["books"]


def test_a_crossed_book_is_a_hole_while_it_lasts() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [], []), depth(1_100, 3, 3, [("101.0", "1")], []),
        depth(1_200, 4, 4, [("101.5", "1")], []), depth(2_100, 5, 5, [], []),
        depth(3_100, 6, 6, [("101.0", "0"), ("101.5", "0")], []), depth(4_100, 7, 7, [], []),
    )  # fmt: skip
    assert [second - START_S for second in found.seconds()] == [0, 3]
    assert (found.kernel.summary()["crossed"], found.reasons()) == (1, ["crossed book"])


def test_a_crossed_book_far_away() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [("9000.0", "1")], []), depth(1_100, 3, 3, [("9000.0", "0")], []),
        depth(2_100, 4, 4, [], []),
    )  # fmt: skip
    assert [second - START_S for second in found.seconds()] == [1]
    assert found.kinds() == ["seeded", "crossed"]


def test_a_book_with_one_side_gives_no_row() -> None:
    found = check(
        snapshot(0, 1, BIDS, []), depth(100, 2, 2, [], []), depth(1_100, 3, 3, [], [("101.0", "1")]),
        depth(2_100, 4, 4, [(price, "0") for price, _ in BIDS], []), depth(3_100, 5, 5, [("99.0", "1")], []),
        depth(4_100, 6, 6, [], []),
    )  # fmt: skip
    assert [second - START_S for second in found.seconds()] == [1, 3]


def test_a_crossed_snapshot_is_set_aside() -> None:
    found = check(snapshot(0, 1, [("101.0", "1")], [("100.0", "1")]), depth(100, 2, 2, [], []))
    assert found.reasons() == ["crossed snapshot"]
    assert not found.kinds()


# Roll-ups.


def test_roll_ups_are_means_over_live_seconds() -> None:
    sizes = [1, 2, 6]
    messages = [depth(1000 * i + 100, i + 2, i + 2, [("100.0", str(n))], []) for i, n in enumerate(sizes)]
    reset = control(3_000, record.RESET, reason="test")
    found = check(snapshot(0, 1, BIDS, ASKS), *messages, clock(3_250), reset, clock(10_300), clock(60_300))
    [row] = found.table("depth_10s")
    assert (row["live_s"], row["updates"], row["best_bid_size"]) == (3, 3, 6)
    assert at(row, "bid", 100) == 3
    assert row["bid_10bps"] == 0
    assert row["bid_50bps"] == 3
    assert row["imbalance_50bps"] == (3 - 30) / (3 + 30)
    [minute] = found.table("depth_1m")
    assert (minute["live_s"], minute["time"], minute["version"]) == (3, START_S, ns(60_305))


def test_a_roll_up_spans_a_base_that_moved() -> None:
    tick = instrument(bin_step="0.1")
    up = [(price, "0") for price, _ in ASKS] + [("120.0", "5"), ("160.0", "1")]
    moved = depth(1_100, 3, 3, [("119.9", "4")], up)
    found = check(tick, snapshot(0, 1, BIDS, ASKS, limit=3), depth(100, 2, 2, [], []), moved, clock(10_300))
    first, second = found.table("depth_1s")[:2]
    [row] = found.table("depth_10s")
    assert second["base_bin"] > first["base_bin"] == row["base_bin"]
    assert len(row["bid"]) == 704 + second["base_bin"] - first["base_bin"]
    assert row["live_s"] == 10
    assert at(row, "bid", 119.9) == np.float32(3.6)


def test_an_interval_without_a_live_second_has_no_row() -> None:
    found = check(
        snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [], []), control(500, record.RESET, reason="test"),
        clock(25_300), snapshot(25_400, 5, BIDS, ASKS), clock(70_300),
    )  # fmt: skip
    assert [row["time"] - START_S for row in found.table("depth_10s")] == [20, 30, 40, 50, 60]


# Instruments and digits.


def test_an_instrument_is_inferred_from_the_digits() -> None:
    found = check(snapshot(0, 1, [("100.10", "1.500")], [("100.25", "2")]))
    row = found.table("instruments")[-1]
    assert (row["instrument"], row["tick"], row["lot"], row["inferred"]) == ("BTC-USDT", 0.01, 0.1, True)
    assert row["bin_step"] == 1.0  # agreed for BTC in dollars


def test_an_instrument_told_before_its_data_names_the_rows() -> None:
    found = check(
        instrument(instrument="X-Y", bin_step="0.5"), snapshot(0, 1, BIDS, ASKS), clock(100), clock(1_300)
    )
    [row] = found.table("depth_1s")
    assert (row["instrument"], row["bin_step"]) == ("X-Y", 0.5)
    assert not any(row["inferred"] for row in found.table("instruments"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bin_step": "0"}, {"bin_step": "-1"}, {"tick": "0"}, {"tick": "NaN"}, {"tick": "1E-30"}, {"lot": "1E-30"},
        {"tick": "-0.1"}, {"lot": "Infinity"}, {"tick": "0.1", "bin_step": "0.001"},
    ],
    ids=str,
)  # fmt: skip
def test_an_instrument_no_book_can_have_is_set_aside(wrong: dict[str, str]) -> None:
    found = run(SPOT, records(instrument(**wrong), snapshot(0, 1, BIDS, ASKS), clock(100), clock(1_300)))
    assert found.reasons() == ["malformed control line"]
    assert found.seconds() == [START_S]


def test_an_inferred_instrument_with_finer_bins_than_the_digits_seen() -> None:
    told = instrument(inferred=True, tick="0.01", bin_step="0.05")
    found = run(SPOT, records(told, snapshot(0, 1, [("100", "1")], [("101", "1")]), clock(100), clock(1_300)))
    assert found.seconds() == [START_S]


def test_finer_digits_rescale_and_never_round() -> None:
    finer = depth(1_100, 3, 3, [("99.95", "0.00000001")], [("101.0", "29.5")])
    found = check(snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [("100.0", "10.5")], []), finer, clock(10_300))
    rows = found.table("depth_1s")
    assert [row["best_ask_size"] for row in rows[:2]] == [30, 29.5]
    assert found.kinds().count("rescaled") == 3
    [row] = found.table("depth_10s")
    assert row["ask_50bps"] == (30 + 9 * 29.5) / 10


def test_digits_no_book_can_hold_are_set_aside() -> None:
    silly = depth(200, 3, 3, [("99.123456789012345678", "1")], [])
    found = run(SPOT, records(snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], []) + silly))
    assert found.reasons() == ["finer digits overflow"]
    assert found.kinds() == ["seeded", "reset"]


def test_digits_no_book_can_hold_do_not_spoil_the_next_book() -> None:
    """A book that waits for its snapshot meets them; the snapshot after a reset is as good as ever."""
    silly = depth(50, 1, 1, [("99.123456789012345678", "0.123456789012345678")], [])
    reset = control(60, record.RESET, reason="test")
    found = run(
        SPOT, records(silly + reset + snapshot(80, 1, BIDS, ASKS) + depth(100, 2, 2, [], []) + clock(1_300))
    )
    assert found.seconds() == [START_S]


def test_a_price_of_zero() -> None:
    found = run(SPOT, records(snapshot(0, 1, [("0.0", "1")], [("0.1", "1")]) + clock(100) + clock(1_300)))
    assert found.kernel.summary()["books"] == {}
    run(SPOT, records(snapshot(0, 1, [("0.0", "1")], []) + clock(100) + clock(1_300)))


# Bad input.


GOOD = snapshot(0, 1, BIDS, ASKS) + depth(100, 2, 2, [], [])
BAD_FRAMES = {
    "cut": (frame(200, 3, 3, BIDS, ASKS)[:-20], "malformed frame"),
    "empty": (b"", "malformed frame"),
    "not json": (b"{hello}", "malformed frame"),
    "array": (b"[1,2]", "malformed frame"),
    "unknown": (b'{"e":"newThing","E":1}', "unknown message"),
    "no ids": (frame(200, 3, 3, [], []).replace(b'"u":3,', b""), "missing ids or side"),
    "no first id": (frame(200, 3, 3, [], []).replace(b'"U":3,', b""), "missing ids or side"),
    "no side": (frame(200, 3, 3, [], []).replace(b'"b":[],', b""), "missing ids or side"),
    "a number for a price": (
        frame(200, 3, 3, [], []).replace(b'"b":[]', b'"b":[[1.5,"2"]]'),
        "malformed level",
    ),
    "no size": (frame(200, 3, 3, [], []).replace(b'"b":[]', b'"b":[["1.5"]]'), "malformed level"),
    "three fields": (
        frame(200, 3, 3, [], []).replace(b'"b":[]', b'"b":[["1.5","1","1"]]'),
        "malformed level",
    ),
    "negative": (frame(200, 3, 3, [("-1", "2")], []), "malformed level"),
    "exponent": (frame(200, 3, 3, [("1e2", "2")], []), "malformed level"),
    "no digits": (frame(200, 3, 3, [("", "2")], []), "malformed level"),
    "too long": (frame(200, 3, 3, [("1" * 30, "2")], []), "number or level count too large"),
    "too large": (frame(200, 3, 3, [("100", "9" * 18)], []), "number or level count too large"),
    "too long for int64": (
        frame(200, 3, 3, [("123456789012345678.1", "123456789012345678.1")], []),
        "number or level count too large",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_set_aside_and_the_flow_goes_on(name: str) -> None:
    payload, reason = BAD_FRAMES[name]
    body = GOOD + line(200, payload) + depth(1_300, 3, 3, [("100.0", "11")], []) + clock(2_300)
    found = run(SPOT, [Record(KEY, 77, body)])
    [letter] = found.table("dead_letters")
    assert letter["reason"] == reason
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("raw.binance_spot", 0, 77)
    assert (letter["position"], letter["received_ns"]) == (len(GOOD), ns(205))
    assert letter["payload"] == payload.decode()
    assert [row["best_bid_size"] for row in found.table("depth_1s")] == [10, 11]


@pytest.mark.parametrize("rest", [b"garbage", b"1 2 3", b"17 ws-1 9999 {}\n", b"\n\n", b"x" * 100 + b"\n"])
def test_the_rest_of_a_torn_record_is_set_aside(rest: bytes) -> None:
    found = check(GOOD + rest, depth(1_100, 3, 3, [], []))
    assert found.reasons() == ["torn record"]
    assert found.seconds() == [START_S]


@pytest.mark.parametrize("time", [b"x", b"12x4567890123456789", b"9" * 22])
@pytest.mark.parametrize(
    "rest",
    [b"ws 2 {}\n", b"!clock 2 {}\n", b'rest 42 {"lastUpdateId":1,"bids":[],"asks":[]     }\n', b"ws 1 x\n"],
)
def test_a_line_without_a_receive_time_is_set_aside(time: bytes, rest: bytes) -> None:
    found = run(
        SPOT, records(GOOD + time + b" " + rest + depth(1_100, 3, 3, [], []), depth(2_100, 4, 4, [], []))
    )
    assert len(found.reasons()) == 1
    assert found.kernel.summary()["applied"] >= 2 or found.kinds() == ["seeded", "gap"]


@pytest.mark.parametrize("origin", [b"!unknown", record.RESET, record.CLOCK, record.INSTRUMENT, record.BOOK])
@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"{", b'{"reason":1,"time_ns":"x"}'])
def test_a_bad_control_line_is_set_aside(origin: bytes, payload: bytes) -> None:
    found = run(SPOT, records(GOOD + line(200, payload, origin) + depth(1_100, 3, 3, [], [])))
    assert len(found.reasons()) == 1
    assert found.seconds() == [START_S]


@pytest.mark.parametrize("style", [{"separators": (", ", ": ")}, {"indent": 2}, {"separators": (" ,", " :")}])
def test_white_space_is_no_fault(style: dict[str, Any]) -> None:
    def spaced(body: bytes) -> bytes:
        [found] = record.decode_lines(body)
        return encode_line(
            found.recv_ns, found.origin, json.dumps(json.loads(found.payload), **style).encode()
        )

    lines = [snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [("100.0", "12")], []), depth(1_100, 3, 3, [], [])]
    found = check(*map(spaced, lines))
    assert found.reasons() == []
    assert [row["best_bid_size"] for row in found.table("depth_1s")] == [12]


@pytest.mark.parametrize("payload", [b" %s", b"%s\n", b"\t%s \r\n"])
def test_white_space_around_a_frame_is_no_fault(payload: bytes) -> None:
    found = check(GOOD, line(1_100, payload % frame(1_100, 3, 3, [], [])))
    assert (found.reasons(), found.seconds()) == ([], [START_S])


def test_white_space_before_one_value_only() -> None:
    payload = frame(1_100, 3, 3, [], []).replace(b'"E":', b'"E": ')
    assert check(GOOD, line(1_100, payload)).seconds() == [START_S]


def test_a_line_of_8_mib() -> None:
    n = 300_000
    bids = [(f"{i}.0", "1.00000000") for i in range(100, n)]
    body = snapshot(0, 1, bids, [(f"{n}.0", "1")], limit=5000)
    assert 6 << 20 < len(body) < 8 << 20
    change = depth(100, 2, 2, [(price, "0") for price, _ in bids[:-1]], [])
    found = run(SPOT, records(body + change + clock(1_300)))
    assert found.seconds() == [START_S]
    assert found.kernel.summary()["books"]["BTCUSDT"]["levels"] == 2


@pytest.mark.parametrize("n", [100, 600, 2_000])
def test_a_message_of_many_removals(n: int) -> None:
    removals = [(f"{i}.0", "0") for i in range(1_000_000, 1_000_000 + n)]
    found = check(snapshot(0, 1, BIDS, ASKS), depth(100, 2, 2, [], removals), clock(1_300))
    assert found.seconds() == [START_S]


def test_a_snapshot_that_never_comes_costs_bounded_memory() -> None:
    levels = [(f"{i}.0", "1.00000000") for i in range(1, 40_000)]
    bodies = [depth(i * 100, i, i, levels, []) for i in range(1, 30)]
    found = run(SPOT, records(*bodies))
    book = found.kernel._books[KEY]
    size = len(bodies[0])
    assert (16 << 20) - 2 * size < book.waiting_bytes <= 16 << 20
    assert book.waiting_bytes == sum(map(len, book.waiting))
    summary = found.kernel.summary()
    assert (summary["depth_messages"], summary["books"]["BTCUSDT"]["state"]) == (29, "waiting for a snapshot")
    found.on_records(records(snapshot(3_000, 28, [("1.0", "1")], [("50000.0", "1")])))
    assert found.kernel.summary()["books"]["BTCUSDT"]["state"] == "live"


# State and grouping.


def long_feed() -> list[Record]:
    other = b"ETHUSDT"
    bodies = [
        (KEY, GOOD),
        (other, instrument(symbol="ETHUSDT", instrument="ETH-USDT") + depth(150, 5, 5, [], [])),
    ]
    for i in range(3, 40):
        bodies.append((KEY, depth(i * 400, i, i, [("100.0", f"{i}")], [("101.0", f"{i}.5")])))
        if i == 9:
            bodies.append((other, snapshot(i * 400, 5, BIDS, ASKS)))
        if i == 20:
            bodies.append((KEY, control(i * 400, record.RESET, reason="test") + line(i * 400, b"{}")))
        if i == 25:
            bodies.append((KEY, snapshot(i * 400, i, [*BIDS, ("99.95", "0.125")], ASKS)))
        if i % 5 == 0:
            bodies.append((b"!clock", clock(i * 400)))
    return [Record(key, offset, body) for offset, (key, body) in enumerate(bodies)]


def test_the_long_feed_is_as_the_oracle_says() -> None:
    found = run(SPOT, long_feed())
    assert_equal(found, judge(SPOT, long_feed()))
    assert len(found.table("depth_10s")) > 1


def table_bits(found: Run) -> dict[str, list[Any]]:
    return {
        table: [[x.tobytes() if isinstance(x, np.ndarray) else repr(x) for x in row.values()] for row in rows]
        for table, rows in found.rows.items()
    }


def test_a_dump_anywhere_continues_as_if_nothing_had_happened() -> None:
    feed = long_feed()
    undisturbed = run(SPOT, feed)
    for cut in range(len(feed) + 1):
        found = Run(SPOT)
        for each in feed[:cut]:
            found.on_records([each])
        state = found.kernel.dump()
        found.kernel = DepthKernel(found.kernel._market, 0)
        found.kernel.load(state)
        assert found.kernel.dump() == state
        for each in feed[cut:]:
            found.on_records([each])
        assert table_bits(found.flush()) == table_bits(undisturbed)
        assert found.kernel.summary() == undisturbed.kernel.summary()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_grouping_into_calls_does_not_matter(size: int) -> None:
    feed = long_feed()
    found = Run(SPOT)
    for at_ in range(0, len(feed), size):
        found.on_records(feed[at_ : at_ + size])
    assert table_bits(found.flush()) == table_bits(run(SPOT, feed))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_chunking_does_not_matter_for_one_symbol(size: int) -> None:
    lines = [snapshot(0, 1, BIDS, ASKS)]
    lines += [depth(i * 270, i, i, [("100.0", f"{i}")], []) for i in range(2, 60) if i != 30]
    lines.insert(40, snapshot(40 * 270, 35, BIDS, ASKS))
    found = run(SPOT, records(*(b"".join(lines[i : i + size]) for i in range(0, len(lines), size))))
    whole = run(SPOT, records(b"".join(lines)))
    assert whole.kernel.summary()["gaps"] == 1
    for table in ("depth_1s", "depth_10s", "book_events"):
        assert table_bits(found)[table] == table_bits(whole)[table]


def test_a_state_of_another_version_is_refused() -> None:
    kernel = run(SPOT, records(GOOD)).kernel
    state = msgspec.msgpack.decode(kernel.dump(), strict=False) | {"version": 0}
    with pytest.raises(ValueError, match=r"expected kernel state of version [0-9]+, found 0"):
        kernel.load(msgspec.msgpack.encode(state))


@pytest.mark.parametrize("recv_ns", [1, 10**9, 10**17, 999_999_999_999_999_999, 10**18, 2**63 - 1])
def test_a_receive_time_may_have_any_length(recv_ns: int) -> None:
    kernel = DepthKernel(market(FUTURES), 0)
    kernel.on_records([Record(KEY, 0, encode_line(recv_ns, b"a", b'{"stream":"btcusdt@trade","data":{}}'))])
    assert kernel.summary()["trades"] == 1
    assert kernel.summary()["dead_letters"] == 0
