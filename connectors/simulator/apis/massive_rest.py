"""The simulated halves of Massive's REST interface. Sources and their dates as in `connectors.feeds.massive_rest`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window, WorldBar
from connectors.simulator.apis.series import bars, digits, pair, renamed
from connectors.simulator.half import DEMO_KEY

SPANS = MappingProxyType({"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800})
LIMIT = 5000
PATH = "/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}"
OLD_HOST = "https://api.polygon.io"  # that `next_url` names


def _failed(status: int, word: str, **said: str) -> Reply:
    return Reply(status, msgspec.json.encode({"status": word, "request_id": "0cf72b6da685bcd3", **said}))


def _aggregates(ask: Ask) -> Reply:
    """A page of bars; both ends are included."""
    query, found = ask.query, pair(ask.query["ticker"].partition(":")[2])
    numbers = [query[x] for x in ("multiplier", "from", "to")] + [query.get("limit", str(LIMIT))]
    if (
        found is None
        or query["timespan"] not in SPANS
        or not all(x.isascii() and x.isdigit() for x in numbers)
    ):
        return _failed(400, "ERROR", error="The path parameter is invalid")
    multiplier, from_ms, to_ms, limit = map(int, numbers)
    cursor = query.get("cursor", "")
    first_ms = int(cursor) if cursor.isdigit() and "repeated_page" not in ask.faults else from_ms
    interval_s = multiplier * SPANS[query["timespan"]]
    told = bars(ask, *found, interval_s, first_ms, min(to_ms, ask.world.now_ms) + 1)
    said: dict[str, object] = {
        "ticker": query["ticker"], "queryCount": len(told), "resultsCount": len(told[:limit]), "adjusted": True,
        "status": "OK", "request_id": "0cf72b6da685bcd386548ffe2895904a",
    }  # fmt: skip
    if told:
        said["results"] = [_result(ask, x, found) for x in told[:limit]]
    if len(told) > limit:
        said["next_url"] = f"{OLD_HOST}{ask.path}?limit={limit}&cursor={told[limit].open_ms}"
    return Reply(200, msgspec.json.encode(said))


def _result(ask: Ask, bar: WorldBar, names: tuple[str, str]) -> dict[str, object]:
    places, nothing = digits(*names), "nulls" in ask.faults
    is_forex = ask.query["ticker"].startswith("C:")
    return renamed(ask, {
        "t": bar.open_ms, "o": round(bar.open, places), "h": round(bar.high, places),
        "l": round(bar.low, places), "c": round(bar.close, places),
        "v": float(bar.trades) if is_forex else round(bar.volume, 8),
        "vw": None if nothing else round((bar.high + bar.low + bar.close) / 3, places + 2),
        "n": None if nothing else bar.trades,
    }, "c", "close")  # fmt: skip


class MassiveCryptoRest(ApiHalf):
    """Bars of crypto."""

    name = "massive_crypto_rest"
    # Streams want a paid plan, and the demo's key takes part in them.
    keys = MappingProxyType({DEMO_KEY: "paid", f"{DEMO_KEY}-free": "free"})
    windows = MappingProxyType({"free": (Window(5, "minute"),), "paid": (Window(100, "second"),)})

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Bars, and whether markets are open."""
        return {PATH: _aggregates, "/v1/marketstatus/now": lambda ask: Reply(200, b'{"market":"open"}')}

    def key(self, ask: Ask) -> str:
        """By header or query."""
        return ask.headers.get("authorization", "").removeprefix("Bearer ") or ask.query.get("apiKey", "")

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """Without Retry-After."""
        del retry_after_s
        match fault:
            case "bad_key":
                return _failed(401, "ERROR", error="Unknown API Key")
            case "plan_expired":
                message = "You are not entitled to this data. Please upgrade your plan."
                return _failed(403, "NOT_AUTHORIZED", message=message)
            case "limited":
                return _failed(429, "ERROR", error="You've exceeded the maximum requests per minute.")
            case _:
                return Reply(410, b"Gone", {"Content-Type": "text/plain"})


class MassiveForexRest(MassiveCryptoRest):
    """Bars of forex, made of quotes."""

    name = "massive_forex_rest"


APIS = (MassiveCryptoRest, MassiveForexRest)
