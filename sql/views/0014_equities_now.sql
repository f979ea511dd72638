CREATE OR REPLACE VIEW market.equities_now
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. finviz (name)',
    ticker LowCardinality(String) COMMENT 'Ticker, e.g. AAPL (name)',
    company String COMMENT 'Name of the company (text)',
    sector LowCardinality(String) COMMENT 'Sector, as the source calls it (name)',
    industry LowCardinality(String) COMMENT 'Industry, as the source calls it (name)',
    country LowCardinality(String) COMMENT 'Country, as the source calls it (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the source; when it was received, where the source does not tell (UTC)',
    price_usd Float64 COMMENT 'Price; NaN: not told (US dollars)',
    change_pct Float64 COMMENT 'Change of price of the day; NaN: not told (per cent)',
    volume Float64 COMMENT 'Volume of the day; NaN: not told (shares)',
    market_cap_usd Float64 COMMENT 'Market cap; NaN: not told (US dollars)',
    price_earnings Float64 COMMENT 'Price over earnings of a share; NaN: not told (ratio)'
)
AS SELECT
    source, ticker, company, sector, industry, country, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    price_usd, change_pct, volume, market_cap_usd, price_earnings
FROM
(
    SELECT * FROM market.equities FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY source, ticker, time_ns DESC, received_ns DESC
    LIMIT 1 BY source, ticker
)
COMMENT 'Listed companies as they are: the latest row told within the last 7 days of each. Times UTC, money in US dollars';

CREATE OR REPLACE VIEW market.articles
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. alpha_vantage (name)',
    url String COMMENT 'Address of the article (URL)',
    time DateTime64(9, 'UTC') COMMENT 'When it was published (UTC)',
    title String COMMENT 'Title (text)',
    publisher LowCardinality(String) COMMENT 'Who published it (name)',
    summary String COMMENT 'Summary (text)',
    topics Array(String) COMMENT 'Topics, as the source calls them (names)',
    sentiment Float64 COMMENT 'Mood of the article, as the source judges it; NaN: not told (-1 to 1)',
    `label` LowCardinality(String) COMMENT 'The source''s word for the mood (text)',
    symbols Array(String) COMMENT 'Symbols it speaks of, as the source writes them, e.g. CRYPTO:BTC (names)',
    symbol_sentiments Array(Float64) COMMENT 'Mood for each of the symbols (-1 to 1)',
    symbol_relevances Array(Float64) COMMENT 'Relevance to each of the symbols (0 to 1)'
)
AS SELECT
    source, url, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, title, publisher, summary, topics, sentiment,
    `label`, symbols, symbol_sentiments, symbol_relevances
FROM market.news FINAL
COMMENT 'Articles, one row per source, time of publication and address. Times UTC';

CREATE OR REPLACE VIEW market.data_tables
(
    source LowCardinality(String) COMMENT 'Feed that told it, e.g. nasdaq_data_link (name)',
    dataset LowCardinality(String) COMMENT 'Table of the vendor, e.g. VENDOR/TABLE (name)',
    `row` String COMMENT 'What tells the row from others: the values of its first columns (text)',
    time DateTime64(9, 'UTC') COMMENT 'Its date, where it has one, else when it was received (UTC)',
    `values` String COMMENT 'Column and value, a JSON object (text)'
)
AS SELECT
    source, dataset, `row`, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, `values`
FROM market.data_rows FINAL
COMMENT 'Rows of tables whose columns are the vendor''s affair. Times UTC, units are the vendor''s';
