"""Keys come from the environment, and nothing shows them."""

import copy
import io
import json
import pickle
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from connectors.keys import KeyValueError, RedactedStream, Redactor, Secret, key, secrets_of

NAME = "ISOTHERM_FINNHUB_KEY"
PLANTED = "c9q2+Zk/7w==$%"

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=4, max_size=40)


def test_a_secret_does_not_show_its_value() -> None:
    secret = Secret(PLANTED)
    shown = [repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})]
    assert all("***" in one and PLANTED not in one for one in shown)
    assert secret.reveal() == PLANTED
    with pytest.raises(TypeError):
        json.dumps(secret)
    for copied in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="environment"):
            copied(secret)
    assert not hasattr(secret, "__dict__")


def test_a_key_is_the_variable_or_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{PLANTED}\n")
    assert key(NAME, {}) is None
    assert key(NAME, {NAME: ""}) is None
    assert key(NAME, {NAME: PLANTED}) == Secret(PLANTED)
    assert key(NAME, {f"{NAME}_FILE": str(tmp_path / "key")}) == Secret(PLANTED)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({NAME: PLANTED, f"{NAME}_FILE": "/x"}, "found both"),
        ({f"{NAME}_FILE": "/nowhere"}, "readable text file at /nowhere"),
        ({f"{NAME}_FILE": "/"}, "readable text file at /"),
        ({NAME: f"{PLANTED}\r\nX-Header: 1"}, "without blanks"),
        ({NAME: f"{PLANTED}é"}, "printable ASCII"),
        ({NAME: PLANTED * 100}, "up to 512"),
    ],
)
def test_what_is_no_key_is_told_without_its_value(environ: dict[str, str], said: str) -> None:
    with pytest.raises(KeyValueError, match=said) as refused:
        key(NAME, environ)
    assert NAME in str(refused.value) and PLANTED not in str(refused.value)


def test_the_secrets_are_those_of_keys_and_passwords_and_their_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in a file\n")
    found = secrets_of(
        {
            NAME: "one",
            "ISOTHERM_CLICKHOUSE_PASSWORD": "two",
            "ISOTHERM_KAFKA_SSL_KEY_PASSWORD": "three",
            "ISOTHERM_WEBHOOK_SECRET": "four",
            "ISOTHERM_MASSIVE_KEY_FILE": str(tmp_path / "key"),
            "ISOTHERM_TWELVE_DATA_KEY_FILE": str(tmp_path / "none"),
            "ISOTHERM_DATA_DIR": "data",
            "ISOTHERM_GEMINI_KEY": "",
            "HOME_KEY": "five",
        }
    )
    assert {one.reveal() for one in found} == {"one", "two", "three", "four", "in a file"}


@given(texts)
@example(PLANTED)
@example("back\\slash'\"quote")
@example("naïve café ☕ 𝄞")
@example("----")
def test_a_redactor_finds_a_secret_however_it_is_written(value: str) -> None:
    redactor = Redactor([Secret(value)])
    forms = {
        value,
        repr(value)[1:-1],
        ascii(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(json.dumps(value))[3:-3],
        quote(value),
        quote(value, safe=""),
        urlencode({"token": value}).removeprefix("token="),
        URL("wss://host/").with_query(apikey=value).raw_query_string.removeprefix("apikey="),
    }
    for form in forms:
        assert redactor.text(f"GET <{form}> failed") == "GET <***> failed", form


@given(st.lists(texts, max_size=4), texts)
def test_a_redactor_leaves_everything_else(values: list[str], text: str) -> None:
    redactor = Redactor([Secret(f"{value}\x00") for value in values])
    assert redactor.text(text) == text


def test_a_secret_that_begins_another_leaves_no_rest() -> None:
    assert Redactor([Secret("abcd"), Secret("abcdefgh")]).text("abcdefgh abcd") == "*** ***"


def test_too_short_a_value_does_not_eat_the_words() -> None:
    assert Redactor([Secret("a")]).text("a cat") == "a cat"


def test_no_field_of_a_log_event_keeps_it() -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[Redactor([Secret(PLANTED)]), structlog.processors.JSONRenderer()],
    )
    log.warning(
        f"failed with {PLANTED}",
        url=URL("wss://host/?apikey=" + quote(PLANTED)),
        error=ValueError(f"bad {PLANTED}"),
        deep={"list": [1, (PLANTED, 2.5)], PLANTED: b"x" + PLANTED.encode()},
        kept=7,
        secret=Secret(PLANTED),
    )
    said = json.loads(out.getvalue())
    assert PLANTED not in out.getvalue() and "c9q2" not in out.getvalue()
    assert said["kept"] == 7 and said["deep"]["list"] == [1, ["***", 2.5]]
    assert said["url"] == "wss://host/?apikey=***"


def test_a_redacted_stream_passes_on_the_rest() -> None:
    out = io.StringIO()
    stream = RedactedStream(out, Redactor([Secret(PLANTED)]))
    print("before", PLANTED, "after", file=stream)  # type: ignore[call-overload]
    assert out.getvalue() == "before *** after\n"
    assert stream.writable() and not stream.isatty()
