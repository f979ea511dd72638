"""Bybit's own bars against bars of its trades: at each kline message of the minute that starts in the recording.

What the recording shows of the rule (Bybit documents none; recorded 2026-08-09):

* A kline opens at the last price before it, also where its first trade has another one: `open` is the `close` of the
  kline before, and high and low have it inside. A kline without a trade is that price, with volume 0.
* Trades and klines come on one socket, but a kline of the linear market may lag: one says nothing of a trade of 62 ms
  before its `timestamp`, which had come before it; none lacks a trade of 100 ms before. Of the spot market it has all
  trades up to its `timestamp`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec
import pytest

from connectors.record import CLOCK, Line, Record, encode_control, encode_line
from connectors.recordings import read
from connectors.venue import market as market_of
from flows.kernels.tape import TapeKernel
from tests.flows import tape_oracle as oracle
from tests.flows import tape_run

FILE = "bybit/v5_btcusdt_ethusdt_linear_and_spot_20260809.jsonl.gz"
STARTS_MS = 1786310820000
MARKETS = {"BYBIT.ws.2": "bybit_linear", "BYBIT.ws.3": "bybit_spot"}
LAG_MS = {"bybit_linear": 100, "bybit_spot": 0}
COUNTS = {
    ("bybit_linear", "BTCUSDT"): 20,
    ("bybit_linear", "ETHUSDT"): 11,
    ("bybit_spot", "BTCUSDT"): 12,
    ("bybit_spot", "ETHUSDT"): 8,
}
NAMES = ("open", "high", "low", "close", "volume")
Values = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True)
class Kline:
    """One kline of a message, and the number of the message among those of the recording."""

    number: int
    start_ms: int
    at_ms: int
    values: Values  # open, high, low, close, volume


def messages(path: Path) -> Iterator[tuple[int, str, str, dict]]:
    """Number, market, topic and content of each message of trades or klines."""
    for number, (_, conn, message) in enumerate(oracle.payloads(path)):
        if message.get("topic", "").startswith(("kline.1.", "publicTrade.")):
            yield number, MARKETS[conn], message["topic"], message


def klines(path: Path, market: str, symbol: str) -> list[Kline]:
    return [
        Kline(number, x["start"], x["timestamp"], tuple(Decimal(x[k]) for k in NAMES))
        for number, served, topic, message in messages(path)
        if (served, topic) == (market, f"kline.1.{symbol}")
        for x in message["data"]
    ]  # fmt: skip


def trades(path: Path, market: str, symbol: str) -> list[tuple[int, int, Decimal, Decimal]]:
    """Message, time in ms, price and size of each trade."""
    return [
        (number, x["T"], Decimal(x["p"]), Decimal(x["v"]))
        for number, served, topic, message in messages(path)
        if (served, topic) == (market, f"publicTrade.{symbol}")
        for x in message["data"]
    ]


def cases(path: Path, market: str, symbol: str) -> tuple[list[Kline], Decimal]:
    """The klines of the minute that starts in the recording, and the close of the one before."""
    told = klines(path, market, symbol)
    before = [x for x in told if x.start_ms < STARTS_MS]
    found = [x for x in told if x.start_ms == STARTS_MS]
    assert len(found) == COUNTS[market, symbol]
    return found, before[-1].values[3]


@pytest.mark.parametrize(("market", "symbol"), COUNTS)
def test_bars_of_trades_so_far_are_the_klines(recordings: Path, market: str, symbol: str) -> None:
    path = recordings / FILE
    found, previous = cases(path, market, symbol)
    told = trades(path, market, symbol)
    for kline in found:
        until = kline.at_ms - LAG_MS[market]
        so_far = [(p, v) for n, t, p, v in told if n < kline.number and STARTS_MS <= t <= until]
        prices = [previous, *(p for p, _ in so_far)]
        made = previous, max(prices), min(prices), prices[-1], sum((v for _, v in so_far), Decimal())
        assert made == kline.values


def test_one_kline_lags_behind_the_trades_before_it(recordings: Path) -> None:
    """Why the rule is not simply all that came before."""
    lagging = 0
    for market, symbol in COUNTS:
        told = trades(recordings / FILE, market, symbol)
        for kline in cases(recordings / FILE, market, symbol)[0]:
            volume = sum((v for n, t, _, v in told if n < kline.number and t >= STARTS_MS), Decimal())
            lagging += volume != kline.values[4]
    assert lagging == 1


@cache
def lines(path: Path, market: str) -> list[tuple[str, Line]]:
    """Topic and line of each message of trades or klines of a market."""
    found = [item for item in read(path, market_of(market)) if isinstance(item, tuple)]
    told = [(msgspec.json.decode(line.payload).get("topic", ""), line) for _, line in found]
    return [(topic, line) for topic, line in told if topic.startswith(("kline.1.", "publicTrade."))]


def bar_so_far(kernel: TapeKernel, symbol: str) -> dict | None:
    """The row of the minute if it ended now, from a copy of the kernel; None: it has no trade."""
    copy, end_ns = TapeKernel(kernel._market, 0), (STARTS_MS + 61_000) * 10**6
    copy.load(kernel.dump())
    over = Record(b"!clock", 1 << 20, encode_control(end_ns, CLOCK, time_ns=end_ns))
    name = kernel._market.canonical(symbol)
    key = (name, kernel._market.name, 60, STARTS_MS * 10**6)
    return tape_run.final(copy.on_records([over]))["order_flow"].get(key)


@pytest.mark.parametrize(("market", "symbol"), COUNTS)
def test_the_kernels_bar_so_far_is_the_kline(recordings: Path, market: str, symbol: str) -> None:
    """The kernel is fed line by line; its own first price is that of the first trade, as elsewhere."""
    path = recordings / FILE
    found, previous = cases(path, market, symbol)
    kernel, waiting, checked = TapeKernel(market_of(market), 0), [], 0
    for topic, line in lines(path, market):
        told = json.loads(line.payload)
        if topic == f"publicTrade.{symbol}":
            waiting.append((max(x["T"] for x in told["data"]), line))
        if topic != f"kline.1.{symbol}" or told["data"][-1]["start"] != STARTS_MS:
            continue
        until = told["data"][-1]["timestamp"] - LAG_MS[market]
        while waiting and waiting[0][0] <= until:
            record = Record(symbol.encode(), checked, encode_line(*waiting.pop(0)[1]))
            kernel.on_records([record])
        row, kline = bar_so_far(kernel, symbol), found[checked]
        checked += 1
        if row is None:
            assert kline.values == (previous, previous, previous, previous, 0)
            continue
        unit = Decimal(10) ** -row["size_decimals"]
        volume = (row["buy_lots"] + row["sell_lots"] + row["unknown_lots"]) * unit
        high, low, close = (Decimal(repr(row[name])) for name in ("high", "low", "close"))
        assert (previous, max(high, previous), min(low, previous), close, volume) == kline.values
    assert checked == COUNTS[market, symbol]
