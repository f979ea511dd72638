"""Prices of any time: the same however they are asked for, of one piece with the venues' walk, at any interval."""

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.simulator import market as m
from connectors.simulator.api import World, WorldBar
from connectors.simulator.clock import VenueClock
from connectors.simulator.prices import PricePath
from connectors.simulator.symbols import ASSETS, SYMBOLS, listed
from connectors.simulator.weeks import MONDAY_MS, WEEK_MINUTES, WEEK_MS, Past
from connectors.simulator.world import BARS_MAX, PAST_MS, SimulatedWorld, joined, opening_ms

START_MS = 1_795_000_027_000  # 2026-11-18 10:53:47
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PAIRS = [
    ("BTC", "USDT"),
    ("ETH", "BTC"),
    ("EUR", "USD"),
    ("USD", "JPY"),
    ("EUR", "JPY"),
    ("USDT", "USD"),
    ("BTC", "EUR"),
]
pairs = pytest.mark.parametrize("pair", PAIRS, ids="/".join)


def made(past_s: int = 900, seed: int = 7) -> tuple[SimulatedWorld, VenueClock]:
    clock = VenueClock(past_s, manual=True, start_ms=START_MS)
    return SimulatedWorld(seed, clock), clock


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    """One whose play has begun a day ago; nobody moves its clock."""
    return made(past_s=86_400)[0]


def aggregated(minutes: Iterable[WorldBar], interval_s: int) -> list[WorldBar]:
    """By the definition of a bar."""
    groups: dict[int, list[WorldBar]] = {}
    for x in minutes:
        groups.setdefault(opening_ms(x.open_ms, interval_s), []).append(x)
    return [
        WorldBar(
            open_ms, xs[0].open, max(x.high for x in xs), min(x.low for x in xs), xs[-1].close,
            sum(x.volume for x in xs), sum(x.buy_volume for x in xs), sum(x.trades for x in xs),
        )
        for open_ms, xs in groups.items()
    ]  # fmt: skip


