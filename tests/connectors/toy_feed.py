"""A toy polled API: coins and an index, with errors in bodies of status 200, pages, and a key in a header or query."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web

from connectors.access import Access
from connectors.facts import Sentiment
from connectors.feed import (
    DAY_S,
    MINUTE_S,
    MONTH_S,
    Answer,
    Auth,
    Chosen,
    Feed,
    Limit,
    Outcome,
    Plan,
    Poll,
    Row,
    Verdict,
    by_status,
)
from connectors.venue import MALFORMED, ParseError, Request

KEY_ENV = "ISOTHERM_TOY_KEY"
PLANTED = "pl4nted/key+toy"
MOOD = Request("/v1/mood?of=all", 1)
FREE = Plan(
    name="free",
    url="https://toy.example",
    limits=(Limit(30, MINUTE_S), Limit(500, DAY_S), Limit(10_000, MONTH_S)),
)
OPEN = Plan(name="keyless", url="https://toy.example", limits=(Limit(5, MINUTE_S),), keyless=True)


def judge(request: Request, answer: Answer) -> Verdict:
    """As by status, but an error in a body wins."""
    del request
    try:
        error = msgspec.json.decode(answer.body, type=dict[str, object]).get("error")
    except MALFORMED:
        return by_status(answer)
    verdicts = {
        "wait": Verdict(Outcome.WAIT, "the toy wants silence", 30.0),
        "month": Verdict(Outcome.STOPPED, "the month is used up", 5 * DAY_S),
        "plan": Verdict(Outcome.REFUSED, "not in this plan"),
        "again": Verdict(Outcome.AGAIN, "try again"),
    }
    if isinstance(error, str):
        return verdicts.get(error) or Verdict(Outcome.STOPPED, f"key refused: {error}")
    return by_status(answer)


def parse(path: str, payload: bytes, recv_ns: int) -> list[Row]:
    """One row of mood."""
    del path
    try:
        found = msgspec.json.decode(payload, type=dict[str, float])
        return [Sentiment(source="toy", index="mood", time_ns=recv_ns, value=found["value"], label="")]
    except (*MALFORMED, KeyError) as error:
        raise ParseError(f"expected a mood, found {error}") from None


def after(request: Request, payload: bytes) -> Request | None:
    """The page that the answer names."""
    found = json.loads(payload).get("next")
    return None if found is None else Request(f"/v1/pages?page={found:g}", 1)


def toy(in_query: bool = False, polls: Callable[[Chosen], list[Poll]] | None = None) -> Feed:
    """The feed; its key goes into a header, or into the query."""
    return Feed(
        name="toy", plans=(FREE, OPEN), parse=parse, judge=judge, canonical=str.upper, key_env=KEY_ENV,
        key_check=Request("/v1/key", 1), after=after, polls=polls or (lambda _: [Poll("mood", MOOD, 60.0)]),
        auth=lambda _, key: Auth(query={"apikey": key}) if in_query else Auth(headers={"X-Toy-Key": key}),
    )  # fmt: skip


class Vendor:
    """Serves what `answer` says, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.busy = self.busiest = 0
        self.answer: Callable[[web.Request], web.Response] = lambda _: mood(50)

    async def on_request(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        return self.answer(request)

    def keys(self) -> set[str]:
        """The keys that came, by header or query."""
        return {
            x.headers.get("X-Toy-Key") or (parse_qs(urlsplit(str(x.url)).query).get("apikey") or [""])[0]
            for x in self.asked
        }


def mood(value: float, **more: float) -> web.Response:
    """A good answer."""
    return web.json_response({"value": value, **more})


def in_turn(
    *answers: web.Response | Callable[[web.Request], web.Response],
) -> Callable[[web.Request], web.Response]:
    """These answers, one after the other, then the last for ever."""
    left = list(answers)

    def answer(request: web.Request) -> web.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        return found(request) if not isinstance(found, web.Response) else found

    return answer


@asynccontextmanager
async def serving(vendor: Vendor, feed: Feed | None = None, key: str = PLANTED) -> AsyncIterator[Access]:
    """The way to the toy feed while the vendor serves on the loopback."""
    app = web.Application()
    app.router.add_get("/{path:.*}", vendor.on_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        plan = FREE if key else OPEN
        yield Access(feed or toy(), Chosen(plan), f"http://127.0.0.1:{runner.addresses[0][1]}", key)
    finally:
        await runner.cleanup()
