"""Past bars and trades of an API: page after page into its raw topic.

A span is cut into pieces. Each is asked for from its first page to its last; its answers are made durable in the log,
then it is remembered as fetched (`connectors.fetched`): a run that was cut short goes on where it stopped.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import aiohttp

from connectors import budget, fetched
from connectors.access import Access
from connectors.api import Api, ApiError, Received
from connectors.budget import Budget
from connectors.feed import Feed, History, Outcome, Row, date_s
from connectors.fetched import Fetched, Series, Span
from connectors.log import Log, Retention
from connectors.reconnect import Random
from connectors.record import LineError, encode_line
from connectors.venue import Bar, ParseError, Request, Trade

SHARE = 0.5  # of the budget: the rest is for what is polled
BARS_A_PIECE = 5000
TRADES_PIECE_S = 6 * 3600  # where the API names no longest span
PAGES_MAX = 10_000  # of a piece
HOLES_TOLD_MAX = 20
NS_A_S = 1_000_000_000
LATE_NS = 2 * NS_A_S  # the venue's clock may be behind: a bar that has just ended may be open there
# Some tell late: Massive's free plan has the last day only when it is over, in New York.
NOT_YET_NS = 2 * 86_400 * NS_A_S


class BackfillError(RuntimeError):
    """The pages of an API lead nowhere, or one cannot be read; the message says which."""


Turns = Mapping[str, asyncio.Lock]
NO_TURNS: Turns = MappingProxyType({})


class Client(Protocol):
    """What asks: `connectors.api.Api`."""

    async def get(self, request: Request, share: float = 1.0) -> Received:
        """A good answer. Raises ApiError."""


class Publisher(Protocol):
    """Where answers go: `Publication`."""

    async def publish(self, key: str, request: Request, received: Received) -> None:
        """Append one; durable on return."""


class Progress(NamedTuple):
    """How far one series is."""

    series: Series
    rows: int  # bars or trades so far
    requests: int
    reached_ns: int
    span: Span


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one series. `rows` are bars, or trades, of the span that were not fetched before."""

    series: Series
    span: Span
    requests: int = 0
    rows: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    holes: list[Span] = field(default_factory=list)  # the first ones, of bars that are missing
    missing: int = 0  # bars in all holes
    error: str = ""  # why it ended before its end
    stopped: bool = False  # by a refusal that holds for all others too


class Publication:
    """Answers on their way to one topic of the log; durable when `publish` returns. Has a thread of its own."""

    def __init__(self, log: Log, topic: str, retention: Retention = Retention()) -> None:
        """Raises LogError if the topic cannot be made."""
        log.create(topic, 1, retention)
        self._topic, self._thread = topic, ThreadPoolExecutor(1, thread_name_prefix="backfill")
        self._writer = log.writer()

    async def publish(self, key: str, request: Request, received: Received) -> None:
        """Append one answer.

        Raises:
            LogError: the log refused it.
            LineError: no line can hold it.
        """
        line = encode_line(received.recv_ns, request.origin, received.answer.body)
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._append, key.encode(), line, received.recv_ns
        )

    def _append(self, key: bytes, line: bytes, recv_ns: int) -> None:
        self._writer.append(self._topic, key, line, recv_ns)
        self._writer.flush()

    def close(self) -> None:
        """Release. Raises LogError."""
        self._thread.shutdown()
        self._writer.close()


def unheard(progress: "Progress") -> None:
    """The `tell` of a backfill that nobody waits for."""
    del progress


