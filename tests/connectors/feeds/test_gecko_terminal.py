"""GeckoTerminal through its simulated half: pools, bars newest first, trades of a pool."""

import msgspec
import pytest

from connectors.facts import Pool
from connectors.feed import Answer, Chosen, Outcome, Poll, Row, feed
from connectors.feeds.gecko_terminal import FEEDS, FRAMES, KEYLESS, NETWORKS, POOLS
from connectors.simulator.api import ApiFault
from connectors.simulator.api_desk import ApiDesk
from connectors.simulator.apis.coingecko import DEMO_HEADER
from connectors.simulator.apis.gecko_terminal import POOLS as SIMULATED
from connectors.simulator.apis.gecko_terminal import CoinGeckoOnchain, GeckoTerminal
from connectors.simulator.half import DEMO_KEY
from connectors.venue import Bar, ParseError, Request, Trade
from tests.connectors.simulator.apis.asked import NOW_MS, ToyWorld, asked

NOW_NS = NOW_MS * 10**6
TERMINAL, ONCHAIN = FEEDS
POLLS = {x.name: x for x in TERMINAL.polls(Chosen(KEYLESS))}
SYMBOL = POOLS[0]
SOLANA = "solana:6EiJDBoHqRA3m6FqYBphpGomspmFxtj4mawUKYMZtcVG"
MINUTE_NS = 60 * 10**9


def rows(poll: Poll | Request, *faults: ApiFault) -> list[Row]:
    path = poll.request.path if isinstance(poll, Poll) else poll.path
    return TERMINAL.parse(path, asked(GeckoTerminal(), path.partition("#")[0], {}, faults).body, NOW_NS)


# ---- what is asked


def test_the_version_of_the_answers_is_pinned() -> None:
    assert dict(TERMINAL.auth(KEYLESS, "").headers) == {"accept": "application/json;version=20230302"}
    assert TERMINAL.key_env is None
    assert {x.keyless for x in ONCHAIN.plans} == {False}
    assert dict(ONCHAIN.auth(ONCHAIN.plans[0], "k").headers) == {DEMO_HEADER: "k"}


def test_polls_are_of_each_network_and_pool() -> None:
    assert {f"trending/{x}" for x in NETWORKS} | {f"top/{x}" for x in NETWORKS} | {"trending"} < POLLS.keys()
    chosen = TERMINAL.polls(Chosen(KEYLESS, (SOLANA,)))
    paths = [x.request.path for x in chosen if x.name.startswith("bars/")]
    address = SOLANA.partition(":")[2]
    assert paths == [
        f"/api/v2/networks/solana/pools/{address}/ohlcv/minute?aggregate=1&limit=1000&currency=usd"
    ]  # fmt: skip


@pytest.mark.parametrize("interval_s", FRAMES)
def test_history_goes_back_page_by_page_to_the_span_s_begin(interval_s: int) -> None:
    assert TERMINAL.history is not None
    step_ns = interval_s * 10**9
    end = NOW_NS // step_ns * step_ns
    begin = end - 2500 * step_ns
    following: Request | None = TERMINAL.history.bars(SYMBOL, interval_s, begin, end)
    found: list[int] = []
    pages = 0
    while following is not None:
        pages += 1
        body = asked(GeckoTerminal(), following.path.partition("#")[0]).body
        page = [x for x in TERMINAL.parse(following.path, body, NOW_NS) if isinstance(x, Bar)]
        assert [x.open_ns for x in page] == sorted(x.open_ns for x in page)
        assert {x.interval_s for x in page} == {interval_s}
        found += [x.open_ns for x in page]
        following = TERMINAL.after(following, body)
    assert pages == 3
    assert len(found) == len(set(found))
    assert set(range(begin, end, step_ns)) <= set(found)
    assert max(found) < end


