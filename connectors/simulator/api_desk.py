"""One simulated API: whose key is it, how much of its windows is used, what goes wrong, what is answered. Pure.

Time is the world's alone: a clock moved by hand makes a month of polling pass in a test. What vendors do with
requests that they refuse is not written anywhere; here they count as used, so a client that goes on is never let in
earlier for it.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window, World
from connectors.simulator.half import RequestError

API_FAULTS: tuple[ApiFault, ...] = get_args(ApiFault)
# Said by the vendor in its words; the rest is said by its servers, or is in the data.
REFUSALS: tuple[ApiFault, ...] = ("gone", "bad_key", "plan_expired", "limited")
BROKEN: Mapping[ApiFault, Reply] = MappingProxyType({
    "server_error": Reply(500, b"Internal Server Error", {"Content-Type": "text/plain"}),
    "html": Reply(200, b"<!DOCTYPE html><html><body>Just a moment...</body></html>", {"Content-Type": "text/html"}),
    "empty": Reply(200, b""),
})  # fmt: skip
NOT_FOUND = Reply(404, b'{"error":"not found"}')
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ApiDesk:
    """Answers what is asked of one API: `answer`. Counts by key, in the windows of the calendar (UTC)."""

    def __init__(self, half: ApiHalf, world: World) -> None:
        self.half, self.name, self._world = half, half.name, world
        self._routes = [(_pattern(path), answer) for path, answer in half.rest.items()]
        self._accounts: dict[str, _Account] = {}
        self._orders: list[_Order] = []
        self._counts: Counter[str] = Counter()

    def answer(self, target: str, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
        """The answer to GET `target`: path without the API's base, and query, as they are written in a URL."""
        headers = {name.lower(): value for name, value in headers.items()}
        path, query, answer = self._route(target)
        now_ms, values_ms, struck = self._world.now_ms, self._world.now_ms, set()
        for order in self._strike(now_ms):
            struck.add(order.kind)
            values_ms = order.began_ms if order.kind == "old_data" else values_ms
        ask = Ask(path, query, headers, self._world, frozenset(struck), values_ms)
        self._counts["requests"] += 1
        refused = self._refusal(ask, now_ms)
        if refused is not None:
            self._counts["refused"] += 1
            return refused
        for kind, broken in BROKEN.items():
            if kind in struck:
                return broken
        if answer is None:
            self._counts["unknown_paths"] += 1
            return NOT_FOUND
        try:
            reply = answer(ask)
        except RequestError as error:
            return Reply(error.status, error.body)
        return self._tagged(reply, headers)

    def fault(self, kind: ApiFault, count: int = 1, for_s: float | None = None) -> None:
        """Let something go wrong with the next `count` requests, or for so many seconds of the world's time."""
        now_ms = self._world.now_ms
        until_ms = None if for_s is None else now_ms + round(for_s * 1000)
        self._orders.append(_Order(kind, count, until_ms, now_ms))

    def heal(self) -> None:
        """End all faults."""
        self._orders.clear()

    def counters(self) -> dict[str, Any]:
        """What was asked and refused; `windows` tell by plan the most units asked in any one, against its limit.

        `used_max` over `limit` says that a client has not kept to a limit; `refused_again` counts the requests that
        came although the refusal before them told to wait, or to ask no more.
        """
        windows = [
            {"plan": account.plan, "span": window.span, "limit": window.units, "used_max": used.most}
            for account in self._accounts.values()
            for window, used in zip(account.windows, account.used, strict=True)
        ]
        named = dict.fromkeys(("requests", "units", "refused", "refused_again", "not_modified"), 0)
        return named | dict(self._counts) | {"windows": windows}

    # ---- deciding

    def _route(self, target: str) -> tuple[str, dict[str, str], Callable[[Ask], Reply] | None]:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        for pattern, answer in self._routes:
            if found := pattern.fullmatch(parts.path):
                named = {name: unquote(value) for name, value in found.groupdict().items()}
                return unquote(parts.path), query | named, answer
        return unquote(parts.path), query, None

    def _strike(self, now_ms: int) -> "list[_Order]":
        """The faults that strike this request."""
        struck = [x for x in self._orders if not x.over(now_ms)]
        for order in struck:
            order.left -= 1
            self._counts[f"fault_{order.kind}"] += 1
        self._orders = [x for x in struck if not x.over(now_ms)]
        return struck

    def _refusal(self, ask: Ask, now_ms: int) -> Reply | None:
        key = self.half.key(ask)
        plan = self.half.keys.get(key)
        if plan is None:
            # Of unknown keys there may be any number: they share an account.
            account = self._accounts.setdefault("unknown key", _Account("", ()))
            return self._refused(account, "bad_key", now_ms, None, self.half.refusal("bad_key", 0))
        account = self._accounts.get(key) or _Account(plan, tuple(self.half.windows.get(plan, ())))
        self._accounts[key] = account
        units = self.half.units(ask)
        self._counts["units"] += units
        over = account.charge(units, now_ms)
        for kind in REFUSALS:
            if kind in ask.faults:
                until_ms = (now_ms // 60_000 + 1) * 60_000 if kind == "limited" else None
                wait_s = 0 if until_ms is None else _seconds(until_ms - now_ms)
                return self._refused(account, kind, now_ms, until_ms, self.half.refusal(kind, wait_s))
        if over is not None:
            until_ms = _end_ms(over, now_ms)
            reply = self.half.limited(over, _seconds(until_ms - now_ms))
            return self._refused(account, "limited", now_ms, until_ms, reply)
        account.refused = {}
        return None

    def _refused(
        self, account: "_Account", kind: ApiFault, now_ms: int, until_ms: int | None, reply: Reply
    ) -> Reply:
        """Note a refusal; it holds until `until_ms`, or for good."""
        if kind in account.refused:
            before_ms = account.refused[kind]
            self._counts["refused_again"] += before_ms is None or now_ms < before_ms
        account.refused[kind] = until_ms
        return reply

    def _tagged(self, reply: Reply, headers: Mapping[str, str]) -> Reply:
        if reply.status != 200:
            return reply
        tag = f'"{blake2b(reply.body, digest_size=12).hexdigest()}"'
        tagged = {**reply.headers, "ETag": tag}
        if tag in (x.strip().removeprefix("W/") for x in headers.get("if-none-match", "").split(",")):
            self._counts["not_modified"] += 1
            return Reply(304, b"", tagged)
        return reply._replace(headers=tagged)


@dataclass(slots=True)
class _Used:
    """Units asked in the present window of one kind, and the most of any."""

    window: str = ""
    units: int = 0
    most: int = 0


@dataclass(slots=True)
class _Account:
    """What a key has asked."""

    plan: str
    windows: tuple[Window, ...]
    used: list[_Used] = field(default_factory=list)
    # The refusals since the last answer, and until when each holds.
    refused: dict[ApiFault, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.used = [_Used() for _ in self.windows]

    def charge(self, units: int, now_ms: int) -> Window | None:
        """Count a request; the window that it is too much for, the longest if there are several."""
        over = None
        for window, used in zip(self.windows, self.used, strict=True):
            present = _window(window, now_ms)
            if used.window != present:
                used.window, used.units = present, 0
            used.units += units
            used.most = max(used.most, used.units)
            longer = over is None or _NAMING[window.span] < _NAMING[over.span]
            if used.units > window.units and longer:
                over = window
        return over


@dataclass(slots=True)
class _Order:
    """A fault on command."""

    kind: ApiFault
    left: int
    until_ms: int | None
    began_ms: int

    def over(self, now_ms: int) -> bool:
        return self.left <= 0 if self.until_ms is None else now_ms >= self.until_ms


# Characters of a time in ISO 8601 that name its window.
_NAMING = MappingProxyType({"second": 19, "minute": 16, "day": 10, "month": 7})


def _window(window: Window, now_ms: int) -> str:
    return _at(now_ms).isoformat()[: _NAMING[window.span]]


def _end_ms(window: Window, now_ms: int) -> int:
    """When a window that is open now ends."""
    now = _at(now_ms)
    if window.span == "month":
        following = (now.replace(day=28) + timedelta(days=4)).replace(day=1)
        return int(datetime(following.year, following.month, 1, tzinfo=UTC).timestamp()) * 1000
    span_ms = {"second": 1000, "minute": 60_000, "day": 86_400_000}[window.span]
    return (now_ms // span_ms + 1) * span_ms


def _at(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms // 1000, UTC)


def _seconds(span_ms: int) -> int:
    return max(1, -(-span_ms // 1000))


def _pattern(path: str) -> re.Pattern[str]:
    """Of a path whose parts in braces stand for anything without a slash."""
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile("".join(f"(?P<{x}>[^/]+)" if i % 2 else re.escape(x) for i, x in enumerate(parts)))
