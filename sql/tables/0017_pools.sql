CREATE TABLE IF NOT EXISTS market.pools
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. gecko_terminal (name)',
    network LowCardinality(String) COMMENT 'The source''s id of the chain, e.g. eth (id)',
    pool String CODEC(ZSTD(1)) COMMENT 'Address of the pool (address)',
    name String CODEC(ZSTD(1)) COMMENT 'Name of the pool, e.g. WETH / USDC 0.05% (text)',
    dex LowCardinality(String) COMMENT 'Exchange it belongs to (id)',
    base_token String CODEC(ZSTD(1)) COMMENT 'Address of the base token (address)',
    quote_token String CODEC(ZSTD(1)) COMMENT 'Address of the quote token (address)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    created_ns Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'When the pool was made; NULL: not told (ns since 1970 UTC)',
    trending_place Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Place in the list of trending pools that told it, from 1; NULL: told by no such list (place)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price of the base token; NaN: not told (US dollars)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap of the base token; NaN: not told (US dollars)',
    fully_diluted_usd Float64 CODEC(ZSTD(1)) COMMENT 'Fully diluted value of the base token; NaN: not told (US dollars)',
    reserve_usd Float64 CODEC(ZSTD(1)) COMMENT 'Value of both reserves; NaN: not told (US dollars)',
    volume_5m_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 5 minutes; NaN: not told (US dollars)',
    volume_1h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 1 hour; NaN: not told (US dollars)',
    volume_6h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 6 hours; NaN: not told (US dollars)',
    volume_24h_usd Float64 CODEC(ZSTD(1)) COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    change_5m_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 5 minutes; NaN: not told (per cent)',
    change_1h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 1 hour; NaN: not told (per cent)',
    change_6h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 6 hours; NaN: not told (per cent)',
    change_24h_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price over 24 hours; NaN: not told (per cent)',
    buys_24h Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Buys of 24 hours; NULL: not told (count)',
    sells_24h Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Sells of 24 hours; NULL: not told (count)',
    buyers_24h Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Who bought in 24 hours; NULL: not told (count)',
    sellers_24h Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'Who sold in 24 hours; NULL: not told (count)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, network, pool, time_ns)
COMMENT 'Pools of decentralised exchanges: one row per source, network, pool and time. Times in ns since 1970 UTC, money in US dollars';
