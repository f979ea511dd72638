"""Finnhub's simulated half: prints of crypto with sizes, price updates of forex without, for one key.

Sources as in `connectors.venues.finnhub`. Prints of one step are sent one a frame.
"""

from collections.abc import Collection, Iterator

import msgspec

from connectors.simulator import market as m
from connectors.simulator.half import DEMO_KEY, Client, Desk, Half, Limits, RequestError, Stream
from connectors.simulator.symbols import listed

PATH = "/"
SHARE = 0.2
SYMBOLS_MAX = 50

_json = msgspec.json.encode


class _Said(msgspec.Struct):
    type: str
    symbol: str = ""


_SAID = msgspec.json.Decoder(_Said)


class Finnhub(Half):
    """Prints of forex and crypto."""

    name = "finnhub"
    listed = (
        listed("OANDA:EUR_USD", "EUR", "USD", "0.00001", "1", SHARE),
        listed("OANDA:GBP_USD", "GBP", "USD", "0.00001", "1", SHARE),
        listed("OANDA:USD_JPY", "USD", "JPY", "0.001", "1", SHARE),
        listed("OANDA:USD_CHF", "USD", "CHF", "0.00001", "1", SHARE),
        listed("OANDA:AUD_USD", "AUD", "USD", "0.00001", "1", SHARE),
        listed("OANDA:USD_CAD", "USD", "CAD", "0.00001", "1", SHARE),
        listed("BINANCE:BTCUSDT", "BTC", "USDT", "0.01", "0.00001", SHARE),
        listed("BINANCE:ETHUSDT", "ETH", "USDT", "0.01", "0.0001", SHARE),
    )
    paths = (PATH,)
    limits = Limits(heartbeat_s=60.0, messages_per_s=30)

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """Nothing; a wrong key is refused."""
        del desk
        if client.query.get("token") != DEMO_KEY:
            raise RequestError(401, _json({"type": "error", "msg": "Invalid API key"}))
        return []

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Subscriptions are not acknowledged; an unknown symbol stays silent."""
        del desk
        try:
            said = _SAID.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_json({"type": "error", "msg": "Invalid message"})]
        if said.type == "unsubscribe":
            client.streams.pop(said.symbol, None)
        elif said.type != "subscribe":
            return [_json({"type": "error", "msg": "Unknown type"})]
        elif len(client.streams) >= SYMBOLS_MAX:
            return [_json({"type": "error", "msg": "Subscribing to too many symbols"})]
        else:
            client.streams[said.symbol] = None
        return []

    def stream(self, name: str) -> Stream:
        """A symbol is its own stream."""
        return Stream(name, name, False, PATH)

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """A print for each trade: of forex, its price alone."""
        if not isinstance(event, m.Trade) or event.symbol not in wanted:
            return
        text = self.texts[event.symbol]
        size = "0" if event.symbol.startswith("OANDA:") else text.size(event.lots)
        yield (
            event.symbol,
            (
                f'{{"data":[{{"c":null,"p":{text.price(event.tick)},"s":"{event.symbol}","t":{event.event_ms},'
                f'"v":{size}}}],"type":"trade"}}'
            ).encode(),
        )

    def heartbeat(self, client: Client, time_ms: int) -> bytes | None:
        """A ping."""
        del client, time_ms
        return b'{"type":"ping"}'


HALVES = (Finnhub,)
