"""Both Binance markets on documented frames: what each message becomes, keys, names, instruments, faults."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard

from connectors.venue import (
    Bar,
    BestQuote,
    Depth,
    Instrument,
    Liquidation,
    Market,
    MarkPrice,
    ParseError,
    Route,
    Trade,
    market,
)
from connectors.venues.binance_spot import QUOTES, channel_of
from tests.connectors.venues.frames import (
    AGG_TRADE,
    DEPTH,
    F_AGG_TRADE,
    F_DEPTH,
    F_FORCE,
    F_MARK,
    F_QUOTE,
    F_SNAPSHOT,
    F_TRADE,
    FUTURES_FRAMES,
    INFO,
    KLINE,
    QUOTE,
    SNAPSHOT,
    SPOT_FRAMES,
    TRADE,
    wrapped,
)
from tests.connectors.venues.oracle import expected, judge, plain

SPOT, FUTURES = market("binance_spot"), market("binance_futures")

ROUTE = {
    Bar: Route.BAR,
    Depth: Route.DEPTH,
    Trade: Route.TRADE,
    MarkPrice: Route.DERIVATIVE,
    Liquidation: Route.DERIVATIVE,
}


def changed(frame: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(frame), **fields}).encode()


# ---- events


@pytest.mark.parametrize(
    ("served", "frame"), [(SPOT, f) for f in SPOT_FRAMES] + [(FUTURES, f) for f in FUTURES_FRAMES]
)
def test_documented_frames_bare(served: Market, frame: bytes) -> None:
    events = served.parse(frame)
    assert len(events) == 1
    assert plain(events) == expected(frame)


@pytest.mark.parametrize(
    ("served", "stream", "frame"),
    [
        (SPOT, "btcusdt@aggTrade", AGG_TRADE),
        (SPOT, "btcusdt@trade", TRADE),
        (SPOT, "btcusdt@kline_1m", KLINE),
        (SPOT, "btcusdt@kline_1d@+08:00", KLINE),
        (SPOT, "btcusdt@bookTicker", QUOTE),
        (SPOT, "btcusdt@depth", DEPTH),
        (SPOT, "btcusdt@depth@100ms", DEPTH),
        (FUTURES, "btcusdt@aggTrade", F_AGG_TRADE),
        (FUTURES, "btcusdt@trade", F_TRADE),
        (FUTURES, "btcusdt@markPrice@1s", F_MARK),
        (FUTURES, "!markPrice@arr@1s", b"[%s,%s]" % (F_MARK, F_MARK)),
        (FUTURES, "!markPrice@arr", b"[]"),
        (FUTURES, "btcusdt@forceOrder", F_FORCE),
        (FUTURES, "!forceOrder@arr", F_FORCE),
        (FUTURES, "!bookTicker", F_QUOTE),
        (FUTURES, "btcusdt_250627@depth@0ms", F_DEPTH),
    ],
)
def test_documented_frames_in_the_envelope(served: Market, stream: str, frame: bytes) -> None:
    payload = wrapped(stream, frame)
    events = served.parse(payload)
    assert plain(events) == expected(frame)
    route = judge(served.wire, payload)
    # Without events is the one about no symbol.
    assert route is (ROUTE.get(type(events[0]), Route.OTHER) if events else Route.DERIVATIVE)


def test_every_kind_of_event_in_full() -> None:
    assert SPOT.parse(TRADE) == [
        Trade(
            symbol="BTCUSDT",
            event_ns=1795000000120_000_000,
            trade_id=700001,
            price=Decimal("81234.56"),
            size=Decimal("0.004"),
            side="buy",
        )
    ]
    assert SPOT.parse(QUOTE) == [
        BestQuote(
            symbol="BTCUSDT",
            event_ns=None,
            bid=Decimal("81234.55"),
            bid_size=Decimal("1.20"),
            ask=Decimal("81234.56"),
            ask_size=Decimal("0.75"),
        )
    ]
    (bar,) = SPOT.parse(KLINE)
    assert isinstance(bar, Bar)
    assert (bar.interval_s, bar.open_ns, bar.closed) == (60, 1794999960000_000_000, False)
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(
        map(Decimal, ("81200", "81240", "81190", "81234.56"))
    )
    assert (bar.volume, bar.quote_volume, bar.buy_volume) == tuple(map(Decimal, ("12.3", "999000.1", "6.1")))
    assert FUTURES.parse(F_MARK) == [
        MarkPrice(
            symbol="BTCUSDT",
            event_ns=1795000001000_000_000,
            mark=Decimal("81229.8"),
            index=Decimal("81231.2"),
            funding_rate=Decimal("-0.0001"),
            next_funding_ns=1795017600000_000_000,
        )
    ]
    assert FUTURES.parse(F_FORCE) == [
        Liquidation(
            symbol="BTCUSDT",
            event_ns=1795000002003_000_000,
            liquidated_side="long",
            price=Decimal("81001.2"),
            size=Decimal("0.014"),
            complete=False,
        )
    ]
    (depth,) = FUTURES.parse(F_DEPTH)
    assert depth == Depth(
        symbol="BTCUSDT",
        event_ns=1795000000200_000_000,
        first_id=2001,
        last_id=2040,
        previous_id=1998,
        bids=[(Decimal("81230.0"), Decimal(0))],
        asks=[(Decimal("81230.5"), Decimal("1.2"))],
        snapshot=False,
    )
    (snapshot,) = FUTURES.parse(F_SNAPSHOT)
    assert isinstance(snapshot, Depth)
    assert (snapshot.symbol, snapshot.first_id, snapshot.last_id, snapshot.snapshot) == (
        None,
        2010,
        2010,
        True,
    )


def test_a_month_is_as_long_as_it_is() -> None:
    february = json.loads(KLINE)
    february["k"] |= {"t": 1769904000000, "T": 1772323199999, "i": "1M"}
    (bar,) = SPOT.parse(json.dumps(february).encode())
    assert isinstance(bar, Bar)
    assert bar.interval_s == 28 * 86400


def test_microsecond_times() -> None:
    (trade,) = SPOT.parse(changed(TRADE, T=1795000000120123))
    assert isinstance(trade, Trade)
    assert trade.event_ns == 1795000000120_123_000
    kline = json.loads(KLINE)
    kline["k"] |= {"t": 1794999960000000, "T": 1795000019999999}
    (bar,) = SPOT.parse(json.dumps(kline).encode())
    assert isinstance(bar, Bar)
    assert (bar.open_ns, bar.interval_s) == (1794999960000_000_000, 60)


def test_recorded_frames_of_2026(recordings: Path) -> None:
    (liquidation,) = FUTURES.parse((recordings / "binance" / "liquidation_frames.jsonl").read_bytes())
    assert liquidation == Liquidation(
        symbol="BTCUSDT",
        event_ns=1791565602120_000_000,
        liquidated_side="long",
        price=Decimal("82651.90"),
        size=Decimal("0.190"),
        complete=False,
    )
    (trade,) = FUTURES.parse((recordings / "binance" / "usdm_aggtrade_2026_frame.jsonl").read_bytes())
    assert trade == Trade(
        symbol="BTCUSDT",
        event_ns=1791391081874_000_000,
        trade_id=3478018549,
        price=Decimal("83434.40"),
        size=Decimal("0.016"),
        side="sell",
        aggregated=True,
    )


def test_specimens_of_another_project(recordings: Path) -> None:
    folder = recordings / "rest" / "nautilus_binance"
    for path in sorted(folder.glob("futures__market_data_json__*.json")):
        payload = path.read_bytes()
        assert plain(FUTURES.parse(payload)) == expected(payload), path.name
        assert FUTURES.key_of(payload) in (b"BTCUSDT", b"BNBUSDT"), path.name
    snapshot = (folder / "spot__http_json__depth_response.json").read_bytes()
    assert plain(SPOT.parse(snapshot)) == expected(snapshot)
    assert SPOT.key_of(snapshot) is None
    # Its one symbol has no filters.
    assert SPOT.instruments((folder / "spot__http_json__exchange_info_response.json").read_bytes()) == []


@pytest.mark.parametrize(
    ("fields", "side", "price", "size"),
    [
        ({}, "long", "81001.20", "0.014"),
        ({"S": "BUY"}, "short", "81001.20", "0.014"),
        ({"ap": "0"}, "long", "80900.00", "0.014"),
        ({"ap": "0.00", "z": "0", "q": "7"}, "long", "80900.00", "7"),
    ],
)
def test_liquidations(fields: dict[str, str], side: str, price: str, size: str) -> None:
    order = json.loads(F_FORCE)["o"] | fields
    (event,) = FUTURES.parse(changed(F_FORCE, o=order))
    assert isinstance(event, Liquidation)
    assert (event.liquidated_side, event.price, event.size) == (side, Decimal(price), Decimal(size))


def test_coin_margined_contracts_are_left_out() -> None:
    assert FUTURES.parse(wrapped("!forceOrder@arr", changed(F_FORCE, st=2))) == []
    inner = json.loads(F_FORCE)["o"] | {"st": 2}
    assert FUTURES.parse(wrapped("!forceOrder@arr", changed(F_FORCE, o=inner))) == []
    assert FUTURES.parse(wrapped("!bookTicker", changed(F_QUOTE, st=2))) == []
    marks = b"[%s,%s]" % (F_MARK, changed(F_MARK, st=2, s="BTCUSD_PERP"))
    (mark,) = FUTURES.parse(wrapped("!markPrice@arr", marks))
    assert isinstance(mark, MarkPrice)
    assert mark.symbol == "BTCUSDT"


def test_fills_outside_the_book_are_no_trades() -> None:
    assert FUTURES.parse(changed(F_TRADE, X="NA", p="0", q="0")) == []
    assert FUTURES.parse(changed(F_TRADE, X="INSURANCE_FUND")) == []
    with pytest.raises(ParseError):
        FUTURES.parse(changed(F_TRADE, p="0"))


def test_contracts_without_funding() -> None:
    (mark,) = FUTURES.parse(changed(F_MARK, r="", T=0))
    assert isinstance(mark, MarkPrice)
    assert (mark.funding_rate, mark.next_funding_ns) == (None, None)


@pytest.mark.parametrize(
    ("served", "payload"),
    [
        (SPOT, b'{"result":null,"id":1}'),
        (SPOT, b'{"id":1,"result":["btcusdt@depth"]}'),
        (SPOT, b'{"code":2,"msg":"Invalid request: unknown variant","id":3}'),
        (SPOT, b'{"error":{"code":2,"msg":"Invalid request"},"id":3}'),
        (SPOT, b'{"e":"serverShutdown","E":1770123456789}'),
        (SPOT, wrapped("!serverShutdown", b'{"e":"serverShutdown","E":1770123456789}')),
        (SPOT, wrapped("btcusdt@depth20@100ms", SNAPSHOT)),
        (SPOT, wrapped("btcusdt@ticker_1h", b'{"e":"1hTicker","s":"BTCUSDT"}')),
        (SPOT, wrapped("!ticker_1h@arr", b'[{"e":"1hTicker","s":"BTCUSDT"}]')),
        (SPOT, wrapped("btcusdt@avgPrice", b'{"e":"avgPrice","s":"BTCUSDT"}')),
        (SPOT, b'{"e":"blockTrade","E":1772506983582,"s":"BNBBTC","t":582,"p":"0.052","q":"5838"}'),
        (SPOT, b'{"e":"referencePrice","s":"BAZUSD","r":"1.00","t":1770313263917}'),
        (FUTURES, wrapped("btcusdt@depth5@250ms", F_DEPTH)),
        (FUTURES, wrapped("btcusdt@rpiDepth@500ms", F_DEPTH)),
        (FUTURES, wrapped("btcusdt_perpetual@continuousKline_1m", b'{"e":"continuous_kline"}')),
        (FUTURES, b'{"e":"continuous_kline","ps":"BTCUSDT"}'),
        (FUTURES, b'{"e":"KR_EquityUpdate","E":1770123456789}'),
        (FUTURES, wrapped("tradingSession", b'{"e":"EquityUpdate","E":1770123456789}')),
        (FUTURES, wrapped("!contractInfo", b'{"e":"contractInfo","s":"IOTAUSDT"}')),
        (FUTURES, wrapped("!assetIndex@arr", b'[{"e":"assetIndexUpdate","s":"ADAUSD"}]')),
        (FUTURES, b'{"e":"compositeIndex","s":"DEFIUSDT"}'),
    ],
)
def test_known_and_uninteresting(served: Market, payload: bytes) -> None:
    assert served.parse(payload) == []
    assert judge(served.wire, payload) is Route.OTHER


@pytest.mark.parametrize(
    "payload",
    [
        b'{"e":"somethingNew","E":1}',
        b'{"stream":"btcusdt@somethingNew","data":{"e":"depthUpdate"}}',
        b'{"e":"tradeLite","E":1}',
        b'{"something":1}',
        b"{}",
    ],
)
def test_what_is_not_documented_is_an_error_that_is_counted(payload: bytes) -> None:
    for served in (SPOT, FUTURES):
        with pytest.raises(ParseError, match="unknown event"):
            served.parse(payload)
        assert judge(served.wire, payload) is Route.UNKNOWN


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"17",
        b"[]",
        b"[1]",
        b"\xff\xfe",
        b'{"e":"trade"}',
        DEPTH[:-1],
        wrapped("btcusdt@trade", DEPTH),
        b'{"stream":"btcusdt@trade"}',
        b"[" * 100_000,
        changed(TRADE, p="NaN"),
        changed(TRADE, p="Infinity"),
        changed(TRADE, p="1e5"),
        changed(TRADE, p="-1"),
        changed(TRADE, p=81234.56),
        changed(TRADE, p="0.00"),
        changed(TRADE, p="9" * 40),
        changed(TRADE, p="1\n"),
        changed(TRADE, p="٣"),
        changed(TRADE, m="true"),
        changed(TRADE, t=-1),
        changed(TRADE, t=2**63),
        changed(TRADE, T=10**13),
        changed(TRADE, T=2**62),
        changed(TRADE, s=""),
        changed(TRADE, s="X" * 65),
        changed(DEPTH, b=[["1"]]),
        changed(DEPTH, b=[["1", "2", "3"]]),
        changed(DEPTH, b=None),
        changed(DEPTH, u=None),
        changed(KLINE, k={}),
        KLINE.replace(b"1795000019999", b"1794999950000"),
        TRADE.replace(b"BTCUSDT", b"BTC\xffUSDT"),
    ],
)
def test_malformed_frames(payload: bytes) -> None:
    for served in (SPOT, FUTURES):
        with pytest.raises(ParseError):
            served.parse(payload)


def test_unknown_fields_are_ignored() -> None:
    assert SPOT.parse(changed(TRADE, new=[{"deep": [1]}], st=1)) == SPOT.parse(TRADE)


# ---- the wire tables


@pytest.mark.parametrize("served", [SPOT, FUTURES])
def test_names_that_look_alike_in_8_bytes_mean_the_same(served: Market) -> None:
    for table in (served.wire.roles, served.wire.routes, served.wire.untagged):
        by_prefix: dict[bytes, object] = {}
        for name, meaning in table.items():
            assert by_prefix.setdefault(name.encode()[:8], meaning) == meaning, name


@pytest.mark.parametrize("served", [SPOT, FUTURES])
def test_route_names_are_cut_as_streams_are(served: Market) -> None:
    for name in served.wire.routes:
        assert channel_of(name) == name


def test_channels() -> None:
    assert channel_of("btcusdt@depth@100ms") == "depth"
    assert channel_of("btcusdt@depth20@100ms") == "depth20"
    assert channel_of("btcusdt_250627@kline_1d@+08:00") == "kline"
    assert channel_of("!forceOrder@arr") == "!forceOrder"
    assert channel_of("!ticker_1h@arr") == "!ticker"
    assert channel_of("tradingSession") == "tradingSession"
    assert channel_of("@") == ""


# ---- keys


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (wrapped("btcusdt@depth@100ms", DEPTH), b"BTCUSDT"),
        (wrapped("btcusdt_250627@depth@0ms", F_DEPTH), b"BTCUSDT_250627"),
        (b'{ "stream" : "btcusdt@depth", "data": {}}', b"BTCUSDT"),
        (wrapped("!forceOrder@arr", F_FORCE), b"!forceOrder@arr"),
        (wrapped("!markPrice@arr@1s", b"[]"), b"!markPrice@arr@1s"),
        (wrapped("tradingSession", b"{}"), b"tradingSession"),
        (wrapped("", b"{}"), None),
        (wrapped("@depth", b"{}"), None),
        (wrapped("x" * 1000, b"{}"), None),
        (TRADE, b"BTCUSDT"),
        (QUOTE, b"BTCUSDT"),
        (F_FORCE, b"BTCUSDT"),
        (b"[%s]" % F_MARK, None),
        (SNAPSHOT, None),
        (F_SNAPSHOT, None),
        (b'{"result":null,"id":1}', None),
        (b'{"timezone":"UTC","symbols":[]}', None),
        (b'{"stream":"', None),
        (b'{"s":"', None),
        (b"", None),
    ],
)
def test_key_of(payload: bytes, key: bytes | None) -> None:
    assert SPOT.key_of(payload) == FUTURES.key_of(payload) == key


# ---- canonical names and instruments


@pytest.mark.parametrize(
    ("symbol", "spot", "futures"),
    [
        ("BTCUSDT", "BTC-USDT", "BTC-USDT-PERP"),
        ("BTCFDUSD", "BTC-FDUSD", "BTC-FDUSD-PERP"),
        ("TUSDBUSD", "TUSD-BUSD", "TUSD-BUSD-PERP"),
        ("1000PEPEUSDC", "1000PEPE-USDC", "1000PEPE-USDC-PERP"),
        ("ETHBTC", "ETH-BTC", "ETH-BTC-PERP"),
        ("ADAEUR", "ADA-EUR", "ADA-EUR-PERP"),
        ("BTCUSDT_250627", "BTCUSDT_250627", "BTC-USDT-20250627"),
        ("FOO", "FOO", "FOO-PERP"),
        ("USDT", "USDT", "USDT-PERP"),
        ("", "", "-PERP"),
    ],
)
def test_canonical(symbol: str, spot: str, futures: str) -> None:
    assert SPOT.canonical(symbol) == spot
    assert FUTURES.canonical(symbol) == futures


def test_quotes_are_tried_longest_first() -> None:
    assert [len(quote) for quote in QUOTES] == sorted((len(quote) for quote in QUOTES), reverse=True)


def info(**fields: object) -> bytes:
    return json.dumps(INFO | {"symbols": [INFO["symbols"][0] | fields, INFO["symbols"][0]]}).encode()  # type: ignore[operator, index]


def test_instruments() -> None:
    (spot,) = SPOT.instruments(json.dumps(INFO).encode())
    assert spot == Instrument(symbol="BTCUSDT", instrument="BTC-USDT", tick=Decimal(10), lot=Decimal("0.001"))
    assert (str(spot.tick), str(spot.lot)) == ("10", "0.001")
    dated, perpetual = FUTURES.instruments(info(symbol="BTCUSDT_250627", contractType="CURRENT_QUARTER"))
    assert (dated.instrument, perpetual.instrument) == ("BTC-USDT-20250627", "BTC-USDT-PERP")


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": None},
        {"symbol": ""},
        {"baseAsset": 3},
        {"filters": []},
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}]},
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.0"}, INFO["symbols"][0]["filters"][0]]},  # type: ignore[index]
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "x"}, INFO["symbols"][0]["filters"][0]]},  # type: ignore[index]
        {"filters": [{"filterType": "PRICE_FILTER"}, INFO["symbols"][0]["filters"][0]]},  # type: ignore[index]
        {"contractType": ""},
    ],
)
def test_an_unusable_symbol_is_left_out_and_the_others_stay(fields: dict[str, object]) -> None:
    assert [found.instrument for found in FUTURES.instruments(info(**fields))] == ["BTC-USDT-PERP"]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"symbols":3}', SNAPSHOT, b"\xff", b"[" * 100_000])
def test_not_exchange_info(payload: bytes) -> None:
    for served in (SPOT, FUTURES):
        with pytest.raises(ParseError):
            served.instruments(payload)


@pytest.mark.parametrize(
    ("served", "file", "count", "some"),
    [
        (SPOT, "spot_4sym_20211012", 1695, ("NKNUSDT", "NKN-USDT", "0.0001", "1")),
        (FUTURES, "usdm_4sym_20210722", 121, ("BTCUSDT_210924", "BTC-USDT-20210924", "0.1", "0.001")),
    ],
)
def test_recorded_exchange_info(
    recordings: Path, served: Market, file: str, count: int, some: tuple[str, str, str, str]
) -> None:
    payload = exchange_info(recordings / "binance" / f"cryptofeed_{file}.jsonl.zst")
    found = {instrument.symbol: instrument for instrument in served.instruments(payload)}
    assert len(found) == count
    for symbol in json.loads(payload)["symbols"]:
        if symbol.get("contractType") == "":
            assert symbol["symbol"] not in found
            continue
        filters = {rule["filterType"]: rule for rule in symbol["filters"]}
        instrument = found[symbol["symbol"]]
        assert instrument.tick == Decimal(filters["PRICE_FILTER"]["tickSize"])
        assert instrument.lot == Decimal(filters["LOT_SIZE"]["stepSize"])
        assert instrument.instrument.startswith(f"{symbol['baseAsset']}-{symbol['quoteAsset']}")
        # What the name alone tells is the same.
        assert served.canonical(instrument.symbol) == instrument.instrument
    symbol, name, tick, lot = some
    assert found[symbol] == Instrument(symbol=symbol, instrument=name, tick=Decimal(tick), lot=Decimal(lot))


def exchange_info(path: Path) -> bytes:
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().decode()
    entries = (json.loads(line) for line in text.splitlines()[:5])
    return next(entry["data"] for entry in entries if "exchangeInfo" in entry.get("url", "")).encode()
