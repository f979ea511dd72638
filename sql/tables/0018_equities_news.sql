CREATE TABLE IF NOT EXISTS market.equities
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. finviz (name)',
    ticker LowCardinality(String) COMMENT 'Ticker, e.g. AAPL (name)',
    company String CODEC(ZSTD(1)) COMMENT 'Name of the company (text)',
    sector LowCardinality(String) COMMENT 'Sector, as the source calls it (name)',
    industry LowCardinality(String) COMMENT 'Industry, as the source calls it (name)',
    country LowCardinality(String) COMMENT 'Country, as the source calls it (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was so, by the source; when it was received, where the source does not tell (ns since 1970 UTC)',
    price_usd Float64 CODEC(ZSTD(1)) COMMENT 'Price; NaN: not told (US dollars)',
    change_pct Float64 CODEC(ZSTD(1)) COMMENT 'Change of price of the day; NaN: not told (per cent)',
    volume Float64 CODEC(ZSTD(1)) COMMENT 'Volume of the day; NaN: not told (shares)',
    market_cap_usd Float64 CODEC(ZSTD(1)) COMMENT 'Market cap; NaN: not told (US dollars)',
    price_earnings Float64 CODEC(ZSTD(1)) COMMENT 'Price over earnings of a share; NaN: not told (ratio)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, ticker, time_ns)
COMMENT 'Listed companies: one row per source, ticker and time. Times in ns since 1970 UTC, money in US dollars';

CREATE TABLE IF NOT EXISTS market.news
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. alpha_vantage (name)',
    url String CODEC(ZSTD(1)) COMMENT 'Address of the article (URL)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was published (ns since 1970 UTC)',
    title String CODEC(ZSTD(1)) COMMENT 'Title (text)',
    publisher LowCardinality(String) COMMENT 'Who published it (name)',
    summary String CODEC(ZSTD(1)) COMMENT 'Summary (text)',
    topics Array(String) CODEC(ZSTD(1)) COMMENT 'Topics, as the source calls them (names)',
    sentiment Float64 CODEC(ZSTD(1)) COMMENT 'Mood of the article, as the source judges it; NaN: not told (-1 to 1)',
    `label` LowCardinality(String) COMMENT 'The source''s word for the mood (text)',
    symbols Array(String) CODEC(ZSTD(1)) COMMENT 'Symbols it speaks of, as the source writes them, e.g. CRYPTO:BTC (names)',
    symbol_sentiments Array(Float64) CODEC(ZSTD(1)) COMMENT 'Mood for each of the symbols (-1 to 1)',
    symbol_relevances Array(Float64) CODEC(ZSTD(1)) COMMENT 'Relevance to each of the symbols (0 to 1)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (source, time_ns, url)
COMMENT 'Articles: one row per source, time of publication and address. Times in ns since 1970 UTC';

CREATE TABLE IF NOT EXISTS market.data_rows
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. nasdaq_data_link (name)',
    dataset LowCardinality(String) COMMENT 'Table of the vendor, e.g. VENDOR/TABLE (name)',
    `row` String CODEC(ZSTD(1)) COMMENT 'What tells the row from others: the values of its first columns (text)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its date, where it has one, else when it was received (ns since 1970 UTC)',
    `values` String CODEC(ZSTD(1)) COMMENT 'Column and value, a JSON object (text)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, dataset, time_ns, `row`)
COMMENT 'Rows of tables whose columns are the vendor''s affair: one row per source, dataset, date and row. Times in ns since 1970 UTC, units are the vendor''s';
