"""`isotherm replay --summary tape` against pandas on the recording itself."""

import json
from decimal import Decimal

import pytest

from tests.flows import tape_oracle as oracle
from tests.integration.pipeline import isotherm, replay

SIDES = {1: "buy", -1: "sell", 0: "unknown"}


def compare(found: dict, tape: oracle.Tape, step: str) -> None:
    """Every figure that is printed: sizes and prices exactly, means to the last digit of a float."""
    unit = 10**tape.price_decimals
    expected = oracle.summary(tape, Decimal(step)) | {"row_step": Decimal(step)}
    exact = {name: Decimal(found[name]) for name in expected if name not in ("trades", "vwap")}
    assert {"trades": found["trades"], "vwap": found["vwap"], **exact} == expected
    assert [
        (x["time_ns"], x["side"], Decimal(x["size"]), x["prints"], x["price"], Decimal(x["low"]), Decimal(x["high"]))
        for x in found["largest"]
    ] == [
        (t, SIDES[sign], tape.size(lots), prints, float(mean / unit), tape.price(low), tape.price(high))
        for t, sign, lots, prints, mean, low, high in oracle.largest_trades(tape)
    ]  # fmt: skip
    assert [
        (x["time_ns"], x["side"], Decimal(x["low"]), Decimal(x["size"]), x["prints"])
        for x in found["largest_prints"]
    ] == [(t, SIDES[s], tape.price(p), tape.size(n), 1) for t, s, p, n in oracle.largest_prints(tape)]


def test_futures_recording(recordings, tmp_path):
    path = recordings / "binance/usdm_btcusdt_20240808.gz"
    told = replay(tmp_path, "binance_futures", "BTCUSDT", path, options=("--summary", "tape"))
    assert (told["venue"], told["lines"], list(told["tape"])) == ("binance_futures", 93954, ["BTC-USDT-PERP"])
    found = told["tape"]["BTC-USDT-PERP"]
    compare(found, oracle.binance(path)["BTCUSDT"], "1")
    # As they were when this was written, by pandas alone.
    assert {name: found[name] for name in ("poc", "vah", "val", "total", "delta")} == {
        "poc": "61640", "vah": "61707", "val": "61596", "total": "2429.366", "delta": "73.786",
    }  # fmt: skip
    assert (found["largest"][0]["size"], found["largest_prints"][0]["size"]) == ("70.633", "46")


@pytest.mark.slow
def test_spot_recordings_over_midnight(recordings, tmp_path):
    for symbol, instrument, step in (("BTCUSDT", "BTC-USDT", "1"), ("ETHUSDT", "ETH-USDT", "0.05")):
        paths = [recordings / f"binance/spot_{symbol.lower()}_{day}.gz" for day in ("20240808", "20240809")]
        told = replay(tmp_path / symbol, "binance_spot", symbol, *paths, options=("--summary", "tape"))
        compare(told["tape"][instrument], oracle.binance(*paths)[symbol], step)


def test_only_what_was_replayed_counts(recordings, tmp_path):
    """A second recording of another day in the same store: each summary is of its own."""
    path = recordings / "binance/cryptofeed_usdm_4sym_20210722.jsonl.zst"
    first = replay(tmp_path, "binance_futures", None, path, options=("--summary", "tape"))
    again = replay(tmp_path, "binance_futures", None, path, options=("--summary", "tape"))
    assert first == again
    tapes = oracle.binance(path)
    assert len(first["tape"]) == len(tapes) == 4
    for symbol, tape in tapes.items():
        found = first["tape"][f"{symbol.removesuffix('USDT')}-USDT-PERP"]
        assert (found["trades"], Decimal(found["total"])) == (
            len(tape.frame),
            tape.size(int(tape.frame.lots.sum())),
        )


def test_a_recording_without_trades_has_an_empty_tape(recordings, tmp_path):
    path = recordings / "kraken/v2_book25_btcusd_20260802.gz"
    told = isotherm("replay", "--venue", "kraken", "--data-dir", tmp_path, "--summary", "tape", path)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["tape"] == {}
