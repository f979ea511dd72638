CREATE OR REPLACE VIEW market.profile_history
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    span LowCardinality(String) COMMENT 'What the profile is over: day (of the asset class), tokyo, london, new_york, rolling_4h, rolling_24h (name)',
    opened DateTime('UTC') COMMENT 'Where the span begins (UTC)',
    time DateTime('UTC') COMMENT 'Trades up to, not with, this time are in it: the close of a minute (UTC)',
    closed Bool COMMENT 'True: the span is over (true or false)',
    whole Bool COMMENT 'True: every trade of the span is known to be in it; false: some may be missing (true or false)',
    row_step Float64 COMMENT 'Height of a price row (quote currency)',
    buy Float64 COMMENT 'Volume of aggressive buying (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling (base currency)',
    unknown Float64 COMMENT 'Volume whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    high Float64 COMMENT 'Highest price (quote currency)',
    low Float64 COMMENT 'Lowest price (quote currency)',
    poc Float64 COMMENT 'Point of control: lower edge of the row with most volume (quote currency)',
    poc_total Float64 COMMENT 'Volume of that row (base currency)',
    developing_poc Float64 COMMENT 'Point of control which a tie does not move: lower edge of its row (quote currency)',
    vah Float64 COMMENT 'Value area high, two-row rule, 70 %: upper edge of its highest row (quote currency)',
    val Float64 COMMENT 'Value area low, two-row rule, 70 %: lower edge of its lowest row (quote currency)',
    vah_single Float64 COMMENT 'Value area high, single-row rule, 70 % (quote currency)',
    val_single Float64 COMMENT 'Value area low, single-row rule, 70 % (quote currency)',
    vwap Float64 COMMENT 'Volume-weighted average price (quote currency)',
    vwap_sd Float64 COMMENT 'Volume-weighted standard deviation of prices around it; bands are vwap plus and minus multiples (quote currency)',
    tpo_poc Float64 COMMENT 'Row that most half hours touched: its lower edge; NaN of rolling spans (quote currency)',
    tpo_vah Float64 COMMENT 'Value area high by half hours, two-row rule; NaN of rolling spans (quote currency)',
    tpo_val Float64 COMMENT 'Value area low by half hours, two-row rule; NaN of rolling spans (quote currency)',
    initial_high Float64 COMMENT 'Highest price of the first two half hours; NaN of rolling spans (quote currency)',
    initial_low Float64 COMMENT 'Lowest price of the first two half hours; NaN of rolling spans (quote currency)'
)
AS SELECT
    instrument, venue, span, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS opened,
    toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time, closed, whole, row_step, buy_lots / lots AS buy,
    sell_lots / lots AS sell, unknown_lots / lots AS unknown, (buy_lots - sell_lots) / lots AS delta,
    (buy_lots + sell_lots + unknown_lots) / lots AS total, high, low, poc, poc_lots / lots AS poc_total, developing_poc,
    vah, val, vah_single, val_single, vwap, vwap_sd, tpo_poc, tpo_vah, tpo_val, initial_high, initial_low
FROM (SELECT *, intExp10(size_decimals) AS lots FROM market.profiles FINAL)
COMMENT 'Volume profiles of sessions and rolling spans as they develop, one row per instrument, venue, span and minute with a trade. Always filter by instrument, span and time. Times UTC, prices in quote currency, volumes in base currency';

CREATE OR REPLACE VIEW market.profiles_now
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    span LowCardinality(String) COMMENT 'What the profile is over: day (of the asset class), tokyo, london, new_york, rolling_4h, rolling_24h (name)',
    opened DateTime('UTC') COMMENT 'Where the span begins (UTC)',
    time DateTime('UTC') COMMENT 'Trades up to, not with, this time are in it: the close of a minute (UTC)',
    age_s Float64 COMMENT 'Since the newest trade in it was received (s)',
    closed Bool COMMENT 'True: the span is over (true or false)',
    whole Bool COMMENT 'True: every trade of the span is known to be in it; false: some may be missing (true or false)',
    row_step Float64 COMMENT 'Height of a price row (quote currency)',
    buy Float64 COMMENT 'Volume of aggressive buying (base currency)',
    sell Float64 COMMENT 'Volume of aggressive selling (base currency)',
    unknown Float64 COMMENT 'Volume whose aggressor nobody knows (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    total Float64 COMMENT 'buy + sell + unknown (base currency)',
    high Float64 COMMENT 'Highest price (quote currency)',
    low Float64 COMMENT 'Lowest price (quote currency)',
    poc Float64 COMMENT 'Point of control: lower edge of the row with most volume (quote currency)',
    poc_total Float64 COMMENT 'Volume of that row (base currency)',
    developing_poc Float64 COMMENT 'Point of control which a tie does not move: lower edge of its row (quote currency)',
    vah Float64 COMMENT 'Value area high, two-row rule, 70 %: upper edge of its highest row (quote currency)',
    val Float64 COMMENT 'Value area low, two-row rule, 70 %: lower edge of its lowest row (quote currency)',
    vah_single Float64 COMMENT 'Value area high, single-row rule, 70 % (quote currency)',
    val_single Float64 COMMENT 'Value area low, single-row rule, 70 % (quote currency)',
    vwap Float64 COMMENT 'Volume-weighted average price (quote currency)',
    vwap_sd Float64 COMMENT 'Volume-weighted standard deviation of prices around it; bands are vwap plus and minus multiples (quote currency)',
    tpo_poc Float64 COMMENT 'Row that most half hours touched: its lower edge; NaN of rolling spans (quote currency)',
    tpo_vah Float64 COMMENT 'Value area high by half hours, two-row rule; NaN of rolling spans (quote currency)',
    tpo_val Float64 COMMENT 'Value area low by half hours, two-row rule; NaN of rolling spans (quote currency)',
    initial_high Float64 COMMENT 'Highest price of the first two half hours; NaN of rolling spans (quote currency)',
    initial_low Float64 COMMENT 'Lowest price of the first two half hours; NaN of rolling spans (quote currency)'
)
AS SELECT
    instrument, venue, span, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS opened,
    toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time,
    toUnixTimestamp64Nano(now64(9)) / 1e9 - received_ns / 1e9 AS age_s, closed, whole, row_step, buy_lots / lots AS buy,
    sell_lots / lots AS sell, unknown_lots / lots AS unknown, (buy_lots - sell_lots) / lots AS delta,
    (buy_lots + sell_lots + unknown_lots) / lots AS total, high, low, poc, poc_lots / lots AS poc_total, developing_poc,
    vah, val, vah_single, val_single, vwap, vwap_sd, tpo_poc, tpo_vah, tpo_val, initial_high, initial_low
