"""Bars of any source, from files to batches (`connectors.batch`): times, prices, sides, and what is set aside.

Times are those of a bar's opening. What a bar cannot be made of is counted by reason and left out; gaps stay gaps.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.bars_file import PRICES, SIDED, FileError, Table, read, side_of
from connectors.batch import ROWS_MAX, Bars

Side = Literal["mid", "bid", "ask"]
Floats = npt.NDArray[np.float64]

DAY_S = 86_400
VOLUMES = ("volume", "quote_volume", "buy_volume", "trades")
# Time zones of Lean's data, by market: Data/market-hours/market-hours-database.json (November 2026).
LEAN_ZONES = {"fxcm": "UTC-05:00", "oanda": "UTC"}
_AWARE = r":\d\d(?:\.\d+)?\s*(?:[Zz]|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True, slots=True)
class Options:
    """What the files hold and how it is to be read. None: as the layout has it."""

    instrument: str
    venue: str
    interval_s: int
    layout: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    scale: Decimal | None = None
    zone: str | None = None
    time_format: str | None = None
    day: date | None = None  # of files whose times are ms since midnight
    side: Side = "mid"


@dataclass(slots=True)
class Imported:
    """The bars of one file, or of a pair of bid and ask files, oldest first."""

    name: str
    bars: pd.DataFrame  # open_ns, prices, volumes where there are any
    set_aside: Counter[str]
    notes: list[str]

    def batches(self, options: Options) -> Iterator[Bars]:
        """As they travel."""
        for at in range(0, len(self.bars), ROWS_MAX):
            part = self.bars.iloc[at : at + ROWS_MAX]
            prices = {name: part[name].tolist() for name in PRICES}
            volumes = {name: _optional(part, name) for name in VOLUMES}
            yield Bars(
                source="import", venue=options.venue, instrument=options.instrument, interval_s=options.interval_s,
                open_ns=part["open_ns"].tolist(), **prices, **volumes,
            )  # fmt: skip

    def gaps(self, interval_s: int) -> int:
        """How many times a bar does not follow the one before at once."""
        return int((np.diff(self.bars["open_ns"].to_numpy()) > interval_s * 10**9).sum())


def imported(paths: Iterable[Path], options: Options, now_ns: int | None = None) -> Iterator[Imported]:
    """The bars of each file; files of bids and of asks with otherwise equal names are taken together.

    Raises:
        FileError: a file holds no bars as asked for.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    paths = list(paths)
    asks = {_other(path): path for path in paths if side_of(path.name) == "ask"}
    bids = {path: asks.pop(path, None) for path in paths if side_of(path.name) == "bid"}
    paired = {ask for ask in bids.values() if ask is not None}
    for path in paths:
        if path in paired:
            continue
        if path in bids or side_of(path.name) == "ask":
            yield _finished(*_pair(path, bids.get(path), options), options, now_ns)
        else:
            yield _finished(*_rows(path, options), options, now_ns)


def _other(ask: Path) -> Path:
    return ask.with_name(re.sub(r"(?<![a-zA-Z])(ask|ASK|Ask)(?![a-zA-Z])", lambda x: _BID[x[1]], ask.name))


_BID = {"ask": "bid", "ASK": "BID", "Ask": "Bid"}

Rows = tuple[str, pd.DataFrame, Counter[str], list[str]]


def _pair(path: Path, ask: Path | None, options: Options) -> Rows:
    """Bars of the side asked for of two files, or of the one there is."""
    side = side_of(path.name)
    if options.side == "mid" and ask is None:
        raise FileError(
            f"{path}: expected the file of the other side beside this one of {side}s: give both, or --side {side}"
        )
    if options.side != "mid":
        wanted = path if side == options.side else ask
        if wanted is None:
            raise FileError(f"{path}: expected bars of {options.side}s, found a file of {side}s")
        name, frame, set_aside, notes = _rows(wanted, options)
        return name, frame, set_aside, [*notes, f"bars of {options.side}s"]
    assert ask is not None
    name, bids, set_aside, notes = _rows(path, options)
    _, asks, also, _ = _rows(ask, options)
    both = bids.drop_duplicates("open_ns").merge(
        asks.drop_duplicates("open_ns"), on="open_ns", suffixes=("_bid", "_ask")
    )
    frame = pd.DataFrame({"open_ns": both["open_ns"]})
    for price in PRICES:
        frame[price] = middle(both[f"{price}_bid"].to_numpy(), both[f"{price}_ask"].to_numpy())
    alone = len(bids.drop_duplicates("open_ns")) + len(asks.drop_duplicates("open_ns")) - 2 * len(both)
    set_aside = set_aside + also + Counter({"one side only": alone})
    return f"{name} and {ask.name}", frame, set_aside, [*notes, "middle of bid and ask bars"]


