"""What the compiled reader learns of how a market writes changes its time, never its result."""

import ctypes
import mmap
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.record import encode_line
from connectors.venue import market
from flows.kernels import book as b
from flows.kernels.depth import wire_array
from flows.kernels.order_book import OrderBook
from flows.kernels.snapshot import Int64s
from tests.flows.kernels.test_book import pairs

SCRATCH = 64
PROT_NONE = 0  # sys/mman.h
LEVELS = b'[["61737.60","0.012"],["61737.50","0"],["61737.40","12.500"],["61737.30","0.003"]]'
FRAMES = {
    "binance_futures": b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1700000000123,"T":1,"s":"BTCUSDT",'
    b'"U":5,"u":9,"pu":4,"b":%s,"a":[]}}' % LEVELS,
    "binance_spot": b'{"e":"depthUpdate","E":1700000000123,"s":"BTCUSDT","U":5,"u":9,"b":[],"a":%s}' % LEVELS,
    "bybit_linear": b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1700000000123,"data":{"s":"BTCUSDT","b":%s,'
    b'"a":%s,"u":15076953,"seq":753843913870},"cts":1700000000121}' % (LEVELS, LEVELS),
    "kraken": b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":63381.0,'
    b'"qty":0.00000000},{"price":63376.4,"qty":0.00005100}],"asks":[],"checksum":3726153463,'
    b'"timestamp":"2026-08-02T03:35:51.660084Z"}]}',
    "gemini": b'{"e":"depthUpdate","E":1795000000123456789,"s":"btcusd","U":8,"u":9,"b":%s,"a":[]}' % LEVELS,
    "gemini_v2": b'{"type":"l2_updates","symbol":"ETHUSD","changes":[["buy","2367.31","3"],["sell","2369.4","0.27"]]}',
}
WIRES = {name: wire_array(market(name)) for name in FRAMES}
RECV_NS = 1_700_000_000_130_000_000
BODIES = {name: encode_line(RECV_NS, b"ws-1", frame) for name, frame in FRAMES.items()}

Scanned = tuple[int, list[int], list[list[int]]]


def scan(name: str, buf: Any, end: int, wire: Int64s, decimals: tuple[int, int] = (2, 8)) -> Scanned:
    """Code, meta and the levels of both sides."""
    meta = np.zeros(b.META, np.int64)
    meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = decimals
    meta[b.RULE] = int(market(name).wire.rule)
    ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
    code = int(b.scan(buf, 0, end, meta, ticks, lots, wire))
    sides = [slice(meta[b.BIDS_AT], meta[b.BIDS_END]), slice(meta[b.ASKS_AT], meta[b.ASKS_END])]
    return code, meta.tolist(), [x[side].tolist() for side in sides for x in (ticks, lots)]


def run(name: str, buf: Any, wire: Int64s) -> tuple[Any, ...]:
    """What the first line is, and meta."""
    book = OrderBook(b"X", int(market(name).wire.rule))
    scratch = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
    clock = np.zeros(2, np.int64)
    found = b.run(
        buf, 0, book.window, book.far_key, book.far_lots, book.meta, clock, *scratch, wire, book.ledger
    )
    return *map(int, found), book.meta.tolist()


def edits(text: bytes) -> Iterator[bytes]:
    """The text with one byte replaced, put in or left out, each in turn."""
    for at in range(len(text)):
        yield text[:at] + text[at + 1 :]
        for byte in b' 05x."/:':
            yield text[:at] + bytes([byte]) + text[at + 1 :]
            yield text[:at] + bytes([byte]) + text[at:]


def learned_from(name: str, decimals: tuple[int, int]) -> Int64s:
    """A wire that has seen the market's frame and line."""
    wire, frame = WIRES[name].copy(), FRAMES[name]
    for _ in range(2):
        run(name, np.frombuffer(BODIES[name] + b" " * 64, np.uint8), wire)
        scan(name, np.frombuffer(frame + b" " * 64, np.uint8), len(frame), wire, decimals)
    assert wire.tolist() != WIRES[name].tolist()
    return wire


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_message_is_read_the_same_whatever_came_before(name: str) -> None:
    decimals = (1, 8) if name == "kraken" else (1, 3)
    learned, frame = learned_from(name, decimals), FRAMES[name]
    whole = np.frombuffer(frame + b" " * 64, np.uint8)
    read = [(whole, end) for end in range(len(frame))]
    read += [(np.frombuffer(text + frame, np.uint8), len(text)) for text in edits(frame)]
    for buf, end in read:
        expected = scan(name, buf[:end], end, WIRES[name].copy(), decimals)  # and whatever stands behind
        assert scan(name, buf, end, learned.copy(), decimals) == expected, buf[:end].tobytes()


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_line_is_judged_the_same_whatever_came_before(name: str) -> None:
    learned = learned_from(name, (1, 3))
    assert learned[learned[b.WIRE_KNOWN]] > 0
    for text in edits(FRAMES[name][:48]):
        line = encode_line(RECV_NS, b"ws-1", text + FRAMES[name][48:])
        buf = np.frombuffer(line + BODIES[name], np.uint8)
        assert run(name, buf, learned.copy()) == run(name, buf, WIRES[name].copy()), text
    for end in range(2, len(FRAMES[name])):  # the frame ends where it did not, and goes on behind
        line = encode_line(RECV_NS, b"ws-1", FRAMES[name][: end - 1] + b"}")[:-1]
        buf = np.frombuffer(line + b"\n" + FRAMES[name][end:] + b"\n", np.uint8)
        assert run(name, buf, learned.copy()) == run(name, buf, WIRES[name].copy()), line


digits = st.text("0123456789", min_size=1, max_size=20)
odd = (
    digits
    | st.tuples(digits, digits).map(".".join)
    | st.text("0123456789.,-e+ x", max_size=10)
    | st.sampled_from(
        ["0", "00", "0.", ".0", "0.000", "000.000", "0.0000001", "007", "1e5", "00000000", "99999999"]
    )
)


@st.composite
def alike(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Levels that are written alike but for some."""

    def number(whole: int, written: int) -> str:
        text = "".join(
            draw(st.lists(st.sampled_from("0123456789"), min_size=whole + written, max_size=whole + written))
        )
        return text[:whole] + "." * (written > 0) + text[whole:]

    price, size = draw(st.tuples(st.integers(1, 7), st.integers(0, 6))), draw(st.integers(0, 6))
    levels = []
    for _ in range(draw(st.integers(1, 12))):
        texts = [number(*price), number(draw(st.integers(1, 4)), size)]
        which = draw(st.integers(0, 9))
        if which < 2:
            at = draw(st.integers(0, len(texts[which]) - 1))
            near = texts[which][:at] + draw(st.sampled_from(["", *"./,-: 09"])) + texts[which][at + 1 :]
            texts[which] = draw(odd | st.just(near))
        levels.append((texts[0], texts[1] if which != 2 else "0"))
    return levels


def one_by_one(levels: list[tuple[str, str]], decimals: tuple[int, int]) -> tuple[int, list[tuple[int, int]]]:
    """The levels by `book.decimal`, and how many or the code of the first that is refused."""
    found: list[tuple[int, int]] = []
    for texts in levels:
        values = []
        for text, places in zip(texts, decimals, strict=True):
            buf = np.frombuffer(text.encode() + b'"', np.uint8)
            value, at, _ = b.decimal(buf, 0, len(buf), places, False)
            values.append(int(value) if value < 0 or at == len(text) else -1)
            if values[-1] < 0:
                break
        if values[-1] < 0 or values[1] > b.LOTS_MAX:
            return (-2 if values[-1] == -3 else -1), found
        found.append((values[0], values[1]))
    return len(found), found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(alike(), min_size=1, max_size=2),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.integers(0, 70),
)
def test_levels_are_read_as_one_by_one(
    arrays: list[list[tuple[str, str]]], decimals: tuple[int, int], room: int
) -> None:
    wire = WIRES["binance_spot"].copy()
    for levels in arrays * 2:
        text = "[" + ",".join(f'["{price}","{size}"]' for price, size in levels) + "]"
        buf = np.frombuffer(text.encode() + b"}" * room, np.uint8)
        meta = np.zeros(b.META, np.int64)
        meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = decimals
        ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
        position, count = pairs(buf, len(buf), meta, ticks, lots, wire)
        expected, exact = one_by_one(levels, decimals)
        assert count == expected
        assert list(zip(ticks.tolist(), lots.tolist(), strict=True))[: len(exact)] == exact
        assert position == len(text) or count < 0


def test_what_was_learned_is_used() -> None:
    wire = WIRES["bybit_linear"].copy()
    frame = FRAMES["bybit_linear"]
    code, meta, _ = scan("bybit_linear", np.frombuffer(frame + b" " * 64, np.uint8), len(frame), wire)
    assert (code, meta[b.MESSAGE_ID]) == (0, 15076953)
    assert (wire[b.WIRE_PRICE_LENGTH], wire[b.WIRE_PRICE_WRITTEN]) == (8, 2)
    at = wire[b.WIRE_KNOWN] + b.KNOWN_SLOTS
    text = wire[at + 2 : at + b.KNOWN_SLOTS].tobytes()[: wire[at]]
    assert frame[frame.index(text) + len(text) :].startswith(b'"delta"')


def guarded(text: bytes) -> np.ndarray:
    """The text as a buffer behind which no byte may be read."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(address + page), page, PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
    memory[page - len(text) : page] = text
    buf = np.frombuffer(memory, np.uint8)[page - len(text) : page]
    buf.setflags(write=False)
    return buf


def read_cut_short() -> int:
    """Read each market's frame and line cut short at each byte, at the end of readable memory; how many were read."""
    reads = 0
    for name, frame in FRAMES.items():
        learned = WIRES[name].copy()
        for text in (frame, BODIES[name]):
            for end in range(len(text), 0, -1):
                buf = guarded(text[:end])
                for wire in (learned, WIRES[name].copy()):
                    scan(name, buf, end, wire)
                    run(name, buf, wire)
                    reads += 1
    return reads


def test_nothing_is_read_behind_the_end() -> None:
    """In a process of its own: reading there ends it."""
    texts = [*FRAMES.values(), *BODIES.values()]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(read_cut_short).result() == 2 * sum(map(len, texts))


def test_sizes_that_fill_a_word() -> None:
    for text in ("12345678", "1234.567", "0.000001", "1.234567"):
        levels = [("1.5", text)] * 4
        expected, exact = one_by_one(levels, (1, 6))
        buf = np.frombuffer(
            ("[" + ",".join(f'["{p}","{s}"]' for p, s in levels) + "]" + "}" * 40).encode(), np.uint8
        )
        meta = np.zeros(b.META, np.int64)
        meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = 1, 6
        ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
        assert pairs(buf, len(buf), meta, ticks, lots, WIRES["binance_spot"].copy())[1] == expected == 4
        assert lots[:4].tolist() == [lot for _, lot in exact] == [int(Decimal(text).scaleb(6))] * 4
