"""The tape kernel over recordings, as the flow runs it; its rows as the store would keep them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from connectors.record import CLOCK, Chunker, Record, encode_line
from connectors.recordings import read
from connectors.venue import market
from flows.kernels.block import Block
from flows.kernels.tape import TapeKernel

Rows = dict[tuple[Any, ...], dict[str, Any]]

KEYS = {  # what makes two rows one: the sorting key of the table
    "trades": ("instrument", "venue", "time_ns", "trade_id"),
    "order_flow": ("instrument", "venue", "interval_s", "open_ns"),
    "footprints": ("instrument", "venue", "interval_s", "open_ns"),
    "bars": ("instrument", "venue", "interval_s", "source", "open_ns"),
    "profiles": ("instrument", "venue", "span", "time_ns"),
    "large_trades": ("instrument", "venue", "time_ns", "trade_id"),
    "liquidations": (
        "instrument", "venue", "time_ns", "liquidated_side", "price", "size", "ordinal",
    ),
    "derivatives": ("instrument", "venue", "time_ns"),
    "prices": ("instrument", "venue", "time_ns"),
    "dead_letters": ("topic", "partition", "offset", "position"),
}  # fmt: skip


def records(
    paths: Iterable[Path], venue: str, symbol: str | None, *, one_line: bool = False
) -> Iterator[Record]:
    """Recordings as the records of one partition, the clock among them."""
    chunker, offset = Chunker(size_max=0) if one_line else Chunker(), 0
    for path in paths:
        for key, line in _lines(path, venue, symbol):
            if line.origin == CLOCK:
                made = [*chunker.cut(), (key, encode_line(*line), line.recv_ns)]
            else:
                made = list(chunker.add(key, line.recv_ns, encode_line(*line)))
            for record_key, body, _ in made:
                yield Record(record_key, offset, body)
                offset += 1
    for record_key, body, _ in chunker.cut():
        yield Record(record_key, offset, body)
        offset += 1


def _lines(path: Path, venue: str, symbol: str | None) -> Iterator[tuple[bytes, Any]]:
    for item in read(path, market(venue), symbol, clocks=True):
        assert isinstance(item, tuple), item
        yield item


def final(blocks: Iterable[Block]) -> dict[str, Rows]:
    """By table and sorting key the row of the highest version, of equal ones the last."""
    found: dict[str, Rows] = {table: {} for table in KEYS}
    for block in blocks:
        key = KEYS[block.table]
        names = list(block.columns)
        for values in zip(*(plain(x) for x in block.columns.values()), strict=True):
            row = dict(zip(names, values, strict=True))
            before = found[block.table].get(tuple(row[x] for x in key))
            if before is None or row["version"] >= before["version"]:
                found[block.table][tuple(row[x] for x in key)] = row
    return found


def plain(values: Any) -> list[Any]:
    """A column as Python's own numbers and lists."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [x.tolist() if hasattr(x, "tolist") else x for x in listed]


def run(venue: str, paths: Sequence[Path], symbol: str | None, at_once: int = 64) -> dict[str, Rows]:
    """The rows that the kernel makes of recordings, given `at_once` records a call."""
    kernel, blocks, held = TapeKernel(market(venue), 0), [], []
    for record in records(paths, venue, symbol):
        held.append(record)
        if len(held) == at_once:
            blocks += kernel.on_records(held)
            held = []
    return final([*blocks, *kernel.on_records(held), *kernel.flush()])


def columns(rows: Rows, **wanted: Any) -> list[dict[str, Any]]:
    """Those rows with these values, in the order of their keys."""
    return [rows[key] for key in sorted(rows) if all(rows[key][name] == x for name, x in wanted.items())]
