"""What a venue says of its instruments by request."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from connectors.book_sync import Rule
from connectors.listing import Listing
from connectors.rest import Answer, RestError
from connectors.telemetry import State, Telemetry
from connectors.venue import Instrument, Market, Request
from tests.connectors.toy_streams import toy, with_live


class Rest:
    """Knows some symbols; a request that names another one fails as a whole, with `status`."""

    def __init__(self, known: set[str], status: int = 400) -> None:
        self.known, self.status = known, status
        self.asked: list[str] = []

    async def get(self, request: Request) -> Answer:
        self.asked.append(request.path)
        symbols = request.path.split(",")
        if not self.known.issuperset(symbols):
            raise RestError(f"found {self.status}", self.status)
        found = [
            Instrument(symbol=symbol, instrument=symbol, tick=Decimal(1), lot=Decimal(1))
            for symbol in symbols
        ]
        # The venue tells of more than it was asked for.
        found.append(Instrument(symbol="OTHER", instrument="OTHER", tick=Decimal(1), lot=Decimal(1)))
        return Answer(1, msgspec.json.encode({"ch": "instruments", "listed": found}))


def together() -> Market:
    return with_live(toy(Rule.NEXT_ID), instruments=lambda symbols: [Request(",".join(symbols), 1)])


def one_each() -> Market:
    return with_live(
        toy(Rule.NEXT_ID), instruments=lambda symbols: [Request(symbol, 1) for symbol in symbols]
    )


def fetch(served: Market, rest: Rest, symbols: list[str]) -> list[str]:
    return [each.symbol for each in asyncio.run(Listing(served, symbols, rest).fetch())]


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_symbol_leaves_the_others_alone(status: int) -> None:
    rest = Rest({"A", "C"}, status)
    assert fetch(together(), rest, ["A", "B", "C"]) == ["A", "C"]
    assert rest.asked == ["A,B,C", "A", "B", "C"]
    rest = Rest({"A", "C"}, status)
    assert fetch(one_each(), rest, ["A", "B", "C"]) == ["A", "C"]
    assert rest.asked == ["A", "B", "C"]


@pytest.mark.parametrize("served", [together(), one_each()], ids=["together", "one_each"])
def test_another_refusal_is_an_error(served: Market) -> None:
    with pytest.raises(RestError):
        fetch(served, Rest({"A"}, 403), ["A", "B"])


def test_symbols_that_are_not_among_the_instruments_are_down() -> None:
    telemetry, symbols = Telemetry(), ["A", "B"]
    listing = Listing(one_each(), symbols, Rest({"A"}))
    assert listing.known(asyncio.run(listing.fetch()), telemetry) == ["A"]
    feed = telemetry.feed("toy_next_id", "B")
    assert (feed.state, feed.reason) == (State.DOWN, "unknown to the venue")
    assert listing.known([], telemetry) == symbols, "nothing is known of any"


def test_a_market_that_tells_none_by_request() -> None:
    assert fetch(toy(Rule.NEXT_ID), Rest(set()), ["A"]) == []
