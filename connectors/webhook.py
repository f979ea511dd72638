"""The receiver of TradingView's alerts: HTTP in, lines on topic `alerts_in` out.

An alert is answered 200 once the log has it durably; all that wait share one flush. If the log takes longer than
`ANSWER_S` the answer is 503, on which TradingView delivers again: the alert is on its way to the log meanwhile, so the
next delivery is known for the same one and waits for the same write. After a restart the log's newest lines tell which
alerts were taken. One process receives for a log.
"""

import asyncio
import signal
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from connectors.alert import Address, Deliveries, Gate, Heard, Lockout, Network, Sources, key_of, networks
from connectors.keys import Secret
from connectors.log import ALERTS_IN, HEALTH, Log, Retention
from connectors.outbox import Outbox, Outgoing
from connectors.reconnect import Random
from connectors.record import decode_lines, encode_line
from connectors.telemetry import State, Telemetry, registry

PATH = "/tradingview"
NAME, SYMBOL = "webhook", "tradingview"  # of its feed in the health table
ORIGIN = b"webhook"
BODY_BYTES_MAX = 64 * 1024
BODY_S_MAX = 2.0
ANSWER_S = 0.6  # of waiting for the log: TradingView gives up after 3 s, and a second is promised
QUEUE_BYTES_MAX = 8 << 20
READING_MAX = 256  # bodies read at once
HEALTH_EVERY_S = 1.0
HEALTH_AGE_S_MAX = 86_400

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Webhook:
    """What the process is to do. `proxies` are believed about who asks them; without TLS one of them has to do it."""

    secret: Secret
    log: Log
    random: Random
    host: str = "127.0.0.1"
    port: int = 8088
    allowed: Sequence[Network] = tuple(networks(["tradingview"]))
    proxies: Sequence[Network] = ()
    retention: Retention = Retention(age_s_max=30 * 86_400)
    metrics_port: int | None = None
    tls: ssl.SSLContext | None = None


