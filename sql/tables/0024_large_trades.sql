CREATE TABLE IF NOT EXISTS market.large_trades
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it traded, by the venue (ns since 1970 UTC)',
    trade_id UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'The venue''s id of its first print (id)',
    side LowCardinality(String) COMMENT 'Aggressor: buy, sell or unknown (name)',
    price Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Average price by size (quote currency)',
    low Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Lowest price of its prints (quote currency)',
    high Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Highest price of its prints (quote currency)',
    size Float64 CODEC(ZSTD(1)) COMMENT 'Size of all its prints (base currency)',
    prints UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Prints of one side at one time by the venue that were taken together (count)',
    threshold Float64 CODEC(ZSTD(1)) COMMENT 'Size above which one counted as large at that time: what 99 % of up to 1000 before it did not exceed (base currency)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When its last print was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that showed it to be complete; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, trade_id)
COMMENT 'Large trades: prints of one side at one time taken together, above an adaptive size. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';
