"""ClickHouse's HTTP interface in front of the embedded engine: the part of it that our clients use.

Clients are clickhouse-connect, curl and Grafana's ClickHouse plugin in HTTP mode. Not there: sessions,
external data, quotas, TLS, the native protocol. What a statement may do is `sql.guard`'s business.
"""

import asyncio
import base64
import binascii
import concurrent.futures
import hmac
import re
import uuid
from collections.abc import Mapping

import structlog
from aiohttp import web

from sql import guard, http_encoding
from sql.engine import Engine
from sql.guard import RefusedError
from sql.native import string, varint
from sql.pipe import Item, Pipe
from sql.statement import Statement, answer

# Slow readers never keep the writer waiting: each kind has threads and places to wait of its own.
THREADS = {"writes": 4, "reads": 8}
WAITING_MAX = {"writes": 8, "reads": 64}
BODY_BYTES_MAX = {"writes": 256 << 20, "reads": guard.STATEMENT_BYTES_MAX}
DATABASES = {"market", "system", "INFORMATION_SCHEMA", "information_schema"}

# Parameters of the interface itself; every other one is a setting. Sessions are taken for none: nothing that
# one could hold is allowed. https://clickhouse.com/docs/interfaces/http (November 2026)
RESERVED = frozenset(
    {"query", "database", "default_format", "query_id", "quota_key", "role", "client_protocol_version"}
    | {"session_id", "session_timeout", "session_check", "user", "password", "compress", "decompress"}
    | {"wait_end_of_query", "buffer_size", "http_response_buffer_size", "enable_http_compression"}
    | {"send_progress_in_http_headers", "http_headers_progress_interval_ms"}
)
# ClickHouse's error numbers: their names, and the HTTP status they are told with (500 for the others).
NAMES = {
    27: "CANNOT_PARSE_INPUT",
    36: "BAD_ARGUMENTS",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    81: "UNKNOWN_DATABASE",
}
NAMES |= {
    159: "TIMEOUT_EXCEEDED",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    497: "ACCESS_DENIED",
}
NAMES |= {452: "SETTING_CONSTRAINT_VIOLATION", 516: "AUTHENTICATION_FAILED"}
STATUS = dict.fromkeys((27, 36, 47, 62, 73, 115), 400) | dict.fromkeys((164, 452, 497, 516), 403)
STATUS |= {60: 404, 81: 404, 159: 408, 202: 503}

# clickhouse-go, and so Grafana's plugin, first asks this and decodes the answer at its own protocol revision;
# chDB cannot write that, so it is answered by hand. The revision told, 0, means plain Native from then on.
# (clickhouse-go 2.47, grafana/clickhouse-datasource 4.20.0)
PREFLIGHT = b"SELECT displayName(), version(), revision(), timezone()"

log = structlog.get_logger()