class Backfill:
    """The history of one feed. `tell` hears of progress after each page."""

    def __init__(
        self,
        feed: Feed,
        client: Client,
        publisher: Publisher,
        known: Fetched,
        now_ns: Callable[[], int],
        share: float = SHARE,
        tell: Callable[[Progress], None] = unheard,
    ) -> None:
        if feed.history is None:
            raise ValueError(f"expected a feed with history, found {feed.name}")
        self.feed, self._history = feed, feed.history
        self._client, self._publisher, self._fetched = client, publisher, known
        self._now_ns, self._share, self._tell = now_ns, share, tell

    async def bars(self, symbol: str, interval_s: int, span: Span, again: bool = False) -> Result:
        """Fetch the closed bars that open within the span; `again` also those that were fetched before.

        Raises:
            LogError: the log refused an answer.
            ValueError: the feed does not tell bars of this interval.
        """
        if interval_s not in self._history.intervals_s:
            raise ValueError(
                f"expected an interval among {self._history.intervals_s} s, found {interval_s} s"
            )
        step_ns = interval_s * NS_A_S
        over_ns = (self._now_ns() - LATE_NS) // step_ns * step_ns
        to_ns = min(-(-span.to_ns // step_ns) * step_ns, over_ns)
        span = Span(-(-span.from_ns // step_ns) * step_ns, to_ns)
        return await self._fetch(Series(self.feed.name, symbol, interval_s), span, again)

    async def trades(self, symbol: str, span: Span, again: bool = False) -> Result:
        """Fetch the trades of the span, as `bars`. Raises ValueError if the feed tells none."""
        if self._history.trades is None:
            raise ValueError(f"{self.feed.name} tells no past trades")
        span = Span(span.from_ns, min(span.to_ns, self._now_ns()))
        return await self._fetch(Series(self.feed.name, symbol, 0), span, again)

    async def _fetch(self, series: Series, span: Span, again: bool) -> Result:
        result = Result(series=series, span=span)
        if span.from_ns >= span.to_ns:
            return result
        missing = [span] if again else self._fetched.missing(series, span)
        try:
            for piece in (piece for each in missing for piece in _pieces(self._history, series, each)):
                await self._piece(series, piece, result)
        except ApiError as error:
            result.error, result.stopped = str(error), error.verdict.outcome == Outcome.STOPPED
        except (BackfillError, LineError) as error:
            result.error = str(error)
        return result

    async def _piece(self, series: Series, piece: Span, result: Result) -> None:
        seen: set[int] = set()  # opens of bars, ids of trades
        oldest_ns, told_ns = piece.to_ns, []
        async for rows in self._pages(series, piece, result):
            times = _times(series, piece, rows)
            if rows and not times.keys() - seen and _within(rows, piece):
                raise BackfillError(
                    f"expected a page with something new after {len(seen)} rows of {series.symbol} at "
                    f"{self.feed.name}, found one that repeats: ask again later"
                )
            told_ns += [max(map(_time_ns, rows))] if rows else []
            fresh = times.keys() - seen
            seen |= fresh
            result.rows += len(fresh)
            if times:
                _note(result, min(times.values()), max(times.values()))
                oldest_ns = min(oldest_ns, *times.values())
            self._tell(
                Progress(series, result.rows, result.requests, result.last_ns or piece.from_ns, result.span)
            )
        # A trade of the last moment may have come too late for the answer.
        to_ns = min(piece.to_ns, self._now_ns() - LATE_NS)
        if series.interval_s:
            to_ns = _known_until(piece, seen, series.interval_s * NS_A_S, self._now_ns())
        last_only = self._history.last_bars_only if series.interval_s else self._history.last_trades_only
        if series.interval_s:
            _note_holes(result, series.interval_s * NS_A_S, piece, seen)
        if told_ns and max(told_ns) < piece.from_ns:
            return  # it has told of something else: an old answer, kept somewhere
        # What such an API has left out is asked for again: it is not known whether there is any.
        self._fetched.add(series, Span(oldest_ns if last_only else piece.from_ns, to_ns))

    async def _pages(self, series: Series, piece: Span, result: Result) -> AsyncIterator[list[Row]]:
        """The rows of each page, once it is durable in the log.

        Raises:
            ApiError: a request was not answered.
            BackfillError: a page cannot be read, or leads to one that was asked for.
        """
        request: Request | None = self._first(series, piece)
        asked: set[str] = set()
        while request is not None:
            if request.path in asked or len(asked) == PAGES_MAX:
                raise BackfillError(
                    f"expected page {len(asked) + 1} of {self.feed.name} to be another, found GET {request.path} "
                    "for the second time: ask again later"
                )
            asked.add(request.path)
            received = await self._client.get(request, share=self._share)
            result.requests += 1
            if series.interval_s:
                self._check_clock(request, received, piece)
            await self._publisher.publish(series.symbol, request, received)
            try:
                rows = self.feed.parse(request.path, received.answer.body, received.recv_ns)
                following = self.feed.after(request, received.answer.body)
            except ParseError as error:
                raise BackfillError(f"GET {request.path}: {error}") from None
            yield rows
            # Wherever an API begins and whichever way it goes: a page wholly beyond the piece is the last.
            request = following if _first_ns(rows) < piece.to_ns else None

    def _check_clock(self, request: Request, received: Received, piece: Span) -> None:
        """Refuse bars that were still open where they were told: this machine's clock would call them closed."""
        told_s = date_s(received.answer.headers)
        if told_s is not None and (told_s + 1) * NS_A_S < piece.to_ns:
            raise BackfillError(
                f"GET {request.path}: expected an answer of after the last bar asked for, found one of "
                f"{received.answer.headers['date']}: the clock of this machine is ahead, set it (NTP), or a "
                "cache answers: ask again"
            )

    def _first(self, series: Series, piece: Span) -> Request:
        if series.interval_s:
            return self._history.bars(series.symbol, series.interval_s, *piece)
        assert self._history.trades is not None
        return self._history.trades(series.symbol, *piece)


def _pieces(history: History, series: Series, span: Span) -> Iterator[Span]:
    """The span in parts, oldest first; whole where an answer tells the last there are, whatever is asked for."""
    if history.last_bars_only if series.interval_s else history.last_trades_only:
        yield span
        return
    most_s = BARS_A_PIECE * series.interval_s or history.trades_span_s or TRADES_PIECE_S
    for at_ns in range(span.from_ns, span.to_ns, most_s * NS_A_S):
        yield Span(at_ns, min(at_ns + most_s * NS_A_S, span.to_ns))


def _times(series: Series, piece: Span, rows: list[Row]) -> dict[int, int]:
    """Time of each bar that opens, or trade that happened, within the piece, by what tells it from others."""
    found = {}
    for row in rows:
        if isinstance(row, Bar) and row.interval_s == series.interval_s and row.closed:
            found[row.open_ns] = row.open_ns
        elif isinstance(row, Trade) and not series.interval_s:
            found[row.trade_id] = row.event_ns
    return {key: ns for key, ns in found.items() if piece.from_ns <= ns < piece.to_ns}


def _within(rows: list[Row], piece: Span) -> bool:
    """Whether a page is about the piece at all."""
    return any(piece.from_ns <= _time_ns(row) < piece.to_ns for row in rows)


def _first_ns(rows: list[Row]) -> int:
    return min(map(_time_ns, rows), default=0)


def _time_ns(row: Row) -> int:
    return row.open_ns if isinstance(row, Bar) else row.event_ns if isinstance(row, Trade) else 0


def _known_until(piece: Span, seen: set[int], step_ns: int, now_ns: int) -> int:
    """Until when a piece is known: what is missing at its end may be published yet, and is asked for again."""
    last_ns = max(seen, default=piece.from_ns - step_ns) + step_ns
    return max(last_ns, min(piece.to_ns, (now_ns - NOT_YET_NS) // step_ns * step_ns))


def _note(result: Result, first_ns: int, last_ns: int) -> None:
    result.first_ns = min(first_ns, first_ns if result.first_ns is None else result.first_ns)
    result.last_ns = max(last_ns, last_ns if result.last_ns is None else result.last_ns)


def _note_holes(result: Result, step_ns: int, piece: Span, seen: set[int]) -> None:
    """Count the bars that are missing in a piece; runs of them that touch become one."""
    for open_ns in range(piece.from_ns, piece.to_ns, step_ns):
        if open_ns in seen:
            continue
        result.missing += 1
        if result.holes and result.holes[-1].to_ns == open_ns:
            result.holes[-1] = result.holes[-1]._replace(to_ns=open_ns + step_ns)
        elif len(result.holes) < HOLES_TOLD_MAX:
            result.holes.append(Span(open_ns, open_ns + step_ns))


@asynccontextmanager
async def opened(
    access: Access,
    log: Log,
    data_dir: Path,
    random: Random,
    tell: Callable[[Progress], None] = unheard,
    turns: Turns = NO_TURNS,
    share: float = SHARE,
) -> AsyncIterator[Backfill]:
    """The backfill of one feed, with budgets and memory in the data directory. `turns`: of its account, where shared.

    Raises:
        BudgetError, FetchedError: a file of the data directory cannot be used.
        LogError: the feed's topic cannot be made, or the log refused something.
    """
    spent = Budget(data_dir / budget.FILE, access.account, access.plan)
    try:
        with (
            closing(Fetched(data_dir / fetched.FILE)) as known,
            closing(Publication(log, access.feed.topic)) as publication,
        ):
            async with aiohttp.ClientSession() as http:
                api = Api(access, http, spent, random, turns.get(access.account))
                yield Backfill(access.feed, api, publication, known, time.time_ns, share, tell)
    finally:
        spent.disconnect()
