CREATE TABLE IF NOT EXISTS market.coin_history
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin (id)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'The past time told of (ns since 1970 UTC)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price; NaN: not told (US dollars)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of the 24 hours before; NaN: not told (US dollars)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, coin, time_ns)
COMMENT 'Coins at past times, as charts tell: one row per source, coin and time. Times in ns since 1970 UTC, money in US dollars';
