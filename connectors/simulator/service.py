"""One simulated market served: its play, its connections, its requests.

Time. A market stands still, `past_s` before now, until a client subscribes. Then it waits until each book that is
followed has been asked for (REST), and plays the past as fast as the clients read, one diff a second and symbol,
until it has reached the present; from there on it runs with the clock. So boards are full at once, and a client
does nothing it would not do on the venue. What has been played is past: a client that comes later, or again, gets a
snapshot of the present.

A client that does not read is cut off when its queue is full; while the past is played, a ping every ten seconds
of it must be answered before more is sent.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from connectors.simulator import binance as b
from connectors.simulator import faults as f
from connectors.simulator.budget import Answer, Budget, MessageRate
from connectors.simulator.clock import VenueClock
from connectors.simulator.connection import Connection
from connectors.simulator.market import STEP_MS, SimulatedMarket
from connectors.simulator.symbols import SYMBOLS, Kind

TICK_S = 0.01
PAST_STEP_MS = 1000
BEHIND_MS = 2000  # further behind the clock than this, a market moves in past steps
BARRIER_STEPS = 10
HOLD_S = 10.0  # the past waits so long for the books to be asked for
SETTLE_S = 0.5
MESSAGE_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What the venue is like; the defaults are Binance's own, by kind of market."""

    seed: int = 7
    symbols: tuple[str, ...] = tuple(SYMBOLS)
    past_s: int = 900
    port: int = 0
    faults: f.Options = field(default_factory=f.Options)
    manual: bool = False  # time passes by `advance` only
    ping_s: Mapping[Kind, float] = field(default_factory=lambda: {"spot": 20.0, "futures": 180.0})
    messages_per_s: Mapping[Kind, int] = field(default_factory=lambda: {"spot": 5, "futures": 10})
    weight_per_minute: Mapping[Kind, int] = field(default_factory=lambda: {"spot": 6000, "futures": 2400})
    ban_s: float = 120.0
    connection_s: float = 86_400.0
    shutdown_notice_s: float = 1.0


