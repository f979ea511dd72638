"""Gemini: frames as documented, values invented; instruments as recorded in August 2026."""

from decimal import Decimal as D

from connectors.venue import BestQuote, Depth, Instrument, Trade
from tests.connectors.venues.card import Card, Story

WHOLE = (
    b'{"e":"depthUpdate","E":1795000000123456789,"s":"btcusd","U":1764527605191349,"u":1764527605191349,'
    b'"b":[["81230.10","0.50000000"],["81229.00","1.25000000"]],'
    b'"a":[["81231.00","0.45000000"],["81240.00","3.00000000"]]}'
)
# Ids are those of all symbols: they skip.
CHANGED = (
    b'{"e":"depthUpdate","E":1795000000223456789,"s":"btcusd","U":1764527605191349,"u":1764527605191360,'
    b'"b":[["81230.10","0.00000000"]],"a":[["81230.50","0.20000000"]]}'
)
THEN = (
    b'{"e":"depthUpdate","E":1795000000323456789,"s":"btcusd","U":1764527605191360,"u":1764527605191361,'
    b'"b":[["81229.50","2.00000000"]],"a":[]}'
)
LATER = (
    b'{"e":"depthUpdate","E":1795000000423456789,"s":"btcusd","U":1764527605191350,"u":1764527605191361,'
    b'"b":[["81229.50","2.00000000"]],"a":[]}'
)
PARTIAL = b'{"lastUpdateId":12345678,"symbol":"ethusd","bids":[["2482.5500","1.047"]],"asks":[["2483.5000","0.500"]]}'
BOUGHT = (
    b'{"E":1795000000123456789,"s":"btcusd","t":2840141017904555,"p":"81231.00","q":"0.01000000","m":false}'
)
SOLD = b'{"E":1795000000123456790,"s":"btcusd","t":2840141017904557,"p":"81230.10","q":"0.00007592","m":true}'
QUOTE = (
    b'{"u":1751505576085,"E":1795000000123456789,"s":"btcusd",'
    b'"b":"81230.10","B":"1.25000000","a":"81231.00","A":"0.75000000"}'
)
ETH = (
    b'{"symbol":"ETHUSD","quote_currency":"USD","tick_size":0.000001,"quote_increment":0.01,"min_order_size":"0.001",'
    b'"status":"open","wrap_enabled":false,"product_type":"spot","contract_type":"vanilla",'
    b'"contract_price_currency":"USD","base_currency":"ETH"}'
)
ETH_PERPETUAL = (
    b'{"symbol":"ETHUSDCPERP","quote_currency":"USDC","tick_size":0.001,"quote_increment":0.05,"min_order_size":'
    b'"0.001","status":"open","wrap_enabled":false,"product_type":"swap","contract_type":"linear",'
    b'"contract_price_currency":"GUSD","base_currency":"ETH"}'
)
INSTRUMENTS = [
    (ETH, [Instrument(symbol="ETHUSD", instrument="ETH-USD", tick=D("0.01"), lot=D("0.000001"))]),
    (
        ETH_PERPETUAL,
        [Instrument(symbol="ETHUSDCPERP", instrument="ETH-USDC-PERP", tick=D("0.05"), lot=D("0.001"))],
    ),
]
SYMBOLS = [
    ("BTCUSD", "BTC-USD"), ("SOLUSD", "SOL-USD"), ("BTCGUSD", "BTC-GUSD"), ("PAXGUSD", "PAXG-USD"),
    ("BTCUSDCPERP", "BTC-USDC-PERP"), ("EURUSD", "EUR-USD"), ("ETHBTC", "ETH-BTC"),
]  # fmt: skip


def trade(at_ns: int, trade_id: int, price: str, size: str, side: str) -> Trade:
    return Trade(symbol="BTCUSD", event_ns=at_ns, trade_id=trade_id, price=D(price), size=D(size), side=side)


