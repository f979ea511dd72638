"""`isotherm simulate`."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from connectors.simulator.commands import simulate
from isotherm import main


def test_it_prints_the_environment_and_stops_cleanly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from isotherm import main; main()", "simulate", "--symbols", "btcusdt", "--past", "5s"],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        lines = [process.stdout.readline().strip() for _ in range(5)]
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines[1:])
        assert set(exports) == {
            f"ISOTHERM_BINANCE_{m}_{k}" for m in ("SPOT", "FUTURES") for k in ("WS", "REST")
        }
        assert exports["ISOTHERM_BINANCE_SPOT_WS"].startswith("ws://127.0.0.1:")
        url = f"{exports['ISOTHERM_BINANCE_FUTURES_REST']}/fapi/v1/exchangeInfo"
        assert b"BTCUSDT" in urllib.request.urlopen(url).read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--symbols", "NOPEUSDT"], "expected symbols among BTCUSDT"),
        (["--fault", "fire=1"], "unknown kind 'fire'"),
        (["--fault", "gap=2"], "expected gap to be a probability"),
        (["--fault", "gap"], "expected --fault KIND=P"),
    ],
)
def test_wrong_options_are_told(options: list[str], message: str) -> None:
    result = CliRunner().invoke(simulate, options)
    assert result.exit_code == 2
    assert message in result.output


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(main, ["simulate", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2
    assert "choose another --port" in result.output
