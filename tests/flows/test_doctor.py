"""`isotherm doctor`: the whole report."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from connectors.check import Finding
from connectors.settings import Configuration, Settings
from connectors.venue import market
from flows import doctor
from flows.doctor import Patient, check_configuration, check_ports, examine, judge_packages, line

SPOT = market("binance_spot")
GONE = {"ISOTHERM_BINANCE_SPOT_WS": "ws://127.0.0.1:1", "ISOTHERM_BINANCE_SPOT_REST": "http://127.0.0.1:1"}


def levels(findings: list[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in findings}


def test_offline_it_still_reports_everything(tmp_path: Path) -> None:
    patient = Patient(
        [SPOT], True, Configuration(), GONE, tmp_path, f"file:{tmp_path}/log", board_port=free_port()
    )
    found = asyncio.run(examine(patient))
    assert levels(found) == {
        "python": "ok", "packages": "ok", "configuration": "ok", "binance_spot rest": "problem",
        "binance_spot ws": "problem", "log": "ok", "log disk": "ok", "store": "ok", "data directory": "ok",
        "data directory disk": "ok", "port board": "ok",
    }  # fmt: skip
    assert all(one.advice for one in found if one.level != "ok")
    assert list(tmp_path.iterdir()) == []  # it changes nothing


def test_a_broker_that_says_nothing_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "BOUND_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        log_url = f"kafka:127.0.0.1:{silent.getsockname()[1]}"
        found = asyncio.run(examine(Patient([], True, Configuration(), {}, log_url=log_url)))
    (log,) = [one for one in found if one.check == "log"]
    assert log.level == "problem" and log.found == "no answer within 0.5 s"


def test_an_address_that_is_none_is_a_finding() -> None:
    environ = {"ISOTHERM_BINANCE_SPOT_WS": "ws://example.org"}
    found = asyncio.run(examine(Patient([SPOT], True, Configuration(), environ)))
    (address,) = [one for one in found if one.check.startswith("binance")]
    assert address.level == "problem" and "ISOTHERM_BINANCE_SPOT_WS: expected wss://" in address.found


def test_the_command_exits_with_1_if_there_is_a_problem(tmp_path: Path) -> None:
    asked = ["binance_spot", "--data-dir", str(tmp_path), "--board-port", str(free_port())]
    result = CliRunner().invoke(doctor.doctor, asked, env=GONE)
    assert result.exit_code == 1, result.output
    assert len(result.output.splitlines()) == 11
    assert "problem  binance_spot rest: unreachable: 127.0.0.1:1: Connection refused; check" in result.output
    as_json = CliRunner().invoke(doctor.doctor, [*asked, "--json"], env=GONE)
    report = json.loads(as_json.output)
    assert as_json.exit_code == 1 and report["problems"] == 2
    assert [f"{one['level']:8} {one['check']}" for one in report["checks"]] == [
        said.split(":")[0] for said in result.output.splitlines()
    ]


def test_a_configuration_that_cannot_be_read_is_a_finding() -> None:
    path = Path("isotherm.toml")
    assert levels(check_configuration(Configuration(path, Settings()))) == {"configuration": "ok"}
    (found,) = check_configuration(Configuration(path, error="isotherm.toml: log: wrong"))
    assert (found.level, found.found) == ("problem", "isotherm.toml: log: wrong")


def test_packages() -> None:
    have = {"click": "8.4.1", "numpy": "2.10.0", "bytewax": "0.21.1"}
    wanted = ["click>=8.4", "numpy>=2.9", "bytewax==0.21.1", "extras>=1; extra == 'x'"]
    (found,) = judge_packages(wanted, have.get)
    assert (found.level, found.found) == ("ok", "click 8.4.1, numpy 2.10.0, bytewax 0.21.1")
    (found,) = judge_packages(["click>=8.5", "bytewax==0.21", "chdb>=4", "msgspec"], have.get)
    assert found.level == "problem"
    assert found.found == (
        "expected click>=8.5 (found 8.4.1), bytewax==0.21 (found 0.21.1), chdb>=4 (found none), msgspec (found none)"
    )


def test_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = check_ports({"board": port, "metrics depth": free_port()})
    assert levels(found) == {"port board": "warning", "port metrics depth": "ok"}
    assert "Address already in use" in found[0].found


def test_a_finding_is_a_line() -> None:
    assert line(Finding("log", "ok", "two\nlines")) == "ok       log: two lines"
    assert line(Finding("log", "problem", "bad", "mend it")) == "problem  log: bad; mend it"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
