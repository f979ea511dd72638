"""The command of the boards: `isotherm board`."""

import click

from sql.client import Store
from sql.commands import CommandError, on_store


@click.command()
@click.option("--port", default=5006, show_default=True, type=click.IntRange(1, 65535))
@on_store("board")
def board(store: Store, port: int) -> None:
    r"""Serve the board on 127.0.0.1.

    A store that does not run is started for the time of the board.

    \b
    Examples:
      isotherm board --data-dir data
      isotherm board --clickhouse https://host:8443 --port 5007
    """
    # Bokeh takes a second to load: the other commands do without.
    from dashboards.board.app import serve  # noqa: PLC0415

    # A page must not wait for a store that is away: it says so and asks again.
    store.retry_s = 0
    try:
        serve(store, port)
    except OSError as error:
        raise CommandError(f"port {port}: {error.strerror or error}: give another with --port") from error
