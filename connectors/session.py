"""The one socket loop: it connects, stamps and hands on; what to do is decided by the pure classes it drives.

A lane (`connectors.lane`) is held open: a lost connection is opened again after a wait with full jitter, an old one
is replaced before the venue closes it, at once when the venue says so or when one of its books falls silent.
Frames go to the publisher, its records to the outbox; while that is full no socket is read. What is said over a
connection is up to its `Dialogue`; a venue that refuses the key or the address is left alone for ten minutes.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from urllib.parse import quote

import aiohttp
import structlog
from msgspec import json

from connectors.connection import Connection, Socket
from connectors.endpoint import Endpoint, redacted
from connectors.lane import Lane, lanes
from connectors.listing import Listing
from connectors.outbox import Outbox
from connectors.publisher import BOOK_EVERY_S, Publisher
from connectors.reconnect import Allowance, Backoff, rollover_s
from connectors.rest import Gate, Rest, RestError
from connectors.snapshots import Snapshots
from connectors.subscriptions import Renewals
from connectors.telemetry import State, Telemetry
from connectors.venue import Instrument, Market, ParseError, Reply

# Statuses of a handshake that no haste will mend: the key, the plan, the address.
FATAL = (401, 402, 403)
MESSAGE_BYTES_MAX = 32 << 20  # the venue is told 1009 for more
CLOSE_S = 2.0

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
    answer_s: float = 10.0  # to a login, or of a snapshot to a subscription
    barred_s: float = 600.0  # a venue that refuses us is left alone
    connection_s: float | None = None  # None: the venue's
    silence_factor: float = 1.0


class Session:
    """One market, live. `run` ends when it is cancelled, or with an error that nothing here can mend.

    `key` is the secret of a market with `Live.key_env`: without it the market is down, and nothing is tried.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - it joins all parts of a market
        self,
        market: Market,
        endpoint: Endpoint,
        symbols: Sequence[str],
        http: aiohttp.ClientSession,
        outbox: Outbox,
        telemetry: Telemetry,
        partitions: int,
        timing: Timing = Timing(),
        key: str = "",
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
        self._listing = Listing(market, self._symbols, self._rest)
        self._key = key
        self._opened = 0
        self._barred_until_s = 0.0
        self._current: dict[Lane, Connection] = {}
        self._connections: dict[bytes, Connection] = {}
        self._publisher: Publisher
        self._snapshots: Snapshots
        self._renewals = Renewals(
            random.random, (timing.backoff_base_s, timing.backoff_cap_s), timing.answer_s
        )
        self._log = _log.bind(venue=market.name)

    async def run(self) -> None:
        """Hold the market's sockets and publish.

        Raises:
            LogError: the log was given up.
        """
        for symbol in self._symbols:
            self._telemetry.feed(self._market.name, symbol)
        if self._live.key_env is not None and not self._key:
            self._down(f"no key: set {self._live.key_env}")
            return
        instruments = await self._instruments_in_time()
        held = lanes(self._market, self._listing.known(instruments, self._telemetry))
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
                if self._live.instruments is not None:
                    tasks.create_task(self._refresh(known=bool(instruments)))
        finally:
            self._outbox.put(self._publisher.take(cut=True))

    def _down(self, reason: str) -> None:
        self._log.error("market is down", reason=reason)
        for symbol in self._symbols:
            self._telemetry.feed(self._market.name, symbol).become(State.DOWN, reason)

    # Instruments.

    async def _instruments_in_time(self) -> list[Instrument]:
        """Those followed; none if the venue does not answer soon: then ticks are inferred until it does."""
        try:
            async with asyncio.timeout(self._timing.instruments_wait_s):
                return await self._listing.fetch()
        except (TimeoutError, RestError, ParseError) as error:
            self._log.warning("no instruments yet", error=str(error) or type(error).__name__)
            return []

    async def _refresh(self, *, known: bool) -> None:
        backoff = Backoff(random.random, 5.0, self._timing.instruments_every_s)
        while True:
            await asyncio.sleep(self._timing.instruments_every_s if known else backoff.failed())
            try:
                self._publisher.on_instruments(time.time_ns(), await self._listing.fetch())
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

    async def _is_due(self, connection: Connection) -> bool:
        """Wait until the connection ends (False) or is to be replaced (True)."""
        age_s = rollover_s(self._timing.connection_s or self._live.connection_s, random.random)
        due = asyncio.ensure_future(connection.due.wait())
        assert connection.reader is not None
        left_s = max(0.0, connection.opened_s + age_s - time.monotonic())
        try:
            await asyncio.wait(
                (connection.reader, due),
                timeout=left_s if isfinite(left_s) else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            due.cancel()
        return not connection.reader.done()

    async def _succeed(self, old: Connection, backoff: Backoff, tasks: asyncio.TaskGroup) -> Connection:
        """Replace a connection: the new one is open before the old one is closed."""
        fresh = await self._open(old.lane, backoff, tasks)
        assert old.reader is not None and fresh.reader is not None
        until_s = time.monotonic() + self._timing.overlap_s
        while time.monotonic() < until_s and not old.lane.handed_over:
            if old.reader.done() or fresh.reader.done():
                break
            await asyncio.sleep(self._timing.cut_s)
            if not fresh.dialogue.settled:
                until_s = time.monotonic() + self._timing.overlap_s
        if fresh.reader.done() and not old.reader.done():
            await asyncio.sleep(backoff.failed())
            return old
        if not old.reader.done():
            self._publisher.hand_over(old.lane, time.time_ns())
            await old.end("replaced")
        return fresh

    async def _open(self, lane: Lane, backoff: Backoff, tasks: asyncio.TaskGroup) -> Connection:
        """A new connection of the lane, being read; waits and tries until there is one."""
        url = self._endpoint.ws_url + self._live.socket_url(lane.path, list(lane.channels), self._key)
        while True:
            while wait_s := max(0.0, self._barred_until_s - time.monotonic()):  # noqa: ASYNC110 - the time sets it
                await asyncio.sleep(wait_s)
            try:
                socket = await self._connect(url)
                break
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                wait_s, reason = max(backoff.failed(), _retry_after_s(error)), _described(error)
                if isinstance(error, aiohttp.WSServerHandshakeError) and error.status in FATAL:
                    wait_s = max(wait_s, self._timing.barred_s)
            self._publisher.unreachable(lane, reason)
            self._log.warning("cannot connect", url=redacted(url), reason=reason, again_in_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
        self._opened += 1
        now_s = time.monotonic()
        connection = Connection(lane, b"ws-%d" % self._opened, socket, self._live, self._key, now_s)
        self._log.info(
            "connected", url=redacted(url), streams=len(lane.channels), origin=connection.origin.decode()
        )
        self._publisher.opened(lane, connection.origin, now_s)
        self._connections[connection.origin] = connection
        connection.reader = tasks.create_task(self._read(connection))
        self._renewals.expect(lane.books, inf)
        connection.speaker = tasks.create_task(self._speak(connection))
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

    async def _speak(self, connection: Connection) -> None:
        """Say what is to be said until the connection ends; then books that are not told are asked for anew."""
        async for _ in connection.speak(self._timing.answer_s):
            self._renewals.expect(connection.lane.books, time.monotonic())

    async def _read(self, connection: Connection) -> None:
        """Publish what arrives until the connection ends; pings are answered by `receive`."""
        lane, origin, socket, outbox = connection.lane, connection.origin, connection.socket, self._outbox
        receive, publish, now_ns = socket.receive, self._publisher.on_frame, time.time_ns
        secrets = _spellings(self._key)
        data = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        try:
            while True:
                message = await receive()
                recv_ns = now_ns()
                if message.type not in data:
                    break
                payload = message.data
                for secret in secrets:
                    payload = payload.replace(secret, b"***")
                head = publish(lane, origin, recv_ns, payload)
                if head.closing:
                    self._log.info("the venue announces the end of a connection", origin=origin.decode())
                    connection.due.set()
                if head.reply is not None and not self._goes_on(connection, head.reply):
                    break
                if outbox.full:
                    await outbox.room()
        except asyncio.CancelledError:
            connection.reason = "connector stopped"
            raise
        finally:
            reason = connection.reason or f"connection closed, code {socket.close_code}"
            del self._connections[origin]
            if connection.speaker is not None:
                connection.speaker.cancel()
            self._publisher.lost(lane, origin, time.time_ns(), reason)
            self._log.info("disconnected", origin=origin.decode(), reason=reason)
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                await socket.close()

    def _goes_on(self, connection: Connection, reply: Reply) -> bool:
        """Take note of an answer; False if the connection is of no use."""
        if reply.ready:
            connection.dialogue.begin()
            connection.news.set()
        if reply.error:
            self._log.warning(
                "the venue refuses",
                reason=reply.error,
                symbols=reply.refused,
                origin=connection.origin.decode(),
            )
        if reply.fatal:
            self._barred_until_s = time.monotonic() + self._timing.barred_s
            connection.reason = reply.error or "refused by the venue"
        return not reply.fatal

    # Timers.

    async def _cut(self, tasks: asyncio.TaskGroup) -> None:
        """Records leave after at most `cut_s`, and with them the time; snapshots are asked for as soon."""
        while True:
            await asyncio.sleep(self._timing.cut_s)
            self._publisher.tell_time(time.time_ns())
            self._outbox.put(self._publisher.take(cut=True))
            if self._outbox.failed.done():
                self._outbox.failed.result()
            if self._live.snapshot is not None:
                self._snapshots.ask(tasks)
            else:
                self._renew(time.monotonic())

    def _renew(self, now_s: float) -> None:
        """Follow anew the streams whose books wait for a snapshot."""
        waiting = self._publisher.streams_due()
        for symbol in self._renewals.due(waiting, now_s):
            origin, stream = waiting[symbol]
            if (connection := self._connections.get(origin)) is not None:
                self._log.info("book asked for anew", symbol=symbol, origin=origin.decode())
                connection.dialogue.renew(stream)
                connection.news.set()

    async def _tick(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self._timing.tick_s)
            for alarm in self._publisher.on_second(time.monotonic(), time.time_ns()):
                self._log.warning("silence", reason=alarm.reason, path=alarm.lane.path)
                if (connection := self._current.get(alarm.lane)) is None:
                    continue
                if alarm.dead:
                    tasks.create_task(connection.end(alarm.reason))
                else:
                    connection.due.set()
            self._telemetry.queues[self._market.name] = {
                "outbox_bytes": self._outbox.size,
                "rest_waiting": self._rest.waiting,
                "rest_weight_used": self._rest.gate.used(time.monotonic()),
            }


def _spellings(key: str) -> set[bytes]:
    """How a venue may repeat the key when it refuses it: as it is, as in an address, as in JSON."""
    found = {key, quote(key, safe=""), json.encode(key).decode()[1:-1]} if key else ()
    return {spelling.encode() for spelling in found}


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
