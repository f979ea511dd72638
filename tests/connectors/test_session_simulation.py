"""Session, log and depth kernel against the simulated venues, over seeds of faults.

Once the faults are over, the flow's books equal the simulator's truth; and before that no row shows a book that was
not there: what was lost is a hole. Sockets stay unread for a while, so that what one of them says comes late, most of
all while a connection is handed over. A failure prints its seed: `run_seeds([SEED])` repeats it, but for the order in
which the event loop serves sockets.
"""

import asyncio
import random
from bisect import bisect_left
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.endpoint import Endpoint
from connectors.file_log import FileLog
from connectors.outbox import Outbox
from connectors.record import decode_lines
from connectors.rest import RestError
from connectors.session import Session, Socket, Timing
from connectors.simulator.faults import Command
from connectors.simulator.faults import Options as Faults
from connectors.simulator.market import STEP_MS
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options, VenueService
from connectors.simulator.step import ASK, BID
from connectors.telemetry import Telemetry
from connectors.venue import Depth, ParseError, market
from flows.kernels import book as b
from flows.kernels.depth import GRACE_MS, DepthKernel

SYMBOLS = ("SOLUSDT", "DOGEUSDT", "TRXUSDT")
FAST = Timing(
    cut_s=0.005, tick_s=0.02, connect_s=5.0, overlap_s=0.2, backoff_base_s=0.02, backoff_cap_s=0.1,
    instruments_wait_s=5.0, book_every_s=0.7, silence_factor=0.03,
)  # fmt: skip
ROUNDS = 40
PATIENCE_S = 60.0
ACTS = ("disconnect", "silence", "outage", "stale_snapshot", "shutdown", "shutdown", "crossed", "429")


