"""What Gemini says and understands: its WebSocket API of 2025, and the archived market data API.

Pure. Sources as in `connectors.venues.gemini` and `gemini_v2`. Simplified: changes of books are served at 100 ms only;
partial books and changes each second are acknowledged and stay silent.
"""

import re
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from connectors.simulator import history
from connectors.simulator import market as m
from connectors.simulator.half import Answer, Client, Desk, Half, Limits, RequestError, Stream
from connectors.simulator.symbols import Symbol, listed
from connectors.simulator.texts import Texts

# Steps as `/v1/symbols/details` tells them; the share in Binance's trade is a guess.
LISTED = (
    listed("BTCUSD", "BTC", "USD", tick="0.01", lot="0.00000001", share=0.2),
    listed("ETHUSD", "ETH", "USD", tick="0.01", lot="0.000001", share=0.2),
    listed("SOLUSD", "SOL", "USD", tick="0.001", lot="0.000001", share=0.2),
    listed("XRPUSD", "XRP", "USD", tick="0.0001", lot="0.000001", share=0.2),
    listed("DOGEUSD", "DOGE", "USD", tick="0.00001", lot="0.000001", share=0.2),
)

# Names of intervals, their length and how many bars of each are told; those numbers are a guess.
CANDLES = {
    "1m": (60, 1440), "5m": (300, 2016), "15m": (900, 1344), "30m": (1800, 1344), "1hr": (3600, 1440),
    "6hr": (21_600, 480), "1day": (86_400, 365),
}  # fmt: skip
TRADES_MAX, TRADES_KEPT_MS = 500, 7 * 86_400_000  # by REST

_json = msgspec.json.encode
_CHANNEL = re.compile(r"(depth(5|10|20)?(@100ms)?|trade|bookTicker)\Z")
_BOOK, _TRADE, _QUOTE = "depth@100ms", "trade", "bookTicker"


