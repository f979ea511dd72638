"""Handing a lane's streams from one connection to the next."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.book_sync import Rule
from connectors.lane import Frame, Lane
from connectors.venue import Head, Stream

BOOK = Stream("x@depth", "X", "/stream", book=True, silence_s=30.0)
TRADES = Stream("x@trade", "X", "/stream", book=False, silence_s=30.0)
MARKS = Stream("x@mark", "X", "/stream", book=False, silence_s=30.0)


def frame(origin: bytes, stream: Stream, at: int, rule: Rule = Rule.NEXT_ID) -> Frame:
    """The frame number `at` of a stream; ids of a book go up by 3 a frame, with holes on futures."""
    if stream is BOOK:
        first, last, previous = at * 3 + 1, at * 3 + 3, at * 3
        if rule == Rule.PREVIOUS_ID:
            first, last, previous = at * 9 + 4, at * 9 + 6, at * 9 - 3
        return Frame(at, origin, b"%d" % at, Head(stream.name, at, first, last, previous))
    if stream is TRADES:
        return Frame(at, origin, b"%d" % at, Head(stream.name, at, at, at))
    return Frame(at, origin, b"%d" % at, Head(stream.name, at))


def numbers(frames: list[Frame]) -> list[int]:
    return [int(each.payload) for each in frames]


@given(
    st.data(),
    st.sampled_from([BOOK, TRADES]),
    st.sampled_from([Rule.NEXT_ID, Rule.PREVIOUS_ID]),
    st.integers(0, 20),
    st.booleans(),
)
def test_nothing_is_lost_or_told_twice(
    data: st.DataObject, stream: Stream, rule: Rule, start: int, dies: bool
) -> None:
    """Both connections deliver the same frames, the second from `start` on, in any interleaving."""
    total = 30
    lane, out = Lane("/stream", [stream], rule), []
    lane.opened(b"a")
    olds = [frame(b"a", stream, at, rule) for at in range(1, total)]
    news = [frame(b"b", stream, at, rule) for at in range(start + 1, total)]
    lead = data.draw(st.integers(max(start, 1), total - 1), "frames of the first before the second speaks")
    for _ in range(lead):
        out += lane.admit(olds.pop(0))
    lane.opened(b"b")
    while olds and news:
        side = data.draw(st.booleans())
        out += lane.admit((olds if side else news).pop(0))
    # The first one may die only when it has said what the second one does not.
    rest = [*news, *olds] if dies else [*olds, *news]
    if dies:
        out += lane.lost(b"a")
    for each in rest:
        out += lane.admit(each)
    out += lane.hand_over() if not dies else []
    assert numbers(out) == list(range(1, total))
    assert lane.publisher == b"b" and lane.successor is None


def test_a_stream_without_ids_passes_at_the_first_frame_of_the_successor() -> None:
    lane = Lane("/stream", [MARKS], Rule.NEXT_ID)
    lane.opened(b"a")
    assert numbers([*lane.admit(frame(b"a", MARKS, 1))]) == [1]
    lane.opened(b"b")
    assert numbers([*lane.admit(frame(b"a", MARKS, 2))]) == [2]
    assert numbers([*lane.admit(frame(b"b", MARKS, 2))]) == [2]
    assert lane.handed_over
    assert not [*lane.admit(frame(b"a", MARKS, 3))]


def test_a_successor_that_is_ahead_waits_for_what_it_lacks() -> None:
    lane = Lane("/stream", [BOOK], Rule.NEXT_ID)
    lane.opened(b"a")
    lane.admit(frame(b"a", BOOK, 1))
    lane.opened(b"b")
    assert not [*lane.admit(frame(b"b", BOOK, 4))]
    assert numbers([*lane.admit(frame(b"a", BOOK, 2))]) == [2]
    assert not lane.handed_over
    assert numbers([*lane.admit(frame(b"a", BOOK, 3))]) == [3, 4]
    assert lane.handed_over and not [*lane.admit(frame(b"a", BOOK, 4))]


def test_what_the_first_never_says_is_published_when_it_goes() -> None:
    lane = Lane("/stream", [BOOK], Rule.NEXT_ID)
    lane.opened(b"a")
    lane.admit(frame(b"a", BOOK, 1))
    lane.opened(b"b")
    lane.admit(frame(b"b", BOOK, 4))
    assert numbers(lane.lost(b"a")) == [4]
    assert lane.publisher == b"b"


def test_a_successor_that_dies_leaves_the_stream_to_the_first() -> None:
    lane = Lane("/stream", [MARKS], Rule.NEXT_ID)
    lane.opened(b"a")
    lane.opened(b"b")
    lane.admit(frame(b"b", MARKS, 1))
    assert not lane.lost(b"b")
    assert numbers([*lane.admit(frame(b"a", MARKS, 2))]) == [2]


def test_a_hand_over_after_either_has_ended_leaves_the_other() -> None:
    for ended, left in ((b"a", b"b"), (b"b", b"a")):
        lane = Lane("/stream", [MARKS], Rule.NEXT_ID)
        lane.opened(b"a")
        lane.opened(b"b")
        lane.lost(ended)
        assert not lane.hand_over()
        assert numbers([*lane.admit(frame(left, MARKS, 1))]) == [1]


def test_a_lane_without_connection_is_dark_and_strangers_are_not_heard() -> None:
    lane = Lane("/stream", [MARKS], Rule.NEXT_ID)
    lane.opened(b"a")
    lane.lost(b"a")
    assert lane.publisher is None
    assert not [*lane.admit(frame(b"a", MARKS, 1))]
    lane.opened(b"b")
    assert not [*lane.admit(frame(b"a", MARKS, 1))]
    assert numbers([*lane.admit(frame(b"b", MARKS, 2))]) == [2]


def test_an_event_time_far_ahead_of_receipt_does_not_move_the_clock() -> None:
    lane = Lane("/stream", [MARKS], Rule.NEXT_ID)
    lane.opened(b"a")
    lane.admit(Frame(1000, b"a", b"", Head(MARKS.name, 900)))
    lane.admit(Frame(2000, b"a", b"", Head(MARKS.name, 10**18)))
    assert lane.event_ns == 900


def test_time_is_told_by_the_connections_that_speak_for_books() -> None:
    other = Stream("y@depth", "Y", "/stream", book=True, silence_s=30.0)
    lane = Lane("/stream", [BOOK, other, TRADES], Rule.NEXT_ID)

    def tell(origin: bytes, stream: Stream, at: int) -> int:
        lane.admit(
            frame(origin, BOOK, at)._replace(head=replace(frame(origin, BOOK, at).head, stream=stream.name))
        )
        return lane.told_ns

    assert lane.told_ns == 0
    lane.opened(b"a")
    assert lane.told_ns == 0
    assert tell(b"a", BOOK, 1) == 1
    assert tell(b"a", TRADES, 2) == 2
    assert tell(b"a", other, 3) == 3
    lane.opened(b"b")
    assert tell(b"b", TRADES, 9) == 3, "it speaks for no book"
    assert tell(b"b", BOOK, 8) == 3, "it follows on what the first has still to say"
    assert tell(b"a", BOOK, 4) == 4
    assert tell(b"b", other, 4) == 4, "one book each"
    assert tell(b"a", BOOK, 7) == 9, "all that was held has left"
    assert tell(b"a", BOOK, 12) == 9
    lane.hand_over()
    assert tell(b"b", BOOK, 10) == 10
    lane.lost(b"a")
    lane.lost(b"b")
    assert lane.told_ns == 0


def in_stream(timed: bool = True) -> Lane:
    """Two connections of a lane whose book's snapshots come in its stream; the first one has told a book."""
    lane = Lane("/stream", [BOOK, TRADES], Rule.CONSECUTIVE, in_stream=True, timed=timed)
    lane.opened(b"a")
    lane.admit(Frame(1, b"a", b"whole", snapshot(7)))
    lane.opened(b"b")
    return lane


