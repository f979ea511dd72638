"""The same work by other means: depth payloads to a full book, its best bid and ask known after each message.

Each takes payloads that begin before the snapshot and returns the best bid and ask at the end.
"""

import asyncio
import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
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


# Other venues. Each takes (key, payload) of book messages, those of a key beginning with a snapshot, as often as it is
# given some; `best` is the best bid and ask of each key after the last.

Keyed = Iterable[tuple[bytes, bytes]]
Books = dict[bytes, Best]


class _Sides:
    """A dict a side; a side is searched only when its best level goes."""

    __slots__ = ("ask", "asks", "bid", "bids", "last")

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.bid, self.ask, self.last = 0.0, 0.0, 0

    def begin(self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]) -> None:
        self.bids, self.asks = {p: s for p, s in bids if s}, {p: s for p, s in asks if s}
        self.bid, self.ask = max(self.bids, default=0.0), min(self.asks, default=0.0)

    def change(self, bids: Iterable[tuple[float, float]], asks: Iterable[tuple[float, float]]) -> None:
        held, best = self.bids, self.bid
        for price, size in bids:
            if size:
                held[price] = size
                if price > best:
                    best = price
            elif price in held:
                del held[price]
        self.bid = best if best in held else max(held, default=0.0)
        held, best = self.asks, self.ask
        for price, size in asks:
            if size:
                held[price] = size
                if price < best:
                    best = price
            elif price in held:
                del held[price]
        self.ask = best if best in held else min(held, default=0.0)


class _BybitData(msgspec.Struct):
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class _Bybit(msgspec.Struct):
    type: str
    ts: int
    data: _BybitData


class BybitDicts:
    """Bybit's snapshots and deltas, ids checked."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Bybit, strict=False).decode
        self._books: dict[bytes, _Sides] = {}

    def take(self, messages: Keyed) -> None:
        """Read and apply them."""
        decode, books = self._decode, self._books
        for key, payload in messages:
            message = decode(payload)
            data = message.data
            if message.type == "snapshot":
                book = books[key] = _Sides()
                book.begin(data.b, data.a)
            else:
                book = books[key]
                if data.u != book.last + 1:
                    raise ValueError(f"gap: {data.u} after {book.last}")
                book.change(data.b, data.a)
            book.last = data.u

    def best(self) -> Books:
        """Best bid and ask of each key."""
        return {key: (book.bid, book.ask) for key, book in self._books.items()}


class _GeminiV2(msgspec.Struct):
    changes: list[tuple[str, float, float]]
    trades: msgspec.Raw = msgspec.Raw()


class GeminiV2Dicts:
    """Gemini's `l2_updates`; the first of a symbol, which has trades, is the whole book."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_GeminiV2, strict=False).decode
        self._books: dict[bytes, _Sides] = {}

    def take(self, messages: Keyed) -> None:
        """Read and apply them."""
        decode, books = self._decode, self._books
        for key, payload in messages:
            message = decode(payload)
            bids = [(price, size) for side, price, size in message.changes if side == "buy"]
            asks = [(price, size) for side, price, size in message.changes if side == "sell"]
            if message.trades:
                book = books[key] = _Sides()
                book.begin(bids, asks)
            else:
                books[key].change(bids, asks)

    def best(self) -> Books:
        """Best bid and ask of each key."""
        return {key: (book.bid, book.ask) for key, book in self._books.items()}


class _KrakenLevel(msgspec.Struct):
    price: Decimal
    qty: Decimal


class _KrakenBook(msgspec.Struct):
    bids: list[_KrakenLevel]
    asks: list[_KrakenLevel]
    checksum: int


class _Kraken(msgspec.Struct):
    type: str
    data: tuple[_KrakenBook]


class KrakenDecimals:
    """Kraken's books at depth 25: exact digits in Decimal, prices kept sorted, zlib's CRC-32 after each message."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Kraken).decode
        self._books: dict[bytes, tuple[_Sorted, _Sorted]] = {}

    def take(self, messages: Keyed) -> None:
        """Read, apply and check them."""
        decode, books = self._decode, self._books
        for key, payload in messages:
            message = decode(payload)
            data = message.data[0]
            if message.type == "snapshot":
                books[key] = _Sorted(), _Sorted()
            bids, asks = books[key]
            bids.change(data.bids, worst=0)
            asks.change(data.asks, worst=-1)
            text = asks.text(asks.prices[:10]) + bids.text(bids.prices[:-11:-1])
            if zlib.crc32(text.encode()) != data.checksum:
                raise ValueError(f"expected a book of checksum {data.checksum}")

    def best(self) -> Books:
        """Best bid and ask of each key."""
        return {
            key: (float(bids.prices[-1]), float(asks.prices[0])) for key, (bids, asks) in self._books.items()
        }


class _Sorted:
    """A side: sizes by price, the prices sorted, at most 25."""

    __slots__ = ("prices", "sizes")

    def __init__(self) -> None:
        self.prices: list[Decimal] = []
        self.sizes: dict[Decimal, Decimal] = {}

    def change(self, levels: list[_KrakenLevel], worst: int) -> None:
        prices, sizes = self.prices, self.sizes
        for level in levels:
            price, size = level.price, level.qty
            if not size:
                if sizes.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]
                continue
            if price not in sizes:
                insort(prices, price)
            sizes[price] = size
        while len(prices) > 25:
            del sizes[prices.pop(worst)]

    def text(self, prices: list[Decimal]) -> str:
        """The digits of these levels as the checksum wants them."""
        sizes = self.sizes
        return "".join(
            f"{price:f}".replace(".", "").lstrip("0") + f"{sizes[price]:f}".replace(".", "").lstrip("0")
            for price in prices
        )
