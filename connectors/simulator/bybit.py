"""What Bybit spot and linear say and understand: topics, requests over the socket, and instruments by REST.

Pure. Sources as in `connectors.venues.bybit`; how requests are refused: probes of 2026-09 by others. Simplified: books
of any depth come each 100 ms, each trade in a message of its own, klines at 1 m only (others are silent), spot
tickers with each bar. `u` counts the messages of a topic.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from connectors.simulator import history
from connectors.simulator import market as m
from connectors.simulator.best import Best
from connectors.simulator.half import Answer, Client, Desk, Half, Limits, Stream
from connectors.simulator.symbols import Grid, Symbol, listed

DEPTHS = (1, 50, 200, 1000)
ARGS_MAX = 10  # of a request on spot
REPEAT_MS = 3000  # a book of one level that rests is told again
STEP_MS = 100  # a snapshot is of the step before the one under way
KLINES_MAX = 1000
LENGTHS = {
    "1": 60, "3": 180, "5": 300, "15": 900, "30": 1800, "60": 3600, "120": 7200, "240": 14_400, "360": 21_600,
    "720": 43_200, "D": 86_400,
}  # fmt: skip
INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")
BTC_SHARE, SHARE = 0.6, 0.5  # of the activity of Binance spot

_json = msgspec.json.encode
Levels = list[tuple[int, int]]


class _Request(msgspec.Struct):
    op: str
    req_id: str = ""
    args: list[str] = []


_REQUEST = msgspec.json.Decoder(_Request)


class _Topic:
    """A book as its topic tells it."""

    def __init__(self, depth: int) -> None:
        self.best = Best(depth)
        self.u = 0
        self.told_ms = 0


class Bybit(Half):
    """One of two markets of Bybit."""

    category: str
    limits = Limits(ping_s=None, weight_per_minute=7200)
    depth = 200
    channels: tuple[str, ...] = ("publicTrade", "tickers")

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        super().__init__(symbols)
        self._topics: dict[str, _Topic] = {}
        self._books = {x: [f"orderbook.{depth}.{x}" for depth in DEPTHS] for x in self.symbols}
        self._last: dict[str, int] = {}  # tick of the last trade
        self._quote: dict[str, tuple[m.BestQuote, bool]] = {}  # and whether it is still to be told
        self._mark: dict[str, m.Mark] = {}
        self._desk: Desk | None = None
        self._seq = 0

    # ---- what a client says

    @cached_property
    def _streams(self) -> Mapping[str, Stream]:
        """Every topic."""
        books = [(name, x, True) for x, names in self._books.items() for name in names]
        channels = [*self.channels, *(f"kline.{interval}" for interval in INTERVALS)]
        others = [(f"{channel}.{x}", x, False) for x in self.symbols for channel in channels]
        return {name: Stream(name, x, book, self.paths[0]) for name, x, book in (*books, *others)}

    def stream(self, name: str) -> Stream:
        """What the topic says."""
        return self._streams.get(name) or Stream(name, "", book=False, path="")

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """Nothing is said before the first request."""
        del client
        self._desk = desk
        return []

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Carry out a request: whole, or not at all."""
        del desk
        try:
            asked = _REQUEST.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [self._said(_Request(""), f"Failed to decode incoming data:{error}", refused=True)]
        if asked.op == "ping":
            return [self._said(asked, "pong")]
        if asked.op not in ("subscribe", "unsubscribe"):
            return [self._said(asked, "error:invalid op", refused=True)]
        if reason := self._refusal(asked, client):
            return [self._said(asked, reason, refused=True)]
        for name in asked.args:
            if asked.op == "subscribe":
                client.streams[name] = None
            else:
                client.streams.pop(name, None)
        return [self._said(asked, asked.op if self.category == "spot" else "")]

    def _refusal(self, asked: _Request, client: Client) -> str:
        if self.category == "spot" and len(asked.args) > ARGS_MAX:
            return f"args size >{ARGS_MAX}"
        for name in asked.args:
            if name not in self._streams:
                return f"error:handler not found,topic:{name}"
            if asked.op == "subscribe" and name in client.streams:
                return f"error:already subscribed,topic:{name}"
        return ""

    def _said(self, asked: _Request, message: str, *, refused: bool = False) -> bytes:
        return _json(
            {
                "success": not refused,
                "ret_msg": message,
                "conn_id": f"simulated-{self.category}",
                "req_id": asked.req_id,
                "op": asked.op,
            }
        )

    # ---- what topics say

    def first(self, stream: Stream, desk: Desk) -> list[bytes]:
        """Books and tickers begin with a snapshot."""
        channel = stream.name.partition(".")[0]
        if channel == "tickers":
            return [self._ticker(stream.symbol, desk)]
        if channel != "orderbook":
            return []
        state = desk.state(stream.symbol)
        if (topic := self._topics.get(stream.name)) is None:
            topic = self._topics[stream.name] = _Topic(int(stream.name.split(".")[1]))
            topic.u = state.update_id
        topic.best.begin(state)
        return [self._snapshot(stream.name, topic, state.time_ms - STEP_MS)]

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """(topic, payload) of an event."""
        return _WRITERS[type(event)](self, event, wanted)

    def _on_depth(self, x: m.Depth, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for name in self._books[x.symbol]:
            if name in wanted and (topic := self._topics.get(name)) and (said := self._book(name, topic, x)):
                yield name, said
        quote, untold = self._quote.get(x.symbol, (None, False))
        if untold and quote and (name := f"tickers.{x.symbol}") in wanted and self.category == "linear":
            self._quote[x.symbol] = quote, False
            yield name, self._ticker_delta(x.symbol, x.event_ms, self._touch(quote))

    def _book(self, name: str, topic: _Topic, x: m.Depth) -> bytes | None:
        moved = topic.best.move(x)
        if topic.best.depth == 1:
            if moved is None and x.event_ms - topic.told_ms < REPEAT_MS:
                return None
            topic.u += moved is not None
            return self._snapshot(name, topic, x.event_ms)
        if moved is None:
            return None
        topic.u += 1
        # What falls out of the depth is said to be gone.
        bids, asks = (
            sorted(moved.bids + moved.fallen_bids, reverse=True),
            sorted(moved.asks + moved.fallen_asks),
        )
        return self._book_frame(name, topic, "delta", x.event_ms, bids, asks)

    def _snapshot(self, name: str, topic: _Topic, time_ms: int) -> bytes:
        best = topic.best
        return self._book_frame(name, topic, "snapshot", time_ms, best.bids, best.asks)

    def _book_frame(
        self, name: str, topic: _Topic, kind: str, time_ms: int, bids: Levels, asks: Levels
    ) -> bytes:
        symbol = self._streams[name].symbol
        topic.told_ms = time_ms
        self._seq += 7
        return (
            f'{{"topic":"{name}","type":"{kind}","ts":{time_ms},"data":{{"s":"{symbol}",'
            f'"b":{self._levels(symbol, bids)},"a":{self._levels(symbol, asks)},'
            f'"u":{topic.u},"seq":{self._seq}}},"cts":{time_ms - 3}}}'
        ).encode()

    def _levels(self, symbol: str, levels: Levels) -> str:
        price, size = self._price(symbol), self._size(symbol)
        return (
            "["
            + ",".join([f'["{price(tick)}","{size(lots) if lots else "0"}"]' for tick, lots in levels])
            + "]"
        )

    def _on_trade(self, x: m.Trade, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        name, before = f"publicTrade.{x.symbol}", self._last.get(x.symbol, x.tick)
        self._last[x.symbol] = x.tick
        if name not in wanted:
            return
        self._seq += 7
        trade: dict[str, Any] = {
            "T": x.event_ms, "s": x.symbol, "S": "Sell" if x.sold else "Buy", "v": self._size(x.symbol)(x.lots),
            "p": self._price(x.symbol)(x.tick), "i": self._trade_id(x), "BT": False, "RPI": False, "seq": self._seq,
        }  # fmt: skip
        if self.category == "linear":
            trade["L"] = "PlusTick" if x.tick > before else "MinusTick" if x.tick < before else "ZeroPlusTick"
        yield name, _frame(name, "snapshot", x.event_ms + 1, [trade])

    def _on_quote(self, x: m.BestQuote, _: Collection[str]) -> Iterator[tuple[str, bytes]]:
        self._quote[x.symbol] = x, True
        return iter(())

    def _on_bar(self, x: m.Bar, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        if (name := f"kline.1.{x.symbol}") in wanted:
            price = self._price(x.symbol)
            candle = {
                "start": x.open_ms, "end": x.open_ms + m.MINUTE_MS - 1, "interval": "1",
                "open": _trimmed(price(x.open)), "close": _trimmed(price(x.close)), "high": _trimmed(price(x.high)),
                "low": _trimmed(price(x.low)), "volume": _trimmed(self._size(x.symbol)(x.lots)),
                "turnover": _trimmed(self.texts[x.symbol].value(x.value)), "confirm": x.closed,
                "timestamp": x.event_ms,
            }  # fmt: skip
            yield name, _frame(name, "snapshot", x.event_ms, [candle])
        if (name := f"tickers.{x.symbol}") in wanted and self._desk is not None:
            if self.category == "spot":
                yield name, _frame(name, "snapshot", x.event_ms, self._statistics(x.symbol, self._desk))
            else:
                changed = self._statistics(x.symbol, self._desk)
                yield name, self._ticker_delta(x.symbol, x.event_ms, changed)

    def _on_mark(self, x: m.Mark, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        self._mark[x.symbol] = x
        if (name := f"tickers.{x.symbol}") in wanted and self._desk is not None:
            yield name, self._ticker_delta(x.symbol, x.event_ms, self._futures(x.symbol, self._desk, x))

    def _on_liquidation(self, x: m.Liquidation, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        if (name := f"allLiquidation.{x.symbol}") in wanted:
            # A long is closed by a sale.
            position = {
                "T": x.event_ms, "s": x.symbol, "S": "Buy" if x.sold else "Sell", "v": self._size(x.symbol)(x.lots),
                "p": self._price(x.symbol)(x.tick),
            }  # fmt: skip
            yield name, _frame(name, "snapshot", x.event_ms + 400, [position])

    # ---- tickers

    def _ticker(self, symbol: str, desk: Desk) -> bytes:
        state = desk.state(symbol)
        bid, ask = max(state.bids), min(state.asks)
        time_ms = state.time_ms - STEP_MS
        data = self._statistics(symbol, desk)
        if self.category == "linear":
            touch = m.BestQuote(symbol, time_ms, 0, bid, state.bids[bid], ask, state.asks[ask])
            price = float(self._price(symbol)(bid))
            next_ms = time_ms - time_ms % m.FUNDING_MS + m.FUNDING_MS
            mark = self._mark.get(symbol, m.Mark(symbol, time_ms, price, price, 1e-4, next_ms))
            data |= self._touch(touch) | self._futures(symbol, desk, mark)
        return _frame(f"tickers.{symbol}", "snapshot", time_ms, data)

    def _ticker_delta(self, symbol: str, time_ms: int, changed: Mapping[str, str]) -> bytes:
        return _frame(f"tickers.{symbol}", "delta", time_ms, {"symbol": symbol, **changed})

    def _statistics(self, symbol: str, desk: Desk) -> dict[str, str]:
        """What the bars say: a day, as far as it has been played."""
        bars, price = desk.bars(symbol), self._price(symbol)
        value = self.texts[symbol].value(sum(bar.value for bar in bars))
        return {
            "symbol": symbol, "lastPrice": price(bars[-1].close), "prevPrice24h": price(bars[0].open),
            "highPrice24h": price(max(bar.high for bar in bars)),
            "lowPrice24h": price(min(bar.low for bar in bars)),
            "volume24h": self._size(symbol)(sum(bar.lots for bar in bars)), "turnover24h": _trimmed(value),
        }  # fmt: skip

    def _touch(self, x: m.BestQuote) -> dict[str, str]:
        price, size = self._price(x.symbol), self._size(x.symbol)
        return {
            "bid1Price": price(x.bid), "bid1Size": size(x.bid_lots),
            "ask1Price": price(x.ask), "ask1Size": size(x.ask_lots),
        }  # fmt: skip

    def _futures(self, symbol: str, desk: Desk, mark: m.Mark) -> dict[str, str]:
        size, lots = self._size(symbol), desk.open_interest(symbol)
        return {
            "markPrice": f"{mark.price:.8f}", "indexPrice": f"{mark.index_price:.8f}",
            "fundingRate": f"{mark.funding_rate:.8f}", "nextFundingTime": str(mark.next_funding_ms),
            "fundingIntervalHour": "8", "openInterest": size(2 * lots), "singleOpenInterest": size(lots),
        }  # fmt: skip

    # ---- texts

    def _price(self, symbol: str) -> Callable[[int], str]:
        return self.texts[symbol].price

    def _size(self, symbol: str) -> Callable[[int], str]:
        return self.texts[symbol].size

    def _trade_id(self, x: m.Trade) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{x.symbol} {x.trade_id}"))

    # ---- REST

    @property
    def rest(self) -> Mapping[str, Answer]:
        """Answers by path."""
        return {
            "/v5/market/time": self._time, "/v5/market/instruments-info": self._instruments,
            "/v5/market/kline": self._klines, "/v5/market/recent-trade": self._last_trades,
        }  # fmt: skip

    def refusal(self, status: int) -> tuple[int, bytes]:
        """Too many requests are answered like others; one whose address is banned with 403."""
        if status == 418:
            return 403, b"access too frequent"
        return 200, _json({"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "retExtInfo": {}})

    def _klines(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """Newest first, of a span that holds more those at its end."""
        interval_s = LENGTHS.get(query.get("interval", ""))
        limit = _number(query.get("limit", "200"), 1, KLINES_MAX)
        end_ms = _number(query.get("end", str(desk.now_ms)), 0, 1 << 50)
        if query.get("category") != self.category or interval_s is None or None in (limit, end_ms):
            return _answered(
                {}, desk.now_ms, 10001, "params error: category, interval, limit or end is invalid"
            )
        if (symbol := query.get("symbol", "")) not in self.symbols:
            return _answered({}, desk.now_ms, 10001, "params error: symbol invalid")
        assert limit is not None and end_ms is not None
        span_ms = interval_s * 1000
        first_ms = (min(end_ms, desk.now_ms) // span_ms - limit + 1) * span_ms
        start_ms = max(first_ms, _number(query.get("start", "0"), 0, 1 << 50) or 0)
        found = history.bars(desk, symbol, self._grid(symbol), interval_s, start_ms, end_ms + 1)
        rows = [self._row(symbol, x) for x in reversed(found)]
        return _answered({"symbol": symbol, "category": self.category, "list": rows}, desk.now_ms)

    def _row(self, symbol: str, x: history.GridBar) -> list[str]:
        price = self._price(symbol)
        value = _trimmed(self.texts[symbol].value(x.value))
        prices = [price(tick) for tick in (x.open, x.high, x.low, x.close)]
        return [str(x.open_ms), *prices, self._size(symbol)(x.lots), value]

    def _last_trades(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """Newest first."""
        symbol, most = query.get("symbol", ""), 60 if self.category == "spot" else 1000
        limit = _number(query.get("limit", str(min(most, 500))), 1, most)
        if query.get("category") != self.category or symbol not in self.symbols or limit is None:
            return _answered({}, desk.now_ms, 10001, "params error: category, symbol or limit is invalid")
        price, size = self._price(symbol), self._size(symbol)
        rows = [
            {
                "execId": self._trade_id(x), "symbol": symbol, "price": price(x.tick), "size": size(x.lots),
                "side": "Sell" if x.sold else "Buy", "time": str(x.event_ms), "isBlockTrade": False,
            }
            for x in reversed(history.last_trades(desk, symbol, self._grid(symbol), limit))
        ]  # fmt: skip
        return _answered({"category": self.category, "list": rows}, desk.now_ms)

    def _grid(self, symbol: str) -> Grid:
        return self.symbols[symbol].grid(self.kind)

    def _time(self, _: Mapping[str, str], desk: Desk) -> bytes:
        now_ms = desk.now_ms
        times = {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}
        return _answered(times, now_ms)

    def _instruments(self, query: Mapping[str, str], desk: Desk) -> bytes:
        names = [query["symbol"]] if "symbol" in query else list(self.symbols)
        found = [self._instrument(self.symbols[x]) for x in names if x in self.symbols]
        if query.get("category") != self.category:
            return _answered({}, desk.now_ms, 10001, "params error: Category is invalid")
        if self.category == "linear" and not found:
            return _answered({}, desk.now_ms, 10001, "params error: symbol invalid")
        return _answered({"category": self.category, "list": found, "nextPageCursor": ""}, desk.now_ms)

    def _instrument(self, x: Symbol) -> dict[str, Any]:
        grid, linear = x.grid(self.kind), self.category == "linear"
        info = {
            "symbol": x.symbol, "baseCoin": x.base, "quoteCoin": x.quote, "status": "Trading",
            "priceFilter": {"tickSize": f"{grid.tick:f}"},
            "lotSizeFilter": {"qtyStep" if linear else "basePrecision": f"{grid.lot:f}"},
        }  # fmt: skip
        return info | ({"contractType": "LinearPerpetual", "settleCoin": x.quote} if linear else {})


class Spot(Bybit):
    """Bybit spot: numbers without trailing zeros, trade ids in digits."""

    name = "bybit_spot"
    category = "spot"
    paths = ("/v5/public/spot",)
    listed = (
        listed("BTCUSDT", "BTC", "USDT", "0.1", "0.000001", BTC_SHARE),
        listed("ETHUSDT", "ETH", "USDT", "0.01", "0.00001", SHARE),
        listed("SOLUSDT", "SOL", "USDT", "0.01", "0.001", SHARE),
        listed("XRPUSDT", "XRP", "USDT", "0.0001", "0.01", SHARE),
        listed("DOGEUSDT", "DOGE", "USDT", "0.00001", "0.1", SHARE),
        listed("BNBUSDT", "BNB", "USDT", "0.1", "0.0001", SHARE),
    )

    def _price(self, symbol: str) -> Callable[[int], str]:
        price = self.texts[symbol].price
        return lambda tick: _trimmed(price(tick))

    def _size(self, symbol: str) -> Callable[[int], str]:
        size = self.texts[symbol].size
        return lambda lots: _trimmed(size(lots))

    def _trade_id(self, x: m.Trade) -> str:
        return str(2_290_000_000_000_000_000 + x.trade_id)


class Linear(Bybit):
    """Bybit linear: perpetuals margined in USDT."""

    name = "bybit_linear"
    kind = "futures"
    category = "linear"
    paths = ("/v5/public/linear",)
    channels = ("publicTrade", "tickers", "allLiquidation")
    # As recorded: instruments-info, 2026-08-09.
    listed = (
        listed("BTCUSDT", "BTC", "USDT", "0.10", "0.001", BTC_SHARE),
        listed("ETHUSDT", "ETH", "USDT", "0.01", "0.01", SHARE),
        listed("SOLUSDT", "SOL", "USDT", "0.010", "0.1", SHARE),
        listed("XRPUSDT", "XRP", "USDT", "0.0001", "0.1", SHARE),
        listed("DOGEUSDT", "DOGE", "USDT", "0.00001", "1", SHARE),
        listed("BNBUSDT", "BNB", "USDT", "0.10", "0.01", SHARE),
    )


HALVES = (Spot, Linear)

_WRITERS: Mapping[type, Callable[[Bybit, Any, Collection[str]], Iterator[tuple[str, bytes]]]] = {
    m.Depth: Bybit._on_depth,
    m.Trade: Bybit._on_trade,
    m.BestQuote: Bybit._on_quote,
    m.Mark: Bybit._on_mark,
    m.Liquidation: Bybit._on_liquidation,
    m.Bar: Bybit._on_bar,
}


def _frame(topic: str, kind: str, time_ms: int, data: Any) -> bytes:
    return _json({"topic": topic, "type": kind, "ts": time_ms, "data": data})


def _number(text: str, least: int, most: int) -> int | None:
    """The number, at most `most`; None if it is none, or below `least`."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    return min(number, most) if number >= least else None


def _answered(result: dict[str, Any], now_ms: int, code: int = 0, message: str = "OK") -> bytes:
    return _json({"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now_ms})


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
