"""The real pipeline for tests: isotherm's own commands as processes on a data directory."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sql.client import Store, connect
from sql.data_dir import password, running

TABLES = (
    "depth_1s", "depth_10s", "depth_1m", "book_events", "instruments", "dead_letters", "trades", "prices", "bars",
    "order_flow", "footprints", "profiles", "large_trades", "liquidations", "derivatives", "walls",
    "liquidity_events", "levels",
)  # fmt: skip

# Of the rows of markets, each flow after those that it reads from.
FLOWS = ("depth", "tape", "levels")


def isotherm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "isotherm", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def spawn(*arguments: object) -> subprocess.Popen[str]:
    """Start a command; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "isotherm", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )


def replay(
    data_dir: Path, venue: str, symbol: str | None, *paths: Path, options: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`isotherm replay` to its end; the summary it prints last."""
    named = () if symbol is None else ("--symbol", symbol)
    done = isotherm("replay", "--venue", venue, *named, "--data-dir", data_dir, *options, *paths)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


@contextlib.contextmanager
def store_of(data_dir: Path) -> Iterator[Store]:
    """The data directory's store, as its admin."""
    with running(data_dir) as url:
        store = connect(url, "admin", password(data_dir, "admin"))
        yield store
        store.close()


def tables(data_dir: Path) -> dict[str, list[str]]:
    """Every row of every table, without the duplicates that upserts leave, as text with all digits."""
    with store_of(data_dir) as store:
        return {
            table: store.query_text(f"SELECT * FROM market.{table} FINAL ORDER BY ALL", "TSV").splitlines()
            for table in TABLES
        }
