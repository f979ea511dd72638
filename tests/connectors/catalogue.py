"""What the catalogue of the recordings (README.md there, section 2) says of each OHLCV file."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.imports import Options

INTERVALS_S = {"1m": 60, "1h": 3600, "4h": 14400, "1d": 86400}


@dataclass(frozen=True)
class Known:
    path: str  # under ohlcv
    options: Options
    rows: int
    first: str = ""
    last: str = ""
    gaps: int | None = None
    zero_volumes: int | None = None


# file | rows | from | to | gaps | zero-volume rows: the catalogue's table, of files binance_<name>_USDT-<interval>
CATALOGUE = """
ADA-1d 1142 2018-04-17 00:00 2021-06-01 00:00 0 0
BNB-1d 1304 2017-11-06 00:00 2021-06-01 00:00 0 0
DOGE-1d 698 2019-07-05 00:00 2021-06-01 00:00 0 0
ETH-1d 1385 2017-08-17 00:00 2021-06-01 00:00 0 0
LTC-1d 1267 2017-12-13 00:00 2021-06-01 00:00 0 0
XRP-1d 1125 2018-05-04 00:00 2021-06-01 00:00 0 0
ADA-1m 66087 2023-03-16 22:15 2023-05-01 21:01 1 76
ATOM-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 27
AVAX-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 156
BTC-1m 66087 2023-03-16 22:15 2023-05-01 21:01 1 72
DOGE-1m 66088 2023-03-16 22:15 2023-05-01 21:02 1 72
DOT-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 34
ETH-1m 66087 2023-03-16 22:15 2023-05-01 21:01 1 72
LINK-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 93
LTC-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 0
MATIC-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 0
SOL-1m 66088 2023-03-16 22:15 2023-05-01 21:02 1 73
TRX-1m 43199 2023-04-01 21:04 2023-05-01 21:02 0 0
XRP-1m 43199 2023-04-01 21:03 2023-05-01 21:01 0 0
"""
ROWS = {"1h": 57600, "4h": 14400, "1d": 2400}  # of ejtrader's files
LEAN_DAILY = {"eurgbp": 3487, "eurusd": 3487, "gbpusd": 3278, "nzdusd": 3487}
# The catalogue counts Lean's days, not their minutes: those are counted here, by newlines.


def catalogue(folder: Path) -> Iterator[Known]:
    """What is known of every file under `folder`."""
    for line in CATALOGUE.split("\n"):
        if line:
            name, rows, *span, gaps, zeros = line.split()
            base, interval = name.split("-")
            yield Known(
                f"crypto_{interval}/binance_{base}_USDT-{interval}.json.gz",
                Options(f"{base}-USDT", "binance_spot", INTERVALS_S[interval]),
                int(rows), f"{span[0]} {span[1]}", f"{span[2]} {span[3]}", int(gaps), int(zeros),
            )  # fmt: skip
    for path in sorted(folder.glob("forex/ejtrader_*")):
        pair, interval = re.fullmatch(r"ejtrader_([A-Z]{6})(h1|h4|d1)\.csv\.gz", path.name).groups()  # type: ignore[union-attr]
        options = Options(f"{pair[:3]}-{pair[3:]}", "metatrader", INTERVALS_S[interval[::-1]])
        last = {"h1": "2022-03-04 23:00", "h4": "2022-03-04 20:00", "d1": "2022-03-04"}[interval]
        first = {"XAUUSDh1": "2012-05-17 08:00", "USDJPYh1": "2012-11-16 12:00", "EURUSDd1": "2012-12-04"}
        if f"{pair}{interval}" in first:
            yield Known(f"forex/{path.name}", options, ROWS[interval[::-1]], first[f"{pair}{interval}"], last)
        else:
            yield Known(f"forex/{path.name}", options, ROWS[interval[::-1]])
    minute = Options("GBP-USD", "fxcm", 60)
    for side in ("bid", "ask"):
        name = f"forex/nautilus_fxcm_gbpusd-m1-{side}-2012.csv.gz"
        yield Known(name, minute, 30117, "2012-02-01", "2012-03-01")
    yield Known(
        "forex/backtestingpy_EURUSD_1h.csv.gz",
        Options("EUR-USD", "v", 3600),
        5000,
        "2017-04-19 09:00",
        "2018-02-07 15:00",
    )
    yield Known(
        "backtestingpy_GOOG_1d.csv.gz", Options("GOOG-USD", "v", 86400), 2148, "2004-08-19", "2013-03-01"
    )
    for pair, rows in LEAN_DAILY.items():
        options = Options(f"{pair[:3]}-{pair[3:]}".upper(), "fxcm", 86400)
        last = "2018-07-17 05:00" if pair == "gbpusd" else "2018-07-04 05:00"
        yield Known(f"lean/forex/fxcm/daily/{pair}.zip", options, rows, "2007-03-30 05:00", last)
    for path in sorted(folder.glob("lean/*/*/minute/*/*.zip")):
        pair = path.parent.name
        options = Options(f"{pair[:3]}-{pair[3:]}".upper(), path.parents[2].name, 60)
        yield Known(str(path.relative_to(folder)), options, _lines(path))


def _lines(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(1 for line in archive.read(archive.namelist()[0]).split(b"\n") if line.strip())
