CREATE OR REPLACE VIEW market.levels_history
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it is of, or all: over the venues named in venues (name)',
    time DateTime('UTC') COMMENT 'Close of the minute from which on it is known (UTC)',
    price Float64 COMMENT 'Centre of its evidence, weighted (quote currency)',
    side LowCardinality(String) COMMENT 'support (below the price at that time) or resistance (above) (name)',
    strength Float64 COMMENT 'Sum of the weights of its evidence, each kind capped (0 to 100)',
    low Float64 COMMENT 'Lowest price of its evidence (quote currency)',
    high Float64 COMMENT 'Highest price of its evidence (quote currency)',
    last_price Float64 COMMENT 'Price at that time (quote currency)',
    distance_bps Float64 COMMENT 'price less last_price, in basis points of that (bp)',
    evidence String COMMENT 'What it is made of, the heaviest first: kind, price, venue, weight (text)',
    venues Array(String) COMMENT 'Venues that were looked at (name)',
    stale_venues Array(String) COMMENT 'Venues left out because they had told nothing for long (name)'
)
AS SELECT
    instrument, venue, toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time, price, side, strength, low, high, last_price,
    (price - last_price) / last_price * 1e4 AS distance_bps,
    arrayStringConcat(arrayMap(
        x -> concat(x.1, ' ', toString(x.2), ' ', x.3, ' ', toString(round(x.4, 1))),
        arrayReverseSort(x -> x.4, arrayZip(evidence_kind, evidence_price, evidence_venue, evidence_weight))
    ), ', ') AS evidence,
    venues, stale_venues
FROM market.levels FINAL
COMMENT 'Support and resistance as they were known, one row per level and minute, of each venue and over all. Always filter by instrument, venue and time. Times UTC, prices in quote currency';

CREATE OR REPLACE VIEW market.levels_now
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it is of, or all: over the venues named in venues (name)',
    time DateTime('UTC') COMMENT 'Close of the minute from which on it is known (UTC)',
    age_s Float64 COMMENT 'Since the newest message behind it was received (s)',
    price Float64 COMMENT 'Centre of its evidence, weighted (quote currency)',
    side LowCardinality(String) COMMENT 'support (below the price at that time) or resistance (above) (name)',
    strength Float64 COMMENT 'Sum of the weights of its evidence, each kind capped (0 to 100)',
    low Float64 COMMENT 'Lowest price of its evidence (quote currency)',
    high Float64 COMMENT 'Highest price of its evidence (quote currency)',
    last_price Float64 COMMENT 'Price at that time (quote currency)',
    distance_bps Float64 COMMENT 'price less last_price, in basis points of that (bp)',
    evidence String COMMENT 'What it is made of, the heaviest first: kind, price, venue, weight (text)',
    venues Array(String) COMMENT 'Venues that were looked at (name)',
    stale_venues Array(String) COMMENT 'Venues left out because they had told nothing for long (name)'
)
AS SELECT
    instrument, venue, toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time,
    toUnixTimestamp64Nano(now64(9)) / 1e9 - received_ns / 1e9 AS age_s, price, side, strength, low, high, last_price,
    (price - last_price) / last_price * 1e4 AS distance_bps,
    arrayStringConcat(arrayMap(
        x -> concat(x.1, ' ', toString(x.2), ' ', x.3, ' ', toString(round(x.4, 1))),
        arrayReverseSort(x -> x.4, arrayZip(evidence_kind, evidence_price, evidence_venue, evidence_weight))
    ), ', ') AS evidence,
    venues, stale_venues
FROM
(
    SELECT *, max(time_ns) OVER (PARTITION BY instrument, venue) AS newest_ns
    FROM market.levels FINAL
    WHERE time_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
)
WHERE time_ns = newest_ns
COMMENT 'Support and resistance as they are: the newest minute within the last 7 days of each instrument and venue, and over all venues (venue = all); one row per level. Times UTC, prices in quote currency';

CREATE OR REPLACE VIEW market.levels_evidence
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it is of, or all: over the venues named in venues (name)',
    time DateTime('UTC') COMMENT 'Close of the minute from which on the level is known (UTC)',
    price Float64 COMMENT 'Price of the level (quote currency)',
    side LowCardinality(String) COMMENT 'support or resistance (name)',
    strength Float64 COMMENT 'Strength of the level (0 to 100)',
    kind LowCardinality(String) COMMENT 'What it is: wall, poc, naked_poc, vah, val, hvn, swing_high, swing_low (name)',
    evidence_venue LowCardinality(String) COMMENT 'Venue of it (name)',
    evidence_price Float64 COMMENT 'Price of it (quote currency)',
    weight Float64 COMMENT 'Its weight in the strength (0 to 100)',
    known DateTime64(9, 'UTC') COMMENT 'From when on it was known (UTC)'
)
AS SELECT
    instrument, venue, toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time, price, side, strength, kind, of_venue AS evidence_venue,
    at AS evidence_price, weight, fromUnixTimestamp64Nano(known_ns, 'UTC') AS known
FROM market.levels FINAL
ARRAY JOIN
    evidence_kind AS kind, levels.evidence_venue AS of_venue, levels.evidence_price AS at, evidence_weight AS weight,
    evidence_ns AS known_ns
COMMENT 'What support and resistance are made of, one row per level, minute and piece of evidence. Always filter by instrument, venue and time. Times UTC, prices in quote currency';
