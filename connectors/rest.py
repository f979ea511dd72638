"""The one HTTP client of a venue's REST interface: never over its budget, silent while the venue says so.

Binance, rest-api.md, 2026-07-21: every answer bears the weight used in the current minute; 429 means slow down,
418 that the IP is banned (2 minutes to 3 days, longer each time); both carry Retry-After in seconds. "When a
429 is received, it's your obligation as an API to back off and not spam the API."
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
import structlog

from connectors.reconnect import Allowance, Backoff, Random
from connectors.venue import Request

ANSWER_BYTES_MAX = 64 << 20
ATTEMPTS_MAX = 5
SHARE = 0.7  # of the venue's budget: the IP may have other users
WINDOW_S = 60.0
TIMEOUT_S = 15.0
NUMBER_MAX = 1e6  # of a header: weight, or 11 days of silence
RETRY_AFTER_S = {429: 60.0, 418: 300.0}  # where the venue does not say

_log = structlog.get_logger(__name__)


class RestError(RuntimeError):
    """A request was refused, or failed too often; `status` is the last answer's, 0 if there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TooLargeError(RestError):
    """An answer is larger than it may be."""


class Gate:
    """Whether a request may be sent now: the weight that is left, and the venue's own stop signs. Pure."""

    def __init__(self, weight_per_minute: int, share: float = SHARE) -> None:
        self._allowance = Allowance(int(weight_per_minute * share), WINDOW_S)
        self._closed_until_s = 0.0
        self.banned = False

    def used(self, now_s: float) -> int:
        """Weight that counts now."""
        return self._allowance.used(now_s)

    def closed_s(self, now_s: float) -> float:
        """How long the venue still wants silence."""
        return max(0.0, self._closed_until_s - now_s)

    def enter(self, now_s: float, weight: int) -> float:
        """0.0: send now; else the wait before asking again."""
        closed_s = self.closed_s(now_s)
        if closed_s:
            return closed_s
        self.banned = False
        return self._allowance.take(now_s, weight)

    def leave(self, now_s: float, weight: int, used: int | None = None) -> None:
        """The request is over; `used` is what the venue says was used in its minute."""
        self._allowance.settle(now_s, weight)
        if used is not None:
            self._allowance.observe(now_s, used)

    def stop(self, now_s: float, status: int, retry_after_s: float | None) -> float:
        """The venue has answered 429 or 418: nothing is sent for the returned span."""
        wait_s = RETRY_AFTER_S[status] if retry_after_s is None else retry_after_s
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)
        self.banned = self.banned or status == 418
        return wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 200, and when it had arrived."""

    recv_ns: int
    body: bytes


class SentOnce:
    """Middleware of one request: lets it leave once, for it is paid for once.

    aiohttp by itself sends a GET again if its connection breaks (3.14, client.py, _retry_connection).
    """

    def __init__(self) -> None:
        self._has_left = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send it, or raise if that has been done."""
        if self._has_left:
            raise aiohttp.ServerDisconnectedError("the connection broke")
        self._has_left = True
        return await handler(request)


class Rest:
    """GET requests to one host, one at a time, in the order asked for: after a stop sign none is under way."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        gate: Gate,
        weight_header: str,
        random: Random,
        backoff_s: tuple[float, float] = (1.0, 60.0),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self.gate = gate
        self._weight_header = weight_header
        self._random = random
        self._backoff_s = backoff_s
        self._now_s = now_s
        self._turn = asyncio.Lock()
        self.waiting = 0

    async def get(self, request: Request) -> Answer:
        """The answer; waits for the budget and for as long as the venue wants silence.

        Server errors and timeouts are tried again, at most ATTEMPTS_MAX times in all.

        Raises:
            RestError: the venue refused the request, or no attempt succeeded.
        """
        backoff = Backoff(self._random, *self._backoff_s)
        failures = 0
        while True:
            try:
                return await self._send(request)
            except _StoppedError:
                continue
            except _AgainError as error:
                failures += 1
                if failures == ATTEMPTS_MAX:
                    raise RestError(f"GET {request.path}: {error}, {failures} times") from None
                wait_s = backoff.failed()
                _log.warning(
                    "request failed", path=request.path, error=str(error), again_in_s=round(wait_s, 1)
                )
            await asyncio.sleep(wait_s)

    async def _send(self, request: Request) -> Answer:
        self.waiting += 1
        try:
            async with self._turn:
                response, answer = await self._exchange(request)
                self._judge(request, response, answer.body)
                return answer
        finally:
            self.waiting -= 1

    async def _exchange(self, request: Request) -> tuple[aiohttp.ClientResponse, Answer]:
        while wait_s := self.gate.enter(self._now_s(), request.weight):  # noqa: ASYNC110 - the time sets it
            await asyncio.sleep(wait_s)
        used = None
        try:
            async with self._http.get(self._base_url + request.path, middlewares=(SentOnce(),)) as response:
                used = _number(response.headers, self._weight_header)
                body = await read(response, ANSWER_BYTES_MAX)
                return response, Answer(time.time_ns(), body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _AgainError(str(error) or type(error).__name__) from None
        finally:
            self.gate.leave(self._now_s(), request.weight, None if used is None else int(used))

    def _judge(self, request: Request, response: aiohttp.ClientResponse, body: bytes) -> None:
        status = response.status
        if status == 200:
            return
        if status in RETRY_AFTER_S:
            wait_s = self.gate.stop(self._now_s(), status, _number(response.headers, "Retry-After"))
            _log.warning("venue wants silence", path=request.path, status=status, for_s=wait_s)
            raise _StoppedError
        said = body[:200].decode("utf-8", "replace")
        if status >= 500 or status == 408:
            raise _AgainError(f"status {status}: {said}")
        raise RestError(f"GET {request.path}: expected status 200, found {status}: {said}", status)


class _StoppedError(Exception):
    """429 or 418: the gate knows for how long."""


class _AgainError(Exception):
    """Worth another attempt."""


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return min(max(0.0, float(headers[name])), NUMBER_MAX)
    except (KeyError, ValueError):
        return None


async def read(response: aiohttp.ClientResponse, size_max: int) -> bytes:
    """The body. Raises TooLargeError."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > size_max:
            raise TooLargeError(f"expected an answer of at most {size_max} bytes, found more")
    return b"".join(parts)
