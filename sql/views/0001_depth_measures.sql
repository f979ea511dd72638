-- for each interval of 1s 10s 1m
CREATE OR REPLACE VIEW market.depth_measures_{interval}
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market the book is of, e.g. binance_futures (name)',
    time DateTime('UTC') COMMENT 'Open time of the interval (UTC, whole seconds)',
    live_s UInt16 COMMENT 'Seconds of the interval that ended with a live book (s)',
    bin_step Float64 COMMENT 'Width of a bin (quote currency)',
    covered_low Float64 COMMENT 'Lowest price from which on all bids are known (quote currency)',
    covered_high Float64 COMMENT 'Highest price up to which all asks are known; inf: all (quote currency)',
    best_bid Float64 COMMENT 'Highest bid at the end of the last live second (quote currency)',
    best_ask Float64 COMMENT 'Lowest ask at the end of the last live second (quote currency)',
    best_bid_size Float64 COMMENT 'Size at the highest bid at the end of the last live second (base currency)',
    best_ask_size Float64 COMMENT 'Size at the lowest ask at the end of the last live second (base currency)',
    spread Float64 COMMENT 'best_ask - best_bid (quote currency)',
    mid Float64 COMMENT 'Mean of best_bid and best_ask (quote currency)',
    weighted_mid Float64 COMMENT 'Mean of best bid and ask, each weighted by the size of the other side (quote currency)',
    bid_10bps Float64 COMMENT 'Bid size within 10 bps below the mid; NaN: not known (base currency)',
    bid_25bps Float64 COMMENT 'Bid size within 25 bps below the mid; NaN: not known (base currency)',
    bid_50bps Float64 COMMENT 'Bid size within 50 bps below the mid; NaN: not known (base currency)',
    bid_100bps Float64 COMMENT 'Bid size within 100 bps below the mid; NaN: not known (base currency)',
    ask_10bps Float64 COMMENT 'Ask size within 10 bps above the mid; NaN: not known (base currency)',
    ask_25bps Float64 COMMENT 'Ask size within 25 bps above the mid; NaN: not known (base currency)',
    ask_50bps Float64 COMMENT 'Ask size within 50 bps above the mid; NaN: not known (base currency)',
    ask_100bps Float64 COMMENT 'Ask size within 100 bps above the mid; NaN: not known (base currency)',
    imbalance_10bps Float64 COMMENT '(bid - ask) / (bid + ask) within 10 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_25bps Float64 COMMENT '(bid - ask) / (bid + ask) within 25 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_50bps Float64 COMMENT '(bid - ask) / (bid + ask) within 50 bps of the mid; NaN: not known (ratio, -1 to 1)',
    imbalance_100bps Float64 COMMENT '(bid - ask) / (bid + ask) within 100 bps of the mid; NaN: not known (ratio, -1 to 1)',
    ofi Float64 COMMENT 'Order flow imbalance at the best prices (Cont, Kukanov, Stoikov 2014), summed over the interval (base currency)',
    updates UInt32 COMMENT 'Book messages applied in the interval (count)',
    received_ns Int64 COMMENT 'Receive time of the newest book message in the row (ns since 1970 UTC)'
)
AS SELECT
    instrument, venue, time, live_s, bin_step, covered_low, covered_high,
    best_bid, best_ask, best_bid_size, best_ask_size, spread, mid, weighted_mid,
    bid_10bps, bid_25bps, bid_50bps, bid_100bps, ask_10bps, ask_25bps, ask_50bps, ask_100bps,
    imbalance_10bps, imbalance_25bps, imbalance_50bps, imbalance_100bps, ofi, updates, received_ns
FROM market.depth_{interval} FINAL
COMMENT 'Order book measures per {interval}, one row per instrument, venue and interval, without the columns of bins. Times UTC, prices in quote currency, sizes in base currency';
