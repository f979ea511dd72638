import base64
import contextlib
import gzip
import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import zstandard
from clickhouse_connect.driver.exceptions import StreamFailureError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.client import Store
from sql.data_dir import embedded_store
from sql.engine import quote, quote_name
from sql.http_front import THREADS, WAITING_MAX
from tests.sql.test_security import Raw, wait_for


@pytest.fixture(scope="module", params=[False, "lz4", "zstd", "gzip"])
def client(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Any]:
    """clickhouse-connect as anybody would use it, sessions and all."""
    yield from connected(data_dir, "analyst", request.param)


def connected(data_dir: Path, user: str, compress: Any = False) -> Iterator[Any]:
    url, user, password = embedded_store(data_dir, user)
    host, _, port = url.removeprefix("http://").partition(":")
    client = clickhouse_connect.get_client(
        host=host, port=int(port), username=user, password=password, compress=compress
    )
    yield client
    client.close()


def test_rows_frames_and_settings(client: Any) -> None:
    assert client.query("SELECT number, toString(number) FROM numbers(3)").result_rows == [
        (0, "0"),
        (1, "1"),
        (2, "2"),
    ]
    assert client.query_df("SELECT number AS n FROM numbers(3)")["n"].tolist() == [0, 1, 2]
    assert client.command("SELECT 7") == 7


def test_a_setting_holds_for_its_statement_only(data_dir: Path) -> None:
    for user in ("writer", "analyst"):
        raw = Raw(data_dir, user)
        joined = "SELECT y FROM (SELECT 1 AS x) AS l LEFT JOIN (SELECT 2 AS x, 3 AS y) AS r USING x"
        assert raw.ask(joined)[2] == "0\n"
        assert raw.ask(joined, join_use_nulls="1")[2] == "\\N\n"
        assert raw.ask(joined)[2] == "0\n"


def test_an_empty_result_has_its_columns(client: Any) -> None:
    for statement in ("SELECT 1 AS a, 'x' AS b WHERE 0", "SELECT 1 AS a, 'x' AS b WHERE {p:UInt8} = 0"):
        result = client.query(statement, parameters={"p": 1})
        assert result.result_rows == []
        assert result.column_names == ("a", "b")
        assert [column.name for column in result.column_types] == ["UInt8", "String"]


def test_a_long_answer_is_streamed_whole(client: Any) -> None:
    result = client.query_np("SELECT number FROM numbers(700000)")
    assert result[:, 0].tolist() == list(range(700_000))


def test_an_error_in_mid_answer_is_an_error_of_the_client(client: Any) -> None:
    with pytest.raises(StreamFailureError, match="late"):
        client.query("SELECT throwIf(number = 3000000, 'late') FROM numbers(4000000)").result_rows  # noqa: B018


def test_inserts_in_every_encoding(data_dir: Path) -> None:
    for encoding in (False, "lz4", "zstd", "gzip"):
        writer = next(connected(data_dir, "writer", encoding))
        row = [f"raw.{encoding}", 0, 0, 0, "reason", "é" * 100, 1, "payload", 1]
        writer.insert("dead_letters", [row], database="market")
        assert writer.query(
            f"SELECT detail FROM market.dead_letters FINAL WHERE topic = 'raw.{encoding}'"
        ).result_rows == [("é" * 100,)]


def test_many_at_once_get_their_own_answers(data_dir: Path) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        client = next(connected(data_dir, "analyst"))
        for step in range(5):
            value = number * 100 + step
            rows = client.query(
                "SELECT {x:UInt32} + sleepEachRow(0.001)", parameters={"x": value}
            ).result_rows
            if rows != [(value,)]:
                wrong.append((value, rows))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@contextlib.contextmanager
def asking(raw: Raw, statement: str, times: int) -> Iterator[None]:
    """So many requests on their way, whose answers nobody reads; given up at the end."""
    connections = []
    for _ in range(times):
        connection = http.client.HTTPConnection(raw.address.hostname, raw.address.port)
        credentials = {"X-ClickHouse-User": raw.user, "X-ClickHouse-Key": raw.password}
        connection.request("POST", "/", statement, credentials)
        connections.append(connection)
    yield
    for connection in connections:
        connection.close()


SLEEP = "SELECT count() FROM numbers(20) WHERE sleepEachRow(0.1) = 0"
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.1)%'"
RUNNING += " AND query NOT LIKE '%processes%'"


def test_busy_readers_keep_neither_writer_nor_queue_waiting(
    data_dir: Path, admin: Store, writer: Store
) -> None:
    raw = Raw(data_dir, "analyst")
    with asking(raw, SLEEP, WAITING_MAX["reads"]):
        wait_for(lambda: admin.query(RUNNING) == [(THREADS["reads"],)])
        assert writer.query("SELECT 1") == [(1,)]
        wait_for(lambda: raw.ask("SELECT 1")[:2] == (503, "202"))
    wait_for(lambda: admin.query(RUNNING) == [(0,)])
    wait_for(lambda: raw.ask("SELECT 1")[0] == 200)


