"""Each way a read-only user could write, read files, reach the network or run without limits, tried."""

import base64
import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from sql import guard
from sql.client import Store, StoreError
from sql.data_dir import USERS, embedded_store, password
from sql.http_front import BODY_BYTES_MAX

READERS = ["analyst", "board"]
DICTIONARY = (
    "market.mine (x String) PRIMARY KEY x SOURCE(FILE(path '{}' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)"
)


class Raw:
    """Plain HTTP, as an attacker would use it."""

    def __init__(self, data_dir: Path, user: str):
        url, self.user, self.password = embedded_store(data_dir, user)
        self.address = urlsplit(url)

    def ask(
        self,
        statement: str | bytes,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> tuple[int, str, str]:
        """(status, error code, body)."""
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        body = statement.encode() if isinstance(statement, str) else statement
        path = "/?" + urlencode(query)
        connection.request(method, path, body, {"Authorization": f"Basic {token}"} | (headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers.get("X-ClickHouse-Exception-Code", ""), text

    def refused(self, statement: str | bytes, method: str = "POST", **query: str) -> str:
        status, code, text = self.ask(statement, method, **query)
        assert status >= 400 and code not in ("", "1001"), (status, code, text)
        return code


@pytest.fixture
def reader(data_dir: Path) -> Raw:
    return Raw(data_dir, "analyst")


@pytest.fixture(params=READERS)
def either_reader(request: pytest.FixtureRequest, data_dir: Path) -> Raw:
    return Raw(data_dir, request.param)


def test_what_one_reader_may_say_the_other_may() -> None:
    first, second = (guard.PROFILES[user] for user in READERS)
    assert first.kinds == second.kinds == guard.READS
    assert first.settings.keys() == second.settings.keys()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "secret.csv"
    path.write_text("very,secret\n")
    return path


def _stands(admin: Store) -> list[object]:
    """Tables and views, and the rows of the one that readers try to change, whatever has been merged."""
    asked = (
        "SELECT name, engine_full FROM system.tables WHERE database = 'market' ORDER BY name",
        "SELECT * FROM market.instruments FINAL ORDER BY ALL",
    )
    return [admin.query(query) for query in asked]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO market.instruments (venue) VALUES ('x')",
        "INSERT INTO market.instruments (venue) SELECT 'x'",
        "INSERT INTO market.instruments (venue) FORMAT CSV\nx",
        "/* */ insert\ninto market.instruments (venue) values ('x')",
        "INSERT INTO FUNCTION null('x String') VALUES ('x')",
        "CREATE TABLE market.mine (x Int8) ENGINE = ReplacingMergeTree ORDER BY x",
        "CREATE TABLE market.mine ENGINE = ReplacingMergeTree ORDER BY x AS SELECT 1 AS x",
        "CREATE TEMPORARY TABLE mine (x Int8)",
        "CREATE VIEW market.mine AS SELECT 1",
        "CREATE DATABASE mine",
        "CREATE FUNCTION mine AS x -> x",
        "CREATE USER mine",
        "CREATE NAMED COLLECTION mine AS a = 1",
        "ALTER TABLE market.instruments ADD COLUMN mine Int8",
        "ALTER TABLE market.instruments DELETE WHERE 1",
        "ALTER TABLE market.instruments UPDATE tick = 1 WHERE 1",
        "DELETE FROM market.instruments WHERE 1",
        "TRUNCATE TABLE market.instruments",
        "DROP TABLE market.instruments",
        "DROP DATABASE market",
        "RENAME TABLE market.instruments TO market.mine",
        "EXCHANGE TABLES market.instruments AND market.depth_1s",
        "DETACH TABLE market.instruments",
        "ATTACH TABLE market.mine",
        "OPTIMIZE TABLE market.instruments FINAL",
        "GRANT ALL ON *.* TO default",
        "BACKUP TABLE market.instruments TO File('x')",
        "KILL QUERY WHERE 1",
        "SELECT 1 PARALLEL WITH KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "SYSTEM STOP MERGES",
        "SET readonly = 0",
        "SET profile = 'default'",
        "SET max_execution_time = 0",
        "USE system",
        "SELECT 1; DROP TABLE market.instruments",
        "SELECT 1; SELECT 2",
        "BEGIN TRANSACTION",
        "EXECUTE AS default SELECT 1",
        "PREPARE x AS SELECT 1",
        "exit",
        "",
        ";",
    ],
)
def test_a_reader_cannot_change_anything(reader: Raw, admin: Store, statement: str) -> None:
    before = _stands(admin)
    reader.refused(statement)
    assert _stands(admin) == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 INTO OUTFILE '{}'",
        "select 1 iNtO/**/OuTfIlE '{}'",
        "SELECT 1 -- '\n INTO\n\tOUTFILE\n'{}'",
        "SELECT 1 # '\n INTO OUTFILE '{}'",
        "SELECT 1\u00a0INTO\u2003OUTFILE\u3000'{}'",
        "SELECT 1 INTO\u200bOUTFILE '{}'",
        "SELECT 'a' INTO OUTFILE $x${}$x$",
        "SELECT 1 AS `a'b` INTO OUTFILE '{}'",
        "SELECT 1 AS \"a'b\" INTO OUTFILE '{}'",
        "SELECT '\\'' INTO OUTFILE '{}'",
        "SELECT '''' INTO OUTFILE '{}' -- '",
        "(SELECT 1) INTO OUTFILE '{}'",
        "SELECT * FROM (SELECT 1 INTO OUTFILE '{}')",
        "SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '{}'",
        "WITH 1 AS x SELECT x INTO OUTFILE '{}' FORMAT CSV",
        "SELECT 1 INTO OUTFILE '{}' TRUNCATE COMPRESSION 'none'",
        "SELECT 1 INTO OUTFILE '{}' APPEND",
        "SELECT 1 INTO OUTFILE '{}' AND STDOUT",
        "SELECT 1 FORMAT CSV INTO OUTFILE '{}'",
        "SELECT 1 SETTINGS max_threads = 1 INTO OUTFILE '{}'",
        "SHOW TABLES INTO OUTFILE '{}'",
        "EXPLAIN SELECT 1 INTO OUTFILE '{}'",
        "DESCRIBE TABLE system.one INTO OUTFILE '{}'",
        "EXISTS TABLE market.instruments INTO OUTFILE '{}'",
        "SELECT 1; SELECT 1 INTO OUTFILE '{}'",
        "FROM system.one SELECT 1 INTO OUTFILE '{}'",
        "INSERT INTO FUNCTION file('{}', 'CSV', 'x Int8') VALUES (1)",
        "SELECT 1 FORMAT Protobuf SETTINGS output_format_schema = '{}'",
        "SELECT 1 SETTINGS output_format_schema = '{}' FORMAT CapnProto",
    ],
)
def test_a_reader_cannot_write_a_file(reader: Raw, tmp_path: Path, statement: str) -> None:
    reader.refused(statement.format(tmp_path / "out"))
    reader.refused(b"", "GET", query=statement.format(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT file('{}')",
        "SELECT `file`('{}')",
        "SELECT \"file\"('{}')",
        "SELECT/**/file/**/('{}')",
        "SELECT arrayMap(file, ['{}'])",
        "SELECT arrayMap(x -> file(x), ['{}'])",
        "WITH (x -> file(x)) AS f SELECT f('{}')",
        "SELECT * APPLY(file) FROM (SELECT '{}' AS x)",
        "SELECT * APPLY file FROM (SELECT '{}' AS x)",
        "SELECT COLUMNS('x') APPLY(file) FROM (SELECT '{}' AS x)",
        "SELECT * FROM file('{}', 'LineAsString')",
        "SELECT * FROM File('{}', 'LineAsString')",
        "SELECT * FROM `file`('{}', 'LineAsString')",
        "SELECT * FROM fileCluster('default', '{}', 'LineAsString')",
        "SELECT * FROM filesystem('{}')",
        "SELECT * FROM sqlite('{}', 'x')",
        "SELECT * FROM icebergLocal('{}')",
        "SELECT * FROM deltaLakeLocal('{}')",
        "SELECT * FROM `{}`",
        "SELECT * FROM default.`{}`",
        "SELECT * FROM '{}'",
        "DESCRIBE file('{}')",
        "DESCRIBE default.`{}`",
        "SELECT * FROM view(SELECT file('{}'))",
        "SELECT * FROM eval('SELECT file(''{}'')')",
        "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{}')))",
        "SELECT (SELECT file('{}'))",
        "SELECT 1 WHERE 'x' IN file('{}')",
        "SELECT 1 FORMAT Template SETTINGS format_template_row = '{}'",
        "SELECT 1 SETTINGS format_template_resultset = '{}' FORMAT Template",
        "INSERT INTO market.instruments FROM INFILE '{}' FORMAT CSV",
        "CREATE TABLE market.mine (x String) ENGINE = File(CSV, '{}')",
        f"CREATE DICTIONARY {DICTIONARY}",
        "EXPLAIN PLAN SELECT file('{}')",
        "SELECT * FROM executable('cat {}', 'TSV', 'x String')",
        "SELECT * FROM remote('127.0.0.1', file('{}', 'LineAsString'))",
    ],
)
def test_a_reader_cannot_read_a_file(reader: Raw, secret: Path, statement: str) -> None:
    status, code, text = reader.ask(statement.format(secret))
    assert "very" not in text
    assert status >= 400 and code not in ("", "1001"), text


