CREATE OR REPLACE VIEW market.ohlcv
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures; of what has none the source''s name (name)',
    interval_s UInt32 COMMENT 'Length of the bar (s)',
    source LowCardinality(String) COMMENT 'Where it comes from: stream (the venue''s own, as it closed), rest (polled or backfilled), archive, import (files), prices (made of prices without trades) (name)',
    time DateTime64(9, 'UTC') COMMENT 'Open time (UTC)',
    open Float64 COMMENT 'First price (quote currency)',
    high Float64 COMMENT 'Highest price (quote currency)',
    low Float64 COMMENT 'Lowest price (quote currency)',
    close Float64 COMMENT 'Last price (quote currency)',
    volume Float64 COMMENT 'Volume; NaN: not told (base currency)',
    quote_volume Float64 COMMENT 'Volume; NaN: not told (quote currency)',
    buy_volume Float64 COMMENT 'Volume of trades whose aggressor bought; NaN: not told (base currency)',
    trades Nullable(Int64) COMMENT 'Trades in the bar; NULL: not told (count)'
)
AS SELECT
    instrument, venue, interval_s, source, fromUnixTimestamp64Nano(open_ns, 'UTC') AS time, open, high, low,
    close, volume, quote_volume, buy_volume, trades
FROM market.bars FINAL
COMMENT 'Closed bars, one row per instrument, venue, interval, source and open time. Always filter by instrument, interval_s and time. Open times UTC, prices in quote currency, volumes in base or quote currency';
