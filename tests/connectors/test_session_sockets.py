"""Control frames over true sockets: what virtual time leaves out."""

import asyncio
from pathlib import Path

import aiohttp
from aiohttp import WSMsgType, web

from connectors.book_sync import Rule
from connectors.endpoint import Endpoint
from connectors.file_log import FileLog
from connectors.outbox import Outbox
from connectors.session import Session, Timing
from connectors.telemetry import State, Telemetry
from tests.connectors.toy_streams import ToyExchange, toy, with_live

KEY = 'planted"key/0123456789'
TIMING = Timing(cut_s=0.005, tick_s=0.02, overlap_s=0.3, backoff_base_s=0.02, backoff_cap_s=0.1, barred_s=0.2)


class Server:
    """A toy exchange behind a WebSocket; text frames alone are taken."""

    def __init__(self, exchange: ToyExchange) -> None:
        self.exchange = exchange
        self.wanted: dict[web.WebSocketResponse, set[str]] = {}

    async def on_socket(self, request: web.Request) -> web.WebSocketResponse:
        socket, wanted = web.WebSocketResponse(), set()
        await socket.prepare(request)
        self.wanted[socket] = wanted
        async for message in socket:
            assert message.type == WSMsgType.TEXT
            for reply in self.exchange.answer(wanted, message.data.encode()):
                await socket.send_frame(reply, WSMsgType.TEXT)
        del self.wanted[socket]
        return socket

    async def play(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            for stream, payload in self.exchange.step() if self.wanted else []:
                for socket, wanted in list(self.wanted.items()):
                    if stream in wanted:
                        await socket.send_frame(payload, WSMsgType.TEXT)


def test_login_subscriptions_pings_and_renewals_over_a_socket(tmp_path: Path) -> None:
    served = with_live(toy(Rule.CHECKSUM, keyed=True), ping_s=0.1, send_every_s=0.01)

    async def main() -> None:
        exchange = ToyExchange(served, ["BTCUSDT"])
        server, app = Server(exchange), web.Application()
        app.router.add_get("/v9", server.on_socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        log, telemetry = FileLog(tmp_path), Telemetry()
        log.create(served.topic, 1)
        feed = telemetry.feed(served.name, "BTCUSDT")
        async with aiohttp.ClientSession() as http:
            outbox = Outbox(log, lambda: 0.5)
            endpoint = Endpoint(f"ws://127.0.0.1:{runner.addresses[0][1]}", "")
            session = Session(served, endpoint, ["BTCUSDT"], http, outbox, telemetry, 1, TIMING, KEY)
            tasks = [asyncio.ensure_future(session.run()), asyncio.ensure_future(server.play())]
            async with asyncio.timeout(20):
                await until(lambda: feed.reason.startswith("no such key"))
                exchange.keys.add(KEY)
                await until(lambda: feed.state == State.LIVE and exchange.heard["ping"] > 2)
                exchange.books["BTCUSDT"].update()
                exchange.books["BTCUSDT"].update()
                await until(lambda: feed.resyncs and feed.state == State.LIVE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await outbox.close()
        await runner.cleanup()
        assert exchange.heard["unsubscribe"] == 1

    asyncio.run(main())
    written = b"".join(record.body for record in FileLog(tmp_path).reader(served.topic, 0).poll(1 << 30))
    assert b"no such key: ***" in written and b"planted" not in written
    assert b"connector stopped" in written


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - of anything
        await asyncio.sleep(0.01)
