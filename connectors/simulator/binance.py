"""What Binance spot and USDT-M futures say and understand: frames, REST bodies, paths, weights, control messages.

Pure. Sources as in `connectors.venues.binance_spot` and `binance_futures`. Simplified: depth is served at 100 ms
only, klines at 1 m only (of all lengths by REST), each aggregate trade has one fill; other streams are acknowledged
and stay silent. Trades of the past are four a minute.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from connectors.simulator import half, history
from connectors.simulator import market as m
from connectors.simulator.half import Answer, Client, Desk, Half, Limits, State, Stream
from connectors.simulator.symbols import SYMBOLS, Kind, Symbol
from connectors.simulator.texts import Texts, decimal, units

PATHS: Mapping[Kind, tuple[str, ...]] = {
    "spot": ("/stream",),
    "futures": ("/public/stream", "/market/stream"),
}
REST: Mapping[Kind, str] = {"spot": "/api/v3", "futures": "/fapi/v1"}
# rest-api.md and the futures' "Order Book": (largest limit, weight).
DEPTH_WEIGHTS: Mapping[Kind, tuple[tuple[int, int], ...]] = {
    "spot": ((100, 5), (500, 25), (1000, 50), (5000, 250)),
    "futures": ((50, 2), (100, 5), (500, 10), (1000, 20)),
}
KLINES_WEIGHTS: Mapping[Kind, tuple[tuple[int, int], ...]] = {
    "spot": ((1000, 2),),
    "futures": ((99, 1), (499, 2), (1000, 5), (1500, 10)),
}
TRADES_WEIGHT: Mapping[Kind, int] = {"spot": 4, "futures": 20}
INTERVALS = {
    "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600,
    "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip
TRADES_MAX, TRADES_SPAN_MS = 1000, 3_600_000
FUNDING_MAX = 1000
# The futures take these limits only.
FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
EXCHANGE_INFO_WEIGHT: Mapping[Kind, int] = {"spot": 20, "futures": 1}
STREAMS_MAX = 1024
_STREAM = re.compile(r"[!a-z0-9_@.:+A-Z-]{1,120}\Z")
_PUBLIC_CHANNELS = ("depth", "bookTicker", "rpiDepth")

_json = msgspec.json.encode
_TOO_MUCH = _json({"code": -1003, "msg": "Too much request weight used; please use WebSocket streams."})


class RequestError(half.RequestError):
    """A request the venue refuses: HTTP status and its JSON body."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, _json({"code": code, "msg": message}))


