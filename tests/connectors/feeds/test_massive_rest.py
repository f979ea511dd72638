"""Massive over REST: bars of two markets, pages, plans."""

import msgspec
import pytest

from connectors.feed import Answer, Chosen, Outcome, Row, feed
from connectors.feeds.massive_rest import symbol_of, ticker_of
from connectors.feeds.series import asked_of
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request, market
from tests.connectors.feeds.asking import Asking, bars_of

CRYPTO, FOREX = feed("massive_crypto_rest"), feed("massive_forex_rest")
TODAY = "Attempted to request today's data before end of day."
MINUTE_NS, DAY_NS = 60 * 10**9, 86_400 * 10**9
ASKED = Request("/v2/aggs/ticker/X:BTCUSD/range/1/minute/1/2?limit=50000", 1)


def test_they_tell_the_history_of_the_markets_of_the_venue() -> None:
    assert (CRYPTO.venue, FOREX.venue) == ("massive_crypto", "massive_forex")
    assert CRYPTO.symbols == market("massive_crypto").live.symbols
    assert FOREX.key_env == market("massive_forex").live.key_env


def test_forex_has_no_volume_and_crypto_does() -> None:
    for source, symbol in ((CRYPTO, "BTC-USD"), (FOREX, "EUR-USD")):
        asking = Asking(source)
        assert source.history is not None
        bars = bars_of(
            asking.rows(source.history.bars(symbol, 60, asking.now_ns - 5 * MINUTE_NS, asking.now_ns))
        )
        assert len(bars) == 5 and {x.symbol for x in bars} == {symbol} and {x.trades for x in bars} == {40}
        assert all((x.volume is None) is (x.quote_volume is None) is (source is FOREX) for x in bars)
        assert [x.closed for x in bars] == [True] * 4 + [False]


def test_a_history_is_told_whole_page_by_page() -> None:
    asking = Asking(CRYPTO)
    assert CRYPTO.history is not None
    count, to_ns = 1100, asking.now_ns // MINUTE_NS * MINUTE_NS
    request = CRYPTO.history.bars("BTC-USD", 60, to_ns - count * MINUTE_NS, to_ns)
    assert "limit=50000" in request.path
    pages = asking.pages(Request(request.path.replace("limit=50000", "limit=500"), 1))
    assert [len(x) for x in pages] == [500, 500, 100]
    times = [bar.open_ns for page in pages for bar in bars_of(page)]
    assert times == list(range(to_ns - count * MINUTE_NS, to_ns, MINUTE_NS))


def after(next_url: str) -> Request | None:
    return CRYPTO.after(ASKED, msgspec.json.encode({"status": "OK", "next_url": next_url}))


def test_the_next_page_is_asked_of_the_same_host_without_a_key() -> None:
    path = "/v2/aggs/ticker/X:BTCUSD/range/1/minute/7/2"
    following = after(f"https://api.polygon.io{path}?cursor=bGltaXQ9MQ==&limit=5&apiKey=planted")
    assert following is not None
    assert asked_of(following.path) == (path, {"cursor": "bGltaXQ9MQ==", "limit": "5"})
    following = after(f"https://api.polygon.io{path.replace(':', '%3A')}?cursor=x")
    assert following is not None and following.path == f"{path}?cursor=x"
    assert after(f"https://api.massive.com{ASKED.path}") is None, "a page that repeats is the last"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/account",
        "https://api.massive.com/v2/aggs/ticker/X:ETHUSD/range/1/minute/1/2?cursor=x",
        "https://api.massive.com/v2/aggs/ticker/X:BTCUSD/range/5/minute/1/2?cursor=x",
        "http://[",
    ],
)
def test_a_next_page_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ParseError):
        after(url)


def test_results_are_absent_where_there_are_none() -> None:
    body = b'{"ticker":"X:BTCUSD","queryCount":0,"resultsCount":0,"adjusted":true,"status":"OK","request_id":"x"}'
    assert CRYPTO.parse(ASKED.path, body, 1) == []
    assert CRYPTO.judge(ASKED, Answer(200, {}, body)).outcome is Outcome.GOOD
    assert CRYPTO.after(ASKED, body) is None


def test_a_free_key_asks_for_whole_days_that_are_over_in_new_york() -> None:
    polls = CRYPTO.polls(Chosen(CRYPTO.plan("free", has_key=True)))
    assert [x.name for x in polls] == list(CRYPTO.symbols)
    # 2026-11-22 03:00 UTC is the 21st in New York: the last whole day is the 20th.
    now_ns = 1_795_316_400 * 10**9
    bars = bars_of(asked_at(now_ns, polls[0].asked(now_ns)))
    assert len(bars) == 1440 and bars[0].open_ns % DAY_NS == 0
    assert bars[0].open_ns == now_ns // DAY_NS * DAY_NS - 2 * DAY_NS
    noon_ns = now_ns + 9 * 3600 * 10**9
    assert (
        bars_of(asked_at(noon_ns, polls[0].asked(noon_ns)))[0].open_ns == now_ns // DAY_NS * DAY_NS - DAY_NS
    )


def asked_at(now_ns: int, request: Request) -> list[Row]:
    return Asking(CRYPTO, now_ms=now_ns // 10**6).rows(request)


def test_a_paid_key_asks_for_the_last_minutes() -> None:
    polls = FOREX.polls(Chosen(FOREX.plan("paid", has_key=True)))
    asking = Asking(FOREX)
    bars = bars_of(asking.rows(polls[0].asked(asking.now_ns)))
    assert len(bars) == 10 and polls[0].every_s == 60.0
    assert bars[-1].open_ns + MINUTE_NS > asking.now_ns


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (
            403,
            {"status": "NOT_AUTHORIZED", "message": "Attempted to request today's data before end of day."},
            "refused",
        ),
        (200, {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, "refused"),
        (401, {"status": "ERROR", "error": "Unknown API Key"}, "stopped"),
        (429, {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}, "wait"),
        (404, {"status": "NOT_FOUND", "message": "Data not found."}, "refused"),
        (400, {"status": "ERROR", "error": "The parameter 'from' cannot be after 'to'"}, "refused"),
    ],
)
def test_errors(status: int, body: dict[str, str], outcome: str) -> None:
    verdict = CRYPTO.judge(ASKED, Answer(status, {}, msgspec.json.encode(body)))
    assert verdict.outcome == outcome and verdict.reason


def test_symbols_and_tickers() -> None:
    assert ticker_of("BTC-USD", "crypto") == ticker_of("X:BTCUSD", "crypto") == "X:BTCUSD"
    assert ticker_of("eur/usd", "forex") == "C:EURUSD"
    assert [symbol_of(x) for x in ("X:BTCUSD", "C:EURUSD", "X:DOGEUSD")] == ["BTC-USD", "EUR-USD", "DOGE-USD"]
    assert CRYPTO.auth(CRYPTO.plans[0], DEMO_KEY).headers == {"Authorization": f"Bearer {DEMO_KEY}"}


@pytest.mark.parametrize(
    "path",
    ["/v2/aggs/ticker/X:BTCUSD/range/1/month/1/2", "/v2/aggs/ticker/X:BTCUSD/range/0/day/1/2", "/v3/x"],
)
def test_bars_of_no_fixed_length_are_refused(path: str) -> None:
    with pytest.raises(ParseError):
        CRYPTO.parse(path, b'{"results":[]}', 1)
