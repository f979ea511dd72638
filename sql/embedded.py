"""The embedded store: chDB behind ClickHouse's HTTP interface, as one process that owns a data directory."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from sql import data_dir as layout
from sql.data_dir import DataDirError
from sql.engine import Engine
from sql.guard import MEMORY_BYTES
from sql.http_front import Front

# Twice this for statements that run: inserts get through, and what does not was never acknowledged.
DRAIN_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run a store."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0  # 0: the one a killed store left behind, else a free one
    memory_bytes: int = MEMORY_BYTES  # for all statements together
    until_stdin_closes: bool = False  # end with the process at the other end of standard input


def serve(settings: Settings) -> None:
    """Run the store of a data directory until SIGTERM or SIGINT.

    Raises:
        DataDirError: it cannot start; the message says why.
    """
    data_dir = settings.data_dir.absolute()
    with layout.owned(data_dir):
        port = settings.port or layout.last_port(data_dir)
        announced = data_dir / layout.ANNOUNCED
        announced.unlink(missing_ok=True)
        engine = Engine(data_dir / "store", settings.memory_bytes)
        front = Front(engine, layout.make_credentials(data_dir))
        try:
            asyncio.run(_serve(front, engine.version, settings, port))
        finally:
            announced.unlink(missing_ok=True)
            front.close()
            engine.close()


async def _serve(front: Front, version: str, settings: Settings, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _stop_at_eof, stop)
    runner = web.AppRunner(
        front.application(),
        auto_decompress=False,
        handler_cancellation=True,
        shutdown_timeout=DRAIN_S,
        access_log=None,
    )
    await runner.setup()
    try:
        await _listen(runner, settings, port)
        host, bound = runner.addresses[0][:2]
        url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        layout.announce(settings.data_dir, url, version)
        log.info("store ready", url=url, data_dir=str(settings.data_dir), engine=version)
        await stop.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings, port: int) -> None:
    try:
        await web.TCPSite(runner, settings.host, port).start()
    except OSError as error:
        if port == settings.port:
            address = f"{settings.host}:{port}"
            raise DataDirError(
                f"cannot listen on {address}: {error.strerror}: choose another --port"
            ) from error
        await web.TCPSite(runner, settings.host, 0).start()


def _stop_at_eof(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        stop.set()
