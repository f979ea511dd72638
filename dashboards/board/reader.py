"""One reader of the store for all sessions of the process: a question is asked once a second, not once a viewer."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from dashboards.board import price_queries, queries
from dashboards.board.columns import Column
from dashboards.board.health import Feed, Venue
from dashboards.board.queries import Book
from sql.client import Store, StoreError

FRESH_S = 0.9
RETRY_S = 2.0
KEPT = 256

T = TypeVar("T")


class Reader:
    """Answers from the store, each kept for FRESH_S or as asked; safe to share between threads."""

    def __init__(self, store: Store, now: Callable[[], float] = time.monotonic):
        self._store, self._now = store, now
        self._answers: OrderedDict[tuple[Any, ...], tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = float("-inf")
        self._error: StoreError | None = None

    def books(self) -> list[Book]:
        """Every book of the store, and what has prices alone. Raises StoreError, as all methods do."""
        return self._ask(
            ("books",), lambda: queries.books(self._store) + price_queries.price_books(self._store)
        )

    def newest(self, book: Book) -> tuple[int, int] | None:
        """Second and receive time (ns) of the newest column."""
        question = queries.newest if book.has_book else price_queries.newest_price
        return self._ask(("newest", _key(book)), lambda: question(self._store, book))

    def columns(self, book: Book, step_s: int, from_s: int, until_s: int) -> list[Column]:
        """Columns that open in [from_s, until_s)."""
        key = ("columns", _key(book), step_s, from_s, until_s)
        question = queries.columns if book.has_book else price_queries.price_columns
        return self._ask(key, lambda: question(self._store, book, step_s, from_s, until_s))

    def last_trade(self, book: Book) -> float | None:
        """Price of the newest trade."""
        return self._ask(("last", _key(book)), lambda: queries.last_trade(self._store, book))

    def gaps(self, book: Book, from_s: int, until_s: int) -> int:
        """How often the book was lost in [from_s, until_s)."""
        key = ("gaps", _key(book), until_s)
        return self._ask(key, lambda: queries.gaps(self._store, book, from_s, until_s))

    def feed(self, book: Book) -> Feed | None:
        """What the connector told last of the book's feed."""
        return self._ask(("feed", _key(book)), lambda: queries.feed(self._store, book))

    def venues(self) -> list[Venue]:
        """How all markets are."""
        return self._ask(("venues",), lambda: queries.venues(self._store))

    def ask(self, question: Callable[..., T], book: Book, *arguments: Any, fresh_s: float = FRESH_S) -> T:
        """`question(store, book, *arguments)`, or its answer that is not older than `fresh_s`."""
        key = (question.__name__, _key(book), *arguments)
        return self._ask(key, lambda: question(self._store, book, *arguments), fresh_s)

    def _ask(self, key: tuple[Any, ...], question: Callable[[], T], fresh_s: float = FRESH_S) -> T:
        with self._lock:
            at, answer = self._answers.get(key, (float("-inf"), None))
            if self._now() - at < fresh_s:
                return answer  # type: ignore[no-any-return]
            if self._error is not None and self._now() < self._away_until:
                raise self._error
            try:
                answer = question()
            except StoreError as error:
                self._error, self._away_until = error, self._now() + RETRY_S
                raise
            self._answers[key] = (self._now(), answer)
            self._answers.move_to_end(key)
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
            return answer


def _key(book: Book) -> tuple[str, str]:
    return book.instrument, book.venue
