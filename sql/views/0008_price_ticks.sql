CREATE OR REPLACE VIEW market.price_ticks
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. EUR-USD (name)',
    venue LowCardinality(String) COMMENT 'Market that told it, e.g. twelve_data (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was the price, by the venue (UTC)',
    price Float64 COMMENT 'Last price, without a trade: no size, no side (quote currency)',
    bid Float64 COMMENT 'Best bid at that time; NaN: not told (quote currency)',
    ask Float64 COMMENT 'Best ask at that time; NaN: not told (quote currency)'
)
AS SELECT instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, price, bid, ask
FROM market.prices FINAL
COMMENT 'Prices of sources that tell no trades, one row per price. Always filter by instrument and time. Times UTC, prices in quote currency';
