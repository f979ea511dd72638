"""`isotherm doctor`: is everything there that the pipeline needs, and if not, what to do."""

import asyncio
import importlib.metadata
import os
import platform
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
import msgspec

from connectors import budget
from connectors.background import Resolver, in_background
from connectors.check import TIMEOUT_S, Finding, check_feed, check_key, check_log, check_venue, way_to
from connectors.commands import configuration
from connectors.endpoint import EndpointError, endpoint
from connectors.feed import Feed, feed, feeds, no_polls
from connectors.settings import Configuration
from connectors.venue import Market, market, markets
from flows.store_check import check_data_dir, check_store

PYTHON = ((3, 11), (3, 13))  # from, and less than: Bytewax 0.21.1 ships wheels for no later one
BOARD_PORT = 5006
BOUND_S = TIMEOUT_S + 2.0  # of a check that has no bound of its own


@dataclass(frozen=True, slots=True)
class Patient:
    """What is to be looked at. `named`: the venues were chosen, so one without its key is a problem."""

    venues: Sequence[Market]
    named: bool
    configuration: Configuration
    environ: Mapping[str, str]
    data_dir: Path | None = None
    log_url: str | None = None
    clickhouse_url: str | None = None
    board_port: int = BOARD_PORT
    feeds: Sequence[Feed] = ()


@click.command()
@click.argument("venues", nargs=-1, type=click.Choice(sorted({*markets(), *feeds()})))
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where this machine keeps its data."
)
@click.option("--log", "log_url", help="file:DIR or kafka:HOST:PORT.  [default: file:DATA_DIR/log]")
@click.option(
    "--clickhouse", "clickhouse_url", help="A ClickHouse server.  [default: the embedded store of DATA_DIR]"
)
@click.option("--board-port", default=BOARD_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def doctor(
    venues: tuple[str, ...],
    data_dir: Path | None,
    log_url: str | None,
    clickhouse_url: str | None,
    board_port: int,
    as_json: bool,
) -> None:
    """Look at installation, configuration, keys, VENUES, clock, log, store and ports, and say what to do.

    Without VENUES those of the configuration file, else all that are followed by default. Changes nothing but the
    budgets of the feeds that it asks. Exit code 1 if there is a problem.

    \b
    Examples:
      isotherm doctor --data-dir data
      isotherm doctor binance_spot --json
    """
    named = list(dict.fromkeys(venues))
    patient = Patient(
        [market(name) for name in named if name in markets()]
        if named
        else [one for one in markets().values() if one.by_default],
        bool(venues),
        configuration(),
        os.environ,
        data_dir,
        log_url or (f"file:{data_dir}/log" if data_dir else None),
        clickhouse_url,
        board_port,
        [feed(name) for name in named if name in feeds()]
        if named
        else [one for one in feeds().values() if one.by_default and one.polls is not no_polls],
    )
    findings = asyncio.run(examine(patient))
    problems = sum(one.level == "problem" for one in findings)
    if as_json:
        click.echo(msgspec.json.encode({"problems": problems, "checks": findings}))
    else:
        for one in findings:
            click.echo(line(one))
    if problems:
        click.get_current_context().exit(1)


def line(finding: Finding) -> str:
    """The finding as the command prints it."""
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{finding.level:8} {finding.check}: {' '.join(finding.found.split())}{advice}"


async def examine(patient: Patient) -> list[Finding]:
    """Every check, side by side, none of them longer than BOUND_S; in a fixed order."""
    found = patient.configuration
    connector = aiohttp.TCPConnector(resolver=Resolver())
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, ceil_threshold=TIMEOUT_S * 2)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        groups = await asyncio.gather(
            _bounded("python", in_background(check_packages)),
            _bounded("configuration", in_background(lambda: check_configuration(found))),
            *(_bounded(one.name, _check_market(one, patient, http)) for one in patient.venues),
            *(_bounded(one.name, _check_feed(one, patient, http)) for one in patient.feeds),
            _bounded("log", in_background(lambda: _check_log(patient))),
            _bounded("store", in_background(lambda: check_store(patient.data_dir, patient.clickhouse_url))),
            _bounded("data directory", in_background(lambda: check_data_dir(patient.data_dir))),
            _bounded("ports", in_background(lambda: check_ports(_ports(patient)))),
        )
    return [one for group in groups for one in group]