def test_a_repeated_page_is_refused_and_a_short_one_ends_the_history() -> None:
    assert TERMINAL.history is not None
    first = TERMINAL.history.bars(SYMBOL, 60, 0, NOW_NS - 5000 * MINUTE_NS)
    repeated = asked(GeckoTerminal(), first.path.partition("#")[0], {}, ("repeated_page",)).body
    with pytest.raises(ParseError, match="another"):
        TERMINAL.after(first, repeated)
    short = msgspec.json.encode({"data": {"attributes": {"ohlcv_list": [[60, 1, 1, 1, 1, 1]]}}})
    assert TERMINAL.after(first, short) is None
    assert TERMINAL.after(POLLS["trending"].request, b"") is None


def test_polled_bars_have_no_pages() -> None:
    poll = POLLS[f"bars/{SYMBOL}"]
    body = asked(GeckoTerminal(), poll.request.path).body
    assert len(TERMINAL.parse(poll.request.path, body, NOW_NS)) == 1000
    assert TERMINAL.after(poll.request, body) is None


# ---- what is told


def test_pools_tell_the_world_s_prices_and_their_place() -> None:
    found = [x for x in rows(POLLS["trending"]) if isinstance(x, Pool)]
    assert [x.trending_place for x in found] == list(range(1, len(SIMULATED) + 1))
    pool = next(x for x in found if f"{x.network}:{x.pool}" == SYMBOL)
    assert pool.price_usd == pytest.approx(ToyWorld().price("ETH", "USD", NOW_MS))
    assert (pool.base_token, pool.dex) == (SIMULATED[0].base_token, "uniswap_v3")
    assert pool.market_cap_usd is None
    assert {x.time_ns for x in found} == {NOW_NS}


def test_a_network_s_pools_are_its_own_and_without_a_place() -> None:
    found = [x for x in rows(POLLS["top/eth"]) if isinstance(x, Pool)]
    assert {(x.network, x.trending_place) for x in found} == {("eth", None)}


def test_a_network_s_name_may_hold_underscores() -> None:
    path = POLLS["top/eth"].request.path
    body = asked(GeckoTerminal(), path).body.replace(b'"eth_', b'"polygon_pos_')
    found = [x for x in TERMINAL.parse(path, body, NOW_NS) if isinstance(x, Pool)]
    assert {x.network for x in found} == {"polygon_pos"}
    assert all(x.base_token.startswith("0x") for x in found)


