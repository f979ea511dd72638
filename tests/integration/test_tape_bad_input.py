"""Trades as venues should not send them, through log, flow and store: set aside and counted, never fatal.

Each symbol has a trouble of its own; all go through one run of the tape flow. What must come of it is worked out here
from what was sent, bar by bar.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.log import open_log
from connectors.record import CLOCK, INSTRUMENT, encode_control, encode_line
from sql.client import Store
from tests.flows import tape_oracle as oracle
from tests.integration.pipeline import isotherm, store_of

VENUE = "binance_futures"
START_NS = 1_700_000_040 * 10**9  # begins a minute
S = 10**9
SIZES = ("buy_lots", "sell_lots", "unknown_lots", "inferred_lots", "delta_min_lots", "delta_max_lots")
Sent = tuple[int, int, str, str, str]  # time since START_NS, trade id, price, size, side

PLAIN: list[Sent] = [
    (5 * S, 1, "100.1", "2", "buy"),
    (20 * S, 2, "100.3", "1.5", "sell"),
    (70 * S, 3, "100.2", "3", "buy"),
    (130 * S, 4, "100.4", "1", "sell"),
]
FINER: list[Sent] = [
    (71 * S, 4, "100.2375", "0.0025", "sell"),
    (131 * S, 5, "100.26", "0.5", "buy"),
    (190 * S, 6, "100.1", "1", "buy"),
]
SIDELESS = "BINANCE:BTCUSDT"  # as Finnhub has it


def sent(
    symbol: str, trade: Sent, received_s: float | None = None, origin: bytes = b"ws-1"
) -> tuple[str, bytes, int]:
    """A trade as the venue would send it, received 10 ms later or at that second."""
    after_ns, trade_id, price, size, side = trade
    time_ns = START_NS + after_ns
    data = {"e": "trade", "E": time_ns // 10**6, "T": time_ns // 10**6, "s": symbol, "t": trade_id, "p": price,
            "q": size, "X": "MARKET", "m": side == "sell"}  # fmt: skip
    payload = json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}, separators=(",", ":")).encode()
    recv_ns = time_ns + 10_000_000 if received_s is None else START_NS + int(received_s * S)
    return symbol, encode_line(recv_ns, origin, payload), recv_ns


def out_of_order() -> list[tuple[str, bytes, int]]:
    """The first trade of a bar comes last, 58 s late, when the clock has closed the bar."""
    second, third, last = (sent("LATEUSDT", x) for x in PLAIN[1:])
    return [second, sent("LATEUSDT", PLAIN[0], 63.0), third, last]


def much_too_late() -> list[tuple[str, bytes, int]]:
    """A trade of more than a minute before the newest: nobody knows any more whether it was heard."""
    stale = (1 * S, 9, "500", "7", "buy")
    return [*(sent("OLDUSDT", x) for x in PLAIN[:3]), sent("OLDUSDT", stale, 70.5), sent("OLDUSDT", PLAIN[3])]


def twice_after_a_reconnect() -> list[tuple[str, bytes, int]]:
    """The new connection tells again what the old one told."""
    told = [sent("TWICEUSDT", x) for x in PLAIN[:3]]
    again = [sent("TWICEUSDT", x, 75.0, b"ws-2") for x in PLAIN[1:3]]
    return [*told, *again, sent("TWICEUSDT", PLAIN[3], None, b"ws-2")]


def impossible_amounts() -> list[tuple[str, bytes, int]]:
    """Sizes and prices of nothing, and beyond what an integer holds."""
    bad = [
        (21 * S, 50, "100.1", "0", "buy"),
        (22 * S, 51, "0", "1", "buy"),
        (23 * S, 52, "100.1", "99999999999999999999999999", "buy"),
        (24 * S, 53, "99999999999999999999999999", "1", "sell"),
        (25 * S, 54, "100.1", "-1", "buy"),
        (26 * S, 55, "100.1", "1e3", "buy"),
        (27 * S, 56, "NaN", "1", "buy"),
    ]
    return [*(sent("ODDUSDT", x) for x in (*PLAIN[:2], *bad, *PLAIN[2:]))]


def stops() -> list[tuple[str, bytes, int]]:
    """Nothing after the first minute, but the clock goes on; ten minutes later another connection, ids far ahead."""
    later = [(at * S, 1000 + i, "101", "1", "buy") for i, at in enumerate((605, 670, 740))]
    return [*(sent("STOPUSDT", x) for x in PLAIN[:2]), *(sent("STOPUSDT", x, None, b"ws-2") for x in later)]


def finer_tick() -> list[tuple[str, bytes, int]]:
    """Prices and sizes grow digits, and the venue tells of another tick: rows of another height from then on."""
    told = [instrument("FINEUSDT", START_NS, "0.1", "0.5"), *(sent("FINEUSDT", x) for x in PLAIN[:3])]
    changed = instrument("FINEUSDT", START_NS + 70 * S + S // 2, "0.0005", "0.25")
    return [*told, changed, *(sent("FINEUSDT", x) for x in FINER)]


def sideless() -> list[tuple[str, bytes, int]]:
    """Prints of which nobody tells the aggressor, a second apart, the last in another minute."""
    told = []
    for i, price in enumerate(("100", "100", "101", "101", "100.5", "100.5")):
        time_ns = START_NS + (65 if i == 5 else i) * S
        data = [{"s": SIDELESS, "p": float(price), "t": time_ns // 10**6, "v": 2**i}]
        payload = json.dumps({"type": "trade", "data": data}, separators=(",", ":")).encode()
        told.append((SIDELESS, encode_line(time_ns + 10_000_000, b"ws-1", payload), time_ns + 10_000_000))
    return told


def instrument(symbol: str, recv_ns: int, tick: str, bin_step: str) -> tuple[str, bytes, int]:
    told = {
        "symbol": symbol,
        "instrument": symbol.replace("USDT", "-USDT-PERP"),
        "tick": tick,
        "lot": "0.0001",
    }
    return symbol, encode_control(recv_ns, INSTRUMENT, **told, bin_step=bin_step), recv_ns


def canonical(symbol: str) -> str:
    return symbol if "-" in symbol else symbol.replace("USDT", "-USDT-PERP")


def clocks() -> list[tuple[str, bytes, int]]:
    """The partition's time, every quarter of a second, to 13 minutes."""
    steps = range(START_NS, START_NS + 790 * S, S // 4)
    return [("!clock", encode_control(t + 1_000_000, CLOCK, time_ns=t), t + 1_000_000) for t in steps]


def everything() -> list[tuple[str, bytes, int]]:
    made = (out_of_order, much_too_late, twice_after_a_reconnect, impossible_amounts, stops, finer_tick)
    torn = ("ODDUSDT", b"no line at all\n", START_NS + 30 * S)
    lines = [*(line for each in made for line in each()), torn, *clocks()]
    return sorted(lines, key=lambda x: x[2])


def bars_of(trades: list[Sent], interval_s: int = 60) -> dict[int, oracle.Bar]:
    """The bars of these trades by the second after START_NS at which they open."""
    told = [(START_NS + t, 0, i, Decimal(p), Decimal(q), side) for t, i, p, q, side in trades]
    tape = oracle.tape_of(told)
    return {(t - START_NS) // S: bar for t, bar in oracle.bars(tape, interval_s).items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    data_dir = tmp_path_factory.mktemp("bad")
    write(data_dir, VENUE, everything())
    write(data_dir, "finnhub", sideless())
    done = isotherm("flow", "tape", "--until-end", "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    with store_of(data_dir) as found:
        yield found


def write(data_dir: Path, venue: str, lines: list[tuple[str, bytes, int]]) -> None:
    log = open_log(f"file:{data_dir / 'log'}")
    log.create(f"raw.{venue}", 1)
    writer = log.writer()
    for key, line, recv_ns in lines:
        writer.append(f"raw.{venue}", key.encode(), line, recv_ns)
    writer.close()
    log.close()


def flow_of(store: Store, symbol: str, interval_s: int = 60) -> dict[int, dict[str, Any]]:
    """Order flow by the second after START_NS at which a bar opens."""
    names = ["open_ns", "whole", "trades", "open", "high", "low", "close", "size_decimals", "version", *SIZES]
    asked = {"instrument": canonical(symbol), "interval_s": interval_s}
    rows = store.query(
        f"SELECT {', '.join(names)} FROM market.order_flow FINAL "
        "WHERE instrument = {instrument:String} AND interval_s = {interval_s:UInt32} ORDER BY open_ns",
        asked,
    )
    return {(row[0] - START_NS) // S: dict(zip(names, row, strict=True)) for row in rows}


def check(found: dict[int, dict[str, Any]], trades: list[Sent]) -> None:
    """Bars have these trades and no others."""
    told = [(START_NS + t, 0, i, Decimal(p), Decimal(q), side) for t, i, p, q, side in trades]
    tape = oracle.tape_of(told)
    assert {t: figures(row) for t, row in found.items()} == {
        t: (
            bar.trades,
            *(float(tape.price(x)) for x in (bar.open, bar.high, bar.low, bar.close)),
            *(tape.size(x) for x in (bar.buy, bar.sell, 0, 0, bar.delta_min, bar.delta_max)),
        )
        for t, bar in bars_of(trades).items()
    }


def figures(row: dict[str, Any]) -> tuple[Any, ...]:
    scaled = (Decimal(row[name]).scaleb(-row["size_decimals"]) for name in SIZES)
    return (*(row[name] for name in ("trades", "open", "high", "low", "close")), *scaled)


def test_a_late_trade_corrects_its_bar(store: Store) -> None:
    found = flow_of(store, "LATEUSDT")
    check(found, [PLAIN[1], PLAIN[0], *PLAIN[2:]])  # the running delta is as they came
    assert found[0]["version"] == START_NS + 63 * S, "by the line that corrected it"
    ones = flow_of(store, "LATEUSDT", 1)
    assert (ones[5]["trades"], ones[5]["open"]) == (1, 100.1)


def test_one_that_is_much_too_late_is_stored_and_left_out_of_bars(store: Store) -> None:
    check(flow_of(store, "OLDUSDT"), PLAIN)
    asked = (
        "SELECT trade_id, price FROM market.trades FINAL WHERE instrument = 'OLD-USDT-PERP' ORDER BY trade_id"
    )
    assert store.query(asked) == [(1, 100.1), (2, 100.3), (3, 100.2), (4, 100.4), (9, 500.0)]


def test_trades_told_twice_count_once(store: Store) -> None:
    check(flow_of(store, "TWICEUSDT"), PLAIN)
    assert store.query("SELECT count() FROM market.trades FINAL WHERE instrument = 'TWICE-USDT-PERP'") == [
        (4,)
    ]
    whole = {t: row["whole"] for t, row in flow_of(store, "TWICEUSDT").items()}
    assert whole == {0: False, 60: True, 120: True}, "ids go on without a gap over the reconnect"


def test_impossible_amounts_are_set_aside_one_by_one(store: Store) -> None:
    check(flow_of(store, "ODDUSDT"), PLAIN)
    asked = "SELECT detail, payload FROM market.dead_letters FINAL WHERE payload LIKE '%ODDUSDT%'"
    letters = store.query(asked)
    assert sorted(json.loads(payload)["data"]["t"] for _, payload in letters) == [50, 51, 52, 53, 54, 55, 56]
    assert all(detail for detail, _ in letters)
    stored = store.query(
        "SELECT trade_id FROM market.trades FINAL WHERE instrument = 'ODD-USDT-PERP' ORDER BY trade_id"
    )
    assert stored == [(1,), (2,), (3,), (4,)]


def test_a_venue_that_stops_leaves_a_hole_not_zeros(store: Store) -> None:
    found = flow_of(store, "STOPUSDT")
    assert list(found) == [0, 600, 660, 720]
    assert (found[0]["trades"], found[0]["version"]) == (2, START_NS + 60_250_000_000 + 1_000_000)
    assert [row["whole"] for row in found.values()] == [False, False, True, True], (
        "some before 605 s may be missing"
    )
    asked = "SELECT open_ns FROM market.bars FINAL WHERE instrument = 'STOP-USDT-PERP' AND interval_s = 60"
    assert sorted((t - START_NS) // S for (t,) in store.query(asked)) == [660, 720]


def test_finer_digits_lose_nothing(store: Store) -> None:
    check(flow_of(store, "FINEUSDT"), [*PLAIN[:3], *FINER])


def test_another_tick_gives_rows_of_another_height(store: Store) -> None:
    asked = (
        "SELECT open_ns, row_step, price_row, arraySum(buy_lots) / pow(10, size_decimals),"
        " arraySum(sell_lots) / pow(10, size_decimals), whole FROM market.footprints FINAL"
        " WHERE instrument = 'FINE-USDT-PERP' AND interval_s = 60 ORDER BY open_ns"
    )
    found = {(t - START_NS) // S: row for t, *row in store.query(asked)}
    assert found[0][:4] == [0.5, [200], 2.0, 1.5]
    assert not found[60][4], "rows of two heights cannot be added"
    assert found[120] == [0.25, [401], 0.5, 0.0, True]
    assert found[180] == [0.25, [400], 1.0, 0.0, True]


def test_trades_without_side_get_one_by_a_rule_that_is_named(store: Store) -> None:
    asked = "SELECT price, side, side_by FROM market.trades FINAL WHERE venue = 'finnhub' ORDER BY time_ns"
    assert store.query(asked) == [
        (100.0, "unknown", "none"), (100.0, "unknown", "none"), (101.0, "buy", "tick"), (101.0, "buy", "tick"),
        (100.5, "sell", "tick"), (100.5, "sell", "tick"),
    ]  # fmt: skip
    (bar,) = [row for t, row in flow_of(store, "BTC-USDT").items() if t == 0]
    assert figures(bar)[5:] == tuple(map(Decimal, (12, 16, 3, 28, -4, 12)))
