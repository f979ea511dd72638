"""The tape kernel against the recordings, read with plain json and Decimal."""

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.record import Chunker, Record, encode_control, encode_line
from connectors.recordings import read
from connectors.venue import market
from flows.kernels import trades as t
from flows.kernels.block import Block
from flows.kernels.tape import TABLE_COLUMNS, TapeKernel

FUTURES = market("binance_futures")
RECV_NS = 1_900_000_000_000_000_000


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


Found = dict[str, list[dict[str, object]]]


def rows(kernel: TapeKernel, *payloads: bytes, recv_ns: int = 10, origin: bytes = b"ws") -> Found:
    body = b"".join(encode_line(recv_ns + i, origin, x) for i, x in enumerate(payloads))
    return of_blocks(kernel.on_records([Record(b"BTCUSDT", 3, body)]))


def of_blocks(blocks: list[Block]) -> Found:
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
    block = next(x for x in kernel.on_records(records(lines)) if x.table == "trades")
    expected: dict[str, Decimal] = defaultdict(Decimal)
    times = []
    for text in gzip.decompress(path.read_bytes()).decode().splitlines():
        if "@trade" in text[:60]:
            data = json.loads(text.split(" ", 1)[1])["data"]
            expected["sell" if data["m"] else "buy"] += Decimal(data["q"])
            times.append(data["T"] * 1_000_000)
    found: dict[str, Decimal] = defaultdict(Decimal)
    for side, size in zip(block.columns["side"], block.columns["size"], strict=True):
        found[side] += Decimal(repr(float(size)))
    assert found == expected
    assert list(block.columns["time_ns"]) == times
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
    later = frame(t=8), both[1]
    assert [x["trade_id"] for x in rows(again, *reversed(later))["trades"]] == [8]
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


def test_a_connector_that_begins_may_tell_the_other_kind_alone() -> None:
    kernel = TapeKernel(FUTURES, 0)
    begins = encode_control(
        RECV_NS, b"!instrument", symbol="BTCUSDT", instrument="BTC-USDT-PERP", tick="0.1", lot="1"
    )
    agg = {"e": "aggTrade", "f": 7, "l": 8, "s": "BTCUSDT", "p": "1.5", "q": "2", "m": False, "E": 5}
    told = [
        json.dumps({"stream": "btcusdt@aggTrade", "data": agg | {"a": a, "T": START_MS}}).encode()
        for a in (3, 4)
    ]
    rows(kernel, trade(8_000_000), trade(8_000_001), recv_ns=RECV_NS)
    assert rows(kernel, told[0], recv_ns=RECV_NS) == {}
    kernel.on_records([Record(b"BTCUSDT", 4, begins)])
    found = rows(kernel, *told, trade(8_000_002), recv_ns=RECV_NS)["trades"]
    assert [(x["trade_id"], x["aggregated"]) for x in found] == [(3, True), (4, True)]
    assert kernel.summary()["trades_missed"] == 2


def test_the_name_is_the_one_the_venue_tells() -> None:
    told = encode_control(
        1, b"!instrument", symbol="BTCUSDT", instrument="XBT-USDT-PERP", tick="0.1", lot="1"
    )
    block, *_ = TapeKernel(FUTURES, 0).on_records(
        [Record(b"BTCUSDT", 0, told + encode_line(2, b"ws", frame()))]
    )
    assert list(block.columns["instrument"]) == ["XBT-USDT-PERP"]
    assert tuple(block.columns) == TABLE_COLUMNS["trades"]


@pytest.mark.parametrize("state", [b"\x94\x63\x80\x80\x80", b"\x92\x02\x80"])
def test_a_dump_of_another_version_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected kernel state of version 3, found .*recovery directory"):
        TapeKernel(FUTURES, 0).load(state)


# Other venues.


def of(name: str, *payloads: bytes) -> dict[str, list[dict[str, object]]]:
    return rows(TapeKernel(market(name), 0), *payloads, recv_ns=RECV_NS)


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
    assert (row["price"], row["bid"], str(row["ask"]), row["version"]) == (1.0512, 1.0511, "nan", RECV_NS)
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
    kernel = TapeKernel(replace(served, trades=()), 0)
    kernel._market = replace(served, parse=lambda payload: parsed.append(payload) or served.parse(payload))
    blocks = kernel.on_records(records([(key, line.recv_ns, encode_line(*line)) for key, line in lines]))
    assert len(parsed) == expected == count
    made = {"order_flow", "footprints", "profiles", "large_trades"}
    assert {block.table for block in blocks} <= {"trades", "bars", "derivatives"} | made


