"""What a polled API says about itself: its plans, what to ask of it and how often, how its answers parse.

A feed is one file in `connectors.feeds`; its `FEEDS` lists what it offers. A feed (`coingecko`, `binance_spot_rest`)
is one raw topic, one host and, where it wants one, one key; its answers are the topic's lines, with the request as
origin. Everything here is pure: no socket, no clock. `api` sends the requests, `poller` repeats those of `polls`,
`backfill` follows the pages of `history`.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from connectors.facts import Fact
from connectors.venue import Event, Request

MINUTE_S, DAY_S = 60.0, 86_400.0
MONTH_S = 31 * DAY_S  # a rolling span of the longest month keeps to the limit of every calendar month

Row = Event | Fact


class Limit(NamedTuple):
    """At most so many units (requests, or credits as `Request.weight` counts them) in any `span_s`."""

    units: int
    span_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a key, or the lack of one, entitles to."""

    name: str  # demo, pro; "keyless" of those that need no key
    url: str  # https://HOST, without a path
    limits: tuple[Limit, ...]
    spacing_s: float = 0.0  # between the beginnings of two requests
    keyless: bool = False


class Outcome(StrEnum):
    """What an answer means for the next request."""

    GOOD = "good"
    AGAIN = "again"  # ask the same again, later each time: an error of the server or the line, a broken body
    WAIT = "wait"  # a limit is reached: nothing of this key before `wait_s` is over, then the same again
    REFUSED = "refused"  # this request will not be answered (plan, unknown symbol): the others go on
    STOPPED = "stopped"  # the key, the plan or the API itself is refused: nothing more until the user acts


class Verdict(NamedTuple):
    """How an answer is judged; `reason` says what was expected, what was found, what to do, never a key."""

    outcome: Outcome
    reason: str = ""
    wait_s: float | None = None  # of WAIT; None: a minute


GOOD = Verdict(Outcome.GOOD)


class Answer(NamedTuple):
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Poll:
    """A request to repeat. `name` is the key of its records and names it in health: markets, global, EUR/USD."""

    name: str
    request: Request
    every_s: float
    pages_max: int = 1  # followed by `Feed.after` in each round
    old_s: float | None = None  # values that stay the same for so long are called stale; None: that is usual
    # Of an API whose paths name times: the request of a moment (int ns UTC). None: always `request`.
    at: Callable[[int], Request] | None = None

    def asked(self, now_ns: int) -> Request:
        """The request to send now."""
        return self.request if self.at is None else self.at(now_ns)


class Chosen(NamedTuple):
    """What the user wants of a feed; empty is the feed's own choice."""

    plan: Plan
    symbols: tuple[str, ...] = ()  # as the API writes them: coins, pairs, tables
    every_s: float | None = None  # None: as often as the plan bears
    path: str = ""  # of an API whose path is the user's (an export)


class Auth(NamedTuple):
    """Where the key goes. In the query only where the API takes it nowhere else."""

    headers: Mapping[str, str] = MappingProxyType({})
    query: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How past bars and trades are asked for. Spans are half-open, int ns UTC."""

    intervals_s: tuple[int, ...]  # of bars, that the API serves itself
    bars: Callable[[str, int, int, int], Request]  # symbol, interval_s, from_ns, to_ns -> the first page
    trades: Callable[[str, int, int], Request] | None = None  # symbol, from_ns, to_ns -> the first page
    trades_span_s: int | None = None  # the longest span that one request for trades may ask for
    # An answer tells the last ones there are, whatever span is asked for: of bars, of trades.
    last_bars_only: bool = False
    bars_kept: int | None = None  # how many of the last bars those are; None: not documented
    last_trades_only: bool = False


def no_auth(plan: Plan, key: str) -> Auth:
    """The `auth` of a feed that has no key."""
    del plan, key
    return Auth()


def no_polls(chosen: Chosen) -> list[Poll]:
    """The `polls` of a feed that is asked for history only."""
    del chosen
    return []


def one_page(request: Request, payload: bytes) -> Request | None:
    """The `after` of a feed whose answers have no pages."""
    del request, payload
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One polled API; its functions raise nothing but ParseError.

    A `Request` has path and query without the key. `parse` takes that path, the payload and when it was received
    (int ns UTC: the time of what bears none, and what tells an open bar from a closed one).
    """

    name: str  # topic `raw.<name>`, column `source`
    plans: tuple[Plan, ...]  # the first with a key, or without, is the default
    parse: Callable[[str, bytes, int], list[Row]]
    judge: Callable[[Request, Answer], Verdict]
    canonical: Callable[[str], str]  # a symbol of its trades, bars and prices -> instrument
    venue: str = ""  # market whose bars and trades it tells, column `venue`; "": its own name
    key_env: str | None = None
    key_check: Request | None = None  # a request that costs little and tells whether the key is accepted
    auth: Callable[[Plan, str], Auth] = no_auth
    polls: Callable[[Chosen], list[Poll]] = no_polls
    after: Callable[[Request, bytes], Request | None] = (
        one_page  # the following page of an answer, None at the end
    )
    history: History | None = None
    symbols: tuple[str, ...] = ()  # those followed by default
    by_default: bool = True  # followed by `up` where its key is there, or needs none

    @property
    def topic(self) -> str:
        """Name of the feed's raw topic."""
        return f"raw.{self.name}"

    def plan(self, name: str, has_key: bool) -> Plan:
        """The plan of that name; "": the first that suits.

        Raises:
            PlanError: there is none, or it needs a key.
        """
        found = [x for x in self.plans if x.name == name or (not name and x.keyless != has_key)]
        # A key does no harm where none is needed.
        found = found or [x for x in self.plans if not name and x.keyless]
        if not found:
            names = ", ".join(x.name for x in self.plans)
            raise PlanError(
                f"expected as plan of {self.name} one of {names}, found {name!r}"
                if name
                else f"{self.name} needs a key: set {self.key_env}, or {self.key_env}_FILE to a file that holds it"
            )
        if not found[0].keyless and not has_key:
            raise PlanError(f"plan {name} of {self.name} needs a key: set {self.key_env}")
        return found[0]


