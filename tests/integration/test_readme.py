"""README says what is true: its commands run, in the order they stand there."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from connectors.alert import TRADINGVIEW
from connectors.feed import feeds
from connectors.venue import markets
from connectors.webhook_commands import SECRET
from flows.kernels import warm
from flows.up import free_port, listens
from isotherm import main
from sql.data_dir import password, running

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines() if line
]
# Need the venues: their options are checked.
LIVE = [line for line in COMMANDS if line.startswith(("isotherm up ", "isotherm doctor "))]
BY_SERVERS = [line for line in COMMANDS if "broker:9092" in line or "clickhouse:8443" in line]
# Runs until it is stopped.
PAST = [
    line for line in COMMANDS
    if line.startswith(("isotherm backfill ", "isotherm import-bars ")) or "market.ohlcv" in line
]  # fmt: skip
(RECEIVER,) = [line for line in COMMANDS if line.startswith("isotherm webhook ")]
(ALERT,) = re.findall(r"```json\n(.*?)```", README, re.S)
PLACEHOLDERS = {
    "{{exchange}}": "BINANCE", "{{ticker}}": "BTCUSDT", "{{interval}}": "5", "{{time}}": "2026-11-22T14:00:00Z",
    "{{timenow}}": "2026-11-22T14:05:01Z", "{{close}}": "81230.1",
}  # fmt: skip
THE_SECRET = "5ecret-of-a-test-0123456789"
# Hours of Athens, two hours ahead of UTC in winter.
BARS = """Date,Open,High,Low,Close,Volume
2026-01-05 10:00,1.0800,1.0900,1.0700,1.0850,100
2026-01-05 11:00,1.0850,1.0900,1.0800,1.0860,90
"""
SOURCES = (
    "Polygon", "Finnhub", "CoinGecko", "Alpha Vantage", "Twelve Data", "Quandl", "FinViz", "CoinMarketCap",
    "GeckoTerminal", "Bybit", "Binance", "Kraken", "Gemini", "TradingView", "ATAS", "Bookmap",
)  # fmt: skip


def run(line: str, folder: Path, replaced: dict[str, str], extra: list[str] | None = None) -> str:
    for name, value in replaced.items():
        line = line.replace(name, value)
    words = shlex.split(line)
    assert words[0] == "isotherm"
    if words[1] == "flow":
        words.append("--until-end")
    done = subprocess.run(
        [sys.executable, "-m", "isotherm", *words[1:]],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(x.split("=", 1) for x in extra or []),
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert done.stdout or words[1] in ("record", "flow", "migrate"), line
    return done.stdout


@contextmanager
def simulated():
    """A simulated market and the environment that sends commands there, as `run` takes it."""
    command = [sys.executable, "-m", "isotherm", "simulate", "--past", "5s"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        try:
            found = []
            while not found or not found[-1].startswith("ISOTHERM_TWELVE_DATA_REST_URL="):  # the last
                line = process.stdout.readline()
                assert line, "expected addresses of the simulator, found its end"
                found += [line.removeprefix("export ").strip()] if line.startswith("export ") else []
            yield found
        finally:
            process.send_signal(signal.SIGINT)


@pytest.fixture
def folder(recordings, tmp_path):
    """Where the files that README speaks of lie."""
    shutil.copy(recordings / "binance/usdm_btcusdt_20240808.gz", tmp_path / "btcusdt_20240808.gz")
    (tmp_path / "eurusd.csv").write_text(BARS)
    return tmp_path


@pytest.mark.slow
def test_the_commands_for_one_machine_run(folder):
    elsewhere = [*BY_SERVERS, *LIVE, *PAST, RECEIVER]
    ran = [line for line in COMMANDS if line.startswith("isotherm ") and line not in elsewhere]
    assert len(ran) > 5
    warm.warm()  # compiled kernels, as `make setup` leaves them
    for line in ran:
        run(line, folder, {})


@pytest.mark.slow
def test_past_bars_are_fetched_and_imported(folder):
    told = {}
    with simulated() as addresses:
        for line in PAST:
            told[line] = run(line, folder, {}, addresses)
    backfills = [json.loads(said) for line, said in told.items() if line.startswith("isotherm backfill ")]
    assert len(backfills) > 1
    assert all(one["bars"] > 300 and not one["errors"] and not one["missing"] for one in backfills)
    (imported,) = [
        json.loads(said) for line, said in told.items() if line.startswith("isotherm import-bars ")
    ]
    assert (imported["rows"], imported["from"], imported["errors"]) == (2, "2026-01-05T08:00:00Z", {})
    (asked,) = [said for line, said in told.items() if line.startswith("isotherm sql ")]
    for name in ("BTC-USDT", "BTC-USD ", "EUR-USD", "rest", "import", "metatrader"):
        assert name in asked


def posted(port: int, body: str) -> int:
    """The status of the answer to an alert that TradingView sends through the proxy."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/tradingview", body.encode(), {"X-Forwarded-For": TRADINGVIEW[0]}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def receiver(folder: Path):
    """README's receiver; its port."""
    port = free_port()
    words = [sys.executable, "-m", *shlex.split(RECEIVER), "--port", str(port)]
    with subprocess.Popen(
        words, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), SECRET: THE_SECRET}
    ) as process:
        try:
            end_s = time.monotonic() + 60
            while not listens("127.0.0.1", port):
                assert process.poll() is None and time.monotonic() < end_s, "it does not listen"
                time.sleep(0.1)
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0


