"""Both Binance markets on real recordings: counts, golden values, the oracle, continuity."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.book_sync import GAP, NEXT, STALE, verdict
from connectors.record import INSTRUMENT, Line
from connectors.recordings import read
from connectors.venue import Depth, Route, Trade, market
from connectors.venues.binance_spot import channel_of
from tests.connectors.venues.oracle import expected, judge, plain

SPOT, FUTURES = market("binance_spot"), market("binance_futures")

# market, file, symbol, and what data/README.md counts: depth, trade, bookTicker, snapshots
FILES = [
    ("binance_spot", "spot_btcusdt_20240808.gz", "BTCUSDT", 3451, 9757, 28040, 1),
    ("binance_spot", "spot_btcusdt_20240809.gz", "BTCUSDT", 3044, 10147, 45134, 0),
    ("binance_spot", "spot_ethusdt_20240808.gz", "ETHUSDT", 3434, 6106, 24077, 1),
    ("binance_spot", "spot_ethusdt_20240809.gz", "ETHUSDT", 3036, 8409, 34681, 0),
    ("binance_futures", "usdm_btcusdt_20240808.gz", "BTCUSDT", 6551, 21313, 66089, 1),
]
CRYPTOFEED = [
    (
        "binance_spot",
        "cryptofeed_spot_4sym_20211012.jsonl.zst",
        {"depth": 177, "bookTicker": 84, "aggTrade": 2, "kline": 2, "lastUpdateId": 4},
        ("NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"),
    ),
    (
        "binance_futures",
        "cryptofeed_usdm_4sym_20210722.jsonl.zst",
        {"depth": 764, "bookTicker": 613, "aggTrade": 91, "kline": 67, "lastUpdateId": 4},
        ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"),
    ),
]


def lines(path: Path, name: str, symbol: str | None = None) -> Iterator[tuple[bytes, Line]]:
    for item in read(path, market(name), symbol):
        assert isinstance(item, tuple), item
        yield item


def channel(payload: bytes) -> str:
    if payload.startswith(b'{"stream":"'):
        return channel_of(payload[11:80].split(b'"')[0].decode())
    return json.loads(payload[:20].split(b":")[0][1:])


@pytest.mark.parametrize(("name", "file", "symbol", "depth", "trade", "quote", "snapshots"), FILES)
def test_each_recording_holds_what_its_catalogue_counts(
    recordings: Path, name: str, file: str, symbol: str, depth: int, trade: int, quote: int, snapshots: int
) -> None:
    counts: Counter[str] = Counter()
    keys: Counter[bytes] = Counter()
    ids: list[int] = []
    for key, line in lines(recordings / "binance" / file, name, symbol):
        kind = channel(line.payload)
        counts[kind] += 1
        keys[key] += 1
        if kind == "trade":
            (event,) = market(name).parse(line.payload)
            assert isinstance(event, Trade)
            ids.append(event.trade_id)
    wanted = {"depth": depth, "trade": trade, "bookTicker": quote, "lastUpdateId": snapshots}
    assert counts == {kind: count for kind, count in wanted.items() if count}
    assert keys == {symbol.encode(): sum(wanted.values())}
    steps = Counter(b - a for a, b in itertools.pairwise(ids))
    assert steps == {1: trade - 1}


def test_the_first_and_last_frames_of_the_futures_recording(recordings: Path) -> None:
    found = list(lines(recordings / "binance" / "usdm_btcusdt_20240808.gz", "binance_futures", "BTCUSDT"))
    first, last = found[0][1], found[-1][1]
    assert first.recv_ns == 1723161255030314667
    (depth,) = FUTURES.parse(first.payload)
    assert isinstance(depth, Depth)
    assert (depth.first_id, depth.last_id, depth.previous_id) == (5123107832006, 5123107837557, 5123107831937)
    assert depth.event_ns == 1723161256299_000_000
    assert depth.bids[:3] == [
        (Decimal("58710.20"), Decimal("0.014")),
        (Decimal("61496.50"), Decimal("0.010")),
        (Decimal("61510.90"), Decimal("0.000")),
    ]
    assert plain(FUTURES.parse(last.payload)) == expected(last.payload)
    assert last.recv_ns // 10**9 == 1723161599
    trade = next(e for _, line in found for e in FUTURES.parse(line.payload) if isinstance(e, Trade))
    assert trade == Trade(
        symbol="BTCUSDT",
        event_ns=1723161256322_000_000,
        trade_id=5266583935,
        price=Decimal("61800.30"),
        size=Decimal("0.006"),
        side="buy",
    )


@pytest.mark.parametrize(("name", "file", "counts", "symbols"), CRYPTOFEED)
def test_cryptofeed_recordings(
    recordings: Path, name: str, file: str, counts: dict[str, int], symbols: tuple[str, ...]
) -> None:
    found: Counter[str] = Counter()
    told: dict[bytes, bytes] = {}
    for key, line in lines(recordings / "binance" / file, name):
        if line.origin == INSTRUMENT:
            assert key not in told
            told[key] = line.payload
            continue
        assert key in told, "an instrument stands before its data"
        found[channel(line.payload)] += 1
        assert plain(market(name).parse(line.payload)) == expected(line.payload)
    assert found == counts
    assert sorted(told) == sorted(symbol.encode() for symbol in symbols)


def checked(recordings: Path, step: int) -> int:
    count = 0
    for name, file, symbol, *_ in FILES:
        wire, parse = market(name).wire, market(name).parse
        for index, (_, line) in enumerate(lines(recordings / "binance" / file, name, symbol)):
            if index % step == 0 or line.payload.startswith(b'{"lastUpdateId"'):
                events = parse(line.payload)
                assert plain(events) == expected(line.payload)
                assert judge(wire, line.payload) is ROUTE_OF[type(events[0]).__name__, is_snapshot(events[0])]
                count += 1
    return count


def is_snapshot(event: object) -> bool:
    return isinstance(event, Depth) and event.snapshot


ROUTE_OF = {
    ("Depth", False): Route.DEPTH,
    ("Depth", True): Route.SNAPSHOT,
    ("Trade", False): Route.TRADE,
    ("BestQuote", False): Route.OTHER,
}


def test_parse_and_routes_agree_with_the_oracle(recordings: Path) -> None:
    assert checked(recordings, step=23) > 10_000


@pytest.mark.slow
def test_parse_and_routes_agree_with_the_oracle_on_every_frame(recordings: Path) -> None:
    assert checked(recordings, step=1) == 41249 + 58325 + 33618 + 46126 + 93954


CHAINS = [
    ("binance_spot", ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"], "BTCUSDT", 6493),
    ("binance_spot", ["spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"], "ETHUSDT", None),
    ("binance_futures", ["usdm_btcusdt_20240808.gz"], "BTCUSDT", 6547),
    ("binance_spot", ["cryptofeed_spot_4sym_20211012.jsonl.zst"], None, None),
    ("binance_futures", ["cryptofeed_usdm_4sym_20210722.jsonl.zst"], None, None),
]
LAST_TOUCH = {
    ("binance_spot", b"BTCUSDT"): ("61602.01000000", "61602.02000000"),
}


@pytest.mark.parametrize(("name", "files", "symbol", "applied"), CHAINS)
def test_books_are_continuous_and_never_crossed(
    recordings: Path, name: str, files: list[str], symbol: str | None, applied: int | None
) -> None:
    """Diffs that come before their snapshot wait for it, as a live connector lets them."""
    rule = int(market(name).wire.rule)
    waiting: dict[bytes, list[Depth]] = {}
    books: dict[bytes, Book] = {}
    for file in files:
        for key, line in lines(recordings / "binance" / file, name, symbol):
            if line.origin == INSTRUMENT or judged_other(line.payload):
                continue
            (depth,) = market(name).parse(line.payload)
            assert isinstance(depth, Depth)
            if depth.snapshot:
                books[key] = Book(depth)
                for waited in waiting.pop(key, []):
                    books[key].apply(rule, waited)
            elif key in books:
                books[key].apply(rule, depth)
            else:
                waiting.setdefault(key, []).append(depth)
    assert not waiting
    verdicts = sum((book.verdicts for book in books.values()), Counter())
    assert verdicts[GAP] == 0
    assert verdicts[NEXT] > 0
    if applied:
        assert verdicts[NEXT] == applied
    for key, book in books.items():
        bid, ask = max(book.sides[0]), min(book.sides[1])
        assert bid < ask
        if (name, key) in LAST_TOUCH:
            assert (bid, ask) == tuple(map(Decimal, LAST_TOUCH[name, key]))


def judged_other(payload: bytes) -> bool:
    return b'"lastUpdateId"' not in payload[:20] and b"@depth" not in payload[:80]


class Book:
    def __init__(self, snapshot: Depth) -> None:
        self.id, self.seeded = snapshot.last_id, True
        self.sides: tuple[dict[Decimal, Decimal], ...] = dict(snapshot.bids), dict(snapshot.asks)
        self.verdicts: Counter[int] = Counter()

    def apply(self, rule: int, depth: Depth) -> None:
        previous = -1 if depth.previous_id is None else depth.previous_id
        said = verdict(rule, self.seeded, self.id, depth.first_id, depth.last_id, previous)
        self.verdicts[said] += 1
        assert said in (NEXT, STALE), (self.id, depth.first_id, depth.last_id, depth.previous_id)
        if said == STALE:
            return
        self.id, self.seeded = depth.last_id, False
        for side, changed in zip(self.sides, (depth.bids, depth.asks), strict=True):
            for price, size in changed:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.verdicts[NEXT] % 50 == 0:
            assert max(self.sides[0]) < min(self.sides[1])
