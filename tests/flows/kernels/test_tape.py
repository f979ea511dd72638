"""The tape kernel against the recordings, read with plain json and Decimal."""

import gzip
import json
from collections import defaultdict
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
    assert (letter["offset"], letter["position"], letter["reason"]) == (3, 0, "malformed trade")
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