def assert_same(found: list[WorldBar], expected: list[WorldBar]) -> None:
    assert [(*x[:5], x.trades) for x in found] == [(*x[:5], x.trades) for x in expected]
    for a, b in zip(found, expected, strict=True):
        assert (a.volume, a.buy_volume) == pytest.approx((b.volume, b.buy_volume), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("interval_s", [300, 900, 3600, 14_400, 86_400, 604_800])
@pairs
def test_a_bar_is_exactly_the_aggregate_of_its_minutes(
    world: SimulatedWorld, pair: tuple[str, str], interval_s: int
) -> None:
    """Over the end of a week, the beginning of the play, and the bar that is open still."""
    from_ms = opening_ms(START_MS - 10 * DAY, interval_s)
    minutes = world.bars(*pair, 60, from_ms, START_MS + HOUR)
    found = world.bars(*pair, interval_s, from_ms, START_MS + HOUR)
    assert len(minutes) >= 10 * 1440 and len(found) >= 2
    assert_same(found, aggregated(minutes, interval_s))
    assert_same(joined(minutes, interval_s), aggregated(minutes, interval_s))


@pairs
def test_minutes_are_of_one_piece(world: SimulatedWorld, pair: tuple[str, str]) -> None:
    bars = world.bars(*pair, 60, START_MS - 3 * DAY, START_MS + 1)
    assert [x.open_ms for x in bars] == list(
        range(bars[0].open_ms, bars[0].open_ms + len(bars) * MINUTE, MINUTE)
    )
    assert bars[-1].open_ms == START_MS // MINUTE * MINUTE
    for before, bar in pairwise(bars):
        assert before.close == bar.open
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert 0 <= bar.buy_volume <= bar.volume and bar.trades >= 0
    for bar in bars[:: len(bars) // 20]:
        assert world.price(*pair, bar.open_ms) == pytest.approx(bar.open, rel=1e-12)
    if pair == ("USDT", "USD"):
        assert {x.close for x in bars} == {1.0}
    else:
        assert max(math.log(x.high / x.low) for x in bars) < 0.03


def test_the_same_seed_gives_the_same_in_any_order() -> None:
    asked = [
        (pair, s, START_MS - days * DAY) for pair in PAIRS for s, days in ((60, 3), (3600, 40), (86_400, 700))
    ]
    (one, _), (two, clock), (other, _) = made(), made(), made(seed=8)
    clock.begin_ms()  # as the first market to move would
    expected = [one.bars(*pair, s, at, at + 50 * s * 1000) for pair, s, at in asked]
    assert [two.bars(*pair, s, at, at + 50 * s * 1000) for pair, s, at in reversed(asked)] == expected[::-1]
    assert other.bars("BTC", "USD", 60, START_MS - HOUR, START_MS) != one.bars(
        "BTC", "USD", 60, START_MS - HOUR, START_MS
    )


def test_what_is_told_stays_as_time_goes_on_and_the_open_bar_grows() -> None:
    world, clock = made(past_s=0)
    told = world.bars("ETH", "USDT", 60, START_MS - HOUR, START_MS)
    growing = [world.bars("ETH", "USDT", 300, START_MS, START_MS + HOUR)]
    for _ in range(90):
        clock.advance(3500)
        growing.append(world.bars("ETH", "USDT", 300, START_MS // 300_000 * 300_000, START_MS + HOUR)[:1])
    for before, after in pairwise(growing[1:]):
        assert after[0].high >= before[0].high and after[0].low <= before[0].low
        assert after[0].volume >= before[0].volume and after[0].trades >= before[0].trades
    clock.advance(3 * DAY)
    assert world.bars("ETH", "USDT", 60, START_MS - HOUR, START_MS)[:-1] == told[:-1]
    week = world.bars("ETH", "USDT", 60, START_MS, START_MS + 3 * DAY)
    clock.advance(9 * DAY)
    assert world.bars("ETH", "USDT", 60, START_MS, START_MS + 3 * DAY) == week


def test_whole_minutes_of_the_play_are_those_of_the_venues_walk() -> None:
    clock = VenueClock(900, manual=True, start_ms=START_MS)
    world = SimulatedWorld(7, clock)
    symbols = [SYMBOLS["BTCUSDT"], listed("EUR/JPY", "EUR", "JPY", "0.001", "1")]
    path, begin_ms = PricePath(symbols, 7), clock.begin_ms()
    for second in range(1, 900):
        logs = path.step()
        if (begin_ms + second * 1000) % MINUTE == 0:
            for symbol, log in zip(symbols, logs.tolist(), strict=True):
                at_ms = begin_ms + second * 1000
                assert world.price(symbol.base, symbol.quote, at_ms) == pytest.approx(
                    math.exp(log), rel=1e-12
                )


def test_the_past_meets_the_present_without_a_jump() -> None:
    for past_s in (0, 900, 907, 13):
        world, clock = made(past_s)
        begin_ms = clock.begin_ms()
        bars = world.bars("BTC", "USD", 60, begin_ms - HOUR, begin_ms + 5 * MINUTE)
        moves = [abs(math.log(x.close / x.open)) for x in bars]
        assert max(moves) < 8 * ASSETS["BTC"].volatility_bps / 1e4 * math.sqrt(60)
        near = world.price("BTC", "USD", begin_ms)
        assert near == pytest.approx(
            ASSETS["BTC"].price, rel=8 * ASSETS["BTC"].volatility_bps / 1e4 * math.sqrt(60)
        )


def test_returns_have_the_volatility_and_correlation_of_the_walk() -> None:
    past, names = Past(3), ["BTC", "ETH", "TRX", "EUR", "GBP"]
    weeks = [np.stack([np.diff(past.path(name, week)) for name in names]) for week in range(2900, 2924)]
    moves = np.concatenate(weeks, axis=1)
    found = np.asarray(np.corrcoef(moves))
    for i, a in enumerate(map(ASSETS.__getitem__, names)):
        assert moves[i].std() * 1e4 / math.sqrt(60) == pytest.approx(a.volatility_bps, rel=0.4)
        for j, b in enumerate(map(ASSETS.__getitem__, names[:i])):
            classes = 1.0 if a.forex == b.forex else 0.25
            expected = a.correlation * b.correlation * classes
            assert float(found[i, j]) == pytest.approx(expected, abs=0.1)
    # Quiet and busy hours alternate: squares of returns are correlated where returns are not.
    hours = np.add.reduceat(moves[0], np.arange(0, moves.shape[1], 60))
    sizes, signed = (np.asarray(np.corrcoef(x[1:], x[:-1])) for x in (np.abs(hours), hours))
    assert sizes[0, 1] > 0.05 and abs(signed[0, 1]) < 0.06


def test_weeks_join(world: SimulatedWorld) -> None:
    past = Past(5)
    for week in (0, 2964, 3998):
        path, following = past.path("SOL", week), past.path("SOL", week + 1)
        assert len(path) == WEEK_MINUTES + 1
        assert path[-1] == pytest.approx(following[0], abs=1e-9)
    with pytest.raises(ValueError, match="expected a week"):
        past.path("SOL", 4000)
    bars = world.bars("SOL", "USD", 604_800, START_MS - 100 * WEEK_MS, START_MS)
    assert len(bars) == 100 and {(x.open_ms - MONDAY_MS) % WEEK_MS for x in bars} == {0}


def test_five_years_of_days_are_there_and_plausible(world: SimulatedWorld) -> None:
    days = world.bars("BTC", "USD", 86_400, 0, START_MS)
    assert len(days) == pytest.approx(PAST_MS // DAY, abs=2)
    assert min(x.low for x in days) > 5_000 and max(x.high for x in days) < 1_000_000
    assert 0.01 < np.median([math.log(x.high / x.low) for x in days]) < 0.08
    assert min(x.volume for x in days) > 0


def test_volume_has_a_daily_pattern(world: SimulatedWorld) -> None:
    for pair, busy, quiet in ((("BTC", "USDT"), 14, 4), (("EUR", "USD"), 14, 21)):
        hours = world.bars(*pair, 3600, START_MS - 60 * DAY, START_MS - DAY)
        by_hour = [np.mean([x.volume for x in hours if x.open_ms // HOUR % 24 == h]) for h in (busy, quiet)]
        assert by_hour[0] > 1.3 * by_hour[1]


def test_the_world_trades_as_much_as_the_market(world: SimulatedWorld) -> None:
    """Within a factor: the past joins the minutes that the market trades."""
    symbol = SYMBOLS["ETHUSDT"]
    market = m.SimulatedMarket("spot", [symbol], 7, START_MS // MINUTE * MINUTE)
    list(market.advance(START_MS // MINUTE * MINUTE + 2 * MINUTE))
    traded = market.bars("ETHUSDT")[0]
    bars = world.bars("ETH", "USDT", 60, START_MS - DAY, START_MS - MINUTE)
    assert 0.25 < np.mean([x.trades for x in bars]) / traded.trades < 4
    assert 0.25 < np.mean([x.volume for x in bars]) / (traded.lots * float(symbol.spot.lot)) < 4


@given(
    interval_s=st.sampled_from([60, 180, 300, 3600, 7200, 86_400, 259_200, 604_800]),
    back_ms=st.integers(-DAY, 40 * DAY), span_ms=st.integers(0, 20 * DAY),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_bars_are_those_that_open_within(
    world: SimulatedWorld, interval_s: int, back_ms: int, span_ms: int
) -> None:
    from_ms = START_MS - back_ms
    found = [x.open_ms for x in world.bars("ADA", "USDT", interval_s, from_ms, from_ms + span_ms)]
    end_ms = min(from_ms + span_ms, START_MS + 1)
    first = opening_ms(from_ms - 1, interval_s) + interval_s * 1000
    assert found == list(range(first, end_ms, interval_s * 1000))


def test_what_cannot_be_asked(world: SimulatedWorld) -> None:
    for interval_s in (0, -60, 1, 90, 420, 100_000):
        with pytest.raises(ValueError, match="expected an interval"):
            world.bars("BTC", "USD", interval_s, 0, START_MS)
    with pytest.raises(KeyError):
        world.bars("NOPE", "USD", 60, START_MS - HOUR, START_MS)
    assert world.bars("BTC", "USD", 60, START_MS + MINUTE, START_MS + HOUR) == []
    bars = world.bars("BTC", "USD", 60, 0, START_MS)
    assert len(bars) in (BARS_MAX, BARS_MAX + 1) and bars[-1].open_ms == START_MS // MINUTE * MINUTE
    typed: World = world
    assert typed.now_ms == START_MS and world.price("BTC", "USD", START_MS + DAY) == world.price(
        "BTC", "USD", START_MS
    )
