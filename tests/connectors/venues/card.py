"""What a venue must show: its card. `tests/connectors/venues/test_conformance.py` runs every card by the same tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.venue import Event, Instrument


@dataclass(frozen=True)
class Story:
    """Book messages of one symbol as a connector hears them, and what becomes of the book.

    `opening` makes the book live: a REST snapshot where the venue's come by REST (then `rest_snapshot`, which may be
    asked for at any moment), and the messages around it. `following` continues it without a gap. `stale` is a message
    that the live book has already (None where the venue has no ids). `breaking` does not follow what stands after
    `opening`, or fails the checksum (None where nothing tells).
    """

    symbol: str
    opening: Sequence[bytes]
    following: Sequence[bytes]
    stale: bytes | None
    breaking: bytes | None
    rest_snapshot: bytes | None = None
    # Best bid and ask, price and size as texts, after `opening` and `following`, worked out by hand.
    best: tuple[tuple[str, str], tuple[str, str]] = (("", ""), ("", ""))


@dataclass(frozen=True)
class Card:
    """One market. Frames are as documented, or recorded; values invented or recorded, events worked out by hand."""

    market: str
    # The venue's symbol and the canonical instrument, at least three.
    symbols: Sequence[tuple[str, str]]
    # Control frames to follow the default streams of the first symbol; () where the URL says it all. And the URL's end.
    subscribe: Sequence[bytes]
    url: str
    # Frames and their events, whole: every kind the market parses; trades of both aggressors where it has trades.
    golden: Sequence[tuple[bytes, Sequence[Event]]]
    # Known frames without events: heartbeats, acknowledgements, pongs.
    silent: Sequence[bytes]
    # Frames that refuse: symbols refused, whether it is fatal.
    refusals: Sequence[tuple[bytes, tuple[str, ...], bool]] = ()
    # Answers (or frames) that tell instruments, and what they tell.
    instruments: Sequence[tuple[bytes, Sequence[Instrument]]] = ()
    stories: Sequence[Story] = ()
    # Frames that are almost right: each must raise ParseError.
    malformed: Sequence[bytes] = field(default_factory=tuple)
    # A frame of a kind the venue does not document: ParseError, and dead-lettered by the flow.
    unknown: bytes = b'{"brand":"new"}'
    keyed: bool = False  # it needs a key
