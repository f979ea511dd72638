CREATE TABLE IF NOT EXISTS market.market_pairs
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coinmarketcap (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin or 1 (id)',
    symbol LowCardinality(String) COMMENT 'Symbol of the coin, e.g. BTC (name)',
    exchange LowCardinality(String) COMMENT 'Exchange, as the source calls it (name)',
    pair LowCardinality(String) COMMENT 'Pair, as the source writes it, e.g. BTC/USDT (name)',
    category LowCardinality(String) COMMENT 'spot, derivatives or otc; empty: not told (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, coin, exchange, pair, category, time_ns)
COMMENT 'Where coins trade: one row per source, coin, exchange, pair, category and time. Times in ns since 1970 UTC, money in US dollars';
