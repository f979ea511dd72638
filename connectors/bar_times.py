"""When bars opened, from whatever a file writes: epochs, texts, ms since a midnight, in whatever time zone."""

import re
from datetime import UTC, date, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.bars_file import FileError, Table, numbers

DAY_S = 86_400
# Time zones of Lean's data, by market: Data/market-hours/market-hours-database.json (November 2026).
LEAN_ZONES = {"fxcm": "UTC-05:00", "oanda": "UTC"}
_AWARE = r"(?:T\d{2,6}|:\d\d)(?:[.,]\d+)?\s*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
# Epochs below this are of before 1973 in seconds: a spreadsheet's days (45617), or a column that is no time.
EPOCH_MIN = 1e8

YEARS = pd.Timestamp("1900-01-02"), pd.Timestamp("2262-01-01")

Floats = npt.NDArray[np.float64]
Reasons = dict[str, npt.NDArray[np.bool_]]


def opened(
    table: Table,
    path: Path,
    zone_name: str | None = None,
    time_format: str | None = None,
    day: date | None = None,
) -> tuple[npt.NDArray[np.int64], Reasons, list[str]]:
    """Open times in ns UTC (0 where there is none), which rows have none by reason, and what is to be said.

    Raises:
        FileError: no time can be read, or a date or zone is missing.
    """
    column = table.frame["time"]
    if zone_name is None and table.layout.name == "lean":
        zone_name = _lean_zone(path)
    zone = parse_zone(zone_name) if zone_name else UTC
    aware = np.zeros(len(column), bool)
    if pd.api.types.is_datetime64_any_dtype(column):
        naive, aware = column, np.full(len(column), getattr(column.dtype, "tz", None) is not None)
    elif time_format is not None or not np.isfinite(written := numbers(column)).any():
        naive, aware = _texts(column.astype("string"), time_format, table.name)
    elif table.layout.name == "lean":
        naive = _since_midnight(written, table.name, day)
    elif (days := (written >= 19_000_101) & (written <= 22_001_231)).any():
        dates = pd.Series(np.where(days, written, 0).astype(np.int64)).astype(str)
        naive = pd.to_datetime(dates, format="%Y%m%d", errors="coerce")
    else:
        if (known := written[np.isfinite(written)]).max() < EPOCH_MIN:
            raise FileError(
                f"{table.name}: expected times since 1970 in s, ms, us or ns, found numbers such as {known[0]:g}: days "
                "of a spreadsheet are to be written as dates"
            )
        return *_epochs(written), []
    unsaid = zone_name is None and not aware.all()
    notes = ["times without a zone are taken for UTC: see --tz"] if unsaid else []
    return *_in_utc(naive, aware, zone), notes


def _epochs(values: Floats) -> tuple[npt.NDArray[np.int64], Reasons]:
    """Seconds, ms, us or ns since 1970, by magnitude."""
    bad = ~np.isfinite(values) | (values < 0) | (values > 9.2e18)
    known = np.where(bad, 0, values)
    found = np.zeros(len(values), np.int64)
    for low, high, unit_ns in ((0, 1e11, 10**9), (1e11, 1e14, 10**6), (1e14, 1e17, 1000), (1e17, 9.3e18, 1)):
        rows = (known >= low) & (known < high)
        # Of seconds a fraction counts, to the ms.
        parts = 1000 if unit_ns == 10**9 else 1
        found[rows] = np.rint(known[rows] * parts).astype(np.int64) * (unit_ns // parts)
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
    if "%z" in time_format.lower():
        aware = parsed.notna().to_numpy()
    return parsed, aware


def _in_utc(
    naive: "pd.Series[Any]", aware: npt.NDArray[np.bool_], zone: tzinfo
) -> tuple[npt.NDArray[np.int64], Reasons]:
    if getattr(naive.dtype, "tz", None) is not None:
        naive = naive.dt.tz_convert("UTC").dt.tz_localize(None)
    # What a day more or less would take beyond the ns of 64 bits is no time of a bar.
    naive = naive.where((naive > YEARS[0]) & (naive < YEARS[1]))
    unreadable = naive.isna().to_numpy()
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
