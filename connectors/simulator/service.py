"""One simulated market served: its play, its connections, its requests. What its venue says, its `Half` knows.

Time. A market stands still, `past_s` before now, until a client subscribes. Then it waits until each book that is
followed has been asked for, by a request or by following it where the stream begins with a snapshot, and plays the
past as fast as the clients read, one diff a second and symbol, until it has reached the present; from there on it
runs with the clock. So boards are full at once, and a client does nothing it would not do on the venue. What has been
played is past: a client that comes later, or again, gets a snapshot of the present. A venue whose frames bear no
time has no past.

A client that does not read is cut off when its queue is full; while the past is played, a ping every ten seconds
of it must be answered before more is sent.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from connectors.simulator import faults as f
from connectors.simulator import market as m
from connectors.simulator.api import WorldBar
from connectors.simulator.budget import Answer, Budget, MessageRate
from connectors.simulator.clock import VenueClock
from connectors.simulator.connection import Connection
from connectors.simulator.half import Answer as Answering
from connectors.simulator.half import Client, Half, Limits, RequestError, State
from connectors.simulator.world import SimulatedWorld, joined, opening_ms, scale_of

TICK_S = 0.01
PAST_STEP_MS = 1000
BEHIND_MS = 2000  # further behind the clock than this, a market moves in past steps
BARRIER_STEPS = 10
HOLD_S = 10.0  # the past waits so long for the books to be asked for
SETTLE_S = 0.5
MESSAGE_BYTES_MAX = 64 * 1024
MESSAGES_PER_S_MAX = 100  # of a client, where the venue names no limit
CONNECTIONS_MAX = 256
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the venues are like; None is each venue's own."""

    seed: int = 7
    markets: tuple[str, ...] = ()  # those served; (): all
    apis: tuple[str, ...] = ()  # polled APIs served; (): all
    symbols: tuple[
        str, ...
    ] = ()  # as venues write them; a market that lists none of them serves all it lists
    past_s: int = 900
    port: int = 0
    faults: f.Options = field(default_factory=f.Options)
    manual: bool = False  # time passes by `advance` only
    ping_s: float | None = None
    heartbeat_s: float | None = None
    weight_per_minute: int | None = None
    ban_s: float = 120.0
    connection_s: float | None = None
    shutdown_notice_s: float = 1.0

    def limits(self, venue: Limits) -> Limits:
        """The venue's, but for what is set here."""
        names = ("ping_s", "heartbeat_s", "weight_per_minute", "connection_s")
        return replace(venue, **{x: getattr(self, x) for x in names if getattr(self, x) is not None})


