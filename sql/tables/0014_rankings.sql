CREATE TABLE IF NOT EXISTS market.rankings
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    ranking LowCardinality(String) COMMENT 'The list: trending, gainers, losers, most_visited, most_active, trending_sectors (name)',
    place Int64 CODEC(T64, ZSTD(1)) COMMENT 'Place in the list, from 1 (place)',
    item LowCardinality(String) COMMENT 'The source''s id of what stands there, e.g. bitcoin or AAPL (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC (name)',
    name String CODEC(ZSTD(1)) COMMENT 'Name (text)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price; NaN: not told (US dollars)',
    change_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over the list''s span, 24 hours where it names none; NaN: not told (per cent)',
    volume_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    volume Float64 CODEC(ZSTD(1)) COMMENT 'Volume of the day; NaN: not told (shares)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, ranking, time_ns, place)
COMMENT 'Lists of the sources'' own making: one row per source, list, time and place. Times in ns since 1970 UTC, money in US dollars';
