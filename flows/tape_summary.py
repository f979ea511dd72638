"""What a stretch of tape comes to, from what is stored: volume, delta, profile, VWAP and the largest trades.

The sums are of `trades`, so that they hold the last second too, whose bar no later trade has closed. Sizes and prices
are exact: the store tells them by their digits, and adds them as decimals.
"""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from connectors.instruments import decimals
from flows.kernels import profile
from sql.client import Store

LARGEST = 10
SCALE = 12  # decimals of a sum of sizes
ROWS_MAX = 1 << 22  # of a profile: 32 MB
LOTS_MAX = 1 << 56  # of a profile: a hundred times that is no int64 any more

_OF_REPLAY = (
    "FROM market.trades FINAL WHERE venue = {venue:String} "
    "AND received_ns BETWEEN {first_ns:Int64} AND {last_ns:Int64}"
)
_SIZE = f"toDecimal128(toString(size), {SCALE})"
_BY_PRICE = (
    f"SELECT instrument, side, toString(price), toString(sum({_SIZE})), count() {_OF_REPLAY} "
    "GROUP BY instrument, side, price"
)
_LARGEST = (
    "SELECT instrument, time_ns, side, prices, sizes FROM "  # noqa: S608
    f"(SELECT instrument, time_ns, side, sum({_SIZE}) AS total, groupArray(toString(price)) AS prices, "
    f"groupArray(toString(size)) AS sizes {_OF_REPLAY} GROUP BY instrument, time_ns, side "
    f"ORDER BY instrument, total DESC, time_ns, side LIMIT {LARGEST} BY instrument)"
)
_LARGEST_PRINTS = (
    f"SELECT instrument, time_ns, side, [toString(price)], [toString(size)] {_OF_REPLAY} "
    f"ORDER BY instrument, {_SIZE} DESC, time_ns, trade_id LIMIT {LARGEST} BY instrument"
)
_STEPS = (
    "SELECT instrument, toString(argMax(row_step, open_ns)) FROM market.footprints FINAL "
    "WHERE venue = {venue:String} GROUP BY instrument"
)


def tape_summary(store: Store, venue: str, received_ns: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Of each instrument of a venue, the trades received from one time to another, both with it.

    Prices in quote, sizes in base currency, as text with all their digits; `vwap` and the prices of prints taken
    together are the nearest floats. `poc`, `vah`, `val` are edges of the rows of `footprints`, None while it has none
    of the instrument, and where prices or sizes are too far apart for a profile.

    Raises:
        StoreError: the store does not answer.
    """
    asked = {"venue": venue, "first_ns": received_ns[0], "last_ns": received_ns[1]}
    steps = {instrument: Decimal(step) for instrument, step in store.query(_STEPS, asked)}
    found: dict[str, list[tuple[str, Decimal, Decimal, int]]] = defaultdict(list)
    for instrument, side, price, size, trades in store.query(_BY_PRICE, asked):
        found[instrument].append((side, Decimal(price), Decimal(size), trades))
    largest, prints = (_largest(store.query(text, asked)) for text in (_LARGEST, _LARGEST_PRINTS))
    return {
        instrument: _totals(cells)
        | _profile(cells, steps.get(instrument))
        | {"largest": largest[instrument], "largest_prints": prints[instrument]}
        for instrument, cells in sorted(found.items())
    }


def _totals(cells: list[tuple[str, Decimal, Decimal, int]]) -> dict[str, Any]:
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    for side, _, size, _ in cells:
        sizes[side] += size
    total = sum(sizes.values(), Decimal())
    quote = sum(Fraction(price) * Fraction(size) for _, price, size, _ in cells)
    return {
        "trades": sum(trades for *_, trades in cells), "total": _text(total), "buy": _text(sizes["buy"]),
        "sell": _text(sizes["sell"]), "unknown": _text(sizes["unknown"]),
        "delta": _text(sizes["buy"] - sizes["sell"]), "vwap": float(quote / Fraction(total)) if total else None,
    }  # fmt: skip


def _profile(cells: list[tuple[str, Decimal, Decimal, int]], step: Decimal | None) -> dict[str, Any]:
    names = ("row_step", "poc", "poc_size", "vah", "val", "vah_single", "val_single")
    if step is None:
        return dict.fromkeys(names)
    rows = [int(price // step) for _, price, _, _ in cells]
    digits = max(decimals(size) for _, _, size, _ in cells)
    lots = [int(size.scaleb(digits)) for _, _, size, _ in cells]
    lowest, count = min(rows), max(rows) - min(rows) + 1
    if count > ROWS_MAX or not 0 < sum(lots) < LOTS_MAX:
        return dict.fromkeys(names) | {"row_step": _text(step)}
    volumes = np.zeros(count, np.int64)
    np.add.at(volumes, np.array(rows) - lowest, np.array(lots))
    poc = int(profile.point_of_control(volumes))
    two, one = (profile.value_area(volumes, rule=rule) for rule in (profile.TWO_ROW, profile.SINGLE_ROW))
    poc_size = Decimal(int(volumes[poc])).scaleb(-digits)
    edges = [step * (lowest + int(i)) for i in (poc, two[1] + 1, two[0], one[1] + 1, one[0])]
    values = (step, edges[0], poc_size, *edges[1:])
    return dict(zip(names, map(_text, values), strict=True))


def _largest(rows: list[tuple[Any, ...]]) -> dict[str, list[dict[str, Any]]]:
    """Trades of rows of instrument, time, side, prices and sizes of the prints."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for instrument, time_ns, side, prices, sizes in rows:
        told = list(zip(map(Fraction, prices), map(Fraction, sizes), strict=True))
        total = sum(size for _, size in told)
        mean = sum(price * size for price, size in told) / total if total else told[0][0]
        found[instrument].append(
            {
                "time_ns": time_ns, "side": side, "size": _text(sum(map(Decimal, sizes), Decimal())),
                "price": float(mean), "low": prices[_least(told)], "high": prices[_least(told, -1)],
                "prints": len(told),
            }
        )  # fmt: skip
    return found


def _least(told: list[tuple[Fraction, Fraction]], sign: int = 1) -> int:
    return min(range(len(told)), key=lambda i: sign * told[i][0])


def _text(value: Decimal) -> str:
    """All digits of a number, without an exponent or trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
