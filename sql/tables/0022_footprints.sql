CREATE TABLE IF NOT EXISTS market.footprints
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    interval_s UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Length of the bar: 10, 60 or 3600 (s)',
    open_ns Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Open time (ns since 1970 UTC)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it; false: some may be missing (true or false)',
    row_step Float64 CODEC(ZSTD(1)) COMMENT 'Height of a price row: the instrument''s bin step, the same on every venue (quote currency)',
    size_decimals UInt8 CODEC(T64, ZSTD(1)) COMMENT 'A size in lots divided by 10 to this power is in base currency (count)',
    price_row Array(Int64) CODEC(ZSTD(1)) COMMENT 'Price rows with a trade, ascending; row r holds prices from r * row_step up to, not with, (r + 1) * row_step (rows)',
    buy_lots Array(Int64) CODEC(ZSTD(1)) COMMENT 'Volume of aggressive buying in each row (lots)',
    sell_lots Array(Int64) CODEC(ZSTD(1)) COMMENT 'Volume of aggressive selling in each row (lots)',
    unknown_lots Array(Int64) CODEC(ZSTD(1)) COMMENT 'Volume in each row whose aggressor nobody knows (lots)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest trade in the bar (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed or corrected the row; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(open_ns, 'UTC'))
ORDER BY (instrument, venue, interval_s, open_ns)
COMMENT 'Traded volume by price row and side within closed bars: one row per instrument, venue, interval and open time with a trade. Volumes are exact integers. Open times in ns since 1970 UTC, prices in quote currency';
