"""Records on their way to the log: a bounded queue in front of one thread that may block.

Sockets are read by one asyncio loop; a writer blocks while it takes locks or waits for a broker. `room` holds
the sockets back while the queue is full, so nothing is ever dropped.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from connectors.log import Log, LogError, Writer
from connectors.reconnect import Backoff, Random

QUEUE_BYTES_MAX = 32 << 20
PATIENCE_S = 60.0  # of failed attempts before the log is given up
BACKOFF_S = (0.25, 5.0)

_log = structlog.get_logger(__name__)


class Outgoing(NamedTuple):
    """One record to append; `partition` None: that of its key."""

    topic: str
    key: bytes
    body: bytes
    recv_ns: int
    partition: int | None = None


class Outbox:
    """Appends and flushes what is `put`, in order, in a thread of its own.

    If the log fails for `patience_s`, `failed` holds the error and `room` raises it.
    """

    def __init__(
        self,
        log: Log,
        random: Random,
        size_max: int = QUEUE_BYTES_MAX,
        patience_s: float = PATIENCE_S,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self._log = log
        self._random = random
        self._size_max = size_max
        self._patience_s, self._backoff_s = patience_s, backoff_s
        self._queue: list[Outgoing] = []
        self._lock = threading.Condition()
        self._closing = False
        self._put = self._done = 0  # records
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.size = 0  # bytes that wait or are being written
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, records: Iterable[Outgoing]) -> None:
        """Queue records; whoever produces many then waits for `room`."""
        with self._lock:
            for record in records:
                self._queue.append(record)
                self._put += 1
                self.size += len(record.body)
            if self.size > self._size_max:
                self._room.clear()
            self._lock.notify()

    @property
    def full(self) -> bool:
        """Whether `room` would wait."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Return when the queue is below its bound. Raises LogError if the log was given up."""
        await self._room.wait()
        if self.failed.done():
            self.failed.result()

    def durable(self) -> "asyncio.Future[None]":
        """Done when the log has all that was put until now; LogError if it was given up before."""
        found = self._loop.create_future()
        with self._lock:
            if self._done < self._put or self.failed.done():
                self._waiting.append((self._put, found))
            else:
                found.set_result(None)
        if self.failed.done():
            self._settle(self.failed.exception())
        return found

    async def close(self) -> None:
        """Write what waits and release the writer. Raises LogError if it could not be written."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        await asyncio.to_thread(self._thread.join)
        if self.failed.done():
            self.failed.result()

    def _run(self) -> None:
        try:
            writer = self._log.writer()
            while batch := self._next():
                self._write(writer, batch)
                self._written(len(batch), sum(len(record.body) for record in batch))
            writer.close()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._fail, error)

    def _next(self) -> list[Outgoing]:
        """What waits; empty when the outbox is closed and nothing is left."""
        with self._lock:
            while not self._queue and not self._closing:
                self._lock.wait()
            batch, self._queue = self._queue, []
            return batch

    def _write(self, writer: Writer, batch: list[Outgoing]) -> None:
        at = 0

        def append_and_flush() -> None:
            nonlocal at
            while at < len(batch):
                writer.append(*batch[at])
                at += 1
            writer.flush()

        self._persist(append_and_flush)

    def _persist(self, work: Callable[[], None]) -> None:
        """Do it, again and again for `patience_s` at most. Raises LogError."""
        backoff, began_s = Backoff(self._random, *self._backoff_s), time.monotonic()
        while True:
            try:
                return work()
            except LogError as error:
                if time.monotonic() - began_s > self._patience_s:
                    raise
                wait_s = backoff.failed()
                _log.warning("log refused", error=str(error), again_in_s=round(wait_s, 2))
            time.sleep(wait_s)

    def _written(self, count: int, size: int) -> None:
        with self._lock:
            self.size -= size
            self._done += count
            if self._waiting and self._waiting[0][0] <= self._done:
                self._loop.call_soon_threadsafe(self._settle)
            if self.size <= self._size_max and not self._room.is_set():
                self._loop.call_soon_threadsafe(self._room.set)

    def _settle(self, error: BaseException | None = None) -> None:
        """Tell those whose records are in the log, or with an error all."""
        ready = []
        with self._lock:
            while self._waiting and (error or self._waiting[0][0] <= self._done):
                ready.append(self._waiting.popleft()[1])
        for one in ready:
            if one.done():
                continue
            if error:
                one.set_exception(error)
                one.exception()  # whoever has gone away need not be told
            else:
                one.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
        self._settle(error)
        self._room.set()
