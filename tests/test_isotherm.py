"""The command line as a whole: where options have their values from, and what never comes out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import isotherm
from connectors.venue import markets
from tests.conftest import ROOT

PLANTED = "pl4nted+k3y/="
FILE = """
data_dir = "from_file"

[log]
partitions = 8
keep = "2d"

[connect]
retry_cap = "7s"

[board]
port = 5011

[metrics]
connect = 9101

[venues.binance_spot]
symbols = ["BTCUSDT", "ETHUSDT"]
rest = "http://127.0.0.1:1"

[venues.binance_futures]
enabled = false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a configuration file that is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISOTHERM_CONFIG")
    (tmp_path / "isotherm.toml").write_text(FILE)
    return tmp_path


def params(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str, **environ: str) -> dict[str, Any]:
    """What the command would run with."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(
        isotherm.main.get_command(click.Context(isotherm.main), name),
        "callback",
        lambda **given: found.update(given),
    )
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    result = invoke(*arguments) if name in arguments else invoke(name, *arguments)
    assert result.exit_code == 0, result.output
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(isotherm.main, arguments)


def test_the_file_gives_the_options_their_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = params("connect", monkeypatch)
    assert found["venues"] == ("binance_spot",)
    assert (found["data_dir"], found["partitions"], found["keep_s"]) == (Path("from_file"), 8, 172_800.0)
    assert (found["retry_cap_s"], found["metrics_port"], found["log_url"]) == (7.0, 9101, None)
    assert params("up", monkeypatch)["board_port"] == 5011
    assert params("board", monkeypatch)["port"] == 5011
    assert params("flow", monkeypatch, "depth")["data_dir"] == Path("from_file")
    assert params("doctor", monkeypatch)["venues"] == ("binance_spot",)
    assert params("store", monkeypatch)["port"] == 8123


def test_a_demo_never_takes_the_data_of_the_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Missing option '--data-dir'" in invoke("demo").output
    found = params("demo", monkeypatch, "--data-dir", "x")
    assert (found["board_port"], found["data_dir"], found["symbols"]) == (5011, Path("x"), None)


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert params("connect", monkeypatch, ISOTHERM_LOG_PARTITIONS="9")["partitions"] == 9
    assert params("connect", monkeypatch, ISOTHERM_CONNECT_PARTITIONS="10")["partitions"] == 10
    assert params("connect", monkeypatch, "--partitions", "11", "binance_futures")["partitions"] == 11
    assert params("connect", monkeypatch, "binance_futures")["venues"] == ("binance_futures",)


def test_the_file_is_that_of_the_option_then_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("option", "variable")):
        (folder / f"{name}.toml").write_text(f"[board]\nport = {6000 + number}\n")
    asked = ("up", "--data-dir", "x")
    assert params("up", monkeypatch, *asked, ISOTHERM_CONFIG="variable.toml")["board_port"] == 6001
    assert params("up", monkeypatch, "--config", "option.toml", *asked)["board_port"] == 6000
    assert params("up", monkeypatch, *asked, ISOTHERM_CONFIG="")["board_port"] == 5006


def test_a_file_that_is_wrong_stops_all_but_doctor(folder: Path) -> None:
    (folder / "isotherm.toml").write_text("[log]\npartitions = 'four'\n")
    result = invoke("connect", "binance_spot")
    assert (result.exit_code, result.output) == (
        2, "Error: isotherm.toml: log.partitions: expected int, found 'four'\n"
    )  # fmt: skip
    report = invoke("doctor", "--json")
    (found,) = [one for one in json.loads(report.output)["checks"] if one["check"] == "configuration"]
    assert report.exit_code == 1
    assert found["level"] == "problem" and "log.partitions" in found["found"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[log]\nurl = 'kafka:a:1'", "log.url"), ("store.clickhouse = 'http://a:1'", "store.clickhouse")],
)
def test_up_does_not_pass_over_servers_silently(folder: Path, text: str, said: str) -> None:
    (folder / "isotherm.toml").write_text(text)
    result = invoke("up", "--data-dir", "x")
    assert result.exit_code == 2 and f"expected no {said}" in result.output


# ---- options that exclude each other, one of them in the file


@pytest.mark.parametrize(
    ("file", "arguments", "log"),
    [
        ("data_dir = 'd'", [], "file:d/log"),
        ("data_dir = 'd'", ["--log", "file:x"], "file:x"),
        ("log.url = 'file:f'", [], "file:f"),
        ("log.url = 'file:f'", ["--data-dir", "x"], "file:x/log"),
        ("data_dir = 'd'\nlog.url = 'file:f'", [], "file:f"),
        ("data_dir = 'd'\nlog.url = 'file:f'", ["--data-dir", "x"], "file:x/log"),
        ("data_dir = 'd'\nlog.url = 'file:f'", ["--log", "file:x"], "file:x"),
    ],
)
def test_which_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, arguments: list[str], log: str
) -> None:
    (folder / "isotherm.toml").write_text(file)
    opened: list[str] = []

    def open_log(url: str) -> None:
        opened.append(url)
        raise click.ClickException("enough")

    monkeypatch.setattr("connectors.commands.open_log", open_log)
    invoke("connect", "binance_spot", *arguments)
    assert opened == [log]


@pytest.mark.parametrize(
    ("file", "arguments", "said"),
    [
        ("data_dir = 'd'", [], "d: no store there"),
        ("store.clickhouse = 'f'", [], "store address f:"),
        ("store.clickhouse = 'f'", ["--data-dir", "x"], "x: no store there"),
        ("data_dir = 'd'\nstore.clickhouse = 'f'", [], "store address f:"),
        ("data_dir = 'd'\nstore.clickhouse = 'f'", ["--data-dir", "x"], "x: no store there"),
        ("data_dir = 'd'\nstore.clickhouse = 'f'", ["--clickhouse", "y"], "store address y:"),
        ("", ["--clickhouse", "y", "--data-dir", "x"], "expected either"),
    ],
)
def test_which_store(folder: Path, file: str, arguments: list[str], said: str) -> None:
    (folder / "isotherm.toml").write_text(file)
    assert said in invoke("sql", *arguments, "SELECT 1").output


# ---- secrets


SPILL = """
import asyncio, logging, sys, warnings
import click, structlog
from click.testing import CliRunner
import isotherm

