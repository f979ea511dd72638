"""What the tape of a recording is, by the definitions: plain Python and pandas on the file, none of the project's code.

A tick and a lot are here 10 ** -PRICE_DECIMALS and 10 ** -SIZE_DECIMALS of a recording's own finest digits, so that
all sums are of Python's integers. Trades of one time have their order in the file.
"""

import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import zstandard

SIGN = {"buy": 1, "sell": -1, "unknown": 0}
SIZE_EDGES = (1_000, 10_000, 100_000)  # of price * size


@dataclass(frozen=True, slots=True)
class Tape:
    """The trades of one symbol: columns time_ns, recv_ns, trade_id, ticks, lots, sign; one row a trade."""

    frame: pd.DataFrame
    price_decimals: int
    size_decimals: int

    def price(self, ticks: int) -> Decimal:
        """Ticks as a price."""
        return Decimal(ticks).scaleb(-self.price_decimals)

    def size(self, lots: int) -> Decimal:
        """Lots as a size."""
        return Decimal(lots).scaleb(-self.size_decimals)

    def rows(self, step: Decimal) -> pd.Series:
        """The price row of each trade."""
        finer = 10 ** max(0, _decimals(step) - self.price_decimals)  # a row may be less than a tick
        return self.frame.ticks * finer // _whole(step * finer, self.price_decimals)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of trades; prices in ticks, sizes in lots, quote in ticks * lots."""

    open: int
    high: int
    low: int
    close: int
    trades: int
    buy: int
    sell: int
    unknown: int
    quote: int
    delta_min: int
    delta_max: int
    class_buy: tuple[int, ...]
    class_sell: tuple[int, ...]
    newest_recv_ns: int

    @property
    def delta(self) -> int:
        """Aggressive buying less selling."""
        return self.buy - self.sell


# ---- files


