-- A session is the day of the asset class, as in flows/kernels/sessions.py, and a test holds them equal: from
-- 00:00 UTC on, or, if both legs are currencies of states or metals, from 17:00 in New York on. That is seven
-- hours before a midnight there; clocks change at two, so those hours are never six or eight.
CREATE OR REPLACE VIEW market.session_open
(
    session_open DateTime('UTC') COMMENT 'When the session that a time is in began (UTC)',
    forex Bool COMMENT 'True: sessions begin at 17:00 in New York; false: at 00:00 UTC (true or false)'
)
AS SELECT toDateTime(if(
    forex,
    toUnixTimestamp(toStartOfDay(toDateTime({at:DateTime64(9, 'UTC')}, 'America/New_York') + 25200)) - 25200,
    toUnixTimestamp(toStartOfDay(toDateTime({at:DateTime64(9, 'UTC')}, 'UTC')))
), 'UTC') AS session_open,
    match(upper({instrument:String}), '^(USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|SGD|HKD|CNH|CNY|INR|KRW|BRL|ILS|THB|RON|RUB|AED|SAR|CLP|COP|IDR|MYR|PHP|TWD|XAU|XAG|XPT|XPD)[-/](USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|SGD|HKD|CNH|CNY|INR|KRW|BRL|ILS|THB|RON|RUB|AED|SAR|CLP|COP|IDR|MYR|PHP|TWD|XAU|XAG|XPT|XPD)(-PERP)?$') AS forex
COMMENT 'session_open(instrument = ..., at = ...): when the trading day began, one row. Times UTC';

CREATE OR REPLACE VIEW market.cvd_parts
(
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    time DateTime('UTC') COMMENT 'Open time of the bar (UTC, whole seconds)',
    session_open DateTime('UTC') COMMENT 'When the session of the bar began (UTC)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it (true or false)',
    lots UInt64 COMMENT 'A size divided by this is in base currency, the same of all rows (1/base currency)',
    volume_lots Int64 COMMENT 'Volume of the bar (lots)',
    delta_lots Int64 COMMENT 'Buying less selling of the bar (lots)',
    class_delta_lots Array(Int64) COMMENT 'delta_lots by class of trade size (lots)'
)
AS WITH
    (
        SELECT (session_open, forex)
        FROM market.session_open(instrument = {instrument:String}, at = {from_time:DateTime64(9, 'UTC')})
    ) AS first
SELECT
    venue, bar_time AS time,
    toDateTime(if(
        first.2, toUnixTimestamp(toStartOfDay(toTimeZone(bar_time, 'America/New_York') + 25200)) - 25200,
        toUnixTimestamp(toStartOfDay(bar_time))
    ), 'UTC') AS session_open,
    whole, intExp10(decimals) AS lots, (buy_lots + sell_lots + unknown_lots) * finer AS volume_lots,
    (buy_lots - sell_lots) * finer AS delta_lots,
    arrayMap((buy, sell) -> (buy - sell) * finer, class_buy_lots, class_sell_lots) AS class_delta_lots
FROM
(
    SELECT
        *, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS bar_time, max(size_decimals) OVER () AS decimals,
        toInt64(intExp10(decimals - size_decimals)) AS finer
    FROM market.order_flow FINAL
    WHERE instrument = {instrument:String} AND interval_s = {interval_s:UInt32}
        AND ({venue:String} = 'all' OR venue = {venue:String})
        AND open_ns >= 1000000000 * toInt64(toUnixTimestamp(first.1))
        AND open_ns < toUnixTimestamp64Nano({to_time:DateTime64(9, 'UTC')})
)
COMMENT 'What cvd and cvd_all_venues add up: exact bars from the open of the session of from_time on. Times UTC, volumes in lots';

CREATE OR REPLACE VIEW market.cvd
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    interval_s UInt32 COMMENT 'Length of the bar (s)',
    time DateTime('UTC') COMMENT 'Open time of the bar (UTC, whole seconds)',
    session_open DateTime('UTC') COMMENT 'When its session began, where the running delta is 0 (UTC)',
    whole Bool COMMENT 'True: no bar since the open of the session is known to lack trades (true or false)',
    volume Float64 COMMENT 'Volume of the bar (base currency)',
    delta Float64 COMMENT 'Buying less selling of the bar (base currency)',
    cvd Float64 COMMENT 'Sum of delta from the open of the session to the end of the bar (base currency)',
    cvd_small Float64 COMMENT 'The same of trades below 1,000 in quote currency (base currency)',
    cvd_medium Float64 COMMENT 'The same of trades of 1,000 and more, below 10,000 (base currency)',
    cvd_large Float64 COMMENT 'The same of trades of 10,000 and more, below 100,000 (base currency)',
    cvd_whale Float64 COMMENT 'The same of trades of 100,000 and more (base currency)'
)
AS SELECT
    {instrument:String} AS instrument, venue, {interval_s:UInt32} AS interval_s, time, session_open, whole_so_far AS whole,
    volume_lots / lots AS volume, delta_lots / lots AS delta, running / lots AS cvd,
    classes[1] / lots AS cvd_small, classes[2] / lots AS cvd_medium, classes[3] / lots AS cvd_large,
    classes[4] / lots AS cvd_whale
