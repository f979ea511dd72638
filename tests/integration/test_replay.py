"""Real recordings through the commands a user types: file -> log -> flow -> store -> SQL."""

import csv
import io
import json
from pathlib import Path

import clickhouse_connect
import pytest

from flows.kernels import depth, feed, health, tape
from sql.data_dir import password, running
from tests.integration.pipeline import isotherm, replay, store_of

USDM = {
    "depth_messages": 6551, "trades": 21313, "gaps": 0, "crossed": 0, "dead_letters": 0,
    "best_bid": "61659.7", "best_ask": "61659.8",
}  # fmt: skip


@pytest.fixture(scope="module")
def replayed(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    data_dir = tmp_path_factory.mktemp("usdm")
    return data_dir, replay(
        data_dir, "binance_futures", "BTCUSDT", recordings / "binance/usdm_btcusdt_20240808.gz"
    )


def test_futures_summary(replayed):
    _, summary = replayed
    assert summary | USDM == summary
    rows = {
        "depth_1s": 345, "depth_10s": 35, "depth_1m": 6, "book_events": 1, "instruments": 1, "dead_letters": 0,
        "trades": 21313, "prices": 0, "liquidations": 0,
    }  # fmt: skip
    assert summary["rows"] | rows == summary["rows"]
    assert all(
        summary["rows"][table] for table in ("order_flow", "footprints", "bars", "profiles", "large_trades")
    )
    assert all(summary["rows"][table] for table in ("walls", "levels"))


@pytest.mark.parametrize(
    "columns", [depth.TABLE_COLUMNS, tape.TABLE_COLUMNS, health.TABLE_COLUMNS, feed.TABLE_COLUMNS]
)
def test_kernels_give_the_columns_the_tables_have(replayed, columns):
    asked = "SELECT table, groupArray(name) FROM system.columns WHERE database = 'market' GROUP BY table"
    with store_of(replayed[0]) as store:
        tables = {table: set(names) for table, names in store.query(asked)}
    assert {table: set(names) for table, names in columns.items()} == {x: tables[x] for x in columns}


@pytest.mark.parametrize(
    ("symbol", "bid", "ask"), [("BTCUSDT", "61602.01", "61602.02"), ("ETHUSDT", "2677.60", "2677.61")]
)
def test_spot_over_two_files(recordings, tmp_path, symbol, bid, ask):
    paths = [recordings / f"binance/spot_{symbol.lower()}_{day}.gz" for day in ("20240808", "20240809")]
    summary = replay(tmp_path, "binance_spot", symbol, *paths)
    assert (summary["best_bid"], summary["best_ask"]) == (bid, ask)
    assert summary["gaps"] == summary["crossed"] == summary["dead_letters"] == 0
    assert summary["rows"]["depth_1s"] == 650


@pytest.mark.parametrize(
    ("venue", "name"), [("binance_spot", "spot_4sym_20211012"), ("binance_futures", "usdm_4sym_20210722")]
)
def test_cryptofeed_recordings_bring_their_instruments(recordings, tmp_path, venue, name):
    summary = replay(tmp_path, venue, None, recordings / f"binance/cryptofeed_{name}.jsonl.zst")
    assert len(summary["books"]) == 4
    assert all(book["state"] == "live" for book in summary["books"].values())
    assert summary["gaps"] == summary["dead_letters"] == 0
    told = isotherm(
        "sql", "--data-dir", tmp_path, "--format", "csv", "SELECT DISTINCT inferred FROM market.instruments"
    )
    assert told.stdout.split() == ['"inferred"', "false"]


def test_replaying_the_same_again_changes_no_row(recordings, replayed, tmp_path):
    path = recordings / "binance/cryptofeed_usdm_4sym_20210722.jsonl.zst"
    first = replay(tmp_path, "binance_futures", None, path)
    again = replay(tmp_path, "binance_futures", None, path)
    assert again["rows"] | {"book_events": 0, "instruments": 0} == first["rows"] | {
        "book_events": 0,
        "instruments": 0,
    }
    assert again["gaps"] == 0


def test_sql_answers_as_table_json_and_csv_and_as_the_client_does(replayed):
    data_dir, _ = replayed
    statement = "SELECT time, best_bid, best_ask FROM market.depth_measures_1m ORDER BY time"
    table, as_json, as_csv = (
        isotherm("sql", "--data-dir", data_dir, "--format", name, statement).stdout
        for name in ("table", "json", "csv")
    )
    rows = [(r["time"], r["best_bid"], r["best_ask"]) for r in json.loads(as_json)["data"]]
    assert [tuple(r) for r in csv.reader(io.StringIO(as_csv))][1:] == [
        (t, str(b), str(a)) for t, b, a in rows
    ]
    assert all(time in table for time, _, _ in rows)
    with running(data_dir) as url:
        host, port = url.removeprefix("http://").split(":")
        client = clickhouse_connect.get_client(
            host=host, port=int(port), username="analyst", password=password(data_dir, "analyst")
        )
        found = client.query(statement).result_rows
        client.close()
    assert [(str(t.replace(tzinfo=None)), b, a) for t, b, a in found] == rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "--venue", "binance_futures", "--data-dir", "d", "missing.gz"], "missing.gz"),
        (["replay", "--venue", "nowhere", "--data-dir", "d", __file__], "nowhere"),
        (["replay", "--venue", "binance_futures", "--data-dir", "d", "--log", "ftp:x", __file__], "ftp:x"),
        (["replay", "--venue", "binance_futures", "--data-dir", "d", __file__], "recording"),
        (["flow", "depth", "--data-dir", "d"], "no topic of flow depth"),
        (["flow", "depth", "--data-dir", "d", "--share", "3/2"], "3/2"),
        (["flow", "tides", "--data-dir", "d"], "tides"),
        (["replay"], "RECORDINGS"),
    ],
)
def test_a_wrong_file_or_option_is_one_clear_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = isotherm(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
