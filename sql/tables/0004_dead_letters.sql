CREATE TABLE IF NOT EXISTS market.dead_letters
(
    topic LowCardinality(String) COMMENT 'Topic the line was read from (name)',
    partition UInt32 COMMENT 'Partition of the topic (number)',
    offset UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of its record in the partition (position)',
    position UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Where the line begins in its record (bytes)',
    reason LowCardinality(String) COMMENT 'Why it was set aside, a short fixed word (name)',
    detail String CODEC(ZSTD(1)) COMMENT 'What was expected and what was found, for people (text)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line (ns since 1970 UTC)',
    payload String CODEC(ZSTD(1)) COMMENT 'The first 4 KiB of the line as received (bytes)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, partition, offset, position)
COMMENT 'Input that could not be used: one row per line set aside. Times in ns since 1970 UTC, payload in bytes';
