-- What streams and polls tell is in one table: a poll of Binance tells open interest alone, its stream all but that.
-- time_ns is converted, not added to 1970: added it would be looked up by the primary key, but compared with a time in
-- whole seconds (`time < now()`) the engine then leaves out rows of a second at the border (tried, 26.9).
CREATE OR REPLACE VIEW market.derivative_prices
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'When it was so, by the venue (UTC)',
    mark Float64 COMMENT 'Mark price; NaN: not told (quote currency)',
    `index` Float64 COMMENT 'Index price; NaN: not told (quote currency)',
    funding_rate Float64 COMMENT 'Funding rate of the current period, 0.0001 is 1 bp; NaN: not told (ratio)',
    next_funding Nullable(DateTime64(9, 'UTC')) COMMENT 'When funding is paid next; NULL: not told (UTC)',
    open_interest Float64 COMMENT 'Open interest; NaN: not told (base currency)'
)
AS SELECT
    instrument, venue, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, mark,
    `index`, funding_rate, fromUnixTimestamp64Nano(next_funding_ns, 'UTC') AS next_funding, open_interest
FROM market.derivatives FINAL
COMMENT 'Mark and index prices, funding and open interest, one row per instrument, venue and time told. Always filter by instrument and time. Times UTC, prices in quote currency, sizes in base currency';

-- Each column is what was told of it last. How often funding is paid is the shortest span between two of its times.
CREATE OR REPLACE VIEW market.derivatives_now
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    time DateTime64(9, 'UTC') COMMENT 'Of the newest row told, by the venue (UTC)',
    age_s Float64 COMMENT 'Since then, until now (s)',
    mark Float64 COMMENT 'Mark price; NaN: not told (quote currency)',
    `index` Float64 COMMENT 'Index price; NaN: not told (quote currency)',
    premium_bps Float64 COMMENT 'mark / index - 1; NaN: one of them is not told (bp)',
    funding_rate Float64 COMMENT 'Funding rate of the current period, 0.0001 is 1 bp; NaN: not told (ratio)',
    funding_bps Float64 COMMENT 'The same; longs pay shorts where it is above 0 (bp)',
    funding_interval_h Float64 COMMENT 'Time from one funding to the next, as told within 7 days; 8 where only one is known (h)',
    funding_annual_pct Float64 COMMENT 'Funding of a year at this rate and interval, not compounded; NaN: not told (per cent)',
    funding_time Nullable(DateTime64(9, 'UTC')) COMMENT 'When the rate was told; NULL: not told (UTC)',
    next_funding Nullable(DateTime64(9, 'UTC')) COMMENT 'When funding is paid next; NULL: not told (UTC)',
    open_interest Float64 COMMENT 'Open interest; NaN: not told (base currency)',
    open_interest_value Float64 COMMENT 'open_interest * mark; NaN: one of them is not told (quote currency)',
    open_interest_time Nullable(DateTime64(9, 'UTC')) COMMENT 'When the open interest was told; NULL: not told (UTC)',
    open_interest_change_1h_pct Float64 COMMENT 'Change of the open interest over 1 hour; NaN: not told within 15 minutes of both ends (per cent)',
    open_interest_change_24h_pct Float64 COMMENT 'Change of the open interest over 24 hours; NaN: not told within 15 minutes of both ends (per cent)'
)
AS WITH
    toUnixTimestamp64Nano(now64(9)) AS now_ns,
    3600 * 1000000000 AS hour_ns
SELECT
    instrument, venue, fromUnixTimestamp64Nano(last_ns, 'UTC') AS time, (now_ns - last_ns) / 1e9 AS age_s,
    last_mark AS mark, last_index AS `index`, 1e4 * (mark / `index` - 1) AS premium_bps, rate AS funding_rate,
    1e4 * rate AS funding_bps,
    if(shortest_ns > 0, shortest_ns, 8 * hour_ns) / hour_ns AS funding_interval_h,
    100 * rate * 365 * 24 / funding_interval_h AS funding_annual_pct,
    if(isNaN(rate), NULL, fromUnixTimestamp64Nano(rate_ns, 'UTC')) AS funding_time,
    fromUnixTimestamp64Nano(next_ns, 'UTC') AS next_funding,
    held AS open_interest, held * mark AS open_interest_value,
    if(isNaN(held), NULL, fromUnixTimestamp64Nano(held_ns, 'UTC')) AS open_interest_time,
    if(held_ns > now_ns - hour_ns / 4 AND held_1h > 0, 100 * (held / held_1h - 1), nan) AS open_interest_change_1h_pct,
    if(held_ns > now_ns - hour_ns / 4 AND held_24h > 0, 100 * (held / held_24h - 1), nan) AS open_interest_change_24h_pct
FROM
(
    SELECT
        instrument, venue, max(time_ns) AS last_ns,
        if(countIf(NOT isNaN(mark)) = 0, nan, argMaxIf(mark, time_ns, NOT isNaN(mark))) AS last_mark,
        if(countIf(NOT isNaN(`index`)) = 0, nan, argMaxIf(`index`, time_ns, NOT isNaN(`index`))) AS last_index,
        if(countIf(NOT isNaN(funding_rate)) = 0, nan, argMaxIf(funding_rate, time_ns, NOT isNaN(funding_rate))) AS rate,
        maxIf(time_ns, NOT isNaN(funding_rate)) AS rate_ns,
        argMax(next_funding_ns, time_ns) AS next_ns,
        arrayMin(arrayFilter(x -> x >= hour_ns, arrayDifference(arraySort(groupUniqArray(10000)(next_funding_ns))))) AS shortest_ns,
        if(countIf(NOT isNaN(open_interest)) = 0, nan, argMaxIf(open_interest, time_ns, NOT isNaN(open_interest))) AS held,
        maxIf(time_ns, NOT isNaN(open_interest)) AS held_ns,
        argMaxIf(open_interest, time_ns, NOT isNaN(open_interest) AND time_ns BETWEEN now_ns - hour_ns * 5 / 4 AND now_ns - hour_ns) AS held_1h,
        argMaxIf(open_interest, time_ns, NOT isNaN(open_interest) AND time_ns BETWEEN now_ns - hour_ns * 97 / 4 AND now_ns - 24 * hour_ns) AS held_24h
    FROM market.derivatives FINAL
    WHERE received_ns > now_ns - 7 * 24 * hour_ns
    GROUP BY instrument, venue
)
COMMENT 'Mark and index prices, funding and open interest as they are: of each what was told last within the last 7 days, by stream or poll. Times UTC, prices in quote currency, sizes in base currency';
