"""Files as Binance's archive documents them, made from recorded bars: every variant of a file holds the same."""

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.archive import archive, read_archive
from connectors.bars_file import FileError
from connectors.batch import ROWS_MAX, Bars, Trades

# https://github.com/binance/binance-public-data (November 2026)
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)
FUTURES_TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
FUTURES_AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def day(recordings: Path) -> list[list[Any]]:
    """Recorded minutes of BTCUSDT of 2023-04-20, as the archive writes klines, ms."""
    path = recordings / "ohlcv/crypto_1m/binance_BTC_USDT-1m.json.gz"
    bars = json.loads(gzip.decompress(path.read_bytes()))
    found = [x for x in bars if x[0] // DAY_MS == 1_681_948_800_000 // DAY_MS]
    assert len(found) == 1440
    return [
        [
            t, *(f"{x:.8f}" for x in prices), t + 59_999, f"{prices[4] * prices[3]:.8f}", n % 97,
            f"{prices[4] / 2:.8f}", "1.0", 0,
        ]
        for n, (t, *prices) in enumerate(found)
    ]  # fmt: skip


def csv(rows: list[list[Any]], header: str = "", end: str = "\n") -> str:
    return end.join([*([header] if header else []), *(",".join(map(str, row)) for row in rows)]) + end


def write(folder: Path, name: str, text: str, checksum: bool = True) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{path.stem}.csv", text)
    else:
        path.write_text(text)
    if checksum:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(f"{name.rpartition('/')[2]}.CHECKSUM").write_text(f"{found}  {path.name}\n")
    return path


def microseconds(rows: list[list[Any]]) -> list[list[Any]]:
    """As spot files write times from 2025-01-01 on."""
    return [[row[0] * 1000, *row[1:6], row[6] * 1000 + 999, *row[7:]] for row in rows]


VARIANTS: dict[str, Callable[[list[list[Any]]], tuple[str, str]]] = {
    "ms": lambda rows: ("BTCUSDT-1m-2023-04-20.zip", csv(rows)),
    "us": lambda rows: ("BTCUSDT-1m-2023-04-20.zip", csv(microseconds(rows))),
    "both": lambda rows: ("BTCUSDT-1m-2023-04-20.zip", csv(rows[:700] + microseconds(rows[700:]))),
    "header": lambda rows: ("BTCUSDT-1m-2023-04-20.zip", csv(rows, KLINES)),
    "bare": lambda rows: ("BTCUSDT-1m-2023-04-20.csv", csv(rows)),
    "month": lambda rows: ("BTCUSDT-1m-2023-04.zip", csv(rows)),
    "windows": lambda rows: ("BTCUSDT-1m-2023-04-20.csv", csv(rows, end="\r\n")),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("venue", ["binance_spot", "binance_futures"])
def test_klines_of_every_variant_are_the_recorded_bars(
    tmp_path: Path, day: list[list[Any]], variant: str, venue: str
) -> None:
    found = archive(write(tmp_path, *VARIANTS[variant](day)), venue)
    assert (found.symbol, found.kind, found.interval_s, found.verified) == ("BTCUSDT", "klines", 60, True)
    (bars,) = found.batches()
    assert isinstance(bars, Bars)
    assert (bars.source, bars.venue, bars.interval_s) == ("archive", venue, 60)
    assert bars.instrument == ("BTC-USDT" if venue == "binance_spot" else "BTC-USDT-PERP")
    assert list(bars.open_ns) == [row[0] * 1_000_000 for row in day]
    for at, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        assert list(getattr(bars, name)) == [float(row[at]) for row in day]
    assert list(bars.quote_volume) == [float(row[7]) for row in day]
    assert list(bars.trades) == [row[8] for row in day]
    assert list(bars.buy_volume) == [float(row[9]) for row in day]
    assert not found.set_aside


TRADES: list[list[Any]] = [
    [7, "28000.1", "0.5", "14000.05", 1_681_948_800_123, "True"],
    [8, "28000.0", "1", "28000", 1_681_948_801_000, "false"],
]
AGG: list[list[Any]] = [
    [7, "28000.1", "0.5", 70, 72, 1_681_948_800_123, "True"],
    [8, "28000.0", "1", 73, 73, 1_681_948_801_000, "false"],
]


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("kind", ["trades", "aggTrades"])
def test_trades_are_the_same_with_and_without_header_and_best_match(
    tmp_path: Path, spot: bool, header: bool, kind: str
) -> None:
    rows = AGG if kind == "aggTrades" else TRADES
    names = FUTURES_AGG if kind == "aggTrades" else FUTURES_TRADES
    if spot:
        rows = [[*row, "True"] for row in rows]
    path = write(
        tmp_path, f"BTCUSDT-{kind}-2023-04-20.zip", csv(rows, names + ",best" * spot if header else "")
    )
    (found,) = read_archive(path, "binance_spot" if spot else "binance_futures")
    assert isinstance(found, Trades)
    assert found.aggregated is (kind == "aggTrades")
    assert (list(found.trade_id), list(found.price), list(found.size)) == (
        [7, 8],
        [28000.1, 28000.0],
        [0.5, 1.0],
    )
    assert list(found.time_ns) == [1_681_948_800_123_000_000, 1_681_948_801_000_000_000]
    assert list(found.side) == ["sell", "buy"]  # the buyer was the maker: the seller took


def test_ids_and_counts_beyond_64_bits_are_set_aside_not_their_batch(
    tmp_path: Path, day: list[list[Any]]
) -> None:
    """What a batch cannot carry, or the flow refuses as a whole."""
    odd = [[*row, "True"] for row in TRADES]
    odd += [[number, *odd[0][1:]] for number in (2**63, 2**80, -1)]
    found = archive(write(tmp_path, "BTCUSDT-trades-2023-04-20.zip", csv(odd)), "binance_spot")
    (batch,) = found.batches()
    assert isinstance(batch, Trades)
    assert list(batch.trade_id) == [7, 8] and found.set_aside == {"not a number": 3}
    bars = [day[0], [*day[1][:8], 2**70, *day[1][9:]]]
    found = archive(write(tmp_path, "BTCUSDT-1m-2023-04-20.zip", csv(bars)), "binance_spot")
    assert [len(x.open_ns) for x in found.batches() if isinstance(x, Bars)] == [1]
    assert found.set_aside == {"not a number": 1}


def test_many_rows_are_many_batches(tmp_path: Path) -> None:
    rows = [[n, "1", "1", "1", 1_681_948_800_000 + n, "True"] for n in range(ROWS_MAX + 1)]
    found = list(read_archive(write(tmp_path, "BTCUSDT-trades-2023-04-20.zip", csv(rows)), "binance_futures"))
    assert [len(x.time_ns) for x in found] == [ROWS_MAX, 1]  # type: ignore[union-attr]


def test_a_checksum_that_does_not_fit_is_refused_and_none_is_told(
    tmp_path: Path, day: list[list[Any]]
) -> None:
    path = write(tmp_path, "BTCUSDT-1m-2023-04-20.zip", csv(day), checksum=False)
    assert archive(path, "binance_spot").verified is False
    for wrong in ("0" * 64 + "  BTCUSDT-1m-2023-04-20.zip\n", ""):
        path.with_name(f"{path.name}.CHECKSUM").write_text(wrong)
        with pytest.raises(FileError, match=r"expected SHA-256 .* fetch the file"):
            archive(path, "binance_spot")


def test_rows_that_do_not_fit_are_counted_and_left_out(tmp_path: Path, day: list[list[Any]]) -> None:
    rows = [list(row) for row in day[:8]]
    rows[1] = rows[1][:5]
    rows[2][1] = "x"
    rows[3][2] = "0.1"  # high
    rows[4][6] += 60_000  # two minutes
    rows[5][0] += DAY_MS
    rows[5][6] += DAY_MS
    rows[6][5] = "-1"
    found = archive(write(tmp_path, "BTCUSDT-1m-2023-04-20.csv", csv(rows) + "\n\n"), "binance_spot")
    (bars,) = found.batches()
    assert len(bars.open_ns) == 2  # type: ignore[union-attr]
    assert found.set_aside == {
        "wrong number of columns": 1, "not a number": 2, "high or low within open and close": 1,
        "not of the interval in the file's name": 1, "not of the file's dates": 1,
    }  # fmt: skip
    trades = write(
        tmp_path,
        "BTCUSDT-trades-2023-04-20.csv",
        csv([*TRADES, [9, "1", "1", "1", 1_681_948_801_000, "maybe"]]),
    )
    again = archive(trades, "binance_futures")
    assert sum(len(x.time_ns) for x in again.batches()) == 2  # type: ignore[union-attr]
    assert again.set_aside == {"neither true nor false": 1}


@pytest.mark.parametrize(
    ("name", "venue", "said"),
    [
        ("BTCUSDT-1m.zip", "binance_spot", "expected a name such as"),
        ("BTCUSDT-1mo-2023-04.zip", "binance_spot", "found months"),
        ("BTCUSDT-1m-2023-13.zip", "binance_spot", "expected a date"),
        ("BTCUSDT-1m-2023-04.zip", "kraken", "asked for kraken"),
        ("futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-04-20.zip", "binance_spot", "one in futures/um"),
        ("futures/cm/daily/BTCUSD_PERP-1m-2023-04-20.zip", "binance_futures", "one in futures/cm"),
    ],
)  # fmt: skip
def test_files_of_something_else_are_refused(tmp_path: Path, name: str, venue: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        archive(write(tmp_path, name, "1,2\n"), venue)


def test_a_file_of_the_other_market_is_told_by_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "BTCUSDT-trades-2023-04-20.zip", csv(TRADES))
    with pytest.raises(FileError, match="expected 7 columns in trades of binance_spot, found 6: is it"):
        list(read_archive(path, "binance_spot"))


def test_broken_files_are_one_error(tmp_path: Path) -> None:
    for content in (b"PK\x03\x04no", b"", b"\xff\xfe"):
        path = tmp_path / "BTCUSDT-1m-2023-04-20.zip"
        path.write_bytes(content)
        with pytest.raises(FileError, match="expected a readable file"):
            list(read_archive(path, "binance_spot"))
    long = write(tmp_path, "BTCUSDT-1m-2023-04-21.csv", "1" * 10_000, checksum=False)
    with pytest.raises(FileError, match="found a longer one"):
        list(read_archive(long, "binance_spot"))
    with pytest.raises(FileError, match="readable"):
        list(read_archive(tmp_path / "BTCUSDT-1m-2023-04-22.csv", "binance_spot"))


@given(st.text('0123456789.,-eTrue\n"', max_size=200))
def test_any_text_is_batches_or_a_file_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "BTCUSDT-trades-2023-04-20.csv"
    path.write_text(text)
    try:
        found = list(read_archive(path, "binance_futures"))
    except FileError:
        return
    assert all(x.time_ns for x in found)  # type: ignore[union-attr]
