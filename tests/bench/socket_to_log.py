"""The session driver: us of CPU a frame, from the socket into the file log.

A loopback exchange sends the book and trade frames of the recording as fast as they are taken. The peer is the
WebSocket client that the session uses, reading the same frames and doing nothing with them.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import aiohttp
import structlog

from connectors.endpoint import Endpoint
from connectors.lane import lanes
from connectors.log import open_log
from connectors.outbox import Outbox
from connectors.record import decode_lines
from connectors.session import MESSAGE_BYTES_MAX, Session
from connectors.telemetry import Telemetry
from tests.bench._exchange import SYMBOL, frames, serving
from tests.bench._recording import KEY, MARKET, QUICK_S
from tests.bench._runner import Result, cpu_s, in_process, median, spread, turns

T = TypeVar("T")

LOOK_EVERY_S = 0.02
GIVE_UP_S = 100.0


def bench(quick: bool) -> Iterator[Result]:
    """Line `socket_to_log`."""
    seconds, runs = (QUICK_S, 1) if quick else (None, 5)
    count = sum(map(len, frames(seconds).values()))
    with serving(seconds) as endpoint:
        taken = turns(
            runs,
            {
                "session": lambda: in_process(session_s, endpoint, count),
                "aiohttp": lambda: in_process(bare_s, endpoint, count),
            },
        )
    us = 1e6 / count
    value, peer = median(taken["session"], us), median(taken["aiohttp"], us)
    more = spread(taken["session"], us) | {"peer_value": round(peer, 2), "frames": count}
    yield Result("socket_to_log", value, "us/frame", "aiohttp client alone", peer / value, more)


def session_s(endpoint: Endpoint, count: int) -> float:
    """CPU seconds of a session until `count` frames are in a file log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with TemporaryDirectory() as folder:
        took, gaps = cpu_s(_within, _session(endpoint, Path(folder), count))
        found = _logged(Path(folder))
    if (found, gaps) != (count, 0):
        raise ValueError(f"expected {count} frames in the log and no gap, found {found} and {gaps} gaps")
    return took


def bare_s(endpoint: Endpoint, count: int) -> float:
    """CPU seconds of a client that takes `count` frames from the same sockets."""
    return cpu_s(_within, _bare(endpoint, count))[0]


def _within(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, GIVE_UP_S))


async def _session(endpoint: Endpoint, folder: Path, count: int) -> int:
    """Its gaps."""
    log = open_log(f"file:{folder}")
    log.create(MARKET.topic, 1)
    outbox, telemetry = Outbox(log, random.random), Telemetry()
    feed = telemetry.feed(MARKET.name, SYMBOL)
    async with aiohttp.ClientSession() as http:
        session = Session(MARKET, endpoint, [SYMBOL], http, outbox, telemetry, 1)
        running = asyncio.create_task(session.run())
        while feed.messages < count and not running.done():  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(LOOK_EVERY_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await outbox.close()
    log.close()
    return feed.gaps


def _logged(folder: Path) -> int:
    """Frames in the log."""
    log = open_log(f"file:{folder}")
    reader, found = log.reader(MARKET.topic, 0), 0
    while records := reader.poll():
        for record in records:
            found += sum(x.origin.startswith(b"ws") for x in decode_lines(record.body) if record.key == KEY)
    reader.close()
    log.close()
    return found


async def _bare(endpoint: Endpoint, count: int) -> None:
    async with aiohttp.ClientSession() as http:
        urls = [
            endpoint.ws_url + MARKET.live.socket_url(lane.path, list(lane.channels), "")
            for lane in lanes(MARKET, [SYMBOL])
        ]
        sockets = [
            await http.ws_connect(url, max_msg_size=MESSAGE_BYTES_MAX, decode_text=False) for url in urls
        ]
        counts = [0] * len(sockets)

        async def read(at: int) -> None:
            receive = sockets[at].receive
            while (await receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                counts[at] += 1
            raise ConnectionError("expected the exchange to keep its sockets open")

        readers = [asyncio.create_task(read(at)) for at in range(len(sockets))]
        while sum(counts) < count and not any(x.done() for x in readers):  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(LOOK_EVERY_S)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    if sum(counts) != count:
        raise ValueError(f"expected {count} frames, found {sum(counts)}")
