"""What is made of the trades of one instrument on one venue: order flow of bars, footprints, profiles, large trades."""

from decimal import Decimal
from typing import Any

from flows.kernels import bars
from flows.kernels.prints import Prints

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

Columns = list[list[Any]]  # of a table's rows, in the order of its columns


class InstrumentTape:
    """What is made of the trades of one instrument on one venue.

    A `Prints` whose decimals are finer than those before begins with the print that needs them, or rows would depend
    on how prints are grouped. `rows` is called before `dump`, which holds no rows.
    """

    def __init__(self, instrument: str, venue: str, asset_class: str) -> None:
        raise NotImplementedError

    def set_row_step(self, row_step: Decimal) -> None:
        """Set the height of price rows (quote currency), before the first `take`."""

    def take(self, prints: Prints) -> None:
        """Take the next trades in log order."""

    def missed(self, recv_ns: int) -> None:
        """Trades may have been lost between the last print, or what the clock had passed, and the next."""

    def on_clock(self, time_ns: int, recv_ns: int) -> None:
        """The venue's time that the log has reached, by `!clock`: silence closes intervals too."""

    def rows(self) -> dict[str, Columns]:
        """Rows since the last call, by table: a list for each column of TABLE_COLUMNS[table]; no empty tables."""
        raise NotImplementedError

    def dump(self) -> Any:
        """All state, for msgpack; `rows` comes before."""

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
