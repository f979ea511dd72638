"""The same recordings through the file log and through a real Kafka leave the same tables."""

import pytest

from tests.integration.pipeline import replay, tables

SHORT = {
    "binance_futures": (None, ["cryptofeed_usdm_4sym_20210722.jsonl.zst"]),
}
LONG = {
    "binance_futures": ("BTCUSDT", ["usdm_btcusdt_20240808.gz"]),
    "binance_spot": ("ETHUSDT", ["spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"]),
}


@pytest.mark.kafka
@pytest.mark.parametrize(
    "chosen",
    [pytest.param(SHORT, id="kafka-short"), pytest.param(LONG, id="kafka-long", marks=pytest.mark.slow)],
)
def test_kafka_and_files_leave_the_same_tables(recordings, empty_kafka_broker, tmp_path, chosen):
    for venue, (symbol, names) in chosen.items():
        paths = [recordings / "binance" / name for name in names]
        found, expected = (
            replay(tmp_path / name, venue, symbol, *paths, options=("--partitions", "2", *log))
            for name, log in (("kafka", ("--log", f"kafka:{empty_kafka_broker.servers}")), ("files", ()))
        )
        assert found | {"elapsed_s": 0} == expected | {"elapsed_s": 0}
    assert tables(tmp_path / "kafka") == tables(tmp_path / "files")
