"""What correlation looks back on, fetched when a connector starts: of each instrument, from one market that tells it.

An instrument that several followed markets trade is fetched once, from the first of `PREFERRED` that has history. What
was fetched before is not asked for again, so a restart costs what has passed since.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from connectors import backfill
from connectors.access import Access
from connectors.backfill import NO_TURNS, Turns
from connectors.budget import BudgetError
from connectors.feed import Feed, History
from connectors.fetched import FetchedError, Span
from connectors.log import Log, LogError
from connectors.lookbacks import LOOKBACKS
from connectors.reconnect import Random
from connectors.venue import Market

# Whole and long histories first, then those of the last bars alone, then those that cost units of a key.
PREFERRED = (
    "binance_spot", "binance_futures", "bybit_spot", "bybit_linear", "kraken", "gemini", "massive_crypto",
    "massive_forex", "finnhub", "twelve_data",
)  # fmt: skip
NS_A_S = 1_000_000_000
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

    @property
    def done(self) -> int:
        """Instruments of which nothing is left to fetch."""
        return sum(not count for count in self.left.values())


def windows(
    followed: Iterable[tuple[Market, Sequence[str]]], feeds: Iterable[Feed], now_ns: int
) -> list[Window]:
    """What to fetch from these feeds for the symbols followed: the shortest bars, which reach back least, first."""
    told = {feed.venue or feed.name: feed for feed in feeds if feed.history is not None}
    found: dict[tuple[str, int], Window] = {}
    taken: set[str] = set()
    for market, symbols in sorted(followed, key=lambda x: _rank(x[0].name)):
        feed = told.get(market.name)
        for symbol in symbols if feed is not None else ():
            instrument = market.canonical(symbol)
            # Where the feed writes symbols in another way, it would be asked for something else.
            if feed is None or instrument in taken or feed.canonical(symbol) != instrument:
                continue
            taken.add(instrument)
            found |= _of(feed, symbol, instrument, now_ns)
    return sorted(found.values(), key=lambda x: x.interval_s)


def _rank(market: str) -> tuple[int, str]:
    return (PREFERRED.index(market) if market in PREFERRED else len(PREFERRED)), market


def _of(feed: Feed, symbol: str, instrument: str, now_ns: int) -> dict[tuple[str, int], Window]:
    """One a length of bars: the longest look-back on it, and a bar more, which the first change begins from."""
    found: dict[tuple[str, int], Window] = {}
    for look in LOOKBACKS:
        interval_s = _offered(feed.history, look.interval_s)
        if interval_s is None:
            continue
        begin_ns = now_ns - (look.span_s + look.interval_s) * NS_A_S
        known = found.get((instrument, interval_s))
        from_ns = min(begin_ns, known.span.from_ns) if known else begin_ns
        span = Span(from_ns, now_ns)
        found[instrument, interval_s] = Window(feed.name, symbol, instrument, interval_s, span)
    return found


def _offered(history: History | None, interval_s: int) -> int | None:
    """The longest bars of the history that make up such bars; None: there are none."""
    offered = history.intervals_s if history else ()
    return max((x for x in offered if x <= interval_s and interval_s % x == 0), default=None)


async def fetch_windows(
    followed: Sequence[tuple[Market, Sequence[str]]],
    accesses: Sequence[Access],
    log: Log,
    data_dir: Path,
    random: Random,
    turns: Turns = NO_TURNS,
    now_ns: Callable[[], int] = time.time_ns,
) -> Fetching:
    """Fetch them, the feeds side by side, within half of each one's budget; the process's log tells of progress.

    What is refused is said and left out: live data does not depend on it. `turns` are those of the accounts that
    pollers use too.
    """
    wanted = windows(followed, [x.feed for x in accesses], now_ns())
    fetching = Fetching({})
    for window in wanted:
        fetching.left[window.instrument] = fetching.left.get(window.instrument, 0) + 1
    telling = asyncio.create_task(_tell(fetching))
    try:
        async with asyncio.TaskGroup() as tasks:
            for access in accesses:
                if mine := [x for x in wanted if x.feed == access.feed.name]:
                    tasks.create_task(_fetch(mine, access, log, data_dir, random, turns, fetching))
    finally:
        telling.cancel()
    _say(fetching)
    return fetching


async def _fetch(
    wanted: Sequence[Window],
    access: Access,
    log: Log,
    data_dir: Path,
    random: Random,
    turns: Turns,
    fetching: Fetching,
) -> None:
    try:
        async with backfill.opened(access, log, data_dir, random, turns=turns) as source:
            for window in wanted:
                result = await source.bars(window.symbol, window.interval_s, window.span)
                fetching.bars += result.rows
                fetching.requests += result.requests
                fetching.left[window.instrument] -= not result.error
                if result.error:
                    fetching.errors[window.instrument] = result.error
                    _log.warning("history not fetched", feed=access.feed.name, error=result.error)
                if result.stopped:
                    return
    except (BudgetError, FetchedError, LogError) as error:
        _log.warning("history not fetched", feed=access.feed.name, error=str(error))
        fetching.errors |= dict.fromkeys((x.instrument for x in wanted), str(error))


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
