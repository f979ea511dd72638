"""FinViz Elite: columns by name, units, the login page."""

import pytest

from connectors.access import access
from connectors.facts import Equity
from connectors.feed import Answer, Chosen, Outcome, PlanError, Row, feed
from connectors.settings import Polled
from connectors.simulator.apis.finviz import LOGIN
from connectors.simulator.half import DEMO_KEY
from connectors.venue import ParseError, Request

FEED = feed("finviz")
OVERVIEW, CUSTOM = "/export.ashx?v=111", "/export.ashx?v=152&c=1,2,3"
HEADER = "No.,Ticker,Company,Sector,Industry,Country,Market Cap,P/E,Price,Change,Volume"
LINE = '1,SIMA,"Simulated Audio, Inc",Technology,Computers,USA,1234.5,"1,020.5",10.5,-1.25%,"1,000"'


def parse(text: str, path: str = OVERVIEW) -> list[Row]:
    return FEED.parse(path, text.encode(), 7)


def test_millions_per_cent_and_names() -> None:
    expected = Equity(
        source="finviz", ticker="SIMA", company="Simulated Audio, Inc", sector="Technology", industry="Computers",
        country="USA", time_ns=7, price_usd=10.5, change_pct=-1.25, volume=1000.0, market_cap_usd=1_234_500_000.0,
        price_earnings=1020.5,
    )  # fmt: skip
    assert parse(f"{HEADER}\n{LINE}\n") == parse(f"\ufeff{HEADER}\r\n{LINE}\r\n") == [expected]
    names, values = HEADER.split(","), ["1", "A", "B", "C", "D", "E", "2", "3", "4", "5%", "6"]
    turned = ",".join(reversed(names)) + "\n" + ",".join(reversed(values))
    (found,) = parse(turned)
    assert isinstance(found, Equity) and (found.ticker, found.market_cap_usd, found.change_pct) == (
        "A",
        2e6,
        5.0,
    )


def test_what_is_not_told_is_none() -> None:
    (found,) = parse(f"{HEADER}\n1,SIMA,,,,,,-,,,\n")
    assert isinstance(found, Equity)
    assert (found.market_cap_usd, found.price_earnings, found.price_usd, found.volume) == (None,) * 4
    assert parse(HEADER + "\n") == []


def test_missing_columns_are_named() -> None:
    with pytest.raises(ParseError, match=r"columns Market Cap, found 'No\.,"):
        parse(f"{HEADER}\n{LINE}".replace("Market Cap", "Mkt Cap"))
    without = HEADER.replace("Country,", "").replace("P/E,", "")
    with pytest.raises(ParseError, match="Country, P/E"):
        parse(without)
    assert parse(without, CUSTOM) == [], "columns of a custom view are the user's"


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_told(sign: str, name: str) -> None:
    with pytest.raises(ParseError, match=f"separated by commas, found {name}"):
        parse(f"{HEADER}\n{LINE}".replace(",", sign))


@pytest.mark.parametrize(
    "text", ["", "<html></html>", '{"error":1}', f"{HEADER}\n1,2", f"{HEADER}\n{LINE.replace('10.5', 'ten')}",
             f"{HEADER}\n{LINE.replace('SIMA', '')}", f'{HEADER}\n1,"SI'],
)  # fmt: skip
def test_what_is_no_export_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, {}, LOGIN), Outcome.STOPPED),
        (Answer(200, {}, b"\xef\xbb\xbf\n<!DOCTYPE html><a href=/login>Sign in</a>"), Outcome.STOPPED),
        (Answer(302, {"location": "/login.ashx"}, b""), Outcome.STOPPED),
        (Answer(403, {}, b""), Outcome.STOPPED),
        (Answer(200, {}, b"<html>Just a moment...</html>"), Outcome.AGAIN),
        (Answer(200, {}, b""), Outcome.AGAIN),
        (Answer(429, {"retry-after": "90"}, b""), Outcome.WAIT),
        (Answer(502, {}, b"<html>login</html>"), Outcome.AGAIN),
        (Answer(200, {}, HEADER.encode()), Outcome.GOOD),
    ],
)
def test_answers_are_judged(answer: Answer, outcome: Outcome) -> None:
    assert FEED.judge(Request(OVERVIEW, 1), answer).outcome is outcome


def test_millions_of_what_is_no_number_are_refused() -> None:
    line = ",".join("1e308" if x == "Market Cap" else "1" for x in HEADER.strip().split(","))
    with pytest.raises(ParseError, match="expected a number as Market Cap"):
        FEED.parse(OVERVIEW, f"{HEADER.strip()}\r\n{line}\r\n".encode(), 1)


def test_it_is_off_and_slow_and_keeps_the_token_out_of_the_path() -> None:
    assert not FEED.by_default
    plan = FEED.plan("", has_key=True)
    assert FEED.polls(Chosen(plan, every_s=1.0))[0].every_s == 60.0 == plan.spacing_s
    assert FEED.polls(Chosen(plan, path="/export?v=152"))[0].request.path == "/export?v=152"
    for path in ("/export?v=152&auth=secret", "export?v=111", "https://elite.finviz.com/export"):
        with pytest.raises(ParseError) as found:
            FEED.polls(Chosen(plan, path=path))
        assert "secret" not in str(found.value)
    with pytest.raises(PlanError, match="finviz: expected the export's path without auth"):
        access(FEED, {"ISOTHERM_FINVIZ_KEY": DEMO_KEY}, Polled(path="/export?auth=x"))
    assert FEED.auth(plan, DEMO_KEY).query == {"auth": DEMO_KEY} and not FEED.auth(plan, DEMO_KEY).headers
