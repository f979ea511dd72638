"""Ticks, lots and bins."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.instruments import agreed_bin_step, bin_step, decimals, decode, inferred
from connectors.venue import Instrument, ParseError

positive = st.decimals(Decimal("1e-12"), Decimal("1e12"), allow_nan=False, allow_infinity=False)
ticks = st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(1, 50), st.integers(-10, 3))


def test_tick_and_lot_are_the_finest_digits() -> None:
    assert inferred("BTCUSDT", "BTC-USDT", 2, 5) == Instrument(
        symbol="BTCUSDT",
        instrument="BTC-USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        inferred=True,
    )


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("1", 0), ("10", 0), ("0.1", 1), ("2.50", 1), ("0.00001234", 8), ("1E-8", 8), ("1E+3", 0)],
)
def test_decimals_of_a_unit(unit: str, expected: int) -> None:
    assert decimals(Decimal(unit)) == expected


@given(ticks)
def test_so_many_decimals_and_no_fewer_make_a_unit_whole(unit: Decimal) -> None:
    assert unit.scaleb(decimals(unit)) % 1 == 0
    assert decimals(unit) == 0 or unit.scaleb(decimals(unit) - 1) % 1 != 0


@given(ticks, ticks, st.none() | st.integers(1, 1000))
def test_an_instrument_comes_back_from_its_line(tick: Decimal, lot: Decimal, bins: int | None) -> None:
    told = Instrument(
        symbol="X", instrument="X-Y", tick=tick, lot=lot, bin_step=tick * bins if bins else None
    )
    assert decode(msgspec.json.encode(told)) == told


@pytest.mark.parametrize(
    "change",
    [{"tick": "0"}, {"tick": "-1"}, {"lot": "NaN"}, {"bin_step": "0.25"}, {"tick": "1E-13"}, {"contract_size": "x"},
     {"symbol": 1}, {"lot": None}, {"bin_step": "1E+30"}, {"lot": "1E+99"}],
)  # fmt: skip
def test_an_impossible_instrument_is_refused(change: dict[str, object]) -> None:
    told = {"symbol": "X", "instrument": "X-Y", "tick": "0.1", "lot": "0.001"}
    assert decode(msgspec.json.encode(told))
    with pytest.raises(ParseError):
        decode(msgspec.json.encode(told | change))


@pytest.mark.parametrize(
    ("price", "tick", "step"),
    [
        ("61800", "0.1", "1.0"),
        ("61800", "0.01", "1.00"),
        ("2680", "0.01", "0.05"),
        ("50000", "1", "1"),
        ("100000", "1", "2"),
        ("99999", "1", "1"),
        ("7.611", "0.001", "0.001"),
        ("0.35210000", "0.0001", "0.0001"),
        ("1", "10", "10"),
    ],
)
def test_bin_step(price: str, tick: str, step: str) -> None:
    assert bin_step(Decimal(price), Decimal(tick)) == Decimal(step)


@given(positive, ticks)
def test_bin_step_is_the_largest_round_number_of_ticks_that_fits(price: Decimal, tick: Decimal) -> None:
    step = bin_step(price, tick)
    count = step / tick
    digits = str(int(count))
    assert count == int(count)
    assert digits[0] in "125"
    assert set(digits[1:]) <= {"0"}
    if count > 1:
        assert step * 50_000 <= price
    larger = tick * int(count) * {"1": 2, "2": Decimal("2.5"), "5": 2}[digits[0]]
    assert larger * 50_000 > price


@pytest.mark.parametrize(
    ("price", "tick"), [("0", "1"), ("-1", "1"), ("1", "0"), ("NaN", "1"), ("1", "Infinity")]
)
def test_bin_step_of_nonsense(price: str, tick: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        bin_step(Decimal(price), Decimal(tick))


@pytest.mark.parametrize(
    ("instrument", "tick", "step"),
    [
        ("BTC-USDT", "0.01", "1"),
        ("BTC-USD", "0.1", "1"),
        ("BTC-USDC-PERP", "0.25", "1"),
        ("EUR-USD", "0.00001", "0.00002"),
        ("EUR-USDT", "0.0001", None),
        ("BTC-EUR", "0.1", None),
        ("BTC-USDT", "0.3", None),
        ("NEWCOIN", "0.1", None),
    ],
)
def test_venues_agree_on_the_bins_of_what_they_share(instrument: str, tick: str, step: str | None) -> None:
    assert agreed_bin_step(instrument, Decimal(tick)) == (None if step is None else Decimal(step))
