"""Write the boards that Grafana is provisioned with: `python -m dashboards.grafana.build`.

The JSON is committed, so that a deployment needs no build step; a test holds it equal to this code.
"""

import json
from pathlib import Path

from dashboards.grafana import panels, tape_panels
from dashboards.grafana.panels import SOURCE, Json

BOARDS = Path(__file__).parent / "boards"
# Version of Grafana's classic dashboard model.
SCHEMA_VERSION = 42
WIDTH = 24
VENUES_AND_ALL = """SELECT venue FROM
(
    SELECT 'all' AS venue, 0 AS place
    UNION ALL
    SELECT DISTINCT toString(venue), 1 FROM market.instrument_names WHERE instrument = ${instrument:singlequote}
)
ORDER BY place, venue"""
Rows = list[tuple[int, list[tuple[int, Json]]]]  # height, then width and panel


def depth() -> Json:
    """The depth board: one book, chosen by venue and instrument."""
    rows = [
        (16, [(20, panels.heatmap()), (4, panels.book_now())]),
        (8, [(24, panels.prices())]),
        (7, [(12, panels.spread()), (12, panels.imbalance())]),
        (7, [(12, panels.order_flow()), (12, panels.volume())]),
        (8, [(12, panels.gaps()), (12, panels.dead_letters())]),
    ]
    text = "One order book over time: resting size by price, best prices, imbalance, flow, and holes."
    return _board("depth", "Depth", text, variables(), rows)


def tape() -> Json:
    """The tape board: what traded of one instrument, on one venue or on all."""
    rows = [
        (
            14,
            [
                (16, tape_panels.volume_heatmap()),
                (5, tape_panels.profile()),
                (3, tape_panels.profile_levels()),
            ],
        ),
        (9, [(24, tape_panels.price_and_value())]),
        (7, [(12, tape_panels.delta_bars()), (12, tape_panels.cvd(by_size=False))]),
        (9, [(12, tape_panels.delta_heatmap()), (12, tape_panels.cvd(by_size=True))]),
        (7, [(12, tape_panels.liquidations()), (12, tape_panels.funding())]),
        (8, [(12, tape_panels.walls()), (12, tape_panels.levels())]),
        (8, [(10, tape_panels.large_trades()), (7, tape_panels.naked_pocs()), (7, tape_panels.venues())]),
    ]
    text = "What traded of one instrument: volume by price and time, profiles, delta, walls and levels."
    return _board("tape", "Tape", text, tape_variables(), rows)


def _board(name: str, title: str, text: str, variables: list[Json], rows: Rows) -> Json:
    return {
        "uid": f"isotherm-{name}",
        "title": title,
        "description": text,
        "tags": ["isotherm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "timepicker": {"refresh_intervals": ["1s", "5s", "10s", "1m"]},
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": placed(rows),
    }


def variables() -> list[Json]:
    """What is chosen at the top of the board."""
    return [
        _queried("venue", "Venue", "SELECT DISTINCT venue FROM market.instruments ORDER BY venue"),
        _queried(
            "instrument",
            "Instrument",
            "SELECT DISTINCT instrument FROM market.instruments WHERE venue = ${venue:singlequote} ORDER BY instrument",
        ),
        _chosen("interval", "Interval", {"1 s": "1s", "10 s": "10s", "1 min": "1m"}),
        _chosen("band", "Beyond best prices", {"0.1 %": "0.1", "0.25 %": "0.25", "0.5 %": "0.5", "1 %": "1"}),
    ]


def tape_variables() -> list[Json]:
    """What is chosen at the top of the tape board."""
    return [
        _queried(
            "instrument",
            "Instrument",
            "SELECT DISTINCT instrument FROM market.instrument_names ORDER BY instrument",
        ),
        _queried("venue", "Venue", VENUES_AND_ALL),
        _chosen("interval", "Bars", {"10 s": "10s", "1 min": "1m", "1 h": "1h"}),
        _chosen("shown", "Volume", {"all": "total", "bought": "buy", "sold": "sell"}),
        _chosen("rows", "Rows at most", {"120": "120", "60": "60", "30": "30", "240": "240"}),
    ]


def placed(rows: Rows) -> list[Json]:
    """Panels with ids and positions: `rows` of a height and panels by width, 24 to a row.

    Raises:
        ValueError: a row is wider.
    """
    out: list[Json] = []
    top = 0
    for height, row in rows:
        left = 0
        for width, panel in row:
            place = {"x": left, "y": top, "w": width, "h": height}
            out.append({"id": len(out) + 1, "gridPos": place} | panel)
            left += width
        if left > WIDTH:
            raise ValueError(f"expected a row of at most {WIDTH} columns, found {left}")
        top += height
    return out


def text(board: Json) -> str:
    """The file's content."""
    return json.dumps(board, indent=2) + "\n"


def _queried(name: str, label: str, sql: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": sql,
        "query": {"rawSql": sql, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _chosen(name: str, label: str, values: dict[str, str]) -> Json:
    options = [
        {"text": shown, "value": value, "selected": i == 0} for i, (shown, value) in enumerate(values.items())
    ]
    return {
        "name": name,
        "label": label,
        "type": "custom",
        "query": ", ".join(f"{shown} : {value}" for shown, value in values.items()),
        "current": options[0],
        "options": options,
        "multi": False,
        "includeAll": False,
    }


if __name__ == "__main__":
    BOARDS.mkdir(exist_ok=True)
    for board, made in (("depth", depth()), ("tape", tape())):
        (BOARDS / f"{board}.json").write_text(text(made), encoding="utf-8")
