"""What the Binance markets say about themselves while they run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.venue import Head, ParseError, Request, market
from connectors.venues import binance_futures, binance_spot
from tests.connectors.venues import frames

SPOT, FUTURES = market("binance_spot").live, market("binance_futures").live


def test_a_book_message() -> None:
    found = FUTURES.head(frames.wrapped("btcusdt@depth@100ms", frames.F_DEPTH))
    assert found == Head(
        "btcusdt@depth@100ms",
        1_795_000_000_200_000_000,
        2001,
        2040,
        1998,
        [("81230.0", "0")],
        [("81230.5", "1.2")],
    )
    assert SPOT.head(frames.wrapped("s", frames.DEPTH)).previous_id == -1


@pytest.mark.parametrize(
    ("payload", "trade_id"),
    [
        (frames.AGG_TRADE, 900001),
        (frames.TRADE, 700001),
        (frames.F_AGG_TRADE, 500001),
        (frames.F_TRADE, 5266583935),
    ],
)
def test_trades_bear_their_id(payload: bytes, trade_id: int) -> None:
    found = SPOT.head(frames.wrapped("btcusdt@x", payload))
    assert (found.first_id, found.last_id, found.previous_id) == (trade_id, trade_id, -1)
    assert found.event_ns == json.loads(payload)["E"] * 1_000_000


@pytest.mark.parametrize(
    "payload", [frames.KLINE, frames.QUOTE, frames.F_QUOTE, frames.F_MARK, frames.F_FORCE]
)
def test_other_messages_bear_no_id_that_counts_up(payload: bytes) -> None:
    found = FUTURES.head(frames.wrapped("x", payload))
    assert (found.stream, found.first_id, found.last_id) == ("x", -1, -1)
    assert found.event_ns == json.loads(payload).get("E", 0) * 1_000_000


def test_messages_about_many_symbols_tell_the_time() -> None:
    payload = b'{"stream":"!forceOrder@arr","data":[{"e":"forceOrder","E":5,"o":{}},{"E":6}]}'
    assert FUTURES.head(payload) == Head("!forceOrder@arr", 5_000_000)


@pytest.mark.parametrize(
    "payload",
    [b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":7}}', b'{"e":"serverShutdown","E":7}',
     b'{"stream":"x","data":{"e":"serverShutdown","E":7}}'],
)  # fmt: skip
def test_the_announcement_of_the_end(payload: bytes) -> None:
    assert SPOT.head(payload).closing


def test_an_acknowledgement_is_no_announcement() -> None:
    assert SPOT.head(b'{"result":null,"id":1}') == Head()


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff", b'{"stream":1}', b"[" * 10_000, b'{"data":{"E":1e30}}']
)
def test_what_is_not_documented_is_a_parse_error(payload: bytes) -> None:
    with pytest.raises(ParseError):
        SPOT.head(payload)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_head_or_a_parse_error(payload: bytes) -> None:
    for body in (payload, b'{"stream":"x","data":' + payload + b"}"):
        try:
            assert isinstance(SPOT.head(body), Head)
        except ParseError:
            continue


def test_snapshots_are_read_as_they_are_written() -> None:
    found = SPOT.read_snapshot(frames.SNAPSHOT)
    assert (found.update_id, found.bids) == (1027024, [("4.00000000", "431.00000000")])
    with pytest.raises(ParseError, match="expected a book snapshot"):
        SPOT.read_snapshot(b'{"code":-1003}')


@pytest.mark.parametrize(
    ("limit", "spot", "futures"), [(5, 5, 2), (50, 5, 2), (100, 5, 5), (500, 25, 10), (1000, 50, 20)]
)
def test_snapshots_cost_what_the_tables_say(limit: int, spot: int, futures: int) -> None:
    assert SPOT.snapshot("BTCUSDT", limit) == Request(f"/api/v3/depth?symbol=BTCUSDT&limit={limit}", spot)
    assert FUTURES.snapshot("BTCUSDT", limit) == Request(
        f"/fapi/v1/depth?symbol=BTCUSDT&limit={limit}", futures
    )


def test_a_fuller_snapshot_costs_more() -> None:
    assert SPOT.snapshot("BTCUSDT", SPOT.snapshot_limit_max).weight == 250


def test_a_request_names_itself_without_blanks() -> None:
    assert SPOT.instruments is not None
    (asked,) = SPOT.instruments(["BTCUSDT", "ETHUSDT"])
    assert asked.origin == b"GET:/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"
    assert b" " not in asked.origin


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("btcusdt@depth@100ms", "/public/stream"), ("btcusdt@depth20@100ms", "/public/stream"),
        ("btcusdt@rpiDepth@500ms", "/public/stream"), ("btcusdt@bookTicker", "/public/stream"),
        ("!bookTicker", "/public/stream"), ("btcusdt@aggTrade", "/market/stream"),
        ("btcusdt@markPrice@1s", "/market/stream"), ("!markPrice@arr@1s", "/market/stream"),
        ("btcusdt@kline_1m", "/market/stream"), ("btcusdt_perpetual@continuousKline_1m", "/market/stream"),
        ("btcusdt@forceOrder", "/market/stream"), ("!forceOrder@arr", "/market/stream"),
        ("!contractInfo", "/market/stream"), ("!miniTicker@arr", "/market/stream"),
    ],
)  # fmt: skip
def test_streams_of_the_futures_have_their_path(stream: str, path: str) -> None:
    assert binance_futures.path_of(stream) == path


def test_the_streams_followed() -> None:
    spot = {stream.name: stream for stream in SPOT.streams("BTCUSDT")}
    assert set(spot) == {"btcusdt@depth@100ms", "btcusdt@aggTrade", "btcusdt@kline_1m"}
    futures = {stream.name: stream for stream in FUTURES.streams("BTCUSDT")}
    assert set(futures) == {*spot, "btcusdt@markPrice@1s", "btcusdt@forceOrder"}
    assert [name for name, stream in futures.items() if stream.book] == ["btcusdt@depth@100ms"]
    assert futures["btcusdt@forceOrder"].silence_s is None
    assert futures["btcusdt@kline_1m"].path == "/market/stream"
    for name, stream in futures.items():
        assert stream.path == binance_futures.path_of(name) and stream.symbol == "BTCUSDT"


def test_streams_are_subscribed_in_the_url() -> None:
    assert SPOT.socket_url("/stream", ["a@x", "b@y"], "") == "/stream?streams=a@x/b@y"


def test_the_limits_are_the_venue_s() -> None:
    assert (SPOT.weight_per_minute, FUTURES.weight_per_minute) == (6000, 2400)
    for live in (SPOT, FUTURES):
        assert (live.connects_max, live.connects_span_s, live.streams_max) == (300, 300.0, 1024)
        assert live.ws_url.startswith("wss://") and live.rest_url.startswith("https://")
    assert binance_spot.WEIGHT_HEADER == "X-MBX-USED-WEIGHT-1M"
