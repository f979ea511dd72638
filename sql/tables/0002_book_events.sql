CREATE TABLE IF NOT EXISTS market.book_events
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Event time (ns since 1970 UTC)',
    kind LowCardinality(String) COMMENT 'What happened: seeded, gap, reset, crossed, uncrossed, rescaled and the like (name)',
    detail String CODEC(ZSTD(1)) COMMENT 'What exactly, for people (text)',
    update_id UInt64 CODEC(ZSTD(1)) COMMENT 'The venue''s update id it happened at, 0 where there is none (id)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, kind, update_id)
COMMENT 'What happened to the order books: one row per event. Times in ns since 1970 UTC';
