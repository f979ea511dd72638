"""The connector's own book against the book it follows."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import live_book
from connectors.book_sync import Rule
from connectors.live_book import LiveBook, Outcome
from connectors.venue import market
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
