-- Any range is cut into the longest bars that lie within it: hours, minutes where no hour is, and 10 s where no
-- minute is: at its edges, and at its end those whose longer bar has not closed. An hour or minute without a bar
-- before the last that has one had no trade. Stale venues are those of venue_shares; the rule stands here again,
-- because the engine reads a view within a view twice, and so on.
CREATE OR REPLACE VIEW market.volume_profile_spans
(
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    interval_s UInt32 COMMENT 'Length of the bar: 10, 60 or 3600 (s)',
    open_ns Int64 COMMENT 'Open time (ns since 1970 UTC)'
)
AS WITH
    intDiv(toUnixTimestamp64Nano({from_time:DateTime64(9, 'UTC')}) + 9999999999, 10000000000) * 10000000000 AS from_ns,
    intDiv(toUnixTimestamp64Nano({to_time:DateTime64(9, 'UTC')}), 10000000000) * 10000000000 AS to_ns,
    intDiv(from_ns + 59999999999, 60000000000) * 60000000000 AS minute_ns,
    intDiv(from_ns + 3599999999999, 3600000000000) * 3600000000000 AS hour_ns,
    bars AS
    (
        SELECT DISTINCT venue, interval_s, open_ns
        FROM market.footprints
        WHERE instrument = {instrument:String} AND ({venue:String} = 'all' OR venue = {venue:String})
            AND open_ns >= from_ns AND open_ns + interval_s * 1000000000 <= to_ns
    ),
    ends AS
    (
        SELECT
            venue, greatest(hour_ns, maxIf(open_ns + 3600000000000, interval_s = 3600)) AS hours_end,
            greatest(minute_ns, maxIf(open_ns + interval_s * 1000000000, interval_s > 10)) AS minutes_end
        FROM bars
        GROUP BY venue
    )
SELECT venue, interval_s, open_ns
FROM bars INNER JOIN ends USING (venue)
WHERE
    (
        interval_s = 3600
        OR (interval_s = 60 AND (open_ns < hour_ns OR open_ns >= hours_end))
        OR (interval_s = 10 AND (open_ns < minute_ns OR open_ns >= minutes_end))
    )
    AND ({venue:String} != 'all' OR venue NOT IN
    (
        SELECT venue
        FROM
        (
            SELECT venue, max(max(end_s)) OVER () - max(end_s) AS behind_s
            FROM
            (
                SELECT venue, intDiv(open_ns, 1000000000) + 60 AS end_s
                FROM market.order_flow
                WHERE instrument = {instrument:String} AND interval_s = 60 AND open_ns >= from_ns AND open_ns < to_ns
                UNION ALL
                SELECT venue, toInt64(toUnixTimestamp(time)) + 60 AS end_s
                FROM market.depth_1m
                WHERE instrument = {instrument:String}
                    AND time >= toDateTime({from_time:DateTime64(9, 'UTC')}, 'UTC') AND time < {to_time:DateTime64(9, 'UTC')}
            )
            GROUP BY venue
        )
        WHERE behind_s > 300
    ))
COMMENT 'The bars that volume_profile adds up. Times in ns since 1970 UTC';

-- The value area by the two-row rule, without a loop: a step takes the larger of the next pair above and the next
-- pair below, which merges two lists by their heads. A pair that is not smaller than one before it on its side is
-- taken right after that one, so the order of all steps is that of each pair's smallest predecessor, itself among
-- them: largest first, above before below. A pair without a trade is not there; all beyond it rank as 0.
CREATE OR REPLACE VIEW market.volume_profile
(
    price Float64 COMMENT 'Lower edge of the price row (quote currency)',
    row_step Float64 COMMENT 'Height of the row (quote currency)',
    buy Float64 COMMENT 'Volume of aggressive buying in the row (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling in the row (base currency)',
    unknown Float64 COMMENT 'Volume in the row whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    in_value_area Bool COMMENT 'True: the row is in the value area, two-row rule, 70 % (true or false)',
    is_poc Bool COMMENT 'True: the row with most volume (true or false)',
    vah Float64 COMMENT 'Value area high of the profile: upper edge of its highest row (quote currency)',
    val Float64 COMMENT 'Value area low of the profile: lower edge of its lowest row (quote currency)'
)
AS SELECT
    price_row * row_step AS price, row_step, buy_lots / lots AS buy, sell_lots / lots AS sell,
    unknown_lots / lots AS unknown, (buy_lots - sell_lots) / lots AS delta, total_lots / lots AS total,
    price_row BETWEEN area_low AND area_high AS in_value_area, price_row = poc_row AS is_poc,
    (area_high + 1) * row_step AS vah, area_low * row_step AS val
