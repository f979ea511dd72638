"""Calls that may hang do not hold up the process."""

import asyncio
import subprocess
import sys
import threading

import pytest

from connectors.background import Resolver, in_background
from tests.conftest import ROOT

HANG = """
import asyncio, time
from connectors.background import in_background

async def main():
    try:
        await asyncio.wait_for(in_background(lambda: time.sleep(3600)), 0.1)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


def test_it_returns_and_raises_what_the_call_does() -> None:
    assert asyncio.run(in_background(lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_background(lambda: 1 // 0))


def test_a_call_that_ends_after_it_was_given_up_harms_nobody() -> None:
    go, gone = threading.Event(), threading.Event()

    def call() -> None:
        go.wait()
        gone.set()

    async def run(within: bool) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_background(call), 0.01)
        if within:
            go.set()
            await asyncio.to_thread(gone.wait)
            await asyncio.sleep(0.01)

    asyncio.run(run(within=True))
    go.clear()
    asyncio.run(run(within=False))
    go.set()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANG], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("given up\n", "")


def test_names_are_resolved() -> None:
    async def run() -> list[str]:
        return [one["host"] for one in await Resolver().resolve("localhost", 80)]

    assert "127.0.0.1" in asyncio.run(run())
