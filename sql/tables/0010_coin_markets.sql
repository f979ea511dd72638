CREATE TABLE IF NOT EXISTS market.coin_markets
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. coingecko (name)',
    coin LowCardinality(String) COMMENT 'The source''s id of the coin, e.g. bitcoin or 1 (id)',
    symbol LowCardinality(String) COMMENT 'Symbol, e.g. BTC; several coins may share one (name)',
    name String CODEC(ZSTD(1)) COMMENT 'Name of the coin (text)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price; NaN: not told (US dollars)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap; NaN: not told (US dollars)',
    `rank` Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Place by market cap, from 1; NULL: not told (place)',
    fully_diluted_usd Float64 CODEC(ZSTD(1)) COMMENT 'Fully diluted value; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    high_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Highest price of 24 hours; NaN: not told (US dollars)',
    low_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Lowest price of 24 hours; NaN: not told (US dollars)',
    change_1h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 1 hour; NaN: not told (per cent)',
    change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 24 hours; NaN: not told (per cent)',
    change_7d_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 7 days; NaN: not told (per cent)',
    change_30d_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 30 days; NaN: not told (per cent)',
    circulating_supply Float64 CODEC(ZSTD(1)) COMMENT 'Coins in circulation; NaN: not told (coins)',
    total_supply Float64 CODEC(ZSTD(1)) COMMENT 'Coins there are; NaN: not told (coins)',
    max_supply Float64 CODEC(ZSTD(1)) COMMENT 'Coins there will ever be; NaN: not told, or without limit (coins)',
    dominance_pct Float64 CODEC(ZSTD(1)) COMMENT 'Share of the market cap of all coins; NaN: not told (per cent)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, coin, time_ns)
COMMENT 'Coins over all their markets: one row per source, coin and time. Times in ns since 1970 UTC, money in US dollars';
