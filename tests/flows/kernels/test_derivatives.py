"""Liquidations, funding and open interest of streams: against a naive oracle, in many pieces, and damaged."""

import gzip
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.record import Line, Record, encode_control, encode_line
from connectors.recordings import read
from connectors.simulator.half import halves
from connectors.simulator.market import Mark
from connectors.venue import Liquidation, MarkPrice, ParseError, Ticker, market
from flows.kernels.depth import DepthKernel
from flows.kernels.derivatives import SPAN_NS, SYMBOLS_MAX, TABLE_COLUMNS, Derivatives
from flows.kernels.tape import TapeKernel
from tests.connectors.simulator.test_halves import Play
from tests.connectors.venues.cards import bybit_linear as bybit
from tests.connectors.venues.frames import F_FORCE, F_MARK, wrapped

MS = 10**6
NOW_MS = 1_795_000_002_020
RECV_NS = NOW_MS * MS
LIQUIDATIONS_MS, TICKER_MS = 1_791_565_601_500, 1_786_310_817_600


def rows_of(
    kernel: TapeKernel, *payloads: bytes, recv_ns: int = RECV_NS, origin: bytes = b"ws-1"
) -> dict[str, list[dict[str, Any]]]:
    body = b"".join(encode_line(recv_ns + i, origin, x) for i, x in enumerate(payloads))
    blocks = kernel.on_records([Record(b"BTCUSDT", 0, body)])
    return {
        b.table: [dict(zip(b.columns, r, strict=True)) for r in zip(*b.columns.values(), strict=True)]
        for b in blocks
    }


def compact(frame: Any) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


# What venues say.


def test_a_liquidation_of_binance_is_a_sample_at_the_mean_price_it_got() -> None:
    found = rows_of(TapeKernel(market("binance_futures"), 0), wrapped("btcusdt@forceOrder", F_FORCE))
    assert found == {
        "liquidations": [
            {
                "instrument": "BTC-USDT-PERP", "venue": "binance_futures", "time_ns": 1_795_000_002_003 * MS,
                "liquidated_side": "long", "price": 81001.2, "size": 0.014, "ordinal": 0, "complete": False,
                "received_ns": RECV_NS, "version": RECV_NS,
            }
        ]
    }  # fmt: skip
    assert tuple(found["liquidations"][0]) == TABLE_COLUMNS["liquidations"]


def test_sides_mean_the_position_whatever_the_venue_means_by_them() -> None:
    found = rows_of(TapeKernel(market("bybit_linear"), 0), bybit.LIQUIDATIONS, recv_ns=LIQUIDATIONS_MS * MS)[
        "liquidations"
    ]
    assert [(x["liquidated_side"], x["price"], x["size"], x["complete"]) for x in found] == [
        ("long", 82396.9, 0.006, True), ("short", 82394.3, 0.038, True),
    ]  # fmt: skip
    bought = F_FORCE.replace(b'"SELL"', b'"BUY"')
    (row,) = rows_of(TapeKernel(market("binance_futures"), 0), bought)["liquidations"]
    assert row["liquidated_side"] == "short"


def test_a_mark_price_and_a_ticker_are_rows_of_derivatives() -> None:
    (row,) = rows_of(TapeKernel(market("binance_futures"), 0), wrapped("btcusdt@markPrice@1s", F_MARK))[
        "derivatives"
    ]
    assert math.isnan(row.pop("open_interest"))
    assert row == {
        "instrument": "BTC-USDT-PERP", "venue": "binance_futures", "time_ns": 1_795_000_001_000 * MS, "mark": 81229.8,
        "index": 81231.2, "funding_rate": -0.0001, "next_funding_ns": 1_795_017_600_000 * MS, "received_ns": RECV_NS,
        "version": RECV_NS,
    }  # fmt: skip
    ticks = bybit.TICKER, bybit.TICKER_DELTA, bybit.TICKER_BOTH_SIDES
    (row,) = rows_of(TapeKernel(market("bybit_linear"), 0), *ticks, recv_ns=TICKER_MS * MS)["derivatives"]
    assert tuple(row) == TABLE_COLUMNS["derivatives"]
    assert [row[x] for x in ("mark", "index", "funding_rate", "next_funding_ns", "open_interest")] == [
        65117.44, 65137.76, -0.0001, 1_786_320_000_000 * MS, 29945.866,
    ]  # fmt: skip


