"""Levels in the real engine: a correction takes away what is no more."""

from flows.kernels.levels import LevelsKernel
from flows.runtime.progress import Progress
from flows.runtime.sink import insert
from sql.client import Store
from tests.flows.kernels.test_levels import _records, depth, wall

LEVELS = (
    "SELECT price, strength, evidence_kind, evidence_venue, evidence_weight, venues, stale_venues FROM market.levels"
    " {} WHERE instrument = 'BTC-USDT' AND venue = 'all' ORDER BY price, removed"
)


def test_a_level_that_a_correction_removes_is_gone(writer: Store) -> None:
    kernel, progress = LevelsKernel(0), Progress()
    insert(writer, kernel.on_records(_records([wall(55, 90), wall(56, 80), depth(60), depth(62)])), progress)
    expected = [
        (80.5, 10.0, ["wall"], ["v"], [10.0], ["v"], []),
        (90.5, 10.0, ["wall"], ["v"], [10.0], ["v"], []),
    ]
    assert [tuple(x) for x in writer.query(LEVELS.format("FINAL"))] == expected
    kernel.on_records(_records([wall(58, 90, ended="pulled")]))
    insert(writer, kernel.flush(), progress)
    assert [tuple(x) for x in writer.query(LEVELS.format("FINAL"))] == expected[:1]
    assert len(writer.query(LEVELS.format(""))) == 4
