"""The depth flow: rows to the store, measures to `features`, what is set aside to `dead_letter`; recovery."""

from pathlib import Path

import msgspec
import pytest

from connectors.file_log import FileLog
from connectors.log import DEAD_LETTER, FEATURES
from connectors.record import Chunker, encode_line, partition_of
from connectors.recordings import read
from connectors.venue import market
from flows import depth
from flows.runtime.run import BusyError, run
from flows.runtime.source import share_of

RAW = "raw.binance_futures"


KEYS = {
    "book_events": ("instrument", "venue", "time_ns", "kind", "update_id"),
    "instruments": ("venue", "symbol"),
    "dead_letters": ("topic", "partition", "offset", "position"),
    "walls": ("instrument", "venue", "from_ns", "side", "price_row"),
    "liquidity_events": ("instrument", "venue", "time_ns", "kind", "side", "price"),
}


class Rows:
    """A store that keeps what it is given: the newest version of each key, as the tables do."""

    def __init__(self):
        self.tables = {}

    def insert(self, table, columns):
        names = list(columns)
        for row in zip(*columns.values(), strict=True):
            named = {
                n: x.tobytes() if getattr(x, "ndim", 0) else str(x) for n, x in zip(names, row, strict=True)
            }
            key = tuple(named[n] for n in KEYS.get(table, ("instrument", "venue", "time")))
            old = self.tables.setdefault(table, {}).get(key)
            if old is None or int(old["version"]) <= int(named["version"]):
                self.tables[table][key] = named

    def close(self):
        pass


def fill(log: FileLog, recordings: Path, partitions: int, symbols: int = 1) -> None:
    log.create(RAW, partitions)
    writer, chunker = log.writer(), Chunker()
    items = read(recordings / "binance/cryptofeed_usdm_4sym_20210722.jsonl.zst", market("binance_futures"))
    for key, line in items:
        for record in chunker.add(key, line.recv_ns, encode_line(*line)):
            writer.append(RAW, *record)
    for record in chunker.cut():
        writer.append(RAW, *record)
    writer.append(RAW, b"AKROUSDT", b"this is no line\n", 1, partition_of(b"AKROUSDT", partitions))
    writer.close()


def rows_of(log: FileLog, state: Path, shares: int) -> dict:
    store = Rows()
    for i in range(1, shares + 1):
        parts = share_of(depth.FLOW.parts(log), f"{i}/{shares}")
        if parts:
            run(depth.FLOW.dataflow(log, store, parts, follow=False), state / f"{i}-of-{shares}")
    return store.tables


def derived(log: FileLog, topic: str) -> list:
    found = []
    for partition in range(log.topics()[topic]):
        reader = log.reader(topic, partition)
        while records := reader.poll():
            found += [(key, row) for key, _, body in records for row in msgspec.msgpack.decode(body)]
    return found


def test_measures_reach_features_and_bad_input_dead_letter(recordings, tmp_path):
    log = FileLog(tmp_path / "log")
    fill(log, recordings, 2)
    tables = rows_of(log, tmp_path, 1)
    features = derived(log, FEATURES)
    seconds = [(key, row) for key, row in features if row["kind"] == "depth" and row["interval_s"] == 1]
    assert len(seconds) == len(tables["depth_1s"]) > 80
    assert all(key.decode() == row["instrument"] and "bid" not in row for key, row in features)
    for _, row in seconds:
        stored = tables["depth_1s"][row["instrument"], "binance_futures", str(row["time_ns"] // 10**9)]
        assert stored["best_bid"] == str(row["best_bid"])
        assert row["bid_100bps"] is None or stored["bid_100bps"] == str(row["bid_100bps"])
    walls = {tuple(str(row[x]) for x in KEYS["walls"]) for _, row in features if row["kind"] == "wall"}
    assert walls == set(tables["walls"]) != set()
    ((key, letter),) = derived(log, DEAD_LETTER)
    assert key == RAW.encode()
    assert letter["reason"] == "torn record"
    assert len(tables["dead_letters"]) == 1


@pytest.mark.parametrize("shares", [2, 3])
def test_any_number_of_shares_gives_the_same_tables(recordings, tmp_path, shares):
    log = FileLog(tmp_path / "log")
    fill(log, recordings, 4)
    assert rows_of(log, tmp_path, shares) == rows_of(log, tmp_path, 1)


def test_a_second_flow_with_the_same_state_is_refused(recordings, tmp_path):
    log = FileLog(tmp_path / "log")
    fill(log, recordings, 1)

    class Second(Rows):
        def insert(self, table, columns):
            with pytest.raises(BusyError, match="already runs"):
                run(depth.FLOW.dataflow(log, Rows(), depth.FLOW.parts(log), follow=False), tmp_path / "state")
            super().insert(table, columns)

    store = Second()
    run(depth.FLOW.dataflow(log, store, depth.FLOW.parts(log), follow=False), tmp_path / "state")
    assert store.tables["depth_1s"]


def test_what_the_store_raises_ends_the_flow_as_it_is(recordings, tmp_path):
    log = FileLog(tmp_path / "log")
    fill(log, recordings, 1)

    class Away(Rows):
        def insert(self, table, columns):
            raise ConnectionError("the store is away")

    with pytest.raises(ConnectionError, match="the store is away"):
        run(depth.FLOW.dataflow(log, Away(), depth.FLOW.parts(log), follow=False), tmp_path / "state")
    # Nothing was lost: the next run starts where the state was saved last, here at the beginning.
    store = Rows()
    run(depth.FLOW.dataflow(log, store, depth.FLOW.parts(log), follow=False), tmp_path / "state")
    assert store.tables == rows_of(log, tmp_path / "fresh", 1)
