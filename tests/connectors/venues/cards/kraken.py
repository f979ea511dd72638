"""Kraken spot, WebSocket v2: frames as documented, 2026, or recorded; values of Kraken's checksum example, or invented."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import Bar, BestQuote, Depth, Instrument, Ticker, Trade
from tests.connectors.venues.card import Card, Story


def book(kind: str, symbol: str, bids: str, asks: str, checksum: int, time: str) -> bytes:
    return f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],"checksum":{checksum},"timestamp":"{time}"}}]}}'.encode()


def acknowledged(method: str, symbol: str) -> bytes:
    snapshot = '"snapshot":true,' if method == "subscribe" else ""
    return f'{{"method":"{method}","result":{{"channel":"book","depth":10,{snapshot}"symbol":"{symbol}"}},"success":true,"time_in":"2026-08-01T02:53:53.184174Z","time_out":"2026-08-01T02:53:53.184216Z"}}'.encode()


# The example of "Book checksum (v2)", whose checksum is 3310070434.
BIDS = '{"price":45283.5,"qty":0.10000000},{"price":45283.4,"qty":1.54582015},{"price":45282.1,"qty":0.10000000},{"price":45281.0,"qty":0.10000000},{"price":45280.3,"qty":1.54592586},{"price":45279.0,"qty":0.07990000},{"price":45277.6,"qty":0.03310103},{"price":45277.5,"qty":0.30000000},{"price":45277.3,"qty":1.54602737},{"price":45276.6,"qty":0.15445238}'
ASKS = '{"price":45285.2,"qty":0.00100000},{"price":45286.4,"qty":1.54571953},{"price":45286.6,"qty":1.54571109},{"price":45289.6,"qty":1.54560911},{"price":45290.2,"qty":0.15890660},{"price":45291.8,"qty":1.54553491},{"price":45294.7,"qty":0.04454749},{"price":45296.1,"qty":0.35380000},{"price":45297.5,"qty":0.09945542},{"price":45299.5,"qty":0.18772827}'
BTC_SNAPSHOT = book("snapshot", "BTC/USD", BIDS, ASKS, 3310070434, "2026-08-02T03:35:51.302928Z")
# A level of a price below one: leading zeros go too.
ADA_BIDS = '{"price":0.31410,"qty":7.25000000},{"price":0.31400,"qty":1000.00000000},{"price":0.30990,"qty":0.00010000}'
ADA_ASKS = '{"price":0.31420,"qty":1500.00000000},{"price":0.31430,"qty":0.05000000},{"price":0.31500,"qty":42.10000000}'
ADA_SNAPSHOT = book("snapshot", "ADA/USD", ADA_BIDS, ADA_ASKS, 2539091412, "2026-08-02T03:35:51Z")
RECORDED_UPDATE = b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":63381.0,"qty":0.00000000},{"price":63376.4,"qty":0.00005100}],"asks":[],"checksum":3726153463,"timestamp":"2026-08-02T03:35:51.660084Z"}]}'

TRADES = b'{"channel":"trade","type":"snapshot","data":[{"symbol":"ETH/USD","side":"sell","price":2284.15,"qty":0.001,"ord_type":"market","trade_id":62886870,"timestamp":"2026-05-14T15:03:41.748964Z"},{"symbol":"BTC/USD","side":"buy","price":81011.5,"qty":0.00123440,"ord_type":"limit","trade_id":100320028,"timestamp":"2026-05-14T15:06:09.020392Z"}]}'
TRADE = b'{"channel":"trade","type":"update","data":[{"symbol":"EUR/USD","side":"sell","price":1.08150,"qty":250.00000000,"ord_type":"market","trade_id":771234,"timestamp":"2026-11-22T14:00:00.120001Z"},{"symbol":"EUR/USD","side":"buy","price":1.08155,"qty":12.50000000,"ord_type":"limit","trade_id":771235,"timestamp":"2026-11-22T14:00:00.5Z"}]}'
BARS = b'{"channel":"ohlc","type":"snapshot","timestamp":"2023-10-04T16:26:01.806315597Z","data":[{"symbol":"ALGO/USD","open":0.09875,"high":0.09885,"low":0.09870,"close":0.09880,"trades":3,"volume":200.00000000,"vwap":0.09876,"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":1,"timestamp":"2023-10-04T16:26:00.000000Z"},{"symbol":"ALGO/USD","open":0.09880,"high":0.09880,"low":0.09880,"close":0.09880,"trades":1,"volume":0.50000000,"vwap":0.09880,"interval_begin":"2023-10-04T16:26:00.000000000Z","interval":1,"timestamp":"2023-10-04T16:27:00.000000Z"}]}'
TICKER = b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","ask":64001.3,"ask_qty":2.00000000,"bid":63999.7,"bid_qty":1.50000000,"change":-100.5,"change_pct":-0.16,"high":65000.0,"last":64000.5,"low":62000.0,"volume":12.25000000,"vwap":63500.0,"timestamp":"2026-08-25T00:00:00.000001Z"}]}'
UNTIMED_TICKER = TICKER.replace(b',"timestamp":"2026-08-25T00:00:00.000001Z"', b"")
QUOTE = {
    "symbol": "BTC/USD",
    "bid": D("63999.7"),
    "bid_size": D("1.5"),
    "ask": D("64001.3"),
    "ask_size": D(2),
}
PAIRS = b'{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"USD","status":"enabled","precision":4,"precision_display":2,"borrowable":true,"collateral_value":1.0}],"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"cost_precision":5,"marginable":true,"has_index":true,"cost_min":0.5,"tick_size":0.1,"price_increment":0.1,"qty_min":0.0001},{"symbol":"EUR/USD","base":"EUR","quote":"USD","status":"online","qty_precision":8,"qty_increment":0.00000001,"price_precision":5,"price_increment":0.00001,"qty_min":0.5},{"symbol":"NEW/USD","price_increment":0,"qty_increment":1}]}}'


def trade(symbol: str, event_ns: int, trade_id: int, price: str, size: str, side: str) -> Trade:
    return Trade(symbol=symbol, event_ns=event_ns, trade_id=trade_id, price=D(price), size=D(size), side=side)


def levels(*pairs: str) -> list[tuple[D, D]]:
    return [(D(price), D(size)) for price, size in (pair.split() for pair in pairs)]


# 2026-08-02T03:35:51Z
T = 1_785_641_751 * 10**9
BAR = {"symbol": "ALGO/USD", "interval_s": 60, "buy_volume": None}

CARD = Card(
    market="kraken",
    symbols=[("BTC/USD", "BTC-USD"), ("EUR/USD", "EUR-USD"), ("ADA/USD", "ADA-USD"), ("USD/JPY", "USD-JPY")],
    subscribe=[
        b'{"method":"subscribe","params":{"channel":"instrument"}}',
        b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":1000}}',
        b'{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}',
        b'{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"],"interval":1}}',
        b'{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"bbo"}}',
    ],
    url="/v2",
    golden=[
        (
            ADA_SNAPSHOT,
            [Depth(symbol="ADA/USD", event_ns=T, first_id=-1, last_id=-1, previous_id=None, bids=levels("0.3141 7.25", "0.314 1000", "0.3099 0.0001"), asks=levels("0.3142 1500", "0.3143 0.05", "0.315 42.1"), snapshot=True, checksum=2539091412)],
        ),
        (
            RECORDED_UPDATE,
            [Depth(symbol="BTC/USD", event_ns=T + 660_084_000, first_id=-1, last_id=-1, previous_id=None, bids=levels("63381.0 0", "63376.4 0.000051"), asks=[], snapshot=False, checksum=3726153463)],
        ),
        (
            TRADES,
            [
                trade("ETH/USD", 1_778_771_021_748_964_000, 62886870, "2284.15", "0.001", "sell"),
                trade("BTC/USD", 1_778_771_169_020_392_000, 100320028, "81011.5", "0.0012344", "buy"),
            ],
        ),
        (
            TRADE,
            [
                trade("EUR/USD", 1_795_356_000_120_001_000, 771234, "1.0815", "250", "sell"),
                trade("EUR/USD", 1_795_356_000_500_000_000, 771235, "1.08155", "12.5", "buy"),
            ],
        ),
        (
            # The first minute has ended when the message is sent.
            BARS,
            [
                Bar(**BAR, open_ns=1_696_436_700 * 10**9, open=D("0.09875"), high=D("0.09885"), low=D("0.0987"), close=D("0.0988"), volume=D(200), quote_volume=D("19.752"), trades=3, closed=True),
                Bar(**BAR, open_ns=1_696_436_760 * 10**9, open=D("0.0988"), high=D("0.0988"), low=D("0.0988"), close=D("0.0988"), volume=D("0.5"), quote_volume=D("0.0494"), trades=1, closed=False),
            ],
        ),
        (
            TICKER,
            [
                BestQuote(event_ns=1_787_616_000_000_001_000, **QUOTE),
                Ticker(symbol="BTC/USD", event_ns=1_787_616_000_000_001_000, delta=False, last=D("64000.5"), bid=D("63999.7"), ask=D("64001.3"), open=D(64101), high=D(65000), low=D(62000), volume=D("12.25"), quote_volume=D(777875)),
            ],
        ),
        (UNTIMED_TICKER, [BestQuote(event_ns=None, **QUOTE)]),
    ],
    silent=[
        b'{"channel":"heartbeat"}',
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":2950167385101900187}]}',
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"maintenance","api_version":"v2","connection_id":1}]}',
        b'{"method":"pong","time_in":"2023-09-25T09:05:00.123456Z","time_out":"2023-09-25T09:05:00.123500Z"}',
        acknowledged("subscribe", "BTC/USD"),
        acknowledged("unsubscribe", "BTC/USD"),
        b'{"method":"subscribe","result":{"channel":"instrument","snapshot":true,"warnings":["tick_size is deprecated, use price_increment"]},"success":true,"time_in":"2023-09-26T16:49:20.962586Z","time_out":"2023-09-26T16:49:20.962630Z"}',
        b'{"method":"subscribe","result":{"channel":"ticker","event_trigger":"bbo","snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z","req_id":1}',
        b'{"error":"Already subscribed","method":"subscribe","success":false,"symbol":"BTC/USD","time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z"}',
        PAIRS,
    ],
    refusals=[
        (b'{"error":"Currency pair not supported XYZ/ABC","method":"subscribe","success":false,"symbol":"XYZ/ABC","time_in":"2026-08-01T02:53:53.184174Z","time_out":"2026-08-01T02:53:53.184216Z"}', ("XYZ/ABC",), False),
        # Said of the moment, or of everything: no symbol is given up.
        (b'{"error":"Exceeded msg rate","method":"subscribe","success":false,"symbol":"BTC/USD"}', (), False),
        (b'{"error":"Subscription Not Found","method":"unsubscribe","success":false,"symbol":"BTC/USD"}', (), False),
        (b'{"error":"Malformed request","success":false}', (), False),
    ],
    instruments=[
        (
            PAIRS,
            [
                Instrument(symbol="BTC/USD", instrument="BTC-USD", tick=D("0.1"), lot=D("0.00000001")),
                Instrument(symbol="EUR/USD", instrument="EUR-USD", tick=D("0.00001"), lot=D("0.00000001")),
            ],
        ),
        (b'{"channel":"instrument","type":"update","data":{"pairs":[]}}', []),
    ],
    stories=[
        Story(
            symbol="BTC/USD",
            opening=[acknowledged("subscribe", "BTC/USD"), BTC_SNAPSHOT],
            following=[
                # An eleventh level comes in front: the last one, 45299.5, is forgotten without a word.
                book("update", "BTC/USD", "", '{"price":45285.0,"qty":0.50000000}', 1494842978, "2026-08-02T03:35:51.4Z"),
                # One price twice, in order; and what comes into view when it goes.
                book("update", "BTC/USD", '{"price":45283.5,"qty":0.20000000}', '{"price":45285.0,"qty":0.40000000},{"price":45285.0,"qty":0.00000000},{"price":45298.0,"qty":1.00000000}', 3839298986, "2026-08-02T03:35:51.5Z"),
            ],
            stale=None,
            # The bid at 45284.0 that the venue counts in was lost.
            breaking=book("update", "BTC/USD", "", '{"price":45285.2,"qty":0.30000000}', 2504367287, "2026-08-02T03:35:51.6Z"),
            best=(("45283.5", "0.20000000"), ("45285.2", "0.00100000")),
        ),
        Story(
            symbol="ADA/USD",
            # No acknowledgement was heard: the snapshot's three levels fit into ten.
            opening=[ADA_SNAPSHOT],
            following=[book("update", "ADA/USD", '{"price":0.31400,"qty":0}', '{"price":0.31425,"qty":3.50000000}', 1209149997, "2026-08-02T03:35:51.4Z")],
            stale=None,
            breaking=book("update", "ADA/USD", '{"price":0.31410,"qty":8.00000000}', "", 4210506732, "2026-08-02T03:35:51.5Z"),
            best=(("0.31410", "7.25000000"), ("0.31420", "1500.00000000")),
        ),
    ],
    malformed=[
        b"", b"[]", b"null", b'{"channel":"book"}', b'{"channel":"book","type":"update","data":[]}',
        book("replace", "BTC/USD", "", "", 1, "2026-08-02T03:35:51.4Z"),
        book("update", "BTC/USD", '{"price":"1.0","qty":1}', "", 1, "2026-08-02T03:35:51.4Z"),
        book("update", "BTC/USD", '{"price":1e5,"qty":1}', "", 1, "2026-08-02T03:35:51.4Z"),
        book("update", "BTC/USD", '{"price":1.0,"qty":-1}', "", 1, "2026-08-02T03:35:51.4Z"),
        book("update", "BTC/USD", "", "", 2**32, "2026-08-02T03:35:51.4Z"),
        book("update", "BTC/USD", "", "", 1, "2026-08-02 03:35:51"),
        book("update", "BTC/USD", "", "", 1, "2026-13-02T03:35:51Z"),
        TRADE.replace(b'"side":"buy"', b'"side":"hold"'),
        TRADE.replace(b'"trade_id":771234', b'"trade_id":-1'),
        TICKER.replace(b'"bid":63999.7', b'"bid":null'),
        BARS.replace(b'"interval":1', b'"interval":0'),
    ],
    unknown=b'{"channel":"level3","type":"update","data":[{"symbol":"BTC/USD"}]}',
)  # fmt: skip
