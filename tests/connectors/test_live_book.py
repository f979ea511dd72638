"""The connector's own book against the book it follows."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import live_book
from connectors.book_sync import Rule
from connectors.live_book import LiveBook, Outcome
from connectors.venue import Head, market
from tests.connectors import toy_streams
from tests.connectors.toy_streams import ToyStream
from tests.connectors.toy_venue import ToyBook

LIVE = market("binance_spot").live
RULES = [Rule.NEXT_ID, Rule.PREVIOUS_ID]


def read(venue: ToyBook, limit: int = 1000) -> live_book.Snapshot:
    return LIVE.read_snapshot(venue.snapshot(limit))


def levels(fields: dict) -> set[tuple[int, Decimal, Decimal]]:
    return {
        (side, Decimal(price), Decimal(size))
        for side, name in enumerate(("bids", "asks"))
        for price, size in fields[name]
    }


@given(st.integers(0, 10**6), st.sampled_from(RULES), st.integers(0, 10), st.integers(0, 10))
def test_updates_before_and_after_the_snapshot(seed: int, rule: Rule, before: int, after: int) -> None:
    venue, book = ToyBook(seed, rule), LiveBook(rule)
    for _ in range(before):
        assert book.on_update(LIVE.head(venue.diff())) == Outcome.WAITING
    assert book.waits == bool(before)
    snapshot = read(venue)
    waiting = [LIVE.head(venue.diff()) for _ in range(after)]
    for head in waiting:
        book.on_update(head)
    assert book.on_snapshot(snapshot, 1000) == Outcome.APPLIED
    assert book.on_update(LIVE.head(venue.diff())) == Outcome.APPLIED
    fields = book.fields()
    assert levels(fields) == venue.levels() and fields["lastUpdateId"] == venue.update_id
    assert fields["covered"] == (None, None)


@given(st.integers(0, 10**6), st.sampled_from(RULES))
def test_a_snapshot_older_than_the_first_update_is_refused_and_the_updates_are_kept(
    seed: int, rule: Rule
) -> None:
    venue, book = ToyBook(seed, rule), LiveBook(rule)
    old = read(venue)
    venue.diff()
    kept = [LIVE.head(venue.diff()) for _ in range(4)]
    for head in kept[:2]:
        book.on_update(head)
    assert book.on_snapshot(old, 1000) == Outcome.REFUSED
    assert not book.live and book.waits
    between = read(venue)
    for head in kept[2:]:
        book.on_update(head)
    assert book.on_snapshot(between, 1000) == Outcome.APPLIED
    assert levels(book.fields()) == venue.levels()


@given(st.integers(0, 10**6), st.sampled_from(RULES))
def test_a_gap_voids_the_book_and_its_message_waits(seed: int, rule: Rule) -> None:
    venue, book = ToyBook(seed, rule), LiveBook(rule)
    book.on_snapshot(read(venue), 1000)
    assert book.on_update(LIVE.head(venue.diff())) == Outcome.APPLIED
    venue.diff()
    assert book.on_update(LIVE.head(venue.diff())) == Outcome.GAP
    assert not book.live and book.waits and book.levels == 0
    assert book.on_snapshot(read(venue), 1000) == Outcome.APPLIED
    assert levels(book.fields()) == venue.levels()


def test_repeated_updates_are_ignored() -> None:
    venue, book = ToyBook(1, Rule.NEXT_ID), LiveBook(Rule.NEXT_ID)
    book.on_snapshot(read(venue), 1000)
    head = LIVE.head(venue.diff())
    assert [book.on_update(head), book.on_update(head)] == [Outcome.APPLIED, Outcome.IGNORED]


def test_a_crossed_or_unreadable_snapshot_is_no_beginning() -> None:
    book = LiveBook(Rule.NEXT_ID)
    assert book.on_snapshot(live_book.Snapshot(1, [("2", "1")], [("2", "1")]), 5) == Outcome.REFUSED
    assert book.on_snapshot(live_book.Snapshot(1, [("x", "1")], []), 5) == Outcome.UNREADABLE
    assert not book.live


@pytest.mark.parametrize("bad", [("x", "1"), ("1", "nan"), ("1", "-1")])
def test_an_update_with_a_bad_level_is_not_applied_in_part(bad: tuple[str, str]) -> None:
    book = LiveBook(Rule.NEXT_ID)
    book.on_snapshot(live_book.Snapshot(1, [("1", "1")], []), 5)
    assert book.on_update(live_book.Head("s", 0, 2, 2, -1, [("1", "0")], [bad])) == Outcome.UNREADABLE
    assert book.update_id == 1 and book.fields()["bids"] == [("1", "1")]


@given(st.integers(0, 10**6), st.sampled_from(RULES), st.integers(0, 5), st.integers(0, 5))
def test_a_fuller_snapshot_shows_more_of_the_same_book(
    seed: int, rule: Rule, before: int, after: int
) -> None:
    venue, book = ToyBook(seed, rule), LiveBook(rule)
    book.on_snapshot(read(venue, 10), 10)
    shallow = book.fields()["covered"]
    assert shallow[0] is not None and not book.reaches(0.02)
    book.widen()
    for _ in range(before):
        book.on_update(LIVE.head(venue.diff()))
    fuller = read(venue, 30)
    for _ in range(after):
        book.on_update(LIVE.head(venue.diff()))
    assert not book.merge()
    assert book.on_fuller(fuller, 30) == Outcome.APPLIED
    if not book.merge():
        book.on_update(LIVE.head(venue.diff()))
        assert book.merge()
    fields = book.fields()
    low, high = (Decimal(price) for price in fields["covered"])
    assert low < Decimal(shallow[0]) and high > Decimal(shallow[1])
    told, true = levels(fields), venue.levels()
    inside = {level for level in true if low <= level[1] <= high}
    assert told <= true and inside <= told


@given(st.integers(0, 10**6))
def test_a_gap_while_widening_voids_both(seed: int) -> None:
    venue, book = ToyBook(seed, Rule.NEXT_ID), LiveBook(Rule.NEXT_ID)
    book.on_snapshot(read(venue, 10), 10)
    book.widen()
    venue.diff()
    assert book.on_update(LIVE.head(venue.diff())) == Outcome.GAP
    assert book.on_fuller(read(venue, 30), 30) == Outcome.IGNORED and not book.merge()


def test_the_covered_prices_are_narrow_once_the_mid_nears_their_end() -> None:
    bids = [(str(1000 - n), "1") for n in range(1, 11)]
    asks = [(str(1000 + n), "1") for n in range(1, 11)]
    book = LiveBook(Rule.NEXT_ID)
    book.on_snapshot(live_book.Snapshot(1, bids, asks), 10)
    assert not book.is_narrow(0.015)
    up = [(str(1000 + n), "0") for n in range(1, 8)]
    book.on_update(live_book.Head("s", 0, 2, 2, -1, [("1006", "1")], up))
    assert book.is_narrow(0.015)
    assert not book.is_narrow(0.001)


def test_a_side_with_fewer_levels_than_asked_for_is_known_whole() -> None:
    book = LiveBook(Rule.NEXT_ID)
    book.on_snapshot(live_book.Snapshot(1, [("9", "1"), ("8", "1")], [("10", "1")]), 2)
    assert book.fields()["covered"] == ("8", None)


def test_one_price_written_twice_is_one_level() -> None:
    book = LiveBook(Rule.NEXT_ID)
    book.on_snapshot(live_book.Snapshot(1, [("9.0", "1")], [("10", "1")]), 5)
    book.on_update(live_book.Head("s", 0, 2, 2, -1, [("9.00", "2")], [("10.0", "0.000")]))
    assert book.fields()["bids"] == [("9.00", "2")] and book.fields()["asks"] == []


def test_a_book_too_large_to_tell_claims_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_book, "LEVELS_MAX", 2)
    book = LiveBook(Rule.NEXT_ID)
    prices = [(str(n), "1") for n in (5, 4, 3)], [(str(n), "1") for n in (6, 7, 8)]
    book.on_snapshot(live_book.Snapshot(1, *prices), 5)
    fields = book.fields()
    assert json.loads(json.dumps(fields["covered"])) == ["4", "7"]
    assert [price for price, _ in fields["bids"]] == ["5", "4"]
    assert [price for price, _ in fields["asks"]] == ["6", "7"]


def followed(rule: Rule) -> LiveBook:
    book = LiveBook(rule, in_stream=True)
    book.depth = toy_streams.DEPTHS.get(rule)
    return book


@given(st.integers(0, 10**6), st.sampled_from(toy_streams.RULES), st.integers(0, 4), st.integers(0, 30))
def test_a_snapshot_in_the_stream_begins_the_book_and_replaces_it(
    seed: int, rule: Rule, before: int, after: int
) -> None:
    venue, book = ToyStream(seed, rule), followed(rule)
    for _ in range(before):
        assert book.on_update(toy_streams.head(venue.update())) == Outcome.WAITING
    assert not book.waits
    for _ in range(2):
        assert book.on_update(toy_streams.head(venue.whole())) == Outcome.APPLIED
        for _ in range(after):
            assert book.on_update(toy_streams.head(venue.update())) == Outcome.APPLIED
            assert levels(book.fields()) == venue.levels()
        venue.update()  # lost: the next snapshot makes it good


@given(st.integers(0, 10**6), st.sampled_from([rule for rule in toy_streams.RULES if rule != Rule.NONE]))
def test_how_a_loss_shows_by_each_rule(seed: int, rule: Rule) -> None:
    venue, book = ToyStream(seed, rule), followed(rule)
    book.on_update(toy_streams.head(venue.whole()))
    true = venue.levels()
    for _ in range(100):
        venue.update()
        outcome = book.on_update(toy_streams.head(venue.update()))
        if outcome != Outcome.APPLIED or venue.levels() != true:
            break
    if rule == Rule.CHECKSUM and outcome == Outcome.APPLIED:
        assert levels(book.fields()) == venue.levels(), "the lost change was undone, or made again"
        return
    assert outcome == (Outcome.MISMATCH if rule == Rule.CHECKSUM else Outcome.GAP)
    assert not book.live and not book.waits and book.levels == 0


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_limited_book_covers_the_levels_it_holds_while_it_is_full(side: str) -> None:
    book = followed(Rule.CONSECUTIVE)
    book.depth = 2
    three = {"bids": [("5", "1"), ("4", "1"), ("3", "1")], "asks": [("6", "1"), ("7", "1"), ("8", "1")]}
    one = {"bids": [("5", "1")], "asks": [("6", "1")]}
    book.on_update(Head("s", 0, 1, 1, snapshot=True, **(one | {side: three[side]})))
    fields = book.fields()
    assert (
        fields["depth"] == 2 and fields[side] == three[side][:2] and len(fields["bids"] + fields["asks"]) == 3
    )
    assert fields["covered"] == (("4", None) if side == "bids" else (None, "7"))


def test_a_crossed_book_is_void_where_nothing_else_tells() -> None:
    for rule, live in ((Rule.NONE, False), (Rule.CONSECUTIVE, True)):
        book = LiveBook(rule, in_stream=True)
        book.on_update(Head("s", 0, 1, 1, -1, [("5", "1")], [("6", "1")], snapshot=True))
        assert book.on_update(Head("s", 0, 2, 2, -1, [("6", "1")], [])) == (0 if live else Outcome.CROSSED)
        assert book.live is live
    assert (
        book.on_update(Head("s", 0, 1, 1, -1, [("6", "1")], [("6", "1")], snapshot=True)) == Outcome.CROSSED
    )
    assert not book.live


# docs.kraken.com, "Book checksum (v2)", 2026: the worked example; and one of a price below 1, with an update.
ASKS = ("45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660 "
        "45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827")  # fmt: skip
BIDS = ("45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586 "
        "45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238")  # fmt: skip


def texts(side: str) -> list[tuple[str, str]]:
    return [(price, size) for price, _, size in (level.partition("/") for level in side.split())]


def test_checksums_published_and_below_one() -> None:
    assert live_book.checksum(texts(BIDS), texts(ASKS)) == 3310070434
    book = followed(Rule.CHECKSUM)
    asks = texts("0.31420/1500.00000000 0.31430/0.05000000 0.31500/42.10000000")
    bids = texts("0.31410/7.25000000 0.31400/1000.00000000 0.30990/0.00010000")
    assert (
        book.on_update(Head("s", bids=bids, asks=asks, snapshot=True, checksum=2539091412)) == Outcome.APPLIED
    )
    update = Head("s", bids=texts("0.31400/0"), asks=texts("0.31425/3.50000000"), checksum=1209149997)
    assert book.on_update(update) == Outcome.APPLIED
    assert book.on_update(Head("s", bids=texts("0.31410/7.2500000"), checksum=1209149997)) == Outcome.MISMATCH
    assert not book.live


@pytest.mark.parametrize(
    ("name", "depth", "messages"),
    [("v2_book25_btcusd_20260802", 25, 2052), ("v2_book10_btcusd_resubscribe_20260801", 10, 301)],
)
def test_every_recorded_checksum_matches(recordings: Path, name: str, depth: int, messages: int) -> None:
    book, matched = LiveBook(Rule.CHECKSUM, in_stream=True), 0
    book.depth = depth
    with gzip.open(recordings / "kraken" / f"{name}.gz") as lines:
        for line in lines:
            frame = json.loads(line.partition(b" ")[2], parse_float=str, parse_int=str)
            if frame.get("channel") == "book":
                (told,) = frame["data"]
                sides = [
                    [(level["price"], level["qty"]) for level in told[side]] for side in ("bids", "asks")
                ]
                whole = frame["type"] == "snapshot"
                outcome = book.on_update(
                    Head("s", 0, -1, -1, -1, *sides, snapshot=whole, checksum=int(told["checksum"]))
                )
                assert outcome == Outcome.APPLIED
                matched += 1
    assert matched == messages
