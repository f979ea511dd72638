"""The compiled functions of `flows.kernels.book` against Decimal, json, dicts and the Python they stand for."""

import json
import re
from decimal import Decimal
from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import book_sync
from connectors.record import Record
from connectors.venue import Market, Role, Route, market
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel, wire_array
from flows.kernels.order_book import FAR_MIN, OrderBook
from flows.kernels.snapshot import Levels
from tests.flows.kernels.feed import FUTURES, KEY, SPOT, depth, line, snapshot

QUICK = settings(max_examples=200, deadline=None)


# Numbers.


@nb.njit
def pairs(buf: Any, end: int, meta: Any, ticks: Any, lots: Any, wire: Any) -> Any:
    return b._pairs(buf, 0, end, meta, ticks, lots, 0, wire)


@nb.njit
def value8(word: Any) -> Any:
    return b._value8(word)


def read(text: str, decimals: int, room: int, beyond: int) -> tuple[int, int]:
    """What the kernel makes of `text` as a price and as a size: value and decimals needed.

    The message ends `room` bytes after the level, and the buffer goes on with `beyond`. -1: not a decimal,
    -2: too large, -3: finer than `decimals`.
    """
    results = []
    for body in (f'[["{text}","0"]]', f'[["0","{text}"]]'):
        payload = body.encode() + b"}" * room
        buf = np.frombuffer(payload + bytes([beyond]) * 64, np.uint8)
        meta = np.zeros(b.META, np.int64)
        meta[b.PRICE_DECIMALS] = meta[b.SIZE_DECIMALS] = decimals
        ticks, lots = np.zeros(2, np.int64), np.zeros(2, np.int64)
        position, count = pairs(buf, len(payload), meta, ticks, lots, WIRE)
        assert 0 <= position <= len(payload)
        if count == 1:
            assert position == len(body)
            results.append((int(ticks[0] + lots[0]), 0))
        elif count == -2:
            results.append((-3, int(meta[b.NEED_PRICE_DECIMALS] + meta[b.NEED_SIZE_DECIMALS])))
        else:
            results.append((-2 if meta[b.REASON] == b.BAD_SIZE else -1, 0))
    price, size = results
    assert price == size or {price[0], size[0]} == {-1, -2} or (size[0] == -2 and price[0] > b.LOTS_MAX)
    return price


digits = st.text("0123456789", min_size=1, max_size=25) | st.from_regex(r"[0-9]{0,9}0{1,10}", fullmatch=True)
numbers = digits | st.tuples(digits, digits).map(".".join)


@QUICK
@given(numbers, st.integers(0, 18), st.integers(0, 64), st.sampled_from(b'0",9x'))
def test_a_decimal_is_exact_or_refused(text: str, decimals: int, room: int, beyond: int) -> None:
    value, need = read(text, decimals, room, beyond)
    exact = Decimal(text)
    fraction = text.partition(".")[2].rstrip("0")
    short = len(text.replace(".", "")) <= b.DIGITS_MAX
    digits_held = len(text.partition(".")[0]) + decimals
    if value >= 0:
        assert Decimal(value).scaleb(-decimals) == exact
        assert value <= 1 << 62
    elif value == -3:
        assert need == len(fraction) > decimals
    else:
        assert value == -2
        assert not short or exact.scaleb(decimals) > (1 << 62) - 10**decimals or digits_held > b.DIGITS_MAX
    if (
        short
        and len(fraction) <= decimals
        and exact.scaleb(decimals) < 1 << 61
        and exact.scaleb(decimals) < 10**18
    ):
        assert value >= 0


