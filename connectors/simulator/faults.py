"""What goes wrong on the simulated venue, by chance or on command. Pure and seeded; the time is an argument.

Every fault heals: by the frames that follow, when its time is over, or by the command `heal`, which also ends
those by chance.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import msgspec
import numpy as np

from connectors.simulator.api import ApiFault
from connectors.simulator.half import Stream

FrameFault = Literal["gap", "duplicate", "reorder", "malformed", "truncated"]
RequestFault = Literal["stale_snapshot", "429", "418"]
SpellFault = Literal["silence", "outage", "skew"]
ActFault = Literal["disconnect", "crossed", "shutdown", "heal"]
Fault = FrameFault | RequestFault | SpellFault | ActFault

FRAME_FAULTS: tuple[FrameFault, ...] = ("gap", "duplicate", "reorder", "malformed", "truncated")
HELD_MAX = 10_000
_REQUEST = Stream("", "", book=False, path="")


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault on command.

    It hits what matches `market`, `symbol` and `stream`, None being all; a frame fault without a stream hits
    depth. Frame and request faults strike `count` times, or for `for_s` seconds if that is given. Faults of APIs are
    `api_desk`'s; `market` is the API's name, seconds are those of the simulated clock.
    """

    kind: Fault | ApiFault
    market: str | None = None
    symbol: str | None = None
    stream: str | None = None
    for_s: float | None = None
    count: int = 1
    skew_ms: int = 0  # of `skew`: added to every event time


@dataclass(frozen=True, slots=True)
class Options:
    """Faults by chance: of each frame, of each REST request, or of each second of a market."""

    seed: int = 0
    gap: float = 0.0  # of a frame, as the four below
    duplicate: float = 0.0
    reorder: float = 0.0  # with the next frame of its stream
    malformed: float = 0.0
    truncated: float = 0.0
    stale_snapshot: float = 0.0  # a request; the snapshot of the request before is served again
    too_many: float = 0.0  # 429
    banned: float = 0.0  # 418
    disconnect: float = 0.0  # a second, of all sockets of a market
    silence: float = 0.0  # a second; one symbol falls silent
    outage: float = 0.0  # a second; connections and requests are refused, sockets closed
    crossed: float = 0.0  # a second; one symbol's book is crossed for a step
    silence_s: float = 15.0
    outage_s: float = 5.0
    refused_s: float = 2.0  # how long a 418 by chance lasts

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value > 1 and not field.name.endswith("_s") and field.name != "seed"):
                raise ValueError(f"expected {field.name} to be a probability, found {value}")


CHANCES = tuple(x.name for x in fields(Options) if x.name != "seed" and not x.name.endswith("_s"))


@dataclass(slots=True)
class _Order:
    """A command under way."""

    command: Command
    left: int
    until_s: float | None

    def over(self, now_s: float) -> bool:
        return self.left <= 0 if self.until_s is None else now_s >= self.until_s


