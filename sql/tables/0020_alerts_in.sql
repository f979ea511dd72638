CREATE TABLE IF NOT EXISTS market.alerts_in
(
    alert_id String CODEC(ZSTD(1)) COMMENT 'First 16 bytes of the SHA-256 of the body, in hexadecimal digits; one body at two times is two alerts (id)',
    received_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was received first (ns since 1970 UTC)',
    time_ns Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it fired, by the alert (its timenow, else its time); when it was received, where it does not tell (ns since 1970 UTC)',
    exchange LowCardinality(String) COMMENT 'Exchange as TradingView calls it, e.g. BINANCE; empty: not told (name)',
    ticker LowCardinality(String) COMMENT 'Ticker as TradingView calls it, e.g. BTCUSDT.P; empty: not told (name)',
    `interval` LowCardinality(String) COMMENT 'Interval of the chart, e.g. 5 (minutes) or 1D; empty: not told (text)',
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP; empty: cannot be told (name)',
    signal String CODEC(ZSTD(1)) COMMENT 'What it says: its signal or message, the whole text of one without names (text)',
    price Float64 CODEC(ZSTD(1)) COMMENT 'Its close or price; NaN: not told (quote currency)',
    body String CODEC(ZSTD(1)) COMMENT 'The alert as received, without the secret (text)',
    version UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'received_ns; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(fromUnixTimestamp64Nano(received_ns, 'UTC'))
ORDER BY (received_ns, alert_id)
COMMENT 'Alerts that were pushed to us: one row per alert. Times in ns since 1970 UTC, prices in quote currency';
