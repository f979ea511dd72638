"""Massive forex: examples after .massive/websocket.json, 2026-07-09; values invented."""

from decimal import Decimal as D

from connectors.venue import Bar, Price
from tests.connectors.venues.card import Card

C = b'{"ev":"C","p":"EUR/USD","x":48,"a":1.05106,"b":1.05104,"t":1795000000123}'
CA = (
    b'{"ev":"CA","pair":"EUR/USD","o":1.051,"c":1.0512,"h":1.0513,"l":1.0509,"v":35,"s":1795000020000,'
    b'"e":1795000080000}'
)
EUR = Price(
    symbol="EUR-USD",
    event_ns=1_795_000_000_123 * 10**6,
    price=D("1.05105"),
    bid=D("1.05104"),
    ask=D("1.05106"),
)

CARD = Card(
    market="massive_forex",
    symbols=[("EUR-USD", "EUR-USD"), ("GBP-USD", "GBP-USD"), ("USD-JPY", "USD-JPY")],
    subscribe=[b'{"action":"subscribe","params":"C.EUR-USD,CA.EUR-USD"}'],
    url="/forex",
    golden=[
        (b"[%s]" % C, [EUR]),
        (
            b"[%s]" % CA,
            [
                # Its `v` counts quotes: no volume is told.
                Bar(
                    symbol="EUR-USD", interval_s=60, open_ns=1_795_000_020 * 10**9, open=D("1.051"), high=D("1.0513"),
                    low=D("1.0509"), close=D("1.0512"), volume=None, quote_volume=None, buy_volume=None, trades=None,
                    closed=True,
                )
            ],
        ),
    ],
    silent=[b'[{"ev":"status","status":"connected","message":"Connected Successfully"}]', b"[]"],
    refusals=[
        (b'[{"ev":"status","status":"auth_failed","message":"authentication failed"}]', (), True),
        (b'[{"ev":"status","status":"not_authorized","message":"your plan ..."}]', (), True),
    ],
    malformed=[
        b"", b"{}", b"[", b'[{"ev":"C","p":"EUR/USD"}]', b"[%s]" % C.replace(b"1.05106", b"0"),
        b"[%s]" % C.replace(b"1795000000123", b"-1"),
    ],
    unknown=b'[{"ev":"NEW","p":"EUR/USD"}]',
    keyed=True,
)  # fmt: skip
