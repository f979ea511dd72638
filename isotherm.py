"""The command line: declares the subcommands, whose bodies live in their packages."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast

import click
import structlog

from connectors.commands import Failure
from connectors.feed import feeds
from connectors.keys import RedactedStream, Redactor, secrets_of
from connectors.settings import PROCESSES, Configuration, Settings, SettingsError, load, path_of
from connectors.venue import markets

# Where each command is: loaded when it is called, as what one needs takes seconds and much memory to load.
COMMANDS = {
    "demo": "flows.up_commands:demo",
    "up": "flows.up_commands:up",
    "simulate": "connectors.simulator.commands:simulate",
    "connect": "connectors.commands:connect",
    "webhook": "connectors.webhook_commands:webhook",
    "flow": "flows.commands:flow",
    "store": "sql.commands:store",
    "migrate": "sql.commands:migrate",
    "sql": "sql.commands:sql",
    "record": "connectors.commands:record",
    "replay": "flows.commands:replay",
    "backfill": "flows.commands:backfill",
    "import-bars": "flows.import_commands:import_bars",
    "board": "dashboards.commands:board",
    "doctor": "flows.doctor:doctor",
}


class Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, as help lists them."""
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, _, name = COMMANDS[cmd_name].partition(":")
            self.add_command(getattr(importlib.import_module(module), name))
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=Commands, context_settings={"auto_envvar_prefix": "ISOTHERM", "help_option_names": ["-h", "--help"]}
)
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
        settings = load(path, os.environ, markets(), PROCESSES, feeds())
        context.obj = Configuration(path, settings)
        context.default_map = _defaults(settings)
    except SettingsError as error:
        if context.invoked_subcommand != "doctor":
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
    found = {name: common | own.get(name, {}) for name in COMMANDS if name not in ("demo", "simulate")}
    found["demo"] = {"board_port": settings.board.port}
    return {
        name: {option: value for option, value in options.items() if value is not None}
        for name, options in found.items()
    }


if __name__ == "__main__":
    main()
