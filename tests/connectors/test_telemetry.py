"""Health rows and metrics."""

import msgspec
from prometheus_client import generate_latest

from connectors.telemetry import State, Telemetry, registry

MS = 1_000_000


def feed_of(telemetry: Telemetry):
    feed = telemetry.feed("binance_spot", "BTCUSDT")
    for n in range(100):
        feed.received(recv_ns=1000 * MS + n * MS, size=10, event_ns=1000 * MS + n * MS - (n - 10) * MS)
    return feed


def test_a_row_holds_rates_since_the_last_one_and_delays_that_may_be_negative() -> None:
    telemetry = Telemetry()
    feed_of(telemetry).become(State.LIVE)
    telemetry.queues["binance_spot"] = {"outbox_bytes": 5}
    (record,) = telemetry.records(1200 * MS, 2.0)
    assert (record.topic, record.key) == ("health", b"binance_spot")
    (row,) = msgspec.msgpack.decode(record.body)
    assert row["symbol"] == "BTCUSDT" and row["venue"] == "binance_spot" and row["state"] == "live"
    assert row["messages_per_s"] == 50.0 and row["bytes_per_s"] == 500.0 and row["messages"] == 100
    assert row["age_ms"] == 101.0 and row["queue_outbox_bytes"] == 5
    assert (row["delay_ms_p50"], row["delay_ms_p99"]) == (40.0, 89.0)
    (again,) = msgspec.msgpack.decode(telemetry.records(1300 * MS, 1.0)[0].body)
    assert again["messages_per_s"] == 0.0 and again["messages"] == 100


def test_what_is_not_known_is_missing() -> None:
    telemetry = Telemetry()
    telemetry.feed("binance_spot", "BTCUSDT")
    (row,) = msgspec.msgpack.decode(telemetry.records(1, 1.0)[0].body)
    assert row["age_ms"] is row["delay_ms_p50"] is row["delay_ms_p99"] is None
    assert row["state"] == "connecting"


def test_a_negative_delay_is_told_as_it_is() -> None:
    telemetry = Telemetry()
    telemetry.feed("v", "S").received(recv_ns=5 * MS, size=1, event_ns=8 * MS)
    assert telemetry.feed("v", "S").delays_ms() == (-3.0, -3.0)


def test_prometheus_is_told_the_same() -> None:
    telemetry = Telemetry()
    feed_of(telemetry).become(State.STALE, "silent")
    telemetry.feed("binance_spot", "BTCUSDT").complaints += 2
    telemetry.queues["binance_spot"] = {"outbox_bytes": 5}
    text = generate_latest(registry(telemetry, lambda: 2099 * MS)).decode()
    labels = '{symbol="BTCUSDT",venue="binance_spot"}'
    assert f"isotherm_feed_messages_total{labels} 100.0" in text
    assert f"isotherm_feed_complaints_total{labels} 2.0" in text
    assert f"isotherm_feed_age_seconds{labels} 1.0" in text
    assert 'isotherm_feed_state{state="stale",symbol="BTCUSDT",venue="binance_spot"} 1.0' in text
    assert 'isotherm_feed_state{state="live",symbol="BTCUSDT",venue="binance_spot"} 0.0' in text
    assert 'isotherm_feed_delay_seconds{quantile="0.99",symbol="BTCUSDT",venue="binance_spot"} 0.089' in text
    assert 'isotherm_connector_queue{queue="outbox_bytes",venue="binance_spot"} 5.0' in text
