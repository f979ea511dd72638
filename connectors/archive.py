"""Files of Binance's public archive on this disk, as batches: klines, aggTrades and trades, spot and USD-M futures.

https://github.com/binance/binance-public-data (November 2026): SYMBOL-INTERVAL-DATE.zip, SYMBOL-aggTrades-DATE.zip and
SYMBOL-trades-DATE.zip of a day or a month, each beside a .CHECKSUM with its SHA-256. Spot files tell times in us from
2025-01-01 on, earlier ones and futures in ms; futures files have a header since about the middle of 2022. Both are
looked at row by row, since nothing in the name tells.

Trades of aggTrades files are those of the stream: their times are cut to the ms in which it tells them, so that a trade
that was both recorded and imported is one row. Those of trades files are single fills, which the stream and aggTrades
files tell taken together (`aggregated`): a sum over both counts them twice.
"""

import csv
import hashlib
import io
import re
import zipfile
import zlib
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from connectors.bars_file import FileError
from connectors.batch import ROWS_MAX, Bars, Batch, Trades
from connectors.venue import market

MARKETS = ("binance_spot", "binance_futures")
LINE_BYTES_MAX = 4096
NS_A_MS = 1_000_000
US_FROM = 10**14  # the first time that is one in us: in ms it lies in the year 5138
NS_A_S = 1_000_000_000

Kind = Literal["klines", "aggTrades", "trades"]
Row = tuple[Any, ...]

_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9]+(?:_[A-Z0-9]+)?)-(?P<kind>\d+[smhdw]|1mo|aggTrades|trades)-(?P<day>\d{4}-\d\d(?:-\d\d)?)\.(?:zip|csv)"
)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COLUMNS = {  # spot, futures
    "klines": (12, 12),
    "aggTrades": (8, 7),
    "trades": (7, 6),
}
_BAR = ("open_ns", "open", "high", "low", "close", "volume", "quote_volume", "trades", "buy_volume")
_TRADE = ("time_ns", "trade_id", "price", "size", "side")
_SIDES = {"true": "sell", "false": "buy"}  # whether the buyer was the maker


@dataclass(slots=True)
class Archive:
    """A file of the archive; `set_aside` counts rows by reason once `batches` has gone through."""

    path: Path
    venue: str
    symbol: str
    kind: Kind
    interval_s: int  # 0: trades
    from_ns: int  # what its name says it holds, [from_ns, to_ns)
    to_ns: int
    verified: bool  # by a checksum beside it
    set_aside: Counter[str] = field(default_factory=Counter)

    def batches(self) -> Iterator[Batch]:
        """What it holds. Raises FileError if it cannot be read to its end."""
        by_kind: dict[Kind, Callable[[list[str]], Row]] = {
            "klines": partial(_kline, self.interval_s), "aggTrades": _agg_trade, "trades": _trade
        }  # fmt: skip
        rows: list[Row] = []
        for row in self._rows(by_kind[self.kind]):
            rows.append(row)
            if len(rows) == ROWS_MAX:
                yield self._batch(rows)
                rows = []
        if rows:
            yield self._batch(rows)

    def _rows(self, parse: Callable[[list[str]], Row]) -> Iterator[Row]:
        count = _COLUMNS[self.kind][self.venue != "binance_spot"]
        # A week may have begun before the month.
        from_ns = self.from_ns - max(self.interval_s - 86_400, 0) * NS_A_S
        first = True
        for number, cells in enumerate(_cells(self.path)):
            if number == 0 and not cells[0][:1].isdigit():
                continue  # a header
            is_first, first = first, False
            if len(cells) != count:
                if is_first:
                    raise FileError(
                        f"{self.path}: expected {count} columns in {self.kind} of {self.venue}, found {len(cells)}: "
                        "is it of the other market?"
                    )
                self.set_aside["wrong number of columns"] += 1
                continue
            try:
                row = parse(cells)
            except ValueError as error:
                self.set_aside[str(error) if isinstance(error, _RowError) else "not a number"] += 1
                continue
            if not from_ns <= row[0] < self.to_ns:
                self.set_aside["not of the file's dates"] += 1
                continue
            yield row

    def _batch(self, rows: list[Row]) -> Batch:
        instrument = market(self.venue).canonical(self.symbol)
        columns = list(map(list, zip(*rows, strict=True)))
        if self.kind == "klines":
            return Bars(
                source="archive", venue=self.venue, instrument=instrument, interval_s=self.interval_s,
                **dict(zip(_BAR, columns, strict=True)),
            )  # fmt: skip
        return Trades(
            source="archive", venue=self.venue, instrument=instrument, aggregated=self.kind == "aggTrades",
            **dict(zip(_TRADE, columns, strict=True)),
        )  # fmt: skip


def read_archive(path: Path, venue: str) -> Iterator[Batch]:
    """The batches of a file. Raises FileError as `archive` and `Archive.batches`."""
    yield from archive(path, venue).batches()


