"""Which processes `isotherm up` and `isotherm demo` start, and what they get to know."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.access import access
from connectors.endpoint import endpoint
from connectors.feed import feeds
from connectors.keys import Secret, key
from connectors.settings import Configuration, Polled, Settings, Venue
from connectors.simulator.half import DEMO_KEY
from connectors.venue import market, markets
from flows.up import SERVERS, SymbolError, listing, parts, simulated_markets, unplayed_s


def test_without_a_file_it_follows_what_it_has_no_key_to_need_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("ISOTHERM_FINNHUB_KEY", raising=False)
    monkeypatch.setenv("ISOTHERM_TWELVE_DATA_KEY", "given")
    found = {part.name: part for part in parts(tmp_path, None, 5006, simulated=False)}
    followed = found["connector"].arguments
    followed = followed[1 : followed.index("--data-dir")]
    assert {"binance_spot", "binance_futures", "twelve_data"} <= set(followed)
    assert "finnhub" not in followed
    assert all({**markets(), **feeds()}[name].by_default for name in followed)
    # Polled feeds that need no key, or have it; not those that tell history only.
    assert {"coingecko", "gecko_terminal", "twelve_data_rest"} <= set(followed)
    assert not {"coinmarketcap", "finnhub_rest", "finviz", "kraken_rest"} & set(followed)
    assert all(part.environment["ISOTHERM_CONFIG"] == "" for part in found.values())


def test_symbols_are_found_wherever_they_are_followed() -> None:
    every = ("binance_futures", "binance_spot", "bybit_linear", "kraken", "gemini")
    found = listing(["btc-usdt", "EUR-USD"], every)
    assert found == {
        "binance_futures": ("BTCUSDT",), "binance_spot": ("BTCUSDT",), "bybit_linear": ("BTCUSDT",),
        "kraken": ("EUR/USD",),
    }  # fmt: skip
    assert listing(["BTC/USD"], every) == {"kraken": ("BTC/USD",)}
    assert listing([], every) == dict.fromkeys(every, ())
    with pytest.raises(SymbolError, match="found NOPE: name it under"):
        listing(["BTCUSDT", "NOPE"], every)


def test_it_tells_each_venue_its_own_symbols(tmp_path: Path) -> None:
    (part,) = (x for x in parts(tmp_path, "BTC-USD", 5006, simulated=False) if x.name == "connector")
    followed = part.arguments[1 : part.arguments.index("--data-dir")]
    assert set(followed) - set(feeds()) == {"gemini", "kraken"}
    assert part.environment["ISOTHERM_KRAKEN_SYMBOLS"] == "BTC/USD"


def test_the_parts_read_the_same_file_and_follow_what_it_names(tmp_path: Path) -> None:
    venues = {"binance_futures": Venue(), "binance_spot": Venue(enabled=False)}
    chosen = Configuration(Path("isotherm.toml"), Settings(venues=venues))
    found = {part.name: part for part in parts(tmp_path, None, 5006, simulated=False, configuration=chosen)}
    assert found["connector"].arguments[:3] == ("connect", "binance_futures", "--data-dir")
    assert {part.environment["ISOTHERM_CONFIG"] for part in found.values()} == {
        str(Path("isotherm.toml").absolute())
    }


def test_a_simulated_market_is_kept_apart(tmp_path: Path) -> None:
    chosen = Configuration(Path("isotherm.toml"), Settings(venues={"binance_futures": Venue()}))
    for part in parts(tmp_path, "btcusdt", 5006, simulated=True, configuration=chosen):
        assert {part.environment[name] for name in ("ISOTHERM_CONFIG", *SERVERS)} == {""}
        if part.name == "connector":
            followed = part.arguments[1 : part.arguments.index("--data-dir")]
            assert {"binance_spot", "binance_futures", "coingecko"} <= set(followed) <= {*markets(), *feeds()}
            assert part.arguments[-2:] == ("--retry-cap", "5s")
            assert part.environment["ISOTHERM_BINANCE_SPOT_SYMBOLS"] == "BTCUSDT"
            assert "btcusdt" not in part.arguments


def test_feeds_alone_are_enough(tmp_path: Path) -> None:
    chosen = Configuration(Path("isotherm.toml"), Settings(feeds={"coingecko": Polled(plan="keyless")}))
    found = {part.name: part for part in parts(tmp_path, None, 5006, simulated=False, configuration=chosen)}
    assert found["connector"].arguments[:3] == ("connect", "coingecko", "--data-dir")


def test_every_market_can_be_simulated() -> None:
    assert set(simulated_markets(())) == {name for name, found in markets().items() if found.by_default}


def test_the_demo_sends_nothing_elsewhere_and_no_real_key(tmp_path: Path, monkeypatch) -> None:
    for env in [x.live.key_env for x in markets().values()] + [x.key_env for x in feeds().values()]:
        if env:
            monkeypatch.setenv(env, "pl4nted")
            monkeypatch.setenv(f"{env}_FILE", "/pl4nted")
    for name in feeds():
        monkeypatch.setenv(f"ISOTHERM_{name.upper()}_PLAN", "pro")
    (part,) = (x for x in parts(tmp_path, None, 5006, simulated=True) if x.name == "connector")
    environ = {**os.environ, **part.environment}
    named = part.arguments[1 : part.arguments.index("--data-dir")]
    assert {"coingecko", "coinmarketcap", "gecko_terminal", "alpha_vantage"} <= set(named)
    for name, found in feeds().items():
        if name in named or found.venue in named:
            way = access(found, environ)
            assert urlsplit(way.url).hostname == "127.0.0.1" and way.key in ("", DEMO_KEY)
    for name in set(named) - set(feeds()):
        reached = endpoint(market(name), environ)
        assert {urlsplit(url).hostname for url in reached} == {"127.0.0.1"}
        if env := market(name).live.key_env:
            assert key(env, environ) == Secret(DEMO_KEY)


def test_no_key_stands_in_the_arguments(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ISOTHERM_FINNHUB_KEY", "pl4nted")
    for simulated in (True, False):
        for part in parts(tmp_path, None, 5006, simulated=simulated):
            assert "pl4nted" not in " ".join(part.arguments)


def test_a_past_that_was_played_before_is_not_played_again(tmp_path: Path) -> None:
    assert unplayed_s(tmp_path, 900.0, 5000.0) == 900.0
    for at_s, partition in ((4000, 0), (4900, 1)):
        segment = tmp_path / "log" / "raw.kraken" / str(partition) / "0.log"
        segment.parent.mkdir(parents=True)
        segment.touch()
        os.utime(segment, (at_s, at_s))
    assert unplayed_s(tmp_path, 900.0, 5000.0) == 100.0
    assert unplayed_s(tmp_path, 60.0, 5000.0) == 60.0
    assert unplayed_s(tmp_path, 60.0, 4000.0) == 0.0
