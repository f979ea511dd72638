"""One statement of one user: checked, run on a handle of its own, answered as ClickHouse would over HTTP."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sql import guard
from sql.engine import Engine, Handle
from sql.native import string, varint
from sql.pipe import Item, Pipe, StoppedError

STREAMED = frozenset(
    {"Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "LineAsString"}
    | {"JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow"}
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


@dataclass(frozen=True, slots=True)
class Statement:
    """What a user asks; `settings` as the client wants them, `output_format` unless the text names one."""

    user: str
    text: bytes
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    output_format: str
    reads_only: bool


def answer(engine: Engine, asked: Statement, pipe: Pipe) -> None:
    """Put the whole answer into the pipe; runs in a thread, and never raises."""
    try:
        pipe.check()
        for item in _run(engine, asked, pipe):
            pipe.put(item)
    except StoppedError:
        pass
    except Exception as error:
        pipe.put_last(error)
    else:
        pipe.put_last(None)


def _run(engine: Engine, asked: Statement, pipe: Pipe) -> Iterator[Item]:
    profile = guard.PROFILES[asked.user]
    kinds = guard.READS if asked.reads_only else profile.kinds
    settings = guard.settings(profile, asked.settings) | ({"readonly": 1} if asked.reads_only else {})
    insert = guard.rows_along(asked.text) if "INSERT" in kinds else None
    with engine.handle(settings, asked.database) as handle:
        pipe.tag = handle.tag
        begin_ns = time.perf_counter_ns()
        if insert is not None:
            rows = handle.insert(insert.head, insert.format, memoryview(asked.text)[insert.data_at :])
            yield _summary(begin_ns, written=rows)
            return
        normal = engine.normal(guard.decode(asked.text))
        kind = guard.check(normal, kinds, engine.table_functions)
        if kind in guard.READS:
            yield from _read(handle, kind, normal, asked)
        else:
            rows = handle.run(normal, "TabSeparated", asked.parameters).rows_written()
            yield _summary(begin_ns, written=rows)


def _read(handle: Handle, kind: str, normal: str, asked: Statement) -> Iterator[Item]:
    name = guard.output_format(normal, asked.output_format)
    head = {"X-ClickHouse-Format": name, "Content-Type": CONTENT_TYPES.get(name, "text/plain; charset=UTF-8")}
    if kind in ("SELECT", "WITH") and name in STREAMED:
        yield from _stream(handle, normal, name, asked.parameters, head)
        return
    begin_ns = time.perf_counter_ns()
    result = handle.run(normal, name, asked.parameters)
    yield head | _summary(begin_ns, read=result.rows_read())
    yield result.bytes() or b""


def _stream(
    handle: Handle, normal: str, name: str, parameters: Mapping[str, str], head: dict[str, str]
) -> Iterator[Item]:
    headed = False
    with handle.stream(normal, name, parameters) as stream:
        for chunk in stream:
            # Not before the first chunk: until then an error is an answer of its own.
            if not headed:
                yield head
            headed = True
            yield chunk.bytes()
    if not headed:
        yield head
        yield _empty_block(handle, normal, parameters) if name == "Native" else b""


def _empty_block(handle: Handle, normal: str, parameters: Mapping[str, str]) -> bytes:
    """A block without rows, which names the columns: a server sends one for an empty result, chDB nothing."""
    bare = re.sub(r" FORMAT Native\b(?=\Z| SETTINGS [^']*\Z)", "", normal)
    lines = handle.run(f"DESCRIBE ({bare})", "JSONCompactEachRow", parameters).bytes().decode().splitlines()
    columns = [json.loads(line)[:2] for line in lines]
    named = (string(name.encode()) + string(kind.encode()) for name, kind in columns)
    return varint(len(columns)) + varint(0) + b"".join(named)


def _summary(begin_ns: int, read: int = 0, written: int = 0) -> dict[str, str]:
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
    return {"X-ClickHouse-Summary": json.dumps({name: str(number) for name, number in numbers.items()})}
