"""Alpha Vantage: rates, bars, rankings, news, and failures with status 200."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from connectors.facts import News, Ranking
from connectors.feed import GOOD, Answer, Chosen, Outcome, feed
from connectors.simulator.apis import alpha_vantage as half
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Price, Request
from tests.connectors.feeds.asking import Asking, bars_of

FEED = feed("alpha_vantage")
RATE = Request("/query?function=CURRENCY_EXCHANGE_RATE&from_currency=EUR&to_currency=USD", 1)
NEWS, MOVERS = Request("/query?function=NEWS_SENTIMENT", 1), Request("/query?function=TOP_GAINERS_LOSERS", 1)
DAILY = Request("/query?function=FX_DAILY&from_symbol=EUR&to_symbol=USD&outputsize=compact", 1)
NO_NEWS = {
    "Information": "No articles found. Please adjust the time range or refer to the API documentation."
}


def ns(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


def series(zone: str, times: list[str], title: str = "Time Series FX (5min)") -> bytes:
    prices = {"1. open": "1.1", "2. high": "1.3", "3. low": "1.0", "4. close": "1.2"}
    meta = {"2. From Symbol": "EUR", "3. To Symbol": "USD", "7. Time Zone": zone, "5. Interval": "5min"}
    return msgspec.json.encode({"Meta Data": meta, title: dict.fromkeys(times, prices)})


def test_a_rate_is_a_price_with_bid_and_ask() -> None:
    rate = {
        "1. From_Currency Code": "EUR", "3. To_Currency Code": "USD", "5. Exchange Rate": "1.05100000",
        "6. Last Refreshed": "2026-11-22 14:00:00", "7. Time Zone": "UTC", "8. Bid Price": "1.05099000",
        "9. Ask Price": "1.05101000",
    }  # fmt: skip
    body = msgspec.json.encode({"Realtime Currency Exchange Rate": rate})
    assert FEED.parse(RATE.path, body, 1) == [
        Price(symbol="EUR/USD", event_ns=ns(2026, 11, 22, 14), price=Decimal("1.051"), bid=Decimal("1.05099"),
              ask=Decimal("1.05101"))
    ]  # fmt: skip
    assert FEED.canonical("EUR/USD") == "EUR-USD"


def test_bars_of_days_are_open_until_the_day_is_over() -> None:
    body = series("UTC", ["2026-11-22", "2026-11-21"], "Time Series FX (Daily)")
    today, yesterday = bars_of(FEED.parse(DAILY.path, body, ns(2026, 11, 22, 12)))
    assert (today.open_ns, today.interval_s, today.closed) == (ns(2026, 11, 22), 86_400, False)
    assert (yesterday.closed, yesterday.volume, str(yesterday.high)) == (True, None, "1.3")


def test_times_are_of_the_zone_that_the_answer_names() -> None:
    path = "/query?function=FX_INTRADAY"
    # 2026-03-08 in New York: 01:55 is followed by 03:00.
    before, after = bars_of(
        FEED.parse(path, series("US/Eastern", ["2026-03-08 01:55:00", "2026-03-08 03:00:00"]), 1)
    )
    assert before.open_ns == ns(2026, 3, 8, 6, 55) and after.open_ns == ns(2026, 3, 8, 7)
    with pytest.raises(ParseError, match="leave out"):
        FEED.parse(path, series("US/Eastern", ["2026-03-08 02:30:00"]), 1)
    # 2026-11-01: 01:30 was twice, so that nothing tells which it is.
    told = series("US/Eastern", ["2026-11-01 02:00:00", "2026-11-01 01:30:00", "2026-11-01 00:55:00"])
    assert [x.open_ns for x in bars_of(FEED.parse(path, told, 1))] == [
        ns(2026, 11, 1, 7),
        ns(2026, 11, 1, 4, 55),
    ]


@pytest.mark.parametrize("title", ["Time Series FX (Weekly)", "Time Series FX (0min)", "Time Series (5min)"])
def test_other_series_are_refused(title: str) -> None:
    with pytest.raises(ParseError):
        FEED.parse(DAILY.path, series("UTC", ["2026-11-22"], title), 1)


def test_movers_are_ranked_with_per_cent() -> None:
    mover = {
        "ticker": "SNDK",
        "price": "88.50",
        "change_amount": "8.50",
        "change_percentage": "10.625%",
        "volume": "125",
    }
    lists = {
        "top_gainers": [mover],
        "top_losers": [],
        "most_actively_traded": [mover, {**mover, "ticker": "X"}],
    }
    body = msgspec.json.encode({"last_updated": "2026-09-21 16:15:59 US/Eastern", **lists})
    found = FEED.parse(MOVERS.path, body, 1)
    assert found[0] == Ranking(
        source="alpha_vantage", ranking="gainers", place=1, item="SNDK", symbol="SNDK", name="",
        time_ns=ns(2026, 9, 21, 20, 15, 59), price_usd=88.5, change_pct=10.625, volume=125.0,
    )  # fmt: skip
    told = [(x.ranking, x.place, x.item) for x in found if isinstance(x, Ranking)]
    assert told[1:] == [("most_active", 1, "SNDK"), ("most_active", 2, "X")]


def test_news_come_with_what_is_made_of_them() -> None:
    article = {
        "title": "Apple", "url": "https://news.example/1", "time_published": "20240115T153000", "summary": "Long.",
        "source": "Reuters", "topics": [{"topic": "Earnings", "relevance_score": "1.0"}],
        "overall_sentiment_score": 0.25, "overall_sentiment_label": "Somewhat-Bullish", "authors": ["John Doe"],
        "ticker_sentiment": [{"ticker": "AAPL", "relevance_score": "0.9", "ticker_sentiment_score": "-0.3"}],
    }  # fmt: skip
    body = msgspec.json.encode({"items": "1", "feed": [article]})
    assert FEED.parse(NEWS.path, body, 1) == [
        News(
            source="alpha_vantage", url="https://news.example/1", time_ns=ns(2024, 1, 15, 15, 30), title="Apple",
            publisher="Reuters", summary="Long.", topics=("Earnings",), sentiment=0.25, label="Somewhat-Bullish",
            symbols=("AAPL",), symbol_sentiments=(-0.3,), symbol_relevances=(0.9,),
        )
    ]  # fmt: skip
    with pytest.raises(ParseError, match="scores"):
        FEED.parse(NEWS.path, body.replace(b'"-0.3"', b'"nan"'), 1)


def test_no_news_are_no_error() -> None:
    body = msgspec.json.encode(NO_NEWS)
    assert FEED.judge(NEWS, Answer(200, {}, body)) == GOOD and FEED.parse(NEWS.path, body, 1) == []
    assert FEED.parse(NEWS.path, b'{"items":"0","feed":[]}', 1) == []


BURST = half.WORDS["limited"][1]
PREMIUM = half.WORDS["plan_expired"][1]
FAILURES = (
    ("Error Message", half.WORDS["bad_key"][1], "stopped", None),
    ("Information", half.WORDS["bad_key"][1], "stopped", None),
    (
        "Information",
        "The **demo** API key is for demo purposes only. Please claim your free API key.",
        "stopped",
        None,
    ),
    ("Error Message", f"{half.INVALID} for FX_DAILY.", "refused", None),
    ("Error Message", "This API function (SECTOR) does not exist.", "refused", None),
    ("Information", PREMIUM, "refused", None),
    ("Information", BURST, "wait", 60.0),
    ("Note", "Our standard API call frequency is 5 calls per minute and 500 calls per day.", "wait", 60.0),
    ("Information", half.DAY_USED.format(key="QX7TESTKEY"), "wait", 21_600.0),
    ("Information", "Something new about your API key as QX7TESTKEY.", "refused", None),
)


@pytest.mark.parametrize(("name", "words", "outcome", "wait_s"), FAILURES)
def test_words_tell_what_went_wrong(name: str, words: str, outcome: str, wait_s: float | None) -> None:
    body = msgspec.json.encode({name: words})
    verdict = FEED.judge(RATE, Answer(200, {}, body))
    assert (verdict.outcome, verdict.wait_s) == (outcome, wait_s)
    assert verdict.reason and "QX7TESTKEY" not in verdict.reason
    with pytest.raises(ParseError) as found:
        FEED.parse(RATE.path, body, 1)
    assert "QX7TESTKEY" not in str(found.value)


def test_the_day_is_used_up() -> None:
    asking = Asking(FEED)
    for _ in range(25):
        assert asking.verdict(RATE).outcome is Outcome.GOOD
        asking.world.now_ms += 60_000
    verdict = asking.verdict(RATE)
    assert verdict.outcome is Outcome.WAIT and verdict.wait_s == 21_600.0 and DEMO_KEY not in verdict.reason


@pytest.mark.parametrize("count", [1, 3, 10, 40])
def test_however_many_pairs_the_day_is_enough(count: int) -> None:
    pairs = tuple(f"AA{x}/USD" for x in range(count))
    polls = FEED.polls(Chosen(FEED.plan("free", has_key=True), pairs, every_s=60.0))
    assert sum(86_400 / x.every_s for x in polls) <= 18.0001
    assert {x.name for x in polls} >= {*pairs, "movers", "news"}


def test_premium_keys_are_told_minutes() -> None:
    polls = {x.name: x for x in FEED.polls(Chosen(FEED.plan("premium", has_key=True)))}
    assert "FX_INTRADAY" in polls["EUR/USD bars"].request.path and polls["EUR/USD"].every_s == 60.0
    bars = bars_of(Asking(FEED).rows(polls["EUR/USD bars"].request))
    assert len(bars) == 100 and {x.interval_s for x in bars} == {60}


def test_symbols_are_pairs_and_the_key_is_in_the_query_alone() -> None:
    with pytest.raises(ParseError, match="EUR/USD"):
        FEED.polls(Chosen(FEED.plans[0], ("EURUSD",)))
    auth = FEED.auth(FEED.plans[0], DEMO_KEY)
    assert auth.query == {"apikey": DEMO_KEY} and not auth.headers
