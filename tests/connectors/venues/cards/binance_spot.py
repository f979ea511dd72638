"""Binance spot: frames as documented in web-socket-streams.md and rest-api.md, 2026-07-21; values invented."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import Bar, BestQuote, Depth, Instrument, Ticker, Trade
from tests.connectors.venues.card import Card, Story


def wrapped(stream: str, data: str) -> bytes:
    return f'{{"stream":"{stream}","data":{data}}}'.encode()


def diff(first: int, last: int, time_ms: int, bids: str, asks: str) -> bytes:
    data = f'{{"e":"depthUpdate","E":{time_ms},"s":"BTCUSDT","U":{first},"u":{last},"b":{bids},"a":{asks}}}'
    return wrapped("btcusdt@depth@100ms", data)


T = 1_795_000_000_000
MINI = '{"e":"24hrMiniTicker","E":1795000001000,"s":"BTCUSDT","c":"81234.56","o":"80000.00","h":"82000.00","l":"79500.10","v":"1200.5","q":"97000000.25"}'
MINI_TICKER = Ticker(
    symbol="BTCUSDT", event_ns=(T + 1000) * 10**6, delta=False, last=D("81234.56"), open=D("80000.00"),
    high=D("82000.00"), low=D("79500.10"), volume=D("1200.5"), quote_volume=D("97000000.25"),
)  # fmt: skip

CARD = Card(
    market="binance_spot",
    symbols=[("BTCUSDT", "BTC-USDT"), ("ETHBTC", "ETH-BTC"), ("BTCFDUSD", "BTC-FDUSD"), ("EURUSDT", "EUR-USDT")],
    subscribe=(),
    url="/stream?streams=btcusdt@depth@100ms/btcusdt@aggTrade/btcusdt@kline_1m",
    golden=[
        (
            wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1795000000123,"s":"BTCUSDT","a":900001,"p":"81234.56000000","q":"0.01200000","f":700001,"l":700003,"T":1795000000120,"m":true,"M":true}'),
            [Trade(symbol="BTCUSDT", event_ns=(T + 120) * 10**6, trade_id=900001, price=D("81234.56"), size=D("0.012"), side="sell", aggregated=True)],
        ),
        (
            wrapped("btcusdt@trade", '{"e":"trade","E":1795000000123,"s":"BTCUSDT","t":700001,"p":"81234.56000000","q":"0.00400000","T":1795000000120,"m":false,"M":true}'),
            [Trade(symbol="BTCUSDT", event_ns=(T + 120) * 10**6, trade_id=700001, price=D("81234.56"), size=D("0.004"), side="buy")],
        ),
        (
            wrapped("btcusdt@kline_1m", '{"e":"kline","E":1795000002000,"s":"BTCUSDT","k":{"t":1794999960000,"T":1795000019999,"s":"BTCUSDT","i":"1m","f":1,"L":9,"o":"81200.00","c":"81234.56","h":"81240.00","l":"81190.00","v":"12.3","n":9,"x":false,"q":"999000.1","V":"6.1","Q":"495000.0","B":"0"}}'),
            [Bar(symbol="BTCUSDT", interval_s=60, open_ns=1_794_999_960 * 10**9, open=D("81200"), high=D("81240"), low=D("81190"), close=D("81234.56"), volume=D("12.3"), quote_volume=D("999000.1"), buy_volume=D("6.1"), trades=9, closed=False)],
        ),
        (
            wrapped("btcusdt@bookTicker", '{"u":40000001,"s":"BTCUSDT","b":"81234.55","B":"1.20","a":"81234.56","A":"0.75"}'),
            [BestQuote(symbol="BTCUSDT", event_ns=None, bid=D("81234.55"), bid_size=D("1.20"), ask=D("81234.56"), ask_size=D("0.75"))],
        ),
        (wrapped("btcusdt@miniTicker", MINI), [MINI_TICKER]),
        (wrapped("!miniTicker@arr", f"[{MINI}]"), [MINI_TICKER]),
        (
            diff(1001, 1004, T + 200, '[["81234.55","0.00000000"]]', '[["81234.90","2.50000000"]]'),
            [Depth(symbol="BTCUSDT", event_ns=(T + 200) * 10**6, first_id=1001, last_id=1004, previous_id=None, bids=[(D("81234.55"), D(0))], asks=[(D("81234.90"), D("2.5"))], snapshot=False)],
        ),
    ],
    silent=[b'{"result":null,"id":1}', wrapped("!serverShutdown", '{"e":"serverShutdown","E":1795000000123}')],
    instruments=[
        (
            b'{"timezone":"UTC","serverTime":1795000000000,"rateLimits":[],"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","minPrice":"0.01000000","tickSize":"0.01000000"},{"filterType":"LOT_SIZE","stepSize":"0.00001000"}]}]}',
            [Instrument(symbol="BTCUSDT", instrument="BTC-USDT", tick=D("0.01"), lot=D("0.00001"))],
        )
    ],
    stories=[
        Story(
            symbol="BTCUSDT",
            # The second message reaches over the snapshot: U <= lastUpdateId + 1 <= u.
            opening=[
                diff(95, 100, T, '[["100.00","9"]]', "[]"),
                diff(101, 104, T + 100, '[["99.00","4"]]', '[["102.00","0"]]'),
            ],
            rest_snapshot=b'{"lastUpdateId":102,"bids":[["100.00","1.00"],["99.00","2.00"]],"asks":[["101.00","3.00"],["102.00","1.00"]]}',
            following=[
                diff(105, 105, T + 200, '[["100.00","0.00000000"]]', "[]"),
                diff(106, 109, T + 300, "[]", '[["101.00","2.50"],["100.50","0.25"]]'),
            ],
            stale=diff(101, 104, T + 300, '[["100.40","7"]]', "[]"),
            breaking=diff(111, 112, T + 400, '[["99.50","5"]]', "[]"),
            best=(("99.00", "4"), ("100.50", "0.25")),
        )
    ],
    malformed=[
        b"", b"{", b"null", b'{"stream":"btcusdt@aggTrade"}',
        wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"-1","q":"1","T":1,"m":true}'),
        wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"1e5","q":"1","T":1,"m":true}'),
        diff(1, 2, T, '[["1"]]', "[]"), diff(1, 2, T, '[[1,2]]', "[]"),
    ],
    unknown=wrapped("btcusdt@brandNew", '{"e":"brandNew","E":1795000000123,"s":"BTCUSDT"}'),
)  # fmt: skip