def test_tickers_of_a_spot_market_and_best_quotes_are_passed_over() -> None:
    kernel = TapeKernel(market("bybit_spot"), 0)
    assert rows_of(kernel, bybit.TICKER, recv_ns=TICKER_MS * MS) == {}
    assert rows_of(TapeKernel(market("binance_spot"), 0), b'{"e":"24hrMiniTicker"}') == {}


def test_many_symbols_in_one_frame_are_rows_of_each_by_their_names() -> None:
    told = encode_control(1, b"!instrument", symbol="BTCUSDT", instrument="XBT-USDT-PERP", tick="1", lot="1")
    kernel = TapeKernel(market("binance_futures"), 0)
    kernel.on_records([Record(b"BTCUSDT", 0, told)])
    of = [F_MARK.replace(b"BTCUSDT", x) for x in (b"BTCUSDT", b"ETHUSDT", b"ETHUSDT_270625")]
    coin_margined = F_MARK.replace(b"BTCUSDT", b"BTCUSD_PERP").replace(b'"st":1', b'"st":2')
    array = b"[" + b",".join([*of, coin_margined]) + b"]"
    for payload in (wrapped("!markPrice@arr@1s", array), array):
        fresh = TapeKernel(market("binance_futures"), 0)
        fresh.load(kernel.dump())
        found = rows_of(fresh, payload)["derivatives"]
        assert [x["instrument"] for x in found] == ["XBT-USDT-PERP", "ETH-USDT-PERP", "ETH-USDT-20270625"]
    forced = [wrapped("!forceOrder@arr", F_FORCE.replace(b"BTCUSDT", x)) for x in (b"BTCUSDT", b"SOLUSDT")]
    found = rows_of(kernel, *forced)["liquidations"]
    assert [x["instrument"] for x in found] == ["XBT-USDT-PERP", "SOL-USDT-PERP"]


