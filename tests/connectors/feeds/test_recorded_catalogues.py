"""Recorded answers of the endpoints that the feeds call become rows; golden values were read in the files by eye."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from connectors.facts import CoinMarket, CoinPoint, MarketTotal, Pool, Ranking, Sector, SectorMember
from connectors.feed import GOOD, Answer, Row, feed
from connectors.venue import Bar, Request, Trade

S, MS = 10**9, 10**6
RECV_NS = 1_795_000_000 * S
GECKO, CAP = "rest/coingecko_oas", "rest/coinmarketcap"
BITCOIN = {"coin": "bitcoin", "symbol": "BTC", "name": "Bitcoin"}
BITCOIN_AT_NS = 1_779_108_561_599 * MS  # 2026-05-18T12:49:21.599Z

MARKET = (CoinMarket, {
    **BITCOIN, "source": "coingecko", "time_ns": BITCOIN_AT_NS, "price_usd": 77671.0,
    "market_cap_usd": 1555886872303.0, "rank": 1, "fully_diluted_usd": 1555914058873.0,
    "volume_24h_usd": 33235034316.0, "high_24h_usd": 78419.0, "low_24h_usd": 76696.0,
    "change_1h_pct": 0.5823392426906319, "change_24h_pct": -0.95302, "change_7d_pct": -4.042267423689584,
    "change_30d_pct": 1.9453890367549207, "circulating_supply": 20030493.0, "total_supply": 20030843.0,
    "max_supply": 21000000.0, "dominance_pct": None,
})  # fmt: skip
CHART = [
    (CoinPoint, {"coin": "bitcoin", "time_ns": 1_779_027_899_041 * MS, "price_usd": 77953.82550382407,
                 "market_cap_usd": 1560631481361.8042, "volume_24h_usd": 18688431751.857048}),
    (CoinPoint, {"time_ns": 1_779_028_199_661 * MS, "price_usd": 78052.87543398788,
                 "market_cap_usd": 1562027330524.267, "volume_24h_usd": 18974828816.446976}),
]  # fmt: skip
POOL = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"
WETH, USDC = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
WETH_USDC = {
    "network": "eth", "pool": POOL, "name": "WETH / USDC 0.05%", "dex": "uniswap_v3", "base_token": WETH,
    "quote_token": USDC, "time_ns": RECV_NS, "created_ns": 1_640_781_314 * S, "trending_place": None,
}  # fmt: skip

RECORDED = {
    "coins_markets": ("coingecko", "/api/v3/coins/markets?vs_currency=usd&per_page=250&page=1", [MARKET]),
    "coins_markets of a sector": (
        "coingecko",
        "/api/v3/coins/markets?vs_currency=usd&per_page=100&page=1&category=layer-1",
        [MARKET, (SectorMember, {"sector": "layer-1", "coin": "bitcoin", "symbol": "BTC", "time_ns": BITCOIN_AT_NS})],
    ),
    "global": ("coingecko", "/api/v3/global", [
        (MarketTotal, {
            "time_ns": 1_779_878_351 * S, "market_cap_usd": 2621040321355.0405, "volume_24h_usd": 95133256404.37308,
            "market_cap_change_24h_pct": -1.6081983639177684, "volume_change_24h_pct": 33.064521460740046,
            "btc_dominance_pct": 57.9539332566265, "eth_dominance_pct": 9.58227145398409, "coins": 17397,
            "exchanges": 1476,
        }),
    ]),
    "coins_categories": ("coingecko", "/api/v3/coins/categories", [
        (Sector, {
            "sector": "smart-contract-platform", "name": "Smart Contract Platform",
            "time_ns": 1_779_789_744_777 * MS, "market_cap_usd": 2176528015490.1301,
            "volume_24h_usd": 45616943988.58024, "market_cap_change_24h_pct": -0.4907335508040635,
            "price_change_24h_pct": None, "coins": None, "top_coins": ("bitcoin", "ethereum", "binancecoin"),
        }),
        (Sector, {"sector": "layer-1", "market_cap_usd": 2152576804747.1516}),
    ]),
    "search_trending": ("coingecko", "/api/v3/search/trending", [
        (Ranking, {
            "ranking": "trending", "place": 1, "item": "bonk", "symbol": "BONK", "name": "Bonk", "time_ns": RECV_NS,
            "price_usd": 5.938674704566297e-06, "change_pct": -3.2712597351582655, "volume_usd": 31701707.0,
            "volume": None,
        }),
        (Ranking, {
            "ranking": "trending_sectors", "place": 1, "item": "base-native", "symbol": "", "name": "Base Native",
            "price_usd": None, "change_pct": 0.14714515711689605, "volume_usd": 16971131961.734743,
        }),
    ]),
    "coins_id_market_chart": ("coingecko", "/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=1", CHART),
    "coins_id_market_chart_range": (
        "coingecko", "/api/v3/coins/bitcoin/market_chart/range?vs_currency=usd&from=1&to=2", CHART,
    ),
    # The bars' times, 14:00 and 14:30 UTC of 2026-05-19, are their ends.
    "coins_id_ohlc": ("coingecko", "/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=1", [
        (Bar, {
            "symbol": "bitcoin", "interval_s": 1800, "open_ns": (1_779_199_200 - 1800) * S, "open": Decimal(76769),
            "high": Decimal(76889), "low": Decimal(76744), "close": Decimal(76818), "volume": None,
            "quote_volume": None, "buy_volume": None, "trades": None, "closed": True,
        }),
        (Bar, {"open_ns": 1_779_199_200 * S, "open": Decimal(76712), "close": Decimal(76422), "closed": True}),
    ]),
    "ping": ("coingecko", "/api/v3/ping", []),
    "onchain_networks_trending_pools": ("coingecko_onchain", "/networks/trending_pools?page=1", [
        (Pool, {
            "network": "base", "pool": "0xec33256bf1ded407a57fd3c1965e7556e42ac14db09bc4e6fef57d5e2eb0b0b9",
            "name": "GITLAWB / WETH", "dex": "uniswap-v4-base", "trending_place": 1,
            "base_token": "0x5f980dcfc4c0fa3911554cf5ab288ed0eb13dba3", "price_usd": 0.0000738759066917531,
            "volume_1h_usd": 144469.00760098,
        }),
    ]),
    "onchain_networks_network_trending_pools": ("coingecko_onchain", "/networks/eth/trending_pools?page=2", [
        (Pool, {
            "network": "eth", "pool": "0x76a411f14a704099ba476ce8dffc288a53295218", "name": "ASTEROID / WETH",
            "dex": "uniswap_v2", "base_token": "0xf280b16ef293d8e534e370794ef26bf312694126", "quote_token": WETH,
            "time_ns": RECV_NS, "created_ns": 1_725_963_503 * S, "trending_place": 21,
            "price_usd": 0.000157869028295179, "market_cap_usd": 66413921.515527,
            "fully_diluted_usd": 66412125.220192, "reserve_usd": 2471711.2255, "volume_5m_usd": 5610.858166059,
            "volume_1h_usd": 471159.035768368, "volume_6h_usd": 1738275.01961596, "volume_24h_usd": 7900631.31777918,
            "change_5m_pct": -0.355, "change_1h_pct": -4.605, "change_6h_pct": -13.908, "change_24h_pct": -20.721,
            "buys_24h": 3175, "sells_24h": 2431, "buyers_24h": 1290, "sellers_24h": 1169,
        }),
    ]),
    "onchain_networks_network_pools": ("coingecko_onchain", "/networks/eth/pools?page=1", [
        (Pool, {"name": "USDC / WETH 0.01%", "base_token": USDC, "price_usd": 1.00416362400354,
                "trending_place": None, "volume_24h_usd": 39081025.0003669}),
    ]),
    "onchain_networks_network_new_pools": ("coingecko_onchain", "/networks/eth/new_pools", [
        (Pool, {"name": "GOSLINGS / ETH 1%", "market_cap_usd": None, "reserve_usd": -97.3671492356286}),
    ]),
    "onchain_networks_new_pools": ("coingecko_onchain", "/networks/new_pools", [
        (Pool, {"network": "solana", "base_token": "2R33cGC6WaP1j2wcvmkAvGjTeEy1N1hvwZtBykmypump",
                "price_usd": 0.000001484405902953219, "market_cap_usd": None, "reserve_usd": None}),
    ]),
    "onchain_networks_network_pools_address": ("coingecko_onchain", f"/networks/eth/pools/{POOL}", [
        (Pool, {**WETH_USDC, "price_usd": 2087.83402802406, "reserve_usd": 99194225.032, "sellers_24h": 998}),
    ]),
    "onchain_networks_network_pools_multi_addresses": ("coingecko_onchain", f"/networks/eth/pools/multi/{POOL}", [
        (Pool, {**WETH_USDC, "price_usd": 2087.84394126108, "buyers_24h": 878}),
    ]),
    "onchain_search_pools": ("coingecko_onchain", "/search/pools?query=weth", [
        (Pool, {**WETH_USDC, "price_usd": 2084.57214039429, "change_24h_pct": -1.887}),
    ]),
    "onchain_networks_network_dexes_dex_pools": ("coingecko_onchain", "/networks/eth/dexes/sushiswap/pools", [
        (Pool, {"name": "NEAR / WETH", "dex": "sushiswap", "volume_24h_usd": 38207.6214949268}),
    ]),
    "onchain_networks_network_tokens_token_address_pools": (
        "coingecko_onchain", f"/networks/eth/tokens/{USDC}/pools",
        [(Pool, {"name": "USDC / USDT", "market_cap_usd": 189288747230.058, "change_24h_pct": -0.21})],
    ),
    # Newest first in the file: 2026-05-28 and 2026-05-27. Volume in dollars.
    "onchain_networks_network_pools_pool_address_ohlcv_timeframe": (
        "coingecko_onchain", f"/networks/eth/pools/{POOL}/ohlcv/day?aggregate=1&limit=1000&currency=usd",
        [
            (Bar, {
                "symbol": f"eth:{POOL}", "interval_s": 86_400, "open_ns": 1_779_840_000 * S,
                "open": Decimal("0.996152188066521"), "high": Decimal("1.0040610548489"),
                "low": Decimal("0.996152188066521"), "close": Decimal("1.00208165944741"), "volume": None,
                "quote_volume": Decimal("11911.669491500581"), "buy_volume": None, "trades": None, "closed": True,
            }),
            (Bar, {"open_ns": 1_779_926_400 * S, "low": Decimal("0.985925654401274"),
                   "quote_volume": Decimal("3481.679733097695")}),
        ],
    ),
    # The base token is USDT: what the buy receives, and what the sell gives.
    "onchain_networks_network_pools_pool_address_trades": (
        "coingecko_onchain", f"/networks/eth/pools/{POOL}/trades",
        [
            (Trade, {"symbol": f"eth:{POOL}", "event_ns": 1_779_938_327 * S, "side": "sell",
                     "price": Decimal("0.992388076121959"), "size": Decimal("192.459164"), "aggregated": False}),
            (Trade, {"event_ns": 1_779_941_051 * S, "side": "buy", "price": Decimal("1.00027690571219"),
                     "size": Decimal("211.331589")}),
        ],
    ),
    "listings_latest_20190208": ("coinmarketcap", "/v1/cryptocurrency/listings/latest?start=1&limit=200&convert=USD", [
        (CoinMarket, {
            "source": "coinmarketcap", "coin": "1", "symbol": "BTC", "name": "Bitcoin",
            "time_ns": 1_549_628_906 * S, "price_usd": 3453.70296808, "market_cap_usd": 60532447523.518745, "rank": 1,
            "volume_24h_usd": 5477698705.81813, "change_1h_pct": 0.261993, "change_24h_pct": 1.07139,
            "change_7d_pct": -0.38027, "circulating_supply": 17526825.0, "total_supply": 17526825.0,
            "max_supply": 21000000.0, "change_30d_pct": None, "dominance_pct": None, "fully_diluted_usd": None,
            "high_24h_usd": None, "low_24h_usd": None,
        }),
        (CoinMarket, {"coin": "52", "symbol": "XRP", "rank": 2, "time_ns": 1_549_628_884 * S,
                      "price_usd": 0.299183586734}),
        (CoinMarket, {"coin": "1027", "symbol": "ETH", "rank": 3, "price_usd": 108.768488507, "max_supply": None}),
    ]),
}  # fmt: skip

EACH = pytest.mark.parametrize("name", RECORDED)


def read(recordings: Path, name: str) -> bytes:
    folder = CAP if name.startswith("listings") else GECKO
    return (recordings / folder / f"{name.split(' ', maxsplit=1)[0]}.json").read_bytes()


def rows_of(name: str, payload: bytes) -> list[Row]:
    source, path, _ = RECORDED[name]
    base = "/api/v3/onchain" if source == "coingecko_onchain" else ""
    return feed(source).parse(base + path, payload, RECV_NS)


@EACH
def test_a_recorded_answer_becomes_rows(name: str, recordings: Path) -> None:
    source, path, golden = RECORDED[name]
    payload = read(recordings, name)
    rows = rows_of(name, payload)
    assert [type(x) for x in rows] == [kind for kind, _ in golden]
    for row, (_, expected) in zip(rows, golden, strict=True):
        assert {name: getattr(row, name) for name in expected} == expected
        assert getattr(row, "source", source) == source
    assert feed(source).judge(Request(path, 1), Answer(200, {}, payload)) == GOOD


@pytest.mark.parametrize("name", [x for x in RECORDED if x.startswith("onchain")])
def test_geckoterminal_is_read_as_coingecko_s_onchain(name: str, recordings: Path) -> None:
    payload = read(recordings, name)
    found = feed("gecko_terminal").parse("/api/v2" + RECORDED[name][1], payload, RECV_NS)
    expected = rows_of(name, payload)
    for row, other in zip(found, expected, strict=True):
        told = {"source": "gecko_terminal"} if isinstance(other, Pool) else {}
        assert row == msgspec.structs.replace(other, **told)


@EACH
def test_unknown_fields_change_nothing(name: str, recordings: Path) -> None:
    payload = read(recordings, name)
    assert rows_of(name, json.dumps(widened(json.loads(payload))).encode()) == rows_of(name, payload)


def widened(found: object) -> object:
    if isinstance(found, dict):
        return {"new_in_2027": [1, {"x": None}], **{name: widened(x) for name, x in found.items()}}
    return [widened(x) for x in found] if isinstance(found, list) else found


def test_every_recorded_list_of_pools_bars_or_trades_is_among_these(recordings: Path) -> None:
    # What is left is of networks, exchanges and tokens, which no feed asks for.
    files = {x.stem for x in (recordings / GECKO).glob("onchain_*.json")}
    unread = {x for x in files - RECORDED.keys() if "pools" in x}
    assert unread == {"onchain_networks_network_pools_pool_address_info"}