def test_names_given_as_parameters_are_names_in_the_store(reader: Raw, secret: Path) -> None:
    for table in (str(secret), f"file('{secret}')"):
        for statement in ("SELECT * FROM {t:Identifier}", "SELECT * FROM default.{t:Identifier}"):
            status, _, text = reader.ask(statement, param_t=table)
            assert status >= 400 and "very" not in text


def test_parameters_are_never_read_as_sql(reader: Raw, tmp_path: Path) -> None:
    out = f"INTO OUTFILE '{tmp_path / 'out'}'"
    for value in (f"1' {out} --", f"1 {out}", f"x'; SELECT 1 {out}; --", f"\\' {out}"):
        reader.ask("SELECT {x:String}", param_x=value)
        reader.ask("SELECT {x:Identifier}", param_x=value)
        reader.ask("SELECT 1", **{f"param_{value}": value})
        reader.ask("SELECT 1", session_timezone=value, query_id=value)
        reader.ask("SELECT 1", default_format=value)
    assert list(tmp_path.iterdir()) == []
    assert reader.ask("SELECT {x:String}", param_x="it's")[2] == "it\\'s\n"


@pytest.mark.parametrize(
    "source",
    [
        "url('http://127.0.0.1:{}/', 'LineAsString')",
        "urlCluster('default', 'http://127.0.0.1:{}/', 'LineAsString')",
        "remote('127.0.0.1:{}', system.one)",
        "remoteSecure('127.0.0.1:{}', system.one)",
        "cluster('default', system.one)",
        "clusterAllReplicas('default', system.one)",
        "s3('http://127.0.0.1:{}/bucket/x.csv', 'CSV')",
        "s3Cluster('default', 'http://127.0.0.1:{}/bucket/x.csv', 'CSV')",
        "gcs('http://127.0.0.1:{}/bucket/x.csv', 'CSV')",
        "azureBlobStorage('http://127.0.0.1:{}', 'a', 'b', 'CSV')",
        "hdfs('hdfs://127.0.0.1:{}/a', 'CSV', 'x Int8')",
        "iceberg('http://127.0.0.1:{}/bucket/x/')",
        "deltaLake('http://127.0.0.1:{}/bucket/x/')",
        "mysql('127.0.0.1:{}', 'a', 'b', 'c', 'd')",
        "postgresql('127.0.0.1:{}', 'a', 'b', 'c', 'd')",
        "mongodb('127.0.0.1:{}', 'a', 'b', 'c', 'd', 'x Int8')",
        "redis('127.0.0.1:{}', 'k', 'k String')",
        "odbc('DSN=x', 'a', 'b')",
        "jdbc('x', 'a', 'b')",
        "arrowFlight('127.0.0.1:{}', 'x')",
        "bigquery('a', 'b', 'c')",
        "ytsaurus('http://127.0.0.1:{}', 'a', 'b', 'x Int8')",
        "executable('id', 'TSV', 'x String')",
        "python(passwords)",
        "Python(passwords)",
        "input('x String')",
        "dictionary('x')",
        "merge('system', '.*')",
        "loop(market.instruments)",
    ],
)
def test_a_reader_cannot_reach_out(reader: Raw, source: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        reader.refused("SELECT * FROM " + source.format(trap.getsockname()[1]))
        reader.refused("DESCRIBE " + source.format(trap.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_every_function_that_calls_out_or_looks_inside_is_known(data_dir: Path, admin: Store) -> None:
    named = admin.query(
        "SELECT name FROM system.functions WHERE categories IN ('AI', 'Introspection') OR name = 'file'"
    )
    assert len(named) > 10
    assert {name.lower() for (name,) in named} <= guard.REFUSED_FUNCTIONS


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS max_result_rows = 0",
        "SELECT 1 SETTINGS max_rows_to_read = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS readonly = 2",
        "SELECT 1 SETTINGS profile = 'default'",
        "SELECT 1 FORMAT CSV SETTINGS max_threads = 64",
        "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
        "WITH x AS (SELECT 1 settings/**/max_rows_to_read=0) SELECT * FROM x",
        "SELECT * FROM view(SELECT 1 SETTINGS max_rows_to_read = 0)",
        "EXPLAIN SELECT 1 SETTINGS max_execution_time = 0",
    ],
)
def test_a_reader_cannot_lift_a_limit_in_the_statement(either_reader: Raw, statement: str) -> None:
    assert either_reader.refused(statement) == "164"


@pytest.mark.parametrize(
    "name",
    ["readonly", "profile", "allow_ddl", "max_query_size", "output_format_schema", "format_schema", "role_x"],
)
def test_a_reader_cannot_set_other_settings_in_the_address(reader: Raw, name: str) -> None:
    assert reader.refused("SELECT 1", **{name: "0"}) == "452"


@pytest.mark.parametrize("name", sorted(guard.BOUNDED))
@pytest.mark.parametrize("value", ["0", "999999999999"])
def test_a_reader_cannot_lift_a_limit_in_the_address(either_reader: Raw, name: str, value: str) -> None:
    status, _, text = either_reader.ask(f"SELECT getSetting('{name}')", **{name: value})
    assert status == 200
    assert text.strip() == str(guard.PROFILES[either_reader.user].settings[name])


def test_an_endless_query_is_stopped(either_reader: Raw) -> None:
    for endless in (
        "SELECT sum(sipHash64(number)) FROM system.numbers",
        "SELECT * FROM system.numbers FORMAT Null",
    ):
        assert either_reader.refused(endless, max_execution_time="1") in ("159", "396")


def test_an_endless_query_whose_client_has_gone_is_stopped(data_dir: Path, admin: Store) -> None:
    raw = Raw(data_dir, "analyst")
    connection = http.client.HTTPConnection(raw.address.hostname, raw.address.port)
    connection.request(
        "POST",
        "/",
        "SELECT count() AS gone FROM system.numbers",
        {"X-ClickHouse-User": raw.user, "X-ClickHouse-Key": raw.password},
    )
    running = (
        "SELECT count() FROM system.processes WHERE query LIKE '%AS gone%' AND query NOT LIKE '%processes%'"
    )
    wait_for(lambda: admin.query(running) == [(1,)])
    connection.close()
    wait_for(lambda: admin.query(running) == [(0,)])


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_giant_result_is_refused(either_reader: Raw) -> None:
    for output_format in ("TabSeparated", "JSON", "Native"):
        status, _, text = either_reader.ask(f"SELECT number FROM numbers(50000000) FORMAT {output_format}")
        assert status >= 400 or "__exception__" in text
        assert "TOO_MANY_ROWS" in text


def test_a_query_that_eats_memory_is_refused(either_reader: Raw) -> None:
    assert (
        either_reader.refused(
            "SELECT groupArray(repeat('x', 1000)) FROM numbers(100000000)", max_memory_usage="100000000"
        )
        == "241"
    )


def test_statements_that_are_too_long_or_too_deep_are_refused(reader: Raw) -> None:
    assert reader.refused("SELECT '" + "x" * guard.STATEMENT_BYTES_MAX + "'") in ("36", "62")
    assert reader.refused("SELECT " + "(" * 5000 + "1" + ")" * 5000) == "306"
    assert reader.ask("SELECT 1")[0] == 200


def test_a_body_that_decompresses_without_end_is_refused(reader: Raw) -> None:
    bomb = gzip.compress(b" " * (BODY_BYTES_MAX["reads"] + 1))
    status, code, _ = reader.ask(bomb, headers={"Content-Encoding": "gzip"})
    assert (status, code) == (400, "36")


def test_get_is_read_only_even_for_the_writer(data_dir: Path) -> None:
    for user in ("writer", "admin"):
        raw = Raw(data_dir, user)
        assert raw.refused(b"", "GET", query="INSERT INTO market.instruments (venue) VALUES ('x')") == "164"
        assert raw.refused(b"", "GET", query="TRUNCATE TABLE market.instruments") == "164"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE market.mine (x Int8) ENGINE = ReplacingMergeTree ORDER BY x",
        "DROP TABLE market.instruments",
        "TRUNCATE TABLE market.instruments",
        "ALTER TABLE market.instruments DELETE WHERE 1",
        "INSERT INTO system.settings (name) VALUES ('x')",
        "INSERT INTO FUNCTION file('x', 'CSV', 'x Int8') VALUES (1)",
        "INSERT INTO market.instruments (venue) SELECT file('/etc/hostname')",
        "INSERT INTO market.instruments (venue) VALUES (file('/etc/hostname'))",
        "INSERT INTO market.instruments (venue) SETTINGS input_format_values_interpret_expressions = 1"
        " VALUES (file('/etc/hostname'))",
        "INSERT INTO market.instruments FROM INFILE '/etc/hostname' FORMAT LineAsString",
        "INSERT INTO market.instruments (venue) SELECT 'x' SETTINGS allow_ddl = 1",
        "SELECT 1 INTO OUTFILE '/tmp/isotherm-outfile'",
        "SET allow_ddl = 1",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
    ],
)
def test_the_writer_can_insert_and_read_and_nothing_else(
    data_dir: Path, admin: Store, statement: str
) -> None:
    Raw(data_dir, "writer").refused(statement)
    assert not Path("/tmp/isotherm-outfile").exists()
    assert admin.query("SELECT count() FROM market.instruments WHERE symbol = ''") == [(0,)]


