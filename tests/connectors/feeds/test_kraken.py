"""Kraken by REST: documented answers, pair names, requests, errors."""

import contextlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import Answer, Outcome, feed
from connectors.feeds.kraken import pair_of, symbol_of
from connectors.paths import query_of
from connectors.venue import Bar, ParseError, Request, Trade, market
from tests.connectors.feeds.halves import NOW_MS, HalfClient

KRAKEN = feed("kraken_rest")
OHLC = "/0/public/OHLC?pair=XBTUSD&interval=60&since=0"
TRADES = "/0/public/Trades?pair=XBTUSD&since=0&count=1000"

# docs.kraken.com, get-ohlc-data and get-recent-trades: their examples, shortened.
TOLD_BARS = (
    b'{"error":[],"result":{"XXBTZUSD":['
    b'[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23],'
    b'[1688671260,"30304.5","30304.5","30300.0","30300.0","0.0","0.00000000",0]],"last":1688672160}}'
)
TOLD_TRADES = (
    b'{"error":[],"result":{"XXBTZUSD":[["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952],'
    b'["30243.30000","0.00376960",1688669598.2804112,"s","l","",61044953]],"last":"1688671969993150842"}}'
)


def test_a_documented_answer_is_bars() -> None:
    first, second = KRAKEN.parse(OHLC.replace("60", "1"), TOLD_BARS, 1_688_671_320_000_000_000)
    assert first == Bar(
        symbol="BTC/USD", interval_s=60, open_ns=1_688_671_200_000_000_000, open=Decimal("30306.1"),
        high=Decimal("30306.2"), low=Decimal("30305.7"), close=Decimal("30305.7"), volume=Decimal("3.39243896"),
        quote_volume=Decimal("30306.1") * Decimal("3.39243896"), buy_volume=None, trades=23, closed=True,
    )  # fmt: skip
    assert isinstance(second, Bar) and (second.volume, second.trades, second.quote_volume) == (0, 0, 0)
    (_, still) = KRAKEN.parse(OHLC.replace("60", "1"), TOLD_BARS, 1_688_671_319_999_999_999)
    assert isinstance(still, Bar) and not still.closed


def test_documented_trades_keep_their_digits() -> None:
    first, second = KRAKEN.parse(TRADES, TOLD_TRADES, 0)
    assert first == Trade(
        symbol="BTC/USD", event_ns=1_688_669_597_827_736_000, trade_id=61044952, price=Decimal("30243.40000"),
        size=Decimal("0.34507674"), side="buy",
    )  # fmt: skip
    assert isinstance(second, Trade) and second.side == "sell"


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTC/USD", "XBTUSD"), ("DOGE/USD", "XDGUSD"), ("ETH/BTC", "ETHXBT"), ("BTC/USDT", "XBTUSDT"),
        ("USD/CAD", "USDCAD"), ("EUR/GBP", "EURGBP"), ("USDT/USD", "USDTUSD"), ("USDC/USDT", "USDCUSDT"),
    ],
)  # fmt: skip
def test_names_of_pairs(symbol: str, pair: str) -> None:
    assert (pair_of(symbol), symbol_of(pair)) == (pair, symbol)


def test_every_symbol_followed_comes_back_by_its_pair() -> None:
    for symbol in market("kraken").live.symbols:
        assert symbol_of(pair_of(symbol)) == symbol and KRAKEN.canonical(symbol) == symbol.replace("/", "-")


def test_the_first_bar_asked_for_is_told_whatever_since_means() -> None:
    assert KRAKEN.history is not None and KRAKEN.history.trades is not None
    request = KRAKEN.history.bars("BTC/USD", 14_400, 1_688_671_200 * 10**9, 1_688_700_000 * 10**9)
    assert query_of(request.path) == {"pair": "XBTUSD", "interval": "240", "since": "1688671199"}
    trades = KRAKEN.history.trades("BTC/USD", 1_688_671_200 * 10**9, 0)
    assert query_of(trades.path)["since"] == "1688671199999999999"
    # A page of trades a second, and no more: they are counted by pair.
    (limit,) = KRAKEN.plans[0].limits
    assert limit.units / limit.span_s / trades.weight <= 1


