"""A client that is told of the best levels only holds the best levels of the true book."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator.best import Best
from connectors.simulator.half import State
from connectors.simulator.market import Depth, SimulatedMarket
from connectors.simulator.symbols import listed

SIDES = st.dictionaries(st.integers(1, 30), st.integers(1, 9), max_size=12)
CHANGES = st.dictionaries(st.integers(1, 30), st.integers(0, 9), max_size=6)


def depth(bids: dict[int, int], asks: dict[int, int]) -> Depth:
    return Depth("X", 0, 1, 1, 0, list(bids.items()), list(asks.items()))


def best(levels: dict[int, int], count: int, *, high: bool) -> list[tuple[int, int]]:
    return sorted(levels.items(), reverse=high)[:count]


@given(SIDES, SIDES, st.lists(st.tuples(CHANGES, CHANGES), max_size=12), st.integers(1, 8))
def test_both_kinds_of_client_hold_the_best_levels(
    bids: dict[int, int], asks: dict[int, int], steps: list[tuple[dict[int, int], ...]], count: int
) -> None:
    told = Best(count)
    told.begin(State(1, bids, asks, 0))
    true = [dict(bids), dict(asks)]
    forgetful = [dict(told.bids), dict(told.asks)]  # truncates by itself, as Kraken's do
    obedient = [dict(told.bids), dict(told.asks)]  # takes away what it is told to, as Bybit's do
    for changes in steps:
        for levels, changed in zip(true, changes, strict=True):
            levels.update(changed)
            for tick in [tick for tick, lots in levels.items() if not lots]:
                del levels[tick]
        moved = told.move(depth(*changes))
        for side, high in ((0, True), (1, False)):
            expected = best(true[side], count, high=high)
            assert (told.bids, told.asks)[side] == expected
            if moved is not None:
                forgetful[side] = apply(forgetful[side], moved[side])
                forgetful[side] = dict(best(forgetful[side], count, high=high))
                obedient[side] = apply(obedient[side], moved[side] + moved[side + 2])
            assert best(forgetful[side], count, high=high) == best(obedient[side], count + 1, high=high)
            assert best(obedient[side], count + 1, high=high) == expected


def apply(levels: dict[int, int], changes: list[tuple[int, int]]) -> dict[int, int]:
    assert len(dict(changes)) == len(changes)
    changed = levels | dict(changes)
    return {tick: lots for tick, lots in changed.items() if lots}


def test_changes_beyond_the_best_are_not_told() -> None:
    told = Best(2)
    told.begin(State(1, {10: 1, 9: 1, 8: 1}, {11: 1, 12: 1}, 0))
    assert told.move(depth({8: 5, 7: 1}, {13: 2})) is None
    moved = told.move(depth({10: 0}, {}))
    assert moved is not None and moved.bids == [(8, 5), (10, 0)] and moved.fallen_bids == []
    moved = told.move(depth({10: 3}, {}))
    assert moved is not None and moved.bids == [(10, 3)] and moved.fallen_bids == [(8, 0)]


@pytest.mark.parametrize("count", [10, 1000])
def test_it_follows_a_simulated_book(count: int) -> None:
    market = SimulatedMarket(
        "spot", [listed("EUR/USD", "EUR", "USD", "0.00001", "0.01")], 3, 1_795_000_000_000
    )
    told = Best(count)
    told.begin(State(*market.book("EUR/USD").state(), market.now_ms))
    quiet = 0
    for event in market.advance(market.now_ms + 30_000):
        if isinstance(event, Depth):
            quiet += told.move(event) is None
    bids, asks = market.book("EUR/USD").levels
    assert told.bids == best(bids, count, high=True) and told.asks == best(asks, count, high=False)
    assert (quiet > 0) == (count == 10)
