"""The health kernel against the rows that a connector's telemetry writes."""

import math

import msgspec
import pytest

from connectors.log import HEALTH
from connectors.record import Record
from connectors.telemetry import State, Telemetry
from flows.kernels.health import TABLE_COLUMNS, HealthKernel

SECOND_NS = 10**9


def told(seconds: int = 3) -> list[Record]:
    """What a connector with two feeds writes: one live, one that heard nothing."""
    telemetry = Telemetry()
    telemetry.queues["v"] = {"outbox_bytes": 9, "rest_waiting": 1, "rest_weight_used": 40}
    live = telemetry.feed("v", "A")
    telemetry.feed("v", "B").become(State.DOWN, "unknown to the venue")
    found = []
    for second in range(1, seconds + 1):
        live.become(State.LIVE)
        live.received(second * SECOND_NS - 5_000_000, 100, second * SECOND_NS - 2_000_000)
        found += telemetry.records(second * SECOND_NS, 1.0)
    return [Record(x.key, offset, x.body) for offset, x in enumerate(found)]


def test_rows_are_what_the_connector_told() -> None:
    kernel = HealthKernel(0)
    (block,) = kernel.on_records(told())
    assert block.table == "feed_health"
    assert tuple(block.columns) == TABLE_COLUMNS["feed_health"]
    columns = block.columns
    assert columns["symbol"] == ["A", "B"] * 3
    assert columns["time_ns"] == columns["version"] == [s * SECOND_NS for s in (1, 1, 2, 2, 3, 3)]
    assert columns["state"] == ["live", "down"] * 3
    assert columns["messages"] == [1, 0, 2, 0, 3, 0]
    assert columns["age_ms"][::2] == [5.0] * 3
    assert columns["delay_ms_p50"][::2] == [-3.0] * 3
    assert all(math.isnan(x) for name in ("age_ms", "delay_ms_p50") for x in columns[name][1::2])
    assert columns["queue_outbox_bytes"] == [9] * 6
    assert kernel.summary() == {"health_rows": 6, "dead_letters": 0}


def test_cuts_and_dumps_change_nothing() -> None:
    records = told(5)
    (whole,) = HealthKernel(0).on_records(records)
    rows: list[tuple[object, ...]] = []
    kernel = HealthKernel(0)
    for record in records:
        again = HealthKernel(0)
        again.load(kernel.dump())
        (block,) = again.on_records([record])
        rows += zip(*block.columns.values(), strict=True)
        kernel = again
    assert repr(rows) == repr(list(zip(*whole.columns.values(), strict=True)))
    assert kernel.summary()["health_rows"] == 10


def row(**changes: object) -> bytes:
    (record,) = told(1)
    (known, _) = msgspec.msgpack.decode(record.body)
    return msgspec.msgpack.encode([known | changes])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xc1", b"no health", row()[:-3], msgspec.msgpack.encode({"venue": "v"}), row(messages=-1),
        row(time_ns=1 << 64 - 1), row(state=None), row(gaps="3"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_set_aside_and_the_rest_goes_on(body: bytes) -> None:
    kernel = HealthKernel(0)
    first, second = told(2)
    found = {x.table: x for x in kernel.on_records([first, Record(b"v", 77, body), second])}
    assert len(found["feed_health"]) == 4
    letter = {name: values[0] for name, values in found["dead_letters"].columns.items()}
    assert (letter["topic"], letter["offset"], letter["reason"]) == (HEALTH, 77, "malformed health")
    assert letter["received_ns"] == letter["version"] == SECOND_NS
    assert kernel.summary() == {"health_rows": 4, "dead_letters": 1}


def test_a_name_added_later_is_no_error() -> None:
    (block,) = HealthKernel(0).on_records([Record(b"v", 0, row(queue_other=3))])
    assert len(block) == 1


def test_a_dump_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        HealthKernel(0).load(b"\x93\x63\x00\x80")
