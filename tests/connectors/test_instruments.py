"""Ticks, lots and bins."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.instruments import bin_step, infer
from connectors.venue import Instrument

wire_texts = st.decimals(0, 10**9, allow_nan=False, places=8).map(lambda d: f"{d:f}")
positive = st.decimals(Decimal("1e-12"), Decimal("1e12"), allow_nan=False, allow_infinity=False)
ticks = st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(1, 50), st.integers(-10, 3))


def test_tick_and_lot_are_the_finest_digits() -> None:
    found = infer("BTCUSDT", "BTC-USDT", ["61837.63000000", "61837.60000000"], ["3.78826000", "5.00000000"])
    assert found == Instrument(
        symbol="BTCUSDT",
        instrument="BTC-USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        inferred=True,
    )


@pytest.mark.parametrize(
    ("texts", "finest"),
    [
        (["1200", "100"], "1"),
        (["1.0", "2.000"], "1"),
        (["0.00001234"], "0.00000001"),
        (["5.", "5.50"], "0.1"),
    ],
)
def test_trailing_zeros_do_not_count(texts: list[str], finest: str) -> None:
    found = infer("X", "X", texts, ["1"])
    assert (found.tick, found.lot) == (Decimal(finest), Decimal(1))


def test_an_empty_book_tells_nothing() -> None:
    with pytest.raises(ValueError, match="levels"):
        infer("X", "X", [], [])


@given(st.lists(wire_texts, min_size=1), st.lists(wire_texts, min_size=1))
def test_all_are_multiples_and_no_coarser_decimal_would_do(prices: list[str], sizes: list[str]) -> None:
    found = infer("X", "X", prices, sizes)
    for texts, unit in ((prices, found.tick), (sizes, found.lot)):
        assert all(Decimal(text) % unit == 0 for text in texts)
        assert unit == 1 or any(Decimal(text) % (unit * 10) != 0 for text in texts)


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