# Bad input, and what is told again.

SECOND_MS = 1000
START_MS = RECV_NS // 10**6


def trade(trade_id: int, after_ms: int = 0, **changes: object) -> bytes:
    return frame(t=trade_id, T=START_MS + after_ms, **changes)


def test_a_trade_told_again_counts_once() -> None:
    kernel = TapeKernel(FUTURES, 0)
    found = rows(kernel, trade(7), trade(8), trade(7), trade(8), trade(9), recv_ns=RECV_NS)
    assert [x["trade_id"] for x in found["trades"]] == [7, 8, 9]
    assert (kernel.summary()["trades_repeated"], kernel.summary()["trades_missed"]) == (2, 1)
    assert "trades" not in rows(kernel, trade(7), trade(9), recv_ns=RECV_NS)


def test_trades_out_of_order_are_taken_and_those_of_a_minute_ago_are_rows_only() -> None:
    kernel = TapeKernel(FUTURES, 0)
    times = ((1, 0), (2, 61_000), (3, 2_000), (4, 500), (1, 0))
    found = rows(kernel, *(trade(i, after_ms) for i, after_ms in times), recv_ns=RECV_NS + 70 * 10**9)
    assert [x["trade_id"] for x in found["trades"]] == [1, 2, 3, 4, 1]
    assert kernel.summary()["trades_too_late"] == 2
    lines = b"".join(
        encode_line(RECV_NS + (70 + i) * 10**9, b"ws", trade(10 + i, 62_000 + i * 1000)) for i in range(9)
    )
    made = of_blocks(kernel.on_records([Record(b"BTCUSDT", 4, lines)]))["order_flow"]
    assert sum(int(str(x["trades"])) for x in made if x["interval_s"] == 1) <= 10


@pytest.mark.parametrize(
    "bad",
    [
        trade(2, q="0"),
        trade(2, p="0.0"),
        trade(2, q="99999999999999999999"),
        trade(2, q="0.0000000000000000001"),
        trade(2, p="9007199254740993"),
        trade(2, 61_000),
        trade(2, q="-1"),
        trade(2, m=None),
    ],
)
def test_a_trade_that_cannot_be_is_set_aside(bad: bytes) -> None:
    kernel = TapeKernel(FUTURES, 0)
    found = rows(kernel, trade(1), bad, trade(3), recv_ns=RECV_NS)
    assert [x["trade_id"] for x in found["trades"]] == [1, 3]
    assert len(found["dead_letters"]) == kernel.summary()["dead_letters"] == 1


def test_finer_digits_change_no_trade() -> None:
    kernel = TapeKernel(FUTURES, 0)
    sizes = ("2", "0.25", "0.125", "3", "0.000125")
    found = rows(kernel, *(trade(i, q=size, p=f"1.{i:03}") for i, size in enumerate(sizes)), recv_ns=RECV_NS)
    assert [(x["price"], x["size"]) for x in found["trades"]] == [
        (float(f"1.{i:03}"), float(size)) for i, size in enumerate(sizes)
    ]
    (heard,) = kernel._readings.values()
    assert heard.meta[[t.PRICE_DECIMALS, t.SIZE_DECIMALS]].tolist() == [3, 6]
    coarse = rows(kernel, trade(9, q="4503599627.370497"), recv_ns=RECV_NS)
    assert set(coarse) >= {"dead_letters"} and "trades" not in coarse


def test_a_jump_of_ids_says_that_trades_are_missing() -> None:
    kernel = TapeKernel(FUTURES, 0)
    rows(kernel, trade(5), trade(6), recv_ns=RECV_NS, origin=b"ws-1")
    rows(kernel, trade(7), recv_ns=RECV_NS, origin=b"ws-2")
    assert kernel.summary()["trades_missed"] == 1  # before the first
    rows(kernel, trade(9), trade(8), trade(10), recv_ns=RECV_NS, origin=b"ws-2")
    assert kernel.summary()["trades_missed"] == 2


