CREATE TABLE IF NOT EXISTS market.profiles
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    span LowCardinality(String) COMMENT 'What the profile is over: day (of the asset class), tokyo, london, new_york, rolling_4h, rolling_24h (name)',
    open_ns Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Where the span begins (ns since 1970 UTC)',
    time_ns Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Trades up to, not with, this time are in it: the close of a minute (ns since 1970 UTC)',
    closed Bool COMMENT 'True: the span is over, and this row is its last (true or false)',
    whole Bool COMMENT 'True: every trade of the span is known to be in it; false: some may be missing (true or false)',
    row_step Float64 CODEC(ZSTD(1)) COMMENT 'Height of a price row (quote currency)',
    size_decimals UInt8 CODEC(T64, ZSTD(1)) COMMENT 'A size in lots divided by 10 to this power is in base currency (count)',
    buy_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of aggressive buying (lots)',
    sell_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of aggressive selling (lots)',
    unknown_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume whose aggressor nobody knows (lots)',
    high Float64 CODEC(ZSTD(1)) COMMENT 'Highest price (quote currency)',
    low Float64 CODEC(ZSTD(1)) COMMENT 'Lowest price (quote currency)',
    poc Float64 CODEC(ZSTD(1)) COMMENT 'Point of control: lower edge of the row with most volume (quote currency)',
    poc_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of that row (lots)',
    developing_poc Float64 CODEC(ZSTD(1)) COMMENT 'Point of control which a tie does not move: lower edge of its row (quote currency)',
    vah Float64 CODEC(ZSTD(1)) COMMENT 'Value area high, two-row rule, 70 %: upper edge of its highest row (quote currency)',
    val Float64 CODEC(ZSTD(1)) COMMENT 'Value area low, two-row rule, 70 %: lower edge of its lowest row (quote currency)',
    vah_single Float64 CODEC(ZSTD(1)) COMMENT 'Value area high, single-row rule, 70 % (quote currency)',
    val_single Float64 CODEC(ZSTD(1)) COMMENT 'Value area low, single-row rule, 70 % (quote currency)',
    vwap Float64 CODEC(ZSTD(1)) COMMENT 'Volume-weighted average price (quote currency)',
    vwap_sd Float64 CODEC(ZSTD(1)) COMMENT 'Volume-weighted standard deviation of prices around it (quote currency)',
    hvn Array(Float64) CODEC(ZSTD(1)) COMMENT 'High volume nodes, ascending: lower edges of their rows, smoothed 1-4-6-4-1 (quote currency)',
    lvn Array(Float64) CODEC(ZSTD(1)) COMMENT 'Low volume nodes, ascending: lower edges of their rows, smoothed 1-4-6-4-1 (quote currency)',
    tpo_poc Float64 CODEC(ZSTD(1)) COMMENT 'Row that most half hours touched: its lower edge; NaN of rolling spans (quote currency)',
    tpo_vah Float64 CODEC(ZSTD(1)) COMMENT 'Value area high by half hours, two-row rule; NaN of rolling spans (quote currency)',
    tpo_val Float64 CODEC(ZSTD(1)) COMMENT 'Value area low by half hours, two-row rule; NaN of rolling spans (quote currency)',
    initial_high Float64 CODEC(ZSTD(1)) COMMENT 'Highest price of the first two half hours; NaN of rolling spans (quote currency)',
    initial_low Float64 CODEC(ZSTD(1)) COMMENT 'Lowest price of the first two half hours; NaN of rolling spans (quote currency)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest trade in it (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed or corrected the row; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(time_ns, 'UTC'))
ORDER BY (instrument, venue, span, time_ns)
COMMENT 'Volume profiles of sessions and rolling spans as they develop: one row per instrument, venue, span and minute with a trade. Times in ns since 1970 UTC, prices in quote currency';
