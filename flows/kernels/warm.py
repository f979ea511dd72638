"""Compile the kernels into numba's cache: `python -m flows.kernels.warm`, a part of `make setup`.

The cache is keyed by the source file's time and by the CPU. It does not see a change of what is compiled into a file
from another (`_INSIDE`), so this drops what is older than that.
"""

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np

from connectors import book_sync, venue
from connectors.record import Record, encode_line
from connectors.venue import market
from flows.kernels import against, book, ledger, profile, reading, trades, wall_bins
from flows.kernels.depth import DepthKernel
from flows.kernels.order_flow import InstrumentTape
from flows.kernels.prints import Prints
from flows.kernels.order_book import OrderBook
from flows.kernels.tape import TapeKernel

_FRAMES = (
    b'{"lastUpdateId":1,"bids":[["1.1","1"],["0.1","1"]],"asks":[["1.2","1"],["99999.1","1"]]}',
    b'{"e":"depthUpdate","E":1000,"U":2,"u":2,"pu":1,"b":[["1.1","2"]],"a":[["1.2","0"],["1.3","1"]]}',
    b'{"stream":"warmup@trade","data":{"e":"trade","E":1000,"T":1000,"s":"WARMUP","t":1,"p":"1.1","q":"1","m":true}}',
    b'{"e":"depthUpdate","E":61000,"U":3,"u":3,"pu":2,"b":[["1.125","2"]],"a":[]}',
)
_KRAKEN = (
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":1.1,"qty":0.10}],'
    b'"asks":[{"price":1.2,"qty":0.20}],"timestamp":"1970-01-01T00:00:01.5Z"}]}'
)


_TRADE = (
    b'{"topic":"publicTrade.WARMUP","type":"snapshot","ts":1000,"data":[{"T":%d,"s":"WARMUP","S":"Buy","v":"1","p":"2",'
    b'"i":"%d","BT":false}]}'
)
_INSIDE = {
    "against": (book_sync.__file__, book.__file__, ledger.__file__, trades.__file__, venue.__file__),
    "book": (book_sync.__file__, ledger.__file__),
    "trades": (book_sync.__file__, book.__file__, venue.__file__),
    "wall_bins": (ledger.__file__,),
}


def drop_stale() -> None:
    """Remove compiled code older than what it has inside."""
    folder = Path(str(book.run.stats.cache_path))
    for name, sources in _INSIDE.items():
        newest = max(Path(source).stat().st_mtime for source in sources)
        for cached in folder.glob(f"{name}.*.nb*"):
            if cached.stat().st_mtime < newest:
                cached.unlink()


def warm() -> None:
    """Call every compiled function once, with the types it is called with in earnest."""
    kernel = DepthKernel(market("binance_futures"), 0)
    lines = b"".join(encode_line(1_000_000_000 * i, b"warm", frame) for i, frame in enumerate(_FRAMES, 1))
    kernel.on_records([Record(b"WARMUP", 0, lines)])
    kernel.load(kernel.dump())
    kernel.flush()
    books = kernel._books
    for warmed in books.values():
        warmed.grow_far(1)
        warmed.recentre()
        book.count_jump(warmed.window, warmed.meta)
        _warm_trade(kernel, warmed)
    assert np.any([warmed.live for warmed in books.values()])
    _warm_limited()
    _warm_order_flow()
    _warm_profiles()


def _warm_trade(kernel: DepthKernel, warmed: OrderBook) -> None:
    """What is called where `Market.parse` read the trade, or no second ends."""
    assert warmed.live
    against.put(
        warmed.window, warmed.far_key, warmed.far_lots, warmed.meta, kernel._clock, warmed.ledger,
        11, 1, 1, 61_000_000_000,
    )  # fmt: skip
    ledger.rescale(warmed.ledger, 1, 1)
    book.follow(warmed.ledger, warmed.window, warmed.far_key, warmed.far_lots, warmed.meta, 61_000)
    wall_bins.foremost(np.zeros((1, wall_bins.HIT), np.int64), 0)
    warmed.close_ledger(62_000)


def _warm_limited() -> None:
    """What a market with checksums and a tape call besides."""
    served = market("kraken")
    line = encode_line(2_000_000_000, b"warm", _KRAKEN)
    kernel = DepthKernel(served, 0)
    kernel.on_records([Record(b"BTC/USD", 0, line)])
    (warmed,) = kernel._books.values()
    warmed.limit(1)
    warmed.reach()
    assert warmed.would_agree(kernel._ticks, kernel._lots)
    _warm_tape()


def _warm_tape() -> None:
    """A trade of each of two connections, then one of which more ids are known than there was room for."""
    kernel = TapeKernel(market("bybit_linear"), 0)
    lines = b"".join(encode_line(2_000_000_000 * i, b"warm-%d" % i, _TRADE % (2000 * i, i)) for i in (1, 2))
    kernel.on_records([Record(b"WARMUP", 0, lines)])
    (warmed,) = kernel._readings.values()
    assert warmed.meta[trades.MISSED] == 2
    trades.grow(warmed.seen, np.zeros((2, 2 * reading.IDS), np.uint64))
    trades.origin_hash(warmed.key, 0)


def _warm_order_flow() -> None:
    """What trades go through: in order, late, far apart, and the second profile of each session."""
    times = np.array([0, 0, 70, 65, 200, 210, 300], np.int64) * 10**9
    ones, zeros = np.ones(len(times), np.int64), np.zeros(len(times), np.int8)
    prices, ids = ones * 100_000, zeros.astype(np.uint64)
    prices[1] += 1000
    tape = InstrumentTape("WARM-UP", "warm", "crypto")
    tape.set_row_step(Decimal("0.1"))
    tape.take(Prints(times, times, prices, ones, zeros + np.int8(1), zeros.astype(np.bool_), ids, 2, 0))
    tape.on_clock(10**12, 10**12)
    assert tape.rows()


def _warm_profiles() -> None:
    volumes, state = np.array([1, 5, 1, 1, 5, 1]), profile.moments()
    profile.developing_point_of_control(volumes, 1)
    profile.value_area(volumes)
    profile.nodes(volumes)
    profile.add_weighted(state, volumes, volumes)
    profile.merged(state[None])


if __name__ == "__main__":
    drop_stale()
    warm()
    sys.exit(0)
