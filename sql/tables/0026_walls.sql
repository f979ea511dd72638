CREATE TABLE IF NOT EXISTS market.walls
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    side LowCardinality(String) COMMENT 'bid or ask (name)',
    price_row Int64 CODEC(ZSTD(1)) COMMENT 'Bin of the book that it stands in; its lower edge is price_row * bin_step (bins)',
    from_ns Int64 CODEC(ZSTD(1)) COMMENT 'Second in which the bin came to hold more than the threshold; since then it has held more than half of it (ns since 1970 UTC)',
    bin_step Float64 CODEC(ZSTD(1)) COMMENT 'Width of a bin (quote currency)',
    known_ns Int64 CODEC(ZSTD(1)) COMMENT 'From when on it could be known to be a wall (ns since 1970 UTC)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Close of the second that the row tells of (ns since 1970 UTC)',
    size Float64 CODEC(ZSTD(1)) COMMENT 'Size resting in the bin (base currency)',
    weighted_size Float64 CODEC(ZSTD(1)) COMMENT 'Size weighted by persistence, exponential with the time constant tau_s; NaN: the column has left it (base currency)',
    peak_size Float64 CODEC(ZSTD(1)) COMMENT 'Largest size since it began (base currency)',
    threshold Float64 CODEC(ZSTD(1)) COMMENT 'Weighted size that makes a wall at that distance from the mid now; NaN: too few prices hold anything there (base currency)',
    tau_s Float64 CODEC(ZSTD(1)) COMMENT 'Time constant of the weighting (s)',
    traded Float64 CODEC(ZSTD(1)) COMMENT 'Traded against it since it began (base currency)',
    added Float64 CODEC(ZSTD(1)) COMMENT 'Added to it since it began, at least (base currency)',
    pulled Float64 CODEC(ZSTD(1)) COMMENT 'Taken away from it without a trade since it began, at least (base currency)',
    refills UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Times that a best price in it was filled up again within 500 ms of a trade (count)',
    ended LowCardinality(String) COMMENT 'Empty: it stands; else why it ended: pulled, traded, mixed, left (the columns'' range), gap (name)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest message of the book (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed the second; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(from_ns, 'UTC'))
ORDER BY (instrument, venue, from_ns, side, price_row)
COMMENT 'Walls: resting size that stands out and stays; one row per wall, brought up to date while it stands. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';

CREATE TABLE IF NOT EXISTS market.liquidity_events
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Close of the second in which it happened (ns since 1970 UTC)',
    kind LowCardinality(String) COMMENT 'pull (large size gone without a trade), refill (suspected iceberg: filled up again after trades), absorption (aggression that met size and did not move the price) (name)',
    side LowCardinality(String) COMMENT 'Side of the resting size: bid or ask (name)',
    price Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Price, or lower edge of the bin (quote currency)',
    size Float64 CODEC(ZSTD(1)) COMMENT 'Pull: size taken away; refill: size that came again, as far as it makes up for what traded; absorption: size traded into it (base currency)',
    before Float64 CODEC(ZSTD(1)) COMMENT 'Resting size before (base currency)',
    after Float64 CODEC(ZSTD(1)) COMMENT 'Resting size after (base currency)',
    traded Float64 CODEC(ZSTD(1)) COMMENT 'Traded at it meanwhile (base currency)',
    count UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Refill: times that it came again (count)',
    age_s Float64 CODEC(ZSTD(1)) COMMENT 'How long the size had stood; NaN: not known (s)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest message of the book (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed the second; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, time_ns, kind, side, price)
COMMENT 'What happened to resting size, as far as price levels tell: inferred, not observed order by order. Times in ns since 1970 UTC, prices in quote currency, sizes in base currency';
