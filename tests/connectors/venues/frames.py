"""Binance frames as documented, values invented."""
# ruff: noqa: E501 - frames stand as they come, on one line

from typing import Any

AGG_TRADE = b'{"e":"aggTrade","E":1795000000123,"s":"BTCUSDT","a":900001,"p":"81234.56000000","q":"0.01200000","f":700001,"l":700003,"T":1795000000120,"m":true,"M":true}'
TRADE = b'{"e":"trade","E":1795000000123,"s":"BTCUSDT","t":700001,"p":"81234.56000000","q":"0.00400000","T":1795000000120,"m":false,"M":true}'
KLINE = b'{"e":"kline","E":1795000002000,"s":"BTCUSDT","k":{"t":1794999960000,"T":1795000019999,"s":"BTCUSDT","i":"1m","f":1,"L":9,"o":"81200.00","c":"81234.56","h":"81240.00","l":"81190.00","v":"12.3","n":9,"x":false,"q":"999000.1","V":"6.1","Q":"495000.0","B":"0"}}'
QUOTE = b'{"u":40000001,"s":"BTCUSDT","b":"81234.55","B":"1.20","a":"81234.56","A":"0.75"}'
DEPTH = b'{"e":"depthUpdate","E":1795000000200,"s":"BTCUSDT","U":1001,"u":1004,"b":[["81234.55","0.00000000"]],"a":[["81234.90","2.50000000"]]}'
SNAPSHOT = (
    b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
)
F_AGG_TRADE = b'{"e":"aggTrade","E":1795000000123,"s":"BTCUSDT","a":500001,"p":"81230.10","q":"0.012","nq":"0.010","f":1,"l":2,"T":1795000000100,"m":false,"st":1}'
F_TRADE = b'{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}'
F_MARK = b'{"e":"markPriceUpdate","E":1795000001000,"s":"BTCUSDT","p":"81229.80000000","ap":"81228.1","i":"81231.20000000","P":"81230.0","r":"-0.00010000","T":1795017600000,"st":1}'
F_FORCE = b'{"e":"forceOrder","E":1795000002010,"ps":"BTCUSDT","st":1,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"80900.00","ap":"81001.20","X":"FILLED","l":"0.014","z":"0.014","T":1795000002003}}'
F_QUOTE = b'{"e":"bookTicker","u":900,"E":1795000000120,"T":1795000000118,"s":"BTCUSDT","ps":"BTCUSDT","b":"81230.0","B":"5.1","a":"81230.1","A":"2.2","st":1}'
F_DEPTH = b'{"e":"depthUpdate","E":1795000000200,"T":1795000000190,"s":"BTCUSDT","U":2001,"u":2040,"pu":1998,"b":[["81230.0","0"]],"a":[["81230.5","1.2"]],"ps":"BTCUSDT","st":1}'
F_SNAPSHOT = b'{"lastUpdateId":2010,"E":1795000000199,"T":1795000000190,"bids":[["81230.0","3"]],"asks":[]}'

SPOT_FRAMES = [AGG_TRADE, TRADE, KLINE, QUOTE, DEPTH, SNAPSHOT]
FUTURES_FRAMES = [F_AGG_TRADE, F_TRADE, KLINE, F_MARK, F_FORCE, F_QUOTE, F_DEPTH, F_SNAPSHOT]


def wrapped(stream: str, data: bytes) -> bytes:
    return b'{"stream":"%s","data":%s}' % (stream.encode(), data)


INFO: dict[str, Any] = {
    "timezone": "UTC",
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "contractType": "PERPETUAL",
            "filters": [
                {"filterType": "LOT_SIZE", "stepSize": "0.00100000", "minQty": "1"},
                {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.00000000"},
                {"filterType": "PRICE_FILTER", "tickSize": "10.00"},
                {"filterType": "NEW_RULE", "limit": {"deep": 1}},
            ],
        }
    ],
}
