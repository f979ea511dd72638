"""CoinMarketCap through its simulated half, and what it says when it refuses."""

from collections.abc import Mapping

import msgspec
import pytest

from connectors.facts import CoinMarket, MarketPair, MarketTotal, Ranking, Sector, Sentiment
from connectors.feed import MONTH_S, Answer, Chosen, Outcome, Poll, Row
from connectors.feeds.coinmarketcap import BASIC, FEEDS, after, judge, parse, polls, request
from connectors.simulator.api import ApiFault, Window
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.apis.coinmarketcap import HEADER, CoinMarketCap
from connectors.simulator.coins import COINS
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld, asked

NOW_NS = NOW_MS * 10**6
POLLS: Mapping[str, Poll] = {x.name: x for x in polls(Chosen(BASIC))}
SOME = request("/v1/key/info")
FIELDS = {
    "listings": "price", "global": "total_market_cap", "categories": "market_cap", "fear_and_greed": "value",
    "trending": "price", "gainers": "price", "losers": "price", "most_visited": "price",
    "market_pairs/1": "volume_24h",
}  # fmt: skip


def rows(path: str, faults: tuple[ApiFault, ...] = ()) -> list[Row]:
    return parse(path, asked(CoinMarketCap(), path, {}, faults).body, NOW_NS + 7)


def coded(status: int, code: int | str, timestamp: str | None = "2026-11-22T14:00:00.000Z") -> Answer:
    said = {"status": {"timestamp": timestamp, "error_code": code, "error_message": "no"}}
    return Answer(status, {}, msgspec.json.encode(said))


# ---- what is asked


def test_a_free_key_s_month_has_room() -> None:
    assert round(sum(x.request.weight * x.pages_max * MONTH_S / x.every_s for x in POLLS.values())) == 6355


def test_credits_are_those_that_the_vendor_counts() -> None:
    desk = ApiDesk(CoinMarketCap(), ToyWorld())
    for poll in POLLS.values():
        before = desk.counters()["units"]
        desk.answer(poll.request.path, {HEADER: DEMO_KEY})
        assert desk.counters()["units"] - before == poll.request.weight


def test_pages_go_on_where_the_last_ended() -> None:
    first = Request(POLLS["listings"].request.path.replace("limit=200", "limit=5"), 1)
    following: Request | None = first
    found: list[str] = []
    starts = []
    while following is not None:
        starts.append(following.path.partition("start=")[2].partition("&")[0])
        body = asked(CoinMarketCap(), following.path).body
        found += [x.coin for x in parse(following.path, body, NOW_NS) if isinstance(x, CoinMarket)]
        following = after(following, body)
    assert starts == ["1", "6", "11"]
    assert sorted(found) == sorted(str(x.cap_id) for x in COINS)


def test_a_repeated_page_repeats_rows() -> None:
    path = POLLS["listings"].request.path.replace("limit=200", "limit=5")
    second = path.replace("start=1&", "start=6&")
    assert rows(second, ("repeated_page",)) == rows(path) != rows(second)


# ---- what is told


def test_every_poll_tells_rows_of_its_kind() -> None:
    kinds = {
        "listings": CoinMarket, "global": MarketTotal, "categories": Sector, "fear_and_greed": Sentiment,
        "market_pairs/1": MarketPair, "trending": Ranking, "gainers": Ranking,
    }  # fmt: skip
    for name, kind in kinds.items():
        found = rows(POLLS[name].request.path)
        assert found
        assert {type(x) for x in found} == {kind}


def test_prices_and_changes_are_the_world_s() -> None:
    world = ToyWorld()
    found = {x.coin: x for x in rows(POLLS["listings"].request.path) if isinstance(x, CoinMarket)}
    price, before = (world.price("ETH", "USD", NOW_MS - x) for x in (0, 3_600_000))
    assert found["1027"].price_usd == pytest.approx(price)
    assert found["1027"].change_1h_pct == pytest.approx(100 * (price / before - 1), abs=1e-9)
    assert sum(x.dominance_pct or 0 for x in found.values()) == pytest.approx(100)
    assert {x.time_ns for x in found.values()} == {NOW_NS}


def test_gainers_and_losers_are_told_apart_by_what_was_asked() -> None:
    gainers, losers = (
        [x for x in rows(POLLS[name].request.path) if isinstance(x, Ranking)]
        for name in ("gainers", "losers")
    )
    assert {x.ranking for x in gainers} == {"gainers"}
    assert {x.ranking for x in losers} == {"losers"}
    assert [x.place for x in gainers] == list(range(1, len(COINS) + 1))
    assert (gainers[0].change_pct or 0) >= (losers[0].change_pct or 0)


