"""Binance USDT-margined futures: public market streams, REST book snapshots and liquidations, parsed.

Sources: developers.binance.com, USDS-margined futures, and its generated client
github.com/binance/binance-connector-python, clients/derivatives_trading_usds_futures, 2026-08-21. What it has
in common with spot comes from `binance_spot`.

A bare partial book (`depth20`) or RPI book (`rpiDepth`) has event type depthUpdate and cannot be told from a
change of the book: use the envelope, whose channel names it.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from connectors.book_sync import Rule
from connectors.venue import (
    BookWire,
    Liquidation,
    Live,
    Market,
    MarkPrice,
    ParseError,
    Request,
    Route,
    Shape,
    Stream,
    Trade,
)
from connectors.venues import binance_spot as spot
from connectors.venues.binance_spot import (
    COIN_M,
    Amount,
    Id,
    Message,
    Messages,
    Positive,
    Symbol,
    SymbolInfo,
    ns_of,
)

ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        **spot.ROUTES,
        **dict.fromkeys(("markPrice", "!markPrice", "markPriceUpdate"), Route.DERIVATIVE),
        **dict.fromkeys(("forceOrder", "!forceOrder"), Route.DERIVATIVE),
        **spot.other("!bookTicker rpiDepth"),
        **spot.other("continuousKline continuous contractInfo !contractInfo compositeIndex"),
        **spot.other("assetIndex !assetIndex assetIndexUpdate tradingSession EquityUpdate CommodityUpdate"),
        # KR_EquityUpdate, HK_EquityUpdate, CN_EquityUpdate
        **spot.other("KR HK CN"),
    }
)

# Empty where a contract has no funding.
_Rate = Annotated[str, Meta(pattern=r"\A(-?[0-9]+(\.[0-9]+)?)?\Z", max_length=28)]


class TradeMessage(spot.TradeMessage, kw_only=True, tag_field="e", tag="trade"):
    """One fill. The raw trade stream of the futures is not documented; recordings have it."""

    # Zero where X is NA.
    p: Amount
    q: Amount
    X: str = "MARKET"

    def event(self) -> Trade | None:
        """The trade; None for insurance fund and ADL fills, which no order book made."""
        # "Only market trades will be aggregated, which means the insurance fund trades and ADL trades won't
        # be aggregated." developers.binance.com, aggregate trade streams
        if self.X != "MARKET":
            return None
        if not (Decimal(self.p) and Decimal(self.q)):
            raise ParseError(f"expected a price and a size above zero, found {self.p} and {self.q}")
        return super().event()


class MarkPriceMessage(Message, kw_only=True, tag_field="e", tag="markPriceUpdate"):
    """Mark price, index price and funding."""

    s: Symbol
    E: Id
    p: Positive
    i: Amount | None = None
    r: _Rate = ""
    T: Id = 0

    def event(self) -> MarkPrice:
        """The mark price; funding is None for a contract that has none."""
        return MarkPrice(
            symbol=self.s,
            event_ns=ns_of(self.E),
            mark=Decimal(self.p),
            index=Decimal(self.i) if self.i else None,
            funding_rate=Decimal(self.r) if self.r else None,
            next_funding_ns=ns_of(self.T) if self.T else None,
        )


class Order(msgspec.Struct, kw_only=True):
    """The `o` of a forceOrder. `S` is the side of the closing order: SELL closes a long."""

    s: Symbol
    S: Literal["BUY", "SELL"]
    q: Positive
    p: Positive
    ap: Amount = "0"
    z: Amount = "0"
    T: Id
    st: int = 1


class ForceOrderMessage(Message, kw_only=True, tag_field="e", tag="forceOrder"):
    """The latest liquidation order of a symbol within a second; `st` stands here or in the order."""

    o: Order

    def event(self) -> Liquidation | None:
        """The liquidation: average price and filled size, or those ordered where nothing is filled yet."""
        order = self.o
        if order.st == COIN_M:
            return None
        return Liquidation(
            symbol=order.s,
            event_ns=ns_of(order.T),
            liquidated_side="long" if order.S == "SELL" else "short",
            price=Decimal(order.ap) or Decimal(order.p),
            size=Decimal(order.z) or Decimal(order.q),
            complete=False,
        )


MESSAGES: Messages = MappingProxyType(
    {
        **spot.MESSAGES,
        "trade": TradeMessage,
        "!bookTicker": spot.BestQuoteMessage,
        "markPrice": MarkPriceMessage,
        "!markPrice": MarkPriceMessage,
        "markPriceUpdate": MarkPriceMessage,
        "forceOrder": ForceOrderMessage,
        "!forceOrder": ForceOrderMessage,
    }
)

_DATED = re.compile(r"(.+)_([0-9]{6})")


def canonical(symbol: str) -> str:
    """BTC-USDT-PERP for BTCUSDT, BTC-USDT-20250627 for BTCUSDT_250627; an unknown quote stays unsplit."""
    dated = _DATED.fullmatch(symbol)
    return f"{spot.canonical(dated[1])}-20{dated[2]}" if dated else f"{spot.canonical(symbol)}-PERP"


def _canonical(info: SymbolInfo) -> str:
    dated = _DATED.fullmatch(info.symbol)
    return f"{info.base_asset}-{info.quote_asset}-{'20' + dated[2] if dated else 'PERP'}"


# ---- live

# Since 2026-04-23 streams are served by path, and one subscribed at the wrong path is acknowledged and stays
# silent. developers.binance.com, Important WebSocket Change Notice, 2026-03-06
PUBLIC, MARKET = "/public/stream", "/market/stream"
_PUBLIC_CHANNELS = ("depth", "bookTicker", "rpiDepth")


def path_of(stream: str) -> str:
    """The path that serves a stream."""
    channel = spot.channel_of(stream).lstrip("!").rstrip("0123456789")
    return PUBLIC if channel in _PUBLIC_CHANNELS else MARKET


def _stream(symbol: str, channel: str, silence_s: float | None) -> Stream:
    name = f"{symbol.lower()}@{channel}"
    return Stream(name, symbol, path_of(name), book=channel.startswith("depth@"), silence_s=silence_s)


def _streams(symbol: str) -> list[Stream]:
    return [
        _stream(symbol, "depth@100ms", spot.BOOK_SILENCE_S),
        _stream(symbol, "aggTrade", spot.TRADE_SILENCE_S),
        _stream(symbol, "kline_1m", None),
        _stream(symbol, "markPrice@1s", 10.0),
        _stream(symbol, "forceOrder", None),
    ]


# Order book endpoint: limit 5, 10, 20, 50; 100; 500; 1000.
_SNAPSHOT_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))

LIVE = Live(
    ws_url="wss://fstream.binance.com",
    rest_url="https://fapi.binance.com",
    symbols=spot.SYMBOLS,
    streams=_streams,
    socket_url=spot.socket_url,
    streams_max=spot.STREAMS_MAX,
    connection_s=spot.CONNECTION_S,
    silence_s=spot.SOCKET_SILENCE_S,
    head=spot.head,
    instruments=lambda _: [Request("/fapi/v1/exchangeInfo", weight=1)],
    snapshot=spot.snapshot_request("/fapi/v1/depth", _SNAPSHOT_WEIGHTS),
    read_snapshot=spot.read_snapshot,
    snapshot_limit=1000,
    snapshot_limit_max=1000,
    # Shared with COIN-M since 2026-06-30.
    weight_per_minute=2400,
    weight_header=spot.WEIGHT_HEADER,
    connects_max=spot.CONNECTS_MAX,
    connects_span_s=spot.CONNECTS_SPAN_S,
)

MARKETS = [
    Market(
        name="binance_futures",
        wire=BookWire(
            shape=Shape.PAIRS, rule=Rule.PREVIOUS_ID, roles=spot.ROLES, routes=ROUTES, untagged=spot.UNTAGGED
        ),
        key_of=spot.key_of,
        canonical=canonical,
        parse=spot.parser(ROUTES, MESSAGES),
        instruments=spot.instruments_by(_canonical),
        live=LIVE,
        trades=spot.TRADES,
    )
]
