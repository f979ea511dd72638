"""The tape board: what it asks is asked of the real engine, as the read-only user."""

import itertools
import json
import math
import re

import pytest

from dashboards.grafana import build, panels
from tests.dashboards.grafana.conftest import FROM_S, HOLE_S, LIVE_S, MID, ROW_STEP, SECONDS, TRADES
from tests.dashboards.grafana.plugin import expanded, long_to_wide, table
from tests.dashboards.grafana.test_grafana import text

BOARD = build.tape()
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
CHOSEN = {
    "venue": "binance_futures", "instrument": "BTC-USDT-PERP", "interval": "10s", "shown": "total", "rows": "120",
}  # fmt: skip
HEATMAP = {"time", "price", "Value"}
EXPECTED = {
    "Volume by price": HEATMAP,
    "Delta by price": HEATMAP,
    "Profile of the range": {"price", "buy_in_value", "sell_in_value", "buy_outside", "sell_outside"},
    "Profile in numbers": {"poc", "vah", "val", "vwap", "total", "delta", "delta_share"},
    "Price and value": {"time", "price", "poc", "vah", "val", "vwap"},
    "Delta": {"time", "buy", "sell", "delta"},
    "CVD": {"time", "cvd"},
    "CVD by size": {"time", "small", "medium", "large", "whale"},
    "Liquidations": {"time", "shorts", "longs"},
    "Funding and open interest": {"time", "funding_rate", "open_interest"},
    "Walls": {
        "side", "price", "size", "peak_size", "lifetime_s", "traded", "pulled", "refills", "venue", "age_s",
    },
    "Levels": {"time", "side", "price", "strength", "distance_bps", "evidence", "age_s"},
    "Large trades": {"time", "venue", "side", "price", "size", "value", "prints"},
    "Naked points of control": {"opened", "venue", "poc", "days", "total"},
    "Venues": {"venue", "volume", "volume_share", "depth", "depth_share", "stale", "reason"},
}  # fmt: skip
OF_ONE_VENUE = {"Funding and open interest"}


def ask(store, title, interval_s=10, to_s=FROM_S + LIVE_S - 1, **chosen):
    statement = expanded(of(title), FROM_S, to_s, interval_s, CHOSEN | chosen)
    return table(store.query_text(statement, "JSONCompact"))


def of(title):
    return PANELS[title]["targets"][0]["rawSql"]


def traded(*venues):
    return [trade for trade in TRADES if trade.venue in venues]


def size(trades, *sides):
    return math.fsum(trade.size for trade in trades if trade.side in sides)


def test_the_board_is_up_to_date():
    committed = (build.BOARDS / "tape.json").read_text(encoding="utf-8")
    assert committed == build.text(BOARD), "run python -m dashboards.grafana.build"


def test_all_panels_are_known_and_none_overlap():
    assert set(PANELS) == set(EXPECTED)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < build.WIDTH


@pytest.mark.parametrize("title", EXPECTED)
def test_panels_say_what_they_show(title):
    panel = PANELS[title]
    assert len(panel["description"]) > 40
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == panels.SOURCE
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["options"] in EXPECTED[title]


def test_variables_used_are_declared(board):
    assert set(re.findall(r"\$\{(\w+)", json.dumps(BOARD))) == set(VARIABLES)
    for name, wanted in {
        "instrument": ["BTC-USDT", "BTC-USDT-PERP"],
        "venue": ["all", "binance_futures"],
    }.items():
        sql = expanded(VARIABLES[name]["query"]["rawSql"], FROM_S, FROM_S + 1, 1, CHOSEN)
        assert table(board.query_text(sql, "JSONCompact"))[1] == {name: wanted}


@pytest.mark.parametrize(
    ("venue", "interval"), [("binance_futures", "10s"), ("binance_futures", "1h"), ("all", "1m")]
)
@pytest.mark.parametrize("title", EXPECTED)
def test_panels_answer(board, title, venue, interval):
    types, rows = ask(board, title, venue=venue, interval=interval)
    assert set(types) == EXPECTED[title]
    empty = venue == "all" and title in OF_ONE_VENUE
    assert any(found is not None for values in rows.values() for found in values) != empty
    if PANELS[title]["targets"][0]["format"] == panels.TIME_SERIES:
        assert types["time"] == "DateTime('UTC')"
        assert rows["time"] == sorted(rows["time"])
        labels = {name for name in types if "String" in types[name]}
        assert labels == ({"price"} if EXPECTED[title] == HEATMAP else set())


@pytest.mark.parametrize("venue", ["binance_futures", "all"])
@pytest.mark.parametrize("title", EXPECTED)
def test_panels_are_empty_without_data(board, title, venue):
    _, rows = ask(board, title, venue=venue, instrument="NO-SUCH'; SELECT 1")
    assert all(found is None for name in rows.keys() - {"time", "price"} for found in rows[name])


