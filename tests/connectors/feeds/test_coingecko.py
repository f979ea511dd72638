"""CoinGecko through its simulated half, and what it says when it refuses."""

from collections.abc import Mapping

import msgspec
import pytest

from connectors.facts import CoinMarket, CoinPoint, MarketTotal, Ranking, Sector, SectorMember
from connectors.feed import MONTH_S, Answer, Chosen, Outcome, Poll, Row
from connectors.feeds.coingecko import (
    DEMO,
    FEEDS,
    KEYLESS,
    PRO,
    SECTORS,
    after,
    bars,
    judge,
    parse,
    polls,
    request,
)
from connectors.feeds.gecko_terminal import FEEDS as POOL_FEEDS
from connectors.simulator.api import ApiFault
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.apis.coingecko import DEMO_HEADER, PRO_HEADER, PRO_KEY, CoinGecko
from connectors.simulator.coins import COINS
from connectors.simulator.half import DEMO_KEY
from connectors.venue import Bar, ParseError, Request
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld, asked

NOW_NS = NOW_MS * 10**6
SOME = request("/global")
POLLS: Mapping[str, Poll] = {x.name: x for x in polls(Chosen(DEMO))}
LISTS = ["markets", "global", "categories", "trending", "members/layer-1"]


def rows(path: str, faults: tuple[ApiFault, ...] = (), values_ms: int | None = None) -> list[Row]:
    world = ToyWorld()
    body = asked(CoinGecko(), path, {}, faults, world, values_ms).body
    return parse(path, body, NOW_NS + 7)


def answer(status: int, body: bytes, **headers: str) -> Answer:
    return Answer(status, headers, body)


def coded(status: int, code: int, message: str = "no") -> Answer:
    return answer(status, msgspec.json.encode({"status": {"error_code": code, "error_message": message}}))


# ---- what is asked


def test_a_demo_key_s_month_has_room_for_history_and_pools_too() -> None:
    def a_month(found: list[Poll]) -> float:
        return sum(x.request.weight * x.pages_max * MONTH_S / x.every_s for x in found)

    onchain = next(x for x in POOL_FEEDS if x.name == "coingecko_onchain")
    assert round(a_month(polls(Chosen(DEMO)))) == 5952
    assert round(a_month(polls(Chosen(DEMO)) + onchain.polls(Chosen(DEMO)))) == 5952 + 1302
    assert onchain.key_env == FEEDS[0].key_env
    assert onchain.plans == (DEMO, PRO)


def test_polls_ask_for_pages_of_250_with_changes_over_four_spans() -> None:
    markets = POLLS["markets"]
    assert markets.request.path == (
        "/api/v3/coins/markets?vs_currency=usd&order=market_cap_desc&per_page=250&page=1"
        "&price_change_percentage=1h,24h,7d,30d"
    )
    assert (markets.pages_max, markets.request.weight) == (2, 1)
    assert {f"members/{x}" for x in SECTORS} <= POLLS.keys()
    assert POLLS["members/layer-1"].every_s == 86_400


def test_chosen_coins_are_asked_for_by_their_ids() -> None:
    found = next(x for x in polls(Chosen(DEMO, ("bitcoin", "ethereum"))) if x.name == "markets")
    assert "ids=bitcoin,ethereum" in found.request.path
    assert found.pages_max == 1


def test_plans_send_the_key_in_their_own_header() -> None:
    auth = FEEDS[0].auth
    assert dict(auth(DEMO, "k").headers) == {DEMO_HEADER: "k"}
    assert dict(auth(PRO, "k").headers) == {PRO_HEADER: "k"}
    assert not auth(KEYLESS, "k").headers
    assert (DEMO.url, PRO.url) == ("https://api.coingecko.com", "https://pro-api.coingecko.com")
    assert FEEDS[0].plan("", has_key=False) == KEYLESS
    assert FEEDS[0].plan("", has_key=True) == DEMO


def test_pages_are_followed_while_they_are_full() -> None:
    first = Request(POLLS["markets"].request.path.replace("per_page=250", "per_page=5"), 1)
    found, asked_for = [], []
    following: Request | None = first
    while following is not None:
        asked_for.append(following.path)
        body = asked(CoinGecko(), following.path).body
        found += [x.coin for x in parse(following.path, body, NOW_NS) if isinstance(x, CoinMarket)]
        following = after(following, body)
    assert len(asked_for) == 3
    assert sorted(found) == sorted(x.gecko_id for x in COINS)


def test_a_repeated_page_repeats_rows_and_ends_with_the_poll_s_pages() -> None:
    path = POLLS["markets"].request.path.replace("per_page=250", "per_page=5")
    second = path.replace("&page=1&", "&page=2&")
    again = rows(second, ("repeated_page",))
    assert again == rows(path)
    assert again != rows(second)


