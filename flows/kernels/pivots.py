"""Swing highs and lows, told when they are confirmed and never taken back; state changes are further records.

A raw pivot high is a bar whose high is above those of the `left` bars before it and not below those of the `right`
bars after it, so the earliest bar of a plateau counts; a low mirrors it. It is confirmed at the close of the last bar
on its right. The zigzag above keeps one open leg: the most extreme of raw pivots of one side in a row, the earliest of
equal ones. A more extreme one takes its place (UPGRADED), the first of the other side makes it FINAL.

Cost: 3 us a bar with five on each side.
"""

from collections import deque
from hashlib import blake2b
from typing import Any, NamedTuple

CONFIRMED, UPGRADED, FINAL = "CONFIRMED", "UPGRADED", "FINAL"
HIGH, LOW = "high", "low"


class Swing(NamedTuple):
    """A raw pivot (CONFIRMED), or what became of one that was the open leg of the zigzag (UPGRADED, FINAL).

    Prices as `Pivots.on_bar` was given them. `event_ns` is the open of the pivot's bar, `confirmed_ns` the close of the
    bar that made this record known; bars are counted from 0.
    """

    state: str
    id: str
    side: str
    price: float
    seq: int
    event_ns: int
    confirmed_seq: int
    confirmed_ns: int
    label: str = (
        ""  # of FINAL: HH, LH, EQH or HL, LL, EQL against the FINAL one of the side before; "" of the first
    )
    replaced_by: str = ""  # of UPGRADED: the id of the pivot that is the open leg now


class Pivots:
    """The swings of one series of closed bars. Pure; the same bars give the same records, whoever counts them."""

    def __init__(self, left: int = 5, right: int = 5, *, name: str = "", equal_within: float = 0) -> None:
        """`name` (of instrument, venue, bars) goes into ids; highs or lows that differ by no more than `equal_within`
        are equal ones (EQH, EQL).
        """  # noqa: D205
        self.left, self.right = left, right
        self._name, self._equal_within = name, equal_within
        self._bars: deque[tuple[float, float, int]] = deque(maxlen=left + 1 + right)  # high, low, open time
        self._seen = 0
        self._leg: Swing | None = None
        self._before: dict[str, float] = {}  # price of the newest FINAL swing of each side

    @property
    def open_leg(self) -> Swing | None:
        """The raw pivot that a more extreme one may still replace."""
        return self._leg

    def on_bar(self, high: float, low: float, open_ns: int, close_ns: int) -> list[Swing]:
        """The records that a closed bar confirms, a high before a low.

        Prices in ticks, or as floats of decimals, which compare alike; bars in the order of their times.
        """
        self._bars.append((high, low, open_ns))
        self._seen += 1
        if len(self._bars) <= self.left + self.right:
            return []
        highs, lows, opens = zip(*self._bars, strict=True)
        found: list[Swing] = []
        if self._is_pivot(highs):
            found += self._on_pivot(HIGH, highs[self.left], opens[self.left], close_ns)
        if self._is_pivot([-x for x in lows]):
            found += self._on_pivot(LOW, lows[self.left], opens[self.left], close_ns)
        return found

    def _is_pivot(self, prices: Any) -> bool:
        at, n = prices[self.left], self.left
        return all(x < at for x in prices[:n]) and all(x <= at for x in prices[n + 1 :])

    def _on_pivot(self, side: str, price: float, event_ns: int, close_ns: int) -> list[Swing]:
        seq = self._seen - 1
        known = (seq, close_ns)
        told = f"{self._name}|{side}|{event_ns}|{self.left}|{self.right}".encode()
        ident = blake2b(told, digest_size=8).hexdigest()
        pivot = Swing(CONFIRMED, ident, side, price, seq - self.right, event_ns, *known)
        leg, more = self._leg, price if side == HIGH else -price
        if leg is None:
            self._leg = pivot
            return [pivot]
        was = leg._replace(confirmed_seq=seq, confirmed_ns=close_ns)
        if leg.side != side:
            self._leg = pivot
            return [pivot, was._replace(state=FINAL, label=self._label(leg))]
        if more > (leg.price if side == HIGH else -leg.price):
            self._leg = pivot
            return [pivot, was._replace(state=UPGRADED, replaced_by=ident)]
        return [pivot]

    def _label(self, leg: Swing) -> str:
        before, self._before[leg.side] = self._before.get(leg.side), leg.price
        if before is None:
            return ""
        letter = "H" if leg.side == HIGH else "L"
        if abs(leg.price - before) <= self._equal_within:
            return f"EQ{letter}"
        return f"{'H' if leg.price > before else 'L'}{letter}"

    def dump(self) -> Any:
        """All state."""
        return [list(self._bars), self._seen, self._leg, self._before]

    def load(self, state: Any) -> None:
        """Take the state that `dump` gave to one made alike."""
        bars, self._seen, leg, self._before = state
        self._bars.clear()
        self._bars.extend(tuple(bar) for bar in bars)
        self._leg = None if leg is None else Swing(*leg)
