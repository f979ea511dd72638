"""Where trades may be missing."""

from hypothesis import given
from hypothesis import strategies as st

from flows.kernels.gaps import BEGINNING_NS, GAPS_MAX, KEPT_NS, Gaps


def gaps_of(*pairs: tuple[int, int]) -> Gaps:
    found = Gaps()
    found.end(pairs[0][1])
    for begin, end in pairs[1:]:
        found.begin(begin)
        found.end(end)
    return found


def test_nothing_is_known_before_the_first_trade() -> None:
    gaps = Gaps()
    assert not gaps.whole(5, 10)
    gaps.end(7)
    assert not gaps.whole(5, 10)
    assert not gaps.whole(7, 10)  # another one of the same time may have been before it
    assert gaps.whole(8, 10)


@given(st.lists(st.integers(0, 50), min_size=3, max_size=9), st.integers(0, 60), st.integers(1, 20))
def test_whole_is_what_no_gap_touches(times: list[int], open_ns: int, length: int) -> None:
    ordered = sorted(times)
    pairs = [(BEGINNING_NS, ordered[0]), *zip(ordered[1::2], ordered[2::2], strict=False)]
    gaps = gaps_of(*pairs)
    touched = any(begin < open_ns + length and end >= open_ns for begin, end in pairs)
    assert gaps.whole(open_ns, open_ns + length) == (not touched)
    loaded = Gaps()
    loaded.load(gaps.dump())
    assert loaded.dump() == gaps.dump()


def test_an_open_gap_spares_what_was_closed_before_it() -> None:
    gaps = gaps_of((BEGINNING_NS, 0))
    gaps.begin(100)
    gaps.begin(200)
    assert gaps.whole(50, 100)
    assert not gaps.whole(50, 101)
    assert not gaps.whole(300, 400)
    gaps.end(90)  # a print that is older: nothing is missing after it
    assert gaps.whole(101, 200)
    assert not gaps.whole(60, 101)


def test_many_gaps_are_fewer_and_old_ones_are_forgotten() -> None:
    gaps = gaps_of((BEGINNING_NS, 0), *((10 * i, 10 * i + 1) for i in range(1, 2 * GAPS_MAX)))
    assert len(gaps.dump()[0]) == GAPS_MAX
    assert not gaps.whole(14, 15)  # within what two became
    assert gaps.whole(10 * GAPS_MAX + 500 + 4, 10 * GAPS_MAX + 500 + 8)
    gaps.begin(2 * KEPT_NS)
    gaps.end(2 * KEPT_NS + 1)
    assert gaps.dump()[0] == [(2 * KEPT_NS, 2 * KEPT_NS + 1)]
