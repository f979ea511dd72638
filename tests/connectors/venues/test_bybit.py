"""Bybit: what its cards do not show. The recordings are held against plain json and Decimal."""

import gzip
import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.book_sync import NEXT, verdict
from connectors.record import Line
from connectors.recordings import read
from connectors.venue import Depth, Event, ParseError, Ticker, market
from connectors.venues import bybit
from tests.connectors.venues.cards import bybit_linear, bybit_spot

SPOT, LINEAR = market("bybit_spot"), market("bybit_linear")
EACH = pytest.mark.parametrize("served", [SPOT, LINEAR], ids=lambda served: served.name)
FILE = "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz"


# ---- recordings


def recorded(recordings: Path, name: str) -> list[tuple[bytes, Line]]:
    found = []
    for item in read(recordings / FILE, market(name)):
        assert isinstance(item, tuple), item
        found.append(item)
    return found


def plain(events: list[Event]) -> list[dict[str, Any]]:
    return [{"type": type(event).__name__, **msgspec.structs.asdict(event)} for event in events]


def expected(payload: bytes) -> list[dict[str, Any]]:
    """What a frame says, read once more with plain json and Decimal."""
    frame = json.loads(payload)
    channel, symbol = frame.get("topic", "").partition(".")[0], frame.get("topic", "").split(".")[-1]
    data = frame.get("data")
    match channel:
        case "orderbook":
            return [
                {
                    "type": "Depth",
                    "symbol": symbol,
                    "event_ns": frame["ts"] * 10**6,
                    "first_id": data["u"],
                    "last_id": data["u"],
                    "previous_id": None,
                    "bids": [(Decimal(price), Decimal(size)) for price, size in data["b"]],
                    "asks": [(Decimal(price), Decimal(size)) for price, size in data["a"]],
                    "snapshot": frame["type"] == "snapshot",
                    "checksum": None,
                }
            ]
        case "publicTrade":
            return [
                {
                    "type": "Trade",
                    "symbol": symbol,
                    "event_ns": each["T"] * 10**6,
                    "trade_id": id_of(each["i"]),
                    "price": Decimal(each["p"]),
                    "size": Decimal(each["v"]),
                    "side": each["S"].lower(),
                    "aggregated": False,
                }
                for each in data
            ]
        case "kline":
            return [
                {
                    "type": "Bar",
                    "symbol": symbol,
                    "interval_s": int(each["interval"]) * 60,
                    "open_ns": each["start"] * 10**6,
                    **{name: Decimal(each[name]) for name in ("open", "high", "low", "close", "volume")},
                    "quote_volume": Decimal(each["turnover"]),
                    "buy_volume": None,
                    "trades": None,
                    "closed": each["confirm"],
                }
                for each in data
            ]
        case "tickers":
            return [
                {
                    "type": "Ticker",
                    "symbol": symbol,
                    "event_ns": frame["ts"] * 10**6,
                    "delta": frame["type"] == "delta",
                    **{name: number(data.get(wire)) for name, wire in TICKER.items()},
                    "next_funding_ns": int(data["nextFundingTime"]) * 10**6
                    if "nextFundingTime" in data
                    else None,
                }
            ]
    assert frame["op"] == "subscribe"
    return []


TICKER = {
    "last": "lastPrice", "bid": "bid1Price", "ask": "ask1Price", "mark": "markPrice", "index": "indexPrice",
    "funding_rate": "fundingRate", "open_interest": "singleOpenInterest", "open": "prevPrice24h",
    "high": "highPrice24h", "low": "lowPrice24h", "volume": "volume24h", "quote_volume": "turnover24h",
}  # fmt: skip


