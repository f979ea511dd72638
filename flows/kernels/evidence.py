"""Why prices of an instrument may matter, as one venue told: walls, profiles and swings as a minute knew them.

All that counts is kept by the minute from whose close on it was known, back to a horizon, so that what a minute knew
can be told again when something belated comes. It depends on the set of rows alone, not on their order.

* A wall that was told of in the minute, and stands, weighs WALL times its weighted size over its threshold (at most
  twice). Walls are told of every ten seconds.
* Of the newest profile of each span: POC, value area high and low, high volume nodes, halved each day since it was
  told. What spans agree on counts once: they share their trades. A naked POC is that of a past day whose row no bar of
  a minute has traded at since, halved every five days.
* Swings: raw pivots (five bars a side) of the highs and lows of bars of 1m, 5m, 15m, 1h from trades, halved every 50
  bars. Bars that may lack trades count too: what they show did trade.
* Weights below WEIGHT_MIN are left out.

Evidence is one level if no more than a gap lies between (`flows.kernels.clusters`): a quarter of the mean true range of
the last 14 bars of a minute, at least two rows of the profile or bins of the book.
"""

import math
from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import Any

from flows.kernels.clusters import Evidence
from flows.kernels.history import BARS_MIN, SECOND_NS, Bars, History

MINUTE_NS = 60 * 10**9
DAY_NS = 86_400 * 10**9
STALE_NS = 30 * SECOND_NS
NAKED_MAX = 20
GAP_RANGES, GAP_ROWS = 0.25, 2
WALL, WEIGHT_MIN = 10.0, 0.5
PROFILE = {"poc": 8.0, "vah": 5.0, "val": 5.0, "hvn": 3.0}
NAKED = 8.0
SWING = {60: 3.0, 300: 5.0, 900: 8.0, 3600: 12.0}  # by seconds of the bars
SWING_BARS, PROFILE_DAYS, NAKED_DAYS = 50, 1, 5  # half-lives


