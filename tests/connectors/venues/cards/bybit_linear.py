"""Bybit linear: frames recorded on 2026-08-09 where they are short, else as documented with invented values."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import Bar, Depth, Instrument, Liquidation, Ticker, Trade
from tests.connectors.venues.card import Card, Story

SNAPSHOT = b'{"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":1786310818129,"data":{"s":"BTCUSDT","b":[["65114.20","6.054"],["65114.10","0.002"]],"a":[["65114.30","10.486"],["65114.40","0.001"]],"u":7001,"seq":753843904448},"cts":1786310818126}'
DELTA = b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818229,"data":{"s":"BTCUSDT","b":[["65114.20","0"],["65114.00","0.041"]],"a":[["65114.30","9.5"]],"u":7002,"seq":753843904501},"cts":1786310818226}'
# Keys may stand in any order.
REORDERED = b'{"data":{"u":7003,"seq":753843904502,"a":[["65114.20","0.250"]],"b":[],"s":"BTCUSDT"},"cts":1786310818326,"ts":1786310818330,"type":"delta","topic":"orderbook.200.BTCUSDT"}'
AGAIN = b'{"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":1786310818430,"data":{"s":"BTCUSDT","b":[["65113.90","1.5"]],"a":[["65114.50","2.25"]],"u":7100,"seq":753843904600},"cts":1786310818427}'
AFTER = b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818530,"data":{"s":"BTCUSDT","b":[["65113.90","1.750"]],"a":[],"u":7101,"seq":753843904601},"cts":1786310818527}'
GAP = b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818330,"data":{"s":"BTCUSDT","b":[["65113.00","3"]],"a":[],"u":7003,"seq":753843904502},"cts":1786310818326}'

TRADES = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[{"T":1786310819680,"s":"BTCUSDT","S":"Sell","v":"0.004","p":"65114.20","L":"MinusTick","i":"a9188a0a-82bc-50de-be60-03eedbe3cdd7","BT":false,"RPI":false,"seq":753843954913},{"T":1786310819679,"s":"BTCUSDT","S":"Buy","v":"1.30","p":"65114.30","L":"PlusTick","i":"4d4ad26c-901f-5146-adc0-1db29b6b9ab6","BT":false,"RPI":true,"seq":753843954913}]}'
BLOCK = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[{"T":1786310819680,"s":"BTCUSDT","S":"Sell","v":"50","p":"65000.00","L":"MinusTick","i":"a9188a0a-82bc-50de-be60-03eedbe3cdd8","BT":true,"RPI":false,"seq":753843954914}]}'
KLINE = b'{"topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65119.9","close":"65114.3","high":"65119.9","low":"65114.2","volume":"1.576","turnover":"102627.995","confirm":false,"timestamp":1786310818440}],"ts":1786310818440,"type":"snapshot"}'
CLOSED = b'{"topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65119.9","close":"65114.2","high":"65119.9","low":"65114.2","volume":"0","turnover":"0","confirm":true,"timestamp":1786310820001}],"ts":1786310820001,"type":"snapshot"}'
TICKER = b'{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":"ZeroPlusTick","price24hPcnt":"0.001624","lastPrice":"65114.30","prevPrice24h":"65008.70","highPrice24h":"65282.30","lowPrice24h":"64694.40","prevPrice1h":"65083.80","markPrice":"65117.44","indexPrice":"65137.76","openInterest":"59891.732","openInterestValue":"3899996265.01","turnover24h":"1142118412.9021","volume24h":"17573.9120","fundingIntervalHour":"8","fundingCap":"0.005","singleOpenInterest":"29945.866","singleOpenInterestValue":"1949998132.50","nextFundingTime":"1786320000000","fundingRate":"-0.0001","bid1Price":"65114.20","bid1Size":"5.954","ask1Price":"65114.30","ask1Size":"10.470","preOpenPrice":"","preQty":"","curPreListingPhase":""},"cs":753843900397,"ts":1786310817583}'
TICKER_DELTA = b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"65114.20","bid1Size":"6.054","ask1Price":"65114.30","ask1Size":"10.486"},"cs":753843907770,"ts":1786310817883}'
# Before 2026-06-11 both sides only were told.
TICKER_BOTH_SIDES = b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","openInterest":"59891.732","fundingRate":""},"cs":753843907771,"ts":1786310817983}'
LIQUIDATIONS = b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1791565601482,"data":[{"T":1791565600992,"s":"BTCUSDT","S":"Buy","v":"0.006","p":"82396.90"},{"T":1791565601058,"s":"BTCUSDT","S":"Sell","v":"0.038","p":"82394.30"}]}'

ACCEPTED = (
    b'{"success":true,"ret_msg":"","conn_id":"d8bu1olkndm7crnfs1e0-j6akw","req_id":"","op":"subscribe"}'
)
PONG = b'{"success":true,"ret_msg":"pong","conn_id":"d8bu1olkndm7crnfs1e0-j6akw","req_id":"","op":"ping"}'
REFUSED = b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.200.NOPEUSDT","conn_id":"da7tmhs21nld3jk6lb70-8csm4","req_id":"NOPEUSDT","op":"subscribe"}'
REFUSED_UNNAMED = b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.200.NOPEUSDT","conn_id":"da7tmhs21nld3jk6lb70-8csm4","req_id":"","op":"subscribe"}'
ALREADY = b'{"success":false,"ret_msg":"error:already subscribed,topic:orderbook.200.BTCUSDT","conn_id":"da7tmhs21nld3jk6lb70-8csm4","req_id":"BTCUSDT","op":"subscribe"}'
NOT_LEFT = b'{"success":false,"ret_msg":"error:topic not subscribed","conn_id":"da7tmhs21nld3jk6lb70-8csm4","req_id":"BTCUSDT","op":"unsubscribe"}'
NO_OPERATION = b'{"success":false,"ret_msg":"error:invalid op","conn_id":"da7tmhs21nld3jk6lb70-8csm4"}'

INSTRUMENTS = b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","launchTime":"1584230400000","deliveryTime":"0","deliveryFeeRate":"","priceScale":"2","leverageFilter":{"minLeverage":"1","maxLeverage":"100.00","leverageStep":"0.01"},"priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"maxOrderQty":"1500.000","minOrderQty":"0.001","qtyStep":"0.001"},"settleCoin":"USDT","isPreListing":false,"symbolId":5},{"symbol":"BTCPERP","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDC","priceFilter":{"tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001"}},{"symbol":"BTCUSDT-25DEC26","contractType":"LinearFutures","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","priceFilter":{"tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001"}},{"symbol":"1000000BABYDOGEUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"1000000BABYDOGE","quoteCoin":"USDT","priceFilter":{"tickSize":"0.0000001"},"lotSizeFilter":{"qtyStep":"100"}},{"symbol":"GONEUSDT","contractType":"LinearPerpetual","status":"Closed","baseCoin":"GONE","quoteCoin":"USDT","priceFilter":{"tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001"}},{"symbol":"ODDUSDT"}],"nextPageCursor":""},"retExtInfo":{},"time":1786310817197}'
UNKNOWN_SYMBOL = b'{"retCode":10001,"retMsg":"params error: symbol invalid","result":{"category":"","list":[],"nextPageCursor":""},"retExtInfo":{},"time":1790320625451}'

BTC = "BTCUSDT"

CARD = Card(
    market="bybit_linear",
    symbols=[
        ("BTCUSDT", "BTC-USDT-PERP"),
        ("1000PEPEUSDT", "1000PEPE-USDT-PERP"),
        ("BTCPERP", "BTC-USDC-PERP"),
        ("ETHUSDT-25DEC26", "ETH-USDT-20261225"),
        ("BTC-4SEP26", "BTC-USDC-20260904"),
    ],
    subscribe=[
        b'{"op":"subscribe","req_id":"BTCUSDT","args":["orderbook.200.BTCUSDT","publicTrade.BTCUSDT","kline.1.BTCUSDT","tickers.BTCUSDT","allLiquidation.BTCUSDT"]}'
    ],
    url="/v5/public/linear",
    golden=[
        (
            SNAPSHOT,
            [
                Depth(
                    symbol=BTC,
                    event_ns=1786310818129_000_000,
                    first_id=7001,
                    last_id=7001,
                    previous_id=None,
                    bids=[(D("65114.20"), D("6.054")), (D("65114.10"), D("0.002"))],
                    asks=[(D("65114.30"), D("10.486")), (D("65114.40"), D("0.001"))],
                    snapshot=True,
                )
            ],
        ),
        (
            DELTA,
            [
                Depth(
                    symbol=BTC,
                    event_ns=1786310818229_000_000,
                    first_id=7002,
                    last_id=7002,
                    previous_id=None,
                    bids=[(D("65114.20"), D(0)), (D("65114.00"), D("0.041"))],
                    asks=[(D("65114.30"), D("9.5"))],
                    snapshot=False,
                )
            ],
        ),
        (
            REORDERED,
            [
                Depth(
                    symbol=BTC,
                    event_ns=1786310818330_000_000,
                    first_id=7003,
                    last_id=7003,
                    previous_id=None,
                    bids=[],
                    asks=[(D("65114.20"), D("0.25"))],
                    snapshot=False,
                )
            ],
        ),
        (
            TRADES,
            [
                Trade(
                    symbol=BTC,
                    event_ns=1786310819680_000_000,
                    trade_id=0xA9188A0A82BC50DE,
                    price=D("65114.20"),
                    size=D("0.004"),
                    side="sell",
                ),
                Trade(
                    symbol=BTC,
                    event_ns=1786310819679_000_000,
                    trade_id=0x4D4AD26C901F5146,
                    price=D("65114.30"),
                    size=D("1.30"),
                    side="buy",
                ),
            ],
        ),
        (
            KLINE,
            [
                Bar(
                    symbol=BTC,
                    interval_s=60,
                    open_ns=1786310760000_000_000,
                    open=D("65119.9"),
                    high=D("65119.9"),
                    low=D("65114.2"),
                    close=D("65114.3"),
                    volume=D("1.576"),
                    quote_volume=D("102627.995"),
                    buy_volume=None,
                    trades=None,
                    closed=False,
                )
            ],
        ),
        (
            CLOSED,
            [
                Bar(
                    symbol=BTC,
                    interval_s=60,
                    open_ns=1786310760000_000_000,
                    open=D("65119.9"),
                    high=D("65119.9"),
                    low=D("65114.2"),
                    close=D("65114.2"),
                    volume=D(0),
                    quote_volume=D(0),
                    buy_volume=None,
                    trades=None,
                    closed=True,
                )
            ],
        ),
        (
            TICKER,
            [
                Ticker(
                    symbol=BTC,
                    event_ns=1786310817583_000_000,
                    delta=False,
                    last=D("65114.30"),
                    bid=D("65114.20"),
                    ask=D("65114.30"),
                    mark=D("65117.44"),
                    index=D("65137.76"),
                    funding_rate=D("-0.0001"),
                    next_funding_ns=1786320000000_000_000,
                    open_interest=D("29945.866"),
                    open=D("65008.70"),
                    high=D("65282.30"),
                    low=D("64694.40"),
                    volume=D("17573.9120"),
                    quote_volume=D("1142118412.9021"),
                )
            ],
        ),
        (
            TICKER_DELTA,
            [
                Ticker(
                    symbol=BTC,
                    event_ns=1786310817883_000_000,
                    delta=True,
                    bid=D("65114.20"),
                    ask=D("65114.30"),
                )
            ],
        ),
        (
            TICKER_BOTH_SIDES,
            [Ticker(symbol=BTC, event_ns=1786310817983_000_000, delta=True, open_interest=D("29945.866"))],
        ),
        (
            LIQUIDATIONS,
            [
                Liquidation(
                    symbol=BTC,
                    event_ns=1791565600992_000_000,
                    liquidated_side="long",
                    price=D("82396.90"),
                    size=D("0.006"),
                    complete=True,
                ),
                Liquidation(
                    symbol=BTC,
                    event_ns=1791565601058_000_000,
                    liquidated_side="short",
                    price=D("82394.30"),
                    size=D("0.038"),
                    complete=True,
                ),
            ],
        ),
    ],
    silent=[
        ACCEPTED,
        PONG,
        ALREADY,
        NOT_LEFT,
        NO_OPERATION,
        BLOCK,
        b'{"op":"pong","args":["1675418560633"]}',
    ],
    refusals=[
        (REFUSED, ("NOPEUSDT",), False),
        (REFUSED_UNNAMED, ("NOPEUSDT",), False),
        (ALREADY, (), False),
        (NOT_LEFT, (), False),
        (NO_OPERATION, (), False),
    ],
    instruments=[
        (
            INSTRUMENTS,
            [
                Instrument(symbol="BTCUSDT", instrument="BTC-USDT-PERP", tick=D("0.1"), lot=D("0.001")),
                Instrument(symbol="BTCPERP", instrument="BTC-USDC-PERP", tick=D("0.1"), lot=D("0.001")),
                Instrument(
                    symbol="BTCUSDT-25DEC26", instrument="BTC-USDT-20261225", tick=D("0.1"), lot=D("0.001")
                ),
                Instrument(
                    symbol="1000000BABYDOGEUSDT",
                    instrument="1000000BABYDOGE-USDT-PERP",
                    tick=D("0.0000001"),
                    lot=D(100),
                ),
            ],
        ),
        (UNKNOWN_SYMBOL, []),
    ],
    stories=[
        Story(
            symbol=BTC,
            opening=[SNAPSHOT],
            following=[DELTA, REORDERED],
            stale=SNAPSHOT.replace(b'"snapshot"', b'"delta"'),
            breaking=GAP,
            best=(("65114.10", "0.002"), ("65114.20", "0.250")),
        ),
        # A snapshot in the midst of the stream replaces the book, whatever its id.
        Story(
            symbol=BTC,
            opening=[SNAPSHOT, AGAIN],
            following=[AFTER],
            stale=DELTA,
            breaking=AFTER.replace(b'"u":7101', b'"u":7102'),
            best=(("65113.90", "1.750"), ("65114.50", "2.25")),
        ),
        # One with `u` 1 comes after the service was begun anew.
        Story(
            symbol=BTC,
            opening=[SNAPSHOT, AGAIN.replace(b'"u":7100', b'"u":1')],
            following=[AFTER.replace(b'"u":7101', b'"u":2')],
            stale=AFTER.replace(b'"u":7101', b'"u":1'),
            breaking=GAP,
            best=(("65113.90", "1.750"), ("65114.50", "2.25")),
        ),
    ],
    malformed=[
        b"",
        b"[]",
        b"pong",
        SNAPSHOT[:-1],
        SNAPSHOT.replace(b'"s":"BTCUSDT"', b'"s":""'),
        SNAPSHOT.replace(b'"type":"snapshot"', b'"type":"whole"'),
        SNAPSHOT.replace(b'"type":"snapshot",', b""),
        SNAPSHOT.replace(b'"ts":1786310818129,', b""),
        SNAPSHOT.replace(b"7001", b"-1"),
        SNAPSHOT.replace(b"1786310818129", b"1786310818129000"),
        DELTA.replace(b'"0.041"', b"0.041"),
        DELTA.replace(b'"0.041"', b'"-0.041"'),
        DELTA.replace(b'"65114.00"', b'"0.00"'),
        DELTA.replace(b'"65114.00"', b'"6.5e4"'),
        DELTA.replace(b'["65114.00","0.041"]', b'["65114.00"]'),
        TRADES.replace(b"Sell", b"sell"),
        TRADES.replace(b'"0.004"', b'"0"'),
        TRADES.replace(b"a9188a0a-", b"a9188a0g-"),
        TRADES.replace(b"1786310819680", b"1786310819680.5"),
        KLINE.replace(b"1786310819999", b"1786310759999"),
        KLINE.replace(b"kline.1.BTCUSDT", b"kline.1."),
        KLINE.replace(b'"confirm":false,', b""),
        TICKER.replace(b'"65117.44"', b'"NaN"'),
        TICKER.replace(b'"1786320000000"', b'"9786320000000"'),
        LIQUIDATIONS.replace(b'"S":"Buy"', b'"S":"Long"'),
    ],
    unknown=b'{"topic":"adlAlert.BTCUSDT","type":"snapshot","ts":1786310818129,"data":{"s":"BTCUSDT"}}',
)
