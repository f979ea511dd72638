"""How the oracle reads each venue's frames: json and Decimal, written from the venues' documents.

Nothing here is shared with the kernel or the venue files.
"""

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

NEXT, STALE, GAP = "next", "stale", "gap"
DIGITS_MAX = 18
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
Level = tuple[Decimal, Decimal]
Side = dict[Decimal, Decimal]
Frame = dict[str, Any]


class Malformed(ValueError):
    pass


@dataclass
class Message:
    """A frame about the book: a change of it or a snapshot."""

    event_ms: int
    first_id: int
    last_id: int
    previous_id: int
    bids: list[Level]
    asks: list[Level]
    whole: bool = False  # it came in the stream and replaces the book
    checksum: int | None = None
    depth: int = 0  # levels a side that the venue tells of, as far as a snapshot says; 0: all


@dataclass
class At:
    """Where a book stands: the id of its last message, and whether that was a snapshot."""

    update_id: int
    seeded: bool


@dataclass(frozen=True)
class Wire:
    """A venue's rules."""

    kind: Callable[[Frame], str]
    message: Callable[[Frame], Message]
    follows: Callable[[At, Message], str]
    in_stream: bool = True
    ids: bool = True
    timed: bool = True
    # Of an answer to a request to follow: levels a side, 0: the book is left, None: it is about no book.
    followed: Callable[[Frame], int | None] = lambda _: None
    restarts: Callable[[Message], bool] = lambda _: False


def load(payload: bytes) -> Any:
    """Numbers keep the digits they are written with."""
    return json.loads(payload, parse_float=Decimal)


def checksum(bids: Side, asks: Side) -> int:
    """Kraken's: ten best asks, ten best bids, each price and quantity without its dot and leading zeros."""
    text = ""
    for side, prices in ((asks, sorted(asks)[:10]), (bids, sorted(bids, reverse=True)[:10])):
        for price in prices:
            for number in (price, side[price]):
                text += f"{number:f}".replace(".", "").lstrip("0")
    return zlib.crc32(text.encode())


def levels_of(levels: list[list[str]]) -> list[Level]:
    for level in levels:
        if len(level) != 2:
            raise Malformed
        for text in level:
            if not DECIMAL.fullmatch(text) or len(text.replace(".", "")) > DIGITS_MAX:
                raise Malformed
    return [(Decimal(price), Decimal(size)) for price, size in levels]


def milliseconds(event: int) -> int:
    """Of a time in ms, us or ns."""
    return event if event < 10**14 else event // 1000 if event < 10**17 else event // 10**6


# Binance.

BOOK_CHANNELS = ("depth", "depthUpdate")
TRADE_CHANNELS = ("trade", "aggTrade")
OTHER_CHANNELS = (
    "bookTicker",
    "kline",
    "markPrice",
    "markPriceUpdate",
    "depth20",
    "forceOrder",
    "!forceOrder",
)
OTHER_FIRST_KEYS = ("u", "timezone", "result", "id", "error", "code")


def binance_kind(frame: Frame) -> str:
    """depth, snapshot, trades or other, by the stream's channel, the event type or the first key."""
    first = next(iter(frame))
    if isinstance(frame.get("stream"), str):
        stream = frame["stream"]
        channel = stream.split("@")[0 if stream.startswith("!") else 1].split("_")[0]
    else:
        channel = frame.get("e", "")
    if channel in BOOK_CHANNELS:
        return "depth"
    if channel in TRADE_CHANNELS:
        return "trades"
    if channel in OTHER_CHANNELS:
        return "other"
    if not channel and first == "lastUpdateId":
        return "snapshot"
    if not channel and first in OTHER_FIRST_KEYS:
        return "other"
    raise Malformed


def binance_message(frame: Frame) -> Message:
    frame = frame.get("data", frame)
    is_snapshot = "lastUpdateId" in frame
    return Message(
        event_ms=milliseconds(frame.get("E", 0)),
        first_id=frame["lastUpdateId"] if is_snapshot else frame["U"],
        last_id=frame["lastUpdateId"] if is_snapshot else frame["u"],
        previous_id=frame.get("pu", -1),
        bids=levels_of(frame["bids" if is_snapshot else "b"]),
        asks=levels_of(frame["asks" if is_snapshot else "a"]),
    )


def spot_follows(book: At, message: Message) -> str:
    """An event with u at or below the book's id is old; one with U above id + 1 misses events."""
    if message.last_id <= book.update_id:
        return STALE
    return NEXT if message.first_id <= book.update_id + 1 else GAP


def futures_follows(book: At, message: Message) -> str:
    """pu is the id before; the first event after a snapshot reaches over the snapshot's id."""
    if message.last_id <= book.update_id:
        return STALE
    reaches = book.seeded and message.first_id <= book.update_id + 1
    return NEXT if message.previous_id == book.update_id or reaches else GAP


# Bybit.


def bybit_kind(frame: Frame) -> str:
    if "topic" not in frame:
        if next(iter(frame)) in ("success", "op", "req_id", "ret_msg", "conn_id", "args"):
            return "other"
        raise Malformed
    kinds = {"orderbook": "depth", "publicTrade": "trades"} | dict.fromkeys(
        ("kline", "tickers", "allLiquidation"), "other"
    )
    try:
        return kinds[frame["topic"].split(".")[0]]
    except KeyError:
        raise Malformed from None


def bybit_message(frame: Frame) -> Message:
    data = frame["data"]
    return Message(
        frame["ts"], data["u"], data["u"], -1, levels_of(data["b"]), levels_of(data["a"]),
        whole=frame["type"] == "snapshot", depth=int(frame["topic"].split(".")[1]),
    )  # fmt: skip


