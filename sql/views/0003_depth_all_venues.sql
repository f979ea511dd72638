-- Venues cover different ranges, so their columns are cut into blocks of 64 bins, which begin at multiples of
-- 64 on every venue, and added block by block; each block is a row.
-- for each interval of 1s 10s 1m
CREATE OR REPLACE VIEW market.depth_all_venues_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    time DateTime('UTC') COMMENT 'Open time of the interval (UTC, whole seconds)',
    bin_step Float64 COMMENT 'Width of a bin (quote currency)',
    base_bin Int64 COMMENT 'Index of the first bin of the block, a multiple of 64; its lower edge is base_bin * bin_step (bins)',
    venues UInt64 COMMENT 'Venues with a live book whose column reaches the block (count)',
    bid Array(Float32) COMMENT 'Bid size per bin, summed over the venues that know the bin; NaN: none does (base currency)',
    ask Array(Float32) COMMENT 'Ask size per bin, summed over the venues that know the bin; NaN: none does (base currency)',
    bid_venues Array(UInt64) COMMENT 'Venues that know the bid size of the bin (count)',
    ask_venues Array(UInt64) COMMENT 'Venues that know the ask size of the bin (count)'
)
AS SELECT
    instrument, time, bin_step, base_bin, venues,
    arrayMap((sum, known) -> if(known = 0, nan, sum), bid_sum, bid_venues) AS bid,
    arrayMap((sum, known) -> if(known = 0, nan, sum), ask_sum, ask_venues) AS ask,
    bid_venues, ask_venues
FROM
(
    SELECT
        instrument, time, bin_step, first_bin + 64 * block AS base_bin, count() AS venues,
        sumForEach(arrayMap(x -> if(isNaN(x), 0, x), arraySlice(bids, 64 * block + 1, 64))) AS bid_sum,
        sumForEach(arrayMap(x -> if(isNaN(x), 0, x), arraySlice(asks, 64 * block + 1, 64))) AS ask_sum,
        sumForEach(arrayMap(x -> toUInt8(NOT isNaN(x)), arraySlice(bids, 64 * block + 1, 64))) AS bid_venues,
        sumForEach(arrayMap(x -> toUInt8(NOT isNaN(x)), arraySlice(asks, 64 * block + 1, 64))) AS ask_venues
    FROM
    (
        SELECT instrument, time, bin_step, base_bin AS first_bin, bid AS bids, ask AS asks
        FROM market.depth_{interval} FINAL
    )
    ARRAY JOIN range(toUInt32(intDiv(greatest(length(bids), length(asks)) + 63, 64))) AS block
    GROUP BY instrument, time, bin_step, base_bin
)
COMMENT 'Order books of all venues added up per {interval}, one row per instrument, interval and block of 64 bins. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.depth_all_venues_cells_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    time DateTime('UTC') COMMENT 'Open time of the interval (UTC, whole seconds)',
    price Float64 COMMENT 'Lower edge of the bin (quote currency)',
    bin_step Float64 COMMENT 'Width of the bin (quote currency)',
    side String COMMENT 'bid or ask (name)',
    size Float32 COMMENT 'Resting size in the bin, summed over the venues that know it (base currency)',
    venues UInt64 COMMENT 'Venues that know the bin (count)'
)
AS SELECT instrument, time, (base_bin + toInt64(bin) - 1) * bin_step AS price, bin_step, 'bid' AS side, size, known AS venues
FROM market.depth_all_venues_{interval}
ARRAY JOIN bid AS size, bid_venues AS known, arrayEnumerate(bid) AS bin
WHERE known > 0
UNION ALL
SELECT instrument, time, (base_bin + toInt64(bin) - 1) * bin_step AS price, bin_step, 'ask' AS side, size, known AS venues
FROM market.depth_all_venues_{interval}
ARRAY JOIN ask AS size, ask_venues AS known, arrayEnumerate(ask) AS bin
WHERE known > 0
COMMENT 'Heatmap cells of all venues added up per {interval}, one row per side and bin that some venue knows. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';
