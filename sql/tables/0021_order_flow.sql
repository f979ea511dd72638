CREATE TABLE IF NOT EXISTS market.order_flow
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    interval_s UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Length of the bar (s)',
    open_ns Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Open time (ns since 1970 UTC)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it; false: some may be missing (true or false)',
    open Float64 CODEC(Delta, ZSTD(1)) COMMENT 'First price (quote currency)',
    high Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Highest price (quote currency)',
    low Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Lowest price (quote currency)',
    close Float64 CODEC(Delta, ZSTD(1)) COMMENT 'Last price (quote currency)',
    quote_volume Float64 CODEC(ZSTD(1)) COMMENT 'Sum of price * size (quote currency)',
    trades UInt32 CODEC(T64, ZSTD(1)) COMMENT 'Trades (count)',
    size_decimals UInt8 CODEC(T64, ZSTD(1)) COMMENT 'A size in lots divided by 10 to this power is in base currency (count)',
    buy_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of trades whose aggressor bought (lots)',
    sell_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of trades whose aggressor sold (lots)',
    unknown_lots Int64 CODEC(ZSTD(1)) COMMENT 'Volume of trades whose aggressor nobody knows (lots)',
    inferred_lots Int64 CODEC(ZSTD(1)) COMMENT 'What of buy_lots and sell_lots has a side that the venue did not tell, but a rule gave (lots)',
    delta_min_lots Int64 CODEC(ZSTD(1)) COMMENT 'Lowest running delta within the bar, which begins at 0 (lots)',
    delta_max_lots Int64 CODEC(ZSTD(1)) COMMENT 'Highest running delta within the bar, which begins at 0 (lots)',
    size_edges Array(Float64) CODEC(ZSTD(1)) COMMENT 'Borders between the classes of trades by price * size, ascending; a trade on a border is in the upper class (quote currency)',
    class_buy_lots Array(Int64) CODEC(ZSTD(1)) COMMENT 'buy_lots by class of trade size, one more than there are borders (lots)',
    class_sell_lots Array(Int64) CODEC(ZSTD(1)) COMMENT 'sell_lots by class of trade size (lots)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the newest trade in the bar (ns since 1970 UTC)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Receive time of the line that closed or corrected the row; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fromUnixTimestamp64Nano(open_ns, 'UTC'))
ORDER BY (instrument, venue, interval_s, open_ns)
COMMENT 'Order flow of closed bars, from trades: one row per instrument, venue, interval (1 s to 1 d) and open time with a trade. Volumes are exact integers. Open times in ns since 1970 UTC, prices in quote currency';
