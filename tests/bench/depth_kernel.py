"""The kernel against other books: us of CPU a depth message, from bytes to best bid and ask.

`depth_kernel` is the book alone, parse, sequence, apply, far levels and best prices, over records of 64 KiB: the
peers are given bare payloads and have no records to go through. `depth_kernel_records` is the same over records of
50 ms, as a connector cuts them; of depth messages alone they hold little more than one, so that it shows what a
record costs, and in the log that cost is shared with all other lines of the instrument. `depth_kernel_columns` adds
what closes each second: columns, bands and roll-ups.
"""

from collections.abc import Iterator

from connectors.record import Record
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel
from flows.kernels.order_book import OrderBook
from tests.bench import _peers
from tests.bench._recording import BEST, KEY, MARKET, QUICK_S, depth_lines, depth_messages, records
from tests.bench._runner import Result, cpu_s, median, spread, turns

NO_SECOND_ENDS = 1 << 40
NO_SPAN_NS = 1 << 62


def bench(quick: bool) -> Iterator[Result]:
    """Lines `depth_kernel` (one a peer), `depth_kernel_records` and `depth_kernel_columns`."""
    seconds, runs = (QUICK_S, 1) if quick else (None, 7)
    expected = _peers.msgspec_dicts(x.payload for x in depth_lines(seconds))
    if not quick and expected != BEST:
        raise ValueError(f"expected {BEST} at the end of the recording, found {expected}")
    payloads = [x.payload for x in depth_lines(seconds)]
    chunks, large = records(depth_lines(seconds)), records(depth_lines(seconds), NO_SPAN_NS)

    def timed(engine, *args) -> float:
        took, best = cpu_s(engine, *args)
        if best != expected:
            raise ValueError(f"{engine.__name__}: best bid and ask {best}, the others {expected}")
        return took

    contestants = {
        "kernel": lambda: timed(kernel, large, False),
        "msgspec": lambda: timed(_peers.msgspec_dicts, payloads),
        "kernel, records of 50 ms": lambda: timed(kernel, chunks, False),
        "kernel with columns": lambda: timed(kernel, chunks, True),
        "ccxt": lambda: timed(_peers.ccxt_book, payloads),
    }
    taken = turns(runs, contestants)
    us = 1e6 / depth_messages(seconds)
    for name, ours, peer in (
        ("depth_kernel", "kernel", "msgspec"),
        ("depth_kernel", "kernel", "ccxt"),
        ("depth_kernel_records", "kernel, records of 50 ms", "msgspec"),
        ("depth_kernel_columns", "kernel with columns", "msgspec"),
    ):
        value, other = median(taken[ours], us), median(taken[peer], us)
        more = spread(taken[ours], us) | {"peer_value": round(other, 2)}
        yield Result(name, value, "us/depth message", peer, other / value, more)


def kernel(chunks: list[Record], columns: bool) -> tuple[float, ...]:
    """All records through a kernel in one call, as the peers take all payloads in one.

    Without columns the book's open second lies so far ahead that none ever ends: all else is done as always.
    """
    made = DepthKernel(MARKET, 0)
    if not columns:
        book = made._books[KEY] = OrderBook(KEY, int(MARKET.wire.rule))
        book.meta[b.SECOND] = NO_SECOND_ENDS
    made.on_records(chunks)
    return tuple(float(price) for price in made._books[KEY].best() if price is not None)
