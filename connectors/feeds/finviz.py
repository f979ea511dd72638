"""FinViz Elite: the user's own export of the screener, with a personal token. Off by default.

Source: the export address that Elite shows its subscribers, as users publish it until 2026: a CSV with a row of
headers, no paging, no word on limits; `/export.ashx` here and `/export` there, so that the path is the user's. The
token goes in the query, as it is taken nowhere else. Terms: for the subscriber's own use, US equities only.

Columns are found by their headers. Market caps are in millions of dollars, changes like `8.49%`. A page of HTML that
asks for a password in place of the CSV: the token is refused. Any other page is a trouble of the line.
"""

import csv
import io
from collections.abc import Mapping
from types import MappingProxyType

from connectors.facts import Equity
from connectors.feed import (
    MINUTE_S,
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
from connectors.feeds.series import asked_of, old_s
from connectors.venue import ParseError, Request

NAME = "finviz"
URL = "https://elite.finviz.com"
PATH = "/export.ashx?v=111"  # view 111: overview
EVERY_S = 300.0
NEEDED = ("Ticker", "Company", "Sector", "Industry", "Market Cap", "Price", "Change", "Volume")
OVERVIEW = (*NEEDED, "Country", "P/E")  # all that view 111 has
LOGIN = (b"password", b"log in", b"login", b"sign in")
PAGE_BYTES = 65_536
NUMBER_MAX = 1e18  # some are counted in millions
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """A row for each ticker, of the time of receipt: the export tells none."""
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(f"expected text in UTF-8: {error}") from None
    if text.lstrip().startswith(("<", "{")):
        raise ParseError(f"expected CSV, found {text.lstrip()[:80]!r}")
    try:
        lines = csv.reader(io.StringIO(text), strict=True)
        header = next(lines, [])
        _check(header, OVERVIEW if asked_of(path)[1].get("v") == "111" else NEEDED)
        return [_equity(header, line, recv_ns) for line in lines if line]
    except csv.Error as error:
        raise ParseError(f"expected CSV: {error}") from None


def _check(header: list[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in header]
    if not missing:
        return
    other = next((name for sign, name in SEPARATORS.items() if sign in "".join(header[:1])), None)
    if other:
        raise ParseError(f"expected columns separated by commas, found {other}: {header[0][:120]!r}")
    raise ParseError(f"expected columns {', '.join(missing)}, found {', '.join(header)[:300]!r}")


def _equity(header: list[str], line: list[str], recv_ns: int) -> Equity:
    if len(line) != len(header):
        raise ParseError(f"expected {len(header)} columns, found {len(line)} in {','.join(line)[:120]!r}")
    told = dict(zip(header, line, strict=True))
    if not told["Ticker"]:
        raise ParseError(f"expected a ticker, found {','.join(line)[:120]!r}")
    millions = _number(told, "Market Cap")
    return Equity(
        source=NAME,
        ticker=told["Ticker"],
        company=told["Company"],
        sector=told["Sector"],
        industry=told["Industry"],
        country=told.get("Country", ""),
        time_ns=recv_ns,
        price_usd=_number(told, "Price"),
        change_pct=_number(told, "Change"),
        volume=_number(told, "Volume"),
        market_cap_usd=None if millions is None else round(millions * 1e6, 2),
        price_earnings=_number(told, "P/E"),
    )


def _number(told: Mapping[str, str], name: str) -> float | None:
    """10.5 of 10.5 and 10.5%; None of nothing and of "-"."""
    text = told.get(name, "").strip().removesuffix("%").replace(",", "")
    if text in ("", "-"):
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not abs(found) < NUMBER_MAX:
        raise ParseError(f"expected a number as {name}, found {text[:64]!r}")
    return found


def judge(asked: Request, answer: Answer) -> Verdict:
    """By the status; a page that asks for a password, or the way to one, stops the feed."""
    page = answer.body[:PAGE_BYTES].lower()
    is_login = page.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<") and any(x in page for x in LOGIN)
    if (answer.status == 200 and is_login) or answer.status in (301, 302, 303, 307, 308, 403):
        return Verdict(
            Outcome.STOPPED,
            "expected CSV, found the login page: check the token, and that Elite has not ended",
        )
    return by_status(answer)


def auth(plan: Plan, key: str) -> Auth:
    """The token in the query."""
    del plan
    return Auth(query=MappingProxyType({"auth": key}))


def polls(chosen: Chosen) -> list[Poll]:
    """The export. Raises ParseError for a path with a token."""
    path = chosen.path or PATH
    if "auth" in asked_of(path)[1]:
        raise ParseError("expected the export's path without auth=...: set the token as ISOTHERM_FINVIZ_KEY")
    if not path.startswith("/"):
        raise ParseError(f"expected a path like {PATH}, found {path[:64]!r}")
    every_s = max(chosen.every_s or EVERY_S, MINUTE_S)
    return [Poll("export", Request(path, 1), every_s, old_s=old_s(True, every_s))]


FEED = Feed(
    name=NAME,
    plans=(Plan(name="elite", url=URL, limits=(Limit(1, MINUTE_S),), spacing_s=MINUTE_S),),
    parse=parse,
    judge=judge,
    canonical=str.upper,
    key_env="ISOTHERM_FINVIZ_KEY",
    auth=auth,
    polls=polls,
    by_default=False,
)
FEEDS = (FEED,)
