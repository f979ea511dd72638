CREATE OR REPLACE VIEW market.pools_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. gecko_terminal (name)',
    network LowCardinality(String) COMMENT 'The source''s id of the chain, e.g. eth (id)',
    pool String COMMENT 'Address of the pool (address)',
    name String COMMENT 'Name of the pool, e.g. WETH / USDC 0.05% (text)',
    dex LowCardinality(String) COMMENT 'Exchange it belongs to (id)',
    base_token String COMMENT 'Address of the base token (address)',
    quote_token String COMMENT 'Address of the quote token (address)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    created Nullable(DateTime64(9, 'UTC')) COMMENT 'When the pool was made; NULL: not told (UTC)',
    trending_place Nullable(Int64) COMMENT 'Place in the list of trending pools that told it, from 1; NULL: told by no such list (place)',
    price_usd Float64 COMMENT 'Price of the base token; NaN: not told (US dollars)',
    market_cap_usd Float64 COMMENT 'Market cap of the base token; NaN: not told (US dollars)',
    fully_diluted_usd Float64 COMMENT 'Fully diluted value of the base token; NaN: not told (US dollars)',
    reserve_usd Float64 COMMENT 'Value of both reserves; NaN: not told (US dollars)',
    volume_5m_usd Float64 COMMENT 'Volume of 5 minutes; NaN: not told (US dollars)',
    volume_1h_usd Float64 COMMENT 'Volume of 1 hour; NaN: not told (US dollars)',
    volume_6h_usd Float64 COMMENT 'Volume of 6 hours; NaN: not told (US dollars)',
    volume_24h_usd Float64 COMMENT 'Volume of 24 hours; NaN: not told (US dollars)',
    change_5m_pct Float64 COMMENT 'Change of price over 5 minutes; NaN: not told (per cent)',
    change_1h_pct Float64 COMMENT 'Change of price over 1 hour; NaN: not told (per cent)',
    change_6h_pct Float64 COMMENT 'Change of price over 6 hours; NaN: not told (per cent)',
    change_24h_pct Float64 COMMENT 'Change of price over 24 hours; NaN: not told (per cent)',
    buys_24h Nullable(Int64) COMMENT 'Buys of 24 hours; NULL: not told (count)',
    sells_24h Nullable(Int64) COMMENT 'Sells of 24 hours; NULL: not told (count)',
    buyers_24h Nullable(Int64) COMMENT 'Who bought in 24 hours; NULL: not told (count)',
    sellers_24h Nullable(Int64) COMMENT 'Who sold in 24 hours; NULL: not told (count)'
)
AS SELECT
    source, network, pool, name, dex, base_token, quote_token, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    fromUnixTimestamp64Nano(created_ns, 'UTC') AS created, trending_place, price_usd, market_cap_usd,
    fully_diluted_usd, reserve_usd, volume_5m_usd, volume_1h_usd, volume_6h_usd, volume_24h_usd, change_5m_pct,
    change_1h_pct, change_6h_pct, change_24h_pct, buys_24h, sells_24h, buyers_24h, sellers_24h
FROM
(
    SELECT * FROM market.pools FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, network, pool, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, network, pool
)
COMMENT 'Pools of decentralised exchanges as they are: the latest row told within the last 7 days of each. Times UTC, money in US dollars';
