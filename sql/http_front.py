"""ClickHouse's HTTP interface in front of the embedded engine: the part of it that our clients use.

Clients are clickhouse-connect, curl and Grafana's ClickHouse plugin in HTTP mode. Not there: sessions,
external data, quotas, TLS, the native protocol. What a statement may do is `sql.guard`'s business.
"""

import asyncio
import base64
import binascii
import concurrent.futures
import contextlib
import hmac
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from sql import guard, http_encoding
from sql.engine import Engine, Handle, quote_name
from sql.native import string, varint

BODY_BYTES_MAX = 256 << 20
THREADS = {"writes": 4, "reads": 8}
WAITING_MAX = 64
# A reader that takes longer over a chunk than this holds a thread for nothing.
CHUNK_S = 30.0
CHUNKS_MAX = 8
DATABASES = {"market", "system", "INFORMATION_SCHEMA", "information_schema"}

# Parameters of the interface itself; every other one is a setting.
# https://clickhouse.com/docs/interfaces/http (November 2026)
RESERVED = frozenset(
    "query database default_format session_id session_timeout session_check query_id user password compress"
    " decompress quota_key wait_end_of_query buffer_size client_protocol_version role"
    " send_progress_in_http_headers http_headers_progress_interval_ms enable_http_compression"
    " http_response_buffer_size".split()
)
STREAMED = frozenset(
    "Native TabSeparated TSV TabSeparatedRaw TSVRaw CSV RowBinary JSONEachRow JSONLines NDJSON JSONCompactEachRow LineAsString".split()
)
CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
STATUS = {
    516: 403,
    497: 403,
    164: 403,
    452: 403,
    62: 400,
    36: 400,
    27: 400,
    73: 400,
    115: 400,
    60: 404,
    81: 404,
    159: 408,
    202: 503,
}

# clickhouse-go, and so Grafana's plugin, first asks this and decodes the answer at its own protocol revision;
# chDB cannot write that, so it is answered by hand. The revision told, 0, means plain Native from then on.
# (clickhouse-go 2.47, grafana/clickhouse-datasource 4.20.0)
PREFLIGHT = "SELECT displayName(), version(), revision(), timezone()"

log = structlog.get_logger()


