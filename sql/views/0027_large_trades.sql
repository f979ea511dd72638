CREATE OR REPLACE VIEW market.large_trades_history
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it traded, by the venue (UTC)',
    side LowCardinality(String) COMMENT 'Aggressor: buy, sell or unknown (name)',
    price Float64 COMMENT 'Average price by size (quote currency)',
    low Float64 COMMENT 'Lowest price of its prints (quote currency)',
    high Float64 COMMENT 'Highest price of its prints (quote currency)',
    size Float64 COMMENT 'Size of all its prints (base currency)',
    value Float64 COMMENT 'price * size (quote currency)',
    prints UInt32 COMMENT 'Prints of one side at one time by the venue that were taken together (count)',
    threshold Float64 COMMENT 'Size from which one counted as large at that time (base currency)',
    trade_id UInt64 COMMENT 'The venue''s id of its first print (id)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, side, price, low, high, size, price * size AS value,
    prints, threshold, trade_id
FROM market.large_trades FINAL
COMMENT 'Large trades, one row each. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.large_trades_recent
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it traded, by the venue (UTC)',
    side LowCardinality(String) COMMENT 'Aggressor: buy, sell or unknown (name)',
    price Float64 COMMENT 'Average price by size (quote currency)',
    low Float64 COMMENT 'Lowest price of its prints (quote currency)',
    high Float64 COMMENT 'Highest price of its prints (quote currency)',
    size Float64 COMMENT 'Size of all its prints (base currency)',
    value Float64 COMMENT 'price * size (quote currency)',
    prints UInt32 COMMENT 'Prints of one side at one time by the venue that were taken together (count)',
    threshold Float64 COMMENT 'Size from which one counted as large at that time (base currency)',
    trade_id UInt64 COMMENT 'The venue''s id of its first print (id)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, side, price, low, high, size, price * size AS value,
    prints, threshold, trade_id
FROM
(
    SELECT *, row_number() OVER (PARTITION BY instrument, venue ORDER BY time_ns DESC, trade_id DESC) AS place
    FROM market.large_trades FINAL
)
WHERE place <= 200
COMMENT 'The newest 200 large trades of each instrument and venue, one row each. Filter by instrument. Times UTC, prices in quote currency, sizes in base currency';
