"""The commands of this package: `connect` and `record`. `isotherm` hangs them into its own."""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from connectors import budget
from connectors.access import Access, access
from connectors.budget import BudgetError
from connectors.connect import Connector, FollowedMarket, run_until_signalled
from connectors.endpoint import EndpointError, endpoint
from connectors.feed import PlanError, feed, feeds
from connectors.keys import KeyValueError, key
from connectors.log import LogError, OffsetGoneError, Reader, Retention, open_log
from connectors.record import LineError, Record, decode_lines
from connectors.recording_file import RecordingError, RecordingWriter, StoredRecord
from connectors.session import Timing
from connectors.settings import SPAN, SYMBOL, Configuration, seconds
from connectors.venue import DepthError, market, markets
from connectors.venue_clock import CLOCK_KEY

FLUSH_S = 1.0
IDLE_S = 0.02


class Failure(click.ClickException):
    """Wrong input: one line on stderr, exit code 2."""

    exit_code = 2


class Span(click.ParamType[float]):
    """A length of time, such as 90s, 5m or 2h, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; fails on anything else."""
        if isinstance(value, float):
            return value
        text = str(value)
        if not re.fullmatch(SPAN, text):
            self.fail(f"expected a span such as 60s, 5m or 2h, found {value!r}", param, ctx)
        return seconds(text)


class Instant(click.ParamType[int]):
    """A time: 2026-11-01, or 2026-11-01T06:00:00Z (RFC 3339); UTC without an offset. In ns."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Ns UTC; fails on anything else, and on what is before 1970 or after 2200."""
        if isinstance(value, int):
            return value
        try:
            found = datetime.fromisoformat(str(value).strip())
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
        except ValueError:
            found = datetime.fromtimestamp(-1, UTC)
        if not 1970 <= found.year < 2200:
            self.fail(
                f"expected a time such as 2026-11-01 or 2026-11-01T06:00:00Z, found {value!r}", param, ctx
            )
        return round(found.timestamp() * 1_000_000) * 1000


