"""The levels kernel: evidence by hand, and rows that depend on what was known alone, not on when it came."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.record import Record
from flows.kernels.levels import TABLE_COLUMNS, LevelsKernel

SECOND_NS, MINUTE_NS, DAY_NS = 10**9, 60 * 10**9, 86_400 * 10**9
T0 = 20_000 * DAY_NS  # the close of a minute, and of a day
LAG_NS = 100_000_000  # of receipt
KEY = ("instrument", "venue", "time_ns", "price")


def _feature(kind: str, at_ns: int, venue: str = "v", /, **fields: Any) -> dict[str, Any]:
    received = {"received_ns": at_ns + LAG_NS - 1, "version": at_ns + LAG_NS}
    return {"kind": kind, "instrument": "BTC-USDT", "venue": venue, **received, **fields}


def depth(second: float, mid: float | None = 100.0, venue: str = "v", **changes: Any) -> dict[str, Any]:
    """Of the second that ends `second` after T0."""
    known_ns = T0 + int(second * SECOND_NS)
    fields = {"interval_s": 1, "time_ns": known_ns - SECOND_NS, "mid": mid, "bin_step": 1.0}
    return _feature("depth", known_ns, venue, **(fields | changes))


def wall(second: float, row: int, ratio: float = 1.0, ended: str = "", venue: str = "v") -> dict[str, Any]:
    known_ns = T0 + int(second * SECOND_NS)
    return _feature(
        "wall", known_ns, venue, side="bid", price_row=row, from_ns=T0 - MINUTE_NS, bin_step=1.0, known_ns=T0 - 30,
        time_ns=known_ns, weighted_size=ratio * 8.0, threshold=8.0, ended=ended,
    )  # fmt: skip


def profile(
    minute: int, poc: float | None, venue: str = "v", span: str = "day", **changes: Any
) -> dict[str, Any]:
    known_ns = T0 + minute * MINUTE_NS
    fields = {"span": span, "time_ns": known_ns, "closed": False, "row_step": 1.0, "poc": poc, "vah": None,
              "val": None, "hvn": []}  # fmt: skip
    return _feature("profile", known_ns, venue, **(fields | changes))


def bar(minute: int, low: float, high: float, venue: str = "v", interval_s: int = 60) -> dict[str, Any]:
    """That closes `minute` minutes after T0."""
    known_ns = T0 + minute * MINUTE_NS
    open_ns = known_ns - interval_s * SECOND_NS
    fields = {
        "interval_s": interval_s,
        "open_ns": open_ns,
        "high": high,
        "low": low,
        "close": (low + high) / 2,
    }
    return _feature("order_flow", known_ns, venue, **fields)


def _records(features: list[dict[str, Any]]) -> list[Record]:
    return [Record(b"BTC-USDT", i, msgspec.msgpack.encode([x])) for i, x in enumerate(features)]


def _rows(blocks) -> list[dict[str, Any]]:
    return [
        dict(zip(block.columns, row, strict=True))
        for block in blocks
        if block.table == "levels"
        for row in zip(*block.columns.values(), strict=True)
    ]


def _final(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """As the table has it: of each key the newest version, the last of equal ones, unless it is removed."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in KEY)
        if key not in found or found[key]["version"] <= row["version"]:
            found[key] = row
    return {key: repr(row) for key, row in sorted(found.items()) if not row["removed"]}


def _run(features, *, flush: bool = True, kernel: LevelsKernel | None = None) -> list[dict[str, Any]]:
    kernel = kernel or LevelsKernel(0)
    blocks = kernel.on_records(_records(features))
    return _rows(blocks + (kernel.flush() if flush else []))