def test_curl_formats_and_headers(data_dir: Path) -> None:
    raw = Raw(data_dir, "analyst")
    assert raw.ask("SELECT 1 AS a FORMAT JSONEachRow") == (200, "", '{"a":1}\n')
    assert raw.ask("SELECT 1 AS a", default_format="CSVWithNames") == (200, "", '"a"\n1\n')
    assert raw.ask("SELECT 1 AS a", headers={"X-ClickHouse-Format": "CSV"}) == (200, "", "1\n")
    assert raw.ask(b"", "GET", query="SELECT 1") == (200, "", "1\n")
    assert raw.ask("FROM x", query="SELECT x FROM (SELECT 5 AS x)")[0] == 400
    assert raw.ask("SELECT currentDatabase()") == (200, "", "market\n")
    assert raw.ask("SELECT currentDatabase()", database="system") == (200, "", "system\n")
    assert raw.ask("SELECT 1", database="elsewhere")[:2] == (404, "81")
    assert raw.ask("SELECT 1", query_id="bad\r\nX-Header: 1")[0] == 200
    assert raw.ask(b"x", headers={"Content-Type": "multipart/form-data; boundary=x"})[:2] == (400, "36")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_strings_and_names_of_a_statement_arrive_as_they_are(data_dir: Path, text: str) -> None:
    name = quote_name(f"a {text}")  # more than a word: `FILE` alone may be a function, and is refused
    comment = f"/* {text.replace('*', '')} */"
    asked = f"{comment} SELECT hex({quote(text)}), hex({name}) FROM (SELECT {quote(text)} AS {name})"
    as_hex = text.encode().hex().upper()
    assert Raw(data_dir, "analyst").ask(asked) == (200, "", f"{as_hex}\t{as_hex}\n")


def test_a_string_that_is_no_text_is_refused_not_changed(data_dir: Path) -> None:
    assert Raw(data_dir, "analyst").ask(r"SELECT hex('\xff')")[:2] == (400, "62")
    assert Raw(data_dir, "analyst").ask("SELECT hex(unhex('ff'))") == (200, "", "FF\n")


def test_ping_needs_no_password(data_dir: Path) -> None:
    raw = Raw(data_dir, "analyst")
    raw.password = "wrong"
    connection = socket.create_connection((raw.address.hostname, raw.address.port))
    connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
    answer = connection.recv(4096) + connection.recv(4096)
    connection.close()
    assert answer.startswith(b"HTTP/1.0 200") and answer.endswith(b"Ok.\n")


def test_the_grafana_plugins_preflight_is_answered_in_its_protocol(data_dir: Path, analyst: Store) -> None:
    # clickhouse-go 2.47 decodes: block info, columns, rows, then name, type, custom flag and data per column.
    raw = Raw(data_dir, "board")
    connection = http.client.HTTPConnection(raw.address.hostname, raw.address.port)
    token = base64.b64encode(f"{raw.user}:{raw.password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Accept-Encoding": "gzip"}
    connection.request(
        "POST",
        "/?client_protocol_version=54483&default_format=Native",
        "SELECT displayName(), version(), revision(), timezone()",
        headers,
    )
    answer = connection.getresponse()
    assert answer.headers["Content-Encoding"] == "gzip"
    data = gzip.decompress(answer.read())
    connection.close()
    assert data[:8] == b"\x01\x00\x02\xff\xff\xff\xff\x00" and data[8:10] == b"\x04\x01"
    found, at = {}, 10
    for _ in range(4):
        name, at = _string(data, at)
        kind, at = _string(data, at)
        assert data[at] == 0
        if kind == "UInt32":
            (found[name],) = struct.unpack_from("<I", data, at + 1)
            at += 5
        else:
            found[name], at = _string(data, at + 1)
    assert at == len(data)
    version, timezone = analyst.query("SELECT version(), timezone()")[0]
    assert found == {
        "displayName()": "isotherm",
        "version()": version,
        "revision()": 0,
        "timezone()": timezone,
    }


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(), end


def test_plain_native_follows_the_preflight(data_dir: Path) -> None:
    status, _, text = Raw(data_dir, "board").ask(
        "SELECT toUInt8(65) AS a", default_format="Native", client_protocol_version="54483"
    )
    assert (status, text.encode()) == (200, b"\x01\x01\x01a\x05UInt8A")


def test_broken_bodies_are_errors_not_crashes(data_dir: Path) -> None:
    raw = Raw(data_dir, "writer")
    for encoding in ("gzip", "zstd", "lz4", "deflate", "br"):
        assert raw.ask(b"rubbish", headers={"Content-Encoding": encoding})[:2] == (400, "36")
    assert raw.ask(b"SELECT '\xff\xfe'")[:2] == (400, "62")
    assert raw.ask(b"INSERT INTO market.dead_letters FORMAT Native\n\x05\x01garbage")[0] >= 400
    packed = zstandard.compress(b"SELECT 3")
    assert raw.ask(packed, headers={"Content-Encoding": "zstd"}) == (200, "", "3\n")
