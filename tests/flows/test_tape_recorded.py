"""The tape of every recording of Binance: rows of the kernel against the oracle, and what must add up."""

import math
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.flows import tape_oracle as oracle
from tests.flows import tape_run
from tests.flows.tape_run import columns

INTERVALS = (1, 60, 300, 900, 3600, 14400, 86400)
FOOTPRINTS = (10, 60, 3600)

RECORDINGS = {  # market, files, symbol of snapshots, and by symbol its canonical name and price row
    "usdm": ("binance_futures", ("usdm_btcusdt_20240808.gz",), "BTCUSDT", {"BTCUSDT": ("BTC-USDT-PERP", "1")}),
    "spot btc": (
        "binance_spot", ("spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"), "BTCUSDT",
        {"BTCUSDT": ("BTC-USDT", "1")},
    ),
    "spot eth": (
        "binance_spot", ("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"), "ETHUSDT",
        {"ETHUSDT": ("ETH-USDT", "0.05")},
    ),
    "spot 2021": (
        "binance_spot", ("cryptofeed_spot_4sym_20211012.jsonl.zst",), None,
        {"NKNUSDT": ("NKN-USDT", "0.0001"), "LRCBTC": ("LRC-BTC", "0.00000001")},
    ),
    "usdm 2021": (
        "binance_futures", ("cryptofeed_usdm_4sym_20210722.jsonl.zst",), None,
        {
            "SUSHIUSDT": ("SUSHI-USDT-PERP", "0.001"), "CTKUSDT": ("CTK-USDT-PERP", "0.001"),
            "AKROUSDT": ("AKRO-USDT-PERP", "0.00001"), "KEEPUSDT": ("KEEP-USDT-PERP", "0.0001"),
        },
    ),
}  # fmt: skip
LONG = ("spot btc",)


@cache
def told(name: str, folder: Path) -> tuple[dict[str, oracle.Tape], dict[str, tape_run.Rows]]:
    """The oracle's tapes of a recording by symbol, and the kernel's rows."""
    venue, files, symbol, _ = RECORDINGS[name]
    paths = [folder / "binance" / file for file in files]
    return oracle.binance(*paths), tape_run.run(venue, paths, symbol)


def cases() -> list[Any]:
    return [
        pytest.param(name, symbol, id=f"{name} {symbol}", marks=pytest.mark.slow if name in LONG else ())
        for name, (*_, symbols) in RECORDINGS.items()
        for symbol in symbols
    ]


def lots(row: dict[str, Any], name: str, tape: oracle.Tape) -> Any:
    """Lots of a row in the oracle's lots; exact, or the comparison that follows fails."""
    scale = Fraction(10) ** (tape.size_decimals - row["size_decimals"])
    return [x * scale for x in row[name]] if isinstance(row[name], list | tuple) else row[name] * scale


def price(tape: oracle.Tape, ticks: int) -> float:
    return float(tape.price(ticks))


def of(
    name: str, symbol: str, folder: Path
) -> tuple[oracle.Tape, dict[str, tape_run.Rows], dict[str, Any], Decimal]:
    """Tape, rows, what names the instrument's rows, and its price row."""
    tapes, rows = told(name, folder)
    instrument, step = RECORDINGS[name][3][symbol]
    return tapes[symbol], rows, {"instrument": instrument, "venue": RECORDINGS[name][0]}, Decimal(step)


