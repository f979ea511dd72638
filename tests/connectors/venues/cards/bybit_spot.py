"""Bybit spot: frames recorded on 2026-08-09 where they are short, else as documented with invented values."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import Bar, Depth, Instrument, Ticker, Trade
from tests.connectors.venues.card import Card, Story

SNAPSHOT = b'{"topic":"orderbook.200.BTCUSDT","ts":1786310816516,"type":"snapshot","data":{"s":"BTCUSDT","b":[["65140.4","0.885797"],["65140","0.014"]],"a":[["65140.5","0.33"],["65141","0.000231"]],"u":62505424,"seq":112488545850},"cts":1786310816490}'
DELTA = b'{"topic":"orderbook.200.BTCUSDT","ts":1786310816618,"type":"delta","data":{"s":"BTCUSDT","b":[["65140.4","0.875077"]],"a":[["65140.5","0"],["65154.6","0.09948"]],"u":62505425,"seq":112488545865},"cts":1786310816585}'
GAP = b'{"topic":"orderbook.200.BTCUSDT","ts":1786310816718,"type":"delta","data":{"s":"BTCUSDT","b":[["65140.4","0.8"]],"a":[],"u":62505426,"seq":112488545869},"cts":1786310816685}'
TRADES = b'{"topic":"publicTrade.ETHUSDT","ts":1786310821917,"type":"snapshot","data":[{"i":"2280000001739247417","T":1786310821917,"p":"1923.28","v":"0.04537","S":"Sell","seq":178477362706,"s":"ETHUSDT","BT":false,"RPI":false},{"i":"2280000001739247418","T":1786310821918,"p":"1923.29","v":"1","S":"Buy","seq":178477362707,"s":"ETHUSDT","BT":false,"RPI":false}]}'
KLINE = b'{"type":"snapshot","topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65140.4","close":"65140.5","high":"65140.5","low":"65140.4","volume":"0.15318","turnover":"9978.2084389","confirm":false,"timestamp":1786310816562}],"ts":1786310816562}'
TICKER = b'{"topic":"tickers.BTCUSDT","ts":1786310819126,"type":"snapshot","cs":112488546160,"data":{"symbol":"BTCUSDT","lastPrice":"65140.5","highPrice24h":"65305.6","lowPrice24h":"64727.9","prevPrice24h":"65045.3","volume24h":"2953.835931","turnover24h":"191907024.69597728","price24hPcnt":"0.0015","usdIndexPrice":"65091.459221"}}'

ACCEPTED = b'{"success":true,"ret_msg":"subscribe","conn_id":"d9avt8shteepr00gfc1g-4zd1x","op":"subscribe"}'
PONG = b'{"success":true,"ret_msg":"pong","conn_id":"d9avt8shteepr00gfc1g-4zd1x","op":"ping"}'
REFUSED = b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.200.NOPEUSDT","conn_id":"d9avt8shteepr00gfc1g-4zd1x","req_id":"NOPEUSDT","op":"subscribe"}'
TOO_MANY = (
    b'{"success":false,"ret_msg":"args size >10","conn_id":"d9avt8shteepr00gfc1g-4zd1x","op":"subscribe"}'
)

INSTRUMENTS = b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","innovation":"0","status":"Trading","marginTrading":"utaOnly","lotSizeFilter":{"basePrecision":"0.000001","quotePrecision":"0.0000001","minOrderQty":"0.000011","maxOrderQty":"83","minOrderAmt":"5"},"priceFilter":{"tickSize":"0.10"}},{"symbol":"ETHBTC","baseCoin":"ETH","quoteCoin":"BTC","status":"Trading","lotSizeFilter":{"basePrecision":"0.001"},"priceFilter":{"tickSize":"0.000001"}}]},"retExtInfo":{},"time":1786310817197}'
UNKNOWN_SYMBOL = (
    b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[]},"retExtInfo":{},"time":1786310817197}'
)

CARD = Card(
    market="bybit_spot",
    symbols=[
        ("BTCUSDT", "BTC-USDT"),
        ("ETHBTC", "ETH-BTC"),
        ("BTCEUR", "BTC-EUR"),
        ("USDCUSDT", "USDC-USDT"),
        ("BTCUSDE", "BTC-USDE"),
    ],
    subscribe=[
        b'{"op":"subscribe","req_id":"BTCUSDT","args":["orderbook.200.BTCUSDT","publicTrade.BTCUSDT","kline.1.BTCUSDT","tickers.BTCUSDT"]}'
    ],
    url="/v5/public/spot",
    golden=[
        (
            SNAPSHOT,
            [
                Depth(
                    symbol="BTCUSDT",
                    event_ns=1786310816516_000_000,
                    first_id=62505424,
                    last_id=62505424,
                    previous_id=None,
                    bids=[(D("65140.4"), D("0.885797")), (D("65140"), D("0.014"))],
                    asks=[(D("65140.5"), D("0.33")), (D("65141"), D("0.000231"))],
                    snapshot=True,
                )
            ],
        ),
        (
            DELTA,
            [
                Depth(
                    symbol="BTCUSDT",
                    event_ns=1786310816618_000_000,
                    first_id=62505425,
                    last_id=62505425,
                    previous_id=None,
                    bids=[(D("65140.4"), D("0.875077"))],
                    asks=[(D("65140.5"), D(0)), (D("65154.6"), D("0.09948"))],
                    snapshot=False,
                )
            ],
        ),
        (
            TRADES,
            [
                Trade(
                    symbol="ETHUSDT",
                    event_ns=1786310821917_000_000,
                    trade_id=2280000001739247417,
                    price=D("1923.28"),
                    size=D("0.04537"),
                    side="sell",
                ),
                Trade(
                    symbol="ETHUSDT",
                    event_ns=1786310821918_000_000,
                    trade_id=2280000001739247418,
                    price=D("1923.29"),
                    size=D(1),
                    side="buy",
                ),
            ],
        ),
        (
            KLINE,
            [
                Bar(
                    symbol="BTCUSDT",
                    interval_s=60,
                    open_ns=1786310760000_000_000,
                    open=D("65140.4"),
                    high=D("65140.5"),
                    low=D("65140.4"),
                    close=D("65140.5"),
                    volume=D("0.15318"),
                    quote_volume=D("9978.2084389"),
                    buy_volume=None,
                    trades=None,
                    closed=False,
                )
            ],
        ),
        (
            TICKER,
            [
                Ticker(
                    symbol="BTCUSDT",
                    event_ns=1786310819126_000_000,
                    delta=False,
                    last=D("65140.5"),
                    open=D("65045.3"),
                    high=D("65305.6"),
                    low=D("64727.9"),
                    volume=D("2953.835931"),
                    quote_volume=D("191907024.69597728"),
                )
            ],
        ),
    ],
    silent=[ACCEPTED, PONG, TOO_MANY],
    refusals=[(REFUSED, ("NOPEUSDT",), False), (TOO_MANY, (), False)],
    instruments=[
        (
            INSTRUMENTS,
            [
                Instrument(symbol="BTCUSDT", instrument="BTC-USDT", tick=D("0.1"), lot=D("0.000001")),
                Instrument(symbol="ETHBTC", instrument="ETH-BTC", tick=D("0.000001"), lot=D("0.001")),
            ],
        ),
        (UNKNOWN_SYMBOL, []),
    ],
    stories=[
        Story(
            symbol="BTCUSDT",
            opening=[SNAPSHOT],
            following=[DELTA],
            stale=SNAPSHOT.replace(b'"snapshot"', b'"delta"'),
            breaking=GAP,
            best=(("65140.4", "0.875077"), ("65141", "0.000231")),
        )
    ],
    malformed=[
        b"",
        b'{"topic":""}',
        DELTA.replace(b'"u":62505425', b'"u":"62505425"'),
        DELTA.replace(b'"u":62505425,', b""),
        TRADES.replace(b"2280000001739247417", b"99999999999999999999"),
        TRADES.replace(b'"data":[', b'"data":[[],'),
        KLINE.replace(b'"open":"65140.4"', b'"open":"0"'),
        TICKER.replace(b'"symbol":"BTCUSDT"', b'"symbol":null'),
    ],
    unknown=b'{"topic":"lt.EOS3LUSDT","ts":1786310819126,"type":"snapshot","data":{"symbol":"EOS3LUSDT"}}',
)
