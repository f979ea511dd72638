import re
from pathlib import Path
from typing import Any

import pytest

from sql import migrate as migrations
from sql.client import Store
from sql.data_dir import embedded_store
from sql.guard import PROFILES
from sql.migrate import FOLDER, MigrationError, migrate, pending


class Recorder:
    """A store that holds a history and notes the statements it is given."""

    def __init__(self, history: dict[str, str]):
        self.history = history
        self.statements: list[str] = []

    def command(self, statement: str) -> None:
        self.statements.append(statement)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return [(1,)] if "system.tables" in statement else list(self.history.items())


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        kind, _, rest = name.partition("_")
        (path / kind).mkdir(exist_ok=True)
        (path / kind / f"{rest}.sql").write_text(text)
    return path


def test_a_second_run_applies_nothing(admin: Store) -> None:
    assert migrate(admin) == []
    history = admin.query("SELECT version, name FROM market.schema_migrations FINAL ORDER BY version")
    assert [f"{version}_{name}" for version, name in history] == sorted(
        f"{path.parent.name}/{path.stem}"
        for kind in ("tables", "views")
        for path in (FOLDER / kind).glob("*.sql")
    )


def test_every_statement_may_run_again(admin: Store) -> None:
    for migration in migrations.migrations():
        for statement in migration.statements:
            admin.command(statement)


def test_everything_has_a_comment_and_every_column_a_unit(admin: Store) -> None:
    tables = dict(
        admin.query(
            "SELECT name, comment FROM system.tables WHERE database = 'market' AND name != 'every_type'"
        )
    )
    assert len(tables) > 15
    assert [name for name, comment in tables.items() if not comment] == []
    columns = admin.query(
        "SELECT table, name, comment FROM system.columns WHERE database = 'market' AND table != 'every_type'"
    )
    # The engine tells none of a view with parameters: test_level_views.py reads its file.
    by_parameters = admin.query(
        "SELECT name FROM system.tables WHERE database = 'market' AND notEmpty(parameterized_view_parameters)"
    )
    assert {table for table, _, _ in columns} | {name for (name,) in by_parameters} == set(tables)
    assert [row for row in columns if not re.search(r"\([^()]+\)$", row[2])] == []
    assert admin.query("SELECT comment != '' FROM system.databases WHERE name = 'market'") == [(1,)]


def test_tables_are_upserts_with_a_partition_made_of_the_key(admin: Store) -> None:
    tables = admin.query(
        "SELECT name, engine, sorting_key, partition_key FROM system.tables"
        " WHERE database = 'market' AND engine != 'View' AND name NOT IN ('every_type', 'schema_migrations')"
    )
    assert {engine for _, engine, _, _ in tables} == {"ReplacingMergeTree"}
    for name, _, key, partition in tables:
        used = set(re.findall(r"[a-z_]*time[a-z_]*(?=[,)])", partition))
        assert used <= set(key.split(", ")), name
    keys = {name: key for name, _, key, _ in tables}
    assert keys["depth_1s"] == keys["depth_10s"] == keys["depth_1m"] == "instrument, venue, time"


def test_a_changed_table_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = Recorder({"tables/0001": "0" * 64})
    with pytest.raises(MigrationError, match=r"tables/0001_a\.sql is not what was applied.*next number"):
        pending(store, folder=folder(tmp_path, tables_0001_a="SELECT 1;"))


def test_a_changed_view_is_applied_again_and_noted(tmp_path: Path) -> None:
    store = Recorder({"views/0001": "0" * 64})
    path = folder(tmp_path, views_0001_a="CREATE OR REPLACE VIEW market.a AS SELECT 1;\n")
    assert [m.version for m in migrate(store, folder=path)] == ["views/0001"]
    assert store.statements[2] == "CREATE OR REPLACE VIEW market.a AS SELECT 1"
    assert store.statements[3].startswith("INSERT INTO market.schema_migrations")
    assert migrations.migrations(folder=path).__next__().sha256 in store.statements[3]


def test_a_file_that_has_no_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"expected a name like 0001_depth\.sql"):
        pending(Recorder({}), folder=folder(tmp_path, tables_depth="SELECT 1;"))


def test_files_are_applied_in_order_statement_by_statement(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        views_0001_v="SELECT 5;",
        tables_0002_b="SELECT 3;\nSELECT 4;",
        tables_0001_a="-- c;\nSELECT 1;\n\nSELECT\n2;",
    )
    store = Recorder({})
    migrate(store, folder=path)
    run = [s for s in store.statements if s.startswith("SELECT")]
    assert run == ["SELECT 1", "SELECT\n2", "SELECT 3", "SELECT 4", "SELECT 5"]


def test_a_template_stands_for_each_of_its_values(tmp_path: Path) -> None:
    path = folder(tmp_path, views_0001_v="-- for each interval of 1s 1m\nSELECT '{interval}';\nSELECT 0;\n")
    (found,) = migrations.migrations(folder=path)
    assert found.statements == ["SELECT '1s'", "SELECT 0", "SELECT '1m'", "SELECT 0"]


def test_retention_is_off_until_asked_for_and_goes_off_again(admin: Store) -> None:
    ttl = (
        "SELECT extract(engine_full, 'TTL (.*) SETTINGS') FROM system.tables"
        " WHERE database = 'market' AND name = 'depth_1m'"
    )
    assert admin.query(ttl) == [("",)]
    migrations.retain(admin, {"depth_1m": 730})
    assert admin.query(ttl) == [("time + toIntervalDay(730)",)]
    migrations.retain(admin, {"depth_1m": 0})
    migrations.retain(admin, {"depth_1m": 0})
    assert admin.query(ttl) == [("",)]
    with pytest.raises(MigrationError, match="retention instruments=1"):
        migrations.retain(admin, {"instruments": 1})


@pytest.mark.parametrize(
    "statement",
    [s for m in migrations.migrations(access=True) if m.version.startswith("access") for s in m.statements],
)
def test_the_access_rules_of_a_server_parse(data_dir: Path, admin: Store, statement: str) -> None:
    # The embedded engine has no access storage: its parser is all that can be asked here.
    assert admin.query("SELECT formatQuerySingleLine({s:String})", {"s": statement})[0][0].split()[0] in (
        "CREATE",
        "GRANT",
    )
    assert embedded_store(data_dir)


@pytest.mark.parametrize("user", ["analyst", "board"])
def test_a_server_limits_readers_as_the_embedded_store_does(user: str) -> None:
    text = (FOLDER / "access" / "0001_roles.sql").read_text()
    body = re.search(rf"PROFILE OR REPLACE isotherm_{user} SETTINGS(.*?)TO isotherm_{user};", text, re.DOTALL)
    assert body is not None
    found = dict(re.findall(r"(\w+) = '?(\w+)'?", body[1]))
    assert found == {name: str(value) for name, value in PROFILES[user].settings.items()}
    assert "max_execution_time = " + found["max_execution_time"] + " MAX " in body[1]
