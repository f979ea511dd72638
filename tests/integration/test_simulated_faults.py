"""Seeded faults of the simulated venues through session, log and depth kernel.

After each fault the kernel's book is the simulator's true book, and no second in between shows a level that was not
there: what is not known is a hole. The simulator counts weights and bans.
"""

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.endpoint import Endpoint
from connectors.file_log import FileLog
from connectors.outbox import Outbox
from connectors.session import Session, Timing
from connectors.telemetry import Telemetry
from connectors.venue import market
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel

simulator = pytest.importorskip("connectors.simulator.server", reason="the simulator is not in this checkout")
faults = pytest.importorskip("connectors.simulator.faults")

SYMBOLS = ("SOLUSDT", "XRPUSDT")
FAST = Timing(
    cut_s=0.004, tick_s=0.02, overlap_s=0.15, backoff_base_s=0.02, backoff_cap_s=0.1,
    book_every_s=0.7, silence_factor=0.03,
)  # fmt: skip
STEP_MS = 100
FAULTS_PER_SEED = 4
PATIENCE_S = 30.0
KINDS = ["gap", "duplicate", "reorder", "malformed", "truncated", "disconnect", "shutdown", "crossed", "silence",
         "outage", "stale_snapshot", "429", "418"]  # fmt: skip


