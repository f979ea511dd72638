"""The simulated venues that want a key: what they send is what the venue's file reads."""

import msgspec
import pytest

from connectors.simulator.half import DEMO_KEY, Client, Half, RequestError, halves
from connectors.simulator.market import SimulatedMarket
from connectors.venue import Bar, BestQuote, Price, Trade, market

START_MS = 1_795_000_000_000
KEYED = pytest.mark.parametrize("name", ["twelve_data", "finnhub", "massive_crypto", "massive_forex"])
IN_URL = {"twelve_data": "apikey", "finnhub": "token"}
KINDS = {
    "twelve_data": {Price},
    "finnhub": {Price, Trade},
    "massive_crypto": {Trade, BestQuote, Bar},
    "massive_forex": {Price, Bar},
}


def made(name: str) -> Half:
    return halves()[name]()


def client_of(half: Half, key: str = DEMO_KEY) -> Client:
    return Client(half.paths[0], {IN_URL[half.name]: key} if half.name in IN_URL else {})


def followed(half: Half, symbols: list[str]) -> Client:
    """A client that follows the symbols as the connector does."""
    live, client = market(half.name).live, client_of(half)
    said = half.opened(client, None)  # type: ignore[arg-type]
    if live.login is not None:
        said += half.answer(live.login(DEMO_KEY), client, None)  # type: ignore[arg-type]
        assert live.head(said[-1]).reply.ready
    assert live.subscribe is not None
    for frame in live.subscribe([stream for symbol in symbols for stream in live.streams(symbol)]):
        said += half.answer(frame, client, None)  # type: ignore[arg-type]
    for payload in said:
        assert market(half.name).parse(payload) == []
    return client


@KEYED
def test_what_is_sent_is_what_the_venue_reads(name: str) -> None:
    half, served = made(name), market(name)
    symbols = list(half.symbols)
    client = followed(half, symbols)
    assert {stream.name for symbol in symbols for stream in served.live.streams(symbol)} == set(
        client.streams
    )
    wanted = set(client.streams) | {f"XQ.{symbol}" for symbol in symbols}
    play = SimulatedMarket(half.kind, list(half.symbols.values()), 7, START_MS, name)
    kinds, heard, at_ms = set(), set(), START_MS
    while at_ms < START_MS + 70_000:
        at_ms += 100
        for event in play.advance(at_ms, 100):
            for stream, payload in half.frames(event, wanted):
                (said,) = served.parse(payload)
                head = served.live.head(payload)
                assert said.symbol == event.symbol
                assert served.key_of(payload) == event.symbol.encode()
                assert head.stream == stream
                assert head.event_ns <= (at_ms + 60_000) * 10**6
                kinds.add(type(said))
                heard.add(event.symbol)
    assert kinds == KINDS[name]
    assert heard == set(symbols)


@KEYED
def test_a_wrong_key_is_refused(name: str) -> None:
    half, live = made(name), market(name).live
    client = client_of(half, "wrong")
    if name in IN_URL:
        with pytest.raises(RequestError) as refused:
            half.opened(client, None)  # type: ignore[arg-type]
        assert refused.value.status == 401
        assert live.head(refused.value.body).reply.fatal
        return
    assert live.login is not None
    (answer,) = half.answer(live.login("wrong"), client, None)  # type: ignore[arg-type]
    assert live.head(answer).reply.fatal
    assert client.closing


@KEYED
def test_an_unknown_symbol_spoils_nothing(name: str) -> None:
    half = made(name)
    symbol = next(iter(half.symbols))
    client = followed(half, [symbol]) if name == "finnhub" else None
    if client is None:
        live, client = market(name).live, client_of(half)
        if live.login is not None:
            half.answer(live.login(DEMO_KEY), client, None)  # type: ignore[arg-type]
        assert live.subscribe is not None
        wanted = [stream for each in ("NOPE/USD", symbol) for stream in live.streams(each)]
        answers = [
            answer
            for frame in live.subscribe(wanted)
            for answer in half.answer(frame, client, None)  # type: ignore[arg-type]
        ]
        assert any((reply := live.head(answer).reply) and reply.error for answer in answers)
    assert {half.stream(stream).symbol for stream in client.streams} == {symbol}


@KEYED
@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"action":1}', b"\xff", b'{"type":"nope"}', b"[" * 5000]
)
def test_noise_is_answered(name: str, text: bytes) -> None:
    half = made(name)
    client = client_of(half)
    client.ready = True
    for answer in half.answer(text, client, None):  # type: ignore[arg-type]
        msgspec.json.decode(answer)
