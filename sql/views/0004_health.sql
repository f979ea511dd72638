CREATE OR REPLACE VIEW market.gaps
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    kind LowCardinality(String) COMMENT 'gap: an update was missed; checksum: the venue''s own does not match, so some were; reset: the connector said the book cannot be trusted (name)',
    lost DateTime64(9, 'UTC') COMMENT 'When the book was lost (UTC, event time)',
    restored Nullable(DateTime64(9, 'UTC')) COMMENT 'When the next snapshot seeded it, NULL: not yet (UTC, event time)',
    hole_s Nullable(Float64) COMMENT 'restored - lost (s)',
    detail String COMMENT 'What exactly, for people (text)',
    update_id UInt64 COMMENT 'The venue''s update id it happened at, 0 where there is none (id)'
)
AS SELECT
    instrument, venue, kind, fromUnixTimestamp64Nano(time_ns, 'UTC') AS lost,
    if(seeded_ns = 0, NULL, fromUnixTimestamp64Nano(seeded_ns, 'UTC')) AS restored,
    if(seeded_ns = 0, NULL, (seeded_ns - time_ns) / 1e9) AS hole_s,
    detail, update_id
FROM
(
    SELECT
        instrument, venue, kind, time_ns, detail, update_id,
        minIf(time_ns, kind = 'seeded') OVER later AS seeded_ns
    FROM market.book_events FINAL
    WINDOW later AS (PARTITION BY instrument, venue ORDER BY time_ns ASC RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
WHERE kind IN ('gap', 'checksum', 'reset')
COMMENT 'Holes in the order books: one row per loss of a book, with the time it was seeded again. Times UTC';

CREATE OR REPLACE VIEW market.dead_letter_counts
(
    topic LowCardinality(String) COMMENT 'Topic the lines were read from (name)',
    partition UInt32 COMMENT 'Partition of the topic (number)',
    reason LowCardinality(String) COMMENT 'Why they were set aside (name)',
    minute DateTime('UTC') COMMENT 'Minute they were received in (UTC)',
    lines UInt64 COMMENT 'Lines set aside (count)',
    newest_offset UInt64 COMMENT 'Offset of the record of the newest one (position)',
    newest_detail String COMMENT 'What was expected and found in the newest one (text)'
)
AS SELECT
    topic, `partition`, reason, toStartOfMinute(fromUnixTimestamp64Nano(received_ns, 'UTC')) AS minute,
    count() AS lines, argMax(`offset`, (`offset`, position)) AS newest_offset, argMax(detail, (`offset`, position)) AS newest_detail
FROM market.dead_letters FINAL
GROUP BY topic, `partition`, reason, minute
COMMENT 'Input that could not be used, counted: one row per topic, partition, reason and minute of receipt. Times UTC';
