"""What polled APIs and pushed alerts tell besides trades, bars, prices and tickers (those are in `connectors.venue`).

Each is one row of one table. `source` is the feed's name, `time_ns` the time of the fact by the source (the receive
time where it tells none), int ns UTC. Money is in US dollars where the name ends in `_usd`, changes in per cent where
it ends in `_pct`. None is what the source does not tell; it is never zero.
"""

import msgspec


class CoinMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A coin over all its markets."""

    source: str
    coin: str  # the source's id: bitcoin, 1
    symbol: str  # BTC, upper case
    name: str
    time_ns: int
    price_usd: float | None = None
    market_cap_usd: float | None = None
    rank: int | None = None  # by market cap
    fully_diluted_usd: float | None = None
    volume_24h_usd: float | None = None
    high_24h_usd: float | None = None
    low_24h_usd: float | None = None
    change_1h_pct: float | None = None
    change_24h_pct: float | None = None
    change_7d_pct: float | None = None
    change_30d_pct: float | None = None
    circulating_supply: float | None = None  # coins
    total_supply: float | None = None
    max_supply: float | None = None
    dominance_pct: float | None = None  # of the market cap of all coins


class CoinPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A coin at a past time, as charts of its price, market cap and volume tell."""

    source: str
    coin: str
    time_ns: int
    price_usd: float | None = None
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None


class MarketTotal(msgspec.Struct, frozen=True, kw_only=True):
    """All coins together."""

    source: str
    time_ns: int
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None
    market_cap_change_24h_pct: float | None = None
    volume_change_24h_pct: float | None = None
    btc_dominance_pct: float | None = None
    eth_dominance_pct: float | None = None
    coins: int | None = None  # active ones
    exchanges: int | None = None


class Sector(msgspec.Struct, frozen=True, kw_only=True):
    """A category of coins, or a sector of equities, as a whole."""

    source: str
    sector: str  # the source's id: layer-1
    name: str
    time_ns: int
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None
    market_cap_change_24h_pct: float | None = None
    price_change_24h_pct: float | None = None  # mean over its members, where the source tells one
    coins: int | None = None
    top_coins: tuple[str, ...] = ()  # ids of the source, or symbols where it tells those


class SectorMember(msgspec.Struct, frozen=True, kw_only=True):
    """That a coin belongs to a sector."""

    source: str
    sector: str
    coin: str
    symbol: str
    time_ns: int


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a list of the source's own making."""

    source: str
    ranking: str  # trending, gainers, losers, most_visited, most_active, trending_sectors
    place: int  # from 1
    item: str  # id of the source: bitcoin, AAPL
    symbol: str
    name: str
    time_ns: int
    price_usd: float | None = None
    change_pct: float | None = None  # over the list's span, 24 h where it names none
    volume_usd: float | None = None
    volume: float | None = None  # shares


class MarketPair(msgspec.Struct, frozen=True, kw_only=True):
    """Where a coin trades."""

    source: str
    coin: str
    symbol: str
    exchange: str
    pair: str  # BTC/USDT, as the source writes it
    category: str  # spot, derivatives, otc; "" where it is not told
    time_ns: int
    price_usd: float | None = None
    volume_24h_usd: float | None = None


class Sentiment(msgspec.Struct, frozen=True, kw_only=True):
    """An index of mood."""

    source: str
    index: str  # fear_and_greed
    time_ns: int
    value: float  # 0 to 100
    label: str


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of a decentralised exchange. Prices of its base token."""

    source: str
    network: str  # eth, solana
    pool: str  # address
    name: str  # WETH / USDC 0.05%
    dex: str
    base_token: str  # address
    quote_token: str
    time_ns: int
    created_ns: int | None = None
    trending_place: int | None = None  # from 1, in the list that told it; None: it told of no ranking
    price_usd: float | None = None
    market_cap_usd: float | None = None
    fully_diluted_usd: float | None = None
    reserve_usd: float | None = None
    volume_5m_usd: float | None = None
    volume_1h_usd: float | None = None
    volume_6h_usd: float | None = None
    volume_24h_usd: float | None = None
    change_5m_pct: float | None = None
    change_1h_pct: float | None = None
    change_6h_pct: float | None = None
    change_24h_pct: float | None = None
    buys_24h: int | None = None
    sells_24h: int | None = None
    buyers_24h: int | None = None
    sellers_24h: int | None = None


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """A listed company. Its day's figures, as the source last knew them."""

    source: str
    ticker: str
    company: str
    sector: str
    industry: str
    country: str
    time_ns: int
    price_usd: float | None = None
    change_pct: float | None = None  # of the day
    volume: float | None = None  # shares of the day
    market_cap_usd: float | None = None
    price_earnings: float | None = None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """An article, with what the source makes of it."""

    source: str
    url: str
    time_ns: int  # of publication
    title: str
    publisher: str
    summary: str
    topics: tuple[str, ...] = ()
    sentiment: float | None = None  # -1 to 1
    label: str = ""
    symbols: tuple[str, ...] = ()  # as the source writes them: AAPL, CRYPTO:BTC, FOREX:USD
    symbol_sentiments: tuple[float, ...] = ()  # one a symbol, -1 to 1
    symbol_relevances: tuple[float, ...] = ()  # one a symbol, 0 to 1


class DataRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table whose columns are the vendor's affair."""

    source: str
    dataset: str  # VENDOR/TABLE
    row: str  # what tells it from others: the values of its first columns
    time_ns: int  # of its date, where it has one
    values: str  # column -> value, a JSON object


Fact = (
    CoinMarket | CoinPoint | MarketTotal | Sector | SectorMember | Ranking | MarketPair | Sentiment | Pool | Equity
    | News | DataRow
)  # fmt: skip
FACTS: tuple[type[Fact], ...] = (
    CoinMarket, CoinPoint, MarketTotal, Sector, SectorMember, Ranking, MarketPair, Sentiment, Pool, Equity, News,
    DataRow,
)  # fmt: skip
