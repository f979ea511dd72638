"""Divergence of price and cumulative volume delta (CVD) at swings.

Bearish: a FINAL high above the FINAL high before it, with less CVD at the close of its bar; bullish mirrors it. Only
swings are compared. A divergence is known when the later swing is FINAL, which is later than its confirmation: until
then a more extreme one could take its place.
"""

from collections import deque
from typing import Any, NamedTuple

from flows.kernels.pivots import CONFIRMED, FINAL, HIGH, Swing

BEARISH, BULLISH = "bearish", "bullish"


class Divergence(NamedTuple):
    """Two swings of one side between which price and CVD went apart; CVD in lots at the close of each one's bar."""

    kind: str
    first: Swing
    second: Swing
    first_cvd_lots: int
    second_cvd_lots: int
    confirmed_ns: int


class Divergences:
    """Those of one series of bars. Feed it each bar's CVD, then the records its `Pivots` gave for the bar."""

    def __init__(self, right: int) -> None:
        """`right` as of the pivots: how many bars back a confirmed pivot is."""
        self._recent: deque[tuple[int, int]] = deque(maxlen=right + 1)  # CVD and session
        self._leg: tuple[int, int] | None = None  # CVD and session at the zigzag's open leg
        self._before: dict[str, tuple[Swing, tuple[int, int]]] = {}  # newest FINAL swing of each side

    def on_bar(self, cvd_lots: int, swings: list[Swing], session: int = 0) -> list[Divergence]:
        """The divergences that a closed bar makes known.

        `cvd_lots` at its close, `session` a number that changes where the CVD begins anew: swings of two sessions are
        not compared.
        """
        self._recent.append((cvd_lots, session))
        found, pivot = [], self._recent[0]
        for swing in swings:
            if swing.state == CONFIRMED:
                self._leg = self._leg or pivot
                continue
            assert self._leg is not None, "a swing is confirmed before anything else becomes of it"
            if swing.state == FINAL and (made := self._on_final(swing, self._leg)):
                found.append(made)
            self._leg = pivot  # the pivot confirmed just before took the leg's place
        return found

    def _on_final(self, swing: Swing, at: tuple[int, int]) -> Divergence | None:
        before, self._before[swing.side] = self._before.get(swing.side), (swing, at)
        if before is None or before[1][1] != at[1]:
            return None
        sign = 1 if swing.side == HIGH else -1
        first, (cvd_lots, _) = before
        if sign * swing.price > sign * first.price and sign * at[0] < sign * cvd_lots:
            kind = BEARISH if swing.side == HIGH else BULLISH
            return Divergence(kind, first, swing, cvd_lots, at[0], swing.confirmed_ns)
        return None

    def dump(self) -> Any:
        """All state."""
        return [list(self._recent), self._leg, self._before]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave."""
        recent, leg, before = state
        self._recent.clear()
        self._recent.extend(tuple(x) for x in recent)
        self._leg = tuple(leg) if leg else None
        self._before = {side: (Swing(*swing), tuple(at)) for side, (swing, at) in before.items()}
