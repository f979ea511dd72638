"""The boards of Grafana: what they ask is asked of the real engine, as the read-only user."""

import itertools
import json
import re
from datetime import UTC, datetime

import pytest

from dashboards.grafana import build, panels
from tests.dashboards.grafana.conftest import FROM_S, HOLE_S, LIVE_S, SECONDS
from tests.dashboards.grafana.plugin import expanded, long_to_wide, table

BOARD = build.depth()
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
CHOSEN = {"venue": "binance_futures", "instrument": "BTC-USDT-PERP", "interval": "1s", "band": "0.5"}
EXPECTED = {
    "Order book depth": {"time", "price", "Value"},
    "Book now": {"mid", "spread", "imbalance_10_bp", "book_age"},
    "Best prices": {"time", "best_bid", "best_ask", "mid"},
    "Spread": {"time", "spread"},
    "Imbalance": {"time", "within_10_bp", "within_25_bp", "within_50_bp"},
    "Order flow imbalance": {"time", "ofi"},
    "Traded volume": {"time", "buys", "sells"},
    "Gaps": {"lost", "restored", "hole_s", "kind", "detail", "update_id"},
    "Dead letters": {"topic", "reason", "lines", "newest", "detail"},
}


def text(second):
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


def ask(store, sql, interval_s=1, from_s=FROM_S, **chosen):
    statement = expanded(sql, from_s, FROM_S + LIVE_S - 1, interval_s, CHOSEN | chosen)
    return table(store.query_text(statement, "JSONCompact"))


def of(title):
    return PANELS[title]["targets"][0]["rawSql"]


def test_the_board_is_up_to_date():
    committed = (build.BOARDS / "depth.json").read_text(encoding="utf-8")
    assert committed == build.text(BOARD), "run python -m dashboards.grafana.build"


@pytest.mark.parametrize(("interval", "interval_s"), [("1s", 1), ("1s", 2), ("10s", 7), ("1m", 1)])
@pytest.mark.parametrize("title", EXPECTED)
def test_panels_answer(board, title, interval, interval_s):
    types, rows = ask(board, of(title), interval_s, interval=interval)
    assert set(types) == EXPECTED[title]
    assert any(len(values) for values in rows.values())
    if PANELS[title]["targets"][0]["format"] == panels.TIME_SERIES:
        assert types["time"] == "DateTime('UTC')"
        assert rows["time"] == sorted(rows["time"])
        labels = {name for name in types if "String" in types[name]}
        assert labels == ({"price"} if title == "Order book depth" else set())


def test_all_panels_are_known():
    assert set(PANELS) == set(EXPECTED)


@pytest.mark.parametrize("title", EXPECTED)
def test_panels_are_empty_without_data(board, title):
    _, rows = ask(board, of(title), instrument="NO-SUCH'; SELECT 1")
    values = rows.keys() - {"time", "price", "topic", "reason", "lines", "newest", "detail"}
    assert all(found is None for name in values for found in rows[name])


def test_variables_answer(board):
    assert ask(board, VARIABLES["venue"]["query"]["rawSql"])[1] == {
        "venue": ["binance_futures", "binance_spot"]
    }
    found = ask(board, VARIABLES["instrument"]["query"]["rawSql"], venue="binance_spot")[1]
    assert found == {"instrument": ["BTC-USDT"]}
    for name in ("interval", "band"):
        values = [option["value"] for option in VARIABLES[name]["options"]]
        assert VARIABLES[name]["query"].split(", ") == [
            f"{option['text']} : {option['value']}" for option in VARIABLES[name]["options"]
        ]
        assert len(values) > 2


def test_heatmap_cells_are_the_bins(board):
    fields = long_to_wide(ask(board, of("Order book depth"))[1], "price", "Value")
    # 0.5 % beyond 99.5 and 100.5: 99.0025 to 101.0025, in bins of 0.5.
    assert [float(name) for name in fields] == [99.0, 99.5, 100.0, 100.5, 101.0]
    known = {float(name): {t: v for t, v in cells.items() if v is not None} for name, cells in fields.items()}
    ends = {text(second + 1) for second in SECONDS}
    for price, cells in known.items():
        size = 0 if price == 100 else (price - 64) / 0.5
        assert cells == dict.fromkeys(ends, size)


