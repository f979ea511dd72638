-- The borders between the size classes are those of the tape flow (order_flow.size_edges).
CREATE OR REPLACE VIEW market.time_and_sales
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it traded, by the venue (UTC)',
    trade_id UInt64 COMMENT 'The venue''s id of the trade (id)',
    price Float64 COMMENT 'Price (quote currency)',
    size Float64 COMMENT 'Size (base currency)',
    side LowCardinality(String) COMMENT 'Aggressor: buy, sell, or unknown (name)',
    side_by LowCardinality(String) COMMENT 'Who says so: told (the venue), quote (at or beyond the best quote before it), tick (the last change of price), none (name)',
    value Float64 COMMENT 'price * size (quote currency)',
    size_class LowCardinality(String) COMMENT 'small (value below 1,000), medium (below 10,000), large (below 100,000), whale (name)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, trade_id, price, size, side, side_by,
    price * size AS value,
    multiIf(value < 1e3, 'small', value < 1e4, 'medium', value < 1e5, 'large', 'whale') AS size_class
FROM market.trades FINAL
COMMENT 'Time and sales, one row per trade. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.time_and_sales_above
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it traded, by the venue (UTC)',
    trade_id UInt64 COMMENT 'The venue''s id of the trade (id)',
    price Float64 COMMENT 'Price (quote currency)',
    size Float64 COMMENT 'Size (base currency)',
    side LowCardinality(String) COMMENT 'Aggressor: buy, sell, or unknown (name)',
    side_by LowCardinality(String) COMMENT 'Who says so: told, quote, tick, none (name)',
    value Float64 COMMENT 'price * size (quote currency)',
    size_class LowCardinality(String) COMMENT 'small, medium, large or whale, as in time_and_sales (name)'
)
AS SELECT instrument, venue, time, trade_id, price, size, side, side_by, value, size_class
FROM market.time_and_sales
WHERE value >= {min_value:Float64}
COMMENT 'time_and_sales_above(min_value = 1e5): trades of at least that value in quote currency, one row per trade. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';
