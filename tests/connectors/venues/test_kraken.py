"""Kraken: recorded frames against plain json and Decimal, all checksums, keys, depths, subscriptions, refusals."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.record import Line
from connectors.recordings import read
from connectors.venue import Bar, BestQuote, Depth, Levels, ParseError, Route, Ticker, Trade, market
from connectors.venues.kraken import DEPTHS, kraken, ns_of
from tests.connectors.venues.cards.kraken import (
    BTC_SNAPSHOT,
    CARD,
    PAIRS,
    TICKER,
    TRADE,
    TRADES,
    acknowledged,
)
from tests.connectors.venues.oracle import judge

KRAKEN = market("kraken")
LIVE = KRAKEN.live
# File, depth, and what data/README.md counts: book messages, snapshots, other lines.
RECORDINGS = [
    ("v2_book25_btcusd_20260802.gz", 25, 2052, 1, 52),
    ("v2_book10_btcusd_resubscribe_20260801.gz", 10, 301, 5, 76),
]


def lines(recordings: Path, file: str) -> Iterator[tuple[bytes, Line]]:
    for item in read(recordings / "kraken" / file, KRAKEN):
        assert isinstance(item, tuple), item
        yield item


# ---- the oracle: texts of the wire, sorted as Decimal


class Book:
    """The best `depth` levels a side, as texts."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[Decimal, tuple[str, str]] = {}
        self.asks: dict[Decimal, tuple[str, str]] = {}

    def apply(self, bids: Levels, asks: Levels, *, snapshot: bool) -> None:
        for side, changes, best_first in ((self.bids, bids, True), (self.asks, asks, False)):
            if snapshot:
                side.clear()
            for price, size in changes:
                side.pop(Decimal(price), None)
                if Decimal(size) != 0:
                    side[Decimal(price)] = price, size
            for beyond in sorted(side, reverse=best_first)[self.depth :]:
                del side[beyond]

    def checksum(self) -> int:
        asks = [self.asks[price] for price in sorted(self.asks)[:10]]
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)[:10]]
        return zlib.crc32("".join(bare(text) for level in asks + bids for text in level).encode())


def bare(text: str) -> str:
    return text.replace(".", "").lstrip("0")


def as_texts(payload: bytes) -> Any:
    """The frame as json reads it, its numbers as they are written."""
    return json.loads(payload, parse_float=str, parse_int=str)


def as_decimals(payload: bytes) -> Any:
    return json.loads(payload, parse_float=Decimal)


def time_ns(text: str) -> int:
    passed = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return passed // timedelta(microseconds=1) * 1000


# ---- recordings


@pytest.mark.parametrize(("file", "depth", "messages", "snapshots", "others"), RECORDINGS)
def test_every_recorded_checksum_follows_from_the_texts_of_head(
    recordings: Path, file: str, depth: int, messages: int, snapshots: int, others: int
) -> None:
    mine, truth = Book(0), Book(depth)
    counts: Counter[str] = Counter()
    for key, line in lines(recordings, file):
        frame = as_texts(line.payload)
        if frame.get("channel") != "book":
            counts["others"] += 1
            mine.depth = KRAKEN.wire.depth(line.payload) or mine.depth
            continue
        assert key == b"BTC/USD"
        (data,) = frame["data"]
        head = LIVE.head(line.payload)
        assert (head.stream, head.snapshot) == ("book:BTC/USD", frame["type"] == "snapshot")
        mine.apply(head.bids, head.asks, snapshot=head.snapshot)
        truth.apply(
            [(level["price"], level["qty"]) for level in data["bids"]],
            [(level["price"], level["qty"]) for level in data["asks"]],
            snapshot=frame["type"] == "snapshot",
        )
        assert str(mine.checksum()) == str(truth.checksum()) == str(head.checksum) == data["checksum"]
        assert (mine.bids, mine.asks) == (truth.bids, truth.asks)
        counts["messages"] += 1
        counts["snapshots"] += head.snapshot
    assert mine.depth == depth
    assert counts == {"messages": messages, "snapshots": snapshots, "others": others}


def test_there_are_2353_checksums() -> None:
    assert sum(messages for _, _, messages, _, _ in RECORDINGS) == 2353


@pytest.mark.parametrize("file", [file for file, *_ in RECORDINGS])
def test_recorded_events_equal_the_oracle(recordings: Path, file: str) -> None:
    wire = KRAKEN.wire
    for _, line in lines(recordings, file):
        frame = as_decimals(line.payload)
        events = KRAKEN.parse(line.payload)
        if frame.get("channel") != "book":
            assert events == []
            assert LIVE.head(line.payload).reply is None
            assert judge(wire, line.payload) is (Route.SUBSCRIPTION if "method" in frame else Route.OTHER)
            continue
        (data,) = frame["data"]
        (event,) = events
        assert isinstance(event, Depth)
        assert event.event_ns == time_ns(data["timestamp"]) == LIVE.head(line.payload).event_ns
        assert event.bids == [(level["price"], level["qty"]) for level in data["bids"]]
        assert event.asks == [(level["price"], level["qty"]) for level in data["asks"]]
        assert (event.symbol, event.checksum) == (data["symbol"], data["checksum"])
        assert event.snapshot == (frame["type"] == "snapshot")
        assert judge(wire, line.payload) is Route.DEPTH


