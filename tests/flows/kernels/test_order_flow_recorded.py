"""Order flow of recorded trades against sums that pandas makes of them."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.kernels.order_flow import TABLE_COLUMNS, InstrumentTape
from flows.kernels.prints import Prints

S = 10**9
PRICE_DECIMALS, SIZE_DECIMALS, ROW_STEP = 2, 5, 5


@pytest.fixture(scope="module")
def trades(recordings: Path) -> pd.DataFrame:
    """Trades of BTCUSDT on the spot market, 2024-08-08 23:54 to 2024-08-09 00:05, prices and sizes in units."""
    rows = []
    for day in ("20240808", "20240809"):
        with gzip.open(recordings / "binance" / f"spot_btcusdt_{day}.gz", "rb") as lines:
            for line in lines:
                if b'"trade"' in line:
                    recv_ns, frame = line.split(b" ", 1)
                    t = json.loads(frame)["data"]
                    price, size = (
                        int(Decimal(t[name]).scaleb(decimals))
                        for name, decimals in (("p", PRICE_DECIMALS), ("q", SIZE_DECIMALS))
                    )
                    rows.append((t["T"] * 10**6, int(recv_ns), price, size, -1 if t["m"] else 1, t["t"]))
    return pd.DataFrame(rows, columns=["time_ns", "recv_ns", "price", "size", "side", "trade_id"])


@pytest.fixture(scope="module")
def tables(trades: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tape = InstrumentTape("BTC-USDT", "binance_spot", "crypto")
    tape.set_row_step(Decimal(ROW_STEP))
    for at in range(0, len(trades), 777):
        part = trades[at : at + 777]
        arrays = [part[name].to_numpy(np.int64) for name in ("time_ns", "recv_ns", "price", "size")]
        tape.take(
            Prints(
                *arrays, part["side"].to_numpy(np.int8), np.zeros(len(part), np.bool_),
                part["trade_id"].to_numpy(np.uint64), PRICE_DECIMALS, SIZE_DECIMALS,
            )
        )  # fmt: skip
    end_ns = int(trades["time_ns"].max())
    tape.on_clock(end_ns + 3600 * S, end_ns + 3600 * S)
    assert tape.counts == {"too_late": 0, "refused": 0}
    return {
        table: pd.DataFrame(dict(zip(TABLE_COLUMNS[table], columns, strict=True)))
        for table, columns in tape.rows().items()
    }


def sums(trades: pd.DataFrame, by: Any) -> pd.DataFrame:
    """Lots bought and sold, by bar."""
    signed = trades.assign(buy=trades["size"].where(trades["side"] > 0, 0))
    return signed.assign(sell=trades["size"] - signed["buy"]).groupby(by)[["buy", "sell"]].sum()


@pytest.mark.parametrize("interval_s", [1, 60, 300, 900, 3600])
def test_bars(trades: pd.DataFrame, tables: dict[str, pd.DataFrame], interval_s: int) -> None:
    rows = tables["order_flow"].query("interval_s == @interval_s").set_index("open_ns").sort_index()
    by = trades["time_ns"] // (interval_s * S) * (interval_s * S)
    expected, grouped = sums(trades, by), trades.groupby(by)
    assert (rows.index == expected.index).all()
    assert (rows["buy_lots"] == expected["buy"]).all() and (rows["sell_lots"] == expected["sell"]).all()
    assert (rows["trades"] == grouped.size()).all()
    unit = 10**PRICE_DECIMALS
    for name, price in (("high", grouped["price"].max()), ("low", grouped["price"].min())):
        assert (rows[name] == price / unit).all()
    assert (rows["open"] == grouped["price"].first() / unit).all()
    assert (rows["close"] == grouped["price"].last() / unit).all()
    signed = trades["size"] * trades["side"]
    running = signed.groupby(by).cumsum()
    assert (rows["delta_max_lots"] == running.groupby(by).max().clip(lower=0)).all()
    assert (rows["delta_min_lots"] == running.groupby(by).min().clip(upper=0)).all()
    quote = (trades["price"] * trades["size"]).groupby(by).sum()
    assert (rows["quote_volume"] == quote / (unit * 10**SIZE_DECIMALS)).all()
    assert (rows["class_buy_lots"].map(sum) == rows["buy_lots"]).all()


@pytest.mark.parametrize("interval_s", [10, 60, 3600])
def test_footprints(trades: pd.DataFrame, tables: dict[str, pd.DataFrame], interval_s: int) -> None:
    rows = tables["footprints"].query("interval_s == @interval_s")
    by_row = (
        rows.explode(["price_row", "buy_lots", "sell_lots"])
        .set_index(["open_ns", "price_row"])[["buy_lots", "sell_lots"]]
        .astype("int64")
        .sort_index()
    )
    price_row = trades["price"] // (ROW_STEP * 10**PRICE_DECIMALS)
    expected = sums(
        trades, [trades["time_ns"] // (interval_s * S) * (interval_s * S), price_row.rename("price_row")]
    )
    assert by_row.index.tolist() == expected.index.tolist()
    assert (by_row.to_numpy() == expected.to_numpy()).all()


def test_profiles(trades: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["profiles"]
    assert set(rows["span"]) == {"day", "tokyo", "rolling_4h", "rolling_24h"}
    for row in rows.query("span in ('day', 'rolling_24h')").itertuples():
        within = trades[(trades["time_ns"] >= row.open_ns) & (trades["time_ns"] < row.time_ns)]
        volume = within["size"].sum()
        assert row.buy_lots - row.sell_lots == (within["size"] * within["side"]).sum()
        assert row.buy_lots + row.sell_lots == volume
        mean = (within["price"] * within["size"]).sum() / volume
        deviation = np.sqrt(((within["price"] - mean) ** 2 * within["size"]).sum() / volume)
        assert row.vwap == pytest.approx(mean / 10**PRICE_DECIMALS, rel=1e-12)
        assert row.vwap_sd == pytest.approx(deviation / 10**PRICE_DECIMALS, rel=1e-9)
        by_row = within.groupby(within["price"] // (ROW_STEP * 10**PRICE_DECIMALS))["size"].sum()
        assert row.poc_lots == by_row.max() == by_row[int(row.poc / ROW_STEP)]
        assert row.val <= row.poc < row.vah
    days = rows.query("span == 'day' and closed")
    assert days["time_ns"].tolist() == [pd.Timestamp("2024-08-09", tz="UTC").value]


def test_large_trades_are_few_and_large(trades: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["large_trades"]
    together = (trades["time_ns"].diff().ne(0) | trades["side"].diff().ne(0)).cumsum()
    sizes = trades["size"].groupby(together).sum()
    before = sizes.rolling(1000, min_periods=200).apply(
        lambda last: np.sort(last)[-(-99 * len(last) // 100) - 1], raw=True
    )
    first = trades["trade_id"].groupby(together).first()
    assert first[sizes > before.shift()].tolist() == rows["trade_id"].tolist()