@pytest.mark.slow
def test_an_alert_as_it_stands_there_becomes_a_row(folder):
    body = ALERT
    for placeholder, value in PLACEHOLDERS.items():
        body = body.replace(placeholder, value)
    assert "{{" not in body
    with receiver(folder) as port:
        assert posted(port, body) == 403
        mine = body.replace("YOUR SECRET", THE_SECRET)
        assert [posted(port, mine), posted(port, mine)] == [200, 200]
    run("isotherm flow feeds --data-dir data", folder, {})
    columns = "ticker, exchange, instrument, price, signal, interval, time, body"
    said = run(
        f"isotherm sql --data-dir data --format json 'SELECT {columns} FROM market.alerts_recent'", folder, {}
    )
    assert THE_SECRET not in said
    (row,) = json.loads(said)["data"]
    assert row["instrument"] == "BTC-USDT" and row["price"] == 81230.1 and row["signal"] == "my rule"
    assert row["time"].startswith("2026-11-22 14:05:01")


@pytest.mark.slow
@pytest.mark.kafka
def test_the_commands_for_servers_run_on_kafka(folder, empty_kafka_broker):
    with running(folder / "server") as url:
        replaced = {"broker:9092": empty_kafka_broker.servers, "https://clickhouse:8443": url}
        secrets = [
            "ISOTHERM_CLICKHOUSE_USER=admin",
            f"ISOTHERM_CLICKHOUSE_PASSWORD={password(folder / 'server', 'admin')}",
        ]
        for line in BY_SERVERS:
            run(line, folder, replaced, secrets)


@pytest.mark.parametrize("line", LIVE)
def test_the_live_command_has_its_options(line):
    words = shlex.split(line)[1:]
    command = main.get_command(click.Context(main), words[0])
    assert command.make_context(words[0], words[1:]).params["data_dir"]


def test_the_table_of_sources_names_them_all():
    table = README.partition("## Sources")[2].partition("### ")[0]
    names = re.findall(r"^\| ([^|]+) \|", table, re.M)
    assert all(any(name in found for found in names) for name in SOURCES)
    known = {name.removesuffix("_rest") for name in (*markets(), *feeds())}
    assert known == set(re.findall(r"`([a-z_0-9]+)`", "".join(re.findall(r"^\|.*", table, re.M)))) | {
        "gemini_v2"
    }
    assert "`gemini_v2`" in README
    keys = {feed.key_env for feed in feeds().values() if feed.key_env}
    assert keys == set(re.findall(r"`(ISOTHERM_\w+_KEY)`", table))


def test_the_plans_named_are_those_there_are():
    table = README.partition("## Sources")[2].partition("### ")[0]
    for feed in feeds().values():
        if len(feed.plans) > 1 and feed.name != "coingecko_onchain":
            market = feed.venue or feed.name
            (row,) = [line for line in table.splitlines() if line.startswith("|") and f"`{market}`" in line]
            said = re.sub(r" \(\w+\)", "", re.findall(r"plans ([^|]+) \|", row)[0]).split(", ")
            assert set(said) == {plan.name for plan in feed.plans}


def test_the_make_targets_exist():
    targets = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("make ")]
    assert targets
    for words in targets:
        subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, check=True)


def test_every_command_is_run_by_a_test():
    rest = [x for x in COMMANDS if not x.startswith(("isotherm ", "make ", "export ISOTHERM_"))]
    assert rest == []


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:connectors|flows|sql|tests)/[\w./]*)`", README)))
)
def test_the_paths_exist(path):
    assert (ROOT / path).exists()