def archive(path: Path, venue: str) -> Archive:
    """The file at `path`, whose name tells what it holds, as one of the market `venue`.

    Raises:
        FileError: it is no such file, of another market, or not what its checksum says.
    """
    if venue not in MARKETS:
        raise FileError(f"{path}: expected files of {' or '.join(MARKETS)}, asked for {venue}")
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise FileError(
            f"{path}: expected a name such as BTCUSDT-1m-2026-11-21.zip, BTCUSDT-aggTrades-2026-11.zip or "
            "BTCUSDT-trades-2026-11-21.csv, as the archive gives it"
        )
    _check_market(path, venue)
    kind, interval_s = _kind(found["kind"], path)
    from_ns, to_ns = _span(found["day"], path)
    return Archive(path, venue, found["symbol"], kind, interval_s, from_ns, to_ns, _verified(path))


def _check_market(path: Path, venue: str) -> None:
    """Refuse what lies in another market's folder of the archive."""
    parts = path.resolve().parts
    folder = (
        "futures/cm"
        if {"futures", "cm"} <= {*parts}
        else "futures/um"
        if {"futures", "um"} <= {*parts}
        else ""
    )
    if folder == "futures/cm" or (folder and venue == "binance_spot"):
        raise FileError(f"{path}: expected a file of {venue}, found one in {folder} of the archive")


def _kind(text: str, path: Path) -> tuple[Kind, int]:
    if text == "1mo":
        raise FileError(f"{path}: expected bars of one length, found months: take the days and sum them up")
    if text == "aggTrades":
        return "aggTrades", 0
    if text == "trades":
        return "trades", 0
    return "klines", int(text[:-1]) * _UNITS_S[text[-1]]


def _span(day: str, path: Path) -> tuple[int, int]:
    try:
        began = datetime.strptime(day, "%Y-%m-%d" if len(day) == 10 else "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise FileError(f"{path}: expected a date in its name, found {day}") from None
    days = 1 if len(day) == 10 else monthrange(began.year, began.month)[1]
    return (int(x.timestamp()) * NS_A_S for x in (began, began + timedelta(days=days)))  # type: ignore[return-value]


def _verified(path: Path) -> bool:
    """Whether the file is what the .CHECKSUM beside it says; False if there is none."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    try:
        if not beside.exists():
            return False
        with beside.open(encoding="utf-8") as file:
            expected = file.read(LINE_BYTES_MAX).split()
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: expected a readable file and checksum, found: {error}") from None
    if not expected or expected[0].lower() != found:
        raise FileError(
            f"{path}: expected SHA-256 {expected[0] if expected else 'in the checksum file'}, found {found}: fetch the "
            "file and its .CHECKSUM again, the archive replaces files now and then"
        )
    return True


# ---- rows


class _RowError(ValueError):
    """A row that is no bar and no trade; the message is a fixed reason."""


def _kline(interval_s: int, cells: list[str]) -> Row:
    open_ns, close_ns = _ns(cells[0]), _ns(cells[6])
    opened, high, low, closed, volume = map(_number, cells[1:6])
    if round((close_ns - open_ns) / NS_A_S) != interval_s:
        raise _RowError("not of the interval in the file's name")
    if not low <= min(opened, closed) or not high >= max(opened, closed):
        raise _RowError("high or low within open and close")
    return open_ns, opened, high, low, closed, volume, _number(cells[7]), _count(cells[8]), _number(cells[9])


def _agg_trade(cells: list[str]) -> Row:
    return (
        _ns(cells[5]) // NS_A_MS * NS_A_MS,
        _count(cells[0]),
        _number(cells[1]),
        _number(cells[2]),
        _side(cells[6]),
    )


def _trade(cells: list[str]) -> Row:
    return (
        _ns(cells[4]) // NS_A_MS * NS_A_MS,
        _count(cells[0]),
        _number(cells[1]),
        _number(cells[2]),
        _side(cells[5]),
    )


def _ns(text: str) -> int:
    value = int(text)
    return value * (1000 if value >= US_FROM else 1_000_000)


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise _RowError("not a number")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**63:
        raise _RowError("not a number")  # one such would have its whole batch set aside
    return value


def _side(text: str) -> str:
    side = _SIDES.get(text.strip().lower())
    if side is None:
        raise _RowError("neither true nor false")
    return side


# ---- bytes


def _cells(path: Path) -> Iterator[list[str]]:
    """The rows that are not empty. Raises FileError."""
    try:
        with _lines(path) as lines:
            yield from (cells for cells in csv.reader(lines) if cells)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError,
            UnicodeDecodeError, csv.Error) as error:  # fmt: skip
        raise FileError(f"{path}: expected a readable file of the archive, found: {error}") from None


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    if path.suffix == ".csv":
        with path.open(encoding="ascii", newline="") as file:
            yield _bounded(file, path)
        return
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        if len(names) != 1:
            raise FileError(f"{path}: expected one file in it, found {len(names)}")
        with packed.open(names[0]) as member, io.TextIOWrapper(member, encoding="ascii", newline="") as file:
            yield _bounded(file, path)


def _bounded(file: io.TextIOBase, path: Path) -> Iterator[str]:
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX:
            raise FileError(f"{path}: expected lines of less than {LINE_BYTES_MAX} bytes, found a longer one")
        yield line
