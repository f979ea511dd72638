-- Definitions of the flags: aggressive buying in a row against aggressive selling in the row below, and selling
-- against buying in the row above, of at least three to one; against nothing there is no imbalance. The point of
-- control is the row with most volume; of several the one nearest to the middle of the bar's range; of two
-- equally near the one on the side of the middle with more volume, else the lower one.
-- for each interval of 10s 1m 1h
CREATE OR REPLACE VIEW market.footprint_cells_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime('UTC') COMMENT 'Open time of the bar (UTC, whole seconds)',
    price Float64 COMMENT 'Lower edge of the price row (quote currency)',
    row_step Float64 COMMENT 'Height of the row (quote currency)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it; false: some may be missing (true or false)',
    buy Float64 COMMENT 'Volume of aggressive buying in the row (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling in the row (base currency)',
    unknown Float64 COMMENT 'Volume in the row whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    buy_imbalance Bool COMMENT 'True: buy is at least three times what was sold in the row below, and that is not 0 (true or false)',
    sell_imbalance Bool COMMENT 'True: sell is at least three times what was bought in the row above, and that is not 0 (true or false)',
    buy_stack UInt32 COMMENT 'Rows without a break, this one among them, with buy_imbalance; stacked from 3 on (count)',
    sell_stack UInt32 COMMENT 'Rows without a break, this one among them, with sell_imbalance; stacked from 3 on (count)',
    is_poc Bool COMMENT 'True: the row of the bar with most volume (true or false)'
)
AS SELECT
    instrument, venue, time, row * row_step AS price, row_step, whole, buy_lots / lots AS buy, sell_lots / lots AS sell,
    unknown_lots / lots AS unknown, (buy_lots - sell_lots) / lots AS delta, total_lots / lots AS total,
    buy_flag AS buy_imbalance, sell_flag AS sell_imbalance, buy_run AS buy_stack, sell_run AS sell_stack, row = poc AS is_poc
FROM
(
    SELECT
        *,
        arrayReduce('argMax', rows, arrayMap(
            (t, r) -> (t, -abs(2 * r - low_high), if(above > below, 2 * r - low_high, 0), -r), totals, rows
        )) AS poc,
        arrayFlatten(arrayMap(run -> arrayMap(flag -> if(flag, length(run), 0), run), arraySplit(
            (flag, joined) -> NOT joined, buy_flags,
            arrayMap((flag, below, next) -> flag AND below AND next, buy_flags, arrayPopBack(arrayPushFront(buy_flags, 0)), nexts)
        ))) AS buy_runs,
        arrayFlatten(arrayMap(run -> arrayMap(flag -> if(flag, length(run), 0), run), arraySplit(
            (flag, joined) -> NOT joined, sell_flags,
            arrayMap((flag, below, next) -> flag AND below AND next, sell_flags, arrayPopBack(arrayPushFront(sell_flags, 0)), nexts)
        ))) AS sell_runs
    FROM
    (
        SELECT
            *,
            arrayMap((b, s, u) -> b + s + u, buys, sells, unknowns) AS totals,
            arraySum((t, r) -> if(2 * r > low_high, t, 0), totals, rows) AS above,
            arraySum((t, r) -> if(2 * r < low_high, t, 0), totals, rows) AS below,
            arrayMap(step -> step = 1, arrayDifference(rows)) AS nexts,
            arrayMap(
                (b, s, next) -> next AND s > 0 AND b >= 3 * s, buys, arrayPopBack(arrayPushFront(sells, 0)), nexts
            ) AS buy_flags,
            arrayMap(
                (s, b, next) -> next AND b > 0 AND s >= 3 * b,
                sells, arrayPushBack(arrayPopFront(buys), 0), arrayPushBack(arrayPopFront(nexts), 0)
            ) AS sell_flags
        FROM
        (
            SELECT
                instrument, venue, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS time, row_step, whole,
                intExp10(size_decimals) AS lots, price_row AS rows, rows[1] + rows[-1] AS low_high, buy_lots AS buys,
                sell_lots AS sells, unknown_lots AS unknowns
            FROM market.footprints FINAL
            WHERE interval_s = multiIf('{interval}' = '10s', 10, '{interval}' = '1m', 60, 3600)
        )
    )
)
ARRAY JOIN
    rows AS row, buys AS buy_lots, sells AS sell_lots, unknowns AS unknown_lots, totals AS total_lots, buy_flags AS buy_flag,
    sell_flags AS sell_flag, buy_runs AS buy_run, sell_runs AS sell_run
COMMENT 'Traded volume by bar of {interval} and price row, one row per price row with a trade: footprint, and volume profile as a heatmap. Always filter by instrument and time. Times UTC, prices in quote currency, volumes in base currency';