@QUICK
@given(
    st.text('0123456789.",-e+ x', max_size=24),
    st.integers(0, 18),
    st.integers(0, 24),
    st.sampled_from(b'0".'),
)
def test_what_is_no_decimal_is_refused(text: str, decimals: int, room: int, beyond: int) -> None:
    value, _ = read(text, decimals, room, beyond)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        assert value < 0
    elif value >= 0:
        assert Decimal(value).scaleb(-decimals) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "decimals", "value", "need"),
    [
        ("61737.63000000", 2, 6173763, 0), ("61737.63000000", 8, 6173763000000, 0), ("0.00001731", 8, 1731, 0),
        ("58710.20", 1, 587102, 0), ("1.25", 1, -3, 2), ("12", 3, 12000, 0), ("0", 0, 0, 0), ("1.0", 0, 1, 0),
        ("1.", 1, -1, 0), (".5", 1, -1, 0), ("1.5.5", 1, -1, 0), ("-1", 1, -1, 0), ("", 1, -1, 0),
        ("123456789012345678", 0, 123456789012345678, 0), ("1234567890123456789", 0, -2, 0),
        ("123456789012345678.5", 1, -2, 0), ("99999999", 11, -2, 0), ("1234567.12345678", 8, 123456712345678, 0),
        ("12345678.12345678", 8, 1234567812345678, 0), ("1.123456789", 9, 1123456789, 0),
    ],
)  # fmt: skip
def test_decimals_by_hand(text: str, decimals: int, value: int, need: int) -> None:
    for room in (0, 4, 30, 64):
        assert read(text, decimals, room, ord("0")) == (value, need)


@QUICK
@given(st.integers(0, 99_999_999))
def test_eight_digits_make_a_number(value: int) -> None:
    word = int.from_bytes(bytes(int(c) for c in f"{value:08}"), "little")
    assert value8(np.uint64(word)) == value


# Messages.

SCRATCH = 64
WIRE = wire_array(market(FUTURES))
price_texts = st.decimals("0.01", "99999", places=2).map(str)
size_texts = st.decimals("0", "1000", places=3).map(str)
levels = st.lists(st.tuples(price_texts, size_texts).map(list), max_size=8)
plain = st.text("abcdefXYZ :,{}[]0123456789.", max_size=12)
unknown_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**20) | st.floats(0, 1e6) | plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "yy", "event"]), inner, max_size=2)
    ),
    max_leaves=5,
)
ids = st.integers(0, 10**18)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    fields: dict[str, Any] = {"e": "depthUpdate", "u": draw(ids), "b": draw(levels), "a": draw(levels)}
    for name in ("U", "pu"):
        if draw(st.booleans()):
            fields[name] = draw(ids)
    if draw(st.booleans()):
        fields["E"] = draw(st.integers(1, 10**14 - 1))
    for name in draw(
        st.lists(st.sampled_from(["T", "st", "ps", "bidsX", "lastTrade", "E2", "S"]), unique=True)
    ):
        fields[name] = draw(unknown_values)
    message = {name: fields[name] for name in draw(st.permutations(sorted(fields)))}
    return {"stream": "btcusdt@depth", "data": message} if draw(st.booleans()) else message


def scan(payload: bytes) -> tuple[int, np.ndarray, list[list[tuple[int, int]]]]:
    meta = np.zeros(b.META, np.int64)
    meta[b.PRICE_DECIMALS], meta[b.SIZE_DECIMALS] = 2, 3
    ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
    code = b.scan(np.frombuffer(payload, np.uint8), 0, len(payload), meta, ticks, lots, WIRE)
    sides = [slice(meta[b.BIDS_AT], meta[b.BIDS_END]), slice(meta[b.ASKS_AT], meta[b.ASKS_END])]
    found = [list(zip(ticks[side].tolist(), lots[side].tolist(), strict=True)) for side in sides]
    return int(code), meta, found


@QUICK
@given(messages(), st.booleans())
def test_scan_finds_what_json_finds(message: dict[str, Any], spaced: bool) -> None:
    fields = message.get("data", message)
    payload = json.dumps(message, separators=(",", ": ") if spaced else (",", ":")).encode()
    code, meta, found = scan(payload)
    assert code == 0
    assert meta[b.EVENT_MS] == fields.get("E", 0)
    assert meta[b.MESSAGE_ID] == fields["u"]
    assert meta[b.FIRST_ID] == fields.get("U", -1)
    assert meta[b.PREVIOUS_ID] == fields.get("pu", -1)
    for side, expected in zip(found, (fields["b"], fields["a"]), strict=True):
        assert side == [(int(Decimal(p).scaleb(2)), int(Decimal(s).scaleb(3))) for p, s in expected]


@QUICK
@given(messages(), st.data())
def test_scan_of_a_message_cut_short_stays_inside_it(message: dict[str, Any], data: st.DataObject) -> None:
    payload = json.dumps(message, separators=(",", ":")).encode()
    end = data.draw(st.integers(0, len(payload)))
    results = []
    for beyond in (b'"', b"1", b"["):
        buf = np.frombuffer(payload[:end] + beyond * 40, np.uint8)
        meta = np.zeros(b.META, np.int64)
        meta[b.PRICE_DECIMALS], meta[b.SIZE_DECIMALS] = 2, 3
        ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
        code = b.scan(buf, 0, end, meta, ticks, lots, WIRE)
        results.append((code, meta.tolist(), ticks.tolist(), lots.tolist()))
    assert results[0] == results[1] == results[2]


