"""The topic log in Apache Kafka.

Settings of librdkafka come from the environment: ISOTHERM_KAFKA_SECURITY_PROTOCOL sets security.protocol, and
so on (`connectors.kafka_settings`). ISOTHERM_KAFKA_REPLICATION_FACTOR, default 1, is for topics made here.

Records carry their receive time. Kafka forgets a producer whose last record is a day old by that time
(producer.id.expiration.ms): if a broker dies while older recordings are written, a batch may be stored twice.

Cost in the calling thread, 4 KB records: append 3 us, poll 1 us. A reader is a consumer of its own: about
five threads, and up to 16 MiB fetched ahead.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import stamina
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from connectors.kafka_settings import settings_from
from connectors.log import APPEND_BYTES_MAX, POLL_BYTES, LogError, OffsetGoneError, Retention, check_name
from connectors.record import Record, partition_of

ANSWER_S_MAX = 30.0
BUFFER_KIB_MAX = 64 * 1024
BUFFER_RECORDS_MAX = 100_000
FETCHED_KIB_MAX = 16 * 1024
POLL_RECORDS_MAX = 500
POLL_WAIT_S = 0.002
RECONNECT_MS_MAX = 1000
MESSAGE_BYTES_MAX = APPEND_BYTES_MAX + (1 << 18)  # with Kafka's own framing

_GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
# What librdkafka retries by itself: a reader follows again once the broker is back.
_PASSING = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._NOENT,  # no leader known
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_LEADER_EPOCH,
)

# What it retries too, but an operator has to mend: the topic was deleted, or access withdrawn.
_FINAL = (
    KafkaError._AUTHENTICATION,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)

_log = structlog.get_logger(__name__)


class KafkaLog:
    """The topics of a Kafka cluster, reached through `servers` (HOST:PORT[,HOST:PORT...])."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._settings, self._replication_factor = settings_from(os.environ)
        # It is not polled, so its logs and errors would pile up; its calls raise what matters.
        self._admin = self._client(AdminClient, log_level=0)

    def create(self, topic: str, partitions: int, retention: Retention = Retention()) -> None:
        """Make the topic if it is missing; an existing one stays as it is."""
        check_name(topic, "a topic")
        if partitions < 1:
            raise LogError(f"a topic has at least one partition, found {partitions} for {topic!r}")
        age_s, size = retention.age_s_max, retention.size_bytes_max
        config = {
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            "retention.ms": str(-1 if age_s is None else age_s * 1000),
            "retention.bytes": str(-1 if size is None else size),
        }
        new = NewTopic(topic, partitions, self._replication_factor, config=config)
        try:
            self._admin.create_topics([new], request_timeout=ANSWER_S_MAX)[topic].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._refused(f"create topic {topic!r}", error) from error
        self._await_leaders(topic)

    def topics(self) -> dict[str, int]:
        """Name and partition count of every topic, Kafka's own ones left out."""
        found = self._metadata().items()
        return {name: len(topic.partitions) for name, topic in sorted(found) if not name.startswith("__")}

    def writer(self) -> "KafkaWriter":
        """A new writer."""
        return KafkaWriter(self._client, self._partitions)

    def reader(
        self, topic: str, partition: int, offset: int | None = None, group: str = "isotherm"
    ) -> "KafkaReader":
        """A reader from `offset` on (None: the oldest kept). Raises LogError if there is no such topic."""
        check_name(group, "a group")
        count = self._partitions(topic)
        if not 0 <= partition < count:
            raise LogError(f"topic {topic!r} has partitions 0 to {count - 1}, found {partition}")
        return KafkaReader(self._client, self._end, TopicPartition(topic, partition), offset, group)

    def close(self) -> None:
        """Nothing to release: writers and readers are closed on their own."""

    def _partitions(self, topic: str) -> int:
        check_name(topic, "a topic")
        # Asked for by name, a topic would be made by a broker that creates topics on its own.
        found = self._metadata().get(topic)
        if found is None:
            raise LogError(f"there is no topic {topic!r} at {self._servers}: create it first")
        return len(found.partitions)

    def _metadata(self) -> dict[str, Any]:
        try:
            topics: dict[str, Any] = self._admin.list_topics(timeout=ANSWER_S_MAX).topics
        except KafkaException as error:
            raise self._refused("list the topics", error) from error
        return topics

    def _end(self, place: TopicPartition, spec: OffsetSpec) -> int:
        """The offset at the oldest or newest end of a partition."""
        # Not asked through a reader's consumer: there the question waits behind a fetch that waits for data.
        try:
            for attempt in stamina.retry_context(
                on=_passes, attempts=None, timeout=ANSWER_S_MAX, wait_max=0.5
            ):
                with attempt:
                    if attempt.num > 1:
                        self._metadata()  # tells the client who leads the partition now
                    asked = self._admin.list_offsets({place: spec}, request_timeout=ANSWER_S_MAX)
                    offset: int = asked[place].result().offset
        except KafkaException as error:
            what = f"find an end of {place.topic} partition {place.partition}"
            raise self._refused(what, error) from error
        return offset

    def _await_leaders(self, topic: str) -> None:
        """A topic just made takes a moment until brokers know it and who leads its partitions."""
        deadline = time.monotonic() + ANSWER_S_MAX
        while time.monotonic() < deadline:
            found = self._metadata().get(topic)
            if found is not None and all(part.leader >= 0 for part in found.partitions.values()):
                return
            time.sleep(0.02)
        raise LogError(
            f"topic {topic!r} at {self._servers} has partitions without leader after {ANSWER_S_MAX} s"
        )

    def _client(self, kind: Callable[..., Any], **config: object) -> Any:
        config = {
            "bootstrap.servers": self._servers,
            "reconnect.backoff.max.ms": RECONNECT_MS_MAX,
            **self._settings,
            **config,
        }
        try:
            return kind(config, logger=_log)
        except KafkaException as error:
            raise LogError(
                f"cannot set up a Kafka client for {self._servers}: {error.args[0].str()}"
            ) from error

    def _refused(self, what: str, error: KafkaException) -> LogError:
        return LogError(f"cannot {what} at {self._servers}: {error.args[0].str()}")


