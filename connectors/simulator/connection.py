"""One connection to a simulated venue: its streams, and the frames on their way to the client."""

import asyncio
from contextlib import suppress
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import WSMsgType, web

from connectors.simulator.half import Client

BATCHES_MAX = 64  # steps a client may be behind
SEND_BUFFER_BYTES = 128 * 1024
BARRIER = b"past:"
BARRIER_S = 30.0


class Connection:
    """A client's WebSocket. It sends what is `put`, and is cut off when the client does not read."""

    def __init__(self, ws: web.WebSocketResponse, client: Client) -> None:
        self.ws = ws
        self.client = client
        self.served: frozenset[str] = frozenset()  # of its streams, those that are not silent at its path
        self.queue: asyncio.Queue[list[bytes] | bytes] = asyncio.Queue(BATCHES_MAX)
        self.transport: asyncio.Transport | None = None
        self._awaited: tuple[bytes, asyncio.Event] | None = None

    def bind(self, transport: asyncio.Transport | None) -> None:
        """The transport below; the system holds no more for it than a little."""
        self.transport = transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)

    def put(self, batch: list[bytes] | bytes) -> bool:
        """Queue frames, or a ping; False if the client is too far behind and has been cut off."""
        try:
            self.queue.put_nowait(batch)
        except asyncio.QueueFull:
            self.cut()
            return False
        return True

    def cut(self) -> None:
        """End the connection as a failing network does."""
        if self.transport is not None:
            self.transport.abort()

    async def barrier(self, number: int) -> None:
        """Returns when the client has read all that was put, or has gone, or not answered for long."""
        name, read = BARRIER + str(number).encode(), asyncio.Event()
        self._awaited = name, read
        if self.put(name):
            with suppress(TimeoutError):
                await asyncio.wait_for(read.wait(), BARRIER_S)

    def on_pong(self, payload: bytes) -> bool:
        """Whether a pong answers a barrier."""
        if self._awaited is not None and payload == self._awaited[0]:
            self._awaited[1].set()
        return payload.startswith(BARRIER)

    def gone(self) -> None:
        """The connection has ended: nobody waits for it."""
        if self._awaited is not None:
            self._awaited[1].set()

    async def write(self) -> None:
        """Send what is queued, until the connection ends."""
        with suppress(ConnectionError):
            while True:
                batch = await self.queue.get()
                if isinstance(batch, bytes):
                    await self.ws.ping(batch)
                else:
                    for payload in batch:
                        await self.ws.send_frame(payload, WSMsgType.TEXT)
                self.queue.task_done()