def test_history_is_the_chart_then_the_bars_of_the_same_days() -> None:
    first = bars("bitcoin", 14_400, 0, NOW_NS)
    points = rows(first.path)
    assert all(isinstance(x, CoinPoint) for x in points)
    assert len(points) == 30 * 24 + 1  # whole hours, and now
    second = after(first, asked(CoinGecko(), first.path).body)
    assert second is not None
    assert second.path == "/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=30"
    assert after(second, b"[]") is None
    found = [x for x in rows(second.path) if isinstance(x, Bar)]
    assert {x.interval_s for x in found} == {14_400}
    assert [x.closed for x in found] == [True] * (len(found) - 1) + [False]


@pytest.mark.parametrize("interval_s", FEEDS[0].history.intervals_s if FEEDS[0].history else ())
def test_bars_open_where_the_world_s_bars_do(interval_s: int) -> None:
    path = bars("ethereum", interval_s, 0, NOW_NS).path.replace("market_chart", "ohlc")
    world = ToyWorld()
    for bar in rows(path):
        assert isinstance(bar, Bar)
        assert bar.open_ns % (interval_s * 10**9) == 0
        expected = world.bars("ETH", "USD", interval_s, bar.open_ns // 10**6, bar.open_ns // 10**6 + 1)[0]
        assert float(bar.open) == pytest.approx(expected.open)
        assert float(bar.high) == pytest.approx(expected.high)
        assert bar.volume is None and bar.quote_volume is None


# ---- what is told


def test_rows_tell_the_world_s_prices() -> None:
    world = ToyWorld()
    found = {x.coin: x for x in rows(POLLS["markets"].request.path) if isinstance(x, CoinMarket)}
    bitcoin = found["bitcoin"]
    price, before = (world.price("BTC", "USD", NOW_MS - x) for x in (0, 86_400_000))
    assert bitcoin.price_usd == pytest.approx(price)
    assert bitcoin.change_24h_pct == pytest.approx(100 * (price / before - 1))
    assert bitcoin.time_ns == NOW_NS
    assert [x.rank for x in found.values()] == list(range(1, len(COINS) + 1))


def test_totals_are_those_of_the_coins() -> None:
    total = next(x for x in rows("/api/v3/global") if isinstance(x, MarketTotal))
    coins = [x for x in rows(POLLS["markets"].request.path) if isinstance(x, CoinMarket)]
    assert total.market_cap_usd == pytest.approx(sum(x.market_cap_usd or 0 for x in coins))
    assert total.time_ns == NOW_NS // 10**9 * 10**9


def test_members_are_the_sector_s_coins() -> None:
    members = [x for x in rows(POLLS["members/stablecoins"].request.path) if isinstance(x, SectorMember)]
    assert {(x.sector, x.coin, x.symbol) for x in members} == {
        ("stablecoins", "tether", "USDT"), ("stablecoins", "usd-coin", "USDC"),
    }  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_nulls_are_none_and_never_zero(name: str) -> None:
    path = POLLS[name].request.path
    found, usual = rows(path, ("nulls",)), rows(path)
    assert len(found) == len(usual)
    for row in found:
        told = msgspec.structs.asdict(row)
        assert not [x for key, x in told.items() if isinstance(x, float)], name
        if not isinstance(row, Ranking):
            assert told["time_ns"] == NOW_NS + 7  # received then


def test_points_and_bars_without_prices() -> None:
    chart = rows("/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=1", ("nulls",))
    assert {(x.price_usd, x.volume_24h_usd) for x in chart if isinstance(x, CoinPoint)} == {(None, None)}
    assert rows("/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=1", ("nulls",)) == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (POLLS["markets"].request.path, "current_price"),
        ("/api/v3/global", "total_market_cap"),
        ("/api/v3/coins/categories", "market_cap_change_24h"),
        ("/api/v3/search/trending", "data"),
        ("/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=1", "total_volumes"),
        ("/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=1", "array"),
    ],
)
def test_a_renamed_field_is_named_by_the_error(path: str, field: str) -> None:
    with pytest.raises(ParseError, match=field):
        rows(path, ("renamed_column",))


def test_old_values_come_with_new_times() -> None:
    path = POLLS["markets"].request.path
    then = rows(path, ("old_data",), NOW_MS - 3_600_000)
    later = parse(
        path,
        asked(CoinGecko(), path, {}, ("old_data",), ToyWorld(NOW_MS + 60_000), NOW_MS - 3_600_000).body,
        1,
    )
    assert {x.time_ns for x in later if isinstance(x, CoinMarket)} == {NOW_NS + 60_000 * 10**6}
    assert [msgspec.structs.replace(x, time_ns=NOW_NS) for x in later if isinstance(x, CoinMarket)] == then
    assert POLLS["markets"].old_s == 3 * POLLS["markets"].every_s


def test_categories_by_size() -> None:
    found = [x for x in rows("/api/v3/coins/categories") if isinstance(x, Sector)]
    caps = [x.market_cap_usd or 0 for x in found]
    assert caps == sorted(caps, reverse=True)
    assert {x.sector for x in found} == set(SECTORS)