@isotherm.main.command()
def spill():
    key = sys.stdin.read()
    structlog.get_logger("x").warning("one " + key, url="wss://host/?apikey=" + key, deep=[{"k": key}])
    try:
        raise ValueError("two " + key)
    except ValueError:
        structlog.get_logger("x").exception("caught")
        logging.getLogger("library").exception("three %s", key)
    warnings.warn("four " + key)
    click.echo("five " + key, err=True)

    async def failing():
        raise RuntimeError("six " + key)

    async def main():
        task = asyncio.create_task(failing())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(main())
    raise click.ClickException("seven " + key) if CLEAN else KeyError("seven " + key)

isotherm.main()
"""


@pytest.mark.parametrize(("clean", "by_file"), [(True, False), (False, True)])
def test_no_planted_key_comes_out_of_a_process(tmp_path: Path, clean: bool, by_file: bool) -> None:
    (tmp_path / "key").write_text(PLANTED)
    name, value = ("_FILE", str(tmp_path / "key")) if by_file else ("", PLANTED)
    done = subprocess.run(
        [sys.executable, "-c", f"CLEAN = {clean}\n{SPILL}", "spill"], cwd=ROOT, input=PLANTED, text=True,
        capture_output=True, check=False, timeout=60, env={**os.environ, f"ISOTHERM_FINNHUB_KEY{name}": value},
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    for number in ("one", "two", "three", "four", "five", "six", "seven"):
        assert f"{number} ***" in done.stderr, done.stderr
    assert "pl4nted" not in done.stderr


def test_a_key_reaches_the_connector_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("connectors.commands.run_until_signalled", seen.append)
    monkeypatch.setenv("ISOTHERM_FINNHUB_KEY", PLANTED)
    assert invoke("connect", "finnhub", "twelve_data", "binance_spot").exit_code == 0
    assert [followed.key for followed in seen[0].markets] == [PLANTED, "", ""]
    assert "pl4nted" not in repr(seen[0])
    monkeypatch.setenv("ISOTHERM_FINNHUB_KEY", f"{PLANTED} {PLANTED}")
    result = invoke("connect", "finnhub")
    assert (
        result.exit_code == 2 and "ISOTHERM_FINNHUB_KEY" in result.output and "pl4nted" not in result.output
    )


def test_the_settings_reach_the_connector(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("connectors.commands.run_until_signalled", seen.append)
    result = invoke("connect", "binance_spot", "binance_futures")
    assert result.exit_code == 0, result.output
    spot, futures = seen[0].markets
    assert spot.symbols == ("BTCUSDT", "ETHUSDT") and spot.endpoint.rest_url == "http://127.0.0.1:1"
    assert (futures.symbols, futures.endpoint.rest_url) == ((), markets()["binance_futures"].live.rest_url)
    assert (seen[0].timing.backoff_cap_s, seen[0].partitions, seen[0].metrics_port) == (7.0, 8, 9101)
    assert seen[0].retention.age_s_max == 172_800
    monkeypatch.setenv("ISOTHERM_BINANCE_SPOT_REST", "http://127.0.0.1:2")
    invoke("connect", "binance_spot", "--symbols", "XRPUSDT,xrp/usd")
    (spot,) = seen[1].markets
    assert spot.symbols == ("XRPUSDT", "xrp/usd") and spot.endpoint.rest_url == "http://127.0.0.1:2"
