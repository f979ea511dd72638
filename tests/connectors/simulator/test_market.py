"""The invented market: repeatable, plausible, and its diffs rebuild its true book at every update id."""

import hashlib
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import venue
from connectors.book_sync import Verdict, verdict
from connectors.record import Record, encode_line
from connectors.simulator.binance import REST, Binance, channels
from connectors.simulator.book import SimulatedBook
from connectors.simulator.half import State
from connectors.simulator.market import Bar, BestQuote, Depth, Liquidation, Mark, SimulatedMarket, Trade
from connectors.simulator.prices import PricePath
from connectors.simulator.step import ASK, BID, Shape
from connectors.simulator.symbols import ASSETS, SYMBOLS, Kind, listed
from flows.kernels import book
from flows.kernels.depth import DepthKernel

START_MS = 1_795_000_000_000
ALL = list(SYMBOLS.values())
KINDS: tuple[Kind, ...] = ("spot", "futures")
BTC, ETH, DOGE = (SYMBOLS[f"{base}USDT"] for base in ("BTC", "ETH", "DOGE"))
both = pytest.mark.parametrize("kind", KINDS)


def frames(kind: Kind, seed: int, symbols: list = ALL) -> str:
    market, binance = SimulatedMarket(kind, symbols, seed, START_MS), Binance(kind, symbols)
    wanted, said = set(channels(kind, symbols)), hashlib.sha256()
    for until_s, step_ms in ((20, 1000), (22, 100)):
        for event in market.advance(START_MS + until_s * 1000, step_ms):
            for _, payload in binance.frames(event, wanted):
                said.update(payload)
    return said.hexdigest()


@both
def test_a_seed_gives_the_same_bytes_again_and_another_seed_others(kind: Kind) -> None:
    assert frames(kind, 7) == frames(kind, 7) != frames(kind, 8)


def test_returns_are_correlated_as_set_and_as_volatile() -> None:
    path = PricePath(ALL, seed=3)
    logs = np.array([path.step() for _ in range(20_000)])
    returns = np.diff(logs, axis=0)
    found = np.corrcoef(returns.T)
    assets = [ASSETS[x.base] for x in ALL]
    for i, a in enumerate(assets):
        assert returns[:, i].std() * 1e4 == pytest.approx(a.volatility_bps, rel=0.3)
        for j, b in enumerate(assets[:i]):
            assert found[i, j] == pytest.approx(a.correlation * b.correlation, abs=0.12)


def test_a_rate_is_the_ratio_of_its_assets_whoever_lists_it() -> None:
    names = [
        ("BTC/USD", "BTC", "USD"),
        ("USD/JPY", "USD", "JPY"),
        ("EUR/JPY", "EUR", "JPY"),
        ("EUR/USD", "EUR", "USD"),
    ]
    symbols = [listed(*name, "0.01", "0.01") for name in names]
    path, alone, binance = (PricePath(x, 3) for x in (symbols, symbols[:1], ALL))
    for _ in range(100):
        btc, usd_jpy, eur_jpy, eur_usd = path.step()
        assert eur_jpy == pytest.approx(eur_usd + usd_jpy, abs=1e-12)
        assert alone.step()[0] == btc == binance.step()[0]


def test_forex_is_calm_beside_crypto() -> None:
    symbols = [
        listed("EUR/USD", "EUR", "USD", "0.00001", "0.01"),
        listed("GBP/USD", "GBP", "USD", "0.00001", "0.01"),
    ]
    path = PricePath([*symbols, BTC], seed=3)
    returns = np.diff([path.step() for _ in range(5000)], axis=0)
    eur, gbp, btc = returns.std(axis=0)
    assert eur < btc / 3 and gbp < btc / 3
    assert 0.5 < np.corrcoef(returns.T)[0, 1] < 0.9


def test_both_markets_follow_one_path_whatever_their_steps() -> None:
    """Spot in steps of a second, futures of 100 ms: they end a basis of a few bps apart."""
    spot, futures = (SimulatedMarket(kind, ALL, 5, START_MS) for kind in KINDS)
    list(spot.advance(START_MS + 120_000, 1000))
    list(futures.advance(START_MS + 120_000))
    for symbol in ("BTCUSDT", "ETHUSDT"):
        grids = SYMBOLS[symbol].spot, SYMBOLS[symbol].futures
        a, b = (x.book(symbol).bid * float(g.tick) for x, g in zip((spot, futures), grids, strict=True))
        assert abs(b / a - 1) * 1e4 < 15


