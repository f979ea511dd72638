CREATE TABLE IF NOT EXISTS market.instruments
(
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    symbol String COMMENT 'The venue''s own symbol, e.g. BTCUSDT (name)',
    instrument LowCardinality(String) COMMENT 'Canonical instrument, the same on every venue, e.g. BTC-USDT-PERP (name)',
    tick Float64 COMMENT 'Smallest price step (quote currency)',
    lot Float64 COMMENT 'Smallest size step (base currency or contracts)',
    bin_step Float64 COMMENT 'Width of a depth bin (quote currency)',
    contract_size Float64 COMMENT 'Base currency in one contract, 1 where sizes are in base currency (base currency)',
    inferred Bool COMMENT 'True: tick and lot were inferred from the digits of a snapshot, not told by the venue (true or false)',
    version UInt64 COMMENT 'Receive time of the line that told; the highest wins (ns since 1970 UTC)'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (venue, symbol)
COMMENT 'What trades where: one row per venue and symbol. Prices in quote currency, sizes in base currency';
