import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from isotherm import main
from sql.client import Store
from tests.sql.test_http_front import connected

VALUES = "number AS n, concat('é,', toString(number)) AS text, if(number = 1, nan, number / 3) AS x"
QUESTION = f"SELECT {VALUES} FROM numbers(3)"


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def test_sql_answers_in_every_format_as_clickhouse_connect_does(data_dir: Path) -> None:
    expected = next(connected(data_dir, "analyst")).query(QUESTION).result_rows
    ask = ("sql", "--data-dir", str(data_dir), QUESTION)
    rows = list(csv.DictReader(io.StringIO(run(*ask, "--format", "csv").stdout)))
    assert [(int(row["n"]), row["text"], str(float(row["x"]))) for row in rows] == [
        (n, text, str(x)) for n, text, x in expected
    ]
    lines = [json.loads(line) for line in run(*ask, "--format", "jsonl").stdout.splitlines()]
    assert [(row["n"], row["text"]) for row in lines] == [row[:2] for row in expected]
    whole = json.loads(run(*ask, "--format", "json").stdout)
    assert [column["name"] for column in whole["meta"]] == ["n", "text", "x"]
    assert whole["data"] == lines
    table = run(*ask).stdout
    assert all(text in table for _, text, _ in expected) and "┌" in table


def test_sql_reads_standard_input(data_dir: Path) -> None:
    found = run(
        "sql", "--data-dir", str(data_dir), "--format", "jsonl", "-", stdin="SELECT\n 1 AS a -- one\n"
    )
    assert (found.exit_code, found.stdout) == (0, '{"a":1}\n')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sql", "--data-dir", "{}", "SELEC 1"), "Syntax error"),
        (("sql", "--data-dir", "{}", "SELECT * FROM market.nothing"), "nothing"),
        (
            ("sql", "--data-dir", "{}", "INSERT INTO market.instruments (venue) VALUES ('x')"),
            "INSERT statements",
        ),
        (("sql", "--data-dir", "{}", "--user", "nobody", "SELECT 1"), "expected one of admin"),
        (("sql", "--data-dir", "{}/elsewhere", "SELECT 1"), "no store there: isotherm migrate"),
        (("sql", "SELECT 1"), "expected either --data-dir"),
        (("sql", "--data-dir", "{}", "--clickhouse", "http://x", "SELECT 1"), "expected either --data-dir"),
        (("sql", "--clickhouse", "x", "SELECT 1"), "expected http://"),
        (("sql", "--data-dir", "{}", "--format", "xml", "SELECT 1"), "xml"),
        (("migrate", "--data-dir", "{}", "--retain", "depth_1s"), "expected TABLE=DAYS"),
        (("migrate", "--data-dir", "{}", "--retain", "instruments=1"), "expected one of depth_1s"),
        (("migrate", "--data-dir", "{}", "--access"), "--clickhouse URL"),
        (("migrate", "--data-dir", "{}", "--user", "analyst"), "CREATE statements"),
        (("store", "--data-dir", "{}"), "already runs there"),
    ],
)
def test_errors_are_one_line_and_exit_code_two(
    data_dir: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = run(*(argument.format(data_dir) for argument in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    if "--format" not in arguments:  # click's own errors show the usage too
        assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_migrate_says_what_it_applied(data_dir: Path, admin: Store) -> None:
    assert run("migrate", "--data-dir", str(data_dir)).stdout == ""
    admin.command(
        "ALTER TABLE market.schema_migrations DELETE WHERE version = 'views/0004' SETTINGS mutations_sync = 1"
    )
    dry = run("migrate", "--data-dir", str(data_dir), "--dry-run").stdout
    assert (
        dry.startswith("-- views/0004_health\nCREATE OR REPLACE VIEW market.gaps")
        and dry.count("CREATE") == 2
    )
    assert run("migrate", "--data-dir", str(data_dir)).stdout == "applied views/0004_health\n"
    assert run("migrate", "--data-dir", str(data_dir), "--retain", "depth_10s=60").exit_code == 0
    assert run("migrate", "--data-dir", str(data_dir), "--retain", "depth_10s=0").exit_code == 0


@pytest.mark.parametrize("command", ["store", "migrate", "sql"])
def test_help_shows_examples(command: str) -> None:
    text = run(command, "--help").stdout
    assert f"isotherm {command} --data-dir data" in text.split("Examples:")[1]
