"""Twelve Data: frames as documented, 2026-11; values invented."""
# ruff: noqa: E501 - frames stand as they come, on one line

from decimal import Decimal as D

from connectors.venue import Price
from tests.connectors.venues.card import Card

CARD = Card(
    market="twelve_data",
    symbols=[("EUR/USD", "EUR-USD"), ("BTC/USD", "BTC-USD"), ("USD/JPY", "USD-JPY")],
    subscribe=[b'{"action":"subscribe","params":{"symbols":"EUR/USD"}}'],
    url="/v1/quotes/price?apikey=planted-key-0123456789",
    golden=[
        (
            b'{"event":"price","symbol":"BTC/USD","currency_base":"Bitcoin","currency_quote":"US Dollar","exchange":"Coinbase Pro","type":"Digital Currency","timestamp":1795000000,"price":81230.1,"bid":81229.9,"ask":81230.2,"day_volume":1234}',
            [Price(symbol="BTC/USD", event_ns=1_795_000_000 * 10**9, price=D("81230.1"), bid=D("81229.9"), ask=D("81230.2"))],
        ),
        (
            b'{"event":"price","symbol":"EUR/USD","exchange":"PHYSICAL CURRENCY","type":"Physical Currency","timestamp":1795000001,"price":1.05104}',
            [Price(symbol="EUR/USD", event_ns=1_795_000_001 * 10**9, price=D("1.05104"))],
        ),
    ],
    silent=[
        b'{"event":"heartbeat","status":"ok"}',
        b'{"event":"subscribe-status","status":"ok","success":[{"symbol":"EUR/USD","exchange":"PHYSICAL CURRENCY","type":"Physical Currency"}],"fails":[]}',
        b'{"event":"subscribe-status","status":"ok","success":[{"symbol":"EUR/USD"}],"fails":null}',
    ],
    refusals=[
        (
            b'{"event":"subscribe-status","status":"ok","success":[{"symbol":"EUR/USD"}],"fails":[{"symbol":"NOPE/USD"},{"symbol":"AAPL"}]}',
            ("NOPE/USD", "AAPL"),
            False,
        ),
        (b'{"code":401,"message":"**apikey** parameter is incorrect or not specified.","status":"error"}', (), True),
    ],
    malformed=[
        b"", b"{", b"null", b'{"event":"price","symbol":"EUR/USD","timestamp":1795000000}',
        b'{"event":"price","symbol":"EUR/USD","timestamp":1795000000,"price":0}',
        b'{"event":"price","symbol":"EUR/USD","timestamp":1795000000,"price":-1.5}',
        b'{"event":"price","symbol":"EUR/USD","timestamp":-3,"price":1.5}',
    ],
    unknown=b'{"event":"brand-new","symbol":"EUR/USD"}',
    keyed=True,
)  # fmt: skip
