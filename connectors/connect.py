"""The live connector process: markets and polled feeds on one event loop, one outbox, one health report."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog
from prometheus_client import start_http_server

from connectors.access import Access
from connectors.api import Api
from connectors.budget import Budget
from connectors.endpoint import Endpoint
from connectors.log import HEALTH, Log, Retention
from connectors.outbox import Outbox
from connectors.poller import Poller
from connectors.reconnect import Random
from connectors.rest import TIMEOUT_S
from connectors.session import Session, Timing
from connectors.telemetry import Telemetry, registry
from connectors.venue import Market
from connectors.windows import fetch_windows

HEALTH_EVERY_S = 1.0
HEALTH_AGE_S_MAX = 86_400
WINDOWS_EVERY_S = 300.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FollowedMarket:
    """One market to follow; without symbols those of the market. `key` is that of `Live.key_env`, "" without."""

    market: Market
    endpoint: Endpoint
    symbols: Sequence[str] = ()
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Connector:
    """What the process is to do. Topics that are missing get `partitions` (of polled feeds one) and `retention`.

    `budgets` is the file that holds what the keys of the feeds have used. From the feeds `history` comes, at the start,
    what correlation looks back on; `data_dir` remembers what was fetched.
    """

    markets: Sequence[FollowedMarket]
    log: Log
    random: Random
    partitions: int = 4
    retention: Retention = Retention()
    metrics_port: int | None = None
    timing: Timing = field(default_factory=Timing)
    feeds: Sequence[Access] = ()
    budgets: Path = Path(":memory:")
    history: Sequence[Access] = ()
    data_dir: Path = Path()


async def run(connector: Connector, stop: asyncio.Event) -> Telemetry:
    """Connect and publish until `stop`; then sockets are closed and the log is flushed.

    Raises:
        BudgetError: the file of the budgets cannot be used.
        LogError: a topic cannot be made, or the log was given up.
        OSError: the metrics port is taken.
    """
    log, telemetry = connector.log, Telemetry()
    for followed in connector.markets:
        log.create(followed.market.topic, connector.partitions, connector.retention)
    for access in connector.feeds:
        log.create(access.feed.topic, 1, connector.retention)
    log.create(HEALTH, 1, Retention(age_s_max=HEALTH_AGE_S_MAX))
    with _metrics(connector.metrics_port, telemetry):
        outbox = Outbox(log, connector.random)
        try:
            await _run(connector, outbox, telemetry, log.topics(), stop)
        finally:
            await outbox.close()
    return telemetry


@contextmanager
def _metrics(port: int | None, telemetry: Telemetry) -> Iterator[None]:
    """Serve them while the block runs."""
    if port is None:
        yield
        return
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry(telemetry, time.time_ns))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _run(
    connector: Connector,
    outbox: Outbox,
    telemetry: Telemetry,
    partitions: Mapping[str, int],
    stop: asyncio.Event,
) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_report(outbox, telemetry))]
        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        running += [tasks.create_task(x.run()) for x in _pollers(connector, http, outbox, telemetry, turns)]
        running.append(tasks.create_task(_fetch_windows(connector, telemetry, turns)))
        for one in connector.markets:
            session = Session(
                one.market, one.endpoint, one.symbols or one.market.live.symbols, http, outbox, telemetry,
                partitions[one.market.topic], connector.timing, one.key,
            )  # fmt: skip
            running.append(tasks.create_task(session.run()))
        await stop.wait()
        _log.info("stopping")
        for task in running:
            task.cancel()


async def _fetch_windows(
    connector: Connector, telemetry: Telemetry, turns: Mapping[str, asyncio.Lock]
) -> None:
    """At the start, and again and again what has been added since: bars that no stream tells, or that it missed."""
    followed = [(x.market, x.symbols or x.market.live.symbols) for x in connector.markets]
    while connector.history:
        began_s = time.monotonic()
        await fetch_windows(
            followed, connector.history, connector.log, connector.data_dir, connector.random, turns, health=telemetry
        )  # fmt: skip
        await asyncio.sleep(max(0.0, began_s + WINDOWS_EVERY_S - time.monotonic()))


def _pollers(
    connector: Connector,
    http: aiohttp.ClientSession,
    outbox: Outbox,
    telemetry: Telemetry,
    turns: Mapping[str, asyncio.Lock],
) -> Iterator[Poller]:
    """One a feed. Those that share a key take `turns`, and plan with what the others poll."""
    polls = {x.feed.name: x.feed.polls(x.chosen) for x in connector.feeds}
    for access in connector.feeds:
        name = access.feed.name
        if not polls[name]:
            _log.warning("nothing to poll: it tells history only, or needs symbols or a path", feed=name)
            continue
        beside = [
            poll for x in connector.feeds if x.account == access.account and x.feed.name != name
            for poll in polls[x.feed.name]
        ]  # fmt: skip
        budget = Budget(connector.budgets, access.account, access.plan)
        api = Api(access, http, budget, connector.random, turns[access.account])
        yield Poller(api, polls[name], outbox, telemetry, connector.random, beside)


async def _report(outbox: Outbox, telemetry: Telemetry) -> None:
    told_s = time.monotonic()
    while True:
        await asyncio.sleep(HEALTH_EVERY_S)
        now_s = time.monotonic()
        outbox.put(telemetry.records(time.time_ns(), now_s - told_s))
        told_s = now_s


def run_until_signalled(connector: Connector) -> None:
    """`run` until SIGTERM or SIGINT.

    Raises:
        BudgetError, LogError, OSError: as `run`.
    """
    asyncio.run(_signalled(connector))


async def _signalled(connector: Connector) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(connector, stop)
