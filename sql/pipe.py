"""An answer on its way from a thread of the engine to the event loop, a few chunks at a time."""

import asyncio
import concurrent.futures
import contextlib
import threading

CHUNKS_MAX = 8
# A client that takes longer over a chunk than this holds a thread for nothing.
CHUNK_S = 30.0

Item = dict[str, str] | bytes  # first the headers, then the body in chunks


class StoppedError(Exception):
    """Nobody reads the pipe any more."""


class Pipe:
    """Bounded queue between one thread, which puts, and one coroutine, which gets until it stops."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tag = ""  # of the handle that the answer comes from
        self.begun = False  # the first bytes are on the wire
        self._items: asyncio.Queue[Item | Exception | None] = asyncio.Queue(CHUNKS_MAX)
        self._stopped = threading.Event()
        self._complete = False

    def check(self) -> None:
        """From the thread: raises StoppedError if nobody waits for the answer any more."""
        if self._stopped.is_set():
            raise StoppedError

    def put(self, item: Item) -> None:
        """From the thread: hand over one item. Raises StoppedError if nobody takes it."""
        self._put(item)

    def put_last(self, error: Exception | None) -> None:
        """From the thread: the answer is complete, or ends in an error."""
        self._complete = True
        with contextlib.suppress(StoppedError):
            self._put(error)

    async def get(self) -> Item | None:
        """From the loop: the next item, None after the last one. Raises the error the answer ended in."""
        item = await self._items.get()
        if isinstance(item, Exception):
            raise item
        return item

    def stop(self) -> bool:
        """From the loop: take no more; True if the thread had more to say."""
        self._stopped.set()
        while not self._items.empty():
            self._items.get_nowait()
        return not self._complete

    def _put(self, item: Item | Exception | None) -> None:
        self.check()
        put = self._items.put(item)
        try:
            asyncio.run_coroutine_threadsafe(put, self.loop).result(CHUNK_S)
        except concurrent.futures.TimeoutError as error:
            raise StoppedError from error
        except RuntimeError as error:  # the loop is closed
            put.close()
            raise StoppedError from error
