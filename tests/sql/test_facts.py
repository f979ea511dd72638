"""The tables of bars and facts and their views, in the real engine, filled by the kernels."""

import json
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from connectors.facts import FACTS
from connectors.lookbacks import LOOKBACKS
from connectors.record import Record
from flows.kernels import bars
from flows.kernels.block import Block
from flows.kernels.feed import FACT_TABLES, TABLE_COLUMNS, FeedKernel
from flows.runtime.progress import Progress
from flows.runtime.sink import insert
from sql.client import Store
from tests.flows.kernels.test_feed import asked, fields_of
from tests.flows.kernels.toy_feed import FEED

NOW = time.time_ns()
HOUR_NS = 3600 * 10**9


def store_answers(store: Store, *answers: Any, recv_ns: int = NOW) -> None:
    kernel = FeedKernel(FEED, 0)
    insert(store, kernel.on_records([Record(b"k", 0, asked(*answers, recv_ns=recv_ns))]), Progress())
    assert not kernel.counts["dead_letters"]


def store_bars(
    store: Store, instrument: str, opens_ns: list[int], interval_s: int = 60, **changes: Any
) -> None:
    row = {
        "instrument": instrument, "venue": "v", "interval_s": interval_s, "source": "rest", "open": 1.0, "high": 4.0,
        "low": 0.5, "close": 2.0, "volume": math.nan, "quote_volume": 3.0, "buy_volume": math.nan, "trades": None,
        "received_ns": NOW, "version": NOW,
    } | changes  # fmt: skip
    rows = [tuple((row | {"open_ns": open_ns})[name] for name in bars.COLUMNS) for open_ns in opens_ns]
    insert(store, [Block.of("bars", bars.COLUMNS, rows)], Progress())


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_comes_back_as_it_was_told_and_what_is_missing_is_nan_or_null(
    writer: Store, fact: type
) -> None:
    table = FACT_TABLES[fact]
    told = fields_of(fact) | {"source": f"whole_{table}", "time_ns": NOW}
    for _ in range(2):  # a replay
        store_answers(writer, [{"kind": fact.__name__, **told}])
    names = ", ".join(f"`{name}`" for name in TABLE_COLUMNS[table])
    found = writer.query(f"SELECT {names} FROM market.{table} FINAL WHERE source = '{told['source']}'")
    assert len(found) == 1
    row = dict(zip(TABLE_COLUMNS[table], found[0], strict=True))
    assert {name: row[name] for name in told} == told
    for name in set(row) - set(told) - {"received_ns", "version"}:
        value = row[name]
        assert value is None or value in ([], ()) or value == "" or math.isnan(value), name


def test_every_column_says_its_meaning_and_unit(writer: Store) -> None:
    new = [
        *TABLE_COLUMNS,
        "ohlcv",
        "ohlcv_by_source",
        "window_coverage",
        "coins_now",
        "sectors_now",
        "pools_now",
        "derivatives_now",
        "derivative_prices",
        "liquidation_orders",
        "liquidations_recent",
        "liquidations_1m",
    ]
    found = writer.query(
        "SELECT table, name, comment FROM system.columns WHERE database = 'market' AND table IN {t:Array(String)}",
        {"t": new},
    )
    assert {table for table, _, _ in found} == set(new)
    assert [x for x in found if not x[2].endswith(")")] == []


def test_the_columns_of_the_kernel_are_those_of_the_tables(writer: Store) -> None:
    for table, names in TABLE_COLUMNS.items():
        found = writer.query(
            f"SELECT name FROM system.columns WHERE database = 'market' AND table = '{table}' ORDER BY position"
        )
        assert [name for (name,) in found] == list(names), table


