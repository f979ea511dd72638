"""docker-compose.yml and what it mounts, as far as it can be checked without Docker."""

import os
import re
import stat
import subprocess
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from connectors.access import is_open
from connectors.alert import ADDRESSES, TRADINGVIEW, Sources, networks
from connectors.feed import feeds
from connectors.webhook_commands import PORT, SECRET
from dashboards.grafana.panels import PLUGIN, SOURCE
from flows.commands import FLOWS
from flows.up import open_markets
from isotherm import main
from sql.client import Store
from sql.guard import PROFILES

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
COMMANDS = {name: service["command"] for name, service in SERVICES.items() if "command" in service}
README = (ROOT / "README.md").read_text(encoding="utf-8")
NO_CONFIG = {"ISOTHERM_CONFIG": ""}
CLICKHOUSE = yaml.safe_load(
    (ROOT / "dashboards/grafana/provisioning/datasources/clickhouse.yaml").read_text(encoding="utf-8")
)["datasources"][0]
BOARDS = yaml.safe_load(
    (ROOT / "dashboards/grafana/provisioning/dashboards/isotherm.yaml").read_text(encoding="utf-8")
)["providers"][0]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    assert re.fullmatch(r"[\w./-]+:\d+(\.\d+){2,3}", SERVICES[name]["image"])


