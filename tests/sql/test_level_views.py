"""The views of profiles, large trades, walls and levels: newest versions, what is now, what is left out."""

import math
import re
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
import pytest

from sql.client import Store
from sql.migrate import FOLDER, migrations
from tests.sql.tape import LARGE, LEVEL, NOW_NS, PROFILE, SECOND_NS, WALL, put
from tests.sql.test_tape_views import random_trades, store_tape

DAY_NS = 86_400 * SECOND_NS
NAMES = (f"LEVEL-{i}" for i in count())
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "views").glob("*.sql"))}
TAPE_FILES = [
    FILES[name] for name in FILES
    if name[:4] in ("0005", "0021", "0022", "0023", "0024", "0025", "0026", "0027", "0028", "0030")
]  # fmt: skip
EVENT = {
    "kind": "pull",
    "side": "bid",
    "price": 1.0,
    "size": 2.0,
    "before": 3.0,
    "after": 1.0,
    "traded": 0.0,
    "count": 0,
    "age_s": 9.0,
}


def session(name: str, days_ago: int, **changes: Any) -> dict[str, Any]:
    open_ns = NOW_NS // DAY_NS * DAY_NS - days_ago * DAY_NS
    return {"instrument": name, "open_ns": open_ns, "time_ns": open_ns + DAY_NS} | changes


def test_profiles_are_in_base_currency_and_now_is_the_newest(writer: Store, analyst: Store) -> None:
    name = next(NAMES)
    opened = {"instrument": name, "open_ns": NOW_NS - 7200 * SECOND_NS}
    minutes = [opened | {"time_ns": NOW_NS - s * SECOND_NS, "poc": 100.0 + s} for s in (120, 60, 0)]
    put(writer, "profiles", PROFILE, minutes)
    put(writer, "profiles", PROFILE, [minutes[1] | {"poc": 7.0}], version=2)
    put(writer, "profiles", PROFILE, [minutes[0] | {"span": "london"}])
    put(writer, "profiles", PROFILE, [minutes[0] | {"venue": "gone", "time_ns": NOW_NS - 8 * DAY_NS}])
    asked = "SELECT span, toUnixTimestamp(time), poc, buy, sell, unknown, delta, total, poc_total FROM market"
    rest = (3.0, 1.0, 0.5, 2.0, 4.5, 2.0)
    history = writer.query(
        f"{asked}.profile_history WHERE instrument = '{name}' AND venue = 'v' AND span = 'day' ORDER BY time"
    )
    now_s = NOW_NS // SECOND_NS
    assert history == [
        ("day", now_s - 120, 220.0, *rest),
        ("day", now_s - 60, 7.0, *rest),
        ("day", now_s, 100.0, *rest),
    ]
    found = analyst.query(f"{asked}.profiles_now WHERE instrument = '{name}' ORDER BY span")
    assert found == [("day", now_s, 100.0, *rest), ("london", now_s - 120, 220.0, *rest)]
    ((age_s,),) = analyst.query(
        f"SELECT max(age_s) - (now64(9) - toDateTime64({now_s}, 9)) FROM market.profiles_now WHERE instrument ="
        f" '{name}'"
    )
    assert float(age_s) == pytest.approx(0, abs=60)
    nodes = analyst.query(
        f"SELECT node, price FROM market.profile_nodes WHERE instrument = '{name}' AND span = 'london' ORDER BY price"
    )
    assert nodes == [("hvn", 100.0), ("lvn", 110.0), ("lvn", 120.0)]