CREATE OR REPLACE VIEW market.footprint_all_venues_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    time DateTime('UTC') COMMENT 'Open time of the bar (UTC, whole seconds)',
    price Float64 COMMENT 'Lower edge of the price row (quote currency)',
    row_step Float64 COMMENT 'Height of the row (quote currency)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it; false: some may be missing (true or false)',
    buy Float64 COMMENT 'Volume of aggressive buying in the row (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling in the row (base currency)',
    unknown Float64 COMMENT 'Volume in the row whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    buy_imbalance Bool COMMENT 'True: buy is at least three times what was sold in the row below, and that is not 0 (true or false)',
    sell_imbalance Bool COMMENT 'True: sell is at least three times what was bought in the row above, and that is not 0 (true or false)',
    buy_stack UInt32 COMMENT 'Rows without a break, this one among them, with buy_imbalance; stacked from 3 on (count)',
    sell_stack UInt32 COMMENT 'Rows without a break, this one among them, with sell_imbalance; stacked from 3 on (count)',
    is_poc Bool COMMENT 'True: the row of the bar with most volume (true or false)',
    venues Array(String) COMMENT 'Venues that traded in the bar and are added up, in all its rows (name)'
)
AS SELECT
    instrument, time, row * row_step AS price, row_step, whole, buy_lots / lots AS buy, sell_lots / lots AS sell,
    unknown_lots / lots AS unknown, (buy_lots - sell_lots) / lots AS delta, total_lots / lots AS total,
    buy_flag AS buy_imbalance, sell_flag AS sell_imbalance, buy_run AS buy_stack, sell_run AS sell_stack, row = poc AS is_poc, venues
FROM
(
    SELECT
        *,
        arrayReduce('argMax', rows, arrayMap(
            (t, r) -> (t, -abs(2 * r - low_high), if(above > below, 2 * r - low_high, 0), -r), totals, rows
        )) AS poc,
        arrayFlatten(arrayMap(run -> arrayMap(flag -> if(flag, length(run), 0), run), arraySplit(
            (flag, joined) -> NOT joined, buy_flags,
            arrayMap((flag, below, next) -> flag AND below AND next, buy_flags, arrayPopBack(arrayPushFront(buy_flags, 0)), nexts)
        ))) AS buy_runs,
        arrayFlatten(arrayMap(run -> arrayMap(flag -> if(flag, length(run), 0), run), arraySplit(
            (flag, joined) -> NOT joined, sell_flags,
            arrayMap((flag, below, next) -> flag AND below AND next, sell_flags, arrayPopBack(arrayPushFront(sell_flags, 0)), nexts)
        ))) AS sell_runs
    FROM
    (
        SELECT
            *,
            arrayMap((b, s, u) -> b + s + u, buys, sells, unknowns) AS totals,
            arraySum((t, r) -> if(2 * r > low_high, t, 0), totals, rows) AS above,
            arraySum((t, r) -> if(2 * r < low_high, t, 0), totals, rows) AS below,
            arrayMap(step -> step = 1, arrayDifference(rows)) AS nexts,
            arrayMap(
                (b, s, next) -> next AND s > 0 AND b >= 3 * s, buys, arrayPopBack(arrayPushFront(sells, 0)), nexts
            ) AS buy_flags,
            arrayMap(
                (s, b, next) -> next AND b > 0 AND s >= 3 * b,
                sells, arrayPushBack(arrayPopFront(buys), 0), arrayPushBack(arrayPopFront(nexts), 0)
            ) AS sell_flags
        FROM
        (
            SELECT
                instrument, time, row_step, min(bar.whole) AS whole, any(intExp10(decimals)) AS lots,
                sumMap(
                    price_row, arrayMap(x -> x * finer, buy_lots), arrayMap(x -> x * finer, sell_lots),
                    arrayMap(x -> x * finer, unknown_lots)
                ) AS added,
                added.1 AS rows, added.2 AS buys, added.3 AS sells, added.4 AS unknowns, rows[1] + rows[-1] AS low_high,
                arraySort(groupArray(toString(venue))) AS venues
            FROM
            (
                SELECT
                    *, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS time,
                    max(size_decimals) OVER (PARTITION BY instrument, time, row_step) AS decimals,
                    toInt64(intExp10(decimals - size_decimals)) AS finer
                FROM market.footprints FINAL
                WHERE interval_s = multiIf('{interval}' = '10s', 10, '{interval}' = '1m', 60, 3600)
            ) AS bar
            GROUP BY instrument, time, row_step
        )
    )
)
ARRAY JOIN
    rows AS row, buys AS buy_lots, sells AS sell_lots, unknowns AS unknown_lots, totals AS total_lots, buy_flags AS buy_flag,
    sell_flags AS sell_flag, buy_runs AS buy_run, sell_runs AS sell_run
COMMENT 'Traded volume of all venues added up by bar of {interval} and price row, one row per price row with a trade: a venue that has gone silent is in no later bar, see venue_weights. Always filter by instrument and time. Times UTC, prices in quote currency, volumes in base currency';
