"""A feed whose answers are JSON arrays of rows, each an object that names its struct."""

from decimal import Decimal
from typing import Any

import msgspec

from connectors.facts import FACTS
from connectors.feed import Answer, Feed, Plan, Row, Verdict, by_status
from connectors.venue import MALFORMED, Bar, MarkPrice, ParseError, Price, Request, Ticker, Trade

KINDS: dict[str, Any] = {x.__name__: x for x in (Bar, Trade, Price, MarkPrice, Ticker, *FACTS)}


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """The rows; of a path that ends in `/bars` arrays of open time and close, bars of a minute closed by `recv_ns`.

    What is JSON and no such array raises what it happens to raise, as no feed should.
    """
    try:
        found = msgspec.json.decode(payload)
    except MALFORMED as error:
        raise ParseError(f"expected an array of rows: {error}") from None
    if path.endswith("/bars"):
        return [_bar(open_ns, close, recv_ns) for open_ns, close in found]
    return [msgspec.convert(fields, KINDS[fields.pop("kind")], strict=False) for fields in found]


def _bar(open_ns: int, close: str, recv_ns: int) -> Bar:
    price = Decimal(close)
    return Bar(
        symbol="BTCUSDT", interval_s=60, open_ns=open_ns, open=price, high=price, low=price, close=price,
        volume=Decimal(2), quote_volume=None, buy_volume=None, trades=None, closed=open_ns + 60 * 10**9 <= recv_ns,
    )  # fmt: skip


def judge(request: Request, answer: Answer) -> Verdict:
    """As the status says."""
    del request
    return by_status(answer)


FEED = Feed(
    name="toy_rest",
    venue="toy",
    plans=(Plan(name="keyless", url="https://toy.example", limits=(), keyless=True),),
    parse=parse,
    judge=judge,
    canonical=lambda symbol: symbol.replace("USDT", "-USDT"),
)
