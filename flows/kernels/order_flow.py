"""What is made of the trades of one instrument on one venue: order flow of bars, footprints, profiles, large trades.

Bars begin at multiples of their length UTC, those of a day at 00:00 UTC of forex too. First and last price are by
time, and of one time by log order; the running delta is by log order. Prices, lots, and price * size are exact
integers until the one division that makes them a float, so `quote_volume` is the float nearest to the exact sum.
`order_flow` has all bars with a trade, `bars` those that are whole; there `buy_volume` is NaN if an aggressor is not
known.

A bar is closed once the instrument's own prints show a later time than its end, or `!clock` has passed that by
GRACE_NS. A print up to LATE_NS behind the newest corrects what it belongs to: the bars and footprints, whose row comes
again with the version of that print, and of profiles the newest row (`flows.kernels.spans`). An older one is counted
and left out. So is one that cannot be summed in 64 bits, or whose price is PRICE_ROWS_MAX rows from the print before
it; that is a gap as any other.

Prints of one side at one time by the venue that follow each other in the log are one large trade if they are larger
than 99 % of up to 1000 such trades before it, of at least 200 (nearest rank). The trade is complete when a print of
another time or side comes, or `!clock` has passed it by GRACE_NS.

Cost: see `tests/bench`.
"""

import math
from decimal import Decimal
from typing import Any

import numpy as np

from flows.kernels import bars, tally
from flows.kernels.footprint import Footprints
from flows.kernels.gaps import BEGINNING_NS, Gaps
from flows.kernels.prints import BUY, SELL, Prints
from flows.kernels.spans import Profiles
from flows.kernels.traded import Int64s, Scale, Traded

TABLE_COLUMNS: dict[str, tuple[str, ...]] = {
    "order_flow": (
        "instrument", "venue", "interval_s", "open_ns", "whole", "open", "high", "low", "close", "quote_volume",
        "trades", "size_decimals", "buy_lots", "sell_lots", "unknown_lots", "inferred_lots", "delta_min_lots",
        "delta_max_lots", "size_edges", "class_buy_lots", "class_sell_lots", "received_ns", "version",
    ),
    "footprints": (
        "instrument", "venue", "interval_s", "open_ns", "whole", "row_step", "size_decimals", "price_row", "buy_lots",
        "sell_lots", "unknown_lots", "received_ns", "version",
    ),
    "bars": bars.COLUMNS,
    "large_trades": (
        "instrument", "venue", "time_ns", "trade_id", "side", "price", "low", "high", "size", "prints", "threshold",
        "received_ns", "version",
    ),
    "profiles": (
        "instrument", "venue", "span", "open_ns", "time_ns", "closed", "whole", "row_step", "size_decimals",
        "buy_lots", "sell_lots", "unknown_lots", "high", "low", "poc", "poc_lots", "developing_poc", "vah", "val",
        "vah_single", "val_single", "vwap", "vwap_sd", "hvn", "lvn", "tpo_poc", "tpo_vah", "tpo_val", "initial_high",
        "initial_low", "received_ns", "version",
    ),
}  # fmt: skip
GRACE_NS = 250 * 10**6  # as the depth kernel's
SIZE_EDGES = (1e3, 1e4, 1e5)  # quote currency
PRICE_ROWS_MAX = 1 << 19  # between two prints: half the price or more
ROWS_AT_ONCE = 256
CELL_PRINTS = 256

Columns = list[list[Any]]  # of a table's rows, in the order of its columns
Row = tuple[Any, ...]
_SIDES = {BUY: "buy", SELL: "sell"}


