"""What was published is stored before `catch_up` returns, whoever runs the flow."""

import threading

import msgspec
import pytest

from connectors import batch
from connectors.file_log import FileLog
from connectors.record import encode_line
from flows.catch_up import CatchUpError, catch_up
from flows.feeds import FLOW
from flows.runtime.dataflow import group_of
from flows.runtime.run import recovery_of, run
from flows.runtime.source import LogSource
from tests.flows.test_depth import Rows

MINUTE_NS = 60 * 10**9


def bars(count: int, first: int = 0) -> bytes:
    prices = [1.0] * count
    found = batch.Bars(
        source="import", venue="v", instrument="BTC-USD", interval_s=60,
        open_ns=[(first + i) * MINUTE_NS for i in range(count)], open=prices, high=prices, low=prices, close=prices,
        volume=[None] * count, quote_volume=[None] * count, buy_volume=[None] * count, trades=[None] * count,
    )  # fmt: skip
    return msgspec.json.encode(found)


def publish(log: FileLog, *payloads: bytes) -> None:
    log.create(batch.TOPIC, 1)
    writer = log.writer()
    for i, payload in enumerate(payloads):
        writer.append(batch.TOPIC, b"BTC-USD", encode_line(i, b"file:a.csv", payload), i)
    writer.close()


class Keyed(Rows):
    def insert(self, table, columns):
        assert table == "bars"
        for open_ns in columns["open_ns"]:
            self.tables[int(open_ns)] = True


def test_the_flow_runs_here_if_nobody_runs_it(tmp_path):
    log, store, said = FileLog(tmp_path / "log"), Keyed(), []
    publish(log, bars(3), bars(2, first=3))
    catch_up(log, store, tmp_path / "flow", [FLOW], said.append)
    assert list(store.tables) == [i * MINUTE_NS for i in range(5)]
    publish(log, bars(1, first=9))
    store.tables.clear()
    catch_up(log, store, tmp_path / "flow", [FLOW], said.append)
    assert list(store.tables) == [9 * MINUTE_NS]
    assert said == []


def test_a_flow_that_runs_is_waited_for(tmp_path, monkeypatch):
    log, store, said = FileLog(tmp_path / "log"), Keyed(), []
    log.create(batch.TOPIC, 1)
    recovery = recovery_of(tmp_path / "flow", "feeds", "1/1")
    inside, done = threading.Event(), threading.Event()

    class Stopping(LogSource):
        """Follows the log until it is told to stop."""

        def build_part(self, step_id, for_part, resume_state):
            part = super().build_part(step_id, for_part, resume_state)
            polled = part.next_batch

            def next_batch():
                inside.set()
                if done.is_set():
                    raise StopIteration
                return polled()

            part.next_batch = next_batch
            return part

    monkeypatch.setattr("flows.runtime.dataflow.LogSource", Stopping)
    parts = FLOW.parts(log)
    running = threading.Thread(target=run, args=(FLOW.dataflow(log, store, parts), recovery, 0.1))
    running.start()
    try:
        assert inside.wait(20)
        publish(log, bars(3))
        catch_up(log, Keyed(), tmp_path / "flow", [FLOW], said.append)
        assert list(store.tables) == [i * MINUTE_NS for i in range(3)]
        assert "runs already" in said[0]
    finally:
        done.set()
        running.join()


def test_one_that_does_not_move_is_an_error_that_says_so(tmp_path):
    log = FileLog(tmp_path / "log")
    publish(log, bars(3))
    with pytest.raises(CatchUpError, match=r"flow feeds has not moved for 0.3 s"):
        catch_up(log, Keyed(), None, [FLOW], print, stall_s=0.3)
    reader = log.reader(batch.TOPIC, 0, group=group_of("feeds"))
    reader.commit(reader.end())
    catch_up(log, Keyed(), None, [FLOW], print, stall_s=0.3)