def test_the_own_image_is_built_from_a_pinned_one():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^FROM python:3\.12-slim-\w+$", dockerfile, re.M)
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.M)
    for sources in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_services_run_isotherm():
    assert set(COMMANDS) == {"migrate", "connector", "webhook", *FLOWS}
    assert all(words[0] == "isotherm" for words in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_parse(name):
    _, subcommand, *words = COMMANDS[name]
    command = main.get_command(click.Context(main), subcommand)
    with click.Context(main, info_name="isotherm") as context:
        parsed = command.make_context(subcommand, list(words), parent=context)
    assert not parsed.args
    options = [word for word in words if word.startswith("--")]
    assert {re.sub("^--", "", word) for word in options} <= {
        re.sub("^--", "", known) for parameter in command.params for known in parameter.opts
    }


def test_the_connector_follows_what_needs_no_key_and_keeps_what_it_used(monkeypatch):
    connector = SERVICES["connector"]
    wanted = {*open_markets({}), *(name for name, one in feeds().items() if is_open(one, {}))}
    found = {}
    monkeypatch.setattr(
        main.get_command(click.Context(main), "connect"), "callback", lambda **given: found.update(given)
    )
    result = CliRunner().invoke(main, connector["command"][1:], env=NO_CONFIG | connector["environment"])
    assert result.exit_code == 0, result.output
    assert set(found["venues"]) == wanted
    assert found["history"]
    (volume,) = connector["volumes"]
    assert str(found["data_dir"]) == volume.partition(":")[2]


def test_the_connector_takes_its_log_from_its_command_and_its_folder_from_its_environment(monkeypatch):
    opened = []

    def open_log(url):
        opened.append(url)
        raise click.ClickException("enough")

    monkeypatch.setattr("connectors.commands.open_log", open_log)
    connector = SERVICES["connector"]
    environment = {name: "" if "${" in value else value for name, value in connector["environment"].items()}
    CliRunner().invoke(main, connector["command"][1:], env=NO_CONFIG | environment)
    assert opened == ["kafka:kafka:9092"]


def test_the_receiver_of_alerts_is_asked_for_by_name_and_reached_through_a_proxy_only():
    webhook = SERVICES["webhook"]
    assert webhook["profiles"] == ["alerts"]
    assert all("webhook" not in service.get("depends_on", {}) for service in SERVICES.values())
    (port,) = webhook["ports"]
    assert port == f"127.0.0.1:{PORT}:{PORT}"
    words = webhook["command"]
    proxies = networks([after for word, after in pairwise(words) if word == "--proxy"])
    sources = Sources(networks([ADDRESSES]), proxies)
    assert sources.allows(sources.of("172.18.0.1", [TRADINGVIEW[0]]))
    assert not sources.allows(sources.of("172.18.0.1"))
    assert not sources.allows(sources.of("8.8.8.8", [TRADINGVIEW[0]]))


@pytest.mark.parametrize("name", SERVICES)
def test_hosts_named_are_services(name):
    service = SERVICES[name]
    for host in re.findall(r"(?:http://|kafka:)(\w+):\d+", " ".join(service.get("command", []))):
        assert host in SERVICES
    for other, condition in service.get("depends_on", {}).items():
        if condition["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert condition["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "on-failure:3"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_and_services_restart(name):
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["restart"] in ("unless-stopped", "on-failure:3")


@pytest.mark.parametrize("name", SERVICES)
def test_mounts_exist(name):
    for mount in SERVICES[name].get("volumes", []):
        source, inside = mount.split(":")[:2]
        assert inside.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert mount.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_passwords_come_from_the_environment():
    secrets = set(re.findall(r"\$\{(\w+):\?[^}]+\}", TEXT))
    optional = set(re.findall(r"\$\{(\w+):-\}", TEXT))
    assert TEXT.count("${") == len(re.findall(r"\$\{\w+(?:_PASSWORD:\?|:-\})", TEXT))
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not key.endswith(("_PASSWORD", "_KEY", "_SECRET")) or str(value).startswith("${")
    assert optional == {"ISOTHERM_COINGECKO_KEY", SECRET}
    assert all(name in README for name in optional)
    assert secrets == {"GRAFANA_ADMIN_PASSWORD"} | {f"ISOTHERM_STORE_{u.upper()}_PASSWORD" for u in PROFILES}
    assert all(secret in README for secret in secrets)


def test_grafana_is_provisioned_with_what_the_board_asks():
    grafana = SERVICES["grafana"]
    assert {"type": CLICKHOUSE["type"], "uid": CLICKHOUSE["uid"]} == SOURCE
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL_SYNC"] == f"{SOURCE['type']}@{PLUGIN}"
    assert CLICKHOUSE["secureJsonData"]["password"].removeprefix("$") in grafana["environment"]
    assert CLICKHOUSE["jsonData"]["host"] in SERVICES
    assert CLICKHOUSE["jsonData"]["username"] == "board"
    mounted = {
        inside: source for source, inside, _ in (v.split(":") for v in grafana["volumes"] if ":ro" in v)
    }
    assert (ROOT / mounted[BOARDS["options"]["path"]] / "depth.json").exists()
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounted[str(home.parent)] / home.name).exists()
    for folder in ("datasources", "dashboards"):
        assert list((ROOT / mounted["/etc/grafana/provisioning"] / folder).glob("*.yaml"))


def test_grafana_asks_for_no_more_time_than_its_role_has():
    limit_s = PROFILES["board"].settings["max_execution_time"]
    assert int(CLICKHOUSE["jsonData"]["queryTimeout"]) + 5 <= limit_s


def test_the_users_script_says_what_clickhouse_parses(tmp_path: Path, board: Store):
    """With a client that writes down what it is asked, and the engine's own parser to read that."""
    asked = tmp_path / "asked"
    client = tmp_path / "clickhouse-client"
    client.write_text(
        f'#!/bin/sh\nfor last; do :; done\nprintf "%s\\n" "$last" >> {asked}\n', encoding="utf-8"
    )
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    users = [user for user in PROFILES if user != "admin"]
    secrets = {f"ISOTHERM_STORE_{user.upper()}_PASSWORD": f"it's {user}'s; --" for user in users}
    subprocess.run(
        ["sh", ROOT / "sql/access/users.sh"], check=True, timeout=30,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "CLICKHOUSE_HOST": "clickhouse"} | secrets,
    )  # fmt: skip
    statements = asked.read_text(encoding="utf-8").splitlines()
    assert len(statements) == 3 * len(users)
    roles = (ROOT / "sql/access/0001_roles.sql").read_text(encoding="utf-8")
    for statement in statements:
        assert "it's" not in statement
        assert board.query("SELECT formatQuerySingleLine({s:String})", {"s": statement})
        for role in re.findall(r"GRANT (\w+)", statement):
            assert role in roles
