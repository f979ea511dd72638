"""Write the boards that Grafana is provisioned with: `python -m dashboards.grafana.build`.

The JSON is committed, so that a deployment needs no build step; a test holds it equal to this code.
"""

import json
from pathlib import Path

from dashboards.grafana import panels
from dashboards.grafana.panels import SOURCE, Json

BOARDS = Path(__file__).parent / "boards"
# Version of Grafana's classic dashboard model.
SCHEMA_VERSION = 42
WIDTH = 24


def depth() -> Json:
    """The depth board: one book, chosen by venue and instrument."""
    rows = [
        (16, [(20, panels.heatmap()), (4, panels.book_now())]),
        (8, [(24, panels.prices())]),
        (7, [(12, panels.spread()), (12, panels.imbalance())]),
        (7, [(12, panels.order_flow()), (12, panels.volume())]),
        (8, [(12, panels.gaps()), (12, panels.dead_letters())]),
    ]
    return {
        "uid": "isotherm-depth",
        "title": "Depth",
        "description": "One order book over time: resting size by price, best prices, imbalance, flow, and holes.",
        "tags": ["isotherm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "timepicker": {"refresh_intervals": ["1s", "5s", "10s", "1m"]},
        "templating": {"list": variables()},
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


def placed(rows: list[tuple[int, list[tuple[int, Json]]]]) -> list[Json]:
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
    (BOARDS / "depth.json").write_text(text(depth()), encoding="utf-8")
