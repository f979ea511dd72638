"""A file of bars as a table with our column names: what it is packed in, its kind, its layout.

Packed: gzip, zip (one file in it) or not at all. Kind: CSV, JSON (rows as arrays or objects, or an object of columns)
or Parquet. Layout: which column is which, told by the header's names, or, without one, by how many columns there are.
"""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

FILE_BYTES_MAX = 512 << 20  # unpacked; as a table it takes several times that
PRICES = ("open", "high", "low", "close")
SIDED = tuple(f"{side}_{price}" for side in ("bid", "ask") for price in PRICES)
COLUMNS = ("time", *PRICES, "volume", "quote_volume", "buy_volume", "trades", *SIDED)
SEPARATORS = (",", ";", "\t", "|")

# What others call them, in lower case and with blanks for underlines.
NAMES = {
    "time": ("time", "date", "datetime", "timestamp", "open time", "opentime", "date time", "unix", "t", "ts", ""),
    "open": ("open", "o", "open price"), "high": ("high", "h", "high price"), "low": ("low", "l", "low price"),
    "close": ("close", "c", "close price"), "volume": ("volume", "vol", "v", "base volume"),
    "quote_volume": ("quote volume", "quote asset volume", "quoteassetvolume", "quotevolume"),
    "buy_volume": ("taker buy volume", "taker buy base", "taker buy base asset volume", "takerbuybaseassetvolume"),
    "trades": ("trades", "count", "number of trades", "numberoftrades"),
    **{name: (name.replace("_", " "),) for name in SIDED},
}  # fmt: skip

_BINANCE = ("time", *PRICES, "volume", "", "quote_volume", "trades", "buy_volume", "", "")
_LEAN = ("time", *SIDED[:4], "", *SIDED[4:], "")


@dataclass(frozen=True, slots=True)
class Layout:
    """A source's way of writing bars. `places` name the columns of a file without header, "" those left out."""

    name: str
    places: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)  # ours -> theirs, where NAMES do not have it
    scaled: bool = False  # prices are whole numbers of the smallest step
    note: str = ""


LAYOUTS = {
    found.name: found
    for found in (
        # Rows [open time ms, open, high, low, close, volume]: freqtrade's OHLCV files in JSON.
        Layout("freqtrade", ("time", *PRICES, "volume")),
        # https://github.com/binance/binance-public-data (November 2026)
        Layout("binance", _BINANCE),
        # https://github.com/QuantConnect/Lean, Data/forex/readme.md: bid and ask bars; times: ms since midnight in the
        # market's time zone, of daily bars dates there.
        Layout("lean", _LEAN),
        # https://github.com/ejtraderLabs/historical-data: Date,open,high,low,close,tick_volume
        Layout("ejtrader", scaled=True, note="tick_volume counts price changes, it is no volume: left out"),
        Layout("nautilus"),  # timestamp,open,high,low,close; bid and ask bars in two files
        Layout("backtesting"),  # ,Open,High,Low,Close,Volume
        Layout("plain"),  # whatever has a header that NAMES know
    )
}


class FileError(ValueError):
    """A file that holds no bars as it was asked for; the message says what was expected, found, and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows under our names; what it does not have is not among the columns."""

    frame: pd.DataFrame
    layout: Layout
    name: str  # of the file, with that of the one packed in it
    torn: int = 0  # rows of another number of columns


