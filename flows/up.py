"""`isotherm up` and `isotherm demo`: the whole pipeline on one machine, as a few supervised processes.

store (chDB), one connector process, a process a flow; `demo` adds the simulator and points the connector at it. Without
a file that names them, `up` follows every market and polled feed that needs no key or has it, `demo` every one that can
be simulated.
"""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from connectors.access import is_open
from connectors.feed import Feed, feeds
from connectors.log import HEALTH, open_log
from connectors.settings import VARIABLE, Configuration
from connectors.simulator.api import apis
from connectors.simulator.half import DEMO_KEY, chosen, halves
from connectors.venue import market, markets
from connectors.webhook_commands import arguments as webhook_arguments
from flows.runtime.progress import FILE, latency_of
from flows.runtime.run import recovery_of
from flows.runtime.supervisor import Part, Say, Supervisor
from sql.client import StoreError, connect
from sql.data_dir import live_url, password

FLOWS = ("depth", "tape", "feeds", "levels")
PATIENT = ("feeds",)  # history comes by the hundred thousand at the start: what is live goes first
RETRY_CAP = "5s"  # a simulated venue takes any number of attempts
SERVERS = (  # variables that would send a part elsewhere
    "ISOTHERM_LOG_URL", "ISOTHERM_CONNECT_LOG_URL", "ISOTHERM_FLOW_LOG_URL",
    "ISOTHERM_STORE_CLICKHOUSE", "ISOTHERM_FLOW_CLICKHOUSE_URL", "ISOTHERM_BOARD_CLICKHOUSE_URL",
)  # fmt: skip
WINDOWS_EVERY_S = 2.0
# Look-back, instruments whose window is full (the newest bar may be on its way), instruments, whether all that can be
# fetched was.
_COVERAGE = """
    SELECT lookback, countIf(share >= 0.99 OR bars + 1 >= expected), count(), (
        SELECT count() > 0 AND countIf(state != 'live') = 0 FROM market.feed_health_now WHERE symbol = 'history'
    )
    FROM market.window_coverage GROUP BY lookback, span_s ORDER BY span_s
"""
_MIGRATED = "SELECT name FROM system.tables WHERE database = 'market' AND name = 'gaps'"
_TABLES = (
    "SELECT name FROM system.tables WHERE database = 'market' AND engine LIKE '%MergeTree'"
    " AND name != 'schema_migrations' ORDER BY name"
)


class SymbolError(ValueError):
    """A symbol that no market follows by itself."""


def parts(
    data_dir: Path,
    symbols: str | None,
    board_port: int,
    *,
    simulated: bool,
    seed: int = 0,
    past_s: float = 0.0,
    configuration: Configuration = Configuration(),
) -> list[Part]:
    """The processes, in the order to start them. Keys reach them by the environment, which they inherit."""
    at = ("--data-dir", str(data_dir))
    spelled = ("--symbols", symbols) if symbols else ()
    found = [Part("store", ("store", *at, "--port", "0"))]
    options: tuple[str, ...]
    if simulated:
        port, options = free_port(), ("--retry-cap", RETRY_CAP)
        simulation = ("--port", str(port), "--seed", str(seed), "--past", f"{int(past_s)}s", *spelled)
        found.append(Part("simulator", ("simulate", *simulation)))
        followed = simulated_markets(symbols.split(",") if symbols else ())
        names = (*followed, *simulated_feeds(followed))
        environment = simulated_environment(followed, port) | simulated_feed_environment(followed, port)
    elif configuration.settings.followed:
        port, options, names, environment = 0, spelled, configuration.settings.followed, {}
    else:
        port, options = 0, ()
        wanted = listing(symbols.split(",") if symbols else (), open_markets(os.environ))
        names = (*wanted, *(name for name, one in sorted(feeds().items()) if is_open(one, os.environ)))
        environment = {f"ISOTHERM_{name.upper()}_SYMBOLS": ",".join(x) for name, x in wanted.items() if x}
    # A process reads them all: more would only be more files.
    partitions = ("--partitions", str(configuration.settings.log.partitions or 1))
    connector = ("connect", *names, *at, *partitions, "--history", *options)
    found.append(Part("connector", connector, environment, lambda: not port or listens("127.0.0.1", port)))
    has_topics = _Once(lambda: _has_store(data_dir) and _has_topics(data_dir, names))
    found += [Part(name, ("flow", name, *at), ready=has_topics, patient=name in PATIENT) for name in FLOWS]
    if not simulated and (receiver := webhook_arguments(data_dir, os.environ)):
        found.append(Part("webhook", receiver))
    # The board asks for tables: the first flow to run has brought the store to this version's.
    has_tables = _Once(lambda: _has_tables(data_dir))
    found.append(Part("board", ("board", *at, "--port", str(board_port)), ready=has_tables))
    for part in found:
        part.environment = {**_settings_of(configuration, simulated), **part.environment}
    return found


def unplayed_s(data_dir: Path, past_s: float, now_s: float) -> float:
    """How much of the past is to be played: what a market played here before has seen is not played again."""
    written = [path.stat().st_mtime for path in (data_dir / "log").glob("raw.*/*/*.log")]
    return min([past_s, *(max(now_s - at, 0.0) for at in written)])


