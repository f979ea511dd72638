CREATE OR REPLACE VIEW market.derivative_prices
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the venue (UTC)',
    mark Float64 COMMENT 'Mark price; NaN: not told (quote currency)',
    `index` Float64 COMMENT 'Index price; NaN: not told (quote currency)',
    funding_rate Float64 COMMENT 'Funding rate of the current period, 0.0001 is 1 bp; NaN: not told (ratio)',
    next_funding Nullable(DateTime64(9, 'UTC')) COMMENT 'When funding is paid next; NULL: not told (UTC)',
    open_interest Float64 COMMENT 'Open interest; NaN: not told (base currency)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, mark, `index`, funding_rate,
    fromUnixTimestamp64Nano(next_funding_ns, 'UTC') AS next_funding, open_interest
FROM market.derivatives FINAL
COMMENT 'Mark and index prices, funding and open interest, one row per instrument, venue and time told. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.derivatives_now
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the venue (UTC)',
    mark Float64 COMMENT 'Mark price; NaN: not told (quote currency)',
    `index` Float64 COMMENT 'Index price; NaN: not told (quote currency)',
    funding_rate Float64 COMMENT 'Funding rate of the current period, 0.0001 is 1 bp; NaN: not told (ratio)',
    next_funding Nullable(DateTime64(9, 'UTC')) COMMENT 'When funding is paid next; NULL: not told (UTC)',
    open_interest Float64 COMMENT 'Open interest; NaN: not told (base currency)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, mark, `index`, funding_rate,
    fromUnixTimestamp64Nano(next_funding_ns, 'UTC') AS next_funding, open_interest
FROM
(
    SELECT * FROM market.derivatives FINAL
    WHERE received_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY instrument, venue, time_ns DESC, received_ns DESC
    LIMIT 1 BY instrument, venue
)
COMMENT 'Mark and index prices, funding and open interest as they are: the latest row told within the last 7 days of each. Times UTC, prices in quote currency, sizes in base currency';
