"""The log as a Bytewax source: one item a poll, offsets as state, shares of partitions."""

import pytest
from bytewax.dataflow import Dataflow
from bytewax.operators import input as source
from bytewax.operators import output
from bytewax.testing import TestingSink, run_main
from hypothesis import given
from hypothesis import strategies as st

from connectors.file_log import FileLog
from flows.runtime.progress import Progress
from flows.runtime.source import LogSource, ShareError, share_of


@pytest.fixture
def log(tmp_path):
    log = FileLog(tmp_path)
    log.create("raw.a", 2)
    writer = log.writer()
    for i in range(50):
        writer.append("raw.a", b"k%d" % i, b"%d" % i, i, i % 2)
    writer.close()
    return log


def read(log, parts, **options):
    out = []
    flow = Dataflow("test")
    output(
        "out",
        source("log", flow, LogSource(log, parts, "test", Progress(), follow=False, **options)),
        TestingSink(out),
    )
    run_main(flow)
    return out


def test_every_record_once_in_order_with_its_partition(log):
    items = read(log, [("raw.a", 0), ("raw.a", 1)])
    for partition in (0, 1):
        bodies = [x.body for key, p in items if key == f"raw.a/{partition}" for x in p.records]
        assert bodies == [b"%d" % i for i in range(50) if i % 2 == partition]
        assert {(p.topic, p.partition) for key, p in items if key == f"raw.a/{partition}"} == {
            ("raw.a", partition)
        }


def test_a_part_resumes_at_its_offset_and_tells_lag_tools(log):
    part = LogSource(log, [("raw.a", 1)], "test", Progress(), follow=False).build_part("log", "raw.a/1", None)
    ((_, poll),) = part.next_batch()
    resumed = LogSource(log, [("raw.a", 1)], "test", Progress(), follow=False).build_part(
        "log", "raw.a/1", poll.records[3].offset
    )
    assert resumed.next_batch()[0][1].records == poll.records[3:]
    assert log.reader("raw.a", 1, None, "test").committed() is None
    offset = part.snapshot()
    assert log.reader("raw.a", 1, None, "test").committed() == poll.records[0].offset
    part.snapshot()  # an epoch later: what was read before is stored
    assert log.reader("raw.a", 1, None, "test").committed() == offset == log.reader("raw.a", 1, None).end()


def test_a_following_part_waits_at_the_end_and_goes_on(log):
    part = LogSource(log, [("raw.a", 0)], "test", Progress(), follow=True).build_part("log", "raw.a/0", None)
    part.next_batch()
    assert part.next_batch() == []
    assert part.next_awake() is not None
    writer = log.writer()
    writer.append("raw.a", b"k", b"new", 51, 0)
    writer.close()
    assert [x.body for x in part.next_batch()[0][1].records] == [b"new"]
    assert part.next_awake() is None


@given(st.integers(0, 40), st.integers(1, 9))
def test_shares_divide_the_partitions(count, shares):
    parts = [("t", i) for i in range(count)]
    found = [share_of(parts, f"{i}/{shares}") for i in range(1, shares + 1)]
    assert sorted(part for share in found for part in share) == parts
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("share", ["", "1", "0/1", "2/1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_wrong_share_is_refused(share):
    with pytest.raises(ShareError, match="i/n"):
        share_of([("t", 0)], share)