def test_data_of_an_insert_is_never_run(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    letters = "INSERT INTO market.dead_letters (topic, detail) VALUES"
    Raw(data_dir, "writer").ask(f"{letters} ('raw.data', 'x'); SELECT 1 INTO OUTFILE '{out}'")
    Raw(data_dir, "writer").ask(f"{letters} ('raw.data', 'y'); DROP TABLE market.instruments")
    assert not out.exists()
    assert Raw(data_dir, "analyst").ask("SELECT count() FROM market.instruments")[0] == 200


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE market.mine (x String) ENGINE = File(CSV, '/tmp/x')",
        "CREATE TABLE market.mine (x String) ENGINE = URL('http://127.0.0.1:1/', CSV)",
        "CREATE VIEW market.mine AS SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "CREATE VIEW market.mine AS SELECT file('/etc/hostname')",
        "CREATE DICTIONARY " + DICTIONARY.format("/etc/hostname"),
        "CREATE FUNCTION mine AS x -> x",
        "CREATE USER mine",
        "CREATE DATABASE mine",
        "DROP DATABASE market",
        "BACKUP TABLE market.instruments TO File('x')",
        "SELECT 1 INTO OUTFILE '/tmp/isotherm-outfile'",
    ],
)
def test_not_even_the_admin_reaches_files_and_network(data_dir: Path, statement: str) -> None:
    Raw(data_dir, "admin").refused(statement)