class RefusedError(Exception):
    """A request that is not taken; `reason` is a fixed word."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Receiver:
    """Judges requests and writes the alerts among them."""

    def __init__(
        self, gate: Gate, sources: Sources, outbox: Outbox, telemetry: Telemetry,
        now_ns: Callable[[], int] = time.time_ns, answer_s: float = ANSWER_S, deliveries: Deliveries | None = None,
    ) -> None:  # fmt: skip
        self._gate, self._sources, self._outbox, self._telemetry = gate, sources, outbox, telemetry
        self._now_ns, self._answer_s = now_ns, answer_s
        self._deliveries = deliveries or Deliveries()
        self._lockout = Lockout()
        self._reading = 0
        self.counts: Counter[str] = Counter()
        self._feed = telemetry.feed(NAME, SYMBOL)
        self._feed.become(State.LIVE)

    def app(self) -> web.Application:
        """The server's application: it judges whatever is asked."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._on_request)
        return app

    def remember(self, bodies: Iterator[tuple[int, bytes]]) -> None:
        """Take alerts of the log, with their receive times in ns, for heard."""
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        now_ns = self._now_ns()
        for recv_ns, body in bodies:
            if now_ns - recv_ns <= self._deliveries.span_ns and not self._deliveries.find(body, now_ns):
                self._deliveries.take(body, recv_ns, done)

    async def _on_request(self, request: web.Request) -> web.Response:
        try:
            outcome = await self._take(request)
        except RefusedError as refused:
            self.counts[refused.reason] += 1
            self._feed.unreadable += 1
            headers = {"Allow": "POST"} if refused.status == 405 else None
            return web.Response(status=refused.status, text=refused.reason, headers=headers)
        self.counts[outcome] += 1
        return web.Response(text=outcome)

    async def _take(self, request: web.Request) -> str:
        source = self._source(request)
        in_path = self._in_path(request)
        body = await self._body(request)
        bare = self._gate.open(body, in_path)
        if bare is None:
            self._lockout.wrong(source, self._now_ns())
            self._feed.complaints += 1
            raise RefusedError(403, "secret")
        if not bare:
            raise RefusedError(400, "empty")
        heard, outcome = self._delivered(bare)
        done, _ = await asyncio.wait({heard.done}, timeout=self._answer_s)
        if not done or heard.done.exception():
            raise RefusedError(503, "log_slow" if not done else "log_failed")
        return outcome

    def _source(self, request: web.Request) -> Address:
        source = self._sources.of(request.remote, request.headers.getall("X-Forwarded-For", ()))
        if source is None or not self._sources.allows(source):
            raise RefusedError(403, "source")
        if self._lockout.holds(source, self._now_ns()):
            raise RefusedError(429, "locked_out")
        return source

    def _in_path(self, request: web.Request) -> str:
        """What the path has after PATH."""
        path = request.path.rstrip("/")
        if path != PATH and (not path.startswith(f"{PATH}/") or "/" in path.removeprefix(f"{PATH}/")):
            raise RefusedError(404, "path")
        if request.method != "POST":
            raise RefusedError(405, "method")
        return path.removeprefix(PATH).removeprefix("/")

    async def _body(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > BODY_BYTES_MAX:
            raise RefusedError(413, "too_large")
        if self._reading >= READING_MAX:
            raise RefusedError(503, "busy")
        self._reading += 1
        try:
            async with asyncio.timeout(BODY_S_MAX):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RefusedError(413, "too_large") from None
        except TimeoutError:
            raise RefusedError(408, "slow_body") from None
        finally:
            self._reading -= 1

    def _delivered(self, bare: bytes) -> tuple[Heard, str]:
        """The alert on its way to the log, or where it already is. No await between the look and the taking."""
        now_ns = self._now_ns()
        if found := self._deliveries.find(bare, now_ns):
            return found, "duplicate"
        if self._outbox.failed.done() or self._outbox.full or self._deliveries.full:
            raise RefusedError(503, "busy")
        self._outbox.put([Outgoing(ALERTS_IN, key_of(bare), encode_line(now_ns, ORIGIN, bare), now_ns)])
        self._feed.received(now_ns, len(bare), 0)
        return self._deliveries.take(bare, now_ns, self._outbox.durable()), "accepted"


class Outcomes(Collector):
    """Requests by outcome, for Prometheus."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The one metric."""
        family = CounterMetricFamily("isotherm_webhook_requests", "requests by outcome", labels=("outcome",))
        for outcome, count in self._counts.items():
            family.add_metric((outcome,), count)
        yield family


async def run(
    webhook: Webhook, stop: asyncio.Event, listening: Callable[[int], Any] = lambda port: None
) -> None:
    """Serve until `stop`, then write what waits; `listening` is told the port.

    Raises:
        LogError: the topic cannot be made, or the log was given up.
        SecretError: the secret is too short.
        OSError: a port is taken.
    """
    gate, log, telemetry = Gate(webhook.secret), webhook.log, Telemetry()
    log.create(ALERTS_IN, 1, webhook.retention)
    log.create(HEALTH, 1, Retention(age_s_max=HEALTH_AGE_S_MAX))
    outbox = Outbox(log, webhook.random, QUEUE_BYTES_MAX)
    receiver = Receiver(gate, Sources(webhook.allowed, webhook.proxies), outbox, telemetry)
    receiver.remember(await asyncio.to_thread(lambda: iter(list(newest(log)))))
    runner = web.AppRunner(receiver.app(), access_log=None, auto_decompress=False, shutdown_timeout=2.0)
    try:
        await runner.setup()
        site = web.TCPSite(runner, webhook.host, webhook.port, ssl_context=webhook.tls)
        with _metrics(webhook.metrics_port, telemetry, receiver):
            await site.start()
            port = runner.addresses[0][1]
            _log.info("receiving alerts", host=webhook.host, port=port, path=PATH)
            listening(port)
            await _until(stop, outbox, telemetry)
    finally:
        await runner.cleanup()
        await outbox.close()


def newest(log: Log) -> Iterator[tuple[int, bytes]]:
    """Receive times in ns and bodies of the alerts that the log keeps, oldest first in each partition."""
    for partition in range(log.topics()[ALERTS_IN]):
        with closing(log.reader(ALERTS_IN, partition)) as reader:
            end = reader.end()
            while reader.offset < end and (records := reader.poll()):
                for record in records:
                    yield from ((line.recv_ns, line.payload) for line in decode_lines(record.body))


async def _until(stop: asyncio.Event, outbox: Outbox, telemetry: Telemetry) -> None:
    """Tell how the feed is until it is to stop, or the log is given up."""
    told_s = time.monotonic()
    stopped = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [stopped, outbox.failed]
    try:
        while not stopped.done() and not outbox.failed.done():
            await asyncio.wait(either, timeout=HEALTH_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            now_s = time.monotonic()
            telemetry.queues[NAME] = {"outbox_bytes": outbox.size}
            outbox.put(telemetry.records(time.time_ns(), max(now_s - told_s, 1e-3)))
            told_s = now_s
    finally:
        stopped.cancel()


@contextmanager
def _metrics(port: int | None, telemetry: Telemetry, receiver: Receiver) -> Iterator[None]:
    if port is None:
        yield
        return
    found: CollectorRegistry = registry(telemetry, time.time_ns)
    found.register(Outcomes(receiver.counts))
    server, thread = start_http_server(port, addr="127.0.0.1", registry=found)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """What serves with that certificate (its chain included) and key, both PEM. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def run_until_signalled(webhook: Webhook) -> None:
    """`run` until SIGTERM or SIGINT. Raises as it does."""

    async def signalled() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(webhook, stop)

    asyncio.run(signalled())