def test_no_symbol_with_trades_is_missing(recordings: Path) -> None:
    for name, (*_, symbols) in RECORDINGS.items():
        if name in LONG:
            continue
        tapes, rows = told(name, recordings)
        assert set(tapes) == set(symbols)
        assert {row["instrument"] for row in rows["trades"].values()} == {x for x, _ in symbols.values()}
        assert not rows["dead_letters"]


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_trades_are_those_of_the_recording(recordings: Path, name: str, symbol: str) -> None:
    tape, rows, named, _ = of(name, symbol, recordings)
    found = [
        (r["time_ns"], r["received_ns"], r["trade_id"], r["price"], r["size"], oracle.SIGN[r["side"]])
        for r in columns(rows["trades"], **named)
    ]
    frame = tape.frame
    assert found == sorted(
        (t, recv_ns, trade_id, price(tape, ticks), float(tape.size(size)), sign)
        for t, recv_ns, trade_id, ticks, size, sign in zip(
            frame.time_ns, frame.recv_ns, frame.trade_id, frame.ticks, frame.lots, frame.sign, strict=True
        )
    )


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_order_flow_of_all_intervals(recordings: Path, name: str, symbol: str) -> None:
    tape, rows, named, _ = of(name, symbol, recordings)
    for interval_s in INTERVALS:
        expected = oracle.bars(tape, interval_s)
        found = columns(rows["order_flow"], interval_s=interval_s, **named)
        closed = [row["open_ns"] for row in found]
        assert closed in (list(expected), list(expected)[:-1]), (
            "all but the last, which nothing may have closed"
        )
        for row in found:
            bar = expected[row["open_ns"]]
            assert [row[x] for x in ("open", "high", "low", "close")] == [
                price(tape, x) for x in (bar.open, bar.high, bar.low, bar.close)
            ]
            assert (row["trades"], row["received_ns"]) == (bar.trades, bar.newest_recv_ns)
            assert row["version"] >= row["received_ns"]
            names = ("buy_lots", "sell_lots", "unknown_lots", "delta_min_lots", "delta_max_lots")
            assert [lots(row, x, tape) for x in names] == [
                bar.buy, bar.sell, bar.unknown, bar.delta_min, bar.delta_max,
            ]  # fmt: skip
            assert row["inferred_lots"] == 0
            assert tuple(row["size_edges"]) == oracle.SIZE_EDGES
            assert tuple(lots(row, "class_buy_lots", tape)) == bar.class_buy
            assert tuple(lots(row, "class_sell_lots", tape)) == bar.class_sell
            quote = float(Fraction(bar.quote, 10 ** (tape.price_decimals + tape.size_decimals)))
            assert row["quote_volume"] == pytest.approx(quote, rel=1e-12)
        # The recording begins within the first one.
        assert [row["whole"] for row in found[:1]] in ([], [False])


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_bars_are_those_of_whole_order_flow(recordings: Path, name: str, symbol: str) -> None:
    tape, rows, named, _ = of(name, symbol, recordings)
    for interval_s in INTERVALS:
        whole = {
            r["open_ns"] for r in columns(rows["order_flow"], interval_s=interval_s, whole=True, **named)
        }
        found = columns(rows["bars"], interval_s=interval_s, source="trades", **named)
        assert {row["open_ns"] for row in found} == whole
        expected = oracle.bars(tape, interval_s)
        for row in found:
            bar = expected[row["open_ns"]]
            assert [row[x] for x in ("open", "high", "low", "close", "trades", "volume", "buy_volume")] == [
                *(price(tape, x) for x in (bar.open, bar.high, bar.low, bar.close)), bar.trades,
                float(tape.size(bar.buy + bar.sell + bar.unknown)), float(tape.size(bar.buy)),
            ]  # fmt: skip


@pytest.mark.parametrize("name", ["usdm", pytest.param("spot btc", marks=pytest.mark.slow), "spot eth"])
def test_of_contiguous_trades_all_but_the_first_bar_are_whole(recordings: Path, name: str) -> None:
    for interval_s in (1, 60):
        rows = columns(told(name, recordings)[1]["order_flow"], interval_s=interval_s)
        assert len(rows) > 4
        assert [row["whole"] for row in rows] == [False] + [True] * (len(rows) - 1)


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_footprints_add_up_to_what_was_traded(recordings: Path, name: str, symbol: str) -> None:
    tape, rows, named, step = of(name, symbol, recordings)
    for interval_s in FOOTPRINTS:
        expected = oracle.footprints(tape, interval_s, step)
        flow = oracle.bars(tape, interval_s)
        found = columns(rows["footprints"], interval_s=interval_s, **named)
        assert [row["open_ns"] for row in found] in (list(expected), list(expected)[:-1])
        for row in found:
            assert row["row_step"] == float(step)
            sides = [lots(row, x, tape) for x in ("buy_lots", "sell_lots", "unknown_lots")]
            assert (
                dict(zip(row["price_row"], zip(*sides, strict=True), strict=True)) == expected[row["open_ns"]]
            )
            assert row["price_row"] == sorted(row["price_row"])
            bar = flow[row["open_ns"]]
            assert [sum(side) for side in sides] == [bar.buy, bar.sell, bar.unknown]
            assert sum(sides[0]) - sum(sides[1]) == bar.delta


