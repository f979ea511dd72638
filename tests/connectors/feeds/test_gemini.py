"""Gemini by REST: documented answers, names of intervals, pages, errors."""

import contextlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import Answer, Outcome, feed
from connectors.paths import query_of
from connectors.venue import Bar, ParseError, Request, Trade
from tests.connectors.feeds.halves import NOW_MS, HalfClient

GEMINI = feed("gemini_rest")
CANDLES, TRADES = "/v2/candles/btcusd/15m", "/v1/trades/btcusd?timestamp=0&limit_trades=500"

# docs.gemini.com, candles and trade history: their examples.
TOLD_BARS = (
    b"[[1559755800000,7781.6,7820.23,7776.56,7819.39,34.7624802159],"
    b"[1559754900000,7780.57,7781.61,7769.68,7781.6,11.7552]]"
)
TOLD_TRADES = (
    b'[{"timestamp":1547146811,"timestampms":1547146811357,"tid":5335307668,"price":"3610.85","amount":"0.27413495",'
    b'"exchange":"gemini","type":"buy"},{"timestamp":1547146810,"timestampms":1547146810999,"tid":5335307600,'
    b'"price":"3610.80","amount":"1.0","exchange":"gemini","type":"auction"}]'
)


def test_a_documented_answer_is_bars_oldest_first() -> None:
    first, second = GEMINI.parse(CANDLES, TOLD_BARS, 1_559_756_700_000_000_000)
    assert isinstance(first, Bar) and first.open_ns == 1_559_754_900_000_000_000
    assert second == Bar(
        symbol="BTCUSD", interval_s=900, open_ns=1_559_755_800_000_000_000, open=Decimal("7781.6"),
        high=Decimal("7820.23"), low=Decimal("7776.56"), close=Decimal("7819.39"), volume=Decimal("34.7624802159"),
        quote_volume=None, buy_volume=None, trades=None, closed=True,
    )  # fmt: skip
    assert not next(x for x in GEMINI.parse(CANDLES, TOLD_BARS, 1_559_756_699_999_999_999)[1:]).closed  # type: ignore[union-attr]


def test_documented_trades_oldest_first() -> None:
    auction, bought = GEMINI.parse(TRADES, TOLD_TRADES, 0)
    assert bought == Trade(
        symbol="BTCUSD", event_ns=1_547_146_811_357_000_000, trade_id=5335307668, price=Decimal("3610.85"),
        size=Decimal("0.27413495"), side="buy",
    )  # fmt: skip
    assert isinstance(auction, Trade) and auction.side == "unknown"
    broken = TOLD_TRADES.replace(b'"type":"buy"', b'"type":"buy","broken":true')
    assert len(GEMINI.parse(TRADES, broken, 0)) == 1


def test_intervals_are_named_as_rest_names_them() -> None:
    history = GEMINI.history
    assert history is not None and history.last_bars_only
    names = [history.bars("BTCUSD", x, 0, 1).path.rpartition("/")[2] for x in history.intervals_s]
    assert names == ["1m", "5m", "15m", "30m", "1hr", "6hr", "1day"]


def test_the_next_page_of_trades_begins_after_the_highest_id() -> None:
    def full(count: int) -> bytes:
        one = msgspec.json.decode(TOLD_TRADES)[0]
        return msgspec.json.encode([one | {"tid": 9_000 - x} for x in range(count)])

    following = GEMINI.after(Request(TRADES, 1), full(500))
    assert following is not None and following.path.startswith("/v1/trades/btcusd?")
    assert query_of(following.path) == {"since_tid": "9000", "limit_trades": "500"}
    assert GEMINI.after(Request(TRADES, 1), full(499)) is None
    assert GEMINI.after(Request(CANDLES, 1), TOLD_BARS) is None


def refusal(reason: str) -> bytes:
    return msgspec.json.encode({"result": "error", "reason": reason, "message": "words"})


@pytest.mark.parametrize(
    ("status", "body", "outcome", "wait_s"),
    [
        (200, b"[]", Outcome.GOOD, None),
        (400, refusal("Bad Request"), Outcome.REFUSED, None),
        (400, refusal("InvalidSymbol"), Outcome.REFUSED, None),
        (404, refusal("EndpointNotFound"), Outcome.REFUSED, None),
        (200, refusal("InvalidSymbol"), Outcome.REFUSED, None),
        (200, refusal("RateLimit"), Outcome.WAIT, 60.0),
        (200, refusal("RateLimitExceeded"), Outcome.WAIT, 60.0),
        (400, refusal("Maintenance"), Outcome.AGAIN, None),
        (429, refusal("RateLimit"), Outcome.WAIT, None),
        (500, b"", Outcome.AGAIN, None),
        (200, b"<html>", Outcome.AGAIN, None),
        (200, b"", Outcome.AGAIN, None),
    ],
)
def test_errors(status: int, body: bytes, outcome: Outcome, wait_s: float | None) -> None:
    verdict = GEMINI.judge(Request(CANDLES, 1), Answer(status, {}, body))
    assert (verdict.outcome, verdict.wait_s) == (outcome, wait_s)
    assert bool(verdict.reason) is (outcome is not Outcome.GOOD)


@given(st.binary(max_size=200), st.sampled_from([CANDLES, TRADES, "/v1/book/btcusd"]))
def test_only_parse_errors_come_of_bytes(payload: bytes, path: str) -> None:
    for call in (lambda: GEMINI.parse(path, payload, 0), lambda: GEMINI.after(Request(path, 1), payload)):
        with contextlib.suppress(ParseError):
            call()


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/v2/candles/btcusd/7m", TOLD_BARS),
        (CANDLES, b"[[1,null,1,1,1,1]]"),
        (CANDLES, b"[[1,0,1,1,1,1]]"),
        (CANDLES, b"[[1,1e40,1,1,1,1]]"),
        (CANDLES, b"[[1,1,1,1,1,-1]]"),
        (CANDLES, b'{"result":"error"}'),
        (TRADES, b'[{"tid":1}]'),
    ],
)
def test_what_cannot_be_read_is_a_parse_error(path: str, payload: bytes) -> None:
    with pytest.raises(ParseError):
        GEMINI.parse(path, payload, 0)


def test_the_simulated_venue_tells_newest_first_and_the_open_one_too() -> None:
    client = HalfClient("gemini")
    body = client.answer("/v2/candles/ethusd/1hr").body
    times = [x[0] for x in msgspec.json.decode(body)]
    assert times == sorted(times, reverse=True) and times[0] == NOW_MS // 3_600_000 * 3_600_000
    bars = [x for x in GEMINI.parse("/v2/candles/ethusd/1hr", body, NOW_MS * 10**6) if isinstance(x, Bar)]
    assert [x.closed for x in bars[-2:]] == [True, False] and bars[0].symbol == "ETHUSD"
