"""Both markets of Gemini: recordings against a naive reading of the same text, names, answers to requests."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.lane import lanes
from connectors.record import Line, Record, encode_line
from connectors.recordings import read
from connectors.venue import Depth, Event, ParseError, Trade, market
from flows.kernels.book import SIZE_DECIMALS
from flows.kernels.depth import DepthKernel
from flows.kernels.tape import TapeKernel
from tests.connectors.venues.cards.gemini import BOUGHT, CHANGED, PARTIAL, SOLD, WHOLE

GEMINI, V2 = market("gemini"), market("gemini_v2")

# file; frames; of each symbol: book messages and trades, those within its snapshot among them
FILES = {
    "v2_marketdata_l2_btcusd_solusd_btceur_btcusdcperp_20260809.jsonl.gz": (
        254,
        {"BTCUSD": (106, 102), "SOLUSD": (114, 100), "BTCUSDCPERP": (29, 100), "BTCEUR": (1, 10)},
    ),
    "cryptofeed_20210417_GEMINI.ws.36.0.gz": (
        993,
        {
            "ETHUSD": (223, 64), "LTCUSD": (223, 64), "BTCUSD": (200, 68), "ETHBTC": (93, 50), "MKRUSD": (63, 50),
            "BCHBTC": (48, 50), "OXTUSD": (40, 50), "BALUSD": (25, 52), "ZECBTC": (14, 50), "AMPUSD": (6, 53),
        },
    ),
}  # fmt: skip
Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
EACH_FILE = pytest.mark.parametrize("name", FILES)


# ---- recordings


def raw(path: Path) -> Iterator[tuple[Decimal, str]]:
    """Receive time in seconds and payload of each frame, read once more by other means."""
    with gzip.open(path, "rt") as text:
        for line in text:
            if line.startswith("{"):
                entry = json.loads(line, parse_float=Decimal)
                if entry["t"] == "recv":
                    yield entry["ts"], entry["data"]
            elif found := re.fullmatch(r"(\d+\.\d+): (.*)\n", line):
                yield Decimal(found[1]), found[2]


def lines(recordings: Path, name: str) -> list[tuple[bytes, Line]]:
    found = list(read(recordings / "gemini" / name, V2))
    assert all(isinstance(item, tuple) for item in found)
    return found  # type: ignore[return-value]


def plain_trade(told: dict[str, Any]) -> Trade:
    return Trade(
        symbol=told["symbol"],
        event_ns=told["timestamp"] * 10**6,
        trade_id=told["tid"] if "tid" in told else told["event_id"],
        price=Decimal(told["price"]),
        size=Decimal(told["quantity"]),
        side=told["side"],
    )


def plain_events(told: dict[str, Any]) -> list[Event]:
    if told["type"] == "trade":
        return [plain_trade(told)]
    if told["type"] == "heartbeat":
        return []
    sides: dict[str, list[tuple[Decimal, Decimal]]] = {"buy": [], "sell": []}
    for side, price, size in told["changes"]:
        sides[side].append((Decimal(price), Decimal(size)))
    depth = Depth(
        symbol=told["symbol"], event_ns=None, first_id=-1, last_id=-1, previous_id=None, bids=sides["buy"],
        asks=sides["sell"], snapshot=len(told) > 3,
    )  # fmt: skip
    return [depth, *map(plain_trade, told.get("trades", []))]


@EACH_FILE
def test_every_recorded_frame(recordings: Path, name: str) -> None:
    found = lines(recordings, name)
    frames, counts = FILES[name]
    texts = list(raw(recordings / "gemini" / name))
    assert len(found) == len(texts) == frames
    books: Counter[str] = Counter()
    trades: Counter[str] = Counter()
    for (key, line), (recv_s, text) in zip(found, texts, strict=True):
        told = json.loads(text)
        assert line.payload == text.encode()
        assert line.recv_ns == int(recv_s * 10**9)
        expected = plain_events(told)
        assert V2.parse(line.payload) == expected
        head = V2.live.head(line.payload)
        assert head.event_ns == told.get("timestamp", 0) * 10**6
        if told["type"] == "heartbeat":
            assert (head.stream, V2.key_of(line.payload)) == ("", None)
            continue
        assert key == told["symbol"].encode()
        assert head.stream == f"{told['symbol']}@{'l2' if told['type'] == 'l2_updates' else 'trade'}"
        if isinstance(depth := expected[0], Depth):
            books[depth.symbol or ""] += 1
            assert head.snapshot == depth.snapshot == (books[depth.symbol or ""] == 1)
            sides = [[(Decimal(p), Decimal(q)) for p, q in side] for side in (head.bids, head.asks)]
            assert sides == [depth.bids, depth.asks]
        trades.update(event.symbol for event in expected if isinstance(event, Trade))
    assert {symbol: (books[symbol], trades[symbol]) for symbol in books} == counts


@EACH_FILE
def test_recorded_books_never_cross_and_the_flow_holds_them(recordings: Path, name: str) -> None:
    books: dict[str, Sides] = {}
    depth, tape = DepthKernel(V2, 0), TapeKernel(V2, 0)
    trades = 0
    for number, (key, line) in enumerate(lines(recordings, name), start=1):
        record = Record(key, number, encode_line(*line))
        depth.on_records([record])
        tape.on_records([record])
        told = json.loads(line.payload)
        trades += told["type"] == "trade"
        if told["type"] == "l2_updates":
            change(books, told)
    assert books.keys() == FILES[name][1].keys()
    # What a snapshot repeats is no news to the tape.
    assert (depth.counts, tape.counts["trades_stored"], tape.counts["dead_letters"]) == ({}, trades, 0)
    for symbol, sides in books.items():
        assert held(depth, symbol) == sides


def change(books: dict[str, Sides], told: dict[str, Any]) -> None:
    """The book after a message, by plain dicts."""
    if "trades" in told:
        books[told["symbol"]] = {}, {}
    bids, asks = books[told["symbol"]]
    for name, price, size in told["changes"]:
        side = bids if name == "buy" else asks
        side[Decimal(price)] = Decimal(size)
        if not side[Decimal(price)]:
            del side[Decimal(price)]
    assert max(bids) < min(asks)


def held(kernel: DepthKernel, symbol: str) -> Sides:
    """The book in the flow."""
    book = kernel._books[symbol.encode()]
    assert book.live
    lot = Decimal(1).scaleb(-int(book.meta[SIZE_DECIMALS]))
    sides: Sides = ({}, {})
    for tick, lots, side in zip(*book.levels(), strict=True):
        sides[side][book.price(int(tick))] = int(lots) * lot
    return sides


@EACH_FILE
def test_a_trade_is_told_with_one_id(recordings: Path, name: str) -> None:
    """What a snapshot repeats would be stored twice under two ids."""
    told: dict[tuple[str, int], Trade] = {}
    for _, line in lines(recordings, name):
        for event in V2.parse(line.payload):
            if isinstance(event, Trade):
                assert told.setdefault((event.symbol, event.trade_id), event) == event
    assert len(told) == sum(trades for _, trades in FILES[name][1].values())


# ---- names


def test_names_of_every_recorded_symbol(recordings: Path) -> None:
    with gzip.open(recordings / "rest" / "gemini_v1_symbol_details.jsonl.gz") as text:
        answers = [line for line in text if line.strip()]
    for answer in answers:
        told = json.loads(answer, parse_float=Decimal)
        (found,) = GEMINI.instruments(answer)
        assert (found.symbol, found.tick, found.lot) == (
            told["symbol"],
            told["quote_increment"],
            told["tick_size"],
        )
        perpetual = "-PERP" if told["symbol"].endswith("PERP") else ""
        name = f"{told['base_currency']}-{told['quote_currency']}{perpetual}"
        assert found.instrument == GEMINI.canonical(told["symbol"]) == name
    assert len(answers) == 173
    with gzip.open(recordings / "rest" / "gemini_v1_symbols.json.gz") as text:
        symbols = [symbol.upper() for symbol in json.load(text)]
    assert len({GEMINI.canonical(symbol) for symbol in symbols}) == len(symbols) == 347
    assert {GEMINI.canonical(symbol).replace("-", "") for symbol in symbols} == set(symbols)


def test_an_unknown_quote_stays_unsplit() -> None:
    assert GEMINI.canonical("BTCXYZ") == "BTCXYZ"
    assert GEMINI.canonical("USD") == "USD"


@pytest.mark.parametrize(
    "steps",
    ['"tick_size":0,"quote_increment":0.01', '"tick_size":"NaN","quote_increment":0.01',
     '"tick_size":1e-13,"quote_increment":0.01', '"tick_size":0.01,"quote_increment":1e99'],
)  # fmt: skip
def test_steps_of_no_use_make_no_instrument(steps: str) -> None:
    details = f'{{"symbol":"BTCUSD","base_currency":"BTC","quote_currency":"USD",{steps}}}'
    assert GEMINI.instruments(details.encode()) == []


@pytest.mark.parametrize(
    "answer",
    [b'{"result":"error","reason":"Bad Request","message":"Supplied value"}', b"[]", b"", b'["btcusd"]'],
)
def test_what_is_no_details(answer: bytes) -> None:
    with pytest.raises(ParseError, match="expected details"):
        GEMINI.instruments(answer)


def test_one_request_a_symbol() -> None:
    assert GEMINI.live.instruments is not None
    found = GEMINI.live.instruments(["BTCUSD", "A/B?"])
    assert [request.path for request in found] == [
        "/v1/symbols/details/btcusd",
        "/v1/symbols/details/a%2Fb%3F",
    ]


# ---- the new API


def test_a_snapshot_is_told_by_its_ids() -> None:
    assert GEMINI.live.head(WHOLE).snapshot
    assert not GEMINI.live.head(CHANGED).snapshot
    head = GEMINI.live.head(CHANGED)
    assert (head.stream, head.event_ns, head.first_id, head.last_id) == (
        "btcusd@depth@100ms", 1795000000223456789, 1764527605191349, 1764527605191360,
    )  # fmt: skip
    assert (head.bids, head.asks) == (
        [("81230.10", "0.00000000")],
        [("81230.50", "0.20000000")],
    )


def test_a_snapshot_in_the_form_of_partial_books() -> None:
    """It names its symbol in `symbol`, in `s`, or not at all."""
    for payload, symbol in (
        (PARTIAL, "ETHUSD"),
        (PARTIAL.replace(b'"symbol"', b'"s"'), "ETHUSD"),
        (PARTIAL.replace(b'"symbol":"ethusd",', b""), None),
    ):
        (depth,) = GEMINI.parse(payload)
        assert isinstance(depth, Depth)
        assert (depth.symbol, depth.snapshot, depth.last_id) == (symbol, True, 12345678)
        head = GEMINI.live.head(payload)
        assert (head.stream, head.snapshot) == ("ethusd@depth@100ms" if symbol else "", True)
        assert (head.last_id, head.bids) == (12345678, [("2482.5500", "1.047")])
        assert GEMINI.key_of(payload) == (symbol.encode() if symbol else None)


def test_trades_have_no_event_type() -> None:
    for payload in (BOUGHT, SOLD):
        head = GEMINI.live.head(payload)
        assert (head.stream, head.last_id, head.snapshot) == ("btcusd@trade", -1, False)
        keys = list(json.loads(payload))
        assert GEMINI.wire.untagged[keys[0]].name == "TRADE"
        assert "e" not in keys


@pytest.mark.parametrize(
    "payload",
    [
        CHANGED.replace(b'"U":1764527605191349,', b""),
        CHANGED.replace(b'"u":1764527605191360,', b""),
        CHANGED.replace(b'"b":[["81230.10","0.00000000"]],', b""),
        CHANGED.replace(b"1795000000223456789", b"17950000002234567890"),
        CHANGED.replace(b"1764527605191360", b"-1"),
        b'{"e":"depthUpdate"}',
        b"[]",
    ],
)
def test_heads_of_malformed_frames(payload: bytes) -> None:
    with pytest.raises(ParseError):
        GEMINI.live.head(payload)


def test_a_request_names_one_symbol() -> None:
    streams = [stream for symbol in ("BTCUSD", "SOLUSD") for stream in GEMINI.live.streams(symbol)]
    assert GEMINI.live.subscribe is not None and GEMINI.live.unsubscribe is not None
    assert [json.loads(frame)["id"] for frame in GEMINI.live.subscribe(streams)] == [
        "subscribeBTCUSD",
        "subscribeSOLUSD",
    ]
    book = [stream for stream in streams if stream.book]
    assert [json.loads(frame) for frame in GEMINI.live.unsubscribe(book[:1])] == [
        {"id": "unsubscribeBTCUSD", "method": "unsubscribe", "params": ["btcusd@depth@100ms"]}
    ]


def test_answers_without_an_error_text() -> None:
    reply = GEMINI.live.head(b'{"id":7,"status":500}').reply
    assert reply is not None
    assert (reply.error, reply.refused, reply.fatal) == ("status 500", (), False)


# ---- the archived API


def test_one_subscription_brings_book_and_trades() -> None:
    assert V2.live.subscribe is not None and V2.live.unsubscribe is not None
    streams = V2.live.streams("BTCUSD")
    asked = [*V2.live.subscribe(streams), *V2.live.unsubscribe(streams)]
    assert [json.loads(frame)["type"] for frame in asked] == ["subscribe", "unsubscribe"]


def test_the_archived_api_is_followed_by_name_only() -> None:
    assert GEMINI.by_default
    assert not V2.by_default


@pytest.mark.parametrize("served", [GEMINI, V2], ids=lambda served: served.name)
def test_a_socket_carries_ten_symbols(served: Any) -> None:
    symbols = [f"C{i}USD" for i in range(11)]
    assert [len(lane.symbols) for lane in lanes(served, symbols)] == [10, 1]
    quiet = [stream.silence_s for stream in served.live.streams("BTCSGD")]
    assert quiet == [None, None]
