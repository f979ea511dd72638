"""Binance by REST: recorded answers, units, requests, errors."""

import contextlib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import Answer, Chosen, Outcome, feed
from connectors.paths import query_of
from connectors.rest import SHARE
from connectors.venue import Bar, ParseError, Request, Ticker, Trade, market
from tests.connectors.feeds.halves import CLOCK, NOW_MS, HalfClient

SPOT, FUTURES = feed("binance_spot_rest"), feed("binance_futures_rest")
KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000"
TRADES = "/api/v3/aggTrades?symbol=BTCUSDT&startTime=0&endTime=9&limit=1000"
HOUR_NS = 3_600 * 10**9


def test_a_recorded_kline_is_a_bar_as_long_as_it_says(recordings: Path) -> None:
    payload = (recordings / "rest/nautilus_binance/spot__http_json__klines_response.json").read_bytes()
    (bar,) = SPOT.parse("/api/v3/klines?symbol=ETHBTC&interval=1w", payload, 1_600_000_000 * 10**9)
    assert bar == Bar(
        symbol="ETHBTC", interval_s=604_800, open_ns=1_499_040_000_000_000_000, open=Decimal("0.01634790"),
        high=Decimal("0.80000000"), low=Decimal("0.01575800"), close=Decimal("0.01577100"),
        volume=Decimal("148976.11427815"), quote_volume=Decimal("2434.19055334"), trades=308,
        buy_volume=Decimal("1756.87402397"), closed=True,
    )  # fmt: skip


def test_a_bar_is_closed_once_it_is_over() -> None:
    row = [1_795_000_000_000, "1", "2", "1", "2", "5", 1_795_000_059_999, "7", 3, "2", "3", "0"]
    for late_ns, closed in ((-1, False), (0, True)):
        (bar,) = SPOT.parse(KLINES, msgspec.json.encode([row]), 1_795_000_060_000_000_000 + late_ns)
        assert isinstance(bar, Bar) and bar.closed is closed and bar.interval_s == 60


def test_an_aggregate_trade_of_the_documents() -> None:
    # rest-api.md, compressed trades.
    payload = b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]'
    assert SPOT.parse(TRADES, payload, 0) == [
        Trade(
            symbol="BTCUSDT", event_ns=1_498_793_709_153_000_000, trade_id=26129, price=Decimal("0.01633102"),
            size=Decimal("4.70443515"), side="sell", aggregated=True,
        )
    ]  # fmt: skip


def test_open_interest_and_funding_of_the_documents() -> None:
    # USDS-margined futures, open interest; funding rate history.
    held = b'{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}'
    assert FUTURES.parse("/fapi/v1/openInterest?symbol=BTCUSDT", held, 0) == [
        Ticker(
            symbol="BTCUSDT",
            event_ns=1_589_437_530_011_000_000,
            delta=True,
            open_interest=Decimal("10659.509"),
        )
    ]
    rates = (
        b'[{"symbol":"BTCUSDT","fundingRate":"-0.03750000","fundingTime":1570608000000,"markPrice":"34287.54619963"},'
        b'{"symbol":"BTCUSDT","fundingRate":"0.00010000","fundingTime":1570636800000,"markPrice":""}]'
    )
    first, second = FUTURES.parse("/fapi/v1/fundingRate?symbol=BTCUSDT", rates, 0)
    assert isinstance(first, Ticker) and isinstance(second, Ticker)
    assert (first.funding_rate, first.mark) == (Decimal("-0.0375"), Decimal("34287.54619963"))
    assert (second.mark, second.event_ns) == (None, 1_570_636_800_000_000_000)


def test_what_is_polled_is_what_no_stream_tells() -> None:
    assert SPOT.polls(Chosen(SPOT.plans[0], SPOT.symbols)) == []
    client = HalfClient("binance_futures")
    polls = FUTURES.polls(Chosen(FUTURES.plans[0], ("BTCUSDT", "ETHUSDT")))
    assert [(x.name, x.every_s) for x in polls[:2]] == [
        ("open interest BTCUSDT", 60.0),
        ("funding BTCUSDT", 3600.0),
    ]
    for poll in polls:
        answer = client.answer(poll.request.path)
        rows = FUTURES.parse(poll.request.path, answer.body, NOW_MS * 1_000_000)
        assert rows and all(isinstance(x, Ticker) and x.event_ns <= NOW_MS * 1_000_000 for x in rows)
        symbol = query_of(poll.request.path)["symbol"]
        assert {x.symbol for x in rows if isinstance(x, Ticker)} == {symbol}
        told = rows[-1]
        assert isinstance(told, Ticker)
        assert (told.open_interest or told.funding_rate) and not (told.open_interest and told.funding_rate)
    lots = Decimal(client.desk.open_interest("BTCUSDT"))
    (held,) = FUTURES.parse(polls[0].request.path, client.answer(polls[0].request.path).body, 0)
    assert (
        isinstance(held, Ticker) and held.open_interest == lots * client.half.symbols["BTCUSDT"].futures.lot
    )


@pytest.mark.parametrize(
    ("source", "minutes", "limit", "weight"),
    [
        (SPOT, 5, 5, 2), (SPOT, 5000, 1000, 2), (FUTURES, 99, 99, 1), (FUTURES, 100, 100, 2), (FUTURES, 499, 499, 2),
        (FUTURES, 500, 499, 2), (FUTURES, 9000, 499, 2),
    ],
)  # fmt: skip
def test_a_request_costs_what_its_limit_costs(source: object, minutes: int, limit: int, weight: int) -> None:
    assert source in (SPOT, FUTURES)
    history = (SPOT if source is SPOT else FUTURES).history
    assert history is not None
    request = history.bars("BTCUSDT", 60, 0, minutes * 60 * 10**9)
    assert (query_of(request.path)["limit"], request.weight) == (str(limit), weight)
    client = HalfClient("binance_spot" if source is SPOT else "binance_futures")
    path, _, _ = request.path.partition("?")
    assert client.half.weight(path, query_of(request.path)) == weight


