"""Every market against its card, by the same tests. A market without a card, or a card without a market, fails."""

import importlib
import json
import pkgutil
import re
from decimal import Decimal

import msgspec
import pytest

from connectors.lane import Lane, lanes
from connectors.publisher import Publisher
from connectors.record import Record, decode_lines, encode_line
from connectors.telemetry import Telemetry
from connectors.venue import Depth, Market, ParseError, Price, Request, Trade, market, markets
from flows.kernels.depth import DepthKernel
from flows.kernels.tape import TapeKernel
from tests.connectors.venues import cards
from tests.connectors.venues.card import Card, Story

CARDS: dict[str, Card] = {
    module.name: importlib.import_module(f"{cards.__name__}.{module.name}").CARD
    for module in pkgutil.iter_modules(cards.__path__)
}
EACH = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
STORIES = pytest.mark.parametrize(
    ("card", "story"),
    [
        pytest.param(card, story, id=f"{name}-{number}")
        for name, card in CARDS.items()
        for number, story in enumerate(card.stories)
    ],
)
RECV_NS = 1_900_000_000_000_000_000
KEY = "planted-key-0123456789"


def served_by(card: Card) -> Market:
    return market(card.market)


def test_every_market_has_its_card() -> None:
    assert CARDS.keys() == markets().keys()
    assert all(name == card.market for name, card in CARDS.items())


@EACH
def test_symbols(card: Card) -> None:
    served = served_by(card)
    assert len(card.symbols) >= 3
    for symbol, instrument in card.symbols:
        assert served.canonical(symbol) == instrument
        assert re.fullmatch(r"[A-Z0-9]+-[A-Z0-9]+(-PERP|-[0-9]{8})?", instrument)
        streams = served.live.streams(symbol)
        assert streams and {stream.symbol for stream in streams} == {symbol}
        assert len({stream.name for stream in streams}) == len(streams)
    assert len({instrument for _, instrument in card.symbols}) == len(card.symbols)
    for symbol in served.live.symbols:
        assert re.fullmatch(r"[A-Z0-9]+-[A-Z0-9]+(-PERP)?", served.canonical(symbol)), symbol


@EACH
def test_subscription(card: Card) -> None:
    served, (symbol, _) = served_by(card), card.symbols[0]
    (lane, *_) = lanes(served, [symbol])
    streams = [channel.stream for channel in lane.channels.values()]
    assert served.live.socket_url(lane.path, list(lane.channels), KEY if card.keyed else "") == card.url
    asked = served.live.subscribe(streams) if served.live.subscribe else []
    assert [json.loads(frame) for frame in asked] == [json.loads(frame) for frame in card.subscribe]
    assert (served.live.unsubscribe is None) == (served.live.subscribe is None)
    assert (served.live.key_env is not None) == card.keyed
    if not card.keyed:
        assert served.live.login is None
    if any(stream.book for stream in streams):
        assert (served.live.snapshot is None) == served.wire.in_stream
        assert served.live.snapshot is not None or served.live.subscribe is not None


@EACH
def test_golden_values(card: Card) -> None:
    served = served_by(card)
    sides, kinds = set(), set()
    for payload, events in card.golden:
        assert served.parse(payload) == list(events), payload[:80]
        head = served.live.head(payload)
        for event in events:
            kinds.add(type(event))
            if isinstance(event, Trade):
                sides.add(event.side)
                assert event.size > 0 and event.price > 0
            if isinstance(event, Depth):
                assert head.stream or head.snapshot
                assert head.snapshot == event.snapshot
        times = [x.event_ns for x in events if getattr(x, "event_ns", None) is not None]
        assert all(10**18 < time < 3 * 10**18 for time in times)
        assert head.event_ns == 0 or 10**18 < head.event_ns < 3 * 10**18
    # Trades show both aggressors, or none of them has a side; who has no trades has prices.
    assert {"buy", "sell"} <= sides or sides == {"unknown"} if Trade in kinds else Price in kinds
    assert (Depth in kinds) == bool(card.stories) == served.has_book


@EACH
def test_keys(card: Card) -> None:
    """All channels of an instrument go to one key, the venue's symbol; a frame about many has another."""
    served = served_by(card)
    known = {stream.name for symbol, _ in card.symbols for stream in served.live.streams(symbol)}
    for payload, events in card.golden:
        symbols = {event.symbol for event in events}
        head = served.live.head(payload)
        if len(symbols) == 1 and (head.stream in known or not head.stream):
            key = served.key_of(payload)
            assert key in (None, next(iter(symbols)).encode()) or not head.stream
            if head.stream:
                assert key is not None


