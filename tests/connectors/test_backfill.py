"""Past bars and trades: every one once, whatever span is asked for, and none twice."""

import asyncio
import sqlite3
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.api import Received
from connectors.backfill import LATE_NS, NOT_YET_NS, Publication, Result, Span
from connectors.feed import Answer
from connectors.fetched import Fetched, FetchedError, Series
from connectors.file_log import FileLog
from connectors.log import open_log
from connectors.paths import query_of
from connectors.record import decode_lines
from connectors.venue import Bar, Request, Trade
from tests.connectors.feeds.halves import MARKETS, NOW_MS, HalfClient, Kept, backfill_of

MINUTE_NS = 60_000_000_000
NOW_NS = NOW_MS * 1_000_000
MINUTE_MS = NOW_MS // 60_000 * 60_000  # the minute that is open now
PAGES = {"binance_spot": 1000, "binance_futures": 499, "bybit_spot": 1000, "bybit_linear": 1000}
KEPT = {"kraken": 720, "gemini": 1440}  # minutes that are told, the open one among them
every_market = pytest.mark.parametrize("market", MARKETS)


def symbol_of(client: HalfClient) -> str:
    return next(iter(client.half.symbols))


def ago(minutes: float) -> int:
    return MINUTE_MS * 1_000_000 - int(minutes * MINUTE_NS)


def bars_in(kept: Kept, client: HalfClient, span: Span) -> list[Bar]:
    """What is published, parsed: closed bars of the span, each page's in its order."""
    found = []
    for _, request, received in kept.answers:
        rows = client.feed.parse(request.path, received.answer.body, received.recv_ns)
        found += [
            x for x in rows if isinstance(x, Bar) and x.closed and span.from_ns <= x.open_ns < span.to_ns
        ]
    return found


