CREATE OR REPLACE VIEW market.coins_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin or 1 (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC; several coins may share one (name)',
    name String COMMENT 'Name of the coin (text)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    price_usd Float64 COMMENT 'Price; NaN: not told (US dollars)',
    market_cap_usd Float64 COMMENT 'Market cap; NaN: not told (US dollars)',
    `rank` Nullable(Int64) COMMENT 'Place by market cap, from 1; NULL: not told (place)',
    fully_diluted_usd Float64 COMMENT 'Fully diluted value; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    high_24h_usd Float64 COMMENT 'Highest price of 24 hours; NaN: not told (US dollars)',
    low_24h_usd Float64 COMMENT 'Lowest price of 24 hours; NaN: not told (US dollars)',
    change_1h_pct Float64 COMMENT 'Change of price over 1 hour; NaN: not told (per cent)',
    change_24h_pct Float64 COMMENT 'Change of price over 24 hours; NaN: not told (per cent)',
    change_7d_pct Float64 COMMENT 'Change of price over 7 days; NaN: not told (per cent)',
    change_30d_pct Float64 COMMENT 'Change of price over 30 days; NaN: not told (per cent)',
    circulating_supply Float64 COMMENT 'Coins in circulation; NaN: not told (coins)',
    total_supply Float64 COMMENT 'Coins there are; NaN: not told (coins)',
    max_supply Float64 COMMENT 'Coins there will ever be; NaN: not told, or without limit (coins)',
    dominance_pct Float64 COMMENT 'Share of the market cap of all coins; NaN: not told (per cent)'
)
AS SELECT
    source, coin, symbol, name, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, price_usd, market_cap_usd,
    `rank`, fully_diluted_usd, volume_24h_usd, high_24h_usd, low_24h_usd, change_1h_pct, change_24h_pct,
    change_7d_pct, change_30d_pct, circulating_supply, total_supply, max_supply, dominance_pct
FROM
(
    SELECT * FROM market.coin_markets FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, coin, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, coin
)
COMMENT 'Coins as they are: the latest row told within the last 7 days of each. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.coin_charts
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin (id)',
    time DateTime64(9, 'UTC') COMMENT 'The past time told of (UTC)',
    price_usd Float64 COMMENT 'Price; NaN: not told (US dollars)',
    market_cap_usd Float64 COMMENT 'Market cap; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of the 24 hours before; NaN: not told (US dollars)'
)
AS SELECT
    source, coin, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, price_usd, market_cap_usd, volume_24h_usd
FROM market.coin_history FINAL
COMMENT 'Coins at past times, one row per source, coin and time. Always filter by coin and time. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.market_totals_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    market_cap_usd Float64 COMMENT 'Market cap of all coins; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of 24 hours of all coins; NaN: not told (US dollars)',
    market_cap_change_24h_pct Float64 COMMENT 'Change of the market cap over 24 hours; NaN: not told (per cent)',
    volume_change_24h_pct Float64 COMMENT 'Change of the volume over 24 hours; NaN: not told (per cent)',
    btc_dominance_pct Float64 COMMENT 'Share of Bitcoin in the market cap; NaN: not told (per cent)',
    eth_dominance_pct Float64 COMMENT 'Share of Ether in the market cap; NaN: not told (per cent)',
    coins Nullable(Int64) COMMENT 'Active coins; NULL: not told (count)',
    exchanges Nullable(Int64) COMMENT 'Exchanges; NULL: not told (count)'
)
AS SELECT
    source, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, market_cap_usd, volume_24h_usd,
    market_cap_change_24h_pct, volume_change_24h_pct, btc_dominance_pct, eth_dominance_pct, coins, exchanges
FROM
(
    SELECT * FROM market.market_totals FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, time_ns DESC, received_ns DESC
    LIMIT 1 BY source
)
COMMENT 'All coins together as they are: the latest row told within the last 7 days of each. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.market_pairs_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coinmarketcap (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin or 1 (id)',
    symbol LowCardinality(String) COMMENT 'Symbol of the coin, e.g. BTC (name)',
    exchange LowCardinality(String) COMMENT 'Exchange, as the source calls it (name)',
    pair LowCardinality(String) COMMENT 'Pair, as the source writes it, e.g. BTC/USDT (name)',
    category LowCardinality(String) COMMENT 'spot, derivatives or otc; empty: not told (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    price_usd Float64 COMMENT 'Price; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of 24 hours; NaN: not told (US dollars)'
)
AS SELECT
    source, coin, symbol, exchange, pair, category, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, price_usd,
    volume_24h_usd
FROM
(
    SELECT * FROM market.market_pairs FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, coin, exchange, pair, category, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, coin, exchange, pair, category
)
COMMENT 'Where coins trade: the latest row told within the last 7 days of each. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.sentiment_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coinmarketcap (name)',
    `index` LowCardinality(String) COMMENT 'The index, e.g. fear_and_greed (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    value Float64 COMMENT 'Value of the index (0 to 100)',
    `label` LowCardinality(String) COMMENT 'The source''s word for the value, e.g. Extreme fear (text)'
)
AS SELECT
    source, `index`, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, value, `label`
FROM
(
    SELECT * FROM market.sentiment FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, `index`, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, `index`
)
COMMENT 'Indices of mood as they are: the latest row told within the last 7 days of each. Times UTC, values from 0 to 100';
