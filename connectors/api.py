"""The one HTTP client of polled feeds: never over the budget of its key, silent while the vendor says so.

One request of an account is under way at a time, whichever feed asks. The key is added as a request leaves; it is in
no origin, no log and no error, and cut out of answers that repeat it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp
import structlog

from connectors.access import Access
from connectors.budget import Budget
from connectors.feed import Answer, Outcome, Verdict
from connectors.keys import Redactor, Secret
from connectors.reconnect import Backoff, Random
from connectors.record import LINE_BYTES_MAX
from connectors.rest import TIMEOUT_S, SentOnce, TooLargeError, read
from connectors.venue import ParseError, Request

ATTEMPTS_MAX = 4
BACKOFF_S = (2.0, 60.0)
SILENCE_S = 60.0  # of a WAIT that does not say for how long; twice as long each time
SILENCE_S_MAX = 3600.0
HELD_S = 10.0  # a longer wait is told
WAIT_S_MAX = 300.0  # before the budget is asked again: another process may have changed it
ANSWER_BYTES_MAX = LINE_BYTES_MAX  # an answer is one line
NONE: Mapping[str, str] = MappingProxyType({})

_log = structlog.get_logger(__name__)


class ApiError(RuntimeError):
    """A request was not answered; `verdict` says whether others will be."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


class Received(NamedTuple):
    """A good answer, and when it had arrived (int ns UTC)."""

    recv_ns: int
    answer: Answer

    @property
    def unchanged(self) -> bool:
        """Whether it says, without a body, that nothing is new since the `conditions` sent."""
        return self.answer.status == 304

    @property
    def conditions(self) -> Mapping[str, str]:
        """Headers that ask for an answer only if it is another than this (RFC 9110, 13.1)."""
        said = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
        return {name: self.answer.headers[of] for name, of in said if of in self.answer.headers}


class Clock(NamedTuple):
    """Seconds since the epoch, and how to wait."""

    now_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def steady_clock() -> Clock:
    """A clock that nobody sets while the process runs."""
    began_s = time.time() - time.monotonic()
    return Clock(lambda: began_s + time.monotonic())


