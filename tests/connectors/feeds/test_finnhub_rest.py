"""Finnhub over REST: candles in columns, refusals of premium data."""

import msgspec
import pytest

from connectors.feed import Answer, Chosen, Outcome, feed
from connectors.feeds.series import asked_of
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request
from tests.connectors.feeds.asking import Asking, bars_of

FEED = feed("finnhub_rest")
MINUTE_NS = 60 * 10**9
PATH = "/api/v1/crypto/candle?symbol=BINANCE:BTCUSDT&resolution=1&from=60&to=180"


def candles(**more: object) -> bytes:
    told = {
        "c": [1.5, 2],
        "h": [2, 2],
        "l": [1, 1.5],
        "o": [1, 1.5],
        "v": [3, 0.5],
        "t": [60, 120],
        "s": "ok",
    }
    return msgspec.json.encode({**told, **more})


def test_candles_of_crypto_have_volume_and_those_of_forex_do_not() -> None:
    first, second = bars_of(FEED.parse(PATH, candles(), 150 * 10**9))
    assert (first.symbol, first.open_ns, first.interval_s, first.closed) == (
        "BINANCE:BTCUSDT",
        60 * 10**9,
        60,
        True,
    )
    assert (str(first.close), str(first.volume), str(first.low)) == ("1.5", "3", "1")
    assert (second.closed, str(second.volume), second.trades) == (False, "0.5", None)
    forex = PATH.replace("crypto", "forex").replace("BINANCE:BTCUSDT", "OANDA:EUR_USD")
    assert [x.volume for x in bars_of(FEED.parse(forex, candles(), 1))] == [None, None]
    assert FEED.canonical("OANDA:EUR_USD") == "EUR-USD" and FEED.canonical("BINANCE:BTCUSDT") == "BTC-USDT"


def test_no_data_is_no_error() -> None:
    body = b'{"s":"no_data"}'
    assert FEED.parse(PATH, body, 1) == [] and FEED.after(Request(PATH, 1), body) is None
    assert FEED.judge(Request(PATH, 1), Answer(200, {}, body)).outcome is Outcome.GOOD
    assert FEED.parse(PATH, b'{"c":[],"h":[],"l":[],"o":[],"s":"no_data","t":[],"v":[]}', 1) == []


@pytest.mark.parametrize("body", [candles(t=[60]), candles(s="error"), candles(c=[0, 1]), b'{"s":1}', b"{}"])
def test_broken_columns_are_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        FEED.parse(PATH, body, 1)


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (403, "You don't have access to this resource.", "refused"),
        (200, "You don't have access to this resource.", "refused"),
        (401, "Invalid API key", "stopped"),
        (429, "API limit reached. Please try again later. Remaining Limit: 0", "wait"),
        (422, "Wrong API parameters", "refused"),
        (500, "oops", "again"),
    ],
)
def test_errors(status: int, error: str, outcome: str) -> None:
    answer = Answer(status, {}, msgspec.json.encode({"error": error}))
    assert FEED.judge(Request(PATH, 1), answer).outcome == outcome


def test_a_history_is_told_whole_although_answers_hold_the_newest_only() -> None:
    asking = Asking(FEED)
    assert FEED.history is not None
    count, to_ns = 12_345, asking.now_ns // MINUTE_NS * MINUTE_NS
    pages = asking.pages(FEED.history.bars("OANDA:EUR_USD", 60, to_ns - count * MINUTE_NS, to_ns))
    times = sorted(bar.open_ns for page in pages for bar in bars_of(page))
    assert times == list(range(to_ns - count * MINUTE_NS, to_ns, MINUTE_NS))


def test_polls_ask_for_the_last_minutes_of_both_kinds() -> None:
    asking = Asking(FEED)
    polls = FEED.polls(Chosen(FEED.plan("", has_key=True)))
    assert [x.name for x in polls] == list(FEED.symbols) and polls[0].every_s == 60.0
    bare = {asked_of(x.asked(asking.now_ns).path)[0] for x in polls}
    assert bare == {"/api/v1/forex/candle", "/api/v1/crypto/candle"}
    for poll in polls:
        bars = bars_of(asking.rows(poll.asked(asking.now_ns)))
        assert len(bars) == 10 and {x.symbol for x in bars} == {poll.name}
    many = FEED.polls(Chosen(FEED.plan("", has_key=True), tuple(f"OANDA:A{x}_USD" for x in range(1000))))
    _, query = asked_of(many[0].asked(asking.now_ns).path)
    assert int(query["to"]) - int(query["from"]) > many[0].every_s > 1000


def test_the_key_goes_in_a_header() -> None:
    auth = FEED.auth(FEED.plans[0], DEMO_KEY)
    assert auth.headers == {"X-Finnhub-Token": DEMO_KEY} and not auth.query
