"""A small market of known content: an hour of one book with a hole of 7 seconds, and a trade each second."""

from collections.abc import Sequence

import numpy as np

from sql.client import Store

START, SECONDS, STEP = 1_723_118_400, 200, 0.5
BASE, BINS = 6400, 128
HOLE = range(START + 90, START + 97)
TICK = 0.1
NAMES = ("BTC-USDT-PERP", "binance_futures")
MEASURES = (
    "covered_low covered_high best_bid_size best_ask_size spread mid weighted_mid ofi"
    " bid_10bps bid_25bps bid_50bps bid_100bps ask_10bps ask_25bps ask_50bps ask_100bps"
    " imbalance_25bps imbalance_50bps imbalance_100bps"
)
TIMES = [second for second in range(START, START + SECONDS) if second not in HOLE]


def best_bid(second: int) -> float:
    """The price walks up and down by one bin."""
    return (BASE + 63 + second % 2) * STEP


def sizes(second: int) -> tuple[np.ndarray, np.ndarray]:
    """Bids float32[BINS] below the price, asks above it; the lowest 4 bids are not known."""
    bins = np.arange(BINS)
    bid = np.where(bins <= 63 + second % 2, 1 + bins % 7, 0).astype(np.float32)
    ask = np.where(bins > 63 + second % 2, 2 + bins % 5, 0).astype(np.float32)
    bid[:4] = np.nan
    return bid, ask


def write_depth(
    store: Store,
    table: str,
    times: Sequence[int],
    names: tuple[str, str] = NAMES,
    received_s: int | None = None,
) -> None:
    count = len(times)
    books = [sizes(second) for second in times]
    received = np.array(times, np.int64) if received_s is None else np.full(count, received_s, np.int64)
    rows = {name: np.full(count, 0.5) for name in MEASURES.split()} | {
        "instrument": [names[0]] * count,
        "venue": [names[1]] * count,
        "time": np.array(times),
        "live_s": np.ones(count, np.uint16),
        "bin_step": np.full(count, STEP),
        "base_bin": np.full(count, BASE),
        "bid": [bid for bid, _ in books],
        "ask": [ask for _, ask in books],
        "best_bid": np.array([best_bid(second) for second in times]),
        "best_ask": np.array([best_bid(second) + TICK for second in times]),
        "imbalance_10bps": np.full(count, -0.25),
        "updates": np.ones(count, np.uint32),
        "received_ns": received * 10**9,
        "version": np.ones(count, np.uint64),
    }
    store.insert(table, rows)


def write_trades(store: Store, times: Sequence[int]) -> None:
    """Each second two buys of 1 and 3 within 50 ms at the best ask, and a sell of 2 in the next quarter."""
    for number, (after_ns, size, side) in enumerate(
        [(10_000_000, 1.0, "buy"), (60_000_000, 3.0, "buy"), (260_000_000, 2.0, "sell")]
    ):
        count = len(times)
        store.insert(
            "trades",
            {
                "instrument": [NAMES[0]] * count,
                "venue": [NAMES[1]] * count,
                "time_ns": np.array(times, np.int64) * 10**9 + after_ns,
                "trade_id": np.array(times, np.uint64) * 3 + number,
                "price": np.array([best_bid(second) + TICK * (side == "buy") * size for second in times]),
                "size": np.full(count, size),
                "side": [side] * count,
                "side_by": ["told"] * count,
                "aggregated": np.zeros(count, np.bool_),
                "received_ns": np.array(times, np.int64) * 10**9,
                "version": np.ones(count, np.uint64),
            },
        )


def write(store: Store) -> None:
    for table, step in (("depth_1s", 1), ("depth_10s", 10), ("depth_1m", 60)):
        write_depth(store, table, [second for second in TIMES if second % step == 0])
    write_trades(store, TIMES)
    event = {"instrument": [NAMES[0]], "venue": [NAMES[1]], "update_id": [0], "version": [1]}
    for second, kind in ((HOLE[0], "gap"), (HOLE[-1], "seeded")):
        rows = event | {"time_ns": [second * 10**9], "kind": [kind], "detail": [""]}
        store.insert(
            "book_events", {k: np.array(v) if not isinstance(v[0], str) else v for k, v in rows.items()}
        )
    store.insert(
        "instruments",
        {
            "venue": [NAMES[1]], "symbol": ["BTCUSDT"], "instrument": [NAMES[0]], "tick": np.array([TICK]),
            "lot": np.array([0.001]), "bin_step": np.array([STEP]), "contract_size": np.array([1.0]),
            "inferred": np.array([False]), "version": np.array([1]),
        },
    )  # fmt: skip
