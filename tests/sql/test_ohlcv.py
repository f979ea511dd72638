"""Bars by preference, against a dict that is filled in order of preference."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.client import Store

SOURCES = ["stream", "rest", "archive", "trades", "import", "prices", "of a later version"]
START_NS = 1_795_000_020 * 10**9
MINUTE_NS = 60 * 10**9
Bar = tuple[str, int, str, int, int, float]  # venue, interval, source, minute, version, close


def columns(instrument: str, rows: list[Bar]) -> dict[str, Any]:
    count = len(rows)
    return {
        "instrument": [instrument] * count,
        "venue": [x[0] for x in rows],
        "interval_s": np.array([x[1] for x in rows]),
        "source": [x[2] for x in rows],
        "open_ns": np.array([START_NS + x[3] * MINUTE_NS for x in rows]),
        **{name: np.ones(count) for name in ("open", "high", "low")},
        "close": np.array([x[5] for x in rows]),
        **dict.fromkeys(("volume", "quote_volume", "buy_volume"), np.full(count, math.nan)),
        "trades": [None] * count,
        "received_ns": np.ones(count, np.int64),
        "version": np.array([x[4] for x in rows]),
    }


BARS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([60, 300]),
        st.sampled_from(SOURCES),
        st.integers(-1, 3),
        st.integers(1, 3),
        st.integers(1, 99).map(float),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda x: x[:5],
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(BARS, st.integers(0, 3))
def test_a_bar_is_that_of_the_preferred_source_in_its_newest_version(
    writer: Store, analyst: Store, rows: list[Bar], first: int
) -> None:
    instrument = f"PREFERRED-{abs(hash(repr((rows, first))))}"
    for begin in range(0, len(rows), 7):  # in several parts, as inserts come
        writer.insert("bars", columns(instrument, rows[begin : begin + 7]))
    found = analyst.query(
        "SELECT venue, interval_s, toUnixTimestamp64Nano(time), source, close FROM market.ohlcv WHERE"
        " instrument = {i:String}",
        {"i": instrument},
    )
    expected: dict[tuple[str, int, int], tuple[str, float]] = {}
    for venue, interval_s, source, minute, _, close in sorted(
        rows, key=lambda x: (-SOURCES.index(x[2]), x[4])
    ):
        expected[venue, interval_s, START_NS + minute * MINUTE_NS] = (source, close)
    assert {tuple(x[:3]): tuple(x[3:]) for x in found} == expected
    assert len(found) == len(expected)
    # What is asked of the view is asked of the bars it picks, whatever part of that can be looked up in the table.
    later = START_NS + first * MINUTE_NS
    some = analyst.query(
        "SELECT toUnixTimestamp64Nano(time) FROM market.ohlcv WHERE instrument = {i:String} AND source = 'rest' AND"
        " time >= fromUnixTimestamp64Nano({t:Int64}, 'UTC')",
        {"i": instrument, "t": later},
    )
    assert sorted(x for (x,) in some) == sorted(
        time_ns for (_, _, time_ns), (source, _) in expected.items() if source == "rest" and time_ns >= later
    )


@pytest.mark.parametrize(
    "open_ns", [-20_000 * 86_400 * 10**9, -1, 0, START_NS + 1, 4_000_000_000 * 10**9 + 7]
)
def test_open_times_are_exact_whenever(writer: Store, analyst: Store, open_ns: int) -> None:
    row = columns("TIMES", [("v", 1, "rest", 0, 1, 1.0)]) | {"open_ns": np.array([open_ns])}
    writer.insert("bars", row)
    found = analyst.query("SELECT toUnixTimestamp64Nano(time) FROM market.ohlcv WHERE instrument = 'TIMES'")
    assert (open_ns,) in found


def test_the_order_of_sources_is_told(analyst: Store) -> None:
    (comment,) = analyst.query(
        "SELECT comment FROM system.columns WHERE database = 'market' AND table = 'ohlcv' AND name = 'source'"
    )
    assert ", ".join(SOURCES[:-1]) in comment[0]


def test_a_span_of_bars_is_looked_up_by_the_primary_key(writer: Store, analyst: Store) -> None:
    rows = [("v", 60, source, minute, 1, 1.0) for source in ("stream", "import") for minute in range(40_000)]
    writer.insert("bars", columns("LONG", rows))
    plan = analyst.query_text(
        "EXPLAIN indexes = 1 SELECT count() FROM market.ohlcv WHERE instrument = 'LONG' AND interval_s = 60 AND"
        f" time >= fromUnixTimestamp64Nano({START_NS + 39_000 * MINUTE_NS}, 'UTC')",
        "TSVRaw",
    )
    key = plan[plan.index("PrimaryKey") :]
    assert "open_ns" in key.split("Condition")[0]