class Api:
    """GET requests to one feed with one key. `turn` is shared by all feeds of an account."""

    def __init__(
        self,
        access: Access,
        http: aiohttp.ClientSession,
        budget: Budget,
        random: Random,
        turn: asyncio.Lock | None = None,
        clock: Clock | None = None,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self.access, self.feed, self.plan = access, access.feed, access.plan
        self._auth = access.feed.auth(access.plan, access.key)
        self._http, self._budget, self._random = http, budget, random
        self._redactor = Redactor([Secret(access.key)] if access.key else [])
        self._turn = turn or asyncio.Lock()
        self._backoff_s = backoff_s
        self.now_s, self.sleep = clock or steady_clock()
        self._silences = 0
        self.stopped: Verdict | None = None  # by the vendor, until the user acts
        self.holds = ""  # why a request waits now; "" if none does

    async def get(
        self, request: Request, share: float = 1.0, conditions: Mapping[str, str] = NONE
    ) -> Received:
        """The answer, once it is good; waits for the budget and for as long as the vendor wants silence.

        `share` of the budget is the most that is used, by whomever; `conditions` are those of an earlier answer.

        Raises:
            ApiError: the request, or the key, was refused, or no attempt succeeded.
            BudgetError: the budget cannot be kept.
        """
        backoff, failures = Backoff(self._random, *self._backoff_s), 0
        while True:
            received, verdict = await self._exchange(request, share, conditions)
            if verdict.outcome == Outcome.GOOD and received is not None:
                return received
            if verdict.outcome == Outcome.WAIT:
                continue
            if verdict.outcome in (Outcome.REFUSED, Outcome.STOPPED):
                raise ApiError(f"GET {request.path}: {verdict.reason}", verdict)
            failures += 1
            if failures == ATTEMPTS_MAX:
                raise ApiError(f"GET {request.path}: {verdict.reason}, {failures} times", verdict)
            wait_s = max(backoff.failed(), verdict.wait_s or 0.0)
            self._warn("request failed", request, verdict, wait_s)
            await self.sleep(wait_s)

    async def once(self, request: Request) -> Received:
        """The answer to one attempt, made now.

        Raises:
            ApiError: it was not good, or the budget does not give it now.
            BudgetError: the budget cannot be kept.
        """
        async with self._turn:
            if wait_s := self._budget.take(self.now_s(), request.weight):
                verdict = Verdict(Outcome.WAIT, f"not asked for {wait_s:.0f} s: {self._budget.holds}", wait_s)
                raise ApiError(verdict.reason, verdict)
            received, verdict = await self._answered(request, NONE)
        if received is None or verdict.outcome != Outcome.GOOD:
            raise ApiError(f"GET {request.path}: {verdict.reason}", verdict)
        return received

    async def _exchange(
        self, request: Request, share: float, conditions: Mapping[str, str]
    ) -> tuple[Received | None, Verdict]:
        async with self._turn:
            await self._paid(request, share)
            if self.stopped is not None:
                return None, self.stopped
            return await self._answered(request, conditions)

    async def _answered(
        self, request: Request, conditions: Mapping[str, str]
    ) -> tuple[Received | None, Verdict]:
        """Send what is paid for; what the vendor wants is obeyed before another request has its turn."""
        try:
            received = await self._send(request, conditions)
            verdict = self._judged(request, received, conditions)
        except (aiohttp.ClientError, TimeoutError, ParseError, TooLargeError) as error:
            outcome = Outcome.REFUSED if isinstance(error, TooLargeError) else Outcome.AGAIN
            reason = self._redactor.text(str(error)) or type(error).__name__
            received, verdict = None, Verdict(outcome, reason)
        self._obey(request, verdict)
        return received, verdict

    async def _paid(self, request: Request, share: float) -> None:
        """Return when the request may leave: its units are charged."""
        try:
            while self.stopped is None:
                wait_s = self._budget.take(self.now_s(), request.weight, share)
                if not wait_s:
                    return
                if wait_s > HELD_S:
                    self.holds = f"waits {wait_s:.0f} s: {self._budget.holds}"
                await self.sleep(min(wait_s, WAIT_S_MAX))
        finally:
            self.holds = ""

    async def _send(self, request: Request, conditions: Mapping[str, str]) -> Received:
        url = self.access.url + request.path
        if self._auth.query:
            url += ("&" if "?" in request.path else "?") + urlencode(self._auth.query)
        headers = {**conditions, **self._auth.headers}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        # A key is for the host it was given for: no redirect is followed.
        async with self._http.get(
            url, headers=headers, timeout=timeout, allow_redirects=False, middlewares=(SentOnce(),)
        ) as response:
            body = await read(response, ANSWER_BYTES_MAX)
            told = {name.lower(): self._redactor.text(value) for name, value in response.headers.items()}
            return Received(time.time_ns(), Answer(response.status, told, self._cut(body)))

    def _cut(self, body: bytes) -> bytes:
        """The body without the key: vendors repeat it in what they complain of."""
        text = body.decode("latin-1")
        cut = self._redactor.text(text)
        return body if cut is text or cut == text else cut.encode("latin-1")

    def _judged(self, request: Request, received: Received, conditions: Mapping[str, str]) -> Verdict:
        if received.unchanged and conditions:
            return Verdict(Outcome.GOOD)
        return self.feed.judge(request, received.answer)

    def _obey(self, request: Request, verdict: Verdict) -> None:
        """Keep silent for as long as the vendor wants, for good if it has stopped."""
        if verdict.outcome == Outcome.WAIT:
            told_s = verdict.wait_s
            # One that says 0, again and again, would be asked each second.
            first_s, least_s = (SILENCE_S, 0.0) if told_s is None else (1.0, told_s)
            wait_s = max(least_s, min(first_s * 2.0 ** min(self._silences, 16), SILENCE_S_MAX))
            self._silences += 1
            self._warn("vendor wants silence", request, verdict, wait_s)
            self._budget.close(self.now_s(), wait_s, verdict.reason)
        elif verdict.outcome == Outcome.STOPPED:
            self._warn("vendor refuses", request, verdict, verdict.wait_s or 0.0)
            if verdict.wait_s is None:
                self.stopped = verdict
            else:  # a quota that is used up
                self._budget.close(self.now_s(), verdict.wait_s, verdict.reason)
        else:
            self._silences = 0

    def _warn(self, event: str, request: Request, verdict: Verdict, wait_s: float) -> None:
        _log.warning(
            event, feed=self.feed.name, path=request.path, error=verdict.reason, again_in_s=round(wait_s, 1)
        )