def open_markets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The markets to follow where none is named: those that need no key, and those whose key is there."""
    return tuple(
        name
        for name, found in sorted(markets().items())
        if found.by_default
        and (not (env := found.live.key_env) or environ.get(env) or environ.get(f"{env}_FILE"))
    )


def listing(names: Sequence[str], followed: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By market what it follows of these symbols or instruments, of its own choice; markets with none are left out.

    BTCUSDT is what venues call so, BTC-USDT the instrument and its perpetual wherever they trade. Without names: every
    market, (), which is all of its choice.

    Raises:
        SymbolError: no market follows a name unless it is told to.
    """
    if not names:
        return dict.fromkeys(followed, ())
    wanted = [name.strip().upper() for name in names]
    found = {name: [x for x in market(name).live.symbols if _is_meant(x, name, wanted)] for name in followed}
    for name in wanted:
        if not any(_is_meant(x, venue, [name]) for venue, symbols in found.items() for x in symbols):
            raise SymbolError(
                f"expected symbols that some venue follows by itself, found {name}: name it under [venues.VENUE] of"
                " isotherm.toml, or use isotherm connect VENUE --symbols"
            )
    return {name: tuple(symbols) for name, symbols in found.items() if symbols}


def _is_meant(symbol: str, venue: str, names: Sequence[str]) -> bool:
    instrument = market(venue).canonical(symbol)
    return not {symbol.upper(), instrument, instrument.removesuffix("-PERP")}.isdisjoint(names)