def test_a_full_page_of_trades_leads_on_from_where_it_says() -> None:
    row = ["1.0", "1.0", 5.25, "b", "m", "", 7]
    for count, since in ((999, None), (1000, "1688671969993150842")):
        told = {"error": [], "result": {"XXBTZUSD": [row] * count, "last": "1688671969993150842"}}
        following = KRAKEN.after(Request(TRADES, 4), msgspec.json.encode(told))
        assert (query_of(following.path)["since"] if following else None) == since
    assert KRAKEN.after(Request(OHLC, 1), TOLD_BARS) is None


@pytest.mark.parametrize(
    ("status", "error", "outcome", "wait_s"),
    [
        (200, "", Outcome.GOOD, None),
        (200, "EGeneral:Too many requests", Outcome.WAIT, 60.0),
        (200, "EAPI:Rate limit exceeded", Outcome.WAIT, 60.0),
        (200, "EGeneral:Temporary lockout", Outcome.WAIT, 900.0),
        (200, "EService:Unavailable", Outcome.AGAIN, None),
        (200, "EService:Busy", Outcome.AGAIN, None),
        (200, "EGeneral:Internal error", Outcome.AGAIN, None),
        (200, "EQuery:Unknown asset pair", Outcome.REFUSED, None),
        (200, "EGeneral:Invalid arguments", Outcome.REFUSED, None),
        (520, "EService:Unavailable", Outcome.AGAIN, None),
    ],
)
def test_errors_stand_in_answers_with_status_200(
    status: int, error: str, outcome: Outcome, wait_s: float | None
) -> None:
    body = msgspec.json.encode({"error": [error] if error else []})
    verdict = KRAKEN.judge(Request(OHLC, 1), Answer(status, {}, body))
    assert (verdict.outcome, verdict.wait_s) == (outcome, wait_s)
    assert error in verdict.reason


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", Outcome.AGAIN),
        (200, b"<html>", Outcome.AGAIN),
        (200, b"[1]", Outcome.AGAIN),
        (429, b"", Outcome.WAIT),
        (403, b"error code: 1020", Outcome.REFUSED),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, outcome: Outcome) -> None:
    assert KRAKEN.judge(Request(OHLC, 1), Answer(status, {}, body)).outcome == outcome


@given(st.binary(max_size=200), st.sampled_from([OHLC, TRADES, "/0/public/Ticker", OHLC.replace("60", "x")]))
def test_only_parse_errors_come_of_bytes(payload: bytes, path: str) -> None:
    for call in (lambda: KRAKEN.parse(path, payload, 0), lambda: KRAKEN.after(Request(path, 1), payload)):
        with contextlib.suppress(ParseError):
            call()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"error":["EService:Busy"]}',
        b'{"error":[],"result":{"last":1}}',
        b'{"error":[],"result":{"A":[],"B":[],"last":1}}',
        TOLD_BARS.replace(b'"30306.1"', b"null", 1),
        TOLD_BARS.replace(b'"30306.1"', b'"0"', 1),
        TOLD_BARS.replace(b"1688671200", b"99999999999999999"),
    ],
)
def test_what_cannot_be_read_is_a_parse_error(payload: bytes) -> None:
    with pytest.raises(ParseError):
        KRAKEN.parse(OHLC, payload, 0)


def test_the_simulated_venue_tells_720_and_the_last_is_open() -> None:
    client = HalfClient("kraken")
    for since in (0, NOW_MS // 1000 + 100):
        path = f"/0/public/OHLC?pair=XDGUSD&interval=5&since={since}"
        rows = KRAKEN.parse(path, client.answer(path).body, NOW_MS * 10**6)
        bars = [x for x in rows if isinstance(x, Bar)]
        assert len(bars) == (720 if not since else 1) and [x.closed for x in bars[-2:]][-1] is False
        assert {(x.symbol, x.interval_s) for x in bars} == {("DOGE/USD", 300)}
