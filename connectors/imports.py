"""Bars of any source, from files to batches (`connectors.batch`): times, prices, sides, and what is set aside.

Times are those of a bar's opening. What a bar cannot be made of is counted by reason and left out; gaps stay gaps.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.bar_times import DAY_S, opened
from connectors.bars_file import PRICES, SIDED, FileError, Table, numbers, read, side_of
from connectors.batch import ROWS_MAX, Bars

Side = Literal["mid", "bid", "ask"]
Floats = npt.NDArray[np.float64]

VOLUMES = ("volume", "quote_volume", "buy_volume", "trades")


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


def pairs(paths: Iterable[Path]) -> list[tuple[Path, Path | None]]:
    """The files to be read together: those of bids and of asks with otherwise equal names; others alone."""
    paths = list(dict.fromkeys(paths))
    asks = {_other(path): path for path in paths if side_of(path.name) == "ask"}
    found = [(path, asks.get(path)) for path in paths]
    paired = {ask for _, ask in found}
    return [(path, ask) for path, ask in found if path not in paired]


def imported(path: Path, options: Options, ask: Path | None = None, now_ns: int | None = None) -> Imported:
    """The bars of a file, or of one of bids and that of the asks.

    Raises:
        FileError: it holds no bars as asked for.
    """
    if options.interval_s < 1:
        raise FileError(f"{path}: expected an interval of a second at least, found {options.interval_s} s")
    rows = _pair(path, ask, options) if side_of(path.name) else _rows(path, options)
    return _finished(*rows, options, time.time_ns() if now_ns is None else now_ns)


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
    _check_commas(table)
    set_aside, notes = Counter({"wrong number of columns": table.torn}), []
    if table.layout.note:
        notes.append(table.layout.note)
    open_ns, reasons, said = opened(table, path, options.zone, options.time_format, options.day)
    notes += said
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


# ---- prices


def _check_commas(table: Table) -> None:
    """Refuse numbers with commas: 1,234 is one thing or another, and some rows would be left out, others not."""
    for name in (*PRICES, *SIDED, *VOLUMES):
        if name not in table.frame or pd.api.types.is_numeric_dtype(table.frame[name]):
            continue
        texts = table.frame[name].astype("string")
        found = texts[texts.str.fullmatch(r"\s*-?[\d.'\s]*\d,\d[\d.,]*\s*").fillna(False)]
        if len(found):
            raise FileError(
                f"{table.name}: expected numbers such as 1234.5, found {name}={found.iloc[0]!r}: write a point before "
                "the decimals and nothing between thousands"
            )


def _prices(table: Table, options: Options, notes: list[str]) -> dict[str, Floats]:
    scale = options.scale
    if scale is None and table.layout.scaled and all(decimals(numbers(table.frame[x])) == 0 for x in PRICES):
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
            f"{name}: expected bars of {interval_s} s, found most {usual} s apart: give --interval {spelled(usual)}"
        )
    # A day of the clock may be an hour shorter.
    least = interval_s - 3600 if interval_s >= DAY_S else interval_s
    if (steps < least).any():
        at = int(np.argmax(steps < least))
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
        return [int(x) if 0 <= x < 2**63 else None for x in values]
    return [x if np.isfinite(x) else None for x in values]
