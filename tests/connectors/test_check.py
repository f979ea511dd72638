"""What doctor finds about venues and the log, against a server of this machine."""

import asyncio
import dataclasses
import datetime as dt
import ipaddress
import json
import ssl
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import check
from connectors.background import Resolver
from connectors.budget import Budget
from connectors.check import (
    Answer,
    Finding,
    check_feed,
    check_folder,
    check_key,
    check_log,
    check_venue,
    judge_clock,
    judge_key,
    judge_status,
    way_to,
)
from connectors.endpoint import Endpoint
from connectors.file_log import FileLog
from connectors.keys import Secret
from connectors.settings import Polled
from connectors.venue import Market, market, markets
from tests.connectors.toy_feed import KEY_ENV, Vendor, toy
from tests.connectors.toy_feed import PLANTED as PLANTED_TOY
from tests.connectors.toy_feed import serving as toy_serving

SPOT = market("binance_spot")
KEY = "ISOTHERM_FINNHUB_KEY"
PLANTED = "pl4nted-key"


KEYED = market("finnhub")


class Venue:
    """Answers requests with `status` and `headers`, and opens sockets if that is 200."""

    def __init__(self) -> None:
        self.status, self.socket_status = 200, 101
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.delay_s = 0.0
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        if request.headers.get("Upgrade") != "websocket":
            return web.Response(status=self.status, headers=self.headers, body=self.body)
        if self.socket_status != 101:
            return web.Response(status=self.socket_status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket


@asynccontextmanager
async def serving(venue: Venue, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    app = web.Application()
    app.router.add_get("/{path:.*}", venue.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    s = "s" if tls else ""
    yield Endpoint(f"ws{s}://127.0.0.1:{port}", f"http{s}://127.0.0.1:{port}")
    await runner.cleanup()


def examined(
    venue: Venue, of: Market = SPOT, secret: Secret | None = None, tls: ssl.SSLContext | None = None
) -> dict[str, Finding]:
    async def run() -> list[Finding]:
        async with serving(venue, tls) as where:
            return await asked(of, where, secret)

    return {one.check: one for one in asyncio.run(run())}


async def asked(of: Market, where: Endpoint, secret: Secret | None = None) -> list[Finding]:
    timeout = aiohttp.ClientTimeout(total=0.5)
    connector = aiohttp.TCPConnector(resolver=Resolver())
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        return await check_venue(of, where, secret, http)


@pytest.mark.parametrize("name", sorted(markets()))
def test_a_venue_that_answers_is_well(name: str) -> None:
    venue = Venue()
    found = examined(venue, market(name))
    assert {check: one.level for check, one in found.items()} == {
        f"{name} rest": "ok", f"{name} ws": "ok", f"{name} clock": "ok"
    }  # fmt: skip
    assert len(venue.requests) == 2


@pytest.mark.parametrize("status", [403, 451])
def test_a_venue_that_refuses_this_network(status: int) -> None:
    venue = Venue()
    venue.status = venue.socket_status = status
    found = examined(venue)
    for kind in ("rest", "ws"):
        one = found[f"binance_spot {kind}"]
        assert one.level == "problem" and f"HTTP {status}" in one.found and "refuses requests" in one.found
        assert f"venues.binance_spot.{kind}" in one.advice
    assert found["binance_spot clock"].level == "ok"  # a refusal tells the time all the same


@pytest.mark.parametrize(
    ("status", "level", "said"),
    [(200, "ok", "answers"), (302, "ok", "answers"), (404, "problem", "not as the venue does"),
     (429, "warning", "fewer"), (418, "warning", "fewer"), (503, "warning", "trouble"),
     (401, "problem", "not as the venue does")],
)  # fmt: skip
def test_what_a_status_means(status: int, level: str, said: str) -> None:
    found = judge_status("x rest", "https://user:secret@host:1", status, "venues.x.rest")
    assert (found.level, said in found.found) == (level, True)
    assert "host:1" in found.found and "secret" not in found.found
    assert bool(found.advice) == (level != "ok")


@pytest.mark.parametrize("name", sorted(markets()))
def test_a_request_without_a_key_may_be_refused_one_with_all_it_needs_may_not(name: str) -> None:
    venue, keyed = Venue(), market(name).live.key_env is not None
    venue.status = venue.socket_status = 401
    found = examined(venue, market(name))
    assert (found[f"{name} rest"].level == "ok") == (keyed or market(name).live.instruments is None)
    assert (found[f"{name} ws"].level == "ok") == keyed


@pytest.mark.parametrize(("off_s", "side"), [(-90, "ahead of"), (90, "behind")])
def test_a_clock_that_is_off(off_s: int, side: str) -> None:
    venue = Venue()
    now_s = dt.datetime.now(dt.UTC).timestamp()
    venue.headers = {"Date": formatdate(now_s + off_s, usegmt=True)}
    found = examined(venue)["binance_spot clock"]
    assert found.level == "warning" and f"{side} the venue" in found.found and "NTP" in found.advice
    assert 60 < int(found.found.split("at least ")[1].split(" s")[0]) <= 90


@pytest.mark.parametrize(
    ("sent_s", "received_s", "level"),
    # The header says 1000: the server's clock was in [1000, 1001).
    [(1000.0, 1000.1, "ok"), (1002.0, 1002.1, "ok"), (1002.1, 1002.2, "warning"), (999.0, 999.1, "ok"),
     (998.8, 998.9, "warning"), (990.0, 1010.0, "ok")],
)  # fmt: skip
def test_only_a_skew_that_is_sure_is_told(sent_s: float, received_s: float, level: str) -> None:
    date = formatdate(1000, usegmt=True)
    (found,) = judge_clock("x", Answer(200, date, 0.0, b"", sent_s, received_s))
    assert found.level == level
    (cached,) = judge_clock("x", Answer(200, formatdate(900, usegmt=True), 100.0, b"", sent_s, received_s))
    assert cached == found


def test_a_date_that_is_none_tells_nothing() -> None:
    assert judge_clock("x", Answer(200, "yesterday", 0.0, b"", 0.0, 0.0)) == []


def test_a_dead_port() -> None:
    async def run() -> list[Finding]:
        async with serving(Venue()) as gone:
            pass
        return await asked(SPOT, gone)

    found = asyncio.run(run())
    assert [one.check for one in found] == ["binance_spot rest", "binance_spot ws"]
    assert all("Connection refused" in one.found and one.level == "problem" for one in found)


def test_a_host_without_an_address() -> None:
    found = asyncio.run(asked(SPOT, Endpoint("wss://no.such.invalid", "https://no.such.invalid")))
    assert [one.found for one in found] == ["unreachable: no.such.invalid has no address"] * 2


def test_a_venue_that_does_not_answer() -> None:
    venue = Venue()
    venue.delay_s = 5.0
    found = examined(venue)
    assert all("no answer from 127.0.0.1" in one.found for one in found.values())
    assert len(found) == 2


def test_a_certificate_that_nobody_knows(certificate: ssl.SSLContext) -> None:
    found = examined(Venue(), tls=certificate)
    assert set(found) == {"binance_spot rest", "binance_spot ws"}
    for one in found.values():
        assert one.level == "problem" and "is not trusted (self-signed certificate)" in one.found
        assert "SSL_CERT_FILE" in one.advice


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(host, critical=False)
        .sign(private, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path.write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    yield context


# ---- keys


def test_a_key_goes_into_a_header_and_is_accepted() -> None:
    venue = Venue()
    found = examined(venue, KEYED, Secret(PLANTED))
    assert {one.level for one in found.values()} == {"ok"}
    rest = next(one for one in venue.requests if "Upgrade" not in one.headers)
    assert rest.headers["X-Finnhub-Token"] == PLANTED
    # A second connection with the key would end that of a running connector.
    assert not any(PLANTED in one.path_qs for one in venue.requests)


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b"{}"), (403, b"no"), (200, json.dumps({"code": 401, "status": "error"}).encode())],
)
def test_a_key_that_is_refused(status: int, body: bytes) -> None:
    venue = Venue()
    venue.status, venue.body = status, body
    found = examined(venue, KEYED, Secret(PLANTED))
    assert found["finnhub rest"].level == "ok"  # it is there, and it says no
    refused = found["finnhub key"]
    assert refused.level == "problem" and "refuses the key" in refused.found and KEY in refused.advice
    assert PLANTED not in repr(found)


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"code": "401"}', b"\xff", b'{"code":'])
def test_a_body_that_says_nothing_of_the_key(body: bytes) -> None:
    assert judge_key("x key", KEY, Answer(200, None, 0.0, body, 0.0, 0.0)) == []


def test_a_key_that_is_not_there() -> None:
    assert check_key(SPOT, {}, wanted=True) == (None, [])
    for wanted, level in [(True, "problem"), (False, "warning")]:
        secret, (found,) = check_key(KEYED, {}, wanted)
        assert secret is None and found.level == level and f"{KEY}_FILE" in found.advice
    secret, (found,) = check_key(KEYED, {KEY: PLANTED}, wanted=True)
    assert secret == Secret(PLANTED) and found.level == "ok" and PLANTED not in repr(found)
    _, (found,) = check_key(KEYED, {KEY: "two words"}, wanted=True)
    assert found.level == "problem" and "two words" not in repr(found)


# ---- log


def test_a_file_log(tmp_path: Path) -> None:
    log = FileLog(tmp_path / "log")
    assert [one.level for one in check_log(f"file:{tmp_path}/log", [SPOT])] == ["ok", "ok"]
    log.create("raw.binance_futures", 4)
    said, missing, disk = check_log(f"file:{tmp_path}/log", [SPOT, market("binance_futures")])
    assert "raw.binance_futures (4)" in said.found
    assert (missing.level, missing.found) == ("warning", "missing: raw.binance_spot")
    assert "GiB free" in disk.found
    (tmp_path / "log" / "raw.binance_futures" / "topic.json").write_text("{")
    assert [one.level for one in check_log(f"file:{tmp_path}/log", [])] == ["problem"]


def test_a_log_that_is_none() -> None:
    (found,) = check_log("nothing", [])
    assert found.level == "problem" and "expected a log as file:DIR" in found.found


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("127.0.0.1:1,[::1]:1", "127.0.0.1:1: [Errno 111] Connection refused; [::1]:1: "),
        ("127.0.0.1", "127.0.0.1: "),
    ],
)
def test_a_broker_that_is_not_there(servers: str, said: str) -> None:
    (found,) = check_log(f"kafka:{servers}", [])
    assert found.level == "problem" and found.found.startswith(said)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (found,) = check_folder("log", tmp_path / "file")
    assert found.level == "problem" and "is no directory" in found.found
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(stat.S_IRUSR)
    # The superuser may write anywhere, so the answer is the mode's.
    monkeypatch.setattr(check.os, "access", lambda path, mode: bool(Path(path).stat().st_mode & stat.S_IWUSR))
    (found,) = check_folder("log", tmp_path / "closed" / "new")
    assert found.level == "problem" and str(tmp_path / "closed") in found.found


