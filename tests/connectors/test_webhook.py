"""The receiver over real HTTP: what gets into the log, what is refused, what a slow or failing log does."""

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from connectors import webhook as w
from connectors.alert import TRADINGVIEW, Deliveries, Gate, Sources, networks
from connectors.file_log import FileLog
from connectors.keys import Secret
from connectors.log import ALERTS_IN, HEALTH, LogError
from connectors.outbox import Outbox
from connectors.record import decode_lines
from connectors.telemetry import Telemetry
from connectors.webhook_commands import arguments, webhook

SECRET = "planted-9f3Zk7w"
HERE = networks(["127.0.0.1"])


class SlowLog(FileLog):
    """A log whose flushes wait for a gate, and fail on demand; it counts them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.gate.set()
        self.failures = 0
        self.flushes = 0

    def writer(self) -> Any:
        return SlowWriter(self, super().writer())


class SlowWriter:
    def __init__(self, log: SlowLog, writer: Any) -> None:
        self._log, self._writer = log, writer
        self.append, self.close = writer.append, writer.close

    def flush(self) -> None:
        self._log.gate.wait()
        self._log.flushes += 1
        if self._log.failures:
            self._log.failures -= 1
            raise LogError("disk full")
        self._writer.flush()


class Running:
    """A receiver that serves."""

    def __init__(self, url: str, receiver: w.Receiver, outbox: Outbox, http: aiohttp.ClientSession) -> None:
        self.url, self.receiver, self.outbox, self.http = url, receiver, outbox, http

    async def post(self, body: bytes, path: str = "/tradingview", **headers: str) -> tuple[int, str]:
        async with self.http.post(self.url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def alert(self, **fields: Any) -> tuple[int, str]:
        return await self.post(json.dumps({"secret": SECRET, **fields}).encode())


def serve(log: FileLog, work: Callable[[Running], Awaitable[None]], **options: Any) -> w.Receiver:
    """Run `work` against a receiver on a free port; options are the receiver's."""

    async def main() -> w.Receiver:
        log.create(ALERTS_IN, 1)
        outbox = Outbox(
            log, random.Random(1).random, backoff_s=(0.001, 0.002), patience_s=options.pop("patience_s", 9)
        )
        sources = Sources(options.pop("allowed", HERE), options.pop("proxies", ()))
        receiver = w.Receiver(Gate(Secret(SECRET)), sources, outbox, Telemetry(), **options)
        receiver.remember(w.newest(log))
        runner = aiohttp.web.AppRunner(receiver.app(), access_log=None, auto_decompress=False)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector) as http:
            try:
                await work(Running(f"http://127.0.0.1:{runner.addresses[0][1]}", receiver, outbox, http))
            finally:
                await runner.cleanup()
                if not outbox.failed.done() or outbox.failed.exception() is None:
                    await outbox.close()
        return receiver

    return asyncio.run(main())


def logged(log: FileLog) -> list[bytes]:
    return [body for _, body in w.newest(log)]


def test_a_burst_on_a_slow_log_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """1,000 deliveries of 600 alerts, some with wrong secrets, some again after 503, as TradingView does it."""
    log, random_ = SlowLog(tmp_path), random.Random(5)
    alerts = [json.dumps({"secret": SECRET, "n": n, "ticker": f"T{n % 7}"}).encode() for n in range(600)]
    deliveries = alerts + random_.sample(alerts, 300) + [
        json.dumps({"secret": "planted-9f3Zk7x", "n": n, "bad": 1}).encode() for n in range(100)
    ]  # fmt: skip
    random_.shuffle(deliveries)
    answers: Counter[tuple[int, str]] = Counter()

    async def burst(running: Running) -> None:
        async def deliver(body: bytes) -> None:
            for _ in range(4):
                through = {"X-Forwarded-For": random_.choice(TRADINGVIEW)}
                found = await running.post(body, **through)
                answers[found] += 1
                if found[0] != 503:
                    return
                log.gate.set()  # the log gets better between the attempts
            pytest.fail("no delivery was taken")

        log.gate.clear()
        await asyncio.gather(*map(deliver, deliveries))

    receiver = serve(log, burst, answer_s=0.1, allowed=networks(TRADINGVIEW), proxies=HERE)
    assert sorted(logged(log)) == sorted(b'{"n":%d,"ticker":"T%d"}' % (n, n % 7) for n in range(600))
    taken = answers[200, "accepted"] + answers[200, "duplicate"]
    assert taken == 900
    assert (
        answers[403, "secret"] == 100
    )  # a stranger's alerts come from the same addresses, and lock out nobody
    assert answers[503, "log_slow"] > 0
    # Those that waited together shared a flush.
    assert log.flushes < 300
    assert receiver.counts["log_slow"] == answers[503, "log_slow"]


