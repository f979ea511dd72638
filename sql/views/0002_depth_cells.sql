-- for each interval of 1s 10s 1m
CREATE OR REPLACE VIEW market.depth_cells_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time DateTime('UTC') COMMENT 'Open time of the interval (UTC, whole seconds)',
    price Float64 COMMENT 'Lower edge of the bin (quote currency)',
    bin_step Float64 COMMENT 'Width of the bin (quote currency)',
    side String COMMENT 'bid or ask (name)',
    size Float32 COMMENT 'Resting size in the bin, 0 where it is known to be empty (base currency)'
)
AS SELECT instrument, venue, time, (base_bin + toInt64(bin) - 1) * bin_step AS price, bin_step, 'bid' AS side, size
FROM market.depth_{interval} FINAL
ARRAY JOIN bid AS size, arrayEnumerate(bid) AS bin
WHERE NOT isNaN(size)
UNION ALL
SELECT instrument, venue, time, (base_bin + toInt64(bin) - 1) * bin_step AS price, bin_step, 'ask' AS side, size
FROM market.depth_{interval} FINAL
ARRAY JOIN ask AS size, arrayEnumerate(ask) AS bin
WHERE NOT isNaN(size)
COMMENT 'Heatmap cells per {interval}, one row per side and bin that is known; add WHERE size > 0 to leave out empty ones. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';
