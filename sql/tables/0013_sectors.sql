CREATE TABLE IF NOT EXISTS market.sectors
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    sector LowCardinality(String) COMMENT 'The source''s id of the sector, e.g. layer-1 (id)',
    name LowCardinality(String) COMMENT 'Name of the sector (text)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap of its members; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours of its members; NaN: not told (US dollars)',
    market_cap_change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of the market cap over 24 hours; NaN: not told (per cent)',
    price_change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Mean change of its members'' prices over 24 hours; NaN: not told (per cent)',
    coins Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Members; NULL: not told (count)',
    top_coins Array(String) CODEC(ZSTD(1)) COMMENT 'Ids of the source of its largest members, or symbols (ids)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, sector, time_ns)
COMMENT 'Sectors, or categories of coins: one row per source, sector and time. Times in ns since 1970 UTC, money in US dollars';

CREATE TABLE IF NOT EXISTS market.sector_members
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    sector LowCardinality(String) COMMENT 'The source''s id of the sector, e.g. layer-1 (id)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it belonged there (ns since 1970 UTC)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, sector, coin, time_ns)
COMMENT 'Which coins belong to which sector: one row per source, sector, coin and time it was told. Times in ns since 1970 UTC';
