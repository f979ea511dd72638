"""Alerts that TradingView pushes: what they hold, and what is judged of one before it is written. Pure.

An alert is whatever text its owner wrote, with placeholders filled in: JSON where that came out as JSON, a form where
something between encoded it so, else text. It is judged by its bytes; the header is not believed.

TradingView sends no headers of the user's choice, so the secret stands in the body's field `secret` or in the path.
https://www.tradingview.com/support/solutions/43000529348 (November 2026): the addresses, and that a request is
cancelled after 3 s. Deliveries answered 500 to 599, but for 504, come again after 5 s, three times at most.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from ipaddress import IPv4Network as Net4
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from connectors.keys import Redactor, Secret
from connectors.settings import SYMBOL

TRADINGVIEW = ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")
ADDRESSES = "tradingview"  # stands for them in an allow-list
UNNAMED = b"tradingview"  # key of an alert that names no ticker
SECRET_CHARACTERS_MIN = 12
FIELD = "secret"

Network = Net4 | IPv6Network
Address = IPv4Address | IPv6Address

_NAME = rb"[\w.%+\[\]/~!'()*-]+"
_FORM = re.compile(_NAME + rb"=[^\s&]*(?:&" + _NAME + rb"=[^\s&]*)*")
_IN_TEXT = re.compile(rb"secret[\"']?\s*[:=]\s*", re.IGNORECASE)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BOM = b"\xef\xbb\xbf"


def fields(body: bytes) -> dict[str, Any]:
    """What an alert says by name: the members of its JSON object, or of its form (texts); {} of a text."""
    members = _json(body)
    if members is not None:
        return {name: msgspec.json.decode(value) for name, value in members.items()}
    if _FORM.fullmatch(body):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return {}


def key_of(body: bytes) -> bytes:
    """The record's key: the ticker that the alert names, else UNNAMED."""
    ticker = fields(body).get("ticker")
    return ticker.encode() if isinstance(ticker, str) and re.fullmatch(SYMBOL, ticker) else UNNAMED


def digest(body: bytes) -> bytes:
    """What tells alerts apart, 16 bytes."""
    return hashlib.sha256(body).digest()[:16]


# ---- the secret


class SecretError(ValueError):
    """The secret is too short to be one, or of characters that texts escape."""


class Gate:
    """Lets in what has the secret, and takes the secret out of it."""

    def __init__(self, secret: Secret) -> None:
        """Raises SecretError: it could be guessed, or cut out of words, or is not found where JSON escapes it."""
        self._secret = secret.reveal().encode()
        if len(self._secret) < SECRET_CHARACTERS_MIN:
            raise SecretError(
                f"ISOTHERM_WEBHOOK_SECRET: expected at least {SECRET_CHARACTERS_MIN} characters, found fewer: "
                "`openssl rand -hex 24` makes one"
            )
        if not {*b"\"'\\"}.isdisjoint(self._secret):
            raise SecretError("ISOTHERM_WEBHOOK_SECRET: expected no quotes and backslashes, found one")
        self._redactor = Redactor([secret])
        self._written = _written(self._secret)

    def open(self, body: bytes, in_path: str = "") -> bytes | None:
        """The body without the secret; None if neither it nor the path has it.

        JSON and forms lose the member `secret`, text the secret with its name; what else holds it has *** there. All
        other bytes stay.
        """
        body = _unwrapped(body)
        members = _json(body)
        if members is not None:
            offered, bare = self._from_json(body, members)
        elif _FORM.fullmatch(body):
            offered, bare = self._from_form(body)
        else:
            offered, bare = self._from_text(body)
        # Both are compared, whichever is right: the time taken tells nothing.
        known = self._is_secret(offered) | self._is_secret(in_path.encode("utf-8", "surrogateescape"))
        # Of two members of one name decoding shows the last alone.
        return self._written.sub(b"***", bare) if known else None

    def _is_secret(self, offered: bytes) -> bool:
        return hmac.compare_digest(offered, self._secret)

    def _from_json(self, body: bytes, members: dict[str, msgspec.Raw]) -> tuple[bytes, bytes]:
        offered = members.pop(FIELD, None)
        bare = body if offered is None else msgspec.json.encode(members)
        found = {"alert": msgspec.json.decode(bare)}
        if (cut := self._redactor(None, "", dict(found))) != found:
            bare = msgspec.json.encode(cut["alert"])
        return _text(offered), bare

    def _from_form(self, body: bytes) -> tuple[bytes, bytes]:
        parts = [part.partition(b"=") for part in body.split(b"&")]
        mine = [value for name, _, value in parts if unquote_to_bytes(name) == FIELD.encode()]
        rest = b"&".join(b"".join(part) for part in parts if unquote_to_bytes(part[0]) != FIELD.encode())
        return unquote_to_bytes(mine[-1].replace(b"+", b"%20")) if mine else b"", self._cut(rest)

    def _from_text(self, body: bytes) -> tuple[bytes, bytes]:
        """A text, which may be JSON that a placeholder has broken."""
        size, offered = len(self._secret), b""
        for named in _IN_TEXT.finditer(body):
            bare, quoted = named.end(), named.end() + (body[named.end() : named.end() + 1] in (b'"', b"'"))
            for at in (bare, quoted):
                candidate = body[at : at + size]
                if not body[at + size : at + size + 1].isalnum() and self._is_secret(candidate):
                    offered = candidate
        if offered:
            body = re.sub(_IN_TEXT.pattern + rb"[\"']?" + re.escape(offered), b"", body, flags=re.IGNORECASE)
        return offered, self._cut(body.strip())

    def _cut(self, body: bytes) -> bytes:
        return self._redactor.text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _written(secret: bytes) -> re.Pattern[bytes]:
    """The secret in a text, each character as itself or as JSON, in a text within a text too, or URLs escape it."""
    forms = (
        rb"(?:\\{0,8}" + re.escape(bytes([x])) + rb"|(?i:%%(?:25)*%02x|\\{1,8}u%04x))" % (x, x)
        for x in secret
    )
    return re.compile(b"".join(forms))


