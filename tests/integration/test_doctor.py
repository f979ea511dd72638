"""`isotherm doctor` against a real Kafka broker."""

import pytest

from connectors.check import check_log
from connectors.kafka_log import KafkaLog
from connectors.venue import market
from tests.integration.kafka.broker import Broker


@pytest.mark.kafka
def test_it_lists_the_topics_of_kafka(kafka_broker: Broker) -> None:
    KafkaLog(kafka_broker.servers).create("raw.doctor", 3)
    said, missing = check_log(f"kafka:{kafka_broker.servers},127.0.0.1:1", [market("binance_spot")])
    assert said.level == "ok" and "raw.doctor (3)" in said.found
    assert (missing.level, missing.found) == ("warning", "missing: raw.binance_spot")