def test_the_highest_id_that_there_is_stops_nothing() -> None:
    kernel = TapeKernel(FUTURES, 0)
    told = (2**63 - 1, 2**63 - 1, 5, 2**63 - 1, 6)
    assert len(rows(kernel, *(trade(x) for x in told), recv_ns=RECV_NS)["trades"]) == 3
    assert rows(kernel, trade(2**63 - 1), recv_ns=RECV_NS) == {}


def test_ids_that_begin_anew_are_followed() -> None:
    kernel = TapeKernel(FUTURES, 0)
    rows(kernel, *(trade(x) for x in (10**15, 10**15 + 1)), recv_ns=RECV_NS)
    assert kernel.summary()["trades_missed"] == 1
    rows(kernel, *(trade(x) for x in (7, 8)), recv_ns=RECV_NS)
    assert kernel.summary()["trades_missed"] == 2
    rows(
        kernel, *(trade(x) for x in (10, 9)), recv_ns=RECV_NS
    )  # 9 came late, which nothing tells when 10 does
    assert kernel.summary()["trades_missed"] == 3


def test_a_fill_that_is_no_trade_is_not_missing() -> None:
    kernel = TapeKernel(FUTURES, 0)
    rows(kernel, trade(5), trade(6, X="INSURANCE_FUND"), trade(7), recv_ns=RECV_NS)
    assert kernel.summary()["trades_missed"] == 1


def bybit(*ids: int) -> bytes:
    each = {"T": START_MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "2", "BT": False}
    data = [each | {"i": f"{i:08x}-0000-0000-0000-000000000000"} for i in ids]
    head = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": START_MS}
    return json.dumps(head | {"data": data}, separators=(",", ":")).encode()


def test_a_new_connection_may_have_missed_trades_unless_it_tells_one_again() -> None:
    kernel = TapeKernel(market("bybit_linear"), 0)

    def missed(*ids: int, origin: bytes) -> int:
        rows(kernel, bybit(*ids), recv_ns=RECV_NS, origin=origin)
        return int(kernel.summary()["trades_missed"])

    assert missed(1, 2, origin=b"ws-1") == 1
    assert missed(3, origin=b"ws-1") == 1
    assert missed(3, 4, origin=b"ws-2") == 1
    assert missed(5, origin=b"ws-1") == 1
    assert missed(6, origin=b"ws-3") == 2
    told = encode_control(RECV_NS, b"!instrument", symbol="BTCUSDT", instrument="A-B", tick="1", lot="1")
    kernel.on_records([Record(b"BTCUSDT", 5, told)])
    assert missed(7, origin=b"ws-3") == 3


def test_a_block_trade_is_left_out() -> None:
    payload = bybit(1, 2).replace(b'"BT":false', b'"BT":true', 1)
    assert [x["trade_id"] for x in of("bybit_linear", payload)["trades"]] == [2 << 32]


def finnhub(after_ms: int, price: float) -> bytes:
    data = [{"s": "BINANCE:BTCUSDT", "p": price, "t": START_MS + after_ms, "v": 1}]
    return json.dumps({"type": "trade", "data": data}).encode()


def test_without_a_side_the_last_change_of_price_tells_it() -> None:
    found = of("finnhub", *map(finnhub, range(6), (10, 10, 11, 11, 10.5, 10.5)))["trades"]
    sides = [(x["side"], x["side_by"]) for x in found]
    assert sides == [("unknown", "none")] * 2 + [("buy", "tick")] * 2 + [("sell", "tick")] * 2


def massive(*events: dict[str, object]) -> bytes:
    return json.dumps(
        [{"pair": "BTC-USD", "t": START_MS} | event for event in events], separators=(",", ":")
    ).encode()


def test_without_a_side_the_best_quote_before_tells_it() -> None:
    quote = {"ev": "XQ", "bp": 10, "bs": 1, "ap": 11, "as": 1}
    prices = (11, 10, 10.5, 12, 10.5)
    trades = [{"ev": "XT", "p": p, "s": 1, "i": str(i), "x": 1} for i, p in enumerate(prices)]
    told = {"ev": "XT", "p": 10, "s": 1, "i": "told", "x": 1, "c": [2]}
    found = of("massive_crypto", massive(trades[0]), massive(quote), massive(*trades[1:]), massive(told))[
        "trades"
    ]
    assert [(x["side"], x["side_by"]) for x in found] == [
        ("unknown", "none"), ("sell", "quote"), ("buy", "tick"), ("buy", "quote"), ("sell", "tick"), ("buy", "told"),
    ]  # fmt: skip


