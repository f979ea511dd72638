"""Bars from files: every real file of the recordings against its catalogue, and what files get wrong."""

import gzip
import io
import json
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.bar_times import parse_zone
from connectors.bars_file import FileError, read
from connectors.batch import ROWS_MAX, decode
from connectors.imports import Imported, Options, imported, middle, pairs, scaled, spelled
from tests.connectors.catalogue import catalogue

EUR = Options("EUR-USD", "v", 3600)
HEADER = "Date,open,high,low,close,volume\n"


def at(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


def of(
    tmp_path: Path,
    content: str | bytes,
    options: Options = EUR,
    name: str = "bars.csv",
    now: str = "2030-01-01",
) -> Imported:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return imported(path, options, now_ns=at(now))


def hours(*rows: str) -> str:
    return HEADER + "\n".join(rows) + "\n"


# ---- the recordings


def test_the_catalogue_names_every_file(recordings: Path) -> None:
    folder = recordings / "ohlcv"
    files = {str(x.relative_to(folder)) for x in folder.rglob("*") if x.is_file()}
    assert files == {x.path for x in catalogue(folder)}
    counts = Counter(x.path.rpartition("/")[0].partition("/")[0] or "." for x in catalogue(folder))
    assert counts == {"crypto_1d": 6, "crypto_1m": 13, "forex": 15, "lean": 47, ".": 1}


def test_row_counts_spans_and_gaps_are_those_of_the_catalogue(recordings: Path) -> None:
    """Every file; those of bids and asks together."""
    folder = recordings / "ohlcv"
    for known in catalogue(folder):
        if known.path.endswith("ask-2012.csv.gz"):
            continue
        path = folder / known.path
        other = path.with_name(path.name.replace("-bid-", "-ask-"))
        found = imported(path, known.options, other if other != path else None)
        assert len(found.bars) == known.rows, known.path
        assert found.set_aside == {}, known.path
        opened = found.bars["open_ns"].to_numpy()
        assert (
            np.diff(opened)
            >= known.options.interval_s * 10**9 - 3600 * 10**9 * (known.options.interval_s > 3600)
        ).all()
        if known.first:
            assert (opened[0], opened[-1]) == (at(known.first), at(known.last)), known.path
        if known.gaps is not None:
            assert found.gaps(known.options.interval_s) == known.gaps, known.path
        if known.zero_volumes is not None:
            assert int((found.bars["volume"] == 0).sum()) == known.zero_volumes, known.path


PRICES_OF_2022_03_04 = {  # closes of that Friday, as the news had them
    "EUR-USD": 1.0930, "GBP-USD": 1.3233, "USD-JPY": 114.85, "AUD-USD": 0.7374, "USD-CAD": 1.2735, "XAU-USD": 1970.0,
}  # fmt: skip


def test_scaled_prices_are_the_market_s_of_that_day(recordings: Path) -> None:
    files = [x for x in catalogue(recordings / "ohlcv") if "ejtrader" in x.path]
    assert {x.options.instrument for x in files} == set(PRICES_OF_2022_03_04)
    for known in files:
        bars = imported(recordings / "ohlcv" / known.path, known.options).bars
        close = bars["close"].iloc[-1]
        assert close == pytest.approx(PRICES_OF_2022_03_04[known.options.instrument], rel=1e-3), known.path
        # Each is the float that its decimals read as.
        places = {"JPY": 3}.get(known.options.instrument[-3:], 2 if "XAU" in known.path else 5)
        for name in ("open", "high", "low", "close"):
            assert all(x == float(f"{x:.{places}f}") for x in bars[name].tolist())


def test_every_scaled_price_is_exact(recordings: Path) -> None:
    path = recordings / "ohlcv" / "forex" / "ejtrader_EURUSDh4.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split()[2:]
    bars = imported(path, Options("EUR-USD", "v", 14400, scale=Decimal("0.00001"))).bars
    raw = [line.split(",") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]]
    assert len(lines) > len(raw) == len(bars)
    for place, name in enumerate(("open", "high", "low", "close"), 1):
        exact = [float(round(Decimal(x[place])) * Decimal("0.00001")) for x in raw]
        assert bars[name].tolist() == exact


