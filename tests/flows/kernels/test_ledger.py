"""What became of size at prices that trade: by hand, and against any run of trades and books."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.kernels import ledger

KEY = 2 * 1000  # a bid
Entry = dict[str, int]
FIELDS = (
    "KEY", "SHOWN", "START", "ADDED", "CANCELLED", "TRADED", "HEARD", "NEW_REFILLS", "REFILLS", "REFILLED", "EXECUTED",
    "BEFORE", "EATEN",
)  # fmt: skip


class Followed:
    """One price, shown 100 at first, the best one of its side unless said otherwise."""

    def __init__(self, shown: int = 100) -> None:
        self.ledger = np.zeros(ledger.HEAD + 4 * ledger.ENTRY, np.int64)
        self.shown = shown

    def trade(self, ms: int, lots: int, best: bool = True) -> None:
        ledger.trade(self.ledger, KEY, lots, self.shown, best, ms)

    def book(self, ms: int, shown: int, best: bool = True) -> None:
        self.shown = shown
        if self.ledger[ledger.COUNT]:
            ledger.observe(self.ledger, ledger.HEAD, shown, best, ms)

    def close(self, end_ms: int, best: bool = True) -> Entry | None:
        out = np.empty((4, ledger.ENTRY), np.int64)
        told = ledger.close(self.ledger, KEY // 2 if best else 0, 1 << 62, end_ms, out)
        return {name: int(out[0, getattr(ledger, name)]) for name in FIELDS} if told else None


def parts(entry: Entry | None) -> tuple[int, int, int, int]:
    assert entry is not None
    assert entry["SHOWN"] == entry["START"] + entry["ADDED"] - entry["CANCELLED"] - entry["TRADED"]
    return entry["ADDED"], entry["CANCELLED"], entry["TRADED"], entry["NEW_REFILLS"]


def test_a_decrease_after_a_trade_has_traded() -> None:
    found = Followed()
    found.trade(100, 30)
    found.book(150, 70)
    assert parts(found.close(1000)) == (0, 0, 30, 0)


def test_the_rest_of_a_decrease_is_cancelled() -> None:
    found = Followed()
    found.trade(100, 30)
    found.book(150, 20)
    assert parts(found.close(1000)) == (0, 50, 30, 0)


def test_a_trade_that_no_decrease_explains_met_size_that_came_again() -> None:
    found = Followed()
    found.trade(100, 30)
    found.book(150, 90)
    found.book(349, 90)
    assert found.ledger[ledger.HEAD + ledger.TRADED] == 10
    found.book(600, 90)
    assert parts(found.close(1000)) == (20, 0, 30, 1)


def test_a_trade_told_after_the_book_claims_what_was_cancelled() -> None:
    found = Followed()
    found.trade(50, 10)
    found.book(100, 60)
    found.trade(120, 30)
    assert parts(found.close(1000)) == (0, 0, 40, 0)


def test_a_second_begins_where_the_last_ended() -> None:
    found = Followed()
    found.trade(900, 30)
    assert parts(found.close(1000)) == (0, 0, 0, 0)
    found.book(1050, 70)
    entry = found.close(2000)
    assert parts(entry) == (0, 0, 30, 0)
    assert entry is not None
    assert (entry["START"], entry["HEARD"]) == (100, 0)
    assert found.close(3000) is None
    assert found.ledger[ledger.COUNT] == 0


def test_size_that_comes_after_fills_is_counted_as_refills_up_to_what_traded() -> None:
    found = Followed(10)
    for i in range(4):
        found.trade(100 + 100 * i, 8)
        found.book(120 + 100 * i, 2)
        found.book(140 + 100 * i, 15 if i == 3 else 10)
    entry = found.close(1000)
    assert entry is not None
    assert parts(entry) == (37, 0, 32, 4)
    assert (entry["REFILLS"], entry["REFILLED"], entry["EXECUTED"], entry["BEFORE"]) == (4, 32, 32, 10)


def test_a_price_that_is_not_the_best_one_is_not_refilled() -> None:
    found = Followed(10)
    found.trade(100, 8)
    found.book(120, 2)
    found.book(140, 10, best=False)
    found.book(160, 11)
    entry = found.close(1000)
    assert entry is not None
    assert (entry["NEW_REFILLS"], entry["REFILLS"], entry["EXECUTED"]) == (0, 0, 0)


def test_size_that_comes_late_is_no_refill() -> None:
    found = Followed(10)
    found.trade(100, 8)
    found.book(120, 2)
    found.book(601, 10)
    assert parts(found.close(1000)) == (8, 0, 8, 0)


def test_finer_units() -> None:
    found = Followed()
    found.trade(100, 30)
    found.book(150, 80)
    ledger.rescale(found.ledger, 10, 100)
    found.ledger[ledger.HEAD + ledger.KEY] //= 10
    found.book(700, 8000)
    assert parts(found.close(1000)) == (1000, 0, 3000, 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["trade", "book", "close"]), st.integers(0, 40), st.integers(0, 400), st.booleans()
    ),
    max_size=60,
)


@given(STEPS)
def test_what_is_shown_is_accounted_for_to_the_lot(steps: list[tuple[str, int, int, bool]]) -> None:
    found, ms, heard, traded, second = Followed(20), 0, 0, 0, 0
    for what, lots, later, best in steps:
        ms += later
        if what == "trade" and lots:
            found.trade(ms, lots, best)
            heard += lots
        elif what == "book":
            found.book(ms, lots, best)
        else:
            second = max(second, ms // 1000) + 1
            ms = max(ms, second * 1000)
            traded += account(found, found.close(second * 1000, best))
    for end in (ms + 1000, ms + 2000, ms + 3000):
        traded += account(found, found.close(end))
    assert traded == heard
    assert found.ledger[ledger.COUNT] == 0


def account(found: Followed, entry: Any) -> int:
    """The identity of a second; returns what traded."""
    if entry is None:
        return 0
    added, cancelled, traded, refills = parts(entry)
    assert entry["SHOWN"] == found.shown
    assert min(added, cancelled, traded, refills, entry["EATEN"]) >= 0
    return traded
