"""Whatever a source held, after `bring` it holds the new data."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboards.board.sources import bring, source

VALUES = st.one_of(st.just(float("nan")), st.integers(0, 3).map(float))
TABLE = st.lists(st.tuples(VALUES, st.sampled_from("ab")), max_size=30)


def table(rows: list[tuple[float, str]]) -> dict[str, object]:
    return {"x": np.array([row[0] for row in rows], np.float64), "name": [row[1] for row in rows]}


def held(of: object) -> list[tuple[float, str]]:
    return list(zip(map(float, of.data["x"]), of.data["name"], strict=True))  # type: ignore[attr-defined]


@given(st.lists(TABLE, max_size=5))
def test_it_holds_what_was_brought(tables):
    one = source("x", "name")
    for rows in tables:
        bring(one, table(rows))
        np.testing.assert_equal(held(one), rows)


@given(TABLE)
def test_the_same_again_is_not_sent(rows):
    one = source("x", "name")
    bring(one, table(rows))
    assert bring(one, table(rows)) == "nothing"


@given(st.lists(st.tuples(VALUES, st.sampled_from("ab")), min_size=1, max_size=30), st.data())
def test_a_new_end_is_streamed(rows, data):
    one = source("x", "name")
    bring(one, table(rows))
    changed = [*rows[:-1], (data.draw(st.integers(4, 9)), "c"), (5.0, "d")]
    assert bring(one, table(changed)) == "stream"
    np.testing.assert_equal(held(one), changed)
