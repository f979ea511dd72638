"""One open socket of a lane, and what is said over it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import aiohttp

from connectors.lane import Lane
from connectors.subscriptions import Dialogue
from connectors.venue import Live

IDLE_S_MAX = 3600.0

Socket = aiohttp.ClientWebSocketResponse[Literal[False]]


class Connection:
    """`due` is set when it is to be replaced; `reason` says why it was ended, if it was from here."""

    def __init__(self, lane: Lane, origin: bytes, socket: Socket, live: Live, key: str, now_s: float) -> None:
        self.lane, self.origin, self.socket, self.opened_s = lane, origin, socket, now_s
        streams = [channel.stream for channel in lane.channels.values()]
        self.dialogue = Dialogue(live, streams, key, now_s)
        self.due = asyncio.Event()
        self.news = asyncio.Event()  # the dialogue may have more to say
        self.reason = ""
        self.reader: asyncio.Task[None] | None = None
        self.speaker: asyncio.Task[None] | None = None

    async def speak(self, answer_s: float) -> AsyncIterator[None]:
        """Say what the dialogue holds until the connection ends; yields once, when all streams were subscribed to.

        A login that is not accepted within `answer_s` ends it.
        """
        settled = False
        while await self._said_all():
            if self.dialogue.settled and not settled:
                settled = True
                yield
            now_s = time.monotonic()
            wait_s = min(self.dialogue.wait_s(now_s), IDLE_S_MAX)
            if not self.dialogue.ready:
                wait_s = min(wait_s, self.opened_s + answer_s - now_s)
                if wait_s <= 0:
                    await self.end("no answer to the login")
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.news.wait()
            self.news.clear()

    async def _said_all(self) -> bool:
        """Send what may be sent now. False: the connection has ended."""
        with suppress(aiohttp.ClientError, OSError):
            while (frame := self.dialogue.take(time.monotonic())) is not None:
                await self.socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
            return not self.socket.closed
        return False

    async def end(self, reason: str) -> None:
        """Close it."""
        self.reason = reason
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            await self.socket.close()
