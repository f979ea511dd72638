"""What a Binance frame says, read once more with plain json and Decimal: what the parsers are held to."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from connectors.venue import BookWire, Event, Role, Route

INTERVALS_S = {"1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400, "1w": 604800}


def plain(events: list[Event]) -> list[dict[str, Any]]:
    return [{"type": type(event).__name__, **msgspec.structs.asdict(event)} for event in events]


def expected(payload: bytes) -> list[dict[str, Any]]:
    frame = json.loads(payload)
    channel = ""
    if isinstance(frame, dict) and "stream" in frame:
        channel = frame["stream"].split("@")[1] if frame["stream"][0] != "!" else ""
        frame = frame["data"]
    if channel.startswith(("depth5", "depth10", "depth20", "rpiDepth")):
        return []
    messages = frame if isinstance(frame, list) else [frame]
    return [said for message in messages for said in _expected(message)]


def _expected(m: dict[str, Any]) -> Iterator[dict[str, Any]]:
    order = m.get("o") if m.get("e") == "forceOrder" else None
    if 2 in (m.get("st"), (order or {}).get("st")):
        return
    kind = m.get("e")
    if kind in ("trade", "aggTrade"):
        if m.get("X", "MARKET") == "MARKET":
            yield {
                "type": "Trade",
                "symbol": m["s"],
                "event_ns": m["T"] * 10**6,
                "trade_id": m["t"] if kind == "trade" else m["a"],
                "price": Decimal(m["p"]),
                "size": Decimal(m["q"]),
                "side": {True: "sell", False: "buy"}[m["m"]],
                "aggregated": kind == "aggTrade",
            }
    elif kind == "bookTicker" or (kind is None and "B" in m):
        yield {
            "type": "BestQuote",
            "symbol": m["s"],
            "event_ns": m["E"] * 10**6 if "E" in m else None,
            "bid": Decimal(m["b"]),
            "bid_size": Decimal(m["B"]),
            "ask": Decimal(m["a"]),
            "ask_size": Decimal(m["A"]),
        }
    elif kind == "kline":
        k = m["k"]
        yield {
            "type": "Bar",
            "symbol": m["s"],
            "interval_s": INTERVALS_S[k["i"]],
            "open_ns": k["t"] * 10**6,
            "open": Decimal(k["o"]),
            "high": Decimal(k["h"]),
            "low": Decimal(k["l"]),
            "close": Decimal(k["c"]),
            "volume": Decimal(k["v"]),
            "quote_volume": Decimal(k["q"]),
            "buy_volume": Decimal(k["V"]),
            "trades": k["n"],
            "closed": k["x"],
        }
    elif kind == "markPriceUpdate":
        yield {
            "type": "MarkPrice",
            "symbol": m["s"],
            "event_ns": m["E"] * 10**6,
            "mark": Decimal(m["p"]),
            "index": Decimal(m["i"]),
            "funding_rate": Decimal(m["r"]) if m["r"] else None,
            "next_funding_ns": m["T"] * 10**6 if m["T"] else None,
        }
    elif kind == "forceOrder":
        o = m["o"]
        yield {
            "type": "Liquidation",
            "symbol": o["s"],
            "event_ns": o["T"] * 10**6,
            "liquidated_side": {"SELL": "long", "BUY": "short"}[o["S"]],
            "price": Decimal(o["ap"]) if Decimal(o["ap"]) else Decimal(o["p"]),
            "size": Decimal(o["z"]) if Decimal(o["z"]) else Decimal(o["q"]),
            "complete": False,
        }
    elif kind == "depthUpdate" or "lastUpdateId" in m:
        snapshot = "lastUpdateId" in m
        bids, asks = (m["bids"], m["asks"]) if snapshot else (m["b"], m["a"])
        yield {
            "type": "Depth",
            "symbol": m.get("s"),
            "event_ns": m["E"] * 10**6 if "E" in m else None,
            "first_id": m["lastUpdateId"] if snapshot else m["U"],
            "last_id": m["lastUpdateId"] if snapshot else m["u"],
            "previous_id": m.get("pu"),
            "bids": [(Decimal(price), Decimal(size)) for price, size in bids],
            "asks": [(Decimal(price), Decimal(size)) for price, size in asks],
            "snapshot": snapshot,
            "checksum": None,
        }


def judge(wire: BookWire, payload: bytes) -> Route:
    """The kind of a frame as `BookWire` words it: first ROUTE key, else first key; names by 8 bytes."""
    keys: list[tuple[str, Any]] = []

    def walk(value: Any) -> None:
        for key, child in value.items() if isinstance(value, dict) else ():
            keys.append((key, child))
            walk(child)
        for child in value if isinstance(value, list) else ():
            walk(child)

    walk(json.loads(payload))
    for key, value in keys:
        if wire.roles.get(key) is Role.ROUTE:
            if value.startswith("!"):
                name = value[1:].split("@")[0].split("_")[0]
                name = f"!{name}"
            else:
                name = value.split("@")[1 if "@" in value else 0].split("_")[0]
            return {k[:8]: v for k, v in wire.routes.items()}.get(name[:8], Route.UNKNOWN)
    first = next(iter(json.loads(payload)), "")
    return {k[:8]: v for k, v in wire.untagged.items()}.get(first[:8], Route.UNKNOWN)