def test_more_levels_than_scratch_are_refused() -> None:
    many = json.dumps({"u": 1, "b": [["1.00", "1"]] * (SCRATCH + 1), "a": []}, separators=(",", ":")).encode()
    code, meta, _ = scan(many)
    assert (code, meta[b.REASON]) == (b.BAD, b.BAD_SIZE)


def test_numbers_of_kinds_and_roles_are_those_of_the_venues() -> None:
    assert (b._UNKNOWN, b._DEPTH, b._SNAPSHOT, b._TRADE) == (
        Route.UNKNOWN, Route.DEPTH, Route.SNAPSHOT, Route.TRADE,
    )  # fmt: skip
    assert (b._ROUTE, b._EVENT, b._FIRST, b._LAST, b._PREVIOUS, b._BID_SIDE, b._ASK_SIDE) == (
        Role.ROUTE, Role.EVENT_TIME, Role.FIRST_ID, Role.LAST_ID, Role.PREVIOUS_ID, Role.BIDS, Role.ASKS,
    )  # fmt: skip
    assert (b._NEXT, b._STALE) == (book_sync.NEXT, book_sync.STALE)


def counted(of: Market, payload: bytes) -> str:
    """As which kind of line the kernel counts the payload."""
    kernel = DepthKernel(of, 0)
    kernel.on_records([Record(KEY, 0, line(0, payload))])
    summary = kernel.summary()
    for name in ("depth_messages", "trades", "other", "dead_letters"):
        if summary[name]:
            return name
    return "snapshot"


NAMES = {
    Route.DEPTH: "depth_messages",
    Route.TRADE: "trades",
    Route.OTHER: "other",
    Route.BAR: "other",
    Route.DERIVATIVE: "other",
    Route.SNAPSHOT: "snapshot",
}
BODY = b'"E":1,"U":1,"u":1,"pu":1,"b":[],"a":[]}'


@pytest.mark.parametrize("name", [SPOT, FUTURES])
def test_every_route_of_a_market_is_known(name: str) -> None:
    of = market(name)
    for route, kind in of.wire.routes.items():
        event = b'{"e":"' + route.encode() + b'",' + BODY
        stream = (route + "@arr" if route.startswith("!") else "btcusdt@" + route + "@100ms").encode()
        assert counted(of, event) == NAMES[kind], route
        assert counted(of, b'{"stream":"' + stream + b'","data":{' + BODY + b"}") == NAMES[kind], route
        assert counted(of, b"{" + BODY[:-1] + b',"e":"' + route.encode() + b'"}') == NAMES[kind], route
    for first, kind in of.wire.untagged.items():
        assert counted(of, b'{"' + first.encode() + b'":1,"bids":[],"asks":[]}') == NAMES[kind], first
    assert counted(of, b'{"e":"depthX","E":1}') == "dead_letters"


def test_a_message_is_judged_by_its_event_type_wherever_it_stands() -> None:
    payload = b'{"u":1,"e":"depthUpdate",' + BODY
    assert counted(market(SPOT), payload) == "depth_messages"


# Continuity.


@nb.njit
def compiled_verdict(rule: int, seeded: bool, book_id: int, first: int, last: int, previous: int) -> int:
    return b._verdict(rule, seeded, book_id, first, last, previous)


near = st.integers(-1, 12)


@QUICK
@given(st.sampled_from([0, 1]), st.booleans(), st.tuples(near, near, near, near))
def test_compiled_verdict_is_the_python_one(
    rule: int, seeded: bool, numbers: tuple[int, int, int, int]
) -> None:
    assert compiled_verdict(rule, seeded, *numbers) == book_sync.verdict(rule, seeded, *numbers)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([SPOT, FUTURES]),
    st.booleans(),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_the_kernel_follows_the_rule(name: str, seeded: bool, first: int, last: int, previous: int) -> None:
    """Through `run`, whose cached code may hold an older rule."""
    lines = [snapshot(0, 9 - (not seeded), [("1", "1")], [("2", "1")])]
    if not seeded:
        lines.append(depth(10, 9, 9, [], [], 8))
    kernel = DepthKernel(market(name), 0)
    kernel.on_records([Record(KEY, 0, b"".join(lines) + depth(20, first, last, [], [], previous))])
    rule = int(market(name).wire.rule)
    verdict = book_sync.verdict(rule, seeded, 9, first, last, previous)
    found = kernel.summary()
    gaps = found["gaps"] + found["stale_snapshots"]
    assert (found["applied"] - (not seeded), found["stale"], gaps) == (
        verdict == book_sync.NEXT, verdict == book_sync.STALE, verdict == book_sync.GAP,
    )  # fmt: skip