FROM
(
    SELECT
        *, sum(delta_lots) OVER so_far AS running, sumForEach(class_delta_lots) OVER so_far AS classes,
        min(whole) OVER so_far AS whole_so_far
    FROM market.cvd_parts(
        instrument = {instrument:String}, venue = {venue:String}, interval_s = {interval_s:UInt32},
        from_time = {from_time:DateTime64(9, 'UTC')}, to_time = {to_time:DateTime64(9, 'UTC')}
    )
    WINDOW so_far AS (PARTITION BY venue, session_open ORDER BY time)
)
WHERE time >= {from_time:DateTime64(9, 'UTC')}
COMMENT 'cvd(instrument = ..., venue = ... or ''all'' for a row each, interval_s = ..., from_time = ..., to_time = ...): running delta from the open of the session, by trade size; one row per venue and bar with a trade. Times UTC, volumes in base currency';

CREATE OR REPLACE VIEW market.cvd_all_venues
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    interval_s UInt32 COMMENT 'Length of the bar (s)',
    time DateTime('UTC') COMMENT 'Open time of the bar (UTC, whole seconds)',
    session_open DateTime('UTC') COMMENT 'When its session began, where the running delta is 0 (UTC)',
    whole Bool COMMENT 'True: no bar since the open of the session is known to lack trades (true or false)',
    volume Float64 COMMENT 'Volume of the bar (base currency)',
    delta Float64 COMMENT 'Buying less selling of the bar (base currency)',
    cvd Float64 COMMENT 'Sum of delta from the open of the session to the end of the bar (base currency)',
    cvd_small Float64 COMMENT 'The same of trades below 1,000 in quote currency (base currency)',
    cvd_medium Float64 COMMENT 'The same of trades of 1,000 and more, below 10,000 (base currency)',
    cvd_large Float64 COMMENT 'The same of trades of 10,000 and more, below 100,000 (base currency)',
    cvd_whale Float64 COMMENT 'The same of trades of 100,000 and more (base currency)',
    venues Array(String) COMMENT 'Venues that are added up, in all rows (name)',
    weights Array(Float64) COMMENT 'Share of each in their volume from a day before the time asked for to its end (ratio, 0 to 1)',
    stale_venues Array(String) COMMENT 'Venues left out because they have gone silent, see venue_shares (name)'
)
AS WITH
    (
        SELECT
        (
            arrayMap(x -> x.1, arraySort(groupArrayIf((toString(venue), volume_share), NOT stale AND volume > 0))),
            arrayMap(x -> x.2, arraySort(groupArrayIf((toString(venue), volume_share), NOT stale AND volume > 0))),
            arraySort(groupArrayIf(toString(venue), stale))
        )
        FROM market.venue_shares(
            instrument = {instrument:String}, from_time = {from_time:DateTime64(9, 'UTC')} - toIntervalDay(1),
            to_time = {to_time:DateTime64(9, 'UTC')}
        )
    ) AS shares
SELECT
    {instrument:String} AS instrument, {interval_s:UInt32} AS interval_s, time, session_open, whole_so_far AS whole,
    volume_lots / lots AS volume, delta_lots / lots AS delta, running / lots AS cvd,
    classes[1] / lots AS cvd_small, classes[2] / lots AS cvd_medium, classes[3] / lots AS cvd_large,
    classes[4] / lots AS cvd_whale, shares.1 AS venues, shares.2 AS weights, shares.3 AS stale_venues
FROM
(
    SELECT
        *, sum(delta_lots) OVER so_far AS running, sumForEach(class_delta_lots) OVER so_far AS classes,
        min(whole) OVER so_far AS whole_so_far
    FROM
    (
        SELECT
            time, session_open, min(parts.whole) AS whole, any(parts.lots) AS lots, sum(parts.volume_lots) AS volume_lots,
            sum(parts.delta_lots) AS delta_lots, sumForEach(parts.class_delta_lots) AS class_delta_lots
        FROM market.cvd_parts(
            instrument = {instrument:String}, venue = 'all', interval_s = {interval_s:UInt32},
            from_time = {from_time:DateTime64(9, 'UTC')}, to_time = {to_time:DateTime64(9, 'UTC')}
        ) AS parts
        WHERE NOT has(shares.3, toString(venue))
        GROUP BY time, session_open
    )
    WINDOW so_far AS (PARTITION BY session_open ORDER BY time)
)
WHERE time >= {from_time:DateTime64(9, 'UTC')}
COMMENT 'cvd_all_venues(instrument = ..., interval_s = ..., from_time = ..., to_time = ...): running delta from the open of the session, added over the venues that are not stale; one row per bar with a trade. Times UTC, volumes in base currency';
