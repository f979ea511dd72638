"""chDB, the ClickHouse engine, on one directory of this process: what to open it with, and handles to run on.

A handle is opened for each statement and closed after it (0.3 ms): settings, databases and temporary tables
of one statement can never reach another.
"""

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import chdb

from sql.data_dir import LAYOUT, DataDirError, check_layout
from sql.guard import MEMORY_BYTES, STATEMENT_BYTES_MAX, RefusedError
from sql.migrate import DATABASE

MARK_CACHE_BYTES = 200_000_000
CACHED_LENGTH_MAX = 4096

# What the engine itself allows, to any user: database market and nothing outside it. file(), url(), remote()
# and the like are table functions that need a grant nobody has.
GRANTS = """
GRANT SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, SHOW ON market.*
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW ON market.*
GRANT SELECT ON system.settings
GRANT SELECT ON system.tables
GRANT SELECT ON system.columns
GRANT SELECT ON system.processes
GRANT KILL QUERY ON *.*
GRANT TABLE ENGINE ON ReplacingMergeTree
"""
USERS_XML = """<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/>
    <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants>{grants}</grants>
  </default></users>
</clickhouse>
"""
CONFIG_XML = """<clickhouse>
  <users_config>{users}</users_config>
  <user_directories><users_xml><path>{users}</path></users_xml></user_directories>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{mark_cache}</mark_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
</clickhouse>
"""


class Handle:
    """One connection into the engine, for one statement."""

    def __init__(self, target: str):
        self.tag = uuid.uuid4().hex
        self._connection: Any = chdb.connect(target)

    def run(
        self, statement: str, output_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> Any:
        """Run to the end; returns chdb's result. Engine errors are RuntimeErrors with `Code: N.` in them."""
        return self._connection.query(statement, output_format, params=dict(parameters or {}))

    def stream(self, statement: str, output_format: str, parameters: Mapping[str, str]) -> Any:
        """Run and return chdb's stream of result chunks, a context manager."""
        return self._connection.send_query(statement, output_format, params=dict(parameters))

    def insert(self, head: str, input_format: str, data: memoryview) -> int:
        """Insert rows already in a format; returns how many. They survive a kill of the process."""
        with self._connection.send_insert(head, input_format) as inserter:
            if len(data):
                inserter.append(bytes(data))
            return int(inserter.finish().rows_written)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class Engine:
    """The one engine of this process, on `folder`, until `close`."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES):
        """Opens or creates the store in `folder`; its statements may use so much memory together.

        Raises:
            DataDirError: another version's layout, or the engine cannot open it.
        """
        _claim_layout(folder)
        self._target = f"{folder / 'data'}?config-file={_write_config(folder, memory_bytes)}"
        try:
            self._own = Handle(self._target)
            self._own.run(f"SET max_query_size = {4 * STATEMENT_BYTES_MAX}")
            self._own.run(DATABASE)
        except RuntimeError as error:
            raise DataDirError(f"{folder}: the engine cannot open its data: {error}") from error
        self._own_lock = threading.Lock()
        self.version = self._ask("SELECT version()")
        self.timezone = self._ask("SELECT timezone()")
        self.table_functions = frozenset(self._ask("SELECT name FROM system.table_functions").split())
        self._recent = lru_cache(maxsize=512)(self._normal)

    @contextmanager
    def handle(self, settings: Mapping[str, int | str], database: str) -> Iterator[Handle]:
        """A fresh handle with these settings; `readonly` is set last, and so cannot be lifted on it."""
        handle = Handle(self._target)
        try:
            handle.run(f"USE {quote_name(database)}")
            ordered = {"log_comment": handle.tag, "max_query_size": 4 * STATEMENT_BYTES_MAX, **settings}
            if "readonly" in ordered:
                ordered["readonly"] = ordered.pop("readonly")
            handle.run("SET " + ", ".join(f"{name} = {quote(str(value))}" for name, value in ordered.items()))
            yield handle
        finally:
            handle.close()

    def normal(self, statement: str) -> str:
        """The one statement as the engine writes it: on one line, no comments. Errors as in `Handle.run`."""
        return self._recent(statement) if len(statement) <= CACHED_LENGTH_MAX else self._normal(statement)

    def kill(self, tag: str) -> None:
        """Stop the statement running on the handle with this tag, if it still is."""
        with self._own_lock:
            self._own.run(f"KILL QUERY WHERE Settings['log_comment'] = {quote(tag)} ASYNC")

    def close(self) -> None:
        """Stop what runs and close the data."""
        with self._own_lock:
            self._own.run("KILL QUERY WHERE Settings['log_comment'] != '' ASYNC")
            self._own.close()

    def _normal(self, statement: str) -> str:
        try:
            return self._ask(f"SELECT formatQuerySingleLine({quote(statement)})")
        except UnicodeDecodeError:
            raise RefusedError(
                "a string of this statement is no UTF-8: write it as unhex('...')", 62
            ) from None

    def _ask(self, statement: str) -> str:
        with self._own_lock:
            answer: bytes = self._own.run(statement, "TSVRaw").bytes()
        return answer.decode().strip()


def quote(text: str) -> str:
    """`text` as a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """`name` as a quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _claim_layout(folder: Path) -> None:
    """Refuse a folder written by another layout; mark a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    check_layout(folder)
    (folder / "LAYOUT").write_text(LAYOUT + "\n", encoding="utf-8")


def _write_config(folder: Path, memory_bytes: int) -> Path:
    users, config = folder / "users.xml", folder / "config.xml"
    grants = "".join(f"<query>{line}</query>" for line in GRANTS.strip().splitlines())
    users.write_text(USERS_XML.format(grants=grants), encoding="utf-8")
    config.write_text(
        CONFIG_XML.format(users=escape(str(users)), memory=memory_bytes, mark_cache=MARK_CACHE_BYTES),
        encoding="utf-8",
    )
    return config
