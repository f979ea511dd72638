"""Bars of streams and of prices, through the tape kernel, against bars counted plainly."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.record import Record, encode_control, encode_line
from connectors.venue import market
from flows.kernels.bars import COLUMNS, KEPT_NS
from flows.kernels.tape import TapeKernel

SECOND_NS, MINUTE_NS = 10**9, 60 * 10**9
BASE_S = 1_795_000_020  # a whole minute
BASE_NS = BASE_S * SECOND_NS

Line = tuple[int, bytes, bytes]


def bars_of(kernel: TapeKernel, lines: Sequence[Line], offset: int = 0) -> list[dict[str, Any]]:
    """Every row of `bars` that these lines give, in order."""
    body = b"".join(encode_line(*line) for line in lines)
    return [
        dict(zip(COLUMNS, row, strict=True))
        for block in kernel.on_records([Record(b"X", offset, body)])
        if block.table == "bars"
        for row in zip(*block.columns.values(), strict=True)
    ]


def newest(rows: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[float, ...]]:
    """The store's view: of each key the highest version."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        key = row["instrument"], row["open_ns"]
        if key not in found or found[key]["version"] <= row["version"]:
            found[key] = row
    return {key: (x["open"], x["high"], x["low"], x["close"]) for key, x in found.items()}


# ---- bars that a venue tells


def kraken(recv_s: float, minute: int, close: float, origin: bytes = b"ws-1", kind: str = "update") -> Line:
    """Kraken's `ohlc`, sent when it was received; `minute` since BASE."""
    return candles(recv_s, [(minute, close)], origin, kind)


def candles(
    recv_s: float, told: list[tuple[int, float]], origin: bytes = b"ws-1", kind: str = "snapshot"
) -> Line:
    def stamp(at_s: float) -> str:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"

    data = [
        {
            "symbol": "BTC/USD", "open": 1.0, "high": 9.0, "low": 0.5, "close": close, "trades": 3, "volume": 2.0,
            "vwap": 1.5, "interval_begin": stamp(BASE_S + 60 * minute), "interval": 1,
            "timestamp": stamp(BASE_S + 60 * minute + 60),
        }
        for minute, close in told
    ]  # fmt: skip
    frame = {"channel": "ohlc", "type": kind, "timestamp": stamp(BASE_S + recv_s), "data": data}
    payload = json.dumps(frame, separators=(",", ":")).encode()
    return BASE_NS + int(recv_s * SECOND_NS), origin, payload


def closes(kernel: TapeKernel, *lines: Line) -> list[tuple[int, float]]:
    return [((row["open_ns"] - BASE_NS) // MINUTE_NS, row["close"]) for row in bars_of(kernel, lines)]


def test_a_later_bar_of_the_same_connection_ends_the_one_before():
    kernel = TapeKernel(market("kraken"), 0)
    lines = kraken(10, 0, 2.0), kraken(50, 0, 3.0), kraken(61, 1, 4.0), kraken(62, 1, 5.0)
    (row,) = bars_of(kernel, lines)
    assert row == {
        "instrument": "BTC-USD", "venue": "kraken", "interval_s": 60, "source": "stream", "open_ns": BASE_NS,
        "open": 1.0, "high": 9.0, "low": 0.5, "close": 3.0, "volume": 2.0, "quote_volume": 3.0,
        "buy_volume": row["buy_volume"], "trades": 3, "received_ns": lines[1][0], "version": lines[2][0],
    }  # fmt: skip
    assert math.isnan(row["buy_volume"])


def test_a_bar_that_lost_its_connection_is_a_hole_unless_it_is_told_again():
    kernel = TapeKernel(market("kraken"), 0)
    assert closes(kernel, kraken(10, 0, 2.0), kraken(185, 3, 5.0, b"ws-2"), kraken(241, 4, 6.0, b"ws-2")) == [
        (3, 5.0)
    ]
    again = TapeKernel(market("kraken"), 0)
    snapshot = candles(130, [(0, 2.5), (1, 3.0), (2, 4.0)], b"ws-2")
    assert closes(again, kraken(10, 0, 2.0), snapshot, kraken(185, 3, 5.0, b"ws-2")) == [
        (0, 2.5), (1, 3.0), (2, 4.0),
    ]  # fmt: skip


def test_what_another_connection_tells_late_is_not_taken_for_the_end():
    kernel = TapeKernel(market("kraken"), 0)
    late = kraken(59, 0, 2.0, b"ws-1")  # of a connection that lags behind ws-2
    assert closes(kernel, kraken(61, 1, 4.0, b"ws-2"), late, kraken(121, 2, 5.0, b"ws-2")) == [(1, 4.0)]


def test_a_connector_begun_anew_ends_no_bar_of_before():
    kernel = TapeKernel(market("kraken"), 0)
    told = encode_control(
        BASE_NS, b"!instrument", symbol="BTC/USD", instrument="BTC-USD", tick="0.1", lot="1"
    )
    assert closes(kernel, kraken(10, 0, 2.0)) == []
    kernel.on_records([Record(b"BTC/USD", 1, told)])
    assert closes(kernel, kraken(185, 3, 5.0), kraken(241, 4, 6.0)) == [(3, 5.0)]


@pytest.mark.parametrize("closed", [True, False])
def test_a_venue_that_says_closed_is_believed(closed):
    candle = {
        "t": BASE_S * 1000, "T": BASE_S * 1000 + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2, "o": "1", "c": "2",
        "h": "3", "l": "0.5", "v": "4", "n": 2, "x": closed, "q": "8", "V": "1", "Q": "2", "B": "0",
    }  # fmt: skip
    frame = {
        "stream": "btcusdt@kline_1m",
        "data": {"e": "kline", "E": BASE_S * 1000, "s": "BTCUSDT", "k": candle},
    }
    for separators in ((",", ":"), (", ", ": ")):
        payload = json.dumps(frame, separators=separators).encode()
        rows = bars_of(TapeKernel(market("binance_spot"), 0), [(BASE_NS, b"ws-1", payload)])
        assert [(x["close"], x["buy_volume"], x["trades"]) for x in rows] == [(2.0, 1.0, 2)] * closed


# ---- bars made of prices


def price(
    event_s: float, value: float, symbol: str = "EUR/USD", origin: bytes = b"ws-1", late_s: float = 0.0
) -> Line:
    frame = {"event": "price", "symbol": symbol, "timestamp": BASE_S + int(event_s), "price": value}
    return BASE_NS + int((event_s + late_s) * SECOND_NS), origin, json.dumps(frame).encode()


HEARTBEAT = BASE_NS - MINUTE_NS, b"ws-1", b'{"event":"heartbeat","status":"ok"}'
TICKS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 99), st.sampled_from(["EUR/USD", "USD/JPY"])),
    min_size=1, max_size=60,
)  # fmt: skip


