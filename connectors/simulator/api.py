"""What the simulated half of a polled API says of itself; `apis` finds every one.

An API's half is one file of `connectors.simulator.apis`; its `APIS` lists what it plays. It is pure: it answers a
request from the simulated world. `api_service` serves it at `/<name>`, counts what its limits allow per key, by the
windows in which the vendor counts, and refuses what is beyond in the vendor's words.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from connectors.simulator.half import DEMO_KEY

# What an API can be told to do wrong, by the command of `connectors.simulator.faults` of that kind.
#   bad_key, plan_expired: the key, or the plan, is refused; limited: as over the limit; gone: the API has ended
#   server_error, html, empty: 500, an HTML page, no body, in place of the answer
#   nulls: every field that may be null is; repeated_page: every page is the first
#   renamed_column: a column or field has another name; old_data: the values stay while their times go on
ApiFault = Literal[
    "bad_key", "plan_expired", "limited", "gone", "server_error", "html", "empty", "nulls", "repeated_page",
    "renamed_column", "old_data",
]  # fmt: skip


class WorldBar(NamedTuple):
    """[open_ms, open_ms + interval): prices in quote, volume in base currency, trades counted."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    trades: int


class World(Protocol):
    """The simulated prices, past and present: the same that the simulated venues trade around."""

    @property
    def now_ms(self) -> int:
        """The present."""

    def price(self, base: str, quote: str, time_ms: int) -> float:
        """Of one base in quote (assets of `connectors.simulator.symbols.ASSETS`), at a time up to now."""

    def bars(self, base: str, quote: str, interval_s: int, from_ms: int, to_ms: int) -> list[WorldBar]:
        """Those that open within [from_ms, to_ms) and not after now, oldest first; the last may be open still."""


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, as the half sees it. Parts of the path in braces join the query; header names in lower case."""

    path: str  # without the API's base
    query: Mapping[str, str]
    headers: Mapping[str, str]
    world: World
    faults: frozenset[ApiFault] = (
        frozenset()
    )  # of those that shape data: nulls, repeated_page, renamed_column, old_data
    # Where `old_data` holds, values are those of this time while times are told of `world.now_ms`; else that.
    values_ms: int = 0


class Window(NamedTuple):
    """At most so many units in each minute, day or month of the calendar (UTC), as the vendor counts."""

    units: int
    span: Literal["second", "minute", "day", "month"]


class ApiHalf:
    """The simulated half of one API. Halves of venues' own REST interfaces are with their venue (`half.Half.rest`)."""

    name: str  # of the feed: coingecko
    keys: Mapping[str, str] = MappingProxyType({DEMO_KEY: "demo"})  # key -> plan; "" is no key
    windows: Mapping[str, tuple[Window, ...]] = MappingProxyType({})  # by plan

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Answers by path; a part in braces, as in /coins/{id}/market_chart, joins the query."""
        raise NotImplementedError

    def key(self, ask: Ask) -> str:
        """The key that came with a request, "" without one."""
        raise NotImplementedError

    def units(self, ask: Ask) -> int:
        """What a request costs of the windows."""
        del ask
        return 1

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """How the vendor says `bad_key`, `plan_expired`, `limited`, `gone`, as documented."""
        raise NotImplementedError

    def limited(self, window: Window, retry_after_s: int) -> Reply:
        """How the vendor says that the units of a window are used up."""
        del window
        return self.refusal("limited", retry_after_s)


@cache
def apis() -> Mapping[str, type[ApiHalf]]:
    """Every API that can be simulated, by name: what the `APIS` of the modules of `connectors.simulator.apis` list."""
    package = importlib.import_module("connectors.simulator.apis")
    found: dict[str, type[ApiHalf]] = {}
    for module in pkgutil.iter_modules(package.__path__, "connectors.simulator.apis."):
        for entry in getattr(importlib.import_module(module.name), "APIS", ()):
            if entry.name in found:
                raise RuntimeError(f"two halves play an API named {entry.name!r}")
            found[entry.name] = entry
    return MappingProxyType(found)