def bybit_follows(book: At, message: Message) -> str:
    """u rises by one."""
    if message.last_id <= book.update_id:
        return STALE
    return NEXT if message.last_id == book.update_id + 1 else GAP


# Kraken.


def kraken_kind(frame: Frame) -> str:
    if frame.get("method") in ("subscribe", "unsubscribe"):
        return "subscription"
    if frame.get("method") == "pong":
        return "other"
    kinds = {"book": "depth", "trade": "trades"} | dict.fromkeys(
        ("heartbeat", "status", "ohlc", "ticker", "instrument"), "other"
    )
    if frame.get("channel") not in kinds:
        raise Malformed
    return kinds[frame["channel"]]


def kraken_message(frame: Frame) -> Message:
    (book,) = frame["data"]
    bids, asks = ([_kraken_level(x) for x in book[side]] for side in ("bids", "asks"))
    most = max(len(bids), len(asks))
    return Message(
        stamp_ms(book["timestamp"]) if "timestamp" in book else 0, 0, 0, -1, bids, asks,
        whole=frame["type"] == "snapshot", checksum=book.get("checksum"),
        depth=next((x for x in (10, 25, 100, 500, 1000) if x >= most), 0),
    )  # fmt: skip


def _kraken_level(level: Frame) -> Level:
    price, size = level["price"], level["qty"]
    if isinstance(price, str) or isinstance(size, str) or price < 0 or size < 0:
        raise Malformed
    return Decimal(price), Decimal(size)


def kraken_followed(frame: Frame) -> int | None:
    result = frame.get("result", {})
    if not frame.get("success") or result.get("channel") != "book":
        return None
    return int(result["depth"]) if frame["method"] == "subscribe" else 0


STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))"
)


def stamp_ms(text: str) -> int:
    """UTC in ms of an RFC 3339 time."""
    found = STAMP.fullmatch(text) if text.isascii() else None
    if found is None:
        raise Malformed
    *date, hour, minute, second = (int(x) for x in found.groups()[:6])
    sign, offset_h, offset_min = found.groups()[7:]
    if hour > 23 or minute > 59 or second > 60 or int(offset_h or 0) > 23 or int(offset_min or 0) > 59:
        raise Malformed
    offset = timedelta(hours=int(offset_h or 0), minutes=int(offset_min or 0)) * (-1 if sign == "-" else 1)
    try:
        day = datetime(*date, tzinfo=UTC)
    except ValueError:
        raise Malformed from None
    since = (
        day
        - datetime(1970, 1, 1, tzinfo=UTC)
        + timedelta(hours=hour, minutes=minute, seconds=second)
        - offset
    )
    ms = since // timedelta(milliseconds=1) + int((found[7] or "0").ljust(3, "0")[:3])
    if int(found[1]) < 1970 or ms < 0:
        raise Malformed
    return ms


# Gemini.


def gemini_kind(frame: Frame) -> str:
    if "e" in frame:
        if frame["e"] == "depthUpdate":
            return "depth"
        raise Malformed
    kinds = {"lastUpdateId": "depth", "E": "trades", "u": "other", "id": "other", "status": "other"}
    first = next(iter(frame))
    if first not in kinds:
        raise Malformed
    return kinds[first]


def gemini_message(frame: Frame) -> Message:
    """A message that ends at the id it begins at is the whole book."""
    if "lastUpdateId" in frame:
        first = last = frame["lastUpdateId"]
        bids, asks = frame["bids"], frame["asks"]
    else:
        first, last, bids, asks = frame["U"], frame["u"], frame["b"], frame["a"]
    event_ms = milliseconds(frame.get("E", 0))
    return Message(event_ms, first, last, -1, levels_of(bids), levels_of(asks), whole=first == last)


def gemini_follows(book: At, message: Message) -> str:
    """A message begins at the id at which the one before it ended."""
    if message.last_id <= book.update_id:
        return STALE
    return NEXT if message.first_id <= book.update_id else GAP


def gemini_v2_kind(frame: Frame) -> str:
    kind = frame.get("type", "").split("_")[0]
    kinds = {"l2": "depth", "trade": "trades", "heartbeat": "other", "candles": "other"}
    if kind not in kinds:
        raise Malformed
    return kinds[kind]


def gemini_v2_message(frame: Frame) -> Message:
    sides: dict[str, list[Level]] = {"buy": [], "sell": []}
    for side, price, size in frame["changes"]:
        sides[side] += levels_of([[price, size]])
    whole = "trades" in frame or "auction_events" in frame
    return Message(0, 0, 0, -1, sides["buy"], sides["sell"], whole=whole)


def _always(_: At, __: Message) -> str:
    return NEXT


BYBIT = Wire(bybit_kind, bybit_message, bybit_follows, restarts=lambda message: message.last_id == 1)
WIRES = {
    "binance_spot": Wire(binance_kind, binance_message, spot_follows, in_stream=False),
    "binance_futures": Wire(binance_kind, binance_message, futures_follows, in_stream=False),
    "bybit_spot": BYBIT,
    "bybit_linear": BYBIT,
    "kraken": Wire(kraken_kind, kraken_message, _always, ids=False, followed=kraken_followed),
    "gemini": Wire(gemini_kind, gemini_message, gemini_follows),
    "gemini_v2": Wire(gemini_v2_kind, gemini_v2_message, _always, ids=False, timed=False),
}