def snapshot(last_id: int, event_ns: int = 0) -> Head:
    return Head(BOOK.name, event_ns, last_id, last_id, snapshot=True)


def update(origin: bytes, last_id: int) -> Frame:
    return Frame(1, origin, b"%d" % last_id, Head(BOOK.name, 0, last_id, last_id))


@given(st.integers(1, 12))
def test_a_book_passes_at_the_snapshot_of_the_successor_whatever_its_id(last_id: int) -> None:
    lane = in_stream()
    assert not [*lane.admit(update(b"b", 8))], "of no use before the snapshot"
    assert numbers([*lane.admit(update(b"a", 8))]) == [8]
    assert len([*lane.admit(Frame(1, b"b", b"whole", snapshot(last_id)))]) == 1
    assert not [*lane.admit(update(b"a", 9))]
    assert numbers([*lane.admit(update(b"b", last_id + 1))]) == [last_id + 1]
    assert lane.interrupted(b"a") == [] and lane.interrupted(b"b") == ["X"]
    lane.hand_over()
    # A snapshot in mid-stream is no repetition either.
    assert len([*lane.admit(Frame(1, b"b", b"whole", snapshot(1)))]) == 1
    assert numbers([*lane.admit(update(b"b", 2))]) == [2]


def test_a_book_whose_successor_told_no_snapshot_is_interrupted() -> None:
    lane = in_stream()
    assert lane.interrupted(b"a") == ["X"] and lane.interrupted(b"b") == lane.interrupted(b"c") == []
    lane.lost(b"b")
    assert lane.interrupted(b"a") == [] and lane.publisher == b"a"


def test_a_stream_is_asked_for_over_the_connection_that_speaks_for_it() -> None:
    lane = in_stream()
    assert lane.speaker(BOOK.name) is None, "the successor is about to tell it"
    lane.admit(Frame(1, b"b", b"whole", snapshot(9)))
    assert lane.speaker(BOOK.name) == b"b"
    lane.hand_over()
    assert lane.speaker(BOOK.name) == b"b"
    lane.lost(b"b")
    assert lane.speaker(BOOK.name) is None


def test_the_receive_time_stands_for_that_of_books_without() -> None:
    lane = in_stream(timed=False)
    lane.admit(Frame(5, b"a", b"", Head(BOOK.name, 10**15, 8, 8)))
    assert lane.event_ns == lane.told_ns == 5
    # The machine's clock goes back: time stands.
    lane.admit(Frame(2, b"a", b"", Head(BOOK.name, 0, 9, 9)))
    assert lane.event_ns == lane.told_ns == 5
