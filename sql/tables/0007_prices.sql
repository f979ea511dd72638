CREATE TABLE IF NOT EXISTS market.prices
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. EUR-USD (name)',
    venue LowCardinality(String) COMMENT 'Market that told it, e.g. twelve_data (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was the price, by the venue (ns since 1970 UTC)',
    price Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Last price, without a trade: no size, no side (quote currency)',
    bid Float64 CODEC(ZSTD(1)) COMMENT 'Best bid at that time; NaN: not told (quote currency)',
    ask Float64 CODEC(ZSTD(1)) COMMENT 'Best ask at that time; NaN: not told (quote currency)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, received_ns)
COMMENT 'Prices of sources that tell no trades: one row per price told. Times in ns since 1970 UTC, prices in quote currency';
