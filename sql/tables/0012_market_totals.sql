CREATE TABLE IF NOT EXISTS market.market_totals
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap of all coins; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours of all coins; NaN: not told (US dollars)',
    market_cap_change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of the market cap over 24 hours; NaN: not told (per cent)',
    volume_change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of the volume over 24 hours; NaN: not told (per cent)',
    btc_dominance_pct Float64 CODEC(ZSTD(1)) COMMENT 'Share of Bitcoin in the market cap; NaN: not told (per cent)',
    eth_dominance_pct Float64 CODEC(ZSTD(1)) COMMENT 'Share of Ether in the market cap; NaN: not told (per cent)',
    coins Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Active coins; NULL: not told (count)',
    exchanges Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Exchanges; NULL: not told (count)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, time_ns)
COMMENT 'All coins together: one row per source and time. Times in ns since 1970 UTC, money in US dollars';
