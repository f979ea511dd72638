-- A venue that tells a sample (complete = false: Binance futures) has more than is here: its sums are lower bounds.
-- time_ns is converted, not added to 1970: added it would be looked up by the primary key, but compared with a time in
-- whole seconds (`time < now()`) the engine then leaves out rows of a second at the border (tried, 26.9).
CREATE OR REPLACE VIEW market.liquidation_orders
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it happened on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it happened, by the venue (UTC)',
    liquidated_side LowCardinality(String) COMMENT 'Position that was closed by force: long (a forced sale) or short (a forced purchase) (name)',
    price Float64 COMMENT 'Price, as the venue tells it: of the fill (binance_futures), or of bankruptcy (bybit_linear) (quote currency)',
    size Float64 COMMENT 'Size (base currency)',
    value Float64 COMMENT 'price * size (quote currency)',
    complete Bool COMMENT 'True: the venue tells all; false: it tells a sample, at most one a second (true or false)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    liquidated_side, price, size, price * size AS value, complete
FROM market.liquidations FINAL
COMMENT 'Forced closings of positions, one row each. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.liquidations_recent
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it happened on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it happened, by the venue (UTC)',
    age_s Float64 COMMENT 'Since then, until now (s)',
    liquidated_side LowCardinality(String) COMMENT 'Position that was closed by force: long (a forced sale) or short (a forced purchase) (name)',
    price Float64 COMMENT 'Price, as the venue tells it: of the fill (binance_futures), or of bankruptcy (bybit_linear) (quote currency)',
    size Float64 COMMENT 'Size (base currency)',
    value Float64 COMMENT 'price * size (quote currency)',
    complete Bool COMMENT 'True: the venue tells all; false: it tells a sample, at most one a second (true or false)'
)
AS SELECT
    instrument, venue, time, (toUnixTimestamp64Nano(now64(9)) - toUnixTimestamp64Nano(time)) / 1e9 AS age_s,
    liquidated_side, price, size, value, complete
FROM market.liquidation_orders
WHERE time > now64(9) - toIntervalDay(1)
ORDER BY time DESC
COMMENT 'Forced closings of positions of the last 24 hours, newest first. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.liquidations_1m
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market they happened on, e.g. binance_futures (name)',
    time DateTime('UTC') COMMENT 'Open time of the minute (UTC)',
    longs UInt64 COMMENT 'Long positions closed by force (count)',
    shorts UInt64 COMMENT 'Short positions closed by force (count)',
    long_size Float64 COMMENT 'Size of the longs: sold by force (base currency)',
    short_size Float64 COMMENT 'Size of the shorts: bought by force (base currency)',
    long_value Float64 COMMENT 'Sum of price * size of the longs (quote currency)',
    short_value Float64 COMMENT 'Sum of price * size of the shorts (quote currency)',
    largest_value Float64 COMMENT 'price * size of the largest (quote currency)',
    complete Bool COMMENT 'True: these are all; false: a sample, at most one a second, and the sums are lower bounds (true or false)'
)
AS SELECT
    instrument, venue, toStartOfMinute(time) AS time,
    countIf(liquidated_side = 'long') AS longs, countIf(liquidated_side = 'short') AS shorts,
    sumIf(size, liquidated_side = 'long') AS long_size, sumIf(size, liquidated_side = 'short') AS short_size,
    sumIf(value, liquidated_side = 'long') AS long_value, sumIf(value, liquidated_side = 'short') AS short_value,
    max(value) AS largest_value, min(complete) AS complete
FROM market.liquidation_orders
GROUP BY instrument, venue, time
COMMENT 'Forced closings of positions per minute, one row per instrument, venue and minute with one. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';
