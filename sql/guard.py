"""What a user of the embedded store may say: the rules, without the engine.

On a server the same is done by the roles and profiles of `access/`. chDB has no users, so here the front maps
each user to a profile, and the rules are held in three places, each of which would do for most of them: the
engine's grants (`sql.engine`: only database market, no files, no network), the settings of the handle a
statement runs on (readonly, limits), and these checks, for what the other two let through. As tried with chDB
4.4 (November 2026), a read-only handle still runs `INTO OUTFILE`, the function `file()`, the table functions
`python()` and `eval()`, `KILL QUERY` and `SET profile`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

STATEMENT_BYTES_MAX = 128 << 10
MEMORY_BYTES = 4_000_000_000  # of the engine, for all statements together
READS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN"})
DEFINES = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "OPTIMIZE", "RENAME"})

# Formats that touch no file; those that read a schema or a template from one are left out.
_NAMES = "", "WithNames", "WithNamesAndTypes"
FORMATS = frozenset(
    {
        base + names
        for base in ("TabSeparated", "TSV", "CSV", "RowBinary", "JSONCompactEachRow")
        for names in _NAMES
    }
    | {
        "Native",
        "TabSeparatedRaw",
        "TSVRaw",
        "Values",
        "Vertical",
        "Null",
        "LineAsString",
        "RawBLOB",
        "XML",
        "Markdown",
    }
    | {"JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONEachRow", "JSONLines", "NDJSON"}
    | {
        "Pretty",
        "PrettyCompact",
        "PrettyCompactMonoBlock",
        "PrettySpace",
        "PrettyNoEscapes",
        "PrettyCompactNoEscapes",
    }
    | {"Parquet", "Arrow", "ArrowStream"}
)
# Table functions that make up their rows or only wrap a SELECT that is in the statement for all to see.
# Every other one the engine has is refused, those of coming versions too.
HARMLESS_TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "values", "view", "null", "format"}
    | {"generate_series", "generateseries", "generaterandom"}
)
# Functions that read files, call out, or look into the process. They are refused as words, not as calls:
# `arrayMap(file, ...)` and `APPLY file` call them too.
REFUSED_FUNCTIONS = frozenset(
    {"file", "addresstoline", "addresstolinewithinlines", "addresstosymbol", "demangle", "logtrace", "tid"}
    | {
        "airedact",
        "aisimilarity",
        "aifilter",
        "aiclassify",
        "aiembed",
        "aiextract",
        "aigenerate",
        "aitranslate",
    }
    | {"evalmlmethod", "mergetreepartinfo", "ismergetreepartcoveredby"}
)
REFUSED_WORDS = re.compile(
    r"\bINTO\s+OUTFILE\b|\bFROM\s+INFILE\b|\bPARALLEL\s+WITH\b|format_schema|format_template", re.IGNORECASE
)

# How long and how much; a client may ask for less, never for more.
BOUNDED = frozenset(
    {
        "max_execution_time",
        "max_memory_usage",
        "max_result_rows",
        "max_result_bytes",
        "max_rows_to_read",
        "max_threads",
    }
)
FREE = frozenset(
    {"cast_string_to_dynamic_use_inference", "date_time_output_format", "join_use_nulls", "session_timezone"}
    | {"output_format_json_quote_64bit_integers", "output_format_json_quote_denormals"}
)
# Asked for by clients, and either true of the front anyway or about something it does not have.
IGNORED = frozenset(
    {"async_insert", "wait_for_async_insert", "cancel_http_readonly_queries_on_client_close", "log_queries"}
    | {"date_time_input_format", "use_query_cache"}
)


class RefusedError(Exception):
    """A statement or setting that this user may not use; `code` is ClickHouse's error number."""

    def __init__(self, message: str, code: int = 497):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of user may do; `settings` stand on every handle its statements run on."""

    kinds: frozenset[str]
    settings: Mapping[str, int | str]


_READER: dict[str, int | str] = {
    "max_result_bytes": 1 << 28,
    "max_rows_to_read": 5_000_000_000,
    "max_threads": 4,
    "result_overflow_mode": "throw",
    "read_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    # Readers never see a row that a later version has corrected, FINAL written or not.
    "final": 1,
    "do_not_merge_across_partitions_select_final": 1,
    "readonly": 1,
}
_WRITER: dict[str, int | str] = {
    # VALUES would otherwise evaluate expressions in the data, which nobody has looked at.
    "input_format_values_interpret_expressions": 0,
    "input_format_values_deduce_templates_of_expressions": 0,
    "max_execution_time": 600,
    "max_memory_usage": 3_000_000_000,
    # Read from a file, a few thousand trades may lie in as many days: refused, the flow could never go on.
    "max_partitions_per_insert_block": 0,
}
PROFILES = {
    "admin": Profile(READS | {"INSERT"} | DEFINES, _WRITER),
    "writer": Profile(READS | {"INSERT"}, _WRITER | {"allow_ddl": 0}),
    "analyst": Profile(
        READS,
        _READER | {"max_execution_time": 60, "max_memory_usage": 2_000_000_000, "max_result_rows": 5_000_000},
    ),
    "board": Profile(
        READS,
        _READER | {"max_execution_time": 20, "max_memory_usage": 1_000_000_000, "max_result_rows": 1_000_000},
    ),
}


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that brings its rows along: where to, in which format, and where in the text they begin."""

    head: str
    format: str
    data_at: int


