"""What feeds of price series share: how requests are written and read back, bars, local times, and their pace."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from connectors.feed import DAY_S, MINUTE_S, Plan
from connectors.venue import Bar, ParseError, Request
from connectors.venues.twelve_data import is_amount

SHARE = 0.75  # of a plan's limits for polls: the rest is for restarts, backfill and other users of the key
NS_MAX = 2**63 - 1
# Forex and shares rest from Friday to Sunday, and a day or two more on holidays; crypto never does.
REST_S, ALWAYS_S = 5 * DAY_S, 3600.0
CURRENCIES = frozenset({
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "CNH", "CNY", "HKD", "SGD", "SEK", "NOK", "DKK", "PLN",
    "CZK", "HUF", "TRY", "ZAR", "MXN", "BRL", "INR", "KRW", "THB", "ILS", "XAU", "XAG",
})  # fmt: skip


def request(path: str, query: Mapping[str, str | int] | None = None) -> Request:
    """A request of a path and what is asked of it, which costs one unit."""
    return Request(f"{path}?{urlencode(query, safe='/:,')}" if query else path, 1)


def asked_of(path: str) -> tuple[str, Mapping[str, str]]:
    """Path and query of a request's path."""
    bare, _, query = path.partition("?")
    return bare, dict(parse_qsl(query, keep_blank_values=True))


def bar(
    symbol: str,
    interval_s: int,
    open_ns: int,
    prices: tuple[Decimal, Decimal, Decimal, Decimal],
    recv_ns: int,
    volume: Decimal | None = None,
    quote_volume: Decimal | None = None,
    trades: int | None = None,
) -> Bar:
    """A bar of open, high, low and close; closed if it was over when it was received.

    Raises:
        ParseError: a price is not above zero, or the time is none.
    """
    if not all(is_amount(x) and x for x in prices):
        raise ParseError(f"expected prices above zero, found {prices}")
    if volume is not None and not is_amount(volume):
        raise ParseError(f"expected a volume, found {volume}")
    if not 0 <= open_ns <= NS_MAX - interval_s * 10**9:
        raise ParseError(f"expected a time between 1970 and 2262, found {open_ns} ns")
    return Bar(
        symbol=symbol, interval_s=interval_s, open_ns=open_ns,
        open=prices[0], high=prices[1], low=prices[2], close=prices[3],
        volume=volume, quote_volume=quote_volume, buy_volume=None, trades=trades,
        closed=open_ns + interval_s * 10**9 <= recv_ns,
    )  # fmt: skip


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises ParseError."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise ParseError(f"expected a time zone, found {name[:64]!r}") from None


def local_ns(text: str, where: ZoneInfo) -> int | None:
    """Int ns UTC of a local time; None if the clocks were put back over it, so that it was twice.

    Raises:
        ParseError: it is no time, or the clocks were put forward over it, so that it never was.
    """
    try:
        naive = datetime.fromisoformat(text)
        if naive.tzinfo is not None:
            raise ValueError
        first, second = (naive.replace(tzinfo=where, fold=x).astimezone(UTC) for x in (0, 1))
        was = first.astimezone(where).replace(tzinfo=None, fold=0) == naive
    except (ValueError, OverflowError):
        raise ParseError(f"expected a date or time, found {text[:64]!r}") from None
    if not was:
        raise ParseError(f"expected a time of {where.key}, found {text!r}, which its clocks leave out")
    ns = int((first - EPOCH).total_seconds()) * 10**9
    if not 0 <= ns <= NS_MAX:
        raise ParseError(f"expected a time between 1970 and 2262, found {text!r}")
    return ns if first == second else None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(ns: int) -> str:
    """2026-11-22 14:00:00 of int ns UTC."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def pace_s(plan: Plan, units: int, every_s: float | None, least_s: float = MINUTE_S) -> float:
    """How often rounds of so many units may be: as wished, but within SHARE of every limit; whole minutes."""
    bears = [units * limit.span_s / (limit.units * SHARE) for limit in plan.limits]
    return ceil(max(least_s, every_s or 0.0, *bears) / MINUTE_S) * MINUTE_S


def old_s(rests: bool, every_s: float) -> float:
    """How long prices may stay the same, by whether their market rests."""
    return (REST_S if rests else ALWAYS_S) + 2 * every_s