@pytest.mark.parametrize(
    ("venue", "venues"), [("bybit_linear", ["bybit_linear"]), ("all", ["binance_futures", "bybit_linear"])]
)
@pytest.mark.parametrize("shown", ["total", "buy", "sell"])
def test_the_cells_are_the_trades(board, venue, venues, shown):
    rows = ask(board, "Volume by price", venue=venue, shown=shown)[1]
    fields = long_to_wide(rows, "price", "Value")
    sides = {"total": ("buy", "sell"), "buy": ("buy",), "sell": ("sell",)}[shown]
    made = {}
    for trade in traded(*venues):
        key = math.floor(trade.price / ROW_STEP) * ROW_STEP, text(trade.time_ns // 10**10 * 10 + 10)
        made.setdefault(key, []).append(trade)
    found = {(float(p), t): v for p, cells in fields.items() for t, v in cells.items() if v is not None}
    assert found == {key: pytest.approx(size(cell, *sides)) for key, cell in made.items()}
    assert sorted(map(float, fields)) == [MID - 30 + ROW_STEP * i for i in range(7)]
    assert sorted(set(rows["time"])) == [text(FROM_S + s) for s in range(10, 70, 10)]


def test_rows_are_bounded_and_regular(board):
    rows = ask(board, "Volume by price", rows="3")[1]
    prices = sorted(map(float, long_to_wide(rows, "price", "Value")))
    assert len(prices) <= 4
    assert len({b - a for a, b in itertools.pairwise(prices)}) == 1
    assert math.fsum(v for v in rows["Value"] if v) == pytest.approx(
        size(traded("binance_futures"), "buy", "sell")
    )


def test_delta_is_told_as_a_share_of_the_largest(board):
    values = [v for v in ask(board, "Delta by price")[1]["Value"] if v is not None]
    assert max(map(abs, values)) == 1
    assert min(values) < 0


def test_the_profile_is_that_of_the_range(board):
    rows = ask(board, "Profile of the range")[1]
    assert [float(price) for price in rows["price"]] == [MID + 30 - ROW_STEP * i for i in range(7)]
    bought = [a + b for a, b in zip(rows["buy_in_value"], rows["buy_outside"], strict=True)]
    assert math.fsum(bought) == pytest.approx(size(traded("binance_futures"), "buy"))
    numbers = ask(board, "Profile in numbers")[1]
    (poc,), (vah,), (val,), (total,) = (numbers[name] for name in ("poc", "vah", "val", "total"))
    sums = [
        math.fsum(rows[name][i] for name in EXPECTED["Profile of the range"] - {"price"}) for i in range(7)
    ]
    assert poc == float(rows["price"][sums.index(max(sums))])
    inside = [
        float(p)
        for p, b, s in zip(rows["price"], rows["buy_in_value"], rows["sell_in_value"], strict=True)
        if b + s
    ]
    assert (max(inside) + ROW_STEP, min(inside)) == (vah, val)
    assert total == pytest.approx(size(traded("binance_futures"), "buy", "sell"))


@pytest.mark.parametrize(
    ("venue", "venues"),
    [("binance_futures", ["binance_futures"]), ("all", ["binance_futures", "bybit_linear"])],
)
def test_delta_and_its_sum(board, venue, venues):
    bars = ask(board, "Delta", venue=venue)[1]
    running = ask(board, "CVD", venue=venue)[1]
    by_size = ask(board, "CVD by size", venue=venue)[1]
    total = 0.0
    for i, time in enumerate(bars["time"]):
        second = FROM_S + 10 * i
        made = [t for t in traded(*venues) if second <= t.time_ns // 10**9 < second + 10]
        assert time == text(second)
        if not made:
            assert {bars["delta"][i], bars["buy"][i], running["cvd"][i], by_size["small"][i]} == {None}
            continue
        buy, sell = size(made, "buy"), size(made, "sell")
        total += buy - sell
        assert (bars["buy"][i], bars["sell"][i], bars["delta"][i]) == pytest.approx((buy, -sell, buy - sell))
        assert running["cvd"][i] == pytest.approx(total)
        assert sum(by_size[name][i] for name in ("small", "medium", "large", "whale")) == pytest.approx(total)
    assert None in bars["delta"]


@pytest.mark.parametrize("title", ["Delta", "CVD", "CVD by size", "Price and value"])
def test_a_hole_is_drawn_as_one(board, title):
    _, rows = ask(board, title)
    hole = {text(FROM_S + 20 + 10 * i) for i in range(HOLE_S // 10)}
    field = next(iter(EXPECTED[title] - {"time", "poc", "vah", "val", "vwap"}))
    assert {t for t, v in zip(rows["time"], rows[field], strict=True) if v is None} == hole
    assert PANELS[title]["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
    assert len(rows["time"]) == LIVE_S // 10
    assert len(SECONDS) == LIVE_S - HOLE_S


def test_price_and_value_are_told_when_they_were_known(board):
    rows = ask(board, "Price and value")[1]
    assert [row for row in zip(rows["time"], rows["poc"], rows["vah"], strict=True) if row[1]] == [
        (text(FROM_S + 20), 100, 120)
    ]


def test_liquidations_and_funding(board):
    rows = ask(board, "Liquidations")[1]
    assert (rows["time"], rows["shorts"], rows["longs"]) == ([text(FROM_S)], [400], [-200])
    rows = ask(board, "Funding and open interest")[1]
    assert (rows["funding_rate"], rows["open_interest"]) == ([0.0001], [5000])


def test_tables(board):
    assert ask(board, "Levels", venue="all")[1]["price"] == [90]
    assert ask(board, "Levels")[1]["evidence"] == ["wall 101 b 25, poc 99 a 15"]
    assert ask(board, "Walls", venue="all")[1]["size"] == [5]
    assert ask(board, "Large trades", venue="all")[1]["value"] == [700]
    assert ask(board, "Naked points of control")[1]["poc"] == [7]
    rows = ask(board, "Venues")[1]
    assert (rows["venue"], rows["stale"]) == (["binance_futures", "bybit_linear"], [False, False])
    assert math.fsum(rows["volume_share"]) == pytest.approx(1)