class Trial:
    """One seed: a paused simulator that is moved on by hand, a session on one of its markets, a kernel."""

    def __init__(self, venue: Any, name: str, log: FileLog) -> None:
        self.venue, self.name = venue, name
        self.kernel = DepthKernel(market(name), 0)
        self.reader = log.reader(f"raw.{name}", 0)
        self.rows: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.truths: dict[str, list[tuple[int, tuple[Decimal, Decimal]]]] = {symbol: [] for symbol in SYMBOLS}
        self.excused: list[tuple[int, int]] = []  # ms in which a silence could not yet be told from quiet

    @property
    def service(self) -> Any:
        return self.venue.venues[self.name]

    async def step(self, count: int = 1) -> None:
        for _ in range(count):
            await self.venue.advance(STEP_MS)
            for symbol in SYMBOLS:
                truth = self.service.truth(symbol)
                best = Decimal(truth["bids"][-1][0]), Decimal(truth["asks"][0][0])
                self.truths[symbol].append((self.service.market.now_ms, best))
            await asyncio.sleep(0.003)
        self.read()

    def read(self) -> None:
        while records := self.reader.poll():
            self.take(self.kernel.on_records(records))

    def take(self, blocks: list[Any]) -> None:
        for block in blocks:
            if block.table in {"depth_1s", "book_events"}:
                found = self.rows if block.table == "depth_1s" else self.events
                found += [
                    dict(zip(block.columns, row, strict=True))
                    for row in zip(*block.columns.values(), strict=True)
                ]

    def agrees(self, symbol: str) -> bool:
        """Whether the kernel's book stands where the venue's does; then it must be the same."""
        book = self.kernel._books.get(symbol.encode())
        truth = self.service.truth(symbol)
        if book is None or not book.live or book.meta[b.LAST_ID] != truth["lastUpdateId"]:
            return False
        low, high = (book.price(min(int(tick), 1 << 60)) for tick in book.covered)
        true = set(_levels(truth["bids"], 0)) | set(_levels(truth["asks"], 1))
        told = {
            (int(side), book.price(int(tick)), Decimal(int(lots)).scaleb(-int(book.meta[b.SIZE_DECIMALS])))
            for tick, lots, side in zip(*book.levels(), strict=True)
        }
        assert told <= true, f"{symbol}: levels that are not there: {sorted(told - true)[:5]}"
        covered = {level for level in true if low <= level[1] <= high}
        assert covered <= told, f"{symbol}: levels missing: {sorted(covered - told)[:5]}"
        return True

    async def settle(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.step()
            while not all(self.agrees(symbol) for symbol in SYMBOLS):
                await self.step()
                await asyncio.sleep(0.01)

    def judge_rows(self) -> None:
        """Each second's row shows the touch as it was at its end, give or take the step under way."""
        self.take(self.kernel.flush())
        assert self.rows
        for row in self.rows:
            end_ms = (row["time"] + 1) * 1000
            if any(begin - 1500 <= end_ms <= end + 1500 for begin, end in self.excused):
                continue
            symbol = row["instrument"].removesuffix("-PERP").replace("-", "")
            near = [best for ms, best in self.truths[symbol] if abs(ms - end_ms) <= 2 * STEP_MS]
            shown = Decimal(str(round(row["best_bid"], 8))), Decimal(str(round(row["best_ask"], 8)))
            # A snapshot may show the midst of a step.
            sides = [sorted(best[side] for best in near) for side in (0, 1)]
            was = not near or all(
                side[0] <= price <= side[-1] for side, price in zip(sides, shown, strict=True)
            )
            assert was, f"{symbol} at {end_ms}: {shown}, true {near}"


def _levels(pairs: list[tuple[str, str]], side: int) -> Iterator[tuple[int, Decimal, Decimal]]:
    return ((side, Decimal(price), Decimal(size)) for price, size in pairs)


async def strike(trial: Trial, rng: random.Random, kind: str) -> None:
    """Let the fault happen and the venue go on for a while."""
    symbol = rng.choice([None, *SYMBOLS])
    begin_ms = trial.service.market.now_ms
    options: dict[str, Any] = {"kind": kind, "market": trial.name, "symbol": symbol}
    if kind in {"silence", "outage"}:
        options["for_s"] = rng.choice([0.1, 0.4, 1.2])
    elif kind in {"429", "418", "stale_snapshot"}:
        trial.venue.fault(faults.Command(kind="gap", market=trial.name, symbol=symbol))
        options["count"] = rng.randint(1, 2)
    else:
        options["count"] = rng.randint(1, 3)
    trial.venue.fault(faults.Command(**options))
    await trial.step(rng.randint(1, 25))
    if kind in {"silence", "outage"}:
        await asyncio.sleep(options["for_s"])
    trial.venue.fault(faults.Command(kind="heal"))
    await trial.settle()
    if kind in {"silence", "crossed"}:
        trial.excused.append((begin_ms, trial.service.market.now_ms))


async def trial_of(seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    name = rng.choice(["binance_spot", "binance_futures"])
    log, telemetry = FileLog(folder / str(seed)), Telemetry()
    log.create(f"raw.{name}", 1)
    options = simulator.Options(
        seed=seed, symbols=SYMBOLS, past_s=3, manual=True, ban_s=0.3, shutdown_notice_s=0.3
    )
    async with simulator.Simulator(options) as venue, aiohttp.ClientSession() as http:
        outbox = Outbox(log, rng.random)
        endpoint = Endpoint(venue.ws_url, venue.rest_url)
        session = Session(market(name), endpoint, SYMBOLS, http, outbox, telemetry, 1, FAST)
        running = asyncio.ensure_future(session.run())
        trial, struck = Trial(venue, name, log), []
        try:
            await trial.settle()
            # The past comes in steps of a second, too coarse to judge by.
            trial.excused.append((0, trial.service.market.now_ms))
            for _ in range(FAULTS_PER_SEED):
                struck.append(rng.choice(KINDS))
                await strike(trial, rng, struck[-1])
            await trial.step(15)
            trial.judge_rows()
            counters = venue.counters()[name]
            assert counters["requests_while_banned"] == 0, counters
            assert counters["weight_max"] <= counters["weight_limit"], counters
            if running.done():
                running.result()
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"seed {seed}, {name}, faults {struck}: {error!r}") from error
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await outbox.close()


async def trials(seeds: range, folder: Path, at_once: int) -> None:
    turn = asyncio.Semaphore(at_once)

    async def one(seed: int) -> None:
        async with turn:
            await trial_of(seed, folder)

    found = await asyncio.gather(*(one(seed) for seed in seeds), return_exceptions=True)
    failed = [error for error in found if error is not None]
    if failed:
        raise AssertionError(f"{len(failed)} of {len(seeds)} failed:\n" + "\n".join(map(str, failed)))


def test_some_seeds(tmp_path: Path) -> None:
    asyncio.run(trials(range(4), tmp_path, 2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_300_seeds(tmp_path: Path) -> None:
    asyncio.run(trials(range(1000, 1300), tmp_path, 3))
