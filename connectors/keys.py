"""Keys of venues: they come from the environment only, and no output shows them."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

FILE_BYTES_MAX = 4096
SHORTEST = 4  # a shorter value would cut words out of messages that have nothing to do with it
_SECRET_NAME = re.compile(r"ISOTHERM_\w*(?:KEY|PASSWORD|SECRET|TOKEN)")


class KeyValueError(ValueError):
    """A variable holds no usable key; the message names the variable, never its value."""


class Secret:
    """A value that prints as ***; only `reveal` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: for the request it belongs to, and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled: pass it by the environment")


def key(name: str, environ: Mapping[str, str]) -> Secret | None:
    """What the variable `name` holds, or the file that `<name>_FILE` names; None if neither is set.

    Raises:
        KeyValueError: both are set, the file cannot be read, or it is not one printable word.
    """
    value, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if value and path:
        raise KeyValueError(f"expected one of {name} and {name}_FILE, found both: unset one")
    if path:
        value = _content(name, path)
    if not (value := value.strip()):
        return None
    if not re.fullmatch(r"[!-~]{1,512}", value):
        raise KeyValueError(f"{name}: expected a key of up to 512 printable ASCII characters without blanks")
    return Secret(value)


def secrets_of(environ: Mapping[str, str]) -> list[Secret]:
    """Every value that must not be shown: of ISOTHERM_..._KEY, _PASSWORD, _SECRET and _TOKEN, or their files.

    A file that cannot be read is left out here: whoever needs its key says so.
    """
    found = []
    for name, value in environ.items():
        text = value
        if name.endswith("_FILE") and _SECRET_NAME.fullmatch(name.removesuffix("_FILE")):
            try:
                text = _content(name.removesuffix("_FILE"), value)
            except KeyValueError:
                continue
        elif not _SECRET_NAME.fullmatch(name):
            continue
        if text.strip():
            found.append(Secret(text.strip()))
    return found


def _content(name: str, path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(FILE_BYTES_MAX)
    except (OSError, ValueError) as error:
        raise KeyValueError(
            f"{name}_FILE: expected a readable text file at {path}, found {type(error).__name__}"
        ) from None


class Redactor:
    """Puts *** in place of known secrets, also where a URL or a literal has escaped their characters.

    It is a structlog processor; `text` is for what does not go through structlog.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets if len(secret.reveal()) >= SHORTEST}
        # The longest first: one value may begin another.
        self._values = [_pattern(value) for value in sorted(values, key=len, reverse=True)]

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for value in self._values:
            text = value.sub("***", text)
        return text

    def __call__(
        self, logger: object, name: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """The event without the secrets, in whatever it holds of texts, mappings and sequences."""
        if self._values:
            for field in list(event):
                if field != "exc_info":  # rendered as text later
                    event[field] = self._cut(event[field])
        return event

    def _cut(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._cut(name): self._cut(one) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._cut(one) for one in value]
        text = str(value)
        cut = self.text(text)
        return value if cut == text else cut


class RedactedStream:
    """A text stream whose writes go through a redactor: tracebacks, warnings, messages of libraries."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream, self._redactor = stream, redactor

    def write(self, text: str) -> int:
        """Write the text without the secrets; the length of what was given."""
        self._stream.write(self._redactor.text(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _pattern(value: str) -> re.Pattern[str]:
    """The value as itself, percent-encoded in part or whole, or as the inside of a string literal."""
    return re.compile("".join(_character(x) for x in value))


def _character(x: str) -> str:
    if x.isascii() and x.isalnum():
        return x
    # The bare character last: % is also the beginning of %25.
    forms = [re.escape(quote(x, safe="")), rf"\\{{0,3}}{re.escape(x)}"]
    if x == " ":
        forms.append(r"\+")
    if not x.isascii():
        units = x.encode("utf-16-be").hex()
        forms.append(r"\\+" + re.escape(x.encode("unicode_escape").decode()[1:]))
        forms.append("".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4)))
    return f"(?i:{'|'.join(forms)})"