# Levels outside the window.


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1), st.integers(0, 3)), max_size=200),
    st.integers(1, 1 << 50),
)
def test_far_levels_are_a_dict(changes: list[tuple[int, int, int]], stride: int) -> None:
    far_key, far_lots = np.full(256, b.FAR_EMPTY, np.int64), np.zeros(256, np.int64)
    meta = np.zeros(b.META, np.int64)
    expected: dict[tuple[int, int], int] = {}
    for step, side, lots in changes:
        tick = step * stride
        b.far_set(far_key, far_lots, meta, tick, side, lots)
        if lots:
            expected[tick, side] = lots
        else:
            expected.pop((tick, side), None)
        assert meta[b.FAR_COUNT] == len(expected)
    held = far_key != b.FAR_EMPTY
    found = zip(
        (far_key[held] >> 1).tolist(), (far_key[held] & 1).tolist(), far_lots[held].tolist(), strict=True
    )
    assert {(tick, side): lots for tick, side, lots in found} == expected


near_ticks = st.integers(90_000, 110_000)
far_ticks = st.integers(1, 10**6)
changes = st.lists(
    st.lists(st.tuples(near_ticks | far_ticks, st.integers(0, 1), st.integers(0, 5)), max_size=12),
    max_size=12,
)


def held(book: OrderBook) -> dict[tuple[int, int], int]:
    ticks, lots, sides = (x.tolist() for x in book.levels())
    assert len(ticks) == b.count_levels(book.window, book.meta)
    return {(side, tick): size for tick, size, side in zip(ticks, lots, sides, strict=True)}


def best(levels: dict[tuple[int, int], int]) -> tuple[int, int]:
    bids = [tick for side, tick in levels if side == 0]
    asks = [tick for side, tick in levels if side == 1]
    return max(bids, default=-1), min(asks, default=b.NO_ASK)


def by_side(levels: dict[tuple[int, int], int]) -> list[np.ndarray]:
    rows = [(tick, size, side) for (side, tick), size in levels.items()]
    return list(np.array(rows, np.int64).reshape(-1, 3).T)


@settings(max_examples=60, deadline=None)
@given(changes, st.sampled_from(["none", "recentre", "grow", "dump", "rescale"]))
def test_a_book_is_two_dicts(messages: list[list[tuple[int, int, int]]], disturbance: str) -> None:
    book = OrderBook(b"X", 0)
    expected = {(0, 99_999): 3, (1, 100_001): 4}
    book.seed(Levels(*by_side(expected)), 1)
    for message in messages:
        bids = [(tick, size) for tick, side, size in message if side == 0]
        asks = [(tick, size) for tick, side, size in message if side == 1]
        ticks, lots = np.array(bids + asks + [(0, 0)], np.int64).T.copy()
        book.meta[[b.BIDS_AT, b.BIDS_END, b.ASKS_AT, b.ASKS_END]] = 0, len(bids), len(bids), len(message)
        b.apply(book.window, book.far_key, book.far_lots, book.meta, ticks, lots)
        for tick, side, size in message:
            if size:
                expected[side, tick] = size
            else:
                expected.pop((side, tick), None)
        if not b.inside(book.meta) or disturbance == "recentre":
            book.recentre()
        elif disturbance == "grow":
            book.grow_far(3 * FAR_MIN)
        elif disturbance == "dump":
            book = OrderBook.load(b"X", book.dump())
        elif disturbance == "rescale":
            m = book.meta
            book.rescale(int(m[b.PRICE_DECIMALS]), int(m[b.SIZE_DECIMALS]) + 1)
            expected = {level: 10 * size for level, size in expected.items()}
        assert held(book) == expected
        assert (book.meta[b.BEST_BID], book.meta[b.BEST_ASK]) == best(expected)
