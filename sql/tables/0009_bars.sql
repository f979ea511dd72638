-- A partition a year: daily bars reach back decades, and a million bars of one minute are little.
CREATE TABLE IF NOT EXISTS market.bars
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures; of what has none the source''s name (name)',
    interval_s UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Length of the bar (s)',
    source LowCardinality(String) COMMENT 'Where it comes from: stream (the venue''s own, as it closed), rest (polled or backfilled), archive, import (files), prices (made of prices without trades) (name)',
    open_ns Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Open time (ns since 1970 UTC)',
    open Float64 CODEC(Delta, ZSTD(1)) COMMENT 'First price (quote currency)',
    high Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Highest price (quote currency)',
    low Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Lowest price (quote currency)',
    close Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Last price (quote currency)',
    volume Float64 CODEC(ZSTD(1)) COMMENT 'Volume; NaN: not told (base currency)',
    quote_volume Float64 CODEC(ZSTD(1)) COMMENT 'Volume; NaN: not told (quote currency)',
    buy_volume Float64 CODEC(ZSTD(1)) COMMENT 'Volume of trades whose aggressor bought; NaN: not told (base currency)',
    trades Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Trades in the bar; NULL: not told (count)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY if(interval_s < 3600, toYear(fromUnixTimestamp64Nano(open_ns, 'UTC')), 0)
ORDER BY (instrument, venue, interval_s, source, open_ns)
COMMENT 'Closed bars: one row per instrument, venue, interval, source and open time. Open times in ns since 1970 UTC, prices in quote currency, volumes in base or quote currency';
