"""The simulated half of Twelve Data's REST interface. Sources, with dates: `connectors.feeds.twelve_data_rest`.

Failures come with HTTP status 200, as the code in the body is what counts.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

import msgspec

from connectors.simulator.api import ApiFault, ApiHalf, Ask, Reply, Window, WorldBar
from connectors.simulator.apis.series import bars, digits, pair, renamed
from connectors.simulator.half import DEMO_KEY, RequestError
from connectors.simulator.symbols import ASSETS

INTERVALS = MappingProxyType(
    {
        **{f"{n}min": n * 60 for n in (1, 5, 15, 30, 45)},
        **{f"{n}h": n * 3600 for n in (1, 2, 4, 8)},
        "1day": 86_400,
    }
)
POINTS_MAX = 5000


def _failed(code: int, message: str) -> Reply:
    return Reply(200, msgspec.json.encode({"code": code, "message": message, "status": "error"}))


NO_DATA = _failed(400, "No data is available on the specified dates. Try setting different start/end dates.")


def _series(ask: Ask) -> Reply:
    """Newest first, at most `outputsize`, in `timezone`."""
    found, query = pair(ask.query.get("symbol", "")), ask.query
    interval_s = INTERVALS.get(query.get("interval", ""))
    if found is None:
        return _failed(404, "**symbol** or **figi** parameter is missing or invalid.")
    if interval_s is None:
        return _failed(400, f"Invalid **interval** provided: {query.get('interval')}.")
    size = min(int(query.get("outputsize", 30)), POINTS_MAX)
    where = ZoneInfo(query.get("timezone", "America/New_York"))
    now_ms = ask.world.now_ms
    to_ms = _ms(query.get("end_date"), where, now_ms) + 1
    from_ms = _ms(query.get("start_date"), where, to_ms - (size + 1) * interval_s * 1000)
    if "repeated_page" in ask.faults:
        to_ms = now_ms + 1
    told = bars(ask, *found, interval_s, max(from_ms, to_ms - (size + 1) * interval_s * 1000), to_ms)
    if not told:
        return NO_DATA
    is_forex = all(ASSETS[x].forex or x == "USD" for x in found)
    meta = {
        "symbol": "/".join(found), "interval": query["interval"], "exchange_timezone": "America/New_York",
        "type": "Physical Currency" if is_forex else "Digital Currency",
    }  # fmt: skip
    values = [_value(ask, x, found, where, is_forex, interval_s) for x in reversed(told[-size:])]
    return Reply(200, msgspec.json.encode({"meta": meta, "values": values, "status": "ok"}))


def _ms(text: str | None, where: ZoneInfo, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=where).timestamp() * 1000)
    except ValueError:
        raise RequestError(200, _failed(400, "Invalid **start_date** or **end_date**").body) from None


def _value(
    ask: Ask, bar: WorldBar, names: tuple[str, str], where: ZoneInfo, is_forex: bool, interval_s: int
) -> dict[str, object]:
    time, places = datetime.fromtimestamp(bar.open_ms / 1000, UTC).astimezone(where), digits(*names)
    form = "%Y-%m-%d" if interval_s == INTERVALS["1day"] else "%Y-%m-%d %H:%M:%S"
    prices = {x: f"{getattr(bar, x):.{places}f}" for x in ("open", "high", "low", "close")}
    told: dict[str, object] = {"datetime": time.strftime(form), **prices}
    if not is_forex:
        told["volume"] = None if "nulls" in ask.faults else f"{bar.volume:.8f}"
    return renamed(ask, told, "close", "last")


class TwelveDataRest(ApiHalf):
    """Bars of forex and crypto; a credit a symbol."""

    name = "twelve_data_rest"
    keys = MappingProxyType({DEMO_KEY: "basic", f"{DEMO_KEY}-grow": "grow"})
    windows = MappingProxyType(
        {"basic": (Window(8, "minute"), Window(800, "day")), "grow": (Window(55, "minute"),)}
    )

    @property
    def rest(self) -> Mapping[str, Callable[[Ask], Reply]]:
        """Bars, and what was used."""
        usage = Reply(200, b'{"current_usage":1,"plan_limit":8,"plan_category":"basic"}')
        return {"/time_series": _series, "/api_usage": lambda ask: usage}

    def key(self, ask: Ask) -> str:
        """By header or query."""
        return ask.headers.get("authorization", "").removeprefix("apikey ") or ask.query.get("apikey", "")

    def units(self, ask: Ask) -> int:
        """One a symbol."""
        return ask.query.get("symbol", "").count(",") + 1

    def refusal(self, fault: ApiFault, retry_after_s: int) -> Reply:
        """By code."""
        del retry_after_s
        match fault:
            case "bad_key":
                return _failed(401, "**apikey** parameter is incorrect or not specified.")
            case "plan_expired":
                return _failed(403, "This endpoint is available with a higher plan. Consider upgrading.")
            case "limited":
                return self.limited(Window(8, "minute"), 0)
            case _:
                return Reply(410, b"Gone", {"Content-Type": "text/plain"})

    def limited(self, window: Window, retry_after_s: int) -> Reply:
        """It says of which limit, not for how long."""
        span = "day" if window.span == "day" else "current minute"
        return _failed(
            429, f"You have run out of API credits for the {span}. {window.units} API credits were used."
        )


APIS = (TwelveDataRest,)
