"""Massive's simulated halves, crypto and forex: a greeting, a login, then arrays of one event each.

Sources as in `connectors.venues.massive`. Bars of a minute come when it is over.
"""

from collections.abc import Collection, Iterator

import msgspec

from connectors.simulator import market as m
from connectors.simulator.half import DEMO_KEY, Client, Desk, Half, Limits, Stream
from connectors.simulator.symbols import listed

SHARE = 0.2
EXCHANGE = 1

_json = msgspec.json.encode


class _Said(msgspec.Struct):
    action: str
    params: str = ""


_SAID = msgspec.json.Decoder(_Said)


def _status(status: str, message: str) -> bytes:
    return _json([{"ev": "status", "status": status, "message": message}])


class _Cluster(Half):
    """What both have in common."""

    channels: tuple[str, ...]
    limits = Limits(messages_per_s=30)

    def opened(self, client: Client, desk: Desk) -> list[bytes]:
        """The greeting."""
        del client, desk
        return [_status("connected", "Connected Successfully")]

    def answer(self, text: bytes, client: Client, desk: Desk) -> list[bytes]:
        """Login, then subscriptions."""
        del desk
        try:
            said = _SAID.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [_status("error", "invalid message")]
        if said.action == "auth":
            client.ready = said.params == DEMO_KEY
            client.closing = not client.ready
            return [
                _status("auth_success", "authenticated")
                if client.ready
                else _status("auth_failed", "authentication failed")
            ]
        if not client.ready:
            client.closing = True
            return [_status("auth_timeout", "authentication required")]
        if said.action not in ("subscribe", "unsubscribe"):
            return [_status("error", "unknown action")]
        return [self._follow(name, client, said.action == "subscribe") for name in said.params.split(",")]

    def _follow(self, name: str, client: Client, wanted: bool) -> bytes:
        channel, _, symbol = name.partition(".")
        if channel not in self.channels or symbol not in self.symbols:
            return _status("error", f"invalid subscription {name[:64]}")
        if wanted:
            client.streams[name] = None
        else:
            client.streams.pop(name, None)
        return _status("success", f"{'subscribed' if wanted else 'unsubscribed'} to: {name}")

    def stream(self, name: str) -> Stream:
        """CHANNEL.SYMBOL."""
        return Stream(name, name.partition(".")[2], False, self.paths[0])

    def _bar(self, x: m.Bar, channel: str) -> str:
        text = self.texts[x.symbol]
        prices = [text.price(tick) for tick in (x.open, x.high, x.low, x.close)]
        low_to_high = dict(zip("ohlc", prices, strict=True))
        told = ",".join(f'"{name}":{price}' for name, price in low_to_high.items())
        volume = text.size(x.lots) if channel == "XA" else str(x.trades)
        return (
            f'{{"ev":"{channel}","pair":"{x.symbol}",{told},"v":{volume},"s":{x.open_ms},'
            f'"e":{x.open_ms + m.MINUTE_MS}}}'
        )


class Crypto(_Cluster):
    """Trades of one exchange, and bars."""

    name = "massive_crypto"
    channels = ("XT", "XQ", "XA")
    paths = ("/crypto",)
    listed = (
        listed("BTC-USD", "BTC", "USD", "0.01", "0.00001", SHARE),
        listed("ETH-USD", "ETH", "USD", "0.01", "0.0001", SHARE),
        listed("SOL-USD", "SOL", "USD", "0.01", "0.001", SHARE),
        listed("XRP-USD", "XRP", "USD", "0.0001", "0.001", SHARE),
        listed("DOGE-USD", "DOGE", "USD", "0.00001", "0.1", SHARE),
        listed("ADA-USD", "ADA", "USD", "0.0001", "0.001", SHARE),
        listed("LTC-USD", "LTC", "USD", "0.01", "0.0001", SHARE),
        listed("LINK-USD", "LINK", "USD", "0.001", "0.001", SHARE),
    )

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Trades, quotes, and bars that are over."""
        text = self.texts[event.symbol]
        if isinstance(event, m.Trade) and (name := f"XT.{event.symbol}") in wanted:
            yield (
                name,
                (
                    f'[{{"ev":"XT","pair":"{event.symbol}","p":{text.price(event.tick)},"t":{event.event_ms},'
                    f'"s":{text.size(event.lots)},"c":[{1 if event.sold else 2}],"i":{event.trade_id},'
                    f'"x":{EXCHANGE},"r":{event.event_ms + 1}}}]'
                ).encode(),
            )
        elif isinstance(event, m.BestQuote) and (name := f"XQ.{event.symbol}") in wanted:
            yield (
                name,
                (
                    f'[{{"ev":"XQ","pair":"{event.symbol}","bp":{text.price(event.bid)},"bs":{text.size(event.bid_lots)},'
                    f'"ap":{text.price(event.ask)},"as":{text.size(event.ask_lots)},"t":{event.event_ms},"x":{EXCHANGE}}}]'
                ).encode(),
            )
        elif (
            isinstance(event, m.Bar)
            and event.closed
            and event.trades
            and (name := f"XA.{event.symbol}") in wanted
        ):
            yield name, f"[{self._bar(event, 'XA')}]".encode()


class Forex(_Cluster):
    """Quotes, and bars of quotes."""

    name = "massive_forex"
    channels = ("C", "CA")
    paths = ("/forex",)
    listed = (
        listed("EUR-USD", "EUR", "USD", "0.00001", "1", SHARE),
        listed("GBP-USD", "GBP", "USD", "0.00001", "1", SHARE),
        listed("USD-JPY", "USD", "JPY", "0.001", "1", SHARE),
        listed("USD-CHF", "USD", "CHF", "0.00001", "1", SHARE),
        listed("AUD-USD", "AUD", "USD", "0.00001", "1", SHARE),
        listed("USD-CAD", "USD", "CAD", "0.00001", "1", SHARE),
        listed("NZD-USD", "NZD", "USD", "0.00001", "1", SHARE),
        listed("EUR-GBP", "EUR", "GBP", "0.00001", "1", SHARE),
        listed("EUR-JPY", "EUR", "JPY", "0.001", "1", SHARE),
    )

    def frames(self, event: m.Event, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """A quote when the touch has moved, and bars that are over."""
        text = self.texts[event.symbol]
        if isinstance(event, m.BestQuote) and (name := f"C.{event.symbol}") in wanted:
            yield (
                name,
                (
                    f'[{{"ev":"C","p":"{event.symbol.replace("-", "/")}","x":48,"a":{text.price(event.ask)},'
                    f'"b":{text.price(event.bid)},"t":{event.event_ms}}}]'
                ).encode(),
            )
        elif (
            isinstance(event, m.Bar)
            and event.closed
            and event.trades
            and (name := f"CA.{event.symbol}") in wanted
        ):
            yield name, f"[{self._bar(event, 'CA')}]".encode()


HALVES = (Crypto, Forex)