def test_liquidations_alike_in_a_message_are_numbered_and_told_again_are_the_same() -> None:
    one = {"T": LIQUIDATIONS_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.006", "p": "82396.90"}
    frame = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": LIQUIDATIONS_MS, "data": [one] * 3}
    frame["data"] += [one | {"s": "ETHUSDT"}, one | {"v": "0.0060"}, one | {"S": "Sell"}]
    kernel = TapeKernel(market("bybit_linear"), 0)
    found = rows_of(kernel, compact(frame), recv_ns=LIQUIDATIONS_MS * MS)["liquidations"]
    assert [x["ordinal"] for x in found] == [0, 1, 2, 0, 3, 0]
    again = rows_of(kernel, compact(frame), recv_ns=(LIQUIDATIONS_MS + 900) * MS, origin=b"ws-2")
    arrival = {"received_ns": 0, "version": 0}
    assert [x | arrival for x in again["liquidations"]] == [x | arrival for x in found]


# Recordings, read with plain json.


def test_recorded_liquidations(recordings: Path) -> None:
    (force,) = (recordings / "binance" / "liquidation_frames.jsonl").read_bytes().splitlines()
    (row,) = rows_of(TapeKernel(market("binance_futures"), 0), force, recv_ns=1_791_565_603_100 * MS)[
        "liquidations"
    ]
    assert (row["instrument"], row["time_ns"], row["liquidated_side"], row["price"], row["size"]) == (
        "BTC-USDT-PERP", 1_791_565_602_120 * MS, "long", 82651.9, 0.19,
    )  # fmt: skip
    kernel = TapeKernel(market("bybit_linear"), 0)
    for frame in (recordings / "bybit" / "allliquidation_frames.jsonl").read_bytes().splitlines():
        told = json.loads(frame)
        found = rows_of(kernel, frame, recv_ns=told["ts"] * MS)["liquidations"]
        assert [(x["time_ns"], x["price"], x["size"]) for x in found] == [
            (x["T"] * MS, float(x["p"]), float(x["v"])) for x in told["data"]
        ]
        assert {x["liquidated_side"] for x in found} == {"long"}  # S is "Buy" in all of them
    assert found[0]["instrument"] == "STRK-USDT-PERP"


def test_recorded_tickers_merged_by_hand(recordings: Path) -> None:
    path = recordings / "bybit" / "v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz"
    keys = ("markPrice", "indexPrice", "fundingRate", "nextFundingTime", "singleOpenInterest")
    expected, known, newest = [], {}, {}
    for text in gzip.decompress(path.read_bytes()).splitlines():
        said = json.loads(text)
        frame = json.loads(said["data"]) if said["t"] == "recv" and said["conn"] == "BYBIT.ws.2" else {}
        if not frame.get("topic", "").startswith("tickers"):
            continue
        symbol, tells = (
            frame["data"]["symbol"],
            {x: float(frame["data"][x]) for x in keys if x in frame["data"]},
        )
        known[symbol] = (known[symbol] if frame["type"] == "delta" else {}) | tells
        last = newest.get(symbol, {})
        due = frame["ts"] // 10_000 != last.get("ts", 0) // 10_000
        if tells and (due or any(known[symbol][x] != last[x] for x in keys[2:4])):
            newest[symbol] = known[symbol] | {"ts": frame["ts"]}
            expected.append((symbol, frame["ts"], *(known[symbol][x] for x in keys)))
    kernel, blocks = TapeKernel(market("bybit_linear"), 0), []
    for key, line in (x for x in read(path, market("bybit_linear")) if isinstance(x, tuple)):
        blocks += kernel.on_records([Record(key, 0, encode_line(*line))])
    found = [row for x in blocks if x.table == "derivatives" for row in zip(*x.columns.values(), strict=True)]
    assert [
        (name.replace("-", "").removesuffix("PERP"), ns // MS, mark, index, rate, next_ns / MS, held)
        for name, _, ns, mark, index, rate, next_ns, held, _, _ in found
    ] == expected
    assert {x[0] for x in expected} == {"BTCUSDT", "ETHUSDT"} and len(expected) >= 8


# The rule of rows, once more and without memory: of every event all that came before it is looked at.

Told = tuple[bytes, int, MarkPrice | Ticker]
FIELDS = ("mark", "index", "funding_rate", "next_funding_ns", "open_interest")


def naive(told: Sequence[Told]) -> list[tuple[Any, ...]]:
    """Rows of one symbol: the times in ns, and what is known of each of `FIELDS`."""
    rows: list[tuple[Any, ...]] = []
    heard: list[Told] = []
    for origin, recv_ns, event in told:
        says = {x: value for x in FIELDS if (value := getattr(event, x, None)) is not None}
        if not says or any(event.event_ns < x.event_ns for _, _, x in heard):
            continue
        heard.append((origin, recv_ns, event))
        known: dict[str, Any] = {}
        for earlier, _, each in heard:  # a whole ticker, or another connection, begins anew
            if earlier != origin or (isinstance(each, Ticker) and not each.delta):
                known = {}
            if earlier == origin:
                known |= {x: y for x in FIELDS if (y := getattr(each, x, None)) is not None}
        row = (event.event_ns, *(known.get(x) for x in FIELDS), recv_ns)
        before = rows[-1] if rows else None
        anew = before is not None and any(
            x in says and says[x] != before[1 + FIELDS.index(x)] for x in FIELDS[2:4]
        )
        if before is None or event.event_ns // SPAN_NS > before[0] // SPAN_NS or anew:
            rows.append(row)
    return rows


PRICES = st.none() | st.integers(1, 3).map(Decimal)
RATES = st.none() | st.sampled_from([Decimal(0), Decimal("0.0001"), Decimal("-0.0002")])
FUNDINGS = st.none() | st.sampled_from([RECV_NS + 3600 * 10**9, RECV_NS + 7200 * 10**9])


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    found: list[Told] = []
    event_ns = recv_ns = RECV_NS
    for _ in range(draw(st.integers(0, 25))):
        event_ns += draw(st.sampled_from([-2000, 0, 100, 900, 4000, 11_000])) * MS
        recv_ns = max(recv_ns, event_ns) + draw(st.integers(0, 3))
        told: dict[str, Any] = {
            "symbol": "BTCUSDT", "event_ns": event_ns, "index": draw(PRICES), "funding_rate": draw(RATES),
            "next_funding_ns": draw(FUNDINGS),
        }  # fmt: skip
        event: MarkPrice | Ticker
        if draw(st.booleans()):
            event = MarkPrice(mark=Decimal(draw(st.integers(1, 9))), **told)
        else:
            held = draw(st.none() | st.integers(0, 3).map(Decimal))
            delta = draw(st.integers(0, 3)) > 0
            event = Ticker(delta=delta, bid=Decimal(1), mark=draw(PRICES), open_interest=held, **told)
        found.append((draw(st.sampled_from([b"ws-1", b"ws-1", b"ws-1", b"ws-2"])), recv_ns, event))
    return found


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if isinstance(x, float) and math.isnan(x) else x for x in row)


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(0, 25))
def test_rows_are_those_of_the_rule_wherever_it_was_stopped_and_begun_again(
    told: list[Told], cut: int
) -> None:
    kernel, found = Derivatives("v", str.lower), []
    for i, (origin, recv_ns, event) in enumerate(told):
        if i == cut:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(kernel.dump()))
            kernel = Derivatives("v", str.lower)
            kernel.load(state)
        found += kernel.on_event(event, Line(recv_ns, origin, b""))
    assert {table for table, _ in found} <= {"derivatives"}
    expected = [
        (
            "btcusdt",
            "v",
            row[0],
            *(x if x is None or isinstance(x, int) else float(x) for x in row[1:-1]),
            row[-1],
            row[-1],
        )
        for row in naive(told)
    ]
    assert [plain(row) for _, row in found] == expected