def read(
    path: Path,
    layout: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Table:
    """The table of a file.

    `columns` says for names of ours what theirs are, or their places from 0; they go before what is known.

    Raises:
        FileError: it cannot be read, or columns are missing.
    """
    data, name = _unpacked(path)
    frame, torn, has_header = _frame(data, name, separator)
    found = LAYOUTS[layout] if layout else _layout(frame, has_header, name)
    return Table(_named(frame, found, columns or {}, name, has_header), found, name, torn)


# ---- bytes


def _unpacked(path: Path) -> tuple[bytes, str]:
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head[:2] == b"\x1f\x8b":
                with gzip.open(file) as packed:
                    return _bounded(packed, path), path.name
            if head == b"PK\x03\x04":
                return _unzipped(path)
            return _bounded(file, path), path.name
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise FileError(f"{path}: expected a readable file, found: {error}") from None


def _unzipped(path: Path) -> tuple[bytes, str]:
    with zipfile.ZipFile(path) as archive:
        members = [x for x in archive.infolist() if not x.is_dir()]
        if len(members) != 1:
            raise FileError(
                f"{path}: expected one file in it, found {len(members)}: unpack it and name the one"
            )
        with archive.open(members[0]) as packed:
            return _bounded(packed, path), f"{path.name}/{members[0].filename}"


def _bounded(file: Any, path: Path) -> bytes:
    data: bytes = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise FileError(f"{path}: expected at most {FILE_BYTES_MAX >> 20} MiB unpacked, found more: split it")
    if not data.strip():
        raise FileError(f"{path}: expected bars, found an empty file")
    return data


# ---- rows


def _frame(data: bytes, name: str, separator: str | None) -> tuple[pd.DataFrame, int, bool]:
    """The rows, how many were torn, and whether the columns have names."""
    if data[:4] == b"PAR1":
        return _parquet(data, name), 0, True
    if data.lstrip()[:1] in (b"[", b"{"):
        return _json(data, name)
    return _csv(data, name, separator)


def _parquet(data: bytes, name: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise FileError(
            f"{name}: expected pyarrow to read Parquet with: pip install pyarrow, or convert it to CSV"
        ) from None
    except Exception as error:  # pyarrow's own classes, which need not be there
        raise FileError(f"{name}: expected Parquet, found: {error}") from None
    return frame.reset_index() if isinstance(frame.index, pd.DatetimeIndex) or frame.index.name else frame


def _json(data: bytes, name: str) -> tuple[pd.DataFrame, int, bool]:
    torn = 0
    try:
        found = msgspec.json.decode(data)
        if isinstance(found, list) and found and all(isinstance(row, list) for row in found):
            ((width, count),) = Counter(map(len, found)).most_common(1)
            torn = len(found) - count
            found = [row for row in found if len(row) == width]
        frame = pd.DataFrame(found)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        raise FileError(
            f"{name}: expected JSON with a row a bar (arrays or objects), or an object of columns: {error}"
        ) from None
    if frame.empty:
        raise FileError(f"{name}: expected bars, found none")
    return frame, torn, frame.columns.dtype != "int64"


def _csv(data: bytes, name: str, separator: str | None) -> tuple[pd.DataFrame, int, bool]:
    data = _text(data, name)
    try:
        first = data.lstrip(b"\r\n").split(b"\n", 1)[0].decode().rstrip("\r")
    except UnicodeDecodeError as error:
        raise FileError(f"{name}: expected text in UTF-8: {error}") from None
    separator = separator or max(SEPARATORS, key=first.count)
    try:
        cells = next(csv.reader([first], delimiter=separator), [])
    except csv.Error as error:  # a line break of an old kind within the line
        raise FileError(f"{name}: {error}; found {first[:80]!r}") from None
    if len(cells) < 5:
        raise FileError(
            f"{name}: expected at least time, open, high, low and close separated by {separator!r}, found "
            f"{first[:80]!r}: give the separator with --sep"
        )
    has_header = not any(re.fullmatch(r"\s*-?[\d.]+(e[+-]?\d+)?\s*", x, re.IGNORECASE) for x in cells[1:])
    try:
        frame = pd.read_csv(
            io.BytesIO(data), sep=separator, header=0 if has_header else None,
            on_bad_lines="skip", low_memory=False, index_col=False,
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError) as error:
        raise FileError(f"{name}: expected CSV, found: {error}") from None
    if frame.empty:
        raise FileError(f"{name}: expected bars, found a header only")
    if has_header:
        frame.columns = pd.Index(cells)
    lines = sum(1 for line in data.split(b"\n") if line.strip()) - has_header
    return frame, max(lines - len(frame), 0), has_header


_SEPARATOR_LINE = re.compile(rb"\s*\"?sep=(.)\"?[ \t]*\r?\n", re.IGNORECASE)


def _text(data: bytes, name: str) -> bytes:
    """In UTF-8 and without what spreadsheets put before it: a mark of the encoding, a line sep=; ."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise FileError(
                f"{name}: expected text in UTF-8, or in UTF-16 as its first bytes say: {error}"
            ) from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    first = _SEPARATOR_LINE.match(data)
    return data[first.end() :] if first else data


# ---- columns


def _layout(frame: pd.DataFrame, has_header: bool, name: str) -> Layout:
    if has_header:
        known = [str(column).strip().lower() for column in frame.columns]
        if known == ["date", *PRICES, "tick_volume"]:
            return LAYOUTS["ejtrader"]
        if known == ["", *PRICES, "volume"]:
            return LAYOUTS["backtesting"]
        if known == ["timestamp", *PRICES] and side_of(name):
            return LAYOUTS["nautilus"]
        return LAYOUTS["plain"]
    count = len(frame.columns)
    for layout in LAYOUTS.values():
        if count == len(layout.places):
            return layout
    if count == 5:
        return Layout("plain", ("time", *PRICES))
    raise FileError(
        f"{name}: expected a header, or 5, 6, 11 or 12 columns without one, found {count}: give them with --columns "
        "time=0,open=1,high=2,low=3,close=4"
    )


def _named(
    frame: pd.DataFrame, layout: Layout, columns: Mapping[str, str], name: str, has_header: bool
) -> pd.DataFrame:
    """The columns that we have names for, under them."""
    theirs = {_plain(column): at for at, column in reversed(list(enumerate(frame.columns)))}
    places: dict[str, int] = {}
    if not has_header and layout.places:
        places = {ours: at for at, ours in enumerate(layout.places) if ours and at < len(frame.columns)}
    elif has_header:
        for ours, names in NAMES.items():
            at = next((theirs[x] for x in names if x in theirs), None)
            if at is not None:
                places[ours] = at
    for ours, wanted in columns.items():
        if _plain(wanted) in theirs:
            places[ours] = theirs[_plain(wanted)]
        elif wanted.isdigit() and int(wanted) < len(frame.columns):
            places[ours] = int(wanted)
        else:
            raise FileError(f"{name}: expected a column {wanted!r} for {ours}, found {_shown(frame)}")
    missing = [x for x in ("time", *PRICES) if x not in places]
    if missing and not ("time" in places and places.keys() >= set(SIDED)):
        raise FileError(
            f"{name}: expected a column for {', '.join(missing)}, found {_shown(frame)}: name it with --columns "
            f"{missing[0]}=THEIR_NAME"
        )
    frame = _as_exported(frame, theirs, places, "time" in columns)
    return pd.DataFrame({ours: frame.iloc[:, at] for ours, at in places.items()})


def _as_exported(
    frame: pd.DataFrame, theirs: Mapping[str, int], places: dict[str, int], time_is_given: bool
) -> pd.DataFrame:
    """With one column of times where a terminal writes two; `places` without a volume that is none."""
    if "date" in theirs and "time" in theirs and not time_is_given:
        dates, clocks = frame.iloc[:, theirs["date"]], frame.iloc[:, theirs["time"]]
        if re.fullmatch(r"\s*\d\d?:\d\d(:\d\d(\.\d+)?)?\s*", str(clocks.iloc[0])):
            frame = frame.assign(**{_JOINED: _joined(dates, clocks)})
            places["time"] = len(frame.columns) - 1
    if "tickvol" in theirs and "volume" in places and not numbers(frame.iloc[:, places["volume"]]).any():
        del places["volume"]  # MetaTrader counts ticks where a market tells no volume, and writes 0
    return frame


_JOINED = "date and time"


def _joined(dates: "pd.Series[Any]", clocks: "pd.Series[Any]") -> "pd.Series[str]":
    """2024-01-02 00:00:00 of two columns, also of MetaTrader's 2024.01.02."""
    texts = dates.astype(str).str.strip() + " " + clocks.astype(str).str.strip()
    return texts.str.replace(r"^(\d{4})\.(\d\d)\.(\d\d) ", r"\1-\2-\3 ", regex=True)


def _plain(name: object) -> str:
    return str(name).strip().strip("<>").lower().replace("_", " ")


def _shown(frame: pd.DataFrame) -> str:
    return ", ".join(map(repr, map(str, frame.columns[:20])))


def side_of(name: str) -> str:
    """`bid` or `ask` where a file's name has that word, else ""."""
    found = re.search(r"(?<![a-z])(bid|ask)(?![a-z])", name.lower())
    return found[1] if found else ""


def numbers(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """The column as floats; NaN for what is no number."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    return np.array([_number(x) for x in column.tolist()], np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")
