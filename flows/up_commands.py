"""The commands that run the whole pipeline on one machine: `up` and `demo`."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from connectors.commands import Failure, Span, configuration
from flows import up as pipeline
from flows.runtime.supervisor import Part, PartError
from sql.client import StoreError
from sql.data_dir import DataDirError

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Where log, store and state are kept on this machine.",
)  # fmt: skip
span_option = click.option("--for", "span_s", type=Span(), help="Stop by itself after so long: 30s, 5m.")
symbols_option = click.option(
    "--symbols",
    help="Comma-separated symbols or instruments: BTCUSDT,BTC-USD,EUR-USD.  [default: the venues' own]",
)


board_port_option = click.option(
    "--board-port",
    default=5006,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Of the board on 127.0.0.1; 0 takes a free one.",
)


@click.command()
@symbols_option
@board_port_option
@span_option
@data_dir_option
def up(symbols: str | None, board_port: int, span_s: float | None, data_dir: Path) -> None:
    """Run the pipeline on live feeds until Ctrl-C: of every venue that needs no key, or whose key is set.

    Follows the venues of the configuration file instead, if it names any. Starts the store, the connector, the flows
    and the board as processes and restarts one that dies; logs are in DATA_DIR/logs. Ends with one line of JSON.

    \b
    Examples:
      isotherm up --data-dir data
      isotherm up --data-dir data --symbols BTCUSDT --for 10m
    """
    found = configuration()
    for name, url in (
        ("log.url", found.settings.log.url),
        ("store.clickhouse", found.settings.store.clickhouse),
    ):
        if url:
            raise Failure(
                f"expected no {name}, found {url}: `up` keeps log and store in its data directory; for servers run "
                "`isotherm connect` and `isotherm flow`, or give `isotherm --config FILE up` a file without it"
            )
    port = board_port or pipeline.free_port()
    with _one_line_errors():
        processes = pipeline.parts(data_dir, symbols, port, simulated=False, configuration=found)
    _supervise(data_dir, port, span_s, processes)


@click.command()
@symbols_option
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of the simulated market.")
@click.option(
    "--past",
    "past_s",
    type=Span(),
    default="1m",
    show_default=True,
    help="Of the market, played at full speed before the present.",
)
@board_port_option
@span_option
@data_dir_option
def demo(
    symbols: str | None, seed: int, past_s: float, board_port: int, span_s: float | None, data_dir: Path
) -> None:
    """Run the pipeline on simulated venues, all there are, without network. Nothing it shows is real.

    \b
    Examples:
      isotherm demo --data-dir data/demo
      isotherm demo --data-dir data/demo --for 60s --past 5m
    """
    port = board_port or pipeline.free_port()
    past_s = pipeline.unplayed_s(data_dir, past_s, time.time())
    found = pipeline.parts(data_dir, symbols, port, simulated=True, seed=seed, past_s=past_s)
    _supervise(data_dir, port, span_s, found)


def _supervise(data_dir: Path, board_port: int, span_s: float | None, parts: list[Part]) -> None:
    if pipeline.listens("127.0.0.1", board_port):
        raise Failure(f"port {board_port} is in use: choose another one for the board with --board-port")
    with _one_line_errors():
        data_dir.mkdir(parents=True, exist_ok=True)
        click.echo(
            f"board: http://127.0.0.1:{board_port}/ in a moment; data, logs and passwords: {data_dir}",
            err=True,
        )
        summary = pipeline.run(parts, data_dir, span_s, lambda text: click.echo(text, err=True))
    click.echo(json.dumps(summary))


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a user can cause becomes one line on standard error, exit code 2."""
    try:
        yield
    except (DataDirError, OSError, PartError, StoreError, pipeline.SymbolError) as error:
        raise Failure(" ".join(str(error).split())) from error