def _rows(path: Path, options: Options) -> Rows:
    """A file's rows with times and prices, those set aside by reason, and what is to be said."""
    table = read(path, options.layout, options.columns, options.separator)
    set_aside, notes = Counter({"wrong number of columns": table.torn}), []
    if table.layout.note:
        notes.append(table.layout.note)
    open_ns, reasons = _times(table, path, options, notes)
    frame = pd.DataFrame({"open_ns": open_ns})
    for name, values in _prices(table, options, notes).items():
        frame[name] = values
    for name in VOLUMES:
        if name in table.frame:
            frame[name] = numbers(table.frame[name])
    for reason, where in reasons.items():
        set_aside[reason] += int(where.sum())
    kept = ~np.logical_or.reduce(list(reasons.values()))
    set_aside.update(_dropped(frame, kept))
    if not kept.any():
        why = ", ".join(f"{count} x {reason}" for reason, count in (+set_aside).items())
        first = ", ".join(f"{name}={value!r}" for name, value in table.frame.iloc[0].items())
        raise FileError(
            f"{table.name}: expected bars with numbers as prices, found none: {why}; first row: {first}: "
            "see --columns, --time-format and --sep"
        )
    return table.name, frame[kept], set_aside, notes


def _dropped(frame: pd.DataFrame, kept: npt.NDArray[np.bool_]) -> Counter[str]:
    """Rows whose prices cannot be: taken off `kept`, counted by reason."""
    prices = frame[list(PRICES)].to_numpy()
    finite = np.isfinite(prices).all(axis=1)
    with np.errstate(invalid="ignore"):
        sound = (prices[:, 1] >= prices.max(axis=1)) & (prices[:, 2] <= prices.min(axis=1))
    found: Counter[str] = Counter()
    negative = np.zeros(len(frame), bool)
    for name in VOLUMES:
        if name in frame:
            negative |= frame[name].to_numpy() < 0
    for reason, fits in (
        ("no price", finite),
        ("high or low within open and close", sound),
        ("negative volume", ~negative),
    ):
        found[reason] += int((kept & ~fits).sum())
        kept &= fits
    return found


# ---- times


def _times(
    table: Table, path: Path, options: Options, notes: list[str]
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.bool_]]]:
    """Open times in ns UTC (0 where there is none), and which rows have none, by reason."""
    column = table.frame["time"]
    zone_name = options.zone
    if zone_name is None and table.layout.name == "lean":
        zone_name = _lean_zone(path)
    zone = parse_zone(zone_name) if zone_name else UTC
    if pd.api.types.is_datetime64_any_dtype(column):
        naive, aware = column, np.full(len(column), getattr(column.dtype, "tz", None) is not None)
    elif pd.api.types.is_numeric_dtype(column) and options.time_format is None:
        if table.layout.name == "lean":
            naive = _since_midnight(numbers(column), table.name, options.day)
            aware = np.zeros(len(column), bool)
        else:
            return _epochs(numbers(column))
    else:
        naive, aware = _texts(column.astype("string"), options.time_format, table.name)
    if not aware.all() and zone_name is None:
        notes.append("times without a zone are taken for UTC: see --tz")
    return _in_utc(naive, aware, zone)


def _epochs(values: Floats) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.bool_]]]:
    """Seconds, ms, us or ns since 1970, by magnitude; or days as 20140501."""
    days = (values >= 19_000_101) & (values <= 22_001_231)
    bad = ~np.isfinite(values) | (values < 0) | (values > 9.2e18)
    whole = np.where(bad | days, 0, values)
    found = np.zeros(len(values), np.int64)
    for low, high, unit in ((0, 1e11, 10**9), (1e11, 1e14, 10**6), (1e14, 1e17, 1000), (1e17, 9.3e18, 1)):
        rows = (whole >= low) & (whole < high)
        # A fraction of a second survives; ms and finer are whole.
        found[rows] = np.rint(whole[rows] * (1000 if unit == 10**9 else 1)).astype(np.int64) * (
            10**6 if unit == 10**9 else unit
        )
    if days.any():
        parsed = pd.to_datetime(
            pd.Series(values[days].astype(np.int64)).astype(str), format="%Y%m%d", errors="coerce"
        )
        bad[days] = parsed.isna().to_numpy()
        found[days] = np.where(parsed.isna(), 0, parsed.astype("datetime64[ns]").astype(np.int64))
    return found, {"time not readable": bad}