class AnswerError(Exception):
    """An error to answer with, in ClickHouse's words."""

    def __init__(self, message: str, code: int):
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, taken from the HTTP request."""

    user: str
    text: bytes
    parameters: Mapping[str, str]
    asked: Mapping[str, str]  # settings
    database: str
    output_format: str
    encoding: str | None
    reads_only: bool


class Front:
    """Answers HTTP requests from the engine's answers."""

    def __init__(self, engine: Engine, passwords: Mapping[str, str]):
        self._engine = engine
        self._passwords = {user: password.encode() for user, password in passwords.items()}
        # Slow readers never keep the writer waiting.
        self._threads = {
            kind: concurrent.futures.ThreadPoolExecutor(count, kind) for kind, count in THREADS.items()
        }
        self._waiting = dict.fromkeys(THREADS, 0)

    def application(self) -> web.Application:
        """The web application: /, /ping."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
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
        headers = {
            "X-ClickHouse-Server-Display-Name": "isotherm",
            "X-ClickHouse-Query-Id": request.query.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            return await self._answer(request, headers)
        except Exception as error:
            return self._error(error, headers)

    def _error(self, error: Exception, headers: dict[str, str]) -> web.Response:
        code, message = _code_and_message(error)
        headers["X-ClickHouse-Exception-Code"] = str(code)
        text = f"{message} (version {self._engine.version} (chdb))\n"
        return web.Response(status=STATUS.get(code, 500), text=text, headers=headers)

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        user = self._authenticate(request)
        asked = await _read(request, user)
        if asked.text.strip() == PREFLIGHT.encode() and "client_protocol_version" in request.query:
            return self._preflight(asked, headers)
        kind = "reads" if "INSERT" not in guard.PROFILES[user].kinds else "writes"
        if self._waiting[kind] >= WAITING_MAX:
            raise AnswerError(f"{WAITING_MAX} statements are waiting already: ask again later", 202)
        pipe = Pipe(asyncio.get_running_loop())
        self._waiting[kind] += 1
        work = pipe.loop.run_in_executor(self._threads[kind], self._work, asked, pipe)
        work.add_done_callback(lambda _: self._done(kind))
        try:
            # The engine keeps max_execution_time itself; this also ends an answer that is not being read.
            async with asyncio.timeout(2 * int(guard.PROFILES[user].settings["max_execution_time"])):
                return await _send(request, asked, pipe, headers)
        except TimeoutError:
            if pipe.begun and request.transport is not None:
                request.transport.abort()
            raise AnswerError("the answer took too long, or was not read. (TIMEOUT_EXCEEDED)", 159) from None
        finally:
            # The answer is sent, or nobody waits for it: what still runs is stopped.
            work.cancel()
            if pipe.stop() and pipe.tag:
                pipe.loop.run_in_executor(None, self._engine.kill, pipe.tag)

    def _done(self, kind: str) -> None:
        self._waiting[kind] -= 1

    def _authenticate(self, request: web.Request) -> str:
        user, password = _credentials(request)
        known = self._passwords.get(user)
        # The comparison takes the same time for an unknown user.
        if not hmac.compare_digest(known or b"\0", password.encode()) or known is None:
            raise AnswerError(
                f"{user or 'nobody'}: Authentication failed: unknown user or wrong password. (AUTHENTICATION_FAILED)",
                516,
            )
        return user

    def _preflight(self, asked: Request, headers: dict[str, str]) -> web.Response:
        version, timezone = self._engine.version.encode(), self._engine.timezone.encode()
        columns = [
            (b"displayName()", b"String", string(b"isotherm")),
            (b"version()", b"String", string(version)),
            (b"revision()", b"UInt32", bytes(4)),
            (b"timezone()", b"String", string(timezone)),
        ]
        block = b"\x01\x00\x02\xff\xff\xff\xff\x00" + varint(len(columns)) + varint(1)
        block += b"".join(string(name) + string(kind) + b"\x00" + value for name, kind, value in columns)
        packer = http_encoding.Compressor(asked.encoding)
        if asked.encoding:
            headers["Content-Encoding"] = asked.encoding
        return web.Response(
            body=packer.write(block) + packer.flush(), headers=headers | {"X-ClickHouse-Format": "Native"}
        )

    def _work(self, asked: Request, pipe: "Pipe") -> None:
        """Run in a thread: put the answer into the pipe, head first."""
        try:
            pipe.check()
            for item in self._run(asked, pipe):
                pipe.put(item)
        except PipeStoppedError:
            pass
        except Exception as error:
            pipe.put_last(error)
        else:
            pipe.put_last(None)

    def _run(self, asked: Request, pipe: "Pipe") -> Iterator[dict[str, str] | bytes]:
        """The answer: its headers, then its body in chunks."""
        profile = guard.PROFILES[asked.user]
        kinds = guard.READS if asked.reads_only else profile.kinds
        settings = guard.settings(profile, asked.asked) | ({"readonly": 1} if asked.reads_only else {})
        insert = guard.rows_along(asked.text) if "INSERT" in kinds else None
        with self._engine.handle(settings, asked.database) as handle:
            pipe.tag = handle.tag
            if insert is not None:
                yield self._insert(handle, insert, asked.text)
                return
            if len(asked.text) > guard.STATEMENT_BYTES_MAX:
                raise AnswerError(
                    f"statement of {len(asked.text)} bytes: at most {guard.STATEMENT_BYTES_MAX} expected", 62
                )
            normal = self._engine.normal(asked.text.decode())
            kind = guard.check(normal, kinds, self._engine.table_functions)
            yield from _run(handle, kind, normal, asked)

    def _insert(self, handle: Handle, insert: guard.Insert, text: bytes) -> dict[str, str]:
        begin = time.perf_counter_ns()
        rows = handle.insert(insert.head, insert.format, memoryview(text)[insert.data_at :])
        return {"X-ClickHouse-Summary": _summary(begin, written=rows)}


def _run(handle: Handle, kind: str, normal: str, asked: Request) -> Iterator[dict[str, str] | bytes]:
    begin = time.perf_counter_ns()
    if kind not in guard.READS:
        result = handle.run(normal, "TabSeparated", asked.parameters)
        yield {"X-ClickHouse-Summary": _summary(begin, written=result.rows_written())}
        return
    output_format = guard.output_format(normal, asked.output_format)
    head = {
        "X-ClickHouse-Format": output_format,
        "Content-Type": CONTENT_TYPES.get(output_format, "text/plain; charset=UTF-8"),
    }
    if output_format not in STREAMED or kind not in ("SELECT", "WITH"):
        result = handle.run(normal, output_format, asked.parameters)
        yield head | {"X-ClickHouse-Summary": _summary(begin, read=result.rows_read())}
        yield result.bytes() or b""
        return
    empty = True
    with handle.stream(normal, output_format, asked.parameters) as stream:
        for chunk in stream:
            if empty:
                yield head
            empty = False
            yield chunk.bytes()
    if empty:
        yield head
        if output_format == "Native":
            yield _empty_block(handle, normal, asked.parameters)


def _empty_block(handle: Handle, normal: str, parameters: Mapping[str, str]) -> bytes:
    """A Native block without rows: a server sends one for an empty result, chDB nothing, and clients need the columns."""
    bare = re.sub(r"\s+FORMAT\s+\w+\s*\Z", "", normal)
    lines = handle.run(f"DESCRIBE ({bare})", "JSONCompactEachRow", parameters).bytes().decode().splitlines()
    columns = [json.loads(line)[:2] for line in lines]
    return (
        varint(len(columns))
        + varint(0)
        + b"".join(string(name.encode()) + string(kind.encode()) for name, kind in columns)
    )


class PipeStoppedError(Exception):
    """Nobody reads the pipe any more."""


class Pipe:
    """Carries an answer from a thread of the engine to the event loop, a few chunks at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self.tag = ""
        self._items: asyncio.Queue[Any] = asyncio.Queue(CHUNKS_MAX)
        self.begun = False  # the first bytes of the answer are on their way
        self._stopped = threading.Event()
        self._complete = False

    def check(self) -> None:
        """From the thread: raises PipeStoppedError if nobody waits for the answer any more."""
        if self._stopped.is_set():
            raise PipeStoppedError

    def put(self, item: dict[str, str] | bytes) -> None:
        """From the thread: hand over one item. Raises PipeStoppedError if nobody takes it."""
        self._put(item)

    def put_last(self, error: Exception | None) -> None:
        """From the thread: the answer is complete, or ends in an error."""
        self._complete = True
        with contextlib.suppress(PipeStoppedError):
            self._put(error)

    def _put(self, item: Any) -> None:
        self.check()
        try:
            asyncio.run_coroutine_threadsafe(self._items.put(item), self.loop).result(CHUNK_S)
        except (concurrent.futures.TimeoutError, RuntimeError) as error:
            raise PipeStoppedError from error

    async def get(self) -> dict[str, str] | bytes | None:
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


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _read(request: web.Request, user: str) -> Request:
    """Take a request apart. Raises AnswerError where it is not one."""
    query = request.query
    parameters = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
    body = await request.read()
    if request.content_type == "multipart/form-data":
        form = await request.post()
        body = str(form.get("query", "")).encode()
        parameters |= {name[6:]: str(value) for name, value in form.items() if name.startswith("param_")}
    elif encoding := request.headers.get("Content-Encoding", ""):
        body = await asyncio.to_thread(_decompress, body, encoding)
    statement = query.get("query", "").rstrip().encode()
    text = statement + b"\n" + body if statement and body else statement or body
    if not text.strip():
        raise AnswerError("Empty query. (SYNTAX_ERROR)", 62)
    database = query.get("database") or request.headers.get("X-ClickHouse-Database") or "market"
    if database == "default":
        database = "market"  # what clients say who mean the user's default
    if database not in DATABASES:
        raise AnswerError(f"Database {database} does not exist: expected market. (UNKNOWN_DATABASE)", 81)
    compresses = query.get("enable_http_compression", "1") in ("1", "true")
    return Request(
        user=user,
        text=text,
        parameters=parameters,
        asked={
            name: value
            for name, value in query.items()
            if name not in RESERVED and not name.startswith("param_")
        },
        database=database,
        output_format=query.get("default_format")
        or request.headers.get("X-ClickHouse-Format")
        or "TabSeparated",
        encoding=http_encoding.choose(request.headers.get("Accept-Encoding", "")) if compresses else None,
        reads_only=request.method in ("GET", "HEAD"),
    )