class PlanError(ValueError):
    """A feed has no such plan, or the plan needs a key that is not there."""


class UnknownFeedError(LookupError):
    """No feed has this name; the message lists those there are."""


RETRY_AFTER_S_MAX = 7 * DAY_S


def by_status(answer: Answer) -> Verdict:
    """The verdict that the HTTP status and the look of the body give, where the API says nothing else.

    venues.md section 18: 401, 402, 403 and 410 stop or refuse; 408, 429, 5xx are tried again; 418 is a ban.
    """
    status, said = answer.status, answer.body[:200].decode("utf-8", "replace").strip()
    if status in (429, 418):
        return Verdict(Outcome.WAIT, f"status {status}: {said}", retry_after_s(answer.headers))
    if status >= 500 or status == 408:
        return Verdict(Outcome.AGAIN, f"status {status}: {said}", retry_after_s(answer.headers))
    if status >= 300:
        outcome = Outcome.STOPPED if status in (401, 410) else Outcome.REFUSED
        return Verdict(outcome, f"expected status 200, found {status}: {said}")
    if not said or said.startswith("<"):
        return Verdict(
            Outcome.AGAIN, f"expected data, found {'HTML: ' + said[:80] if said else 'an empty body'}"
        )
    return GOOD


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After, a number or a date (RFC 9110, 10.2.3) after that of the answer; None without."""
    try:
        wait_s = float(headers.get("retry-after", ""))
    except ValueError:
        until_s, told_s = date_s(headers, "retry-after"), date_s(headers)
        if until_s is None or told_s is None:
            return None
        wait_s = until_s - told_s
    return None if math.isnan(wait_s) else min(max(0.0, wait_s), RETRY_AFTER_S_MAX)


def date_s(headers: Mapping[str, str], name: str = "date") -> float | None:
    """A header's date in seconds since the epoch, of when the answer was made by default; None without."""
    try:
        return parsedate_to_datetime(headers[name]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


@cache
def feeds() -> Mapping[str, Feed]:
    """Every feed by name: what the `FEEDS` of the modules of `connectors.feeds` list."""
    package = importlib.import_module("connectors.feeds")
    found: dict[str, Feed] = {}
    for module in sorted(x.name for x in pkgutil.iter_modules(package.__path__, "connectors.feeds.")):
        for entry in getattr(importlib.import_module(module), "FEEDS", ()):
            if entry.name in found:
                raise RuntimeError(f"two feeds are named {entry.name!r}")
            found[entry.name] = entry
    return MappingProxyType(found)


def feed(name: str) -> Feed:
    """The feed of that name. Raises UnknownFeedError."""
    try:
        return feeds()[name]
    except KeyError:
        raise UnknownFeedError(f"expected one of {', '.join(sorted(feeds()))}, found {name!r}") from None


def history_of(venue: str) -> Feed:
    """The feed that tells the history of a market, by the market's name or its own. Raises UnknownFeedError."""
    found = [x for x in feeds().values() if x.history is not None]
    for entry in found:
        if venue in (entry.venue, entry.name):
            return entry
    names = sorted({x.venue or x.name for x in found})
    raise UnknownFeedError(f"expected a source of history, one of {', '.join(names)}, found {venue!r}")
