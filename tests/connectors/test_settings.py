"""The configuration file and the environment, as one value."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.settings import Polled, Settings, SettingsError, load, path_of
from connectors.venue import markets
from flows.commands import FLOWS
from tests.conftest import ROOT

MARKETS = ("binance_spot", "kraken", "twelve_data")
PROCESSES = ("connect", "depth")
WHOLE = """
data_dir = "data"

[log]
url = "kafka:a:9092,b:9092"
partitions = 8
keep = "7d"

[store]
clickhouse = "https://db:8443"

[connect]
retry_cap = "5s"

[board]
port = 5007

[metrics]
connect = 9101
depth = 9102

[venues.kraken]
symbols = ["BTC/USD", "EUR/USD", "xbteur", "OANDA:EUR_USD", "X:BTC-USD"]
ws = "wss://ws.example.org"
depth = 1000

[venues.binance_spot]
enabled = false

[feeds.coingecko]
plan = "pro"
url = "https://pro.example.org"
symbols = ["bitcoin", "ethereum"]
every = "10m"

[feeds.finviz]
enabled = false
path = "/export.ashx?v=111&f=cap_largeover"
"""
FEEDS = ("coingecko", "finviz", "alpha_vantage")


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "isotherm.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ or {}, MARKETS, PROCESSES, FEEDS)


def test_every_setting(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert (found.data_dir, found.log.url, found.log.partitions) == ("data", "kafka:a:9092,b:9092", 8)
    assert (found.log.keep, found.store.clickhouse, found.connect.retry_cap) == (
        "7d",
        "https://db:8443",
        "5s",
    )
    assert (found.board.port, found.metrics) == (5007, {"connect": 9101, "depth": 9102})
    assert found.followed == ("kraken", "coingecko")
    coingecko = found.feed("coingecko")
    assert (coingecko.plan, coingecko.url, coingecko.every) == ("pro", "https://pro.example.org", "10m")
    assert coingecko.symbols == ("bitcoin", "ethereum") and coingecko.path is None
    assert found.feed("finviz").path == "/export.ashx?v=111&f=cap_largeover"
    assert found.feed("alpha_vantage") == Polled()
    kraken = found.venue("kraken")
    assert kraken.symbols == ("BTC/USD", "EUR/USD", "xbteur", "OANDA:EUR_USD", "X:BTC-USD")
    assert (kraken.ws, kraken.rest) == ("wss://ws.example.org", None)
    assert kraken.depth == 1000
    assert found.venue("twelve_data").symbols == ()


def test_nothing_is_set_without_a_file() -> None:
    assert load(None, {}, MARKETS, PROCESSES) == Settings()


def test_the_environment_wins(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        WHOLE,
        {
            "ISOTHERM_DATA_DIR": "elsewhere",
            "ISOTHERM_LOG_URL": "",  # unset
            "ISOTHERM_LOG_PARTITIONS": "2",
            "ISOTHERM_BOARD_PORT": "5008",
            "ISOTHERM_METRICS_DEPTH": "9999",
            "ISOTHERM_KRAKEN_SYMBOLS": "ETH/USD, SOL/USD",
            "ISOTHERM_BINANCE_SPOT_ENABLED": "true",
            "ISOTHERM_TWELVE_DATA_SYMBOLS": "EUR/USD",
            "ISOTHERM_COINGECKO_PLAN": "demo",
            "ISOTHERM_COINGECKO_ENABLED": "false",
            "ISOTHERM_ALPHA_VANTAGE_SYMBOLS": "EUR/USD,IBM",
            "ISOTHERM_ALPHA_VANTAGE_EVERY": "1h",
            "ISOTHERM_FINVIZ_ENABLED": "true",
            "ISOTHERM_FINVIZ_PATH": "/export.ashx?v=152",
        },
    )
    assert (found.data_dir, found.log.url, found.log.partitions) == ("elsewhere", "kafka:a:9092,b:9092", 2)
    assert (found.board.port, found.metrics) == (5008, {"connect": 9101, "depth": 9999})
    assert found.venue("kraken").symbols == ("ETH/USD", "SOL/USD")
    # Symbols alone do not make a market or feed followed.
    assert found.followed == ("kraken", "binance_spot", "finviz")
    assert (found.feed("coingecko").plan, found.feed("coingecko").every) == ("demo", "10m")
    assert found.feed("alpha_vantage") == Polled(enabled=False, symbols=("EUR/USD", "IBM"), every="1h")
    assert found.feed("finviz").path == "/export.ashx?v=152"
    assert found.venue("twelve_data").symbols == ("EUR/USD",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datadir = 'x'", "settings: expected one of data_dir, log, store, connect, board, metrics, venues, feeds,"),
        ("[log]\nurls = 'x'", "log: expected one of url, partitions, keep, found 'urls'"),
        ("[log]\npartitions = 'four'", "log.partitions: expected int, found 'four'"),
        ("[log]\npartitions = 0", "log.partitions: expected int >= 1, found '0'"),
        ("[log]\nkeep = 'soon'", "log.keep: expected a span such as 90s, 5m or 2h, found 'soon'"),
        ("log = 3", "log: expected a table, found '3'"),
        ("[board]\nport = 70000", "board.port: expected int <= 65535, found '70000'"),
        ("[metrics]\ndepth = true", "metrics.depth: expected int, found 'True'"),
        ("[metrics]\ndeep = 1", "metrics: expected one of connect, depth, found 'deep'"),
        ("metrics = 3", "metrics: expected a table, found '3'"),
        ("[venues.krakn]", "venues: expected one of binance_spot, kraken, twelve_data, found 'krakn'"),
        ("venues = ['kraken']", "venues: expected a table, found a list"),
        ("venues.kraken = 'BTC/USD'", "venues.kraken: expected a table, found 'BTC/USD'"),
        ("[venues.kraken]\nsymbol = 'x'", "venues.kraken: expected one of enabled, symbols, ws, rest, depth, found"),
        ("[venues.kraken]\nsymbols = 'BTC/USD'", "venues.kraken.symbols: expected a list, found 'BTC/USD'"),
        ("[venues.kraken]\nsymbols = ['A', 'B C']", "venues.kraken.symbols.1: expected a symbol as the venue"),
        ("[venues.kraken]\ndepth = 1.5", "venues.kraken.depth: expected int, found '1.5'"),
        ("[venues.kraken]\ndepth = 0", "venues.kraken.depth: expected int >= 1, found '0'"),
        ("[venues.kraken]\nenabled = 1", "venues.kraken.enabled: expected bool, found '1'"),
        ("[feeds.coingeko]", "feeds: expected one of alpha_vantage, coingecko, finviz, found 'coingeko'"),
        ("feeds = 3", "feeds: expected a table, found '3'"),
        ("[feeds.finviz]\npath = 'export'", "feeds.finviz.path: expected a path without blanks"),
        ("[feeds.finviz]\nevery = 'often'", "feeds.finviz.every: expected a span such as 90s"),
        ("[feeds.finviz]\nws = 'x'", "feeds.finviz: expected one of enabled, plan, url, symbols, every, path, found"),
        ("a = ", "expected TOML in UTF-8, found: "),
        ("a = 1\na = 2", "expected TOML in UTF-8, found: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_setting(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'isotherm.toml'}: {said}"), refused.value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ISOTHERM_LOG_PARTITIONS", "four", "expected int, found 'four'"),
        ("ISOTHERM_LOG_KEEP", "soon", "expected a span such as 90s, 5m or 2h, found 'soon'"),
        ("ISOTHERM_KRAKEN_SYMBOLS", "BTC/USD,,", "expected a symbol as the venue writes it"),
        ("ISOTHERM_KRAKEN_ENABLED", "maybe", "expected bool, found 'maybe'"),
    ],
)
def test_a_wrong_variable_is_told(tmp_path: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: {re.escape(said)}"):
        read(tmp_path, WHOLE, {name: value})


@pytest.mark.parametrize(
    "text",
    [
        "[venues.twelve_data]\nkey = 'pl4nted'",
        "[venues.twelve_data]\napi_key = 'pl4nted'",
        "[venues.twelve_data]\napiKey = 'pl4nted'",
        "[venues.twelve_data.more]\ntoken = 'pl4nted'",
        "[venues.twelve_data]\nws = 'wss://ws.twelvedata.com/v1/quotes/price?apikey=pl4nted'",
        "[venues.twelve_data]\nrest = 'https://me:pl4nted@api.twelvedata.com'",
        "[keys]\ntwelve_data = 'pl4nted'",
        "[store]\npassword = 'pl4nted'",
        "[store]\nclickhouse = 'https://writer:pl4nted@db:8443'",
        "ISOTHERM_TWELVE_DATA_KEY = 'pl4nted'",
        "[[list]]\nsecret = 'pl4nted'",
        "[feeds.coingecko]\nkey = 'pl4nted'",
        "[feeds.finviz]\npath = '/export.ashx?v=111&auth=pl4nted'",
        "[feeds.coingecko]\nurl = 'https://x.example?x_cg_demo_api_key=pl4nted'",
        "venues = ['https://me:pl4nted@host']",
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"expected no key or password in this file.*environment"
    ) as refused:
        read(tmp_path, text)
    assert "pl4nted" not in str(refused.value)


def test_a_key_in_a_path_is_refused_in_the_environment_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="environment: ISOTHERM_FINVIZ_PATH: expected no key") as refused:
        read(tmp_path, "", {"ISOTHERM_FINVIZ_PATH": "/export.ashx?auth=pl4nted"})
    assert "pl4nted" not in str(refused.value)


def test_feeds_alone_are_enough(tmp_path: Path) -> None:
    assert read(tmp_path, "[feeds.coingecko]").followed == ("coingecko",)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    for path, said in [(tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(SettingsError, match=said):
            load(path, {}, MARKETS, PROCESSES)
    for content, said in [
        (b"\xff", "UTF-8"),
        (b"a=" + b"[" * 100_000, "TOML"),
        (b"a." * 5000 + b"a = 1", "TOML"),
        (b"#" * (2 << 20), "at most"),
    ]:
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(SettingsError, match=said):
            load(tmp_path / "bad.toml", {}, MARKETS, PROCESSES)


NAMES = [
    "data_dir",
    "log",
    "store",
    "connect",
    "board",
    "metrics",
    "venues",
    "url",
    "partitions",
    "keep",
    "kraken",
]
NAMES += ["depth", "symbols", "ws", "enabled"]


def tables(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | tables(inner),
        max_leaves=12,
    ).flatmap(lambda value: tables(st.just(value)))
)
def test_no_content_raises_anything_else(content: dict[str, object]) -> None:
    try:
        found = _loaded(content)
    except SettingsError:
        return
    assert msgspec.convert(msgspec.to_builtins(found), Settings) == found


def _loaded(content: dict[str, object]) -> Settings:
    """As `load` does with a file that holds this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.settings._read", lambda path: content)
        return load(Path("x.toml"), {}, MARKETS, PROCESSES)


