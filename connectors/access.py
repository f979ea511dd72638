"""By which way, key and plan a polled feed is asked: what settings and environment say of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.endpoint import feed_url, is_own_machine
from connectors.feed import Chosen, Feed, Plan, PlanError
from connectors.keys import key
from connectors.settings import Polled, seconds
from connectors.venue import ParseError

_UNSET = Polled()


@dataclass(frozen=True, slots=True)
class Access:
    """A feed with what the user wants of it; `url` is without a path's end, `key` "" without one."""

    feed: Feed
    chosen: Chosen
    url: str
    key: str = field(default="", repr=False)

    @property
    def plan(self) -> Plan:
        """What the key entitles to."""
        return self.chosen.plan

    @property
    def account(self) -> str:
        """Whose budget a request uses: the key's, over all feeds that share it; the address's where there is none.

        A simulated vendor, on this machine, begins anew with each run: its address is part of the account.
        """
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        if not self.key:
            # Simulated vendors have one address; each counts for itself.
            vendor = urlsplit(self.plan.url).netloc
            return f"keyless {host}{parts.path}" + (f" for {vendor}" if vendor != host else "")
        simulated = host if is_own_machine(parts.hostname or "") else ""
        return hashlib.sha256(f"{self.feed.key_env} {self.key} {simulated}".encode()).hexdigest()[:24]


def access(
    feed: Feed, environ: Mapping[str, str], settings: Polled = _UNSET, symbols: tuple[str, ...] = ()
) -> Access:
    """The way to a feed; `symbols` win over those of the settings.

    Raises:
        EndpointError: the address is not https (http on the own machine).
        KeyValueError: the variable of the key holds none that can be used.
        PlanError: there is no such plan, it needs a key that is not there, or symbols or path are none of the feed's.
    """
    secret = key(feed.key_env, environ) if feed.key_env else None
    plan = feed.plan(settings.plan or "", secret is not None)
    every_s = seconds(settings.every) if settings.every else None
    chosen = Chosen(plan, symbols or settings.symbols or feed.symbols, every_s, settings.path or "")
    try:
        feed.polls(chosen)
    except ParseError as error:
        raise PlanError(f"{feed.name}: {error}") from None
    sent = secret.reveal() if secret and not plan.keyless else ""
    return Access(feed, chosen, feed_url(feed.name, plan.url, environ, settings.url), sent)


def is_open(feed: Feed, environ: Mapping[str, str]) -> bool:
    """Whether a feed is followed where none is named: it polls, and its key is there or not needed."""
    env = feed.key_env
    has_key = bool(env and (environ.get(env) or environ.get(f"{env}_FILE")))
    plans = [plan for plan in feed.plans if plan.keyless or has_key]
    return feed.by_default and any(feed.polls(Chosen(plan, feed.symbols)) for plan in plans)
