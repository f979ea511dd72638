"""One symbol of a market as its connector follows it, and in what state that is."""

from collections.abc import Callable

from connectors.book_sync import Rule
from connectors.lane import Channel, Lane
from connectors.live_book import LiveBook, Outcome
from connectors.telemetry import Feed, State
from connectors.venue import Head, Instrument, Reply, Stream

# Where nothing else tells, what could not be read is missing from the book.
_UNTOLD = (Rule.CHECKSUM, Rule.NONE)
FIRST_UPDATE_WAIT_S = 3.0  # a book without any update by then is begun from a snapshot alone


class Followed:
    """One symbol; `lane` carries its book, or is the first of its lanes where it has none."""

    __slots__ = ("book", "channels", "depth_told", "feed", "has_book", "instrument", "key", "lane", "lanes",
                 "next_book_s", "next_widen_s", "problem", "refusals", "seeded", "since_s", "symbol",
                 "to_widen")  # fmt: skip

    def __init__(self, symbol: str, lane: Lane, book: LiveBook, feed: Feed, now_s: float) -> None:
        self.symbol, self.key = symbol, symbol.encode()
        self.lane = lane
        self.lanes: list[Lane] = []
        self.channels: list[Channel] = []
        self.has_book = False
        self.book = book  # never live where it has none
        self.feed = feed
        self.instrument: Instrument | None = None
        self.next_book_s = self.next_widen_s = now_s
        self.since_s = now_s  # waiting for updates
        self.seeded = 0  # times
        self.to_widen = False  # a first snapshot is shallow: a fuller one is wanted
        self.depth_told = False  # the venue has said how many levels its book is limited to
        self.problem = ""
        self.refusals: dict[Lane, tuple[bytes, str]] = {}  # the connection that told it, and why

    @property
    def refusal(self) -> str:
        """Why the venue does not send it over the connections there are; "" if it does."""
        told = [reason for lane, (origin, reason) in self.refusals.items() if origin == lane.publisher]
        return "; ".join(dict.fromkeys(told))

    def awaits_rest(self, now_s: float) -> bool:
        """Whether its book waits for a snapshot by REST."""
        if not self.has_book or self.lane.publisher is None or self.book.live:
            return False
        return self.book.waits or now_s - self.since_s >= FIRST_UPDATE_WAIT_S

    def awaits_stream(self) -> tuple[bytes, Stream] | None:
        """The stream in which its book waits for a snapshot, and the connection over which to ask for it."""
        if not self.has_book or self.book.live or self.refusal:
            return None
        stream = next(channel.stream for channel in self.channels if channel.stream.book)
        origin = self.lane.speaker(stream.name)
        return None if origin is None else (origin, stream)

    def answered(self, lane: Lane, origin: bytes, reply: Reply) -> None:
        """Take note of what the venue says over a connection of the lane."""
        if self.symbol in reply.refused:
            self.refusals[lane] = origin, reply.error or "refused by the venue"
        elif reply.refused or not reply.error:
            return
        else:
            self.problem = reply.error
        self.feed.complaints += 1

    def limited(self, depth: int | None, *, by_answer: bool) -> None:
        """The venue sends so many levels a side: an answer that says so stands above what a snapshot shows.

        0 is the answer that it sends the book no longer: void, and readers of the log see it.
        """
        if depth == 0:
            self.book.clear()
            self.lane.forget(self.symbol)
        elif depth is not None and (by_answer or not self.depth_told):
            self.book.depth, self.depth_told = depth, by_answer

    def begun(self) -> None:
        """Its book was begun from a snapshot."""
        self.feed.resyncs += self.seeded > 0
        self.seeded += 1
        self.problem = ""

    def update(self, head: Head, rule: Rule) -> str:
        """Take a message of its book. "" or why the book is void now, if readers of the log cannot see it."""
        was_live = self.book.live
        outcome = self.book.on_update(head)
        if self.book.live and not was_live:
            self.begun()
        self.feed.gaps += outcome in (Outcome.GAP, Outcome.MISMATCH, Outcome.CROSSED)
        if outcome == Outcome.CROSSED:
            return "crossed book"
        if outcome == Outcome.UNREADABLE:
            self.feed.unreadable += 1
            return "malformed levels" if rule in _UNTOLD else ""
        return ""

    def loses(self, key: bytes, market: bytes, rule: Rule) -> bool:
        """Whether an unreadable frame with this record key may have held a message that its book now lacks."""
        return self.book.live and rule in _UNTOLD and key in (self.key, market)

    def state(
        self, is_silent: Callable[[Channel], bool], reason: Callable[[Channel], str]
    ) -> tuple[State, str]:
        """What it is doing, and why it is not live."""
        if any(lane.publisher is None for lane in self.lanes):
            return (State.DOWN, self.problem) if self.problem else (State.CONNECTING, "")
        refusal = self.refusal
        if refusal and not self.book.live:
            return State.DOWN, refusal
        quiet = [reason(channel) for channel in self.channels if is_silent(channel)]
        if quiet:
            return State.STALE, "; ".join(quiet)
        lives = self.book.live if self.has_book else self.feed.messages > 0
        return (State.LIVE, refusal) if lives else (State.SYNCING, self.problem)