def _of(rows, venue: str = "v", minute: int | None = None) -> list[dict[str, Any]]:
    return [x for x in rows if x["venue"] == venue and minute in (None, (x["time_ns"] - T0) // MINUTE_NS)]


def test_a_minute_is_told_when_its_grace_is_over_and_not_before():
    kernel = LevelsKernel(0)
    told = kernel.on_records(_records([wall(59, 90), depth(60), depth(61)]))
    assert told == []
    rows = _rows(kernel.on_records(_records([depth(62)])))
    assert {(x["venue"], x["time_ns"]) for x in rows} == {("v", T0 + MINUTE_NS), ("all", T0 + MINUTE_NS)}
    (row,) = _of(rows)
    assert (row["price"], row["side"], row["last_price"]) == (90.5, "support", 100.0)
    assert row["version"] == T0 + MINUTE_NS + LAG_NS and row["received_ns"] == row["version"] - 1
    assert (row["venues"], row["stale_venues"], row["removed"]) == (("v",), (), 0)
    assert kernel.summary() == {"level_rows": 2, "dead_letters": 0}


def test_evidence_of_each_kind_has_its_weight():
    features = [
        wall(55, 90, 1.5), wall(55, 94, 9.0), profile(1, 110.0, vah=120.0, val=105.0, hvn=[130.0, 140.0]),
        depth(60), depth(62),
    ]  # fmt: skip
    rows = _of(_run(features))
    told = [(x["price"], x["evidence_kind"], x["evidence_weight"], x["strength"]) for x in rows]
    assert told == [
        (90.5, ("wall",), (15.0,), 15.0),
        (94.5, ("wall",), (20.0,), 20.0),  # at most twice
        (105.0, ("val",), (5.0,), 5.0),
        (110.5, ("poc",), (8.0,), 8.0),
        (120.0, ("vah",), (5.0,), 5.0),
        (130.5, ("hvn",), (3.0,), 3.0),
        (140.5, ("hvn",), (3.0,), 3.0),
    ]
    assert [x["evidence_ns"] for x in rows[:3]] == [(T0 - 30,), (T0 - 30,), (T0 + MINUTE_NS,)]
    assert [x["side"] for x in rows] == ["support"] * 2 + ["resistance"] * 5


def test_what_profiles_of_several_spans_agree_on_counts_once_and_fades():
    late = DAY_NS // MINUTE_NS
    features = [
        profile(0, 90.0), profile(late, 90.0, span="rolling_4h"), profile(0, 110.0, span="london"), depth(late * 60),
        depth(late * 60 + 2),
    ]  # fmt: skip
    rows = _of(_run(features), minute=late)
    assert [(x["price"], x["strength"]) for x in rows] == [(90.5, 8.0), (110.5, 4.0)]


def test_evidence_of_one_level_is_no_further_apart_than_two_rows_of_the_book_or_a_quarter_of_the_true_range():
    near = [wall(55, 90), wall(55, 92), depth(60), depth(62)]
    assert [x["price"] for x in _of(_run(near))] == [91.5]
    assert [x["price"] for x in _of(_run([x | {"bin_step": 0.5} if x["kind"] == "depth" else x for x in near]))] == [
        90.5, 92.5,
    ]  # fmt: skip
    far = [wall(55, 80), wall(55, 88), bar(1, 84, 116), depth(60), depth(62)]
    assert [x["price"] for x in _of(_run(far))] == [84.5]  # a range of 32
    assert [x["price"] for x in _of(_run([*far[:2], bar(1, 85, 116), *far[3:]]))] == [80.5, 88.5]


def test_a_wall_counts_while_it_stands_and_is_told_of():
    features = [
        wall(10, 90),
        wall(50, 110),
        wall(100, 110, ended="pulled"),
        depth(60),
        depth(120),
        depth(180),
    ]
    rows = _of(_run([*features, depth(182)]))
    assert [(x["time_ns"] - T0, x["price"]) for x in rows] == [(MINUTE_NS, 90.5), (MINUTE_NS, 110.5)]


def test_swings_of_bars_count_from_their_confirmation_on_and_fade():
    bars = [bar(i, 100 - abs(i - 6), 100.5 - abs(i - 6)) for i in range(1, 13)]
    rows = _of(_run([*bars, depth(720, 98.0), depth(722)]))
    assert {x["time_ns"] for x in rows} == {T0 + 11 * MINUTE_NS, T0 + 12 * MINUTE_NS}
    first, second = rows
    assert (first["price"], first["evidence_kind"], first["side"]) == (100.5, ("swing_high",), "resistance")
    assert first["evidence_ns"] == (T0 + 11 * MINUTE_NS,)
    # The bar opened 6 minutes before the first, and a half-life is 50 bars.
    assert first["strength"] == pytest.approx(3 * 2 ** (-6 / 50))
    assert second["strength"] == pytest.approx(3 * 2 ** (-7 / 50))


def test_longer_bars_weigh_more_and_other_lengths_nothing():
    def told(interval_s: int) -> list[float]:
        step = interval_s // 60
        bars = [bar(i * step, 0, 50 - abs(i - 6), interval_s=interval_s) for i in range(1, 12)]
        end = 11 * interval_s
        rows = _of(_run([*bars, depth(end, 45.0), depth(end + 2)]), minute=11 * step)
        return [round(x["strength"] * 2 ** (6 / 50)) for x in rows]

    assert [told(x) for x in (60, 300, 900, 3600, 14_400)] == [[3], [5], [8], [12], []]


def test_the_point_of_control_of_a_past_day_is_naked_until_its_row_trades():
    day = profile(0, 50.0, closed=True)
    rows = _of(_run([day, bar(1, 51, 60), bar(2, 52, 60), bar(3, 40, 50.5), bar(4, 60, 61), depth(242)]))
    kinds = [[kind for x in _of(rows, minute=i) for kind in x["evidence_kind"]] for i in (1, 2, 3, 4)]
    assert kinds == [["naked_poc", "poc"], ["naked_poc", "poc"], ["poc"], ["poc"]]
    session = _run([profile(0, 50.0, closed=True, span="london"), bar(1, 51, 60), depth(62)])
    assert [x["evidence_kind"] for x in _of(session)] == [("poc",)]


def test_a_venue_that_is_silent_is_left_out_and_named():
    features = [wall(55, 90), wall(20, 95, venue="w"), depth(29, venue="w"), depth(60), depth(62)]
    rows = _run(features)
    assert {x["venue"] for x in rows} == {"v", "all"}
    (row,) = _of(rows, "all")
    assert (row["venues"], row["stale_venues"], row["evidence_venue"]) == (("v",), ("w",), ("v",))
    row = _of(_run([*features, depth(30, venue="w")]), "all", 1)[-1]
    assert (row["venues"], row["stale_venues"]) == (("v", "w"), ())


def test_where_a_venue_turns_out_silent_what_was_told_of_it_is_taken_away():
    told = _run([wall(1, 90), depth(1), depth(62)])
    assert {x["venue"] for x in told} == {"v", "all"}
    belated = _run([wall(1, 90), depth(1), depth(62), profile(1, 90.0, "w")])
    assert _final(belated) == _final(_run([wall(1, 90), depth(1), profile(1, 90.0, "w"), depth(62)])) == {}


def test_all_venues_share_evidence_the_median_price_and_the_widest_gap():
    features = [
        wall(55, 90), wall(55, 94, venue="w"), depth(60, 93.0), depth(60, 91.0, venue="w", bin_step=2.0), depth(62),
    ]  # fmt: skip
    (row,) = _of(_run(features), "all")
    assert (row["price"], row["last_price"], row["side"]) == (92.5, 92.0, "resistance")
    assert row["evidence_venue"] == ("v", "w") and row["strength"] == 20.0


def test_the_price_is_the_newer_of_book_and_last_trade():
    (row,) = _of(_run([wall(55, 90), bar(1, 80, 90), depth(30, 100.0), depth(62, 1.0)]))
    assert row["last_price"] == 85.0
    (row,) = _of(_run([wall(55, 90), bar(1, 80, 90), depth(60, 100.0), depth(62, 1.0)]))
    assert row["last_price"] == 100.0
    assert (
        _of(_run([wall(55, 90), depth(60, None), depth(62, None)])) == []
    )  # without a price there are no sides


def test_what_comes_late_corrects_its_minute_and_takes_levels_away():
    kernel = LevelsKernel(0)
    told = _run([wall(55, 90), depth(60), depth(62)], kernel=kernel)
    late = _run([wall(58, 90, ended="traded"), wall(57, 70)], kernel=kernel)
    assert [(x["price"], x["removed"]) for x in _of(late)] == [(70.5, 0), (90.5, 1)]
    assert [key[3] for key in _final(told + late)] == [70.5, 70.5]
    assert all(x["version"] >= told[0]["version"] for x in late)
    assert _run([wall(57, 70)], kernel=kernel) == []  # nothing new


def test_a_wall_that_left_the_book_has_no_size_to_tell_and_ends():
    left = wall(58, 90, ended="left") | {"weighted_size": None, "threshold": None}
    kernel = LevelsKernel(0)
    assert [
        x["price"] for x in _of(_run([wall(55, 90), wall(55, 80), left, depth(60), depth(62)], kernel=kernel))
    ] == [80.5]
    assert kernel.counts["dead_letters"] == 0


def test_what_is_no_feature_is_set_aside_and_the_rest_counts():
    kernel = LevelsKernel(0)
    lame = wall(55, 80)
    del lame["threshold"]
    body = msgspec.msgpack.encode([wall(55, 90), lame, {"kind": "wall"}, {}, depth(60), depth(62)])
    records = [Record(b"k", 7, body), Record(b"k", 8, b"\xc1"), Record(b"k", 9, msgspec.msgpack.encode(1))]
    blocks = kernel.on_records(records)
    (letters,) = [x for x in blocks if x.table == "dead_letters"]
    told = list(zip(letters.columns["offset"], letters.columns["position"], strict=True))
    assert sorted(told) == [(7, 1), (7, 2), (7, 3), (8, 0), (9, 0)]
    assert tuple(letters.columns) == TABLE_COLUMNS["dead_letters"]
    assert [x["price"] for x in _of(_rows(blocks))] == [90.5]


def test_its_own_rows_and_kinds_that_tell_no_level_do_not_move_it():
    kernel = LevelsKernel(0)
    told = _run([wall(55, 90), depth(60), depth(62)], kernel=kernel)
    others = [row | {"kind": "level", "last_price": None} for row in told]
    others += [_feature("liquidation", T0 + 9 * MINUTE_NS, time_ns=T0 + 9 * MINUTE_NS)]
    state = kernel.dump()
    assert kernel.on_records(_records(others)) == [] and kernel.dump() == state


def test_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 1, found 0"):
        LevelsKernel(0).load(msgspec.msgpack.encode((0, 1)))


VENUES = st.sampled_from("vw")
MINUTES = st.integers(1, 16)
FEATURES = st.one_of(
    st.builds(depth, st.integers(1, 960), st.integers(95, 105), VENUES),
    st.builds(
        lambda s, row, ended, v: wall(s, row, 1.0, ended, v), st.integers(1, 960), st.integers(90, 110),
        st.sampled_from(["", "", "left"]), VENUES,
    ),
    st.builds(
        lambda m, poc, closed, v: profile(m, poc, v, closed=closed, hvn=[poc + 3]), MINUTES, st.integers(90, 110),
        st.booleans(), VENUES,
    ),
    st.builds(
        lambda m, low, span, v: bar(m, low, low + span, v), MINUTES, st.integers(90, 110), st.integers(0, 4), VENUES,
    ),
)  # fmt: skip


def _unlike(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that say different things of one key at one time: no flow tells such."""
    names = ("kind", "venue", "time_ns", "open_ns", "span", "price_row")
    return list({tuple(x.get(name) for name in names): x for x in features}.values())


SERIES = st.lists(FEATURES, min_size=10, max_size=60).map(_unlike)


@given(SERIES, st.randoms())
@settings(max_examples=100)
def test_the_table_does_not_depend_on_the_order_of_what_is_told(features, random):
    features.sort(key=lambda x: x["version"])
    shuffled = list(features)
    random.shuffle(shuffled)
    expected = _final(_run(features))
    assert _final(_run(shuffled)) == expected


@given(SERIES, st.integers(1, 16))
@settings(max_examples=60)
def test_what_is_known_later_changes_no_minute_before(features, minute):
    end_ns = T0 + minute * MINUTE_NS
    past = [x for x in features if x["version"] - LAG_NS <= end_ns]
    # Something that closes the last minute, and moves nothing else.
    clock = depth(minute * 60 + 2, None, "clock")
    found = _final(_run([*past, clock]))
    expected = _final(_run([*features, clock, depth(962, None, "clock")]))
    assert found == {key: row for key, row in expected.items() if key[2] <= end_ns}


@given(SERIES, st.integers(0, 60), st.lists(st.integers(0, 60), max_size=3))
@settings(max_examples=60)
def test_rows_are_the_same_after_a_restart_and_however_records_are_grouped(features, at, cuts):
    expected = _run(features)
    first, second = LevelsKernel(0), LevelsKernel(0)
    told = _run(features[:at], flush=False, kernel=first)
    second.load(first.dump())
    assert repr(told + _run(features[at:], kernel=second)) == repr(expected)
    grouped, kernel = [], LevelsKernel(0)
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(features)], strict=True):
        grouped += _run(features[low:high], flush=False, kernel=kernel)
    assert repr(grouped + _rows(kernel.flush())) == repr(expected)
    assert not any(math.isnan(x["strength"]) for x in expected)


def test_many_instruments_are_kept_for_fewer_minutes(monkeypatch):
    monkeypatch.setattr("flows.kernels.levels.ROWS_MAX", 50)
    kernel = LevelsKernel(0)
    for minute in range(1, 600):
        kernel.on_records(_records([wall(minute * 60 - 1, 90), depth(minute * 60), depth(minute * 60 + 2)]))
    assert len(kernel.dump()) < 30_000
    told = _run([wall(90, 80)], kernel=kernel)
    assert {(x["time_ns"] - T0) // MINUTE_NS for x in told} == set(range(584, 600))


@pytest.mark.parametrize(
    "change",
    [{"time_ns": 2**64 - 1}, {"time_ns": T0 + DAY_NS}, {"version": 2**64 - 1}, {"received_ns": -1}],
)
def test_a_time_that_cannot_be_is_set_aside(change: dict[str, int]) -> None:
    good = [depth(1), wall(10, 90), depth(63)]
    expected = _rows(LevelsKernel(0).on_records(_records(good)))
    assert expected
    kernel = LevelsKernel(0)
    blocks = kernel.on_records(_records([good[0], depth(2) | change, *good[1:]]))
    assert _rows(blocks) == expected
    assert kernel.summary()["dead_letters"] == 1
    LevelsKernel(0).load(kernel.dump())
