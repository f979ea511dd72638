"""Recorded answers and frames of the sources with a key, against values read by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from connectors.facts import Equity
from connectors.feed import Answer, Outcome, Row, feed
from connectors.feeds import nasdaq_data_link
from connectors.venue import Bar, BestQuote, ParseError, Price, Request, Trade
from connectors.venues import finnhub, massive
from tests.connectors.feeds.asking import bars_of

LATER_NS = 1_795_000_000 * 10**9


def ns(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


def check_dow(rows: list[Row]) -> None:
    bars = bars_of(rows)
    assert len(bars) == 30
    # 15:55 in New York, in May: four hours behind UTC.
    assert bars[0] == Bar(
        symbol="DJI", interval_s=300, open_ns=ns(2022, 5, 4, 19, 55), open=Decimal("34066.32812"),
        high=Decimal("34080.26953"), low=Decimal("34023.98828"), close=Decimal("34056.53906"),
        volume=Decimal(21762703), quote_volume=None, buy_volume=None, trades=None, closed=True,
    )  # fmt: skip
    assert (bars[-1].open_ns, bars[-1].close) == (ns(2022, 5, 4, 17, 30), Decimal("33243.67188"))
    assert all(x.open_ns - y.open_ns == 300 * 10**9 for x, y in pairwise(bars))


def check_crypto(rows: list[Row]) -> None:
    first, second = bars_of(rows)
    # 1590984000000 ms: midnight in New York.
    assert first == Bar(
        symbol="BTC-USD", interval_s=86_400, open_ns=ns(2020, 6, 1, 4), open=Decimal("9557.9"),
        high=Decimal("10429.26"), low=Decimal(9490), close=Decimal("10094.75"), volume=Decimal("303067.6562332156"),
        quote_volume=Decimal("303067.6562332156") * Decimal("9874.5529"), buy_volume=None, trades=1, closed=True,
    )  # fmt: skip
    assert second.open_ns == ns(2020, 6, 2, 4) and second.high == Decimal("10222.72")


def check_forex(rows: list[Row]) -> None:
    (only,) = bars_of(rows)
    assert only == Bar(
        symbol="EUR-USD", interval_s=86_400, open_ns=ns(2021, 7, 22), open=Decimal("1.17921"),
        high=Decimal("1.18305"), low=Decimal("1.1756"), close=Decimal("1.17721"), volume=None, quote_volume=None,
        buy_volume=None, trades=125329, closed=True,
    )  # fmt: skip


def check_rate(rows: list[Row]) -> None:
    assert rows == [
        Price(symbol="BTC/CNY", event_ns=ns(2017, 12, 20, 19, 23, 21), price=Decimal("109631.43060700"))
    ]


def check_equities(rows: list[Row]) -> None:
    found = {row.ticker: row for row in rows if isinstance(row, Equity)}
    assert len(found) == len(rows) == 379
    assert found["APLD"] == Equity(
        source="finviz", ticker="APLD", company="Applied Digital Corporation", sector="Technology",
        industry="Information Technology Services", country="", time_ns=LATER_NS, price_usd=37.69, change_pct=8.49,
        volume=48_149_227.0, market_cap_usd=10_537_590_000.0, price_earnings=None,
    )  # fmt: skip
    assert found["CLS"].company == "Celestica, Inc"
    assert (found["RMBS"].change_pct, found["RMBS"].market_cap_usd) == (-7.58, 12_413_140_000.0)


RANGE = "range_multiplier_timespan_from_to.json"
ANSWERS = (
    ("twelve_data_rest", "twelvedata/time_series_DJI_5min.json", "/time_series?symbol=DJI&interval=5min", check_dow),
    ("massive_crypto_rest", f"polygon_massive_openapi/v2_aggs_ticker_cryptoTicker_{RANGE}",
     "/v2/aggs/ticker/X:BTCUSD/range/1/day/2020-06-01/2020-06-02?adjusted=true", check_crypto),
    ("massive_forex_rest", f"polygon_massive_openapi/v2_aggs_ticker_forexTicker_{RANGE}",
     "/v2/aggs/ticker/C:EURUSD/range/1/day/2021-07-22/2021-07-22?adjusted=true", check_forex),
    ("alpha_vantage", "alphavantage/mock_foreign_exchange.json",
     "/query?function=CURRENCY_EXCHANGE_RATE&from_currency=BTC&to_currency=CNY", check_rate),
    ("finviz", "finviz/elite_export_custom_20260123.csv", "/export.ashx?v=152&c=0,1,2,3,4,6", check_equities),
)  # fmt: skip


@pytest.mark.parametrize(("name", "file", "path", "check"), ANSWERS, ids=[x[1] for x in ANSWERS])
def test_recorded_answers_parse_into_rows(
    recordings: Path, name: str, file: str, path: str, check: Callable[[list[Row]], None]
) -> None:
    source, body = feed(name), (recordings / "rest" / file).read_bytes()
    assert source.judge(Request(path, 1), Answer(200, {}, body)).outcome is Outcome.GOOD
    check(source.parse(path, body, LATER_NS))


def test_a_dataset_of_quandl_is_known_for_what_it_is(recordings: Path) -> None:
    body = (recordings / "rest/nasdaq_data_link/quandl_v3_wiki_tsla_rows1.json").read_bytes()
    path, source = "/api/v3/datasets/WIKI/TSLA.json?rows=1", feed("nasdaq_data_link")
    verdict = source.judge(Request(path, 1), Answer(200, {}, body))
    assert verdict.outcome is Outcome.STOPPED and nasdaq_data_link.ENDED in verdict.reason
    for asked in (path, "/api/v3/datatables/WIKI/PRICES.json"):
        with pytest.raises(ParseError, match="free datasets ended"):
            source.parse(asked, body, LATER_NS)


@pytest.mark.parametrize("file", ["global_quote", "mock_time_series", "mock_technical_indicator"])
def test_functions_that_are_not_asked_for_are_refused(recordings: Path, file: str) -> None:
    body = (recordings / f"rest/alphavantage/{file}.json").read_bytes()
    for function in ("TIME_SERIES_INTRADAY", "FX_DAILY", "CURRENCY_EXCHANGE_RATE"):
        with pytest.raises(ParseError):
            feed("alpha_vantage").parse(f"/query?function={function}", body, LATER_NS)


def test_frames_of_massive(recordings: Path) -> None:
    told = msgspec.json.decode(
        (recordings / "rest/polygon_massive_openapi/websocket_examples.json").read_bytes()
    )
    found = {
        said["example"]["ev"]: massive.parse(msgspec.json.encode([said["example"]]))
        for said in told
        if {"forex", "crypto"} & set(said["path"].split("/")) and "launchpad" not in said["path"]
    }
    assert found.keys() == {"C", "CA", "CAS", "FMV", "XT", "XQ", "XL2", "XA", "XAS"}
    assert found["FMV"] == found["XL2"] == []
    (quote,), (best,), (trade,) = found["C"], found["XQ"], found["XT"]
    assert isinstance(quote, Price) and isinstance(best, BestQuote) and isinstance(trade, Trade)
    assert (quote.symbol, quote.price) == ("USD-CNH", Decimal("6.833645"))
    assert (best.bid, best.ask_size) == (Decimal("33052.79"), Decimal("0.601"))
    assert (trade.side, trade.price, trade.size) == ("buy", Decimal("33021.9"), Decimal("0.01616617"))
    bars = {name: found[name][0] for name in ("CA", "CAS", "XA")}
    assert {name: (x.interval_s, x.volume) for name, x in bars.items() if isinstance(x, Bar)} == {
        "CA": (60, None),
        "CAS": (1, None),
        "XA": (60, Decimal("951.6112")),
    }


def test_frames_of_finnhub(recordings: Path) -> None:
    lines = (recordings / "rest/finnhub/ws_trade_frames.jsonl").read_bytes().splitlines()
    (first,), (second,), none = (finnhub.parse(line) for line in lines)
    assert isinstance(first, Trade) and isinstance(second, Trade) and none == []
    assert (first.price, first.size, first.side) == (Decimal("7296.89"), Decimal("0.011467"), "unknown")
    assert first.event_ns == 1_575_526_691_134 * 10**6
    assert (second.price, second.size) == (Decimal("75008.34"), Decimal("0.00042"))
