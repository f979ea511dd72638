"""What the Kafka log does without a broker: settings, and saying plainly that none answers."""

import socket
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from structlog.testing import capture_logs

from connectors import kafka_log
from connectors.kafka_log import KafkaLog, KafkaReader, KafkaWriter
from connectors.kafka_settings import settings_from
from connectors.log import LogError, open_log


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are refused: bound, so that no one else takes it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


class TestSettings:
    def test_names_become_those_of_librdkafka(self) -> None:
        environment = {
            "ISOTHERM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "ISOTHERM_KAFKA_SSL_CA_LOCATION": "/ca.pem",
            "ISOTHERM_KAFKA_SASL_PASSWORD": "p",
            "ISOTHERM_KAFKA_REPLICATION_FACTOR": "3",
            "KAFKA_SASL_USERNAME": "not ours",
        }
        expected = {"security.protocol": "SASL_SSL", "ssl.ca.location": "/ca.pem", "sasl.password": "p"}
        assert settings_from(environment) == (expected, 3)
        assert settings_from({}) == ({}, 1)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ISOTHERM_KAFKA_SASL_PASWORD", "hunter2"),
            ("ISOTHERM_KAFKA_PLUGIN_LIBRARY_PATHS", "hunter2"),
            ("ISOTHERM_KAFKA_REPLICATION_FACTOR", "hunter2"),
            ("ISOTHERM_KAFKA_REPLICATION_FACTOR", "0"),
        ],
    )
    def test_others_are_refused_by_name_without_their_value(self, name: str, value: str) -> None:
        with pytest.raises(LogError, match=name) as caught:
            settings_from({name: value})
        assert "hunter2" not in str(caught.value)

    def test_clients_take_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ISOTHERM_KAFKA_SECURITY_PROTOCOL", "TELEPATHY")
        with pytest.raises(LogError, match=r"cannot set up a Kafka client.*security\.protocol"):
            open_log("kafka:127.0.0.1:9092")


class TestWithoutBroker:
    def test_it_is_said(self, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kafka_log, "ANSWER_S_MAX", 0.3)
        log = KafkaLog(nobody)
        for attempt in (
            log.topics,
            lambda: log.create("raw.t", 1),
            lambda: log.reader("raw.t", 0),
            lambda: log.writer().append("raw.t", b"K", b"", 1),
        ):
            with pytest.raises(LogError, match=f"at {nobody}: "):
                attempt()

    def test_a_record_that_is_never_delivered_is_reported_from_then_on(
        self, nobody: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ISOTHERM_KAFKA_MESSAGE_TIMEOUT_MS", "300")
        writer = KafkaWriter(KafkaLog(nobody)._client, lambda _: 1)
        writer.append("raw.t", b"K", b"body", 1)
        for attempt in (
            writer.flush,
            writer.flush,
            lambda: writer.append("raw.t", b"K", b"", 1),
            writer.close,
        ):
            with pytest.raises(
                LogError, match=r"a record for raw\.t partition 0 was lost: .*go on with a new"
            ):
                attempt()

    def test_a_full_buffer_blocks_until_its_records_are_lost(
        self, nobody: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ISOTHERM_KAFKA_MESSAGE_TIMEOUT_MS", "300")
        monkeypatch.setattr(kafka_log, "BUFFER_RECORDS_MAX", 3)
        writer = KafkaWriter(KafkaLog(nobody)._client, lambda _: 1)
        for _ in range(3):
            writer.append("raw.t", b"K", b"body", 1)
        with pytest.raises(LogError, match="was lost"):
            writer.append("raw.t", b"K", b"one too many", 1)
        with pytest.raises(LogError, match="was lost"):
            writer.close()

    def test_librdkafka_logs_to_structlog_not_to_stderr(
        self, nobody: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(kafka_log, "ANSWER_S_MAX", 0.3)
        log = KafkaLog(nobody)
        with capture_logs() as logged:
            reader = KafkaReader(log._client, log._end, TopicPartition("raw.t", 0), 5, "isotherm")
            while not any(nobody in str(entry) for entry in logged):
                assert reader.poll() == []
            with pytest.raises(LogError, match=r"cannot find an end of raw\.t partition 0"):
                reader.end()
            reader.close()
        assert capfd.readouterr().err == ""
