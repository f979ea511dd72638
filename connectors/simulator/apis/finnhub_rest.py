"""The simulated half of Finnhub's REST interface. Sources and their dates as in `connectors.feeds.finnhub_rest`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window
from connectors.simulator.apis.series import bars, digits, pair, renamed
from connectors.simulator.half import DEMO_KEY

RESOLUTIONS = MappingProxyType(
    {"1": 60, "5": 300, "15": 900, "30": 1800, "60": 3600, "D": 86_400, "W": 604_800}
)
CANDLES_MAX = 5000  # of an answer, the newest; the vendor names no number


def _failed(status: int, error: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error": error}))


def _candles(ask: Ask) -> Reply:
    """Columns, oldest first; both ends are included."""
    query, found = ask.query, pair(ask.query.get("symbol", "").rpartition(":")[2])
    interval_s, times = (
        RESOLUTIONS.get(query.get("resolution", "")),
        [query.get("from", ""), query.get("to", "")],
    )
    if found is None or interval_s is None or not all(x.isascii() and x.isdigit() for x in times):
        return _failed(422, "Wrong API parameters")
    now_s, (from_s, to_s) = ask.world.now_ms // 1000, map(int, times)
    to_s = now_s if "repeated_page" in ask.faults else min(to_s, now_s)
    from_s = max(from_s, to_s - CANDLES_MAX * interval_s)
    told = bars(ask, *found, interval_s, from_s * 1000, to_s * 1000 + 1)[-CANDLES_MAX:]
    if not told:
        return Reply(200, b'{"s":"no_data"}')
    places, has_volume = digits(*found), "nulls" not in ask.faults
    prices = {
        x[0]: [round(getattr(bar, x), places) for bar in told] for x in ("open", "high", "low", "close")
    }
    volumes = [round(bar.volume, 8) if has_volume else None for bar in told]
    said = {**prices, "v": volumes, "t": [bar.open_ms // 1000 for bar in told], "s": "ok"}
    return Reply(200, msgspec.json.encode(renamed(ask, said, "t", "time")))


class FinnhubRest(ApiHalf):
    """Candles of forex and crypto; a simulated key may have them."""

    name = "finnhub_rest"
    keys = MappingProxyType({DEMO_KEY: "free"})
    windows = MappingProxyType({"free": (Window(60, "minute"), Window(30, "second"))})

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Candles, and brokers."""
        brokers = Reply(200, b'["oanda","fxcm"]')
        return {
            "/api/v1/forex/candle": _candles,
            "/api/v1/crypto/candle": _candles,
            "/api/v1/forex/exchange": lambda ask: brokers,
        }

    def key(self, ask: Ask) -> str:
        """By header or query."""
        return ask.headers.get("x-finnhub-token", "") or ask.query.get("token", "")

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """An error and no number."""
        del retry_after_s
        match fault:
            case "bad_key":
                return _failed(401, "Invalid API key")
            case "plan_expired":
                return _failed(403, "You don't have access to this resource.")
            case "limited":
                return _failed(429, "API limit reached. Please try again later. Remaining Limit: 0")
            case _:
                return Reply(410, b"Gone", {"Content-Type": "text/plain"})


APIS = (FinnhubRest,)
