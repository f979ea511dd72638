CREATE OR REPLACE VIEW market.walls_history
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    side LowCardinality(String) COMMENT 'bid or ask (name)',
    price Float64 COMMENT 'Lower edge of the bin that it stands in (quote currency)',
    bin_step Float64 COMMENT 'Width of the bin (quote currency)',
    began DateTime64(9, 'UTC') COMMENT 'From when the bin held more than the threshold without a break (UTC)',
    known DateTime64(9, 'UTC') COMMENT 'From when on it could be known to be a wall (UTC)',
    time DateTime64(9, 'UTC') COMMENT 'Close of the second that the row tells of: the newest of a standing wall, the last of one that ended (UTC)',
    lifetime_s Float64 COMMENT 'time - began (s)',
    size Float64 COMMENT 'Size resting in the bin (base currency)',
    weighted_size Float64 COMMENT 'Size weighted by persistence (base currency)',
    peak_size Float64 COMMENT 'Largest size since it began (base currency)',
    threshold Float64 COMMENT 'Weighted size that made a wall at that distance from the mid (base currency)',
    traded Float64 COMMENT 'Traded against it since it began (base currency)',
    added Float64 COMMENT 'Added to it since it began, at least (base currency)',
    pulled Float64 COMMENT 'Taken away from it without a trade since it began, at least (base currency)',
    pull_share Float64 COMMENT 'pulled / (pulled + traded); NaN: neither (ratio, 0 to 1)',
    refills UInt32 COMMENT 'Times that it was filled up again within 500 ms of a trade (count)',
    ended LowCardinality(String) COMMENT 'Empty: it stands; else why it ended: pulled, traded, mixed, left (the columns'' range), gap (name)'
)
AS SELECT
    instrument, venue, side, price_row * bin_step AS price, bin_step, fromUnixTimestamp64Nano(from_ns, 'UTC') AS began,
    fromUnixTimestamp64Nano(known_ns, 'UTC') AS known, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    (time_ns - from_ns) / 1e9 AS lifetime_s, size, weighted_size, peak_size, threshold, traded, added, pulled,
    pulled / (pulled + traded) AS pull_share, refills, ended
FROM market.walls FINAL
COMMENT 'Walls of resting size, standing or ended, one row each. Always filter by instrument and began. Inferred from price levels, not observed order by order. Times UTC, prices in quote currency, sizes in base currency';

-- A wall that nothing was told of while others of its book were is not known to stand: its flow was cut off.
CREATE OR REPLACE VIEW market.walls_now
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    side LowCardinality(String) COMMENT 'bid or ask (name)',
    price Float64 COMMENT 'Lower edge of the bin that it stands in (quote currency)',
    bin_step Float64 COMMENT 'Width of the bin (quote currency)',
    began DateTime64(9, 'UTC') COMMENT 'From when the bin held more than the threshold without a break (UTC)',
    known DateTime64(9, 'UTC') COMMENT 'From when on it could be known to be a wall (UTC)',
    time DateTime64(9, 'UTC') COMMENT 'Close of the second that the row tells of: the newest of a standing wall, the last of one that ended (UTC)',
    lifetime_s Float64 COMMENT 'time - began (s)',
    size Float64 COMMENT 'Size resting in the bin (base currency)',
    weighted_size Float64 COMMENT 'Size weighted by persistence (base currency)',
    peak_size Float64 COMMENT 'Largest size since it began (base currency)',
    threshold Float64 COMMENT 'Weighted size that made a wall at that distance from the mid (base currency)',
    traded Float64 COMMENT 'Traded against it since it began (base currency)',
    added Float64 COMMENT 'Added to it since it began, at least (base currency)',
    pulled Float64 COMMENT 'Taken away from it without a trade since it began, at least (base currency)',
    pull_share Float64 COMMENT 'pulled / (pulled + traded); NaN: neither (ratio, 0 to 1)',
    refills UInt32 COMMENT 'Times that it was filled up again within 500 ms of a trade (count)',
    ended LowCardinality(String) COMMENT 'Empty: it stands; else why it ended: pulled, traded, mixed, left (the columns'' range), gap (name)',
    age_s Float64 COMMENT 'Since the newest message of the book in the row was received (s)'
)
AS SELECT
    instrument, venue, side, price_row * bin_step AS price, bin_step, fromUnixTimestamp64Nano(from_ns, 'UTC') AS began,
    fromUnixTimestamp64Nano(known_ns, 'UTC') AS known, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time,
    (time_ns - from_ns) / 1e9 AS lifetime_s, size, weighted_size, peak_size, threshold, traded, added, pulled,
    pulled / (pulled + traded) AS pull_share, refills, ended,
    toUnixTimestamp64Nano(now64(9)) / 1e9 - received_ns / 1e9 AS age_s
