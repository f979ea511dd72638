"""One embedded store for all tests of the package, as a process of its own, migrated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sql.client import Store, connect
from sql.data_dir import embedded_store, running
from sql.migrate import migrate


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose store runs and has all tables and views."""
    path = tmp_path_factory.mktemp("data")
    with running(path):
        admin = connect(*embedded_store(path, "admin"), retry_s=0)
        migrate(admin)
        admin.close()
        yield path


@pytest.fixture(scope="session")
def admin(data_dir: Path) -> Iterator[Store]:
    yield from _connected(data_dir, "admin")


@pytest.fixture(scope="session")
def writer(data_dir: Path) -> Iterator[Store]:
    yield from _connected(data_dir, "writer")


@pytest.fixture(scope="session")
def analyst(data_dir: Path) -> Iterator[Store]:
    yield from _connected(data_dir, "analyst")


def _connected(data_dir: Path, user: str) -> Iterator[Store]:
    store = connect(*embedded_store(data_dir, user), retry_s=0)
    yield store
    store.close()
