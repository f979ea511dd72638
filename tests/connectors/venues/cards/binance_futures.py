"""Binance USDT-M futures: frames as its generated client documents them, 2026-08-21; values invented."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import BestQuote, Depth, Instrument, Liquidation, MarkPrice, Ticker, Trade
from tests.connectors.venues.card import Card, Story


def wrapped(stream: str, data: str) -> bytes:
    return f'{{"stream":"{stream}","data":{data}}}'.encode()


def diff(first: int, last: int, previous: int, time_ms: int, bids: str, asks: str) -> bytes:
    data = f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms - 10},"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},"b":{bids},"a":{asks},"ps":"BTCUSDT","st":1}}'
    return wrapped("btcusdt@depth@100ms", data)


T = 1_795_000_000_000
MINI = '{"e":"24hrMiniTicker","E":1795000001000,"s":"BTCUSDT","c":"81234.50","o":"80000.00","h":"82000.00","l":"79500.10","v":"1200.5","q":"97000000.25","ps":"BTCUSDT","st":1}'
COIN_M = MINI.replace('"st":1', '"st":2').replace("BTCUSDT", "BTCUSD_PERP")

CARD = Card(
    market="binance_futures",
    symbols=[("BTCUSDT", "BTC-USDT-PERP"), ("ETHUSDC", "ETH-USDC-PERP"), ("BTCUSDT_250627", "BTC-USDT-20250627")],
    subscribe=(),
    url="/public/stream?streams=btcusdt@depth@100ms",
    golden=[
        (
            wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1795000000123,"s":"BTCUSDT","a":500001,"p":"81230.10","q":"0.012","nq":"0.010","f":1,"l":2,"T":1795000000100,"m":false,"st":1}'),
            [Trade(symbol="BTCUSDT", event_ns=(T + 100) * 10**6, trade_id=500001, price=D("81230.10"), size=D("0.012"), side="buy", aggregated=True)],
        ),
        (
            wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1795000000123,"s":"BTCUSDT","a":500002,"p":"81230.00","q":"0.5","nq":"0.5","f":3,"l":3,"T":1795000000101,"m":true,"st":1}'),
            [Trade(symbol="BTCUSDT", event_ns=(T + 101) * 10**6, trade_id=500002, price=D("81230.00"), size=D("0.5"), side="sell", aggregated=True)],
        ),
        (
            wrapped("btcusdt@markPrice@1s", '{"e":"markPriceUpdate","E":1795000001000,"s":"BTCUSDT","p":"81229.80000000","ap":"81228.1","i":"81231.20000000","P":"81230.0","r":"-0.00010000","T":1795017600000,"st":1}'),
            [MarkPrice(symbol="BTCUSDT", event_ns=(T + 1000) * 10**6, mark=D("81229.8"), index=D("81231.2"), funding_rate=D("-0.0001"), next_funding_ns=1_795_017_600 * 10**9)],
        ),
        (
            wrapped("!forceOrder@arr", '{"e":"forceOrder","E":1795000002010,"ps":"BTCUSDT","st":1,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"80900.00","ap":"81001.20","X":"FILLED","l":"0.014","z":"0.014","T":1795000002003}}'),
            # The closing order sells, so a long was liquidated.
            [Liquidation(symbol="BTCUSDT", event_ns=(T + 2003) * 10**6, liquidated_side="long", price=D("81001.20"), size=D("0.014"), complete=False)],
        ),
        (
            wrapped("btcusdt@bookTicker", '{"e":"bookTicker","u":900,"E":1795000000120,"T":1795000000118,"s":"BTCUSDT","ps":"BTCUSDT","b":"81230.0","B":"5.1","a":"81230.1","A":"2.2","st":1}'),
            [BestQuote(symbol="BTCUSDT", event_ns=(T + 120) * 10**6, bid=D("81230.0"), bid_size=D("5.1"), ask=D("81230.1"), ask_size=D("2.2"))],
        ),
        (
            # Since 2026-06-30 all-market streams mix in COIN-M, whose quantities are contracts: left out.
            wrapped("!miniTicker@arr", f"[{COIN_M},{MINI}]"),
            [Ticker(symbol="BTCUSDT", event_ns=(T + 1000) * 10**6, delta=False, last=D("81234.50"), open=D("80000.00"), high=D("82000.00"), low=D("79500.10"), volume=D("1200.5"), quote_volume=D("97000000.25"))],
        ),
        (
            diff(2001, 2040, 1998, T + 200, '[["81230.0","0"]]', '[["81230.5","1.2"]]'),
            [Depth(symbol="BTCUSDT", event_ns=(T + 200) * 10**6, first_id=2001, last_id=2040, previous_id=1998, bids=[(D("81230.0"), D(0))], asks=[(D("81230.5"), D("1.2"))], snapshot=False)],
        ),
    ],
    silent=[b'{"result":null,"id":1}', wrapped("!contractInfo", '{"e":"contractInfo","E":1795000000123,"s":"BTCUSDT","st":1}')],
    instruments=[
        (
            b'{"timezone":"UTC","symbols":[{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}',
            [Instrument(symbol="BTCUSDT", instrument="BTC-USDT-PERP", tick=D("0.1"), lot=D("0.001"))],
        )
    ],
    stories=[
        Story(
            symbol="BTCUSDT",
            opening=[
                diff(90, 99, 80, T, '[["100.0","9"]]', "[]"),
                diff(101, 110, 99, T + 100, '[["99.0","4"]]', '[["102.0","0"]]'),
            ],
            rest_snapshot=b'{"lastUpdateId":105,"E":1795000000090,"T":1795000000080,"bids":[["100.0","1"],["99.0","2"]],"asks":[["101.0","3"],["102.0","1"]]}',
            following=[
                # U is not the u before plus one: `pu` is what counts.
                diff(115, 120, 110, T + 200, '[["100.0","0.000"]]', "[]"),
                diff(121, 130, 120, T + 300, "[]", '[["101.0","2.5"],["100.5","0.25"]]'),
            ],
            stale=diff(101, 110, 99, T + 300, '[["100.4","7"]]', "[]"),
            # U follows, and yet something is missing.
            breaking=diff(131, 140, 125, T + 400, '[["99.5","5"]]', "[]"),
            best=(("99.0", "4"), ("100.5", "0.25")),
        )
    ],
    malformed=[
        b"", b"[", b"null", b'{"stream":"btcusdt@aggTrade"}',
        wrapped("btcusdt@aggTrade", '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":-1,"p":"1","q":"1","T":1,"m":true}'),
        wrapped("btcusdt@forceOrder", '{"e":"forceOrder","E":1,"o":{"s":"BTCUSDT","S":"HOLD","q":"1","p":"1","T":1}}'),
        diff(1, 2, 0, T, '[["1"]]', "[]"),
    ],
    unknown=wrapped("btcusdt@brandNew", '{"e":"brandNew","E":1795000000123,"s":"BTCUSDT"}'),
)  # fmt: skip
