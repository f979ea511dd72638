CREATE TABLE IF NOT EXISTS market.liquidations
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it happened on, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it happened, by the venue (ns since 1970 UTC)',
    liquidated_side LowCardinality(String) COMMENT 'Position that was closed by force: long (a forced sale) or short (a forced purchase) (name)',
    price Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Price, as the venue tells it: of the fill, or of bankruptcy (quote currency)',
    size Float64 CODEC(ZSTD(1)) COMMENT 'Size (base currency)',
    ordinal UInt16 CODEC(T64, ZSTD(1)) COMMENT 'Number among those alike in one message, from 0: venues give no ids (count)',
    complete Bool COMMENT 'True: the venue tells all; false: it tells a sample, at most one a second (true or false)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, liquidated_side, price, size, ordinal)
COMMENT 'Forced closings of positions. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';