def test_no_answer_comes_before_the_log_has_the_alert(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)

    async def work(running: Running) -> None:
        log.gate.clear()
        asked = asyncio.create_task(running.alert(n=1))
        again = asyncio.create_task(running.alert(n=1))
        while running.receiver._feed.messages < 1:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert not asked.done() and not again.done()
        assert logged(log) == []
        log.gate.set()
        assert {await asked, await again} == {(200, "accepted"), (200, "duplicate")}
        assert logged(log) == [b'{"n":1}']

    serve(log, work, answer_s=60.0)


def test_a_slow_log_is_answered_503_and_the_retry_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)

    async def work(running: Running) -> None:
        log.gate.clear()
        assert await running.alert(n=1) == (503, "log_slow")
        assert await running.alert(n=1) == (503, "log_slow")
        log.gate.set()
        while not logged(log):  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.001)
        assert await running.alert(n=1) == (200, "duplicate")

    serve(log, work, answer_s=0.02)
    assert logged(log) == [b'{"n":1}']


def test_a_log_that_fails_for_a_while_costs_nothing(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    log.failures = 3

    async def work(running: Running) -> None:
        assert await running.alert(n=1) == (200, "accepted")

    serve(log, work, answer_s=60.0)
    assert logged(log) == [b'{"n":1}']


def test_a_log_that_is_given_up_takes_no_alert(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    log.failures = 10**6

    async def work(running: Running) -> None:
        assert await running.alert(n=1) == (503, "log_failed")
        assert await running.alert(n=2) == (503, "busy")

    serve(log, work, answer_s=60.0, patience_s=0.0)


def test_a_restart_remembers_what_was_taken(tmp_path: Path) -> None:
    log, now_ns = FileLog(tmp_path), 10**18

    async def first(running: Running) -> None:
        assert await running.alert(n=1) == (200, "accepted")

    async def again(running: Running) -> None:
        assert await running.alert(n=1) == (200, "duplicate")
        assert await running.alert(n=2) == (200, "accepted")

    async def later(running: Running) -> None:
        assert await running.alert(n=1) == (200, "accepted")

    serve(log, first, now_ns=lambda: now_ns)
    serve(log, again, now_ns=lambda: now_ns + 20 * 10**9)
    serve(log, later, now_ns=lambda: now_ns + 60 * 10**9)
    assert logged(log) == [b'{"n":1}', b'{"n":2}', b'{"n":1}']


@pytest.mark.parametrize(
    ("status", "reason", "request_"),
    [
        (404, "path", {"path": "/other"}), (404, "path", {"path": f"/tradingview/{SECRET}/more"}),
        (403, "secret", {"path": f"/tradingview/{SECRET}x"}), (403, "secret", {"body": b"{}"}),
        (403, "secret", {"body": b""}), (400, "empty", {"path": f"/tradingview/{SECRET}", "body": b" \n"}),
        (413, "too_large", {"path": f"/tradingview/{SECRET}", "body": b"x" * (w.BODY_BYTES_MAX + 1)}),
    ],
)  # fmt: skip
def test_what_is_refused_is_counted_by_its_reason(
    tmp_path: Path, status: int, reason: str, request_: dict[str, Any]
) -> None:
    async def work(running: Running) -> None:
        assert await running.post(**{"body": b"buy", **request_}) == (status, reason)

    receiver = serve(log := FileLog(tmp_path), work)
    assert receiver.counts == {reason: 1}
    assert receiver._feed.unreadable == 1
    assert logged(log) == []


def test_forms_texts_wrong_headers_and_secrets_in_the_path_are_taken(tmp_path: Path) -> None:
    async def work(running: Running) -> None:
        at = f"/tradingview/{SECRET}"
        for body, path, kind in (
            (b'{"a":1}', at, "text/plain"), (b"BTC crossing 5", at + "/", "application/json"),
            (b"ticker=ETHUSD&secret=" + SECRET.encode(), "/tradingview", "application/x-www-form-urlencoded"),
            (b'{"b":2,"secret":"%s"}' % SECRET.encode(), "/tradingview", "application/x-www-form-urlencoded"),
            (b"x" * w.BODY_BYTES_MAX, at, "text/plain"),
        ):  # fmt: skip
            assert await running.post(body, path, **{"Content-Type": kind}) == (200, "accepted")
        async with running.http.get(running.url + at) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")

    serve(log := FileLog(tmp_path), work)
    assert logged(log) == [
        b'{"a":1}',
        b"BTC crossing 5",
        b"ticker=ETHUSD",
        b'{"b":2}',
        b"x" * w.BODY_BYTES_MAX,
    ]
    with closing(log.reader(ALERTS_IN, 0)) as reader:
        records = reader.poll()
    assert [x.key for x in records][2] == b"ETHUSD"
    assert {line.origin for x in records for line in decode_lines(x.body)} == {b"webhook"}


def test_a_body_of_unknown_length_is_bounded_too(tmp_path: Path) -> None:
    async def work(running: Running) -> None:
        async def endless() -> Any:
            for _ in range(200):
                yield b"x" * 1024

        async with running.http.post(running.url + f"/tradingview/{SECRET}", data=endless()) as answer:
            assert answer.status == 413

    assert serve(FileLog(tmp_path), work).counts == {"too_large": 1}


def test_only_named_sources_are_looked_at_also_behind_a_proxy(tmp_path: Path) -> None:
    async def stranger(running: Running) -> None:
        assert await running.alert(n=1) == (403, "source")
        assert await running.post(b"x", f"/tradingview/{SECRET}", **{"X-Forwarded-For": "52.32.178.7"}) == (
            403,
            "source",
        )

    async def proxied(running: Running) -> None:
        at = f"/tradingview/{SECRET}"
        assert await running.post(b"x", at, **{"X-Forwarded-For": "6.6.6.6, 52.32.178.7"}) == (
            200,
            "accepted",
        )
        assert await running.post(b"y", at, **{"X-Forwarded-For": "52.32.178.7, 6.6.6.6"}) == (403, "source")
        assert await running.post(b"y", at) == (403, "source")

    theirs = networks(["tradingview"])
    serve(FileLog(tmp_path / "a"), stranger, allowed=theirs)
    serve(log := FileLog(tmp_path / "b"), proxied, allowed=theirs, proxies=HERE)
    assert logged(log) == [b"x"]


def test_a_source_with_wrong_secrets_is_locked_out(tmp_path: Path) -> None:
    async def work(running: Running) -> None:
        for _ in range(10):
            assert await running.post(b"x", "/tradingview/wrong") == (403, "secret")
        assert await running.alert(n=1) == (429, "locked_out")

    assert serve(FileLog(tmp_path), work).counts == {"secret": 10, "locked_out": 1}


def test_a_memory_that_is_full_takes_none_rather_than_one_twice(tmp_path: Path) -> None:
    async def work(running: Running) -> None:
        assert [await running.alert(n=n) for n in (1, 2, 3, 1)] == [
            (200, "accepted"), (200, "accepted"), (503, "busy"), (200, "duplicate")
        ]  # fmt: skip

    serve(FileLog(tmp_path), work, deliveries=Deliveries(count_max=2))


# ---- the process


def test_the_process_tells_its_health_and_shows_its_secret_nowhere(tmp_path: Path) -> None:
    async def main() -> None:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        process = w.Webhook(Secret(SECRET), FileLog(tmp_path), random.random, port=0, allowed=HERE)
        running = asyncio.create_task(w.run(process, stop, port.set_result))
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{await port}/tradingview"
            for body in (b'{"n":1,"secret":"%s"}' % SECRET.encode(), b'{"n":1,"secret":"planted-wrong"}'):
                await (await http.post(url, data=body)).release()
            await (await http.post(f"{url}/{SECRET}", data=f"buy {SECRET}".encode())).release()
        stop.set()
        await running

    asyncio.run(main())
    log = FileLog(tmp_path)
    assert logged(log) == [b'{"n":1}', b"buy ***"]
    with closing(log.reader(HEALTH, 0)) as reader:
        rows = [row for x in reader.poll() for row in msgspec.msgpack.decode(x.body)]
    assert (rows[-1]["venue"], rows[-1]["symbol"], rows[-1]["state"]) == ("webhook", "tradingview", "live")
    assert (rows[-1]["messages"], rows[-1]["unreadable"], rows[-1]["complaints"]) == (2, 1, 1)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in written and b"planted" not in written


def test_metrics_count_requests_by_outcome() -> None:
    (family,) = w.Outcomes(Counter(accepted=3, secret=1)).collect()
    assert {x.labels["outcome"]: x.value for x in family.samples} == {"accepted": 3, "secret": 1}


@pytest.mark.parametrize(
    ("environment", "options", "said"),
    [
        ({}, (), "expected the secret"), ({"ISOTHERM_WEBHOOK_SECRET": "short"}, (), "at least 12"),
        ({"ISOTHERM_WEBHOOK_SECRET": SECRET}, ("--allow", "nowhere"), "expected an address"),
        ({"ISOTHERM_WEBHOOK_SECRET": SECRET}, ("--tls-cert", "x"), "expected both"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(
    tmp_path: Path, environment: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    found = CliRunner().invoke(webhook, ["--data-dir", str(tmp_path), *options], env=environment)
    assert found.exit_code == 2
    assert said in found.output
    assert SECRET not in found.output


def test_the_command_runs_until_it_is_stopped(tmp_path: Path) -> None:
    environment = {"ISOTHERM_WEBHOOK_SECRET": SECRET, "ISOTHERM_CONFIG": "", "PATH": ""}
    script = "from connectors.webhook_commands import webhook; webhook()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "--data-dir", str(tmp_path), "--port", "18471"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        told = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
    assert process.returncode == 0, told + rest
    assert "receiving alerts" in told
    assert SECRET not in told + rest


def test_up_starts_it_where_there_is_a_secret(tmp_path: Path) -> None:
    assert arguments(tmp_path, {}) is None
    assert arguments(tmp_path, {"ISOTHERM_WEBHOOK_SECRET_FILE": "f"}) == (
        "webhook",
        "--data-dir",
        str(tmp_path),
    )
