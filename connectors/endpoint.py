"""Where markets and polled feeds are reached: at their own addresses, or those that environment or settings name."""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from connectors.settings import Venue
from connectors.venue import Market


class EndpointError(ValueError):
    """An address is not one to connect to."""


class Endpoint(NamedTuple):
    """Base addresses, without a path's end: `wss://host[:port]` and `https://host[:port]`, "" if nothing is there."""

    ws_url: str
    rest_url: str


def endpoint(market: Market, environ: Mapping[str, str], chosen: Venue = Venue()) -> Endpoint:
    """Those of ISOTHERM_<MARKET>_WS and ISOTHERM_<MARKET>_REST, else those chosen, else the venue's.

    Raises:
        EndpointError: one is not wss or https (ws or http on the own machine).
    """

    def address(kind: str, set_to: str | None, own: str, secure: str, plain: str) -> str:
        variable = f"ISOTHERM_{market.name}_{kind}".upper()
        if environ.get(variable):
            return _checked(variable, environ[variable], secure, plain)
        return _checked(f"venues.{market.name}.{kind}", set_to or own, secure, plain)

    live = market.live
    return Endpoint(
        address("ws", chosen.ws, live.ws_url, "wss", "ws"),
        address("rest", chosen.rest, live.rest_url, "https", "http"),
    )


def feed_url(name: str, own: str, environ: Mapping[str, str], set_to: str | None = None) -> str:
    """Where a polled feed is reached: ISOTHERM_<FEED>_URL, else what is set, else the plan's `own`.

    Raises:
        EndpointError: it is not https (http on the own machine).
    """
    variable = f"ISOTHERM_{name}_URL".upper()
    if environ.get(variable):
        return _checked(variable, environ[variable], "https", "http")
    return _checked(f"feeds.{name}.url", set_to or own, "https", "http")


def redacted(url: str) -> str:
    """The address without user, password and query, for logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked(name: str, url: str, secure: str, plain: str) -> str:
    if not url:
        return url
    parts = urlsplit(url)
    allowed = (secure, plain) if is_own_machine(parts.hostname or "") else (secure,)
    if parts.scheme not in allowed or not parts.hostname or parts.query or parts.fragment:
        raise EndpointError(
            f"{name}: expected {secure}://HOST[:PORT], or {plain}:// on the own machine, found {redacted(url)!r}"
        )
    return url.rstrip("/")


def is_own_machine(host: str) -> bool:
    """Whether a host is the loopback, whose traffic leaves no machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
