"""Both Binance markets on damaged frames and noise: nothing but ParseError comes out."""

import contextlib
import json
import random
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from connectors.recordings import read
from connectors.venue import ParseError, market
from tests.connectors.venues.frames import (
    DEPTH,
    F_FORCE,
    F_MARK,
    FUTURES_FRAMES,
    INFO,
    QUOTE,
    SPOT_FRAMES,
    wrapped,
)

SPOT, FUTURES = market("binance_spot"), market("binance_futures")

ALPHABET = b'{}[]",:0123456789.eE+-abpsTUu\\ \n\x00\xff'
SPLICES = [
    b"null", b"true", b"-1", b"1e999", b"99999999999999999999", b'"NaN"', b'""', b"[]", b"{}", b'"\\ud800"',
    b'"e":"trade",', b'"stream":"!x@arr",', b"\xc3\x28", b"[" * 2000, b'"s":"', b'"lastUpdateId":1,',
]  # fmt: skip


def mutated(random_: random.Random, frame: bytes) -> bytes:
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
                other = random_.choice(SPOT_FRAMES + FUTURES_FRAMES)
                start = random_.randrange(len(other))
                data[at : at + length] = other[start : start + length]
    return bytes(data)


def recorded(folder: Path) -> list[bytes]:
    files = (("usdm_btcusdt_20240808.gz", FUTURES), ("spot_btcusdt_20240808.gz", SPOT))
    found = (item for file, served in files for item in islice(read(folder / file, served, "BTCUSDT"), 100))
    frames = [item[1].payload for item in found if isinstance(item, tuple)]
    return [frame for frame in frames if len(frame) < 4096]


def attack(recordings: Path, seed: int, count: int) -> tuple[int, int]:
    random_ = random.Random(seed)
    frames = [
        *SPOT_FRAMES,
        *FUTURES_FRAMES,
        json.dumps(INFO).encode(),
        wrapped("!forceOrder@arr", F_FORCE),
    ] * 5
    frames += [wrapped("!forceOrder@arr", F_FORCE), wrapped("btcusdt@depth", DEPTH)] * 5
    frames += [wrapped("btcusdt@bookTicker", QUOTE), b"[%s]" % F_MARK] * 5
    frames += recorded(recordings / "binance")
    parsed = refused = 0
    for _ in range(count):
        noise = random_.random() < 0.05
        payload = (
            random_.randbytes(random_.randrange(200)) if noise else mutated(random_, random_.choice(frames))
        )
        for served in (SPOT, FUTURES):
            key = served.key_of(payload)
            assert key is None or key
            try:
                for event in served.parse(payload):
                    assert_sound(event)
                parsed += 1
            except ParseError:
                refused += 1
            with contextlib.suppress(ParseError):
                assert all(found.tick > 0 and found.lot > 0 for found in served.instruments(payload))
    return parsed, refused


def assert_sound(event: msgspec.Struct) -> None:
    for name, value in msgspec.structs.asdict(event).items():
        if name.endswith("_ns") and value is not None:
            assert 0 <= value < 2**63
        if isinstance(value, Decimal):
            assert value.is_finite()
        if isinstance(value, list):
            assert all(price.is_finite() and size >= 0 for price, size in value)


def test_mutated_frames_raise_nothing_but_parse_errors(recordings: Path) -> None:
    parsed, refused = attack(recordings, seed=2026, count=20_000)
    assert parsed > 1000
    assert refused > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_mutated_frames_raise_nothing_but_parse_errors(recordings: Path, seed: int) -> None:
    attack(recordings, seed, count=250_000)