def test_views_of_now_show_the_newest_row_of_each(writer: Store, analyst: Store) -> None:
    def told(kind: str, age_h: int, **fields: Any) -> dict[str, Any]:
        fact = next(x for x in FACTS if x.__name__ == kind)
        return {"kind": kind, **fields_of(fact), "source": "now", "time_ns": NOW - age_h * HOUR_NS} | fields

    for age_h in (2, 1, 24 * 30):
        at = NOW - age_h * HOUR_NS
        store_answers(
            writer,
            [
                told("CoinMarket", age_h, coin="bitcoin", price_usd=float(age_h)),
                told("Sector", age_h, sector="layer-1", top_coins=["bitcoin", "ethereum"], coins=age_h),
                told("Pool", age_h, pool="0x1", trending_place=age_h, created_ns=NOW),
                told("Sentiment", age_h, value=float(age_h)),
                told("Equity", age_h, volume=float(age_h)),
                told("MarketTotal", age_h),
                told("MarketPair", age_h),
                told("SectorMember", age_h),
                *[told("Ranking", age_h, place=i, item=f"{age_h}-{i}") for i in range(age_h % 3)],
            ],
            recv_ns=at,
        )
    store_answers(writer, [told("CoinMarket", 24 * 30, coin="gone")], recv_ns=NOW - 24 * 30 * HOUR_NS)
    one = {
        "coins_now": ("price_usd", 1.0), "sectors_now": ("coins", 1), "pools_now": ("trending_place", 1),
        "sentiment_now": ("value", 1.0), "equities_now": ("volume", 1.0), "rankings_now": ("item", "1-0"),
        "market_totals_now": ("source", "now"), "market_pairs_now": ("source", "now"),
        "sector_members_now": ("source", "now"),
    }  # fmt: skip
    for view, (column, value) in one.items():
        rows = analyst.query(f"SELECT `{column}`, time FROM market.{view} WHERE source = 'now'")
        assert [row[0] for row in rows] == [value], view
        assert abs(rows[0][1].astimezone(UTC) - datetime.fromtimestamp(NOW / 1e9 - 3600, UTC)) < timedelta(
            milliseconds=1
        ), view
    ((coins, created),) = analyst.query(
        "SELECT (SELECT top_coins FROM market.sectors_now WHERE source = 'now'), created FROM market.pools_now"
        " WHERE source = 'now'"
    )
    assert list(coins) == ["bitcoin", "ethereum"]
    assert abs(created.astimezone(UTC).timestamp() - NOW / 1e9) < 0.001


def test_derivatives_as_they_are(writer: Store, analyst: Store) -> None:
    mark = {"kind": "MarkPrice", "symbol": "XUSDT", "mark": "2.5", "index": None, "funding_rate": "0"}
    for at in (NOW - HOUR_NS, NOW):
        store_answers(writer, [mark | {"event_ns": at, "next_funding_ns": None if at < NOW else NOW}])
    found = analyst.query(
        "SELECT mark, isNaN(`index`), funding_rate, isNaN(open_interest), next_funding IS NULL FROM"
        " market.derivative_prices WHERE instrument = 'X-USDT' ORDER BY time"
    )
    assert found == [(2.5, 1, 0.0, 1, 1), (2.5, 1, 0.0, 1, 0)]
    assert len(analyst.query("SELECT 1 FROM market.derivatives_now WHERE instrument = 'X-USDT'")) == 1


def test_a_bar_is_there_once_of_each_source_with_the_newest_version(writer: Store, analyst: Store) -> None:
    open_ns = NOW - NOW % HOUR_NS
    store_bars(writer, "OHLCV", [open_ns - HOUR_NS, open_ns], 3600)
    store_bars(writer, "OHLCV", [open_ns], 3600, close=3.0, trades=4, version=NOW + 1)
    store_bars(writer, "OHLCV", [open_ns], 3600, source="archive")
    found = analyst.query(
        "SELECT source, toUnixTimestamp64Nano(time), close, isNaN(volume), trades FROM market.ohlcv_by_source"
        " WHERE instrument = 'OHLCV' ORDER BY time, source"
    )
    assert found == [
        ("rest", open_ns - HOUR_NS, 2.0, 1, None), ("archive", open_ns, 2.0, 1, None), ("rest", open_ns, 3.0, 1, 4),
    ]  # fmt: skip
    preferred = analyst.query(
        "SELECT source, close FROM market.ohlcv WHERE instrument = 'OHLCV' ORDER BY time"
    )
    assert preferred == [("rest", 2.0), ("rest", 3.0)]


