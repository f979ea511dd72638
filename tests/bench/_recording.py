"""The recording that all benchmarks run on, and logs made of it.

BTCUSDT of Binance's USDT-margined futures, 2024-08-08 23:54:15 to 23:59:59, as received: depth@0ms, trade and
bookTicker, and a REST snapshot of 1000 levels a side. Many instruments are this one under many keys: the kernel
looks at the record's key only.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from connectors.log import DEAD_LETTER, FEATURES, Log, open_log
from connectors.record import RECORD_SPAN_NS_MAX, Chunker, Line, Record, encode_line
from connectors.recordings import read
from connectors.venue import market

# The folder of tests/conftest.py, which is not imported here: pytest would count as memory of the flow.
RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PATH = RECORDINGS / "binance" / "usdm_btcusdt_20240808.gz"
MARKET = market("binance_futures")
KEY = b"BTCUSDT"
BEST = (61659.7, 61659.8)  # bid and ask at the end
QUICK_S = 5.0


@cache
def lines(seconds: float | None = None) -> list[Line]:
    """The recording's lines, or those of its first `seconds`."""
    taken: list[Line] = []
    for item in read(PATH, MARKET, KEY.decode()):
        assert isinstance(item, tuple), item
        line = item[1]
        if seconds is not None and taken and line.recv_ns - taken[0].recv_ns > seconds * 1e9:
            break
        taken.append(line)
    return taken


@cache
def depth_lines(seconds: float | None = None) -> list[Line]:
    """Of these the snapshot and the depth messages."""
    return [
        x for x in lines(seconds) if b"@depth" in x.payload[:40] or x.payload.startswith(b'{"lastUpdateId')
    ]


def depth_messages(seconds: float | None = None) -> int:
    """How many depth messages there are, without the snapshot."""
    return len(depth_lines(seconds)) - 1


def records(lines: list[Line], span_ns: int = RECORD_SPAN_NS_MAX) -> list[Record]:
    """The lines as records of 50 ms, as connectors write them, or of another span; 64 KiB at most."""
    chunker = Chunker(span_ns)
    chunks = [x for line in lines for x in chunker.add(KEY, line.recv_ns, encode_line(*line))]
    chunks += chunker.cut()
    return [Record(key, at, body) for at, (key, body, _) in enumerate(chunks)]


def keys(count: int) -> list[bytes]:
    """So many instruments."""
    return [KEY] if count == 1 else [b"%s%d" % (KEY, i) for i in range(count)]


def write_log(folder: Path, instruments: int, seconds: float | None = None) -> int:
    """A file log whose raw topic has one partition, the instruments' records in time order; its lines."""
    log = open_log(f"file:{folder}")
    for topic in (MARKET.topic, FEATURES, DEAD_LETTER):
        log.create(topic, 1)
    found = lines(seconds)
    writer = log.writer()
    for record in records(found):
        recv_ns = int(record.body.rsplit(b"\n", 2)[-2].split(b" ", 1)[0])
        for key in keys(instruments):
            writer.append(MARKET.topic, key, record.body, recv_ns)
    writer.close()
    log.close()
    return len(found) * instruments


def parts(log: Log) -> Iterator[tuple[str, int]]:
    """The partitions of the raw topic."""
    return ((MARKET.topic, partition) for partition in range(log.topics()[MARKET.topic]))
