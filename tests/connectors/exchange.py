"""A scripted exchange on the loopback: toy books behind the sockets and REST paths of both Binance markets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import WSMsgType, web

from connectors.book_sync import Rule
from connectors.endpoint import Endpoint
from tests.connectors.toy_venue import ToyBook, info

STEP_S = 0.01


class Exchange:
    """Serves one symbol set; `answers` may take over a REST path, `mute` silences streams, `refuse` sockets."""

    def __init__(self, symbols: list[str], rule: Rule) -> None:
        self.books = {symbol: ToyBook(at, rule, symbol) for at, symbol in enumerate(symbols)}
        self.sockets: list[web.WebSocketResponse] = []
        self.streams: dict[web.WebSocketResponse, list[str]] = {}
        self.opened: list[str] = []
        self.pongs = 0
        self.requests: Counter[str] = Counter()
        self.answers: dict[str, Callable[[web.Request], web.Response | None]] = {}
        self.mute: set[str] = set()
        self.refuse = 0  # status of handshakes
        self.trade_id = 0
        self.port = 0
        self.playing = asyncio.Event()
        self.playing.set()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"ws://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.port}")

    def step(self) -> list[tuple[str, bytes]]:
        """One change of every book and a trade of each."""
        frames = []
        for symbol, book in self.books.items():
            self.trade_id += 1
            frames += [
                (f"{symbol.lower()}@depth@100ms", book.diff()),
                (f"{symbol.lower()}@aggTrade", book.trade(self.trade_id)),
                (f"{symbol.lower()}@markPrice@1s", book.mark()),
            ]
        return frames

    async def play(self) -> None:
        while await self.playing.wait():
            await self.send(self.step())
            await asyncio.sleep(STEP_S)

    async def send(self, frames: list[tuple[str, bytes]]) -> None:
        for stream, payload in frames:
            for socket in list(self.sockets):
                if stream in self.streams[socket] and stream not in self.mute and not socket.closed:
                    with suppress(ConnectionError):
                        await socket.send_frame(payload, WSMsgType.TEXT)

    async def everyone(self, payload: bytes) -> None:
        for socket in list(self.sockets):
            await socket.send_frame(payload, WSMsgType.TEXT)

    async def everyone_pings(self) -> None:
        for socket in list(self.sockets):
            await socket.ping(b"are you there")

    def cut(self) -> None:
        """End every connection as a failing network does."""
        for socket in list(self.sockets):
            socket._req.transport.abort()

    async def on_socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            return web.Response(status=self.refuse)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.streams[socket] = request.query["streams"].split("/")
        self.sockets.append(socket)
        self.opened.append(request.path_qs)
        try:
            async for message in socket:
                self.pongs += message.type == WSMsgType.PONG
        finally:
            self.sockets.remove(socket)
        return socket

    async def on_request(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        self.requests[name] += 1
        if name in self.answers and (answer := self.answers[name](request)):
            return answer
        if name == "depth":
            body = self.books[request.query["symbol"]].snapshot(int(request.query["limit"]))
        else:
            body = info(list(self.books))
        return web.Response(body=body, headers={"X-MBX-USED-WEIGHT-1M": str(self.requests.total())})


@asynccontextmanager
async def serving(
    symbols: list[str], rule: Rule = Rule.NEXT_ID, *, play: bool = True
) -> AsyncIterator[Exchange]:
    """An exchange that serves, and plays unless told not to."""
    exchange = Exchange(symbols, rule)
    app = web.Application()
    for path in ("/stream", "/public/stream", "/market/stream"):
        app.router.add_get(path, exchange.on_socket)
    for path in ("/api/v3/{name}", "/fapi/v1/{name}", "/{name}"):
        app.router.add_get(path, exchange.on_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    exchange.port = runner.addresses[0][1]
    player = asyncio.create_task(exchange.play()) if play else None
    try:
        yield exchange
    finally:
        if player is not None:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)
        exchange.cut()
        await runner.cleanup()
