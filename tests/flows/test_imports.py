"""`isotherm import-bars` and `backfill --archive`: from files to rows of the store."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors import batch
from connectors.alert import Gate
from connectors.file_log import FileLog
from connectors.imports import Options
from connectors.keys import Secret
from connectors.log import ALERTS_IN
from connectors.record import decode_lines, encode_line
from flows import feeds
from flows.catch_up import catch_up
from flows.commands import backfill
from flows.import_commands import import_bars
from flows.imports import import_archive
from flows.imports import import_bars as publish
from sql.client import Store, connect
from sql.data_dir import embedded_store, running
from sql.migrate import migrate
from tests.connectors.catalogue import catalogue

HEADER = "Date,open,high,low,close,volume\n"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One whose store runs, so that each command finds it."""
    path = tmp_path_factory.mktemp("data")
    with running(path):
        admin = connect(*embedded_store(path, "admin"), retry_s=0)
        migrate(admin)
        admin.close()
        yield path


@pytest.fixture(scope="module")
def store(data_dir: Path) -> Iterator[Store]:
    found = connect(*embedded_store(data_dir, "writer"), retry_s=0)
    yield found
    found.close()


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(x) for x in arguments])


def summary(result: Result) -> dict[str, Any]:
    assert result.exit_code in (0, 1), result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_twice_imported_is_once(data_dir: Path, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.csv.gz"
    rows = "".join(
        f"2024-01-0{d} {h:02}:00,{108000 + h},108050,107950,108010,5\n" for d in (1, 2) for h in range(24)
    )
    path.write_bytes(gzip.compress((HEADER + rows + "2024-01-03 00:00,,,,,\n").encode()))
    arguments = (path, "--instrument", "EUR-USD", "--venue", "mt", "--interval", "1h", "--scale", "0.00001",
                 "--tz", "UTC+02:00", "--data-dir", data_dir)  # fmt: skip
    for _ in range(2):
        told = summary(run(import_bars, *arguments))
        assert (told["files"], told["rows"], told["gaps"], told["set_aside"]) == (1, 48, 0, {"no price": 1})
        assert (told["from"], told["to"]) == ("2023-12-31T22:00:00Z", "2024-01-02T21:00:00Z")
        count = "SELECT count(), min(open), max(high), any(source) FROM market.ohlcv WHERE venue = 'mt'"
        assert [*map(tuple, store.query(count))] == [(48, 1.08, 1.0805, "import")]


def test_one_bad_file_leaves_the_others(data_dir: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(HEADER + "2024-01-01 00:00,1,2,1,2,5\n")
    bad.write_text("nothing\n")
    common = ("--instrument", "X-Y", "--venue", "v", "--interval", "1h", "--data-dir", data_dir)
    result = run(import_bars, bad, good, *common)
    assert result.exit_code == 1
    told = summary(result)
    assert (told["files"], told["rows"]) == (1, 1)
    assert "expected at least time, open" in told["errors"]["bad.csv"]
    alone = run(import_bars, bad, *common)
    assert alone.exit_code == 2
    assert "expected at least time, open" in alone.output
    wrong = run(import_bars, good, *common, "--columns", "price=x")
    assert wrong.exit_code == 2
    assert "expected OURS=THEIRS" in wrong.output
    assert run(import_bars, good, *common, "--scale", "-1").exit_code == 2


def test_an_archive_file_becomes_bars_and_trades(data_dir: Path, store: Store, tmp_path: Path) -> None:
    day = 1_735_689_600_000_000  # 2025-01-01 in us
    bars = "".join(
        f"{day + n * 60_000_000},1,2,0.5,1.5,10,{day + n * 60_000_000 + 59_999_999},15,3,4,6,0\n"
        for n in range(60)
    )
    trades = "".join(f"{n},1.5,2,{n},{n},{day + n},{n % 2 == 0},True\n" for n in range(10))
    (tmp_path / "ETHUSDT-1m-2025-01-01.csv").write_text(bars)
    (tmp_path / "ETHUSDT-aggTrades-2025-01-01.csv").write_text(trades)
    for _ in range(2):
        result = run(backfill, "binance_spot", "--archive", tmp_path, "--data-dir", data_dir)
        told = summary(result)
        assert (result.exit_code, told["files"], told["rows"]) == (0, 2, 70)
        assert told["notes"] == ["some files have no .CHECKSUM beside them: not verified"]
        found = store.query(
            "SELECT count(), sum(trades), sum(buy_volume) FROM market.ohlcv_by_source WHERE source = 'archive' AND"
            " instrument = 'ETH-USDT'"
        )
        assert [*map(tuple, found)] == [(60, 180, 240.0)]
        sides = "SELECT side, count() FROM market.time_and_sales WHERE instrument = 'ETH-USDT' GROUP BY 1 ORDER BY 1"
        assert [*map(tuple, store.query(sides))] == [("buy", 5), ("sell", 5)]
    missing = run(backfill, "binance_spot", "--data-dir", data_dir)
    assert (missing.exit_code, "--archive" in missing.output) == (2, True)


def test_alerts_become_rows_in_a_view(data_dir: Path, store: Store) -> None:
    log = FileLog(data_dir / "log")
    log.create(ALERTS_IN, 1)
    body = Gate(Secret("planted-9f3Zk7w")).open(
        b'{"secret":"planted-9f3Zk7w","exchange":"BINANCE","ticker":"BTCUSDT","interval":"5","close":"81230.1",'
        b'"timenow":"2026-11-22T14:05:01Z","signal":"my_rule"}'
    )
    assert body is not None
    with closing(log.writer()) as writer:
        for n, payload in enumerate((body, b"plain words", body)):
            recv_ns = 1_795_356_302_000_000_000 + n
            writer.append(ALERTS_IN, b"BTCUSDT", encode_line(recv_ns, b"webhook", payload), recv_ns)
    catch_up(log, store, data_dir / "flow", [feeds.FLOW], print)
    found = store.query("SELECT instrument, signal, price, alert_id FROM market.alerts_recent")
    assert [tuple(x)[:2] for x in found] == [
        ("BTC-USDT", "my_rule"),
        ("", "plain words"),
        ("BTC-USDT", "my_rule"),
    ]
    assert found[0][3] == found[2][3] != found[1][3]
    assert "planted" not in str(store.query("SELECT * FROM market.alerts_in"))


def test_lines_name_their_file(tmp_path: Path) -> None:
    path = tmp_path / "odd name.csv"
    path.write_text(HEADER + "2024-01-01 00:00,1,2,1,2,5\n")
    log, said = FileLog(tmp_path / "log"), []
    publish([path], Options("A-B", "v", 3600), log, said.append)
    (tmp_path / "BTCUSDT-1m-2023-04-20.csv").write_text("x\n")
    told = import_archive([tmp_path / "BTCUSDT-1m-2023-04-20.csv"], "binance_spot", log, said.append)
    assert told.rows == 0
    with closing(log.reader(batch.TOPIC, 0)) as reader:
        (record,) = reader.poll()
    (line,) = decode_lines(record.body)
    assert (record.key, line.origin) == (b"A-B", b"file:odd_name.csv")


@pytest.mark.slow
def test_all_recorded_files_become_as_many_rows_as_the_catalogue_says(
    data_dir: Path, store: Store, recordings: Path
) -> None:
    """Every OHLCV file through log, flow and store; then all of them again, and nothing changes."""
    log, folder, expected = FileLog(data_dir / "log"), recordings / "ohlcv", {}
    for again in (False, True):
        for known in catalogue(folder):
            if known.path.endswith("-ask-2012.csv.gz"):
                continue
            path = folder / known.path
            venue = f"{known.options.venue}:{path.parent.name}" if "minute" not in known.path else "minutes"
            options = Options(known.options.instrument, venue, known.options.interval_s)
            other = path.with_name(path.name.replace("-bid-", "-ask-"))
            told = publish(dict.fromkeys([path, other]), options, log, print)
            assert not told.errors
            assert told.rows == known.rows
            if not again:
                key = (options.instrument, venue, options.interval_s)
                expected[key] = expected.get(key, 0) + known.rows
        catch_up(log, store, data_dir / "flow", [feeds.FLOW], print)
        found = store.query(
            "SELECT instrument, venue, interval_s, count() FROM market.ohlcv_by_source WHERE source = 'import' AND"
            " (venue LIKE '%:%' OR venue = 'minutes') GROUP BY ALL"
        )
        assert {tuple(x[:3]): x[3] for x in found} == expected
    assert sum(expected.values()) > 1_000_000
