"""From what a page's tape read to its panels, and to the words around them."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dashboards.board.book_panel import BookPanel
from dashboards.board.columns import Column, within
from dashboards.board.flow_panels import SERIES_LABELS
from dashboards.board.health import age, size_text
from dashboards.board.level_queries import Wall
from dashboards.board.number_text import NOT_KNOWN, price_text, signed, signed_size
from dashboards.board.page import DepthPage
from dashboards.board.tape import Sums
from dashboards.board.tape_reader import Tape

NEAR_BPS = (5, 10, 25)
WALLS_NAMED = 10
LABEL_PX = (32, 14)
NO_DATA = "no data"


class TapePanels:
    """Draws what `tape` holds on the panels of `page`."""

    def __init__(self, page: DepthPage, tape: Tape) -> None:
        self._page, self._tape = page, tape
        self._group_s = 1

    def show(self, picture: BookPanel, column: Column, group_s: int, base: str, decimals: int) -> None:
        """Bring every panel up to date; `column` is the newest of the book, `group_s` a bar of volume."""
        page, tape, grid = self._page, self._tape, picture.grid
        self._group_s = group_s
        page.flow.show(tape.flow, group_s, picture.holes, tape.opens, tape.before)
        page.flow.show_forced(tape.forced)
        page.flow.show_interest(*tape.interest)
        page.profile.show(tape.profile, tape.node, grid, decimals)
        page.overlays.show_trades(tape.trades, page.px_apart(LABEL_PX))
        page.overlays.show_forced(tape.forced, base, decimals)
        page.overlays.show_events(tape.events, grid.bin_step, base, decimals)
        page.overlays.show_levels(tape.levels, page.heat_px, decimals)
        page.overlays.show_walls(self._walls_in_view(), page.now_line.location)
        page.footprint.show(tape.bars, grid)

    def words(self, column: Column, last: float, base: str, decimals: int) -> dict[str, Any]:
        """Values of the page's status by name; what nobody told says so."""
        profile, profiled = self._tape.profile, self._tape.profiled
        low, high = profile.value_area if profile else (float("nan"),) * 2
        delta = profiled.buy - profiled.sell
        return {
            "poc": price_text(profile.poc if profile else float("nan"), decimals),
            "vah": price_text(high, decimals),
            "val": price_text(low, decimals),
            "vwap": price_text(profiled.vwap, decimals),
            "volume": size_text(profiled.volume) if profiled.volume else NOT_KNOWN,
            "delta": signed_size(delta) if profiled.volume else NOT_KNOWN,
            "near": [_near(column, bps) for bps in NEAR_BPS],
            "flow_words": f"Buy and sell volume, delta per {_span(self._group_s)}",
            "sums_words": self._sums_words(base),
            "trades": ", large for their time" if self._tape.trades else ": none large yet",
        } | self._walls(column, decimals) | self._facts(last, base, column.time_s)  # fmt: skip

    def _sums_words(self, base: str) -> str:
        if self._page.flow.series.active == SERIES_LABELS.index("OI"):
            interest = self._tape.interest[1]
            told = f"{size_text(float(interest[-1]))} {base}" if interest.size else NO_DATA
            return f"Open interest: {told}"
        cvd = self._page.flow.flow.data["cvd"]
        known = np.asarray(cvd)[~np.isnan(np.asarray(cvd, np.float64))]
        if not known.size:
            return "No trades yet"
        since = "from session open"
        session = self._tape.session
        if session.first_s and not session.whole:
            since = f"trades known since {_clock(session.first_s)}"
        return f"CVD {signed_size(float(known[-1]))} {base}, {since}"

    def _walls_in_view(self) -> list[Wall]:
        low, high = self._page.y_range.start, self._page.y_range.end
        return [wall for wall in self._tape.walls if low < wall.price < high][:WALLS_NAMED]

    def _walls(self, column: Column, decimals: int) -> dict[str, Any]:
        middle = (column.best_bid + column.best_ask) / 2
        walls = sorted(self._walls_in_view(), key=lambda wall: -wall.price)
        rows = [
            [
                price_text(wall.price, decimals), wall.side, size_text(wall.size),
                signed(wall.price - middle, 0 if abs(wall.price - middle) >= 100 else decimals),
                age(max(column.time_s + 1 - wall.from_s, 0)),
            ]
            for wall in walls
        ]  # fmt: skip
        weighted = f"{age(walls[0].tau_s)} weighted" if walls else "none stands in view"
        return {"walls": rows, "walls_words": weighted}

    def _facts(self, last: float, base: str, now_s: int) -> dict[str, str]:
        facts, session = self._tape.facts, self._tape.session
        funding, forced = facts.funding, facts.liquidated
        words = {
            "change": NO_DATA, "change_since": "change, session", "funding": NO_DATA, "funding_next": "funding",
            "interest": NO_DATA, "liquidated": NO_DATA,
        }  # fmt: skip
        if session.volume and session.open > 0:
            words["change"] = f"{signed(100 * (last / session.open - 1), 2)} %"
            words["change_since"] = _since(session)
        if funding:
            words["funding"] = f"{signed(100 * funding[0], 4)} %"
            words["funding_next"] = f"funding {_clock(funding[1])}" if funding[1] > now_s else "funding"
        if facts.open_interest is not None:
            words["interest"] = f"{size_text(facts.open_interest)} {base}"
        if forced:
            words["liquidated"] = f"L {size_text(forced[0])}  S {size_text(forced[1])}"
        return words


def _near(column: Column, bps: float) -> list[Any]:
    """Distance, size of bids and asks in words, shares of both, imbalance in words."""
    sides = within(column, bps)
    words = [size_text(size) if math.isfinite(size) else NOT_KNOWN for size in sides]
    bid, ask = sides
    if not bid + ask > 0:
        return [bps, *words, 0.0, 0.0, NOT_KNOWN]
    share = bid / (bid + ask)
    return [bps, *words, share, 1 - share, signed(2 * share - 1, 2)]


def _since(session: Sums) -> str:
    return "change, session" if session.whole else f"change since {_clock(session.first_s)}"


def _clock(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%H:%M}"


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
