"""The views of the tape against what plain Python and the kernels make of the same trades."""

import math
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.kernels.order_flow import SIZE_EDGES
from flows.kernels.profile import point_of_control, value_area
from flows.kernels.sessions import asset_class, day_open_ns
from sql.client import Store, connect
from sql.data_dir import embedded_store
from sql.migrate import FOLDER
from tests.sql.tape import EDGES, SECOND_NS, Trade, bars, footprints, lots, order_flow

START_S = 1_795_392_000  # 2026-11-23 00:00 UTC
STEP = 10.0
INTERVALS = (1, 60, 300, 3600)
NAMES = (f"TAPE-{i}" for i in count())


@pytest.fixture(scope="session")
def loose_writer(data_dir: Path) -> Iterator[Store]:
    """The writer, for tests that hypothesis repeats."""
    store = connect(*embedded_store(data_dir, "writer"), retry_s=0)
    yield store
    store.close()


def at(second: float) -> int:
    return START_S * SECOND_NS + round(second * SECOND_NS)


def iso(second: float) -> str:
    return f"{datetime.fromtimestamp(START_S + second, UTC):%Y-%m-%d %H:%M:%S}"


def store_tape(store: Store, trades: list[Trade], end_s: float = math.inf) -> str:
    """Store what the tape flow makes of the trades, as far as bars have closed by `end_s`; the instrument."""
    name = next(NAMES)
    for interval_s in INTERVALS:
        if done := closed(trades, interval_s, end_s):
            store.insert("order_flow", order_flow(name, done, interval_s))
    for interval_s in (10, 60, 3600):
        if done := closed(trades, interval_s, end_s):
            store.insert("footprints", footprints(name, done, interval_s, STEP))
    return name


def closed(trades: list[Trade], interval_s: int, end_s: float) -> list[Trade]:
    if math.isinf(end_s):
        return trades
    end_ns = at(end_s) // (interval_s * SECOND_NS) * interval_s * SECOND_NS
    return [trade for trade in trades if trade.time_ns < end_ns]


def random_trades(seed: int, seconds: int, venues: str = "ab", every_s: float = 3.0) -> list[Trade]:
    """A random walk on each venue; venues differ in the digits of their sizes."""
    chance = random.Random(seed)
    trades = []
    for decimals, venue in enumerate(venues, 2):
        price, second = 64_000.0, 0.0
        while (second := second + chance.expovariate(1 / every_s)) < seconds:
            price += chance.choice([-7, -2, 0, 0, 2, 7])
            side = chance.choice(["buy", "sell", "buy", "sell", "unknown"])
            trades.append(Trade(venue, at(second), price, chance.randrange(1, 900), side, decimals))
    return trades


def ask(store: Store, view: str, columns: str, **chosen: object) -> list[tuple[Any, ...]]:
    """Rows of a parameterised view, ordered by the first column."""
    given = ", ".join(f"{name} = {value!r}" for name, value in chosen.items())
    return store.query(f"SELECT {columns} FROM market.{view}({given}) ORDER BY 1")