class Faults:
    """Decides, frame by frame and request by request, what goes wrong, and counts it."""

    def __init__(self, options: Options) -> None:
        self._random = np.random.default_rng([options.seed, 11])
        self._orders: list[_Order] = []
        self._held: dict[tuple[str, str], bytes] = {}
        self.counts: Counter[str] = Counter()
        self._set_chances(options)

    def command(self, command: Command, now_s: float) -> None:
        """Take a command. `disconnect`, `crossed` and `shutdown` are acts of the server; they are only counted."""
        if command.kind == "heal":
            self._orders.clear()
            self._set_chances(Options())
        elif command.kind in ("disconnect", "crossed", "shutdown"):
            self.counts[command.kind] += 1
        else:
            until_s = None if command.for_s is None else now_s + command.for_s
            if until_s is None and command.kind in ("silence", "outage", "skew"):
                raise ValueError(f"expected for_s, the seconds that {command.kind} lasts, found none")
            self._orders.append(_Order(command, command.count, until_s))

    # ---- frames

    def frames(self, market: str, stream: Stream, payload: bytes, now_s: float) -> list[bytes]:
        """What is sent in place of a frame: usually the frame."""
        if not (self._orders or self._any_frame or self._held):
            return [payload]
        if self._silent(market, stream, now_s):
            self.counts["silence"] += 1
            return []
        sent = self._with(self._frame_fault(market, stream, now_s), payload)
        held = self._held.pop((market, stream.name), None)
        if sent is None:
            if len(self._held) < HELD_MAX:
                self._held[market, stream.name] = payload
            return [] if held is None else [held]
        return sent if held is None else [*sent, held]

    def _frame_fault(self, market: str, stream: Stream, now_s: float) -> FrameFault | None:
        for kind in FRAME_FAULTS:
            if self._ordered(kind, market, stream, now_s):
                self.counts[kind] += 1
                return kind
        if not self._any_frame:
            return None
        draw = self._random.random()
        for kind, chance in self._frame_chances:
            if draw < chance:
                self.counts[kind] += 1
                return kind
            draw -= chance
        return None

    def _with(self, fault: FrameFault | None, payload: bytes) -> list[bytes] | None:
        """None: the frame waits for the next one of its stream."""
        if fault is None:
            return [payload]
        if fault == "gap":
            return []
        if fault == "duplicate":
            return [payload, payload]
        if fault == "malformed":
            return [payload.replace(b'":', b'"', 3)]
        if fault == "truncated":
            return [payload[: len(payload) // 2]]
        return None

    def _silent(self, market: str, stream: Stream, now_s: float) -> bool:
        return any(_matches(x, market, stream) for x in self._under_way("silence", now_s))

    # ---- requests

    def refuses(self, market: str, now_s: float) -> bool:
        """Whether the market cannot be reached."""
        return any(x.market in (None, market) for x in self._under_way("outage", now_s))

    def status(self, market: str, now_s: float) -> int:
        """200, or the 429 or 418 that a REST request meets."""
        for kind, code, chance in (
            ("418", 418, self._chances.banned),
            ("429", 429, self._chances.too_many),
        ):
            if self._ordered(kind, market, _REQUEST, now_s) or self._happens(chance):
                self.counts[kind] += 1
                return code
        return 200

    def stale(self, market: str, symbol: str, now_s: float) -> bool:
        """Whether a snapshot request is answered with an old one."""
        ordered = self._ordered("stale_snapshot", market, Stream("", symbol, book=True, path=""), now_s)
        return ordered or self._happens(self._chances.stale_snapshot)

    def skew_ms(self, market: str, now_s: float) -> int:
        """What is added to event times."""
        return sum(x.skew_ms for x in self._under_way("skew", now_s) if x.market in (None, market))

    # ---- seconds

    def second(self, market: str, symbols: list[str], now_s: float) -> Iterator[Command]:
        """The faults by chance that begin in this second of a market; `silence` and `outage` are under way."""
        chances = self._chances
        if self._happens(chances.disconnect):
            yield Command(kind="disconnect", market=market)
        if self._happens(chances.crossed):
            yield Command(kind="crossed", market=market, symbol=self._one_of(symbols))
        if self._happens(chances.silence):
            symbol, for_s = self._one_of(symbols), chances.silence_s
            self.command(Command(kind="silence", market=market, symbol=symbol, for_s=for_s), now_s)
        if self._happens(chances.outage):
            self.counts["outage"] += 1
            self.command(Command(kind="outage", market=market, for_s=chances.outage_s), now_s)
            yield Command(kind="disconnect", market=market)

    # ---- deciding

    def _set_chances(self, options: Options) -> None:
        self._chances = options
        self._frame_chances = [(kind, getattr(options, kind)) for kind in FRAME_FAULTS]
        self._any_frame = any(chance for _, chance in self._frame_chances)

    def _happens(self, chance: float) -> bool:
        return chance > 0 and bool(self._random.random() < chance)

    def _one_of(self, symbols: list[str]) -> str:
        return symbols[int(self._random.integers(len(symbols)))]

    def _under_way(self, kind: str, now_s: float) -> list[Command]:
        if any(x.over(now_s) for x in self._orders):
            self._orders = [x for x in self._orders if not x.over(now_s)]
        return [x.command for x in self._orders if x.command.kind == kind]

    def _ordered(self, kind: str, market: str, stream: Stream, now_s: float) -> bool:
        for order in self._orders:
            if (
                order.command.kind == kind
                and not order.over(now_s)
                and _matches(order.command, market, stream)
            ):
                order.left -= 1
                return True
        return False


def _matches(command: Command, market: str, stream: Stream) -> bool:
    if command.market not in (None, market) or command.symbol not in (None, stream.symbol):
        return False
    if command.stream is not None:
        return command.stream == stream.name
    return command.kind not in FRAME_FAULTS or stream.book