def _json(body: bytes) -> dict[str, msgspec.Raw] | None:
    """The members of a JSON object, as they stand there; None of anything else."""
    try:
        found = _members(body)
        msgspec.json.decode(body)  # Raw values are not looked into
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found


def _unwrapped(body: bytes) -> bytes:
    """The body, or the JSON object that a form has as its only name or its only value."""
    body = body.removeprefix(_BOM).strip()
    if body[:1] != b"{" and _FORM.fullmatch(body) and b"&" not in body:
        name, _, value = body.partition(b"=")
        for part in (value, name):
            inner = unquote_to_bytes(part.replace(b"+", b"%20"))
            if _json(inner) is not None:
                return inner
    return body


def _text(raw: msgspec.Raw | None) -> bytes:
    if raw is None:
        return b""
    value = msgspec.json.decode(raw)
    return value.encode() if isinstance(value, str) else bytes(raw)


# ---- the sender


class SourceError(ValueError):
    """Not an address or network."""


def networks(names: Iterable[str]) -> list[Network]:
    """The networks of addresses such as 10.0.0.7, 10.0.0.0/8 and `tradingview`.

    Raises:
        SourceError: a name is none of them.
    """
    found = []
    for name in names:
        for one in TRADINGVIEW if name == ADDRESSES else (name,):
            try:
                found.append(ip_network(one))
            except ValueError as error:
                raise SourceError(f"expected an address, a network or {ADDRESSES!r}: {error}") from None
    return found


class Sources:
    """Whose requests are looked at: those of `allowed`, also where they come through one of `proxies`."""

    def __init__(self, allowed: Sequence[Network], proxies: Sequence[Network] = ()) -> None:
        self._allowed, self._proxies = allowed, proxies

    def of(self, peer: str | None, forwarded: Sequence[str] = ()) -> Address | None:
        """Who asks: the peer, or, if that is a proxy, the last hop of X-Forwarded-For that is none.

        Anyone may write that header; what a proxy of ours has appended to it is at its end. None: that is no address.
        """
        found = _address(peer or "")
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        while found is not None and hops and _within(found, self._proxies):
            found = _address(hops.pop())
        return found

    def allows(self, source: Address | None) -> bool:
        """Whether that one may send alerts."""
        return source is not None and _within(source, self._allowed)


def _within(address: Address, found: Sequence[Network]) -> bool:
    return any(address in network for network in found)


def _address(text: str) -> Address | None:
    """The address of 1.2.3.4, 1.2.3.4:80, ::1 or [::1]:80."""
    bare = re.sub(r"\A\[(.*)\](?::\d+)?\Z|\A([\d.]+):\d+\Z", r"\1\2", text)
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


class Lockout:
    """Sources that offered too many wrong secrets within a minute.

    TradingView's own addresses are everybody's who uses it: they are never locked out, or a stranger's alerts could
    keep the owner's away. Against them the secret's length is what helps.
    """

    SPAN_NS = 60_000_000_000

    def __init__(self, wrong_max: int = 10, sources_max: int = 4096) -> None:
        self._wrong_max, self._sources_max = wrong_max, sources_max
        self._shared = networks([ADDRESSES])
        self._wrong: OrderedDict[Address, tuple[int, int]] = OrderedDict()  # since ns, how many

    def wrong(self, source: Address, now_ns: int) -> None:
        """Count a wrong secret."""
        since_ns, count = self._wrong.get(source, (now_ns, 0))
        if now_ns - since_ns > self.SPAN_NS:
            since_ns, count = now_ns, 0
        self._wrong[source] = since_ns, count + 1
        if len(self._wrong) > self._sources_max:
            self._wrong.popitem(last=False)

    def holds(self, source: Address, now_ns: int) -> bool:
        """Whether the source is to wait."""
        since_ns, count = self._wrong.get(source, (now_ns, 0))
        if count < self._wrong_max or _within(source, self._shared):
            return False
        return now_ns - since_ns <= self.SPAN_NS


# ---- deliveries of one alert


class Heard(NamedTuple):
    """An alert that was taken: when, and what is done when it is in the log."""

    first_ns: int
    done: Any


class Deliveries:
    """The alerts of the last `span_ns`: one delivered again within that time of its first is the same one.

    TradingView's last attempt comes some 20 s after the first; alerts of two bars are a minute apart at least.
    """

    def __init__(self, span_ns: int = 45_000_000_000, count_max: int = 65_536) -> None:
        self.span_ns, self._count_max = span_ns, count_max
        self._heard: OrderedDict[bytes, Heard] = OrderedDict()

    def find(self, body: bytes, now_ns: int) -> Heard | None:
        """That alert, if it was taken."""
        while self._heard:
            oldest = next(iter(self._heard))
            if now_ns - self._heard[oldest].first_ns <= self.span_ns:
                break
            del self._heard[oldest]
        return self._heard.get(digest(body))

    @property
    def full(self) -> bool:
        """Whether no more can be remembered, and so none be taken."""
        return len(self._heard) >= self._count_max

    def take(self, body: bytes, now_ns: int, done: Any) -> Heard:
        """Remember it."""
        found = self._heard[digest(body)] = Heard(now_ns, done)
        return found