def _since_midnight(values: Floats, name: str, day: date | None) -> "pd.Series[Any]":
    found = re.search(r"(?<!\d)((?:19|20|21)\d{6})(?!\d)", name)
    if day is None and found is None:
        raise FileError(
            f"{name}: expected a date in the file's name, its times are ms since midnight: give --date"
        )
    midnight = pd.Timestamp(day) if day is not None else pd.Timestamp(found[1])  # type: ignore[index]
    inside = (values >= 0) & (values < DAY_S * 1000)
    return midnight + pd.to_timedelta(pd.Series(np.where(inside, values, np.nan)), unit="ms")


def _texts(
    column: "pd.Series[str]", time_format: str | None, name: str
) -> tuple["pd.Series[Any]", npt.NDArray[np.bool_]]:
    """Times as they are written (of those with an offset: in UTC), and which have an offset."""
    text = column.str.strip()
    aware = text.str.contains(_AWARE, regex=True).fillna(False).to_numpy(bool)
    if time_format is None:
        compact = text.str.fullmatch(r"\d{8} \d\d:\d\d(:\d\d)?").fillna(False)
        text = text.mask(compact, text.str.replace(r"^(\d{4})(\d\d)(\d\d) ", r"\1-\2-\3 ", regex=True))
        time_format = "ISO8601"
    try:
        parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=True).dt.tz_localize(None)
    except ValueError as error:
        raise FileError(f"{name}: expected a time format such as %d.%m.%Y %H:%M, found: {error}") from None
    if parsed.isna().all():
        raise FileError(
            f"{name}: expected times as 2026-11-22 14:00 or 2026-11-22T14:00:00Z, or a number since 1970, found "
            f"{column.iloc[0]!r}: say how to read them with --time-format"
        )
    return parsed, aware


def _in_utc(
    naive: "pd.Series[Any]", aware: npt.NDArray[np.bool_], zone: tzinfo
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.bool_]]]:
    unreadable = naive.isna().to_numpy()
    if getattr(naive.dtype, "tz", None) is not None:
        naive = naive.dt.tz_convert("UTC").dt.tz_localize(None)
    local = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    missing = (
        naive.dt.tz_localize(zone, ambiguous=np.ones(len(naive), bool), nonexistent="NaT").isna().to_numpy()
    )
    skipped = missing & ~unreadable & ~aware
    twice = local.isna().to_numpy() & ~missing & ~aware
    utc = local.dt.tz_convert("UTC").dt.tz_localize(None).where(~aware, naive)
    found = np.where(utc.isna(), 0, utc.astype("datetime64[ns]").astype(np.int64))
    return found, {
        "time not readable": unreadable,
        "local time that does not exist (clocks went forward)": skipped,
        "local time that was twice (clocks went back)": twice,
    }


def _lean_zone(path: Path) -> str:
    for part in path.resolve().parts:
        if part in LEAN_ZONES:
            return LEAN_ZONES[part]
    raise FileError(
        f"{path}: expected one of {', '.join(LEAN_ZONES)} in its path, whose time zone is known: give the market's "
        "with --tz"
    )


def parse_zone(text: str) -> tzinfo:
    """The zone of UTC, UTC-05:00 or America/New_York. Raises FileError."""
    found = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d\d?)(?::?(\d\d))?", text)
    if found:
        away = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if away < timedelta(days=1):
            return timezone(away if found[1] == "+" else -away)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FileError(
            f"expected a time zone such as UTC-05:00 or America/New_York, found {text!r}"
        ) from None


# ---- prices


