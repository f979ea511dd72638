"""What the connectors of venues followed by frames publish: their own books, a naive reader's and the venue's agree."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.book_sync import Rule
from connectors.lane import lanes
from connectors.publisher import Publisher
from connectors.record import LINE_BYTES_MAX, Record, decode_lines
from connectors.telemetry import State, Telemetry
from flows.kernels.depth import DepthKernel
from tests.connectors.toy_streams import DEPTHS, MS, RULES, Level, NaiveBook, ToyStream, toy
from tests.connectors.toy_venue import T0_MS

EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.lower())


class Bench:
    """A publisher of one symbol in virtual time, and those who read what it publishes."""

    def __init__(self, rule: Rule, seed: int = 0) -> None:
        self.served, self.venue = toy(rule), ToyStream(seed, rule)
        (self.lane,) = lanes(self.served, ["BTCUSDT"])
        self.telemetry = Telemetry()
        self.now_s, self.offset, self.origins = 0.0, 0, 0
        self.publisher = Publisher(self.served, [self.lane], self.telemetry, 1, 0.0, 7.0)
        self.reader = NaiveBook(rule)
        self.kernel = DepthKernel(self.served, 0)
        self.lines = []

    @property
    def recv_ns(self) -> int:
        return T0_MS * MS + int(self.now_s * 1e9)

    @property
    def feed(self):
        return self.telemetry.feed(self.served.name, "BTCUSDT")

    @property
    def book(self):
        return self.publisher._followed["BTCUSDT"].book

    def open(self) -> bytes:
        """A connection, subscribed; the acknowledgement."""
        self.origins += 1
        origin = b"ws-%d" % self.origins
        self.publisher.opened(self.lane, origin, self.now_s)
        self.acknowledge(origin)
        return origin

    def acknowledge(self, origin: bytes, **fields: object) -> None:
        depth = DEPTHS.get(self.served.wire.rule)
        limit = {} if depth is None else {"depth": depth}
        self.frame(json.dumps({"ack": "subscribe", "sym": "BTCUSDT"} | limit | fields).encode(), origin)

    def frame(self, payload: bytes, origin: bytes = b"ws-1"):
        self.now_s += 0.1
        return self.publisher.on_frame(self.lane, origin, self.recv_ns, payload)

    def second(self):
        self.now_s += 1.0
        return self.publisher.on_second(self.now_s, self.recv_ns)

    def own(self) -> set[Level] | None:
        if not self.book.live:
            return None
        fields = self.book.fields()
        return {
            (side, Decimal(price), Decimal(size))
            for side, name in enumerate(("bids", "asks")) for price, size in fields[name]
        }  # fmt: skip

    def read(self) -> set[Level] | None:
        """The book of whoever reads all that was published."""
        records = []
        for each in self.publisher.take(cut=True):
            self.offset += 1
            records.append(Record(each.key, self.offset, each.body))
            for line in decode_lines(each.body):
                self.lines.append(line)
                if each.key == b"BTCUSDT":
                    self.reader.read(line)
        self.kernel.on_records(records)
        assert self._kernel_levels() == self.reader.levels()
        return self.reader.levels()

    def _kernel_levels(self) -> set[Level] | None:
        book = self.kernel._books.get(b"BTCUSDT")
        if book is None or not book.live:
            return None
        sizes = int(book.meta[9])
        return {
            (int(side), book.price(int(tick)), Decimal(int(lots)).scaleb(-sizes))
            for tick, lots, side in zip(*book.levels(), strict=True)
        }

    def controls(self, kind: bytes) -> list[dict]:
        self.read()
        return [json.loads(line.payload) for line in self.lines if line.origin == kind]


STEPS = ["update", "update", "update", "update", "whole", "gap", "repeat", "malformed", "truncated", "crossed", "lose",
         "overlap", "unanswered", "second", "unfollowed", "huge"]  # fmt: skip


@EACH
@given(st.integers(0, 10**6), st.lists(st.sampled_from(STEPS), max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_a_reader_has_the_book_of_the_connector_and_of_the_venue(
    rule: Rule, seed: int, steps: list[str]
) -> None:
    bench = Bench(rule, seed)
    venue, publisher = bench.venue, bench.publisher
    publisher.begin(bench.recv_ns)
    origin = bench.open()
    for step in steps:
        if step in ("update", "whole"):
            bench.frame(getattr(venue, step)(), origin)
        elif step == "gap":
            if rule != Rule.NONE:
                venue.update()
        elif step == "repeat":
            payload = venue.update()
            bench.frame(payload, origin)
            if rule not in (Rule.CHECKSUM, Rule.NONE):
                bench.frame(payload, origin)
        elif step == "malformed":
            bench.frame(venue.update().replace(b'":', b'"', 3), origin)
        elif step == "truncated":
            bench.frame(venue.update()[:40], origin)
        elif step == "crossed":
            bench.frame(venue.whole(crossed=True), origin)
        elif step == "lose":
            publisher.lost(bench.lane, origin, bench.recv_ns, "gone")
            origin = bench.open()
        elif step in ("overlap", "unanswered"):
            old, origin = origin, bench.open()
            frames = [venue.update(), venue.whole(), venue.update()]
            bench.frame(frames[0], old)
            if step == "overlap":
                bench.frame(frames[1], origin)
            bench.frame(frames[2], old), bench.frame(frames[2], origin)
            publisher.hand_over(bench.lane, bench.recv_ns)
        elif step == "second":
            bench.second()
        elif step == "unfollowed" and venue.depth:
            bench.acknowledge(origin, ack="unsubscribe", depth=0)
            bench.reader.sides = None if bench.read() is None else bench.reader.sides
        elif step == "huge":
            bench.frame(venue.whole() + b" " * LINE_BYTES_MAX, origin)
        if publisher.streams_due() and venue.random.random() < 0.5:
            assert publisher.streams_due()["BTCUSDT"][0] == origin
            bench.frame(venue.whole(), origin)
        assert bench.read() == bench.own()
    bench.frame(venue.whole(), origin)
    bench.frame(venue.update(), origin)
    assert bench.read() == bench.own() == venue.levels()


@EACH
def test_the_whole_book_is_told_with_its_depth_and_reach(rule: Rule) -> None:
    bench = Bench(rule)
    origin = bench.open()
    bench.frame(bench.venue.whole(), origin)
    for _ in range(8):
        bench.frame(bench.venue.update(), origin)
        bench.second()
    (told,) = bench.controls(b"!book")
    depth = DEPTHS.get(rule)
    assert told.get("depth") == depth
    if depth is None:
        assert told["covered"] == [None, None]
    else:
        assert len(told["bids"]) == len(told["asks"]) == depth
        assert told["covered"] == [told["bids"][-1][0], told["asks"][-1][0]]


def test_an_acknowledged_depth_stands_above_what_a_snapshot_shows() -> None:
    bench = Bench(Rule.CHECKSUM)
    origin = bench.open()
    assert bench.book.depth == 10
    bench.acknowledge(origin, depth=25)
    bench.frame(bench.venue.whole(), origin)
    assert bench.book.depth == 25 and bench.book.live
    bench.acknowledge(origin, ack="unsubscribe", depth=0)
    assert not bench.book.live and set(bench.publisher.streams_due()) == {"BTCUSDT"}
    assert not bench.controls(b"!reset"), "it is in the log for everybody to see"


def test_what_the_venue_refuses_is_not_asked_for_until_the_next_connection() -> None:
    bench = Bench(Rule.CONSECUTIVE)
    origin = bench.open()
    assert set(bench.publisher.streams_due()) == {"BTCUSDT"}
    bench.acknowledge(origin, error="no such symbol")
    assert not bench.publisher.streams_due()
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.DOWN, "no such symbol")
    # Refused to a successor, it flows on over the first connection.
    bench.publisher.lost(bench.lane, origin, bench.recv_ns, "gone")
    origin = bench.open()
    assert set(bench.publisher.streams_due()) == {"BTCUSDT"}
    bench.frame(bench.venue.whole(), origin)
    successor = bench.open()
    bench.acknowledge(successor, error="too many")
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.LIVE, "") and bench.feed.complaints == 2
    bench.publisher.hand_over(bench.lane, bench.recv_ns)
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.DOWN, "too many")


def test_a_symbol_of_which_only_a_part_is_refused_lives_and_says_so() -> None:
    bench = Bench(Rule.CONSECUTIVE)
    origin = bench.open()
    bench.acknowledge(origin, error="no trades for you")
    bench.frame(bench.venue.whole(), origin)
    bench.second()
    assert (bench.feed.state, bench.feed.reason) == (State.LIVE, "no trades for you")


def test_no_book_of_a_stream_is_asked_for_by_request_or_widened() -> None:
    bench = Bench(Rule.NEXT_ID)
    origin = bench.open()
    bench.now_s += 100.0
    assert not bench.publisher.snapshots_due(bench.now_s)
    bench.frame(bench.venue.whole(), origin)
    assert bench.publisher.widening_due(bench.now_s) is None
