"""Twelve Data's simulated half: one price a second and symbol at most, for one key.

Sources as in `connectors.venues.twelve_data`. Simplified: the price is the middle of a simulated book, of forex and
crypto alike, with bid and ask beside it.
"""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from connectors.simulator import market as m
from connectors.simulator.half import DEMO_KEY, Client, Desk, Half, Limits, RequestError, Stream
from connectors.simulator.symbols import listed

PATH = "/v1/quotes/price"
SHARE = 0.2

_json = msgspec.json.encode


class _Said(msgspec.Struct):
    action: str
    params: dict[str, Any] = {}


_SAID = msgspec.json.Decoder(_Said)


class TwelveData(Half):
    """Prices of forex and crypto."""

    name = "twelve_data"
    listed = (
        listed("EUR/USD", "EUR", "USD", "0.00001", "1", SHARE),
        listed("GBP/USD", "GBP", "USD", "0.00001", "1", SHARE),
        listed("USD/JPY", "USD", "JPY", "0.001", "1", SHARE),
        listed("USD/CHF", "USD", "CHF", "0.00001", "1", SHARE),
        listed("AUD/USD", "AUD", "USD", "0.00001", "1", SHARE),
        listed("USD/CAD", "USD", "CAD", "0.00001", "1", SHARE),
        listed("NZD/USD", "NZD", "USD", "0.00001", "1", SHARE),
        listed("EUR/GBP", "EUR", "GBP", "0.00001", "1", SHARE),
        listed("BTC/USD", "BTC", "USD", "0.01", "0.00001", SHARE),
        listed("ETH/USD", "ETH", "USD", "0.01", "0.0001", SHARE),
    )
    paths = (PATH,)
    limits = Limits(messages_per_s=10)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._told_s: dict[str, int] = {}

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """Nothing; a wrong key is refused."""
        del desk
        if client.query.get("apikey") != DEMO_KEY:
            raise RequestError(
                401, _json({"code": 401, "message": "**apikey** parameter is incorrect", "status": "error"})
            )
        return []

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Subscribe, unsubscribe, reset, heartbeat; some symbols may fail and the others go on."""
        del desk
        try:
            said = _SAID.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [
                _json({"event": "message-processing", "status": "error", "messages": ["Invalid message"]})
            ]
        if said.action == "heartbeat":
            return [_json({"event": "heartbeat", "status": "ok"})]
        if said.action == "reset":
            client.streams.clear()
            return [_json({"event": "reset-status", "status": "ok"})]
        if said.action not in ("subscribe", "unsubscribe"):
            return [_json({"event": "message-processing", "status": "error", "messages": ["Unknown action"]})]
        names = [name for name in str(said.params.get("symbols", "")).split(",") if name]
        known = [name for name in names if name in self.symbols]
        for name in known:
            if said.action == "subscribe":
                client.streams[name] = None
            else:
                client.streams.pop(name, None)
        status = {
            "event": f"{said.action}-status",
            "status": "ok" if known else "error",
            "success": [{"symbol": name, "exchange": "SIMULATED", "type": "Simulated"} for name in known],
            "fails": [{"symbol": name} for name in names if name not in self.symbols],
        }
        return [_json(status)]

    def stream(self, name: str) -> Stream:
        """A symbol is its own stream."""
        return Stream(name, name, False, PATH)

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """A price when the touch has moved, once a second at most."""
        symbol, second = event.symbol, event.event_ms // 1000
        if not isinstance(event, m.BestQuote) or symbol not in wanted or self._told_s.get(symbol) == second:
            return
        self._told_s[symbol] = second
        bid, ask = self.texts[symbol].price(event.bid), self.texts[symbol].price(event.ask)
        middle = self.texts[symbol].price((event.bid + event.ask) // 2)
        yield (
            symbol,
            (
                f'{{"event":"price","symbol":"{symbol}","exchange":"SIMULATED","type":"Simulated",'
                f'"timestamp":{second},"price":{middle},"bid":{bid},"ask":{ask}}}'
            ).encode(),
        )


HALVES = (TwelveData,)
