"""The registry of markets, and what every market must say about itself."""

import re

import pytest

from connectors.venue import Market, Role, Route, UnknownMarketError, market, markets


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
