"""Every simulated half against its venue file: what it sends is read there, and makes the true book."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import venue
from connectors.simulator.half import DEMO_KEY, Client, Half, RequestError, State, halves
from connectors.simulator.market import Bar, SimulatedMarket
from connectors.simulator.symbols import ASSETS
from connectors.venue import Depth, Event, Market, ParseError, Stream

START_MS = 1_795_000_000_000
NAMES = sorted(halves())
each = pytest.mark.parametrize("name", NAMES)
BOOKS = pytest.mark.parametrize("name", [x for x in NAMES if venue.market(x).has_book])


class Play:
    """A half and its market without sockets: one client a path, which follows what the connector would."""

    def __init__(self, name: str, symbols: int = 2, seed: int = 5) -> None:
        kind = halves()[name]
        self.half: Half = kind(kind.listed[:symbols])
        self.market: Market = venue.market(name)
        listed = list(self.half.symbols.values())
        self.play = SimulatedMarket(self.half.kind, listed, seed, START_MS, name)
        self.clients: list[Client] = []
        self.said: list[bytes] = []  # answers and what streams begin with
        streams = [stream for x in self.half.symbols for stream in self.market.live.streams(x)]
        for path in dict.fromkeys(x.path for x in streams):
            self._follow(path, [x for x in streams if x.path == path])
        self.wanted = frozenset(x for client in self.clients for x in client.streams)

    def _follow(self, path: str, streams: list[Stream]) -> None:
        live = self.market.live
        url = urlsplit(live.socket_url(path, [x.name for x in streams], DEMO_KEY))
        assert url.path in self.half.paths, "a path that is not served"
        client = Client(url.path, dict(parse_qsl(url.query)))
        self.clients.append(client)
        self.said += self.half.opened(client, self)
        frames = [live.login(DEMO_KEY)] if live.login else []
        frames += live.subscribe(streams) if live.subscribe else []
        for frame in frames:
            self.said += self.half.answer(frame, client, self)
        followed = [self.half.stream(x) for x in client.streams]
        assert {x.path for x in followed} == {client.path}
        assert {x.symbol for x in followed if x.book} == {x.symbol for x in streams if x.book}
        for stream in followed:
            self.said += self.half.first(stream, self)

    # The desk.

    @property
    def now_ms(self) -> int:
        return self.play.now_ms

    def state(self, symbol: str) -> State:
        return State(*self.play.book(symbol).state(), self.play.now_ms)

    snapshot = state

    def bars(self, symbol: str) -> list[Bar]:
        return self.play.bars(symbol)

    def open_interest(self, symbol: str) -> int:
        return self.play.open_interest(symbol)

    # What is heard.

    def rest_books(self) -> Iterator[tuple[str, Depth]]:
        """Snapshots by request, where the connector asks for them."""
        live = self.market.live
        for symbol in self.half.symbols if live.snapshot and self.market.has_book else ():
            url = urlsplit(live.snapshot(symbol, live.snapshot_limit_max).path)
            (found,) = self.market.parse(self.half.rest[url.path](dict(parse_qsl(url.query)), self))
            assert isinstance(found, Depth)
            yield symbol, found

    def frames(self, span_ms: int, step_ms: int = 100) -> list[bytes]:
        events = self.play.advance(self.play.now_ms + span_ms, step_ms)
        return [payload for event in events for _, payload in self.half.frames(event, self.wanted)]


@each
def test_all_it_sends_is_read_by_its_venue(name: str) -> None:
    play = Play(name)
    heard: list[Event] = []
    for payload in play.said + play.frames(130_000, 1000) + play.frames(3000):
        heard += play.market.parse(payload)
        play.market.live.head(payload)
        play.market.key_of(payload)
    symbols = {x.symbol for x in heard}
    assert symbols <= set(play.half.symbols) and len(symbols) == 2
    times = [x.event_ns for x in heard if getattr(x, "event_ns", None)]
    assert min(times) // 10**6 >= START_MS - 60_000 and max(times) // 10**6 <= play.now_ms + 2000
    assert all(
        play.market.live.head(x).reply is None or not play.market.live.head(x).reply.error for x in play.said
    )


@each
def test_the_same_play_sends_the_same_frames(name: str) -> None:
    one, other = Play(name), Play(name)
    assert one.said == other.said
    assert one.frames(3000) == other.frames(3000)
    assert Play(name, seed=6).frames(3000) != Play(name).frames(3000)


@BOOKS
@pytest.mark.parametrize("step_ms", [100, 1000])
def test_books_are_the_true_ones(name: str, step_ms: int) -> None:
    play = Play(name)
    books: dict[str, list[dict[Decimal, Decimal]]] = {}
    for symbol, found in play.rest_books():
        books[symbol] = [dict(found.bids), dict(found.asks)]
    apply(play, books, play.said)
    for _ in range(10):
        apply(play, books, play.frames(1000, step_ms))
        for symbol, held in books.items():
            assert known(play, held) == known(play, true(play, symbol)), symbol


def apply(play: Play, books: dict[str, list[dict[Decimal, Decimal]]], payloads: list[bytes]) -> None:
    depth, truncates = play.half.depth, play.market.wire.depth is not None
    for payload in payloads:
        for event in play.market.parse(payload):
            if not isinstance(event, Depth):
                continue
            if event.snapshot:
                books[event.symbol] = [{}, {}]
            for side, changes, is_bid in zip(
                books[event.symbol], (event.bids, event.asks), (True, False), strict=True
            ):
                side.update(changes)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
                if truncates and depth:
                    for price in sorted(side, reverse=is_bid)[depth:]:
                        del side[price]


def known(play: Play, sides: list[dict[Decimal, Decimal]]) -> list[list[tuple[Decimal, Decimal]]]:
    """What a client can know, best first: a snapshot by request does not reach to the end of the book."""
    most = 300 if play.market.live.snapshot else None
    return [
        sorted(side.items(), reverse=is_bid)[:most] for side, is_bid in zip(sides, (True, False), strict=True)
    ]


def true(play: Play, symbol: str) -> list[dict[Decimal, Decimal]]:
    _, bids, asks, _ = play.state(symbol)
    depth = play.half.depth
    best = [dict(sorted(bids.items(), reverse=True)[:depth]), dict(sorted(asks.items())[:depth])]
    return [{Decimal(p): Decimal(n) for p, n in play.half.levels(symbol, side)} for side in best]


@each
@given(
    said=st.one_of(
        st.binary(max_size=80), st.text(max_size=80).map(str.encode), st.just(b'{"op":[1],"method":{}}')
    )
)
@settings(max_examples=30, deadline=None)
def test_no_client_can_break_it(name: str, said: bytes) -> None:
    half = PLAYS.setdefault(name, Play(name, 1))
    client = Client(half.clients[0].path, {})
    assert all(isinstance(x, bytes) for x in half.half.answer(said, client, half))


PLAYS: dict[str, Play] = {}


@each
def test_what_it_lists_has_canonical_names_and_prices(name: str) -> None:
    canonical = venue.market(name).canonical
    for symbol in halves()[name].listed:
        assert canonical(symbol.symbol).split("-")[:2] == [symbol.base, symbol.quote]
        assert {symbol.base, symbol.quote} <= ASSETS.keys()
        assert symbol.price > 100 * float(symbol.grid(halves()[name].kind).tick)


@each
def test_keys_are_asked_for(name: str) -> None:
    live = venue.market(name).live
    if not live.key_env:
        return
    half = halves()[name]()
    streams = live.streams(next(iter(half.symbols)))
    url = urlsplit(live.socket_url(streams[0].path, [x.name for x in streams], "wrong"))
    client = Client(url.path, dict(parse_qsl(url.query)))
    play = Play(name, 1)
    try:
        said = half.opened(client, play)
    except RequestError as error:
        assert error.status in (401, 403)
        return
    said += half.answer(live.login("wrong"), client, play) if live.login else []
    for frame in live.subscribe(streams) if live.subscribe else ():
        said += half.answer(frame, client, play)
    assert not client.streams
    assert any(reply.fatal for x in said if (reply := live.head(x).reply) is not None)


def test_venues_agree_within_a_few_bps() -> None:
    mids: dict[str, list[float]] = {}
    for name in NAMES:
        play = Play(name, 20)
        list(play.play.advance(START_MS + 60_000, 1000))
        for symbol, each in play.half.symbols.items():
            book, tick = play.play.book(symbol), float(each.grid(play.half.kind).tick)
            quote = "USD" if each.quote.startswith("USD") else each.quote
            mids.setdefault(f"{each.base}-{quote}", []).append((book.bid + book.ask) / 2 * tick)
    assert sum(len(x) > 3 for x in mids.values()) > 5
    for pair, found in mids.items():
        for a, b in combinations(found, 2):
            assert abs(a / b - 1) < 15e-4, (pair, found)


def test_a_wrong_frame_is_refused_by_the_reader_of_this_test() -> None:
    with pytest.raises(ParseError):
        venue.market("binance_spot").parse(b"{")
