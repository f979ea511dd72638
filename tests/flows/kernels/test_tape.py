"""The tape kernel against the recordings, read with plain json and Decimal."""

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.record import Chunker, Record, encode_control, encode_line
from connectors.recordings import read
from connectors.venue import market
from flows.kernels.tape import TABLE_COLUMNS, TapeKernel

FUTURES = market("binance_futures")


def records(lines: list[tuple[bytes, int, bytes]]) -> list[Record]:
    chunker = Chunker()
    found = [x for key, recv_ns, line in lines for x in chunker.add(key, recv_ns, line)]
    return [Record(key, i, body) for i, (key, body, _) in enumerate([*found, *chunker.cut()])]


def frame(**changes: object) -> bytes:
    trade = {
        "e": "trade",
        "E": 5,
        "T": 4,
        "s": "BTCUSDT",
        "t": 7,
        "p": "1.5",
        "q": "2",
        "X": "MARKET",
        "m": True,
    }
    return json.dumps({"stream": "btcusdt@trade", "data": trade | changes}, separators=(",", ":")).encode()


def rows(kernel: TapeKernel, *payloads: bytes) -> dict[str, list[dict[str, object]]]:
    body = b"".join(encode_line(10 + i, b"ws", x) for i, x in enumerate(payloads))
    blocks = kernel.on_records([Record(b"BTCUSDT", 3, body)])
    return {
        b.table: [dict(zip(b.columns, r, strict=True)) for r in zip(*b.columns.values(), strict=True)]
        for b in blocks
    }


@pytest.mark.parametrize(
    ("venue", "name", "count"),
    [
        ("binance_futures", "usdm_btcusdt_20240808.gz", 21313),
        ("binance_spot", "spot_ethusdt_20240809.gz", 8409),
    ],
)
def test_every_trade_of_a_recording(recordings: Path, venue: str, name: str, count: int) -> None:
    path = recordings / "binance" / name
    symbol = name.split("_")[1].upper()
    kernel = TapeKernel(market(venue), 0)
    lines = [(key, line.recv_ns, encode_line(*line)) for key, line in read(path, market(venue), symbol)]
    (block,) = kernel.on_records(records(lines))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    times = []
    for text in gzip.decompress(path.read_bytes()).decode().splitlines():
        if "@trade" in text[:60]:
            data = json.loads(text.split(" ", 1)[1])["data"]
            expected["sell" if data["m"] else "buy"] += Decimal(data["q"])
            times.append(data["T"] * 1_000_000)
    found: dict[str, Decimal] = defaultdict(Decimal)
    for side, size in zip(block.columns["side"], block.columns["size"], strict=True):
        found[side] += Decimal(repr(size))
    assert found == expected
    assert block.columns["time_ns"] == times
    assert len(block) == len(set(block.columns["trade_id"])) == count == kernel.summary()["trades_stored"]


def test_of_two_kinds_of_trade_one_counts() -> None:
    kernel = TapeKernel(FUTURES, 0)
    agg = {
        "e": "aggTrade",
        "E": 5,
        "T": 4,
        "s": "BTCUSDT",
        "a": 9,
        "f": 7,
        "l": 8,
        "p": "1.5",
        "q": "2",
        "m": False,
    }
    both = frame(), json.dumps({"stream": "btcusdt@aggTrade", "data": agg}).encode()
    found = rows(kernel, *both)["trades"]
    assert [(x["trade_id"], x["side"], x["aggregated"]) for x in found] == [(7, "sell", False)]
    again = TapeKernel(FUTURES, 0)
    again.load(kernel.dump())
    assert rows(again, *reversed(both))["trades"] == [x | {"received_ns": 11, "version": 11} for x in found]
    assert again.summary()["trades_left_out"] == 2


def test_a_malformed_trade_is_set_aside_and_the_rest_goes_on() -> None:
    kernel = TapeKernel(FUTURES, 0)
    found = rows(kernel, frame(p="-1"), frame(t=8), b'{"stream":"btcusdt@trade","data":{"e":"tr')
    assert [x["trade_id"] for x in found["trades"]] == [8]
    (letter,) = found["dead_letters"]
    assert (letter["offset"], letter["position"], letter["reason"]) == (3, 0, "malformed message")
    assert kernel.summary()["dead_letters"] == 1


def test_the_position_of_a_dead_letter_is_its_lines() -> None:
    good = encode_line(10, b"ws", frame())
    body = good + encode_line(10, b"ws", frame(q="x")) + b"torn"
    (_, letters) = TapeKernel(FUTURES, 0).on_records([Record(b"BTCUSDT", 3, body)])
    assert letters.columns["position"] == [len(good)]


def test_the_name_is_the_one_the_venue_tells() -> None:
    told = encode_control(
        1, b"!instrument", symbol="BTCUSDT", instrument="XBT-USDT-PERP", tick="0.1", lot="1"
    )
    (block,) = TapeKernel(FUTURES, 0).on_records(
        [Record(b"BTCUSDT", 0, told + encode_line(2, b"ws", frame()))]
    )
    assert block.columns["instrument"] == ["XBT-USDT-PERP"]
    assert tuple(block.columns) == TABLE_COLUMNS["trades"]


