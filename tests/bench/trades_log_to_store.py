"""Catching up with trades: trades a second of CPU, from the file log to the rows of all tables of the tape flow.

The trades of the recording of all benchmarks under the names of ten instruments, in records as connectors write them at
this rate: full ones, of 64 KiB. `_quiet` has the records of the recording itself, of 50 ms,
with two or three trades each, so that most of its cost is that of records and of the bars of each second.

The flow runs in one process, whose CPU time counts, all threads; `with_store` is the rate when the store's process
counts too, its merges included. Beside it stands what decoding the same lines by type costs alone.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from connectors.log import open_log
from connectors.record import RECORD_SPAN_NS_MAX, Chunker, Line, Record, decode_lines, encode_line
from flows.kernels.warm import warm
from flows.runtime.run import run
from flows.tape import FLOW
from sql.client import connect
from sql.data_dir import password, running
from sql.migrate import migrate
from tests.bench._recording import KEY, MARKET, QUICK_S, lines, parts
from tests.bench._runner import Result, cpu_s, in_process, median, rates, spread, turns

TARGET = 150_000
FULL_NS = 3600 * 10**9  # records are cut by their size
INSTRUMENTS = 10


class _Trade(msgspec.Struct):
    e: str
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Frame(msgspec.Struct):
    stream: str
    data: _Trade


def bench(quick: bool) -> Iterator[Result]:
    """`trades_log_to_store`, `trades_log_to_store_quiet` and `trades_decode`."""
    seconds, runs = (QUICK_S, 1) if quick else (None, 3)
    store_s: dict[str, list[float]] = {"full": [], "quiet": []}
    with TemporaryDirectory() as temporary:
        full, quiet = Path(temporary) / "full", Path(temporary) / "quiet"
        count = write(full, seconds, FULL_NS)
        write(quiet, seconds, RECORD_SPAN_NS_MAX)
        taken = turns(
            runs,
            {
                "full": lambda: stored_in(full, count, store_s["full"]),
                "quiet": lambda: stored_in(quiet, count, store_s["quiet"]),
                "decode": lambda: in_process(decode_s, full),
            },
        )
    more = {"instruments": INSTRUMENTS, "trades": count, "clock": "CPU of the flow's process"}
    decode = median(rates(taken["decode"], count))
    for name in ("full", "quiet"):
        rate = rates(taken[name], count)
        label = "trades_log_to_store" + ("" if name == "full" else "_quiet")
        both = count / (median(taken[name]) + median(store_s[name]))
        beside = {"to_decode": round(median(rate) / decode, 3), "with_store": round(both)}
        yield Result(
            label,
            median(rate),
            "trades/s",
            f"target {TARGET}",
            median(rate) / TARGET,
            spread(rate) | beside | more,
        )
    yield Result("trades_decode", decode, "trades/s", None, None, spread(rates(taken["decode"], count)))


@cache
def trade_lines(seconds: float | None) -> list[Line]:
    """The recording's trades."""
    return [line for line in lines(seconds) if b"@trade" in line.payload[:40]]


def symbol(at: int) -> bytes:
    """The name of an instrument: as long as the recorded one's, quoted in the same, and of no real one's row height."""
    return b"%cQQUSDT" % (65 + at)


def write(folder: Path, seconds: float | None, span_ns: int) -> int:
    """A file log of one partition, the instruments' trades in time order; how many there are."""
    log = open_log(f"file:{folder}")
    log.create(MARKET.topic, 1)
    writer, chunker, found = log.writer(), Chunker(span_ns), trade_lines(seconds)
    cut = []
    for line in found:
        for at in range(INSTRUMENTS):
            name = symbol(at)
            payload = line.payload.replace(KEY, name).replace(KEY.lower(), name.lower())
            cut += chunker.add(name, line.recv_ns, encode_line(line.recv_ns, line.origin, payload))
    for key, body, recv_ns in [*cut, *chunker.cut()]:
        writer.append(MARKET.topic, key, body, recv_ns)
    writer.close()
    log.close()
    return len(found) * INSTRUMENTS


def records(folder: Path) -> Iterator[Record]:
    """All records of the log."""
    log = open_log(f"file:{folder}")
    reader = log.reader(MARKET.topic, 0)
    while found := reader.poll():
        yield from found
    reader.close()
    log.close()


def decode_s(folder: Path) -> float:
    """CPU seconds to decode every line by type, and to make its numbers floats."""
    payloads = [line.payload for record in records(folder) for line in decode_lines(record.body)]

    def decode() -> float:
        decoder = msgspec.json.Decoder(_Frame)
        total = 0.0
        for payload in payloads:
            trade = decoder.decode(payload).data
            total += float(trade.p) * float(trade.q)
        return total

    took, total = cpu_s(decode)
    if not total > 0:
        raise ValueError(f"expected trades in {folder}, found none")
    return took


def stored_in(folder: Path, count: int, store_s: list[float]) -> float:
    """CPU seconds of a flow, in a process of its own, that brings the log in `folder` into a new store.

    Those of the store meanwhile are appended to `store_s`.
    """
    with TemporaryDirectory() as temporary, running(Path(temporary)) as url:
        data_dir = Path(temporary)
        admin = connect(url, "admin", password(data_dir, "admin"))
        migrate(admin)
        store = json.loads((data_dir / "store.json").read_text())["pid"]
        before_s = process_s(store)
        took = in_process(flow_s, folder, data_dir, url)
        store_s.append(process_s(store) - before_s)
        tables = ("trades", "order_flow", "footprints", "bars")
        rows = {table: admin.query(f"SELECT count() FROM market.{table} FINAL")[0][0] for table in tables}
        admin.close()
    if rows["trades"] != count or not all(rows.values()):
        raise ValueError(f"expected {count} trades and what is made of them, found {rows}")
    return took


def process_s(pid: int) -> float:
    """CPU seconds of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flow_s(folder: Path, data_dir: Path, url: str) -> float:
    """CPU seconds of the flow in this process; the compiled functions are loaded before."""
    warm()
    log, store = open_log(f"file:{folder}"), connect(url, "writer", password(data_dir, "writer"))
    flow = FLOW.dataflow(log, store, list(parts(log)), follow=False)
    took, _ = cpu_s(run, flow, data_dir / "flow")
    log.close()
    return took