def test_heatmap_grid_is_regular(board):
    rows = ask(board, of("Order book depth"))[1]
    fields = long_to_wide(rows, "price", "Value")
    times = sorted(set(rows["time"]))
    assert times == [text(FROM_S + 1 + i) for i in range(LIVE_S)]
    assert all(times[0] in cells for cells in fields.values())


def test_heatmap_rows_are_bounded_and_sums_of_bins(board):
    fields = long_to_wide(ask(board, of("Order book depth"), band="30")[1], "price", "Value")
    prices = [float(name) for name in fields]
    assert 2 < len(prices) <= panels.ROWS + 1
    steps = {round(b - a, 9) for a, b in itertools.pairwise(prices)}
    assert len(steps) == 1
    row_step = steps.pop()
    end = text(FROM_S + 1)
    for price in prices:
        bins = [price + 0.5 * i for i in range(round(row_step / 0.5))]
        known = [0 if b == 100 else (b - 64) / 0.5 for b in bins if b < 128]
        assert fields[f"{price:g}"][end] == (sum(known) if known else None)
    assert prices[0] < 70
    assert prices[-1] > 128


def test_averaged_cells_keep_holes(board):
    fields = long_to_wide(ask(board, of("Order book depth"), interval_s=10)[1], "price", "Value")
    known = {t: v for t, v in fields["99.5"].items() if v is not None}
    assert known == {text(FROM_S + s): 71 for s in (10, 20, 50, 60)}
    assert set(fields["99"]) == {text(FROM_S + s) for s in range(10, 70, 10)}


@pytest.mark.parametrize("title", ["Best prices", "Spread", "Imbalance", "Order flow imbalance"])
def test_a_hole_is_drawn_as_one(board, title):
    _, rows = ask(board, of(title))
    holes = {text(FROM_S + 20 + i) for i in range(HOLE_S)}
    live = {text(second) for second in SECONDS}
    for name in rows.keys() - {"time", "within_10_bp"}:
        found = dict(zip(rows["time"], rows[name], strict=True))
        assert {t for t, value in found.items() if value is None} >= holes
        assert {t for t, value in found.items() if value is not None} == live
    assert PANELS[title]["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False


@pytest.mark.parametrize("title", ["Best prices", "Order flow imbalance", "Order book depth"])
def test_a_range_that_begins_in_a_hole_is_drawn_from_its_begin(board, title):
    _, rows = ask(board, of(title), from_s=FROM_S + 25)
    end = 1 if title == "Order book depth" else 0
    assert sorted(set(rows["time"])) == [text(FROM_S + end + i) for i in range(25, LIVE_S)]


def test_unknown_imbalance_is_null(board):
    assert set(ask(board, of("Imbalance"))[1]["within_10_bp"]) == {None}
    assert ask(board, of("Book now"))[1]["imbalance_10_bp"] == [None]


def test_tables_and_volume(board):
    gap = ask(board, of("Gaps"))[1]
    assert (gap["kind"], gap["hole_s"], gap["detail"]) == (["gap"], [HOLE_S], ["expected 2, found 4"])
    dead = ask(board, of("Dead letters"))[1]
    assert (dead["topic"], dead["reason"], list(map(int, dead["lines"]))) == (
        ["raw.binance_futures"],
        ["json"],
        [2],
    )
    traded = ask(board, of("Traded volume"))[1]
    assert (traded["buys"], traded["sells"]) == ([2, 0], [0, -3])
    now = ask(board, of("Book now"))[1]
    assert (now["mid"], now["spread"]) == ([100], [100])


def test_panels_say_what_they_show():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in BOARD["panels"]:
        assert len(panel["description"]) > 40
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == panels.SOURCE
        assert [target["datasource"] for target in panel["targets"]] == [panels.SOURCE]
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in EXPECTED[panel["title"]]


def test_panels_do_not_overlap():
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < build.WIDTH
    with pytest.raises(ValueError, match="at most 24"):
        build.placed([(1, [(20, {}), (5, {})])])


def test_variables_used_are_declared():
    used = set(re.findall(r"\$\{(\w+)", json.dumps(BOARD)))
    assert used == set(VARIABLES)
