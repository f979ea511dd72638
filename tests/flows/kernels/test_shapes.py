"""How venues write levels, times and checksums: the compiled reader against json, Decimal, datetime and zlib."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import book_sync
from connectors.book_sync import Rule
from connectors.venue import Role, Route, Shape, market
from flows.kernels import book as b
from flows.kernels.depth import wire_array
from flows.kernels.order_book import OrderBook
from flows.kernels.snapshot import Levels, limits
from tests import wires
from tests.flows.kernels.test_book import by_side, held

QUICK = settings(max_examples=200, deadline=None)
SCRATCH = 64
WIRES = {name: wire_array(market(name)) for name in ("kraken", "gemini_v2", "gemini", "bybit_linear")}
RULES = {name: int(market(name).wire.rule) for name in WIRES}
Found = tuple[int, np.ndarray, list[list[tuple[int, int]]]]


def scan(name: str, payload: bytes, beyond: bytes = b"", decimals: tuple[int, int] = (2, 8)) -> Found:
    """Code, meta and the levels of both sides."""
    meta = np.zeros(b.META, np.int64)
    meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = decimals
    meta[b.RULE] = RULES[name]
    ticks, lots = np.zeros(SCRATCH, np.int64), np.zeros(SCRATCH, np.int64)
    code = b.scan(np.frombuffer(payload + beyond, np.uint8), 0, len(payload), meta, ticks, lots, WIRES[name])
    sides = [slice(meta[b.BIDS_AT], meta[b.BIDS_END]), slice(meta[b.ASKS_AT], meta[b.ASKS_END])]
    return int(code), meta, [list(zip(ticks[x].tolist(), lots[x].tolist(), strict=True)) for x in sides]


def exact(levels: list[tuple[str, str]]) -> list[tuple[int, int]]:
    return [(int(Decimal(price).scaleb(2)), int(Decimal(size).scaleb(8))) for price, size in levels]


prices = st.decimals("0.01", "999999", places=2).map(lambda x: f"{x:f}")
sizes = st.decimals("0", "99999", places=8).map(lambda x: f"{x:f}")
levels = st.lists(st.tuples(prices, sizes), max_size=8)
# Unknown fields of a level; the venue may add some.
extras = st.sampled_from(["", '"orders":3', '"id":"x,]}"', '"since":null', '"f":1.50'])


@st.composite
def kraken_frames(draw: st.DrawFn) -> tuple[bytes, list[list[tuple[str, str]]], int]:
    sides = draw(levels), draw(levels)
    texts = []
    for side in sides:
        objects = []
        for price, size in side:
            fields = [f'"price":{price}', f'"qty":{size}', *filter(None, [draw(extras)])]
            objects.append("{" + ",".join(draw(st.permutations(fields))) + "}")
        texts.append("[" + ",".join(objects) + "]")
    crc = draw(st.integers(0, 2**32 - 1))
    fields = [f'"bids":{texts[0]}', f'"asks":{texts[1]}', f'"checksum":{crc}', '"symbol":"BTC/USD"']
    data = "{" + ",".join(draw(st.permutations(fields))) + "}"
    kind = draw(st.sampled_from(["snapshot", "update"]))
    return f'{{"channel":"book","type":"{kind}","data":[{data}]}}'.encode(), list(sides), crc


@QUICK
@given(kraken_frames())
def test_objects_are_read_exactly(frame: tuple[bytes, list[list[tuple[str, str]]], int]) -> None:
    payload, sides, crc = frame
    code, meta, found = scan("kraken", payload)
    assert code == 0
    assert found == [exact(side) for side in sides]
    assert meta[b.CHECKSUM] == crc
    assert meta[b.WHOLE] == (b'"snapshot"' in payload)
    some = bool(sides[0] or sides[1])
    assert (meta[b.WROTE_PRICE_DECIMALS], meta[b.WROTE_SIZE_DECIMALS]) == (2 * some, 8 * some)


@QUICK
@given(kraken_frames(), st.data())
def test_a_frame_of_objects_cut_short_stays_inside_it(frame: Any, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(frame[0])))
    results = [scan("kraken", frame[0][:end], beyond * 40) for beyond in (b'"', b"1", b"}", b"]")]
    assert all(
        (x[0], x[1].tolist(), x[2]) == (results[0][0], results[0][1].tolist(), results[0][2]) for x in results
    )


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ('{"price":1.5}', b.BAD_LEVELS), ('{"qty":1.5}', b.BAD_LEVELS), ('{"price":1.5,"qty":-1}', b.BAD_LEVELS),
        ('{"price":"1.5","qty":1}', b.BAD_LEVELS), ('{"price":1e5,"qty":1}', b.BAD_LEVELS), ("{}", b.BAD_LEVELS),
        ('{"price":1.5,"qty":1,"x":[1]}', b.BAD_LEVELS), ('{"price":1.,"qty":1}', b.BAD_LEVELS),
        ("[1,2]", b.BAD_LEVELS),
        ('{"price":1.5 ,"qty":1}', b.BAD_LEVELS), ('{"price":1.5,"qty":1};', b.BAD_LEVELS),
        ('{"price":1.5,"qty":' + "9" * 19 + "}", b.BAD_SIZE), ('{"price":1.5,"qty":' + "9" * 9 + "}", b.BAD_SIZE),
        (",".join(['{"price":1.5,"qty":1}'] * (SCRATCH + 1)), b.BAD_SIZE),
    ],
)  # fmt: skip
def test_what_is_no_object_of_a_level_is_refused(level: str, reason: int) -> None:
    code, meta, _ = scan("kraken", f'{{"channel":"book","data":[{{"bids":[{level}],"asks":[]}}]}}'.encode())
    assert (code, meta[b.REASON]) == (b.BAD, reason)


@pytest.mark.parametrize(
    "fields", ['"price":1.125,"qty":1', '"qty":1,"price":1.125', '"price":1.125,"qty":1,"x":2']
)
def test_an_object_with_finer_decimals_says_so(fields: str) -> None:
    code, meta, _ = scan("kraken", f'{{"bids":[{{{fields}}}],"asks":[]}}'.encode())
    assert (code, meta[b.NEED_PRICE_DECIMALS], meta[b.NEED_SIZE_DECIMALS]) == (b.FINER, 3, 0)


@QUICK
@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell"]), prices, sizes), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_levels_of_both_sides_in_one_array(
    changes: list[tuple[str, str, str]], whole: bool, last: bool
) -> None:
    past = {"type": "trade", "price": "1.5", "quantity": "2", "side": "buy", "tid": 7}
    fields = {"type": "l2_updates", "symbol": "BTCUSD", "changes": changes} | (
        {"trades": [past]} if whole else {}
    )
    payload = json.dumps(dict(sorted(fields.items(), reverse=last)), separators=(",", ":")).encode()
    code, meta, found = scan("gemini_v2", payload)
    assert (code, meta[b.WHOLE]) == (0, whole)
    assert found == [exact([x[1:] for x in changes if x[0] == side]) for side in ("buy", "sell")]
    assert meta[b.MESSAGE_ID] == meta[b.EVENT_MS] == 0


@pytest.mark.parametrize(
    "change", ['["hold","1","2"]', '["buy","1"]', '["sell","1","2","3"]', '["buy",1,2]', '["buy"]']
)
def test_what_is_no_level_of_a_side_is_refused(change: str) -> None:
    code, meta, _ = scan("gemini_v2", f'{{"type":"l2_updates","changes":[{change}]}}'.encode())
    assert (code, meta[b.REASON]) == (b.BAD, b.BAD_LEVELS)


def test_which_messages_are_the_whole_book() -> None:
    body = '"E":1795000000123456789,"s":"btcusd","U":%d,"u":9,"b":[],"a":[]'
    for first, whole in ((9, 1), (8, 0)):
        code, meta, _ = scan("gemini", ('{"e":"depthUpdate",' + body % first + "}").encode())
        assert (code, meta[b.WHOLE], meta[b.FIRST_ID], meta[b.EVENT_MS]) == (0, whole, first, 1795000000123)
    code, meta, _ = scan("gemini", b'{"lastUpdateId":77,"bids":[],"asks":[]}')
    assert (code, meta[b.WHOLE], meta[b.MESSAGE_ID]) == (0, 1, 77)
    for kind, whole in (("snapshot", 1), ("delta", 0), ("snapshots", 0), ("Snapshot", 0)):
        payload = (
            f'{{"topic":"orderbook.50.X","ts":5,"type":"{kind}","data":{{"b":[],"a":[],"u":4}}}}'.encode()
        )
        code, meta, _ = scan("bybit_linear", payload)
        assert (code, meta[b.WHOLE], meta[b.FIRST_ID], meta[b.MESSAGE_ID]) == (0, whole, 4, 4)


def test_a_checksum_is_of_numbers_only() -> None:
    kraken = market("kraken")
    with pytest.raises(ValueError, match=r"Shape\.OBJECTS"):
        wire_array(replace(kraken, wire=replace(kraken.wire, shape=Shape.PAIRS)))


def test_numbers_of_rules_shapes_and_roles_are_those_of_the_venues() -> None:
    assert (b._PAIRS, b._OBJECTS, b._SIDED) == (Shape.PAIRS, Shape.OBJECTS, Shape.SIDED)
    assert (b._BY_CHECKSUM, b._BY_NOTHING, b._OVERLAP) == (Rule.CHECKSUM, Rule.NONE, Rule.OVERLAP)
    assert (b._OTHER, b._SUBSCRIPTION) == (Route.OTHER, Route.SUBSCRIPTION)
    assert (b._BAR, b._DERIVATIVE) == (Route.BAR, Route.DERIVATIVE)
    assert (b._BOTH_SIDES, b._CHECKSUM, b._KIND_OF, b._WHOLE) == (
        Role.SIDES,
        Role.CHECKSUM,
        Role.KIND,
        Role.WHOLE,
    )


@nb.njit
def compiled(rule: int, snapshot_id: int, book_id: int, first: int, last: int) -> Any:
    return b._restarted(rule, snapshot_id), b._verdict(rule, False, book_id, first, last, -1)


@QUICK
@given(st.sampled_from(list(Rule)), *[st.integers(0, 9)] * 4)
def test_compiled_rules_are_the_python_ones(
    rule: Rule, snapshot: int, book_id: int, first: int, last: int
) -> None:
    found = compiled(int(rule), snapshot, book_id, first, last)
    assert found == (
        book_sync.restarted(rule, snapshot), book_sync.verdict(rule, False, book_id, first, last, -1)
    )  # fmt: skip


# Times.


def stamp(text: str) -> int:
    payload = f'{{"timestamp":"{text}","bids":[],"asks":[]}}'.encode()
    code, meta, _ = scan("kraken", payload)
    assert code in (0, b.BAD)
    assert code == 0 or meta[b.REASON] == b.BAD_STAMP
    return int(meta[b.EVENT_MS]) if code == 0 else -1


def expected(text: str) -> int:
    try:
        return wires.stamp_ms(text)
    except wires.Malformed:
        return -1


fractions = st.just("") | st.text("0123456789", min_size=1, max_size=11).map(".".__add__)
zones = st.sampled_from(["Z", "z", "+00:00", "-05:30", "+14:00", "+24:00", "+1:00", "", "Z0", "+01:60"])


@QUICK
@given(st.datetimes(), st.sampled_from("Tt _"), fractions, zones)
def test_times_as_text(time: Any, between: str, fraction: str, zone: str) -> None:
    text = f"{time:%Y-%m-%d}".rjust(10, "0") + between + f"{time:%H:%M:%S}" + fraction + zone
    assert stamp(text) == expected(text)


@QUICK
@given(st.from_regex(re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"), fullmatch=True))
def test_days_and_hours_that_are_none(text: str) -> None:
    assert stamp(text) == expected(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-08-02T03:35:51.660084Z", 1785641751660), ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T00:00:00Z", 1709164800000),
        ("2023-02-29T00:00:00Z", -1), ("2026-11-22T14:00:00.1Z", 1795356000100),
        ("2026-11-22T14:00:00+02:00", 1795348800000),
        ("2016-12-31T23:59:60Z", 1483228800000), ("", -1), ("yesterday", -1), ("2026-11-22", -1),
    ],
)  # fmt: skip
def test_times_by_hand(text: str, ms: int) -> None:
    assert stamp(text) == ms


# Books of limited depth, and their checksums.


def book_of(levels: dict[tuple[int, int], int], depth: int, rule: Rule = Rule.CHECKSUM) -> OrderBook:
    book = OrderBook(b"X", int(rule))
    book.meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = 5, 8
    book.meta[[b.WROTE_PRICE_DECIMALS, b.WROTE_SIZE_DECIMALS]] = 5, 8
    book.limit(depth)
    book.seed(Levels(*by_side(levels)), 1)
    return book


near, far = st.integers(90_000, 110_000), st.integers(1, 10**6)
changes = st.lists(
    st.lists(st.tuples(near | far, st.integers(0, 1), st.integers(0, 9)), max_size=12), max_size=10
)


def cut(levels: dict[tuple[int, int], int], depth: int) -> dict[tuple[int, int], int]:
    best = [sorted((t for s, t in levels if s == side), reverse=side == 0)[:depth] for side in (0, 1)]
    return {(s, t): x for (s, t), x in levels.items() if t in best[s]}


@settings(max_examples=100, deadline=None)
@given(
    changes, st.sampled_from([1, 3, 10, 25]), st.sampled_from(["none", "recentre", "grow", "dump", "rescale"])
)
def test_a_limited_book_is_the_best_of_two_dicts(
    messages: list[list[tuple[int, int, int]]], depth: int, disturbance: str
) -> None:
    expected = {(0, 99_999): 3, (1, 100_001): 4}
    book = book_of(expected, depth)
    for drawn in messages:
        unit = 10 ** int(book.meta[b.SIZE_DECIMALS] - 8)  # the venue goes on writing eight decimals
        message = [(tick, side, size * unit) for tick, side, size in drawn]
        bids = [(tick, size) for tick, side, size in message if side == 0]
        asks = [(tick, size) for tick, side, size in message if side == 1]
        ticks, lots = np.array(bids + asks + [(0, 0)], np.int64).T.copy()
        book.meta[[b.BIDS_AT, b.BIDS_END, b.ASKS_AT, b.ASKS_END]] = 0, len(bids), len(bids), len(message)
        b.apply(book.window, book.far_key, book.far_lots, book.meta, ticks, lots)
        for tick, side, size in message:
            expected.pop((side, tick), None)
            if size:
                expected[side, tick] = size
        expected = cut(expected, depth)
        assert crc(book) == zlib_crc(expected, book)
        if not b.inside(book.meta) or disturbance == "recentre":
            book.recentre()
        elif disturbance == "grow":
            book.grow_far(3000)
        elif disturbance == "dump":
            book = OrderBook.load(b"X", book.dump())
        elif disturbance == "rescale":
            book.rescale(5, int(book.meta[b.SIZE_DECIMALS]) + 1)
            expected = {level: 10 * size for level, size in expected.items()}
        assert held(book) == expected
        assert crc(book) == zlib_crc(expected, book)
        ends = [[t for s, t in expected if s == side] for side in (0, 1)]
        assert [book.meta[b.N_BIDS], book.meta[b.N_ASKS]] == list(map(len, ends))
        assert book.reach().tolist() == [
            min(ends[0]) if len(ends[0]) >= depth else 0, max(ends[1]) if len(ends[1]) >= depth else b.NO_ASK,
        ]  # fmt: skip


def crc(book: OrderBook) -> int:
    return int(b.checksum(book.window, book.far_key, book.far_lots, book.meta))


def zlib_crc(levels: dict[tuple[int, int], int], book: OrderBook) -> int:
    """Of the levels as the wire writes them: five and eight decimals, whatever the book counts in."""
    decimals = int(book.meta[b.SIZE_DECIMALS])
    sides: list[dict[Decimal, Decimal]] = [{}, {}]
    for (side, tick), size in levels.items():
        sides[side][Decimal(tick).scaleb(-5)] = Decimal(size).scaleb(-decimals).quantize(Decimal("1e-8"))
    return wires.checksum(*sides)


VECTOR_1 = (
    "45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660 "
    "45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827",
    "45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586 "
    "45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238",
)
VECTOR_2 = (
    "0.31420/1500.00000000 0.31430/0.05000000 0.31500/42.10000000",
    "0.31410/7.25000000 0.31400/1000.00000000 0.30990/0.00010000",
)
AFTER_2 = (
    "0.31420/1500.00000000 0.31425/3.50000000 0.31430/0.05000000 0.31500/42.10000000",
    "0.31410/7.25000000 0.30990/0.00010000",
)


@pytest.mark.parametrize(
    ("asks_bids", "wrote", "checksum"),
    [(VECTOR_1, (1, 8), 3310070434), (VECTOR_2, (5, 8), 2539091412), (AFTER_2, (5, 8), 1209149997)],
)
@pytest.mark.parametrize("held_decimals", [(5, 8), (7, 10)])
def test_checksums_that_are_published(
    asks_bids: tuple[str, str], wrote: tuple[int, int], checksum: int, held_decimals: tuple[int, int]
) -> None:
    """docs.kraken.com, book checksum (v2), and one worked out by hand; the book may count in finer units."""
    found = {}
    for side, texts in ((1, asks_bids[0]), (0, asks_bids[1])):
        for text in texts.split():
            price, size = map(Decimal, text.split("/"))
            found[side, int(price.scaleb(held_decimals[0]))] = int(size.scaleb(held_decimals[1]))
    book = book_of(found, 10)
    book.meta[[b.PRICE_DECIMALS, b.SIZE_DECIMALS]] = held_decimals
    book.meta[[b.WIRE_PRICE_DECIMALS, b.WIRE_SIZE_DECIMALS]] = wrote
    assert crc(book) == checksum


def test_a_book_line_tells_its_limits_by_what_it_writes() -> None:
    payload = (
        b'{"lastUpdateId":1,"bids":[["63004.90","0.5"]],"asks":[["63005","1.00000000"]],"covered":[null,null]'
    )
    assert limits(payload + b',"depth":25}') == (25, 2, 8)
    assert limits(payload + b"}") == (0, 2, 8)