@pytest.mark.parametrize(
    ("later", "naked"),
    [
        ([], True),
        ([(90.0, 99.9)], True),
        ([(110.0, 130.0)], True),
        ([(90.0, 100.0)], False),
        ([(109.9, 130.0)], False),
        ([(110.0, 130.0), (80.0, 99.0)], False),  # on both sides of it
        ([(80.0, 99.0), (70.0, 95.0)], True),
    ],
)
def test_a_poc_is_naked_until_a_later_session_trades_through_it(
    writer: Store, analyst: Store, later: list[tuple[float, float]], naked: bool
) -> None:
    name = next(NAMES)
    put(writer, "profiles", PROFILE, [session(name, 9)])
    for i, (low, high) in enumerate(later, 1):
        # Earlier minutes of a session have seen less of its range; the newest session has not closed.
        last = session(name, 9 - i, low=low, high=high, poc=1000.0, closed=np.bool_(i < len(later)))
        put(
            writer,
            "profiles",
            PROFILE,
            [last, last | {"time_ns": last["time_ns"] - DAY_NS // 2, "high": low}],
        )
    found = analyst.query(
        f"SELECT poc, days, total FROM market.naked_pocs WHERE instrument = '{name}' AND poc = 100"
    )
    assert found == ([(100.0, len(later), 4.5)] if naked else [])


def test_large_trades_once_and_the_newest_of_each_venue(writer: Store, analyst: Store) -> None:
    name = next(NAMES)
    rows = [
        {"instrument": name, "venue": venue, "time_ns": NOW_NS + i, "trade_id": i}
        for venue in "ab"
        for i in range(210)
    ]
    for _ in range(2):  # a replay
        put(writer, "large_trades", LARGE, rows)
    asked = f"FROM market.large_trades_history WHERE instrument = '{name}'"
    assert analyst.query(f"SELECT count(), min(value), max(prints) {asked}") == [(420, 700.0, 3)]
    newest = analyst.query(
        f"SELECT venue, count(), min(trade_id) FROM market.large_trades_recent WHERE instrument = '{name}' GROUP"
        f" BY 1 ORDER BY 1"
    )
    assert newest == [("a", 200, 10), ("b", 200, 10)]


def test_walls_now_stand_and_were_told_of_with_the_others(writer: Store, analyst: Store) -> None:
    name = next(NAMES)
    told = {"standing": (0, ""), "ended": (0, "pulled"), "cut off": (61, ""), "late": (59, "")}
    rows = [
        {
            "instrument": name, "price_row": i, "from_ns": NOW_NS - 600 * SECOND_NS,
            "known_ns": NOW_NS - 570 * SECOND_NS, "time_ns": NOW_NS - age * SECOND_NS, "ended": ended,
        }
        for i, (age, ended) in enumerate(told.values())
    ]  # fmt: skip
    put(writer, "walls", WALL, rows)
    put(writer, "walls", WALL, [rows[0] | {"size": 8.0}], version=2)
    columns = "price, size, lifetime_s, pull_share, ended"
    found = analyst.query(
        f"SELECT {columns} FROM market.walls_now WHERE instrument = '{name}' ORDER BY price"
    )
    assert found == [(0.0, 8.0, 600.0, 0.75, ""), (1.5, 5.0, 541.0, 0.75, "")]
    history = analyst.query(
        f"SELECT {columns} FROM market.walls_history WHERE instrument = '{name}' ORDER BY price"
    )
    assert [row[4] for row in history] == ["", "pulled", "", ""]
    put(writer, "walls", WALL, [rows[0] | {"traded": 0.0, "pulled": 0.0}], version=3)
    ((share,),) = analyst.query(
        f"SELECT pull_share FROM market.walls_now WHERE instrument = '{name}' AND price = 0"
    )
    assert math.isnan(share)


def test_liquidity_events(writer: Store, analyst: Store) -> None:
    name = next(NAMES)
    rows = [{"instrument": name, "time_ns": NOW_NS - i * SECOND_NS} for i in range(205)]
    for _ in range(2):  # a replay
        put(writer, "liquidity_events", EVENT, rows)
    where = f"WHERE instrument = '{name}'"
    assert analyst.query(f"SELECT count(), max(lifetime_s) FROM market.liquidity_events_history {where}") == [
        (205, 9.0)
    ]
    ((shown, first),) = analyst.query(
        f"SELECT count(), min(time) FROM market.liquidity_events_recent {where}"
    )
    assert shown == 200
    assert first.astimezone(UTC) == datetime.fromtimestamp(NOW_NS // SECOND_NS - 199, UTC)


def test_levels_now_are_the_newest_minute_with_its_evidence_in_words(writer: Store, analyst: Store) -> None:
    name = next(NAMES)
    rows = [
        {"instrument": name, "venue": venue, "time_ns": NOW_NS - age * SECOND_NS, "price": price}
        for venue, age, price in [("a", 60, 90.0), ("a", 0, 100.0), ("a", 0, 110.0), ("all", 60, 95.0)]
    ]
    put(writer, "levels", LEVEL, rows)
    found = analyst.query(
        "SELECT venue, price, distance_bps, evidence, venues, stale_venues FROM market.levels_now"
        f" WHERE instrument = '{name}' ORDER BY venue, price"
    )
    assert [row[:2] for row in found] == [("a", 100.0), ("a", 110.0), ("all", 95.0)]
    assert found[0][2] == pytest.approx(-2000)
    assert found[0][3] == "wall 101 b 25, poc 99 a 15"
    assert [list(part) for part in found[0][4:]] == [["a", "b"], ["c"]]
    assert analyst.query(f"SELECT count() FROM market.levels_history WHERE instrument = '{name}'") == [(4,)]
    evidence = analyst.query(
        "SELECT kind, evidence_venue, evidence_price, weight, toUnixTimestamp64Nano(known) FROM market.levels_evidence"
        f" WHERE instrument = '{name}' AND price = 110 ORDER BY kind"
    )
    assert evidence == [("poc", "a", 99.0, 15.04, NOW_NS), ("wall", "b", 101.0, 25.0, NOW_NS - SECOND_NS)]


def test_every_column_of_a_view_says_its_meaning_and_unit(analyst: Store) -> None:
    """From the text: of a view with parameters the engine tells none."""
    views = 0
    for text in TAPE_FILES:
        for head in re.findall(r"CREATE OR REPLACE VIEW market\.\S+\n\((.*?)\n\)\nAS ", text, re.S):
            views += 1
            for line in head.strip("\n").splitlines():
                assert re.fullmatch(r"    \S+ .+ COMMENT '(?:[^']|'')+ \([^()]+\)',?", line), line
    created = sum(text.count("CREATE OR REPLACE VIEW") for text in TAPE_FILES)
    assert views == created > 20
    found = analyst.query(
        "SELECT count() FROM system.columns WHERE database = 'market' AND table IN ('order_flow_bars', 'levels_now')"
        " AND NOT endsWith(comment, ')')"
    )
    assert found == [(0,)]


def test_numbers_of_files_are_told_once() -> None:
    versions = [migration.version for migration in migrations(access=True)]
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(
    "view",
    ["order_flow_bars", "footprint_cells_1m", "footprint_all_venues_1m", "profile_history", "levels_history"],
)
def test_a_view_reads_by_the_primary_key(analyst: Store, writer: Store, view: str) -> None:
    name = store_tape(writer, random_trades(9, 60, "v"))
    put(writer, "profiles", PROFILE, [session(name, 1)])
    put(writer, "levels", LEVEL, [{"instrument": name, "time_ns": NOW_NS, "price": 1.0}])
    plan = analyst.query_text(
        f"EXPLAIN indexes = 1 SELECT count() FROM market.{view}"
        f" WHERE instrument = '{name}' AND time < toDateTime(2000000000, 'UTC')",
        "TSVRaw",
    )
    keys = plan[plan.index("PrimaryKey") :].split("Condition")[0]
    assert "instrument" in keys
    assert "_ns" in keys


@pytest.mark.parametrize("view", ["time_and_sales", "large_trades_history", "liquidity_events_history"])
def test_rows_within_the_second_at_a_border_are_found(writer: Store, analyst: Store, view: str) -> None:
    """They would not be if the primary key were compared with a time in whole seconds."""
    within_ns = 1_795_000_000 * SECOND_NS + SECOND_NS // 5
    row = {"instrument": "BORDER", "time_ns": within_ns}
    put(writer, "large_trades", LARGE, [row | {"trade_id": 1}])
    put(writer, "liquidity_events", EVENT, [row])
    trade = {"price": 1.0, "size": 1.0, "side": "buy", "side_by": "told", "aggregated": np.bool_(False)}
    put(writer, "trades", trade, [row | {"trade_id": 1}])
    for condition in ("time > toDateTime(1795000000, 'UTC')", "time < toDateTime(1795000001, 'UTC')"):
        found = analyst.query(
            f"SELECT count() FROM market.{view} WHERE instrument = 'BORDER' AND {condition}"
        )
        assert found == [(1,)], condition
