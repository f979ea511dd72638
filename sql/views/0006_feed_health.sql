CREATE OR REPLACE VIEW market.feed_health_history
(
    venue LowCardinality(String) COMMENT 'Market of the feed, e.g. binance_futures (name)',
    symbol LowCardinality(String) COMMENT 'Symbol of the feed as the venue writes it (name)',
    time DateTime64(9, 'UTC') COMMENT 'When the connector told (UTC)',
    state LowCardinality(String) COMMENT 'connecting, syncing, live, stale or down (name)',
    reason String COMMENT 'Why it is not live, for people (text)',
    age_ms Float64 COMMENT 'Since the last message at that time; NaN: none yet (ms)',
    messages_per_s Float64 COMMENT 'Messages since the row before (1/s)',
    bytes_per_s Float64 COMMENT 'Bytes of messages since the row before (bytes/s)',
    gaps UInt64 COMMENT 'Breaks of the book''s sequence since the connector began (count)',
    resyncs UInt64 COMMENT 'Books begun anew from a snapshot since the connector began (count)',
    reconnects UInt64 COMMENT 'Connections lost and opened again since the connector began (count)',
    unreadable UInt64 COMMENT 'Messages that are not what the venue documents since the connector began (count)',
    delay_ms_p50 Float64 COMMENT 'Median of receive time less event time over the newest messages, may be negative; NaN: none bears a time (ms)',
    delay_ms_p99 Float64 COMMENT '99th percentile of the same; NaN: none bears a time (ms)'
)
AS SELECT
    venue, symbol, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, state, reason, age_ms, messages_per_s, bytes_per_s,
    gaps, resyncs, reconnects, unreadable, delay_ms_p50, delay_ms_p99
FROM market.feed_health FINAL
COMMENT 'How the feeds were: one row per feed and second. Always filter by venue and time. Times UTC, spans in ms';

CREATE OR REPLACE VIEW market.feed_health_now
(
    venue LowCardinality(String) COMMENT 'Market of the feed, e.g. binance_futures (name)',
    symbol LowCardinality(String) COMMENT 'Symbol of the feed as the venue writes it (name)',
    time DateTime64(9, 'UTC') COMMENT 'When the connector told last (UTC)',
    told_s Float64 COMMENT 'Since then; more than a few seconds: the connector or the flow does not run (s)',
    state LowCardinality(String) COMMENT 'What the connector told: connecting, syncing, live, stale or down (name)',
    reason String COMMENT 'Why it is not live, for people (text)',
    age_s Float64 COMMENT 'Since the last message that the connector told of, until now; NaN: none yet (s)',
    messages_per_s Float64 COMMENT 'Messages in the last second told of (1/s)',
    bytes_per_s Float64 COMMENT 'Bytes of messages in the last second told of (bytes/s)',
    gaps UInt64 COMMENT 'Breaks of the book''s sequence since the connector began (count)',
    resyncs UInt64 COMMENT 'Books begun anew from a snapshot since the connector began (count)',
    reconnects UInt64 COMMENT 'Connections lost and opened again since the connector began (count)',
    unreadable UInt64 COMMENT 'Messages that are not what the venue documents since the connector began (count)',
    delay_ms_p50 Float64 COMMENT 'Median of receive time less event time over the newest messages, may be negative; NaN: none bears a time (ms)',
    delay_ms_p99 Float64 COMMENT '99th percentile of the same; NaN: none bears a time (ms)'
)
AS SELECT
    venue, symbol, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    (toUnixTimestamp64Nano(now64(9)) - time_ns) / 1e9 AS told_s, state, reason, age_ms / 1e3 + told_s AS age_s,
    messages_per_s, bytes_per_s, gaps, resyncs, reconnects, unreadable, delay_ms_p50, delay_ms_p99
FROM
(
    SELECT * FROM market.feed_health FINAL
    WHERE time_ns > toUnixTimestamp64Nano(now64(9)) - 3600 * 1000000000
    ORDER BY venue, symbol, time_ns DESC
    LIMIT 1 BY venue, symbol
)
COMMENT 'How the feeds are: the latest row of each feed told of within the last hour, with its age. Times UTC, spans in s and ms';

CREATE OR REPLACE VIEW market.venue_health_now
(
    venue LowCardinality(String) COMMENT 'Market, e.g. binance_futures (name)',
    feeds UInt64 COMMENT 'Its feeds told of within the last hour (count)',
    live UInt64 COMMENT 'Of them those that are live, as told within the last 10 s (count)',
    told_s Float64 COMMENT 'Since a connector told of it last (s)',
    reason String COMMENT 'Why one that is not live is not, for people (text)',
    age_s Float64 COMMENT 'Since its newest message, until now; NaN: none yet (s)',
    messages_per_s Float64 COMMENT 'Messages of all its feeds in the last second told of (1/s)',
    gaps UInt64 COMMENT 'Breaks of its books'' sequences since the connector began (count)'
)
AS SELECT
    venue, count() AS feeds, countIf(is_live) AS live, min(told) AS told_s,
    if(live = feeds, '', if(told_s >= 10, 'the connector does not report', anyIf(why, NOT is_live))) AS reason,
    if(countIf(isFinite(age)) = 0, nan, minIf(age, isFinite(age))) AS age_s,
    sum(rate) AS messages_per_s, sum(breaks) AS gaps
FROM
(
    SELECT
        venue, told_s AS told, state = 'live' AND told_s < 10 AS is_live, if(reason = '', toString(state), reason) AS why,
        age_s AS age, messages_per_s AS rate, gaps AS breaks
    FROM market.feed_health_now
)
GROUP BY venue
COMMENT 'How the markets are: one row per market with a feed told of within the last hour. Spans in s';
