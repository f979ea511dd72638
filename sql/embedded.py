"""The embedded store: chDB behind ClickHouse's HTTP interface, as one process that owns a data directory."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import structlog
from aiohttp import web

from sql import data_dir as layout
from sql.engine import MEMORY_BYTES, Engine
from sql.http_front import BODY_BYTES_MAX, Front

DRAIN_S = 5.0

log = structlog.get_logger()


class PortTakenError(RuntimeError):
    """The address to listen on is not to be had."""


def serve(
    data_dir: Path, host: str, port: int, memory_bytes: int = MEMORY_BYTES, until_stdin_closes: bool = False
) -> None:
    """Run the store of `data_dir` until SIGTERM or SIGINT; port 0 takes a free one.

    Raises:
        DataDirError, EngineError, PortTakenError: it cannot start; the message says why.
    """
    with layout.owned(data_dir):
        last_port = layout.last_port(data_dir)
        (data_dir / "store.json").unlink(missing_ok=True)
        passwords = layout.make_credentials(data_dir)
        engine = Engine(data_dir / "store", memory_bytes)
        front = Front(engine, passwords)
        try:
            asyncio.run(_serve(front, engine, data_dir, host, port or last_port, port, until_stdin_closes))
        finally:
            (data_dir / "store.json").unlink(missing_ok=True)
            front.close()
            engine.close()


async def _serve(
    front: Front,
    engine: Engine,
    data_dir: Path,
    host: str,
    port: int,
    fallback_port: int,
    until_stdin_closes: bool,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
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
        url = await _listen(runner, host, port, fallback_port)
        layout.announce(data_dir, url, engine.version)
        log.info("store ready", url=url, data_dir=str(data_dir), engine=engine.version)
        await stop.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, fallback_port: int) -> str:
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
    except OSError as error:
        if port == fallback_port:
            raise PortTakenError(
                f"cannot listen on {host}:{port}: {error.strerror}: choose another --port"
            ) from error
        site = web.TCPSite(runner, host, fallback_port)
        await site.start()
    address = runner.addresses[-1]
    return f"http://{address[0]}:{address[1]}"


def _stop_at_eof(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        stop.set()
