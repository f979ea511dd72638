"""The feed kernel: every kind of row to its table, what is missing as NaN or NULL, what is junk set aside."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.facts import FACTS, CoinMarket, News, Sector
from connectors.record import Record, encode_control, encode_line
from flows.kernels.feed import FACT_TABLES, TABLE_COLUMNS, FeedKernel
from tests.flows.kernels.toy_feed import FEED

MINUTE_NS = 60 * 10**9
DAY_NS = 86_400 * 10**9
AT = 1_795_000_000 * 10**9


def kernel() -> FeedKernel:
    return FeedKernel(FEED, 2)


def tables(blocks: list[Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for block in blocks:
        rows = [
            dict(zip(block.columns, row, strict=True)) for row in zip(*block.columns.values(), strict=True)
        ]
        found.setdefault(block.table, []).extend(rows)
    return found


def asked(*answers: Any, path: str = "/v1/rows", recv_ns: int = AT) -> bytes:
    return b"".join(
        encode_line(recv_ns, b"GET:" + path.encode(), x if isinstance(x, bytes) else json.dumps(x).encode())
        for x in answers
    )


def rows(*answers: Any, **options: Any) -> dict[str, list[dict[str, Any]]]:
    return tables(kernel().on_records([Record(b"k", 7, asked(*answers, **options))]))


def fields_of(fact: type) -> dict[str, Any]:
    """A value for each field that must be told."""
    values = {"int": 5, "float": 0.5, "str": "x"}
    return {
        x.name: AT if x.name == "time_ns" else values[getattr(x.type, "__name__", "")]
        for x in msgspec.structs.fields(fact)
        if x.required
    }


@pytest.mark.parametrize("fact", FACTS)
def test_each_fact_has_a_table_of_its_fields(fact: type) -> None:
    told = fields_of(fact)
    ((table, (row,)),) = rows([{"kind": fact.__name__, **told}]).items()
    assert table == FACT_TABLES[fact]
    assert tuple(row) == TABLE_COLUMNS[table] == (*fact.__struct_fields__, "received_ns", "version")
    assert row | told == row
    assert row["received_ns"] == row["version"] == AT
    for field in msgspec.structs.fields(fact):
        if not field.required and field.default is None:
            missing = row[field.name]
            assert (missing is None) == (int in field.type.__args__), field.name
            assert missing is None or math.isnan(missing), field.name


def test_what_is_told_stays_as_it_is_even_zero() -> None:
    coin = fields_of(CoinMarket) | {"price_usd": 0.0, "rank": 0, "change_1h_pct": -1.5}
    news = fields_of(News) | {"topics": ["a", "b"], "symbols": ["CRYPTO:BTC"], "symbol_sentiments": [0.25]}
    sector = fields_of(Sector) | {"coins": 0, "top_coins": ["bitcoin"]}
    found = rows([{"kind": "CoinMarket", **coin}, {"kind": "News", **news}, {"kind": "Sector", **sector}])
    (one,), (article,), (whole,) = found["coin_markets"], found["news"], found["sectors"]
    assert (one["price_usd"], one["rank"], one["change_1h_pct"]) == (0.0, 0, -1.5)
    assert (article["topics"], article["symbol_sentiments"], article["symbol_relevances"]) == (
        ("a", "b"),
        (0.25,),
        (),
    )
    assert (whole["coins"], whole["top_coins"]) == (0, ("bitcoin",))


def test_bars_that_are_still_open_are_left_out() -> None:
    opens = [AT - 2 * MINUTE_NS, AT - MINUTE_NS, AT - MINUTE_NS + 1, AT]
    found = rows([[x, "1.5"] for x in opens], path="/klines/bars")
    assert [x["open_ns"] for x in found["bars"]] == opens[:2]
    row = found["bars"][0]
    told = (row["instrument"], row["venue"], row["source"], row["close"], row["volume"])
    assert told == ("BTC-USDT", "toy", "rest", 1.5, 2.0)
    assert math.isnan(row["quote_volume"])
    assert math.isnan(row["buy_volume"])
    assert row["trades"] is None


def test_trades_prices_and_derivatives() -> None:
    trade = {
        "kind": "Trade", "symbol": "ETHUSDT", "event_ns": AT, "trade_id": 2**64 - 1, "price": "2", "size": "3",
        "side": "unknown",
    }  # fmt: skip
    price = {"kind": "Price", "symbol": "ETHUSDT", "event_ns": AT, "price": "2", "bid": "1"}
    mark = {
        "kind": "MarkPrice", "symbol": "ETHUSDT", "event_ns": AT, "mark": "2.5", "index": None, "funding_rate": "0",
        "next_funding_ns": None,
    }  # fmt: skip
    ticker = {"kind": "Ticker", "symbol": "ETHUSDT", "event_ns": AT, "delta": False, "last": "3"}
    found = rows([trade, price, mark, ticker, ticker | {"open_interest": "7", "next_funding_ns": AT + 5}])
    assert found["trades"][0]["trade_id"] == 2**64 - 1
    assert (found["prices"][0]["bid"], str(found["prices"][0]["ask"])) == (1.0, "nan")
    first, second = found["derivatives"]  # a spot ticker is none
    assert (first["mark"], first["funding_rate"], first["next_funding_ns"]) == (2.5, 0.0, None)
    assert math.isnan(first["index"])
    assert math.isnan(first["open_interest"])
    assert (second["open_interest"], second["next_funding_ns"]) == (7.0, AT + 5)


JUNK = [
    b"", b"<html>", b"7", b"null", b"[1]", b'[{"kind":"Nothing"}]', b'[{"kind":"CoinMarket"}]', b"\xff", b"[" * 5000,
    [fields_of(CoinMarket) | {"kind": "CoinMarket", "rank": 2**63}],
    [fields_of(CoinMarket) | {"kind": "CoinMarket", "time_ns": 2**63}],
    [fields_of(CoinMarket) | {"kind": "CoinMarket", "price_usd": "inf"}],
    [{"kind": "Price", "symbol": "A", "event_ns": -(2**63), "price": "1"}],
    [{"kind": "Price", "symbol": "A", "event_ns": 1, "price": "1e999"}],
    [{"kind": "Price", "symbol": "A", "event_ns": AT + 2 * DAY_NS, "price": "1"}],
    [{"kind": "Trade", "symbol": "A", "event_ns": 2**62, "trade_id": 1, "price": "1", "size": "1", "side": "buy"}],
    [fields_of(CoinMarket) | {"kind": "CoinMarket", "time_ns": AT + 2 * DAY_NS}],
    [{"kind": "Price", "symbol": "A" * 10**6, "event_ns": 1, "price": "1"}],
    [{"kind": "Price", "symbol": "", "event_ns": 1, "price": "1"}],
    [{"kind": "Trade", "symbol": "A", "event_ns": 1, "trade_id": 1, "price": "1", "size": "1e999", "side": "buy"}],
    [{"kind": "Bar", "symbol": "A", "interval_s": 60, "open_ns": 0, "open": "1", "high": "1e999", "low": "1",
      "close": "1", "volume": "1", "quote_volume": None, "buy_volume": None, "trades": None, "closed": True}],
    [{"kind": "Trade", "symbol": "A", "event_ns": 1, "trade_id": -1, "price": "1", "size": "1", "side": "buy"}],
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_set_aside_and_the_rest_goes_on(junk: Any) -> None:
    good = [{"kind": "CoinMarket", **fields_of(CoinMarket)}]
    found = rows(good, junk, good)
    assert len(found["coin_markets"]) == 2
    (letter,) = found["dead_letters"]
    place = {
        "topic": "raw.toy_rest",
        "partition": 2,
        "offset": 7,
        "position": len(asked(good)),
        "version": AT,
    }
    assert letter | place == letter
    assert letter["reason"] == "malformed answer"


def test_other_lines_and_torn_records() -> None:
    control = encode_control(AT, b"!clock", time_ns=AT)
    body = control + asked([[0, "1"]], path="/x/bars") + encode_line(AT, b"ws-1", b"[]") + b"torn"
    made = kernel()
    found = tables(made.on_records([Record(b"k", 0, body)]))
    assert len(found["bars"]) == 1
    assert [x["reason"] for x in found["dead_letters"]] == ["malformed answer", "torn record"]
    again = kernel()
    again.load(made.dump())
    assert again.summary() == made.summary() == {"bars": 1, "dead_letters": 2}
    with pytest.raises(ValueError, match="version"):
        again.load(b"\x92\x63\x80")


@given(st.lists(st.integers(1, 5), min_size=1), st.data())
def test_the_borders_of_polls_do_not_matter(sizes: list[int], data: st.DataObject) -> None:
    records = [
        Record(b"k", i, asked(*[[[i * 10 + j, "1"]] for j in range(n)], path="/x/bars"))
        for i, n in enumerate(sizes)
    ]
    at = data.draw(st.integers(0, len(records)))
    whole = tables(kernel().on_records(records))
    first = kernel()
    parts = tables(first.on_records(records[:at]))
    second = kernel()
    second.load(first.dump())
    for table, found in tables(second.on_records(records[at:])).items():
        parts.setdefault(table, []).extend(found)
    assert repr(parts) == repr(whole)