class VenueService:
    """One market: its play, its sockets, its requests. It is the desk (`half.Desk`) of its half."""

    def __init__(
        self, half: Half, options: Options, clock: VenueClock, faults: f.Faults, world: SimulatedWorld
    ) -> None:
        self._options, self._clock, self._faults, self._world = options, clock, faults, world
        self.half, self.name, self.kind = half, half.name, half.kind
        self._limits = limits = options.limits(half.limits)
        self._budget = Budget(limits.weight_per_minute, options.ban_s, bans_on=limits.bans)
        self._counts: Counter[str] = Counter()
        self._sockets: dict[Connection, None] = {}
        self._wanted: frozenset[str] = frozenset()
        self._followed = asyncio.Event()
        self._subscribed_s = 0.0
        self._asked: set[str] = set()  # symbols whose snapshot has been served
        self._states: dict[str, State] = {}  # of the last snapshots requested, for stale ones
        self._market: m.SimulatedMarket | None = None
        self._events: list[m.Event] = []  # of the step under way; sent when it is over
        self._steps = 0
        # Where within the step under way a snapshot is taken: of no consequence to the market.
        self._random = random.Random(options.seed)  # noqa: S311

    def add_routes(self, app: web.Application) -> None:
        """Paths of this market."""
        for path in self.half.paths:
            app.router.add_get(self.half.base() + path, self._on_connect)
        for path, answer in self.half.rest.items():
            app.router.add_get(self.half.base() + path, self._answering(answer))

    @property
    def market(self) -> m.SimulatedMarket:
        """The market; made when it is first needed, where its past begins. Prices began when the first one did."""
        if self._market is None:
            symbols, begin_ms = list(self.half.symbols.values()), self._clock.begin_ms()
            self._market = m.SimulatedMarket(
                self.kind, symbols, self._options.seed, self._past_ms(), self.name, begin_ms
            )
        return self._market

    def _past_ms(self) -> int:
        """Where a past that ended now would begin."""
        begin_ms, most_s = self._clock.past_ms(), self.half.past_s_max
        return begin_ms if most_s is None else max(begin_ms, (self._clock.now_ms() // 1000 - most_s) * 1000)

    # ---- the desk

    @property
    def now_ms(self) -> int:
        """The venue's clock, with its skew."""
        return self._clock.now_ms() + self._faults.skew_ms(self.name, time.monotonic())

    def state(self, symbol: str) -> State:
        """The book after the last frame sent."""
        self._asked.add(symbol)
        return self._state(symbol, undo=len(self.market.book(symbol).last.changes))

    def snapshot(self, symbol: str) -> State:
        """The book in the midst of the step under way, or as it was served last."""
        self._counts["snapshots"] += 1
        stale = self._states.get(symbol)
        if stale is not None and self._faults.stale(self.name, symbol, time.monotonic()):
            self._faults.counts["stale_snapshot"] += 1
            return stale
        state = self._state(symbol, undo=self._random.randint(0, len(self.market.book(symbol).last.changes)))
        self._states[symbol] = state
        self._asked.add(symbol)
        return state

    def bars(self, symbol: str) -> list[m.Bar]:
        """Minutes since the start."""
        return self.market.bars(symbol)

    def open_interest(self, symbol: str) -> int:
        """Lots held open."""
        return self.market.open_interest(symbol)

    def history(self, symbol: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        """Bars of any interval: `half.Desk` says which."""
        traded = self.half.symbols[symbol]
        scale = scale_of(traded, self.kind)
        world = partial(self._world.bars, traded.base, traded.quote, scale=scale)
        market = self._market
        if market is None:
            return world(interval_s, from_ms, to_ms)
        own = [bar for bar in market.bars(symbol) if bar.trades]
        if not own:
            return world(interval_s, from_ms, to_ms)
        # While somebody follows, what the market has not played yet has not happened.
        end_ms = market.now_ms if self._wanted else to_ms + interval_s * 1000
        first_ms = opening_ms(own[0].open_ms, interval_s)
        low_ms, high_ms = max(opening_ms(from_ms, interval_s), first_ms), to_ms + interval_s * 1000
        minutes = [
            *world(60, low_ms, own[0].open_ms),
            *(self._world_bar(bar) for bar in own if low_ms <= bar.open_ms < high_ms),
            *world(60, max(low_ms, opening_ms(market.now_ms, 60) + m.MINUTE_MS), end_ms),
        ]
        recent = [x for x in joined(minutes, interval_s) if from_ms <= x.open_ms < to_ms]
        return [*world(interval_s, from_ms, min(to_ms, first_ms)), *recent]

    def _world_bar(self, bar: m.Bar) -> WorldBar:
        grid = self.half.symbols[bar.symbol].grid(self.kind)
        tick, lot = float(grid.tick), float(grid.lot)
        open_, high, low, close = (x * tick for x in (bar.open, bar.high, bar.low, bar.close))
        return WorldBar(bar.open_ms, open_, high, low, close, bar.lots * lot, bar.buy_lots * lot, bar.trades)

    def _state(self, symbol: str, undo: int) -> State:
        return State(*self.market.book(symbol).state(undo), self.market.now_ms)

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
        await self._hold()
        while True:
            lag_ms = self._behind_ms()
            past = lag_ms >= BEHIND_MS and self.market.now_ms % PAST_STEP_MS == 0
            if lag_ms < 0:
                # Time that is moved by hand may be moved at any moment.
                await asyncio.sleep(min(-lag_ms / 1000, TICK_S if self._clock.stands else math.inf))
            elif past and not self._wanted:
                await asyncio.sleep(TICK_S)
            else:
                self._step(PAST_STEP_MS if past else m.STEP_MS)
                await asyncio.sleep(0)
                if past and self._steps % BARRIER_STEPS == 0:
                    await asyncio.gather(*(x.barrier(self._steps) for x in list(self._sockets)))

    def _behind_ms(self) -> int:
        return self._clock.now_ms() - self.market.now_ms

    async def _skip(self) -> None:
        """What lies before the past was for nobody, unless somebody begins to follow."""
        until_ms = self._past_ms()
        while self.market.now_ms + PAST_STEP_MS <= until_ms and not self._followed.is_set():
            self._events = list(self.market.advance(self.market.now_ms + PAST_STEP_MS, PAST_STEP_MS))
            await asyncio.sleep(0)

    async def _hold(self) -> None:
        """Give the clients time to ask for every book they follow, at the beginning of the past, if there is one."""
        next_s = time.monotonic()
        until_s = next_s + HOLD_S
        while self._behind_ms() >= BEHIND_MS and (now_s := time.monotonic()) < until_s:
            books = {x.symbol for x in map(self.half.stream, self._wanted) if x.book}
            if books <= self._asked and now_s - self._subscribed_s > SETTLE_S:
                return
            # Some clients ask when they have seen a first diff.
            if now_s >= next_s:
                self._step(PAST_STEP_MS)
                next_s = now_s + SETTLE_S
            await asyncio.sleep(TICK_S)

    def _step(self, step_ms: int) -> None:
        """Send the step that is over; begin the next one, in the midst of which snapshots are taken."""
        now_s = time.monotonic()
        self._send(self._said(now_s))
        if self.market.now_ms % 1000 == 0:
            for command in self._faults.second(self.name, list(self.half.symbols), now_s):
                self._faults.command(command, now_s)
                self.act(command)
        self._events = list(self.market.advance(self.market.now_ms + step_ms, step_ms))
        self._steps += 1

    def _said(self, now_s: float) -> list[tuple[str, bytes]]:
        """What is sent of the step under way."""
        skew_ms, said = self._faults.skew_ms(self.name, now_s), []
        events, self._events = self._events, []
        for event in events:
            skewed = event._replace(event_ms=event.event_ms + skew_ms) if skew_ms else event
            for name, payload in self.half.frames(skewed, self._wanted):
                sent = self._faults.frames(self.name, self.half.stream(name), payload, now_s)
                said += [(name, x) for x in sent]
        return said

    def _send(self, said: list[tuple[str, bytes]]) -> None:
        for socket in list(self._sockets):
            batch = [payload for stream, payload in said if stream in socket.served]
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
            for name in self.half.symbols:
                if command.symbol in (None, name):
                    self.market.book(name).cross(command.count)

    def disconnect(self) -> None:
        """Cut all connections."""
        for socket in list(self._sockets):
            socket.cut()

    def truth(self, symbol: str, depth: int | None = None) -> dict[str, Any]:
        """The true book after the last frame sent, each side from its lowest price up.

        Of a venue that tells of the best levels only, the best `depth`, or as many as its clients hold by default.
        """
        depth, levels = depth or self.half.depth, self.half.levels
        update_id, bids, asks, _ = self._state(symbol, undo=len(self.market.book(symbol).last.changes))
        best_bids = dict(sorted(bids.items(), reverse=True)[:depth])
        best_asks = dict(sorted(asks.items())[:depth])
        return {
            "lastUpdateId": update_id,
            "bids": levels(symbol, best_bids),
            "asks": levels(symbol, best_asks),
        }

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
        await self._skip()
        client = Client(request.path.removeprefix(self.half.base()), request.query)
        try:
            greeting = self.half.opened(client, self)
        except RequestError as error:
            return web.Response(status=error.status, body=error.body)
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX)
        await ws.prepare(request)
        if self._faults.refuses(self.name, time.monotonic()):  # since
            self._reset(request)
            return ws
        socket = Connection(ws, client)
        socket.bind(request.transport)
        self._sockets[socket] = None
        self._say(socket, greeting)
        running = (socket.write(), self._ping_client(socket), self._beat(socket), self._age(socket))
        tasks = [asyncio.create_task(x) for x in running]
        try:
            await self._listen(socket)
        finally:
            for task in tasks:
                task.cancel()
            del self._sockets[socket]
            socket.gone()
            self._subscribe()
        return ws

    def _say(self, socket: Connection, answers: list[bytes]) -> None:
        """Queue answers, and what the streams begin with that the client follows since."""
        followed, streams = socket.served, socket.client.streams
        self._subscribe()
        fresh = [self.half.stream(x) for x in streams if x in socket.served and x not in followed]
        batch = [*answers, *(payload for x in fresh for payload in self.half.first(x, self))]
        if batch:
            socket.put(batch)

    def _subscribe(self) -> None:
        """A stream is served at its own path only."""
        for socket in self._sockets:
            client, of = socket.client, self.half.stream
            socket.served = frozenset(x for x in client.streams if of(x).path == client.path)
        wanted = frozenset[str]().union(*(socket.served for socket in self._sockets))
        if not wanted <= self._wanted:
            self._subscribed_s = time.monotonic()
        self._wanted = wanted
        if wanted:
            self._followed.set()

    async def _listen(self, socket: Connection) -> None:
        rate = MessageRate(self._limits.messages_per_s or MESSAGES_PER_S_MAX)
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
                self._say(socket, self.half.answer(message.data.encode(), socket.client, self))
            if socket.client.closing:
                with suppress(TimeoutError):
                    await asyncio.wait_for(socket.queue.join(), CLOSE_S)
                await socket.ws.close()

    async def _ping_client(self, socket: Connection) -> None:
        if self._limits.ping_s is None:
            return
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._limits.ping_s)
                await socket.ws.ping(str(self._clock.now_ms()).encode())

    async def _beat(self, socket: Connection) -> None:
        if self._limits.heartbeat_s is None:
            return
        while True:
            await asyncio.sleep(self._limits.heartbeat_s)
            beat = self.half.heartbeat(socket.client, self.market.now_ms)
            if beat is not None:
                socket.put([beat])

    async def _age(self, socket: Connection) -> None:
        if self._limits.connection_s is None:
            return
        await asyncio.sleep(max(0.0, self._limits.connection_s - self._options.shutdown_notice_s))
        self._announce(socket)

    def _announce(self, socket: Connection) -> None:
        """Warn a client, then close."""
        if (notice := self.half.notice(self._clock.now_ms())) is not None:
            socket.put([notice])
        asyncio.get_running_loop().call_later(self._options.shutdown_notice_s, socket.cut)

    def _reset(self, request: web.Request) -> web.Response:
        self._counts["connections_refused"] += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    # ---- requests

    def _answering(self, answer: Answering) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            now_s = time.monotonic()
            if self._faults.refuses(self.name, now_s):
                return self._reset(request)
            query = {**request.query, **request.match_info}
            judged = self._judge(request.path.removeprefix(self.half.base()), query, now_s)
            headers = {"Content-Type": "application/json"}
            if self.half.used_header:
                headers[self.half.used_header] = str(judged.used)
            if judged.status != 200:
                self._counts[f"status_{judged.status}"] += 1
                headers["Retry-After"] = str(judged.retry_after_s)
                status, body = self.half.refusal(judged.status)
                return web.Response(status=status, body=body, headers=headers)
            try:
                return web.Response(body=answer(query, self), headers=headers)
            except RequestError as error:
                return web.Response(status=error.status, body=error.body, headers=headers)

        return handler

    def _judge(self, path: str, query: Mapping[str, str], now_s: float) -> Answer:
        judged = self._budget.charge(self.half.weight(path, query), time.time())
        if judged.status != 200:
            return judged
        status = self._faults.status(self.name, now_s)
        if status == 418:
            return self._budget.ban(time.time(), self._options.faults.refused_s)
        return judged._replace(status=status, retry_after_s=1)
