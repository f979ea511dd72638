"""The simulated half of Nasdaq Data Link. Sources and their dates as in `connectors.feeds.nasdaq_data_link`.

One invented table at any name; the old datasets answer 410.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.series import values_late_ms
from connectors.simulator.half import DEMO_KEY

DAY_MS = 86_400_000
TICKERS = ("SIMA", "SIMB", "SIMC", "SIMD")
DAYS = 6
COLUMNS = (
    ("date", "Date"),
    ("ticker", "String"),
    ("activity", "BigDecimal(36,14)"),
    ("sentiment", "Integer"),
)
GONE = Reply(410, b'{"quandl_error":{"code":"QECx06","message":"This API endpoint is no longer available."}}')


def _failed(status: int, code: str, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"quandl_error": {"code": code, "message": message}}))


def _table(ask: Ask) -> Reply:
    """A page of rows, newest day first."""
    per_page, cursor = ask.query.get("qopts.per_page", "10000"), ask.query.get("qopts.cursor_id", "0")
    if not per_page.isdigit() or not cursor.isdigit():
        return _failed(422, "QESx04", "You have submitted incorrect query parameters.")
    today, old = ask.world.now_ms // DAY_MS, values_late_ms(ask) // DAY_MS
    rows = [
        [
            _date(today - day),
            ticker,
            None if "nulls" in ask.faults else (today - old - day + at) % 100 / 100,
            at - 1,
        ]
        for day in range(1, DAYS + 1)
        for at, ticker in enumerate(TICKERS)
    ]
    first = 0 if "repeated_page" in ask.faults else int(cursor)
    last = first + int(per_page)
    columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
    data = "rows" if "renamed_column" in ask.faults else "data"
    table = {data: rows[first:last], "columns": columns}
    meta = {"next_cursor_id": str(last) if last < len(rows) else None}
    return Reply(200, msgspec.json.encode({"datatable": table, "meta": meta}))


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


class NasdaqDataLink(ApiHalf):
    """Tables."""

    name = "nasdaq_data_link"
    keys = MappingProxyType({"": "anonymous", DEMO_KEY: "free"})
    windows = MappingProxyType({"anonymous": (Window(50, "day"),), "free": (Window(50_000, "day"),)})

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Tables, and what is left of datasets."""
        return {
            "/api/v3/datatables/{vendor}/{table}": _table,
            "/api/v3/datasets/{database}/{dataset}": lambda ask: GONE,
        }

    def key(self, ask: Ask) -> str:
        """By header or query."""
        return ask.headers.get("x-api-token", "") or ask.query.get("api_key", "")

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """By code."""
        del retry_after_s
        match fault:
            case "bad_key":
                return _failed(
                    400, "QEAx01", "We could not recognize your API key. Please check your API key."
                )
            case "plan_expired":
                return _failed(
                    403, "QEPx04", "You do not have permission to view this table. Please subscribe."
                )
            case "limited":
                return _failed(429, "QELx04", "You have exceeded the API speed limit.")
            case _:
                return GONE


APIS = (NasdaqDataLink,)