class Trial:
    """One seed: a simulator, a session, the log between them and the kernel behind it."""

    def __init__(self, seed: int, path: Path) -> None:
        self.random = random.Random(seed)
        self.kind = self.random.choice(["spot", "futures"])
        self.market = market(f"binance_{self.kind}")
        self.path = path
        # The top of the true book, by symbol and second: event time of its last change; tick and lots of bid and ask.
        self.truth: dict[str, dict[int, tuple[int, ...]]] = {symbol: {} for symbol in SYMBOLS}
        # Last id and event time of the true changes.
        self.ids: dict[str, list[tuple[int, int]]] = {symbol: [] for symbol in SYMBOLS}
        # Event times of the diffs in the log; of the newest of all when a snapshot came, and the snapshot's id.
        self.heard: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        self.snapshots: dict[str, list[tuple[int, int]]] = {symbol: [] for symbol in SYMBOLS}
        # Symbol and event time of diffs that the venue held back for longer than a step.
        self.held_back: set[tuple[str, int]] = set()
        self.sockets: list[Socket] = []  # of the session, the newest last
        self.checked = 0  # rows that showed the true top
        self.rows: list[tuple[str, int, float, float, float, float]] = []
        chance = self.random.choice([0.0, 0.003, 0.02])
        self.options = Options(
            seed=seed, symbols=SYMBOLS, past_s=0, manual=True, shutdown_notice_s=0.05,
            faults=Faults(seed=seed, gap=chance, duplicate=chance, reorder=chance, malformed=chance / 2,
                          truncated=chance / 2, stale_snapshot=0.2, too_many=0.02, refused_s=0.5),
        )  # fmt: skip

    async def run(self) -> None:
        log = FileLog(self.path)
        log.create(self.market.topic, 1)
        async with Simulator(self.options) as self.simulator, aiohttp.ClientSession() as http:
            self.service = self.simulator.venues[self.market.name]
            self.service._step, self.service._send = self._note_truth, self._note_sent
            self.kernel, self.reader = DepthKernel(self.market, 0), log.reader(self.market.topic, 0)
            outbox = Outbox(log, self.random.random)
            endpoint = Endpoint(self.simulator.ws_url, self.simulator.rest_url)
            session = Session(self.market, endpoint, SYMBOLS, http, outbox, Telemetry(), 1, FAST)
            self._connect, session._connect = session._connect, self._note_socket
            running = asyncio.ensure_future(session.run())
            try:
                await self._suffer()
                await self._agree()
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError, RestError):
                    await running
                await outbox.close()
        self._check_rows()

    async def _suffer(self) -> None:
        for _ in range(ROUNDS):
            if self.random.random() < 0.3:
                self._leave_unread()
            if self.random.random() < 0.15:
                kind = self.random.choice(ACTS)
                self.simulator.fault(
                    Command(
                        kind=kind,
                        market=self.market.name,
                        symbol=self.random.choice(SYMBOLS) if kind in ("silence", "crossed") else None,
                        for_s=self.random.uniform(0.05, 1.0) if kind in ("silence", "outage") else None,
                        count=self.random.randint(1, 3),
                    )
                )
            for _ in range(self.random.randint(1, 10)):
                await self._pass()
            await asyncio.sleep(self.random.choice([0.0, 0.01, 0.03]))

    async def _note_socket(self, url: str) -> Socket:
        """In place of the session's connect: often, when a new socket opens, one of those open is slow."""
        socket = await self._connect(url)
        if self.random.random() < 0.5:
            self._leave_unread()
        self.sockets.append(socket)
        return socket

    def _leave_unread(self) -> None:
        """One of the open sockets is not read for a while: what it has said comes late."""
        for_s = self.random.uniform(0.0, 0.3)
        self.sockets = [socket for socket in self.sockets if not socket.closed]
        connection = self.random.choice(self.sockets)._response.connection if self.sockets else None
        if connection is not None and isinstance(connection.transport, asyncio.Transport):
            connection.transport.pause_reading()
            asyncio.get_running_loop().call_later(for_s, connection.transport.resume_reading)

    async def _pass(self) -> None:
        """Let 100 ms pass."""
        await self.simulator.advance(STEP_MS)
        for task in self.simulator._tasks:
            if task.done():
                task.result()  # the play has ended: by an error
        if self.service.market.now_ms <= self.simulator.clock.now_ms():
            await asyncio.sleep(0.005)  # nobody is connected: the market stands
        self._read()

    def _note_truth(self, step_ms: int) -> None:
        """In place of the service's step: make it and note the truth it leaves."""
        VenueService._step(self.service, step_ms)
        for symbol in SYMBOLS:
            book = self.service.market.book(symbol)
            if not book.last.changes:
                continue
            # The step under way is known already and will be sent when it is over.
            event_ms = self.service.market.now_ms - self.service.market._listings[symbol].phase_ms
            crossed = max(book.levels[BID]) >= min(book.levels[ASK])
            top = (0, 0, 0, 0) if crossed else (*book.touch(BID), *book.touch(ASK))
            self.truth[symbol][event_ms // 1000] = (event_ms, *top)
            self.ids[symbol].append((book.last.last_id, event_ms))

    def _note_sent(self, said: list[tuple[str, bytes]]) -> None:
        """In place of the service's sending: note what is of earlier than the step that is over, and send."""
        for stream, payload in said:
            with suppress(ParseError):
                event_ms = self.market.live.head(payload).event_ns // 10**6
                if event_ms <= self.service.market.now_ms - 2 * STEP_MS:
                    self.held_back.add((stream.partition("@")[0].upper(), event_ms))
        VenueService._send(self.service, said)

    def _read(self) -> None:
        while records := self.reader.poll():
            for block in self.kernel.on_records(records):
                self._keep(block)
            for record in records:
                for line in decode_lines(record.body):
                    self._hear(record.key.decode(), line.payload)

    def _keep(self, block: Any) -> None:
        if block.table == "depth_1s":
            names = ("instrument", "time", "best_bid", "best_bid_size", "best_ask", "best_ask_size")
            self.rows += zip(*(block.columns[name] for name in names), strict=True)

    def _hear(self, symbol: str, payload: bytes) -> None:
        if symbol not in self.heard:
            return
        if payload.startswith(b'{"lastUpdateId"'):
            newest_ms = max((max(times) for times in self.heard.values() if times), default=0)
            self.snapshots[symbol].append((newest_ms, self.market.live.read_snapshot(payload).update_id))
        elif payload.startswith(b'{"stream"'):
            with suppress(ParseError):
                for event in self.market.parse(payload):
                    if isinstance(event, Depth) and event.event_ns:
                        self.heard[symbol].append(event.event_ns // 10**6)

    async def _agree(self) -> None:
        """Without faults, the flow's books come to be the true ones, and stay so."""
        self.simulator.fault(Command(kind="heal"))
        async with asyncio.timeout(PATIENCE_S):
            while not all(self._is_level(symbol) for symbol in SYMBOLS):
                await self._pass()
                # Time stands while what was sent is read.
                for _ in range(20):
                    await asyncio.sleep(0.005)
                    self._read()
                    if all(self._is_level(symbol) for symbol in SYMBOLS):
                        break
        for symbol in SYMBOLS:
            assert self._held(symbol) == self._true(symbol), symbol
        counters = self.service.counters()
        assert counters["weight_max"] <= counters["weight_limit"]
        assert counters["requests_while_banned"] == 0
        assert not counters.get("message_limit") and not counters.get("slow_clients")

    def _is_level(self, symbol: str) -> bool:
        book = self.kernel._books.get(symbol.encode())
        return (
            book is not None
            and book.live
            and book.meta[b.LAST_ID] == self.service.truth(symbol)["lastUpdateId"]
        )

    def _held(self, symbol: str) -> list[dict[Decimal, Decimal]]:
        book = self.kernel._books[symbol.encode()]
        size = Decimal(1).scaleb(-int(book.meta[b.SIZE_DECIMALS]))
        sides: list[dict[Decimal, Decimal]] = [{}, {}]
        for tick, lots, side in zip(*book.levels(), strict=True):
            sides[side][book.price(int(tick))] = int(lots) * size
        return sides

    def _true(self, symbol: str) -> list[dict[Decimal, Decimal]]:
        truth = self.service.truth(symbol)
        return [{Decimal(p): Decimal(n) for p, n in truth[name]} for name in ("bids", "asks")]

    def _check_rows(self) -> None:
        """The row of a second shows the true top at its end.

        But if the last changes of the second were lost and the loss did not show before it was closed for silence, it
        repeats what stood before; and a book that a snapshot of later began is ahead until time has come there.
        """
        symbols = {self.market.canonical(symbol): symbol for symbol in SYMBOLS}
        for instrument, second, *shown in self.rows:
            symbol = symbols[instrument]
            grid = self.service.half.symbols[symbol].grid(self.service.kind)
            steps = (grid.tick, grid.lot, grid.tick, grid.lot)
            if second not in self.truth[symbol]:
                continue
            last_ms, *top = self.truth[symbol][second]
            if [round(x / float(step)) for x, step in zip(shown, steps, strict=True)] == top:
                self.checked += 1
                continue
            # A diff that changed places with the next one came up to 100 ms late, or, if that was lost, any time later.
            closed_ms = (second + 1) * 1000 + GRACE_MS - 100
            heard = [
                x
                for x in self.heard[symbol]
                if last_ms <= x <= closed_ms and (symbol, x) not in self.held_back
            ]
            late = int(self.kernel._books[symbol.encode()].meta[b.N_LATE])
            assert not heard or self._is_ahead(symbol, second), (
                instrument, second, shown, last_ms, top, heard, f"{late} late",
            )  # fmt: skip

    def _is_ahead(self, symbol: str, second: int) -> bool:
        """Whether a snapshot came before the end of the second, and was of later."""
        end_ms = (second + 1) * 1000
        ids = self.ids[symbol]
        return any(
            heard_ms < end_ms and ids[bisect_left(ids, (update_id, 0))][1] >= end_ms
            for heard_ms, update_id in self.snapshots[symbol]
        )


def run_seeds(seeds: list[int], path: Path) -> None:
    """Run trials side by side: they mostly wait."""

    trials = [Trial(seed, path / str(seed)) for seed in seeds]

    async def main() -> list[BaseException | None]:
        return await asyncio.gather(*(trial.run() for trial in trials), return_exceptions=True)

    for seed, failed in zip(seeds, asyncio.run(main()), strict=True):
        if failed is not None:
            raise AssertionError(f"seed {seed}") from failed
    assert sum(trial.checked for trial in trials) >= 5 * len(trials)


def test_books_are_true_after_faults(tmp_path: Path) -> None:
    run_seeds(list(range(5)), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(5, 305, 10))
def test_books_are_true_after_faults_of_many_seeds(first: int, tmp_path: Path) -> None:
    run_seeds(list(range(first, first + 10)), tmp_path)
