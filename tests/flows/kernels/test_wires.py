"""Random markets of every venue whose snapshots come in the stream: the kernel against the oracle and the truth."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors import record
from connectors.record import Record, encode_control, encode_line
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel
from tests.flows.kernels.compare import Run, assert_equal, judge
from tests.flows.kernels.feed import START_MS
from tests.flows.kernels.test_depth import table_bits
from tests.wires import checksum

MARKETS = ("bybit_linear", "kraken", "gemini", "gemini_v2")
KEYS = {"bybit_linear": b"BTCUSDT", "kraken": b"BTC/USD", "gemini": b"BTCUSD", "gemini_v2": b"BTCUSD"}
# A loss shows with the next message; on Kraken because a book of ten levels is all in its checksum.
NOTICED = ("bybit_linear", "kraken", "gemini")
FAULTS = ("loss", "repeat", "snapshot", "restart", "reset", "left", "book", "malformed", "crossed")

View = dict[tuple[int, int], int]  # (side, price in tenths) -> size in 1e-8


@dataclass
class Venue:
    """A market that moves, and what a client of depth `depth` (0: all) is told of it."""

    market: str
    rng: random.Random
    depth: int
    mid: int = 1_000
    full: View = field(default_factory=dict)
    told: View = field(default_factory=dict)
    update_id: int = 500

    def __post_init__(self) -> None:
        for i in range(1, 30):
            self.full[0, self.mid - i] = self.full[1, self.mid + i] = self.size()
        self.told = self.view()

    def size(self) -> int:
        return self.rng.choice([self.rng.randrange(1, 10**11), 10 ** self.rng.randrange(11)])

    def view(self) -> View:
        """What the client must hold."""
        best = [sorted((p for s, p in self.full if s == side), reverse=side == 0) for side in (0, 1)]
        kept = {(side, price) for side in (0, 1) for price in best[side][: self.depth or None]}
        return {level: size for level, size in self.full.items() if level in kept}

    def move(self) -> None:
        rng = self.rng
        self.mid = max(self.mid + round(rng.gauss(0, 1.5)), 100)
        for _ in range(rng.randrange(5)):
            side = rng.randrange(2)
            away = rng.randrange(1, 12) if rng.random() < 0.7 else rng.randrange(1, 90)
            self.full[side, self.mid + (away if side else -away)] = self.size() if rng.random() < 0.7 else 0
        for side in (0, 1):
            self.full.setdefault((side, self.mid + (1 if side else -1)), self.size())
        passed = [x for x in self.full if (x[1] >= self.mid if x[0] == 0 else x[1] <= self.mid)]
        for level in [*passed, *(x for x, size in self.full.items() if not size)]:
            self.full.pop(level, None)

    def change(self, ms: int) -> bytes:
        """The next message."""
        before, self.told = self.told, self.view()
        self.update_id += 1 if self.market == "bybit_linear" else self.rng.randrange(1, 5)
        changes = {level: size for level, size in self.told.items() if before.get(level) != size}
        # Kraken sends no removal of a level that only falls out of view.
        gone = [x for x in before if x not in self.told and (self.market != "kraken" or x not in self.full)]
        return self.frame(ms, dict.fromkeys(gone, 0) | changes, whole=False)

    def snapshot(self, ms: int) -> bytes:
        self.told = self.view()
        self.update_id += 1
        return self.frame(ms, self.told, whole=True)

    def frame(self, ms: int, levels: View, *, whole: bool) -> bytes:
        sides = [[_texts(price, size) for (s, price), size in levels.items() if s == side] for side in (0, 1)]
        return getattr(self, self.market)(START_MS + ms, sides, whole)

    def bybit_linear(self, event_ms: int, sides: list[list[list[str]]], whole: bool) -> bytes:
        data = {"s": "BTCUSDT", "b": sides[0], "a": sides[1], "u": self.update_id, "seq": 7}
        kind = {"type": "snapshot" if whole else "delta", "ts": event_ms}
        head = {"topic": f"orderbook.{self.depth}.BTCUSDT"} | _shuffled(kind, self.rng)
        return _json(head | {"data": data, "cts": event_ms - 3})

    def kraken(self, event_ms: int, sides: list[list[list[str]]], whole: bool) -> bytes:
        texts = [",".join(_object(*level, self.rng) for level in side) for side in sides]
        stamp = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=event_ms)
        fraction = f"{event_ms % 1000:03}{self.rng.randrange(1000):03}"
        time = (
            ""
            if whole and self.rng.random() < 0.5
            else f',"timestamp":"{stamp:%Y-%m-%dT%H:%M:%S}.{fraction}Z"'
        )
        kind = "snapshot" if whole else "update"
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{texts[0]}],'
            f'"asks":[{texts[1]}],"checksum":{self.checksum()}{time}}}]}}'
        ).encode()

    def checksum(self) -> int:
        sides: list[dict[Decimal, Decimal]] = [{}, {}]
        for (side, price), size in self.told.items():
            texts = _texts(price, size)
            sides[side][Decimal(texts[0])] = Decimal(texts[1])
        return checksum(*sides)

    def gemini(self, event_ms: int, sides: list[list[list[str]]], whole: bool) -> bytes:
        first = self.update_id if whole else self.previous
        event = {"e": "depthUpdate", "E": event_ms * 10**6 + self.rng.randrange(10**6), "s": "btcusd"}
        return _json(event | {"U": first, "u": self.update_id, "b": sides[0], "a": sides[1]})

    previous = 0

    def gemini_v2(self, event_ms: int, sides: list[list[list[str]]], whole: bool) -> bytes:
        changes = [["buy", *level] for level in sides[0]] + [["sell", *level] for level in sides[1]]
        self.rng.shuffle(changes)
        frame = {"changes": changes, "symbol": "BTCUSD", "type": "l2_updates"}
        past = {"type": "trade", "symbol": "BTCUSD", "price": "1.0", "quantity": "2", "side": "buy", "tid": 5}
        return _json(({"auction_events": []} | frame | {"trades": [past]}) if whole else frame)


def _texts(price: int, size: int) -> list[str]:
    return [f"{price // 10}.{price % 10}", f"{size // 10**8}.{size % 10**8:08}"]


def _object(price: str, size: str, rng: random.Random) -> str:
    fields = [f'"price":{price}', f'"qty":{size}']
    if rng.random() < 0.1:
        fields.append('"orders":3')
        rng.shuffle(fields)
    return "{" + ",".join(fields) + "}"


def _shuffled(fields: dict[str, object], rng: random.Random) -> dict[str, object]:
    names = list(fields)
    rng.shuffle(names)
    return {name: fields[name] for name in names}


def _json(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


@dataclass
class Told:
    """A record, and what a client that has heard all holds after it."""

    record: Record
    truth: View
    faults: Counter[str]


def play(market: str, seed: int, likely: dict[str, float], steps: int = 150) -> Iterator[Told]:
    """What a connector writes about one book, a line a record."""
    rng = random.Random(f"{market} {seed}")
    venue = Venue(market, rng, {"kraken": 10, "bybit_linear": 50}.get(market, 0))
    faults: Counter[str] = Counter()
    now, key, offset = 0, KEYS[market], 0

    def happens(fault: str) -> bool:
        happened = rng.random() < likely.get(fault, 0)
        faults[fault] += happened
        return happened

    def ns(after: int) -> int:
        return (START_MS + now + after) * 1_000_000

    def line(payload: bytes) -> bytes:
        return encode_line(ns(5), b"ws-1", payload)

    def ack(method: str) -> bytes:
        result = {"channel": "book", "depth": venue.depth, "symbol": "BTC/USD"}
        return line(_json({"method": method, "result": result, "success": True}))

    lines = [ack("subscribe")] if market == "kraken" else []
    if rng.random() < 0.5:
        tick = rng.choice(["0.1", "0.01", "1", "0.00001"])
        told = {
            "symbol": key.decode(),
            "instrument": "X-Y",
            "tick": tick,
            "lot": rng.choice(["1", "0.0000000001"]),
        }
        lines.insert(0, encode_control(ns(0), record.INSTRUMENT, **told))
    lines.append(line(venue.snapshot(now)))
    heard, lost = dict(venue.told), False
    wanted = -1  # the step at which the connector's request for a snapshot is answered
    for step in range(steps):
        for each in lines:
            yield Told(Record(key, offset, each), heard, faults)
            offset += 1
        now += rng.randrange(20, 400)
        clock = encode_control(ns(5), record.CLOCK, time_ns=ns(-300))
        yield Told(Record(b"!clock", offset, clock), heard, faults)
        offset += 1
        venue.move()
        venue.previous = venue.update_id
        lines, was_lost, lost = [], lost, False
        if happens("restart") and market == "bybit_linear":
            venue.update_id = 0
            lines = [line(venue.snapshot(now))]
        elif happens("snapshot") or step == wanted:
            lines = [line(venue.snapshot(now))]
        elif not was_lost and happens("book"):
            levels = [[_texts(p, x) for (s, p), x in venue.told.items() if s == side] for side in (0, 1)]
            fields = {
                "lastUpdateId": venue.update_id,
                "bids": levels[0],
                "asks": levels[1],
                "covered": [None, None],
            }
            limit = {"depth": venue.depth} if venue.depth else {}
            lines = [encode_control(ns(5), record.BOOK, **fields, **limit)]
        elif happens("crossed"):
            # A price beyond the other side, and away again with the next message.
            venue.full[0, venue.mid + 200] = 5
            lines = [line(venue.change(now))]
            del venue.full[0, venue.mid + 200]
        else:
            frame = venue.change(now)
            change = line(frame)
            if lost := happens("loss"):
                wanted = step + rng.randrange(1, 12)
            elif lost := happens("malformed"):
                lines, wanted = [line(frame[: rng.randrange(1, frame.rindex(b"]"))])], step + 3
            else:
                lines = [change] * (2 if happens("repeat") and market not in ("kraken", "gemini_v2") else 1)
        if not lost:
            heard = dict(venue.told)
        if happens("reset"):
            lines.insert(0, encode_control(ns(5), record.RESET, reason="simulated"))
            wanted = step + rng.randrange(1, 12)
        if market == "kraken" and happens("left"):
            lines, wanted = [*lines, ack("unsubscribe"), ack("subscribe")], step + rng.randrange(1, 12)


def assert_true(kernel: DepthKernel, key: bytes, truth: View) -> None:
    """The live book is what a client must hold."""
    book = kernel._books[key]
    ticks, lots, sides = (x.tolist() for x in book.levels())
    tick, lot = 10 ** int(book.meta[b.PRICE_DECIMALS]), 10 ** int(book.meta[b.SIZE_DECIMALS])
    found = {
        (s, t * 10 * 100 // tick): x * 10**8 * 100 // lot for t, x, s in zip(ticks, lots, sides, strict=True)
    }
    assert found == {(s, p * 100): x * 100 for (s, p), x in truth.items()}
    assert [int(book.meta[b.N_BIDS]), int(book.meta[b.N_ASKS])] == [sides.count(0), sides.count(1)]


def check(market: str, seed: int, likely: dict[str, float]) -> Counter[str]:
    found, told = Run(market), list(play(market, seed, likely))
    knows = market in NOTICED or not likely.get("loss", 0) + likely.get("malformed", 0)
    for each in told:
        found.on_records([each.record])
        if knows and each.record.key in found.kernel._books and found.kernel._books[each.record.key].live:
            assert_true(found.kernel, each.record.key, each.truth)
    records = [x.record for x in told]
    assert_equal(found.flush(), judge(market, records))
    whole = Run(market)
    whole.on_records(records)
    assert table_bits(whole.flush()) == table_bits(found)
    return told[-1].faults


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("seed", range(6))
def test_the_book_is_true_or_not_live(market: str, seed: int) -> None:
    rng = random.Random(seed)
    check(market, seed, {fault: rng.choice([0, 0.01, 0.06]) if seed else 0 for fault in FAULTS})


@pytest.mark.slow
@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("seed", range(6, 106))
def test_the_book_is_true_or_not_live_at_length(market: str, seed: int) -> None:
    rng = random.Random(seed)
    check(market, seed, {fault: rng.choice([0, 0.01, 0.06]) for fault in FAULTS})


@pytest.mark.parametrize("market", MARKETS)
def test_the_faults_do_happen(market: str) -> None:
    """Nothing above holds because nothing went wrong, or nothing went well."""
    feed = list(play(market, 0, dict.fromkeys(FAULTS, 0.04), steps=600))
    found = Run(market)
    found.on_records([x.record for x in feed])
    found.flush()
    wanted = {"seeded", "crossed", "reset"} | ({"checksum"} if market == "kraken" else set())
    assert wanted | ({"gap"} if market in ("bybit_linear", "gemini") else set()) <= set(found.kinds())
    assert len(found.table("depth_1s")) > 10
    assert {"unknown message", "malformed frame"} & set(found.reasons())


@pytest.mark.parametrize("market", MARKETS)
def test_a_dump_anywhere_continues_as_if_nothing_had_happened(market: str) -> None:
    feed = [x.record for x in play(market, 1, dict.fromkeys(FAULTS, 0.03), steps=60)]
    undisturbed = Run(market)
    undisturbed.on_records(feed)
    expected = table_bits(undisturbed.flush())
    for cut in range(0, len(feed), 7):
        found = Run(market)
        found.on_records(feed[:cut])
        state = found.kernel.dump()
        found.kernel = DepthKernel(found.kernel._market, 0)
        found.kernel.load(state)
        found.on_records(feed[cut:])
        assert table_bits(found.flush()) == expected
