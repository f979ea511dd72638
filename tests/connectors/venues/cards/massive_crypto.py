"""Massive crypto: examples of .massive/websocket.json, 2026-07-09; ids are worked out from exchange and id."""

from decimal import Decimal as D
from hashlib import blake2b

from connectors.venue import Bar, BestQuote, Trade
from tests.connectors.venues.card import Card


def trade_id(exchange: int, number: int) -> int:
    return int.from_bytes(blake2b(f"{exchange} {number}".encode(), digest_size=8).digest())


XT = (
    b'{"ev":"XT","pair":"BTC-USD","p":33021.9,"t":1610462007425,"s":0.01616617,"c":[2],"i":14272084,"x":3,'
    b'"r":1610462007576}'
)
XT_SOLD = XT.replace(b"[2]", b"[1]").replace(b"14272084", b'"14272085"').replace(b"BTC-USD", b"BTC/USD")
XQ = b'{"ev":"XQ","pair":"BTC-USD","bp":33052.79,"bs":0.48,"ap":33073.19,"as":0.601,"t":1610462411115,"x":1}'
XA = (
    b'{"ev":"XA","pair":"BCD-USD","v":951.6112,"vw":0.7756,"z":73,"o":0.772,"c":0.784,"h":0.784,"l":0.771,'
    b'"s":1610463240000,"e":1610463300000}'
)


def trade(side: str, number: int) -> Trade:
    return Trade(
        symbol="BTC-USD", event_ns=1_610_462_007_425 * 10**6, trade_id=trade_id(3, number), price=D("33021.9"),
        size=D("0.01616617"), side=side,
    )  # fmt: skip


CARD = Card(
    market="massive_crypto",
    symbols=[("BTC-USD", "BTC-USD"), ("ETH-USD", "ETH-USD"), ("SOL-USD", "SOL-USD")],
    subscribe=[b'{"action":"subscribe","params":"XT.BTC-USD,XA.BTC-USD"}'],
    url="/crypto",
    golden=[
        (b"[%s]" % XT, [trade("buy", 14272084)]),
        (b"[%s,%s]" % (XT, XT_SOLD), [trade("buy", 14272084), trade("sell", 14272085)]),
        (
            b"[%s]" % XQ,
            [
                BestQuote(
                    symbol="BTC-USD", event_ns=1_610_462_411_115 * 10**6, bid=D("33052.79"), bid_size=D("0.48"),
                    ask=D("33073.19"), ask_size=D("0.601"),
                )
            ],
        ),
        (
            b"[%s]" % XA,
            [
                Bar(
                    symbol="BCD-USD", interval_s=60, open_ns=1_610_463_240 * 10**9, open=D("0.772"), high=D("0.784"),
                    low=D("0.771"), close=D("0.784"), volume=D("951.6112"), quote_volume=D("951.6112") * D("0.7756"),
                    buy_volume=None, trades=None, closed=True,
                )
            ],
        ),
    ],
    silent=[
        b'[{"ev":"status","status":"connected","message":"Connected Successfully"}]',
        b'[{"ev":"status","status":"auth_success","message":"authenticated"}]',
        b'[{"ev":"status","status":"success","message":"subscribed to: XT.BTC-USD"}]',
    ],
    refusals=[
        (b'[{"ev":"status","status":"auth_failed","message":"authentication failed"}]', (), True),
        (b'[{"ev":"status","status":"error","message":"invalid subscription"}]', (), False),
    ],
    malformed=[
        b"", b"{}", b"[", b'[{"ev":"XT","pair":"BTC-USD"}]', b"[%s]" % XT.replace(b"33021.9", b"-1"),
        b"[%s]" % XT.replace(b"BTC-USD", b"BTCUSD"), b"[%s]" % XA.replace(b"1610463300000", b"1610463240000"),
    ],
    unknown=b'[{"ev":"NEW","pair":"BTC-USD"}]',
    keyed=True,
)  # fmt: skip
