"""On every recording of a book, each stored column and measure equals the Decimal oracle's bit for bit."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

from connectors import recordings as recording_files
from connectors.record import Chunker, Record, encode_line
from connectors.recording_file import Fault
from connectors.venue import market
from connectors.venue_clock import CLOCK_KEY
from tests.flows.kernels.compare import assert_equal, judge, run


@dataclass(frozen=True)
class Golden:
    market: str
    files: tuple[str, ...]
    symbol: str | None
    counts: dict[str, int]
    best: dict[str, tuple[str, str]] = field(default_factory=dict)
    folder: str = "binance"


BYBIT = "v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz"
QUIET = {"gaps": 0, "crossed": 0, "dead_letters": 0, "late": 0, "resets": 0}
GOLDEN = {
    "usdm_btc": Golden(
        "binance_futures", ("usdm_btcusdt_20240808.gz",), "BTCUSDT",
        QUIET | {"depth_messages": 6551, "applied": 6547, "stale": 4, "trades": 21313, "other": 66089},
        {"BTCUSDT": ("61659.7", "61659.8")},
    ),
    "spot_btc": Golden(
        "binance_spot", ("spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"), "BTCUSDT",
        QUIET | {"depth_messages": 6495, "applied": 6493},
        {"BTCUSDT": ("61602.01", "61602.02")},
    ),
    "spot_eth": Golden(
        "binance_spot", ("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"), "ETHUSDT",
        QUIET | {"depth_messages": 6470},
    ),
    "cryptofeed_spot": Golden(
        "binance_spot", ("cryptofeed_spot_4sym_20211012.jsonl.zst",), None,
        QUIET | {"depth_messages": 177, "trades": 2, "other": 86},
    ),
    "cryptofeed_usdm": Golden(
        "binance_futures", ("cryptofeed_usdm_4sym_20210722.jsonl.zst",), None,
        QUIET | {"depth_messages": 764, "trades": 91, "other": 680},
    ),
    # The sockets' backlogs come symbol by symbol: what one tells when the other's clock has passed it is late.
    "bybit_linear": Golden(
        "bybit_linear", (BYBIT,), None,
        QUIET | {"depth_messages": 835, "applied": 833, "late": 12}, folder="bybit",
    ),
    "bybit_spot": Golden(
        "bybit_spot", (BYBIT,), None,
        QUIET | {"depth_messages": 550, "applied": 548, "late": 15}, folder="bybit",
    ),
    "kraken_25": Golden(
        "kraken", ("v2_book25_btcusd_20260802.gz",), None,
        QUIET | {"depth_messages": 2052, "applied": 2051}, folder="kraken",
    ),
    # Left and followed again in mid-stream: all its checksums match, and what was not heard is no gap.
    "kraken_10": Golden(
        "kraken", ("v2_book10_btcusd_resubscribe_20260801.gz",), None,
        QUIET | {"depth_messages": 301, "applied": 296, "resets": 4}, folder="kraken",
    ),
    "gemini_v2": Golden(
        "gemini_v2", ("v2_marketdata_l2_btcusd_solusd_btceur_btcusdcperp_20260809.jsonl.gz",), None,
        QUIET | {"depth_messages": 250, "applied": 246, "trades": 2, "other": 2}, folder="gemini",
    ),
    "gemini_v2_2021": Golden(
        "gemini_v2", ("cryptofeed_20210417_GEMINI.ws.36.0.gz",), None,
        QUIET | {"depth_messages": 935, "applied": 925, "trades": 51, "other": 7}, folder="gemini",
    ),
}  # fmt: skip


def records(folder: Path, golden: Golden) -> Iterator[Record]:
    chunker, offset = Chunker(), 0
    for name in golden.files:
        path = folder / golden.folder / name
        for item in recording_files.read(path, market(golden.market), golden.symbol, clocks=True):
            assert not isinstance(item, Fault), item
            key, line = item
            finished = chunker.add(key, line.recv_ns, encode_line(*line))
            for closed, body, _ in chain(finished, chunker.cut()) if key == CLOCK_KEY else finished:
                yield Record(closed, offset, body)
                offset += 1
    for closed, body, _ in chunker.cut():
        yield Record(closed, offset, body)
        offset += 1


@pytest.mark.parametrize("name", GOLDEN)
def test_every_row_equals_the_oracle(name: str, recordings: Path) -> None:
    golden = GOLDEN[name]
    found = list(records(recordings, golden))
    result, oracle = run(golden.market, found), judge(golden.market, found)
    assert_equal(result, oracle)
    summary = result.kernel.summary()
    assert {key: summary[key] for key in golden.counts} == golden.counts
    assert len(result.seconds()) > 10
    for symbol, best in golden.best.items():
        standing = summary["books"][symbol]
        assert (standing["best_bid"], standing["best_ask"]) == best
