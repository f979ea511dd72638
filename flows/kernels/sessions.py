"""Days, weeks, trading sessions and kill zones, by asset class; half-open, in ns UTC.

A session is told in the local time of its centre, so daylight saving moves it in UTC. It belongs to the local date on
which it opens, and may wrap past midnight. The day of forex rolls at 17:00 in New York.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

CRYPTO, FOREX = "crypto", "forex"
DAY_NS = 86_400 * 10**9
DAY, WEEK = "day", "week"


class Span(NamedTuple):
    """From `open_ns` to `close_ns`, which is not in it."""

    open_ns: int
    close_ns: int


class Hours(NamedTuple):
    """Local times of a centre; one that closes no later than it opens closes on the next date."""

    zone: str
    opens: time
    closes: time


SESSIONS = {
    "tokyo": Hours("Asia/Tokyo", time(9), time(18)),
    "london": Hours("Europe/London", time(8), time(17)),
    "new_york": Hours("America/New_York", time(8), time(17)),
    "sydney": Hours("Australia/Sydney", time(7), time(16)),
}
# Sources disagree about them: a change of this table is a new version, which scores made with it carry.
KILL_ZONES_VERSION = 1
KILL_ZONES = {
    "kill_asian": Hours("America/New_York", time(20), time(0)),
    "kill_london": Hours("America/New_York", time(2), time(5)),
    "kill_new_york": Hours("America/New_York", time(7), time(10)),
    "kill_london_close": Hours("America/New_York", time(10), time(12)),
}
_HOURS = SESSIONS | KILL_ZONES
_ROLL = Hours("America/New_York", time(17), time(17))  # of the day of forex
_FIAT = frozenset(
    {
        "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "TRY", "ZAR",
        "MXN", "SGD", "HKD", "CNH", "CNY", "INR", "KRW", "BRL", "ILS", "THB", "RON", "RUB", "AED", "SAR", "CLP", "COP",
        "IDR", "MYR", "PHP", "TWD",
        "XAU", "XAG", "XPT", "XPD",  # metals trade on the hours of forex
    }
)  # fmt: skip
_EPOCH = date(1970, 1, 1)
_SUNDAY = 6


def asset_class(instrument: str) -> str:
    """FOREX if both legs of a canonical name are currencies of states or metals (EUR-USD, XAU-USD), else CRYPTO."""
    legs = re.split(r"[-/]", instrument.removesuffix("-PERP").upper())
    return FOREX if len(legs) == 2 and _FIAT.issuperset(legs) else CRYPTO


def spans_of(asset_class: str) -> tuple[str, ...]:
    """The spans that profiles are made of, of either class."""
    return (DAY, "tokyo", "london", "new_york")


def span_at(asset_class: str, name: str, time_ns: int) -> Span | None:
    """The day, week, session or kill zone `name` that `time_ns` is in; None between two sessions."""
    if name == DAY:
        return day_at(asset_class, time_ns)
    return week_at(asset_class, time_ns) if name == WEEK else session_at(name, time_ns)


def session_at(name: str, time_ns: int) -> Span | None:
    """The session or kill zone of that name that `time_ns` is in, or None. Raises KeyError for an unknown name."""
    return _within(_HOURS[name], time_ns)


def day_at(asset_class: str, time_ns: int) -> Span:
    """The day that `time_ns` is in: of crypto from 00:00 UTC on, of forex from 17:00 in New York on."""
    if asset_class == CRYPTO:
        open_ns = time_ns - time_ns % DAY_NS
        return Span(open_ns, open_ns + DAY_NS)
    found = _within(_ROLL, time_ns)
    assert found is not None, "days of forex follow each other without a gap"
    return found


def week_at(asset_class: str, time_ns: int) -> Span:
    """The week that `time_ns` is in: of crypto from Monday 00:00 UTC, of forex from Sunday 17:00 in New York on."""
    if asset_class == CRYPTO:
        since_monday = (time_ns // DAY_NS + 3) % 7  # 1970-01-01 was a Thursday
        open_ns = (time_ns // DAY_NS - since_monday) * DAY_NS
        return Span(open_ns, open_ns + 7 * DAY_NS)
    zone = ZoneInfo(_ROLL.zone)
    opened = datetime.fromtimestamp(day_at(FOREX, time_ns).open_ns // 10**9, zone).date()
    sunday = opened - timedelta(days=(opened.weekday() - _SUNDAY) % 7)
    return Span(_instant_ns(sunday, _ROLL.opens, zone), _instant_ns(sunday + timedelta(7), _ROLL.opens, zone))


def day_open_ns(asset_class: str, time_ns: int) -> int:
    """When the day that `time_ns` is in began."""
    return day_at(asset_class, time_ns).open_ns


def _within(hours: Hours, time_ns: int) -> Span | None:
    day = time_ns // DAY_NS
    # A centre's date is the day of UTC or one of its neighbours, and a session may reach into the next.
    for found in (_on(hours, day), _on(hours, day - 1), _on(hours, day + 1)):
        if found.open_ns <= time_ns < found.close_ns:
            return found
    return None


@lru_cache(maxsize=4096)
def _on(hours: Hours, day: int) -> Span:
    """The session that opens on that local date, in days since 1970."""
    opens_on, zone = _EPOCH + timedelta(day), ZoneInfo(hours.zone)
    closes_on = opens_on + timedelta(hours.closes <= hours.opens)
    return Span(_instant_ns(opens_on, hours.opens, zone), _instant_ns(closes_on, hours.closes, zone))


def _instant_ns(day: date, at: time, zone: ZoneInfo) -> int:
    """Of a local time that is there twice, the first."""
    return int(datetime.combine(day, at, zone).timestamp()) * 10**9