def dense(rows: dict[int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    low = min(rows)
    volumes = np.zeros(max(rows) - low + 1, np.int64)
    for row, volume in rows.items():
        volumes[row - low] = volume
    return volumes


def test_order_flow_bars_are_the_trades_in_base_currency(writer: Store, analyst: Store) -> None:
    trades = random_trades(1, 600)
    name = store_tape(writer, trades)
    writer.insert("order_flow", order_flow(name, trades, 60, version=2, whole=False))  # corrected
    found = analyst.query(
        "SELECT venue, toUnixTimestamp(time), whole, open, high, low, close, volume, quote_volume, vwap, trades, buy,"
        " sell, unknown, delta, delta_share, delta_min, delta_max FROM market.order_flow_bars"
        f" WHERE instrument = '{name}' AND interval_s = 60 ORDER BY venue, time"
    )
    made = bars(trades, 60)
    assert [(venue, second * SECOND_NS) for venue, second, *_ in found] == list(made)
    for row, bar in zip(found, made.values(), strict=True):
        unit, prices = 10 ** bar[0].decimals, [trade.price for trade in bar]
        buy, sell, unknown = (lots(bar, side) for side in ("buy", "sell", "unknown"))
        value = math.fsum(trade.value for trade in bar)
        running = list(
            accumulate((t.lots * ((t.side == "buy") - (t.side == "sell")) for t in bar), initial=0)
        )
        volume = buy + sell + unknown
        assert row[2:9] == (0, prices[0], max(prices), min(prices), prices[-1], volume / unit, value)
        assert row[9] == pytest.approx(value / (volume / unit))
        assert row[10:15] == (len(bar), buy / unit, sell / unit, unknown / unit, (buy - sell) / unit)
        assert row[15:] == pytest.approx(((buy - sell) / volume, min(running) / unit, max(running) / unit))


def test_cvd_of_any_range_begins_where_the_session_does(writer: Store, analyst: Store) -> None:
    trades = random_trades(2, 2 * 86_400, "a", every_s=600)
    name = store_tape(writer, trades)
    whole = ask(
        analyst,
        "cvd",
        "time, cvd, cvd_small + cvd_medium + cvd_large + cvd_whale, delta, session_open",
        instrument=name,
        venue="a",
        interval_s=60,
        from_time=iso(0),
        to_time=iso(2 * 86_400),
    )
    made = bars(trades, 60)
    assert len(whole) == len(made)
    running = {0: 0, 1: 0}
    for row, ((_, open_ns), bar) in zip(whole, made.items(), strict=True):
        day = (open_ns // SECOND_NS - START_S) // 86_400
        running[day] += lots(bar, "buy") - lots(bar, "sell")
        assert row[1] == running[day] / 100
        assert row[1] == pytest.approx(row[2])
        assert row[4].astimezone(UTC) == datetime.fromtimestamp(START_S + day * 86_400, UTC)
    hour = ask(
        analyst,
        "cvd",
        "time, cvd",
        instrument=name,
        venue="a",
        interval_s=60,
        from_time=iso(90_000),
        to_time=iso(93_600),
    )
    asked = {row[0]: row[1] for row in whole if 90_000 <= row[0].timestamp() - START_S < 93_600}
    assert dict(hour) == asked
    assert asked


def test_cvd_by_size_is_that_of_the_trades_of_the_size(writer: Store, analyst: Store) -> None:
    sizes = [1, 2, 15, 16, 156, 157, 1562, 1563]  # thousandths at 64,000: around the borders
    trades = [Trade("a", at(i), 64_000.0, size, "buy") for i, size in enumerate(sizes)]
    trades.append(Trade("a", at(9), 64_000.0, 157, "sell"))
    name = store_tape(writer, trades)
    ((_, *found),) = ask(
        analyst,
        "cvd",
        "time, cvd_small, cvd_medium, cvd_large, cvd_whale",
        instrument=name,
        venue="a",
        interval_s=60,
        from_time=iso(0),
        to_time=iso(60),
    )
    values = [[t.lots * (1 if t.side == "buy" else -1) for t in trades if low <= t.value < high]
              for low, high in ((0, 1e3), (1e3, 1e4), (1e4, 1e5), (1e5, math.inf))]  # fmt: skip
    assert found == [sum(group) / 1000 for group in values]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["BTC-USDT", "EUR-USD", "XAU-USD", "USD-JPY-PERP", "BTC-EUR", "USDT-USD", "eur/gbp", "EUR-USDT"]),
    st.integers(1_600_000_000, 1_900_000_000),
)  # fmt: skip
def test_the_session_is_the_day_of_the_kernel(data_dir: Path, instrument: str, second: int) -> None:
    store = connect(*embedded_store(data_dir, "analyst"), retry_s=0)
    moment = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"
    ((opened, forex),) = ask(store, "session_open", "session_open, forex", instrument=instrument, at=moment)
    store.close()
    assert forex == (asset_class(instrument) == "forex")
    assert round(opened.timestamp()) * SECOND_NS == day_open_ns(asset_class(instrument), second * SECOND_NS)


def test_the_currencies_of_the_session_are_those_of_the_kernel(analyst: Store) -> None:
    text = (FOLDER / "views/0023_cvd.sql").read_text(encoding="utf-8")
    here = re.findall(r"\(([A-Z]{3}(?:\|[A-Z]{3})+)\)", text)
    assert here
    codes = set(here[0].split("|"))
    assert all(set(found.split("|")) == codes for found in here)
    every = [a + b + c for a in ALPHABET for b in ALPHABET for c in ALPHABET]
    assert codes == {code for code in every if asset_class(f"{code}-USD") == "forex"}


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_forex_sessions_of_cvd_begin_at_five_in_new_york(writer: Store, analyst: Store) -> None:
    # 2026-11-23 22:00 UTC is 17:00 there.
    trades = [Trade("a", at(22 * 3600 + s), 1.1, 5, "buy") for s in (-3, -2, 1, 2)]
    for interval_s in (1, 60):
        writer.insert("order_flow", order_flow("GBP-CHF", trades, interval_s))
    found = ask(analyst, "cvd", "time, cvd, session_open", instrument="GBP-CHF", venue="a", interval_s=1,
                from_time=iso(21 * 3600), to_time=iso(23 * 3600))  # fmt: skip
    assert [row[1] for row in found] == [0.005, 0.01, 0.005, 0.01]
    assert [round(row[2].timestamp()) - START_S for row in found] == [-2 * 3600] * 2 + [22 * 3600] * 2


def test_cvd_of_all_venues_leaves_out_who_went_silent_and_says_so(writer: Store, analyst: Store) -> None:
    trades = [t for t in random_trades(3, 7200, "abc", every_s=20) if t.venue != "c" or t.time_ns < at(3600)]
    name = store_tape(writer, trades)
    columns = "time, cvd, venues, weights, stale_venues, cvd_small + cvd_medium + cvd_large + cvd_whale"
    found = ask(analyst, "cvd_all_venues", columns, instrument=name, interval_s=60,
                from_time=iso(6000), to_time=iso(7200))  # fmt: skip
    alive = [t for t in trades if t.venue != "c"]
    signed = [(t.time_ns, t.size * ((t.side == "buy") - (t.side == "sell"))) for t in alive]
    assert len(found) == len({t.time_ns // (60 * SECOND_NS) for t in alive if t.time_ns >= at(6000)})
    for time, cvd, venues, weights, stale, by_size in found:
        end_ns = round(time.timestamp() + 60) * SECOND_NS
        assert cvd == pytest.approx(math.fsum(x for ns, x in signed if ns < end_ns))
        assert by_size == pytest.approx(cvd)
        assert (list(venues), list(stale)) == (["a", "b"], ["c"])
        volumes = [math.fsum(t.size for t in alive if t.venue == venue) for venue in "ab"]
        assert list(weights) == pytest.approx([volume / sum(volumes) for volume in volumes])
    (before,) = ask(analyst, "cvd_all_venues", "any(venues), any(stale_venues)", instrument=name, interval_s=60,
                    from_time=iso(3000), to_time=iso(3600))  # fmt: skip
    assert [list(part) for part in before] == [["a", "b", "c"], []]


def test_venue_shares_say_who_is_stale_and_why(writer: Store, analyst: Store) -> None:
    trades = [t for t in random_trades(4, 3600, "ab", every_s=20) if t.venue == "a" or t.time_ns < at(1800)]
    name = store_tape(writer, trades)
    found = ask(analyst, "venue_shares", "venue, volume, volume_share, isNaN(depth), stale, reason",
                instrument=name, from_time=iso(0), to_time=iso(3600))  # fmt: skip
    sums = {venue: math.fsum(t.size for t in trades if t.venue == venue) for venue in "ab"}
    assert [row[1] for row in found] == pytest.approx(list(sums.values()))
    assert (found[0][2], found[0][3:5], found[0][5]) == (1.0, (1, 0), "")
    assert math.isnan(found[1][2])
    assert found[1][4]
    assert re.fullmatch(r"no trade and no book for 1\d{3} s while other venues had some", found[1][5])


def test_venue_weights_are_those_of_the_last_hour(writer: Store, analyst: Store) -> None:
    name, now_ns = next(NAMES), round(datetime.now(UTC).timestamp()) * SECOND_NS
    minutes = {"a": (90, 30, 1), "b": (30, 1), "gone": (50, 10)}
    trades = [
        Trade(venue, now_ns - minute * 60 * SECOND_NS, 100.0, 1000, "buy")
        for venue, all_of in minutes.items()
        for minute in all_of
    ]
    writer.insert("order_flow", order_flow(name, trades, 60))
    found = analyst.query(
        f"SELECT venue, volume, volume_share, stale FROM market.venue_weights WHERE instrument = '{name}' ORDER BY"
        f" venue"
    )
    assert found[:2] == [("a", 2.0, 0.5, 0), ("b", 2.0, 0.5, 0)]
    assert found[2][:2] == ("gone", 2.0)
    assert math.isnan(found[2][2])
    assert found[2][3]


def cells(store: Store, view: str, name: str, more: str = "") -> list[tuple[Any, ...]]:
    return store.query(
        f"SELECT toUnixTimestamp(time), price, buy, sell, delta, total, buy_imbalance, sell_imbalance, buy_stack,"
        f" sell_stack, is_poc {more} FROM market.{view} WHERE instrument = '{name}' ORDER BY 1, price"
    )


def test_the_footprint_of_the_definitions(writer: Store, analyst: Store) -> None:
    volumes = {10: (20, 5), 11: (4, 66), 12: (1, 15), 13: (30, 10)}  # sold, bought
    trades = [
        Trade("v", at(0), row * STEP, size, side, decimals=0)
        for row, both in volumes.items()
        for side, size in zip(("sell", "buy"), both, strict=True)
    ]
    name = store_tape(writer, trades)
    found = cells(analyst, "footprint_cells_1m", name)
    assert [row[1:6] for row in found] == [
        (row * STEP, buy, sell, buy - sell, buy + sell) for row, (sell, buy) in volumes.items()
    ]
    assert [row[6:] for row in found] == [(0, 0, 0, 0, 0), (1, 0, 3, 0, 1), (1, 0, 3, 0, 0), (1, 0, 3, 0, 0)]
    assert sum(row[4] for row in found) == 41
    assert cells(analyst, "footprint_cells_10s", name) == found
    assert cells(analyst, "footprint_cells_1h", name) == found
    venues = cells(analyst, "footprint_all_venues_1m", name, ", venues")
    assert [(*row[:-1], list(row[-1])) for row in venues] == [(*row, ["v"]) for row in found]


PROFILES = st.dictionaries(
    st.integers(0, 12), st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=12
).map(lambda rows: {row: sizes for row, sizes in rows.items() if sum(sizes)}).filter(bool)  # fmt: skip


def profile_trades(profile: dict[int, tuple[int, int]], second: float = 0.0, venue: str = "v") -> list[Trade]:
    return [
        Trade(venue, at(second), (row + 1000) * STEP, size, side)
        for row, both in profile.items()
        for side, size in zip(("sell", "buy"), both, strict=True)
        if size
    ]


def runs(flags: list[bool]) -> list[int]:
    """Of each true one how many there are without a break, it among them."""
    out = [0] * len(flags)
    for i, flag in enumerate(flags):
        if flag:
            low = max((j + 1 for j in range(i) if not flags[j]), default=0)
            high = min((j for j in range(i, len(flags)) if not flags[j]), default=len(flags))
            out[i] = high - low
    return out


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PROFILES, min_size=40, max_size=60))
def test_footprints_are_flagged_as_by_hand(
    loose_writer: Store, profiles: list[dict[int, tuple[int, int]]]
) -> None:
    trades = [t for i, profile in enumerate(profiles) for t in profile_trades(profile, 10.0 * i)]
    name = next(NAMES)
    loose_writer.insert("footprints", footprints(name, trades, 10, STEP))
    found = cells(loose_writer, "footprint_cells_10s", name)
    for i, profile in enumerate(profiles):
        low, high = min(profile), max(profile)
        sells, buys = ([profile.get(row, (0, 0))[s] for row in range(low - 1, high + 2)] for s in (0, 1))
        inner = range(1, len(buys) - 1)
        bought = [buys[j] >= 3 * sells[j - 1] > 0 for j in inner]
        sold = [sells[j] >= 3 * buys[j + 1] > 0 for j in inner]
        expected = list(zip(bought, sold, runs(bought), runs(sold), strict=True))
        poc = low + int(point_of_control(dense({row: sum(both) for row, both in profile.items()})))
        mine = {round(row[1] / STEP) - 1000: row[6:] for row in found if row[0] == START_S + 10 * i}
        assert mine == {row: (*expected[row - low], row == poc) for row in profile}


def test_footprints_of_all_venues_add_up(writer: Store, analyst: Store) -> None:
    trades = random_trades(5, 1800)
    name = store_tape(writer, trades)
    found = cells(analyst, "footprint_all_venues_10s", name, ", venues")
    expected: dict[tuple[int, float], list[Trade]] = {}
    for trade in trades:
        key = (trade.time_ns // (10 * SECOND_NS) * 10, math.floor(trade.price / STEP) * STEP)
        expected.setdefault(key, []).append(trade)
    assert [row[:2] for row in found] == sorted(expected)
    for row in found:
        cell = expected[row[:2]]
        buy, sell, total = (
            math.fsum(t.size for t in cell if t.side in sides)
            for sides in (("buy",), ("sell",), ("buy", "sell", "unknown"))
        )  # fmt: skip
        assert row[2:6] == pytest.approx((buy, sell, buy - sell, total))
        bar = {t.venue for t in trades if t.time_ns // (10 * SECOND_NS) * 10 == row[0]}
        assert list(row[-1]) == sorted(bar)


VECTORS = {
    "VP1": ({100: 10, 101: 20, 102: 30, 103: 50, 104: 40, 105: 25, 106: 15, 107: 10}, 103, 101, 105),
    "VP2": ({10: 5, 11: 9, 12: 4, 13: 9, 14: 3}, 11, 11, 13),
    "VP3": ({1: 10, 2: 20, 3: 30, 4: 20, 5: 10}, 3, 1, 5),
    "VP4": ({1: 5, 4: 20, 5: 5}, 4, 4, 5),
    "VP5": ({1: 10, 4: 12, 7: 10}, 4, 1, 7),
    "one row": ({7: 3}, 7, 7, 7),
}


def levels(store: Store, name: str, venue: str = "v", end_s: float = 60) -> tuple[float, ...]:
    ((poc, vah, val),) = ask(store, "volume_profile_levels", "poc, vah, val",
                             instrument=name, venue=venue, from_time=iso(0), to_time=iso(end_s))  # fmt: skip
    return poc, vah, val


@pytest.mark.parametrize("vector", VECTORS)
def test_profiles_of_the_definitions(writer: Store, analyst: Store, vector: str) -> None:
    rows, poc, low, high = VECTORS[vector]
    trades = [Trade("v", at(i), row * STEP, size, "buy", 0) for i, (row, size) in enumerate(rows.items())]
    name = store_tape(writer, trades)
    assert levels(analyst, name) == (poc * STEP, (high + 1) * STEP, low * STEP)
    found = ask(analyst, "volume_profile", "price, total, in_value_area, is_poc",
                instrument=name, venue="v", from_time=iso(0), to_time=iso(60))  # fmt: skip
    assert found == [(r * STEP, size, low <= r <= high, r == poc) for r, size in rows.items()]


def test_there_is_no_profile_of_nothing(analyst: Store) -> None:
    for view in ("volume_profile", "volume_profile_levels"):
        assert ask(analyst, view, "*", instrument="NONE", venue="v", from_time=iso(0), to_time=iso(60)) == []


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PROFILES, min_size=40, max_size=60))
def test_levels_of_random_profiles_are_those_of_the_kernel(
    loose_writer: Store, profiles: list[dict[int, tuple[int, int]]]
) -> None:
    """Many at once: bars with different heights of rows are different profiles."""
    name = next(NAMES)
    expected = {}
    for step, profile in enumerate(profiles, 1):
        trades = [
            trade._replace(price=trade.price / STEP * step) for trade in profile_trades(profile, 10 * step)
        ]
        loose_writer.insert("footprints", footprints(name, trades, 10, step))
        volumes = dense({row: sum(both) for row, both in profile.items()})
        base, (low, high) = min(profile) + 1000, value_area(volumes)
        rows = base + point_of_control(volumes), base + high + 1, base + low
        expected[step] = tuple(row * step for row in rows)
    found = ask(loose_writer, "volume_profile_levels", "row_step, poc, vah, val",
                instrument=name, venue="v", from_time=iso(0), to_time=iso(1000))  # fmt: skip
    assert {row[0]: row[1:] for row in found} == expected


def test_levels_of_long_profiles_are_those_of_the_kernel(writer: Store, analyst: Store) -> None:
    chance = np.random.default_rng(6)
    for sparse in (1, 5):
        rows = {
            int(row): (int(size), int(size) // 2)
            for row, size in enumerate(chance.integers(0, 40, 800))
            if row % sparse == 0 and size
        }
        name = store_tape(writer, profile_trades(rows))
        volumes = dense({row: sum(both) for row, both in rows.items()})
        low, high = value_area(volumes)
        base = min(rows) + 1000
        assert levels(analyst, name) == (
            (base + point_of_control(volumes)) * STEP, (base + high + 1) * STEP, (base + low) * STEP
        )  # fmt: skip


TRADES = random_trades(7, 4 * 3600, "ab", every_s=8)
STORED: dict[float, str] = {}


def stored(store: Store, end_s: float) -> str:
    """The instrument with TRADES up to then."""
    if end_s not in STORED:
        STORED[end_s] = store_tape(store, TRADES, end_s)
    return STORED[end_s]


@pytest.mark.parametrize(
    ("from_s", "to_s", "stored_s"),
    [
        (3605, 3699, math.inf), (3590, 3610, math.inf), (3601, 3609, math.inf),
        (1234, 11_111, math.inf), (100, 10_800, 10_795), (0, 12_345, 12_345), (7205, 7260, 12_345),
    ],
)  # fmt: skip
def test_the_profile_of_any_range_is_that_of_its_trades(
    writer: Store, analyst: Store, from_s: int, to_s: int, stored_s: float
) -> None:
    """Also where the last hour, minute or 10 s has not closed."""
    name = stored(writer, stored_s)
    first, last = -(-from_s // 10) * 10, min(to_s, stored_s) // 10 * 10
    for venue in ("a", "all"):
        wanted = [t for t in TRADES if at(first) <= t.time_ns < at(last) and venue in (t.venue, "all")]
        found = ask(analyst, "volume_profile", "price, buy, sell, unknown, delta, total",
                    instrument=name, venue=venue, from_time=iso(from_s), to_time=iso(to_s))  # fmt: skip
        rows: dict[float, list[Trade]] = {}
        for trade in wanted:
            rows.setdefault(math.floor(trade.price / STEP) * STEP, []).append(trade)
        assert [row[0] for row in found] == sorted(rows)
        for price, *values in found:
            buy, sell, unknown = (
                math.fsum(t.size for t in rows[price] if t.side == s) for s in ("buy", "sell", "unknown")
            )
            assert values == pytest.approx([buy, sell, unknown, buy - sell, buy + sell + unknown])
        if wanted:
            ((total, vwap, whole, venues),) = ask(
                analyst, "volume_profile_levels", "total, vwap, whole, venues", instrument=name, venue=venue,
                from_time=iso(from_s), to_time=iso(to_s),
            )  # fmt: skip
            size = math.fsum(t.size for t in wanted)
            assert (total, vwap) == pytest.approx((size, math.fsum(t.value for t in wanted) / size))
            assert (whole, list(venues)) == (1, sorted({t.venue for t in wanted}))


def test_the_profile_of_all_venues_leaves_out_who_went_silent(writer: Store, analyst: Store) -> None:
    trades = [t for t in random_trades(8, 7200, "ab", every_s=20) if t.venue == "a" or t.time_ns < at(3600)]
    name = store_tape(writer, trades)
    asked = {"instrument": name, "from_time": iso(0), "to_time": iso(7200)}
    columns = "poc, vah, val, total, toString(venues)"
    assert ask(analyst, "volume_profile_levels", columns, venue="all", **asked) == ask(
        analyst, "volume_profile_levels", columns, venue="a", **asked
    )


def test_time_and_sales_say_value_and_class(writer: Store, analyst: Store) -> None:
    assert EDGES == SIZE_EDGES  # of the flow; the rows below lie around them
    sizes = np.array([0.009, 0.01, 0.1, 1.0])
    rows = {
        "instrument": ["SIZES"] * 4, "venue": ["v"] * 4, "time_ns": START_S * SECOND_NS + np.arange(4),
        "trade_id": np.arange(4), "price": np.full(4, 100_000.0), "size": sizes,
        "side": ["buy", "sell", "unknown", "buy"], "side_by": ["told", "told", "none", "quote"],
        "aggregated": np.zeros(4, "?"), "received_ns": np.arange(4), "version": np.arange(4),
    }  # fmt: skip
    writer.insert("trades", rows)
    found = analyst.query(
        "SELECT side, side_by, value, size_class FROM market.time_and_sales WHERE instrument = 'SIZES' ORDER BY time"
    )
    assert [row[3] for row in found] == ["small", "medium", "large", "whale"]
    assert [row[2] for row in found] == pytest.approx(list(sizes * 100_000))
    assert [row[:2] for row in found] == list(zip(rows["side"], rows["side_by"], strict=True))
    above = analyst.query(
        "SELECT size FROM market.time_and_sales_above(min_value = 10000) WHERE instrument = 'SIZES' ORDER BY size"
    )
    assert above == [(0.1,), (1.0,)]