def test_bars_are_in_dollars_and_the_last_one_is_open() -> None:
    found = [x for x in rows(POLLS[f"bars/{SYMBOL}"]) if isinstance(x, Bar)]
    assert [x.closed for x in found] == [True] * 999 + [False]
    bar = found[-2]
    expected = ToyWorld().bars("ETH", "USD", 60, bar.open_ns // 10**6, bar.open_ns // 10**6 + 1)[0]
    assert float(bar.close) == pytest.approx(expected.close)
    assert bar.quote_volume is not None
    assert float(bar.quote_volume) == pytest.approx(expected.volume * expected.close)
    assert (bar.volume, bar.trades, bar.symbol) == (None, None, SYMBOL)


def test_trades_have_sides_and_ids_that_stay() -> None:
    poll = POLLS[f"trades/{SYMBOL}"]
    found = [x for x in rows(poll) if isinstance(x, Trade)]
    assert len({x.trade_id for x in found}) == len(found) == 300
    assert {x.side for x in found} == {"buy", "sell"}
    assert [x.event_ns for x in found] == sorted(x.event_ns for x in found)
    world = ToyWorld()
    for trade in found:
        assert float(trade.price) == pytest.approx(world.price("ETH", "USD", trade.event_ns // 10**6))
        assert 40 < float(trade.price * trade.size) < 6000
    later = asked(GeckoTerminal(), poll.request.path, world=ToyWorld(NOW_MS + 20_000)).body
    again = TERMINAL.parse(poll.request.path, later, NOW_NS)
    assert again[:-1] == found[1:]


def test_nulls_are_none_and_never_zero() -> None:
    for name in ("trending", "top/eth"):
        found = rows(POLLS[name], "nulls")
        assert len(found) == len(rows(POLLS[name]))
        for row in found:
            told = msgspec.structs.asdict(row)
            assert not [x for x in told.values() if isinstance(x, float)]
            assert (told["created_ns"], told["buys_24h"], told["dex"]) == (None, None, "")
    assert rows(POLLS[f"bars/{SYMBOL}"], "nulls") == []
    assert rows(POLLS[f"trades/{SYMBOL}"], "nulls") == []


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("trending", "reserve_in_usd"), ("top/eth", "reserve_in_usd"), (f"bars/{SYMBOL}", "ohlcv_list"),
        (f"trades/{SYMBOL}", "price_to_in_usd"),
    ],
)  # fmt: skip
def test_a_renamed_field_is_named_by_the_error(name: str, field: str) -> None:
    with pytest.raises(ParseError, match=f"`{field}`"):
        rows(POLLS[name], "renamed_column")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e999", "-Infinity"])
def test_amounts_that_are_no_numbers_are_refused(amount: str) -> None:
    path = POLLS["top/eth"].request.path
    told = msgspec.json.decode(asked(GeckoTerminal(), path).body)
    told["data"][0]["attributes"]["reserve_in_usd"] = amount
    with pytest.raises(ParseError, match="finite"):
        TERMINAL.parse(path, msgspec.json.encode(told), NOW_NS)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1.23456789012345678901234567", "1.2345678901234567890"),
        ("0.00000000000000000000000000012349", "1E-28"),
    ],
)
def test_prices_keep_twenty_digits(said: str, expected: str) -> None:
    path = POLLS[f"trades/{SYMBOL}"].request.path
    told = msgspec.json.decode(asked(GeckoTerminal(), path).body)
    told["data"] = told["data"][:1]
    told["data"][0]["attributes"] |= {"price_to_in_usd": said, "price_from_in_usd": said}
    (trade,) = TERMINAL.parse(path, msgspec.json.encode(told), NOW_NS)
    assert isinstance(trade, Trade)
    assert str(trade.price) == expected


def test_addresses_that_differ_by_case_stay_apart() -> None:
    assert TERMINAL.canonical(SOLANA) == SOLANA
    assert feed("coingecko_onchain").venue == "gecko_terminal"


# ---- what is refused

FAULTS: list[tuple[ApiFault, Outcome]] = [
    ("limited", Outcome.WAIT), ("gone", Outcome.STOPPED), ("server_error", Outcome.AGAIN), ("html", Outcome.AGAIN),
    ("empty", Outcome.AGAIN),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "outcome"), FAULTS)
def test_each_fault_of_the_simulated_api_is_judged(fault: ApiFault, outcome: Outcome) -> None:
    desk = ApiDesk(GeckoTerminal(), ToyWorld())
    desk.fault(fault)
    some = POLLS["trending"].request
    reply = desk.answer(some.path)
    assert TERMINAL.judge(some, Answer(reply.status, {}, reply.body)).outcome is outcome


def test_an_unknown_pool_is_refused_alone() -> None:
    assert TERMINAL.history is not None
    some = TERMINAL.history.bars(SOLANA, 60, 0, NOW_NS)
    reply = ApiDesk(GeckoTerminal(), ToyWorld()).answer(some.path.partition("#")[0])
    assert TERMINAL.judge(some, Answer(reply.status, {}, reply.body)).outcome is Outcome.REFUSED


def test_onchain_needs_a_known_key() -> None:
    desk = ApiDesk(CoinGeckoOnchain(), ToyWorld())
    some = "/api/v3/onchain/networks/eth/pools?page=1"
    assert desk.answer(some, {DEMO_HEADER: DEMO_KEY}).status == 200
    refused = desk.answer(some, {DEMO_HEADER: "another"})
    assert (
        ONCHAIN.judge(Request(some, 1), Answer(refused.status, {}, refused.body)).outcome is Outcome.STOPPED
    )