@EACH
def test_heartbeats_and_answers(card: Card) -> None:
    served = served_by(card)
    assert card.silent
    for payload in card.silent:
        assert served.parse(payload) == []
        head = served.live.head(payload)
        assert not head.snapshot and not head.bids and not head.asks
        assert head.reply is None or not head.reply.refused


@EACH
def test_refusals(card: Card) -> None:
    served = served_by(card)
    assert bool(card.refusals) == (served.live.subscribe is not None)
    for payload, refused, fatal in card.refusals:
        reply = served.live.head(payload).reply
        assert reply is not None and reply.error
        assert (reply.refused, reply.fatal) == (refused, fatal)
        assert KEY not in reply.error
        assert served.parse(payload) == []


@EACH
def test_instruments(card: Card) -> None:
    served = served_by(card)
    assert bool(card.instruments) or (served.live.instruments is None and not card.stories)
    for payload, expected in card.instruments:
        assert served.instruments(payload) == list(expected)
        for instrument in expected:
            assert instrument.instrument == served.canonical(instrument.symbol)
    requests = (
        served.live.instruments([symbol for symbol, _ in card.symbols]) if served.live.instruments else []
    )
    assert all(isinstance(request, Request) and request.path.startswith("/") for request in requests)


# ---- what is wrong


@EACH
def test_malformed_bytes(card: Card) -> None:
    served = served_by(card)
    assert len(card.malformed) >= 3
    for payload in card.malformed:
        with pytest.raises(ParseError):
            served.parse(payload)


@EACH
def test_frames_cut_short(card: Card) -> None:
    served = served_by(card)
    for payload, _ in card.golden:
        for end in range(0, len(payload), 7):
            with pytest.raises(ParseError):
                served.parse(payload[:end])


@EACH
def test_unknown_events_are_told_and_unknown_fields_are_not(card: Card) -> None:
    served = served_by(card)
    with pytest.raises(ParseError):
        served.parse(card.unknown)
    for payload, events in card.golden:
        if payload.startswith(b"{") and payload.endswith(b"}"):
            assert served.parse(payload[:-1] + b',"zz":{"new":[1,null,"x"]}}') == list(events)


@EACH
def test_the_flow_sets_unknown_events_aside(card: Card) -> None:
    served = served_by(card)
    kernel = DepthKernel(served, 0) if served.has_book else TapeKernel(served, 0)
    body = encode_line(RECV_NS, b"ws-1", card.unknown)
    kernel.on_records([Record(b"X", 1, body)])
    assert kernel.counts["dead_letters"] == 1
    lines = [encode_line(RECV_NS, b"ws-1", payload) for payload in card.silent]
    kernel.on_records([Record(b"X", 2, b"".join(lines))])
    assert kernel.counts["dead_letters"] == 1


# ---- the book