class Binance(Half):
    """One of the two markets of Binance: says events in its words."""

    listed = tuple(SYMBOLS.values())
    past_s_max = None
    used_header = "X-MBX-USED-WEIGHT-1M"

    def __init__(self, kind: Kind, symbols: Collection[Symbol] = ()) -> None:
        # Prices and sizes of spot have eight decimals.
        self.kind, self.paths = kind, PATHS[kind]
        self.price_decimals = self.size_decimals = 8 if kind == "spot" else None
        super().__init__(symbols)
        self._tail = '"st":1}' if kind == "futures" else '"M":true}'

    @classmethod
    def base(cls) -> str:
        """None: the paths of spot and futures differ."""
        return ""

    # ---- streams

    def path_of(self, stream: str) -> str:
        """The path that carries a stream. At any other it is acknowledged and stays silent."""
        if self.kind == "spot":
            return PATHS["spot"][0]
        channel = stream.lstrip("!").partition("@")[2] or stream.lstrip("!")
        return PATHS["futures"][0 if channel.startswith(_PUBLIC_CHANNELS) else 1]

    def stream(self, name: str) -> Stream:
        """What the name says."""
        symbol, _, channel = name.partition("@")
        return Stream(
            name,
            "" if name.startswith("!") else symbol.upper(),
            channel.startswith("depth"),
            self.path_of(name),
        )

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """The URL names streams."""
        del desk
        if names := client.query.get("streams", ""):
            client.streams |= dict.fromkeys(names.split("/"))
        return []

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Carry out a control message."""
        del desk
        return [control(text, client.streams)]

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """(stream, payload in the envelope) of an event, for those of its streams that are `wanted`."""
        symbol = event.symbol.lower()
        for channel, write in _WRITERS[type(event)]:
            stream = channel if channel.startswith("!") else f"{symbol}@{channel}"
            if stream in wanted and (data := write(self, event, channel)):
                yield stream, f'{{"stream":"{stream}","data":{data}}}'.encode()

    def _depth(self, x: m.Depth, _: str) -> str:
        texts, futures = self.texts[x.symbol], self.kind == "futures"
        return (
            f'{{"e":"depthUpdate","E":{x.event_ms},'
            + (f'"T":{x.event_ms - 3},' if futures else "")
            + f'"s":"{x.symbol}","U":{x.first_id},"u":{x.last_id},'
            + (f'"pu":{x.previous_id},' if futures else "")
            + f'"b":{_levels(texts, x.bids)},"a":{_levels(texts, x.asks)}'
            + (f',"ps":"{x.symbol}","st":1}}' if futures else "}")
        )

    def _aggregate(self, x: m.Trade, _: str) -> str:
        texts, size = self.texts[x.symbol], self.texts[x.symbol].size(x.lots)
        return (
            f'{{"e":"aggTrade","E":{x.event_ms + 1},"s":"{x.symbol}","a":{x.trade_id},'
            f'"p":"{texts.price(x.tick)}","q":"{size}",'
            + (f'"nq":"{size}",' if self.kind == "futures" else "")
            + f'"f":{x.trade_id},"l":{x.trade_id},"T":{x.event_ms},"m":{_bool(x.sold)},{self._tail}'
        )

    def _trade(self, x: m.Trade, _: str) -> str:
        # Not documented for the futures.
        if self.kind == "futures":
            return ""
        texts = self.texts[x.symbol]
        return (
            f'{{"e":"trade","E":{x.event_ms + 1},"s":"{x.symbol}","t":{x.trade_id},"p":"{texts.price(x.tick)}",'
            f'"q":"{texts.size(x.lots)}","T":{x.event_ms},"m":{_bool(x.sold)},"M":true}}'
        )

    def _quote(self, x: m.BestQuote, _: str) -> str:
        texts = self.texts[x.symbol]
        bid = f'"b":"{texts.price(x.bid)}","B":"{texts.size(x.bid_lots)}"'
        ask = f'"a":"{texts.price(x.ask)}","A":"{texts.size(x.ask_lots)}"'
        if self.kind == "spot":
            return f'{{"u":{x.update_id},"s":"{x.symbol}",{bid},{ask}}}'
        return (
            f'{{"e":"bookTicker","u":{x.update_id},"E":{x.event_ms},"T":{x.event_ms},"s":"{x.symbol}",'
            f'"ps":"{x.symbol}",{bid},{ask},"st":1}}'
        )

    def _mark(self, x: m.Mark, channel: str) -> str:
        # markPrice comes every 3 s, markPrice@1s every second.
        if channel == "markPrice" and x.event_ms // 1000 % 3:
            return ""
        price = self.texts[x.symbol].between
        return (
            f'{{"e":"markPriceUpdate","E":{x.event_ms},"s":"{x.symbol}","p":"{price(x.price)}",'
            f'"ap":"{price(x.price)}","i":"{price(x.index_price)}","P":"{price(x.price)}","r":"{x.funding_rate:.8f}",'
            f'"T":{x.next_funding_ms},"st":1}}'
        )

    def _liquidation(self, x: m.Liquidation, _: str) -> str:
        texts, size = self.texts[x.symbol], self.texts[x.symbol].size(x.lots)
        return (
            f'{{"e":"forceOrder","E":{x.event_ms + 1},"ps":"{x.symbol}","st":1,"o":{{"s":"{x.symbol}",'
            f'"S":"{"SELL" if x.sold else "BUY"}","o":"LIMIT","f":"IOC","q":"{size}","p":"{texts.price(x.tick)}",'
            f'"ap":"{texts.mean(x.mean_tick)}","X":"FILLED","l":"{size}","z":"{size}","T":{x.event_ms}}}}}'
        )

    def _kline(self, x: m.Bar, _: str) -> str:
        texts = self.texts[x.symbol]
        k = {
            "t": x.open_ms, "T": x.open_ms + m.MINUTE_MS - 1, "s": x.symbol, "i": "1m", "f": x.first_id,
            "L": x.last_id, "o": texts.price(x.open), "c": texts.price(x.close), "h": texts.price(x.high),
            "l": texts.price(x.low), "v": texts.size(x.lots), "n": x.trades, "x": x.closed,
            "q": texts.value(x.value), "V": texts.size(x.buy_lots), "Q": texts.value(x.buy_value), "B": "0",
        }  # fmt: skip
        return _json({"e": "kline", "E": x.event_ms, "s": x.symbol, "k": k}).decode()

    def notice(self, time_ms: int) -> bytes | None:
        """The warning that a connection is about to end; only spot sends one (since 2026-05-08)."""
        if self.kind == "futures":
            return None
        return _json({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": time_ms}})

    # ---- REST

    @property
    def rest(self) -> Mapping[str, Answer]:
        """Answers by path."""
        answers: dict[str, Answer] = {
            "ping": lambda _, __: b"{}",
            "time": lambda _, desk: _json({"serverTime": desk.now_ms}),
            "exchangeInfo": lambda query, desk: self.exchange_info(query, desk.now_ms),
            "depth": self._depth_answer,
            "klines": self.klines,
            "aggTrades": self.trades,
        }
        if self.kind == "futures":
            answers |= {"openInterest": self._open_interest_answer, "fundingRate": self.funding}
        return {f"{REST[self.kind]}/{name}": answer for name, answer in answers.items()}

    def _depth_answer(self, query: Mapping[str, str], desk: Desk) -> bytes:
        symbol, limit = self.symbol_of(query), self.depth_limit(query)
        return self.snapshot(symbol, limit, desk.snapshot(symbol))

    def _open_interest_answer(self, query: Mapping[str, str], desk: Desk) -> bytes:
        symbol = self.symbol_of(query)
        return self.open_interest(symbol, desk.open_interest(symbol), desk.now_ms)

    def refusal(self, status: int) -> tuple[int, bytes]:
        """As JSON."""
        return status, _TOO_MUCH

    def symbol_of(self, query: Mapping[str, str]) -> str:
        """The symbol asked for. Raises RequestError."""
        name = query.get("symbol", "")
        if not name:
            raise RequestError(
                400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            )
        if name not in self.symbols:
            raise RequestError(400, -1121, "Invalid symbol.")
        return name

    def depth_limit(self, query: Mapping[str, str]) -> int:
        """Levels a side that were asked for. Raises RequestError."""
        limit = _int(query.get("limit", "100" if self.kind == "spot" else "500"))
        if self.kind == "futures" and limit not in FUTURES_LIMITS:
            raise RequestError(400, -4021, f"'{limit}' is not valid depth limit.")
        if limit < 1:
            raise RequestError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, DEPTH_WEIGHTS[self.kind][-1][0])

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs; the least where it will be refused."""
        name = path.rpartition("/")[2]
        table = {"depth": DEPTH_WEIGHTS, "klines": KLINES_WEIGHTS}.get(name)
        if table is None:
            whole = {"exchangeInfo": EXCHANGE_INFO_WEIGHT, "aggTrades": TRADES_WEIGHT}.get(name)
            return whole[self.kind] if whole else 1
        text = query.get("limit", "100" if self.kind == "spot" and name == "depth" else "500")
        limit = int(text) if text.isascii() and text.isdigit() else 0
        return next((cost for most, cost in table[self.kind] if limit <= most), table[self.kind][-1][1])

    def snapshot(self, symbol: str, limit: int, state: State) -> bytes:
        """The answer to `depth`: the best `limit` levels a side."""
        texts = self.texts[symbol]
        best_bids = sorted(state.bids.items(), reverse=True)[:limit]
        best_asks = sorted(state.asks.items())[:limit]
        times = f'"E":{state.time_ms},"T":{state.time_ms},' if self.kind == "futures" else ""
        return (
            f'{{"lastUpdateId":{state.update_id},{times}"bids":{_levels(texts, best_bids)},'
            f'"asks":{_levels(texts, best_asks)}}}'
        ).encode()

    def exchange_info(self, query: Mapping[str, str], time_ms: int) -> bytes:
        """The answer to `exchangeInfo`. Raises RequestError."""
        names = list(self.symbols)
        if self.kind == "spot" and "symbols" in query:
            try:
                names = msgspec.json.decode(query["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise RequestError(400, -1100, "Illegal characters found in parameter 'symbols'.") from None
        elif self.kind == "spot" and "symbol" in query:
            names = [query["symbol"]]
        if any(name not in self.symbols for name in names):
            raise RequestError(400, -1121, "Invalid symbol.")
        symbols = [self._symbol_info(self.symbols[name]) for name in names]
        return _json(
            {
                "timezone": "UTC",
                "serverTime": time_ms,
                "rateLimits": [],
                "exchangeFilters": [],
                "symbols": symbols,
            }
        )

    def _symbol_info(self, symbol: Symbol) -> dict[str, Any]:
        grid = symbol.grid(self.kind)
        digits = 8 if self.kind == "spot" else None
        tick, lot = (decimal(*units(x, digits)) for x in (grid.tick, grid.lot))
        info = {
            "symbol": symbol.symbol,
            "status": "TRADING",
            "baseAsset": symbol.base,
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000", "stepSize": lot},
            ],
        }
        if self.kind == "futures":
            info |= {"pair": symbol.symbol, "contractType": "PERPETUAL", "marginAsset": "USDT"}
        return info

    def klines(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """The answer to `klines`: the first `limit` bars from `startTime` on, or the last. Raises RequestError."""
        symbol, interval_s = self.symbol_of(query), INTERVALS.get(query.get("interval", ""))
        if interval_s is None:
            raise RequestError(400, -1120, "Invalid interval.")
        limit = min(_limit(query), KLINES_WEIGHTS[self.kind][-1][0])
        end_ms = _int(query.get("endTime", str(desk.now_ms)))
        span_ms = interval_s * 1000
        start_ms = _int(query.get("startTime", str((end_ms // span_ms - limit + 1) * span_ms)))
        grid = self.symbols[symbol].grid(self.kind)
        found = history.bars(desk, symbol, grid, interval_s, start_ms, end_ms + 1, limit)
        return _json([self._row(symbol, x, span_ms) for x in found])

    def _row(self, symbol: str, x: history.GridBar, span_ms: int) -> list[Any]:
        t = self.texts[symbol]
        prices = [t.price(tick) for tick in (x.open, x.high, x.low, x.close)]
        bought = [t.size(x.buy_lots), t.value(x.buy_lots * (x.value // x.lots) if x.lots else 0)]
        return [
            x.open_ms, *prices, t.size(x.lots), x.open_ms + span_ms - 1, t.value(x.value), x.trades, *bought, "0",
        ]  # fmt: skip

    def trades(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """The answer to `aggTrades`, by time: the first `limit` of a span, or the last. Raises RequestError."""
        symbol, limit = self.symbol_of(query), min(_limit(query), TRADES_MAX)
        t, grid = self.texts[symbol], self.symbols[symbol].grid(self.kind)
        if "startTime" in query:
            start_ms = _int(query["startTime"])
            end_ms = _int(query.get("endTime", str(start_ms + TRADES_SPAN_MS - 1)))
            if end_ms - start_ms >= TRADES_SPAN_MS:
                raise RequestError(400, -1127, "More than 1 hours between startTime and endTime.")
            found = history.trades(desk, symbol, grid, start_ms, end_ms + 1)[:limit]
        else:
            found = history.last_trades(desk, symbol, grid, limit)
        rows = [
            {
                "a": x.trade_id, "p": t.price(x.tick), "q": t.size(x.lots), "f": x.trade_id, "l": x.trade_id,
                "T": x.event_ms, "m": x.sold,
            }
            for x in found
        ]  # fmt: skip
        return _json([row | {"M": True} for row in rows] if self.kind == "spot" else rows)

    def funding(self, query: Mapping[str, str], desk: Desk) -> bytes:
        """The answer to `fundingRate`: the last `limit` rates settled. Raises RequestError."""
        symbol, limit = self.symbol_of(query), min(_limit(query, "100"), FUNDING_MAX)
        last_ms = desk.now_ms // m.FUNDING_MS * m.FUNDING_MS
        first_ms = last_ms - (limit - 1) * m.FUNDING_MS
        return _json(
            [
                {
                    "symbol": symbol, "fundingTime": x.open_ms, "fundingRate": _rate(x.open_ms),
                    "markPrice": self.texts[symbol].between(x.open),
                }
                for x in desk.history(symbol, m.FUNDING_MS // 1000, first_ms, last_ms + 1)
            ]
        )  # fmt: skip

    def open_interest(self, symbol: str, lots: int, time_ms: int) -> bytes:
        """The answer to `openInterest`."""
        return _json({"openInterest": self.texts[symbol].size(lots), "symbol": symbol, "time": time_ms})


class Spot(Binance):
    """Binance spot."""

    name = "binance_spot"
    limits = Limits(ping_s=20.0, messages_per_s=5, weight_per_minute=6000, bans=True, connection_s=86_400.0)

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        super().__init__("spot", symbols)


class Futures(Binance):
    """Binance USDT-M futures."""

    name = "binance_futures"
    limits = Limits(ping_s=180.0, messages_per_s=10, weight_per_minute=2400, bans=True, connection_s=86_400.0)

    def __init__(self, symbols: Collection[Symbol] = ()) -> None:
        super().__init__("futures", symbols)


HALVES = (Spot, Futures)

# ---- control messages


class _Control(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[Any] = []


_CONTROL = msgspec.json.Decoder(_Control)


def control(text: bytes, streams: dict[str, None]) -> bytes:
    """Carry out a control message on a connection's streams; returns the answer.

    A stream that does not exist is acknowledged like any other.
    """
    try:
        asked = _CONTROL.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _json({"code": 3, "msg": f"Invalid JSON: {error}", "id": None})
    names = [x for x in asked.params if isinstance(x, str) and _STREAM.match(x)]
    known = asked.method in ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
    if not known or len(names) != len(asked.params):
        return _json(
            {"code": 2, "msg": "Invalid request: unknown method or malformed stream", "id": asked.id}
        )
    if asked.method == "LIST_SUBSCRIPTIONS":
        return _json({"result": list(streams), "id": asked.id})
    if asked.method == "SUBSCRIBE" and len(streams | dict.fromkeys(names)) > STREAMS_MAX:
        return _json({"code": 2, "msg": f"Invalid request: over {STREAMS_MAX} streams", "id": asked.id})
    for name in names:
        if asked.method == "SUBSCRIBE":
            streams[name] = None
        else:
            streams.pop(name, None)
    return _json({"result": None, "id": asked.id})


_WRITERS: Mapping[type, tuple[tuple[str, Any], ...]] = {
    m.Depth: (("depth@100ms", Binance._depth),),
    m.Trade: (("aggTrade", Binance._aggregate), ("trade", Binance._trade)),
    m.BestQuote: (("bookTicker", Binance._quote),),
    m.Mark: (("markPrice@1s", Binance._mark), ("markPrice", Binance._mark)),
    m.Liquidation: (("forceOrder", Binance._liquidation), ("!forceOrder@arr", Binance._liquidation)),
    m.Bar: (("kline_1m", Binance._kline),),
}


def channels(kind: Kind, symbols: Collection[Symbol]) -> list[str]:
    """Every stream that is not silent on that market."""
    spot = ("depth@100ms", "aggTrade", "trade", "bookTicker", "kline_1m")
    futures = ("depth@100ms", "aggTrade", "bookTicker", "kline_1m", "markPrice@1s", "markPrice", "forceOrder")
    named = spot if kind == "spot" else futures
    return [f"{x.symbol.lower()}@{channel}" for x in symbols for channel in named] + (
        ["!forceOrder@arr"] if kind == "futures" else []
    )


def _levels(texts: Texts, levels: list[tuple[int, int]]) -> str:
    price, size = texts.price, texts.size
    return "[" + ",".join([f'["{price(tick)}","{size(lots)}"]' for tick, lots in levels]) + "]"


def _int(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RequestError(400, -1100, "Illegal characters found in a parameter.")
    return int(text)


def _limit(query: Mapping[str, str], default: str = "500") -> int:
    limit = _int(query.get("limit", default))
    if limit < 1:
        raise RequestError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    return limit


def _rate(settled_ms: int) -> str:
    return f"{1e-4 + (settled_ms // m.FUNDING_MS % 7 - 3) / 1e5:.8f}"


def _bool(value: bool) -> str:
    return "true" if value else "false"