FROM
(
    SELECT
        *, greatest(low, poc_row - 2 * maxIf(pair, side = 2 AND within) OVER step) AS area_low,
        least(high, poc_row + 2 * maxIf(pair, side = 1 AND within) OVER step) AS area_high
    FROM
    (
        SELECT
            *, 100 * (sum(total_lots) OVER (
                PARTITION BY row_step ORDER BY side > 0, rank_lots DESC, side, pair
            ) - pair_lots) < 70 * all_lots AS within
        FROM
        (
            SELECT
                *, if(
                    dense_rank() OVER (PARTITION BY row_step, side ORDER BY pair) = pair,
                    min(pair_lots) OVER (PARTITION BY row_step, side ORDER BY pair), 0
                ) AS rank_lots
            FROM
            (
                SELECT
                    *, multiIf(price_row > poc_row, 1, price_row < poc_row, 2, 0) AS side,
                    intDiv(abs(price_row - poc_row) + 1, 2) AS pair,
                    sum(total_lots) OVER (PARTITION BY row_step, side, pair) AS pair_lots
                FROM
                (
                    SELECT
                        *, first_value(price_row) OVER (
                            PARTITION BY row_step
                            ORDER BY total_lots DESC, abs(2 * price_row - low - high), if(above > below, -price_row, price_row)
                        ) AS poc_row
                    FROM
                    (
                        SELECT
                            *, sumIf(total_lots, 2 * price_row > low + high) OVER step AS above,
                            sumIf(total_lots, 2 * price_row < low + high) OVER step AS below
                        FROM
                        (
                            SELECT
                                row_step, lots, price_row, sum(buy * finer) AS buy_lots, sum(sell * finer) AS sell_lots,
                                sum(unknown * finer) AS unknown_lots, buy_lots + sell_lots + unknown_lots AS total_lots,
                                min(price_row) OVER step AS low, max(price_row) OVER step AS high,
                                sum(total_lots) OVER step AS all_lots
                            FROM
                            (
                                SELECT
                                    row_step, price_row AS price_rows, buy_lots AS buys, sell_lots AS sells,
                                    unknown_lots AS unknowns, intExp10(max(size_decimals) OVER ()) AS lots,
                                    toInt64(intDiv(lots, intExp10(size_decimals))) AS finer
                                FROM market.footprints FINAL
                                WHERE instrument = {instrument:String} AND (venue, interval_s, open_ns) IN
                                (
                                    SELECT venue, interval_s, open_ns
                                    FROM market.volume_profile_spans(
                                        instrument = {instrument:String}, venue = {venue:String},
                                        from_time = {from_time:DateTime64(9, 'UTC')}, to_time = {to_time:DateTime64(9, 'UTC')}
                                    )
                                )
                            )
                            ARRAY JOIN price_rows AS price_row, buys AS buy, sells AS sell, unknowns AS unknown
                            GROUP BY row_step, lots, price_row
                            HAVING total_lots > 0
                            WINDOW step AS (PARTITION BY row_step)
                        )
                        WINDOW step AS (PARTITION BY row_step)
                    )
                )
            )
        )
    )
    WINDOW step AS (PARTITION BY row_step)
)
COMMENT 'volume_profile(instrument = ..., venue = ... or ''all'', from_time = ..., to_time = ...): the profile of the whole 10 s within that time, one row per price row with a trade; all leaves out stale venues. Prices in quote currency, volumes in base currency';

CREATE OR REPLACE VIEW market.volume_profile_levels
(
    row_step Float64 COMMENT 'Height of a price row; should it have changed in that time there is a profile of each (quote currency)',
    poc Float64 COMMENT 'Point of control: lower edge of the row with most volume (quote currency)',
    vah Float64 COMMENT 'Value area high, two-row rule, 70 %: upper edge of its highest row (quote currency)',
    val Float64 COMMENT 'Value area low, two-row rule, 70 %: lower edge of its lowest row (quote currency)',
    buy Float64 COMMENT 'Volume of aggressive buying (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling (base currency)',
    unknown Float64 COMMENT 'Volume whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    vwap Float64 COMMENT 'Volume-weighted average price (quote currency)',
    whole Bool COMMENT 'True: every trade of its bars is known to be in it; false: some may be missing (true or false)',
    price_rows UInt64 COMMENT 'Price rows with a trade (count)',
    venues Array(String) COMMENT 'Venues that are added up (name)'
)
AS WITH
    spans AS
    (
        SELECT venue, interval_s, open_ns
        FROM market.volume_profile_spans(
            instrument = {instrument:String}, venue = {venue:String}, from_time = {from_time:DateTime64(9, 'UTC')},
            to_time = {to_time:DateTime64(9, 'UTC')}
        )
    ),
    (
        SELECT (
            sum(quote_volume) / sum((buy_lots + sell_lots + unknown_lots) / intExp10(size_decimals)), min(whole),
            arraySort(groupUniqArray(toString(venue)))
        )
        FROM market.order_flow FINAL
        WHERE instrument = {instrument:String} AND ({venue:String} = 'all' OR venue = {venue:String})
            AND open_ns >= toUnixTimestamp64Nano({from_time:DateTime64(9, 'UTC')})
            AND open_ns < toUnixTimestamp64Nano({to_time:DateTime64(9, 'UTC')})
            AND
            (
                (venue, interval_s, open_ns) IN (SELECT venue, interval_s, open_ns FROM spans)
                OR (interval_s = 1 AND (venue, intDiv(open_ns, 10000000000) * 10000000000) IN
                    (SELECT venue, open_ns FROM spans WHERE interval_s = 10))
            )
    ) AS flow
SELECT
    row_step, anyIf(price, is_poc) AS poc, any(rows.vah) AS vah, any(rows.val) AS val,
    round(sum(rows.buy), 10) AS buy, round(sum(rows.sell), 10) AS sell, round(sum(rows.unknown), 10) AS unknown,
    round(sum(rows.delta), 10) AS delta, round(sum(rows.total), 10) AS total,
    flow.1 AS vwap, flow.2 AS whole, count() AS price_rows, flow.3 AS venues
FROM market.volume_profile(
    instrument = {instrument:String}, venue = {venue:String}, from_time = {from_time:DateTime64(9, 'UTC')},
    to_time = {to_time:DateTime64(9, 'UTC')}
) AS rows
GROUP BY row_step
COMMENT 'volume_profile_levels(instrument = ..., venue = ... or ''all'', from_time = ..., to_time = ...): point of control and value area of volume_profile, one row. Prices in quote currency, volumes in base currency';