def test_lean_minutes_are_told_in_the_market_s_zone(recordings: Path) -> None:
    path = recordings / "ohlcv/lean/forex/fxcm/minute/eurusd/20140501_quote.zip"
    known = Options("EUR-USD", "fxcm", 60)
    found = {side: imported(path, replace(known, side=side)).bars for side in ("bid", "ask", "mid")}  # type: ignore[arg-type]
    assert found["mid"]["open_ns"].iloc[0] == at("2014-05-01 05:00")
    first = {side: bars.iloc[0]["open"] for side, bars in found.items()}
    assert first["bid"] < first["mid"] < first["ask"]
    assert first["mid"] == float((Decimal(str(first["bid"])) + Decimal(str(first["ask"]))) / 2)
    told = imported(path, replace(known, zone="UTC"))
    assert told.bars["open_ns"].iloc[0] == at("2014-05-01 00:00")


def test_bids_and_asks_of_two_files_make_one(recordings: Path) -> None:
    folder = recordings / "ohlcv/forex"
    bid, ask = (folder / f"nautilus_fxcm_gbpusd-m1-{side}-2012.csv.gz" for side in ("bid", "ask"))
    assert pairs([ask, bid]) == [(bid, ask)]
    options = Options("GBP-USD", "fxcm", 60)
    found = imported(bid, options, ask)
    assert found.notes == ["middle of bid and ask bars"]
    alone = imported(bid, replace(options, side="bid"), ask)
    assert alone.bars["open"].iloc[0] == 1.57597
    assert found.bars["open"].iloc[0] > 1.57597
    with pytest.raises(FileError, match="give both, or --side bid"):
        imported(bid, options)
    with pytest.raises(FileError, match="expected bars of bids, found a file of asks"):
        imported(ask, replace(options, side="bid"))


# ---- forms