class Symbols(click.ParamType[tuple[str, ...]]):
    """Symbols as the venue writes them, separated by commas."""

    name = "symbols"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The symbols, each once; fails on what no venue would take for one."""
        if isinstance(value, tuple):
            return value
        found = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for symbol in found:
            if not re.fullmatch(SYMBOL, symbol):
                self.fail(f"expected symbols such as BTCUSDT,ETHUSDT, found {symbol!r}", param, ctx)
        return found


def configuration() -> Configuration:
    """What `isotherm` has read for the command that runs; the defaults if it was not called by it."""
    return click.get_current_context().find_object(Configuration) or Configuration()


def log_of(log_url: str | None, data_dir: Path | None, *, keeps_more: bool = False) -> str:
    """The log that the options --log and --data-dir name; what a file says gives way to the other option.

    With `keeps_more` the directory holds more than the log, so that both may be given.

    Raises:
        Failure: they name none, or two.
    """
    source = click.get_current_context().get_parameter_source
    from_file = {name for name in ("log_url", "data_dir") if source(name) is ParameterSource.DEFAULT_MAP}
    both = keeps_more and "log_url" not in from_file
    if log_url is not None and (data_dir is None or "data_dir" in from_file or both):
        return log_url
    if data_dir is not None and (log_url is None or "log_url" in from_file):
        return f"file:{data_dir}/log"
    raise Failure("expected either --log or --data-dir")


@click.command()
@click.argument("venues", nargs=-1, required=True, type=click.Choice(sorted({*markets(), *feeds()})))
@click.option(
    "--symbols", type=Symbols(), default=(), help="As the venues write them.  [default: each venue's own]"
)
@click.option(
    "--budgets",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"What keys of polled feeds have used.  [default: DATA_DIR/{budget.FILE}]",
)
@click.option("--log", "log_url", help="The log: file:DIR or kafka:HOST:PORT.  [default: file:DATA_DIR/log]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where this machine keeps its data.")
@click.option(
    "--partitions", default=4, show_default=True, type=click.IntRange(1, 1024), help="Of topics made now."
)
@click.option("--keep", "keep_s", type=Span(), default="1d", show_default=True, help="Of topics made now.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Prometheus metrics on 127.0.0.1.")
@click.option(
    "--retry-cap",
    "retry_cap_s",
    default="60s",
    show_default=True,
    type=Span(),
    help="Of pauses between attempts.",
)
@click.option(
    "--history", is_flag=True, help="Fetch what correlation looks back on, of the markets. Needs --data-dir."
)
def connect(  # noqa: PLR0913, PLR0917 - one a option
    venues: tuple[str, ...],
    symbols: tuple[str, ...],
    budgets: Path | None,
    log_url: str | None,
    data_dir: Path | None,
    partitions: int,
    keep_s: float,
    metrics_port: int | None,
    retry_cap_s: float,
    history: bool,
) -> None:
    """Follow venues live, poll feeds, and write what they send to the log, until Ctrl-C.

    VENUES are markets and polled feeds. Which, their symbols and addresses may stand in the configuration file;
    addresses also in the environment: ISOTHERM_BINANCE_SPOT_WS, ISOTHERM_BINANCE_SPOT_REST, ISOTHERM_COINGECKO_URL.
    --symbols are those of the markets, of feeds only where no market is named.

    \b
    isotherm connect binance_spot binance_futures --data-dir D
    isotherm connect binance_spot --symbols BTCUSDT,ETHUSDT --log kafka:localhost:9092
    """
    url = log_of(log_url, data_dir, keeps_more=True)
    named = list(dict.fromkeys(venues))
    polled = [name for name in named if name in feeds()]
    if history and data_dir is None:
        raise Failure("expected --data-dir with --history: what was fetched is remembered there")
    try:
        followed = [_market(name, symbols) for name in named if name in markets()]
        with closing(open_log(url)) as log:
            connector = Connector(
                followed, log, random.random, partitions, Retention(age_s_max=int(keep_s)), metrics_port,
                Timing(backoff_cap_s=retry_cap_s),
                [_feed(name, () if followed else symbols) for name in polled],
                _budgets(budgets, data_dir) if polled else Path(),
                _histories(followed) if history else (), data_dir or Path(),
            )  # fmt: skip
            run_until_signalled(connector)
    except (EndpointError, KeyValueError, DepthError, PlanError) as error:
        raise Failure(str(error)) from None
    except (LogError, BudgetError, OSError, ExceptionGroup) as error:
        raise click.ClickException(_cause(error)) from error


def _budgets(given: Path | None, data_dir: Path | None) -> Path:
    if given is None and data_dir is None:
        raise Failure("expected --budgets or --data-dir: what a key has used of its plan is kept there")
    return given or Path(data_dir or "") / budget.FILE


def _market(name: str, symbols: tuple[str, ...]) -> FollowedMarket:
    found, chosen = market(name), configuration().settings.venue(name)
    if chosen.depth is not None:
        found = found.at_depth(chosen.depth)
    secret = key(found.live.key_env, os.environ) if found.live.key_env else None
    where = endpoint(found, os.environ, chosen)
    return FollowedMarket(found, where, symbols or chosen.symbols, secret.reveal() if secret else "")


def _histories(followed: list[FollowedMarket]) -> list[Access]:
    """Of the markets followed, those of which past bars can be asked for with the keys there are."""
    names = {x.market.name for x in followed}
    found = []
    for name, one in sorted(feeds().items()):
        if one.history is not None and one.venue in names:
            with suppress(PlanError):
                found.append(_feed(name, ()))
    return found


def _feed(name: str, symbols: tuple[str, ...]) -> Access:
    return access(feed(name), os.environ, configuration().settings.feed(name), symbols)


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


@click.command()
@click.option("--log", "log_url", help="The log: file:DIR or kafka:HOST:PORT.  [default: file:DATA_DIR/log]")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where `isotherm up` or `replay` keeps its data."
)
@click.option("--topic", required=True, help="The topic to record, such as raw.binance_futures.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--key", "keys", multiple=True, help="Only this key (symbol); may be given more than once.")
@click.option("--follow", is_flag=True, help="Go on with what arrives, until Ctrl-C.")
@click.option("--for", "span_s", type=Span(), help="Follow for so long: 60s, 5m, 2h.")
def record(
    log_url: str | None,
    data_dir: Path | None,
    topic: str,
    output: Path,
    keys: tuple[str, ...],
    follow: bool,
    span_s: float | None,
) -> None:
    """Write the records of a topic to a file that `isotherm replay` reads.

    \b
    isotherm record --data-dir D --topic raw.binance_futures -o btc.zst --key BTCUSDT
    isotherm record --log kafka:localhost:9092 --topic raw.binance_spot -o spot.zst --for 5m
    """
    url = log_of(log_url, data_dir)
    if follow or span_s is not None:
        # A supervisor's stop is as good as Ctrl-C: the file is finished.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        until_s = time.monotonic() + span_s if span_s is not None else float("inf")
    else:
        until_s = None
    try:
        summary = _record(url, topic, output, keys, until_s)
    except (LogError, OffsetGoneError, RecordingError) as error:
        raise Failure(str(error)) from None
    click.echo(msgspec.json.encode(summary).decode())


def _record(
    url: str, topic: str, output: Path, keys: tuple[str, ...], until_s: float | None
) -> dict[str, object]:
    wanted = {key.encode() for key in keys}
    count = size = 0
    with closing(open_log(url)) as log:
        topics = log.topics()
        if topic not in topics:
            raise LogError(f"expected a topic of {url}, one of {sorted(topics)}, found {topic!r}")
        readers = [log.reader(topic, partition) for partition in range(topics[topic])]
        with (
            RecordingWriter(output, topic, topics[topic], time.time_ns()) as file,
            suppress(KeyboardInterrupt),
        ):
            for partition, found in _arriving(readers, until_s, file):
                if not wanted or found.key in wanted or found.key == CLOCK_KEY:
                    file.append(StoredRecord(found.key, partition, _recv_ns(found.body), found.body))
                    count, size = count + 1, size + len(found.body)
        for reader in readers:
            reader.close()
    return {"file": str(output), "topic": topic, "records": count, "bytes": size}


def _arriving(
    readers: list[Reader], until_s: float | None, file: RecordingWriter
) -> Iterator[tuple[int, Record]]:
    """Records by partition, up to where the log ends now, or until `until_s` (monotonic)."""
    ends = [reader.end() for reader in readers]
    flushed_s = time.monotonic()
    while until_s is None or time.monotonic() < until_s:
        idle = True
        for partition, reader in enumerate(readers):
            if until_s is None and reader.offset >= ends[partition]:
                continue
            for found in reader.poll():
                idle = False
                yield partition, found
        if until_s is None and all(reader.offset >= end for reader, end in zip(readers, ends, strict=True)):
            return
        if idle:
            time.sleep(IDLE_S)
        if time.monotonic() - flushed_s >= FLUSH_S:
            file.flush()
            flushed_s = time.monotonic()


def _recv_ns(body: bytes) -> int:
    """Receive time of the last whole line; 0 for a body without lines (a derived topic)."""
    recv_ns = 0
    with suppress(LineError):
        for line in decode_lines(body):
            recv_ns = line.recv_ns
    return recv_ns
