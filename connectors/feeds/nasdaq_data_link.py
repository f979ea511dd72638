"""Nasdaq Data Link (once Quandl): tables of end-of-day data, those that the user names. Off by default.

Sources: docs.data.nasdaq.com, Tables, Rate limits, Error codes, read 2026-11; github.com/Nasdaq/data-link-python, which
sends the key in the header X-Api-Token. The free time series of `/api/v3/datasets` ended in 2024 and answer 410
(data-link-python issue 48): they are not asked for, and 410 stops the feed.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from connectors.answers import decoded
from connectors.facts import DataRow
from connectors.feed import (
    DAY_S,
    GOOD,
    Answer,
    Auth,
    Chosen,
    Feed,
    Limit,
    Outcome,
    Plan,
    Poll,
    Row,
    Verdict,
    by_status,
)
from connectors.feeds.series import asked_of, local_ns, pace_s, request, zone
from connectors.venue import MALFORMED, ParseError, Request

NAME = "nasdaq_data_link"
URL = "https://data.nasdaq.com"
BASE = "/api/v3/datatables/"
ROWS = 10_000  # a page, the most there are
PAGES_MAX = 10
EVERY_S = DAY_S / 2  # data of the end of the day
LIMIT_WAIT_S = 600.0  # the longer of its short spans
ENDED = "the free datasets ended in 2024: name tables, as VENDOR/TABLE, in `symbols`"
CHECK = "NDAQ/RTAT10"

_TABLE = re.compile(r"[A-Za-z0-9_]{1,64}/[A-Za-z0-9_]{1,64}")
_PATH = re.compile(re.escape(BASE) + rf"({_TABLE.pattern})\.json")
NUMBERS = ("bigdecimal", "double", "integer", "float", "decimal", "number", "long")

Cell = str | int | float | bool | None


class _Column(msgspec.Struct):
    name: str
    type: str = ""


class _Table(msgspec.Struct):
    data: list[list[Cell]]
    columns: list[_Column]


class _Meta(msgspec.Struct):
    next_cursor_id: str | None = None


class _Page(msgspec.Struct):
    datatable: _Table
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Said(msgspec.Struct):
    quandl_error: _Error | None = None
    dataset: dict[str, msgspec.Raw] | None = None


_PAGE = msgspec.json.Decoder(_Page)
_SAID = msgspec.json.Decoder(_Said)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """A DataRow for each row of a page."""
    found = _PATH.fullmatch(asked_of(path)[0])
    if found is None or decoded(_SAID, payload).dataset is not None:
        raise ParseError(f"expected a page of a table, found an answer of {path[:120]!r}: {ENDED}")
    table = decoded(_PAGE, payload).datatable
    names = [column.name for column in table.columns]
    keys, date = _keys(table.columns), _date(table.columns)
    return [_row(found[1], names, keys, date, cells, recv_ns) for cells in table.data]


def _keys(columns: Sequence[_Column]) -> int:
    """How many of the first columns tell a row from others: those before the first number, at least one."""
    kinds = (column.type.lower().startswith(NUMBERS) for column in columns)
    return max(next((place for place, is_number in enumerate(kinds) if is_number), len(columns)), 1)


def _date(columns: Sequence[_Column]) -> int | None:
    return next((place for place, x in enumerate(columns) if x.type.lower().startswith("date")), None)


def _row(
    table: str, names: list[str], keys: int, date: int | None, cells: list[Cell], recv_ns: int
) -> DataRow:
    if len(cells) != len(names):
        raise ParseError(f"expected {len(names)} columns, found {len(cells)} in {cells[:5]}")
    said = None if date is None else cells[date]
    day_ns = local_ns(said, zone("UTC")) if isinstance(said, str) else None
    return DataRow(
        source=NAME,
        dataset=table,
        row="|".join("" if cell is None else str(cell) for cell in cells[:keys]),
        time_ns=recv_ns if day_ns is None else day_ns,
        values=msgspec.json.encode(dict(zip(names, cells, strict=True))).decode(),
    )


# By the first three letters of a code. QEM: "something went wrong on our end".
CODES: Mapping[str, Outcome] = MappingProxyType(
    {"QEL": Outcome.WAIT, "QEA": Outcome.STOPPED, "QEP": Outcome.REFUSED, "QEM": Outcome.AGAIN}
)


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the code of the error in the body, else by the status."""
    if answer.status == 410:
        return Verdict(Outcome.STOPPED, f"status 410: {ENDED}")
    found = by_status(answer)
    try:
        said = _SAID.decode(answer.body)
    except MALFORMED:
        return Verdict(Outcome.AGAIN, "expected JSON, found none") if found is GOOD else found
    if said.quandl_error is None:
        is_old = found is GOOD and said.dataset is not None
        return Verdict(Outcome.STOPPED, f"expected a table, found a dataset: {ENDED}") if is_old else found
    code, reason = said.quandl_error.code, f"{said.quandl_error.code}: {said.quandl_error.message[:200]}"
    outcome = CODES.get(code[:3], Outcome.REFUSED if found is GOOD else found.outcome)
    wait_s = found.wait_s or LIMIT_WAIT_S if outcome is Outcome.WAIT else None
    return Verdict(outcome, reason, wait_s)


def after(asked: Request, payload: bytes) -> Request | None:
    """The page of the next cursor; None at the end, and where the cursor does not move."""
    bare, query = asked_of(asked.path)
    cursor = decoded(_PAGE, payload).meta.next_cursor_id
    if not cursor or cursor == query.get("qopts.cursor_id"):
        return None
    return request(bare, {**query, "qopts.cursor_id": cursor})


def auth(plan: Plan, key: str) -> Auth:
    """The key in a header; none of the anonymous plan."""
    return Auth() if plan.keyless or not key else Auth(headers=MappingProxyType({"X-Api-Token": key}))


def polls(chosen: Chosen) -> list[Poll]:
    """The tables that the user names. Raises ParseError for what is no table."""
    for table in chosen.symbols:
        if _TABLE.fullmatch(table) is None:
            raise ParseError(f"expected tables like {CHECK} as symbols of {NAME}, found {table[:64]!r}")
    pages = 2 if chosen.plan.keyless else PAGES_MAX
    every_s = pace_s(chosen.plan, pages * len(chosen.symbols), chosen.every_s, EVERY_S)
    return [Poll(table, _page(table, ROWS), every_s, pages_max=pages) for table in chosen.symbols]


def _page(table: str, rows: int) -> Request:
    return request(f"{BASE}{table}.json", {"qopts.per_page": rows})


FEED = Feed(
    name=NAME,
    plans=(
        # "Anonymous users have a limit of 20 calls per 10 minutes and 50 calls per day."
        Plan(name="anonymous", url=URL, limits=(Limit(20, 600.0), Limit(50, DAY_S)), keyless=True),
        # "300 calls per 10 seconds, 2,000 calls per 10 minutes and a limit of 50,000 calls per day", one at a time.
        Plan(name="free", url=URL, limits=(Limit(300, 10.0), Limit(2000, 600.0), Limit(50_000, DAY_S))),
        Plan(name="premium", url=URL, limits=(Limit(5000, 600.0),)),
    ),
    parse=parse,
    judge=judge,
    canonical=str.upper,
    key_env="ISOTHERM_NASDAQ_DATA_LINK_KEY",
    key_check=_page(CHECK, 1),
    auth=auth,
    polls=polls,
    after=after,
    by_default=False,
)
FEEDS = (FEED,)
