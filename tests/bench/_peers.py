"""The same work by other means: depth payloads to a full book, its best bid and ask known after each message.

Each takes payloads that begin before the snapshot and returns the best bid and ask at the end.
"""

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import Any

import ccxt.pro
import msgspec

Best = tuple[float, float]


class _Diff(msgspec.Struct):
    U: int
    u: int
    pu: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class _Message(msgspec.Struct):
    """A diff in its envelope, or a snapshot."""

    data: _Diff | None = None
    lastUpdateId: int = 0
    bids: list[tuple[float, float]] = []
    asks: list[tuple[float, float]] = []


def msgspec_dicts(payloads: Iterable[bytes]) -> Best:
    """Decoded by type, floats made in C, a dict a side; a side is searched only when its best level goes."""
    decode = msgspec.json.Decoder(_Message, strict=False).decode
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    bid, ask, last = 0.0, 0.0, -1
    waiting: list[_Diff] = []
    for payload in payloads:
        message = decode(payload)
        diff = message.data
        if diff is None:
            bids, asks, last = dict(message.bids), dict(message.asks), message.lastUpdateId
            bid, ask = max(bids), min(asks)
            diffs, waiting = [x for x in waiting if x.u >= last], []
        elif last < 0:
            waiting.append(diff)
            continue
        else:
            diffs = [diff]
        for diff in diffs:
            if diff.pu != last and not diff.U <= last <= diff.u:
                raise ValueError(f"gap: {diff.pu} after {last}")
            last = diff.u
            for price, size in diff.b:
                if size:
                    bids[price] = size
                    if price > bid:
                        bid = price
                elif price in bids:
                    del bids[price]
            if bid not in bids:
                bid = max(bids)
            for price, size in diff.a:
                if size:
                    asks[price] = size
                    if price < ask:
                        ask = price
                elif price in asks:
                    del asks[price]
            if ask not in asks:
                ask = min(asks)
    return bid, ask


class _Client:
    """Stands for the connection: ccxt asks its address and hands it the finished book."""

    url = "wss://fstream.binance.com/ws"

    def __init__(self) -> None:
        self.subscriptions: dict[str, Any] = {}

    def resolve(self, result: Any, message_hash: str) -> None:
        pass

    def reject(self, error: Exception, message_hash: str) -> None:
        raise error


_SYMBOL = "BTC/USDT:USDT"
_MARKET = {
    "id": "BTCUSDT", "symbol": _SYMBOL, "base": "BTC", "quote": "USDT", "settle": "USDT",
    "type": "swap", "swap": True, "spot": False, "linear": True, "contract": True,
}  # fmt: skip


def ccxt_book(payloads: Iterable[bytes]) -> Best:
    """ccxt.pro's own handlers, from decoded messages on; after each the book as `watch_order_book` gives it.

    That is cut to the 1000 best levels a side, its default. ccxt decodes with orjson where that is installed;
    msgspec, used here, is as fast.
    """
    return asyncio.run(_ccxt_book(payloads))


async def _ccxt_book(payloads: Iterable[bytes]) -> Best:
    exchange = _exchange()
    book = exchange.orderbooks[_SYMBOL] = exchange.order_book({}, 1000)
    client, best = _Client(), (0.0, 0.0)
    subscription = {"symbol": _SYMBOL, "type": "future", "params": {}}
    for payload in payloads:
        message = msgspec.json.decode(payload)
        if "lastUpdateId" in message:
            _answer(exchange, message)
            await exchange.fetch_order_book_snapshot(client, message, subscription)
        else:
            exchange.handle_order_book(client, message["data"])
        if book["nonce"] is not None:
            book.limit()
            best = book["bids"][0][0], book["asks"][0][0]
    return best


@cache
def _exchange() -> Any:
    """ccxt with the one market, never connected."""
    exchange = ccxt.pro.binanceusdm()
    exchange.markets, exchange.markets_by_id = {_SYMBOL: _MARKET}, {"BTCUSDT": [_MARKET]}
    return exchange


def _answer(exchange: Any, message: dict[str, Any]) -> None:
    """Have the exchange's REST request answered by the recorded snapshot, made a book as ccxt does."""
    snapshot = exchange.parse_order_book(message, _SYMBOL, message["T"])
    snapshot["nonce"] = message["lastUpdateId"]

    async def fetched(*_: Any) -> Any:
        return snapshot

    exchange.fetch_rest_order_book_safe = fetched
