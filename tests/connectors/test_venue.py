"""The registry of markets, and what every market must say about itself."""

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.venue import Market, Role, Route, Ticker, UnknownMarketError, market, markets


def test_markets_are_found_by_name() -> None:
    assert {"binance_spot", "binance_futures"} <= set(markets())
    assert market("binance_spot").topic == "raw.binance_spot"


def test_an_unknown_market_is_told_what_there_is() -> None:
    with pytest.raises(UnknownMarketError, match=r"binance_futures, binance_spot.*'nyse'"):
        market("nyse")


@pytest.mark.parametrize("served", markets().values(), ids=lambda served: served.name)
def test_a_market_describes_its_book(served: Market) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", served.name)
    roles = set(served.wire.roles.values())
    kinds = {*served.wire.routes.values(), *served.wire.untagged.values()}
    assert {Route.TRADE, Route.OTHER} <= kinds
    assert Route.UNKNOWN not in kinds
    assert Role.ROUTE in roles
    assert served.has_book == ({Role.BIDS, Role.ASKS} <= roles or Role.SIDES in roles)
    # A book begins from a snapshot, by REST or in the stream.
    assert served.has_book == (Route.SNAPSHOT in kinds or served.wire.in_stream)


FIELDS = st.sampled_from(["last", "bid", "mark", "funding_rate", "open_interest", "volume"])
TOLD = st.dictionaries(FIELDS, st.integers(0, 9).map(Decimal))


@given(first=TOLD, changes=st.lists(TOLD))
def test_a_ticker_is_what_was_told_last_of_each_field(
    first: dict[str, Decimal], changes: list[dict[str, Decimal]]
) -> None:
    merged = Ticker(symbol="X", event_ns=0, delta=False, **first)
    expected = dict(first)
    for event_ns, change in enumerate(changes, start=1):
        merged = Ticker(symbol="X", event_ns=event_ns, delta=True, **change).over(merged)
        expected |= change
    found = {name: value for name, value in msgspec.structs.asdict(merged).items() if value is not None}
    assert found == {"symbol": "X", "event_ns": len(changes), "delta": False, **expected}


def test_a_whole_ticker_and_a_first_one_stand_as_they_are() -> None:
    delta = Ticker(symbol="X", event_ns=1, delta=True, last=Decimal(1))
    whole = Ticker(symbol="X", event_ns=2, delta=False, mark=Decimal(2))
    assert delta.over(None) is delta
    assert whole.over(delta) is whole
    assert delta.over(delta).delta
