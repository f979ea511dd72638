"""What Kraken spot says and understands on WebSocket v2: subscriptions, books with checksums, trades, bars, tickers.

Pure. Sources as in `connectors.venues.kraken`. Simplified: bars of a minute only, others are acknowledged and stay
silent. Tickers come when the best prices change, whatever their trigger; their statistics are of the time since the
market began, and none is told before the first quote and trade. Snapshots are sent, asked for or not.
"""

import time
import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
from msgspec import Raw

from connectors.simulator import history
from connectors.simulator import market as m
from connectors.simulator.best import Best, Levels
from connectors.simulator.half import Answer, Client, Desk, Half, Limits, Stream
from connectors.simulator.symbols import Symbol, listed
from connectors.simulator.texts import Texts

PATH = "/v2"
DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
CHECKED = 10  # levels a side that the checksum is of
TRADES_KEPT = 50
BARS_TOLD = 60
LAST_BARS, LAST_TRADES = 720, 1000  # by REST
_FIAT = ("USD", "EUR", "GBP", "AUD", "CAD", "CHF", "JPY")
_LOT = "0.00000001"

_json = msgspec.json.encode


class _Params(msgspec.Struct):
    channel: str = ""
    symbol: list[str] = []
    depth: int = 10
    interval: int = 1
    event_trigger: str = "trades"
    snapshot: bool = True


class _Request(msgspec.Struct):
    method: str = ""
    params: _Params = msgspec.field(default_factory=_Params)
    req_id: int | None = None


_REQUEST = msgspec.json.Decoder(_Request)


@dataclass(slots=True)
class _Statistics:
    """Of one symbol, in ticks and lots."""

    open: int = 0
    high: int = 0
    low: int = 0
    last: int = 0
    lots: int = 0
    value: int = 0
    quote: m.BestQuote | None = None

    def count(self, trade: m.Trade) -> None:
        if not self.lots:
            self.open = self.high = self.low = trade.tick
        self.last = trade.tick
        self.high, self.low = max(self.high, trade.tick), min(self.low, trade.tick)
        self.lots += trade.lots
        self.value += trade.tick * trade.lots


