"""The command line: declares the subcommands, whose bodies live in their packages."""

import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast

import click
import structlog

from connectors.commands import Failure, connect, record
from connectors.feed import feeds
from connectors.keys import RedactedStream, Redactor, secrets_of
from connectors.settings import Configuration, Settings, SettingsError, load, path_of
from connectors.simulator.commands import simulate
from connectors.venue import markets
from connectors.webhook_commands import webhook
from dashboards.commands import board
from flows.commands import FLOWS, backfill, demo, flow, replay, up
from flows.doctor import doctor
from flows.import_commands import import_bars
from sql.commands import migrate, sql, store


@click.group(context_settings={"auto_envvar_prefix": "ISOTHERM", "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="isotherm")
@click.option(
    "--config", "path", metavar="FILE", envvar="ISOTHERM_CONFIG", type=click.Path(path_type=Path),
    help="Settings; isotherm.example.toml shows all.  [default: isotherm.toml, if there is one]",
)  # fmt: skip
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Real-time market heatmaps: exchange feeds through a topic log and dataflows into ClickHouse.

    Every option may also stand in the environment: --data-dir of `replay` is ISOTHERM_REPLAY_DATA_DIR.
    """
    _keep_secrets()
    path = path_of(path, os.environ)
    try:
        settings = load(path, os.environ, markets(), ("connect", *FLOWS), feeds())
        context.obj = Configuration(path, settings)
        context.default_map = _defaults(settings)
    except SettingsError as error:
        if context.invoked_subcommand != doctor.name:
            raise Failure(str(error)) from None
        context.obj = Configuration(path, error=str(error))


def _keep_secrets() -> None:
    """Standard output is for answers; what else is said has no secrets in it."""
    redactor = Redactor(secrets_of(os.environ))
    if not isinstance(sys.stderr, RedactedStream):
        sys.stderr = cast(TextIO, RedactedStream(sys.stderr, redactor))
    errors = cast(TextIO, sys.stderr)
    usual = [one for one in structlog.get_config()["processors"] if not isinstance(one, Redactor)]
    structlog.configure(processors=[redactor, *usual], logger_factory=structlog.PrintLoggerFactory(errors))


def _defaults(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the options have as their defaults, by command and parameter. `demo` takes no data of the user's."""
    common = {
        "data_dir": settings.data_dir,
        "log_url": settings.log.url,
        "partitions": settings.log.partitions,
        "keep_s": settings.log.keep,
        "clickhouse_url": settings.store.clickhouse,
        "retry_cap_s": settings.connect.retry_cap,
        "board_port": settings.board.port,
        "venues": settings.followed or None,
    }
    own = {
        "board": {"port": settings.board.port},
        "connect": {"metrics_port": settings.metrics.get("connect")},
    }
    found = {name: common | own.get(name, {}) for name in main.commands if name not in ("demo", "simulate")}
    found["demo"] = {"board_port": settings.board.port}
    return {
        name: {option: value for option, value in options.items() if value is not None}
        for name, options in found.items()
    }


for command in (
    demo, up, simulate, connect, webhook, flow, store, migrate, sql, record, replay, backfill, import_bars, board,
    doctor,
):  # fmt: skip
    main.add_command(command)

if __name__ == "__main__":
    main()
