"""What is judged of an alert: its form, its secret, its sender, whether it was heard before."""

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.alert import (
    TRADINGVIEW,
    Deliveries,
    Gate,
    Lockout,
    SecretError,
    SourceError,
    Sources,
    _address,
    fields,
    key_of,
    networks,
)  # fmt: skip
from connectors.keys import Secret

PLANTED = "c9q2+Zk/7w==$%aa"
ALERT = {"exchange": "BINANCE", "ticker": "BTCUSDT", "interval": "5", "close": "81230.10"}


def gate(secret: str = PLANTED) -> Gate:
    return Gate(Secret(secret))


def test_the_field_is_cut_and_every_other_byte_of_json_stays() -> None:
    body = b'{ "a": 1.10, "secret": %s, "b":"\\u00e9 {{plot_0}}" }' % json.dumps(PLANTED).encode()
    assert gate().open(body) == b'{"a":1.10,"b":"\\u00e9 {{plot_0}}"}'
    assert gate().open(b' {"a": 1.10} ', PLANTED) == b'{"a": 1.10}'


def test_a_wrong_or_missing_secret_opens_nothing() -> None:
    for wrong in ("", PLANTED[:-1], PLANTED + "x", PLANTED.upper()):
        assert gate().open(json.dumps(ALERT | {"secret": wrong}).encode()) is None
        assert gate().open(b"BTC crosses", wrong) is None
        assert gate().open(urlencode({"secret": wrong, "ticker": "X"}).encode()) is None
    assert gate().open(b"secret=" + PLANTED.encode() + b"x hello") is None
    assert gate().open(b"") is None
    for odd in (
        b'{"secret":null}',
        b'{"secret":{"secret":1}}',
        b'{"secret":12}',
        b"[]",
        b"{",
        b"\xff\xfe",
        b"{{secret}}",
    ):
        assert gate().open(odd) is None


def test_a_secret_is_cut_wherever_it_stands_and_however_it_is_escaped() -> None:
    """Names that come twice, JSON that is an array or broken, a text within a text, a form."""
    secret = "abc0def1ghi2/%x"
    escaped = "".join(f"\\u{ord(x):04X}" for x in secret)
    in_url = "".join(f"%{ord(x):02x}" for x in secret)
    twice_in_url = in_url.replace("%", "%25")
    for body in (
        f'{{"a":"{secret}","a":"b"}}', f'{{"x":{{"a":"{escaped}","a":"b"}}}}', f'["{escaped}"]', f'"{escaped}"',
        f'{{"a":"{escaped}", {{{{plot}}}}', json.dumps({"a": f'{{"b":"{escaped}"}}'}), f"a={in_url}&b=1",
        f"{in_url}=1", f"a={twice_in_url}", f"x {secret} y",
    ):  # fmt: skip
        bare = gate(secret).open(body.encode(), secret)
        assert bare is not None and b"***" in bare, body
        for form in (secret, escaped, in_url, twice_in_url):
            assert form.encode() not in bare, body
    body = f'{{"secret":"{secret}","x":{{"a":"{secret}","a":1}}}}'
    assert gate(secret).open(body.encode()) == b'{"x":{"a":"***","a":1}}'


def test_a_secret_written_as_a_number_counts() -> None:
    assert gate("123456789012").open(b'{"secret":123456789012,"n":123456789012}') == b'{"n":"***"}'


SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'\\"), min_size=12, max_size=30
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.dictionaries(
        TEXTS.filter(lambda x: x != "secret"),
        TEXTS | st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        max_size=5,
    ),
    SECRETS,
    st.sampled_from(["json", "ascii", "form", "wrapped", "text", "broken"]),
)
def test_the_secret_is_nowhere_in_what_is_let_in(alert: dict[str, object], secret: str, form: str) -> None:
    alert = alert | {"ticker": "X", "again": f"<{secret}>", "deep": [{"k": secret}]}
    whole = alert | {"secret": secret}
    body = {
        "json": json.dumps(whole, ensure_ascii=False),
        "ascii": json.dumps(whole),
        "form": urlencode({"secret": secret, "again": secret, "ticker": "X"}),
        "wrapped": quote(json.dumps(whole)) + "=",
        "text": f"secret: {secret} buy\n{secret}!",
        "broken": f'{{"close": {{{{close}}}}, "secret": "{secret}", "again": "{secret}"}}',
    }[form]  # fmt: skip
    bare = gate(secret).open(body.encode())
    assert bare is not None
    assert secret.encode() not in bare
    assert secret not in repr(fields(bare))
    if form in ("json", "ascii", "wrapped"):
        found = json.loads(bare)
        assert found.keys() == {x.replace(secret, "***") for x in alert}
        assert found["again"] == "<***>"
    if form == "form":
        assert fields(bare) == {"again": "***", "ticker": "X"}
    if form == "broken":
        assert b"{{close}}" in bare


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes_are_judged_without_an_error(body: bytes, in_path: str) -> None:
    assert gate().open(body, in_path) is None
    assert gate().open(body, PLANTED) is not None
    fields(body)


