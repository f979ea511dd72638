"""The command `import-bars`. `isotherm` hangs it into its own."""

import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from connectors.bars_file import COLUMNS, LAYOUTS
from connectors.commands import Failure, Span
from connectors.imports import Options, Side
from flows import feeds, imports
from flows.catch_up import catch_up
from flows.commands import (
    _log,
    _one_line_errors,
    _say,
    _store,
    clickhouse_option,
    data_dir_option,
    log_option,
)  # fmt: skip


class Mapping(click.ParamType[dict[str, str]]):
    """Our names for columns and theirs: time=Date,open=o."""

    name = "columns"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Ours -> theirs; fails on a name that is none of ours."""
        if isinstance(value, dict):
            return value
        found = dict(part.partition("=")[::2] for part in str(value).split(",") if part)
        for name, theirs in found.items():
            if name not in COLUMNS or not theirs:
                self.fail(
                    f"expected OURS=THEIRS with OURS of {', '.join(COLUMNS)}, found {value!r}", param, ctx
                )
        return found


class Scale(click.ParamType[Decimal]):
    """What a price is multiplied by."""

    name = "scale"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The number; fails on one that is not above zero."""
        try:
            found = Decimal(str(value))
        except InvalidOperation:
            found = Decimal(0)
        if not (found.is_finite() and found > 0):
            self.fail(f"expected a number above zero such as 0.00001, found {value!r}", param, ctx)
        return found


@click.command("import-bars")
@click.option("--instrument", required=True, help="Canonical, such as EUR-USD or BTC-USDT.")
@click.option("--venue", required=True, help="Where it traded, or where the files come from.")
@click.option("--interval", "interval_s", required=True, type=Span(), help="Of the bars: 1m, 1h, 1d.")
@click.option("--layout", type=click.Choice(sorted(LAYOUTS)), help="[default: told from the file]")
@click.option(
    "--columns", type=Mapping(), default="", help="Such as time=Date,open=o; places from 0 without header."
)
@click.option("--sep", "separator", help="Between columns of CSV.  [default: told from the file]")
@click.option("--scale", type=Scale(), help="Prices times this: 0.00001 of prices in points.")
@click.option("--tz", "zone", help="Of times without one: UTC-05:00, America/New_York.  [default: UTC]")
@click.option("--time-format", help="Such as %d.%m.%Y %H:%M.  [default: ISO 8601, or since 1970]")
@click.option("--date", "day", type=click.DateTime(["%Y%m%d", "%Y-%m-%d"]),
              help="Of a file whose times are ms since midnight.  [default: from its name]")  # fmt: skip
@click.option("--side", type=click.Choice(["mid", "bid", "ask"]), default="mid", show_default=True,
              help="Of files with bid and ask bars.")  # fmt: skip
@data_dir_option
@log_option
@clickhouse_option
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
def import_bars(  # noqa: PLR0913, PLR0917 - one a option
    instrument: str, venue: str, interval_s: float, layout: str | None, columns: dict[str, str], separator: str | None,
    scale: Decimal | None, zone: str | None, time_format: str | None, day: datetime | None, side: Side,
    data_dir: Path, log_url: str | None, clickhouse_url: str | None, files: tuple[Path, ...],
) -> None:  # fmt: skip
    """Bring bars of FILES into the log and the store: CSV, JSON or Parquet, plain, gzip or zip.

    Rows that cannot be bars are counted by reason and left out; gaps stay gaps; a file imported twice counts once. Ends
    with one line of JSON; the exit code is 1 if some file could not be read.

    \b
    Examples:
      isotherm import-bars EURUSDh1.csv.gz --instrument EUR-USD --venue metatrader --interval 1h --scale 0.00001 \\
          --tz Europe/Athens --data-dir data
      isotherm import-bars BTC_USDT-1m.json.gz --instrument BTC-USDT --venue binance_spot --interval 1m --data-dir data
    """
    options = Options(
        instrument, venue, int(interval_s), layout, columns, separator, scale, zone, time_format,
        day.date() if day else None, side,
    )  # fmt: skip
    with _one_line_errors(), _log(data_dir, log_url) as log:
        told = imports.import_bars(files, options, log, _say)
        if error := imports.first_error(told):
            raise Failure(error)
        with _store(data_dir, clickhouse_url) as store:
            catch_up(log, store, data_dir / "flow", [feeds.FLOW], _say)
    click.echo(json.dumps(told.summary()))
    if told.errors:
        raise SystemExit(1)