class KafkaWriter:
    """Appends records; see `connectors.log.Writer`. Readers see them after about 5 ms.

    Once a record is lost (not delivered for 5 minutes, or refused by the broker) all that follows raises
    LogError: whoever goes on does so with a new writer, knowing of the hole.
    """

    def __init__(self, client: Callable[..., Any], partitions: Callable[[str], int]) -> None:
        self._partitions = partitions
        self._counts: dict[str, int] = {}
        self._lost: str | None = None
        self._closed = False
        self._producer: Producer = client(
            Producer,
            **{
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                "queue.buffering.max.kbytes": BUFFER_KIB_MAX,
                "queue.buffering.max.messages": BUFFER_RECORDS_MAX,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
                "error_cb": _on_error,
            },
        )

    def append(self, topic: str, key: bytes, body: bytes, recv_ns: int, partition: int | None = None) -> None:
        """Take a record; waits while 64 MiB or 100 000 records are on their way."""
        count = self._counts.get(topic)
        if count is None:
            count = self._counts[topic] = self._partitions(topic)
        if partition is None:
            partition = partition_of(key, count)
        if not 0 <= partition < count:
            raise LogError(f"topic {topic!r} has partitions 0 to {count - 1}, found {partition}")
        if len(key) + len(body) > APPEND_BYTES_MAX:
            found = f"{len(key) + len(body)} for {topic!r}"
            raise LogError(f"a record may hold {APPEND_BYTES_MAX} bytes of key and body, found {found}")
        while not self._produce(topic, body, key, partition, recv_ns // 1_000_000):
            self._producer.poll(0.05)
            self._check()

    def flush(self) -> None:
        """Return when every record taken is on the brokers. Raises LogError if one was lost."""
        while self._producer.flush(0.5):
            self._check()
        self._check()

    def close(self) -> None:
        """Flush and release; released also when the flush raises LogError."""
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            self._producer.purge()
            self._producer.close()

    def _produce(self, topic: str, body: bytes, key: bytes, partition: int, time_ms: int) -> bool:
        self._producer.poll(0)
        self._check()
        try:
            self._producer.produce(topic, body, key, partition, timestamp=time_ms)
        except BufferError:
            return False
        except KafkaException as error:
            raise LogError(f"cannot append to topic {topic!r}: {error.args[0].str()}") from error
        return True

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._lost is None:
            self._lost = (
                f"a record for {message.topic()} partition {message.partition()} was lost: {error.str()}"
            )

    def _check(self) -> None:
        if self._lost is not None:
            raise LogError(f"{self._lost}; what follows it is refused, go on with a new writer")


class KafkaReader:
    """Reads one partition; see `connectors.log.Reader`."""

    def __init__(
        self,
        client: Callable[..., Any],
        end: Callable[[TopicPartition, OffsetSpec], int],
        place: TopicPartition,
        offset: int | None,
        group: str,
    ) -> None:
        self._end = end
        self._place = place
        self._failed: Exception | None = None
        self._record_bytes = 4096.0
        self._consumer: Consumer = client(
            Consumer,
            **{
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "check.crcs": True,
                "queued.max.messages.kbytes": FETCHED_KIB_MAX,
                # With its default of 1 s a reader that catches up stands still whenever its queue was full.
                "fetch.queue.backoff.ms": 5,
                "on_commit": _on_commit,
                "error_cb": self._on_error,
            },
        )
        self.offset = end(place, OffsetSpec.earliest()) if offset is None else offset
        self._consumer.assign([self._at(OFFSET_BEGINNING if offset is None else offset)])

    def poll(self, bytes_max: int = POLL_BYTES) -> list[Record]:
        """The next records; see `connectors.log.Reader.poll`."""
        records: list[Record] = []
        size = 0
        while size < bytes_max and self._failed is None:
            wanted = min(POLL_RECORDS_MAX, 1 + int((bytes_max - size) / self._record_bytes))
            # A wait is for one record: consume() holds what it has until it is complete or its time is over.
            messages = self._consumer.consume(wanted, 0) or (
                [] if records else self._consumer.consume(1, POLL_WAIT_S)
            )
            if not messages:
                break
            size += self._take(messages, records)
        if records:
            self._record_bytes = max(1.0, size / len(records))
        elif self._failed is not None:
            raise self._failed
        return records

    def end(self) -> int:
        """The offset that the next record appended will have."""
        return self._end(self._place, OffsetSpec.latest())

    def commit(self, offset: int) -> None:
        """Commit for the group, without waiting for the broker."""
        try:
            self._consumer.commit(offsets=[self._at(offset)], asynchronous=True)
        except KafkaException as error:
            _log.warning("offset not committed", error=error.args[0].str())

    def committed(self) -> int | None:
        """The offset this reader's group has last committed; None if it never has."""
        try:
            # A broker that has just begun may not know yet who keeps the group's offsets.
            for attempt in stamina.retry_context(
                on=_passes, attempts=None, timeout=ANSWER_S_MAX, wait_max=0.5
            ):
                with attempt:
                    found = self._consumer.committed([self._place], timeout=ANSWER_S_MAX)[0]
        except KafkaException as error:
            raise self._refused("read the committed offset", error.args[0]) from error
        return found.offset if found.offset >= 0 else None

    def close(self) -> None:
        """Release."""
        self._consumer.close()

    def _take(self, messages: list[Message], records: list[Record]) -> int:
        """Add the messages to records, up to the first error; returns their bytes."""
        size = 0
        for message in messages:
            error = message.error()
            if error is None:
                key, body, offset = message.key() or b"", message.value() or b"", message.offset()
                assert offset is not None  # of a message that a broker gave
                records.append(Record(key, offset, body))
                size += len(key) + len(body)
                self.offset = offset + 1
            elif error.code() not in _PASSING:
                self._failed = self._failure(error)
                break
        return size

    def _failure(self, error: KafkaError) -> Exception:
        if error.code() not in _GONE:
            return self._refused(f"read on from offset {self.offset}", error)
        try:
            oldest, end = self._end(self._place, OffsetSpec.earliest()), self.end()
        except LogError as refusal:  # not raised yet: records read before it are returned first
            return refusal
        where = f"{self._place.topic} partition {self._place.partition}"
        return OffsetGoneError(f"{where} holds offsets {oldest} to {end}, asked for {self.offset}")

    def _on_error(self, error: KafkaError) -> None:
        _on_error(error)
        if error.code() in _FINAL and self._failed is None:
            self._failed = self._failure(error)

    def _refused(self, what: str, error: KafkaError) -> LogError:
        return LogError(
            f"cannot {what} of {self._place.topic} partition {self._place.partition}: {error.str()}"
        )

    def _at(self, offset: int) -> TopicPartition:
        return TopicPartition(self._place.topic, self._place.partition, offset)


def _passes(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _PASSING


def _on_error(error: KafkaError) -> None:
    _log.warning("kafka", error=error.str(), fatal=error.fatal())


def _on_commit(error: KafkaError | None, _: list[TopicPartition]) -> None:
    if error is not None:
        _log.warning("offset not committed", error=error.str())
