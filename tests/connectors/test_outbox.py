"""Between the sockets and the log: order, bound, and a log that fails."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from connectors.file_log import FileLog
from connectors.log import LogError
from connectors.outbox import Outbox, Outgoing


class FakeLog:
    """A log whose writer fails, or blocks, on demand."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.failures = 0
        self.flushes = 0
        self.gate = threading.Event()
        self.gate.set()

    def writer(self) -> "FakeLog":
        return self

    def append(self, *record: Any) -> None:
        self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise LogError("no")
        self.taken.append(record[2])

    def flush(self) -> None:
        self.flushes += 1
        if self.failures:
            self.failures -= 1
            raise LogError("no")

    def close(self) -> None:
        pass


def records(*bodies: bytes) -> list[Outgoing]:
    return [Outgoing("raw.x", b"K", body, 1) for body in bodies]


def outbox(log: Any, **options: Any) -> Outbox:
    return Outbox(log, lambda: 0.5, **{"backoff_s": (0.001, 0.002)} | options)


def test_records_are_in_the_log_when_it_is_closed(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    log.create("raw.x", 2)

    async def main() -> None:
        box = outbox(log)
        box.put(records(b"1", b"2"))
        await asyncio.sleep(0)
        box.put([Outgoing("raw.x", b"!clock", b"3", 1, partition) for partition in (0, 1)])
        await box.close()

    asyncio.run(main())
    found = [[record.body for record in log.reader("raw.x", partition).poll()] for partition in (0, 1)]
    assert sorted(found) == [[b"1", b"2", b"3"], [b"3"]]


def test_a_log_that_fails_for_a_while_loses_and_repeats_nothing() -> None:
    log = FakeLog()
    log.failures = 7

    async def main() -> None:
        box = outbox(log)
        for n in range(50):
            box.put(records(b"%d" % n))
            await asyncio.sleep(0)
        await box.close()

    asyncio.run(main())
    assert log.taken == [b"%d" % n for n in range(50)]


def test_a_log_that_stays_dead_is_given_up_loudly() -> None:
    log = FakeLog()
    log.failures = 10**9

    async def main() -> None:
        box = outbox(log, patience_s=0.02)
        box.put(records(b"1"))
        while not box.failed.done():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.001)
        with pytest.raises(LogError, match="no"):
            await box.room()
        with pytest.raises(LogError, match="no"):
            await box.close()

    asyncio.run(main())


def test_who_reads_sockets_waits_while_the_log_is_slow() -> None:
    log = FakeLog()
    log.gate.clear()

    async def main() -> None:
        box = outbox(log, size_max=10)
        box.put(records(b"12345678901"))
        assert box.full
        waiting = asyncio.ensure_future(box.room())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        log.gate.set()
        await waiting
        assert not box.full
        await box.close()
        assert box.size == 0

    asyncio.run(main())
    assert log.taken == [b"12345678901"]


def test_durable_is_done_when_what_was_put_before_is_flushed() -> None:
    log = FakeLog()
    log.gate.clear()

    async def main() -> None:
        box = outbox(log)
        await box.durable()  # nothing was put
        box.put(records(b"1"))
        first = box.durable()
        box.put(records(b"2", b"3"))
        second = box.durable()
        await asyncio.sleep(0.01)
        assert not first.done() and not second.done()
        log.gate.set()
        await first
        assert b"1" in log.taken
        await second
        assert log.taken == [b"1", b"2", b"3"]
        await box.close()

    asyncio.run(main())


def test_durable_raises_once_the_log_was_given_up() -> None:
    log = FakeLog()
    log.failures = 10**6

    async def main() -> None:
        box = outbox(log, patience_s=0.0)
        box.put(records(b"1"))
        for _ in range(2):
            with pytest.raises(LogError, match="no"):
                await box.durable()
        with pytest.raises(LogError):
            await box.close()

    asyncio.run(main())