def number(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None


def id_of(text: str) -> int:
    return int(text[:18].replace("-", ""), 16) if "-" in text else int(text)


# What data/README.md counts, by market.
COUNTS = {
    "bybit_linear": {("BTCUSDT", "Depth"): 414, ("ETHUSDT", "Depth"): 421},
    "bybit_spot": {("BTCUSDT", "Depth"): 300, ("ETHUSDT", "Depth"): 250},
}


@pytest.mark.parametrize(("name", "counts"), COUNTS.items())
def test_a_recording_of_both_markets_is_read_as_one_of_them(
    recordings: Path, name: str, counts: dict[tuple[str, str], int]
) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for key, line in recorded(recordings, name):
        events = market(name).parse(line.payload)
        assert plain(events) == expected(line.payload)
        for event in events:
            assert event.symbol == key.decode()
            found[event.symbol, type(event).__name__] += 1
    assert {each: found[each] for each in counts} == counts
    assert {kind for _, kind in found} == {"Depth", "Trade", "Bar", "Ticker"}


def test_each_line_of_the_recording_belongs_to_one_market(recordings: Path) -> None:
    spot, linear = recorded(recordings, "bybit_spot"), recorded(recordings, "bybit_linear")
    assert {line.origin for _, line in spot} == {b"BYBIT.ws.3"}
    assert {line.origin for _, line in linear} == {b"BYBIT.ws.2"}
    assert len(spot) + len(linear) == 1996


@EACH
def test_books_of_the_recording_are_continuous_and_never_crossed(recordings: Path, served) -> None:
    books: dict[str, tuple[int, dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
    for _, line in recorded(recordings, served.name):
        if b'"orderbook.' not in line.payload:
            continue
        (depth,) = served.parse(line.payload)
        head = served.live.head(line.payload)
        assert served.wire.depth(line.payload) == 200
        assert (head.last_id, head.snapshot) == (depth.last_id, depth.snapshot)
        assert head.event_ns == depth.event_ns
        assert [tuple(map(Decimal, level)) for level in head.bids] == depth.bids
        assert [tuple(map(Decimal, level)) for level in head.asks] == depth.asks
        if depth.snapshot:
            assert depth.symbol not in books
            bids, asks = dict(depth.bids), dict(depth.asks)
        else:
            last_id, bids, asks = books[depth.symbol]
            rule = int(served.wire.rule)
            assert verdict(rule, False, last_id, depth.first_id, depth.last_id, -1) == NEXT
            for side, changes in ((bids, depth.bids), (asks, depth.asks)):
                side.update(changes)
                for price, size in changes:
                    if not size:
                        del side[price]
        # What leaves the best 200 is told of: without it the sides would grow.
        assert len(bids) <= 200 and len(asks) <= 200
        assert max(bids) < min(asks)
        books[depth.symbol] = depth.last_id, bids, asks
    assert books.keys() == {"BTCUSDT", "ETHUSDT"}


@EACH
def test_tickers_of_the_recording_merge(recordings: Path, served) -> None:
    merged: dict[str, Ticker] = {}
    naive: dict[str, dict[str, str]] = {}
    deltas = 0
    for _, line in recorded(recordings, served.name):
        if b'"tickers.' not in line.payload:
            continue
        (ticker,) = served.parse(line.payload)
        frame = json.loads(line.payload)
        deltas += ticker.delta
        merged[ticker.symbol] = ticker.over(merged.get(ticker.symbol))
        naive.setdefault(ticker.symbol, {}).update(frame["data"])
        for name, wire in TICKER.items():
            assert getattr(merged[ticker.symbol], name) == number(naive[ticker.symbol].get(wire)), name
    assert merged.keys() == {"BTCUSDT", "ETHUSDT"}
    assert (deltas > 300) == (served is LINEAR)
    assert all(ticker.open_interest and ticker.funding_rate for ticker in merged.values()) == (
        served is LINEAR
    )


def test_liquidations_recorded(recordings: Path) -> None:
    frames = (recordings / "bybit/allliquidation_frames.jsonl").read_bytes().splitlines()
    found = [each for frame in frames for each in LINEAR.parse(frame)]
    assert [(each.symbol, each.liquidated_side, each.size) for each in found] == [
        ("BTCUSDT", "long", Decimal("0.006")),
        ("BTCUSDT", "long", Decimal("0.038")),
        ("STRKUSDT", "long", Decimal("2084.9")),
    ]


def test_instruments_recorded(recordings: Path) -> None:
    body = gzip.decompress((recordings / "rest/bybit_v5_instruments_info_linear.json.gz").read_bytes())
    wanted = json.loads(body)["result"]["list"]
    found = {each.symbol: each for each in LINEAR.instruments(body)}
    assert len(found) == len(wanted) == 800
    for entry in wanted:
        each = found[entry["symbol"]]
        assert each.instrument == LINEAR.canonical(each.symbol)
        assert each.instrument.startswith(f"{entry['baseCoin']}-{entry['quoteCoin']}-")
        assert each.instrument.endswith("-PERP") == (entry["contractType"] == "LinearPerpetual")
        assert each.tick == Decimal(entry["priceFilter"]["tickSize"])
        assert each.lot == Decimal(entry["lotSizeFilter"]["qtyStep"])
    assert len({each.instrument for each in found.values()}) == 800
    assert SPOT.instruments(body) == []


# ---- live


@pytest.mark.parametrize("depth", bybit.DEPTHS)
def test_the_depth_of_the_book_is_a_choice(depth: int) -> None:
    served = bybit.market_of("spot", depth)
    (book, *others) = served.live.streams("BTCUSDT")
    assert (book.name, book.book) == (f"orderbook.{depth}.BTCUSDT", True)
    assert not any(each.book for each in others)
    payload = bybit_spot.SNAPSHOT.replace(b"orderbook.200", f"orderbook.{depth}".encode())
    assert served.wire.depth(payload) == depth
    assert served.key_of(payload) == b"BTCUSDT"


def test_a_depth_not_served() -> None:
    assert LINEAR.at_depth(1000).live.streams("BTCUSDT")[0].name == "orderbook.1000.BTCUSDT"
    with pytest.raises(ValueError, match="depth of bybit_linear one of 1, 50, 200, 1000, found 500"):
        LINEAR.at_depth(500)
    with pytest.raises(ValueError, match="depth of gemini none: it has no choice, found 500"):
        market("gemini").at_depth(500)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        bybit_linear.TRADES,
        bybit_linear.ACCEPTED,
        b'{"topic":"orderbook.0.X"}',
        b'{"topic":"orderbook.x.X"}',
    ],
)
def test_a_payload_that_says_no_depth(payload: bytes) -> None:
    assert LINEAR.wire.depth(payload) is None


@EACH
@given(symbols=st.lists(st.from_regex(r"\A[A-Z0-9]{2,20}\Z"), min_size=1, max_size=40, unique=True))
def test_requests_carry_each_topic_once_and_few_of_them(served, symbols: list[str]) -> None:
    streams = [stream for symbol in symbols for stream in served.live.streams(symbol)]
    for ask in (served.live.subscribe, served.live.unsubscribe):
        requests = [json.loads(frame) for frame in ask(streams)]
        assert [topic for each in requests for topic in each["args"]] == [stream.name for stream in streams]
        assert all(len(each["args"]) <= 10 for each in requests)
        assert [each["req_id"] for each in requests] == symbols


def test_more_topics_of_a_symbol_than_a_request_may_carry() -> None:
    stream = SPOT.live.streams("BTCUSDT")[0]
    names = [f"kline.{minutes}.BTCUSDT" for minutes in range(25)]
    streams = [type(stream)(name, "BTCUSDT", stream.path, False, None) for name in names]
    requests = [json.loads(frame) for frame in SPOT.live.subscribe(streams)]
    assert [len(each["args"]) for each in requests] == [10, 10, 5]
    assert {each["req_id"] for each in requests} == {"BTCUSDT"}


@EACH
def test_what_a_connection_asks_for_stays_below_its_limit(served) -> None:
    """21,000 characters of args; names as long as any of the recorded list and the longest depth."""
    deepest = bybit.market_of(served.name.removeprefix("bybit_"), 1000)
    names = [stream.name for stream in deepest.live.streams("1000000BABYDOGEUSDT-25DEC26")]
    each = sum(len(name) + 3 for name in names) / len(names)
    assert served.live.streams_max * each < 21_000


def test_the_markets_have_addresses_of_their_own() -> None:
    paths = [{stream.path for stream in served.live.streams("BTCUSDT")} for served in (SPOT, LINEAR)]
    assert paths == [{"/v5/public/spot"}, {"/v5/public/linear"}]
    (request,) = LINEAR.live.instruments(["A&B"])
    assert request.path == "/v5/market/instruments-info?category=linear&symbol=A%26B"


@pytest.mark.parametrize(
    "body",
    [
        b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}',
        b'{"retCode":10001,"retMsg":"params error: category only support linear or option","result":{}}',
        b'{"retCode":0}x',
        b'{"result":{"list":[]}}',
        b"<html>",
    ],
)
def test_answers_that_tell_no_instruments(body: bytes) -> None:
    with pytest.raises(ParseError):
        LINEAR.instruments(body)


def test_a_repeated_snapshot_of_one_level() -> None:
    """Of depth 1 every message is a snapshot; the last is repeated after 3 s without a change."""
    frame = bybit_spot.SNAPSHOT.replace(b"orderbook.200", b"orderbook.1")
    (depth,) = SPOT.parse(frame)
    assert isinstance(depth, Depth)
    assert depth.snapshot and SPOT.live.head(frame).snapshot


@given(st.dates(min_value=date(2020, 1, 1), max_value=date(2060, 1, 1)))
def test_dated_contracts(day) -> None:
    text = f"{day.day}{day:%b%y}".upper()
    assert LINEAR.canonical(f"BTCUSDT-{text}") == f"BTC-USDT-{day:%Y%m%d}"


@pytest.mark.parametrize("symbol", ["PERP", "USDT", "BTC-99XXX99", "ÄÖ", "", "-", "BTC-31FEB26"])
def test_canonical_never_raises(symbol: str) -> None:
    assert isinstance(LINEAR.canonical(symbol), str)
    assert isinstance(SPOT.canonical(symbol), str)
