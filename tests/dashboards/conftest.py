"""One embedded store for the tests of the board, with a small market written by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sql.client import Store, connect
from sql.data_dir import embedded_store, running
from sql.migrate import migrate
from tests.dashboards import market, tape


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("board")
    with running(path):
        admin = connect(*embedded_store(path, "admin"), retry_s=0)
        migrate(admin)
        admin.close()
        yield path


@pytest.fixture(scope="session")
def writer(data_dir: Path) -> Iterator[Store]:
    store = connect(*embedded_store(data_dir, "writer"), retry_s=0)
    market.write(store)
    tape.write(store)
    yield store
    store.close()


@pytest.fixture(scope="session")
def board(data_dir: Path, writer: Store) -> Iterator[Store]:
    store = connect(*embedded_store(data_dir, "board"), retry_s=0)
    yield store
    store.close()
