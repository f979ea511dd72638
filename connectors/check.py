"""What `isotherm doctor` finds about venues, polled feeds and the topic log, and what to do about it."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from connectors.access import Access, access
from connectors.api import Api, ApiError
from connectors.budget import Budget, BudgetError, said
from connectors.endpoint import Endpoint, EndpointError
from connectors.feed import Feed, Outcome, PlanError
from connectors.keys import KeyValueError, Secret, key
from connectors.log import LogError, open_log
from connectors.settings import Polled
from connectors.venue import Market

TIMEOUT_S = 10.0
CLOSE_S = 1.0
CONNECT_S = 3.0
BODY_BYTES_MAX = 4096
SKEW_S_MAX = 1.0
DISK_BYTES_LOW, DISK_BYTES_MIN = 10 << 30, 1 << 30

Level = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `advice` says what to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


class KeyRequest(NamedTuple):
    """A request that costs little or nothing and tells whether a key is accepted. The key goes into a header."""

    path: str
    header: str
    value: str


# twelvedata.com/docs (Authorization: apikey), finnhub.io/docs/api/authentication (X-Finnhub-Token),
# massive.com/docs (Authorization: Bearer): November 2026.
KEY_REQUESTS: Mapping[str, KeyRequest] = {
    "ISOTHERM_TWELVE_DATA_KEY": KeyRequest("/api_usage", "Authorization", "apikey {}"),
    "ISOTHERM_FINNHUB_KEY": KeyRequest("/api/v1/quote?symbol=AAPL", "X-Finnhub-Token", "{}"),
    "ISOTHERM_MASSIVE_KEY": KeyRequest("/v1/marketstatus/now", "Authorization", "Bearer {}"),
}

KEYLESS = frozenset({400, 401, 403})  # what a venue answers to a request without its key
PATHLESS = frozenset({400, 401, 404, 405})  # what a server answers where no path is known to ask for


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; local times around it in seconds since the epoch."""

    status: int
    date: str | None
    age_s: float
    body: bytes
    sent_s: float
    received_s: float


def check_key(
    market: Market, environ: Mapping[str, str], wanted: bool
) -> tuple[Secret | None, list[Finding]]:
    """The key of a market, and whether it is there if one is needed; `wanted`: the user has named the market."""
    name = market.live.key_env
    if name is None:
        return None, []
    check = f"{market.name} key"
    try:
        found = key(name, environ)
    except KeyValueError as error:
        return None, [Finding(check, "problem", str(error), "set it anew")]
    if found is None:
        advice = f"set {name}, or {name}_FILE to a file that holds it; without it this venue is not followed"
        return None, [Finding(check, "problem" if wanted else "warning", f"{name} is not set", advice)]
    return found, [Finding(check, "ok", f"{name} is set")]


async def check_venue(
    market: Market, where: Endpoint, secret: Secret | None, http: aiohttp.ClientSession
) -> list[Finding]:
    """Whether REST and WebSocket answer from here, accept the key, and agree with this machine's clock."""
    rest, ws = await asyncio.gather(
        _check_rest(market, where.rest_url, secret, http), _check_socket(market, where.ws_url, http)
    )
    return [*rest, ws]


async def _check_rest(
    market: Market, url: str, secret: Secret | None, http: aiohttp.ClientSession
) -> list[Finding]:
    check, name = f"{market.name} rest", market.live.key_env or ""
    request = KEY_REQUESTS.get(name)
    asked = [request.path] if request else _instruments_paths(market)
    headers = {request.header: request.value.format(secret.reveal())} if request and secret else {}
    try:
        answer = await _get(http, url + (asked or ["/"])[0], headers)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [unreachable(check, url, error)]
    expected = KEYLESS if name else frozenset[int]() if asked else PATHLESS
    findings = [judge_status(check, url, answer.status, f"venues.{market.name}.rest", expected)]
    if request and secret:
        findings += judge_key(f"{market.name} key", name, answer)
    if answer.date:
        findings += judge_clock(f"{market.name} clock", answer)
    return findings


def _instruments_paths(market: Market) -> list[str]:
    """Of the request that tells an instrument; [] if the venue has none."""
    live = market.live
    return [one.path for one in live.instruments(list(live.symbols[:1]))] if live.instruments else []


