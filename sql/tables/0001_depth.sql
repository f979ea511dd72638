-- Order book columns: one row per instrument, venue and interval; the arrays are dense over the bins.
-- Bins of one instrument have the same width and the same zero on every venue, and base_bin is a multiple
-- of 64, so that columns of different seconds and venues add up block by block.
CREATE TABLE IF NOT EXISTS market.depth_1s
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Open time of the interval (UTC, whole seconds)',
    live_s UInt16 CODEC(T64, ZSTD(1)) COMMENT 'Seconds of the interval that ended with a live book (s)',
    bin_step Float64 CODEC(ZSTD(1)) COMMENT 'Width of a bin (quote currency)',
    base_bin Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Index of the first bin, a multiple of 64; its lower edge is base_bin * bin_step (bins)',
    bid Array(Float32) CODEC(ZSTD(1)) COMMENT 'Resting bid size per bin at the end of the second, in longer intervals the mean over the seconds that knew the bin; NaN: not known (base currency)',
    ask Array(Float32) CODEC(ZSTD(1)) COMMENT 'Resting ask size per bin at the end of the second, in longer intervals the mean over the seconds that knew the bin; NaN: not known (base currency)',
    covered_low Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Lowest price from which on all bids are known; bins that reach below hold what was heard of since, or NaN (quote currency)',
    covered_high Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Highest price up to which all asks are known; bins that reach above hold what was heard of since, or NaN; inf: all (quote currency)',
    best_bid Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Highest bid at the end of the last live second (quote currency)',
    best_ask Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Lowest ask at the end of the last live second (quote currency)',
    best_bid_size Float64 CODEC(ZSTD(1)) COMMENT 'Size at the highest bid at the end of the last live second (base currency)',
    best_ask_size Float64 CODEC(ZSTD(1)) COMMENT 'Size at the lowest ask at the end of the last live second (base currency)',
    spread Float64 CODEC(ZSTD(1)) COMMENT 'best_ask - best_bid (quote currency)',
    mid Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Mean of best_bid and best_ask (quote currency)',
    weighted_mid Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Mean of best bid and ask, each weighted by the size of the other side (quote currency)',
    bid_10bps Float64 CODEC(ZSTD(1)) COMMENT 'Bid size within 10 bps below the mid; NaN: not known (base currency)',
    bid_25bps Float64 CODEC(ZSTD(1)) COMMENT 'Bid size within 25 bps below the mid; NaN: not known (base currency)',
    bid_50bps Float64 CODEC(ZSTD(1)) COMMENT 'Bid size within 50 bps below the mid; NaN: not known (base currency)',
    bid_100bps Float64 CODEC(ZSTD(1)) COMMENT 'Bid size within 100 bps below the mid; NaN: not known (base currency)',
    ask_10bps Float64 CODEC(ZSTD(1)) COMMENT 'Ask size within 10 bps above the mid; NaN: not known (base currency)',
    ask_25bps Float64 CODEC(ZSTD(1)) COMMENT 'Ask size within 25 bps above the mid; NaN: not known (base currency)',
    ask_50bps Float64 CODEC(ZSTD(1)) COMMENT 'Ask size within 50 bps above the mid; NaN: not known (base currency)',
    ask_100bps Float64 CODEC(ZSTD(1)) COMMENT 'Ask size within 100 bps above the mid; NaN: not known (base currency)',
    imbalance_10bps Float64 CODEC(ZSTD(1)) COMMENT '(bid - ask) / (bid + ask) within 10 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_25bps Float64 CODEC(ZSTD(1)) COMMENT '(bid - ask) / (bid + ask) within 25 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_50bps Float64 CODEC(ZSTD(1)) COMMENT '(bid - ask) / (bid + ask) within 50 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_100bps Float64 CODEC(ZSTD(1)) COMMENT '(bid - ask) / (bid + ask) within 100 bps of the mid; NaN: not known (ratio, -1 to 1)',
    ofi Float64 CODEC(ZSTD(1)) COMMENT 'Order flow imbalance at the best prices (Cont, Kukanov, Stoikov 2014), summed over the interval (base currency)',
    updates UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Book messages applied in the interval (count)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest book message in the row (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed or corrected the row; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(time)
ORDER BY (instrument, venue, time)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Order book per second: one row per instrument, venue and second with a live book. Times UTC, prices in quote currency, sizes in base currency. Kept for ever unless retention is set (suggested: 7 days)';

CREATE TABLE IF NOT EXISTS market.depth_10s AS market.depth_1s
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (instrument, venue, time)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Order book per 10 seconds: one row per instrument, venue and 10 s with a live book. Times UTC, prices in quote currency, sizes in base currency. Kept for ever unless retention is set (suggested: 60 days)';

CREATE TABLE IF NOT EXISTS market.depth_1m AS market.depth_1s
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (instrument, venue, time)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Order book per minute: one row per instrument, venue and minute with a live book. Times UTC, prices in quote currency, sizes in base currency. Kept for ever unless retention is set (suggested: 2 years)';
