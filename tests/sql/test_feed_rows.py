"""What every polled API answers, sound or damaged, is rows that the real engine takes."""

import random

import pytest

from connectors.feed import Feed, feeds
from connectors.record import Record, encode_line
from connectors.simulator.api import apis
from flows.kernels.feed import FeedKernel
from flows.runtime.progress import Progress
from flows.runtime.sink import insert
from sql.client import Store
from tests.connectors.feeds.test_every_feed import NOW_NS, told
from tests.connectors.venues.test_fuzz import mutated

EACH = pytest.mark.parametrize("feed", [feeds()[name] for name in sorted(apis())], ids=lambda feed: feed.name)
DAMAGED = 60  # answers of a feed


def stored(store: Store, feed: Feed, answers: list[tuple[str, bytes]]) -> tuple[Progress, FeedKernel]:
    kernel, progress = FeedKernel(feed, 0), Progress()
    records = [
        Record(b"k", i, encode_line(NOW_NS + i, b"GET:" + path.encode(), body))
        for i, (path, body) in enumerate(answers)
    ]
    insert(store, kernel.on_records(records), progress)
    return progress, kernel


@EACH
def test_answers_are_rows(writer: Store, feed: Feed) -> None:
    progress, kernel = stored(writer, feed, told(feed))
    assert kernel.counts["dead_letters"] == 0
    assert progress.rows
    for table in progress.rows:
        column = "source" if table not in ("bars", "trades", "prices", "derivatives") else "venue"
        name = feed.name if column == "source" else feed.venue or feed.name
        ((there,),) = writer.query(f"SELECT count() FROM market.{table} WHERE {column} = '{name}'")
        assert there, table


@EACH
def test_damaged_answers_are_rows_or_set_aside(writer: Store, feed: Feed) -> None:
    made, samples = random.Random(feed.name), told(feed)
    answers = [
        (path, mutated(made, body, [body])) for path, body in (made.choice(samples) for _ in range(DAMAGED))
    ]
    progress, _ = stored(writer, feed, answers)
    assert progress.rows["dead_letters"]
