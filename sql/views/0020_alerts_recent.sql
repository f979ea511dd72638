CREATE OR REPLACE VIEW market.alerts_recent
(
    received DateTime64(9, 'UTC') COMMENT 'When it was received first (UTC)',
    time DateTime64(9, 'UTC') COMMENT 'When it fired, by the alert; when it was received, where it does not tell (UTC)',
    exchange LowCardinality(String) COMMENT 'Exchange as TradingView calls it, e.g. BINANCE; empty: not told (name)',
    ticker LowCardinality(String) COMMENT 'Ticker as TradingView calls it, e.g. BTCUSDT.P; empty: not told (name)',
    `interval` LowCardinality(String) COMMENT 'Interval of the chart, e.g. 5 (minutes) or 1D; empty: not told (text)',
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP; empty: cannot be told (name)',
    signal String COMMENT 'What it says: its signal or message, the whole text of one without names (text)',
    price Float64 COMMENT 'Its close or price; NaN: not told (quote currency)',
    body String COMMENT 'The alert as received, without the secret (text)',
    alert_id String COMMENT 'Hash of the body (id)'
)
AS SELECT
    fromUnixTimestamp64Nano(received_ns, 'UTC') AS received, fromUnixTimestamp64Nano(time_ns, 'UTC') AS time, exchange,
    ticker, `interval`, instrument, signal, price, body, alert_id
FROM market.alerts_in FINAL
ORDER BY received_ns DESC
LIMIT 1000
COMMENT 'The newest 1,000 alerts that were pushed to us, newest first. Times UTC, prices in quote currency';