@both
@pytest.mark.parametrize("step_ms", [100, 1000])
def test_the_touch_is_the_best_and_never_crossed(kind: Kind, step_ms: int) -> None:
    market = SimulatedMarket(kind, ALL, 11, START_MS)
    for second in range(1, 40):
        list(market.advance(START_MS + second * 1000, step_ms))
        for symbol in ALL:
            book = market.book(symbol.symbol)
            bids, asks = book.levels
            assert (book.bid, book.ask) == (max(bids), min(asks))
            assert book.ask - book.bid >= 1
            assert min(bids.values()) > 0 < min(asks.values())
            assert len(bids) > 8 < len(asks)


@given(seed=st.integers(0, 10_000), moves=st.lists(st.floats(-60, 60), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_a_book_bears_any_price_path(seed: int, moves: list[float]) -> None:
    """Jumps of up to 60 bps a step, on a coarse grid: the book stays whole and ordered, its changes explain it."""
    book = SimulatedBook(Shape(0.01, 0.01, 5000, 5, 5, 3), 24.0, 1000, [seed])
    sides = [dict(side) for side in book.levels]
    price = 24.0
    for move in moves:
        price *= 1 + move / 1e4
        step = book.step(price, 0.1)
        for side, tick, before, lots in step.changes:
            assert sides[side].get(tick, 0) == before
            sides[side][tick] = lots
            if not lots:
                del sides[side][tick]
        assert tuple(sides) == book.levels
        assert max(sides[BID]) == book.bid < book.ask == min(sides[ASK])
        assert step.last_id - step.first_id + 1 == len(step.changes)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_state_within_a_step_is_the_state_after_its_first_changes(seed: int) -> None:
    book = SimulatedBook(Shape(0.01, 0.01, 5000, 5, 9, 3, id_stride=50), 24.0, 1000, [seed])
    for _ in range(5):
        before_id, *before = book.state()
        step = book.step(24.0, 0.1)
        assert book.state(undo=len(step.changes)) == (before_id, *before)
        for done, change in enumerate(step.changes, 1):
            before[change.side][change.tick] = change.lots
            if not change.lots:
                del before[change.side][change.tick]
            update_id, bids, asks = book.state(undo=len(step.changes) - done)
            assert [bids, asks] == before
            assert step.first_id <= update_id <= step.last_id


@both
def test_ids_follow_the_venues_rule(kind: Kind) -> None:
    market = SimulatedMarket(kind, ALL, 2, START_MS)
    rule = venue.market(f"binance_{kind}").wire.rule
    stands = {x.symbol: market.book(x.symbol).update_id for x in ALL}
    jumps = 0
    for event in market.advance(START_MS + 10_000):
        if isinstance(event, Depth):
            book_id = stands[event.symbol]
            previous_id = event.previous_id if kind == "futures" else -1
            assert verdict(rule, False, book_id, event.first_id, event.last_id, previous_id) == Verdict.NEXT
            jumps += event.first_id != book_id + 1
            stands[event.symbol] = event.last_id
    assert (jumps > 100) == (kind == "futures")
    assert stands == {x.symbol: market.book(x.symbol).update_id for x in ALL}


@both
def test_the_kernel_rebuilds_the_true_book_at_every_update_id(kind: Kind) -> None:
    symbols = [BTC, DOGE]
    market, binance = SimulatedMarket(kind, symbols, 4, START_MS), Binance(kind, symbols)
    list(market.advance(START_MS + 5000, 1000))
    kernel, checked = DepthKernel(venue.market(f"binance_{kind}"), 0), 0
    for symbol in symbols:
        book, name = market.book(symbol.symbol), symbol.symbol
        # Taken in the midst of a step, so that the step's diff reaches over it.
        body = binance.snapshot(name, 5000, State(*book.state(undo=2), market.now_ms))
        origin = f"GET:{REST[kind]}/depth?symbol={name}&limit=5000".encode()
        kernel.on_records([Record(name.encode(), 0, encode_line(market.now_ms * 10**6, origin, body))])
        last = book.last
        sides: tuple[dict, dict] = ({}, {})
        for change in last.changes:
            sides[change.side][change.tick] = change.lots
        _feed(
            kernel, binance,
            Depth(name, market.now_ms, *last[1:3], last.previous_id, list(sides[0].items()), list(sides[1].items())),
        )  # fmt: skip
    for until_ms in range(market.now_ms + 100, START_MS + 25_000, 100):
        for event in market.advance(until_ms):
            if isinstance(event, Depth):
                _feed(kernel, binance, event)
                checked += 1
                if checked % 5 == 0:
                    assert _held(kernel, event.symbol) == _true(market, binance, event.symbol)
    assert checked > 150
    assert kernel.counts["gaps"] == kernel.counts["stale_snapshots"] == kernel.counts["dead_letters"] == 0


def _feed(kernel: DepthKernel, binance: Binance, event: Depth) -> None:
    stream = f"{event.symbol.lower()}@depth@100ms"
    for _, payload in binance.frames(event, {stream}):
        kernel.on_records(
            [Record(event.symbol.encode(), 0, encode_line(event.event_ms * 10**6, b"ws-1", payload))]
        )


def _held(kernel: DepthKernel, symbol: str) -> list[dict[Decimal, Decimal]]:
    state = kernel._books[symbol.encode()]
    ticks, lots, sides = state.levels()
    price, size = (Decimal(1).scaleb(-int(x)) for x in _decimals(state))
    return [
        {int(t) * price: int(n) * size for t, n, s in zip(ticks, lots, sides, strict=True) if s == side}
        for side in (0, 1)
    ]


def _decimals(state) -> tuple[int, int]:
    return int(state.meta[book.PRICE_DECIMALS]), int(state.meta[book.SIZE_DECIMALS])


def _true(market: SimulatedMarket, binance: Binance, symbol: str) -> list[dict[Decimal, Decimal]]:
    _, *sides = market.book(symbol).state()
    return [{Decimal(p): Decimal(n) for p, n in binance.levels(symbol, side)} for side in sides]


def test_depth_and_rates_are_near_the_recordings() -> None:
    """Of BTC and ETH spot, 2024-08-08: diffs and trades a second, levels a diff, depth by distance."""
    recorded = {
        # aggregate trades a second, mean levels a diff, base currency within 10 bps, price
        "BTCUSDT": (16.8, 36.0, 48.0, 61_800),
        "ETHUSDT": (8.7, 31.1, 640.0, 2_682),
    }
    market = SimulatedMarket("spot", [BTC, ETH], 6, START_MS)
    for name, (trades_s, levels, depth, price) in recorded.items():
        assert len(market.book(name).levels[BID]) > 300
        del trades_s, levels, depth, price
    events = list(market.advance(START_MS + 120_000))
    for name, (trades_s, levels, depth, price) in recorded.items():
        diffs = [x for x in events if isinstance(x, Depth) and x.symbol == name]
        trades = [x for x in events if isinstance(x, Trade) and x.symbol == name]
        assert len(diffs) / 120 == pytest.approx(10, rel=0.05)
        assert trades_s / 2 < len(trades) / 120 < trades_s * 2
        assert levels / 2 < np.mean([len(x.bids) + len(x.asks) for x in diffs]) < levels * 2
        book, grid = market.book(name), SYMBOLS[name].spot
        near = sum(n for t, n in book.levels[BID].items() if t > book.bid * 0.999) * float(grid.lot)
        usd = near * book.bid * float(grid.tick)
        assert depth * price / 4 < usd < depth * price * 4


def test_depth_rises_from_the_touch() -> None:
    market = SimulatedMarket("spot", ALL, 9, START_MS)
    near = far = 0
    for second in range(1, 31):
        list(market.advance(START_MS + second * 1000))
        book = market.book("BTCUSDT")
        walls = {tick for side, tick in book.walls if side == BID}
        sizes = {t: n for t, n in book.levels[BID].items() if t not in walls}
        near += sum(n for t, n in sizes.items() if book.bid * (1 - 2e-4) <= t < book.bid)
        far += sum(n for t, n in sizes.items() if book.bid * (1 - 22e-4) <= t < book.bid * (1 - 20e-4))
    assert 0 < near < far


def test_walls_stand_out_hold_and_go() -> None:
    market = SimulatedMarket("spot", [BTC], 1, START_MS)
    seen: dict[tuple[int, int], int] = {}
    for second in range(1, 400):
        list(market.advance(START_MS + second * 1000, 1000))
        book = market.book("BTCUSDT")
        for key, wall in book.walls.items():
            assert book.levels[wall.side][wall.tick] <= wall.lots
            seen[key] = seen.get(key, 0) + 1
    assert len(seen) > 5
    assert max(seen.values()) > 60
    assert any(key not in market.book("BTCUSDT").walls for key in seen)


def test_a_crossed_book_heals() -> None:
    market = SimulatedMarket("spot", [BTC], 1, START_MS)
    book = market.book("BTCUSDT")
    book.cross(2)
    crossed = []
    for step in range(1, 5):
        list(market.advance(START_MS + step * 100))
        crossed.append(max(book.levels[BID]) >= min(book.levels[ASK]))
    assert crossed == [True, True, False, False]


def test_futures_have_marks_and_liquidations_spot_has_neither() -> None:
    events = list(SimulatedMarket("futures", ALL, 3, START_MS).advance(START_MS + 300_000, 1000))
    marks = [x for x in events if isinstance(x, Mark)]
    assert len(marks) == 300 * len(ALL)
    assert all(abs(x.price / x.index_price - 1) < 0.002 and x.next_funding_ms > x.event_ms for x in marks)
    forced = [x for x in events if isinstance(x, Liquidation)]
    assert forced
    assert len({(x.symbol, x.event_ms // 1000) for x in forced}) == len(forced)
    assert all(x.tick <= x.mean_tick if x.sold else x.tick >= x.mean_tick - 1 for x in forced)
    spot = SimulatedMarket("spot", ALL, 3, START_MS).advance(START_MS + 20_000, 1000)
    assert not any(isinstance(x, Mark | Liquidation) for x in spot)


def test_liquidations_come_with_big_moves_and_hurt_who_they_go_against() -> None:
    market, path = SimulatedMarket("futures", ALL, 3, START_MS), PricePath(ALL, 3)
    logs = np.array([path.logs] + [path.step() for _ in range(600)])
    moves = np.diff(logs, axis=0)
    events = list(market.advance(START_MS + 600_000, 1000))
    at = {x.symbol: i for i, x in enumerate(ALL)}
    # Of each the second in which it came: a venue tells a symbol up to 97 ms early.
    forced = [(x, (x.event_ms + 97 - START_MS) // 1000) for x in events if isinstance(x, Liquidation)]
    found = np.array([moves[second, at[x.symbol]] for x, second in forced])
    assert [x.sold for x, _ in forced] == (found < 0).tolist()
    typical = np.array([ASSETS[x.base].volatility_bps for x in ALL]) / 1e4
    sigmas = np.abs(found) / typical[[at[x.symbol] for x, _ in forced]]
    is_big = np.abs(moves) > 2 * typical
    big, small = (sigmas > 2).sum() / is_big.sum(), (sigmas <= 2).sum() / (~is_big).sum()
    assert {x.symbol for x, _ in forced} == set(at)
    assert big > 5 * small


def test_a_funding_rate_stands_for_a_minute() -> None:
    events = SimulatedMarket("futures", [BTC], 3, START_MS).advance(START_MS + 300_000, 1000)
    rates = [x.funding_rate for x in events if isinstance(x, Mark)]
    changes = [i for i, (a, b) in enumerate(pairwise(rates)) if a != b]
    assert 4 <= len(changes) <= 5
    assert all(b - a == 60 for a, b in pairwise(changes))


@both
def test_bars_say_what_the_trades_said(kind: Kind) -> None:
    market = SimulatedMarket(kind, [ETH], 3, START_MS)
    events = list(market.advance(START_MS + 150_000, 1000))
    closed = [x for x in events if isinstance(x, Bar) and x.closed]
    assert len(closed) >= 2
    for bar in closed:
        trades = [
            x for x in events if isinstance(x, Trade) and bar.open_ms <= x.event_ms < bar.open_ms + 60_000
        ]
        ticks = [x.tick for x in trades]
        assert (bar.open, bar.high, bar.low, bar.close) == (ticks[0], max(ticks), min(ticks), ticks[-1])
        assert bar.lots == sum(x.lots for x in trades)
        assert bar.buy_value == sum(x.lots * x.tick for x in trades if not x.sold)
        assert (bar.first_id, bar.last_id, bar.trades) == (
            trades[0].trade_id,
            trades[-1].trade_id,
            len(trades),
        )


@both
@pytest.mark.parametrize("step_ms", [100, 1000])
def test_times_rise_and_ids_are_whole(kind: Kind, step_ms: int) -> None:
    market = SimulatedMarket(kind, [BTC, ETH], 3, START_MS)
    events = list(market.advance(START_MS + 20_000, step_ms))
    for name in ("BTCUSDT", "ETHUSDT"):
        for each in (Depth, Trade, BestQuote):
            times = [x.event_ms for x in events if isinstance(x, each) and x.symbol == name]
            assert times == sorted(times)
            assert times[0] > START_MS - 100 and times[-1] <= START_MS + 20_000
        ids = [x.trade_id for x in events if isinstance(x, Trade) and x.symbol == name]
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_steps_that_do_not_fit_are_refused() -> None:
    market = SimulatedMarket("spot", [BTC], 1, START_MS)
    with pytest.raises(ValueError, match="expected steps that divide 1000"):
        list(market.advance(START_MS + 1000, 300))
    with pytest.raises(ValueError, match="whole second"):
        SimulatedMarket("spot", [BTC], 1, START_MS + 1)
