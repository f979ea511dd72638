"""The alerts kernel against bodies that TradingView, or its users, write."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.alert import Gate
from connectors.keys import Secret
from connectors.record import Record, encode_line
from flows.feeds import FLOW
from flows.kernels.alerts import COLUMNS, AlertsKernel, instrument, time_ns

RECV_NS = 1_795_356_302 * 10**9
# https://www.tradingview.com/support/solutions/43000529348: placeholders as they come filled in.
BODY = (
    b'{"secret":"planted-9f3Zk7w","exchange":"BINANCE","ticker":"BTCUSDT","interval":"5",'
    b'"time":"2026-11-22T14:00:00Z","timenow":"2026-11-22T14:05:01Z","close":"81230.1","signal":"my_rule"}'
)


def row(body: bytes, recv_ns: int = RECV_NS) -> dict[str, Any]:
    (block,) = AlertsKernel(0).on_records([Record(b"k", 0, encode_line(recv_ns, b"webhook", body))])
    assert (block.table, tuple(block.columns)) == ("alerts_in", COLUMNS)
    return {name: value for name, (value,) in block.columns.items()}


def test_an_alert_as_documented() -> None:
    body = Gate(Secret("planted-9f3Zk7w")).open(BODY)
    assert body is not None
    found = row(body)
    assert found["time_ns"] == 1_795_356_301 * 10**9
    assert [found[x] for x in ("exchange", "ticker", "interval", "instrument", "signal", "price")] == [
        "BINANCE", "BTCUSDT", "5", "BTC-USDT", "my_rule", 81230.1
    ]  # fmt: skip
    assert found["received_ns"] == found["version"] == RECV_NS
    assert json.loads(found["body"])["close"] == "81230.1"
    assert len(found["alert_id"]) == 32


def test_a_text_is_its_own_signal() -> None:
    found = row(b"BTCUSDT crossing 81,230 \xff")
    assert found["signal"] == found["body"] == "BTCUSDT crossing 81,230 �"
    assert (found["time_ns"], found["ticker"], found["instrument"]) == (RECV_NS, "", "")
    assert math.isnan(found["price"])


def test_placeholders_that_were_not_filled_in_stay_as_they_are() -> None:
    found = row(
        b'{"ticker":"{{ticker}}","time":"{{time}}","timenow":"{{timenow}}","close":"{{close}}","signal":"{{plot_0}}"}'
    )
    assert (found["ticker"], found["signal"]) == ("{{ticker}}", "{{plot_0}}")
    assert (found["instrument"], found["time_ns"]) == ("", RECV_NS)
    assert math.isnan(found["price"])
    assert "{{plot_0}}" in row(b'{"n": {{plot_0}}}')["signal"]


def test_a_form_and_a_ticker_with_its_exchange() -> None:
    found = row(b"ticker=OANDA%3AEURUSD&action=buy&price=1.0931&time=1795356300000&interval=1D")
    assert [found[x] for x in ("exchange", "ticker", "instrument", "signal", "price", "interval")] == [
        "OANDA", "EURUSD", "EUR-USD", "buy", 1.0931, "1D"
    ]  # fmt: skip
    assert found["time_ns"] == 1_795_356_300 * 10**9


@pytest.mark.parametrize(
    ("exchange", "ticker", "expected"),
    [
        ("BINANCE", "BTCUSDT.P", "BTC-USDT-PERP"), ("BYBIT", "ETHUSDT", "ETH-USDT"), ("KRAKEN", "XBTUSD", "BTC-USD"),
        ("BINANCE", "ETHFDUSD", "ETH-FDUSD"), ("FX", "USDJPY", "USD-JPY"), ("", "SOLUSDT", "SOL-USDT"),
        ("", "ABUSD", ""), ("NASDAQ", "AAPL", ""), ("NYSE", "XUSD", ""), ("BINANCE", "USDT", ""), ("BINANCE", "", ""),
    ],
)  # fmt: skip
def test_instruments(exchange: str, ticker: str, expected: str) -> None:
    assert instrument(exchange, ticker) == expected


def test_times() -> None:
    second = 1_795_356_300 * 10**9
    for value in (
        "2026-11-22T14:05:00Z",
        "2026-11-22T15:05:00+01:00",
        "2026-11-22T14:05:00",
        1795356300,
        "1795356300",
    ):
        assert time_ns(value) == second
    for value in (
        "",
        "soon",
        "{{time}}",
        "T",
        None,
        True,
        [],
        -5,
        float("inf"),
        10**400,
        "9999-12-31T00:00:00Z",
    ):
        assert time_ns(value) == 0


@given(st.binary(min_size=1, max_size=80) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["ticker", "time", "close", "signal"]), inner, max_size=4),
).map(lambda x: json.dumps(x).encode()))  # fmt: skip
def test_any_alert_is_one_row(body: bytes) -> None:
    found = row(body)
    assert found["time_ns"] > 0
    assert all(isinstance(found[x], str) for x in ("exchange", "ticker", "interval", "instrument", "signal"))
    assert isinstance(found["price"], float)


def test_one_body_at_two_times_is_two_alerts_and_an_empty_one_is_none() -> None:
    first, second = row(b"x"), row(b"x", RECV_NS + 1)
    assert first["alert_id"] == second["alert_id"]
    assert first["received_ns"] != second["received_ns"]
    (block,) = AlertsKernel(0).on_records([Record(b"k", 0, encode_line(1, b"webhook", b""))])
    assert block.table == "dead_letters"


def test_the_feeds_flow_reads_alerts() -> None:
    assert isinstance(FLOW.kernels["alerts_in"](0), AlertsKernel)
    assert "alerts_in" in FLOW.makes