def test_the_clock_closes_what_a_silent_venue_leaves_open() -> None:
    kernel = TapeKernel(FUTURES, 0)
    assert "order_flow" not in rows(kernel, trade(1), recv_ns=RECV_NS)
    for second, is_over in ((1, False), (2, True)):
        clock = encode_control(RECV_NS + second * 10**9, b"!clock", time_ns=RECV_NS + second * 10**9)
        found = of_blocks(kernel.on_records([Record(b"!clock", 9, clock)]))
        assert any(x["interval_s"] == 1 for x in found.get("order_flow", [])) == is_over


@pytest.mark.parametrize("name", ["usdm_btcusdt_20240808.gz", "cryptofeed_usdm_4sym_20210722.jsonl.zst"])
def test_rows_do_not_depend_on_calls_or_on_a_restart(recordings: Path, name: str) -> None:
    lines = []
    for item in read(recordings / "binance" / name, FUTURES, "BTCUSDT"):
        if isinstance(item, tuple) and (len(lines) < 20_000):
            lines.append((item[0], item[1].recv_ns, encode_line(*item[1])))
    everything = records(lines)

    def made(step: int, restart: bool) -> dict[str, list[str]]:
        kernel, found = TapeKernel(FUTURES, 0), defaultdict(list)
        for at in range(0, len(everything), step):
            for table, each in of_blocks(kernel.on_records(everything[at : at + step])).items():
                found[table] += [str(list(map(plain, row.values()))) for row in each]
            if restart:
                state = kernel.dump()
                kernel = TapeKernel(FUTURES, 0)
                kernel.load(state)
        return {table: sorted(each) for table, each in found.items()}

    whole = made(len(everything), restart=False)
    assert len(whole["trades"]) > 50
    assert made(97, restart=True) == whole
    assert made(1000, restart=False) == whole


def plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@given(
    st.lists(st.integers(0, 400), max_size=120),
    st.lists(st.integers(0, 119), max_size=4),
)
def test_what_counts_is_what_a_plain_telling_counts(told: list[int], calls: list[int]) -> None:
    """Ids come in any order and again; the trade of id i is of second i."""
    kernel = TapeKernel(FUTURES, 0)
    for begin, end in pairwise([0, *sorted(calls), len(told)]):
        rows(kernel, *(trade(i, i * 1000) for i in told[begin:end]), recv_ns=RECV_NS + 400 * 10**9)
        state = kernel.dump()
        kernel = TapeKernel(FUTURES, 0)
        kernel.load(state)
    newest, last, seen = -1, -1, set()
    late = repeated = missed = 0
    for i in told:
        newest = max(newest, i)
        if i < newest - 60:
            late += 1
            continue
        missed += last < 0 or i > last + 1
        last = max(last, i)
        repeated += i in seen
        seen.add(i)
    found = kernel.summary()
    names = ("trades_too_late", "trades_repeated", "trades_missed", "trades_stored")
    assert [found[name] for name in names] == [late, repeated, missed, len(told) - repeated]


def test_a_new_name_loses_no_rows_of_the_old_one() -> None:
    kernel = TapeKernel(FUTURES, 0)
    told = encode_control(RECV_NS, b"!instrument", symbol="BTCUSDT", instrument="A-B", tick="0.1", lot="1")
    before = b"".join(encode_line(RECV_NS, b"ws", trade(i, i * 1000)) for i in range(4))
    after = encode_line(RECV_NS, b"ws", trade(4, 4000))
    found = of_blocks(kernel.on_records([Record(b"BTCUSDT", 0, before + told + after)]))
    assert {x["instrument"] for x in found["order_flow"]} == {"BTC-USDT-PERP"}
    assert [x["instrument"] for x in found["trades"]] == ["BTC-USDT-PERP"] * 4 + ["A-B"]