def expected_profile(tape: oracle.Tape, step: Decimal, from_ns: int, to_ns: int) -> dict[str, Any]:
    """What a row of `profiles` says, of the trades between."""
    frame = tape.frame[(tape.frame.time_ns >= from_ns) & (tape.frame.time_ns < to_ns)]
    part = oracle.Tape(frame, tape.price_decimals, tape.size_decimals)
    found = oracle.summary(part, step)
    cells = oracle.by_row(frame, part.rows(step))
    ticks, lots_of = frame.ticks.astype(object), frame.lots.astype(object)
    total, squares = (ticks * lots_of).sum(), (ticks * ticks * lots_of).sum()
    spread = Fraction(squares, lots_of.sum()) - Fraction(total, lots_of.sum()) ** 2
    halves = cells_of_half_hours(part, step, from_ns)
    return {
        **{x: float(found[x]) for x in ("poc", "vah", "val", "vah_single", "val_single")},
        "high": price(tape, int(frame.ticks.max())), "low": price(tape, int(frame.ticks.min())),
        "sizes": [found[x] for x in ("buy", "sell", "unknown", "poc_size")],
        "vwap": pytest.approx(found["vwap"], rel=1e-12),
        "vwap_sd": pytest.approx(math.sqrt(spread) / 10**tape.price_decimals, rel=1e-7, abs=1e-9),
        "halves": halves, "lowest": min(cells),
    }  # fmt: skip


