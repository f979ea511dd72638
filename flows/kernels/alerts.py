"""The alerts kernel: lines of topic `alerts_in` as rows of `alerts_in`.

An alert says what its owner wrote: whatever does not read as a field of ours stays in `body`. Placeholders that
TradingView did not know stand there as written ({{plot_0}}) and are taken for what they are: text.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

from connectors.alert import digest, fields
from connectors.log import ALERTS_IN
from connectors.record import Line
from connectors.venue import ParseError
from flows.kernels.block import Block
from flows.kernels.lines import TIME_NS_MAX, LineKernel

COLUMNS = (
    "alert_id", "received_ns", "time_ns", "exchange", "ticker", "interval", "instrument", "signal", "price", "body",
    "version",
)  # fmt: skip
SIGNALS = ("signal", "message", "text", "alert", "action")  # the first that is there
NAME_CHARACTERS_MAX = 64
# Currencies that pairs are quoted in, the longer names before those they end in.
QUOTES = (
    "FDUSD",
    "USDT",
    "USDC",
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CHF",
    "CAD",
    "AUD",
    "NZD",
    "TRY",
    "BTC",
    "ETH",
)
# Exchanges of TradingView whose tickers are pairs; elsewhere a ticker may end in USD by chance.
PAIRS = frozenset(
    {
        "BINANCE", "BYBIT", "KRAKEN", "GEMINI", "COINBASE", "BITSTAMP", "BITFINEX", "OKX", "KUCOIN", "BITGET", "CRYPTO",
        "FX", "FX_IDC", "OANDA", "FOREXCOM", "FXCM", "SAXO", "PEPPERSTONE", "CAPITALCOM", "ICMARKETS",
    }
)  # fmt: skip
_ASSETS = {"XBT": "BTC", "XDG": "DOGE"}  # Kraken's names


class AlertsKernel(LineKernel):
    """The alerts of one partition."""

    reason = "malformed alert"

    def __init__(self, partition: int) -> None:
        super().__init__(ALERTS_IN, partition)

    def blocks_of(self, line: Line) -> list[Block]:
        """Its row. Raises ParseError of an empty one."""
        if not line.payload:
            raise ParseError("expected an alert, found nothing")
        return [Block.of("alerts_in", COLUMNS, [_row(line)])]


def _row(line: Line) -> tuple[Any, ...]:
    said = fields(line.payload)
    body = line.payload.decode("utf-8", "replace")
    exchange, ticker = _name(said.get("exchange")), _name(said.get("ticker"))
    before, colon, after = ticker.partition(":")  # BINANCE:BTCUSDT
    if colon:
        exchange, ticker = exchange or before, after
    signal = next((str(said[name]) for name in SIGNALS if said.get(name)), "" if said else body)
    fired_ns = time_ns(said.get("timenow")) or time_ns(said.get("time")) or line.recv_ns
    price = next(
        (x for x in map(_price, (said.get("close"), said.get("price"))) if not math.isnan(x)), math.nan
    )
    return (
        digest(line.payload).hex(), line.recv_ns, fired_ns, exchange, ticker, _name(said.get("interval")),
        instrument(exchange, ticker), signal, price, body, line.recv_ns,
    )  # fmt: skip


def instrument(exchange: str, ticker: str) -> str:
    """BTC-USDT-PERP of BINANCE and BTCUSDT.P, BTC-USD of KRAKEN and XBTUSD; "" of what is no pair that we know.

    Without an exchange only pairs in a stablecoin are told: no share is called so.
    """
    pair, perpetual = re.subn(r"(\.P|PERP)$", "", ticker)
    if exchange and exchange not in PAIRS:
        return ""
    for quote in QUOTES:
        base = pair.removesuffix(quote)
        if base != pair and re.fullmatch(r"[A-Z0-9]{2,20}", base) and (exchange or quote in ("USDT", "USDC")):
            name = f"{_ASSETS.get(base, base)}-{quote}"
            return f"{name}-PERP" if perpetual else name
    return ""


def time_ns(value: object) -> int:
    """A time as TradingView writes it (2026-11-22T14:00:00Z), or epoch s or ms; 0 of anything else."""
    try:
        if isinstance(value, str) and "T" in value:
            found = datetime.fromisoformat(value)
            seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            seconds = float(value) / (1000 if float(value) > 1e11 else 1)
        else:
            return 0
        nanoseconds = round(seconds * 1000) * 1_000_000
    except (ValueError, OverflowError):
        return 0
    return nanoseconds if 0 < nanoseconds <= TIME_NS_MAX else 0


def _name(value: object) -> str:
    return str(value)[:NAME_CHARACTERS_MAX] if isinstance(value, str | int) else ""


def _price(value: object) -> float:
    try:
        found = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return math.nan
    return found if math.isfinite(found) else math.nan
