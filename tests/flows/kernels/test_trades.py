"""The compiled scanner of trades against `Market.parse`: what it reads it reads as that does, the rest it leaves."""

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.record import encode_line
from connectors.recordings import read
from connectors.venue import Market, ParseError, Trade, market
from flows.kernels import trades as t
from flows.kernels.depth import wire_array
from flows.kernels.reading import Reading
from flows.kernels.trade_spec import Int64s, trade_spec

RECV_NS = 1_900_000_000_000_000_000
DECIMALS = 8


class Found(NamedTuple):
    """A trade as both readers have to see it."""

    symbol: str
    event_ns: int
    trade_id: int
    price: Decimal
    size: Decimal
    side: str
    aggregated: bool


def dumps(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


BINANCE = {"e": "trade", "E": 5, "T": 1723161256322, "s": "BTCUSDT", "t": 7, "p": "61800.30", "q": "0.006"}
UUID = "c7ae40b5-4c7c-5d5c-9a3f-ae5ea5ad5c1b"
BYBIT = {
    "T": 1786310818130, "s": "BTCUSDT", "S": "Sell", "v": "0.010", "p": "81230.00", "L": "PlusTick",
    "i": UUID, "BT": False, "RPI": False, "seq": 7,
}  # fmt: skip
GEMINI = {"E": 1786310818130221000, "s": "btcusd", "t": 2840140, "p": "65206.28", "q": "0.5", "m": True}
GEMINI_V2 = {
    "type": "trade", "symbol": "BTCUSD", "event_id": 3, "timestamp": 1786313200331, "price": "65206.28",
    "quantity": "0.00012", "side": "sell", "tid": 2840140,
}  # fmt: skip
KRAKEN = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":2284.15,"qty":0.00100,'
    b'"ord_type":"market","trade_id":62886870,"timestamp":"2026-05-14T15:03:41.748964Z"},{"symbol":"BTC/USD",'
    b'"side":"buy","price":81011.5,"qty":3,"ord_type":"limit","trade_id":62886871,"timestamp":"2026-05-14T15:06:09Z"}]}'
)
BYBIT_HEAD = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1786310818131}
FRAMES: list[tuple[str, str, bytes]] = [
    ("binance_futures", "BTCUSDT", dumps({"stream": "btcusdt@trade", "data": BINANCE | {"X": "MARKET", "m": True}})),
    ("binance_spot", "BTCUSDT", dumps({"stream": "btcusdt@trade", "data": BINANCE | {"m": False, "M": True}})),
    (
        "binance_futures",
        "BTCUSDT",
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1791391082024,"a":3478018549,"s":"BTCUSDT",'
        b'"p":"83434.40","q":"0.016","nq":"0.016","f":8154045700,"l":8154045704,"T":1791391081874,"m":true,"st":1}}',
    ),
    ("bybit_linear", "BTCUSDT", dumps(BYBIT_HEAD | {"data": [BYBIT, BYBIT | {"S": "Buy", "i": "0" * 8 + UUID[8:]}]})),
    ("bybit_spot", "BTCUSDT", dumps(BYBIT_HEAD | {"data": [BYBIT | {"i": "2290000000007764263"}]})),
    ("kraken", "BTC/USD", KRAKEN),
    ("gemini", "BTCUSD", dumps(GEMINI)),
    ("gemini_v2", "BTCUSD", dumps(GEMINI_V2)),
]  # fmt: skip
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(FRAMES)]


@cache
def layout(name: str) -> tuple[Market, Int64s, Int64s]:
    served = market(name)
    return served, wire_array(served), trade_spec(served)


def scanned(name: str, symbol: str, payload: bytes) -> list[Found] | None:
    """The trades that the scanner reads; None if it leaves the line to `parse`, or to nobody."""
    _, wire, spec = layout(name)
    reading = Reading(symbol, symbol, contiguous=False)
    reading.meta[[t.PRICE_DECIMALS, t.SIZE_DECIMALS]] = DECIMALS
    body = np.frombuffer(encode_line(RECV_NS, b"ws-1", payload), np.uint8)
    code, _, _ = t.scan(body, 0, wire, spec, reading.key, reading.meta, reading.scratch)
    if code != t.END or not reading.pending:
        return None
    rows = reading.scratch[: reading.pending].tolist()
    unit = Decimal(1).scaleb(-DECIMALS)
    return [
        Found(
            symbol, row[t.TIME], row[t.ID] % 2**64, row[t.TICKS] * unit, row[t.LOTS] * unit,
            {-1: "sell", 1: "buy"}[row[t.SIDE]], bool(reading.meta[t.KIND]),
        )
        for row in rows
    ]  # fmt: skip


def parsed(name: str, payload: bytes) -> list[Found]:
    events = layout(name)[0].parse(payload)
    assert all(isinstance(event, Trade) for event in events)
    return [
        Found(x.symbol, x.event_ns, x.trade_id, x.price, x.size, x.side, x.aggregated)
        for x in events
        if isinstance(x, Trade)
    ]


