"""What traded on the instrument of one page, read anew each second; recent answers are shared with other pages."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dashboards.board import level_queries, tape_queries
from dashboards.board.footprint import Bar
from dashboards.board.profile import Profile
from dashboards.board.profile_panel import FOUR_HOURS_S, SPANS
from dashboards.board.queries import Book
from dashboards.board.reader import Reader
from dashboards.board.tape import Flow, Sums, joined, no_flow

CORRECTED_S = 60  # a trade may come so late and still correct its bar
EVER_S = 2**32 - 1
SLOW_S = 5.0
MINUTELY_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows: [from_s, until_s), the kind of profile, and the footprints, if any."""

    from_s: int
    until_s: int
    kind: int
    footprint_s: int | None
    bins_a_row: int
    bin_step: float


class Tape:
    """The answers. `load` begins a span of time, `ask` brings it up to date; both raise StoreError."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()  # a viewer's hand may begin another span while a second is read
        self.flow: Flow = no_flow()
        self.before, self.session, self.profiled = Sums(), Sums(), Sums()
        self.opens: list[int] = []
        self.profile: Profile | None = None
        self.node = tape_queries.Node((), ())
        self.trades: list[tape_queries.Trade] = []
        self.forced: list[tape_queries.Trade] = []
        self.events: list[level_queries.Event] = []
        self.walls: list[level_queries.Wall] = []
        self.levels: list[level_queries.Level] = []
        self.facts = tape_queries.Facts(None, None, None)
        self.bars: list[Bar] = []
        self.interest: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.empty(0), np.empty(0))

    def load(self, book: Book, step_s: int, from_s: int, until_s: int) -> None:
        """Begin with the bars of `step_s` in [from_s, until_s)."""
        with self._lock:
            self._load(book, step_s, from_s, until_s)

    def ask(self, now_s: int, view: View) -> None:
        """Read what is new as of `now_s`, the newest second that the book tells of."""
        with self._lock:
            self._ask(now_s, view)

    def _load(self, book: Book, step_s: int, from_s: int, until_s: int) -> None:
        self._book, self._step_s = book, step_s
        self._from_s, self._until_s = from_s - from_s % step_s, until_s
        self.flow = self._now(tape_queries.flow, step_s, self._from_s, until_s)
        self.opens = self._now(tape_queries.session_opens, self._from_s, until_s)
        open_s = max((open_s for open_s in self.opens if open_s <= self._from_s), default=None)
        self.before = Sums() if open_s is None else self._now(tape_queries.sums, open_s, self._from_s)

    def _ask(self, now_s: int, view: View) -> None:
        newest_s = int(self.flow.time_s[-1]) if self.flow.time_s.size else self._from_s
        from_s = max(newest_s - CORRECTED_S, self._from_s)
        new = self._now(tape_queries.flow, self._step_s, from_s, self._until_s)
        self.flow = joined(self.flow, new, from_s)
        self.opens = self._slow(tape_queries.session_opens, self._from_s, self._until_s)
        self.trades = self._now(tape_queries.large_trades, self._from_s, self._until_s)
        self.forced = self._slow(tape_queries.liquidations, self._from_s, self._until_s)
        self.events = self._slow(level_queries.events, self._from_s, self._until_s)
        self.interest = self._slow(tape_queries.open_interest, self._from_s, self._until_s)
        self.walls = self._reader.ask(level_queries.walls, self._book, now_s - now_s % 2, fresh_s=2)
        ten_s = -(-now_s // 10) * 10
        self.levels = self._reader.ask(level_queries.levels, self._book, ten_s, fresh_s=MINUTELY_S)
        self.facts = self._slow(tape_queries.facts, ten_s)
        self._ask_profile(view)
        self.bars = [] if view.footprint_s is None else self._now(
            tape_queries.footprints, view.footprint_s, view.bins_a_row, view.bin_step,
            view.from_s - view.footprint_s, view.until_s,
        )  # fmt: skip

    def _ask_profile(self, view: View) -> None:
        until_s = self._slow(tape_queries.traded_until)
        if until_s is None:
            self.profile, self.profiled, self.session = None, Sums(), Sums()
            return
        # The page may look at older sessions; a new one is known from its first minute's close on.
        opens = self._slow(tape_queries.session_opens, until_s - 120, EVER_S)
        newest_open_s = opens[-1] if opens else until_s - 1 - (until_s - 1) % 86400
        self.session = self._slow(tape_queries.sums, newest_open_s, until_s)
        if not self.session.whole:  # a long bar that lacks trades tells little of when they begin
            first_s = self._slow(tape_queries.first_trade, newest_open_s)
            self.session = replace(self.session, first_s=first_s or self.session.first_s)
        from_s = (newest_open_s, until_s - FOUR_HOURS_S, view.from_s)[view.kind]
        # In steps of 10 s: what is asked for again is answered once.
        end_s = min(until_s, view.until_s - view.until_s % 10) if view.kind == 2 else until_s
        span = (from_s - from_s % 10, end_s)
        self.profile = self._slow(tape_queries.profile, *span)
        self.profiled = self._slow(tape_queries.sums, *span)
        name = SPANS[view.kind]
        self.node = self._reader.ask(tape_queries.nodes, self._book, name, until_s, fresh_s=MINUTELY_S)

    def _now(self, question: Callable[..., T], *arguments: Any) -> T:
        return self._reader.ask(question, self._book, *arguments)

    def _slow(self, question: Callable[..., T], *arguments: Any) -> T:
        return self._reader.ask(question, self._book, *arguments, fresh_s=SLOW_S)
