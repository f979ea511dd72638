"""What `isotherm doctor` finds about the store, its schema and the data directory."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from connectors.check import Finding, Level, check_folder
from sql.client import Store, StoreError, connect
from sql.data_dir import DataDirError, check_layout, embedded_store, is_owned
from sql.migrate import MigrationError, newer, pending

ACCESS_CODES = frozenset({164, 497})  # READONLY, ACCESS_DENIED
SIGN_IN_CODES = frozenset({192, 193, 194, 516})  # unknown user, wrong password, none given, neither
# Needs the rights of the writer, and writes nothing.
WRITE = "INSERT INTO market.dead_letters SELECT * FROM market.dead_letters WHERE 0"


def check_store(data_dir: Path | None, url: str | None) -> list[Finding]:
    """Of the server at `url`, else of the embedded store of `data_dir`."""
    if url is not None:
        user = os.environ.get("ISOTHERM_CLICKHOUSE_USER", "writer")
        password = os.environ.get("ISOTHERM_CLICKHOUSE_PASSWORD", "")
        advice = "run isotherm migrate --clickhouse URL as its admin"
        return _asked(lambda: connect(url, user, password, retry_s=0), "problem", advice)
    if data_dir is None:
        advice = "give --data-dir or --clickhouse, or set data_dir in isotherm.toml"
        return [Finding("store", "warning", "not looked at: no data directory and no server is set", advice)]
    if not is_owned(data_dir):
        return [
            Finding("store", "ok", "the embedded store does not run: isotherm up and isotherm flow start it")
        ]
    advice = "isotherm flow and isotherm up apply it when they start; so does isotherm migrate --data-dir"
    return _asked(lambda: connect(*embedded_store(data_dir), retry_s=0), "warning", advice)


def check_data_dir(data_dir: Path | None) -> list[Finding]:
    """Whether this version reads what is there, and whether there is room."""
    if data_dir is None:
        return []
    try:
        made = check_layout(data_dir / "store")
        with contextlib.suppress(FileNotFoundError):
            json.loads((data_dir / "credentials.json").read_text(encoding="utf-8"))
    except (DataDirError, OSError, ValueError) as error:
        return [
            Finding("data directory", "problem", str(error), "choose another, or the version that wrote it")
        ]
    found = "made by this layout" if made else "no store there yet"
    return [
        Finding("data directory", "ok", f"{data_dir}: {found}"),
        *check_folder("data directory", data_dir),
    ]


def _asked(opened: Callable[[], Store], missing: Level, advice: str) -> list[Finding]:
    try:
        with contextlib.closing(opened()) as store:
            ((version,),) = store.query("SELECT version()")
            said = Finding("store", "ok", f"{store.url}: ClickHouse {version}, user {store.user}")
            return [said, *_check_schema(store, missing, advice)]
    except (StoreError, DataDirError) as error:
        return [_refusal(error)]


def _check_schema(store: Store, level: Level, advice: str) -> list[Finding]:
    try:
        unknown, missing = newer(store), [f"{one.version}_{one.name}" for one in pending(store)]
    except MigrationError as error:
        return [
            Finding(
                "schema", "problem", str(error), "use the version of the program that migrated this store"
            )
        ]
    findings = []
    if unknown:
        found = f"newer than this version of the program: {_some(unknown)}"
        findings.append(
            Finding("schema", "problem", found, "update the program: a store is never taken back")
        )
    if missing:
        findings.append(Finding("schema", level, f"not applied: {_some(missing)}", advice))
        return findings
    return [*(findings or [Finding("schema", "ok", "as this version has it")]), _check_rights(store)]


def _check_rights(store: Store) -> Finding:
    try:
        store.command(WRITE)
    except StoreError as error:
        if error.code not in ACCESS_CODES:
            raise
        advice = (
            "give it the role isotherm_writer, which isotherm migrate --access makes, or use another user"
        )
        return Finding(
            "store rights", "problem", f"user {store.user} cannot write to database market", advice
        )
    return Finding("store rights", "ok", f"user {store.user} may read and write database market")


def _refusal(error: StoreError | DataDirError) -> Finding:
    code = error.code if isinstance(error, StoreError) else None
    if code in SIGN_IN_CODES:
        advice = "see that ISOTHERM_CLICKHOUSE_USER and ISOTHERM_CLICKHOUSE_PASSWORD are the store's"
        return Finding("store", "problem", str(error), advice)
    if code is not None or isinstance(error, DataDirError):
        return Finding("store", "problem", str(error), "see what the store's own log says")
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    return Finding(
        "store",
        "problem",
        f"unreachable: {root}",
        "see that it runs and that --clickhouse or store.clickhouse is right",
    )


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
