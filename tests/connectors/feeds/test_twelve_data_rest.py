"""Twelve Data over REST: bars, credits, pages, errors in the body."""

from itertools import pairwise

import msgspec
import pytest

from connectors.feed import GOOD, Answer, Chosen, Outcome, feed
from connectors.feeds.series import asked_of, request
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request
from connectors.venues.twelve_data import LIVE
from tests.connectors.feeds.asking import Asking, bars_of

FEED = feed("twelve_data_rest")
MINUTE_NS = 60 * 10**9
ASKED = Request("/time_series?symbol=EUR/USD&interval=1min&timezone=UTC", 1)


def said(code: int, message: str = "no") -> bytes:
    return msgspec.json.encode({"code": code, "message": message, "status": "error"})


def test_minutes_of_forex_have_no_volume_and_those_of_crypto_do() -> None:
    asking = Asking(FEED)
    for symbol, has_volume in (("EUR/USD", False), ("BTC/USD", True)):
        bars = bars_of(
            asking.rows(request("/time_series", {"symbol": symbol, "interval": "1min", "timezone": "UTC"}))
        )
        assert len(bars) == 30 and {x.symbol for x in bars} == {symbol}
        assert all((x.volume is not None) is has_volume and x.trades is None for x in bars)
        assert [x.closed for x in bars] == [False] + [True] * 29, "newest first, and still open"
        base, _, quote = symbol.partition("/")
        expected = asking.world.bars(base, quote, 60, bars[-1].open_ns // 10**6, asking.world.now_ms)
        assert [x.open_ns for x in reversed(bars)] == [x.open_ms * 10**6 for x in expected]
        assert all(
            abs(float(x.close) - y.close) < 0.01 for x, y in zip(reversed(bars), expected, strict=True)
        )


def test_polls_tell_every_minute_within_the_credits() -> None:
    polls = FEED.polls(Chosen(FEED.plan("basic", has_key=True)))
    assert [x.name for x in polls] == list(LIVE.symbols)
    for poll in polls:
        _, query = asked_of(poll.request.path)
        assert int(query["outputsize"]) * 60 > poll.every_s + 60
    assert sum(86_400 / x.every_s for x in polls) <= 0.8 * 800
    many = FEED.polls(Chosen(FEED.plan("basic", has_key=True), tuple(f"A{x}/USD" for x in range(100)), 60.0))
    assert sum(86_400 / x.every_s for x in many) <= 0.8 * 800
    faster = FEED.polls(Chosen(FEED.plan("grow", has_key=True)))
    assert faster[0].every_s == 60.0


def test_a_history_is_told_whole_page_by_page() -> None:
    asking = Asking(FEED)
    count, to_ns = 12_345, asking.now_ns // MINUTE_NS * MINUTE_NS
    assert FEED.history is not None
    pages = asking.pages(FEED.history.bars("EUR/USD", 60, to_ns - count * MINUTE_NS, to_ns))
    assert [len(x) for x in pages] == [5000, 5000, 2345]
    times = [bar.open_ns for page in pages for bar in bars_of(page)]
    assert sorted(times) == list(range(to_ns - count * MINUTE_NS, to_ns, MINUTE_NS))
    assert all(bar.closed for page in pages for bar in bars_of(page))


@pytest.mark.parametrize("interval_s", FEED.history.intervals_s if FEED.history else ())
def test_every_interval_is_told_as_asked(interval_s: int) -> None:
    assert FEED.history is not None
    asking = Asking(FEED)
    from_ns = asking.now_ns - 3 * interval_s * 10**9
    bars = bars_of(asking.rows(FEED.history.bars("BTC/USD", interval_s, from_ns, asking.now_ns)))
    assert len(bars) == 3 and {x.interval_s for x in bars} == {interval_s}


def test_a_span_of_a_closed_market_is_empty() -> None:
    body = said(400, "No data is available on the specified dates. Try setting different start/end dates.")
    assert FEED.judge(ASKED, Answer(400, {}, body)) is GOOD
    assert FEED.parse(ASKED.path, body, 1) == [] and FEED.after(ASKED, body) is None


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(400, "refused"), (401, "stopped"), (403, "refused"), (404, "refused"), (429, "wait"), (500, "again")],
)
@pytest.mark.parametrize("status", [200, None])
def test_the_code_in_the_body_counts(code: int, outcome: str, status: int | None) -> None:
    verdict = FEED.judge(ASKED, Answer(status or code, {}, said(code)))
    assert verdict.outcome == outcome and verdict.reason


def test_credits_of_a_day_are_waited_for_longer_than_those_of_a_minute() -> None:
    asking = Asking(FEED)
    for _ in range(8):
        assert asking.verdict(ASKED).outcome is Outcome.GOOD
    minute = asking.verdict(ASKED)
    assert minute.outcome is Outcome.WAIT and minute.wait_s is None
    day = FEED.judge(ASKED, Answer(429, {}, said(429, "You have run out of API credits for the day.")))
    assert day.outcome is Outcome.WAIT and day.wait_s == 3600.0


def test_a_local_series_has_no_gap_where_clocks_are_put_forward() -> None:
    # 2026-03-08 08:00 UTC: an hour after New York's clocks were put forward.
    asking = Asking(FEED, now_ms=1_772_956_800_000)
    told: dict[str, str | int] = {"symbol": "BTC/USD", "interval": "15min", "outputsize": 12}
    local = bars_of(asking.rows(request("/time_series", {**told, "timezone": "America/New_York"})))
    assert local == bars_of(asking.rows(request("/time_series", {**told, "timezone": "UTC"})))
    assert [x.open_ns - y.open_ns for x, y in pairwise(local)] == [900 * 10**9] * 11


def test_the_key_goes_in_a_header() -> None:
    auth = FEED.auth(FEED.plans[0], DEMO_KEY)
    assert auth.headers == {"Authorization": f"apikey {DEMO_KEY}"} and not auth.query


@pytest.mark.parametrize(
    "body",
    [
        b'{"meta":{"symbol":"EUR/USD","interval":"1min"},"values":[{"datetime":"2026-01-01 00:00:00","open":"0",'
        b'"high":"1","low":"1","close":"1"}]}',
        b'{"meta":{"symbol":"EUR/USD","interval":"7min"},"values":[]}',
        b'{"meta":{"symbol":"EUR/USD","interval":"1min"}}',
        b'{"status":"error","code":401}',
        b"[]",
    ],
)
def test_what_is_no_series_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        FEED.parse(ASKED.path, body, 1)