def test_symbols_are_kept_apart_and_are_not_kept_without_bound() -> None:
    kernel = Derivatives("v", str)
    for i in range(SYMBOLS_MAX + 5):
        mark = MarkPrice(
            symbol=str(i),
            event_ns=RECV_NS,
            mark=Decimal(1),
            index=None,
            funding_rate=None,
            next_funding_ns=None,
        )
        assert len(kernel.on_event(mark, Line(RECV_NS, b"ws-1", b""))) == 1
    assert len(kernel.dump()[1]) == SYMBOLS_MAX


# What cannot be.

LIQUIDATION = Liquidation(
    symbol="X", event_ns=RECV_NS, liquidated_side="long", price=Decimal(1), size=Decimal(1), complete=True
)
TICKER = Ticker(symbol="X", event_ns=RECV_NS, delta=True, mark=Decimal(2))
ABSURD: list[tuple[Any, str, Any]] = [
    (LIQUIDATION, "event_ns", 0), (LIQUIDATION, "event_ns", RECV_NS + 61 * 10**9),
    (LIQUIDATION, "price", Decimal("1e19")), (LIQUIDATION, "price", Decimal(0)),
    (LIQUIDATION, "size", Decimal(-1)), (LIQUIDATION, "size", Decimal("1e27")),
    (TICKER, "event_ns", 2**63 - 1), (TICKER, "event_ns", RECV_NS - 90_000 * 10**9),
    (TICKER, "mark", Decimal("1e27")), (TICKER, "index", Decimal("1e27")), (TICKER, "index", Decimal(-1)),
    (TICKER, "funding_rate", Decimal(2)), (TICKER, "funding_rate", Decimal("-1.5")),
    (TICKER, "next_funding_ns", RECV_NS + 40 * 86_400 * 10**9),
    (TICKER, "open_interest", Decimal("1e27")), (TICKER, "open_interest", Decimal(-1)),
]  # fmt: skip


@pytest.mark.parametrize(("event", "field", "value"), ABSURD)
def test_what_cannot_be_is_refused_and_leaves_no_trace(event: Any, field: str, value: Any) -> None:
    kernel, line = Derivatives("v", str), Line(RECV_NS, b"ws-1", b"")
    with pytest.raises(ParseError, match="expected"):
        kernel.on_event(msgspec.structs.replace(event, **{field: value}), line)
    assert kernel.dump() == Derivatives("v", str).dump()
    assert len(kernel.on_event(event, line)) == 1