def test_a_float_on_the_way_would_break_checksums() -> None:
    """Kraken's own example: 3310070434 of the texts, another one of floats."""
    head = LIVE.head(BTC_SNAPSHOT)
    book, floats = Book(10), Book(10)
    book.apply(head.bids, head.asks, snapshot=True)
    floats.apply(
        *([(repr(float(p)), repr(float(q))) for p, q in side] for side in (head.bids, head.asks)),
        snapshot=True,
    )
    assert book.checksum() == head.checksum == 3310070434
    assert floats.checksum() != head.checksum


def test_times_that_count_from_boot_follow_the_first_venue_time(recordings: Path) -> None:
    file = "v2_book10_btcusd_resubscribe_20260801.gz"
    text = gzip.decompress((recordings / "kraken" / file).read_bytes())
    since_boot = [int(line.split()[0]) for line in text.splitlines()]
    found = [line for _, line in lines(recordings, file)]
    boot_ns = found[0].recv_ns - since_boot[0]
    assert [line.recv_ns - boot_ns for line in found] == since_boot
    timed = [(line.recv_ns, LIVE.head(line.payload).event_ns) for line in found]
    first = next(number for number, (_, event_ns) in enumerate(timed) if event_ns)
    assert first > 0
    assert timed[first][0] == timed[first][1] == time_ns("2026-08-01T02:53:53.398143Z")
    assert max(abs(recv_ns - event_ns) for recv_ns, event_ns in timed if event_ns) < 10**8


def test_shapes_that_others_have_seen(recordings: Path) -> None:
    folder = recordings / "rest" / "nautilus_kraken"
    kinds = {
        name: [type(event) for event in KRAKEN.parse((folder / f"ws_{name}.json").read_bytes())]
        for name in ("book_snapshot", "book_update", "trade_update", "ohlc_update", "ticker_snapshot", "pong")
    }
    assert kinds == {
        "book_snapshot": [Depth],
        "book_update": [Depth],
        "trade_update": [Trade, Trade],
        "ohlc_update": [Bar],
        "ticker_snapshot": [BestQuote, Ticker],
        "pong": [],
    }


# ---- times


