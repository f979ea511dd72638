CREATE OR REPLACE VIEW market.order_flow_bars
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it traded on, e.g. binance_futures (name)',
    interval_s UInt32 COMMENT 'Length of the bar: 1, 60, 300, 900, 3600, 14400 or 86400 (s)',
    time DateTime('UTC') COMMENT 'Open time (UTC, whole seconds)',
    whole Bool COMMENT 'True: every trade of the bar is known to be in it; false: some may be missing (true or false)',
    open Float64 COMMENT 'First price (quote currency)',
    high Float64 COMMENT 'Highest price (quote currency)',
    low Float64 COMMENT 'Lowest price (quote currency)',
    close Float64 COMMENT 'Last price (quote currency)',
    volume Float64 COMMENT 'buy + sell + unknown (base currency)',
    quote_volume Float64 COMMENT 'Sum of price * size (quote currency)',
    vwap Float64 COMMENT 'Volume-weighted average price of the bar (quote currency)',
    trades UInt32 COMMENT 'Trades (count)',
    buy Float64 COMMENT 'Volume of trades whose aggressor bought (base currency)',
    sell Float64 COMMENT 'Volume of trades whose aggressor sold (base currency)',
    unknown Float64 COMMENT 'Volume of trades whose aggressor nobody knows (base currency)',
    inferred Float64 COMMENT 'What of buy and sell has a side that the venue did not tell, but a rule gave (base currency)',
    delta Float64 COMMENT 'buy - sell (base currency)',
    delta_share Float64 COMMENT 'delta / volume (ratio, -1 to 1)',
    delta_min Float64 COMMENT 'Lowest running delta within the bar, which begins at 0 (base currency)',
    delta_max Float64 COMMENT 'Highest running delta within the bar, which begins at 0 (base currency)'
)
AS SELECT
    instrument, venue, interval_s, toDateTime(intDiv(open_ns, 1000000000), 'UTC') AS time, whole, open, high, low, close,
    (buy_lots + sell_lots + unknown_lots) / lots AS volume, quote_volume, quote_volume / volume AS vwap, trades,
    buy_lots / lots AS buy, sell_lots / lots AS sell, unknown_lots / lots AS unknown, inferred_lots / lots AS inferred,
    (buy_lots - sell_lots) / lots AS delta,
    (buy_lots - sell_lots) / (buy_lots + sell_lots + unknown_lots) AS delta_share,
    delta_min_lots / lots AS delta_min, delta_max_lots / lots AS delta_max
FROM (SELECT *, intExp10(size_decimals) AS lots FROM market.order_flow FINAL)
COMMENT 'Order flow of closed bars, one row per instrument, venue, interval and open time with a trade. Always filter by instrument, interval_s and time. Times UTC, prices in quote currency, volumes in base currency';
