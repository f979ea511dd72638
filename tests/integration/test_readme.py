"""README says what is true: its commands run, in the order they stand there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

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


def run(line: str, folder: Path, replaced: dict[str, str], extra: list[str] | None = None) -> None:
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


@pytest.fixture
def folder(recordings, tmp_path):
    """Where the recording that README speaks of lies."""
    shutil.copy(recordings / "binance/usdm_btcusdt_20240808.gz", tmp_path / "btcusdt_20240808.gz")
    return tmp_path


@pytest.mark.slow
def test_the_commands_for_one_machine_run(folder):
    ran = [line for line in COMMANDS if line.startswith("isotherm ") and line not in BY_SERVERS + LIVE]
    assert len(ran) > 5
    for line in ran:
        run(line, folder, {})


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
