"""What only Kafka can show: brokers that die, refuse or place records by themselves."""

import itertools
import os
import threading
import time

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from connectors import kafka_log
from connectors.kafka_log import KafkaLog
from connectors.log import LogError, Retention
from connectors.record import partition_of
from tests.integration.kafka.broker import Broker
from tests.integration.test_log_contract import poll_until_it_raises, read

pytestmark = pytest.mark.kafka

NOW_NS = time.time_ns()  # Kafka forgets the producer of records that are a day old
COUNTER = itertools.count()


@pytest.fixture
def log(kafka_broker: Broker) -> KafkaLog:
    return KafkaLog(kafka_broker.servers)


@pytest.fixture
def topic() -> str:
    return f"raw.kafka-{next(COUNTER)}"


@pytest.mark.parametrize("pause_s", [0.0, pytest.param(0.3, marks=pytest.mark.slow)])
def test_a_broker_killed_during_writes_loses_and_repeats_nothing(
    kafka_broker: Broker, log: KafkaLog, topic: str, pause_s: float
) -> None:
    log.create(topic, 2)
    writer = log.writer()
    numbers = iter(range(4000))
    for n in itertools.islice(numbers, 1000):
        append(writer, topic, n)
    writer.flush()
    crash = threading.Thread(target=kill_and_start, args=(kafka_broker, pause_s))
    readers = [log.reader(topic, partition) for partition in (0, 1)]
    crash.start()
    for n in numbers:
        append(writer, topic, n)
        time.sleep(0.0005)
    writer.flush()
    crash.join()
    writer.close()
    for partition, reader in enumerate(readers):
        assert [int(record.body[:8]) for record in read(reader, 2000)] == list(range(partition, 4000, 2))
        assert reader.poll() == []
        assert reader.offset == reader.end() == 2000
        reader.close()


def append(writer: kafka_log.KafkaWriter, topic: str, n: int) -> None:
    writer.append(topic, b"K", b"%08d %s" % (n, os.urandom(500)), NOW_NS + n, n % 2)


def kill_and_start(broker: Broker, pause_s: float) -> None:
    time.sleep(pause_s)
    broker.kill()
    broker.start()


def test_partitions_are_those_of_librdkafka(kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    log.create(topic, 7)
    placed: dict[bytes, int] = {}
    producer = Producer({"bootstrap.servers": kafka_broker.servers, "partitioner": "consistent"})
    for n in range(500):
        key = os.urandom(n % 40)
        producer.produce(
            topic, b"", key, on_delivery=lambda _, m, key=key: placed.update({key: m.partition()})
        )
    producer.close()
    assert len(placed) > 450
    assert placed == {key: partition_of(key, 7) for key in placed}


def test_a_full_buffer_blocks_and_loses_nothing(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_log, "BUFFER_RECORDS_MAX", 10)
    log.create(topic, 1)
    writer, reader = log.writer(), log.reader(topic, 0)
    for n in range(500):
        writer.append(topic, b"K", b"%d" % n, NOW_NS)
    writer.close()
    assert [record.body for record in read(reader, 500)] == [b"%d" % n for n in range(500)]
    reader.close()


def test_a_record_the_broker_refuses_is_reported(kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker.servers})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "1000"})])[topic].result()
    writer = log.writer()
    writer.append(topic, b"K", os.urandom(5000), NOW_NS)
    for attempt in (writer.flush, lambda: writer.append(topic, b"K", b"small", NOW_NS), writer.close):
        with pytest.raises(LogError, match=f"a record for {topic} partition 0 was lost: .*too large"):
            attempt()
    again = log.writer()
    again.append(topic, b"K", b"small", NOW_NS)
    again.close()
    reader = log.reader(topic, 0)
    assert [record.body for record in read(reader, 1)] == [b"small"]
    reader.close()


def test_a_reader_of_a_deleted_topic_is_told(kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    log.create(topic, 1)
    reader = log.reader(topic, 0)
    admin = AdminClient({"bootstrap.servers": kafka_broker.servers})
    admin.delete_topics([topic])[topic].result()
    with pytest.raises(LogError, match=f"cannot .* of {topic} partition 0.*Unknown"):
        poll_until_it_raises(reader)
    reader.close()


def test_topics_are_made_with_limits_and_retention(kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    log.create(topic, 1, Retention(size_bytes_max=10_000_000, age_s_max=3600))
    log.create(f"{topic}-all", 1)
    admin = AdminClient({"bootstrap.servers": kafka_broker.servers})
    for name, retention_ms, retention_bytes in ((topic, "3600000", "10000000"), (f"{topic}-all", "-1", "-1")):
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        found = admin.describe_configs([resource])[resource].result()
        assert found["retention.ms"].value == retention_ms
        assert found["retention.bytes"].value == retention_bytes
        assert int(found["max.message.bytes"].value) == kafka_log.MESSAGE_BYTES_MAX


def test_more_replicas_than_brokers_are_refused(
    kafka_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOTHERM_KAFKA_REPLICATION_FACTOR", "3")
    with pytest.raises(LogError, match=f"cannot create topic '{topic}' at .*replica"):
        KafkaLog(kafka_broker.servers).create(topic, 1)


def test_records_carry_their_receive_time(kafka_broker: Broker, log: KafkaLog, topic: str) -> None:
    log.create(topic, 1)
    writer = log.writer()
    writer.append(topic, b"K", b"", NOW_NS)
    writer.close()
    consumer = Consumer({"bootstrap.servers": kafka_broker.servers, "group.id": "check"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(30)
    assert message.timestamp() == (TIMESTAMP_CREATE_TIME, NOW_NS // 1_000_000)
    consumer.close()
