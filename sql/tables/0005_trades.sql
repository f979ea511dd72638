CREATE TABLE IF NOT EXISTS market.trades
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it traded, by the venue (ns since 1970 UTC)',
    trade_id UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'The venue''s id of the trade (id)',
    price Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Price (quote currency)',
    size Float64 CODEC(ZSTD(1)) COMMENT 'Size (base currency)',
    side LowCardinality(String) COMMENT 'Aggressor: buy or sell (name)',
    aggregated Bool COMMENT 'True: fills of one taker order at one price, taken together (true or false)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, trade_id)
COMMENT 'Trades: one row per trade of a venue. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';