def cells_of_half_hours(tape: oracle.Tape, step: Decimal, from_ns: int) -> list[tuple[int, int]]:
    """Lowest and highest price row of each half hour from the span's open on that traded."""
    rows = tape.rows(step).groupby((tape.frame.time_ns - from_ns) // (1800 * 10**9))
    return [(int(part.min()), int(part.max())) for _, part in rows]


def half_hour_profile(
    halves: list[tuple[int, int]], lowest: int, step: Decimal
) -> tuple[float, float, float]:
    """Point of control and value area (two-row) by half hours."""
    highest = max(high for _, high in halves)
    counts = [sum(low <= row <= high for low, high in halves) for row in range(lowest, highest + 1)]
    poc, area = oracle.point_of_control(counts), oracle.value_area(counts, 2)
    assert poc is not None and area is not None
    return (
        float(step * (lowest + poc)),
        float(step * (lowest + area[1] + 1)),
        float(step * (lowest + area[0])),
    )


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_profiles_of_sessions_and_rolling_spans(recordings: Path, name: str, symbol: str) -> None:
    tape, rows, named, step = of(name, symbol, recordings)
    found = columns(rows["profiles"], **named)
    minutes = {t // (60 * 10**9) for t in tape.frame.time_ns}
    # The last minute may be open when the recording ends.
    assert len({r["time_ns"] for r in found if r["span"] == "day"}) in (len(minutes), len(minutes) - 1)
    for row in found:
        expected = expected_profile(tape, step, row["open_ns"], row["time_ns"])
        halves, lowest, sizes = (expected.pop(x) for x in ("halves", "lowest", "sizes"))
        assert {x: row[x] for x in expected} == expected, row["span"]
        names = ("buy_lots", "sell_lots", "unknown_lots", "poc_lots")
        assert [Decimal(row[x]).scaleb(-row["size_decimals"]) for x in names] == sizes
        assert (
            row["low"] - row["row_step"]
            < row["val"]
            <= row["poc"]
            < row["vah"]
            <= row["high"] + row["row_step"]
        )
        by_halves = (row["tpo_poc"], row["tpo_vah"], row["tpo_val"])
        if row["span"].startswith("rolling"):
            assert all(map(math.isnan, (*by_halves, row["initial_high"], row["initial_low"])))
        else:
            assert by_halves == half_hour_profile(halves, lowest, step)


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_a_tie_does_not_move_the_developing_point_of_control(
    recordings: Path, name: str, symbol: str
) -> None:
    tape, rows, named, step = of(name, symbol, recordings)
    last: dict[tuple[str, int], Decimal] = {}
    for row in columns(rows["profiles"], **named):
        if row["span"].startswith("rolling"):
            continue
        frame = tape.frame[(tape.frame.time_ns >= row["open_ns"]) & (tape.frame.time_ns < row["time_ns"])]
        part = oracle.Tape(frame, tape.price_decimals, tape.size_decimals)
        cells = oracle.by_row(frame, part.rows(step))
        volumes = {step * i: sum(cells[i]) for i in cells}
        poc = oracle.point_of_control(oracle.total_by_row(cells))
        assert poc is not None
        before = last.get((row["span"], row["open_ns"]))
        keeps = before is not None and volumes[before] == max(volumes.values())
        last[row["span"], row["open_ns"]] = (
            before if keeps and before is not None else step * (min(cells) + poc)
        )
        assert row["developing_poc"] == float(last[row["span"], row["open_ns"]])


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_delta_is_what_cumulative_delta_grows_by(recordings: Path, name: str, symbol: str) -> None:
    """Per minute: buying less selling of the session so far grows by the bar's delta, and so does the footprint's."""
    tape, rows, named, _ = of(name, symbol, recordings)
    flow = {r["open_ns"]: r for r in columns(rows["order_flow"], interval_s=60, **named)}
    cells = {r["open_ns"]: r for r in columns(rows["footprints"], interval_s=60, **named)}
    assert flow.keys() == cells.keys()
    before: dict[int, Any] = {}
    for row in columns(rows["profiles"], span="day", **named):
        cumulative = lots(row, "buy_lots", tape) - lots(row, "sell_lots", tape)
        bar = flow[row["time_ns"] - 60 * 10**9]
        delta = lots(bar, "buy_lots", tape) - lots(bar, "sell_lots", tape)
        assert cumulative - before.get(row["open_ns"], 0) == delta
        row_cells = cells[bar["open_ns"]]
        assert sum(lots(row_cells, "buy_lots", tape)) - sum(lots(row_cells, "sell_lots", tape)) == delta
        assert lots(bar, "delta_min_lots", tape) <= delta <= lots(bar, "delta_max_lots", tape)
        before[row["open_ns"]] = cumulative


@pytest.mark.parametrize(("name", "symbol"), cases())
def test_large_trades_are_prints_of_one_side_and_time_taken_together(
    recordings: Path, name: str, symbol: str
) -> None:
    tape, rows, named, _ = of(name, symbol, recordings)
    runs = oracle.runs(tape)
    # The last may not be over when the recording ends.
    expected = [(runs[i], threshold) for i, threshold in oracle.large([x[2] for x in runs[:-1]]).items()]
    found = columns(rows["large_trades"], **named)
    assert [
        (
            r["time_ns"],
            oracle.SIGN[r["side"]],
            r["size"],
            r["prints"],
            r["low"],
            r["high"],
            r["trade_id"],
            r["threshold"],
        )
        for r in found
    ] == sorted(
        (
            t,
            sign,
            float(tape.size(n)),
            prints,
            price(tape, low),
            price(tape, high),
            first,
            float(tape.size(threshold)),
        )
        for (t, sign, n, prints, _, low, high, first), threshold in expected
    )
    for row, (run, _) in zip(found, sorted(expected), strict=True):
        assert row["price"] == pytest.approx(float(run[4] / 10**tape.price_decimals), rel=1e-12)
    if len(tape.frame) > 5000:
        assert len(runs) / 500 < len(found) < len(runs) / 20


@pytest.mark.parametrize("name", ["usdm 2021", pytest.param("usdm", marks=pytest.mark.slow)])
def test_how_records_are_handed_over_changes_no_row(recordings: Path, name: str) -> None:
    venue, files, symbol, _ = RECORDINGS[name]
    paths = [recordings / "binance" / file for file in files]
    found, expected = tape_run.run(venue, paths, symbol, at_once=1), told(name, recordings)[1]
    for table, rows in expected.items():
        assert {key: repr(row) for key, row in found[table].items()} == {
            key: repr(row) for key, row in rows.items()
        }
