"""Order flow against a slow telling of the same, and that neither grouping nor a restart changes a row."""

import math
from collections.abc import Collection
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.kernels.order_flow import PRICE_ROWS_MAX, InstrumentTape
from flows.kernels.prints import Prints
from flows.kernels.traded import Scale, Traded
from tests.flows.kernels.flow_oracle import Clock, Missed, Oracle, S, Trade, final

START = 1_705_276_800 * S  # 2024-01-15 00:00 UTC, a Monday
DAY = 86_400 * S
PRICE_DECIMALS, SIZE_DECIMALS = 1, 2
ROW_STEP = Decimal("0.3")
SOME = settings(max_examples=40)
STEPS_S = (0, 0, 0.001, 0.2, 0.26, 1, 4, 9.9, 31, 60, 1700, 9000, 50_000)


def prints_of(trades: list[Trade], price_decimals: int, size_decimals: int) -> Prints:
    def column(values: list[Any], kind: Any) -> Any:
        return np.array(values, kind)

    return Prints(
        column([t.time_ns for t in trades], np.int64),
        column([t.recv_ns for t in trades], np.int64),
        column([int(t.price * 10**price_decimals) for t in trades], np.int64),
        column([int(t.size * 10**size_decimals) for t in trades], np.int64),
        column([t.side for t in trades], np.int8),
        column([t.inferred for t in trades], np.bool_),
        column([t.trade_id for t in trades], np.uint64),
        price_decimals,
        size_decimals,
    )


@st.composite
def logs(draw: st.DrawFn, size: int = 40) -> list[Any]:
    """Trades, clocks and breaks in log order; some trades are late, some too late."""
    now, recv_ns, events = START + draw(st.integers(0, DAY // S)) * S, START + 2 * DAY, []
    for trade_id in range(draw(st.integers(1, size))):
        now += int(draw(st.sampled_from(STEPS_S)) * S)
        recv_ns += draw(st.integers(-2, 30)) * 10**6
        kind = draw(st.sampled_from("tttttttttcm"))
        if kind == "m":
            events.append(Missed(recv_ns))
        elif kind == "c":
            events.append(Clock(now + draw(st.sampled_from((0, 250 * 10**6, 2 * S))), recv_ns))
        else:
            back = draw(st.sampled_from((0, 0, 0, 0, 0.5, 11, 59.9, 60, 60.1)))
            price = Fraction(draw(st.integers(9_950, 10_050) | st.just(12_000)), 10)
            size_lots = draw(st.integers(1, 300) | st.integers(90, 11_000))
            side = draw(st.sampled_from((1, 1, -1, -1, 0)))
            trade = Trade(
                now - int(back * S), recv_ns, price, Fraction(size_lots, 100), side, draw(st.booleans()),
                trade_id + (1 << 63),
            )  # fmt: skip
            events.append(trade)
    return events


def run(
    events: list[Any],
    cuts: Collection[int] = (),
    *,
    restart_at: Collection[int] = (),
    asset_class: str = "crypto",
    finer_from: int | None = None,
) -> tuple[dict[str, Any], InstrumentTape]:
    """FINAL rows, prints given together except at `cuts`; from `finer_from` on all have two decimals more."""

    def fresh() -> InstrumentTape:
        return InstrumentTape("X-Y", "venue", asset_class)

    tape, rows, waiting, finer = fresh(), {}, [], 0
    tape.set_row_step(ROW_STEP)

    def give() -> None:
        if waiting:
            tape.take(prints_of(waiting, PRICE_DECIMALS + finer, SIZE_DECIMALS + finer))
            waiting.clear()

    for i, event in enumerate(events):
        if i == finer_from:
            give()
            finer = 2
        if isinstance(event, Trade):
            waiting.append(event)
        else:
            give()
            if isinstance(event, Clock):
                tape.on_clock(event.time_ns, event.recv_ns)
            else:
                tape.missed(event.recv_ns)
        if i in cuts or i in restart_at:
            give()
            final(tape.rows(), rows)
        if i in restart_at:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(tape.dump()))
            tape = fresh()
            tape.load(state)
    give()
    final(tape.rows(), rows)
    return rows, tape


def in_base(row: dict[str, Any]) -> dict[str, Any]:
    """Lots as exact sizes in base currency."""

    def size(lots: Any) -> Any:
        return (
            tuple(map(size, lots)) if isinstance(lots, tuple) else Fraction(lots, 10 ** row["size_decimals"])
        )

    return {name: size(value) if name.endswith("_lots") else value for name, value in row.items()}


def assert_same(found: dict[Any, dict[str, Any]], expected: dict[Any, dict[str, Any]]) -> None:
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        told = in_base(found[key])
        for name, value in row.items():
            if name in ("vwap_sd", "vwap"):
                assert math.isclose(told[name], value, rel_tol=1e-9, abs_tol=1e-9), (key, name)
            elif isinstance(value, float) and math.isnan(value):
                assert math.isnan(told[name]), (key, name)
            else:
                assert told[name] == value, (key, name, told[name], value)


def without_nan(tables: dict[str, dict[Any, dict[str, Any]]]) -> Any:
    """The same, to be compared."""

    def known(row: dict[str, Any]) -> dict[str, Any]:
        return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in row.items()}

    return {table: {key: known(row) for key, row in rows.items()} for table, rows in tables.items()}


