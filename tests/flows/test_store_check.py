"""What doctor finds about the store: an embedded one, brought to several states."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.check import Finding
from flows.store_check import check_data_dir, check_store
from sql.client import Store, connect
from sql.data_dir import embedded_store, password, running
from sql.migrate import migrate


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("data")
    with running(path):
        yield path


@pytest.fixture
def admin(data_dir: Path) -> Iterator[Store]:
    store = connect(*embedded_store(data_dir, "admin"), retry_s=0)
    yield store
    store.close()


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {one.check: one for one in findings}


def levels(findings: list[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in findings}


@pytest.fixture
def server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store's address, to be used as that of a server by its writer."""
    url, user, secret = embedded_store(data_dir)
    monkeypatch.setenv("ISOTHERM_CLICKHOUSE_USER", user)
    monkeypatch.setenv("ISOTHERM_CLICKHOUSE_PASSWORD", secret)
    return url


def test_a_store_without_tables_then_whole_then_old_then_newer(
    data_dir: Path, admin: Store, server: str
) -> None:
    found = by_check(check_store(data_dir, None))
    assert found["store"].level == "ok" and "ClickHouse 2" in found["store"].found
    assert found["schema"].level == "warning" and "tables/0001_depth" in found["schema"].found
    assert "isotherm up" in found["schema"].advice
    assert levels(check_store(None, server)) == {"store": "ok", "schema": "problem"}

    migrate(admin)
    whole = {"store": "ok", "schema": "ok", "store rights": "ok"}
    assert levels(check_store(data_dir, None)) == levels(check_store(None, server)) == whole

    admin.command(
        "ALTER TABLE market.schema_migrations DELETE WHERE version = 'views/0002' SETTINGS mutations_sync = 2"
    )
    old = by_check(check_store(None, server))
    assert old["schema"].level == "problem" and "views/0002_" in old["schema"].found
    assert "isotherm migrate" in old["schema"].advice
    migrate(admin)

    admin.command(
        "INSERT INTO market.schema_migrations SELECT 'tables/9000', 'of_tomorrow', repeat('0', 64), now64(3)"
    )
    newer = by_check(check_store(data_dir, None))
    assert newer["schema"].level == "problem" and "tables/9000_of_tomorrow" in newer["schema"].found
    assert "update the program" in newer["schema"].advice

    admin.command(
        "INSERT INTO market.schema_migrations SELECT 'tables/0001', 'depth', repeat('0', 64), now64(3) + 1"
    )
    other = by_check(check_store(data_dir, None))
    assert other["schema"].level == "problem" and "tables/0001" in other["schema"].found
    admin.command("ALTER TABLE market.schema_migrations DELETE WHERE 1 SETTINGS mutations_sync = 2")


def test_a_user_who_may_not_write(
    data_dir: Path, admin: Store, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(admin)
    monkeypatch.setenv("ISOTHERM_CLICKHOUSE_USER", "analyst")
    monkeypatch.setenv("ISOTHERM_CLICKHOUSE_PASSWORD", password(data_dir, "analyst"))
    found = by_check(check_store(None, server))
    assert found["store rights"].level == "problem" and "analyst cannot write" in found["store rights"].found


def test_a_wrong_password(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOTHERM_CLICKHOUSE_PASSWORD", "pl4nted")
    (found,) = check_store(None, server)
    assert found.level == "problem" and "ISOTHERM_CLICKHOUSE_PASSWORD" in found.advice
    assert "pl4nted" not in repr(found)


def test_a_server_that_is_not_there() -> None:
    (found,) = check_store(None, "http://127.0.0.1:1")
    assert found.level == "problem" and "unreachable" in found.found and "Connection refused" in found.found
    (found,) = check_store(None, "clickhouse:8123")
    assert found.level == "problem" and "expected http://HOST:PORT" in found.found


def test_a_store_that_does_not_run_is_left_alone(tmp_path: Path) -> None:
    assert levels(check_store(tmp_path, None)) == {"store": "ok"}
    assert levels(check_store(None, None)) == {"store": "warning"}
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory(tmp_path: Path, data_dir: Path) -> None:
    assert check_data_dir(None) == []
    (found, _) = check_data_dir(tmp_path / "new")
    assert found.level == "ok" and "no store there yet" in found.found
    (found, _) = check_data_dir(data_dir)
    assert found.level == "ok" and "made by this layout" in found.found
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "LAYOUT").write_text("99")
    (found,) = check_data_dir(tmp_path)
    assert found.level == "problem" and "found 99" in found.found
    (tmp_path / "store" / "LAYOUT").unlink()
    (tmp_path / "store").rmdir()
    (tmp_path / "credentials.json").write_text("{")
    (found,) = check_data_dir(tmp_path)
    assert found.level == "problem"
