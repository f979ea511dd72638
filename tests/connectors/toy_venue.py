"""A toy of both Binance markets: the true book of one symbol, its diffs and snapshots as the venue writes them."""

import json
import random
from decimal import Decimal

from connectors.book_sync import Rule

T0_MS = 1_795_000_000_000


class ToyBook:
    """A book around 1000 with tick 1; every change is a diff of a few levels."""

    def __init__(self, seed: int, rule: Rule, symbol: str = "BTCUSDT", levels: int = 40) -> None:
        self.random = random.Random(seed)
        self.rule, self.symbol = rule, symbol
        self.mid = 1000
        self.bids = {1000 - n: self.random.randint(1, 9) for n in range(1, levels + 1)}
        self.asks = {1000 + n: self.random.randint(1, 9) for n in range(1, levels + 1)}
        self.update_id = self.random.randint(1, 10**6)
        self.time_ms = T0_MS

    def diff(self) -> bytes:
        """Change the book; the diff in the envelope."""
        self.time_ms += 100
        first, previous = self.update_id + 1, self.update_id
        if self.rule == Rule.PREVIOUS_ID:
            first += self.random.randint(0, 3)
        self.update_id = first + self.random.randint(0, 3)
        bids = self._change(self.bids, range(self.mid - 60, self.mid))
        asks = self._change(self.asks, range(self.mid + 1, self.mid + 61))
        data = {"e": "depthUpdate", "E": self.time_ms, "s": self.symbol, "U": first, "u": self.update_id}
        if self.rule == Rule.PREVIOUS_ID:
            data["pu"] = previous
        data |= {"b": bids, "a": asks}
        return self._wrapped(f"{self.symbol.lower()}@depth@100ms", data)

    def trade(self, trade_id: int) -> bytes:
        data = {"e": "aggTrade", "E": self.time_ms, "s": self.symbol, "a": trade_id, "p": "1000.0", "q": "1"}
        return self._wrapped(f"{self.symbol.lower()}@aggTrade", data | {"T": self.time_ms, "m": True})

    def mark(self) -> bytes:
        data = {"e": "markPriceUpdate", "E": self.time_ms, "s": self.symbol, "p": "1000.0"}
        return self._wrapped(f"{self.symbol.lower()}@markPrice@1s", data)

    def snapshot(self, limit: int = 1000) -> bytes:
        bids = [[f"{p}.0", f"{q}.0"] for p, q in sorted(self.bids.items(), reverse=True)[:limit]]
        asks = [[f"{p}.0", f"{q}.0"] for p, q in sorted(self.asks.items())[:limit]]
        body = {"lastUpdateId": self.update_id, "bids": bids, "asks": asks}
        return json.dumps(body, separators=(",", ":")).encode()

    def levels(self) -> set[tuple[int, Decimal, Decimal]]:
        """(side, price, size) of every level."""
        return {(0, Decimal(p), Decimal(q)) for p, q in self.bids.items()} | {
            (1, Decimal(p), Decimal(q)) for p, q in self.asks.items()
        }

    def _change(self, side: dict[int, int], prices: range) -> list[list[str]]:
        changed = []
        for price in self.random.sample(prices, self.random.randint(0, 3)):
            size = self.random.choice([0, self.random.randint(1, 99)])
            if size:
                side[price] = size
            elif len(side) > 3:
                side.pop(price, None)
            else:
                continue
            changed.append([f"{price}.0", f"{size}.0"])
        return changed

    def _wrapped(self, stream: str, data: dict) -> bytes:
        return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def info(symbols: list[str]) -> bytes:
    """exchangeInfo."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "1.0"},
        {"filterType": "LOT_SIZE", "stepSize": "1.0"},
    ]
    return json.dumps(
        {
            "timezone": "UTC",
            "symbols": [
                {
                    "symbol": symbol,
                    "baseAsset": symbol.removesuffix("USDT"),
                    "quoteAsset": "USDT",
                    "contractType": "PERPETUAL",
                    "filters": filters,
                }
                for symbol in symbols
            ],
        }
    ).encode()