def test_a_dump_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        TapeKernel(FUTURES, 0).load(b"\x94\x63\x80\x80\x80")


# Other venues.


def of(name: str, *payloads: bytes) -> dict[str, list[dict[str, object]]]:
    return rows(TapeKernel(market(name), 0), *payloads)


def test_a_trade_is_found_wherever_its_kind_stands() -> None:
    trade = {
        "event_id": 5,
        "price": "65206.28",
        "quantity": "0.5",
        "side": "sell",
        "symbol": "BTCUSD",
        "tid": 7,
    }
    padding = {"a": "x" * 200}
    for fields in (
        trade | {"timestamp": 1786313200331, "type": "trade"},
        padding | trade | {"timestamp": 1, "type": "trade"},
    ):
        (found,) = of("gemini_v2", json.dumps(fields).encode())["trades"]
        assert (found["price"], found["size"], found["side"]) == (65206.28, 0.5, "sell")
    book = {
        "changes": [["buy", "1", "2"]],
        "symbol": "BTCUSD",
        "trades": [trade | {"type": "trade"}],
        "type": "l2_updates",
    }
    assert of("gemini_v2", json.dumps(book, separators=(",", ":")).encode()) == {}


def test_trade_ids_may_have_64_bits() -> None:
    trade = {
        "T": 1786310818130,
        "s": "BTCUSDT",
        "S": "Sell",
        "v": "0.010",
        "p": "81230.00",
        "BT": False,
        "seq": 1,
    }
    ids = ["ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0001-ffff-ffffffffffff"]
    frame = {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": 5,
        "data": [trade | {"i": x} for x in ids],
    }
    found = of("bybit_linear", json.dumps(frame).encode())["trades"]
    assert [x["trade_id"] for x in found] == [2**64 - 1, 1]


def test_prices_are_rows_of_their_own_and_no_volume() -> None:
    price = {"event": "price", "symbol": "EUR/USD", "timestamp": 1795000000, "price": 1.0512, "bid": 1.0511}
    found = of("twelve_data", json.dumps(price).encode(), b'{"event":"heartbeat","status":"ok"}')
    assert set(found) == {"prices"}
    (row,) = found["prices"]
    assert (row["instrument"], row["venue"], row["time_ns"]) == ("EUR-USD", "twelve_data", 1795000000 * 10**9)
    assert (row["price"], row["bid"], str(row["ask"]), row["version"]) == (1.0512, 1.0511, "nan", 10)
    assert tuple(row) == TABLE_COLUMNS["prices"]


def test_messages_in_an_array() -> None:
    frames = [
        {"ev": "status", "status": "connected", "message": "x"},
        {
            "ev": "XT",
            "pair": "BTC-USD",
            "p": 33021.9,
            "t": 1610462007425,
            "s": 0.616,
            "c": [2],
            "i": "14272084",
            "x": 3,
        },
    ]
    (found,) = of("massive_crypto", json.dumps(frames, separators=(",", ":")).encode())["trades"]
    assert (found["instrument"], found["price"], found["size"]) == ("BTC-USD", 33021.9, 0.616)


def test_a_market_without_a_book_sets_aside_all_that_it_cannot_read() -> None:
    kernel = TapeKernel(market("finnhub"), 0)
    good = encode_line(10, b"ws", b'{"type":"ping"}')
    body = good + encode_line(10, b"ws", b'{"brand":"new"}') + encode_line(10, b"ws", b"x") + b"torn"
    (block,) = kernel.on_records([Record(b"X", 3, body)])
    assert block.table == "dead_letters"
    assert block.columns["position"] == [len(good), len(good) + 25, len(good) + 35]
    assert set(block.columns["reason"]) == {"malformed message"}


@pytest.mark.parametrize(
    ("name", "path", "count"),
    [
        ("bybit_linear", "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz", 463),
        ("gemini_v2", "gemini/cryptofeed_20210417_GEMINI.ws.36.0.gz", 51),
        ("gemini_v2", "gemini/v2_marketdata_l2_btcusd_solusd_btceur_btcusdcperp_20260809.jsonl.gz", 2),
    ],
)
def test_every_message_for_the_tape_of_other_venues(
    recordings: Path, name: str, path: str, count: int
) -> None:
    """As many lines reach the parser as have the kind of a trade, bar or ticker, read with plain json."""
    served, parsed = market(name), []
    lines = [x for x in read(recordings / path, served) if isinstance(x, tuple)]
    expected = 0
    for _, line in lines:
        frame = json.loads(line.payload)
        topic = str(frame.get("topic"))
        expected += frame.get("type") == "trade" or topic.startswith(("publicTrade", "kline", "tickers"))
    kernel = TapeKernel(served, 0)
    kernel._market = replace(served, parse=lambda payload: parsed.append(payload) or served.parse(payload))
    blocks = kernel.on_records(records([(key, line.recv_ns, encode_line(*line)) for key, line in lines]))
    assert len(parsed) == expected == count
    assert {block.table for block in blocks} <= {"trades", "bars", "derivatives"}
