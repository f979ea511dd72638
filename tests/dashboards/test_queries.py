"""Every query of the board on the real engine, as the board user, against the market it was written from."""

import time

import numpy as np
import pytest

from dashboards.board import queries
from dashboards.board.health import Venue
from dashboards.board.queries import Book
from sql.client import Store, StoreError
from tests.dashboards import market
from tests.dashboards.market import HOLE, NAMES, START, TIMES

EVER = 2**32 - 1
BOOK = Book(*NAMES, newest_s=TIMES[-1], tick=market.TICK)
NOBODY = Book("NO-SUCH", "binance_futures", 0, 0.1)


def test_books(board: Store) -> None:
    assert BOOK in queries.books(board)


def test_newest(board: Store) -> None:
    assert queries.newest(board, BOOK) == (TIMES[-1], TIMES[-1] * 10**9)
    assert queries.newest(board, NOBODY) is None


@pytest.mark.parametrize("step_s", [1, 10, 60])
def test_columns_are_what_was_written(board: Store, step_s: int) -> None:
    found = queries.columns(board, BOOK, step_s, 0, EVER)
    assert [column.time_s for column in found] == [second for second in TIMES if second % step_s == 0]
    for column in found:
        bid, ask = market.sizes(column.time_s)
        np.testing.assert_array_equal(column.bid, bid)
        np.testing.assert_array_equal(column.ask, ask)
        assert (column.best_bid, column.base_bin) == (market.best_bid(column.time_s), market.BASE)
        assert (column.bin_step, column.imbalance) == (market.STEP, -0.25)


def test_columns_are_bounded_by_time_and_count(board: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = queries.columns(board, BOOK, 1, START + 10, START + 20)
    assert [column.time_s for column in found] == list(range(START + 10, START + 20))
    monkeypatch.setattr(queries, "COLUMNS_MAX", 3)
    assert [column.time_s for column in queries.columns(board, BOOK, 1, 0, EVER)] == TIMES[-3:]
    assert queries.columns(board, NOBODY, 1, 0, EVER) == []


def test_last_trade(board: Store) -> None:
    assert queries.last_trade(board, BOOK) == market.best_bid(TIMES[-1])
    assert queries.last_trade(board, NOBODY) is None


def test_gaps(board: Store) -> None:
    assert queries.gaps(board, BOOK, HOLE[0], HOLE[0] + 1) == 1
    assert queries.gaps(board, BOOK, HOLE[0] + 1, EVER) == 0


def test_the_board_user_cannot_write(board: Store) -> None:
    with pytest.raises(StoreError):
        market.write_depth(board, "depth_1s", [START])


def test_the_feed_is_what_the_connector_told_last(board: Store, writer: Store) -> None:
    book = Book("ETH-USDT", "told_venue", 0, 0.01)
    names = {"venue": ["told_venue"], "symbol": ["ETHUSDT"]}
    sizes = {name: np.array([1.0]) for name in ("tick", "lot", "bin_step", "contract_size")}
    writer.insert(
        "instruments",
        names | sizes | {"instrument": ["ETH-USDT"], "inferred": np.array([False]), "version": np.array([1])},
    )
    now_ns = time.time_ns()
    numbers = dict.fromkeys(
        ("age_ms", "messages_per_s", "bytes_per_s", "delay_ms_p50", "delay_ms_p99"), np.array([1.0])
    ) | dict.fromkeys(
        (
            "messages", "gaps", "resyncs", "unreadable", "queue_outbox_bytes", "queue_rest_waiting",
            "queue_rest_weight_used",
        ),
        np.array([0]),
    )  # fmt: skip
    for told_ns, state in ((now_ns - 2 * 10**9, "live"), (now_ns - 10**9, "down")):
        when = {"time_ns": np.array([told_ns]), "version": np.array([told_ns]), "reconnects": np.array([3])}
        writer.insert(
            "feed_health", names | numbers | when | {"state": [state], "reason": ["closed by peer"]}
        )
    found = queries.feed(board, book)
    assert found is not None
    assert (found.state, found.reason, found.reconnects) == ("down", "closed by peer", 3)
    assert 1 <= found.told_s < 3600
    assert Venue("told_venue", 1, 0, "closed by peer") in queries.venues(board)
    assert queries.feed(board, NOBODY) is None
