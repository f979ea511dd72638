"""What the board asks about trades, on the real engine as the board user, against loops over the prints."""

import numpy as np
import pytest

from dashboards.board import level_queries, tape_queries
from dashboards.board.queries import Book
from dashboards.board.tape_queries import Facts, Node
from sql.client import Store
from tests.dashboards import market, tape
from tests.dashboards.market import NAMES, START, STEP, TIMES, best_bid

EVER = 2**32 - 1
BOOK = Book(*NAMES, newest_s=TIMES[-1], tick=market.TICK)
NOBODY = Book("NO-SUCH", "binance_futures", 0, 0.1)
LOT = 10**-tape.DECIMALS


@pytest.mark.parametrize("interval_s", [1, 10, 60])
def test_flow_is_what_traded(board: Store, interval_s: int) -> None:
    found = tape_queries.flow(board, BOOK, interval_s, START, START + 180)
    bars = {at: prints for at, prints in tape.bars(interval_s).items() if START <= at < START + 180}
    assert found.time_s.tolist() == sorted(bars)
    for at, open_s in enumerate(sorted(bars)):
        prints = bars[open_s]
        bought = sum(one.lots for one in prints if one.buy) * LOT
        sold = sum(one.lots for one in prints if not one.buy) * LOT
        assert (found.buy[at], found.sell[at]) == (bought, sold)
        assert found.classes[at].sum() == pytest.approx(bought - sold)
        assert found.high[at] == max(one.price for one in prints)
        assert found.quote[at] == pytest.approx(sum(one.price * one.lots * LOT for one in prints))
        broken = any(one.time_ns // tape.S % 60 == 30 for one in prints)
        assert found.whole[at] == (interval_s == 60 or not broken)
    assert tape_queries.flow(board, NOBODY, interval_s, 0, EVER).time_s.size == 0


@pytest.mark.parametrize(
    "span", [(START, START + 60), (START - 3600, START + 187), (START + 7, START + 133), (0, START + 180)]
)
def test_sums_and_profile_over_mixed_bars(board: Store, span: tuple[int, int]) -> None:
    inside = [one for one in tape.PRINTS if span[0] <= one.time_ns // tape.S < span[1]]
    sums = tape_queries.sums(board, BOOK, *span)
    volume = sum(one.lots for one in inside) * LOT
    assert sums.volume == pytest.approx(volume)
    assert sums.vwap == pytest.approx(sum(one.price * one.lots * LOT for one in inside) / volume)
    assert (sums.open, sums.buy - sums.sell) == (inside[0].price, pytest.approx(sum(sums.classes)))
    first, end = -(-span[0] // 10) * 10, span[1] // 10 * 10
    inside = [one for one in tape.PRINTS if first <= one.time_ns // tape.S < end]
    profile = tape_queries.profile(board, BOOK, *span)
    assert profile is not None
    by_row = {profile.first + at: int(lots) for at, lots in enumerate(profile.volume) if lots}
    expected: dict[int, int] = {}
    for one in inside:
        expected[int(one.price // STEP)] = expected.get(int(one.price // STEP), 0) + one.lots
    assert by_row == expected
    assert profile.buy.sum() == sum(one.lots for one in inside if one.buy)


def test_nothing_traded(board: Store) -> None:
    assert tape_queries.profile(board, NOBODY, 0, EVER) is None
    assert tape_queries.sums(board, NOBODY, 0, EVER).volume == 0
    assert tape_queries.sums(board, BOOK, 7, 8).volume == 0
    assert tape_queries.first_trade(board, NOBODY, 0) == 0
    assert tape_queries.first_trade(board, BOOK, tape.DAY) == START - 1800
    assert tape_queries.traded_until(board, NOBODY) is None
    assert tape_queries.facts(board, NOBODY, START) == Facts(None, None, None)
    assert tape_queries.nodes(board, NOBODY, "day", START) == Node((), ())
    for question in (tape_queries.large_trades, tape_queries.liquidations, level_queries.events):
        assert question(board, NOBODY, 0, EVER) == []
    assert level_queries.walls(board, NOBODY, START) == level_queries.levels(board, NOBODY, START) == []


def test_footprints_are_grouped_by_row(board: Store) -> None:
    bars = tape_queries.footprints(board, BOOK, 10, 4, STEP, START + 20, START + 60)
    assert [bar.open_s for bar in bars] == [START + 20, START + 30, START + 40, START + 50]
    prints = tape.bars(10)[START + 20]
    for at in range(len(bars[0].buy)):
        rows = [one for one in prints if int(one.price // STEP) // 4 == bars[0].first + at]
        assert bars[0].buy[at] == sum(one.lots for one in rows if one.buy)
        assert bars[0].sell[at] == sum(one.lots for one in rows if not one.buy)
    assert tape_queries.footprints(board, BOOK, 10, 4, 2 * STEP, START, EVER) == []


def test_sessions(board: Store) -> None:
    assert tape_queries.session_opens(board, BOOK, START, START + 60) == [tape.DAY]
    assert tape_queries.session_opens(board, BOOK, tape.DAY - 60, EVER) == [tape.LONG_AGO, tape.DAY]
    assert tape_queries.traded_until(board, BOOK) == TIMES[-1] + 1


def test_naked_points_are_those_not_traded_at_since(board: Store) -> None:
    node = tape_queries.nodes(board, BOOK, "day", START + 3600)
    assert node.hvn == (best_bid(0), best_bid(0) + 2)
    # That of the day before the last lies within today's prices; the later one does not.
    assert node.naked == ((tape.NAKED + STEP / 2, tape.LONG_AGO),)


def test_large_trades_and_liquidations(board: Store) -> None:
    large = tape_queries.large_trades(board, BOOK, START, START + 21)
    assert [(one.time_ms, one.size, one.buy) for one in large] == [
        (second * 1000 + 60, 3.0 + second % 7, second % 20 != 0) for second in (START, START + 10, START + 20)
    ]
    forced = tape_queries.liquidations(board, BOOK, 0, EVER)
    assert [(one.size, one.buy) for one in forced] == [(1.5, False), (0.5, True)]


def test_only_walls_that_stand(board: Store) -> None:
    (wall,) = level_queries.walls(board, BOOK, TIMES[-1] + 1)
    assert (wall.side, wall.price, wall.from_s, wall.size) == ("ask", 3240.0, TIMES[-1] - 89, 12.5)
    assert level_queries.walls(board, BOOK, TIMES[-1] + 120) == []


def test_levels_are_those_of_the_newest_minute(board: Store) -> None:
    levels = level_queries.levels(board, BOOK, START + 190)
    assert [(level.price, level.side, level.strength) for level in levels] == [
        (3245.0, "resistance", 72.0),
        (3220.5, "support", 40.0),
    ]
    assert levels[0].evidence[0] == ("wall", "kraken", 3245.0, 30.0, START)
    assert [level.price for level in level_queries.levels(board, BOOK, START + 110)] == [3244.0, 3219.5]
    assert level_queries.levels(board, BOOK, START + 3600) == []


def test_events(board: Store) -> None:
    kinds = {event.kind for event in level_queries.events(board, BOOK, START, EVER)}
    assert kinds == {"pull", "refill", "absorption"}


def test_facts_of_the_derivative(board: Store) -> None:
    assert tape_queries.facts(board, BOOK, TIMES[-1]) == Facts((0.0002, START + 4 * 3600), 950.0, (1.5, 0.5))
    assert tape_queries.facts(board, BOOK, TIMES[-1] + 3700).liquidated == (0.0, 0.0)
    time_ms, interest = tape_queries.open_interest(board, BOOK, START, EVER)
    np.testing.assert_array_equal(interest, [900.0, 950.0])
    assert time_ms.tolist() == [TIMES[0] * 1000, TIMES[150] * 1000]