class Telling:
    """A story told to a publisher, and what it publishes to the depth kernel."""

    def __init__(self, card: Card, story: Story) -> None:
        self.served, self.story = served_by(card), story
        self.lanes = lanes(self.served, [story.symbol])
        self.telemetry = Telemetry()
        self.publisher = Publisher(self.served, self.lanes, self.telemetry, 1, 0.0)
        self.kernel = DepthKernel(self.served, 0)
        self.now_s, self.offset = 0.0, 0
        self.publisher.begin(self.recv_ns)
        for lane in self.lanes:
            self.publisher.opened(lane, b"ws-1", self.now_s)

    @property
    def recv_ns(self) -> int:
        return RECV_NS + int(self.now_s * 1e9)

    @property
    def lane(self) -> Lane:
        return next(
            lane for lane in self.lanes if any(channel.stream.book for channel in lane.channels.values())
        )

    @property
    def feed(self):
        return self.telemetry.feed(self.served.name, self.story.symbol)

    def hear(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.now_s += 0.01
            self.publisher.on_frame(self.lane, b"ws-1", self.recv_ns, payload)
        self.flow()

    def fetch(self) -> str:
        """The REST snapshot, where there is one."""
        if self.story.rest_snapshot is None:
            return ""
        self.now_s += 0.01
        request = self.served.live.snapshot(self.story.symbol, self.served.live.snapshot_limit)
        body = self.story.rest_snapshot
        said = self.publisher.on_snapshot(self.story.symbol, request, self.recv_ns, body, self.now_s)
        self.flow()
        return said

    def open(self) -> None:
        self.hear(*self.story.opening)
        assert self.fetch() == ""

    def flow(self) -> None:
        records = []
        for each in self.publisher.take(cut=True):
            self.offset += 1
            assert KEY.encode() not in each.body
            assert list(decode_lines(each.body))
            records.append(Record(each.key, self.offset, each.body))
        self.kernel.on_records(records)

    @property
    def live(self) -> tuple[bool, bool]:
        """Whether the book is live in the connector, and in the flow."""
        book = self.kernel._books.get(self.story.symbol.encode())
        return self.publisher._followed[self.story.symbol].book.live, book is not None and book.live

    def best(self) -> list[tuple[Decimal, Decimal]]:
        """Best bid and ask in the flow, and the same levels in the connector."""
        fields = self.publisher._followed[self.story.symbol].book.fields()
        mine = [tuple(map(Decimal, fields[name][0])) for name in ("bids", "asks")]
        book = self.kernel._books[self.story.symbol.encode()]
        size = Decimal(1).scaleb(-int(book.meta[9]))
        held: list[dict[Decimal, Decimal]] = [{}, {}]
        for tick, lots, side in zip(*book.levels(), strict=True):
            held[side][book.price(int(tick))] = int(lots) * size
        prices = max(held[0]), min(held[1])
        flows = [(price, levels[price]) for price, levels in zip(prices, held, strict=True)]
        assert flows == mine
        return flows


@STORIES
def test_a_book_told(card: Card, story: Story) -> None:
    telling = Telling(card, story)
    telling.open()
    assert telling.live == (True, True)
    telling.hear(*story.following)
    assert telling.live == (True, True)
    assert telling.best() == [tuple(map(Decimal, level)) for level in story.best]
    assert telling.kernel.counts["dead_letters"] == telling.feed.unreadable == 0


@STORIES
def test_a_stale_message_changes_nothing(card: Card, story: Story) -> None:
    assert (story.stale is None) == (served_by(card).wire.rule.name in ("CHECKSUM", "NONE"))
    if story.stale is None:
        return
    telling = Telling(card, story)
    telling.open()
    telling.hear(*story.following)
    before = telling.best()
    telling.hear(story.stale)
    assert telling.live == (True, True)
    assert telling.best() == before
    assert telling.feed.gaps == telling.kernel.counts["gaps"] == 0


@STORIES
def test_a_break_voids_the_book_until_it_is_told_anew(card: Card, story: Story) -> None:
    assert (story.breaking is None) == (served_by(card).wire.rule.name == "NONE")
    if story.breaking is None:
        return
    telling = Telling(card, story)
    telling.open()
    telling.hear(story.breaking)
    assert telling.live == (False, False)
    assert telling.feed.gaps == telling.kernel.counts["gaps"] == 1
    # A new connection tells the book from the beginning.
    for lane in telling.lanes:
        telling.publisher.lost(lane, b"ws-1", telling.recv_ns, "gone")
        telling.publisher.opened(lane, b"ws-1", telling.now_s)
    telling.open()
    assert telling.live == (True, True)
    assert telling.feed.gaps == telling.kernel.counts["gaps"] == 1


@STORIES
def test_updates_before_the_snapshot(card: Card, story: Story) -> None:
    """Updates that come before any snapshot make no book, and the snapshot after them does."""
    telling = Telling(card, story)
    if story.rest_snapshot is not None:
        telling.hear(*story.opening)
        assert telling.live == (False, False)
        assert telling.publisher.needs_snapshot(story.symbol, telling.now_s)
        assert telling.fetch() == ""
        assert telling.live == (True, True)
        return
    telling.hear(*story.following)
    assert telling.live == (False, False)
    telling.hear(*story.opening, *story.following)
    assert telling.live == (True, True)
    assert telling.best() == [tuple(map(Decimal, level)) for level in story.best]


@STORIES
def test_an_older_rest_snapshot_is_asked_for_again(card: Card, story: Story) -> None:
    if story.rest_snapshot is None:
        assert served_by(card).live.snapshot is None
        return
    telling = Telling(card, story)
    telling.hear(*story.following)
    assert telling.fetch() == "the snapshot is older than the updates kept"
    assert telling.live == (False, False)
    assert telling.publisher.needs_snapshot(story.symbol, telling.now_s)


@EACH
def test_events_are_plain_data(card: Card) -> None:
    """What is parsed can be written down and read again: exact decimals, int ns."""
    for payload, events in card.golden:
        for event, parsed in zip(events, served_by(card).parse(payload), strict=True):
            assert msgspec.json.decode(msgspec.json.encode(parsed), type=type(event)) == event
