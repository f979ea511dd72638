-- Of the sources that tell of one bar, the first of: stream, rest, archive, trades, import, prices. The venue's own bar
-- is what others see and settle by: as it closed (known soonest, and with all its columns), else as it answered later,
-- else from its archive. A bar made here of its trades comes after: it has what was heard. Imported files come from
-- wherever, and what prices alone make has no volume. What is of none of these sources comes last.
--
-- open_ns is added to 1970, not converted: so a span of time is looked up by the primary key.
CREATE OR REPLACE VIEW market.ohlcv_by_source
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures; of what has none the source''s name (name)',
    interval_s UInt32 COMMENT 'Length of the bar (s)',
    source LowCardinality(String) COMMENT 'Where it comes from: stream (the venue''s own, as it closed), rest (polled or backfilled), archive, trades (made here of the venue''s trades), import (files), prices (made here of prices without trades) (name)',
    preference UInt8 COMMENT 'Place of the source among those that ohlcv picks from, 1 is picked first (place)',
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
    instrument, venue, interval_s, source,
    transform(source, ['stream', 'rest', 'archive', 'trades', 'import', 'prices'], [1, 2, 3, 4, 5, 6], 7) AS preference,
    toDateTime64('1970-01-01 00:00:00', 9, 'UTC') + toIntervalNanosecond(open_ns) AS time, open, high, low, close,
    volume, quote_volume, buy_volume, trades
FROM market.bars FINAL
COMMENT 'Closed bars of every source, one row per instrument, venue, interval, source and open time. Always filter by instrument, interval_s and time. Open times UTC, prices in quote currency, volumes in base or quote currency';

CREATE OR REPLACE VIEW market.ohlcv
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures; of what has none the source''s name (name)',
    interval_s UInt32 COMMENT 'Length of the bar (s)',
    source LowCardinality(String) COMMENT 'Where it comes from: of the sources that tell it the first of stream, rest, archive, trades, import, prices (name)',
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
    instrument, venue, interval_s, source, time, open, high, low, close, volume, quote_volume, buy_volume, trades
FROM
(
    SELECT * FROM market.ohlcv_by_source
    ORDER BY instrument, venue, interval_s, time, preference
    LIMIT 1 BY instrument, venue, interval_s, time
)
COMMENT 'Closed bars, one row per instrument, venue, interval and open time, each from the source that is preferred. Always filter by instrument, interval_s and time. Open times UTC, prices in quote currency, volumes in base or quote currency';
