"""Every market on damaged frames and noise: its functions raise nothing but ParseError, its events stay sound.

A million payloads in all, seeded, are `soak` (`make test-all`); some thousands a market run always.
"""

import contextlib
import random
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from connectors.recordings import read
from connectors.venue import Market, ParseError, market, markets
from tests.connectors.venues.test_conformance import CARDS

MILLION = 1_000_000
ALPHABET = b'{}[]",:0123456789.eE+-abpsTUuZ\\ \n\x00\xff'
SPLICES = [
    b"null", b"true", b"-1", b"1e999", b"99999999999999999999", b'"NaN"', b'""', b"[]", b"{}", b'"\\ud800"',
    b'"e":"trade",', b'"stream":"!x@arr",', b"\xc3\x28", b"[" * 2000, b'"s":"', b'"lastUpdateId":1,', b"1e-400",
    b'"type":"snapshot",', b'"topic":"', b'"channel":"book",', b"0.00000000000000000000000000001", b"9" * 400,
    b'"timestamp":"2026-13-45T99:99:99Z",', b'"method":"subscribe",', b'"data":', b"NaN", b"Infinity",
]  # fmt: skip
# Recordings by market: file, and how many of its lines are taken.
RECORDINGS = {
    "binance_spot": "binance/spot_btcusdt_20240808.gz",
    "binance_futures": "binance/usdm_btcusdt_20240808.gz",
    "bybit_spot": "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz",
    "bybit_linear": "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz",
    "kraken": "kraken/v2_book25_btcusd_20260802.gz",
    "gemini_v2": "gemini/v2_marketdata_l2_btcusd_solusd_btceur_btcusdcperp_20260809.jsonl.gz",
}
RECORDED = 200

EACH = pytest.mark.parametrize("served", markets().values(), ids=lambda served: served.name)


def frames_of(served: Market, recordings: Path) -> list[bytes]:
    card = CARDS[served.name]
    documented = [payload for payload, _ in (*card.golden, *card.instruments)]
    documented += [*card.silent, *(payload for payload, _, _ in card.refusals), *card.malformed]
    documented += [frame for story in card.stories for frame in (*story.opening, *story.following)]
    documented += [story.rest_snapshot for story in card.stories if story.rest_snapshot]
    recorded: list[bytes] = []
    if served.name in RECORDINGS:
        lines = islice(read(recordings / RECORDINGS[served.name], served, "BTCUSDT"), RECORDED)
        recorded = [item[1].payload for item in lines if isinstance(item, tuple)]
        assert len(recorded) > RECORDED / 2
    return documented * 5 + [payload for payload in recorded if len(payload) < 4096]


def mutated(random_: random.Random, frame: bytes, others: list[bytes]) -> bytes:
    data = bytearray(frame)
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data) + 1)
        length = random_.choice((1, 1, 2, 8, 40))
        match random_.randrange(5):
            case 0:
                data[at : at + length] = random_.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = random_.choice(SPLICES)
            case 3:
                data[at : at + length] = bytes(random_.choices(ALPHABET, k=length))
            case _:
                other = random_.choice(others)
                start = random_.randrange(len(other) + 1)
                data[at : at + length] = other[start : start + length]
    return bytes(data)


def attack(served: Market, frames: list[bytes], seed: int, count: int) -> tuple[int, int]:
    """How many payloads were parsed, and how many refused."""
    random_ = random.Random(f"{served.name} {seed}")
    parsed = refused = 0
    for _ in range(count):
        noise = random_.random() < 0.05
        frame = random_.choice(frames)
        payload = random_.randbytes(random_.randrange(200)) if noise else mutated(random_, frame, frames)
        try:
            for event in served.parse(payload):
                assert_sound(event)
            parsed += 1
        except ParseError:
            refused += 1
        hear(served, payload)
    return parsed, refused


def hear(served: Market, payload: bytes) -> None:
    """What a connector asks of a payload besides its events."""
    key = served.key_of(payload)
    assert key is None or key
    with contextlib.suppress(ParseError):
        head = served.live.head(payload)
        assert -(2**63) <= head.last_id < 2**63 and 0 <= head.event_ns < 2**63
        assert all(isinstance(text, str) for level in (*head.bids, *head.asks) for text in level)
    with contextlib.suppress(ParseError):
        assert all(found.tick > 0 and found.lot > 0 for found in served.instruments(payload))
    if served.wire.depth is not None:
        depth = served.wire.depth(payload)
        assert depth is None or depth >= 0
    if served.live.read_snapshot is not None:
        with contextlib.suppress(ParseError):
            served.live.read_snapshot(payload)


def assert_sound(event: msgspec.Struct) -> None:
    for name, value in msgspec.structs.asdict(event).items():
        if name.endswith("_ns") and value is not None:
            assert 0 <= value < 2**63
        if name == "trade_id":
            assert 0 <= value < 2**64
        if isinstance(value, Decimal):
            assert value.is_finite()
        if isinstance(value, list):
            assert all(price.is_finite() and size >= 0 for price, size in value)


@EACH
def test_mutated_frames_raise_nothing_but_parse_errors(served: Market, recordings: Path) -> None:
    parsed, refused = attack(served, frames_of(served, recordings), seed=2026, count=3000)
    assert parsed > 30
    assert refused > 100


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_million_mutated_frames_raise_nothing_but_parse_errors(name: str, recordings: Path) -> None:
    served = market(name)
    attack(served, frames_of(served, recordings), seed=7, count=-(-MILLION // len(CARDS)))
