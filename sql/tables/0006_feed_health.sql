CREATE TABLE IF NOT EXISTS market.feed_health
(
    venue LowCardinality(String) COMMENT 'Market of the feed, e.g. binance_futures (name)',
    symbol LowCardinality(String) COMMENT 'Symbol of the feed as the venue writes it (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When the connector told (ns since 1970 UTC)',
    state LowCardinality(String) COMMENT 'connecting, syncing, live, stale or down (name)',
    reason String CODEC(ZSTD(1)) COMMENT 'Why it is not live, for people (text)',
    age_ms Float64 CODEC(ZSTD(1)) COMMENT 'Since the last message at that time; NaN: none yet (ms)',
    messages_per_s Float64 CODEC(ZSTD(1)) COMMENT 'Messages since the row before (1/s)',
    bytes_per_s Float64 CODEC(ZSTD(1)) COMMENT 'Bytes of messages since the row before (bytes/s)',
    messages UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Messages since the connector began (count)',
    gaps UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Breaks of the book''s sequence since the connector began (count)',
    resyncs UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Books begun anew from a snapshot since the connector began (count)',
    reconnects UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Connections lost and opened again since the connector began (count)',
    unreadable UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Messages that are not what the venue documents since the connector began (count)',
    delay_ms_p50 Float64 CODEC(ZSTD(1)) COMMENT 'Median of receive time less event time over the newest messages, may be negative; NaN: none bears a time (ms)',
    delay_ms_p99 Float64 CODEC(ZSTD(1)) COMMENT '99th percentile of the same; NaN: none bears a time (ms)',
    queue_outbox_bytes UInt64 CODEC(T64, ZSTD(1)) COMMENT 'What waits in the connector to be written to the log, of all its feeds (bytes)',
    queue_rest_waiting UInt64 CODEC(T64, ZSTD(1)) COMMENT 'REST requests of the market that wait (count)',
    queue_rest_weight_used UInt64 CODEC(T64, ZSTD(1)) COMMENT 'Request weight of the market used in the running minute (weight)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'time_ns; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (venue, symbol, time_ns)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'How the feeds were: one row per feed and second, as the connector told. Times in ns since 1970 UTC, spans in ms';