class Gemini(Half):
    """What both APIs have in common: instruments, and what is listed."""

    listed = LISTED

    @property
    def rest(self) -> Mapping[str, Answer]:
        """Instruments, one a request; bars and trades."""
        return {
            "/v1/symbols": lambda query, desk: _json([symbol.lower() for symbol in self.symbols]),
            "/v1/symbols/details/{symbol}": lambda query, desk: self._details(query["symbol"]),
            "/v2/candles/{symbol}/{interval}": self._candles,
            "/v1/trades/{symbol}": self._past_trades,
        }

    def refusal(self, status: int) -> tuple[int, bytes]:
        """As JSON."""
        return status, _error("RateLimit", "Too many requests")

    def _candles(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """All there are of the interval, newest first."""
        name, kept = self._known(query["symbol"]), CANDLES.get(query["interval"])
        if kept is None:
            raise RequestError(404, _error("EndpointNotFound", "No such interval"))
        interval_s, count = kept
        texts, span_ms = self.texts[name], interval_s * 1000
        first_ms = (desk.now_ms // span_ms - count + 1) * span_ms
        found = history.bars(desk, name, self.symbols[name].spot, interval_s, first_ms, desk.now_ms + 1)
        rows = [
            f"[{x.open_ms},{','.join(texts.price(tick) for tick in (x.open, x.high, x.low, x.close))},"
            f"{texts.size(x.lots)}]"
            for x in reversed(found)
        ]
        return f"[{','.join(rows)}]".encode()

    def _past_trades(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """Newest first: of those after an id or a time (ms) the first, else the last."""
        name, most = self._known(query["symbol"]), min(_whole(query.get("limit_trades", "50")), TRADES_MAX)
        texts, grid = self.texts[name], self.symbols[name].spot
        after, from_ms = _whole(query.get("since_tid", "-1")), _whole(query.get("timestamp", "-1"))
        if after >= 0:
            from_ms = after // history.TRADES_A_MINUTE * m.MINUTE_MS
        if from_ms >= 0:
            from_ms = max(from_ms, desk.now_ms - TRADES_KEPT_MS)
            until_ms = from_ms + (most // history.TRADES_A_MINUTE + 2) * 2 * m.MINUTE_MS
            found = [x for x in history.trades(desk, name, grid, from_ms, until_ms) if x.trade_id > after]
            found = found[:most]
        else:
            found = history.last_trades(desk, name, grid, most)
        return _json(
            [
                {
                    "timestamp": x.event_ms // 1000, "timestampms": x.event_ms, "tid": x.trade_id,
                    "price": texts.price(x.tick), "amount": texts.size(x.lots), "exchange": "gemini",
                    "type": "sell" if x.sold else "buy",
                }
                for x in reversed(found)
            ]
        )  # fmt: skip

    def _known(self, text: str) -> str:
        """The name of a symbol that is listed. Raises RequestError."""
        name = text.upper()
        if name not in self.symbols:
            raise RequestError(400, _error("Bad Request", f"Supplied value '{name}' is not a valid symbol"))
        return name

    def _details(self, text: str) -> bytes:
        name = self._known(text)
        symbol = self.symbols[name]
        # Steps are numbers here, as Gemini writes them.
        return (
            f'{{"symbol":"{name}","base_currency":"{symbol.base}","quote_currency":"{symbol.quote}",'
            f'"tick_size":{symbol.spot.lot:f},"quote_increment":{symbol.spot.tick:f},"min_order_size":"0.00001",'
            f'"status":"open","wrap_enabled":false,"product_type":"spot","contract_type":"vanilla",'
            f'"contract_price_currency":"{symbol.quote}"}}'
        ).encode()


def _error(reason: str, message: str) -> bytes:
    return _json({"result": "error", "reason": reason, "message": message})


def _whole(text: str) -> int:
    if not re.fullmatch(r"-1|[0-9]{1,18}", text, re.ASCII):
        raise RequestError(400, _error("InvalidParameter", "Expected a number"))
    return int(text)


# ---- the API of 2025


class _Request(msgspec.Struct):
    id: str | int | None = None
    method: str = ""
    params: Any = None


_REQUEST = msgspec.json.Decoder(_Request)


class Current(Gemini):
    """wss://ws.gemini.com."""

    name = "gemini"
    paths = ("/",)
    limits = Limits(ping_s=20.0, weight_per_minute=120)

    def stream(self, name: str) -> Stream:
        """What the name says, in lower case."""
        return _stream(name)

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Carry out a request. Snapshots come before the answer; every stream must exist, or none is followed."""
        try:
            asked = _REQUEST.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_refused(None, -1013, "Invalid request")]
        method = asked.method.lower()
        if method in ("subscribe", "unsubscribe"):
            return self._follow(asked, client, desk)
        if method == "list_subscriptions":
            return [_json({"id": asked.id, "status": 200, "result": list(client.streams)})]
        if method == "time":
            return [_json({"id": asked.id, "status": 200, "result": {"serverTime": desk.now_ms}})]
        if method == "ping":
            return [_json({"id": asked.id, "status": 200})]
        return [_refused(asked.id, -1020, "Unsupported operation")]

    def _follow(self, asked: _Request, client: Client, desk: Desk) -> list[bytes]:
        if not isinstance(asked.params, list) or not all(isinstance(x, str) for x in asked.params):
            return [_refused(asked.id, -1013, "Invalid params")]
        for given in asked.params:
            symbol, _, channel = given.partition("@")
            if symbol.upper() not in self.symbols or not _CHANNEL.match(channel):
                return [_refused(asked.id, -1013, f"Invalid stream name: {given[:64]}")]
        said = []
        for given in asked.params:
            symbol, _, channel = given.partition("@")
            name = f"{symbol.lower()}@{channel}"
            if asked.method.lower() == "unsubscribe":
                client.streams.pop(name, None)
                continue
            client.streams[name] = None
            if channel == _BOOK and (limit := _limit(client.query.get("snapshot", ""))):
                said.append(self._snapshot(symbol.upper(), desk, limit))
        return [*said, _json({"id": asked.id, "status": 200})]

    def _snapshot(self, symbol: str, desk: Desk, limit: int) -> bytes:
        """The best `limit` levels a side, all if it is below zero, as a change that begins where it ends."""
        update_id, bids, asks, time_ms = desk.state(symbol)
        most = limit if limit > 0 else None
        sides = sorted(bids.items(), reverse=True)[:most], sorted(asks.items())[:most]
        return self._depth(symbol, time_ms, (update_id, update_id), *sides)

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Changes, trades, best quotes."""
        symbol = event.symbol.lower()
        match event:
            case m.Depth() if (name := f"{symbol}@{_BOOK}") in wanted:
                ids = event.previous_id, event.last_id
                yield name, self._depth(event.symbol, event.event_ms, ids, event.bids, event.asks)
            case m.Trade() if (name := f"{symbol}@{_TRADE}") in wanted:
                yield name, self._trade(event)
            case m.BestQuote() if (name := f"{symbol}@{_QUOTE}") in wanted:
                yield name, self._quote(event)

    def _depth(
        self,
        symbol: str,
        time_ms: int,
        ids: tuple[int, int],
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
    ) -> bytes:
        texts, (first_id, last_id) = self.texts[symbol], ids
        return (
            f'{{"e":"depthUpdate","E":{_ns(time_ms, last_id)},"s":"{symbol.lower()}","U":{first_id},"u":{last_id},'
            f'"b":{_levels(texts, bids)},"a":{_levels(texts, asks)}}}'
        ).encode()

    def _trade(self, x: m.Trade) -> bytes:
        texts = self.texts[x.symbol]
        return (
            f'{{"E":{_ns(x.event_ms, x.trade_id)},"s":"{x.symbol.lower()}","t":{x.trade_id},'
            f'"p":"{texts.price(x.tick)}","q":"{texts.size(x.lots)}","m":{"true" if x.sold else "false"}}}'
        ).encode()

    def _quote(self, x: m.BestQuote) -> bytes:
        texts = self.texts[x.symbol]
        return (
            f'{{"u":{x.update_id},"E":{_ns(x.event_ms, x.update_id)},"s":"{x.symbol.lower()}",'
            f'"b":"{texts.price(x.bid)}","B":"{texts.size(x.bid_lots)}",'
            f'"a":"{texts.price(x.ask)}","A":"{texts.size(x.ask_lots)}"}}'
        ).encode()


@lru_cache(maxsize=1024)
def _stream(name: str) -> Stream:
    symbol, _, channel = name.partition("@")
    return Stream(name, symbol.upper(), channel == _BOOK, "/")


def _refused(request: str | int | None, code: int, reason: str) -> bytes:
    return _json({"id": request, "status": 400, "error": {"code": code, "msg": reason}})


def _limit(text: str) -> int:
    """The connection's `snapshot`: 0 none, below zero all."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,6}", text, re.ASCII) else 0


def _ns(time_ms: int, number: int) -> int:
    """A time with all its digits."""
    return time_ms * 1_000_000 + number % 1_000_000


def _levels(texts: Texts, levels: list[tuple[int, int]]) -> str:
    price, size = texts.price, texts.size
    return "[" + ",".join([f'["{price(tick)}","{size(lots)}"]' for tick, lots in levels]) + "]"


# ---- the archived API

TRADES_KEPT = 50


class _Subscription(msgspec.Struct):
    name: str = ""
    symbols: list[str] = []


class _Subscribe(msgspec.Struct):
    type: str = ""
    subscriptions: list[_Subscription] = []


_SUBSCRIBE = msgspec.json.Decoder(_Subscribe)


class Archived(Gemini):
    """wss://api.gemini.com/v2/marketdata. Keys are in the order of the alphabet, as in 2026."""

    name = "gemini_v2"
    paths = ("/v2/marketdata",)
    limits = Limits(ping_s=None, heartbeat_s=5.0, weight_per_minute=120)
    past_s_max = 0

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        super().__init__(symbols)
        self._last: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=TRADES_KEPT))

    def stream(self, name: str) -> Stream:
        """BTCUSD@l2, which is subscribed, and BTCUSD@trade, which comes with it."""
        return _archived_stream(name)

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Carry out a subscription, which is not acknowledged. Symbols are in upper case."""
        del desk
        try:
            asked = _SUBSCRIBE.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_json({"reason": "InvalidJson", "result": "error"})]
        names = [name for each in asked.subscriptions if each.name == "l2" for name in each.symbols]
        known = [name for name in names if name in self.symbols]
        if not known or asked.type not in ("subscribe", "unsubscribe"):
            return [_json({"reason": "NoValidTradingPairs", "result": "error"})]
        for stream in (f"{name}@{channel}" for name in known for channel in ("l2", _TRADE)):
            if asked.type == "subscribe":
                client.streams[stream] = None
            else:
                client.streams.pop(stream, None)
        return []

    def first(self, stream: Stream, desk: Desk) -> list[bytes]:
        """The whole book with the last trades."""
        if not stream.book:
            return []
        _, bids, asks, _ = desk.state(stream.symbol)
        changes = self._changes(stream.symbol, sorted(bids.items(), reverse=True), sorted(asks.items()))
        trades = ",".join(self._last[stream.symbol])
        return [
            (
                f'{{"auction_events":[],"changes":{changes},"symbol":"{stream.symbol}","trades":[{trades}],'
                f'"type":"l2_updates"}}'
            ).encode()
        ]

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Changes and trades."""
        match event:
            case m.Depth() if (name := f"{event.symbol}@l2") in wanted:
                changes = self._changes(event.symbol, event.bids, event.asks)
                yield name, f'{{"changes":{changes},"symbol":"{event.symbol}","type":"l2_updates"}}'.encode()
            case m.Trade():
                trade = self._trade(event)
                self._last[event.symbol].append(trade)
                if (name := f"{event.symbol}@{_TRADE}") in wanted:
                    yield name, trade.encode()

    def heartbeat(self, client: Client, time_ms: int) -> bytes:
        """Each 5 s, whatever is followed."""
        del client
        return b'{"timestamp":%d,"type":"heartbeat"}' % time_ms

    def _trade(self, x: m.Trade) -> str:
        texts = self.texts[x.symbol]
        return (
            f'{{"event_id":{x.trade_id + 1},"price":"{texts.price(x.tick)}","quantity":"{texts.size(x.lots)}",'
            f'"side":"{"sell" if x.sold else "buy"}","symbol":"{x.symbol}","tid":{x.trade_id},'
            f'"timestamp":{x.event_ms},"type":"trade"}}'
        )

    def _changes(self, symbol: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> str:
        price, size = self.texts[symbol].price, self.texts[symbol].size
        levels = [
            f'["{side}","{price(tick)}","{size(lots)}"]'
            for side, levels in (("buy", bids), ("sell", asks))
            for tick, lots in levels
        ]
        return f"[{','.join(levels)}]"


@lru_cache(maxsize=1024)
def _archived_stream(name: str) -> Stream:
    symbol, _, channel = name.partition("@")
    return Stream(name, symbol, channel == "l2", "/v2/marketdata")


HALVES = (Current, Archived)