def numbers(column: "pd.Series[Any]") -> Floats:
    """The column as floats; NaN for what is no number."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    return np.array([_number(x) for x in column.tolist()], np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _prices(table: Table, options: Options, notes: list[str]) -> dict[str, Floats]:
    scale = options.scale
    if scale is None and table.layout.scaled:
        scale = _usual_scale(options.instrument)
        notes.append(f"prices are taken for steps of {scale}: see --scale")
    found = {}
    for name in (*PRICES, *SIDED):
        if name in table.frame:
            values = numbers(table.frame[name])
            found[name] = values if scale is None else scaled(values, scale)
    if "bid_open" not in found:
        return found
    notes.append("middle of bid and ask bars" if options.side == "mid" else f"bars of {options.side}s")
    if options.side != "mid":
        return {name: found[f"{options.side}_{name}"] for name in PRICES}
    return {name: middle(found[f"bid_{name}"], found[f"ask_{name}"]) for name in PRICES}


def _usual_scale(instrument: str) -> Decimal:
    """The step in which MetaTrader files count: five decimals, three of pairs in yen, two of metals."""
    base, _, quote = instrument.partition("-")
    return (
        Decimal("0.001")
        if quote == "JPY"
        else Decimal("0.01")
        if base in ("XAU", "XAG")
        else Decimal("0.00001")
    )


def scaled(values: Floats, scale: Decimal) -> Floats:
    """`values` times `scale` as the nearest floats to the exact products: 104838.00000000001 * 1e-5 is 1.04838."""
    exponent = scale.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    places = decimals(values)
    found = values * float(scale)
    return found if places is None else np.round(found, max(places - exponent, 0))


def middle(bid: Floats, ask: Floats) -> Floats:
    """The middle, as the nearest floats to the exact ones."""
    places = [decimals(bid), decimals(ask)]
    found = (bid + ask) / 2
    known = [x for x in places if x is not None]
    return np.round(found, max(known) + 1) if len(known) == 2 else found


def decimals(values: Floats) -> int | None:
    """How many decimals the numbers were written with, but for the noise of floats; None if more than ten."""
    known = values[np.isfinite(values)]
    for places in range(11):
        if (np.abs(np.round(known, places) - known) <= 1e-13 * np.abs(known)).all():
            return places
    return None


# ---- order


def _finished(
    name: str, frame: pd.DataFrame, set_aside: Counter[str], notes: list[str], options: Options, now_ns: int
) -> Imported:
    """Sorted, each bar once, at its interval."""
    if not frame["open_ns"].is_monotonic_increasing:
        notes = [*notes, "rows were not in order of time: sorted"]
        frame = frame.sort_values("open_ns", kind="stable")
    again = frame.duplicated().to_numpy()
    set_aside["row repeated"] += int(again.sum())
    frame = frame[~again]
    other = frame.duplicated("open_ns", keep="last").to_numpy()
    set_aside["another row of that time follows"] += int(other.sum())
    frame = frame[~other]
    late = frame["open_ns"].to_numpy() > now_ns - options.interval_s * 10**9
    set_aside["bar not over yet"] += int(late.sum())
    frame = frame[~late].reset_index(drop=True)
    _check_interval(name, frame, options.interval_s)
    return Imported(name, frame, +set_aside, notes)


def _check_interval(name: str, frame: pd.DataFrame, interval_s: int) -> None:
    steps = np.diff(frame["open_ns"].to_numpy()) // 10**9
    if not len(steps):
        return
    lengths, counts = np.unique(steps, return_counts=True)
    usual = int(lengths[counts.argmax()])
    if usual != interval_s:
        raise FileError(
            f"{name}: expected bars of {interval_s} s, found most of them {usual} s apart: give --interval {spelled(usual)}"
        )
    # A day of the clock may be an hour shorter.
    if (
        steps < min(interval_s, max(interval_s - 3600, DAY_S - 3600) if interval_s >= DAY_S else interval_s)
    ).any():
        at = int(np.argmax(steps < interval_s))
        when = pd.Timestamp(int(frame["open_ns"].iloc[at]), tz="UTC")
        raise FileError(
            f"{name}: expected bars of {interval_s} s, found two {int(steps[at])} s apart at {when}: import each "
            "interval from its own file"
        )


def spelled(seconds: int) -> str:
    """1h of 3600."""
    for unit, length in (("d", DAY_S), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _optional(part: pd.DataFrame, name: str) -> Sequence[Any]:
    if name not in part:
        return [None] * len(part)
    values = part[name].tolist()
    if name == "trades":
        return [int(x) if np.isfinite(x) else None for x in values]
    return [x if np.isfinite(x) else None for x in values]
