-- A venue is stale when its newest minute with a trade or a live book ended more than 300 s before the newest
-- of all venues of the instrument. Views over all venues leave it out: a sum that a part has dropped out of
-- would look like a change of the market.
CREATE OR REPLACE VIEW market.venue_shares
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    volume Float64 COMMENT 'Volume of the minutes that opened in the time asked for (base currency)',
    volume_share Float64 COMMENT 'Its share in that of the venues that are not stale; NaN of a stale one (ratio, 0 to 1)',
    depth Float64 COMMENT 'Mean size within 50 bps of the mid, both sides; NaN: not known (base currency)',
    depth_share Float64 COMMENT 'Its share in that of the venues that are not stale; NaN of a stale one (ratio, 0 to 1)',
    last_trade Nullable(DateTime('UTC')) COMMENT 'End of the newest minute with a trade; NULL: none (UTC)',
    last_book Nullable(DateTime('UTC')) COMMENT 'End of the newest minute with a live book; NULL: none (UTC)',
    stale Bool COMMENT 'True: left out of the views over all venues (true or false)',
    reason String COMMENT 'Why it is stale; empty: it is not (text)'
)
AS SELECT
    {instrument:String} AS instrument, venue, volume, if(stale, nan, volume / sumIf(volume, NOT stale) OVER ()) AS volume_share,
    depth, if(stale, nan, depth / sumIf(depth, NOT stale AND NOT isNaN(depth)) OVER ()) AS depth_share,
    if(trade_s = 0, NULL, toDateTime(trade_s, 'UTC')) AS last_trade, if(book_s = 0, NULL, toDateTime(book_s, 'UTC')) AS last_book,
    behind_s > 300 AS stale,
    if(stale, concat('no trade and no book for ', toString(behind_s), ' s while other venues had some'), '') AS reason
FROM
(
    SELECT
        venue, sum(traded) AS volume, avgOrDefaultIf(resting, NOT isNaN(resting)) / (countIf(NOT isNaN(resting)) > 0) AS depth,
        maxIf(end_s, is_trade) AS trade_s, maxIf(end_s, NOT is_trade) AS book_s,
        max(max(end_s)) OVER () - max(end_s) AS behind_s
    FROM
    (
        SELECT
            venue, intDiv(open_ns, 1000000000) + 60 AS end_s, true AS is_trade, nan AS resting,
            (buy_lots + sell_lots + unknown_lots) / intExp10(size_decimals) AS traded
        FROM market.order_flow FINAL
        WHERE instrument = {instrument:String} AND interval_s = 60
            AND open_ns >= toUnixTimestamp64Nano({from_time:DateTime64(9, 'UTC')})
            AND open_ns < toUnixTimestamp64Nano({to_time:DateTime64(9, 'UTC')})
        UNION ALL
        SELECT
            venue, toInt64(toUnixTimestamp(time)) + 60 AS end_s, false AS is_trade, bid_50bps + ask_50bps AS resting, 0 AS traded
        FROM market.depth_1m FINAL
        WHERE instrument = {instrument:String}
            AND time >= toDateTime({from_time:DateTime64(9, 'UTC')}, 'UTC') AND time < {to_time:DateTime64(9, 'UTC')}
    )
    GROUP BY venue
)
COMMENT 'venue_shares(instrument = ..., from_time = ..., to_time = ...): how much of an instrument each venue has in that time, and who is stale at its end; one row per venue with a trade or a live book. Times UTC, volumes in base currency';

CREATE OR REPLACE VIEW market.venue_weights
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    volume Float64 COMMENT 'Volume of the last hour (base currency)',
    volume_share Float64 COMMENT 'Its share in that of the venues that are not stale; NaN of a stale one (ratio, 0 to 1)',
    depth Float64 COMMENT 'Mean size within 50 bps of the mid over the last hour, both sides; NaN: not known (base currency)',
    depth_share Float64 COMMENT 'Its share in that of the venues that are not stale; NaN of a stale one (ratio, 0 to 1)',
    silent_s Int64 COMMENT 'Since the end of the newest minute with a trade or a live book (s)',
    stale Bool COMMENT 'True: left out of the views over all venues (true or false)',
    reason String COMMENT 'Why it is stale; empty: it is not (text)'
)
AS SELECT
    instrument, venue, volume, if(stale, nan, volume / sumIf(volume, NOT stale) OVER one) AS volume_share,
    depth, if(stale, nan, depth / sumIf(depth, NOT stale AND NOT isNaN(depth)) OVER one) AS depth_share,
    toInt64(toUnixTimestamp(now())) - last_s AS silent_s, newest_s - last_s > 300 AS stale,
    if(stale, concat('no trade and no book for ', toString(newest_s - last_s), ' s while other venues had some'), '') AS reason
FROM
(
    SELECT
        instrument, venue, sumIf(traded, end_s > now_s - 3600) AS volume,
        avgOrDefaultIf(resting, NOT isNaN(resting) AND end_s > now_s - 3600)
            / (countIf(NOT isNaN(resting) AND end_s > now_s - 3600) > 0) AS depth,
        max(end_s) AS last_s, max(max(end_s)) OVER (PARTITION BY instrument) AS newest_s
    FROM
    (
        SELECT
            instrument, venue, intDiv(open_ns, 1000000000) + 60 AS end_s, nan AS resting,
            (buy_lots + sell_lots + unknown_lots) / intExp10(size_decimals) AS traded, toUnixTimestamp(now()) AS now_s
        FROM market.order_flow FINAL
        WHERE interval_s = 60 AND open_ns >= toUnixTimestamp64Nano(now64(9)) - 86400 * 1000000000
        UNION ALL
        SELECT
            instrument, venue, toInt64(toUnixTimestamp(time)) + 60 AS end_s, bid_50bps + ask_50bps AS resting, 0 AS traded,
            toUnixTimestamp(now()) AS now_s
        FROM market.depth_1m FINAL
        WHERE time >= now() - toIntervalDay(1)
    )
    GROUP BY instrument, venue
)
WINDOW one AS (PARTITION BY instrument)
COMMENT 'How much of each instrument each venue has, over the last hour, and which venues are left out of the views over all venues; one row per instrument and venue seen within a day. Times UTC, volumes in base currency';