def test_secrets_that_cannot_be_are_refused_without_being_shown() -> None:
    with pytest.raises(SecretError, match="at least 12") as error:
        gate("s3same")
    assert "s3same" not in str(error.value)
    with pytest.raises(SecretError, match="no quotes") as error:
        gate('s3same-s3same"')
    assert "s3same" not in str(error.value)


def test_the_key_is_the_ticker_or_one_that_stands_for_none() -> None:
    assert key_of(json.dumps(ALERT).encode()) == b"BTCUSDT"
    assert key_of(b"ticker=BTCUSDT.P&x=") == b"BTCUSDT.P"
    for body in (b"buy", b'{"ticker":7}', b'{"ticker":"a b"}', b'{"ticker":"{{ticker}}"}'):
        assert key_of(body) == b"tradingview"


# ---- the sender


def test_a_forwarded_address_is_believed_from_the_proxy_only() -> None:
    sources = Sources(networks(["tradingview"]), networks(["127.0.0.1", "10.0.0.0/8"]))
    theirs = TRADINGVIEW[0]
    assert sources.allows(sources.of(theirs))
    assert sources.allows(sources.of(f"::ffff:{theirs}"))
    assert sources.allows(sources.of("127.0.0.1", [theirs]))
    assert sources.allows(sources.of("127.0.0.1", [f"6.6.6.6, {theirs}:4711", "10.0.0.9"]))
    # A stranger that writes the header, without and through the proxy.
    assert not sources.allows(sources.of("6.6.6.6", [theirs]))
    assert not sources.allows(sources.of("127.0.0.1", [f"{theirs}, 6.6.6.6"]))
    # Nobody told, or nonsense.
    for peer, forwarded in (
        ("127.0.0.1", []),
        ("127.0.0.1", [f"{theirs}, who"]),
        (None, [theirs]),
        ("", [theirs]),
    ):
        assert not sources.allows(sources.of(peer, forwarded))
    assert str(_address("[2001:db8::1]:443")) == "2001:db8::1"


def test_allow_lists_are_of_addresses_and_networks() -> None:
    assert Sources(networks(["192.168.0.0/16"])).allows(_address("192.168.3.4"))
    with pytest.raises(SourceError, match="expected an address"):
        networks(["example.com"])


def test_wrong_secrets_lock_a_source_out_for_a_minute_but_never_tradingviews_own() -> None:
    lockout = Lockout(wrong_max=3, sources_max=2)
    stranger, theirs = _address("9.9.9.9"), _address(TRADINGVIEW[1])
    assert stranger is not None and theirs is not None
    for n in range(3):
        assert not lockout.holds(stranger, n)
        lockout.wrong(stranger, n)
        lockout.wrong(theirs, n)
    assert lockout.holds(stranger, Lockout.SPAN_NS)
    assert not lockout.holds(theirs, 3)
    assert not lockout.holds(stranger, Lockout.SPAN_NS + 1)


def test_an_alert_is_the_same_within_the_span_of_its_first_delivery() -> None:
    deliveries = Deliveries(span_ns=10, count_max=2)
    assert deliveries.find(b"a", 0) is None
    deliveries.take(b"a", 0, None)
    assert deliveries.find(b"b", 5) is None
    deliveries.take(b"b", 5, None)
    assert deliveries.full
    assert deliveries.find(b"a", 10) is not None
    assert deliveries.find(b"a", 11) is None
    assert not deliveries.full
    assert deliveries.find(b"b", 15) is not None
