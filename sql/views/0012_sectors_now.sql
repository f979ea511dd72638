CREATE OR REPLACE VIEW market.sectors_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    sector LowCardinality(String) COMMENT 'The source''s id of the sector, e.g. layer-1 (id)',
    name LowCardinality(String) COMMENT 'Name of the sector (text)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    market_cap_usd Float64 COMMENT 'Market cap of its members; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of 24 hours of its members; NaN: not told (US dollars)',
    market_cap_change_24h_pct Float64 COMMENT 'Change of the market cap over 24 hours; NaN: not told (per cent)',
    price_change_24h_pct Float64 COMMENT 'Mean change of its members'' prices over 24 hours; NaN: not told (per cent)',
    coins Nullable(Int64) COMMENT 'Members; NULL: not told (count)',
    top_coins Array(String) COMMENT 'Ids of the source of its largest members, or symbols (ids)'
)
AS SELECT
    source, sector, name, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, market_cap_usd, volume_24h_usd,
    market_cap_change_24h_pct, price_change_24h_pct, coins, top_coins
FROM
(
    SELECT * FROM market.sectors FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, sector, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, sector
)
COMMENT 'Sectors as they are: the latest row told within the last 7 days of each. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.sector_members_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    sector LowCardinality(String) COMMENT 'The source''s id of the sector, e.g. layer-1 (id)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it belonged there (UTC)'
)
AS SELECT
    source, sector, coin, symbol, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time
FROM
(
    SELECT * FROM market.sector_members FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, sector, coin, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, sector, coin
)
COMMENT 'Which coins belong to which sector: the latest row told within the last 7 days of each. Times UTC';

CREATE OR REPLACE VIEW market.rankings_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    ranking LowCardinality(String) COMMENT 'The list: trending, gainers, losers, most_visited, most_active, trending_sectors (name)',
    place Int64 COMMENT 'Place in the list, from 1 (place)',
    item LowCardinality(String) COMMENT 'The source''s id of what stands there, e.g. bitcoin or AAPL (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC (name)',
    name String COMMENT 'Name (text)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    price_usd Float64 COMMENT 'Price; NaN: not told (US dollars)',
    change_pct Float64 COMMENT 'Change of price over the list''s span, 24 hours where it names none; NaN: not told (per cent)',
    volume_usd Float64 COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    volume Float64 COMMENT 'Volume of the day; NaN: not told (shares)'
)
AS SELECT
    source, ranking, place, item, symbol, name, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, price_usd,
    change_pct, volume_usd, volume
FROM market.rankings FINAL
WHERE (source, ranking, received_ns) IN
(
    SELECT source, ranking, max(received_ns) FROM market.rankings WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000 GROUP BY source, ranking
)
COMMENT 'Lists of the sources'' own making as they are: those told last within the last 7 days. Times UTC, money in US dollars';
