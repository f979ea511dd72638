"""The one socket loop: it connects, stamps and hands on; what to do is decided by the pure classes it drives.

A lane (`connectors.lane`) is held open: a lost connection is opened again after a wait with full jitter, an old one
is replaced before the venue closes it, at once when the venue says so or when one of its books falls silent.
Frames go to the publisher, its records to the outbox; while that is full no socket is read.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import aiohttp
import structlog

from connectors.endpoint import Endpoint, redacted
from connectors.lane import Lane, lanes
from connectors.outbox import Outbox
from connectors.publisher import BOOK_EVERY_S, Publisher
from connectors.reconnect import Allowance, Backoff, rollover_s
from connectors.rest import Gate, Rest, RestError
from connectors.snapshots import Snapshots
from connectors.telemetry import State, Telemetry
from connectors.venue import Instrument, Market, ParseError

MESSAGE_BYTES_MAX = 32 << 20  # the venue is told 1009 for more
CLOSE_S = 2.0

Socket = aiohttp.ClientWebSocketResponse[Literal[False]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Spans in seconds."""

    cut_s: float = 0.03
    tick_s: float = 1.0
    connect_s: float = 10.0
    overlap_s: float = 5.0  # of two connections of a lane
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    healthy_s: float = 60.0
    instruments_wait_s: float = 10.0  # the sockets open without what the venue says of its instruments
    instruments_every_s: float = 3600.0
    book_every_s: float = BOOK_EVERY_S
    connection_s: float | None = None  # None: the venue's
    silence_factor: float = 1.0


class _Connection:
    """One open socket of a lane."""

    def __init__(self, lane: Lane, origin: bytes, socket: Socket) -> None:
        self.lane, self.origin, self.socket = lane, origin, socket
        self.opened_s = time.monotonic()
        self.due = asyncio.Event()  # it is to be replaced
        self.reason = ""
        self.reader: asyncio.Task[None] | None = None