def payloads(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Receive time in ns, connection and content of each message received by socket."""
    for line in _text(path):
        if not line.startswith("{"):
            recv_ns, _, payload = line.partition(" ")
            yield int(recv_ns), "", json.loads(payload)
            continue
        entry = json.loads(line, parse_float=Decimal)
        if entry["t"] == "recv":
            yield int(entry["ts"] * 10**9), entry["conn"], json.loads(entry["data"])


def _text(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        opened: Any = (
            gzip.GzipFile(fileobj=file)
            if path.suffix == ".gz"
            else zstandard.ZstdDecompressor().stream_reader(file)
        )
        yield from (line for line in io.TextIOWrapper(opened, "utf-8") if line.strip())


def binance(*paths: Path) -> dict[str, Tape]:
    """The trades of recordings of Binance, by symbol; `m` says that the buyer was the maker: the seller took."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for path in paths:
        for recv_ns, _, message in payloads(path):
            data = message.get("data", {})
            if data.get("e") not in ("trade", "aggTrade"):
                continue
            trade_id = data["t"] if data["e"] == "trade" else data["a"]
            side = "sell" if data["m"] else "buy"
            found.setdefault(data["s"], []).append(
                (data["T"] * 10**6, recv_ns, trade_id, Decimal(data["p"]), Decimal(data["q"]), side)
            )
    return {symbol: tape_of(trades) for symbol, trades in found.items()}


def tape_of(trades: Sequence[tuple[int, int, Any, Decimal, Decimal, str]]) -> Tape:
    """A tape of (time_ns, recv_ns, trade_id, price, size, side), each trade once."""
    first: dict[tuple[int, Any], tuple[int, int, Any, Decimal, Decimal, str]] = {}
    for row in trades:
        first.setdefault((row[0], row[2]), row)
    once = list(first.values())
    price_decimals, size_decimals = (max(_decimals(row[i]) for row in once) for i in (3, 4))
    frame = pd.DataFrame(
        {
            "time_ns": pd.array([row[0] for row in once], "int64"),
            "recv_ns": pd.array([row[1] for row in once], "int64"),
            "trade_id": pd.Series([row[2] for row in once], dtype=object),
            "ticks": pd.array([_whole(row[3], price_decimals) for row in once], "int64"),
            "lots": pd.array([_whole(row[4], size_decimals) for row in once], "int64"),
            "sign": pd.array([SIGN[row[5]] for row in once], "int64"),
        }
    )
    return Tape(frame, price_decimals, size_decimals)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _whole(value: Decimal, decimals: int) -> int:
    scaled = value.scaleb(decimals)
    assert scaled == int(scaled)
    return int(scaled)


# ---- bars and footprints


def bars(tape: Tape, interval_s: int) -> dict[int, Bar]:
    """Every bar with a trade by its open time in ns, the first and the last of the recording too."""
    opens = tape.frame.time_ns // (interval_s * 10**9) * (interval_s * 10**9)
    return {int(open_ns): bar(tape, part) for open_ns, part in tape.frame.groupby(opens)}


def bar(tape: Tape, part: pd.DataFrame) -> Bar:
    """The bar of some trades of a tape: prices by time, the running delta as they came."""
    ordered = part.sort_values("time_ns", kind="stable")
    signed = (part.sign * part.lots).cumsum()
    bought, sold = (part.lots[part.sign == sign] for sign in (1, -1))
    values = [int(ticks) * int(lots) for ticks, lots in zip(part.ticks, part.lots, strict=True)]
    classes = [size_class(tape, value) for value in values]
    by_class = part.lots.groupby([pd.Series(classes, part.index), part.sign]).sum()
    return Bar(
        open=int(ordered.ticks.iloc[0]), high=int(part.ticks.max()), low=int(part.ticks.min()),
        close=int(ordered.ticks.iloc[-1]), trades=len(part), buy=int(bought.sum()), sell=int(sold.sum()),
        unknown=int(part.lots[part.sign == 0].sum()),
        quote=sum(values),
        delta_min=min(0, int(signed.min())), delta_max=max(0, int(signed.max())),
        class_buy=tuple(int(by_class.get((c, 1), 0)) for c in range(len(SIZE_EDGES) + 1)),
        class_sell=tuple(int(by_class.get((c, -1), 0)) for c in range(len(SIZE_EDGES) + 1)),
        newest_recv_ns=int(part.recv_ns.max()),
    )  # fmt: skip


def size_class(tape: Tape, value: int) -> int:
    """Class of a trade by its value in ticks * lots; one on a border is in the upper class."""
    unit = 10 ** (tape.price_decimals + tape.size_decimals)
    return sum(value >= edge * unit for edge in SIZE_EDGES)


def footprints(tape: Tape, interval_s: int, step: Decimal) -> dict[int, dict[int, tuple[int, int, int]]]:
    """By open time in ns and price row: lots bought, sold and of unknown side."""
    opens = tape.frame.time_ns // (interval_s * 10**9) * (interval_s * 10**9)
    return {
        int(open_ns): by_row(part, tape.rows(step).loc[part.index])
        for open_ns, part in tape.frame.groupby(opens)
    }


def by_row(part: pd.DataFrame, rows: "pd.Series[int]") -> dict[int, tuple[int, int, int]]:
    """By price row of these trades: lots bought, sold and of unknown side."""
    sums = part.lots.groupby([rows, part.sign]).sum()
    return {
        int(row): tuple(int(sums.get((row, sign), 0)) for sign in (1, -1, 0)) for row in sorted(set(rows))
    }  # type: ignore[misc]


def total_by_row(cells: Mapping[int, Sequence[int]]) -> list[int]:
    """Volume of each row from the lowest to the highest, those without a trade too."""
    return [sum(cells.get(row, (0,))) for row in range(min(cells), max(cells) + 1)]


# ---- profile, definitions 2.1


def point_of_control(volumes: Sequence[int]) -> int | None:
    """Index of the row with most volume; ties: nearest to the middle, then the side with more volume, then lower."""
    n = len(volumes)
    if not sum(volumes):
        return None
    tied = [i for i in range(n) if volumes[i] == max(volumes)]
    near = [i for i in tied if abs(2 * i - (n - 1)) == min(abs(2 * j - (n - 1)) for j in tied)]
    below = sum(v for i, v in enumerate(volumes) if 2 * i < n - 1)
    above = sum(v for i, v in enumerate(volumes) if 2 * i > n - 1)
    return max(near) if above > below else min(near)


def value_area(volumes: Sequence[int], rows_a_step: int, percent: int = 70) -> tuple[int, int] | None:
    """Lowest and highest index of the value area; `rows_a_step` 2 is the two-row rule, 1 the single-row rule."""
    poc = point_of_control(volumes)
    if poc is None:
        return None
    low = high = poc
    while 100 * sum(volumes[low : high + 1]) < percent * sum(volumes):
        above = volumes[high + 1 : high + 1 + rows_a_step]
        below = volumes[max(0, low - rows_a_step) : low]
        if above and (not below or sum(above) >= sum(below)):
            high += len(above)
        else:
            low -= len(below)
    return low, high


# ---- the whole recording


def largest_prints(tape: Tape, count: int = 10) -> list[tuple[int, int, int, int]]:
    """Time, sign, ticks and lots of the largest trades as the venue tells them; alike in size: the earlier first."""
    found = tape.frame.sort_values(["lots", "time_ns"], ascending=[False, True], kind="stable").head(count)
    return [
        (int(t), int(s), int(p), int(n))
        for t, s, p, n in found[["time_ns", "sign", "ticks", "lots"]].to_numpy()
    ]


def largest_trades(tape: Tape, count: int = 10) -> list[tuple[int, int, int, int, Fraction, int, int]]:
    """The largest of prints of one side and time taken together.

    Each as time, sign, lots, prints, average price in ticks, lowest and highest price; alike in size: the earlier
    first, then the buy.
    """
    frame = tape.frame.assign(
        value=[int(p) * int(n) for p, n in zip(tape.frame.ticks, tape.frame.lots, strict=True)]
    )
    taken = frame.groupby(["time_ns", "sign"]).agg(
        lots=("lots", "sum"),
        prints=("lots", "size"),
        value=("value", "sum"),
        low=("ticks", "min"),
        high=("ticks", "max"),
    )
    taken = taken.reset_index().sort_values(
        ["lots", "time_ns", "sign"], ascending=[False, True, False], kind="stable"
    )
    return [
        (time_ns, sign, lots, prints, Fraction(int(value), lots), low, high)
        for time_ns, sign, lots, prints, value, low, high in taken.head(count).itertuples(index=False)
    ]


def runs(tape: Tape) -> list[tuple[int, int, int, int, Fraction, int, int, int]]:
    """Prints of one side and time that follow each other in the file, taken together, in file order.

    As `largest_trades` has them, and the id of the first.
    """
    frame = tape.frame.assign(
        value=[int(p) * int(n) for p, n in zip(tape.frame.ticks, tape.frame.lots, strict=True)]
    )
    begins = (frame.time_ns != frame.time_ns.shift()) | (frame.sign != frame.sign.shift())
    taken = frame.groupby(begins.cumsum()).agg(
        time_ns=("time_ns", "first"), sign=("sign", "first"), lots=("lots", "sum"), prints=("lots", "size"),
        value=("value", "sum"), low=("ticks", "min"), high=("ticks", "max"), trade_id=("trade_id", "first"),
    )  # fmt: skip
    return [
        (time_ns, sign, lots, prints, Fraction(int(value), lots), low, high, trade_id)
        for time_ns, sign, lots, prints, value, low, high, trade_id in taken.itertuples(index=False)
    ]


def large(sizes: Sequence[int]) -> dict[int, int]:
    """Which are larger than 99 % of up to 1000 before them, of at least 200; by index the nearest-rank percentile."""
    found = {}
    for i in range(200, len(sizes)):
        before = sorted(sizes[max(0, i - 1000) : i])
        threshold = before[-(-99 * len(before) // 100) - 1]
        if sizes[i] > threshold:
            found[i] = threshold
    return found


def summary(tape: Tape, step: Decimal) -> dict[str, Any]:
    """The recording as one bar and one profile: prices and sizes as exact Decimals, VWAP as the nearest float."""
    whole = bar(tape, tape.frame)
    cells = by_row(tape.frame, tape.rows(step))
    volumes, lowest = total_by_row(cells), min(cells)
    poc = point_of_control(volumes)
    two, one = value_area(volumes, 2), value_area(volumes, 1)
    assert poc is not None and two is not None and one is not None
    vwap = Fraction(whole.quote, whole.buy + whole.sell + whole.unknown) / 10**tape.price_decimals
    return {
        "trades": whole.trades, "total": tape.size(sum(volumes)), "buy": tape.size(whole.buy),
        "sell": tape.size(whole.sell), "unknown": tape.size(whole.unknown), "delta": tape.size(whole.delta),
        "poc": step * (lowest + poc), "poc_size": tape.size(volumes[poc]),
        "vah": step * (lowest + two[1] + 1), "val": step * (lowest + two[0]),
        "vah_single": step * (lowest + one[1] + 1), "val_single": step * (lowest + one[0]),
        "vwap": float(vwap),
    }  # fmt: skip