class VenueEvidence:
    """The evidence of one venue of an instrument. Minutes are counted since 1970 and named by their close."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self.heard: dict[int, tuple[int, int, int]] = {}  # by minute: newest known time, version, receipt
        self._walls: dict[int, dict[str, Any]] = {}  # by the minute they were told of in
        self._histories: dict[str, History] = {}  # profiles by span, prices
        self._bars = {interval_s: Bars(interval_s) for interval_s in SWING}
        # By the time from which a past day's POC was known: it, the height of its row, when it was touched or 0.
        self._naked: dict[int, list[Any]] = {}

    def take(self, row: dict[str, Any]) -> tuple[int, int] | None:
        """The minute and the time from which on the row was known; None if it says nothing, or nothing new.

        Raises KeyError, TypeError or ValueError for a row that lacks what its kind has.
        """
        taken = _TAKE[row["kind"]](self, row) if row["kind"] in _TAKE else None
        if taken is None:
            return None
        known_ns, changed = taken
        return (minute_of(known_ns), known_ns) if self._hear(row, known_ns) or changed else None

    def heard_at(self, minute: int) -> tuple[int, int, int] | None:
        """Newest known time, version and receipt of what was known at the close of that minute."""
        found = minute if minute in self.heard else max((x for x in self.heard if x < minute), default=None)
        return None if found is None else self.heard[found]

    def _hear(self, row: dict[str, Any], known_ns: int) -> bool:
        minute = minute_of(known_ns)
        old = self.heard.get(minute, (0, 0, 0))
        new = max(old[0], known_ns), max(old[1], int(row["version"])), max(old[2], int(row["received_ns"]))
        self.heard[minute] = new
        return new != old

    def _put(self, key: str, row: dict[str, Any], known_ns: int, value: Any) -> bool:
        history = self._histories.setdefault(key, History())
        return history.put(minute_of(known_ns), known_ns, int(row["version"]), value)

    def _depth(self, row: dict[str, Any]) -> tuple[int, bool] | None:
        if row["interval_s"] != 1:
            return None
        known_ns, mid = row["time_ns"] + SECOND_NS, row["mid"]
        changed = mid is not None and self._put("mid", row, known_ns, (float(mid), float(row["bin_step"])))
        return known_ns, changed

    def _wall(self, row: dict[str, Any]) -> tuple[int, bool]:
        known_ns, step = max(row["time_ns"], row["known_ns"]), float(row["bin_step"])
        price = (row["price_row"] + 0.5) * step
        weighted, threshold = row["weighted_size"], row["threshold"]  # not known of one that left the columns
        ratio = min(max(weighted / threshold, 0.0), 2.0) if weighted is not None and threshold else 0.0
        new = (known_ns, int(row["version"]), price, ratio, row["known_ns"], bool(row["ended"]))
        walls = self._walls.setdefault(minute_of(known_ns), {})
        key = f"{row['side']} {price!r} {row['from_ns']}"
        if new == walls.get(key) or new[:2] < walls.get(key, new)[:2]:
            return known_ns, False
        walls[key] = new
        return known_ns, True

    def _profile(self, row: dict[str, Any]) -> tuple[int, bool]:
        known_ns, step, poc = row["time_ns"], float(row["row_step"]), row["poc"]
        if poc is None:
            return known_ns, False
        nodes = tuple(x + step / 2 for x in row["hvn"])
        value = (step, poc + step / 2, row["vah"], row["val"], nodes)
        changed = self._put(f"profile {row['span']}", row, known_ns, value)
        if row["closed"] and row["span"] == "day":
            changed |= self._on_day(known_ns, poc, step)
        return known_ns, changed

    def _on_day(self, known_ns: int, poc: float, step: float) -> bool:
        old = self._naked.get(known_ns)
        if old is not None and old[:2] == [poc, step]:
            return False
        self._naked[known_ns] = point = [poc, step, 0]
        for bar in self._bars[60].rows:
            _touch(point, known_ns, bar)
        while len(self._naked) > NAKED_MAX:
            del self._naked[min(self._naked)]
        return True

    def _bar(self, row: dict[str, Any]) -> tuple[int, bool] | None:
        interval_s = row["interval_s"]
        if interval_s not in self._bars:
            return None
        open_ns, close = row["open_ns"], float(row["close"])
        bar = (open_ns, int(row["version"]), float(row["high"]), float(row["low"]), close)
        known_ns, changed = open_ns + interval_s * SECOND_NS, self._bars[interval_s].put(bar)
        if interval_s == 60:
            changed |= self._put("close", row, known_ns, (close, 0.0))
            for since_ns, point in self._naked.items():
                _touch(point, since_ns, bar)
        return known_ns, changed

    def last_price(self, minute: int) -> float | None:
        """The middle of the book or, where that is older, the close of the last bar of a minute with trades."""
        found = [x for key in ("mid", "close") if (x := self._at(key, minute))]
        return float(max(found, key=itemgetter(1))[3][0]) if found else None

    def gap(self, minute: int) -> float:
        """How far apart evidence of one level may be (quote currency); NaN if nothing tells."""
        steps = [x[3][0] for key in self._histories if key[:7] == "profile" and (x := self._at(key, minute))]
        steps += [x[3][1] for x in [self._at("mid", minute)] if x]
        ranges = GAP_RANGES * self._bars[60].true_range(minute * MINUTE_NS)
        known = [x for x in (ranges, GAP_ROWS * max(steps, default=math.nan)) if not math.isnan(x)]
        return max(known, default=math.nan)

    def _at(self, key: str, minute: int) -> Any:
        return self._histories[key].at(minute) if key in self._histories else None

    def evidence(self, minute: int) -> list[Evidence]:
        """What was known at the close of that minute, each with its weight before any cap."""
        now_ns, nodes = minute * MINUTE_NS, []
        found = [
            Evidence(price, "wall", self._venue, WALL * ratio, known_ns)
            for _, _, price, ratio, known_ns, ended in self._walls.get(minute, {}).values()
            if not ended
        ]
        for key, history in self._histories.items():
            row = history.at(minute) if key not in ("mid", "close") else None
            nodes += self._nodes_at(row, now_ns) if row else []
        # The heaviest of equal ones comes last.
        found += {(x.kind, x.price): x for x in sorted(nodes)}.values()
        for since_ns, (poc, step, touched_ns) in self._naked.items():
            if since_ns <= now_ns and not 0 < touched_ns <= now_ns:
                weight = NAKED * _decay((now_ns - since_ns) / (NAKED_DAYS * DAY_NS))
                found.append(Evidence(poc + step / 2, "naked_poc", self._venue, weight, since_ns))
        found += self._swings_at(now_ns)
        return [x for x in found if x.weight >= WEIGHT_MIN]

    def _nodes_at(self, row: Any, now_ns: int) -> list[Evidence]:
        _, told_ns, _, (_, poc, vah, val, nodes) = row
        decay = _decay((now_ns - told_ns) / (PROFILE_DAYS * DAY_NS))
        told = [("poc", poc), ("vah", vah), ("val", val), *(("hvn", x) for x in nodes)]
        return [
            Evidence(float(price), kind, self._venue, PROFILE[kind] * decay, told_ns)
            for kind, price in told
            if price is not None
        ]

    def _swings_at(self, now_ns: int) -> list[Evidence]:
        found = []
        for interval_s, bars in self._bars.items():
            half_life_ns = SWING_BARS * bars.interval_ns
            known = bisect_right(bars.swings, now_ns, key=itemgetter(0))
            first = bisect_left(bars.swings, now_ns - BARS_MIN * bars.interval_ns, key=itemgetter(0))
            for confirmed_ns, event_ns, kind, price in bars.swings[first:known]:
                weight = SWING[interval_s] * _decay((now_ns - event_ns) / half_life_ns)
                found.append(Evidence(price, kind, self._venue, weight, confirmed_ns))
        return found

    def prune(self, oldest: int) -> int:
        """Forget what no minute from `oldest` on needs; how many rows are kept."""
        for history in self._histories.values():
            history.prune(oldest)
        self._walls = {minute: x for minute, x in self._walls.items() if minute >= oldest}
        for bars in self._bars.values():
            bars.prune(oldest * MINUTE_NS)
        newest = max((x for x in self.heard if x <= oldest), default=oldest)
        self.heard = {minute: x for minute, x in self.heard.items() if minute >= newest}
        kept = len(self.heard) + sum(len(x.rows) for x in self._histories.values())
        kept += sum(map(len, self._walls.values()))
        return kept + sum(len(bars.rows) for bars in self._bars.values())

    def dump(self) -> Any:
        """All state."""
        histories = {key: x.rows for key, x in self._histories.items()}
        bars = {interval_s: x.rows for interval_s, x in self._bars.items()}
        return [self.heard, self._walls, histories, bars, self._naked]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        heard, walls, histories, bars, self._naked = state
        self._walls = {minute: {key: tuple(x) for key, x in found.items()} for minute, found in walls.items()}
        self.heard = {minute: tuple(x) for minute, x in heard.items()}
        self._histories = {key: History([_tuples(row) for row in x]) for key, x in histories.items()}
        self._bars = {interval_s: Bars(interval_s, x) for interval_s, x in bars.items()}


_TAKE: dict[str, Any] = {
    "depth": VenueEvidence._depth,
    "wall": VenueEvidence._wall,
    "profile": VenueEvidence._profile,
    "order_flow": VenueEvidence._bar,
}


def minute_of(known_ns: int) -> int:
    """The first minute at whose close something was known: that which ends at its time or next after it."""
    return -(-known_ns // MINUTE_NS)


def _touch(point: list[Any], since_ns: int, bar: Any) -> None:
    """Note the first bar since the session that traded at the row of its point of control."""
    open_ns, _, high, low, _ = bar
    poc, step, touched_ns = point
    if open_ns >= since_ns and low < poc + step and high >= poc:
        point[2] = min(touched_ns or open_ns + MINUTE_NS, open_ns + MINUTE_NS)


def _decay(half_lives: float) -> float:
    return math.exp2(-half_lives) if half_lives < 60 else 0.0


def _tuples(x: Any) -> Any:
    return tuple(map(_tuples, x)) if isinstance(x, list) else x
