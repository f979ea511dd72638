"""The simulated halves of CoinGecko, CoinMarketCap and GeckoTerminal, apart from the feeds that read them."""

import json
from functools import reduce
from itertools import pairwise
from typing import Any

import pytest

from connectors.simulator.api import ApiHalf, apis
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.apis.coingecko import CoinGecko
from connectors.simulator.apis.coinmarketcap import CoinMarketCap
from connectors.simulator.apis.gecko_terminal import POOLS, CoinGeckoOnchain, GeckoTerminal
from connectors.simulator.coins import COINS, SECTORS, chance, figures
from connectors.simulator.half import RequestError
from connectors.simulator.symbols import ASSETS
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld, asked

HALVES: tuple[type[ApiHalf], ...] = (CoinGecko, CoinMarketCap, GeckoTerminal, CoinGeckoOnchain)
POOL = f"/api/v2/networks/{POOLS[0].network}/pools/{POOLS[0].address}"


def told(half: ApiHalf, path: str) -> Any:
    return json.loads(asked(half, path).body)


def test_all_are_found_by_name() -> None:
    assert {half.name for half in HALVES} <= apis().keys()


@pytest.mark.parametrize("half", HALVES)
def test_the_same_question_at_the_same_time_has_the_same_answer(half: type[ApiHalf]) -> None:
    names = {"{id}": "bitcoin", "{network}": "eth", "{frame}": "hour", "{address}": POOLS[0].address}
    for template in half().rest:
        path = reduce(lambda text, name: text.replace(name, names[name]), names, f"{template}?id=1")
        assert asked(half(), path) == asked(half(), path)


@pytest.mark.parametrize("half", HALVES)
def test_refusals_are_never_status_200(half: type[ApiHalf]) -> None:
    for fault in ("bad_key", "plan_expired", "limited", "gone"):
        assert half().refusal(fault, 5).status >= 400


def test_coins_are_assets_that_have_a_price() -> None:
    assert {x.asset for x in COINS} <= ASSETS.keys()
    assert len({x.gecko_id for x in COINS}) == len({x.cap_id for x in COINS}) == len(COINS)
    assert all(SECTORS.values())
    assert {x.base for x in POOLS} <= ASSETS.keys()


def test_figures_hang_together() -> None:
    for coin in COINS:
        found = figures(coin, ToyWorld(), NOW_MS)
        assert found.low <= found.price <= found.high
        assert found.cap == found.price * coin.supply
        assert 0 < found.volume < found.cap


def test_chance_is_even_and_stays() -> None:
    drawn = [chance("x", i) for i in range(2000)]
    assert all(0 <= x < 1 for x in drawn)
    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.03
    assert chance("x", 7) == drawn[7]


def test_coins_come_by_market_cap_and_page() -> None:
    first = told(CoinGecko(), "/api/v3/coins/markets?vs_currency=usd&per_page=3&page=2")
    assert [x["market_cap_rank"] for x in first] == [4, 5, 6]
    every = told(CoinGecko(), "/api/v3/coins/markets?vs_currency=usd&per_page=9999")
    caps = [x["market_cap"] for x in every]
    assert caps == sorted(caps, reverse=True)
    assert told(CoinGecko(), "/api/v3/coins/markets?vs_currency=usd&category=unheard-of") == []


def test_charts_are_as_fine_as_their_days_allow() -> None:
    for days, step_ms in ((1, 300_000), (30, 3_600_000), (365, 86_400_000)):
        prices = told(CoinGecko(), f"/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days={days}")[
            "prices"
        ]
        times = [ms for ms, _ in prices]
        assert {b - a for a, b in pairwise(times[:-1])} == {step_ms}
        assert times[-1] == NOW_MS
        assert NOW_MS - times[0] <= days * 86_400_000


def test_bars_of_coins_bear_the_time_of_their_end() -> None:
    bars = told(CoinGecko(), "/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=1")
    expected = ToyWorld().bars("BTC", "USD", 1800, bars[0][0] - 1_800_000, bars[0][0])[0]
    assert bars[0] == [
        expected.open_ms + 1_800_000,
        expected.open,
        expected.high,
        expected.low,
        expected.close,
    ]
    assert bars[-1][0] == NOW_MS


def test_bars_of_pools_are_newest_first_and_end_before_the_time_asked() -> None:
    before_s = NOW_MS // 1000 // 60 * 60
    asked_for = f"{POOL}/ohlcv/minute?aggregate=5&limit=7&before_timestamp={before_s}"
    found = told(GeckoTerminal(), asked_for)["data"]["attributes"]["ohlcv_list"]
    times = [x[0] for x in found]
    assert len(times) == 7
    assert [a - b for a, b in pairwise(times)] == [300] * 6
    assert times[0] < before_s


def test_trades_of_a_pool_are_the_last_300() -> None:
    trades = told(GeckoTerminal(), f"{POOL}/trades")["data"]
    assert len(trades) == len({x["id"] for x in trades}) == 300
    times = [x["attributes"]["block_timestamp"] for x in trades]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("half", "path", "status"),
    [
        (CoinGecko, "/api/v3/coins/nothing/ohlc?days=1", 404),
        (CoinGecko, "/api/v3/coins/bitcoin/ohlc?days=max", 400),
        (CoinMarketCap, "/v1/cryptocurrency/listings/latest?limit=-1", 400),
        (CoinMarketCap, "/v2/cryptocurrency/market-pairs/latest?id=bitcoin", 400),
        (GeckoTerminal, "/api/v2/networks/nowhere/pools", 404),
        (GeckoTerminal, "/api/v2/networks/eth/pools/0x0/trades", 404),
        (GeckoTerminal, f"{POOL}/ohlcv/minute?aggregate=7", 400),
        (GeckoTerminal, f"{POOL}/ohlcv/week", 400),
        (GeckoTerminal, f"{POOL}/ohlcv/hour?limit=many", 400),
    ],
)
def test_bad_questions_are_refused(half: type[ApiHalf], path: str, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        asked(half(), path)
    assert refused.value.status == status
    if half.name == "gecko_terminal":
        assert ApiDesk(half(), ToyWorld()).answer(path).status == status


def test_credits_are_one_of_200_points_and_none_of_the_key_s_own_affairs() -> None:
    desk = ApiDesk(CoinMarketCap(), ToyWorld())
    key = {"x-cmc_pro_api_key": next(iter(CoinMarketCap.keys))}
    used = []
    for path in (
        "/v1/key/info",
        "/v1/cryptocurrency/listings/latest?limit=200",
        "/v1/cryptocurrency/listings/latest?limit=201",
    ):
        before = desk.counters()["units"]
        desk.answer(path, key)
        used.append(desk.counters()["units"] - before)
    assert used == [0, 1, 2]