def _decompress(body: bytes, encoding: str) -> bytes:
    try:
        return http_encoding.decompress(body, encoding, BODY_BYTES_MAX)
    except http_encoding.EncodingError as error:
        raise AnswerError(str(error), 36) from error


async def _send(
    request: web.Request, asked: Request, pipe: Pipe, headers: dict[str, str]
) -> web.StreamResponse:
    head = await pipe.get()
    assert isinstance(head, dict)
    headers |= head
    tag = uuid.uuid4().hex[:16]
    headers["X-ClickHouse-Exception-Tag"] = tag
    first = await pipe.get()
    second = await pipe.get() if first is not None else None
    packer = http_encoding.Compressor(asked.encoding)
    if asked.encoding:
        headers["Content-Encoding"] = asked.encoding
    if second is None:
        assert not isinstance(first, dict)
        return web.Response(body=packer.write(first or b"") + packer.flush(), headers=headers)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    pipe.begun = True
    item: Any = first
    following: Any = second
    ending = b""
    try:
        while item is not None:
            if chunk := packer.write(item):
                await response.write(chunk)
            item, following = following, await pipe.get() if following is not None else None
    except Exception as error:
        ending = _late_error(error, tag)
    await response.write(packer.write(ending) + packer.flush())
    await response.write_eof()
    return response


