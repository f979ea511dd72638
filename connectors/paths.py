"""Paths of requests: taken apart by those who read an answer, changed by those who ask for its next page."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit


def query_of(path: str) -> dict[str, str]:
    """The query of a path; of a name that stands twice the last value."""
    return dict(parse_qsl(urlsplit(path).query))


def with_query(path: str, **values: object) -> str:
    """The path, with these values in its query in place of, or after, those there."""
    base, _, _ = path.partition("?")
    return asking(base, {**query_of(path), **values})


def asking(base: str, query: Mapping[str, object]) -> str:
    """A path of a base and a query."""
    return f"{base}?{urlencode(query, quote_via=quote, safe='')}" if query else base