def test_a_trades_request_is_shorter_than_the_hour_that_is_refused() -> None:
    for source, weight in ((SPOT, 4), (FUTURES, 20)):
        assert source.history and source.history.trades and source.history.trades_span_s
        span_ns = source.history.trades_span_s * 10**9
        request = source.history.trades("BTCUSDT", HOUR_NS, HOUR_NS + span_ns)
        query = query_of(request.path)
        assert int(query["endTime"]) - int(query["startTime"]) < 3_600_000 and request.weight == weight


def test_history_leaves_the_live_connector_its_share() -> None:
    for source in (SPOT, FUTURES):
        live = market(source.venue).live
        (limit,) = source.plans[0].limits
        assert limit.units + live.weight_per_minute * SHARE <= live.weight_per_minute and limit.span_s == 60
        assert source.plans[0].url == live.rest_url and source.plan("", has_key=False).keyless


ANY = Request(KLINES, 2)


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome", "wait_s"),
    [
        (200, {}, b"[]", Outcome.GOOD, None),
        (400, {}, b'{"code":-1121,"msg":"Invalid symbol."}', Outcome.REFUSED, None),
        (400, {}, b'{"code":-1120,"msg":"Invalid interval."}', Outcome.REFUSED, None),
        (429, {"retry-after": "17"}, b'{"code":-1003,"msg":"Too much request weight used"}', Outcome.WAIT, 17.0),
        (418, {"retry-after": "240"}, b'{"code":-1003,"msg":"Way too much; banned"}', Outcome.WAIT, 240.0),
        (418, {}, b"", Outcome.WAIT, 300.0),
        (400, {"retry-after": "5"}, b'{"code":-1003,"msg":"Too many requests"}', Outcome.WAIT, 5.0),
        (200, {}, b'{"code":-1003,"msg":"Too many requests"}', Outcome.WAIT, None),
        (403, {}, b"<html>forbidden</html>", Outcome.WAIT, 300.0),
        (451, {}, b'{"code":0,"msg":"Service unavailable from a restricted location"}', Outcome.STOPPED, None),
        (500, {}, b"", Outcome.AGAIN, None),
        (503, {}, b'{"code":-1001,"msg":"Internal error"}', Outcome.AGAIN, None),
        (200, {}, b"", Outcome.AGAIN, None),
        (200, {}, b"<!doctype html>", Outcome.AGAIN, None),
        (404, {}, b"not found", Outcome.REFUSED, None),
    ],
)  # fmt: skip
def test_errors(
    status: int, headers: dict[str, str], body: bytes, outcome: Outcome, wait_s: float | None
) -> None:
    for source in (SPOT, FUTURES):
        verdict = source.judge(ANY, Answer(status, headers, body))
        assert (verdict.outcome, verdict.wait_s) == (outcome, wait_s)
        assert bool(verdict.reason) is (outcome is not Outcome.GOOD)


@given(
    st.binary(max_size=200), st.sampled_from(["klines", "aggTrades", "openInterest", "fundingRate", "depth"])
)
def test_only_parse_errors_come_of_bytes(payload: bytes, name: str) -> None:
    path = f"/fapi/v1/{name}?symbol=BTCUSDT&limit=10&endTime=5"
    for call in (lambda: FUTURES.parse(path, payload, 0), lambda: FUTURES.after(Request(path, 1), payload)):
        with contextlib.suppress(ParseError):
            call()


def test_nulls_and_wrong_shapes_are_parse_errors() -> None:
    for payload in (b"[[null]]", b"[[1,2,3]]", b'[{"a":null}]', b"[[" + b"[" * 5000, b'{"symbols":[]}'):
        with pytest.raises(ParseError):
            SPOT.parse(KLINES, payload, 0)
    backwards = msgspec.json.encode([[10, "1", "1", "1", "1", "1", 5, "1", 1, "1", "1", "0"]])
    with pytest.raises(ParseError, match="closes after"):
        SPOT.parse(KLINES, backwards, 0)


def test_the_last_bar_of_the_simulated_venue_is_open() -> None:
    client = HalfClient("binance_spot")
    answer = client.answer("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=3")
    rows = SPOT.parse("/api/v3/klines?symbol=BTCUSDT&interval=5m", answer.body, CLOCK.now_ms() * 1_000_000)
    assert [(x.closed, x.interval_s) for x in rows if isinstance(x, Bar)] == [
        (True, 300),
        (True, 300),
        (False, 300),
    ]


def test_recorded_streams_hold_minutes_like_those_of_rest(recordings: Path) -> None:
    """The `k` of a recorded frame, written as a row of `klines`, gives the bar that the stream's parser gives."""
    path = recordings / "rest/nautilus_binance/futures__market_data_json__kline_stream_open.json"
    frame = msgspec.json.decode(path.read_bytes())
    k = frame["k"]
    row = [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"]
    (bar,) = FUTURES.parse(
        "/fapi/v1/klines?symbol=BTCUSDT", msgspec.json.encode([row]), frame["E"] * 1_000_000
    )
    assert [bar] == market("binance_futures").parse(path.read_bytes())
