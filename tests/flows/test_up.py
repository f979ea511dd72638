"""Which processes `isotherm up` and `isotherm demo` start, and what they get to know."""

from pathlib import Path

from connectors.settings import Configuration, Settings, Venue
from flows.up import SERVERS, parts


def test_without_a_file_it_follows_binance(tmp_path: Path) -> None:
    found = {part.name: part for part in parts(tmp_path, None, 5006, simulated=False)}
    assert found["connector"].arguments[:3] == ("connect", "binance_spot", "binance_futures")
    assert all(part.environment["ISOTHERM_CONFIG"] == "" for part in found.values())


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
            assert part.arguments[:3] == ("connect", "binance_spot", "binance_futures")
            assert part.arguments[-4:] == ("--retry-cap", "5s", "--symbols", "BTCUSDT")


def test_no_key_stands_in_the_arguments(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ISOTHERM_FINNHUB_KEY", "pl4nted")
    for simulated in (True, False):
        for part in parts(tmp_path, None, 5006, simulated=simulated):
            assert "pl4nted" not in " ".join(part.arguments)