def _late_error(error: Exception, tag: str) -> bytes:
    """How the interface tells an error after the answer has begun."""
    message = _code_and_message(error)[1].encode()
    mark = tag.encode()
    return b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n" % (
        mark,
        message,
        len(message) + 1,
        mark,
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
    if isinstance(error, guard.RefusedError):
        return error.code, f"Code: {error.code}. DB::Exception: {error} (REFUSED_BY_STORE)"
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return 36, f"Code: 36. DB::Exception: body larger than {BODY_BYTES_MAX} bytes"
    if isinstance(error, UnicodeDecodeError):
        return 62, "Code: 62. DB::Exception: statement is no UTF-8"
    text = str(error)
    found = re.search(r"Code: (\d+)\.", text)
    if found is None:
        log.error("store: unexpected error", exc_info=error)
        return 1001, f"Code: 1001. DB::Exception: {type(error).__name__}: {text}"
    return int(found[1]), text[found.start() :].strip()


def _summary(begin_ns: int, read: int = 0, written: int = 0) -> str:
    numbers = {
        "read_rows": read,
        "read_bytes": 0,
        "written_rows": written,
        "written_bytes": 0,
        "total_rows_to_read": 0,
        "result_rows": written,
        "result_bytes": 0,
        "elapsed_ns": time.perf_counter_ns() - begin_ns,
    }
    return json.dumps({name: str(number) for name, number in numbers.items()})