class VenueService:
    """One market: its play, its sockets, its requests."""

    def __init__(self, kind: Kind, options: Options, clock: VenueClock, faults: f.Faults) -> None:
        self._options, self._clock, self._faults = options, clock, faults
        self.kind: Kind = kind
        self.name = f"binance_{kind}"
        self._symbols = [SYMBOLS[name] for name in options.symbols]
        self.binance = b.Binance(kind, self._symbols)
        self._budget = Budget(options.weight_per_minute[kind], options.ban_s)
        self._counts: Counter[str] = Counter()
        self._sockets: dict[Connection, None] = {}
        self._wanted: frozenset[str] = frozenset()
        self._followed = asyncio.Event()
        self._subscribed_s = 0.0
        self._asked: set[str] = set()  # symbols whose snapshot has been served
        self._answers: dict[tuple[str, int], bytes] = {}  # the last snapshots, for stale ones
        self._market: SimulatedMarket | None = None
        self._pending: list[tuple[str, bytes]] = []
        self._steps = 0
        # Where within the step under way a snapshot is taken: of no consequence to the market.
        self._random = random.Random(options.seed)  # noqa: S311

    def add_routes(self, app: web.Application) -> None:
        """Paths of this market."""
        for path in b.PATHS[self.kind]:
            app.router.add_get(path, self._on_connect)
        for name, answer in {
            "ping": self._ping, "time": self._time, "exchangeInfo": self._exchange_info, "depth": self._depth,
            "klines": self._klines, "openInterest": self._open_interest,
        }.items():  # fmt: skip
            if name != "openInterest" or self.kind == "futures":
                app.router.add_get(f"{b.REST[self.kind]}/{name}", self._answering(answer))

    @property
    def market(self) -> SimulatedMarket:
        """The market; made when it is first needed."""
        if self._market is None:
            begin_ms = self._clock.begin_ms()
            self._market = SimulatedMarket(self.kind, self._symbols, self._options.seed, begin_ms)
        return self._market

    # ---- play

    async def caught_up(self) -> None:
        """Returns when all frames up to the venue's time are on their way, or nobody wants any."""
        while self._wanted and (  # noqa: ASYNC110 - it waits for time to pass
            self.market.now_ms <= self._clock.now_ms() or any(x.queue.qsize() for x in self._sockets)
        ):
            await asyncio.sleep(TICK_S)

    async def play(self) -> None:
        """Move the market with the venue's time and send what happens, for ever."""
        await self._followed.wait()
        await self._skip()
        await self._hold()
        while True:
            lag_ms = self._behind_ms()
            past = lag_ms >= BEHIND_MS and self.market.now_ms % PAST_STEP_MS == 0
            if lag_ms < 0:
                await asyncio.sleep(min(-lag_ms / 1000, TICK_S))
            elif past and not self._wanted:
                await asyncio.sleep(TICK_S)
            else:
                self._step(PAST_STEP_MS if past else STEP_MS)
                await asyncio.sleep(0)
                if past and self._steps % BARRIER_STEPS == 0:
                    await asyncio.gather(*(x.barrier(self._steps) for x in list(self._sockets)))

    def _behind_ms(self) -> int:
        return self._clock.now_ms() - self.market.now_ms

    async def _skip(self) -> None:
        """What lies before the past was for nobody."""
        until_ms = self._clock.past_ms()
        while self.market.now_ms + PAST_STEP_MS <= until_ms:
            for _ in self.market.advance(self.market.now_ms + PAST_STEP_MS, PAST_STEP_MS):
                pass
            await asyncio.sleep(0)

    async def _hold(self) -> None:
        """Give the clients time to ask for every book they follow, at the beginning of the past, if there is one."""
        next_s = time.monotonic()
        until_s = next_s + HOLD_S
        while self._behind_ms() >= BEHIND_MS and (now_s := time.monotonic()) < until_s:
            books = {x.partition("@")[0].upper() for x in self._wanted if "@depth" in x}
            if books <= self._asked and now_s - self._subscribed_s > SETTLE_S:
                return
            # Some clients ask when they have seen a first diff.
            if now_s >= next_s:
                self._step(PAST_STEP_MS)
                next_s = now_s + SETTLE_S
            await asyncio.sleep(TICK_S)

    def _step(self, step_ms: int) -> None:
        """Send the step that is over; begin the next one, in the midst of which snapshots are taken."""
        self._send()
        now_s = time.monotonic()
        skew_ms = self._faults.skew_ms(self.name, now_s)
        if self.market.now_ms % 1000 == 0:
            for command in self._faults.second(self.name, list(self.binance.symbols), now_s):
                self._faults.command(command, now_s)
                self.act(command)
        for event in self.market.advance(self.market.now_ms + step_ms, step_ms):
            said = event._replace(event_ms=event.event_ms + skew_ms) if skew_ms else event
            for stream, payload in self.binance.frames(said, self._wanted):
                sent = self._faults.frames(self.name, stream, payload, now_s)
                self._pending.extend([(stream, x) for x in sent])
        self._steps += 1

    def _send(self) -> None:
        pending, self._pending = self._pending, []
        for socket in list(self._sockets):
            batch = [payload for stream, payload in pending if stream in socket.served]
            if not batch:
                continue
            self._counts["frames"] += len(batch)
            self._counts["bytes"] += sum(map(len, batch))
            if not socket.put(batch):
                self._counts["slow_clients"] += 1

    def act(self, command: f.Command) -> None:
        """The acts among the faults."""
        if command.kind in ("disconnect", "outage"):
            self.disconnect()
        elif command.kind == "shutdown":
            for socket in self._sockets:
                self._announce(socket)
        elif command.kind == "crossed":
            for name in [command.symbol] if command.symbol else list(self.binance.symbols):
                self.market.book(name).cross(command.count)

    def disconnect(self) -> None:
        """Cut all connections."""
        for socket in list(self._sockets):
            socket.cut()

    def truth(self, symbol: str) -> dict[str, Any]:
        """The true book after the last frame sent, each side from its lowest price up."""
        book = self.market.book(symbol)
        update_id, bids, asks = book.state(undo=len(book.last.changes))
        levels = self.binance.levels
        return {"lastUpdateId": update_id, "bids": levels(symbol, bids), "asks": levels(symbol, asks)}

    def counters(self) -> dict[str, int]:
        """What this market has served and refused."""
        budget = self._budget
        return dict(self._counts) | {
            "sockets": len(self._sockets),
            "requests": budget.requests,
            "weight": budget.used,
            "weight_max": budget.used_max,
            "weight_limit": budget.limit,
            "refused": budget.refused,
            "bans": budget.bans,
            "requests_while_banned": budget.requests_while_banned,
        }

    # ---- sockets

    async def _on_connect(self, request: web.Request) -> web.StreamResponse:
        self._counts["connects"] += 1
        if self._faults.refuses(self.name, time.monotonic()) or len(self._sockets) >= CONNECTIONS_MAX:
            return self._reset(request)
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX)
        await ws.prepare(request)
        names = request.query.get("streams", "")
        socket = Connection(ws, request.path, dict.fromkeys(names.split("/")) if names else {})
        socket.bind(request.transport)
        self._sockets[socket] = None
        self._subscribe()
        tasks = [
            asyncio.create_task(x) for x in (socket.write(), self._ping_client(socket), self._age(socket))
        ]
        try:
            await self._listen(socket)
        finally:
            for task in tasks:
                task.cancel()
            del self._sockets[socket]
            socket.gone()
            self._subscribe()
        return ws

    def _subscribe(self) -> None:
        """A stream is served at its own path only."""
        for socket in self._sockets:
            served = (x for x in socket.streams if self.binance.path_of(x) == socket.path)
            socket.served = frozenset(served)
        wanted = frozenset[str]().union(*(socket.served for socket in self._sockets))
        if not wanted <= self._wanted:
            self._subscribed_s = time.monotonic()
        self._wanted = wanted
        if wanted:
            self._followed.set()

    async def _listen(self, socket: Connection) -> None:
        rate = MessageRate(self._options.messages_per_s[self.kind])
        async for message in socket.ws:
            if message.type == WSMsgType.PONG and socket.on_pong(bytes(message.data)):
                continue
            if rate.exceeded(time.monotonic()):
                self._counts["message_limit"] += 1
                await socket.ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            if message.type == WSMsgType.PING:
                await socket.ws.pong(message.data)
            elif message.type == WSMsgType.TEXT:
                answer = b.control(message.data.encode(), socket.streams)
                self._subscribe()
                socket.put([answer])

    async def _ping_client(self, socket: Connection) -> None:
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._options.ping_s[self.kind])
                await socket.ws.ping(str(self._clock.now_ms()).encode())

    async def _age(self, socket: Connection) -> None:
        await asyncio.sleep(max(0.0, self._options.connection_s - self._options.shutdown_notice_s))
        self._announce(socket)

    def _announce(self, socket: Connection) -> None:
        """Warn a client, then close."""
        if (notice := self.binance.shutdown(self._clock.now_ms())) is not None:
            socket.put([notice])
        asyncio.get_running_loop().call_later(self._options.shutdown_notice_s, socket.cut)

    def _reset(self, request: web.Request) -> web.Response:
        self._counts["connections_refused"] += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    # ---- requests

    def _answering(
        self, answer: Callable[[Mapping[str, str]], bytes]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            now_s = time.monotonic()
            if self._faults.refuses(self.name, now_s):
                return self._reset(request)
            judged = self._judge(request, now_s)
            headers = {"X-MBX-USED-WEIGHT-1M": str(judged.used), "Content-Type": "application/json"}
            if judged.status != 200:
                self._counts[f"status_{judged.status}"] += 1
                headers["Retry-After"] = str(judged.retry_after_s)
                return web.Response(status=judged.status, body=_TOO_MUCH, headers=headers)
            try:
                return web.Response(body=answer(request.query), headers=headers)
            except b.RequestError as error:
                return web.Response(status=error.status, body=error.body, headers=headers)

        return handler

    def _judge(self, request: web.Request, now_s: float) -> Answer:
        judged = self._budget.charge(self.binance.weight(request.path, request.query), time.time())
        if judged.status != 200:
            return judged
        status = self._faults.status(self.name, now_s)
        if status == 418:
            return self._budget.ban(time.time(), self._options.faults.refused_s)
        return judged._replace(status=status, retry_after_s=1)

    def _ping(self, _: Mapping[str, str]) -> bytes:
        return b"{}"

    def _time(self, _: Mapping[str, str]) -> bytes:
        return msgspec.json.encode({"serverTime": self._skewed_ms()})

    def _exchange_info(self, query: Mapping[str, str]) -> bytes:
        return self.binance.exchange_info(query, self._skewed_ms())

    def _depth(self, query: Mapping[str, str]) -> bytes:
        symbol, limit = self.binance.symbol_of(query), self.binance.depth_limit(query)
        self._counts["snapshots"] += 1
        stale = self._answers.get((symbol, limit))
        if stale is not None and self._faults.stale(self.name, symbol, time.monotonic()):
            self._faults.counts["stale_snapshot"] += 1
            return stale
        book = self.market.book(symbol)
        update_id, bids, asks = book.state(undo=self._random.randint(0, len(book.last.changes)))
        body = self.binance.snapshot(symbol, limit, update_id, bids, asks, self.market.now_ms)
        self._answers[symbol, limit] = body
        self._asked.add(symbol)
        return body

    def _klines(self, query: Mapping[str, str]) -> bytes:
        return self.binance.klines(self.market.bars(self.binance.symbol_of(query)), query)

    def _open_interest(self, query: Mapping[str, str]) -> bytes:
        symbol = self.binance.symbol_of(query)
        return self.binance.open_interest(symbol, self.market.open_interest(symbol), self._skewed_ms())

    def _skewed_ms(self) -> int:
        return self._clock.now_ms() + self._faults.skew_ms(self.name, time.monotonic())


_TOO_MUCH = msgspec.json.encode(
    {"code": -1003, "msg": "Too much request weight used; please use WebSocket streams."}
)
