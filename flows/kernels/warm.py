"""Compile the kernels into numba's cache: `python -m flows.kernels.warm`, a part of `make setup`.

The cache is keyed by the source file's time and by the CPU. It does not see a change of `connectors.book_sync`,
whose rule is compiled into the kernel, so this drops what is older than that file.
"""

import sys
from pathlib import Path

import numpy as np

from connectors import book_sync
from connectors.record import Record, encode_line
from connectors.venue import market
from flows.kernels import book
from flows.kernels.depth import DepthKernel

_FRAMES = (
    b'{"lastUpdateId":1,"bids":[["1.1","1"],["0.1","1"]],"asks":[["1.2","1"],["99999.1","1"]]}',
    b'{"e":"depthUpdate","E":1000,"U":2,"u":2,"pu":1,"b":[["1.1","2"]],"a":[["1.2","0"],["1.3","1"]]}',
    b'{"e":"depthUpdate","E":61000,"U":3,"u":3,"pu":2,"b":[["1.125","2"]],"a":[]}',
)


def drop_stale() -> None:
    """Remove compiled code older than the rule it has inside."""
    rule = Path(book_sync.__file__).stat().st_mtime
    folder = Path(str(book.run.stats.cache_path))
    for cached in folder.glob("book.*.nb*"):
        if cached.stat().st_mtime < rule:
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
    assert np.any([warmed.live for warmed in books.values()])


if __name__ == "__main__":
    drop_stale()
    warm()
    sys.exit(0)