FROM
(
    SELECT *, max(time_ns) OVER (PARTITION BY instrument, venue) AS newest_ns
    FROM market.walls FINAL
    WHERE time_ns > toUnixTimestamp64Nano(now64(9)) - 86400 * 1000000000
)
WHERE ended = '' AND time_ns > newest_ns - 60 * 1000000000
COMMENT 'Walls of resting size that stand, one row each, as they were when last told of within a day: mind age_s. Filter by instrument. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.liquidity_events_history
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'Close of the second in which it happened (UTC)',
    kind LowCardinality(String) COMMENT 'pull (large size gone without a trade), refill (suspected iceberg: filled up again after trades), absorption (aggression that met size and did not move the price) (name)',
    side LowCardinality(String) COMMENT 'Side of the resting size: bid or ask (name)',
    price Float64 COMMENT 'Price, or lower edge of the bin (quote currency)',
    size Float64 COMMENT 'Pull: size taken away; refill: size seen to come again; absorption: size traded into it (base currency)',
    before Float64 COMMENT 'Resting size before (base currency)',
    after Float64 COMMENT 'Resting size after (base currency)',
    traded Float64 COMMENT 'Traded at it meanwhile (base currency)',
    refills UInt32 COMMENT 'Refill: times that it came again (count)',
    lifetime_s Float64 COMMENT 'How long the size had stood; NaN: not known (s)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, kind, side, price, size, before, after, traded,
    `count` AS refills, age_s AS lifetime_s
FROM market.liquidity_events FINAL
COMMENT 'What happened to resting size, one row each: inferred from price levels, not observed order by order. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

CREATE OR REPLACE VIEW market.liquidity_events_recent
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'Close of the second in which it happened (UTC)',
    kind LowCardinality(String) COMMENT 'pull (large size gone without a trade), refill (suspected iceberg: filled up again after trades), absorption (aggression that met size and did not move the price) (name)',
    side LowCardinality(String) COMMENT 'Side of the resting size: bid or ask (name)',
    price Float64 COMMENT 'Price, or lower edge of the bin (quote currency)',
    size Float64 COMMENT 'Pull: size taken away; refill: size seen to come again; absorption: size traded into it (base currency)',
    before Float64 COMMENT 'Resting size before (base currency)',
    after Float64 COMMENT 'Resting size after (base currency)',
    traded Float64 COMMENT 'Traded at it meanwhile (base currency)',
    refills UInt32 COMMENT 'Refill: times that it came again (count)',
    lifetime_s Float64 COMMENT 'How long the size had stood; NaN: not known (s)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, kind, side, price, size, before, after, traded,
    `count` AS refills, age_s AS lifetime_s
FROM
(
    SELECT *, row_number() OVER (PARTITION BY instrument, venue ORDER BY time_ns DESC, kind, side, price) AS place
    FROM market.liquidity_events FINAL
)
WHERE place <= 200
COMMENT 'The newest 200 pulls, refills and absorptions of each instrument and venue, one row each: inferred from price levels, not observed order by order. Filter by instrument. Times UTC, prices in quote currency, sizes in base currency';
