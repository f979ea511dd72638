CREATE TABLE IF NOT EXISTS market.levels
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it is of, or all: over the venues named in venues (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Close of the minute from which on it is known (ns since 1970 UTC)',
    price Float64 CODEC(ZSTD(1)) COMMENT 'Centre of its evidence, weighted (quote currency)',
    side LowCardinality(String) COMMENT 'support (below the price at that time) or resistance (above) (name)',
    low Float64 CODEC(ZSTD(1)) COMMENT 'Lowest price of its evidence (quote currency)',
    high Float64 CODEC(ZSTD(1)) COMMENT 'Highest price of its evidence (quote currency)',
    strength Float64 CODEC(ZSTD(1)) COMMENT 'Sum of the weights of its evidence, each kind capped (0 to 100)',
    last_price Float64 CODEC(ZSTD(1)) COMMENT 'Price at that time (quote currency)',
    evidence_kind Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'What it is made of: wall, poc, naked_poc, vah, val, hvn, swing_high, swing_low (name)',
    evidence_venue Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Venue of each (name)',
    evidence_price Array(Float64) CODEC(ZSTD(1)) COMMENT 'Price of each (quote currency)',
    evidence_weight Array(Float64) CODEC(ZSTD(1)) COMMENT 'Weight of each in the strength (0 to 100)',
    evidence_ns Array(Int64) CODEC(ZSTD(1)) COMMENT 'From when on each was known (ns since 1970 UTC)',
    venues Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Venues that were looked at (name)',
    stale_venues Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Venues left out because they had told nothing for long (name)',
    removed UInt8 CODEC(T64, ZSTD(1)) COMMENT '1: a correction of the minute took the level away, and FINAL hides the row; else 0 (0 or 1)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest message behind it (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed or corrected the row; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version, removed)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, price)
COMMENT 'Support and resistance, clustered from walls, volume profiles and confirmed swings: one row per level and minute. Times in ns since 1970 UTC, prices in quote currency';