@pytest.mark.parametrize(("name", "symbol", "payload"), FRAMES, ids=IDS)
def test_a_frame_of_every_form_is_read_as_parse_reads_it(name: str, symbol: str, payload: bytes) -> None:
    assert scanned(name, symbol, payload) == parsed(name, payload) != []


ODD = (
    b'"',
    b"\\",
    b" ",
    b"0",
    b"-",
    b".",
    b"e",
    b",",
    b"}",
    b"]",
    b"[",
    b"{",
    b":",
    b"null",
    b"true",
    b"1e5",
    b"\xc3",
    b"\n",
)
PARTS = [
    b'"p":"0"', b'"q":"1e5"', b'"p":"007.5"', b'"t":-1', b'"t":9223372036854775808', b'"m":null', b'"m":"true"',
    b'"s":"ETHUSDT"', b'"X":"NA"', b'"st":2', b'"BT":true', b'"data":[]', b'"qty":0.0', b'"price":01.5',
    b'"timestamp":"2026-02-30T00:00:00Z"', b'"timestamp":"2026-05-14T15:03:60Z"', b'"tid":null', b'"e":"x"',
    b'"op":"x"', b'"x":{"a":1}', b'"x":[1]', b'"x":1.50', b'"x":-0', b'"x":tru', b'"x":01', b'"x":1.', b'"p":"1"',
    b'"T":100000000000001',
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A frame with some bytes put in, left out or changed, or with a key more."""
    name, symbol, payload = draw(st.sampled_from(FRAMES))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        match draw(st.integers(0, 3)):
            case 0:
                payload = payload[:at] + draw(st.sampled_from(ODD)) + payload[at:]
            case 1:
                payload = payload[:at] + payload[at + draw(st.integers(1, 8)) :]
            case 2:
                payload = payload[:at] + bytes([draw(st.integers(0, 255))]) + payload[at + 1 :]
            case _:
                commas = [i for i, c in enumerate(payload) if c in b",{"]
                if commas:
                    at = draw(st.sampled_from(commas)) + 1
                    payload = payload[:at] + draw(st.sampled_from(PARTS)) + b"," + payload[at:]
    return name, symbol, payload


@given(mutated())
def test_what_is_read_of_a_changed_frame_is_what_parse_reads(frame: tuple[str, str, bytes]) -> None:
    name, symbol, payload = frame
    found = scanned(name, symbol, payload)
    if found is not None:
        assert found == parsed(name, payload)


amounts = st.from_regex(r"\A[0-9]{1,9}(\.[0-9]{1,9})?\Z")


@given(price=amounts, size=amounts, ms=st.integers(0, 2**53), trade_id=st.integers(0, 2**64))
def test_numbers_are_exact(price: str, size: str, ms: int, trade_id: int) -> None:
    frame = {
        "stream": "btcusdt@trade",
        "data": BINANCE | {"p": price, "q": size, "T": ms, "t": trade_id, "m": True},
    }
    payload = dumps(frame)
    found = scanned("binance_spot", "BTCUSDT", payload)
    try:
        expected = parsed("binance_spot", payload)
    except ParseError:
        assert found is None
        return
    is_plain = all(
        Decimal(x) == round(Decimal(x), DECIMALS) and Decimal(x) * 10**DECIMALS <= 2**52
        for x in (price, size)
    )
    is_plain &= expected[0].event_ns <= RECV_NS + t.AHEAD_NS
    assert found == expected or (found is None and not is_plain)


@given(st.from_regex(r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?Z\Z"))
def test_times_as_text_are_exact(text: str) -> None:
    payload = KRAKEN.replace(b"2026-05-14T15:06:09Z", text.encode())
    found = scanned("kraken", "BTC/USD", payload)
    if found is not None:
        assert found == parsed("kraken", payload)
    elif int(text[:4]) < 2030 and int(text[5:7]) in range(1, 13) and int(text[8:10]) in range(1, 29):
        assert int(text[11:13]) > 23 or int(text[14:16]) > 59 or int(text[17:19]) > 59


@pytest.mark.parametrize(
    ("name", "path", "least"),
    [
        ("binance_futures", "binance/usdm_btcusdt_20240808.gz", 21313),
        ("binance_spot", "binance/spot_ethusdt_20240809.gz", 8409),
        ("bybit_linear", "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz", 28),
    ],
)
def test_recorded_frames(recordings: Path, name: str, path: str, least: int) -> None:
    """Lines of trades are read as `parse` reads them, and nearly all of them."""
    served, read_by_scanner = market(name), 0
    symbol = "BTCUSDT" if name != "binance_spot" else "ETHUSDT"
    for item in read(recordings / path, served, symbol):
        if not isinstance(item, tuple):
            continue
        key, line = item
        if b"rade" not in line.payload[:60]:
            continue
        found = scanned(name, key.decode(), line.payload)
        if found is not None:
            read_by_scanner += 1
            assert found == parsed(name, line.payload)
    assert read_by_scanner >= least
