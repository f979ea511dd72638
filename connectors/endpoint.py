"""Where a market is reached: the venue's own addresses, or those the environment names."""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from connectors.venue import Market


class EndpointError(ValueError):
    """An address is not one to connect to."""


class Endpoint(NamedTuple):
    """Base addresses, without a path's end: `wss://host[:port]` and `https://host[:port]`, "" if nothing is there."""

    ws_url: str
    rest_url: str


def endpoint(market: Market, environ: Mapping[str, str]) -> Endpoint:
    """Those of ISOTHERM_<MARKET>_WS and ISOTHERM_<MARKET>_REST, else the venue's.

    Raises:
        EndpointError: one is not wss or https (ws or http on the own machine).
    """
    prefix = f"ISOTHERM_{market.name.upper()}"
    return Endpoint(
        _checked(f"{prefix}_WS", environ.get(f"{prefix}_WS") or market.live.ws_url, "wss", "ws"),
        _checked(f"{prefix}_REST", environ.get(f"{prefix}_REST") or market.live.rest_url, "https", "http"),
    )


def redacted(url: str) -> str:
    """The address without user, password and query, for logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked(name: str, url: str, secure: str, plain: str) -> str:
    if not url:
        return url
    parts = urlsplit(url)
    allowed = (secure, plain) if _is_own_machine(parts.hostname or "") else (secure,)
    if parts.scheme not in allowed or not parts.hostname or parts.query or parts.fragment:
        raise EndpointError(
            f"{name}: expected {secure}://HOST[:PORT], or {plain}:// on the own machine, found {redacted(url)!r}"
        )
    return url.rstrip("/")


def _is_own_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