def check(client: HalfClient, kept: Kept, span: Span, result: Result, interval_s: int = 60) -> None:
    """Every bar that the desk has is published once, with its figures, and counted once."""
    symbol = symbol_of(client)
    grid = client.half.symbols[symbol].grid(client.half.kind)
    truth = client.bars(symbol, interval_s, *span)
    found = sorted(bars_in(kept, client, span), key=lambda x: x.open_ns)
    assert [x.open_ns // 1_000_000 for x in found] == [x.open_ms for x in truth]
    for bar, true in zip(found, truth, strict=True):
        assert (bar.symbol, bar.interval_s) == (symbol, interval_s)
        prices = [bar.open / grid.tick, bar.high / grid.tick, bar.low / grid.tick, bar.close / grid.tick]
        assert prices == [true.open, true.high, true.low, true.close]
        assert bar.volume is not None and bar.volume / grid.lot == true.lots
    assert (result.rows, result.missing, result.error) == (len(truth), 0, "")


@every_market
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_every_bar_of_any_span_comes_once(market: str, data: st.DataObject) -> None:
    client = HalfClient(market)
    page = PAGES.get(market, 0)
    counts = [1, 2, 99, 100, 499, 500] + ([page - 1, page, page + 1, 2 * page, 2 * page + 1] if page else [])
    count = data.draw(st.sampled_from(counts))
    reach = KEPT.get(market, 100_000) - 1
    last = data.draw(st.integers(0, min(reach - count, 50_000)))
    jitter_ns = data.draw(st.sampled_from([0, 1, MINUTE_NS // 2, MINUTE_NS - 1]))
    span = Span(ago(last + count) - jitter_ns, ago(last) - jitter_ns)
    backfill, kept = backfill_of(client)
    result = asyncio.run(backfill.bars(symbol_of(client), 60, span))
    check(client, kept, span, result)
    assert result.rows == count


@every_market
def test_pages_are_as_few_as_there_must_be(market: str) -> None:
    client = HalfClient(market)
    backfill, kept = backfill_of(client)
    span = Span(ago(KEPT.get(market, 3001) - 1), ago(0))
    result = asyncio.run(backfill.bars(symbol_of(client), 60, span))
    check(client, kept, span, result)
    assert result.requests <= -(-3000 // PAGES.get(market, 3000)) + 1, "a page for each that is full, and one"
    assert max(client.asked.values()) == 1


@every_market
@pytest.mark.parametrize("interval_s", [300, 3600, 86_400])
def test_bars_of_other_lengths(market: str, interval_s: int) -> None:
    client = HalfClient(market)
    backfill, kept = backfill_of(client)
    span = Span(NOW_NS - 300 * interval_s * 10**9, NOW_NS)
    result = asyncio.run(backfill.bars(symbol_of(client), interval_s, span))
    check(client, kept, span, result, interval_s)
    # The one that is open is not among them.
    assert result.rows == 299 and result.last_ns is not None
    assert result.last_ns + interval_s * 10**9 <= NOW_NS


@every_market
def test_twice_is_once_and_only_what_is_missing_is_asked_for(market: str) -> None:
    client, fetched = HalfClient(market), Fetched(":memory:")
    backfill, kept = backfill_of(client, fetched)
    symbol, span = symbol_of(client), Span(ago(300), ago(100))
    asyncio.run(backfill.bars(symbol, 60, span))
    asked = len(client.paths)
    again = asyncio.run(backfill.bars(symbol, 60, span))
    assert (again.requests, again.rows, len(client.paths)) == (0, 0, asked)
    wider = asyncio.run(backfill.bars(symbol, 60, Span(ago(350), ago(20))))
    assert (wider.rows, wider.missing) == (50 + 80, 0)
    if market in PAGES:
        told = [x.open_ns for x in bars_in(kept, client, Span(ago(350), ago(20)))]
        assert len(told) == len(set(told)) == 330
    forced = asyncio.run(backfill.bars(symbol, 60, span, again=True))
    assert forced.rows == 200


def test_what_is_older_than_the_venue_tells_is_said_to_be_missing_and_asked_for_again() -> None:
    client, fetched = HalfClient("kraken"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    result = asyncio.run(backfill.bars("BTC/USD", 60, Span(ago(1000), ago(0))))
    assert (result.rows, result.missing) == (719, 281)
    assert result.holes == [Span(ago(1000), ago(719))] and result.first_ns == ago(719)
    series = Series("kraken_rest", "BTC/USD", 60)
    assert fetched.missing(series, Span(ago(1000), ago(0))) == [Span(ago(1000), ago(719))]


def test_a_run_that_was_cut_short_goes_on_where_it_stopped() -> None:
    client, fetched = HalfClient("binance_spot"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    client.spoiled = lambda number, body: b'{"code":-1100,"msg":"no"}' if number == 8 else body
    span = Span(ago(12_000), ago(0))
    first = asyncio.run(backfill.bars("BTCUSDT", 60, span))
    assert "-1100 no" in first.error and not first.stopped
    # Five pages a piece: the second piece was begun, not finished.
    second = asyncio.run(backfill.bars("BTCUSDT", 60, span))
    assert (second.rows, second.requests, second.error) == (7000, 7, "")


def test_an_unknown_symbol_is_refused_in_the_venues_words() -> None:
    words = {
        "binance_spot": "-1121", "binance_futures": "-1121", "bybit_spot": "symbol invalid",
        "bybit_linear": "symbol invalid", "kraken": "EQuery:Unknown asset pair", "gemini": "not a valid symbol",
    }  # fmt: skip
    for market in MARKETS:
        backfill, kept = backfill_of(HalfClient(market))
        result = asyncio.run(backfill.bars("NOPEUSD", 60, Span(ago(10), ago(0))))
        assert words[market] in result.error and not result.stopped and not kept.answers


# ---- trades


def trades_in(kept: Kept, client: HalfClient) -> list[Trade]:
    return [
        row
        for _, request, received in kept.answers
        for row in client.feed.parse(request.path, received.answer.body, received.recv_ns)
        if isinstance(row, Trade)
    ]


@pytest.mark.parametrize("market", ["binance_spot", "binance_futures", "kraken", "gemini"])
def test_every_trade_of_a_span_comes(market: str) -> None:
    client = HalfClient(market)
    backfill, kept = backfill_of(client)
    span = Span(ago(700.5), ago(10.25))
    result = asyncio.run(backfill.trades(symbol_of(client), span))
    found = [x for x in trades_in(kept, client) if span.from_ns <= x.event_ns < span.to_ns]
    # Four a minute, each quarter of it, with ids that count up.
    ids = sorted({x.trade_id for x in found})
    assert ids == list(range(ids[0], ids[-1] + 1)) and len(ids) == result.rows == 2761
    assert max(client.asked.values()) == 1
    assert asyncio.run(backfill.trades(symbol_of(client), span)).requests == 0


@pytest.mark.parametrize(("market", "count"), [("bybit_spot", 60), ("bybit_linear", 1000)])
def test_bybit_tells_the_last_trades_alone(market: str, count: int) -> None:
    client, fetched = HalfClient(market), Fetched(":memory:")
    backfill, kept = backfill_of(client, fetched)
    span = Span(ago(1000), NOW_NS + 1)
    result = asyncio.run(backfill.trades("BTCUSDT", span))
    assert len({x.trade_id for x in trades_in(kept, client)}) == count and result.requests == 1
    (missing,) = fetched.missing(Series(client.feed.name, "BTCUSDT", 0), Span(ago(1000), NOW_NS - LATE_NS))
    assert result.first_ns == missing.to_ns


def test_trades_of_one_buyer_and_seller_make_the_bars() -> None:
    client = HalfClient("binance_spot")
    backfill, kept = backfill_of(client)
    span = Span(ago(120), ago(60))
    asyncio.run(backfill.trades("BTCUSDT", span))
    trades = trades_in(kept, client)
    grid = client.half.symbols["BTCUSDT"].spot
    for bar in client.bars("BTCUSDT", 60, *span):
        minute = [x for x in trades if bar.open_ms <= x.event_ns // 1_000_000 < bar.open_ms + 60_000]
        prices = [x.price / grid.tick for x in sorted(minute, key=lambda x: x.event_ns)]
        assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
        assert sum(x.size for x in minute) / grid.lot == bar.lots
        assert sum(x.size for x in minute if x.side == "buy") / grid.lot == bar.buy_lots


# ---- pages that lead nowhere

Spoil = Callable[[HalfClient], Callable[[int, bytes], bytes]]


def repeated(client: HalfClient) -> Callable[[int, bytes], bytes]:
    first: list[bytes] = []

    def spoil(number: int, body: bytes) -> bytes:
        first.append(body)
        return first[0]

    return spoil


@pytest.mark.parametrize("market", ["binance_spot", "binance_futures", "bybit_spot", "bybit_linear"])
def test_a_page_that_repeats_ends_with_an_error(market: str) -> None:
    client, fetched = HalfClient(market), Fetched(":memory:")
    client.spoiled = repeated(client)
    backfill, _ = backfill_of(client, fetched)
    span = Span(ago(4000), ago(0))
    result = asyncio.run(backfill.bars("BTCUSDT", 60, span))
    assert "expected" in result.error and ("repeats" in result.error or "second time" in result.error)
    assert result.requests < 5
    assert fetched.missing(Series(client.feed.name, "BTCUSDT", 60), span) == [span]


@pytest.mark.parametrize("market", ["binance_spot", "kraken", "gemini"])
def test_trades_that_repeat_end_with_an_error(market: str) -> None:
    client = HalfClient(market)
    client.spoiled = repeated(client)
    backfill, _ = backfill_of(client)
    if market == "binance_spot":
        # One page a piece: the second piece answers about the first, and is not about it.
        result = asyncio.run(backfill.trades("BTCUSDT", Span(ago(60), ago(0))))
        assert result.rows == 240
        return
    result = asyncio.run(backfill.trades(symbol_of(client), Span(ago(340), ago(0))))
    assert "repeats" in result.error or "second time" in result.error


@pytest.mark.parametrize("body", [b"", b"<html>", b"[[1]]", b"null", b'{"retCode":0}'])
@every_market
def test_an_answer_that_cannot_be_read_ends_with_an_error(market: str, body: bytes) -> None:
    client = HalfClient(market)
    client.spoiled = lambda number, _: body
    backfill, _ = backfill_of(client)
    result = asyncio.run(backfill.bars(symbol_of(client), 60, Span(ago(10), ago(0))))
    assert result.error and result.rows == 0


def test_bars_that_the_venue_does_not_tell_are_refused() -> None:
    backfill, _ = backfill_of(HalfClient("gemini"))
    with pytest.raises(ValueError, match="14400"):
        asyncio.run(backfill.bars("BTCUSD", 14_400, Span(ago(10), ago(0))))


# ---- what is not remembered as fetched


def emptied(_: int, body: bytes) -> bytes:
    return b"[]"


def cut(_: int, body: bytes) -> bytes:
    """Without its last three bars."""
    return msgspec.json.encode(msgspec.json.decode(body)[:-3])


@pytest.mark.parametrize(("spoil", "last"), [(emptied, 100), (cut, 3)])
def test_what_a_vendor_has_not_published_yet_is_asked_for_again(
    spoil: Callable[[int, bytes], bytes], last: int
) -> None:
    client, fetched = HalfClient("binance_spot"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    client.spoiled, span = spoil, Span(ago(100), ago(0))
    first = asyncio.run(backfill.bars("BTCUSDT", 60, span))
    assert (first.rows, first.missing, first.error) == (100 - last, last, "")
    client.spoiled = lambda number, body: body
    second = asyncio.run(backfill.bars("BTCUSDT", 60, span))
    assert (second.rows, second.missing) == (last, 0)
    assert asyncio.run(backfill.bars("BTCUSDT", 60, span)).requests == 0


def test_what_is_missing_of_long_ago_is_not_asked_for_again() -> None:
    client, fetched = HalfClient("binance_spot"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    client.spoiled, end_ns = emptied, NOW_NS - NOT_YET_NS
    asyncio.run(backfill.bars("BTCUSDT", 60, Span(end_ns - 90 * MINUTE_NS, end_ns)))
    asked = len(client.paths)
    asyncio.run(backfill.bars("BTCUSDT", 60, Span(end_ns - 90 * MINUTE_NS, end_ns - MINUTE_NS)))
    assert len(client.paths) == asked


def test_an_old_answer_about_another_span_is_not_taken_for_the_one_asked_for() -> None:
    client, fetched = HalfClient("binance_spot"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    bodies: list[bytes] = []
    client.spoiled = lambda number, body: bodies.append(body) or bodies[0]  # type: ignore[func-returns-value]
    asyncio.run(backfill.bars("BTCUSDT", 60, Span(ago(9000), ago(8900))))
    later = Span(ago(8000), ago(7900))
    assert asyncio.run(backfill.bars("BTCUSDT", 60, later)).rows == 0
    assert fetched.missing(Series("binance_spot_rest", "BTCUSDT", 60), later) == [later]


@every_market
def test_a_clock_that_is_ahead_makes_no_open_bar_a_closed_one(market: str) -> None:
    client, fetched = HalfClient(market), Fetched(":memory:")
    backfill, kept = backfill_of(client, fetched)
    get, span = client.get, Span(ago(10), ago(0))

    async def dated(request: Request, share: float = 1.0) -> Received:
        received = await get(request, share)
        # At the venue the last minute asked for is half over.
        date = formatdate(ago(0.5) / 1e9, usegmt=True)
        return received._replace(answer=received.answer._replace(headers={"date": date}))

    client.get = dated  # type: ignore[method-assign]
    result = asyncio.run(backfill.bars(symbol_of(client), 60, span))
    assert "the clock of this machine is ahead" in result.error and not kept.answers
    assert fetched.missing(Series(client.feed.name, symbol_of(client), 60), span) == [span]
    early = asyncio.run(backfill.bars(symbol_of(client), 60, Span(ago(10), ago(1))))
    assert (early.rows, early.error) == (9, "")


def test_the_last_moment_of_trades_is_asked_for_again() -> None:
    client, fetched = HalfClient("binance_spot"), Fetched(":memory:")
    backfill, _ = backfill_of(client, fetched)
    asyncio.run(backfill.trades("BTCUSDT", Span(ago(10), NOW_NS)))
    series = Series("binance_spot_rest", "BTCUSDT", 0)
    assert fetched.missing(series, Span(ago(10), NOW_NS)) == [Span(NOW_NS - LATE_NS, NOW_NS)]


# ---- what was fetched, and the log

spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda x: Span(x[0], x[0] + x[1]))


@given(st.lists(spans, max_size=12), spans)
def test_missing_is_what_no_span_covers(added: list[Span], asked: Span) -> None:
    fetched, series = Fetched(":memory:"), Series("a", "b", 60)
    for span in added:
        fetched.add(series, span)
    fetched.add(Series("a", "b", 300), Span(0, 100))
    covered = {x for span in added for x in range(*span)}
    missing = fetched.missing(series, asked)
    assert [x for span in missing for x in range(*span)] == [x for x in range(*asked) if x not in covered]
    assert all(before.to_ns < after.from_ns for before, after in pairwise(missing))
    fetched.close()


def test_spans_outlive_the_process(tmp_path: Path) -> None:
    path, series = tmp_path / "deep" / "fetched.sqlite3", Series("a", "b", 60)
    first = Fetched(path)
    first.add(series, Span(5, 10))
    first.close()
    second = Fetched(path)
    assert second.missing(series, Span(0, 20)) == [Span(0, 5), Span(10, 20)]
    second.close()


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "fetched.sqlite3").write_bytes(b"not a database at all, but long enough to be looked at" * 9)
    with pytest.raises(FetchedError, match=r"fetched\.sqlite3"):
        Fetched(tmp_path / "fetched.sqlite3")


def test_a_file_that_breaks_later_is_said_too(tmp_path: Path) -> None:
    fetched, series = Fetched(tmp_path / "fetched.sqlite3"), Series("a", "b", 60)
    other = sqlite3.connect(tmp_path / "fetched.sqlite3")
    other.execute("DROP TABLE spans")
    other.close()
    with pytest.raises(FetchedError, match=r"fetched\.sqlite3"):
        fetched.missing(series, Span(0, 1))
    with pytest.raises(FetchedError, match=r"fetched\.sqlite3"):
        fetched.add(series, Span(0, 1))
    fetched.close()


def test_answers_are_lines_of_the_feeds_topic(tmp_path: Path) -> None:
    async def work() -> None:
        log = open_log(f"file:{tmp_path}")
        publication = Publication(log, "raw.kraken_rest")
        for number in range(3):
            request = Request(f"/0/public/OHLC?pair=XBTUSD&since={number}", 1)
            await publication.publish(
                "BTC/USD", request, Received(number + 1, Answer(200, {}, b"[%d]" % number))
            )
        publication.close()
        log.close()

    asyncio.run(work())
    reader = FileLog(tmp_path).reader("raw.kraken_rest", 0)
    lines = [line for record in reader.poll() for line in decode_lines(record.body)]
    reader.close()
    assert [(x.recv_ns, x.payload) for x in lines] == [(1, b"[0]"), (2, b"[1]"), (3, b"[2]")]
    assert query_of(lines[2].origin.decode().removeprefix("GET:")) == {"pair": "XBTUSD", "since": "2"}
