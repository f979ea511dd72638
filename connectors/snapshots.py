"""Fetches the snapshots that a market's books wait for, and fuller ones for those that show too little."""

import asyncio
import time

import structlog

from connectors.publisher import Publisher
from connectors.reconnect import Backoff, Random
from connectors.rest import Rest, RestError
from connectors.venue import Live

_log = structlog.get_logger(__name__)


class Snapshots:
    """One task a waiting book; the budget decides their order. Fuller snapshots wait until no book does."""

    def __init__(
        self, live: Live, publisher: Publisher, rest: Rest, random: Random, backoff_s: tuple[float, float]
    ) -> None:
        self._live, self._publisher, self._rest = live, publisher, rest
        self._random, self._backoff_s = random, backoff_s
        self._asked: set[str] = set()
        self._widening = False

    def ask(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to fetch what is due and not yet asked for."""
        for symbol in self._publisher.snapshots_due(time.monotonic()):
            if symbol not in self._asked:
                self._asked.add(symbol)
                tasks.create_task(self._sync(symbol))
        if not self._asked and not self._widening:
            wider = self._publisher.widening_due(time.monotonic())
            if wider is not None:
                self._widening = True
                tasks.create_task(self._widen(wider))

    async def _sync(self, symbol: str) -> None:
        """Fetch snapshots until one fits the updates that are kept."""
        backoff = Backoff(self._random, *self._backoff_s)
        try:
            while self._publisher.needs_snapshot(symbol, time.monotonic()):
                if problem := await self._attempt(symbol):
                    self._publisher.problem(symbol, problem)
                    _log.warning("no snapshot", symbol=symbol, problem=problem)
                    await asyncio.sleep(backoff.failed())
        finally:
            self._asked.discard(symbol)

    async def _attempt(self, symbol: str) -> str:
        """What was wrong; empty if nothing."""
        assert self._live.snapshot is not None
        request = self._live.snapshot(symbol, self._live.snapshot_limit)
        if self._rest.gate.closed_s(time.monotonic()):
            said = "bans this address" if self._rest.gate.banned else "wants fewer requests"
            self._publisher.problem(symbol, f"the venue {said}")
        try:
            answer = await self._rest.get(request)
        except RestError as error:
            return str(error)
        return self._publisher.on_snapshot(symbol, request, answer.recv_ns, answer.body, time.monotonic())

    async def _widen(self, symbol: str) -> None:
        assert self._live.snapshot is not None
        try:
            answer = await self._rest.get(self._live.snapshot(symbol, self._live.snapshot_limit_max))
            problem = self._publisher.on_fuller(symbol, answer.recv_ns, answer.body)
        except RestError as error:
            problem = str(error)
            self._publisher.stop_widening(symbol)
        finally:
            self._widening = False
        if problem:
            _log.info("book not widened", symbol=symbol, problem=problem)
