"""Addresses: the venue's own, or the environment's."""

from dataclasses import replace

import pytest

from connectors.endpoint import EndpointError, endpoint, redacted
from connectors.venue import market

SPOT = market("binance_spot")


def test_the_venue_is_the_default() -> None:
    assert endpoint(SPOT, {}) == (SPOT.live.ws_url, SPOT.live.rest_url)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:1", "[::1]:9"])
def test_plain_text_is_for_the_own_machine(host: str) -> None:
    found = endpoint(
        SPOT, {"ISOTHERM_BINANCE_SPOT_WS": f"ws://{host}/", "ISOTHERM_BINANCE_SPOT_REST": f"http://{host}"}
    )
    assert found == (f"ws://{host}", f"http://{host}")


@pytest.mark.parametrize(
    "url",
    ["ws://example.org", "ws://10.0.0.1", "http://127.0.0.1", "wss://", "file:///etc/passwd", "wss://h/?a=b",
     "ws://localhost.example.org", "ws://127.0.0.1.example.org"],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(EndpointError, match=r"ISOTHERM_BINANCE_SPOT_WS: expected wss://"):
        endpoint(SPOT, {"ISOTHERM_BINANCE_SPOT_WS": url})


def test_secrets_of_an_address_are_not_shown() -> None:
    assert redacted("wss://user:secret@host:1/stream?token=secret#secret") == "wss://host:1/stream"
    with pytest.raises(EndpointError) as refused:
        endpoint(SPOT, {"ISOTHERM_BINANCE_SPOT_REST": "http://user:secret@example.org?key=secret"})
    assert "secret" not in str(refused.value)


def test_a_market_without_rest_has_no_address_of_it() -> None:
    silent = replace(SPOT, live=replace(SPOT.live, rest_url=""))
    assert endpoint(silent, {}).rest_url == ""
    named = endpoint(silent, {"ISOTHERM_BINANCE_SPOT_REST": "http://127.0.0.1:1"})
    assert named.rest_url == "http://127.0.0.1:1"
