"""The files kernel against the batches it is given."""

import math
from typing import Any

import msgspec
import pytest

from connectors.record import Record, encode_line
from flows.kernels import bars, feed
from flows.kernels.files import FilesKernel
from tests.flows.kernels.test_feed import tables

BARS: dict[str, Any] = {
    "kind": "bars", "source": "archive", "venue": "binance_spot", "instrument": "BTC-USDT", "interval_s": 300,
    "open_ns": [0, 300 * 10**9], "open": [1, 2.5], "high": [3, 3], "low": [1, 1], "close": [2, 2], "volume": [None, 0],
    "quote_volume": [None, 1.5], "buy_volume": [None, None], "trades": [None, 0],
}  # fmt: skip
TRADES: dict[str, Any] = {
    "kind": "trades", "source": "archive", "venue": "binance_spot", "instrument": "BTC-USDT", "aggregated": True,
    "time_ns": [5, 6], "trade_id": [0, 2**64 - 1], "price": [1, 2], "size": [0.5, 1], "side": ["buy", "unknown"],
}  # fmt: skip


def rows(*payloads: Any, origin: bytes = b"file:x.csv") -> dict[str, list[dict[str, Any]]]:
    body = b"".join(
        encode_line(9, origin, x if isinstance(x, bytes) else msgspec.json.encode(x)) for x in payloads
    )
    return tables(FilesKernel(0).on_records([Record(b"BTC-USDT", 3, body)]))


def test_bars_and_trades_are_rows_of_their_tables() -> None:
    found = rows(BARS, TRADES)
    first, second = found["bars"]
    assert tuple(first) == bars.COLUMNS
    assert (first["source"], first["interval_s"], first["version"], first["trades"]) == (
        "archive",
        300,
        9,
        None,
    )
    assert math.isnan(first["volume"])
    assert (second["open_ns"], second["open"], second["volume"], second["trades"]) == (300 * 10**9, 2.5, 0, 0)
    assert tuple(found["trades"][0]) == feed.TABLE_COLUMNS["trades"]
    assert [x["trade_id"] for x in found["trades"]] == [0, 2**64 - 1]
    assert [x["side"] for x in found["trades"]] == ["buy", "unknown"]


def test_a_batch_without_rows_gives_none() -> None:
    assert rows({name: [] if isinstance(x, list) else x for name, x in BARS.items()}) == {}


@pytest.mark.parametrize(
    "junk",
    [
        b"", b"{}", BARS | {"open": [1]}, BARS | {"interval_s": 0}, BARS | {"interval_s": 2**32},
        BARS | {"open_ns": [0, 2**63]}, BARS | {"open_ns": [0, 2**80]}, BARS | {"trades": [-1, None]},
        BARS | {"close": [None, 1]}, BARS | {"source": "rest"}, TRADES | {"trade_id": [0, 2**64]},
        BARS | {"instrument": ""}, BARS | {"instrument": "X" * 10**6}, TRADES | {"venue": "x" * 10**6},
        TRADES | {"trade_id": [-1, 0]}, TRADES | {"side": ["buy", "x"]}, TRADES | {"time_ns": [0, -(2**63)]},
    ],
)  # fmt: skip
def test_what_no_column_can_hold_is_set_aside(junk: Any) -> None:
    found = rows(junk, BARS)
    assert len(found["bars"]) == 2
    assert [x["reason"] for x in found["dead_letters"]] == ["malformed batch"]


def test_lines_of_other_origins_are_set_aside() -> None:
    assert set(rows(BARS, origin=b"GET:/x")) == {"dead_letters"}
