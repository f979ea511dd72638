"""The store's part of the command line: `isotherm store`, `isotherm migrate`, `isotherm sql`."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sql import data_dir as layout
from sql import migrate as migrations
from sql.client import Store, StoreError, connect
from sql.data_dir import DataDirError
from sql.guard import MEMORY_BYTES
from sql.migrate import MigrationError

FOLDER = click.Path(file_okay=False, path_type=Path)
FORMATS = {"table": "PrettyCompactMonoBlock", "json": "JSON", "jsonl": "JSONEachRow", "csv": "CSVWithNames"}
# A person waits at the terminal: long enough for a store that restarts.
RETRY_S = 10.0
PASSWORD = "ISOTHERM_CLICKHOUSE_PASSWORD"  # noqa: S105 (the name of the variable)


class CommandError(click.ClickException):
    """A wrong option or file, or a store that refuses: one line on standard error, exit code 2."""

    exit_code = 2


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors a user can cause into a CommandError."""
    try:
        yield
    except (DataDirError, MigrationError, StoreError) as error:
        raise CommandError(" ".join(str(error).split())) from error


@contextlib.contextmanager
def open_store(
    data_dir: Path | None, clickhouse: str | None, user: str, create: bool = False
) -> Iterator[Store]:
    """The store that the options name, connected as `user`; `create` makes an embedded one if need be.

    Raises:
        CommandError, DataDirError, StoreError: the options name none.
    """
    if (data_dir is None) == (clickhouse is None):
        raise CommandError("expected either --data-dir DIRECTORY or --clickhouse URL")
    if clickhouse is not None:
        yield connect(clickhouse, user, os.environ.get(PASSWORD, ""), RETRY_S)
        return
    assert data_dir is not None
    if not create and not (data_dir / "store").is_dir():
        raise CommandError(f"{data_dir}: no store there: isotherm migrate --data-dir {data_dir} makes one")
    with layout.running(data_dir) as url:
        store = connect(url, user, layout.password(data_dir, user), RETRY_S)
        with contextlib.closing(store):
            yield store


def _chosen(data_dir: Path | None, clickhouse_url: str | None) -> tuple[Path | None, str | None]:
    """One of the two: what a configuration file says gives way to the other option, and its directory to its server."""
    source = click.get_current_context().get_parameter_source
    if data_dir is not None and clickhouse_url is not None:
        if source("data_dir") is ParameterSource.DEFAULT_MAP:
            return None, clickhouse_url
        if source("clickhouse_url") is ParameterSource.DEFAULT_MAP:
            return data_dir, None
    return data_dir, clickhouse_url


def on_store(user: str, create: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options that name a store and a user; the command gets the `Store`, and errors become one line."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--data-dir", type=FOLDER, help="Directory of an embedded store.")
        @click.option(
            "--clickhouse",
            "clickhouse_url",
            metavar="URL",
            help=f"A ClickHouse server instead; its password in {PASSWORD}.",
        )
        @click.option("--user", default=user, show_default=True)
        @functools.wraps(command)
        def run(data_dir: Path | None, clickhouse_url: str | None, user: str, **options: Any) -> None:
            where = _chosen(data_dir, clickhouse_url)
            with one_line_errors(), open_store(*where, user, create) as store:
                command(store, **options)

        return run

    return decorate


@click.command()
@click.option("--data-dir", required=True, type=FOLDER, help="Directory it owns.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8123, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--memory-bytes", default=MEMORY_BYTES, show_default=True, type=click.IntRange(min=1 << 28))
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def store(**options: Any) -> None:
    r"""Run the embedded store: chDB behind ClickHouse's HTTP interface.

    Where it listens stands in DATA_DIR/store.json, the passwords of its users (admin, writer, analyst, board)
    in DATA_DIR/credentials.json or in ISOTHERM_STORE_<USER>_PASSWORD. SIGTERM and Ctrl-C end it.

    \b
    Examples:
      isotherm store --data-dir data
      isotherm store --data-dir data --port 0
    """
    # The engine takes half a second to load: the other commands do without.
    from sql.embedded import Settings, serve  # noqa: PLC0415

    with one_line_errors():
        serve(Settings(**options))


@click.command()
@on_store("admin", create=True)
@click.option("--access", is_flag=True, help="Also roles, profiles and quotas; on a server only.")
@click.option(
    "--retain", metavar="TABLE=DAYS", multiple=True, help="Delete older rows by event time; 0: keep all."
)
@click.option("--dry-run", is_flag=True, help="Print the statements instead.")
def migrate(store: Store, access: bool, retain: tuple[str, ...], dry_run: bool) -> None:
    r"""Bring a store to this version's tables and views.

    Without --retain all rows are kept. With it ClickHouse deletes rows of a depth table once they are so many
    days old by event time, which a replayed recording is from its first row on.

    \b
    Examples:
      isotherm migrate --data-dir data
      isotherm migrate --data-dir data --retain depth_1s=7 --retain depth_10s=60 --retain depth_1m=730
      isotherm migrate --clickhouse https://host:8443 --user default --access --dry-run
    """
    if access and click.get_current_context().params["clickhouse_url"] is None:
        raise CommandError("--access: the embedded store has its users built in; give --clickhouse URL")
    days = dict(map(_days, retain))
    if dry_run:
        for migration in migrations.pending(store, access):
            click.echo(
                f"-- {migration.version}_{migration.name}\n" + ";\n\n".join(migration.statements) + ";\n"
            )
        return
    for migration in migrations.migrate(store, access):
        click.echo(f"applied {migration.version}_{migration.name}")
    migrations.retain(store, days)


@click.command()
@on_store("analyst")
@click.option("--format", "output", default="table", show_default=True, type=click.Choice(list(FORMATS)))
@click.argument("statement")
def sql(store: Store, output: str, statement: str) -> None:
    r"""Ask the store. STATEMENT is one SQL statement, or - to read it from standard input.

    A store that is not running is started for the time of the question.

    \b
    Examples:
      isotherm sql --data-dir data "SELECT count() FROM market.depth_1s"
      isotherm sql --data-dir data --format csv "SELECT time, mid FROM market.depth_measures_1m ORDER BY time"
      isotherm sql --clickhouse https://host:8443 --format json - < question.sql
    """
    text = sys.stdin.read() if statement == "-" else statement
    click.echo(store.query_text(text, FORMATS[output]), nl=False)


def _days(option: str) -> tuple[str, int]:
    table, _, days = option.partition("=")
    if not days.isdigit():
        raise CommandError(f"--retain {option}: expected TABLE=DAYS, e.g. depth_1s=7")
    return table, int(days)
