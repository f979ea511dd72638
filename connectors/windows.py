"""What correlation looks back on, fetched when a connector starts: each window of an instrument from one market.

Of several followed markets that trade an instrument, that is the first of `PREFERRED` whose history reaches back so
far. What was fetched before is not asked for again, so a restart costs what has passed since.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from connectors import backfill, telemetry
from connectors.access import Access
from connectors.backfill import NO_TURNS, Backfill, Result, Turns
from connectors.budget import BudgetError
from connectors.feed import Feed
from connectors.fetched import FetchedError, Span
from connectors.log import Log, LogError
from connectors.lookbacks import LOOKBACKS, Lookback
from connectors.reconnect import Random
from connectors.telemetry import State, Telemetry
from connectors.venue import Market

# Whole and long histories first, then those of the last bars alone, then those that cost units of a key.
PREFERRED = (
    "binance_spot", "binance_futures", "bybit_spot", "bybit_linear", "kraken", "gemini", "massive_crypto",
    "massive_forex", "finnhub", "twelve_data",
)  # fmt: skip
NS_A_S = 1_000_000_000
FEED = "history"
LANES = 4
SHARE = 0.9  # of a budget: boards wait for it, and what is polled can wait a little
SAY_EVERY_S = 5.0

_log = structlog.get_logger(__name__)


class Window(NamedTuple):
    """Bars to fetch."""

    feed: str
    symbol: str
    instrument: str
    interval_s: int
    span: Span


@dataclass(slots=True)
class Fetching:
    """How far it is: windows yet to come by instrument, and why some will not."""

    left: dict[str, int]
    bars: int = 0
    requests: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # instrument -> the last one

    def add(self, window: Window, result: Result) -> None:
        """Count what came of a window."""
        self.bars += result.rows
        self.requests += result.requests
        self.left[window.instrument] -= not result.error
        if result.error:
            self.errors[window.instrument] = result.error

    @property
    def done(self) -> int:
        """Instruments of which nothing is left to fetch."""
        return sum(not count for count in self.left.values())


def windows(
    followed: Iterable[tuple[Market, Sequence[str]]], feeds: Iterable[Feed], now_ns: int
) -> list[Window]:
    """What to fetch from these feeds for the symbols followed: the shortest bars, which reach back least, first."""
    told = {feed.venue or feed.name: feed for feed in feeds if feed.history is not None}
    sources: dict[str, list[_Source]] = {}
    for market, symbols in sorted(followed, key=lambda x: _rank(x[0].name)):
        feed = told.get(market.name)
        for symbol in symbols if feed is not None else ():
            instrument = market.canonical(symbol)
            # Where the feed writes symbols in another way, it would be asked for something else.
            if feed is not None and feed.canonical(symbol) == instrument:
                sources.setdefault(instrument, []).append(_Source(feed, symbol))
    found = [x for instrument, known in sources.items() for x in _of(instrument, known, now_ns)]
    return sorted(found, key=lambda x: x.interval_s)


class _Source(NamedTuple):
    feed: Feed
    symbol: str

    def offers(self, look: Lookback) -> int | None:
        """The longest bars of its history that make up those of the look-back; None: there are none."""
        offered = self.feed.history.intervals_s if self.feed.history else ()
        return max((x for x in offered if x <= look.interval_s and look.interval_s % x == 0), default=None)

    def reaches(self, look: Lookback) -> bool:
        """Whether its history holds the whole look-back, as far as is documented."""
        history, interval_s = self.feed.history, self.offers(look)
        if history is None or interval_s is None:
            return False
        return not history.last_bars_only or (history.bars_kept or 0) >= look.span_s // interval_s


def _rank(market: str) -> tuple[int, str]:
    return (PREFERRED.index(market) if market in PREFERRED else len(PREFERRED)), market


def _of(instrument: str, sources: Sequence[_Source], now_ns: int) -> list[Window]:
    """One a feed and length of bars: the longest look-back on it, and a bar more: the first change begins there."""
    found: dict[tuple[str, int], Window] = {}
    for look in LOOKBACKS:
        offering = [x for x in sources if x.offers(look) is not None]
        best = next((x for x in offering if x.reaches(look)), offering[0] if offering else None)
        if best is None or (interval_s := best.offers(look)) is None:
            continue
        begin_ns = now_ns - (look.span_s + look.interval_s) * NS_A_S
        known = found.get((best.feed.name, interval_s))
        from_ns = min(begin_ns, known.span.from_ns) if known else begin_ns
        window = Window(best.feed.name, best.symbol, instrument, interval_s, Span(from_ns, now_ns))
        found[best.feed.name, interval_s] = window
    return list(found.values())


async def fetch_windows(
    followed: Sequence[tuple[Market, Sequence[str]]],
    accesses: Sequence[Access],
    log: Log,
    data_dir: Path,
    random: Random,
    turns: Turns = NO_TURNS,
    now_ns: Callable[[], int] = time.time_ns,
    health: Telemetry | None = None,
) -> Fetching:
    """Fetch them, the feeds side by side, within each one's budget.

    The process's log tells of progress, and so do feeds named history in `health`. What is refused is said and left
    out: live data does not depend on it. `turns` are those of the accounts that pollers use too.
    """
    wanted = windows(followed, [x.feed for x in accesses], now_ns())
    fetching = Fetching({})
    for window in wanted:
        fetching.left[window.instrument] = fetching.left.get(window.instrument, 0) + 1
    telling, told = asyncio.create_task(_tell(fetching)), health or Telemetry()
    try:
        async with asyncio.TaskGroup() as tasks:
            for access in accesses:
                if mine := [x for x in wanted if x.feed == access.feed.name]:
                    # What asks for no key and no pause is asked by several side by side.
                    alone = not access.plan.keyless or access.plan.spacing_s > 0
                    lanes = [
                        backfill.opened(
                            access, log, data_dir, random, turns=turns if alone else NO_TURNS, share=SHARE
                        )
                        for _ in range(1 if alone else LANES)
                    ]
                    tasks.create_task(_fetch(mine, lanes, fetching, told.feed(access.feed.name, FEED)))
    finally:
        telling.cancel()
    _say(fetching)
    return fetching


Lane = AbstractAsyncContextManager[Backfill]


async def _fetch(
    wanted: Sequence[Window], lanes: Sequence[Lane], fetching: Fetching, told: telemetry.Feed
) -> None:
    """All windows of a feed."""
    waiting = deque(wanted)
    told.become(State.SYNCING, "history is fetched")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_follow(lane, waiting, fetching, told)) for lane in lanes]
    refused = next((x.result() for x in running if x.result()), "")
    told.become(State.DOWN if refused else State.LIVE, refused)


async def _follow(lane: Lane, waiting: deque[Window], fetching: Fetching, told: telemetry.Feed) -> str:
    """One window after the other; why the last one refused was."""
    refused = ""
    try:
        async with lane as source:
            while waiting:
                window = waiting.popleft()
                result = await source.bars(window.symbol, window.interval_s, window.span)
                told.messages += result.requests
                told.received_ns = time.time_ns()
                fetching.add(window, result)
                if result.error:
                    refused = result.error
                    _log.warning("history not fetched", feed=window.feed, error=refused)
                if result.stopped:
                    waiting.clear()
    except (BudgetError, FetchedError, LogError) as error:
        refused = str(error)
        _log.warning("history not fetched", error=refused)
        fetching.errors |= dict.fromkeys((x.instrument for x in waiting), refused)
    return refused


async def _tell(fetching: Fetching) -> None:
    while True:
        _say(fetching)
        await asyncio.sleep(SAY_EVERY_S)


def _say(fetching: Fetching) -> None:
    _log.info(
        f"history: {fetching.done} of {len(fetching.left)} instruments",
        windows_left=sum(fetching.left.values()), bars=fetching.bars, requests=fetching.requests,
        refused=len(fetching.errors),
    )  # fmt: skip
