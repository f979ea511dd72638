"""Every venue whose books begin in the stream, through a real session: after each fault the flow's books are true."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from connectors.book_sync import Rule
from connectors.endpoint import Endpoint
from connectors.file_log import FileLog
from connectors.outbox import Outbox
from connectors.rest import RestError
from connectors.session import Session, Timing
from connectors.simulator.faults import Command
from connectors.simulator.half import DEMO_KEY, halves
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.telemetry import Telemetry
from connectors.venue import market
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel

NAMES = sorted(x for x in halves() if market(x).has_book and not market(x).live.snapshot)
FAULTS = (
    "gap",
    "duplicate",
    "reorder",
    "malformed",
    "truncated",
    "crossed",
    "silence",
    "disconnect",
    "outage",
)
SPELLS = ("silence", "outage")
FAST = Timing(
    cut_s=0.005, tick_s=0.02, connect_s=5.0, overlap_s=0.2, backoff_base_s=0.02, backoff_cap_s=0.1,
    instruments_wait_s=5.0, silence_factor=0.1,
)  # fmt: skip
PATIENCE_S = 30.0


class Trial:
    """A simulated market, a session, the log between them and the kernel behind it."""

    def __init__(self, name: str, path: Path) -> None:
        self.market, self.path, self.depth = market(name), path, None
        if self.market.wire.rule is Rule.CHECKSUM:
            # It is of ten levels: a loss below them shows only when it comes up.
            self.depth = 10
            self.market = self.market.at_depth(self.depth)
        self.symbols = [x.symbol for x in halves()[name].listed[:2]]
        self.options = Options(markets=(name,), symbols=tuple(self.symbols), past_s=0, manual=True)

    async def run(self) -> dict[str, int]:
        """What struck."""
        log = FileLog(self.path)
        log.create(self.market.topic, 1)
        async with Simulator(self.options) as self.simulator, aiohttp.ClientSession() as http:
            self.service = self.simulator.venues[self.market.name]
            self.kernel, self.reader = DepthKernel(self.market, 0), log.reader(self.market.topic, 0)
            outbox = Outbox(log, lambda: 0.5)
            endpoint = Endpoint(*self.simulator.urls(self.market.name))
            session = Session(
                self.market, endpoint, self.symbols, http, outbox, Telemetry(), 1, FAST, DEMO_KEY
            )
            running = asyncio.ensure_future(session.run())
            try:
                await self._agree("the beginning")
                for kind in FAULTS:
                    await self._suffer(kind)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError, RestError):
                    await running
                await outbox.close()
        return dict(self.simulator.faults.counts)

    async def _suffer(self, kind: str) -> None:
        span_s = 0.3 if kind in SPELLS else None
        everything = kind in ("disconnect", "outage")
        symbol = None if everything else self.symbols[0]
        self.simulator.fault(Command(kind=kind, market=self.market.name, symbol=symbol, for_s=span_s))
        for _ in range(10):
            await self._pass()
        await asyncio.sleep(span_s or 0)
        self.simulator.fault(Command(kind="heal"))
        await self._agree(kind)

    async def _pass(self) -> None:
        """Let 100 ms pass."""
        await self.simulator.advance(100)
        await asyncio.sleep(0.01)
        while records := self.reader.poll():
            self.kernel.on_records(records)

    async def _agree(self, after: str) -> None:
        """The flow's books come to be the true ones."""
        until_s = asyncio.get_running_loop().time() + PATIENCE_S
        while wrong := [x for x in self.symbols if self._held(x) != self._true(x)]:
            assert asyncio.get_running_loop().time() < until_s, (after, wrong, dict(self.kernel.counts))
            await self._pass()
            for _ in range(20):  # time stands while what was sent is read
                await asyncio.sleep(0.005)
                while records := self.reader.poll():
                    self.kernel.on_records(records)

    def _held(self, symbol: str) -> list[dict[Decimal, Decimal]] | None:
        book = self.kernel._books.get(symbol.encode())
        if book is None or not book.live:
            return None
        size = Decimal(1).scaleb(-int(book.meta[b.SIZE_DECIMALS]))
        sides: list[dict[Decimal, Decimal]] = [{}, {}]
        for tick, lots, side in zip(*book.levels(), strict=True):
            sides[side][book.price(int(tick))] = int(lots) * size
        return sides

    def _true(self, symbol: str) -> list[dict[Decimal, Decimal]]:
        truth = self.service.truth(symbol, self.depth)
        return [{Decimal(p): Decimal(n) for p, n in truth[name]} for name in ("bids", "asks")]


@pytest.mark.parametrize("name", [x for x in NAMES if market(x).wire.rule.name != "NONE"])
def test_books_are_true_after_each_fault(name: str, tmp_path: Path) -> None:
    struck = asyncio.run(Trial(name, tmp_path).run())
    assert struck.keys() >= {"gap", "duplicate", "reorder", "malformed", "truncated", "silence"}
