"""The kernel on each venue's way of writing levels: us of CPU a change of the book, from bytes to best bid and ask.

* `venue_shapes_pairs`: Bybit linear, orderbook.200, two symbols: `[["65114.20","6.054"],...]`, 13 levels a message.
* `venue_shapes_objects`: Kraken, depth 25: numbers in objects, 1.5 levels a message, cut to 25 levels and CRC-32
  checked after each. Its peer keeps the digits in Decimal and checks with zlib.
* `venue_shapes_sided`: Gemini v2, ten symbols: `[["buy","2368.64","0.275036"],...]`, 1.3 levels a message.

The peers decode by type with msgspec and keep a dict a side. The recordings are short: each is gone through many
times from its snapshots on, which are taken before the clock starts: their share in them is far above that in a day.
Records are of 64 KiB, peers are given bare payloads.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from connectors.record import Chunker, Line, Record, encode_line
from connectors.recordings import read
from connectors.venue import market
from flows.kernels import book as b
from flows.kernels.depth import DepthKernel
from flows.kernels.order_book import OrderBook
from tests.bench import _peers
from tests.bench._recording import RECORDINGS
from tests.bench._runner import Result, median, spread, turns

NO_SECOND_ENDS = 1 << 40
NO_SPAN_NS = 1 << 62

Keyed = list[tuple[bytes, Line]]
Books = dict[bytes, tuple[float, float]]  # best bid and ask by symbol


class Engine(Protocol):
    """What keeps books of messages."""

    def take(self, messages: Iterable[object]) -> None: ...

    def best(self) -> Books: ...


@dataclass(frozen=True)
class Shape:
    """A way of writing levels, a recording of it and whom the kernel runs against."""

    name: str
    market: str
    path: str
    routed: bytes  # in the payload of every book message
    peer: Callable[[], Engine]
    against: str
    passes: int


SHAPES = (
    Shape(
        "pairs", "bybit_linear", "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz", b'"orderbook.',
        _peers.BybitDicts, "msgspec", 20,
    ),
    Shape(
        "objects", "kraken", "kraken/v2_book25_btcusd_20260802.gz", b'"channel":"book","type"',
        _peers.KrakenDecimals, "Decimal and zlib", 10,
    ),
    Shape(
        "sided", "gemini_v2", "gemini/cryptofeed_20210417_GEMINI.ws.36.0.gz", b'"l2_updates"',
        _peers.GeminiV2Dicts, "msgspec", 20,
    ),
)  # fmt: skip


def bench(quick: bool) -> Iterator[Result]:
    """A line a shape."""
    for shape in SHAPES:
        passes, runs = (1, 1) if quick else (shape.passes, 7)
        ours, theirs = contestants(shape, passes)
        if (found := ours()[1]) != (expected := theirs()[1]):
            raise ValueError(f"{shape.name}: expected best bids and asks {expected}, found {found}")
        taken = turns(runs, {"kernel": partial(_took, ours), shape.against: partial(_took, theirs)})
        us = 1e6 / (passes * len(_parts(shape)[1]))
        value, other = median(taken["kernel"], us), median(taken[shape.against], us)
        more = spread(taken["kernel"], us) | {"peer_value": round(other, 2), "market": shape.market}
        yield Result(
            f"venue_shapes_{shape.name}", value, "us/book message", shape.against, other / value, more
        )


Contestant = Callable[[], tuple[float, Books]]


def contestants(shape: Shape, passes: int) -> tuple[Contestant, Contestant]:
    """Kernel and peer, each as a function that returns CPU seconds for all changes and the best prices at the end."""
    parts = _parts(shape)
    bare = [[(key, line.payload) for key, line in part] for part in parts]
    ours = partial(
        _cpu_s, partial(_Kernel, shape, {key for key, _ in parts[0]}), passes, *map(_records, parts)
    )
    return ours, partial(_cpu_s, shape.peer, passes, *bare)


def _took(contestant: Contestant) -> float:
    return contestant()[0]


def _cpu_s(
    engine: Callable[[], Engine], passes: int, snapshots: list[object], changes: list[object]
) -> tuple[float, Books]:
    total = 0.0
    for _ in range(passes):
        books = engine()
        books.take(snapshots)
        began = time.process_time()
        books.take(changes)
        total += time.process_time() - began
    return total, books.best()


class _Kernel:
    """The depth kernel; no second ends."""

    def __init__(self, shape: Shape, keys: set[bytes]) -> None:
        served = market(shape.market)
        self._kernel = DepthKernel(served, 0)
        for key in keys:
            book = self._kernel._books[key] = OrderBook(key, int(served.wire.rule))
            book.meta[b.SECOND] = NO_SECOND_ENDS
        self.take = self._kernel.on_records

    def best(self) -> Books:
        summary = self._kernel.summary()
        if summary["gaps"] or summary["dead_letters"]:
            raise ValueError(f"expected no gap and no dead letter, found {summary}")
        best = {key: book.best() for key, book in self._kernel._books.items()}
        return {key: (float(bid or 0), float(ask or 0)) for key, (bid, ask) in best.items()}


def _parts(shape: Shape) -> tuple[Keyed, Keyed]:
    """Book messages with their keys: the first of each, a snapshot, and the others."""
    served, seen = market(shape.market), set()
    snapshots: Keyed = []
    changes: Keyed = []
    for item in read(RECORDINGS / shape.path, served):
        if isinstance(item, tuple) and shape.routed in item[1].payload:
            (changes if item[0] in seen else snapshots).append(item)
            seen.add(item[0])
    return snapshots, changes


def _records(lines: Keyed) -> list[Record]:
    chunker = Chunker(NO_SPAN_NS)
    chunks = [x for key, line in lines for x in chunker.add(key, line.recv_ns, encode_line(*line))]
    return [Record(key, at, body) for at, (key, body, _) in enumerate([*chunks, *chunker.cut()])]
