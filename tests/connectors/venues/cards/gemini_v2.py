"""Gemini's archived market data: frames as recorded in August 2026 and April 2021, shortened."""

from decimal import Decimal as D

from connectors.venue import Depth, Trade
from tests.connectors.venues.card import Card, Story
from tests.connectors.venues.cards.gemini import INSTRUMENTS, SYMBOLS

# Keys by the alphabet: the first `type` is that of a trade long past.
WHOLE = (
    b'{"auction_events":[],"changes":[["buy","65206.28","0.05292903"],["buy","65206.27","0.08"],'
    b'["sell","65217.88","0.04025376"],["sell","65221.71","0.16101506"]],"symbol":"BTCUSD","trades":['
    b'{"event_id":1764551741678015,"price":"65154.0","quantity":"0.00007674","side":"buy","symbol":"BTCUSD",'
    b'"tid":2840141017903864,"timestamp":1786312679921,"type":"trade"}],"type":"l2_updates"}'
)
REMOVED = b'{"changes":[["sell","65217.88","0.0"]],"symbol":"BTCUSD","type":"l2_updates"}'
CHANGED = (
    b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","65206.28","0"],["buy","65205.5","0.04026578"],'
    b'["sell","65216.6","0.04025376"]]}'
)
BOUGHT = (
    b'{"event_id":1764551741926942,"price":"65206.29","quantity":"0.00007667","side":"buy","symbol":"BTCUSD",'
    b'"tid":2840141017904555,"timestamp":1786313194672,"type":"trade"}'
)
SOLD_2021 = (
    b'{"type":"trade","symbol":"LTCUSD","event_id":34359593909,"timestamp":1618677929814,'
    b'"price":"315.19","quantity":"1.57","side":"sell"}'
)
WHOLE_2021 = (
    b'{"type":"l2_updates","symbol":"LTCUSD","changes":[["buy","314.77","1.57"]],"trades":['
    b'{"type":"trade","symbol":"LTCUSD","eventid":34359593909,"timestamp":1618677929814,"price":"315.19",'
    b'"quantity":"1.57","side":"sell"}],"auction_events":[{"type":"auction_result","symbol":"LTCUSD",'
    b'"time_ms":1618603200000,"result":"failure","highest_bid_price":"311.89"}]}'
)


def depth(symbol: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], snapshot: bool) -> Depth:
    sides = [[(D(price), D(size)) for price, size in side] for side in (bids, asks)]
    return Depth(
        symbol=symbol, event_ns=None, first_id=-1, last_id=-1, previous_id=None, bids=sides[0], asks=sides[1],
        snapshot=snapshot,
    )  # fmt: skip


LTC = Trade(
    symbol="LTCUSD",
    event_ns=1618677929814 * 10**6,
    trade_id=34359593909,
    price=D("315.19"),
    size=D("1.57"),
    side="sell",
)
BTC = Trade(
    symbol="BTCUSD",
    event_ns=1786312679921 * 10**6,
    trade_id=2840141017903864,
    price=D(65154),
    size=D("0.00007674"),
    side="buy",
)

CARD = Card(
    market="gemini_v2",
    symbols=SYMBOLS,
    subscribe=[b'{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}'],
    url="/v2/marketdata",
    golden=[
        (
            WHOLE,
            [
                depth(
                    "BTCUSD",
                    [("65206.28", "0.05292903"), ("65206.27", "0.08")],
                    [("65217.88", "0.04025376"), ("65221.71", "0.16101506")],
                    snapshot=True,
                ),
                BTC,
            ],
        ),
        (REMOVED, [depth("BTCUSD", [], [("65217.88", "0")], snapshot=False)]),
        (
            CHANGED,
            [
                depth(
                    "BTCUSD",
                    [("65206.28", "0"), ("65205.5", "0.04026578")],
                    [("65216.6", "0.04025376")],
                    snapshot=False,
                )
            ],
        ),
        (
            BOUGHT,
            [
                Trade(
                    symbol="BTCUSD",
                    event_ns=1786313194672 * 10**6,
                    trade_id=2840141017904555,
                    price=D("65206.29"),
                    size=D("0.00007667"),
                    side="buy",
                )
            ],
        ),
        (SOLD_2021, [LTC]),
        (WHOLE_2021, [depth("LTCUSD", [("314.77", "1.57")], [], snapshot=True), LTC]),
    ],
    silent=[
        b'{"timestamp":1786313195331,"type":"heartbeat"}',
        b'{"type":"heartbeat","timestamp":1618677942928}',
        b'{"type":"candles_1m_updates","symbol":"BTCUSD","changes":[[1786313160000,65206.2,65206.3,65206.2,65206.3,1]]}',
        b'{"changes":[{"mark_price":"77233.302","timestamp":1789456071687541147}],"symbol":"BTCGUSDPERP","type":'
        b'"mark_price_updates"}',
        b'{"type":"auction_indicative","symbol":"BTCUSD","time_ms":1618657200000,"result":"failure"}',
    ],
    refusals=[(b'{"reason":"NoValidTradingPairs","result":"error"}', (), False)],
    instruments=INSTRUMENTS,
    stories=[
        Story(
            symbol="BTCUSD",
            opening=[WHOLE],
            following=[REMOVED, CHANGED],
            stale=None,
            breaking=None,
            best=(("65206.27", "0.08"), ("65216.6", "0.04025376")),
        )
    ],
    malformed=[
        b"", b"{", b"[]",
        CHANGED.replace(b'"buy"', b'"bid"'),
        CHANGED.replace(b'"65205.5"', b"65205.5"),
        CHANGED.replace(b'"65205.5"', b'"6.5e4"'),
        CHANGED.replace(b'"symbol":"BTCUSD",', b""),
        BOUGHT.replace(b"1786313194672", b'"1786313194672"'),
        BOUGHT.replace(b"1786313194672", b"1786313194672000000"),
        BOUGHT.replace(b'"tid":2840141017904555,', b"").replace(b'"event_id":1764551741926942,', b""),
        BOUGHT.replace(b'"buy"', b'"auction"'),
    ],
    unknown=b'{"type":"brand_new","symbol":"BTCUSD"}',
)  # fmt: skip
