"""The command line: declares the subcommands, whose bodies live in their packages."""

import sys

import click
import structlog

from connectors.commands import connect, record
from connectors.simulator.commands import simulate
from dashboards.commands import board
from flows.commands import demo, flow, replay, up
from sql.commands import migrate, sql, store


@click.group(context_settings={"auto_envvar_prefix": "ISOTHERM", "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="isotherm")
def main() -> None:
    """Real-time market heatmaps: exchange feeds through a topic log and dataflows into ClickHouse.

    Every option may also stand in the environment: --data-dir of `replay` is ISOTHERM_REPLAY_DATA_DIR.
    """
    # Standard output is for answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


for command in (demo, up, simulate, connect, flow, store, migrate, sql, record, replay, board):
    main.add_command(command)

if __name__ == "__main__":
    main()
