"""What history was fetched: spans by feed, symbol and interval, kept in a file, so that none is asked for again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FILE = "fetched.sqlite3"  # in the data directory
OPEN_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    feed TEXT, symbol TEXT, interval_s INTEGER, from_ns INTEGER, to_ns INTEGER,
    PRIMARY KEY (feed, symbol, interval_s, from_ns)
) WITHOUT ROWID;
"""


class FetchedError(RuntimeError):
    """The file cannot be used."""


class Span(NamedTuple):
    """[from_ns, to_ns), int ns UTC."""

    from_ns: int
    to_ns: int


class Series(NamedTuple):
    """What history is of; `interval_s` 0 means trades."""

    feed: str
    symbol: str
    interval_s: int


class Fetched:
    """The spans in the file at `path`; ":memory:" keeps them for as long as the object lives."""

    def __init__(self, path: Path | str) -> None:
        """Raises FetchedError if the file cannot be used."""
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=OPEN_S, isolation_level=None, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise FetchedError(f"expected to keep what was fetched in {path}, found: {error}") from None
        self._path = path

    def missing(self, series: Series, span: Span) -> list[Span]:
        """The parts of the span that were not fetched, oldest first. Raises FetchedError."""
        found, at_ns = [], span.from_ns
        with self._usable():
            touching = self._touching(series, span)
        for known in touching:
            if known.from_ns > at_ns:
                found.append(Span(at_ns, min(known.from_ns, span.to_ns)))
            at_ns = max(at_ns, known.to_ns)
        if at_ns < span.to_ns:
            found.append(Span(at_ns, span.to_ns))
        return found

    def add(self, series: Series, span: Span) -> None:
        """The span was fetched; those it touches become one with it. Raises FetchedError: it is not remembered."""
        if span.from_ns >= span.to_ns:
            return
        with self._usable(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for known in self._touching(series, span):
                span = Span(min(span.from_ns, known.from_ns), max(span.to_ns, known.to_ns))
                self._db.execute(
                    "DELETE FROM spans WHERE feed = ? AND symbol = ? AND interval_s = ? AND from_ns = ?",
                    (*series, known.from_ns),
                )
            self._db.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?)", (*series, *span))

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise FetchedError(
                f"expected to keep what was fetched in {self._path}, found: {error}: repair it or its permissions"
            ) from None

    def _touching(self, series: Series, span: Span) -> list[Span]:
        rows = self._db.execute(
            "SELECT from_ns, to_ns FROM spans WHERE feed = ? AND symbol = ? AND interval_s = ?"
            " AND from_ns <= ? AND to_ns >= ? ORDER BY from_ns",
            (*series, span.to_ns, span.from_ns),
        )
        return [Span(*row) for row in rows]
