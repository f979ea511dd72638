-- The look-backs are those of connectors/lookbacks.py, and a test holds them equal.
CREATE OR REPLACE VIEW market.window_coverage
(
    instrument LowCardinality(String) COMMENT 'Canonical instrument, e.g. BTC-USDT-PERP (name)',
    lookback String COMMENT 'Look-back: 1h, 4h, 1d, 1w, 1mo (30 days), 3mo (90 days), 1y (365 days), 5y (name)',
    interval_s UInt32 COMMENT 'Length of its bars (s)',
    span_s UInt32 COMMENT 'Its length (s)',
    expected UInt64 COMMENT 'Bars that fill it (count)',
    bars UInt64 COMMENT 'Bars there with a close, each open time counted once over all sources and venues (count)',
    first_open Nullable(DateTime64(9, 'UTC')) COMMENT 'Open time of the first of them; NULL: none (UTC)',
    last_open Nullable(DateTime64(9, 'UTC')) COMMENT 'Open time of the last of them; NULL: none (UTC)',
    share Float64 COMMENT 'bars / expected (ratio, 0 to 1)'
)
AS WITH
    toUnixTimestamp64Nano(now64(9)) AS now_ns,
    [
        ('1h', 60, 3600), ('4h', 60, 14400), ('1d', 60, 86400), ('1w', 300, 604800), ('1mo', 3600, 2592000),
        ('3mo', 14400, 7776000), ('1y', 86400, 31536000), ('5y', 86400, 157680000)
    ] AS lookbacks,
    known AS
    (
        SELECT instrument, arrayJoin(lookbacks) AS back
        FROM (SELECT DISTINCT instrument FROM market.bars)
    ),
    found AS
    (
        SELECT instrument, back, uniqExact(open_ns) AS there, min(open_ns) AS first_ns, max(open_ns) AS last_ns
        FROM
        (
            SELECT
                instrument, open_ns,
                arrayJoin(arrayFilter(
                    x -> x.2 = interval_s
                        AND open_ns < intDiv(now_ns, interval_s * 1000000000) * interval_s * 1000000000
                        AND open_ns >= intDiv(now_ns, interval_s * 1000000000) * interval_s * 1000000000 - x.3 * 1000000000,
                    lookbacks
                )) AS back
            FROM market.bars
            WHERE isFinite(close) AND
            (
                (interval_s = 60 AND open_ns >= now_ns - (86400 + 60) * 1000000000)
                OR (interval_s = 300 AND open_ns >= now_ns - (604800 + 300) * 1000000000)
                OR (interval_s = 3600 AND open_ns >= now_ns - (2592000 + 3600) * 1000000000)
                OR (interval_s = 14400 AND open_ns >= now_ns - (7776000 + 14400) * 1000000000)
                OR (interval_s = 86400 AND open_ns >= now_ns - (157680000 + 86400) * 1000000000)
            )
        )
        GROUP BY instrument, back
    )
SELECT
    known.instrument AS instrument, known.back.1 AS lookback, known.back.2 AS interval_s, known.back.3 AS span_s,
    intDiv(known.back.3, known.back.2) AS expected, found.there AS bars,
    if(found.there = 0, NULL, fromUnixTimestamp64Nano(found.first_ns, 'UTC')) AS first_open,
    if(found.there = 0, NULL, fromUnixTimestamp64Nano(found.last_ns, 'UTC')) AS last_open,
    bars / expected AS share
FROM known LEFT JOIN found ON known.instrument = found.instrument AND known.back = found.back
COMMENT 'How full the windows of correlation are: one row per instrument and look-back, up to now, of closed bars. Times UTC, spans in s';
