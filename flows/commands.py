"""The commands of this package: `flow` and `replay`. `isotherm` hangs them into its own."""

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import click

from connectors import feed as polled
from connectors.access import access
from connectors.budget import BudgetError
from connectors.commands import Failure, Instant, Span, Symbols, configuration
from connectors.endpoint import EndpointError
from connectors.fetched import FetchedError
from connectors.fetched import Span as Between
from connectors.keys import KeyValueError
from connectors.log import Log, LogError, OffsetGoneError, open_log
from connectors.recording_file import RecordingError
from connectors.venue import market, markets
from flows import backfill as backfills
from flows import depth, feeds, imports, levels, tape
from flows import replay as replays
from flows.catch_up import CatchUpError, catch_up
from flows.runtime.progress import FILE as LATENCY
from flows.runtime.progress import Progress, serving
from flows.runtime.run import EPOCH_S, BusyError, recovery_of, run
from flows.runtime.source import ShareError, share_of
from sql.client import Store, StoreError, connect
from sql.data_dir import DataDirError, password, running
from sql.migrate import MigrationError, migrate

FLOWS = {flow.name: flow for flow in (depth.FLOW, feeds.FLOW, levels.FLOW, tape.FLOW)}
KNOWN_ERRORS = (
    BudgetError, BusyError, CatchUpError, DataDirError, EndpointError, FetchedError, KeyValueError, LogError,
    MigrationError, OffsetGoneError, polled.PlanError, RecordingError, ShareError,
    StoreError,
)  # fmt: skip

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Where log, store and state are kept on this machine.",
)  # fmt: skip
log_option = click.option(
    "--log", "log_url", help="file:DIR or kafka:HOST:PORT.  [default: file:DATA_DIR/log]"
)
clickhouse_option = click.option(
    "--clickhouse", "clickhouse_url",
    help="http(s)://HOST:PORT of a server; user and password from ISOTHERM_CLICKHOUSE_USER and "
    "ISOTHERM_CLICKHOUSE_PASSWORD.  [default: the embedded store of DATA_DIR]",
)  # fmt: skip


@click.command()
@click.option("--venue", required=True, type=click.Choice(sorted(markets())), help="The market recorded.")
@click.option("--symbol", help="The book that snapshots without a symbol belong to, such as BTCUSDT.")
@click.option(
    "--partitions", default=1, show_default=True, type=click.IntRange(1, 1024), help="Of topics made now."
)
@click.option(
    "--summary",
    type=click.Choice(replays.SUMMARIES),
    default=replays.COUNTS,
    show_default=True,
    help="What to end with: counts of lines, books and rows; or volume, delta, profile and largest trades.",
)
@data_dir_option
@log_option
@clickhouse_option
@click.argument(
    "recordings",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
)
def replay(
    venue: str,
    symbol: str | None,
    partitions: int,
    summary: str,
    data_dir: Path,
    log_url: str | None,
    clickhouse_url: str | None,
    recordings: tuple[Path, ...],
) -> None:
    """Replay RECORDINGS, in order, through the log and the flows into the store.

    Reads our own recordings, hftbacktest text and cryptofeed jsonl, gzip, zstd or plain. Ends with one line of JSON.

    \b
    Examples:
      isotherm replay --venue binance_futures --symbol BTCUSDT --data-dir data btcusdt_20240808.gz
      isotherm replay --venue binance_spot --data-dir data --log kafka:broker:9092 recording.zst
      isotherm replay --venue binance_spot --data-dir data --summary tape recording.zst
      isotherm sql --data-dir data "SELECT * FROM market.depth_measures_1s LIMIT 5"
    """
    with _one_line_errors(), _log(data_dir, log_url) as log, _store(data_dir, clickhouse_url) as store:
        job = replays.Replay(
            market(venue), recordings, symbol, partitions, log, store, data_dir / "flow", summary
        )
        told = replays.replay(job, lambda text: click.echo(text, err=True))
        click.echo(json.dumps(told))


