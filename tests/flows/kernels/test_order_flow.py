"""Order flow against a slow telling of the same, and that neither grouping nor a restart changes a row."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.kernels.order_flow import InstrumentTape
from flows.kernels.prints import Prints
from tests.flows.kernels.flow_oracle import Clock, Missed, Oracle, S, Trade, final

START = 1_705_276_800 * S  # 2024-01-15 00:00 UTC, a Monday
DAY = 86_400 * S
PRICE_DECIMALS, SIZE_DECIMALS = 1, 2
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
def logs(draw: st.DrawFn, size: int = 60) -> list[Any]:
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
    events: list[Any], cuts: set[int], *, restart_at: set[int] = frozenset(), asset_class: str = "crypto",
    row_step: str = "0.3", decimals: tuple[int, int] = (PRICE_DECIMALS, SIZE_DECIMALS),
) -> tuple[dict[str, Any], InstrumentTape]:  # fmt: skip
    """FINAL rows, prints given together except at `cuts`."""

    def fresh() -> InstrumentTape:
        return InstrumentTape("X-Y", "venue", asset_class)

    tape, rows, waiting = fresh(), {}, []
    tape.set_row_step(Decimal(row_step))

    def give() -> None:
        if waiting:
            tape.take(prints_of(waiting, *decimals))
            waiting.clear()

    for i, event in enumerate(events):
        if isinstance(event, Trade):
            waiting.append(event)
        else:
            give()
            if isinstance(event, Clock):
                tape.on_clock(event.time_ns, event.recv_ns)
            else:
                tape.missed(event.recv_ns)
        if i in cuts:
            give()
            final(tape.rows(), rows)
        if i in restart_at:
            give()
            final(tape.rows(), rows)
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(tape.dump()))
            tape = fresh()
            tape.load(state)
    give()
    final(tape.rows(), rows)
    return rows, tape


def in_lots(row: dict[str, Any], size_decimals: int) -> dict[str, Any]:
    """Sizes as lots, as rows tell them."""

    def lots(value: Any) -> Any:
        return tuple(map(lots, value)) if isinstance(value, tuple) else int(value * 10**size_decimals)

    return {name: lots(value) if name.endswith("_lots") else value for name, value in row.items()}


def assert_same(
    found: dict[Any, dict[str, Any]], expected: dict[Any, dict[str, Any]], size_decimals: int
) -> None:
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        for name, value in in_lots(row, size_decimals).items():
            if name in ("vwap_sd", "vwap"):
                assert math.isclose(found[key][name], value, rel_tol=1e-9, abs_tol=1e-9), (key, name)
            else:
                assert found[key][name] == value or (value != value), (key, name, found[key][name], value)


def check(events: list[Any], asset_class: str) -> None:
    oracle = Oracle(asset_class, Fraction(3, 10))
    for event in events:
        oracle.on(event)
    rows, tape = run(events, set(), asset_class=asset_class)
    assert_same(rows.get("order_flow", {}), oracle.order_flow(), SIZE_DECIMALS)
    assert_same(rows.get("footprints", {}), oracle.footprints(), SIZE_DECIMALS)
    assert_same(rows.get("profiles", {}), oracle.profiles, SIZE_DECIMALS)
    assert tape.counts == {"too_late": oracle.too_late, "refused": 0}


@given(logs())
def test_rows_are_those_of_the_slow_telling(events: list[Any]) -> None:
    check(events, "crypto")


@given(logs())
@settings(max_examples=30)
def test_days_of_forex(events: list[Any]) -> None:
    check(events, "forex")


@given(logs(), st.sets(st.integers(0, 60)))
def test_grouping_changes_nothing(events: list[Any], cuts: set[int]) -> None:
    assert run(events, cuts)[0] == run(events, set())[0]


@given(logs(), st.sets(st.integers(0, 60), max_size=6))
def test_a_restart_changes_nothing(events: list[Any], at: set[int]) -> None:
    assert run(events, set(), restart_at=at)[0] == run(events, set())[0]