CARD = Card(
    market="gemini",
    symbols=SYMBOLS,
    subscribe=[
        b'{"id":"subscribeBTCUSD","method":"subscribe","params":["btcusd@depth@100ms","btcusd@trade"]}'
    ],
    url="/?snapshot=-1",
    golden=[
        (
            WHOLE,
            [
                Depth(
                    symbol="BTCUSD",
                    event_ns=1795000000123456789,
                    first_id=1764527605191349,
                    last_id=1764527605191349,
                    previous_id=None,
                    bids=[(D("81230.10"), D("0.5")), (D("81229"), D("1.25"))],
                    asks=[(D("81231"), D("0.45")), (D("81240"), D(3))],
                    snapshot=True,
                )
            ],
        ),
        (
            CHANGED,
            [
                Depth(
                    symbol="BTCUSD",
                    event_ns=1795000000223456789,
                    first_id=1764527605191349,
                    last_id=1764527605191360,
                    previous_id=None,
                    bids=[(D("81230.10"), D(0))],
                    asks=[(D("81230.50"), D("0.2"))],
                    snapshot=False,
                )
            ],
        ),
        (
            PARTIAL,
            [
                Depth(
                    symbol="ETHUSD",
                    event_ns=None,
                    first_id=12345678,
                    last_id=12345678,
                    previous_id=None,
                    bids=[(D("2482.55"), D("1.047"))],
                    asks=[(D("2483.5"), D("0.5"))],
                    snapshot=True,
                )
            ],
        ),
        (BOUGHT, [trade(1795000000123456789, 2840141017904555, "81231", "0.01", "buy")]),
        (SOLD, [trade(1795000000123456790, 2840141017904557, "81230.1", "0.00007592", "sell")]),
        (
            QUOTE,
            [
                BestQuote(
                    symbol="BTCUSD",
                    event_ns=1795000000123456789,
                    bid=D("81230.1"),
                    bid_size=D("1.25"),
                    ask=D("81231"),
                    ask_size=D("0.75"),
                )
            ],
        ),
    ],
    silent=[
        b'{"id":"subscribeBTCUSD","status":200}',
        b'{"id":"ping","status":200,"result":{}}',
        b'{"id":1,"status":200,"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","limit":7000}]}',
        b'{"e":"markPrice","E":1795000000123456789,"s":"btcgusdperp","p":"77303.727","i":"7725880.833"}',
    ],
    refusals=[
        (
            b'{"id":"subscribeBTCUSDX","status":400,"error":{"code":-1013,"msg":"Invalid stream name: btcusdx@trade"}}',
            ("BTCUSDX",),
            False,
        ),
        (
            b'{"id":"subscribeBTCUSD","status":429,"error":{"code":-1003,"msg":"Too many requests"}}',
            (),
            False,
        ),
        (b'{"id":"ping","status":400,"error":{"code":-1020,"msg":"Unsupported operation"}}', (), False),
        (
            b'{"id":"unsubscribeBTCUSD","status":400,"error":{"code":-1013,"msg":"Invalid stream name"}}',
            (),
            False,
        ),
        (b'{"id":"1","status":401,"error":{"code":-1002,"msg":"Authentication required"}}', (), True),
    ],
    instruments=INSTRUMENTS,
    stories=[
        Story(
            symbol="BTCUSD",
            opening=[WHOLE],
            following=[CHANGED, THEN],
            stale=LATER,
            breaking=THEN,
            best=(("81229.50", "2.00000000"), ("81230.50", "0.20000000")),
        )
    ],
    malformed=[
        b"", b"{", b"[]", b"null",
        CHANGED.replace(b'"E":1795000000223456789', b'"E":1795000000223'),
        CHANGED.replace(b'"E":1795000000223456789', b'"E":1.795e18'),
        CHANGED.replace(b'"U":1764527605191349', b'"U":1764527605191361'),
        CHANGED.replace(b'"U":1764527605191349,', b""),
        CHANGED.replace(b'"a":[["81230.50","0.20000000"]]', b'"a":[["81230.50"]]'),
        CHANGED.replace(b'"81230.50"', b"81230.50"),
        CHANGED.replace(b'"81230.50"', b'"-81230.50"'),
        CHANGED.replace(b"depthUpdate", b"depthDowndate"),
        BOUGHT.replace(b'"m":false', b'"m":"false"'),
        BOUGHT.replace(b'"q":"0.01000000"', b'"q":"0.00000000"'),
        PARTIAL.replace(b"bids", b"bidz"),
    ],
)  # fmt: skip