@click.command()
@click.argument("name", type=click.Choice(sorted(FLOWS)))
@click.option(
    "--share", default="1/1", show_default=True, help="Which partitions: i/n is every n-th from the i-th on."
)
@click.option("--until-end", is_flag=True, help="Stop at the end of the log instead of following it.")
@click.option(
    "--epoch",
    "epoch_s",
    type=float,
    help=f"Seconds between two saves of the state.  [default: {EPOCH_S:g}, of feeds {feeds.FLOW.epoch_s:g}, of levels "
    f"{levels.FLOW.epoch_s:g}]",
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Prometheus metrics on 127.0.0.1.")
@data_dir_option
@log_option
@clickhouse_option
def flow(
    name: str,
    share: str,
    until_end: bool,
    epoch_s: float | None,
    metrics_port: int | None,
    data_dir: Path,
    log_url: str | None,
    clickhouse_url: str | None,
) -> None:
    """Run the flow NAME over its share of its topics.

    Depth and tape read those of venues, feeds those of APIs and files, levels what the other flows made of them.

    One worker a process: for more, run more processes with --share 1/n to n/n, each with a data directory that
    outlives it. A killed flow goes on where its state was saved last and repeats a little, which changes nothing.

    \b
    Examples:
      isotherm flow depth --data-dir data
      isotherm flow depth --share 2/4 --data-dir state --log kafka:broker:9092 --clickhouse https://db:8443
    """
    with _one_line_errors(), _log(data_dir, log_url) as log:
        parts = share_of(FLOWS[name].parts(log), share)
        if not parts:
            raise Failure(
                f"share {share} of the log has no topic of flow {name}: start a connector or replay a recording first"
            )
        recovery = recovery_of(data_dir / "flow", name, share)
        progress = Progress(recovery / LATENCY)
        metrics_port = metrics_port or configuration().settings.metrics.get(name)
        with _store(data_dir, clickhouse_url) as store, _metrics(metrics_port, name, progress):
            dataflow = FLOWS[name].dataflow(log, store, parts, follow=not until_end, progress=progress)
            run(dataflow, recovery, epoch_s or FLOWS[name].epoch_s)


def _histories() -> list[str]:
    return sorted({x.venue or x.name for x in polled.feeds().values() if x.history is not None})


@click.command()
@click.argument("venue", type=click.Choice(_histories()))
@click.option("--symbols", type=Symbols(), default=(), help="As the venue writes them.  [default: its own]")
@click.option("--interval", "interval_s", type=Span(), default="1m", show_default=True, help="Of the bars.")
@click.option("--from", "from_ns", type=Instant(), help="A date, or a time as RFC 3339; UTC.")
@click.option("--to", "to_ns", type=Instant(), help="Up to there, exclusive.  [default: now]")
@click.option("--trades", is_flag=True, help="Trades too, where the venue tells past ones.")
@click.option("--again", is_flag=True, help="Also what was fetched before.")
@click.option("--archive", "archives", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Read files of Binance's archive, or a folder of them, instead of asking; repeatable.")  # fmt: skip
@data_dir_option
@log_option
@clickhouse_option
def backfill(  # noqa: PLR0913, PLR0917 - one a option
    venue: str,
    symbols: tuple[str, ...],
    interval_s: float,
    from_ns: int | None,
    to_ns: int | None,
    trades: bool,
    again: bool,
    archives: tuple[Path, ...],
    data_dir: Path,
    log_url: str | None,
    clickhouse_url: str | None,
) -> None:
    """Fetch past bars of VENUE into the log and the store, within half of what the venue allows.

    What was fetched is remembered in the data directory: a second run asks only for what is missing, one that was cut
    short goes on. Ends with one line of JSON; the exit code is 1 if a symbol was refused.

    \b
    Examples:
      isotherm backfill binance_spot --symbols BTCUSDT,ETHUSDT --from 2026-11-01 --to 2026-11-08 --data-dir data
      isotherm backfill kraken --symbols BTC/USD --interval 1d --from 2025-01-01 --data-dir data
      isotherm backfill gemini --from 2026-11-22T06:00:00Z --trades --data-dir data
      isotherm backfill binance_spot --archive BTCUSDT-1m-2026-10.zip --data-dir data
    """
    if archives:
        _archives(venue, archives, data_dir, log_url, clickhouse_url)
        return
    if from_ns is None:
        raise Failure("expected --from, or files with --archive")
    span = Between(from_ns, time.time_ns() if to_ns is None else to_ns)
    if span.from_ns >= span.to_ns:
        raise Failure(f"expected --from before --to, found {' and '.join(map(backfills.text_of, span))}")
    with _one_line_errors():
        found = polled.history_of(venue)
        way = access(found, os.environ, configuration().settings.feed(found.name), symbols)
        job = backfills.Job(way, int(interval_s), trades, span, again)
        _check(job)
        with _log(data_dir, log_url) as log, _store(data_dir, clickhouse_url) as store:
            results = asyncio.run(backfills.fetch(job, log, data_dir, random.random, _say))
            catch_up(log, store, data_dir / "flow", [feeds.FLOW], _say)
    told = backfills.summary(job, results)
    click.echo(json.dumps(told))
    if told["errors"]:
        raise SystemExit(1)


def _archives(
    venue: str, paths: tuple[Path, ...], data_dir: Path, log_url: str | None, clickhouse_url: str | None
) -> None:
    with _one_line_errors(), _log(data_dir, log_url) as log:
        told = imports.import_archive(paths, venue, log, _say)
        if error := imports.first_error(told):
            raise Failure(error)
        with _store(data_dir, clickhouse_url) as store:
            catch_up(log, store, data_dir / "flow", [feeds.FLOW], _say)
    click.echo(json.dumps(told.summary()))
    if told.errors:
        raise SystemExit(1)


def _check(job: backfills.Job) -> None:
    """Raises Failure where the feed does not tell what is asked for."""
    feed, history = job.access.feed, job.access.feed.history
    if history is None or job.interval_s not in history.intervals_s:
        offered = ", ".join(map(_span_text, history.intervals_s)) if history else "none"
        found = _span_text(job.interval_s)
        raise Failure(f"expected as interval of {feed.name} one of {offered}, found {found}")
    if job.trades and history.trades is None:
        raise Failure(f"expected no --trades: {feed.name} tells no past ones")


def _span_text(span_s: int) -> str:
    """1m, 4h, 1d."""
    unit, name = next((x for x in ((86_400, "d"), (3600, "h"), (60, "m")) if span_s % x[0] == 0), (1, "s"))
    return f"{span_s // unit}{name}"


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a user can cause becomes one line on standard error, exit code 2."""
    try:
        yield
    except KNOWN_ERRORS as error:
        raise Failure(" ".join(str(error).split())) from error


@contextlib.contextmanager
def _metrics(port: int | None, name: str, progress: Progress) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(serving(port, name, progress))
        except OSError as error:
            raise Failure(f"expected to serve metrics on 127.0.0.1:{port}, found: {error}") from error
        yield


@contextlib.contextmanager
def _log(data_dir: Path, url: str | None) -> Iterator[Log]:
    with contextlib.closing(open_log(url or f"file:{data_dir / 'log'}")) as log:
        yield log


@contextlib.contextmanager
def _store(data_dir: Path, url: str | None) -> Iterator[Store]:
    """The store to write to; the data directory's own is started if it does not run."""
    with contextlib.ExitStack() as stack:
        if url is None:
            data_dir.mkdir(parents=True, exist_ok=True)
            store = _embedded(data_dir, stack.enter_context(running(data_dir)))
        else:
            user = os.environ.get("ISOTHERM_CLICKHOUSE_USER", "writer")
            store = connect(url, user, os.environ.get("ISOTHERM_CLICKHOUSE_PASSWORD", ""))
        stack.callback(store.close)
        yield store


def _embedded(data_dir: Path, url: str) -> Store:
    """The data directory's own store, brought to this version's schema. A server is migrated by its operator."""
    admin = connect(url, "admin", password(data_dir, "admin"))
    migrate(admin)
    admin.close()
    return connect(url, "writer", password(data_dir, "writer"))