def simulated_markets(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The markets of the demo with their symbols; `names` as `connectors.simulator.half.chosen` takes them."""
    wanted = [name.strip().upper() for name in names]
    found = {
        name: tuple(x.symbol for x in chosen(half, wanted))
        for name, half in sorted(halves().items())
        if name in markets() and market(name).by_default
    }
    return {name: symbols for name, symbols in found.items() if symbols}


def simulated_environment(followed: Mapping[str, Sequence[str]], port: int) -> dict[str, str]:
    """What sends a connector to the simulator at that port, and nothing of the user's keys with it."""
    found = {}
    for name, symbols in followed.items():
        base, key_env = halves()[name].base(), market(name).live.key_env
        found[f"ISOTHERM_{name.upper()}_WS"] = f"ws://127.0.0.1:{port}{base}"
        found[f"ISOTHERM_{name.upper()}_REST"] = f"http://127.0.0.1:{port}{base}"
        found[f"ISOTHERM_{name.upper()}_SYMBOLS"] = ",".join(symbols)
        if key_env:
            found |= {key_env: DEMO_KEY, f"{key_env}_FILE": ""}
    return found


def simulated_feeds(followed: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The polled feeds of the demo; those of a market with it."""
    return tuple(
        name
        for name, one in sorted(feeds().items())
        if _base(one) is not None
        and is_open(one, {one.key_env or "": DEMO_KEY})
        and (one.venue not in halves() or _symbols_of(one, followed))
    )


def _symbols_of(one: Feed, followed: Mapping[str, Sequence[str]]) -> list[str]:
    """What it asks for by itself of the symbols that the demo has of its market."""
    return [symbol for symbol in one.symbols if symbol in followed.get(one.venue, ())]


def _base(one: Feed) -> str | None:
    """Where the simulator serves it: by itself, or with its market; None if it does not."""
    if one.name in apis():
        return f"/{one.name}"
    return halves()[one.venue].base() if one.venue in halves() else None


def simulated_feed_environment(followed: Mapping[str, Sequence[str]], port: int) -> dict[str, str]:
    """What sends whoever asks a polled feed to the simulator at that port, with none of the user's keys and choices.

    The history of a simulated market is asked for where the market is.
    """
    found: dict[str, str] = {}
    for name, one in feeds().items():
        if (base := _base(one)) is None:
            continue
        variable = f"ISOTHERM_{name.upper()}"
        found |= {f"{variable}_{setting}": "" for setting in ("PLAN", "EVERY", "PATH")}
        found[f"{variable}_SYMBOLS"] = ",".join(_symbols_of(one, followed))
        found[f"{variable}_URL"] = f"http://127.0.0.1:{port}{base}"
        if one.key_env:
            found |= {one.key_env: DEMO_KEY, f"{one.key_env}_FILE": ""}
        if name in apis():
            found[f"{variable}_PLAN"] = apis()[name].keys.get(DEMO_KEY if one.key_env else "", "")
    return found


def _settings_of(configuration: Configuration, simulated: bool) -> dict[str, str]:
    """What makes a part read the same file, and write nowhere but here; a simulated market's reads none."""
    path = None if simulated else configuration.path
    return {VARIABLE: str(path.absolute()) if path else ""} | dict.fromkeys(SERVERS, "")


def run(found: list[Part], data_dir: Path, span_s: float | None, say: Say) -> dict[str, Any]:
    """Keep the parts running until Ctrl-C, SIGTERM or the span is over; what the store then holds.

    Raises:
        PartError: a part keeps dying.
    """
    stopped: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    began_s, began_ns = time.monotonic(), time.time_ns()
    end_s = float("inf") if span_s is None else began_s + span_s
    (_depth_state(data_dir) / FILE).unlink(missing_ok=True)
    summary: dict[str, Any] = {"first_heatmap_s": None}
    heatmap = _Once(lambda: _has_heatmap(data_dir, began_ns), every_s=1.0)
    windows = _Windows(data_dir, began_s, say)

    def over() -> bool:
        if summary["first_heatmap_s"] is None and heatmap():
            summary["first_heatmap_s"] = round(time.monotonic() - began_s, 1)
            say(f"first heatmap after {summary['first_heatmap_s']} s")
        windows.look()
        return bool(stopped) or time.monotonic() >= end_s

    # The store, first to start and last to end, is asked when nobody writes any more.
    Supervisor(found, data_dir / "logs", say).run(
        until=over,
        finish=lambda: summary.update(_summary(data_dir)),
    )
    return summary | {"windows_full_s": windows.full_s, "windows": windows.text}


def _summary(data_dir: Path) -> dict[str, Any]:
    url = live_url(data_dir)
    if url is None:
        return {}
    asked = connect(url, "analyst", password(data_dir, "analyst"), retry_s=10)
    with contextlib.closing(asked):
        if not asked.query(_MIGRATED):
            return {}  # ended before the store had its tables and views
        tables = [str(name) for (name,) in asked.query(_TABLES)]
        rows = {table: int(asked.query(f"SELECT count() FROM market.{table}")[0][0]) for table in tables}  # noqa: S608
        gaps = int(asked.query("SELECT count() FROM market.gaps WHERE kind != 'reset'")[0][0])
    known = latency_of(_depth_state(data_dir))
    latency = known and {name: known[f"{name}_ms"] for name in ("p50", "p99")}
    return {"rows": rows, "gaps": gaps, "dead_letters": rows["dead_letters"], "latency_ms": latency}


def _depth_state(data_dir: Path) -> Path:
    return recovery_of(data_dir / "flow", "depth", "1/1")


def _has_heatmap(data_dir: Path, since_ns: int) -> bool:
    """Whether there is a row of what was received since then; no while store or tables are not there yet."""
    found = "SELECT 1 FROM market.depth_1s WHERE received_ns >= {since_ns:Int64} LIMIT 1"
    return bool(_asked(data_dir, found, {"since_ns": since_ns}))


def _asked(data_dir: Path, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
    """What the store answers; [] while it is not there yet, or lacks the table."""
    url = live_url(data_dir)
    if url is None:
        return []
    with contextlib.closing(connect(url, "analyst", password(data_dir, "analyst"), retry_s=0)) as asked:
        with contextlib.suppress(StoreError):
            return list(asked.query(query, parameters or {}))
        return []


class _Windows:
    """Says how full the windows of correlation are while the connector fetches what they look back on."""

    def __init__(self, data_dir: Path, began_s: float, say: Say) -> None:
        self._data_dir, self._began_s, self._say = data_dir, began_s, say
        self._ask_at_s, self._is_over = 0.0, False
        self.full_s: float | None = None  # when all of every instrument were; None: not yet
        self.text = ""

    def look(self) -> None:
        """Ask the store, now and then, until everything is fetched."""
        now_s = time.monotonic()
        if self._is_over or now_s < self._ask_at_s:
            return
        self._ask_at_s = now_s + WINDOWS_EVERY_S
        told = _asked(self._data_dir, _COVERAGE)
        if not told:
            return
        text = ", ".join(f"{name} {full} of {known}" for name, full, known, _ in told)
        is_fetched = all(fetched for *_, fetched in told)
        if all(full == known for _, full, known, _ in told) and is_fetched:
            self.full_s, self._is_over = round(now_s - self._began_s, 1), True
            self._say(f"every correlation window is full after {self.full_s} s")
        elif text != self.text:
            self._say(f"correlation windows full: {text}")
        self.text = text


class _Once:
    """A condition that, once met, is not asked again, and before that not more often than it may be."""

    def __init__(self, condition: Callable[[], bool], every_s: float = 0.0) -> None:
        self._condition, self._every_s = condition, every_s
        self._met, self._ask_at_s = False, 0.0

    def __call__(self) -> bool:
        if not self._met and time.monotonic() >= self._ask_at_s:
            self._met = self._condition()
            self._ask_at_s = time.monotonic() + self._every_s
        return self._met


def _has_topics(data_dir: Path, markets: Sequence[str]) -> bool:
    with contextlib.closing(open_log(f"file:{data_dir / 'log'}")) as log:
        return log.topics().keys() >= {HEALTH, *(f"raw.{name}" for name in markets)}


def _has_tables(data_dir: Path) -> bool:
    return any((data_dir / "flow").glob("*/part-*.sqlite3"))


def _has_store(data_dir: Path) -> bool:
    path = data_dir / "store.json"
    with contextlib.suppress(OSError, ValueError):
        return bool(json.loads(path.read_text(encoding="utf-8"))["url"])
    return False


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """A port of this host that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
