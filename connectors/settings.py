"""Settings: what the configuration file and the environment say, as one value.

The file is `--config FILE`, else what ISOTHERM_CONFIG names (nothing, if it is empty), else `isotherm.toml` in
the working directory if there is one. `isotherm.example.toml` shows every setting with its default. A setting
`log.url` of the file is ISOTHERM_LOG_URL in the environment, which wins; `venues.kraken.symbols` is
ISOTHERM_KRAKEN_SYMBOLS, `feeds.coingecko.plan` ISOTHERM_COINGECKO_PLAN. The command line wins over both. Keys have no
place in the file: `connectors.keys`.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

FILE = Path("isotherm.toml")
VARIABLE = "ISOTHERM_CONFIG"
PROCESSES = (
    "connect",
    "depth",
    "feeds",
    "levels",
    "tape",
)  # that may serve metrics: the connector and the flows
FILE_BYTES_MAX = 1 << 20
SYMBOL = r"[A-Za-z0-9][A-Za-z0-9_/:.\-]{0,63}"
SPAN = r"[0-9]{1,9}[smhd]"
PATH = r"/[!-~]{0,511}"

Port = Annotated[int, Meta(ge=1, le=65535)]
Span = Annotated[str, Meta(pattern=rf"\A{SPAN}\Z")]
Symbol = Annotated[str, Meta(pattern=rf"\A{SYMBOL}\Z")]


class SettingsError(ValueError):
    """The file or a variable says what it cannot; the message names file, setting, expectation and finding."""


class Venue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be followed of one market, and where."""

    enabled: bool = True
    symbols: tuple[Symbol, ...] = ()  # as the venue writes them; (): the market's own
    ws: str | None = None  # None: the venue's own address
    rest: str | None = None
    depth: Annotated[int, Meta(ge=1)] | None = (
        None  # levels a side, of a venue that lets choose; None: its default
    )