_NAME = rb"(?:\w+|`[\w .-]+`|\"[\w .-]+\")"
_INSERT = re.compile(
    rb"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>%(name)s(?:\.%(name)s)?)\s*"
    rb"(?P<columns>\(\s*%(name)s(?:\s*,\s*%(name)s)*\s*\))?\s*"
    rb"(?:FORMAT\s+(?P<format>\w+)(?:[ \t]*\r?\n|[ \t]+|;?\Z)|(?P<values>VALUES)\b)" % {b"name": _NAME},
    re.IGNORECASE,
)


def rows_along(text: bytes) -> Insert | None:
    """Takes an INSERT with rows in its text apart; None for every other statement.

    Only names may stand in it: no function, no SELECT, no SETTINGS. The data is never read as SQL.

    Raises:
        RefusedError: a format that may not be used.
    """
    found = _INSERT.match(text, 0, STATEMENT_BYTES_MAX)
    if found is None:
        return None
    input_format = "Values" if found["values"] else found["format"].decode()
    if input_format.upper() == "VALUES":
        input_format = "Values"
    _check_format(input_format)
    head = f"INSERT INTO {found['table'].decode()} {(found['columns'] or b'').decode()}".rstrip()
    return Insert(head, input_format, found.end())


def decode(text: bytes) -> str:
    """The statement as text. Raises RefusedError if it is too long or no UTF-8."""
    if len(text) > STATEMENT_BYTES_MAX:
        raise RefusedError(f"statement of {len(text)} bytes: at most {STATEMENT_BYTES_MAX} expected", 62)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"statement is no UTF-8: {error}", 62) from None


def check(normal: str, kinds: Collection[str], table_functions: Collection[str]) -> str:
    """The kind (first word) of a statement, if all in it is allowed.

    `normal` is the statement as the engine's formatQuerySingleLine writes it: one statement, no comments,
    keywords in capitals, one kind of quote and escape. Only this text is run, never the one it came from.

    Raises:
        RefusedError: it is not allowed.
    """
    kind = (re.match(r"\(*(\w*)", normal) or [""])[1].upper()
    if kind not in kinds:
        raise RefusedError(f"{kind or 'such'} statements: expected one of {', '.join(sorted(kinds))}", 164)
    bare = _without_strings(normal)
    if found := REFUSED_WORDS.search(bare):
        raise RefusedError(f"{found[0]}: the store reads and writes no files for its users")
    for name in _refused_functions(bare, table_functions):
        raise RefusedError(f"function {name}: the store reaches no files, programs or network for its users")
    for name in re.findall(r"\bFORMAT (\w+)", bare):
        _check_format(name)
    # On a read-only handle the engine refuses SETTINGS at the end of a statement, but not in a subquery.
    if "INSERT" not in kinds and re.search(r"\bSETTINGS \w+ = ", bare):
        raise RefusedError("SETTINGS in a statement: expected them as parameters of the request", 164)
    if kind == "INSERT" and "SELECT" not in bare:
        raise RefusedError(
            "INSERT: expected INSERT INTO table (columns) VALUES or FORMAT, or INSERT ... SELECT", 62
        )
    return kind


def _refused_functions(bare: str, table_functions: Collection[str]) -> list[str]:
    words = [word for word in re.findall(r"\w+", bare) if word.lower() in REFUSED_FUNCTIONS]
    tables = {name.lower() for name in table_functions} - HARMLESS_TABLE_FUNCTIONS
    return words + [name for name in re.findall(r"(\w+)\s*\(", bare) if name.lower() in tables]


def output_format(normal: str, default: str) -> str:
    """The format a statement that passed `check` answers in. Raises RefusedError."""
    found = re.search(r"\bFORMAT (\w+)", _without_strings(normal))
    name = found[1] if found else default
    _check_format(name)
    return name


def settings(profile: Profile, asked: Mapping[str, str]) -> dict[str, int | str]:
    """The settings of a handle: the profile's, with what the client asked for where it may.

    Raises:
        RefusedError: it asked for one that it may not change, or for a bound that is no number.
    """
    out = dict(profile.settings)
    for name, value in asked.items():
        if name in BOUNDED:
            out[name] = _bounded(name, value, profile.settings.get(name))
        elif name in FREE:
            out[name] = value
        elif name not in IGNORED:
            raise RefusedError(
                f"setting {name} may not be changed: allowed are {', '.join(sorted(BOUNDED | FREE))}", 452
            )
    return out


def _bounded(name: str, value: str, limit: int | str | None) -> int:
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        raise RefusedError(f"setting {name}={value!r}: expected a number", 27) from None
    if not isinstance(limit, int):
        return max(number, 0)
    return min(number, limit) if number > 0 else limit


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise RefusedError(f"format {name}: expected one of {', '.join(sorted(FORMATS))}", 73)


def _without_strings(normal: str) -> str:
    """`normal` with `?` for every string and `_` for every quoted name that is more than a word.

    One pass from left to right: a quote within the other kind of quotes begins nothing.
    """
    quoted = re.compile(r"'(?:[^'\\]|\\.)*'|`(?P<name>(?:[^`\\]|\\.)*)`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
    bare = quoted.sub(_stand_in, normal)
    if re.search(r"['`\"]", bare):
        raise RefusedError("this statement's quotes cannot be told apart", 62)
    return bare


def _stand_in(quoted: re.Match[str]) -> str:
    name = quoted["name"]
    if name is None:
        return "?"
    return name if re.fullmatch(r"\w+", name) else "_"