def test_which_file(tmp_path: Path) -> None:
    given_one = Path("given.toml")
    assert path_of(None, {}, tmp_path) is None
    assert path_of(given_one, {"ISOTHERM_CONFIG": "e.toml"}, tmp_path) == given_one
    assert path_of(None, {"ISOTHERM_CONFIG": "e.toml"}, tmp_path) == Path("e.toml")
    (tmp_path / "isotherm.toml").touch()
    assert path_of(None, {}, tmp_path) == tmp_path / "isotherm.toml"
    assert path_of(None, {"ISOTHERM_CONFIG": ""}, tmp_path) is None


EXAMPLE_FEEDS = ("coingecko", "finviz")
EXAMPLE = (ROOT / "isotherm.example.toml").read_text(encoding="utf-8")


def test_the_example_sets_nothing_until_uncommented() -> None:
    assert (
        load(ROOT / "isotherm.example.toml", {}, markets(), ("connect", *FLOWS), EXAMPLE_FEEDS) == Settings()
    )


def test_the_example_shows_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "isotherm.toml"
    path.write_text(re.sub(r"^#(?=[a-z\[])", "", EXAMPLE, flags=re.M), encoding="utf-8")
    found = msgspec.to_builtins(load(path, {}, markets(), ("connect", *FLOWS), EXAMPLE_FEEDS))
    missing = [
        f"{name}.{key}"
        for name in ("log", "store", "connect", "board")
        for key, value in found[name].items()
        if value is None
    ]
    assert missing == []
    assert found["data_dir"] and set(found["metrics"]) == {"connect", *FLOWS}
    ((name, venue),) = found["venues"].items()
    assert None not in venue.values() and venue["symbols"]
    live = markets()[name].live
    assert (venue["ws"], venue["rest"]) == (live.ws_url, live.rest_url)
    shown = {name for feed in found["feeds"].values() for name, value in feed.items() if value}
    assert shown == set(Polled.__struct_fields__) and set(found["feeds"]) == set(EXAMPLE_FEEDS)