@pytest.mark.parametrize("amount", ["$1.2B", "dollars", "$1,2", "$"])
def test_amounts_in_another_shape_are_refused(amount: str) -> None:
    body = asked(CoinGecko(), "/api/v3/search/trending").body
    told = msgspec.json.decode(body)
    told["coins"][0]["item"]["data"]["total_volume"] = amount
    with pytest.raises(ParseError, match="expected dollars"):
        parse("/api/v3/search/trending", msgspec.json.encode(told), NOW_NS)


def test_instruments_are_in_dollars() -> None:
    canonical = FEEDS[0].canonical
    assert (canonical("bitcoin"), canonical("avalanche-2"), canonical("some-coin")) == (
        "BTC-USD", "AVAX-USD", "SOME-COIN-USD",
    )  # fmt: skip


def test_an_unknown_path_or_days_is_refused() -> None:
    with pytest.raises(ParseError, match="/api/v3/exchanges"):
        parse("/api/v3/exchanges", b"[]", NOW_NS)
    with pytest.raises(ParseError, match="days"):
        parse("/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=7", b"[]", NOW_NS)


# ---- what is refused


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        (coded(401, 10002), Outcome.STOPPED, "key is missing"),
        (coded(400, 10010), Outcome.STOPPED, "plan = pro"),
        (coded(400, 10011), Outcome.STOPPED, "plan = demo"),
        (coded(200, 10011), Outcome.STOPPED, "plan = demo"),
        (coded(401, 10005), Outcome.REFUSED, "plan does not include"),
        (coded(403, 1020), Outcome.STOPPED, "firewall"),
        (answer(403, b"<html>error code: 1020</html>"), Outcome.STOPPED, "refuses this address"),
        (answer(403, b""), Outcome.STOPPED, "403"),
        (answer(401, b'{"error":"unauthorized"}'), Outcome.STOPPED, "401"),
        (answer(404, b'{"error":"coin not found"}'), Outcome.REFUSED, "coin not found"),
        (answer(200, b'{"error":"coin not found"}'), Outcome.REFUSED, "coin not found"),
        (coded(500, 500), Outcome.AGAIN, "500"),
        (coded(200, 503), Outcome.AGAIN, "503"),
        (answer(200, b'{"data":{'), Outcome.AGAIN, "JSON"),
    ],
)  # fmt: skip
def test_documented_errors(said: Answer, outcome: Outcome, reason: str) -> None:
    verdict = judge(SOME, said)
    assert verdict.outcome is outcome
    assert reason in verdict.reason


@pytest.mark.parametrize("said", [coded(429, 429), coded(200, 429), answer(429, b"Throttled")])
def test_a_limit_asks_for_a_minute_at_least(said: Answer) -> None:
    assert judge(SOME, said).outcome is Outcome.WAIT
    assert judge(SOME, said).wait_s == 60
    if said.status == 429:
        later = said._replace(headers={"retry-after": "300"})
        assert judge(SOME, later).wait_s == 300


DESK_FAULTS: list[tuple[ApiFault, Outcome]] = [
    ("bad_key", Outcome.STOPPED), ("plan_expired", Outcome.REFUSED), ("limited", Outcome.WAIT),
    ("gone", Outcome.STOPPED), ("server_error", Outcome.AGAIN), ("html", Outcome.AGAIN), ("empty", Outcome.AGAIN),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "outcome"), DESK_FAULTS)
def test_each_fault_of_the_simulated_api_is_judged(fault: ApiFault, outcome: Outcome) -> None:
    desk = ApiDesk(CoinGecko(), ToyWorld())
    desk.fault(fault)
    reply = desk.answer(SOME.path, {DEMO_HEADER: DEMO_KEY})
    lower = {name.lower(): x for name, x in reply.headers.items()}
    assert judge(SOME, Answer(reply.status, lower, reply.body)).outcome is outcome


def test_keys_of_the_other_kind_and_unknown_ones() -> None:
    desk = ApiDesk(CoinGecko(), ToyWorld())
    refused = [
        ({DEMO_HEADER: PRO_KEY}, "plan = pro"),
        ({PRO_HEADER: DEMO_KEY}, "plan = demo"),
        ({DEMO_HEADER: "another"}, "missing"),
    ]
    for headers, reason in refused:
        reply = desk.answer(SOME.path, headers)
        verdict = judge(SOME, Answer(reply.status, {}, reply.body))
        assert verdict.outcome is Outcome.STOPPED
        assert reason in verdict.reason


def test_the_vendor_s_minute_is_counted() -> None:
    desk = ApiDesk(CoinGecko(), ToyWorld())
    said = [desk.answer(SOME.path, {DEMO_HEADER: DEMO_KEY}).status for _ in range(31)]
    assert said == [200] * 30 + [429]
