CREATE TABLE IF NOT EXISTS market.sentiment
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coinmarketcap (name)',
    `index` LowCardinality(String) COMMENT 'The index, e.g. fear_and_greed (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    value Float64 CODEC(ZSTD(1)) COMMENT 'Value of the index (0 to 100)',
    `label` LowCardinality(String) COMMENT 'The source''s word for the value, e.g. Extreme fear (text)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, `index`, time_ns)
COMMENT 'Indices of mood: one row per source, index and time. Times in ns since 1970 UTC, values from 0 to 100';
