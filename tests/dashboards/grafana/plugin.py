"""What Grafana and its ClickHouse plugin do to the text of a query before it is sent.

Macros as in grafana/clickhouse-datasource, pkg/macros; variables as in Grafana's template service (November 2026).
"""

import json
import re
from collections.abc import Mapping

Frame = dict[str, list[object]]


def expanded(sql: str, from_s: int, to_s: int, interval_s: int, variables: Mapping[str, str]) -> str:
    """The statement that reaches the server."""
    for name, value in variables.items():
        quoted = "'" + value.replace("'", "''") + "'"
        sql = sql.replace(f"${{{name}:singlequote}}", quoted).replace(f"${{{name}}}", value)
    sql = re.sub(
        r"\$__timeFilter_ms\(([^()]*)\)",
        rf"\1 >= fromUnixTimestamp64Milli({from_s}000) AND \1 <= fromUnixTimestamp64Milli({to_s}000)",
        sql,
    )
    sql = re.sub(
        r"\$__timeFilter\(([^()]*)\)", rf"\1 >= toDateTime({from_s}) AND \1 <= toDateTime({to_s})", sql
    )
    for macro, value in {
        "fromTime": f"toDateTime({from_s})", "toTime": f"toDateTime({to_s})", "interval_s": str(interval_s)
    }.items():  # fmt: skip
        sql = re.sub(rf"\$__{macro}\b", value, sql)
    assert "$" not in sql, f"a macro or variable is left: {sql[sql.index('$') :][:40]}"
    return sql


def table(answer: str) -> tuple[dict[str, str], Frame]:
    """Types and values by column of an answer in the format JSONCompact."""
    read = json.loads(answer)
    names = [column["name"] for column in read["meta"]]
    types = {column["name"]: column["type"] for column in read["meta"]}
    return types, {name: [row[i] for row in read["data"]] for i, name in enumerate(names)}


def long_to_wide(rows: Frame, label: str, value: str) -> Mapping[str, Mapping[object, object]]:
    """The fields that a time series answer with one label becomes: name, then value by time."""
    fields: dict[str, dict[object, object]] = {}
    for time, name, found in zip(rows["time"], rows[label], rows[value], strict=True):
        assert time not in fields.setdefault(str(name), {}), "two rows of a time and label"
        fields[str(name)][time] = found
    return fields