class Polled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be asked of one polled feed, and where."""

    enabled: bool = True
    plan: str | None = None  # None: the first that the key, or the lack of one, is for
    url: str | None = None  # None: the plan's own address
    symbols: tuple[Symbol, ...] = ()  # as the API writes them; (): the feed's own
    every: Span | None = None  # None: as often as the plan bears
    path: Annotated[str, Meta(pattern=rf"\A{PATH}\Z")] | None = (
        None  # of an API whose path is the user's (an export)
    )


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The topic log. None: what each command has as its default."""

    url: str | None = None
    partitions: Annotated[int, Meta(ge=1, le=1024)] | None = None
    keep: Span | None = None


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store; None: the embedded one of the data directory."""

    clickhouse: str | None = None


class Connect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The connector process."""

    retry_cap: Span | None = None  # longest pause before a venue is tried again


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The board on this machine."""

    port: Port | None = None


def seconds(span: str) -> float:
    """A span such as 90s, 5m or 2h in seconds."""
    return float(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[-1]]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. None and empty: nothing was."""

    data_dir: str | None = None
    log: Log = Log()
    store: Store = Store()
    connect: Connect = Connect()
    board: Board = Board()
    metrics: dict[str, Port] = {}  # process (connect, or a flow's name) -> port on 127.0.0.1
    venues: dict[str, Venue] = {}  # market -> what of it
    feeds: dict[str, Polled] = {}  # polled feed -> what of it

    @property
    def followed(self) -> tuple[str, ...]:
        """The markets and feeds to follow, in the order of the file."""
        tables: tuple[Mapping[str, Venue | Polled], ...] = (self.venues, self.feeds)
        return tuple(name for table in tables for name, one in table.items() if one.enabled)

    def venue(self, market: str) -> Venue:
        """What is set for a market; the defaults for one that is not in the file."""
        return self.venues.get(market) or Venue()

    def feed(self, name: str) -> Polled:
        """What is set for a polled feed; the defaults for one that is not in the file."""
        return self.feeds.get(name) or Polled()


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings and the file they come from, None if from none.

    With `error`, the file could not be used: only `isotherm doctor` goes on then.
    """

    path: Path | None = None
    settings: Settings = field(default_factory=Settings)
    error: str | None = None


def path_of(given: Path | None, environ: Mapping[str, str], folder: Path = Path()) -> Path | None:
    """Which file to read, None for none."""
    if given is not None:
        return given
    if VARIABLE in environ:
        return Path(environ[VARIABLE]) if environ[VARIABLE] else None
    return folder / FILE if (folder / FILE).exists() else None


def load(
    path: Path | None,
    environ: Mapping[str, str],
    markets: Collection[str],
    processes: Collection[str],
    feeds: Collection[str] = (),
) -> Settings:
    """The settings of the file at `path`, with those of the environment in their place.

    `markets` may stand in `[venues]`, `processes` in `[metrics]`, `feeds` in `[feeds]`.

    Raises:
        SettingsError: the file cannot be read, or anything in it or in the environment is not a setting.
    """
    tables: dict[str, Any] = {}
    if path is not None:
        tables = _read(path)
    where = str(path or "environment")
    _check_names(tables, "venues", markets, where)
    _check_names(tables, "metrics", processes, where)
    _check_names(tables, "feeds", feeds, where)
    for variable, place, kind in _variables(markets, processes, feeds):
        if environ.get(variable):
            if place[0] == "feeds":
                _refuse_secrets(environ[variable], "environment", variable)
            _put(tables, place, _value(environ[variable], kind, variable))
    venues, metrics, polled = (tables.pop(name, {}) for name in ("venues", "metrics", "feeds"))
    settings: Settings = _convert(tables, Settings, where, "")
    return msgspec.structs.replace(
        settings,
        venues={name: _convert(table, Venue, where, f"venues.{name}") for name, table in venues.items()},
        feeds={name: _convert(table, Polled, where, f"feeds.{name}") for name, table in polled.items()},
        metrics={name: _convert(port, Port, where, f"metrics.{name}") for name, port in metrics.items()},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise SettingsError(f"{path}: expected at most {FILE_BYTES_MAX} bytes, found more")
        tables = tomllib.loads(content.decode())
        _refuse_secrets(tables, str(path), "")
    except OSError as error:
        raise SettingsError(f"{path}: expected a readable file, found: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: expected TOML in UTF-8, found: {error}") from None
    return tables


# ---- secrets

_SECRET_NAME = re.compile(
    r"(?i:(?:^|_|-)keys?|api_?-?keys?|secret|token|password|passphrase|credentials?)$|[a-z]Key$"
)
_SECRET_VALUE = re.compile(r"://[^/@\s]*@|(?i:[?&][\w-]*(?:key|token|secret|password|signature|auth)=)")


def _refuse_secrets(value: Any, where: str, name: str) -> None:
    if isinstance(value, Mapping):
        for part, one in value.items():
            _refuse_secrets(one, where, f"{name}.{part}" if name else part)
    elif isinstance(value, list):
        for one in value:
            _refuse_secrets(one, where, name)
    if _SECRET_NAME.search(name.rpartition(".")[2]) or (
        isinstance(value, str) and _SECRET_VALUE.search(value)
    ):
        raise SettingsError(
            f"{where}: {name}: expected no key or password in this file, found one: put it into the environment, "
            "as ISOTHERM_FINNHUB_KEY or ISOTHERM_FINNHUB_KEY_FILE; `isotherm doctor` says which a venue needs"
        )


# ---- environment

Place = tuple[str, ...]


def _variables(
    markets: Collection[str], processes: Collection[str], feeds: Collection[str]
) -> Iterator[tuple[str, Place, Any]]:
    """Variable, place of the setting and its type. Addresses of venues and feeds: `connectors.endpoint`."""
    yield "ISOTHERM_DATA_DIR", ("data_dir",), str
    for table, kind in (("log", Log), ("store", Store), ("connect", Connect), ("board", Board)):
        for one in msgspec.structs.fields(kind):
            yield f"ISOTHERM_{table}_{one.name}".upper(), (table, one.name), one.type
    for name in processes:
        yield f"ISOTHERM_METRICS_{name.upper()}", ("metrics", name), Port
    for name in markets:
        yield f"ISOTHERM_{name.upper()}_ENABLED", ("venues", name, "enabled"), bool
        yield f"ISOTHERM_{name.upper()}_SYMBOLS", ("venues", name, "symbols"), tuple[Symbol, ...]
    for name in feeds:
        for one in msgspec.structs.fields(Polled):
            if one.name != "url":
                yield f"ISOTHERM_{name}_{one.name}".upper(), ("feeds", name, one.name), one.type


def _value(text: str, kind: Any, variable: str) -> Any:
    parts = [part.strip() for part in text.split(",")] if kind == tuple[Symbol, ...] else text
    try:
        return msgspec.to_builtins(msgspec.convert(parts, kind, strict=False))
    except msgspec.ValidationError as error:
        expected = _expected(str(error).partition(" - at ")[0])
        raise SettingsError(f"{variable}: {expected}, found {text[:80]!r}") from None


def _put(tables: dict[str, Any], place: Place, value: Any) -> None:
    table = tables
    for part in place[:-1]:
        if part not in table and place[0] in ("venues", "feeds") and part == place[1]:
            # Symbols alone do not make a market or feed followed.
            table[part] = {"enabled": False}
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return  # told by the conversion
    table[place[-1]] = value


# ---- to values


def _check_names(tables: Mapping[str, Any], table: str, known: Collection[str], where: str) -> None:
    found = tables.get(table, {})
    if not isinstance(found, dict):
        raise SettingsError(f"{where}: {table}: expected a table, found {_shown(found)}")
    if unknown := [name for name in found if name not in known]:
        raise SettingsError(
            f"{where}: {table}: expected one of {', '.join(sorted(known))}, found {unknown[0]!r}"
        )


def _convert(raw: Any, kind: Any, where: str, name: str) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {_explained(str(error), raw, kind, name)}") from None


def _explained(message: str, raw: Any, kind: Any, name: str) -> str:
    """The message of msgspec, with the setting's name first and what was found last."""
    said, _, at = message.partition(" - at ")
    steps = re.findall(r"[^.\[\]$`]+", at)
    full = ".".join(filter(None, [name, *steps])) or "settings"
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", said)
    if unknown:
        for step in steps:
            kind = next(one.type for one in msgspec.structs.fields(kind) if one.name == step)
        known = ", ".join(one.name for one in msgspec.structs.fields(kind))
        return f"{full}: expected one of {known}, found {unknown[1]!r}"
    for step in steps:
        raw = raw[int(step)] if isinstance(raw, list) else raw[step]
    return f"{full}: {_expected(said)}, found {_shown(raw)}"


def _shown(found: Any) -> str:
    return (
        "a table"
        if isinstance(found, dict)
        else "a list"
        if isinstance(found, list)
        else repr(str(found)[:80])
    )


def _expected(said: str) -> str:
    """What msgspec expected, in our words where it quotes a pattern."""
    if SPAN in said:
        return "expected a span such as 90s, 5m or 2h"
    if SYMBOL.replace("\\", "\\\\") in said or SYMBOL in said:
        return "expected a symbol as the venue writes it, such as BTCUSDT or BTC/USD"
    if PATH in said:
        return "expected a path without blanks, such as /export.ashx?v=111"
    text = said.partition(", got")[0].replace("`", "").replace(" | null", "")
    text = text.replace("object", "a table").replace("array", "a list")
    return text[:1].lower() + text[1:]