def check(events: list[Any], asset_class: str = "crypto", finer_from: int | None = None) -> None:
    oracle = Oracle(asset_class, Fraction(ROW_STEP))
    for event in events:
        oracle.on(event)
    rows, tape = run(events, asset_class=asset_class, finer_from=finer_from)
    flow = oracle.order_flow()
    assert_same(rows.get("order_flow", {}), flow)
    assert_same(rows.get("bars", {}), bars_of(flow))
    assert_same(rows.get("footprints", {}), oracle.footprints())
    assert_same(rows.get("profiles", {}), oracle.profiles)
    assert_same(rows.get("large_trades", {}), oracle.large)
    assert tape.counts == {"too_late": oracle.too_late, "refused": 0}


def bars_of(flow: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Rows of `bars` as they follow from those of order flow."""
    told = ("open", "high", "low", "close", "quote_volume", "trades", "received_ns", "version")
    return {
        (interval_s, "trades", open_ns): {name: row[name] for name in told}
        | {
            "volume": float(row["buy_lots"] + row["sell_lots"] + row["unknown_lots"]),
            "buy_volume": math.nan if row["unknown_lots"] else float(row["buy_lots"]),
        }
        for (interval_s, open_ns), row in flow.items()
        if row["whole"]
    }


@given(logs())
@SOME
def test_rows_are_those_of_the_slow_telling(events: list[Any]) -> None:
    check(events)


@given(logs())
@SOME
def test_days_of_forex(events: list[Any]) -> None:
    check(events, "forex")


@given(logs(), st.integers(1, 40))
@SOME
def test_finer_digits_change_no_sum(events: list[Any], finer_from: int) -> None:
    check(events, finer_from=finer_from)


@given(logs(), st.sets(st.integers(0, 40)))
@SOME
def test_grouping_changes_nothing(events: list[Any], cuts: set[int]) -> None:
    assert without_nan(run(events, cuts)[0]) == without_nan(run(events)[0])


@given(logs(), st.sets(st.integers(0, 40), max_size=6))
@SOME
def test_a_restart_changes_nothing(events: list[Any], at: set[int]) -> None:
    assert without_nan(run(events, restart_at=at)[0]) == without_nan(run(events)[0])


def trade(
    at_s: float, price: str, size: str, side: int = 1, trade_id: int = 0, recv_s: float | None = None
) -> Trade:
    recv_ns = START + int((at_s if recv_s is None else recv_s) * S)
    return Trade(START + int(at_s * S), recv_ns, Fraction(price), Fraction(size), side, False, trade_id)


def clock(at_s: float) -> Clock:
    return Clock(START + int(at_s * S), START + int(at_s * S))


def test_large_trades_are_those_above_what_came_before() -> None:
    rng = np.random.default_rng(6)
    times = np.cumsum(rng.integers(0, 2, 2200)) * 0.05
    sizes = np.exp(rng.normal(0, 1.5, 2200)).round(2) + 0.01
    sides = rng.choice([1, 1, 1, -1], 2200)
    events = [
        trade(float(t), "100", f"{q:.2f}", int(side), i)
        for i, (t, q, side) in enumerate(zip(times, sizes, sides, strict=True))
    ]
    oracle = Oracle("crypto", Fraction(ROW_STEP))
    for event in [*events, clock(float(times[-1]) + 0.3)]:
        oracle.on(event)
    rows, _ = run([*events, clock(float(times[-1]) + 0.3)], cuts=range(0, 2200, 7))
    assert len(oracle.large) > 10
    assert_same(rows["large_trades"], oracle.large)


def test_the_clock_closes_what_a_silent_venue_leaves_open() -> None:
    events = [trade(0.5, "100", "1"), trade(61, "101", "2", -1)]
    before, _ = run(events)
    assert (60, START + 60 * S) not in before["order_flow"]
    after, _ = run([*events, clock(120.2), clock(120.25)])
    assert after["order_flow"][60, START + 60 * S]["version"] == START + int(120.25 * S)
    assert after["order_flow"][60, START + 60 * S]["whole"]
    assert not after["order_flow"][60, START]["whole"]  # the tape began within it
    assert (60, "trades", START) not in after["bars"]
    assert after["profiles"]["rolling_4h", START + 120 * S]["buy_lots"] == 100
    assert (86_400, START) not in after["order_flow"]


def test_a_session_is_told_closed_once_it_is_over() -> None:
    events = [trade(60, "100", "1"), trade(3600, "101", "2"), clock(9 * 3600.0 - 1), clock(9 * 3600 + 0.25)]
    rows, _ = run(events)
    tokyo = {key[1]: row for key, row in rows["profiles"].items() if key[0] == "tokyo"}
    assert [row["closed"] for row in tokyo.values()] == [False, True]
    assert tokyo[START + 3660 * S]["version"] == START + int((9 * 3600 + 0.25) * S)


def test_lost_trades_make_what_is_open_not_whole() -> None:
    events = [trade(x, "100", "1") for x in (0, 61, 119, 130, 181, 241, 301)]
    events.insert(4, Missed(START + 131 * S))
    rows, _ = run(events)
    whole = {key[1]: row["whole"] for key, row in rows["order_flow"].items() if key[0] == 60}
    assert list(whole.values()) == [False, True, False, False, True]
    footprints = {key[1]: row["whole"] for key, row in rows["footprints"].items() if key[0] == 60}
    assert footprints == whole


def test_a_price_that_nobody_can_mean_is_left_out() -> None:
    events = [
        trade(x, price, "1")
        for x, price in ((0, "100"), (61, "1e9"), (62, "100"), (122, "100"), (182, "101"))
    ]
    rows, tape = run(events)
    assert tape.counts["refused"] == 2  # the next is as far from it
    assert [row["high"] for row in rows["order_flow"].values()] == [100] * len(rows["order_flow"])
    assert not rows["order_flow"][60, START + 120 * S]["whole"]


def test_a_day_has_no_more_rows_than_profiles_have_room_for() -> None:
    step = 3 * PRICE_ROWS_MAX // 10  # so many rows, in quote currency
    events = [trade(x, str(100 + x * step), "1") for x in range(20)]
    rows, tape = run([*events, trade(100, "100", "1"), trade(161, "100", "1")])
    assert tape.counts["refused"] == 17 + 1  # that below them is far from the last
    assert rows["profiles"]["day", START + 60 * S]["high"] == 100 + 2 * step


def test_sums_never_wrap() -> None:
    tape = InstrumentTape("X-Y", "venue", "crypto")
    tape.set_row_step(Decimal(1))
    largest = (1 << 52) - 1
    times = np.zeros(300, np.int64)
    many = Prints(
        times, times, times + 10**6, times + largest, np.ones(300, np.int8), times > 0,
        np.arange(300, dtype=np.uint64), 0, 0,
    )  # fmt: skip
    tape.take(many)
    tape.on_clock(3 * DAY, 3 * DAY)
    tables: dict[str, Any] = {}
    final(tape.rows(), tables)
    taken = ((1 << 60) - 1) // largest
    day = tables["order_flow"][86_400, 0]
    assert day["buy_lots"] == taken * largest and day["trades"] == taken
    assert day["quote_volume"] == float(taken * largest * 10**6)
    assert tape.counts["refused"] == 300 - taken
    assert tables["profiles"]["day", 60 * S]["poc_lots"] == taken * largest


def test_digits_that_sums_have_no_room_for_are_refused() -> None:
    tape = InstrumentTape("X-Y", "venue", "crypto")
    tape.set_row_step(Decimal(1))
    tape.take(prints_of([trade(0, "100", "1000000000")], 0, 2))
    tape.take(prints_of([trade(1, "100", "0.0000000001")], 0, 10))
    assert tape.counts["refused"] == 1
    tape.take(prints_of([trade(61, "100", "2")], 0, 2))
    tables: dict[str, Any] = {}
    final(tape.rows(), tables)
    assert tables["order_flow"][60, START]["buy_lots"] == 10**11
    assert not tables["order_flow"][60, START]["whole"]


def test_rows_of_another_height_begin_anew() -> None:
    tape = InstrumentTape("X-Y", "venue", "crypto")
    with pytest.raises(ValueError, match="call set_row_step"):
        tape.take(prints_of([trade(0, "100", "1")], 1, 2))
    tape.set_row_step(Decimal(1))
    tape.take(prints_of([trade(0, "100", "1"), trade(3601, "100", "1"), trade(3661, "100", "1")], 1, 2))
    tape.set_row_step(Decimal("0.5"))
    tape.take(prints_of([trade(3662, "100", "2"), trade(7202, "100", "1")], 1, 2))
    tables: dict[str, Any] = {}
    final(tape.rows(), tables)
    hour = tables["footprints"][3600, START + 3600 * S]
    assert (hour["row_step"], hour["price_row"], hour["buy_lots"], hour["whole"]) == (
        0.5,
        (200,),
        (200,),
        False,
    )
    assert tables["footprints"][3600, START]["row_step"] == 1
    assert tables["order_flow"][3600, START + 3600 * S]["buy_lots"] == 400
    assert not tables["profiles"]["day", START + 3720 * S]["whole"]


def test_rows_higher_than_64_bits_of_ticks_hold_all_prices() -> None:
    tape = InstrumentTape("X-Y", "venue", "crypto")
    tape.set_row_step(Decimal(10**12))
    tape.take(prints_of([trade(0, "100", "1"), trade(3601, "100", "1")], 12, 2))
    tables: dict[str, Any] = {}
    final(tape.rows(), tables)
    assert (
        tables["footprints"][3600, START]["price_row"],
        tables["footprints"][3600, START]["buy_lots"],
    ) == (
        (0,),
        (100,),
    )


@pytest.mark.parametrize("step", ["0.00002", "0.3", "2.5", "50"])
@given(price=st.integers(-(10**9), 10**9), decimals=st.integers(0, 7))
def test_a_price_is_in_the_row_that_holds_it(step: str, price: int, decimals: int) -> None:
    scale = Scale("X-Y", "venue")
    scale.set(Decimal(step), decimals, 0)
    assert scale.row(price) == math.floor(Fraction(price, 10**decimals) / Fraction(step))
    prints = np.array([[price, 1, 1], [price + 7, 1, -1]], np.int64)
    assert Traded.of(prints, scale, 0).rows.tolist() == sorted({scale.row(price), scale.row(price + 7)})


def test_rolling_equals_rebuilt() -> None:
    """What a rolling profile holds after two days is what the trades within it add up to."""
    rng = np.random.default_rng(7)
    at_s = np.cumsum(rng.exponential(80, 2_500))
    price = 1000 + np.cumsum(rng.integers(-3, 4, 2_500))
    events = [
        trade(float(t), str(p / 10), str(q), int(side))
        for t, p, q, side in zip(
            at_s,
            price.tolist(),
            rng.integers(1, 50, 2_500).tolist(),
            rng.choice([1, -1], 2_500),
            strict=True,
        )
    ]
    rows, _ = run(events)
    newest = max(key[1] for key in rows["profiles"])
    for name, hours in (("rolling_4h", 4), ("rolling_24h", 24)):
        row = rows["profiles"][name, newest]
        within = [t for t in events if newest - hours * 3600 * S <= t.time_ns < newest]
        oracle = Oracle("crypto", Fraction(ROW_STEP))
        oracle.spans[name, None] = oracle.begun(None) | {"trades": within}
        oracle.into_profiles(newest - 60 * S, [], 0)
        expected = oracle.profiles[name, newest]
        for column in ("buy_lots", "sell_lots", "poc", "poc_lots", "vah", "val", "hvn", "lvn", "high", "low"):
            assert in_base(row)[column] == expected[column], (name, column)
        assert math.isclose(row["vwap"], expected["vwap"], rel_tol=1e-12)
        assert math.isclose(row["vwap_sd"], expected["vwap_sd"], rel_tol=1e-9)