async def _get(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> Answer:
    sent_s = time.time()
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        received_s = time.time()
        body = await response.content.read(BODY_BYTES_MAX)
        age = response.headers.get("Age", "0")
        return Answer(
            response.status,
            response.headers.get("Date"),
            float(age) if age.isdecimal() else 0.0,
            body,
            sent_s,
            received_s,
        )


async def _check_socket(market: Market, url: str, http: aiohttp.ClientSession) -> Finding:
    """Without the key: where one connection a key is allowed, another would end that of a running connector."""
    check, live = f"{market.name} ws", market.live
    stream = live.streams(live.symbols[0])[0]
    closing = aiohttp.ClientWSTimeout(ws_close=CLOSE_S)
    try:
        async with http.ws_connect(url + live.socket_url(stream.path, [stream.name], ""), timeout=closing):
            return Finding(check, "ok", f"{_host(url)} opens a WebSocket")
    except aiohttp.WSServerHandshakeError as error:
        expected = KEYLESS if live.key_env else frozenset[int]()
        return judge_status(check, url, error.status, f"venues.{market.name}.ws", expected)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return unreachable(check, url, error)


def judge_status(
    check: str, url: str, status: int, setting: str, expected: Collection[int] = frozenset()
) -> Finding:
    """What an HTTP status says of the way to a venue; `expected` are refusals that are none of this network."""
    host = _host(url)
    if status < 400 or status in expected:
        return Finding(check, "ok", f"{host} answers (HTTP {status})")
    if status in (403, 451):
        return Finding(
            check, "problem", f"HTTP {status}: {host} refuses requests from this network",
            f"set {setting} to another address of the venue that serves your region, or leave the venue out",
        )  # fmt: skip
    if status in (418, 429):
        return Finding(
            check, "warning", f"HTTP {status}: {host} wants fewer requests from this network",
            "wait some minutes; look for other programs that use the venue from here",
        )  # fmt: skip
    if status >= 500:
        return Finding(check, "warning", f"HTTP {status}: {host} has trouble", "try again later")
    return Finding(
        check,
        "problem",
        f"HTTP {status}: {host} answers, but not as the venue does",
        f"see that {setting} is right",
    )


def judge_key(check: str, name: str, answer: Answer) -> list[Finding]:
    """Nothing, or that the key is refused. Twelve Data says so in the body, whatever the status."""
    try:
        code = msgspec.json.decode(answer.body, type=dict[str, object]).get("code")
    except msgspec.MsgspecError:
        code = None
    if answer.status in (401, 403) or code in (401, 403):
        status = answer.status if answer.status >= 400 else code
        advice = f"see that {name} is whole and that the plan it belongs to is active"
        return [Finding(check, "problem", f"the venue refuses the key ({status})", advice)]
    return []


def judge_clock(check: str, answer: Answer) -> list[Finding]:
    """How far this machine's clock is off the server's, at the least.

    The Date header has whole seconds, and was written at some moment between sending and receiving.
    """
    try:
        date_s = parsedate_to_datetime(answer.date or "").timestamp() + answer.age_s
    except ValueError:
        return []
    ahead_s = answer.sent_s - (date_s + 1.0)  # if > 0
    behind_s = date_s - answer.received_s
    skew_s = max(ahead_s, behind_s)
    if skew_s <= SKEW_S_MAX:
        return [Finding(check, "ok", "agrees with this machine's within a second or two")]
    side = "ahead of" if ahead_s > behind_s else "behind"
    found = f"this machine is at least {skew_s:.0f} s {side} the venue"
    advice = "let NTP set the clock (timedatectl set-ntp true): delays are measured against it"
    return [Finding(check, "warning", found, advice)]


def way_to(
    feed: Feed, environ: Mapping[str, str], settings: Polled, wanted: bool
) -> tuple[Access | None, list[Finding]]:
    """How a polled feed is asked, and whether key, plan and address are right; `wanted`: the user has named it."""
    check = f"{feed.name} key"
    try:
        found = access(feed, environ, settings)
    except KeyValueError as error:
        return None, [Finding(check, "problem", str(error), "set it anew")]
    except EndpointError as error:
        return None, [Finding(f"{feed.name} address", "problem", str(error), "set it right, or unset it")]
    except PlanError as error:
        is_unset = feed.key_env is not None and not settings.plan
        level: Level = "problem" if wanted or not is_unset else "warning"
        return None, [Finding(check, level, str(error), "without it this feed is not followed")]
    said_of = f"{feed.key_env} is set" if found.key else "none is needed"
    return found, [Finding(check, "ok", f"{said_of}: plan {found.plan.name}")]


async def check_feed(found: Access, http: aiohttp.ClientSession, budgets: Path | None) -> list[Finding]:
    """Whether a polled feed answers and accepts the key, and what is left of its plan.

    What is asked is charged to the budget in the file `budgets`, without one to none.
    """
    name = found.feed.name
    try:
        budget = Budget(budgets or ":memory:", found.account, found.plan)
        try:
            findings = [await _check_api(found, http, budget)]
            return findings + _check_budget(f"{name} budget", budget)
        finally:
            budget.disconnect()
    except BudgetError as error:
        return [Finding(f"{name} budget", "problem", str(error), "see that this user may write the file")]


async def _check_api(found: Access, http: aiohttp.ClientSession, budget: Budget) -> Finding:
    check, host = f"{found.feed.name} api", _host(found.url)
    request = found.feed.key_check
    if request is None:
        try:
            answer = await _get(http, found.url + "/", {})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return unreachable(check, found.url, error)
        return judge_status(
            check, found.url, answer.status, f"feeds.{found.feed.name}.url", PATHLESS | KEYLESS
        )
    try:
        await Api(found, http, budget, lambda: 0.0).once(request)
    except ApiError as error:
        return _judge_refusal(check, found, error)
    return Finding(check, "ok", f"{host} answers" + (" and accepts the key" if found.key else ""))


def _judge_refusal(check: str, found: Access, error: ApiError) -> Finding:
    outcome, env = error.verdict.outcome, found.feed.key_env
    if outcome == Outcome.STOPPED and found.key:
        return Finding(
            check, "problem", str(error), f"see that {env} is whole and that the plan it belongs to is active"
        )
    if outcome == Outcome.WAIT:
        return Finding(check, "warning", str(error), "wait; the connector goes on by itself")
    level: Level = "problem" if outcome in (Outcome.REFUSED, Outcome.STOPPED) else "warning"
    advice = (
        "see that the plan bears it" if outcome == Outcome.REFUSED else "check the network; try again later"
    )
    return Finding(check, level, str(error), advice)


def _check_budget(check: str, budget: Budget) -> list[Finding]:
    left = budget.left(time.time())
    told = ", ".join(f"{x.units} left of {said(x.limit)}" for x in left) or "no limits"
    if any(not x.units for x in left):
        return [Finding(check, "warning", told, "wait; requests go on as the plan allows")]
    return [Finding(check, "ok", told)]


def unreachable(check: str, url: str, error: Exception) -> Finding:
    """What failed on the way to a server, without what a URL may hold."""
    host = _host(url)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Finding(
            check, "problem", f"unreachable: {host} has no address", "check the network and its DNS"
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return Finding(
            check, "problem", f"the certificate of {host} is not trusted ({_reason(error)})",
            "a proxy may be reading along: set SSL_CERT_FILE to its CA if that is meant; check the clock",
        )  # fmt: skip
    if isinstance(error, TimeoutError):
        found = f"unreachable: no answer from {host} within {TIMEOUT_S:g} s"
    else:
        found = f"unreachable: {host}: {_reason(error)}"
    return Finding(
        check, "problem", found, "check the network, firewall and proxy; the other venues go on without"
    )


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    for one in (getattr(cause, "verify_message", None), getattr(cause, "reason", None)):
        if one:
            return str(one)
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return type(cause).__name__


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def check_log(url: str, markets: Sequence[Market]) -> list[Finding]:
    """Whether the log opens, what it holds, and for a file log disk and permissions."""
    advice = "see that --log or log.url is right, that it runs and can be reached"
    if url.startswith("kafka:") and (found := _refused(url.removeprefix("kafka:").split(","))):
        return [Finding("log", "problem", found, advice)]
    try:
        log = open_log(url)
        try:
            topics = log.topics()
        finally:
            log.close()
    except (LogError, OSError) as error:
        return [Finding("log", "problem", str(error), advice)]
    known = ", ".join(f"{name} ({count})" for name, count in topics.items()) or "no topic yet"
    findings = [Finding("log", "ok", f"{url}: topics with partitions: {known}")]
    if missing := [one.topic for one in markets if topics and one.topic not in topics]:
        findings.append(
            Finding("log topics", "warning", f"missing: {', '.join(missing)}", "isotherm connect makes them")
        )
    return findings + (
        check_folder("log", Path(url.removeprefix("file:"))) if url.startswith("file:") else []
    )


def _refused(servers: Sequence[str]) -> str:
    """Why no server takes a connection; "" if one does. librdkafka would try on without saying."""
    reasons = []
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S):
                return ""
        except (OSError, ValueError) as error:
            reasons.append(f"{server}: {error}")
    return "; ".join(reasons)


def check_folder(name: str, folder: Path) -> list[Finding]:
    """Whether a folder can be written, or made, and how much room its disk has."""
    folder = folder.absolute()
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        found = f"{there} is no directory that this user can write to"
        return [
            Finding(f"{name} folder", "problem", found, "choose another, or give the user its permissions")
        ]
    free = shutil.disk_usage(there).free
    found = f"{folder}: {free / 2**30:.1f} GiB free"
    if free < DISK_BYTES_LOW:
        level: Level = "problem" if free < DISK_BYTES_MIN else "warning"
        return [Finding(f"{name} disk", level, found, "make room, or keep less (log.keep)")]
    return [Finding(f"{name} disk", "ok", found)]
