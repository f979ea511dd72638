"""Walls and what happens to them: by hand, and on a recording against the definition written out over its columns."""

import json
import math
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from connectors import record
from connectors.record import Chunker, Record, encode_line
from connectors.recordings import read
from connectors.venue import Depth, Trade, market
from flows.kernels import ledger, walls
from flows.kernels.depth import DepthKernel
from flows.kernels.walls import Walls
from tests.flows.kernels.compare import Row, Run, run
from tests.flows.kernels.feed import (
    FUTURES,
    KEY,
    SPOT,
    START_MS,
    START_S,
    Pairs,
    clock,
    control,
    depth,
    instrument,
    line,
    records,
    snapshot,
)
from tests.flows.kernels.test_depth import table_bits

WALL = 990  # the bin of 99.0
RECORDING = ("binance", "usdm_btcusdt_20240808.gz")


def trade_line(ms: int, trade_id: int, price: str, size: str, sold: bool) -> bytes:
    data = {"e": "trade", "E": START_MS + ms, "s": "BTCUSDT", "t": trade_id, "p": price, "q": size}
    data |= {"T": START_MS + ms, "m": sold, "M": True}
    payload = json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":"))
    return line(ms, payload.encode())


class Market:
    """20 levels of 1 a side from 99.9 down and 100.0 up, in bins of one tick: the median is 1, the threshold 5."""

    def __init__(self) -> None:
        bids = [(f"{(999 - i) / 10}", "1") for i in range(20)]
        asks = [(f"{(1000 + i) / 10}", "1") for i in range(20)]
        self.at = 1
        self.bodies = [instrument(bin_step="0.1"), snapshot(0, 1, bids, asks)]
        self.ms = 0

    def book(self, ms: int, bids: Pairs, asks: Pairs | None = None) -> "Market":
        self.at += 1
        return self._add(ms, depth(ms, self.at, self.at, bids, asks or []))

    def trade(self, ms: int, price: str, size: str, sold: bool = True) -> "Market":
        return self._add(ms, trade_line(ms, len(self.bodies), price, size, sold))

    def until(self, s: int) -> "Market":
        """Seconds before `s` end in silence."""
        return self._add(s * 1000 + 300, clock(s * 1000 + 300))

    def lost(self, ms: int) -> "Market":
        """A message that does not follow."""
        self.at += 1
        return self.book(ms, [("99.9", "2")])

    def _add(self, ms: int, body: bytes) -> "Market":
        for s in range(self.ms // 1000 + 1, ms // 1000):
            self.bodies.append(clock(s * 1000 + 300))
        self.ms = ms
        self.bodies.append(body)
        return self

    def run(self) -> Run:
        return run(SPOT, records(*self.bodies))


def told(found: Run) -> list[tuple[int, float, str]]:
    """Of the wall of 99.0: second, size, why it ended."""
    rows = [row for row in found.table("walls") if row["price_row"] == WALL and row["side"] == "bid"]
    return [(row["time_ns"] // 10**9 - START_S, row["size"], row["ended"]) for row in rows]


def events(found: Run, kind: str) -> list[Row]:
    return [row for row in found.table("liquidity_events") if row["kind"] == kind]


def test_a_wall_is_known_after_half_a_minute_and_told_of_every_ten_seconds() -> None:
    found = Market().book(2100, [("99.0", "10")]).until(61).run()
    assert told(found) == [(32, 10, ""), (40, 10, ""), (50, 10, ""), (60, 10, "")]
    first, *_, last = found.table("walls")
    decay = math.exp(-1 / 30)
    weighted = 1.0
    for _ in range(58):
        weighted = weighted * decay + 10 * (1 - decay)
    assert last["weighted_size"] == pytest.approx(weighted)
    assert (last["from_ns"], last["known_ns"]) == ((START_S + 2) * 10**9, (START_S + 32) * 10**9)
    assert (last["threshold"], last["peak_size"], last["tau_s"], last["bin_step"]) == (5, 10, 30, 0.1)
    assert (last["traded"], last["added"], last["pulled"], last["refills"]) == (0, 0, 0, 0)
    assert first["known_ns"] == first["time_ns"]
    assert (last["instrument"], last["venue"]) == ("BTC-USDT", SPOT)


def test_what_stands_for_less_is_no_wall() -> None:
    found = Market().book(2100, [("99.0", "10")]).book(30_900, [("99.0", "1")]).until(61).run()
    assert told(found) == []


def test_what_flashes_is_no_wall() -> None:
    feed = Market()
    for s in range(2, 60):
        feed.book(s * 1000 + 500, [("99.0", "12" if s % 2 else "2")])
    assert told(feed.until(61).run()) == []


def test_a_wall_that_is_cancelled_was_pulled() -> None:
    found = Market().book(2100, [("99.0", "10")]).book(45_500, [("99.0", "0")]).until(50).run()
    assert told(found) == [(32, 10, ""), (40, 10, ""), (46, 0, "pulled")]
    [pull] = events(found, "pull")
    assert (pull["size"], pull["before"], pull["after"], pull["traded"]) == (10, 10, 0, 0)
    assert (pull["price"], pull["side"], pull["age_s"]) == (99, "bid", 43)
    assert pull["time_ns"] == (START_S + 46) * 10**9


def test_a_wall_that_is_eaten_was_traded() -> None:
    feed = Market().book(2100, [("99.0", "10")])
    for i in range(5):
        feed.trade(45_000 + 100 * i, "99.0", "2").book(45_050 + 100 * i, [("99.0", str(8 - 2 * i))])
    found = feed.until(50).run()
    assert told(found)[-1] == (46, 0, "traded")
    assert found.table("walls")[-1]["traded"] == 10
    assert events(found, "pull") == []


def test_a_wall_that_goes_both_ways() -> None:
    feed = Market().book(2100, [("99.0", "10")]).trade(45_000, "99.0", "5").book(45_100, [("99.0", "0")])
    found = feed.until(50).run()
    assert told(found)[-1] == (46, 0, "mixed")
    last = found.table("walls")[-1]
    assert (last["traded"], last["pulled"], last["added"]) == (5, 5, 0)


def test_a_wall_that_is_filled_up_again_stands() -> None:
    feed = Market().book(2100, [("99.0", "10")]).trade(45_000, "99.0", "5").book(45_100, [("99.0", "9")])
    found = feed.until(51).run()
    assert told(found)[-1] == (50, 9, "")
    last = found.table("walls")[-1]
    assert (last["traded"], last["pulled"], last["added"]) == (5, 0, 4)


def test_a_gap_ends_walls() -> None:
    found = Market().book(2100, [("99.0", "10")]).until(40).lost(43_500).until(50).run()
    assert told(found) == [(32, 10, ""), (40, 10, ""), (43, 10, "gap")]
    assert found.table("walls")[-1]["version"] == (START_MS + 43_505) * 10**6


def test_a_reset_ends_walls() -> None:
    feed = Market().book(2100, [("99.0", "10")]).until(40)
    feed.bodies.append(control(40_500, record.RESET, reason="test"))
    assert told(feed.run()) == [(32, 10, ""), (40, 10, ""), (40, 10, "gap")]


def test_a_wall_that_the_column_leaves_behind() -> None:
    feed = Market().book(2100, [("99.0", "10")])
    asks = [(f"{(1000 + i) / 10}", "0") for i in range(20)]
    found = feed.book(40_100, [("160.0", "1")], [*asks, ("160.1", "1")]).until(50).run()
    assert told(found)[-2:] == [(40, 10, ""), (40, 10, "left")]


def test_a_crossed_book_tells_nothing_and_forgets_nothing() -> None:
    feed = Market().book(2100, [("99.0", "10")]).book(35_100, [("100.0", "1")]).until(51)
    found = feed.book(52_100, [("100.0", "0")]).until(61).run()
    assert told(found) == [(32, 10, ""), (60, 10, "")]
    assert found.table("walls")[-1]["from_ns"] == (START_S + 2) * 10**9


def test_an_hour_of_silence_ends_walls() -> None:
    found = Market().book(2100, [("99.0", "10")]).until(40).book(4_000_000, [("99.9", "2")]).run()
    assert told(found)[-1] == (3602, 10, "gap")


def test_an_empty_book_has_no_threshold() -> None:
    feed = Market().book(1000, [(f"{(999 - i) / 10}", "0") for i in range(7, 20)])
    assert told(feed.book(2100, [("99.0", "10")]).until(61).run()) != []
    feed = Market().book(1000, [(f"{(999 - i) / 10}", "0") for i in range(1, 20)])
    assert told(feed.book(2100, [("99.0", "10")]).until(61).run()) == []


def test_walls_are_bounded() -> None:
    levels = [(f"{(985 - i) / 10}", "1" if i % 2 else "50") for i in range(256)]
    feed = Market().book(1000, [(price, "1") for price, _ in levels]).book(2100, levels[: 2 * 16 * 4])
    rows = feed.until(41).run().table("walls")
    walls_found = {row["price_row"] for row in rows}
    assert 40 < len(walls_found) <= walls.WALLS_MAX


def test_a_suspected_iceberg() -> None:
    feed = Market()
    for i in range(3):
        feed.trade(5100 + 200 * i, "99.9", "0.8").book(5150 + 200 * i, [("99.9", "0.2")])
        feed.book(5200 + 200 * i, [("99.9", "1")])
    [found] = events(feed.until(8).run(), "refill")
    assert (found["count"], found["traded"], found["size"]) == (3, 2.4, 2.4)
    assert (found["before"], found["after"], found["price"], found["side"]) == (1, 1, 99.9, "bid")
    assert math.isnan(found["age_s"])


def test_twice_is_no_iceberg() -> None:
    feed = Market()
    for i in range(2):
        feed.trade(5100 + 200 * i, "99.9", "0.8").book(5150 + 200 * i, [("99.9", "0.2")])
        feed.book(5200 + 200 * i, [("99.9", "1")])
    assert events(feed.until(8).run(), "refill") == []


def pressed(large: str, after: str) -> Run:
    """150 seconds of small sales, then a large one that leaves `after` at the best bid."""
    feed = Market()
    for s in range(1, 150):
        feed.trade(s * 1000 + 100, "99.9", f"0.{1 + s % 3}")
    feed.trade(160_100, "99.9", large).book(160_200, [("99.9", after)])
    return feed.until(170).run()


def test_absorption() -> None:
    [found] = events(pressed("40", "0.6"), "absorption")
    assert (found["size"], found["before"], found["after"]) == (40, 1, 0.6)
    assert (found["price"], found["side"]) == (99.9, "bid")
    assert found["time_ns"] == (START_S + 161) * 10**9


@pytest.mark.parametrize(("large", "after"), [("0.2", "1"), ("40", "0.4")])
def test_what_is_usual_or_leaves_little_was_not_absorbed(large: str, after: str) -> None:
    assert events(pressed(large, after), "absorption") == []


def test_aggression_that_goes_on_beyond_was_not_absorbed() -> None:
    feed = Market()
    for s in range(1, 150):
        feed.trade(s * 1000 + 100, "99.9", f"0.{1 + s % 3}")
    feed.trade(160_100, "99.9", "40").trade(160_110, "99.7", "1").book(160_200, [("99.9", "0.6")])
    assert events(feed.until(170).run(), "absorption") == []


# On a recording.


@pytest.fixture(scope="module")
def recorded(recordings: Path) -> list[Record]:
    chunker, found = Chunker(), []
    for item in read(recordings.joinpath(*RECORDING), market(FUTURES), "BTCUSDT"):
        assert isinstance(item, tuple)
        found += [x[:2] for x in chunker.add(item[0], item[1].recv_ns, encode_line(*item[1]))]
    found += [x[:2] for x in chunker.cut()]
    return [Record(key, offset, body) for offset, (key, body) in enumerate(found)]


@pytest.fixture(scope="module")
def replayed(recorded: list[Record]) -> Run:
    return run(FUTURES, recorded)


class Definition:
    """The definition over columns of `depth_1s`, bin by bin: begins and ends of walls."""

    def __init__(self) -> None:
        self.weighted: dict[tuple[str, int], float] = {}
        self.begun: dict[tuple[str, int], int] = {}
        self.walls: dict[tuple[str, int], Row] = {}
        self.rows: list[tuple[Any, ...]] = []

    def on_column(self, row: Row) -> None:
        base, n, middle = row["base_bin"], len(row["bid"]), math.floor(row["mid"] / row["bin_step"] + 1e-9)
        sizes = {
            (side, base + i): round(float(row[side][i]) * 1000)
            for side in ("bid", "ask")
            for i in range(n)
            if not math.isnan(row[side][i])
        }
        for at in [at for at in self.weighted if at not in sizes]:
            self.end(at, row["time"] + (base <= at[1] < base + n), "left")
            del self.weighted[at]
        decay = math.exp(-1 / 30)
        for at, size in sizes.items():
            self.weighted[at] = (
                self.weighted[at] * decay + size * (1 - decay) if at in self.weighted else size
            )
        held: dict[tuple[str, int], list[float]] = {}
        for (side, price_row), size in sizes.items():
            away = middle - price_row if side == "bid" else price_row - middle
            if size > 0 and away >= 0:
                held.setdefault((side, band(away)), []).append(self.weighted[side, price_row])
        for at, size in sizes.items():
            near = held.get((at[0], band(abs(at[1] - middle))), [])
            level = 5 * median(near) if len(near) >= 8 else math.inf
            self.judge(at, size, level, row["time"])

    def judge(self, at: tuple[str, int], size: int, level: float, second: int) -> None:
        if at not in self.begun:
            if size > level:
                self.begun[at] = second
        elif size == 0 or (level < math.inf and size <= level / 2):
            self.end(at, second + 1, "")
        elif at not in self.walls and second + 1 >= self.begun[at] + 30 and self.weighted[at] > level:
            self.walls[at] = {"known": second + 1}

    def end(self, at: tuple[str, int], second: int, why: str) -> None:
        begun = self.begun.pop(at, None)
        if at in self.walls:
            self.rows.append((*at, begun, self.walls.pop(at)["known"], second, why))


def band(away: int) -> int:
    return sum(away >= edge for edge in (16, 32, 64, 128, 256))


def test_the_walls_of_the_recording_are_those_of_the_definition(replayed: Run) -> None:
    expected = Definition()
    for row in replayed.table("depth_1s"):
        expected.on_column(row)
    found, standing = [], {}
    for row in replayed.table("walls"):
        at = row["side"], row["price_row"]
        told_of = (*at, *(row[x] // 10**9 for x in ("from_ns", "known_ns")))
        if row["ended"]:
            standing.pop(at, None)
            why = "left" if row["ended"] == "left" else ""
            found.append((*told_of, row["time_ns"] // 10**9, why))
        else:
            standing[at] = told_of
    assert sorted(found) == sorted(expected.rows)
    assert sorted(standing.values()) == sorted(
        (*at, expected.begun[at], wall["known"]) for at, wall in expected.walls.items()
    )
    assert len(found) > 100


def test_the_large_walls_of_the_recording_are_found(replayed: Run) -> None:
    """Asks of 500 BTC stand at 61,800, 61,730 and 61,900 at the end; the first two for some three minutes."""
    end = replayed.seconds()[-1] + 1
    last = {(row["side"], row["price_row"], row["from_ns"]): row for row in replayed.table("walls")}
    large = {
        row["price_row"] * row["bin_step"]: end - row["from_ns"] // 10**9
        for row in last.values()
        if row["size"] > 400 and not row["ended"]
    }
    assert set(large) == {61_730, 61_800, 61_900, 62_000}
    assert 180 <= large[61_800] <= 190
    assert 190 <= large[61_730] <= 210


def test_every_price_that_trades_is_accounted_for(
    recorded: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second's ledger against a book of dicts and the trades themselves."""
    seconds: dict[int, list[list[int]]] = {}
    real = Walls.second

    def spied(self: Walls, column: Any, bin_ticks: int, second: int, told: Any, of: Any) -> Any:
        seconds[second] = told.tolist()
        return real(self, column, bin_ticks, second, told, of)

    monkeypatch.setattr(Walls, "second", spied)
    run(FUTURES, recorded)
    shown, heard = by_second(recorded)
    checked = 0
    for second, rows in seconds.items():
        for entry in rows:
            start, added, cancelled, traded = entry[ledger.START : ledger.TRADED + 1]
            assert min(added, cancelled, traded) >= 0
            assert entry[ledger.SHOWN] == start + added - cancelled - traded
            assert entry[ledger.SHOWN] == shown[second].get(entry[ledger.KEY], 0)
            checked += 1
    assert checked > 5_000
    all_heard = sum(entry[ledger.HEARD] for rows in seconds.values() for entry in rows)
    all_traded = sum(entry[ledger.TRADED] for rows in seconds.values() for entry in rows)
    assert all_heard == heard
    assert 0 <= all_heard - all_traded < heard // 100  # the last ones wait


def by_second(recorded: list[Record]) -> tuple[dict[int, dict[int, int]], int]:
    """At the end of each second what is shown at the prices that ever trade; lots traded while the book was live."""
    parse = market(FUTURES).parse
    events_found = [
        event for body in recorded for each in record.decode_lines(body.body) for event in parse(each.payload)
    ]
    traded = {key_of(x) for x in events_found if isinstance(x, Trade)}
    book: dict[int, int] = {}
    shown: dict[int, dict[int, int]] = {}
    at, seeded, heard, second = 0, False, 0, 0
    for event in events_found:
        if isinstance(event, Trade):
            heard += int(event.size * 1000) if seeded and second >= 0 else 0
        elif isinstance(event, Depth) and event.snapshot:
            book, at, seeded = levels(event), event.last_id, True
        elif isinstance(event, Depth) and seeded and event.last_id >= at:
            assert event.event_ns is not None
            second = event.event_ns // 10**9
            kept = {key: size for key, size in book.items() if key in traded}
            for ended in range(max(shown, default=second - 1) + 1, second):
                shown[ended] = kept
            book |= levels(event)
    shown[second] = {key: size for key, size in book.items() if key in traded}
    return shown, heard


def key_of(trade: Trade) -> int:
    return int(trade.price * 10) * 2 + (trade.side == "buy")


def levels(event: Depth) -> dict[int, int]:
    sides = ((0, event.bids), (1, event.asks))
    return {int(price * 10) * 2 + side: int(size * 1000) for side, both in sides for price, size in both}


@pytest.mark.parametrize("cut", [0.15, 0.4, 0.41, 0.7])
def test_a_dump_anywhere_continues_as_if_nothing_had_happened(
    cut: float, recorded: list[Record], replayed: Run
) -> None:
    at = int(cut * len(recorded))
    found = Run(FUTURES)
    found.on_records(recorded[:at])
    state = found.kernel.dump()
    found.kernel = DepthKernel(market(FUTURES), 0)
    found.kernel.load(state)
    assert found.kernel.dump() == state
    found.on_records(recorded[at:])
    assert table_bits(found.flush()) == table_bits(replayed)


def test_grouping_and_chunking_do_not_matter(recorded: list[Record], replayed: Run) -> None:
    lines = [encode_line(*each) for body in recorded for each in record.decode_lines(body.body)]
    found = Run(FUTURES)
    cuts = [*range(0, len(lines), 700), len(lines)]
    for begin, end in pairwise(cuts):
        found.on_records(records(*(b"".join(lines[i : i + 7]) for i in range(begin, end, 7)), key=KEY))
    for table in ("walls", "liquidity_events"):
        assert table_bits(found.flush())[table] == table_bits(replayed)[table]


def test_nothing_looks_ahead(recorded: list[Record], replayed: Run) -> None:
    expected = table_bits(replayed)
    found = Run(FUTURES)
    found.on_records(recorded[: len(recorded) // 2])
    for table in ("walls", "liquidity_events"):
        rows = table_bits(found)[table]
        assert rows == expected[table][: len(rows)]
        assert rows


def test_rows_are_finite_and_in_order(replayed: Run) -> None:
    rows = replayed.table("walls")
    assert all(
        np.isfinite(row[x]) for row in rows for x in ("size", "peak_size", "traded", "added", "pulled")
    )
    assert all(row["from_ns"] + 30 * 10**9 <= row["known_ns"] <= row["time_ns"] for row in rows)
    assert all(row["size"] <= row["peak_size"] for row in rows)
    keys = [(row["from_ns"], row["side"], row["price_row"], row["version"]) for row in rows]
    assert len(set(keys)) == len(keys)