class Front:
    """Answers HTTP requests from the engine's answers."""

    def __init__(self, engine: Engine, passwords: Mapping[str, str]):
        self._engine = engine
        self._passwords = {user: password.encode() for user, password in passwords.items()}
        self._threads = {
            kind: concurrent.futures.ThreadPoolExecutor(count, kind) for kind, count in THREADS.items()
        }
        self._waiting = dict.fromkeys(THREADS, 0)

    def application(self) -> web.Application:
        """The web application: / and /ping."""
        app = web.Application()
        app.router.add_get("/ping", _ping)
        app.router.add_route("*", "/", self.handle)
        return app

    def close(self) -> None:
        """Take no more work; does not wait for what runs."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.method in ("GET", "HEAD") and "query" not in request.query:
            return await _ping(request)
        asked_id = request.query.get("query_id", "")
        headers = {
            "X-ClickHouse-Server-Display-Name": "isotherm",
            "X-ClickHouse-Query-Id": asked_id
            if re.fullmatch(r"[\w.-]{1,64}", asked_id)
            else str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            return await self._admit(request, headers)
        except Exception as error:
            code, message = _code_and_message(error)
            headers["X-ClickHouse-Exception-Code"] = str(code)
            text = f"{message} (version {self._engine.version} (chdb))\n"
            return web.Response(status=STATUS.get(code, 500), text=text, headers=headers)

    async def _admit(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        user = self._authenticate(request)
        kind = "writes" if "INSERT" in guard.PROFILES[user].kinds else "reads"
        if self._waiting[kind] >= WAITING_MAX[kind]:
            raise RefusedError(f"{WAITING_MAX[kind]} statements are waiting already: ask again later", 202)
        self._waiting[kind] += 1
        try:
            asked = await _statement(request, user, BODY_BYTES_MAX[kind])
            if asked.text.strip() == PREFLIGHT and "client_protocol_version" in request.query:
                return _whole(self._preflight(), request, headers | {"X-ClickHouse-Format": "Native"})
            return await self._run(asked, kind, request, headers)
        finally:
            self._waiting[kind] -= 1

    async def _run(
        self, asked: Statement, kind: str, request: web.Request, headers: dict[str, str]
    ) -> web.StreamResponse:
        pipe = Pipe()
        work = pipe.loop.run_in_executor(self._threads[kind], answer, self._engine, asked, pipe)
        try:
            # The engine keeps max_execution_time itself; this also ends an answer that nobody reads.
            async with asyncio.timeout(2 * int(guard.PROFILES[asked.user].settings["max_execution_time"])):
                return await _send(pipe, request, headers)
        except TimeoutError:
            if pipe.begun and request.transport is not None:
                request.transport.abort()
            raise RefusedError("the answer took too long, or was not read", 159) from None
        finally:
            # The answer is sent, or nobody waits for it: what still runs is stopped.
            work.cancel()
            if pipe.stop() and pipe.tag:
                pipe.loop.run_in_executor(None, self._engine.kill, pipe.tag)

    def _authenticate(self, request: web.Request) -> str:
        user, password = _credentials(request)
        known = self._passwords.get(user)
        # The comparison takes the same time for an unknown user.
        if not hmac.compare_digest(known or b"\0", password.encode()) or known is None:
            raise RefusedError(
                f"{user or 'nobody'}: Authentication failed: unknown user or wrong password", 516
            )
        return user

    def _preflight(self) -> bytes:
        columns = [
            (b"displayName()", b"String", string(b"isotherm")),
            (b"version()", b"String", string(self._engine.version.encode())),
            (b"revision()", b"UInt32", bytes(4)),
            (b"timezone()", b"String", string(self._engine.timezone.encode())),
        ]
        head = b"\x01\x00\x02\xff\xff\xff\xff\x00" + varint(len(columns)) + varint(1)
        return head + b"".join(string(name) + string(kind) + b"\x00" + value for name, kind, value in columns)


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _statement(request: web.Request, user: str, bytes_max: int) -> Statement:
    """Take a request apart. Raises RefusedError where it is not one."""
    query, headers = request.query, request.headers
    text = await _text(request, bytes_max)
    database = query.get("database") or headers.get("X-ClickHouse-Database") or "market"
    if database == "default":
        database = "market"  # what clients say who mean the user's own
    if database not in DATABASES:
        raise RefusedError(f"Database {database} does not exist: expected market", 81)
    others = {name: value for name, value in query.items() if name not in RESERVED}
    return Statement(
        user=user,
        text=text,
        parameters={name[6:]: value for name, value in others.items() if name.startswith("param_")},
        settings={name: value for name, value in others.items() if not name.startswith("param_")},
        database=database,
        output_format=query.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        reads_only=request.method in ("GET", "HEAD"),
    )


async def _text(request: web.Request, bytes_max: int) -> bytes:
    """The statement, from the address, the body or both, as ClickHouse puts them together."""
    if request.content_type == "multipart/form-data":
        raise RefusedError("external data and form parameters are not supported", 36)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            raise RefusedError(f"body: at most {bytes_max} bytes expected", 36)
    rows = bytes(body)
    if encoding := request.headers.get("Content-Encoding", ""):
        try:
            rows = await asyncio.to_thread(http_encoding.decompress, rows, encoding, bytes_max)
        except http_encoding.EncodingError as error:
            raise RefusedError(str(error), 36) from error
    statement = request.query.get("query", "").rstrip().encode()
    text = statement + b"\n" + rows if statement and rows else statement or rows
    if not text.strip():
        raise RefusedError("Empty query", 62)
    return text


async def _send(pipe: Pipe, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    head = await pipe.get()
    assert isinstance(head, dict)
    mark = uuid.uuid4().hex[:16]
    headers |= head | {"X-ClickHouse-Exception-Tag": mark}
    # Two chunks ahead: most answers are one, and an early error is then an answer of its own.
    first = await pipe.get()
    second = await pipe.get() if first is not None else None
    if second is None:
        return _whole(_chunk(first), request, headers)
    packer = _compressor(request, headers)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    pipe.begun = True
    await response.write(packer.write(_chunk(first)))
    ending = b""
    try:
        while second is not None:
            await response.write(packer.write(_chunk(second)))
            second = await pipe.get()
    except Exception as error:
        ending = _late_error(error, mark)
    await response.write(packer.write(ending) + packer.flush())
    await response.write_eof()
    return response


def _whole(body: bytes, request: web.Request, headers: dict[str, str]) -> web.Response:
    packer = _compressor(request, headers)
    return web.Response(body=packer.write(body) + packer.flush(), headers=headers)


def _compressor(request: web.Request, headers: dict[str, str]) -> http_encoding.Compressor:
    """What the client wants its answer compressed with; tells it in `headers`."""
    wanted = request.query.get("enable_http_compression", "1") in ("1", "true")
    encoding = http_encoding.choose(request.headers.get("Accept-Encoding", "")) if wanted else None
    if encoding:
        headers["Content-Encoding"] = encoding
    return http_encoding.Compressor(encoding)


def _chunk(item: Item | None) -> bytes:
    assert not isinstance(item, dict)
    return item or b""


def _late_error(error: Exception, mark: str) -> bytes:
    """How the interface tells an error after the answer has begun."""
    message = _code_and_message(error)[1].encode()
    length = len(message) + 1
    return b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (
        mark.encode(),
        message,
        length,
        mark.encode(),
    )


def _credentials(request: web.Request) -> tuple[str, str]:
    """User and password from the headers; never from the address, which ends up in logs."""
    user = request.headers.get("X-ClickHouse-User")
    if user is not None:
        return user, request.headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _code_and_message(error: Exception) -> tuple[int, str]:
    """ClickHouse's error number and message of anything that went wrong."""
    if isinstance(error, RefusedError):
        return error.code, f"Code: {error.code}. DB::Exception: {error}. ({NAMES.get(error.code, 'REFUSED')})"
    text = str(error)
    found = re.search(r"Code: (\d+)\.", text)
    if found is None:
        log.error("store: unexpected error", exc_info=error)
        return 1001, f"Code: 1001. DB::Exception: {type(error).__name__}: {text}"
    return int(found[1]), text[found.start() :].strip()
