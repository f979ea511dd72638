"""The kernel against other books: us of CPU a depth message, from bytes to best bid and ask."""

from collections.abc import Iterator

from connectors.record import Record
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel
from flows.kernels.order_book import OrderBook
from tests.bench import _peers
from tests.bench._recording import BEST, KEY, MARKET, QUICK_S, depth_lines, depth_messages, records
from tests.bench._runner import Result, cpu_s, median, spread, turns

NO_SECOND_ENDS = 1 << 40


def bench(quick: bool) -> Iterator[Result]:
    """Lines `depth_kernel` (one a peer) and `depth_kernel_columns`."""
    seconds, runs = (QUICK_S, 1) if quick else (None, 7)
    expected = _peers.msgspec_dicts(x.payload for x in depth_lines(seconds))
    if not quick and expected != BEST:
        raise ValueError(f"expected {BEST} at the end of the recording, found {expected}")
    payloads = [x.payload for x in depth_lines(seconds)]
    chunks = records(depth_lines(seconds))

    def timed(engine, *args) -> float:
        took, best = cpu_s(engine, *args)
        if best != expected:
            raise ValueError(f"{engine.__name__}: best bid and ask {best}, the others {expected}")
        return took

    contestants = {
        "kernel": lambda: timed(kernel, chunks, False),
        "msgspec": lambda: timed(_peers.msgspec_dicts, payloads),
        "kernel with columns": lambda: timed(kernel, chunks, True),
        "ccxt": lambda: timed(_peers.ccxt_book, payloads),
    }
    taken = turns(runs, contestants)
    us = 1e6 / depth_messages(seconds)
    for name, ours, peer in (
        ("depth_kernel", "kernel", "msgspec"),
        ("depth_kernel", "kernel", "ccxt"),
        ("depth_kernel_columns", "kernel with columns", "msgspec"),
    ):
        value, other = median(taken[ours], us), median(taken[peer], us)
        more = spread(taken[ours], us) | {"peer_value": round(other, 2)}
        yield Result(name, value, "us/depth message", peer, other / value, more)


def kernel(chunks: list[Record], columns: bool) -> tuple[float, ...]:
    """The records through a kernel, one call each as they come in live.

    Without columns the book's open second lies so far ahead that none ever ends: all else is done as always.
    """
    made = DepthKernel(MARKET, 0)
    if not columns:
        book = made._books[KEY] = OrderBook(KEY, int(MARKET.wire.rule))
        book.meta[b.SECOND] = NO_SECOND_ENDS
    for record in chunks:
        made.on_records((record,))
    return tuple(float(price) for price in made._books[KEY].best() if price is not None)