FROM
(
    SELECT *, intExp10(size_decimals) AS lots FROM market.profiles FINAL
    WHERE time_ns > toUnixTimestamp64Nano(now64(9)) - 7 * 86400 * 1000000000
    ORDER BY time_ns DESC
    LIMIT 1 BY instrument, venue, span
)
COMMENT 'Volume profiles as they are: the newest row within the last 7 days of each instrument, venue and span. Times UTC, prices in quote currency, volumes in base currency';

CREATE OR REPLACE VIEW market.profile_nodes
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    span LowCardinality(String) COMMENT 'What the profile is over, as in profile_history (name)',
    opened DateTime('UTC') COMMENT 'Where the span begins (UTC)',
    time DateTime('UTC') COMMENT 'Trades up to, not with, this time are in it: the close of a minute (UTC)',
    closed Bool COMMENT 'True: the span is over (true or false)',
    node String COMMENT 'hvn (high volume node) or lvn (low volume node) (name)',
    price Float64 COMMENT 'Lower edge of its row (quote currency)'
)
AS SELECT
    instrument, venue, span, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS opened,
    toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS time, closed, found.1 AS node, found.2 AS price
FROM market.profiles FINAL
ARRAY JOIN arrayConcat(arrayMap(x -> ('hvn', x), hvn), arrayMap(x -> ('lvn', x), lvn)) AS found
COMMENT 'Rows of profiles where volume clusters or is thin, one row per node and minute. Always filter by instrument, span and time. Times UTC, prices in quote currency';

-- High and low of each later session, closed or not, are those of its newest row.
CREATE OR REPLACE VIEW market.naked_pocs
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    opened DateTime('UTC') COMMENT 'When the session (day of the asset class) began (UTC)',
    closed_at DateTime('UTC') COMMENT 'Close of the last minute with a trade in it (UTC)',
    poc Float64 COMMENT 'Point of control: lower edge of the row with most volume (quote currency)',
    row_step Float64 COMMENT 'Height of the row (quote currency)',
    total Float64 COMMENT 'Volume of the session (base currency)',
    whole Bool COMMENT 'True: every trade of the session is known to be in it (true or false)',
    days UInt64 COMMENT 'Later sessions with a trade that have left it alone (count)',
    known_to DateTime('UTC') COMMENT 'Close of the newest minute that was looked at (UTC)'
)
AS SELECT
    instrument, venue, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS opened,
    toDateTime(intDiv(time_ns, 1000000000), 'UTC') AS closed_at, poc, row_step, total_lots / lots AS total, whole,
    later AS days, toDateTime(intDiv(newest_ns, 1000000000), 'UTC') AS known_to
FROM
(
    SELECT
        *, count() OVER later AS later, min(low) OVER later AS later_low, max(high) OVER later AS later_high,
        max(time_ns) OVER (PARTITION BY instrument, venue) AS newest_ns
    FROM
    (
        SELECT
            instrument, venue, open_ns, max(p.time_ns) AS time_ns, argMax(p.closed, p.time_ns) AS closed,
            argMax(p.whole, p.time_ns) AS whole, argMax(p.poc, p.time_ns) AS poc, argMax(p.row_step, p.time_ns) AS row_step,
            argMax(p.low, p.time_ns) AS low, argMax(p.high, p.time_ns) AS high,
            argMax(p.buy_lots + p.sell_lots + p.unknown_lots, p.time_ns) AS total_lots,
            argMax(intExp10(p.size_decimals), p.time_ns) AS lots
        FROM market.profiles AS p FINAL
        WHERE span = 'day'
        GROUP BY instrument, venue, open_ns
    )
    WINDOW later AS (
        PARTITION BY instrument, venue ORDER BY open_ns ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    )
)
WHERE closed AND (later = 0 OR later_low >= poc + row_step OR later_high < poc)
COMMENT 'Points of control of closed sessions through which no later session has traded, one row each. Filter by instrument. Times UTC, prices in quote currency, volumes in base currency';