@pytest.mark.parametrize("user", ["default", "admin", "nobody", ""])
@pytest.mark.parametrize("wrong", ["", "wrong", "\u00e9\u4e2d", "x" * 5000])
def test_a_wrong_password_gets_403_and_learns_nothing(data_dir: Path, user: str, wrong: str) -> None:
    raw = Raw(data_dir, "analyst")
    raw.user, raw.password = user, wrong
    status, code, text = raw.ask("SELECT 1")
    assert (status, code) == (403, "516")
    assert "unknown user or wrong password" in text


def test_credentials_in_the_address_are_not_taken(data_dir: Path) -> None:
    raw = Raw(data_dir, "analyst")
    good, raw.password = raw.password, "wrong"
    assert raw.ask("SELECT 1", user="analyst", password=good)[0] == 403


def test_no_system_table_shows_a_password(reader: Raw, data_dir: Path) -> None:
    passwords = [password(data_dir, user) for user in USERS]
    names = set(reader.ask("SELECT DISTINCT name FROM system.tables WHERE database = 'system'")[2].split())
    names |= {
        "processes",
        "user_directories",
        "users",
        "server_settings",
        "settings",
        "disks",
        "errors",
        "build_options",
    }
    names |= {
        "named_collections",
        "query_log",
        "user_processes",
        "warnings",
        "environment",
        "certificates",
        "crash_log",
    }
    answered = 0
    for name in sorted(names):
        status, _, text = reader.ask(f"SELECT * FROM system.{name} LIMIT 20000")
        answered += status == 200
        assert not any(secret in text for secret in passwords), name
    assert answered >= 4


def test_the_credentials_file_is_for_its_owner_only(data_dir: Path) -> None:
    assert (data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600
    made = json.loads((data_dir / "credentials.json").read_text())
    assert set(made) == set(USERS)
    assert len(set(made.values())) == len(USERS)
    assert min(map(len, made.values())) >= 32


def test_passwords_may_come_from_the_environment_and_are_in_no_log(data_dir: Path, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from sql.data_dir import *; print(make_credentials(pathlib.Path(sys.argv[1])))"
    )
    environment = os.environ | {"ISOTHERM_STORE_BOARD_PASSWORD": "from-environment"}
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'board': 'from-environment'" in told.stdout
    log = (data_dir / "store.log").read_text()
    assert log and not any(password(data_dir, user) in log for user in USERS)


def test_wrong_statements_of_a_reader_are_the_readers_errors(data_dir: Path, analyst: Store) -> None:
    with pytest.raises(StoreError, match="INTO OUTFILE: the store reads and writes no files"):
        analyst.query("SELECT 1 INTO OUTFILE 'x'")
    assert analyst.query("SELECT 'INTO OUTFILE', 'file(x)'") == [("INTO OUTFILE", "file(x)")]