def expected(ticks: list[tuple[int, int, str]]) -> dict[tuple[str, int], tuple[float, ...]]:
    """Bars of all minutes but those from the newest price on, told in the order of receipt."""
    newest_s = max(second for second, _, _ in ticks)
    minutes: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for second, value, symbol in ticks:
        if second // 60 < newest_s // 60:
            key = symbol.replace("/", "-"), BASE_NS + second // 60 * MINUTE_NS
            minutes.setdefault(key, []).append((second, float(value)))
    found = {}
    for key, told in minutes.items():
        ordered = sorted(told, key=lambda x: x[0])  # stable: of one time the one told first stands first
        values = [value for _, value in told]
        found[key] = (ordered[0][1], max(values), min(values), ordered[-1][1])
    return found


@given(TICKS, st.lists(st.integers(0, 60)))
def test_bars_of_prices_in_any_order_cut_anywhere(ticks, cuts):
    lines = [HEARTBEAT] + [
        price(s, v, symbol, late_s=400.0 - s + i) for i, (s, v, symbol) in enumerate(ticks)
    ]
    whole = bars_of(TapeKernel(market("twelve_data"), 0), lines)
    assert newest(whole) == expected(ticks)
    kernel, found = TapeKernel(market("twelve_data"), 0), []
    borders = sorted({0, *(min(x, len(lines)) for x in cuts), len(lines)})
    for i, (at, end) in enumerate(pairwise(borders)):
        found += bars_of(kernel, lines[at:end], i)
        again = TapeKernel(market("twelve_data"), 0)  # killed and begun anew
        again.load(kernel.dump())
        kernel = again
    assert repr(found) == repr(whole)


def test_a_bar_of_prices_has_no_volume_and_is_corrected_by_a_late_price():
    kernel = TapeKernel(market("twelve_data"), 0)
    first, late = bars_of(kernel, [HEARTBEAT, price(5, 2.0), price(61, 3.0), price(20, 9.0, late_s=50)])
    assert (first["source"], first["close"], late["high"], late["close"]) == ("prices", 2.0, 9.0, 9.0)
    assert math.isnan(first["volume"])
    assert first["trades"] is None
    assert late["version"] > first["version"]


def test_a_minute_that_no_connection_saw_whole_is_a_hole():
    kernel = TapeKernel(market("twelve_data"), 0)
    begun_within = [price(5, 2.0), price(65, 2.0), price(125, 2.0)]
    assert [x["open_ns"] - BASE_NS for x in bars_of(kernel, begun_within)] == [MINUTE_NS]
    lost = [price(130, 2.0), price(150, 3.0, origin=b"ws-2"), price(185, 3.0, origin=b"ws-2")]
    assert bars_of(kernel, lost) == []
    assert [x["open_ns"] - BASE_NS for x in bars_of(kernel, [price(245, 3.0, origin=b"ws-2")])] == [
        3 * MINUTE_NS
    ]


def test_prices_that_are_too_late_or_of_the_future_make_no_bars():
    kernel = TapeKernel(market("twelve_data"), 0)
    far_s = KEPT_NS / SECOND_NS + 120
    lines = [
        HEARTBEAT,
        price(far_s, 1.0),
        price(5, 2.0, late_s=far_s),
        price(10**6, 1.0, late_s=-(10**6) + far_s),
    ]
    assert bars_of(kernel, lines) == []
    assert kernel.summary()["prices_left_out"] == 2
    assert kernel.summary()["prices_stored"] == 3


def test_a_price_is_of_one_symbol_and_ends_the_bars_of_all_on_its_connection():
    kernel = TapeKernel(market("twelve_data"), 0)
    lines = [HEARTBEAT, price(5, 2.0), price(6, 100.0, "USD/JPY"), price(7, 7.0, "GBP/USD", origin=b"ws-9")]
    found = bars_of(kernel, [*lines, price(61, 101.0, "USD/JPY")])
    assert {x["instrument"] for x in found} == {"EUR-USD", "USD-JPY"}


def test_a_connection_that_is_behind_keeps_its_bars_while_another_is_ahead():
    kernel, late_s = TapeKernel(market("twelve_data"), 0), KEPT_NS / SECOND_NS + 300
    other = price(0, 1.0, "USD/JPY", b"ws-2", late_s=-90)
    told = [HEARTBEAT, other]
    for second in (5, 30, 55, 65):
        told.append(price(second, float(second), late_s=late_s))
        told.append(price(late_s + 3 * second, 1.0, "USD/JPY", b"ws-2"))
    (found,) = [x for x in bars_of(kernel, told) if x["instrument"] == "EUR-USD"]
    assert (found["open"], found["high"], found["close"]) == (5.0, 55.0, 55.0)
