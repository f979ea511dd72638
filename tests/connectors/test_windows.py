"""What correlation looks back on is fetched once for each instrument, and only what is missing the next time."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from connectors.access import access
from connectors.feed import feed
from connectors.file_log import FileLog
from connectors.lookbacks import LOOKBACKS
from connectors.record import decode_lines
from connectors.simulator.server import Simulator
from connectors.simulator.service import Options
from connectors.venue import Bar, Market, market
from connectors.windows import Fetching, fetch_windows, windows

NOW_NS = 1_795_365_930_000_000_000
FEEDS = ("binance_spot_rest", "binance_futures_rest", "kraken_rest", "gemini_rest", "bybit_spot_rest")
FOLLOWED: list[tuple[Market, tuple[str, ...]]] = [
    (market("gemini"), ("BTCUSD", "ETHUSD")),
    (market("kraken"), ("BTC/USD", "EUR/USD")),
    (market("bybit_spot"), ("BTCUSDT",)),
    (market("binance_spot"), ("BTCUSDT",)),
    (market("binance_futures"), ("BTCUSDT",)),
    (market("massive_forex"), ("GBP-USD",)),
]


def test_each_instrument_comes_from_the_first_market_that_tells_it() -> None:
    found = windows(FOLLOWED, [feed(x) for x in FEEDS], NOW_NS)
    source = {x.instrument: (x.feed, x.symbol) for x in found}
    assert source == {
        "BTC-USDT": ("binance_spot_rest", "BTCUSDT"), "BTC-USDT-PERP": ("binance_futures_rest", "BTCUSDT"),
        "BTC-USD": ("kraken_rest", "BTC/USD"), "EUR-USD": ("kraken_rest", "EUR/USD"),
        "ETH-USD": ("gemini_rest", "ETHUSD"),
    }  # fmt: skip


def test_every_look_back_lies_in_a_window_of_bars_that_make_up_its_own() -> None:
    found = windows(FOLLOWED, [feed(x) for x in FEEDS], NOW_NS)
    for instrument in {x.instrument for x in found}:
        mine = [x for x in found if x.instrument == instrument]
        assert len(mine) == len({x.interval_s for x in mine})
        for look in LOOKBACKS:
            need_ns = NOW_NS - (look.span_s + look.interval_s) * 10**9
            assert any(
                look.interval_s % x.interval_s == 0 and x.span.from_ns <= need_ns and x.span.to_ns == NOW_NS
                for x in mine
            )


def test_what_reaches_back_least_comes_first() -> None:
    found = windows(FOLLOWED, [feed(x) for x in FEEDS], NOW_NS)
    assert [x.interval_s for x in found] == sorted(x.interval_s for x in found)
    assert Counter(x.interval_s for x in found)[60] == 5


def test_markets_whose_history_cannot_be_reached_are_left_out() -> None:
    assert {x.instrument for x in windows(FOLLOWED, [feed("kraken_rest")], NOW_NS)} == {"BTC-USD", "EUR-USD"}
    assert windows(FOLLOWED, [], NOW_NS) == []


@pytest.mark.parametrize("broken", [False, True])
def test_windows_are_fetched_and_the_next_start_asks_for_little(tmp_path: Path, broken: bool) -> None:
    followed = [
        (market("binance_spot"), ("BTCUSDT", "NOPEUSDT") if broken else ("BTCUSDT",)),
        (market("kraken"), ("BTC/USD",)),
    ]

    async def main() -> tuple[Fetching, Fetching]:
        options = Options(markets=("binance_spot", "kraken"), symbols=("BTCUSDT", "BTC/USD"))
        async with Simulator(options) as simulator:
            environ = {
                f"ISOTHERM_{name}_REST_URL".upper(): simulator.urls(name)[1] for name in simulator.venues
            }
            ways = [access(feed(f"{name}_rest"), environ) for name in simulator.venues]
            log = FileLog(tmp_path / "log")
            first = await fetch_windows(followed, ways, log, tmp_path, lambda: 0.5)
            second = await fetch_windows(followed, ways, log, tmp_path, lambda: 0.5)
            log.close()
            return first, second

    began_ns = time.time_ns()
    first, second = asyncio.run(main())
    assert (len(first.left), first.done) == ((3, 2) if broken else (2, 2))
    assert ("-1121" in first.errors.get("NOPE-USDT", "")) == broken
    # Of Kraken some windows hold more than it tells: those are asked for again, and bring nothing but what is new.
    assert second.requests <= 6 + 5 + 5 * broken and second.bars <= 2 * 6 * 2
    bars = [
        row
        for name in ("binance_spot_rest", "kraken_rest")
        for record in _records(tmp_path / "log", f"raw.{name}")
        for line in decode_lines(record)
        for row in feed(name).parse(line.origin.decode().removeprefix("GET:"), line.payload, line.recv_ns)
        if isinstance(row, Bar) and row.closed
    ]
    for look in LOOKBACKS:
        opens = {
            x.open_ns
            for x in bars
            if x.symbol == "BTCUSDT" and x.interval_s == look.interval_s
            and began_ns - (look.span_s + look.interval_s) * 10**9 <= x.open_ns
        }  # fmt: skip
        # What the simulated market plays at this moment may be missing; so may what lies before its beginning.
        assert len(opens) >= look.bars - 25 or look.name == "5y"
        assert len(opens) > 0.95 * look.bars or look.bars < 300


def _records(folder: Path, topic: str) -> list[bytes]:
    log = FileLog(folder)
    reader = log.reader(topic, 0)
    found = []
    while records := reader.poll():
        found += [x.body for x in records]
    reader.close()
    log.close()
    return found