class InstrumentTape:
    """What is made of the trades of one instrument on one venue.

    Pure: its rows depend on the order of calls alone, not on how prints are grouped into `take`. For that a `Prints`
    whose decimals are finer than those before begins with the print that needs them.
    """

    def __init__(self, instrument: str, venue: str, asset_class: str) -> None:
        self._scale, self._gaps = Scale(instrument, venue), Gaps()
        self._footprints = Footprints(self._scale, self._gaps)
        self._profiles = Profiles(self._scale, self._gaps, asset_class)
        self._meta = np.zeros(tally.META, np.int64)
        self._meta[[tally.NEWEST, tally.UNTIL]] = BEGINNING_NS
        self._meta[tally.GAP] = 1
        self._bars = np.zeros((tally.SLOTS, tally.FIELDS), np.int64)
        self._bars[:, tally.OPEN_NS] = -1
        self._cell = np.zeros((CELL_PRINTS, 3), np.int64)
        self._sizes = np.zeros(tally.SIZES, np.int64)
        self._edges = np.zeros((len(SIZE_EDGES), 2), np.int64)
        self._bar_rows, self._large_rows = _buffers()
        self._flow: list[Row] = []
        self._whole_bars: list[Row] = []
        self._large: list[Row] = []
        self._has_changed = False  # since rows were taken

    @property
    def counts(self) -> dict[str, int]:
        """Prints left out since the tape began."""
        m = self._meta
        return {"too_late": int(m[tally.TOO_LATE]), "refused": int(m[tally.N_REFUSED])}

    def set_row_step(self, row_step: Decimal) -> None:
        """Set the height of price rows (quote currency), before the first `take`.

        If it changes later, footprints and profiles begin anew, and what is open is not whole.
        """
        if row_step == self._scale.row_step:
            return
        self._has_changed = True
        if self._meta[tally.NEWEST] > BEGINNING_NS:
            self._tell()
            self._footprints.clear()
            self._profiles.clear()
            self._meta[tally.CELL_COUNT] = self._meta[tally.CELL_RECEIVED] = 0
            self._gaps.begin(BEGINNING_NS)
            self._meta[tally.GAP] = 1
        self._set_scale(row_step, self._scale.price_decimals, self._scale.size_decimals)

    def take(self, prints: Prints) -> None:
        """Take the next trades in log order. Raises ValueError before `set_row_step`."""
        if not self._scale.row_step:
            raise ValueError("expected the height of price rows before the first trade: call set_row_step")
        if not len(prints):
            return
        self._has_changed = True
        arrays = self._in_scale(prints)
        if arrays is None:
            self._meta[tally.N_REFUSED] += len(prints)
            self.missed(int(prints.recv_ns[-1]))
            return
        if self._meta[tally.NEWEST] == BEGINNING_NS:
            self._meta[tally.LAST_PRICE] = arrays[0][0]
        self._run(prints, *arrays)

    def missed(self, recv_ns: int) -> None:
        """Trades may have been lost between what is known and the next print: what is open is not whole.

        What is known are the prints, and that there was none up to the time that `!clock` had passed.
        """
        del recv_ns  # rows that are closed stay as they are
        self._gaps.begin(int(self._meta[tally.UNTIL]))
        self._meta[tally.GAP] = 1

    def on_clock(self, time_ns: int, recv_ns: int) -> None:
        """The venue's time that the log has reached, by `!clock`: silence closes intervals too."""
        until_ns, m = time_ns - GRACE_NS, self._meta
        if until_ns > m[tally.UNTIL]:
            self._has_changed = True
            self._advance(until_ns, recv_ns)
        if m[tally.GROUP_PRINTS] and until_ns >= m[tally.GROUP_TIME]:
            self._has_changed = True
            self._make_room()
            tally.close_group(m, self._sizes, self._large_rows, recv_ns)

    def rows(self) -> dict[str, Columns]:
        """Rows since the last call, by table: a list for each column of TABLE_COLUMNS[table]; no empty tables."""
        if not self._has_changed:
            return {}
        self._has_changed = False
        self._tell()
        found = {
            "order_flow": self._flow,
            "bars": self._whole_bars,
            "large_trades": self._large,
            "footprints": self._footprints.take_rows(),
            "profiles": self._profiles.take_rows(),
        }
        self._flow, self._whole_bars, self._large = [], [], []
        return {
            table: [list(column) for column in zip(*rows, strict=True)]
            for table, rows in found.items()
            if rows
        }

    # Prints.

    def _run(self, prints: Prints, price: Int64s, size: Int64s) -> None:
        m, at, code = self._meta, 0, -1
        while code != tally.END:
            code, at = tally.run(
                prints.time_ns, prints.recv_ns, price, size, prints.side, prints.inferred, prints.trade_id, at, m,
                self._bars, self._bar_rows, self._cell, self._edges, self._sizes, self._large_rows,
            )  # fmt: skip
            if code == tally.CROSSED:
                self._advance(int(prints.time_ns[at]), int(prints.recv_ns[at]))
            elif code == tally.RESUMED:
                self._tell()  # before gaps of their time are forgotten
                self._gaps.end(int(prints.time_ns[at]))
                m[tally.GAP] = 0
            elif code == tally.FULL:
                self._cell = np.concatenate((self._cell, np.zeros_like(self._cell)))
            elif code == tally.DRAIN:
                self._make_room()
            elif code == tally.REFUSED:
                self.missed(int(prints.recv_ns[at]))
                at += 1
            elif code == tally.LATE:
                late = np.array([[price[at], size[at], prints.side[at]]], np.int64)
                self._on_late(late, int(prints.time_ns[at]), int(prints.recv_ns[at]))
                at += 1

    def _advance(self, until_ns: int, recv_ns: int) -> None:
        """Close what ends by then."""
        m = self._meta
        was_ns = int(m[tally.UNTIL])
        tally.close(m, self._bars, until_ns, recv_ns)
        if until_ns // tally.CELL_NS == was_ns // tally.CELL_NS:
            return
        if count := int(m[tally.CELL_COUNT]):
            received_ns = int(m[tally.CELL_RECEIVED])
            traded = Traded.of(self._cell[:count], self._scale, received_ns)
            self._footprints.add(was_ns, traded, received_ns, was_ns)
            m[tally.CELL_COUNT] = m[tally.CELL_RECEIVED] = 0
        for open_ns, minute, version in self._footprints.close(until_ns, recv_ns):
            self._profiles.add(open_ns, minute, version)
        self._profiles.close(until_ns, recv_ns)
        before_ns = int(m[tally.NEWEST]) - tally.LATE_NS
        self._footprints.forget(before_ns)
        self._profiles.forget(before_ns)

    def _on_late(self, late: Int64s, time_ns: int, recv_ns: int) -> None:
        """A print of ten seconds that are over."""
        until_ns, minute_ns = int(self._meta[tally.UNTIL]), 60 * tally.SECOND_NS
        traded = Traded.of(late, self._scale, recv_ns)
        self._footprints.add(time_ns, traded, recv_ns, until_ns)
        open_ns = time_ns - time_ns % minute_ns
        if open_ns + minute_ns <= until_ns:
            self._profiles.add(open_ns, traded, recv_ns)
            self._profiles.close(until_ns, recv_ns)

    # Ticks and lots.

    def _in_scale(self, prints: Prints) -> tuple[Int64s, Int64s] | None:
        """Prices and sizes in our ticks and lots, which grow finer if theirs are; None if our sums could not."""
        scale = self._scale
        price_decimals = max(scale.price_decimals, prints.price_decimals)
        size_decimals = max(scale.size_decimals, prints.size_decimals)
        if (price_decimals, size_decimals) != (scale.price_decimals, scale.size_decimals):
            by_price = 10 ** (price_decimals - scale.price_decimals)
            by_size = 10 ** (size_decimals - scale.size_decimals)
            if not self._may_rescale(by_price, by_size):
                return None
            self._rescale(by_price, by_size)
            self._set_scale(scale.row_step, price_decimals, size_decimals)
        coarser = price_decimals - prints.price_decimals, size_decimals - prints.size_decimals
        if any(coarser):
            return prints.price_ticks * 10 ** coarser[0], prints.size_lots * 10 ** coarser[1]
        return prints.price_ticks, prints.size_lots

    def _set_scale(self, row_step: Decimal, price_decimals: int, size_decimals: int) -> None:
        scale = self._scale
        scale.set(row_step, price_decimals, size_decimals)
        unit = 10 ** (price_decimals + size_decimals)
        for k, edge in enumerate(SIZE_EDGES):
            self._edges[k] = divmod(min(int(edge) * unit, 1 << 114), 1 << tally.LIMB)
        reach = PRICE_ROWS_MAX * scale.step // scale.rise
        self._meta[tally.PRICE_MAX] = min(tally.VALUE_MAX, (1 << 62) // scale.rise)
        self._meta[tally.PRICE_REACH] = min(reach, tally.VALUE_MAX)

    def _may_rescale(self, by_price: int, by_size: int) -> bool:
        days = self._bars[-2:, [tally.BUY, tally.SELL, tally.UNKNOWN]].sum(axis=1).max()
        lots = max(int(days), int(self._sizes.max()))
        prices = int(np.abs(self._bars[:, [tally.HIGH, tally.LOW]]).max())
        return lots * by_size < tally.DAY_LOTS_MAX and prices * by_price < tally.VALUE_MAX

    def _rescale(self, by_price: int, by_size: int) -> None:
        self._tell()
        m = self._meta
        self._bars[:, [tally.OPEN, tally.HIGH, tally.LOW, tally.CLOSE]] *= by_price
        self._bars[:, tally.BUY : tally.DELTA_MAX + 1] *= by_size
        self._bars[:, tally.CLASS_BUY : tally.RECEIVED] *= by_size
        for bar in self._bars:
            _rescale_product(bar[tally.QUOTE_HIGH_LIMB : tally.QUOTE_LOW_LIMB + 1], by_price * by_size)
        self._cell *= (by_price, by_size, 1)
        self._sizes *= by_size
        m[[tally.LAST_PRICE, tally.GROUP_HIGH, tally.GROUP_LOW]] *= by_price
        m[[tally.GROUP_LOTS, tally.THRESHOLD]] *= by_size
        _rescale_product(m[tally.GROUP_HIGH_LIMB : tally.GROUP_LOW_LIMB + 1], by_price * by_size)
        self._footprints.rescale(by_price, by_size)
        self._profiles.rescale(by_price, by_size)

    # Rows.

    def _make_room(self) -> None:
        """Take rows out of the compiled part's buffers."""
        m, scale = self._meta, self._scale
        if bar_rows := m.item(tally.BAR_ROWS):
            for values in self._bar_rows[:bar_rows].tolist():
                self._tell_bar(values)
            m[tally.BAR_ROWS] = 0
        if large_rows := m.item(tally.LARGE_ROWS):
            self._large += [_large_row(scale, values) for values in self._large_rows[:large_rows].tolist()]
            m[tally.LARGE_ROWS] = 0

    def _tell(self) -> None:
        """Make rows of all that has changed, in the scale that they have now."""
        m = self._meta
        if m.item(tally.BAR_ROWS) + tally.SLOTS > len(self._bar_rows):
            self._make_room()
        if m.item(tally.DIRTY_BARS):
            tally.flush(m, self._bars, self._bar_rows)
        self._make_room()
        self._footprints.tell()
        self._profiles.tell()

    def _tell_bar(self, values: list[int]) -> None:
        scale = self._scale
        interval_s, open_ns = tally.INTERVALS_S[values[tally.INTERVAL]], values[tally.OPEN_NS]
        whole = self._gaps.whole(open_ns, open_ns + interval_s * tally.SECOND_NS)
        tick, lot = 10**scale.price_decimals, 10**scale.size_decimals
        prices = (
            values[tally.OPEN] / tick, values[tally.HIGH] / tick, values[tally.LOW] / tick,
            values[tally.CLOSE] / tick,
        )  # fmt: skip
        product = (values[tally.QUOTE_HIGH_LIMB] << tally.LIMB) + values[tally.QUOTE_LOW_LIMB]
        quote_volume, trades = product / (tick * lot), values[tally.TRADES]
        buy, sell, unknown = values[tally.BUY], values[tally.SELL], values[tally.UNKNOWN]
        received_ns, version = values[tally.RECEIVED], values[tally.VERSION]
        self._flow.append(
            (
                scale.instrument, scale.venue, interval_s, open_ns, whole, *prices, quote_volume, trades,
                scale.size_decimals, *values[tally.BUY : tally.DELTA_MAX + 1], SIZE_EDGES,
                tuple(values[tally.CLASS_BUY : tally.CLASS_SELL]),
                tuple(values[tally.CLASS_SELL : tally.RECEIVED]), received_ns, version,
            )
        )  # fmt: skip
        if whole:
            buy_volume = math.nan if unknown else buy / lot
            self._whole_bars.append(
                (
                    scale.instrument, scale.venue, interval_s, "trades", open_ns, *prices,
                    (buy + sell + unknown) / lot, quote_volume, buy_volume, trades, received_ns, version,
                )
            )  # fmt: skip

    # State.

    def dump(self) -> Any:
        """All state, for msgpack. `rows` comes before: rows that nobody took are not in it."""
        scale, n = self._scale, int(self._meta[tally.CELL_COUNT])
        arrays = self._meta, self._bars, self._sizes, self._cell[:n]
        return (
            (str(scale.row_step), scale.price_decimals, scale.size_decimals), [x.tobytes() for x in arrays],
            self._gaps.dump(), self._footprints.dump(), self._profiles.dump(),
        )  # fmt: skip

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        (row_step, price_decimals, size_decimals), arrays, gaps, footprints, profiles = state
        if Decimal(row_step):
            self._set_scale(Decimal(row_step), price_decimals, size_decimals)
        meta, held, sizes, cell = (np.frombuffer(x, np.int64) for x in arrays)
        self._meta[:] = meta
        self._bars = held.reshape(tally.SLOTS, tally.FIELDS).copy()
        self._sizes = sizes.copy()
        self._cell = np.concatenate((cell.reshape(-1, 3), np.zeros((CELL_PRINTS, 3), np.int64)))
        self._gaps.load(gaps)
        self._footprints.load(footprints)
        self._profiles.load(profiles)


def _buffers() -> tuple[Int64s, Int64s]:
    bar_rows = np.zeros((ROWS_AT_ONCE, tally.FIELDS), np.int64)
    return bar_rows, np.zeros((ROWS_AT_ONCE, tally.LARGE_FIELDS), np.int64)


def _rescale_product(limbs: Int64s, factor: int) -> None:
    product = ((int(limbs[0]) << tally.LIMB) + int(limbs[1])) * factor
    limbs[:] = divmod(product, 1 << tally.LIMB)


def _large_row(scale: Scale, values: list[int]) -> Row:
    prints, time_ns, side, trade_id, lots, high_limb, low_limb, high, low, received_ns, threshold, version = (
        values
    )
    product, lot = (high_limb << tally.LIMB) + low_limb, 10**scale.size_decimals
    return (
        scale.instrument, scale.venue, time_ns, trade_id % (1 << 64), _SIDES.get(side, "unknown"),
        product / (lots * 10**scale.price_decimals), scale.price(low), scale.price(high), lots / lot, prints,
        threshold / lot, received_ns, version,
    )  # fmt: skip
