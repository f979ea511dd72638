"""Views of liquidations and derivatives against sums and look-ups in plain Python."""

import math
import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.kernels.block import Block
from flows.kernels.derivatives import TABLE_COLUMNS
from flows.runtime.progress import Progress
from flows.runtime.sink import insert
from sql.client import Store

S = 10**9
HOUR = 3600 * S
START_NS = 1_795_000_020 * S


def store(writer: Store, table: str, rows: list[tuple[Any, ...]]) -> None:
    names = TABLE_COLUMNS[table]
    assert all(len(row) == len(names) for row in rows)
    for _ in range(2):  # a replay
        insert(writer, [Block.of(table, names, rows)], Progress())


def test_the_columns_of_the_kernel_are_those_of_the_tables(writer: Store) -> None:
    for table, names in TABLE_COLUMNS.items():
        found = writer.query(
            f"SELECT name FROM system.columns WHERE database = 'market' AND table = '{table}' ORDER BY position"
        )
        assert [name for (name,) in found] == list(names), table


# Liquidations.

FORCED = st.lists(
    st.tuples(
        st.sampled_from(["sampled", "whole"]),
        st.integers(0, 150),
        st.sampled_from(["long", "short"]),
        st.integers(1, 5),
        st.integers(1, 4),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(FORCED)
def test_minutes_are_the_sums_of_their_liquidations_each_counted_once(
    writer: Store, analyst: Store, told: list[tuple[str, int, str, int, int, int]]
) -> None:
    instrument = f"FORCED-{abs(hash(repr(told)))}"
    store(
        writer,
        "liquidations",
        [
            (
                instrument,
                venue,
                START_NS + second * S,
                side,
                float(price),
                float(size),
                ordinal,
                venue == "whole",
                1,
                i,
            )
            for i, (venue, second, side, price, size, ordinal) in enumerate(told)
        ],
    )
    minutes: dict[tuple[str, int], list[tuple[str, int, int]]] = defaultdict(list)
    for venue, second, side, price, size, _ in set(told):
        time_s = START_NS // S + second
        minutes[venue, time_s - time_s % 60].append((side, price, size))
    found = analyst.query(
        "SELECT venue, toUInt32(time), longs, shorts, long_size, short_size, long_value, short_value, largest_value,"
        " complete FROM market.liquidations_1m WHERE instrument = {i:String}",
        {"i": instrument},
    )
    assert {tuple(x[:2]) for x in found} == set(minutes)
    for venue, minute, *numbers, complete in found:
        of = {side: [x for x in minutes[venue, minute] if x[0] == side] for side in ("long", "short")}
        expected = [
            *(len(x) for x in of.values()),
            *(sum(size for _, _, size in x) for x in of.values()),
            *(sum(price * size for _, price, size in x) for x in of.values()),
            max(price * size for _, price, size in minutes[venue, minute]),
        ]
        assert numbers == expected
        assert complete == (venue == "whole")
    orders = analyst.query(
        "SELECT venue, toUnixTimestamp64Nano(time), liquidated_side, price, size, value FROM market.liquidation_orders"
        " WHERE instrument = {i:String}",
        {"i": instrument},
    )
    assert sorted(orders) == sorted(
        (venue, START_NS + second * S, side, price, size, price * size)
        for venue, second, side, price, size, _ in set(told)
    )


def test_recent_liquidations_are_those_of_a_day_newest_first(writer: Store, analyst: Store) -> None:
    now_ns = time.time_ns()
    ages_h = [30, 2, 1, 23, 25]
    rows = [("RECENT", "v", now_ns - h * HOUR, "long", 2.0, float(h), 0, False, 1, 1) for h in ages_h]
    store(writer, "liquidations", rows)
    found = analyst.query(
        "SELECT size, age_s, value FROM market.liquidations_recent WHERE instrument = 'RECENT'"
    )
    assert [size for size, _, _ in found] == [1.0, 2.0, 23.0]
    assert all(age_s >= size * 3600 and value == 2 * size for size, age_s, value in found)


@pytest.mark.parametrize("view", ["liquidation_orders", "derivative_prices"])
def test_rows_within_the_second_at_a_border_are_found(writer: Store, analyst: Store, view: str) -> None:
    within_ns = 1_795_000_000 * S + S // 5
    store(writer, "liquidations", [("BORDER", "v", within_ns, "long", 1.0, 1.0, 0, True, 1, 1)])
    store(writer, "derivatives", [("BORDER", "v", within_ns, *[math.nan] * 3, None, math.nan, 1, 1)])
    for condition in ("time > toDateTime(1795000000, 'UTC')", "time < toDateTime(1795000001, 'UTC')"):
        found = analyst.query(
            f"SELECT count() FROM market.{view} WHERE instrument = 'BORDER' AND {condition}"
        )
        assert found == [(1,)], condition


# Derivatives as they are.

NUMBERS = ("mark", "index", "funding_rate", "open_interest")
TOLD = st.lists(
    st.tuples(
        st.integers(0, 8 * 24 * 12),  # age, 5 min
        st.tuples(*[st.sampled_from([math.nan, 0.5, 2.0, 4.0])] * 4),
        st.sampled_from([None, 8, 16, 24, 28]),  # hours after START_NS of the next funding
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda x: x[0],
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(TOLD)
def test_each_column_is_what_was_told_of_it_last(
    writer: Store, analyst: Store, told: list[tuple[int, tuple[float, ...], int | None]]
) -> None:
    instrument, now_ns = f"NOW-{abs(hash(repr(told)))}", time.time_ns() - 60 * S
    at = [(now_ns - steps * 300 * S, numbers, hours) for steps, numbers, hours in told]
    store(
        writer,
        "derivatives",
        [
            (instrument, "v", time_ns, *numbers[:3], None if hours is None else START_NS + hours * HOUR, numbers[3],
             time_ns, time_ns)
            for time_ns, numbers, hours in at
        ],
    )  # fmt: skip
    # Ages are a minute more than a multiple of 5: at no border, however long this takes.
    recent = sorted(x for x in at if x[0] > now_ns + 60 * S - 7 * 24 * HOUR)
    found = analyst.query_df(f"SELECT * FROM market.derivatives_now WHERE instrument = '{instrument}'")
    assert len(found) == bool(recent)
    if not recent:
        return
    row = found.iloc[0]
    last: dict[str, tuple[int, float]] = {}
    for time_ns, numbers, _ in recent:
        last |= {name: (time_ns, x) for name, x in zip(NUMBERS, numbers, strict=True) if not math.isnan(x)}
    for name in NUMBERS:
        assert row[name] == pytest.approx(last.get(name, (0, math.nan))[1], nan_ok=True), name
    assert row["time"].value == recent[-1][0]
    assert row["age_s"] >= (now_ns + 60 * S - recent[-1][0]) / S
    fundings = sorted({hours for *_, hours in recent if hours is not None})
    interval_h = min((b - a for a, b in pairwise(fundings)), default=8)
    assert row["funding_interval_h"] == interval_h
    rate = last.get("funding_rate", (0, math.nan))
    assert row["funding_bps"] == pytest.approx(rate[1] * 1e4, nan_ok=True)
    assert row["funding_annual_pct"] == pytest.approx(100 * rate[1] * 8760 / interval_h, nan_ok=True)
    newest = [hours for *_, hours in recent if hours is not None]
    if newest:
        assert row["next_funding"].value == START_NS + newest[-1] * HOUR
    mark, index = (last.get(x, (0, math.nan))[1] for x in ("mark", "index"))
    assert row["premium_bps"] == pytest.approx(1e4 * (mark / index - 1), nan_ok=True)
    held_ns, held = last.get("open_interest", (0, math.nan))
    assert row["open_interest_value"] == pytest.approx(held * mark, nan_ok=True)
    for column, span_h in (("open_interest_change_1h_pct", 1), ("open_interest_change_24h_pct", 24)):
        before = [
            (time_ns, x) for time_ns, (*_, x), _ in recent
            if not math.isnan(x) and 0 <= now_ns + 60 * S - span_h * HOUR - time_ns <= 900 * S
        ]  # fmt: skip
        there = before and held_ns > now_ns + 60 * S - 900 * S
        expected = 100 * (held / max(before)[1] - 1) if there else math.nan
        assert row[column] == pytest.approx(expected, nan_ok=True), column


def test_streams_and_polls_of_one_instrument_complete_each_other(writer: Store, analyst: Store) -> None:
    now_ns, nan = time.time_ns(), math.nan
    rows = [
        ("BOTH", "v", now_ns - 30 * S, 10.0, 9.99, 0.0001, now_ns + HOUR, nan, now_ns, now_ns),
        ("BOTH", "v", now_ns - 20 * S, nan, nan, nan, None, 500.0, now_ns, now_ns),
        ("BOTH", "v", now_ns - 10 * S, 11.0, 10.0, 0.0002, now_ns + HOUR, nan, now_ns, now_ns),
        ("BOTH", "w", now_ns, nan, nan, nan, None, 0.0, now_ns, now_ns),
    ]
    store(writer, "derivatives", rows)
    found = analyst.query(
        "SELECT venue, mark, funding_rate, open_interest, open_interest_value, isNull(next_funding),"
        " isNull(funding_time) FROM market.derivatives_now WHERE instrument = 'BOTH' ORDER BY venue"
    )
    assert found[0] == ("v", 11.0, 0.0002, 500.0, 5500.0, 0, 0)
    assert found[1][0] == "w"
    assert np.isnan(found[1][1]) and np.isnan(found[1][2])
    assert found[1][3] == 0.0
    assert found[1][5:] == (1, 1)
