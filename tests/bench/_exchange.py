"""A loopback exchange in a process of its own that sends the recording's frames as fast as they are taken.

Binance serves books and trades of futures on two sockets, and so does this. The recording's book stream takes the name
of the one a connector asks for, its trades are told as aggregated ones; what a connector does not ask for is left out.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from connectors.endpoint import Endpoint
from tests.bench._recording import KEY, lines
from tests.connectors.toy_venue import info

SYMBOL = KEY.decode()
BOOK, TRADES = "btcusdt@depth@100ms", "btcusdt@aggTrade"
START_S_MAX = 60


def frames(seconds: float | None) -> dict[str, list[bytes]]:
    """The frames of each stream."""
    found: dict[str, list[bytes]] = {BOOK: [], TRADES: []}
    for line in lines(seconds):
        head = line.payload[:40]
        if b"@depth" in head:
            found[BOOK].append(line.payload.replace(b"@depth@0ms", b"@depth@100ms", 1))
        elif b"@trade" in head:
            found[TRADES].append(_aggregated(line.payload))
    return found


def _aggregated(payload: bytes) -> bytes:
    trade: dict[str, Any] = msgspec.json.decode(payload)["data"]
    number = trade.pop("t")
    del trade["X"]
    data = trade | {"e": "aggTrade", "a": number, "f": number, "l": number}
    return msgspec.json.encode({"stream": TRADES, "data": data})


@contextmanager
def serving(seconds: float | None) -> Iterator[Endpoint]:
    """Where the exchange is reached."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, seconds), daemon=True)
    process.start()
    try:
        if not ours.poll(START_S_MAX):
            raise RuntimeError(f"expected the exchange to serve within {START_S_MAX} s")
        port = ours.recv()
        yield Endpoint(f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.join()


def _run(pipe: Connection, seconds: float | None) -> None:
    asyncio.run(_serve(pipe, seconds))


async def _serve(pipe: Connection, seconds: float | None) -> None:
    by_stream = frames(seconds)
    snapshot = next(x.payload for x in lines(seconds) if x.payload.startswith(b'{"lastUpdateId'))

    async def on_socket(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for stream in request.query["streams"].split("/"):
            for payload in by_stream.get(stream, ()):
                await socket.send_frame(payload, WSMsgType.TEXT)
        await socket.receive()
        return socket

    async def on_request(request: web.Request) -> web.Response:
        is_depth = request.path.endswith("/depth")
        return web.Response(body=snapshot if is_depth else info([SYMBOL]))

    app = web.Application()
    for path in ("/public/stream", "/market/stream"):
        app.router.add_get(path, on_socket)
    app.router.add_get("/fapi/v1/{name}", on_request)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()
