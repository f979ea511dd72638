"""Continuity of an order book: the cases of the venues' own instructions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.book_sync import GAP, NEXT, STALE, Rule, Verdict, verdict

SPOT, FUTURES = int(Rule.NEXT_ID), int(Rule.PREVIOUS_ID)
OVERLAP = int(Rule.OVERLAP)
SEEDED, LIVE = True, False
ids = st.integers(0, 2**62)


@pytest.mark.parametrize(
    ("why", "seeded", "book_id", "first_id", "last_id", "said"),
    [
        ("the snapshot is older than the first event: fetch again", SEEDED, 100, 102, 105, GAP),
        ("the event straddles lastUpdateId", SEEDED, 100, 98, 103, NEXT),
        ("lastUpdateId is the event's first", SEEDED, 100, 100, 103, NEXT),
        ("lastUpdateId is the event's last: nothing new", SEEDED, 100, 98, 100, STALE),
        ("U == id + 1", SEEDED, 100, 101, 105, NEXT),
        ("U == id + 1 later on", LIVE, 105, 106, 106, NEXT),
        ("an event is missing", LIVE, 105, 107, 110, GAP),
        ("an event the book has", LIVE, 105, 101, 104, STALE),
        ("the same event again", LIVE, 105, 101, 105, STALE),
        ("an overlapping event", LIVE, 105, 104, 110, NEXT),
    ],
)
def test_spot(why: str, seeded: bool, book_id: int, first_id: int, last_id: int, said: int) -> None:
    assert verdict(SPOT, seeded, book_id, first_id, last_id, -1) == said, why


@pytest.mark.parametrize(
    ("why", "seeded", "book_id", "first_id", "last_id", "previous_id", "said"),
    [
        ("u < lastUpdateId is dropped", SEEDED, 100, 90, 99, 89, STALE),
        ("the first event straddles lastUpdateId", SEEDED, 100, 95, 110, 80, NEXT),
        ("the first event begins at lastUpdateId", SEEDED, 100, 100, 110, 80, NEXT),
        ("U > lastUpdateId, but it follows the event that ends there", SEEDED, 100, 107, 110, 100, NEXT),
        ("the snapshot is older than the first event", SEEDED, 100, 107, 110, 103, GAP),
        ("pu is the last u, U is not u + 1", LIVE, 110, 150, 170, 110, NEXT),
        ("pu is not the last u", LIVE, 110, 150, 170, 140, GAP),
        ("pu is not the last u, though U is u + 1", LIVE, 110, 111, 170, 109, GAP),
        ("the same event again", LIVE, 170, 150, 170, 110, STALE),
    ],
)
def test_futures(
    why: str, seeded: bool, book_id: int, first_id: int, last_id: int, previous_id: int, said: int
) -> None:
    assert verdict(FUTURES, seeded, book_id, first_id, last_id, previous_id) == said, why


@pytest.mark.parametrize(
    ("why", "seeded", "book_id", "first_id", "last_id", "said"),
    [
        ("U is the last u", LIVE, 105, 105, 110, NEXT),
        ("U is the snapshot's id", SEEDED, 105, 105, 106, NEXT),
        ("it overlaps", LIVE, 105, 104, 110, NEXT),
        ("U is u + 1: a message of one update is missing", LIVE, 105, 106, 107, GAP),
        ("messages are missing", SEEDED, 105, 120, 130, GAP),
        ("the same message again", LIVE, 105, 100, 105, STALE),
        ("a message of before the snapshot", SEEDED, 105, 90, 100, STALE),
    ],
)
def test_overlap(why: str, seeded: bool, book_id: int, first_id: int, last_id: int, said: int) -> None:
    assert verdict(OVERLAP, seeded, book_id, first_id, last_id, -1) == said, why


@given(st.sampled_from([SPOT, FUTURES, OVERLAP]), st.booleans(), ids, ids, ids, ids)
def test_what_is_applied_moves_the_book_forward(
    rule: int, seeded: bool, book_id: int, first_id: int, last_id: int, previous_id: int
) -> None:
    said = Verdict(verdict(rule, seeded, book_id, first_id, last_id, previous_id))
    assert (said is Verdict.STALE) == (last_id <= book_id)
    if said is Verdict.NEXT:
        assert last_id > book_id


@given(ids, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20), st.data())
def test_one_lost_message_is_always_noticed(
    start: int, steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Of messages that follow one another one is lost: the next is a gap."""
    messages, at = [], start
    for skipped, length in steps:
        first_id = at + 1 + skipped
        messages.append((first_id, first_id + length, at))
        at = first_id + length
    lost = data.draw(st.integers(0, len(messages) - 2))
    book_id = start
    for index, (first_id, last_id, previous_id) in enumerate(messages):
        if index == lost:
            continue
        said = verdict(FUTURES, LIVE, book_id, first_id, last_id, previous_id)
        assert said == (GAP if index == lost + 1 else NEXT)
        assert verdict(OVERLAP, LIVE, book_id, previous_id, last_id, -1) == said
        if said == GAP:
            assert verdict(SPOT, LIVE, book_id, first_id, last_id, -1) == GAP
            break
        book_id = last_id
