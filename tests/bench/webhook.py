"""The webhook receiver: ms until an alert is answered, 99th percentile, each answer after the log has it.

A client on this machine sends alerts over 16 connections as fast as they are answered. The peer is a bare aiohttp
server that reads the body and answers, and writes nothing.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import structlog
from aiohttp import web

from connectors.alert import networks
from connectors.file_log import FileLog
from connectors.keys import Secret
from connectors.webhook import Webhook, newest, run
from tests.bench._runner import Result, in_process, median, spread, turns

ALERTS = 1000
CONNECTIONS = 16
SECRET = "of-the-benchmark"
BODY = '{"secret":"%s","exchange":"BINANCE","ticker":"BTCUSDT","interval":"5","close":"81230.1","n":%d}'


def bench(quick: bool) -> Iterator[Result]:
    """Line `webhook`."""
    count, runs = (50, 1) if quick else (ALERTS, 5)
    taken = turns(
        runs,
        {
            "receiver": lambda: in_process(receiver_s, count),
            "aiohttp": lambda: in_process(bare_s, count),
        },
    )
    value, peer = median(taken["receiver"], 1e3), median(taken["aiohttp"], 1e3)
    more = spread(taken["receiver"], 1e3) | {"peer_value": round(peer, 2), "alerts": count}
    yield Result("webhook", value, "ms/answer p99", "aiohttp server alone", peer / value, more)


def receiver_s(count: int) -> float:
    """Seconds of the slowest answer but one per cent, with the whole process in front of a file log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))

    async def main(folder: Path) -> float:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        log = FileLog(folder)
        process = Webhook(Secret(SECRET), log, random.random, port=0, allowed=networks(["127.0.0.1"]))
        serving = asyncio.create_task(run(process, stop, port.set_result))
        slowest = await _ask(f"http://127.0.0.1:{await port}/tradingview", count)
        stop.set()
        await serving
        if (found := len(list(newest(log)))) != count:
            raise ValueError(f"expected {count} alerts in the log, found {found}")
        return slowest

    with TemporaryDirectory() as folder:
        return asyncio.run(main(Path(folder)))


def bare_s(count: int) -> float:
    """The same of a server that only answers."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="accepted")

    async def main() -> float:
        app = web.Application()
        app.router.add_post("/tradingview", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return await _ask(f"http://127.0.0.1:{runner.addresses[0][1]}/tradingview", count)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


async def _ask(url: str, count: int) -> float:
    took: list[float] = []
    waiting = iter(range(count))

    async def client(http: aiohttp.ClientSession) -> None:
        for n in waiting:
            began = time.perf_counter()
            async with http.post(url, data=BODY % (SECRET, n)) as response:
                if response.status != 200:
                    raise ValueError(f"expected 200, found {response.status}")
                await response.read()
            took.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(client(http) for _ in range(CONNECTIONS)))
    return sorted(took)[max(len(took) * 99 // 100 - 1, 0)]