@pytest.mark.parametrize(("free", "level"), [(1 << 29, "problem"), (5 << 30, "warning"), (1 << 40, "ok")])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(check.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    (found,) = check_folder("log", tmp_path / "not" / "there" / "yet")
    assert found.level == level and bool(found.advice) == (level != "ok")


# ---- polled feeds


TOY_KEY = {KEY_ENV: PLANTED_TOY}
NO_CHECK = dataclasses.replace(toy(), key_check=None)


def feed_examined(
    answer: web.Response, key: str = PLANTED_TOY, budgets: Path | None = None
) -> dict[str, Finding]:
    vendor = Vendor()
    vendor.answer = lambda _: answer

    async def run() -> list[Finding]:
        async with toy_serving(vendor, key=key) as access, aiohttp.ClientSession() as http:
            return await check_feed(access, http, budgets)

    found = {one.check: one for one in asyncio.run(run())}
    assert [x.path for x in vendor.asked] == ["/v1/key"]
    assert vendor.keys() == {key}
    assert "nted" not in repr(found)
    return found


def test_a_feed_that_answers_is_well(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"
    path.touch()
    found = feed_examined(web.json_response({}), budgets=path)
    assert found["toy api"].level == "ok" and "accepts the key" in found["toy api"].found
    # What was asked has its price.
    assert (
        found["toy budget"].found
        == "29 left of 30 in 60 s, 499 left of 500 in 1 days, 9999 left of 10000 in 31 days"
    )


@pytest.mark.parametrize(
    ("answer", "level", "said", "advice"),
    [
        ({"error": PLANTED_TOY}, "problem", "key refused: ***", KEY_ENV),
        ({"error": "plan"}, "problem", "not in this plan", "plan bears"),
        ({"error": "wait"}, "warning", "wants silence", "wait"),
        ({"error": "again"}, "warning", "try again", "later"),
    ],
)
def test_a_feed_that_refuses(answer: dict[str, str], level: str, said: str, advice: str) -> None:
    found = feed_examined(web.json_response(answer))["toy api"]
    assert found.level == level and said in found.found and advice in found.advice


def test_a_budget_that_is_used_up_is_not_asked_of(tmp_path: Path) -> None:
    path, vendor = tmp_path / "budgets.sqlite3", Vendor()

    async def run() -> list[Finding]:
        async with toy_serving(vendor) as access, aiohttp.ClientSession() as http:
            budget = Budget(path, access.account, access.plan)
            while not budget.take(time.time()):
                pass
            return await check_feed(access, http, path)

    api, left = asyncio.run(run())
    assert api.level == left.level == "warning" and "not asked for" in api.found
    assert "0 left of 30 in 60 s" in left.found and vendor.asked == []


def test_a_feed_that_is_not_there() -> None:
    async def run() -> list[Finding]:
        async with toy_serving(Vendor()) as access:
            pass
        async with aiohttp.ClientSession() as http:
            return await check_feed(dataclasses.replace(access, feed=NO_CHECK), http, None)

    api, _ = asyncio.run(run())
    assert api.level == "problem" and "Connection refused" in api.found


def test_a_file_of_budgets_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "budgets.sqlite3"
    path.write_bytes(b"no database" * 1000)

    async def run() -> list[Finding]:
        async with toy_serving(Vendor()) as access, aiohttp.ClientSession() as http:
            return await check_feed(access, http, path)

    (found,) = asyncio.run(run())
    assert found.check == "toy budget" and found.level == "problem"


def test_the_way_to_a_feed() -> None:
    found, (said,) = way_to(toy(), TOY_KEY, Polled(), wanted=True)
    assert found is not None and said.level == "ok" and said.found == f"{KEY_ENV} is set: plan free"
    found, (said,) = way_to(toy(), {}, Polled(), wanted=True)
    assert found is not None and said.found == "none is needed: plan keyless"
    keyed = dataclasses.replace(toy(), plans=toy().plans[:1])
    for wanted, level in ((True, "problem"), (False, "warning")):
        found, (said,) = way_to(keyed, {}, Polled(), wanted)
        assert found is None and said.level == level and KEY_ENV in said.found
    for environ, settings in (
        ({KEY_ENV: "two words"}, Polled()),
        (TOY_KEY, Polled(plan="gold")),
        (TOY_KEY, Polled(url="http://toy.example")),
    ):
        found, (said,) = way_to(toy(), environ, settings, wanted=False)
        assert found is None and said.level == "problem" and "two words" not in said.found
