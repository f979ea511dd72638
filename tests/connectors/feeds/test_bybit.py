"""Bybit by REST: recorded answers, units, pages, errors."""

import contextlib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feed import Answer, Outcome, feed
from connectors.paths import query_of
from connectors.venue import Bar, ParseError, Request, Trade, market
from tests.connectors.feeds.halves import NOW_MS, HalfClient

SPOT, LINEAR = feed("bybit_spot_rest"), feed("bybit_linear_rest")
KLINE = "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&start=0&end=59999999&limit=1000"
RECENT = "/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=1000"


def test_a_recorded_kline_is_a_bar(recordings: Path) -> None:
    payload = (recordings / "rest/nautilus_bybit/http_get_klines_linear.json").read_bytes()
    (bar,) = LINEAR.parse(KLINE, payload, 1_709_891_740_000_000_000)
    assert bar == Bar(
        symbol="BTCUSDT", interval_s=60, open_ns=1_709_891_679_000_000_000, open=Decimal(27450),
        high=Decimal(27460), low=Decimal(27440), close=Decimal(27455), volume=Decimal("123.45"),
        quote_volume=Decimal(3_390_000), buy_volume=None, trades=None, closed=True,
    )  # fmt: skip
    (still,) = LINEAR.parse(KLINE, payload, 1_709_891_738_999_999_999)
    assert isinstance(still, Bar) and not still.closed


def test_recorded_trades(recordings: Path) -> None:
    payload = (recordings / "rest/nautilus_bybit/http_get_trades_recent.json").read_bytes()
    assert LINEAR.parse(RECENT, payload, 0) == [
        Trade(
            symbol="BTCUSDT", event_ns=1_709_891_679_000_000_000, trade_id=0xA905D5C31ED04F37,
            price=Decimal("27450.50"), size=Decimal("0.005"), side="buy",
        )
    ]  # fmt: skip
    told = msgspec.json.decode(payload)
    told["result"]["list"][0]["isBlockTrade"] = True
    assert LINEAR.parse(RECENT, msgspec.json.encode(told), 0) == []


def page(starts: list[int]) -> bytes:
    rows = [[str(x * 60_000), "1", "2", "1", "2", "3", "4"] for x in sorted(starts, reverse=True)]
    return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": 5})


def test_a_full_page_of_either_end_leads_to_the_other() -> None:
    path = KLINE.replace("end=59999999", f"end={2500 * 60_000 - 1}")
    # The newest of the span: older ones are to come.
    older = LINEAR.after(Request(path, 1), page(list(range(1500, 2500))))
    assert older is not None
    assert query_of(older.path) == query_of(path) | {"end": str(1500 * 60_000 - 1)}
    # The oldest of it: newer ones are.
    newer = LINEAR.after(Request(path, 1), page(list(range(1000))))
    assert newer is not None
    assert query_of(newer.path) == query_of(path) | {"start": str(1000 * 60_000)}
    assert LINEAR.after(Request(path, 1), page([])) is None
    assert LINEAR.after(Request(RECENT, 1), b"whatever") is None


def test_spot_and_linear_name_their_category_and_tell_so_many_trades() -> None:
    for source, category, most in ((SPOT, "spot", 60), (LINEAR, "linear", 1000)):
        assert source.history and source.history.trades and source.history.last_trades_only
        query = query_of(source.history.trades("BTCUSDT", 0, 1).path)
        assert query == {"category": category, "symbol": "BTCUSDT", "limit": str(most)}
        assert query_of(source.history.bars("BTCUSDT", 86_400, 0, 1).path)["interval"] == "D"
        assert source.canonical("BTCUSDT") == market(source.venue).canonical("BTCUSDT")


def answer_of(code: int, message: str = "") -> bytes:
    return msgspec.json.encode({"retCode": code, "retMsg": message, "result": {}, "time": 1_000})


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome", "wait_s"),
    [
        (200, {}, answer_of(0, "OK"), Outcome.GOOD, None),
        (200, {}, answer_of(10006, "Too many visits!"), Outcome.WAIT, 5.0),
        (200, {"x-bapi-limit-reset-timestamp": "9000"}, answer_of(10006), Outcome.WAIT, 8.0),
        (200, {"x-bapi-limit-reset-timestamp": "99999999999"}, answer_of(10018), Outcome.WAIT, 600.0),
        (200, {"x-bapi-limit-reset-timestamp": "soon"}, answer_of(10006), Outcome.WAIT, 5.0),
        (200, {}, answer_of(10001, "params error: symbol invalid"), Outcome.REFUSED, None),
        (200, {}, answer_of(10029, "The requested symbol is invalid."), Outcome.REFUSED, None),
        (200, {}, answer_of(10016, "Internal system error"), Outcome.AGAIN, None),
        (200, {}, answer_of(10000, "Server Timeout"), Outcome.AGAIN, None),
        (403, {}, b"access too frequent", Outcome.WAIT, 600.0),
        (403, {}, b"The Amazon CloudFront distribution is configured to block access", Outcome.STOPPED, None),
        (429, {"retry-after": "3"}, b"", Outcome.WAIT, 3.0),
        (502, {}, b"<html>", Outcome.AGAIN, None),
        (200, {}, b"<html>", Outcome.AGAIN, None),
        (200, {}, b"", Outcome.AGAIN, None),
        (200, {}, b"[]", Outcome.AGAIN, None),
    ],
)
def test_errors(
    status: int, headers: dict[str, str], body: bytes, outcome: Outcome, wait_s: float | None
) -> None:
    verdict = LINEAR.judge(Request(KLINE, 1), Answer(status, headers, body))
    assert (verdict.outcome, verdict.wait_s) == (outcome, wait_s)
    assert bool(verdict.reason) is (outcome is not Outcome.GOOD)


@given(st.binary(max_size=200), st.sampled_from([KLINE, RECENT, "/v5/market/tickers?category=spot"]))
def test_only_parse_errors_come_of_bytes(payload: bytes, path: str) -> None:
    for call in (lambda: SPOT.parse(path, payload, 0), lambda: SPOT.after(Request(path, 1), payload)):
        with contextlib.suppress(ParseError):
            call()


def test_an_unknown_interval_and_nulls_are_parse_errors() -> None:
    for path, payload in (
        (KLINE.replace("interval=1", "interval=7"), page([1])),
        (KLINE, b'{"result":{"list":[[null]]}}'),
        (KLINE, b'{"result":{"list":null}}'),
        (RECENT, b'{"result":{"list":[{"execId":"x"}]}}'),
        (RECENT, page([1])),
    ):
        with pytest.raises(ParseError):
            LINEAR.parse(path, payload, 0)


def test_the_simulated_venue_tells_newest_first_and_the_open_one_too() -> None:
    for source in (SPOT, LINEAR):
        client = HalfClient(source.venue)
        assert source.history is not None
        request = source.history.bars("BTCUSDT", 60, (NOW_MS - 570_000) * 10**6, (NOW_MS + 1) * 10**6)
        body = client.answer(request.path).body
        starts = [int(x[0]) for x in msgspec.json.decode(body)["result"]["list"]]
        assert starts == sorted(starts, reverse=True) and starts[0] == NOW_MS // 60_000 * 60_000
        rows = source.parse(request.path, body, NOW_MS * 10**6)
        assert [x.closed for x in rows if isinstance(x, Bar)] == [True] * 9 + [False]