def test_bars_of_many_years_go_in_at_once(writer: Store) -> None:
    days = [day * 24 * HOUR_NS for day in range(-20_000, 20_000, 40)]
    store_bars(writer, "OLD", days, 86_400)
    trades = {
        "instrument": ["OLD"] * 300, "venue": ["v"] * 300, "time_ns": np.arange(300) * 24 * HOUR_NS,
        "trade_id": np.arange(300), "price": np.ones(300), "size": np.ones(300), "side": ["buy"] * 300,
        "side_by": ["told"] * 300,
        "aggregated": np.zeros(300, "?"), "received_ns": np.arange(300), "version": np.arange(300),
    }  # fmt: skip
    writer.insert("trades", trades)  # 300 partitions
    assert writer.query("SELECT count() FROM market.trades WHERE instrument = 'OLD'") == [(300,)]
    ((count, first, last),) = writer.query(
        "SELECT count(), min(open_ns), max(open_ns) FROM market.bars FINAL WHERE instrument = 'OLD'"
    )
    assert (count, first, last) == (len(days), days[0], days[-1])


def test_the_look_backs_of_the_view_are_those_of_the_program(writer: Store, analyst: Store) -> None:
    store_bars(writer, "EMPTY", [0])
    found = analyst.query(
        "SELECT lookback, interval_s, span_s, expected, bars, share, first_open IS NULL FROM market.window_coverage"
        " WHERE instrument = 'EMPTY' ORDER BY span_s"
    )
    assert found == [(x.name, x.interval_s, x.span_s, x.bars, 0, 0.0, 1) for x in LOOKBACKS]


@pytest.mark.parametrize("lookback", LOOKBACKS, ids=lambda x: x.name)
def test_coverage_counts_each_closed_bar_of_the_window_once(
    writer: Store, analyst: Store, lookback: Any
) -> None:
    instrument, step_ns = f"COVER-{lookback.name}", lookback.interval_s * 10**9
    now_ns = time.time_ns()
    end_ns = now_ns - now_ns % step_ns
    wanted = [end_ns - i * step_ns for i in (5, 6, 7, lookback.bars - 5)]
    outside = [end_ns + step_ns, end_ns - (lookback.bars + 5) * step_ns]
    store_bars(writer, instrument, [*wanted, *outside], lookback.interval_s)
    store_bars(writer, instrument, wanted[:2], lookback.interval_s, source="stream", venue="w")
    store_bars(writer, instrument, [end_ns - 8 * step_ns], lookback.interval_s, close=math.nan)
    store_bars(writer, instrument, [end_ns - 9 * step_ns], lookback.interval_s + 1)
    ((there, first, last, share),) = analyst.query(
        "SELECT bars, toUnixTimestamp64Nano(first_open), toUnixTimestamp64Nano(last_open), share"
        " FROM market.window_coverage WHERE instrument = {i:String} AND lookback = {l:String}",
        {"i": instrument, "l": lookback.name},
    )
    assert (there, first, last) == (4, min(wanted), max(wanted))
    assert share == pytest.approx(4 / lookback.bars)


def test_arrays_of_texts_come_back(writer: Store) -> None:
    texts = [[], ["a", "bü"], ["x" * 300]]
    news = [
        {"kind": "News", **fields_of(next(x for x in FACTS if x.__name__ == "News"))}
        | {"source": "texts", "url": str(i), "topics": x, "symbol_sentiments": [0.5] * len(x)}
        for i, x in enumerate(texts)
    ]
    store_answers(writer, json.dumps(news).encode())
    found = writer.query(
        "SELECT topics, symbol_sentiments FROM market.news WHERE source = 'texts' ORDER BY url"
    )
    assert [(list(a), list(b)) for a, b in found] == [(x, [0.5] * len(x)) for x in texts]