class Kraken(Half):
    """Kraken spot. Streams are named book.1000:BTC/USD, trade:BTC/USD, ohlc.1:BTC/USD, ticker:BTC/USD."""

    name = "kraken"
    paths = (PATH,)
    # A request a second for each of sixteen pairs: bars and trades are counted by pair.
    limits = Limits(ping_s=None, heartbeat_s=1.0, weight_per_minute=960)
    depth = 1000
    listed = (
        listed("BTC/USD", "BTC", "USD", "0.1", _LOT, share=0.5),
        listed("ETH/USD", "ETH", "USD", "0.01", _LOT, share=0.5),
        listed("SOL/USD", "SOL", "USD", "0.01", _LOT, share=0.4),
        listed("XRP/USD", "XRP", "USD", "0.00001", _LOT, share=0.4),
        listed("DOGE/USD", "DOGE", "USD", "0.0000001", _LOT, share=0.3),
        listed("ADA/USD", "ADA", "USD", "0.000001", _LOT, share=0.3),
        listed("LTC/USD", "LTC", "USD", "0.01", _LOT, share=0.3),
        listed("LINK/USD", "LINK", "USD", "0.00001", _LOT, share=0.3),
        listed("EUR/USD", "EUR", "USD", "0.00001", _LOT),
        listed("GBP/USD", "GBP", "USD", "0.00001", _LOT),
        listed("AUD/USD", "AUD", "USD", "0.00001", _LOT),
        listed("USD/CAD", "USD", "CAD", "0.00001", _LOT),
        listed("USD/CHF", "USD", "CHF", "0.00001", _LOT),
        listed("USD/JPY", "USD", "JPY", "0.001", _LOT),
        listed("EUR/GBP", "EUR", "GBP", "0.00001", _LOT),
        listed("EUR/JPY", "EUR", "JPY", "0.001", _LOT),
    )

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        super().__init__(symbols)
        self._books: dict[str, Best] = {}  # by stream
        self._trades = {x: deque[m.Trade](maxlen=TRADES_KEPT) for x in self.symbols}
        self._statistics = {x: _Statistics() for x in self.symbols}
        self._pairs = {_pair(x): x for x in self.symbols}

    # ---- what clients say

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """The state of the system comes first."""
        del client, desk
        system = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 1}
        return [_json({"channel": "status", "type": "update", "data": [system]})]

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Subscribe, unsubscribe, ping. Each symbol of a request is answered by itself."""
        now = rfc3339(desk.now_ms)
        times: dict[str, Any] = {"time_in": now, "time_out": now}
        try:
            request = _REQUEST.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_json({"error": "Malformed request", "success": False} | times)]
        if request.req_id is not None:
            times["req_id"] = request.req_id
        if request.method == "ping":
            return [_json({"method": "pong"} | times)]
        if request.method not in ("subscribe", "unsubscribe"):
            return [_json({"error": "Unsupported method", "success": False} | times)]
        names = [""] if request.params.channel == "instrument" else request.params.symbol
        said = [self._asked(request.method, request.params, name, client) for name in names]
        return [_json({"method": request.method} | each | times) for each in said]

    def _asked(self, method: str, params: _Params, symbol: str, client: Client) -> dict[str, Any]:
        """Follow one symbol's channel, or follow it no longer."""
        stream, error = _stream(params, symbol), self._refusal(params, symbol)
        # A channel of a symbol is followed once on a connection, whatever its parameters.
        follows = any(_channel_of(x) == (params.channel, symbol) for x in client.streams)
        if not error and method == "subscribe" and follows:
            error = "Already subscribed"
        if not error and method == "unsubscribe" and stream not in client.streams:
            error = "Subscription Not Found"
        if error:
            return {"success": False, "error": error} | ({"symbol": symbol} if symbol else {})
        if method == "subscribe":
            client.streams[stream] = None
        else:
            del client.streams[stream]
        return {"success": True, "result": _acknowledged(method, params, symbol)}

    def _refusal(self, params: _Params, symbol: str) -> str:
        if params.channel not in ("book", "trade", "ohlc", "ticker", "instrument"):
            return "Channel not supported"
        if symbol and symbol not in self.symbols:
            return f"Currency pair not supported {symbol[:32]}"
        if params.channel == "book" and params.depth not in DEPTHS:
            return "Subscription depth not supported"
        if params.channel == "ohlc" and params.interval not in INTERVALS:
            return "Subscription ohlc interval not supported"
        return ""

    def stream(self, name: str) -> Stream:
        """What the name says."""
        return _named(name)

    def heartbeat(self, client: Client, time_ms: int) -> bytes | None:
        """Once something is followed."""
        del time_ms
        return b'{"channel":"heartbeat"}' if client.streams else None

    # ---- what streams begin with

    def first(self, stream: Stream, desk: Desk) -> list[bytes]:
        """The snapshot of each channel."""
        channel, _, depth = stream.name.partition(":")[0].partition(".")
        if channel == "instrument":
            return [self._instruments()]
        if channel == "book":
            state = desk.state(stream.symbol)
            best = self._books[stream.name] = Best(int(depth))
            best.begin(state)
            return [self._book("snapshot", stream.symbol, best, best.bids, best.asks, state.time_ms)]
        if channel == "trade":
            return [self._told("trade", "snapshot", map(self._trade, self._trades[stream.symbol]))]
        if channel == "ticker":
            ticker = self._ticker(stream.symbol)
            return [self._told("ticker", "snapshot", [ticker])] if ticker else []
        bars = desk.bars(stream.symbol)[-BARS_TOLD:]
        return [self._bars("snapshot", bars)] if stream.name.startswith("ohlc.1:") else []

    def _instruments(self) -> bytes:
        pairs = [
            {
                "symbol": x.symbol, "base": x.base, "quote": x.quote, "status": "online",
                "price_increment": float(x.spot.tick), "qty_increment": float(x.spot.lot), "qty_min": 0.0001,
            }
            for x in self.symbols.values()
        ]  # fmt: skip
        data = {"assets": [], "pairs": pairs}
        return _json({"channel": "instrument", "type": "snapshot", "data": data})

    # ---- what happens

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """(stream, payload) of an event."""
        symbol = event.symbol
        if isinstance(event, m.Depth):
            yield from self._moved(event, wanted)
        elif isinstance(event, m.Trade):
            self._trades[symbol].append(event)
            self._statistics[symbol].count(event)
            if (name := f"trade:{symbol}") in wanted:
                yield name, self._told("trade", "update", [self._trade(event)])
        elif isinstance(event, m.Bar):
            if event.trades and (name := f"ohlc.1:{symbol}") in wanted:
                yield name, self._bars("update", [event])
        elif isinstance(event, m.BestQuote):
            yield from self._quoted(event, wanted)

    def _moved(self, event: m.Depth, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for depth in DEPTHS:
            name = f"book.{depth}:{event.symbol}"
            if name not in wanted or (best := self._books.get(name)) is None:
                continue
            moved = best.move(event)
            # Nothing is said of what only falls out of view.
            if moved and (moved.bids or moved.asks):
                yield name, self._book("update", event.symbol, best, moved.bids, moved.asks, event.event_ms)

    def _quoted(self, event: m.BestQuote, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        statistics, name = self._statistics[event.symbol], f"ticker:{event.symbol}"
        before, statistics.quote = statistics.quote, event
        moved = before is None or (before.bid, before.ask) != (event.bid, event.ask)
        if moved and name in wanted and (ticker := self._ticker(event.symbol)):
            yield name, self._told("ticker", "update", [ticker])

    # ---- words

    def _book(self, kind: str, symbol: str, best: Best, bids: Levels, asks: Levels, time_ms: int) -> bytes:
        texts = self.texts[symbol]
        data = (
            f'{{"symbol":"{symbol}","bids":{_levels(texts, bids)},"asks":{_levels(texts, asks)},'
            f'"checksum":{_checksum(texts, best)},"timestamp":"{rfc3339(time_ms)}"}}'
        )
        return self._told("book", kind, [data])

    @staticmethod
    def _told(channel: str, kind: str, data: Iterable[str]) -> bytes:
        return f'{{"channel":"{channel}","type":"{kind}","data":[{",".join(data)}]}}'.encode()

    def _trade(self, x: m.Trade) -> str:
        texts = self.texts[x.symbol]
        return (
            f'{{"symbol":"{x.symbol}","side":"{"sell" if x.sold else "buy"}","price":{texts.price(x.tick)},'
            f'"qty":{texts.size(x.lots)},"ord_type":"market","trade_id":{x.trade_id},'
            f'"timestamp":"{rfc3339(x.event_ms)}"}}'
        )

    def _bars(self, kind: str, bars: list[m.Bar]) -> bytes:
        data = ",".join(self._bar(bar) for bar in bars if bar.trades)
        now = rfc3339(bars[-1].event_ms)
        return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{now}","data":[{data}]}}'.encode()

    def _bar(self, x: m.Bar) -> str:
        texts = self.texts[x.symbol]
        return (
            f'{{"symbol":"{x.symbol}","open":{texts.price(x.open)},"high":{texts.price(x.high)},'
            f'"low":{texts.price(x.low)},"close":{texts.price(x.close)},"trades":{x.trades},'
            f'"volume":{texts.size(x.lots)},"vwap":{texts.mean(x.value / x.lots)},'
            f'"interval_begin":"{rfc3339(x.open_ms)}","interval":1,'
            f'"timestamp":"{rfc3339(x.open_ms + m.MINUTE_MS)}"}}'
        )

    def _ticker(self, symbol: str) -> str:
        """The ticker; an empty text as long as there was no quote or no trade."""
        texts, x = self.texts[symbol], self._statistics[symbol]
        if x.quote is None or not x.lots:
            return ""
        sign, change = "-" if x.last < x.open else "", abs(x.last - x.open)
        return (
            f'{{"symbol":"{symbol}","bid":{texts.price(x.quote.bid)},"bid_qty":{texts.size(x.quote.bid_lots)},'
            f'"ask":{texts.price(x.quote.ask)},"ask_qty":{texts.size(x.quote.ask_lots)},'
            f'"last":{texts.price(x.last)},"volume":{texts.size(x.lots)},"vwap":{texts.mean(x.value / x.lots)},'
            f'"low":{texts.price(x.low)},"high":{texts.price(x.high)},"change":{sign}{texts.price(change)},'
            f'"change_pct":{100 * (x.last / x.open - 1):.2f},"timestamp":"{rfc3339(x.quote.event_ms)}"}}'
        )

    # ---- REST

    @property
    def rest(self) -> Mapping[str, Answer]:
        """The venue's time, bars and trades: books and instruments come in the streams."""
        return {
            "/0/public/Time": lambda _, desk: _json(
                {"error": [], "result": {"unixtime": desk.now_ms // 1000}}
            ),
            "/0/public/OHLC": self._last_bars,
            "/0/public/Trades": self._past_trades,
        }

    def refusal(self, status: int) -> tuple[int, bytes]:
        """With status 200, like all errors."""
        del status
        return 200, _json({"error": ["EGeneral:Too many requests"]})

    def _last_bars(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """The last 720 at most, of those after `since`; the last one, always told, is open."""
        symbol, minutes = self._pairs.get(query.get("pair", "")), query.get("interval", "1")
        if symbol is None:
            return _json({"error": ["EQuery:Unknown asset pair"]})
        since = _whole(query.get("since", "0"))
        if minutes not in map(str, INTERVALS) or since is None:
            return _json({"error": ["EGeneral:Invalid arguments"]})
        span_ms = int(minutes) * m.MINUTE_MS
        open_ms = desk.now_ms // span_ms * span_ms
        from_ms = max(since * 1000 + 1, open_ms - (LAST_BARS - 1) * span_ms)
        grid = self.symbols[symbol].spot
        found = history.bars(desk, symbol, grid, span_ms // 1000, min(from_ms, open_ms), desk.now_ms + 1)
        rows = [self._row(symbol, x) for x in found]
        return _told_of(_pair(symbol, "X", "Z"), rows, (open_ms - span_ms) // 1000)

    def _row(self, symbol: str, x: history.GridBar) -> list[Any]:
        texts = self.texts[symbol]
        prices = [texts.price(tick) for tick in (x.open, x.high, x.low, x.close)]
        vwap = texts.mean(x.value / x.lots) if x.lots else "0.0"
        return [x.open_ms // 1000, *prices, vwap, texts.size(x.lots), x.trades if x.lots else 0]

    def _past_trades(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """The first 1000 after `since` (ns), or the last."""
        symbol = self._pairs.get(query.get("pair", ""))
        if symbol is None:
            return _json({"error": ["EQuery:Unknown asset pair"]})
        count, since = _whole(query.get("count", str(LAST_TRADES))), _whole(query.get("since", "0"))
        if count is None or since is None or not 0 < count <= LAST_TRADES:
            return _json({"error": ["EGeneral:Invalid arguments"]})
        grid, texts = self.symbols[symbol].spot, self.texts[symbol]
        if since:
            from_ms = since // 1_000_000 + 1
            until_ms = from_ms + (count // history.TRADES_A_MINUTE + 2) * 2 * m.MINUTE_MS
            found = history.trades(desk, symbol, grid, from_ms, until_ms)[:count]
        else:
            found = history.last_trades(desk, symbol, grid, count)
        rows = [
            [texts.price(x.tick), texts.size(x.lots), Raw(f"{x.event_ms / 1000:.3f}".encode()),
             "s" if x.sold else "b", "m", "", x.trade_id]
            for x in found
        ]  # fmt: skip
        last_ms = found[-1].event_ms if found else desk.now_ms
        return _told_of(_pair(symbol, "X", "Z"), rows, str(last_ms * 1_000_000))


def _told_of(pair: str, rows: list[list[Any]], last: int | str) -> bytes:
    return _json({"error": [], "result": {pair: rows, "last": last}})


def _pair(symbol: str, crypto: str = "", fiat: str = "") -> str:
    """XBTUSD of BTC/USD, or XXBTZUSD."""
    assets = [{"BTC": "XBT", "DOGE": "XDG"}.get(x, x) for x in symbol.split("/")]
    return "".join(f"{fiat if x in _FIAT else crypto}{x}" for x in assets)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _stream(params: _Params, symbol: str) -> str:
    options = {"book": f".{params.depth}", "ohlc": f".{params.interval}"}
    return f"{params.channel}{options.get(params.channel, '')}:{symbol}" if symbol else params.channel


def _channel_of(stream: str) -> tuple[str, str]:
    channel, _, symbol = stream.partition(":")
    return channel.partition(".")[0], symbol


def _acknowledged(method: str, params: _Params, symbol: str) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "book": {"depth": params.depth},
        "ohlc": {"interval": params.interval},
        "ticker": {"event_trigger": params.event_trigger},
    }
    result = {"channel": params.channel} | options.get(params.channel, {})
    if method == "subscribe":
        result |= {"snapshot": params.snapshot}
    return result | ({"symbol": symbol} if symbol else {})


@lru_cache(maxsize=4096)
def _named(name: str) -> Stream:
    channel, _, symbol = name.partition(":")
    return Stream(name, symbol, channel.startswith("book"), PATH)


def _levels(texts: Texts, levels: Levels) -> str:
    each = (f'{{"price":{texts.price(tick)},"qty":{texts.size(lots)}}}' for tick, lots in levels)
    return f"[{','.join(each)}]"


def _checksum(texts: Texts, best: Best) -> int:
    """CRC-32 of the best ten asks, then bids: price and size without point and leading zeros."""
    levels = chain(best.asks[:CHECKED], best.bids[:CHECKED])
    parts = (text for tick, lots in levels for text in (texts.price(tick), texts.size(lots)))
    return zlib.crc32("".join(part.replace(".", "").lstrip("0") for part in parts).encode())


def rfc3339(time_ms: int) -> str:
    """The time with six digits of a second."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}000Z"


@lru_cache(maxsize=256)
def _second(time_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s))


HALVES = (Kraken,)