def test_of_a_frame_that_is_bad_in_part_the_good_part_is_kept() -> None:
    good = {"T": LIQUIDATIONS_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.006", "p": "82396.90"}
    data = [good | {"T": 1}, good, good | {"s": "ETHUSDT", "T": 2}, good | {"s": "SOLUSDT"}]
    frame = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": LIQUIDATIONS_MS, "data": data}
    kernel = TapeKernel(market("bybit_linear"), 0)
    found = rows_of(kernel, compact(frame), recv_ns=LIQUIDATIONS_MS * MS)
    assert [x["instrument"] for x in found["liquidations"]] == ["BTC-USDT-PERP", "SOL-USDT-PERP"]
    (letter,) = found["dead_letters"]
    assert "found 1000000" in letter["detail"]
    assert kernel.summary()["liquidations_stored"] == 2


@pytest.mark.parametrize("side", ['"Sold"', '"buy"', '"BUY"', '""', "null", "1", "true", "[]"])
def test_an_unknown_side_is_set_aside(side: str) -> None:
    for venue, frame, told in (
        ("bybit_linear", bybit.LIQUIDATIONS, b'"S":"Buy"'),
        ("binance_futures", wrapped("!forceOrder@arr", F_FORCE), b'"S":"SELL"'),
    ):
        if f'"S":{side}' == '"S":"BUY"' and venue == "binance_futures":
            continue
        damaged = frame.replace(told, f'"S":{side}'.encode())
        assert damaged != frame
        found = rows_of(TapeKernel(market(venue), 0), damaged, recv_ns=LIQUIDATIONS_MS * MS)
        assert set(found) == {"dead_letters"}


FRAMES = [
    ("binance_futures", wrapped("btcusdt@forceOrder", F_FORCE), NOW_MS),
    ("binance_futures", wrapped("!forceOrder@arr", F_FORCE), NOW_MS),
    ("binance_futures", wrapped("!markPrice@arr@1s", b"[%s,%s]" % (F_MARK, F_MARK)), NOW_MS),
    ("bybit_linear", bybit.LIQUIDATIONS, LIQUIDATIONS_MS),
    ("bybit_linear", bybit.TICKER, TICKER_MS),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FRAMES), st.data())
def test_damage_is_a_row_or_is_set_aside_and_what_follows_is_read(
    told: tuple[str, bytes, int], data: st.DataObject
) -> None:
    venue, frame, now_ms = told
    at = data.draw(st.integers(0, len(frame) - 1))
    cut = data.draw(st.integers(0, 3))
    damaged = frame[:at] + data.draw(st.binary(max_size=3)) + frame[at + cut :]
    kernel, depth = TapeKernel(market(venue), 0), DepthKernel(market(venue), 0)
    found = rows_of(kernel, damaged, recv_ns=now_ms * MS)
    body = encode_line(now_ms * MS, b"ws-1", damaged)
    depth.on_records([Record(b"BTCUSDT", 0, body)])
    seen = depth.summary()
    kinds = ("depth_messages", "trades", "other", "snapshots", "dead_letters")
    assert found or any(seen.get(x, 0) for x in kinds)
    for row in found.get("liquidations", []):
        assert row["liquidated_side"] in ("long", "short")
        assert 0 < row["price"] < 1e19 and 0 < row["size"] < 1e19
        assert abs(row["time_ns"] - now_ms * MS) <= 86_400 * 10**9
    fresh = rows_of(TapeKernel(market(venue), 0), frame, recv_ns=now_ms * MS + 5)
    after = rows_of(kernel, frame, recv_ns=now_ms * MS + 5)
    assert after.get("liquidations") == fresh.get("liquidations")
    assert "dead_letters" not in after


# Simulated venues.

FUTURES = sorted(name for name, half in halves().items() if half(half.listed[:1]).kind == "futures")


@pytest.mark.parametrize("name", FUTURES)
def test_four_simulated_minutes_have_both_tables_for_every_instrument(name: str) -> None:
    play, kernel, at_once = Play(name, symbols=100), TapeKernel(market(name), 0), TapeKernel(market(name), 0)
    blocks, heard = [], b""
    frames = list(play.said)
    for event in play.play.advance(play.now_ms + 240_000, 1000):
        frames += [payload for _, payload in play.half.frames(event, play.wanted)]
        if isinstance(event, Mark):  # a second is over
            lines = b"".join(encode_line((play.now_ms + 5) * MS, b"ws-1", x) for x in frames)
            blocks += kernel.on_records([Record(b"", 0, lines)])
            heard += lines
            frames.clear()
    instruments = {market(name).canonical(x) for x in play.half.symbols}
    assert len(instruments) >= 6
    for table in TABLE_COLUMNS:
        of = [x for block in blocks if block.table == table for x in block.columns["instrument"]]
        assert set(of) == instruments, table
    per_minute = len(of) / len(instruments) / 4  # of derivatives: each 10 s, and as often as funding changes
    assert 6 <= per_minute <= 8
    assert not kernel.summary()["dead_letters"]
    whole = {x.table: x for x in at_once.on_records([Record(b"", 0, heard)])}
    for table, columns in TABLE_COLUMNS.items():
        for column in columns:  # of whatever pieces
            parts = [value for x in blocks if x.table == table for value in x.columns[column]]
            assert str(parts) == str(list(whole[table].columns[column]))
