"""An embedded store with one small book in it, asked as the read-only user of the boards."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sql.client import Store, connect
from sql.data_dir import embedded_store, running
from sql.migrate import migrate
from tests.sql.tape import LARGE, LEVEL, PROFILE, WALL, Trade, footprints, order_flow, put

FROM_S, LIVE_S, HOLE_S = 1_800_000_000, 60, 20
SECONDS = np.array([s for s in range(LIVE_S) if not 20 <= s < 20 + HOLE_S]) + FROM_S
STEP, BASE, BINS = 0.5, 128, 128  # prices 64 to 128, mid 100
MEASURES = (
    "covered_low covered_high weighted_mid best_bid_size best_ask_size "
    "bid_10bps bid_25bps bid_50bps bid_100bps ask_10bps ask_25bps ask_50bps ask_100bps "
    "imbalance_25bps imbalance_50bps imbalance_100bps"
)


def columns(table: str, venue: str, instrument: str) -> dict[str, Any]:
    """Depth rows: every known bin holds its own index, bids below 100 and asks from 100.5 on."""
    width = {"depth_1s": 1, "depth_10s": 10, "depth_1m": 60}[table]
    times = np.unique(SECONDS // width * width)
    index = np.arange(BINS, dtype=np.float32)
    bid, ask = np.where(index < 72, index, 0), np.where(index > 72, index, 0)
    count = len(times)
    constant = {
        "live_s": np.uint16(width), "bin_step": STEP, "base_bin": BASE, "best_bid": 99.5, "best_ask": 100.5,
        "spread": 1.0, "mid": 100.0, "imbalance_10bps": np.nan, "ofi": 2.0, "updates": np.uint32(1), "version": 1,
    }  # fmt: skip
    return (
        {
            name: np.full(count, value)
            for name, value in (dict.fromkeys(MEASURES.split(), 0.25) | constant).items()
        }
        | {"instrument": [instrument] * count, "venue": [venue] * count, "time": times}
        | {"received_ns": times * 1_000_000_000}
        | {"bid": [bid.astype(np.float32)] * count, "ask": [ask.astype(np.float32)] * count}
    )


def fill(store: Store) -> None:
    for venue, instrument in (("binance_futures", "BTC-USDT-PERP"), ("binance_spot", "BTC-USDT")):
        for table in ("depth_1s", "depth_10s", "depth_1m"):
            store.insert(table, columns(table, venue, instrument))
        name = {"venue": [venue], "instrument": [instrument]}
        numbers = {key: np.array([STEP]) for key in ("tick", "lot", "bin_step", "contract_size")}
        store.insert(
            "instruments",
            name | numbers | {"symbol": ["BTCUSDT"], "inferred": np.array([False]), "version": np.array([1])},
        )
    name = {"venue": ["binance_futures"] * 2, "instrument": ["BTC-USDT-PERP"] * 2}
    times_ns = np.array([FROM_S + 20, FROM_S + 20 + HOLE_S]) * 1_000_000_000
    store.insert(
        "book_events",
        name | {"time_ns": times_ns, "kind": ["gap", "seeded"], "detail": ["expected 2, found 4", ""]}
        | {"update_id": np.array([4, 9]), "version": times_ns},
    )  # fmt: skip
    store.insert(
        "trades",
        name | {"time_ns": times_ns, "trade_id": np.array([1, 2]), "price": np.array([100.5, 99.5])}
        | {"size": np.array([2.0, 3.0]), "side": ["buy", "sell"], "side_by": ["told"] * 2}
        | {"aggregated": np.array([True, True])}
        | {"received_ns": times_ns, "version": times_ns},
    )  # fmt: skip
    store.insert(
        "dead_letters",
        {"topic": ["raw.binance_futures"] * 2, "partition": np.array([0, 0]), "offset": np.array([7, 8])}
        | {"position": np.array([0, 0]), "reason": ["json"] * 2, "detail": ["first", "second"]}
        | {"received_ns": times_ns, "payload": ["{", "{"], "version": times_ns},
    )  # fmt: skip


# A trade in each live second on either venue, of which the second buys only; one of the first is a whale's.
ROW_STEP, MID = 10.0, 64_000.0
TRADES = [
    Trade(venue, int(second) * 10**9 + 1, MID + 10 * (second % 7) - 30, lots, side)
    for second in SECONDS
    for venue, lots, side in (
        ("binance_futures", 2000 if second == FROM_S else 20 + second % 3, "buy" if second % 3 else "sell"),
        ("bybit_linear", 5, "buy"),
    )
]


def fill_tape(store: Store) -> None:
    """The tape of BTC-USDT-PERP on two venues, and a row each of what is made of it, of the first."""
    name = "BTC-USDT-PERP"
    for interval_s in (1, 60, 3600):
        store.insert("order_flow", order_flow(name, TRADES, interval_s))
    for interval_s in (10, 60, 3600):
        store.insert("footprints", footprints(name, TRADES, interval_s, ROW_STEP))
    now_ns, minute_ns = (FROM_S + LIVE_S) * 10**9, FROM_S * 10**9
    here = {"instrument": name, "venue": "binance_futures", "received_ns": now_ns}
    put(
        store,
        "profiles",
        PROFILE,
        [here | {"open_ns": minute_ns, "time_ns": minute_ns + 30 * 10**9, "closed": np.bool_(False)}],
    )
    day_ns = 86_400 * 10**9
    put(
        store, "profiles", PROFILE, [here | {"open_ns": minute_ns - day_ns, "time_ns": minute_ns, "poc": 7.0}]
    )
    put(store, "large_trades", LARGE, [here | {"time_ns": minute_ns, "trade_id": 1}])
    put(store, "walls", WALL, [here | {"from_ns": minute_ns, "known_ns": minute_ns, "time_ns": now_ns}])
    put(
        store,
        "levels",
        LEVEL,
        [
            here | {"time_ns": now_ns, "price": 100.0},
            here | {"time_ns": now_ns, "price": 90.0, "venue": "all"},
        ],
    )
    forced = {"price": 100.0, "size": 2.0, "ordinal": 0, "complete": np.bool_(False)}
    sides = [
        ("long", minute_ns + 5 * 10**9),
        ("short", minute_ns + 6 * 10**9),
        ("short", minute_ns + 6 * 10**9 + 1),
    ]
    put(
        store, "liquidations", forced, [here | {"liquidated_side": side, "time_ns": ns} for side, ns in sides]
    )
    told = {"mark": 100.0, "index": math.nan, "next_funding_ns": None}
    rates = [(0.0001, math.nan), (math.nan, 5000.0)]
    put(
        store,
        "derivatives",
        told,
        [
            here | {"funding_rate": rate, "open_interest": held, "time_ns": minute_ns + i}
            for i, (rate, held) in enumerate(rates)
        ],
    )


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store as the user that Grafana asks as."""
    path = tmp_path_factory.mktemp("data")
    with running(path):
        admin = connect(*embedded_store(path, "admin"), retry_s=0)
        migrate(admin)
        admin.close()
        writer = connect(*embedded_store(path, "writer"), retry_s=0)
        fill(writer)
        fill_tape(writer)
        writer.close()
        store = connect(*embedded_store(path, "board"), retry_s=0)
        yield store
        store.close()
