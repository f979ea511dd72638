"""Nasdaq Data Link: tables by pages, codes of errors, the end of the datasets."""

from datetime import UTC, datetime

import msgspec
import pytest

from connectors.facts import DataRow
from connectors.feed import Answer, Chosen, Outcome, Row, feed
from connectors.feeds.nasdaq_data_link import ENDED
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request
from tests.connectors.feeds.asking import Asking

FEED = feed("nasdaq_data_link")
PATH = "/api/v3/datatables/NDAQ/RTAT10.json"
ASKED = Request(f"{PATH}?qopts.per_page=10", 1)


def table(columns: list[tuple[str, str]], *rows: list[object], cursor: str | None = None) -> bytes:
    names = [{"name": name, "type": kind} for name, kind in columns]
    told = {"datatable": {"data": rows, "columns": names}, "meta": {"next_cursor_id": cursor}}
    return msgspec.json.encode(told)


def data_rows(rows: list[Row]) -> list[DataRow]:
    return [row for row in rows if isinstance(row, DataRow)]


def test_a_row_is_told_with_its_date_and_all_its_columns() -> None:
    columns = [("date", "Date"), ("ticker", "String"), ("activity", "BigDecimal(36,14)"), ("note", "text")]
    body = table(columns, ["2026-11-20", "AAPL", 0.05, None])
    assert FEED.parse(PATH, body, 7) == [
        DataRow(
            source="nasdaq_data_link", dataset="NDAQ/RTAT10", row="2026-11-20|AAPL",
            time_ns=int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 10**9,
            values='{"date":"2026-11-20","ticker":"AAPL","activity":0.05,"note":null}',
        )
    ]  # fmt: skip
    (undated,) = data_rows(FEED.parse(PATH, table([("id", "Integer"), ("x", "double")], [5, 1.5]), 7))
    assert (undated.row, undated.time_ns) == ("5", 7)
    (nothing,) = data_rows(FEED.parse(PATH, table([("date", "Date")], [None]), 7))
    assert (nothing.row, nothing.time_ns) == ("", 7)


def test_pages_follow_the_cursor_and_tell_each_row_once() -> None:
    asking = Asking(FEED)
    pages = asking.pages(ASKED)
    assert [len(x) for x in pages] == [10, 10, 4]
    assert len({row.row for page in pages for row in data_rows(page)}) == 24
    body = table([("x", "Integer")], cursor="abc")
    following = FEED.after(ASKED, body)
    assert following is not None and following.path == f"{PATH}?qopts.per_page=10&qopts.cursor_id=abc"
    assert FEED.after(following, body) is None, "a cursor that does not move is the end"


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (429, "QELx01", "wait"), (429, "QELx05", "wait"), (400, "QEAx01", "stopped"), (403, "QEPx04", "refused"),
        (404, "QECx02", "refused"), (422, "QESx04", "refused"), (500, "QEMx01", "again"), (200, "QEAx03", "stopped"),
        (200, "QECx05", "refused"),
    ],
)  # fmt: skip
def test_codes(status: int, code: str, outcome: str) -> None:
    body = msgspec.json.encode({"quandl_error": {"code": code, "message": "no"}})
    verdict = FEED.judge(ASKED, Answer(status, {}, body))
    assert verdict.outcome == outcome and code in verdict.reason
    assert verdict.wait_s == (600.0 if outcome == "wait" else None)
    assert outcome != "wait" or FEED.judge(ASKED, Answer(429, {"retry-after": "30"}, body)).wait_s == 30.0


def test_the_datasets_have_ended() -> None:
    verdict = Asking(FEED).verdict(Request("/api/v3/datasets/WIKI/TSLA.json", 1))
    assert verdict.outcome is Outcome.STOPPED and ENDED in verdict.reason
    plan = FEED.plan("", has_key=True)
    assert all("/datatables/" in x.request.path for x in FEED.polls(Chosen(plan, ("WIKI/PRICES",))))


def test_it_is_off_and_asks_for_nothing_that_is_not_named() -> None:
    assert not FEED.by_default and FEED.polls(Chosen(FEED.plan("", has_key=True))) == []
    for wrong in ("WIKI", "A/B/C", "../A", "A/B?x=1", ""):
        with pytest.raises(ParseError, match="tables like"):
            FEED.polls(Chosen(FEED.plans[0], (wrong,)))


def test_without_a_key_the_day_is_enough() -> None:
    plan = FEED.plan("", has_key=False)
    assert plan.name == "anonymous" and not FEED.auth(plan, "").headers
    for count in (1, 5, 40):
        polls = FEED.polls(Chosen(plan, tuple(f"A/T{x}" for x in range(count)), every_s=60.0))
        assert sum(86_400 / x.every_s * x.pages_max for x in polls) <= 0.8 * 50
    assert Asking(FEED).answer(ASKED, key="").status == 200
    assert FEED.auth(FEED.plan("", has_key=True), DEMO_KEY).headers == {"X-Api-Token": DEMO_KEY}


@pytest.mark.parametrize(
    "body",
    [table([("x", "Integer")], [1, 2]), b'{"datatable":{}}', b'{"datatable":{"data":[[1]]}}', b"[]", b"{}"],
)
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        FEED.parse(PATH, body, 7)
