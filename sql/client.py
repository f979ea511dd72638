"""The client of the store: column inserts that retry and then fail loudly, and queries.

The same over HTTP against a ClickHouse server and against the embedded front (`sql.embedded`). A repeated
insert is harmless, because every write of the house is an upsert.
"""

import functools
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
import stamina
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from sql.native import Column, ColumnError, block

if TYPE_CHECKING:
    import pandas as pd

RETRY_S = 120.0
TIMEOUT_S = 60
CA_FILE = "ISOTHERM_CLICKHOUSE_CA"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Errors that pass: too many queries, broken connections, shutting down; for writes timeouts, memory short,
# too many parts, read-only tables.
# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp (November 2026)
BUSY = frozenset({202, 203, 209, 210, 236, 279, 425, 999})
# A batch must get in even if it takes long; a question that takes too long is only asked once.
BUSY_FOR_WRITES = BUSY | {159, 160, 225, 241, 242, 243, 252, 285, 319}

T = TypeVar("T")


class StoreError(RuntimeError):
    """The store refused something or stayed away; `code` is ClickHouse's error number, if it gave one."""

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.code = code


class Store:
    """One user's connection to a store. Safe to share between threads."""

    def __init__(self, url: str, user: str, password: str, retry_s: float = RETRY_S):
        """Takes `url` like http://127.0.0.1:8123 or https://host:8443; connects on first use.

        https verifies the server's certificate, against the CA file in ISOTHERM_CLICKHOUSE_CA if that is set.
        `retry_s` bounds how long a call waits for a store that is away.

        Raises:
            StoreError: the address is none.
        """
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
        ):
            raise StoreError(
                f"store address {_without_user(url)}: expected http://HOST:PORT or https://HOST:PORT"
            )
        if "@" in parts.netloc:
            raise StoreError(
                "store address: give the user as an option and the password in the environment, not in it"
            )
        self.url, self.user, self.retry_s = url, user, retry_s
        self._password = password
        self._client: Any = None
        self._opening = threading.Lock()
        self._types: dict[str, dict[str, str]] = {}

    def __repr__(self) -> str:
        return f"Store({self.url!r}, user={self.user!r})"

    def insert(self, table: str, columns: Mapping[str, Column]) -> None:
        """Upsert rows, given as columns of one length, into `market.<table>`; see `sql.native.block`.

        Returns when the store has acknowledged them.

        Raises:
            StoreError: the columns do not fit the table, the store refused, or was away for `retry_s`.
        """
        types = self._types.get(table) or self._read_types(table)
        try:
            data = block(types, columns)
        except ColumnError as error:
            raise StoreError(f"insert into market.{table}: {error}") from error
        if len(next(iter(columns.values()))):
            # The server's default, async_insert=1, would acknowledge a batch before writing it in some modes.
            settings = {"async_insert": "0"}
            names = list(types)
            self._call(
                lambda client: client.raw_insert(f"market.{table}", names, data, settings, "Native"),
                BUSY_FOR_WRITES,
            )

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a SELECT; `{name:Type}` in it is filled from `parameters`. Raises StoreError."""
        return self._call(
            lambda client: [tuple(row) for row in client.query(statement, parameters).result_rows]
        )

    def query_df(self, statement: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """As `query`, as a pandas DataFrame."""
        frame: pd.DataFrame = self._call(lambda client: client.query_df(statement, parameters))
        return frame

    def query_text(self, statement: str, output_format: str) -> str:
        """The answer in a ClickHouse format such as CSVWithNames, or in the one that the statement names."""
        header = {"X-ClickHouse-Format": output_format}
        answer: bytes = self._call(lambda client: client.raw_query(statement, transport_settings=header))
        return answer.decode(errors="replace")

    def command(self, statement: str) -> None:
        """Run a statement that answers nothing. Raises StoreError."""
        self._call(lambda client: client.command(statement))

    def close(self) -> None:
        """Release the connections; the store may be used again."""
        with self._opening:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, use: Callable[[Any], T], busy: Collection[int] = BUSY) -> T:
        """`use(client)`, again while the store is away or says one of the errors `busy`, for `retry_s`."""
        passes = functools.partial(_passes, busy)
        attempts = None if self.retry_s > 0 else 1
        try:
            for attempt in stamina.retry_context(
                passes, attempts, timeout=self.retry_s or None, wait_max=5.0
            ):
                with attempt:
                    return use(self._connected())
        except (ClickHouseError, HTTPError) as error:
            tried = f" (tried for {self.retry_s:g} s)" if passes(error) else ""
            raise StoreError(
                f"store {self.url}, user {self.user}{tried}: {_text(error)}", _code(error)
            ) from error
        raise AssertionError("a retry either returns or raises")

    def _connected(self) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self._open()
            return self._client

    def _open(self) -> Any:
        parts = urlsplit(self.url)
        loopback = parts.hostname in LOOPBACK
        return clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            username=self.user,
            password=self._password,
            compress=False if loopback else "lz4",
            ca_cert=os.environ.get(CA_FILE),
            autogenerate_session_id=False,
            send_receive_timeout=TIMEOUT_S,
            query_limit=0,
            # A proxy set in the environment must not see loopback traffic.
            pool_mgr=get_pool_manager() if loopback and parts.scheme == "http" else None,
        )

    def _read_types(self, table: str) -> dict[str, str]:
        if not re.fullmatch(r"\w+", table):
            raise StoreError(f"table {table!r}: expected the name of a table of the database market")
        statement = (
            "SELECT name, type FROM system.columns "
            "WHERE database = 'market' AND table = {table:String} ORDER BY position"
        )
        types = {str(name): str(kind) for name, kind in self.query(statement, {"table": table})}
        if not types:
            raise StoreError(f"store {self.url} has no table market.{table}: run isotherm migrate first")
        self._types[table] = types
        return types


def connect(url: str, user: str, password: str, retry_s: float = RETRY_S) -> Store:
    """A `Store`; nothing is sent before its first use. Raises StoreError if `url` is no address."""
    return Store(url, user, password, retry_s)


def _passes(busy: Collection[int], error: Exception) -> bool:
    """Whether trying again may help: the store is away, or busy."""
    if _code(error) is not None:
        return _code(error) in busy
    status = re.search(r"HTTP status (\d+)", str(error))
    if status is not None:
        return int(status[1]) in (408, 429) or int(status[1]) >= 500
    return isinstance(error, (OperationalError, HTTPError))


def _code(error: Exception) -> int | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _text(error: Exception) -> str:
    """The server's own words on one line, without what the client wraps around them."""
    text = re.sub(
        r"^.*server response: (?:Code: \d+\. )?(?:DB::Exception: )?", "", str(error), flags=re.DOTALL
    )
    return " ".join(re.sub(r"\s*\(for url .*\)$|\s*\(version [^()]*(?:\([^()]*\))?\)", "", text).split())


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)
