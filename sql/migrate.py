"""Bring a store to the schema of this checkout: `tables/`, `views/` and, on a server, `access/`.

A file is `NNNN_name.sql`: idempotent statements, each ending with a semicolon at the end of a line. What was
applied stands in `market.schema_migrations` with its hash. A table file never changes once applied (write the
next number instead); views and access files replace what they define and are applied again when they change.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).parent
DATABASE = "CREATE DATABASE IF NOT EXISTS market COMMENT 'Isotherm: market data, derived rows (no unit)'"
HISTORY = """CREATE TABLE IF NOT EXISTS market.schema_migrations
(
    version String COMMENT 'Folder and number of the file, e.g. tables/0001 (id)',
    name String COMMENT 'The rest of the file name (name)',
    sha256 FixedString(64) COMMENT 'SHA-256 of the file (hexadecimal digits)',
    applied DateTime64(3, 'UTC') COMMENT 'When it was applied (UTC)'
)
ENGINE = ReplacingMergeTree(applied)
ORDER BY version
COMMENT 'Which SQL files were applied: one row per file. Times UTC'"""
# Days of event time; suggested in the tables' comments. Off by default: a TTL deletes old rows at the next
# merge, and a replayed recording is old from its first row on.
RETENTION_DAYS = {"depth_1s": 7, "depth_10s": 60, "depth_1m": 730}


class MigrationError(RuntimeError):
    """The files and the history of the store do not fit together; the message says which and what to do."""


class Connection(Protocol):
    """What a migration needs of a store; `sql.client.Store` has it."""

    def command(self, statement: str) -> None:
        """Run one statement that answers nothing."""

    def query(self, statement: str) -> Sequence[tuple[object, ...]]:
        """Run one statement and return its rows."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: str  # tables/0001
    name: str
    text: str
    repeatable: bool

    @property
    def sha256(self) -> str:
        """Hash of the whole file, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements, one at a time, without the lines that are only comment.

        After the line `-- for each NAME of A B` all statements are there once per value, `{NAME}` replaced.
        """
        bare = re.sub(r"^\s*--.*\n?", "", self.text, flags=re.MULTILINE)
        single = [part.strip() for part in re.split(r";[ \t]*(?:\n|\Z)", bare) if part.strip()]
        each = re.search(r"^-- for each (\w+) of (.+)$", self.text, flags=re.MULTILINE)
        if each is None:
            return single
        return [part.replace(f"{{{each[1]}}}", value) for value in each[2].split() for part in single]


def migrations(access: bool = False, folder: Path = FOLDER) -> Iterator[Migration]:
    """All files in order: tables, views, then with `access` the roles, profiles and quotas of a server."""
    for kind in ("tables", "views", "access") if access else ("tables", "views"):
        for path in sorted((folder / kind).glob("*.sql")):
            found = re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name)
            if found is None:
                raise MigrationError(f"{path}: expected a name like 0001_depth.sql")
            yield Migration(
                f"{kind}/{found[1]}", found[2], path.read_text(encoding="utf-8"), kind != "tables"
            )


def migrate(store: Connection, access: bool = False, folder: Path = FOLDER) -> list[Migration]:
    """Apply what is missing, in order; return it.

    Raises:
        MigrationError: a table file differs from what was applied under its number.
    """
    store.command(DATABASE)
    store.command(HISTORY)
    missing = pending(store, access, folder)
    for migration in missing:
        for statement in migration.statements:
            store.command(statement)
        store.command(
            "INSERT INTO market.schema_migrations (version, name, sha256, applied) "
            f"SELECT '{migration.version}', '{migration.name}', '{migration.sha256}', now64(3)"
        )
    return missing


def pending(store: Connection, access: bool = False, folder: Path = FOLDER) -> list[Migration]:
    """The files that `migrate` would apply. Raises MigrationError as it does."""
    done = _applied(store)
    missing = []
    for migration in migrations(access, folder):
        applied = done.get(migration.version)
        if applied not in (None, migration.sha256) and not migration.repeatable:
            raise MigrationError(
                f"{migration.version}_{migration.name}.sql is not what was applied to this store (applied "
                f"{applied}, found {migration.sha256}): undo the change and add a file with the next number"
            )
        if applied != migration.sha256:
            missing.append(migration)
    return missing


def newer(store: Connection, folder: Path = FOLDER) -> list[str]:
    """What was applied to the store that this version has no file of: `tables/0009_name`."""
    if not _has_history(store):
        return []
    here = {migration.version for migration in migrations(access=True, folder=folder)}
    rows = store.query("SELECT version, name FROM market.schema_migrations FINAL ORDER BY version")
    return [f"{version}_{name}" for version, name in rows if version not in here]


def _applied(store: Connection) -> dict[str, str]:
    if not _has_history(store):
        return {}
    rows = store.query("SELECT version, toString(sha256) FROM market.schema_migrations FINAL")
    return {str(version): str(sha256) for version, sha256 in rows}


def _has_history(store: Connection) -> bool:
    return bool(
        store.query("SELECT 1 FROM system.tables WHERE database = 'market' AND name = 'schema_migrations'")
    )


def retain(store: Connection, days: Mapping[str, int]) -> None:
    """Keep the rows of depth tables for so many days of event time, 0: for ever.

    Raises:
        MigrationError: a table without retention, or a negative number of days.
    """
    for table, count in days.items():
        if table not in RETENTION_DAYS or count < 0:
            raise MigrationError(
                f"retention {table}={count}: expected one of {', '.join(RETENTION_DAYS)} and days >= 0"
            )
    for table, count in days.items():
        if count:
            store.command(f"ALTER TABLE market.{table} MODIFY TTL time + toIntervalDay({count})")
        elif _has_ttl(store, table):
            store.command(f"ALTER TABLE market.{table} REMOVE TTL")


def _has_ttl(store: Connection, table: str) -> bool:
    tables = store.query(
        "SELECT name FROM system.tables WHERE database = 'market' AND engine_full LIKE '% TTL %'"
    )
    return (table,) in tables
