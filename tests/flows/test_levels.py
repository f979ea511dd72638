"""The levels flow: from `features` to the store and back to `features`, whose own rows it passes over."""

from pathlib import Path

import msgspec
import pytest

from connectors.file_log import FileLog
from connectors.log import BARS, DEAD_LETTER, FEATURES
from flows.levels import FLOW
from flows.runtime.run import run
from tests.flows.kernels.test_levels import MINUTE_NS, T0, depth, wall
from tests.flows.test_depth import Rows, derived

FEATURES_TOLD = [
    x for i in range(1, 8) for x in (wall(i * 60 - 5, 90 + 5 * i), depth(i * 60), depth(i * 60 + 2))
]


class Levels(Rows):
    """Every row of `levels`, in the order it was inserted."""

    def insert(self, table, columns):
        rows = [dict(zip(columns, x, strict=True)) for x in zip(*columns.values(), strict=True)]
        self.tables.setdefault(table, []).extend(rows)


def _publish(log: FileLog, *bodies: bytes) -> None:
    writer = log.writer()
    for body in bodies:
        writer.append(FEATURES, b"BTC-USDT", body, 1)
    writer.close()


def _run(log: FileLog, state: Path) -> list:
    store = Levels()
    run(FLOW.dataflow(log, store, FLOW.parts(log), follow=False), state)
    return store.tables.get("levels", [])


def _told(rows) -> list[tuple[int, str, float]]:
    return [((x["time_ns"] - T0) // MINUTE_NS, x["venue"], x["price"]) for x in rows]


def test_derived_topics_are_made_as_other_flows_make_them(tmp_path):
    log = FileLog(tmp_path)
    assert FLOW.parts(log) == []
    log.create("raw.binance_spot", 3)
    assert FLOW.parts(log) == [(FEATURES, 0), (FEATURES, 1), (FEATURES, 2)]
    assert log.topics()[BARS] == log.topics()[DEAD_LETTER] == 3


def test_levels_go_to_the_store_and_to_features_and_move_nothing_there(tmp_path):
    log = FileLog(tmp_path / "log")
    log.create("raw.binance_spot", 1)
    FLOW.parts(log)
    _publish(
        log, *(msgspec.msgpack.encode([x]) for x in FEATURES_TOLD), msgspec.msgpack.encode([{"kind": "wall"}])
    )
    rows = _run(log, tmp_path / "state")
    assert {x[0] for x in _told(rows)} == set(range(1, 8)) and {x[1] for x in _told(rows)} == {"v", "all"}
    published = [row for _, row in derived(log, FEATURES) if row["kind"] == "level"]
    assert _told(published) == _told(rows)
    ((_, letter),) = derived(log, DEAD_LETTER)
    assert letter["reason"] == "malformed feature"
    assert _run(log, tmp_path / "state") == []  # its own rows, read in turn
    assert _told(_run(log, tmp_path / "fresh")) == _told(rows)


@pytest.mark.parametrize("at", [1, 8, 20])
def test_a_flow_that_is_started_again_goes_on_where_it_was(tmp_path, at):
    log, whole = FileLog(tmp_path / "log"), FileLog(tmp_path / "whole")
    for one in (log, whole):
        one.create("raw.binance_spot", 1)
        FLOW.parts(one)
    bodies = [msgspec.msgpack.encode([x]) for x in FEATURES_TOLD]
    _publish(whole, *bodies)
    _publish(log, *bodies[:at])
    rows = _run(log, tmp_path / "state")
    _publish(log, *bodies[at:])
    rows += _run(log, tmp_path / "state")
    assert _told(rows) == _told(_run(whole, tmp_path / "other"))
