"""By which way, key and plan a feed is asked."""

from dataclasses import replace

import pytest

from connectors.access import Access, access, is_open
from connectors.endpoint import EndpointError
from connectors.feed import Chosen, PlanError
from connectors.keys import KeyValueError
from connectors.settings import Polled
from tests.connectors.toy_feed import FREE, KEY_ENV, OPEN, PLANTED, toy

KEYED = {KEY_ENV: PLANTED}


def test_the_plan_is_that_of_the_key_unless_another_is_named() -> None:
    assert access(toy(), KEYED).plan == FREE and access(toy(), {}).plan == OPEN
    assert access(toy(), KEYED, Polled(plan="keyless")).plan == OPEN
    assert access(toy(), KEYED, Polled(plan="keyless")).key == ""  # it goes nowhere it is not needed
    assert access(toy(), KEYED).key == PLANTED and PLANTED not in repr(access(toy(), KEYED))
    with pytest.raises(PlanError, match="expected as plan of toy one of free, keyless, found 'gold'"):
        access(toy(), KEYED, Polled(plan="gold"))
    with pytest.raises(PlanError, match=KEY_ENV):
        access(toy(), {}, Polled(plan="free"))
    with pytest.raises(KeyValueError, match=KEY_ENV):
        access(toy(), {KEY_ENV: "two words"})


def test_what_is_chosen() -> None:
    feed = replace(toy(), symbols=("a", "b"))
    assert access(feed, {}).chosen == Chosen(OPEN, ("a", "b"))
    settings = Polled(symbols=("c",), every="10m", path="/x")
    assert access(feed, {}, settings).chosen == Chosen(OPEN, ("c",), 600.0, "/x")
    assert access(feed, {}, settings, ("d",)).chosen.symbols == ("d",)


def test_the_address() -> None:
    assert access(toy(), {}).url == "https://toy.example"
    settings = Polled(url="https://other.example/base/")
    assert access(toy(), {}, settings).url == "https://other.example/base"
    environ = {"ISOTHERM_TOY_URL": "http://127.0.0.1:8000/toy"}
    assert access(toy(), environ, settings).url == "http://127.0.0.1:8000/toy"
    for url in ("http://toy.example", "https://toy.example?x=1", "ftp://127.0.0.1"):
        with pytest.raises(EndpointError, match="ISOTHERM_TOY_URL: expected https://"):
            access(toy(), {"ISOTHERM_TOY_URL": url})
    with pytest.raises(EndpointError, match=r"feeds\.toy\.url: expected https://"):
        access(toy(), {}, Polled(url="http://toy.example"))


def test_an_account_is_one_key_over_all_feeds_that_share_it() -> None:
    def account(
        feed: str = "toy", key: str = PLANTED, url: str = "https://toy.example", env: str = KEY_ENV
    ) -> str:
        return Access(replace(toy(), name=feed, key_env=env), Chosen(FREE), url, key).account

    assert account() == account("other") == account(url="https://pro.example")
    assert account() != account(key="another") and account() != account(env="ISOTHERM_OTHER_KEY")
    assert PLANTED not in account() and "pl4nted" not in account()
    # Without a key it is the machine that is counted, at each address.
    assert account("other", "") == account("toy", "") != account("toy", "", "https://elsewhere.example")
    # Simulated vendors begin anew with each run, and share a host.
    assert account(url="http://127.0.0.1:1/toy") != account(url="http://127.0.0.1:2/toy")
    assert account(key="", url="http://127.0.0.1:1/a") != account(key="", url="http://127.0.0.1:1/b")
    assert account(url="http://127.0.0.1:1/a") == account(url="http://127.0.0.1:1/b")


def test_which_feeds_are_followed_where_none_is_named() -> None:
    keyed = replace(toy(), plans=(FREE,))
    assert is_open(toy(), {}) and not is_open(keyed, {})
    assert is_open(keyed, KEYED) and is_open(keyed, {f"{KEY_ENV}_FILE": "/a/file"})
    assert not is_open(replace(toy(), by_default=False), KEYED)
    assert not is_open(replace(toy(), polls=lambda _: []), KEYED)  # history only
