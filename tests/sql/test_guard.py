import pytest

from sql import guard
from sql.guard import PROFILES, READS, Insert, RefusedError

TABLE_FUNCTIONS = {"numbers", "url", "python", "file", "eval", "VALUES"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT * FROM numbers(3) FORMAT JSON",
        "SELECT 'INTO OUTFILE', 'it\\'s file(\\'x\\')', url AS `from infile` FROM market.t",
        "SELECT * FROM values('a Int8', 1)",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
    ],
)
def test_harmless_statements_pass(statement: str) -> None:
    assert guard.check(statement, READS, TABLE_FUNCTIONS) == statement.lstrip("(").split()[0]


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("INSERT INTO t SELECT 1", "INSERT"),
        ("SET readonly = 0", "SET"),
        ("KILL QUERY WHERE 1", "KILL"),
        ("SYSTEM SHUTDOWN", "SYSTEM"),
        ("USE system", "USE"),
        ("", "such"),
        ("SELECT 1 INTO OUTFILE 'x'", "INTO OUTFILE"),
        ("SELECT 1 AS `a'b` INTO OUTFILE 'x'", "INTO OUTFILE"),
        ("SELECT 'a`b' AS `c` INTO OUTFILE 'x`'", "INTO OUTFILE"),
        ("SELECT '\\\\' INTO OUTFILE '\\\\'", "INTO OUTFILE"),
        ("SELECT 1 PARALLEL WITH KILL QUERY WHERE 1 ASYNC", "PARALLEL WITH"),
        ("SELECT file('x')", "file"),
        ("SELECT arrayMap(file, ['x'])", "file"),
        ("SELECT * APPLY file FROM t", "file"),
        ("SELECT * APPLY `file` FROM t", "file"),
        ("SELECT aiGenerate('x')", "aiGenerate"),
        ("SELECT * FROM url('x')", "url"),
        ("SELECT * FROM `url` ('x')", "url"),
        ("SELECT * FROM Python(x)", "Python"),
        ("SELECT * FROM eval('SELECT 1')", "eval"),
        ("SELECT 1 FORMAT Template SETTINGS format_template_row = 'x'", "format_template"),
        ("SELECT 1 FORMAT Protobuf", "Protobuf"),
        ("SELECT 1 SETTINGS output_format_schema = 'x'", "format_schema"),
        ("SELECT 'no end", "quotes"),
        ("SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)", "SETTINGS"),
    ],
)
def test_what_reads_writes_or_reaches_out_is_refused(statement: str, word: str) -> None:
    with pytest.raises(RefusedError, match=word):
        guard.check(statement, READS, TABLE_FUNCTIONS)


def test_infile_and_rows_the_guard_has_not_seen_are_refused_for_a_writer() -> None:
    kinds = PROFILES["writer"].kinds
    with pytest.raises(RefusedError, match="FROM INFILE"):
        guard.check("INSERT INTO t FROM INFILE 'x' FORMAT CSV", kinds, TABLE_FUNCTIONS)
    with pytest.raises(RefusedError, match="expected INSERT INTO"):
        guard.check("INSERT INTO t FORMAT Values", kinds, TABLE_FUNCTIONS)
    assert guard.check("INSERT INTO t SELECT 1", kinds, TABLE_FUNCTIONS) == "INSERT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b"INSERT INTO market.t (a, `b c`) FORMAT Native\n\n\x01",
            Insert("INSERT INTO market.t (a, `b c`)", "Native", 46),
        ),
        (b"insert into t format JSONEachRow {}", Insert("INSERT INTO t", "JSONEachRow", 33)),
        (b"INSERT INTO t VALUES (1)", Insert("INSERT INTO t", "Values", 20)),
        (b"INSERT INTO t FORMAT CSV", Insert("INSERT INTO t", "CSV", 24)),
        (b"INSERT INTO t SELECT 1", None),
        (b"INSERT INTO FUNCTION file('x') VALUES (1)", None),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", None),
        (b"INSERT INTO t SETTINGS x = 1 VALUES (1)", None),
        (b"SELECT 1", None),
    ],
)
def test_an_insert_with_rows_is_taken_apart(text: bytes, expected: Insert | None) -> None:
    assert guard.rows_along(text) == expected


def test_rows_in_a_format_that_reads_files_are_refused() -> None:
    with pytest.raises(RefusedError, match="Protobuf"):
        guard.rows_along(b"INSERT INTO t FORMAT Protobuf\n")


def test_settings_are_clamped_never_lifted() -> None:
    board = PROFILES["board"]
    limit = board.settings["max_execution_time"]
    for asked in ("0", "-1", "1e9", "20"):
        assert guard.settings(board, {"max_execution_time": asked})["max_execution_time"] == limit
    assert guard.settings(board, {"max_execution_time": "3"})["max_execution_time"] == 3
    assert guard.settings(board, {"join_use_nulls": "1", "async_insert": "0"}) == board.settings | {
        "join_use_nulls": "1"
    }


@pytest.mark.parametrize(
    "name", ["readonly", "profile", "allow_ddl", "final", "format_schema", "log_comment", "no such"]
)
def test_other_settings_are_refused(name: str) -> None:
    for profile in PROFILES.values():
        with pytest.raises(RefusedError, match=name):
            guard.settings(profile, {name: "0"})


@pytest.mark.parametrize("value", ["much", "", "nan", "inf"])
def test_a_bound_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(RefusedError, match="number"):
        guard.settings(PROFILES["analyst"], {"max_threads": value})


def test_statements_too_long_or_no_text_are_refused() -> None:
    with pytest.raises(RefusedError, match="bytes"):
        guard.decode(b"S" * (guard.STATEMENT_BYTES_MAX + 1))
    with pytest.raises(RefusedError, match="UTF-8"):
        guard.decode(b"SELECT '\xff'")


def test_only_readers_are_read_only_and_every_profile_is_bounded() -> None:
    assert {user for user, profile in PROFILES.items() if profile.settings.get("readonly") == 1} == {
        "analyst",
        "board",
    }
    for profile in PROFILES.values():
        assert int(profile.settings["max_execution_time"]) > 0
        assert int(profile.settings["max_memory_usage"]) > 0