async def _bounded(check: str, work: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await asyncio.wait_for(work, BOUND_S)
    except TimeoutError:
        advice = "see that what it asks is running and that nothing on the way drops its packets"
        return [Finding(check, "problem", f"no answer within {BOUND_S:g} s", advice)]


async def _check_market(one: Market, patient: Patient, http: aiohttp.ClientSession) -> list[Finding]:
    secret, findings = check_key(one, patient.environ, patient.named)
    if one.live.key_env and secret is None and not patient.named:
        return findings
    try:
        where = endpoint(one, patient.environ, patient.configuration.settings.venue(one.name))
    except EndpointError as error:
        return [*findings, Finding(f"{one.name} address", "problem", str(error), "set it right, or unset it")]
    return findings + await check_venue(one, where, secret, http)


async def _check_feed(one: Feed, patient: Patient, http: aiohttp.ClientSession) -> list[Finding]:
    settings = patient.configuration.settings.feed(one.name)
    found, findings = way_to(one, patient.environ, settings, patient.named)
    if found is None:
        return findings
    budgets = await in_background(lambda: _budgets(patient.data_dir))
    return findings + await check_feed(found, http, budgets)


def _budgets(data_dir: Path | None) -> Path | None:
    """The file of the budgets, where there is one: the doctor makes none."""
    path = data_dir / budget.FILE if data_dir else None
    return path if path and path.exists() else None


def _check_log(patient: Patient) -> list[Finding]:
    if patient.log_url is None:
        advice = "give --data-dir or --log, or set data_dir in isotherm.toml"
        return [Finding("log", "warning", "not looked at: no data directory and no log is set", advice)]
    return check_log(patient.log_url, patient.venues if patient.named else ())


def check_configuration(found: Configuration) -> list[Finding]:
    """Whether the configuration file could be read."""
    if found.error is not None:
        return [Finding("configuration", "problem", found.error, "isotherm.example.toml shows every setting")]
    said = f"{found.path} is valid" if found.path else "no file: every setting has its default"
    return [Finding("configuration", "ok", said)]


def check_packages() -> list[Finding]:
    """Whether Python and the packages are of versions that this project asks for."""
    version = platform.python_version_tuple()
    low, high = PYTHON
    here = (int(version[0]), int(version[1]))
    level, advice = ("ok", "") if low <= here < high else ("problem", "run it with Python 3.11 or 3.12")
    findings = [Finding("python", "ok" if level == "ok" else "problem", platform.python_version(), advice)]
    try:
        wanted = importlib.metadata.requires("isotherm") or []
    except importlib.metadata.PackageNotFoundError:
        return [*findings, Finding("packages", "warning", "isotherm is not installed here", "run make setup")]
    return [*findings, *judge_packages(wanted, _version)]


def judge_packages(wanted: Sequence[str], version_of: Callable[[str], str | None]) -> list[Finding]:
    """What of requirements such as `click>=8.4` is not met; other kinds of bounds are not looked at."""
    wrong, met = [], []
    for requirement in wanted:
        parts = re.match(r"([\w.-]+)\s*(?:(>=|==)\s*([\w.]+))?", requirement)
        if parts is None or "extra ==" in requirement:
            continue
        name, bound, version = parts.groups()
        found = version_of(name)
        if found is None or (bound and not _meets(found, bound, version)):
            wrong.append(f"{requirement} (found {found or 'none'})")
        else:
            met.append(f"{name} {found}")
    if wrong:
        return [Finding("packages", "problem", f"expected {', '.join(wrong)}", "run make setup")]
    return [Finding("packages", "ok", ", ".join(met))]


def _meets(found: str, bound: str, version: str) -> bool:
    if bound == "==":
        return found == version
    have, want = ([int(x) for x in re.findall(r"\d+", text)] for text in (found, version))
    return have >= want


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ports(patient: Patient) -> dict[str, int]:
    metrics = patient.configuration.settings.metrics
    return {"board": patient.board_port} | {f"metrics {name}": port for name, port in metrics.items()}


def check_ports(ports: Mapping[str, int]) -> list[Finding]:
    """Whether the ports of this machine that are to be served are free."""
    findings = []
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                advice = "fine if isotherm runs already; else choose another port"
                findings.append(Finding(f"port {name}", "warning", f"{port}: {error.strerror}", advice))
            else:
                findings.append(Finding(f"port {name}", "ok", f"{port} is free"))
    return findings