class Session:
    """One market, live. `run` ends when it is cancelled, or with an error that nothing here can mend."""

    def __init__(
        self,
        market: Market,
        endpoint: Endpoint,
        symbols: Sequence[str],
        http: aiohttp.ClientSession,
        outbox: Outbox,
        telemetry: Telemetry,
        partitions: int,
        timing: Timing = Timing(),
    ) -> None:
        self._market, self._live, self._endpoint = market, market.live, endpoint
        self._symbols = list(symbols)
        self._http, self._outbox, self._telemetry = http, outbox, telemetry
        self._partitions, self._timing = partitions, timing
        self._connects = Allowance(self._live.connects_max, self._live.connects_span_s)
        self._rest = Rest(
            http, endpoint.rest_url, Gate(self._live.weight_per_minute), self._live.weight_header, random.random,
            (timing.backoff_base_s, timing.backoff_cap_s),
        )  # fmt: skip
        self._opened = 0
        self._current: dict[Lane, _Connection] = {}
        self._publisher: Publisher
        self._snapshots: Snapshots
        self._log = _log.bind(venue=market.name)

    async def run(self) -> None:
        """Hold the market's sockets and publish.

        Raises:
            LogError: the log was given up.
        """
        for symbol in self._symbols:
            self._telemetry.feed(self._market.name, symbol)
        instruments = await self._instruments_in_time()
        held = lanes(self._market, self._known(instruments))
        self._publisher = Publisher(
            self._market, held, self._telemetry, self._partitions, time.monotonic(),
            self._timing.book_every_s, self._timing.silence_factor,
        )  # fmt: skip
        backoff_s = (self._timing.backoff_base_s, self._timing.backoff_cap_s)
        self._snapshots = Snapshots(self._live, self._publisher, self._rest, random.random, backoff_s)
        self._publisher.begin(time.time_ns())
        self._publisher.on_instruments(time.time_ns(), instruments)
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in held:
                    tasks.create_task(self._hold(lane, tasks))
                tasks.create_task(self._cut(tasks))
                tasks.create_task(self._tick(tasks))
                tasks.create_task(self._refresh(known=bool(instruments)))
        finally:
            self._outbox.put(self._publisher.take(cut=True))

    # Instruments.

    async def _instruments_in_time(self) -> list[Instrument]:
        """Those followed; none if the venue does not answer soon: then ticks are inferred until it does."""
        try:
            async with asyncio.timeout(self._timing.instruments_wait_s):
                return await self._instruments()
        except (TimeoutError, RestError, ParseError) as error:
            self._log.warning("no instruments yet", error=str(error) or type(error).__name__)
            return []

    async def _instruments(self) -> list[Instrument]:
        """What the venue says of the symbols followed; without those it does not know."""
        try:
            return await self._asked(self._symbols)
        except RestError as error:
            if error.status != 400 or len(self._symbols) == 1:
                raise
            # One unknown symbol spoils the request for all of them.
            return [each for symbol in self._symbols for each in await self._instrument(symbol)]

    async def _instrument(self, symbol: str) -> list[Instrument]:
        try:
            return await self._asked([symbol])
        except RestError as error:
            if error.status != 400:
                raise
            return []

    async def _asked(self, symbols: Sequence[str]) -> list[Instrument]:
        if self._live.instruments is None:
            return []
        bodies = [(await self._rest.get(each)).body for each in self._live.instruments(list(symbols))]
        return [each for body in bodies for each in self._followed(body)]

    def _followed(self, body: bytes) -> list[Instrument]:
        return [each for each in self._market.instruments(body) if each.symbol in self._symbols]

    def _known(self, instruments: list[Instrument]) -> list[str]:
        if not instruments:
            return self._symbols
        known = {instrument.symbol for instrument in instruments}
        for symbol in self._symbols:
            if symbol not in known:
                self._telemetry.feed(self._market.name, symbol).become(State.DOWN, "unknown to the venue")
                self._log.error("the venue does not know this symbol", symbol=symbol)
        return [symbol for symbol in self._symbols if symbol in known]

    async def _refresh(self, *, known: bool) -> None:
        backoff = Backoff(random.random, 5.0, self._timing.instruments_every_s)
        while True:
            await asyncio.sleep(self._timing.instruments_every_s if known else backoff.failed())
            try:
                self._publisher.on_instruments(time.time_ns(), await self._instruments())
                known = True
            except (RestError, ParseError) as error:
                known = False
                self._log.warning("no instruments", error=str(error))

    # Sockets.

    async def _hold(self, lane: Lane, tasks: asyncio.TaskGroup) -> None:
        """Keep the lane's socket open, for ever."""
        backoff = Backoff(
            random.random, self._timing.backoff_base_s, self._timing.backoff_cap_s, self._timing.healthy_s
        )
        current = await self._open(lane, backoff, tasks)
        while True:
            self._current[lane] = current
            if await self._is_due(current):
                current = await self._succeed(current, backoff, tasks)
            else:
                healthy_s = time.monotonic() - current.opened_s
                await asyncio.sleep(backoff.failed(healthy_s))
                current = await self._open(lane, backoff, tasks)

    async def _is_due(self, connection: _Connection) -> bool:
        """Wait until the connection ends (False) or is to be replaced (True)."""
        age_s = rollover_s(self._timing.connection_s or self._live.connection_s, random.random)
        due = asyncio.ensure_future(connection.due.wait())
        assert connection.reader is not None
        left_s = connection.opened_s + age_s - time.monotonic()
        try:
            await asyncio.wait(
                (connection.reader, due), timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            due.cancel()
        return not connection.reader.done()

    async def _succeed(self, old: _Connection, backoff: Backoff, tasks: asyncio.TaskGroup) -> _Connection:
        """Replace a connection: the new one is open before the old one is closed."""
        fresh = await self._open(old.lane, backoff, tasks)
        assert old.reader is not None and fresh.reader is not None
        until_s = time.monotonic() + self._timing.overlap_s
        while time.monotonic() < until_s and not old.lane.handed_over:
            if old.reader.done() or fresh.reader.done():
                break
            await asyncio.sleep(self._timing.cut_s)
        if fresh.reader.done() and not old.reader.done():
            await asyncio.sleep(backoff.failed())
            return old
        if not old.reader.done():
            self._publisher.hand_over(old.lane)
            await self._end(old, "replaced")
        return fresh

    async def _open(self, lane: Lane, backoff: Backoff, tasks: asyncio.TaskGroup) -> _Connection:
        """A new connection of the lane, being read; waits and tries until there is one."""
        url = self._endpoint.ws_url + self._live.socket_url(lane.path, list(lane.channels), "")
        while True:
            try:
                socket = await self._connect(url)
                break
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                wait_s, reason = max(backoff.failed(), _retry_after_s(error)), _described(error)
            self._publisher.unreachable(lane, reason)
            self._log.warning("cannot connect", url=redacted(url), reason=reason, again_in_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
        self._opened += 1
        connection = _Connection(lane, b"ws-%d" % self._opened, socket)
        self._log.info(
            "connected", url=redacted(url), streams=len(lane.channels), origin=connection.origin.decode()
        )
        self._publisher.opened(lane, connection.origin, time.monotonic())
        connection.reader = tasks.create_task(self._read(connection))
        return connection

    async def _connect(self, url: str) -> Socket:
        while wait_s := self._connects.take(time.monotonic()):  # noqa: ASYNC110 - the time sets it
            await asyncio.sleep(wait_s)
        try:
            async with asyncio.timeout(self._timing.connect_s):
                return await self._http.ws_connect(
                    url,
                    max_msg_size=MESSAGE_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    decode_text=False,
                )
        finally:
            self._connects.settle(time.monotonic())

    async def _read(self, connection: _Connection) -> None:
        """Publish what arrives until the connection ends; pings are answered by `receive`."""
        lane, origin, socket, outbox = connection.lane, connection.origin, connection.socket, self._outbox
        receive, publish, now_ns = socket.receive, self._publisher.on_frame, time.time_ns
        data = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        try:
            while True:
                message = await receive()
                recv_ns = now_ns()
                if message.type not in data:
                    break
                if publish(lane, origin, recv_ns, message.data):
                    self._log.info("the venue announces the end of a connection", origin=origin.decode())
                    connection.due.set()
                if outbox.full:
                    await outbox.room()
        except asyncio.CancelledError:
            connection.reason = "connector stopped"
            raise
        finally:
            reason = connection.reason or f"connection closed, code {socket.close_code}"
            self._publisher.lost(lane, origin, time.time_ns(), reason)
            self._log.info("disconnected", origin=origin.decode(), reason=reason)
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                await socket.close()

    async def _end(self, connection: _Connection, reason: str) -> None:
        connection.reason = reason
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            await connection.socket.close()

    # Timers.

    async def _cut(self, tasks: asyncio.TaskGroup) -> None:
        """Records leave after at most `cut_s`, and with them the time; snapshots are asked for as soon."""
        while True:
            await asyncio.sleep(self._timing.cut_s)
            self._publisher.tell_time(time.time_ns())
            self._outbox.put(self._publisher.take(cut=True))
            if self._outbox.failed.done():
                self._outbox.failed.result()
            self._snapshots.ask(tasks)

    async def _tick(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self._timing.tick_s)
            for alarm in self._publisher.on_second(time.monotonic(), time.time_ns()):
                self._log.warning("silence", reason=alarm.reason, path=alarm.lane.path)
                if (connection := self._current.get(alarm.lane)) is None:
                    continue
                if alarm.dead:
                    tasks.create_task(self._end(connection, alarm.reason))
                else:
                    connection.due.set()
            self._telemetry.queues[self._market.name] = {
                "outbox_bytes": self._outbox.size,
                "rest_waiting": self._rest.waiting,
                "rest_weight_used": self._rest.gate.used(time.monotonic()),
            }


def _retry_after_s(error: BaseException) -> float:
    """What a refused handshake asks for; 0.0 if nothing."""
    if not isinstance(error, aiohttp.WSServerHandshakeError) or error.headers is None:
        return 0.0
    with suppress(ValueError):
        return min(max(0.0, float(error.headers.get("Retry-After", "0"))), 86_400.0)
    return 0.0


def _described(error: BaseException) -> str:
    """What went wrong, without the address, which may bear a secret."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"handshake refused with status {error.status}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
