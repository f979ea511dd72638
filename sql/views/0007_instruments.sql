CREATE OR REPLACE VIEW market.instrument_names
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, the same on every venue, e.g. BTC-USDT-PERP (name)',
    venue LowCardinality(String) COMMENT 'Market it trades on, e.g. binance_futures (name)',
    symbol String COMMENT 'The venue''s own symbol, e.g. BTCUSDT (name)',
    tick Float64 COMMENT 'Smallest price step (quote currency)',
    lot Float64 COMMENT 'Smallest size step (base currency)',
    contract_size Float64 COMMENT 'Base currency in one contract, 1 where sizes are in base currency (base currency)',
    bin_step Float64 COMMENT 'Width of a depth bin, the same on every venue for what is known to trade on several; NaN: no book yet (quote currency)',
    inferred Bool COMMENT 'True: tick and lot were inferred from the digits of a snapshot, not told by the venue (true or false)'
)
AS SELECT instrument, venue, symbol, tick, lot, contract_size, bin_step, inferred FROM market.instruments FINAL
COMMENT 'One name for each instrument and what every venue calls it: one row per venue and symbol. Prices in quote currency, sizes in base currency';
