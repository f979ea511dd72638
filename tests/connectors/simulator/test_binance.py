"""What the simulator says is what the venues' parsers document, and nothing else."""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors import venue
from connectors.simulator import binance as b
from connectors.simulator.half import State
from connectors.simulator.market import SimulatedMarket
from connectors.simulator.symbols import SYMBOLS, Kind
from tests.connectors.feeds.halves import HalfClient

START_MS = 1_795_000_000_000
ALL = list(SYMBOLS.values())
both = pytest.mark.parametrize("kind", ["spot", "futures"])
PARSED = {
    "depth@100ms": venue.Depth, "aggTrade": venue.Trade, "trade": venue.Trade, "bookTicker": venue.BestQuote,
    "kline_1m": venue.Bar, "markPrice@1s": venue.MarkPrice, "markPrice": venue.MarkPrice,
    "forceOrder": venue.Liquidation, "arr": venue.Liquidation,
}  # fmt: skip


@both
def test_every_frame_parses_to_its_event_on_the_grid(kind: Kind) -> None:
    market, binance = SimulatedMarket(kind, ALL, 7, START_MS), b.Binance(kind, ALL)
    parser, wanted = venue.market(f"binance_{kind}"), set(b.channels(kind, ALL))
    seen: Counter[str] = Counter()
    for until_s, step_ms in ((240, 1000), (243, 100)):
        for event in market.advance(START_MS + until_s * 1000, step_ms):
            for stream, payload in binance.frames(event, wanted):
                channel = stream.partition("@")[2]
                seen[channel] += 1
                (parsed,) = parser.parse(payload)
                assert type(parsed) is PARSED[channel]
                assert msgspec.json.decode(payload)["stream"] == stream
                if not stream.startswith("!"):
                    assert parser.key_of(payload) == event.symbol.encode()
                _check_grid(kind, parsed)
    assert seen.keys() == {x.partition("@")[2] for x in wanted}


def _check_grid(kind: Kind, parsed: venue.Event) -> None:
    grid = SYMBOLS[parsed.symbol].grid(kind)
    if isinstance(parsed, venue.Depth):
        for price, size in (*parsed.bids, *parsed.asks):
            assert price % grid.tick == 0 == size % grid.lot
    elif isinstance(parsed, venue.Trade):
        assert parsed.price % grid.tick == 0 == parsed.size % grid.lot
    elif isinstance(parsed, venue.BestQuote):
        assert parsed.bid < parsed.ask and parsed.bid % grid.tick == 0


@both
def test_exchange_info_gives_the_instruments(kind: Kind) -> None:
    binance, market = b.Binance(kind, ALL), venue.market(f"binance_{kind}")
    found = market.instruments(binance.exchange_info({}, START_MS))
    assert [x.symbol for x in found] == list(SYMBOLS)
    for each in found:
        grid = SYMBOLS[each.symbol].grid(kind)
        assert (each.tick, each.lot) == (grid.tick, grid.lot)
        assert each.instrument == market.canonical(each.symbol)