@given(st.datetimes(datetime(1970, 1, 1), datetime(2260, 1, 1)))  # noqa: DTZ001 - made UTC below
def test_times(time: datetime) -> None:
    assert ns_of(time.isoformat() + "Z") == time_ns(time.isoformat() + "+00:00")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-10-04T16:25:00.000000001Z", 1_696_436_700_000_000_001),
        ("2023-10-04T16:25:00.5Z", 1_696_436_700_500_000_000),
        ("2023-10-04T16:25:00Z", 1_696_436_700_000_000_000),
    ],
)
def test_a_fraction_has_up_to_nine_digits(text: str, ns: int) -> None:
    assert ns_of(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "", "Z", "2023-10-04", "2023-10-04T16:25:00", "2023-10-04T16:25:00.Z", "2023-10-04T16:25:00.1234567890Z",
        "2023-10-04T16:25:00.+1Z", "2023-10-04T16:25:00.1", "2023-10-04T16:25:00+01:00", "2023-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59Z", "２023-10-04T16:25:00Z",  # noqa: RUF001
        "2023-10-04T16:25:00.١Z",  # noqa: RUF001
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        ns_of(text)


# ---- heads


def test_trades_bear_their_ids_and_past_ones_no_time() -> None:
    head = LIVE.head(TRADE)
    assert (head.stream, head.first_id, head.last_id) == ("trade:EUR/USD", 771234, 771235)
    assert head.event_ns == time_ns("2026-11-22T14:00:00.5+00:00")
    past = LIVE.head(TRADES.replace(b"BTC/USD", b"ETH/USD"))
    assert (past.stream, past.event_ns, past.snapshot) == ("trade:ETH/USD", 0, False)
    assert (past.first_id, past.last_id) == (62886870, 100320028)


def test_of_trades_of_several_symbols_the_ids_are_the_first_ones() -> None:
    head = LIVE.head(TRADES)
    assert (head.stream, head.first_id, head.last_id) == ("trade:ETH/USD", 62886870, 62886870)


def test_trades_told_twice_are_equal() -> None:
    """The snapshot after a reconnect repeats trades: the same ids, so that they can be told apart downstream."""
    again = TRADE.replace(b'"update"', b'"snapshot"')
    assert KRAKEN.parse(again) == KRAKEN.parse(TRADE)


def test_instruments_come_in_band() -> None:
    assert LIVE.instruments is None
    assert LIVE.head(PAIRS).instruments
    assert not any(LIVE.head(payload).instruments for payload, _ in CARD.golden)
    assert KRAKEN.key_of(PAIRS) is None


@pytest.mark.parametrize("payload", [TRADE, TICKER, BTC_SNAPSHOT, b'{"channel":"heartbeat"}'])
def test_other_frames_tell_no_instruments(payload: bytes) -> None:
    with pytest.raises(ParseError):
        KRAKEN.instruments(payload)


@pytest.mark.parametrize(
    ("system", "error"), [("online", ""), ("maintenance", "the venue's system is maintenance")]
)
def test_a_system_that_is_not_online_is_told(system: str, error: str) -> None:
    frame = (
        f'{{"channel":"status","type":"update","data":[{{"system":"{system}","api_version":"v2"}}]}}'.encode()
    )
    reply = LIVE.head(frame).reply
    assert (reply.error if reply else "") == error


# ---- keys and depths


def test_only_a_books_acknowledgement_is_the_symbols() -> None:
    for method in ("subscribe", "unsubscribe"):
        said = acknowledged(method, "BTC/USD")
        assert KRAKEN.key_of(said) == b"BTC/USD"
        for channel in (b"trade", b"ticker", b"ohlc", b"instrument"):
            other = said.replace(b'"channel":"book"', b'"channel":"%s"' % channel)
            assert KRAKEN.key_of(other) is None
            assert KRAKEN.wire.depth(other) is None
    for refusal, _, _ in CARD.refusals:
        assert KRAKEN.key_of(refusal) is None


def test_depths() -> None:
    told = KRAKEN.wire.depth
    assert told is not None
    assert told(acknowledged("subscribe", "BTC/USD")) == 10
    assert told(acknowledged("subscribe", "BTC/USD").replace(b'"depth":10', b'"depth":1000')) == 1000
    assert told(acknowledged("unsubscribe", "BTC/USD")) == 0
    assert told(acknowledged("subscribe", "BTC/USD").replace(b"true", b"false")) is None
    assert [told(payload) for payload, _ in CARD.golden[1:]] == [None] * len(CARD.golden[1:])


@pytest.mark.parametrize(("levels", "depth"), [(0, 10), (3, 10), (10, 10), (11, 25), (100, 100), (501, 1000)])
def test_the_depth_of_a_snapshot_is_the_smallest_that_holds_it(levels: int, depth: int) -> None:
    side = [{"price": 100 + n, "qty": 1} for n in range(levels)]
    data = [{"symbol": "BTC/USD", "bids": [], "asks": side, "checksum": 1}]
    frame = {"channel": "book", "type": "snapshot", "data": data}
    assert KRAKEN.wire.depth is not None
    assert KRAKEN.wire.depth(json.dumps(frame).encode()) == depth
    assert KRAKEN.wire.depth(json.dumps(frame | {"type": "update"}).encode()) is None


# ---- subscriptions


def asked(frames: list[bytes]) -> list[tuple[str, dict[str, Any]]]:
    return [(frame["method"], frame["params"]) for frame in map(json.loads, frames)]


def test_a_frame_for_each_channel_names_all_symbols() -> None:
    assert LIVE.subscribe is not None
    streams = [stream for symbol in ("BTC/USD", "EUR/USD") for stream in LIVE.streams(symbol)]
    found = asked(LIVE.subscribe(streams))
    assert [params["channel"] for _, params in found] == ["instrument", "book", "trade", "ohlc", "ticker"]
    assert all(params.get("symbol", ["BTC/USD", "EUR/USD"]) == ["BTC/USD", "EUR/USD"] for _, params in found)


def test_a_book_alone_is_followed_anew() -> None:
    """Without the instruments, which the connection has; left with the depth it was followed with."""
    assert LIVE.subscribe is not None and LIVE.unsubscribe is not None
    book = [stream for stream in LIVE.streams("BTC/USD") if stream.book]
    params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 1000}
    assert asked(LIVE.unsubscribe(book)) == [("unsubscribe", params)]
    assert asked(LIVE.subscribe(book)) == [("subscribe", params)]


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_depth_can_be_chosen(depth: Any) -> None:
    served = kraken(depth)
    assert served.live.subscribe is not None
    found = asked(served.live.subscribe(served.live.streams("BTC/USD")))
    assert [params["depth"] for _, params in found if "depth" in params] == [depth]


def test_currencies_are_followed_by_default_without_a_key() -> None:
    names = {KRAKEN.canonical(symbol) for symbol in LIVE.symbols}
    assert {"BTC-USD", "ETH-USD", "EUR-USD", "GBP-USD", "AUD-USD", "USD-CAD", "USD-CHF", "USD-JPY"} <= names
    assert LIVE.key_env is None
    assert not any("XBT" in symbol for symbol in LIVE.symbols)
