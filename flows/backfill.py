"""`isotherm backfill`: past bars and trades of some symbols into the log, and what is said of it at the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors import backfill
from connectors.access import Access
from connectors.backfill import Progress, Result
from connectors.fetched import Span
from connectors.log import Log
from connectors.reconnect import Random

SAY_EVERY_S = 1.0
NS_A_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be fetched: bars of `interval_s`, unless that is 0, and trades."""

    access: Access
    interval_s: int
    trades: bool
    span: Span
    again: bool


async def fetch(
    job: Job, log: Log, data_dir: Path, random: Random, say: Callable[[str], None]
) -> list[Result]:
    """Fetch it, one series after the other; a refusal of one leaves the others.

    Raises:
        BudgetError, FetchedError, LogError: as `connectors.backfill.opened`.
        ValueError: the feed tells no such bars, or no trades.
    """
    results: list[Result] = []
    async with backfill.opened(job.access, log, data_dir, random, Teller(say).tell) as source:
        for symbol in job.access.chosen.symbols:
            if job.interval_s:
                results.append(await source.bars(symbol, job.interval_s, job.span, job.again))
            if job.trades and not (results and results[-1].stopped):
                results.append(await source.trades(symbol, job.span, job.again))
            if results and results[-1].stopped:
                break
    return results


class Teller:
    """Says how far a series is: a line a second at most."""

    def __init__(self, say: Callable[[str], None], now_s: Callable[[], float] = time.monotonic) -> None:
        self._say, self._now_s = say, now_s
        self._said_s = float("-inf")

    def tell(self, progress: Progress) -> None:
        """Hear of a page."""
        if self._now_s() - self._said_s < SAY_EVERY_S:
            return
        self._said_s = self._now_s()
        span, what = progress.span, "bars" if progress.series.interval_s else "trades"
        part = (progress.reached_ns - span.from_ns) / (span.to_ns - span.from_ns)
        self._say(
            f"{progress.series.symbol}: {progress.rows} {what} in {progress.requests} requests, "
            f"{text_of(progress.reached_ns)} reached ({part:.0%} of the span)"
        )


def summary(job: Job, results: list[Result]) -> dict[str, Any]:
    """What came of it, as a JSON object; `holes` are spans without bars, at most some of each symbol."""
    bars = [x for x in results if x.series.interval_s]
    told: dict[str, Any] = {
        "source": job.access.feed.name,
        "from": text_of(job.span.from_ns),
        "to": text_of(job.span.to_ns),
        "requests": sum(x.requests for x in results),
        "bars": sum(x.rows for x in bars),
        "missing": sum(x.missing for x in bars),
        "holes": {
            x.series.symbol: [[text_of(ns) for ns in hole] for hole in x.holes] for x in bars if x.holes
        },
        "errors": {x.series.symbol: x.error for x in results if x.error},
    }
    if job.trades:
        told["trades"] = sum(x.rows for x in results if not x.series.interval_s)
    return told


def text_of(ns: int) -> str:
    """RFC 3339, to the second."""
    return datetime.fromtimestamp(ns // NS_A_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
