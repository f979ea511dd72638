"""The state of a feed in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

STALE_S = 5.0  # five times the usual second between two columns
RECORDED_S = 300.0
RED_S = 30.0
SILENT_S = 10.0  # a connector reports each second
VENUES_NAMED = 2
REASON_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Health:
    """How fresh the book is: `state` is live, stale or recorded; `words` say it."""

    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Feed:
    """What the connector told last of a feed, `told_s` seconds ago: its state, and why it is not live."""

    state: str
    reason: str
    told_s: float
    reconnects: int


def health(newest_s: int, received_ns: int, now_ns: int, gaps_1h: int, feed: Feed | None) -> Health:
    """State of a book whose newest 1 s column opened at `newest_s` and was received by `received_ns`.

    `feed` is None where no connector has told of it within the last hour.
    """
    age_s = max(now_ns - received_ns, 0) / 1e9
    if feed is not None and feed.told_s > SILENT_S:
        told = f"The connector has not reported for {age(feed.told_s)}"
        return Health("stale", f"{told}. Book shown is from {clock(newest_s)} UTC.")
    if feed is not None and feed.state != "live":
        why = f": {feed.reason}" if feed.reason else ""
        return Health("stale", f"Feed {feed.state}{why}. Book shown is from {clock(newest_s)} UTC.")
    # A replayed recording keeps its receive times; one replayed at once after recording counts as live.
    if age_s > RECORDED_S and feed is None:
        return Health("recorded", f"Recorded data: the newest is from {moment(newest_s)}. {_gaps(gaps_1h)}")
    if age_s > STALE_S:
        return Health(
            "stale", f"No message for {age(age_s)} (usual 1 s). Book shown is from {clock(newest_s)} UTC."
        )
    return Health("live", f"Live, newest message {age(age_s)} ago. {_gaps(gaps_1h)}")


@dataclass(frozen=True, slots=True)
class Venue:
    """A market: how many of its feeds are live, and why another one is not."""

    name: str
    feeds: int
    live: int
    reason: str


def venues(found: Sequence[Venue]) -> Health:
    """State of all markets together: the names of those that are down, or partly so, come first."""
    if not found:
        return Health("recorded", "No connector")
    troubled = sorted(
        (venue for venue in found if venue.live < venue.feeds), key=lambda venue: venue.live > 0
    )
    whole = len(found) - len(troubled)
    live = f"{whole} venue{'' if whole == 1 else 's'} live"
    if not troubled:
        return Health("live", live)
    shown = ". ".join(_trouble(venue) for venue in troubled[:VENUES_NAMED])
    more = f". {len(troubled) - VENUES_NAMED} more" if len(troubled) > VENUES_NAMED else ""
    return Health("stale", f"{shown}{more}. {live}")


def _trouble(venue: Venue) -> str:
    how = "down" if venue.live == 0 else f"{venue.live} of {venue.feeds} live"
    return f"{venue.name} {how}: {venue.reason[:REASON_SHOWN]}"


def age(seconds: float) -> str:
    """0.4 s, 14 s, 3:05."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def clock(second: float) -> str:
    """Time of day in UTC."""
    return f"{datetime.fromtimestamp(second, UTC):%H:%M:%S}"


def moment(second: float) -> str:
    """Date and time of day in UTC, with the zone."""
    return f"{datetime.fromtimestamp(second, UTC):%d %b %Y %H:%M:%S} UTC"


def size_text(size: float) -> str:
    """Three significant figures below 1,000, then k, M, B, T with one decimal."""
    for unit, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= factor * 0.9995:
            return f"{size / factor:.1f}{unit}"
    decimals = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    return f"{size:.{decimals}f}"


def _gaps(count: int) -> str:
    return f"{count or 'No'} gap{'' if count == 1 else 's'} in the last hour."