def test_kinds_and_packings_tell_the_same(tmp_path: Path) -> None:
    rows = [[at(f"2024-01-01 0{h}:00") // 10**6, 1.5, 2.0, 1.0, 1.25, 10.0] for h in range(4)]
    names = ["time", "open", "high", "low", "close", "volume"]
    text = "\n".join(",".join(map(str, row)) for row in rows)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("inner.csv", text)
    parquet = io.BytesIO()
    pd.DataFrame(rows, columns=names).to_parquet(parquet)
    contents: dict[str, str | bytes] = {
        "array.json": json.dumps(rows), "bare.csv": text, "semicolons.csv": text.replace(",", ";"),
        "objects.json": json.dumps([dict(zip(names, row, strict=True)) for row in rows]),
        "columns.json": json.dumps(dict(zip(names, zip(*rows, strict=True), strict=True))),
        "header.csv": ",".join(names) + "\n" + text, "bars.csv.gz": gzip.compress(text.encode()),
        "bars.zip": zipped.getvalue(), "bars.parquet": parquet.getvalue(),
        "bom.csv": b"\xef\xbb\xbf" + (",".join(names) + "\r\n" + text).encode(),
        "seconds.csv": text.replace("00000,1.5", "00,1.5"),
        "texts.json": json.dumps([[*map(str, row)] for row in rows]),
        "us.csv": text.replace("00000,1.5", "00000000,1.5"),
        "binance.csv": "\n".join(f"{t},1.5,2,1,1.25,10,{t + 3599999},15,3,4,6,0" for t, *_ in rows),
    }  # fmt: skip
    expected = of(tmp_path, contents["bare.csv"]).bars
    for name, content in contents.items():
        found = of(tmp_path, content, name=name)
        columns = list(expected.columns)
        pd.testing.assert_frame_equal(found.bars[columns], expected, check_dtype=False, obj=name)
        assert found.set_aside == {}
    extra = of(tmp_path, contents["binance.csv"]).bars
    assert extra[["quote_volume", "buy_volume", "trades"]].iloc[0].tolist() == [15.0, 4.0, 3.0]


def test_columns_by_other_names_and_places(tmp_path: Path) -> None:
    rows = "2024-01-01 00:00,9,1,2,0.5,1.5\n2024-01-01 01:00,9,1,2,0.5,1.5\n"
    options = replace(EUR, columns={"open": "first", "high": "2", "low": "3", "close": "4"})
    with pytest.raises(FileError, match="expected a column 'first' for open, found '0'"):
        of(tmp_path, rows, options)
    named = {"open": "first", "high": "top", "low": "bottom", "close": "last"}
    found = of(
        tmp_path, "When,x,first,top,bottom,last\n" + rows, replace(EUR, columns=named | {"time": "When"})
    )
    assert found.bars.iloc[0].tolist()[1:] == [1.0, 2.0, 0.5, 1.5]
    placed = {"time": "0", "open": "2", "high": "3", "low": "4", "close": "5"}
    assert of(tmp_path, rows, replace(EUR, columns=placed)).bars.iloc[0].tolist()[1:5] == [1.0, 2.0, 0.5, 1.5]


def test_batches_travel_with_none_for_what_is_not_told(tmp_path: Path) -> None:
    text = "".join(f"{at('2020-01-01') // 10**9 + n * 3600},1,2,1,2\n" for n in range(ROWS_MAX + 1))
    found = of(tmp_path, text)
    first, last = found.batches(EUR)
    assert (len(first.open_ns), len(last.open_ns)) == (ROWS_MAX, 1)
    assert decode(msgspec.json.encode(first)).volume == [None] * ROWS_MAX  # type: ignore[union-attr]
    assert (last.source, last.venue, last.instrument, last.interval_s) == ("import", "v", "EUR-USD", 3600)
    assert last.trades == [None]


# ---- times


def test_local_times_that_do_not_exist_or_were_twice_are_set_aside(tmp_path: Path) -> None:
    # 2024 in New York: forward on March 10 at 2:00, back on November 3 at 2:00.
    text = hours(
        *(f"2024-03-10 0{h}:00,1,2,1,2,5" for h in range(5)),
        *(f"2024-11-03 0{h}:00,1,2,1,2,5" for h in range(5)),
    )
    found = of(tmp_path, text, replace(EUR, zone="America/New_York"))
    assert found.set_aside == {
        "local time that does not exist (clocks went forward)": 1, "local time that was twice (clocks went back)": 1,
    }  # fmt: skip
    opened = [pd.Timestamp(x).strftime("%m-%d %H") for x in found.bars["open_ns"]]
    assert opened == [
        "03-10 05",
        "03-10 06",
        "03-10 07",
        "03-10 08",
        "11-03 04",
        "11-03 07",
        "11-03 08",
        "11-03 09",
    ]


def test_days_of_a_zone_may_be_an_hour_shorter(tmp_path: Path) -> None:
    text = hours(*(f"2024-03-{d:02},1,2,1,2,5" for d in range(8, 13)))
    found = of(tmp_path, text, replace(EUR, interval_s=86400, zone="Europe/Berlin"))
    assert len(found.bars) == 5
    assert found.bars["open_ns"].iloc[0] == at("2024-03-07 23:00")


def test_times_with_an_offset_are_believed(tmp_path: Path) -> None:
    text = hours(
        "2024-01-01T02:00:00+02:00,1,2,1,2,5",
        "2024-01-01T01:00:00Z,1,2,1,2,5",
        "2024-01-01 02:00:00,1,2,1,2,5",
    )
    found = of(tmp_path, text, replace(EUR, zone="UTC-01:00"))
    assert found.bars["open_ns"].tolist() == [at(f"2024-01-01 0{h}:00") for h in (0, 1, 3)]


def test_formats_of_times(tmp_path: Path) -> None:
    text = hours("31.12.2023 23:00,1,2,1,2,5", "01.01.2024 00:00,1,2,1,2,5")
    with pytest.raises(FileError, match=r"found '31.12.2023 23:00': say how to read them with --time-format"):
        of(tmp_path, text)
    found = of(tmp_path, text, replace(EUR, time_format="%d.%m.%Y %H:%M"))
    assert found.bars["open_ns"].iloc[0] == at("2023-12-31 23:00")
    assert found.notes == ["times without a zone are taken for UTC: see --tz"]
    days = of(tmp_path, "20240102,1,2,1,2\n20240103,1,2,1,2\n", replace(EUR, interval_s=86400))
    assert days.bars["open_ns"].iloc[0] == at("2024-01-02")
    local = replace(EUR, interval_s=86400, zone="UTC+02:00")
    days = of(tmp_path, "20240102,1,2,1,2\n20240103,1,2,1,2\nlater,1,2,1,2\n", local)
    assert (days.bars["open_ns"].iloc[0], days.set_aside) == (
        at("2024-01-01 22:00"),
        {"time not readable": 1},
    )


def test_times_since_midnight_need_a_day(tmp_path: Path) -> None:
    row = "1.1,1.2,1.0,1.1,0,1.2,1.3,1.1,1.2,0"
    text = f"0,{row}\n3600000,{row}\n86400000,{row}\n"
    lean = replace(EUR, zone="UTC")
    with pytest.raises(FileError, match="give --date"):
        of(tmp_path, text, lean)
    with pytest.raises(FileError, match="fxcm, oanda in its path"):
        of(tmp_path, text, EUR)
    for found in (
        of(tmp_path, text, replace(lean, day=date(2024, 1, 2))),
        of(tmp_path, text, lean, "20240102_quote.csv"),
    ):
        assert found.bars["open_ns"].tolist() == [at("2024-01-02 00:00"), at("2024-01-02 01:00")]
        assert found.set_aside == {"time not readable": 1}


def test_zones() -> None:
    assert str(parse_zone("UTC-05:00")) == "UTC-05:00"
    assert str(parse_zone("America/New_York")) == "America/New_York"
    for wrong in ("Mars/Base", "UTC+99", "", "../etc/passwd"):
        with pytest.raises(FileError, match="expected a time zone"):
            parse_zone(wrong)


# ---- rows


def test_what_cannot_be_a_bar_is_counted_and_left_out(tmp_path: Path) -> None:
    text = hours(
        "2024-01-01 03:00,1,2,1,2,5", "2024-01-01 00:00,1,2,1,2,5", "2024-01-01 01:00,1,2,1,2,5",
        "2024-01-01 01:00,1,2,1,2,5", "2024-01-01 02:00,1,2,1,2,5", "2024-01-01 02:00,1,2,1,1.5,6",
        "2024-01-01 04:00,,2,1,2,5", "2024-01-01 05:00,nan,2,1,2,5", "2024-01-01 06:00,x,2,1,2,5",
        "2024-01-01 07:00,1,1.5,1,2,5", "2024-01-01 08:00,1,2,1,2,-5", "soon,1,2,1,2,5",
        "2024-01-01 09:00,1,2,1,2,5,6,7", "2024-01-01 10:00,1,2,1,2,",
    )  # fmt: skip
    found = of(tmp_path, text, now="2024-01-01 11:00")
    assert found.set_aside == {
        "row repeated": 1, "another row of that time follows": 1, "no price": 3, "high or low within open and close": 1,
        "negative volume": 1, "time not readable": 1, "wrong number of columns": 1,
    }  # fmt: skip
    assert "rows were not in order of time: sorted" in found.notes
    assert found.bars["open_ns"].tolist() == [at(f"2024-01-01 {h:02}:00") for h in (0, 1, 2, 3, 10)]
    assert found.bars["close"].tolist() == [2, 2, 1.5, 2, 2]
    assert found.gaps(3600) == 1
    (batch,) = found.batches(EUR)
    assert batch.volume == [5, 5, 6, 5, None]
    assert of(tmp_path, text, now="2024-01-01 10:59").set_aside["bar not over yet"] == 1


def test_the_interval_is_held_against_the_rows(tmp_path: Path) -> None:
    text = hours(*(f"2024-01-01 {h:02}:00,1,2,1,2,5" for h in range(0, 24, 4)))
    with pytest.raises(FileError, match="found most 14400 s apart: give --interval 4h"):
        of(tmp_path, text)
    mixed = hours(*(f"2024-01-01 0{h}:00,1,2,1,2,5" for h in range(5)), "2024-01-01 04:30,1,2,1,2,5")
    with pytest.raises(FileError, match="found two 1800 s apart at 2024-01-01 04:00"):
        of(tmp_path, mixed)
    assert [spelled(x) for x in (86400, 7200, 300, 1)] == ["1d", "2h", "5m", "1s"]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("", {}, "empty file"), ("{", {}, "expected JSON"), ("[]", {}, "found none"), ("[[1,2],[3,4]]", {}, "found 2"),
        ('{"a":1}', {}, "expected JSON"), ("PAR1xx", {}, "expected Parquet"), (b"\x1f\x8b\x08broken", {}, "readable"),
        (b"PK\x03\x04broken", {}, "readable"), (b"\xff\xfe\x00", {}, "UTF-8"), (HEADER, {}, "a header only"),
        ("Date;open;high;low;close\n2024-01-01;1;2;1;2\n", {"separator": ","}, "separated by ','"),
        ("Date,price\n2024-01-01,5\n", {}, "at least time, open"),
        ("Date,price,high,low,close\n2024-01-01,5,5,5,5\n", {}, "expected a column for open, found 'Date', 'price'"),
        ("Date;open;high;low;close\n2024-01-01;1,5;2,5;1,5;2,0\n", {}, "found open='1,5': write a point"),
        ("1,2,3,4,5,6,7,8\n", {}, "5, 6, 11 or 12 columns"),
        (hours("2024-01-01,1,2,1,2,5"), {"time_format": "%Q"}, "expected a time format|expected times"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected_found_and_what_to_do(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(FileError, match=said):
        of(tmp_path, content, replace(EUR, **options))


def test_numbers_with_commas_are_refused_not_left_out_here_and_there(tmp_path: Path) -> None:
    for row in ("1,1;1,2;1,0;1,1;5", "1;2;1;2;1,200", "1.234,5;1.234,5;1.234,5;1.234,5;5"):
        text = f"Date;open;high;low;close;volume\n2024-01-01 00:00;{row}\n2024-01-01 01:00;1;2;1;2;5\n"
        with pytest.raises(FileError, match=r"expected numbers such as 1234\.5, found"):
            of(tmp_path, text)


def test_times_that_no_store_can_hold_are_set_aside(tmp_path: Path) -> None:
    sound = [f"2024-01-01 0{h}:00,1,2,1,2,5" for h in range(2)]
    for zone in (None, "America/New_York"):
        for year in ("9999-12-31", "1600-01-01", "2262-04-11", "1677-09-21"):
            found = of(tmp_path, hours(f"{year} 23:00,1,2,1,2,5", *sound), replace(EUR, zone=zone))
            assert (len(found.bars), found.set_aside) == (2, {"time not readable": 1})


@pytest.mark.parametrize("interval_s", [3600, 86_400])
def test_days_of_a_spreadsheet_are_no_epochs(tmp_path: Path, interval_s: int) -> None:
    rows = [f"{45617 + at * interval_s / 86_400:.6f},1,2,1,2,5" for at in range(3)]
    for some in (rows, rows[:1]):
        with pytest.raises(FileError, match="found numbers such as 45617"):
            of(tmp_path, hours(*some), replace(EUR, interval_s=interval_s))


@pytest.mark.parametrize("offset", ["+02", "+0200", "+02:00", " +02:00"])
def test_an_offset_goes_before_the_zone_however_it_is_written(tmp_path: Path, offset: str) -> None:
    rows = [f"2024-01-01 0{h}:00{offset},1,2,1,2,5" for h in range(2)]
    found = of(tmp_path, hours(*rows), replace(EUR, zone="America/New_York"))
    assert found.bars["open_ns"][0] == at("2023-12-31 22:00")
    compact = [f"20240101T0{h}0000{offset.strip()},1,2,1,2,5" for h in range(2)]
    found = of(tmp_path, hours(*compact), replace(EUR, zone="America/New_York"))
    assert found.bars["open_ns"][0] == at("2023-12-31 22:00")
    named = replace(EUR, zone="America/New_York", time_format="%d.%m.%Y %H:%M %Z")
    found = of(tmp_path, hours("01.02.2024 00:00 UTC,1,2,1,2,5"), named)
    assert found.bars["open_ns"][0] == at("2024-02-01")


def test_exports_of_metatrader_and_spreadsheets_are_read(tmp_path: Path) -> None:
    names = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    rows = [f"2024.01.02\t0{h}:00:00\t1\t2\t1\t2\t10\t0\t5\n" for h in range(2)]
    found = of(tmp_path, names + "".join(rows))
    assert found.bars["open_ns"].tolist() == [at("2024-01-02 00:00"), at("2024-01-02 01:00")]
    (batch,) = found.batches(EUR)
    assert batch.volume == [None, None], "0 stands for what the market does not tell"
    both = "time,date,open,high,low,close\n1704153600,2024-01-02,1,2,1,2\n"
    assert of(tmp_path, both).bars["open_ns"].tolist() == [at("2024-01-02 00:00")]
    plain = hours("2024-01-02 00:00,1,2,1,2,5")
    for content in (plain.encode("utf-16"), b"sep=,\r\n" + plain.encode(), b"\xef\xbb\xbf" + plain.encode()):
        assert of(tmp_path, content).bars["open_ns"].tolist() == [at("2024-01-02")]


def test_a_number_of_trades_beyond_what_travels_is_not_told(tmp_path: Path) -> None:
    text = "time,open,high,low,close,trades\n2024-01-02 00:00,1,2,1,2,1e30\n2024-01-02 01:00,1,2,1,2,7\n"
    (batch,) = of(tmp_path, text).batches(EUR)
    assert batch.trades == [None, 7]


def test_an_interval_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="a second at least"):
        of(tmp_path, hours("2024-01-02 00:00,1,2,1,2,5"), replace(EUR, interval_s=0))


def test_rows_of_json_of_another_length_are_set_aside(tmp_path: Path) -> None:
    rows: list[list[float]] = [[at(f"2024-01-01 0{h}:00") // 10**6, 1, 2, 1, 2, 5] for h in range(3)]
    assert of(tmp_path, json.dumps([*rows, rows[0][:3]])).set_aside == {"wrong number of columns": 1}


def test_an_archive_holds_one_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr("b.csv", "2")
    with pytest.raises(FileError, match="found 2: unpack it"):
        read(tmp_path / "two.zip")


def test_unscaled_prices_under_a_scaled_header_stay(tmp_path: Path) -> None:
    text = "Date,open,high,low,close,tick_volume\n" + "".join(
        f"2024-01-01 0{h}:00,1.1,1.2,1.05,1.15,7\n" for h in range(3)
    )
    assert of(tmp_path, text).bars["open"].iloc[0] == 1.1


# ---- numbers


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=20), st.integers(0, 6), st.integers(0, 4))
def test_scaling_is_exact(points: list[int], places: int, noise: int) -> None:
    scale = Decimal(1).scaleb(-places)
    values = np.array([np.nextafter(x, x + noise - 2) for x in points], float)
    assert scaled(values, scale).tolist() == [float(x * scale) for x in points]


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=20))
def test_the_middle_is_exact(pairs_: list[tuple[int, int]]) -> None:
    bid, ask = (np.array([float(Decimal(x).scaleb(-5)) for x in side]) for side in zip(*pairs_, strict=True))
    assert middle(bid, ask).tolist() == [float(Decimal(a + b).scaleb(-5) / 2) for a, b in pairs_]


@example(b"\0\r\0")
@given(st.binary(max_size=300) | st.text('0123456789.,;-:T \n[]{}"abDate', max_size=300).map(str.encode))
def test_any_bytes_are_bars_or_a_file_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        found = imported(path, EUR)
    except FileError:
        return
    assert len(found.bars) >= 1
