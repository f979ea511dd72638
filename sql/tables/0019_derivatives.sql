CREATE TABLE IF NOT EXISTS market.derivatives
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the venue (ns since 1970 UTC)',
    mark Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Mark price; NaN: not told (quote currency)',
    `index` Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Index price; NaN: not told (quote currency)',
    funding_rate Float64 CODEC(ZSTD(1)) COMMENT 'Funding rate of the current period, 0.0001 is 1 bp; NaN: not told (ratio)',
    next_funding_ns Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'When funding is paid next; NULL: not told (ns since 1970 UTC)',
    open_interest Float64 CODEC(ZSTD(1)) COMMENT 'Open interest; NaN: not told (base currency)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns)
COMMENT 'Mark and index prices, funding and open interest of derivatives: one row per instrument, venue and time told. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';