def test_fear_and_greed_has_its_own_time() -> None:
    found = rows("/v3/fear-and-greed/latest")[0]
    assert isinstance(found, Sentiment)
    assert (found.index, 0 <= found.value <= 100) == ("fear_and_greed", True)
    assert found.time_ns == NOW_NS // (86_400 * 10**9) * 86_400 * 10**9
    said = (
        b'{"data":{"value":40,"value_classification":"Neutral","update_time":"2024-09-19T02:54:56.017Z"},'
        b'"status":{"timestamp":"2024-09-19T04:54:57.017Z","error_code":"0","error_message":"","credit_count":1}}'
    )
    told = parse("/v3/fear-and-greed/latest", said, NOW_NS)
    assert told == [
        Sentiment(source="coinmarketcap", index="fear_and_greed", time_ns=1_726_714_496_017 * 10**6, value=40.0,
                  label="Neutral")
    ]  # fmt: skip
    assert judge(SOME, Answer(200, {}, said)).outcome is Outcome.GOOD


@pytest.mark.parametrize("name", [x for x in FIELDS if x != "fear_and_greed"])
def test_nulls_are_none_and_never_zero(name: str) -> None:
    path = POLLS[name].request.path
    found = rows(path, ("nulls",))
    assert len(found) == len(rows(path))
    for row in found:
        assert not [x for x in msgspec.structs.asdict(row).values() if isinstance(x, float)]


@pytest.mark.parametrize(("name", "field"), FIELDS.items())
def test_a_renamed_field_is_named_by_the_error(name: str, field: str) -> None:
    with pytest.raises(ParseError, match=f"`{field}`"):
        rows(POLLS[name].request.path, ("renamed_column",))


def test_old_values_come_with_new_times() -> None:
    path = POLLS["listings"].request.path
    old_ms = NOW_MS - 3_600_000
    found = [
        parse(path, asked(CoinMarketCap(), path, {}, ("old_data",), ToyWorld(x), old_ms).body, NOW_NS)
        for x in (NOW_MS, NOW_MS + 60_000)
    ]
    for one, other in zip(*found, strict=True):
        assert isinstance(one, CoinMarket)
        assert isinstance(other, CoinMarket)
        assert other.time_ns - one.time_ns == 60 * 10**9
        assert msgspec.structs.replace(other, time_ns=one.time_ns) == one


# ---- what is refused


@pytest.mark.parametrize(
    ("status", "code", "outcome", "wait_s"),
    [
        (401, 1001, Outcome.STOPPED, None), (401, 1002, Outcome.STOPPED, None), (402, 1003, Outcome.STOPPED, None),
        (402, 1004, Outcome.STOPPED, None), (403, 1005, Outcome.STOPPED, None), (403, 1006, Outcome.REFUSED, None),
        (403, 1007, Outcome.STOPPED, None), (429, 1008, Outcome.WAIT, 60.0), (429, 1009, Outcome.WAIT, 36_000.0),
        (429, 1010, Outcome.WAIT, 86_400.0), (429, 1011, Outcome.WAIT, 60.0), (500, 500, Outcome.AGAIN, None),
        (400, 400, Outcome.REFUSED, None),
    ],
)  # fmt: skip
def test_documented_codes_count_with_status_200_too(
    status: int, code: int, outcome: Outcome, wait_s: float | None
) -> None:
    for said in (coded(status, code), coded(200, code), coded(200, str(code))):
        verdict = judge(SOME, said)
        assert verdict.outcome is outcome
        assert verdict.wait_s == wait_s
        assert str(code) in verdict.reason


@pytest.mark.parametrize(
    "timestamp", [None, "", "yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:00:00Z"]
)
def test_a_daily_limit_without_a_time_waits_a_day(timestamp: str | None) -> None:
    assert judge(SOME, coded(429, 1009, timestamp)).wait_s == 86_400


def test_a_longer_retry_after_is_kept() -> None:
    assert judge(SOME, coded(429, 1008)._replace(headers={"retry-after": "900"})).wait_s == 900


FAULTS: list[tuple[ApiFault, Outcome]] = [
    ("bad_key", Outcome.STOPPED), ("plan_expired", Outcome.STOPPED), ("limited", Outcome.WAIT),
    ("gone", Outcome.STOPPED), ("server_error", Outcome.AGAIN), ("html", Outcome.AGAIN), ("empty", Outcome.AGAIN),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "outcome"), FAULTS)
def test_each_fault_of_the_simulated_api_is_judged(fault: ApiFault, outcome: Outcome) -> None:
    desk = ApiDesk(CoinMarketCap(), ToyWorld())
    desk.fault(fault)
    reply = desk.answer(SOME.path, {HEADER: DEMO_KEY})
    assert judge(SOME, Answer(reply.status, {}, reply.body)).outcome is outcome


@pytest.mark.parametrize(("span", "code"), [("minute", 1008), ("day", 1009), ("month", 1010)])
def test_the_simulated_api_names_the_window(span: str, code: int) -> None:
    window = Window(1, span)  # type: ignore[arg-type]
    reply = CoinMarketCap().limited(window, 5)
    assert str(code) in judge(SOME, Answer(reply.status, {}, reply.body)).reason


def test_the_key_goes_in_its_header_and_is_needed() -> None:
    assert dict(FEEDS[0].auth(BASIC, "k").headers) == {HEADER: "k"}
    desk = ApiDesk(CoinMarketCap(), ToyWorld())
    assert desk.answer(SOME.path).status == 401
    assert desk.answer(SOME.path, {HEADER.upper(): DEMO_KEY}).status == 200
