"""Finnhub: frames of its documentation and transcribed ones; ids are hashes of what a print says."""

from decimal import Decimal as D
from hashlib import blake2b

from connectors.venue import Price, Trade
from tests.connectors.venues.card import Card

TWO = (
    b'{"data":[{"c":["1"],"p":75008.34,"s":"BINANCE:BTCUSDT","t":1776315883083,"v":0.00042},'
    b'{"c":null,"p":75008.34,"s":"BINANCE:BTCUSDT","t":1776315883083,"v":0.00042}],"type":"trade"}'
)


def trade(time_ms: int, price: str, size: str, equals: int) -> Trade:
    told = f"BINANCE:BTCUSDT {time_ms} {price} {size} {equals}"
    trade_id = int.from_bytes(blake2b(told.encode(), digest_size=8).digest())
    return Trade(
        symbol="BINANCE:BTCUSDT", event_ns=time_ms * 10**6, trade_id=trade_id, price=D(price), size=D(size),
        side="unknown",
    )  # fmt: skip


CARD = Card(
    market="finnhub",
    symbols=[("BINANCE:BTCUSDT", "BTC-USDT"), ("OANDA:EUR_USD", "EUR-USD"), ("COINBASE:ETH-USD", "ETH-USD")],
    subscribe=[b'{"type":"subscribe","symbol":"BINANCE:BTCUSDT"}'],
    url="/?token=planted-key-0123456789",
    golden=[
        (
            TWO,
            [
                trade(1776315883083, "75008.34", "0.00042", 0),
                trade(1776315883083, "75008.34", "0.00042", 1),
            ],
        ),
        (
            b'{"data":[{"p":1.05104,"s":"OANDA:EUR_USD","t":1795000000123,"v":0}],"type":"trade"}',
            [Price(symbol="OANDA:EUR_USD", event_ns=1_795_000_000_123 * 10**6, price=D("1.05104"))],
        ),
    ],
    silent=[b'{"type":"ping"}'],
    refusals=[
        (b'{"msg":"Invalid API key","type":"error"}', (), True),
        (b'{"msg":"Subscribing to too many symbols","type":"error"}', (), False),
    ],
    malformed=[
        b"", b"{", b"[]", b'{"type":"trade"}', b'{"data":[{"p":1,"s":"X:Y","t":-1,"v":0}],"type":"trade"}',
        b'{"data":[{"p":0,"s":"X:Y","t":1795000000123,"v":1}],"type":"trade"}',
        b'{"data":[{"p":"NaN","s":"X:Y","t":1795000000123,"v":1}],"type":"trade"}',
    ],
    unknown=b'{"type":"brand-new","data":[]}',
    keyed=True,
)  # fmt: skip
