CREATE OR REPLACE VIEW market.time_and_sales
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it traded, by the venue (UTC)',
    trade_id UInt64 COMMENT 'The venue''s id of the trade (id)',
    price Float64 COMMENT 'Price (quote currency)',
    size Float64 COMMENT 'Size (base currency)',
    side LowCardinality(String) COMMENT 'Aggressor: buy or sell (name)'
)
AS SELECT instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, trade_id, price, size, side
FROM market.trades FINAL
COMMENT 'Time and sales, one row per trade. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';
