"""The oracle itself: the vectors of the definitions, and identities on every recording."""

from decimal import Decimal

import pytest

from tests.flows import tape_oracle as oracle

VECTORS = {  # volumes from the lowest row on; POC, two-row and single-row value area as indices
    "VP1": ([10, 20, 30, 50, 40, 25, 15, 10], 3, (1, 5), (2, 5)),
    "VP2": ([5, 9, 4, 9, 3], 1, (1, 3), (0, 3)),
    "VP3": ([10, 20, 30, 20, 10], 2, (0, 4), (1, 3)),
    "VP4": ([5, 0, 0, 20, 5], 3, (3, 4), (3, 4)),
    "VP5": ([10, 0, 0, 12, 0, 0, 10], 3, (0, 6), (0, 6)),
    "one row": ([7], 0, (0, 0), (0, 0)),
}


@pytest.mark.parametrize(("volumes", "poc", "two", "one"), VECTORS.values(), ids=VECTORS)
def test_vectors_of_the_definitions(volumes, poc, two, one):
    assert oracle.point_of_control(volumes) == poc
    assert (oracle.value_area(volumes, 2), oracle.value_area(volumes, 1)) == (two, one)


def test_nothing_traded_has_no_profile():
    assert oracle.point_of_control([0, 0]) is oracle.value_area([0], 2) is None


def test_a_tape_by_hand():
    told = [
        (1_000_000_000, 5, 1, Decimal("10.10"), Decimal("2"), "buy"),
        (1_500_000_000, 6, 2, Decimal("10.3"), Decimal("0.5"), "sell"),
        (1_500_000_000, 6, 2, Decimal("10.3"), Decimal("0.5"), "sell"),
        (1_500_000_000, 7, 3, Decimal("10.2"), Decimal("3.5"), "sell"),
        (2_000_000_000, 8, 4, Decimal("99.99"), Decimal("1000"), "unknown"),
    ]
    tape = oracle.tape_of(told)
    first, second = oracle.bars(tape, 1).values()
    assert (first.open, first.high, first.low, first.close) == (1010, 1030, 1010, 1020)
    assert (first.trades, first.buy, first.sell, first.delta) == (3, 20, 40, -20)
    assert (first.delta_min, first.delta_max, first.newest_recv_ns) == (-20, 20, 7)
    assert (second.unknown, second.class_buy, second.delta_min) == (10000, (0, 0, 0, 0), 0)
    assert oracle.footprints(tape, 1, Decimal("0.2"))[1_000_000_000] == {50: (20, 0, 0), 51: (0, 40, 0)}
    taken = oracle.largest_trades(tape, 2)
    assert [(x[2], x[3], x[5], x[6]) for x in taken] == [(10000, 1, 9999, 9999), (40, 2, 1020, 1030)]
    assert oracle.largest_prints(tape, 1) == [(2_000_000_000, 0, 9999, 10000)]
