"""The feeds flow: every feed, files and health in one process; bars on a topic of their own; recovery."""

import math
from typing import Any

import msgspec
import pytest

from connectors import batch
from connectors.feed import feeds
from connectors.file_log import FileLog
from connectors.log import ALERTS_IN, BARS, HEALTH
from connectors.record import encode_line
from flows import feeds as feeds_flow
from flows.derived import ROWS_MAX, messages
from flows.kernels import bars
from flows.kernels.block import Block
from flows.kernels.feed import FeedKernel
from flows.kernels.health import HealthKernel
from flows.runtime.dataflow import Flow
from flows.runtime.run import run
from tests.flows.kernels.toy_feed import FEED
from tests.flows.test_catch_up import bars as batch_of
from tests.flows.test_catch_up import publish
from tests.flows.test_depth import Rows, derived

AT = 1_795_000_000 * 10**9
TOY = Flow("toy", {HEALTH: HealthKernel, FEED.topic: lambda partition: FeedKernel(FEED, partition)}, messages)


class Bars(Rows):
    """Rows of all tables, by what tells a bar from others."""

    def insert(self, table, columns):
        for row in zip(*columns.values(), strict=True):
            named = dict(zip(columns, map(str, row), strict=True))
            self.tables.setdefault(table, {})[named.get("open_ns") or named.get("offset")] = named


def test_the_flow_reads_every_feed_and_what_else_is_no_venue(tmp_path):
    log = FileLog(tmp_path)
    topics = {topic for topic, _ in feeds_flow.FLOW.parts(log)}
    assert topics == set(feeds_flow.FLOW.kernels) - {HEALTH}  # made, but for the connector's
    assert topics == {*(feed.topic for feed in feeds().values()), batch.TOPIC, ALERTS_IN}
    log.create(HEALTH, 1)
    assert (HEALTH, 0) in feeds_flow.FLOW.parts(log)
    for topic, make in feeds_flow.FLOW.kernels.items():
        assert make(0).on_records([]) == [], topic


def row(i: int, instrument: str, **changes: Any) -> tuple[Any, ...]:
    known = {name: float(i) for name in bars.COLUMNS} | {
        "instrument": instrument, "venue": "v", "interval_s": 60, "source": "rest", "open_ns": i, "volume": math.nan,
        "trades": None, "received_ns": AT, "version": AT + i,
    } | changes  # fmt: skip
    return tuple(known[name] for name in bars.COLUMNS)


def test_bars_are_messages_of_one_instrument_each_of_bounded_size():
    rows = [row(i, "AB"[i % 2]) for i in range(2 * ROWS_MAX + 2)]
    blocks = [Block.of("bars", bars.COLUMNS, rows[:7]), Block.of("bars", bars.COLUMNS, rows[7:])]
    found = messages(blocks)
    assert [(x.topic, x.key, len(x.rows)) for x in found] == [
        (BARS, b"A", ROWS_MAX), (BARS, b"A", 1), (BARS, b"B", ROWS_MAX), (BARS, b"B", 1),
    ]  # fmt: skip
    assert [x.recv_ns for x in found] == [max(y["version"] for y in x.rows) for x in found]
    assert all(x.rows[0]["volume"] is None and x.rows[0]["trades"] is None for x in found)
    assert sorted(y["open_ns"] for x in found for y in x.rows) == list(range(2 * ROWS_MAX + 2))


def answers(log: FileLog, count: int) -> None:
    log.create(FEED.topic, 1)
    writer = log.writer()
    for i in range(count):
        line = encode_line(AT + i, b"GET:/x/bars", b'[[%d,"%d"],[%d,"1"]]' % (i * 10**9, i + 1, AT))
        writer.append(FEED.topic, b"BTCUSDT", line, AT + i)
    writer.append(FEED.topic, b"BTCUSDT", encode_line(AT, b"GET:/x/bars", b"<html>"), AT)
    writer.close()


def test_bars_reach_table_and_topic_alike(tmp_path):
    log, store = FileLog(tmp_path / "log"), Bars()
    answers(log, 20)
    run(TOY.dataflow(log, store, TOY.parts(log), follow=False), tmp_path / "state")
    told = derived(log, BARS)
    assert {key for key, _ in told} == {b"BTC-USDT"}
    assert (
        [int(x) for x in store.tables["bars"]]
        == [x["open_ns"] for _, x in told]
        == [i * 10**9 for i in range(20)]
    )
    assert tuple(told[0][1]) == bars.COLUMNS
    assert len(store.tables["dead_letters"]) == 1


def test_a_flow_that_was_killed_gives_the_same_rows(tmp_path):
    log, whole, killed = FileLog(tmp_path / "log"), Bars(), Bars()
    answers(log, 5)

    class Away(Bars):
        def insert(self, table, columns):
            super().insert(table, columns)
            raise ConnectionError("the store is away")

    away = Away()
    with pytest.raises(ConnectionError):
        run(TOY.dataflow(log, away, TOY.parts(log), follow=False), tmp_path / "killed")
    answers(log, 3)
    for store, state in ((killed, "killed"), (whole, "whole")):
        run(TOY.dataflow(log, store, TOY.parts(log), follow=False), tmp_path / state)
    assert killed.tables == whole.tables


def test_files_reach_the_topic_of_bars(tmp_path):
    log, store = FileLog(tmp_path / "log"), Bars()
    publish(log, batch_of(3), msgspec.json.encode({"kind": "x"}))
    run(feeds_flow.FLOW.dataflow(log, store, feeds_flow.FLOW.parts(log), follow=False), tmp_path / "state")
    assert len(store.tables["bars"]) == len(derived(log, BARS)) == 3
    assert [x["reason"] for x in store.tables["dead_letters"].values()] == ["malformed batch"]