def test_spot_gives_the_symbols_asked_for() -> None:
    binance = b.Binance("spot", ALL)
    body = binance.exchange_info({"symbols": '["BTCUSDT","ETHUSDT"]'}, START_MS)
    assert [x["symbol"] for x in msgspec.json.decode(body)["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    for query in ({"symbols": '["NONE"]'}, {"symbols": "["}, {"symbol": "NONE"}):
        with pytest.raises(b.RequestError) as found:
            binance.exchange_info(query, START_MS)
        assert found.value.status == 400


@both
def test_a_snapshot_holds_the_best_levels_asked_for(kind: Kind) -> None:
    market, binance = SimulatedMarket(kind, ALL, 7, START_MS), b.Binance(kind, ALL)
    update_id, bids, asks = market.book("BTCUSDT").state()
    body = binance.snapshot("BTCUSDT", 100, State(update_id, bids, asks, START_MS))
    (parsed,) = venue.market(f"binance_{kind}").parse(body)
    assert isinstance(parsed, venue.Depth) and parsed.snapshot and parsed.last_id == update_id
    grid = SYMBOLS["BTCUSDT"].grid(kind)
    assert [(p / grid.tick, n / grid.lot) for p, n in parsed.bids] == sorted(bids.items(), reverse=True)[:100]
    assert [(p / grid.tick, n / grid.lot) for p, n in parsed.asks] == sorted(asks.items())[:100]


@pytest.mark.parametrize(
    ("kind", "path", "query", "weight"),
    [
        ("spot", "/api/v3/depth", {"limit": "100"}, 5),
        ("spot", "/api/v3/depth", {}, 5),
        ("spot", "/api/v3/depth", {"limit": "1000"}, 50),
        ("spot", "/api/v3/depth", {"limit": "5000"}, 250),
        ("spot", "/api/v3/exchangeInfo", {}, 20),
        ("spot", "/api/v3/klines", {"limit": "1000"}, 2),
        ("spot", "/api/v3/time", {}, 1),
        ("futures", "/fapi/v1/depth", {"limit": "50"}, 2),
        ("futures", "/fapi/v1/depth", {}, 10),
        ("futures", "/fapi/v1/depth", {"limit": "1000"}, 20),
        ("futures", "/fapi/v1/exchangeInfo", {}, 1),
        ("futures", "/fapi/v1/klines", {"limit": "1500"}, 10),
        ("spot", "/api/v3/aggTrades", {"limit": "1000"}, 4),
        ("futures", "/fapi/v1/aggTrades", {"limit": "1000"}, 20),
        ("futures", "/fapi/v1/depth", {"limit": "x"}, 2),
    ],
)
def test_weights_are_the_documented_ones(kind: Kind, path: str, query: dict[str, str], weight: int) -> None:
    assert b.Binance(kind, ALL).weight(path, query) == weight


@pytest.mark.parametrize(
    ("kind", "query", "code"),
    [
        ("spot", {}, -1102),
        ("spot", {"symbol": "NONEUSDT"}, -1121),
        ("spot", {"symbol": "BTCUSDT", "limit": "-1"}, -1100),
        ("spot", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
        ("futures", {"symbol": "BTCUSDT", "limit": "700"}, -4021),
    ],
)
def test_wrong_requests_are_refused_with_the_venues_codes(
    kind: Kind, query: dict[str, str], code: int
) -> None:
    binance = b.Binance(kind, ALL)
    with pytest.raises(b.RequestError) as found:
        binance.symbol_of(query), binance.depth_limit(query)
    assert msgspec.json.decode(found.value.body)["code"] == code


def test_futures_streams_have_their_paths() -> None:
    futures, spot = b.Binance("futures", ALL), b.Binance("spot", ALL)
    for channel in ("depth@100ms", "bookTicker"):
        assert futures.path_of(f"btcusdt@{channel}") == "/public/stream"
    for stream in ("btcusdt@aggTrade", "btcusdt@markPrice@1s", "btcusdt@forceOrder", "!forceOrder@arr"):
        assert futures.path_of(stream) == "/market/stream"
    assert spot.path_of("btcusdt@depth@100ms") == "/stream"


def test_control_messages() -> None:
    streams: dict[str, None] = {}

    def say(**message: object) -> object:
        return msgspec.json.decode(b.control(msgspec.json.encode(message), streams))

    assert say(method="SUBSCRIBE", params=["btcusdt@depth@100ms", "no@such"], id=1) == {
        "result": None,
        "id": 1,
    }
    assert say(method="LIST_SUBSCRIPTIONS", id="x") == {
        "result": ["btcusdt@depth@100ms", "no@such"],
        "id": "x",
    }
    assert say(method="UNSUBSCRIBE", params=["no@such"], id=None) == {"result": None, "id": None}
    assert list(streams) == ["btcusdt@depth@100ms"]
    assert say(method="SHOUT", id=2)["code"] == 2
    assert say(method="SUBSCRIBE", params=[5], id=2)["code"] == 2
    assert say(method="SUBSCRIBE", params=[f"s{i}@depth" for i in range(1024)], id=2)["code"] == 2
    assert msgspec.json.decode(b.control(b"{", streams))["code"] == 3
    assert list(streams) == ["btcusdt@depth@100ms"]


@both
def test_klines_and_open_interest(kind: Kind) -> None:
    client = HalfClient(f"binance_{kind}")
    binance, desk = client.half, client.desk
    assert isinstance(binance, b.Binance)

    def rows(**query: str) -> list[list[Any]]:
        found: list[list[Any]] = msgspec.json.decode(binance.klines({"symbol": "BTCUSDT", **query}, desk))
        return found

    last = rows(interval="1m", limit="2")
    assert [len(row) for row in last] == [12, 12]
    assert last[1][0] - last[0][0] == 60_000 == last[0][6] + 1 - last[0][0]
    assert last[1][0] <= desk.now_ms <= last[1][6]
    assert Decimal(last[0][3]) <= Decimal(last[0][1]) <= Decimal(last[0][2])
    assert rows(interval="1m", startTime=str(last[1][0])) == last[1:]
    begin_ms = last[0][0] - 3_000_000
    first = rows(interval="1m", startTime=str(begin_ms), endTime=str(last[0][0]), limit="3")
    assert [row[0] for row in first] == [begin_ms, begin_ms + 60_000, begin_ms + 120_000]
    assert [row[6] - row[0] for row in rows(interval="4h", limit="5")] == [4 * 3_600_000 - 1] * 5
    for query in ({"interval": "7m"}, {"interval": "1m", "limit": "0"}, {"interval": "1m", "startTime": "x"}):
        with pytest.raises(b.RequestError):
            rows(**query)
    body = binance.open_interest("BTCUSDT", 5, START_MS)
    assert Decimal(msgspec.json.decode(body)["openInterest"]) > 0


def test_trades_of_an_hour_or_more_are_refused() -> None:
    client = HalfClient("binance_spot")
    assert isinstance(client.half, b.Binance)
    query = {"symbol": "BTCUSDT", "startTime": "1795000000000", "endTime": "1795003600000"}
    with pytest.raises(b.RequestError) as found:
        client.half.trades(query, client.desk)
    assert msgspec.json.decode(found.value.body)["code"] == -1127
    assert client.half.trades(query | {"endTime": "1795003599999"}, client.desk) != b"[]"
