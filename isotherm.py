"""The command line: declares the subcommands, whose bodies live in their packages."""

import sys

import click
import structlog

from sql.commands import migrate, sql, store


@click.group(context_settings={"auto_envvar_prefix": "ISOTHERM", "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Real-time market heatmaps: exchange feeds to Kafka, Bytewax, ClickHouse and boards."""
    # Standard output is for answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


for command in (store, migrate, sql):
    main.add_command(command)

if __name__ == "__main__":
    main()
