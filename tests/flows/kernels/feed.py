"""Binance's frames as lines and records, written by hand: times in ms after START_MS."""

import json
from typing import Any

from connectors import record
from connectors.record import Record, encode_control, encode_line

START_S = 1_700_000_040  # begins a minute
START_MS = START_S * 1000
KEY = b"BTCUSDT"
SPOT, FUTURES = "binance_spot", "binance_futures"
Pairs = list[tuple[str, str]]


def ns(ms: int) -> int:
    return (START_MS + ms) * 1_000_000


def frame(ms: int, first: int, last: int, bids: Pairs, asks: Pairs, previous: int | None = None) -> bytes:
    """A change of the book in its envelope."""
    data: dict[str, Any] = {"e": "depthUpdate", "E": START_MS + ms, "s": "BTCUSDT", "U": first, "u": last}
    if previous is not None:
        data["pu"] = previous
    whole = {"stream": "btcusdt@depth@100ms", "data": data | {"b": bids, "a": asks}}
    return json.dumps(whole, separators=(",", ":")).encode()


def line(ms: int, payload: bytes, origin: bytes = b"ws-1") -> bytes:
    """Received 5 ms later than `ms`."""
    return encode_line(ns(ms + 5), origin, payload)


def depth(ms: int, first: int, last: int, bids: Pairs, asks: Pairs, previous: int | None = None) -> bytes:
    return line(ms, frame(ms, first, last, bids, asks, previous))


def snapshot(ms: int, update_id: int, bids: Pairs, asks: Pairs, limit: int | None = 1000) -> bytes:
    """The answer to a REST request received at `ms`."""
    payload = json.dumps({"lastUpdateId": update_id, "bids": bids, "asks": asks}, separators=(",", ":"))
    asked = "" if limit is None else f"&limit={limit}"
    return line(ms, payload.encode(), f"GET:/api/v3/depth?symbol=BTCUSDT{asked}".encode())


def clock(ms: int) -> bytes:
    return encode_control(ns(ms + 5), record.CLOCK, time_ns=ns(ms))


def control(ms: int, kind: bytes, **fields: object) -> bytes:
    return encode_control(ns(ms + 5), kind, **fields)


def instrument(ms: int = 0, **fields: object) -> bytes:
    told = {"symbol": "BTCUSDT", "instrument": "BTC-USDT", "tick": "0.1", "lot": "0.001"}
    return control(ms, record.INSTRUMENT, **(told | fields))


def records(*bodies: bytes, key: bytes = KEY) -> list[Record]:
    """One record of each body."""
    return [Record(key, offset, body) for offset, body in enumerate(bodies)]
