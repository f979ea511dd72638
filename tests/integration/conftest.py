"""The Kafka broker that integration tests share.

Tests that need it are marked `kafka` and have `kafka` in their id: by that they all run in one worker of
pytest-xdist (tests/conftest.py), so that a test run has one broker.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kafka.broker import Broker, fetched_jars, missing_tools


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Apache Kafka broker without topics of its own; make topics with names of your own."""
    yield from _running(tmp_path_factory.mktemp("kafka"))


@pytest.fixture
def empty_kafka_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test alone, for what reads every topic."""
    yield from _running(tmp_path / "broker")


def _running(folder: Path) -> Iterator[Broker]:
    if missing := missing_tools():
        reason = f"the tests against Apache Kafka need {' and '.join(missing)} on the PATH"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder.mkdir(exist_ok=True)
    broker = Broker(fetched_jars(), folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
